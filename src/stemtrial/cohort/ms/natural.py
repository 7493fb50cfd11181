"""Untreated lives: people with MS from onset to the horizon or death, seen half-yearly through the instruments.

Nobody is recruited and no drug is given (relapses get steroids): this is what the natural-history registries watched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.cohort.lives import CHUNK, in_chunks, together, watch
from stemtrial.cohort.ms.courses import progressive, walking_lost_a_year
from stemtrial.cohort.ms.population import ONSETS, Onset, people_at_onset
from stemtrial.errors import InputError, did_you_mean
from stemtrial.kernel import Kernel, derive_seed, normals
from stemtrial.observe import (
    PYRAMIDAL,
    MriParameters,
    deficits,
    examination,
    functional_systems,
    nfl,
    rate_in_turn,
    scan,
    true_edss,
    weights,
)
from stemtrial.observe.parameters import EdssParameters, FluidParameters, from_draw, load
from stemtrial.parameters import Draws
from stemtrial.tables import Table, make
from stemtrial.therapy import compose


def live(
    draws: Draws, draw: int = 0, *, people: int, years: int, onset: Onset = "relapsing", onset_year: float = 1980.0,
    seed: int = 1, every_days: int = 182, threads: int = 1, progress: Callable[[float], None] | None = None,
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
    onset : {"relapsing", "primary", "paediatric"}
        Kind of onset.
    onset_year : float
        Calendar year of onset: progression goes by it. Activity stands at the middle of the eras (factor 1).
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
        ``patients, visits, mri, relapses, disposition`` as in :mod:`stemtrial.tables` (day 0 is the onset; relapses
        without the first attack; ``visits`` also holds ``pyramidal_fs`` and ``nfl_pg_ml``), and what nobody sees:
        ``truth_patients`` (``alpha, m, rho, sev``) and ``truth_visits`` (``edss, ambulation_index, smouldering``, and
        ``progressive``, 1 where a physician would speak of secondary progression).

    Raises
    ------
    InputError
        If an argument is out of range.
    """
    return together(
        lives(
            draws, draw, people=people, years=years, onset=onset, onset_year=onset_year, seed=seed,
            every_days=every_days, threads=threads, progress=progress,
        )
    )  # fmt: skip


def lives(
    draws: Draws, draw: int = 0, *, people: int, years: int, onset: Onset = "relapsing", onset_year: float = 1980.0,
    seed: int = 1, every_days: int = 182, threads: int = 1, progress: Callable[[float], None] | None = None,
    chunk: int = CHUNK,
) -> Iterator[dict[str, Table]]:  # fmt: skip
    """Yield the tables of :func:`live`, some people at a time, so that memory does not grow with their number.

    Parameters
    ----------
    draws, draw, people, years, onset, onset_year, seed, every_days, threads, progress
        As :func:`live`, which also tells the tables and the errors.
    chunk : int
        People at a time; changes no number.
    """
    if onset not in ONSETS:
        raise InputError(f"onset '{onset}' is not known{did_you_mean(onset, ONSETS)}")
    kernel, p, key = compose("ms", ("steroids",)), draws[draw], derive_seed(seed, "natural history")

    def examine(index: NDArray[np.uint64], days: NDArray[np.int64]) -> dict[str, Table]:
        return _chunk(kernel, p, index, days, onset, onset_year, key, threads)

    return in_chunks(examine, people=people, years=years, every_days=every_days, progress=progress, chunk=chunk)


