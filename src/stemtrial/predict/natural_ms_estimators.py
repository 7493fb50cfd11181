"""Estimates of the natural history of MS with their Monte Carlo intervals: pure functions of :class:`MsLives`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from stemtrial.cohort.ms.natural import cumulative_mortality
from stemtrial.predict.natural_estimators import NOTHING, Estimated, exp, rate, slope
from stemtrial.predict.natural_ms_lives import EVERY_DAYS, MsLives

Floats = NDArray[np.float64]
STEP = MsLives.step


def fall_per_5_years(lives: MsLives, start: int, end: int) -> Estimated:
    """Rate ratio of relapses for five more years of disease (log-linear over the years from ``start`` to ``end``).

    Poisson regression on the yearly rates, weighted by expected events; the spread is that of people, by halves of 20.
    """
    end = min(end, lives.years)
    if end - start < 5:
        return NOTHING

    def fall(x: MsLives) -> float:
        years = np.arange(start, end) + 0.5
        count, exposure = x.relapses[:, start:end].sum(0), x.exposure[:, start:end].sum(0)
        level, b = np.log(max(count.sum(), 0.5) / exposure.sum()), 0.0
        centred = (years - years.mean()) / 5.0
        for _ in range(50):
            mu = exposure * np.exp(level + b * centred)
            gradient = np.array([(count - mu).sum(), ((count - mu) * centred).sum()])
            curvature = np.array([[mu.sum(), (mu * centred).sum()], [(mu * centred).sum(), (mu * centred**2).sum()]])
            step = np.linalg.solve(curvature, gradient)
            level, b = level + step[0], b + step[1]
            if np.abs(step).max() < 1e-10:
                break
        return float(b)

    groups = [fall(lives.take(slice(k, None, 20))) for k in range(20)] if len(lives) >= 400 else []
    se = float(np.std(groups, ddof=1) / np.sqrt(20)) if groups else np.nan
    return exp(fall(lives), se, len(lives))


def mortality_ratio(lives: MsLives, p: Mapping[str, float], edss: Sequence[float] | None = None) -> Estimated:
    """Deaths over those that people of the same age and sex expect, optionally only at some EDSS (low, high)."""
    start = np.arange(lives.edss.shape[1]) * STEP
    left = np.clip(lives.end_years[:, None] - start, 0.0, STEP)
    mine = left > 0
    if edss is not None:
        mine &= (lives.edss >= edss[0]) & (lives.edss <= edss[1])
    expected = (cumulative_mortality(p, lives.onset_age[:, None] + start, lives.female[:, None], left) * mine).sum()
    last = np.minimum((lives.end_years / STEP).astype(int), len(start) - 1)
    deaths = float((lives.event["death"] & mine[np.arange(len(lives)), last]).sum())
    if deaths == 0 or expected == 0:
        return NOTHING
    return exp(float(np.log(deaths / expected)), 1 / np.sqrt(deaths), int(mine.any(1).sum()))


def edss_slope(lives: MsLives, start: float, end: float) -> Estimated:
    """EDSS points a year within people, between two times (years since onset): pooled least squares."""
    t = np.arange(lives.edss.shape[1]) * STEP
    here = (t >= start) & (t <= end)
    y, seen = lives.edss[:, here], np.isfinite(lives.edss[:, here])
    times = np.where(seen, t[here], np.nan)
    with np.errstate(invalid="ignore"):
        n = np.maximum(seen.sum(1, keepdims=True), 1)
        dt = times - np.nansum(times, 1, keepdims=True) / n
        dy = y - np.nansum(y, 1, keepdims=True) / n
    return slope(np.nansum(dt * dy, 1), np.nansum(dt * dt, 1))


def atrophy(lives: MsLives, stage: str, start: int, end: int) -> Estimated:
    """Brain volume change, % a year, over years of disease in a stage: ``before_spms``, ``after_spms`` or ``any``."""
    end = min(end, lives.years)
    change = np.diff(lives.brain_volume, axis=1)[:, start:end]
    years = np.arange(start, end)
    known = np.isfinite(change)
    if stage != "any":
        turned = np.where(lives.event["spms"], lives.time["spms"], np.inf)[:, None]
        known &= (turned > years + 1) if stage == "before_spms" else (turned <= years)
    loss = np.where(known, change, 0.0)
    return slope(loss.sum(1), known.sum(1).astype(float))


def _year_pairs(lives: MsLives) -> tuple[Floats, Floats, Floats]:
    """EDSS now, EDSS a year later, and years since onset now, for every visit that has a visit a year later."""
    two = round(365 / EVERY_DAYS)
    return lives.edss[:, :-two], lives.edss[:, two:], np.arange(lives.edss.shape[1] - two) * STEP


def transition(lives: MsLives, low: float, high: float, to_low: float, to_high: float) -> Estimated:
    """Probability that EDSS within ``low, high`` lies within ``to_low, to_high`` a year later, among the living."""
    now, later, _ = _year_pairs(lives)
    here = (now >= low) & (now <= high) & np.isfinite(later)
    return rate((here & (later >= to_low) & (later <= to_high)).astype(float), here.astype(float))


def spms_within_a_year(lives: MsLives, low: float, high: float) -> Estimated:
    """Probability of secondary progression within a year at an EDSS, among those without it."""
    now, later, t = _year_pairs(lives)
    when = np.where(lives.event["spms"], lives.time["spms"], np.inf)[:, None]
    here = (now >= low) & (now <= high) & (when > t) & np.isfinite(later)
    return rate((here & (when <= t + 1.0)).astype(float), here.astype(float))


def relapse_rate_at(lives: MsLives, low: float, high: float) -> Estimated:
    """Relapses in the year after a visit with EDSS within ``low, high``, before secondary progression."""
    years = np.arange(lives.years)
    at = np.minimum(np.round(years / STEP).astype(int), lives.edss.shape[1] - 1)
    now = lives.edss[:, at]
    when = np.where(lives.event["spms"], lives.time["spms"], np.inf)[:, None]
    here = (now >= low) & (now <= high) & (when > years)
    return rate(np.where(here, lives.relapses, 0.0), np.where(here, lives.exposure, 0.0))
