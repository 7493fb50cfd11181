"""What protocols say happens along the way: sequences, rescue, switches, stops, withdrawal, drop-out after events."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trials import AHSCT, CELLS, Run, protocol

from stemtrial.endpoint import derive
from stemtrial.errors import InputError
from stemtrial.predict.estimate import Analysed, estimate, rows_of
from stemtrial.predict.obstacles import obstacles
from stemtrial.trial.conduct import conduct
from stemtrial.trial.dosing import ON
from stemtrial.trial.entry import drop_out_days, parameters_of, planned_days, therapies_of
from stemtrial.trial.rules import HazardRule

ONE = {"therapy": "interferon_beta"}


@pytest.fixture(scope="module")
def conducted(recruits, everything, point):
    def run(arms, *, replicates=6, p=None, **more):
        return Run(protocol(arms, **more), recruits, everything, p or point, replicates=replicates)

    return run


def taken(run):
    """Patient -> list of (day, stop_day, therapy, reason), in the order of the table."""
    t = run.t["exposure"]
    out: dict[int, list] = {}
    columns = (t[c].tolist() for c in ("day", "stop_day", "therapy", "reason"))
    for who, *row in zip(run.who("exposure"), *columns, strict=True):
        out.setdefault(int(who), []).append(tuple(row))
    return out


def first_relapse_visits(run):
    """Patient -> day of the visit that shows the first relapse."""
    return first_shown(run, run.pairs("relapses"))


def first_shown(run, pairs):
    """Patient -> day of the visit that shows the first of some events, given as patient and day."""
    v = run.t["visits"]
    visits: dict[int, list[int]] = {}
    for w, d in zip(run.who("visits"), v["day"], strict=True):
        visits.setdefault(int(w), []).append(int(d))
    shown = {}
    for w, d in pairs:
        later = [x for x in visits.get(int(w), []) if x >= d]
        if later and int(w) not in shown:
            shown[int(w)] = min(later)
    return shown


# -- regimens ----------------------------------------------------------------------------------------------------------
def test_a_later_drug_of_a_regimen_ends_the_one_before(conducted):
    r = conducted({"a": {"n": 12, "regimen": [{"therapy": "fingolimod", "day": 200}, ONE]}}, replicates=2)
    end, _ = r.end()
    for who, rows in taken(r).items():
        if end[who] >= 200:
            assert rows == [(0, 200, "interferon_beta", "randomised"), (200, ON, "fingolimod", "randomised")]


def test_drugs_of_one_day_are_a_combination_each_with_its_stop(conducted):
    regimen = [ONE | {"stop_day": 300}, {"therapy": "natalizumab"}]
    r = conducted({"a": {"n": 12, "regimen": regimen}}, replicates=2)
    end, _ = r.end()
    for who, rows in taken(r).items():
        stop = 300 if end[who] >= 300 else ON
        assert rows == [(0, stop, "interferon_beta", "randomised"), (0, ON, "natalizumab", "randomised")]


def test_combined_drugs_hold_more_back_than_either(conducted):
    def lesions(*names):
        r = conducted({"a": {"n": 100, "regimen": [{"therapy": n} for n in names]}}, months=(0, 6, 12), replicates=3)
        t = r.t["mri"]
        return t["new_t2_lesions"][t["visit"] == 2].mean()

    none, a, b, both = lesions(), lesions("interferon_beta"), lesions("natalizumab"), lesions(
        "interferon_beta", "natalizumab"
    )  # fmt: skip
    assert both < min(a, b)
    assert max(a, b) < none


def test_an_arm_under_observation_takes_nothing(conducted):
    r = conducted({"a": {"n": 5, "regimen": [ONE]}, "b": {"n": 5, "regimen": []}}, replicates=2)
    assert set(r.t["patients"]["arm"][r.who("exposure")]) == {"a"}


# -- rules -------------------------------------------------------------------------------------------------------------
class Acting:
    """Trials of a disease with two arms, in the first of which something is done after an event."""

    def __init__(self, trials):
        self.trials, ms = trials, trials.disease == "ms"
        self.when = "relapse" if ms else "time_to_niv"
        drugs = ("interferon_beta", "natalizumab", "fingolimod") if ms else ("edaravone", "masitinib", "amx0035")
        self.one, self.two, self.three = drugs

    def __call__(self, action, **more):
        arms = {k: {"n": 40, "regimen": [{"therapy": t}]} for k, t in (("a", self.one), ("b", self.two))}
        alive = {"als.h0": 0.0}  # deaths of ALS would leave few of those to whom something was done
        return self.trials(arms, rules=[{"when": self.when, "action": action, "arm": "a"} | more], changes=alive)

    def shown(self, run):
        """Patient -> day of the visit that shows the event."""
        told = {"ms": lambda: run.pairs("relapses"), "als": lambda: run.pairs("milestones", event="niv")}
        return first_shown(run, told[self.trials.disease]())


@pytest.fixture(scope="module")
def acted(in_each):
    return Acting(in_each)


@pytest.mark.parametrize("dose", [None, 0.5])
def test_a_switch_at_an_event_stops_what_was_taken(acted, dose):
    r = acted("switch", to=acted.three if dose is None else {"therapy": acted.three, "dose_ratio": dose})
    shown, arm, exposed = acted.shown(r), r.t["patients"]["arm"], taken(r)
    switched = [w for w, rows in exposed.items() if len(rows) > 1]
    assert len(switched) > 20
    for w in switched:
        assert arm[w] == "a"
        assert exposed[w] == [
            (0, shown[w], acted.one, "randomised"), (shown[w], ON, acted.three, "switch")
        ]  # fmt: skip
    end, _ = r.end()
    due = {w for w, d in shown.items() if arm[w] == "a" and d < end[w]}
    assert due <= set(switched), "whoever has the event switches"


def test_rescue_is_added_to_what_is_taken(acted):
    r = acted("add", to=acted.two)
    shown = acted.shown(r)
    rescued = [w for w, rows in taken(r).items() if rows[-1][3] == "added"]
    assert len(rescued) > 20
    for w in rescued:
        assert taken(r)[w] == [(0, ON, acted.one, "randomised"), (shown[w], ON, acted.two, "added")]


def test_therapy_stops_and_follow_up_goes_on(acted):
    r = acted("stop")
    shown, (end, event) = acted.shown(r), r.end()
    stopped = {w: rows[0][1] for w, rows in taken(r).items() if rows[0][1] != ON}
    assert len(stopped) > 20
    assert all(day == shown[w] for w, day in stopped.items())
    assert all(len(rows) == 1 for rows in taken(r).values())
    assert np.mean(event[list(stopped)] == "completed") > 0.9
    assert np.mean(end[list(stopped)]) > 600


def test_withdrawal_ends_follow_up_at_the_visit_and_says_why(acted):
    r = acted("withdraw")
    shown, (end, event) = acted.shown(r), r.end()
    t = r.t["disposition"]
    who = r.who("disposition", reason=acted.when)
    assert len(who) > 20
    assert (event[who] == "dropped_out").all()
    assert all(end[w] == shown[w] for w in who)
    assert set(t["event"][t["reason"] == acted.when]) == {"dropped_out"}
    for name in set(r.t) - {"patients"}:
        assert (r.t[name]["day"] <= end[r.who(name)]).all()


def test_crossover_at_an_event_starts_the_other_regimen(acted):
    r = acted("cross_over", to="b")
    crossed = dict(r.pairs("disposition", event="crossed_over"))
    shown = acted.shown(r)
    assert len(crossed) > 20
    for w, day in crossed.items():
        assert day == shown[w]
        assert taken(r)[w][-1] == (day, ON, acted.two, "crossover")


def test_a_rule_waits_for_its_month_and_acts_then_on_what_came_before(acted):
    r = acted("switch", to=acted.three, from_month=12)
    day = [rows[-1][0] for rows in taken(r).values() if len(rows) > 1]
    assert min(day) >= 365 - 20
    shown = acted.shown(r)
    early = {w for w, d in shown.items() if d < 300}
    at_once = {w for w, rows in taken(r).items() if len(rows) > 1 and abs(rows[-1][0] - 365) <= 20}
    assert len(early & at_once) > 10


def test_shares_are_kept_and_all_arms_are_meant_when_none_is_named(conducted):
    arms = {"a": {"n": 60, "regimen": [ONE]}, "b": {"n": 60, "regimen": [ONE]}}
    rules = [{"when": "relapse", "action": "stop", "share": 0.5}]
    r = conducted(arms, rules=rules, replicates=10)
    shown, (end, _) = first_relapse_visits(r), r.end()
    due = [w for w, d in shown.items() if d < end[w]]
    stopped = np.array([taken(r)[w][0][1] != ON for w in due])
    assert abs(stopped.mean() - 0.5) < 4 * np.sqrt(0.25 / len(due))
    assert set(r.t["patients"]["arm"][[w for w, s in zip(due, stopped, strict=True) if s]]) == {"a", "b"}


EVENTS_OF_ALS = {
    "time_to_niv": (), "gastrostomy": (), "niv_free_survival": (), "tracheostomy": (), "tracheostomy_free_survival": (),
    "walking_improved": ("walking",), "kings_progression": ("kings_stage",), "mitos_progression": ("mitos_stage",),
}  # fmt: skip
"""Events of ALS that a rule may wait for, and what is measured because it does."""


@pytest.mark.parametrize(
    ("trials", "event", "measured"),
    [("in_ms", "composite_worsening.12_weeks", ("t25fw_s", "nine_hole_peg_s")),
     *(("in_als", event, measured) for event, measured in EVENTS_OF_ALS.items())],
)  # fmt: skip
def test_a_rule_measures_what_its_event_needs(request, trials, event, measured):
    """The instrument of the event is measured because a rule waits for it, and the event had been shown by then."""
    there = request.getfixturevalue(trials)
    first, then = (ONE, "natalizumab") if there.disease == "ms" else (CELLS, "masitinib")
    months = (0, 3, 6, 9, 12, 15, 18, 21, 24)
    rules = [{"when": event, "action": "switch", "to": then}]
    r = there({"a": {"n": 60, "regimen": [first]}}, rules=rules, months=months, replicates=4)
    assert set(measured) <= set(r.t["visits"]) & set(r.t["patients"])
    switched = {w: rows[-1][0] for w, rows in taken(r).items() if len(rows) > 1}
    assert len(switched) > 5
    cut = np.full(r.n, 10**9)
    cut[list(switched)] = list(switched.values())
    seen = {
        k: t if k == "patients" else {c: x[t["day"] <= cut[r.who(k)]] for c, x in t.items()} for k, t in r.t.items()
    }
    found = derive(event, seen, planned_days=planned_days(r.protocol))
    assert found.event[list(switched)].all()
    if there.disease == "ms" or measured:  # known some time after it began
        return
    # and nobody was left out who had it by a visit, was followed on and could be asked once more
    whole = derive(event, r.t, planned_days=planned_days(r.protocol))
    day, (end, _) = np.rint(whole.time_years * 365.25), r.end()
    v = r.t["visits"]
    last = {w: d for w, d, k in zip(r.who("visits"), v["day"], v["visit"], strict=True) if k == len(months) - 2}
    missed = [w for w in np.flatnonzero(whole.event) if w not in switched and day[w] < last.get(w, 0) < end[w]]
    assert not missed


def test_a_choice_may_switch_on_worsening(conducted):
    choice = {"therapy": "choice", "of": {"interferon_beta": 1}, "switch_to": "natalizumab"}
    choice |= {"switch_on": "confirmed_worsening.12_weeks"}
    r = conducted({"a": {"n": 60, "regimen": [choice]}}, months=(0, 3, 6, 9, 12, 15, 18, 21, 24), replicates=4)
    switched = [rows for rows in taken(r).values() if len(rows) > 1]
    assert len(switched) > 5
    assert all([x[2] for x in rows] == ["interferon_beta", "natalizumab"] for rows in switched)


def test_a_transplant_is_rescue_too_and_may_fail(conducted, point):
    rules = [{"when": "relapse", "action": "switch", "to": AHSCT | {"day": 30}}]
    r = conducted({"a": {"n": 60, "regimen": [ONE]}}, rules=rules, p=point | {"ahsct.mobilisation_failure": 0.3})
    shown, (end, _) = first_relapse_visits(r), r.end()
    failed = set(r.who("adverse_events", term="harvest failed"))
    assert len(failed) > 5
    for w, rows in taken(r).items():
        if w in failed:
            assert rows == [(0, ON, "interferon_beta", "randomised")], "stays on what is taken"
        elif w in shown and shown[w] + 30 < end[w]:  # else nobody lives to see whether the harvest fails
            assert rows[0][1] == shown[w]
            assert len(rows) == 1 or rows[1] == (shown[w] + 30, ON, "ahsct", "switch")


# -- drop-out ----------------------------------------------------------------------------------------------------------
def test_drop_out_may_differ_between_arms(conducted):
    arms = {k: {"n": 100, "regimen": []} for k in "abc"}
    rules = [{"hazard": "drop_out", "per_year": 1.0, "arm": "a"}]
    rules += [{"hazard": "drop_out", "per_year": 0.5, "arms": ["a", "b"]}]
    r = conducted(arms, rules=rules, months=(0, 6, 12), window=0, replicates=5)
    _, event = r.end()
    arm = r.t["patients"]["arm"]
    for name, hazard in (("a", 1.5), ("b", 0.5), ("c", 0.0)):
        expected = 1 - np.exp(-hazard)
        found = (event[arm == name] == "dropped_out").mean()
        assert abs(found - expected) <= 4 * np.sqrt(expected * (1 - expected) / 500), name


def test_drop_out_after_relapses_spares_those_without(conducted):
    r = conducted(
        {"a": {"n": 100, "regimen": []}}, rules=[{"hazard": "drop_out", "per_year": 2.0, "after": "relapse"}],
        months=(0, 6, 12, 18, 24), replicates=6,
    )  # fmt: skip
    shown, (end, _) = first_relapse_visits(r), r.end()
    gone = set(r.who("disposition", event="dropped_out").tolist())
    assert gone == set(r.who("disposition", reason="after relapse"))
    assert len(gone) > 100
    assert gone <= set(shown)
    assert all(end[w] > shown[w] for w in gone)
    # of those whose first relapse is shown early, exp(-2 T) or fewer are left a time T later
    early = [w for w, d in shown.items() if d < 200]
    left = np.array([end[w] >= shown[w] + 365 for w in early])
    assert left.mean() < np.exp(-2) + 4 * np.sqrt(np.exp(-2) * (1 - np.exp(-2)) / len(early))
    assert left.mean() > 0.02


def test_drop_out_after_worsening(conducted):
    event = "confirmed_worsening.12_weeks"
    rules = [{"hazard": "drop_out", "per_year": 10.0, "after": event}]
    r = conducted({"a": {"n": 100, "regimen": []}}, rules=rules, months=tuple(range(0, 25, 3)), replicates=4)
    gone = r.who("disposition", event="dropped_out")
    assert len(gone) > 10
    found = derive(event, r.t, planned_days=planned_days(r.protocol))
    assert found.event[gone].all()
    assert r.t["disposition"]["reason"][0].dtype.kind == "U"


FARES = {"ms": ("edss", 1.0, 0.8), "als": ("alsfrs_r", -1.0, 0.1)}
"""Disease -> its scale, the sign of a change for the worse, and a log hazard a point."""


@pytest.fixture(scope="module")
def faring(in_each):
    """Trials whose patients leave by how they fare: the run, and of each visit who, when, and points worse."""
    column, sign, per_point = FARES[in_each.disease]
    rules = [{"hazard": "drop_out", "per_year": 0.25, "per_point": per_point}]
    alive = dict.fromkeys(("als.h0", "als.h_ventilated"), 0.0)
    r = in_each({"a": {"n": 200, "regimen": []}}, rules=rules, replicates=10, changes=alive)
    end, event = r.end()
    first, v = np.zeros(r.n), r.t["visits"]
    first[r.who("patients")] = r.t["patients"][column]
    scheduled = v["visit"] > 0
    who = np.r_[np.arange(r.n), r.who("visits")[scheduled]]
    day = np.r_[np.zeros(r.n, int), v["day"][scheduled]]
    worse = np.r_[np.zeros(r.n), sign * (v[column][scheduled] - first[who[r.n :]])]
    return r, per_point, who, day, worse, end, event


def test_who_fares_worse_leaves_sooner_by_the_law_of_the_rule(faring):
    r, per_point, who, day, worse, _, event = faring
    later = np.full(len(who), -1)  # day of the next visit that took place
    order = np.lexsort((day, who))
    follows = np.flatnonzero(who[order][1:] == who[order][:-1])
    later[order[follows]] = day[order[follows + 1]]
    left = (later < 0) & (event[who] == "dropped_out")
    counted = ((later >= 0) | left) & (event[who] != "died")
    # the next visit of those who left is at its nominal day, give or take the window, which averages out
    nominal = planned_days(r.protocol)
    upcoming = nominal[np.minimum(np.searchsorted(nominal, day + 21), len(nominal) - 1)]
    span = np.where(left, upcoming, later) - day
    chance = 1 - np.exp(-0.25 * np.exp(per_point * worse) * span / 365.25)
    changed = counted & (day > 0)
    for group in (counted & (day == 0), changed & (worse <= 0), changed & (worse > 0)):
        assert left[group].sum() > 20
        spread = np.sqrt((chance * (1 - chance))[group].sum())
        assert abs(left[group].sum() - chance[group].sum()) < 4 * spread
    if r.protocol.disease == "als":  # the law without the score does not hold
        plain = 1 - np.exp(-0.25 * span / 365.25)
        assert left[changed & (worse > 0)].sum() > plain[changed & (worse > 0)].sum() * 1.5


def test_nobody_is_seen_after_leaving_or_leaves_before_the_first_day(faring):
    _, _, who, day, _, end, event = faring
    gone = event == "dropped_out"
    assert end[gone].min() >= 1
    assert (day[gone[who]] < end[who][gone[who]]).all()
    assert (day <= end[who]).all()


def test_a_hazard_by_score_acts_between_its_months(in_each):
    rule = {"hazard": "drop_out", "per_year": 2.0, "per_point": 0.05, "from_month": 9, "to_month": 15}
    r = in_each({"a": {"n": 100, "regimen": []}}, rules=[rule], replicates=3)
    end, event = r.end()
    gone = end[event == "dropped_out"]
    assert len(gone) > 50
    assert gone.min() >= round(9 * 365.25 / 12)
    assert gone.max() < round(15 * 365.25 / 12)
    assert (gone > 372).any(), "drawn for at a visit on the way"


def test_a_point_for_the_worse_multiplies_the_hazard():
    def days(worse=0.0, **rule):
        rule = HazardRule.model_validate({"hazard": "drop_out"} | rule)
        return drop_out_days(rule, np.linspace(0.001, 0.999, 500), np.zeros(500, np.int64), worse)

    by_score = days(np.full(500, 10.0), per_year=0.2, per_point=0.1)
    np.testing.assert_allclose(by_score, days(per_year=0.2 * np.e), atol=1)
    np.testing.assert_array_equal(days(10.0, per_year=0.2), days(per_year=0.2))
    np.testing.assert_array_equal(days(0.0, per_year=0.2, per_point=0.1), days(per_year=0.2))


# -- the same bits -----------------------------------------------------------------------------------------------------
def test_decisions_do_not_depend_on_company(acted, point):
    of = {acted.two: 1, acted.three: 1}
    worse = {"ms": "confirmed_worsening.12_weeks", "als": "kings_progression"}[acted.trials.disease]
    rules = [
        {"when": acted.when, "action": "add", "to": {"therapy": "choice", "of": of}},
        {"when": worse, "action": "withdraw", "share": 0.5},
        {"hazard": "drop_out", "per_year": 0.3, "after": acted.when},
        {"hazard": "drop_out", "per_year": 0.1, "per_point": 0.05},
    ]
    arms = {"a": {"n": 15, "regimen": [{"therapy": acted.one}]}, "b": {"n": 15, "regimen": []}}
    r = acted.trials(arms, rules=rules, replicates=5)
    many = r.t
    assert len(set(many["exposure"]["reason"])) == 2
    assert (many["disposition"]["reason"] == worse).any()
    alone = conduct(r.protocol, r.recruits, r.kernel, point, 1, replicates=[3]).tables
    for name, table in alone.items():
        mine = many[name]["replicate"] == 3
        for c, x in table.items():
            np.testing.assert_array_equal(x, many[name][c][mine], err_msg=f"{name}.{c}")


# -- what people do by accident ----------------------------------------------------------------------------------------
DRUGS = {
    "ms": ("interferon_beta", "natalizumab", "fingolimod", "teriflunomide"),
    "als": ("riluzole", "edaravone", "masitinib", "tofersen"),
}
WHEN = {
    "ms": ("relapse", "confirmed_worsening.12_weeks"),
    "als": ("niv_free_survival", "gastrostomy", "mitos_progression"),
}
MAY_LACK = {
    "severity", "alsfrs_r_change_last_12_weeks", "alsfrs_r_slope_run_in", "alsfrs_r_slope_run_in_18_weeks"
}  # fmt: skip
"""Columns in which a number may lack: of who was found too soon after the onset for a run-in."""
ACTIONS = ("switch", "add", "stop", "withdraw")
plans = st.sampled_from(["ms", "als"]).flatmap(
    lambda d: st.tuples(
        st.just(d),
        st.lists(
            st.tuples(st.sampled_from(DRUGS[d]), st.integers(0, 700), st.none() | st.integers(1, 900)), max_size=4
        ),
        st.lists(st.tuples(st.sampled_from(WHEN[d]), st.sampled_from(ACTIONS), st.sampled_from(DRUGS[d])), max_size=3),
    )
)


@given(plans)
@settings(max_examples=25, deadline=None)
def test_any_regimen_and_rules_give_exposure_that_holds_together(in_ms, in_als, plan):
    disease, entries, said = plan
    regimen = [
        {"therapy": t, "day": d} | ({} if s is None else {"stop_day": d + s}) for t, d, s in entries
    ]  # fmt: skip
    rules = [{"when": w, "action": a} | ({"to": t} if a in ("switch", "add") else {}) for w, a, t in said]
    r = {"ms": in_ms, "als": in_als}[disease]({"a": {"n": 10, "regimen": regimen}}, rules=rules, replicates=2)
    end, event = r.end()
    assert (event != "").all()
    for table in r.t.values():
        for c, x in table.items():
            assert x.dtype.kind != "f" or np.isfinite(x).all() or c in MAY_LACK, c
    for who, rows in taken(r).items():
        assert [x[0] for x in rows] == sorted(x[0] for x in rows)
        for day, stop, _, _ in rows:
            assert 0 <= day <= end[who]
            assert stop == ON or day <= stop <= end[who]
        if disease == "als":  # its drugs are taken beside each other
            continue
        planned = [x for x in rows if x[3] in ("randomised", "switch")]
        for (d0, s0, _, _), (d1, _, _, _) in itertools.combinations(planned, 2):
            assert d0 == d1 or (s0 != ON and s0 <= d1), "a sequence does not overlap"


@pytest.mark.parametrize(
    ("arms", "rules", "at"),
    [
        ({"a": [ONE, ONE]}, [], ("arms", "a", "regimen", 1, "therapy")),
        ({"a": [{"therapy": "ocrelizumab"}, {"therapy": "ofatumumab"}]}, [], ("arms", "a", "regimen", 1, "therapy")),
        ({"a": [ONE]}, [{"when": "relapse", "action": "add", "to": "interferon_beta"}], ("rules", 0, "to")),
        ({"a": [ONE]}, [{"when": "edss_change", "action": "stop"}], ("rules", 0, "when")),
        ({"a": [ONE]}, [{"hazard": "drop_out", "per_year": 1.0, "after": "relapse_rate"}], ("rules", 0, "after")),
        ({"a": [{"therapy": "choice", "of": {"natalizumab": 1}, "switch_on": "relapse", "switch_to": "ahsct"}]}, [],
         ("arms", "a", "regimen", 0, "switch_to")),
    ],
)  # fmt: skip
def test_what_cannot_be_computed_is_refused_where_it_stands(arms, rules, at):
    p = protocol({k: {"n": 3, "regimen": v} for k, v in arms.items()}, rules=rules)
    assert [loc for loc, _ in obstacles(p)] == [at]


def test_untreated_relapses_and_steroids_by_regimen_have_no_model_together():
    arms = {"a": {"n": 3, "regimen": [{"therapy": "methylprednisolone"}]}}
    assert [loc for loc, _ in obstacles(protocol(arms, relapse_treatment="none"))] == [("relapse_treatment",)]


def test_without_relapse_visits_relapses_are_acted_on_at_the_next_visit(conducted):
    rules = [{"when": "relapse", "action": "switch", "to": "natalizumab"}]
    visits = {"months": [0, 6, 12, 18, 24], "window_days": 5, "at_relapse": False}
    r = conducted({"a": {"n": 40, "regimen": [ONE]}}, rules=rules, visits=visits)
    shown, scheduled = first_relapse_visits(r), set(r.pairs("visits"))
    switched = {w: rows[-1][0] for w, rows in taken(r).items() if len(rows) > 1}
    assert len(switched) > 20
    assert all(day == shown[w] and (w, day) in scheduled for w, day in switched.items())


def test_sequences_and_added_drugs_of_other_kinds_are_let_through():
    sequence = [ONE, {"therapy": "natalizumab", "day": 90}, {"therapy": "interferon_beta", "day": 200}]
    courses = [{"therapy": "methylprednisolone", "day": d} for d in (0, 90)]
    rules = [{"when": "relapse", "action": "add", "to": "methylprednisolone"}]
    p = protocol({"a": {"n": 3, "regimen": sequence + courses}}, rules=rules)
    assert list(obstacles(p)) == []
    assert therapies_of(p) == ("interferon_beta", "natalizumab", "methylprednisolone")


def test_an_unknown_therapy_in_a_rule_is_refused():
    with pytest.raises(Exception, match=r"therapy 'natalizumb' is not known; did you mean 'natalizumab'"):
        protocol({"a": {"n": 3, "regimen": []}}, rules=[{"when": "relapse", "action": "add", "to": "natalizumb"}])


EVERY = {
    "ms": [
        ("confirmed_worsening.12_weeks", "kaplan_meier", 1), ("relapse_rate", "negative_binomial", None),
        ("confirmed_worsening.12_weeks", "cox", None), ("edss_change", "mean_difference", 1),
        ("new_t2_lesions", "mean", 1),
    ],
    "als": [
        ("alsfrs_r_change", "mean_difference", 1), ("alsfrs_r_change", "ancova_difference", 1),
        ("alsfrs_r_slope", "random_slope", None), ("alsfrs_r_slope", "random_slope_difference", None),
        ("alsfrs_r_slope", "joint_slope", None), ("alsfrs_r_slope", "joint_slope_difference", None),
        ("svc_slope", "random_slope_difference", None), ("cafs", "cafs_mean", None),
        ("cafs", "cafs_probability", None), ("responder.nurown", "odds_ratio", 0.5),
        ("cafs", "cafs_p_value", None), ("joint_rank", "cafs_probability", None),
        ("tracheostomy_free_survival", "kaplan_meier", 1), ("tracheostomy_free_survival", "cox", None),
        ("overall_survival", "logrank", None), ("time_to_niv", "median_time", None),
        ("nfl_ratio", "geometric_mean_ratio", 1),
        ("kings_progression", "cox", None), ("alsfrs_r_death_zero_change", "mean", 1),
    ],
}  # fmt: skip
"""Endpoints, estimators and times of trials in which there is hardly anything to estimate."""


@pytest.mark.parametrize(
    "fate", ["alone", "nobody_is_followed", "everybody_dies", "everybody_leaves", "one_arm_is_empty"]
)
def test_empty_trials_end_in_order(acted, point, fate):
    trials, n = acted.trials, 1 if fate == "alone" else 5
    arms = {k: {"n": n, "regimen": [{"therapy": acted.one}]} for k in "ab"}
    worse = {"ms": "confirmed_worsening.12_weeks", "als": "kings_progression"}[trials.disease]
    rules = [{"when": acted.when, "action": "switch", "to": acted.two}]
    rules += [{"when": worse, "action": "cross_over", "arm": "a", "to": "b"}]
    leaves = {"hazard": "drop_out", "per_year": 10.0}
    rules += [leaves] * (fate == "everybody_leaves") + [leaves | {"arm": "b"}] * 9 * (fate == "one_arm_is_empty")
    uses = [
        {"id": i, "estimator": e} | ({} if t is None else {"at_years": [t]}) for i, e, t in EVERY[trials.disease]
    ]  # fmt: skip
    more = {"endpoints": {"primary": uses[0], "secondary": uses[1:]}}
    if fate == "nobody_is_followed":
        more["accrual"] = {"start": "2005-09", "end": "2005-09", "closure": "2005-09"}
    changes = (
        dict.fromkeys(("ms.mortality_ratio", "als.h0", "als.h_ventilated"), 1e6) if fate == "everybody_dies" else {}
    )
    r = trials(arms, rules=rules, months=(0, 3, 6, 9, 12), replicates=3, changes=changes, **more)
    end, event = r.end()
    assert (end >= 0).all(), "everybody leaves"
    if fate == "everybody_dies":
        assert (event == "died").all()
        assert end.max() < 100
    if fate == "everybody_leaves":
        assert (event == "dropped_out").mean() > 0.7
    if fate == "one_arm_is_empty":
        assert end[r.t["patients"]["arm"] == "b"].max() < 80, "no visit in it"
    if fate == "nobody_is_followed":
        assert end.max() < 31
    found = rows_of(r.protocol, None)
    values = estimate(found, Analysed(r.t, r.protocol))
    assert values.shape == (len(found), 3)
    assert len(found) >= len(uses)
    # a limit may stand where there is no estimate; what is estimated of counts of people is a proportion
    shares = [row.estimator in ("kaplan_meier", "cafs_probability", "cafs_p_value", "logrank") for row in found]
    assert not (values[shares] < -1e-12).any()
    assert not (values[shares] > 1 + 1e-12).any()


def test_untreated_relapses_take_longer_to_recover(conducted, point, recruits):
    arms = {"a": {"n": 60, "regimen": []}}
    treated = conducted(arms, months=(0, 3, 6, 9, 12))
    untreated = conducted(arms, months=(0, 3, 6, 9, 12), relapse_treatment="none")
    assert parameters_of(untreated.protocol, point) != point == parameters_of(treated.protocol, point)
    np.testing.assert_array_equal(treated.pairs("relapses"), untreated.pairs("relapses"))
    edss = [r.t["visits"]["edss"] for r in (treated, untreated)]
    assert edss[0].shape == edss[1].shape
    shown = first_relapse_visits(treated)
    # whoever enters while a relapse of the run-in is still treated differs from the start
    ill = recruits.index[recruits.screening["days_since_relapse"] <= point["steroids.days"]]
    entered_ill = np.flatnonzero(np.isin(treated.t["patients"]["recruit"], ill))
    never = ~np.isin(treated.who("visits"), [*shown, *entered_ill])
    assert never.sum() > 100
    np.testing.assert_array_equal(edss[0][never], edss[1][never])
    assert edss[1].mean() > edss[0].mean()


def test_weeks_are_kept_to(conducted):
    r = conducted({"a": {"n": 30, "regimen": []}}, visits={"weeks": [0, 12, 24, 48, 96], "window_days": 3})
    t = r.t["visits"]
    assert set(t["day"] - 7 * np.array([0, 12, 24, 48, 96])[t["visit"]]) == set(range(-3, 4))


def test_two_years_are_week_96(conducted):
    ends = {
        "primary": {"id": "edss", "estimator": "mean", "at_years": [2]},
        "secondary": [{"id": "relapse_free", "estimator": "kaplan_meier", "at_years": [1, 2]}],
    }
    visits = {"weeks": list(range(0, 97, 12)), "window_days": 3}
    r = conducted({"a": {"n": 30, "regimen": []}}, visits=visits, endpoints=ends)
    a = Analysed(r.t, r.protocol)
    mean, one, two = estimate(rows_of(r.protocol, None), a)
    last = r.t["visits"]["visit"] == 8
    by_hand = [r.t["visits"]["edss"][last & (r.t["visits"]["replicate"] == k)].mean() for k in range(6)]
    np.testing.assert_allclose(mean, by_hand)
    free = derive("relapse_free", r.t)
    events = a.square(free.event & (free.time_years <= 672 / 365.25)).sum(1)
    assert (two < one).all()
    np.testing.assert_allclose(two, 1 - events / 30, atol=0.05)  # nearly nobody leaves before the last visit


@pytest.mark.parametrize(
    ("endpoint", "years", "read"),
    [
        ("edss", 2.0, 672 / 365.25), ("edss", 1.0, 336 / 365.25), ("edss", None, None), ("relapse_rate", 2.0, 2.0),
        ("gd_lesions", 1.0, 1.0), ("gd_lesions", 2.0, 672 / 365.25), ("relapse_free", 2.0, 2.0),
    ],
)  # fmt: skip
def test_what_is_read_at_a_visit_is_read_at_the_one_that_stands_for_the_time(endpoint, years, read):
    visits = {"weeks": [0, 24, 48, 72, 96], "mri_weeks": [0, 24, 96]}
    assert protocol({"a": {"n": 3, "regimen": []}}, visits=visits).horizon(endpoint, years) == pytest.approx(read)


def test_a_rule_on_what_is_no_event_fails_loudly(recruits, everything, point):
    p = protocol({"a": {"n": 3, "regimen": []}}, rules=[{"when": "edss_change", "action": "stop"}])
    with pytest.raises(InputError, match=r"'edss_change' is no event that can be waited for"):
        Run(p, recruits, everything, point, replicates=1)
