"""What an estimator returns: one estimate a replicate, with a status that says whether the data held one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from stemtrial.analysis._inputs import Floats


class Status(IntEnum):
    """Whether ``value`` could be estimated in a replicate.

    The status speaks of ``value`` only: an interval that does not exist (one patient an arm) is NaN under ``OK``.
    """

    OK = 0
    AT_LOWER_LIMIT = 1
    AT_UPPER_LIMIT = 2
    NO_DATA = 3


@dataclass(frozen=True)
class Estimate:
    """One estimate for each replicate.

    A ratio (hazard, rate, odds) has no finite estimate when an arm has no event. It then stands at its limit, so that a
    summary over replicates (median, quantiles) needs no imputation and can count how often it happened:

    ==================================  =======  ======================  ========================================
    data                                value    status                  interval, se, p
    ==================================  =======  ======================  ========================================
    no event in the treated arm         0        ``AT_LOWER_LIMIT`` (1)  [0, inf], inf, NaN (Wald's method is mute)
    no event in the control arm         inf      ``AT_UPPER_LIMIT`` (2)  [0, inf], inf, NaN
    no event in either, or an empty arm NaN      ``NO_DATA`` (3)         NaN
    ==================================  =======  ======================  ========================================

    The exact rule is the likelihood's: status 1 or 2 where it is monotone. So a hazard ratio also stands at a limit
    when both arms have events but all those from risk sets that held both arms fell on one arm, and it is NaN where no
    risk set with an event held both arms.

    Attributes
    ----------
    value, lower, upper : ndarray of float, shape (replicates, ...)
        Estimate and confidence limits, in the unit of the estimator.
    se : ndarray of float
        Standard error on the scale of the interval: of the *logarithm* for ratios and rates, of the value otherwise.
    p_value : ndarray of float
        Two-sided, against no difference (0, or 1 for a ratio); NaN where the estimator tests nothing.
    status : ndarray of int8
        Codes of :class:`Status`.

    """

    value: Floats
    lower: Floats
    upper: Floats
    se: Floats
    p_value: Floats
    status: NDArray[np.int8]


def log_wald(log_value: Floats, se: Floats, status: NDArray[np.int8], level: float, test: bool = True) -> Estimate:
    """Return exp(log value) with Wald's interval on the log scale, and the limits where ``status`` says so.

    Parameters
    ----------
    log_value, se : ndarray of float, shape (replicates,)
        Estimate and standard error on the log scale; read only where the status is 0.
    status : ndarray of int8
        Codes of :class:`Status`.
    level : float
        Confidence level.
    test : bool
        Whether a value of 1 is a null hypothesis; otherwise the p-value is NaN.

    """
    ok, low, high = status == Status.OK, status == Status.AT_LOWER_LIMIT, status == Status.AT_UPPER_LIMIT
    z = ndtri(0.5 + level / 2)
    b, s = np.where(ok, log_value, 0.0), np.where(ok, se, 1.0)
    limits = [ok, low, high]
    value = np.select(limits, [np.exp(b), np.zeros_like(b), np.full_like(b, np.inf)], np.nan)
    with np.errstate(over="ignore"):  # an upper limit beyond 1e308 is infinite
        lower = np.select(limits, [np.exp(b - z * s), np.zeros_like(b), np.zeros_like(b)], np.nan)
        upper = np.select(limits, [np.exp(b + z * s), np.full_like(b, np.inf), np.full_like(b, np.inf)], np.nan)
    error = np.select(limits, [s, np.full_like(b, np.inf), np.full_like(b, np.inf)], np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):  # no spread in either arm: no test where they are equal
        p = np.where(ok, 2 * ndtr(-np.abs(b / s)), np.nan) if test else np.full_like(b, np.nan)
    return Estimate(value, lower, upper, error, p, status)


def t_interval(value: Floats, se: Floats, df: Floats, estimable: NDArray[np.bool_], level: float) -> Estimate:
    """Return a value with the interval and test of Student's t; NaN limits where there are no degrees of freedom."""
    has_se = estimable & np.isfinite(se) & (df > 0)
    s, nu = np.where(has_se, se, 1.0), np.where(has_se, df, 1.0)
    half = np.where(has_se, stdtrit(nu, 0.5 + level / 2) * s, np.nan)
    t = np.divide(value, s, out=np.full_like(s, np.nan), where=has_se & (s > 0))
    status = np.where(estimable, Status.OK, Status.NO_DATA).astype(np.int8)
    v = np.where(estimable, value, np.nan)
    return Estimate(v, v - half, v + half, np.where(has_se, se, np.nan), 2 * stdtr(nu, -np.abs(t)), status)
