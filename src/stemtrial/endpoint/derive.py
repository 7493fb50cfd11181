"""Tables to endpoints: one entry point, :func:`derive`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

import numpy as np
from numpy.typing import ArrayLike

from stemtrial.endpoint import kernels
from stemtrial.endpoint.change import first_change, months
from stemtrial.endpoint.confirmed import ConfirmedChange
from stemtrial.endpoint.decline import JointRank, Slope, Trajectory
from stemtrial.endpoint.definition import find, parts_of, worsening_of
from stemtrial.endpoint.harm import Harms
from stemtrial.endpoint.horizon import at_visit, last_by, window_of
from stemtrial.endpoint.ragged import DAYS_PER_YEAR, FOREVER, Bools, Floats, Ints, Rows, Trial, Whole
from stemtrial.endpoint.rules import (
    AdverseEvent,
    AnyOf,
    Death,
    Definition,
    FirstActivity,
    FirstMilestone,
    FirstRelapse,
    Leaving,
    LesionCount,
    LesionFree,
    RelapseCount,
    TreatmentDeath,
    VisitValue,
)
from stemtrial.endpoint.trajectory import course_of, died_by, first_milestone, passed_before, slope_of, summed
from stemtrial.errors import InputError
from stemtrial.tables import Table

_EPS = 1e-9  # 8 s are 20 % less than 10 s, but not to the last bit


@dataclass(frozen=True)
class _Result:
    """Key columns, aligned row by row with the patients table."""

    definition: Definition
    replicate: Whole
    patient: Whole


@dataclass(frozen=True)
class Events(_Result):
    """Time to an event: years since randomisation, and whether it happened (else censored then)."""

    time_years: Floats
    event: Bools


@dataclass(frozen=True)
class Values(_Result):
    """One number a patient; NaN where the patient has no visit in the window of the horizon."""

    value: Floats


@dataclass(frozen=True)
class Counts(_Result):
    """A count and the years over which it was taken; 0 years: not observed."""

    count: Ints
    exposure_years: Floats


@dataclass(frozen=True)
class Courses(_Result):
    """A measurement over time, and the event that ends it.

    Attributes
    ----------
    time_years, value : ndarray, shape (patients, visits)
        Baseline in column 0, scheduled visit k in column k; NaN where a patient has no value.
    end_years : ndarray, shape (patients,)
        Years to the event, or to the end of follow-up (the horizon if that comes first).
    event : ndarray of bool, shape (patients,)
        Whether it happened.

    """

    time_years: Floats
    value: Floats
    end_years: Floats
    event: Bools


def derive(
    definition: str | Definition,
    tables: Mapping[str, Table],
    at_years: float | None = None,
    planned_days: ArrayLike | None = None,
) -> Events | Values | Counts | Courses:
    """Derive an endpoint for every patient of every replicate.

    Parameters
    ----------
    definition : str or Definition
        Id of a definition (:func:`definitions`), or a definition from :func:`find` or :func:`define`.
    tables : mapping of str to Table
        ``patients`` and what the rule needs of the other tables (:func:`needs`), each sorted by replicate, patient,
        day. Baseline values are those of ``patients``; rows on day 0 are not follow-up.
    at_years : float, optional
        Horizon. Times to event are censored there; counts stop there; values come from the scheduled visit nearest
        to it within half the gap to the neighbouring scheduled visits. Without it: all of follow-up, and the last
        scheduled visit.
    planned_days : array_like of float, optional
        Planned day of visit number 0, 1, ..., as in the protocol. Without it: the mean day of each visit number within
        the replicate, which wanders where few patients remain.

    Returns
    -------
    Events, Values, Counts or Courses
        Rows as in the patients table.

    Raises
    ------
    InputError
        If the definition is unknown, a table or column is missing, unsorted or strange to the patients, a day is
        negative, an EDSS is off its scale, a needed value is NaN, or the horizon is not positive.

    """
    d = find(definition)
    if at_years is not None and not (np.isfinite(at_years) and at_years > 0):
        raise InputError(f"at_years must be positive, not {at_years}")
    trial = Trial(tables, planned_days)
    key = (d, trial.replicate, trial.patient)
    match d:
        case ConfirmedChange():
            time, event = first_change(d, trial)
            for column, least in d.subgroup.items():
                inside = trial.floats("patients", column) >= least
                time, event = np.where(inside, time, 0.0), event & inside
            return Events(*key, *_until(time, event, at_years))
        case FirstActivity():
            return Events(*key, *_until(*_first_activity(d, trial), at_years))
        case FirstRelapse():
            first = _first_day(trial.rows("relapses"))
            if d.deaths:
                first = np.minimum(first, trial.first_disposition(("died",)))
            return Events(*key, *_until(*_by_day(first, trial.end(d.censor_at)), at_years))
        case Death():
            died = trial.first_disposition(("died",))
            return Events(*key, *_until(*_by_day(died, trial.end(d.censor_at)), at_years))
        case FirstMilestone():
            at_risk = ~passed_before(d.events, trial)
            end = np.where(at_risk, trial.end(d.censor_at), 0)
            day = np.where(at_risk, first_milestone(d.events, d.deaths, trial, end), FOREVER)
            return Events(*key, *_until(*_by_day(day, end), at_years))
        case Leaving():
            left = trial.first_disposition(d.events)
            return Events(*key, *_until(*_by_day(left, trial.end(d.censor_at)), at_years))
        case RelapseCount():
            end = _capped(trial.end(d.censor_at), at_years)
            rows, count = trial.rows("relapses"), np.empty(trial.n, np.int64)
            kernels.rows_until(rows.offsets, rows.day, end, count)
            return Counts(*key, count, end / DAYS_PER_YEAR)
        case LesionCount():
            return Counts(*key, *_lesions(d, trial, at_years))
        case LesionFree():
            return Values(*key, _lesion_free(d, trial, at_years))
        case VisitValue():
            return Values(*key, _visit_value(d, trial, at_years))
        case Slope():
            measured = _within(slope_of(d, trial, at_years), d)
            if d.dead == "fails":
                measured = np.where(died_by(trial, d.censor_at, at_years), 0.0, measured)
            return Values(*key, measured)
        case Trajectory() | JointRank():
            at, end, event = course_of(d, trial, at_years)
            return Courses(*key, at.day / DAYS_PER_YEAR, at.value, end / DAYS_PER_YEAR, event)
        case TreatmentDeath():
            died = trial.first_disposition(("died",), d.reasons)
            return Values(*key, (died <= _capped(trial.end(d.censor_at), at_years)).astype(np.float64))
        case AdverseEvent():
            end = trial.end(d.censor_at)
            if d.counts == "first":
                return Events(*key, *_until(*_by_day(*Harms(d, trial, end).first()), at_years))
            harms = Harms(d, trial, _capped(end, at_years))
            if d.counts == "events":
                return Counts(*key, *harms.events())
            return Values(*key, harms.months() if d.counts == "months" else harms.patients())
        case AnyOf():
            parts = np.array([_visit_value(part, trial, at_years) for part in parts_of(d)])
            shown = np.isfinite(parts).any(0)
            return Values(*key, np.where(shown, (parts == 1.0).any(0).astype(np.float64), np.nan))
        case _:
            assert_never(d)


def _capped(end: Ints, at_years: float | None) -> Ints:
    """Follow-up cut at the horizon, whole days."""
    return end if at_years is None else np.minimum(end, int(np.floor(at_years * DAYS_PER_YEAR)))


def _until(time: Floats, event: Bools, at_years: float | None) -> tuple[Floats, Bools]:
    """Times censored at the horizon."""
    if at_years is None:
        return time, event
    return np.minimum(time, at_years), event & (time <= at_years)


def _by_day(day: Ints, end: Ints) -> tuple[Floats, Bools]:
    """Time to an event on a known day within follow-up."""
    event = day <= end
    return np.where(event, day, end) / DAYS_PER_YEAR, event & (day != FOREVER)


def _first_day(rows: Rows, from_day: int = 0) -> Ints:
    """Day of the first row of each patient on or after a day, else ``FOREVER``."""
    out = np.full(len(rows.offsets) - 1, FOREVER)
    late = np.append(0, np.cumsum(rows.day >= from_day))
    has = late[rows.offsets[1:]] > late[rows.offsets[:-1]]
    # rows of a patient ascend, so that the late ones are the last
    first = rows.offsets[1:] - (late[rows.offsets[1:]] - late[rows.offsets[:-1]])
    out[has] = rows.day[first[has]]
    return out


def _first_activity(d: FirstActivity, trial: Trial) -> tuple[Floats, Bools]:
    end = trial.end(d.censor_at)
    last_day, last_time = np.zeros(trial.n, np.int64), np.zeros(trial.n)
    scan_months = months(trial, "mri", d.event_time)
    for table, clock in (("visits", months(trial, "visits", d.event_time)), ("mri", scan_months)):
        rows, number = trial.rows(table), trial.integers(table, "visit")
        kernels.last_assessment(rows.offsets, rows.day, number, end, trial.group, clock, last_day, last_time)
    first = np.full(trial.n, np.inf)
    scans, number = trial.rows("mri"), trial.integers("mri", "visit")
    shown = (
        ("gd_lesions", d.gd_lesions, 1, 1),
        ("new_t2_lesions", d.new_t2_lesions, d.new_t2_at_least, d.consecutive_scans),
    )
    for column, counts, at_least, in_a_row in shown:
        if counts:
            active = _lesion_counts(trial, column) >= at_least
            kernels.first_active_scan(
                scans.offsets,
                scans.day,
                number,
                active,
                in_a_row,
                d.mri_from_days,
                end,
                trial.group,
                scan_months,
                first,
            )
    if d.brain_volume_loss_pct_per_year is not None:
        kernels.first_shrunk_scan(
            scans.offsets,
            scans.day,
            number,
            trial.floats("mri", "brain_volume_change_pct"),
            max(d.mri_from_days, d.brain_volume_from_days),
            d.brain_volume_loss_pct_per_year,
            end,
            trial.group,
            scan_months,
            first,
        )
    if d.relapses:
        day = _first_day(trial.rows("relapses"), d.relapses_from_days)
        first = np.where(day <= last_day, np.minimum(first, day / DAYS_PER_YEAR), first)
    if d.deaths:
        died = trial.first_disposition(("died",))
        first = np.where(died <= end, np.minimum(first, died / DAYS_PER_YEAR), first)
    worsening = worsening_of(d)
    if worsening is not None:
        time, event = first_change(worsening, trial)
        first = np.where(event, np.minimum(first, time), first)
    event = np.isfinite(first)
    return np.where(event, first, last_time), event


def _visit_value(d: VisitValue, trial: Trial, at_years: float | None) -> Floats:
    return _within(_measured(d, trial, at_years), d)


def _within(values: Floats, d: VisitValue | Slope) -> Floats:
    """Return values as they are or, where the definition has limits, whether they lie within."""
    if d.kind != "status":
        return values
    low, high = (-np.inf if d.at_least is None else d.at_least), (np.inf if d.at_most is None else d.at_most)
    within = (low - _EPS <= values) & (values <= high + _EPS)
    return np.where(np.isnan(values), np.nan, within.astype(np.float64))


def _measured(d: VisitValue, trial: Trial, at_years: float | None) -> Floats:
    columns = (d.column, *d.plus)
    if d.at_baseline:
        trial.end(d.censor_at)  # of whose tables anything is read, those are whole
        return _of_reference(summed(trial, "patients", columns), d)
    values, end = summed(trial, d.table, columns), trial.end(d.censor_at)
    out, row = at_visit(trial, d.table, values, end, at_years)
    if d.carried_from_days is not None:
        last, at = last_by(trial, d.table, values, end, at_years, d.carried_from_days)
        out, row = np.where(np.isnan(out), last, out), np.where(row < 0, at, row)
    if d.dead is not None:
        _, high, target = window_of(trial, d.table, at_years)
        died = trial.first_disposition(("died",))
        before_visit = np.isnan(out) & (died <= high[trial.group])  # of the horizon, which may be late
        out = np.where((died <= end) & ((died <= target) | before_visit), d.dead, out)
    if d.change == "none" and not d.limits_reference:
        return out
    earlier = np.full(trial.n, -1)
    if d.reference_days is None:
        reference = summed(trial, "patients", columns)
    else:
        reference, earlier = at_visit(trial, d.table, values, end, d.reference_days / DAYS_PER_YEAR)
        reference = np.where(earlier <= row, reference, np.nan)
    reference = _of_reference(reference, d)
    if d.change == "none":
        return np.where(np.isnan(reference), np.nan, out)
    if d.change == "difference":
        return out - reference
    if d.change == "slope_change":
        return _slope(trial, d.table, row, earlier, out - reference) - _slope(
            trial, d.table, earlier, None, reference - summed(trial, "patients", columns)
        )
    if d.change == "chained_percent":
        out, reference = 100.0 + out, 100.0 + reference
    positive = reference > 0  # a share of nothing is not defined
    if d.change == "ratio":
        return np.where(positive, out / np.where(positive, reference, 1.0), np.nan)
    fraction = np.where(positive, out / np.where(positive, reference, 1.0) - 1.0, np.nan)
    return fraction if d.change == "fraction" else 100.0 * fraction


def _of_reference(reference: Floats, d: VisitValue) -> Floats:
    """References within the limits of the definition; NaN for the others, who are not assessed."""
    low = -np.inf if d.reference_at_least is None else d.reference_at_least
    high = np.inf if d.reference_at_most is None else d.reference_at_most
    return np.where((low - _EPS <= reference) & (reference <= high + _EPS), reference, np.nan)


def _slope(trial: Trial, table: str, to: Ints, since: Ints | None, change: Floats) -> Floats:
    """Change a month between the days of two rows (``None``: day 0); NaN where there is no time between them."""
    day = np.append(trial.rows(table).day, 0)  # row -1, none, has no value anyway
    days = day[to] - (0 if since is None else day[since])
    return np.where(days > 0, change / np.where(days > 0, days, 1) * (DAYS_PER_YEAR / 12), np.nan)


def _lesion_counts(trial: Trial, column: str) -> Whole:
    lesions = trial.integers("mri", column)
    if (lesions < 0).any():
        bad = int(np.flatnonzero(lesions < 0)[0])
        raise InputError(f"{column} must be >= 0, not {lesions[bad]} (row {bad} of table 'mri')")
    return lesions


def _lesion_free(d: LesionFree, trial: Trial, at_years: float | None) -> Floats:
    lesions, end = _lesion_counts(trial, d.column), trial.end(d.censor_at)
    shown, row = at_visit(trial, "mri", lesions.astype(np.float64), end, at_years)
    if d.scans == "to_horizon":
        before = np.append(0, np.cumsum(lesions * (trial.rows("mri").day > 0), dtype=np.int64))
        shown = (before[row + 1] - before[trial.rows("mri").offsets[:-1]]).astype(np.float64)
    return np.where(row >= 0, (shown == 0).astype(np.float64), np.nan)


def _lesions(d: LesionCount, trial: Trial, at_years: float | None) -> tuple[Ints, Floats]:
    rows = trial.rows("mri")
    lesions = _lesion_counts(trial, d.column)
    _, high, target = window_of(trial, "mri", at_years)
    count, last = np.empty(trial.n, np.int64), np.empty(trial.n, np.int64)
    until = np.maximum(high, target)  # scans that are late by less than the window still belong to the horizon
    end = trial.end(d.censor_at)
    kernels.sum_scans(rows.offsets, rows.day, lesions, d.from_days, end, trial.group, until, count, last)
    return count, last / DAYS_PER_YEAR
