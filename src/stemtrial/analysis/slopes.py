"""Slopes of an outcome over time by a random-slope model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from stemtrial.analysis import _inputs
from stemtrial.analysis._inputs import Bools, Floats, Ints
from stemtrial.analysis._lines import Lines, Mixed, Scale, blocks, scaled, visits
from stemtrial.analysis._minimise import minimise
from stemtrial.analysis.result import Estimate, t_interval

STARTS = tuple((a, 0.0, b) for a in (0.3, 1.0, 3.0) for b in (0.3, 1.0, 3.0))  # SDs over the residual's
PERFECT = 1e-10  # residual squares below this share of all are rounding: every patient lies on a line


@dataclass(frozen=True)
class Slope:
    """Mean slope of one group by a random-slope model.

    Attributes
    ----------
    slope : Estimate
        Value per unit of time.
    covariance : ndarray of float, shape (replicates, 2, 2)
        Between patients, of intercept (at time 0) and slope; singular where the data show no spread.
    residual_sd : ndarray of float, shape (replicates,)
        Within patients, in units of the value.

    """

    slope: Estimate
    covariance: Floats
    residual_sd: Floats


@dataclass(frozen=True)
class SlopeComparison:
    """Mean slopes of two arms by one random-slope model, and their difference.

    Attributes
    ----------
    difference : Estimate
        Treated minus control, value per unit of time.
    treated, control : Estimate
        Slope of each arm.
    covariance, residual_sd
        Common to both arms, as in :class:`Slope`.

    """

    difference: Estimate
    treated: Estimate
    control: Estimate
    covariance: Floats
    residual_sd: Floats


def random_slope(time: ArrayLike, value: ArrayLike, include: ArrayLike | None = None, level: float = 0.95) -> Slope:
    """Mean slope of one group by a linear mixed model with a random intercept and slope a patient (REML).

    Parameters
    ----------
    time, value, include, level
        As in :func:`random_slope_difference`.

    Returns
    -------
    Slope
        As ``nlme::lme(value ~ time, random = ~ time | patient)``.

    """
    fit = _fit(time, value, None, include, False, level)
    return Slope(fit.slopes[0], fit.covariance, fit.residual_sd)


def random_slope_difference(
    time: ArrayLike,
    value: ArrayLike,
    treated: ArrayLike,
    include: ArrayLike | None = None,
    shared_baseline: bool = False,
    level: float = 0.95,
) -> SlopeComparison:
    """Difference of slopes by a linear mixed model with a random intercept and slope a patient (REML).

    Parameters
    ----------
    time : array_like, shape (replicates, patients, visits) or what broadcasts to it
        Time of each visit since randomisation (0 there), any unit.
    value : array_like, shape (replicates, patients, visits)
        Outcome; NaN where there was no visit (missed, after drop-out, after death). Patients without any are ignored,
        those with one inform the intercept.
    treated : array_like of bool, shape (replicates, patients)
        True for the treated arm.
    include : array_like of bool, shape (replicates, patients), optional
        False for patients outside the analysis set.
    shared_baseline : bool
        One mean at time 0 for both arms (``value ~ time + time:treated``), as randomisation makes it; otherwise each
        arm has its own (``value ~ time * treated``).
    level : float
        Confidence level.

    Returns
    -------
    SlopeComparison
        Status 3 where an arm is empty or its visits are all at one time; the interval is NaN where every patient's
        values lie on a line, or an arm has one patient.

    Raises
    ------
    InputError
        If axes or shapes differ, values are infinite, or a value has no time.

    Notes
    -----
    As ``nlme::lme(value ~ time * treated, random = ~ time | patient)`` (Laird and Ware 1982, doi:10.2307/2529876):
    estimates, standard errors and variances are its own. Interval and test have one degree of freedom a patient with
    two visits or more, less one an arm, which is exact where all have the same visits; ``lme`` counts visits and is
    more liberal. What is missing is taken to be missing at random given the values seen: the *hypothetical* estimand
    in which nobody dies; :func:`~stemtrial.analysis.joint_slope_difference` drops that assumption for deaths.

    """
    fit = _fit(time, value, treated, include, shared_baseline, level)
    return SlopeComparison(fit.difference, fit.slopes[1], fit.slopes[0], fit.covariance, fit.residual_sd)


@dataclass(frozen=True)
class Start:
    """The fit in units of the replicate, rows being the replicates that can be fitted."""

    beta: Floats
    chol: Floats
    sigma: Floats


@dataclass(frozen=True)
class _Fitted:
    difference: Estimate
    slopes: tuple[Estimate, ...]
    covariance: Floats
    residual_sd: Floats


def designs(arms: int, shared_baseline: bool) -> Floats:
    """Return, arm by arm, the matrix from coefficients to mean intercept and slope, shape (arms, 2, coefficients)."""
    if shared_baseline and arms > 1:
        return np.array([[[1, 0, 0], [0, 1, 0]], [[1, 0, 0], [0, 0, 1]]], np.float64)
    return np.eye(2 * arms).reshape(arms, 2, 2 * arms)


class Reml:
    """Restricted likelihood of a block of replicates, profiled over coefficients and residual variance.

    Parameters
    ----------
    data : Lines
        Sums, scaled.
    member : ndarray of float, shape (arms, replicates, patients)
        1 for the patients of an arm.
    design : ndarray, shape (arms, 2, coefficients)
        See :func:`designs`.

    """

    def __init__(self, data: Lines, member: Floats, design: Floats) -> None:
        self.data, self.member, self.design = data, member, design
        self.df = data.n.sum(1) - design.shape[2]
        self.floor = np.maximum(PERFECT * data.yy.sum(1), 1e-100)  # so that the likelihood has an end

    def rows(self, which: Ints) -> Reml:
        """Return the likelihood of some replicates."""
        return Reml(self.data.rows(which), self.member[:, which], self.design)

    def sums(self, x: Floats) -> Floats:
        """Sums over the patients of each arm (arms, replicates)."""
        total: Floats = np.einsum("grn,rn->gr", self.member, x)
        return total

    def solve(self, m: Mixed) -> tuple[Floats, Floats, Floats]:
        """Return coefficients, their information (both without residual variance) and residual squares."""
        w11, w12, w22 = (self.sums(x) for x in m.W)
        weight = np.stack([np.stack([w11, w12], -1), np.stack([w12, w22], -1)], -1)  # arms, replicates, 2, 2
        a = self.design
        information = np.einsum("gip,grij,gjq->rpq", a, weight, a)
        right = np.einsum("gip,igr->rp", a, np.stack([self.sums(x) for x in m.w]))
        beta = np.linalg.solve(information, right[:, :, None])[:, :, 0]
        squares = m.square.sum(1) - (beta * right).sum(1)
        return beta, information, np.maximum(squares, self.floor)

    def __call__(self, chol: Floats) -> tuple[Floats, Floats]:
        """Minus the log likelihood, without its constant, and its gradient in L."""
        m = Mixed(self.data, chol)
        beta, information, squares = self.solve(m)
        value = (m.log_det.sum(1) + np.linalg.slogdet(information)[1] + self.df * np.log(squares)) / 2
        mean = np.einsum("gip,rp->igr", self.design, beta)
        u1, u2 = m.residual(self.spread(mean))
        spread = np.einsum("gip,rpq,gjq->ijgr", self.design, np.linalg.inv(information), self.design)
        b11, b12, b22 = self.spread(np.stack([spread[0, 0], spread[0, 1], spread[1, 1]]))
        w11, w12, w22 = m.W
        share = (self.df / squares)[:, None]
        # W B W of each patient, B being the variance of their arm's mean line
        p11, p12 = w11 * b11 + w12 * b12, w11 * b12 + w12 * b22
        p21, p22 = w12 * b11 + w22 * b12, w12 * b12 + w22 * b22
        g11 = w11 - (p11 * w11 + p12 * w12) - share * u1 * u1
        g12 = w12 - (p11 * w12 + p12 * w22) - share * u1 * u2
        g22 = w22 - (p21 * w12 + p22 * w22) - share * u2 * u2
        return value, m.to_chol(g11.sum(1), g12.sum(1), g22.sum(1)) / 2

    def spread(self, by_arm: Floats) -> Floats:
        """Give the patients of an arm its numbers: (k, arms, replicates) -> (k, replicates, patients)."""
        each: Floats = np.stack([np.einsum("grn,gr->rn", self.member, x) for x in by_arm])
        return each


def estimable(data: Lines, member: Floats, design: Floats) -> Bools:
    """Whether the visits of a replicate determine all coefficients and leave something for the residual."""
    nothing = Mixed(data, np.zeros((len(data.n), 3)))
    reml = Reml(data, member, design)
    weight = np.einsum("grn,krn->kgr", member, np.stack(nothing.W))
    weight = np.stack([np.stack([weight[0], weight[1]], -1), np.stack([weight[1], weight[2]], -1)], -1)
    information = np.einsum("gip,grij,gjq->rpq", design, weight, design)
    size = np.sqrt(np.einsum("rpp->rp", information))
    unit = information / np.maximum(size[:, :, None] * size[:, None, :], np.finfo(float).tiny)
    ok: Bools = (np.linalg.eigvalsh(unit)[:, 0] > 1e-10) & (reml.df > 0)
    return ok


def fit_block(data: Lines, member: Floats, design: Floats) -> tuple[Start, Floats]:
    """Fit a block of estimable replicates; also return the covariance of the coefficients (NaN without a residual)."""
    whole = Reml(data, member, design)
    tried = np.array([whole(np.tile(s, (len(data.n), 1)))[0] for s in STARTS])
    start = np.array(STARTS)[np.argmin(tried, 0)]
    everyone = len(data.n)

    def part(x: Floats, rows: Ints) -> tuple[Floats, Floats]:
        return (whole if len(rows) == everyone else whole.rows(rows))(x)

    chol = minimise(part, start).x
    beta, information, squares = whole.solve(Mixed(data, chol))
    variance = squares / whole.df
    known = np.where(squares > whole.floor, variance, np.nan)
    return Start(beta, chol, np.sqrt(variance)), known[:, None, None] * np.linalg.inv(information)


def covariance_of(chol: Floats, sigma: Floats, scale: Scale, rows: Ints) -> Floats:
    """Return the covariance of intercept and slope (rows, 2, 2) in units of the data."""
    lower = np.zeros((len(chol), 2, 2))
    lower[:, 0, 0], lower[:, 1, 0], lower[:, 1, 1] = chol.T
    unit = np.stack([scale.value[rows], scale.slope[rows]], 1) * sigma[:, None]
    lower *= unit[:, :, None]
    covariance: Floats = np.einsum("rik,rjk->rij", lower, lower)
    return covariance


def members(treated: ArrayLike | None, shape: tuple[int, ...]) -> Floats:
    """Return 1 for the patients of each arm, control first, or of the one group: (arms, replicates, patients)."""
    if treated is None:
        return np.ones((1, *shape))
    arm = _inputs.flags("treated", treated, shape)
    return np.stack([~arm, arm]).astype(np.float64)


def _fit(
    time: ArrayLike, value: ArrayLike, treated: ArrayLike | None, include: ArrayLike | None, shared: bool, level: float
) -> _Fitted:
    level = _inputs.level(level)
    t, y, seen = visits(time, value, include)
    data, scale = scaled(t, y, seen)
    member = members(treated, data.n.shape)
    arms = len(member)
    design = designs(arms, shared)
    ok = estimable(data, member, design)
    slope, variance = np.full((arms, len(ok)), np.nan), np.full((arms, arms, len(ok)), np.nan)
    covariance, residual_sd = np.full((len(ok), 2, 2), np.nan), np.full(len(ok), np.nan)
    for rows in blocks(np.flatnonzero(ok)):
        start, of_beta = fit_block(data.rows(rows), member[:, rows], design)
        slope[:, rows] = np.einsum("gp,rp->gr", design[:, 1], start.beta) * scale.slope[rows]
        by_arm = np.einsum("gp,rpq,hq->ghr", design[:, 1], of_beta, design[:, 1])
        variance[:, :, rows] = by_arm * scale.slope[rows] ** 2
        covariance[rows] = covariance_of(start.chol, start.sigma, scale, rows)
        residual_sd[rows] = start.sigma * scale.value[rows]
    followed = np.einsum("grn,rn->gr", member, data.at_several_times.astype(np.float64))
    by_arm_df = followed - 1.0
    slopes = tuple(t_interval(slope[g], np.sqrt(variance[g, g]), by_arm_df[g], ok, level) for g in range(arms))
    if arms == 1:
        return _Fitted(slopes[0], slopes, covariance, residual_sd)
    se = np.sqrt(variance[0, 0] + variance[1, 1] - 2 * variance[0, 1])
    difference = t_interval(slope[1] - slope[0], se, by_arm_df.sum(0), ok, level)
    return _Fitted(difference, slopes, covariance, residual_sd)
