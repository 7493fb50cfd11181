"""Natural history of ALS: kinds of people, and the estimators of its quantities (``natural_als.yaml``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stemtrial.parameters import Draws
from stemtrial.predict import natural_estimators as estimate
from stemtrial.predict.natural_als_curves import ONSETS, SITES, estimates, pictures
from stemtrial.predict.natural_als_lives import AlsLives, simulate
from stemtrial.predict.natural_estimators import Estimated
from stemtrial.predict.natural_quantity import Nature, People, Quantity, Scenario, compared

Bools = NDArray[np.bool_]
EVERYBODY: Scenario = ("everybody", 0.0)
"""People with ALS are simulated together, whatever the site and the calendar year of their onset."""
Site = Literal["bulbar", "upper_limb", "lower_limb", "respiratory"]


class AlsPeople(People):
    """Whose lives.

    Attributes
    ----------
    site : tuple of str or None
        Only onset at these sites.
    c9orf72 : bool or None
        Only people with the expansion, only those without.
    """

    site: tuple[Site, ...] | None = None
    c9orf72: bool | None = None

    def scenarios(self) -> set[Scenario]:
        """Kinds and years of onset that have to be simulated: one holds everybody."""
        return {EVERYBODY}

    def rows(self, lives: AlsLives) -> Bools:
        """Who of ``lives`` is meant."""
        out = super().rows(lives)
        if self.site is not None:
            out &= np.isin(lives.site, self.site)
        if self.c9orf72 is not None:
            out &= lives.c9orf72 == self.c9orf72
        return out


class AlsQuantity(Quantity):
    """A quantity of people with ALS."""

    people: AlsPeople = AlsPeople()
    against: AlsPeople | None = None


def standardised(lives: AlsLives, event: str) -> Estimated:
    """Median of the time to an event over the time to death, among those who died after it."""
    had = lives.event[event] & lives.event["death"] & (lives.time["death"] > 0)
    return estimate.median(lives.time[event][had] / lives.time["death"][had])


def mean_time(lives: AlsLives, event: str) -> Estimated:
    """Mean time to an event of those who have it."""
    return estimate.mean(lives.time[event][lives.event[event]])


def share_from(lives: AlsLives, start: str, end: str, at: float) -> Estimated:
    """Kaplan-Meier probability of one event within a time after another."""
    had = lives.event[start]
    return estimate.share((lives.time[end] - lives.time[start])[had], lives.event[end][had], at)


def slope_after(lives: AlsLives, event: str, years: float) -> Estimated:
    """ALSFRS-R points a year within people, over some years after an event: pooled least squares."""
    t = np.arange(lives.alsfrs.shape[1]) * lives.step - lives.time[event][:, None]
    here = np.isfinite(lives.alsfrs) & (t >= 0) & (t <= years) & lives.event[event][:, None]
    n = np.maximum(here.sum(1, keepdims=True), 1)
    dt = np.where(here, t - np.where(here, t, 0.0).sum(1, keepdims=True) / n, 0.0)
    dy = np.where(here, lives.alsfrs - np.where(here, lives.alsfrs, 0.0).sum(1, keepdims=True) / n, 0.0)
    return estimate.slope((dt * dy).sum(1), (dt * dt).sum(1))


def _simulate(
    draws: Draws, draw: int, scenario: Scenario, *, people: int, years: int, seed: int, threads: int,
    progress: Callable[[float], None] | None,
) -> AlsLives:  # fmt: skip
    assert scenario == EVERYBODY
    return simulate(draws, draw, people=people, years=years, seed=seed, threads=threads, progress=progress)


ALS = Nature(
    disease="als",
    quantity=AlsQuantity,
    finders={
        "standardised": lambda x, event: standardised(x[0], event),
        "mean_time": lambda x, event: mean_time(x[0], event),
        "share_from": lambda x, events: share_from(x[0], events[0], events[1], x[1]["at"]),
        "share_ever": lambda x, event: estimate.proportion(x[0].event[event]),
        "share_at_site": lambda x, sites: estimate.proportion(np.isin(x[0].site, sites)),
        "alsfrs_slope": lambda x, after: slope_after(x[0], *after),
        "mean_onset_age": lambda x, _: estimate.mean(x[0].onset_age),
    },
    comparers={"hazard_ratio": lambda q, mine, others, event: compared(mine, others, event)},
    onsets=dict.fromkeys(ONSETS, EVERYBODY),
    groups=("everybody", *list(SITES.values())[:3]),
    families=(),
    simulate=_simulate,
    estimates=estimates,
    pictures=pictures,
)
"""The natural history of ALS."""
