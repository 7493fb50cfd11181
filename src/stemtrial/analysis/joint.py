"""Joint model of slope and survival: the slopes that arms would show if those who decline fastest did not die first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from stemtrial.analysis import _inputs
from stemtrial.analysis._inputs import Bools, Floats, Ints
from stemtrial.analysis._joint import Likelihood
from stemtrial.analysis._lines import blocks, scaled, visits
from stemtrial.analysis._minimise import Minimum, minimise
from stemtrial.analysis.result import Estimate, Status, log_wald, t_interval
from stemtrial.analysis.slopes import covariance_of, designs, estimable, fit_block, members

ASSOCIATIONS = ("both", "slope", "none")
HAZARDS = ("weibull", "exponential")
DEATHS_EACH = 5  # deaths for each association that is estimated, and for the shape; with fewer it is left out
NOBODY_DIES = -40.0  # log hazard of arms without a death, over the mean follow-up
EARLIEST = 1e-3  # of the mean follow-up: a death on day 0 is put there, where the hazard is still finite


@dataclass(frozen=True)
class JointFit:
    """What a joint model estimates beside slopes.

    Attributes
    ----------
    association : ndarray of float, shape (replicates, 2)
        Change of the log hazard per unit of a patient's random intercept and per unit of their random slope; NaN where
        it is left out.
    association_se : ndarray of float, shape (replicates, 2)
        Standard errors.
    hazard_shape : ndarray of float, shape (replicates,)
        Weibull's: 1 is a constant hazard; NaN where nobody died.
    covariance : ndarray of float, shape (replicates, 2, 2)
        Between patients, of intercept (at time 0) and slope; of maximum likelihood, as all of these.
    residual_sd : ndarray of float, shape (replicates,)
        Within patients, in units of the value.
    log_likelihood : ndarray of float, shape (replicates,)
        Of values and survival, all constants included, in the units of the data.
    converged : ndarray of bool, shape (replicates,)
        Whether the maximum was found. In small trials, and where nearly all die, slopes may foretell deaths all but
        perfectly: the association then grows to where the quadrature ends, and everything stands at that point (none of
        1,000 simulated trials of 200 patients, one in six with 18 patients of whom 12 died).

    """

    association: Floats
    association_se: Floats
    hazard_shape: Floats
    covariance: Floats
    residual_sd: Floats
    log_likelihood: Floats
    converged: Bools


@dataclass(frozen=True)
class JointSlope(JointFit):
    """Slope of one group corrected for death; further attributes as in :class:`JointFit`.

    Attributes
    ----------
    slope : Estimate
        Value per unit of time.

    """

    slope: Estimate


@dataclass(frozen=True)
class JointComparison(JointFit):
    """Slopes of two arms corrected for death; further attributes as in :class:`JointFit`.

    Attributes
    ----------
    difference : Estimate
        Slope of the treated minus that of the control arm, value per unit of time.
    treated, control : Estimate
        Slope of each arm.
    hazard_ratio : Estimate
        Treated over control among patients of equal random intercept and slope.

    """

    difference: Estimate
    treated: Estimate
    control: Estimate
    hazard_ratio: Estimate


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
    f = _fit(time, value, event_time, died, None, include, False, association, hazard)
    return JointSlope(**vars(f.beside), slope=_slope(f, np.array([1.0]), _inputs.level(level)))


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
        Whether the hazard may rise or fall with time; with fewer than five deaths it is constant.

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
    Maximum likelihood (Henderson, Diggle and Dobson 2000, doi:10.1093/biostatistics/1.4.465; van Eijk et al. 2018,
    doi:10.2147/CLEP.S153196, set it beside other ways to treat death in ALS). Given their values the random effects of
    a patient are normal, and the hazard depends on one combination of them, so that the integral over both is one over
    a normal variable, done by Gauss-Hermite quadrature. Death is the only drop-out that is modelled; visits missed for
    other reasons are taken to be missing at random.

    """
    level = _inputs.level(level)
    f = _fit(time, value, event_time, died, treated, include, shared_baseline, association, hazard)
    status = np.select(
        [~f.ok | (f.deaths.sum(0) == 0), f.deaths[1] == 0, f.deaths[0] == 0],
        [Status.NO_DATA, Status.AT_LOWER_LIMIT, Status.AT_UPPER_LIMIT],
        Status.OK,
    ).astype(np.int8)
    control, treatment, difference = (_slope(f, np.array(c), level) for c in ([1.0, 0], [0, 1.0], [-1.0, 1.0]))
    return JointComparison(
        **vars(f.beside),
        difference=difference,
        treated=treatment,
        control=control,
        hazard_ratio=log_wald(f.log_ratio, f.log_ratio_se, status, level),
    )


@dataclass(frozen=True)
class _Fitted:
    """Slopes (arms, replicates) and their covariance, log hazard ratio, deaths (arms, replicates), what is beside."""

    slope: Floats
    variance: Floats
    log_ratio: Floats
    log_ratio_se: Floats
    deaths: Floats
    ok: Bools
    beside: JointFit


def _slope(f: _Fitted, contrast: Floats, level: float) -> Estimate:
    """Return a combination of the arms' slopes with its normal interval."""
    variance = np.einsum("g,ghr,h->r", contrast, f.variance, contrast)
    return t_interval(contrast @ f.slope, _root(variance), np.where(f.ok, np.inf, 0.0), f.ok, level)


