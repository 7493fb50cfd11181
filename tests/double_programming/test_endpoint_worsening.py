"""Confirmed change and NEDA-3, programmed a second time from the definition: slow, one patient at a time.

The library walks once through the visits of a patient; here every pair (onset, confirmation) is tried.
"""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stemtrial.endpoint import derive, find

STEPS = [0.0] + [k / 2 for k in range(2, 21)]
YEAR = 365.25


@st.composite
def patients(draw):
    """One patient: unscheduled visits, ties, missed visits, relapses, any end of follow-up."""
    near = draw(st.sampled_from(STEPS))
    levels = [e for e in STEPS if abs(e - near) <= 2]
    visits = []
    for k in range(1, draw(st.integers(0, 8)) + 1):
        if draw(st.booleans()) or draw(st.booleans()):  # three of four visits are kept
            visits.append((max(0, 91 * k + draw(st.integers(-20, 20))), k, draw(st.sampled_from(levels))))
    for _ in range(draw(st.integers(0, 2))):
        visits.append((draw(st.integers(0, 760)), -1, draw(st.sampled_from(levels))))
    if visits and draw(st.booleans()):
        day, _, _ = draw(st.sampled_from(visits))
        visits.append((day, -1, draw(st.sampled_from(levels))))
    scans = [
        (max(0, 182 * k + draw(st.integers(-20, 20))), k, draw(st.integers(0, 1)), draw(st.integers(0, 1)))
        for k in range(draw(st.integers(0, 4)))
    ]
    ends = draw(
        st.lists(
            st.tuples(st.integers(0, 800), st.sampled_from(["completed", "dropped_out", "died", "crossed_over"])),
            max_size=2,
        )
    )
    return {
        "edss": near,
        "visits": sorted(visits, key=lambda v: v[0]),
        "scans": sorted(scans, key=lambda v: v[0]),
        "relapses": sorted(draw(st.lists(st.integers(0, 760), max_size=3))),
        "ends": sorted(ends),
        "closure": draw(st.integers(0, 800)),
    }


