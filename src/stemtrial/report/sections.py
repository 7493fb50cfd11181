"""The parts of a report: each picture with its words and its table, or the sentence that says why there is none."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import plotly.graph_objects as go
from markupsafe import Markup

from stemtrial.report import figures, tables
from stemtrial.report.words import Names, count, finite, group_by_scale, plain

MEASURES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "edss": ("EDSS over time", ("edss",)),
    "relapses": ("Relapses", ("relapse",)),
    "mri": ("MRI", ("gd_", "new_t2", "t1_", "t2_", "brain_", "lesion")),
    "function": ("Function over time", ("alsfrs",)),
    "breathing": ("Breathing", ("svc", "fvc")),
}
"""Parts of the page that show measures over time: title, and how the names of theirs begin."""
EXPECTED = {"ms": ("edss", "relapses", "mri"), "als": ("function",)}
"""Parts whose absence a page tells, by disease."""
_MOST_EVENTS = 15  # adverse events in the picture; the table holds all


@dataclass(frozen=True)
class FigureView:
    """A picture with its words and its tables; ``json`` is the Plotly figure, safe inside a script element."""

    id: str
    title: str
    summary: str
    caption: str
    height: int
    json: Markup
    tables: list[tables.TableView]


@dataclass(frozen=True)
class Section:
    """A part of the page: an introduction, pictures, open tables, or the sentence that says why there are none.

    ``kinds`` are the verifications of its published points; ``key`` names the
    colours (name, token) of pictures whose lines are not the arms.
    """

    id: str
    title: str
    intro: str = ""
    figures: list[FigureView] = field(default_factory=list)
    tables: list[tables.TableView] = field(default_factory=list)
    empty: str = ""
    kinds: set[str] = field(default_factory=set)
    key: tuple[tuple[str, str], ...] = ()


def view_of(
    fig: go.Figure, ident: str, title: str, summary: str, caption: str, *data: tables.TableView | None
) -> FigureView:
    """Return a figure as a page shows it: without a legend (a page has one key), beside the tables of its numbers."""
    fig.update_layout(showlegend=False)  # the page has one key for all pictures
    text = str(fig.to_json(engine="json"))  # Plotly escapes <, > and / for script elements; a test holds it to that
    return FigureView(ident, title, summary, caption, int(fig.layout.height), Markup(text), [t for t in data if t])


def slug(text: str) -> str:
    """Return text as part of an element's id."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "x"


def forest_views(rows: Sequence[Mapping[str, Any]], names: Names) -> list[FigureView]:
    """Return one forest for each axis that the estimates need."""
    out = []
    for scale, members in group_by_scale(rows):
        scored = [r for r in members if isinstance(r.get("agrees"), bool)]
        inside = sum(bool(r["agrees"]) for r in scored)
        judged = (
            f"{inside} of {len(scored)} verified published values inside the 90 % interval."
            if scored
            else "No verified published value."
        )
        summary = f"{scale.title}: predicted intervals beside published values of {len(members)} outcomes. {judged}"
        table = tables.estimate_table(members, names, f"{scale.title}, predicted beside published.")
        out.append(
            view_of(figures.forest(members, names), f"forest-{slug(scale.key)}", scale.title, summary, judged, table)
        )
    return out


def _grouped(curves: Sequence[Mapping[str, Any]], key: str) -> dict[str, list[Mapping[str, Any]]]:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for curve in curves:
        groups.setdefault(str(curve.get(key)), []).append(curve)
    return groups


def _kaplan_meier(curves: Sequence[Mapping[str, Any]], names: Names) -> list[FigureView]:
    out = []
    for endpoint, members in _grouped(curves, "endpoint").items():
        title = names.endpoint(endpoint)
        summary = (
            f"Kaplan-Meier curves: {title}, {', '.join(names.arm(c.get('arm')) for c in members)}, with 90 % bands."
        )
        data = tables.curve_table(members, names, title, "% of patients", 100.0)
        drawn = str(members[0].get("label") or "").rpartition(": ")[2]
        caption = f"{drawn[:1].upper()}{drawn[1:]}. " if drawn.startswith("share ") else ""
        caption += "" if any(c.get("published") for c in members) else "No published points."
        ident = f"km-{slug(endpoint)}"
        out.append(
            view_of(
                figures.kaplan_meier(members, names),
                ident,
                title,
                summary,
                caption,
                data,
                tables.at_risk_table(members, names),
            )
        )
    return out


def _courses(curves: Sequence[Mapping[str, Any]], names: Names) -> list[FigureView]:
    out = []
    for name, members in _grouped(curves, "name").items():
        title, unit = str(members[0].get("label") or plain(name)), str(members[0].get("unit") or "")
        summary = f"{title} over time, {', '.join(names.arm(c.get('arm')) for c in members)}: medians with 90 % bands."
        caption = "" if any(c.get("published") for c in members) else "No published points."
        data = tables.curve_table(members, names, title, unit)
        out.append(view_of(figures.time_course(members, names), f"series-{slug(name)}", title, summary, caption, data))
    return out


