"""Simulation-based calibration: do posteriors of synthetic truths cover them as often as they say?

Truths are drawn from the prior, data simulated at them, and the posterior made from these data by the method under
test. If the method is right the rank of a truth among posterior draws is uniform (Talts et al. 2018,
https://arxiv.org/abs/1804.06788; Cook, Gelman and Rubin 2006, doi:10.1198/106186006X136976).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from stemtrial.calibrate.smoother import Floats, array
from stemtrial.errors import InputError

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Coverage:
    """How often a central interval holds the truth.

    Attributes
    ----------
    level : float
        What the interval claims.
    share : (parameters,) array
        Share of truths inside.
    low, high : (parameters,) arrays
        95 % Clopper-Pearson interval of the share.
    pooled : float
        Mean share over parameters.
    pooled_low, pooled_high : float
        95 % t interval of it, the synthetic truth as the unit (parameters of one truth are not independent).
    """

    level: float
    share: Floats
    low: Floats
    high: Floats
    pooled: float
    pooled_low: float
    pooled_high: float


@dataclass(frozen=True)
class Calibration:
    """Ranks of synthetic truths among draws of their posteriors.

    Attributes
    ----------
    ranks : (truths, parameters) array of int
        Number of posterior draws below the truth, 0 to ``draws``.
    draws : int
        Posterior draws each rank was made among; nearly independent ones (thin a chain first).
    seed : int
        Of the uniform numbers that spread a rank over its interval.
    """

    ranks: Ints
    draws: int
    seed: int = 0

    @property
    def pit(self) -> Floats:
        """Randomised probability of each truth under its posterior, (truths, parameters); uniform if calibrated."""
        u = np.random.default_rng(self.seed).random(self.ranks.shape)
        return np.asarray((self.ranks + u) / (self.draws + 1))

    def uniformity(self, bins: int | None = None) -> Floats:
        """Return the p value of a chi-square test of uniform ranks, for every parameter.

        Parameters
        ----------
        bins : int, optional
            Equal bins; when left out, 20 or as many as leave five truths expected in each.
        """
        pit = self.pit
        n = bins or int(np.clip(len(pit) // 5, 2, 20))
        counts = [np.histogram(pit[:, k], bins=n, range=(0.0, 1.0))[0] for k in range(pit.shape[1])]
        return np.asarray([stats.chisquare(c).pvalue for c in counts], np.float64)

    def coverage(self, level: float) -> Coverage:
        """Return how often the central interval of this level holds the truth.

        Parameters
        ----------
        level : float
            Between 0 and 1, for instance 0.5 or 0.9.
        """
        if not 0.0 < level < 1.0:
            raise InputError(f"the level of an interval must lie between 0 and 1, not {level}; use 0.9 for 90 %")
        inside = np.abs(self.pit - 0.5) < level / 2.0
        n = len(inside)
        k = inside.sum(axis=0)
        low = np.where(k > 0, stats.beta.ppf(0.025, np.maximum(k, 1), n - k + 1), 0.0)
        high = np.where(k < n, stats.beta.ppf(0.975, k + 1, np.maximum(n - k, 1)), 1.0)
        each = inside.mean(axis=1)
        half = float(stats.t.ppf(0.975, n - 1) * each.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
        mean = float(each.mean())
        return Coverage(level, k / n, np.asarray(low), np.asarray(high), mean, mean - half, mean + half)

    def passes(self, alpha: float = 0.01) -> bool:
        """Return whether no departure from calibration is seen.

        Four tests share ``alpha``: uniform ranks and their mean for every parameter (Bonferroni), and the pooled
        coverage of 50 and 90 % intervals against what they claim, the truth as the unit.

        Parameters
        ----------
        alpha : float
            Chance that a calibrated method fails.
        """
        n, p = self.ranks.shape
        bias = np.abs(self.pit.mean(axis=0) - 0.5) * np.sqrt(12.0 * n)
        checks = [float(self.uniformity().min()) * p, 2.0 * float(stats.norm.sf(bias.max())) * p]
        for level in (0.5, 0.9):
            each = (np.abs(self.pit - 0.5) < level / 2.0).mean(axis=1)
            # With few parameters a share can be the same for all truths; its binomial spread is then the least.
            se = max(float(each.std(ddof=1)), np.sqrt(level * (1 - level) / (n * p))) / np.sqrt(n)
            checks.append(2.0 * float(stats.t.sf(abs(float(each.mean()) - level) / se, n - 1)))
        return bool(min(checks) >= alpha / 4.0)


def rank_of(truth: ArrayLike, draws: ArrayLike, rng: np.random.Generator) -> Ints:
    """Return the rank of each parameter's truth among posterior draws; ties are broken at random.

    Parameters
    ----------
    truth : (parameters,) array
        The synthetic truth.
    draws : (draws, parameters) array
        Posterior draws.
    rng : numpy.random.Generator
        For ties.
    """
    z = array("truth", truth, (None,))
    x = array("draws", draws, (None, len(z)))
    ties = (x == z).sum(axis=0)
    return np.asarray((x < z).sum(axis=0) + rng.integers(0, ties + 1), np.int64)


def calibrate(
    simulate: Callable[[Floats, np.random.Generator], Floats],
    posterior: Callable[[Floats, np.random.Generator], Floats],
    parameters: int,
    seeds: Sequence[np.random.SeedSequence],
    *,
    truth: Callable[[np.random.Generator], Floats] | None = None,
) -> Calibration:
    """Run simulation-based calibration.

    Each truth has its own seed and depends on no other, so that a long run may be cut into parts (`joined`).

    Parameters
    ----------
    simulate : callable
        Takes a truth (parameters,) and a generator, returns one set of data.
    posterior : callable
        Takes the data and a generator, returns draws (draws, parameters), always the same number.
    parameters : int
        Number of parameters.
    seeds : sequence of numpy.random.SeedSequence
        One a synthetic truth: ``np.random.SeedSequence(seed).spawn(200)``.
    truth : callable, optional
        Takes a generator, returns a truth from the prior; standard normal when left out.

    Returns
    -------
    Calibration
    """
    if not seeds:
        raise InputError("calibration needs one seed a synthetic truth; none was given")
    ranks, sizes = [], set()
    for seed in seeds:
        rng = np.random.default_rng(seed)
        z = rng.standard_normal(parameters) if truth is None else np.asarray(truth(rng), np.float64)
        draws = np.asarray(posterior(simulate(z, rng), rng), np.float64)
        sizes.add(len(draws))
        ranks.append(rank_of(z, draws, rng))
    if len(sizes) > 1:
        raise InputError(f"posterior returned different numbers of draws {sorted(sizes)}; return always the same")
    return Calibration(np.stack(ranks), sizes.pop())


def joined(parts: Sequence[Calibration]) -> Calibration:
    """Return the parts of one calibration as one.

    Parameters
    ----------
    parts : sequence of Calibration
        With the same number of draws.
    """
    if len({part.draws for part in parts}) != 1:
        raise InputError("parts of one calibration must have the same number of posterior draws")
    return Calibration(np.concatenate([part.ranks for part in parts]), parts[0].draws, parts[0].seed)
