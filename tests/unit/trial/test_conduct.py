"""Trials as conducted: allocation, visits, switches, crossover, drop-out, death; the same bits however computed."""

from __future__ import annotations

import numpy as np
import pytest
from trials import AHSCT, CELLS, NEEDLES, REPLICATES, SHAM, TERMINAL, Run, protocol, rows

from stemtrial import tables
from stemtrial.cohort.recruit import clinic_of
from stemtrial.endpoint import derive
from stemtrial.predict.estimate import Analysed
from stemtrial.therapy.drugs import DRUGS
from stemtrial.therapy.prescribe import FAMILIES
from stemtrial.trial.conduct import DEATH, OBSERVED, conduct
from stemtrial.trial.entry import days_of, families_of, planned_days
from stemtrial.trial.rules import HazardRule


@pytest.fixture(scope="module")
def run(mist, recruits, everything, point):
    return Run(mist, recruits, everything, point)


@pytest.fixture(scope="module")
def cells(in_als):
    """Cells against a drug in ALS, 40 patients: some are not treated, leave, or cross over with a gastrostomy."""
    arms = {
        "cells": {"n": 20, "regimen": [CELLS | {"day": 14}]},
        "drug": {"n": 20, "regimen": [{"therapy": "edaravone"}]},
    }
    rules = [
        {"when": "gastrostomy", "action": "cross_over", "arm": "drug", "to": "cells", "from_month": 6, "share": 0.9},
        {"hazard": "drop_out", "per_year": 0.1},
    ]  # fmt: skip
    more = {"analysis_set": {"cells": 18, "drug": 19}, "instruments": ["svc_pct"], "window": 10}
    return in_als(arms, months=(0, 3, 6, 9, 12, 18, 24), rules=rules, replicates=REPLICATES, **more)


@pytest.fixture(scope="module", params=["run", "cells"])
def each(request):
    """A trial of each disease."""
    return request.getfixturevalue(request.param)


# -- allocation and analysis sets --------------------------------------------------------------------------------------
def test_arms_have_exactly_their_size_in_every_replicate(each):
    for name, arm in each.protocol.arms.items():
        count = np.bincount(rows(each.t["patients"], arm=name)["replicate"], minlength=REPLICATES)
        assert (count == arm.n).all()


