"""EDSS: regional deficits to functional systems, ambulation and the rated step.

Functional systems (FS) are ordered as in :data:`FS_NAMES`. The latent grade of each is a power of the regional
deficit above the patient's reserve; a rating adds error, rounds to whole grades, and reads the EDSS off the grades
(Kurtzke 1983, doi:10.1212/WNL.33.11.1444) and off ambulation. The error has a white part (two raters on one day
differ by it) and an autocorrelated part carried from visit to visit (the day's form, habits of the rater), which
makes spurious worsening hold long enough to be confirmed now and then.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from stemtrial.errors import InputError
from stemtrial.kernel.random import normals as draw_normals
from stemtrial.observe.parameters import EDSS_STEPS_BY_AMBULATION, EdssParameters, load
from stemtrial.observe.rater import NEVER, RaterState, sitting

FS_NAMES = ("pyramidal", "cerebellar", "brainstem", "sensory", "bowel_bladder", "visual", "cerebral")
FS_MAX = (6, 5, 5, 6, 6, 6, 5)
"""Highest grade of each functional system (Neurostatus-EDSS 04/10.2)."""
N_SLOW = 8
"""Autocorrelated errors of a patient: one shared, one for each functional system."""
N_NORMALS = 17
"""Standard normals of one rating: 7 white, 1 shared, 1 ambulation, 8 innovations of the autocorrelated errors."""

_AMB_STEPS = EDSS_STEPS_BY_AMBULATION
_BLADDER = (0, 1, 2, 3, 3, 4, 5)  # grades 0-6 as counted for the EDSS step
_VISUAL = (0, 1, 2, 2, 3, 3, 4)


class Deficits(NamedTuple):
    """True regional deficits, fractions 0-1, each of shape (rows,) or scalar."""

    pv: ArrayLike
    cj: ArrayLike
    it: ArrayLike
    sc: ArrayLike
    on: ArrayLike


class PatientWeights(NamedTuple):
    """Constants of a patient, aligned to the rows: splits wIT and wSC (0-1) and the clinical reserve (fraction)."""

    w_it: ArrayLike
    w_sc: ArrayLike
    res: ArrayLike


class Rating(NamedTuple):
    """A rated visit: EDSS (rows,), FS grades as examined (rows, 7), and the state to carry on."""

    edss: NDArray[np.float64]
    fs: NDArray[np.int8]
    state: RaterState


@njit(error_model="numpy", nogil=True, cache=True)
def _latent(
    g: Any, pv: float, cj: float, it: float, sc: float, on: float, wit: float, wsc: float, res: float, p: Any
) -> Any:
    """Fill ``g`` with the seven latent grades and return the ambulation index."""
    g[0] = (
        p.fs_pyramidal_sc * (p.fs_cord_split_base + p.fs_cord_split_slope * wsc) * sc
        + p.fs_pyramidal_it * it
        + p.fs_pyramidal_pv * pv
    )
    g[1] = p.fs_cerebellar_it * (p.fs_stem_split_base + p.fs_stem_split_slope * wit) * it + p.fs_cerebellar_pv * pv
    g[2] = p.fs_brainstem_it * (p.fs_stem_split_base + p.fs_stem_split_slope * (1.0 - wit)) * it
    g[3] = p.fs_sensory_sc * (p.fs_cord_split_base + p.fs_cord_split_slope * (1.0 - wsc)) * sc + p.fs_sensory_it * it
    g[4] = p.fs_bladder_sc * sc
    g[5] = p.fs_visual_on * on
    g[6] = p.fs_cerebral_pv * pv + p.fs_cerebral_cj * cj
    amb = p.amb_pyramidal * g[0] + p.amb_cerebellar * g[1] + p.amb_sensory * g[3]
    for k in range(7):
        x = g[k] - res
        g[k] = p.fs_scale * (x / p.fs_span) ** p.fs_power if x > 0.0 else 0.0
    return amb


@njit(error_model="numpy", nogil=True, cache=True)
def _fs_step(s: Any) -> float:
    """EDSS step that seven FS grades (as examined) give without ambulation."""
    n1, n2, n3, n4, n5 = 0, 0, 0, 0, 0
    for k in range(7):
        v = s[k]
        if k == 4:
            v = _BLADDER[v]
        elif k == 5:
            v = _VISUAL[v]
        if v == 1:
            n1 += 1
        elif v == 2:
            n2 += 1
        elif v == 3:
            n3 += 1
        elif v == 4:
            n4 += 1
        elif v >= 5:
            n5 += 1
    if n5 >= 1:
        return 5.0
    if n4 >= 1 or n3 >= 3 or (n3 == 2 and n2 >= 1) or (n3 == 1 and n2 >= 3) or n2 >= 6:
        return 4.0
    if n3 == 2 or (n3 == 1 and n2 >= 1) or n2 == 5:
        return 3.5
    if n3 == 1 or n2 >= 3:
        return 3.0
    if n2 == 2:
        return 2.5
    if n2 == 1:
        return 2.0
    if n1 >= 2:
        return 1.5
    return 1.0 if n1 == 1 else 0.0


@njit(error_model="numpy", nogil=True, cache=True)
def _amb_step(amb: float, p: Any) -> float:
    step = 0.0
    for i in range(len(_AMB_STEPS)):
        if amb > p.amb_thresholds[i]:
            step = _AMB_STEPS[i]
    return step


@njit(error_model="numpy", nogil=True, cache=True)
def _rate(
    f: Any, w: Any, day: Any, h: Any, last: Any, z: Any, beta: Any, spread: Any, p: Any, edss: Any, fs: Any
) -> int:
    """Rate every row; update ``h`` and ``last`` in place. Returns the first row whose day goes back, or -1."""
    g = np.empty(7)
    for i in range(day.shape[0]):
        rho = 0.0
        if last[i] != NEVER:
            if day[i] < last[i]:
                return i
            rho = math.exp(-(day[i] - last[i]) / p.rater_slow_tau_days)
        new = math.sqrt(1.0 - rho * rho)
        for k in range(8):
            h[i, k] = rho * h[i, k] + new * z[i, 9 + k]
        last[i] = day[i]
        amb = _latent(g, f[0][i], f[1][i], f[2][i], f[3][i], f[4][i], w[0][i], w[1][i], w[2][i], p)
        wide = spread[i]
        common = wide * (p.rater_common_sd * z[i, 7])
        for k in range(7):
            error = wide * (p.rater_white_sd * z[i, k])
            if g[k] > p.rater_affected_above:
                slow = p.rater_slow_common * h[i, 0] + p.rater_slow_own * h[i, 1 + k]
                error += common + wide * (p.rater_slow_sd * slow) + beta[i]
            fs[i, k] = int(min(max(math.floor(g[k] + error + 0.5), 0.0), float(FS_MAX[k])))
        white, slow = wide * (p.rater_amb_white_sd * z[i, 8]), wide * (p.rater_amb_slow_sd * h[i, 0])
        amb += white + p.rater_amb_per_common * common + slow
        if g[0] > p.rater_affected_above:
            amb += p.rater_amb_per_open * beta[i]
        edss[i] = max(_fs_step(fs[i]), _amb_step(amb, p))
    return -1


@njit(error_model="numpy", nogil=True, cache=True)
def _true(f: Any, w: Any, p: Any, g: Any, amb: Any, edss: Any) -> None:
    s = np.empty(7, np.int8)
    for i in range(amb.shape[0]):
        amb[i] = _latent(g[i], f[0][i], f[1][i], f[2][i], f[3][i], f[4][i], w[0][i], w[1][i], w[2][i], p)
        for k in range(7):
            s[k] = int(min(math.floor(g[i, k] + 0.5), float(FS_MAX[k])))
        edss[i] = max(_fs_step(s), _amb_step(amb[i], p))


@njit(error_model="numpy", nogil=True, cache=True)
def _steps(fs: Any, out: Any) -> None:
    for i in range(fs.shape[0]):
        out[i] = _fs_step(fs[i])


def _aligned(
    deficits: Deficits, weights: PatientWeights, rows: int | None
) -> tuple[tuple[NDArray[np.float64], ...], tuple[NDArray[np.float64], ...], int]:
    """Columns as equally long contiguous float64, each checked to lie in [0, 1]."""
    named = {f"f_{k}": v for k, v in deficits._asdict().items()}
    named |= {"wIT": weights.w_it, "wSC": weights.w_sc, "res": weights.res}
    columns = {k: np.asarray(v, dtype=np.float64) for k, v in named.items()}
    n = rows if rows is not None else max((c.shape[0] for c in columns.values() if c.ndim), default=1)
    for name, c in columns.items():
        if c.ndim > 1 or (c.ndim == 1 and c.shape[0] != n):
            raise InputError(f"{name} has shape {c.shape}; give a number or one value for each of the {n} rows")
        if c.size and not (c.min() >= 0.0 and c.max() <= 1.0):  # NaN fails both
            bad = c.ravel()[~((c.ravel() >= 0.0) & (c.ravel() <= 1.0))][0]
            raise InputError(f"{name} must lie between 0 and 1, not {bad}; deficits, splits and reserve are fractions")
    full = [c if c.ndim and c.flags.c_contiguous else np.array(np.broadcast_to(c, (n,))) for c in columns.values()]
    return tuple(full[:5]), tuple(full[5:]), n


def functional_systems(
    deficits: Deficits, weights: PatientWeights, parameters: EdssParameters | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Latent grades of the functional systems and the ambulation index, without error.

    Parameters
    ----------
    deficits : Deficits
        Regional deficits, fractions.
    weights : PatientWeights
        Constants of the patients, aligned to the rows.
    parameters : EdssParameters, optional
        Default: the declared values.

    Returns
    -------
    grades : ndarray, shape (rows, 7)
        Continuous grades >= 0, ordered as :data:`FS_NAMES`.
    ambulation : ndarray, shape (rows,)
        Index 0-1; above its thresholds it gives EDSS 4.5-9.5.

    Raises
    ------
    InputError
        If a value is not a fraction or the columns differ in length.

    """
    g, amb, _ = latent(deficits, weights, parameters)
    return g, amb


