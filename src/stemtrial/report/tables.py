"""The tables of a report: the numbers of every picture, as rows of text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stemtrial.predict.uncertainty import shares
from stemtrial.report.words import (
    HELD,
    NO_HUMAN_DATA,
    NO_HUMAN_DATA_MARK,
    Names,
    count,
    ends,
    finite,
    number,
    plain,
    real,
    scale_of,
    shown,
    span,
    years,
)

_MOST_TIMES = 41  # rows of a curve's table for one arm; a longer curve is thinned, and the caption says so


@dataclass(frozen=True)
class Cell:
    """One cell: its text, muted lines below it, a CSS class, and the value to sort by where the text is no number."""

    text: str
    notes: tuple[str, ...] = ()
    kind: str = ""
    sort: float | None = None


@dataclass(frozen=True)
class TableView:
    """A table ready to print: caption, column names, rows of cells; ``numeric`` columns are set flush right."""

    caption: str
    columns: list[str]
    rows: list[list[Cell]]
    numeric: set[int] = field(default_factory=set)
    sortable: bool = False
    ids: list[str] = field(default_factory=list)


def verdict(row: Mapping[str, Any]) -> Cell:
    """Return whether the published value of an estimate lies inside its 90 % interval, in words."""
    published = row.get("published") or {}
    if row.get("agrees") is True:
        return Cell("✓ inside", kind="inside", sort=1)
    if row.get("agrees") is False:
        return Cell("✕ outside", kind="miss", sort=0)
    if str(published.get("verification")) == "sealed":
        return Cell("not scored", ("sealed",), "muted", 2)
    if real(published.get("value")) is None:
        return Cell("–", ("nothing published",), "muted", 3)
    return Cell("not scored", (plain(published.get("verification") or "unverified").lower(),), "muted", 2)


def published_cell(value: Any, ci95: Sequence[Any] | None, published: Mapping[str, Any] | None) -> Cell:
    """Return a published value over its interval, how many patients, and how it was checked."""
    if real(value) is None:
        return Cell("–")
    lo, hi = ends(ci95)
    notes = [span(ci95)] if lo is not None or hi is not None else []
    n, kind = finite((published or {}).get("n")), str((published or {}).get("verification") or "")
    about = ", ".join(p for p in (f"n\u00a0=\u00a0{count(n)}" if n is not None else "", kind) if p)
    return Cell(number(value), (*notes, *([about] if about else [])), sort=real(value))


def estimate_table(rows: Sequence[Mapping[str, Any]], names: Names, caption: str, full: bool = False) -> TableView:
    """Return the table of estimates; ``full`` adds definition, errors, counts and labels, and makes it sortable."""
    columns = ["Outcome", "Predicted, 90 %", "50 %", "Median", "Published", "Inside the 90 %?"]
    labelled = full and any(row.get("labels") for row in rows)
    columns += ["Monte Carlo error", "Not estimable"] if full else []
    parts = full and any(len(shares(row.get("sd")) or ()) > 1 for row in rows)
    columns += ["Of the variance"] if parts else []
    columns += ["Labels"] if labelled else []
    out, ids = [], []
    for k, row in enumerate(rows):
        scale = scale_of(row)
        s = shown(row, scale)
        unit = f" [{scale.unit}]" if scale.unit else ""
        where = " · ".join(
            p for p in (names.arm(row.get("arm")), years(row.get("time_years")), names.statistic(row) + unit) if p
        )
        ident = str(row.get("outcome_id") or "") if full else ""
        mark = (NO_HUMAN_DATA_MARK,) if NO_HUMAN_DATA in (row.get("labels") or ()) else ()
        cells = [
            Cell(names.title(row), (where, *([ident] if ident else []), *mark)),
            Cell(span(s["pi90"]), sort=s["pi90"][0]),
            Cell(span(s["pi50"]), sort=s["pi50"][0]),
            Cell(number(s["median"]), sort=s["median"]),
            published_cell(s["value"], s["ci95"], row.get("published")),
            verdict(row),
        ]
        if full:
            lost, n = finite(row.get("n_not_estimable")), finite(row.get("n_replicates"))
            share = f"of {count(n)}" if n else ""
            cells += [
                Cell(f"± {number(s['mcse'])}" if s["mcse"] is not None else "–", sort=s["mcse"]),
                Cell(count(lost), (share,) if lost and share else (), sort=lost),
            ]
        if parts:
            told = shares(row.get("sd")) or {}
            cells.append(Cell(", ".join(f"{HELD[k]} {100 * v:.0f} %" for k, v in told.items()) or "–"))
        if labelled:
            cells.append(Cell(", ".join(plain(label).lower() for label in row.get("labels") or ()) or "–"))
        out.append(cells)
        ids.append(f"estimate-{k}" if full else "")
    numeric = {1, 2, 3, 4, 6, 7} if full else {1, 2, 3, 4}
    return TableView(caption, columns, out, numeric, sortable=full, ids=ids)


def curve_table(
    curves: Sequence[Mapping[str, Any]], names: Names, what: str, unit: str, factor: float = 1.0
) -> TableView:
    """Return time, arm, 90 % interval, median and published value of curves; long curves are thinned."""
    rows: list[list[Cell]] = []
    thinned = False
    for curve in curves:
        times = [finite(t) for t in curve.get("time_years") or ()]
        published: dict[float | None, list[Mapping[str, Any]]] = {}
        for p in curve.get("published") or ():
            published.setdefault(finite(p.get("time_years")), []).append(p)
        step = max(1, math.ceil((len(times) - 1) / (_MOST_TIMES - 1)))
        thinned |= step > 1
        keep = {*range(0, len(times), step), len(times) - 1} if times else set()
        arm = names.arm(curve.get("arm"))
        for k, t in enumerate(times):
            if k not in keep and t not in published:
                continue
            mid, lo, hi = (_scaled(curve[key][k], factor) for key in ("median", "lo", "hi"))
            first = published[t].pop(0) if published.get(t) else {}
            rows.append([Cell(number(t)), Cell(arm), Cell(span((lo, hi))), Cell(number(mid)), _point(first, factor)])
        for t, points in published.items():  # a second value at one time, or one between the times of the prediction
            rows += [[Cell(number(t)), Cell(arm), Cell("–"), Cell("–"), _point(p, factor)] for p in points]
    said = f"{what}{f', {unit}' if unit and unit != '1' else ''}. Medians and 90 % intervals of the replicates."
    said += " Times are thinned for reading." if thinned else ""
    return TableView(said, ["Years", "Arm", "90 %", "Median", "Published"], rows, {0, 2, 3, 4})


def _scaled(x: Any, factor: float) -> float | None:
    value = real(x)
    return None if value is None else value * factor


def _point(p: Mapping[str, Any], factor: float) -> Cell:
    lo, hi = ends(p.get("ci95"))
    return published_cell(_scaled(p.get("value"), factor), (_scaled(lo, factor), _scaled(hi, factor)), p)


def at_risk_table(curves: Sequence[Mapping[str, Any]], names: Names) -> TableView | None:
    """Return the median numbers at risk, one row an arm and time; None where there are none."""
    rows = [
        [Cell(number(t)), Cell(names.arm(c.get("arm"))), Cell(count(n))]
        for c in curves
        for t, n in zip(
            (c.get("n_at_risk") or {}).get("times") or (), (c.get("n_at_risk") or {}).get("n") or (), strict=True
        )
    ]
    return TableView("Predicted number at risk (median).", ["Years", "Arm", "At risk"], rows, {0, 2}) if rows else None


def percent_table(rows: Sequence[Mapping[str, Any]], names: Names, caption: str, first: str) -> TableView:
    """Return the table of :func:`~stemtrial.report.figures.percent_ranges`."""
    out = [
        [
            Cell(str(r.get("label")), (str(r["note"]),) if r.get("note") else ()),
            Cell(names.arm(r.get("arm"))),
            Cell(span((r.get("lo"), r.get("hi")))),
            Cell(number(r.get("median"))),
        ]
        for r in rows
    ]
    return TableView(caption, [first, "Arm", "90 %, % of patients", "Median"], out, {2, 3})


def adverse_table(rows: Sequence[Mapping[str, Any]], names: Names) -> TableView:
    """Return adverse events, a row a term and arm; arms without an event of the term are left out.

    Parameters
    ----------
    rows : sequence of mapping
        :class:`~stemtrial.report.data.AdverseEvent`, those of a term together.
    names : Names
        Labels of the arms.
    """
    out = []
    for r in rows:
        if not any(finite(r.get(k)) for k in ("percent_median", "percent_hi", "events")):
            continue
        grade = r.get("grade")
        out.append(
            [
                Cell(str(r.get("term")), (f"grade up to {grade}",) if grade not in (None, "", 0) else ()),
                Cell(names.arm(r.get("arm")), (str(r["cause"]),) if r.get("cause") else ()),
                Cell(
                    number(r.get("percent_median")),
                    (span((r.get("percent_lo"), r.get("percent_hi"))),),
                    sort=real(r.get("percent_median")),
                ),
                *(Cell(number(r.get(k)), sort=real(r.get(k))) for k in ("events", "severe_percent", "serious_percent")),
                Cell(count(r.get("day")), sort=real(r.get("day"))),
            ]
        )
    caption = (
        "Adverse events. Patients, %: median over the 90 % interval of the replicates; events a trial, % with grade 3 "
        "or more and % with a serious event: means; day: median of the first event."
    )
    columns = ["Event", "Arm, cause", "Patients, %", "Events", "Grade 3+, %", "Serious, %", "Day"]
    return TableView(caption, columns, out, {2, 3, 4, 5, 6}, sortable=True)


def funnel_table(steps: Sequence[Mapping[str, Any]]) -> TableView:
    """Return the steps of recruitment."""
    rows = [
        [Cell(str(s.get("step"))), Cell(count(s.get("n"))), Cell(number(_scaled(s.get("fraction"), 100.0)))]
        for s in steps
    ]
    return TableView(
        "Virtual people left after each step, and their share of the first.", ["Step", "People", "%"], rows, {1, 2}
    )


def baseline_table(rows: Sequence[Mapping[str, Any]], names: Names) -> TableView:
    """Return Table 1: a row a variable, a predicted and a published column an arm."""
    arms = list(dict.fromkeys(str(r.get("arm")) for r in rows))
    lines: dict[str, dict[str, Mapping[str, Any]]] = {}
    for r in rows:
        lines.setdefault(str(r.get("variable")), {})[str(r.get("arm"))] = r
    out = []
    for variable, by_arm in lines.items():
        some = next(iter(by_arm.values()))
        unit = str(some.get("unit") or "")
        line = [Cell(str(some.get("label") or plain(variable)), (unit,) if unit not in ("", "1") else ())]
        for arm in arms:
            r = by_arm.get(arm, {})
            lo, hi = ends(r.get("pi90"))
            sd = real(r.get("sd"))
            interval = (span((lo, hi)),) if lo is not None and hi is not None else ()
            line.append(Cell(number(r.get("median")) + (f" ({number(sd)})" if sd is not None else ""), interval))
            published = r.get("published") or {}
            value, spread = real(published.get("value")), real(published.get("sd"))
            kind = str(published.get("verification") or "")
            out_of_range = value is not None and lo is not None and hi is not None and not lo <= value <= hi
            note = ", ".join(p for p in (kind, "outside" if out_of_range else "") if p)
            text = number(value) + (f" ({number(spread)})" if spread is not None else "")
            line.append(Cell(text, (note,) if note else ()))
        out.append(line)
    columns = ["At baseline", *(f"{names.arm(a)}, {w}" for a in arms for w in ("predicted", "published"))]
    caption = (
        "Means (standard deviations of the patients), medians and percentages at entry, predicted beside "
        "published. Below a prediction: where 90 % of the replicates lie. Context, not scored."
    )
    return TableView(caption, columns, out, set(range(1, len(columns))))
