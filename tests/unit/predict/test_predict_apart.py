"""Hypotheses apart, labels of what nobody has been given, names of arms, reasons by family, adverse events counted."""

from __future__ import annotations

import numpy as np
import pytest

from stemtrial.parameters import point_draw, registry
from stemtrial.predict import misses
from stemtrial.predict.estimate import Analysed, Row
from stemtrial.predict.harm import summary, tally
from stemtrial.predict.hypotheses import mixed, tell_apart, varies, weights
from stemtrial.predict.labels import arm_labels, labels_of, spoken, untried
from stemtrial.predict.summary import interval_of
from stemtrial.predict.told import claims_of, published_beside
from stemtrial.tables import make
from stemtrial.trial.protocol import load_protocol
from stemtrial.trial.regimen import Treatment

TRIAL = """
protocol: two-arms
title: two arms
disease: ms
design: observational
population: {course: rrms, care_before_entry: none, eligibility: [18 <= age_years <= 55]}
accrual: {start: 2005-09, end: 2016-07, closure: 2019-01}
blinding: {patient: open, rater: blind}
claims: [c037]
beside: [genchi2023_stems, petrou2021_msc_repeat]
arms:
  cells: {n: 2, regimen: [{therapy: nsc, product: PRODUCT, route: intrathecal, dose_1e6: 100}]}
  none: {n: 2, regimen: []}
visits: {months: [0, 12]}
endpoints:
  primary: {id: edss_change, estimator: mean, at_years: [1]}
"""

POINT = point_draw()[0]


@pytest.fixture
def protocol(tmp_path):
    def make_it(product: str = "foetal-allogeneic"):
        (tmp_path / "t.yaml").write_text(TRIAL.replace("PRODUCT", product))
        return load_protocol(tmp_path / "t.yaml")

    return make_it


def row(arm):
    return Row("edss_change", "mean", arm, 1.0, "mean_change", "EDSS", None)


# -- hypotheses --------------------------------------------------------------------------------------------------------
def test_replicates_are_sorted_by_what_was_drawn(protocol):
    rows = [row("cells"), row(("cells", "none")), row("none")]
    x = np.array([1.0, 2.0, 3.0, 10.0, 20.0])
    drawn = {"optimistic.nsc": np.array([0.0, 0.0, 0.0, 1.0, 1.0]), "centre": np.ones(5)}
    told: list[dict] = [{} for _ in rows]
    tell_apart(told, rows, np.stack([x, x, x]), drawn, protocol(), POINT)
    for t in told[:2]:
        assert (t["hypotheses"]["optimistic"]["median"], t["hypotheses"]["optimistic"]["n"]) == (15.0, 2)
        assert (t["hypotheses"]["sceptical"]["median"], t["hypotheses"]["sceptical"]["n"]) == (2.0, 3)
    assert told[2]["hypotheses"] is None, "nothing is disputed about an untreated arm"
    assert varies(drawn) == ("optimistic.nsc",)


def test_a_hypothesis_that_was_never_drawn_has_no_numbers(protocol):
    told: list[dict] = [{}]
    tell_apart(told, [row("cells")], np.ones((1, 3)), {"optimistic.nsc": np.zeros(3)}, protocol(), POINT)
    assert told[0]["hypotheses"]["optimistic"] == {"median": None, "pi50": [None, None], "pi90": [None, None], "n": 0}
    assert told[0]["hypotheses"]["sceptical"]["n"] == 3


def test_weights_are_the_parameters(protocol):
    (told,) = weights(protocol(), POINT)
    assert told["weight"] == registry()["nsc.weight_optimistic"].value
    assert told["source"] == registry()["nsc.weight_optimistic"].source
    assert mixed(protocol(), POINT, ("none",)) == ()
    assert weights(load_protocol("mist"), POINT) == []


def test_what_an_interval_holds():
    words = [interval_of(d, e) for d in (1, 20) for e in (False, True)]
    assert words == [
        "sampling", "sampling+trial_effects", "sampling+parameters", "sampling+trial_effects+parameters",
    ]  # fmt: skip


# -- labels ------------------------------------------------------------------------------------------------------------
def test_only_what_nobody_has_been_given_is_labelled(protocol):
    assert untried(protocol()) == {}
    assert untried(load_protocol("mist")) == {}
    found = untried(protocol("ipsc-allogeneic"))
    assert list(found) == ["cells"]
    assert "intrathecal" in found["cells"][0]
    assert (
        labels_of(row("cells"), found) == labels_of(row(("cells", "none")), found) == ["prediction_without_human_data"]
    )
    assert labels_of(row("none"), found) == []


@pytest.mark.parametrize("dose", ["dose_1e6: 0", "dose_1e6_per_kg: 0"])
def test_a_sham_needs_no_human_data_however_its_dose_is_said(protocol, tmp_path, dose):
    protocol("ipsc-allogeneic")
    (tmp_path / "t.yaml").write_text((tmp_path / "t.yaml").read_text().replace("dose_1e6: 100", dose))
    assert untried(load_protocol(tmp_path / "t.yaml")) == {}


