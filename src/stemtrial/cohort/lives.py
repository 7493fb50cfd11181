"""Lives from onset, watched at regular visits: what natural history of any disease needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.errors import InputError
from stemtrial.kernel import YEAR, Kernel
from stemtrial.tables import Table, concat, make

CHUNK = 4096
"""People in memory at a time; changes no number."""
MOST_YEARS = 80
EVER = np.iinfo(np.int64).max
"""Day of an event that never happened."""


def in_chunks(
    examine: Callable[[NDArray[np.uint64], NDArray[np.int64]], dict[str, Table]], *, people: int, years: int,
    every_days: int, progress: Callable[[float], None] | None = None, chunk: int = CHUNK,
) -> Iterator[dict[str, Table]]:  # fmt: skip
    """Yield the tables of some people at a time, so that memory does not grow with their number.

    Parameters
    ----------
    examine : callable
        Gets who (indices) and the days of the visits, and returns the tables of these people.
    people : int
        How many, 1 to 10 million.
    years : int
        Longest follow-up from onset, 1 to 80 years.
    every_days : int
        Days between visits, 28 to 3650.
    progress : callable, optional
        Gets the fraction that is done.
    chunk : int
        People at a time.

    Raises
    ------
    InputError
        If a number is out of range.
    """
    for name, value, low, high in (
        ("people", people, 1, 10_000_000), ("years", years, 1, MOST_YEARS), ("every_days", every_days, 28, 3650),
    ):  # fmt: skip
        if not low <= value <= high:
            raise InputError(f"{name} must lie between {low} and {high}, not {value}")
    days = np.arange(0, round(years * YEAR) + 1, every_days)
    for first in range(0, people, chunk):
        yield examine(np.arange(first, min(first + chunk, people), dtype=np.uint64), days)
        if progress is not None:
            progress(min(1.0, (first + chunk) / people))


def together(chunks: Iterable[dict[str, Table]]) -> dict[str, Table]:
    """Tables of everybody, from those of :func:`in_chunks`."""
    parts = list(chunks)
    return {name: concat([part[name] for part in parts]) for name in parts[0]}


@dataclass(frozen=True)
class Watched:
    """Visits of the living, ordered by person and day, and the days of events.

    Attributes
    ----------
    row, day, visit : ndarray of int64, shape (visits,)
        Person (place among those watched), day since onset, number of the visit.
    seen : dict of ndarray, shape (visits,)
        Observables of the kernel.
    events : dict of ndarray
        Log of the kernel (:class:`stemtrial.kernel.Advanced`).
    died : ndarray of int64, shape (people,)
        Day of death, :data:`EVER` for survivors of the follow-up.
    horizon : int
        Day of the last visit.
    """

    row: NDArray[np.int64]
    day: NDArray[np.int64]
    visit: NDArray[np.int64]
    seen: dict[str, NDArray[np.float64]]
    events: dict[str, NDArray[Any]]
    died: NDArray[np.int64]
    horizon: int

    def disposition(self, patient: NDArray[np.int64]) -> Table:
        """Table ``disposition`` of these people, by their numbers."""
        dead = self.died <= self.horizon
        return make(
            "disposition", replicate=np.zeros(len(patient), int), patient=patient,
            day=np.where(dead, self.died, self.horizon), event=np.where(dead, "died", "completed"),
            reason=np.where(dead, "death from any cause", "horizon"),
        )  # fmt: skip


def watch(
    kernel: Kernel, p: Mapping[str, float], index: NDArray[np.uint64], constants: Mapping[str, Any],
    state: Mapping[str, Any], days: NDArray[np.int64], seed: int, threads: int,
) -> Watched:  # fmt: skip
    """Let people live from onset; nobody is seen after death.

    Parameters
    ----------
    kernel : Kernel
        The patient.
    p : mapping
        Parameters by registered name.
    index : ndarray of uint64
        Who.
    constants, state : mapping
        As drawn at onset.
    days : ndarray of int64
        Days of the visits, ascending from 0.
    seed : int
        64-bit key.
    threads : int
        Threads, which change no number.

    Raises
    ------
    FloatingPointError
        If a state left the finite numbers or the event log was too short.
    """
    n, v = len(index), len(days)
    row, day = np.repeat(np.arange(n), v), np.tile(days, n)
    people = kernel.population(0, index, constants, state)
    told = kernel.advance(people, 0, int(days[-1]), p, seed, visits=(row, day), threads=threads)
    if told.overflow or len(told.failed["patient"]):
        raise FloatingPointError(
            f"{len(told.failed['patient'])} people left the finite numbers, {told.overflow} events did not fit the log"
        )
    died = np.full(n, EVER)
    of_death = told.events["kind"] == kernel.event("death")
    died[told.events["patient"][of_death]] = told.events["day"][of_death]
    living = day < died[row]
    seen = {name: x[living] for name, x in told.observed.items()}
    visit = np.tile(np.arange(v), n)
    return Watched(row[living], day[living], visit[living], seen, told.events, died, int(days[-1]))
