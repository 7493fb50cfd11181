"""The course of a measurement over the scheduled visits, as a matrix; slopes of patients by least squares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stemtrial.endpoint.decline import Course, Slope
from stemtrial.endpoint.horizon import window_of
from stemtrial.endpoint.ragged import DAYS_PER_YEAR, FOREVER, Bools, Floats, Ints, Trial

_MONTHS = 12.0


class Points(NamedTuple):
    """Baseline in column 0, scheduled visit k in column k; NaN where a patient has no value.

    Attributes
    ----------
    day, value : ndarray, shape (patients, visits)
        Days since randomisation; unit of the measurement.
    """

    day: Floats
    value: Floats


def summed(trial: Trial, table: str, columns: Sequence[str]) -> Floats:
    """Return the sum of some columns of a table; NaN where one of them was not measured."""
    values = trial.floats(table, columns[0])
    for other in columns[1:]:
        values = values + trial.floats(table, other)
    return values


def points(trial: Trial, columns: Sequence[str], end: Ints, at_years: float | None) -> Points:
    """Return baseline and all scheduled visits within follow-up, up to the window of the horizon.

    The number of columns is that of the planned visits, so that a patient's row does not depend on the others.

    Parameters
    ----------
    trial : Trial
        Tables; reads ``visits`` and ``patients``.
    columns : sequence of str
        Measurement, and further ones that are added to it.
    end : ndarray of int64, shape (patients,)
        Last day of follow-up.
    at_years : float or None
        Horizon.
    """
    rows, number = trial.rows("visits"), trial.integers("visits", "visit")
    _, high, target = window_of(trial, "visits", at_years)
    last = np.minimum(end, np.maximum(high, target)[trial.group])
    who = np.repeat(np.arange(trial.n), np.diff(rows.offsets))
    seen = (number > 0) & (rows.day > 0) & (rows.day <= last[who])
    value = summed(trial, "visits", columns)
    out = Points(*(np.full((trial.n, trial.visit_numbers("visits")), np.nan) for _ in range(2)))
    out.day[who[seen], number[seen]] = rows.day[seen]
    out.value[who[seen], number[seen]] = value[seen]
    out.day[:, 0] = 0.0
    out.value[:, 0] = summed(trial, "patients", columns)
    return Points(np.where(np.isnan(out.value), np.nan, out.day), out.value)


def least_squares(at: Points, use: Bools, points_at_least: int) -> Floats:
    """Slope a year of each patient over the points ``use``; NaN with fewer points than asked for, or all of one day."""
    n = use.sum(1)
    x, y = (np.where(use, v, 0.0) for v in (at.day / DAYS_PER_YEAR, at.value))
    some = np.maximum(n, 1)
    dx = np.where(use, x - (x.sum(1) / some)[:, None], 0.0)
    dy = np.where(use, y - (y.sum(1) / some)[:, None], 0.0)
    spread = (dx**2).sum(1)
    fits = (n >= points_at_least) & (spread > 0)
    return np.where(fits, (dx * dy).sum(1) / np.where(fits, spread, 1.0), np.nan)


def slope_of(d: Slope, trial: Trial, at_years: float | None) -> Floats:
    """Return what a slope definition measures of each patient, before its limits; NaN: not assessed."""
    end, columns, assessed = trial.end(d.censor_at), (d.column, *d.plus), np.ones(trial.n, np.bool_)
    if d.baseline_at_least is not None:
        assessed = summed(trial, "patients", columns) >= d.baseline_at_least
    year = 1.0 if d.per == "year" else 1.0 / _MONTHS
    before = np.zeros(trial.n) if d.before is None else trial.floats("patients", d.before) * _MONTHS * year
    if d.measure == "before":
        return np.where(assessed & np.isfinite(summed(trial, "patients", columns)), before, np.nan)
    at = points(trial, columns, end, at_years)
    last = np.inf if d.to_days is None else d.to_days
    use = np.isfinite(at.value) & (at.day >= d.from_days) & (at.day <= last)
    slope = least_squares(at, use, d.points_at_least) * year
    if d.measure == "relative":
        declined = before < 0
        better = (slope - before) / np.where(declined, -before, 1.0)
        change = np.where(declined | np.isnan(better), better, 0.0)  # who did not decline has nothing to slow
    else:
        change = slope - before  # before is 0 for the slope itself
    return np.where(assessed, change, np.nan)


def died_by(trial: Trial, censor_at: tuple[str, ...], at_years: float | None) -> Bools:
    """Whether each patient is known to have died by the horizon."""
    horizon = np.inf if at_years is None else at_years * DAYS_PER_YEAR
    died = trial.first_disposition(("died",))
    return (died <= trial.end(censor_at)) & (died <= horizon)


def first_milestone(events: tuple[str, ...], deaths: bool, trial: Trial, end: Ints) -> Ints:
    """Day of the first of some milestones and, with ``deaths``, death; ``FOREVER`` without one by the end."""
    out = np.full(trial.n, FOREVER)
    if events:
        rows, event = trial.rows("milestones"), trial.column("milestones", "event")
        who = np.repeat(np.arange(trial.n), np.diff(rows.offsets))
        mine = np.isin(event, events)
        np.minimum.at(out, who[mine], rows.day[mine].astype(np.int64))
    if deaths:
        out = np.minimum(out, trial.first_disposition(("died",)))
    return np.where(out <= end, out, FOREVER)


def passed_before(events: tuple[str, ...], trial: Trial) -> Bools:
    """Whether each patient had passed one of the milestones at baseline, as far as the patients table says."""
    out = np.zeros(trial.n, np.bool_)
    for event in events:
        if trial.has("patients", event):
            out |= trial.floats("patients", event) > 0
    return out


def course_of(d: Course, trial: Trial, at_years: float | None) -> tuple[Points, Ints, Bools]:
    """Return points to the horizon, the day of the event or else the last of follow-up, and whether it came."""
    end = trial.end(d.censor_at)
    at = points(trial, (d.column, *d.plus), end, at_years)
    day = first_milestone(d.events, d.deaths, trial, end)
    horizon = FOREVER if at_years is None else int(np.floor(at_years * DAYS_PER_YEAR))
    return at, np.minimum(np.minimum(day, end), horizon), day <= np.minimum(end, horizon)
