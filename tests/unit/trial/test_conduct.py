"""Trials as conducted: allocation, visits, switches, crossover, drop-out, death; the same bits however computed."""

from __future__ import annotations

import numpy as np
import pytest
from trials import AHSCT, REPLICATES, TERMINAL, Run, protocol, rows

from stemtrial import tables
from stemtrial.endpoint import derive
from stemtrial.predict.estimate import Analysed
from stemtrial.therapy.drugs import DRUGS
from stemtrial.trial.conduct import OBSERVED, conduct
from stemtrial.trial.entry import days_of, families_of, planned_days
from stemtrial.trial.rules import HazardRule


@pytest.fixture(scope="module")
def run(mist, recruits, everything, point):
    return Run(mist, recruits, everything, point)


# -- allocation and analysis sets --------------------------------------------------------------------------------------
def test_arms_have_exactly_their_size_in_every_replicate(run):
    for name, arm in run.protocol.arms.items():
        count = np.bincount(rows(run.t["patients"], arm=name)["replicate"], minlength=REPLICATES)
        assert (count == arm.n).all()


def test_blocks_are_balanced_and_permuted(run):
    arm = (run.t["patients"]["arm"] == "hsct").reshape(REPLICATES, -1)
    (size,) = run.protocol.randomisation.block_sizes
    blocks = arm[:, : arm.shape[1] // size * size].reshape(REPLICATES, -1, size)
    assert (blocks.sum(2) == size // 2).all()
    patterns, counts = np.unique(blocks.reshape(-1, size), axis=0, return_counts=True)
    assert len(patterns) == 6
    assert counts.min() > 0.6 * counts.mean()


def test_unequal_ratios_fill_every_arm(recruits, everything, point):
    arms = {"a": {"n": 7, "regimen": []}, "b": {"n": 5, "regimen": []}, "c": {"n": 2, "regimen": []}}
    p = protocol(arms, randomisation={"ratio": {"a": 2, "b": 1, "c": 1}, "block_sizes": [4, 8]}, months=[0, 6])
    r = Run(p, recruits, everything, point, replicates=5)
    for name, arm in p.arms.items():
        assert (np.bincount(rows(r.t["patients"], arm=name)["replicate"], minlength=5) == arm.n).all()


def test_analysis_sets_have_exactly_their_size(run):
    a = Analysed(run.t, run.protocol)
    for name, n in run.protocol.analysis_set.items():
        assert (a.of(name).sum(1) == n).all()
    never = rows(run.t["disposition"], reason="before treatment")
    assert (never["day"] == 0).all()
    who = run.who("disposition", reason="before treatment")
    for name in ("visits", "relapses", "mri", "exposure", "adverse_events"):
        assert not np.isin(run.who(name), who).any()


def test_people_enter_in_the_order_of_their_dates_within_accrual(run):
    length, _, _ = days_of(run.protocol)
    day = run.t["patients"]["entry_day"].reshape(REPLICATES, -1)
    assert (np.diff(day, axis=1) >= 0).all()
    assert 0 <= day.min() <= day.max() < length


def test_patients_are_recruits(run, recruits):
    t = run.t["patients"]
    place = np.searchsorted(recruits.index, t["recruit"])
    np.testing.assert_array_equal(recruits.index[place], t["recruit"])
    for c in ("age_years", "relapses_last_12_months"):
        np.testing.assert_array_equal(t[c], recruits.screening[c][place])
    counts = np.bincount(place, minlength=len(recruits))
    assert counts.mean() == pytest.approx(run.n / len(recruits))
    assert 0.8 < counts.var() / counts.mean() < 1.2, "drawn with replacement"


# -- tables ------------------------------------------------------------------------------------------------------------
def test_tables_follow_their_schema_sorted_with_unique_keys(run):
    assert run.trial.failed == run.trial.overflow == 0
    assert set(run.t) == {"patients", "exposure", *OBSERVED["ms"]}
    for name, t in run.t.items():
        schema = tables.SCHEMAS[name]
        assert list(t)[: len(schema.columns)] == list(schema.columns)
        for c, spec in schema.columns.items():
            assert t[c].dtype == np.dtype(spec.dtype), (name, c)
        key = np.array([t[k] for k in schema.keys])
        order = np.lexsort(key[::-1])
        np.testing.assert_array_equal(order, np.arange(len(order)), err_msg=name)
        if name in ("patients", "visits", "relapses", "mri"):
            assert len(np.unique(key, axis=1).T) == key.shape[1], name
        assert len(t["replicate"]) > 0
        assert t["patient"].max() < run.size


def test_everybody_leaves_once(run):
    ends = np.concatenate([run.who("disposition", event=e) for e in TERMINAL])
    assert sorted(ends) == list(range(run.n))
    assert set(run.t["disposition"]["event"]) <= {*TERMINAL, "crossed_over"}


def test_nothing_happens_after_the_end(run):
    day, _ = run.end()
    for name in ("visits", "mri", "adverse_events"):
        assert (run.t[name]["day"] <= day[run.who(name)]).all(), name
    assert (day <= run.t["patients"]["closure_day"]).all()


# -- visits ------------------------------------------------------------------------------------------------------------
def test_scheduled_visits_lie_in_their_windows_and_ascend(run):
    t = rows(run.t["visits"])
    planned = planned_days(run.protocol)
    scheduled = t["visit"] >= 0
    off = t["day"][scheduled] - planned[t["visit"][scheduled]]
    window = run.protocol.visits.window_days
    assert np.abs(off).max() == window
    counts = np.bincount(off + window, minlength=2 * window + 1)
    assert counts.max() < 1.6 * counts.mean(), "uniform over the window"
    assert counts.min() > 0.5 * counts.mean()
    who = run.who("visits")[scheduled]
    same = np.diff(who) == 0
    assert (np.diff(t["visit"][scheduled])[same] > 0).all()
    assert (np.diff(t["day"][scheduled])[same] > 0).all()


def test_nobody_misses_a_visit_while_followed(run):
    day, _ = run.end()
    planned = planned_days(run.protocol)
    t = run.t["visits"]
    for k in range(1, len(planned)):
        seen = np.zeros(run.n, bool)
        seen[run.who("visits")[t["visit"] == k]] = True
        due = day >= planned[k] + run.protocol.visits.window_days
        assert (seen | ~due).all()
        assert not (seen & (day < planned[k] - run.protocol.visits.window_days)).any()


def test_relapse_visits_come_seven_days_after_a_relapse(run, point):
    wait = int(point["trial.relapse_visit_days"])
    assert wait == 7
    relapses = set(zip(run.who("relapses"), run.t["relapses"]["day"], strict=True))
    t = run.t["visits"]
    at_relapse = t["visit"] == -1
    visits = set(zip(run.who("visits")[at_relapse], t["day"][at_relapse], strict=True))
    assert len(visits) > 100
    assert {(w, d - wait) for w, d in visits} <= relapses
    # and every relapse is seen: at its own visit, or at a scheduled one before that was due, unless follow-up ended
    end, _ = run.end()
    scheduled = {}
    for w, d in zip(run.who("visits")[~at_relapse], t["day"][~at_relapse], strict=True):
        scheduled.setdefault(w, []).append(d)
    for w, d in relapses - {(w, d - wait) for w, d in visits}:
        assert end[w] <= d + wait or any(d <= s <= d + wait for s in scheduled.get(w, []))


def test_relapses_of_one_patient_are_a_month_apart(run):
    gap = np.diff(run.t["relapses"]["day"])[np.diff(run.who("relapses")) == 0]
    assert gap.min() > 30


def test_scans_are_taken_at_scheduled_visits_and_baseline_change_is_zero_on_average(run):
    t = run.t["mri"]
    assert (t["visit"] >= 1).all()
    pairs = set(zip(run.who("visits"), run.t["visits"]["day"], strict=True))
    assert set(zip(run.who("mri"), t["day"], strict=True)) <= pairs
    assert (t["brain_volume_change_pct"] < 1.5).all()
    assert (t["new_t2_lesions"] >= 0).all()


def test_without_relapse_visits_there_are_none(recruits, everything, point):
    visits = {"months": [0, 6, 12], "window_days": 10, "at_relapse": False}
    p = protocol({"a": {"n": 40, "regimen": []}}, visits=visits)
    r = Run(p, recruits, everything, point, replicates=4)
    assert (r.t["visits"]["visit"] >= 1).all()
    assert len(r.t["relapses"]["day"]) > 20


# -- therapy -----------------------------------------------------------------------------------------------------------
def test_everybody_treated_gets_the_regimen_of_the_arm(run):
    t, arm = run.t["exposure"], run.t["patients"]["arm"]
    first = rows(t, reason="randomised")
    who = run.who("exposure", reason="randomised")
    assert (first["therapy"][arm[who] == "hsct"] == "ahsct").all()
    assert (first["day"][arm[who] == "hsct"] == 30).all()
    of = run.protocol.arms["dmt"].regimen[0].of
    drugs = first["therapy"][arm[who] == "dmt"]
    assert (first["day"][arm[who] == "dmt"] == 0).all()
    total = sum(of.values())
    for name, weight in of.items():
        share = (drugs == name).mean()
        assert abs(share - weight / total) < 4 * np.sqrt(weight / total / len(drugs)), name
    kept = Analysed(run.t, run.protocol).kept.ravel()
    assert len(set(who)) == len(who)
    assert not np.setdiff1d(who, np.flatnonzero(kept)).size
    missing = np.setdiff1d(np.flatnonzero(kept), who)
    assert (arm[missing] == "hsct").all(), "only a failed harvest leaves somebody without therapy"
    assert len(missing) < 0.05 * run.n


def test_switches_follow_a_relapse_and_go_to_drugs_not_taken_before(run):
    t = run.t["exposure"]
    who = run.who("exposure")
    at_relapse = run.t["visits"]["visit"] == -1
    relapse_visits = set(zip(run.who("visits")[at_relapse], run.t["visits"]["day"][at_relapse], strict=True))
    # a relapse less than a week before a scheduled visit is acted on at that visit
    relapses = set(zip(run.who("relapses"), run.t["relapses"]["day"], strict=True))
    scheduled = set(zip(run.who("visits")[~at_relapse], run.t["visits"]["day"][~at_relapse], strict=True))
    late = {(w, d) for w, d in scheduled if any((w, d - k) in relapses for k in range(8))}
    crossed = dict(run.pairs("disposition", event="crossed_over"))
    taken: dict[int, set[str]] = {}
    switches = 0
    for w, d, therapy, reason in zip(who, t["day"], t["therapy"], t["reason"], strict=True):
        if therapy in DRUGS:
            assert therapy not in taken.setdefault(w, set()), "taken before"
            taken[w].add(therapy)
        if reason == "switch":
            switches += 1
            assert (w, d) in relapse_visits | late
            assert d <= crossed.get(w, 10**9)
            assert run.t["patients"]["arm"][w] == "dmt"
    assert switches > 50


def test_relapses_without_a_switch_have_no_drug_left(run):
    """At every relapse visit of the drug arm somebody switches unless crossed over or out of drugs."""
    arm = run.t["patients"]["arm"]
    crossed = dict(run.pairs("disposition", event="crossed_over"))
    switched = set(run.pairs("exposure", reason="switch"))
    number = np.bincount(run.who("exposure"), minlength=run.n)
    v = run.t["visits"]
    for w, d in zip(run.who("visits")[v["visit"] == -1], v["day"][v["visit"] == -1], strict=True):
        if arm[w] == "dmt" and d < crossed.get(w, 10**9):
            assert (w, d) in switched or number[w] >= 6


def test_crossover_follows_its_event_after_its_month(run):
    t = rows(run.t["disposition"], event="crossed_over")
    who = run.who("disposition", event="crossed_over")
    assert len(who) > 20
    assert len(set(who)) == len(who)
    assert (run.t["patients"]["arm"][who] == "dmt").all()
    rule = run.protocol.rules[0]
    assert t["day"].min() >= round(rule.from_month * 365.25 / 12) - run.protocol.visits.window_days
    v = run.t["visits"]
    scheduled = set(zip(run.who("visits")[v["visit"] >= 1], v["day"][v["visit"] >= 1], strict=True))
    assert set(zip(who, t["day"], strict=True)) <= scheduled
    # the event had been confirmed by then: in the tables cut at that day
    cut = np.full(run.n, 10**9)
    cut[who] = t["day"]
    seen = {}
    for name, table in run.t.items():
        keep = np.ones(len(table["replicate"]), bool)
        if name != "patients":
            keep = table["day"] <= cut[run.who(name)]
        if name == "disposition":
            keep &= table["event"] != "crossed_over"
        seen[name] = {k: x[keep] for k, x in table.items()}
    found = derive(rule.when, seen, planned_days=planned_days(run.protocol))
    assert found.event[who].all()
    # the transplant follows on its day, unless the harvest failed or the patient left before
    crossing = dict(run.pairs("exposure", reason="crossover"))
    gap = {crossing[w] - cut[w] for w in who if w in crossing}
    assert gap == {30}
    assert set(crossing) <= set(who)


def test_the_share_of_crossover_is_kept(mist, recruits, everything, point):
    def crossed(share):
        rules = (mist.rules[0].model_copy(update={"share": share}), *mist.rules[1:])
        r = Run(mist.model_copy(update={"rules": rules}), recruits, everything, point, replicates=40)
        return len(r.who("disposition", event="crossed_over"))

    whole, half, none = crossed(1.0), crossed(0.5), crossed(0.0)
    assert none == 0
    assert whole > 30
    assert 0.3 * whole < half < 0.75 * whole


# -- leaving -----------------------------------------------------------------------------------------------------------
def test_drop_out_has_its_hazard(recruits, everything, point):
    rules = [
        {"hazard": "drop_out", "per_year": 0.1, "to_month": 12},
        {"hazard": "drop_out", "per_year": 0.5, "from_month": 12},
    ]
    p = protocol({"a": {"n": 200, "regimen": []}}, months=[0, 12, 36], rules=rules)
    assert all(isinstance(x, HazardRule) for x in p.rules)
    r = Run(p, recruits, everything, point, replicates=20)
    out = rows(r.t["disposition"], event="dropped_out")["day"]
    assert out.min() >= 1
    for day in (180, 365, 500, 1000):
        hazard = 0.1 * min(day, 365) / 365.25 + 0.5 * max(0, day - 365) / 365.25
        expected = 1 - np.exp(-hazard)
        assert abs((out <= day).mean() * len(out) / r.n - expected) < 4 * np.sqrt(expected / r.n) + 0.002, day
    assert (rows(r.t["disposition"], event="completed")["day"] > 1000).all()


def test_closure_ends_follow_up(recruits, everything, point):
    accrual = {"start": "2005-09", "end": "2016-07", "closure": "2016-08"}
    p = protocol({"a": {"n": 100, "regimen": []}}, accrual=accrual)
    r = Run(p, recruits, everything, point, replicates=4)
    _, closure, _ = days_of(p)
    t = r.t["patients"]
    end, event = r.end()
    alive = event == "completed"
    limit = np.minimum(p.follow_up_days + p.visits.window_days, closure - t["entry_day"])
    np.testing.assert_array_equal(t["closure_day"], limit)
    assert (end[alive] <= limit[alive]).all()
    short = alive & (limit < p.follow_up_days - p.visits.window_days)
    assert short.sum() > 10
    np.testing.assert_array_equal(end[short], limit[short])
    assert (limit < 183 - 20).any()


@pytest.fixture(scope="module")
def deadly(recruits, everything, point):
    """A trial in which many die: of the transplant, and otherwise."""
    p = point | {"ms.gompertz_b": 0.0, "ms.gompertz_a": 0.25, "ms.mortality_ratio": 1.0, "ahsct.mortality.low": 0.3}
    p |= {"ms.nuF": 2.0}  # relapses often enough to fall after deaths, were they let
    arms = {"hsct": {"n": 50, "regimen": [AHSCT | {"day": 30}]}, "none": {"n": 50, "regimen": []}}
    return Run(protocol(arms), recruits, everything, p, replicates=10)


def test_deaths_are_frequent_enough_to_test(deadly):
    reasons = rows(deadly.t["disposition"], event="died")["reason"]
    assert (reasons == "treatment-related").sum() > 100
    assert (reasons == "other cause").sum() > 100
    who = deadly.who("disposition", reason="treatment-related")
    assert (deadly.t["patients"]["arm"][who] == "hsct").all()
    told = deadly.who("adverse_events", term="treatment-related death")
    assert sorted(told) == sorted(who)


def test_the_dead_leave_once(deadly):
    ends = np.concatenate([deadly.who("disposition", event=e) for e in TERMINAL])
    assert sorted(ends) == list(range(deadly.n))


@pytest.mark.parametrize("table", ["visits", "mri", "adverse_events"])
def test_death_ends_everything(deadly, table):
    day, event = deadly.end()
    who = deadly.who(table)
    dead = event[who] == "died"
    assert dead.any()
    assert (deadly.t[table]["day"][dead] <= day[who][dead]).all()


@pytest.mark.parametrize("trial", ["run", "deadly"])
def test_no_therapy_starts_after_the_end(request, trial):
    r = request.getfixturevalue(trial)
    assert (r.t["exposure"]["day"] <= r.end()[0][r.who("exposure")]).all()


def test_the_dead_have_no_relapses(deadly):
    day, event = deadly.end()
    who = deadly.who("relapses")
    dead = event[who] == "died"
    assert dead.any()
    assert (deadly.t["relapses"]["day"][dead] <= day[who][dead]).all()


# -- the same bits -----------------------------------------------------------------------------------------------------
def same(a, b, select=None):
    for name in a:
        for k in a[name]:
            x, y = a[name][k], b[name][k]
            if select is not None:
                x = x[a[name]["replicate"] == select]
            np.testing.assert_array_equal(x, y, err_msg=f"{name}.{k}")


@pytest.mark.parametrize("k", [0, 7, REPLICATES - 1])
def test_a_replicate_alone_is_the_replicate_among_many(run, mist, recruits, everything, point, k):
    alone = conduct(mist, recruits, everything, point, 1, replicates=[k])
    same(run.t, alone.tables, select=k)


def test_threads_change_nothing(run, mist, recruits, everything, point):
    same(conduct(mist, recruits, everything, point, 1, replicates=range(9), threads=3).tables,
         conduct(mist, recruits, everything, point, 1, replicates=range(9)).tables)  # fmt: skip


def test_seeds_are_other_trials(mist, recruits, everything, point):
    a, b = (conduct(mist, recruits, everything, point, s).tables["patients"] for s in (1, 2))
    assert (a["recruit"] != b["recruit"]).mean() > 0.9


def test_the_same_patient_in_another_arm_is_identical_until_treated(recruits, everything, point):
    day, before = 300, 300 - int(point["ahsct.mobilisation_days"])
    point = point | {"ahsct.mobilisation_failure": 0.0}  # whoever fails stays on the drug taken before entry
    runs = [
        Run(protocol({"a": {"n": 60, "regimen": regimen}}), recruits, everything, point, replicates=3).t
        for regimen in ([], [AHSCT | {"day": day}])
    ]
    for c in runs[0]["patients"]:
        np.testing.assert_array_equal(runs[0]["patients"][c], runs[1]["patients"][c])
    for name in ("visits", "relapses", "mri"):
        early = [{k: v[t[name]["day"] <= before] for k, v in t[name].items()} for t in runs]
        assert len(early[0]["day"]) > 20
        for k in set(early[0]) - {"severity"}:  # rated a week after the relapse
            np.testing.assert_array_equal(early[0][k], early[1][k], err_msg=f"{name}.{k}")
    late = [((t["mri"]["day"] > 400) * t["mri"]["new_t2_lesions"]).sum() for t in runs]
    assert late[1] < 0.5 * late[0]


def test_families_are_those_that_may_be_given(mist):
    assert families_of(mist) == ("ahsct", "drugs", "steroids")
    assert families_of(protocol({"a": {"n": 3, "regimen": []}})) == ("drugs", "steroids")
