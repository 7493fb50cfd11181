"""Untreated people with MS, as far as the estimates of natural history need them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.cohort.ms.natural import lives
from stemtrial.cohort.ms.population import Onset
from stemtrial.endpoint import Events, derive
from stemtrial.kernel import YEAR
from stemtrial.parameters import Draws
from stemtrial.predict.natural_lives import Bools, Floats, Lives
from stemtrial.tables import Table

EVERY_DAYS = 182
MILESTONES = (3, 4, 6, 7)


@dataclass(frozen=True)
class MsLives(Lives):
    """Untreated people with one kind of onset; rows are people.

    Attributes
    ----------
    female, onset_age, end_years, time, event
        As of anybody. Events: ``edss_3, edss_4, edss_6, edss_7``: endpoints
        ``edss_milestone.*``, of everybody. ``spms``: endpoint ``spms_conversion``, from scores and relapses on record.
        ``spms_called``: walking, without error, gets worse in the year before this visit and the next, as at screening
        for a trial. ``second_attack``. ``death``.
    edss : ndarray of float, shape (people, visits)
        Rated EDSS half-yearly from onset; NaN after death.
    relapses, exposure, new_t2 : ndarray of float, shape (people, years)
        Relapses (without the first attack), years observed and new T2 lesions, by year since onset.
    t2_volume, brain_volume, nfl : ndarray of float, shape (people, years + 1)
        T2 volume (ml), brain volume change since onset (%), serum NfL (pg/ml) at whole years; NaN after death.
    free_for_5_years : ndarray of bool
        Whether five years without a relapse passed before secondary progression or the end.
    """

    step = EVERY_DAYS / YEAR
    edss: Floats
    relapses: Floats
    exposure: Floats
    new_t2: Floats
    t2_volume: Floats
    brain_volume: Floats
    nfl: Floats
    free_for_5_years: Bools

    @property
    def years(self) -> int:
        """Longest follow-up, whole years."""
        return int(self.relapses.shape[1])

    @property
    def early_attacks(self) -> Floats:
        """Attacks in the first two years, the first one counted."""
        return np.asarray(1.0 + self.relapses[:, :2].sum(1))


def summarise(tables: Mapping[str, Table], years: int) -> MsLives:
    """Reduce the tables of :func:`stemtrial.cohort.ms.natural.live` to what the estimates need."""
    patients, visits, scans = tables["patients"], tables["visits"], tables["mri"]
    n, first = len(patients["patient"]), int(patients["patient"][0])
    row = visits["patient"] - first
    edss = np.full((n, round(years * YEAR) // EVERY_DAYS + 1), np.nan)
    edss[row, visits["visit"]] = visits["edss"]
    end_days = tables["disposition"]["day"].astype(float)
    end = end_days / YEAR
    exposure = np.clip(end[:, None] - np.arange(years), 0.0, 1.0)
    relapses = np.zeros((n, years))
    told = tables["relapses"]
    who, year = told["patient"] - first, np.minimum((told["day"] / YEAR).astype(int), years - 1)
    np.add.at(relapses, (who, year), 1.0)
    new_t2 = np.zeros((n, years))
    scanned = scans["day"] > 0  # lesions belong to the year of the middle of their interval
    at = np.clip(((scans["day"] - EVERY_DAYS / 2) / YEAR).astype(int), 0, years - 1)
    np.add.at(new_t2, (row[scanned], at[scanned]), scans["new_t2_lesions"][scanned])

    def yearly(day: NDArray[Any], values: NDArray[Any]) -> Floats:
        out = np.full((n, years + 1), np.nan)
        whole = np.round(day / YEAR).astype(int)
        near = (np.abs(day - whole * YEAR) < EVERY_DAYS / 2) & (whole <= years)
        out[row[near], whole[near]] = values[near]
        return out

    progressive = np.zeros(edss.shape, bool)
    progressive[row, visits["visit"]] = tables["truth_visits"]["progressive"]
    twice = progressive[:, :-1] & progressive[:, 1:]
    called, last = twice.any(1), np.isfinite(edss).sum(1) - 1
    time: dict[str, Floats] = {
        "spms_called": np.where(called, twice.argmax(1), last) * EVERY_DAYS / YEAR,
        "death": end,
    }
    event: dict[str, Bools] = {
        "spms_called": np.asarray(called, bool),
        "death": tables["disposition"]["event"] == "died",
    }
    # a score that is there at the first visit is a milestone too: nobody starts beyond one
    from_nothing = {**tables, "patients": {**patients, "edss": np.zeros(n)}}
    endpoints: dict[str, tuple[str, Mapping[str, Table]]] = {
        f"edss_{k}": (f"edss_milestone.{k}", from_nothing) for k in MILESTONES
    }
    endpoints |= {"spms": ("spms_conversion", tables), "second_attack": ("relapse_free", tables)}
    for name, (endpoint, told_by) in endpoints.items():
        found = derive(endpoint, told_by)
        assert isinstance(found, Events)
        time[name], event[name] = found.time_years, found.event

    def small(values: NDArray[Any]) -> Floats:  # single precision: 10^5 people of every kind and year of onset fit
        return values.astype(np.float32)

    return MsLives(
        female=patients["female"] == 1, onset_age=patients["age_years"], end_years=end, time=time, event=event,
        edss=small(edss), relapses=small(relapses), exposure=small(exposure), new_t2=small(new_t2),
        t2_volume=small(yearly(scans["day"], scans["t2_volume_ml"])),
        brain_volume=small(yearly(scans["day"], scans["brain_volume_change_pct"])),
        nfl=small(yearly(visits["day"], visits["nfl_pg_ml"])),
        free_for_5_years=_free_for(5.0, told, first, time["spms"] * YEAR),
    )  # fmt: skip


def _free_for(years: float, relapses: Table, first: int, end: NDArray[Any]) -> Bools:
    """Whether ``years`` without a relapse passed before ``end`` (days), from onset on."""
    n = len(end)
    who = np.concatenate([np.arange(n), relapses["patient"] - first, np.arange(n)])
    day = np.concatenate([np.zeros(n), relapses["day"].astype(float), end])
    day = np.minimum(day, end[who])
    order = np.lexsort((day, who))
    who, day = who[order], day[order]
    out = np.zeros(n, bool)
    long = (who[1:] == who[:-1]) & (np.diff(day) >= years * YEAR)
    out[who[1:][long]] = True
    return out


def simulate(
    draws: Draws, draw: int, *, people: int, years: int, onset: Onset, onset_year: float, seed: int, threads: int = 1,
    progress: Callable[[float], None] | None = None,
) -> MsLives:  # fmt: skip
    """Let people live and keep what the estimates need; arguments as :func:`stemtrial.cohort.ms.natural.live`."""
    parts = lives(
        draws, draw, people=people, years=years, onset=onset, onset_year=onset_year, seed=seed, every_days=EVERY_DAYS,
        threads=threads, progress=progress,
    )  # fmt: skip
    return MsLives.join([summarise(tables, years) for tables in parts])
