"""Estimates of natural history with their Monte Carlo intervals: pure functions of :class:`Lives`.

Every estimator gives (value, low, high, people): the 95 % Monte Carlo interval says how far the finite number of
simulated people may have moved the value, nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stemtrial import analysis
from stemtrial.analysis.result import Estimate
from stemtrial.cohort.ms.natural import cumulative_mortality
from stemtrial.predict.natural_lives import EVERY_DAYS, Lives

Floats = NDArray[np.float64]
Z = 1.959964
STEP = EVERY_DAYS / 365.25
"""Years between visits."""


class Estimated(NamedTuple):
    """An estimate: infinite where a time lies beyond the follow-up, NaN where nobody could be counted."""

    value: float
    low: float
    high: float
    people: int


NOTHING = Estimated(np.nan, np.nan, np.nan, 0)


def quantile(time: Floats, event: NDArray[np.bool_], q: float = 0.5) -> Estimated:
    """Kaplan-Meier quantile of a time to event, between visits by interpolation; limits from the curve's (log-log)."""
    n = len(time)
    if not n:
        return NOTHING
    grid = np.unique(time[event])
    if not len(grid):
        return Estimated(np.inf, np.inf, np.inf, n)
    if len(grid) > 400:
        grid = np.linspace(grid[0], grid[-1], 400)
    km = analysis.kaplan_meier(time[None], event[None], grid)
    # where the curve is 0 it has no limits: they are 0 as well
    curves = [np.where(np.isnan(c[0]), km.survival[0], c[0]) for c in (km.survival, km.lower, km.upper)]
    value, low, high = (_crossing(grid, c, 1.0 - q) for c in curves)
    return Estimated(value, low, high, n)


def _crossing(grid: Floats, curve: Floats, level: float) -> float:
    """Time at which a falling curve passes a level; infinite if never."""
    if not (curve <= level).any():
        return float(np.inf)
    k = int((curve <= level).argmax())
    t0, s0 = (grid[k - 1], curve[k - 1]) if k else (max(0.0, grid[0] - STEP), 1.0)
    return float(t0 + (grid[k] - t0) * (s0 - level) / (s0 - curve[k]))


def share(time: Floats, event: NDArray[np.bool_], at: float) -> Estimated:
    """Kaplan-Meier probability of the event by a time."""
    if not len(time) or time.max() < at - STEP:
        return NOTHING
    km = analysis.kaplan_meier(time[None], event[None], [at], extend=True)
    s, low, high = (float(x[0, 0]) for x in (km.survival, km.lower, km.upper))
    return Estimated(1 - s, 1 - (s if np.isnan(high) else high), 1 - (s if np.isnan(low) else low), len(time))


def gap(lives: Lives, start: str, end: str) -> Estimated:
    """Kaplan-Meier median of the time from one event to another, among those who had the first."""
    had = lives.event[start]
    between = np.maximum(lives.time[end] - lives.time[start], 0.0)[had]
    return quantile(np.round(between / STEP) * STEP, lives.event[end][had])  # whole visits, tied as such


def proportion(flags: NDArray[np.bool_]) -> Estimated:
    """Share of people, with Wilson's interval."""
    n = len(flags)
    if not n:
        return NOTHING
    p, z2 = float(flags.mean()), Z * Z / n
    half = Z * np.sqrt(p * (1 - p) / n + z2 / (4 * n))
    return Estimated(p, float((p + z2 / 2 - half) / (1 + z2)), float((p + z2 / 2 + half) / (1 + z2)), n)


def mean(values: Floats) -> Estimated:
    """Mean of the known values."""
    x = np.asarray(values[np.isfinite(values)], float)
    if len(x) < 2:
        return NOTHING
    half = Z * float(x.std(ddof=1) / np.sqrt(len(x)))
    return Estimated(float(x.mean()), float(x.mean()) - half, float(x.mean()) + half, len(x))


def rate(count: Floats, exposure: Floats) -> Estimated:
    """Events a year; people, not events, are the independent units. Rows are people, other axes are summed."""
    x, t = (np.asarray(a, float).reshape(len(a), -1).sum(1) for a in (count, exposure))
    total = float(t.sum())
    if total <= 0:
        return NOTHING
    r = float(x.sum()) / total
    half = Z * float(np.sqrt(((x - r * t) ** 2).sum())) / total
    return Estimated(r, max(0.0, r - half), r + half, int((t > 0).sum()))


def ratio(one: Estimated, other: Estimated) -> Estimated:
    """Ratio of two independent positive estimates."""
    if not (one.value > 0 and other.value > 0):
        return NOTHING
    a, b = ((x.high - x.low) / (2 * Z * x.value) for x in (one, other))
    return _exp(float(np.log(one.value / other.value)), float(np.hypot(a, b)), one.people + other.people)


def _exp(log_value: float, se: float, people: int) -> Estimated:
    return Estimated(
        float(np.exp(log_value)), float(np.exp(log_value - Z * se)), float(np.exp(log_value + Z * se)), people
    )


def fall_per_5_years(lives: Lives, start: int, end: int) -> Estimated:
    """Rate ratio of relapses for five more years of disease (log-linear over the years from ``start`` to ``end``).

    Poisson regression on the yearly rates, weighted by expected events; the spread is that of people, by halves of 20.
    """
    end = min(end, lives.years)
    if end - start < 5:
        return NOTHING

    def slope(x: Lives) -> float:
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

    groups = [slope(lives.take(slice(k, None, 20))) for k in range(20)] if len(lives) >= 400 else []
    se = float(np.std(groups, ddof=1) / np.sqrt(20)) if groups else np.nan
    return _exp(slope(lives), se, len(lives))


