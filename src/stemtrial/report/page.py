"""One run as one HTML file: no request leaves it, every picture has its table, what is missing is said."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from stemtrial.report import apart, marks, tables
from stemtrial.report.colours import PALETTE, dark_pairs
from stemtrial.report.data import Run, check_report
from stemtrial.report.sections import FigureView, forest_views, sections_of
from stemtrial.report.words import (
    DISEASES,
    Names,
    count,
    doi_url,
    explain_label,
    finite,
    interval_words,
    names_of,
    number,
    plain,
    scale_of,
    shown,
    span,
)

DESIGNS = {
    "single_arm": "The trial has one arm and no control: what changes in it is not the effect of the therapy. What the "
    "same trial would have shown with no effect at all stands beside it.",
    "observational": "Arms were not allocated by chance: what differs between them need not be a therapy's effect. "
    "What the same arms would have shown with no effect at all stands beside them.",
}
"""What a reader must know of a design without randomisation."""


def _tally(rows: Sequence[Mapping[str, Any]], names: Names) -> dict[str, Any]:
    """Count agreement: ``scored`` rows are verified and have a verdict; misses stand first."""
    scored = [(k, r) for k, r in enumerate(rows) if isinstance(r.get("agrees"), bool)]
    scored.sort(key=lambda kr: bool(kr[1]["agrees"]))
    marks = [{"href": f"#estimate-{k}", "name": names.outcome(r), "inside": bool(r["agrees"])} for k, r in scored]
    unscored = [
        r
        for r in rows
        if not isinstance(r.get("agrees"), bool) and finite((r.get("published") or {}).get("value")) is not None
    ]
    return {
        "marks": marks,
        "scored": len(scored),
        "inside": sum(bool(r["agrees"]) for _, r in scored),
        "unscored": len(unscored),
        "expected": count(0.9 * len(scored)),
    }


def _first(rows: Sequence[Mapping[str, Any]], names: Names) -> dict[str, str] | None:
    """Return the first outcome with a published value (a study lists its primary first), interval before point."""
    row = next(
        (r for r in rows if finite((r.get("published") or {}).get("value")) is not None), rows[0] if rows else None
    )
    if row is None:
        return None
    scale = scale_of(row)
    s, unit = shown(row, scale), f" {scale.unit}" if scale.unit else ""
    ci = f" (95 % confidence interval {span(s['ci95'])})" if s["ci95"][0] is not None else ""
    return {
        "name": names.outcome(row),
        "interval": span(s["pi90"]) + unit,
        "median": number(s["median"]) + unit,
        "published": "" if s["value"] is None else number(s["value"]) + unit + ci,
    }


def _misses(result: Mapping[str, Any], names: Names) -> list[dict[str, Any]]:
    """Join every miss with its numbers and its paragraph; a paragraph whose outcome is no miss is kept and said."""
    why = {str(m["outcome_id"]): str(m["why"]) for m in result.get("misses") or ()}
    out: list[dict[str, Any]] = []
    for k, row in enumerate(result.get("estimates") or ()):
        if row.get("agrees") is not False:
            continue
        scale = scale_of(row)
        s, unit = shown(row, scale), f" {scale.unit}" if scale.unit else ""
        out.append(
            {
                "title": names.outcome(row),
                "href": f"#estimate-{k}",
                "numbers": f"Predicted {span(s['pi90'])}{unit} (90 % interval, median {number(s['median'])}); "
                f"published {number(s['value'])}{unit}.",
                "why": why.pop(str(row.get("outcome_id")), "No explanation has been written yet."),
            }
        )
    by_id = {str(r.get("outcome_id")): r for r in result.get("estimates") or ()}
    for ident, text in why.items():
        title = names.outcome(by_id[ident]) if ident in by_id else ident
        out.append({"title": title, "href": "", "numbers": "Not outside its 90 % interval in this run.", "why": text})
    return out


def _caveats(result: Mapping[str, Any]) -> list[str]:
    """Return what weakens the run, in sentences."""
    run = result["run"]
    out = []
    held = str(run.get("interval") or "")
    if held and "parameters" not in held:
        out.append(
            f"The intervals hold {interval_words(held)}{' only' if '+' not in held else ', not parameters'}: every "
            "constant of the model stands at one value. What is not known about the constants would make them wider."
        )
    elif held:
        out.append(f"The intervals hold {interval_words(held)}, not what is uncertain in the model's structure.")
    if (run.get("design") or "randomised") != "randomised":
        out.append(DESIGNS[str(run["design"])])
    if run.get("recruit_warning"):
        out.append(str(run["recruit_warning"]))
    if finite(run.get("failed_patients")):
        out.append(f"{count(run['failed_patients'])} virtual patients failed numerically and were left out.")
    if finite(run.get("events_overflowed")):
        out.append(f"{count(run['events_overflowed'])} events did not fit into the event log and are missing.")
    lost = [r for r in result.get("estimates") or () if finite(r.get("n_not_estimable"))]
    if lost:
        s = "s" * (len(lost) != 1)
        out.append(
            f"{len(lost)} outcome{s} could not be estimated in some replicates (no event in an arm, for one); "
            "these count at their limit. The table of estimates says how many."
        )
    labels = dict.fromkeys(
        [*(run.get("labels") or ()), *(x for r in result.get("estimates") or () for x in r.get("labels") or ())]
    )
    told = [explain_label(str(label), str(run.get("disease") or "")) for label in labels]
    return out + [t if t.endswith(".") else f"{t}." for t in told]


def _by_reason(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Outcomes that the run does not predict, by reason; of one study by number."""
    out: dict[str, list[str]] = {}
    for r in rows:
        out.setdefault(str(r["reason"]), []).append(str(r["outcome_id"]))
    studies = {o.partition("#")[0] for found in out.values() for o in found}
    return out if len(studies) > 1 else {k: [f"#{o.partition('#')[2]}" for o in v] for k, v in out.items()}


