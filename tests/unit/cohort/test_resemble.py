"""Weights that match a published baseline: moments met, as equal as can be, and what cannot be had is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize

from stemtrial.cohort.resemble import TOLERANCE, UnattainableError, effective, resembling

N = 400
RNG = np.random.default_rng(5)
AGE = RNG.normal(40, 9, N)
EDSS = np.round(2 * np.clip(1 + 0.06 * AGE + RNG.normal(0, 1.2, N), 0, 9.5)) / 2
PEOPLE = {"age_years": AGE, "edss": EDSS, "gd_lesions": RNG.poisson(1.5, N).astype(float)}


def moments(x, w):
    mean = w @ x
    return mean, np.sqrt(w @ (x - mean) ** 2)


def test_without_targets_weights_are_equal():
    assert resembling(PEOPLE, {}) == pytest.approx(1 / N)
    assert effective(np.ones(N)) == N


@given(st.floats(34, 46), st.floats(6, 11), st.floats(2.8, 4.2), st.floats(0.8, 2.2))
def test_moments_are_met_by_weights_that_are_a_distribution(age, age_sd, edss, edss_sd):
    w = resembling(PEOPLE, {"age_years": (age, age_sd), "edss": (edss, edss_sd), "gd_lesions": (1.2, None)})
    assert (w >= 0).all()
    assert w.sum() == pytest.approx(1)
    assert moments(AGE, w) == pytest.approx((age, age_sd), abs=20 * TOLERANCE)
    assert moments(EDSS, w) == pytest.approx((edss, edss_sd), abs=20 * TOLERANCE)
    assert w @ PEOPLE["gd_lesions"] == pytest.approx(1.2, abs=20 * TOLERANCE)
    assert 1 <= effective(w) <= N


def test_moments_that_hold_already_leave_weights_equal():
    w = resembling(PEOPLE, {"edss": (EDSS.mean(), EDSS.std()), "age_years": (AGE.mean(), None)})
    np.testing.assert_allclose(w, 1 / N, rtol=1e-4)


def test_no_other_weights_with_these_moments_are_closer_to_equal():
    x = {k: v[:12] for k, v in PEOPLE.items()}
    target = float(x["edss"].mean()) + 0.4
    w = resembling(x, {"edss": (target, None)})
    other = optimize.minimize(
        lambda v: float((v * np.log(v * 12)).sum()), np.full(12, 1 / 12), method="SLSQP", bounds=[(1e-9, 1)] * 12,
        constraints=[{"type": "eq", "fun": f} for f in (lambda v: v.sum() - 1, lambda v: v @ x["edss"] - target)],
        options={"ftol": 1e-12, "maxiter": 500},
    )  # fmt: skip
    np.testing.assert_allclose(w, other.x, atol=1e-4)


def test_groups_keep_their_shares_while_all_together_have_the_moments():
    group = (AGE > 45).astype(np.int64)
    w = resembling(PEOPLE, {"edss": (3.0, None)}, group, {0: 0.3, 1: 0.7})
    assert w[group == 1].sum() == pytest.approx(0.7, abs=1e-5)
    assert w @ EDSS == pytest.approx(3.0, abs=1e-5)
    even = resembling(PEOPLE, {}, group, {0: 0.3, 1: 0.7})
    assert np.unique(even[group == 0]) == pytest.approx(0.3 / (group == 0).sum())


def test_who_lacks_a_value_gets_no_weight():
    edss = EDSS.copy()
    edss[:50] = np.nan
    w = resembling(PEOPLE | {"edss": edss}, {"edss": (3.0, None)})
    assert (w[:50] == 0).all()
    assert w[50:] @ edss[50:] == pytest.approx(3.0, abs=1e-5)
    with pytest.raises(UnattainableError, match="nobody has all the variables"):
        resembling(PEOPLE | {"edss": np.full(N, np.nan)}, {"edss": (3.0, None)})


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ({"edss": (9.4, None)}, r"^edss: the mean 9\.4 lies outside what recruits have, 0 to 7; mend it"),
        ({"edss": (3.0, 6.0)}, r"^edss: the SD 6 lies outside what recruits with the mean 3 can have, 0 to 3\.46;"),
        ({"edss": (3.25, 0.1)}, r"^edss: the SD 0\.1 lies outside what .* the mean 3\.25 can have, 0\.25 to 3\.49;"),
        ({"age_years": (60.0, None), "edss": (1.0, None)}, r"^age_years: the mean 60 lies outside what recruits with "
         r"the other moments can have, [\d.]+ to [\d.]+; mend it, or let such people in by eligibility$"),
    ],
)  # fmt: skip
def test_what_recruits_cannot_be_is_refused_with_what_they_can(targets, message):
    assert EDSS.min() == 0
    assert EDSS.max() == 7
    with pytest.raises(UnattainableError, match=message):
        resembling(PEOPLE, targets)


def test_the_range_told_for_moments_together_is_the_attainable_one():
    with pytest.raises(UnattainableError) as e:
        resembling(PEOPLE, {"age_years": (60.0, None), "edss": (1.0, None)})
    top = float(str(e.value).split(" to ")[1].split(";")[0])
    resembling(PEOPLE, {"age_years": (top - 0.5, None), "edss": (1.0, None)})
    with pytest.raises(UnattainableError):
        resembling(PEOPLE, {"age_years": (top + 0.5, None), "edss": (1.0, None)})
