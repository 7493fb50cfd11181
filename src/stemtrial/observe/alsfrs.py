"""ALSFRS-R: latent function of four domains to twelve rated items.

The latent function of an item is that of its domain (0-1, 1 is healthy), moved by how hard the item is and by a lasting
trait of the patient (in one the swallowing goes first, in another the speech). A rating adds the form of the patient,
which lasts for weeks and is carried from visit to visit, the rater's leaning on that day, and an error of each item;
the score counts the thresholds passed. Where function is whole or gone nothing is in dispute: there all of these fade.

Respiratory insufficiency asks what support is used (Cedarbaum 1999, doi:10.1016/S0022-510X(99)00210-5): 4 without
non-invasive ventilation (3 if breathing is so poor that it is needed), 3 to 1 by its hours, 0 once ventilated for good.
Cutting food has two versions (5a, 5b with gastrostomy); both are read on the same thresholds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from stemtrial.errors import InputError, did_you_mean
from stemtrial.kernel.random import normals as draw_normals
from stemtrial.observe.parameters import ALSFRS_ITEMS, AlsfrsParameters, load
from stemtrial.observe.rater import NEVER, RaterState, sitting

ITEMS = ALSFRS_ITEMS
"""The twelve items by column name, in the order of the questionnaire; each is scored 0-4, 4 is normal."""
DOMAINS: dict[str, tuple[str, ...]] = {
    "bulbar": ITEMS[0:3],
    "fine_motor": ITEMS[3:6],
    "gross_motor": ITEMS[6:9],
    "respiratory": ITEMS[9:12],
}
"""Items of each domain; their sum is column ``alsfrs_r_<domain>``, 0-12."""
DOMAIN_OF: dict[str, str] = {item: domain for domain, items in DOMAINS.items() for item in items}
"""Domain of each item."""
FUNCTIONS = ("f_bulbar", "f_fine", "f_gross", "f_resp")
"""Observables of the disease that hold the latent function of the domains, in their order."""
SUPPORT = ("niv", "ventilated")
"""Observables of the disease that hold respiratory support, 0 or 1."""
TRAITS = tuple(f"item_{i}" for i in range(1, 13))
"""Constants of a patient: the lasting trait of each item, a standard normal."""
N_SLOW_ALSFRS = 1
"""Processes that a rating carries from visit to visit: the patient's form."""
N_NORMALS_ALSFRS = 14
"""Standard normals of one rating: 12 white, 1 of the visit, 1 innovation of the form."""

_ROUNDING = 1e-9
_LARGEST = float(np.finfo(np.float64).max)


class AlsfrsRating(NamedTuple):
    """A rated visit: items (rows, 12) int8, ordered as :data:`ITEMS`, and the state to carry on."""

    items: NDArray[np.int8]
    state: RaterState


@njit(error_model="numpy", nogil=True, cache=True)
def _score(x: float, at: float) -> int:
    """Thresholds (j - 1 + at) / 4, j = 1 to 4, that x exceeds."""
    return int(min(max(math.ceil(4.0 * x - at), 0.0), 4.0))


@njit(error_model="numpy", nogil=True, cache=True)
def _support(x: float, niv: float, ventilated: float, p: Any) -> int:
    """Score of respiratory insufficiency, by the support used and, with it, by its hours."""
    if ventilated > 0.5:
        return 0
    if niv > 0.5:
        return min(max(_score(x, p.alsfrs_threshold), 1), 3)
    return 4 if x > p.alsfrs_niv_needed_below else 3


@njit(error_model="numpy", nogil=True, cache=True)
def _items(f: Any, s: Any, c: Any, i: int, error: Any, shared: float, p: Any, out: Any) -> None:
    """Score the items of row ``i``: ``error`` (12) and ``shared`` in latent units, 0 without error."""
    for d in range(4):
        g = min(max(f[d][i], 0.0), 1.0)
        open_ = min(1.0, p.alsfrs_ends * min(g, 1.0 - g))
        for k in range(3 * d, 3 * d + 3):
            x = g + open_ * (p.alsfrs_trait_sd * c[k][i] - p.alsfrs_difficulty[k] + error[k] + shared)
            out[i, k] = _score(x, p.alsfrs_threshold) if k < 11 else _support(x, s[0][i], s[1][i], p)


