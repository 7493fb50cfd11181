"""The joint model of slope and survival: limits, what is refused, and what must not change it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stemtrial.analysis as an
from stemtrial.analysis import Status
from stemtrial.analysis._joint import _WEIGHT, _Z, survive
from stemtrial.errors import InputError


def trial(seed, replicates=2, patients=40, visits=5):
    """A trial under the model, about half of whose patients die; years and points."""
    rng = np.random.default_rng(seed)
    shape = (replicates, patients)
    time = np.broadcast_to(np.linspace(0, 1, visits), (*shape, visits))
    arm = np.broadcast_to(np.arange(patients) % 2 == 1, shape)
    b0, b1 = 5 * rng.normal(size=shape), 8 * rng.normal(size=shape)
    value = 37 + b0[..., None] + (b1 - 12 + 2 * arm)[..., None] * time + 1.5 * rng.normal(size=time.shape)
    follow = (rng.exponential(size=shape) / (0.6 * np.exp(-0.3 * arm - 0.12 * b1))) ** (1 / 1.3)
    died, follow = follow < 1, np.minimum(follow, 1)
    value[time > follow[..., None]] = np.nan
    return time, value, follow, died, arm


def test_mean_survival_over_a_normal_spread_and_its_slopes():
    m = np.array([-2.0, 0.3, -np.inf, 1.0, 8.0])
    s = np.array([0.0, 0.8, 0.5, 1.0, 0.2])
    out = np.empty((3, 5))
    survive(m, s, _Z, _WEIGHT, out)
    u = np.linspace(-12, 12, 20001)
    weight = np.exp(-u * u / 2)
    hazard = np.exp(m[:, None] + s[:, None] * u)
    moments = [(k * np.exp(-hazard) * weight).sum(1) / weight.sum() for k in (1.0, -hazard, hazard * (hazard - 1))]
    np.testing.assert_allclose(out[0, :4], np.log(moments[0][:4]), atol=1e-7)
    np.testing.assert_allclose(out[1, :4], (moments[1] / moments[0])[:4], atol=1e-6)
    np.testing.assert_allclose(out[2, :4], (moments[2] / moments[0])[:4], atol=1e-5)
    assert np.isfinite(out).all(), "where nobody could survive the logarithm still exists"


def test_without_deaths_it_is_the_random_slope_model():
    time, value, follow, _, arm = trial(1)
    fit = an.joint_slope_difference(time, value, follow, np.zeros(arm.shape, bool), arm)
    mixed = an.random_slope_difference(time, value, arm)
    np.testing.assert_allclose(fit.difference.value, mixed.difference.value, rtol=0.02)  # not restricted
    assert fit.hazard_ratio.status.tolist() == [Status.NO_DATA] * 2
    assert np.isnan(fit.association).all()
    assert np.isnan(fit.hazard_shape).all()
    assert fit.converged.all()


def test_deaths_in_one_arm_only():
    time, value, follow, died, arm = trial(2)
    for none, status, limit in ((arm, Status.AT_LOWER_LIMIT, 0.0), (~arm, Status.AT_UPPER_LIMIT, np.inf)):
        fit = an.joint_slope_difference(time, value, follow, died & ~none, arm)
        assert fit.hazard_ratio.status.tolist() == [status] * 2
        assert (fit.hazard_ratio.value == limit).all()
        assert np.isfinite(fit.difference.value).all()


def test_few_deaths_leave_the_association_out():
    time, value, follow, died, arm = trial(3)
    few = died & (died.cumsum(1) <= 7)
    both = an.joint_slope_difference(time, value, follow, few, arm)
    slope = an.joint_slope_difference(time, value, follow, few, arm, association="slope")
    none = an.joint_slope_difference(time, value, follow, few, arm, association="none")
    assert np.isnan(both.association).all(), "7 deaths are less than 5 for each of two"
    np.testing.assert_allclose(both.difference.value, none.difference.value)
    assert np.isfinite(slope.association[:, 1]).all()
    assert np.isnan(slope.association[:, 0]).all()
    assert (slope.log_likelihood >= none.log_likelihood - 1e-6).all()


def test_more_freedom_is_never_less_likely():
    data = trial(4)
    least = [an.joint_slope_difference(*data, association=a).log_likelihood for a in ("none", "slope", "both")]
    assert (np.diff(least, axis=0) > -1e-6).all()
    constant = an.joint_slope_difference(*data, hazard="exponential")
    assert (constant.hazard_shape == 1).all()
    assert (constant.log_likelihood <= least[2] + 1e-6).all()


def test_empty_arms_and_deaths_on_day_0():
    time, value, follow, died, arm = (x.copy() for x in trial(5))
    value[0][arm[0]] = np.nan
    follow[1, :3], died[1, 0] = 0.0, True
    with np.errstate(all="raise", under="ignore"):
        fit = an.joint_slope_difference(time, value, follow, died, arm)
    assert fit.difference.status.tolist() == [Status.NO_DATA, Status.OK]
    assert fit.hazard_ratio.status.tolist() == [Status.NO_DATA, Status.OK]
    assert np.isfinite(fit.hazard_ratio.value[1])


def test_one_group():
    time, value, follow, died, arm = trial(6, patients=80)
    fit = an.joint_slope(time, value, follow, died, arm)
    alone = an.joint_slope(time, np.where(arm[..., None], value, np.nan), np.where(arm, follow, 0.0), died & arm)
    np.testing.assert_allclose(fit.slope.value, alone.slope.value, rtol=1e-5)
    np.testing.assert_allclose(fit.association, alone.association, rtol=1e-3, atol=1e-5)
    assert (np.abs(fit.slope.value + 10) < 5 * fit.slope.se).all()


@settings(max_examples=8)
@given(seed=st.integers(0, 10**6), unit=st.sampled_from([12.0, 365.25]), shift=st.floats(-50, 50), shared=st.booleans())
def test_order_units_strangers_and_arms(seed, unit, shift, shared):
    time, value, follow, died, arm = trial(seed)
    fit = an.joint_slope_difference(time, value, follow, died, arm, shared_baseline=shared)
    p = np.random.default_rng(seed).permutation(arm.shape[1])
    wide = [
        np.concatenate([x, y], 1)
        for x, y in (
            (unit * time[:, p], np.zeros((2, 2, 5))),
            (value[:, p] + shift, np.full((2, 2, 5), 1e3)),
            (unit * follow[:, p], np.full((2, 2), np.nan)),
            (died[:, p], np.ones((2, 2), bool)),
            (arm[:, p], np.ones((2, 2), bool)),
        )
    ]
    include = np.arange(arm.shape[1] + 2) < arm.shape[1]
    other = an.joint_slope_difference(*wide, np.tile(include, (2, 1)), shared_baseline=shared)
    settled = fit.converged & other.converged
    close = {"rtol": 1e-3, "atol": 1e-3}
    np.testing.assert_allclose((other.difference.value * unit)[settled], fit.difference.value[settled], **close)
    np.testing.assert_allclose(other.hazard_ratio.value[settled], fit.hazard_ratio.value[settled], **close)
    np.testing.assert_allclose((other.association / [1, unit])[settled], fit.association[settled], **close)
    moved = died.sum(1) * np.log(unit)
    np.testing.assert_allclose((other.log_likelihood + moved)[settled], fit.log_likelihood[settled], atol=1e-5)
    turned = an.joint_slope_difference(time, value, follow, died, ~arm, shared_baseline=shared)
    settled = fit.converged & turned.converged
    np.testing.assert_allclose(turned.difference.value[settled], -fit.difference.value[settled], **close)
    np.testing.assert_allclose(turned.hazard_ratio.value[settled], 1 / fit.hazard_ratio.value[settled], **close)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"association": "value"}, "association must be 'both' or 'slope' or 'none'"),
        ({"hazard": "cox"}, "hazard must be 'weibull' or 'exponential'"),
        ({"event_time": [[-1.0] * 40] * 2}, "event_time must not be negative"),
        ({"event_time": [[np.nan] * 40] * 2}, "event_time holds 80 NaN"),
        ({"died": [[2] * 40] * 2}, "died must be true or false"),
    ],
)
def test_refused(change, message):
    given = dict(zip(("time", "value", "event_time", "died", "treated"), trial(0), strict=True))
    with pytest.raises(InputError, match=message):
        an.joint_slope_difference(**(given | change))