@pytest.mark.parametrize(
    ("entry", "word"),
    [
        ({"therapy": "ahsct", "conditioning": "beam-atg", "cells_1e6_per_kg": 5}, "aHSCT"),
        ({"therapy": "nsc", "product": "foetal-allogeneic", "route": "intrathecal", "dose_1e6": 100}, "NSC IT"),
        ({"therapy": "nsc", "product": "foetal-allogeneic", "route": "intrathecal", "dose_1e6": 0}, "sham"),
        ({"therapy": "siponimod", "dose_ratio": 0.5}, "siponimod x 0.5"),
    ],
)
def test_entries_in_a_word(entry, word):
    assert spoken(Treatment.model_validate(entry)) == word


def test_arms_have_names_of_their_own(protocol):
    assert arm_labels(protocol()) == {"cells": "NSC IT", "none": "untreated"}
    assert list(arm_labels(load_protocol("mist")).values()) == ["aHSCT", "drugs"]
    for name in ("petrou-2020", "sentinel", "evobrutinib-ph2", "genchi-2023-doses"):
        labels = list(arm_labels(load_protocol(name)).values())
        assert len(set(labels)) == len(labels), name


# -- claims and the record ---------------------------------------------------------------------------------------------
def test_claims_and_studies_are_told_whole(protocol):
    (claim,) = claims_of(protocol())
    assert claim["claim"] == "c037"
    assert claim["verdict"] == "misattributed"
    assert claim["quantities"] == {"actual_n": 15, "claimed_n": 24}
    known, sealed = published_beside(protocol())
    assert known["study"] == "genchi2023_stems"
    assert any(o["value"] is not None for o in known["outcomes"])
    assert {o["verification"] for o in sealed["outcomes"]} == {"sealed"}
    assert all(o["value"] is None for o in sealed["outcomes"])


# -- misses ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("unit", "value", "ends", "said"),
    [
        ("fraction", 0.33, [0.121, 0.2718], "Published 33 % lies above the predicted 20 (12.1 to 27.2) %."),
        ("points", -5.52, [-8.18, -5.95], "Published −5.52 lies above the predicted 0.2 (−8.18 to −5.95)."),
        ("y", 1.0, [1.28, None], "Published 1 lies below the predicted 0.2 (1.28 to not reached)."),
    ],
)
def test_the_figures_of_a_miss_are_those_of_the_table_beside_it(unit, value, ends, said):
    row = {"outcome_id": "s#1", "endpoint": "e", "unit": unit, "published": {"value": value}, "median": 0.2}
    assert misses.why(row | {"pi90": ends}, "als").startswith(said)


def test_a_reason_may_stand_for_an_endpoint_of_a_family(monkeypatch):
    missed = {
        "outcome_id": "s#1",
        "endpoint": "edss_change",
        "published": {"value": 3.0},
        "median": 1.0,
        "pi90": [0, 2],
    }
    reasons = {"s#1": "of the outcome", "ms:msc:edss_change": "of the endpoint", "ms:msc:": "of the family"}
    for key, said in reasons.items():
        monkeypatch.setattr(misses, "_reasons", lambda key=key, said=said: {key: said})
        assert misses.why(missed, "ms", ["msc"]).endswith(said)
        assert ("No reason" in misses.why(missed, "ms", ["nsc"])) is (key != "s#1")
    monkeypatch.setattr(misses, "_reasons", lambda: reasons)
    assert misses.why(missed, "ms", ["msc"]).endswith("of the outcome"), "what is said of the outcome itself goes first"


# -- adverse events ----------------------------------------------------------------------------------------------------
def test_adverse_events_are_counted_by_patient_event_grade_and_day(protocol):
    trial, n = protocol(), 8
    patients = make(
        "patients", replicate=np.repeat([0, 1], 4), patient=np.tile(np.arange(4), 2),
        arm=np.tile(["cells", "cells", "none", "none"], 2), closure_day=np.full(n, 400),
        **dict.fromkeys(
            ("recruit", "entry_day", "age_years", "female", "disease_duration_years", "relapses_last_12_months", "edss",
             "gd_lesions", "t2_volume_ml"), np.zeros(n)),
    )  # fmt: skip
    events = make(
        "adverse_events",
        replicate=np.array([0, 0, 0, 1]), patient=np.array([0, 0, 1, 2]), day=np.array([10, 40, 30, 5]),
        term=np.array(["fever", "fever", "fever", "headache"]), grade=np.array([1, 3, 2, 2]),
        serious=np.array([0, 1, 0, 0]), cause=np.array(["nsc", "msc", "nsc", "nsc"]),
    )  # fmt: skip
    disposition = make(
        "disposition", **dict.fromkeys(("replicate", "patient", "day", "event", "reason"), np.zeros(0, int))
    )
    a = Analysed({"patients": patients, "adverse_events": events, "disposition": disposition}, trial)
    told = {(r["term"], r["arm"]): r for r in summary(["cells", "none"], tally(a, trial))}
    fever = told["fever", "cells"]
    assert (fever["percent_median"], fever["events"]) == (50.0, 1.5), "both of two in one trial, none in the other"
    assert (fever["grade"], fever["serious"], fever["severe_percent"], fever["serious_percent"]) == (
        3,
        True,
        25.0,
        25.0,
    )
    assert fever["day"] == 20.0, "first events on days 10 and 30"
    assert fever["cause"] == "nsc, msc"
    assert (told["fever", "none"]["percent_median"], told["fever", "none"]["day"]) == (0.0, None)
    assert told["headache", "none"]["percent_median"] == 25.0