@njit(error_model="numpy", nogil=True, cache=True)
def _rate(f: Any, s: Any, c: Any, day: Any, h: Any, last: Any, z: Any, bias: Any, spread: Any, p: Any, out: Any) -> int:
    """Rate every row; update ``h`` and ``last`` in place. Returns the first row whose day goes back, or -1."""
    error = np.empty(12)
    for i in range(day.shape[0]):
        rho = 0.0
        if last[i] != NEVER:
            if day[i] < last[i]:
                return i
            rho = math.exp(-(day[i] - last[i]) / p.alsfrs_form_tau_days)
        h[i, 0] = rho * h[i, 0] + math.sqrt(1.0 - rho * rho) * z[i, 13]
        last[i] = day[i]
        for k in range(12):
            error[k] = spread[i] * (p.alsfrs_item_sd * z[i, k])
        shared = spread[i] * (p.alsfrs_visit_sd * z[i, 12]) + p.alsfrs_form_sd * h[i, 0] + bias[i]
        _items(f, s, c, i, error, shared, p, out)
    return -1


@njit(error_model="numpy", nogil=True, cache=True)
def _true(f: Any, s: Any, c: Any, p: Any, out: Any) -> None:
    error = np.zeros(12)
    for i in range(out.shape[0]):
        _items(f, s, c, i, error, 0.0, p, out)


_Columns = tuple[NDArray[np.float64], ...]


def _columns(
    what: str, names: tuple[str, ...], given: Mapping[str, ArrayLike], n: int, low: float, high: float
) -> _Columns:
    """Named columns as equally long contiguous float64, each checked to lie in a range (NaN never does)."""
    out = []
    for name in names:
        if name not in given:
            raise InputError(f"{what} '{name}' is not given to the ALSFRS-R{did_you_mean(name, given)}")
        x = np.asarray(given[name], dtype=np.float64)
        if x.shape != (n,):
            raise InputError(f"{what} '{name}' has shape {x.shape}; give one value for each of the {n} rows")
        if n and not (x.min() >= low and x.max() <= high):
            bad = x[~((x >= low) & (x <= high))][0]
            span = "finite" if high == _LARGEST else f"between {low + _ROUNDING:g} and {high - _ROUNDING:g}"
            raise InputError(f"{what} '{name}' must be {span}, not {bad}")
        out.append(np.ascontiguousarray(x))
    return tuple(out)


def _given(
    observed: Mapping[str, ArrayLike], constants: Mapping[str, ArrayLike], n: int | None
) -> tuple[_Columns, _Columns, _Columns, int]:
    """Functions, support and traits of the rows, checked, and how many rows there are."""
    rows = n if n is not None else len(np.atleast_1d(np.asarray(observed.get(FUNCTIONS[0], ()))))
    f = _columns("observable", FUNCTIONS, observed, rows, -_ROUNDING, 1.0 + _ROUNDING)
    s = _columns("observable", SUPPORT, observed, rows, -_ROUNDING, 1.0 + _ROUNDING)
    return f, s, _columns("constant", TRAITS, constants, rows, -_LARGEST, _LARGEST), rows


def true_alsfrs(
    observed: Mapping[str, ArrayLike], constants: Mapping[str, ArrayLike], parameters: AlsfrsParameters | None = None
) -> NDArray[np.int8]:
    """Items that a rater without error would score on a day of average form, shape (rows, 12).

    No item falls when the function of its domain rises and support stays.

    Parameters
    ----------
    observed : mapping of str to array_like, each of shape (rows,)
        Observables of the disease: :data:`FUNCTIONS` (0-1, 1 is healthy) and :data:`SUPPORT` (0 or 1).
    constants : mapping of str to array_like, each of shape (rows,)
        Constants of the patients: :data:`TRAITS`, standard normals.
    parameters : AlsfrsParameters, optional
        Default: the declared values.

    Raises
    ------
    InputError
        If a column is absent, of another length, or out of range.

    """
    f, s, c, n = _given(observed, constants, None)
    out = np.empty((n, 12), np.int8)
    _true(f, s, c, parameters or load(AlsfrsParameters), out)
    return out


