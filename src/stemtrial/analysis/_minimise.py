"""Newton's method for the minima of many functions of a few unknowns at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stemtrial.analysis._inputs import Bools, Floats, Ints

STEPS = 60  # six to ten are usual; minima on the edge of the variances take twenty
HALVINGS = 30
TOLERANCE = 1e-10  # expected gain of the next step, in units of the log likelihood
SHIFT = 1e-5  # of an unknown (all are scaled to about 1), for the differences of gradients that give curvatures
FLAT = 1e-8  # curvatures below this share of the largest are none

Objective = Callable[[Floats, Ints], tuple[Floats, Floats]]


class Minimum(NamedTuple):
    """Where the functions are smallest: place and gradient (rows, unknowns), value (rows,), curvature, success."""

    x: Floats
    value: Floats
    curvature: Floats
    converged: Bools


def minimise(function: Objective, start: Floats, free: Bools | None = None) -> Minimum:
    """Return the minima of functions, row by row.

    Parameters
    ----------
    function : callable
        Maps unknowns (some rows, unknowns) and the numbers of these rows to values and gradients. A value may be
        infinite or NaN (outside the domain): the step is then halved.
    start : ndarray, shape (rows, unknowns)
        Where to begin; scaled so that a change of 1 is large and one of 1e-5 small.
    free : ndarray of bool, shape (rows, unknowns), optional
        False for unknowns held at their start.

    Notes
    -----
    Curvatures are differences of gradients. Directions that curve downward are turned (their size is kept), so that a
    step never goes to a saddle point. A step that does not lower the value is halved. Rows do not touch each other: the
    answer to one does not depend on which others are asked.

    """
    x = np.array(start, np.float64)
    rows, k = x.shape
    free = np.ones((rows, k), np.bool_) if free is None else free
    value, gradient = function(x, np.arange(rows))
    gradient = np.where(free, gradient, 0.0)
    curvature = np.broadcast_to(np.eye(k), (rows, k, k)).copy()
    converged = np.zeros(rows, np.bool_)
    open_rows = np.flatnonzero(np.isfinite(value))
    for _ in range(STEPS):
        if not len(open_rows):
            break
        at, g = x[open_rows], gradient[open_rows]
        h = _curvature(function, at, g, free[open_rows], open_rows)
        curvature[open_rows] = h
        step = np.where(free[open_rows], _step(h, g), 0.0)
        gain = -(g * step).sum(1)
        settled = gain <= TOLERANCE
        converged[open_rows[settled]] = True
        moved = _walk(function, at, value[open_rows], step, gain, settled, open_rows)
        nxt, found, slope, ok = moved
        x[open_rows[ok]], value[open_rows[ok]] = nxt[ok], found[ok]
        gradient[open_rows[ok]] = np.where(free[open_rows[ok]], slope[ok], 0.0)
        # Rounding hides the last gains: where no step helps any more, a small expected gain is convergence.
        converged[open_rows[~ok & (gain <= np.sqrt(TOLERANCE))]] = True
        open_rows = open_rows[ok & ~settled]
    return Minimum(x, value, curvature, converged)


def _curvature(function: Objective, x: Floats, g: Floats, free: Bools, rows: Ints) -> Floats:
    """Return second derivatives (rows, unknowns, unknowns); 1 on the diagonal of what is held."""
    k = x.shape[1]
    h = np.empty((len(x), k, k))
    for j in range(k):
        if not free[:, j].any():
            h[:, j] = 0.0
            continue
        shifted = x.copy()
        width = SHIFT * np.maximum(1.0, np.abs(x[:, j]))
        shifted[:, j] += width
        h[:, j] = (function(shifted, rows)[1] - g) / (shifted[:, j] - x[:, j])[:, None]
    both = free[:, :, None] & free[:, None, :]
    h = np.where(both & np.isfinite(h), (h + h.transpose(0, 2, 1)) / 2, 0.0)
    h[:, range(k), range(k)] += ~free
    return h


def _step(h: Floats, g: Floats) -> Floats:
    """Return Newton's steps, downhill whatever the curvature."""
    size, axes = np.linalg.eigh(h)
    size = np.abs(size)
    size = np.maximum(size, FLAT * size.max(1, keepdims=True))
    size = np.maximum(size, np.finfo(float).tiny)
    along = np.einsum("rkj,rk->rj", axes, g) / size
    step: Floats = -np.einsum("rkj,rj->rk", axes, along)
    return step


def _walk(
    function: Objective, x: Floats, value: Floats, step: Floats, gain: Floats, last: Bools, rows: Ints
) -> tuple[Floats, Floats, Floats, Bools]:
    """Return where halving the steps ends: place, value, gradient and whether the value fell.

    The ``last`` step of a row that has settled is taken whole or not at all.
    """
    nxt, found, slope = x.copy(), value.copy(), np.zeros_like(x)
    ok = np.zeros(len(x), np.bool_)
    length = np.ones(len(x))
    tried: NDArray[np.int64] = np.arange(len(x))
    for _ in range(HALVINGS):
        there = x[tried] + length[tried, None] * step[tried]
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            v, s = function(there, rows[tried])
        good = np.isfinite(v) & (v <= value[tried] - 1e-4 * length[tried] * gain[tried])
        done = tried[good]
        nxt[done], found[done], slope[done], ok[done] = there[good], v[good], s[good], True
        tried = tried[~good & ~last[tried]]
        if not len(tried):
            break
        length[tried] /= 2
    return nxt, found, slope, ok
