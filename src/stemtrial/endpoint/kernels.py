"""The loops over patients: one pass each, no allocation inside."""

from __future__ import annotations

from typing import Any

from numba import njit

from stemtrial.endpoint.ragged import DAYS_PER_YEAR


@njit(error_model="numpy", nogil=True, cache=True)
def visit_time(day: int, number: int, months: Any) -> float:
    """Years of a visit: its place in the schedule if there is one, else its day."""
    if 0 <= number < months.shape[0]:
        return float(months[number] / 12.0)
    return day / DAYS_PER_YEAR


@njit(error_model="numpy", nogil=True, cache=True)
def last_assessment(
    offsets: Any, day: Any, number: Any, end: Any, group: Any, months: Any, last_day: Any, last_time: Any
) -> None:  # fmt: skip
    """Move ``last_day`` and ``last_time`` forward to the last scheduled visit or scan within follow-up."""
    for i in range(end.shape[0]):
        for j in range(offsets[i], offsets[i + 1]):
            if day[j] > end[i]:
                break
            if number[j] >= 0 and day[j] > 0:
                last_day[i] = max(last_day[i], day[j])
                last_time[i] = max(last_time[i], visit_time(day[j], number[j], months[group[i]]))


@njit(error_model="numpy", nogil=True, cache=True)
def first_active_scan(
    offsets: Any, day: Any, number: Any, active: Any, in_a_row: int, from_day: int, end: Any, group: Any, months: Any,
    time: Any,
) -> None:  # fmt: skip
    """Lower ``time`` to the scan after baseline that completes the first ``in_a_row`` active ones."""
    for i in range(end.shape[0]):
        so_far = 0
        for j in range(offsets[i], offsets[i + 1]):
            if day[j] > end[i]:
                break
            if day[j] <= 0 or day[j] < from_day:
                continue
            so_far = so_far + 1 if active[j] else 0
            if so_far >= in_a_row:
                time[i] = min(time[i], visit_time(day[j], number[j], months[group[i]]))
                break


@njit(error_model="numpy", nogil=True, cache=True)
def first_shrunk_scan(
    offsets: Any, day: Any, number: Any, change_pct: Any, from_day: int, loss: float, end: Any, group: Any, months: Any,
    time: Any,
) -> None:  # fmt: skip
    """Lower ``time`` to the first scan that shows a yearly brain volume loss above ``loss`` since baseline."""
    for i in range(end.shape[0]):
        for j in range(offsets[i], offsets[i + 1]):
            if day[j] > end[i]:
                break
            if day[j] > 0 and day[j] >= from_day and -change_pct[j] * DAYS_PER_YEAR > loss * day[j]:
                time[i] = min(time[i], visit_time(day[j], number[j], months[group[i]]))
                break


@njit(error_model="numpy", nogil=True, cache=True)
def rows_until(offsets: Any, day: Any, until: Any, count: Any) -> None:
    """Count the rows of each patient up to and including a day."""
    for i in range(until.shape[0]):
        j = offsets[i]
        while j < offsets[i + 1] and day[j] <= until[i]:
            j += 1
        count[i] = j - offsets[i]


@njit(error_model="numpy", nogil=True, cache=True)
def nearest_visit(
    offsets: Any, day: Any, number: Any, value: Any, end: Any, group: Any, low: Any, high: Any, target: float, row: Any
) -> None:
    """Row of the scheduled visit after baseline nearest to ``target`` in [low, high] (the earlier of two), else -1.

    A visit without a value (NaN) is missing.
    """
    for i in range(end.shape[0]):
        row[i] = -1
        best = 0.0
        for j in range(offsets[i], offsets[i + 1]):
            d = day[j]
            if d > end[i] or d > high[group[i]]:
                break
            if d == 0 or d < low[group[i]] or number[j] < 0 or value[j] != value[j]:
                continue
            distance = abs(d - target)
            if row[i] < 0 or distance < best:
                row[i] = j
                best = distance


@njit(error_model="numpy", nogil=True, cache=True)
def sum_scans(
    offsets: Any, day: Any, lesions: Any, from_day: int, end: Any, group: Any, high: Any, count: Any, last_day: Any
) -> None:
    """Sum lesions over the scans after baseline from ``from_day`` to ``high`` and note the day of the last."""
    for i in range(end.shape[0]):
        count[i] = 0
        last_day[i] = 0
        for j in range(offsets[i], offsets[i + 1]):
            if day[j] > end[i] or day[j] > high[group[i]]:
                break
            if day[j] > 0 and day[j] >= from_day:
                count[i] += lesions[j]
                last_day[i] = day[j]
