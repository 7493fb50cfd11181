"""Chains agree with a right ensemble and with closed forms, and not with a wrong ensemble."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from linear_block import Linear

from stemtrial.calibrate.crosscheck import chain, compared, cross_check, loadings, weights
from stemtrial.calibrate.fit import Fitted
from stemtrial.calibrate.forward import REGISTRY_PEOPLE
from stemtrial.calibrate.loco import noise_with_lack
from stemtrial.errors import InputError


@pytest.fixture(scope="module")
def cells() -> Fitted:
    return Linear("cells").fitted(160)


def closed(G: np.ndarray, R: np.ndarray, residual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and SD of standard normal parameters given linear data."""
    information = np.eye(G.shape[1]) + G.T @ np.linalg.solve(R, G)
    return np.linalg.solve(information, G.T @ np.linalg.solve(R, residual)), np.sqrt(
        np.diag(np.linalg.inv(information))
    )


def straight(f: Fitted, **changes) -> Fitted:
    return replace(f, emulator=replace(f.emulator, square=np.zeros_like(f.emulator.square), **changes))


def sampled(f: Fitted, likelihood: str) -> tuple[np.ndarray, np.ndarray]:
    z = chain(f, likelihood, np.random.default_rng(1), draws=700).values.reshape(-1, f.z.shape[1])
    return z.mean(axis=0), z.std(axis=0)


def test_chains_agree_with_the_smoother(cells):
    check = cross_check(cells, 3, draws=200)
    assert all(r.agrees for r in check.same_likelihood)
    assert all(r.converged and abs(r.difference) < 1 for r in check.exact)
    assert {len(rows) for rows in check.predictive.values()} == {len(cells.data)}


@pytest.mark.parametrize("wrong", [{"narrow": 0.5}, {"shift": 1.0}])
def test_a_wrong_ensemble_differs(cells, wrong):
    m = cells.z.mean(axis=0)
    z = m + wrong.get("shift", 0.0) + wrong.get("narrow", 1.0) * (cells.z - m)
    f = replace(cells, z=z)
    rows = compared(f, chain(f, "same likelihood", np.random.default_rng(3), draws=100))
    assert sum(not r.agrees for r in rows) > len(rows) / 2


def test_the_chain_of_normal_noise_is_the_closed_form(cells):
    f = straight(cells)
    mean, sd = sampled(f, "same likelihood")
    e = f.emulator
    m, s = closed(e.linear, noise_with_lack(f), f.published - e.mean(np.zeros((1, f.z.shape[1])))[0])
    np.testing.assert_allclose(mean, m, atol=0.06)
    np.testing.assert_allclose(sd, s, rtol=0.08)


def test_the_chain_of_exact_likelihoods_is_the_closed_form_where_all_are_normal(cells):
    """Effects of a trial are drawn in the chain, and integrated in the closed form."""
    f = straight(cells)
    y, se = f.published, np.sqrt(np.diag(f.emulator.noise))
    f = replace(
        f,
        data=[
            replace(
                d, kind="normal", scale="identity", value=float(v), se=float(s), half_width=0.0, protocol=d.protocol
            )
            for d, v, s in zip(f.data, y, se, strict=True)
        ],
    )
    e = replace(f.emulator, noise=np.diag(se**2))
    f = replace(f, emulator=e)
    mean, sd = sampled(f, "exact likelihood")
    m, s = closed(e.linear, noise_with_lack(f), f.published - e.mean(np.zeros((1, f.z.shape[1])))[0])
    np.testing.assert_allclose(mean, m, atol=0.06)
    np.testing.assert_allclose(sd, s, rtol=0.08)


def test_loadings_are_the_emulators_effects(cells):
    rng = np.random.default_rng(0)
    groups, q = list(dict.fromkeys(cells.groups)), cells.emulator.effect.shape[1]
    n = {g: rng.normal(size=(1, q)) for g in groups}
    zero = np.zeros((1, cells.z.shape[1]))
    u = {g: x * cells.sds.mode for g, x in n.items()}
    K = loadings(cells)[:, : -len(cells.data)]
    assert K.shape[1] <= len(groups) * q
    got = np.zeros(len(cells.data))
    at = 0
    for g in groups:
        own = [k for k, x in enumerate(cells.groups) if x == g]
        moving = np.flatnonzero(np.abs(cells.emulator.effect[own]).max(axis=0) > 0)
        got += K[:, at : at + len(moving)] @ n[g][0, moving]
        at += len(moving)
    np.testing.assert_allclose(got, (cells.emulator.mean(zero, u) - cells.emulator.mean(zero))[0], atol=1e-12)


def test_a_registry_weighs_as_many_as_are_simulated(cells):
    d = cells.data[0]
    data = [d, replace(d, protocol="", n=10.0 * REGISTRY_PEOPLE), replace(d, protocol="", n=50.0)]
    assert weights(data).tolist() == [1.0, 0.1, 1.0]


def test_one_chain_and_unknown_likelihoods_are_refused(cells):
    with pytest.raises(InputError, match="2 or more"):
        cross_check(cells, chains=1)
    with pytest.raises(InputError, match="did you mean"):
        chain(cells, "exact likelyhood", np.random.default_rng(0))
