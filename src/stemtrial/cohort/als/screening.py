"""How people with ALS are found and screened: some time after the diagnosis, after a run-in of monthly visits.

Screening happens on a day that has nothing to do with the course of the disease, months after the diagnosis; whoever
has died by then, or breathes by a machine, is not found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.cohort.als.population import SITES, people_at_onset, under_care_of
from stemtrial.cohort.clinic import RUN_IN_SEED, Arrays, Care, Clinic, Funnel, packed, passed, taken
from stemtrial.cohort.eligibility import Eligibility
from stemtrial.disease.als import MONTH, REGIONS
from stemtrial.kernel import YEAR, Kernel, uniforms
from stemtrial.observe import View, examination, measure, rate_in_turn
from stemtrial.observe.alsfrs import ITEMS
from stemtrial.observe.parameters import from_draw
from stemtrial.observe.staging import regions_involved

HISTORY = frozenset(
    {
        "age_years", "female", "onset_age_years", "disease_duration_years", "symptom_months", "months_since_diagnosis",
        "course", "onset_site", "bulbar_onset", "c9orf72", "sod1", "riluzole",
    }
)  # fmt: skip
"""What screening knows without examining anybody."""
TESTED = ("svc_pct", "fvc_pct", "kings_stage", "mitos_stage", "nfl_pg_ml", "weight_pct")
"""Instruments among what the examination measures."""
RUN_IN_DAYS = {"alsfrs_r_slope_run_in": (84, 56, 28, 0), "alsfrs_r_slope_run_in_18_weeks": (126, 98, 70, 42, 14, 0)}
"""Days before screening whose visits make each slope."""
_VISITS = tuple(sorted({d for days in RUN_IN_DAYS.values() for d in days}, reverse=True))
_KEPT = (
    "age_years", "disease_duration_years", "months_since_diagnosis", "bulbar_onset", "riluzole", "c9orf72", "sod1",
    "alsfrs_r_slope_from_onset", "alsfrs_r_change_last_12_weeks", *RUN_IN_DAYS,
)  # fmt: skip


def _steps(p: Mapping[str, float], care: Care, rules: Eligibility) -> list[str]:
    on_history, examined = CLINIC.apart(rules)
    alive = "alive at screening, without a machine to breathe"
    return ["people with ALS", *passed(on_history), alive, *passed(examined)]


def _batch(
    kernel: Kernel, p: Mapping[str, float], care: Care, rules: Eligibility, index: NDArray[np.uint64], threads: int
) -> Arrays:  # fmt: skip
    n = len(index)
    u = uniforms(RUN_IN_SEED, index, 0, "cohort.als.referral", 1)
    entry_year = care.entry_years[0] + (care.entry_years[1] - care.entry_years[0]) * u[:, 0]
    constants, state = people_at_onset(RUN_IN_SEED, index, p)
    constants = under_care_of(entry_year, RUN_IN_SEED, index, constants, p)
    if care.before_entry != "riluzole":
        constants["riluzole"] = np.zeros(n)
    diagnosed = (constants["delay_months"] * MONTH).astype(np.int64)
    screened = diagnosed + (constants["referral_months"] * MONTH).astype(np.int64)
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
    # the day of screening has nothing to do with the course: who fails a rule on history need not live at all
    on_history, examined = CLINIC.apart(rules)
    funnel = Funnel(n)
    funnel.passing(on_history, columns)
    rows = funnel.narrow()
    index, entry_year, diagnosed, screened = index[rows], entry_year[rows], diagnosed[rows], screened[rows]
    constants, state, columns = ({k: v[rows] for k, v in x.items()} for x in (constants, state, columns))
    people = kernel.population(0, index, constants, state)
    days = screened[:, None] - np.array(_VISITS)
    asked = days >= 0
    row, _ = np.nonzero(asked)
    takers = np.flatnonzero(constants["riluzole"])
    seen = kernel.advance(
        people, 0, screened, p, RUN_IN_SEED, schedule=taken(kernel, "riluzole", takers, diagnosed[takers], p),
        visits=(row, days[asked]), threads=threads,
    ).observed  # fmt: skip
    last = np.cumsum(asked.sum(1)) - 1
    funnel.keep((seen["alive"][last] > 0.5) & (seen["ventilated"][last] < 0.5))
    rows = funnel.narrow()

    known, mine = from_draw(p), {k: v[rows] for k, v in constants.items()}
    left, asked, days = np.isin(row, rows), asked[rows], days[rows]
    seen = {k: v[left] for k, v in seen.items()}
    row, visit = np.nonzero(asked)
    doctor = examination("als", RUN_IN_SEED, known, "cohort.screening")
    rated, held = rate_in_turn(doctor, index[rows], row, visit, days[asked], seen, mine)
    total = np.full(days.shape, np.nan)
    total[asked] = rated["alsfrs_r"]

    def tested(at: NDArray[Any], columns: Sequence[str], stream: str) -> dict[str, NDArray[np.float64]]:
        """Instruments at some of the visits, one a person, on a day 0 of their own, so that nothing is missing."""
        there, found = ({k: v[at] for k, v in x.items()} for x in (seen, rated))
        body, day = {k: v[row[at]] for k, v in mine.items()}, np.zeros(len(at), np.int64)
        return measure(View(RUN_IN_SEED, index[rows[row[at]]], day, there, body, found, stream=stream), columns, known)

    began = np.flatnonzero(visit == 0)
    first = {"alsfrs_r": total[:, 0], "svc_pct": np.full(len(rows), np.nan)}
    first["svc_pct"][row[began]] = tested(began, ["svc_pct"], "cohort.run_in")["svc_pct"]
    last = np.cumsum(asked.sum(1)) - 1
    columns = {k: v[rows] for k, v in columns.items()} | {c: rated[c][last] for c in doctor.columns}
    items = np.stack([columns[i] for i in ITEMS], axis=1)
    columns |= {
        "alsfrs_r_lowest_item": items.min(1),
        "regions_involved": regions_involved(columns),
        "regions_with_signs": regions_with_signs({k: v[last] for k, v in seen.items()}, p),
        "alsfrs_r_slope_from_onset": (48.0 - columns["alsfrs_r"]) / np.maximum(columns["symptom_months"], 1.0),
        "alsfrs_r_change_last_12_weeks": columns["alsfrs_r"] - total[:, _VISITS.index(84)],
        **{name: _slope(total, before) for name, before in RUN_IN_DAYS.items()},
        **{f"{name}_18_weeks_ago": x for name, x in first.items()},
        **{k: seen[k][last] for k in ("niv", "gastrostomy")},
        **tested(last, TESTED, "cohort.screening"),
    }
    funnel.passing(examined, columns)
    mine |= {"age0": columns["age_years"]}
    final = {s: people.state[k][rows] for k, s in enumerate(kernel.states)}
    return packed(funnel, index[rows], mine, final, columns | {"entry_year": entry_year[rows]}, held.h)


def regions_with_signs(observed: Mapping[str, NDArray[Any]], p: Mapping[str, float]) -> NDArray[np.float64]:
    """Count the regions in which an examination finds signs, as the criteria of El Escorial do.

    Signs of lost motor neurons (weakness, wasting, what electromyography shows) precede the loss of function that the
    ALSFRS-R rates: the neurons left take over the muscle of those lost.

    Parameters
    ----------
    observed : mapping of str to ndarray
        Observables ``neurons_<region>``, fraction of the motor neurons left.
    p : mapping
        Parameters by registered name; ``cohort.als.signs_below``.

    Returns
    -------
    ndarray of float
        0 to 4: bulbar, cervical, respiratory (thoracic) and lumbar.
    """
    left = np.stack([observed[f"neurons_{r}"] for r in REGIONS])
    return np.asarray((left < p["cohort.als.signs_below"]).sum(0), float)


def _slope(total: NDArray[np.float64], before: tuple[int, ...]) -> NDArray[np.float64]:
    """Points a month by least squares over the visits so many days before screening; NaN where one is missing."""
    day = -np.array(before, np.float64)
    weight = len(day) * day - day.sum()  # whole numbers, as are the scores: every order of summing gives the same bits
    return np.asarray(total[:, [_VISITS.index(d) for d in before]] @ weight * (MONTH / (weight @ day)))


CLINIC = Clinic(
    disease="als",
    courses={"als": "ALS"},
    policies=("none", "riluzole"),
    care=("riluzole",),
    history=HISTORY,
    screened=_KEPT,
    steps=_steps,
    times=lambda p, care: 1,
    batch=_batch,
)
"""ALS: riluzole from the diagnosis on, which goes on in a trial."""
