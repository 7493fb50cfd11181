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
from stemtrial.observe import fluid, function
from stemtrial.observe._checks import column
from stemtrial.observe.edss import Deficits, PatientWeights, latent
from stemtrial.observe.parameters import (
    EdssParameters,
    FluidParameters,
    FunctionParameters,
    load,
    merged,
)

Floats = NDArray[np.float64]


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
    edss : ndarray, shape (rows,)
        EDSS as rated at this visit.
    fs : ndarray of int8, shape (rows, 7)
        Functional systems as examined, in the order of ``FS_NAMES``.
    days_since_relapse : ndarray, shape (rows,)
        Days since the last reported relapse.
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
    edss: Floats
    fs: NDArray[np.int8]
    days_since_relapse: NDArray[Any]
    earlier: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    stream: str = "observe"

    def __post_init__(self) -> None:
        n = len(self.patient)
        parts: dict[str, Any] = {"day": self.day, "edss": self.edss, "fs": self.fs}
        parts |= {"days_since_relapse": self.days_since_relapse}
        parts |= {f"observed '{k}'": v for k, v in self.observed.items()}
        parts |= {f"constants '{k}'": v for k, v in self.constants.items()}
        parts |= {f"earlier '{k}'": v for k, v in self.earlier.items()}
        for name, values in parts.items():
            if len(values) != n:
                raise InputError(f"{name} of the visit has {len(values)} rows; patient has {n}, give as many")

    def __len__(self) -> int:
        return len(self.patient)


class _Truth:
    """Columns that several instruments read, worked out once a visit when first asked for."""

    def __init__(self, view: View, p: Mapping[str, float]) -> None:
        self.view, self.p = view, p

    def seen(self, name: str, low: float = -np.inf, high: float = np.inf) -> Floats:
        """Observable of the kernel, checked."""
        if name not in self.view.observed:
            raise InputError(f"observable '{name}' is not in the visit{did_you_mean(name, self.view.observed)}")
        return column(name, self.view.observed[name], low, high)

    @cached_property
    def deficits(self) -> Deficits:
        return Deficits(*(self.seen(f"f_{r}", 0.0, 1.0) for r in ("pv", "cj", "it", "sc", "on")))

    @cached_property
    def _state(self) -> tuple[Floats, Floats, Floats]:
        c = self.view.constants
        absent = [k for k in ("w_it", "w_sc", "res") if k not in c]
        if absent:
            raise InputError(f"constant '{absent[0]}' is not in the visit{did_you_mean(absent[0], c)}")
        weights = PatientWeights(c["w_it"], c["w_sc"], c["res"])
        return latent(self.deficits, weights, load(EdssParameters, self.p))

    @property
    def ambulation(self) -> Floats:
        return self._state[1]

    @property
    def edss(self) -> Floats:
        """EDSS without rating error: what decides who can do a test at all and who stays away."""
        return self._state[2]

    @cached_property
    def age(self) -> Floats:
        return self.seen("age_years", 0.0, 130.0)

    def earlier(self, name: str) -> Floats:
        return column(f"earlier '{name}'", self.view.earlier.get(name, np.zeros(len(self.view))), 0.0)


def _t25fw(t: _Truth, z: Floats) -> Floats:
    return function.t25fw(t.ambulation, t.age, z, load(FunctionParameters, t.p))


def _nine_hole_peg(t: _Truth, z: Floats) -> Floats:
    return function.nine_hole_peg(t.deficits, t.age, z, load(FunctionParameters, t.p))


def _sdmt(t: _Truth, z: Floats) -> Floats:
    return function.sdmt(t.deficits, t.age, t.earlier("sdmt"), z, load(FunctionParameters, t.p))


def _nfl(t: _Truth, z: Floats) -> Floats:
    return fluid.nfl(t.seen("nfl_pg_ml", 0.0), z, load(FluidParameters, t.p))


def _edss(t: _Truth, z: Floats) -> Floats:
    return column("edss", t.view.edss, 0.0, 10.0).copy()


_FORMULAS: dict[str, Callable[[_Truth, Floats], Floats]] = {
    "edss": _edss,
    "t25fw_s": _t25fw,
    "nine_hole_peg_s": _nine_hole_peg,
    "sdmt": _sdmt,
    "nfl_pg_ml": _nfl,
}
"""Instruments of table ``visits``: truth and one standard normal a row to the reading."""


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
        One column an instrument, in the order asked; NaN where it is missing.

    Raises
    ------
    InputError
        If an instrument is not known or a true value that it reads is absent or out of range.

    """
    p = merged(parameters)
    truth = _Truth(view, p)
    out: dict[str, Floats] = {}
    for name in names:
        if name not in _FORMULAS:
            raise InputError(f"instrument '{name}' is not known at visits{did_you_mean(name, _FORMULAS)}")
        z = draw_normals(view.seed, view.patient, view.day, f"{view.stream}.{name}", 1)[:, 0]
        values = _FORMULAS[name](truth, z)
        gone = _missing(truth, name)
        out[name] = values if gone is None else np.where(gone, np.nan, values)
    return out


def _missing(t: _Truth, name: str) -> NDArray[np.bool_] | None:
    """Rows where the instrument is missing; never at the baseline visit."""
    share, slope = t.p[f"missing_share.{name}"], t.p[f"missing_edss_slope.{name}"]
    if share <= 0.0:
        return None
    v = t.view
    u = draw_uniforms(v.seed, v.patient, v.day, f"{v.stream}.{name}.missing", 1)[:, 0]
    odds = share / (1.0 - share) * np.exp(slope * (t.edss - t.p["missing_edss_at"]))
    return np.asarray((u < odds / (1.0 + odds)) & (np.asarray(v.day) > 0))
