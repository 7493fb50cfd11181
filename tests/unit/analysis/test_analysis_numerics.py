"""The two pieces of numerical care: a root that Newton alone misses, a difference whose digits cancel."""

from decimal import Decimal, getcontext

import numpy as np
import pytest

import stemtrial.analysis as an
from stemtrial.analysis._roots import falling_root
from stemtrial.analysis.rates import _by_one_over_u


def test_root_where_newton_alone_steps_over_it_for_ever():
    calls = 0

    def steep(x):
        nonlocal calls
        calls += 1
        t = np.tanh(50 * (x - np.array([1.0, -7.3, 0.0])))
        return -t, 50 * (1 - t * t)

    np.testing.assert_allclose(falling_root(steep, np.zeros(3)), [1.0, -7.3, 0.0], atol=1e-11)
    assert calls < 40


@pytest.mark.parametrize("u", [0.0, 1e-12, 1e-6, 1e-3, 0.0199, 0.0201, 0.5, 30.0])
def test_digits_that_cancel(u):
    getcontext().prec = 60
    f, slope = (float(x[0]) for x in _by_one_over_u(np.array([u])))
    if u == 0:
        assert (f, slope) == (1 / 2, pytest.approx(-2 / 3, rel=1e-15))
        return
    x = Decimal(u)
    bare = (1 + x).ln() - x / (1 + x)
    assert f == pytest.approx(float(bare / x**2), rel=1e-12)
    assert slope == pytest.approx(float(((x / (1 + x)) ** 2 - 2 * bare) / x**3), rel=1e-9)


def test_small_dispersions_are_continuous_with_the_poisson_limit():
    # Equal exposures: the score in the dispersion is that of the counts alone, here solved by bisection.
    y = np.repeat(np.arange(8), [40, 73, 74, 50, 26, 9, 4, 1])[None, :].astype(float)
    fit = an.annualised_rate(y, np.ones_like(y))
    n, m = y.size, y.mean()

    def score(a):  # times a^2, from the gamma functions' recurrence
        tail = sum((y > j).sum() * j / (1 + a * j) for j in range(7))
        return a * a * (tail - y.sum() * m / (1 + a * m)) + n * (np.log1p(a * m) - a * m / (1 + a * m))

    low, high = 1e-4, 1.0
    assert score(low) > 0 > score(high)
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if score(middle) > 0 else (low, middle)
    assert fit.dispersion[0] * m < 0.02  # where the series serves
    assert fit.dispersion[0] == pytest.approx(low, rel=1e-6)
