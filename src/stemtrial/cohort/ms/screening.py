"""How people with MS are found and screened.

Screening is rare-event work, so every life serves several times: it is looked at in consecutive recruiting periods, or
on several days, around the duration of disease proposed for it, and each of these *looks* may give a recruit of its
own, on a day of its own. A look has the calendar date of the life, by which activity goes; that the onset then lies a
year earlier or later moves the tendency to progression by a few percent, up and down alike, and is left out.

Work is refused as early as may be: looks that rules on age, sex and duration cannot pass are dropped before anything
is simulated. *Pass 1* advances the lives once. Where a relapse leads to screening, it keeps what screening by history
reads, their reported relapses; where the days are known beforehand, it examines people on them as well. In *pass 2*,
those left are *replayed* from onset with the same counters, hence the same bits, from one of their days to the next,
are examined there if they were not before, and give their state.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from stemtrial.cohort.clinic import RUN_IN_SEED, Arrays, Care, Clinic, Funnel, packed, passed, taken
from stemtrial.cohort.eligibility import Eligibility
from stemtrial.cohort.ms.courses import COURSES, course_of, progressive, walking_lost_a_year
from stemtrial.cohort.ms.population import people_at_onset, season_at
from stemtrial.cohort.ms.relapses import SPAN, RelapseDays
from stemtrial.kernel import YEAR, Kernel, Population, Schedule, uniforms
from stemtrial.observe import (
    PYRAMIDAL,
    View,
    deficits,
    examination,
    functional_systems,
    measure,
    rate_in_turn,
    weights,
)
from stemtrial.observe.parameters import EdssParameters, from_draw, load

Ints = NDArray[np.int64]
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
TESTED = ("vep_p100_ms",)
"""Instruments among what the examination measures."""
NO_RELAPSE = 40_000
_BEFORE = (730, 365, 0)
"""Days before screening of which a record holds the EDSS; the last is screening itself."""


def _times(p: Mapping[str, float], care: Care) -> int:
    return round(p[f"cohort.referral_times.{care.course}"])


def _steps(p: Mapping[str, float], care: Care, rules: Eligibility) -> list[str]:
    course, (on_history, examined), times = course_of(care.course), CLINIC.apart(rules), _times(p, care)
    relapse = course.referral == "relapse"
    each = "recruiting periods" if relapse else "days"
    steps = [f"people with {course.label}" + (f", in {times} {each} each" if times > 1 else "")]
    steps += [
        "may pass the rules by age, sex and duration",
        "referred after a relapse" if relapse else "alive at screening",
    ]
    steps += passed(on_history)
    steps += ["are called secondary progressive"] if care.course == "spms" else []
    steps += ["are not called progressive"] if care.course == "rrms" else []
    return [*steps, *passed(examined)]


@dataclass(frozen=True)
class _Lives:
    """People from onset on, one row a life.

    Attributes
    ----------
    index : ndarray of uint64
        Identities.
    constants, state : dict of ndarray
        At onset.
    middle : ndarray of float
        Proposed duration of disease, around which a life is looked at; years.
    entry_year : ndarray of float
        Calendar year of screening.
    drug : ndarray of int64 or None
        Day on which interferon is begun; None without.
    """

    index: NDArray[np.uint64]
    constants: dict[str, NDArray[Any]]
    state: dict[str, NDArray[Any]]
    middle: NDArray[np.float64]
    entry_year: NDArray[np.float64]
    drug: Ints | None

    def take(self, rows: Ints) -> _Lives:
        """Some of them."""
        constants, state = ({k: v[rows] for k, v in x.items()} for x in (self.constants, self.state))
        drug = None if self.drug is None else self.drug[rows]
        return _Lives(self.index[rows], constants, state, self.middle[rows], self.entry_year[rows], drug)

    def people(self, kernel: Kernel) -> Population:
        """They, at onset."""
        return kernel.population(0, self.index, self.constants, self.state)

    def doses(self, kernel: Kernel, p: Mapping[str, float], rows: Ints, since: Ints) -> Schedule:
        """What some of them, who are numbered anew, take on a day of theirs and after it."""
        if self.drug is None:
            return Schedule.empty()
        later = np.flatnonzero(self.drug[rows] >= since)
        return taken(kernel, "interferon_beta", later, self.drug[rows[later]], p)


def _lives(p: Mapping[str, float], care: Care, index: NDArray[np.uint64], span_years: float) -> _Lives:
    """Draw the people of a batch; ``span_years`` lies between the first and the last time they are looked at."""
    n, course = len(index), course_of(care.course)
    u = uniforms(RUN_IN_SEED, index, 0, "cohort.referral", 2)
    middle = np.zeros(n)
    if course.referral != "first_attack":
        kind = "rrms_treated" if care.before_entry == "platform_drugs" and care.course == "rrms" else care.course
        shape, scale, low = (p[f"cohort.duration.{kind}_{k}"] for k in ("shape", "scale", "low"))
        above = np.asarray(scale * special.gammaincinv(shape, u[:, 0]), float)
        middle = low + np.maximum(above, 0.5 * span_years)  # nobody is looked at before the lowest duration
    entry_year = care.entry_years[0] + (care.entry_years[1] - care.entry_years[0]) * u[:, 1]
    constants, state = people_at_onset(
        RUN_IN_SEED, index, p, entry_year=entry_year, duration_years=middle, onset=course.onset, era=care.era
    )
    drug = None
    if care.before_entry == "platform_drugs":
        drug = np.maximum(0, (middle * YEAR).astype(np.int64) - round(p["cohort.platform_years"] * YEAR))
    return _Lives(index, constants, state, middle, entry_year, drug)


def _batch(
    kernel: Kernel, p: Mapping[str, float], care: Care, rules: Eligibility, index: NDArray[np.uint64], threads: int
) -> Arrays:
    course, times = course_of(care.course), _times(p, care)
    by_relapse = course.referral == "relapse"
    window = round(p["cohort.referral_days.window"]) if by_relapse else 0
    apart = window if by_relapse else p["cohort.referral_days.apart"]
    lives = _lives(p, care, index, (times - 1) * apart / YEAR)

    # looks, a row each: when a life may be found, and when it would be screened
    life, k = np.divmod(np.arange(len(index) * times), times)
    opens = (lives.middle[life] * YEAR + apart * (k - 0.5 * (times - 1))).astype(np.int64)
    low, high = p["cohort.referral_days.low"], p["cohort.referral_days.high"]
    wait = np.zeros(len(life), np.int64)
    if course.referral != "date":
        u = uniforms(RUN_IN_SEED, lives.index[life], k, "cohort.referral.wait")[:, 0]
        wait = (low + (high - low) * u).astype(np.int64)
    funnel = Funnel(len(life))
    bounds = [_by_day(care, lives, life, opens + wait + wide) for wide in (1 if by_relapse else 0, window)]
    funnel.keep(np.logical_and.reduce([np.ones(len(life), bool), *(r.possible(*bounds) for r in rules.rules)]))
    life, k, opens, wait = (x[left] for left in [funnel.narrow()] for x in (life, k, opens, wait))
    used, life = np.unique(life, return_inverse=True)
    lives = lives.take(used)

    # pass 1: the run-in
    day = opens + wait
    horizon = np.zeros(len(used), np.int64)
    np.maximum.at(horizon, life, day + window)
    visits = None if by_relapse else _Visits(life, day)
    first = np.zeros(len(used), np.int64)
    told = kernel.advance(
        lives.people(kernel), 0, horizon, p, RUN_IN_SEED, schedule=lives.doses(kernel, p, np.arange(len(used)), first),
        visits=None if visits is None else (visits.life, visits.day), threads=threads,
    )  # fmt: skip
    events = told.events
    is_relapse = events["kind"] == kernel.event("relapse")
    first_attack = np.arange(len(used)) if course.onset != "primary" else np.zeros(0, np.int64)
    relapses = RelapseDays(events["patient"][is_relapse], events["day"][is_relapse], first_attack)
    found = np.ones(len(life), bool)
    if by_relapse:
        # a relapse within a recruiting period drawn beforehand leads to referral: nothing is known of what comes later,
        # and people with more relapses are referred more often
        index_relapse = relapses.first_after(life, opens)
        found = (index_relapse >= 0) & (index_relapse <= opens + window)
        day = np.where(found, index_relapse, opens) + wait
        found[found] = _first_of(life[found] * SPAN + day[found])  # of two referrals to one day
    died = events["kind"] == kernel.event("death")
    day_of_death = np.full(len(used), np.iinfo(np.int64).max)
    day_of_death[events["patient"][died]] = events["day"][died]
    found &= day_of_death[life] > day
    last = relapses.last_until(life, day)
    told_back = round(p["cohort.telescoping_days"])  # a relapse is remembered as nearer than it was
    columns: dict[str, Any] = _by_day(care, lives, life, day) | {
        "relapses_last_12_months": relapses.between(life, day - 365 - told_back, day),
        "relapses_last_24_months": relapses.between(life, day - 730 - told_back, day),
        "days_since_relapse": np.where(last >= 0, day - last, NO_RELAPSE),
    }
    on_history, examined = CLINIC.apart(rules)
    funnel.keep(found)
    funnel.passing(on_history, columns)
    rows = funnel.narrow()
    life, k, day, columns = life[rows], k[rows], day[rows], {c: v[rows] for c, v in columns.items()}

    # pass 2: replay to the days of screening, after the examination if pass 1 has seen what it needs
    mine = {c: v[life] for c, v in lives.constants.items()}
    if visits is None:
        visits = _Visits(life, day)
        final, seen = _replayed(kernel, p, lives, life, day, visits, threads)
    else:
        visits, final, seen = visits.take(rows), None, told.observed
    screened, rater_h = _examined(p, lives.index[life], day, mine, visits, seen)
    columns |= {c: v for c, v in screened.items() if c != "walking_lost"}
    if care.course in ("spms", "rrms"):
        called = progressive(screened["walking_lost"], columns["edss"], p)
        funnel.keep(called if care.course == "spms" else ~called)
    funnel.passing(examined, columns)
    if final is None:
        left = np.flatnonzero(funnel.left)
        final = np.zeros((len(kernel.states), len(life)))
        final[:, left], _ = _replayed(kernel, p, lives, life[left], day[left], None, threads)
    season_cos, season_sin = season_at(mine, day.astype(float))
    mine |= {"season_cos": season_cos, "season_sin": season_sin, "age0": columns["age_years"]}
    columns["entry_year"] = lives.entry_year[life]
    identity = lives.index[life].astype(np.int64) * times + k
    return packed(funnel, identity, mine, dict(zip(kernel.states, final, strict=True)), columns, rater_h)


def _by_day(care: Care, lives: _Lives, life: Ints, day: Ints) -> dict[str, NDArray[Any]]:
    """What the day alone tells of a person."""
    age0 = lives.constants["age0"][life]
    return {
        "age_years": age0 + day / YEAR,
        "female": lives.constants["female"][life],
        "onset_age_years": age0,
        "disease_duration_years": day / YEAR,
        "course": np.full(len(life), care.course),
    }


def _first_of(key: Ints) -> NDArray[np.bool_]:
    """Where each key stands for the first time."""
    out = np.zeros(len(key), bool)
    out[np.unique(key, return_index=True)[1]] = True
    return out


class _Visits:
    """Visits at screening and in the years before, of looks at lives; a day that several looks share is one visit.

    Parameters
    ----------
    life, day : ndarray of int64, shape (looks,)
        Whose, and the day of screening.
    """

    def __init__(self, life: Ints, day: Ints) -> None:
        days = day[:, None] - np.array(_BEFORE)
        self.asked = days >= 0
        key, at = np.unique((life[:, None] * SPAN + days)[self.asked], return_inverse=True)
        self.life, self.day = key // SPAN, key % SPAN
        self.at = np.full(days.shape, -1)
        self.at[self.asked] = at

    def take(self, rows: Ints) -> _Visits:
        """Those of some of the looks; the visits keep their numbers."""
        out = copy.copy(self)
        out.asked, out.at = self.asked[rows], self.at[rows]
        return out


def _replayed(
    kernel: Kernel, p: Mapping[str, float], lives: _Lives, life: Ints, day: Ints, visits: _Visits | None, threads: int
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """States of looks at lives, shape (states, looks), and observables at visits: each life goes from look to look."""
    crowd, now = lives.people(kernel), np.zeros(len(lives.index), np.int64)
    order = np.argsort(life * SPAN + day)
    key = (life * SPAN + day)[order]
    turn = np.arange(len(key)) - np.searchsorted(key, life[order] * SPAN)
    final = np.empty((len(kernel.states), len(key)))
    seen = {c: np.full(0 if visits is None else len(visits.day), np.nan) for c in kernel.model.observables}
    before = np.zeros(0, np.int64) if visits is None else np.searchsorted(key, visits.life * SPAN + visits.day)
    place = np.empty(len(key), np.int64)
    for k in range(turn.max(initial=-1) + 1):
        at = np.flatnonzero(turn == k)
        looks, rows = order[at], life[order[at]]
        place[at] = np.arange(len(at))
        part = crowd.take(rows)
        asked = np.flatnonzero(turn[before] == k) if visits is not None else np.zeros(0, np.int64)
        days = visits.day[asked] if visits is not None else asked
        got = kernel.advance(
            part, now[rows], day[looks], p, RUN_IN_SEED, schedule=lives.doses(kernel, p, rows, now[rows]),
            visits=(place[before[asked]], days), threads=threads,
        ).observed  # fmt: skip
        for c, v in got.items():
            seen[c][asked] = v
        final[:, looks] = crowd.state[:, rows] = part.state
        now[rows] = day[looks]
    return final, seen


def _examined(
    p: Mapping[str, float], index: NDArray[np.uint64], day: Ints, body: dict[str, NDArray[Any]], visits: _Visits,
    observed: Mapping[str, NDArray[Any]],
) -> tuple[dict[str, NDArray[Any]], NDArray[np.float64]]:  # fmt: skip
    """What an examination shows at each look, and of the years before, what a record would hold; the rater's errors."""
    known = from_draw(p)
    row, visit = np.nonzero(visits.asked)
    days = (day[:, None] - np.array(_BEFORE))[visits.asked]
    seen = {c: v[visits.at[visits.asked]] for c, v in observed.items()}
    doctor = examination("ms", RUN_IN_SEED, known, "cohort.screening")
    rated, held = rate_in_turn(doctor, index, row, visit, days, seen, body)
    edss = np.full(visits.asked.shape, np.nan)
    edss[visits.asked] = rated["edss"]
    here = np.cumsum(visits.asked.sum(1)) - 1  # the screening visit
    seen, rated = ({c: v[here] for c, v in x.items()} for x in (seen, rated))
    shows = weights(body)
    # an examination of its own, on its day 0, so that nothing is missing; another one on every day of a life
    own = index | (day.astype(np.uint64) << np.uint64(32))
    view = View(RUN_IN_SEED, own, np.zeros(len(day), np.int64), seen, body, rated, stream="cohort.screening")
    return {
        "edss": edss[:, 2],
        "edss_change_last_12_months": edss[:, 2] - edss[:, 1],
        "edss_change_last_24_months": edss[:, 2] - edss[:, 0],
        "ambulation_index": functional_systems(deficits(seen), shows, load(EdssParameters, known))[1],
        PYRAMIDAL: rated[PYRAMIDAL],
        "gd_lesions": seen["gd_lesions"],
        "t2_volume_ml": seen["t2_volume_ml"],
        **measure(view, TESTED, known),
        "walking_lost": walking_lost_a_year(deficits(seen), shows, seen["smouldering"], p),
    }, held.h


CLINIC = Clinic(
    disease="ms",
    courses={name: course.label for name, course in COURSES.items()},
    policies=("none", "platform_drugs"),
    care=("interferon_beta", "methylprednisolone"),
    history=HISTORY,
    screened=("age_years", "disease_duration_years", "relapses_last_12_months", "relapses_last_24_months"),
    steps=_steps,
    times=_times,
    batch=_batch,
)
"""MS: an interferon before entry, and steroids at every reported relapse."""