def _adverse_events(rows: Sequence[Mapping[str, Any]], names: Names) -> Section:
    ident, title = "adverse-events", "Adverse events"
    if not rows:
        return Section(ident, title, empty="This run holds no adverse events.")
    worst: dict[str, bool] = {}
    for r in rows:
        worst[str(r.get("term"))] = worst.get(str(r.get("term")), False) or bool(r.get("serious"))
    flat = [
        {
            "label": str(r.get("term")),
            "arm": r.get("arm"),
            "median": r.get("percent_median"),
            "lo": r.get("percent_lo"),
            "hi": r.get("percent_hi"),
            "note": "serious" if worst[str(r.get("term"))] else "",
        }
        for r in rows
    ]
    most: dict[tuple[str, str], float] = {}
    for f in flat:
        key = (str(f["label"]), str(f["note"]))
        most[key] = max(most.get(key, 0.0), finite(f["median"]) or 0.0)
    order = sorted(most, key=lambda k: -most[k])
    drawn = set(order[:_MOST_EVENTS])
    flat.sort(key=lambda f: order.index((str(f["label"]), str(f["note"]))))
    caption = (
        "" if len(order) <= _MOST_EVENTS else f"The {_MOST_EVENTS} most frequent of {len(order)}; the table holds all."
    )
    fig = figures.percent_ranges([f for f in flat if (f["label"], f["note"]) in drawn], names)
    place = {label: k for k, (label, _) in enumerate(order)}
    table = tables.adverse_table(sorted(rows, key=lambda r: place[str(r.get("term"))]), names)
    view = view_of(
        fig,
        "adverse-events-ranges",
        "Patients with an event",
        "Patients with each adverse event, per cent, by arm.",
        caption,
        table,
    )
    return Section(ident, title, figures=[view])


def _disposition(rows: Sequence[Mapping[str, Any]], names: Names) -> Section:
    ident, title = "disposition", "Disposition"
    if not rows:
        return Section(ident, title, empty="This run holds no disposition.")
    flat = [
        {
            "label": plain(r.get("event")),
            "arm": r.get("arm"),
            "median": r.get("percent_median"),
            "lo": r.get("lo"),
            "hi": r.get("hi"),
        }
        for r in rows
    ]
    order = list(dict.fromkeys(f["label"] for f in flat))
    flat.sort(key=lambda f: order.index(f["label"]))
    table = tables.percent_table(
        flat, names, "What became of the patients: median and 90 % interval of the replicates.", "What happened"
    )
    fig = figures.percent_ranges(flat, names)
    return Section(
        ident,
        title,
        figures=[
            view_of(fig, "disposition-ranges", "Patients", "Disposition, per cent of patients, by arm.", "", table)
        ],
    )


def _kinds(curves: Sequence[Mapping[str, Any]]) -> set[str]:
    return {str(p.get("verification")) for c in curves for p in c.get("published") or ()}


def sections_of(result: Mapping[str, Any], names: Names) -> list[Section]:
    """Return every part of the page between the misses and the table of estimates, in reading order."""
    curves = result.get("curves") or {}
    series = list(curves.get("series") or ())

    def measure(curve: Mapping[str, Any]) -> str:
        name = str(curve.get("name"))
        return next((ident for ident, (_, begins) in MEASURES.items() if name.startswith(begins)), "other")

    km = list(curves.get("km") or ())
    said = "" if km else "This run holds no Kaplan-Meier curves."
    parts = [Section("survival", "Time to event", "", _kaplan_meier(km, names), [], said, _kinds(km))]
    expected = EXPECTED.get(str(result["run"].get("disease") or "ms"), ())
    for ident, title in (*((k, title) for k, (title, _) in MEASURES.items()), ("other", "Other measures")):
        mine = [c for c in series if measure(c) == ident]
        if mine or ident in expected:
            said = "" if mine else f"This run holds no curves of {title.split(' over')[0]}."
            parts.append(Section(ident, title, "", _courses(mine, names), [], said, _kinds(mine)))
    parts += [
        _adverse_events(result.get("adverse_events") or (), names),
        _disposition(result.get("disposition") or (), names),
    ]
    baseline = result.get("baseline") or ()
    intro = (
        "Who was recruited: nobody was chosen to match; the population emerges from eligibility. These lines are "
        "context and are not scored: a difference here explains misses, and is none itself."
    )
    parts.append(
        Section("baseline", "Patients at baseline", intro, [], [tables.baseline_table(baseline, names)])
        if baseline
        else Section("baseline", "Patients at baseline", empty="This run holds no baseline table.")
    )
    steps = result.get("recruitment") or ()
    run = result["run"]
    told = f"{count(run.get('screened'))} screenings of virtual people; "
    told += f"{count(run.get('distinct_recruits'))} distinct recruits entered."
    view = (
        [
            view_of(
                figures.funnel(steps),
                "recruitment-funnel",
                "From the population to the trial",
                f"Recruitment in {len(steps)} steps. {told}",
                "",
                tables.funnel_table(steps),
            )
        ]
        if steps
        else []
    )
    parts.append(
        Section("recruitment", "Recruitment", told, view, [], "" if steps else "This run holds no recruitment funnel.")
    )
    return parts
