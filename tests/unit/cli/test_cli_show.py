"""What a new user sees without running anything: help, lists, explanations, evidence, a checked protocol, recruits."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from stemtrial.endpoint import definitions
from stemtrial.evidence import claims, forest, studies, study
from stemtrial.observe import instruments
from stemtrial.parameters import registry
from stemtrial.therapy import FAMILIES, acting_on, catalogue, compose, modelled
from stemtrial.therapy.drugs import DRUGS
from stemtrial.trial.protocol import protocol_names

COMMANDS = ("run", "compare", "check", "explain", "cohort", "list", "evidence")


def test_help_names_every_command(cli):
    for args in ((), ("--help",), ("-h",)):
        said = cli(*args)
        assert said.code == 0
        assert all(f"\n  {c} " in said.out for c in COMMANDS)
        assert said.err == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(cli, command):
    said = cli(command, "--help")
    assert said.code == 0
    assert "--json" in said.out


def test_version(cli):
    import importlib.metadata

    assert cli("--version") == (0, f"stemtrial {importlib.metadata.version('stemtrial')}\n", "")


def test_help_and_import_load_nothing_heavy():
    code = """
import sys
import stemtrial
assert not {m for m in sys.modules if m.startswith("stemtrial.")}, "import stemtrial loads rooms"
from stemtrial.cli import main
try:
    main(["run", "--help"])
except SystemExit as e:
    assert e.code == 0
