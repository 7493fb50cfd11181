"""derive(): worked examples, windows, refusals, empty and one-patient tables, replicates that do not mix."""

import re
from pathlib import Path

import numpy as np
import pytest

from stemtrial import therapy
from stemtrial.endpoint import Counts, Courses, Events, Values, changes, definitions, derive, find
from stemtrial.errors import InputError
from stemtrial.tables import concat, make
from stemtrial.therapy import catalogue
from stemtrial.therapy.harms import HARMS

INSTRUMENTS = {
    "t25fw_s": 6.0, "nine_hole_peg_s": 22.0, "sdmt": 50.0, "vep_p100_ms": 110.0, "mfis": 30.0, "eq5d": 0.7,
    "sf36_pcs": 45.0, "msis29_physical": 30.0, "nfl_pg_ml": 12.0, "gfap_pg_ml": 100.0,
    "low_contrast_letters": 40.0, "visual_acuity_logmar": 0.1, "neutrophils_1e9_per_l": 4.0, "cd4_naive_per_ul": 400.0,
    "cd4_memory_per_ul": 400.0, "cd8_per_ul": 500.0, "b_cells_per_ul": 200.0, "nk_per_ul": 200.0,
    "trec_per_ug_dna": 9e3, "tcr_clones_1e3": 700.0,
    **dict.fromkeys(("alsfrs_r_bulbar", "alsfrs_r_fine_motor", "alsfrs_r_gross_motor", "alsfrs_r_respiratory"), 9.0),
    **dict.fromkeys(("alsfrs_r", "svc_pct", "fvc_pct", "hhd_pct", "hhd_arm_pct", "hhd_leg_pct", "alsaq40"), 36.0),
    **dict.fromkeys(("walking", "dyspnoea", "kings_stage", "mitos_stage"), 3.0), "weight_pct": 90.0,
}  # fmt: skip


def patients(edss, replicate=None, closure=1826, t2=None):
    n = len(edss)
    zero = np.zeros(n)
    return make(
        "patients", replicate=zero if replicate is None else replicate, patient=np.arange(n), arm=np.full(n, "dmt"),
        recruit=zero, entry_day=zero, closure_day=np.full(n, closure), age_years=zero, female=zero,
        disease_duration_years=zero, relapses_last_12_months=zero, relapses_last_24_months=zero,
        edss=np.array(edss, float), gd_lesions=zero,
        t2_volume_ml=np.full(n, 10.0) if t2 is None else np.array(t2, float),
        lesion_mtr_pct=np.full(n, 80.0), lesion_mwf_pct=np.full(n, 6.0),
        alsfrs_r_slope_run_in=np.full(n, -1.0), alsfrs_r_slope_run_in_18_weeks=np.full(n, -1.0),
        **{c: np.full(n, x) for c, x in INSTRUMENTS.items()},
    )  # fmt: skip


def visits(*rows):
    """Rows of (patient, day, visit, edss)."""
    p, d, v, e = np.array(rows, float).reshape(-1, 4).T
    return make(
        "visits", replicate=np.zeros(len(p)), patient=p, day=d, visit=v, edss=e,
        **{c: np.full(len(p), x) for c, x in INSTRUMENTS.items()} | {"alsfrs_r": 48 - 4 * e},
    )  # fmt: skip


def scans(*rows):
    """Rows of (patient, day, visit, gd, new t2, volume, brain)."""
    p, d, v, g, t, ml, b = np.array(rows, float).reshape(-1, 7).T
    return make(
        "mri", replicate=np.zeros(len(p)), patient=p, day=d, visit=v, gd_lesions=g, new_t2_lesions=t, t2_volume_ml=ml,
        brain_volume_change_pct=b, lesion_mtr_pct=np.full(len(p), 80.0), lesion_mwf_pct=np.full(len(p), 6.0),
    )  # fmt: skip


def relapses(*rows):
    p, d = np.array(rows, float).reshape(-1, 2).T
    return make("relapses", replicate=np.zeros(len(p)), patient=p, day=d)


def disposition(*rows):
    """Rows of (patient, day, event, reason)."""
    p, d, e, r = (np.array(c) for c in zip(*rows, strict=True)) if rows else (np.array([]),) * 4
    return make("disposition", replicate=np.zeros(len(p)), patient=p, day=d, event=e, reason=r)


