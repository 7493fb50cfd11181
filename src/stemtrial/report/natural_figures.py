"""The pictures of a natural history: ranges of the registries, and curves over time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from stemtrial.report.colours import ARM_DASHES, ARM_TOKENS, light, veil
from stemtrial.report.marks import (
    LABEL_CHARS,
    LINE,
    MARKER_NAMES,
    MARKERS,
    Rows,
    arrows_of,
    bars_of,
    blank,
    published_kind,
    published_of,
    safe,
)
from stemtrial.report.words import number, real, span

Row = Mapping[str, Any]
UNITS = {
    "y": "years",
    "age": "years",
    "share": "%",
    "ratio": "",
    "1/y": "per year",
    "%/y": "% a year",
    "EDSS/y": "EDSS a year",
    "points/y": "points a year",
}
AXES = {
    "y": ("Years", "years"),
    "age": ("Ages", "age, years"),
    "share": ("Percentages of people", "people, %"),
    "ratio": ("Ratios", "ratio (logarithmic axis)"),
    "1/y": ("Rates", "per year"),
    "%/y": ("Changes a year", "% a year"),
    "EDSS/y": ("EDSS a year", "EDSS a year"),
    "points/y": ("Points a year", "points a year"),
}


# -- words ------------------------------------------------------------------------------------------------------------
def shown(value: Any, unit: str) -> float | None:
    """A number in display units: shares in per cent."""
    x = real(value)
    return None if x is None else x * (100.0 if unit == "share" else 1.0)


def words(value: Any, interval: Sequence[Any] | None, unit: str) -> str:
    """``12.3 (11.9 to 12.8)``; what lies beyond the follow-up is not reached."""
    x = shown(value, unit)
    if x is None:
        return "–"
    if math.isinf(x):
        return "not reached"
    ends = [shown(v, unit) for v in interval or ()]
    if len(ends) != 2 or ends[0] is None or ends[1] is None:
        return number(x)
    return f"{number(x)} ({number(ends[0])} or more)" if math.isinf(ends[1]) else f"{number(x)} ({span(ends)})"


def label_of(row: Row) -> str:
    """Name of a quantity with its unit, where the name does not say it."""
    unit = UNITS[row["unit"]]
    return f"{row['label']}, {unit}" if unit and row["unit"] not in ("y", "age") else str(row["label"])


def range_of(row: Row, which: str = "range") -> str:
    """A published range in display units; a single number where nothing tells its uncertainty."""
    if not row[which]:
        return "–"
    low, high = (shown(v, row["unit"]) for v in row[which])
    return number(low) if low == high else span((low, high))


# -- pictures ---------------------------------------------------------------------------------------------------------
def ranges(rows: Sequence[Row], unit: str) -> go.Figure:
    """Simulated quantities of one unit beside the ranges that the registries span.

    Parameters
    ----------
    rows : sequence of mapping
        Rows of a comparison with a published range.
    unit : str
        Their unit, a key of :data:`AXES`.

    Returns
    -------
    go.Figure
        The pale bar is the published range, marks on it are published values, the diamond is the simulation with its
        Monte Carlo interval (often narrower than the diamond). A triangle at the edge: not reached within follow-up.
    """
    log = unit == "ratio"
    values = [
        v
        for r in rows
        for x in (r["predicted"]["value"], *r["predicted"]["mc95"], *r["range"], *_values(r))
        if (v := shown(x, unit)) is not None and math.isfinite(v) and (not log or v > 0)
    ]
    lo, hi = (min(values), max(values)) if values else (0.0, 1.0)
    if log:
        lo, hi = lo / 1.15, hi * 1.15
        ticks = [m * 10.0**p for p in range(-3, 3) for m in (1, 1.5, 2, 3, 5, 7) if lo <= m * 10.0**p <= hi]
        axis: dict[str, Any] = {
            "type": "log", "range": [math.log10(lo), math.log10(hi)], "tickvals": ticks,
            "ticktext": [f"{t:g}" for t in ticks],
        }  # fmt: skip
    else:
        pad = 0.04 * ((hi - lo) or 1.0)
        lo, hi = (min(0.0, lo - pad), hi + pad) if unit not in ("%/y", "points/y") else (lo - pad, hi + pad)
        axis = {"range": [lo, hi], "nticks": 7}
    axis["title"] = {"text": AXES[unit][1]}
    layout = Rows()
    bars: list[tuple[float, float, float, str]] = []
    errors: list[tuple[float, float, float, str]] = []
    arrows: list[tuple[float, float, str, str]] = []
    dots: list[tuple[float, float, str, str]] = []
    marks: dict[str, list[tuple[float, float, float | None, float | None, str]]] = {}
    theme = ""
    for r in rows:
        if r["theme"] != theme:
            layout.y += 8 if theme else 0
            theme = r["theme"]
            layout.label(f"<b>{safe(theme[:1].upper() + theme[1:], LABEL_CHARS)}</b>", layout.y + LINE / 2)
            layout.y += LINE + 3
        token = {True: "inside", False: "miss"}.get(r["inside"], "muted")
        lines = _wrapped(str(r["label"]))
        for k, line in enumerate(lines):
            layout.label(safe(line), layout.y + LINE / 2 + LINE * k, token="muted")
        said = {True: "inside", False: "✕ outside"}.get(r["inside"], "")
        layout.label(said, layout.y + LINE / 2 + LINE * (len(lines) - 1), right=True, token=token)
        y = layout.y + LINE * len(lines) + 9
        ends = [shown(v, unit) for v in r["range"]]
        low, high = (min(max(v if v is not None else 0.0, lo), hi) for v in ends)
        bars.append((low, max(high, low + 0.004 * (hi - lo)), y + 12, "contrast"))
        simulated = words(r["predicted"]["value"], r["predicted"]["mc95"], unit)
        note = f"<b>{safe(r['label'], 70)}</b><br>Simulated: {simulated}<br>Published range: {range_of(r)}"
        value = shown(r["predicted"]["value"], unit)
        if value is not None and math.isinf(value):
            arrows.append((hi, y, "right", token))
        elif value is not None:
            dots.append((value, y, token, note))
            a, b = (shown(v, unit) for v in r["predicted"]["mc95"])
            errors.append((max(a if a is not None else value, lo), min(b if b is not None else value, hi), y, token))
        for p in r["published"]:
            x = shown(p["value"], unit)
            if x is not None and p["not_scored"] is None:
                told = f"<b>{number(x)}</b> {safe(p['citation'], 70)}<br>{safe(p['outcome_id'])}, role {p['role']}"
                marks.setdefault(published_kind(p), []).append((min(max(x, lo), hi), y + 12, None, None, told))
        layout.y = y + 12 + 15
    fig = layout.figure(axis)
    if log and lo <= 1 <= hi:
        fig.add_vline(x=1, line={"color": light("muted"), "width": 1.2, "dash": "dot"}, layer="below")
    bars_of(fig, bars, 11, 0.3)
    for kind in MARKERS:
        if kind in marks:
            published_of(fig, marks[kind], kind, MARKERS[kind][1], horizontal=True)
    bars_of(fig, errors, 2.4, 1)
    for token in dict.fromkeys(d[2] for d in dots):
        mine = [d for d in dots if d[2] == token]
        marker = {
            "symbol": "diamond",
            "size": 11,
            "color": light(token),
            "line": {"width": 1.2, "color": light("surface")},
        }
        fig.add_scatter(
            x=[d[0] for d in mine], y=[d[1] for d in mine], mode="markers", marker=marker, hoverinfo="text",
            hovertext=[d[3] for d in mine], showlegend=False, cliponaxis=False,
        )  # fmt: skip
    arrows_of(fig, arrows)
    return fig


def _values(row: Row) -> list[Any]:
    return [p["value"] for p in row["published"] if p["not_scored"] is None]


def _wrapped(text: str) -> list[str]:
    """Break a label into lines that leave room for the verdict on a telephone."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > LABEL_CHARS - 10:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def curves(picture: Row) -> go.Figure:
    """Curves over time with Monte Carlo bands, and the published points in the colour of the curve they belong to.

    Parameters
    ----------
    picture : mapping
        From :func:`stemtrial.predict.natural_curves.pictures`.
    """
    factor = 100.0 if picture["percent"] else 1.0
    unit = " %" if picture["percent"] else ""
    fig = blank(360, {"l": 46, "r": 14, "t": 26, "b": 50})
    for k, c in enumerate(picture["curves"]):
        token = token_of(k, c)
        if c.get("lo"):
            band = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
            fig.add_scatter(x=c["x"], y=[v * factor for v in c["lo"]], **band)
            fig.add_scatter(
                x=c["x"], y=[v * factor for v in c["hi"]], fill="tonexty", fillcolor=veil(token, 0.2), **band
            )
    last = max((x for c in picture["curves"] for x in c["x"]), default=1.0)
    for k, c in enumerate(picture["curves"]):
        token, dash = token_of(k, c), dash_of(k, c)
        lows, highs = (c.get(e) or [None] * len(c["x"]) for e in ("lo", "hi"))
        fig.add_scatter(
            x=c["x"], y=[v * factor for v in c["y"]], mode="lines", showlegend=False, hoverinfo="text",
            line={"color": light(token), "width": 2.2, "dash": dash},
            hovertext=[
                f"<b>{safe(c['label'], 50)}</b>, {number(x)}<br>{number(y * factor)}{unit}"
                + (f" (95 % {span((a * factor, b * factor))})" if a is not None else "")
                for x, y, a, b in zip(c["x"], c["y"], lows, highs, strict=True)
            ],
        )  # fmt: skip
    for kind in MARKERS:
        for k in range(len(picture["curves"])):
            for axis in ("x", "y"):
                dots = []
                for p in picture["published"]:
                    if published_kind(p) != kind or p["curve"] != k or p["axis"] != axis or p["x"] > last:
                        continue
                    ends = p["across"] or (None, None)
                    if axis == "y":
                        ends = tuple(None if e is None else e * factor for e in ends)
                    at = f"{number(p['y'] * factor)}{unit} at {number(p['x'])}"
                    told = f"{safe(p['text'], 90)}<br>{at}<br>{MARKER_NAMES[kind]}"
                    dots.append((p["x"], p["y"] * factor, ends[0], ends[1], told))
                if dots:
                    published_of(fig, dots, kind, ARM_TOKENS[k % 5], horizontal=axis == "x", legend=False)
    fig.update_xaxes(
        showline=True, ticks="outside", ticklen=4, title={"text": safe(picture["x_title"])}, nticks=8,
        **({"range": [-0.02 * last, 1.03 * last]} if picture["x_title"].startswith("years") else {}),
    )  # fmt: skip
    y_axis: dict[str, Any] = (
        {"range": [-2, 102], "dtick": 25, "ticksuffix": " %"} if picture["percent"] else {"nticks": 6}
    )
    lowest = min((v for c in picture["curves"] for v in c["y"]), default=0.0)
    fig.update_yaxes(automargin=True, rangemode="tozero" if lowest >= 0 else "normal", **y_axis)
    fig.add_annotation(
        text=safe(picture["y_title"], 44), xref="paper", x=0, xanchor="left", xshift=-34, yref="paper", y=1,
        yanchor="bottom", yshift=6, showarrow=False, font={"size": 12, "color": light("muted")},
    )  # fmt: skip
    return fig


def token_of(k: int, curve: Row) -> str:
    """Colour of the k-th curve of a picture; one for comparison has that of the curve it stands beside."""
    return ARM_TOKENS[curve.get("beside", k) % len(ARM_TOKENS)]


def dash_of(k: int, curve: Row) -> str:
    """Dash of the k-th curve of a picture; dots for one that is there for comparison."""
    return "dot" if "beside" in curve else ARM_DASHES[k % len(ARM_DASHES)]
