"""Joint ranks: who is better by hand, limits, what is refused, and what must not change them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import brunnermunzel

import stemtrial.analysis as an
from stemtrial.analysis import Status
from stemtrial.errors import InputError

NAN = np.nan
ARM = [[True, True, False, False]]


def test_by_hand():
    change = [[[-1, -9, -9], [-2, -3, NAN], [-1, -5, -6], [NAN, NAN, NAN]]]
    time, died = [[9, 9, 9, 4]], [[False, False, False, True]]
    fit = an.cafs(change, time, died, ARM)
    # 0 and 1 meet at visit 1 (-9 against -3), 0 and 2 at visit 2 (-9 against -6), 1 and 2 at visit 1 (-3 against -5)
    np.testing.assert_array_equal(fit.rank, [[2, 4, 3, 1]])
    assert (fit.treated.value[0], fit.control.value[0]) == (3, 2)
    assert fit.probability.value[0] == 0.75
    worse = an.cafs(-np.array(change), time, died, ARM, higher_is_better=False)
    np.testing.assert_array_equal(worse.rank, fit.rank)


def test_earlier_death_is_worse_whatever_the_function():
    fit = an.cafs([[[9], [0], [-9], [5]]], [[1, 2, 3, 4]], [[True] * 4], ARM)
    np.testing.assert_array_equal(fit.rank, [[1, 2, 3, 4]])


def test_a_patient_lost_before_a_death():
    change = [[[-9], [NAN], [-1], [0]]]  # the first was lost at 1, with the worst function; the third died at 3
    change[0][1] = [-5]
    time, died = [[1, 5, 3, 5]], [[False, False, True, False]]
    np.testing.assert_array_equal(an.cafs(change, time, died, ARM).rank, [[1, 3, 2, 4]])
    np.testing.assert_array_equal(an.cafs(change, time, died, ARM, lost="alive").rank, [[2, 3, 1, 4]])
    known = [[3, 5, 3, 5]]  # seen alive on the day of the death
    np.testing.assert_array_equal(an.cafs(change, known, died, ARM).rank, [[2, 3, 1, 4]])


def test_limits():
    change = np.zeros((4, 4, 1))
    arm = np.array([[1, 1, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0], [1, 1, 0, 0]], bool)
    change[2, 0], change[3, :2] = 1.0, 1.0
    everybody = np.ones((4, 4))
    with np.errstate(all="raise", under="ignore"):
        fit = an.cafs(change, everybody, everybody < 0, arm)
    assert fit.probability.status.tolist() == [Status.OK, Status.NO_DATA, Status.OK, Status.OK]
    np.testing.assert_array_equal(fit.probability.value, [0.5, NAN, 1, 1])
    np.testing.assert_array_equal(fit.rank[0], [2.5] * 4)
    assert np.isnan(fit.p_value[:2]).all(), "all tied, an arm empty: no test"
    assert np.isnan(fit.probability.lower[2]), "one patient has no variance"
    assert fit.z[3] > 0


def test_the_interval_is_brunners_and_munzels():
    rng = np.random.default_rng(8)
    x = rng.integers(-12, 3, (5, 40, 1)).astype(float)
    arm = np.broadcast_to(np.arange(40) % 3 == 0, (5, 40))
    everybody = np.ones((5, 40), bool)
    fit = an.cafs(x, everybody, ~everybody, arm)
    for r in range(5):
        theirs = brunnermunzel(x[r, ~arm[r], 0], x[r, arm[r], 0])
        assert fit.probability.p_value[r] == pytest.approx(theirs.pvalue, rel=1e-9)
        assert (fit.probability.value[r] - 0.5) / fit.probability.se[r] == pytest.approx(theirs.statistic, rel=1e-9)


@settings(max_examples=50)
@given(seed=st.integers(0, 10**6), lost=st.sampled_from(["compare", "alive"]))
def test_order_units_strangers_and_arms(seed, lost):
    rng = np.random.default_rng(seed)
    n = 12
    change = np.round(rng.normal(-4, 3, (2, n, 3)))
    change[rng.random(change.shape) < 0.3] = NAN
    time, died, arm = rng.integers(1, 9, (2, n)) * 1.0, rng.random((2, n)) < 0.4, rng.random((2, n)) < 0.5
    fit = an.cafs(change, time, died, arm, lost=lost)
    p = rng.permutation(n)
    wide = [
        np.concatenate([x[:, p], np.full((2, 1, *x.shape[2:]), fill)], 1)
        for x, fill in ((3 * change, 99.0), (time / 12, NAN), (died, True), (arm, True))
    ]
    include = np.tile(np.arange(n + 1) < n, (2, 1))
    other = an.cafs(*wide, include, lost=lost)
    np.testing.assert_array_equal(other.rank[:, :n], fit.rank[:, p])
    assert np.isnan(other.rank[:, n]).all()
    np.testing.assert_allclose(other.p_value, fit.p_value)
    np.testing.assert_allclose(other.probability.lower, fit.probability.lower)
    turned = an.cafs(change, time, died, ~arm, lost=lost)
    np.testing.assert_allclose(turned.z, -fit.z, atol=1e-12)
    np.testing.assert_allclose(turned.probability.value, 1 - fit.probability.value)
    np.testing.assert_allclose(turned.probability.lower, 1 - fit.probability.upper)
    assert fit.rank.sum() == pytest.approx(2 * n * (n + 1) / 2)


def test_ranks_can_be_adjusted_for_a_baseline():
    rng = np.random.default_rng(1)
    baseline = rng.normal(size=(1, 60))
    arm = np.arange(60)[None] % 2 == 0
    change = (2 * baseline + arm + rng.normal(size=(1, 60)))[..., None]
    everybody = np.ones((1, 60), bool)
    fit = an.cafs(change, everybody, ~everybody, arm)
    adjusted = an.ancova(np.nan_to_num(fit.rank), baseline, arm, everybody)
    assert adjusted.p_value[0] < fit.p_value[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"change": np.zeros((1, 4))}, r"change must have three axes \(replicates, patients, visits\), not 2"),
        ({"change": np.full((1, 4, 1), np.inf)}, "infinite"),
        ({"time": [[NAN] * 4]}, "time holds 4 NaN"),
        ({"died": [[0.5] * 4]}, "died must be true or false"),
        ({"lost": "dead"}, "lost must be 'compare' or 'alive', not 'dead'"),
    ],
)
def test_refused(change, message):
    given = {"change": np.zeros((1, 4, 1)), "time": [[1.0] * 4], "died": [[False] * 4], "treated": ARM}
    with pytest.raises(InputError, match=message):
        an.cafs(**(given | change))
