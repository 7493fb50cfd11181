"""Newton's method for many falling functions at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stemtrial.analysis._inputs import Floats

MAX_STEP = 2.0  # unknowns are logarithms of rates or ratios: a step never changes them by more than exp(2)
NEWTON_STEPS = 40  # six or so are usual; whatever has not settled by then is bisected, which cannot fail
BISECTIONS = 80
TOLERANCE = 1e-12


def falling_root(
    function: Callable[[Floats], tuple[Floats, Floats]],
    start: Floats,
    low: Floats | float = -np.inf,
    high: Floats | float = np.inf,
) -> Floats:
    """Return the roots of falling functions (scores of concave likelihoods), element by element.

    Parameters
    ----------
    function : callable
        Maps the unknowns to (score, information), the information being minus the slope of the score.
    start : ndarray
        Where to begin; also the shape. A score of 0 leaves its unknown where it is.
    low, high : ndarray or float
        Where the root is known to lie.

    """
    x, low, high = start.copy(), np.broadcast_to(low, start.shape), np.broadcast_to(high, start.shape)
    done = np.zeros(start.shape, bool)  # a root that has settled stays: it must not depend on which others are sought
    for i in range(NEWTON_STEPS + BISECTIONS):
        score, information = function(x)
        low, high = np.where(score >= 0, x, low), np.where(score <= 0, x, high)
        step = np.sign(score) * MAX_STEP
        np.divide(score, information, out=step, where=information > np.abs(score) / MAX_STEP)
        nxt = x + step
        settled = np.abs(step) <= TOLERANCE * (1 + np.abs(x))
        outside = (nxt <= low) | (nxt >= high)
        if i >= NEWTON_STEPS:
            outside |= np.isfinite(low) & np.isfinite(high)
        stuck = outside & ~settled
        nxt[stuck] = low[stuck] / 2 + high[stuck] / 2
        nxt = np.where(done, x, nxt)
        done |= np.abs(nxt - x) <= TOLERANCE * (1 + np.abs(nxt))
        x = nxt
        if done.all():
            break
    return x
