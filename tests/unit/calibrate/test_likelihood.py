"""Likelihoods: maxima where they belong, rounding that adds up to one, shapes and errors."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemtrial.calibrate.data import data, from_scale, on_scale
from stemtrial.calibrate.likelihood import log_likelihood
from stemtrial.errors import InputError

EVERY = {d.outcome_id: d for disease in ("ms", "als") for d in data(disease)[0]}
SHARE = dataclasses.replace(EVERY["polman2006_affirm#2"], n=40.0, value=0.25, half_width=0.0)
RATE = dataclasses.replace(
    EVERY["polman2006_affirm#6"], value=0.4, half_width=0.0, n=100.0, exposure=200.0, size=30.0, offset=0.0025
)
RATIO = EVERY["polman2006_affirm#1"]
MEAN = dataclasses.replace(EVERY["cohen2012_carems1#16"], value=-0.14, se=0.08, half_width=0.005)


@pytest.mark.parametrize("outcome", sorted(EVERY))
def test_the_published_value_is_the_likeliest_expectation(outcome):
    d = EVERY[outcome]
    y = float(on_scale(d, d.value))
    step = max(d.se or 0.3, 0.05)
    grid = from_scale(d, y + step * np.linspace(-4, 4, 81))
    ll = log_likelihood(d, grid)
    assert not np.isnan(ll).any()
    best = grid[int(np.argmax(ll))]
    near = from_scale(d, np.array([y - step, y + step]))  # continuity correction and rounding move it a little
    assert near[0] <= best <= near[1]
    assert ll[0] <= ll.max()
    assert ll[-1] <= ll.max()


@pytest.mark.parametrize("p", [0.0, 0.03, 0.3, 0.999])
def test_all_printed_shares_add_up_to_one(p):
    printed = np.arange(101) / 100
    total = sum(
        float(np.exp(log_likelihood(dataclasses.replace(SHARE, n=37.0, value=v, half_width=0.005), p)))
        for v in printed
        if any(abs(k / 37 - v) <= 0.005 for k in range(38))
    )
    assert total == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("rate", [0.05, 0.4, 1.1])
def test_all_printed_rates_add_up_to_one(rate):
    # 200 patient-years: rates are whole multiples of .005, so the classes are shifted off them and each falls in one
    values = 0.01 * np.arange(1200) - 0.0039
    classes = [dataclasses.replace(RATE, value=float(v), half_width=0.005) for v in values]
    assert sum(float(np.exp(log_likelihood(d, rate))) for d in classes) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(("d", "expected"), [(MEAN, -0.4), (MEAN, 0.3)])
def test_all_printed_means_add_up_to_one(d, expected):
    values = np.arange(-200, 201) / 100
    total = sum(float(np.exp(log_likelihood(dataclasses.replace(d, value=float(v)), expected))) for v in values)
    assert total == pytest.approx(1.0, abs=1e-9)


def test_fine_rounding_is_the_density_times_the_width():
    wide = dataclasses.replace(MEAN, half_width=1e-3)
    exact = dataclasses.replace(MEAN, half_width=0.0)
    x = np.array([-0.5, -0.14, 0.2])
    np.testing.assert_allclose(log_likelihood(wide, x), log_likelihood(exact, x) + np.log(2e-3), atol=1e-3)
    hair = dataclasses.replace(MEAN, half_width=1e-7)
    np.testing.assert_allclose(log_likelihood(hair, x), log_likelihood(exact, x) + np.log(2e-7), atol=1e-5)


def test_far_tails_keep_their_digits():
    ll = log_likelihood(MEAN, np.array([-0.14 - 30 * 0.08, -0.14 + 30 * 0.08]))
    assert np.isfinite(ll).all()
    assert ll[0] == pytest.approx(ll[1], rel=1e-6)
    assert ll[0] == pytest.approx(-450, rel=0.02)


@given(st.floats(0.001, 0.999))
def test_on_the_scale_and_off_it_are_the_same(p):
    for d, x in ((SHARE, p), (RATE, 2 * p), (RATIO, 2 * p), (MEAN, p - 0.5)):
        y = on_scale(d, x)
        assert float(log_likelihood(d, y, scaled=True)) == pytest.approx(float(log_likelihood(d, x)), rel=1e-6)


def test_shape_and_missing_expectations():
    x = np.array([[0.2, np.nan, 0.3], [0.1, 0.5, 0.0]])
    ll = log_likelihood(SHARE, x)
    assert ll.shape == (2, 3)
    assert ll[0, 1] == -np.inf
    assert np.isfinite(ll[0, ::2]).all()
    assert np.isfinite(ll[1]).all()
    assert log_likelihood(SHARE, 0.2).shape == ()
    assert float(log_likelihood(SHARE, np.nan)) == -np.inf


def test_a_count_is_read_as_a_count():
    counted = dataclasses.replace(SHARE, counted=True, value=10.0)
    np.testing.assert_allclose(log_likelihood(counted, [8.0, 12.0]), log_likelihood(SHARE, [0.2, 0.3]))


def test_a_share_that_no_count_rounds_to_is_the_nearest_count():
    odd = dataclasses.replace(SHARE, n=16.0, value=0.097, half_width=0.0005)
    whole = dataclasses.replace(SHARE, n=16.0, value=2 / 16, half_width=0.0)
    assert float(log_likelihood(odd, 0.2)) == pytest.approx(float(log_likelihood(whole, 0.2)))


def test_more_patients_tell_more():
    def width(n):
        ll = log_likelihood(dataclasses.replace(SHARE, n=n), np.array([0.25, 0.35]))
        return ll[0] - ll[1]

    assert width(400.0) == pytest.approx(10 * width(40.0), rel=1e-6)


def test_a_normal_datum_without_error_is_refused():
    with pytest.raises(InputError, match="standard error"):
        log_likelihood(dataclasses.replace(MEAN, se=None), 0.0)