def harms(*rows):
    """Rows of (patient, day, term, grade, serious)."""
    p, d, t, g, s = (np.array(c) for c in zip(*rows, strict=True)) if rows else (np.array([]),) * 5
    return make(
        "adverse_events", replicate=np.zeros(len(p)), patient=p, day=d, term=t, grade=g, serious=s,
        cause=np.full(len(p), "drug"),
    )  # fmt: skip


def milestones(*rows):
    """Rows of (patient, day, event)."""
    p, d, e = (np.array(c) for c in zip(*rows, strict=True)) if rows else (np.array([]),) * 3
    return make("milestones", replicate=np.zeros(len(p)), patient=p, day=d, event=e)


def trial(edss, v=(), m=(), r=(), d=(), h=(), s=(), **more):
    return {
        "patients": patients(edss, **more),
        "visits": visits(*v),
        "mri": scans(*m),
        "relapses": relapses(*r),
        "disposition": disposition(*d),
        "adverse_events": harms(*h),
        "milestones": milestones(*s),
    }


def one(name, tables, at_years=None):
    out = derive(name, tables, at_years)
    return float(out.time_years[0]), bool(out.event[0])


def mist_visits(*edss):
    days = (182, 365, 730, 1096, 1461, 1826)
    return [(0, day, k + 1, e) for k, (day, e) in enumerate(zip(days, edss, strict=False))]


@pytest.mark.parametrize(
    ("edss", "expected"),
    [
        ((3, 4, 4), (1.0, True)),
        ((4, 3, 3), (2.0, False)),  # before one year, gone at one year
        ((4, 4, 4), (1.0, True)),  # began before one year: counted from the visit at one year
        ((3, 3.5, 3.5), (2.0, False)),  # half a point is not enough
        ((3, 4, 3.5, 4, 4), (3.0, True)),  # the first rise was not confirmed
        ((3, 3, 4), (2.0, False)),  # at the last visit, not confirmed
    ],
)
def test_mist(edss, expected):
    assert one("confirmed_worsening.mist", trial([3.0], mist_visits(*edss))) == expected


def test_mist_unconfirmed_as_event():
    d = find("confirmed_worsening.mist", unconfirmed_at_end="event")
    assert one(d, trial([3.0], mist_visits(3, 3, 4))) == (2.0, True)


def test_mist_crossover_ends_follow_up():
    rows = mist_visits(3, 4, 4)
    assert one("confirmed_worsening.mist", trial([3.0], rows, d=[(0, 400, "crossed_over", "")])) == (1.0, False)
    assert one("confirmed_worsening.mist", trial([3.0], rows, d=[(0, 730, "crossed_over", "")])) == (1.0, True)


def test_late_yearly_visits_count_at_their_year():
    late = [(0, 190, 1, 3.0), (0, 379, 2, 4.0), (0, 741, 3, 4.0)]
    assert one("confirmed_worsening.mist", trial([3.0], late), at_years=1) == (1.0, True)
    actual = find("confirmed_worsening.mist", event_time="actual")
    assert one(actual, trial([3.0], late), at_years=1) == (1.0, False)
    assert one(actual, trial([3.0], late)) == (379 / 365.25, True)


def test_planned_days_replace_the_mean_of_few_patients():
    late = [(0, 182, 1, 3.0), (0, 394, 2, 4.0), (0, 741, 3, 4.0)]
    assert one("confirmed_worsening.mist", trial([3.0], late))[0] == 13 / 12
    out = derive("confirmed_worsening.mist", trial([3.0], late), planned_days=[0, 182, 365, 730])
    assert out.time_years[0] == 1.0
    with pytest.raises(InputError, match="planned_days has 3 visits; 'visits' has visit number 3"):
        derive("confirmed_worsening.mist", trial([3.0], late), planned_days=[0, 182, 365])
    with pytest.raises(InputError, match="planned_days must ascend"):
        derive("confirmed_worsening.mist", trial([3.0], late), planned_days=[0, 365, 182, 730])


@pytest.mark.parametrize(("gap", "event"), [(76, False), (77, True)])
def test_confirmation_exactly_at_its_earliest_day(gap, event):
    rows = [(0, 84, 1, 4.0), (0, 84 + gap, 2, 4.0)]
    assert one("confirmed_worsening.12_weeks", trial([3.0], rows))[1] is event


