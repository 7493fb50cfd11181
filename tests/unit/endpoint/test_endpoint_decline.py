"""Milestones, leaving, composites of death, own slopes and responders, courses: tables made by hand, and properties."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemtrial.endpoint import Courses, derive, find
from stemtrial.errors import InputError

YEAR = 365.25
PLAN = np.array([0, 28, 56, 84, 168, 336])
NAN = math.nan


def rows(table, *columns):
    """Table of rows (patient, day, ...); text where the column is text."""
    cells = list(zip(*table, strict=True)) if table else [()] * (2 + len(columns))
    out = {"replicate": np.zeros(len(table), int), "patient": np.array(cells[0], int), "day": np.array(cells[1], int)}
    return out | {c: np.array(x, "U24" if c == "event" else float) for c, x in zip(columns, cells[2:], strict=True)}


def trial(base, *, visits=(), passed=(), gone=(), closure=400, run_in=-1.0, **patients):
    """Tables of patients with a baseline ALSFRS-R each; a visit is (patient, day, number, score)."""
    n = len(base)
    told = rows(visits, "visit", "alsfrs_r")
    stages = {"kings_stage": np.clip(4 - told["alsfrs_r"] // 12, 1, 4), "mitos_stage": 4 - told["alsfrs_r"] // 12}
    start = np.array(base, float)
    return {
        "patients": {"replicate": np.zeros(n, int), "patient": np.arange(n), "closure_day": np.full(n, closure)}
        | {"alsfrs_r": start}
        | dict.fromkeys(("alsfrs_r_slope_run_in", "alsfrs_r_slope_run_in_18_weeks"), np.array(run_in + np.zeros(n)))
        | {"kings_stage": np.clip(4 - start // 12, 1, 4), "mitos_stage": 4 - start // 12}
        | {c: np.array(x, float) for c, x in patients.items()},
        "visits": told | stages,
        "milestones": rows(passed, "event"),
        "disposition": rows(gone, "event"),
    }


def line(patient, slope_month, base=40.0, last=336):
    """Visits on a line through the baseline."""
    return [(patient, d, k, base + slope_month * d / YEAR * 12) for k, d in enumerate(PLAN) if 0 < d <= last]


def timed(name, tables, at=None):
    out = derive(name, tables, at, PLAN)
    return [*zip((out.time_years * YEAR).round(6).tolist(), out.event.tolist(), strict=True)]


# -- milestones --------------------------------------------------------------------------------------------------------
def test_the_first_milestone_counts_on_its_day():
    tables = trial(
        [40] * 7,
        passed=[(0, 50, "niv"), (0, 90, "tracheostomy"), (1, 100, "permanent_ventilation"), (2, 70, "gastrostomy"),
                (4, 120, "niv"), (5, 120, "niv"), (6, 400, "niv"), (6, 401, "tracheostomy")],
        gone=[(1, 300, "died"), (3, 80, "died"), (4, 120, "died"), (5, 119, "dropped_out"), (6, 400, "completed")],
    )  # fmt: skip
    lives = timed("tracheostomy_free_survival", tables)
    assert lives == [(90, True), (100, True), (400, False), (80, True), (120, True), (119, False), (400, False)]
    free = timed("niv_free_survival", tables)
    assert free == [(50, True), (100, True), (400, False), (80, True), (120, True), (119, False), (400, True)]
    assert timed("time_to_niv", tables) == [
        (50, True), (300, False), (400, False), (80, False), (120, True), (119, False), (400, True)
    ]  # fmt: skip
    assert timed("gastrostomy", tables)[2] == (70, True)
    assert timed("tracheostomy", tables)[0] == (90, True)
    assert timed("overall_survival", tables)[3] == timed("tracheostomy_free_survival", tables)[3]
    assert timed("time_to_niv", tables, 50 / YEAR)[0] == (50, True), "on the day of the horizon it has happened"
    assert timed("time_to_niv", tables, 49 / YEAR)[0] == (49, False)


def test_who_has_passed_a_milestone_at_baseline_is_not_at_risk():
    tables = trial([40] * 2, niv=[1, 0], passed=[(1, 50, "niv")])
    assert timed("time_to_niv", tables) == timed("niv_free_survival", tables) == [(0, False), (50, True)]
    assert timed("tracheostomy_free_survival", tables) == [(400, False), (400, False)]


def test_leaving():
    tables = trial([40] * 3, gone=[(0, 100, "died"), (1, 200, "dropped_out"), (2, 400, "completed")])
    assert timed("completed", tables) == [(100, True), (200, True), (400, False)]
    assert timed("lost_to_follow_up", tables) == [(100, False), (200, True), (400, False)]


def test_the_next_stage_or_death():
    tables = trial(
        [40, 40, 20, 5, 40],  # King's 1, 1, 3, 4, 1
        visits=[(0, 28, 1, 40), (0, 56, 2, 30), (1, 28, 1, 30), (1, 56, 2, 40), (2, 28, 1, 11), (3, 28, 1, 3)],
        gone=[(3, 60, "died"), (4, 10, "died")],
    )
    expected = [(56, True), (28, True), (28, True), (60, True), (10, True)]
    assert timed("kings_progression", tables) == expected
    assert timed("mitos_progression", tables) == expected


def test_from_stage_nought_a_stage_is_lost():
    """A percentage of nought would never be lost; a point is."""
    tables = trial([48], visits=[(0, 28, 1, 47)])
    assert tables["patients"]["mitos_stage"][0] == 0
    assert timed("mitos_progression", tables) == [(28, True)]


# -- composites of function and death ----------------------------------------------------------------------------------
def changes(name, tables, at=None, **fields):
    return derive(find(name, **fields), tables, at, PLAN).value.tolist()


def test_the_dead_have_no_points_from_the_horizon_on():
    at = 168 / YEAR
    seen = [(i, 168, 4, 30.0) for i in range(6)]
    tables = trial(
        [40] * 8,
        visits=sorted([*seen, (7, 84, 3, 35.0)]),
        gone=[(1, 168, "died"), (2, 169, "died"), (3, 100, "dropped_out"), (4, 336, "died"), (6, 160, "died"),
              (7, 170, "died")],
    )  # fmt: skip
    got = changes("alsfrs_r_death_zero_change", tables, at)
    #   alive, died on the day, a day later, left before, much later, before, late visit never made: before death
    np.testing.assert_equal(got, [-10, -40, -10, NAN, -10, -10, -40, -40])
    np.testing.assert_equal(changes("alsfrs_r_change", tables, at)[:4], [-10, -10, -10, NAN])
    assert changes("alsfrs_r_death_zero_change", tables)[4] == -40, "without a horizon every death counts"


def test_the_last_observation_is_carried_forward():
    at = 168 / YEAR
    tables = trial(
        [40] * 4, visits=[(0, 28, 1, 38), (0, 56, 2, NAN), (1, 28, 1, 37), (1, 168, 4, 30), (2, 336, 5, 20)],
        gone=[(0, 90, "died")],
    )  # fmt: skip
    np.testing.assert_equal(changes("alsfrs_r_change.carried_forward", tables, at), [-2, -10, NAN, NAN])
    late = changes("alsfrs_r_change.carried_forward", tables, at, carried_from_days=29)
    np.testing.assert_equal(late, [NAN, -10, NAN, NAN])


# -- own slopes and responders -----------------------------------------------------------------------------------------
def test_a_slope_is_that_of_the_line_and_is_compared_with_the_run_in():
    tables = trial([40] * 3, visits=line(0, -1.0) + line(1, 0.25) + line(2, -0.4, last=56), run_in=[-1.5, -1.5, 0.0])
    np.testing.assert_allclose(changes("alsfrs_r_own_slope", tables), [-12, 3, -4.8])
    np.testing.assert_allclose(changes("alsfrs_r_run_in_slope", tables), [-18, -18, 0])
    np.testing.assert_allclose(changes("alsfrs_r_slope_change", tables), [6, 21, -4.8])
    np.testing.assert_equal(changes("responder.nurown", tables), [0, 1, 0])
    np.testing.assert_equal(changes("responder.slope_25_percent", tables), [1, 1, 0])
    np.testing.assert_equal(changes("responder.slope_50_percent", tables), [0, 1, 0])
    np.testing.assert_equal(changes("responder.flat_or_positive", tables), [0, 1, 1])
    three = [changes(f"progression_{x}", tables) for x in ("decreased", "unchanged", "increased")]
    np.testing.assert_equal(three, [[1, 1, 0], [1, 0, 1], [0, 0, 0]])


@pytest.mark.parametrize(
    ("slope", "expected"), [(-0.25, 1), (-0.2500001, 0), (0.0, 1)], ids=["just", "not quite", "more"]
)
def test_the_limit_is_included(slope, expected):
    assert changes("responder.nurown", trial([40], visits=line(0, slope), run_in=-1.5)) == [expected]


def test_who_is_assessed():
    visits = line(0, 0.0, last=28) + line(1, 0.0) + line(2, 0.0) + line(3, 0.0, 34.0) + line(4, 0.0, 35.0)
    tables = trial(
        [40, 40, NAN, 34, 35, 40], visits=visits, run_in=-2.0, gone=[(1, 300, "died"), (5, 5, "dropped_out")]
    )
    np.testing.assert_equal(changes("responder.nurown", tables), [NAN, 0, 1, 1, 1, NAN])  # two points are too few
    np.testing.assert_equal(changes("responder.nurown", tables, 84 / YEAR), [NAN, 1, 1, 1, 1, NAN])  # died later
    np.testing.assert_equal(changes("responder.nurown.from_35", tables), [NAN, 0, NAN, NAN, 1, NAN])
    np.testing.assert_equal(changes("responder.nurown", tables, dead="by_slope"), [NAN, 1, 1, 1, 1, NAN])
    np.testing.assert_equal(changes("responder.1_5_points", tables), [1, 0, 1, 1, 1, NAN])


def test_the_window_of_a_slope():
    """Falls until day 56, rises after it."""
    visits = [(0, 28, 1, 38), (0, 56, 2, 36), (0, 84, 3, 37), (0, 168, 4, 40), (0, 200, -1, 0), (0, 336, 5, 46)]
    tables = trial([40], visits=visits)
    month = YEAR / 12
    early = changes("alsfrs_r_own_slope", tables, to_days=56, per="month")
    np.testing.assert_allclose(early, [-2 / 28 * month])
    late = changes("alsfrs_r_own_slope", tables, from_days=56, per="month")
    np.testing.assert_allclose(late, [1 / 28 * month])  # the unscheduled visit is not of it
    assert changes("alsfrs_r_own_slope", tables, 56 / YEAR, per="month") == early
    np.testing.assert_equal(changes("alsfrs_r_own_slope", tables, from_days=170), [NAN])


# -- courses -----------------------------------------------------------------------------------------------------------
def test_a_course_has_a_column_for_each_planned_visit():
    tables = trial(
        [40, 30, 20], visits=[(0, 30, 1, 39), (0, 90, 3, 37), (0, 330, 5, 30), (1, 0, 0, 99 / 3), (1, 28, 1, NAN)],
        gone=[(1, 50, "died"), (2, 60, "dropped_out")], passed=[(2, 40, "tracheostomy")],
    )  # fmt: skip
    out = derive("alsfrs_r_slope", tables, planned_days=PLAN)
    assert isinstance(out, Courses)
    np.testing.assert_equal(
        out.value, [[40, 39, NAN, 37, NAN, 30], [30, *[NAN] * 5], [20, *[NAN] * 5]]
    )  # rows on day 0 are not follow-up
    np.testing.assert_allclose(out.time_years[0] * YEAR, [0, 30, NAN, 90, NAN, 330])
    np.testing.assert_allclose(out.end_years * YEAR, [400, 50, 60])
    np.testing.assert_equal(out.event, [False, True, False])
    at = derive("alsfrs_r_slope", tables, 84 / YEAR, PLAN)
    np.testing.assert_equal(at.value[0], [40, 39, NAN, 37, NAN, NAN])  # a visit a little late is of the horizon
    np.testing.assert_allclose(at.end_years * YEAR, [84, 50, 60])
    joint = derive("joint_rank", tables, planned_days=PLAN)
    np.testing.assert_equal(joint.event, [False, True, True])
    np.testing.assert_allclose(joint.end_years * YEAR, [400, 50, 40])
    with pytest.raises(InputError, match="planned_days has 3 visits; 'visits' has visit number 5"):
        derive("alsfrs_r_slope", tables, planned_days=PLAN[:3])


# -- properties --------------------------------------------------------------------------------------------------------
EVENTS = ("niv", "gastrostomy", "tracheostomy", "permanent_ventilation")
OUTCOMES = ("tracheostomy_free_survival", "niv_free_survival", "time_to_niv", "gastrostomy", "tracheostomy")


@st.composite
def people(draw):
    n = draw(st.integers(1, 4))
    who = st.integers(0, n - 1)
    visits = [
        (i, int(d), k, float(draw(st.integers(0, 48))))
        for i in range(n) for k, d in enumerate(PLAN) if k and draw(st.booleans())
    ]  # fmt: skip
    passed = sorted(draw(st.lists(st.tuples(who, st.integers(0, 400), st.sampled_from(EVENTS)), max_size=6)))
    ends = draw(st.lists(st.sampled_from([None, "died", "dropped_out"]), min_size=n, max_size=n))
    gone = [(i, draw(st.integers(0, 400)), e) for i, e in enumerate(ends) if e]
    base = draw(st.lists(st.integers(0, 48), min_size=n, max_size=n))
    return {"base": base, "visits": visits, "passed": passed, "gone": gone}


@given(people(), st.sampled_from(OUTCOMES), st.integers(0, 400), st.integers(0, 400))
@settings(max_examples=200, deadline=None)
def test_more_follow_up_never_loses_an_event(one, name, a, b):
    short, long = (derive(name, trial(**one, closure=x), planned_days=PLAN) for x in (min(a, b), max(a, b)))
    assert not (short.event & ~long.event).any()
    np.testing.assert_array_equal(short.time_years[short.event], long.time_years[short.event])
    assert (short.time_years <= long.time_years).all()


@given(people(), st.sampled_from([None, 0.2, 0.5]))
@settings(max_examples=200, deadline=None)
def test_a_composite_happens_with_the_first_of_its_parts(one, at):
    tables = trial(**one)
    whole = derive("niv_free_survival", tables, at, PLAN)
    parts = [derive(x, tables, at, PLAN) for x in ("time_to_niv", "tracheostomy_free_survival")]
    np.testing.assert_array_equal(whole.event, np.logical_or.reduce([p.event for p in parts]))
    np.testing.assert_array_equal(whole.time_years, np.min([p.time_years for p in parts], 0))


@given(people(), st.sampled_from([None, 0.2, 0.5]))
@settings(max_examples=200, deadline=None)
def test_the_composite_of_death_differs_for_the_dead_alone(one, at):
    tables = trial(**one)
    plain, composite = (np.array(changes(f"alsfrs_r_{x}change", tables, at)) for x in ("", "death_zero_"))
    died = np.isin(np.arange(len(one["base"])), [i for i, _, e in one["gone"] if e == "died"])
    np.testing.assert_array_equal(plain[~died], composite[~died])
    zero = -np.array(one["base"], float)
    moved = ~((plain == composite) | (np.isnan(plain) & np.isnan(composite)))
    np.testing.assert_array_equal(composite[moved], zero[moved])
    carried = np.array(changes("alsfrs_r_change.carried_forward", tables, at))
    seen = np.isfinite(plain)
    np.testing.assert_array_equal(carried[seen], plain[seen])


@given(people(), st.sampled_from([None, 0.2, 0.5]), st.floats(-3, 3))
@settings(max_examples=200, deadline=None)
def test_a_responder_improved_by_the_limit_and_lived(one, at, limit):
    tables = trial(**one)
    change = np.array(changes("alsfrs_r_slope_change", tables, at, per="month", points_at_least=3))
    status = np.array(changes("responder.nurown", tables, at, at_least=limit))
    died = np.zeros(len(change), bool)
    for i, day, event in one["gone"]:
        died[i] = event == "died" and (at is None or day <= at * YEAR)
    expected = np.where(died, 0.0, np.where(np.isnan(change), NAN, change >= limit - 1e-9))
    np.testing.assert_array_equal(status, expected)
