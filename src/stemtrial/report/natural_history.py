"""Natural history beside the registries, as tables, pictures and a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stemtrial.report.words import number, real, span

Row = Mapping[str, Any]
PERCENT = {"share"}
UNITS = {"y": "years", "share": "%", "ratio": "", "1/y": "per year", "%/y": "% a year", "EDSS/y": "EDSS a year"}


def shown(value: Any, unit: str) -> float | None:
    """A number in display units: shares in per cent."""
    x = real(value)
    return None if x is None else x * (100.0 if unit in PERCENT else 1.0)


def words(value: Any, interval: Sequence[Any] | None, unit: str) -> str:
    """``12.3 (11.9 to 12.8)``; what lies beyond the follow-up is not reached."""
    x = shown(value, unit)
    if x is None:
        return "–"
    if x == float("inf"):
        return "not reached"
    ends = [shown(v, unit) for v in interval or ()]
    if len(ends) != 2 or ends[0] is None:
        return number(x)
    last = "not reached" if ends[1] == float("inf") else None
    return f"{number(x)} ({number(ends[0])} to {last})" if last else f"{number(x)} ({span(ends)})"


def verdict(row: Row) -> str:
    """Whether a quantity lies inside the published range, in words."""
    return {True: "inside", False: "**miss**"}.get(row["inside"], "not scored")


def markdown(comparison: Sequence[Row]) -> str:
    """Return the comparison as a Markdown table, misses first."""
    lines = [
        "| quantity | simulated (95 % Monte Carlo) | published range | to fit to | published values | verdict |",
        "|---|---|---|---|---|---|",
    ]
    for r in comparison:
        unit, p = r["unit"], r["predicted"]
        label = f"{r['label']}{', ' + UNITS[unit] if UNITS[unit] and unit != 'y' else ''}"
        values = "; ".join(
            f"{number(shown(x['value'], unit))} `{x['outcome_id']}` ({x['role']}"
            + (f"; {x['not_scored']}" if x["not_scored"] else "")
            + ")"
            for x in r["published"]
        )
        ranges = [span([shown(v, unit) for v in r[k]]) if r[k] else "–" for k in ("range", "range_fit")]
        said = verdict(r) + (f": {r['why']}" if r["why"] and not r["published"] else "")
        if r["why"] and r["range"]:
            said += f": {r['why']}"
        lines.append(
            f"| {label} | {words(p['value'], p['mc95'], unit)} | {ranges[0]} | {ranges[1]} | {values or '–'} | {said} |"
        )
    return "\n".join(lines)
