"""What scores must do: limits, ties, missing replicates, right forecasts scoring best, cohorts counting once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemtrial.errors import InputError
from stemtrial.predict.metrics import (
    FLOOR,
    cluster_interval,
    crps,
    interval_score,
    joint_rank,
    on_scoring_scale,
    pit,
    pit_uniformity,
    ratio,
    scoring_scale,
    tie_breaker,
)

INF, NAN = np.inf, np.nan
numbers = st.floats(-100, 100)
samples = st.lists(numbers, min_size=2, max_size=30)


# -- CRPS and interval score -------------------------------------------------------------------------------------------
@given(samples, numbers, st.floats(-10, 10), st.floats(0.1, 10))
def test_crps_moves_with_the_unit_and_not_with_the_origin(x, y, shift, factor):
    moved = np.array(x) * factor + shift
    assert crps(moved, y * factor + shift) == pytest.approx(factor * crps(x, y), abs=1e-7)
    assert crps(-np.array(x), -y) == pytest.approx(crps(x, y), abs=1e-9)
    assert crps(x, y) >= 0


def test_the_right_spread_scores_best():
    """A proper score: over many values a forecast of their own distribution beats narrower, wider and shifted ones."""
    rng = np.random.default_rng(5)
    truth, x = rng.normal(size=400), rng.normal(size=400)
    for score in (crps, lambda v, y: interval_score(v, y, 0.9)):
        right, *wrong = (np.mean([score(f, y) for y in truth]) for f in (x, 0.5 * x, 2 * x, x + 1, np.zeros(2)))
        assert right < min(wrong)


def test_fair_crps_does_not_depend_on_the_number_of_replicates():
    rng = np.random.default_rng(6)
    few = np.mean([crps(rng.normal(size=4), y) for y in rng.normal(size=20_000)])
    unfair = np.mean([crps(rng.normal(size=4), y, fair=False) for y in rng.normal(size=20_000)])
    assert few == pytest.approx(1 / np.sqrt(np.pi), rel=0.02)
    assert unfair > 1.15 * few


def test_limits_are_clipped_and_missing_replicates_left_out():
    assert crps([1.0, 2.0, INF], 1.5) == crps([1.0, 2.0, 2.0], 1.5)
    assert crps([-INF, 1.0, 2.0, NAN], 1.5) == crps([1.0, 1.0, 2.0], 1.5)
    assert interval_score([1.0, 2.0, INF, -INF], 0.0, 0.9) == interval_score([1.0, 2.0, 2.0, 1.0], 0.0, 0.9)
    for nothing in ([], [NAN], [INF, -INF]):
        assert np.isnan(crps(nothing, 1.0))
        assert np.isnan(interval_score(nothing, 1.0, 0.5))
    assert np.isnan(crps([1.0, 2.0], NAN))
    assert crps([3.0], 1.0) == 2.0


def test_a_level_outside_its_bounds_is_refused():
    with pytest.raises(InputError, match=r"level 90 lies outside \(0, 1\)"):
        interval_score([1.0, 2.0], 1.0, 90)


def test_ratios_are_scored_alike_upside_down():
    assert scoring_scale("hazard_ratio") == "log"
    assert scoring_scale("rate_per_year") == "identity"
    x = np.random.default_rng(7).lognormal(size=100)
    one, other = (crps(on_scoring_scale("rate_ratio", v), float(np.log(y))) for v, y in ((x, 0.4), (1 / x, 2.5)))
    assert one == pytest.approx(other)
    assert on_scoring_scale("hazard_ratio", [0.0, INF]).tolist() == [-INF, INF]
    assert on_scoring_scale("mean", [0.0, 2.0]).tolist() == [0.0, 2.0]


# -- PIT ---------------------------------------------------------------------------------------------------------------
def test_randomised_pit_of_counts_is_uniform():
    rng = np.random.default_rng(8)
    u = [pit(rng.binomial(10, 0.1, 200), rng.binomial(10, 0.1), v) for v in rng.random(4000)]
    shares = np.histogram(u, 10, (0, 1))[0] / 4000
    assert shares == pytest.approx(np.full(10, 0.1), abs=0.02)


@given(samples, numbers, st.floats(0, 0.999))
def test_pit_lies_in_the_unit_interval_and_rises_with_the_value(x, y, u):
    assert 0 <= pit(x, y, u) < 1
    assert pit(x, y + 1, u) >= pit(x, y, u)


def test_a_rounded_value_ties_with_what_it_stands_for():
    """1 of 24 is printed as 0.042."""
    x = np.repeat([0.0, 1 / 24, 2 / 24], 10)
    assert pit(x, 0.042, 0.0) == pit(x, 0.042, 0.9) - 0.9 / 31
    assert pit(x, 0.042, 0.0, half_width=0.0005) == pytest.approx(10 / 31)
    assert pit(x, 0.042, 0.9, half_width=0.0005) == pytest.approx((10 + 0.9 * 11) / 31)


def test_replicates_at_a_limit_count_at_their_end():
    assert pit([INF, INF, 1.0, NAN], 2.0, 0.0) == pytest.approx(1 / 4)
    assert np.isnan(pit([NAN], 2.0, 0.5))


def test_tie_breakers_belong_to_their_name():
    u = [tie_breaker(f"study#{k}") for k in range(2000)]
    assert tie_breaker("study#7") == u[7]
    assert len(set(u)) == 2000
    assert np.histogram(u, 4, (0, 1))[0] / 2000 == pytest.approx(np.full(4, 0.25), abs=0.04)


def test_uniform_pits_are_told_from_narrow_and_biased_ones():
    rng = np.random.default_rng(9)
    cohorts = np.repeat(np.arange(60), 4).tolist()
    u = rng.random(240)
    right = pit_uniformity(u, cohorts)
    assert right["ci90_of_mean"][0] < 0.5 < right["ci90_of_mean"][1]
    assert right["ci90_of_dispersion"][0] < 1 < right["ci90_of_dispersion"][1]
    assert sum(right["histogram"]) == pytest.approx(1)
    narrow = pit_uniformity(rng.beta(0.4, 0.4, 240), cohorts)
    assert narrow["ci90_of_dispersion"][0] > 1
    wide = pit_uniformity(rng.beta(3, 3, 240), cohorts)
    assert wide["ci90_of_dispersion"][1] < 1
    assert pit_uniformity(u**2, cohorts)["ci90_of_mean"][1] < 0.5
    assert pit_uniformity([NAN], ["a"])["mean"] is None


def test_a_cohort_weighs_once_in_the_histogram():
    told = pit_uniformity([0.95] * 9 + [0.05], ["a"] * 9 + ["b"])
    assert [told["histogram"][0], told["histogram"][-1]] == pytest.approx([0.5, 0.5])


# -- joint rank --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("rows", [2, 40])
def test_joint_rank_is_uniform_where_the_model_is_right(rows):
    """Also with more rows than replicates: 40 of 30."""
    rng = np.random.default_rng(10)
    mix = rng.normal(size=(rows, rows))
    u = [joint_rank(mix @ rng.normal(size=(rows, 30)), mix @ rng.normal(size=rows)).rank for _ in range(600)]
    assert np.histogram(u, 5, (0, 1))[0] / 600 == pytest.approx(np.full(5, 0.2), abs=0.06)


def test_what_no_margin_shows_the_joint_rank_does():
    """Two outcomes that rise together, published one high and one low, each well inside its interval."""
    rng = np.random.default_rng(11)
    common = rng.normal(size=500)
    x = np.array([common, common]) + 0.1 * rng.normal(size=(2, 500))
    assert joint_rank(x, [1.0, -1.0]).rank > 0.99
    assert joint_rank(x, [1.0, 1.0]).rank < 0.9


def test_missing_replicates_and_rows():
    rng = np.random.default_rng(12)
    x = rng.normal(size=(4, 100))
    x[0, :5] = NAN
    x[1, :20] = NAN  # more than a tenth: the row is left out
    x[2, 7] = INF
    told = joint_rank(x, [0.0, 0.0, 0.0, NAN])
    assert (told.rows, told.replicates) == (2, 95)
    assert 0 < told.rank < 1
    assert np.isnan(joint_rank(np.full((2, 9), NAN), [1.0, 1.0]).rank)
    assert np.isnan(joint_rank(np.ones((1, 9)), [1.0]).rank)
    assert joint_rank(np.ones((1, 99)), [2.0]).rank > 0.99
    with pytest.raises(InputError, match="shapes"):
        joint_rank(np.ones((2, 9)), [1.0])


# -- ratios ------------------------------------------------------------------------------------------------------------
def test_ratio_turns_over_with_its_forecasters():
    rng = np.random.default_rng(13)
    a, b, c = rng.random(40), rng.random(40), rng.integers(0, 9, 40).tolist()
    one, other = ratio(a, b, c), ratio(b, a, c)
    assert one["ratio"] == pytest.approx(1 / other["ratio"])
    assert one["ci80"] == pytest.approx([1 / x for x in other["ci80"][::-1]], rel=0.02)
    assert one["ci90"][0] <= one["ci80"][0] <= one["ratio"] <= one["ci80"][1] <= one["ci90"][1]


def test_exact_hits_stand_at_the_floor():
    assert ratio([0.0], [2.0], ["a"])["ratio"] == pytest.approx(FLOOR)
    assert ratio([0.0], [0.0], ["a"])["ratio"] == 1
    assert ratio([2.0], [0.0], ["a"])["ratio"] == pytest.approx(1 / FLOOR)


def test_ratio_counts_what_is_left_out():
    told = ratio([1.0, NAN, 1.0], [2.0, 1.0, NAN], ["a", "a", "b"])
    assert (told["cohorts"], told["outcomes"], told["left_out"], told["ratio"]) == (1, 1, 2, 0.5)
    assert told["ci80"] is None
    assert ratio([], [], [])["ratio"] is None
    with pytest.raises(InputError, match="negative"):
        ratio([-1.0], [1.0], ["a"])
    with pytest.raises(InputError, match="outcomes"):
        ratio([1.0], [1.0], ["a", "b"])


def test_cluster_interval_narrows_with_cohorts():
    rng = np.random.default_rng(14)
    few, many = cluster_interval(rng.normal(size=10), 0.9), cluster_interval(rng.normal(size=1000), 0.9)
    assert few[1] - few[0] > 5 * (many[1] - many[0])
    assert cluster_interval([1.0], 0.9) is None
