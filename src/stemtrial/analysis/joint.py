"""Joint model of slope and survival: the slopes that arms would show if those who decline fastest did not die first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import ArrayLike

from stemtrial.analysis import _inputs
from stemtrial.analysis._inputs import Bools, Floats, Ints
from stemtrial.analysis._lines import Lines, Mixed, blocks, scaled, visits
from stemtrial.analysis._minimise import minimise
from stemtrial.analysis.result import Estimate, Status, log_wald, t_interval
from stemtrial.analysis.slopes import covariance_of, designs, estimable, fit_block, members

ASSOCIATIONS = ("both", "slope", "none")
HAZARDS = ("weibull", "exponential")
DEATHS_EACH = 5  # deaths for each association that is estimated; with fewer it is left out
NODES = 48  # of the quadrature; error below 1e-6 of a log likelihood up to a spread of 1.2 in the log hazard
EARLIEST = 1e-3  # of the mean follow-up: a death on day 0 is put there, where the hazard is still finite


@dataclass(frozen=True)
class JointSlope:
    """Slope of one group corrected for death, with what it was estimated beside.

    Attributes
    ----------
    slope : Estimate
        Value per unit of time.
    association : ndarray of float, shape (replicates, 2)
        Change of the log hazard per unit of a patient's random intercept and per unit of their random slope; NaN where
        it is left out.
    association_se : ndarray of float, shape (replicates, 2)
        Standard errors.
    hazard_shape : ndarray of float, shape (replicates,)
        Weibull's: 1 is a constant hazard; NaN where nobody died.
    covariance, residual_sd
        As in :class:`~stemtrial.analysis.slopes.Slope`, of maximum likelihood.
    log_likelihood : ndarray of float, shape (replicates,)
        Of values and survival, all constants included, in the units of the data.
    converged : ndarray of bool, shape (replicates,)
        Whether the maximum was found.

    """

    slope: Estimate
    association: Floats
    association_se: Floats
    hazard_shape: Floats
    covariance: Floats
    residual_sd: Floats
    log_likelihood: Floats
    converged: Bools


@dataclass(frozen=True)
class JointComparison:
    """Slopes of two arms corrected for death, their difference and the hazard ratio.

    Attributes
    ----------
    difference : Estimate
        Slope of the treated minus that of the control arm, value per unit of time.
    treated, control : Estimate
        Slope of each arm.
    hazard_ratio : Estimate
        Treated over control among patients of equal random intercept and slope.
    association, association_se, hazard_shape, covariance, residual_sd, log_likelihood, converged
        As in :class:`JointSlope`.

    """

    difference: Estimate
    treated: Estimate
    control: Estimate
    hazard_ratio: Estimate
    association: Floats
    association_se: Floats
    hazard_shape: Floats
    covariance: Floats
    residual_sd: Floats
    log_likelihood: Floats
    converged: Bools


def joint_slope(
    time: ArrayLike,
    value: ArrayLike,
    event_time: ArrayLike,
    died: ArrayLike,
    include: ArrayLike | None = None,
    association: str = "both",
    hazard: str = "weibull",
    level: float = 0.95,
) -> JointSlope:
    """Mean slope of one group by a joint model of slope and survival.

    Parameters
    ----------
    time, value, event_time, died, include, association, hazard, level
        As in :func:`joint_slope_difference`.

    Returns
    -------
    JointSlope
        Status 3 where the visits determine no slope.

    """
    f = _fit(time, value, event_time, died, None, include, False, association, hazard, level)
    return JointSlope(
        f.slopes[0],
        f.association,
        f.association_se,
        f.shape,
        f.covariance,
        f.residual_sd,
        f.log_likelihood,
        f.converged,
    )


def joint_slope_difference(
    time: ArrayLike,
    value: ArrayLike,
    event_time: ArrayLike,
    died: ArrayLike,
    treated: ArrayLike,
    include: ArrayLike | None = None,
    shared_baseline: bool = False,
    association: str = "both",
    hazard: str = "weibull",
    level: float = 0.95,
) -> JointComparison:
    """Difference of slopes by a joint model of slope and survival with shared random effects.

    Values follow a linear mixed model with a random intercept and slope a patient (as
    :func:`~stemtrial.analysis.random_slope_difference`); the hazard of death is
    ``shape * t^(shape - 1) * exp(constant + arm + a0 * random intercept + a1 * random slope)``.

    Parameters
    ----------
    time, value, treated, include, shared_baseline, level
        As in :func:`~stemtrial.analysis.random_slope_difference`. Patients without a value count by their survival.
    event_time : array_like, shape (replicates, patients)
        Death or end of follow-up, in the unit of ``time`` and from the same day, 0 or more.
    died : array_like of bool, shape (replicates, patients)
        True where that is a death (or what else ends the visits in a way that hangs on the disease).
    association : {'both', 'slope', 'none'}
        What of a patient the hazard depends on. It is left out in replicates with fewer than five deaths for each
        coefficient, too few to estimate it from and to bias the slope much.
    hazard : {'weibull', 'exponential'}
        Whether the hazard may rise or fall with time.

    Returns
    -------
    JointComparison
        Status 3 where the visits of an arm determine no slope. Standard errors come from the curvature of the
        likelihood, intervals are normal; NaN where the likelihood is flat. The hazard ratio stands at its limit where
        one arm has no death.

    Raises
    ------
    InputError
        As :func:`~stemtrial.analysis.random_slope_difference`; if a time is negative, or a method does not exist.

    Notes
    -----
    Maximum likelihood (Henderson, Diggle and Dobson 2000, doi:10.1093/biostatistics/1.4.465; in ALS: van Eijk et al.
    2022 compare it with other ways to treat death). Given their values the random effects of a patient are normal, and
    the hazard depends on one combination of them, so that the integral over both is one over a normal variable, done by
    Gauss-Hermite quadrature. Death is the only drop-out that is modelled; visits missed for other reasons are taken to
    be missing at random.

    """
    f = _fit(time, value, event_time, died, treated, include, shared_baseline, association, hazard, level)
    assert f.difference is not None
    assert f.hazard_ratio is not None
    return JointComparison(
        f.difference, f.slopes[1], f.slopes[0], f.hazard_ratio, f.association, f.association_se, f.shape, f.covariance,
        f.residual_sd, f.log_likelihood, f.converged,
    )  # fmt: skip


@dataclass(frozen=True)
class _Fitted:
    difference: Estimate | None
    slopes: tuple[Estimate, ...]
    hazard_ratio: Estimate | None
    association: Floats
    association_se: Floats
    shape: Floats
    covariance: Floats
    residual_sd: Floats
    log_likelihood: Floats
    converged: Bools


def _nodes() -> tuple[Floats, Floats]:
    """Nodes above 0 of the standard normal and their weights, without those that cannot matter."""
    z, weight = hermegauss(NODES)
    weight = weight / weight.sum()
    kept = (z > 0) & (weight > 1e-17)
    return z[kept], weight[kept]


_Z, _WEIGHT = _nodes()


@njit(error_model="numpy", nogil=True, cache=True)
def survive(log_hazard: Any, spread: Any, z: Any, weight: Any, out: Any) -> None:
    """Log of the mean survival exp(-exp(m + s u)), u standard normal, with F' / F and F'' / F in m.

    ``log_hazard`` and ``spread`` are m and s (patients,), ``out`` is (3, patients). The largest term is taken out
    before summing, so that nothing vanishes where survival is hopeless.
    """
    n_nodes = len(z)
    hazard = np.empty(2 * n_nodes)
    for i in range(len(log_hazard)):
        centre = np.exp(log_hazard[i])
        least = np.inf
        for k in range(n_nodes):
            away = np.exp(spread[i] * z[k])
            hazard[2 * k] = centre * away
            hazard[2 * k + 1] = centre / away
            least = min(least, hazard[2 * k + 1])
        f = first = second = 0.0
        for k in range(2 * n_nodes):
            h = hazard[k]
            term = weight[k // 2] * np.exp(least - h)
            f += term
            if term > 0.0:
                first -= h * term
                second += (h - 1.0) * h * term
        out[0, i] = np.log(f) - least
        out[1, i] = first / f
        out[2, i] = second / f


class Likelihood:
    """Log likelihood of a block of replicates.

    Unknowns of a replicate: coefficients, L (3), log residual SD, log hazard at scaled time 1, log shape, log hazard
    ratio (two arms only), association with intercept and slope; all in scaled units.

    Parameters
    ----------
    data, member, design
        As of :class:`~stemtrial.analysis.slopes.Reml`.
    log_time, died : ndarray of float, shape (replicates, patients)
        Logarithm of scaled follow-up (-inf for none) and 1 for a death.

    """

    def __init__(self, data: Lines, member: Floats, design: Floats, log_time: Floats, died: Floats) -> None:
        self.data, self.member, self.design, self.log_time, self.died = data, member, design, log_time, died
        self.p, self.arms = design.shape[2], len(member)
        p = self.p
        self.sigma, self.hazard, self.shape, self.ratio = p + 3, p + 4, p + 5, p + 6
        self.association = p + 5 + self.arms  # of the intercept; that of the slope follows
        self.size = self.association + 2
        self.follows = np.isfinite(log_time)
        self.finite_log_time = np.where(self.follows, log_time, 0.0)

    def rows(self, which: Ints) -> Likelihood:
        """Return the likelihood of some replicates."""
        return Likelihood(
            self.data.rows(which), self.member[:, which], self.design, self.log_time[which], self.died[which]
        )

    def __call__(self, x: Floats) -> tuple[Floats, Floats]:
        """Minus the log likelihood, and its gradient."""
        p, died = self.p, self.died
        m = Mixed(self.data, x[:, p : p + 3])
        mean = np.einsum("gip,rp->igr", self.design, x[:, :p])
        mean1, mean2 = (np.einsum("grn,gr->rn", self.member, part) for part in mean)
        u1, u2 = m.residual((mean1, mean2))
        precision = np.exp(-2 * x[:, self.sigma])
        variance = 1 / precision
        n = self.data.n.sum(1)
        # (y - Z mean)' V^-1 (y - Z mean), each product with Z' V^-1 counted once
        squares = (m.square - (m.w[0] + u1) * mean1 - (m.w[1] + u2) * mean2).sum(1)
        value = (n * (np.log(2 * np.pi) + 2 * x[:, self.sigma]) + m.log_det.sum(1) + squares * precision) / 2

        # Given the values, the random part of the log hazard is normal: mean c, variance v.
        alpha1, alpha2 = x[:, self.association, None], x[:, self.association + 1, None]
        d11, d12, d22 = m.d
        a1, a2 = d11 * alpha1 + d12 * alpha2, d12 * alpha1 + d22 * alpha2
        w11, w12, w22 = m.W
        e1, e2 = alpha1 - w11 * a1 - w12 * a2, alpha2 - w12 * a1 - w22 * a2
        c = a1 * u1 + a2 * u2
        v = np.maximum((a1 * e1 + a2 * e2) * variance[:, None], 0.0)
        shape = np.exp(x[:, self.shape])[:, None]
        known = x[:, self.hazard, None] + shape * self.log_time
        if self.arms == 2:
            known = known + x[:, self.ratio, None] * self.member[1]
        # A death multiplies by the hazard, which shifts the normal by its variance.
        out = np.empty((3, c.size))
        survive(np.minimum(known + c + died * v, 600.0).ravel(), np.sqrt(v).ravel(), _Z, _WEIGHT, out)
        log_survival, first, second = out.reshape(3, *c.shape)
        log_event = known - self.finite_log_time + x[:, self.shape, None] + c + v / 2
        value -= (log_survival + np.where(died > 0, log_event, 0.0)).sum(1)

        by_mean = died + first
        by_variance = died * (0.5 + first) + second / 2
        gradient = np.zeros_like(x)
        pull1, pull2 = (precision[:, None] * u - by_mean * (w_a1 * a1 + w_a2 * a2)
                        for u, w_a1, w_a2 in ((u1, w11, w12), (u2, w12, w22)))  # fmt: skip
        pull = np.stack([np.einsum("grn,rn->gr", self.member, u) for u in (pull1, pull2)])
        gradient[:, :p] = np.einsum("gip,igr->rp", self.design, pull)
        half = precision[:, None] / 2
        of_v = by_variance * variance[:, None]
        g11 = half * u1 * u1 - w11 / 2 + by_mean * u1 * e1 + of_v * e1 * e1
        g12 = half * u1 * u2 - w12 / 2 + by_mean * (u1 * e2 + u2 * e1) / 2 + of_v * e1 * e2
        g22 = half * u2 * u2 - w22 / 2 + by_mean * u2 * e2 + of_v * e2 * e2
        gradient[:, p : p + 3] = m.to_chol(g11.sum(1), g12.sum(1), g22.sum(1))
        gradient[:, self.sigma] = squares * precision - n + 2 * (by_variance * v).sum(1)
        gradient[:, self.hazard] = by_mean.sum(1)
        gradient[:, self.shape] = (np.where(self.follows, by_mean, 0.0) * shape * self.finite_log_time + died).sum(1)
        if self.arms == 2:
            gradient[:, self.ratio] = (by_mean * self.member[1]).sum(1)
        for k, (one, two, e) in enumerate(((d11, d12, (e1, e2)), (d12, d22, (e1, e2)))):
            by_c, by_v = one * u1 + two * u2, 2 * variance[:, None] * (one * e[0] + two * e[1])
            gradient[:, self.association + k] = (by_mean * by_c + by_variance * by_v).sum(1)
        return value, -gradient


def _free(model: Likelihood, deaths: Ints, association: str, hazard: str) -> Bools:
    """Which unknowns are estimated in each replicate."""
    free = np.ones((len(deaths), model.size), np.bool_)
    count = ASSOCIATIONS[::-1].index(association)
    free[:, model.association] = association == "both"
    free[:, model.association + 1] = association != "none"
    free[deaths < DEATHS_EACH * count, model.association :] = False
    free[:, model.shape] = hazard == "weibull"
    free[deaths == 0, model.hazard :] = False
    return free


def _fit_block(
    data: Lines, member: Floats, design: Floats, time: Floats, died: Bools, association: str, hazard: str
) -> tuple[Likelihood, Floats, Floats, Floats, Bools, Bools]:
    """Return the likelihood, unknowns, covariance, minus log likelihood, success and what was estimated."""
    log_time = np.log(time, out=np.full_like(time, -np.inf), where=time > 0)
    model = Likelihood(data, member, design, log_time, died.astype(np.float64))
    deaths, total = died.sum(1), time.sum(1)
    start, _ = fit_block(data, member, design)
    x = np.zeros((len(deaths), model.size))
    p = model.p
    x[:, :p], x[:, p : p + 3] = start.beta, start.chol
    x[:, model.sigma] = np.log(start.sigma)
    some = (deaths > 0) & (total > 0)
    x[:, model.hazard] = np.where(some, np.log(np.where(some, deaths, 1) / np.where(some, total, 1.0)), -700.0)
    if model.arms == 2:  # half a death an arm more, so that an arm without one has a start
        by_arm = np.einsum("grn,rn->gr", member, died.astype(float)) + 0.5
        rate = by_arm / np.maximum(np.einsum("grn,rn->gr", member, time), 1e-9)
        x[:, model.ratio] = np.where(some, np.clip(np.log(rate[1] / rate[0]), -3, 3), 0.0)
    free = _free(model, np.where(some, deaths, 0), association, hazard)
    everyone = len(x)

    def part(at: Floats, rows: Ints) -> tuple[Floats, Floats]:
        return (model if len(rows) == everyone else model.rows(rows))(at)

    found = minimise(part, x, free)
    size, axes = np.linalg.eigh(found.curvature)
    definite = size[:, 0] > 1e-9 * size[:, -1]
    covariance = np.einsum("rij,rj,rkj->rik", axes, 1 / np.where(definite[:, None], size, np.nan), axes)
    return model, found.x, covariance, found.value, found.converged, free


def _fit(
    time: ArrayLike, value: ArrayLike, event_time: ArrayLike, died: ArrayLike, treated: ArrayLike | None,
    include: ArrayLike | None, shared: bool, association: str, hazard: str, level: float,
) -> _Fitted:  # fmt: skip
    level = _inputs.level(level)
    _inputs.choice("association", association, ASSOCIATIONS)
    _inputs.choice("hazard", hazard, HAZARDS)
    t, y, seen = visits(time, value, include)
    data, scale = scaled(t, y, seen)
    r, shape = len(data.n), data.n.shape
    mask = _inputs.analysis_set(include, shape)
    follow = _inputs.numbers("event_time", event_time, mask, signed=False)
    dead = _inputs.flags("died", died, shape) & mask
    n = np.maximum(mask.sum(1), 1)
    unit = follow.sum(1) / n
    unit[unit == 0] = 1.0
    follow = follow / unit[:, None]
    follow = np.where(dead, np.maximum(follow, EARLIEST), follow)
    member = members(treated, shape)
    arms = len(member)
    design = designs(arms, shared)
    ok = estimable(data, member, design)
    nothing = np.full(r, np.nan)
    slope, variance = np.full((arms, r), np.nan), np.full((arms, arms, r), np.nan)
    covariance, residual_sd = np.full((r, 2, 2), np.nan), nothing.copy()
    ratio, ratio_se, k, loglik = nothing.copy(), nothing.copy(), nothing.copy(), nothing.copy()
    linked, linked_se, converged = np.full((r, 2), np.nan), np.full((r, 2), np.nan), np.zeros(r, np.bool_)
    for rows in blocks(np.flatnonzero(ok)):
        model, x, v, minus, converged[rows], free = _fit_block(
            data.rows(rows), member[:, rows], design, follow[rows], dead[rows], association, hazard
        )
        p, contrast = model.p, design[:, 1]
        slope[:, rows] = np.einsum("gp,rp->gr", contrast, x[:, :p]) * scale.slope[rows]
        variance[:, :, rows] = np.einsum("gp,rpq,hq->ghr", contrast, v[:, :p, :p], contrast) * scale.slope[rows] ** 2
        sigma = np.exp(x[:, model.sigma])
        covariance[rows] = covariance_of(x[:, p : p + 3], sigma, scale, rows)
        residual_sd[rows] = sigma * scale.value[rows]
        some = free[:, model.hazard]
        k[rows] = np.where(some, np.exp(x[:, model.shape]), np.nan)
        loglik[rows] = -minus - data.n[rows].sum(1) * np.log(scale.value[rows]) - dead[rows].sum(1) * np.log(unit[rows])
        where = slice(model.association, model.association + 2)
        per = np.stack([scale.value[rows], scale.slope[rows]], 1)
        kept = free[:, where]
        linked[rows] = np.where(kept, x[:, where] / per, np.nan)
        linked_se[rows] = np.where(kept, _root(np.einsum("rii->ri", v[:, where, where])) / per, np.nan)
        if arms == 2:
            ratio[rows], ratio_se[rows] = x[:, model.ratio], _root(v[:, model.ratio, model.ratio])
    normal = np.where(ok, np.inf, 0.0)
    slopes = tuple(t_interval(slope[g], _root(variance[g, g]), normal, ok, level) for g in range(arms))
    difference = hazard_ratio = None
    if arms == 2:
        se = _root(variance[0, 0] + variance[1, 1] - 2 * variance[0, 1])
        difference = t_interval(slope[1] - slope[0], se, normal, ok, level)
        deaths = np.einsum("grn,rn->gr", member, dead.astype(np.float64))
        status = np.select(
            [~ok | (deaths.sum(0) == 0), deaths[1] == 0, deaths[0] == 0],
            [Status.NO_DATA, Status.AT_LOWER_LIMIT, Status.AT_UPPER_LIMIT],
            Status.OK,
        ).astype(np.int8)
        hazard_ratio = log_wald(ratio, ratio_se, status, level)
    return _Fitted(difference, slopes, hazard_ratio, linked, linked_se, k, covariance, residual_sd, loglik, converged)


def _root(variance: Floats) -> Floats:
    """Square root; NaN of what is no variance."""
    return np.sqrt(np.where(variance > 0, variance, np.nan))
