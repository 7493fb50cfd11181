"""Yes-or-no outcomes: proportions, their difference and ratio, and the odds ratio."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv, ndtr, ndtri

from stemtrial.analysis import _inputs
from stemtrial.analysis._inputs import Bools, Floats, divide
from stemtrial.analysis.result import Estimate, Status, log_wald


def _tally(event: ArrayLike, include: ArrayLike | None) -> tuple[Bools, Bools]:
    happened = _inputs.flags("event", event)
    return happened, _inputs.analysis_set(include, happened.shape)


def _table(event: ArrayLike, treated: ArrayLike, include: ArrayLike | None) -> tuple[Floats, Floats, Floats, Floats]:
    """Return events and patients of the treated arm, then of the control arm."""
    happened, mask = _tally(event, include)
    arm = _inputs.flags("treated", treated, mask.shape)
    cells = (happened & arm & mask, arm & mask, happened & ~arm & mask, ~arm & mask)
    x1, n1, x0, n0 = (c.sum(1).astype(np.float64) for c in cells)
    return x1, n1, x0, n0


def _wilson(x: Floats, n: Floats, level: float) -> tuple[Floats, Floats]:
    z2 = float(ndtri(0.5 + level / 2)) ** 2
    centre = divide(x + z2 / 2, n + z2)
    half = np.sqrt(z2 * (divide(x * (n - x), n) + z2 / 4)) / (n + z2)
    lower = np.where(x == 0, 0.0, centre - half)  # exact at the ends, where subtraction leaves 1e-17
    upper = np.where(x == n, 1.0, centre + half)
    return np.where(n > 0, lower, np.nan), np.where(n > 0, upper, np.nan)


def proportion(
    event: ArrayLike, include: ArrayLike | None = None, method: str = "wilson", level: float = 0.95
) -> Estimate:
    """Proportion of patients with an event.

    Parameters
    ----------
    event : array_like of bool, shape (replicates, patients)
        Whether it happened.
    include : array_like of bool, optional
        False for patients outside the analysis set.
    method : {"wilson", "clopper_pearson"}
        Interval: Wilson's score (``prop.test(correct = FALSE)``) or the exact one (``binom.test``).
    level : float
        Confidence level.

    Returns
    -------
    Estimate
        0 to 1; ``se`` is sqrt(p (1 - p) / n), ``p_value`` NaN; status 3 without patients. 0 and 1 are estimates like
        any other (status 0).

    Notes
    -----
    Wilson 1927, doi:10.1080/01621459.1927.10502953; Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404.

    """
    level = _inputs.level(level)
    _inputs.choice("method", method, ("wilson", "clopper_pearson"))
    happened, mask = _tally(event, include)
    x, n = (happened & mask).sum(1).astype(np.float64), mask.sum(1).astype(np.float64)
    p = divide(x, n)
    if method == "wilson":
        lower, upper = _wilson(x, n, level)
    else:
        tail = (1 - level) / 2
        lower = np.where(x > 0, betaincinv(np.maximum(x, 1), n - x + 1, tail), 0.0)
        upper = np.where(x < n, betaincinv(x + 1, np.maximum(n - x, 1), 1 - tail), 1.0)
        lower, upper = np.where(n > 0, lower, np.nan), np.where(n > 0, upper, np.nan)
    status = np.where(n > 0, Status.OK, Status.NO_DATA).astype(np.int8)
    return Estimate(p, lower, upper, np.sqrt(divide(p * (1 - p), n)), np.full_like(p, np.nan), status)


def risk_difference(
    event: ArrayLike,
    treated: ArrayLike,
    include: ArrayLike | None = None,
    method: str = "newcombe",
    level: float = 0.95,
) -> Estimate:
    """Difference of proportions, treated minus control.

    Parameters
    ----------
    event, include, level
        As in :func:`proportion`.
    treated : array_like of bool, shape (replicates, patients)
        True for the treated arm.
    method : {"newcombe", "wald"}
        Interval: Newcombe's from the two Wilson intervals, which keeps a width without events, or Wald's.

    Returns
    -------
    Estimate
        -1 to 1; ``se`` is the unpooled one, ``p_value`` that of the chi-squared test without continuity correction (NaN
        if nobody or everybody has the event); status 3 if an arm is empty.

    Notes
    -----
    Newcombe 1998, method 10, doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I.

    """
    level = _inputs.level(level)
    _inputs.choice("method", method, ("newcombe", "wald"))
    x1, n1, x0, n0 = _table(event, treated, include)
    p1, p0 = divide(x1, n1), divide(x0, n0)
    d, se = p1 - p0, np.sqrt(divide(p1 * (1 - p1), n1) + divide(p0 * (1 - p0), n0))
    if method == "newcombe":
        (l1, u1), (l0, u0) = _wilson(x1, n1, level), _wilson(x0, n0, level)
        lower, upper = d - np.hypot(p1 - l1, u0 - p0), d + np.hypot(u1 - p1, p0 - l0)
    else:
        half = float(ndtri(0.5 + level / 2)) * se
        lower, upper = np.maximum(d - half, -1.0), np.minimum(d + half, 1.0)
    pooled = divide(x1 + x0, n1 + n0)
    z = divide(d, np.sqrt(pooled * (1 - pooled) * (divide(1, n1) + divide(1, n0))))
    status = np.where((n1 > 0) & (n0 > 0), Status.OK, Status.NO_DATA).astype(np.int8)
    return Estimate(d, lower, upper, se, 2 * ndtr(-np.abs(z)), status)


def odds_ratio(event: ArrayLike, treated: ArrayLike, include: ArrayLike | None = None, level: float = 0.95) -> Estimate:
    """Odds ratio, treated over control, with Woolf's interval on the log scale.

    Parameters
    ----------
    event, treated, include, level
        As in :func:`risk_difference`.

    Returns
    -------
    Estimate
        ``se`` is that of the log odds ratio, the test is Wald's. 0 (status 1) if no treated or every control patient
        has the event, inf (status 2) the other way round, NaN (status 3) if nobody or everybody has it or an arm is
        empty.

    Notes
    -----
    Woolf 1955, doi:10.1111/j.1469-1809.1955.tb01348.x; as ``glm(event ~ treated, binomial)``.

    """
    level = _inputs.level(level)
    x1, n1, x0, n0 = _table(event, treated, include)
    y1, y0 = n1 - x1, n0 - x0
    top, bottom = (x1 == 0) | (y0 == 0), (y1 == 0) | (x0 == 0)
    status = np.select(
        [top & bottom, top, bottom], [Status.NO_DATA, Status.AT_LOWER_LIMIT, Status.AT_UPPER_LIMIT], Status.OK
    ).astype(np.int8)
    cells = [np.where(status == Status.OK, c, 1.0) for c in (x1, y1, x0, y0)]
    a, b, c, d = cells
    return log_wald(np.log(a * d / (b * c)), np.sqrt(1 / a + 1 / b + 1 / c + 1 / d), status, level)


def risk_ratio(event: ArrayLike, treated: ArrayLike, include: ArrayLike | None = None, level: float = 0.95) -> Estimate:
    """Ratio of proportions, treated over control, with Katz's interval on the log scale.

    Parameters
    ----------
    event, treated, include, level
        As in :func:`risk_difference`.

    Returns
    -------
    Estimate
        ``se`` is that of the log ratio, the test is Wald's. 0 (status 1) without events in the treated arm, inf
        (status 2) without events in the control arm, NaN (status 3) without either or if an arm is empty.

    Notes
    -----
    Katz et al. 1978, doi:10.2307/2530610; as ``statsmodels.stats.contingency_tables.Table2x2.riskratio``.

    """
    level = _inputs.level(level)
    x1, n1, x0, n0 = _table(event, treated, include)
    status = np.select(
        [(n1 == 0) | (n0 == 0) | ((x1 == 0) & (x0 == 0)), x1 == 0, x0 == 0],
        [Status.NO_DATA, Status.AT_LOWER_LIMIT, Status.AT_UPPER_LIMIT],
        Status.OK,
    ).astype(np.int8)
    a, m, c, n = (np.where(status == Status.OK, v, 1.0) for v in (x1, n1, x0, n0))
    return log_wald(np.log(a * n / (c * m)), np.sqrt(1 / a - 1 / m + 1 / c - 1 / n), status, level)
