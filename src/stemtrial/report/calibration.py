"""A fit as one HTML file: what the data told of each parameter, what they could not, and how well they are met."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from stemtrial.calibrate.report import STAYS
from stemtrial.report.colours import light, veil
from stemtrial.report.markdown import markdown_table
from stemtrial.report.marks import LABEL_CHARS, LINE, Rows, arrows_of, bars_of, safe
from stemtrial.report.page import document, write_whole
from stemtrial.report.scorecard import labels_of
from stemtrial.report.scorecard_figures import comparison, trial_of, who_of, z_text
from stemtrial.report.sections import FigureView, slug, view_of
from stemtrial.report.tables import Cell, TableView
from stemtrial.report.words import Scale, count, finite, group_by_scale, number, plain, scale_of, shown, span

Row = Mapping[str, Any]
MOST_ROWS = 40
"""Rows of one picture."""
MOST_SD = 3.5
"""Beyond so many prior SDs a posterior stands at the edge with an arrow."""
PRIOR90 = 1.645
DISCLAIMER = "Research software: it gives no advice about a person."


def percent(x: Any) -> str:
    """Write a share in per cent."""
    value = finite(x)
    return "–" if value is None else f"{100 * value:.0f} %"


def shrunk(row: Row) -> str:
    """Write how much of a parameter's prior variance is gone, or that it stays, or has moved as wide as it was."""
    if row["stays_at_prior"]:
        return "stays"
    return "moved" if row["shrinkage"] < STAYS else percent(row["shrinkage"])


def prior_to_posterior(rows: Sequence[Row]) -> go.Figure:
    """Posterior of each parameter against its prior, in standard deviations of the prior.

    Parameters
    ----------
    rows : sequence of mapping
        Parameters of a block of :func:`stemtrial.calibrate.report.calibration_report`.
    """
    layout = Rows()
    bars: list[tuple[float, float, float, str]] = []
    points: list[tuple[float, float, str, str]] = []
    arrows: list[tuple[float, float, str, str]] = []

    def clip(x: float) -> float:
        return min(max(x, -MOST_SD), MOST_SD)

    for row in rows:
        token = "muted" if row["stays_at_prior"] else "contrast"
        told = shrunk(row)
        layout.label(f"<b>{safe(row['name'], LABEL_CHARS - len(told) - 2)}</b>", layout.y + LINE / 2)
        layout.label(told, layout.y + LINE / 2, right=True, token="muted")
        y = layout.y + LINE + 7
        lo, hi = (float(v) for v in row["z"]["pi90"])
        bars.append((clip(lo), clip(hi), y, token))
        arrows += [(-MOST_SD, y, "left", token)] * (lo < -MOST_SD) + [(MOST_SD, y, "right", token)] * (hi > MOST_SD)
        words = "<br>".join(
            [
                f"<b>{safe(row['name'])}</b>",
                safe(row["meaning"], 80),
                f"Prior: {number(row['prior']['median'])} ({span(row['prior']['pi90'])})",
                f"Posterior: {number(row['posterior']['median'])} ({span(row['posterior']['pi90'])})",
            ]
        )
        points.append((clip(float(row["z"]["mean"])), y, token, words))
        layout.y = y + 12
    axis = {
        "title": {"text": "standard deviations of the prior"},
        "range": [-MOST_SD - 0.2, MOST_SD + 0.2],
        "tickvals": [-3, -2, -1, 0, 1, 2, 3],
    }
    fig = layout.figure(axis)
    fig.add_vrect(x0=-PRIOR90, x1=PRIOR90, fillcolor=veil("contrast", 0.12), line_width=0, layer="below")
    fig.add_vline(x=0, line={"color": light("muted"), "width": 1.2, "dash": "dot"}, layer="below")
    bars_of(fig, bars, 8, 0.55, "posterior, 90 %")
    bars_of(fig, bars, 1.5, 1)
    for token in dict.fromkeys(p[2] for p in points):
        mine = [p for p in points if p[2] == token]
        fig.add_scatter(
            x=[p[0] for p in mine],
            y=[p[1] for p in mine],
            mode="markers",
            marker={"symbol": "line-ns", "size": 14, "line": {"width": 2.5, "color": light("ink")}},
            hoverinfo="text",
            hovertext=[p[3] for p in mine],
            name="posterior, mean",
        )
    arrows_of(fig, arrows)
    return fig


