"""The pictures of a scorecard: how far off each prediction is, and predicted intervals beside published values."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from stemtrial.evidence import terms
from stemtrial.report.colours import light, veil
from stemtrial.report.figures import axis_of
from stemtrial.report.marks import (
    LABEL_CHARS,
    LINE,
    MARKER_NAMES,
    Lanes,
    Rows,
    arrows_of,
    published_kind,
    safe,
)
from stemtrial.report.words import finite, number, scale_of, shown, span, years

MOST_Z = 6.0
"""Beyond so many standard deviations a point stands at the edge with an arrow."""
STEP = 0.25  # points whose z differ by less are stacked
BRIEF = {"interferon beta": "IFN-β", "dimethyl fumarate": "DMF"}
"""Names that are too long for a label on a telephone; the table and the pointer have them in full."""
DOT = 9  # px between stacked points


def trial_of(row: Mapping[str, Any]) -> str:
    """Name of the trial that a row is of, as protocols are named."""
    return str(row.get("protocol") or row.get("study") or "").upper()


def who_of(row: Mapping[str, Any], short: bool = False) -> str:
    """Arm or contrast and time of a row."""
    at = years(row.get("time_years"), short)
    arms = str(row.get("arms") or "")
    for name, brief in BRIEF.items() if short else ():
        arms = arms.replace(name, brief)
    return ", ".join(p for p in (arms, at) if p)


def hover_of(row: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    """Everything about a row, for the pointer."""
    scale = scale_of(row)
    s = shown(row, scale)
    unit = f" {scale.unit}" if scale.unit else ""
    z = finite(row.get("z"))
    return "<br>".join(
        [
            f"<b>{safe(trial_of(row))}</b>, {safe(who_of(row), 60)}",
            safe(labels.get(str(row.get("endpoint")), str(row.get("endpoint"))), 60),
            f"Predicted, 90 %: {span(s['pi90'])}{unit}; median {number(s['median'])}",
            f"Published: {number(s['value'])}{unit}" + (f", z {z_text(z)}" if z is not None else ""),
        ]
    )


def calibration(rows: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> go.Figure:
    """How many standard deviations each published value lies from its prediction, one lane a family.

    Parameters
    ----------
    rows : sequence of mapping
        Headlines of a scorecard with a ``z``.
    labels : mapping
        Endpoint id -> label.

    Returns
    -------
    go.Figure
        The pale band holds nine in ten, the darker one half of the points of a model that is right. Points are drawn
        by their verdict, which counts intervals as they are, not as the normal law would have them.
    """
    lanes: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        if finite(row.get("z")) is not None:
            lanes[str(row["family"])].append(row)
    layout = Rows()
    points: list[tuple[float, float, bool, str]] = []
    arrows: list[tuple[float, float, str, str]] = []
    for family in sorted(lanes, key=lambda f: -len(lanes[f])):
        members = lanes[family]
        inside = sum(bool(r["agrees"]) for r in members)
        layout.label(f"<b>{safe(family_name(family))}</b>", layout.y + LINE / 2)
        layout.label(f"{inside} of {len(members)} inside 90 %", layout.y + LINE / 2, right=True, token="muted")
        stacks: defaultdict[int, int] = defaultdict(int)
        placed = []
        for row in sorted(members, key=lambda r: (abs(r["z"]), r["outcome_id"])):
            x = min(max(row["z"], -MOST_Z), MOST_Z)
            bin_ = round(x / STEP)
            k = stacks[bin_]
            stacks[bin_] += 1
            placed.append((x, k, row))
        depth = max((k for _, k, _ in placed), default=0) + 1
        top = layout.y + LINE + 8
        for x, k, row in placed:
            y = top + DOT * (depth - 1 - k) + DOT / 2
            points.append((x, y, bool(row["agrees"]), hover_of(row, labels)))
            if abs(row["z"]) > MOST_Z:
                arrows.append((x, y, "left" if x < 0 else "right", "miss"))
        layout.y = top + DOT * depth + 16
    axis = {
        "title": {"text": "published minus predicted, standard deviations"},
        "range": [-MOST_Z - 0.5, MOST_Z + 0.5],
        "tickvals": [-6, -4, -2, 0, 2, 4, 6],
    }
    fig = layout.figure(axis)
    for edge, alpha in ((1.645, 0.13), (0.674, 0.16)):
        fig.add_vrect(x0=-edge, x1=edge, fillcolor=veil("contrast", alpha), line_width=0, layer="below")
    fig.add_vline(x=0, line={"color": light("muted"), "width": 1.2, "dash": "dot"}, layer="below")
    for agrees, symbol, token, name in (
        (True, "circle", "inside", "inside its 90 % interval"),
        (False, "x", "miss", "outside"),
    ):
        mine = [p for p in points if p[2] is agrees]
        fig.add_scatter(
            x=[p[0] for p in mine],
            y=[p[1] for p in mine],
            mode="markers",
            marker={"symbol": symbol, "size": 7.5, "color": light(token)},
            hoverinfo="text",
            hovertext=[p[3] for p in mine],
            name=name,
            cliponaxis=False,
        )
    arrows_of(fig, [(x + (0.28 if side == "right" else -0.28), y, side, t) for x, y, side, t in arrows])
    return fig


def comparison(rows: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> go.Figure:
    """Predicted intervals with the published value on them: one axis, the terms under each other, farthest off first.

    Parameters
    ----------
    rows : sequence of mapping
        Rows of a scorecard that share a scale (:func:`~stemtrial.report.words.group_by_scale`).
    labels : mapping
        Endpoint id -> label.
    """
    scale = scale_of(rows[0]) if rows else scale_of({})
    rows = by_term(rows)
    seen = [shown(row, scale_of(row)) for row in rows]
    values = [
        v for s in seen for v in (s["median"], s["value"], *s["pi50"], *s["pi90"]) if v is not None and math.isfinite(v)
    ]
    axis, lo, hi = axis_of(values, scale)

    layout, drawn = Rows(), Lanes(lo, hi)
    heading, alike = "", Counter((heading_of(r), trial_of(r), who_of(r)) for r in rows)
    for row, s in zip(rows, seen, strict=True):
        if heading_of(row) != heading:
            layout.y += 6 if heading else 0
            heading = heading_of(row)
            layout.label(safe(heading, LABEL_CHARS), layout.y + LINE / 2, token="muted")
            layout.y += LINE + 2
        words, tone = verdict_of(row)
        name = trial_of(row)
        which = str(row.get("endpoint")).partition(".")[2].replace("_", " ")
        twice = alike[heading, name, who_of(row)] > 1 and which
        told = who_of(row, short=True) + (f", {which}" if twice else "")
        room = max(12, LABEL_CHARS - len(name) - len(words))
        layout.label(f"<b>{safe(name)}</b> {safe(told, room)}", layout.y + LINE / 2)
        layout.label(words, layout.y + LINE / 2, right=True, token=tone)
        y = layout.y + LINE + 8
        note = hover_of(row, labels)
        drawn.bar(y, "contrast", note, s["median"], s["pi50"], s["pi90"])
        if s["value"] is not None:
            kind = published_kind(row.get("published"))
            drawn.point(y, kind, f"{note}<br>{MARKER_NAMES[kind]}", s["value"])
        layout.y = y + 14
    return drawn.figure(
        layout, axis, scale.reference, names=("predicted, 90 %", "predicted, 50 %", "predicted, median"), height=10,
        alphas=(0.25, 0.8, 0.5), tick=(13, 2), token="contrast",
    )  # fmt: skip


def heading_of(row: Mapping[str, Any]) -> str:
    """Label of the controlled term that a row is of: trials' own definitions of one term stand together."""
    term = terms().get(str(row.get("term")))
    return term.label if term else str(row.get("endpoint"))


def by_term(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return rows with those of one term together; terms, and rows within them, farthest off first."""
    far: defaultdict[str, float] = defaultdict(float)
    for row in rows:
        far[heading_of(row)] = max(far[heading_of(row)], abs(finite(row.get("z")) or 0.0))
    return sorted(
        rows, key=lambda r: (-far[heading_of(r)], heading_of(r), -abs(finite(r.get("z")) or 0.0), trial_of(r))
    )


def verdict_of(row: Mapping[str, Any]) -> tuple[str, str]:
    """Verdict of a row in a word, with its z, and the token of its colour."""
    if row.get("agrees") is None:
        return "sealed" if row.get("role") == "sealed" else "not scored", "muted"
    z = finite(row.get("z"))
    told = "" if z is None else f" {z_text(z)}"
    return ("✓" + told, "inside") if row["agrees"] else ("✕" + told, "miss")


def z_text(z: Any) -> str:
    """Write z with one decimal, and no sign where that leaves nothing."""
    value = finite(z)
    return "–" if value is None else number(round(value, 1) or 0.0, 1)


def family_name(family: str) -> str:
    """Family of endpoints, as a heading."""
    return {"mri": "MRI"}.get(family, family.capitalize())
