"""Vital capacity, blown slowly (SVC) and forcefully (FVC), in % of predicted.

Both depend on effort: the error of one visit is partly shared by the two, since the same person blows on the same day.
Weak lips and throat leak in a forced manoeuvre, so that FVC lies a little below SVC where bulbar function is lost.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stemtrial.observe._checks import column
from stemtrial.observe.parameters import BreathingParameters, load

MOST = 2.0
"""Highest vital capacity that a model may give, as a fraction of predicted."""


def _error(effort: ArrayLike, own: ArrayLike, p: BreathingParameters) -> NDArray[np.float64]:
    """Error of one visit in % of predicted, from standard normals."""
    both = np.sqrt(p.vital_capacity_shared) * np.asarray(effort) + np.sqrt(1.0 - p.vital_capacity_shared) * np.asarray(
        own
    )
    return np.asarray(p.vital_capacity_sd_pct * both)


def svc(
    vital_capacity: ArrayLike, effort: ArrayLike, own: ArrayLike, parameters: BreathingParameters | None = None
) -> NDArray[np.float64]:
    """Slow vital capacity in % of predicted, before it is cut to its range.

    Parameters
    ----------
    vital_capacity : array_like of float, shape (rows,)
        True one as a fraction of predicted, 0-2.
    effort, own : array_like of float, shape (rows,)
        Standard normals of the visit: what SVC and FVC share, and what each has of its own.
    parameters : BreathingParameters, optional
        Default: the declared values.

    Raises
    ------
    InputError
        If a vital capacity is out of range or not finite.

    Notes
    -----
    ``docs/design/als_model.md`` section 3.

    """
    p = parameters or load(BreathingParameters)
    return np.asarray(100.0 * column("vital_capacity", vital_capacity, 0.0, MOST) + _error(effort, own, p))


def fvc(
    vital_capacity: ArrayLike,
    f_bulbar: ArrayLike,
    effort: ArrayLike,
    own: ArrayLike,
    person: ArrayLike,
    parameters: BreathingParameters | None = None,
) -> NDArray[np.float64]:
    """Forced vital capacity in % of predicted, before it is cut to its range.

    Parameters
    ----------
    vital_capacity, effort, own, parameters
        As in :func:`svc`.
    f_bulbar : array_like of float, shape (rows,)
        Bulbar function, 0-1.
    person : array_like of float, shape (rows,)
        Standard normals of the person: lasting difference of the two manoeuvres.

    Raises
    ------
    InputError
        If a true value is out of range or not finite.

    """
    p = parameters or load(BreathingParameters)
    leak = p.fvc_bulbar * (1.0 - column("f_bulbar", f_bulbar, 0.0, 1.0))
    truth = 100.0 * column("vital_capacity", vital_capacity, 0.0, MOST) * (1.0 - leak)
    return np.asarray(truth + p.fvc_person_sd_pct * np.asarray(person) + _error(effort, own, p))
