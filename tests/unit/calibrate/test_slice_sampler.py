"""The elliptical slice sampler against conjugate answers; what tells whether chains have mixed."""

from __future__ import annotations

import numpy as np
import pytest

from stemtrial.calibrate.slice import effective_size, elliptical_slice, split_r_hat
from stemtrial.errors import InputError


def test_conjugate_normal_posterior():
    rng = np.random.default_rng(0)
    G = np.array([[1.0, 0.5], [0.0, 1.0], [1.0, -1.0]])
    y, sd = np.array([1.0, -0.5, 2.0]), 0.5
    covariance = np.linalg.inv(np.eye(2) + G.T @ G / sd**2)
    mean = covariance @ G.T @ y / sd**2
    run = elliptical_slice(lambda z: -0.5 * (((y - z @ G.T) / sd) ** 2).sum(axis=1), rng.normal(size=(20, 2)), 600, rng)
    flat = run.values.reshape(-1, 2)
    mcse = np.sqrt(np.diag(covariance) / run.effective)
    assert (np.abs(flat.mean(axis=0) - mean) < 4 * mcse).all()
    assert np.cov(flat.T) == pytest.approx(covariance, abs=0.02)
    assert (run.r_hat < 1.01).all()
    assert run.effective.min() > 1000
    assert run.evaluations > 20 * 900


def test_without_data_the_prior_comes_back():
    rng = np.random.default_rng(1)
    run = elliptical_slice(lambda z: np.zeros(len(z)), rng.normal(size=(10, 3)), 500, rng)
    flat = run.values.reshape(-1, 3)
    assert flat.mean(axis=0) == pytest.approx(np.zeros(3), abs=0.08)
    assert flat.std(axis=0) == pytest.approx(np.ones(3), abs=0.05)


def test_impossible_points_are_never_visited():
    rng = np.random.default_rng(2)
    start = np.abs(rng.normal(size=(8, 1)))
    run = elliptical_slice(lambda z: np.where(z[:, 0] > 0, 0.0, -np.inf), start, 400, rng)
    assert (run.values > 0).all()
    assert run.values.mean() == pytest.approx(np.sqrt(2 / np.pi), abs=0.06)


def test_same_seed_same_draws():
    def once() -> bytes:
        rng = np.random.default_rng(7)
        return elliptical_slice(lambda z: -(z**4).sum(axis=1), rng.normal(size=(4, 2)), 50, rng).values.tobytes()

    assert once() == once()


def test_diagnostics_tell_chains_that_have_not_mixed():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 500))
    assert split_r_hat(x) < 1.01
    assert effective_size(x) == pytest.approx(2000, rel=0.2)
    assert split_r_hat(x + np.arange(4)[:, None]) > 1.3
    assert effective_size(x + 3 * np.arange(4)[:, None]) < 50
    drift = x + np.linspace(0, 3, 500)
    assert split_r_hat(drift) > 1.1
    assert split_r_hat(np.ones((2, 10))) == 1.0


def test_effective_size_of_an_autoregression():
    rng = np.random.default_rng(0)
    x = np.zeros((8, 4000))
    for k in range(1, 4000):
        x[:, k] = 0.8 * x[:, k - 1] + rng.normal(size=8)
    assert effective_size(x) / x.size == pytest.approx(0.2 / 1.8, rel=0.2)


def test_what_cannot_be_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="starts where"):
        elliptical_slice(lambda z: np.full(len(z), -np.inf), np.zeros((2, 1)), 10, rng)
    with pytest.raises(InputError, match="NaN"):
        elliptical_slice(lambda z: np.full(len(z), np.nan), np.zeros((2, 1)), 10, rng)
    with pytest.raises(InputError, match="too short"):
        split_r_hat(np.zeros((2, 3)))


def test_thinned_draws_come_from_the_chains():
    rng = np.random.default_rng(0)
    run = elliptical_slice(lambda z: np.zeros(len(z)), rng.normal(size=(2, 1)), 20, rng)
    assert set(run.thinned(40, rng)[:, 0]) == set(run.values.ravel())
    assert run.thinned(60, rng).shape == (60, 1)
