"""The same trial with no effect at all: what is switched off, what stays, and that it is the trial untreated."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from stemtrial.parameters import registry
from stemtrial.predict.counterfactual import BIAS, NO_EFFECT, UNBIASED, conducts, effects_of, set_beside
from stemtrial.predict.estimate import Row
from stemtrial.predict.run import Settings, predict
from stemtrial.trial.effects import EFFECTS
from stemtrial.trial.protocol import load_protocol

TRIAL = """
protocol: one-arm
title: one arm
disease: ms
population:
  course: rrms
  care_before_entry: platform_drugs
  eligibility: [18 <= age_years <= 55, 2.0 <= edss <= 6.0, relapses_last_12_months >= 2]
accrual: {start: 2005-09, end: 2016-07, closure: 2019-01}
blinding: {patient: blind, rater: blind}
arms:
  cells: {n: 12, regimen: [REGIMEN]}
visits: {months: [0, 6, 12, 18], window_days: 20, at_relapse: true}
endpoints:
  primary: {id: edss_change, estimator: mean, at_years: [1]}
  secondary:
    - {id: relapse_rate, estimator: rate}
    - {id: gd_lesions, estimator: mean, at_years: [1]}
    - {id: new_t2_lesions, estimator: mean, at_years: [1]}
    - {id: brain_volume_change_pct, estimator: mean, at_years: [1]}
    - {id: relapse_free, estimator: kaplan_meier, at_years: [1]}
