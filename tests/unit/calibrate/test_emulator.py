"""The emulator recovers what was planted; a cohort is taken out of a posterior exactly where all is linear."""

from __future__ import annotations

import numpy as np
import pytest

from stemtrial.calibrate.emulator import Emulator, leave_out, left_out_values
from stemtrial.errors import InputError

J, R, P, Q = 300, 2, 5, 2
GROUPS = ["a", "a", "a", "b", "b", "c"]
T = len(GROUPS)
SD = np.array([0.5, 0.3])


def planted(seed: int = 0, curved: float = 0.0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(J, P))
    B, H, C = rng.normal(size=(T, P)), rng.normal(size=(T, Q)), np.zeros((T, P))
    B[:, 4] = 0.0
    C[0, 0] = curved
    u = {g: SD * rng.normal(size=(J, R, Q)) for g in dict.fromkeys(GROUPS)}
    S = np.diag(np.full(T, 0.04))
    S[0, 1] = S[1, 0] = 0.02
    e = rng.normal(size=(J, R, T)) @ np.linalg.cholesky(S).T
    d = 1.0 + (z @ B.T + (z**2) @ C.T)[:, None] + e
    d += np.stack([u[g] @ H[k] for k, g in enumerate(GROUPS)], axis=-1)
    return z, u, d, B, C, H, S


def test_slopes_effects_and_noise_are_recovered():
    z, u, d, B, _, H, S = planted()
    e = Emulator.fit(z, u, d, GROUPS)
    assert e.sensitivity() == pytest.approx(B, abs=0.06)
    assert e.effect == pytest.approx(H, abs=0.12)
    assert e.noise == pytest.approx(S, abs=0.012)
    assert (e.square == 0).all()
    assert e.r2 == pytest.approx(np.ones(T), abs=0.02)
    assert e.lack.max() < 0.01
    assert e.mean(np.zeros((1, P)))[0] == pytest.approx(np.ones(T), abs=0.06)


def test_effects_enter_the_mean_of_their_own_cohort_only():
    z, u, d, *_ = planted()
    e = Emulator.fit(z, u, d, GROUPS)
    plain, pushed = e.mean(z[:3]), e.mean(z[:3], {"b": np.ones((3, Q))})
    change = pushed - plain
    assert (change[:, [0, 1, 2, 5]] == 0).all()
    assert change[:, 3] == pytest.approx(np.full(3, e.effect[3].sum()))


def test_squares_enter_where_they_help_and_only_there():
    z, u, d, *_ = planted(1, curved=0.4)
    e = Emulator.fit(z, u, d, GROUPS)
    assert e.square[0, 0] == pytest.approx(0.4, abs=0.05)
    assert (e.square[1:] == 0).all()
    point = np.array([1.0, 0, 0, 0, 0])
    step = 1e-5 * point
    numeric = (e.mean((point + step)[None]) - e.mean((point - step)[None]))[0] / 2e-5
    assert e.sensitivity(point)[:, 0] == pytest.approx(numeric, abs=1e-6)


def test_r2_is_that_on_new_members_and_lack_is_what_is_missed():
    rng = np.random.default_rng(2)
    z, new = rng.normal(size=(400, 3)), rng.normal(size=(4000, 3))

    def truth(x):
        return np.column_stack([x[:, 0], np.sin(2 * x[:, 0]) + x[:, 1], x[:, 0] * x[:, 1]])

    d = truth(z)[:, None] + 0.5 * rng.normal(size=(400, 2, 3))
    e = Emulator.fit(z, None, d, [0, 0, 0])
    miss = ((truth(new) - e.mean(new)) ** 2).mean(axis=0)
    r2 = 1 - miss / truth(new).var(axis=0)
    assert e.lack == pytest.approx(miss, abs=0.2)
    assert e.r2 == pytest.approx(r2, abs=0.12)
    assert e.r2[0] > 0.97
    assert e.r2[2] < 0.1
    assert e.total_noise(lack=True) - e.noise == pytest.approx(np.diag(e.lack))


def test_a_masked_parameter_has_no_slope():
    z, u, d, *_ = planted()
    mask = np.ones((P, T))
    mask[2] = 0
    mask[0, 3] = 0
    e = Emulator.fit(z, u, d, GROUPS, mask)
    assert (e.linear[:, 2] == 0).all()
    assert e.linear[3, 0] == 0
    assert e.linear[4, 0] != 0


