"""Runs a compiled model over a population: segments, schedules, visits, threads, progress, interruption."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stemtrial.errors import InputError, did_you_mean
from stemtrial.kernel import numpy_backend
from stemtrial.kernel.compile import compile_program, source_hash
from stemtrial.kernel.lower import Program, lower
from stemtrial.kernel.model import Model
from stemtrial.kernel.numba_backend import print_numba

Backend = Literal["numba", "numpy"]
CHUNK = 2048
MAX_AMOUNTS = 6
KEPT_DRAWS = 16
"""Draws of the population parameters whose uniform values a kernel keeps."""


@dataclass
class Population:
    """Patients of a kernel: identities, constants and state, one column a patient.

    Attributes
    ----------
    replicate, index : ndarray of uint32, shape (n,)
        Identity of each patient's random numbers: ``patient = replicate * 2**32 + index``.
    constants : ndarray, shape (constants, n)
        In the order of ``kernel.constants``.
    state : ndarray, shape (states, n)
        In the order of ``kernel.states``.
    """

    replicate: NDArray[np.uint32]
    index: NDArray[np.uint32]
    constants: NDArray[np.float64]
    state: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.index)

    def take(self, rows: NDArray[Any]) -> Population:
        """Some of the patients, copied."""
        columns = (np.ascontiguousarray(x[:, rows]) for x in (self.constants, self.state))
        return Population(self.replicate[rows], self.index[rows], *columns)


@dataclass(frozen=True)
class Ragged:
    """Rows of events by patient: those of patient i are ``at[i]:at[i + 1]``, in order of day."""

    at: NDArray[np.int64]
    day: NDArray[np.int64]
    order: NDArray[np.int64]

    @staticmethod
    def build(n: int, patient: ArrayLike, day: ArrayLike) -> Ragged:
        """Sort events by patient and day; ``order`` gives their places in the input."""
        p, d = np.asarray(patient, np.int64), np.asarray(day, np.int64)
        if p.shape != d.shape or (p.size and (p.min() < 0 or p.max() >= n)):
            raise InputError(
                f"a schedule names patients 0 to {n - 1} with one day each, not {p.size} and {d.size} rows"
            )
        order = np.lexsort((d, p))
        at = np.zeros(n + 1, np.int64)
        np.cumsum(np.bincount(p, minlength=n), out=at[1:])
        return Ragged(at, d[order], order.astype(np.int64))


def _padded(amounts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Amounts with all columns that a dose may read: compiled code does not check bounds."""
    n, columns = amounts.shape
    if columns > MAX_AMOUNTS:
        raise InputError(f"a dose carries {columns} amounts, more than {MAX_AMOUNTS}; leave some out")
    if columns == MAX_AMOUNTS:
        return np.ascontiguousarray(amounts)
    return np.hstack([amounts, np.zeros((n, MAX_AMOUNTS - columns))])


@dataclass(frozen=True)
class Schedule:
    """Dose events as data: which patient gets which dose on which day, with its amounts."""

    patient: NDArray[np.int64]
    day: NDArray[np.int64]
    dose: NDArray[np.int64]
    amounts: NDArray[np.float64]

    @staticmethod
    def empty() -> Schedule:
        """No doses."""
        zero = np.zeros(0, np.int64)
        return Schedule(zero, zero, zero, np.zeros((0, MAX_AMOUNTS)))

    @staticmethod
    def join(parts: Sequence[Schedule]) -> Schedule:
        """All rows of several schedules."""
        if not parts:
            return Schedule.empty()
        return Schedule(
            *(np.concatenate([getattr(p, f) for p in parts]) for f in ("patient", "day", "dose", "amounts"))
        )

    def take(self, rows: NDArray[Any]) -> Schedule:
        """Some of the rows."""
        return Schedule(self.patient[rows], self.day[rows], self.dose[rows], self.amounts[rows])


@dataclass(frozen=True)
class Advanced:
    """What a segment gave: observables at the visits asked for, the event log, and failures.

    Attributes
    ----------
    observed : dict of ndarray
        One column an observable, a row a visit, in the order in which the visits were given.
    events : dict of ndarray
        ``patient, day, kind, value``; sorted by patient, day, kind, value. A jump of the step from day t to t + 1 has
        the day t + 1, on which visits first see it; what a dose logs has the day of the dose.
    failed : dict of ndarray
        ``patient, state``: patients whose state left the finite numbers, and the first such state.
    overflow : int
        Events that found the log full and were counted only.
    """

    observed: dict[str, NDArray[np.float64]]
    events: dict[str, NDArray[Any]]
    failed: dict[str, NDArray[Any]]
    overflow: int


