"""Visual evoked potential and acuity at high and low contrast, both eyes together.

The model has one optic nerve for both eyes, so a reading is that of both eyes; nothing here tells eyes apart.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stemtrial.observe._checks import column
from stemtrial.observe.parameters import VisionParameters, load


def vep_p100(
    demyelinated_on_ml: ArrayLike,
    f_on: ArrayLike,
    normals: ArrayLike,
    parameters: VisionParameters | None = None,
    *,
    person: ArrayLike = 0.0,
) -> NDArray[np.float64]:
    """P100 latency of the visual evoked potential in ms.

    Parameters
    ----------
    demyelinated_on_ml : array_like of float, shape (rows,)
        Demyelinated volume of the optic nerves, >= 0.
    f_on : array_like of float
        Functional deficit of the optic nerves, 0-1.
    normals : array_like of float
        Standard normals of the visit.
    parameters : VisionParameters, optional
        Default: the declared values.
    person : array_like of float
        Standard normals of the person.

    Raises
    ------
    InputError
        If a value is out of range.

    Notes
    -----
    ``docs/design/ms_model.md`` section 8.

    """
    p = parameters or load(VisionParameters)
    delay = p.vep_demyelination * column("demyelinated_on_ml", demyelinated_on_ml, 0.0)
    delay = delay + p.vep_deficit * column("f_on", f_on, 0.0, 1.0)
    return p.vep_base_ms + delay + p.vep_person_sd_ms * np.asarray(person) + p.vep_sd_ms * np.asarray(normals)


def visual_acuity(
    f_on: ArrayLike, normals: ArrayLike, parameters: VisionParameters | None = None, *, person: ArrayLike = 0.0
) -> NDArray[np.float64]:
    """High-contrast visual acuity in logMAR (0 is 20/20, higher is worse); parameters as :func:`vep_p100`."""
    p = parameters or load(VisionParameters)
    f = column("f_on", f_on, 0.0, 1.0)
    true = p.acuity_base_logmar + p.acuity_deficit * f + p.acuity_deficit2 * f**2
    return np.asarray(true + p.acuity_person_sd * np.asarray(person) + p.acuity_sd * np.asarray(normals))


def low_contrast_acuity(
    f_on: ArrayLike,
    f_pv: ArrayLike,
    normals: ArrayLike,
    parameters: VisionParameters | None = None,
    *,
    person: ArrayLike = 0.0,
) -> NDArray[np.float64]:
    """Letters read on a Sloan chart of 2.5 % contrast; parameters as :func:`vep_p100`."""
    p = parameters or load(VisionParameters)
    loss = p.contrast_on * column("f_on", f_on, 0.0, 1.0) + p.contrast_pv * column("f_pv", f_pv, 0.0, 1.0)
    return p.contrast_base - loss + p.contrast_person_sd * np.asarray(person) + p.contrast_sd * np.asarray(normals)