def parameter_table(block: Row) -> TableView:
    """Return prior, posterior, shrinkage and what informs it, a row a parameter."""
    rows = []
    for p in block["parameters"]:
        best = ", ".join(b["outcome_id"] for b in p["informed_by"])
        rows.append([
            Cell(p["name"], (f"{p['meaning']} [{p['unit']}]",)),
            Cell(number(p["prior"]["median"]), (span(p["prior"]["pi90"]),), sort=p["prior"]["median"]),
            Cell(number(p["posterior"]["median"]), (span(p["posterior"]["pi90"]),), sort=p["posterior"]["median"]),
            Cell(number(p["z"]["mean"], 1), sort=p["z"]["mean"]),
            Cell(shrunk(p), kind="muted" if p["stays_at_prior"] else "", sort=p["shrinkage"]),
            Cell(best or "–"),
        ])  # fmt: skip
    caption = (
        f"Parameters of the block: {block['title']}. Medians over 90 % intervals; moved: mean of the posterior in SDs "
        "of the prior; shrinkage: how much of the prior's variance is gone; the data that inform it most by themselves."
    )
    columns = ["Parameter", "Prior", "Posterior", "Moved", "Shrinkage", "Informed by"]
    return TableView(caption, columns, rows, {1, 2, 3, 4}, sortable=True)


def data_table(block: Row, labels: Mapping[str, str]) -> TableView:
    """Return published and predicted values, before and after, the farthest off first."""
    out = []
    for r in block["data"]:
        row, scale = as_row(r), _scale(r)
        before = shown({**row, **r["prior"]}, scale)
        s = shown(row, scale)
        unit = f" [{scale.unit}]" if scale.unit else ""
        inside = {True: ("✓ inside", "inside"), False: ("✕ outside", "miss"), None: ("–", "muted")}[r["inside90"]]
        out.append([
            Cell(trial_of(row), (who_of(row), r["outcome_id"])),
            Cell(labels[r["endpoint"]], (plain(r["statistic"]).lower() + unit,)),
            Cell(number(s["value"]), (f"n {count(r['n'])}",), sort=s["value"]),
            Cell(number(before["median"]), (span(before["pi90"]),), sort=before["median"]),
            Cell(number(s["median"]), (span(s["pi90"]),), sort=s["median"]),
            Cell(number(r["position"], 2), sort=r["position"]),
            Cell(z_text(r["z"]), sort=None if r["z"] is None else abs(r["z"])),
            Cell(inside[0], kind=inside[1]),
        ])  # fmt: skip
    caption = (
        f"Data of the block: {block['title']}, the farthest off first. Predictions: medians over 90 % intervals, with "
        "fresh patients and effects of the trial; position: share of the predictions below the published value."
    )
    columns = ["Trial", "Outcome", "Published", "By the priors", "After the fit", "Position", "z", "Inside 90 %?"]
    return TableView(caption, columns, out, {2, 3, 4, 5, 6}, sortable=True)


def coverage_table(block: Row) -> TableView:
    """Return how many published values lie inside their intervals, by domain."""
    rows = [
        [
            Cell("All" if c["domain"] == "all" else plain(c["domain"])),
            Cell(count(c["data"])),
            Cell(percent(c["prior90"]), sort=c["prior90"]),
            Cell(percent(c["inside90"]), sort=c["inside90"]),
            Cell(percent(c["inside50"]), sort=c["inside50"]),
        ]
        for c in block["coverage"]
    ]
    caption = "Published values inside the predicted intervals: a check of the fit, not a test, since it saw them."
    return TableView(caption, ["Outcomes", "Data", "90 % before", "90 % after", "50 % after"], rows, {1, 2, 3, 4})


