"""Quantities of natural history: whose lives, which estimate, and the published values that stand beside it.

Which published value stands beside which simulated quantity is data, a YAML file a disease. A quantity agrees when its
Monte Carlo interval meets the range that the registries span, confidence intervals included.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from stemtrial.errors import InputError, did_you_mean
from stemtrial.evidence import Outcome, Study, study
from stemtrial.predict import natural_estimators as estimate
from stemtrial.predict.natural_estimators import NOTHING, Estimated
from stemtrial.predict.natural_lives import Lives

Bools = NDArray[np.bool_]
Scenario = tuple[str, float]
"""Kind of onset and its calendar year: people who are simulated together."""
Worlds = Mapping[Scenario, Any]
Row = dict[str, Any]
Found = tuple[Any, Mapping[str, Any], Mapping[str, float]]
"""What an estimator gets: lives, the options of ``find``, parameters by registered name."""
Finder = Callable[[Found, Any], Estimated]
Comparer = Callable[[Any, Any, Any, Any], Estimated]
"""From a quantity, its people, those whom it compares them with, and the argument."""


class People(BaseModel):
    """Whose lives. A disease adds kinds of onset and what else tells people apart.

    Attributes
    ----------
    female : bool or None
        Only women, only men.
    onset_age : (low, high) or None
        Ages at onset from low to below high.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    female: bool | None = None
    onset_age: tuple[float, float] | None = None

    @abstractmethod
    def scenarios(self) -> set[Scenario]:
        """Kinds and years of onset that have to be simulated."""

    def rows(self, lives: Any) -> Bools:
        """Who of ``lives`` is meant."""
        out = np.ones(len(lives), bool)
        if self.female is not None:
            out &= lives.female == self.female
        if self.onset_age is not None:
            out &= (lives.onset_age >= self.onset_age[0]) & (lives.onset_age < self.onset_age[1])
        return out

    def of(self, worlds: Worlds) -> Any:
        """Lives of those who are meant."""
        (scenario,) = self.scenarios()
        lives = worlds[scenario]
        return lives.take(self.rows(lives))


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
        One estimator of the disease with its argument, and options.
    people, against : People
        Whose lives, and with whom a ratio compares.
    published : dict of outcome id to Tie
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    theme: str
    label: str
    unit: Literal["y", "age", "share", "ratio", "1/y", "%/y", "EDSS/y", "points/y"]
    find: dict[str, Any]
    people: People
    against: People | None = None
    published: dict[str, Tie] = {}

    def scenarios(self) -> set[Scenario]:
        """Kinds and years of onset that have to be simulated."""
        return self.people.scenarios() | (self.against.scenarios() if self.against else set())


@dataclass(frozen=True)
class NaturalHistory:
    """A natural history beside the registries.

    Attributes
    ----------
    settings : dict
        ``disease, people, years, onset, seed, draws``.
    comparison : list of dict
        One row a quantity (:func:`compare_quantity`), misses first.
    worlds : mapping of (kind, year) of onset to Lives
        The people themselves.
    parameters : mapping
        The draw.
    quantities : mapping of str to Quantity
        Every quantity of the disease by name.
    """

    settings: Row
    comparison: list[Row]
    worlds: Worlds
    parameters: Mapping[str, float] = field(repr=False)
    quantities: Mapping[str, Quantity] = field(repr=False)

    @property
    def misses(self) -> list[Row]:
        """Quantities outside the published range."""
        return [r for r in self.comparison if r["inside"] is False]


@dataclass(frozen=True)
class Nature:
    """What the natural history of a disease is made of: kinds of people, quantities, and how people live.

    Attributes
    ----------
    disease : str
        Its name; the quantities are in ``natural_<disease>.yaml``.
    quantity : type of Quantity
        With the people of the disease.
    finders, comparers : mapping of str to callable
        Estimators by name, beside those of :data:`FINDERS`; what compares two groups of people.
    onsets : mapping of str to Scenario
        Kinds of onset that can be asked for, and the people whom pictures show of each.
    groups : tuple of str
        Groups of the estimates that a summary shows.
    families : tuple of str
        Therapies that untreated people get all the same.
    simulate : callable
        ``(draws, draw, scenario, people=, years=, seed=, threads=, progress=)`` -> lives.
    estimates, pictures : callable
        From a :class:`NaturalHistory` to what a page shows beside the comparison.
    """

    disease: str
    quantity: type[Quantity]
    finders: Mapping[str, Finder]
    comparers: Mapping[str, Comparer]
    onsets: Mapping[str, Scenario]
    groups: tuple[str, ...]
    families: tuple[str, ...]
    simulate: Callable[..., Any]
    estimates: Callable[[NaturalHistory], list[Row]]
    pictures: Callable[[NaturalHistory], list[Row]]

    @property
    def every_finder(self) -> Mapping[str, Finder]:
        """Estimators by name."""
        return {**FINDERS, **self.finders}