def test_missing_replicates_are_left_out_datum_by_datum():
    z, u, d, B, _, H, _ = planted()
    d[np.random.default_rng(1).random(d.shape) < 0.2] = np.nan
    e = Emulator.fit(z, u, d, GROUPS)
    assert e.sensitivity() == pytest.approx(B, abs=0.08)
    assert e.effect == pytest.approx(H, abs=0.15)


def test_an_effect_that_a_cohort_lacks_has_no_loading():
    z, u, d, *_ = planted()
    u["b"] = u["b"] * [1.0, 0.0]
    e = Emulator.fit(z, u, d, GROUPS)
    assert (e.effect[3:5, 1] == 0).all()


def test_total_noise_shares_effects_within_a_cohort_only():
    z, u, d, *_ = planted()
    e = Emulator.fit(z, u, d, GROUPS)
    extra = e.total_noise(SD) - e.noise
    loaded = e.effect * SD
    assert extra[0, 2] == pytest.approx(loaded[0] @ loaded[2])
    assert extra[0, 3] == 0
    drawn = e.simulate(np.zeros((20000, P)), e.total_noise(SD), np.random.default_rng(0))
    assert np.cov(drawn.T) == pytest.approx(e.total_noise(SD), abs=0.08)


def test_a_cohort_left_out_gives_the_posterior_without_it():
    z, u, d, *_ = planted(3)
    e = Emulator.fit(z, u, d, GROUPS)
    rng = np.random.default_rng(5)
    G, noise = e.sensitivity(), e.total_noise(SD)
    y = e.mean(np.array([[0.5, -1.0, 0.3, 0.0, 1.0]]))[0] + np.linalg.cholesky(noise) @ rng.normal(size=T)
    zero = e.mean(np.zeros((1, P)))[0]

    def exact(rows):
        g, n = G[rows], noise[np.ix_(rows, rows)]
        C = np.linalg.inv(np.eye(P) + g.T @ np.linalg.solve(n, g))
        return C @ g.T @ np.linalg.solve(n, (y - zero)[rows]), C

    mean, C = exact(np.arange(T))
    x = rng.normal(size=(4000, P))
    x -= x.mean(axis=0)
    x = x @ np.linalg.inv(np.linalg.cholesky(x.T @ x / (len(x) - 1))).T
    posterior = mean + x @ np.linalg.cholesky(C).T
    for group, rows in (("a", [3, 4, 5]), ("c", [0, 1, 2, 3, 4])):
        without = leave_out(e, posterior, y, noise, GROUPS, group)
        m, c = exact(np.asarray(rows))
        assert without.mean(axis=0) == pytest.approx(m, abs=1e-6)
        assert np.cov(without.T) == pytest.approx(c, abs=1e-6)
        values = left_out_values(e, without, noise, GROUPS, group, rng)
        own = [k for k, g in enumerate(GROUPS) if g == group]
        total = G[own] @ c @ G[own].T + noise[np.ix_(own, own)]
        assert values.mean(axis=0) == pytest.approx(zero[own] + G[own] @ m, abs=0.15)
        assert np.cov(values.T) == pytest.approx(total if len(own) > 1 else total[0, 0], rel=0.1, abs=0.08)


def test_a_cohort_left_out_never_leaves_less_than_the_prior():
    z, u, d, *_ = planted(3)
    e = Emulator.fit(z, u, d, GROUPS)
    wide = np.random.default_rng(0).normal(size=(100, P))
    without = leave_out(e, wide, np.ones(T), e.noise, GROUPS, "a")
    assert np.linalg.eigvalsh(np.cov(without.T)).max() < 1 + 1e-6


def test_same_input_same_bits():
    z, u, d, *_ = planted()
    a, b = (Emulator.fit(z, u, d, GROUPS) for _ in range(2))
    assert a.linear.tobytes() == b.linear.tobytes()
    assert a.noise.tobytes() == b.noise.tobytes()


def test_what_cannot_be_is_refused():
    z, u, d, *_ = planted()
    with pytest.raises(InputError, match="no effects for cohorts"):
        Emulator.fit(z, {"a": u["a"]}, d, GROUPS)
    with pytest.raises(InputError, match="same effects"):
        Emulator.fit(z, u | {"b": u["b"][:, :, :1]}, d, GROUPS)
    with pytest.raises(InputError, match="shape"):
        Emulator.fit(z[:-1], u, d, GROUPS)
    e = Emulator.fit(z, u, d, GROUPS)
    with pytest.raises(InputError, match="no datum belongs"):
        leave_out(e, z, np.zeros(T), e.noise, GROUPS, "x")
