"""The walk through one patient's visits that finds confirmed changes; every definition of worsening goes this way."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from stemtrial.endpoint.kernels import visit_time
from stemtrial.endpoint.ragged import DAYS_PER_YEAR, FOREVER

_EPS = 1e-9  # half steps are exact; a baseline given as a mean of two ratings need not be
ANY, PIRA, RAW, UNDEFINED = -1, 0, 1, 2
"""Classes of changes; ``ANY`` asks for all of them."""


@njit(error_model="numpy", nogil=True, cache=True)
def needed(reference: float, up_to: Any, by: Any, reach: float, percent: float) -> float:
    """Change that counts from ``reference``: a percentage, the way to a milestone, or by thresholds."""
    if percent > 0.0:
        return reference * percent / 100.0
    if reach > 0.0:
        return reach - reference
    for k in range(up_to.shape[0]):
        if reference <= up_to[k]:
            return float(by[k])
    return float(by[-1])


@njit(error_model="numpy", nogil=True, cache=True)
def _relapse_within(windows: Any, at: Any, relapse_day: Any, first: int, last: int) -> bool:
    """Whether one of the relapses ``first:last`` lies in one of the windows around the anchors ``at``."""
    for w in range(windows.shape[0]):
        low, high = at[windows[w, 0]] + windows[w, 1], at[windows[w, 2]] + windows[w, 3]
        for r in range(first, last):
            if low <= relapse_day[r] <= high:
                return True
    return False


@njit(error_model="numpy", nogil=True, cache=True)
def classify(near: Any, free: Any, known: bool, at: Any, relapse_day: Any, first: int, last: int) -> int:
    """Class of a change with anchors ``at`` (days of reference, previous visit, onset, confirmation)."""
    if _relapse_within(near, at, relapse_day, first, last):
        return RAW
    if _relapse_within(free, at, relapse_day, first, last):
        return UNDEFINED
    if not known:
        for w in range(near.shape[0]):
            if at[near[w, 0]] + near[w, 1] < 0:
                return UNDEFINED
        for w in range(free.shape[0]):
            if at[free[w, 0]] + free[w, 1] < 0:
                return UNDEFINED
    return PIRA


@njit(error_model="numpy", nogil=True, cache=True)
def _better_for_good(
    j: int, stop: int, end: int, day: Any, number: Any, value: Any, sign: float, confirm_after: int,
    scheduled_only: bool, relapse_day: Any, r: int, r_end: int, first: int, exclude: int,
) -> bool:  # fmt: skip
    """Whether every usable visit after ``j`` is at least as good, up to the first one late enough to confirm it."""
    for k in range(j + 1, stop):
        d = day[k]
        if d > end:
            return False
        if (scheduled_only and number[k] < 0) or value[k] != value[k]:
            continue
        if exclude >= 0:
            while r < r_end and relapse_day[r] <= d:
                r += 1
            if r > first and d - relapse_day[r - 1] <= exclude:
                continue
        if sign * (value[k] - value[j]) > _EPS:
            return False
        if d - day[j] >= confirm_after:
            return True
    return False


@njit(error_model="numpy", nogil=True, cache=True)
def find_changes(
    baseline: Any, at_risk: Any, offsets: Any, day: Any, number: Any, value: Any, blocked: Any, relapse_offsets: Any,
    relapse_day: Any, end: Any, death_day: Any, group: Any, up_to: Any, by: Any, reach: float, percent: float,
    sign: float, confirm_after: int, onset_from: int, roving: bool, rebaseline: int, scheduled_only: bool, exclude: int,
    near: Any, free: Any, known: bool, wanted: int, every: bool, end_is_event: bool, death_is_event: bool, months: Any,
    time: Any, event: Any, found_days: Any, found_values: Any,
) -> int:  # fmt: skip
    """Find the changes of one measure; see :class:`..rules.ConfirmedChange`.

    Fills ``time`` (years) and ``event`` of the first change of the class ``wanted``. With ``every``, lists all changes
    of all classes in ``found_days`` (patient, reference, onset, confirmation or -1, class) and ``found_values``
    (reference, onset, confirmation), and returns how many there are.
    """
    n_found = 0
    classified = near.shape[0] > 0 or free.shape[0] > 0
    at = np.zeros(4, np.int64)
    for i in range(baseline.shape[0]):
        time[i] = 0.0
        event[i] = False
        reference = baseline[i]
        if not at_risk[i] or reference != reference:
            continue
        need = needed(reference, up_to, by, reach, percent)
        if need <= 0.0:
            continue
        reference_day, spent, pending = 0, False, -1
        onset, onset_day, onset_time, before_onset, previous, last = -1, 0, 0.0, 0, 0, 0.0
        first, r_end = relapse_offsets[i], relapse_offsets[i + 1]
        while r_end > first and relapse_day[r_end - 1] > end[i]:
            r_end -= 1  # nobody knows of it
        r = first
        for j in range(offsets[i], offsets[i + 1]):
            d = day[j]
            if d > end[i]:
                break
            x = value[j]
            if d == 0 or (scheduled_only and number[j] < 0) or x != x:
                continue
            if rebaseline >= 0 or exclude >= 0:
                while r < r_end and relapse_day[r] <= d:
                    pending = relapse_day[r]
                    r += 1
                if exclude >= 0 and r > first and d - relapse_day[r - 1] <= exclude:
                    continue
            last = visit_time(d, number[j], months[group[i]])
            holds = need > 0.0 and sign * (x - reference) >= need - _EPS and not (blocked.shape[0] and blocked[j])
            confirmed = False
            if not holds:
                onset = -1
            elif not spent:
                if onset < 0 and d >= onset_from:
                    onset, onset_day, onset_time, before_onset = j, d, last, previous
                    confirmed = confirm_after <= 0
                elif onset >= 0:
                    confirmed = d - onset_day >= confirm_after
            if confirmed:
                kind = UNDEFINED
                if classified:
                    at[0], at[1], at[2], at[3] = reference_day, before_onset, onset_day, d
                    kind = classify(near, free, known, at, relapse_day, first, r_end)
                if not event[i] and (wanted == ANY or kind == wanted):
                    event[i] = True
                    time[i] = onset_time
                if every:
                    found_days[n_found, 0], found_days[n_found, 1], found_days[n_found, 2] = i, reference_day, onset_day
                    found_days[n_found, 3], found_days[n_found, 4] = d, kind
                    found_values[n_found, 0], found_values[n_found, 1] = reference, value[onset]
                    found_values[n_found, 2] = x
                    n_found += 1
                elif event[i]:
                    break
                onset = -1
                spent = not roving
                if roving:
                    reference, reference_day = x, d
                    need = needed(reference, up_to, by, reach, percent)
            elif (
                roving
                and not holds
                and sign * (x - reference) < -_EPS
                and _better_for_good(
                    j, offsets[i + 1], end[i], day, number, value, sign, confirm_after, scheduled_only,
                    relapse_day, r, r_end, first, exclude,
                )
            ):  # fmt: skip
                reference, reference_day = x, d
                need = needed(reference, up_to, by, reach, percent)
            if rebaseline >= 0 and pending >= 0 and onset < 0 and d - pending >= rebaseline:
                reference, reference_day, spent, pending = x, d, False, -1
                need = needed(reference, up_to, by, reach, percent)
            previous = d
        if end_is_event and onset >= 0:
            kind = UNDEFINED
            if classified:
                at[0], at[1], at[2], at[3] = reference_day, before_onset, onset_day, previous
                kind = classify(near, free, known, at, relapse_day, first, r_end)
            if not event[i] and (wanted == ANY or kind == wanted):
                event[i] = True
                time[i] = onset_time
            if every:
                found_days[n_found, 0], found_days[n_found, 1], found_days[n_found, 2] = i, reference_day, onset_day
                found_days[n_found, 3], found_days[n_found, 4] = -1, kind
                found_values[n_found, 0], found_values[n_found, 1] = reference, value[onset]
                found_values[n_found, 2] = np.nan
                n_found += 1
        if not event[i]:
            if death_is_event and death_day[i] != FOREVER and death_day[i] <= end[i]:
                event[i] = True
                time[i] = death_day[i] / DAYS_PER_YEAR
            else:
                time[i] = last
    return n_found
