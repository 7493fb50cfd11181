"""Estimands side by side: truths that are known exactly, the bias of survivors, refusals, chunks."""

from __future__ import annotations

import json

import numpy as np
import pytest

from stemtrial.errors import InputError
from stemtrial.parameters import draws_with, from_normal
from stemtrial.predict.estimands import DEATH, estimands
from stemtrial.predict.run import Settings
from stemtrial.trial.protocol import load_protocol

TRIAL = """
protocol: drug-and-death
title: A drug that acts on survival and function
disease: als
population: {course: als, care_before_entry: riluzole, eligibility: [symptom_months <= 24, svc_pct >= 60]}
accrual: {start: 2015-01, end: 2016-12, closure: 2018-12}
randomisation: {ratio: {drug: 1, placebo: 1}, block_sizes: [4]}
blinding: {patient: blind, rater: open}
arms:
  drug: {n: 100, regimen: [{therapy: riluzole, dose_ratio: 1.0, day: 0}]}
  placebo: {n: 100, regimen: []}
visits: {weeks: [0, 4, 8, 12, 16, 20, 24, 32, 40, 48, 60, 72], window_days: 7}
rules: [{hazard: drop_out, per_year: 0.1}]
endpoints: {primary: {id: alsfrs_r_change, estimator: ancova_difference, at_years: [1.38]}}
"""
BLIND = {"trial.rating_bias.als": 0.0, "trial.rating_bias_sd.als": 0.0}
BOTH = BLIND | {"riluzole.loss": 0.6, "riluzole.mortality": 0.5}
LIFE_ONLY = BLIND | {"riluzole.loss": 1.0, "riluzole.mortality": 0.05}
NOTHING = BLIND | {"riluzole.loss": 1.0, "riluzole.mortality": 1.0}


@pytest.fixture(scope="module")
def protocol(tmp_path_factory):
    path = tmp_path_factory.mktemp("estimands") / "trial.yaml"
    path.write_text(TRIAL, encoding="utf-8")
    return load_protocol(path)


def asked(protocol, changed, replicates=10, **more):
    return estimands(protocol, Settings(replicates=replicates, threads=2, **more), changed=changed)


def rows(found):
    return {(r.estimand, r.estimator.split(",")[0].removeprefix("analysis of ")): r for r in found.rows}


def test_survivors_hide_what_a_drug_does_to_function_and_life(protocol):
    """Informative drop-out: who lives only because of the drug is slower to be counted, faster in decline."""
    found = asked(protocol, BOTH, 60)
    r = rows(found)
    naive, mixed = r["hypothetical", "covariance of survivors"], r["hypothetical", "random-slope model"]
    assert naive.truth > 0.5
    assert naive.bias < -3 * naive.mcse
    for model in (mixed, r["hypothetical", "joint model of slope and survival"]):
        assert model.bias - naive.bias > 0.3, "of the same patients: what the dead showed while alive counts"
    assert r["composite", "covariance"].truth > naive.truth, "deaths prevented count as well"
    assert 0 < r["while_alive", "covariance of the last value"].truth < naive.truth
    assert 0 < r["principal_stratum", "covariance of survivors"].truth < naive.truth
    assert r["composite", "combined assessment of function and survival"].truth > 0.52
    assert found.alive["drug"] > found.alive["placebo"] >= found.alive_under_both["drug"] > 0.5


def test_a_drug_that_only_prolongs_life_has_no_effect_had_nobody_died(protocol):
    r = rows(asked(protocol, LIFE_ONLY, 20))
    assert r["hypothetical", "random-slope model"].truth == 0.0
    assert abs(r["principal_stratum", "covariance of survivors"].truth) < 0.1, "but for ventilation, which it delays"
    assert r["composite", "covariance"].truth > 0.3
    assert r["while_alive", "covariance of the last value"].truth < -0.1, "to live on is to decline further"


def test_without_any_effect_both_lives_are_the_same(protocol):
    """Bit for bit, so that every truth is nought; raters who know the arm bias the trial, not the truth."""
    bias = []
    for changed in (NOTHING, NOTHING | {"trial.rating_bias.als": 0.1}):
        found = asked(protocol, changed)
        for row in found.rows:
            assert row.truth == {"probability": 0.5}.get(row.unit, 0.0) or row.estimand == "treatment_policy"
        assert found.alive["drug"] == found.alive["placebo"] == found.alive_under_both["drug"]
        bias.append(rows(found)["hypothetical", "covariance of survivors"].bias)
    assert bias[1] - bias[0] > 0.3, "of the same people with the same chance, hope alone"


def test_the_five_ways_stand_side_by_side(protocol):
    found = asked(protocol, None)
    assert [*dict.fromkeys(r.estimand for r in found.rows)] == list(DEATH)
    assert {r.arm for r in found.rows} == {("drug", "placebo")}
    observed = [r for r in found.rows if r.estimator == "analysis of covariance of survivors"]
    assert len({(r.median, r.pi90) for r in observed}) == 1, "one analysis answers for three estimands"
    assert [r.truth is None for r in observed] == [True, False, False]
    assert (found.replicates, found.patients, found.endpoint) == (10, 200, "alsfrs_r_change")
    assert found.time_years == pytest.approx(72 * 7 / 365.25)
    again = json.loads(json.dumps(found.as_json()))
    assert set(again) == {
        "protocol", "endpoint", "time_years", "replicates", "patients", "rows", "alive", "alive_under_both",
        "draws", "draws_label", "draws_labels",
    }  # fmt: skip
    early = estimands(protocol, Settings(replicates=3), endpoint="svc_change", at_years=0.46)
    assert early.time_years == pytest.approx(24 * 7 / 365.25)
    assert early.rows[0].unit == "% predicted"


def test_chunks_and_threads_change_nothing(protocol):
    one, other = asked(protocol, None, 6, chunk=6), asked(protocol, None, 6, chunk=2)
    assert one == other


@pytest.mark.parametrize(
    ("change", "more", "message"),
    [
        ({"design": "observational"}, {}, "is observational; estimands compare the arms of a randomised trial"),
        ({"disease": "ms"}, {}, "estimands are for als"),
        ({}, {"endpoint": "alsfrs_r_death_zero_change"}, "is no plain change.*use alsfrs_r_change"),
        ({}, {"endpoint": "kings_stage"}, "is no plain change"),
        ({}, {"at_years": 9.0}, "no visit of 'drug-and-death' lies near 9 years"),
        ({}, {"settings": Settings(replicates=0)}, "--replicates 0 is not positive"),
    ],
)
def test_refusals(protocol, change, more, message):
    with pytest.raises(InputError, match=message) as e:
        estimands(protocol.model_copy(update=change), **more)
    assert "\n" not in str(e.value)


def test_estimands_over_draws_say_what_parameters_add(protocol):
    names = ("als.alpha", "als.sigma_X")
    draws = draws_with(names, from_normal(names, np.random.default_rng(2).normal(size=(3, 2))), "three")
    found = estimands(protocol, Settings(replicates=6, threads=2), draws)
    assert (found.draws, found.draws_label, found.draws_labels) == (3, "three", ())
    told = [r.sd for r in found.rows if r.sd]
    assert told
    assert all(s["parameters"] >= 0 and s["trial_effects"] is None for s in told)
    assert found == estimands(protocol, Settings(replicates=6, chunk=1), draws)
