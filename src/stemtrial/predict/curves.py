"""Curves and tallies over time for pictures: one value a replicate, arm and time, and their summary."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial import analysis
from stemtrial.endpoint import Events, find
from stemtrial.predict.estimate import FREE_OF, Analysed
from stemtrial.predict.table_one import baseline_values
from stemtrial.tables import Table, row_of
from stemtrial.trial.protocol import Protocol

Arrays = dict[str, NDArray[Any]]
SERIES = {
    "edss": ("visits", "EDSS", "EDSS"),
    "gd_lesions": ("mri", "Enhancing lesions", "lesions"),
    "new_t2_lesions": ("mri", "New T2 lesions since the previous scan", "lesions"),
    "t2_volume_ml": ("mri", "T2 lesion volume", "ml"),
    "brain_volume_change_pct": ("mri", "Brain volume change", "%"),
}


def km_times(protocol: Protocol) -> NDArray[np.float64]:
    """Grid of months for survival curves, in years."""
    return np.arange(0, protocol.visits.months[-1] + 0.01, 3.0) / 12.0


def survival_endpoints(protocol: Protocol) -> list[str]:
    """Time-to-event endpoints of a protocol, once each."""
    ids = dict.fromkeys(u.id for u in protocol.endpoints.all)
    return [i for i in ids if find(i).kind == "time_to_event"]


def curves(a: Analysed, protocol: Protocol) -> Arrays:
    """All pictured quantities of some replicates: arrays of shape (replicates, ...), by name."""
    out: Arrays = baseline_values(a, protocol)
    at = km_times(protocol)
    for endpoint in survival_endpoints(protocol):
        data = a.derive(endpoint)
        assert isinstance(data, Events)
        for arm in protocol.arms:
            curve = analysis.kaplan_meier(a.square(data.time_years), a.square(data.event), at, a.of(arm))
            free = find(endpoint).rule in FREE_OF
            out[f"km|{endpoint}|{arm}"] = curve.survival if free else curve.event_probability
            out[f"risk|{endpoint}|{arm}"] = curve.n_at_risk
    for arm in protocol.arms:
        for name, (table, _, _) in SERIES.items():
            out[f"series|{name}|{arm}"] = _means(a, protocol, table, name, arm)
        out[f"series|relapse_rate|{arm}"] = _yearly_rate(a, protocol, arm)
        mine = a.of(arm)
        years = a.square(_last_day(a)) / 365.25
        out[f"follow_up|mean|{arm}"] = _over(years, mine)
        out[f"follow_up|median|{arm}"] = np.array(
            [np.median(y[m]) if m.any() else np.nan for y, m in zip(years, mine, strict=True)]
        )
        for event in sorted(set(a.tables["disposition"]["event"].tolist())):
            out[f"left|{event}|{arm}"] = 100.0 * _over(_ever(a, event).astype(float), mine)
    return out


def _over(y: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    n = mask.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(n > 0, np.where(mask, y, 0.0).sum(1) / np.maximum(n, 1), np.nan)


def _place(a: Analysed, table: Table) -> NDArray[np.int64]:
    """Position of each row's patient in the flattened patients table."""
    return row_of(table, a.replicates, a.arm.shape[1])


def _ever(a: Analysed, event: str) -> NDArray[np.bool_]:
    rows = a.tables["disposition"]
    out = np.zeros(a.arm.size, bool)
    out[_place(a, rows)[rows["event"] == event]] = True
    return a.square(out)


def _last_day(a: Analysed) -> NDArray[np.int64]:
    out = np.zeros(a.arm.size, np.int64)
    np.maximum.at(out, _place(a, a.tables["disposition"]), a.tables["disposition"]["day"])
    return out


def _means(a: Analysed, protocol: Protocol, table: str, column: str, arm: str) -> NDArray[np.float64]:
    """Mean of a column at each scheduled visit; the baseline from the patients table."""
    rows = a.tables[table]
    place = _place(a, rows)
    mine = a.of(arm).ravel()[place] & (rows["visit"] >= 0)
    visits, shape = len(protocol.visits.months), a.arm.shape
    key = (place[mine] // shape[1]) * visits + rows["visit"][mine]
    total = np.bincount(key, weights=rows[column][mine].astype(float), minlength=shape[0] * visits)
    n = np.bincount(key, minlength=shape[0] * visits)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(n > 0, total / np.maximum(n, 1), np.nan).reshape(shape[0], visits)
    patients = a.tables["patients"]
    if column in patients:
        mean[:, 0] = _over(a.square(patients[column].astype(float)), a.of(arm))
    elif column == "brain_volume_change_pct":
        mean[:, 0] = 0.0
    return mean


def _yearly_rate(a: Analysed, protocol: Protocol, arm: str) -> NDArray[np.float64]:
    """Reported relapses a patient-year, by year of follow-up."""
    years = max(1, int(protocol.visits.months[-1] / 12 + 0.01))  # whole years only: a stump of one shows nothing
    mine, last = a.of(arm), a.square(_last_day(a))
    rows = a.tables["relapses"]
    place = _place(a, rows)
    kept = mine.ravel()[place]
    year = (rows["day"] / 365.25).astype(int)
    kept &= year < years
    key = (place[kept] // a.arm.shape[1]) * years + year[kept]
    count = np.bincount(key, minlength=len(mine) * years).reshape(-1, years)
    lived = np.stack([np.where(mine, np.clip(last / 365.25 - y, 0, 1), 0).sum(1) for y in range(years)], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(lived > 0.5, count / np.maximum(lived, 1e-9), np.nan)
