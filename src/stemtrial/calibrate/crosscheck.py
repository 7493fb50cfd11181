"""A second method for one block: the posterior by a Markov chain through the emulator, against that of the smoother.

Two chains, since method and likelihood may both be at fault:

``same likelihood``
    normal noise with the covariance that the smoother used (simulated sampling, effects of the trial), and what the
    emulator misses. Only the method differs; means should agree within half a standard deviation and standard
    deviations within a quarter (an ensemble of 400 knows its mean to 0.05 and its spread to 4 %). More says that the
    smoother's steps, or the emulator's, are not linear enough.
``exact likelihood``
    every published number by :func:`.likelihood.log_likelihood` at what the emulator expects, the effects of every
    trial drawn along. It reads counts as counts and the standard errors that were published, where the smoother reads
    the sampling of simulated trials; it takes the numbers of a trial for independent given parameters and effects,
    where the smoother knows that simulated numbers of the same patients go together. It should come out a little
    narrower, and shifted where small counts or strongly related numbers weigh much.

There a registry of more patients than the fit simulates counts as many as those: its likelihood is raised to the share.
The emulator is that of the last ensemble; the chains cannot show what it gets wrong far from there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from stemtrial.calibrate.datum import Datum, Floats
from stemtrial.calibrate.fit import Fitted
from stemtrial.calibrate.forward import REGISTRY_PEOPLE
from stemtrial.calibrate.likelihood import log_likelihood
from stemtrial.calibrate.loco import Forecast, forecast, noise_with_lack
from stemtrial.calibrate.slice import Chains, elliptical_slice
from stemtrial.errors import InputError, did_you_mean

SHIFT, LEAST_RATIO, MOST_RATIO = 0.5, 0.8, 1.25
"""Agreement: difference of means in standard deviations, ratio of standard deviations. An interval of 90 % that is off
by so much covers 86 %, one that is so much too narrow 81 %."""
R_HAT = 1.05
"""A chain above this has not converged: no verdict."""
WIDER = 1.1
"""Variance of the sampler's normal over the one at the mode. A chain in 200 dimensions mixes best near 1."""
STEPS = 50


@dataclass(frozen=True)
class Compared:
    """One parameter by a chain and by the smoother, on the normal scale of its prior.

    Attributes
    ----------
    parameter : str
        Its name.
    mean, sd : float
        By the smoother.
    difference : float
        Mean by the chain less that by the smoother, in standard deviations of the smoother.
    ratio : float
        Standard deviation by the chain over that by the smoother.
    r_hat, effective : float
        Of the chain: split R-hat, effective number of draws.
    """

    parameter: str
    mean: float
    sd: float
    difference: float
    ratio: float
    r_hat: float
    effective: float

    @property
    def converged(self) -> bool:
        """Whether the chain may be compared with anything."""
        return self.r_hat <= R_HAT

    @property
    def agrees(self) -> bool:
        """Whether the two methods say the same, within the limits of this module."""
        return self.converged and abs(self.difference) <= SHIFT and LEAST_RATIO <= self.ratio <= MOST_RATIO


@dataclass(frozen=True)
class CrossCheck:
    """The smoother against two chains.

    Attributes
    ----------
    same_likelihood, exact : list of Compared
        One a parameter.
    predictive : dict of str to list of Forecast
        Every published number against each posterior (``smoother``, ``same likelihood``, ``exact likelihood``): these
        have seen it, so that intervals cover more than they claim.
    """

    same_likelihood: list[Compared]
    exact: list[Compared]
    predictive: dict[str, list[Forecast]]


@dataclass(frozen=True)
class _Target:
    """A posterior of ``dimensions`` standard normal numbers, the first of them the parameters.

    ``mean`` maps (rows, dimensions) to the expected data (rows, data), ``slope`` one point to its derivative (data,
    dimensions), ``level`` expected data to the log-likelihood (rows,), ``bend`` one set of expected data to the
    gradient (data,) of that and the negative of its curvature (data, data).
    """

    dimensions: int
    mean: Callable[[Floats], Floats]
    slope: Callable[[Floats], Floats]
    level: Callable[[Floats], Floats]
    bend: Callable[[Floats], tuple[Floats, Floats]]


