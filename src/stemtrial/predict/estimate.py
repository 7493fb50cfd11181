"""From the tables of repeated trials to one number a replicate: every estimate that the protocol asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial import analysis
from stemtrial.endpoint import Counts, Events, Values, derive, find
from stemtrial.errors import InputError
from stemtrial.evidence import Outcome, Study
from stemtrial.tables import Table, row_of, take
from stemtrial.trial.entry import planned_days
from stemtrial.trial.parts import CONTRASTS, EndpointUse
from stemtrial.trial.protocol import Protocol

Floats = NDArray[np.float64]
FREE_OF = ("first_activity", "first_relapse")
"""Rules whose Kaplan-Meier estimate is told as the share *free of* the event, as the field does."""


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
    def key(self) -> str:
        """A name for columns and files."""
        arm = self.arm if isinstance(self.arm, str) else " - ".join(self.arm)
        return "|".join([self.endpoint, self.statistic, arm, "" if self.time_years is None else f"{self.time_years:g}"])


def rows_of(protocol: Protocol, study: Study | None) -> list[Row]:
    """Return all estimates of a protocol, in its order; published outcomes are tied to the rows that predict them."""
    outcomes = {o.outcome_id: o for o in study.outcomes} if study else {}
    out: list[Row] = []
    for use in protocol.endpoints.all:
        out += _rows_of_use(protocol, use, outcomes)
    return out


def _rows_of_use(protocol: Protocol, use: EndpointUse, outcomes: Mapping[str, Outcome]) -> list[Row]:
    definition = find(use.id)
    change = definition.kind == "change"
    names = {
        "cox": "hazard_ratio",
        "logrank": "p_value",
        "kaplan_meier": "km_probability",
        "mean": "mean_change" if change else "mean",
        "mean_difference": "difference",
        "proportion": "proportion",
        "median_time": "median",
        "rate": "rate_per_year",
        "negative_binomial": "rate_per_year",
    }
    units = {"cox": "1", "logrank": "1", "kaplan_meier": "fraction", "proportion": "fraction", "median_time": "years"}
    unit = units.get(use.estimator, "1/y" if use.estimator in ("rate", "negative_binomial") else definition.unit)
    treated = [a for a in protocol.arms if a != protocol.control]
    contrasts = [(a, protocol.control) for a in treated]
    arms: list[str | tuple[str, str]] = list(contrasts) if use.estimator in CONTRASTS else list(protocol.arms)
    made = [
        Row(use.id, use.estimator, arm, t, names[use.estimator], unit, None)
        for t in (use.at_years or (None,))
        for arm in arms
    ]
    if use.estimator == "negative_binomial":
        made += [
            Row(use.id, use.estimator, c, t, "rate_ratio", "1", None)
            for t in (use.at_years or (None,))
            for c in contrasts
        ]
    return [_tied(row, use, outcomes) for row in made]


def _tied(row: Row, use: EndpointUse, outcomes: Mapping[str, Outcome]) -> Row:
    """Tie a row to the outcome that it predicts, taking over the outcome's statistic and unit."""
    for outcome_id in use.predicts:
        o = outcomes.get(outcome_id)
        if o is None:
            raise InputError(f"endpoint '{use.id}' predicts '{outcome_id}', which the study does not have")
        same_arm = o.arms == ((row.arm,) if isinstance(row.arm, str) else row.arm)
        same_time = row.time_years is None or o.time_years is None or abs(o.time_years - row.time_years) < 1e-6
        if not (same_arm and same_time):
            continue
        statistic, unit = row.statistic, row.unit
        if o.statistic == "count" and row.estimator == "proportion":
            statistic, unit = "count", "patients"
        if row.estimator == "median_time" and o.endpoint.endswith("_months"):
            unit = "months"
        return Row(row.endpoint, row.estimator, row.arm, row.time_years, statistic, unit, outcome_id)
    return row


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
        """Return an endpoint, derived once."""
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
    done: dict[tuple[Any, ...], Floats] = {}
    return np.array([_one(row, a, done) for row in rows]).reshape(len(rows), len(a.replicates))


def _one(row: Row, a: Analysed, done: dict[tuple[Any, ...], Floats]) -> Floats:
    if isinstance(row.arm, tuple):
        treated, include = a.arm == row.arm[0], a.of(row.arm[0]) | a.of(row.arm[1])
    else:
        treated, include = None, a.of(row.arm)
    whole = row.estimator in ("cox", "logrank", "median_time", "kaplan_meier")
    data = a.derive(row.endpoint, None if whole else row.time_years)
    match data:
        case Events():
            return _of_events(row, a.square(data.time_years), a.square(data.event), treated, include)
        case Values():
            y = a.square(data.value)
            seen = include & np.isfinite(y)
            y = np.where(seen, y, 0.0)
            if row.estimator == "proportion":
                value = analysis.proportion(y > 0.5, seen).value
                return np.rint(value * seen.sum(1)) if row.statistic == "count" else value
            if treated is not None:
                return analysis.mean_difference(y, treated, seen).value
            return analysis.mean(y, seen).value
        case Counts():
            count, years = a.square(data.count), a.square(data.exposure_years)
            seen = include & (years > 0)
            if row.estimator in ("negative_binomial", "rate"):
                years = np.where(seen, years, 1.0)
                if treated is not None:
                    return analysis.negative_binomial(count, years, treated, seen).ratio.value
                return analysis.annualised_rate(count, years, seen).rate.value
            return analysis.mean(np.where(seen, count, 0).astype(float), seen).value


def _of_events(row: Row, time: Floats, event: NDArray[np.bool_], treated: Any, include: NDArray[np.bool_]) -> Floats:
    if row.estimator == "cox":
        return analysis.cox(time, event, treated, include).value
    if row.estimator == "logrank":
        return analysis.logrank(time, event, treated, include).p_value
    if row.estimator == "median_time":
        return analysis.median_time(time, event, include).value * (12.0 if row.unit == "months" else 1.0)
    if row.estimator == "proportion":
        value = analysis.proportion(event, include).value
        return np.rint(value * include.sum(1)) if row.statistic == "count" else value
    if row.estimator == "kaplan_meier":
        assert row.time_years is not None  # the protocol's check asks for times
        curve = analysis.kaplan_meier(time, event, [row.time_years], include)
        free = find(row.endpoint).rule in FREE_OF
        return (curve.survival if free else curve.event_probability)[:, 0]
    raise InputError(f"estimator '{row.estimator}' does not fit endpoint '{row.endpoint}', a time to an event")