def test_blocks_are_balanced_and_permuted(run):
    arm = (run.t["patients"]["arm"] == "hsct").reshape(REPLICATES, -1)
    (size,) = run.protocol.randomisation.block_sizes
    blocks = arm[:, : arm.shape[1] // size * size].reshape(REPLICATES, -1, size)
    assert (blocks.sum(2) == size // 2).all()
    patterns, counts = np.unique(blocks.reshape(-1, size), axis=0, return_counts=True)
    assert len(patterns) == 6
    assert counts.min() > 0.6 * counts.mean()


def test_unequal_ratios_fill_every_arm(in_each):
    arms = {"a": {"n": 7, "regimen": []}, "b": {"n": 5, "regimen": []}, "c": {"n": 2, "regimen": []}}
    randomisation = {"ratio": {"a": 2, "b": 1, "c": 1}, "block_sizes": [4, 8]}
    r = in_each(arms, randomisation=randomisation, months=[0, 6], replicates=5)
    for name, arm in r.protocol.arms.items():
        assert (np.bincount(rows(r.t["patients"], arm=name)["replicate"], minlength=5) == arm.n).all()


def test_analysis_sets_have_exactly_their_size(each):
    a = Analysed(each.t, each.protocol)
    for name, n in each.protocol.analysis_set.items():
        assert (a.of(name).sum(1) == n).all()
    never = rows(each.t["disposition"], reason="before treatment")
    assert (never["day"] == 0).all()
    who = each.who("disposition", reason="before treatment")
    for name in set(each.t) - {"patients", "disposition"}:
        assert not np.isin(each.who(name), who).any()


def test_people_enter_in_the_order_of_their_dates_within_accrual(each):
    length, _, _ = days_of(each.protocol)
    day = each.t["patients"]["entry_day"].reshape(REPLICATES, -1)
    assert (np.diff(day, axis=1) >= 0).all()
    assert 0 <= day.min() <= day.max() < length


def test_patients_are_recruits(each):
    t, recruits = each.t["patients"], each.recruits
    place = np.searchsorted(recruits.index, t["recruit"])
    np.testing.assert_array_equal(recruits.index[place], t["recruit"])
    for c in clinic_of(each.protocol.disease).screened:
        np.testing.assert_array_equal(t[c], recruits.screening[c][place])
    counts = np.bincount(place, minlength=len(recruits))
    assert counts.mean() == pytest.approx(each.n / len(recruits))
    assert 0.8 < counts.var() / counts.mean() < 1.2, "drawn with replacement"


# -- tables ------------------------------------------------------------------------------------------------------------
def test_tables_follow_their_schema_sorted_with_unique_keys(each):
    assert each.trial.failed == each.trial.overflow == 0
    assert set(each.t) == {"patients", "exposure", *OBSERVED[each.protocol.disease]}
    for name, t in each.t.items():
        schema = tables.SCHEMAS[name]
        assert list(t)[: len(schema.columns)] == list(schema.columns)
        for c, spec in schema.columns.items():
            assert t[c].dtype == np.dtype(spec.dtype), (name, c)
        key = np.array([t[k] for k in schema.keys])
        order = np.lexsort(key[::-1])
        np.testing.assert_array_equal(order, np.arange(len(order)), err_msg=name)
        if name == "milestones":  # two may be passed on one day
            key = np.array([*key, np.unique(t["event"], return_inverse=True)[1]])
        if name in ("patients", "visits", "relapses", "mri", "milestones"):
            assert len(np.unique(key, axis=1).T) == key.shape[1], name
        assert len(t["replicate"]) > 0
        assert t["patient"].max() < each.size


def test_everybody_leaves_once(each):
    ends = np.concatenate([each.who("disposition", event=e) for e in TERMINAL])
    assert sorted(ends) == list(range(each.n))
    assert set(each.t["disposition"]["event"]) <= {*TERMINAL, "crossed_over"}


def test_nothing_happens_after_the_end(each):
    day, _ = each.end()
    for name in set(each.t) - {"patients"}:
        assert (each.t[name]["day"] <= day[each.who(name)]).all(), name
        assert (each.t[name]["day"] >= 0).all(), name
    assert (day <= each.t["patients"]["closure_day"]).all()


# -- visits ------------------------------------------------------------------------------------------------------------
def test_scheduled_visits_lie_in_their_windows_and_ascend(each):
    t = rows(each.t["visits"])
    planned = planned_days(each.protocol)
    scheduled = t["visit"] >= 0
    off = t["day"][scheduled] - planned[t["visit"][scheduled]]
    window = each.protocol.visits.window_days
    assert np.abs(off).max() == window
    counts = np.bincount(off + window, minlength=2 * window + 1)
    assert counts.max() < 1.6 * counts.mean(), "uniform over the window"
    assert counts.min() > 0.5 * counts.mean()
    who = each.who("visits")[scheduled]
    same = np.diff(who) == 0
    assert (np.diff(t["visit"][scheduled])[same] > 0).all()
    assert (np.diff(t["day"][scheduled])[same] > 0).all()


def test_nobody_misses_a_visit_while_followed(each):
    day, _ = each.end()
    planned = planned_days(each.protocol)
    t = each.t["visits"]
    for k in range(1, len(planned)):
        seen = np.zeros(each.n, bool)
        seen[each.who("visits")[t["visit"] == k]] = True
        due = day > planned[k] + each.protocol.visits.window_days  # who dies on the last day of a window is not seen
        assert (seen | ~due).all()
        assert not (seen & (day < planned[k] - each.protocol.visits.window_days)).any()


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


def test_crossover_follows_its_event_after_its_month(each):
    t = rows(each.t["disposition"], event="crossed_over")
    who = each.who("disposition", event="crossed_over")
    assert len(who) > 20
    assert len(set(who)) == len(who)
    rule = each.protocol.rules[0]
    assert (each.t["patients"]["arm"][who] == rule.arm).all()
    assert t["day"].min() >= round(rule.from_month * 365.25 / 12) - each.protocol.visits.window_days
    v = each.t["visits"]
    scheduled = set(zip(each.who("visits")[v["visit"] >= 1], v["day"][v["visit"] >= 1], strict=True))
    assert set(zip(who, t["day"], strict=True)) <= scheduled
    # the event had been confirmed by then: in the tables cut at that day
    cut = np.full(each.n, 10**9)
    cut[who] = t["day"]
    seen = {}
    for name, table in each.t.items():
        keep = np.ones(len(table["replicate"]), bool)
        if name != "patients":
            keep = table["day"] <= cut[each.who(name)]
        if name == "disposition":
            keep &= table["event"] != "crossed_over"
        seen[name] = {k: x[keep] for k, x in table.items()}
    found = derive(rule.when, seen, planned_days=planned_days(each.protocol))
    assert found.event[who].all()
    # what it is for follows on its day, unless it could not be made or the patient left before
    crossing = dict(each.pairs("exposure", reason="crossover"))
    gap = {crossing[w] - cut[w] for w in who if w in crossing}
    assert gap == {each.protocol.arms[rule.to].regimen[0].begins}
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
def test_drop_out_has_its_hazard(in_each):
    rules = [
        {"hazard": "drop_out", "per_year": 0.1, "to_month": 12},
        {"hazard": "drop_out", "per_year": 0.5, "from_month": 12},
    ]
    alive = {"als.h0": 0.0} if in_each.disease == "als" else {}
    more = {"months": [0, 12, 36], "replicates": 20, "changes": alive}
    r = in_each({"a": {"n": 200, "regimen": []}}, rules=rules, **more)
    assert all(isinstance(x, HazardRule) for x in r.protocol.rules)
    out = rows(r.t["disposition"], event="dropped_out")["day"]
    assert out.min() >= 1
    for day in (180, 365, 500, 1000):
        hazard = 0.1 * min(day, 365) / 365.25 + 0.5 * max(0, day - 365) / 365.25
        expected = 1 - np.exp(-hazard)
        assert abs((out <= day).mean() * len(out) / r.n - expected) < 4 * np.sqrt(expected / r.n) + 0.002, day
    assert (rows(r.t["disposition"], event="completed")["day"] > 1000).all()


def test_closure_ends_follow_up(in_each):
    accrual = {"start": "2005-09", "end": "2016-07", "closure": "2016-08"}
    r = in_each({"a": {"n": 100, "regimen": []}}, accrual=accrual, replicates=4)
    p = r.protocol
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


@pytest.fixture(scope="module")
def deadly_als(in_als):
    """A trial of ALS in which many die, and aids are offered so often that some would follow deaths, were they let."""
    arms = {"cells": {"n": 50, "regimen": [CELLS | {"day": 30}]}, "none": {"n": 50, "regimen": []}}
    changes = {"als.h0": in_als.point["als.h0"] * 40, "als.u_V": 1.0, "als.u_G": 1.0, "als.niv_from": 1.5,
               "als.tube_from": 1.5, "cohort.als.ventilation": 1.0}  # fmt: skip
    return in_als(arms, replicates=10, changes=changes)


@pytest.fixture(scope="module", params=["deadly", "deadly_als"])
def dying(request):
    """A deadly trial of each disease."""
    return request.getfixturevalue(request.param)


def test_deaths_of_als_are_frequent_enough_to_test(deadly_als):
    day, event = deadly_als.end()
    assert 0.5 < (event == "died").mean() < 1
    assert np.ptp(day[event == "died"]) > 300
    assert (rows(deadly_als.t["disposition"], event="died")["reason"] == DEATH["als"]).all()


def test_deaths_are_frequent_enough_to_test(deadly):
    reasons = rows(deadly.t["disposition"], event="died")["reason"]
    assert (reasons == "treatment-related").sum() > 100
    assert (reasons == DEATH["ms"]).sum() > 100
    who = deadly.who("disposition", reason="treatment-related")
    assert (deadly.t["patients"]["arm"][who] == "hsct").all()
    told = deadly.who("adverse_events", term="treatment-related death")
    assert sorted(told) == sorted(who)


def test_the_dead_leave_once(dying):
    ends = np.concatenate([dying.who("disposition", event=e) for e in TERMINAL])
    assert sorted(ends) == list(range(dying.n))


def test_death_ends_everything(dying):
    day, event = dying.end()
    for table in set(dying.t) - {"patients"}:
        who = dying.who(table)
        dead = event[who] == "died"
        assert dead.any(), table
        assert (dying.t[table]["day"][dead] <= day[who][dead]).all(), table


MACHINES = ("tracheostomy", "permanent_ventilation")


@pytest.mark.parametrize("trial", ["cells", "deadly_als"])
def test_each_milestone_is_passed_once_after_entry_by_who_had_not_passed_it_before(request, trial):
    r = request.getfixturevalue(trial)
    t, who = r.t["milestones"], r.who("milestones")
    assert set(t["event"]) == {"niv", "gastrostomy", *MACHINES}
    # the day of entry belongs to the run-in
    assert t["day"].min() >= 0
    passed = list(zip(who.tolist(), np.where(np.isin(t["event"], MACHINES), "machine", t["event"]), strict=True))
    assert len(set(passed)) == len(passed), "nobody breathes by a machine twice, by whatever way"
    drawn = np.searchsorted(r.recruits.index, r.t["patients"]["recruit"])
    for event, state in (("niv", "V"), ("gastrostomy", "gastrostomy")):
        had = r.recruits.state[state][drawn] > 0.5
        assert had.any()
        assert not had[who[t["event"] == event]].any(), event
    assert not (r.recruits.state["ventilated"][drawn] > 0.5).any()
    willing = r.recruits.constants["ventilation"][drawn] > 0.5
    assert willing[who[np.isin(t["event"], MACHINES)]].all()


def test_visits_go_on_with_a_machine(cells):
    on = np.full(cells.n, 10**9)
    t = cells.t["milestones"]
    machine = np.isin(t["event"], MACHINES)
    on[cells.who("milestones")[machine]] = t["day"][machine]
    later = cells.t["visits"]["day"] > on[cells.who("visits")]
    assert later.sum() > 20
    assert np.isfinite(cells.t["visits"]["alsfrs_r"][later]).all()


# -- the same bits -----------------------------------------------------------------------------------------------------
def same(a, b, select=None):
    for name in a:
        for k in a[name]:
            x, y = a[name][k], b[name][k]
            if select is not None:
                x = x[a[name]["replicate"] == select]
            np.testing.assert_array_equal(x, y, err_msg=f"{name}.{k}")


@pytest.mark.parametrize("k", [0, 7, REPLICATES - 1])
def test_a_replicate_alone_is_the_replicate_among_many(each, point, k):
    alone = conduct(each.protocol, each.recruits, each.kernel, point, 1, replicates=[k])
    same(each.t, alone.tables, select=k)


def test_threads_change_nothing(each, point):
    given = each.protocol, each.recruits, each.kernel, point, 1
    same(conduct(*given, replicates=range(9), threads=3).tables, conduct(*given, replicates=range(9)).tables)


def test_seeds_are_other_trials(each, point):
    given = each.protocol, each.recruits, each.kernel, point
    a, b = (conduct(*given, s).tables["patients"] for s in (1, 2))
    assert (a["recruit"] != b["recruit"]).mean() > 0.9


def score_at(visits, number):
    """ALSFRS-R at a visit by replicate and patient."""
    rows = np.flatnonzero(visits["visit"] == number)
    return {(visits["replicate"][k], visits["patient"][k]): visits["alsfrs_r"][k] for k in rows}


@pytest.mark.parametrize(
    ("trials", "given", "ready"),
    [("in_ms", AHSCT, "ahsct.mobilisation_days"), ("in_als", CELLS, None), ("in_als", NEEDLES, None),
     ("in_als", {"therapy": "edaravone"}, None)],
    ids=["transplant", "cells", "needles", "drug"],
)  # fmt: skip
def test_the_same_patient_in_another_arm_is_identical_until_treated(request, trials, given, ready):
    there = request.getfixturevalue(trials)
    before = 300 - int(there.point[ready] if ready else 0)
    # whoever fails the harvest stays on the drug taken before entry; cells do what their optimists say
    changes = {"ahsct.mobilisation_failure": 0.0} | {
        f.hypothesis["als"]: 1.0 for f in FAMILIES.values() if "als" in f.hypothesis
    }
    changes |= {k: 0.0 for k in there.point if k.startswith("trial.effect_sd.")}  # of average people
    runs = [
        there({"a": {"n": 60, "regimen": r}}, replicates=3, changes=changes).t for r in ([], [given | {"day": 300}])
    ]
    for c in runs[0]["patients"]:
        np.testing.assert_array_equal(runs[0]["patients"][c], runs[1]["patients"][c])
    for name in set(runs[0]) & {"visits", "relapses", "mri", "milestones", "disposition"}:
        early = [{k: v[t[name]["day"] <= before] for k, v in t[name].items()} for t in runs]
        assert len(early[0]["day"]) > 10 or name == "disposition"
        for k in set(early[0]) - {"severity"}:  # rated a week after the relapse
            np.testing.assert_array_equal(early[0][k], early[1][k], err_msg=f"{name}.{k}")
    if "mri" in runs[0]:
        late = [((t["mri"]["day"] > 400) * t["mri"]["new_t2_lesions"]).sum() for t in runs]
        assert late[1] < 0.5 * late[0]
    else:  # some are treated, and go another way from then on
        assert len(runs[1]["exposure"]["day"]) > 100
        late = [score_at(t["visits"], 4) for t in runs]
        both = sorted(set(late[0]) & set(late[1]))
        gain = np.array([late[1][who] - late[0][who] for who in both])
        assert len(both) > 50
        assert gain.mean() > 0, "more points for those who live to be seen both ways"
        assert (gain >= 0).mean() > 0.9


def test_a_sham_is_no_treatment_bit_for_bit(in_als):
    """The procedure alone: patients go the way of the untreated; adverse events are those of the procedure."""
    bare, sham = (in_als({"a": {"n": 60, "regimen": r}}, replicates=3).t for r in ([], [SHAM]))
    assert len(sham["exposure"]["day"]) > 100
    assert len(sham["adverse_events"]["day"]) > len(bare["adverse_events"]["day"])
    for name in ("patients", "visits", "milestones", "disposition"):
        for c, x in bare[name].items():
            np.testing.assert_array_equal(x, sham[name][c], err_msg=f"{name}.{c}")


def test_families_are_those_that_may_be_given(mist):
    assert families_of(mist) == ("ahsct", "drugs", "steroids")
    nobody = {"a": {"n": 3, "regimen": []}}
    assert families_of(protocol(nobody)) == ("drugs", "steroids")
    assert families_of(protocol(nobody, disease="als")) == ("riluzole",)
    assert families_of(protocol({"a": {"n": 3, "regimen": [CELLS]}}, disease="als")) == ("msc", "riluzole")