def _begin(model: Likelihood, association: str, hazard: str) -> tuple[Floats, Bools]:
    """Return where the search begins, and which unknowns are estimated in each replicate.

    The likelihood has no maximum in what an arm without a death, or few deaths, cannot tell: hazards of such arms are
    held at none, associations and the shape at the value that they have without effect.
    """
    start, _ = fit_block(model.data, model.member, model.design)
    deaths, total = (np.einsum("grn,rn->gr", model.member, part) for part in (model.died, model.time))
    log_rate = np.log(np.where(deaths > 0, deaths, 1.0) / np.where(deaths > 0, total, 1.0))
    some = deaths > 0
    p, count = model.p, deaths.sum(0)
    x, free = np.zeros((len(count), model.size)), np.ones((len(count), model.size), np.bool_)
    x[:, :p], x[:, p : p + 3], x[:, model.sigma] = start.beta, start.chol, np.log(start.sigma)
    x[:, model.hazard], free[:, model.hazard] = np.where(some[0], log_rate[0], NOBODY_DIES), some[0]
    if model.arms == 2:
        arm_rate = np.where(some[1], log_rate[1], NOBODY_DIES)
        x[:, model.ratio] = np.where(count > 0, arm_rate - x[:, model.hazard], 0.0)
        free[:, model.ratio] = some[1]
    wanted = np.array([association == "both", association != "none"])
    linked = slice(model.association, model.association + 2)
    free[:, linked] = wanted & (count >= np.maximum(DEATHS_EACH * wanted.sum(), 1))[:, None]
    free[:, model.shape] = (hazard == "weibull") & (count >= DEATHS_EACH)
    return x, free


def _fit_block(model: Likelihood, association: str, hazard: str) -> tuple[Minimum, Bools]:
    """Return the maximum of a block of replicates, and which unknowns were estimated."""
    x, free = _begin(model, association, hazard)

    def part(at: Floats, rows: Ints) -> tuple[Floats, Floats]:
        return (model if len(rows) == len(x) else model.rows(rows))(at)

    found = minimise(part, x, free)
    # Where intercept and slope do not spread, L is not unique: curvature that is only lacking there does no harm.
    k = np.arange(model.p, model.p + 3)
    found.curvature[:, k, k] += 1e-6 * np.abs(found.curvature).max((1, 2))[:, None]
    return found, free


def _fit(
    time: ArrayLike, value: ArrayLike, event_time: ArrayLike, died: ArrayLike, treated: ArrayLike | None,
    include: ArrayLike | None, shared: bool, association: str, hazard: str,
) -> _Fitted:  # fmt: skip
    _inputs.choice("association", association, ASSOCIATIONS)
    _inputs.choice("hazard", hazard, HAZARDS)
    data, scale = scaled(*visits(time, value, include))
    shape, r = data.n.shape, len(data.n)
    mask = _inputs.analysis_set(include, shape)
    follow = _inputs.numbers("event_time", event_time, mask, signed=False)
    dead = _inputs.flags("died", died, shape) & mask
    unit = follow.sum(1) / np.maximum(mask.sum(1), 1)
    unit[unit == 0] = 1.0
    follow = follow / unit[:, None]
    follow = np.where(dead, np.maximum(follow, EARLIEST), follow)
    member = members(treated, shape)
    design = designs(len(member), shared)
    ok = estimable(data, member, design)
    model = Likelihood(data, member, design, follow, dead)
    x, v = np.full((r, model.size), np.nan), np.full((r, model.size, model.size), np.nan)
    free, converged, loglik = np.zeros((r, model.size), np.bool_), np.zeros(r, np.bool_), np.full(r, np.nan)
    for rows in blocks(np.flatnonzero(ok)):
        found, free[rows] = _fit_block(model.rows(rows), association, hazard)
        x[rows], v[rows], converged[rows] = found.x, _inverse(found.curvature), found.converged
        units = data.n[rows].sum(1) * np.log(scale.value[rows]) + dead[rows].sum(1) * np.log(unit[rows])
        loglik[rows] = -found.value - units

    p, contrast, everyone = model.p, design[:, 1], np.arange(r)
    sigma = np.exp(x[:, model.sigma])
    linked = slice(model.association, model.association + 2)
    per = np.where(free[:, linked], np.stack([scale.value, scale.slope], 1), np.nan)
    beside = JointFit(
        association=x[:, linked] / per,
        association_se=_root(np.einsum("rii->ri", v[:, linked, linked])) / per,
        hazard_shape=np.where(dead.any(1), np.exp(x[:, model.shape]), np.nan),
        covariance=covariance_of(x[:, p : p + 3], sigma, scale, everyone),
        residual_sd=sigma * scale.value,
        log_likelihood=loglik,
        converged=converged,
    )
    return _Fitted(
        slope=np.einsum("gp,rp->gr", contrast, x[:, :p]) * scale.slope,
        variance=np.einsum("gp,rpq,hq->ghr", contrast, v[:, :p, :p], contrast) * scale.slope**2,
        log_ratio=x[:, model.ratio],
        log_ratio_se=_root(v[:, model.ratio, model.ratio]),
        deaths=np.einsum("grn,rn->gr", member, dead.astype(np.float64)),
        ok=ok,
        beside=beside,
    )


def _inverse(curvature: Floats) -> Floats:
    """Inverse of each matrix; NaN where one is not positive definite."""
    size, axes = np.linalg.eigh(curvature)
    definite = size[:, :1] > 1e-9 * size[:, -1:]
    inverse: Floats = np.einsum("rij,rj,rkj->rik", axes, 1 / np.where(definite, size, np.nan), axes)
    return inverse


def _root(variance: Floats) -> Floats:
    """Square root; NaN of what is no variance."""
    return np.sqrt(np.where(variance > 0, variance, np.nan))