@pytest.mark.parametrize(("day", "event"), [(334, False), (335, True)])
def test_onset_exactly_at_its_earliest_day(day, event):
    rows = [(0, day, 1, 4.0), (0, 730, 2, 4.0)]
    assert one("confirmed_worsening.mist", trial([3.0], rows))[1] is event


def test_a_rating_on_day_0_is_not_follow_up():
    rows = [(0, 0, 0, 4.0), (0, 84, 1, 4.0), (0, 100, 2, 3.0)]
    assert one("confirmed_worsening.12_weeks", trial([3.0], rows)) == (100 / 365.25, False)


def test_of_two_visits_equally_near_the_earlier_counts():
    rows = [(0, 365, 1, 2.0), (0, 730, 2, 3.0), (0, 731, 3, 5.0)]
    assert derive("edss", trial([2.0], rows), 2, planned_days=[0, 365, 730, 1096]).value[0] == 3.0


@pytest.mark.parametrize(("day", "event"), [(199, False), (200, True)])
def test_scan_exactly_on_the_first_day_that_counts(day, event):
    d = find("neda3", mri_from_days=200)
    assert one(d, trial([3.0], m=[(0, day, 1, 1, 0, 10, 0)]))[1] is event


def test_rating_soon_after_a_relapse_can_be_left_out():
    rows = [(0, 84, 1, 4.0), (0, 168, 2, 4.0), (0, 252, 3, 3.0)]
    tables = trial([3.0], rows, r=[(0, 60)])
    assert one("confirmed_worsening.12_weeks", tables) == (84 / 365.25, True)
    d = find("confirmed_worsening.12_weeks", exclude_days_after_relapse=30)
    assert one(d, tables) == (252 / 365.25, False)


def test_death_as_event():
    tables = trial([3.0], [(0, 84, 1, 3.0)], d=[(0, 100, "died", "disease")])
    assert one("confirmed_worsening.12_weeks", tables) == (84 / 365.25, False)
    assert one(find("confirmed_worsening.12_weeks", death="event"), tables) == (100 / 365.25, True)


def test_not_at_risk_of_improvement():
    rows = [(0, 84, 1, 0.0), (0, 168, 2, 0.0), (1, 84, 1, 1.0), (1, 168, 2, 1.0)]
    out = derive("confirmed_improvement.12_weeks", trial([1.5, 2.0], rows))
    np.testing.assert_array_equal(out.event, [False, True])
    assert out.time_years[0] == 0


def test_neda_components():
    m = [(0, 365, 2, 0, 1, 10, 0), (1, 365, 2, 2, 0, 10, 0), (2, 365, 2, 0, 0, 10, 0), (3, 365, 2, 0, 0, 10, 0)]
    v = [(p, d, k, 3.0) for p in range(4) for d, k in ((182, 1), (365, 2), (730, 3))]
    out = derive("neda3.mist", trial([3.0] * 4, v, m, [(2, 50), (3, 900)]))
    np.testing.assert_array_equal(out.event, [True, True, True, False])
    np.testing.assert_allclose(out.time_years, [1.0, 1.0, 50 / 365.25, 2.0])


def test_neda_from_week_24_has_a_new_baseline():
    """Relapses, scans and worsening before week 24 do not count; worsening is from the EDSS of week 24."""
    days = ((84, 1), (168, 2), (252, 3), (336, 4), (420, 5))
    v = [(p, d, k, 4.0 if p in (4, 5) and d >= 84 else 3.0) for p in range(6) for d, k in days]
    v[25:] = [(5, d, k, {84: 4.0, 168: 4.0}.get(d, 5.0)) for d, k in days]
    m = [(p, d, k, int(p == 1 and d == 168), 2 * int(p == 2 and d == 336), 10, 0)
         for p in range(6) for d, k in ((168, 2), (336, 4))]  # fmt: skip
    tables = trial([3.0] * 6, v, m, [(0, 50), (0, 200), (3, 167)])
    out = derive("neda3.from_24_weeks", tables)
    np.testing.assert_array_equal(out.event, [True, False, True, False, False, True])
    np.testing.assert_allclose(out.time_years[[0, 2, 5]] * 365.25, [200, 336, 252])
    v = [(0, d, k, 3.0) for d, k in days] + [(1, d, k, 5.0 if d > 168 else 3.0) for d, k in days if d != 168]
    worse = derive("confirmed_worsening.12_weeks.from_24_weeks", trial([3.0, 3.0], v))
    assert (worse.time_years[1], worse.event[1]) == (0.0, False)  # no visit at week 24: not at risk