def hazard_ratio(
    time: Floats, event: NDArray[np.bool_], group: NDArray[np.bool_], people: NDArray[np.bool_]
) -> Estimated:
    """Hazard ratio of ``group`` against the other ``people`` (Cox)."""
    e: Estimate = analysis.cox(time[None], event[None], group[None], people[None])
    return Estimated(float(e.value[0]), float(e.lower[0]), float(e.upper[0]), int(people.sum()))


def hazard_ratio_per(time: Floats, event: NDArray[np.bool_], covariate: Floats, start: float, end: float) -> Estimated:
    """Hazard ratio for one more unit of a covariate that may change with time (Cox, Breslow's ties).

    Parameters
    ----------
    time, event
        Years to the event or to censoring.
    covariate : ndarray, shape (people, years)
        Its value known at the start of each year of disease.
    start, end : float
        Only events between these years count.
    """
    sets = []
    for t in np.unique(time[event & (time > start) & (time <= end)]):
        at_risk = time >= t
        x = covariate[at_risk, min(int(t - 1e-9), covariate.shape[1] - 1)]
        dying = (time[at_risk] == t) & event[at_risk]
        levels, which = np.unique(x, return_inverse=True)
        sets.append((levels, np.bincount(which).astype(float), float(x[dying].sum()), float(dying.sum())))
    if not sets:
        return NOTHING
    b, information = 0.0, 0.0
    for _ in range(50):
        score = information = 0.0
        for levels, n, total, deaths in sets:
            w = n * np.exp(b * (levels - levels.mean()))
            centre = float((w * levels).sum() / w.sum())
            score += total - deaths * centre
            information += deaths * float((w * (levels - centre) ** 2).sum() / w.sum())
        if information <= 0:
            return NOTHING
        b += float(np.clip(score / information, -1.0, 1.0))
        if abs(score / information) < 1e-9:
            break
    return _exp(b, 1 / np.sqrt(information), len(time))


def mortality_ratio(lives: Lives, p: Mapping[str, float], edss: Sequence[float] | None = None) -> Estimated:
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
    return _exp(float(np.log(deaths / expected)), 1 / np.sqrt(deaths), int(mine.any(1).sum()))


def edss_slope(lives: Lives, start: float, end: float) -> Estimated:
    """EDSS points a year within people, between two times (years since onset): pooled least squares."""
    t = np.arange(lives.edss.shape[1]) * STEP
    here = (t >= start) & (t <= end)
    y, seen = lives.edss[:, here], np.isfinite(lives.edss[:, here])
    times = np.where(seen, t[here], np.nan)
    with np.errstate(invalid="ignore"):
        n = np.maximum(seen.sum(1, keepdims=True), 1)
        dt = times - np.nansum(times, 1, keepdims=True) / n
        dy = y - np.nansum(y, 1, keepdims=True) / n
    return _slope(np.nansum(dt * dy, 1), np.nansum(dt * dt, 1))


def atrophy(lives: Lives, stage: str, start: int, end: int) -> Estimated:
    """Brain volume change, % a year, over years of disease in a stage: ``before_spms``, ``after_spms`` or ``any``."""
    end = min(end, lives.years)
    change = np.diff(lives.brain_volume, axis=1)[:, start:end]
    years = np.arange(start, end)
    known = np.isfinite(change)
    if stage != "any":
        turned = np.where(lives.event["spms"], lives.time["spms"], np.inf)[:, None]
        known &= (turned > years + 1) if stage == "before_spms" else (turned <= years)
    loss = np.where(known, change, 0.0)
    return _slope(loss.sum(1), known.sum(1).astype(float))


def _slope(xy: Floats, xx: Floats) -> Estimated:
    total = float(xx.sum())
    if total <= 0:
        return NOTHING
    b = float(xy.sum()) / total
    half = Z * float(np.sqrt(((xy - b * xx) ** 2).sum())) / total
    return Estimated(b, b - half, b + half, int((xx > 0).sum()))


def _year_pairs(lives: Lives) -> tuple[Floats, Floats, Floats]:
    """EDSS now, EDSS a year later, and years since onset now, for every visit that has a visit a year later."""
    two = round(365 / EVERY_DAYS)
    return lives.edss[:, :-two], lives.edss[:, two:], np.arange(lives.edss.shape[1] - two) * STEP


def transition(lives: Lives, low: float, high: float, to_low: float, to_high: float) -> Estimated:
    """Probability that EDSS within ``low, high`` lies within ``to_low, to_high`` a year later, among the living."""
    now, later, _ = _year_pairs(lives)
    here = (now >= low) & (now <= high) & np.isfinite(later)
    return rate((here & (later >= to_low) & (later <= to_high)).astype(float), here.astype(float))


def spms_within_a_year(lives: Lives, low: float, high: float) -> Estimated:
    """Probability of secondary progression within a year at an EDSS, among those without it."""
    now, later, t = _year_pairs(lives)
    when = np.where(lives.event["spms"], lives.time["spms"], np.inf)[:, None]
    here = (now >= low) & (now <= high) & (when > t) & np.isfinite(later)
    return rate((here & (when <= t + 1.0)).astype(float), here.astype(float))


def relapse_rate_at(lives: Lives, low: float, high: float) -> Estimated:
    """Relapses in the year after a visit with EDSS within ``low, high``, before secondary progression."""
    years = np.arange(lives.years)
    at = np.minimum(np.round(years / STEP).astype(int), lives.edss.shape[1] - 1)
    now = lives.edss[:, at]
    when = np.where(lives.event["spms"], lives.time["spms"], np.inf)[:, None]
    here = (now >= low) & (now <= high) & (when > years)
    return rate(np.where(here, lives.relapses, 0.0), np.where(here, lives.exposure, 0.0))
