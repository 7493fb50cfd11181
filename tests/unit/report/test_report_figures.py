"""Figures, words and colours of a report."""

from __future__ import annotations

import doctest
import math
from typing import Any

import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemtrial.report import figures, words
from stemtrial.report.colours import ARM_TOKENS, PALETTE, TEXT_TOKENS, contrast_ratio
from stemtrial.report.words import Names, doi_url, group_by_scale, names_of, number, plain, scale_of, span, years


def test_contrast_of_all_words_and_marks() -> None:
    assert contrast_ratio("#000000", "#ffffff") == pytest.approx(21)
    assert contrast_ratio("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # the well-known grey just below AA
    for scheme in (0, 1):
        for ground in ("page", "surface", "notice"):
            for token in TEXT_TOKENS:
                ratio = contrast_ratio(PALETTE[token][scheme], PALETTE[ground][scheme])
                assert ratio >= 4.5, (token, ground, scheme, ratio)
        assert contrast_ratio(PALETTE["surface"][scheme], PALETTE["miss"][scheme]) >= 4.5  # the cross on its square


def test_words_doctests() -> None:
    assert doctest.testmod(words).failed == 0


@pytest.mark.parametrize(
    ("x", "text"),
    [(0.0, "0"), (-0.0, "0"), (3, "3"), (0.0004, "4.0e-04"), (0.09, "0.09"), (0.0991, "0.099"), (99.97, "100"),
     (1234567.2, "1,234,567"), (math.nan, "–"), ("x", "–"), (True, "–"), (-math.inf, "−∞")],
)  # fmt: skip
def test_numbers(x: Any, text: str) -> None:
    assert number(x) == text


@given(st.floats(min_value=1e-3, max_value=1e8))
def test_a_number_keeps_two_figures_below_one_and_three_above(x: float) -> None:
    assert float(number(x).replace(",", "")) == pytest.approx(x, rel=0.051 if x < 1 else 0.0051)
    assert number(-x) == "−" + number(x)


def test_spans_share_decimals_and_times_their_unit() -> None:
    assert span([17, 31.5]) == "17.0 to 31.5"
    assert span([0, 0.31]) == "0 to 0.31"
    assert span([None, None]) == span(None) == "–"
    assert span([0.5, math.inf]) == "0.50 to ∞"
    assert [years(t) for t in (0, 1 / 12, 0.5, 1, 2.5, None)] == [
        "baseline",
        "1 month",
        "6 months",
        "1 year",
        "2.5 years",
        "",
    ]


def test_names() -> None:
    assert plain("confirmed_worsening.mist") == "Confirmed worsening (MIST)"
    assert plain("neda3") == "NEDA-3"
    assert plain("t2_volume_change_pct") == "T2 volume change (%)"
    assert Names({"a": "A"}).arm(["a", "dmt"]) == "A vs Dmt"
    assert doi_url("10.1001/jama.2018.18743") == "https://doi.org/10.1001/jama.2018.18743"
    assert doi_url("10.1001/x\" onclick='") is None
    assert doi_url("javascript:alert(1)") is None


@pytest.mark.parametrize(
    ("statistic", "unit", "key", "factor"),
    [
        ("hazard_ratio", "1", "ratio", 1),
        ("rate_ratio", None, "ratio", 1),
        ("km_probability", "1", "patients_percent", 100),
        ("proportion", "%", "patients_percent", 1),
        ("difference", "fraction", "points", 100),
        ("mean_change", "%", "percent_change", 1),
        ("mean_change", "EDSS", "edss_change", 1),
        ("mean", "EDSS", "edss", 1),
        ("count", "patients", "count:patients", 1),
        ("median", "months", "value:months", 1),
        ("mean_change", "ml", "change:ml", 1),
        ("rate_per_year", "1/year", "rate", 1),
    ],
)
def test_scales(statistic: str, unit: str | None, key: str, factor: float) -> None:
    scale = scale_of({"statistic": statistic, "unit": unit})
    assert (scale.key, scale.factor, scale.log) == (key, factor, key == "ratio")


def test_ratios_percentages_and_changes_never_share_an_axis(report: dict[str, Any]) -> None:
    groups = group_by_scale(report["estimates"])
    assert [s.key for s, _ in groups][:2] == ["ratio", "patients_percent"]
    assert sum(len(rows) for _, rows in groups) == len(report["estimates"])
    for scale, rows in groups:
        assert {scale_of(r).key for r in rows} == {scale.key}
        fig = figures.forest(rows, names_of(report))
        assert fig.layout.xaxis.type == ("log" if scale.key == "ratio" else None)


def _by_name(fig: go.Figure, name: str) -> list[Any]:
    return [t for t in fig.data if t.name == name]


def test_forest_draws_the_numbers(report: dict[str, Any]) -> None:
    row = report["estimates"][6]
    fig = figures.forest([row], names_of(report))
    assert list(_by_name(fig, "predicted, 90 %")[0].x) == [*row["pi90"], None]
    assert list(_by_name(fig, "predicted, 50 %")[0].x) == [*row["pi50"], None]
    assert list(_by_name(fig, "predicted, median")[0].x) == [row["median"]]
    published = _by_name(fig, "published, from another publication")[0]
    assert published.x[0] == 0.7
    assert published.error_x.array[0] == pytest.approx(0.3)
    assert published.marker.symbol == "circle-open"
    assert "✕ outside" in [a.text for a in fig.layout.annotations]


def test_verification_has_its_own_marker(report: dict[str, Any]) -> None:
    for kind, symbol in (("primary", "circle"), ("secondary", "circle-open"), ("recalled", "diamond-open")):
        row = report["estimates"][0] | {"published": {"value": 0.1, "ci95": None, "n": 1, "verification": kind}}
        marks = [t for t in figures.forest([row]).data if t.name and t.name.startswith("published")]
        assert [m.marker.symbol for m in marks] == [symbol]
        assert (marks[0].opacity < 1) == (kind == "recalled")


def test_kaplan_meier_draws_per_cent_bands_and_numbers_at_risk(report: dict[str, Any]) -> None:
    curves = [c for c in report["curves"]["km"] if c["endpoint"] == "neda3"]
    fig = figures.kaplan_meier(curves, names_of(report))
    median = _by_name(fig, "Cells, median")[0]
    assert list(median.y) == pytest.approx([100 * m for m in curves[0]["median"]])
    assert median.line.shape == "hv"
    bands = [t for t in fig.data if t.fill == "tonexty"]
    assert list(bands[0].y) == pytest.approx([100 * m for m in curves[0]["hi"]])
    at_risk = [t for t in fig.data if t.mode == "text"]
    assert list(at_risk[0].text) == ["55", "50", "38", "27", "17", "9"]
    assert len({t.line.dash for t in fig.data if t.name and t.name.endswith("median")}) == 2  # not by colour alone


def test_gaps_break_the_median_and_leave_the_band(report: dict[str, Any]) -> None:
    curve = report["curves"]["series"][0]
    curve["median"][3], curve["lo"][3] = math.nan, None
    fig = figures.time_course([curve], names_of(report))
    assert _by_name(fig, "Cells, median")[0].y[3] is None
    assert len(next(t for t in fig.data if t.fill == "tonexty").x) == len(curve["time_years"]) - 1


def test_funnel_is_logarithmic_and_holds_an_empty_step() -> None:
    fig = figures.funnel([{"step": "all", "n": 50000, "fraction": 1.0}, {"step": "none", "n": 0, "fraction": 0.0}])
    assert fig.layout.xaxis.type == "log"
    assert [t.text[0].strip() for t in fig.data] == ["50,000 · 100 %", "0 · 0 %"]
    assert all(t.x[0] > 0 for t in fig.data)


def test_more_arms_than_colours_still_draw() -> None:
    names = Names({f"arm{k}": f"Arm {k}" for k in range(len(ARM_TOKENS) + 2)})
    rows = [{"label": "Fever", "note": "", "arm": a, "median": 5.0, "lo": 1.0, "hi": 9.0} for a in names.arms]
    fig = figures.percent_ranges(rows, names)
    assert sum(len(t.x) for t in fig.data if t.mode == "markers") == len(rows)


def test_a_verdict_has_a_line_with_room_for_it():
    row = {"arm": ["cells", "control"], "endpoint": "alsfrs_r_change", "statistic": "difference", "unit": "points",
           "time_years": 0.537, "median": 0.1, "pi50": [-1, 1], "pi90": [-2, 2], "agrees": True,
           "published": {"value": 0.3, "ci95": None, "verification": "primary"}}  # fmt: skip
    brief, long = (figures.forest([row], Names({"cells": label})) for label in ("C", "MSC-NTF IT x 0.5"))
    told = [[(a.text, a.y) for a in f.layout.annotations] for f in (brief, long)]
    assert any(t == "C vs Control · 28 weeks · difference" for t, _ in told[0])
    where = dict(told[1])
    assert where["MSC-NTF IT x 0.5 vs Control · 28 weeks"] == where["inside"] < where["difference"]