def tables(cohort):
    """Tables of a cohort, two patients a replicate."""

    def rows(key, *columns):
        flat = [(i // 2, i % 2, *row) for i, p in enumerate(cohort) for row in p[key]]
        names = ("replicate", "patient", *columns)
        return {n: np.array([r[k] for r in flat], object if n == "event" else float) for k, n in enumerate(names)}

    n = len(cohort)
    out = {
        "patients": {
            "replicate": np.arange(n) // 2,
            "patient": np.arange(n) % 2,
            "edss": np.array([p["edss"] for p in cohort], float),
            "closure_day": np.array([p["closure"] for p in cohort], int),
        },
        "visits": rows("visits", "day", "visit", "edss"),
        "mri": rows("scans", "day", "visit", "gd_lesions", "new_t2_lesions"),
        "disposition": rows("ends", "day", "event"),
    }
    out["disposition"]["event"] = out["disposition"]["event"].astype("U24")
    relapses = [(i // 2, i % 2, d) for i, p in enumerate(cohort) for d in p["relapses"]]
    out["relapses"] = {
        c: np.array([r[k] for r in relapses], int) for k, c in enumerate(("replicate", "patient", "day"))
    }
    return out


def follow_up_end(p, censor_at):
    return min([p["closure"], *[day for day, event in p["ends"] if event in censor_at]])


def clock(d, cohort, key):
    """Years of a visit (day, number) of patient i: by day, or by whole months of its place in the replicate."""

    def at(i, day, number):
        if d.event_time == "scheduled" and number >= 0:
            mates = [p for k, p in enumerate(cohort) if k // 2 == i // 2]
            days = [row[0] for p in mates for row in p[key] if row[1] == number]
            return round(sum(days) / len(days) / (YEAR / 12)) / 12
        return day / YEAR

    return lambda i: lambda day, number: at(i, day, number)


def slow_change(d, p, at):
    if p["edss"] < d.baseline_at_least:
        return 0.0, False
    end = follow_up_end(p, d.censor_at)
    need = next(t.by for t in d.thresholds if p["edss"] <= t.up_to)

    def usable(visit):
        day, number, _ = visit
        if not 0 < day <= end or (d.scheduled_only and number < 0):
            return False
        if d.exclude_days_after_relapse is None:
            return True
        return not any(0 <= day - r <= d.exclude_days_after_relapse for r in p["relapses"])

    def holds(visit):
        return (visit[2] - p["edss"] if d.direction == "worse" else p["edss"] - visit[2]) >= need

    seen = [v for v in p["visits"] if usable(v)]
    for i, onset in enumerate(seen):
        if onset[0] < d.onset_from_days:
            continue
        for j in range(i + 1, len(seen)):
            far = seen[j][0] - onset[0] >= d.confirmation_days - d.tolerance_days
            if far and all(holds(v) for v in seen[i : j + 1]):
                return at(*onset[:2]), True
    if d.unconfirmed_at_end == "event":
        for i, onset in enumerate(seen):
            if onset[0] >= d.onset_from_days and all(holds(v) for v in seen[i:]):
                return at(*onset[:2]), True
    if d.death == "event":
        deaths = [day for day, event in p["ends"] if event == "died" and day <= end]
        if deaths:
            return min(deaths) / YEAR, True
    return (at(*seen[-1][:2]) if seen else 0.0), False


def censored(time, event, at_years):
    return (time, event) if at_years is None or time <= at_years else (at_years, False)


def check(result, expected):
    for i, (time, event) in enumerate(expected):
        assert bool(result.event[i]) == event, i
        assert math.isclose(result.time_years[i], time, abs_tol=1e-12), i


VARIANTS = [
    find("confirmed_worsening.12_weeks"),
    find("confirmed_worsening.24_weeks", exclude_days_after_relapse=30),
    find("confirmed_worsening.mist", onset_from_days=150),
    find("confirmed_worsening.expand", unconfirmed_at_end="event", death="event", censor_at=("died", "crossed_over")),
    find("confirmed_worsening.oratorio", event_time="scheduled", scheduled_only=True, unconfirmed_at_end="event"),
    find("confirmed_worsening.12_weeks", death="event", onset_from_days=180, exclude_days_after_relapse=0),
    find("confirmed_improvement.12_weeks"),
]


@given(st.lists(patients(), max_size=6), st.sampled_from(VARIANTS), st.sampled_from([None, 0.5, 1.0]))
@settings(max_examples=400, deadline=None)
def test_confirmed_change(cohort, d, at_years):
    at = clock(d, cohort, "visits")
    check(
        derive(d, tables(cohort), at_years),
        [censored(*slow_change(d, p, at(i)), at_years) for i, p in enumerate(cohort)],
    )


def slow_activity(d, p, at_scan, at_visit, worsening, at_worsening):
    end = follow_up_end(p, d.censor_at)
    looks = [(day, at_visit(day, k)) for day, k, _ in p["visits"] if k >= 0 and 0 < day <= end]
    looks += [(day, at_scan(day, k)) for day, k, _, _ in p["scans"] if k >= 0 and 0 < day <= end]
    last_day = max([day for day, _ in looks], default=0)
    found = [r / YEAR for r in p["relapses"] if r <= last_day]
    for day, k, gd, t2 in p["scans"]:
        if 0 < day <= end and day >= d.mri_from_days and gd + t2 > 0:
            found.append(at_scan(day, k))
    time, event = slow_change(worsening, p, at_worsening)
    if event:
        found.append(time)
    return (min(found), True) if found else (max([t for _, t in looks], default=0.0), False)


@given(st.lists(patients(), max_size=6), st.sampled_from(["neda3", "neda3.mist"]), st.sampled_from([0, 200]))
@settings(max_examples=200, deadline=None)
def test_no_evidence_of_disease_activity(cohort, name, mri_from):
    d = find(name, mri_from_days=mri_from)
    worsening = find(d.worsening)
    scan, visit, change = clock(d, cohort, "scans"), clock(d, cohort, "visits"), clock(worsening, cohort, "visits")
    expected = [slow_activity(d, p, scan(i), visit(i), worsening, change(i)) for i, p in enumerate(cohort)]
    check(derive(d, tables(cohort)), expected)


@given(st.lists(patients(), max_size=6), st.sampled_from([None, 0.5, 1.0]))
@settings(max_examples=150, deadline=None)
def test_relapses_and_death(cohort, at_years):
    rate = derive("relapse_rate", tables(cohort), at_years)
    free = derive("relapse_free", tables(cohort), at_years)
    alive = derive("overall_survival", tables(cohort), at_years)
    for i, p in enumerate(cohort):
        end = follow_up_end(p, ("completed", "dropped_out", "died"))
        cut = end if at_years is None else min(end, int(at_years * YEAR))
        assert rate.count[i] == sum(r <= cut for r in p["relapses"])
        assert math.isclose(rate.exposure_years[i], cut / YEAR)
        first = [r for r in p["relapses"] if r <= end]
        expected = (min(first) / YEAR, True) if first else (end / YEAR, False)
        check_one(free, i, censored(*expected, at_years))
        died = [day for day, event in p["ends"] if event == "died" and day <= end]
        check_one(alive, i, censored(*((min(died) / YEAR, True) if died else (end / YEAR, False)), at_years))


def check_one(result, i, expected):
    assert bool(result.event[i]) == expected[1]
    assert math.isclose(result.time_years[i], expected[0], abs_tol=1e-12)
