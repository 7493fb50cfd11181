"""The report: every heading, what is missing told as missing, what is there told as it is."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import numpy as np
import pytest
from fabricated_run import DRIVER, FIT, card, planted, write

from stemtrial.cli import text
from stemtrial.credibility import credibility, gather, load_context, read_run
from stemtrial.credibility.adequacy import MET, MISSING, NOT_JUDGED, NOT_MET, statement_of
from stemtrial.credibility.checked import code_of, folder_of_tests
from stemtrial.credibility.validated import LEVELS, check_card
from stemtrial.errors import InputError
from stemtrial.parameters import STANDINGS, registry, standing
from stemtrial.report.credibility import render_credibility

HEADINGS = (
    "Question of interest", "Context of use", "Model risk and model impact", "Pre-stated evaluation criteria",
    "Model description", "Data", "Code verification", "Calculation verification", "Calibration",
    "Validation by level, and applicability", "Uncertainty and sensitivity", "Results",
    "Adequacy, limits, and what is missing", "Reproduction",
)  # fmt: skip


@pytest.fixture(scope="module")
def bare():
    """A report with nothing but a run."""
    return credibility(planted())


@pytest.fixture(scope="module")
def full():
    """A report with everything."""
    from test_credibility_context import EXAMPLE

    run = planted()
    context, digest = load_context(EXAMPLE)
    own = run.run["provenance"]["draws"]
    return credibility(run, context, context_hash=digest, card=card(own), fit_report=FIT, command="stemtrial x")


def words(page: str) -> str:
    """What a reader sees: no scripts, no styles, no tags."""
    page = re.sub(r"<(script|style).*?</\1>", " ", page, flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).replace("\u00a0", " ").split())


@pytest.mark.parametrize("which", ["bare", "full"])
def test_every_heading_is_there_in_order_and_the_page_loads_nothing(which, request):
    page = render_credibility(request.getfixturevalue(which))
    found = re.findall(r"<h2 id=\"[a-z]+-h\">(\d+) · ([^<]+)</h2>", page)
    assert [html.unescape(t) for _, t in found] == list(HEADINGS)
    assert [int(n) for n, _ in found] == list(range(1, len(HEADINGS) + 1))
    for short in ("V&V 40", "FDA", "M15"):
        assert short in words(page)
    assert not re.search(r"(src|href)=\"(https?:)?//", re.sub(r"<script.*?</script>", "", page, flags=re.S))
    assert "default-src 'none'" in html.unescape(page)


def test_what_is_not_there_is_listed_as_missing(bare):
    missing = {(m["section"], m["what"]) for m in bare["missing"]}
    assert ("validation", "validation not supplied") in missing
    assert ("context of use", "question, decision, model influence and consequence") in missing
    assert any(s == "calibration" and "report of the fit" in w for s, w in missing)
    assert all(m["how"] for m in bare["missing"])
    states = {c["criterion"]: c["state"] for c in bare["adequacy"]["criteria"]}
    assert states["question, decision and risk are stated"] == MISSING
    assert sum(s == MISSING for c, s in states.items() if c.startswith("test studies: ")) == 4
    assert not bare["adequacy"]["statement"]["supported"]
    told = words(render_credibility(bare))
    for m in bare["missing"]:
        assert m["what"].replace("\u00a0", " ") in told
    assert "Validation was not supplied" in told
    assert "Not stated: a person writes it" in told


def test_what_is_given_is_missing_no_more(full):
    missing = {(m["section"], m["what"]) for m in full["missing"]}
    assert ("validation", "validation not supplied") not in missing
    assert not {s for s, _ in missing} & {"context of use", "risk", "criteria", "sensitivity", "uncertainty"}
    assert full["missing"], "what the package cannot give stays listed"


def test_the_planted_driver_is_found_and_told(full):
    first = full["sensitivity"]["rows"][0]
    assert (first["name"], first["above_noise"]) == (DRIVER, True)
    assert [r["name"] for r in full["sensitivity"]["rows"] if r["above_noise"]] == [DRIVER]
    told = words(render_credibility(full))
    assert DRIVER in told
    assert "above the noise" in told
    assert f"{full['sensitivity']['floor']:.2f}" in told


def test_a_run_of_point_values_says_that_nothing_can_drive_it():
    d = credibility(planted(draws=1))
    assert "no parameter varies" in d["sensitivity"]["why_not"]
    assert any(m["section"] == "sensitivity" for m in d["missing"])
    states = {c["criterion"]: c["state"] for c in d["adequacy"]["criteria"]}
    assert states["parameters are drawn from a posterior"] == NOT_MET
    assert states["the interval of the answer holds parameters too"] == NOT_MET
    assert "no parameter varies" in words(render_credibility(d))


def test_parts_of_the_interval_and_monte_carlo_error_are_those_of_the_run(full):
    run = planted()
    row = run.estimates[0]
    assert full["answer"]["mcse"] == row["mcse"] == full["calculation"]["answer"]["mcse"]
    half = (row["pi90"][1] - row["pi90"][0]) / 2
    assert full["calculation"]["answer"]["share"] == pytest.approx(row["mcse"] / half)
    assert full["uncertainty"]["sd"] == row["sd"]
    assert full["uncertainty"]["shares"]["parameters"] > 0.4  # planted: 0.5 squared beside 0.3 squared
    assert sum(full["uncertainty"]["shares"].values()) == pytest.approx(1.0)


def test_failures_and_a_stale_posterior_are_not_met():
    told = {"failed_patients": 3, "events_overflowed": 2, "recruit_warning": "only 12 of them"}
    d = credibility(planted(**told, labels=("posterior_of_other_parameters",)))
    unmet = {c["criterion"]: c["why"] for c in d["adequacy"]["criteria"] if c["state"] == NOT_MET}
    assert unmet["no virtual patient failed and no event was lost"] == "3 patients, 2 events"
    assert unmet["enough distinct recruits"] == "only 12 of them"
    assert "the posterior is of the numbers and priors of this package" in unmet


def test_numbers_are_counted_by_where_they_come_from(full):
    p = full["model"]["parameters"]
    known = registry()
    told = p["counts"]["all"]
    assert told["assumed"] + told["partly assumed"] == len(p["assumed"]) > 0
    assert all(known[r["name"]].assumed for r in p["assumed"])
    assert sum(p["counts"]["drawn"].values()) == 5
    assert sum(p["counts"]["kernel"].values()) < sum(p["counts"]["all"].values()) < len(known)
    assert not [r["name"] for r in p["assumed"] if r["name"].startswith(("als.", "cohort.als.", "msc."))]
    assert {standing(x.source) for x in known.values()} <= set(STANDINGS)


def test_posterior_is_told_from_the_draws_themselves(full):
    c = full["calibration"]
    assert (c["date"], c["label"]) == ("2026-03-01", "posterior-of-a-test")
    assert [r["name"] for r in c["parameters"]] != []
    assert all(abs(r["shrinkage"]) < 0.5 for r in c["parameters"]), "drawn from their priors: hardly any is gone"
    assert (c["at_prior"], c["of_another"]) == (["cohort.m_sd"], None)
    assert c["report"][0]["told"] == 2
    other = credibility(planted(), fit_report=FIT | {"label": "another"})
    assert any("the one given is of another" in m["what"] for m in other["missing"])


def test_validation_keeps_test_apart_from_fit_and_counts_cohorts(full):
    v = full["validation"]
    assert [x["name"] for x in v["levels"]] == list(LEVELS)
    assert v["context"] | {"lane": "aHSCT"} == v["context"]
    scopes = {x["name"]: x["roles"] for x in v["applicability"]}
    same, every = scopes["all of these"], scopes["same disease"]
    for role in ("test", "fit"):
        assert same[role] is None or same[role]["coverage"]["cohorts"] <= every[role]["coverage"]["cohorts"]
    assert every["test"]["coverage"] != every["fit"]["coverage"]
    whole = next(r for r in v["rules"] if r["rule"].startswith("CRPS"))
    assert (whole["value"], whole["met"]) == (pytest.approx(0.5), True)
    half = next(r for r in v["rules"] if "90 %-coverage" in r["rule"])
    assert half["met"] is False
    assert any("test studies: 90 % interval of the 90 %-coverage" in c["criterion"] and c["state"] == NOT_MET
               for c in full["adequacy"]["criteria"])  # fmt: skip
    assert v["same_draws"]


def test_a_card_of_other_draws_is_told():
    d = credibility(planted(), card=card("of another run"))
    states = {c["criterion"]: c["state"] for c in d["adequacy"]["criteria"]}
    assert states["the scorecard is of the draws of this run"] == NOT_MET
    assert "other draws than this run" in words(render_credibility(d))


@pytest.mark.parametrize("wrong", [None, [], {}, {"rows": []}, {"rows": [{"study": "x"}], "settings": {}}])
def test_what_is_no_scorecard_is_refused(wrong):
    with pytest.raises(InputError, match=r"--scorecard card\.json is no scorecard"):
        check_card(wrong, "card.json")


def test_tests_are_read_from_a_checkout_and_not_made_up_without(monkeypatch, tmp_path):
    ours = Path(__file__).resolve().parents[2]
    assert folder_of_tests() in (ours, None)  # None where the package is installed apart from its checkout
    told = {s["standing"]: s for s in code_of(ours)["standings"]}
    assert all(s["tests"] > 0 for s in told.values())
    (tmp_path / "unit").mkdir()
    (tmp_path / "unit" / "test_x.py").write_text("def test_same_bits(): pass\ndef helper(): pass\n")
    mine = code_of(tmp_path)
    assert next((s["standing"], s["tests"]) for s in mine["standings"]) == ("unit", 1)
    assert (mine["bits"], mine["fixtures"]) == (["test_same_bits"], [])
    monkeypatch.setattr(gather, "folder_of_tests", lambda: None)
    d = credibility(planted())
    assert d["code"] == {"available": False}
    assert any("not available in an installed package" in m["what"] for m in d["missing"])
    assert "Not available in an installed package" in words(render_credibility(d))


def test_the_hash_of_the_rules_changes_with_a_threshold(bare, monkeypatch):
    monkeypatch.setattr(gather, "RATIO_BOUND", 1.5)
    assert credibility(planted())["criteria"]["hash"] != bare["criteria"]["hash"]


@pytest.mark.parametrize(
    ("risk", "states", "supported"),
    [
        ("low", [MET, NOT_JUDGED, MISSING], True),
        ("low", [MET, NOT_MET], False),
        ("medium", [MET, NOT_JUDGED], True),
        ("medium", [MET, MISSING], False),
        ("high", [MET], True),
        ("high", [MET, NOT_JUDGED], False),
        (None, [MET], False),
    ],
)
def test_more_risk_asks_for_more(risk, states, supported):
    told = statement_of({"risk": {"risk": risk} if risk else None}, [{"state": s} for s in states])
    assert told["supported"] is supported
    assert sum(told["counts"].values()) == len(states)


def test_the_data_are_plain_json(full):
    assert json.loads(json.dumps(text.finite(full), allow_nan=False))["protocol"] == "mist"


# -- a run that is read back ------------------------------------------------------------------------------------------
@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "run")
    return tmp_path / "run"


def test_a_finished_run_is_read_back(folder):
    run, back = planted(), read_run(folder, planted().protocol)
    assert np.array_equal(run.values, back.values)
    assert back.draws is None, "the package has no such posterior"
    d = credibility(back)
    assert "are not those of this package" in d["sensitivity"]["why_not"]


def test_another_folder_is_refused(folder, tmp_path):
    from stemtrial.trial.protocol import load_protocol

    with pytest.raises(InputError, match="holds no finished run"):
        read_run(tmp_path / "nothing", planted().protocol)
    with pytest.raises(InputError, match="holds a run of mist, not of affirm"):
        read_run(folder, load_protocol("affirm"))
    told = json.loads((folder / "run.json").read_text())
    told["provenance"]["protocol"] = "of then"
    (folder / "run.json").write_text(json.dumps(told))
    with pytest.raises(InputError, match="has changed since that run"):
        read_run(folder, planted().protocol)


def test_an_endpoint_that_is_not_estimated_is_refused():
    with pytest.raises(InputError, match=r"mist does not estimate 'neda3\.misst'; did you mean 'neda3\.mist'"):
        planted().answer("neda3.misst")
    k = planted().answer("edss_change")
    assert planted().estimates[k]["endpoint"] == "edss_change"


def test_a_contrast_answers_before_an_arm():
    run = planted()
    assert run.estimates[run.answer()]["statistic"] == "hazard_ratio"
    k = run.answer("edss_change")
    assert (run.estimates[k]["statistic"], run.estimates[k]["arm"]) == ("difference", ["hsct", "dmt"])
    assert isinstance(run.estimates[run.answer("neda3.mist")]["arm"], str), "no contrast of it is estimated"


def test_the_command_of_other_definitions_is_told_for_times_to_an_event_only(bare):
    assert bare["structure"]["multiverse"] == "stemtrial readout mist --reference confirmed_worsening.mist"
    run = planted()
    assert gather._structure(run, run.answer("edss_change"))["multiverse"] is None
