"""Untreated people with ALS, as far as the estimates of natural history need them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.cohort.als.natural import lives
from stemtrial.disease.als import MILESTONES
from stemtrial.kernel import YEAR
from stemtrial.observe.alsfrs import ITEMS
from stemtrial.observe.staging import regions_involved
from stemtrial.parameters import Draws
from stemtrial.predict.natural_lives import Bools, Floats, Lives
from stemtrial.tables import Table

EVERY_DAYS = 84
STAGES = {"kings": ("kings_stage", (2, 3, 4)), "mitos": ("mitos_stage", (1, 2, 3, 4))}
"""Prefix of an event -> column of the visits, stages that are events."""


@dataclass(frozen=True)
class AlsLives(Lives):
    """Untreated people with ALS; rows are people.

    Attributes
    ----------
    female, onset_age, end_years, time, event
        As of anybody. Events: ``onset`` (of everybody, at 0), ``diagnosis``, ``niv``, ``gastrostomy``,
        ``tracheostomy``, ``permanent_ventilation``, ``failure`` (death or one of the two before), ``death``;
        ``second_region``, ``third_region`` (bulbar, arms, legs: an item below 4), ``kings_2`` to ``kings_4`` and
        ``mitos_1`` to ``mitos_4``, each at the
        first visit that shows it, not confirmed.
    site : ndarray of str
        Onset: bulbar, upper_limb, lower_limb or respiratory.
    c9orf72, sod1 : ndarray of bool
    alsfrs, svc, nfl : ndarray of float, shape (people, visits)
        ALSFRS-R, slow vital capacity (% of predicted), serum NfL (pg/ml) every 12 weeks from onset; NaN after death.
    """

    step = EVERY_DAYS / YEAR
    site: NDArray[Any]
    c9orf72: Bools
    sod1: Bools
    alsfrs: Floats
    svc: Floats
    nfl: Floats

    @property
    def years(self) -> int:
        """Longest follow-up, whole years."""
        return int((self.alsfrs.shape[1] - 1) * self.step + 0.5)

    def incident(self) -> AlsLives:
        """The same people, of whom the dead never have what they did not live to have.

        With them, shares over time are cumulative incidences: most people with ALS die before many a milestone, so that
        those censored at death would tell of a world without death.
        """
        dead = self.event["death"]
        never = {k: np.where(dead & ~self.event[k], np.maximum(t, self.years + 1.0), t) for k, t in self.time.items()}
        return dataclasses.replace(self, time=never)

    def yearly(self, values: Floats) -> Floats:
        """A measurement at the visits nearest to whole years since onset."""
        visits = np.round(np.arange(self.years + 1) / self.step).astype(int)
        return np.asarray(values[:, np.minimum(visits, values.shape[1] - 1)])


def summarise(tables: Mapping[str, Table]) -> AlsLives:
    """Reduce the tables of :func:`stemtrial.cohort.als.natural.live` to what the estimates need."""
    patients, visits = tables["patients"], tables["visits"]
    n, first = len(patients["patient"]), int(patients["patient"][0])
    row, number = visits["patient"] - first, visits["visit"]
    shape = (n, round(int(patients["closure_day"].max()) / EVERY_DAYS) + 1)

    def square(values: NDArray[Any]) -> Floats:  # single precision: 10^5 people fit
        out = np.full(shape, np.nan, np.float32)
        out[row, number] = values
        return out

    end = tables["disposition"]["day"] / YEAR
    dead = tables["disposition"]["event"] == "died"
    delay = patients["delay_months"] / 12.0
    time: dict[str, Floats] = {"onset": np.zeros(n), "diagnosis": np.minimum(delay, end), "death": end}
    event: dict[str, Bools] = {"onset": np.ones(n, bool), "diagnosis": delay <= end, "death": dead}
    told = tables["milestones"]
    for kind in dict.fromkeys(name for names in MILESTONES.values() for name in names):
        mine = told["event"] == kind
        time[kind], event[kind] = end.copy(), np.zeros(n, bool)
        who = told["patient"][mine] - first
        time[kind][who], event[kind][who] = told["day"][mine] / YEAR, True
    ends = ("death", "tracheostomy", "permanent_ventilation")
    time["failure"] = np.min([time[k] for k in ends], axis=0)
    event["failure"] = np.any([event[k] for k in ends], axis=0)

    def reached(name: str, seen: Floats, level: float) -> None:
        with np.errstate(invalid="ignore"):
            at = seen >= level
        event[name] = np.asarray(at.any(1))
        time[name] = np.where(event[name], at.argmax(1) * EVERY_DAYS / YEAR, end)

    regions = square(regions_involved({i: visits[i] for i in ITEMS}))
    for name, level in (("second_region", 2), ("third_region", 3)):
        reached(name, regions, level)
    for prefix, (column, stages) in STAGES.items():
        for stage in stages:
            reached(f"{prefix}_{stage}", square(visits[column]), stage)
    return AlsLives(
        female=patients["female"] == 1, onset_age=patients["age_years"], end_years=end, time=time, event=event,
        site=patients["onset_site"], c9orf72=patients["c9orf72"] == 1, sod1=patients["sod1"] == 1,
        alsfrs=square(visits["alsfrs_r"]), svc=square(visits["svc_pct"]), nfl=square(visits["nfl_pg_ml"]),
    )  # fmt: skip


def simulate(
    draws: Draws, draw: int, *, people: int, years: int, seed: int, threads: int = 1,
    progress: Callable[[float], None] | None = None,
) -> AlsLives:  # fmt: skip
    """Let people live and keep what the estimates need; arguments as :func:`stemtrial.cohort.als.natural.live`."""
    parts = lives(
        draws, draw, people=people, years=years, seed=seed, every_days=EVERY_DAYS, threads=threads, progress=progress
    )
    return AlsLives.join([summarise(tables) for tables in parts])
