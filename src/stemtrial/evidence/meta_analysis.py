"""Random-effects meta-analysis: a pure function of effects and their variances.

REML or DerSimonian-Laird between-study variance, Hartung-Knapp-Sidik-Jonkman interval, prediction interval.
Equal to ``metafor::rma(yi, vi, method = "REML" | "DL", test = "knha")`` and its ``predict()``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

from stemtrial.errors import InputError, did_you_mean

Method = Literal["REML", "DL"]


@dataclass(frozen=True)
class MetaAnalysis:
    """Result on the scale of the effects.

    Attributes
    ----------
    k : int
        Number of studies.
    estimate, se : float
        Mean of the distribution of effects and its Hartung-Knapp-Sidik-Jonkman standard error.
    ci : tuple of float
        Interval of the mean (t distribution, k - 1 degrees of freedom).
    prediction : tuple of float
        Interval of the true effect of a new study (same t distribution).
    tau2 : float
        Between-study variance.
    q, q_p : float
        Cochran's Q and its p value (chi-squared, k - 1 degrees of freedom).
    i2 : float
        Share of the total variance that lies between studies, 0..1.
    method : {"REML", "DL"}
        Estimator of ``tau2``.
    level : float
        Level of both intervals.

    """

    k: int
    estimate: float
    se: float
    ci: tuple[float, float]
    prediction: tuple[float, float]
    tau2: float
    q: float
    q_p: float
    i2: float
    method: Method
    level: float


def random_effects(
    effects: ArrayLike, variances: ArrayLike, method: Method = "REML", level: float = 0.95
) -> MetaAnalysis:
    """Pool effects of independent studies under the normal random-effects model.

    Parameters
    ----------
    effects : array_like, shape (k,)
        Study effects on an additive scale (log ratio, logit, mean).
    variances : array_like, shape (k,)
        Their sampling variances, positive.
    method : {"REML", "DL"}
        Estimator of the between-study variance: restricted maximum likelihood (doi:10.3102/10769986030003261) or
        DerSimonian-Laird (doi:10.1016/0197-2456(86)90046-2).
    level : float
        Level of the intervals, in (0, 1).

    Returns
    -------
    MetaAnalysis
        Mean with the Hartung-Knapp-Sidik-Jonkman interval (doi:10.1002/sim.1791, doi:10.1002/sim.1262), prediction
        interval (doi:10.1111/j.1467-985X.2008.00552.x; k - 1 degrees of freedom as metafor), Q and I^2
        (doi:10.1002/sim.1186). With few studies that agree by chance the interval can be narrower than the
        common-effect one.

    Raises
    ------
    InputError
        Fewer than two studies, shapes that differ, a variance that is not positive, numbers that are not finite.

    """
    y = np.asarray(effects, dtype=float)
    v = np.asarray(variances, dtype=float)
    if y.ndim != 1 or y.shape != v.shape:
        raise InputError(f"effects and variances have shapes {y.shape} and {v.shape}; give two vectors of one length")
    if y.size < 2:
        raise InputError(f"a meta-analysis needs at least 2 studies, not {y.size}; add studies")
    if not (np.isfinite(y).all() and np.isfinite(v).all()):
        raise InputError("effects and variances must be finite; leave out studies without a number")
    if (v <= 0).any():
        raise InputError(f"variance {v.min():g} is not positive; give squared standard errors")
    if method not in ("REML", "DL"):
        raise InputError(f"method '{method}' is not known{did_you_mean(str(method), ('REML', 'DL'))}")
    if not 0 < level < 1:
        raise InputError(f"level {level:g} lies outside (0, 1); give 0.95 for 95 %")
    # Sums run in one order, so that the order in which studies are given cannot change a bit.
    order = np.lexsort((v, y))
    y, v = y[order], v[order]
    k = y.size

    w = 1 / v
    q = float(np.sum(w * (y - np.sum(w * y) / np.sum(w)) ** 2))
    c = float(np.sum(w) - np.sum(w**2) / np.sum(w))
    tau2 = max(0.0, (q - (k - 1)) / c) if method == "DL" else _reml(y, v)

    w = 1 / (v + tau2)
    mean = float(np.sum(w * y) / np.sum(w))
    se = float(np.sqrt(np.sum(w * (y - mean) ** 2) / ((k - 1) * np.sum(w))))
    t = float(stats.t.ppf(0.5 + level / 2, k - 1))
    half = t * float(np.sqrt(se**2 + tau2))
    typical = (k - 1) / c  # sampling variance of a typical study
    return MetaAnalysis(
        k=k,
        estimate=mean,
        se=se,
        ci=(mean - t * se, mean + t * se),
        prediction=(mean - half, mean + half),
        tau2=tau2,
        q=q,
        q_p=float(stats.chi2.sf(q, k - 1)),
        i2=tau2 / (tau2 + typical),
        method=method,
        level=level,
    )


def _reml(y: NDArray[np.float64], v: NDArray[np.float64]) -> float:
    """Between-study variance that maximises the restricted likelihood, exactly 0 on the border."""

    def parts(tau2: float) -> tuple[float, float]:
        """Restricted log-likelihood (up to a constant) and its derivative."""
        w = 1 / (v + tau2)
        s = np.sum(w)
        r = y - np.sum(w * y) / s
        loglik = 0.5 * (np.sum(np.log(w)) - np.log(s) - np.sum(w * r**2))
        score = 0.5 * (np.sum(w**2 * r**2) - s + np.sum(w**2) / s)
        return float(loglik), float(score)

    # The likelihood may have several hills: look at a grid that spans the border, the sampling variances and the
    # spread of the effects, climb the highest one to the zero of its slope.
    top = float(np.ptp(y) ** 2 + v.max())
    grid = np.concatenate([[0.0], np.geomspace(1e-6 * float(v.min()), top, 120)])
    at = [parts(float(t)) for t in grid]
    best = int(np.argmax([loglik for loglik, _ in at]))
    low, high = max(best - 1, 0), min(best + 1, grid.size - 1)
    if at[low][1] <= 0:
        return 0.0
    return float(
        optimize.brentq(lambda t: parts(t)[1], grid[low], grid[high], xtol=1e-14 * top, rtol=1e-14, maxiter=500)
    )
