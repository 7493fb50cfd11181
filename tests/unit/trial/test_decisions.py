"""What protocols say happens along the way: sequences, rescue, switches, stops, withdrawal, drop-out after events."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trials import AHSCT, Run, protocol

from stemtrial.endpoint import derive
from stemtrial.errors import InputError
from stemtrial.predict.estimate import Analysed, estimate, rows_of
from stemtrial.predict.obstacles import obstacles
from stemtrial.trial.dosing import ON
from stemtrial.trial.entry import parameters_of, planned_days, therapies_of

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
    v = run.t["visits"]
    visits: dict[int, list[int]] = {}
    for w, d in zip(run.who("visits"), v["day"], strict=True):
        visits.setdefault(int(w), []).append(int(d))
    shown = {}
    for w, d in run.pairs("relapses"):
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
@pytest.fixture(scope="module")
def acted(conducted):
    """One trial for each action on a relapse, of the first of two arms."""

    def run(action, **more):
        arms = {"a": {"n": 40, "regimen": [ONE]}, "b": {"n": 40, "regimen": [{"therapy": "natalizumab"}]}}
        return conducted(arms, rules=[{"when": "relapse", "action": action, "arm": "a"} | more])

    return run


@pytest.mark.parametrize("to", ["fingolimod", {"therapy": "fingolimod", "dose_ratio": 0.5}])
def test_a_switch_at_a_relapse_stops_what_was_taken(acted, to):
    r = acted("switch", to=to)
    shown, arm, exposed = first_relapse_visits(r), r.t["patients"]["arm"], taken(r)
    switched = [w for w, rows in exposed.items() if len(rows) > 1]
    assert len(switched) > 20
    for w in switched:
        assert arm[w] == "a"
        assert exposed[w] == [
            (0, shown[w], "interferon_beta", "randomised"), (shown[w], ON, "fingolimod", "switch")
        ]  # fmt: skip
    end, _ = r.end()
    due = {w for w, d in shown.items() if arm[w] == "a" and d < end[w]}
    assert due <= set(switched), "whoever has a relapse switches"


def test_rescue_is_added_to_what_is_taken(acted):
    r = acted("add", to="natalizumab")
    shown = first_relapse_visits(r)
    rescued = [w for w, rows in taken(r).items() if rows[-1][3] == "added"]
    assert len(rescued) > 20
    for w in rescued:
        assert taken(r)[w] == [(0, ON, "interferon_beta", "randomised"), (shown[w], ON, "natalizumab", "added")]


def test_therapy_stops_and_follow_up_goes_on(acted):
    r = acted("stop")
    shown, (end, event) = first_relapse_visits(r), r.end()
    stopped = {w: rows[0][1] for w, rows in taken(r).items() if rows[0][1] != ON}
    assert len(stopped) > 20
    assert all(day == shown[w] for w, day in stopped.items())
    assert all(len(rows) == 1 for rows in taken(r).values())
    assert np.mean(event[list(stopped)] == "completed") > 0.9
    assert np.mean(end[list(stopped)]) > 600


def test_withdrawal_ends_follow_up_at_the_visit_and_says_why(acted):
    r = acted("withdraw")
    shown, (end, event) = first_relapse_visits(r), r.end()
    t = r.t["disposition"]
    who = r.who("disposition", reason="relapse")
    assert len(who) > 20
    assert (event[who] == "dropped_out").all()
    assert all(end[w] == shown[w] for w in who)
    assert set(t["event"][t["reason"] == "relapse"]) == {"dropped_out"}
    for name in ("visits", "relapses", "mri", "exposure", "adverse_events"):
        assert (r.t[name]["day"] <= end[r.who(name)]).all()


def test_crossover_at_a_relapse_starts_the_other_regimen(acted):
    r = acted("cross_over", to="b")
    crossed = dict(r.pairs("disposition", event="crossed_over"))
    shown = first_relapse_visits(r)
    assert len(crossed) > 20
    for w, day in crossed.items():
        assert day == shown[w]
        assert taken(r)[w][-1] == (day, ON, "natalizumab", "crossover")


def test_a_rule_waits_for_its_month_and_acts_then_on_what_came_before(acted):
    r = acted("switch", to="fingolimod", from_month=12)
    day = [rows[-1][0] for rows in taken(r).values() if len(rows) > 1]
    assert min(day) >= 365 - 20
    shown = first_relapse_visits(r)
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


def test_a_rule_measures_what_its_event_needs(conducted):
    """The instrument of the event is measured because a rule waits for it, and the event had been shown by then."""
    event = "composite_worsening.12_weeks"
    arms = {"a": {"n": 60, "regimen": [ONE]}}
    rules = [{"when": event, "action": "switch", "to": "natalizumab"}]
    r = conducted(arms, rules=rules, months=(0, 3, 6, 9, 12, 15, 18, 21, 24), replicates=4)
    assert {"t25fw_s", "nine_hole_peg_s"} <= set(r.t["visits"]) & set(r.t["patients"])
    switched = {w: rows[-1][0] for w, rows in taken(r).items() if len(rows) > 1}
    assert len(switched) > 5
    cut = np.full(r.n, 10**9)
    cut[list(switched)] = list(switched.values())
    seen = {
        k: t if k == "patients" else {c: x[t["day"] <= cut[r.who(k)]] for c, x in t.items()} for k, t in r.t.items()
    }
    found = derive(event, seen, planned_days=planned_days(r.protocol))
    assert found.event[list(switched)].all()


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


# -- the same bits -----------------------------------------------------------------------------------------------------
def test_decisions_do_not_depend_on_company(recruits, everything, point):
    rules = [
        {"when": "relapse", "action": "add", "to": {"therapy": "choice", "of": {"natalizumab": 1, "fingolimod": 1}}},
        {"when": "confirmed_worsening.12_weeks", "action": "withdraw", "share": 0.5},
        {"hazard": "drop_out", "per_year": 0.3, "after": "relapse"},
    ]
    p = protocol({"a": {"n": 15, "regimen": [ONE]}, "b": {"n": 15, "regimen": []}}, rules=rules)
    many = Run(p, recruits, everything, point, replicates=5).t
    from stemtrial.trial.conduct import conduct

    alone = conduct(p, recruits, everything, point, 1, replicates=[3]).tables
    for name, table in alone.items():
        mine = many[name]["replicate"] == 3
        for c, x in table.items():
            np.testing.assert_array_equal(x, many[name][c][mine], err_msg=f"{name}.{c}")


# -- what people do by accident ----------------------------------------------------------------------------------------
DRUGS = ("interferon_beta", "natalizumab", "fingolimod", "teriflunomide")


@given(
    st.lists(st.tuples(st.sampled_from(DRUGS), st.integers(0, 700), st.none() | st.integers(1, 900)), max_size=4),
    st.lists(
        st.tuples(
            st.sampled_from(["relapse", "confirmed_worsening.12_weeks"]),
            st.sampled_from(["switch", "add", "stop", "withdraw"]),
            st.sampled_from(DRUGS),
        ),
        max_size=3,
    ),
)
@settings(max_examples=15, deadline=None)
def test_any_regimen_and_rules_give_exposure_that_holds_together(recruits, everything, point, entries, said):
    regimen = [
        {"therapy": t, "day": d} | ({} if s is None else {"stop_day": d + s}) for t, d, s in entries
    ]  # fmt: skip
    rules = [{"when": w, "action": a} | ({"to": t} if a in ("switch", "add") else {}) for w, a, t in said]
    r = Run(protocol({"a": {"n": 10, "regimen": regimen}}, rules=rules), recruits, everything, point, replicates=2)
    end, event = r.end()
    assert (event != "").all()
    for who, rows in taken(r).items():
        assert [x[0] for x in rows] == sorted(x[0] for x in rows)
        for day, stop, _, _ in rows:
            assert 0 <= day <= end[who]
            assert stop == ON or day <= stop <= end[who]
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
    "primary": {"id": "confirmed_worsening.12_weeks", "estimator": "kaplan_meier", "at_years": [1]},
    "secondary": [
        {"id": "relapse_rate", "estimator": "negative_binomial"},
        {"id": "confirmed_worsening.12_weeks", "estimator": "cox"},
        {"id": "edss_change", "estimator": "mean_difference", "at_years": [1]},
        {"id": "new_t2_lesions", "estimator": "mean", "at_years": [1]},
    ],
}


@pytest.mark.parametrize("fate", ["alone", "nobody_is_followed", "everybody_dies", "everybody_leaves"])
def test_empty_trials_end_in_order(recruits, everything, point, fate):
    n = 1 if fate == "alone" else 5
    arms = {k: {"n": n, "regimen": [ONE]} for k in "ab"}
    rules = [{"when": "relapse", "action": "switch", "to": "natalizumab"}]
    rules += [{"when": "confirmed_worsening.12_weeks", "action": "cross_over", "arm": "a", "to": "b"}]
    rules += [{"hazard": "drop_out", "per_year": 10.0}] * (fate == "everybody_leaves")
    accrual = {"start": "2005-09", "end": "2005-09", "closure": "2005-09"}
    more = {"accrual": accrual} if fate == "nobody_is_followed" else {}
    p = protocol(arms, rules=rules, months=(0, 3, 6, 9, 12), endpoints=EVERY, **more)
    numbers = point | ({"ms.mortality_ratio": 1e6} if fate == "everybody_dies" else {})
    r = Run(p, recruits, everything, numbers, replicates=3)
    end, event = r.end()
    assert (end >= 0).all(), "everybody leaves"
    if fate == "everybody_dies":
        assert (event == "died").all()
        assert end.max() < 100
    if fate == "everybody_leaves":
        assert (event == "dropped_out").mean() > 0.95
    if fate == "nobody_is_followed":
        assert end.max() < 31
    values = estimate(rows_of(p, None), Analysed(r.t, p))
    assert values.shape == (len(rows_of(p, None)), 3)


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
