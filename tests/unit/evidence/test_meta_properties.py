"""Properties that any random-effects meta-analysis has."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemtrial.errors import InputError
from stemtrial.evidence import random_effects

studies = st.lists(st.tuples(st.floats(-5, 5), st.floats(1e-3, 10)), min_size=2, max_size=15)
methods = st.sampled_from(["REML", "DL"])


@given(studies, methods)
@settings(max_examples=150, deadline=None)
def test_pooled_lies_within_the_effects(rows, method):
    y, v = zip(*rows, strict=True)
    m = random_effects(y, v, method)
    assert min(y) - 1e-9 <= m.estimate <= max(y) + 1e-9
    assert m.tau2 >= 0
    assert 0 <= m.i2 < 1
    assert m.prediction[0] <= m.ci[0] <= m.estimate <= m.ci[1] <= m.prediction[1]


@given(studies, methods, st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_order_does_not_matter(rows, method, rnd):
    mixed = list(rows)
    rnd.shuffle(mixed)
    assert random_effects(*zip(*rows, strict=True), method) == random_effects(*zip(*mixed, strict=True), method)


@given(studies, methods, st.floats(-3, 3))
@settings(max_examples=60, deadline=None)
def test_a_shift_of_all_effects_shifts_the_mean(rows, method, shift):
    y, v = (np.array(x) for x in zip(*rows, strict=True))
    a, b = random_effects(y, v, method), random_effects(y + shift, v, method)
    assert b.estimate == pytest.approx(a.estimate + shift, abs=1e-5)
    assert b.tau2 == pytest.approx(a.tau2, rel=1e-4, abs=1e-6)


@given(studies)
@settings(max_examples=60, deadline=None)
def test_reml_is_the_top_of_the_restricted_likelihood(rows):
    y, v = (np.array(x) for x in zip(*rows, strict=True))

    def loglik(tau2):
        w = 1 / (v + tau2)
        mu = np.sum(w * y) / np.sum(w)
        return 0.5 * (np.sum(np.log(w)) - np.log(np.sum(w)) - np.sum(w * (y - mu) ** 2))

    best = loglik(random_effects(y, v).tau2)
    assert all(best >= loglik(t) - 1e-8 for t in np.linspace(0, 60, 400))


@pytest.mark.parametrize(
    ("y", "v", "says"),
    [
        ([1.0], [0.1], "at least 2 studies, not 1"),
        ([1.0, 2.0], [0.1], "shapes"),
        ([1.0, 2.0], [0.1, 0.0], "variance 0 is not positive"),
        ([1.0, np.nan], [0.1, 0.1], "finite"),
    ],
)
def test_bad_input(y, v, says):
    with pytest.raises(InputError, match=says):
        random_effects(y, v)
    with pytest.raises(InputError, match="did you mean 'REML'"):
        random_effects([0.0, 1.0], [1.0, 1.0], "REM")
