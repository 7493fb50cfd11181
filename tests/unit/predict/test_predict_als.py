"""A trial of ALS where people see it: Table 1, curves, points, families, the scorecard and its labels."""

from __future__ import annotations

import re

import numpy as np
import pytest

from stemtrial.errors import InputError
from stemtrial.evidence import studies, study
from stemtrial.evidence.schema import Outcome
from stemtrial.predict import page as page_module
from stemtrial.predict.curves import SERIES, drawn_free, km_times, series_of, survival_endpoints
from stemtrial.predict.entered import entries
from stemtrial.predict.families import FAMILIES, families, families_of, families_of_study
from stemtrial.predict.labels import arm_labels, spoken, spoken_arm, untried
from stemtrial.predict.lanes import Choice
from stemtrial.predict.readout import reference_of, rows_of_readout
from stemtrial.predict.run import Settings, predict
from stemtrial.predict.scorecard import scorecard
from stemtrial.report import render_report
from stemtrial.therapy import human_data
from stemtrial.trial.protocol import load_protocol
from stemtrial.trial.regimen import Treatment

TRIAL = """
protocol: small-als
title: Riluzole against placebo
disease: als
population: {course: als, care_before_entry: none, eligibility: [symptom_months <= 36, svc_pct >= 60]}
accrual: {start: 2015-01, end: 2015-12, closure: 2018-01}
randomisation: {ratio: {drug: 1, placebo: 1}, block_sizes: [4]}
blinding: {patient: blind, rater: blind}
arms:
  drug: {n: 40, regimen: [{therapy: riluzole, dose_ratio: 1.0, day: 0}]}
  placebo: {n: 40, regimen: []}
visits: {weeks: [0, 12, 24, 40, 52], window_days: 7}
endpoints:
  primary: {id: alsfrs_r_change, estimator: mean_difference, at_years: [1]}
  secondary:
    - {id: svc_change, estimator: mean, at_years: [1]}
    - {id: overall_survival, estimator: kaplan_meier_complement, at_years: [1]}
    - {id: time_to_niv, estimator: kaplan_meier, at_years: [1]}
    - {id: cafs, estimator: cafs_probability}
"""


@pytest.fixture(scope="module")
def protocol(tmp_path_factory):
    path = tmp_path_factory.mktemp("als") / "small.yaml"
    path.write_text(TRIAL, encoding="utf-8")
    return load_protocol(path)


@pytest.fixture(scope="module")
def made(protocol, tmp_path_factory):
    return predict(protocol, Settings(replicates=6, threads=2, keep_all=True), folder=tmp_path_factory.mktemp("run"))


# -- the page ----------------------------------------------------------------------------------------------------------
def test_table_one_is_that_of_als(made):
    rows = {(r["variable"], r["arm"]): r for r in made.page["baseline"]}
    names = {v for v, _ in rows}
    assert {"age_years", "female", "symptom_months", "bulbar_onset", "alsfrs_r", "svc_pct", "riluzole"} <= names
    assert not {"edss", "disease_duration_years", "gd_lesions", "relapses_last_12_months"} & names
    p = made.tables["patients"]
    mine = p["arm"] == "drug"
    months = [12 * p["disease_duration_years"][mine & (p["replicate"] == k)].mean() for k in range(6)]
    assert rows["symptom_months", "drug"]["median"] == pytest.approx(np.median(months))
    assert rows["riluzole", "placebo"]["median"] == 0.0, "nobody took it before"


def test_survival_falls_and_is_shown_though_nobody_asked(made, protocol):
    assert survival_endpoints(protocol) == ["overall_survival", "time_to_niv", "tracheostomy_free_survival"]
    km = {(c["endpoint"], c["arm"]): c for c in made.page["curves"]["km"]}
    for endpoint in ("overall_survival", "tracheostomy_free_survival"):
        curve = km[endpoint, "drug"]
        assert curve["median"][0] == 1.0
        assert curve["median"] == sorted(curve["median"], reverse=True)
    assert km["time_to_niv", "drug"]["median"][0] == 0.0, "asked for as the share with the event"
    asked = next(e for e in made.estimates if e["endpoint"] == "overall_survival" and e["arm"] == "drug")
    assert km["overall_survival", "drug"]["median"][-1] == pytest.approx(asked["median"], abs=0.03)


def test_curves_of_change_are_means_of_those_who_come(made):
    visits, patients = made.tables["visits"], made.tables["patients"]
    start = {(r, i): x for r, i, x in zip(*(patients[k] for k in ("replicate", "patient", "alsfrs_r")), strict=True)}
    placebo = {
        (r, i)
        for r, i, a in zip(*(patients[k] for k in ("replicate", "patient", "arm")), strict=True)
        if a == "placebo"
    }
    means = []
    for k in range(6):
        rows = zip(*(visits[c] for c in ("replicate", "patient", "visit", "alsfrs_r")), strict=True)
        mine = [x - start[r, i] for r, i, v, x in rows if r == k and v == 2 and (r, i) in placebo and x == x]
        means.append(np.mean(mine))
    curve = next(c for c in made.page["curves"]["series"] if c["name"] == "alsfrs_r_change" and c["arm"] == "placebo")
    assert curve["median"][0] == 0.0
    assert curve["median"][2] == pytest.approx(np.median(means))


def test_no_part_of_the_page_speaks_of_another_disease(made):
    text = re.sub(r"<script[^>]*>.*?</script>|<style>.*?</style>", "", render_report(made.page), flags=re.S)
    assert "Function over time" in text
    assert "pairs won" in text
    for word in ("EDSS", "elapse", "MRI", "multiple sclerosis", " MS "):
        assert word not in text, word


