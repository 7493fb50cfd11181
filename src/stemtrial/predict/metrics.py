"""How good a predictive distribution is: pure functions of replicates and of the number that was published.

A forecast is a sample: one value a replicate. Everywhere here

* a replicate that is NaN (no estimate at all) is left out;
* a replicate at a limit (an infinite ratio, because the control arm had no event) stands in the order of the others at
  its end; where a distance is measured it is clipped to the smallest or largest finite replicate, since the score of a
  forecast with any weight at infinity is infinite;
* scores are on the scale of :func:`scoring_scale`: hazard, rate, odds and risk ratios by their logarithm, so that a
  ratio and its inverse score alike, all else as published.

Scores of outcomes in different units are never averaged: they meet only in :func:`ratio`, as ratios of two forecasters
on the same outcome.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stemtrial.errors import InputError
from stemtrial.evidence.schema import RATIOS

Floats = NDArray[np.float64]
RESAMPLES = 2000
FLOOR = 0.01
"""A CRPS counts as at least this share of the larger of the two that are compared: one outcome moves a ratio by at most
a hundredfold either way, and a forecast that hits exactly (a CRPS of 0) does not decide alone."""
MISSING = 0.1
"""Share of replicates without a value above which a row is left out of the joint check."""


def scoring_scale(statistic: str) -> Literal["log", "identity"]:
    """Scale on which a statistic is scored: ratios by their logarithm, all else as it is."""
    return "log" if statistic in RATIOS else "identity"


def on_scoring_scale(statistic: str, x: ArrayLike) -> Floats:
    """Return values on the scale of :func:`scoring_scale`; a ratio of 0 is -inf, a negative one NaN."""
    values = np.asarray(x, float)
    if scoring_scale(statistic) == "identity":
        return values
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log(values), float)


def finite(values: ArrayLike) -> Floats:
    """Replicates in ascending order without NaN, those at a limit clipped to the ends of the finite ones.

    Empty where no replicate is finite.
    """
    x = np.sort(np.asarray(values, float).ravel())
    x = x[~np.isnan(x)]
    seen = x[np.isfinite(x)]
    return np.asarray(np.clip(x, seen[0], seen[-1]) if len(seen) else seen, float)


def crps(values: ArrayLike, y: float, *, fair: bool = True) -> float:
    """Continuous ranked probability score of a sample; smaller is better, 0 at best.

    Mean of |x - y| less half the mean distance of two replicates (doi:10.1198/016214506000001437), in
    O(n log n).

    Parameters
    ----------
    values : array_like, shape (replicates,)
        The forecast, on the scale on which it is scored.
    y : float
        What was published, on that scale.
    fair : bool
        Two different replicates make a pair, which scores the distribution behind the replicates without a bias for
        large ensembles (doi:10.1002/qj.2270); False for points that are the distribution itself (quantiles).

    Returns
    -------
    float
        In the unit of ``y``; NaN where ``y`` or every replicate is not finite.
    """
    x = finite(values)
    n = len(x)
    if n == 0 or not np.isfinite(y):
        return float("nan")
    pairs = n * (n - 1) if fair else n * n
    if pairs == 0:
        return float(abs(x[0] - y))
    # Sum over i < j of x[j] - x[i]; centred on y, so that large offsets cost no digits.
    apart = float(np.dot(2 * np.arange(n) - n + 1, x - y))
    return max(0.0, float(np.abs(x - y).mean()) - apart / pairs)  # never negative but for rounding


def interval_score(values: ArrayLike, y: float, level: float) -> float:
    """Width of the central interval, and 2 / (1 - level) times the distance of a value outside it; smaller is better.

    Parameters
    ----------
    values : array_like, shape (replicates,)
        The forecast, on the scale on which it is scored.
    y : float
        What was published, on that scale.
    level : float
        Of the interval, in (0, 1).

    Returns
    -------
    float
        In the unit of ``y`` (doi:10.1198/016214506000001437); NaN where ``y`` or every replicate is not finite.

    Raises
    ------
    InputError
        If the level lies outside (0, 1).
    """
    if not 0 < level < 1:
        raise InputError(f"level {level:g} lies outside (0, 1); give 0.9 for 90 %")
    x = finite(values)
    if len(x) == 0 or not np.isfinite(y):
        return float("nan")
    low, high = np.quantile(x, [0.5 - level / 2, 0.5 + level / 2])
    return float(high - low + 2 / (1 - level) * (max(0.0, low - y) + max(0.0, y - high)))


def pit(values: ArrayLike, y: float, u: float, half_width: float = 0.0) -> float:
    """Where the published value stands among the replicates, 0 to 1: uniform for a right forecast, ties included.

    Parameters
    ----------
    values : array_like, shape (replicates,)
        The forecast; limits count at their end.
    y : float
        What was published.
    u : float
        A uniform number of its own in [0, 1), which places the value among replicates that equal it
        (doi:10.1111/j.1541-0420.2009.01191.x): :func:`tie_breaker`.
    half_width : float
        Replicates that differ from ``y`` by no more are its equals: half a unit of the last digit printed, since 1 of
        24 is printed as 0.042. A share of counted patients is nearly always a tie.

    Returns
    -------
    float
        (replicates below + u (equal ones + 1)) / (replicates + 1): exactly uniform where the published value is drawn
        like the replicates. NaN without replicates.
    """
    x = np.asarray(values, float).ravel()
    x = x[~np.isnan(x)]
    if len(x) == 0 or np.isnan(y):
        return float("nan")
    slack = half_width * (1 + 1e-9)
    below, upto = int((x < y - slack).sum()), int((x <= y + slack).sum())
    return float((below + u * (upto - below + 1)) / (len(x) + 1))


def tie_breaker(name: str) -> float:
    """Return a number in [0, 1) that belongs to a name (an outcome id): the same in every run, chosen by nobody."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48


