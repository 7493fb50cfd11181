"""How a protocol's regimens become doses: a drug that goes on keeps its level; what a new regimen ends, it ends."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from trials import Run, protocol

from stemtrial.therapy.prescribe import FAMILIES, stopping
from stemtrial.trial.book import Book
from stemtrial.trial.dosing import Dosing
from stemtrial.trial.effects import TrialEffects
from stemtrial.trial.entry import NEVER

IFN = {"therapy": "interferon_beta"}
DOSES = (*stopping(FAMILIES), "drugs.start.natalizumab", "drugs.start.interferon_beta", "anti_cd20.start.ocrelizumab")


@pytest.fixture(scope="module")
def on_interferon(recruits, everything, point):
    """A trial of interferon in people who took interferon before they entered."""

    def run(**rules):
        arms = {"a": {"n": 40, "regimen": [IFN]}}
        return Run(protocol(arms, months=(0, 3, 6, 12, 24), **rules), recruits, everything, point, replicates=6)

    return run


def assert_same_disease(a, b):
    for name, columns in (
        ("relapses", ("patient", "day")),
        ("mri", ("patient", "day", "new_t2_lesions", "gd_lesions")),
    ):
        assert len(b.t[name]["day"]) > 100
        for c in columns:
            np.testing.assert_array_equal(a.t[name][c], b.t[name][c], err_msg=f"{name}.{c}")


def test_whoever_enters_on_a_drug_and_is_given_it_goes_on(on_interferon, monkeypatch):
    given = on_interferon()
    monkeypatch.setattr(Dosing, "regimen", lambda *_: None)
    untouched = on_interferon()
    assert len(given.t["exposure"]["day"]) > 0
    assert len(untouched.t["exposure"]["day"]) == 0
    assert_same_disease(given, untouched)


def test_a_switch_to_the_drug_that_is_taken_changes_nothing(on_interferon):
    same = on_interferon(rules=[{"when": "relapse", "action": "switch", "to": "interferon_beta"}])
    assert (same.t["exposure"]["reason"] == "switch").sum() > 50
    assert_same_disease(same, on_interferon())


def orders(regimen, n=3):
    """Names of the doses of the patients of an arm, by day, in their order."""
    p = protocol({"a": {"n": n, "regimen": regimen}})
    rows = np.arange(n)

    class Ward(SimpleNamespace):
        def __len__(self):
            return n

    ward = Ward(
        protocol=p, now=np.zeros(n, np.int64), last=np.full(n, 3.0), parameters={}, trial=np.zeros(n, np.int64),
        treated_from=np.full(n, NEVER), effects=TrialEffects({}, np.ones(1), np.zeros(1)),
        who=SimpleNamespace(year=np.full(n, 2015.0)), uniform=lambda stream, rows, day: np.array([0.1, 0.4, 0.9])[rows],
    )  # fmt: skip
    kernel = SimpleNamespace(model=SimpleNamespace(doses=DOSES), dose=DOSES.index)
    constants = {"age0": np.full(n, 40.0), "female": np.zeros(n)}
    dosing = Dosing(ward, kernel, Book(n, np.zeros(1, np.int64)), constants)
    dosing.regimen("a", rows, np.zeros(n, np.int64), "randomised")
    s = dosing.schedule(rows)
    return {
        (w, d): [DOSES[k] for k in s.dose[(s.patient == w) & (s.day == d)]]
        for w, d in zip(s.patient.tolist(), s.day.tolist(), strict=True)
    }


def test_a_regimen_stops_what_is_taken_once_and_then_starts():
    found = orders([IFN, {"therapy": "natalizumab"}])
    ends = stopping([f for f in FAMILIES if not FAMILIES[f].lasting])
    assert found[0, 0] == [*ends, "drugs.start.interferon_beta", "drugs.start.natalizumab"]


def test_what_follows_a_choice_ends_every_therapy_of_the_choice():
    choice = {"therapy": "choice", "of": {"ocrelizumab": 1, "natalizumab": 1}}
    found = orders([choice, IFN | {"day": 200}])
    for w in range(3):
        assert set(found[w, 200][:-1]) == {"anti_cd20.stop", "drugs.stop"}
        assert found[w, 200][-1] == "drugs.start.interferon_beta"


# -- riluzole, which people with ALS take whatever a trial does --------------------------------------------------------
RILUZOLE, EDARAVONE = {"therapy": "riluzole"}, {"therapy": "edaravone"}
AT_NIV = {"when": "time_to_niv", "share": 0.9}


def seen(run, who=None, name="visits"):
    """What was seen of some patients."""
    keep = slice(None) if who is None else np.isin(run.who(name), who)
    return {c: x[keep] for c, x in run.t[name].items()}


def assert_same(a, b, who=None):
    for name in ("visits", "milestones", "disposition"):
        left, right = seen(a, who, name), seen(b, who, name)
        assert len(left["day"]) > 10, name
        for c, x in left.items():
            np.testing.assert_array_equal(x, right[c], err_msg=f"{name}.{c}")


@pytest.fixture(scope="module")
def of_als(in_als):
    """Function (regimen, rules, ...) -> trial of one arm of 60 people with ALS; most of them take riluzole."""

    def run(regimen=(), rules=(), **more):
        return in_als({"a": {"n": 60, "regimen": list(regimen)}}, rules=list(rules), **more)

    return run


def on_riluzole(run, yes=1.0):
    return np.flatnonzero(run.t["patients"]["riluzole"] == yes)


@pytest.mark.parametrize("action", [{"action": "stop"}, {"action": "switch", "to": "masitinib"}])
def test_riluzole_of_before_goes_on_whatever_a_rule_stops(of_als, action):
    """Of drugs without effect nothing is left; were riluzole ended with them, people would go another way."""
    nothing = {"als_drugs.loss.edaravone": 1.0, "als_drugs.loss.masitinib": 1.0}
    stopped = of_als([EDARAVONE], [AT_NIV | action], changes=nothing)
    assert (stopped.t["exposure"]["stop_day"] != -1).sum() > 20
    assert_same(stopped, of_als(changes=nothing))
    matters = of_als(changes=nothing | {"riluzole.loss": 0.5})
    assert matters.t["visits"]["alsfrs_r"].mean() > stopped.t["visits"]["alsfrs_r"].mean() + 0.5


def test_riluzole_is_not_doubled_where_the_trial_gives_it(of_als):
    bare, given = of_als(), of_als([RILUZOLE])
    assert len(given.t["exposure"]["day"]) > 300
    assert_same(bare, given, on_riluzole(bare))
    others = on_riluzole(bare, 0.0)
    assert not np.array_equal(seen(bare, others)["alsfrs_r"], seen(given, others)["alsfrs_r"])


@pytest.mark.parametrize("action", [{"action": "stop"}, {"action": "switch", "to": "edaravone"}])
def test_riluzole_that_the_trial_gives_ends_where_a_rule_ends_it(of_als, action):
    rule = AT_NIV | action
    r = of_als([RILUZOLE], [rule], changes={"riluzole.loss": 0.3, "riluzole.days.riluzole": 1.0})
    whole = of_als([RILUZOLE], changes={"riluzole.loss": 0.3, "riluzole.days.riluzole": 1.0})
    t, who = r.t["exposure"], r.who("exposure")
    mine = t["therapy"] == "riluzole"
    stop = dict(zip(who[mine].tolist(), t["stop_day"][mine].tolist(), strict=True))
    ended = [w for w, day in stop.items() if day != -1]
    assert len(ended) > 20
    assert set(r.pairs("visits")) >= {(w, stop[w]) for w in ended}, "at the visit that shows the event"
    rest = np.setdiff1d(np.arange(r.n), ended)
    assert_same(r, whole, rest)
    before, after = ({(w, d): s for w, d, s in zip(x.who("visits"), x.t["visits"]["day"], x.t["visits"]["alsfrs_r"],
                                                  strict=True)} for x in (whole, r))  # fmt: skip
    both = [(w, d) for w, d in after if w in ended and (w, d) in before]
    assert all(after[k] == before[k] for k in both if k[1] <= stop[k[0]])
    assert np.mean([after[k] - before[k] for k in both if k[1] > stop[k[0]]]) < -0.2


def test_what_was_only_planned_ends_nobodys_riluzole(of_als):
    """A rule cancels what is due later; who took riluzole before entry goes on."""
    planned = of_als([RILUZOLE | {"day": 720}], [AT_NIV | {"action": "stop", "share": 1.0}], months=(0, 6, 12, 18, 24))
    stopped = sorted({w for w, d in planned.pairs("milestones", event="niv")})
    before = of_als()
    mine = np.intersect1d(stopped, on_riluzole(before))
    assert len(mine) > 20
    assert_same(planned, before, mine)


def test_riluzole_ends_with_a_crossover_that_does_not_give_it_and_goes_on_with_one_that_does(in_als):
    rule = AT_NIV | {"action": "cross_over", "arm": "a", "to": "b"}
    for to, ends in (([EDARAVONE], True), ([RILUZOLE, EDARAVONE], False)):
        arms = {"a": {"n": 40, "regimen": [RILUZOLE]}, "b": {"n": 40, "regimen": to}}
        nothing = {"als_drugs.loss.edaravone": 1.0, "riluzole.loss": 0.3}
        crossed = in_als(arms, rules=[rule], changes=nothing)
        plain = in_als(arms, changes=nothing)
        who = crossed.who("disposition", event="crossed_over")
        assert len(who) > 10
        same = np.array_equal(seen(crossed, who)["alsfrs_r"], seen(plain, who)["alsfrs_r"])
        assert same != ends
