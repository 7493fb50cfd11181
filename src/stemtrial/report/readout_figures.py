"""The pictures of a readout: how often each definition finds an event, and how it fares against the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from stemtrial.report.colours import light, veil
from stemtrial.report.marks import LINE, Rows, arm_token, bars_of, blank, safe
from stemtrial.report.words import finite, number, span

Row = Mapping[str, Any]
Cells = dict[tuple[str, str], dict[str, Row]]
ARM_SYMBOLS = ("circle", "diamond-open", "square", "triangle-up-open", "x")
"""Arms in their order: not told apart by colour alone."""
CLASSES = {
    "worsening": ("Worsening", "arm0", "circle"),
    "pira": ("PIRA", "arm2", "diamond"),
    "raw": ("RAW", "arm1", "square"),
    "milestone": ("Milestones and conversion", "arm3", "triangle-up"),
    "improvement": ("Improvement", "arm4", "x"),
}
"""Class of definition -> (name, colour token, symbol)."""
CAUSES = {
    "share_acute": ("acute lesions", "arm1"),
    "share_demyelination": ("demyelinated axons", "arm3"),
    "share_smouldering": ("smouldering inflammation", "arm0"),
}
"""Statistic -> (cause of axonal loss, colour token)."""

NEAR = 3.0
"""Percentage points within which numbered points share a label."""


def by_arm(rows: Sequence[Row]) -> Cells:
    """Return rows by (endpoint, arm) and statistic; a contrast stands with the arm that is compared."""
    out: Cells = {}
    for r in rows:
        arm = r["arm"] if isinstance(r["arm"], str) else r["arm"][0]
        out.setdefault((r["endpoint"], arm), {})[r["statistic"]] = r
    return out


def class_of(endpoint: str) -> str:
    """Class of a definition that is held against the truth, by its id."""
    head = endpoint.partition(".")[0]
    known = {"pira": "pira", "raw": "raw", "edss_milestone": "milestone", "spms_conversion": "milestone"}
    return known.get(head) or ("improvement" if "improvement" in head else "worsening")


def percents(row: Row | None) -> tuple[float | None, tuple[float | None, float | None]]:
    """Median and 90 % interval of a fraction, in per cent; None where there is none."""
    if row is None:
        return None, (None, None)

    def times(x: Any) -> float | None:
        value = finite(x)
        return None if value is None else 100.0 * value

    return times(row["median"]), (times(row["pi90"][0]), times(row["pi90"][1]))


def probabilities(data: Mapping[str, Any]) -> go.Figure:
    """Kaplan-Meier probability of an event to the end of follow-up: a block a definition, a bar an arm.

    Parameters
    ----------
    data : mapping
        :meth:`stemtrial.predict.readout.Readout.as_json`; definitions stand in its order.
    """
    arms, cells = list(data["run"]["patients_per_arm"]), by_arm(data["observed"])
    layout = Rows()
    bars: list[tuple[float, float, float, str]] = []
    points: dict[str, list[tuple[float, float, str]]] = {a: [] for a in arms}
    for name in dict.fromkeys(r["endpoint"] for r in data["observed"]):
        first = cells[name, arms[0]]["count"]
        layout.label(safe(name, 48), layout.y + LINE / 2)
        ratios = [cells[name, a]["hazard_ratio"] for a in arms if "hazard_ratio" in cells[name, a]]
        if len(ratios) == 1:
            ratio = finite(ratios[0]["median"])
            layout.label(f"HR {number(ratio, 2)}", layout.y + LINE / 2, right=True, token="muted")
        layout.y += LINE + 3
        for arm in arms:
            median, ends = percents(cells[name, arm]["km_probability"])
            y = layout.y + 5
            if ends[0] is not None and ends[1] is not None:
                bars.append((ends[0], ends[1], y, arm_token(arm, arms)))
            if median is not None:
                told = f"<b>{safe(name)}</b><br>{safe(first['label'], 70)}<br>{safe(arm)}: {number(median)} %, 90 %: "
                points[arm].append((median, y, told + span(ends)))
            layout.y += 11
        layout.y += 6
    high = max([b[1] for b in bars] + [p[0] for ps in points.values() for p in ps], default=100.0)
    fig = layout.figure({"title": {"text": "patients with an event, %"}, "range": [-1, min(102.0, 1.05 * high + 1)]})
    bars_of(fig, bars, 7, 0.3)
    for k, arm in enumerate(arms):
        fig.add_scatter(
            x=[p[0] for p in points[arm]], y=[p[1] for p in points[arm]], mode="markers", name=safe(arm),
            marker={"symbol": ARM_SYMBOLS[k % len(ARM_SYMBOLS)], "size": 8, "color": light(arm_token(arm, arms)),
                    "line": {"width": 1.8, "color": light(arm_token(arm, arms))}},
            hoverinfo="text", hovertext=[p[2] for p in points[arm]],
        )  # fmt: skip
    return fig


def judged(data: Mapping[str, Any], arm: str) -> list[tuple[int, str, dict[str, Row]]]:
    """Return (number, endpoint, rows by statistic) of the definitions that are held against the truth."""
    cells = by_arm(data["truth"])
    names = dict.fromkeys(r["endpoint"] for r in data["truth"] if r["statistic"] == "sensitivity")
    return [(k, name, cells[name, arm]) for k, name in enumerate(names, start=1)]


def truthful(data: Mapping[str, Any], arm: str) -> go.Figure:
    """Sensitivity against positive predictive value, a numbered point a definition, with 90 % intervals.

    Parameters
    ----------
    data : mapping
        :meth:`stemtrial.predict.readout.Readout.as_json`.
    arm : str
        Whose: ``all``, or the only arm.
    """
    fig = blank(520, {"l": 52, "r": 14, "t": 12, "b": 50})
    labels: list[tuple[float, float, list[int]]] = []
    for key, (name, token, symbol) in CLASSES.items():
        points = []
        for k, endpoint, s in judged(data, arm):
            x, x90 = percents(s["sensitivity"])
            y, y90 = percents(s["predictive_value"])
            if class_of(endpoint) != key or x is None or y is None:
                continue
            told = (
                f"<b>{k} {safe(endpoint)}</b><br>sensitivity {number(x)} %, 90 %: {span(x90)}<br>"
                f"predictive value {number(y)} %, 90 %: {span(y90)}"
            )
            points.append((x, y, x90, y90, told))
            _place(labels, x, y, k)
        if not points:
            continue

        def error(axis: int, end: int, points: list[Any] = points) -> list[float]:
            return [abs((p[2 + axis][end] if p[2 + axis][end] is not None else p[axis]) - p[axis]) for p in points]

        bar = {"type": "data", "symmetric": False, "thickness": 1, "width": 0, "color": veil(token, 0.3)}
        fig.add_scatter(
            x=[p[0] for p in points], y=[p[1] for p in points], mode="markers", name=name,
            marker={"symbol": symbol, "size": 9, "color": light(token)},
            error_x=bar | {"array": error(0, 1), "arrayminus": error(0, 0)},
            error_y=bar | {"array": error(1, 1), "arrayminus": error(1, 0)},
            hoverinfo="text", hovertext=[p[4] for p in points], cliponaxis=False,
        )  # fmt: skip
    for x, y, numbers in labels:
        fig.add_annotation(
            x=x, y=y, text=_ranges(numbers), showarrow=False, xshift=7, yshift=9, xanchor="left",
            font={"size": 11, "color": light("ink")},
        )  # fmt: skip
    fig.update_xaxes(title={"text": "sensitivity, %"}, range=[-2, 104], showline=True, ticks="outside", dtick=20)
    fig.update_yaxes(
        title={"text": "positive predictive value, %"}, range=[-2, 104], showline=True, ticks="outside", dtick=20
    )
    return fig


def _place(labels: list[tuple[float, float, list[int]]], x: float, y: float, k: int) -> None:
    """Add a number to the labels; points that lie within reach of each other's label share one."""
    for x0, y0, numbers in labels:
        if abs(x - x0) < NEAR and abs(y - y0) < NEAR:
            numbers.append(k)
            return
    labels.append((x, y, [k]))


