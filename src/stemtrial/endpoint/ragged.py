"""Trial tables as ragged arrays: rows of each patient between two offsets, checked once.

All tables are sorted by replicate, patient and (where they have one) day, so one walk aligns a table with the
patients table and checks it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from stemtrial.errors import InputError, did_you_mean
from stemtrial.observe.instruments import instruments
from stemtrial.tables import Table

DAYS_PER_YEAR = 365.25
FOREVER = np.iinfo(np.int64).max
_DISPOSITIONS = ("completed", "dropped_out", "died", "crossed_over")
_SORTED, _UNSORTED, _STRANGER, _NEGATIVE = 0, 1, 2, 3

Ints = NDArray[np.int64]
Whole = NDArray[np.int32]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Rows(NamedTuple):
    """Rows of one table: those of patient i are ``offsets[i]:offsets[i + 1]``; ``day`` is their day."""

    offsets: Ints
    day: Whole


NO_ROWS = np.empty(0, np.int32)


def _points(text: NDArray[np.str_]) -> NDArray[np.uint32]:
    """Code points of fixed-width text, a row each."""
    width = max(1, text.dtype.itemsize // 4)
    return text.astype(f"<U{width}", copy=False).view(np.uint32).reshape(len(text), width)


@njit(error_model="numpy", nogil=True, cache=True)
def _align(p_rep: Any, p_pat: Any, rep: Any, pat: Any, day: Any, offsets: Any) -> tuple[int, int]:
    """Fill ``offsets``; return (what is wrong, first bad row)."""
    n, m = p_rep.shape[0], rep.shape[0]
    i = 0
    offsets[0] = 0
    for j in range(m):
        if day[j] < 0:
            return _NEGATIVE, j
        if j > 0 and (
            rep[j] < rep[j - 1]
            or (rep[j] == rep[j - 1] and (pat[j] < pat[j - 1] or (pat[j] == pat[j - 1] and day[j] < day[j - 1])))
        ):
            return _UNSORTED, j
        while i < n and (p_rep[i] < rep[j] or (p_rep[i] == rep[j] and p_pat[i] < pat[j])):
            i += 1
            offsets[i] = j
        if i == n or p_rep[i] != rep[j] or p_pat[i] != pat[j]:
            return _STRANGER, j
    while i < n:
        i += 1
        offsets[i] = m
    return _SORTED, -1


@njit(error_model="numpy", nogil=True, cache=True)
def _first_no_edss(x: Any) -> int:
    for i in range(x.shape[0]):
        v = x[i]
        if not (v == 0.0 or (1.0 <= v <= 10.0 and 2.0 * v == np.floor(2.0 * v)) or v != v):
            return i
    return -1


@njit(error_model="numpy", nogil=True, cache=True)
def _first_outside(x: Any, low: float, high: float) -> int:
    for i in range(x.shape[0]):
        if not (low <= x[i] <= high or x[i] != x[i]) or np.isinf(x[i]):
            return i
    return -1


@njit(error_model="numpy", nogil=True, cache=True)
def _first_repeat(rep: Any, pat: Any) -> int:
    for i in range(1, rep.shape[0]):
        if rep[i] < rep[i - 1] or (rep[i] == rep[i - 1] and pat[i] <= pat[i - 1]):
            return i
    return -1


@njit(error_model="numpy", nogil=True, cache=True)
def _code(text: Any, names: Any, code: Any) -> int:
    """Number of each row's text among ``names`` (both as rows of code points); return the first row without one."""
    for i in range(text.shape[0]):
        code[i] = -1
        for k in range(names.shape[0]):
            same = True
            for c in range(max(text.shape[1], names.shape[1])):
                a = text[i, c] if c < text.shape[1] else 0
                b = names[k, c] if c < names.shape[1] else 0
                if a != b:
                    same = False
                    break
                if a == 0:  # the end of both
                    break
            if same:
                code[i] = k
                break
        if code[i] < 0:
            return i
    return -1


@njit(error_model="numpy", nogil=True, cache=True)
def _earliest(offsets: Any, day: Any, code: Any, wanted: Any, out: Any) -> None:
    for i in range(out.shape[0]):
        for j in range(offsets[i], offsets[i + 1]):
            if wanted[code[j]] and day[j] < out[i]:
                out[i] = day[j]