def _chunk(
    kernel: Kernel, p: Mapping[str, float], index: NDArray[np.uint64], days: NDArray[np.int64], onset: Onset,
    onset_year: float, seed: int, threads: int,
) -> dict[str, Table]:  # fmt: skip
    n, known = len(index), from_draw(p)
    constants, state = people_at_onset(
        seed, index, p, entry_year=np.full(n, onset_year), duration_years=np.zeros(n), onset=onset, era=1.0
    )
    watched = watch(kernel, p, index, constants, state, days, seed, threads)
    row, day, visit, seen, events = watched.row, watched.day, watched.visit, watched.seen, watched.events
    ids, first, m = index[row], day == 0, len(row)
    baseline = np.flatnonzero(first)[row]

    rated, _ = rate_in_turn(examination("ms", seed, known, "natural.edss"), index, row, visit, day, seen, constants)
    edss, pyramidal = rated["edss"], rated[PYRAMIDAL]
    scans = scan(
        seed, ids, day, gd_lesions=seen["gd_lesions"], t2_counter=seen["n_t2"],
        t2_counter_previous=np.where(first, seen["n_t2"], np.roll(seen["n_t2"], 1)), t2_volume_ml=seen["t2_volume_ml"],
        brain_volume_change_pct=np.maximum(seen["brain_volume_pct"] - seen["brain_volume_pct"][baseline], -100.0),
        is_baseline=first, stream="natural.mri", parameters=load(MriParameters, known),
    )  # fmt: skip
    noise = normals(seed, ids, day, "natural.nfl", 1)[:, 0]
    body = weights(constants, row)
    walking = functional_systems(deficits(seen), body, load(EdssParameters, known))[1]
    called = np.zeros(m, bool)
    if onset != "primary":
        called = progressive(walking_lost_a_year(deficits(seen), body, seen["smouldering"], p), edss, p)

    key = {"replicate": np.zeros(m, int), "patient": ids.astype(int), "day": day}
    relapse = (events["kind"] == kernel.event("relapse")) & (events["day"] < watched.died[events["patient"]])
    zero, number = np.zeros(n, int), index.astype(int)
    return {
        "patients": make(
            "patients", replicate=zero, patient=number, arm=np.full(n, onset), recruit=number, entry_day=zero,
            closure_day=np.full(n, watched.horizon), age_years=constants["age0"], female=constants["female"],
            disease_duration_years=zero, relapses_last_12_months=zero + (onset != "primary"), edss=edss[first],
            gd_lesions=scans["gd_lesions"][first], t2_volume_ml=scans["t2_volume_ml"][first],
            pyramidal_fs=pyramidal[first],
        ),
        "visits": make(
            "visits", **key, visit=visit, edss=edss, pyramidal_fs=pyramidal,
            nfl_pg_ml=nfl(seen["nfl_pg_ml"], noise, load(FluidParameters, known)),
        ),
        "mri": make("mri", **key, visit=visit, **scans),
        "relapses": make(
            "relapses", replicate=np.zeros(relapse.sum(), int), patient=index[events["patient"][relapse]].astype(int),
            day=events["day"][relapse],
        ),
        "disposition": watched.disposition(number),
        "truth_patients": {
            "replicate": zero, "patient": number, **{k: constants[k] for k in ("alpha", "m", "rho", "sev")}
        },
        "truth_visits": {
            **key,
            "edss": true_edss(deficits(seen), body, load(EdssParameters, known)),
            "ambulation_index": walking,
            "smouldering": seen["smouldering"],
            "progressive": called,
        },
    }  # fmt: skip


def surviving(p: Mapping[str, float], age: Any, female: Any, years: Any) -> NDArray[Any]:
    """Probability that somebody of the general population lives on for ``years``; see :func:`cumulative_mortality`."""
    return np.asarray(np.exp(-cumulative_mortality(p, age, female, years)))


def cumulative_mortality(p: Mapping[str, float], age: Any, female: Any, years: Any) -> NDArray[Any]:
    """Deaths that the general population expects of a person: the mortality that the disease multiplies.

    Parameters
    ----------
    p : mapping
        Parameters by registered name: Gompertz by age (``ms.gompertz_a``, ``ms.gompertz_b``, 1/year), and the factor
        of each sex (``cohort.mortality.female``, ``cohort.mortality.male``).
    age, female, years : array_like
        Age now, whether a woman, and years ahead; broadcast.

    Returns
    -------
    ndarray
        Integral of the mortality from ``age`` to ``age + years``.
    """
    a, b = p["ms.gompertz_a"], p["ms.gompertz_b"]
    sex = np.where(np.asarray(female, bool), p["cohort.mortality.female"], p["cohort.mortality.male"])
    start = np.asarray(age, float)
    return np.asarray(sex * a / b * (np.exp(b * (start + np.asarray(years, float))) - np.exp(b * start)))
