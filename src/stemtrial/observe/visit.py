"""A visit as the instruments see it, and :func:`measure`: the columns of table ``visits`` from the truth.

Every instrument has a random stream of its own (``observe.<name>``, ``observe.<name>.missing``), keyed by patient and
day: asking for one more instrument, another order of rows or another chunk changes no other number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.errors import InputError, did_you_mean
from stemtrial.kernel.random import normals as draw_normals
from stemtrial.kernel.random import uniforms as draw_uniforms
from stemtrial.observe import breathing, fluid, function, reported, staging, strength, vision
from stemtrial.observe._checks import column
from stemtrial.observe.alsfrs import DOMAINS, ITEMS, true_alsfrs
from stemtrial.observe.blood import BLOOD, STEADY, blood_count
from stemtrial.observe.edss import FS_MAX, FS_NAMES, Deficits, PatientWeights, latent
from stemtrial.observe.instruments import instruments
from stemtrial.observe.parameters import (
    AlsfrsParameters,
    BreathingParameters,
    EdssParameters,
    FluidParameters,
    FunctionParameters,
    QuestionnaireParameters,
    StrengthParameters,
    VisionParameters,
    merged,
    pick,
)
from stemtrial.observe.relapse import edss_step

Floats = NDArray[np.float64]
_ROUNDING = 1e-9


@dataclass(frozen=True)
class View:
    """What a visit lays open to the instruments: one row a patient.

    Attributes
    ----------
    seed : int
        64-bit key.
    patient : ndarray of uint64, shape (rows,)
        Identity (``replicate * 2**32 + index``).
    day : ndarray of int64, shape (rows,)
        Day since randomisation; 0 is the baseline visit, where nothing is missing.
    observed : mapping of str to ndarray
        Observables of the kernel at these rows: ``f_pv`` to ``f_on``, ``age_years`` and what else an instrument reads.
    constants : mapping of str to ndarray
        Constants of the patients at these rows: ``w_it``, ``w_sc``, ``res`` and what else an instrument reads.
    rated : mapping of str to ndarray
        What the physician rated at this visit (:class:`stemtrial.observe.Examination`): of MS ``edss`` and ``fs``,
        shape (rows, 7), in the order of ``FS_NAMES``.
    earlier : mapping of str to ndarray
        How often each patient has taken a test before, by instrument; 0 where not given.
    stream : str
        Prefix of the names of the random streams.

    Raises
    ------
    InputError
        If lengths differ.

    """

    seed: int
    patient: NDArray[np.uint64]
    day: NDArray[np.int64]
    observed: Mapping[str, NDArray[Any]]
    constants: Mapping[str, NDArray[Any]]
    rated: Mapping[str, NDArray[Any]]
    earlier: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    stream: str = "observe"

    def __post_init__(self) -> None:
        n = len(self.patient)
        parts: dict[str, Any] = {"day": self.day}
        parts |= {f"rated '{k}'": v for k, v in self.rated.items()}
        parts |= {f"observed '{k}'": v for k, v in self.observed.items()}
        parts |= {f"constants '{k}'": v for k, v in self.constants.items()}
        parts |= {f"earlier '{k}'": v for k, v in self.earlier.items()}
        for name, values in parts.items():
            if len(values) != n:
                raise InputError(f"{name} of the visit has {len(values)} rows; patient has {n}, give as many")

    def __len__(self) -> int:
        return len(self.patient)


class _Sight:
    """One visit: the columns that several instruments read, worked out when first asked for, and the random numbers."""

    def __init__(self, view: View, p: Mapping[str, float]) -> None:
        self.view, self.p = view, p

    # -- truth -------------------------------------------------------------------------------------------------------
    def seen(self, name: str, low: float = -np.inf, high: float = np.inf) -> Floats:
        """Observable of the kernel, checked."""
        return self._from("observable", self.view.observed, name, low, high)

    def constant(self, name: str, low: float = -np.inf, high: float = np.inf) -> Floats:
        """Constant of the patient, checked."""
        return self._from("constant", self.view.constants, name, low, high)

    def rated(self, name: str) -> NDArray[Any]:
        """What was rated at this visit."""
        given = self.view.rated
        if name not in given:
            raise InputError(f"rating '{name}' is not in the visit{did_you_mean(name, given)}")
        return given[name]

    def _from(self, what: str, given: Mapping[str, NDArray[Any]], name: str, low: float, high: float) -> Floats:
        if name not in given:
            raise InputError(f"{what} '{name}' is not in the visit{did_you_mean(name, given)}")
        return column(name, given[name], low, high)

    @cached_property
    def deficits(self) -> Deficits:
        return Deficits(*(self._fraction(f"f_{r}") for r in ("pv", "cj", "it", "sc", "on")))

    def _fraction(self, name: str) -> Floats:
        """Fraction, after what rounding took beyond its ends (a deficit is 1 minus a product)."""
        x = self.seen(name)
        inside = np.clip(x, 0.0, 1.0)
        return column(name, np.where(np.abs(x - inside) < _ROUNDING, inside, x), 0.0, 1.0)

    @cached_property
    def _latent(self) -> tuple[Floats, Floats, Floats]:
        weights = PatientWeights(*(self.constant(k, 0.0, 1.0) for k in ("w_it", "w_sc", "res")))
        return latent(self.deficits, weights, pick(EdssParameters, self.p))

    @property
    def ambulation(self) -> Floats:
        return self._latent[1]

    @property
    def edss(self) -> Floats:
        """EDSS without rating error: what decides who can do a test at all and who stays away."""
        return self._latent[2]

    @cached_property
    def items(self) -> NDArray[np.int8]:
        """Items of the ALSFRS-R without rating error: what the person lives with."""
        return true_alsfrs(self.view.observed, self.view.constants, pick(AlsfrsParameters, self.p))

    @cached_property
    def burden(self) -> tuple[Floats, Floats]:
        return reported.burden(self.deficits, self.p)

    @cached_property
    def age(self) -> Floats:
        return self.seen("age_years", 0.0, 130.0)

    def earlier(self, name: str) -> Floats:
        return column(f"earlier '{name}'", self.view.earlier.get(name, np.zeros(len(self.view))), 0.0)

    # -- random numbers ----------------------------------------------------------------------------------------------
    def noise(self, name: str) -> Floats:
        """Standard normals of this visit."""
        return self._normals(name, self.view.day)[:, 0]

    def person(self, name: str) -> Floats:
        """Standard normals of the person: the same at every visit."""
        return self._normals(f"{name}.person", np.zeros(len(self.view), np.int64))[:, 0]

    def form(self, name: str) -> Floats:
        """Standard normals that change over ``form_days``: a mean, of variance 1, of two neighbouring knots.

        It needs no memory of the last visit, so a visit reads the same whatever others there are.
        """
        at = np.asarray(self.view.day) / self.p["form_days"]
        knot = np.floor(at).astype(np.int64)
        turn = 0.5 * np.pi * (at - knot)
        first = self._normals(f"{name}.form", knot)[:, 0]
        return np.asarray(np.cos(turn) * first + np.sin(turn) * self._normals(f"{name}.form", knot + 1)[:, 0])

    @cached_property
    def _shared(self) -> Floats:
        return self._normals("reported.person", np.zeros(len(self.view), np.int64), 2)

    def reporter(self, name: str) -> reported.Person:
        """What the person brings to a questionnaire."""
        return reported.Person(self._shared[:, 0], self._shared[:, 1], self.person(name))

    def _normals(self, stream: str, day: NDArray[Any], n: int = 1) -> Floats:
        return draw_normals(self.view.seed, self.view.patient, day, f"{self.view.stream}.{stream}", n)


def _edss(s: _Sight, name: str) -> Floats:
    return edss_step("edss", s.rated("edss"))


def _bladder_bowel(s: _Sight, name: str) -> Floats:
    k = FS_NAMES.index("bowel_bladder")
    return column(name, s.rated("fs")[:, k], 0.0, FS_MAX[k])


def _t25fw(s: _Sight, name: str) -> Floats:
    p, z = pick(FunctionParameters, s.p), s.noise(name)
    traits = {"person": s.person(name), "gait": s.person(f"{name}.gait"), "form": s.form(name)}
    return function.t25fw(s.ambulation, s.age, z, p, edss=s.edss, **traits)


def _nine_hole_peg(s: _Sight, name: str) -> Floats:
    p = pick(FunctionParameters, s.p)
    return function.nine_hole_peg(s.deficits, s.age, s.noise(name), p, person=s.person(name), edss=s.edss)


def _sdmt(s: _Sight, name: str) -> Floats:
    p = pick(FunctionParameters, s.p)
    return function.sdmt(s.deficits, s.age, s.earlier(name), s.noise(name), p, person=s.person(name))


def _vep(s: _Sight, name: str) -> Floats:
    p, volume = pick(VisionParameters, s.p), s.seen("demyelinated_on_ml", 0.0)
    return vision.vep_p100(volume, s.deficits.on, s.noise(name), p, person=s.person(name))


def _acuity(s: _Sight, name: str) -> Floats:
    return vision.visual_acuity(s.deficits.on, s.noise(name), pick(VisionParameters, s.p), person=s.person(name))


def _low_contrast(s: _Sight, name: str) -> Floats:
    p = pick(VisionParameters, s.p)
    return vision.low_contrast_acuity(s.deficits.on, s.deficits.pv, s.noise(name), p, person=s.person(name))


def _questionnaire(s: _Sight, name: str) -> Floats:
    p = pick(QuestionnaireParameters, s.p, name)
    smouldering = s.seen("smouldering", 0.0) if p.smouldering else 0.0
    return reported.questionnaire(*s.burden, smouldering, s.reporter(name), s.noise(name), p)


def _eq5d(s: _Sight, name: str) -> Floats:
    return reported.eq5d(s.edss, s.seen("days_since_relapse", 0.0), s.reporter(name), s.noise(name), s.p)


def _nfl(s: _Sight, name: str) -> Floats:
    return fluid.nfl(s.seen("nfl_pg_ml", 0.0), s.noise(name), pick(FluidParameters, s.p))


def _gfap(s: _Sight, name: str) -> Floats:
    truth = s.seen("smouldering", 0.0), s.age, s.seen("gd_lesions", 0.0), s.constant("nfl", 0.0)
    return fluid.gfap(*truth, s.noise(name), pick(FluidParameters, s.p))


def _blood(s: _Sight, name: str) -> Floats:
    """A blood count; steady where the kernel holds no therapy that moves those cells."""
    given = s.view.observed
    cells = s.seen(BLOOD[name], 0.0) if BLOOD[name] in given else np.full(len(s.view), STEADY.get(name, 1.0))
    return blood_count(name, cells, s.noise(name), s.p, person=s.person(name))


def _as_rated(s: _Sight, name: str) -> Floats:
    """An item, a domain or the total of the ALSFRS-R."""
    return column(name, s.rated(name), 0.0, instruments()[name].high)


def _kings(s: _Sight, name: str) -> Floats:
    return staging.kings_stage(s.view.rated, s.seen("gastrostomy", 0.0, 1.0))


def _mitos(s: _Sight, name: str) -> Floats:
    return staging.mitos_stage(s.view.rated)


def _svc(s: _Sight, name: str) -> Floats:
    p = pick(BreathingParameters, s.p)
    return breathing.svc(s.seen("vital_capacity"), s.noise("vital_capacity"), s.noise(name), p)


def _fvc(s: _Sight, name: str) -> Floats:
    p, day = pick(BreathingParameters, s.p), (s.noise("vital_capacity"), s.noise(name))
    return breathing.fvc(s.seen("vital_capacity"), s._fraction("f_bulbar"), *day, s.person(name), p)


def _dynamometry(s: _Sight, name: str) -> Floats:
    """Arms, legs, or the mean of the two as they are read at the same visit."""
    p, both = pick(StrengthParameters, s.p), (s.person("hhd_pct"), s.noise("hhd_pct"))
    parts = {"hhd_arm_pct": ("arm",), "hhd_leg_pct": ("leg",), "hhd_pct": ("arm", "leg")}[name]
    read = [strength.megascore(s._fraction(f"strength_{k}"), *both, s.noise(f"hhd_{k}_pct"), p) for k in parts]
    return np.asarray(np.mean(read, axis=0))


def _weight(s: _Sight, name: str) -> Floats:
    return strength.body_weight(s.seen("weight"), s.noise(name), pick(StrengthParameters, s.p))


def _alsaq(s: _Sight, name: str) -> Floats:
    p = pick(QuestionnaireParameters, s.p, name)
    return reported.questionnaire(*reported.als_burden(s.items, s.p), 0.0, s.reporter(name), s.noise(name), p)


_FORMULAS: dict[str, Callable[[_Sight, str], Floats]] = {
    "edss": _edss,
    "bladder_bowel": _bladder_bowel,
    "t25fw_s": _t25fw,
    "nine_hole_peg_s": _nine_hole_peg,
    "sdmt": _sdmt,
    "vep_p100_ms": _vep,
    "visual_acuity_logmar": _acuity,
    "low_contrast_letters": _low_contrast,
    "mfis": _questionnaire,
    "fss": _questionnaire,
    "bdi2": _questionnaire,
    "eq5d": _eq5d,
    "sf36_pcs": _questionnaire,
    "sf36_mcs": _questionnaire,
    "msis29_physical": _questionnaire,
    "msis29_psychological": _questionnaire,
    "nfl_pg_ml": _nfl,
    "gfap_pg_ml": _gfap,
    **dict.fromkeys(BLOOD, _blood),
    **dict.fromkeys(("alsfrs_r", *(f"alsfrs_r_{d}" for d in DOMAINS), *ITEMS), _as_rated),
    "kings_stage": _kings,
    "mitos_stage": _mitos,
    "svc_pct": _svc,
    "fvc_pct": _fvc,
    "hhd_arm_pct": _dynamometry,
    "hhd_leg_pct": _dynamometry,
    "hhd_pct": _dynamometry,
    "alsaq40": _alsaq,
    "weight_pct": _weight,
}
"""Instruments of table ``visits``."""

_SESSION = {"hhd_arm_pct": "hhd_pct", "hhd_leg_pct": "hhd_pct"}
"""Readings of one test: missing together."""
_SEVERITY: dict[str, Callable[[_Sight], Floats]] = {
    "ms": lambda s: s.edss,
    "als": lambda s: np.asarray((4.0 - s.items).sum(1)),
}
"""How ill a person is, without rating error: what decides who stays away."""


def measure(view: View, names: Iterable[str], parameters: Mapping[str, float] | None = None) -> dict[str, Floats]:
    """Read instruments of table ``visits`` at one visit of each row's patient.

    Parameters
    ----------
    view : View
        The visit.
    names : iterable of str
        Instruments, by column name (:func:`stemtrial.observe.instruments`, ``table == "visits"``).
    parameters : mapping of str to float, optional
        Values that replace the declared ones, by the names of ``instruments.parameters.yaml``.

    Returns
    -------
    dict of ndarray, shape (rows,)
        One column an instrument, in the order asked, in its range and on its grid; NaN where it is missing.

    Raises
    ------
    InputError
        If an instrument is not known or a true value that it reads is absent or out of range.

    """
    sight = _Sight(view, merged(parameters))
    out: dict[str, Floats] = {}
    for name in names:
        if name not in _FORMULAS:
            raise InputError(f"instrument '{name}' is not known at visits{did_you_mean(name, _FORMULAS)}")
        scale = instruments()[name]
        values = _FORMULAS[name](sight, name)
        if scale.step is not None:
            values = scale.low + np.round((values - scale.low) / scale.step) * scale.step
        values = np.clip(values, scale.low, scale.high)
        gone = _missing(sight, name)
        out[name] = values if gone is None else np.where(gone, np.nan, values)
    return out


def _missing(s: _Sight, name: str) -> NDArray[np.bool_] | None:
    """Rows where the instrument is missing; never at the baseline visit."""
    share = s.p.get(f"missing_share.{name}", 0.0)  # what is rated of everybody has none
    if not 0.0 <= share < 1.0:
        raise InputError(f"missing_share.{name} must lie in [0, 1), not {share}; leave an instrument out to drop it")
    if share == 0.0:
        return None
    v = s.view
    session = _SESSION.get(name, name)
    u = draw_uniforms(v.seed, v.patient, v.day, f"{v.stream}.{session}.missing", 1)[:, 0]
    odds = np.full(len(v), share / (1.0 - share))
    slope, bulbar = s.p[f"missing_slope.{name}"], s.p.get(f"missing_bulbar_slope.{name}", 0.0)
    if slope:
        (disease,) = instruments()[name].diseases  # what is read in several goes missing at random
        odds *= np.exp(slope * (_SEVERITY[disease](s) - s.p[f"missing_at.{disease}"]))
    if bulbar:
        odds *= np.exp(bulbar * (4.0 - s.items[:, :3]).sum(1))
    return np.asarray((u * (1.0 + odds) < odds) & (np.asarray(v.day) > 0))
