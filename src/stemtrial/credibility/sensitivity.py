"""Which parameters drive an estimate: from the draws and replicates that a run has anyway.

Replicates are ranked by their estimate, those at a limit (no event in an arm) at its end. The mean rank of a draw
tells what its parameters gave, with what sampling leaves in it. Its rank correlation with each parameter tells how the
two go together over the posterior; how large such a correlation gets by chance alone, among so many parameters and so
few draws, is told by shuffling the draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from stemtrial.kernel import derive_seed
from stemtrial.predict.uncertainty import FEWEST_FINITE, variance_parts

Floats = NDArray[np.float64]
SHUFFLES, RESAMPLES = 500, 500
"""Shuffles for the noise floor, bootstrap samples for an interval."""
FEWEST_DRAWS = 20
"""Draws below which rank correlations say nothing beside their noise."""
MOST = 15
"""Parameters told."""


@dataclass(frozen=True)
class Drivers:
    """What drives an estimate.

    Attributes
    ----------
    rows : list of dict
        ``name, rank_correlation, interval`` (90 %, bootstrap over draws), ``share`` of the variance of ranks between
        draws that goes with the parameter (0 to 1; correlated ones have it together, so that shares do not add up),
        ``above_noise``; the strongest first, at most :data:`MOST`.
    floor : float or None
        Noise floor: the greatest absolute correlation of any parameter exceeds it in 5 % of shuffles.
    draws, parameters : int
        Draws with an estimate; parameters that vary between them.
    reliability : float or None
        Share of the variance of the mean ranks that is between draws; the rest is sampling.
    why_not : str
        Why there are no rows; empty where there are.
    """

    rows: list[dict[str, Any]]
    floor: float | None
    draws: int
    parameters: int
    reliability: float | None
    why_not: str = ""


def drivers(
    x: Floats, draw: NDArray[np.int64], names: Sequence[str], values: Floats, *, seed: int = 0
) -> Drivers:  # fmt: skip
    """Rank the parameters by how they go together with an estimate over the draws of a run.

    Parameters
    ----------
    x : ndarray, shape (replicates,)
        One value a replicate; NaN where there is none, infinite at a limit.
    draw : ndarray of int, shape (replicates,)
        Draw of each, from 0.
    names : sequence of str
        Parameters.
    values : ndarray, shape (draws, parameters)
        Their draws.
    seed : int
        Of shuffles and bootstrap.

    Notes
    -----
    A correlation over a posterior is no effect of the parameter alone: what the data tell only together goes together
    here too. ``share`` is the adjusted squared rank correlation over the reliability of the mean ranks, at most 1.
    """
    seen = ~np.isnan(x)
    varying = np.flatnonzero(np.ptp(values, axis=0) > 0) if len(values) else np.empty(0, int)
    used = np.unique(draw[seen])
    if len(used) < FEWEST_DRAWS or not len(varying):
        why = (
            "no parameter varies between the draws of this run"
            if not len(varying)
            else f"{len(used)} draws are too few to tell drivers from noise; use {FEWEST_DRAWS} or more"
        )
        return Drivers([], None, len(used), len(varying), None, why)
    if seen.sum() < FEWEST_FINITE * len(x):
        lost = "more than a tenth of the replicates have no estimate"
        return Drivers([], None, len(used), len(varying), None, lost)
    y, n = rankdata(x[seen]), np.bincount(draw[seen])[used]
    mean = np.bincount(draw[seen], y)[used] / n
    reliability = _reliability(y, draw[seen], n)
    table = values[np.ix_(used, varying)]
    rng = np.random.default_rng(derive_seed(seed, "credibility.drivers") % 2**63)
    own, ranks = _standard(mean), _standard(table)
    rho = own @ ranks / len(used)
    shuffled = np.stack([rng.permutation(own) for _ in range(SHUFFLES)])
    floor = float(np.quantile(np.abs(shuffled @ ranks / len(used)).max(axis=1), 0.95))
    order = np.argsort(-np.abs(rho), kind="stable")[:MOST]
    low, high = _interval(mean, table[:, order], rng)
    rows = [
        {
            "name": str(names[varying[k]]), "rank_correlation": float(rho[k]),
            "interval": [float(low[i]), float(high[i])],
            "share": _share(float(rho[k]), len(used), reliability), "above_noise": bool(abs(rho[k]) > floor),
        }
        for i, k in enumerate(order)
    ]  # fmt: skip
    return Drivers(rows, floor, len(used), len(varying), reliability)


def _standard(x: Floats, axis: int = 0) -> Floats:
    """Ranks along an axis with mean 0 and variance 1; what has no spread is 0."""
    r = rankdata(x, axis=axis)
    r = r - r.mean(axis=axis, keepdims=True)
    spread = r.std(axis=axis, keepdims=True)
    return np.asarray(r / np.where(spread > 0, spread, 1.0), np.float64)


def _reliability(y: Floats, draw: NDArray[np.int64], n: NDArray[np.int64]) -> float | None:
    """Share of the variance of the means that is between draws; None where no draw has two replicates."""
    within, _, between = variance_parts(y, draw, np.zeros((len(y), 0)))
    total = between + within * float((1.0 / n).mean())
    return None if np.isnan(within) or total == 0 else float(between / total)


def _share(rho: float, draws: int, reliability: float | None) -> float | None:
    adjusted = max(0.0, rho**2 - (1.0 - rho**2) / (draws - 2))
    return None if not reliability else min(1.0, adjusted / reliability)


def _interval(mean: Floats, table: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """90 % percentile intervals of the rank correlations, by resampling draws."""
    take = rng.integers(0, len(mean), (RESAMPLES, len(mean)))
    own, ranks = _standard(mean[take], 1), _standard(table[take], 1)
    low, high = np.percentile(np.einsum("bd,bdp->bp", own, ranks) / len(mean), [5, 95], axis=0)
    return np.asarray(low), np.asarray(high)


__all__ = ["Drivers", "drivers"]