"""
AHSCT = "{therapy: ahsct, conditioning: beam-atg, cells_1e6_per_kg: 5.0, day: 30}"
NSC = "{therapy: nsc, product: foetal-allogeneic, route: intrathecal, dose_1e6: 100, day: 10}"
IPSC = "{therapy: nsc, product: ipsc-allogeneic, route: intraspinal, dose_1e6: 100, day: 10}"
SETTINGS = {"replicates": 5, "seed": 3}


@pytest.fixture(scope="module")
def protocol(tmp_path_factory):
    """Protocol of one arm with a regimen."""
    folder = tmp_path_factory.mktemp("protocols")

    def make(regimen: str, old: str = "", new: str = ""):
        file = folder / "one-arm.yaml"
        file.write_text(TRIAL.replace("REGIMEN", regimen).replace(old, new))
        return load_protocol(file)

    return make


def run(protocol, folder, **options):
    return predict(protocol, Settings(**(SETTINGS | options)), folder=folder)


# -- what is switched off ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("therapy", "owners"),
    [("ahsct", {"ahsct"}), ("msc", {"msc", "cells"}), ("nsc", {"nsc", "cells", "graft"})],
)
def test_every_effect_of_a_family_vanishes_and_nothing_else(therapy, owners):
    gone = effects_of((therapy,))
    known = {k: p.no_effect for k, p in registry().items() if p.no_effect is not None and k.split(".")[0] in owners}
    assert gone == known
    assert known


def test_of_drugs_only_those_that_are_given():
    gone = effects_of(("natalizumab",))
    assert any("natalizumab" in k for k in gone)
    assert not any("interferon_beta" in k for k in gone), "care before entry stays what it was"
    assert {k for k in gone if k.startswith("harms.")}


def test_which_trials_are_conducted_again(protocol):
    assert conducts(load_protocol("mist")) == {}
    assert conducts(protocol("")) == {}
    assert set(conducts(protocol(AHSCT))) == {NO_EFFECT}
    openly = conducts(protocol(AHSCT, "rater: blind", "rater: open"))
    assert set(openly) == {NO_EFFECT, UNBIASED}
    hope = {f"{name}.ms": 0.0 for name in BIAS}
    assert {k: v for k, v in openly[UNBIASED].items() if k not in openly[NO_EFFECT]} == hope
    assert not set(hope) & set(openly[NO_EFFECT]), "the hope of raters belongs to the trial"


# -- what is left ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("regimen", [AHSCT, NSC])
def test_no_effect_is_the_trial_without_a_therapy_bit_for_bit(protocol, tmp_path, regimen):
    said = ("rater: blind}", "rater: blind}\nascertainment: blind")
    treated = run(protocol(regimen, *said), tmp_path / "a")
    nobody = run(protocol("", *said), tmp_path / "b")
    assert len(treated.estimates) == len(nobody.estimates) == 6
    for a, b in zip(treated.estimates, nobody.estimates, strict=True):
        assert {k: a["no_effect"][k] for k in ("median", "pi50", "pi90")} == {
            k: b[k] for k in ("median", "pi50", "pi90")
        }
        assert a["no_effect"]["without_rating_bias"] is None
        assert b["no_effect"] is None
    assert any(a["median"] != a["no_effect"]["median"] for a in treated.estimates), "the therapy does something"


def test_open_raters_bias_what_has_no_effect(protocol, tmp_path):
    got = run(protocol(AHSCT, "rater: blind", "rater: open"), tmp_path / "r", replicates=8)
    assert got.run["interval"] == "sampling+trial_effects"
    drawn = set(got.run["trial_effects"])
    assert {"rating_bias", "conditioning", *EFFECTS["ms"]} >= drawn >= {"rating_bias", "activity"}
    edss, _, *scans = got.estimates
    assert edss["no_effect"]["without_rating_bias"] > edss["no_effect"]["median"], "raters see improvement"
    for row in scans:
        if row["endpoint"] in ("gd_lesions", "new_t2_lesions", "brain_volume_change_pct"):
            assert row["no_effect"]["without_rating_bias"] == row["no_effect"]["median"], "no rater reads a scan"


def test_digest_and_rows_do_not_depend_on_how_they_were_computed(protocol, tmp_path):
    trial = protocol(IPSC, "rater: blind", "rater: open")
    one = run(trial, tmp_path / "a", chunk=5)
    two = run(trial, tmp_path / "b", chunk=2, threads=2)
    assert (one.run["id"], one.run["digest"]) == (two.run["id"], two.run["digest"])
    assert one.estimates == two.estimates
    assert one.page["adverse_events"] == two.page["adverse_events"]
    of_cells = {"optimistic.nsc", "centre", "rating_bias"}
    assert of_cells | set(EFFECTS["ms"]) >= set(one.run["trial_effects"]) >= {"centre", "rating_bias", "activity"}
    without = run(trial, tmp_path / "c", chunk=5, beside=False)
    assert without.run["id"] != one.run["id"]
    assert without.run["digest"] == one.run["digest"]
    assert all(row["no_effect"] is None for row in without.estimates)
    assert one.run["hypotheses"][0]["weight"] == registry()["nsc.weight_optimistic"].value
    assert "prediction_without_human_data" in one.run["labels"]
    for row in one.estimates:
        assert "prediction_without_human_data" in row["labels"]
        assert row["interval"] == "sampling+trial_effects"
        assert sum(row["hypotheses"][k]["n"] for k in ("optimistic", "sceptical")) == 5
        assert set(row["no_effect"]) == {"median", "pi50", "pi90", "difference", "without_rating_bias"}


def test_difference_is_that_of_each_replicate_to_its_own():
    row = Row("edss_change", "mean", "cells", 1.0, "mean_change", "EDSS", None)
    values, without = np.array([[1.0, 5.0, 2.0]]), np.array([[0.0, 6.0, 2.5]])
    told: list[dict] = [{}]

    set_beside(
        told, [row], values, {NO_EFFECT: without}, SimpleNamespace(arms={"cells": SimpleNamespace(regimen=(1,))})
    )
    assert told[0]["no_effect"]["median"] == 2.5
    assert told[0]["no_effect"]["difference"]["median"] == -0.5
    assert told[0]["no_effect"]["without_rating_bias"] is None
