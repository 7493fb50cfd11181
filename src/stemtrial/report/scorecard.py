"""A scorecard as one HTML file: coverage, misses first, a picture a family of endpoints, every row in a table."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from stemtrial.endpoint import definitions
from stemtrial.evidence import terms
from stemtrial.predict.score import LANES
from stemtrial.report.page import document, write_whole
from stemtrial.report.scorecard_figures import (
    by_term,
    calibration,
    comparison,
    family_name,
    heading_of,
    trial_of,
    verdict_of,
    who_of,
    z_text,
)
from stemtrial.report.scorecard_groups import group_table, lanes_of, percent, summary_views, verdict_table
from stemtrial.report.sections import FigureView, slug, view_of
from stemtrial.report.tables import Cell, TableView
from stemtrial.report.words import (
    DISEASES,
    NO_HUMAN_DATA,
    NO_HUMAN_DATA_MARK,
    Scale,
    count,
    finite,
    group_by_scale,
    interval_words,
    number,
    plain,
    scale_of,
    shown,
    span,
    statistic,
)

Row = Mapping[str, Any]
ROLES = {
    "fit": "fit: constants may have been tuned to these",
    "test": "test: held out",
    "sealed": "sealed: predicted only",
}


THERAPIES = {
    "drugs": "Drugs", "ahsct": "aHSCT", "msc": "MSC", "nsc": "NSC", "opc": "iPSC-OPC", "astrocyte": "Astrocytes",
    "treg": "Treg",
}  # fmt: skip
MOST_ROWS = 40
"""Rows of one picture; more are drawn in several, terms kept together where they fit."""


def labels_of(rows: Sequence[Row]) -> dict[str, str]:
    """Label of each endpoint that rows are of."""
    known = definitions()
    return {r["endpoint"]: known[r["endpoint"]].label if r["endpoint"] in known else plain(r["endpoint"]) for r in rows}


def coverage_rows(card: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Return (what, which, coverage) of all headlines, and by role, family and endpoint."""
    told = card["coverage"]
    out = [("All", "All headlines", told["all"])]
    out += [("Role", r.capitalize(), told["role"][r]) for r in ("fit", "test") if r in told["role"]]
    therapies = told.get("therapy", {})
    out += [("Therapy", THERAPIES.get(t, t), c) for t, c in therapies.items() if len(therapies) > 1]
    out += [("Family", family_name(f), c) for f, c in told["family"].items()]
    labels = Counter(terms()[t].label for t in told["term"])
    for t, c in told["term"].items():
        term = terms()[t]  # a quantity on two scales is two terms
        out.append(("Endpoint", term.label if labels[term.label] == 1 else f"{term.label}, {term.unit}", c))
    return out


def _plural(n: int, what: str) -> str:
    return f"{count(n)} {what}{'s' * (n != 1)}"


def coverage_table(card: Mapping[str, Any]) -> TableView:
    """Return the coverage of the headlines, a row a group."""
    rows = []
    for what, which, c in coverage_rows(card):
        ci = c.get("ci90_of_90")
        interval = (f"{percent(ci[0])} to {percent(ci[1])}",) if ci else ()
        size = f"{_plural(c['outcomes'], 'outcome')} of {_plural(c['cohorts'], 'cohort')}"
        rows.append(
            [
                Cell(which, (size if what == "All" else f"{what} · {size}",)),
                Cell(percent(c["inside90"]), interval, sort=c["inside90"]),
                Cell(percent(c["inside50"]), sort=c["inside50"]),
            ]
        )
    caption = (
        "How often the predicted intervals hold the published value; each cohort counts once, however many outcomes "
        "it has. Below the coverage of the 90 % interval: its own 90 % interval, by resampling cohorts. With fewer "
        "than 15 cohorts a share is reported and not judged."
    )
    return TableView(caption, ["Headlines", "90 % interval", "50 % interval"], rows, {1, 2})


