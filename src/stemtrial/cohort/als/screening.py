"""How people with ALS are found and screened: some time after the diagnosis, after a run-in of monthly visits.

Screening happens on a day that has nothing to do with the course of the disease, months after the diagnosis; whoever
has died by then, or breathes by a machine, is not found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.cohort.als.population import SITES, era_mortality, people_at_onset
from stemtrial.cohort.clinic import RUN_IN_SEED, Arrays, Care, Clinic, Funnel, packed
from stemtrial.cohort.eligibility import Eligibility
from stemtrial.disease.als import MONTH
from stemtrial.kernel import MAX_AMOUNTS, YEAR, Kernel, Schedule, uniforms
from stemtrial.observe import RaterState, View, examination, measure
from stemtrial.observe.alsfrs import ITEMS
from stemtrial.observe.parameters import from_draw
from stemtrial.observe.staging import regions_involved
from stemtrial.therapy.prescribe import prescribe

HISTORY = frozenset(
    {
        "age_years", "female", "onset_age_years", "disease_duration_years", "symptom_months", "months_since_diagnosis",
        "course", "onset_site", "c9orf72", "sod1", "riluzole",
    }
)  # fmt: skip
"""What screening knows without examining anybody."""
TESTED = ("svc_pct", "fvc_pct", "kings_stage", "mitos_stage", "nfl_pg_ml", "weight_pct")
"""Instruments among what the examination measures."""
RUN_IN_DAYS = {"alsfrs_r_slope_run_in": (84, 56, 28, 0), "alsfrs_r_slope_run_in_18_weeks": (126, 98, 70, 42, 14, 0)}
"""Days before screening whose visits make each slope."""
BEGAN = ("alsfrs_r", "svc_pct")
"""What is known of the first visit of the longest run-in."""
_VISITS = tuple(sorted({d for days in RUN_IN_DAYS.values() for d in days}, reverse=True))
_KEPT = (
    "age_years", "disease_duration_years", "months_since_diagnosis", "bulbar_onset", "riluzole", "c9orf72", "sod1",
    "alsfrs_r_slope_from_onset", "alsfrs_r_change_last_12_weeks", *RUN_IN_DAYS,
)  # fmt: skip


def _steps(care: Care, rules: Eligibility) -> list[str]:
    ordered = CLINIC.ordered(rules)
    return ["people with ALS", "alive at screening, without a machine to breathe", *(f"pass {r.text}" for r in ordered)]


def _batch(
    kernel: Kernel, p: Mapping[str, float], care: Care, rules: Eligibility, index: NDArray[np.uint64], threads: int
) -> Arrays:  # fmt: skip
    n = len(index)
    u = uniforms(RUN_IN_SEED, index, 0, "cohort.als.referral", 1)
    entry_year = care.entry_years[0] + (care.entry_years[1] - care.entry_years[0]) * u[:, 0]
    constants, state = people_at_onset(RUN_IN_SEED, index, p)
    constants["frailty"] = constants["frailty"] * era_mortality(entry_year, p)
    if care.before_entry != "riluzole":
        constants["riluzole"] = np.zeros(n)
    diagnosed = (constants["delay_months"] * MONTH).astype(np.int64)
    screened = diagnosed + (constants["referral_months"] * MONTH).astype(np.int64)
    people = kernel.population(0, index, constants, state)
    days = screened[:, None] - np.array(_VISITS)
    asked = days >= 0
    seen = kernel.advance(
        people, 0, screened, p, RUN_IN_SEED, schedule=before_entry(kernel, constants["riluzole"] > 0, diagnosed, p),
        visits=(np.nonzero(asked)[0], days[asked]), threads=threads,
    ).observed  # fmt: skip
    number = np.where(asked, np.cumsum(asked.ravel()).reshape(asked.shape) - 1, -1)
    here = number[:, -1]

    columns: dict[str, NDArray[Any]] = {
        "age_years": constants["age0"] + screened / YEAR,
        "female": constants["female"],
        "onset_age_years": constants["age0"],
        "disease_duration_years": screened / YEAR,
        "symptom_months": screened / MONTH,
        "months_since_diagnosis": (screened - diagnosed) / MONTH,
        "course": np.full(n, care.course),
        "onset_site": np.array(SITES)[constants["onset_region"].astype(np.int64)],
        **{k: constants[k] for k in ("bulbar_onset", "c9orf72", "sod1", "riluzole")},
    }
    ordered, funnel = CLINIC.ordered(rules), Funnel(n)
    funnel.keep((seen["alive"][here] > 0.5) & (seen["ventilated"][here] < 0.5))
    for rule in ordered:
        if rule.variables <= HISTORY:
            funnel.keep(rule.evaluate(columns))
    rows = funnel.narrow()

    known = from_draw(p)
    mine = {k: v[rows] for k, v in constants.items()}
    doctor = examination("als", RUN_IN_SEED, "cohort.screening", known)
    held = RaterState.fresh(len(rows), doctor.processes)
    total = np.full((len(rows), len(_VISITS)), np.nan)
    for k in range(len(_VISITS)):
        who = np.flatnonzero(asked[rows, k])
        there = {o: v[number[rows[who], k]] for o, v in seen.items()}
        rated, kept = doctor.rate(
            index[rows[who]], days[rows[who], k], there, {c: v[who] for c, v in mine.items()}, held.take(who)
        )
        held.put(who, kept)
        total[who, k] = rated["alsfrs_r"]
        if k == 0:  # when a run-in began
            first = {v: np.full(len(rows), np.nan) for v in BEGAN}
            first["alsfrs_r"][who] = rated["alsfrs_r"]
            body = {c: v[who] for c, v in mine.items()}
            begun = View(
                RUN_IN_SEED, index[rows[who]], np.zeros(len(who), np.int64), there, body, rated, stream="cohort.run_in"
            )
            first["svc_pct"][who] = measure(begun, ["svc_pct"], known)["svc_pct"]
    # the last visit of the run-in is the screening, where everybody is seen; instruments have a day 0 of their own, so
    # that nothing is missing
    view = View(RUN_IN_SEED, index[rows], np.zeros(len(rows), np.int64), there, mine, rated, stream="cohort.screening")
    columns = {k: v[rows] for k, v in columns.items()} | {c: rated[c] for c in doctor.columns}
    items = np.stack([rated[i] for i in ITEMS], axis=1)
    columns |= {
        "alsfrs_r_lowest_item": items.min(1),
        "regions_involved": regions_involved(rated),
        "alsfrs_r_slope_from_onset": (48.0 - rated["alsfrs_r"]) / np.maximum(columns["symptom_months"], 1.0),
        "alsfrs_r_change_last_12_weeks": rated["alsfrs_r"] - total[:, _VISITS.index(84)],
        **{name: _slope(total, before) for name, before in RUN_IN_DAYS.items()},
        **{f"{name}_18_weeks_ago": x for name, x in first.items()},
        **{k: there[k] for k in ("niv", "gastrostomy")},
        **measure(view, TESTED, known),
    }
    for rule in ordered:
        if not rule.variables <= HISTORY:
            funnel.keep(rule.evaluate(columns))
    mine |= {"age0": columns["age_years"]}
    final = {s: people.state[k][rows] for k, s in enumerate(kernel.states)}
    return packed(funnel, index[rows], mine, final, columns | {"entry_year": entry_year[rows]}, held.h)


def _slope(total: NDArray[np.float64], before: tuple[int, ...]) -> NDArray[np.float64]:
    """Points a month by least squares over the visits so many days before screening; NaN where one is missing."""
    months = -np.array(before) / MONTH
    weight = (months - months.mean()) / ((months - months.mean()) ** 2).sum()
    return np.asarray(total[:, [_VISITS.index(d) for d in before]] @ weight)


def before_entry(
    kernel: Kernel, takes: NDArray[np.bool_], diagnosed: NDArray[np.int64], p: Mapping[str, float]
) -> Schedule:
    """Riluzole from the diagnosis on."""
    who = np.flatnonzero(takes)
    if len(who) == 0:
        return Schedule.empty()
    facts = {"edss": np.zeros(len(who)), "year": np.zeros(len(who)), "day": np.zeros(len(who))}
    parts = [
        Schedule(
            who, diagnosed[who] + order.day, np.full(len(who), kernel.dose(order.dose)),
            np.zeros((len(who), MAX_AMOUNTS)) if order.amounts is None else order.amounts,
        )
        for order in prescribe("riluzole", {"day": 0, "dose_ratio": 1.0}, facts, parameters=p)
    ]  # fmt: skip
    return Schedule.join(parts)


CLINIC = Clinic(
    disease="als",
    courses={"als": "ALS"},
    policies=("none", "riluzole"),
    care=("riluzole",),
    lasting=("riluzole",),
    history=HISTORY,
    screened=_KEPT,
    steps=_steps,
    batch=_batch,
)
"""ALS: riluzole from the diagnosis on, which goes on in a trial."""
