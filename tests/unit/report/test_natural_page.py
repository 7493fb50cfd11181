"""The page of a natural history: complete, offline, escaped, misses first."""

from __future__ import annotations

import math
import re

import pytest

from stemtrial.report.natural_figures import range_of, ranges, words
from stemtrial.report.natural_history import markdown, render, write


def row(name: str, inside: bool | None, value: float = 12.0, **more: object) -> dict:
    published = {
        "outcome_id": "s#1", "study": "s", "citation": "A <b>study</b>", "role": "fit", "verification": "primary",
        "value": 11.0, "ci95": [10.0, 12.5], "interval": [10.0, 12.5], "n": 100, "note": "", "unlike": False,
        "not_scored": None,
    }  # fmt: skip
    return {
        "quantity": name, "theme": "disability", "label": f"Years <to> {name}", "unit": "y",
        "predicted": {"value": value, "mc95": [value - 1, value + 1], "people": 500}, "published": [published],
        "range": [10.0, 12.5], "range_fit": [10.0, 12.5], "inside": inside,
        "why": None if inside is not None else "sealed",
    } | more  # fmt: skip


@pytest.fixture
def data() -> dict:
    curve = {
        "label": "EDSS 6",
        "x": [0.0, 1.0, 2.0],
        "y": [0.0, 0.1, 0.2],
        "lo": [0.0, 0.05, 0.1],
        "hi": [0.0, 0.2, 0.3],
    }
    point = {"curve": 0, "x": 1.0, "y": 0.5, "axis": "x", "across": [0.5, 1.5], "verification": "recalled", "text": "t",
             "role": "fit"}  # fmt: skip
    picture = {
        "id": "p", "section": "disability", "title": "Disability", "caption": "", "x_title": "years since onset",
        "y_title": "share", "percent": True, "curves": [curve, {"label": "g", "x": [0.0], "y": [1.0], "beside": 0}],
        "published": [point],
    }  # fmt: skip
    estimates = [
        {"who": "relapsing onset", "measure": "EDSS 6", "statistic": "median", "time_years": None, "unit": "y",
         "value": math.inf, "mc95": [math.inf, math.inf], "people": 500}
    ]  # fmt: skip
    rows = [row("miss", False, 20.0), row("hit", True), row("none", None, range=None, range_fit=None)]
    settings = {"disease": "ms", "people": 500, "years": 30, "onset": "all", "seed": 1, "draws": "x", "draw": 0}
    settings |= {"n_draws": 1, "draws_label": "point"}
    return {"settings": settings, "comparison": rows, "estimates": estimates, "pictures": [picture],
            "provenance": {"seed": "1", "command": "stemtrial <cohort>"}}  # fmt: skip


def test_page_is_whole_offline_and_escaped(data, tmp_path):
    write(data, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert text == render(data)
    body = re.sub(r"<script>.*?</script>", "", text, flags=re.S)
    assert "1 of 2 quantities lies outside" in body.replace("\u00a0", " ")
    assert "<to>" not in body
    assert "A <b>study</b>" not in re.sub(r'<script type="application/json".*?</script>', "", body, flags=re.S)
    assert not re.findall(r'(?:src|href)="(?!#)', body)
    assert body.count('class="plot"') == body.count("<figure") == body.count("</figure>") == 2
    assert body.count("<details") >= 3  # a table below each picture, and the estimates


def test_words():
    assert words(12.0, [11.0, 13.0], "y") == "12 (11 to 13)"
    assert words(0.25, [0.2, 0.3], "share") == "25 (20 to 30)"
    assert words(28.0, [27.0, math.inf], "y") == "28 (27 or more)"
    assert words(math.inf, [30.0, math.inf], "y") == "not reached"
    assert words(math.nan, None, "y") == "–"
    assert range_of({"range": [0.1, 0.2], "unit": "share"}) == "10 to 20"
    assert range_of({"range": [5.0, 5.0], "unit": "y"}) == "5"


def test_a_time_not_reached_gets_an_arrow():
    fig = ranges(
        [row("never", False, math.inf, predicted={"value": math.inf, "mc95": [31.0, math.inf], "people": 9})], "y"
    )
    assert "triangle-right" in [t.marker.symbol for t in fig.data if t.mode == "markers"]


def test_markdown_lists_every_quantity_once(data):
    lines = markdown(data["comparison"]).splitlines()
    assert len(lines) == 5
    assert "**outside**" in lines[2]
    assert len({line.count("|") for line in lines}) == 1
