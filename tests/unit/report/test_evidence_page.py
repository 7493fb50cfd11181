"""The page of the evidence: complete, offline, escaped; recalled rows apart, sealed rows without a value."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from stemtrial import evidence as ev
from stemtrial.report.evidence import forest_figure, render, rows_table, words_of, write
from stemtrial.report.words import scale_of

TERMS = [
    "neda3",
    "confirmed_disability_worsening",
    "annualised_relapse_rate",
    "treatment_related_mortality",
    "alsfrs_r",
]


@pytest.fixture(scope="module")
def found():
    return {name: ev.forest(name) for name in TERMS}


def marks(fig):
    """Values and hover texts of the published marks of a figure, by name of their trace."""
    return {t.name: (list(t.x), list(t.hovertext)) for t in fig.data if t.hovertext is not None}


@pytest.mark.parametrize("name", TERMS)
def test_a_page_is_whole_and_loads_nothing(name, found, tmp_path):
    write(found[name], tmp_path / "page.html", "stemtrial evidence <b>")
    page = (tmp_path / "page.html").read_text()
    assert page.rstrip().endswith("</html>")
    assert "&lt;b&gt;" in page
    body = re.sub(r"<script>.*?</script>", "", page, flags=re.S)
    assert not re.search(r"(?:src|href)=[\"']?https?:", body)
    assert "default-src &#39;none&#39;" in page
    for f in re.findall(r'<script type="application/json" id="[a-z0-9-]+-data">(.*?)</script>', page, flags=re.S):
        assert json.loads(f)["data"]


def test_every_row_is_in_the_table(found):
    for f in found.values():
        rows = [(p, r) for p in f.panels for r in p.rows]
        table = rows_table(rows, f.term.unit, "all")
        assert sorted(row[0].text for row in table.rows) == sorted(r.outcome_id for r in f.rows)


def test_sealed_rows_show_no_value_anywhere():
    f = ev.forest("confirmed_disability_worsening")
    table = rows_table([(p, r) for p in f.panels for r in p.rows], f.term.unit, "all")
    told = {row[0].text: row[3].text for row in table.rows}
    sealed = [r for r in f.rows if r.standing == "sealed"]
    assert sealed
    assert {told[r.outcome_id] for r in sealed} == {"withheld"}
    drawn = json.dumps([forest_figure([p], scale_of({"statistic": p.statistic, "unit": "fraction"})).to_dict()
                        for p in f.panels if any(r.value is not None for r in p.rows)], default=str)  # fmt: skip
    assert not any(r.outcome_id + " " in drawn or f'"{r.outcome_id}"' in drawn for r in sealed)


def test_recalled_rows_are_hollow_and_below_the_pool(found):
    f = found["treatment_related_mortality"]
    panel = next(p for p in f.panels if p.pooled is not None)
    recalled = [r for r in panel.rows if r.standing == "recalled" and r.value is not None]
    assert recalled
    fig = forest_figure([panel], scale_of({"statistic": panel.statistic, "unit": "fraction"}))
    traces = {t.name: t for t in fig.data if t.hovertext is not None}
    hollow = next(t for name, t in traces.items() if "recalled" in name)
    assert hollow.marker.symbol == "diamond-open"
    assert len(hollow.x) == len(recalled)
    assert min(hollow.y) > traces["pooled mean"].y[0]  # y runs downwards
    assert max(max(t.y) for n, t in traces.items() if "recalled" not in n) == traces["pooled mean"].y[0]


def test_the_drawn_pool_is_the_meta_analysis(found):
    f = found["confirmed_disability_worsening"]
    panel = next(p for p in f.panels if p.pooled is not None)
    fig = forest_figure([panel], scale_of({"statistic": panel.statistic, "unit": ""}))
    mean = next(t for t in fig.data if t.name == "pooled mean")
    np.testing.assert_allclose(mean.x, [np.exp(panel.pooled.meta.estimate)])
    bar = next(t for t in fig.data if t.name == "95 % of the mean")
    low, high = (10 ** fig.layout.xaxis.range[k] for k in (0, 1))
    np.testing.assert_allclose(bar.x[:2], np.clip(np.exp(panel.pooled.meta.ci), low, high))


def test_a_page_without_a_pool_says_so():
    page = render(ev.forest("neda3", "cells"))
    assert "0 of" in page
    assert "are pooled" in page
    assert "Pools: random effects" not in page


def test_values_in_words():
    r = next(r for r in ev.forest("treatment_related_mortality").rows if r.outcome_id == "atkins2016_canada#4")
    scale = scale_of({"statistic": "proportion", "unit": "fraction"})
    assert words_of(r, scale).startswith("4.2")
    assert words_of(r.__class__(**{**r.__dict__, "value": None}), scale) == "–"