def test_clinical_activity_leaves_scans_out():
    v = [(p, d, k, 3.0) for p in range(2) for d, k in ((182, 1), (365, 2))]
    tables = trial([3.0] * 2, v, [(0, 365, 2, 4, 9, 10, 0)], [(1, 50)])
    np.testing.assert_array_equal(derive("clinical_activity_free", tables).event, [False, True])


def test_high_mri_activity_is_of_two_scans_in_a_row():
    counts = ((5, 5, 0), (5, 4, 5), (0, 9, 6), (4, 4, 4))
    m = [(p, 168 * k, k, 8, n, 10, 0) for p, row in enumerate(counts) for k, n in enumerate(row, 1)]
    out = derive("high_mri_activity_free", trial([3.0] * 4, m=m, r=[(1, 100)]))
    np.testing.assert_array_equal(out.event, [True, False, True, False])
    np.testing.assert_allclose(out.time_years[[0, 2]] * 365.25, [336, 504])
    both = derive("relapse_or_high_mri_free", trial([3.0] * 4, m=m, r=[(1, 100)]))
    np.testing.assert_array_equal(both.event, [True, True, True, False])


def test_lesions_are_summed_over_the_scans_that_count():
    m = [(0, d, k, g, t, 10, 0) for k, (d, g, t) in enumerate([(0, 9, 0), (76, 3, 1), (77, 2, 1), (380, 1, 5)])]
    tables = trial([3.0], m=m)
    assert derive("gd_lesions.all_scans", tables).count[0] == 6
    assert derive("gd_lesions.all_scans", tables, 0.21).count[0] == 5
    assert derive("gd_lesions.from_12_weeks", tables).count[0] == 3
    assert derive("new_t2_lesions.from_52_weeks", tables).count[0] == 5
    early = trial([3.0], m=m[:2])
    assert derive("gd_lesions.from_12_weeks", early).exposure_years[0] == 0  # no scan that counts: not observed


def test_a_status_is_a_value_within_limits():
    rows = [(p, 365, 1, e) for p, e in enumerate((4.0, 3.0, 2.5))]
    tables = trial([3.0] * 4, rows)
    for name, expected in (
        ("edss_worsened", [1, 0, 0, np.nan]), ("edss_stable", [0, 1, 0, np.nan]),
        ("edss_improved", [0, 0, 1, np.nan]), ("edss_stable_or_improved", [0, 1, 1, np.nan]),
    ):  # fmt: skip
        np.testing.assert_array_equal(derive(name, tables, 1.0).value, expected)
    tables["visits"]["t25fw_s"] = np.array([9.0, 6.0, 3.0])
    np.testing.assert_allclose(derive("t25fw_change_fraction", tables).value, [0.5, 0.0, -0.5, np.nan])


def test_adverse_events_count_by_term_grade_and_severity():
    h = [(0, 10, "flushing", 1, 0), (1, 20, "serious infection", 3, 1), (2, 900, "serious infection", 3, 1)]
    tables = trial([3.0] * 4, d=[(2, 800, "dropped_out", "")], h=[*h, (3, 30, "neutropenia", 3, 0)])
    np.testing.assert_array_equal(derive("serious_infection", tables).value, [0, 1, 0, 0])
    np.testing.assert_array_equal(derive("serious_adverse_events", tables, 0.05).value, [0, 0, 0, 0])
    np.testing.assert_array_equal(derive(find("serious_infection", terms=[]), tables).value, [1, 1, 0, 1])
    np.testing.assert_array_equal(
        derive(find("serious_infection", terms=[], grade_at_least=3), tables).value, [0, 1, 0, 1]
    )


def test_terms_of_adverse_events_are_those_that_the_model_records():
    sources = [f.read_text(encoding="utf-8") for f in Path(therapy.__file__).parent.glob("*.py")]
    known = {term for text in sources for term in re.findall(r'\bHarm\(\s*"([^"]+)"', text)}
    assert {harm.term for harm, _ in HARMS.values()} <= known
    for d in definitions().values():
        asked = {term for field in ("terms", "ended_by", "among") for term in getattr(d, field, ())}
        assert asked <= known, d.id
        assert set(getattr(d, "causes", ())) <= set(catalogue()), d.id


