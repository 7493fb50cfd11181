"""Natural history as predictions: what a registry of the published size would have reported, over draws.

A registry is a cohort like a trial: it has its own activity and its own progression, and finds its own relapses. One
replicate draws those effects, lets as many people live as the registry had, and measures every quantity; its spread
over replicates holds sampling, effects of the cohort and, over several draws, parameters.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.errors import InputError, did_you_mean
from stemtrial.evidence import Outcome, Study, study
from stemtrial.kernel import derive_seed, normals
from stemtrial.parameters import Draws, draws_with
from stemtrial.predict.natural_history import nature_of, quantities
from stemtrial.predict.natural_quantity import Nature, People, Quantity, Scenario, Tie, Worlds, found_of
from stemtrial.predict.rows import Row
from stemtrial.predict.summary import summarise
from stemtrial.store import ChunkStore, content_hash, map_chunks, package_hash
from stemtrial.therapy import compose

Floats = NDArray[np.float64]
SCALED: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "ms": {
        "activity": ("cohort.alpha.male", "cohort.alpha.female"),
        "progression": ("cohort.m_median",),
        "reporting": ("ms.nuF",),
    },
    "als": {"pace": ("cohort.als.rate_mean",), "hazard": ("als.h0",)},
}
"""By disease: effect of a cohort -> parameters that it multiplies. Each is the same, person by person, as the factor
that the trial effect of that name puts on people's ``alpha`` and ``m``, on false relapses, on the overall rate of ALS
and on its mortality."""
YEARS: Mapping[str, int] = {"ms": 50, "als": 10}
"""Longest follow-up from onset: later medians than that of the registries are not reached."""
MOST_PEOPLE = 1500
"""People of one kind and year of onset: a registry that had more counts as one of so many."""
LAST_SEEN = 2022.0
"""Calendar year after which nobody who fell ill after 1980 is followed, unless for less than :data:`SHORTEST`."""
SHORTEST = 15
PRIMARY_SHARE = 0.14
"""Share of primary progressive onset in a whole cohort whose record does not tell it: sets a size, no outcome."""
UNITS = {"share": "fraction", "y": "years", "age": "years", "ratio": "1", "EDSS/y": "points/y"}
"""Unit of a quantity -> of a row."""


def cohort_effects(disease: str, parameters: Mapping[str, float], seed: int) -> dict[str, float]:
    """Draw the effects of one cohort, as logarithms by name.

    Parameters
    ----------
    disease : {"ms", "als"}
        Names as in :data:`SCALED`.
    parameters : mapping
        One draw; reads ``trial.effect_sd.<disease>.<name>``.
    seed : int
        Each effect has a stream of its own, so that one more shifts no other.
    """
    one = np.zeros(1, np.uint64)
    return {
        name: parameters[f"trial.effect_sd.{disease}.{name}"] * float(normals(seed, one, 0, f"natural.{name}", 1)[0, 0])
        for name in SCALED[disease]
    }


def natural_values(
    disease: str, draw_parameters: Mapping[str, float], seed: int, names: Collection[str] | None = None,
    people: int = MOST_PEOPLE, *, effects: Mapping[str, float] | None = None, threads: int = 1,
) -> dict[str, float]:  # fmt: skip
    """Measure quantities of natural history once, in one cohort with effects of its own.

    Parameters
    ----------
    disease : {"ms", "als"}
        Whose quantities.
    draw_parameters : mapping
        One draw, every parameter by registered name.
    seed : int
        Of the people and of the effects.
    names : collection of str, optional
        Quantities of ``natural_<disease>.yaml``; all when left out.
    people : int
        Of each kind and year of onset.
    effects : mapping of str to float, optional
        Logarithms of the effects of the cohort; drawn (:func:`cohort_effects`) when left out, none when empty.
    threads : int
        Threads, which change no number.

    Returns
    -------
    dict
        Value by quantity: infinite where a time lies beyond the follow-up, NaN where nobody could be counted.

    Raises
    ------
    InputError
        If a quantity or an effect is unknown.
    """
    nature, known = nature_of(disease), quantities(disease)
    for name in names or ():
        if name not in known:
            raise InputError(f"quantity '{name}' is not known{did_you_mean(name, known)}")
    asked = {name: known[name] for name in (known if names is None else names)}
    p = shifted(
        disease, draw_parameters, cohort_effects(disease, draw_parameters, seed) if effects is None else effects
    )
    needed = {s: people for q in asked.values() for s in q.scenarios()}
    worlds = _worlds(nature, p, seed, needed, horizons(nature, asked.values()), threads)
    return {name: found_of(nature, q, *_both(q, worlds), p).value for name, q in asked.items()}


def shifted(disease: str, parameters: Mapping[str, float], effects: Mapping[str, float]) -> dict[str, float]:
    """Return the parameters of a cohort with these effects (logarithms by name).

    Raises
    ------
    InputError
        If an effect is unknown.
    """
    out = dict(parameters)
    for name, log_factor in effects.items():
        if name not in SCALED[disease]:
            raise InputError(f"effect '{name}' of a cohort is not known{did_you_mean(name, SCALED[disease])}")
        for scaled in SCALED[disease][name]:
            out[scaled] *= float(np.exp(log_factor))
    return out


def horizons(nature: Nature, asked: Collection[Quantity]) -> dict[Scenario, int]:
    """Years that people of each scenario have to be followed: as long as the quantity that looks farthest."""
    out: dict[Scenario, int] = {}
    longest = YEARS[nature.disease]
    for q in asked:
        (kind, argument), at = next(iter(q.find.items())), q.find.get("at")
        years = longest
        if kind in ("share", "share_without") and at is not None:
            years = min(longest, int(np.ceil(float(at))) + 1)
        elif kind == "relapse_rate":
            years = min(longest, argument[1])
        for scenario in q.scenarios():
            latest = longest if scenario[1] <= 1980.0 else max(SHORTEST, int(LAST_SEEN - scenario[1]))
            out[scenario] = max(out.get(scenario, 1), min(years, latest))
    for _ in range(len(out)):  # people who are mixed or compared have one follow-up
        for q in asked:
            out |= dict.fromkeys(q.scenarios(), max(out[s] for s in q.scenarios()))
    return out


def _worlds(
    nature: Nature, p: Mapping[str, float], seed: int, people: Mapping[Scenario, int], years: Mapping[Scenario, int],
    threads: int,
) -> dict[Scenario, Any]:  # fmt: skip
    draws = draws_with(tuple(p), np.array([list(p.values())]))
    return {
        s: nature.simulate(
            draws,
            0,
            s,
            people=n,
            years=years[s],
            seed=derive_seed(seed, f"natural {s}"),
            threads=threads,
            progress=None,
        )
        for s, n in sorted(people.items())
    }


def _both(q: Quantity, worlds: Worlds) -> tuple[Any, Any]:
    return q.people.of(worlds), None if q.against is None else q.against.of(worlds)


# -- rows of a scorecard ----------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Asked:
    """One published outcome and the quantity that predicts it.

    Attributes
    ----------
    name : str
        Name of the quantity.
    quantity : Quantity
    tie : Tie
        How the published value compares.
    study, outcome
        The record.
    n : int or None
        People on record: of those that the quantity is about where ``part``, else of the whole cohort. None: not told.
    """

    name: str
    quantity: Quantity
    tie: Tie
    study: Study
    outcome: Outcome
    n: int | None
    part: bool


def asked_of(disease: str, every: bool = False) -> list[Asked]:
    """Return the published outcomes that quantities of natural history predict, in the order of their file.

    Parameters
    ----------
    disease : {"ms", "als"}
        Whose natural history.
    every : bool
        Context too; else only outcomes with the role fit, test or sealed.
    """
    out: dict[str, Asked] = {}
    for name, q in quantities(disease).items():
        for outcome_id, tie in q.published.items():
            s = study(outcome_id.partition("#")[0])
            o = next((x for x in s.outcomes if x.outcome_id == outcome_id), None)
            if o is None:
                raise InputError(f"{name}: outcome '{outcome_id}' does not exist")
            if o.role == "context" and not every:
                continue
            before = out.get(outcome_id)
            if before is None or (before.tie.unlike and not tie.unlike):  # like for like, where there is a choice
                n, part = _size(s, o)
                out[outcome_id] = Asked(name, q, tie, s, o, n, part)
    return list(out.values())


def _size(s: Study, o: Outcome) -> tuple[int | None, bool]:
    """People of an outcome, and whether these are the part that it is about, or the whole cohort around that part."""
    if o.n:
        return o.n, True
    sizes = [a.n for a in s.arms if a.n]
    mine = [a.n for a in s.arms if a.id in o.arms and a.n]
    if len(sizes) > 1 and len(mine) == len(o.arms) and max(mine) < max(sizes):
        return sum(mine), True
    return (max(sizes), False) if sizes else (None, False)


_WHO = ("onset", "onset_year", "primary_share")
"""Fields of people that say who is simulated; the others choose among them."""


def _everybody(people: People) -> People:
    fields: Mapping[str, Any] = type(people).model_fields
    return people.model_copy(update={k: f.default for k, f in fields.items() if k not in _WHO})


def _primary(people: People) -> bool:
    return getattr(people, "onset", None) == "primary"


def _evenly(lives: Any, n: int) -> Any:
    """``n`` of these people, evenly over their order: those of a mixture stay in proportion."""
    if n >= len(lives):
        return lives
    return lives.take(np.floor(np.arange(n) * (len(lives) / n)).astype(int))


def people_of(a: Asked, worlds: Worlds) -> tuple[Any, Any]:
    """As many people as are on record, those of the quantity and those whom it compares them with (or None).

    Where the record tells the size of a part, so many of that part; else so many of the whole cohort, of whom the part
    is what it happens to be; and where it tells nothing, all who live.
    """
    mine, others = _both(a.quantity, worlds)
    if a.n is None:
        return mine, others
    total = len(mine) + (0 if others is None else len(others))
    if not a.part:
        total = len(_everybody(a.quantity.people).of(worlds))
        total = round(total / PRIMARY_SHARE) if _primary(a.quantity.people) else total
    share = min(1.0, a.n / max(1, total))
    return tuple(None if x is None else _evenly(x, max(1, round(share * len(x)))) for x in (mine, others))  # type: ignore[return-value]


def people_needed(asked: Sequence[Asked], most: int = MOST_PEOPLE) -> dict[Scenario, int]:
    """People of each scenario that the largest cohort asks for, ``most`` at the most."""
    out: dict[Scenario, int] = {}
    for a in asked:
        for people in (a.quantity.people, a.quantity.against):
            if people is None:
                continue
            n = most if a.n is None else a.n
            if a.n is not None and a.part and people != _everybody(people):
                n *= 4  # of a part, enough have to be found among all
            elif a.n is not None and not a.part and _primary(people):
                n = round(n * PRIMARY_SHARE)
            n = min(most, n)
            share = getattr(people, "primary_share", 0.0)
            for scenario in people.scenarios():
                primary = len(people.scenarios()) > 1 and scenario[0] == "primary"
                wanted = int(np.ceil(n * share / (1 - share))) if primary else n
                out[scenario] = max(out.get(scenario, 1), wanted)
    return out


def natural_rows(
    disease: str, draws: Draws, *, replicates: int, seed: int, folder: Path, every: bool = False,
    people: int = MOST_PEOPLE, names: Collection[str] | None = None, threads: int = 1,
    progress: Callable[[str, float], None] | None = None,
) -> tuple[dict[str, Any], list[dict[str, Any]], Floats]:  # fmt: skip
    """Predict every published outcome of natural history that has a role.

    Parameters
    ----------
    disease : {"ms", "als"}
        Whose natural history.
    draws : Draws
        Parameters; replicate k uses draw k mod n.
    replicates, seed : int
        How many cohorts, and their seed.
    folder : Path
        Where finished replicates are kept, in a folder of their own by identity.
    every : bool
        Predict context too.
    people : int
        Of one kind and year of onset at the most.
    names : collection of str, optional
        Quantities; all when left out.
    threads : int
        Replicates at a time, which change no number.
    progress : callable, optional
        Gets a stage and a fraction.

    Returns
    -------
    run : dict
        ``id, disease, replicates, draws, draws_label, people`` (by kind and year of onset).
    rows : list of dict
        As of ``estimates.json``, with ``quantity`` and ``unlike`` (why the value is no like for like, or "").
    values : ndarray, shape (rows, replicates)
        NaN where nobody could be counted, infinite where a time was not reached.
    """
    nature = nature_of(disease)
    asked = [a for a in asked_of(disease, every) if names is None or a.name in names]
    needed = people_needed(asked, people)
    years = horizons(nature, [a.quantity for a in asked])
    identity = content_hash(
        {
            "disease": disease, "draws": draws.identity, "seed": seed,
            "people": sorted((*s, n, years[s]) for s, n in needed.items()),
            "kernel": compose(disease, nature.families).identity, "version": importlib.metadata.version("stemtrial"),
            "code": package_hash("cohort", "disease", "observe", "endpoint", "analysis", "predict"),
            "asked": [(a.name, a.outcome.outcome_id, a.n, a.part, a.quantity.model_dump(mode="json")) for a in asked],
        }
    )  # fmt: skip
    place = folder / f"natural-{disease}-{identity[:12]}"

    def compute(k: int) -> dict[str, NDArray[Any]]:
        p0, key = draws[k], derive_seed(seed, f"cohort {k}")
        p = shifted(disease, p0, cohort_effects(disease, p0, key))
        worlds = _worlds(nature, p, key, needed, years, 1)
        return {"values": np.array([found_of(nature, a.quantity, *people_of(a, worlds), p).value for a in asked])}

    def told(done: int) -> None:
        if progress is not None:
            progress("living", done / max(1, replicates))

    parts = map_chunks(ChunkStore(place, identity), range(replicates), compute, threads, told)
    values = np.array([part["values"] for _, part in parts]).reshape(replicates, len(asked)).T
    used = min(len(draws), replicates)
    rows = [_row(a, values[k], used, people, draws) for k, a in enumerate(asked)]
    run = {
        "id": identity, "disease": disease, "replicates": replicates, "draws": used, "draws_label": draws.label,
        "people": {f"{kind} {year:g}".removesuffix(" 0"): n for (kind, year), n in sorted(needed.items())},
    }  # fmt: skip
    return run, rows, values


def _row(a: Asked, values: Floats, n_draws: int, most: int, draws: Draws) -> dict[str, Any]:
    o = a.outcome
    unit = UNITS.get(a.quantity.unit, a.quantity.unit)
    at = a.quantity.find.get("at")
    row = Row(
        o.endpoint, "natural_history", o.arm if isinstance(o.arm, str) else (o.arms[0], o.arms[-1]),
        o.time_years if at is None else float(at), o.statistic, unit, o.outcome_id,
    )  # fmt: skip
    labels = draws.labels
    if a.n is None:
        labels.append("size_not_published")
    elif a.n > most:
        labels.append(f"sampling_of_{most}")
    (out,) = summarise([row], values[None], a.study, n_draws=n_draws, trial_effects=True, labels=[labels])
    if a.tie.unlike:
        out["agrees"] = out["z"] = None
    return out | {"quantity": a.name, "label": a.quantity.label, "unlike": a.tie.unlike, "note": a.tie.note}


def phenotype_of(q: Quantity) -> str:
    """Course of the people that a quantity is about: of MS by their onset."""
    onset = getattr(q.people, "onset", None)
    return {"relapsing": "relapsing onset", "primary": "ppms", "paediatric": "paediatric onset", "mixed": "mixed"}.get(
        str(onset), "als"
    )


__all__ = [
    "Asked",
    "asked_of",
    "cohort_effects",
    "horizons",
    "natural_rows",
    "natural_values",
    "people_needed",
    "people_of",
    "phenotype_of",
    "shifted",
]
