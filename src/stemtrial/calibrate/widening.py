"""How much wider than estimated the effects of the trial must be, for left-out cohorts to fall where they should.

SDs of trial effects are estimated with the parameters free to move towards the very trials that they explain, and under
priors that are assumed; both make them small. What a prediction needs is the spread of a trial that the fit has not
seen. So every cohort of the fit is predicted without it, and the SDs of a disease are widened by one factor until the
places of the published numbers in those predictions spread no more than uniform ones do. Only studies of the fit are
read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stemtrial.calibrate.fit import Fitted
from stemtrial.calibrate.loco import leave_one_out
from stemtrial.predict.metrics import pit_uniformity

STEP, MOST = 0.05, 3.0
"""Grid of the factor, from 1."""


@dataclass(frozen=True)
class Widening:
    """Factor on the SDs of the effects of the trial of one disease.

    Attributes
    ----------
    factor : float
        1 or more; :data:`MOST` where that does not suffice.
    cohorts : int
        Left out one by one.
    before, after : float
        Dispersion of the places of published numbers (:func:`stemtrial.predict.metrics.pit_uniformity`) at 1 and at
        the factor: 1 if predictions are right, above it if they are too narrow.
    """

    factor: float
    cohorts: int
    before: float
    after: float


def widening(blocks: Sequence[Fitted], seed: int = 1) -> Widening:
    """Find the least factor on the grid at which left-out cohorts of a disease spread as they should.

    Parameters
    ----------
    blocks : sequence of Fitted
        All blocks of one disease.
    seed : int
        For the noise of the predictions.
    """
    known: dict[float, dict[str, Any]] = {}

    def spread(steps: int) -> float:
        factor = 1.0 + STEP * steps
        if factor not in known:
            found = [f for b in blocks for f in leave_one_out(b, seed, factor)]
            known[factor] = pit_uniformity([f.pit for f in found], [f.cohort for f in found])
        return float(known[factor]["dispersion"])

    low, high = 0, round((MOST - 1.0) / STEP)
    before = spread(low)
    if before > 1.0:
        while high - low > 1:  # wider predictions spread the places less
            middle = (low + high) // 2
            low, high = (middle, high) if spread(middle) > 1.0 else (low, middle)
    else:
        high = low
    factor = float(np.round(1.0 + STEP * high, 2))
    return Widening(factor, int(known[1.0]["cohorts"]), before, spread(high))


__all__ = ["Widening", "widening"]