def test_values_come_from_the_visit_nearest_to_the_horizon():
    rows = [
        (0, 182, 1, 2.0), (0, 365, 2, 3.0), (0, 372, -1, 6.0), (0, 730, 3, 4.0),
        (1, 182, 1, 2.0), (1, 400, 2, 3.5), (1, 700, 3, 4.0),
        (2, 182, 1, 2.0), (2, 730, 3, 4.0),
    ]  # fmt: skip
    tables = trial([2.0, 3.0, 2.0], rows)
    np.testing.assert_array_equal(derive("edss", tables, 1).value, [3.0, 3.5, np.nan])
    np.testing.assert_array_equal(derive("edss_change", tables, 1).value, [1.0, 0.5, np.nan])
    np.testing.assert_array_equal(derive("edss", tables).value, [4.0, 4.0, 4.0])
    assert np.isnan(derive("edss", tables, 5).value).all()
    ended = {**tables, "disposition": disposition((0, 300, "dropped_out", "moved"))}
    np.testing.assert_array_equal(derive("edss", ended).value, [2.0, 4.0, 4.0])


def test_mri_values_and_counts():
    m = [
        (0, 0, 0, 3, 0, 10, 0), (0, 182, 1, 1, 4, 12, -0.2), (0, 370, 2, 0, 2, 13, -0.5),
        (1, 0, 0, 0, 0, 0, 0), (1, 182, 1, 0, 1, 5, -0.1),
    ]  # fmt: skip
    tables = trial([3.0, 3.0, 3.0], m=m, t2=[10, 0, 10])
    np.testing.assert_allclose(derive("t2_volume_change_pct", tables, 1).value, [30.0, np.nan, np.nan])
    np.testing.assert_allclose(derive("t2_volume_change_pct", tables).value, [30.0, np.nan, np.nan])
    np.testing.assert_allclose(derive("brain_volume_change_pct", tables, 1).value, [-0.5, np.nan, np.nan])
    np.testing.assert_array_equal(derive("gd_lesions", tables, 0.5).value, [1, 0, np.nan])
    new = derive("new_t2_lesions", tables, 1)
    np.testing.assert_array_equal(new.count, [6, 1, 0])
    np.testing.assert_allclose(new.exposure_years, [370 / 365.25, 182 / 365.25, 0])


def test_relapse_rate_relapse_free_and_deaths():
    tables = trial(
        [3.0, 3.0], r=[(0, 10), (0, 500), (0, 900)],
        d=[(0, 800, "dropped_out", ""), (1, 40, "died", "treatment-related")],
    )  # fmt: skip
    rate = derive("relapse_rate", tables, 1)
    np.testing.assert_array_equal(rate.count, [1, 0])
    np.testing.assert_allclose(rate.exposure_years, [365 / 365.25, 40 / 365.25])
    np.testing.assert_array_equal(derive("relapse_rate", tables).count, [2, 0])
    assert one("relapse_free", tables) == (10 / 365.25, True)
    np.testing.assert_array_equal(derive("overall_survival", tables).event, [False, True])
    np.testing.assert_array_equal(derive("treatment_related_mortality", tables).value, [0, 1])
    np.testing.assert_array_equal(derive("treatment_related_mortality", tables, 0.1).value, [0, 0])


@pytest.mark.parametrize("name", list(definitions()))
@pytest.mark.parametrize("at_years", [None, 1.0])
def test_nobody_and_a_patient_without_any_row(name, at_years):
    for n in (0, 1):
        out = derive(name, trial([3.0] * n), at_years)
        assert isinstance(out, Events | Values | Counts | Courses)
        assert len(out.patient) == n
        if isinstance(out, Events | Courses):
            assert not out.event.any()
        if isinstance(out, Counts):
            assert out.count.sum() == 0


