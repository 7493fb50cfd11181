"""The EDSS rule and one whole rating, programmed a second time: slow, row by row, in the order of the written rule."""

import itertools
import math
from functools import cache

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stemtrial.observe import FS_MAX, N_NORMALS, N_SLOW, Deficits, PatientWeights, RaterState, edss_from_fs, rate_edss


@cache
def step_by_counts(n1, n2, n3, n4, n5):
    """The list of docs/design/ms_model.md section 8, later matches overwrite; then MS item 9 of the review."""
    step = 0.0
    if n1 == 1:
        step = 1.0
    if n1 >= 2:
        step = 1.5
    if n2 == 1:
        step = 2.0
    if n2 == 2:
        step = 2.5
    if n2 in (3, 4) or (n3 == 1 and n2 == 0):
        step = 3.0
    if n2 == 5 or (n3 == 1 and n2 in (1, 2)) or (n3 == 2 and n2 == 0):
        step = 3.5
    if (n3 == 1 and n2 >= 3) or (n3 == 2 and n2 >= 1) or n3 >= 3 or n4 >= 1:
        step = 4.0
    if n2 >= 6:
        step = 4.0
    if n5 >= 1:
        step = 5.0
    return step


def slow_step(fs):
    pyr, cer, bst, sen, bow, vis, men = fs
    bow = {0: 0, 1: 1, 2: 2, 3: 3, 4: 3, 5: 4, 6: 5}[bow]
    vis = {0: 0, 1: 1, 2: 2, 3: 2, 4: 3, 5: 3, 6: 4}[vis]
    counted = [min(g, 5) for g in (pyr, cer, bst, sen, bow, vis, men)]
    return step_by_counts(*(counted.count(k) for k in (1, 2, 3, 4, 5)))


def test_every_vector_of_grades():
    # Pyramidal and sensory grades 0-5 here: a 6 counts as a 5, which the test below covers.
    grades = list(itertools.product(range(6), range(6), range(6), range(6), range(7), range(7), range(6)))
    expected = np.array([slow_step(fs) for fs in grades])
    np.testing.assert_array_equal(edss_from_fs(np.array(grades)), expected)


@given(st.tuples(*[st.integers(0, m) for m in FS_MAX]))
@settings(max_examples=300)
def test_random_vectors_of_grades(fs):
    assert edss_from_fs([fs])[0] == slow_step(fs)


def slow_rating(f, w, gap, h, z, beta):
    pv, cj, it, sc, on = f
    w_it, w_sc, res = w
    x = [
        0.75 * (0.7 + 0.6 * w_sc) * sc + 0.15 * it + 0.10 * pv,
        0.85 * (0.4 + 1.2 * w_it) * it + 0.075 * pv,
        0.8 * (0.4 + 1.2 * (1 - w_it)) * it,
        0.75 * (0.7 + 0.6 * (1 - w_sc)) * sc + 0.15 * it,
        0.65 * sc,
        0.9 * on,
        0.5 * (pv + cj),
    ]
    amb = 0.66 * x[0] + 0.20 * x[1] + 0.14 * x[3]
    rho = 0.0 if gap is None else math.exp(-gap / 180.0)
    h = [rho * a + math.sqrt(1 - rho**2) * b for a, b in zip(h, z[9:], strict=True)]
    fs = []
    for k in range(7):
        g = 5.2 * (max(0.0, x[k] - res) / 0.66) ** 0.66
        if k == 0 and g > 0.3:
            amb += 0.06 * beta
        rated = g + 0.20 * z[k]
        if g > 0.3:
            rated += 0.14 * z[7] + 0.28 * (0.6 * h[0] + 0.8 * h[1 + k]) + beta
        fs.append(max(0, min(FS_MAX[k], math.floor(rated + 0.5))))
    amb += 0.008 * z[8] + 0.010 * 0.14 * z[7] + 0.010 * h[0]
    limits = [0.215, 0.245, 0.275, 0.305, 0.395, 0.485, 0.55, 0.61, 0.68, 0.76, 0.86]
    walking = max([0.0] + [4.5 + 0.5 * i for i, limit in enumerate(limits) if amb > limit])
    return max(slow_step(fs), walking), fs, h


def test_two_visits_rated_by_hand():
    rng = np.random.default_rng(6)
    n = 800
    f = rng.beta(1.0, 4.0, (n, 5))
    w = np.column_stack([rng.uniform(0, 1, (n, 2)), rng.uniform(0, 0.1, n)])
    gap = rng.integers(0, 700, n)
    z = rng.normal(size=(2, n, N_NORMALS))
    beta = rng.normal(-0.25, 0.2, n)
    columns, constants = Deficits(*f.T), PatientWeights(*w.T)
    first = rate_edss(columns, constants, 5, RaterState.fresh(n, N_SLOW), z[0], beta)
    second = rate_edss(columns, constants, 5 + gap, first.state, z[1], beta)
    for i in range(n):
        e1, fs1, h1 = slow_rating(f[i], w[i], None, [0.0] * 8, z[0, i], beta[i])
        e2, fs2, h2 = slow_rating(f[i], w[i], int(gap[i]), h1, z[1, i], beta[i])
        assert (first.edss[i], first.fs[i].tolist()) == (e1, fs1)
        assert (second.edss[i], second.fs[i].tolist()) == (e2, fs2)
        np.testing.assert_allclose(second.state.h[i], h2, atol=1e-12)
