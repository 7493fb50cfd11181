"""Natural history of MS: untreated people from onset, beside what the registries published.

Which published value stands beside which simulated quantity is data (``natural_history.yaml``). A quantity agrees when
its Monte Carlo interval meets the range that the registries span, confidence intervals included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal, get_args

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from stemtrial.errors import InputError, did_you_mean
from stemtrial.evidence import Outcome, Study, study
from stemtrial.parameters import Draws, point_draw
from stemtrial.predict import natural_estimators as estimate
from stemtrial.predict.natural_estimators import NOTHING, Estimated
from stemtrial.predict.natural_lives import Lives, simulate

Onsets = Literal["relapsing", "primary", "paediatric", "all"]
Bools = NDArray[np.bool_]
ONSET_YEAR = 1980.0
Row = dict[str, Any]


class People(BaseModel):
    """Whose lives: kind and year of onset, and which of them.

    Attributes
    ----------
    onset : {"relapsing", "primary", "paediatric", "mixed"}
        ``mixed``: relapsing onset with ``primary_share`` of primary progressive onset.
    onset_year : float
        Calendar year of onset.
    female : bool or None
        Only women, only men.
    onset_age, early_attacks : (low, high) or None
        Ages at onset from low to below high; attacks of the first two years from low to high, the first counted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    onset: Literal["relapsing", "primary", "paediatric", "mixed"] = "relapsing"
    onset_year: float = ONSET_YEAR
    primary_share: float = 0.0
    female: bool | None = None
    onset_age: tuple[float, float] | None = None
    early_attacks: tuple[float, float] | None = None

    def scenarios(self) -> set[tuple[str, float]]:
        """Kinds and years of onset that have to be simulated."""
        kinds = ("relapsing", "primary") if self.onset == "mixed" else (self.onset,)
        return {(k, self.onset_year) for k in kinds}

    def rows(self, lives: Lives) -> Bools:
        """Who of ``lives`` is meant."""
        out = np.ones(len(lives), bool)
        if self.female is not None:
            out &= lives.female == self.female
        if self.onset_age is not None:
            out &= (lives.onset_age >= self.onset_age[0]) & (lives.onset_age < self.onset_age[1])
        if self.early_attacks is not None:
            out &= (lives.early_attacks >= self.early_attacks[0]) & (lives.early_attacks <= self.early_attacks[1])
        return out


class Tie(BaseModel):
    """How a published value compares: ``note`` on its definition; ``unlike`` says why it is not scored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    note: str = ""
    unlike: str = ""


class Quantity(BaseModel):
    """One quantity of natural history and the published values of it.

    Attributes
    ----------
    theme, label, unit : str
        Where it is shown, what it is, and its unit.
    find : dict
        One estimator of ``FINDERS`` with its argument, and options.
    people, against : People
        Whose lives, and with whom a ratio compares.
    published : dict of outcome id to Tie
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    theme: str
    label: str
    unit: Literal["y", "share", "ratio", "1/y", "%/y", "EDSS/y"]
    find: dict[str, Any]
    people: People = People()
    against: People | None = None
    published: dict[str, Tie] = {}

    def scenarios(self) -> set[tuple[str, float]]:
        """Kinds and years of onset that have to be simulated."""
        return self.people.scenarios() | (self.against.scenarios() if self.against else set())


@cache
def quantities() -> dict[str, Quantity]:
    """Every quantity by name, from ``natural_history.yaml``.

    Raises
    ------
    InputError
        If an entry is malformed or names an estimator that does not exist.
    """
    text = files("stemtrial.predict").joinpath("natural_history.yaml").read_text(encoding="utf-8")
    out: dict[str, Quantity] = {}
    for name, entry in yaml.safe_load(text).items():
        ties = {k: {"note": v} if isinstance(v, str) else v for k, v in (entry.get("published") or {}).items()}
        try:
            out[name] = Quantity.model_validate({**entry, "published": ties})
        except ValidationError as e:
            first = e.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise InputError(f"natural_history.yaml: {name}: {where}: {first['msg']}") from None
        kind = next(iter(out[name].find))
        if kind not in FINDERS:
            raise InputError(f"natural_history.yaml: {name}: no estimator '{kind}'{did_you_mean(kind, FINDERS)}")
    return out


