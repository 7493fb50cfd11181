"""The ensemble smoother against problems whose posterior is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemtrial.calibrate.smoother import (
    assimilate,
    between_replicates,
    estimable,
    inflate,
    noise_of,
    schedule,
    slopes,
    spread,
)
from stemtrial.errors import InputError

P, T, J, REPLICATES = 4, 12, 800, 2
GROUPS = [k // 3 for k in range(T)]


def linear_problem(seed: int):
    rng = np.random.default_rng(seed)
    G = rng.normal(size=(T, P)) / 2
    block = np.full((3, 3), 0.5) + 0.5 * np.eye(3)
    R = np.kron(np.eye(T // 3), block)
    L = np.linalg.cholesky(R)
    truth = rng.normal(size=P)
    y = G @ truth + L @ rng.normal(size=T)
    precision = np.eye(P) + G.T @ np.linalg.solve(R, G)
    covariance = np.linalg.inv(precision)
    return rng, G, R, L, y, covariance @ G.T @ np.linalg.solve(R, y), covariance


def fitted(seed: int, n: int = 4, **more):
    rng, G, _, L, y, mean, covariance = linear_problem(seed)
    z = rng.normal(size=(J, P))
    for alpha in schedule(n):
        d = (z @ G.T)[:, None] + rng.normal(size=(J, REPLICATES, T)) @ L.T
        z = assimilate(z, d, y, noise_of(d, GROUPS), alpha, None, rng, **more)
    return z, mean, covariance


def naive(seed: int, n: int = 4):
    """The textbook step: one noisy prediction a member, its spread taken for signal, the noise added once more."""
    rng, G, R, L, y, mean, covariance = linear_problem(seed)
    z = rng.normal(size=(J, P))
    for alpha in schedule(n):
        d = z @ G.T + rng.normal(size=(J, T)) @ L.T
        c = np.cov(np.column_stack([z, d]).T)
        K = c[:P, P:] @ np.linalg.inv(c[P:, P:] + alpha * R)
        z = z + (y + np.sqrt(alpha) * rng.normal(size=(J, T)) @ L.T - d) @ K.T
    return z, mean, covariance


def test_known_posterior_of_a_linear_problem_is_recovered():
    shift, ratio = [], []
    for seed in range(6):
        z, mean, covariance = fitted(seed)
        sd = np.sqrt(np.diag(covariance))
        shift.append((z.mean(axis=0) - mean) / sd)
        ratio.append(z.std(axis=0, ddof=1) / sd)
        assert np.abs(np.corrcoef(z.T) - covariance / np.outer(sd, sd)).max() < 0.15
    assert np.sqrt(np.mean(np.square(shift))) < 0.15
    assert abs(np.mean(shift)) < 0.05
    assert np.mean(ratio) == pytest.approx(1.0, abs=0.03)
    assert np.ptp(ratio) < 0.25


def test_noise_is_not_counted_twice_where_the_naive_step_does():
    for n, excess in ((1, 1.4), (4, 1.1)):
        ours, theirs = [], []
        for seed in range(6):
            z, _, covariance = fitted(seed, n)
            ours.append(np.mean(z.var(axis=0, ddof=1) / np.diag(covariance)))
            z, _, covariance = naive(seed, n)
            theirs.append(np.mean(z.var(axis=0, ddof=1) / np.diag(covariance)))
        assert np.mean(ours) == pytest.approx(1.0, abs=0.06)
        assert np.mean(theirs) > excess


def test_one_gain_for_all_is_too_narrow_and_folds_mend_it():
    rng = np.random.default_rng(5)
    p, t, members = 20, 60, 200
    variance = {1: [], 10: []}
    for _ in range(4):
        G = rng.normal(size=(t, p)) / 3
        truth = rng.normal(size=p)
        y = G @ truth + rng.normal(size=t)
        exact = np.diag(np.linalg.inv(np.eye(p) + G.T @ G))
        for folds in variance:
            z = rng.normal(size=(members, p))
            for alpha in schedule(3):
                d = (z @ G.T)[:, None] + rng.normal(size=(members, 2, t))
                z = assimilate(z, d, y, np.eye(t), alpha, None, rng, folds=folds)
            variance[folds].append(np.mean(z.var(axis=0, ddof=1) / exact))
    assert np.mean(variance[1]) < 0.9
    assert 0.95 < np.mean(variance[10]) < 1.35


def test_a_parameter_without_a_path_stays_at_its_prior():
    rng, G, R, L, y, _, _ = linear_problem(2)
    G[:, 0] = 0.0
    mask = np.ones((P, T))
    mask[0] = 0.0
    z = rng.normal(size=(J, P))
    d = (z @ G.T)[:, None] + rng.normal(size=(J, REPLICATES, T)) @ L.T
    free = assimilate(z, d, y, R, 1.0, None, np.random.default_rng(1))
    masked = assimilate(z, d, y, R, 1.0, mask, np.random.default_rng(1))
    moved = [np.sqrt(np.mean((after - z)[:, 0] ** 2)) for after in (free, masked)]
    # What moves it still is its chance correlation with the other parameters in the ensemble.
    assert moved[1] < 0.5 * moved[0]
    assert masked[:, 0].std() == pytest.approx(1.0, abs=0.1)


def test_mask_lets_data_inform_by_way_of_another_parameter():
    """Datum 1 sees a + b, datum 0 sees b only: a is known as well as their difference."""
    G = np.array([[0.0, 1.0], [1.0, 1.0]])
    R = 0.01 * np.eye(2)
    rng = np.random.default_rng(3)
    z = rng.normal(size=(J, 2))
    d = (z @ G.T)[:, None] + 0.1 * rng.normal(size=(J, 2, 2))
    after = assimilate(z, d, np.array([0.5, 1.0]), R, 1.0, (G.T > 0).astype(float), rng)
    exact = np.linalg.inv(np.eye(2) + G.T @ G / 0.01)
    assert after.std(axis=0) == pytest.approx(np.sqrt(np.diag(exact)), rel=0.15)


def test_missing_replicates_hardly_change_the_posterior():
    rng, G, _, L, y, mean, covariance = linear_problem(4)
    z = rng.normal(size=(J, P))
    for alpha in schedule(3):
        d = (z @ G.T)[:, None] + rng.normal(size=(J, REPLICATES, T)) @ L.T
        d[rng.random(d.shape) < 0.1] = np.nan
        d[:20, :, 3] = np.nan
        z = assimilate(z, d, y, noise_of(d, GROUPS), alpha, None, rng)
    sd = np.sqrt(np.diag(covariance))
    assert np.abs((z.mean(axis=0) - mean) / sd).max() < 0.35
    assert z.std(axis=0) / sd == pytest.approx(np.ones(P), abs=0.2)


def test_data_mostly_not_estimable_are_named():
    d = np.random.default_rng(0).normal(size=(50, 2, 3))
    d[:40, :, 1] = np.nan
    assert estimable(d) == pytest.approx([1.0, 0.2, 1.0])
    with pytest.raises(InputError, match=r"data \[1\]"):
        noise_of(d, [0, 0, 0])
    with pytest.raises(InputError, match=r"data \[1\]"):
        assimilate(np.zeros((50, 2)), d, np.zeros(3), np.eye(3), 1.0, None, np.random.default_rng(0))


def test_noise_is_recovered_by_cohort_whatever_the_signal():
    rng, G, R, L, _, _, _ = linear_problem(0)
    z = 5 * rng.normal(size=(600, P))
    for r in (2, 4):
        d = (z @ G.T)[:, None] + rng.normal(size=(600, r, T)) @ L.T
        estimate = noise_of(d, GROUPS)
        assert np.abs(estimate - R).max() < 0.2
        assert (estimate[R == 0] == 0).all()
        d[rng.random(d.shape) < 0.1] = np.nan
        assert np.abs(noise_of(d, GROUPS) - R).max() < 0.2


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 12), st.integers(2, 5), st.integers(0, 10**6))
def test_noise_is_positive_definite_from_any_number_of_members(members, replicates, seed):
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(members, replicates, 1))
    d = common + 1e-6 * rng.normal(size=(members, replicates, 6))
    values = np.linalg.eigvalsh(noise_of(d, [0] * 6))
    assert values[0] > 0
    assert values[-1] / values[0] < 1e5


def test_data_without_noise_are_refused_or_get_the_least_variance():
    d = np.random.default_rng(0).normal(size=(50, 2, 2))
    d[:, :, 1] = 3.0
    with pytest.raises(InputError, match=r"data \[1\] do not vary"):
        noise_of(d, [0, 0])
    assert noise_of(d, [0, 0], least_variance=0.01)[1, 1] == pytest.approx(0.01)


def test_signal_variance_between_replicates_is_free_of_noise():
    rng = np.random.default_rng(1)
    signal = rng.normal(size=(4000, 1, 2)) * [1.0, 0.0]
    assert between_replicates(signal + 2 * rng.normal(size=(4000, 3, 2))) == pytest.approx([1.0, 0.0], abs=0.2)


def test_slopes_are_zero_off_the_mask_and_exact_on_it():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(60, 3))
    B = np.array([[1.0, 0.0, 2.0], [0.0, -1.0, 0.0]])
    assert slopes(z, z @ B.T, (B.T != 0).astype(float)) == pytest.approx(B, abs=1e-6)


@given(st.integers(1, 12), st.floats(0.5, 3.0))
def test_schedule_spends_the_data_once(n, ratio):
    alphas = schedule(n, ratio)
    assert len(alphas) == n
    assert (1 / alphas).sum() == pytest.approx(1.0)
    assert (alphas >= 1 - 1e-12).all()


def test_inflation_keeps_the_mean():
    z = np.random.default_rng(0).normal(size=(40, 2))
    wide = inflate(z, [1.0, 2.0])
    assert wide.mean(axis=0) == pytest.approx(z.mean(axis=0))
    assert wide.std(axis=0) / z.std(axis=0) == pytest.approx([1.0, 2.0])
    with pytest.raises(InputError):
        inflate(z, 0.0)


def test_collapse_is_reported():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(400, 8))
    assert not spread(z, 0.3 * z).collapsed
    assert spread(z, 0.3 * z).ratio == pytest.approx(np.full(8, 0.3))
    assert spread(z, z).effective == pytest.approx(8, abs=0.5)
    assert spread(z, 0.01 * z).collapsed
    assert spread(z, np.repeat(z[:, :1], 8, axis=1) + 0.01 * z).collapsed
    assert spread(z, z).members_a_dimension == 50


def test_same_seed_same_bits_and_other_seed_others():
    rng, G, R, L, y, _, _ = linear_problem(0)
    z = rng.normal(size=(100, P))
    d = (z @ G.T)[:, None] + rng.normal(size=(100, 2, T)) @ L.T
    a, b, c = (assimilate(z, d, y, R, 2.0, None, np.random.default_rng(s)) for s in (1, 1, 2))
    assert a.tobytes() == b.tobytes()
    assert not np.allclose(a, c)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"alpha": 0.5}, "alpha must be 1"),
        ({"noise": -np.eye(2)}, "positive definite"),
        ({"d": np.zeros((30, 1, 2))}, "two or more replicates"),
        ({"y": np.zeros(3)}, "y must have shape"),
        ({"z": np.zeros((30, 20)), "mask": np.ones((20, 2))}, "too few"),
        ({"mask": 2 * np.ones((2, 2))}, "mask must lie"),
        ({"y": np.array([0.0, np.inf])}, "finite"),
    ],
)
def test_what_cannot_be_is_refused(change, words):
    rng = np.random.default_rng(0)
    given_ = {"z": rng.normal(size=(30, 2)), "d": rng.normal(size=(30, 2, 2)), "y": np.zeros(2), "noise": np.eye(2)}
    given_ |= {"alpha": 1.0, "mask": None, "rng": rng} | change
    with pytest.raises(InputError, match=words):
        assimilate(**given_)
