"""Sections that set predictions of the same outcomes beside each other: no effect at all, and competing hypotheses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stemtrial.report.lanes import Lane, lanes
from stemtrial.report.sections import FigureView, Section, slug, view_of
from stemtrial.report.tables import Cell, TableView, published_cell
from stemtrial.report.words import (
    Names,
    arms_of,
    count,
    finite,
    group_by_scale,
    number,
    real,
    scale_of,
    shown,
    span,
    statistic,
)

Row = Mapping[str, Any]
NO_EFFECT = "What the same trial would have shown with no effect at all"
HYPOTHESES = "Competing hypotheses: apart and together"


def _own(row: Row) -> Row:
    return row


def _kinds(rows: Sequence[Row]) -> set[str]:
    return {str((r.get("published") or {}).get("verification")) for r in rows}


def _outcome(row: Row, names: Names) -> Cell:
    unit = scale_of(row).unit
    where = names.detail(row) + (f" [{unit}]" if unit else "")
    return Cell(names.title(row), (where,))


def _interval(row: Row, summary: Mapping[str, Any] | None, *notes: str) -> Cell:
    """Median over the 90 % interval of a summary, in the display units of its row."""
    s = shown({**(summary or {}), "published": None}, scale_of(row))
    return Cell(number(s["median"]), (span(s["pi90"]), *notes), sort=s["median"])


def _views(
    rows: Sequence[Row], ways: Sequence[Lane], names: Names, ident: str, summary: str, table: Any
) -> list[FigureView]:
    out = []
    for scale, members in group_by_scale(rows):
        told = f"{scale.title}: {summary}"
        fig = lanes(members, ways, names)
        out.append(view_of(fig, f"{ident}-{slug(scale.key)}", scale.title, told, "", table(members, names, told)))
    return out


# -- no effect -------------------------------------------------------------------------------------------------------
def no_effect_section(result: Mapping[str, Any], names: Names) -> Section | None:
    """Return what a trial without a comparator would have shown with no effect at all; None where there is none."""
    rows = [r for r in result.get("estimates") or () if r.get("no_effect")]
    if not rows:
        return None
    ways = [
        Lane("predicted", "arm0", _own),
        Lane("predicted, no effect at all", "arm1", lambda r: r.get("no_effect")),
    ]
    views = _views(
        rows, ways, names, "no-effect", "predicted with and without an effect, and published.", no_effect_table
    )
    return Section(
        "no-effect",
        NO_EFFECT,
        _no_effect_words(result["run"], rows),
        views,
        [],
        "",
        _kinds(rows),
        key=tuple((w.name, w.token) for w in ways),
    )


DESIGN = {
    "ms": "patients enter when they are worse than usual and come back towards their own mean, those who were selected "
    "on past activity have less of it later, and deficits from recent relapses heal.",
    "als": "patients who were chosen because they fell fast before entry fall less fast later, and whoever lives long "
    "enough to be measured again is slower than those who died.",
}
"""What changes in a trial without any effect, by disease."""


def _no_effect_words(run: Mapping[str, Any], rows: Sequence[Row]) -> str:
    compared = {"observational": "Its arms were not allocated by chance", "single_arm": "It has no control arm"}
    said = compared.get(str(run.get("design")), "It has no control arm")
    out = (
        f"{said}, so that a change is not an effect. Here the same virtual patients live through the same trial once "
        "more, with the same random numbers, and every benefit and every harm of the therapy is switched off. What "
        f"remains is the disease, which goes on, and the design: {DESIGN[str(run.get('disease') or 'ms')]}"
    )
    if any(finite((r.get("no_effect") or {}).get("without_rating_bias")) is not None for r in rows):
        out += (
            " Raters who know the treatment rate with hope; that stays in, since it belongs to the trial, and the "
            "table shows the value without it too."
        )
    return out + " The difference is that of each replicate to its own counterpart."


def no_effect_table(rows: Sequence[Row], names: Names, caption: str) -> TableView:
    """Return estimate, published, predicted, no effect, difference; and no effect with blind raters where they are not.

    Parameters
    ----------
    rows : sequence of mapping
        Rows of ``estimates.json`` with ``no_effect``.
    names : Names
        Labels of arms and endpoints.
    caption : str
        What is said above it.
    """
    open_raters = any(r["no_effect"].get("without_rating_bias") is not None for r in rows)
    out = []
    for row in rows:
        gone, s = row["no_effect"], shown(row, scale_of(row))
        line = [
            _outcome(row, names),
            published_cell(s["value"], s["ci95"], row.get("published")),
            _interval(row, row),
            _interval(row, gone),
            _interval(row, gone.get("difference")),
        ]
        if open_raters:
            line.append(Cell(number(shown({"median": gone.get("without_rating_bias")}, scale_of(row))["median"])))
        out.append(line)
    columns = ["Outcome", "Published", "Predicted", "No effect at all", "Difference"]
    columns += ["No effect, blind raters"] if open_raters else []
    return TableView(f"{caption} Medians over 90 % intervals.", columns, out, set(range(1, len(columns))))


# -- hypotheses ------------------------------------------------------------------------------------------------------
def hypotheses_section(result: Mapping[str, Any], names: Names) -> Section | None:
    """Return each outcome under each hypothesis and under their mixture; None where nothing is mixed."""
    rows = [r for r in result.get("estimates") or () if r.get("hypotheses")]
    if not rows:
        return None
    ways = [
        Lane("optimistic", "arm2", lambda r: (r.get("hypotheses") or {}).get("optimistic")),
        Lane("sceptical", "arm3", lambda r: (r.get("hypotheses") or {}).get("sceptical")),
        Lane("mixture", "contrast", _own),
    ]
    summary = "the optimistic hypothesis, the sceptical one, their mixture, and published."
    views = _views(rows, ways, names, "hypotheses", summary, hypotheses_table)
    return Section(
        "hypotheses",
        HYPOTHESES,
        hypotheses_words(result.get("hypotheses") or ()),
        views,
        [],
        "",
        _kinds(rows),
        key=tuple((w.name, w.token) for w in ways),
    )


def hypotheses_words(weights: Sequence[Mapping[str, Any]]) -> str:
    """Say which hypotheses are mixed, with which weights, and where those come from."""
    out = (
        "How much these cells do is disputed. Two hypotheses compete: the optimistic one lets them do what the most "
        "favourable reports suggest, the sceptical one far less. Each replicate draws one of them by its weight, for "
        "the whole trial. Here they stand apart, and together as the mixture, which is what is scored."
    )
    for w in weights:
        share = finite(w.get("weight")) or 0.0
        named = str(w.get("family", "")).upper()
        out += (
            f" {named}: optimistic {number(100 * share)} %, sceptical {number(100 * (1 - share))} % "
            f"(source of the weight: {w.get('source')})."
        )
    return out


def hypotheses_table(rows: Sequence[Row], names: Names, caption: str) -> TableView:
    """Return estimate, published, optimistic, sceptical, mixture, as medians over 90 % intervals."""
    out = []
    for row in rows:
        h, s = row["hypotheses"], shown(row, scale_of(row))
        apart = [_interval(row, h[k], f"{count(h[k].get('n'))} replicates") for k in ("optimistic", "sceptical")]
        told = published_cell(s["value"], s["ci95"], row.get("published"))
        out.append([_outcome(row, names), told, *apart, _interval(row, row)])
    columns = ["Outcome", "Published", "Optimistic", "Sceptical", "Mixture"]
    return TableView(f"{caption} Medians over 90 % intervals.", columns, out, {1, 2, 3, 4})


# -- claims ----------------------------------------------------------------------------------------------------------
def told_section(result: Mapping[str, Any], names: Names) -> Section | None:
    """Return what an article says, what the record says, what the model says; None where a protocol tells no claim."""
    claims, beside = result.get("claims") or (), result.get("beside") or ()
    if not claims and not beside:
        return None
    title = "What the article says, what the record says, what the model says"
    intro = (
        "A trial as it was told to the public, beside the record. Claims are quoted from the article; the record is "
        "what was published or registered, the model's numbers are those of this run. Verdicts: supported; overstated "
        "(more than the record says); contradicted by it; misattributed (true of another study); unverifiable. "
        "Nothing here is scored."
    )
    if not claims:
        title, intro = "What the model says, and what was published", "Studies beside this one, shown and never scored."
    tables = [claims_table(claims)] if claims else []
    tables += [model_table(list(result.get("estimates") or ()), names)]
    tables += [published_table(study) for study in beside]
    return Section("told", title, intro, [], tables)


def claims_table(claims: Sequence[Mapping[str, Any]]) -> TableView:
    """Return the claims of a protocol with their verdicts."""
    articles = list(dict.fromkeys(str(c.get("article") or "") for c in claims))
    one = len(articles) == 1
    rows = [
        [
            Cell(str(c.get("text")), tuple(str(c[k]) for k in ("claim", *(["article"] * (not one))) if c.get(k))),
            Cell(str(c.get("verdict")), kind="miss" if c.get("verdict") not in ("supported", "unverifiable") else ""),
            Cell(str(c.get("what_the_record_says")), tuple(_quantities(c.get("quantities")))),
        ]
        for c in claims
    ]
    caption = f"What the article says{f' ({articles[0]})' if one and articles[0] else ''}, and what the record says."
    return TableView(caption, ["The article", "Verdict", "The record"], rows)


def _quantities(values: Mapping[str, Any] | None) -> list[str]:
    return [f"{k.replace('_', ' ')}: {_plain(v)}" for k, v in (values or {}).items()]


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{k.replace('_', ' ')} {_plain(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_plain(v) for v in value)
    return str(value) if real(value) is None else number(value)


def model_table(rows: Sequence[Row], names: Names) -> TableView:
    """Return what the model says of the trial as it was told: medians over 90 % intervals, and no effect beside it."""
    beside = any(r.get("no_effect") for r in rows)
    out = [[_outcome(r, names), _interval(r, r), *([_interval(r, r.get("no_effect"))] if beside else [])] for r in rows]
    columns = ["What the model says", "Predicted", *(["No effect at all"] if beside else [])]
    caption = "What the model says of the trial as it was told. Medians over 90 % intervals."
    return TableView(caption, columns, out, set(range(1, len(columns))))


def published_table(study: Mapping[str, Any]) -> TableView:
    """Return what a study published, an outcome a row."""
    rows = []
    for o in study.get("outcomes") or ():
        row = {**o, "published": o}
        scale = scale_of(row)
        s = shown(row, scale)
        at = finite(o.get("time_years"))
        rows.append(
            [
                Cell(str(o.get("label") or o.get("endpoint")), (str(o.get("outcome_id")),)),
                Cell(arms_of(o)),
                Cell("–" if at is None else number(at)),
                Cell(statistic(o.get("statistic")) + (f", {scale.unit}" if scale.unit not in ("", "various") else "")),
                Cell("sealed", kind="muted")
                if o.get("verification") == "sealed"
                else published_cell(s["value"], s["ci95"], o),
            ]
        )
    caption = f"What the record says: {study.get('citation') or study.get('study')} ({study.get('study')})."
    return TableView(caption, ["Published outcome", "Who", "Years", "Statistic", "Value"], rows, {2, 4})