@njit(error_model="numpy", nogil=True, cache=True)
def _mean_day(group: Any, offsets: Any, number: Any, day: Any, mean: Any) -> None:
    """Mean day of each visit number >= 0 in each replicate; NaN where it never occurs."""
    count = np.zeros(mean.shape, np.int64)
    total = np.zeros(mean.shape, np.int64)  # whole days: the sum, and so the mean, is exact
    for i in range(group.shape[0]):
        for j in range(offsets[i], offsets[i + 1]):
            if number[j] >= 0:
                count[group[i], number[j]] += 1
                total[group[i], number[j]] += day[j]
    for r in range(mean.shape[0]):
        for k in range(mean.shape[1]):
            mean[r, k] = total[r, k] / count[r, k] if count[r, k] else np.nan


class Trial:
    """The tables of a trial, aligned and checked as far as an endpoint asks for them.

    Parameters
    ----------
    tables : mapping of str to Table
        By name, as :data:`stemtrial.tables.SCHEMAS`.
    planned_days : array_like of float, optional
        Planned day of visit number 0, 1, ...; ascending.

    Raises
    ------
    InputError
        From every method: if a table or column is missing, a table is not sorted, a row belongs to no patient, a day
        is negative, or a value cannot be.

    """

    def __init__(self, tables: Mapping[str, Table], planned_days: ArrayLike | None = None) -> None:
        self._tables = tables
        self._planned = None if planned_days is None else np.asarray(planned_days, dtype=np.float64)
        if self._planned is not None and not (np.diff(self._planned) > 0).all():
            raise InputError(f"planned_days must ascend, not {self._planned.tolist()}")
        self._rows: dict[str, Rows] = {}
        self._dispositions: Ints | None = None
        self.replicate = self.integers("patients", "replicate")
        self.patient = self.integers("patients", "patient")
        bad = _first_repeat(self.replicate, self.patient)
        if bad >= 0:
            raise InputError(
                f"table 'patients' must be sorted by replicate and patient without repeats; row {bad} "
                f"(replicate {self.replicate[bad]}, patient {self.patient[bad]}) is not after row {bad - 1}"
            )
        self.group = np.cumsum(np.diff(self.replicate, prepend=self.replicate[:1]) > 0)
        """Position of each patient's replicate among those present."""

    @property
    def n(self) -> int:
        """Number of patients over all replicates."""
        return len(self.patient)

    @property
    def n_groups(self) -> int:
        """Number of replicates present."""
        return int(self.group[-1]) + 1 if self.n else 0

    def column(self, table: str, name: str) -> NDArray[Any]:
        """Return a column as it is."""
        if table not in self._tables:
            raise InputError(f"table '{table}' is missing; this endpoint needs it (empty if nothing happened)")
        columns = self._tables[table]
        if name not in columns:
            raise InputError(f"table '{table}' has no column '{name}'{did_you_mean(name, columns)}")
        return columns[name]

    def has(self, table: str, name: str) -> bool:
        """Whether a table has a column."""
        return name in self._tables.get(table, {})

    def integers(self, table: str, name: str) -> Whole:
        """Return a column of whole numbers, as 32 bits (what the schemas ask for, so that most need no copy)."""
        given = self.column(table, name)
        if given.dtype.kind not in "iu" and (given.dtype.kind != "f" or not (np.floor(given) == given).all()):
            raise InputError(
                f"column '{name}' of table '{table}' must hold whole numbers, not {given.dtype} with NaN or fractions"
            )
        if given.dtype.itemsize > 4 or given.dtype.kind == "f":
            limit = np.iinfo(np.int32)
            wrong = (given < limit.min) | (given > limit.max)
            if wrong.any():
                raise InputError(
                    f"column '{name}' of table '{table}' must lie within 32 bits, not {given[wrong][0]}; check the unit"
                )
        return np.ascontiguousarray(given, dtype=np.int32)

    def floats(self, table: str, name: str) -> Floats:
        """Return a measured column: on the scale of its instrument, NaN where it was not measured."""
        given = self.column(table, name)
        if given.dtype.kind not in "iufb":
            raise InputError(f"column '{name}' of table '{table}' must be numeric, not {given.dtype}")
        x = np.ascontiguousarray(given, dtype=np.float64)
        if name == "edss":
            bad = _first_no_edss(x)
            if bad >= 0:
                raise InputError(
                    f"EDSS must be 0 or 1.0 to 10.0 in half steps, not {x[bad]} (row {bad} of table '{table}'); "
                    "leave a missed visit out, or give NaN"
                )
            return x
        known = instruments().get(name)
        low, high = (known.low, known.high) if known else (-np.inf, np.inf)
        bad = _first_outside(x, low, high)
        if bad >= 0:
            raise InputError(
                f"column '{name}' of table '{table}' must be finite and within {low:g} to {high:g}, not {x[bad]} "
                f"(row {bad}); leave a missed visit out, or give NaN"
            )
        return x

    def rows(self, table: str) -> Rows:
        """Align a table with the patients."""
        if table not in self._rows:
            rep, pat, day = (self.integers(table, c) for c in ("replicate", "patient", "day"))
            offsets = np.zeros(self.n + 1, np.int64)
            wrong, j = _align(self.replicate, self.patient, rep, pat, day, offsets)
            if wrong:
                at = f"row {j} (replicate {rep[j]}, patient {pat[j]}, day {day[j]})"
                raise InputError(
                    {
                        _UNSORTED: f"table '{table}' must be sorted by replicate, patient, day; {at} comes too late",
                        _STRANGER: f"{at} of table '{table}' belongs to no row of table 'patients'",
                        _NEGATIVE: f"day must be >= 0 (days since randomisation); {at} of table '{table}' is not",
                    }[wrong]
                )
            self._rows[table] = Rows(offsets, day)
        return self._rows[table]

    def first_disposition(self, events: tuple[str, ...], reasons: tuple[str, ...] | None = None) -> Ints:
        """Return the day of the first disposition among ``events`` (for one of ``reasons``), else ``FOREVER``."""
        rows, code = self.rows("disposition"), self._disposition_code()
        wanted = np.isin(_DISPOSITIONS, events)
        if reasons is not None:
            reason = self.column("disposition", "reason")
            code = np.where(np.logical_or.reduce([reason == r for r in reasons]), code, len(_DISPOSITIONS))
            wanted = np.append(wanted, False)
        out = np.full(self.n, FOREVER)
        _earliest(rows.offsets, rows.day, code, wanted, out)
        return out

    def _disposition_code(self) -> Ints:
        """Return the number of each row's event in ``_DISPOSITIONS``."""
        if self._dispositions is None:
            event = self.column("disposition", "event")
            text = np.ascontiguousarray(event, dtype=np.str_ if event.dtype.kind != "U" else event.dtype)
            names = np.array(_DISPOSITIONS)
            code = np.empty(len(text), np.int64)
            bad = _code(_points(text), _points(names), code)
            if bad >= 0:
                name = str(event[bad])
                raise InputError(f"disposition '{name}' is not known{did_you_mean(name, _DISPOSITIONS)}")
            self._dispositions = code
        return self._dispositions

    def end(self, censor_at: tuple[str, ...]) -> Ints:
        """Return the last day of follow-up of each patient: first disposition among ``censor_at``, or closure."""
        closure = self.integers("patients", "closure_day")
        if (closure < 0).any():
            bad = int(np.flatnonzero(closure < 0)[0])
            raise InputError(
                f"closure_day must be >= 0 (days since randomisation), not {closure[bad]} (row {bad} of 'patients')"
            )
        return np.minimum(self.first_disposition(censor_at), closure.astype(np.int64))

    def visit_numbers(self, table: str) -> int:
        """Return how many visit numbers there are: those planned if the caller gave a plan, else up to the largest."""
        slots = int(self.integers(table, "visit").max(initial=0)) + 1
        if self._planned is None:
            return slots
        if slots > len(self._planned):
            raise InputError(f"planned_days has {len(self._planned)} visits; '{table}' has visit number {slots - 1}")
        return len(self._planned)

    def schedule_days(self, table: str) -> Floats:
        """Return the day of each scheduled visit, shape (replicates, visit numbers); NaN where none took place.

        It is the planned day if the caller gave a plan, else the mean day within the replicate: other replicates never
        matter, so that results do not depend on how replicates are spread over calls.
        """
        number, rows = self.integers(table, "visit"), self.rows(table)
        slots = int(number.max(initial=-1)) + 1
        mean = np.empty((self.n_groups, slots))
        _mean_day(self.group, rows.offsets, number, rows.day, mean)
        if self._planned is None:
            return mean
        if slots > len(self._planned):
            raise InputError(f"planned_days has {len(self._planned)} visits; '{table}' has visit number {slots - 1}")
        return np.where(np.isnan(mean), np.nan, self._planned[:slots])
