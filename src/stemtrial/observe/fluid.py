"""Blood markers."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stemtrial.observe._checks import column
from stemtrial.observe.parameters import FluidParameters, load


def nfl(nfl_pg_ml: ArrayLike, normals: ArrayLike, parameters: FluidParameters | None = None) -> NDArray[np.float64]:
    """Measured serum neurofilament light in pg/ml: the true one times a log-normal assay error (median 1).

    Parameters
    ----------
    nfl_pg_ml : array_like of float, shape (rows,)
        True concentration, >= 0.
    normals : array_like of float, shape (rows,)
        Standard normals.
    parameters : FluidParameters, optional
        Default: the declared values.

    Raises
    ------
    InputError
        If a concentration is negative or not finite.

    Notes
    -----
    ``docs/design/ms_model.md`` section 8.

    """
    p = parameters or load(FluidParameters)
    return column("nfl_pg_ml", nfl_pg_ml, 0.0) * np.exp(p.fluid_nfl_sd_log * np.asarray(normals))


def gfap(
    smouldering: ArrayLike,
    age_years: ArrayLike,
    gd_lesions: ArrayLike,
    nfl_factor: ArrayLike,
    normals: ArrayLike,
    parameters: FluidParameters | None = None,
) -> NDArray[np.float64]:
    """Measured serum glial fibrillary acidic protein in pg/ml.

    Parameters
    ----------
    smouldering : array_like of float, shape (rows,)
        Smouldering inflammation, >= 0.
    age_years : array_like of float
        Age at the visit.
    gd_lesions : array_like of int
        Enhancing lesions, true.
    nfl_factor : array_like of float
        The person's assay and body-mass factor of NfL, > 0; GFAP gets its square root.
    normals : array_like of float
        Standard normals.
    parameters : FluidParameters, optional
        Default: the declared values.

    Raises
    ------
    InputError
        If a value is out of range.

    Notes
    -----
    ``docs/design/ms_model.md`` section 8. The level is that of one assay (Simoa); kits differ by a factor.

    """
    p = parameters or load(FluidParameters)
    log = p.gfap_age * (column("age_years", age_years, 0.0, 130.0) - 37.0) - p.gfap_offset
    log = log + p.gfap_smouldering * np.log1p(column("smouldering", smouldering, 0.0))
    log = log + p.gfap_gd * column("gd_lesions", gd_lesions, 0.0)
    factor = np.sqrt(column("nfl", nfl_factor, 0.0))
    return p.gfap_base * factor * np.exp(log + p.gfap_sd_log * np.asarray(normals))
