"""From the tables of repeated trials to one number a replicate: every estimate that the protocol asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial import analysis
from stemtrial.endpoint import Counts, Courses, Definition, Events, Values, derive, find
from stemtrial.errors import InputError
from stemtrial.predict.courses import RANKS, Course, of_ranks, of_slopes
from stemtrial.predict.rows import NEAR_YEARS, SCALES, STATISTICS, Row, at_baseline, rows_of, unit_of
from stemtrial.tables import Table, row_of, take
from stemtrial.trial.entry import planned_days
from stemtrial.trial.parts import MONTH_DAYS
from stemtrial.trial.protocol import Protocol

__all__ = ["AT_A_VISIT", "FREE_OF", "SHARES", "STATISTICS", "Analysed", "Row", "estimate", "rows_of"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
AT_A_VISIT = ("confirmed_change", "first_activity")
"""Rules whose events are dated by the visit that shows them."""
FREE_OF = ("first_activity", "first_relapse")
"""Rules whose shares are told as *free of* the event, as the field does; ``..._complement`` tells the others."""


class Analysed:
    """Tables of some replicates, derived and reshaped to (replicates, patients) on demand."""

    def __init__(self, tables: Mapping[str, Table], protocol: Protocol) -> None:
        self.tables, self.protocol = tables, protocol
        patients = tables["patients"]
        self.replicates = np.unique(patients["replicate"])
        self.shape = (len(self.replicates), -1)
        self.arm = patients["arm"].reshape(self.shape)
        gone = tables["disposition"]
        never = (gone["event"] == "dropped_out") & (gone["day"] == 0)
        kept = np.ones(patients["patient"].shape, bool)
        kept[row_of(take(gone, never), self.replicates, self.arm.shape[1])] = False
        kept &= patients["closure_day"] > 0
        self.kept = kept.reshape(self.shape)
        self._derived: dict[tuple[str, float | None], Any] = {}

    def derive(self, endpoint: str, at_years: float | None = None) -> Events | Values | Counts | Courses:
        """Return an endpoint, derived once; what is read at a visit is read at the one that stands for the time."""
        at_years = self.protocol.horizon(endpoint, at_years)
        key = (endpoint, at_years)
        if key not in self._derived:
            self._derived[key] = derive(
                endpoint, self.tables, at_years=at_years, planned_days=planned_days(self.protocol)
            )
        found: Events | Values | Counts | Courses = self._derived[key]
        return found

    def square(self, column: NDArray[Any]) -> NDArray[Any]:
        """Shape (replicates, patients); what has several numbers a patient keeps them as a third axis."""
        return np.reshape(column, (*self.shape, *column.shape[1:]))

    def baseline(self, definition: Definition) -> Floats:
        """Baseline of what a definition measures, shape (replicates, patients)."""
        columns = [str(getattr(definition, "column", "")), *getattr(definition, "plus", ())]
        values: Floats = sum((self.tables["patients"][c].astype(np.float64) for c in columns), np.zeros(self.arm.size))
        return self.square(values)

    def of(self, arm: str) -> NDArray[np.bool_]:
        """Analysis set of an arm."""
        mine: NDArray[np.bool_] = self.kept & (self.arm == arm)
        return mine


def estimate(rows: list[Row], a: Analysed) -> Floats:
    """Return one value for each row and replicate, shape (rows, replicates); NaN where there is none."""
    return np.array([_one(row, a) for row in rows]).reshape(len(rows), len(a.replicates))


def _one(row: Row, a: Analysed) -> Floats:
    if isinstance(row.arm, tuple):
        treated, include = a.arm == row.arm[0], a.of(row.arm[0]) | a.of(row.arm[1])
    else:
        treated, include = None, a.kept if row.pooled else a.of(row.arm)
    definition = find(row.endpoint)
    if row.estimator in ("per_scan", "per_scan_ratio"):
        return _per_scan(row, a, treated, include)
    whole = row.estimator in ("cox", "logrank", "median_time", "kaplan_meier", "kaplan_meier_complement")
    if row.estimator in SHARES and definition.rule in AT_A_VISIT:
        whole = True  # what a visit shows by a time is read when its window has closed
    whole = whole or at_baseline(definition)
    match a.derive(row.endpoint, None if whole else row.time_years):
        case Events() as data:
            time, event = a.square(data.time_years), a.square(data.event)
            if getattr(definition, "subgroup", None):
                include = include & (time > 0)  # of a subgroup the others are no part
            value = _of_events(row, time, event, treated, include, _read_at(row, a))
        case Values() as data:
            y = a.square(data.value)
            seen = include & np.isfinite(y)
            y = np.where(seen, y, 0.0)
            if row.estimator in SHARES:
                value = _share(row, y > 0.5, treated, seen)
            elif row.estimator == "ancova_difference":
                value = analysis.ancova(y, np.where(seen, a.baseline(definition), 0.0), treated, seen).value
            else:
                value = _location(row, y, treated, seen)
        case Courses() as data:
            course = Course(*(a.square(x) for x in (data.time_years, data.value, data.end_years, data.event)))
            if row.estimator in RANKS:
                ranked = a.kept if treated is None else include  # an arm's mean rank is one among everybody
                value = of_ranks(row.estimator, course, a.arm == row.arms[0], ranked)
            else:
                value = of_slopes(row.estimator, course, treated, include, a.protocol.design == "randomised")
        case Counts() as data:
            count, years = a.square(data.count), a.square(data.exposure_years)
            seen = include & (years > 0)
            if row.estimator in ("mean", "mean_difference", "mean_ratio", "median", "dispersion"):
                value = _location(row, np.where(seen, count, 0).astype(float), treated, seen)
            else:
                value = _rate(row, count, np.where(seen, years, 1.0), treated, seen)
    return value * SCALES.get((unit_of(definition, row.estimator), row.unit), 1.0)


SHARES = ("proportion", "complement", "risk_difference", "risk_ratio", "odds_ratio")


def _share(row: Row, happened: Bools, treated: Any, include: Bools) -> Floats:
    """Proportions and their contrasts; ``happened`` is told as the endpoint is."""
    if row.estimator == "risk_difference":
        return analysis.risk_difference(happened, treated, include).value
    if row.estimator == "risk_ratio":
        return analysis.risk_ratio(happened, treated, include).value
    if row.estimator == "odds_ratio":
        return analysis.odds_ratio(happened, treated, include).value
    value = analysis.proportion(happened ^ (row.estimator == "complement"), include).value
    return np.rint(value * include.sum(1)) if row.statistic == "count" else value


def _location(row: Row, y: Floats, treated: Any, seen: Bools) -> Floats:
    """Means, medians and their contrasts."""
    match row.estimator:
        case "mean":
            value = analysis.mean(y, seen).value
            return np.rint(value * seen.sum(1)) if row.statistic == "count" else value
        case "mean_difference":
            return analysis.mean_difference(y, treated, seen).value
        case "crossover_difference":  # y: second period minus first, which holds the effect once with each sign
            return -0.5 * analysis.mean_difference(y, treated, seen).value
        case "mean_ratio":
            return analysis.mean_ratio(y, treated, seen).value
        case "median":
            return analysis.median(y, seen).value
        case "dispersion":
            return analysis.dispersion(y, seen)
        case "geometric_mean":
            return analysis.geometric_mean(y, seen).value
        case "geometric_mean_ratio":
            return analysis.geometric_mean_ratio(y, treated, seen).value
        case "slope":
            assert row.time_years is not None  # the protocol's check asks for times
            start = (getattr(find(row.endpoint), "reference_days", None) or 0) / 365.25
            return analysis.mean(y, seen).value / (row.time_years - start)
    raise InputError(f"estimator '{row.estimator}' does not fit endpoint '{row.endpoint}', a number a patient")


def _rate(row: Row, count: Any, years: Floats, treated: Any, seen: Bools) -> Floats:
    if row.estimator == "rate_difference":
        fit = analysis.negative_binomial(count, years, treated, seen)
        return fit.treated.value - fit.control.value
    if treated is not None:
        return analysis.negative_binomial(count, years, treated, seen).ratio.value
    return analysis.annualised_rate(count, years, seen).rate.value


def _per_scan(row: Row, a: Analysed, treated: Any, include: Bools) -> Floats:
    """Lesions a scan: all lesions over all scheduled scans after baseline, to the horizon if there is one."""
    scans = a.tables["mri"]
    planned = np.asarray(planned_days(a.protocol), float)
    limit = np.inf if row.time_years is None else (row.time_years + NEAR_YEARS) * 365.25
    counted = (scans["visit"] > 0) & (planned[np.maximum(scans["visit"], 0)] <= limit)
    place = row_of(scans, a.replicates, a.arm.shape[1])[counted]
    column = getattr(find(row.endpoint), "column", "new_t2_lesions")
    lesions = a.square(np.bincount(place, scans[column][counted].astype(float), a.arm.size))
    number = a.square(np.bincount(place, minlength=a.arm.size).astype(float))
    seen = include & (number > 0)
    if treated is not None:
        return analysis.negative_binomial(lesions, np.where(seen, number, 1.0), treated, seen).ratio.value
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(seen, lesions, 0).sum(1) / np.where(seen, number, 0).sum(1), float)


def _read_at(row: Row, a: Analysed) -> float | None:
    """Time at which a survival curve is read.

    What only a visit can show is read when everybody's window of the visit that stands for the time has closed: on the
    planned day half of that visit's events were still to come. What happens on a day of its own is read on that day, or
    at the last visit where that comes earlier.
    """
    t, visits = row.time_years, a.protocol.visits
    definition = find(row.endpoint)
    if t is None or getattr(definition, "event_time", None) == "scheduled":
        return t
    month = visits.near(t)
    if definition.rule in AT_A_VISIT and month is not None:
        return (round(month * MONTH_DAYS) + visits.window_days) / 365.25
    return t if t * 12 <= visits.months[-1] else a.protocol.follow_up_days / 365.25


def _of_events(row: Row, time: Floats, event: Bools, treated: Any, include: Bools, at_years: float | None) -> Floats:
    free = find(row.endpoint).rule in FREE_OF
    if row.estimator == "cox":
        return analysis.cox(time, event, treated, include).value
    if row.estimator == "logrank":
        return analysis.logrank(time, event, treated, include).p_value
    if row.estimator == "median_time":
        return analysis.median_time(time, event, include).value
    if row.estimator in SHARES:
        by_then = event if at_years is None else event & (time <= at_years + 1e-9)
        return _share(row, by_then ^ free, treated, include)
    if row.estimator in ("kaplan_meier", "kaplan_meier_complement"):
        assert at_years is not None  # the protocol's check asks for times
        curve = analysis.kaplan_meier(time, event, [at_years], include)
        told_free = free ^ (row.estimator == "kaplan_meier_complement")
        return (curve.survival if told_free else curve.event_probability)[:, 0]
    raise InputError(f"estimator '{row.estimator}' does not fit endpoint '{row.endpoint}', a time to an event")