@pytest.mark.parametrize("name", list(definitions()))
def test_replicates_do_not_mix(name):
    """A replicate gives the same alone and among others: results do not depend on the layout of chunks."""
    rng = np.random.default_rng(2)
    n, days = 5, (182, 365, 730, 1096)

    def replicate(k):
        when = [(p, int(d + rng.integers(-90, 90)), j + 1) for p in range(n) for j, d in enumerate(days)]
        v = [(*w, rng.integers(4, 12) / 2) for w in when]
        m = [(*w, *rng.poisson(0.2, 2), 9 + rng.random(), -rng.random()) for w in when]
        r = sorted((rng.integers(n), rng.integers(1200)) for _ in range(4))
        gone = [(p, int(rng.integers(500, 1200)), "died" if p else "completed", "") for p in range(n)]
        s = [(p, int(rng.integers(1200)), "niv") for p in range(n)]
        t = trial(rng.integers(4, 10, n) / 2, v, m, r, gone, s=s)
        for table in t.values():
            table["replicate"][:] = k
        return t

    parts = [replicate(k) for k in range(0, 60, 3)]
    together = derive(name, {t: concat([p[t] for p in parts]) for t in parts[0]}, 2.0)
    for k, part in zip(range(0, 60, 3), parts, strict=True):
        alone = derive(name, part, 2.0)
        rows = together.replicate == k
        for field in ("time_years", "event", "value", "count", "exposure_years", "end_years"):
            if hasattr(alone, field):
                np.testing.assert_array_equal(getattr(together, field)[rows], getattr(alone, field))


def broken(table, column, row, value):
    tables = trial([3.0, 3.0], [(0, 100, 1, 3.0), (0, 200, 2, 3.0), (1, 100, 1, 3.0)])
    tables[table] = {c: v.copy() for c, v in tables[table].items()}
    tables[table][column] = tables[table][column].astype(float)
    tables[table][column][row] = value
    return tables


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (
            broken("visits", "edss", 1, 10.5),
            r"EDSS must be 0 or 1\.0 to 10\.0 in half steps, not 10\.5 \(row 1 of",
        ),
        (broken("visits", "edss", 1, 3.2), r"not 3\.2"),
        (broken("visits", "edss", 1, 0.5), r"not 0\.5"),
        (broken("visits", "edss", 1, np.inf), r"not inf"),
        (broken("patients", "edss", 0, -1.0), r"not -1\.0 \(row 0 of table 'patients'\)"),
        (broken("visits", "day", 1, 50), r"sorted by replicate, patient, day; row 1 .*day 50\) comes too late"),
        (broken("visits", "day", 0, -1), r"day must be >= 0"),
        (broken("visits", "day", 0, np.nan), r"column 'day' of table 'visits' must hold whole numbers"),
        (
            broken("visits", "patient", 2, 7),
            r"row 2 \(replicate 0, patient 7, day 100\) of table 'visits' belongs",
        ),
        (broken("patients", "patient", 1, 0), r"without repeats; row 1"),
        (broken("patients", "closure_day", 1, -5), r"closure_day must be >= 0"),
        ({"patients": patients([3.0])}, r"table 'visits' is missing"),
        ({**trial([3.0]), "visits": {"replicate": np.zeros(0, int)}}, r"has no column 'patient'"),
        (trial([3.0], d=[(0, 5, "dropped", "")]), r"disposition 'dropped' is not known; did you mean 'dropped_out'"),
    ],
)
def test_refusals(tables, message):
    with pytest.raises(InputError, match=message) as e:
        derive("confirmed_worsening.mist", tables)
    assert "\n" not in str(e.value)


def test_refusals_of_other_rules():
    with pytest.raises(InputError, match="did you mean 'relapse_rate'"):
        derive("relapse_rat", trial([3.0]))
    with pytest.raises(InputError, match="at_years must be positive, not 0"):
        derive("edss", trial([3.0]), 0)
    with pytest.raises(InputError, match="new_t2_lesions must be >= 0"):
        derive("new_t2_lesions", trial([3.0], m=[(0, 100, 1, 0, -1, 9, 0)]))
    with pytest.raises(InputError, match=r"t2_volume_ml.*must be finite and within 0 to inf, not -1"):
        derive("t2_volume_change_pct", trial([3.0], m=[(0, 100, 1, 0, 0, -1, 0)]))
    with pytest.raises(InputError, match="must be a confirmed_change definition"):
        derive(find("neda3", worsening="edss"), trial([3.0]))


def test_input_is_not_changed():
    tables = trial([3.0], mist_visits(3, 4, 4), r=[(0, 5)])
    before = {t: {c: v.copy() for c, v in table.items()} for t, table in tables.items()}
    for name in definitions():
        derive(name, tables, 1.0)
    for t, table in before.items():
        for c, v in table.items():
            np.testing.assert_array_equal(v, tables[t][c])


