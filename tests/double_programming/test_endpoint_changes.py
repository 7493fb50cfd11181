"""Confirmed changes with every option, programmed a second time: slow, by definition, one patient at a time.

The library keeps a state while it walks; here, at every visit, the run of visits that hold the change is looked up
anew.
"""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stemtrial.endpoint import changes, derive, find

STEPS = [0.0] + [k / 2 for k in range(2, 21)]
YEAR = 365.25
NAN = math.nan


@st.composite
def patients(draw):
    """Any grid of visits: unscheduled, same day, missed; measurements missing; relapses, death, any end."""
    near = draw(st.sampled_from(STEPS))
    levels = [*(e for e in STEPS if abs(e - near) <= 2), NAN]
    times = [5.0, 5.5, 6.0, 6.6, 7.2, 8.0, NAN]
    grid = [max(0, 84 * k + draw(st.integers(-10, 10))) for k in range(1, draw(st.integers(0, 9)) + 1)]
    visits = [(day, k + 1) for k, day in enumerate(grid) if draw(st.integers(0, 4))]
    visits += [(draw(st.integers(0, 800)), -1) for _ in range(draw(st.integers(0, 2)))]
    if visits and draw(st.booleans()):
        visits.append((draw(st.sampled_from(visits))[0], -1))
    rated = [
        (day, k, draw(st.sampled_from(levels)), draw(st.sampled_from(times)), draw(st.sampled_from([1.0, 2.0, 3.0])))
        for day, k in sorted(visits, key=lambda v: v[0])
    ]
    died = draw(st.sampled_from([None, None, 90, 400]))
    return {
        "edss": near,
        "t25fw_s": draw(st.sampled_from(times)),
        "visits": rated,
        "relapses": sorted(draw(st.lists(st.integers(0, 800), max_size=3))),
        "died": died,
        "closure": draw(st.sampled_from([0, 100, 500, 800])),
    }


def tables(cohort, pyramidal):
    who = np.array([i for i, p in enumerate(cohort) for _ in p["visits"]], int)
    rows = np.array([v for p in cohort for v in p["visits"]], float).reshape(-1, 5)
    relapses = [(i, d) for i, p in enumerate(cohort) for d in p["relapses"]]
    deaths = [(i, p["died"]) for i, p in enumerate(cohort) if p["died"] is not None]

    def pairs(of):
        a = np.array(of, int).reshape(-1, 2)
        return {"replicate": np.zeros(len(a), int), "patient": a[:, 0], "day": a[:, 1]}

    visits = {
        "replicate": np.zeros(len(who), int), "patient": who, "day": rows[:, 0], "visit": rows[:, 1],
        "edss": rows[:, 2], "t25fw_s": rows[:, 3], "pyramidal_fs": rows[:, 4],
    }  # fmt: skip
    if not pyramidal:
        del visits["pyramidal_fs"]
    return {
        "patients": {
            "replicate": np.zeros(len(cohort), int),
            "patient": np.arange(len(cohort)),
            **{c: np.array([p[c] for p in cohort], float) for c in ("edss", "t25fw_s")},
            "closure_day": np.array([p["closure"] for p in cohort], int),
        },
        "visits": visits,
        "relapses": pairs(relapses),
        "disposition": pairs(deaths) | {"event": np.full(len(deaths), "died")},
    }


def need(d, measure, reference):
    if measure != "edss":
        return reference * d.percent[measure] / 100
    if d.reach is not None:
        return d.reach - reference
    return next(t.by for t in d.thresholds if reference <= t.up_to)


def inside(windows, at, day):
    def end(text):
        for name in ("reference", "previous", "onset", "confirmation"):
            if text.startswith(name):
                return at[name] + int(text[len(name) :] or 0)
        raise AssertionError(text)

    return any(end(w.split(" to ")[0]) <= day <= end(w.split(" to ")[1]) for w in windows)


def starts_before_entry(windows, at):
    return any(inside([w], at, -day) for w in windows for day in range(1, 200))


def kind_of(d, at, relapses):
    if any(inside(d.relapse_near, at, r) for r in relapses):
        return "raw"
    if not (d.relapse_near or d.relapse_free) or any(inside(d.relapse_free, at, r) for r in relapses):
        return "undefined"
    if not d.known_before_entry and starts_before_entry((*d.relapse_near, *d.relapse_free), at):
        return "undefined"
    return "pira"