def row_table(rows: Sequence[Row], labels: Mapping[str, str], caption: str, full: bool = False) -> TableView:
    """Return rows of a scorecard; ``full`` adds role, headline and the outcome's id, and makes it sortable."""
    out, ids = [], []
    for k, row in enumerate(rows):
        scale = scale_of(row)
        s = shown(row, scale)
        unit = f" [{scale.unit}]" if scale.unit else ""
        words, tone = verdict_of(row)
        z, published = finite(row.get("z")), row.get("published") or {}
        checked = str(published.get("verification") or "")
        mark = (NO_HUMAN_DATA_MARK,) if NO_HUMAN_DATA in (row.get("labels") or ()) else ()
        cells = [
            Cell(trial_of(row), (who_of(row), *((str(row["outcome_id"]),) if full else ()), *mark)),
            Cell(labels[row["endpoint"]], (statistic(row["statistic"]) + unit,)),
            Cell(span(s["pi90"]), sort=s["pi90"][0]),
            Cell(number(s["median"]), sort=s["median"]),
            Cell(number(s["value"]), (checked,) if checked else (), sort=s["value"]),
            Cell(z_text(z), sort=None if z is None else abs(z)),
            Cell({"inside": "✓ inside", "miss": "✕ outside"}.get(tone, words), kind=tone),
        ]
        if full:
            cells.append(Cell(str(row["role"]), (row["why_not"],) if row["why_not"] else ("headline",)))
        out.append(cells)
        ids.append(f"row-{k}" if full else "")
    columns = ["Trial", "Outcome", "Predicted, 90 %", "Median", "Published", "z", "Inside?"]
    columns += ["Role"] if full else []
    return TableView(caption, columns, out, {2, 3, 4, 5}, sortable=full, ids=ids)


def _lane(row: Row) -> str:
    """Lane of a row."""
    return str(row.get("lane") or LANES[0])


def _pictures(rows: Sequence[Row]) -> Iterator[tuple[list[Row], Scale, str, str]]:
    """Split rows of a family of endpoints into pictures that can be read: by scale and lane, of limited length."""
    for scale, members in group_by_scale(rows):
        for lane in sorted({_lane(r) for r in members}, key=LANES.index):
            mine = by_term([r for r in members if _lane(r) == lane])
            parts: list[list[Row]] = [[]]
            for _, of_term in groupby(mine, key=heading_of):
                found = list(of_term)
                if parts[-1] and len(parts[-1]) + len(found) > MOST_ROWS:
                    parts.append([])
                while found:
                    room = MOST_ROWS - len(parts[-1])
                    parts[-1] += found[:room]
                    found = found[room:]
                    parts += [[]] if found else []
            for k, part in enumerate(parts):
                yield part, scale, lane, f", part {k + 1} of {len(parts)}" if len(parts) > 1 else ""


def _families(rows: Sequence[Row], labels: Mapping[str, str]) -> list[dict[str, Any]]:
    groups: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[str(row["family"])].append(row)
    several = len({_lane(r) for r in rows}) > 1
    out = []
    for family in sorted(groups, key=lambda f: -len(groups[f])):
        views: list[FigureView] = []
        for members, scale, lane, part in _pictures(groups[family]):
            scored = [r for r in members if r["agrees"] is not None]
            inside = sum(bool(r["agrees"]) for r in scored)
            said = f"{inside} of {len(scored)} inside the 90 % interval." if scored else "Sealed: nothing to score."
            words = scale.title if scale.title[1:2].isupper() else scale.title[:1].lower() + scale.title[1:]
            title = f"{family_name(family)}: {words}{f', {lane}' if several else ''}{part}"
            table = row_table(members, labels, f"{title}, predicted beside published.")
            ident = f"{'rows' if scored else 'sealed'}-{slug(f'{family} {scale.key} {lane} {part}')}"
            views.append(view_of(comparison(members, labels), ident, title, f"{title}. {said}", said, table))
        out.append({"id": slug(family), "title": family_name(family), "figures": views})
    return out


