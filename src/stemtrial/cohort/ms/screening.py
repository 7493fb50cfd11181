"""How people with MS are found and screened.

Screening is rare-event work, so it goes in two passes. The *run-in history* advances a pool of people once and keeps
what screening by history reads: their reported relapses. Those who pass the rules on history are *replayed* from onset
with the same counters, hence the same bits, up to their screening day, and are examined there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from stemtrial.cohort.clinic import RUN_IN_SEED, Arrays, Care, Clinic, Funnel, packed, passed, taken
from stemtrial.cohort.eligibility import Eligibility
from stemtrial.cohort.ms.courses import COURSES, course_of, progressive, walking_lost_a_year
from stemtrial.cohort.ms.population import people_at_onset, season_at
from stemtrial.cohort.ms.relapses import RelapseDays
from stemtrial.kernel import YEAR, Kernel, Schedule, uniforms
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


def _steps(care: Care, rules: Eligibility) -> list[str]:
    course, (on_history, examined) = course_of(care.course), CLINIC.apart(rules)
    found_by = "referred after a relapse" if course.referral == "relapse" else "alive at screening"
    steps = [f"people with {course.label}", found_by, *passed(on_history)]
    steps += ["are called secondary progressive"] if care.course == "spms" else []
    steps += ["are not called progressive"] if care.course == "rrms" else []
    return [*steps, *passed(examined)]


def _batch(
    kernel: Kernel, p: Mapping[str, float], care: Care, rules: Eligibility, index: NDArray[np.uint64], threads: int
) -> Arrays:
    n = len(index)
    course = course_of(care.course)
    u = uniforms(RUN_IN_SEED, index, 0, "cohort.referral", 4)
    if course.referral == "first_attack":
        duration = np.zeros(n)
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
    wait = wait.astype(np.int64) if course.referral != "date" else np.zeros(n, np.int64)
    begun = np.maximum(0, target - round(p["cohort.platform_years"] * YEAR))
    schedule = Schedule.empty()
    if care.before_entry == "platform_drugs":
        schedule = taken(kernel, "interferon_beta", np.arange(n), begun, p)

    # pass 1: the run-in history
    people = kernel.population(0, index, constants, state)
    window = round(p["cohort.referral_days.window"]) if course.referral == "relapse" else 0
    horizon = target + window + wait
    told = kernel.advance(people, 0, horizon, p, RUN_IN_SEED, schedule=schedule, threads=threads).events
    is_relapse = told["kind"] == kernel.event("relapse")
    first_attack = np.arange(n) if course.onset != "primary" else np.zeros(0, np.int64)
    relapses = RelapseDays(told["patient"][is_relapse], told["day"][is_relapse], n, first_attack)
    screened = target + wait
    referred = np.ones(n, bool)
    if course.referral == "relapse":
        # a relapse within a recruiting period drawn beforehand leads to referral: nothing is known of what comes later,
        # and people with more relapses are referred more often
        index_relapse = relapses.first_after(target)
        referred = (index_relapse >= 0) & (index_relapse <= target + window)
        screened = np.where(referred, index_relapse, target) + wait
    died = told["kind"] == kernel.event("death")
    day_of_death = np.full(n, np.iinfo(np.int64).max)
    day_of_death[told["patient"][died]] = told["day"][died]
    referred &= day_of_death > screened
    last = relapses.last_until(screened)
    told_back = round(p["cohort.telescoping_days"])  # a relapse is remembered as nearer than it was
    columns: dict[str, Any] = {
        "age_years": constants["age0"] + screened / YEAR,
        "female": constants["female"],
        "onset_age_years": constants["age0"],
        "disease_duration_years": screened / YEAR,
        "course": np.full(n, care.course),
        "relapses_last_12_months": relapses.between(screened - 365 - told_back, screened),
        "relapses_last_24_months": relapses.between(screened - 730 - told_back, screened),
        "days_since_relapse": np.where(last >= 0, screened - last, NO_RELAPSE),
    }
    on_history, examined = CLINIC.apart(rules)
    funnel = Funnel(n)
    funnel.keep(referred)
    funnel.passing(on_history, columns)
    rows = funnel.narrow()

    # pass 2: replay to the screening day, and examine there and, of the years before, what a record would hold
    mine = {k: v[rows] for k, v in constants.items()}
    again = kernel.population(0, index[rows], mine, {k: v[rows] for k, v in state.items()})
    renumber = np.full(n, -1)
    renumber[rows] = np.arange(len(rows))
    dosing = schedule.take(np.flatnonzero(renumber[schedule.patient] >= 0))
    dosing = Schedule(renumber[dosing.patient], dosing.day, dosing.dose, dosing.amounts)
    days = screened[rows][:, None] - np.array([730, 365, 0])
    asked = days >= 0
    row, visit = np.nonzero(asked)
    seen = kernel.advance(
        again, 0, screened[rows], p, RUN_IN_SEED, schedule=dosing, visits=(row, days[asked]), threads=threads
    ).observed
    known = from_draw(p)
    doctor = examination("ms", RUN_IN_SEED, known, "cohort.screening")
    rated, held = rate_in_turn(doctor, index[rows], row, visit, days[asked], seen, mine)
    edss = np.full(days.shape, np.nan)
    edss[asked] = rated["edss"]
    here = np.cumsum(asked.sum(1)) - 1  # the screening visit
    seen, rated = ({k: v[here] for k, v in x.items()} for x in (seen, rated))
    body = weights(mine)
    columns = {k: v[rows] for k, v in columns.items()} | {
        "edss": edss[:, 2],
        "edss_change_last_12_months": edss[:, 2] - edss[:, 1],
        "edss_change_last_24_months": edss[:, 2] - edss[:, 0],
        "ambulation_index": functional_systems(deficits(seen), body, load(EdssParameters, known))[1],
        PYRAMIDAL: rated[PYRAMIDAL],
        "gd_lesions": seen["gd_lesions"],
        "t2_volume_ml": seen["t2_volume_ml"],
    }
    # an examination of its own, on its day 0, so that nothing is missing
    view = View(RUN_IN_SEED, index[rows], np.zeros(len(rows), np.int64), seen, mine, rated, stream="cohort.screening")
    columns |= measure(view, TESTED, known)
    if care.course in ("spms", "rrms"):
        lost = walking_lost_a_year(deficits(seen), body, seen["smouldering"], p)
        called = progressive(lost, columns["edss"], p)
        funnel.keep(called if care.course == "spms" else ~called)
    funnel.passing(examined, columns)
    season_cos, season_sin = season_at(mine, screened[rows].astype(float))
    mine |= {"season_cos": season_cos, "season_sin": season_sin, "age0": columns["age_years"]}
    final = dict(zip(kernel.states, again.state, strict=True))
    return packed(funnel, index[rows], mine, final, columns | {"entry_year": entry_year[rows]}, held.h)


CLINIC = Clinic(
    disease="ms",
    courses={name: course.label for name, course in COURSES.items()},
    policies=("none", "platform_drugs"),
    care=("interferon_beta", "methylprednisolone"),
    history=HISTORY,
    screened=("age_years", "disease_duration_years", "relapses_last_12_months", "relapses_last_24_months"),
    steps=_steps,
    batch=_batch,
)
"""MS: an interferon before entry, and steroids at every reported relapse."""