# -- estimators by name -----------------------------------------------------------------------------------------------
Found = tuple[Lives, Mapping[str, Any], Mapping[str, float]]


def _age(x: Found, event: str) -> tuple[NDArray[Any], Bools]:
    return x[0].onset_age + x[0].time[event], x[0].event[event]


def _person_years(x: Found, start: str | None, end: str) -> Estimated:
    lives = x[0]
    begun = lives.time[start] if start else np.zeros(len(lives))
    at_risk = lives.event[start] if start else np.ones(len(lives), bool)
    years = np.where(at_risk, np.maximum(lives.time[end] - begun, 0.0), 0.0)
    return estimate.rate((lives.event[end] & at_risk & (years > 0)).astype(float), years)


def _relapse_rate(x: Found, start: int, end: int) -> Estimated:
    lives, options, _ = x
    if end > lives.years:
        return NOTHING
    count = lives.relapses[:, start:end].copy()
    if options.get("with_onset") and start == 0:
        count[:, 0] += 1.0
    return estimate.rate(count, lives.exposure[:, start:end])


def _within(values: NDArray[Any], low: float, high: float) -> Estimated:
    return estimate.proportion((values >= low) & (values < high))


def _per_relapse(x: Found, event: str) -> Estimated:
    lives, options, _ = x
    low, high = options["between"]
    before = np.hstack([np.zeros((len(lives), 1)), np.cumsum(lives.relapses, axis=1)])
    covariate = before if high <= 5 else np.repeat(before[:, [min(5, lives.years)]], lives.years + 1, axis=1)
    return estimate.hazard_ratio_per(lives.time[event], lives.event[event], covariate, low, high)


def _without(e: Estimated) -> Estimated:
    return Estimated(1 - e.value, 1 - e.high, 1 - e.low, e.people)


FINDERS: dict[str, Callable[[Found, Any], Estimated]] = {
    "quantile": lambda x, event: estimate.quantile(x[0].time[event], x[0].event[event], x[1].get("q", 0.5)),
    "quantile_of_age": lambda x, event: estimate.quantile(*_age(x, event), x[1].get("q", 0.5)),
    "share": lambda x, event: estimate.share(x[0].time[event], x[0].event[event], x[1]["at"]),
    "share_without": lambda x, event: _without(estimate.share(x[0].time[event], x[0].event[event], x[1]["at"])),
    "share_by_age": lambda x, event: estimate.share(*_age(x, event), x[1]["at"]),
    "gap": lambda x, events: estimate.gap(x[0], *events),
    "hazard_of": lambda x, event: _person_years(x, None, event),
    "hazard_from": lambda x, events: _person_years(x, *events),
    "hazard_ratio_per_relapse": _per_relapse,
    "relapse_rate": lambda x, years: _relapse_rate(x, *years),
    "relapse_rate_at": lambda x, edss: estimate.relapse_rate_at(x[0], *edss),
    "relapse_fall": lambda x, years: estimate.fall_per_5_years(x[0], *years),
    "edss_slope": lambda x, years: estimate.edss_slope(x[0], *years),
    "transition": lambda x, edss: estimate.transition(x[0], *edss),
    "spms_within_a_year": lambda x, edss: estimate.spms_within_a_year(x[0], *edss),
    "atrophy": lambda x, span: estimate.atrophy(x[0], *span),
    "mortality_ratio": lambda x, edss: estimate.mortality_ratio(x[0], x[2], None if edss == "all" else edss),
    "mean": lambda x, name: estimate.mean(getattr(x[0], name)),
    "share_true": lambda x, name: estimate.proportion(getattr(x[0], name)),
    "share_never": lambda x, event: estimate.proportion(~x[0].event[event]),
    "share_onset_age": lambda x, ages: _within(x[0].onset_age, *ages),
    "hazard_ratio": lambda x, event: NOTHING,  # compares two groups, see `found`
    "hazard_ratio_per_calendar_year": lambda x, event: NOTHING,
}