def _not_predicted(card: Mapping[str, Any]) -> dict[str, Any]:
    rows = card["not_predicted"]
    reasons = Counter(r["reason"] for r in rows).most_common()
    by_study: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for r in rows:
        by_study[r["study"], r["reason"]].append(
            f"{r['endpoint'].replace('_', ' ')} (#{r['outcome_id'].rpartition('#')[2]})"
        )
    lines = [[Cell(study), Cell(reason), Cell(", ".join(what))] for (study, reason), what in sorted(by_study.items())]
    table = TableView("Published outcomes without a prediction.", ["Study", "Why", "Outcomes"], lines)
    return {"reasons": reasons, "total": len(rows), "table": table}


def render_scorecard(card: Mapping[str, Any]) -> str:
    """Return a scorecard as one HTML document that loads nothing.

    Parameters
    ----------
    card : mapping
        From :func:`stemtrial.predict.scorecard.scorecard`.
    """
    rows: list[Row] = list(card["rows"])
    labels = labels_of(rows)
    headlines = [r for r in rows if r["headline"]]
    misses = [r for r in headlines if r["agrees"] is False]
    sealed = sorted((r for r in rows if r["role"] == "sealed"), key=lambda r: (trial_of(r), r["outcome_id"]))
    families, blind = _families(headlines, labels), _families(sealed, labels)
    pictures = [f for part in (families, blind) for p in part for f in p["figures"]]
    summary = summary_views(card)
    pictures = [*summary, *pictures]
    strip = None
    if any(finite(r.get("z")) is not None for r in headlines):
        said = f"{len(headlines) - len(misses)} of {len(headlines)} headlines inside their 90 % interval."
        table = row_table(headlines, labels, "Headlines, misses first, by the size of z.")
        strip = view_of(calibration(headlines, labels), "calibration", "How far off", said, "", table)
        pictures = [strip, *pictures]
    of = card["settings"]["disease"]
    place = {id(r): k for k, r in enumerate(rows)}
    told = [
        {
            "title": f"{trial_of(r)}: {labels[r['endpoint']]}, {who_of(r)}, {statistic(r['statistic'])}",
            "href": f"#row-{place[id(r)]}",
            "z": z_text(r["z"]),
            "why": r["why"],
        }
        for r in misses
    ]
    explained = [m for m in told if "No reason has been worked out" not in str(m["why"])]
    return document(
        "scorecard.html",
        pictures,
        disease=" and ".join(DISEASES[d] for d in (DISEASES if of == "all" else (of,))),
        settings=card["settings"],
        held=interval_words(card["settings"].get("interval") or "sampling"),
        coverage=card["coverage"]["role"].get("test", card["coverage"]["all"]),
        held_out="test" in card["coverage"]["role"],
        percent=percent,
        headlines=len(headlines),
        missed=len(misses),
        worst=told[:5],
        strip=strip,
        verdict=verdict_table(card),
        passed=card.get("verdicts", {}).get("test", {}).get("all", {}).get("passed"),
        judged=bool(lanes_of(card)),
        summary=summary,
        groups=group_table(card),
        table=coverage_table(card),
        skipped=card.get("skipped", []),
        families=families,
        misses=explained,
        unexplained=len(told) - len(explained),
        sealed=blind,
        sealed_rows=len(sealed),
        roles=ROLES,
        rows=row_table(rows, labels, "Every prediction of a published outcome. z as defined below.", full=True),
        not_predicted=_not_predicted(card),
        not_run=card["not_run"],
        protocols=card["protocols"],
        z=card["z"],
        disclaimer=card["disclaimer"],
        kinds={str((r.get("published") or {}).get("verification")) for r in headlines},
    )


def write_scorecard(card: Mapping[str, Any], path: Path) -> None:
    """Write a scorecard to ``path`` as HTML: complete or not at all."""
    write_whole(render_scorecard(card), path)
