"""What the evidence says about one endpoint, as one HTML file: forests of comparable rows, and every row in a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import plotly.graph_objects as go

from stemtrial.evidence import Forest, ForestRow, Panel
from stemtrial.evidence.forest import spoken
from stemtrial.report.figures import axis_of
from stemtrial.report.marks import (
    LABEL_CHARS,
    LINE,
    Lanes,
    Rows,
    published_kind,
    safe,
)
from stemtrial.report.page import document, write_whole
from stemtrial.report.sections import FigureView, slug, view_of
from stemtrial.report.tables import Cell, TableView
from stemtrial.report.words import DISEASES, Scale, count, number, scale_of, span, statistic, years

DRAWN = ("pooled", "listed", "context", "recalled")
"""Standings of rows that have a value to draw; sealed ones have none."""
SAID = {
    "pooled": "in the pool",
    "listed": "not pooled",
    "context": "context",
    "recalled": "recalled",
    "sealed": "sealed",
}
FORESTS = {True: ("pooled", "Pooled"), False: ("alone", "Not pooled")}


def title_of(panel: Panel) -> str:
    """What the rows of a panel have in common, in words."""
    at = f", at {years(panel.horizon_years)}" if panel.horizon_years else ""
    return f"{spoken(panel.comparison)} ({panel.disease.upper()}{at})"


def forest_figure(panels: Sequence[Panel], scale: Scale) -> go.Figure:
    """Draw panels that share an axis: published values with their intervals, below them what was pooled.

    Parameters
    ----------
    panels : sequence of Panel
        All of one scale; sealed rows are left out, as they have no value.
    scale : Scale
        The axis, and the factor from data to display.

    Returns
    -------
    go.Figure
        A mark with its 95 % interval for each row, hollow where it is recalled; of a pool the dark bar is the 95 %
        interval of the mean, the pale one the 95 % prediction interval, the line the mean.
    """
    shown = [(p, [r for r in p.rows if r.standing in DRAWN and r.value is not None]) for p in panels]
    ends = [v for _, rows in shown for r in rows for v in (r.value, r.low, r.high)]
    ends += [p.pooled.value for p in panels if p.pooled]  # of two studies the interval may be wider than the page
    axis, lo, hi = axis_of([v * scale.factor for v in ends if v is not None and math.isfinite(v)], scale)

    layout, drawn = Rows(), Lanes(lo, hi)

    def pool(panel: Panel) -> None:
        """Draw the pooled result of a panel in the next lane."""
        assert panel.pooled is not None
        p = panel.pooled
        layout.label(f"<b>{safe(_pool_words(panel), LABEL_CHARS + 4)}</b>", layout.y + LINE / 2)
        y = layout.y + LINE + 8
        note = f"<b>{safe(_pool_words(panel), 70)}</b><br>{pooled_words(panel, scale)}"
        mean, *ends = (v * scale.factor for v in (p.value, p.low, p.high, p.prediction_low, p.prediction_high))
        drawn.bar(y, "arm0", note, mean, ends[:2], ends[2:])
        layout.y = y + 14

    for panel, rows in shown:
        pooled = False
        layout.y += 6 if layout.annotations else 0
        layout.heading(title_of(panel))
        for r in sorted(rows, key=lambda r: r.standing == "recalled"):
            if r.standing == "recalled" and panel.pooled is not None and not pooled:
                pool(panel)  # what is recalled stands below it, apart
                pooled = True
            at = years(r.time_years, short=True)
            told = f"{r.outcome_id} · {at}" if r.time_years and r.time_years != panel.horizon_years else r.outcome_id
            layout.label(safe(told, LABEL_CHARS - len(SAID[r.standing]) - 2), layout.y + LINE / 2, token="muted")
            layout.label(SAID[r.standing], layout.y + LINE / 2, right=True, token="muted")
            y = layout.y + LINE + 7
            note = f"<b>{safe(r.citation, 60)}</b><br>{safe(told, 60)}<br>{words_of(r, scale)}"
            note += f"<br>n = {count(r.n)}" if r.n else ""
            note += f"<br>{safe(r.why, 70)}" if r.why else ""
            kind = published_kind({"verification": r.verification})
            assert r.value is not None  # only rows with a value are drawn
            ends = [None if v is None else v * scale.factor for v in (r.low, r.high)]
            drawn.point(y, kind, note, r.value * scale.factor, ends)
            layout.y = y + 11
        if panel.pooled is not None and not pooled:
            pool(panel)
    return drawn.figure(
        layout, axis, scale.reference, names=("95 % prediction", "95 % of the mean", "pooled mean"), height=10,
        tick=(15, 2.5),
    )  # fmt: skip


def _times(pair: tuple[float | None, float | None], scale: Scale) -> tuple[float | None, float | None]:
    low, high = (None if v is None else v * scale.factor for v in pair)
    return low, high


def words_of(r: ForestRow, scale: Scale) -> str:
    """A published value with its 95 % interval, in display units."""
    if r.value is None:
        return "–"
    interval = "" if r.low is None and r.high is None else f" ({span(_times((r.low, r.high), scale))})"
    return f"{number(r.value * scale.factor)}{interval}"


def pooled_words(panel: Panel, scale: Scale) -> str:
    """Mean, its interval and the prediction interval, in display units."""
    assert panel.pooled is not None
    p = panel.pooled
    mean = f"{number(p.value * scale.factor)} ({span(_times((p.low, p.high), scale))})"
    return f"{mean}; a new study: {_prediction(panel, scale)}"


def _prediction(panel: Panel, scale: Scale) -> str:
    """The prediction interval, each end by its own size: of few studies it spans powers of ten."""
    assert panel.pooled is not None
    return " to ".join(number(v * scale.factor) for v in (panel.pooled.prediction_low, panel.pooled.prediction_high))


def _pool_words(panel: Panel) -> str:
    assert panel.pooled is not None
    m = panel.pooled.meta
    return f"{m.k} rows pooled, I² {100 * m.i2:.0f} %"


def _scale(panel: Panel, unit: str) -> Scale:
    """Axis of a panel: statistic and unit decide, and rows of another unit have a picture of their own."""
    told = panel.rows[0].unit or unit
    return scale_of({"statistic": panel.statistic, "unit": told if told != "various" else ""})


def _pictures(found: Forest, pooled: bool) -> list[FigureView]:
    ident, heading = FORESTS[pooled]
    groups: dict[str, tuple[Scale, list[Panel]]] = {}
    for p in found.panels:
        drawn = any(r.standing in DRAWN and r.value is not None for r in p.rows)
        if (p.pooled is not None) is pooled and drawn:
            scale = _scale(p, found.term.unit)
            groups.setdefault(f"{scale.key}|{p.statistic}", (scale, []))[1].append(p)
    out = []
    for key, (scale, panels) in sorted(groups.items(), key=lambda g: (g[1][0].rank, -len(g[1][1]))):
        rows = sum(len([r for r in p.rows if r.value is not None]) for p in panels)
        title = f"{heading}: {statistic(panels[0].statistic)}" + (f", {scale.unit}" if scale.unit else "")
        caption = (
            f"{rows} published {'value' if rows == 1 else 'values'} in "
            f"{len(panels)} {'group' if len(panels) == 1 else 'groups'} that compare."
        )
        table = rows_table([(p, r) for p in panels for r in p.rows], found.term.unit, title + ".")
        fig = forest_figure(panels, scale)
        out.append(view_of(fig, f"{ident}-{slug(key)}", title, f"{title}. {caption}", caption, table))
    return out


def rows_table(rows: Sequence[tuple[Panel, ForestRow]], unit: str, caption: str) -> TableView:
    """Return rows with what they compare, value, size and standing; of sealed ones the value stays out."""
    out = []
    for p, r in rows:
        scale = _scale(p, unit)
        verification = f"verification: {r.verification}" if r.verification else ""
        value = "withheld" if r.standing == "sealed" else words_of(r, scale)
        what = f"{statistic(p.statistic)}, {spoken(r.comparison)}"
        notes = tuple(t for t in (r.definition, f"{p.disease.upper()}, role: {r.role}") if t)
        out.append(
            [
                Cell(r.outcome_id, (r.citation,)), Cell(what, notes),
                Cell(years(r.time_years) or "–", sort=r.time_years),
                Cell(value + (f" {scale.unit}" if scale.unit and value not in ("–", "withheld") else "")),
                Cell(count(r.n) if r.n else "–", sort=r.n),
                Cell(SAID[r.standing], tuple(t for t in (r.why, verification) if t)),
            ]
        )  # fmt: skip
    columns = ["Outcome", "What", "Time", "Value (95 %)", "n", "Standing"]
    return TableView(caption, columns, out, {4}, sortable=True)


def pools_table(found: Forest) -> TableView:
    """Return one row a pool: mean, intervals and heterogeneity, as the meta-analysis gave them."""
    out = []
    for p in (p for p in found.panels if p.pooled is not None):
        assert p.pooled is not None
        scale, m = _scale(p, found.term.unit), p.pooled.meta
        ends = span(_times((p.pooled.low, p.pooled.high), scale))
        out.append(
            [
                Cell(title_of(p), (statistic(p.statistic) + (f", {scale.unit}" if scale.unit else ""),)),
                Cell(str(m.k)), Cell(f"{number(p.pooled.value * scale.factor)} ({ends})"),
                Cell(_prediction(p, scale)),
                Cell(f"{m.tau2:.3g}", (f"{p.scale} scale",)), Cell(f"{100 * m.i2:.0f} %"), Cell(f"{m.q_p:.2g}"),
            ]
        )  # fmt: skip
    columns = ["What", "Rows", "Mean (95 %)", "A new study (95 %)", "tau²", "I²", "p of Q"]
    return TableView("Pools: random effects, REML, Hartung-Knapp.", columns, out, {1}, sortable=True)


def render(found: Forest, command: str = "") -> str:
    """Return what the evidence says about an endpoint as one HTML document that loads nothing.

    Parameters
    ----------
    found : Forest
        From :func:`stemtrial.evidence.forest`.
    command : str
        The command that made it, shown on the page.
    """
    pooled, alone = _pictures(found, True), _pictures(found, False)
    standings = {s: sum(r.standing == s for r in found.rows) for s in SAID}
    rows = [(p, r) for p in found.panels for r in p.rows]
    order = list(SAID)
    rows.sort(key=lambda x: order.index(x[1].standing))
    t = found.term
    return document(
        "evidence.html",
        pictures=[*pooled, *alone],
        term=t,
        benefit={"none": "neither direction is better"}.get(t.benefit, f"{t.benefit} is better"),
        diseases=" and ".join(DISEASES[d] for d in dict.fromkeys(p.disease for p in found.panels)),
        family=found.family,
        panels=len(found.panels),
        studies=len({r.study for r in found.rows}),
        standings=standings,
        n=len(found.rows),
        kinds={r.verification for r in found.rows if r.value is not None and r.standing in DRAWN},
        pooled=pooled,
        alone=alone,
        pools=pools_table(found) if pooled else None,
        table_of_rows=rows_table(rows, t.unit, "Every row: those in a pool first, sealed ones last."),
        command=command,
    )


def write(found: Forest, path: Path, command: str = "") -> None:
    """Write the page of a forest: complete or not at all."""
    write_whole(render(found, command), path)
