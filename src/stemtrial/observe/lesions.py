"""Myelin in lesions (magnetisation transfer, myelin water) and slowly expanding lesions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from stemtrial.observe._checks import column
from stemtrial.observe.parameters import MriParameters, load

MAX_VOLUME_ML = 500.0


def _shares(
    demyelinated_ml: ArrayLike, remyelinated_ml: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Shares of lesion volume, demyelinated and remyelinated, and where there is a lesion at all."""
    d = column("demyelinated_ml", demyelinated_ml, 0.0, MAX_VOLUME_ML)
    s = column("remyelinated_ml", remyelinated_ml, 0.0, MAX_VOLUME_ML)
    some = d + s > 0.0
    total = np.where(some, d + s, 1.0)
    return d / total, s / total, some


def lesion_mtr(
    demyelinated_ml: ArrayLike,
    remyelinated_ml: ArrayLike,
    normals: ArrayLike,
    parameters: MriParameters | None = None,
) -> NDArray[np.float64]:
    """Mean magnetisation transfer ratio of the lesions, per cent of that of normal-appearing white matter, 0-100.

    Parameters
    ----------
    demyelinated_ml, remyelinated_ml : array_like of float, shape (rows,)
        Lesion volumes of the brain, 0-500 ml.
    normals : array_like of float
        Standard normals.
    parameters : MriParameters, optional
        Default: the declared values.

    Returns
    -------
    ndarray
        NaN where there is no lesion to measure.

    Raises
    ------
    InputError
        If a volume is out of range.

    Notes
    -----
    ``docs/design/ms_model.md`` section 8.

    """
    p = parameters or load(MriParameters)
    d, s, some = _shares(demyelinated_ml, remyelinated_ml)
    true = 100.0 - p.mtr_demyelinated * d - p.mtr_remyelinated * s
    return np.where(some, np.clip(true + p.mtr_sd * np.asarray(normals), 0.0, 100.0), np.nan)


def lesion_mwf(
    demyelinated_ml: ArrayLike,
    remyelinated_ml: ArrayLike,
    normals: ArrayLike,
    parameters: MriParameters | None = None,
    *,
    person: ArrayLike = 0.0,
) -> NDArray[np.float64]:
    """Mean myelin water fraction of the lesions in per cent; parameters, NaN and errors as :func:`lesion_mtr`.

    ``person`` holds standard normals of the person: the fraction differs between people of equal lesions.
    """
    p = parameters or load(MriParameters)
    d, s, some = _shares(demyelinated_ml, remyelinated_ml)
    true = p.mwf_white_matter * (1.0 - p.mwf_demyelinated * d - p.mwf_remyelinated * s)
    noisy = true + p.mwf_person_sd * np.asarray(person) + p.mwf_sd * np.asarray(normals)
    return np.where(some, np.clip(noisy, 0.0, 100.0), np.nan)


@njit(error_model="numpy", nogil=True, cache=True)
def _poisson_quantile(mean: Any, u: Any, out: Any) -> None:
    for i in range(mean.shape[0]):
        pmf = math.exp(-mean[i])
        cdf = pmf
        k = 0
        while u[i] > cdf and pmf > 0.0:  # pmf rises to the mode, then falls to 0: the loop ends
            k += 1
            pmf *= mean[i] / k
            cdf += pmf
        out[i] = k


def slowly_expanding_lesions(
    chronic_active_ml: ArrayLike,
    normals: ArrayLike,
    parameters: MriParameters | None = None,
    *,
    person: ArrayLike = 0.0,
) -> NDArray[np.float64]:
    """Lesions that expand slowly, as counted against an earlier scan: Poisson by chronic active volume.

    Most of the chance is the person's (how lesions lie and are cut), so that counts of two scans agree mostly.

    Parameters
    ----------
    chronic_active_ml : array_like of float, shape (rows,)
        Volume of lesions with a smouldering rim, 0-100 ml.
    normals, person : array_like of float
        Standard normals of the scan and of the person.
    parameters : MriParameters, optional
        Default: the declared values.

    Raises
    ------
    InputError
        If a volume is out of range.

    """
    p = parameters or load(MriParameters)
    mean = np.asarray(p.sel_per_ml * column("chronic_active_ml", chronic_active_ml, 0.0, 100.0))
    old, new = math.sqrt(1.0 - p.sel_share_visit), math.sqrt(p.sel_share_visit)
    u = np.array(np.broadcast_to(ndtr(old * np.asarray(person) + new * np.asarray(normals)), mean.shape))
    out = np.empty(mean.shape)
    _poisson_quantile(mean.ravel(), u.ravel(), out.ravel())
    return out
