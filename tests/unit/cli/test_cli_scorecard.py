"""stemtrial scorecard: printed, as JSON, read back, and what it leaves in its folder."""

from __future__ import annotations

import json

import pytest

from stemtrial.cli.scoring import size_of

SMALL = ("scorecard", "--family", "ahsct", "--replicates", "4", "--point", "-o", "card")


@pytest.fixture(scope="module")
def scored(call, tmp_path_factory):
    """A scorecard of MIST alone, printed, then read back as JSON."""
    with pytest.MonkeyPatch.context() as m:
        folder = tmp_path_factory.mktemp("scorecard")
        m.chdir(folder)
        m.setenv("COLUMNS", "120")
        m.setattr("stemtrial.predict.entered.protocol_names", lambda: ["mist"])
        said = call(*SMALL)
        return said, call(*SMALL, "--json"), folder / "card"


def test_it_prints_misses_first_then_coverage_then_what_is_missing(scored):
    said = scored[0]
    assert said.code == 0, said.err
    titles = ["Misses: ", "Fitted to (fit): coverage", "Rules of acceptance", "Not predicted (", "Mind", "Written"]
    places = [said.out.index(f"\n{t}") for t in titles]
    assert places == sorted(places)
    assert "4 replicates are few" in said.out
    assert "patients at baseline are context and are not scored" in said.out
    assert "stemtrial: mist (1 of 1)" in said.err


def test_json_stands_alone_and_is_what_was_written(scored):
    told = json.loads(scored[1].out)
    assert {"settings", "z", "coverage", "rows", "not_predicted", "not_run", "protocols"} <= set(told)
    assert told == json.loads((scored[2] / "scorecard.json").read_text())
    assert told["coverage"]["all"]["cohorts"] == 1
    assert "simulating" not in scored[1].err, "the finished run was read back"


def test_the_folder_holds_the_page_and_the_run(scored):
    names = sorted(p.name for p in scored[2].iterdir())
    assert names[-2:] == ["scorecard.html", "scorecard.json"]
    assert len(names) == 3
    assert names[0].startswith("mist-")


def test_a_file_in_the_way_is_said(cli, tmp_path):
    (tmp_path / "card").write_text("mine")
    said = cli(*SMALL)
    assert (said.code, said.out) == (2, "")
    assert said.err == "stemtrial: --out card is a file; name a folder\n"


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        ((None, 25, False), (50, 25)),
        ((None, 40, False), (80, 40)),
        ((None, 3, False), (100, 3)),
        ((None, None, True), (100, None)),
        ((7, 30, False), (7, 30)),
    ],
)
def test_how_many_replicates_when_nothing_is_said(asked, got):
    assert size_of(*asked) == got
