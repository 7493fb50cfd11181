"""The visit or scan that stands for a time."""

from __future__ import annotations

import numpy as np

from stemtrial.endpoint import kernels
from stemtrial.endpoint.ragged import DAYS_PER_YEAR, Floats, Ints, Trial

_FAR = 1e9  # a day after every visit, small enough to subtract exactly


def window_of(trial: Trial, table: str, at_years: float | None) -> tuple[Floats, Floats, float]:
    """Days (earliest, latest) by replicate and target of the visit for the horizon; empty if there is none."""
    planned = trial.schedule_days(table)
    planned = np.sort(np.column_stack([np.where(planned > 0, planned, np.nan), np.zeros(len(planned))]), axis=1)
    low, high = np.full(len(planned), np.inf), np.full(len(planned), -np.inf)
    if at_years is None:
        return -low, -high, _FAR  # the last visit is the nearest to it
    target = at_years * DAYS_PER_YEAR
    for r, days in enumerate(planned):
        days = days[np.isfinite(days)]
        if len(days) < 2:
            continue
        k = int(np.argmin(np.abs(days - target)))
        before = (days[k] - days[k - 1] if k else days[1] - days[0]) / 2
        after = (days[k + 1] - days[k]) / 2 if k + 1 < len(days) else before
        if days[k] - before <= target <= days[k] + after:
            low[r], high[r] = target - before, target + after
    return low, high, target


def at_visit(
    trial: Trial, table: str, values: Floats, end: Ints, at_years: float | None, within_days: int | None = None
) -> tuple[Floats, Ints]:
    """Return the value at the visit nearest to the horizon (NaN: none) and its row (-1: none).

    The window reaches half-way to the neighbouring visits of the trial, or ``within_days`` either way.
    """
    low, high, target = window_of(trial, table, at_years)
    if within_days is not None:
        low, high = np.full(trial.n_groups, target - within_days), np.full(trial.n_groups, target + within_days)
    return _nearest(trial, table, values, end, (low, high, target))


def last_by(
    trial: Trial, table: str, values: Floats, end: Ints, at_years: float | None, from_days: int
) -> tuple[Floats, Ints]:
    """Return the last value from a day on, up to the window of the horizon (NaN: none), and its row (-1: none)."""
    _, high, target = window_of(trial, table, at_years)
    low = np.full(trial.n_groups, float(from_days))
    return _nearest(trial, table, values, end, (low, np.maximum(high, target), _FAR))


def _nearest(
    trial: Trial, table: str, values: Floats, end: Ints, window: tuple[Floats, Floats, float]
) -> tuple[Floats, Ints]:
    rows, row, number = trial.rows(table), np.empty(trial.n, np.int64), trial.integers(table, "visit")
    low, high, target = window
    kernels.nearest_visit(rows.offsets, rows.day, number, values, end, trial.group, low, high, target, row)
    out = np.full(trial.n, np.nan)
    out[row >= 0] = values[row[row >= 0]]
    return out, row
