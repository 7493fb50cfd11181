"""Untreated lives: people with ALS from onset to the horizon or death, seen quarterly through the instruments.

Nobody is recruited and no drug is given. Ventilation and gastrostomy are offered as elsewhere: they belong to care.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from stemtrial.cohort.als.population import SITES, people_at_onset
from stemtrial.cohort.lives import CHUNK, in_chunks, together, watch
from stemtrial.disease.als import MILESTONES, REGIONS, milestones
from stemtrial.kernel import Kernel, derive_seed
from stemtrial.observe import View, examination, measure, rate_in_turn
from stemtrial.observe.parameters import from_draw
from stemtrial.parameters import Draws
from stemtrial.tables import Table, make
from stemtrial.therapy import compose

INSTRUMENTS = ("svc_pct", "kings_stage", "mitos_stage", "nfl_pg_ml", "weight_pct")
"""Measured at every visit beside the ALSFRS-R."""
TRUE = ("f_bulbar", "f_fine", "f_gross", "f_resp", "vital_capacity", "umn", *(f"neurons_{r}" for r in REGIONS))
"""What nobody sees, of table ``truth_visits``: function of the domains, vital capacity and neurons left."""


def live(
    draws: Draws, draw: int = 0, *, people: int, years: int, seed: int = 1, every_days: int = 84, threads: int = 1,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Table]:  # fmt: skip
    """Let untreated people live from onset, and examine them at regular visits.

    Parameters
    ----------
    draws, draw
        Parameters, and which draw of them.
    people : int
        How many, 1 or more.
    years : int
        Longest follow-up from onset, 1 to 80 years.
    seed : int
        Person i under a seed has the same sex, age and constants whatever the number of people.
    every_days : int
        Days between visits, 28 or more.
    threads : int
        Threads, which change no number.
    progress : callable, optional
        Gets the fraction that is done.

    Returns
    -------
    dict of Table
        ``patients, visits, milestones, disposition`` as in :mod:`stemtrial.tables` (day 0 is the onset), and what
        nobody sees: ``truth_patients`` (``rate``; ``rho_<r>`` and ``spread_<r>`` of the regions) and ``truth_visits``
        (``alsfrs_r_true``, and :data:`TRUE`). A tracheostomy and permanent ventilation end no follow-up.

    Raises
    ------
    InputError
        If an argument is out of range.
    """
    return together(
        lives(
            draws, draw, people=people, years=years, seed=seed, every_days=every_days, threads=threads,
            progress=progress,
        )
    )  # fmt: skip


def lives(
    draws: Draws, draw: int = 0, *, people: int, years: int, seed: int = 1, every_days: int = 84, threads: int = 1,
    progress: Callable[[float], None] | None = None, chunk: int = CHUNK,
) -> Iterator[dict[str, Table]]:  # fmt: skip
    """Yield the tables of :func:`live`, some people at a time, so that memory does not grow with their number.

    Parameters
    ----------
    draws, draw, people, years, seed, every_days, threads, progress
        As :func:`live`, which also tells the tables and the errors.
    chunk : int
        People at a time; changes no number.
    """
    kernel, p, key = compose("als"), draws[draw], derive_seed(seed, "natural history")

    def examine(index: NDArray[np.uint64], days: NDArray[np.int64]) -> dict[str, Table]:
        return _chunk(kernel, p, index, days, key, threads)

    return in_chunks(examine, people=people, years=years, every_days=every_days, progress=progress, chunk=chunk)


def _chunk(
    kernel: Kernel, p: Mapping[str, float], index: NDArray[np.uint64], days: NDArray[np.int64], seed: int, threads: int
) -> dict[str, Table]:
    n, known = len(index), from_draw(p)
    constants, state = people_at_onset(seed, index, p)
    watched = watch(kernel, p, index, constants, state, days, seed, threads)
    row, day, seen, events = watched.row, watched.day, watched.seen, watched.events
    person = {k: v[row] for k, v in constants.items()}
    ids, m = index[row], len(row)

    doctor = examination("als", seed, known, "natural.alsfrs")
    rated, _ = rate_in_turn(doctor, index, row, watched.visit, day, seen, constants)
    view = View(seed, ids, day, seen, person, rated, stream="natural")
    measured = measure(view, INSTRUMENTS, known)

    zero, number, first = np.zeros(n, int), index.astype(int), day == 0
    key = {"replicate": np.zeros(m, int), "patient": ids.astype(int), "day": day}
    kinds = np.zeros(len(events["kind"]), "U24")
    for kind in MILESTONES:
        mine = events["kind"] == kernel.event(kind)
        kinds[mine] = milestones(kind, events["value"][mine])
    told = kinds != ""
    sites = np.array(SITES)[constants["onset_region"].astype(int)]
    return {
        "patients": make(
            "patients", replicate=zero, patient=number, arm=np.full(n, "untreated"), recruit=number, entry_day=zero,
            closure_day=np.full(n, watched.horizon), age_years=constants["age0"], female=constants["female"],
            disease_duration_years=zero.astype(float), onset_site=sites,
            **{k: constants[k] for k in ("bulbar_onset", "c9orf72", "sod1", "delay_months")},
            **{c: x[first] for c, x in (rated | measured).items()},
        ),
        "visits": make("visits", **key, visit=watched.visit, **rated, **measured),
        "milestones": make(
            "milestones", replicate=np.zeros(told.sum(), int), patient=number[events["patient"][told]],
            day=events["day"][told], event=kinds[told],
        ),
        "disposition": watched.disposition(number),
        "truth_patients": {
            "replicate": zero, "patient": number, "rate": constants["rate"],
            **{f"{k}_{r}": constants[f"{k}_{r}"] for k in ("rho", "spread") for r in REGIONS},
        },
        "truth_visits": {**key, "visit": watched.visit, **doctor.true(seen, person), **{k: seen[k] for k in TRUE}},
    }  # fmt: skip