class JointRank(NamedTuple):
    """Where a published vector stands among replicates: ``rank`` in 0..1, near 1 if no replicate is as odd."""

    rank: float
    rows: int
    replicates: int


def joint_rank(values: ArrayLike, y: ArrayLike) -> JointRank:
    """Rank of the published vector's Mahalanobis distance among those of the replicates.

    Outcomes of one trial hang together: each may lie inside its interval while all of them could not. The published
    vector joins the replicates before mean and covariance are taken, so that under a right forecast all are alike and
    the rank is uniform however the covariance is estimated. Rows are divided by their standard deviation and the
    covariance is shrunk to a multiple of the identity by the formula of Ledoit and Wolf
    (doi:10.1016/S0047-259X(03)00096-4).

    Parameters
    ----------
    values : array_like, shape (rows, replicates)
        One forecast a row, on the scales on which they are scored. A row without a value in more than a tenth of the
        replicates (:data:`MISSING`) is left out; then a replicate without a value in any row that is left. Limits are
        clipped to the ends of the finite ones.
    y : array_like, shape (rows,)
        What was published; rows that are not finite are left out, as are rows that never differ.

    Returns
    -------
    JointRank
        The mid-rank, and rows and replicates that were used; a rank of NaN where none are left.

    Raises
    ------
    InputError
        If the shapes do not fit.
    """
    x, mine = np.asarray(values, float), np.asarray(y, float)
    if x.ndim != 2 or mine.shape != x.shape[:1]:
        raise InputError(f"values and y have shapes {x.shape} and {mine.shape}; give (rows, replicates) and (rows,)")
    able = np.isfinite(mine) & np.isfinite(x).any(1) & (np.isnan(x).mean(1) <= MISSING)
    x, mine = x[able], mine[able]
    ends = np.where(np.isfinite(x), x, np.nan)
    if x.size:
        x = np.clip(x, np.nanmin(ends, 1)[:, None], np.nanmax(ends, 1)[:, None])
    x = x[:, ~np.isnan(x).any(0)] if x.size else x[:, :0]
    if x.shape[1] < 2:
        return JointRank(float("nan"), 0, x.shape[1])
    together = np.column_stack([mine, x])
    together = together[np.ptp(together, axis=1) > 0]
    if not len(together):
        return JointRank(float("nan"), 0, x.shape[1])
    z = (together - together.mean(1, keepdims=True)) / together.std(1, keepdims=True)
    distance = np.sum(z * np.linalg.solve(shrunk_covariance(z), z), axis=0)
    near = 1e-9 * max(1.0, float(distance[0]))  # equal vectors may differ in the last bits
    below = int((distance[1:] < distance[0] - near).sum())
    equal = int((np.abs(distance[1:] - distance[0]) <= near).sum())
    return JointRank((below + 0.5 * (equal + 1)) / (x.shape[1] + 1), len(z), x.shape[1])


def shrunk_covariance(z: ArrayLike) -> Floats:
    """Covariance of centred columns, shrunk to a multiple of the identity (doi:10.1016/S0047-259X(03)00096-4).

    Parameters
    ----------
    z : array_like, shape (rows, columns)
        Variables by observations, each row with mean 0.

    Returns
    -------
    ndarray, shape (rows, rows)
        Positive definite unless all of ``z`` is 0.
    """
    x = np.asarray(z, float)
    p, n = x.shape
    s = x @ x.T / n
    centre = np.trace(s) / p
    spread = float(((s - centre * np.eye(p)) ** 2).sum())
    noise = float(((x**2).sum(0) ** 2).sum() / n - (s**2).sum()) / n  # mean squared distance of one observation's x x'
    weight = min(1.0, max(0.0, noise / spread)) if spread > 0 else 1.0
    return np.asarray(weight * centre * np.eye(p) + (1 - weight) * s, float)


