"""Severity and recovery of a relapse, by the rated EDSS."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stemtrial.errors import InputError
from stemtrial.observe._checks import column
from stemtrial.observe.parameters import merged

SEVERITIES = ("mild", "moderate", "severe")


def relapse_severity(
    edss_before: ArrayLike, edss_at: ArrayLike, parameters: Mapping[str, float] | None = None
) -> NDArray[np.str_]:
    """Severity of a relapse: ``mild``, ``moderate`` or ``severe`` by the rise of EDSS over the last visit before.

    Parameters
    ----------
    edss_before : array_like of float, shape (relapses,)
        EDSS rated before the relapse, 0-10.
    edss_at : array_like of float
        EDSS rated at the relapse visit.
    parameters : mapping of str to float, optional
        Values that replace the declared ones.

    Returns
    -------
    ndarray of str
        A rise under 1.0 is mild (so is no rise), 1.0 or 1.5 moderate, 2.0 and more severe.

    Raises
    ------
    InputError
        If an EDSS is no half step from 0 to 10.

    """
    p = merged(parameters)
    rise = edss_step("edss_at", edss_at) - edss_step("edss_before", edss_before)
    grade = (rise >= p["relapse_moderate_edss"]).astype(int) + (rise >= p["relapse_severe_edss"])
    return np.asarray(np.asarray(SEVERITIES)[grade])


def relapse_recovery(edss_before: ArrayLike, edss_at: ArrayLike, edss_after: ArrayLike) -> NDArray[np.float64]:
    """Share of the rise of EDSS at a relapse that is gone at a later visit: 1 complete, 0 none.

    Parameters
    ----------
    edss_before, edss_at, edss_after : array_like of float, shape (relapses,)
        EDSS rated before, at and after the relapse (weeks to months later, as the protocol says).

    Returns
    -------
    ndarray
        Below 0 where EDSS rose on, above 1 where it fell below that before; NaN where the relapse raised no EDSS.

    Raises
    ------
    InputError
        If an EDSS is no half step from 0 to 10.

    """
    before, at, after = (
        edss_step(name, v)
        for name, v in (("edss_before", edss_before), ("edss_at", edss_at), ("edss_after", edss_after))
    )
    rise = at - before
    return np.where(rise > 0, (at - after) / np.where(rise > 0, rise, 1.0), np.nan)


def edss_step(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Column of EDSS steps; InputError names the first value that is none."""
    out = column(name, values, 0.0, 10.0)
    bad = (out * 2 != np.floor(out * 2)) | (out == 0.5)
    if bad.any():
        raise InputError(f"{name} must be a step of the EDSS (0, 1, 1.5, ..., 10), not {out[bad].ravel()[0]}")
    return out
