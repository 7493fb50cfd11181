"""The kernel's own mathematics against extended precision."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from stemtrial.kernel import inline_math

PI = np.longdouble("3.14159265358979323846264338327950288")


def over(f):
    """A scalar inline function as a loop over an array."""

    @njit(error_model="numpy")
    def loop(x):
        out = np.empty_like(x)
        for i in range(x.size):
            out[i] = f(x[i])
        return out

    return loop


@njit(error_model="numpy")
def power(x, y):
    out = np.empty_like(x)
    for i in range(x.size):
        out[i] = inline_math.power(x[i], y[i])
    return out


@njit(error_model="numpy")
def pairs(w0, w1):
    out = np.empty((w0.size, 2))
    for i in range(w0.size):
        out[i] = inline_math.normal_pair(w0[i], w1[i])
    return out


@njit(error_model="numpy")
def uniforms(w):
    out = np.empty(w.size)
    for i in range(w.size):
        out[i] = inline_math.uniform(w[i])
    return out


EXP, LOG, COS, SIN = (over(getattr(inline_math, f)) for f in ("exp", "log", "cos2pi", "sin2pi"))
rng = np.random.default_rng(20261121)
ANGLES = np.concatenate([rng.random(40_000), [0.0, 0.25, 0.5, 0.75, 1.0], (np.arange(64) + 0.5) * 2.0**-32])


def ulps(got: np.ndarray, exact: np.ndarray, scale: np.ndarray | None = None) -> float:
    """Largest error in units of the last place of the exact value, or of ``scale``."""
    size = np.abs(exact if scale is None else scale).astype(float)
    return float(np.max(np.abs(got.astype(np.longdouble) - exact) / np.spacing(size)))


@pytest.fixture(scope="module", autouse=True)
def _extended():
    if np.finfo(np.longdouble).eps > 2e-19:
        pytest.skip("needs a long double of 64 mantissa bits as the reference")


@pytest.mark.parametrize(("low", "high"), [(-708, 709), (-20, 20), (-1, 1)])
def test_exp_is_within_two_ulp(low, high):
    x = rng.uniform(low, high, 60_000)
    assert ulps(EXP(x), np.exp(x.astype(np.longdouble))) <= 2


def test_exp_of_zero_is_one_and_its_ends_are_finite():
    assert EXP(np.array([0.0, -0.0])).tolist() == [1.0, 1.0]
    ends = EXP(np.array([-1e6, 1e6, -709.0, 710.0]))
    assert np.isfinite(ends).all()
    assert (ends > 0).all()


def test_exp_is_monotone_across_its_ranges():
    # at every multiple of ln(2)/2 another power of two is chosen: the pieces must not step down where they meet
    seam = (np.arange(-1000, 1000) + 0.5) * np.log(2)
    x = np.sort(np.concatenate([np.nextafter(seam, -np.inf), seam, np.nextafter(seam, np.inf)]))
    assert (np.diff(EXP(x)) >= 0).all()


@pytest.mark.parametrize(("low", "high"), [(-300, 300), (-10, 0), (-1e-3, 1e-3)])
def test_log_is_within_two_ulp(low, high):
    x = 10.0 ** rng.uniform(low, high, 60_000)
    assert ulps(LOG(x), np.log(x.astype(np.longdouble))) <= 2
    assert LOG(np.array([1.0]))[0] == 0.0


def test_log_of_every_end_of_the_uniform_is_finite():
    x = np.array([0.5, 1.5, 2.0**32 - 0.5]) * 2.0**-32
    assert ulps(LOG(x), np.log(x.astype(np.longdouble))) <= 2
    assert (LOG(x) < 0).all()


def test_power_is_within_two_ulp_of_its_exponent():
    # exp(y log x): the error of the product counts as many ulp as the product is large
    x, y = 10.0 ** rng.uniform(-4, 4, 60_000), rng.uniform(-3, 3, 60_000)
    exact = np.exp(y.astype(np.longdouble) * np.log(x.astype(np.longdouble)))
    error = np.abs(power(x, y) - exact) / np.spacing(np.abs(exact).astype(float))
    assert (error <= 2 + 3 * np.abs(y * np.log(x))).all()


def test_cosine_and_sine_of_a_turn_are_within_six_ulp_of_one():
    exact = 2 * PI * ANGLES.astype(np.longdouble)
    one = np.ones_like(ANGLES)
    # the product with pi alone costs two units where the slope is steepest
    assert ulps(COS(ANGLES), np.cos(exact), one) <= 6
    assert ulps(SIN(ANGLES), np.sin(exact), one) <= 6


def test_cosine_at_quarter_turns_is_exact():
    np.testing.assert_allclose(COS(np.array([0.0, 0.25, 0.5, 0.75, 1.0])), [1, 0, -1, 0, 1], atol=2.3e-16)


def test_normal_pair_is_box_muller_within_ten_ulp_of_its_radius():
    w0, w1 = rng.integers(0, 2**32, (2, 40_000), dtype=np.uint64)
    w0[:3], w1[:3] = [0, 2**32 - 1, 0], [0, 2**32 - 1, 2**31]
    u0, u1 = ((w.astype(np.longdouble) + 0.5) * np.longdouble(2.0) ** -32 for w in (w0, w1))
    radius, angle = np.sqrt(-2 * np.log(u0)), 2 * PI * u1
    got = pairs(w0, w1)
    assert np.isfinite(got).all()
    assert ulps(got[:, 0], radius * np.cos(angle), radius) <= 10
    assert ulps(got[:, 1], radius * np.sin(angle), radius) <= 10


def test_uniform_lies_strictly_between_its_ends_and_is_exact():
    w = np.concatenate([[0, 1, 2**31, 2**32 - 2, 2**32 - 1], rng.integers(0, 2**32, 10_000)]).astype(np.uint64)
    u = uniforms(w)
    assert ((u > 0) & (u < 1)).all()
    np.testing.assert_array_equal(u, (w.astype(float) + 0.5) * 2.0**-32)


# Known answers of philox4x32 with 10 rounds from Random123 (kat_vectors; Salmon et al. 2011, 10.1145/2063384.2063405)
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_philox_gives_the_published_answers(counter, key, answer):
    words = inline_math.philox(*(np.uint64(x) for x in (*counter, *key)))
    assert tuple(int(w) for w in words) == answer
