"""Milestones, responders and composites of ALS, programmed a second time: one patient at a time, by definition.

Slopes here are those of ``numpy.polyfit``, which solves by orthogonal factors what the library writes as sums.
"""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stemtrial.endpoint import derive, find

YEAR = 365.25
PLAN = [0, 28, 56, 84, 168, 336]
EVENTS = ["niv", "gastrostomy", "tracheostomy", "permanent_ventilation"]
NAN = math.nan


@st.composite
def person(draw):
    """Visits early or late or missed, scores missed; milestones on any days; any end."""
    visits = []
    for k, day in enumerate(PLAN):
        if k and draw(st.integers(0, 3)):
            visits.append((day + draw(st.integers(-7, 7)), k, draw(st.sampled_from([48.0, 40.0, 33.0, 20.0, NAN]))))
    end = draw(st.sampled_from([None, "died", "dropped_out", "completed"]))
    return {
        "base": float(draw(st.integers(20, 48))),
        "run_in": draw(st.sampled_from([-3.0, -1.25, -0.5, 0.0, 0.5])),
        "visits": visits,
        "passed": sorted(draw(st.lists(st.tuples(st.integers(0, 400), st.sampled_from(EVENTS)), max_size=4))),
        "niv": draw(st.sampled_from([0, 0, 1])),
        "end": (end, draw(st.sampled_from([0, 27, 28, 100, 168, 170, 336, 340])) if end else None),
        "closure": draw(st.sampled_from([0, 100, 168, 400])),
    }


def tables(people):
    def rows(key, *names):
        flat = [(i, *row) for i, p in enumerate(people) for row in p[key]]
        columns = list(zip(*flat, strict=True)) if flat else [()] * (1 + len(names))
        out = {"replicate": np.zeros(len(flat), int), "patient": np.array(columns[0], int)}
        return out | {c: np.array(x, "U24" if c == "event" else float) for c, x in zip(names, columns[1:], strict=True)}

    n = len(people)
    ended = [p | {"gone": [(p["end"][1], p["end"][0])] if p["end"][0] else []} for p in people]
    gone = [(i, *row) for i, p in enumerate(ended) for row in p["gone"]]
    return {
        "patients": {
            "replicate": np.zeros(n, int), "patient": np.arange(n),
            "closure_day": np.array([p["closure"] for p in people]),
            "alsfrs_r": np.array([p["base"] for p in people]), "niv": np.array([p["niv"] for p in people]),
            **dict.fromkeys(
                ("alsfrs_r_slope_run_in", "alsfrs_r_slope_run_in_18_weeks"), np.array([p["run_in"] for p in people])
            ),
        },
        "visits": rows("visits", "day", "visit", "alsfrs_r"),
        "milestones": rows("passed", "day", "event"),
        "disposition": {
            "replicate": np.zeros(len(gone), int), "patient": np.array([g[0] for g in gone], int),
            "day": np.array([g[1] for g in gone], int), "event": np.array([g[2] for g in gone], "U12"),
        },
    }  # fmt: skip


def last_day(p):
    return p["closure"] if p["end"][0] is None else min(p["closure"], p["end"][1])


def died_on(p):
    return p["end"][1] if p["end"][0] == "died" and p["end"][1] <= last_day(p) else None


def window(plan_days, at):
    """First and last day of a visit of the horizon, and the day itself; planned days of visits that anybody made."""
    if at is None:
        return -math.inf, math.inf, math.inf
    target = at * YEAR
    days = sorted({0, *plan_days})
    if len(days) < 2:
        return math.inf, -math.inf, target
    k = min(range(len(days)), key=lambda j: (abs(days[j] - target), j))
    before = (days[k] - days[k - 1]) / 2 if k else (days[1] - days[0]) / 2
    after = (days[k + 1] - days[k]) / 2 if k + 1 < len(days) else before
    if not days[k] - before <= target <= days[k] + after:
        return math.inf, -math.inf, target
    return target - before, target + after, target


def milestone(d, p, at):
    if any(p.get(e) for e in d.events):
        return 0.0, False
    end = last_day(p)
    days = [day for day, e in p["passed"] if e in d.events]
    if d.deaths and died_on(p) is not None:
        days.append(died_on(p))
    first = min((x for x in days if x <= end), default=None)
    time = (end if first is None else first) / YEAR
    if at is not None and time > at:
        return at, False
    return time, first is not None


