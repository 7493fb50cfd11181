"""The posterior on the command line: used unless --point, cut by --draws, told in words."""

from __future__ import annotations

import json

import numpy as np
import pytest

from stemtrial.parameters import from_normal, shipped, write_posterior

NAMES = ("ms.kM", "ms.sig_u", "cohort.m_sd")
SMALL = ("run", "mist", "--replicates", "12", "--patients", "20")


@pytest.fixture
def posterior(tmp_path_factory, monkeypatch):
    """A package with a posterior of five draws."""
    folder = tmp_path_factory.mktemp("posterior")
    monkeypatch.setattr(shipped, "FOLDER", folder)
    values = from_normal(NAMES, np.random.default_rng(8).normal(size=(5, 3)))
    return write_posterior(folder, NAMES, values, {"label": "spring", "date": "2026-03-01"})


def test_a_run_uses_the_posterior_and_says_so(cli, posterior):
    said = cli(*SMALL)
    assert said.code == 0, said.err
    text = " ".join(said.out.split())
    assert "12 replicates of 20 patients" in text
    assert "3 draws of spring" in text, "one draw for every four replicates"
    assert "parameters %" not in text
    assert "Of the spread" in text
    assert "what is not known about the parameters" not in text


def test_draws_and_point(cli, posterior):
    def run(*more):
        return json.loads(cli(*SMALL, "--json", *more).out)["run"]

    assert run("--draws", "3")["id"] == run()["id"]
    assert (run("--draws", "5")["draws"], run("--draws", "1")["draws"]) == (5, 1)
    point = run("--point")
    assert (point["draws"], point["draws_label"]) == (1, "point")
    assert point["provenance"]["command"] == "stemtrial run mist --patients 20 --replicates 12 --point --seed 1"
    assert "posterior label" not in point["provenance"]


def test_an_old_posterior_is_told(cli, posterior):
    provenance = shipped.FOLDER / shipped.PROVENANCE
    provenance.write_text(json.dumps(json.loads(provenance.read_text()) | {"parameters": "of then"}))
    shipped._read.cache_clear()
    assert "a new fit is due" in " ".join(cli(*SMALL).out.split())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--draws", "6"), "--draws 6: spring has 5 draws; use 1 to 5"),
        (("--draws", "5", "--replicates", "4"), "--draws 5 is more than --replicates 4"),
        (("--draws", "2", "--point"), "--point and --draws 2 exclude each other"),
    ],
)
def test_draws_that_cannot_be(cli, posterior, tmp_path, options, words):
    for command in (("run", "mist"), ("compare", "burt2019_mist"), ("readout", "mist")):
        said = cli(*command, *options)
        assert said.code == 2
        assert words in said.err
    assert not list(tmp_path.iterdir())


def test_a_cohort_is_recruited_over_draws(cli, posterior):
    told, point = (json.loads(cli("cohort", "mist", "--json", *more).out) for more in ((), ("--point",)))
    assert (told["draws"], told["draws_label"]) == (5, "spring")
    assert (point["draws"], point["labels"]) == (1, ["point_parameters"])
    assert told["funnel"][0]["people"] > 0
    assert told["distinct_recruits"] >= 5 * 110, "one for every place in each draw"


def test_natural_history_divides_its_people_among_the_draws(cli, posterior):
    said = cli("cohort", "--disease", "ms", "--people", "500", "--years", "5", "--onset", "primary", "--json")
    told = json.loads(said.out)
    assert (told["settings"]["n_draws"], told["settings"]["people"]) == (2, 500)
    scored = [r["predicted"] for r in told["comparison"] if r["predicted"].get("sd")]
    assert scored
    for p in scored:
        assert p["sd"]["parameters"] >= 0
        assert p["pi95"][0] <= p["value"] <= p["pi95"][1]


def test_a_readout_goes_over_draws(cli, posterior):
    told = json.loads(cli("readout", "mist", "--replicates", "8", "--patients", "20", "--json").out)
    assert (told["run"]["draws"], told["run"]["draws_label"]) == (2, "spring")
    assert all(r["n_draws"] == 2 and r["interval"].endswith("+parameters") for r in told["observed"])
