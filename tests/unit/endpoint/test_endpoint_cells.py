"""Rules that cell therapy needs: harms by patients, events, first and months; any-of; deaths; new baselines; slopes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemtrial.endpoint import define, derive, find
from stemtrial.errors import InputError

YEAR = 365.25
TERMS = ("amenorrhoea", "menses recovered", "infection", "rash")


def rows(table, *columns):
    """Table of rows (patient, day, ...); text where the column is text."""
    cells = list(zip(*table, strict=True)) if table else [()] * (2 + len(columns))
    out = {"replicate": np.zeros(len(table), int), "patient": np.array(cells[0], int), "day": np.array(cells[1], int)}
    text = ("term", "cause", "event", "reason")
    return out | {c: np.array(x, "U40" if c in text else float) for c, x in zip(columns, cells[2:], strict=True)}


def trial(n, *, female=0, closure=800, harms=(), gone=(), visits=(), scans=(), relapses=(), **baseline):
    """Tables of ``n`` patients of one replicate; a harm is (patient, day, term, grade, serious, cause)."""
    return {
        "patients": {"replicate": np.zeros(n, int), "patient": np.arange(n), "closure_day": np.full(n, closure)}
        | {"female": np.broadcast_to(female, n).astype(int)}
        | {c: np.array(x, float) for c, x in baseline.items()},
        "visits": rows(visits, "visit", "edss", "t25fw_s", "nine_hole_peg_s"),
        "mri": rows(scans, "visit", "gd_lesions", "new_t2_lesions"),
        "relapses": rows(relapses),
        "disposition": rows(gone, "event", "reason"),
        "adverse_events": rows(harms, "term", "grade", "serious", "cause"),
    }


def harm(**fields):
    return define({"id": "x", "label": "x", "citation": "none", "unit": "1", "rule": "adverse_event", **fields})


# -- harms -------------------------------------------------------------------------------------------------------------
EVENTS = [
    (0, 10, "infection", 2, 0, "msc"), (0, 10, "infection", 3, 1, "msc"), (0, 300, "rash", 1, 0, "ahsct"),
    (1, 50, "infection", 4, 1, "alemtuzumab"), (2, 0, "rash", 1, 0, "msc"),
]  # fmt: skip


def test_the_same_events_as_patients_events_time_and_months():
    tables = trial(4, harms=EVENTS, gone=[(1, 40, "died", ""), (2, 700, "dropped_out", "")])
    np.testing.assert_array_equal(derive(harm(), tables).value, [1, 0, 1, 0])  # patient 1 had died before
    many = derive(harm(counts="events"), tables)
    np.testing.assert_array_equal(many.count, [3, 0, 1, 0])
    np.testing.assert_allclose(many.exposure_years, np.array([800, 40, 700, 800]) / YEAR)
    first = derive(harm(counts="first"), tables)
    np.testing.assert_array_equal(first.event, [True, False, True, False])
    np.testing.assert_allclose(first.time_years, np.array([10, 40, 0, 800]) / YEAR)
    np.testing.assert_allclose(
        derive(harm(counts="months"), tables).value, [10 / YEAR * 12, np.nan, 0, np.nan], equal_nan=True
    )


@pytest.mark.parametrize(
    ("fields", "count"),
    [
        ({"grade_at_least": 3}, [1, 1, 0]),
        ({"grade_at_least": 3, "grade_at_most": 3}, [1, 0, 0]),
        ({"serious": True, "causes": ["msc", "ahsct"]}, [1, 0, 0]),
        ({"terms": ["infection"], "to_days": 10}, [2, 0, 0]),
        ({"from_days": 11}, [1, 1, 0]),
        ({"from_days": 10, "to_days": 50}, [2, 1, 0]),
    ],
)
def test_which_events_count(fields, count):
    np.testing.assert_array_equal(derive(harm(counts="events", **fields), trial(3, harms=EVENTS)).count, count)


def test_a_window_sets_the_time_in_which_events_were_counted():
    tables = trial(3, gone=[(0, 100, "died", ""), (1, 250, "dropped_out", "")])
    out = derive(harm(counts="events", from_days=181, to_days=365), tables)
    np.testing.assert_allclose(out.exposure_years, np.array([0, 69, 184]) / YEAR)
    np.testing.assert_array_equal(derive(harm(from_days=181), tables).value, [np.nan, 0, 0])


def test_menses_are_judged_in_women_whose_menses_stopped():
    harms = [(i, 30, "amenorrhoea", 2, 0, "ahsct") for i in (0, 1, 2)]
    harms += [(0, 200, "menses recovered", 1, 0, "ahsct"), (2, 600, "menses recovered", 1, 0, "ahsct")]
    tables = trial(5, female=[1, 1, 1, 1, 0], harms=sorted(harms))
    np.testing.assert_array_equal(derive("menses_recovery", tables).value, [1, 0, 1, np.nan, np.nan])
    np.testing.assert_array_equal(derive("menses_recovery", tables, 1).value, [1, 0, 0, np.nan, np.nan])
    np.testing.assert_array_equal(derive("amenorrhoea_over_12_months", tables).value, [0, 1, 1, 0, np.nan])
    np.testing.assert_array_equal(derive("amenorrhoea_over_12_months", tables, 1).value, [0, 0, 0, 0, np.nan])
    months = derive("menses_recovery_months", tables).value
    np.testing.assert_allclose(months, np.array([200, np.nan, 600, np.nan, np.nan]) / YEAR * 12)


@pytest.mark.parametrize("counts", ["patients", "events", "first", "months"])
def test_nobody_to_assess(counts):
    harms = [(0, 30, "amenorrhoea", 2, 0, "ahsct")]
    for tables in (trial(2, harms=harms), trial(2, female=1), trial(0)):
        d = harm(counts=counts, women_only=True, among=["amenorrhoea"])
        out = derive(d, tables)
        if counts == "events":
            assert not out.count.any()
            assert not out.exposure_years.any()
        elif counts == "first":
            assert not out.event.any()
            assert not out.time_years.any()
        else:
            assert np.isnan(out.value).all()


day = st.integers(0, 60)
harm_rows = st.lists(
    st.tuples(st.integers(0, 3), day, st.sampled_from(TERMS), st.integers(1, 5), st.integers(0, 1),
              st.sampled_from(["msc", "ahsct"])), max_size=12,
)  # fmt: skip
questions = st.fixed_dictionaries(
    {
        "terms": st.sampled_from([[], ["amenorrhoea"], ["infection", "rash"]]),
        "serious": st.booleans(), "grade_at_least": st.integers(1, 3), "grade_at_most": st.integers(3, 5),
        "causes": st.sampled_from([[], ["msc"]]), "from_days": st.integers(0, 20),
        "to_days": st.sampled_from([None, 20, 45]), "women_only": st.booleans(),
        "among": st.sampled_from([[], ["infection"]]), "lasting_days": st.sampled_from([0, 1, 20]),
    }
)  # fmt: skip


@given(harm_rows, questions, st.lists(day, min_size=4, max_size=4), st.lists(st.booleans(), min_size=4, max_size=4))
@settings(max_examples=300, deadline=None)
def test_harms_are_as_a_plain_reading_of_the_rule(harms, asked, ends, women):
    asked |= {"ended_by": ["menses recovered"] if asked["lasting_days"] else []}
    tables = trial(4, female=women, harms=sorted(harms), gone=[(i, e, "died", "") for i, e in enumerate(ends)])
    shown = {c: derive(harm(counts=c, **asked), tables) for c in ("patients", "events", "first", "months")}
    for i, end in enumerate(ends):
        mine = [h for h in harms if h[0] == i]
        last = end if asked["to_days"] is None else min(end, asked["to_days"])
        assessed = (women[i] or not asked["women_only"]) and (
            not asked["among"] or any(h[1] <= end and h[2] in asked["among"] for h in mine)
        )
        days = []
        for _, at, term, grade, serious, cause in mine:
            lasted = at + asked["lasting_days"]
            ended = any(h[2] in asked["ended_by"] and at <= h[1] < lasted for h in mine)
            counts = not ended and asked["from_days"] <= lasted <= last and assessed
            counts = counts and (not asked["terms"] or term in asked["terms"]) and (serious or not asked["serious"])
            counts = counts and (not asked["causes"] or cause in asked["causes"])
            if counts and asked["grade_at_least"] <= grade <= asked["grade_at_most"]:
                days.append(lasted)
        seen = assessed and last >= asked["from_days"]
        np.testing.assert_equal(shown["patients"].value[i], float(bool(days)) if seen else np.nan)
        assert shown["events"].count[i] == len(days)
        exposure = max(last - asked["from_days"], 0) / YEAR if assessed else 0.0
        np.testing.assert_allclose(shown["events"].exposure_years[i], exposure)
        assert shown["first"].event[i] == bool(days)
        time = min(days) if days else (last if assessed else 0)
        np.testing.assert_allclose(shown["first"].time_years[i], time / YEAR)
        np.testing.assert_allclose(shown["months"].value[i], min(days) / YEAR * 12 if days else np.nan)


# -- any of, limits of the reference, slopes ---------------------------------------------------------------------------
def test_edss_plus_takes_any_measure_and_a_missed_test_shows_nothing():
    nan = np.nan
    base = [(4.0, 10, 20), (6.0, 10, 20), (5.5, 10, 20), (4.0, 10, 20), (4.0, 10, 20), (4.0, 10, 20)]
    end = [(3.0, 10, 20), (5.5, 10, 20), (5.0, 10, 20), (4.0, 8, nan), (nan, nan, 20), (nan, nan, nan)]
    tables = trial(
        6, visits=[(i, 365, 1, *v) for i, v in enumerate(end)], edss=[b[0] for b in base],
        t25fw_s=[b[1] for b in base], nine_hole_peg_s=[b[2] for b in base],
    )  # fmt: skip
    np.testing.assert_array_equal(derive("edss_plus_improved", tables, 1).value, [1, 1, 0, 1, 0, np.nan])
    np.testing.assert_array_equal(derive("edss_improved.from_6", tables, 1).value, [nan, 1, nan, nan, nan, nan])
    np.testing.assert_array_equal(derive("t25fw_or_nhpt_responder", tables, 1).value, [0, 0, 0, 0, 0, nan])


def test_a_change_of_slope_joins_three_visits():
    tables = trial(3, visits=[(i, d, k, 0, 0, 0) for i in (0, 1) for k, d in ((1, 182), (2, 365))])
    tables["patients"]["visual_acuity_logmar"] = np.array([0.1, 0.1, 0.1])
    tables["visits"]["visual_acuity_logmar"] = np.array([0.2, 0.2, 0.2, np.nan])
    out = derive("visual_acuity_slope", tables, 1, [0, 182, 365]).value
    np.testing.assert_allclose(out, [-0.1 / (182 / (YEAR / 12)), np.nan, np.nan])


def test_cells_are_added_up():
    tables = trial(2, visits=[(0, 365, 1, 0, 0, 0), (1, 365, 1, 0, 0, 0)])
    tables["visits"] |= {
        "cd4_naive_per_ul": np.array([100.0, 100]), "cd4_memory_per_ul": np.array([300.0, np.nan]),
        "cd8_per_ul": np.array([500.0, 500]),
    }  # fmt: skip
    np.testing.assert_array_equal(derive("blood.cd4_count", tables, 1).value, [400, np.nan])
    np.testing.assert_array_equal(derive("blood.t_cells", tables, 1).value, [900, np.nan])


# -- deaths, new baselines, cycles -------------------------------------------------------------------------------------
def yearly(edss, patient=0):
    return [(patient, round(91.3125 * k), k, e, 6, 20) for k, e in enumerate(edss, 1)]


def test_death_is_an_event_where_the_definition_says_so():
    visits = [*yearly([3.0] * 4), *yearly([3.0] * 4, 1)]
    scans = [(i, 183, 2, 0, 0) for i in (0, 1)]
    tables = trial(2, visits=visits, scans=scans, gone=[(0, 400, "died", "")], edss=[3.0, 3.0])
    for name in ("neda3.halt_ms", "neda3.atkins2016", "pfs.12_months", "relapse_free_survival.beat_ms"):
        out = derive(name, tables)
        assert out.event.tolist() == [True, False], name
        np.testing.assert_allclose(out.time_years[0], 400 / YEAR)
    for name in ("neda3.graft", "pfs", "pfs.halt_ms", "relapse_free"):
        out = derive(name, tables)
        assert not out.event.any(), name
        assert out.time_years[0] <= 400 / YEAR
    tables["relapses"] = rows([(0, 400), (1, 10)])
    out = derive("relapse_free_survival.beat_ms", tables)
    np.testing.assert_allclose(out.time_years, np.array([400, 10]) / YEAR)  # a tie is one event
    assert out.event.all()


@pytest.mark.parametrize(
    ("scan", "graft", "halt"),
    [
        ((183, 0, 9), False, False),  # the new baseline scan shows what came before
        ((183, 1, 0), False, False),
        ((274, 0, 1), True, False),
        ((274, 0, 9), True, False),  # HALT-MS counts from one year
        ((365, 0, 1), True, False),  # and asks for two
        ((365, 0, 2), True, True),
    ],
)
def test_lesions_count_after_the_new_baseline_scan(scan, graft, halt):
    day, gd, t2 = scan
    tables = trial(1, visits=yearly([3.0] * 4), scans=[(0, day, round(day / 91), gd, t2)], edss=[3.0])
    for name, event in (("graft", graft), ("halt_ms", halt)):
        assert bool(derive(f"mri_activity_free.{name}", tables).event[0]) is event
        assert bool(derive(f"neda3.{name}", tables).event[0]) is event
    assert derive("mri_activity_free", tables).event[0]


def test_progression_free_survival_is_confirmed_worsening():
    visits = [*yearly([3.0, 4.0, 4.0, 4.0]), *yearly([3.0, 4.0, 4.0, 3.0], 1), *yearly([5.5, 6.0, 6.0, 6.0], 2)]
    tables = trial(3, visits=visits, edss=[3.0, 3.0, 5.5])
    for name in ("pfs", "pfs.24_weeks", "pfs.boffa2021", "confirmed_worsening.graft"):
        out = derive(name, tables)
        assert out.event.tolist() == [True, False, True], name
        np.testing.assert_allclose(out.time_years[[0, 2]], 183 / YEAR)
    assert derive("pfs.halt_ms", tables).event.tolist() == [True, False, False]
    assert not derive("pfs.12_months", tables).event.any()


def test_cycles_of_petrou_are_judged_at_the_visit_that_ends_them():
    planned = [0, 91, 183, 274, 365]
    visits = [
        *yearly([5.0, 4.0, 4.0, 4.0]),  # gone by month 6
        *yearly([4.0, 5.0, 5.0, 5.0], 1),  # fails the first cycle, holds in the second
        *yearly([4.0, 4.0, 4.0, 5.0], 2),  # fails the second
    ]
    tables = trial(3, visits=visits, edss=[4.0] * 3, relapses=[(0, 200)], closure=400)
    first, second = (f"treatment_failure.petrou{x}" for x in ("", ".cycle_2"))
    assert derive(first, tables, 0.5, planned).event.tolist() == [False, True, False]
    assert derive(second, tables, 1.0, planned).event.tolist() == [False, False, True]
    assert derive("neda.petrou", tables, 0.5, planned).event.tolist() == [False, True, False]
    assert derive("neda.petrou.cycle_2", tables, 1.0, planned).event.tolist() == [True, False, True]


# -- refusals ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: harm(grade_at_least=4, grade_at_most=3), "grade_at_least 4 is above grade_at_most 3"),
        (lambda: harm(from_days=10, to_days=9), "to_days 9 is before from_days 10"),
        (lambda: harm(lasting_days=10), "ended_by and lasting_days together"),
        (lambda: harm(ended_by=["menses recovered"]), "ended_by and lasting_days together"),
        (lambda: find("baseline.edss", change="difference"), "table: patients is the baseline"),
        (lambda: find("edss", reference_at_least=2.0, reference_at_most=1.0), "at_least 2 is above at_most 1"),
        (lambda: find("visual_acuity_slope", reference_days=None), "slope_change needs reference_days"),
        (lambda: find("edss_plus_improved", of=["edss_improved"]), "at least 2 items"),
        (
            lambda: derive(find("edss_plus_improved", of=["edss_improved", "edss"]), trial(1)),
            "'edss' must be a visit",
        ),
    ],
)
def test_refusals(call, message):
    with pytest.raises(InputError, match=message) as e:
        call()
    assert "\n" not in str(e.value)