def effects_table(block: Row) -> TableView:
    """Return the SDs of the effects of the trial, before and after."""
    rows = [
        [
            Cell(e["name"], (f"{e['meaning']} [{e['unit']}]",)),
            Cell(number(e["prior"]["median"]), (span(e["prior"]["pi90"]),)),
            Cell(number(e["posterior"]["median"]), (span(e["posterior"]["pi90"]),)),
            Cell(percent(e["prior_share"]), sort=e["prior_share"]),
            Cell(number(e["r_hat"], 2), (f"{count(e['effective'])} draws",)),
        ]
        for e in block["effects"]
    ]
    caption = (
        "SDs of the effects of the trial: medians over 90 % intervals; prior left: variance of the logarithm after "
        "over before, near 100 % where the data do not tell; R-hat of the sampler."
    )
    return TableView(caption, ["Effect", "Before", "After", "Prior left", "R-hat"], rows, {1, 2, 3, 4})


def directions_table(block: Row) -> TableView:
    """Return the directions of the parameters that the data tell best."""
    rows = [
        [
            Cell(number(d["eigenvalue"]), sort=d["eigenvalue"]),
            Cell(", ".join(f"{number(p['weight'], 2)} {p['name']}" for p in d["parameters"]) or "many, each a little"),
        ]
        for d in block["identifiability"]["directions"]
    ]
    caption = "Directions that the data tell best: the precision that they add to the prior's of 1, and their make-up."
    return TableView(caption, ["Precision", "Parameters"], rows, {0})


def correlation_table(block: Row) -> TableView:
    """Return the strongest correlations of the posterior."""
    rows = [
        [Cell(c["a"]), Cell(c["b"]), Cell(number(c["r"], 2), sort=c["r"])]
        for c in block["identifiability"]["correlations"]
    ]
    return TableView(
        "Strongest correlations of the posterior: what the data tell only together.", ["", "", "r"], rows, {2}
    )


def as_row(r: Row) -> dict[str, Any]:
    """Return a datum as the pictures of the scorecard read it."""
    arms = " vs ".join(r["arms"]) if r["statistic"] in CONTRASTS else ", ".join(r["arms"])
    return {
        **r, **r["posterior"], "arms": plain(arms).lower() if arms else "", "agrees": r["inside90"], "role": "fit",
        "published": {"value": r["published"], "verification": "primary"},
    }  # fmt: skip


CONTRASTS = frozenset({"hazard_ratio", "rate_ratio", "odds_ratio", "risk_ratio", "difference"})


def _scale(r: Row) -> Scale:
    return scale_of(r)


def _pictures(block: Row, labels: Mapping[str, str]) -> Iterator[FigureView]:
    domains: defaultdict[str, list[Row]] = defaultdict(list)
    for r in block["data"]:
        domains[r["domain"]].append(as_row(r))
    for domain in sorted(domains, key=lambda d: -len(domains[d])):
        for scale, members in group_by_scale(domains[domain]):
            parts = [members[k : k + MOST_ROWS] for k in range(0, len(members), MOST_ROWS)]
            for k, part in enumerate(parts):
                title = f"{plain(domain)}: {scale.title[:1].lower()}{scale.title[1:]}"
                title += f", part {k + 1} of {len(parts)}" if len(parts) > 1 else ""
                inside = sum(bool(r["agrees"]) for r in part)
                said = f"{inside} of {len(part)} published values inside the 90 % interval after the fit."
                table = data_table({"title": block["title"], "data": part}, labels)
                ident = slug(f"data {block['name']} {domain} {scale.key} {k}")
                yield view_of(comparison(part, labels), ident, title, f"{title}. {said}", said, table)


def _block(block: Row) -> dict[str, Any]:
    labels = labels_of(block["data"])
    rows = sorted(block["parameters"], key=lambda p: -(p["shrinkage"] or 0.0))
    title = f"Prior to posterior: {block['title']}"
    stays = sum(p["stays_at_prior"] for p in rows)
    said = f"{len(rows) - stays} of {len(rows)} parameters learned from the data; {stays} stay at their priors."
    parameters = view_of(
        prior_to_posterior(rows), f"parameters-{slug(block['name'])}", title, f"{title}. {said}", said,
        parameter_table({**block, "parameters": rows}),
    )  # fmt: skip
    misses = [r for r in block["data"] if r["inside90"] is False]
    return {
        **block,
        "id": slug(block["name"]),
        "parameters_view": parameters,
        "pictures": list(_pictures(block, labels)),
        "stays": [p["name"] for p in rows if p["stays_at_prior"]],
        "misses": len(misses),
        "worst": [
            f"{trial_of(r)}: {labels[r['endpoint']]}, {who_of(as_row(r))} (z {z_text(r['z'])})" for r in misses[:5]
        ],
        "coverage_table": coverage_table(block),
        "data_table": data_table(block, labels),
        "effects_table": effects_table(block),
        "directions_table": directions_table(block),
        "correlation_table": correlation_table(block),
    }


