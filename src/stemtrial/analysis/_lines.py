"""Visits of patients summed up: what straight lines through them, each patient with their own, need to know.

The likelihood of a random intercept and slope hangs on six sums a patient (visits, times, squares and products), so
that a fit costs the same whatever the number of visits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from stemtrial.analysis import _inputs
from stemtrial.analysis._inputs import Bools, Floats, Ints
from stemtrial.errors import InputError

BLOCK = 64  # replicates at once: their arrays stay in the core's cache


@dataclass(frozen=True)
class Lines:
    """Sums over the visits of each patient, shape (replicates, patients); 0 where there is none.

    Attributes
    ----------
    n, t, tt : ndarray of float
        Visits, sum of times, sum of squared times.
    y, ty, yy : ndarray of float
        Sum of values, of products with time, of squares.

    """

    n: Floats
    t: Floats
    tt: Floats
    y: Floats
    ty: Floats
    yy: Floats

    @property
    def at_several_times(self) -> Bools:
        """Whether each patient has values at two times or more: whether a line through them has a slope."""
        away: Bools = self.tt - self.t * self.t / np.maximum(self.n, 1) > 1e-12 * self.tt
        return away

    def rows(self, which: Ints) -> Lines:
        """Return the sums of some replicates."""
        return Lines(*(getattr(self, k)[which] for k in ("n", "t", "tt", "y", "ty", "yy")))


def visits(time: ArrayLike, value: ArrayLike, include: ArrayLike | None) -> tuple[Floats, Floats, Bools]:
    """Return times and values, 0 where no value was seen, and where one was.

    Parameters
    ----------
    time, value : array_like, shape (replicates, patients, visits)
        NaN values are visits that were not; their times are not read.
    include : array_like of bool, shape (replicates, patients), optional
        False for patients outside the analysis set.

    """
    y = np.asarray(value)
    if y.ndim != 3:
        raise InputError(f"value must have three axes (replicates, patients, visits), not {y.ndim}")
    if not np.issubdtype(y.dtype, np.number) or np.iscomplexobj(y):
        raise InputError(f"value must hold real numbers, not {y.dtype}")
    mask = _inputs.analysis_set(include, y.shape[:2])
    seen = mask[:, :, None] & ~np.isnan(y)
    try:
        t = np.broadcast_to(np.asarray(time, np.float64), y.shape)
    except ValueError:
        raise InputError(
            f"time has shape {np.shape(time)}, value {y.shape}; both: replicates, patients, visits"
        ) from None
    x, t = np.where(seen, y, 0.0), np.where(seen, t, 0.0)
    if not np.isfinite(x).all():
        raise InputError("value holds infinite numbers; a visit that was not is NaN")
    if not np.isfinite(t).all():
        raise InputError("time is NaN or infinite where a value was seen; give the time of every value")
    return t, x, seen


def lines(t: Floats, y: Floats, seen: Bools) -> Lines:
    """Sum up what :func:`visits` returned."""
    ty = np.einsum("rnv,rnv->rn", t, y)
    return Lines(
        seen.sum(2).astype(np.float64),
        t.sum(2),
        np.einsum("rnv,rnv->rn", t, t),
        y.sum(2),
        ty,
        np.einsum("rnv,rnv->rn", y, y),
    )


@dataclass(frozen=True)
class Scale:
    """Units in which a replicate's numbers are about 1, each of shape (replicates,)."""

    time: Floats
    centre: Floats
    value: Floats

    @property
    def slope(self) -> Floats:
        """Unit of a slope."""
        out: Floats = self.value / self.time
        return out


def scaled(t: Floats, y: Floats, seen: Bools) -> tuple[Lines, Scale]:
    """Return sums in units of the replicate: time by its root mean square, values centred, by their SD."""
    n = np.maximum(seen.sum((1, 2)), 1)
    unit = np.sqrt((t * t).sum((1, 2)) / n)
    centre = y.sum((1, 2)) / n
    away = np.where(seen, y - centre[:, None, None], 0.0)
    spread = np.sqrt((away * away).sum((1, 2)) / n)
    unit, spread = np.where(unit > 0, unit, 1.0), np.where(spread > 1e-14 * np.abs(centre), spread, 1.0)
    scale = Scale(unit, centre, spread)
    return lines(t / unit[:, None, None], away / spread[:, None, None], seen), scale


def blocks(rows: Ints) -> Iterator[Ints]:
    """Split the numbers of replicates."""
    for first in range(0, len(rows), BLOCK):
        yield rows[first : first + BLOCK]


class Mixed:
    """Weights that a random intercept and slope give the visits of each patient.

    With Z = (1, time) of a patient, S = Z'Z, and the covariance of intercept and slope in units of the residual
    variance Delta = L L', the covariance of a patient's values is V = I + Z Delta Z', and everything follows from
    W = Z' V^-1 Z = (I + S Delta)^-1 S, w = Z' V^-1 y = (I + S Delta)^-1 Z'y and log det V = log det (I + S Delta),
    which exist for any Delta, singular ones too.

    Parameters
    ----------
    data : Lines
        Sums (replicates, patients).
    chol : ndarray, shape (replicates, 3)
        L11, L21, L22.

    """

    def __init__(self, data: Lines, chol: Floats) -> None:
        l1, l2, l3 = chol.T[:, :, None]
        self.l = (l1[:, 0], l2[:, 0], l3[:, 0])
        d11, d12, d22 = self.d = (l1 * l1, l1 * l2, l2 * l2 + l3 * l3)
        a, b, c = data.n, data.t, data.tt
        m11, m12 = 1 + a * d11 + b * d12, a * d12 + b * d22
        m21, m22 = b * d11 + c * d12, 1 + b * d12 + c * d22
        # det (I + S Delta), as a sum of what is not negative: no digits cancel where Delta is large
        det = 1 + (a * d11 + 2 * b * d12 + c * d22) + (a * c - b * b) * (d11 * d22 - d12 * d12)
        self.log_det = np.log(det)
        self.inverse = (m22 / det, -m12 / det, -m21 / det, m11 / det)
        i11, i12, i21, i22 = self.inverse
        self.W = (i11 * a + i12 * b, i11 * b + i12 * c, i21 * b + i22 * c)
        self.w = (i11 * data.y + i12 * data.ty, i21 * data.y + i22 * data.ty)
        # y' V^-1 y
        self.square = data.yy - (
            data.y * (d11 * self.w[0] + d12 * self.w[1]) + data.ty * (d12 * self.w[0] + d22 * self.w[1])
        )

    def residual(self, mean: Floats) -> tuple[Floats, Floats]:
        """Return u = Z' V^-1 (y - Z mean) for mean intercepts and slopes (2, replicates, patients)."""
        (w11, w12, w22), (w1, w2) = self.W, self.w
        return w1 - w11 * mean[0] - w12 * mean[1], w2 - w12 * mean[0] - w22 * mean[1]

    def to_chol(self, g11: Floats, g12: Floats, g22: Floats) -> Floats:
        """Gradient in L (replicates, 3) from the symmetric gradient matrix in Delta."""
        l1, l2, l3 = self.l
        return np.stack([2 * (g11 * l1 + g12 * l2), 2 * (g12 * l1 + g22 * l2), 2 * g22 * l3], 1)
