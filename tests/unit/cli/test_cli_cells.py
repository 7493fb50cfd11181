"""Cell therapies on the command line: explained, listed, run without a comparator; families of the scorecard."""

from __future__ import annotations

import json

import pytest

from stemtrial.cli.checking import load, numbers_by_standing
from stemtrial.errors import InputError
from stemtrial.parameters import registry
from stemtrial.therapy import FAMILIES, family_of
from stemtrial.therapy.product import product, products
from stemtrial.therapy.routes import routes, routes_of
from stemtrial.trial.protocol import load_protocol

CELLS = ("ahsct", "msc", "nsc", "ipsc_opc", "astrocytes", "treg")
ONE_ARM = """
protocol: one-arm
title: one arm
disease: ms
population:
  course: rrms
  care_before_entry: platform_drugs
  eligibility: [18 <= age_years <= 55, 2.0 <= edss <= 6.0, relapses_last_12_months >= 2]
accrual: {start: 2005-09, end: 2016-07, closure: 2019-01}
blinding: {patient: open, rater: blind}
claims: [c037]
arms:
  cells: {n: 8, regimen: [{therapy: nsc, product: ipsc-allogeneic, route: intraspinal, dose_1e6: 100}]}
visits: {months: [0, 6, 12]}
endpoints:
  primary: {id: edss_change, estimator: mean, at_years: [1]}
"""


@pytest.mark.parametrize("therapy", CELLS)
def test_a_cell_therapy_is_explained_from_donor_to_cost(cli, therapy):
    said = cli("explain", therapy, "--json")
    assert (said.code, said.err) == (0, "")
    told = json.loads(said.out)
    made = products(therapy)
    assert [p["product"] for p in told["products"]] == list(made)
    assert {(s["product"], s["step"]) for s in told["manufacture"]} == {
        (n, s.name) for n, p in made.items() for s in p.steps
    }
    assert {r["product"] for r in told["release"]} == set(made)
    assert told["harms"]
    assert told["unit_costs"]
    assert {t["product"] for t in told["tried_in_people"]} == set(made)
    assert [d["route"] for d in told.get("delivery", [])] == list(routes_of(therapy))
    assert {"ahsct": True}.get(therapy, False) is ("conditioning" in told)
    for row in told.get("action_by_hypothesis", []):
        assert row["optimistic"] == registry()[f"{row['number']}.optimistic"].value
        assert row["no_effect"] is not None
    assert ("action_by_hypothesis" in told) is bool(FAMILIES[family_of(therapy)].hypothesis)


def test_explained_in_words_says_what_nobody_has_had(cli):
    said = cli("explain", "ipsc_opc")
    assert said.code == 0
    assert "prediction without human data" in " ".join(said.out.split())
    for part in ("Products", "Manufacture", "Release", "Delivery", "Tried in people", "Harms", "Unit costs"):
        assert f"\n{part}\n" in said.out


def test_a_drug_has_no_product(cli):
    told = json.loads(cli("explain", "natalizumab", "--json").out)
    assert not {"products", "manufacture", "delivery", "unit_costs"} & set(told)


def test_lists_of_products_and_routes(cli):
    told = json.loads(cli("list", "products", "--json").out)
    assert {(p["therapy"], p["product"]) for p in told} == {(t, n) for t in CELLS for n in products(t)}
    assert {p["donor"] for p in told} == {"autologous", "allogeneic"}
    assert [r["route"] for r in json.loads(cli("list", "routes", "--json").out)] == list(routes())
    shown = cli("list", "products")
    assert shown.code == 0
    assert product("nsc", "foetal-allogeneic").name in shown.out


@pytest.mark.parametrize(
    ("family", "fix"), [("mcs", "did you mean 'msc'"), ("hsct", "did you mean 'ahsct'"), ("x", "valid:")]
)
def test_an_unknown_family_is_said_with_the_known_ones(cli, family, fix):
    said = cli("scorecard", "--family", family)
    assert (said.code, said.out) == (2, "")
    assert f"--family '{family}' is not known; {fix}" in said.err


def test_a_single_arm_is_told_beside_itself(cli, tmp_path):
    (tmp_path / "t.yaml").write_text(ONE_ARM)
    small = ("run", "t.yaml", "--replicates", "4", "--threads", "1", "-o", "r")
    said = cli(*small)
    assert said.code == 0, said.err
    for words in ("one arm, no control", "prediction without human data: ", "(NSC cord)", "no human data",
                  "What the same trial would have shown with no effect at all", "The trial has no control arm",
                  "Competing hypotheses: apart and together", "c037, misattributed: "):  # fmt: skip
        assert words in said.out, words
    told = json.loads(cli(*small, "--json").out)
    (row,) = told["estimates"]
    assert set(row["no_effect"]) >= {"median", "pi50", "pi90"}
    assert set(row["hypotheses"]) == {"optimistic", "sceptical"}
    assert row["interval"] == "sampling+trial_effects"
    assert "prediction_without_human_data" in row["labels"]
    assert told["run"]["without_human_data"]
    assert [c["claim"] for c in told["claims"]] == ["c037"]
    page = (tmp_path / "r" / "report.html").read_text()
    assert "Prediction without human data" in page


def test_a_family_without_a_published_trial_names_what_can_be_run(cli):
    said = cli("scorecard", "--family", "opc")
    assert said.code == 2
    assert "no published trial of family 'opc'" in said.err
    assert "stemtrial run ipsc-opc-first-in-human" in said.err


def test_recruits_that_resemble_nobody_are_told_where_it_is_written(tmp_path):
    file = tmp_path / "t.yaml"
    file.write_text(ONE_ARM.replace("accrual:", "  resemble: {edss: {mean: 4.0}}\naccrual:"))
    with (
        pytest.raises(InputError, match=r"t\.yaml:\d+:\d+: population\.resemble: edss: the mean 9"),
        load(str(file)).located(),
    ):
        raise InputError("population.resemble: edss: the mean 9 lies outside")


def test_a_default_of_the_catalogue_has_its_source(tmp_path):
    (tmp_path / "t.yaml").write_text(ONE_ARM + "sources: {arms.cells.regimen.0.dose_1e6: assumed}\n")
    told = numbers_by_standing(load(str(tmp_path / "t.yaml")).protocol)
    bare = numbers_by_standing(load_protocol("genchi-2023"))
    assert told["no source given"] > 0
    assert "no source given" not in bare


def test_a_long_formula_is_cut_on_the_screen_and_whole_in_json(cli):
    told = json.loads(cli("explain", "ipsc_opc", "--json").out)["how_they_move"]
    assert max(len(r["next_value"]) for r in told) > 1000
    said = cli("explain", "ipsc_opc").out
    assert "a longer formula; all of it: --json" in said
    assert len(said.splitlines()) < 1500
