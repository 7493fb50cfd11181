"""measure: every instrument keeps its range, its grid, its direction, its random streams and its refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemtrial.errors import InputError
from stemtrial.observe import View, instruments, measure
from stemtrial.observe.blood import BLOOD
from stemtrial.observe.mri import SPECIAL
from stemtrial.observe.visit import _FORMULAS, _Sight, merged

NAMES = tuple(n for n, i in instruments("ms").items() if i.table == "visits")
COMPLETE = {f"missing_share.{n}": 0.0 for n in NAMES}
REGIONS = ("pv", "cj", "it", "sc", "on")
STEPS = np.array([0.0, *np.arange(2, 20) / 2])


def visit(n=400, day=84, seed=1, **changes):
    rng = np.random.default_rng(seed)
    observed = {f"f_{r}": rng.beta(1.2, 5, n) for r in REGIONS}
    observed |= {
        "age_years": rng.uniform(10, 70, n), "nfl_pg_ml": rng.lognormal(2.3, 0.5, n),
        "demyelinated_on_ml": rng.gamma(1, 0.05, n), "smouldering": rng.gamma(1, 0.5, n),
        "gd_lesions": rng.poisson(1.0, n).astype(float), "days_since_relapse": rng.integers(0, 900, n).astype(float),
    }  # fmt: skip
    constants = {"w_it": rng.beta(4, 4, n), "w_sc": rng.beta(6, 6, n), "res": np.full(n, 0.028)}
    constants["nfl"] = rng.lognormal(0, 0.3, n)
    given_ = {
        "seed": 7, "patient": np.arange(n, dtype=np.uint64), "day": np.full(n, day), "observed": observed,
        "constants": constants,
        "rated": {"edss": rng.choice(STEPS, n), "fs": rng.integers(0, 5, (n, 7)).astype(np.int8)},
    }  # fmt: skip
    return View(**(given_ | changes))


def taken(view, rows):
    """The visit of some of the patients, in another order."""
    return View(
        view.seed, view.patient[rows], view.day[rows], {k: v[rows] for k, v in view.observed.items()},
        {k: v[rows] for k, v in view.constants.items()}, {k: v[rows] for k, v in view.rated.items()},
        {k: v[rows] for k, v in view.earlier.items()}, view.stream,
    )  # fmt: skip


def test_the_register_holds_what_can_be_measured_and_nothing_else():
    assert {n for n, i in instruments().items() if i.table == "visits"} == set(_FORMULAS)
    scanned = {n for n, i in instruments().items() if i.table == "mri"}
    assert scanned == {"gd_lesions", "new_t2_lesions", "t2_volume_ml", "brain_volume_change_pct", *SPECIAL}
    frozen = (
        "edss t25fw_s nine_hole_peg_s sdmt vep_p100_ms visual_acuity_logmar low_contrast_letters mfis fss bdi2 "
        "bladder_bowel eq5d sf36_pcs sf36_mcs msis29_physical msis29_psychological nfl_pg_ml gfap_pg_ml"
    )
    assert set(NAMES) == {*frozen.split(), *BLOOD}


@pytest.mark.parametrize("name", NAMES)
def test_a_reading_depends_on_nothing_but_its_own_visit(name):
    view = visit()
    among = measure(view, NAMES)[name]
    np.testing.assert_array_equal(measure(view, [name])[name], among)
    rows = np.random.default_rng(0).permutation(len(view))[:150]
    np.testing.assert_array_equal(measure(taken(view, rows), [name])[name], among[rows])
    if name not in ("edss", "bladder_bowel"):  # the rater has a stream of its own
        other = measure(visit(stream="observe.second"), [name], COMPLETE)[name]
        assert (other != measure(view, [name], COMPLETE)[name]).mean() > 0.2


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0, 1), min_size=5, max_size=5), st.floats(0, 100), st.floats(0, 30), st.integers(0, 4000),
    st.integers(0, 2**63), st.floats(0, 200), st.integers(0, 50),
)  # fmt: skip
def test_readings_keep_range_and_grid_and_are_missing_only_after_baseline(f, age, smouldering, day, seed, volume, n):
    observed = {f"f_{r}": np.array([x]) for r, x in zip(REGIONS, f, strict=True)}
    observed |= {"age_years": np.array([age]), "smouldering": np.array([smouldering]), "gd_lesions": np.array([n])}
    observed |= {"demyelinated_on_ml": np.array([volume]), "nfl_pg_ml": np.array([volume])}
    observed |= {"days_since_relapse": np.array([float(day)])}
    one = np.array([1.0])
    view = View(
        seed, np.array([5], np.uint64), np.array([day]), observed,
        {"w_it": one / 2, "w_sc": one / 2, "res": one * 0.03, "nfl": one},
        {"edss": one * 2, "fs": np.zeros((1, 7), np.int8)}, {"sdmt": np.array([n])},
    )  # fmt: skip
    for name, values in measure(view, NAMES).items():
        scale, x = instruments()[name], values[0]
        if np.isnan(x):
            assert day > 0
            continue
        assert scale.low <= x <= scale.high, name
        if scale.step is not None:
            steps = (x - scale.low) / scale.step
            assert steps == pytest.approx(round(steps), abs=1e-6), name


WORSE = {  # direction of a reading when a regional deficit rises; eq5d follows the published, uneven steps
    "t25fw_s": 1, "nine_hole_peg_s": 1, "sdmt": -1, "vep_p100_ms": 1, "visual_acuity_logmar": 1,
    "low_contrast_letters": -1, "mfis": 1, "fss": 1, "bdi2": 1, "sf36_pcs": -1, "sf36_mcs": -1, "msis29_physical": 1,
    "msis29_psychological": 1,
}  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(REGIONS), st.floats(0, 1))
def test_no_reading_gets_better_when_a_deficit_rises(seed, region, rise):
    view = visit(n=64, seed=seed)
    key = f"f_{region}"
    worse = visit(n=64, seed=seed, observed=view.observed | {key: np.minimum(1.0, view.observed[key] + rise)})
    before, after = (measure(v, WORSE, COMPLETE) for v in (view, worse))
    for name, sign in WORSE.items():
        assert (sign * (after[name] - before[name]) >= 0).all(), name


def test_utility_falls_from_step_to_step_save_where_the_published_one_does_not():
    n = 4000
    at = {}
    for level in (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8):
        f = {f"f_{r}": np.full(n, level) for r in REGIONS}
        at[level] = measure(visit(n=n, observed=visit(n=n).observed | f), ["eq5d"], COMPLETE)["eq5d"].mean()
    means = list(at.values())
    assert means == sorted(means, reverse=True)
    assert means[0] == pytest.approx(0.85, abs=0.04)  # the best answer, 1, cuts the spread
    recent, long_ago = (
        measure(visit(observed=visit().observed | {"days_since_relapse": np.full(400, days)}), ["eq5d"], COMPLETE)[
            "eq5d"
        ]
        for days in (0.0, 999.0)
    )
    assert (recent - long_ago).min() == pytest.approx(-0.071)


def test_nothing_is_missing_at_baseline_and_sicker_patients_miss_more_afterwards():
    n = 20_000
    f = {f"f_{r}": np.repeat([0.02, 0.35], n // 2) for r in REGIONS}
    view = visit(n=n, observed=visit(n=n).observed | f)
    more = {"missing_share.t25fw_s": 0.2, "missing_share.nfl_pg_ml": 0.2, "missing_share.edss": 0.1}
    got = measure(view, ["t25fw_s", "nfl_pg_ml", "edss"], more)
    true = _Sight(view, merged()).edss[[0, -1]]
    odds = 0.25 * np.exp(0.25 * (true - 4.0))
    gone = np.isnan(got["t25fw_s"])
    for half, o in zip((slice(0, n // 2), slice(n // 2, n)), odds, strict=True):
        assert gone[half].mean() == pytest.approx(o / (1 + o), abs=0.02)
        assert np.isnan(got["nfl_pg_ml"][half]).mean() == pytest.approx(0.2, abs=0.02)
    assert np.isnan(got["edss"]).mean() == pytest.approx(0.1, abs=0.01)
    assert abs(np.corrcoef(gone, np.isnan(got["nfl_pg_ml"]))[0, 1]) < 0.03
    for values in measure(visit(n=500, day=0), NAMES, more).values():
        assert not np.isnan(values).any()
    complete = measure(view, ["t25fw_s"], COMPLETE)["t25fw_s"]
    np.testing.assert_array_equal(got["t25fw_s"][~gone], complete[~gone])


def test_who_cannot_do_a_test_gets_its_longest_time():
    n = 600
    bedridden = visit(n=n, observed=visit(n=n).observed | {f"f_{r}": np.linspace(0, 1, n) for r in REGIONS})
    true = _Sight(bedridden, merged()).edss
    got = measure(bedridden, ["t25fw_s", "nine_hole_peg_s"], COMPLETE)
    assert (got["t25fw_s"][true >= 7.0] == 180.0).all()
    assert (got["t25fw_s"][true < 6.0] < 60.0).all()
    assert (got["nine_hole_peg_s"][true >= 9.0] == 300.0).all()
    assert (got["nine_hole_peg_s"][true < 8.0] < 200.0).all()
    assert (true >= 9.0).any()


def test_practice_raises_the_symbol_digit_test_up_to_its_plateau():
    def mean(k):
        return measure(visit(earlier={"sdmt": np.full(400, k)}), ["sdmt"], COMPLETE)["sdmt"].mean()

    assert mean(1) - mean(0) == pytest.approx(1.0, abs=0.1)
    assert mean(3) - mean(0) == pytest.approx(3.0, abs=0.1)
    assert mean(9) == mean(3)


def test_the_person_stays_and_the_day_changes():
    n = 4000
    first, second = (measure(visit(n=n, day=d), NAMES, COMPLETE) for d in (84, 700))
    for name in set(NAMES) - {"edss", "bladder_bowel"}:
        assert (first[name] != second[name]).mean() > 0.25, name
        assert np.corrcoef(first[name], second[name])[0, 1] > 0.6, name


def test_form_is_standard_normal_smooth_and_forgotten():
    n = 40_000
    form = {d: _Sight(visit(n=n, day=d), merged()).form("t25fw_s") for d in (0, 1, 45, 90, 180, 200)}
    for values in form.values():
        assert abs(values.mean()) < 0.03
        assert values.var() == pytest.approx(1.0, abs=0.04)
    assert np.corrcoef(form[0], form[1])[0, 1] > 0.999
    assert np.corrcoef(form[0], form[45])[0, 1] == pytest.approx(np.cos(np.pi / 4), abs=0.02)
    for late in (90, 180, 200):
        assert abs(np.corrcoef(form[0], form[late])[0, 1]) < 0.03


READS = {  # what each instrument reads, and a value that it must refuse
    "edss": {"edss": 0.5},
    "bladder_bowel": {"fs": 9},
    "t25fw_s": {"f_sc": 1.2, "f_it": -0.1, "age_years": 200, "w_it": 2.0, "w_sc": -1.0, "res": 1.5},
    "nine_hole_peg_s": {"f_sc": 1.2, "f_it": -0.1, "f_pv": 2.0, "age_years": -1},
    "sdmt": {"f_pv": 1.2, "f_cj": -0.1, "age_years": -1, "earlier": -1},
    "vep_p100_ms": {"f_on": 1.2, "demyelinated_on_ml": -0.1},
    "visual_acuity_logmar": {"f_on": -0.2},
    "low_contrast_letters": {"f_on": -0.2, "f_pv": 1.1},
    "mfis": {"f_pv": 1.1, "f_cj": -1.0, "f_sc": 2.0, "smouldering": -0.1},
    "fss": {"f_pv": 1.1, "f_cj": -1.0, "f_sc": 2.0},
    "bdi2": {"f_pv": 1.1, "f_cj": -1.0, "f_sc": 2.0},
    "eq5d": {"f_pv": 1.1, "f_sc": 2.0, "days_since_relapse": -1},
    "sf36_pcs": {"f_sc": 1.1, "f_it": 1.1, "f_pv": 1.1},
    "sf36_mcs": {"f_pv": 1.1, "f_cj": -1.0, "f_sc": 2.0},
    "msis29_physical": {"f_sc": 1.1, "f_it": 1.1, "f_pv": 1.1},
    "msis29_psychological": {"f_pv": 1.1, "f_cj": -1.0, "f_sc": 2.0},
    "nfl_pg_ml": {"nfl_pg_ml": -0.1},
    "gfap_pg_ml": {"smouldering": -0.1, "age_years": 131, "gd_lesions": -1, "nfl": -1.0},
}


def spoilt(column, value):
    view = visit(n=20)
    if column == "fs":
        fs = np.where(np.arange(20)[:, None] == 3, value, view.rated["fs"]).astype(np.int8)
        return visit(n=20, rated=view.rated | {"fs": fs})
    bad = np.where(np.arange(20) == 3, value, 1.0)
    if column == "earlier":
        return visit(n=20, earlier={"sdmt": bad})
    if column == "edss":
        return visit(n=20, rated=view.rated | {"edss": bad})
    where = "constants" if column in view.constants else "observed"
    old = getattr(view, where)
    return visit(n=20, **{where: old | {column: np.where(np.arange(20) == 3, value, old[column])}})


@pytest.mark.parametrize(("name", "column"), [(n, c) for n, cs in READS.items() for c in cs])
def test_each_instrument_refuses_each_bad_input(name, column):
    assert set(READS) | set(BLOOD) == set(NAMES)  # counts of the blood are refused in test_blood
    with pytest.raises(InputError, match=r"must (be|lie)"):
        measure(spoilt(column, READS[name][column]), [name])
    if column != "fs":
        with pytest.raises(InputError, match="not nan"):
            measure(spoilt(column, np.nan), [name])


def test_rounding_beyond_the_ends_of_a_fraction_is_not_refused():
    view = visit(n=20)
    barely = visit(n=20, observed=view.observed | {"f_on": np.full(20, -1e-12)})
    exact = visit(n=20, observed=view.observed | {"f_on": np.zeros(20)})
    np.testing.assert_array_equal(measure(barely, NAMES)["vep_p100_ms"], measure(exact, NAMES)["vep_p100_ms"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: measure(visit(), ["t25fw"]), "instrument 't25fw' is not known at visits; did you mean 't25fw_s'"),
        (lambda: measure(visit(), ["gd_lesions"]), "instrument 'gd_lesions' is not known at visits"),
        (lambda: measure(visit(observed={"f_p": np.zeros(400)}), ["fss"]), "observable 'f_pv' is not in the visit"),
        (lambda: measure(visit(constants={}), ["t25fw_s"]), "constant 'w_it' is not in the visit"),
        (lambda: measure(visit(), ["mfis"], {"mfis.bas": 1.0}), "did you mean 'mfis.base'"),
        (lambda: measure(visit(), ["mfis"], {"missing_share.mfis": 1.0}), r"must lie in \[0, 1\), not 1.0"),
        (lambda: visit(rated={"edss": np.zeros(3)}), "rated 'edss' of the visit has 3 rows; patient has 400"),
        (lambda: measure(visit(rated={}), ["edss"]), "rating 'edss' is not in the visit"),
        (lambda: visit(earlier={"sdmt": np.zeros(3)}), "earlier 'sdmt' of the visit has 3 rows"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_a_changed_number_changes_its_instrument_alone():
    view = visit()
    a, b = (measure(view, NAMES, COMPLETE | c) for c in ({}, {"mfis.base": 40.0, "t25fw_base_s": 9.0}))
    assert {n for n in NAMES if not np.array_equal(a[n], b[n])} == {"mfis", "t25fw_s"}


def test_no_patients():
    for values in measure(visit(n=0), NAMES).values():
        assert values.shape == (0,)
