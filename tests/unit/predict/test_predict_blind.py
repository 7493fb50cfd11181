"""Blind predictions: of sealed studies and of trials without results, nothing published in them, never overwritten."""

from __future__ import annotations

import datetime
import json
import re

import pytest

from stemtrial.errors import InputError
from stemtrial.evidence import studies
from stemtrial.parameters import draws_with, point_draw
from stemtrial.predict.blind import blind_predictions, folder_of
from stemtrial.predict.run import Settings

DATE = datetime.date(2030, 1, 2)
DRAWS = draws_with(["ms.lam0"], [[20.0], [22.0]], label="Synthetic 1")
SETTINGS = Settings(replicates=4, seed=2, threads=2)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    place = tmp_path_factory.mktemp("blind")
    names = ["mist", "bonab-2012", "net-ms"]
    return blind_predictions(
        SETTINGS, place / "runs", place / "blind", DRAWS, command="stemtrial scorecard --blind", date=DATE, names=names
    )


def test_sealed_outcomes_and_trials_without_results_are_predicted(made):
    folder, data = made
    assert folder.name == "2030-01-02-synthetic-1"
    assert sorted(p.name for p in folder.iterdir()) == ["README.md", "predictions.json"]
    assert json.loads((folder / "predictions.json").read_text()) == data
    assert {r["study"] for r in data["predictions"]} == {"bonab2012_msc"}
    assert {r["study"] for r in data["without_results"]} == {"netms_design"}
    assert all(r["pi90"] and r["interval"].endswith("+parameters") for r in data["predictions"])
    assert data["holds"] == "sampling+trial_effects+parameters"
    p = data["provenance"]
    assert (p["posterior"], p["posterior_hash"], p["date"]) == ("Synthetic 1", DRAWS.identity, "2030-01-02")
    assert (p["seed"], p["replicates"], p["draws"]) == (2, 4, 2)
    assert set(p["runs"]) == {"bonab-2012", "net-ms"}


def test_every_sealed_outcome_is_predicted_or_said_why(made):
    _, data = made
    told = [r["outcome_id"] for r in (*data["predictions"], *data["not_predicted"])]
    wanted = {o.outcome_id for s in studies().values() if s.role == "sealed" for o in s.outcomes}
    assert len(told) == len(set(told))
    assert set(told) == wanted
    assert data["outcomes"] == {"sealed": len(wanted), "predicted": len(data["predictions"])}
    assert all(r["reason"] for r in data["not_predicted"])


def test_nothing_published_stands_in_them(made):
    _, data = made
    for row in (*data["predictions"], *data["without_results"]):
        assert not {"published", "agrees", "z", "crps", "pit", "note", "inside90"} & set(row)


def test_the_page_has_a_line_for_each(made):
    folder, data = made
    text = (folder / "README.md").read_text()
    for r in data["predictions"]:
        assert re.search(rf"^\| #{r['outcome_id'].partition('#')[2]} \|", text, re.M)
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert all(line.count("|") in (5, 9) for line in lines)
    assert "never edited" in text


def test_nothing_is_overwritten_and_no_point_value_is_blind(made, tmp_path):
    folder, _ = made
    before = (folder / "predictions.json").read_bytes()
    with pytest.raises(InputError, match="never overwritten"):
        blind_predictions(SETTINGS, tmp_path, folder.parent, DRAWS, date=DATE, names=[])
    assert (folder / "predictions.json").read_bytes() == before
    assert list(tmp_path.iterdir()) == [], "refused before anything was run"
    with pytest.raises(InputError, match="made with a posterior"):
        folder_of(tmp_path, point_draw(), DATE)
