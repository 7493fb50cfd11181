"""From the tables of repeated trials to one number a replicate: every estimate that the protocol asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial import analysis
from stemtrial.endpoint import Counts, Definition, Events, Values, derive, find
from stemtrial.errors import InputError
from stemtrial.evidence import Outcome, Study, term_of
from stemtrial.tables import Table, row_of, take
from stemtrial.trial.entry import planned_days
from stemtrial.trial.parts import CONTRASTS, MONTH_DAYS, EndpointUse
from stemtrial.trial.protocol import Protocol

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
AT_A_VISIT = ("confirmed_change", "first_activity")
"""Rules whose events are dated by the visit that shows them."""
FREE_OF = ("first_activity", "first_relapse")
"""Rules whose shares are told as *free of* the event, as the field does; ``..._complement`` tells the others."""

STATISTICS = {
    "cox": "hazard_ratio",
    "logrank": "p_value",
    "kaplan_meier": "km_probability",
    "kaplan_meier_complement": "km_probability",
    "median_time": "median",
    "proportion": "proportion",
    "complement": "proportion",
    "risk_difference": "difference",
    "risk_ratio": "risk_ratio",
    "odds_ratio": "odds_ratio",
    "rate": "rate_per_year",
    "negative_binomial": "rate_per_year",
    "rate_difference": "difference",
    "mean": "mean",
    "mean_difference": "difference",
    "crossover_difference": "difference",
    "mean_ratio": "rate_ratio",
    "median": "median",
    "slope": "slope_per_year",
    "per_scan": "mean",
    "per_scan_ratio": "rate_ratio",
    "geometric_mean": "geometric_mean",
    "geometric_mean_ratio": "rate_ratio",
}
"""Estimator -> the statistic that it gives, named as in the evidence."""

SECOND = frozenset(
    {
        "complement",
        "crossover_difference",
        "kaplan_meier_complement",
        "rate",
        "rate_difference",
        "risk_difference",
        "mean_ratio",
        "geometric_mean_ratio",
        "per_scan",
        "per_scan_ratio",
    }
)
"""Estimators of a statistic that another estimator gives too: their rows are named after themselves."""

_UNITS = {
    **dict.fromkeys(("cox", "logrank", "risk_ratio", "odds_ratio"), "1"),
    **dict.fromkeys(("mean_ratio", "geometric_mean_ratio", "per_scan_ratio"), "1"),
    **dict.fromkeys(
        ("kaplan_meier", "kaplan_meier_complement", "proportion", "complement", "risk_difference"), "fraction"
    ),
    **dict.fromkeys(("rate", "negative_binomial", "rate_difference"), "1/y"),
    "median_time": "years",
}
_SCALES = {
    ("%", "fraction"): 0.01,
    ("fraction", "%"): 100.0,
    ("years", "months"): 12.0,
    ("years", "weeks"): 365.25 / 7,
    ("1e3", "clones"): 1000.0,
}
"""(unit of the estimator, unit of the publication) -> factor."""
NEAR_YEARS = 0.03
"""A published time is rounded: 96 weeks are 1.84 years and stand as 1.85."""


@dataclass(frozen=True)
class Row:
    """What one estimate is: endpoint, estimator, who, when, in which unit; and the outcome that it predicts."""

    endpoint: str
    estimator: str
    arm: str | tuple[str, str]
    time_years: float | None
    statistic: str
    unit: str
    outcome_id: str | None

    @property
    def arms(self) -> tuple[str, ...]:
        """The arm, or both arms of a contrast."""
        return (self.arm,) if isinstance(self.arm, str) else self.arm

    @property
    def key(self) -> str:
        """A name for columns and files."""
        arm = " - ".join(self.arms)
        told = self.estimator if self.estimator in SECOND else self.statistic
        return "|".join([self.endpoint, told, arm, "" if self.time_years is None else f"{self.time_years:g}"])


def rows_of(protocol: Protocol, study: Study | None) -> list[Row]:
    """Return all estimates of a protocol, in its order; published outcomes are tied to the rows that predict them."""
    outcomes = {o.outcome_id: o for o in study.outcomes} if study else {}
    out: list[Row] = []
    for use in protocol.endpoints.all:
        out += _rows_of_use(protocol, use, outcomes)
    return out


def _rows_of_use(protocol: Protocol, use: EndpointUse, outcomes: Mapping[str, Outcome]) -> list[Row]:
    definition = find(use.id)
    statistic, unit = STATISTICS[use.estimator], _unit(definition, use.estimator)
    if definition.kind == "change" and statistic in ("mean", "median"):
        statistic = f"{statistic}_change"
    treated = [a for a in protocol.arms if a != protocol.control]
    contrasts = [(a, protocol.control) for a in treated]
    arms: list[str | tuple[str, str]] = list(contrasts) if use.estimator in CONTRASTS else list(protocol.arms)
    times: tuple[float | None, ...] = use.at_years or (None,)
    made = [Row(use.id, use.estimator, arm, t, statistic, unit, None) for t in times for arm in arms]
    if use.estimator == "negative_binomial":
        made += [Row(use.id, use.estimator, c, t, "rate_ratio", "1", None) for t in times for c in contrasts]
    return _tied(made, use, outcomes)


def _unit(definition: Definition, estimator: str) -> str:
    if estimator in _UNITS:
        return _UNITS[estimator]
    if estimator == "slope":
        return f"{definition.unit}/y"
    if estimator == "per_scan":
        return f"{definition.unit}/scan"
    return "relapses" if definition.kind == "rate" else definition.unit


def _tied(rows: list[Row], use: EndpointUse, outcomes: Mapping[str, Outcome]) -> list[Row]:
    """Tie each outcome to the row of its arm and statistic nearest in time, taking over its statistic and unit."""
    out = list(rows)
    for outcome_id in use.predicts:
        o = outcomes.get(outcome_id)
        if o is None:
            raise InputError(f"endpoint '{use.id}' predicts '{outcome_id}', which the study does not have")
        found = [
            (gap, k)
            for k, row in enumerate(rows)
            if _of_same_arms(row, o) and out[k].outcome_id is None and (gap := _years_apart(row, o)) <= NEAR_YEARS
        ]
        if found:
            k = min(found)[1]
            out[k] = _told_as(rows[k], o)
    return out


def _of_same_arms(row: Row, o: Outcome) -> bool:
    """Whether estimate and outcome are of the same arms; of a crossover publications name treatments, not orders."""
    if row.estimator == "crossover_difference":
        return len(o.arms) == 2 and o.arms[0] == row.arm[0]
    return o.arms == row.arms


def _years_apart(row: Row, o: Outcome) -> float:
    """Gap between estimate and publication; 0 where one of them is of the whole follow-up.

    Where a change or a sum counts from a later day, publications date it from there or from randomisation.
    """
    if row.time_years is None:
        return 0.0
    if o.time_years is None:
        return 1.0 / (1e6 + row.time_years)  # the last of several times
    definition = find(row.endpoint)
    start = (getattr(definition, "reference_days", None) or getattr(definition, "from_days", None) or 0) / 365.25
    return min(abs(o.time_years - row.time_years), abs(o.time_years - (row.time_years - start)))


def _told_as(row: Row, o: Outcome) -> Row:
    """Return the row in the statistic and unit of a publication, where it is the same number told otherwise."""
    statistic, unit, definition = row.statistic, row.unit, find(row.endpoint)
    share = getattr(definition, "change", None) == "fraction"
    if o.statistic == "count" and row.estimator in ("proportion", "complement"):
        statistic, unit = "count", "patients"
    elif o.statistic == "count" and row.estimator == "mean" and definition.kind in ("count", "rate"):
        statistic = "count"  # events of the whole arm
    elif statistic == "mean_change" and (o.statistic == "difference" or (o.statistic == "relative_change" and share)):
        statistic = o.statistic  # of one arm: after minus before
    elif {statistic, o.statistic} in ({"mean", "mean_change"}, {"median", "median_change"}):
        statistic = o.statistic
    elif o.statistic in ("mean", "mean_change") and row.estimator == "median" and "median" in (o.definition or ""):
        statistic = o.statistic  # printed beside means, but a median by its definition
    elif o.statistic == "proportion" and statistic == "km_probability":
        statistic = "proportion"  # a proportion read from a survival curve
    published = o.unit or term_of(o.endpoint).unit
    if row.estimator == "median_time":
        published = next((u for u in ("months", "weeks") if o.endpoint.endswith(f"_{u}")), published)
    if (unit, published) in _SCALES:
        unit = published
    return replace(row, statistic=statistic, unit=unit, outcome_id=o.outcome_id)


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

    def derive(self, endpoint: str, at_years: float | None = None) -> Events | Values | Counts:
        """Return an endpoint, derived once; what is read at a visit is read at the one that stands for the time."""
        at_years = self.protocol.horizon(endpoint, at_years)
        key = (endpoint, at_years)
        if key not in self._derived:
            self._derived[key] = derive(
                endpoint, self.tables, at_years=at_years, planned_days=planned_days(self.protocol)
            )
        found: Events | Values | Counts = self._derived[key]
        return found

    def square(self, column: NDArray[Any]) -> NDArray[Any]:
        """Shape (replicates, patients)."""
        return np.reshape(column, self.shape)

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
        treated, include = None, a.of(row.arm)
    definition = find(row.endpoint)
    if row.estimator in ("per_scan", "per_scan_ratio"):
        return _per_scan(row, a, treated, include)
    whole = row.estimator in ("cox", "logrank", "median_time", "kaplan_meier", "kaplan_meier_complement")
    if row.estimator in SHARES and definition.rule in AT_A_VISIT:
        whole = True  # what a visit shows by a time is read when its window has closed
    match a.derive(row.endpoint, None if whole else row.time_years):
        case Events() as data:
            value = _of_events(row, a.square(data.time_years), a.square(data.event), treated, include, _read_at(row, a))
        case Values() as data:
            y = a.square(data.value)
            seen = include & np.isfinite(y)
            y = np.where(seen, y, 0.0)
            if row.estimator in SHARES:
                value = _share(row, y > 0.5, treated, seen)
            else:
                value = _location(row, y, treated, seen)
        case Counts() as data:
            count, years = a.square(data.count), a.square(data.exposure_years)
            seen = include & (years > 0)
            if row.estimator in ("mean", "mean_difference", "mean_ratio", "median"):
                value = _location(row, np.where(seen, count, 0).astype(float), treated, seen)
            else:
                value = _rate(row, count, np.where(seen, years, 1.0), treated, seen)
    return value * _SCALES.get((_unit(definition, row.estimator), row.unit), 1.0)


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