def rate_alsfrs(
    observed: Mapping[str, ArrayLike],
    constants: Mapping[str, ArrayLike],
    day: ArrayLike,
    state: RaterState,
    normals: NDArray[np.float64],
    bias: ArrayLike = 0.0,
    parameters: AlsfrsParameters | None = None,
    *,
    spread: ArrayLike = 1.0,
) -> AlsfrsRating:
    """Rate one visit of each row's patient. Pure: ``state`` is not changed, the new one is returned.

    Parameters
    ----------
    observed, constants
        As in :func:`true_alsfrs`.
    day : array_like of int, shape (rows,) or scalar
        Day of the visit, not before ``state.last_day``. On the day of the last rating the form stays: a second rater
        sees the same patient.
    state : RaterState
        Form of the rows' patients; ``RaterState.fresh(rows, N_SLOW_ALSFRS)`` at the first
        visit.
    normals : ndarray, shape (rows, 14)
        Standard normals (:data:`N_NORMALS_ALSFRS`).
    bias : array_like of float
        Rating bias in latent units, added to every item whose function is in dispute (0.12 is 2.5 to 3 points of the
        total at entry into a trial); only for treated patients whose rater is not blind.
    parameters : AlsfrsParameters, optional
        Default: the declared values.
    spread : array_like of float
        Factor, 0 or more, on the SD of what raters err by: of each item and of the visit, not the form of the patient.

    Returns
    -------
    AlsfrsRating

    Raises
    ------
    InputError
        If a value is out of range, shapes differ, or a day lies before the last rating.

    Notes
    -----
    ``docs/design/als_model.md`` section 3 with ALS item 2 of ``docs/design/model_review.md``. New against the design:
    the form (its section 8, gap 1: the change over three months varied too little) and errors that fade at both ends.

    """
    n = len(state.last_day)
    f, s, c, _ = _given(observed, constants, n)
    at = sitting(day, state, normals, (N_NORMALS_ALSFRS, N_SLOW_ALSFRS), bias, spread)
    out = np.empty((n, 12), np.int8)
    p = parameters or load(AlsfrsParameters)
    bad = _rate(f, s, c, at.day, at.h, at.last_day, normals, at.bias, at.spread, p, out)
    return AlsfrsRating(out, at.done(bad))


@dataclass(frozen=True)
class AlsfrsRater:
    """A rater whose errors come from a named random stream: the same (seed, patient, day) gives the same rating.

    Parameters
    ----------
    seed : int
        64-bit key.
    stream : str
        Another name is another, independent rater.
    parameters : AlsfrsParameters, optional
        Default: the declared values.

    """

    seed: int
    stream: str = "observe.alsfrs"
    parameters: AlsfrsParameters | None = None

    def rate(
        self,
        patient: ArrayLike,
        day: ArrayLike,
        observed: Mapping[str, ArrayLike],
        constants: Mapping[str, ArrayLike],
        state: RaterState,
        bias: ArrayLike = 0.0,
        spread: ArrayLike = 1.0,
    ) -> AlsfrsRating:
        """Rate one visit of each patient; ``patient`` is the 64-bit identity (``replicate * 2**32 + index``).

        The other parameters, the result and the errors are those of :func:`rate_alsfrs`.
        """
        rows = np.broadcast_to(np.asarray(patient, dtype=np.uint64), (len(state.last_day),))
        z = draw_normals(self.seed, rows, day, self.stream, N_NORMALS_ALSFRS)
        return rate_alsfrs(observed, constants, day, state, z, bias, self.parameters, spread=spread)


def sums(items: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """Sums of rated items (rows, 12): ``alsfrs_r`` (0-48) and ``alsfrs_r_<domain>`` (0-12), each of shape (rows,).

    Raises
    ------
    InputError
        If the items have not twelve columns.

    """
    x = np.asarray(items, dtype=np.float64)
    if x.ndim != 2 or x.shape[1] != 12:
        raise InputError(f"items have shape {x.shape}; give one row of 12 items ({', '.join(ITEMS)}) a visit")
    out = {"alsfrs_r": x.sum(1)}
    for d, domain in enumerate(DOMAINS):
        out[f"alsfrs_r_{domain}"] = x[:, 3 * d : 3 * d + 3].sum(1)
    return out
