"""One picture of outcomes predicted in several ways: a lane each under one heading, the published value below."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from stemtrial.report.figures import axis_of
from stemtrial.report.marks import LABEL_CHARS, LINE, MARKER_NAMES, Lanes, Rows, published_kind, safe
from stemtrial.report.words import Names, number, scale_of, shown, span


@dataclass(frozen=True)
class Lane:
    """One way to predict an outcome: name, colour, and the summary (``median, pi50, pi90``) that it has of a row."""

    name: str
    token: str
    of: Callable[[Mapping[str, Any]], Mapping[str, Any] | None]


def lanes(rows: Sequence[Mapping[str, Any]], ways: Sequence[Lane], names: Names | None = None) -> go.Figure:
    """Draw outcomes that share an axis, predicted in several ways, with the published value.

    Parameters
    ----------
    rows : sequence of mapping
        Rows of :class:`~stemtrial.report.data.Estimate`, all of one group of
        :func:`~stemtrial.report.words.group_by_scale`.
    ways : sequence of Lane
        One line each, in this order from above to below, so that colour is not needed.
    names : Names, optional
        Labels of arms and endpoints.

    Returns
    -------
    go.Figure
        Pale bars hold 90 %, dark ones 50 % of the replicates, the line is the median.
    """
    names = names or Names()
    scale = scale_of(rows[0]) if rows else scale_of({})
    seen = [[_shown(row, w.of(row)) for w in ways] for row in rows]
    told = [shown(row, scale_of(row)) for row in rows]
    values = [v for of_row in seen for s in of_row for v in (s["median"], *s["pi50"], *s["pi90"])]
    values += [v for s in told for v in (s["value"], *s["ci95"])]
    axis, lo, hi = axis_of([v for v in values if v is not None and math.isfinite(v)], scale)

    layout, drawn = Rows(), Lanes(lo, hi)
    heading = ""
    for row, of_row, s in zip(rows, seen, told, strict=True):
        if names.title(row) != heading:
            layout.y += 6 if heading else 0
            heading = names.title(row)
            layout.heading(heading)
        layout.label(safe(names.detail(row), LABEL_CHARS + 4), layout.y + LINE / 2, token="muted")
        layout.y += LINE + 2
        for way, x in zip(ways, of_row, strict=True):
            y = layout.y + 7
            note = (
                f"<b>{safe(heading, LABEL_CHARS)}</b><br>{safe(names.detail(row), 60)}<br>{safe(way.name)}<br>"
                f"90 %: {span(x['pi90'])}<br>50 %: {span(x['pi50'])}; median {number(x['median'])}"
            )
            drawn.bar(y, way.token, note, x["median"], x["pi50"], x["pi90"])
            layout.y = y + 6
        if s["value"] is not None:
            kind = published_kind(row.get("published"))
            words = f"<b>{safe(heading, LABEL_CHARS)}</b><br>Published: {number(s['value'])}<br>{MARKER_NAMES[kind]}"
            drawn.point(layout.y + 7, kind, words, s["value"], s["ci95"])
            layout.y += 14
        layout.y += 10

    return drawn.figure(layout, axis, scale.reference, names=("90 %", "50 %", "median"))


def _shown(row: Mapping[str, Any], summary: Mapping[str, Any] | None) -> dict[str, Any]:
    """A summary of a row, in its display units."""
    return shown({**(summary or {}), "published": None}, scale_of(row))
