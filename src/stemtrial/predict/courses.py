"""Estimates from courses of a measurement and the deaths that end them: slopes of arms, and joint ranks."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stemtrial import analysis

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SLOPES = ("random_slope", "joint_slope")
"""Estimators of the slope of one arm; their contrasts end in ``_difference``."""
RANKS = ("cafs_mean", "cafs_probability", "cafs_p_value")
"""Estimators of function and survival ranked together."""


class Course(NamedTuple):
    """A measurement over time, and the event that ends it.

    Attributes
    ----------
    time, value : ndarray, shape (replicates, patients, visits)
        Years since randomisation and unit of the measurement, baseline first; NaN without a visit.
    end : ndarray, shape (replicates, patients)
        Years to the event or the end of follow-up.
    event : ndarray of bool, shape (replicates, patients)
        Whether it happened.
    """

    time: Floats
    value: Floats
    end: Floats
    event: Bools


def of_slopes(estimator: str, c: Course, treated: Any, include: Bools, shared_baseline: bool) -> Floats:
    """Return a mean slope, or the difference of two, for each replicate.

    Parameters
    ----------
    estimator : str
        One of :data:`SLOPES`, or its contrast.
    c : Course
        Everybody's.
    treated : ndarray of bool, shape (replicates, patients), or None
        The treated arm; None for the slope of those included.
    include : ndarray of bool, shape (replicates, patients)
        Analysis set.
    shared_baseline : bool
        Whether both arms have one mean at baseline, as randomisation makes it.

    Returns
    -------
    ndarray, shape (replicates,)
        Unit of the measurement a year; NaN where a replicate cannot be estimated.
    """
    match estimator:
        case "random_slope":
            return analysis.random_slope(c.time, c.value, include).slope.value
        case "random_slope_difference":
            mixed = analysis.random_slope_difference(c.time, c.value, treated, include, shared_baseline)
            return mixed.difference.value
        case "joint_slope":
            return analysis.joint_slope(c.time, c.value, c.end, c.event, include).slope.value
    joint = analysis.joint_slope_difference(c.time, c.value, c.end, c.event, treated, include, shared_baseline)
    return joint.difference.value


def of_ranks(estimator: str, c: Course, treated: Bools, include: Bools) -> Floats:
    """Return what joint ranks give for each replicate.

    Parameters
    ----------
    estimator : str
        One of :data:`RANKS`: the mean rank of the treated, the probability that one of them does better than a control,
        or the p-value of the rank test.
    c : Course
        Everybody's; ranked by the event, then by change from baseline.
    treated, include : ndarray of bool, shape (replicates, patients)
        The arm, and all who are ranked together.

    Returns
    -------
    ndarray, shape (replicates,)
    """
    ranked = analysis.cafs(c.value - c.value[:, :, :1], c.end, c.event, treated, include)
    if estimator == "cafs_mean":
        return ranked.treated.value
    return ranked.probability.value if estimator == "cafs_probability" else ranked.p_value
