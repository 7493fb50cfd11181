"""What both diseases share on the command line: lists by disease, explanations of both, estimands, readouts of ALS."""

from __future__ import annotations

import json

import pytest

from stemtrial.endpoint import definitions, diseases_of
from stemtrial.therapy import acting_on, compose

SMALL = ("--patients", "24", "--replicates", "3")


@pytest.mark.parametrize(
    "what", ["protocols", "therapies", "endpoints", "studies", "instruments", "products", "routes"]
)
def test_a_list_of_one_disease_is_part_of_the_whole(cli, what):
    whole, als, ms = (
        json.loads(cli("list", what, *more, "--json").out) for more in ((), ("--disease", "als"), ("--disease", "ms"))
    )
    of = lambda r: [r["disease"]] if isinstance(r["disease"], str) else r["disease"]  # noqa: E731
    assert als == [r for r in whole if "als" in of(r)]
    assert ms == [r for r in whole if "ms" in of(r)]
    assert als
    assert len(als) < len(whole)
    if what == "endpoints":
        assert {r["endpoint"] for r in als} == {d for d in definitions() if "als" in diseases_of(d)}


def test_explain_als_tells_all_of_the_model(cli):
    model = compose("als", acting_on("als")).model
    told = json.loads(cli("explain", "als", "--json").out)
    assert told["title"].startswith("Amyotrophic lateral sclerosis")
    assert [s["name"] for s in told["states"]] == list(model.states)
    assert {p["name"].partition(".")[0] for p in told["parameters"]} == {"als"}


def test_a_therapy_of_both_diseases_is_told_in_both(cli):
    told = json.loads(cli("explain", "msc", "--json").out)
    of = {d: {r["name"] for r in told["rates_multiplied"] if d in r["disease"]} for d in ("ms", "als")}
    for disease, names in of.items():
        model = compose(disease, ("msc",)).model
        assert names == {r.name for r in model.rates.values() if any(o == "msc" for o, _ in r.modifiers)}
    assert of["ms"] != of["als"]
    rows = [(s["name"], tuple(s["disease"])) for s in told["states_added"]]
    assert len(set(rows)) == len(rows)
    assert any(d == ("ms", "als") for _, d in rows), "the fate of the cells is the same in both"
    alone = json.loads(cli("explain", "riluzole", "--json").out)
    assert "disease" not in alone["rates_multiplied"][0]


def test_estimands_are_written_and_printed(cli, tmp_path):
    folder = tmp_path / "out"
    args = ("estimands", "riluzole-1994", "--at", "0.5", "--change", "riluzole.loss=0.5", *SMALL, "-o", str(folder))
    said = cli(*args)
    assert said.code == 0, said.err
    for words in ("Hypothetical: had nobody died", "riluzole against placebo", "3 replicates are few"):
        assert words in said.out
    data = json.loads((folder / "estimands.json").read_text())
    assert data["changed"] == {"riluzole.loss": 0.5}
    assert data["command"] == (
        "stemtrial estimands riluzole-1994 --at 0.5 --change riluzole.loss=0.5 --patients 24 --replicates 3 --seed 1"
    )
    assert "Five ways to treat death" in (folder / "report.html").read_text()
    printed = json.loads(cli(*args, "--json").out)
    assert printed == data
    assert len({r["estimand"] for r in data["rows"]}) == 5


def test_readout_of_als(cli, tmp_path):
    folder = tmp_path / "out"
    said = cli("readout", "riluzole-1994", *SMALL, "-o", str(folder))
    assert said.code == 0, said.err
    assert "tracheostomy_free_survival" in said.out
    assert "Truth" not in said.out
    data = json.loads((folder / "readout.json").read_text())
    assert data["truth"] == []
    page = (folder / "report.html").read_text().split("<script>")[0]
    assert "EDSS" not in page
    assert "axons" not in page


def test_check_of_als_counts_visits_in_weeks(cli):
    out = cli("check", "nurown-phase3").out
    assert "weeks 0, 4, 8" in out
    assert "scans" not in out
    assert "riluzole before and after entry" in out


def test_evidence_names_treatments_as_readers_do_and_units_where_an_endpoint_has_several(cli):
    said = cli("evidence", "alsfrs_r_change").out
    assert "mean change, edaravone (ALS" in said
    assert "dmt:" not in said
    said = cli("evidence", "survival", "--family", "als").out
    assert "median [years]" in said
    assert ", none" not in said


def test_a_drug_is_told_without_what_other_drugs_of_its_family_have_of_their_own(cli):
    told = json.loads(cli("explain", "edaravone", "--json").out)
    assert [s["name"] for s in told["states_added"]] == ["als_drugs.edaravone", "als_drugs.edaravone_to"]
    assert {r["name"] for r in told["rates_multiplied"]} == {"neuron_loss", "upper_loss"}
    told = json.loads(cli("explain", "tofersen", "--json").out)
    assert [r["name"] for r in told["rates_multiplied"]] == ["sod1_synthesis"]
    family = json.loads(cli("explain", "als_drugs", "--json").out)
    assert len(family["states_added"]) > 2


def test_an_unknown_subject_is_answered_with_a_name_that_holds_it_or_with_the_lists(cli):
    assert "did you mean 'responder.nurown'?" in cli("explain", "nurown").err
    assert "stemtrial list therapies" in cli("explain", "qqqqq").err


@pytest.mark.parametrize("words", [("estimands", "adore"), ("cohort", "--disease", "als"), ("readout", "centaur")])
def test_a_folder_that_cannot_be_is_refused_before_anything_is_computed(cli, words, tmp_path):
    (tmp_path / "file").write_text("x")
    for place in ("file", "file/below"):
        said = cli(*words, "-o", str(tmp_path / place))
        assert said.code == 2
        assert said.err.count("\n") == 1
        assert "is a file; name" in said.err