def weights(data: Sequence[Datum]) -> Floats:
    """Return the power of each datum's likelihood: below 1 for registries larger than what the fit simulates."""
    return np.array([1.0 if d.protocol else min(1.0, REGISTRY_PEOPLE / d.n) for d in data])


def _same(fitted: Fitted) -> _Target:
    """Parameters alone; noise and effects are in the covariance."""
    e, y = fitted.emulator, fitted.published
    inverse: Floats = np.asarray(np.linalg.inv(noise_with_lack(fitted)), np.float64)

    def level(eta: Floats) -> Floats:
        return np.asarray(-0.5 * np.einsum("nt,ts,ns->n", y - eta, inverse, y - eta, optimize=True))

    return _Target(
        fitted.z.shape[1], e.mean, e.sensitivity, level,
        lambda eta: (np.asarray(np.einsum("ts,s->t", inverse, y - eta)), inverse),
    )  # fmt: skip


def loadings(fitted: Fitted) -> Floats:
    """Return what one standard normal unit of every effect of every trial, and of what the emulator misses, adds.

    Returns
    -------
    (data, effects of trials + data) array
        Effects that move no datum of their trial are left out.
    """
    e = fitted.emulator
    columns = []
    for group in dict.fromkeys(fitted.groups):
        own = np.array([g == group for g in fitted.groups])
        loaded = own[:, None] * e.effect * fitted.sds.mode
        columns.append(loaded[:, np.abs(loaded).max(axis=0) > 0])
    return np.concatenate([*columns, np.diag(np.sqrt(e.lack))], axis=1)


def _exact(fitted: Fitted) -> _Target:
    """Parameters, effects of every trial, and what the emulator misses."""
    e, K, p = fitted.emulator, loadings(fitted), fitted.z.shape[1]
    power, step = weights(fitted.data), 0.01 * np.sqrt(np.diag(e.noise))

    def each(eta: Floats) -> Floats:
        found = [log_likelihood(d, eta[:, k], scaled=True) for k, d in enumerate(fitted.data)]
        return np.asarray(power * np.stack(found, axis=1))

    def bend(eta: Floats) -> tuple[Floats, Floats]:
        below, at, above = each(np.stack([eta - step, eta, eta + step]))
        return (above - below) / (2 * step), np.diag(np.maximum(2 * at - above - below, 0.0) / step**2)

    return _Target(
        p + K.shape[1],
        lambda x: e.mean(x[:, :p]) + np.einsum("nk,tk->nt", x[:, p:], K),
        lambda x: np.concatenate([e.sensitivity(x[:p]), K], axis=1),
        lambda eta: np.asarray(each(eta).sum(axis=1)),
        bend,
    )


def _log_density(target: _Target, x: Floats) -> Floats:
    return np.asarray(target.level(target.mean(x)) - 0.5 * (x**2).sum(axis=1))


def _mode(target: _Target, start: Floats) -> tuple[Floats, Floats]:
    """Climb to the mode by damped Gauss-Newton steps; return it and a root of the inverse curvature there."""
    x, now = start, float(_log_density(target, start[None])[0])
    for _ in range(STEPS):
        J = target.slope(x)
        gradient, W = target.bend(target.mean(x[None])[0])
        curvature = np.eye(len(x)) + J.T @ W @ J
        move = np.linalg.solve(curvature, J.T @ gradient - x)
        sizes = 0.5 ** np.arange(12)
        levels = _log_density(target, x + sizes[:, None] * move)
        best = int(np.argmax(levels))
        gain = float(levels[best]) - now
        if not gain > 1e-6:
            break
        x, now = x + sizes[best] * move, float(levels[best])
    # The last x is where curvature was taken, up to a step that gained nothing.
    return x, np.asarray(np.linalg.cholesky(np.linalg.inv(curvature)))


