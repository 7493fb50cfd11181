"""Elliptical slice sampling for parameters with a normal prior, and what tells whether chains have converged.

Murray, Adams and MacKay 2010 (https://proceedings.mlr.press/v9/murray10a.html): no step size to tune, every update is
accepted. Chains run side by side, so that the log-likelihood is called with a row for each of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stemtrial.calibrate.smoother import Floats, array
from stemtrial.errors import InputError

MOST_SHRINKS = 200
"""A bracket halves on average: this many shrinks without a point is a likelihood that contradicts itself."""


@dataclass(frozen=True)
class Chains:
    """Draws of several chains.

    Attributes
    ----------
    values : (chains, draws, parameters) array
        Draws after the warm-up.
    log_likelihood : (chains, draws) array
        At each draw.
    evaluations : int
        Rows for which the log-likelihood was evaluated, warm-up included.
    """

    values: Floats
    log_likelihood: Floats
    evaluations: int

    @property
    def r_hat(self) -> Floats:
        """Split R-hat of every parameter, (parameters,)."""
        return np.asarray([split_r_hat(self.values[:, :, k]) for k in range(self.values.shape[2])])

    @property
    def effective(self) -> Floats:
        """Effective number of draws of every parameter, (parameters,)."""
        return np.asarray([effective_size(self.values[:, :, k]) for k in range(self.values.shape[2])])

    def thinned(self, n: int, rng: np.random.Generator) -> Floats:
        """Return ``n`` draws (n, parameters) in random order, without replacement as far as they reach."""
        flat = self.values.reshape(-1, self.values.shape[2])
        return np.asarray(flat[rng.choice(len(flat), n, replace=n > len(flat))])


def elliptical_slice(
    log_likelihood: Callable[[Floats], Floats],
    start: ArrayLike,
    draws: int,
    rng: np.random.Generator,
    *,
    warm_up: int | None = None,
) -> Chains:
    """Sample from ``N(0, I)`` times a likelihood.

    Another normal prior is had by a linear map inside ``log_likelihood``.

    Parameters
    ----------
    log_likelihood : callable
        Takes (rows, parameters), returns (rows,); -inf where a point is impossible, never NaN.
    start : (chains, parameters) array
        Where the chains begin; draws of the prior or of an ensemble, with a finite log-likelihood.
    draws : int
        Draws kept of each chain.
    rng : numpy.random.Generator
        All randomness.
    warm_up : int, optional
        Draws thrown away before; half of ``draws`` when left out.

    Returns
    -------
    Chains

    Raises
    ------
    InputError
        If a chain starts where the likelihood is 0, or the likelihood is NaN.
    """
    z: Floats = array("start", start, (None, None)).copy()
    chains, p = z.shape
    warm = draws // 2 if warm_up is None else warm_up
    if draws < 1 or warm < 0:
        raise InputError(f"draws must be 1 or more and warm_up 0 or more, not {draws} and {warm}")

    def level(x: Floats) -> Floats:
        out = np.asarray(log_likelihood(x), np.float64)
        if out.shape != (len(x),) or np.isnan(out).any():
            raise InputError("log_likelihood must return one number a row, and -inf instead of NaN")
        return out

    now = level(z)
    if np.isinf(now).any():
        raise InputError("a chain starts where the likelihood is 0; start from points that can be")
    values, kept, evaluations = np.empty((chains, draws, p)), np.empty((chains, draws)), chains
    for step in range(warm + draws):
        other = rng.standard_normal((chains, p))
        threshold = now - rng.exponential(size=chains)
        angle: Floats = rng.random((chains,)) * (2.0 * np.pi)
        low: Floats = angle - 2.0 * np.pi
        high: Floats = angle.copy()
        moved, reached = np.array(z), np.array(now)
        active: NDArray[np.intp] = np.arange(chains)
        for _ in range(MOST_SHRINKS):
            a = angle[active, None]
            trial = z[active] * np.cos(a) + other[active] * np.sin(a)
            new = level(trial)
            evaluations += len(active)
            good = new > threshold[active]
            moved[active[good]], reached[active[good]] = trial[good], new[good]
            active = active[~good]
            if not active.size:
                break
            below = angle[active] < 0
            low[active] = np.where(below, angle[active], low[active])
            high[active] = np.where(below, high[active], angle[active])
            angle[active] = low[active] + (high[active] - low[active]) * rng.random(len(active))
        else:
            raise InputError("the bracket closed without a point: log_likelihood must give the same value twice")
        z, now = moved, reached
        if step >= warm:
            values[:, step - warm], kept[:, step - warm] = z, now
    return Chains(values, kept, evaluations)


def split_r_hat(x: ArrayLike) -> float:
    """Return R-hat of chains cut in half (Gelman et al. 2013, Bayesian Data Analysis, 11.4).

    Parameters
    ----------
    x : (chains, draws) array
        Draws of one parameter; four or more a chain.

    Returns
    -------
    float
        Near 1 where chains agree; above 1.01 they have not mixed. 1 for a constant, infinite for chains that stand
        still at different values.
    """
    halves = _split(x)
    n = halves.shape[1]
    within = float(halves.var(axis=1, ddof=1).mean())
    between = float(halves.mean(axis=1).var(ddof=1))
    if within == 0.0:
        return 1.0 if between == 0.0 else float("inf")
    return float(np.sqrt((n - 1) / n + between / within))


def effective_size(x: ArrayLike) -> float:
    """Return the effective number of draws by Geyer's initial monotone sequence over split chains.

    Parameters
    ----------
    x : (chains, draws) array
        Draws of one parameter; four or more a chain.

    Returns
    -------
    float
        At most the number of draws times the log10 of it, as in Vehtari et al. 2021 (doi:10.1214/20-BA1221).
    """
    halves = _split(x)
    m, n = halves.shape
    c = halves - halves.mean(axis=1, keepdims=True)
    f = np.fft.rfft(c, 2 * n, axis=1)
    autocovariance = np.fft.irfft(f * np.conj(f), axis=1)[:, :n].mean(axis=0) / n
    within = autocovariance[0] * n / (n - 1)
    pooled = within * (n - 1) / n + float(halves.mean(axis=1).var(ddof=1))
    if pooled <= 0:
        return float(m * n)
    rho = 1.0 - (within - autocovariance) / pooled
    rho[0] = 1.0
    pairs = rho[: n - n % 2].reshape(-1, 2).sum(axis=1)
    end = int(np.argmax(pairs <= 0)) if (pairs <= 0).any() else len(pairs)
    tau = -1.0 + 2.0 * float(np.minimum.accumulate(pairs[:end]).sum()) if end else 1.0
    return float(m * n / max(tau, 1.0 / np.log10(m * n)))


def _split(x: ArrayLike) -> Floats:
    """Return the halves of every chain as rows."""
    a = array("x", x, (None, None))
    half = a.shape[1] // 2
    if half < 2:
        raise InputError(f"chains of {a.shape[1]} draws are too short to judge; give four or more")
    return np.concatenate([a[:, :half], a[:, a.shape[1] - half :]])
