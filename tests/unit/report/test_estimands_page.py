"""The page of estimands: complete, offline, escaped; what is farthest off; what has no truth."""

from __future__ import annotations

import re

import pytest

from stemtrial.report.estimands import Group, biases, by_unit, estimates, render_estimands, worst, write_estimands


def row(estimand: str, estimator: str, unit: str = "points", **more: object) -> dict:
    return {
        "estimand": estimand, "death": "how <death> counts", "estimator": estimator, "arm": ("drug", "placebo"),
        "unit": unit, "median": 2.0, "pi90": (1.0, 3.0), "truth": 2.5, "bias": -0.5, "mcse": 0.1, "n_not_estimable": 0,
    } | more  # fmt: skip


@pytest.fixture
def data() -> dict:
    rows = [
        row("treatment_policy", "survivors", truth=None, bias=None, mcse=None),
        row("composite", "ranks", "probability", median=0.6, pi90=(0.5, 0.7), truth=0.61, bias=0.0, mcse=0.01),
        row("hypothetical", "survivors"),
        row("hypothetical", "random slopes", bias=0.05),
        row("while_alive", "own slopes", "points/y", bias=0.01),
    ]
    return {
        "protocol": "a-trial", "title": "A <b>trial</b>", "endpoint": "e", "endpoint_label": "Score", "time_years": 1.0,
        "replicates": 50, "patients": 100, "rows": rows, "alive": {"drug": 0.9, "placebo": 0.8},
        "alive_under_both": {"drug": 0.79}, "labels": {"drug": "Drug", "placebo": "placebo"}, "seed": 1,
        "changed": {"x.y": 0.5}, "command": "stemtrial estimands a-trial",
    }  # fmt: skip


def test_page_is_whole_offline_and_escaped(data, tmp_path):
    write_estimands(data, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert text == render_estimands(data)
    body = re.sub(r"<script.*?</script>", "", text, flags=re.S)
    assert "A &lt;b&gt;trial" in body
    assert "how &lt;death&gt; counts" in body
    assert "default-src &#39;none&#39;" in body
    assert "://" not in body
    for said in ("Farthest off: survivors", "Drug against placebo", "90\u00a0% would be alive on Drug", "x.y"):
        assert said in body, said
    assert body.count('class="plot"') == 3 + 3, "three units, each estimated and with its bias"


def test_units_do_not_share_an_axis(data):
    assert [u for u, _ in by_unit(data["rows"])] == ["points", "probability", "points/y"]
    assert [len(rows) for _, rows in by_unit(data["rows"])] == [3, 1, 1]


def test_worst_is_beyond_chance_and_on_the_main_scale(data):
    assert worst(data["rows"])["estimator"] == "survivors"
    quiet = [r | {"bias": 0.1, "mcse": 0.1} for r in data["rows"]]
    assert worst(quiet) is None
    odd = [*quiet, row("composite", "ranks", "probability", bias=0.2, mcse=0.01)]
    assert worst(odd) is None


def test_what_has_no_truth_has_no_mark_and_no_bias(data):
    rows = by_unit(data["rows"])[0][1]
    fig = estimates(rows)
    diamonds = next(t for t in fig.data if t.marker.symbol == "diamond")
    assert list(diamonds.x) == [2.5, 2.5]
    lanes = biases([Group("one", "arm0", rows), Group("other", "arm1", rows)])
    points = {t.name: list(t.x) for t in lanes.data if t.mode == "markers"}
    assert points == {"one": [-0.5, 0.05], "other": [-0.5, 0.05]}


def test_infinite_and_missing_numbers_are_no_marks():
    fig = estimates([row("composite", "ranks", median=None, pi90=(None, float("inf")), truth=None, bias=None)])
    assert not [x for t in fig.data if t.mode == "markers" for x in t.x]
