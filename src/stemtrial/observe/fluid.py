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
