"""A scorecard in sum: the verdict, coverage and skill by lane, and where published values stand among replicates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from stemtrial.report.colours import light, veil
from stemtrial.report.marks import LINE, Rows, arrows_of, bars_of, blank, safe
from stemtrial.report.sections import FigureView, view_of
from stemtrial.report.tables import Cell, TableView
from stemtrial.report.words import count, number

Group = Mapping[str, Any]
FORECASTERS = {"crps_meta": "meta-analysis", "crps_no_change": "no change"}
WORDS = {True: ("✓ met", "inside"), False: ("✕ not met", "miss"), None: ("not judged", "")}
ROLES = {"test": "held out (test)", "fit": "fitted to (fit)"}
TOKENS = {"test": "contrast", "fit": "arm4"}
FARTHEST = 8.0
"""Ratio beyond which, and below the inverse of which, a point stands at the edge with an arrow."""


def percent(x: float | None) -> str:
    """Write a share as a percentage; an en dash where there is none."""
    return "–" if x is None else f"{100 * x:.0f} %"


def _cohorts(n: int) -> str:
    return f"{count(n)} cohort{'s' * (n != 1)}"


def _capital(name: str) -> str:
    return name if name == "aHSCT" else f"{name[:1].upper()}{name[1:]}"


def _span(ends: Sequence[float] | None, share: bool) -> str:
    if ends is None:
        return ""
    told = [percent(e) if share else number(e) for e in ends]
    return f"{told[0]} to {told[1]}"


def lanes_of(card: Mapping[str, Any], role: str = "test") -> list[tuple[str, Mapping[str, Any]]]:
    """Verdicts of a role that rest on a headline: all together, and lane by lane."""
    told = card.get("verdicts", {}).get(role)
    if not told:
        return []
    every = [("All together", told["all"]), *told["lane"].items()]
    return [(name, v) for name, v in every if v["coverage"]["outcomes"]]


def verdict_table(card: Mapping[str, Any]) -> TableView | None:
    """Return the rules of acceptance on test cohorts, all together and by lane; None without a test headline."""
    rows = []
    for name, v in lanes_of(card):
        c = v["coverage"]
        cells = [Cell(_capital(name), (f"{count(c['outcomes'])} outcomes of {_cohorts(c['cohorts'])}",))]
        for k, rule in enumerate(v["rules"]):
            share = k < 2
            value = "–" if rule["value"] is None else percent(rule["value"]) if share else number(rule["value"])
            notes = tuple(n for n in (_span(rule["interval"], share),) if n)
            if not share and rule["value"] is not None:
                notes += (_cohorts(rule["cohorts"]),)
            if rule["met"] is not None:
                notes += (WORDS[rule["met"]][0],)
            cells.append(Cell(value, notes, WORDS[rule["met"]][1], rule["value"]))
        rows.append([*cells, Cell(*_passed(v["passed"]))])
    if not rows:
        return None
    caption = (
        "Rules of acceptance, on studies that nothing was fitted to, each cohort counting once. Coverage: its 90 % "
        "interval over resampled cohorts holds 90 % and 50 %. CRPS as a ratio to two naive forecasters: below 1, with "
        "the upper end of its 80 % interval below 1.05. All together is judged from 25 cohorts on, a lane from 15."
    )
    columns = ["Lane", "90 % interval", "50 % interval", "CRPS / meta-analysis", "CRPS / no change", "Verdict"]
    return TableView(caption, columns, rows, {1, 2, 3, 4})


def _passed(passed: bool | None) -> tuple[str, tuple[str, ...], str]:
    text, token = {True: ("✓ passed", "inside"), False: ("✕ failed", "miss"), None: ("not judged", "muted")}[passed]
    return text, (), token


def group_table(card: Mapping[str, Any]) -> TableView:
    """Return coverage, PIT, joint ranks and CRPS ratios of every group of headlines, held out first."""
    rows = []
    for g in card.get("groups", ()):
        c, pit, joint = g["coverage"], g["pit"], g["joint"]
        name = "All" if g["by"] == "all" else g["name"].upper() if g["name"] in ("mri", "als") else g["name"]
        by = {"all": "", "lane": "lane", "family": "outcomes", "phenotype": "phenotype"}[g["by"]]
        size = f"{count(c['outcomes'])} outcomes, {_cohorts(c['cohorts'])}"
        cells = [
            Cell(_capital(name), tuple(x for x in (g["role"], by, size) if x)),
            *(_share_cell(c, level) for level in (90, 50)),
            Cell("–" if pit["mean"] is None else number(pit["mean"], 2), sort=pit["mean"]),
            *(_ratio_cell(g["ratios"][column]) for column in FORECASTERS),
        ]
        told = "–" if joint["mean"] is None else number(joint["mean"], 2)
        studies = (f"{count(joint['studies'])} studies",) if joint["studies"] else ()
        rows.append([*cells, Cell(told, studies, sort=joint["mean"])])
    caption = (
        "Groups of headlines. Below a share its 90 % interval, below a CRPS ratio its 80 % interval, over resampled "
        "cohorts; fewer than 15 cohorts are reported and not judged. Mean PIT: 0.5 where the model is right, below it "
        "where it predicts too much. Joint rank: 0.5 on average where the model is right, near 1 where the outcomes of "
        "a study are odd together."
    )
    columns = ["Headlines", "90 % interval", "50 % interval", "Mean PIT", "CRPS / meta-analysis", "CRPS / no change",
               "Joint rank"]  # fmt: skip
    return TableView(caption, columns, rows, {1, 2, 3, 4, 5, 6}, sortable=True)


def coverage_figure(lanes: Sequence[tuple[str, Mapping[str, Any]]]) -> go.Figure:
    """Share of published values inside the 90 % and the 50 % interval by lane; bars: 90 %, over resampled cohorts."""
    layout = Rows()
    bars: list[tuple[float, float, float, str]] = []
    points: dict[int, list[tuple[float, float, str]]] = {90: [], 50: []}
    for name, v in lanes:
        c = v["coverage"]
        layout.label(f"<b>{safe(_capital(name))}</b>", layout.y + LINE / 2)
        layout.label(_cohorts(c["cohorts"]), layout.y + LINE / 2, right=True, token="muted")
        y = layout.y + LINE + 9
        for level, token in ((90, "contrast"), (50, "arm1")):
            if c[f"ci90_of_{level}"]:
                low, high = (100 * e for e in c[f"ci90_of_{level}"])
                bars.append((low, high, y, token))
            told = f"<b>{safe(_capital(name))}</b><br>{level} % intervals hold {percent(c[f'inside{level}'])}"
            points[level].append((100 * c[f"inside{level}"], y, told))
            y += 12
        layout.y = y + 2
    axis = {"title": {"text": "published values inside, %"}, "range": [-2, 102], "tickvals": [0, 25, 50, 75, 90, 100]}
    fig = layout.figure(axis)
    for level, token, symbol in ((90, "contrast", "circle"), (50, "arm1", "diamond")):
        fig.add_vline(x=level, line={"color": light(token), "width": 1.2, "dash": "dot"}, layer="below")
        fig.add_scatter(
            x=[p[0] for p in points[level]], y=[p[1] for p in points[level]], mode="markers",
            name=f"{level} % interval",
            marker={"symbol": symbol, "size": 9, "color": light(token)}, hoverinfo="text",
            hovertext=[p[2] for p in points[level]], cliponaxis=False,
        )  # fmt: skip
    bars_of(fig, bars, 4, 0.45)
    return fig


def ratio_figure(lanes: Sequence[tuple[str, Mapping[str, Any]]]) -> go.Figure:
    """CRPS of the model over that of each naive forecaster by lane, with 80 % bars over resampled cohorts."""
    layout = Rows()
    bars: list[tuple[float, float, float, str]] = []
    arrows: list[tuple[float, float, str, str]] = []
    points: dict[str, list[tuple[float, float, str]]] = {k: [] for k in FORECASTERS}
    tokens = {"crps_meta": "contrast", "crps_no_change": "arm1"}

    def clip(x: float) -> float:
        return min(max(x, 1 / FARTHEST), FARTHEST)

    for name, v in lanes:
        layout.label(f"<b>{safe(_capital(name))}</b>", layout.y + LINE / 2)
        y = layout.y + LINE + 9
        for column, token in tokens.items():
            r = v["ratios"][column]
            if r["ratio"] is not None:
                if r["ci80"]:
                    bars.append((clip(r["ci80"][0]), clip(r["ci80"][1]), y, token))
                    arrows += [(FARTHEST, y, "right", token)] * (r["ci80"][1] > FARTHEST)
                    arrows += [(1 / FARTHEST, y, "left", token)] * (r["ci80"][0] < 1 / FARTHEST)
                told = f"<b>{safe(_capital(name))}</b><br>CRPS over that of {FORECASTERS[column]}: {number(r['ratio'])}"
                told += f"<br>80 %: {_span(r['ci80'], False)}<br>{_cohorts(r['cohorts'])}" if r["ci80"] else ""
                points[column].append((clip(r["ratio"]), y, told))
            y += 12
        layout.y = y + 2
    ticks = [0.125, 0.25, 0.5, 1, 2, 4, 8]
    axis = {
        "title": {"text": "CRPS over that of the naive forecaster; left is better"}, "type": "log",
        "range": [math.log10(0.9 / FARTHEST), math.log10(1.1 * FARTHEST)], "tickvals": ticks,
        "ticktext": [f"{t:g}" for t in ticks],
    }  # fmt: skip
    fig = layout.figure(axis)
    fig.add_vline(x=1, line={"color": light("muted"), "width": 1.2, "dash": "dot"}, layer="below")
    bars_of(fig, bars, 4, 0.45)
    for column, symbol in (("crps_meta", "circle"), ("crps_no_change", "diamond")):
        mine = points[column]
        fig.add_scatter(
            x=[p[0] for p in mine], y=[p[1] for p in mine], mode="markers", name=FORECASTERS[column],
            marker={"symbol": symbol, "size": 9, "color": light(tokens[column])}, hoverinfo="text",
            hovertext=[p[2] for p in mine], cliponaxis=False,
        )  # fmt: skip
    arrows_of(fig, arrows)
    return fig


def pit_figure(groups: Sequence[Group]) -> go.Figure:
    """Histogram of randomised PITs, each cohort counting once: level where the model is right."""
    fig = blank(250, {"l": 46, "r": 14, "t": 8, "b": 46}, barmode="group", bargap=0.12)
    most = 0.2
    for g in groups:
        shares = g["pit"]["histogram"]
        n = len(shares)
        most = max(most, *shares)
        fig.add_bar(
            x=[(k + 0.5) / n for k in range(n)], y=[100 * s for s in shares], name=ROLES[g["role"]],
            marker={"color": veil(TOKENS[g["role"]], 0.75)}, hoverinfo="text",
            hovertext=[f"{ROLES[g['role']]}<br>{_bin(k, n)}: {100 * s:.0f} %" for k, s in enumerate(shares)],
        )  # fmt: skip
        level = 100 / n
    fig.add_hline(y=level, line={"color": light("muted"), "width": 1.2, "dash": "dot"})
    fig.update_xaxes(title={"text": "share of replicates below the published value"}, range=[0, 1], dtick=0.2)
    fig.update_yaxes(title={"text": "outcomes, %"}, range=[0, 105 * most])
    return fig


def _bin(k: int, n: int) -> str:
    return f"{k / n:g} to {(k + 1) / n:g}"


def _share_cell(c: Mapping[str, Any], level: int) -> Cell:
    """Coverage of an interval, its own interval below."""
    notes = tuple(x for x in (_span(c[f"ci90_of_{level}"], True),) if x)
    return Cell(percent(c[f"inside{level}"]), notes, sort=c[f"inside{level}"])


def _ratio_cell(r: Mapping[str, Any]) -> Cell:
    """A CRPS ratio, its interval and cohorts below."""
    if r["ratio"] is None:
        return Cell("–")
    notes = tuple(x for x in (_span(r["ci80"], False), _cohorts(r["cohorts"])) if x)
    return Cell(number(r["ratio"]), notes, sort=r["ratio"])


def summary_views(card: Mapping[str, Any]) -> list[FigureView]:
    """Return the pictures of coverage, skill and PIT, each with its table; those without numbers are left out."""
    role = "test" if lanes_of(card) else "fit"
    lanes, out = lanes_of(card, role), []
    if lanes:
        covered = TableView(
            f"Coverage by lane, {ROLES[role]}; 90 % intervals by resampling cohorts.",
            ["Lane", "Cohorts", "90 % interval", "50 % interval"],
            [
                [Cell(_capital(name)), Cell(count(c["cohorts"])), *(_share_cell(c, level) for level in (90, 50))]
                for name, c in ((name, v["coverage"]) for name, v in lanes)
            ],
            {1, 2, 3},
        )
        said = f"Share of published values inside the 90 % and 50 % intervals, {ROLES[role]}, by lane."
        title = f"Coverage by lane, {ROLES[role]}"
        note = "● 90 % and ◆ 50 % intervals; bars: 90 % over resampled cohorts; dotted: a model that is right."
        out.append(view_of(coverage_figure(lanes), "coverage-lanes", title, said, note, covered))
    if any(r["ratio"] is not None for _, v in lanes for r in v["ratios"].values()):
        skill = TableView(
            f"CRPS over that of the naive forecasters, {ROLES[role]}; 80 % intervals by resampling cohorts.",
            ["Lane", *(f"Over {f}" for f in FORECASTERS.values())],
            [[Cell(_capital(name)), *(_ratio_cell(v["ratios"][c]) for c in FORECASTERS)] for name, v in lanes],
            {1, 2},
        )
        said = f"CRPS of the model over that of two naive forecasters, {ROLES[role]}, by lane; below 1 is better."
        note = "● over meta-analysis of comparable fit studies, ◆ over no change; bars: 80 % over resampled cohorts."
        out.append(view_of(ratio_figure(lanes), "skill", f"Skill by lane, {ROLES[role]}", said, note, skill))
    histograms = [g for g in card.get("groups", ()) if g["by"] == "all" and g["pit"]["histogram"]]
    if histograms:
        n = len(histograms[0]["pit"]["histogram"])
        table = TableView(
            "Randomised PIT: outcomes by where the published value stands among the replicates.",
            ["PIT", *(ROLES[g["role"]].capitalize() for g in histograms)],
            [[Cell(_bin(k, n)), *(Cell(percent(g["pit"]["histogram"][k])) for g in histograms)] for k in range(n)],
            set(range(1, len(histograms) + 1)),
        )
        said = "Histogram of where published values stand among the replicates; level where the model is right."
        note = "A heap at both ends: intervals are too narrow; at the left: predicted too high; at the right: too low."
        out.append(view_of(pit_figure(histograms), "pit", "Published values among the replicates", said, note, table))
    return out
