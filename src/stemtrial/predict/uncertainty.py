"""What an interval is made of: sampling within a trial, effects of the trial as a whole, parameters.

Replicate k of a run has draw k mod n of the parameters and its own trial effects and people. Variance over all
replicates is then that between draws, and that within them; of the latter, what a line in the drawn trial effects
explains is theirs, and the rest is sampling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.evidence.schema import RATIOS
from stemtrial.parameters import Draws, default_draws, is_shipped, point_draw, posterior

Floats = NDArray[np.float64]
PARTS = ("sampling", "trial_effects", "parameters")
"""Parts of a spread, as the words of ``interval`` name them."""
REPLICATES_A_DRAW = 4
"""Replicates that each draw gets at least, unless draws are asked for: fewer would not tell its sampling."""
FEWEST_FINITE = 0.9
"""Share of replicates that must have a finite value, for a spread to mean anything."""


def draws_for(
    replicates: int, draws: int | None = None, point: bool = False, *, each: int = REPLICATES_A_DRAW
) -> Draws:  # fmt: skip
    """Return the draws of a run.

    Parameters
    ----------
    replicates : int
        Of the run.
    draws : int, optional
        The first so many of the posterior. When left out: all of it, but one for every ``each`` replicates at
        most, so that parameters and sampling can be told apart; the point values where that leaves
        fewer than two, or no posterior is shipped.
    point : bool
        The point values; excludes ``draws``.
    each : int
        Replicates that each draw gets at least.

    Raises
    ------
    InputError
        If both are given, or the posterior has fewer draws.
    """
    if point or draws is not None:
        return default_draws(draws, point)
    most = min(len(posterior()) if is_shipped() else 0, replicates // each)
    return posterior(most) if most > 1 else point_draw()


def _within(x: Floats, group: NDArray[np.int64], size: int) -> Floats:
    """Columns of ``x`` minus their mean in each group."""
    n = np.maximum(np.bincount(group, minlength=size), 1)
    means = np.stack([np.bincount(group, c, size) for c in x.T], axis=1) / n[:, None]
    return np.asarray(x - means[group], np.float64)


def _explained(y: Floats, effects: Floats, free: int) -> float:
    """Adjusted share of the variance of ``y`` that a line in ``effects`` explains; both without their group means."""
    spread = effects.std(axis=0)
    lines = effects[:, spread > 1e-12] / spread[spread > 1e-12]
    total = float(y @ y)
    if not lines.shape[1] or total == 0:
        return 0.0
    slope, _, rank, _ = np.linalg.lstsq(lines, y, rcond=1e-9)
    if free <= rank:
        return 0.0
    left = float(((y - lines @ slope) ** 2).sum())
    return float(np.clip(1 - left / total * free / (free - rank), 0.0, 1.0))


def variance_parts(y: Floats, draw: NDArray[np.int64], effects: Floats) -> tuple[float, float, float]:
    """Variance of a prediction that comes from sampling, from effects of the trial, and from parameters.

    Parameters
    ----------
    y : ndarray, shape (replicates,)
        Finite values.
    draw : ndarray of int, shape (replicates,)
        Draw of the parameters of each, from 0.
    effects : ndarray, shape (replicates, effects)
        What was drawn once a trial.

    Returns
    -------
    (float, float, float)
        Each 0 or more. Between draws: one-way analysis of variance with unequal sizes (Searle, Casella & McCulloch,
        Variance Components, 1992, section 3.6), what sampling leaves in the means of draws taken off. Within draws:
        adjusted R2 of a linear regression on the effects. NaN where no draw has two replicates.
    """
    found, group = np.unique(draw, return_inverse=True)
    n, size = np.bincount(group), len(found)
    free = len(y) - size
    if free < 1:
        return np.nan, np.nan, np.nan
    inside = _within(y[:, None], group, size)[:, 0]
    within = float(inside @ inside) / free
    between = 0.0
    if size > 1:
        means = np.bincount(group, y) / n
        each = (len(y) - float((n**2).sum()) / len(y)) / (size - 1)
        between = max(0.0, (float(n @ (means - y.mean()) ** 2) / (size - 1) - within) / each)
    share = _explained(inside, _within(effects, group, size), free) if effects.shape[1] else 0.0
    return within * (1 - share), within * share, between


def sd_of(
    x: Floats, draw: NDArray[np.int64], effects: Floats | None = None, *, ratio: bool = False
) -> dict[str, float | None] | None:
    """Return what each part adds to the spread of one estimate.

    Parameters
    ----------
    x : ndarray, shape (replicates,)
        One value a replicate.
    draw : ndarray of int, shape (replicates,)
        Draw of the parameters of each, from 0.
    effects : ndarray, shape (replicates, effects), optional
        Trial effects that differ between replicates.
    ratio : bool
        Whether ``x`` is a ratio, whose logarithm spreads.

    Returns
    -------
    dict or None
        ``{sampling, trial_effects, parameters}``: standard deviations on the scale of the estimate, of logarithms for
        ratios; None for a part that was not drawn. All of it is None where more than a tenth of the replicates have no
        finite value, or no draw has two replicates.
    """
    if effects is None:
        effects = np.zeros((len(x), 0))
    if ratio:
        x = np.log(np.where(x > 0, x, np.nan))
    seen = np.isfinite(x)
    if seen.sum() < max(2, FEWEST_FINITE * len(x)):
        return None
    parts = variance_parts(x[seen], draw[seen], effects[seen])
    if np.isnan(parts[0]):
        return None
    held = (True, effects.shape[1] > 0, len(np.unique(draw)) > 1)
    return {name: float(np.sqrt(v)) if is_held else None for name, v, is_held in zip(PARTS, parts, held, strict=True)}


def set_parts(
    estimates: Sequence[dict[str, Any]], values: Floats, effects: Mapping[str, NDArray[Any]], n_draws: int
) -> None:
    """Write ``sd`` (:func:`sd_of`) into every row of ``estimates.json``, in place.

    Parameters
    ----------
    estimates : sequence of dict
        Rows of ``estimates.json``, in the order of ``values``.
    values : ndarray, shape (rows, replicates)
        One value a replicate; replicate k is of draw k mod ``n_draws``.
    effects : mapping of str to ndarray, shape (replicates,)
        Trial effects that differ between replicates.
    n_draws : int
        Draws of the parameters.
    """
    draw = np.arange(values.shape[1]) % n_draws
    drawn = np.stack([np.asarray(e, float) for e in effects.values()], axis=1) if effects else None
    for told, x in zip(estimates, values, strict=True):
        told["sd"] = sd_of(x, draw, drawn, ratio=told["statistic"] in RATIOS)


def shares(sd: Mapping[str, float | None] | None) -> dict[str, float] | None:
    """Return the share of the variance that each drawn part has, from ``sd`` of a row; None where nothing varies."""
    variance = {k: v**2 for k, v in (sd or {}).items() if v is not None}
    total = sum(variance.values())
    return {k: v / total for k, v in variance.items()} if total > 0 else None


def typical_shares(each: Sequence[Mapping[str, float | None] | None]) -> dict[str, float] | None:
    """Return the mean of the shares of variance over the estimates of a run; None where nothing varies."""
    found = [x for x in map(shares, each) if x]
    return {k: float(np.mean([x.get(k, 0.0) for x in found])) for k in found[0]} if found else None
