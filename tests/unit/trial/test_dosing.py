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
    assert found[0, 0] == [*stopping(FAMILIES), "drugs.start.interferon_beta", "drugs.start.natalizumab"]


def test_what_follows_a_choice_ends_every_therapy_of_the_choice():
    choice = {"therapy": "choice", "of": {"ocrelizumab": 1, "natalizumab": 1}}
    found = orders([choice, IFN | {"day": 200}])
    for w in range(3):
        assert set(found[w, 200][:-1]) == {"anti_cd20.stop", "drugs.stop"}
        assert found[w, 200][-1] == "drugs.start.interferon_beta"
