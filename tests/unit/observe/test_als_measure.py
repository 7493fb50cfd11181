"""measure in ALS: every instrument keeps its range, grid, direction, random streams and refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemtrial.errors import InputError
from stemtrial.observe import View, instruments, measure
from stemtrial.observe.alsfrs import DOMAINS, FUNCTIONS, ITEMS, TRAITS, AlsfrsRater, sums, true_alsfrs
from stemtrial.observe.rater import RaterState
from stemtrial.observe.visit import _FORMULAS

NAMES = tuple(instruments("als"))
RATED = ("alsfrs_r", *(f"alsfrs_r_{d}" for d in DOMAINS), *ITEMS, "kings_stage", "mitos_stage")
TESTS = tuple(n for n in NAMES if n not in RATED)
COMPLETE = {f"missing_share.{n}": 0.0 for n in TESTS}
FRACTIONS = (*FUNCTIONS, "strength_arm", "strength_leg", "gastrostomy")


def seen(n, seed=1):
    rng = np.random.default_rng(seed)
    out = {k: rng.beta(2.0, 0.8, n) for k in (*FUNCTIONS, "strength_arm", "strength_leg")}
    out |= {k: (rng.uniform(size=n) < 0.2) * 1.0 for k in ("niv", "gastrostomy", "ventilated")}
    out |= {"vital_capacity": rng.uniform(0.1, 1.3, n), "weight": rng.uniform(0.6, 1.1, n)}
    return out | {"nfl_pg_ml": rng.lognormal(4.0, 0.6, n)}


def visit(n=300, day=84, seed=1, **changes):
    rng = np.random.default_rng(seed + 1)
    observed, patient = seen(n, seed) | changes.pop("observed", {}), np.arange(n, dtype=np.uint64)
    constants = {k: rng.normal(size=n) for k in TRAITS}
    try:
        items = AlsfrsRater(7).rate(patient, day, observed, constants, RaterState.fresh(n, 1)).items
    except InputError:  # a test spoils what the rater reads; the instruments see the spoilt column all the same
        items = np.full((n, 12), 3)
    rated = {k: items[:, i].astype(float) for i, k in enumerate(ITEMS)} | sums(items)
    given_ = {"seed": 7, "patient": patient, "day": np.full(n, day), "observed": observed, "constants": constants}
    return View(**(given_ | {"rated": rated} | changes))


def test_the_register_holds_what_is_read_in_als():
    frozen = "svc_pct fvc_pct hhd_pct hhd_arm_pct hhd_leg_pct nfl_pg_ml alsaq40 weight_pct"
    assert set(NAMES) == {*RATED, *frozen.split()}
    assert set(NAMES) <= set(_FORMULAS)
    both = set(NAMES) & set(instruments("ms"))
    assert both == {"nfl_pg_ml"}
    assert instruments("als")["nfl_pg_ml"].diseases == ("ms", "als")
    assert set(instruments()) == set(NAMES) | set(instruments("ms"))
    with pytest.raises(InputError, match="disease 'asl' has no instruments; did you mean 'als'"):
        instruments("asl")


@pytest.mark.parametrize("name", NAMES)
def test_a_reading_depends_on_nothing_but_its_own_visit(name):
    view = visit()
    among = measure(view, NAMES)[name]
    np.testing.assert_array_equal(measure(view, [name])[name], among)
    rows = np.random.default_rng(0).permutation(len(view))[:120]
    parts = {k: {n: v[rows] for n, v in getattr(view, k).items()} for k in ("observed", "constants", "rated")}
    some = View(view.seed, view.patient[rows], view.day[rows], **parts)
    np.testing.assert_array_equal(measure(some, [name])[name], among[rows])
    if name in TESTS:
        other = measure(visit(stream="observe.second"), [name], COMPLETE)[name]
        assert (other != measure(view, [name], COMPLETE)[name]).mean() > 0.2


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.floats(0, 1), min_size=6, max_size=6), st.lists(st.booleans(), min_size=3, max_size=3),
    st.floats(0, 2), st.floats(0, 2), st.floats(0, 2000), st.lists(st.floats(-5, 5), min_size=12, max_size=12),
    st.integers(0, 4000), st.integers(0, 2**63),
)  # fmt: skip
def test_readings_keep_range_and_grid_and_are_missing_only_after_baseline(f, aids, v, w, nfl, traits, day, seed):
    column = dict(zip((*FUNCTIONS, "strength_arm", "strength_leg"), f, strict=True))
    column |= dict(zip(("niv", "gastrostomy", "ventilated"), aids, strict=True))
    observed = {
        k: np.array([float(x)]) for k, x in (column | {"vital_capacity": v, "weight": w, "nfl_pg_ml": nfl}).items()
    }
    constants = {k: np.array([x]) for k, x in zip(TRAITS, traits, strict=True)}
    one = np.array([5], np.uint64)
    items = AlsfrsRater(seed).rate(one, day, observed, constants, RaterState.fresh(1, 1), 0.1).items
    rated = {k: items[:, i].astype(float) for i, k in enumerate(ITEMS)} | sums(items)
    for name, values in measure(View(seed, one, np.array([day]), observed, constants, rated), NAMES).items():
        scale, x = instruments()[name], values[0]
        if np.isnan(x):
            assert day > 0
            assert name in TESTS
            continue
        assert scale.low <= x <= scale.high, name
        if scale.step is not None:
            steps = (x - scale.low) / scale.step
            assert steps == pytest.approx(round(steps), abs=1e-6), name


def test_what_is_rated_is_passed_on():
    view = visit()
    got = measure(view, RATED)
    for name in (*ITEMS, "alsfrs_r", "alsfrs_r_bulbar"):
        np.testing.assert_array_equal(got[name], view.rated[name])
    np.testing.assert_array_equal(got["alsfrs_r"], sum(got[k] for k in ITEMS))
    np.testing.assert_array_equal(got["alsfrs_r"], sum(got[f"alsfrs_r_{d}"] for d in DOMAINS))
    assert set(got["kings_stage"]) == {1.0, 2.0, 3.0, 4.0}
    assert (got["kings_stage"][view.observed["gastrostomy"] == 1.0] == 4.0).all()


WORSE = {  # direction of a reading when a true value falls
    "f_bulbar": {"fvc_pct": -1, "alsaq40": 1}, "f_fine": {"alsaq40": 1}, "f_gross": {"alsaq40": 1},
    "strength_arm": {"hhd_arm_pct": -1, "hhd_pct": -1}, "strength_leg": {"hhd_leg_pct": -1, "hhd_pct": -1},
    "vital_capacity": {"svc_pct": -1, "fvc_pct": -1}, "weight": {"weight_pct": -1}, "nfl_pg_ml": {"nfl_pg_ml": -1},
}  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(sorted(WORSE)), st.floats(0, 1))
def test_no_reading_gets_better_when_function_falls(seed, key, share):
    view = visit(n=64, seed=seed)
    worse = visit(n=64, seed=seed, observed={key: view.observed[key] * share})
    before, after = (measure(v, TESTS, COMPLETE) for v in (view, worse))
    for name in TESTS:
        sign = WORSE[key].get(name, 0)
        moved = after[name] - before[name]
        assert (sign * moved >= 0).all() if sign else (moved == 0).all(), name


def test_the_mean_of_arms_and_legs_is_that_of_the_same_visit():
    got = measure(visit(), ["hhd_arm_pct", "hhd_leg_pct", "hhd_pct"], COMPLETE)
    np.testing.assert_allclose(got["hhd_pct"], (got["hhd_arm_pct"] + got["hhd_leg_pct"]) / 2)
    gone = [np.isnan(x) for x in measure(visit(n=3000), list(got)).values()]
    assert 0.02 < gone[0].mean() < 0.3
    np.testing.assert_array_equal(gone[0], gone[1])
    np.testing.assert_array_equal(gone[0], gone[2])


def test_nothing_is_missing_at_baseline_and_who_is_sicker_or_bulbar_misses_more():
    n = 20_000
    halves = {k: np.full(n, 1.0) for k in FUNCTIONS} | {k: np.zeros(n) for k in ("niv", "ventilated")}
    limb = halves | {"f_gross": np.repeat([1.0, 0.0], n // 2)}
    bulbar = halves | {"f_bulbar": np.repeat([1.0, 0.0], n // 2)}
    share = {f"missing_share.{k}": 0.1 for k in TESTS}
    missing = {
        k: [np.isnan(x).reshape(2, -1).mean(1) for x in measure(visit(n=n, observed=o), TESTS, share).values()]
        for k, o in (("limb", limb), ("bulbar", bulbar))
    }
    at = dict(zip(TESTS, range(len(TESTS)), strict=True))
    lost = np.array([0.0, 12.0])
    for name, slope, own in (("svc_pct", 0.06, 0.15), ("fvc_pct", 0.06, 0.20), ("hhd_pct", 0.06, 0.0),
                             ("alsaq40", 0.05, 0.0), ("weight_pct", 0.04, 0.0), ("nfl_pg_ml", 0.0, 0.0)):  # fmt: skip
        for where, extra in (("limb", 0.0), ("bulbar", own)):
            odds = np.exp(slope * (lost - 10.0) + extra * lost) / 9
            assert missing[where][at[name]] == pytest.approx(odds / (1 + odds), abs=0.015), (name, where)
    true = true_alsfrs(limb, {k: np.zeros(n) for k in TRAITS}).sum(1)
    assert set(true) == {48, 36}
    for values in measure(visit(day=0), NAMES, share).values():
        assert not np.isnan(values).any()


def test_the_person_stays_and_the_day_changes():
    first, second = (measure(visit(n=3000, day=d), TESTS, COMPLETE) for d in (84, 700))
    for name in TESTS:
        assert (first[name] != second[name]).mean() > 0.25, name
        assert np.corrcoef(first[name], second[name])[0, 1] > 0.8, name


def test_a_changed_number_changes_its_instrument_alone():
    more = {"vital_capacity_sd_pct": 9.0, "alsaq40.base": 20.0, "hhd_person_sd_log": 0.3}
    a, b = (measure(visit(), NAMES, COMPLETE | c) for c in ({}, more))
    changed = {n for n in NAMES if not np.array_equal(a[n], b[n])}
    assert changed == {"svc_pct", "fvc_pct", "alsaq40", "hhd_pct", "hhd_arm_pct", "hhd_leg_pct"}


READS = {
    "svc_pct": {"vital_capacity": 2.1},
    "fvc_pct": {"vital_capacity": -0.1, "f_bulbar": 1.1},
    "hhd_arm_pct": {"strength_arm": 1.1},
    "hhd_leg_pct": {"strength_leg": -0.1},
    "hhd_pct": {"strength_arm": 1.1, "strength_leg": -0.1},
    "alsaq40": {"f_bulbar": 1.1, "f_fine": -0.1, "f_gross": 2.0, "f_resp": -1.0, "niv": 2.0, "ventilated": -1.0},
    "weight_pct": {"weight": -0.1},
    "nfl_pg_ml": {"nfl_pg_ml": -0.1},
    "kings_stage": {"gastrostomy": 2.0},
}


@pytest.mark.parametrize(("name", "column"), [(n, c) for n, cs in READS.items() for c in cs])
def test_each_instrument_refuses_each_bad_input(name, column):
    for value in (READS[name][column], np.nan):
        bad = visit(n=20, observed={column: np.where(np.arange(20) == 3, value, seen(20)[column])})
        with pytest.raises(InputError, match=f"must be .*, not {value}"):
            measure(bad, [name], COMPLETE)
    view = visit(n=20)
    less = View(7, view.patient, view.day, {k: v for k, v in view.observed.items() if k != column}, view.constants,
                view.rated)  # fmt: skip
    with pytest.raises(InputError, match=f"'{column}' is not"):
        measure(less, [name], COMPLETE)


@pytest.mark.parametrize("name", RATED)
def test_what_was_not_rated_is_asked_for_and_checked(name):
    view = visit(n=20)
    read = name if name in view.rated else "walking"
    for rated, message in (
        ({k: v for k, v in view.rated.items() if k != read}, f"'{read}' is not"),
        (view.rated | {read: np.full(20, np.nan)}, "must be between 0 and .*, not nan"),
        (view.rated | {read: np.full(20, 49.0)}, "must be between 0 and .*, not 49"),
    ):
        with pytest.raises(InputError, match=message):
            measure(View(7, view.patient, view.day, view.observed, view.constants, rated), [name])


def test_no_patients():
    for values in measure(visit(n=0), NAMES).values():
        assert values.shape == (0,)
