"""``cohort --disease ms``: what it prints and writes, and its mistakes."""

from __future__ import annotations

import json

import pytest


def test_natural_history_is_written_and_printed(cli, tmp_path):
    folder = tmp_path / "out"
    size = ("--people", "200", "--years", "8", "--onset", "primary")
    said = cli("cohort", "--disease", "ms", *size, "-o", str(folder))
    assert said.code == 0, said.err
    assert said.out.index("Misses") < said.out.index("Not scored")
    assert "progressive onset" in said.out
    data = json.loads((folder / "natural_history.json").read_text())
    assert data["settings"]["people"] == 200
    assert data["provenance"]["command"].endswith("--people 200 --years 8 --onset primary --seed 1")
    assert "Untreated MS" in (folder / "report.html").read_text()
    printed = json.loads(cli("cohort", "--disease", "ms", *size, "-o", str(folder), "--json").out)
    assert printed["comparison"] == data["comparison"]


def test_natural_history_of_als(cli, tmp_path):
    folder = tmp_path / "out"
    said = cli("cohort", "--disease", "als", "--people", "200", "--years", "6", "-o", str(folder))
    assert said.code == 0, said.err
    assert "bulbar onset" in said.out
    data = json.loads((folder / "natural_history.json").read_text())
    assert data["settings"]["disease"] == "als"
    assert data["provenance"]["command"] == "stemtrial cohort --disease als --people 200 --years 6 --seed 1"
    page = (folder / "report.html").read_text()
    assert "Untreated ALS" in page
    assert "EDSS" not in page.split("<script>")[0]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ((), "name a protocol"),
        (("mist", "--disease", "ms"), "not both"),
        (("mist", "--years", "3"), "--years belongs to a natural history"),
        (("--disease", "alss"), "disease 'alss' has no natural history; did you mean 'als'"),
        (("--disease", "als", "--onset", "relapsing"), "--onset 'relapsing' is not known; valid: all, everybody"),
        (("--disease", "ms", "--people", "3"), "--people 3 is out of range"),
        (("--disease", "ms", "--years", "99"), "--years 99 is out of range; use 5 to 80"),
        (("--disease", "ms", "--onset", "relapsng"), "did you mean 'relapsing'"),
    ],
)
def test_mistakes(cli, args, says):
    said = cli("cohort", *args)
    assert said.code == 2
    assert says in said.err
    assert said.out == ""
    assert "living" not in said.err
