"""The joint likelihood again by brute force: densities as written down, integrated over intercept and slope."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime

import stemtrial.analysis as an
from stemtrial.analysis._joint import Likelihood
from stemtrial.analysis._lines import lines, visits
from stemtrial.analysis._minimise import minimise
from stemtrial.analysis.slopes import designs, members

R, V = 2, 4


def trial(seed, n=14):
    """Two small trials in units near 1, with missed visits, patients without any, deaths and staggered follow-up."""
    rng = np.random.default_rng(seed)
    time = np.broadcast_to(np.array([0.0, 0.4, 0.9, 1.3]), (R, n, V)) + rng.uniform(0, 0.05, (R, n, V))
    arm = np.broadcast_to(np.arange(n) % 2 == 1, (R, n))
    b = rng.normal(size=(2, R, n))
    value = b[0][..., None] + (1.5 * b[1] - 0.7)[..., None] * time + 0.5 * rng.normal(size=(R, n, V))
    follow, died = rng.uniform(0.2, 1.5, (R, n)), rng.random((R, n)) < 0.6
    value[(time > follow[..., None]) & (np.arange(V) > 0)] = np.nan
    value[:, 3, 1:] = np.nan  # one visit
    value[:, 4] = np.nan  # none, and yet a survival time
    return time, value, follow, died, arm


def unknowns(seed, size, p):
    x = np.random.default_rng(seed).normal(0, 0.4, (R, size))
    x[:, p : p + 3] = [0.9, -0.3, 0.7]
    return x


def brute(data, x, shared):
    """Log likelihood of one trial, the integral over both random effects done on a fine grid; no shortcut at all."""
    time, value, follow, died, arm = data
    p = 3 if shared else 4
    intercepts, slopes = (x[0], x[0]) if shared else (x[0], x[2]), (x[1], x[2]) if shared else (x[1], x[3])
    lower = np.array([[x[p], 0], [x[p + 1], x[p + 2]]])
    sigma, constant, shape = np.exp(x[p + 3]), x[p + 4], np.exp(x[p + 5])
    ratio, a0, a1 = x[p + 6 :]
    d = sigma**2 * lower @ lower.T
    z = np.linspace(-9, 9, 361)  # the trapezium rule is exact to rounding for a smooth function that vanishes outside
    z0, z1 = np.meshgrid(z, z, indexing="ij")
    total = 0.0
    for i in range(len(follow)):
        seen = np.isfinite(value[i])
        t, y, g = time[i][seen], value[i][seen], int(arm[i])
        design = np.stack([np.ones_like(t), t], 1)
        precision = np.linalg.inv(d) + design.T @ design / sigma**2  # only places the grid where the integrand is
        centre = np.linalg.solve(precision, design.T @ (y - intercepts[g] - slopes[g] * t)) / sigma**2
        root = np.linalg.cholesky(np.linalg.inv(precision))
        b0, b1 = centre[0] + root[0, 0] * z0, centre[1] + root[1, 0] * z0 + root[1, 1] * z1
        log_f = -np.log(2 * np.pi) - np.log(np.linalg.det(d)) / 2
        inverse = np.linalg.inv(d)
        log_f = log_f - (inverse[0, 0] * b0 * b0 + 2 * inverse[0, 1] * b0 * b1 + inverse[1, 1] * b1 * b1) / 2
        for tj, yj in zip(t, y, strict=True):
            e = yj - intercepts[g] - b0 - (slopes[g] + b1) * tj
            log_f = log_f - np.log(2 * np.pi * sigma**2) / 2 - e * e / (2 * sigma**2)
        log_hazard = constant + ratio * g + a0 * b0 + a1 * b1
        log_f = log_f - np.exp(log_hazard) * follow[i] ** shape
        if died[i]:
            log_f = log_f + log_hazard + np.log(shape) + (shape - 1) * np.log(follow[i])
        total += np.log(np.exp(log_f).sum() * (z[1] - z[0]) ** 2 * np.linalg.det(root))
    return total


def likelihood(data, shared):
    time, value, follow, died, arm = data
    member = members(arm, arm.shape)
    return Likelihood(lines(*visits(time, value, None)), member, designs(2, shared), follow, died)


@pytest.mark.parametrize("shared", [False, True])
def test_likelihood(shared):
    data = trial(1)
    model = likelihood(data, shared)
    for seed in range(3):
        x = unknowns(seed, model.size, model.p)
        minus, _ = model(x)
        for r in range(R):
            expected = brute([d[r] for d in data], x[r], shared)
            assert -minus[r] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("shared", [False, True])
def test_gradient(shared):
    model = likelihood(trial(2), shared)
    x = unknowns(5, model.size, model.p)
    _, gradient = model(x)
    for r in range(R):

        def alone(at, r=r):
            other = x.copy()
            other[r] = at
            return model(other)[0][r]

        np.testing.assert_allclose(gradient[r], approx_fprime(x[r], alone, 1e-7), rtol=1e-5, atol=1e-5)


def test_the_fit_is_the_maximum_and_reports_its_likelihood():
    time, value, follow, died, arm = trial(7, n=60)
    fit = an.joint_slope_difference(
        12 * time, 48 + 6 * value, 12 * follow, died, arm, association="slope", hazard="exponential"
    )
    model = likelihood((time, value, follow, died, arm), False)
    free = np.ones((R, model.size), bool)
    free[:, [model.shape, model.association]] = False
    start = np.zeros((R, model.size))
    start[:, model.p : model.p + 3] = [1.0, 0.0, 1.0]
    found = minimise(lambda x, rows: model.rows(rows)(x), start, free)
    for r in range(R):
        best = brute([d[r] for d in (time, value, follow, died, arm)], found.x[r], False)
        moved = np.isfinite(value[r]).sum() * np.log(6) + died[r].sum() * np.log(12)
        assert fit.log_likelihood[r] == pytest.approx(best - moved, abs=1e-6)
        assert fit.difference.value[r] == pytest.approx((found.x[r, 3] - found.x[r, 1]) / 2, rel=1e-4)
        assert fit.association[r, 1] == pytest.approx(found.x[r, -1] * 2, rel=1e-4)
    assert fit.converged.all()
