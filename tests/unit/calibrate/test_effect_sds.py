"""The marginal likelihood of the SDs of trial effects, against the plain formula and planted values."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from stemtrial.calibrate.effects import MarginalLikelihood, estimate_sds
from stemtrial.calibrate.emulator import Emulator
from stemtrial.errors import InputError


def emulator(rng, cohorts=30, each=4, p=4, q=2, noise=0.1):
    t = cohorts * each
    groups = tuple(k // each for k in range(t))
    S = noise**2 * np.eye(t)
    B, H = rng.normal(size=(t, p)), rng.normal(size=(t, q))
    zeros = np.zeros((t, p))
    return Emulator(groups, np.zeros(p), np.zeros(t), B, zeros, H, S, np.zeros(t), np.ones(t))


def drawn(e: Emulator, sds, rng):
    return e.simulate(rng.normal(size=(1, len(e.centre))), e.total_noise(sds), rng)[0]


def test_equals_the_density_of_the_whole_normal():
    rng = np.random.default_rng(0)
    e = emulator(rng, 5, 3)
    y = drawn(e, [0.4, 0.2], rng)
    marginal = MarginalLikelihood(y, e.linear, e.effect, e.noise, e.groups)
    sds = np.array([[0.4, 0.2], [0.1, 0.7], [1e-9, 0.3]])
    plain = [
        stats.multivariate_normal(cov=e.total_noise(s) + e.linear @ e.linear.T).logpdf(y)
        + len(y) / 2 * np.log(2 * np.pi)
        for s in sds
    ]
    assert marginal(sds) == pytest.approx(plain, rel=1e-8)


def test_planted_sds_are_covered():
    inside, ratio = [], []
    log_sd = np.array([0.7, 0.7])
    for seed in range(40):
        rng = np.random.default_rng(seed)
        truth = 0.3 * np.exp(log_sd * rng.normal(size=2))
        e = emulator(rng, 20, 3)
        fit = estimate_sds(e, drawn(e, truth, rng), None, e.groups, ([0.3, 0.3], log_sd), rng, draws=160, chains=8)
        low, high = np.quantile(fit.draws, [0.05, 0.95], axis=0)
        inside.append((low < truth) & (truth < high))
        ratio.append(np.log(fit.mode / truth))
    # 80 intervals of 90 %: 0.80 to 0.98 holds all but 1 % of calibrated samplers.
    assert 0.80 <= np.mean(inside) <= 0.98
    assert abs(np.mean(ratio)) < 0.12


def test_a_record_that_does_not_tell_gives_the_prior_back():
    rng = np.random.default_rng(0)
    e = emulator(rng, 4, 2, noise=30.0)
    fit = estimate_sds(e, drawn(e, [0.2, 0.2], rng), None, e.groups, ([0.2, 0.3], [0.5, 0.5]), rng)
    assert np.median(fit.draws, axis=0) == pytest.approx([0.2, 0.3], rel=0.15)
    assert fit.prior_share == pytest.approx([1.0, 1.0], abs=0.2)
    assert fit.mode == pytest.approx([0.2, 0.3], rel=0.05)
    assert (fit.r_hat < 1.05).all()


def test_parameters_that_explain_the_data_are_not_taken_for_effects():
    """z far from the emulator's centre is integrated over by its prior, wherever the emulator is made linear."""
    rng = np.random.default_rng(3)
    e = emulator(rng, 30, 4)
    z = np.array([[2.0, -1.5, 1.0, -2.0]])
    y = e.simulate(z, e.total_noise([0.1, 0.1]), rng)[0]
    prior = ([0.2, 0.2], [1.0, 1.0])
    at_zero = estimate_sds(e, y, None, e.groups, prior, np.random.default_rng(1), draws=400)
    at_truth = estimate_sds(e, y, None, e.groups, prior, np.random.default_rng(1), at=z[0], draws=400)
    assert at_zero.mode == pytest.approx([0.1, 0.1], rel=0.45)
    assert at_truth.mode == pytest.approx(at_zero.mode, rel=1e-3)


def test_an_ensemble_stands_for_the_prior():
    rng = np.random.default_rng(4)
    e = emulator(rng, 20, 4)
    y = drawn(e, [0.3, 0.1], rng)
    wide = rng.normal(size=(5000, 4))
    prior = ([0.2, 0.2], [1.0, 1.0])
    a = estimate_sds(e, y, None, e.groups, prior, np.random.default_rng(1), draws=100)
    b = estimate_sds(e, y, None, e.groups, prior, np.random.default_rng(1), z=wide, draws=100)
    assert b.mode == pytest.approx(a.mode, rel=0.05)


def test_what_cannot_be_is_refused():
    rng = np.random.default_rng(0)
    e = emulator(rng, 3, 2)
    with pytest.raises(InputError, match="median above 0"):
        estimate_sds(e, np.zeros(6), None, e.groups, ([0.0, 0.1], [1.0, 1.0]), rng)
    bare = emulator(rng, 3, 2, q=0)
    with pytest.raises(InputError, match="without effects"):
        estimate_sds(bare, np.zeros(6), None, bare.groups, ([], []), rng)


def test_many_effects_mix():
    rng = np.random.default_rng(0)
    e = emulator(rng, 40, 5, q=7)
    y = drawn(e, np.full(7, 0.2), rng)
    fit = estimate_sds(e, y, None, e.groups, (np.full(7, 0.25), np.full(7, 0.7)), rng)
    assert (fit.r_hat < 1.06).all()
    assert (fit.effective > 150).all()
