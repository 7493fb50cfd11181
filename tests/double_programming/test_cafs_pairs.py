"""Joint ranks again by the plainest double loop over patients."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stemtrial.analysis as an


def better(i, j, change, time, died, lost):
    """1 where patient i did better than j, -1 worse, 0 tied."""
    if died[i] and died[j]:
        return np.sign(time[i] - time[j])
    if died[i] != died[j]:
        dead, other, sign = (i, j, -1) if died[i] else (j, i, 1)
        if lost == "alive" or time[other] >= time[dead]:
            return sign
    common = [v for v in range(change.shape[1]) if np.isfinite(change[i, v]) and np.isfinite(change[j, v])]
    return np.sign(change[i, common[-1]] - change[j, common[-1]]) if common else 0


def ranks(change, time, died, include, lost):
    who = np.flatnonzero(include)
    score = np.array([sum(better(i, j, change, time, died, lost) for j in who if j != i) for i in who])
    out = np.full(len(include), np.nan)
    out[who] = [(score < s).sum() + ((score == s).sum() + 1) / 2 for s in score]
    return out


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 14),
    visits=st.integers(0, 5),
    lost=st.sampled_from(["compare", "alive"]),
)
def test_ranks(seed, n, visits, lost):
    rng = np.random.default_rng(seed)
    change = rng.integers(-6, 3, (3, n, visits)).astype(float)
    change[rng.random(change.shape) < 0.4] = np.nan
    time, died = rng.integers(1, 6, (3, n)).astype(float), rng.random((3, n)) < 0.4
    arm, include = rng.random((3, n)) < 0.5, rng.random((3, n)) < 0.9
    fit = an.cafs(change, time, died, arm, include, lost=lost)
    for r in range(3):
        expected = ranks(change[r], time[r], died[r], include[r], lost)
        np.testing.assert_array_equal(fit.rank[r], expected)
        one, zero = expected[arm[r] & include[r]], expected[~arm[r] & include[r]]
        if len(one) and len(zero):
            p = 0.5 + (one.mean() - zero.mean()) / (len(one) + len(zero))
            assert fit.probability.value[r] == pytest.approx(p, abs=1e-12)
        else:
            assert fit.probability.status[r] == an.Status.NO_DATA
