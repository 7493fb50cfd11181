"""How large the effects of the trial are: their standard deviations, from how far cohorts lie from the emulator.

The linear mixed model is ``y - mean(z0) = G (z - z0) + H (sd * n) + e``: parameters ``z``, one standard normal draw
``n`` of each effect a cohort, shared by all its data, and sampling noise ``e``. Parameters and effects are integrated
out; what is left is a likelihood of the SDs alone, sampled under lognormal priors.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from stemtrial.calibrate.emulator import Emulator
from stemtrial.calibrate.slice import elliptical_slice
from stemtrial.calibrate.smoother import Floats, array, by_label
from stemtrial.errors import InputError


@dataclass(frozen=True)
class EffectSds:
    """Posterior of the standard deviations of the effects of the trial.

    Attributes
    ----------
    draws : (draws, effects) array
        In random order.
    mode : (effects,) array
        Mode of the posterior density of the logarithms.
    r_hat, effective : (effects,) arrays
        Convergence of the chains: split R-hat, effective number of draws.
    prior_share : (effects,) array
        Variance of log SD in the posterior over that of the prior: near 1, the record does not tell.
    """

    draws: Floats
    mode: Floats
    r_hat: Floats
    effective: Floats
    prior_share: Floats


class MarginalLikelihood:
    """Log-likelihood of the SDs with parameters and effects integrated out.

    Systems are of the size of the effects of a cohort and of the parameters (Woodbury), so that thousands of
    evaluations take seconds.

    Parameters
    ----------
    residual : (data,) array
        Published less the emulator's mean at the prior mean of z.
    G : (data, parameters) array
        Sensitivity to z, times the Cholesky factor of its prior covariance.
    H : (data, effects) array
        Loadings of the effects.
    S : (data, data) array
        Sampling noise, block diagonal by cohort.
    groups : sequence of data labels
        The cohort of each datum.
    """

    def __init__(self, residual: Floats, G: Floats, H: Floats, S: Floats, groups: Sequence[Hashable]) -> None:
        cohorts = [np.asarray(k) for k in by_label(groups).values()]
        p, q = G.shape[1], H.shape[1]
        n = len(cohorts)
        self._A, self._E, self._h = np.empty((n, q, q)), np.empty((n, q, p)), np.empty((n, q))
        self._F, self._f, self._c = np.eye(p), np.zeros(p), 0.0
        for k, own in enumerate(cohorts):
            block = S[np.ix_(own, own)]
            joined = np.linalg.solve(block, np.column_stack([H[own], G[own], residual[own]]))
            SH, SG, Sr = joined[:, :q], joined[:, q : q + p], joined[:, -1]
            self._A[k] = np.einsum("ta,tb->ab", H[own], SH)
            self._E[k] = np.einsum("ta,tp->ap", H[own], SG)
            self._h[k] = np.einsum("ta,t->a", H[own], Sr)
            self._F = self._F + np.einsum("tp,ts->ps", G[own], SG)
            self._f = self._f + np.einsum("tp,t->p", G[own], Sr)
            self._c += float(residual[own] @ Sr) + float(np.linalg.slogdet(block)[1])

    def __call__(self, sds: ArrayLike) -> Floats:
        """Return the log-likelihood (up to a constant) of SDs (rows, effects)."""
        s = np.asarray(sds, np.float64)[:, None, :]
        q = s.shape[2]
        M = np.eye(q) + s[..., :, None] * self._A * s[..., None, :]
        right = np.concatenate([self._E, self._h[:, :, None]], axis=2)
        solved = np.linalg.solve(M, s[..., None] * right)
        left = s[..., None] * right
        drop = np.einsum("ncap,ncar->npr", left, solved)
        F, f = self._F - drop[:, :-1, :-1], self._f - drop[:, :-1, -1]
        c = self._c - drop[:, -1, -1] + np.linalg.slogdet(M)[1].sum(axis=1)
        x = np.linalg.solve(F, f[..., None])[..., 0]
        quadratic = c - np.einsum("np,np->n", f, x) + np.linalg.slogdet(F)[1]
        return np.asarray(-0.5 * quadratic)


def estimate_sds(
    emulator: Emulator,
    y: ArrayLike,
    S: ArrayLike | None,
    groups: Sequence[Hashable],
    prior: tuple[ArrayLike, ArrayLike],
    rng: np.random.Generator,
    *,
    at: ArrayLike | None = None,
    z: ArrayLike | None = None,
    draws: int = 1000,
    chains: int = 8,
) -> EffectSds:
    """Estimate the SDs of the effects of the trial from the published data.

    Parameters
    ----------
    emulator : Emulator
        Fitted with effects.
    y : (data,) array
        Published values.
    S : (data, data) array or None
        Sampling noise without effects, block diagonal by cohort; None: ``emulator.total_noise(lack=True)``, which
        adds what the emulator misses, so that lack of fit is not taken for effects of the trial.
    groups : sequence of data labels
        The cohort of each datum. A cohort has one draw of each effect.
    prior : pair of (effects,) arrays
        Medians of the SDs and SDs of their logarithms (lognormal priors).
    rng : numpy.random.Generator
        For the chains.
    at : (parameters,) array, optional
        Where the emulator is made linear; its centre when left out.
    z : (members, parameters) array, optional
        An ensemble whose mean and covariance stand for what is known of z *without* ``y``; the prior N(0, I) when
        left out. The posterior given ``y`` must not be given: the data would be used twice and the SDs come out small.
    draws : int
        Draws to return.
    chains : int
        Chains of the sampler.

    Returns
    -------
    EffectSds

    Raises
    ------
    InputError
        For an emulator without effects, or shapes or priors that cannot be.
    """
    t, q = emulator.effect.shape
    if q == 0:
        raise InputError("the emulator was fitted without effects; give them to `Emulator.fit` as u")
    y = array("y", y, (t,))
    noise = emulator.total_noise(lack=True) if S is None else array("S", S, (t, t))
    if len(groups) != t:
        raise InputError(f"groups names {len(groups)} data, the emulator has {t}")
    median, log_sd = array("prior medians", prior[0], (q,)), array("prior SDs of logs", prior[1], (q,))
    if (median <= 0).any() or (log_sd <= 0).any():
        raise InputError("a lognormal prior needs a median above 0 and an SD of the logarithm above 0")
    p = len(emulator.centre)
    point = emulator.centre if at is None else array("at", at, (p,))
    G = emulator.sensitivity(point)
    known = np.zeros(p) if z is None else array("z", z, (None, p)).mean(axis=0)
    # Linear about `point`, carried to the prior mean, where the deviation of z starts.
    residual = y - emulator.mean(point[None])[0] - np.einsum("tp,p->t", G, known - point)
    if z is not None:
        c = np.asarray(z, np.float64) - known
        G = np.einsum("tp,pq->tq", G, np.linalg.cholesky(np.einsum("jp,jq->pq", c, c) / (len(c) - 1)))
    marginal = MarginalLikelihood(residual, G, emulator.effect, noise, groups)

    def log_density(x: Floats) -> Floats:
        return np.asarray(marginal(median * np.exp(log_sd * x)) - 0.5 * (x**2).sum(axis=1))

    mode, root = _normal_at_mode(log_density, q)

    def against(w: Floats) -> Floats:
        return np.asarray(log_density(mode + np.einsum("nk,qk->nq", w, root)) + 0.5 * (w**2).sum(axis=1))

    # The sampler's normal is the one at the mode, a little wider, not the prior: any normal gives the same target, and
    # under the prior nine effects mixed too slowly (R-hat 1.4, now 1.02).
    each = max(4, -(-draws // chains))
    run = elliptical_slice(against, 0.5 * rng.standard_normal((chains, q)), each, rng, warm_up=max(25, each // 4))
    values = mode + np.einsum("cnk,qk->cnq", run.values, root)
    run = replace(run, values=values)
    kept = run.thinned(draws, rng)
    return EffectSds(
        np.asarray(median * np.exp(log_sd * kept)),
        np.asarray(median * np.exp(log_sd * mode)),
        run.r_hat,
        run.effective,
        np.asarray(run.values.reshape(-1, q).var(axis=0)),
    )


def _normal_at_mode(log_density: Callable[[Floats], Floats], q: int) -> tuple[Floats, Floats]:
    """Return the mode, and a root of 1.5 times the inverse curvature there, capped at the prior's unit variance."""

    def below(x: Floats) -> float:
        return -float(log_density(x[None])[0])

    mode = np.asarray(optimize.minimize(below, np.zeros(q), method="L-BFGS-B").x, np.float64)
    step = 1e-3 * np.eye(q)
    pairs = [(i, j) for i in range(q) for j in range(q)]
    at = np.stack([mode + a * step[i] + b * step[j] for i, j in pairs for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1))])
    value = -log_density(at).reshape(q, q, 4)
    curvature = (value[..., 0] - value[..., 1] - value[..., 2] + value[..., 3]) / 4e-6
    values, vectors = np.linalg.eigh((curvature + curvature.T) / 2.0)
    return mode, np.asarray(vectors * np.sqrt(1.5 / np.maximum(values, 1.0)))