def found(q: Quantity, worlds: Mapping[tuple[str, float], Lives], p: Mapping[str, float]) -> Estimated:
    """Estimate one quantity.

    Parameters
    ----------
    q : Quantity
        What to estimate.
    worlds : mapping of (kind, year) of onset to Lives
        Simulated people; has what ``q.scenarios()`` names.
    p : mapping
        Parameters by registered name.
    """
    kind, argument = next(iter(q.find.items()))
    mine = _select(q.people, worlds)
    if not len(mine):
        return NOTHING
    if q.against is None:
        return FINDERS[kind]((mine, q.find, p), argument)
    others = _select(q.against, worlds)
    if not len(others):
        return NOTHING
    if kind.startswith("hazard_ratio"):
        both = Lives.join([mine, others])
        group = np.arange(len(both)) < len(mine)
        e = estimate.hazard_ratio(both.time[argument], both.event[argument], group, np.ones(len(both), bool))
        apart = q.people.onset_year - q.against.onset_year
        if kind == "hazard_ratio_per_calendar_year":
            value, low, high = (float(v ** (1 / apart)) for v in e[:3])
            e = Estimated(value, low, high, e.people)
        return e
    one, other = (FINDERS[kind]((x, q.find, p), argument) for x in (mine, others))
    return estimate.ratio(one, other)


def _select(people: People, worlds: Mapping[tuple[str, float], Lives]) -> Lives:
    if people.onset != "mixed":
        lives = worlds[people.onset, people.onset_year]
        return lives.take(people.rows(lives))
    relapsing, primary = (worlds[k, people.onset_year] for k in ("relapsing", "primary"))
    # the smaller group sets how many of the other belong to it
    share = people.primary_share
    n = min(len(relapsing), int(len(primary) * (1 - share) / share))
    both = Lives.join([relapsing.take(slice(0, n)), primary.take(slice(0, round(n * share / (1 - share))))])
    return both.take(people.rows(both))


# -- beside the registries --------------------------------------------------------------------------------------------
def _interval(o: Outcome, s: Study, e: Estimated, unit: str) -> tuple[float, float] | None:
    """95 % interval of a published value: its own, else what its number of people leaves open, else the value alone."""
    if o.value is None:
        return None
    if o.ci95 is not None:
        low, high = o.ci95
        return (o.value if low is None else low), (o.value if high is None else high)
    # a part of the cohort whose size is not on record counts as the whole: its interval is too narrow, never too wide
    sizes = [a.n for a in s.arms if a.id in o.arms and a.n] or [a.n for a in s.arms if a.n]
    n = o.n or max(sizes, default=0)
    if not n:
        return o.value, o.value
    if unit == "share":
        z2 = estimate.Z**2 / n
        half = estimate.Z * np.sqrt(o.value * (1 - o.value) / n + z2 / (4 * n))
        return tuple(float((o.value + z2 / 2 + sign * half) / (1 + z2)) for sign in (-1, 1))  # type: ignore[return-value]
    if not (np.isfinite(e.value) and np.isfinite(e.low) and e.people):
        return o.value, o.value
    wider = np.sqrt(e.people / n)  # the spread among simulated people stands in for that of the cohort
    if unit == "ratio":
        factor = (e.value / e.low) ** wider if e.low > 0 else 1.0
        return float(o.value / factor), float(o.value * factor)
    half = float((e.value - e.low) * wider)
    return o.value - half if unit == "EDSS/y" or unit == "%/y" else max(0.0, o.value - half), o.value + half


