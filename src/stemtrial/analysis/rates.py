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
GRID = tuple(8.0**k for k in range(-2, 3))  # dispersions tried before Newton's method; those of relapses lie at 0.1-5


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


def _in_order(x: Floats) -> Floats:
    """Row sums, one after the other: trailing zeros, which the largest count of the batch decides, change no bit."""
    return x.cumsum(1)[:, -1] if x.shape[1] else np.zeros(len(x))


class _Likelihood:
    """NB2 likelihood of counts ``y`` (replicates, patients) by log rates ``b`` (groups, replicates) and a dispersion.

    ``time`` (groups, replicates, patients) is the exposure, 0 outside a group. With a = dispersion and m = mean, a
    patient adds sum over j < y of log(1 + a j), plus y log(m) - (y + 1/a) log(1 + a m): no gamma functions, and exact
    as a -> 0.
    """

    def __init__(self, y: Floats, time: Floats) -> None:
        self.y, self.time, self.member = y, time, (time > 0).astype(np.float64)
        top = int(y.max(initial=0))
        cells = np.arange(len(y))[:, None] * (top + 1) + y.astype(np.int64)
        histogram = np.bincount(cells.ravel(), minlength=len(y) * (top + 1)).reshape(len(y), top + 1)
        self.above = histogram[:, ::-1].cumsum(1)[:, ::-1][:, 1:].astype(np.float64)  # counts that exceed j = 0, 1, ...
        self.j = np.arange(top, dtype=np.float64)

    def rows(self, which: Bools) -> _Likelihood:
        """Return the likelihood of some replicates."""
        return _Likelihood(self.y[which], self.time[:, which])

    def mean(self, b: Floats) -> Floats:
        """Expected counts (replicates, patients)."""
        mu: Floats = np.einsum("gr,grn->rn", np.exp(b), self.time)
        return mu

    def by_group(self, x: Floats) -> Floats:
        """Sums over the patients of each group."""
        total: Floats = np.einsum("grn,rn->gr", self.member, x)
        return total

    def value(self, alpha: float, b: Floats) -> Floats:
        """Log likelihood of each replicate at one dispersion, without its constant."""
        mu = self.mean(b)
        log_mu = np.log(mu, out=np.zeros_like(mu), where=mu > 0)
        if alpha == 0:
            poisson: Floats = (self.y * log_mu - mu).sum(1)
            return poisson
        tail = (self.y + 1 / alpha) * np.log1p(alpha * mu)
        total: Floats = _in_order(self.above * np.log1p(alpha * self.j)) + (self.y * log_mu - tail).sum(1)
        return total

    def rates(self, alpha: Floats, guess: Floats) -> Floats:
        """Log rates of greatest likelihood at given dispersions (replicates,)."""
        a = alpha[:, None]

        def score(b: Floats) -> tuple[Floats, Floats]:
            mu = self.mean(b)
            v = 1 / (1 + a * mu)
            return self.by_group((self.y - mu) * v), self.by_group(mu * (1 + a * self.y) * v * v)

        return falling_root(score, guess)

    def slopes(self, alpha: Floats, b: Floats) -> tuple[Floats, Floats]:
        """First and second derivative in the dispersion, the rates following along."""
        y, a, mu = self.y, alpha[:, None], self.mean(b)
        v = 1 / (1 + a * mu)
        f, f_slope = _by_one_over_u(a * mu)
        gamma = self.j / (1 + a * self.j)
        first = _in_order(self.above * gamma) + (mu * mu * f - y * mu * v).sum(1)
        second = -_in_order(self.above * gamma**2) + (mu**3 * f_slope + y * (mu * v) ** 2).sum(1)
        own, cross = self.by_group(mu * (1 + a * y) * v * v), self.by_group((y - mu) * mu * v * v)
        second += np.divide(cross**2, own, out=np.zeros_like(own), where=own > 0).sum(0)
        return first, second


def _fit(y: Floats, exposure: Floats, groups: tuple[Bools, ...]) -> _Fit:
    """Maximise the likelihood over one log rate a group and a common dispersion.

    With unequal exposures the profile likelihood of the dispersion may have two peaks, one of them at 0. A coarse grid
    finds the higher one and brackets it; Newton's method does the rest.
    """
    time = np.stack([np.where(g, exposure, 0.0) for g in groups])
    events = np.stack([np.where(g, y, 0.0).sum(1) for g in groups])
    total = time.sum(2)
    status = np.select([total == 0, events == 0], [Status.NO_DATA, Status.AT_LOWER_LIMIT], Status.OK).astype(np.int8)
    some = events > 0
    # A group without events has rate 0 and no say in the dispersion.
    model = _Likelihood(y, np.where(some[:, :, None], time, 0.0))
    b = np.log(np.where(some, events, 1.0) / np.where(some, total, 1.0))  # Poisson's rates
    alpha, b = _dispersion(model, b)
    information = model.by_group(model.mean(b) / (1 + alpha[:, None] * model.mean(b)))
    se = 1 / np.sqrt(np.where(some, information, 1.0))
    known = some.any(0)
    return _Fit(b, se, status, np.where(known, alpha, np.nan), known & (alpha == 0))


def _dispersion(model: _Likelihood, b: Floats) -> tuple[Floats, Floats]:
    """Return dispersions (replicates,) and log rates (groups, replicates) at the maximum; ``b`` are Poisson's rates."""
    mu = model.mean(b)
    excess = ((model.y - mu) ** 2 - model.y).sum(1)  # twice the slope of the likelihood in the dispersion at 0
    rising = excess > 1e-9 * model.y.sum(1)  # and not by mere rounding
    moment = np.divide(excess, (mu**2).sum(1), out=np.zeros(len(mu)), where=rising)
    start = np.minimum(moment, GRID[0] / 2)
    low, high = np.full(len(mu), -np.inf), np.full(len(mu), np.log(GRID[0]))
    best, trial, at_start = model.value(0.0, b), b, b.copy()
    for k, alpha in enumerate(GRID):
        trial = model.rates(np.full(len(mu), alpha), trial)
        value = model.value(alpha, trial)
        higher = value > best
        best, start = np.where(higher, value, best), np.where(higher, alpha, start)
        low = np.where(higher, np.log(GRID[k - 1]) if k else -np.inf, low)
        high = np.where(higher, np.log(GRID[k + 1]) if k + 1 < len(GRID) else np.inf, high)
        at_start = np.where(higher, trial, at_start)
    over = start > 0
    if over.any():
        part, rates = model.rows(over), at_start[:, over]

        def profile(log_alpha: Floats) -> tuple[Floats, Floats]:
            nonlocal rates
            a = np.exp(log_alpha)
            rates = part.rates(a, rates)
            first, second = part.slopes(a, rates)
            return a * first, -(a * a * second + a * first)

        start[over] = np.exp(falling_root(profile, np.log(start[over]), low[over], high[over]))
        at_start[:, over] = part.rates(start[over], at_start[:, over])
    return start, at_start


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
