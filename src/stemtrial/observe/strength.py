"""Muscle strength by hand-held dynamometry (HHD), in % of normal, and body weight, in % of that before the disease.

A megascore is the mean over muscle groups, here of the arms, of the legs, and of both. Its error is a share of the
force (Bakers 2020, bakers2020_dynamometry), partly common to arms and legs: the effort and the examiner of the day.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stemtrial.observe._checks import column
from stemtrial.observe.parameters import StrengthParameters, load


def megascore(
    strength: ArrayLike,
    person: ArrayLike,
    effort: ArrayLike,
    own: ArrayLike,
    parameters: StrengthParameters | None = None,
) -> NDArray[np.float64]:
    """Dynamometry of the arms or of the legs in % of normal, before it is cut to its range.

    Parameters
    ----------
    strength : array_like of float, shape (rows,)
        True strength, 0-1, 1 is that of the person when healthy.
    person : array_like of float, shape (rows,)
        Standard normals of the person, the same for arms and legs: how strong a healthy person is.
    effort, own : array_like of float, shape (rows,)
        Standard normals of the visit: what arms and legs share, and what each has of its own.
    parameters : StrengthParameters, optional
        Default: the declared values.

    Raises
    ------
    InputError
        If a strength is out of range or not finite.

    """
    p = parameters or load(StrengthParameters)
    day = np.sqrt(p.hhd_shared) * np.asarray(effort) + np.sqrt(1.0 - p.hhd_shared) * np.asarray(own)
    log = p.hhd_person_sd_log * np.asarray(person) + p.hhd_sd_log * day
    return np.asarray(100.0 * column("strength", strength, 0.0, 1.0) * np.exp(log))


def body_weight(
    fraction: ArrayLike, normals: ArrayLike, parameters: StrengthParameters | None = None
) -> NDArray[np.float64]:
    """Body weight in % of that before the disease, before it is cut to its range.

    Parameters
    ----------
    fraction : array_like of float, shape (rows,)
        True weight as a fraction of that before the disease, 0-2.
    normals : array_like of float, shape (rows,)
        Standard normals of the visit: clothes, time of day, scales.
    parameters : StrengthParameters, optional
        Default: the declared values.

    Raises
    ------
    InputError
        If a weight is out of range or not finite.

    """
    p = parameters or load(StrengthParameters)
    return np.asarray(100.0 * column("weight", fraction, 0.0, 2.0) * np.exp(p.weight_sd_log * np.asarray(normals)))