@dataclass
class Kernel:
    """A composed model, ready to run on either back end. Made by :func:`build`."""

    program: Program
    width: int = 64
    backend: Backend = "numba"
    log_per_patient_year: float = 12.0
    _uniform: dict[tuple[float, ...], NDArray[np.float64]] = field(default_factory=dict)

    @property
    def model(self) -> Model:
        """The model that was composed."""
        return self.program.model

    @cached_property
    def states(self) -> tuple[str, ...]:
        """Names of the states, in the order of the rows of :attr:`Population.state`."""
        return self.program.state_names

    @cached_property
    def constants(self) -> tuple[str, ...]:
        """Names of the patient constants, in the order of the rows of :attr:`Population.constants`."""
        return self.program.constant_names

    @cached_property
    def identity(self) -> str:
        """Hash of everything that decides a bit: model, mathematics, compiler (not the block width)."""
        return source_hash(print_numba(self.program, 64))

    @cached_property
    def _compiled(self) -> Callable[..., None]:
        return compile_program(self.program, self.width)

    def _uniform_values(self, parameters: Mapping[str, float]) -> NDArray[np.float64]:
        """Values that are one for all patients and days, kept for the last draws: a trial asks at every visit."""
        key = tuple(float(parameters[k]) for k in self.model.parameters)
        found = self._uniform.get(key)
        if found is None:
            found = numpy_backend.uniform_values(self.program, dict(parameters))
            if len(self._uniform) >= KEPT_DRAWS:
                self._uniform.clear()
            self._uniform[key] = found
        return found

    def dose(self, name: str) -> int:
        """Return the number of a dose kind, for :class:`Schedule`."""
        names = list(self.model.doses)
        if name not in names:
            raise InputError(f"dose '{name}' is not part of this kernel{did_you_mean(name, names)}")
        return names.index(name)

    def event(self, name: str) -> int:
        """Return the number of an event kind in the log; -1 if this kernel never logs it."""
        return self.model.event_kinds.get(name, -1)

    def row(self, state: str) -> int:
        """Row of a state."""
        if state not in self.states:
            raise InputError(f"state '{state}' is not part of this kernel{did_you_mean(state, self.states)}")
        return self.states.index(state)

    def population(
        self, replicate: ArrayLike, index: ArrayLike, constants: Mapping[str, Any], state: Mapping[str, Any]
    ) -> Population:
        """Build a population; states not named start at their declared values, constants must all be given."""
        lo = np.asarray(index, np.uint32)
        missing = [c for c in self.constants if c not in constants]
        if missing:
            raise InputError(f"patients lack the constant '{missing[0]}'; needed: {', '.join(self.constants)}")
        unknown = [s for s in state if s not in self.states]
        if unknown:
            raise InputError(f"state '{unknown[0]}' is not part of this kernel{did_you_mean(unknown[0], self.states)}")
        c = np.array([np.broadcast_to(np.asarray(constants[k], float), lo.shape) for k in self.constants])
        start = {s.name: s.start for s in self.model.states.values()}
        x = np.array([np.broadcast_to(np.asarray(state.get(k, start[k]), float), lo.shape) for k in self.states])
        hi = np.broadcast_to(np.asarray(replicate, np.uint32), lo.shape).copy()
        return Population(hi, lo, c.reshape(len(self.constants), len(lo)), x.reshape(len(self.states), len(lo)))

    def advance(
        self,
        people: Population,
        start: ArrayLike,
        end: ArrayLike,
        parameters: Mapping[str, float],
        seed: int,
        *,
        schedule: Schedule | None = None,
        visits: tuple[ArrayLike, ArrayLike] | None = None,
        threads: int = 1,
        chunk: int = CHUNK,
        progress: Callable[[int], None] | None = None,
    ) -> Advanced:
        """Advance patients from their start day to their end day, in place.

        Parameters
        ----------
        people : Population
            ``people.state`` holds the state at ``start`` and, on return, at ``end``.
        start, end : array_like of int
            Days on the patients' own clock, ``0 <= start <= end``. Doses and visits on the day ``start`` happen; of
            those on ``end`` the visits happen and the doses are left to the next segment.
        parameters : mapping
            Population parameters by registered name (one draw).
        seed : int
            64-bit key of all random numbers.
        schedule : Schedule, optional
            Dose events.
        visits : (patient, day), optional
            Visits at which observables are read.
        threads : int
            Threads; the results do not depend on it.
        chunk : int
            Patients a task; the results do not depend on it.
        progress : callable, optional
            Called with the number of patients finished, a few times a second.

        Raises
        ------
        InputError
            For days out of order, or a parameter that is missing.
        """
        n, spd = len(people), self.model.steps_per_day
        t0 = np.broadcast_to(np.asarray(start, np.int64), (n,)) * spd
        t1 = np.broadcast_to(np.asarray(end, np.int64), (n,)) * spd
        if n and (t0.min() < 0 or (t1 < t0).any()):
            raise InputError(
                f"days must satisfy 0 <= start <= end, not start {t0.min() // spd} and end {t1.min() // spd}"
            )
        missing = [p for p in self.model.parameters if p not in parameters]
        if missing:
            raise InputError(f"parameter '{missing[0]}' has no value{did_you_mean(missing[0], parameters)}")
        doses = schedule or Schedule.empty()
        dosing = Ragged.build(n, doses.patient, doses.day)
        visiting = Ragged.build(n, *(visits if visits is not None else ((), ())))
        observed = np.full((len(visiting.day), len(self.model.observables)), np.nan)
        data: dict[str, Any] = {
            "lo": people.index.astype(np.uint64),
            "hi": people.replicate.astype(np.uint64),
            "constants": np.ascontiguousarray(people.constants),
            "state": people.state,
            "start": np.ascontiguousarray(t0),
            "end": np.ascontiguousarray(t1),
            "dose_at": dosing.at,
            "dose_step": dosing.day * spd,
            "dose_kind": np.ascontiguousarray(doses.dose[dosing.order]),
            "dose_amount": _padded(doses.amounts[dosing.order]),
            "visit_at": visiting.at,
            "visit_step": visiting.day * spd,
            "observed": observed,
        }
        u = self._uniform_values(parameters)
        if self.backend == "numpy":
            log = numpy_backend.run(self.program, data, u, seed) if n else []
            raw = [
                np.concatenate([x[0] for x in log] or [np.zeros(0, int)]),
                np.concatenate([np.full(len(x[0]), x[1]) for x in log] or [np.zeros(0, int)]),
                np.concatenate([np.full(len(x[0]), x[2]) for x in log] or [np.zeros(0, int)]),
                np.concatenate([x[3] for x in log] or [np.zeros(0)]),
            ]
            overflow = 0
            failed = np.where(np.isfinite(people.state).all(0), 0, np.argmin(np.isfinite(people.state), axis=0) + 1)
        else:
            raw, overflow, failed = self._threads(data, u, seed, threads, chunk, progress)
        columns = np.empty_like(observed)
        columns[visiting.order] = observed
        return Advanced(
            observed={k: columns[:, j] for j, k in enumerate(self.model.observables)},
            events=_sorted_events(raw, spd),
            failed={
                "patient": np.flatnonzero(failed),
                "state": np.array([self.states[k - 1] for k in failed[failed > 0]], dtype=str),
            },
            overflow=overflow,
        )

    def _threads(
        self, d: dict[str, Any], u: NDArray[np.float64], seed: int, threads: int, chunk: int, progress: Any
    ) -> tuple[list[NDArray[Any]], int, NDArray[np.int64]]:
        run = self._compiled
        n = len(d["lo"])
        order = np.lexsort((d["start"], d["end"]))  # lanes of a block that end together waste no steps
        failed = np.zeros(n, np.int64)
        logs: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]] = []
        state = np.zeros(2, np.int64)
        fixed = [d[k] for k in ("constants", "state", "start", "end")]
        late = [
            d[k] for k in ("dose_at", "dose_step", "dose_kind", "dose_amount", "visit_at", "visit_step", "observed")
        ]

        def task(first: int) -> None:
            last = min(first + chunk, n)
            rows = order[first:last]
            years = float((d["end"][rows] - d["start"][rows]).sum()) / self.model.steps_per_day / 365.25
            room = int(self.log_per_patient_year * years) + 16 * (last - first)
            log = np.empty((room, 3), np.int64), np.empty(room), np.zeros(2, np.int64)
            run(first, last, order, d["lo"], d["hi"], *fixed, u, np.uint64(seed), *late, *log, failed, state)
            logs.append((log[0][: log[2][0]], log[1][: log[2][0]], log[2]))

        firsts = range(0, n, chunk)
        if threads <= 1 and progress is None:
            for first in firsts:
                task(first)
        else:
            with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
                pending = {pool.submit(task, f) for f in firsts}
                try:
                    while pending:
                        done, pending = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
                        for future in done:
                            future.result()
                        if progress is not None:
                            progress(int(state[0]))
                except BaseException:
                    state[1] = 1  # running blocks stop at the next block, waiting ones never start
                    for future in pending:
                        future.cancel()
                    raise
        raw = [np.concatenate([x[0][:, k] for x in logs] or [np.zeros(0, np.int64)]) for k in range(3)]
        raw.append(np.concatenate([x[1] for x in logs] or [np.zeros(0)]))
        return raw, int(sum(x[2][1] for x in logs)), failed


def _sorted_events(raw: list[NDArray[Any]], steps_per_day: int) -> dict[str, NDArray[Any]]:
    patient, step, kind, value = raw
    day = -(-step // steps_per_day)
    order = np.lexsort((value, kind, day, patient))
    return {
        "patient": patient[order].astype(np.int64),
        "day": day[order].astype(np.int64),
        "kind": kind[order].astype(np.int64),
        "value": value[order].astype(float),
    }


def build(model: Model, *, width: int = 64, backend: Backend = "numba") -> Kernel:
    """Finish a composed model and make it runnable."""
    return Kernel(lower(model.finish()), width=width, backend=backend)


def default_threads() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
