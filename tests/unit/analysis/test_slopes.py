"""Slopes over visits: exact cases, limits, what is refused, and what must not change them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_ind

import stemtrial.analysis as an
from stemtrial.analysis import Status
from stemtrial.errors import InputError

OK, NONE = Status.OK, Status.NO_DATA


def trial(seed, replicates=2, patients=16, visits=5, missing=0.2, slope_sd=2.0):
    """Patients on noisy lines; some visits missed, one patient with one visit and one with none."""
    rng = np.random.default_rng(seed)
    shape = (replicates, patients, visits)
    time = np.arange(visits) + rng.uniform(0, 0.2, shape)
    arm = np.broadcast_to(np.arange(patients) % 2 == 1, shape[:2])
    b = rng.normal(size=(2, *shape[:2]))
    value = 30 + 3 * b[0][..., None] + (slope_sd * b[1] - 2 + arm)[..., None] * time + rng.normal(size=shape)
    value[..., 1:][rng.random((replicates, patients, visits - 1)) < missing] = np.nan
    value[:, -1, 1:] = np.nan
    value[:, -2] = np.nan
    return time, value, arm


def everything(fit):
    """Every number of a comparison that has a sign to turn or a unit, by name."""
    out = {
        f"{k} {f}": getattr(getattr(fit, k), f)
        for k in ("difference", "treated", "control")
        for f in ("value", "lower", "upper", "se", "p_value")
    }
    return out | {"covariance": fit.covariance, "sd": fit.residual_sd}


def same(a, b, rtol=1e-5):
    for name, x in everything(a).items():
        np.testing.assert_allclose(x, everything(b)[name], rtol=rtol, atol=rtol, err_msg=name)


def test_with_all_visits_the_model_is_a_t_test_of_the_patients_slopes():
    """Laird and Ware: balanced, the mixed model's slopes are means of least-squares slopes, with their variance."""
    time, value, arm = trial(3, missing=0, patients=22)
    time, value, arm = np.broadcast_to(np.arange(5.0), time.shape)[:, :20], value[:, :20], arm[:, :20]
    slopes = np.polyfit(np.arange(5.0), value.reshape(-1, 5).T, 1)[0].reshape(arm.shape)
    for shared in (False, True):
        fit = an.random_slope_difference(time, value, arm, shared_baseline=shared)
        if not shared:
            for r in range(2):
                test = ttest_ind(slopes[r, arm[r]], slopes[r, ~arm[r]])
                assert fit.difference.value[r] == pytest.approx(slopes[r, arm[r]].mean() - slopes[r, ~arm[r]].mean())
                assert fit.difference.p_value[r] == pytest.approx(test.pvalue, rel=1e-6)
        else:
            assert (fit.difference.se < an.random_slope_difference(time, value, arm).difference.se).all()


def test_one_group_is_the_arm_alone():
    time, value, arm = trial(4, patients=30)
    one = an.random_slope(time, value, arm)
    cut = np.where(arm[:, :, None], value, np.nan)
    two = an.random_slope(time, cut)
    np.testing.assert_allclose(one.slope.value, two.slope.value, rtol=1e-7)
    np.testing.assert_allclose(one.slope.se, two.slope.se, rtol=1e-6)
    assert np.isfinite(one.residual_sd).all()


def test_limits():
    time = np.broadcast_to([0.0, 1.0, 2.0], (7, 4, 3))
    value = np.random.default_rng(1).normal(size=(7, 4, 3))
    arm = np.broadcast_to([True, True, False, False], (7, 4)).copy()
    value[0] = np.nan  # nobody seen
    value[1, :2] = np.nan  # an arm unseen
    value[2, 2:, 1:] = np.nan  # an arm seen once
    value[3] = 5.0  # constant
    value[4] = np.array([1.0, -1, 2, 4])[:, None] * time[4]  # all on their own lines
    value[5] = 3 - 2 * time[5]  # all on one line
    value[6, 1], value[6, 3] = np.nan, np.nan  # one patient an arm: no degrees of freedom
    with np.errstate(all="raise", under="ignore"):
        fit = an.random_slope_difference(time, value, arm)
    assert fit.difference.status.tolist() == [NONE, NONE, NONE, OK, OK, OK, OK]
    assert fit.control.status.tolist() == fit.difference.status.tolist()
    assert np.isnan(fit.difference.value[:3]).all()
    np.testing.assert_allclose(fit.difference.value[3:6], [0, -3, 0], atol=1e-5)
    np.testing.assert_allclose(fit.control.value[3:6], [0, 3, -2], atol=1e-5)
    assert np.isnan(fit.difference.se[3:6]).all(), "no residual, no variance"
    assert np.isfinite(fit.difference.value[6])
    assert np.isnan(fit.difference.lower[6])


