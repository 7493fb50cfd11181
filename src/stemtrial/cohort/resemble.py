"""Weights under which people resemble a published baseline: entropy balancing.

Of all weights that give the recruits the published moments, the ones closest to equal (in Kullback-Leibler divergence)
are taken (Hainmueller 2012, doi:10.1093/pan/mpr025). They are ``exp(x . lambda)`` in the balanced quantities ``x``, and
``lambda`` is the minimum of a convex function, so that they are unique. Nobody is made up: what no recruit is, no
weights can give, and the fewer recruits are like the published patients, the fewer carry the weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from stemtrial.errors import InputError

Floats = NDArray[np.float64]
TOLERANCE = 1e-6
"""How far a balanced mean may be from its target, in standard deviations of the recruits."""


class UnattainableError(InputError):
    """Moments that no weights can give."""


@dataclass(frozen=True)
class _Balanced:
    """One quantity whose weighted mean is to be 0."""

    variable: str
    moment: str
    target: float
    x: Floats
    scale: float

    def told(self, mean: float) -> float:
        """The moment of people who have a ``mean`` of ``x``."""
        return self.target + mean if self.moment == "mean" else float(np.sqrt(max(0.0, self.target**2 + mean)))


def effective(weights: Floats) -> float:
    """Effective number of people that weights leave (Kish): ``(sum w)^2 / sum w^2``; not the number of weights above 0.

    Parameters
    ----------
    weights : ndarray, shape (people,)
        At least 0.
    """
    return float(weights.sum() ** 2 / (weights**2).sum())


def resembling(
    columns: Mapping[str, NDArray[Any]],
    targets: Mapping[str, tuple[float, float | None]],
    group: NDArray[np.int64] | None = None,
    share: Mapping[int, float] | None = None,
) -> Floats:
    """Weights under which people have the given means and standard deviations.

    Parameters
    ----------
    columns : mapping of str to ndarray, shape (people,)
        What screening saw. Who lacks a value gets no weight.
    targets : mapping of str to (mean, sd)
        Moments by variable, in its own unit; ``sd`` None leaves the spread as it comes.
    group : ndarray of int64, shape (people,), optional
        Group of each person.
    share : mapping of int to float, optional
        Weight of each group, summing to 1; all groups in one when left out.

    Returns
    -------
    ndarray, shape (people,)
        At least 0, summing to 1; equal within a group where there are no targets.

    Raises
    ------
    UnattainableError
        If people cannot have these moments: says which, and what they can have.
    """
    n = len(next(iter(columns.values())))
    known = np.all([np.isfinite(columns[v]) for v in targets], axis=0) if targets else np.ones(n, bool)
    of = (np.zeros(n, np.int64) if group is None else group)[known]
    shares = {0: 1.0} if share is None else dict(share)
    base = np.zeros(len(of))
    for g, s in shares.items():
        if not (of == g).any():
            raise UnattainableError("nobody has all the variables that are to be resembled; leave one out")
        base[of == g] = s / (of == g).sum()
    wanted = [b for v, (mean, sd) in targets.items() for b in _balanced(v, columns[v][known], mean, sd)]
    rows = [b.x / b.scale for b in wanted] + [(of == g) - s for g, s in list(shares.items())[1:]]
    out = np.zeros(n)
    out[known] = _balance(np.array(rows).reshape(len(rows), len(of)), np.log(base), wanted)
    return out


def _balanced(name: str, x: NDArray[Any], mean: float, sd: float | None) -> list[_Balanced]:
    """The mean, and the mean squared distance from it, each less its target."""
    x = np.asarray(x, float)
    low, high = float(x.min()), float(x.max())
    if not low <= mean <= high:
        raise UnattainableError(
            f"{name}: the mean {mean:g} lies outside what recruits have, {low:g} to {high:g}; mend it, or let such "
            "people in by eligibility"
        )
    out = [_Balanced(name, "mean", mean, x - mean, float(x.std()) or 1.0)]
    if sd is not None:
        below, above = float(x[x <= mean].max()), float(x[x >= mean].min())
        least = float(np.sqrt((mean - below) * (above - mean)))  # all at the two values around the mean
        most = float(np.sqrt((mean - low) * (high - mean)))  # all at the ends
        if not least <= sd <= most:
            raise UnattainableError(
                f"{name}: the SD {sd:g} lies outside what recruits with the mean {mean:g} can have, {least:.3g} to "
                f"{most:.3g}; mend it, or let such people in by eligibility"
            )
        square = (x - mean) ** 2 - sd**2
        out.append(_Balanced(name, "SD", sd, square, float(square.std()) or 1.0))
    return out


def _balance(rows: Floats, log_base: Floats, wanted: list[_Balanced]) -> Floats:
    """Weights closest to ``exp(log_base)`` under which every row has mean 0."""
    if not len(rows):
        return np.asarray(np.exp(log_base))

    def weights(at: Floats) -> Floats:
        return np.asarray(special.softmax(log_base + at @ rows))

    def dual(at: Floats) -> tuple[float, Floats]:
        return float(special.logsumexp(log_base + at @ rows)), rows @ weights(at)

    def curvature(at: Floats) -> Floats:
        w = weights(at)
        mean = rows @ w
        return np.asarray((rows * w) @ rows.T - np.outer(mean, mean))

    found = optimize.minimize(
        dual, np.zeros(len(rows)), jac=True, hess=curvature, method="trust-exact",
        options={"gtol": TOLERANCE / 100, "maxiter": 500},
    )  # fmt: skip
    w = weights(found.x)
    if np.abs(rows @ w).max() > TOLERANCE:
        raise UnattainableError(_what_is_wrong(rows, wanted))
    return w


def _what_is_wrong(rows: Floats, wanted: list[_Balanced]) -> str:
    """Which moment lies outside what people with the other moments can have."""
    for k, b in enumerate(wanted):
        rest = np.vstack([np.delete(rows, k, axis=0), np.ones(rows.shape[1])])
        held = np.r_[np.zeros(len(rest) - 1), 1.0]
        ends = [optimize.linprog(sign * b.x, A_eq=rest, b_eq=held, method="highs") for sign in (1, -1)]
        if not all(e.success for e in ends):
            continue
        least, most = float(ends[0].fun or 0.0), -float(ends[1].fun or 0.0)
        if not least < 0 < most:
            low, high = b.told(least), b.told(most)
            return (
                f"{b.variable}: the {b.moment} {b.told(0.0):g} lies outside what recruits with the other moments can "
                f"have, {low:.3g} to {high:.3g}; mend it, or let such people in by eligibility"
            )
    names = ", ".join(dict.fromkeys(b.variable for b in wanted))
    return f"{names}: recruits cannot have these moments together; leave one out, or let such people in by eligibility"
