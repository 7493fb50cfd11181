"""Timed 25-foot walk, nine-hole peg test and symbol digit modalities test (``docs/design/ms_model.md`` section 8)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stemtrial.observe._checks import column
from stemtrial.observe.edss import Deficits
from stemtrial.observe.parameters import FunctionParameters, load

_REFERENCE_AGE = 37.0


def t25fw(
    ambulation: ArrayLike,
    age_years: ArrayLike,
    normals: ArrayLike,
    parameters: FunctionParameters | None = None,
    *,
    person: ArrayLike = 0.0,
    gait: ArrayLike = 0.0,
    form: ArrayLike = 0.0,
    edss: ArrayLike = 0.0,
) -> NDArray[np.float64]:
    """Timed 25-foot walk in seconds; whoever cannot walk so far gets the longest time recorded.

    Day-to-day error is a few per cent in everybody; the form of those who walk badly also varies over weeks, so that a
    change beyond 20 % comes and lasts by chance in the disabled only.

    Parameters
    ----------
    ambulation : array_like of float
        Ambulation index of :func:`stemtrial.observe.functional_systems`, 0-1.
    age_years : array_like of float
        Age at the visit.
    normals : array_like of float
        Standard normals of the visit; 0 gives the median.
    parameters : FunctionParameters, optional
        Default: the declared values.
    person, gait : array_like of float
        Standard normals of the person: pace, and how much a deficit slows it.
    form : array_like of float
        Standard normals of the form, correlated over weeks.
    edss : array_like of float
        EDSS without rating error.

    Raises
    ------
    InputError
        If a value is out of range.

    """
    p = parameters or load(FunctionParameters)
    amb = column("ambulation", ambulation, 0.0, 2.0)
    age = column("age_years", age_years, 0.0, 130.0)
    log = (p.t25fw_amb * amb + p.t25fw_amb2 * amb**2) * np.exp(p.t25fw_gait_sd_log * np.asarray(gait))
    log = log + p.t25fw_age * (age - _REFERENCE_AGE)
    log = log + p.t25fw_person_sd_log * np.asarray(person) + p.t25fw_sd_log * np.asarray(normals)
    log = log + p.t25fw_form_sd_log * amb**2 * np.asarray(form)
    seconds = np.minimum(p.t25fw_limit_s, p.t25fw_base_s * np.exp(log))
    return np.where(column("edss", edss, 0.0, 10.0) >= p.t25fw_unable_edss, p.t25fw_limit_s, seconds)


def nine_hole_peg(
    deficits: Deficits,
    age_years: ArrayLike,
    normals: ArrayLike,
    parameters: FunctionParameters | None = None,
    *,
    person: ArrayLike = 0.0,
    edss: ArrayLike = 0.0,
) -> NDArray[np.float64]:
    """Nine-hole peg test in seconds, both hands; parameters, limit and errors as :func:`t25fw`."""
    p = parameters or load(FunctionParameters)
    it, sc, pv = (column(f"f_{k}", getattr(deficits, k), 0.0, 1.0) for k in ("it", "sc", "pv"))
    age = column("age_years", age_years, 0.0, 130.0)
    arm = p.nhpt_weight_it * it + p.nhpt_weight_sc * sc + p.nhpt_weight_pv * pv
    log = p.nhpt_linear * arm + p.nhpt_quadratic * arm**2 + p.nhpt_age * (age - _REFERENCE_AGE)
    log = log + p.nhpt_person_sd_log * np.asarray(person) + p.nhpt_sd_log * np.asarray(normals)
    seconds = np.minimum(p.nhpt_limit_s, p.nhpt_base_s * np.exp(log))
    return np.where(column("edss", edss, 0.0, 10.0) >= p.nhpt_unable_edss, p.nhpt_limit_s, seconds)


def sdmt(
    deficits: Deficits,
    age_years: ArrayLike,
    earlier_tests: ArrayLike,
    normals: ArrayLike,
    parameters: FunctionParameters | None = None,
    *,
    person: ArrayLike = 0.0,
) -> NDArray[np.float64]:
    """Symbol digit modalities test, correct answers in 90 s (0-110), with a practice effect.

    Parameters
    ----------
    deficits : Deficits
        Regional deficits; periventricular and cortical ones count.
    age_years, normals, parameters, person
        As :func:`t25fw`.
    earlier_tests : array_like of int
        Tests the patient has taken before.

    """
    p = parameters or load(FunctionParameters)
    pv, cj = (column(f"f_{k}", getattr(deficits, k), 0.0, 1.0) for k in ("pv", "cj"))
    age = column("age_years", age_years, 0.0, 130.0)
    practice = p.sdmt_practice * np.minimum(p.sdmt_practice_tests, column("earlier_tests", earlier_tests, 0.0))
    true = p.sdmt_base - p.sdmt_age * (age - _REFERENCE_AGE) - p.sdmt_deficit * (pv + cj) + practice
    return np.clip(true + p.sdmt_person_sd * np.asarray(person) + p.sdmt_sd * np.asarray(normals), 0.0, 110.0)