def own_slope(d, p, at, plan_days):
    _, high, target = window(plan_days, at)
    until = min(last_day(p), max(high, target))
    at_points = [(0, p["base"])] if d.from_days == 0 else []
    at_points += [(day, x) for day, _, x in p["visits"] if 0 < day <= until and day >= d.from_days]
    if d.to_days is not None:
        at_points = [v for v in at_points if v[0] <= d.to_days]
    at_points = [v for v in at_points if not math.isnan(v[1])]
    if len(at_points) < d.points_at_least or len({v[0] for v in at_points}) < 2:
        return NAN
    days, scores = zip(*at_points, strict=True)
    return np.polyfit(np.array(days) / (YEAR / 12), scores, 1)[0]


def responder(d, p, at, plan_days):
    """1 or 0, NaN where not assessed, None where rounding decides."""
    died = died_on(p)
    if d.dead == "fails" and died is not None and (at is None or died <= at * YEAR):
        return 0.0
    if d.baseline_at_least is not None and p["base"] < d.baseline_at_least:
        return NAN
    slope = own_slope(d, p, at, plan_days)
    if d.measure == "difference":
        slope -= p["run_in"]
    elif d.measure == "relative":
        better = 0.0 if p["run_in"] >= 0 else 1 - slope / p["run_in"]
        slope = slope if math.isnan(slope) else better
    if math.isnan(slope):
        return NAN
    low, high = (-math.inf if d.at_least is None else d.at_least), (math.inf if d.at_most is None else d.at_most)
    if min(abs(slope - low), abs(slope - high)) < 1e-7:
        return None
    return float(low <= slope <= high)


def composite(p, at, plan_days):
    low, high, target = window(plan_days, at)
    end, died = last_day(p), died_on(p)
    seen = [v for v in p["visits"] if 0 < v[0] <= end and low <= v[0] <= high and not math.isnan(v[2])]
    value = NAN
    if seen:
        far = 1e9 if at is None else target
        value = min(seen, key=lambda v: (abs(v[0] - far), v[0]))[2]
    if died is not None and (died <= target or (math.isnan(value) and died <= high)):
        value = 0.0
    return value - p["base"]


crowd = st.lists(person(), min_size=1, max_size=4)
horizon = st.sampled_from([None, 28 / YEAR, 84 / YEAR, 168 / YEAR, 336 / YEAR, 0.3])


def planned(people):
    """Planned days of the visits that took place."""
    return [PLAN[k] for k in {v[1] for p in people for v in p["visits"]}]


@given(crowd, horizon)
@settings(max_examples=300, deadline=None)
def test_milestones(people, at):
    for name in ("tracheostomy_free_survival", "niv_free_survival", "time_to_niv", "gastrostomy", "tracheostomy"):
        out = derive(name, tables(people), at, PLAN)
        for i, p in enumerate(people):
            time, event = milestone(find(name), p, at)
            assert (out.time_years[i], out.event[i]) == (time, event), name


@given(crowd, horizon, st.sampled_from([0, 28]), st.sampled_from([None, 168]))
@settings(max_examples=300, deadline=None)
def test_responders(people, at, from_days, to_days):
    names = ["nurown", "nurown.from_35", "1_5_points", "slope_50_percent", "slope_25_percent", "flat_or_positive"]
    asked = [find(f"responder.{n}", from_days=from_days, to_days=to_days) for n in names]
    asked += [find(f"progression_{n}") for n in ("decreased", "unchanged", "increased")]
    for d in asked:
        got = derive(d, tables(people), at, PLAN).value
        for i, p in enumerate(people):
            expected = responder(d, p, at, planned(people))
            if expected is not None:
                np.testing.assert_equal(got[i], expected, err_msg=d.id)


@given(crowd, horizon)
@settings(max_examples=300, deadline=None)
def test_the_composite_of_death(people, at):
    got = derive("alsfrs_r_death_zero_change", tables(people), at, PLAN).value
    np.testing.assert_equal(got, [composite(p, at, planned(people)) for p in people])
