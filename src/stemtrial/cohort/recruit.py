"""Recruiting: people live from onset, are referred, screened on rated values, and enter with the state they have.

Screening is rare-event work, so it goes in two passes. The *run-in history* advances a pool of people once and keeps
what screening by history reads: their reported relapses. Those who pass the rules on history are *replayed* from onset
with the same counters, hence the same bits, up to their screening day, and are examined there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from stemtrial.cohort.eligibility import Eligibility
from stemtrial.cohort.ms.courses import course_of, progressive, walking_lost_a_year
from stemtrial.cohort.ms.population import people_at_onset, season_at
from stemtrial.cohort.ms.relapses import RelapseDays
from stemtrial.cohort.resemble import effective
from stemtrial.disease.ms import REGIONS
from stemtrial.errors import InputError
from stemtrial.kernel import MAX_AMOUNTS, YEAR, Kernel, Schedule, derive_seed, uniforms
from stemtrial.observe import Deficits, EdssRater, PatientWeights, RaterState, View, functional_systems, measure
from stemtrial.observe.parameters import EdssParameters, from_draw, load
from stemtrial.parameters import Draws
from stemtrial.store import cached, package_hash

Floats = NDArray[np.float64]
BATCH = 20_000
MAX_POOL = 400_000
HISTORY = frozenset(
    {
        "age_years",
        "female",
        "onset_age_years",
        "disease_duration_years",
        "course",
        "relapses_last_12_months",
        "relapses_last_24_months",
        "days_since_relapse",
    }
)
"""What screening knows without examining anybody."""
EXAMINED = frozenset(
    {
        "edss",
        "edss_change_last_12_months",
        "edss_change_last_24_months",
        "ambulation_index",
        "pyramidal_fs",
        "vep_p100_ms",
        "gd_lesions",
        "t2_volume_ml",
    }
)
"""What the examination at screening adds, and earlier ones on record."""
TESTED = ("vep_p100_ms",)
"""Instruments among them."""
NO_RELAPSE = 40_000
RUN_IN_SEED = derive_seed(0, "run-in")
"""The pool is one for all seeds, so that it is simulated once; the trial draws from it under its own seed."""


@dataclass(frozen=True)
class Care:
    """How people are treated and found before a trial.

    Attributes
    ----------
    course : str
        A name of :data:`stemtrial.cohort.ms.courses.COURSES`.
    before_entry : str
        ``none`` or ``platform_drugs``: interferon for two years before screening.
    entry_years : (float, float)
        Calendar years between which people are screened.
    era : float or None
        Activity of the period; None: by year of screening.
    """

    course: str
    before_entry: str
    entry_years: tuple[float, float]
    era: float | None = None


@dataclass(frozen=True)
class Recruits:
    """People who passed screening, as they enter.

    Attributes
    ----------
    index : ndarray of int64
        Identity in the pool.
    constants : dict of ndarray
        With the clock starting at entry.
    state : dict of ndarray
        By state name.
    screening : dict of ndarray
        What screening saw, and ``entry_year``.
    rater_h : ndarray, shape (recruits, 8)
        Autocorrelated rating errors at screening.
    funnel : list of (step, people)
        From the pool down to the recruits; of several pools one after the other, each step named after its pool.
    screened : int
        People in the pools.
    pool : ndarray of int64, shape (recruits,), optional
        Which pool each is from; one pool when left out.
    weight : ndarray, shape (recruits,), optional
        Chance of being drawn among those of the pool, in any unit; the same for all when left out.
    warning : str, optional
        What is wrong with their number.
    """

    index: NDArray[np.int64]
    constants: dict[str, Floats]
    state: dict[str, Floats]
    screening: dict[str, Floats]
    rater_h: Floats
    funnel: list[tuple[str, int]]
    screened: int = 0
    pool: NDArray[np.int64] | None = None
    weight: Floats | None = None
    warning: str | None = None

    def __len__(self) -> int:
        return len(self.index)

    @property
    def effective(self) -> float:
        """Effective number of distinct people that their weights leave, pools added up."""
        if self.weight is None:
            return float(len(self))
        pool = np.zeros(len(self), np.int64) if self.pool is None else self.pool
        return sum(effective(self.weight[pool == k]) for k in np.unique(pool))


def join(parts: Mapping[str, Recruits]) -> Recruits:
    """Recruits of several pools, by the name of the pool, as one."""
    each = list(parts.values())

    def together(field: str) -> dict[str, Floats]:
        return {k: np.concatenate([getattr(r, field)[k] for r in each]) for k in getattr(each[0], field)}

    weight = [np.ones(len(r)) if r.weight is None else r.weight for r in each]
    return Recruits(
        np.concatenate([r.index for r in each]), together("constants"), together("state"), together("screening"),
        np.concatenate([r.rater_h for r in each]),
        [(f"{name}: {step}", n) for name, r in parts.items() for step, n in r.funnel],
        sum(r.screened for r in each),
        np.repeat(np.arange(len(each)), [len(r) for r in each]),
        None if all(r.weight is None for r in each) else np.concatenate(weight),
        next((r.warning for r in each if r.warning), None),
    )  # fmt: skip


def recruit(
    kernel: Kernel, draws: Draws, draw: int, care: Care, rules: Eligibility, wanted: int, *,
    threads: int = 1, progress: Callable[[str, float], None] | None = None, max_pool: int = MAX_POOL,
) -> Recruits:  # fmt: skip
    """Recruit at least ``wanted`` distinct people, or as many as ``max_pool`` people yield.

    Parameters
    ----------
    kernel : Kernel
        With the families ``drugs`` and ``steroids``.
    draws, draw
        Parameters, and which draw of them.
    care : Care
        Care policy and period.
    rules : Eligibility
        Criteria of the protocol.
    wanted : int
        Distinct recruits to stop at; batches of 20,000 people are finished.
    threads : int
        Threads of the kernel; the result does not depend on it.
    progress : callable, optional
        Gets a stage and a fraction.
    max_pool : int
        People to screen at most.

    Raises
    ------
    InputError
        If nobody in the pool is eligible: the message holds the funnel.
    """
    course = course_of(care.course)
    identity = {
        "kernel": kernel.identity,
        "draws": draws.identity,
        "draw": draw % len(draws),
        "care": [care.course, care.before_entry, list(care.entry_years), care.era],
        "rules": [r.text for r in rules.rules],
        "batch": BATCH,
        "code": package_hash("cohort", "observe", "therapy"),
    }
    parts: list[dict[str, NDArray[Any]]] = []
    found = 0
    for first in range(0, max_pool, BATCH):  # each batch is kept, so that who wants more goes on where another stopped
        if progress is not None:
            progress("recruiting", min(1.0, found / wanted))
        batch = functools.partial(_batch, kernel, draws[draw], care, rules, first, threads)
        part, _ = cached("recruits", identity | {"first": first}, batch)
        parts.append(part)
        found += len(part["index"])
        if found >= wanted or (first >= 9 * BATCH and found == 0):
            break
    arrays = {k: np.concatenate([p[k] for p in parts]) for k in parts[0] if k != "funnel"}
    arrays["funnel"] = np.sum([p["funnel"] for p in parts], axis=0)
    found_by = "referred after a relapse" if course.referral == "relapse" else "alive at screening"
    steps = [f"people with {course.label}", found_by]
    ordered = _ordered(rules)
    steps += [f"pass {r.text}" for r in ordered if r.variables <= HISTORY]
    steps += ["are called secondary progressive"] if care.course == "spms" else []
    steps += ["are not called progressive"] if care.course == "rrms" else []
    steps += [f"pass {r.text}" for r in ordered if not r.variables <= HISTORY]
    funnel = list(zip(steps, (int(x) for x in arrays["funnel"]), strict=True))
    if len(arrays["index"]) == 0:
        told = "; ".join(f"{n} {step}" for step, n in funnel)
        raise InputError(f"nobody is eligible: {told}; widen the rule at which the numbers fall to 0")

    def group(prefix: str) -> dict[str, Floats]:
        return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}

    return Recruits(arrays["index"], group("c:"), group("s:"), group("x:"), arrays["rater_h"], funnel, funnel[0][1])


def _ordered(rules: Eligibility) -> list[Any]:
    """Rules on history first: they need no examination."""
    return sorted(rules.rules, key=lambda r: not r.variables <= HISTORY)


def _batch(
    kernel: Kernel, p: Mapping[str, float], care: Care, rules: Eligibility, first: int, threads: int
) -> dict[str, NDArray[Any]]:
    index = np.arange(first, first + BATCH, dtype=np.uint64)
    course = course_of(care.course)
    u = uniforms(RUN_IN_SEED, index, 0, "cohort.referral", 4)
    if course.referral == "first_attack":
        duration = np.zeros(BATCH)
    else:
        kind = "rrms_treated" if care.before_entry == "platform_drugs" and care.course == "rrms" else care.course
        shape, scale, low = (p[f"cohort.duration.{kind}_{k}"] for k in ("shape", "scale", "low"))
        duration = np.asarray(low + scale * special.gammaincinv(shape, u[:, 0]), float)
    entry_year = care.entry_years[0] + (care.entry_years[1] - care.entry_years[0]) * u[:, 1]
    constants, state = people_at_onset(
        RUN_IN_SEED, index, p, entry_year=entry_year, duration_years=duration, onset=course.onset, era=care.era
    )
    target = (duration * YEAR).astype(np.int64)
    wait = p["cohort.referral_days.low"] + (p["cohort.referral_days.high"] - p["cohort.referral_days.low"]) * u[:, 2]
    wait = wait.astype(np.int64) if course.referral != "date" else np.zeros(BATCH, np.int64)
    begun = np.maximum(0, target - round(p["cohort.platform_years"] * YEAR))
    schedule = _before_entry(kernel, care, begun)

    # pass 1: the run-in history
    people = kernel.population(0, index, constants, state)
    window = round(p["cohort.referral_days.window"]) if course.referral == "relapse" else 0
    horizon = target + window + wait
    told = kernel.advance(people, 0, horizon, p, RUN_IN_SEED, schedule=schedule, threads=threads).events
    is_relapse = told["kind"] == kernel.event("relapse")
    first_attack = np.arange(BATCH) if course.onset != "primary" else np.zeros(0, np.int64)
    relapses = RelapseDays(told["patient"][is_relapse], told["day"][is_relapse], BATCH, first_attack)
    screened = target + wait
    referred = np.ones(BATCH, bool)
    if course.referral == "relapse":
        # a relapse within a recruiting period drawn beforehand leads to referral: nothing is known of what comes later,
        # and people with more relapses are referred more often
        index_relapse = relapses.first_after(target)
        referred = (index_relapse >= 0) & (index_relapse <= target + window)
        screened = np.where(referred, index_relapse, target) + wait
    died = told["kind"] == kernel.event("death")
    day_of_death = np.full(BATCH, np.iinfo(np.int64).max)
    day_of_death[told["patient"][died]] = told["day"][died]
    referred &= day_of_death > screened
    last = relapses.last_until(screened)
    told_back = round(p["cohort.telescoping_days"])  # a relapse is remembered as nearer than it was
    columns: dict[str, Any] = {
        "age_years": constants["age0"] + screened / YEAR,
        "female": constants["female"],
        "onset_age_years": constants["age0"],
        "disease_duration_years": screened / YEAR,
        "course": np.full(BATCH, care.course),
        "relapses_last_12_months": relapses.between(screened - 365 - told_back, screened),
        "relapses_last_24_months": relapses.between(screened - 730 - told_back, screened),
        "days_since_relapse": np.where(last >= 0, screened - last, NO_RELAPSE),
    }
    ordered = _ordered(rules)
    left = referred.copy()
    funnel = [BATCH, int(left.sum())]
    for rule in ordered:
        if rule.variables <= HISTORY:
            left &= rule.evaluate(columns)
            funnel.append(int(left.sum()))
    rows = np.flatnonzero(left)

    # pass 2: replay to the screening day, and examine there and, of the years before, what a record would hold
    again = kernel.population(
        0, index[rows], {k: v[rows] for k, v in constants.items()}, {k: v[rows] for k, v in state.items()}
    )
    mine = np.isin(schedule.patient, rows)
    renumber = np.full(BATCH, -1)
    renumber[rows] = np.arange(len(rows))
    dosing = schedule.take(np.flatnonzero(mine))
    dosing = Schedule(renumber[dosing.patient], dosing.day, dosing.dose, dosing.amounts)
    days = screened[rows][:, None] - np.array([730, 365, 0])
    asked = days >= 0
    visits = (np.nonzero(asked)[0], days[asked])
    seen = kernel.advance(
        again, 0, screened[rows], p, RUN_IN_SEED, schedule=dosing, visits=visits, threads=threads
    ).observed
    number = np.where(asked, np.cumsum(asked.ravel()).reshape(asked.shape) - 1, -1)
    known = from_draw(p)
    rating = load(EdssParameters, known)
    rater = EdssRater(RUN_IN_SEED, "cohort.screening", rating)
    held = RaterState.fresh(len(rows))
    edss, walking = np.full(days.shape, np.nan), np.full(days.shape, np.nan)
    pyramidal = np.full(len(rows), np.nan)
    for k in range(days.shape[1]):
        who = np.flatnonzero(asked[:, k])
        at = number[who, k]
        impaired, people_of = deficits(seen, at), weights(constants, rows[who])
        rated = rater.rate(index[rows[who]], days[who, k], impaired, people_of, held.take(who))
        held.put(who, rated.state)
        edss[who, k], pyramidal[who] = rated.edss, rated.fs[:, 0]
        walking[who, k] = functional_systems(impaired, people_of, rating)[1]
    here = number[:, 2]
    columns = {k: v[rows] for k, v in columns.items()} | {
        "edss": edss[:, 2],
        "edss_change_last_12_months": edss[:, 2] - edss[:, 1],
        "edss_change_last_24_months": edss[:, 2] - edss[:, 0],
        "ambulation_index": walking[:, 2],
        "pyramidal_fs": pyramidal,
        "gd_lesions": seen["gd_lesions"][here],
        "t2_volume_ml": seen["t2_volume_ml"][here],
    }
    # an examination of its own, on its day 0, so that nothing is missing
    view = View(
        RUN_IN_SEED,
        index[rows],
        np.zeros(len(rows), np.int64),
        {k: v[here] for k, v in seen.items()},
        {k: v[rows] for k, v in constants.items()},
        edss[:, 2],
        rated.fs,
        columns["days_since_relapse"],
        stream="cohort.screening",
    )
    columns |= measure(view, TESTED, known)
    left = np.ones(len(rows), bool)
    if care.course in ("spms", "rrms"):
        lost = walking_lost_a_year(deficits(seen, here), weights(constants, rows), seen["smouldering"][here], p)
        called = progressive(lost, columns["edss"], p)
        left = called if care.course == "spms" else ~called
        funnel.append(int(left.sum()))
    for rule in ordered:
        if not rule.variables <= HISTORY:
            unknown = rule.variables - set(columns)
            if unknown:
                raise InputError(f"eligibility '{rule.text}': screening does not measure {sorted(unknown)[0]} yet")
            left &= rule.evaluate(columns)
            funnel.append(int(left.sum()))
    keep = rows[left]
    season_cos, season_sin = season_at({k: v[keep] for k, v in constants.items()}, screened[keep].astype(float))
    entry = {k: v[keep] for k, v in constants.items()} | {"season_cos": season_cos, "season_sin": season_sin}
    entry["age0"] = columns["age_years"][left]
    out: dict[str, NDArray[Any]] = {"index": index[keep].astype(np.int64), "funnel": np.array(funnel)}
    out |= {f"c:{k}": v for k, v in entry.items()}
    out |= {f"s:{name}": again.state[k][left] for k, name in enumerate(kernel.states)}
    out |= {f"x:{k}": v[left].astype(float) for k, v in columns.items() if k != "course"}
    out["x:entry_year"] = entry_year[keep]
    out["rater_h"] = held.h[left]
    return out


def _before_entry(kernel: Kernel, care: Care, begun: NDArray[np.int64]) -> Schedule:
    if care.before_entry == "none":
        return Schedule.empty()
    n = len(begun)
    dose = np.full(n, kernel.dose("drugs.start.interferon_beta"))
    return Schedule(np.arange(n), begun, dose, np.zeros((n, MAX_AMOUNTS)))


def deficits(observed: Mapping[str, Floats], rows: Any = slice(None)) -> Deficits:
    """Regional deficits among the observables of a kernel."""
    return Deficits(*(np.clip(observed[f"f_{r}"][rows], 0.0, 1.0) for r in REGIONS))


def weights(constants: Mapping[str, Floats], rows: Any = slice(None)) -> PatientWeights:
    """How a patient's deficits show, among the constants."""
    return PatientWeights(constants["w_it"][rows], constants["w_sc"][rows], constants["res"][rows])


def wanted_recruits(n: int) -> int:
    """Distinct recruits to look for.

    25 for each of ``n`` places, so that the pool adds little error of its own; fewer where that would be more than
    5,000, and never fewer than 10, which add a tenth to the variance of an estimate.
    """
    return max(min(25 * n, 5000), 10 * n)
