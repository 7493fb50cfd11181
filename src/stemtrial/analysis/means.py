"""Continuous outcomes: means and medians, their difference and ratio, and the difference adjusted for baseline."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr

from stemtrial.analysis import _inputs
from stemtrial.analysis._inputs import Bools, Floats, divide
from stemtrial.analysis.result import Estimate, Status, log_wald, t_interval
from stemtrial.errors import InputError


def _moments(x: Floats, group: Bools) -> tuple[Floats, Floats, Floats]:
    """Return size, mean (NaN for none) and sum of squared deviations of a group."""
    n = group.sum(1).astype(np.float64)
    centre = divide(np.where(group, x, 0.0).sum(1), n)
    deviation = np.where(group, x - np.nan_to_num(centre)[:, None], 0.0)
    return n, centre, (deviation**2).sum(1)


def mean(y: ArrayLike, include: ArrayLike | None = None, level: float = 0.95) -> Estimate:
    """Mean with the interval of Student's t; the test is against 0.

    Parameters
    ----------
    y : array_like, shape (replicates, patients)
        Outcome, any unit.
    include : array_like of bool, optional
        False for patients outside the analysis set; their other values are not read.
    level : float
        Confidence level.

    Returns
    -------
    Estimate
        Status 3 without patients; with one patient the value stands and its interval is NaN.

    Raises
    ------
    InputError
        If shapes differ or values are NaN.

    """
    level = _inputs.level(level)
    mask = _inputs.analysis_set(include, _inputs.matrix("y", y).shape)
    n, centre, squares = _moments(_inputs.numbers("y", y, mask), mask)
    return t_interval(centre, np.sqrt(divide(squares, n * (n - 1))), n - 1, n > 0, level)


def mean_difference(
    y: ArrayLike,
    treated: ArrayLike,
    include: ArrayLike | None = None,
    unequal_variance: bool = True,
    level: float = 0.95,
) -> Estimate:
    """Difference of means, treated minus control, with the interval and test of Welch's t.

    Parameters
    ----------
    y, include, level
        As in :func:`mean`.
    treated : array_like of bool, shape (replicates, patients)
        True for the treated arm.
    unequal_variance : bool
        Welch's degrees of freedom; otherwise the pooled variance of Student.

    Returns
    -------
    Estimate
        Status 3 if an arm is empty; the interval is NaN where an arm is too small to have a variance.

    Notes
    -----
    Welch 1947, doi:10.1093/biomet/34.1-2.28; as ``t.test``.

    """
    level = _inputs.level(level)
    mask = _inputs.analysis_set(include, _inputs.matrix("y", y).shape)
    x, arm = _inputs.numbers("y", y, mask), _inputs.flags("treated", treated, mask.shape)
    (n1, m1, q1), (n0, m0, q0) = _moments(x, arm & mask), _moments(x, ~arm & mask)
    if unequal_variance:
        v1, v0 = divide(q1, n1 * (n1 - 1)), divide(q0, n0 * (n0 - 1))
        variance = v1 + v0
        df = divide(variance**2, divide(v1**2, n1 - 1) + divide(v0**2, n0 - 1))
        df = np.where(variance == 0, n1 + n0 - 2, df)  # two constant arms: any df gives the same, empty interval
    else:
        df = n1 + n0 - 2
        variance = divide(q1 + q0, df) * (divide(1, n1) + divide(1, n0))
    return t_interval(m1 - m0, np.sqrt(np.where(df > 0, variance, np.nan)), df, (n1 > 0) & (n0 > 0), level)


def ancova(
    y: ArrayLike,
    baseline: ArrayLike,
    treated: ArrayLike,
    include: ArrayLike | None = None,
    level: float = 0.95,
) -> Estimate:
    """Difference of means, treated minus control, adjusted for the baseline by least squares with one common slope.

    Parameters
    ----------
    y, treated, include, level
        As in :func:`mean_difference`.
    baseline : array_like, shape (replicates, patients)
        Covariate, usually the outcome before treatment.

    Returns
    -------
    Estimate
        The coefficient of ``treated`` in ``lm(y ~ treated + baseline)``. A baseline that is one constant drops out; one
        that is constant within arms but differs between them cannot be told from treatment: status 3.

    Notes
    -----
    Senn 2006, doi:10.1002/sim.2682, on why to adjust rather than subtract.

    """
    level = _inputs.level(level)
    mask = _inputs.analysis_set(include, _inputs.matrix("y", y).shape)
    v, x = _inputs.numbers("y", y, mask), _inputs.numbers("baseline", baseline, mask)
    arm = _inputs.flags("treated", treated, mask.shape)
    groups = (arm & mask, ~arm & mask)
    (n1, y1, _), (n0, y0, _) = (_moments(v, g) for g in groups)
    (_, x1, q1), (_, x0, q0) = (_moments(x, g) for g in groups)
    gap = x1 - x0
    spread = q1 + q0
    flat = spread <= 1e-24 * (x**2).sum(1)  # rounding error of squared deviations of a constant
    spread = np.where(flat, 0.0, spread)
    centred = [np.where(groups[0], (y1 if z is v else x1)[:, None], (y0 if z is v else x0)[:, None]) for z in (v, x)]
    dv, dx = (np.where(mask, z - c, 0.0) for z, c in zip((v, x), centred, strict=True))
    slope = np.divide((dv * dx).sum(1), spread, out=np.zeros_like(spread), where=spread > 0)
    df = n1 + n0 - np.where(flat, 2.0, 3.0)
    residual = ((dv - slope[:, None] * dx) ** 2).sum(1)
    lever = np.divide(gap**2, spread, out=np.zeros_like(spread), where=spread > 0)
    variance = divide(residual, df) * (divide(1, n1) + divide(1, n0) + lever)
    aliased = flat & (np.abs(gap) > 1e-12 * np.abs(x).max(1, initial=0.0))
    estimable = (n1 > 0) & (n0 > 0) & ~aliased
    return t_interval(y1 - y0 - slope * gap, np.sqrt(np.where(df > 0, variance, np.nan)), df, estimable, level)


def mean_ratio(y: ArrayLike, treated: ArrayLike, include: ArrayLike | None = None, level: float = 0.95) -> Estimate:
    """Ratio of means, treated over control, with Wald's interval on the log scale by the delta method.

    Of counts over equal follow-up it is the rate ratio; of changes (brain volume) the relative loss.

    Parameters
    ----------
    y, treated, include, level
        As in :func:`mean_difference`.

    Returns
    -------
    Estimate
        ``se`` is that of the log ratio. 0 (status 1) or inf (status 2) where only the treated or only the control mean
        is 0; NaN (status 3) where both are, where they differ in sign, or an arm is empty.

    Notes
    -----
    As Poisson regression with robust (HC0) standard errors, Zou 2004, doi:10.1093/aje/kwh090; means of one sign may
    both be negative.

    """
    level = _inputs.level(level)
    mask = _inputs.analysis_set(include, _inputs.matrix("y", y).shape)
    x, arm = _inputs.numbers("y", y, mask), _inputs.flags("treated", treated, mask.shape)
    (n1, m1, q1), (n0, m0, q0) = _moments(x, arm & mask), _moments(x, ~arm & mask)
    status = np.select(
        [~((n1 > 0) & (n0 > 0)) | (m1 * m0 < 0) | ((m1 == 0) & (m0 == 0)), m1 == 0, m0 == 0],
        [Status.NO_DATA, Status.AT_LOWER_LIMIT, Status.AT_UPPER_LIMIT],
        Status.OK,
    ).astype(np.int8)
    ratio = np.where(status == Status.OK, divide(m1, m0), 1.0)
    se = np.sqrt(divide(q1, (n1 * m1) ** 2) + divide(q0, (n0 * m0) ** 2))
    return log_wald(np.log(ratio), se, status, level)


def dispersion(y: ArrayLike, include: ArrayLike | None = None) -> Floats:
    """Negative binomial size k of counts by the method of moments: mean^2 / (variance - mean).

    Parameters
    ----------
    y : array_like, shape (replicates, patients)
        Counts over one time that is the same for everybody.
    include : array_like of bool, optional
        As in :func:`mean`.

    Returns
    -------
    ndarray of float, shape (replicates,)
        Variance = mean + mean^2 / k, so that a small k is a heavy tail (R's theta, the inverse of the dispersion of
        :func:`stemtrial.analysis.negative_binomial`). Infinite where the counts vary no more than Poisson counts; NaN
        without an event, or with fewer than two patients.

    Raises
    ------
    InputError
        If shapes differ or values are NaN or negative.

    Notes
    -----
    Anscombe 1950, doi:10.1093/biomet/37.3-4.358: simple, and inefficient where the tail is heavy.

    """
    mask = _inputs.analysis_set(include, _inputs.matrix("y", y).shape)
    n, centre, squares = _moments(_inputs.numbers("y", y, mask, signed=False), mask)
    extra = divide(squares, n - 1) - centre
    k = np.divide(centre**2, extra, out=np.full_like(extra, np.inf), where=extra > 1e-9 * centre)
    return np.where((n > 1) & (centre > 0), k, np.nan)


def median(y: ArrayLike, include: ArrayLike | None = None, level: float = 0.95) -> Estimate:
    """Median with the distribution-free interval of the sign test.

    Parameters
    ----------
    y, include, level
        As in :func:`mean`.

    Returns
    -------
    Estimate
        ``se`` and ``p_value`` are NaN, and so is the interval where so few patients hold none of that level.
        Status 3 without patients.

    Notes
    -----
    Limits are the order statistics k and n + 1 - k, k the largest for which the coverage is at least ``level``
    (Conover, Practical Nonparametric Statistics, 3.2): ``sort(y)[qbinom((1 - level) / 2, n, 0.5)]``.

    """
    level = _inputs.level(level)
    mask = _inputs.analysis_set(include, _inputs.matrix("y", y).shape)
    ordered = np.sort(np.where(mask, _inputs.numbers("y", y, mask), np.inf), axis=1)
    n = mask.sum(1)
    if ordered.shape[1] == 0:
        ordered = np.full((len(n), 1), np.inf)

    def at(position: NDArray[np.int64]) -> Floats:
        return np.asarray(np.take_along_axis(ordered, np.maximum(position, 0)[:, None], 1)[:, 0], np.float64)

    some = n > 0
    value = np.where(some, (at((n - 1) // 2) + at(np.where(some, n // 2, 0))) / 2, np.nan)
    k = np.array([int((bdtr(np.arange(size // 2 + 1), size, 0.5) < (1 - level) / 2).sum()) for size in n.tolist()], int)
    lower, upper = (np.where(k > 0, at(p), np.nan) for p in (k - 1, np.where(k > 0, n - k, 0)))
    nothing = np.full_like(value, np.nan)
    status = np.where(some, Status.OK, Status.NO_DATA).astype(np.int8)
    return Estimate(value, lower, upper, nothing, nothing, status)


def _logs(y: ArrayLike, include: ArrayLike | None) -> tuple[Floats, Bools]:
    mask = _inputs.analysis_set(include, _inputs.matrix("y", y).shape)
    x = _inputs.numbers("y", y, mask)
    if (x[mask] <= 0).any():
        raise InputError(f"y must be positive for a geometric mean, found {x[mask].min():g}; use mean or median")
    return np.log(np.where(mask, x, 1.0)), mask


def _exponential(e: Estimate) -> Estimate:
    """Return an estimate of logarithms on the scale of the values; ``se`` and test stay those of logarithms."""
    return Estimate(np.exp(e.value), np.exp(e.lower), np.exp(e.upper), e.se, e.p_value, e.status)


def geometric_mean(y: ArrayLike, include: ArrayLike | None = None, level: float = 0.95) -> Estimate:
    """Geometric mean of positive values, with the interval of Student's t on the log scale.

    Parameters
    ----------
    y, include, level
        As in :func:`mean`; ``y`` above 0 in the analysis set.

    Returns
    -------
    Estimate
        ``se`` is that of the logarithm; the test is against 1. Status 3 without patients.

    Raises
    ------
    InputError
        As :func:`mean`, and for values that are not positive.

    """
    logs, mask = _logs(y, include)
    return _exponential(mean(logs, mask, level))


def geometric_mean_ratio(
    y: ArrayLike, treated: ArrayLike, include: ArrayLike | None = None, level: float = 0.95
) -> Estimate:
    """Ratio of geometric means, treated over control: Welch's t on the log scale.

    Parameters
    ----------
    y, include, level
        As in :func:`geometric_mean`.
    treated : array_like of bool, shape (replicates, patients)
        True for the treated arm.

    Returns
    -------
    Estimate
        ``se`` is that of the log ratio; the test is against 1. Status 3 if an arm is empty.

    """
    logs, mask = _logs(y, include)
    return _exponential(mean_difference(logs, treated, mask, level=level))
