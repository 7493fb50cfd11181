"""People with ALS from onset, seen on given days, and those of them who enter a trial: what ``als_targets`` measures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.analysis import random_slope
from stemtrial.analysis.slopes import Slope
from stemtrial.cohort.als.population import people_at_onset, under_care_of
from stemtrial.cohort.als.screening import regions_with_signs
from stemtrial.cohort.clinic import taken
from stemtrial.disease.als import MONTH
from stemtrial.endpoint.trajectory import Points, least_squares
from stemtrial.kernel import default_threads, normals
from stemtrial.observe import RaterState, examination
from stemtrial.observe.alsfrs import ITEMS, true_alsfrs
from stemtrial.observe.parameters import AlsfrsParameters, from_draw, load
from stemtrial.observe.staging import kings_stage, regions_involved
from stemtrial.therapy import compose

Floats = NDArray[np.float64]
EVER = 1e9
RUN_IN, MONTHS_ON = 3, 26
"""Visits every 28 days before and after screening."""


class Lives:
    """People from onset, seen on given days: rated items (people, visits, 12), true values, days of events."""

    def __init__(
        self, p: Mapping[str, float], people: int, days: Any, riluzole: bool, seed: int, rated: bool = True
    ) -> None:
        k, index = compose("als", ("riluzole",)), np.arange(people, dtype=np.uint64)
        self.person, state = people_at_onset(seed, index, p)
        if not riluzole:
            self.person = under_care_of(np.full(people, 1993.0), seed, index, self.person, p)
        self.day = np.asarray(days(self.person) if callable(days) else np.tile(days, (people, 1)), np.int64)
        n, v = self.day.shape
        population = k.population(0, index, self.person, state)
        row = np.repeat(np.arange(n), v)
        end = int(self.day.max())
        diagnosed = (self.person["delay_months"] * MONTH).astype(np.int64)
        takers = np.flatnonzero((self.person["riluzole"] > 0) & riluzole)
        drug = taken(k, "riluzole", takers, diagnosed[takers], p)
        told = k.advance(
            population, 0, end, p, seed, schedule=drug, visits=(row, self.day.ravel()), threads=default_threads()
        )
        assert not len(told.failed["patient"])
        self.seen = {name: x.reshape(n, v) for name, x in told.observed.items()}
        self.event = {}
        for kind in ("death", "niv", "gastrostomy", "tracheostomy"):
            at = np.full(n, EVER)
            of = told.events["kind"] == k.event(kind)
            at[told.events["patient"][of]] = told.events["day"][of]
            self.event[kind] = at
        self.failed = np.minimum(self.event["death"], self.event["tracheostomy"])
        known = from_draw(p)
        doctor, second = (examination("als", seed, known, f"validation.{who}") for who in ("doctor", "retest"))
        held = RaterState.fresh(n, doctor.processes)
        self.items, self.kings, self.regions = np.empty((n, v, 12)), np.empty((n, v)), np.empty((n, v))
        for j in range(v):
            now = {o: x[:, j] for o, x in self.seen.items()}
            if rated:
                items, held = doctor.rate(index, self.day[:, j], now, self.person, held)
            else:
                items = dict(
                    zip(
                        ITEMS, true_alsfrs(now, self.person, load(AlsfrsParameters, known)).T.astype(float), strict=True
                    )
                )
            if j == 0 and rated:  # a second rater on the same day
                self.retest = second.rate(index, self.day[:, 0], now, self.person, held)[0]["alsfrs_r"]
            self.items[:, j] = np.stack([items[i] for i in ITEMS], axis=1)
            self.kings[:, j] = kings_stage(items, now["gastrostomy"])
            self.regions[:, j] = regions_involved(items)
        dead = self.day >= self.event["death"][:, None]
        self.items[dead] = np.nan
        self.total = self.items.sum(2)
        z = normals(seed, row, self.day.ravel(), "validation.instruments", 2).reshape(n, v, 2)
        self.svc = np.where(
            dead, np.nan, 100.0 * self.seen["vital_capacity"] + known["vital_capacity_sd_pct"] * z[:, :, 0]
        )
        self.nfl = self.seen["nfl_pg_ml"] * np.exp(known["fluid_nfl_sd_log"] * z[:, :, 1])

    def take(self, rows: NDArray[Any]) -> Lives:
        """Return some of the people."""
        out = object.__new__(Lives)
        for name, x in self.__dict__.items():
            parts = {k: v[rows] for k, v in x.items()} if isinstance(x, dict) else x[rows]
            setattr(out, name, parts)
        return out


def slopes(days: Floats, x: Floats, least: int = 4) -> Floats:
    """Least-squares slope a month of each row, NaN with fewer than ``least`` values."""
    return least_squares(Points(days, x), np.isfinite(x), least) / 12.0


class Trial:
    """Those of the screened who meet criteria, from their entry on."""

    def __init__(self, lives: Lives, where_: NDArray[np.bool_]) -> None:
        self.lives = lives.take(np.flatnonzero(where_))
        self.at = self.lives.day[:, RUN_IN]
        self.base = self.lives.total[:, RUN_IN]
        self.rate_before = (48.0 - self.base) / (self.at / MONTH)

    def change(self, visit: int, x: Floats | None = None) -> Floats:
        y = self.lives.total if x is None else x
        return np.asarray(y[:, RUN_IN + visit] - y[:, RUN_IN])

    def slope(self, x: Floats, visits: int = 13) -> Floats:
        own = slice(RUN_IN, RUN_IN + visits + 1)
        return slopes((self.lives.day - self.at[:, None])[:, own].astype(float), x[:, own])

    @property
    def run_in_slope(self) -> Floats:
        """Points a month by least squares over the visits of the 12 weeks before entry."""
        own = slice(0, RUN_IN + 1)
        return slopes((self.lives.day - self.at[:, None])[:, own].astype(float), self.lives.total[:, own])

    def _mixed(self, x: Floats, visits: int = 13) -> Slope:
        own = slice(RUN_IN, RUN_IN + visits + 1)
        return random_slope(((self.lives.day - self.at[:, None])[:, own] / MONTH)[None], x[None, :, own])

    def spread_of_slopes(self, x: Floats) -> float:
        """SD between people of the slope a month, error of measurement apart (random-slope model, a year)."""
        return float(np.sqrt(self._mixed(x).covariance[0, 1, 1]))

    def mean_slope(self, x: Floats) -> float:
        """Mean slope a month of the random-slope model, over a year."""
        return float(self._mixed(x).slope.value[0])

    def alive(self, months: float, what: str = "failed") -> float:
        """Share without the event (all are followed as long)."""
        event = self.lives.failed if what == "failed" else self.lives.event[what]
        return float((event - self.at > months * MONTH).mean())


def at_screening(person: Mapping[str, Floats]) -> Floats:
    """Days of the visits of everybody: three before, that of screening, two years after."""
    entry = np.maximum(RUN_IN * 28, np.round((person["delay_months"] + person["referral_months"]) * MONTH))
    return np.asarray(entry[:, None] + 28 * np.arange(-RUN_IN, MONTHS_ON + 1)[None, :])


def signs(lives: Lives, p: Mapping[str, float]) -> Floats:
    """How many regions have signs at screening, lost function or not."""
    return regions_with_signs({k: x[:, RUN_IN] for k, x in lives.seen.items()}, p)


def survival_quantile(days: Floats, q: float = 0.5) -> float:
    """Months by which a share ``q`` has had the event."""
    return float(np.quantile(days, q) / MONTH)


def mean(x: Floats) -> float:
    """Mean of those seen."""
    return float(np.nanmean(x))


def correlation(x: Floats, y: Floats) -> float:
    """Pearson's, of those with both."""
    both = np.isfinite(x) & np.isfinite(y)
    return float(np.corrcoef(x[both], y[both])[0, 1])