def _ranges(numbers: Sequence[int]) -> str:
    """Write numbers with runs joined: ``'1–3, 7'``."""
    runs: list[list[int]] = []
    for k in sorted(numbers):
        if runs and k == runs[-1][1] + 1:
            runs[-1][1] = k
        else:
            runs.append([k, k])
    return ", ".join(f"{a}" if a == b else f"{a}–{b}" for a, b in runs)


def losses(data: Mapping[str, Any], arm: str) -> go.Figure:
    """True axonal loss within the events of PIRA, RAW and all worsening, by cause: medians as parts of the whole.

    Parameters
    ----------
    data, arm
        As :func:`truthful`.
    """
    cells = by_arm(data["truth"])
    layout, bars = Rows(), []
    for name in loss_names(data):
        s = cells[name, arm]
        shares = {c: finite(s[c]["median"]) for c in CAUSES}
        whole = sum(v or 0.0 for v in shares.values())
        if whole <= 0:
            continue
        layout.label(safe(name, 48), layout.y + LINE / 2)
        y, x = layout.y + LINE + 8, 0.0
        for c, (cause, token) in CAUSES.items():
            share = 100.0 * (shares[c] or 0.0) / whole
            ends = percents(s[c])[1]
            told = f"<b>{safe(name)}</b><br>{cause}: {number(share)} %, 90 %: {span(ends)}"
            bars.append((x, share, y, token, told))
            x += share
        layout.y = y + 12
    fig = layout.figure({"title": {"text": "share of the true axonal loss, %"}, "range": [0, 100]})
    for token in (t for _, t in CAUSES.values()):
        mine = [b for b in bars if b[3] == token]
        fig.add_bar(
            base=[b[0] for b in mine], x=[b[1] for b in mine], y=[b[2] for b in mine], width=12, orientation="h",
            marker={"color": light(token), "line": {"width": 1.5, "color": light("surface")}},
            hoverinfo="text", hovertext=[b[4] for b in mine],
        )  # fmt: skip
    fig.update_layout(barmode="overlay")
    return fig


def loss_names(data: Mapping[str, Any]) -> list[str]:
    """Definitions of the picture of losses: the reference, PIRA and RAW, in the order of the data."""
    names = dict.fromkeys(r["endpoint"] for r in data["truth"])
    return [n for n in names if class_of(n) in ("pira", "raw") or n == data["run"]["reference"]]
