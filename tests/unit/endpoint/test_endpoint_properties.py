"""Properties of every definition on any grid of visits, and refusal of what cannot be, column by column."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemtrial.endpoint import ConfirmedChange, Events, definitions, derive, find, needs
from stemtrial.errors import InputError
from stemtrial.observe.instruments import instruments

YEAR = 365.25
STEPS = [0.0] + [k / 2 for k in range(2, 21)]
PLAIN = {
    "edss": 3.0, "t25fw_s": 6.0, "nine_hole_peg_s": 22.0, "sdmt": 50.0, "vep_p100_ms": 110.0, "mfis": 30.0, "eq5d": 0.7,
    "sf36_pcs": 45.0, "msis29_physical": 30.0, "nfl_pg_ml": 12.0, "gfap_pg_ml": 100.0,
    "low_contrast_letters": 40.0, "visual_acuity_logmar": 0.1, "neutrophils_1e9_per_l": 4.0, "cd4_naive_per_ul": 400.0,
    "cd4_memory_per_ul": 400.0, "cd8_per_ul": 500.0, "b_cells_per_ul": 200.0, "nk_per_ul": 200.0,
    "trec_per_ug_dna": 9e3, "tcr_clones_1e3": 700.0, "alsfrs_r": 38.0, "alsfrs_r_bulbar": 10.0,
    "alsfrs_r_fine_motor": 9.0, "alsfrs_r_gross_motor": 9.0, "alsfrs_r_respiratory": 10.0, "walking": 3.0,
    "dyspnoea": 3.0, "svc_pct": 85.0, "fvc_pct": 85.0, "hhd_pct": 70.0, "hhd_arm_pct": 70.0, "hhd_leg_pct": 70.0,
    "weight_pct": 95.0, "alsaq40": 30.0, "kings_stage": 2.0, "mitos_stage": 1.0, "lesion_mtr_pct": 80.0,
    "lesion_mwf_pct": 6.0, "t2_volume_ml": 9.0,
    "brain_volume_change_pct": -0.2, "gd_lesions": 1, "new_t2_lesions": 1,
}  # fmt: skip
OF_TABLE = {
    "patients": tuple(PLAIN),
    "visits": tuple(PLAIN)[:-6],
    "mri": tuple(PLAIN)[-6:],
    "relapses": (),
    "disposition": (),
    "adverse_events": (),
    "milestones": (),
}
TIMED = [name for name, d in definitions().items() if d.kind == "time_to_event"]


TERMS = ["amenorrhoea", "menses recovered", "immune thrombocytopenia", "infection"]


@st.composite
def patients(draw):
    """One patient: visits on any days (some on the same), missed measurements, relapses, death or another end."""
    near = draw(st.sampled_from(STEPS))
    levels = [*(e for e in STEPS if abs(e - near) <= 2), math.nan]
    times = st.sampled_from([4.0, 5.0, 6.0, 8.0, math.nan])
    days = sorted(draw(st.lists(st.integers(0, 1200), max_size=10)) + draw(st.lists(st.just(365), max_size=2)))
    visits = [(day, k if draw(st.booleans()) else -1, draw(st.sampled_from(levels)), draw(times), draw(times))
              for k, day in enumerate(days, 1)]  # fmt: skip
    scans = [
        (day, k, draw(st.integers(0, 1)), draw(st.integers(0, 1)), -0.2 * k)
        for k, day in enumerate(sorted(draw(st.lists(st.integers(0, 1200), max_size=4))), 1)
    ]
    gone = draw(st.sampled_from([None, (0, "died"), (400, "died"), (400, "dropped_out"), (400, "crossed_over")]))
    passed = st.tuples(st.integers(0, 1200), st.sampled_from(["niv", "gastrostomy", "tracheostomy"]))
    harms = sorted(
        draw(st.lists(st.tuples(st.integers(0, 1200), st.sampled_from(TERMS), st.integers(1, 5)), max_size=4))
    )
    return {
        "base": (near, draw(times), draw(times), draw(st.integers(0, 1200)), draw(st.integers(0, 1))), "harms": harms,
        "visits": visits, "scans": scans, "relapses": sorted(draw(st.lists(st.integers(0, 1200), max_size=3))),
        "gone": [gone] if gone else [], "milestones": sorted(draw(st.lists(passed, max_size=3))),
    }  # fmt: skip


def tables(cohort):
    def rows(key, *columns):
        who = [i for i, p in enumerate(cohort) for _ in p[key]]
        flat = [row if isinstance(row, tuple) else (row,) for p in cohort for row in p[key]]
        out = {"replicate": np.zeros(len(who), int), "patient": np.array(who, int)}
        return out | {c: np.array([r[k] for r in flat], "U40" if c in ("event", "term") else float)
                      for k, c in enumerate(columns)}  # fmt: skip

    def stages(edss):
        """Stages of ALS that go with an EDSS, missing where it is."""
        return {"kings_stage": np.clip(edss, 1, 4), "mitos_stage": edss // 2.5, "walking": 4 - edss // 2.5}

    n = len(cohort)
    base = np.array([p["base"] for p in cohort], float).reshape(n, 5)
    visits = rows("visits", "day", "visit", "edss", "t25fw_s", "nine_hole_peg_s")
    return {
        "patients": {
            "replicate": np.zeros(n, int),
            "patient": np.arange(n),
            "closure_day": base[:, 3],
            "female": base[:, 4],
            "gd_lesions": base[:, 4],
        }
        | {c: base[:, k] for k, c in enumerate(("edss", "t25fw_s", "nine_hole_peg_s"))}
        | stages(base[:, 0]),
        "visits": visits | stages(visits["edss"]),
        "milestones": rows("milestones", "day", "event"),
        "mri": rows("scans", "day", "visit", "gd_lesions", "new_t2_lesions", "brain_volume_change_pct"),
        "relapses": rows("relapses", "day"),
        "disposition": rows("gone", "day", "event"),
        "adverse_events": rows("harms", "day", "term", "grade"),
    }


any_cohort = st.lists(patients(), max_size=4)
PLANNED = np.arange(13) * 91.3


@given(any_cohort, st.sampled_from(TIMED), st.sampled_from([None, 1.0]))
@settings(max_examples=400, deadline=None)
def test_times_lie_within_follow_up_and_patients_do_not_mix(cohort, name, at):
    out = derive(name, tables(cohort), at, PLANNED)
    assert isinstance(out, Events)
    for i, p in enumerate(cohort):
        assert 0 <= out.time_years[i] <= (at or np.inf)
        if getattr(out.definition, "event_time", "actual") == "actual":
            over = [day for day, event in p["gone"] if event in out.definition.censor_at]
            assert out.time_years[i] <= min([p["base"][3], *over]) / YEAR
        alone = derive(name, tables([p]), at, PLANNED)
        assert (alone.time_years[0], alone.event[0]) == (out.time_years[i], out.event[i])


@given(any_cohort, st.sampled_from(TIMED), st.floats(0.1, 3))
@settings(max_examples=200, deadline=None)
def test_a_horizon_only_censors(cohort, name, at):
    whole, cut = (derive(name, tables(cohort), h, PLANNED) for h in (None, at))
    np.testing.assert_array_equal(cut.event, whole.event & (whole.time_years <= at))
    np.testing.assert_array_equal(cut.time_years, np.minimum(whole.time_years, at))


@given(any_cohort, st.sampled_from([n for n in TIMED if isinstance(find(n), ConfirmedChange)]))
@settings(max_examples=300, deadline=None)
def test_a_missing_measurement_is_a_missed_visit(cohort, name):
    d = find(name)
    if len(d.measures) > 1:
        return
    timed = ("t25fw_s", "nine_hole_peg_s")
    k = 3 + timed.index(d.measures[0]) if d.measures[0] in timed else 2  # stages go with the EDSS
    kept = [p | {"visits": [v for v in p["visits"] if not math.isnan(v[k])]} for p in cohort]
    with_gaps, without = derive(d, tables(cohort), None, PLANNED), derive(d, tables(kept), None, PLANNED)
    np.testing.assert_array_equal(with_gaps.event, without.event)
    np.testing.assert_array_equal(with_gaps.time_years, without.time_years)


def events(d, cohort):
    return derive(d, tables(cohort), None, PLANNED).event


@given(any_cohort)
@settings(max_examples=200, deadline=None)
def test_what_is_asked_more_strictly_happens_no_more_often(cohort):
    generic = find("confirmed_worsening.12_weeks", tolerance_days=0)
    loose = events(generic, cohort)
    for stricter in (
        find(generic, confirmation_days=168),
        find(generic, thresholds=[{"up_to": 10, "by": 2.0}]),
        find(generic, censor_at=("completed", "dropped_out", "died", "crossed_over")),
        find(generic, edss_at_least=4.0),
        find(generic, counts="pira", relapse_near=["onset-90 to confirmation"]),
    ):
        assert not (events(stricter, cohort) & ~loose).any()
    for looser in (
        find(generic, unconfirmed_at_end="event"),
        find(generic, percent={"t25fw_s": 20}),
        find(generic, death="event"),
        find(generic, confirmation_days=0),
    ):
        assert not (loose & ~events(looser, cohort)).any()
    assert not (
        events("neda3", cohort) & ~events(find("neda4", worsening="confirmed_worsening.12_weeks"), cohort)
    ).any()


@given(any_cohort)
@settings(max_examples=200, deadline=None)
def test_the_first_change_is_of_one_class(cohort):
    d = find("pira.fixed", counts="any")
    kinds = [events(find(d, counts=k), cohort) for k in ("pira", "raw", "undefined")]
    np.testing.assert_array_equal(np.sum(kinds, axis=0), events(d, cohort))


# -- refusals ----------------------------------------------------------------------------------------------------------
def plain():
    """Two patients with two rows in every table."""
    who, day = np.array([0, 0, 1, 1]), np.array([168, 365, 168, 365])
    keys = {"replicate": np.zeros(4, int), "patient": who, "day": day}
    measured = {t: {c: np.full(4, float(PLAIN[c])) for c in columns} for t, columns in OF_TABLE.items()}
    return {
        "patients": {
            "replicate": np.zeros(2, int),
            "patient": np.arange(2),
            "closure_day": np.full(2, 400),
            "female": np.ones(2),
            "alsfrs_r_slope_run_in": np.full(2, -1.0),
            "alsfrs_r_slope_run_in_18_weeks": np.full(2, -1.0),
            "relapses_last_12_months": np.ones(2),
            "relapses_last_24_months": np.ones(2),
        }
        | {c: x[:2] for c, x in measured["patients"].items()},
        "visits": keys | {"visit": np.array([1, 2, 1, 2])} | measured["visits"],
        "mri": keys | {"visit": np.array([1, 2, 1, 2])} | measured["mri"],
        "relapses": dict(keys),
        "disposition": keys | {"event": np.array(["crossed_over", "completed"] * 2), "reason": np.full(4, "")},
        "adverse_events": keys
        | {
            "term": np.full(4, "serious infection"),
            "grade": np.full(4, 3),
            "serious": np.ones(4, int),
            "cause": np.full(4, "msc"),
        },
        "milestones": keys | {"event": np.array(["niv", "tracheostomy"] * 2)},
    }


def corrupt(table, column, row, value):
    out = plain()
    out[table][column] = out[table][column].astype(float)
    out[table][column][row] = value
    return out


MEASURED = [(n, t, c) for n in definitions() for t, columns in needs(n).items() for c in sorted(columns)]
DATED = [(n, t) for n in definitions() for t in needs(n) if t != "patients"]


@pytest.mark.parametrize("name", definitions())
def test_the_plain_tables_are_accepted(name):
    derive(name, plain(), 1.0)


@pytest.mark.parametrize(("name", "table", "column"), MEASURED)
def test_every_measured_column_is_checked(name, table, column):
    known = instruments().get(column)
    off = [np.inf, -np.inf] + ([known.low - 1] if known and known.low > -np.inf else [])
    off += [known.high + 1] if known and known.high < np.inf else []
    off += [3.25, 0.5] if column == "edss" else []
    for value in off:
        with pytest.raises(InputError, match=r"EDSS must be|must be finite|must hold whole|must lie|must be >= 0") as e:
            derive(name, corrupt(table, column, 1, value), 1.0)
        assert "\n" not in str(e.value)
    without = plain()
    del without[table][column]
    with pytest.raises(InputError, match=f"table '{table}' has no column '{column}'"):
        derive(name, without, 1.0)


@pytest.mark.parametrize(("name", "table"), DATED)
@pytest.mark.parametrize(
    ("column", "row", "value", "message"),
    [
        ("day", 1, 100, "must be sorted by replicate, patient, day; row 1"),
        ("day", 0, -1, "day must be >= 0"),
        ("day", 0, np.nan, "must hold whole numbers"),
        ("day", 1, 200.5, "must hold whole numbers"),
        ("day", 3, 1e12, "must lie within 32 bits"),
        ("patient", 3, 2, "belongs to no row of table 'patients'"),
        ("replicate", 3, 1, "belongs to no row of table 'patients'"),
    ],
)
def test_every_dated_table_is_checked(name, table, column, row, value, message):
    with pytest.raises(InputError, match=message):
        derive(name, corrupt(table, column, row, value), 1.0)


@pytest.mark.parametrize(("name", "table"), DATED)
def test_a_missing_table_is_named(name, table):
    without = plain()
    del without[table]
    with pytest.raises(InputError, match=f"table '{table}' is missing"):
        derive(name, without, 1.0)


@pytest.mark.parametrize("name", definitions())
def test_patients_are_checked(name):
    with pytest.raises(InputError, match="sorted by replicate and patient without repeats"):
        derive(name, corrupt("patients", "patient", 1, 0), 1.0)
    with pytest.raises(InputError, match="closure_day must be >= 0"):
        derive(name, corrupt("patients", "closure_day", 1, -1), 1.0)
