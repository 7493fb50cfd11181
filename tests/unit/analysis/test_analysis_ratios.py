"""Ratios of means and of shares, medians and geometric means: limits, empty arms, what is refused, invariances."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import stemtrial.analysis as an
from stemtrial.analysis import Status
from stemtrial.errors import InputError

OK, LOW, HIGH, NONE = Status.OK, Status.AT_LOWER_LIMIT, Status.AT_UPPER_LIMIT, Status.NO_DATA
ARM = np.array([[1, 1, 1, 0, 0, 0]], bool)


@pytest.mark.parametrize(
    ("y", "value", "status"),
    [
        ([2, 4, 6, 1, 1, 1], 4.0, OK),
        ([-2, -4, -6, -1, -1, -1], 4.0, OK),  # brain volume: both lose
        ([3, 3, 3, 3, 3, 3], 1.0, OK),  # no spread at all
        ([0, 0, 0, 1, 2, 0], 0.0, LOW),
        ([0, 1, 0, 0, 0, 0], np.inf, HIGH),
        ([0] * 6, np.nan, NONE),
        ([1, 1, 1, -1, -1, -1], np.nan, NONE),  # a ratio of opposite signs says nothing
    ],
)
def test_ratio_of_means_at_its_limits(y, value, status):
    e = an.mean_ratio([y], ARM)
    assert e.status[0] == status
    np.testing.assert_allclose(e.value[0], value)


@pytest.mark.parametrize(
    ("event", "value", "status"),
    [
        ([1, 1, 0, 1, 0, 0], 2.0, OK),
        ([1, 1, 1, 1, 1, 1], 1.0, OK),
        ([0, 0, 0, 1, 0, 0], 0.0, LOW),
        ([1, 0, 0, 0, 0, 0], np.inf, HIGH),
        ([0] * 6, np.nan, NONE),
    ],
)
def test_ratio_of_shares_at_its_limits(event, value, status):
    e = an.risk_ratio([event], ARM)
    assert e.status[0] == status
    np.testing.assert_allclose(e.value[0], value)


def test_an_empty_arm_has_no_ratio():
    everybody = np.ones((1, 6), bool)
    assert an.mean_ratio([[1.0] * 6], everybody).status[0] == NONE
    assert an.risk_ratio([[1] * 6], everybody).status[0] == NONE
    assert an.geometric_mean_ratio([[1.0] * 6], everybody).status[0] == NONE


def test_median_of_even_odd_none_and_one():
    y = [[4, 1, 3, 2], [3, 1, 2, np.nan], [np.nan] * 4, [7, np.nan, np.nan, np.nan]]
    seen = np.isfinite(y)
    e = an.median(y, seen)
    np.testing.assert_array_equal(e.value, [2.5, 2, np.nan, 7])
    assert e.status.tolist() == [OK, OK, NONE, OK]
    assert np.isnan(e.lower).all(), "four patients hold no interval of 95 %"
    assert an.median(np.empty((2, 0))).status.tolist() == [NONE, NONE]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), st.floats(0.01, 0.99))
def test_median_is_numpys_and_lies_in_its_interval(y, level):
    e = an.median([y], level=level)
    assert e.value[0] == pytest.approx(np.median(y), rel=1e-12, abs=1e-300)
    if np.isfinite(e.lower[0]):
        assert e.lower[0] <= e.value[0] <= e.upper[0]


def test_the_interval_of_a_median_covers_as_it_says():
    y = np.random.default_rng(3).normal(size=(4000, 25))
    e = an.median(y)
    covered = ((e.lower < 0) & (e.upper > 0)).mean()
    assert covered + 0.01 >= 0.95, covered
    assert covered <= 0.975, "25 patients: the next narrower interval holds less than 95 %"


def test_geometric_means_need_positive_values():
    with pytest.raises(InputError, match=r"y must be positive for a geometric mean, found 0; use mean or median"):
        an.geometric_mean([[1.0, 0.0]])
    assert an.geometric_mean([[1.0, 0.0]], [[True, False]]).value[0] == 1.0, "outside the analysis set nothing is read"


@given(st.lists(st.floats(0.01, 100), min_size=6, max_size=6), st.floats(0.01, 100))
def test_ratios_do_not_depend_on_the_unit(y, factor):
    for ratio in (an.mean_ratio, an.geometric_mean_ratio):
        one, other = ratio([y], ARM), ratio([np.multiply(y, factor)], ARM)
        np.testing.assert_allclose(one.value, other.value, rtol=1e-9)
        swapped = ratio([y], ~ARM)
        np.testing.assert_allclose(swapped.value, 1 / one.value, rtol=1e-9)
