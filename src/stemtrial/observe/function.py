"""Timed 25-foot walk, nine-hole peg test and symbol digit modalities test (``docs/design/ms_model.md`` section 8)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stemtrial.observe._checks import column
from stemtrial.observe.edss import Deficits
from stemtrial.observe.parameters import FunctionParameters, load

_REFERENCE_AGE = 37.0


def t25fw(
    ambulation: ArrayLike, age_years: ArrayLike, normals: ArrayLike, parameters: FunctionParameters | None = None
) -> NDArray[np.float64]:
    """Timed 25-foot walk in seconds, capped at the longest time recorded.

    Parameters
    ----------
    ambulation : array_like of float
        Ambulation index of :func:`stemtrial.observe.functional_systems`, 0-1.
    age_years : array_like of float
        Age at the visit.
    normals : array_like of float
        Standard normals; 0 gives the median.
    parameters : FunctionParameters, optional
        Default: the declared values.

    """
    p = parameters or load(FunctionParameters)
    amb = column("ambulation", ambulation, 0.0, 2.0)
    age = column("age_years", age_years, 0.0, 130.0)
    log = p.t25fw_amb * amb + p.t25fw_amb2 * amb**2 + p.t25fw_age * (age - _REFERENCE_AGE)
    return np.minimum(p.t25fw_limit_s, p.t25fw_base_s * np.exp(log + p.t25fw_sd_log * np.asarray(normals)))


def nine_hole_peg(
    deficits: Deficits, age_years: ArrayLike, normals: ArrayLike, parameters: FunctionParameters | None = None
) -> NDArray[np.float64]:
    """Nine-hole peg test in seconds, capped at the longest time recorded; parameters as :func:`t25fw`."""
    p = parameters or load(FunctionParameters)
    it, sc, pv = (column(f"f_{k}", getattr(deficits, k), 0.0, 1.0) for k in ("it", "sc", "pv"))
    age = column("age_years", age_years, 0.0, 130.0)
    log = p.nhpt_it * it + p.nhpt_sc * sc + p.nhpt_pv * pv + p.nhpt_age * (age - _REFERENCE_AGE)
    return np.minimum(p.nhpt_limit_s, p.nhpt_base_s * np.exp(log + p.nhpt_sd_log * np.asarray(normals)))


def sdmt(
    deficits: Deficits,
    age_years: ArrayLike,
    earlier_tests: ArrayLike,
    normals: ArrayLike,
    parameters: FunctionParameters | None = None,
) -> NDArray[np.float64]:
    """Symbol digit modalities test, correct answers in 90 s (0-110), with a practice effect.

    Parameters
    ----------
    deficits : Deficits
        Regional deficits; periventricular and cortical ones count.
    age_years, normals, parameters
        As :func:`t25fw`.
    earlier_tests : array_like of int
        Tests the patient has taken before.

    """
    p = parameters or load(FunctionParameters)
    pv, cj = (column(f"f_{k}", getattr(deficits, k), 0.0, 1.0) for k in ("pv", "cj"))
    age = column("age_years", age_years, 0.0, 130.0)
    practice = p.sdmt_practice * np.minimum(p.sdmt_practice_tests, column("earlier_tests", earlier_tests, 0.0))
    true = p.sdmt_base - p.sdmt_age * (age - _REFERENCE_AGE) - p.sdmt_deficit * (pv + cj) + practice
    return np.clip(true + p.sdmt_sd * np.asarray(normals), 0.0, 110.0)
