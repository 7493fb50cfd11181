"""Rates of recurrent events (relapses, new lesions): negative binomial regression with follow-up as exposure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stemtrial.analysis import _inputs
from stemtrial.analysis._inputs import Bools, Floats
from stemtrial.analysis._roots import falling_root
from stemtrial.analysis.result import Estimate, Status, log_wald
from stemtrial.errors import InputError

MAX_COUNT = 10_000  # the likelihood walks over 0 .. largest count


@dataclass(frozen=True)
class RateComparison:
    """Negative binomial rates of two arms and their ratio.

    Attributes
    ----------
    ratio : Estimate
        Rate of the treated arm over that of the control arm.
    treated, control : Estimate
        Rate of each arm, events per unit of exposure; 0 with status 1 where an arm has no event. ``p_value`` is NaN.
    dispersion : ndarray of float, shape (replicates,)
        Variance = mean + dispersion * mean^2 (R's 1 / theta); 0 in the Poisson limit, NaN without events.
    poisson : ndarray of bool, shape (replicates,)
        True where the counts are not overdispersed: the likelihood is largest at dispersion 0, and the result is that
        of Poisson regression.

    """

    ratio: Estimate
    treated: Estimate
    control: Estimate
    dispersion: Floats
    poisson: Bools


@dataclass(frozen=True)
class Rate:
    """Negative binomial rate of one group; the attributes are told in :class:`RateComparison`."""

    rate: Estimate
    dispersion: Floats
    poisson: Bools


@dataclass(frozen=True)
class _Fit:
    """Log rate and its standard error per group, shape (groups, replicates); read only where the status is 0."""

    log_rate: Floats
    se: Floats
    status: NDArray[np.int8]
    dispersion: Floats
    poisson: Bools


def _counts(count: ArrayLike, exposure: ArrayLike, include: ArrayLike | None) -> tuple[Floats, Floats, Bools]:
    mask = _inputs.analysis_set(include, _inputs.matrix("count", count).shape)
    y = _inputs.numbers("count", count, mask, signed=False)
    t = _inputs.numbers("exposure", exposure, mask, signed=False)
    if (y != np.floor(y)).any():
        raise InputError("count must hold whole numbers; for a continuous outcome use mean_difference")
    if y.size and y.max() > MAX_COUNT:
        raise InputError(
            f"count must be at most {MAX_COUNT}, found {y.max():g}; for a continuous outcome use mean_difference"
        )
    if ((y > 0) & (t == 0)).any():
        raise InputError("count must be 0 where exposure is 0; give the follow-up in which the events were counted")
    return y, t, mask


def _by_one_over_u(u: Floats) -> tuple[Floats, Floats]:
    """Return f(u) = (log(1 + u) - u / (1 + u)) / u^2 and its derivative, by series near 0 where digits cancel."""
    small = u < 0.02
    w = np.where(small, 1.0, u)
    bare = np.log1p(w) - w / (1 + w)
    f, slope = bare / w**2, ((w / (1 + w)) ** 2 - 2 * bare) / w**3
    v = np.where(small, u, 0.0)
    series, series_slope = np.zeros_like(u), np.zeros_like(u)
    for k in range(10, 1, -1):  # sum over k >= 2 of (-1)^k (1 - 1/k) u^(k-2)
        series_slope = series_slope * v + series
        series = series * v + (-1) ** k * (1 - 1 / k)
    return np.where(small, series, f), np.where(small, series_slope, slope)


def _fit(y: Floats, exposure: Floats, groups: tuple[Bools, ...]) -> _Fit:
    """Maximise the NB2 likelihood over one log rate a group and a common dispersion.

    The dispersion is the root of the profile score: for each trial value the log rates, which do not share data, solve
    their own scores. The score in the dispersion at 0 says beforehand whether the maximum is the Poisson limit.
    """
    time = np.stack([np.where(g, exposure, 0.0) for g in groups])
    events = np.stack([np.where(g, y, 0.0).sum(1) for g in groups])
    total = time.sum(2)
    status = np.select([total == 0, events == 0], [Status.NO_DATA, Status.AT_LOWER_LIMIT], Status.OK).astype(np.int8)
    some = events > 0
    b = np.log(np.where(some, events, 1.0) / np.where(some, total, 1.0))
    time = np.where(some[:, :, None], time, 0.0)  # a group without events has rate 0 and no say in the dispersion

    mu = np.einsum("gr,grn->rn", np.exp(b), time)
    excess = ((y - mu) ** 2 - y).sum(1)  # twice the score in the dispersion at 0
    over = excess > 1e-9 * y.sum(1)  # not mere rounding
    alpha = np.where(some.any(0), 0.0, np.nan)
    if over.any():
        start = excess[over] / (mu[over] ** 2).sum(1)  # the dispersion by moments
        b[:, over], alpha[over] = _overdispersed(y[over], time[:, over], b[:, over], start)
        mu = np.einsum("gr,grn->rn", np.exp(b), time)
    information = np.einsum("grn,rn->gr", (time > 0).astype(np.float64), mu / (1 + np.nan_to_num(alpha)[:, None] * mu))
    se = 1 / np.sqrt(np.where(some, information, 1.0))
    return _Fit(b, se, status, alpha, ~over & some.any(0))


def _overdispersed(y: Floats, time: Floats, b: Floats, start: Floats) -> tuple[Floats, Floats]:
    """Return log rates (groups, replicates) and dispersions (replicates,) at the maximum of the likelihood."""
    member = (time > 0).astype(np.float64)
    top = int(y.max())
    cells = np.arange(len(y))[:, None] * (top + 1) + y.astype(np.int64)
    histogram = np.bincount(cells.ravel(), minlength=len(y) * (top + 1)).reshape(len(y), top + 1)
    above = histogram[:, ::-1].cumsum(1)[:, ::-1][:, 1:].astype(np.float64)  # how many counts exceed j = 0, 1, ...
    j = np.arange(top, dtype=np.float64)

    def rates_at(alpha: Floats, guess: Floats) -> Floats:
        grown = 1 + alpha[:, None] * y

        def score(log_rate: Floats) -> tuple[Floats, Floats]:
            mu = np.einsum("gr,grn->rn", np.exp(log_rate), time)
            v = 1 / (1 + alpha[:, None] * mu)
            return np.einsum("grn,rn->gr", member, (y - mu) * v), np.einsum("grn,rn->gr", member, mu * grown * v * v)

        return falling_root(score, guess)

    def profile(log_alpha: Floats) -> tuple[Floats, Floats]:
        nonlocal b
        alpha = np.exp(log_alpha)
        b = rates_at(alpha, b)
        mu = np.einsum("gr,grn->rn", np.exp(b), time)
        u = alpha[:, None] * mu
        v = 1 / (1 + u)
        f, slope = _by_one_over_u(u)
        gamma = j / (1 + alpha[:, None] * j)
        score = (above * gamma).sum(1) + (mu * mu * f - y * mu * v).sum(1)
        bend = -(above * gamma**2).sum(1) + (mu**3 * slope + y * (mu * v) ** 2).sum(1)
        own = np.einsum("grn,rn->gr", member, mu * (1 + alpha[:, None] * y) * v * v)
        cross = np.einsum("grn,rn->gr", member, (y - mu) * mu * v * v)
        bend += np.divide(cross**2, own, out=np.zeros_like(own), where=own > 0).sum(0)
        return alpha * score, -(alpha**2 * bend + alpha * score)

    alpha = np.exp(falling_root(profile, np.log(start)))
    return rates_at(alpha, b), alpha


def negative_binomial(
    count: ArrayLike,
    exposure: ArrayLike,
    treated: ArrayLike,
    include: ArrayLike | None = None,
    level: float = 0.95,
) -> RateComparison:
    """Rate ratio of two arms by negative binomial (NB2) regression with the log of exposure as offset.

    Parameters
    ----------
    count : array_like of whole numbers, shape (replicates, patients)
        Events of each patient, 0 to 10,000.
    exposure : array_like, shape (replicates, patients)
        Follow-up in which they were counted, usually years, 0 or more. A patient with 0 contributes nothing.
    treated : array_like of bool, shape (replicates, patients)
        True for the treated arm.
    include : array_like of bool, optional
        False for patients outside the analysis set; their other values are not read.
    level : float
        Confidence level.

    Returns
    -------
    RateComparison
        Intervals and tests are Wald's on the log scale, ``se`` those of logarithms.

    Raises
    ------
    InputError
        If shapes differ, values are NaN or negative, counts are no whole numbers, or events lack exposure.

    Notes
    -----
    Rates and dispersion are of maximum likelihood, jointly, and the standard errors come from the expected information
    of the log rates at that dispersion, as ``summary(MASS::glm.nb)`` (Venables and Ripley,
    doi:10.1007/978-0-387-21706-2). The dispersion is biased low in small trials, so that Wald's test is somewhat
    liberal there (Aban et al. 2009, doi:10.1016/j.csda.2008.07.034).

    """
    level = _inputs.level(level)
    y, t, mask = _counts(count, exposure, include)
    arm = _inputs.flags("treated", treated, y.shape)
    fit = _fit(y, t, (arm & mask, ~arm & mask))
    one, zero = fit.status
    status = np.select(
        [
            (one == Status.NO_DATA) | (zero == Status.NO_DATA) | ((one != Status.OK) & (zero != Status.OK)),
            one == Status.AT_LOWER_LIMIT,
            zero == Status.AT_LOWER_LIMIT,
        ],
        [Status.NO_DATA, Status.AT_LOWER_LIMIT, Status.AT_UPPER_LIMIT],
        Status.OK,
    ).astype(np.int8)
    ratio = log_wald(fit.log_rate[0] - fit.log_rate[1], np.hypot(fit.se[0], fit.se[1]), status, level)
    by_arm = [log_wald(fit.log_rate[g], fit.se[g], fit.status[g], level, test=False) for g in (0, 1)]
    return RateComparison(ratio, by_arm[0], by_arm[1], fit.dispersion, fit.poisson)


def annualised_rate(
    count: ArrayLike, exposure: ArrayLike, include: ArrayLike | None = None, level: float = 0.95
) -> Rate:
    """Negative binomial rate of one group, e.g. the annualised relapse rate (ARR) of an arm.

    Parameters
    ----------
    count, exposure, include, level
        As in :func:`negative_binomial`; with exposure in years the rate is annual.

    Returns
    -------
    Rate
        The dispersion is that of this group alone.

    """
    level = _inputs.level(level)
    y, t, mask = _counts(count, exposure, include)
    fit = _fit(y, t, (mask,))
    return Rate(log_wald(fit.log_rate[0], fit.se[0], fit.status[0], level, test=False), fit.dispersion, fit.poisson)
