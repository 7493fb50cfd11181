"""The pictures of a report, as Plotly figures: page, notebook and app draw the same ones.

Every function returns a ``plotly.graph_objects.Figure`` in light colours on a transparent ground, without a width (it
follows its container). Rows carry their labels above their bars, so that a picture reads on a telephone too. Text from
the data is escaped, since Plotly reads a subset of HTML.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from stemtrial.report.colours import ARM_TOKENS, light
from stemtrial.report.marks import (
    LABEL_CHARS,
    LINE,
    MARKER_NAMES,
    MARKERS,
    Rows,
    arm_token,
    arrows_of,
    bars_of,
    blank,
    curves_of,
    published_kind,
    published_of,
    safe,
    time_axis,
)
from stemtrial.report.words import (
    NO_HUMAN_DATA,
    Names,
    Scale,
    count,
    finite,
    number,
    real,
    scale_of,
    shown,
    span,
)


def axis_of(values: Sequence[float], scale: Scale) -> tuple[dict[str, Any], float, float]:
    """Return the x axis that holds ``values``, and its ends in display units."""
    axis: dict[str, Any] = {"title": {"text": safe(scale.axis)}}
    if scale.log:
        positive = [v for v in [*values, 1.0] if v > 0]
        lo = max(min(positive) / 1.25, max(positive) / 1e5)
        hi = max(positive) * 1.25
        ticks = [
            m * 10.0**p for p in range(-6, 7) for m in ((1, 2, 5) if hi / lo < 300 else (1,)) if lo <= m * 10.0**p <= hi
        ]
        axis |= {
            "type": "log",
            "range": [math.log10(lo), math.log10(hi)],
            "tickvals": ticks,
            "ticktext": [f"{t:g}" for t in ticks],
        }
        return axis, lo, hi
    lo, hi = min([*values, 0.0]), max([*values, 0.0])
    pad = 0.04 * ((hi - lo) or 1.0)
    lo, hi = (lo - pad if lo < 0 else lo), hi + pad
    if scale.key == "patients_percent":
        lo, hi = (0.0, 102.0) if max(values, default=0.0) > 50 else (0.0, hi)
    return axis | {"range": [lo - pad / 4, hi], "nticks": 6}, lo, hi


def forest(rows: Sequence[Mapping[str, Any]], names: Names | None = None) -> go.Figure:
    """Predicted intervals beside published values, for outcomes that share an axis.

    Parameters
    ----------
    rows : sequence of mapping
        Rows of :class:`~stemtrial.report.data.Estimate`, all of one group of
        :func:`~stemtrial.report.words.group_by_scale`.
    names : Names, optional
        Labels of arms and endpoints; ids are read aloud without it.

    Returns
    -------
    go.Figure
        The pale bar is the 90 % interval, the dark one the 50 % interval, the line the median; below it the published
        value with its 95 % confidence interval. Ratios stand on a logarithmic axis; ends that it cannot show (0, or
        infinity where an arm had no event) carry an arrow.

    """
    names = names or Names()
    arms = list(names.arms)
    scale = scale_of(rows[0]) if rows else scale_of({})
    seen = [shown(row, scale_of(row)) for row in rows]
    values = [
        v
        for s in seen
        for v in (s["median"], s["value"], *s["pi50"], *s["pi90"], *s["ci95"])
        if v is not None and math.isfinite(v)
    ]
    axis, lo, hi = axis_of(values, scale)

    def clip(x: float) -> float:
        return min(max(x, lo), hi)

    layout = Rows()
    wide: list[tuple[float, float, float, str]] = []
    narrow: list[tuple[float, float, float, str]] = []
    arrows: list[tuple[float, float, str, str]] = []
    medians: dict[str, list[tuple[float, float, str]]] = {}
    published: dict[str, list[tuple[float, float, float | None, float | None, str]]] = {}
    heading = ""
    for row, s in zip(rows, seen, strict=True):
        token = arm_token(row.get("arm"), arms)
        agrees = row.get("agrees")
        if agrees is None:
            sealed = (row.get("published") or {}).get("verification") == "sealed"
            verdict, tone = ("not scored" if s["value"] is not None else "sealed" if sealed else "no record"), "muted"
        else:
            verdict, tone = ("inside", "inside") if agrees else ("✕ outside", "miss")
        if names.title(row) != heading:  # neighbours with one endpoint share its heading
            layout.y += 6 if heading else 0
            heading = names.title(row)
            layout.heading(heading)
        untried = "⚠ " * (NO_HUMAN_DATA in (row.get("labels") or ()))
        layout.label(verdict, layout.y + LINE / 2, right=True, token=tone)
        told, _, counted = (untried + names.detail(row)).rpartition(" · ")
        if told and len(told) + len(counted) + len(verdict) > LABEL_CHARS - 2:  # the verdict has no room beside it
            layout.label(safe(told, LABEL_CHARS - 2), layout.y + LINE / 2, token="muted")
            layout.y += LINE
            told = ""
        layout.label(
            safe(" · ".join(p for p in (told, counted) if p), LABEL_CHARS - 2), layout.y + LINE / 2, token="muted"
        )
        y = layout.y + LINE + 9
        note = (
            f"<b>{safe(heading, LABEL_CHARS)}</b><br>{safe(names.detail(row), 60)}<br>"
            f"Predicted, 90 %: {span(s['pi90'])}<br>50 %: {span(s['pi50'])}; median {number(s['median'])}"
        )
        if all(v is not None for v in s["pi90"]):
            wide.append((clip(s["pi90"][0]), clip(s["pi90"][1]), y, token))
            arrows += [(lo, y, "left", token)] * (s["pi90"][0] < lo) + [(hi, y, "right", token)] * (s["pi90"][1] > hi)
        else:
            layout.label("no interval", y, token="muted")
        if all(v is not None for v in s["pi50"]):
            narrow.append((clip(s["pi50"][0]), clip(s["pi50"][1]), y, token))
        if s["median"] is not None:
            medians.setdefault(token, []).append((clip(s["median"]), y, note))
        if s["value"] is not None:
            kind = published_kind(row.get("published"))
            c0, c1 = s["ci95"]
            words = f"{note}<br>Published: {number(s['value'])}" + (
                f" (95 % {span(s['ci95'])})" if c0 is not None else ""
            )
            inner = (None if c0 is None else clip(c0), None if c1 is None else clip(c1))
            published.setdefault(kind, []).append(
                (clip(s["value"]), y + 14, *inner, words + f"<br>{MARKER_NAMES[kind]}")
            )
            y += 14
        layout.y = y + 17

    fig = layout.figure(axis)
    if scale.reference is not None and lo <= scale.reference <= hi:
        fig.add_vline(x=scale.reference, line={"color": light("muted"), "width": 1.2, "dash": "dot"}, layer="below")
    bars_of(fig, wide, 10, 0.3, "predicted, 90 %")
    bars_of(fig, wide, 1.5, 1)  # a thin line in full colour: the pale bar alone has too little contrast
    bars_of(fig, narrow, 10, 0.85, "predicted, 50 %")
    for k, (_token, points) in enumerate(medians.items()):
        marker = {"symbol": "line-ns", "size": 15, "line": {"width": 2.5, "color": light("ink")}}
        fig.add_scatter(
            x=[p[0] for p in points],
            y=[p[1] for p in points],
            mode="markers",
            marker=marker,
            hoverinfo="text",
            hovertext=[p[2] for p in points],
            name="predicted, median",
            showlegend=k == 0,
            legendgroup="median",
        )
    arrows_of(fig, arrows)
    for kind in MARKERS:
        if dots := published.get(kind):
            published_of(fig, [(p[0], p[1], p[2], p[3], p[4]) for p in dots], kind, MARKERS[kind][1], horizontal=True)
    return fig


def kaplan_meier(curves: Sequence[Mapping[str, Any]], names: Names | None = None) -> go.Figure:
    """Kaplan-Meier curves of one endpoint: medians and 90 % bands of the replicates, published points, numbers at risk.

    Parameters
    ----------
    curves : sequence of mapping
        :class:`~stemtrial.report.data.KaplanMeierCurve`, one an arm; values are fractions, drawn in per cent.
    names : Names, optional
        Labels of arms and endpoints.

    """
    names = names or Names()
    at_risk = [c for c in curves if (c.get("n_at_risk") or {}).get("times")]
    top, plot, ticks = 14, 300, 60
    table = (20 + 36 * len(at_risk)) if at_risk else 0
    inner = plot + (ticks if table else 0) + table
    fig = blank(top + inner + (6 if table else ticks), {"l": 52, "r": 14, "t": top, "b": 6 if table else ticks})
    last = curves_of(fig, curves, names, " %", 100.0, "hv")
    fig.update_xaxes(showline=True, ticks="outside", ticklen=4, anchor="y", **time_axis(last, names.since))
    fig.update_yaxes(range=[-2, 102], dtick=25, ticksuffix=" %", domain=[1 - plot / inner, 1])
    if table:
        fig.update_layout(
            yaxis2={"domain": [0, table / inner], "range": [table, 0], "visible": False, "anchor": "x2"},
            xaxis2={"matches": "x", "visible": False, "anchor": "y2"},
        )
        fig.add_annotation(
            text="Predicted number at risk (median)",
            xref="paper",
            x=0,
            xanchor="left",
            yref="y2",
            y=8,
            showarrow=False,
            font={"size": 12, "color": light("muted")},
        )
    for k, curve in enumerate(at_risk):
        colour = light(arm_token(curve.get("arm"), list(names.arms)))
        y = 20 + 36 * k
        fig.add_annotation(
            text=f"<b>{safe(names.arm(curve.get('arm')), LABEL_CHARS)}</b>",
            xref="paper",
            x=0,
            xanchor="left",
            yref="y2",
            y=y + 8,
            showarrow=False,
            font={"size": 12, "color": colour},
        )
        pairs = list(zip(curve["n_at_risk"]["times"], curve["n_at_risk"]["n"], strict=True))
        wanted = pairs[:: max(1, math.ceil(len(pairs) / 9))]
        fig.add_scatter(
            x=[t for t, _ in wanted],
            y=[y + 25] * len(wanted),
            text=[count(n) for _, n in wanted],
            mode="text",
            xaxis="x2",
            yaxis="y2",
            textfont={"size": 12, "color": colour},
            hoverinfo="skip",
            showlegend=False,
            cliponaxis=False,
        )
    return fig


def time_course(curves: Sequence[Mapping[str, Any]], names: Names | None = None) -> go.Figure:
    """A measure over time: medians and 90 % bands of the replicates, published points.

    Parameters
    ----------
    curves : sequence of mapping
        :class:`~stemtrial.report.data.SeriesCurve` of one measure, one an arm, all in the same unit.
    names : Names, optional
        Labels of arms.

    """
    names = names or Names()
    unit = str(curves[0].get("unit") or "") if curves else ""
    fig = blank(340, {"l": 46, "r": 14, "t": 30, "b": 50})
    last = curves_of(fig, curves, names, f" {safe(unit)}" if unit not in {"", "1"} else "", 1.0, "linear")
    fig.update_xaxes(showline=True, ticks="outside", ticklen=4, **time_axis(last, names.since))
    numbers = [finite(v) for c in curves for key in ("lo", "hi") for v in c.get(key) or ()]
    numbers += [
        finite(v) for c in curves for p in c.get("published") or () for v in (p.get("value"), *(p.get("ci95") or ()))
    ]
    known = [v for v in numbers if v is not None]
    fig.update_yaxes(automargin=True, nticks=6, rangemode="tozero" if known and min(known) >= 0 else "normal")
    if known and min(known) < 0 < max(known):
        fig.add_hline(y=0, line={"color": light("muted"), "width": 1.2, "dash": "dot"}, layer="below")
    if unit:
        fig.add_annotation(
            text=safe(unit, 40),
            xref="paper",
            x=0,
            xanchor="left",
            xshift=-34,
            yref="paper",
            y=1,
            yanchor="bottom",
            yshift=6,
            showarrow=False,
            font={"size": 12, "color": light("muted")},
        )
    return fig


def percent_ranges(rows: Sequence[Mapping[str, Any]], names: Names | None = None) -> go.Figure:
    """Percentages of patients with something, one line an arm: the 90 % interval as a bar, the median as a dot.

    Parameters
    ----------
    rows : sequence of mapping
        ``{label, note, arm, median, lo, hi}`` in per cent; rows of one label and note stand together, in order.
    names : Names, optional
        Labels of arms.

    """
    names = names or Names()
    arms = list(names.arms)
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((str(row.get("label")), str(row.get("note") or "")), []).append(row)
    layout = Rows()
    bars: list[tuple[float, float, float, str]] = []
    dots: list[tuple[float, float, str, str]] = []
    for (label, note), members in groups.items():
        layout.label(f"<b>{safe(label, LABEL_CHARS - 14)}</b>", layout.y + LINE / 2)
        layout.label(safe(note, 24), layout.y + LINE / 2, right=True, token="muted")
        y = layout.y + LINE + 9
        for row in members:
            token = arm_token(row.get("arm"), arms)
            mid, lo, hi = (finite(row.get(k)) for k in ("median", "lo", "hi"))
            if lo is not None and hi is not None:
                bars.append((lo, hi, y, token))
            if mid is not None:
                who = f"<b>{safe(label, 60)}</b>, {safe(names.arm(row.get('arm')))}"
                words = f"{who}<br>90 %: {span((lo, hi))} %<br>median {number(mid)} %"
                dots.append((mid, y, token, words))
            y += 13
        layout.y = y + 8
    highest = max([b[1] for b in bars] + [d[0] for d in dots], default=1.0)
    limit = 102.0 if highest > 60 else max(highest * 1.08, 2.0)
    fig = layout.figure({"title": {"text": "patients, %"}, "range": [-0.015 * limit, limit], "nticks": 6})
    bars_of(fig, bars, 8, 0.3, "90 % interval")
    bars_of(fig, bars, 1.5, 1)
    for token in dict.fromkeys(d[2] for d in dots):
        mine = [d for d in dots if d[2] == token]
        marker = {
            "size": 8,
            "color": light(token),
            "symbol": ("circle", "diamond", "square", "cross", "x")[
                ARM_TOKENS.index(token) if token in ARM_TOKENS else 0
            ],
        }
        fig.add_scatter(
            x=[d[0] for d in mine],
            y=[d[1] for d in mine],
            mode="markers",
            marker=marker,
            hoverinfo="text",
            hovertext=[d[3] for d in mine],
            name="median",
            showlegend=True,
            cliponaxis=False,
        )
    return fig


def funnel(steps: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Recruitment, step by step: how many virtual people are left, on a logarithmic axis.

    Parameters
    ----------
    steps : sequence of mapping
        :class:`~stemtrial.report.data.FunnelStep`, in order.

    """
    layout = Rows()
    counts = [finite(s.get("n")) for s in steps]
    positive = [n for n in counts if n is not None and n > 0]
    lo, hi = 10 ** math.floor(math.log10(min(positive, default=1.0))), max(positive, default=1.0) * 1.6
    points: list[tuple[float, float, str, str]] = []
    for step, n in zip(steps, counts, strict=True):
        layout.label(f"<b>{safe(step.get('step'), LABEL_CHARS)}</b>", layout.y + LINE / 2)
        share = real(step.get("fraction"))
        left = count(n) + ("" if share is None else f" · {number(100 * share)} %")
        y = layout.y + LINE + 9
        if n is not None:
            points.append((max(n, lo), y, left, f"<b>{safe(step.get('step'), 60)}</b><br>{left}"))
        layout.y = y + 16
    powers = [10.0**p for p in range(0, 13) if lo <= 10.0**p <= hi]
    ticks = {"tickvals": powers, "ticktext": [f"{p:,.0f}" for p in powers]}
    ends = {"type": "log", "range": [math.log10(lo * 0.9), math.log10(hi)]}
    fig = layout.figure({"title": {"text": "virtual people (logarithmic axis)"}, **ends, **ticks})
    middle = math.sqrt(lo * hi)
    for x, y, left, words in points:  # dots, no bars: on a logarithmic axis the length of a bar means nothing
        fig.add_shape(
            type="line", x0=0, x1=1, xref="paper", y0=y, y1=y, line={"color": light("rule"), "width": 1}, layer="below"
        )
        fig.add_scatter(
            x=[x],
            y=[y],
            mode="markers+text",
            marker={"size": 10, "color": light("contrast")},
            text=[f"  {left}  "],
            textposition="middle left" if x > middle else "middle right",
            textfont={"color": light("ink"), "size": 12.5},
            hoverinfo="text",
            hovertext=[words],
            showlegend=False,
            cliponaxis=False,
        )
    return fig
