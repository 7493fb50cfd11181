"""The numbers of the instruments: read from ``instruments.parameters.yaml``, handed to the formulas as named tuples.

Named tuples because Numba takes them as they are: what Python shows is what the compiled loop uses.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple, TypeVar

import yaml

from stemtrial.errors import InputError, did_you_mean

EDSS_STEPS_BY_AMBULATION = (4.5, 5.0, 5.5, 6.0, 6.5, 7.0, 7.5, 8.0, 8.5, 9.0, 9.5)
"""EDSS steps that the ambulation index decides, in the order of its thresholds."""

ALSFRS_ITEMS = (
    "speech", "salivation", "swallowing", "handwriting", "cutting_food", "dressing", "turning_in_bed", "walking",
    "climbing_stairs", "dyspnoea", "orthopnoea", "respiratory_insufficiency",
)  # fmt: skip
"""Items of the ALSFRS-R in the order of the questionnaire."""

_THRESHOLDS = tuple(f"amb_edss_{step:.1f}".replace(".", "_") for step in EDSS_STEPS_BY_AMBULATION)


class EdssParameters(NamedTuple):
    """Latent functional systems, ambulation and rating error; the YAML entry of each name says what it is."""

    fs_scale: float
    fs_span: float
    fs_power: float
    fs_cord_split_base: float
    fs_cord_split_slope: float
    fs_stem_split_base: float
    fs_stem_split_slope: float
    fs_pyramidal_sc: float
    fs_pyramidal_it: float
    fs_pyramidal_pv: float
    fs_cerebellar_it: float
    fs_cerebellar_pv: float
    fs_brainstem_it: float
    fs_sensory_sc: float
    fs_sensory_it: float
    fs_bladder_sc: float
    fs_visual_on: float
    fs_cerebral_pv: float
    fs_cerebral_cj: float
    amb_pyramidal: float
    amb_cerebellar: float
    amb_sensory: float
    rater_affected_above: float
    rater_white_sd: float
    rater_common_sd: float
    rater_amb_white_sd: float
    rater_amb_per_common: float
    rater_slow_sd: float
    rater_slow_common: float
    rater_slow_own: float
    rater_amb_slow_sd: float
    rater_amb_per_open: float
    rater_slow_tau_days: float
    amb_thresholds: tuple[float, ...]


class AlsfrsParameters(NamedTuple):
    """Items of the ALSFRS-R and the errors of their rating, in latent units (function of a domain, 0-1)."""

    alsfrs_threshold: float
    alsfrs_ends: float
    alsfrs_trait_sd: float
    alsfrs_item_sd: float
    alsfrs_visit_sd: float
    alsfrs_form_sd: float
    alsfrs_form_tau_days: float
    alsfrs_niv_needed_below: float
    alsfrs_difficulty: tuple[float, ...]


class BreathingParameters(NamedTuple):
    """Slow and forced vital capacity."""

    vital_capacity_sd_pct: float
    vital_capacity_shared: float
    fvc_bulbar: float
    fvc_person_sd_pct: float


class StrengthParameters(NamedTuple):
    """Dynamometry of arms and legs; body weight."""

    hhd_person_sd_log: float
    hhd_sd_log: float
    hhd_shared: float
    weight_sd_log: float


class MriParameters(NamedTuple):
    """Measurement error of the scans, lesion myelin, slowly expanding lesions, scans not done."""

    mri_t2_volume_sd_log: float
    mri_brain_volume_sd_pct: float
    mri_reading_volume: float
    mtr_demyelinated: float
    mtr_remyelinated: float
    mtr_sd: float
    mwf_white_matter: float
    mwf_demyelinated: float
    mwf_remyelinated: float
    mwf_person_sd: float
    mwf_sd: float
    sel_per_ml: float
    sel_share_visit: float
    mri_missing_share: float
    mri_lesion_missing_share: float


class FluidParameters(NamedTuple):
    """Serum GFAP and assay errors."""

    fluid_nfl_sd_log: float
    gfap_base: float
    gfap_age: float
    gfap_smouldering: float
    gfap_offset: float
    gfap_gd: float
    gfap_sd_log: float


class FunctionParameters(NamedTuple):
    """Timed walk, peg test and symbol digit test."""

    t25fw_base_s: float
    t25fw_amb: float
    t25fw_amb2: float
    t25fw_age: float
    t25fw_limit_s: float
    t25fw_unable_edss: float
    t25fw_person_sd_log: float
    t25fw_gait_sd_log: float
    t25fw_sd_log: float
    t25fw_form_sd_log: float
    nhpt_base_s: float
    nhpt_linear: float
    nhpt_quadratic: float
    nhpt_weight_it: float
    nhpt_weight_sc: float
    nhpt_weight_pv: float
    nhpt_age: float
    nhpt_limit_s: float
    nhpt_unable_edss: float
    nhpt_person_sd_log: float
    nhpt_sd_log: float
    sdmt_base: float
    sdmt_age: float
    sdmt_deficit: float
    sdmt_practice: float
    sdmt_practice_tests: float
    sdmt_person_sd: float
    sdmt_sd: float


class VisionParameters(NamedTuple):
    """Evoked potential, acuity at high and low contrast."""

    vep_base_ms: float
    vep_demyelination: float
    vep_deficit: float
    vep_person_sd_ms: float
    vep_sd_ms: float
    acuity_base_logmar: float
    acuity_deficit: float
    acuity_deficit2: float
    acuity_person_sd: float
    acuity_sd: float
    contrast_base: float
    contrast_on: float
    contrast_pv: float
    contrast_person_sd: float
    contrast_sd: float


class QuestionnaireParameters(NamedTuple):
    """One questionnaire: what the deficits add, what the person adds, what the day adds; in points."""

    base: float
    physical: float
    mental: float
    smouldering: float
    fatigue: float
    mood: float
    own: float
    visit: float


_LISTS = {
    "amb_thresholds": _THRESHOLDS,
    "alsfrs_difficulty": tuple(f"alsfrs_difficulty.{item}" for item in ALSFRS_ITEMS),
}
"""Fields that several parameters fill, and their names."""

_T = TypeVar(
    "_T",
    EdssParameters,
    AlsfrsParameters,
    BreathingParameters,
    StrengthParameters,
    MriParameters,
    FluidParameters,
    FunctionParameters,
    VisionParameters,
    QuestionnaireParameters,
)


@cache
def parameter_entries() -> dict[str, dict[str, Any]]:
    """Every entry of ``instruments.parameters.yaml``: name -> value, unit, meaning, source, prior."""
    text = files("stemtrial.observe").joinpath("instruments.parameters.yaml").read_text(encoding="utf-8")
    entries: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return entries


def from_draw(draw: Mapping[str, float]) -> dict[str, float]:
    """Return the instrument parameters among a draw of all parameters, by their own names."""
    return {k.removeprefix("instruments."): v for k, v in draw.items() if k.startswith("instruments.")}


@cache
def declared() -> dict[str, float]:
    """Every number at its declared value; a parameter with a value for each name gives ``parameter.name``."""
    out: dict[str, float] = {}
    for name, entry in parameter_entries().items():
        value = entry["value"]
        items = value.items() if isinstance(value, dict) else [("", value)]
        out.update({f"{name}.{k}" if k else name: float(v) for k, v in items})
    return out


def merged(values: Mapping[str, float] | None = None) -> dict[str, float]:
    """Every number, some of them replaced by name.

    Raises
    ------
    InputError
        If a name is no instrument parameter or a value is not finite.

    """
    out = dict(declared())
    for name, value in (values or {}).items():
        if name not in out:
            raise InputError(f"instrument parameter '{name}' is not known{did_you_mean(name, out)}")
        if not math.isfinite(value):
            raise InputError(f"instrument parameter '{name}' is {value}; give a finite number")
        out[name] = float(value)
    return out


def load(kind: type[_T], values: Mapping[str, float] | None = None, owner: str = "") -> _T:
    """Parameters of one kind of instrument, at their declared values or with some of them replaced.

    Parameters
    ----------
    kind : type
        One of the named tuples of this module.
    values : mapping of str to float, optional
        Values that replace the declared ones, by the names of ``instruments.parameters.yaml``; names of other kinds are
        ignored, so that one draw over all parameters can be handed to every instrument.
    owner : str
        Name of the questionnaire, for :class:`QuestionnaireParameters`.

    Raises
    ------
    InputError
        If a name is no instrument parameter, a value is not finite, or the ambulation thresholds do not increase.

    """
    return pick(kind, merged(values), owner)


def pick(kind: type[_T], number: Mapping[str, float], owner: str = "") -> _T:
    """Return the parameters of one kind among all numbers; as :func:`load`, from :func:`merged`."""
    prefix = f"{owner}." if owner else ""
    values: dict[str, Any] = {
        name: tuple(number[k] for k in _LISTS[name]) if name in _LISTS else number[prefix + name]
        for name in kind._fields
    }
    thresholds = values.get("amb_thresholds", ())
    for i in range(1, len(thresholds)):
        if thresholds[i] <= thresholds[i - 1]:
            raise InputError(
                f"ambulation thresholds must increase; {_THRESHOLDS[i]} = {thresholds[i]} is not above "
                f"{_THRESHOLDS[i - 1]} = {thresholds[i - 1]}"
            )
    return kind(**values)
