"""Natural history beside the registries: tables, and one page that loads nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from markupsafe import Markup

from stemtrial.report.markdown import markdown_table
from stemtrial.report.marks import published_kind
from stemtrial.report.natural_figures import (
    AXES,
    Row,
    curves,
    dash_of,
    label_of,
    range_of,
    ranges,
    shown,
    token_of,
    words,
)
from stemtrial.report.page import document, write_whole
from stemtrial.report.sections import FigureView
from stemtrial.report.tables import Cell, TableView
from stemtrial.report.words import DISEASES, count, finite, number, plain, real, span

CENSORED = "Kaplan-Meier estimates from onset; who dies first is censored: the share were nobody to die."
INCIDENCE = "Cumulative incidence from onset: who dies first never gets there."
SECTIONS = {
    "function": ("Function", "Means of those who are alive and seen: over the years ever fewer and slower people."),
    "stages": ("Stages", INCIDENCE),
    "care": ("Care", INCIDENCE),
    "disability": ("Disability", CENSORED),
    "groups": ("Who gets there sooner", "Of people with relapsing onset."),
    "activity": ("Relapses and lesions", ""),
    "tissue": ("Lesion volume, brain volume, NfL", "Means of the living."),
    "survival": ("Survival", ""),
}


PAGES = {
    "ms": {
        "name": "MS",
        "lead": "of each kind and year of onset",
        "care": "Relapses get steroids; nobody gets a disease-modifying drug.",
        "groups": "kind of onset, sex, age at onset and early attacks",
        "made": "Every virtual person is a set of equations, run day by day from the first symptom, and seen every "
        "half year through an examiner, a scanner and an assay with their errors. Disability milestones are rated "
        "scores that hold for 24 weeks; secondary progression is the published rule for scores and relapses on record. "
        "Onset is in 1980 unless a row says another year, with the activity of the middle of the eras.",
        "estimates": "Untreated people, onset in 1980.",
    },
    "als": {
        "name": "ALS",
        "lead": "",
        "care": "Ventilation and gastrostomy are offered as care offers them; nobody gets a drug, not even riluzole.",
        "groups": "site of onset, sex, age at onset and gene",
        "made": "Every virtual person is a set of equations, run day by day from the first symptom, and seen every 12 "
        "weeks through a rater, a spirometer and an assay with their errors. Stages and regions are those of the first "
        "visit that shows them, not confirmed.",
        "estimates": "Untreated people.",
    },
}
"""What a page says of its disease."""


@dataclass(frozen=True)
class Picture(FigureView):
    """A picture with a key of its own: (label, colour token, dash) of its lines, and its kinds of published values."""

    key: list[tuple[str, str, str]] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)


def verdict(row: Row) -> str:
    """Whether a quantity lies inside the published range, in words; why, where that cannot be said."""
    if row["inside"] is None:
        return f"not scored: {row['why']}"
    return "inside" if row["inside"] else "outside"


def markdown(comparison: Sequence[Row]) -> str:
    """Return the comparison as a Markdown table, misses first."""
    head = ["quantity", "simulated", "published range", "range to fit to", "published values", "verdict"]
    rows = []
    for r in comparison:
        values = "; ".join(
            f"{number(shown(x['value'], r['unit']))} {x['outcome_id']} ({x['role']})" for x in r["published"]
        )
        rows.append((
            label_of(r), words(r["predicted"]["value"], r["predicted"]["mc95"], r["unit"]), range_of(r),
            range_of(r, "range_fit"), values or "–", f"**{verdict(r)}**" if r["inside"] is False else verdict(r),
        ))  # fmt: skip
    return markdown_table(head, rows)


# -- tables -----------------------------------------------------------------------------------------------------------
def comparison_table(rows: Sequence[Row], caption: str) -> TableView:
    """Return the comparison, one row a quantity, with every published value and its role."""
    out = []
    for r in rows:
        p = r["predicted"]
        values = []
        for x in r["published"]:
            ci = f" ({span([shown(v, r['unit']) for v in x['ci95']])})" if x["ci95"] else ""
            about = ", ".join(t for t in (x["role"], x["not_scored"] or x["verification"] or "", x["note"]) if t)
            values.append(f"{number(shown(x['value'], r['unit']))}{ci} · {x['outcome_id']} · {about}")
        kind, sort = {True: ("inside", 1), False: ("miss", 0)}.get(r["inside"], ("muted", 2))
        said = {True: "✓ inside", False: "✕ outside"}.get(r["inside"], "not scored")
        out.append(
            [
                Cell(label_of(r), (r["theme"],)),
                Cell(words(p["value"], None, r["unit"]), _interval_note(p, r["unit"]), sort=real(p["value"])),
                Cell(range_of(r), (f"to fit: {range_of(r, 'range_fit')}",) if r["range"] != r["range_fit"] else ()),
                Cell("", tuple(values)) if values else Cell("–"),
                Cell(said, (r["why"],) if r["why"] and r["inside"] is None and r["published"] else (), kind, sort),
            ]
        )
    columns = ["Quantity", "Simulated", "Published range", "Published values", "Inside?"]
    return TableView(caption, columns, out, {1, 2}, sortable=True)


def _interval_note(p: Row, unit: str) -> tuple[str, ...]:
    ends = [shown(v, unit) for v in p["mc95"]]
    known = ends[0] is not None and ends[1] is not None and math.isfinite(ends[0]) and math.isfinite(ends[1])
    return (span(ends),) if known else ()


def curves_table(picture: Row) -> TableView:
    """Return the numbers of a picture: years by curve, thinned to what a reader can read."""
    factor = 100.0 if picture["percent"] else 1.0
    rows = []
    for c in picture["curves"]:
        step = max(1, len(c["x"]) // 20)
        lows, highs = (c.get(e) or [None] * len(c["x"]) for e in ("lo", "hi"))
        for k in range(0, len(c["x"]), step):
            ends = (None, None) if lows[k] is None else (lows[k] * factor, highs[k] * factor)
            rows.append(
                [
                    Cell(number(c["x"][k])),
                    Cell(c["label"]),
                    Cell(number(c["y"][k] * factor)),
                    Cell(span(ends)),
                    Cell("–"),
                ]
            )
    for p in picture["published"]:
        of = picture["curves"][p["curve"]]["label"]
        rows.append([Cell(number(p["x"])), Cell(of), Cell("–"), Cell("–"), Cell(number(p["y"] * factor), (p["text"],))])
    unit = ", %" if picture["percent"] else ""
    columns = [plain(picture["x_title"]), "Who or what", "Simulated", "95 % Monte Carlo", "Published"]
    return TableView(f"{picture['title']}: {picture['y_title']}{unit}.", columns, rows, {0, 2, 3, 4})


def estimates_table(rows: Sequence[Row], caption: str) -> TableView:
    """Return the estimates by group."""
    out = []
    for r in rows:
        t = r["time_years"]
        at = "" if t is None else f"years {t[0]}–{t[1]}" if isinstance(t, list | tuple) else f"{t:g} years"
        unit = {"y": "years", "share": "%", "ratio": ""}.get(r["unit"], r["unit"])
        out.append(
            [
                Cell(r["who"]), Cell(r["measure"], (unit,) if unit else ()), Cell(r["statistic"]), Cell(at or "–"),
                Cell(words(r["value"], None, r["unit"]), sort=real(r["value"])),
                Cell("".join(_interval_note(r, r["unit"])) or "–"), Cell(count(r["people"]), sort=finite(r["people"])),
            ]
        )  # fmt: skip
    columns = ["Who", "What", "Statistic", "When", "Simulated", "95 % Monte Carlo", "People"]
    return TableView(caption, columns, out, {4, 5, 6}, sortable=True)


# -- page -------------------------------------------------------------------------------------------------------------
def _picture(
    fig: go.Figure, ident: str, title: str, summary: str, caption: str, table: TableView, **more: Any
) -> Picture:
    fig.update_layout(showlegend=False)
    text = str(fig.to_json(engine="json"))
    return Picture(ident, title, summary, caption, int(fig.layout.height), Markup(text), [table], **more)


def _range_pictures(comparison: Sequence[Row]) -> list[Picture]:
    out: list[Picture] = []
    for unit, (title, _) in AXES.items():
        rows = [r for r in comparison if r["unit"] == unit and r["inside"] is not None]
        themes = list(dict.fromkeys(r["theme"] for r in sorted(comparison, key=lambda r: r["order"])))
        rows.sort(key=lambda r: (themes.index(r["theme"]), r["inside"], r["order"]))
        if not rows:
            continue
        inside = sum(bool(r["inside"]) for r in rows)
        caption = f"{inside} of {len(rows)} inside the published range."
        table = comparison_table(rows, f"{title}: simulated beside published.")
        summary = f"{title}: simulated values beside published ranges. {caption}"
        kinds = {published_kind(p) for r in rows for p in r["published"] if p["not_scored"] is None}
        out.append(_picture(ranges(rows, unit), f"range-{len(out)}", title, summary, caption, table, kinds=kinds))
    return out


def render(result: Mapping[str, Any]) -> str:
    """Return a natural history as one HTML document that loads nothing.

    Parameters
    ----------
    result : mapping
        ``settings``, ``comparison``, ``estimates``, ``pictures`` and ``provenance``; see
        :func:`stemtrial.predict.natural_curves.as_data`.
    """
    disease = str(result["settings"]["disease"])
    comparison = [{**r, "order": k} for k, r in enumerate(result["comparison"])]
    scored = [r for r in comparison if r["inside"] is not None]
    sections: list[dict[str, Any]] = []
    for ident in dict.fromkeys(p["section"] for p in result["pictures"]):
        title, intro = SECTIONS[ident]
        drawn = []
        for p in (p for p in result["pictures"] if p["section"] == ident):
            key = [(c["label"], token_of(k, c), dash_of(k, c)) for k, c in enumerate(p["curves"])]
            names = ", ".join(k[0] for k in key)
            kinds = {published_kind(x) for x in p["published"]}
            drawn.append(
                _picture(curves(p), p["id"], p["title"], f"{p['title']}: curves of {names}.", p["caption"],
                         curves_table(p), key=key, kinds=kinds)
            )  # fmt: skip
        if drawn:
            sections.append({"id": ident, "title": title, "intro": intro, "pictures": drawn})
    drawn_ranges = _range_pictures(comparison)
    return document(
        "natural_history.html",
        disease=DISEASES[disease],
        page=PAGES[disease],
        pictures=[*drawn_ranges, *(p for s in sections for p in s["pictures"])],
        settings=result["settings"],
        provenance=result["provenance"],
        scored=len(scored),
        inside=sum(bool(r["inside"]) for r in scored),
        misses=[{**r, "words": _miss_words(r, result["settings"]["years"])} for r in scored if not r["inside"]],
        ranges=drawn_ranges,
        sections=sections,
        comparison=comparison_table(comparison, "Every quantity, misses first."),
        estimates=estimates_table(result["estimates"], PAGES[disease]["estimates"]),
    )


def _miss_words(r: Row, years: int) -> str:
    p, unit = (
        r["predicted"],
        {"share": " %", "y": " years", "age": " years", "points/y": " points a year"}.get(r["unit"], ""),
    )
    value = real(p["value"]) or 0.0
    side = "above" if value > r["range"][1] else "below"
    said = f"not reached within {years} years" if math.isinf(value) else words(value, p["mc95"], r["unit"]) + unit
    return f"Simulated {said}, {side} the published {range_of(r)}{unit}."


def write(result: Mapping[str, Any], path: Path) -> None:
    """Write the page of a natural history: complete or not at all."""
    write_whole(render(result), path)
