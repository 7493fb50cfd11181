"""Blood counts and what T cells tell of the thymus: relative cells of the model to a laboratory's numbers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stemtrial.errors import InputError, did_you_mean
from stemtrial.observe._checks import column
from stemtrial.observe.parameters import merged

BLOOD: Mapping[str, str] = {
    "neutrophils_1e9_per_l": "neutrophils_1e9_per_l",
    "cd4_naive_per_ul": "naive_cd4",
    "cd4_memory_per_ul": "memory_cd4",
    "cd8_per_ul": "cd8",
    "b_cells_per_ul": "b_cells",
    "nk_per_ul": "nk",
    "trec_per_ug_dna": "trec",
    "tcr_clones_1e3": "repertoire",
}
"""Instrument -> observable that it reads: neutrophils in 1e9/l, all others relative to the norm of adults of 37 y."""

STEADY: Mapping[str, float] = {"neutrophils_1e9_per_l": 4.0}
"""What an instrument reads where no therapy moves its cells; 1 if not here."""


def blood_count(
    name: str,
    cells: ArrayLike,
    normals: ArrayLike,
    parameters: Mapping[str, float] | None = None,
    *,
    person: ArrayLike = 0.0,
) -> NDArray[np.float64]:
    """Measured count: the true one times what is the person's own and an error of the day, both log-normal (median 1).

    Parameters
    ----------
    name : str
        Instrument, one of :data:`BLOOD`.
    cells : array_like of float, shape (rows,)
        The observable that it reads, >= 0.
    normals : array_like of float, shape (rows,)
        Standard normals of the visit: counting error, time of day, passing infections.
    parameters : mapping of str to float, optional
        Values that replace the declared ones, by the names of ``instruments.parameters.yaml``.
    person : array_like of float
        Standard normals of the person.

    Returns
    -------
    ndarray of float, shape (rows,)
        In the unit that the instrument's name says.

    Raises
    ------
    InputError
        If the instrument is not known, or a value is negative or not finite.

    Notes
    -----
    ``docs/design/ms_model.md`` section 7.2; norms ``instruments.blood_norm``.

    """
    if name not in BLOOD:
        raise InputError(f"blood count '{name}' is not known{did_you_mean(name, BLOOD)}")
    p = merged(parameters)
    log = p[f"blood_person_sd_log.{name}"] * np.asarray(person) + p[f"blood_sd_log.{name}"] * np.asarray(normals)
    return p[f"blood_norm.{name}"] * column(BLOOD[name], cells, 0.0) * np.exp(log)
