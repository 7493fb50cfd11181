"""Tables and pictures of a credibility report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from stemtrial.credibility.context import LEVELS, risk_of
from stemtrial.parameters import STANDINGS
from stemtrial.report.colours import light, veil
from stemtrial.report.marks import LABEL_CHARS, LINE, Rows, bars_of, safe
from stemtrial.report.scorecard import THERAPIES
from stemtrial.report.scorecard_groups import coverage_figure, percent
from stemtrial.report.sections import FigureView, view_of
from stemtrial.report.tables import Cell, TableView
from stemtrial.report.words import count, number, plain, span

Data = Mapping[str, Any]
RATINGS = {
    "influence": "Model influence", "consequence": "Consequence of a wrong decision", "impact": "Model impact",
}  # fmt: skip
OWNERS = {**THERAPIES, "ms": "MS", "als": "ALS", "als_drugs": "Drugs of ALS", "anti_cd20": "Anti-CD20"}
KINDS = {"met": "inside", "not met": "miss", "not judged": "muted", "missing": "muted"}
MARKS = {"met": "✓ met", "not met": "✕ not met", "not judged": "not judged", "missing": "missing"}


# -- asked ------------------------------------------------------------------------------------------------------------
def ratings(risk: Data) -> TableView:
    """Return influence, consequence and impact with their reasons, and the risk."""
    rows = [[Cell(title), Cell(risk[k]["level"]), Cell(risk[k]["why"])] for k, title in RATINGS.items() if risk.get(k)]
    rows.append([Cell("Model risk"), Cell(risk["risk"]), Cell("from influence and consequence, by the matrix")])
    return TableView("Ratings, as stated in the context of use.", ["", "Rating", "Why"], rows)


def matrix(risk: Data | None) -> TableView:
    """Return the matrix of influence and consequence; the cell of this use is marked."""
    rows = []
    for influence in LEVELS:
        cells = [Cell(f"influence {influence}")]
        for consequence in LEVELS:
            here = bool(risk) and (risk["influence"]["level"], risk["consequence"]["level"]) == (influence, consequence)  # type: ignore[index]
            told = risk_of(influence, consequence)
            cells.append(Cell(f"▶ {told}" if here else told, ("this use",) if here else (), "miss" if here else ""))
        rows.append(cells)
    caption = "Model risk from model influence (rows) and consequence of a wrong decision (columns)."
    return TableView(caption, ["", *(f"consequence {c}" for c in LEVELS)], rows)


# -- made -------------------------------------------------------------------------------------------------------------
def mechanisms(m: Data) -> TableView:
    """Return what the disease and each therapy family contribute to the equations."""
    rows = [
        [
            Cell(OWNERS.get(x["owner"]) or plain(x["owner"])),
            Cell(count(x["states"])),
            Cell("; ".join(x["meanings"][:12]) + ("; …" if len(x["meanings"]) > 12 else "") or "–"),
            Cell(", ".join(r.replace("_", " ") for r in x["rates_changed"]) or "–"),
        ]
        for x in m["mechanisms"]
    ]
    caption = "States of a patient by owner, and rates of the disease that a therapy multiplies."
    return TableView(caption, ["Owner", "States", "What they are", "Rates that it changes"], rows, {1})


def standings(counts: Data) -> TableView:
    """Return how many numbers have which source."""
    rows = [
        [Cell(text), *(Cell(count(counts[k][s])) for k in ("all", "kernel", "drawn"))] for s, text in STANDINGS.items()
    ]
    rows.append([Cell("All"), *(Cell(count(sum(counts[k].values()))) for k in ("all", "kernel", "drawn"))])
    caption = (
        "Numbers that may act in this run, by where they come from. The kernel's are known exactly; instruments that "
        "measure nothing here may be among all. Drawn: they differ between the draws of this run."
    )
    return TableView(caption, ["Source", "All", "In the equations", "Drawn"], rows, {1, 2, 3})


def assumed(rows: Sequence[Data]) -> TableView:
    """Return the assumed numbers that may act, those in the equations first."""
    out = [
        [
            Cell(r["name"], (r["meaning"],)), Cell(number(r["value"]), (r["unit"],), sort=r["value"]),
            Cell("equations" if r["in_kernel"] else "around them"), Cell("drawn" if r["drawn"] else "fixed"),
            Cell(r["source"]),
        ]
        for r in rows
    ]  # fmt: skip
    caption = f"All {len(rows)} assumed numbers that may act in this run; in the equations first."
    return TableView(caption, ["Number", "Value", "Where", "In this run", "Source"], out, {1}, sortable=True)


def roles(rows: Sequence[Data]) -> TableView:
    """Return studies of the disease by role, with the reasons."""
    out = [
        [
            Cell(plain(r["role"]), (r["meaning"],)), Cell(count(r["studies"])), Cell(count(r["outcomes"])),
            Cell("; ".join(f"{x['reason']} ({x['studies']})" for x in r["reasons"]) or "–"),
        ]
        for r in rows
    ]  # fmt: skip
    return TableView("Published studies of the disease, by role.", ["Role", "Studies", "Outcomes", "Why"], out, {1, 2})


def left(rows: Sequence[Data]) -> TableView:
    """Return what the fit leaves of fit studies, by reason."""
    out = [[Cell(r["reason"]), Cell(count(r["outcomes"])), Cell(count(r["studies"]))] for r in rows]
    caption = "Outcomes of fit studies that the fit does not read, by reason."
    return TableView(caption, ["Reason", "Outcomes", "Studies"], out, {1, 2})


# -- verified ---------------------------------------------------------------------------------------------------------
def tests(rows: Sequence[Data]) -> TableView:
    """Return tests by standing."""
    out = [
        [Cell(plain(r["standing"]), (r["meaning"],)), Cell(count(r["files"])), Cell(count(r["tests"]))] for r in rows
    ]
    return TableView("Tests of the package by standing.", ["Standing", "Files", "Test functions"], out, {1, 2})


def errors(c: Data) -> TableView:
    """Return the Monte Carlo error of the answer, and the estimates with the greatest."""
    named = [("answer", c["answer"]), *(("", w) for w in c["worst"] if w["label"] != c["answer"]["label"])]
    out = [
        [Cell(r["label"], (who,) if who else ()), Cell(number(r["median"])), Cell(number(r["mcse"])),
         Cell(percent(r["share"]))]
        for who, r in named
    ]  # fmt: skip
    caption = "Monte Carlo error of the answer, and of the estimates where it is greatest beside their intervals."
    return TableView(caption, ["Estimate", "Median", "Monte Carlo error", "Of half the 90 % interval"], out, {1, 2, 3})


def blocks(p: Data) -> TableView | None:
    """Return the blocks of the posterior, as its provenance tells them."""
    out = [
        [Cell(str(b["title"] or b["name"])), *(Cell(count(b[k])) for k in ("members", "passes", "data", "trials"))]
        for b in p["blocks"]
    ]
    columns = ["Block", "Members", "Passes", "Published values", "Trials"]
    return TableView("Blocks that were fitted (ensemble smoother).", columns, out, {1, 2, 3, 4}) if out else None


def fit_report(p: Data) -> TableView | None:
    """Return identifiability and residuals of each block."""
    out = [
        [
            Cell(b["title"], ("the ensemble collapsed",) if b["collapsed"] else ()),
            Cell(f"{b['told']} of {b['parameters']}"), Cell(count(len(b["stays"]))),
            Cell(percent(b["inside90"])), Cell(percent(b["inside50"])),
            Cell("; ".join(f"{c['a']} and {c['b']} ({number(c['r'], 2)})" for c in b["correlations"]) or "–"),
        ]
        for b in p["report"]
    ]  # fmt: skip
    caption = "What the fit could tell: directions, parameters at their priors, published values that were fitted to."
    columns = ["Block", "Directions told", "At the prior", "In 90 %", "In 50 %", "Told only together"]
    return TableView(caption, columns, out, {1, 2, 3, 4}) if out else None


def learned(p: Data) -> TableView | None:
    """Return posterior and shrinkage of each parameter that acts, the most learned first."""
    out = [
        [
            Cell(r["name"], (f"{r['meaning']} [{r['unit']}]",)), Cell(number(r["point"])),
            Cell(number(r["posterior"]["median"]), (span(r["posterior"]["pi90"]),), sort=r["posterior"]["median"]),
            Cell("stays" if r["stays"] else percent(r["shrinkage"]), kind="muted" if r["stays"] else "",
                 sort=r["shrinkage"]),
        ]
        for r in p["parameters"]
    ]  # fmt: skip
    which = "Fitted parameters" if p["known_fitted"] else "Drawn parameters"
    caption = f"{which} that may act in this run; shrinkage: share of the prior's variance that is gone."
    columns = ["Parameter", "Point value", "Posterior, 90 %", "Shrinkage"]
    return TableView(caption, columns, out, {1, 2, 3}, sortable=True) if out else None


# -- validated --------------------------------------------------------------------------------------------------------
def groups(rows: Sequence[Data], first: str, caption: str) -> TableView:
    """Return coverage and CRPS ratios of groups of headlines, test apart from fit."""
    out = []
    for r in rows:
        for role in ("test", "fit"):
            g = r["roles"][role]
            name = Cell(f"{plain(r['name'])}: {role}", (r["meaning"],) if r["meaning"] else ())
            if g is None:
                out.append([name, Cell("none", kind="muted"), *([Cell("–")] * 4)])
                continue
            c = g["coverage"]
            size = f"{count(c['cohorts'])} cohorts"
            notes = (f"{count(c['outcomes'])} outcomes", *(() if c["judged"] else ("not judged",)))
            out.append([name, Cell(size, notes), *(_share(c, k) for k in (90, 50)), *map(_ratio, g["ratios"].values())])
    columns = [first, "Headlines", "In the 90 % interval", "In the 50 %", "CRPS / meta-analysis", "CRPS / no change"]
    told = f"{caption} Below a share its 90 % interval, below a ratio its 80 % interval, over resampled cohorts."
    return TableView(told, columns, out, {2, 3, 4, 5})


def _share(c: Data, level: int) -> Cell:
    ends = c[f"ci90_of_{level}"]
    return Cell(percent(c[f"inside{level}"]), (f"{percent(ends[0])} to {percent(ends[1])}",) if ends else ())


def _ratio(r: Data) -> Cell:
    notes = (*((span(r["ci80"]),) if r["ci80"] else ()), *((f"{count(r['cohorts'])} cohorts",) if r["cohorts"] else ()))
    return Cell(number(r["ratio"]), notes)


def rules(v: Data) -> TableView:
    """Return the rules of acceptance, on all test studies and on those of the lane."""
    out = []
    for who, found in (("All test studies", v["rules"]), (f"Lane {v['context']['lane']}", v["lane_rules"])):
        for r in found:
            told = {True: "met", False: "not met", None: "not judged"}[r["met"]]
            ends = (span(r["interval"]),) if r["interval"] else ()
            out.append([
                Cell(r["rule"], (who,)), Cell(number(r["value"], 2), ends), Cell(count(r["cohorts"])),
                Cell(MARKS[told], kind=KINDS[told]),
            ])  # fmt: skip
    return TableView("Rules of acceptance, of both diseases together and of the lane of this run.",
                     ["Rule", "Value", "Cohorts", ""], out, {1, 2})  # fmt: skip


def levels_view(v: Data) -> FigureView | None:
    """Return the picture of coverage by level, on test studies."""
    told = [(x["name"], x["roles"]["test"]) for x in v["levels"] if x["roles"]["test"]]
    if not told:
        return None
    title = "Coverage on held-out studies, by level"
    table = groups(v["levels"], "Level", "Validation by level.")
    said = "Share of published values inside the 90 % (circle) and the 50 % interval (diamond); bars: 90 %."
    return view_of(coverage_figure(told), "levels", title, f"{title}. {said}", said, table)


# -- told -------------------------------------------------------------------------------------------------------------
def parts(u: Data) -> TableView:
    """Return what the interval of the answer is made of."""
    words = {"sampling": "sampling of patients", "trial_effects": "effects of the trial", "parameters": "parameters"}
    out = [[Cell(words[k]), Cell(number(u["sd"][k])), Cell(percent(share))] for k, share in u["shares"].items()]
    scale = " of its logarithm" if u["on_log"] else ""
    drawn = f" Effects of the trial drawn: {', '.join(u['trial_effects'])}." if u["trial_effects"] else ""
    return TableView(f"What the spread of the answer is made of.{drawn}",
                     ["Part", f"Standard deviation{scale}", "Share of the variance"], out, {1, 2})  # fmt: skip


def drivers_figure(s: Data) -> go.Figure:
    """Rank correlation of each parameter with the answer; band: what chance alone gives."""
    layout = Rows()
    bars, points = [], []
    for r in s["rows"]:
        token = "contrast" if r["above_noise"] else "muted"
        layout.label(f"<b>{safe(r['name'], LABEL_CHARS - 9)}</b>", layout.y + LINE / 2)
        layout.label("assumed" if r["assumed"] else "", layout.y + LINE / 2, right=True, token="muted")
        y = layout.y + LINE + 7
        bars.append((r["interval"][0], r["interval"][1], y, token))
        words = f"<b>{safe(r['name'])}</b><br>{safe(r['meaning'], 80)}<br>{number(r['rank_correlation'], 2)}"
        points.append((r["rank_correlation"], y, words, token))
        layout.y = y + 12
    axis = {"title": {"text": "rank correlation with the answer"}, "range": [-1.04, 1.04],
            "tickvals": [-1, -0.5, 0, 0.5, 1]}  # fmt: skip
    fig = layout.figure(axis)
    fig.add_vrect(x0=-s["floor"], x1=s["floor"], fillcolor=veil("muted", 0.14), line_width=0, layer="below")
    fig.add_vline(x=0, line={"color": light("muted"), "width": 1.2, "dash": "dot"}, layer="below")
    bars_of(fig, bars, 7, 0.5, "90 %, over resampled draws")
    fig.add_scatter(
        x=[p[0] for p in points], y=[p[1] for p in points], mode="markers", hoverinfo="text",
        hovertext=[p[2] for p in points], name="rank correlation",
        marker={"symbol": "line-ns", "size": 14, "line": {"width": 2.5, "color": light("ink")}},
    )  # fmt: skip
    return fig


def drivers_view(s: Data, label: str) -> FigureView:
    """Return the picture of what drives the answer, beside its table."""
    rows = [
        [
            Cell(r["name"], (f"{r['meaning']} [{r['unit']}]", r["source"])),
            Cell(number(r["rank_correlation"], 2), (span(r["interval"]),), sort=r["rank_correlation"]),
            Cell(percent(r["share"]), sort=r["share"]),
            Cell(*(("above the noise",) if r["above_noise"] else ("within the noise", (), "muted"))),
        ]
        for r in s["rows"]
    ]  # fmt: skip
    found = sum(r["above_noise"] for r in s["rows"])
    said = f"{found} of the {len(rows)} strongest stand out of the noise (grey band)."
    table = TableView(
        f"{label}. Rank correlation over its 90 % interval (bootstrap over draws); share of the variance between draws "
        f"that goes with the parameter; noise floor {number(s['floor'], 2)}.",
        ["Parameter", "Rank correlation", "Share", "Noise"], rows, {1, 2}, sortable=True,
    )  # fmt: skip
    return view_of(
        drivers_figure(s), "drivers", "What drives the answer", f"What drives the answer. {said}", said, table
    )


def adequacy(criteria: Sequence[Data]) -> TableView:
    """Return the criteria with their state, what is not met first."""
    out = [
        [Cell(plain(c["group"])), Cell(c["criterion"], (c["why"],) if c["why"] else ()),
         Cell(MARKS[c["state"]], kind=KINDS[c["state"]])]
        for c in criteria
    ]  # fmt: skip
    return TableView("Criteria: not met first, then missing, then not judged.", ["", "Criterion", "State"], out)


def missing(rows: Sequence[Data]) -> TableView:
    """Return what is missing, and how to get it."""
    out = [[Cell(plain(m["section"])), Cell(m["what"]), Cell(m["how"])] for m in rows]
    none = [[Cell("–"), Cell("Nothing that this report asks for is missing."), Cell("–")]]
    return TableView("What is missing.", ["Part", "What", "How to get it"], out or none)