def latent(
    deficits: Deficits, weights: PatientWeights, parameters: EdssParameters | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Latent grades (rows, 7), ambulation index (rows,) and EDSS without error (rows,), in one pass.

    Parameters and errors as :func:`functional_systems`.
    """
    f, w, n = _aligned(deficits, weights, None)
    g, amb, edss = np.empty((n, 7)), np.empty(n), np.empty(n)
    _true(f, w, parameters or load(EdssParameters), g, amb, edss)
    return g, amb, edss


def true_edss(
    deficits: Deficits, weights: PatientWeights, parameters: EdssParameters | None = None
) -> NDArray[np.float64]:
    """EDSS that an examiner without error would give, shape (rows,); it never falls when a deficit rises.

    Parameters and errors as :func:`functional_systems`.
    """
    return latent(deficits, weights, parameters)[2]


def edss_from_fs(fs: ArrayLike) -> NDArray[np.float64]:
    """EDSS step by functional systems alone, before ambulation raises it.

    Visual and bowel/bladder grades are converted first (visual 6, 5, 4, 3 count as 4, 3, 3, 2; bowel/bladder 6, 5, 4
    as 5, 4, 3). A grade of 5 gives at least 5.0, six grades of 2 give 4.0. Source: Kurtzke 1983,
    doi:10.1212/WNL.33.11.1444; Neurostatus-EDSS 04/10.2.

    Parameters
    ----------
    fs : array_like of int, shape (rows, 7)
        Grades as examined, ordered as :data:`FS_NAMES`, 0 to :data:`FS_MAX`.

    Returns
    -------
    ndarray, shape (rows,)
        0.0 to 5.0.

    Raises
    ------
    InputError
        If a grade is not an integer in its range.

    """
    given = np.asarray(fs)
    grades = given.astype(np.int64) if given.size else np.empty((0, 7), np.int64)
    if grades.ndim != 2 or grades.shape[1] != 7:
        raise InputError(
            f"FS grades have shape {grades.shape}; give one row of 7 grades ({', '.join(FS_NAMES)}) a visit"
        )
    bad = (grades < 0) | (grades > np.array(FS_MAX)) | (grades != given.reshape(grades.shape))
    if bad.any():
        i, k = np.argwhere(bad)[0]
        raise InputError(f"FS grade {FS_NAMES[k]} must be an integer 0-{FS_MAX[k]}, not {given[i, k]} (row {i})")
    out = np.empty(len(grades))
    _steps(grades.astype(np.int8), out)
    return out


def rate_edss(
    deficits: Deficits,
    weights: PatientWeights,
    day: ArrayLike,
    state: RaterState,
    normals: NDArray[np.float64],
    beta_open: ArrayLike = 0.0,
    parameters: EdssParameters | None = None,
    *,
    spread: ArrayLike = 1.0,
) -> Rating:
    """Rate one visit of each row's patient. Pure: ``state`` is not changed, the new one is returned.

    Parameters
    ----------
    deficits : Deficits
        True regional deficits, fractions, shape (rows,).
    weights : PatientWeights
        Constants of the patients, aligned to the rows.
    day : array_like of int, shape (rows,) or scalar
        Day of the visit, not before ``state.last_day``. On the same day as the last rating the autocorrelated error
        stays: a second rater sees the same patient.
    state : RaterState
        Autocorrelated errors of the rows' patients; ``RaterState.fresh(rows, N_SLOW)`` at the first visit.
    normals : ndarray, shape (rows, 17)
        Standard normals (:data:`N_NORMALS`).
    beta_open : array_like of float
        Rating bias in FS grades, added to affected systems and, as a share, to impaired ambulation; only for treated
        patients whose rater is not blind.
    parameters : EdssParameters, optional
        Default: the declared values.
    spread : array_like of float
        Factor, 0 or more, on the SD of every rating error, white and autocorrelated.

    Returns
    -------
    Rating

    Raises
    ------
    InputError
        If a value is out of range, shapes differ, or a day lies before the last rating.

    Notes
    -----
    ``docs/design/ms_model.md`` section 8 with MS items 4, 9 and 11 of ``docs/design/model_review.md``.

    """
    n = len(state.last_day)
    f, w, _ = _aligned(deficits, weights, n)
    at = sitting(day, state, normals, (N_NORMALS, N_SLOW), beta_open, spread)
    edss, fs = np.empty(n), np.empty((n, 7), np.int8)
    p = parameters or load(EdssParameters)
    bad = _rate(f, w, at.day, at.h, at.last_day, normals, at.bias, at.spread, p, edss, fs)
    return Rating(edss, fs, at.done(bad))


@dataclass(frozen=True)
class EdssRater:
    """A rater whose errors come from a named random stream: the same (seed, patient, day) gives the same rating.

    Parameters
    ----------
    seed : int
        64-bit key.
    stream : str
        Another name is another, independent rater.
    parameters : EdssParameters, optional
        Default: the declared values.

    """

    seed: int
    stream: str = "observe.edss"
    parameters: EdssParameters | None = None

    def rate(
        self,
        patient: ArrayLike,
        day: ArrayLike,
        deficits: Deficits,
        weights: PatientWeights,
        state: RaterState,
        beta_open: ArrayLike = 0.0,
        spread: ArrayLike = 1.0,
    ) -> Rating:
        """Rate one visit of each patient; ``patient`` is the 64-bit identity (``replicate * 2**32 + index``).

        The other parameters, the result and the errors are those of :func:`rate_edss`.
        """
        rows = np.broadcast_to(np.asarray(patient, dtype=np.uint64), (len(state.last_day),))
        z = draw_normals(self.seed, rows, day, self.stream, N_NORMALS)
        return rate_edss(deficits, weights, day, state, z, beta_open, self.parameters, spread=spread)
