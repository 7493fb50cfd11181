"""States and the changes between them, the cohort at baseline, and subgroups by a baseline value."""

import numpy as np
import pytest

from stemtrial.endpoint import define, definitions, derive, find, needs
from stemtrial.endpoint.definition import diseases_of
from stemtrial.errors import InputError

STATES = ("0", "mild", "moderate", "severe")
BASELINE = [0.0, 0.0, 1.0, 3.5, 4.0, 6.0, 6.5, 9.5]
LATER = [0.0, 2.0, 4.0, 1.0, 6.5, 4.5, 6.5, 6.0]


def tables(n, edss, later, **baseline):
    day = np.full(n, 365)
    return {
        "patients": {"replicate": np.zeros(n, int), "patient": np.arange(n), "closure_day": np.full(n, 400)}
        | {"edss": np.array(edss, float)}
        | {k: np.array(v, float) for k, v in baseline.items()},
        "visits": {"replicate": np.zeros(n, int), "patient": np.arange(n), "day": day, "visit": np.ones(n, int),
                   "edss": np.array(later, float)},
        "disposition": {"replicate": np.zeros(0, int), "patient": np.zeros(0, int), "day": np.zeros(0, int),
                        "event": np.zeros(0, "U12"), "reason": np.zeros(0, "U12")},
    }  # fmt: skip


def state(edss):
    return STATES[int(np.searchsorted([0.0, 3.5, 6.0], edss, side="left"))]


@pytest.mark.parametrize("name", [k for k in definitions() if k.startswith("edss_transition.")])
def test_a_transition_is_of_those_in_the_first_state(name):
    start, _, end = name.partition(".")[2].partition("_to_")
    got = derive(name, tables(len(LATER), BASELINE, LATER), 1.0, [0, 365]).value
    wanted = [float(state(y) == end) if state(x) == start else np.nan for x, y in zip(BASELINE, LATER, strict=True)]
    np.testing.assert_array_equal(got, wanted)
    assert np.isfinite(got).any()


def test_who_has_no_visit_makes_no_transition():
    out = derive("edss_transition.0_to_0", tables(2, [0.0, 0.0], [0.0, np.nan]), 1.0, [0, 365]).value
    np.testing.assert_array_equal(out, [1.0, np.nan])


def test_the_baseline_is_read_whatever_the_horizon():
    known = tables(4, [6.0, 6.5, 7.0, np.nan], [1.0] * 4, relapses_last_24_months=[0, 1, 2, 0], female=[1, 0, 1, 1])
    for at in (None, 1.0):
        np.testing.assert_array_equal(derive("baseline.edss", known, at).value, [6.0, 6.5, 7.0, np.nan])
    np.testing.assert_array_equal(derive("baseline.edss_6_or_6_5", known).value, [1.0, 1.0, 0.0, np.nan])
    np.testing.assert_array_equal(derive("baseline.relapse_free_24_months", known).value, [1, 0, 0, 1])
    np.testing.assert_array_equal(derive("baseline.female", known).value, [1, 0, 1, 1])


def test_a_baseline_asks_for_the_instrument_that_measures_it():
    assert needs("baseline.nine_hole_peg_s") == {"patients": {"nine_hole_peg_s"}, "disposition": set()}
    assert needs("baseline.relapses_last_12_months")["patients"] == set()
    assert diseases_of("baseline.relapses_last_12_months") == ("ms",)
    assert diseases_of("baseline.female") == ("ms", "als")


def test_a_subgroup_leaves_the_others_out_of_risk():
    fields = {"id": "x", "label": "x", "citation": "none", "unit": "fraction", "rule": "confirmed_change"}
    fields |= {"direction": "worse", "thresholds": [{"up_to": 10.0, "by": 1.0}], "confirmation_days": 0}
    known = tables(3, [2.0, 2.0, 2.0], [4.0, 4.0, 2.0], gd_lesions=[0, 1, 3])
    everybody, some = define(fields), define(fields | {"subgroup": {"gd_lesions": 1}})
    np.testing.assert_array_equal(derive(everybody, known).event, [True, True, False])
    got = derive(some, known)
    np.testing.assert_array_equal(got.event, [False, True, False])
    np.testing.assert_allclose(got.time_years, [0.0, *derive(everybody, known).time_years[1:]])
    assert "gd_lesions" in needs(some)["patients"]


def test_a_state_years_later_is_compared_with_a_later_visit():
    d = find("edss_stable_or_improved.from_82_months")
    years = np.array([2484, 6136])
    n = len(years)
    known = tables(1, [1.0], [3.0]) | {
        "visits": {"replicate": np.zeros(n, int), "patient": np.zeros(n, int), "day": years, "visit": np.arange(1, 3),
                   "edss": np.array([3.0, 3.0])},
    }  # fmt: skip
    known["patients"]["closure_day"] = np.array([7000])
    assert derive(d, known, 16.8, [0, 2484, 6136]).value.tolist() == [1.0]  # above the first score, not above that


@pytest.mark.parametrize("changes", [{"change": "difference"}, {"dead": 0.0}, {"carried_from_days": 10}])
def test_a_baseline_takes_no_change(changes):
    with pytest.raises(InputError, match="table: patients is the baseline"):
        find("baseline.edss", **changes)