def render_calibration(report: Mapping[str, Any]) -> str:
    """Return what a fit learned as one HTML document that loads nothing.

    Parameters
    ----------
    report : mapping
        From :func:`stemtrial.calibrate.report.calibration_report`.
    """
    blocks = [_block(b) for b in report["blocks"]]
    pictures = [f for b in blocks for f in (b["parameters_view"], *b["pictures"])]
    return document(
        "calibration.html",
        pictures,
        label=report["label"],
        settings=report["settings"],
        blocks=blocks,
        widened=widened_sentences(report),
        at_prior=report["at_prior"],
        fixed=report["fixed"],
        percent=percent,
        disclaimer=DISCLAIMER,
    )


def write_calibration(report: Mapping[str, Any], path: Path) -> None:
    """Write what a fit learned to ``path`` as HTML: complete or not at all."""
    write_whole(render_calibration(report), path)


def widened_sentences(report: Mapping[str, Any]) -> list[str]:
    """Say how far the effects of the trial are widened, one sentence a disease."""
    return [
        f"{disease.upper()}: SDs of the effects of the trial times {number(w['factor'], 2)}; with {w['cohorts']} "
        f"cohorts left out one by one, the places of published values in their predictions have "
        f"{number(w['before'], 2)} times the variance of uniform ones, {number(w['after'], 2)} times after it."
        for disease, w in report["widened"].items()
    ]


def markdown(report: Mapping[str, Any]) -> str:
    """Return the tables of docs/calibration.md."""
    blocks = report["blocks"]
    told = [
        f"Posterior `{report['label']}`, seed {report['settings']['seed']}." if report["label"] else "",
        "",
        markdown_table(
            ["block", "parameters", "members", "passes", "data", "trials", "directions told", "stay at their priors",
             "inside 90 % (before)", "inside 50 %"],
            [_block_cells(b) for b in blocks],
        ),
        "",
        *(f"- {s}" for s in widened_sentences(report)),
    ]  # fmt: skip
    for b in blocks:
        parameters = sorted(b["parameters"], key=lambda p: -(p["shrinkage"] or 0.0))
        told += [
            "", f"### {b['title'][:1].upper()}{b['title'][1:]}", "",
            markdown_table(
                ["parameter", "prior, 90 %", "posterior, 90 %", "shrinkage", "informed by"],
                [
                    (f"`{p['name']}`", _with_interval(p["prior"]), _with_interval(p["posterior"]), shrunk(p),
                     ", ".join(d["outcome_id"] for d in p["informed_by"]) or "–")
                    for p in parameters
                ],
            ),
            "",
            markdown_table(
                ["effect of the trial", "SD before, 90 %", "SD after, 90 %", "prior left"],
                [
                    (f"`{e['name']}`", _with_interval(e["prior"]), _with_interval(e["posterior"]),
                     percent(e["prior_share"]))
                    for e in b["effects"]
                ],
            ),
        ]  # fmt: skip
    return "\n".join(told).strip() + "\n"


def _block_cells(b: Row) -> tuple[object, ...]:
    c, i, inside = b["cost"], b["identifiability"], b["coverage"][0]
    stays = sum(p["stays_at_prior"] for p in b["parameters"])
    return (
        b["title"], i["parameters"], c["members"], c["passes"], c["data"], c["trials"], i["told"], stays,
        f"{percent(inside['inside90'])} ({percent(inside['prior90'])})", percent(inside["inside50"]),
    )  # fmt: skip


def _with_interval(x: Mapping[str, Any]) -> str:
    return f"{number(x['median'])} ({span(x['pi90'])})"