@pytest.mark.parametrize(("closure", "kind"), [(269, "pira"), (270, "undefined")])
def test_a_relapse_after_the_end_of_follow_up_is_not_known(closure, kind):
    rows = [(0, 168, 2, 4.0), (0, 252, 3, 4.0)]
    tables = trial([3.0], rows, r=[(0, 270)], closure=closure)
    assert changes(find("pira.opera", percent={}), tables)["kind"].tolist() == [kind]
    assert one(find("pira.opera", percent={}), tables)[1] is (kind == "pira")


def test_brain_volume_from_week_24_and_speed_of_loss():
    m = [
        (0, 168, 2, 0, 0, 9, -0.5),
        (0, 365, 4, 0, 0, 9, -1.0),
        (1, 168, 2, 0, 0, 9, -0.5),
        (1, 365, 4, 0, 0, 9, -0.39),
    ]
    tables = trial([3.0, 3.0, 3.0], m=[*m, (2, 365, 4, 0, 0, 9, -1.0)])
    planned = [0, 84, 168, 252, 365]
    value = derive("brain_volume_change_pct.from_24_weeks", tables, 1, planned).value
    np.testing.assert_allclose(value, [100 * (99.0 / 99.5 - 1), 100 * (99.61 / 99.5 - 1), np.nan])
    out = derive("neda4", tables)  # 0.5 % in half a year is not judged; 1.0 % and 0.39 % in a year are
    np.testing.assert_array_equal(out.event, [True, False, True])
    np.testing.assert_allclose(out.time_years, 365 / 365.25)
    assert not derive("neda3", tables).event.any()


def test_free_of_lesions_only_where_scanned():
    m = [(0, 182, 1, 1, 1, 9, 0), (0, 365, 2, 0, 0, 9, 0), (1, 182, 1, 0, 0, 9, 0), (2, 182, 1, 0, 0, 9, 0),
         (2, 365, 2, 0, 0, 9, 0), (3, 0, 0, 5, 5, 9, 0), (3, 365, 2, 2, 0, 9, 0)]  # fmt: skip
    tables = trial([3.0] * 4, m=m)
    planned = [0, 182, 365]
    np.testing.assert_array_equal(derive("gd_free", tables, 1, planned).value, [1, np.nan, 1, 0])
    np.testing.assert_array_equal(derive("new_t2_free", tables, 1, planned).value, [0, np.nan, 1, 1])


def test_composite_milestone_and_conversion():
    rows = [(0, 84, 1, 3.0), (0, 168, 2, 4.0), (0, 252, 3, 4.0), (0, 360, 4, 4.0)]
    tables = trial([3.0], rows)
    tables["visits"]["t25fw_s"] = np.array([7.3, 7.3, 6.0, 6.0])
    assert one("composite_worsening.12_weeks", tables) == (84 / 365.25, True)
    assert one("t25fw_worsening_20", tables) == (84 / 365.25, True)
    assert one("confirmed_worsening.opera.12_weeks", tables) == (168 / 365.25, True)
    assert one("edss_milestone.4", tables) == (168 / 365.25, True)
    assert one("edss_milestone.3", tables) == (0.0, False)
    assert one("spms_conversion", tables) == (168 / 365.25, True)
    tables["visits"]["pyramidal_fs"] = np.array([1.0, 1.0, 2.0, 2.0])
    assert one("spms_conversion", tables) == (252 / 365.25, True)
    tables["relapses"] = relapses((0, 200))
    assert not one("spms_conversion", tables)[1]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"thresholds": [], "percent": {}}, "nothing would be measured"),
        ({"reach": 6.0}, "give thresholds or reach, not both"),
        ({"thresholds": [], "reach": 6.0, "reference": "roving"}, "worsening from a fixed reference"),
        ({"relapse_near": ["onset to tomorrow"]}, "'onset to tomorrow' is no window; write for example"),
        ({"counts": "pira"}, "needs windows relapse_near or relapse_free"),
        ({"percent": {"t25fw_s": -1}}, "percent.t25fw_s"),
    ],
)
def test_changes_that_make_no_sense(fields, message):
    with pytest.raises(InputError, match=message):
        find("confirmed_worsening.12_weeks", **fields)


def test_only_changes_can_be_listed():
    with pytest.raises(InputError, match="'neda3' is a first_activity; changes can be listed of confirmed_change"):
        changes("neda3", trial([3.0]))
    assert len(changes("pira.12_weeks", trial([]))["patient"]) == 0