def compare_quantity(name: str, q: Quantity, e: Estimated, years: int) -> Row:
    """Set an estimate beside the published values of its quantity.

    Returns
    -------
    dict
        ``quantity, theme, label, unit, predicted {value, mc95, people}, published [..], range, range_fit, inside,
        why``: ``range`` spans the verified, comparable values with their intervals, ``range_fit`` those of studies
        that may be fitted to, ``inside`` is None where nothing can be scored, ``why`` says why.
    """
    rows: list[Row] = []
    spans: dict[str, list[tuple[float, float]]] = {"fit": [], "test": []}
    for outcome_id, tie in q.published.items():
        s = study(outcome_id.split("#")[0])
        o = next((x for x in s.outcomes if x.outcome_id == outcome_id), None)
        if o is None:
            raise InputError(f"natural_history.yaml: {name}: outcome '{outcome_id}' does not exist")
        interval = _interval(o, s, e, q.unit)
        why = tie.unlike
        if o.role == "sealed":
            why = "sealed until predicted"
        elif o.verification == "recalled":
            why = why or "recalled, not verified at a source"
        if o.role == "context":
            why = why or "context"
        if interval is not None and not why:
            spans[o.role].append(interval)
        rows.append(
            {
                "outcome_id": outcome_id, "study": s.id, "citation": s.citation, "role": o.role,
                "verification": o.verification or ("sealed" if o.role == "sealed" else None), "value": o.value,
                "ci95": list(o.ci95) if o.ci95 else None, "interval": list(interval) if interval else None,
                "n": o.n, "note": tie.note, "unlike": bool(tie.unlike), "not_scored": why or None,
            }
        )  # fmt: skip

    def span(values: list[tuple[float, float]]) -> list[float] | None:
        return [min(v[0] for v in values), max(v[1] for v in values)] if values else None

    wide = span(spans["fit"] + spans["test"])
    inside: bool | None = None
    why = ""
    if wide is None:
        why = "; ".join(dict.fromkeys(r["not_scored"] for r in rows)) if rows else "nothing published"
    elif np.isnan(e.value):
        why = f"not estimable within {years} years of follow-up"
    elif np.isinf(e.low) and wide[1] >= years:
        why = f"not reached within {years} years of follow-up"
    else:
        inside = bool(e.low <= wide[1] and e.high >= wide[0])
    return {
        "quantity": name, "theme": q.theme, "label": q.label, "unit": q.unit,
        "predicted": {"value": e.value, "mc95": [e.low, e.high], "people": e.people}, "published": rows,
        "range": wide, "range_fit": span(spans["fit"]), "inside": inside, "why": why or None,
    }  # fmt: skip


@dataclass(frozen=True)
class NaturalHistory:
    """A natural history beside the registries.

    Attributes
    ----------
    settings : dict
        ``people, years, onset, seed, draws``.
    comparison : list of dict
        One row a quantity (:func:`compare_quantity`), misses first.
    worlds : mapping of (kind, year) of onset to Lives
        The people themselves.
    parameters : mapping
        The draw.
    """

    settings: Row
    comparison: list[Row]
    worlds: Mapping[tuple[str, float], Lives]
    parameters: Mapping[str, float] = field(repr=False)

    @property
    def misses(self) -> list[Row]:
        """Quantities outside the published range."""
        return [r for r in self.comparison if r["inside"] is False]


def natural_history(
    draws: Draws | None = None, draw: int = 0, *, people: int = 5000, years: int = 30, onset: Onsets = "all",
    seed: int = 1, threads: int = 1, progress: Callable[[str, float], None] | None = None,
) -> NaturalHistory:  # fmt: skip
    """Simulate untreated MS from onset and compare it with the registries.

    Parameters
    ----------
    draws, draw
        Parameters (point values when left out), and which draw of them.
    people : int
        People of each kind and year of onset.
    years : int
        Longest follow-up.
    onset : {"all", "relapsing", "primary", "paediatric"}
        Which kinds of onset; quantities that need another kind are left out.
    seed, threads : int
        Seed; threads, which change no number.
    progress : callable, optional
        Gets a stage and a fraction.

    Raises
    ------
    InputError
        If an argument is out of range.
    """
    if onset not in get_args(Onsets):
        raise InputError(f"onset '{onset}' is not known{did_you_mean(onset, get_args(Onsets))}")
    draws = draws or point_draw()
    asked = {name: q for name, q in quantities().items() if onset == "all" or all(k == onset for k, _ in q.scenarios())}
    kinds = ("relapsing", "primary", "paediatric") if onset == "all" else (onset,)
    needed = sorted({(k, ONSET_YEAR) for k in kinds}.union(*(q.scenarios() for q in asked.values())))
    worlds = {}
    for i, (kind, year) in enumerate(needed):

        def told(fraction: float, i: int = i) -> None:
            if progress is not None:
                progress("living", (i + fraction) / len(needed))

        worlds[kind, year] = simulate(
            draws, draw, people=people, years=years, onset=kind, onset_year=year, seed=seed, threads=threads,  # type: ignore[arg-type]
            progress=told,
        )  # fmt: skip
    if progress is not None:
        progress("comparing", 0.0)
    p = draws[draw]
    rows = [compare_quantity(name, q, found(q, worlds, p), years) for name, q in asked.items()]
    rows.sort(key=lambda r: {False: 0, True: 1, None: 2}[r["inside"]])
    settings = {"people": people, "years": years, "onset": onset, "seed": seed, "draws": draws.identity, "draw": draw}
    return NaturalHistory(settings, rows, worlds, p)
