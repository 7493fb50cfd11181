"""Priors as transforms of a standard normal: there and back, moments, borders."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from stemtrial.errors import InputError
from stemtrial.parameters import Parameter, from_normal, priors, registry, to_normal
from stemtrial.parameters.priors import FREE, beta_shape

FREE_NAMES = [n for n, p in registry().items() if p.prior.get("dist") in FREE]
BY_KIND = {k: [n for n in FREE_NAMES if registry()[n].prior["dist"] == k] for k in FREE}
BORDER = next(n for n in BY_KIND["beta"] if registry()[n].value == 0)


def test_every_parameter_with_a_prior_goes_there_and_back():
    z = np.random.default_rng(3).normal(size=(40, len(FREE_NAMES)))
    np.testing.assert_allclose(to_normal(FREE_NAMES, from_normal(FREE_NAMES, z)), z, atol=1e-5)


@given(st.sampled_from(FREE_NAMES), st.floats(-3.5, 3.5))
def test_there_and_back(name, z):
    value = from_normal([name], [[z]])
    assert to_normal([name], value)[0, 0] == pytest.approx(z, abs=1e-4)


@given(st.sampled_from(FREE_NAMES), st.lists(st.floats(-4, 4), min_size=2, max_size=5))
def test_values_rise_with_z_or_fall_where_the_value_is_negative(name, z):
    p = registry()[name]
    values = from_normal([name], np.sort(z)[:, None])[:, 0]
    falls = p.prior["dist"] == "lognormal" and p.value < 0
    assert (np.diff(-values if falls else values) >= -1e-12 * np.abs(values).max()).all()


def test_values_follow_the_stated_prior():
    z = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)[:, None]
    for kind, names in BY_KIND.items():
        for name in names[:3]:
            p, x = registry()[name], from_normal([name], z)[:, 0]
            if kind == "lognormal":
                assert np.log(x / p.value).std() == pytest.approx(p.prior["sd"], rel=0.01)
                assert np.median(x) == pytest.approx(p.value, rel=1e-3)
                continue
            sd = p.prior["sd"]
            mean = p.value if kind == "normal" else np.clip(p.value, sd / 2, 1 - sd / 2)
            assert x.mean() == pytest.approx(mean, abs=0.01 * sd)
            assert x.std() == pytest.approx(sd, rel=0.02)


@given(st.floats(0, 1), st.floats(0.01, 0.39))
def test_a_beta_prior_has_its_sd_and_its_mean_off_the_border(mean, sd):
    law = stats.beta(*beta_shape("a.b", mean, sd))
    assert law.std() == pytest.approx(sd, rel=1e-6)
    assert sd / 2 - 1e-9 <= law.mean() <= 1 - sd / 2 + 1e-9
    if sd / 2 <= mean <= 1 - sd / 2:
        assert law.mean() == pytest.approx(mean, rel=1e-6)


def test_a_share_at_the_border_stands_at_the_end():
    assert registry()[BORDER].value == 0
    np.testing.assert_array_equal(to_normal([BORDER], [[0.0], [1.0]])[:, 0], [-8, 8])
    values = from_normal([BORDER], [[-8.0], [8.0]])[:, 0]
    assert (values >= 0).all()
    assert (values <= 1).all()


@pytest.mark.parametrize(("dist", "at_0"), [("normal", 0.3), ("lognormal", 0.3), ("beta", 0.297)])
def test_a_prior_may_have_a_mean_other_than_the_point_value(monkeypatch, dist, at_0):
    p = Parameter("a.b", 0.1, "1", "meaning", "assumed", {"dist": dist, "mean": 0.3, "sd": 0.1}, "")
    monkeypatch.setattr(priors, "registry", lambda: {"a.b": p})
    assert from_normal(["a.b"], [[0.0]])[0, 0] == pytest.approx(at_0, abs=0.01)


@pytest.mark.parametrize("go", [from_normal, to_normal])
def test_what_cannot_be_transformed_is_refused(go):
    fixed = next(n for n, p in registry().items() if p.prior.get("dist") == "fixed")
    bare = next(n for n, p in registry().items() if not p.prior)
    for name in (fixed, bare):
        with pytest.raises(InputError, match=f"parameter '{name}' has no prior to fit it by"):
            go([name], [[0.5]])
    with pytest.raises(InputError, match=r"parameter 'ms\.kMM' is not registered; did you mean"):
        go(["ms.kMM"], [[0.5]])
    with pytest.raises(InputError, match=r"an array of shape \(1, 2\) does not fit 1 names"):
        go(["ms.kM"], [[0.5, 0.5]])


def test_values_that_a_prior_forbids_are_refused():
    with pytest.raises(InputError, match="its prior is beta: use values 0 to 1"):
        to_normal([BORDER], [[1.5]])
    name = BY_KIND["lognormal"][0]
    with pytest.raises(InputError, match="its prior is lognormal: use values of the sign"):
        to_normal([name], [[-registry()[name].value]])


def test_a_beta_prior_wider_than_any_is_refused():
    with pytest.raises(InputError, match=r"no beta prior has mean 0\.5 and sd 0\.6"):
        beta_shape("a.b", 0.5, 0.6)
