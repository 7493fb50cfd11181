"""What a scan shows: enhancing lesions, new T2 lesions, T2 volume, brain volume change, and more where asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from stemtrial.errors import InputError, did_you_mean
from stemtrial.kernel.random import normals as draw_normals
from stemtrial.kernel.random import uniforms as draw_uniforms
from stemtrial.observe._checks import column, counts
from stemtrial.observe.lesions import lesion_mtr, lesion_mwf, slowly_expanding_lesions
from stemtrial.observe.parameters import MriParameters, load

SPECIAL = ("lesion_mtr_pct", "lesion_mwf_pct", "slowly_expanding_lesions")
"""Columns of a scan that are measured only where asked for."""
MAX_LESIONS = 1000  # (1/2)^1000 is still a normal double, so the inverse CDF below never underflows


@njit(error_model="numpy", nogil=True, cache=True)
def _thin(true: Any, hidden: Any, u: Any, out: Any) -> None:
    for i in range(true.shape[0]):
        n = true[i]
        # Invert on the side with the smaller probability: its zero class has at least 2^-n.
        q = min(hidden[i], 1.0 - hidden[i])
        v = 1.0 - u[i] if hidden[i] <= 0.5 else u[i]
        pmf = (1.0 - q) ** n
        cdf = pmf
        k = 0
        while v > cdf and k < n:
            pmf *= (n - k) / (k + 1.0) * q / (1.0 - q)
            k += 1
            cdf += pmf
        out[i] = n - k if hidden[i] <= 0.5 else k


def visible_gd(gd_lesions: ArrayLike, hidden_fraction: ArrayLike, uniforms: ArrayLike) -> NDArray[np.int64]:
    """Visible enhancing lesions: binomial thinning by a drug that closes the blood-brain barrier.

    Parameters
    ----------
    gd_lesions : array_like of int, shape (rows,)
        True count, 0 to 1000.
    hidden_fraction : array_like of float
        Probability that a lesion does not show, 0-1: masking effect times drug level, eG * z.
    uniforms : array_like of float
        Numbers in (0, 1), one a row. The count rises with the number, so paired arms stay comparable.

    Returns
    -------
    ndarray of int64, shape (rows,)

    Raises
    ------
    InputError
        If a count is not a whole number 0-1000 or a fraction lies outside 0-1.

    Notes
    -----
    ``docs/design/ms_model.md`` section 8.

    """
    true = counts("gd_lesions", gd_lesions, MAX_LESIONS)
    hidden = np.array(np.broadcast_to(column("hidden_fraction", hidden_fraction, 0.0, 1.0), true.shape))
    u = np.array(np.broadcast_to(column("uniforms", uniforms, 0.0, 1.0), true.shape))
    out = np.empty(true.shape, np.int64)
    _thin(true.ravel(), hidden.ravel(), u.ravel(), out.ravel())
    return out


def new_t2_lesions(t2_counter: ArrayLike, t2_counter_previous: ArrayLike) -> NDArray[np.int64]:
    """New or enlarging T2 lesions between two scans: the difference of the lesion counter.

    Raises
    ------
    InputError
        If a counter is negative or falls from one scan to the next.

    """
    new = counts("t2_counter", t2_counter) - counts("t2_counter_previous", t2_counter_previous)
    if (new < 0).any():
        raise InputError(f"t2_counter falls by {-int(new.min())} between two scans; it counts lesions and never falls")
    return np.asarray(new)


def read_by(lesions: NDArray[np.int64], reading: ArrayLike, uniforms: ArrayLike) -> NDArray[np.int64]:
    """Lesions that a reading centre counts: each as often as its factor says on average, a whole number of times.

    A centre below 1 misses some of them at random, one above 1 takes some for two (it splits what runs together). It
    makes no lesion where there is none: those without any stay without at every centre.

    Parameters
    ----------
    lesions : ndarray of int64, shape (rows,)
        Lesions that an average centre counts.
    reading : array_like of float
        Factor, 0 or more.
    uniforms : array_like of float
        Numbers in (0, 1), one a row. The count rises with the factor.

    Raises
    ------
    InputError
        If a factor is negative or not finite.
    """
    factor = np.array(np.broadcast_to(column("reading", reading, 0.0), lesions.shape))
    whole = np.floor(factor)
    more = np.empty(lesions.shape, np.int64)
    u = np.array(np.broadcast_to(column("uniforms", uniforms, 0.0, 1.0), lesions.shape))
    _thin(lesions.ravel(), 1.0 - (factor - whole).ravel(), u.ravel(), more.ravel())
    return np.asarray(lesions * whole.astype(np.int64) + more)


def t2_volume(
    t2_volume_ml: ArrayLike, normals: ArrayLike, parameters: MriParameters | None = None
) -> NDArray[np.float64]:
    """Measured T2 lesion volume in ml: the true one times a log-normal error (median 1)."""
    p = parameters or load(MriParameters)
    return column("t2_volume_ml", t2_volume_ml, 0.0) * np.exp(p.mri_t2_volume_sd_log * np.asarray(normals))


def brain_volume_change(
    brain_volume_change_pct: ArrayLike,
    is_baseline: ArrayLike,
    normals: ArrayLike,
    parameters: MriParameters | None = None,
) -> NDArray[np.float64]:
    """Measured brain volume change since the baseline scan in per cent; exactly 0 at the baseline scan itself.

    Parameters
    ----------
    brain_volume_change_pct : array_like of float
        True change since the baseline scan, per cent (negative: loss).
    is_baseline : array_like of bool
        Rows of the baseline scan: no pair of scans, hence no error.
    normals : array_like of float
        Standard normals, one a row: each later scan is compared with the baseline once.
    parameters : MriParameters, optional
        Default: the declared values.

    """
    p = parameters or load(MriParameters)
    true = column("brain_volume_change_pct", brain_volume_change_pct, -100.0, 100.0)
    return np.where(np.asarray(is_baseline), 0.0, true + p.mri_brain_volume_sd_pct * np.asarray(normals))


def scan(
    seed: int,
    patient: ArrayLike,
    day: ArrayLike,
    *,
    gd_lesions: ArrayLike,
    t2_counter: ArrayLike,
    t2_counter_previous: ArrayLike,
    t2_volume_ml: ArrayLike,
    brain_volume_change_pct: ArrayLike,
    is_baseline: ArrayLike,
    hidden_fraction: ArrayLike = 0.0,
    reading: ArrayLike = 1.0,
    atrophy: ArrayLike = 1.0,
    columns: Iterable[str] = (),
    demyelinated_ml: ArrayLike | None = None,
    remyelinated_ml: ArrayLike | None = None,
    chronic_active_ml: ArrayLike | None = None,
    stream: str = "observe.mri",
    parameters: MriParameters | None = None,
) -> dict[str, NDArray[Any]]:
    """All columns of the ``mri`` table from the truth, with errors from named random streams.

    Parameters
    ----------
    seed : int
        64-bit key.
    patient, day : array_like of int, shape (rows,)
        Identity (``replicate * 2**32 + index``) and day of the scan.
    gd_lesions, t2_counter, t2_counter_previous, t2_volume_ml, brain_volume_change_pct, is_baseline, hidden_fraction
        As in the functions of this module.
    reading : array_like of float
        Factor of the reading centre on enhancing and new T2 lesions (:func:`read_by`, from a stream of its own), and
        its power ``mri_reading_volume`` on T2 volume.
    atrophy : array_like of float
        Factor of the reading centre on brain volume change, before its error.
    columns : iterable of str
        Which of :data:`SPECIAL` to measure as well; each has a stream of its own and may be missing (NaN), not at the
        baseline scan.
    demyelinated_ml, remyelinated_ml, chronic_active_ml : array_like of float, optional
        Lesion volumes that those columns read.
    stream : str
        Name of the random stream.
    parameters : MriParameters, optional
        Default: the declared values.

    Returns
    -------
    dict of ndarray
        ``gd_lesions``, ``new_t2_lesions``, ``t2_volume_ml``, ``brain_volume_change_pct``, and ``columns`` as asked.

    Raises
    ------
    InputError
        If a true value is out of range, or a column is not known or lacks the volume that it reads.

    """
    z = draw_normals(seed, patient, day, stream, 2)
    u = draw_uniforms(seed, patient, day, stream + ".gd", 1)
    p = parameters or load(MriParameters)
    factor = column("reading", reading, 0.0)
    shrunk = np.asarray(brain_volume_change_pct) * column("atrophy", atrophy, 0.0)
    out: dict[str, NDArray[Any]] = {
        "gd_lesions": visible_gd(gd_lesions, hidden_fraction, u[:, 0]),
        "new_t2_lesions": new_t2_lesions(t2_counter, t2_counter_previous),
        "t2_volume_ml": t2_volume(t2_volume_ml, z[:, 0], p) * factor**p.mri_reading_volume,
        "brain_volume_change_pct": brain_volume_change(shrunk, is_baseline, z[:, 1], p),
    }
    if (factor != 1.0).any():
        split = draw_uniforms(seed, patient, day, stream + ".reading", 2)
        for k, name in enumerate(("gd_lesions", "new_t2_lesions")):
            out[name] = read_by(out[name], factor, split[:, k])
    volumes = {"demyelinated_ml": demyelinated_ml, "remyelinated_ml": remyelinated_ml}
    volumes["chronic_active_ml"] = chronic_active_ml
    for name in columns:
        out[name] = _special(seed, patient, day, name, volumes, is_baseline, stream, p)
    return out


def _special(
    seed: int,
    patient: ArrayLike,
    day: ArrayLike,
    name: str,
    volumes: dict[str, ArrayLike | None],
    is_baseline: ArrayLike,
    stream: str,
    p: MriParameters,
) -> NDArray[np.float64]:
    """One of the special columns, NaN where it is missing."""
    if name not in SPECIAL:
        raise InputError(f"instrument '{name}' is not known at scans{did_you_mean(name, SPECIAL)}")

    def volume(which: str) -> ArrayLike:
        given = volumes[which]
        if given is None:
            raise InputError(f"{name} reads {which}, which the scan was not given; pass it to scan()")
        return given

    z = draw_normals(seed, patient, day, f"{stream}.{name}", 1)[:, 0]
    person = draw_normals(seed, patient, np.zeros_like(np.asarray(day)), f"{stream}.{name}.person", 1)[:, 0]
    if name == "lesion_mtr_pct":
        value = lesion_mtr(volume("demyelinated_ml"), volume("remyelinated_ml"), z, p)
    elif name == "lesion_mwf_pct":
        value = lesion_mwf(volume("demyelinated_ml"), volume("remyelinated_ml"), z, p, person=person)
    else:
        value = slowly_expanding_lesions(volume("chronic_active_ml"), z, p, person=person)
    u = draw_uniforms(seed, patient, day, f"{stream}.{name}.missing", 1)[:, 0]
    return np.where((u < p.mri_lesion_missing_share) & ~np.asarray(is_baseline, bool), np.nan, value)


def scan_done(
    seed: int,
    patient: ArrayLike,
    day: ArrayLike,
    is_baseline: ArrayLike,
    *,
    stream: str = "observe.mri",
    parameters: MriParameters | None = None,
) -> NDArray[np.bool_]:
    """Which scheduled scans take place: each is missed completely at random, the baseline scan never.

    A missed scan gives no row; the next one counts new lesions since the last scan done.

    Parameters
    ----------
    seed, patient, day, is_baseline, stream, parameters
        As :func:`scan`.

    Returns
    -------
    ndarray of bool, shape (rows,)

    """
    p = parameters or load(MriParameters)
    u = draw_uniforms(seed, patient, day, stream + ".missing", 1)[:, 0]
    return np.asarray((u >= p.mri_missing_share) | np.asarray(is_baseline, bool))