heavy = {"numpy", "numba", "pandas", "scipy", "duckdb", "plotly", "yaml"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


LISTS = {
    "protocols": ("protocol", protocol_names),
    "therapies": ("therapy", catalogue),
    "endpoints": ("endpoint", definitions),
    "studies": ("study", studies),
    "claims": ("claim", claims),
    "instruments": ("instrument", instruments),
    "parameters": ("parameter", registry),
}


@pytest.mark.parametrize("what", LISTS)
def test_lists_are_the_registries(cli, what):
    key, registered = LISTS[what]
    rows = json.loads(cli("list", what, "--json").out)
    assert [r[key] for r in rows] == list(registered())
    said = cli("list", what)
    assert said.code == 0
    assert said.err == ""
    printed = {line.split()[0] for line in said.out.splitlines() if not line.startswith(" ")}
    assert set(registered()) <= printed


def test_list_of_therapies_says_which_can_run(cli):
    rows = {r["therapy"]: r["modelled"] for r in json.loads(cli("list", "therapies", "--json").out)}
    assert {k for k, can in rows.items() if can} == set(modelled())


# -- explain ----------------------------------------------------------------------------------------------------------
def test_explain_ms_tells_all_of_the_model(cli):
    model = compose("ms", acting_on("ms")).model
    told = json.loads(cli("explain", "ms", "--json").out)
    assert [s["name"] for s in told["states"]] == list(model.states)
    assert {f["state"] for f in told["how_states_move"]} == set(model.next)
    assert [r["name"] for r in told["rates_open_to_therapies"]] == list(model.rates)
    assert [d["name"] for d in told["doses"]] == list(model.doses)
    jumps = [*model.removals, *model.chances, *model.arrivals, *model.hazards]
    assert [j["name"] for j in told["jumps"]] == [j.name for j in jumps]
    assert {p["name"]: p["value"] for p in told["parameters"]} == {
        p.name: p.value for p in registry().values() if p.name.startswith("ms.")
    }
    lesion_rate = next(r for r in told["rates_open_to_therapies"] if r["name"] == "lesion_activity")
    assert {text.partition(":")[0] for text in lesion_rate["multiplied_by"]} == {"drugs", "msc"}
    assert any("drugs.entry_to" in text for text in lesion_rate["multiplied_by"])


def test_order_of_a_day_is_that_of_the_kernel(cli):
    steps = json.loads(cli("explain", "ms", "--json").out)["order_of_a_day"]
    model = compose("ms", acting_on("ms")).model

    def step(text: str) -> int:
        return next(k for k, s in enumerate(steps) if text in s)

    order = ["Visits", "Doses", "Random numbers", "Named rates", "next value"]
    jumps = [*model.removals, *model.chances, *model.arrivals, *model.hazards]
    order += [f"{j.name}:" for j in jumps]
    places = [step(text) for text in order]
    assert places == sorted(places)
    assert len(set(places)) == len(places)
    moved = next(s for s in steps if "next value" in s)
    assert all(f" {s}," in moved or f" {s}." in moved for s in model.next)
    printed = cli("explain", "ms").out
    assert " 1. Visits" in printed
    assert f"{len(steps)}. " in printed


def test_explain_a_transplant(cli):
    told = json.loads(cli("explain", "ahsct", "--json").out)
    assert {r["name"] for r in told["rates_multiplied"]} == {"b_return", "regulatory_drive"}
    assert {d["name"] for d in told["doses"]} == {
        "ahsct.mobilise",
        "ahsct.centre",
        *(f"ahsct.infuse.{i}" for i in ("low", "intermediate", "high")),
    }
    infusion = next(d for d in told["doses"] if d["name"] == "ahsct.infuse.low")
    assert {"C", "E", "B", "W"} <= set(infusion["changes"])
    assert all(s["owner"] == "ahsct" for s in told["states_added"])
    assert {j["name"] for j in told["harm_and_other_jumps"]} == {"ahsct.death"}
    assert {p["name"] for p in told["parameters"]} == {n for n in registry() if n.startswith("ahsct.")}
    assert [f["field"] for f in told["fields_in_a_protocol"]] == list(catalogue()["ahsct"].fields)


def test_explain_a_drug_shows_that_drug_only(cli):
    told = json.loads(cli("explain", "natalizumab", "--json").out)
    assert {d["name"] for d in told["doses"]} == {"drugs.start.natalizumab", "drugs.stop", "drugs.withdraw"}
    names = {p["name"] for p in told["parameters"]}
    assert {"drugs.natalizumab.entry", "drugs.onset.natalizumab"} <= names
    assert not any(d in n.split(".") for n in names for d in DRUGS if d != "natalizumab")
    assert "300 mg intravenously every 4 weeks" in cli("explain", "natalizumab").out


def test_explain_an_endpoint_tells_every_field(cli):
    told = json.loads(cli("explain", "confirmed_worsening.mist", "--json").out)
    d = definitions()["confirmed_worsening.mist"]
    assert told["citation"] == d.citation
    assert {f["field"] for f in told["fields"]} == set(d.parameters())
    by = {f["field"]: f for f in told["fields"]}
    assert by["confirmation_days"]["value"] == 183
    assert by["thresholds"]["value"] == "baseline 0 to 10: change of 1"
    assert all(f["meaning"] for f in told["fields"])


@pytest.mark.parametrize("name", [*definitions(), *catalogue(), *FAMILIES])
def test_everything_can_be_explained(cli, name):
    assert cli("explain", name).code == 0


# -- evidence ---------------------------------------------------------------------------------------------------------
def test_evidence_pools_and_keeps_recalled_and_sealed_apart(cli):
    found = forest("annualised_relapse_rate")
    said = cli("evidence", "annualised_relapse_rate")
    assert said.code == 0
    blocks = said.out.split("\n\n")
    pooled = [b for b in blocks if "\npooled, " in b]
    assert len(pooled) == sum(p.pooled is not None for p in found.panels)
    apart = {s: [r.outcome_id for r in found.rows if r.standing == s] for s in ("recalled", "sealed")}
    for standing, ids in apart.items():
        block = next((b for b in blocks if b.strip().lower().startswith(f"{standing}:")), "")
        shown = [line.split()[0] for line in block.splitlines()[2:] if not line.startswith(" ")]
        assert sorted(shown) == sorted(ids)
        assert not any(f"\n{i} " in p for i in ids for p in pooled)
    everywhere = [line.split()[0] for line in said.out.splitlines() if "#" in line.split(" ")[0]]
    assert sorted(everywhere) == sorted(r.outcome_id for r in found.rows)
    rows = json.loads(cli("evidence", "annualised_relapse_rate", "--json").out)
    assert len(rows) == len(found.to_rows())


def test_evidence_writes_a_page(cli, tmp_path):
    place = tmp_path / "forest.html"
    said = cli("evidence", "confirmed_worsening.mist", "--family", "hsct", "-o", str(place))
    assert said.code == 0
    assert str(place) in said.out.replace("\n", "")
    assert "stemtrial evidence confirmed_worsening.mist --family hsct" in place.read_text()
    rows = json.loads(cli("evidence", "confirmed_worsening", "--family", "hsct", "--json", "-o", str(place)).out)
    assert {r["value"] for r in rows if r.get("standing") == "sealed"} == {None}


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("neda3", "-o", "forest"), "write forest.html"),
        (("neda3", "-o", "no_such_folder/forest.html"), "a folder that exists"),
        (("eq5d_change",), "is not in the evidence; did you mean"),
    ],
)
def test_evidence_refuses_in_one_line(args, says, cli):
    said = cli("evidence", *args)
    assert said.code == 2
    assert says in said.err
    assert said.out == ""