def test_measures_shown_are_those_measured_and_asked_for(protocol):
    shown = series_of(protocol, ["alsfrs_r", "alsfrs_r_bulbar", "svc_pct"])
    assert set(shown) == {"alsfrs_r", "svc_pct", "alsfrs_r_change", "svc_change"}
    assert all(s.column in ("alsfrs_r", "svc_pct") for s in shown.values())
    assert not {"edss"} & set(SERIES["als"])
    assert km_times(protocol)[-1] == pytest.approx(52 * 7 / 365.25)


def test_a_share_that_is_told_the_other_way_round_is_turned():
    o = Outcome(
        outcome_id="s#1", role="fit", arm="a", endpoint="survival", statistic="km_probability", value=0.7,
        ci95=(0.6, 0.9), verification="primary",
    )  # fmt: skip
    assert page_module._told(o, False)["value"] == 0.7
    turned = page_module._told(o, True)
    assert turned["value"] == pytest.approx(0.3)
    assert turned["ci95"] == pytest.approx([0.1, 0.4])


@pytest.mark.parametrize(("name", "free"), [("burt-2021-all", True), ("mist", True)])
def test_curves_are_drawn_as_the_protocol_tells_them(name, free):
    p = load_protocol(name)
    endpoint = "overall_survival" if name != "mist" else "neda3"
    assert drawn_free(p, endpoint) is free
    assert drawn_free(load_protocol("mist"), "confirmed_worsening.mist") is False


def test_subgroups_are_no_points_on_the_curve_of_an_arm():
    p = load_protocol("nurown-phase3")
    seen = {f"series|alsfrs_r_change|{a}": np.zeros((3, len(p.visits.months))) for a in p.arms}
    drawn = page_module._series(p, study(p.reproduces), seen)
    assert all(len(c["published"]) <= 1 for c in drawn)
    assert sum(len(c["published"]) for c in drawn) == 2


# -- families and labels -----------------------------------------------------------------------------------------------
def test_families_are_by_disease():
    named = {f: {e.name for e in entries(Choice("als", f))} for f in FAMILIES["als"]}
    assert {"adore", "centaur"} <= named["drugs"]
    assert {"nurown-phase3", "oh-2018"} <= named["msc"]
    assert "mazzini-2019" in named["nsc"]
    assert "astrorx" in named["astrocyte"]
    both = {e.name for e in entries(Choice("ms"))} & {e.name for e in entries(Choice("als"))}
    assert not both
    assert {studies()[e.study].role for e in entries(Choice("als"), blind=True)} == {"sealed"}
    assert families_of(load_protocol("nurown-phase3")) == {"msc"}
    assert families_of_study(studies()["edaravone2017_study19"]) == {"drugs"}
    assert families_of_study(studies()["thonhoff2018_treg"]) == {"treg"}
    with pytest.raises(InputError, match="family 'ahsct' has no trials in ALS; use drugs, msc, nsc"):
        families("als", "ahsct")
    with pytest.raises(InputError, match="disease 'pd' is not known"):
        families("pd")


@pytest.mark.parametrize(
    ("entry", "word"),
    [
        ({"therapy": "msc", "product": "bone-marrow-ntf-autologous", "route": "intrathecal"}, "MSC-NTF IT"),
        ({"therapy": "msc", "product": "bone-marrow-autologous", "route": "intravenous"}, "MSC IV"),
        ({"therapy": "amx0035"}, "AMX0035"),
    ],
)
def test_entries_in_a_word(entry, word):
    dose = {"dose_1e6": 100} if "product" in entry else {}
    assert spoken(Treatment.model_validate(entry | dose)) == word


def test_what_was_given_in_another_disease_is_untried_in_this_one():
    p = load_protocol("oh-2018")
    assert untried(p) == {}
    assert spoken_arm(p, "control") == "untreated", "open: nobody got a placebo"
    given = {"therapy": "msc", "product": "placenta", "route": "intravenous", "dose_1e6": 100}
    other = Treatment.model_validate(given)
    assert human_data("msc", given, "ms")
    changed = p.model_copy(update={"arms": {**p.arms, "msc": p.arms["msc"].model_copy(update={"regimen": (other,)})}})
    assert list(untried(changed)) == ["msc"]
    assert set(arm_labels(p).values()) == {"MSC IT", "untreated"}


# -- scorecard and readout ---------------------------------------------------------------------------------------------
def test_scorecard_of_als_holds_als_alone(tmp_path):
    card = scorecard(Settings(replicates=4, threads=2), tmp_path, disease="als", names=["petrou-2016", "mist"])
    assert card["settings"]["disease"] == "als"
    assert [p["protocol"] for p in card["protocols"]] == ["petrou-2016"]
    told = {r["study"] for r in (*card["rows"], *card["not_predicted"])}
    assert {studies()[s].disease for s in told} == {"als"}
    assert {r["role"] for r in card["rows"]} <= {"fit", "context"}
    assert "therapy" in card["coverage"]
    wanted = {
        o.outcome_id for s in studies().values() if s.disease == "als" and s.role in ("fit", "test", "sealed")
        for o in s.outcomes
    }  # fmt: skip
    assert wanted <= {r["outcome_id"] for r in (*card["rows"], *card["not_predicted"])}


def test_a_readout_of_als_has_no_truth(protocol):
    assert reference_of(protocol) == "tracheostomy_free_survival"
    observed, truth = rows_of_readout(protocol, ["overall_survival", "kings_progression"])
    assert truth == []
    assert {r.statistic for r in observed} == {"count", "km_probability", "kappa", "at_risk", "hazard_ratio"}
