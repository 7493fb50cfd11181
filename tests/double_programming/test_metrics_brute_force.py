"""Scores of forecasts against their definitions, written out as slowly as they read."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from stemtrial.predict.metrics import crps, interval_score, joint_rank, pit, ratio, shrunk_covariance

numbers = st.floats(-50, 50, allow_nan=False)
samples = st.lists(numbers, min_size=2, max_size=25)


@given(samples, numbers)
def test_crps_is_the_mean_distance_less_half_that_of_pairs(x, y):
    n = len(x)
    distance = sum(abs(v - y) for v in x) / n
    pairs = [abs(a - b) for a, b in itertools.permutations(x, 2)]
    assert crps(x, y) == pytest.approx(distance - 0.5 * sum(pairs) / (n * (n - 1)), abs=1e-9)
    assert crps(x, y, fair=False) == pytest.approx(distance - 0.5 * sum(pairs) / n**2, abs=1e-9)


@given(st.lists(numbers, min_size=1, max_size=12), numbers)
@settings(max_examples=40, deadline=None)
def test_crps_is_the_integral_of_squared_distance_of_distributions(x, y):
    """The definition: integral of (F(t) - 1[t >= y])^2, of the steps of the sample."""
    edges = sorted({*x, y})
    total = 0.0
    for a, b in itertools.pairwise(edges):
        middle = (a + b) / 2
        total += (b - a) * (sum(v <= middle for v in x) / len(x) - (middle >= y)) ** 2
    assert crps(x, y, fair=False) == pytest.approx(total, abs=1e-9)


@pytest.mark.parametrize("y", [-2.0, 0.0, 0.7, 3.0])
def test_crps_of_quantiles_is_that_of_the_normal_distribution(y):
    x = stats.norm.ppf((np.arange(4000) + 0.5) / 4000)
    closed = y * (2 * stats.norm.cdf(y) - 1) + 2 * stats.norm.pdf(y) - 1 / math.sqrt(math.pi)
    numeric = integrate.quad(lambda t: (stats.norm.cdf(t) - (t >= y)) ** 2, -12, 12, points=[y])[0]
    assert closed == pytest.approx(numeric, abs=1e-6)
    assert crps(x, y, fair=False) == pytest.approx(closed, rel=2e-3)


@given(samples, numbers, st.sampled_from([0.5, 0.8, 0.9]))
def test_interval_score_by_its_three_terms(x, y, level):
    low, high = np.quantile(x, [(1 - level) / 2, (1 + level) / 2])
    alpha = 1 - level
    expected = high - low
    if y < low:
        expected += 2 / alpha * (low - y)
    if y > high:
        expected += 2 / alpha * (y - high)
    assert interval_score(x, y, level) == pytest.approx(expected, abs=1e-9)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=12), st.integers(0, 5), st.floats(0, 0.999))
def test_pit_is_a_place_in_the_line_drawn_evenly_among_equals(x, y, u):
    line = sorted([*x, y])
    places = [k for k, v in enumerate(line) if v == y]  # where y may stand
    expected = (places[0] + u * len(places)) / len(line)
    assert pit(x, y, u) == pytest.approx(expected)


def test_joint_rank_by_distances_one_by_one():
    rng = np.random.default_rng(3)
    mix = rng.normal(size=(4, 4))
    x = mix @ rng.normal(size=(4, 60))
    for y in (x[:, 0], mix @ rng.normal(size=4), np.full(4, 9.0)):
        every = [y, *x.T]
        mean = sum(every) / len(every)
        sd = np.sqrt(sum((v - mean) ** 2 for v in every) / len(every))
        z = [(v - mean) / sd for v in every]
        inverse = np.linalg.inv(shrunk_covariance(np.column_stack(z)))
        d = [float(v @ inverse @ v) for v in z]
        below = sum(v < d[0] - 1e-8 for v in d[1:])
        equal = sum(abs(v - d[0]) <= 1e-8 for v in d[1:])
        assert joint_rank(x, y).rank == pytest.approx((below + 0.5 * (equal + 1)) / len(every))


def test_shrinkage_by_the_formula_of_ledoit_and_wolf():
    """Their m, d^2, b^2 and a^2 (2004, section 3), one observation at a time, with norms divided by p as theirs are."""
    rng = np.random.default_rng(4)
    p, n = 6, 15
    x = rng.normal(size=(p, p)) @ rng.normal(size=(p, n))
    x -= x.mean(1, keepdims=True)
    s = sum(np.outer(c, c) for c in x.T) / n

    def norm2(a):
        return np.trace(a @ a.T) / p

    m = np.trace(s @ np.eye(p)) / p
    d2 = norm2(s - m * np.eye(p))
    b2 = min(d2, sum(norm2(np.outer(c, c) - s) for c in x.T) / n**2)
    expected = b2 / d2 * m * np.eye(p) + (d2 - b2) / d2 * s
    assert shrunk_covariance(x) == pytest.approx(expected)
    assert 0 < b2 / d2 < 1


@given(st.lists(st.tuples(st.floats(0.01, 10), st.floats(0.01, 10), st.sampled_from("abc")), min_size=1, max_size=12))
def test_ratio_is_a_geometric_mean_of_geometric_means(rows):
    of_cohort = {}
    for own, other, c in rows:
        top = max(own, other) / 100
        of_cohort.setdefault(c, []).append(max(own, top) / max(other, top))
    means = [math.prod(v) ** (1 / len(v)) for v in of_cohort.values()]
    told = ratio(*([r[k] for r in rows] for k in range(3)))
    assert told["ratio"] == pytest.approx(math.prod(means) ** (1 / len(means)))
    assert (told["cohorts"], told["outcomes"]) == (len(of_cohort), len(rows))
