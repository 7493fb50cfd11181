"""Curves and tallies over time for pictures: one value a replicate, arm and time, and their summary."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial import analysis
from stemtrial.endpoint import Events, find
from stemtrial.observe import instruments
from stemtrial.predict.estimate import FREE_OF, Analysed
from stemtrial.predict.table_one import baseline_values
from stemtrial.tables import Table, row_of
from stemtrial.trial.protocol import Protocol

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Series:
    """A measure that is pictured over the visits, as the mean of an arm.

    Attributes
    ----------
    table, column : str
        Where it is measured; a trial without the column has no such picture.
    label, unit : str
        As printed.
    published : tuple of str
        Endpoints of the evidence whose means are points on it.
    change : bool
        Each patient's change from baseline, not the value.
    """

    table: str
    column: str
    label: str
    unit: str
    published: tuple[str, ...]
    change: bool = False

    @property
    def statistics(self) -> tuple[str, ...]:
        """Published statistics that are points on it."""
        return ("mean_change", "mean") if self.change else ("mean",)


def _series_of_als() -> dict[str, Series]:
    known = instruments("als")
    told = {"svc_pct": ("svc",), "fvc_pct": ("fvc",), "nfl_pg_ml": ("nfl",)}
    out: dict[str, Series] = {}
    for name in ("alsfrs_r", "svc_pct", "fvc_pct", "hhd_pct", "alsaq40", "nfl_pg_ml", "weight_pct"):
        i = known[name]
        out[name] = Series("visits", name, f"{i.label}, of the living", i.unit, told.get(name, (name,)))
    for name in ("alsfrs_r", *(k for k in known if k.startswith("alsfrs_r_")), "svc_pct", "fvc_pct"):
        i, change = known[name], f"{name.removesuffix('_pct')}_change"
        label = f"{i.label}: change from baseline, of the living"
        out[change] = Series("visits", name, label, i.unit, (change,), change=True)
    return out


SERIES: dict[str, dict[str, Series]] = {
    "ms": {
        "edss": Series("visits", "edss", "EDSS", "EDSS", ("edss",)),
        "gd_lesions": Series("mri", "gd_lesions", "Enhancing lesions", "lesions", ("gd_lesions",)),
        "new_t2_lesions": Series(
            "mri", "new_t2_lesions", "New T2 lesions since the previous scan", "lesions", ("new_t2_lesions",)
        ),
        "t2_volume_ml": Series("mri", "t2_volume_ml", "T2 lesion volume", "ml", ("t2_volume_ml",)),
        "brain_volume_change_pct": Series(
            "mri", "brain_volume_change_pct", "Brain volume change", "%", ("brain_volume_change_pct",)
        ),
    },
    "als": _series_of_als(),
}
"""Measure by disease and name, in the order of the page."""
ALWAYS = {"ms": (), "als": ("overall_survival", "tracheostomy_free_survival")}
"""Times to an event that the page of a disease shows whether or not the protocol estimates them."""


def series_of(protocol: Protocol, measured: Collection[str]) -> dict[str, Series]:
    """Return the measures that a run pictures.

    Parameters
    ----------
    protocol : Protocol
        What was run; changes are pictured where it estimates them, that of the main score always.
    measured : collection of str
        Columns of the tables in which measures stand.
    """
    asked = {u.id for u in protocol.endpoints.all} | {"alsfrs_r_change"}
    return {
        name: s
        for name, s in SERIES[protocol.disease].items()
        if s.column in measured and (name in asked or not s.change)
    }


def km_times(protocol: Protocol) -> NDArray[np.float64]:
    """Grid for survival curves, in years: every three months (below a year of follow-up every month), and the end."""
    last = protocol.visits.months[-1]
    step = 3.0 if last >= 12 else 1.0
    return np.unique(np.append(np.arange(0, last + 0.01, step), last)) / 12.0


def survival_endpoints(protocol: Protocol) -> list[str]:
    """Times to an event that a page pictures, once each: those of the protocol, and those of its disease."""
    ids = dict.fromkeys((*(u.id for u in protocol.endpoints.all), *ALWAYS[protocol.disease]))
    return [i for i in ids if find(i).kind == "time_to_event"]


def drawn_free(protocol: Protocol, endpoint: str) -> bool:
    """Whether a survival curve is drawn as the share without the event: as the protocol tells it, else as usual.

    ``kaplan_meier_complement`` tells the other share than the endpoint is told by; where the protocol does not ask, the
    survival of a disease falls.
    """
    usual = find(endpoint).rule in FREE_OF
    asked = {u.estimator for u in protocol.endpoints.all if u.id == endpoint}
    if "kaplan_meier" in asked:
        return usual
    return not usual if "kaplan_meier_complement" in asked else usual or endpoint in ALWAYS[protocol.disease]


def curves(a: Analysed, protocol: Protocol) -> Arrays:
    """All pictured quantities of some replicates: arrays of shape (replicates, ...), by name."""
    out: Arrays = baseline_values(a, protocol)
    at = km_times(protocol)
    for endpoint in survival_endpoints(protocol):
        data = a.derive(endpoint)
        assert isinstance(data, Events)
        for arm in protocol.arms:
            curve = analysis.kaplan_meier(a.square(data.time_years), a.square(data.event), at, a.of(arm))
            free = drawn_free(protocol, endpoint)
            out[f"km|{endpoint}|{arm}"] = curve.survival if free else curve.event_probability
            out[f"risk|{endpoint}|{arm}"] = curve.n_at_risk
    columns = {c for table in ("visits", "mri") for c in a.tables.get(table, ())}
    measured = series_of(protocol, columns)
    for arm in protocol.arms:
        for name, s in measured.items():
            out[f"series|{name}|{arm}"] = _means(a, protocol, s, arm)
        if "relapses" in a.tables:
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


def _means(a: Analysed, protocol: Protocol, series: Series, arm: str) -> NDArray[np.float64]:
    """Mean of a measure at each scheduled visit, of those who have it; the baseline from the patients table."""
    column, patients = series.column, a.tables["patients"]
    rows = a.tables[series.table]
    place = _place(a, rows)
    values = rows[column].astype(float)
    if series.change:
        values = values - patients[column].astype(float)[place]
    mine = a.of(arm).ravel()[place] & (rows["visit"] >= 0) & np.isfinite(values)
    visits, shape = len(protocol.visits.months), a.arm.shape
    key = (place[mine] // shape[1]) * visits + rows["visit"][mine]
    total = np.bincount(key, weights=values[mine], minlength=shape[0] * visits)
    n = np.bincount(key, minlength=shape[0] * visits)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(n > 0, total / np.maximum(n, 1), np.nan).reshape(shape[0], visits)
    if series.change:
        mean[:, 0] = 0.0
    elif column in patients:
        start = a.square(patients[column].astype(float))
        mean[:, 0] = _over(start, a.of(arm) & np.isfinite(start))
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