def test_patients_with_one_visit_inform_the_intercept_only():
    time, value, arm = trial(5, patients=20)
    with_them = an.random_slope_difference(time, value, arm)
    without = an.random_slope_difference(time, value, arm, np.isfinite(value).sum(2) > 1)
    assert not np.allclose(with_them.difference.value, without.difference.value, rtol=1e-6)
    assert np.abs(with_them.difference.value - without.difference.value).max() < 0.3 * with_them.difference.se.max()


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), shared=st.booleans())
def test_order_and_strangers_change_nothing(seed, shared):
    time, value, arm = trial(seed)
    fit = an.random_slope_difference(time, value, arm, shared_baseline=shared)
    rng = np.random.default_rng(seed)
    p, v = rng.permutation(value.shape[1]), rng.permutation(value.shape[2])
    same(fit, an.random_slope_difference(time[:, p][:, :, v], value[:, p][:, :, v], arm[:, p], shared_baseline=shared))
    # patients without a visit, patients not included, and other replicates
    more = np.full((2, 3, 5), np.nan)
    stranger = np.full((2, 1, 5), 1e6)
    wide = [
        np.concatenate(x, 1) for x in ((time, more, more[:, :1]), (value, more, stranger), (arm, np.ones((2, 4), bool)))
    ]
    include = np.arange(value.shape[1] + 4) < value.shape[1] + 3
    other = an.random_slope_difference(*wide, np.tile(include, (2, 1)), shared_baseline=shared)
    same(fit, other)
    alone = an.random_slope_difference(time[1:], value[1:], arm[1:], shared_baseline=shared)
    np.testing.assert_allclose(alone.difference.value[0], fit.difference.value[1], rtol=1e-9)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    shift=st.floats(-100, 100),
    unit=st.sampled_from([1 / 365.25, 1 / 12, 12.0, 365.25]),
    shared=st.booleans(),
)
def test_units_and_origins(seed, shift, unit, shared):
    time, value, arm = trial(seed)
    fit = everything(an.random_slope_difference(time, value, arm, shared_baseline=shared))
    moved = everything(an.random_slope_difference(time * unit, value + shift, arm, shared_baseline=shared))
    turned = everything(an.random_slope_difference(time, -value, ~arm, shared_baseline=shared))
    for k in ("value", "lower", "upper", "se"):
        np.testing.assert_allclose(moved[f"difference {k}"] * unit, fit[f"difference {k}"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(turned["difference value"], fit["difference value"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(turned["treated value"], -fit["control value"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(moved["sd"], fit["sd"], rtol=1e-4)
    if not shared:  # where the clock starts moves the intercept alone
        later = everything(an.random_slope_difference(time + 2, value, arm))
        np.testing.assert_allclose(later["difference value"], fit["difference value"], rtol=1e-4, atol=1e-5)


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), spread=st.floats(0, 3))
def test_no_other_variances_are_likelier(seed, spread):
    """The restricted likelihood, written out with whole covariance matrices, is largest at the estimate."""
    time, value, arm = (x[:1] for x in trial(seed, patients=10, slope_sd=spread))
    fit = an.random_slope_difference(time, value, arm)

    def reml(d, sigma):
        total, info, right, squares, n = 0.0, 0.0, 0.0, 0.0, 0
        for t, y, g in zip(time[0], value[0], arm[0], strict=True):
            t, y = t[np.isfinite(y)], y[np.isfinite(y)]
            if not len(y):
                continue
            z = np.stack([np.ones_like(t), t], 1)
            x = np.concatenate([z, z * g], 1)
            v = np.linalg.inv(z @ d @ z.T + sigma**2 * np.eye(len(t)))
            total -= np.linalg.slogdet(v)[1]
            info, right, squares, n = info + x.T @ v @ x, right + x.T @ v @ y, squares + y @ v @ y, n + len(y)
        return -(total + np.linalg.slogdet(info)[1] + squares - right @ np.linalg.solve(info, right)) / 2

    d, sigma = fit.covariance[0], fit.residual_sd[0]
    best = reml(d, sigma)
    root = np.linalg.cholesky(d + 1e-12 * np.diag(np.diag(d) + 1e-6))
    rng = np.random.default_rng(seed)
    for _ in range(30):
        other = root + rng.normal(0, 0.1, (2, 2)) * np.abs(root).max()
        assert reml(other @ other.T, sigma * np.exp(rng.normal(0, 0.1))) <= best + 1e-6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value": np.zeros((2, 3))}, r"value must have three axes \(replicates, patients, visits\), not 2"),
        ({"time": np.zeros((2, 3, 5))}, "time has shape"),
        ({"value": np.full((1, 2, 3), np.inf)}, "infinite"),
        ({"time": np.full((1, 2, 3), np.nan)}, "give the time of every value"),
        ({"value": np.full((1, 2, 3), "a")}, "real numbers"),
        ({"treated": [[1, 2]]}, "treated must be true or false"),
        ({"level": 95}, "confidence level"),
    ],
)
def test_refused(change, message):
    given = {"time": np.tile([0.0, 1, 2], (1, 2, 1)), "value": np.ones((1, 2, 3)), "treated": [[True, False]]}
    with pytest.raises(InputError, match=message):
        an.random_slope_difference(**(given | change))
