"""Likelihood of slopes and survival that share random effects, and its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.polynomial.hermite_e import hermegauss

from stemtrial.analysis._inputs import Bools, Floats, Ints
from stemtrial.analysis._lines import Lines, Mixed

NODES = 48  # of the quadrature; error below 1e-6 of a log likelihood up to a spread of 1.2 in the log hazard
MAX_SPREAD = 4.0  # of a patient's log hazard given their values: beyond, the quadrature does not hold


def _nodes() -> tuple[Floats, Floats]:
    """Nodes above 0 of the standard normal and their weights, without those that cannot matter."""
    z, weight = hermegauss(NODES)
    weight = weight / weight.sum()
    kept = (z > 0) & (weight > 1e-17)
    return z[kept], weight[kept]


_Z, _WEIGHT = _nodes()


@njit(error_model="numpy", nogil=True, cache=True)
def survive(log_hazard: Any, spread: Any, z: Any, weight: Any, out: Any) -> None:
    """Log of the mean survival exp(-exp(m + s u)), u standard normal, with F' / F and F'' / F in m.

    ``log_hazard`` and ``spread`` are m and s (patients,), ``out`` is (3, patients). The largest term is taken out
    before summing, so that nothing vanishes where survival is hopeless.
    """
    n_nodes = len(z)
    hazard = np.empty(2 * n_nodes)
    for i in range(len(log_hazard)):
        centre = np.exp(log_hazard[i])
        least = np.inf
        for k in range(n_nodes):
            away = np.exp(spread[i] * z[k])
            hazard[2 * k] = centre * away
            hazard[2 * k + 1] = centre / away
            least = min(least, hazard[2 * k + 1])
        f = first = second = 0.0
        for k in range(2 * n_nodes):
            h = hazard[k]
            term = weight[k // 2] * np.exp(least - h)
            f += term
            if term > 0.0:
                first -= h * term
                second += (h - 1.0) * h * term
        out[0, i] = np.log(f) - least
        out[1, i] = first / f
        out[2, i] = second / f


class Likelihood:
    """Log likelihood of a block of replicates.

    Unknowns of a replicate: coefficients, L (3), log residual SD, log hazard at scaled time 1, log shape, log hazard
    ratio (two arms only), association with intercept and slope; all in scaled units.

    Parameters
    ----------
    data, member, design
        As of :class:`~stemtrial.analysis.slopes.Reml`.
    time, died : ndarray, shape (replicates, patients)
        Scaled follow-up, 0 for none, and whether it ended in death (then above 0).

    """

    def __init__(self, data: Lines, member: Floats, design: Floats, time: Floats, died: Bools) -> None:
        self.data, self.member, self.design = data, member, design
        self.time, self.died = time, died.astype(np.float64)
        self.p, self.arms = design.shape[2], len(member)
        p = self.p
        self.sigma, self.hazard, self.shape, self.ratio = p + 3, p + 4, p + 5, p + 6
        self.association = p + 5 + self.arms  # of the intercept; that of the slope follows
        self.size = self.association + 2
        self.follows = time > 0
        self.log_time = np.log(np.where(self.follows, time, 1.0))

    def rows(self, which: Ints) -> Likelihood:
        """Return the likelihood of some replicates."""
        return Likelihood(
            self.data.rows(which), self.member[:, which], self.design, self.time[which], self.died[which] > 0
        )

    def __call__(self, x: Floats) -> tuple[Floats, Floats]:
        """Minus the log likelihood, infinite where the quadrature does not hold, and its gradient."""
        p, died = self.p, self.died
        m = Mixed(self.data, x[:, p : p + 3])
        mean = np.einsum("gip,rp->igr", self.design, x[:, :p])
        mean1, mean2 = mean = np.stack([np.einsum("grn,gr->rn", self.member, part) for part in mean])
        u1, u2 = m.residual(mean)
        precision = np.exp(-2 * x[:, self.sigma])
        variance = 1 / precision
        n = self.data.n.sum(1)
        # (y - Z mean)' V^-1 (y - Z mean), each product with Z' V^-1 counted once
        squares = (m.square - (m.w[0] + u1) * mean1 - (m.w[1] + u2) * mean2).sum(1)
        value = (n * (np.log(2 * np.pi) + 2 * x[:, self.sigma]) + m.log_det.sum(1) + squares * precision) / 2

        # Given the values, the random part of the log hazard is normal: mean c, variance v.
        alpha1, alpha2 = x[:, self.association, None], x[:, self.association + 1, None]
        d11, d12, d22 = m.d
        a1, a2 = d11 * alpha1 + d12 * alpha2, d12 * alpha1 + d22 * alpha2
        w11, w12, w22 = m.W
        e1, e2 = alpha1 - w11 * a1 - w12 * a2, alpha2 - w12 * a1 - w22 * a2
        c = a1 * u1 + a2 * u2
        v = np.maximum((a1 * e1 + a2 * e2) * variance[:, None], 0.0)
        shape = np.exp(x[:, self.shape])[:, None]
        known = np.where(self.follows, x[:, self.hazard, None] + shape * self.log_time, -np.inf)
        if self.arms == 2:
            known = known + x[:, self.ratio, None] * self.member[1]
        # A death multiplies by the hazard, which shifts the normal by its variance.
        out = np.empty((3, c.size))
        survive(np.minimum(known + c + died * v, 600.0).ravel(), np.sqrt(v).ravel(), _Z, _WEIGHT, out)
        log_survival, first, second = out.reshape(3, *c.shape)
        log_event = known - self.log_time + x[:, self.shape, None] + c + v / 2
        value -= (log_survival + np.where(died > 0, log_event, 0.0)).sum(1)

        value[(v > MAX_SPREAD**2).any(1)] = np.inf

        by_mean = died + first
        by_variance = died * (0.5 + first) + second / 2
        gradient = np.zeros_like(x)
        pull1, pull2 = (precision[:, None] * u - by_mean * (w_a1 * a1 + w_a2 * a2)
                        for u, w_a1, w_a2 in ((u1, w11, w12), (u2, w12, w22)))  # fmt: skip
        pull = np.stack([np.einsum("grn,rn->gr", self.member, u) for u in (pull1, pull2)])
        gradient[:, :p] = np.einsum("gip,igr->rp", self.design, pull)
        half = precision[:, None] / 2
        of_v = by_variance * variance[:, None]
        g11 = half * u1 * u1 - w11 / 2 + by_mean * u1 * e1 + of_v * e1 * e1
        g12 = half * u1 * u2 - w12 / 2 + by_mean * (u1 * e2 + u2 * e1) / 2 + of_v * e1 * e2
        g22 = half * u2 * u2 - w22 / 2 + by_mean * u2 * e2 + of_v * e2 * e2
        gradient[:, p : p + 3] = m.to_chol(g11.sum(1), g12.sum(1), g22.sum(1))
        gradient[:, self.sigma] = squares * precision - n + 2 * (by_variance * v).sum(1)
        gradient[:, self.hazard] = by_mean.sum(1)
        gradient[:, self.shape] = (by_mean * shape * self.log_time + died).sum(1)
        if self.arms == 2:
            gradient[:, self.ratio] = (by_mean * self.member[1]).sum(1)
        for k, (one, two) in enumerate(((d11, d12), (d12, d22))):
            by_c, by_v = one * u1 + two * u2, 2 * variance[:, None] * (one * e1 + two * e2)
            gradient[:, self.association + k] = (by_mean * by_c + by_variance * by_v).sum(1)
        return value, -gradient
