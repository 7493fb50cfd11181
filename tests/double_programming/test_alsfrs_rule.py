"""One rating of the ALSFRS-R, programmed a second time: slow, patient by patient, threshold by threshold."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stemtrial.observe.alsfrs import (
    FUNCTIONS,
    ITEMS,
    N_NORMALS_ALSFRS,
    N_SLOW_ALSFRS,
    SUPPORT,
    TRAITS,
    rate_alsfrs,
    true_alsfrs,
)
from stemtrial.observe.parameters import declared
from stemtrial.observe.rater import RaterState

NUMBER = declared()


def slow_items(f, niv, ventilated, traits, z_items, z_visit, form, bias):
    """docs/design/als_model.md section 3, as alsfrs.py says it is changed."""
    thresholds = [(j - 1 + NUMBER["alsfrs_threshold"]) / 4 for j in (1, 2, 3, 4)]
    scores = {}
    for number, item in enumerate(ITEMS):
        function = f[number // 3]
        distance_to_the_nearer_end = function if function < 0.5 else 1 - function
        in_dispute = distance_to_the_nearer_end * NUMBER["alsfrs_ends"]
        if in_dispute > 1:
            in_dispute = 1
        moved = NUMBER["alsfrs_trait_sd"] * traits[number]
        moved -= NUMBER[f"alsfrs_difficulty.{item}"]
        moved += NUMBER["alsfrs_item_sd"] * z_items[number]
        moved += NUMBER["alsfrs_visit_sd"] * z_visit
        moved += NUMBER["alsfrs_form_sd"] * form
        moved += bias
        latent = function + in_dispute * moved
        passed = len([t for t in thresholds if latent > t])
        if any(abs(latent - t) < 1e-9 for t in [*thresholds, NUMBER["alsfrs_niv_needed_below"]]):
            scores[item] = None  # rounding decides
        elif item != "respiratory_insufficiency":
            scores[item] = passed
        elif ventilated:
            scores[item] = 0
        elif niv:
            scores[item] = {0: 1, 1: 1, 2: 2, 3: 3, 4: 3}[passed]
        else:
            scores[item] = 3 if latent <= NUMBER["alsfrs_niv_needed_below"] else 4
    return scores


fractions = st.floats(0, 1)
normal = st.floats(-4, 4)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(fractions, min_size=4, max_size=4), st.booleans(), st.booleans(),
    st.lists(normal, min_size=12, max_size=12), st.lists(normal, min_size=14, max_size=14), normal,
    st.integers(0, 800), st.floats(-0.2, 0.2),
)  # fmt: skip
@example([1.0, 0.0, 1.0, 0.0], False, True, [4.0] * 12, [4.0] * 14, 4.0, 0, 0.2)
@example([0.4, 0.5, 0.6, 0.2], True, False, [0.0] * 12, [0.0] * 14, 0.0, 28, 0.0)
def test_a_whole_rating(f, niv, ventilated, traits, z, before, gap, bias):
    observed = {
        k: np.array([x]) for k, x in zip((*FUNCTIONS, *SUPPORT), [*f, float(niv), float(ventilated)], strict=True)
    }
    constants = {k: np.array([x]) for k, x in zip(TRAITS, traits, strict=True)}
    state = RaterState.fresh(1, N_SLOW_ALSFRS)
    state.h[:], state.last_day[:] = before, 100
    got = rate_alsfrs(observed, constants, 100 + gap, state, np.array([z]), bias)

    kept = math.exp(-gap / NUMBER["alsfrs_form_tau_days"])
    form = kept * before + math.sqrt(1 - kept**2) * z[13]
    assert got.state.h[0, 0] == pytest.approx(form, abs=1e-12)
    assert got.state.last_day[0] == 100 + gap
    for name, errors, items in (
        ("rated", (z[:12], z[12], form, bias), got.items[0]),
        ("true", ([0.0] * 12, 0.0, 0.0, 0.0), true_alsfrs(observed, constants)[0]),
    ):
        slow = slow_items(f, niv, ventilated, traits, *errors)
        for item, score in zip(ITEMS, items, strict=True):
            assert slow[item] in (None, score), (name, item)


def test_the_first_rating_takes_its_form_from_the_stationary_law():
    observed = {k: np.full(1, 0.5) for k in FUNCTIONS} | {k: np.zeros(1) for k in SUPPORT}
    z = np.zeros((1, N_NORMALS_ALSFRS))
    z[0, 13] = 1.7
    got = rate_alsfrs(observed, {k: np.zeros(1) for k in TRAITS}, -40, RaterState.fresh(1, N_SLOW_ALSFRS), z)
    assert got.state.h[0, 0] == 1.7
