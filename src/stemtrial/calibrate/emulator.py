"""A linear (here and there quadratic) emulator of simulated data in the parameters and in the effects of the trial.

For each datum: ``d = a + B (z - c) + Q (z - c)^2 + H u + e`` with parameters ``z``, the drawn effects ``u`` of its own
cohort and sampling noise ``e``. Coefficients are ridge regression with the penalty of generalised cross-validation
(Golub, Heath and Wahba 1979, doi:10.1080/00401706.1979.10489751); squares enter a datum only where they predict members
left out better. It is a stand-in to study the fit by (identifiability, calibration of intervals, what a cohort left out
would have changed, how large the effects are), never the model itself.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stemtrial.calibrate.smoother import Floats, array, between_replicates, by_label, noise_of, read_simulated
from stemtrial.errors import InputError

FOLDS = 5
PENALTIES = 10.0 ** np.arange(-6.0, 3.01, 0.5)
"""Ridge penalties tried, as shares of the number of rows (predictors are standardised)."""


def _ridge(X: Floats, Y: Floats) -> tuple[Floats, Floats]:
    """Return intercepts (data,) and slopes (columns, data) of a ridge regression, a penalty for each datum by GCV.

    Columns that do not vary get slope 0.
    """
    n = len(X)
    centre, sd = X.mean(axis=0), X.std(axis=0)
    on = sd > 1e-12
    slopes = np.zeros((X.shape[1], Y.shape[1]))
    if on.any():
        W = (X[:, on] - centre[on]) / sd[on]
        y = Y - Y.mean(axis=0)
        values, vectors = np.linalg.eigh(np.einsum("ni,nj->ij", W, W) / n)
        values = np.maximum(values, 0.0)
        scores = np.einsum("ik,it->kt", vectors, np.einsum("ni,nt->it", W, y) / n)
        total = (y**2).mean(axis=0)
        best = np.full(Y.shape[1], np.inf)
        chosen = np.zeros_like(scores)
        # Directions without variance carry no score and must not be divided by.
        live = values > 1e-12
        safe = np.where(live, values, 1.0)[:, None]
        squared = np.where(live[:, None], scores**2, 0.0)
        for penalty in PENALTIES:
            hat = np.where(live, values / (values + penalty), 0.0)
            freedom = 1.0 + hat.sum()
            explained = (squared / safe * (2.0 * hat[:, None] - hat[:, None] ** 2)).sum(axis=0)
            gcv = np.maximum(total - explained, 0.0) / max(1.0 - freedom / n, 1e-3) ** 2
            better = gcv < best
            best = np.where(better, gcv, best)
            chosen = np.where(better, scores * np.where(live, 1.0 / (values + penalty), 0.0)[:, None], chosen)
        slopes[on] = np.einsum("ik,kt->it", vectors, chosen) / sd[on][:, None]
    return np.asarray(Y.mean(axis=0) - np.einsum("i,it->t", centre, slopes)), slopes


@dataclass(frozen=True)
class Emulator:
    """The mean of every datum as a function of parameters and effects, and the noise left over.

    Attributes
    ----------
    groups : tuple of (data,) labels
        The cohort of each datum.
    centre : (parameters,) array
        Mean of the ensemble the emulator was fitted on.
    intercept : (data,) array
        Mean at ``centre`` without effects.
    linear : (data, parameters) array
        B.
    square : (data, parameters) array
        Q; rows of zeros where squares did not help.
    effect : (data, effects) array
        H: change of a datum for one unit of each effect of its cohort.
    noise : (data, data) array
        S: sampling noise of one replicate with the effects taken out; block diagonal by cohort, positive definite.
    lack : (data,) array
        Variance of the signal that the emulator misses, from members left out (0 or more).
    r2 : (data,) array
        Share of the signal's variance over the ensemble that the emulator gives to members left out: 1 is all,
        0 or below nothing; NaN where the signal itself cannot be told from 0.
    """

    groups: tuple[Hashable, ...]
    centre: Floats
    intercept: Floats
    linear: Floats
    square: Floats
    effect: Floats
    noise: Floats
    lack: Floats
    r2: Floats

    @classmethod
    def fit(
        cls,
        z: ArrayLike,
        u: Mapping[Hashable, ArrayLike] | None,
        d: ArrayLike,
        groups: Sequence[Hashable],
        mask: ArrayLike | None = None,
        *,
        margin: float = 0.01,
        least_variance: ArrayLike = 0.0,
    ) -> Emulator:
        """Fit the emulator to an ensemble.

        Parameters
        ----------
        z : (members, parameters) array
            Members in random order: every fifth is left out in turn where predictions are judged.
        u : mapping of cohort to (members, replicates, effects) arrays, or None
            Effects drawn by each replicate of each cohort, in their own units, the same effects in the same order for
            all; 0 throughout where a cohort has none of one. None: no effects.
        d : (members, replicates, data) array
            Simulated data on their scales; NaN where not estimable (such replicates are left out, datum by datum).
        groups : sequence of data labels
            The cohort of each datum.
        mask : (parameters, data) array, optional
            0 where a parameter has no path to a datum.
        margin : float
            Squares enter where they lower the squared error on members left out by at least this share.
        least_variance : float or (data,) array
            See `noise_of`.

        Returns
        -------
        Emulator

        Raises
        ------
        InputError
            For shapes that do not fit, a cohort without effects where others have them, data mostly not estimable.
        """
        z = array("z", z, (None, None))
        J, p = z.shape
        x = read_simulated(d, members=J, data=len(groups))
        r, t = x.shape[1:]
        paths = np.ones((p, t), np.bool_) if mask is None else array("mask", mask, (p, t)) > 0
        effects = _effects(u, groups, J, r)
        q = next(iter(effects.values())).shape[2] if effects else 0
        centre = z.mean(axis=0)
        rows = np.repeat(z - centre, r, axis=0)
        member = np.repeat(np.arange(J), r)
        linear, square, effect = np.zeros((t, p)), np.zeros((t, p)), np.zeros((t, q))
        intercept, left_out = np.zeros(t), np.full((J, r, t), np.nan)
        for group, data in _alike(x, paths, groups).items():
            label, on, seen = group[0], np.flatnonzero(paths[:, data[0]]), np.isfinite(x[:, :, data[0]]).ravel()
            own = effects[label].reshape(J * r, q) if q else np.zeros((J * r, 0))
            Y = x[:, :, data].reshape(J * r, len(data))[seen]
            X = np.concatenate([own, rows[:, on]], axis=1)[seen]
            X2 = np.concatenate([X, X[:, q:] ** 2], axis=1)
            off = [_residuals(W, Y, member[seen]) for W in (X, X2)]
            errors = [(o**2).mean(axis=0) for o in off]
            curved = errors[1] < (1.0 - margin) * errors[0]
            for which, W in ((~curved, X), (curved, X2)):
                if not which.any():
                    continue
                k = np.asarray(data)[which]
                a, b = _ridge(W, Y[:, which])
                intercept[k], effect[k] = a, b[:q].T
                linear[np.ix_(k, on)] = b[q : q + on.size].T
                if W is X2:
                    square[np.ix_(k, on)] = b[q + on.size :].T
                flat = np.full((J * r, k.size), np.nan)
                flat[seen] = off[int(W is X2)][:, which]
                left_out[:, :, k] = flat.reshape(J, r, k.size)
        without = x.copy()
        if q:
            for label, data in by_label(groups).items():
                without[:, :, data] -= np.einsum("jrq,tq->jrt", effects[label], effect[data])
        signal, lack = _between(without), np.maximum(_between(left_out), 0.0)
        error = np.sqrt(np.maximum(np.nanvar(without, axis=(0, 1)), 1e-300) ** 2 / J)
        r2 = np.where(signal > 2.0 * error, 1.0 - lack / np.where(signal > 0, signal, 1.0), np.nan)
        noise = noise_of(without, groups, least_variance=least_variance)
        return cls(tuple(groups), centre, intercept, linear, square, effect, noise, lack, np.asarray(r2))

    def mean(self, z: ArrayLike, u: Mapping[Hashable, ArrayLike] | None = None) -> Floats:
        """Return the mean of every datum.

        Parameters
        ----------
        z : (rows, parameters) array
            Standard normal scale.
        u : mapping of cohort to (rows, effects) arrays, optional
            Effects; none where left out.

        Returns
        -------
        (rows, data) array
        """
        x = array("z", z, (None, len(self.centre))) - self.centre
        out = self.intercept + np.einsum("np,tp->nt", x, self.linear) + np.einsum("np,tp->nt", x**2, self.square)
        if u is not None:
            for label, data in by_label(self.groups).items():
                if label in u:
                    own = array(f"u[{label!r}]", u[label], (len(x), self.effect.shape[1]))
                    out[:, data] += np.einsum("nq,tq->nt", own, self.effect[data])
        return np.asarray(out)

    def sensitivity(self, at: ArrayLike | None = None) -> Floats:
        """Return the derivative of every datum by every parameter, (data, parameters).

        Parameters
        ----------
        at : (parameters,) array, optional
            The point; the mean of the ensemble fitted on when left out.
        """
        point = self.centre if at is None else array("at", at, self.centre.shape)
        return np.asarray(self.linear + 2.0 * self.square * (point - self.centre))

    def total_noise(self, sds: ArrayLike | None = None, *, lack: bool = False) -> Floats:
        """Return the covariance of one replicate at a given z: sampling noise, and effects of given SDs.

        Parameters
        ----------
        sds : (effects,) array, optional
            Standard deviations of the effects, in the units in which they were drawn; none where left out.
        lack : bool
            Whether what the emulator misses is added, as if independent between data.
        """
        out = self.noise.copy()
        if sds is not None:
            loaded = self.effect * array("sds", sds, (self.effect.shape[1],))
            out += np.einsum("tq,sq->ts", loaded, loaded) * _same(self.groups)
        if lack:
            out += np.diag(self.lack)
        return np.asarray(out)

    def simulate(self, z: ArrayLike, noise: ArrayLike, rng: np.random.Generator) -> Floats:
        """Return one set of data a row of ``z``: the mean with a draw of ``noise`` (data, data)."""
        mean = self.mean(z)
        L = np.linalg.cholesky(array("noise", noise, (len(self.groups), len(self.groups))))
        return np.asarray(mean + np.einsum("ns,ts->nt", rng.standard_normal(mean.shape), L))


def _same(groups: Sequence[Hashable]) -> Floats:
    """Return 1 where two data are of one cohort, else 0."""
    index = {label: k for k, label in enumerate(by_label(groups))}
    code = np.asarray([index[g] for g in groups])
    return np.asarray(code[:, None] == code, np.float64)


def _effects(
    u: Mapping[Hashable, ArrayLike] | None, groups: Sequence[Hashable], members: int, replicates: int
) -> dict[Hashable, Floats]:
    """Return the effects of every cohort as arrays of one shape."""
    if u is None:
        return {}
    lacking = [g for g in by_label(groups) if g not in u]
    if lacking:
        raise InputError(f"u has no effects for cohorts {lacking}; give zeros where a cohort has none")
    out = {g: array(f"u[{g!r}]", u[g], (members, replicates, None)) for g in by_label(groups)}
    if len({x.shape[2] for x in out.values()}) > 1:
        raise InputError("u must hold the same effects for every cohort; give zeros where a cohort has none of one")
    return out


def _alike(
    x: Floats, paths: NDArray[np.bool_], groups: Sequence[Hashable]
) -> dict[tuple[Hashable, bytes, bytes], list[int]]:
    """Return the data that share one regression: same cohort, same paths, same replicates with a value."""
    out: dict[tuple[Hashable, bytes, bytes], list[int]] = {}
    for k, label in enumerate(groups):
        out.setdefault((label, paths[:, k].tobytes(), np.isfinite(x[:, :, k]).tobytes()), []).append(k)
    return out


def _residuals(X: Floats, Y: Floats, member: NDArray[np.int64]) -> Floats:
    """Return what is left of members that were left out, fold by fold."""
    out = np.empty_like(Y)
    for fold in range(FOLDS):
        off = member % FOLDS == fold
        a, b = _ridge(X[~off], Y[~off])
        out[off] = Y[off] - a - np.einsum("ni,it->nt", X[off], b)
    return out


def _between(x: Floats) -> Floats:
    """Return the variance of the signal of every datum from pairs of replicates that both have a value."""
    out = np.empty(x.shape[2])
    for k in range(x.shape[2]):
        both = np.isfinite(x[:, :, k]).all(axis=1)
        out[k] = between_replicates(x[both][:, :, [k]])[0] if both.sum() > 2 else np.nan
    return out


def leave_out(
    emulator: Emulator, z: ArrayLike, y: ArrayLike, R: ArrayLike, groups: Sequence[Hashable], group: Hashable
) -> Floats:
    """Return the ensemble as it would be without the data of one cohort.

    The posterior is taken for normal and the emulator for linear at its mean: the information of the cohort,
    ``G' R^-1 G``, is taken from the posterior's precision, and the members are moved by the linear map that turns
    the one normal into the other with the least displacement. No direction may become wider than the prior, N(0, 1).

    Parameters
    ----------
    emulator : Emulator
        Fitted on members near the posterior.
    z : (members, parameters) array
        Posterior given all data.
    y : (data,) array
        Published values.
    R : (data, data) array
        Noise the posterior was made with, sampling and effects; block diagonal by cohort.
    groups : sequence of data labels
        The cohort of each datum.
    group : label
        The cohort to leave out.

    Returns
    -------
    (members, parameters) array
    """
    z = array("z", z, (None, len(emulator.centre)))
    rows = _rows(groups, group, len(emulator.groups))
    m = z.mean(axis=0)
    G = emulator.sensitivity(m)[rows]
    noise = array("R", R, (len(groups), len(groups)))[np.ix_(rows, rows)]
    weighed = np.linalg.solve(noise, G).T
    misfit = array("y", y, (len(groups),))[rows] - emulator.mean(m[None])[0, rows]
    C = np.einsum("jp,jq->pq", z - m, z - m) / (len(z) - 1)
    values, vectors = np.linalg.eigh(np.linalg.inv(C) - np.einsum("pt,tq->pq", weighed, G))
    # Without the cohort there is still the prior: sampling error of C must not leave less than that.
    new = np.einsum("pk,qk->pq", vectors / np.maximum(values, 1.0), vectors)
    # P' m' = P m - G' R^-1 (misfit + G m) and P = P' + G' R^-1 G give the step from m:
    centre = m - np.einsum("pq,qt,t->p", new, weighed, misfit)
    root, inverse = _root(C)
    middle, _ = _root(np.einsum("ab,bc,cd->ad", root, new, root))
    move = np.einsum("ab,bc,cd->ad", inverse, middle, inverse)
    return np.asarray(centre + np.einsum("jp,qp->jq", z - m, move))


def left_out_values(
    emulator: Emulator,
    z: ArrayLike,
    R: ArrayLike,
    groups: Sequence[Hashable],
    group: Hashable,
    rng: np.random.Generator,
) -> Floats:
    """Return the predictive distribution of one cohort's data, a draw for every member.

    Parameters
    ----------
    emulator : Emulator
        The emulator.
    z : (members, parameters) array
        Posterior without the cohort (`leave_out`).
    R : (data, data) array
        Noise of one replicate, sampling and effects.
    groups : sequence of data labels
        The cohort of each datum.
    group : label
        The cohort.
    rng : numpy.random.Generator
        For the noise.

    Returns
    -------
    (members, data of the cohort) array
    """
    rows = _rows(groups, group, len(emulator.groups))
    mean = emulator.mean(z)[:, rows]
    L = np.linalg.cholesky(array("R", R, (len(groups), len(groups)))[np.ix_(rows, rows)])
    return np.asarray(mean + np.einsum("ns,ts->nt", rng.standard_normal(mean.shape), L))


def _rows(groups: Sequence[Hashable], group: Hashable, data: int) -> NDArray[np.intp]:
    """Return the positions of a cohort's data."""
    if len(groups) != data:
        raise InputError(f"groups names {len(groups)} data, the emulator has {data}")
    rows = np.asarray([k for k, g in enumerate(groups) if g == group], np.intp)
    if not rows.size:
        raise InputError(f"no datum belongs to cohort {group!r}; take a label of groups")
    return rows


def _root(C: Floats) -> tuple[Floats, Floats]:
    """Return the symmetric square root of a covariance, and its inverse."""
    values, vectors = np.linalg.eigh((C + C.T) / 2.0)
    s = np.sqrt(np.maximum(values, 1e-12))
    return np.asarray(np.einsum("pk,qk->pq", vectors * s, vectors)), np.asarray(
        np.einsum("pk,qk->pq", vectors / s, vectors)
    )