def _hash(script: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() + "'"


def render_report(result: Mapping[str, Any]) -> str:
    """Return the report of one run as one HTML document.

    The document loads nothing: styles, scripts (Plotly.js once) and data are inside, and a content security policy
    forbids anything else. The same input gives the same text.

    Parameters
    ----------
    result : mapping
        :class:`~stemtrial.report.data.ReportData`. Only ``run`` is required; numbers may be None, NaN or infinite.

    Raises
    ------
    InputError
        If ``run`` is absent or a part has an unknown name.

    """
    check_report(result)
    names = names_of(result)
    rows = list(result.get("estimates") or ())
    forests = forest_views(rows, names)
    beside = (apart.told_section(result, names), apart.no_effect_section(result, names))
    first = [s for s in (*beside, apart.hypotheses_section(result, names)) if s is not None]
    sections = [*first, *sections_of(result, names)]
    kinds = {str((r.get("published") or {}).get("verification")) for r in rows}
    pictures = forests + [f for s in sections for f in s.figures]
    arms = [
        {
            **a,
            "label": names.arm(a["id"]),
            "token": marks.arm_token(a["id"], list(names.arms)),
            "dash": marks.arm_dash(a["id"], list(names.arms)),
        }
        for a in result.get("arms") or ()
    ]
    return document(
        "report.html",
        pictures,
        run=dict.fromkeys(Run.__annotations__) | dict(result["run"]),
        disclaimer=result.get("disclaimer") or "",
        doi=doi_url(result["run"].get("doi")),
        arms=arms,
        tally=_tally(rows, names),
        first=_first(rows, names),
        untried=[
            {"arm": names.arm(a), "what": "; ".join(w)}
            for a, w in (result["run"].get("without_human_data") or {}).items()
        ],
        disease=DISEASES.get(str(result["run"].get("disease")), "the disease"),
        held=interval_words(result["run"].get("interval")).capitalize() or "–",
        caveats=_caveats(result),
        forests=forests,
        misses=_misses(result, names),
        not_predicted=_by_reason(result.get("not_predicted") or ()),
        sections=sections,
        estimates=tables.estimate_table(rows, names, "All estimates of this run.", full=True) if rows else None,
        parameters_note=result.get("parameters_note") or "",
        provenance=result.get("provenance") or {},
        kinds=kinds,
        definitions={names.endpoint(r.get("endpoint")): str(r["definition"]) for r in rows if r.get("definition")},
    )


def document(template: str, pictures: Sequence[FigureView], **content: Any) -> str:
    """Return a page of the house as one HTML document that loads nothing: styles, scripts and data are inside.

    Parameters
    ----------
    template : str
        File in ``templates``.
    pictures : sequence of FigureView
        All pictures of the page; Plotly.js is left out where there are none.
    **content
        What the template shows.
    """
    env = Environment(
        loader=PackageLoader("stemtrial.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda v: v.replace(" %", "\u00a0%") if type(v) is str else v,  # no line breaks before the sign
    )
    env.filters.update(count=count, number=number, plain=plain)
    loader = env.loader
    assert loader is not None
    script = loader.get_source(env, "report.js")[0]
    plotly = str(get_plotlyjs())
    return env.get_template(template).render(
        pictures=pictures,
        palette=PALETTE,
        dark_pairs=dark_pairs(),
        plotly=Markup(plotly) if pictures else "",
        script=Markup(script),
        policy=(
            f"default-src 'none'; script-src {_hash(script)} {_hash(plotly)}; style-src 'unsafe-inline'; "
            "img-src data: blob:; base-uri 'none'; form-action 'none'"
        ),
        **content,
    )


def write_report(result: Mapping[str, Any], path: Path) -> None:
    """Write the report of one run to ``path``: complete or not at all.

    Parameters
    ----------
    result : mapping
        :class:`~stemtrial.report.data.ReportData`.
    path : Path
        The HTML file; its folder exists. A file of that name is replaced.

    Raises
    ------
    InputError
        As :func:`render_report`.

    """
    write_whole(render_report(result), path)


def write_whole(text: str, path: Path) -> None:
    """Write a page to ``path``: complete or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
