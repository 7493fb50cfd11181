"""The loops over patients: one pass each, no allocation inside."""

from __future__ import annotations

from typing import Any

from numba import njit

from stemtrial.endpoint.ragged import DAYS_PER_YEAR, FOREVER

_EPS = 1e-9  # half steps are exact; a baseline given as a mean of two ratings need not be


@njit(error_model="numpy", nogil=True, cache=True)
def visit_time(day: int, number: int, months: Any) -> float:
    """Years of a visit: its place in the schedule if there is one, else its day."""
    if 0 <= number < months.shape[0]:
        return float(months[number] / 12.0)
    return day / DAYS_PER_YEAR


@njit(error_model="numpy", nogil=True, cache=True)
def confirmed_change(
    baseline: Any, offsets: Any, day: Any, number: Any, edss: Any, relapse_offsets: Any, relapse_day: Any, end: Any,
    death_day: Any, group: Any, up_to: Any, by: Any, sign: float, confirm_after: int, onset_from: int,
    baseline_at_least: float, scheduled_only: bool, exclude_after_relapse: int, end_is_event: bool,
    death_is_event: bool, months: Any, time: Any, event: Any,
) -> None:  # fmt: skip
    """Fill ``time`` (years) and ``event`` of every patient; see :class:`..definition.ConfirmedChange`."""
    for i in range(baseline.shape[0]):
        time[i] = 0.0
        event[i] = False
        if baseline[i] < baseline_at_least:
            continue
        need = by[0]
        for k in range(up_to.shape[0]):
            need = by[k]
            if baseline[i] <= up_to[k]:
                break
        onset_day, onset_time, last = -1, 0.0, 0.0
        r, r_end = relapse_offsets[i], relapse_offsets[i + 1]
        for j in range(offsets[i], offsets[i + 1]):
            d = day[j]
            if d > end[i]:
                break
            if d == 0 or (scheduled_only and number[j] < 0):
                continue
            if exclude_after_relapse >= 0:
                while r < r_end and relapse_day[r] <= d:
                    r += 1
                if r > relapse_offsets[i] and d - relapse_day[r - 1] <= exclude_after_relapse:
                    continue
            last = visit_time(d, number[j], months[group[i]])
            if sign * (edss[j] - baseline[i]) < need - _EPS:
                onset_day = -1
            elif onset_day < 0:
                if d >= onset_from:
                    onset_day, onset_time = d, last
            elif d - onset_day >= confirm_after:
                event[i] = True
                break
        if event[i] or (end_is_event and onset_day >= 0):
            event[i] = True
            time[i] = onset_time
        elif death_is_event and death_day[i] != FOREVER and death_day[i] <= end[i]:
            event[i] = True
            time[i] = death_day[i] / DAYS_PER_YEAR
        else:
            time[i] = last


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
    offsets: Any, day: Any, number: Any, lesions: Any, from_day: int, end: Any, group: Any, months: Any, time: Any
) -> None:
    """Lower ``time`` to the first scan after baseline that shows a lesion."""
    for i in range(end.shape[0]):
        for j in range(offsets[i], offsets[i + 1]):
            if day[j] > end[i]:
                break
            if day[j] > 0 and day[j] >= from_day and lesions[j] > 0:
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
    offsets: Any, day: Any, number: Any, end: Any, group: Any, low: Any, high: Any, target: float, row: Any
) -> None:
    """Row of the scheduled visit after baseline nearest to ``target`` in [low, high] (the earlier of two), else -1."""
    for i in range(end.shape[0]):
        row[i] = -1
        best = 0.0
        for j in range(offsets[i], offsets[i + 1]):
            d = day[j]
            if d > end[i] or d > high[group[i]]:
                break
            if d == 0 or d < low[group[i]] or number[j] < 0:
                continue
            distance = abs(d - target)
            if row[i] < 0 or distance < best:
                row[i] = j
                best = distance


@njit(error_model="numpy", nogil=True, cache=True)
def sum_scans(offsets: Any, day: Any, lesions: Any, end: Any, group: Any, high: Any, count: Any, last_day: Any) -> None:
    """Sum lesions over the scans after baseline up to ``high`` days and note the day of the last."""
    for i in range(end.shape[0]):
        count[i] = 0
        last_day[i] = 0
        for j in range(offsets[i], offsets[i + 1]):
            if day[j] > end[i] or day[j] > high[group[i]]:
                break
            if day[j] > 0:
                count[i] += lesions[j]
                last_day[i] = day[j]
