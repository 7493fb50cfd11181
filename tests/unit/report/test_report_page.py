"""The page: complete, offline, escaped, deterministic, honest about what is missing."""

from __future__ import annotations

import base64
import copy
import hashlib
import itertools
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from plotly.offline import get_plotlyjs

from stemtrial.errors import InputError
from stemtrial.report import render_report, write_report
from stemtrial.report.colours import PALETTE, dark_pairs

PLOTLY = get_plotlyjs()
VOID = {"meta", "br", "link", "img", "input", "hr", "path", "rect", "circle"}
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&</table>"


class Page(HTMLParser):
    """What a browser would see: elements with attributes, text by element, scripts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.source = text.replace(PLOTLY, "PLOTLY")  # parsing 4.7 MB of library takes seconds and shows nothing
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.stack: list[str] = []
        self.unbalanced: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.words: list[str] = []
        self.figures: list[list[str]] = []
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "figure":
            self.figures.append([])
        elif "figure" in self.stack:
            self.figures[-1].append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if not self.stack or self.stack.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        if self.stack and self.stack[-1] == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        elif not self.stack or self.stack[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    @property
    def figures_json(self) -> list[dict[str, Any]]:
        return [json.loads(t) for a, t in self.scripts if str(a.get("id", "")).endswith("-data")]


@pytest.fixture(scope="module")
def whole(shared_report: dict[str, Any]) -> Page:
    return Page(render_report(shared_report))


def test_page_is_well_formed_and_has_its_landmarks(whole: Page) -> None:
    page = whole
    assert page.unbalanced == []
    tags = [t for t, _ in page.elements]
    assert [tags.count(t) for t in ("html", "header", "nav", "main", "footer", "h1")] == [1] * 6
    assert dict(page.elements)["html"] == {"lang": "en"}
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    targets = {a["href"][1:] for t, a in page.elements if t == "a" and (a.get("href") or "").startswith("#")}  # type: ignore[index]
    assert targets <= set(ids)
    levels = [int(t[1]) for t in tags if re.fullmatch(r"h[1-6]", t)]
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    for t, a in page.elements:
        if t == "th":
            assert a.get("scope") in {"col", "row"}
    assert tags.count("table") == tags.count("caption")


def test_nothing_is_loaded(whole: Page) -> None:
    page = whole
    for tag, attrs in page.elements:
        for name in ("src", "srcset", "data", "poster", "action", "background"):
            assert name not in attrs, (tag, attrs)
        assert tag not in {"link", "iframe", "object", "embed", "base"}
        if tag == "a":
            assert re.match(r"#|https://doi\.org/", attrs.get("href") or "")
    css = re.search(r"<style>(.*?)</style>", page.source, re.S)
    assert css
    assert "url(" not in css[1]
    assert "@import" not in css[1]


def test_policy_allows_exactly_the_scripts_of_the_page(whole: Page) -> None:
    page = whole
    policy = next(
        a["content"] for t, a in page.elements if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy
    assert "default-src 'none'" in policy
    runnable = [text.replace("PLOTLY", PLOTLY) for a, text in page.scripts if a.get("type") != "application/json"]
    assert len(runnable) == 2  # Plotly.js once, and the page's own
    hashes = {base64.b64encode(hashlib.sha256(t.encode()).digest()).decode() for t in runnable}
    assert set(re.findall(r"'sha256-([^']+)'", policy)) == hashes


def test_every_picture_has_a_table_a_name_and_a_caption(whole: Page) -> None:
    page = whole
    plots = [a for t, a in page.elements if t == "div" and a.get("class") == "plot"]
    assert len(plots) == len(page.figures) == len(page.figures_json) == 16
    for inside in page.figures:
        assert {"figcaption", "h3", "details", "summary", "table", "caption"} <= set(inside)
    assert all(len(a["aria-label"] or "") > 30 for a in plots)


def test_agreement_is_said_misses_first(report: dict[str, Any]) -> None:
    page = Page(render_report(report))
    text = page.text
    marks = [a.get("class") for t, a in page.elements if t == "a" and a.get("class") in {"miss", "inside"}]
    assert marks == ["miss"] * 2 + ["inside"] * 7
    assert "2 of 9 verified outcomes lie outside the 90 % prediction interval ; 7 inside." in text
    assert "about 8 of 9 would lie inside" in text
    assert "9 further published values are shown but not scored" in text
    assert text.index("The usual-care arm worsens too slowly") < text.index("Written for an earlier run")
    assert "Predicted 17 to 31 patients (90 % interval, median 24); published 35 patients." in text
    assert "every constant of the model stands at one value" in text
    for row in report["estimates"]:
        row["agrees"] = True if row["agrees"] is False else row["agrees"]
    assert "All 9 verified outcomes lie inside" in Page(render_report(report)).text


def test_one_miss_is_singular(report: dict[str, Any]) -> None:
    report["estimates"][2]["agrees"] = True
    assert "1 of 9 verified outcomes lies outside" in Page(render_report(report)).text


def _poison(value: Any, key: str = "") -> Any:
    """Put hostile text behind every string, also dictionary keys of free text."""
    if isinstance(value, dict):
        return {(k + HOSTILE if key == "provenance" else k): _poison(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [_poison(v, key) for v in value]
    return value + HOSTILE if isinstance(value, str) else value


def test_hostile_text_stays_text(report: dict[str, Any]) -> None:
    page = Page(render_report(_poison(report)))
    assert page.unbalanced == []
    count = [t for t, _ in page.elements]
    assert count.count("script") == 2 + 1 + len(page.figures_json)
    assert "img" not in count
    assert not [a for _, attrs in page.elements for a in attrs if a.startswith("on")]
    assert not [
        a for t, a in page.elements if t == "a" and not (a.get("href") or "").startswith("#")
    ]  # no poisoned DOI
    assert "alert(1)" in page.text  # it is shown, as text

    def strings(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [s for v in value.values() for s in strings(v)]
        if isinstance(value, list):
            return [s for v in value for s in strings(v)]
        return [value] if isinstance(value, str) else []

    assert not [t for a, t in page.scripts if a.get("type") == "application/json" and "<" in t]
    drawn = [s for f in page.figures_json for s in strings(f)]
    assert any("&lt;" in s for s in drawn)
    assert not [s for s in drawn if re.search(r"<(?!/?b>|br>)", s)]  # Plotly reads HTML: only our own b and br


def test_same_input_same_text(report: dict[str, Any]) -> None:
    before = copy.deepcopy(report)
    one = render_report(report)
    assert render_report(copy.deepcopy(report)) == one
    assert report == before  # nor is the input touched


@pytest.mark.parametrize(
    "part", ["estimates", "curves", "baseline", "recruitment", "adverse_events", "disposition", "misses", "arms"]
)
def test_a_missing_part_is_said(report: dict[str, Any], whole: Page, part: str) -> None:
    said = {
        "estimates": "holds no estimates", "curves": "holds no Kaplan-Meier curves", "baseline": "no baseline table",
        "recruitment": "holds no recruitment funnel", "adverse_events": "holds no adverse events",
        "disposition": "holds no disposition", "misses": "No explanation has been written yet", "arms": "Patients –",
    }  # fmt: skip
    assert said[part] not in whole.text
    for absent in (None, "empty"):
        if absent is None:
            del report[part]
        else:
            report[part] = {} if part == "curves" else []
        page = Page(render_report(report))
        assert page.unbalanced == []
        assert said[part] in page.text


def test_a_bare_run_renders_without_plotly() -> None:
    text = render_report({"run": {"protocol": "bare"}})
    assert len(text) < 60_000
    assert "No verified published outcome to score" in text
    assert PLOTLY not in text


def _spoil(value: Any, bad: Any) -> Any:
    if isinstance(value, dict):
        return {k: (_spoil(v, bad) if k not in {"times", "arms", "run"} else v) for k, v in value.items()}
    if isinstance(value, list):
        return [_spoil(v, bad) for v in value]
    return bad if isinstance(value, float) else value


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, None])
def test_numbers_that_are_none(report: dict[str, Any], bad: float | None) -> None:
    page = Page(render_report(_spoil(report, bad)))
    assert page.unbalanced == []
    assert "nan" not in page.text.lower().split()
    for fig in page.figures_json:  # json.loads takes NaN and Infinity: a browser does not
        assert "NaN" not in json.dumps(fig)
        assert "Infinity" not in json.dumps(fig)


def test_an_infinite_end_is_drawn_to_the_edge_and_written(report: dict[str, Any]) -> None:
    report["estimates"][0]["pi90"] = [0.0, math.inf]
    page = Page(render_report(report))
    assert "0 to ∞" in page.text
    ratios = page.figures_json[0]
    symbols = [t["marker"]["symbol"] for t in ratios["data"] if "marker" in t]
    assert {"triangle-left", "triangle-right"} <= set(symbols)
    assert all(x is None or 0 < x < 1e6 for t in ratios["data"] for x in t["x"])


def test_unknown_parts_and_ragged_curves_are_refused(report: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"no part 'estimate'; did you mean 'estimates'"):
        render_report(report | {"estimate": []})
    with pytest.raises(InputError, match="lacks 'run'"):
        render_report({})
    report["curves"]["km"][0]["median"].pop()
    with pytest.raises(InputError, match=r"curve 'confirmed_worsening.mist', arm 'cells'.*'median': 60"):
        render_report(report)


def test_write_is_whole_or_nothing(report: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    with pytest.raises(InputError):
        write_report({}, path)
    assert path.read_text() == "old"
    write_report(report, path)
    assert path.read_text(encoding="utf-8") == render_report(report)
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_dark_pictures_differ_only_in_colour(whole: Page) -> None:
    pairs = dict(dark_pairs())
    pattern = re.compile("|".join(map(re.escape, pairs)))
    figures = whole.figures_json
    for fig in figures:
        text = json.dumps(fig)
        dark = pattern.sub(lambda m: pairs[m[0]], text)
        light_left = [a for a, b in PALETTE.values() if a in dark and a not in {d for _, d in PALETTE.values()}]
        assert dark != text
        assert light_left == []
        colours = set(re.findall(r'"(#[0-9a-fA-F]{3,8}|rgba?\([^"]*\))"', text)) - {"rgba(0,0,0,0)"}
        assert all(pattern.match(c) for c in colours), colours  # every colour has a dark partner


def test_repeated_published_values_all_reach_the_table(report: dict[str, Any]) -> None:
    curve = report["curves"]["series"][0]
    curve["published"] = [
        {"time_years": 1, "value": v, "ci95": None, "verification": k}
        for v, k in ((7.345, "primary"), (8.678, "secondary"))
    ] + [{"time_years": 1.7, "value": 9.987, "ci95": None, "verification": "primary"}]
    text = Page(render_report(report)).text
    assert all(f"{v:.2f}" in text for v in (7.345, 8.678, 9.987))
