"""Estimands as one HTML file: what a trial estimates under each way to treat death, beside what is true."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from stemtrial.report.colours import light
from stemtrial.report.marks import LABEL_CHARS, LINE, Rows, bars_of, safe
from stemtrial.report.page import document, write_whole
from stemtrial.report.sections import FigureView, slug, view_of
from stemtrial.report.tables import Cell, TableView
from stemtrial.report.words import ends, finite, number, off_by, span, years

Row = Mapping[str, Any]
QUESTIONS = {
    "treatment_policy": "Observed cases: of those who are left",
    "composite": "Composite: death is the worst outcome",
    "hypothetical": "Hypothetical: had nobody died",
    "while_alive": "While alive: what was seen until death",
    "principal_stratum": "Principal stratum: who would live under either arm",
}
"""Estimand -> the question that it asks."""
UNITS = {"probability": "Chance that a treated patient does better", "points/y": "Slopes"}
"""Unit -> title of its picture; all others are differences at a time."""
Z95 = 1.96
"""Half-width of a 95 % interval in standard errors."""


@dataclass(frozen=True)
class Group:
    """Rows that are drawn as one lane of each estimator: a contrast of arms, or one drug of several."""

    label: str
    token: str
    rows: Sequence[Row]


def by_unit(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """Rows that share an axis, in the order in which their units appear."""
    units = dict.fromkeys(str(r["unit"]) for r in rows)
    return [(unit, [r for r in rows if r["unit"] == unit]) for unit in units]


def nothing(unit: str) -> float:
    """No effect in a unit."""
    return 0.5 if unit == "probability" else 0.0


def axis_words(unit: str) -> str:
    """Title of an axis: the unit, and which way is better."""
    if unit == "probability":
        return "probability; above 0.5 the treated do better"
    return f"{unit.replace('/y', ' a year')}, treated minus control; higher is better"


def _axis(values: Sequence[float], title: str, always: float) -> dict[str, Any]:
    known = [v for v in (*values, always) if math.isfinite(v)]
    low, high = min(known), max(known)
    room = 0.06 * (high - low or 1.0)
    return {"title": {"text": title}, "range": [low - room, high + room]}


def estimates(rows: Sequence[Row]) -> go.Figure:
    """What a trial estimates, 90 % of the replicates and the median, and what is true as a line across.

    Parameters
    ----------
    rows : sequence of mapping
        Of :class:`stemtrial.predict.estimands.Estimand`, of one contrast and one unit.
    """
    layout, bars = Rows(), []
    medians: list[tuple[float, float, str]] = []
    truths: list[tuple[float, float, float, str]] = []
    values: list[float] = []
    for estimand, members in groupby(rows, key=lambda r: str(r["estimand"])):
        layout.heading(QUESTIONS[estimand])
        for r in members:
            top = layout.y
            layout.label(safe(str(r["estimator"]), LABEL_CHARS + 4), layout.y + LINE / 2, token="muted")
            y = layout.y + LINE + 8
            low, high = ends(r["pi90"])
            if low is not None and high is not None and math.isfinite(low) and math.isfinite(high):
                bars.append((low, high, y, "contrast"))
                values += [low, high]
            middle, truth = finite(r["median"]), finite(r["truth"])
            told = f"<b>{safe(QUESTIONS[estimand], 60)}</b><br>{safe(str(r['estimator']), 60)}<br>"
            told += f"90 %: {span(r['pi90'])}; median {number(middle)}<br>true: {number(truth)}"
            if middle is not None:
                medians.append((middle, y, told))
                values.append(middle)
            if truth is not None:
                truths.append((truth, top + LINE + 1, y + 8, told))
                values.append(truth)
            layout.y = y + 12
        layout.y += 8
    unit = str(rows[0]["unit"])
    fig = layout.figure(_axis(values, axis_words(unit), nothing(unit)))
    fig.add_vline(x=nothing(unit), line={"color": light("muted"), "width": 1.2, "dash": "dot"}, layer="below")
    bars_of(fig, bars, 11, 0.35, "90 % of the replicates")
    fig.add_scatter(
        x=[p[0] for p in medians], y=[p[1] for p in medians], mode="markers", name="median",
        marker={"symbol": "line-ns", "size": 15, "line": {"width": 2.5, "color": light("ink")}},
        hoverinfo="text", hovertext=[p[2] for p in medians],
    )  # fmt: skip
    fig.add_scatter(
        x=[x for t in truths for x in (t[0], t[0], None)], y=[y for t in truths for y in (t[1], t[2], None)],
        mode="lines", line={"color": light("arm1"), "width": 3}, name="truth", hoverinfo="skip",
    )  # fmt: skip
    fig.add_scatter(
        x=[t[0] for t in truths], y=[t[2] for t in truths], mode="markers", showlegend=False,
        marker={"symbol": "diamond", "size": 8, "color": light("arm1")},
        hoverinfo="text", hovertext=[t[3] for t in truths],
    )  # fmt: skip
    return fig


def biases(groups: Sequence[Group]) -> go.Figure:
    """Bias of each estimator: mean of the estimates minus the truth of the same patients, with 95 % Monte Carlo.

    Parameters
    ----------
    groups : sequence of Group
        Rows of one unit; a lane of each estimator a group, in their order from above to below.
    """
    layout, bars, values = Rows(), [], [0.0]
    points: dict[str, list[tuple[float, float, str]]] = {g.label: [] for g in groups}
    keys = dict.fromkeys((str(r["estimand"]), str(r["estimator"])) for g in groups for r in g.rows)
    heading = ""
    for key in keys:
        lanes = [(g, r) for g in groups for r in g.rows if (r["estimand"], r["estimator"]) == key]
        lanes = [(g, r) for g, r in lanes if finite(r["bias"]) is not None]
        if not lanes:
            continue
        if key[0] != heading:
            layout.y += 8 if heading else 0
            heading = key[0]
            layout.heading(QUESTIONS[heading])
        layout.label(safe(key[1], LABEL_CHARS + 4), layout.y + LINE / 2, token="muted")
        layout.y += LINE + 3
        for g, r in lanes:
            y, bias, error = layout.y + 6, float(r["bias"]), Z95 * (finite(r["mcse"]) or 0.0)
            bars.append((bias - error, bias + error, y, g.token))
            values += [bias - error, bias + error]
            told = f"<b>{safe(g.label, 60)}</b><br>{safe(key[1], 60)}<br>bias {' ± '.join(off_by(bias, error))}<br>"
            points[g.label].append((bias, y, f"{told}true: {number(r['truth'])}"))
            layout.y += 13
        layout.y += 4
    unit = str(next(r["unit"] for g in groups for r in g.rows))
    fig = layout.figure(_axis(values, f"bias, {unit.replace('/y', ' a year')}: estimate minus truth", 0.0))
    fig.add_vline(x=0, line={"color": light("muted"), "width": 1.2, "dash": "dot"}, layer="below")
    bars_of(fig, bars, 8, 0.35)
    for g, symbol in zip(groups, ("circle", "diamond", "square", "triangle-up", "x") * len(groups), strict=False):
        mine = points[g.label]
        fig.add_scatter(
            x=[p[0] for p in mine], y=[p[1] for p in mine], mode="markers", name=safe(g.label, 60),
            marker={"symbol": symbol, "size": 8, "color": light(g.token)},
            hoverinfo="text", hovertext=[p[2] for p in mine],
        )  # fmt: skip
    return fig


def estimand_table(rows: Sequence[Row], caption: str) -> TableView:
    """Return estimands, a row an estimator; several contrasts stand one after the other."""
    several = len({tuple(r["arm"]) for r in rows}) > 1
    lines = []
    for r in rows:
        bias, error = finite(r["bias"]), finite(r["mcse"])
        off = off_by(bias, None if error is None else Z95 * error)
        cells = [
            Cell(str(r["estimand"]).replace("_", " "), (str(r["death"]),)), Cell(str(r["estimator"])),
            Cell(span(r["pi90"]), (str(r["unit"]),)), Cell(number(r["median"])), Cell(number(r["truth"])),
            Cell(off[0], () if error is None or bias is None else (f"± {off[1]}",), sort=bias),
        ]  # fmt: skip
        if several:
            cells.insert(0, Cell(str(r["arm"][0])))
        if any(x["n_not_estimable"] for x in rows):
            cells.append(Cell(str(r["n_not_estimable"])))
        lines.append(cells)
    columns = ["Estimand", "Estimator", "90 %", "Median", "Truth", "Bias (95 % Monte Carlo)"]
    columns = [*(["Arm"] if several else []), *columns]
    columns += ["Not estimable"] if any(x["n_not_estimable"] for x in rows) else []
    first = columns.index("90 %")
    return TableView(caption, columns, lines, set(range(first, len(columns))))


def _label(data: Mapping[str, Any], arm: str) -> str:
    return str((data.get("labels") or {}).get(arm, arm))


def render_estimands(data: Mapping[str, Any]) -> str:
    """Return the estimands of a trial as one HTML document that loads nothing.

    Parameters
    ----------
    data : mapping
        :meth:`stemtrial.predict.estimands.Estimands.as_json` with ``title``, ``labels`` (arm -> words), ``seed``,
        ``changed`` (parameter -> value) and ``command``.
    """
    rows: list[Row] = list(data["rows"])
    contrasts = list(dict.fromkeys(tuple(r["arm"]) for r in rows))
    parts: list[dict[str, Any]] = []
    for arm, control in contrasts:
        mine = [r for r in rows if tuple(r["arm"]) == (arm, control)]
        title = f"{_label(data, arm)} against {_label(data, control)}"
        views: list[FigureView] = []
        for unit, members in by_unit(mine):
            what = UNITS.get(unit, f"Difference at {years(data['time_years'])}")
            ident = f"estimates-{slug(f'{arm} {unit}')}"
            table = estimand_table(members, f"{title}: {what}.")
            views.append(view_of(estimates(members), ident, what, f"{title}: {what}.", "", table))
        both = (data.get("alive_under_both") or {}).get(arm)
        shares = [(_label(data, a), data["alive"][a]) for a in (arm, control)]
        parts.append({"id": slug(arm), "title": title, "figures": views, "alive": shares, "both": both})
    off: list[FigureView] = []
    for unit, members in by_unit([r for r in rows if finite(r["bias"]) is not None]):
        groups = [
            Group(_label(data, arm), f"arm{k % 5}", [r for r in members if r["arm"][0] == arm])
            for k, (arm, _) in enumerate(contrasts)
        ]
        what = UNITS.get(unit, f"Difference at {years(data['time_years'])}")
        table = estimand_table(members, "Bias: mean of the estimates minus the truth of the same patients.")
        off.append(view_of(biases(groups), f"bias-{slug(unit)}", what, f"Bias of each estimator: {what}.", "", table))
    pictures = [f for p in parts for f in p["figures"]] + off
    return document(
        "estimands.html",
        pictures,
        data=data,
        when=years(data["time_years"]),
        contrasts=parts,
        bias=off,
        bias_key=[(_label(data, arm), f"arm{k % 5}") for k, (arm, _) in enumerate(contrasts)],
        worst=worst(rows),
        number=number,
        percent=lambda x: f"{100 * x:.0f} %",
    )


def worst(rows: Sequence[Row]) -> Row | None:
    """Return the estimate of the main scale whose bias lies farthest beyond chance; None where none does."""
    biased = [
        (abs(b) / e, r)
        for r in rows
        if (b := finite(r["bias"])) is not None and (e := finite(r["mcse"])) and str(r["unit"]) == str(rows[0]["unit"])
    ]
    size, row = max(biased, key=lambda x: x[0], default=(0.0, None))
    return row if size > Z95 else None


def write_estimands(data: Mapping[str, Any], path: Path) -> None:
    """Write estimands to ``path`` as HTML: complete or not at all."""
    write_whole(render_estimands(data), path)