def _sample(target: _Target, start: Floats, draws: int, chains: int, rng: np.random.Generator) -> Chains:
    """Run the sampler around the normal at the mode: any normal gives the same target, this one mixes."""
    mode, root = _mode(target, start)
    root = root * np.sqrt(WIDER)

    def against(w: Floats) -> Floats:
        return np.asarray(_log_density(target, mode + w @ root.T) + 0.5 * (w**2).sum(axis=1))

    run = elliptical_slice(against, rng.standard_normal((chains, len(mode))), draws, rng)
    return Chains(mode + run.values @ root.T, run.log_likelihood, run.evaluations)


_TARGETS: dict[str, Callable[[Fitted], _Target]] = {"same likelihood": _same, "exact likelihood": _exact}


def chain(fitted: Fitted, likelihood: str, rng: np.random.Generator, *, draws: int = 500, chains: int = 8) -> Chains:
    """Sample the parameters of a block by Markov chains.

    Parameters
    ----------
    fitted : Fitted
        A block after its fit.
    likelihood : {"same likelihood", "exact likelihood"}
        As this module tells.
    rng : numpy.random.Generator
        All randomness.
    draws, chains : int
        Draws kept of each chain, after half as many; chains, two or more.

    Returns
    -------
    Chains
        Of the block's parameters, on the normal scale of their priors.

    Raises
    ------
    InputError
        If there are too few chains, the likelihood is unknown, or a datum has neither a count nor a standard error.
    """
    if chains < 2:
        raise InputError(f"{chains} chain cannot tell whether it has converged; give 2 or more")
    if likelihood not in _TARGETS:
        raise InputError(f"likelihood '{likelihood}' is not known{did_you_mean(likelihood, _TARGETS)}")
    target, centre = _TARGETS[likelihood](fitted), fitted.z.mean(axis=0)
    start = np.concatenate([centre, np.zeros(target.dimensions - len(centre))])
    run = _sample(target, start, draws, chains, rng)
    return Chains(run.values[:, :, : len(centre)], run.log_likelihood, run.evaluations)


def compared(fitted: Fitted, run: Chains) -> list[Compared]:
    """Compare a chain with the ensemble of the smoother, parameter by parameter."""
    mean, sd = fitted.z.mean(axis=0), fitted.z.std(axis=0, ddof=1)
    r_hat, effective = run.r_hat, run.effective
    out = []
    for k, name in enumerate(fitted.block.names):
        x = run.values[:, :, k]
        difference, ratio = (x.mean() - mean[k]) / sd[k], x.std(ddof=1) / sd[k]
        row = [float(v) for v in (mean[k], sd[k], difference, ratio, r_hat[k], effective[k])]
        out.append(Compared(name, *row))
    return out


def cross_check(fitted: Fitted, seed: int = 1, *, draws: int = 500, chains: int = 8) -> CrossCheck:
    """Sample the posterior of a block by Markov chains and compare it with the ensemble of the smoother.

    Parameters
    ----------
    fitted : Fitted
        A block after its fit.
    seed : int
        Of the chains and of the noise of predictions.
    draws, chains : int
        As of :func:`chain`.

    Raises
    ------
    InputError
        As :func:`chain`.
    """
    rng = np.random.default_rng([seed])
    runs = {name: chain(fitted, name, rng, draws=draws, chains=chains) for name in _TARGETS}
    posteriors = {"smoother": fitted.z} | {k: run.thinned(min(1000, draws * chains), rng) for k, run in runs.items()}
    noise, predictive = noise_with_lack(fitted), {}
    for name, z in posteriors.items():
        x = fitted.emulator.simulate(z, noise, rng)
        predictive[name] = [forecast(d, x[:, k]) for k, d in enumerate(fitted.data)]
    same, exact = (compared(fitted, run) for run in runs.values())
    return CrossCheck(same, exact, predictive)
