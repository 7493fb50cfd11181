"""Estimates of natural history with their Monte Carlo intervals: pure functions of arrays and :class:`Lives`.

Every estimator gives (value, low, high, people): the 95 % Monte Carlo interval says how far the finite number of
simulated people may have moved the value, nothing else.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stemtrial import analysis
from stemtrial.analysis.result import Estimate
from stemtrial.predict.natural_lives import Lives

Floats = NDArray[np.float64]
Z = 1.959964
STEP = 182 / 365.25
"""Years by which a time seen at a visit may be behind the truth: between half-yearly visits, the rarest."""


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
    return quantile(np.round(between / lives.step) * lives.step, lives.event[end][had])  # whole visits, tied as such


def proportion(flags: NDArray[np.bool_]) -> Estimated:
    """Share of people, with Wilson's interval."""
    n = len(flags)
    if not n:
        return NOTHING
    p, z2 = float(flags.mean()), Z * Z / n
    half = Z * np.sqrt(p * (1 - p) / n + z2 / (4 * n))
    return Estimated(p, float((p + z2 / 2 - half) / (1 + z2)), float((p + z2 / 2 + half) / (1 + z2)), n)


def median(values: Floats) -> Estimated:
    """Median of values that are all known, with the distribution-free interval of order statistics."""
    x, n = np.sort(np.asarray(values, float)), len(values)
    if not n:
        return NOTHING
    half = Z * np.sqrt(n) / 2
    low, high = max(0, int(np.floor(n / 2 - half))), min(n - 1, int(np.ceil(n / 2 + half)))
    return Estimated(float(np.median(x)), float(x[low]), float(x[high]), n)


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
    return exp(float(np.log(one.value / other.value)), float(np.hypot(a, b)), one.people + other.people)


def exp(log_value: float, se: float, people: int) -> Estimated:
    """Estimate from its logarithm and the standard error of that."""
    return Estimated(
        float(np.exp(log_value)), float(np.exp(log_value - Z * se)), float(np.exp(log_value + Z * se)), people
    )


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
    return exp(b, 1 / np.sqrt(information), len(time))


def slope(xy: Floats, xx: Floats) -> Estimated:
    """Pooled slope within people from their sums of products; people are the independent units."""
    total = float(xx.sum())
    if total <= 0:
        return NOTHING
    b = float(xy.sum()) / total
    half = Z * float(np.sqrt(((xy - b * xx) ** 2).sum())) / total
    return Estimated(b, b - half, b + half, int((xx > 0).sum()))