def slow(d, p, measure, pyramidal):
    """All changes (kind, reference day, onset, confirmation) and the day of the last usable visit."""
    base = p[measure]
    end = min([p["closure"], *([p["died"]] if p["died"] is not None else [])])
    relapses = [r for r in p["relapses"] if r <= end]
    if math.isnan(base) or (d.baseline_at_least > 0 and p["edss"] < d.baseline_at_least):
        return [], 0
    if need(d, measure, base) <= 0:
        return [], 0
    column = {"edss": 2, "t25fw_s": 3}[measure]

    def usable(v):
        if not 0 < v[0] <= end or math.isnan(v[column]) or (d.scheduled_only and v[1] < 0):
            return False
        gap = d.exclude_days_after_relapse
        return gap is None or not any(0 <= v[0] - r <= gap for r in relapses)

    sign = 1 if d.direction == "worse" else -1
    far = d.confirmation_days - d.tolerance_days
    seen = [v for v in p["visits"] if usable(v)]
    days, x = [v[0] for v in seen], [v[column] for v in seen]
    fits = [
        (d.edss_at_least is None or v[2] >= d.edss_at_least)
        and (d.pyramidal_at_least is None or not pyramidal or v[4] >= d.pyramidal_at_least)
        for v in seen
    ]
    found, spent = [], False
    reference, since, at_index, renewed = base, 0, -1, -1

    def holds(k):
        return fits[k] and sign * (x[k] - reference) >= need(d, measure, reference) - 1e-9

    def run_to(k):
        """First visit of the run that holds the change up to visit k."""
        first = None
        for o in range(k, at_index, -1):
            if not holds(o):
                break
            if days[o] >= d.onset_from_days:
                first = o
        return first

    for k in range(len(seen)):
        onset = None if spent else run_to(k)
        if onset is not None and days[k] - days[onset] >= far:
            at = {
                "reference": since, "previous": days[onset - 1] if onset else 0, "onset": days[onset],
                "confirmation": days[k],
            }  # fmt: skip
            found.append((kind_of(d, at, relapses), since, days[onset], days[k]))
            onset, spent = None, d.reference == "fixed"
            if not spent:
                reference, since, at_index = x[k], days[k], k
        elif d.reference == "roving" and not holds(k) and sign * (x[k] - reference) < -1e-9:
            late = [m for m in range(k + 1, len(seen)) if days[m] - days[k] >= far]
            if late and all(sign * (x[m] - x[k]) <= 1e-9 for m in range(k, late[0] + 1)):
                reference, since, at_index = x[k], days[k], k
        gap = d.rebaseline_after_relapse_days
        if gap is not None and onset is None:
            waiting = [r for r in relapses if renewed < r <= days[k]]
            if waiting and days[k] - max(waiting) >= gap:
                renewed, reference, since, at_index, spent = max(waiting), x[k], days[k], k, False
    onset = run_to(len(seen) - 1) if seen and not spent else None
    if d.unconfirmed_at_end == "event" and onset is not None:
        at = {
            "reference": since, "previous": days[onset - 1] if onset else 0, "onset": days[onset],
            "confirmation": days[-1],
        }  # fmt: skip
        found.append((kind_of(d, at, relapses), since, days[onset], -1))
    return found, days[-1] if days else 0


W = "onset-90 to confirmation"
VARIANTS = [
    find("pira.12_weeks", counts="any"),
    find("pira.24_weeks"),
    find("raw.24_weeks"),
    find("pira.opera", percent={"t25fw_s": 20}),
    find("raw.opera", percent={"t25fw_s": 20}, unconfirmed_at_end="event"),
    find("pira.fixed"),
    find("pira.roving", relapse_near=[W], relapse_free=[], known_before_entry=False, counts="undefined"),
    find("raw.roving", exclude_days_after_relapse=30, scheduled_only=True),
    find("spms_conversion"),
    find("spms_conversion", reference="fixed"),
    find("edss_milestone.6"),
    find("edss_milestone.4", unconfirmed_at_end="event", death="event", censor_at=["died"]),
    find("composite_worsening.12_weeks", percent={"t25fw_s": 20}, death="event", onset_from_days=100),
    find("t25fw_worsening_20"),
    find("t25fw_worsening_20.12_weeks", reference="roving"),
    find("confirmed_improvement", reference="roving", rebaseline_after_relapse_days=0),
    find("confirmed_worsening.24_weeks", reference="roving", onset_from_days=200, unconfirmed_at_end="event"),
]


@given(st.lists(patients(), max_size=5), st.sampled_from(VARIANTS), st.booleans())
@settings(max_examples=1500, deadline=None)
def test_changes_and_the_first_that_counts(cohort, d, pyramidal):
    given_tables = tables(cohort, pyramidal)
    listed = changes(d, given_tables)
    columns = ("patient", "measure", "kind", "reference_day", "onset_day", "confirmation_day")
    ours = sorted(zip(*(listed[c].tolist() for c in columns), strict=True))
    out = derive(d, given_tables)
    theirs = []
    for i, p in enumerate(cohort):
        counted, last = [], 0
        for m in d.measures:
            found, final = slow(d, p, m, pyramidal)
            theirs += [(i, m, *f) for f in found]
            counted += [f[2] for f in found if d.counts in ("any", f[0])]
            last = max(last, final)
            at_risk = not (math.isnan(p[m]) or p["edss"] < d.baseline_at_least or need(d, m, p[m]) <= 0)
            if not found and at_risk and d.death == "event" and p["died"] is not None and p["died"] <= p["closure"]:
                counted.append(p["died"])
        assert bool(out.event[i]) == bool(counted)
        assert math.isclose(out.time_years[i], (min(counted) if counted else last) / YEAR, abs_tol=1e-12)
    assert ours == sorted(theirs)