def pit_uniformity(pits: ArrayLike, cohorts: Sequence[Hashable], bins: int = 10, seed: int = 0) -> dict[str, Any]:
    """Say how far randomised PITs are from uniform, each cohort counting once.

    Parameters
    ----------
    pits : array_like, shape (outcomes,)
        Values of :func:`pit`; NaN are left out.
    cohorts : sequence, length outcomes
        Whose outcome it is; the outcomes of a cohort share its weight.
    bins : int
        Of the histogram.
    seed : int
        Of the cluster bootstrap.

    Returns
    -------
    dict
        ``cohorts``, ``outcomes``; ``histogram``: share in each bin, equal for a right forecast; ``mean``: below 0.5
        where the forecast is too high; ``dispersion``: 12 times the mean squared distance from 0.5, 1 for a right
        forecast, above it where intervals are too narrow; ``ci90_of_mean``, ``ci90_of_dispersion``: over cohorts.
    """
    u = np.asarray(pits, float)
    held = ~np.isnan(u)
    codes, weights, n = _weights([c for c, k in zip(cohorts, held, strict=True) if k])
    u = u[held]
    out: dict[str, Any] = {"cohorts": n, "outcomes": len(u), "histogram": None}
    out |= dict.fromkeys(("mean", "ci90_of_mean", "dispersion", "ci90_of_dispersion"))
    if n == 0:
        return out
    edges = np.minimum((u * bins).astype(int), bins - 1)
    out["histogram"] = (np.bincount(edges, weights, bins) / n).tolist()
    for name, value in (("mean", u), ("dispersion", 12 * (u - 0.5) ** 2)):
        of_cohort = np.bincount(codes, weights * value, n)
        out[name] = float(of_cohort.mean())
        out[f"ci90_of_{name}"] = cluster_interval(of_cohort, 0.9, seed)
    return out


def ratio(own: ArrayLike, other: ArrayLike, cohorts: Sequence[Hashable], seed: int = 0) -> dict[str, Any]:
    """Ratio of the CRPS of two forecasters on the same outcomes: below 1 where the first is the better one.

    Per cohort the geometric mean over its outcomes, then the geometric mean over cohorts. A CRPS counts as at least a
    hundredth (:data:`FLOOR`) of the larger of the two; where both are 0 the ratio is 1.

    Parameters
    ----------
    own, other : array_like, shape (outcomes,)
        CRPS, 0 or more; an outcome that either does not score (NaN) is left out and counted.
    cohorts : sequence, length outcomes
        Whose outcome it is.
    seed : int
        Of the cluster bootstrap.

    Returns
    -------
    dict
        ``cohorts``, ``outcomes``, ``left_out``, ``ratio``, ``ci80``, ``ci90`` (central intervals by resampling
        cohorts; None below two cohorts).

    Raises
    ------
    InputError
        If a CRPS is negative or the lengths differ.
    """
    a, b = np.asarray(own, float), np.asarray(other, float)
    if a.shape != b.shape or len(a) != len(cohorts):
        raise InputError(f"{len(a)} and {len(b)} scores of {len(cohorts)} outcomes; give one of each an outcome")
    if (a < 0).any() or (b < 0).any():
        raise InputError(f"a CRPS of {min(np.nanmin(a), np.nanmin(b)):g} is negative; give scores on one scale")
    held = np.isfinite(a) & np.isfinite(b)
    a, b = a[held], b[held]
    codes, weights, n = _weights([c for c, k in zip(cohorts, held, strict=True) if k])
    out: dict[str, Any] = {"cohorts": n, "outcomes": len(a), "left_out": int((~held).sum())}
    if n == 0:
        return out | {"ratio": None, "ci80": None, "ci90": None}
    top = np.maximum(a, b)
    least = np.where(top > 0, FLOOR * top, 1.0)
    log = np.bincount(codes, weights * np.log(np.maximum(a, least) / np.maximum(b, least)), n)
    out["ratio"] = float(np.exp(log.mean()))
    for level in (80, 90):
        ends = cluster_interval(log, level / 100, seed)
        out[f"ci{level}"] = None if ends is None else [float(np.exp(e)) for e in ends]
    return out


def cluster_interval(of_cohort: ArrayLike, level: float, seed: int = 0) -> list[float] | None:
    """Central interval of the mean over cohorts, by resampling cohorts; None below two of them."""
    x = np.asarray(of_cohort, float)
    if len(x) < 2:
        return None
    picked = np.random.default_rng(seed).integers(0, len(x), (RESAMPLES, len(x)))
    low, high = np.quantile(x[picked].mean(1), [0.5 - level / 2, 0.5 + level / 2])
    return [float(low), float(high)]


def _weights(cohorts: Sequence[Hashable]) -> tuple[NDArray[np.intp], Floats, int]:
    """Number of each outcome's cohort in order of appearance, its weight within it, and how many cohorts there are."""
    number: dict[Hashable, int] = {}
    codes = np.array([number.setdefault(c, len(number)) for c in cohorts], dtype=np.intp)
    size = np.bincount(codes, minlength=len(number))
    return codes, 1.0 / size[codes], len(number)
