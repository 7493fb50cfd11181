"""Dispersion of counts by the method of moments."""

import numpy as np
import pytest

import stemtrial.analysis as an
from stemtrial.errors import InputError


def test_by_hand_and_at_its_limits():
    y = np.array([[0, 0, 0, 8], [1, 1, 2, 0], [0, 0, 0, 0], [3, 3, 3, 3]])
    # mean 2, variance 16: k = 4 / 14; less than Poisson variation; no event; no variation
    np.testing.assert_allclose(an.dispersion(y), [4 / 14, np.inf, np.nan, np.inf])


def test_finds_the_size_that_made_the_counts():
    rng = np.random.default_rng(5)
    k, mean = 0.7, 3.0
    y = rng.negative_binomial(k, k / (k + mean), size=(40, 2000))
    assert np.median(an.dispersion(y)) == pytest.approx(k, rel=0.05)


def test_only_the_analysis_set_counts():
    y = np.array([[0.0, 4.0, np.nan]])
    np.testing.assert_allclose(an.dispersion(y, np.array([[True, True, False]])), [4 / (8 - 2)])
    assert np.isnan(an.dispersion(y, np.array([[False, True, False]]))[0])
    with pytest.raises(InputError, match="NaN"):
        an.dispersion(y)
    with pytest.raises(InputError, match="negative"):
        an.dispersion(np.array([[-1.0, 2.0]]))