@cache
def _read(disease: str) -> Mapping[str, Any]:
    text = files("stemtrial.predict").joinpath(f"natural_{disease}.yaml").read_text(encoding="utf-8")
    entries: Mapping[str, Any] = yaml.safe_load(text)
    return entries


def quantities_of(nature: Nature) -> dict[str, Quantity]:
    """Every quantity of a disease by name.

    Raises
    ------
    InputError
        If an entry is malformed or names an estimator that does not exist.
    """
    out: dict[str, Quantity] = {}
    file = f"natural_{nature.disease}.yaml"
    for name, entry in _read(nature.disease).items():
        ties = {k: {"note": v} if isinstance(v, str) else v for k, v in (entry.get("published") or {}).items()}
        try:
            out[name] = nature.quantity.model_validate({**entry, "published": ties})
        except ValidationError as e:
            first = e.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise InputError(f"{file}: {name}: {where}: {first['msg']}") from None
        kind = next(iter(out[name].find))
        known = {**nature.every_finder, **nature.comparers}
        if kind not in known:
            raise InputError(f"{file}: {name}: no estimator '{kind}'{did_you_mean(kind, known)}")
    return out


# -- estimators by name -----------------------------------------------------------------------------------------------
def _age(x: Found, event: str) -> tuple[NDArray[Any], Bools]:
    return x[0].onset_age + x[0].time[event], x[0].event[event]


def _person_years(x: Found, start: str | None, end: str) -> Estimated:
    lives = x[0]
    begun = lives.time[start] if start else np.zeros(len(lives))
    at_risk = lives.event[start] if start else np.ones(len(lives), bool)
    years = np.where(at_risk, np.maximum(lives.time[end] - begun, 0.0), 0.0)
    return estimate.rate((lives.event[end] & at_risk & (years > 0)).astype(float), years)


def _within(values: NDArray[Any], low: float, high: float) -> Estimated:
    return estimate.proportion((values >= low) & (values < high))


def _without(e: Estimated) -> Estimated:
    return Estimated(1 - e.value, 1 - e.high, 1 - e.low, e.people)


def compared(mine: Lives, others: Lives, event: str) -> Estimated:
    """Hazard ratio of an event between two groups of people."""
    both = type(mine).join([mine, others])
    group = np.arange(len(both)) < len(mine)
    return estimate.hazard_ratio(both.time[event], both.event[event], group, np.ones(len(both), bool))


FINDERS: dict[str, Finder] = {
    "quantile": lambda x, event: estimate.quantile(x[0].time[event], x[0].event[event], x[1].get("q", 0.5)),
    "quantile_of_age": lambda x, event: estimate.quantile(*_age(x, event), x[1].get("q", 0.5)),
    "share": lambda x, event: estimate.share(x[0].time[event], x[0].event[event], x[1]["at"]),
    "share_without": lambda x, event: _without(estimate.share(x[0].time[event], x[0].event[event], x[1]["at"])),
    "share_by_age": lambda x, event: estimate.share(*_age(x, event), x[1]["at"]),
    "gap": lambda x, events: estimate.gap(x[0], *events),
    "hazard_of": lambda x, event: _person_years(x, None, event),
    "hazard_from": lambda x, events: _person_years(x, *events),
    "mean": lambda x, name: estimate.mean(getattr(x[0], name)),
    "share_true": lambda x, name: estimate.proportion(getattr(x[0], name)),
    "share_never": lambda x, event: estimate.proportion(~x[0].event[event]),
    "share_onset_age": lambda x, ages: _within(x[0].onset_age, *ages),
}
"""Estimators that any disease may use, by name."""


def found(nature: Nature, q: Quantity, worlds: Worlds, p: Mapping[str, float]) -> Estimated:
    """Estimate one quantity.

    Parameters
    ----------
    nature : Nature
        The disease.
    q : Quantity
        What to estimate.
    worlds : mapping of (kind, year) of onset to Lives
        Simulated people; has what ``q.scenarios()`` names.
    p : mapping
        Parameters by registered name.
    """
    return found_of(nature, q, q.people.of(worlds), None if q.against is None else q.against.of(worlds), p)


def found_of(nature: Nature, q: Quantity, mine: Lives, others: Lives | None, p: Mapping[str, float]) -> Estimated:
    """Estimate one quantity of these people, compared with those others where it is of two groups."""
    kind, argument = next(iter(q.find.items()))
    if not len(mine):
        return NOTHING
    if others is None:
        return nature.every_finder[kind]((mine, q.find, p), argument)
    if not len(others):
        return NOTHING
    if kind in nature.comparers:
        return nature.comparers[kind](q, mine, others, argument)
    one, other = (nature.every_finder[kind]((x, q.find, p), argument) for x in (mine, others))
    return estimate.ratio(one, other)


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
    return o.value - half if unit in ("EDSS/y", "%/y", "points/y") else max(0.0, o.value - half), o.value + half


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
            raise InputError(f"{name}: outcome '{outcome_id}' does not exist")
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