def test_evidence_of_one_family(cli):
    rows = json.loads(cli("evidence", "neda3", "--family", "hsct", "--statistic", "km_probability", "--json").out)
    assert {r["family"] for r in rows if r["kind"] == "outcome"} == {"hsct"}


# -- protocols --------------------------------------------------------------------------------------------------------
def test_check_tells_what_mist_does(cli):
    told = json.loads(cli("check", "mist", "--json").out)
    published = study("burt2019_mist").outcomes
    assert told["published"] == len(published) == 27
    assert told["predicted"] + len(told["not_predicted"]) == 27
    assert {e["predicts"] for e in told["estimates"]} - {None} <= {o.outcome_id for o in published}
    assert told["numbers"]["assumed"] > 0
    assert "no source given" not in told["numbers"]
    out = cli("check", "mist").out
    assert "valid: it can be run" in out
    assert "randomised 1:1 in blocks of 4; patient open, rater blind" in out
    assert "crosses over to hsct" in out


def test_cohort_sets_recruits_beside_the_published(cli):
    said = cli("cohort", "mist", "--json")
    told = json.loads(said.out)
    people = [s["people"] for s in told["funnel"]]
    assert people == sorted(people, reverse=True)
    assert people[-1] == told["distinct_recruits"] > 0
    by = {r["variable"]: r for r in told["baseline"]}
    assert by["edss"]["published"] == {"hsct": 3.38, "dmt": 3.31}
    assert 2.0 <= by["edss"]["mean"] <= 6.0
    assert by["relapses_last_12_months"]["mean"] >= 2.0
    printed = cli("cohort", "mist").out
    assert "3.38" in printed
    assert f"{told['distinct_recruits']:,} distinct recruits for 110 places" in printed


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize(
    "args",
    [
        ("list", "claims"), ("list", "parameters"), ("list", "studies"), ("explain", "ms"), ("explain", "ahsct"),
        ("evidence", "annualised_relapse_rate"), ("check", "mist"), ("cohort", "mist"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_nothing_is_wider_than_the_terminal_or_cut_off(cli, monkeypatch, args, width):
    monkeypatch.setenv("COLUMNS", str(width))
    narrow = cli(*args).out
    assert max(len(line) for line in narrow.splitlines()) <= width
    monkeypatch.setenv("COLUMNS", "1000")
    wide = cli(*args).out
    for text in (narrow, wide):
        assert not any(line != line.rstrip() for line in text.splitlines())
    # folding moves letters to other lines, it loses none
    assert sorted("".join(narrow.split())) == sorted("".join(wide.split()))
