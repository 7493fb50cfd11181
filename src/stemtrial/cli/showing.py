"""``list``, ``explain`` and ``evidence``: what the package holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from stemtrial.cli import text
from stemtrial.errors import InputError

Rows = list[dict[str, Any]]


# -- list -------------------------------------------------------------------------------------------------------------
def _protocols() -> Rows:
    from stemtrial.trial.protocol import load_protocol, protocol_names

    found = [load_protocol(name) for name in protocol_names()]
    return [
        {
            "protocol": p.protocol,
            "disease": p.disease,
            "patients": sum(a.n for a in p.arms.values()),
            "reproduces": p.reproduces,
            "title": p.title,
        }
        for p in found
    ]


def _therapies() -> Rows:
    from stemtrial.report.explain import acts_on, modelled
    from stemtrial.therapy import catalogue

    return [
        {
            "therapy": t.name,
            "disease": acts_on(t.name),
            "modelled": modelled(t),
            "label": t.label,
            "posology": t.posology,
            "source": t.source,
        }
        for t in catalogue().values()
    ]


def _endpoints() -> Rows:
    from stemtrial.endpoint import definitions, diseases_of

    return [
        {
            "endpoint": d.id,
            "disease": list(diseases_of(d)),
            "kind": d.kind.replace("_", " "),
            "unit": d.unit,
            "label": d.label,
            "citation": d.citation,
        }
        for d in definitions().values()
    ]


def _studies() -> Rows:
    from stemtrial.evidence import studies

    return [
        {
            "study": s.id,
            "disease": s.disease,
            "kind": s.kind,
            "role": s.role,
            "outcomes": len(s.outcomes),
            "citation": s.citation,
        }
        for s in studies().values()
    ]


def _claims() -> Rows:
    from stemtrial.evidence import claims

    return [
        {"claim": c.id, "verdict": c.verdict, "text": c.claim, "what_the_record_says": c.what_the_record_says}
        for c in claims().values()
    ]


def _instruments() -> Rows:
    from stemtrial.observe import instruments

    return [
        {
            "instrument": i.name,
            "disease": list(i.diseases),
            "unit": i.unit,
            "low": i.low,
            "high": i.high,
            "step": i.step,
            "label": i.label,
            "error": i.noise,
        }
        for i in instruments().values()
    ]


def _parameters() -> Rows:
    from stemtrial.parameters import registry, standing

    return [
        {
            "parameter": p.name,
            "value": p.value,
            "unit": p.unit,
            "standing": standing(p.source),
            "source": p.source,
            "meaning": p.meaning,
        }
        for p in registry().values()
    ]


def _products() -> Rows:
    from stemtrial.report.explain_cells import list_products

    return list_products()


def _routes() -> Rows:
    from stemtrial.report.explain_cells import list_routes

    return list_routes()


_LISTS: dict[str, Callable[[], Rows]] = {
    "protocols": _protocols,
    "therapies": _therapies,
    "endpoints": _endpoints,
    "studies": _studies,
    "claims": _claims,
    "instruments": _instruments,
    "parameters": _parameters,
    "products": _products,
    "routes": _routes,
}
_ONLY_IN_JSON = {
    "therapies": ("source",),
    "endpoints": ("citation",),
    "parameters": ("source",),
    "studies": ("kind", "outcomes"),
    "instruments": ("step",),
    "products": (
        "tissue",
        "least_days",
        "viability",
        "purity",
        "pluripotent",
        "lot_cv",
        "potency",
        "ethics",
        "source",
    ),
    "routes": ("procedure", "source"),
}
"""Too much for a line; ``explain`` tells it."""
_SHORT = {"citation", "text", "what_the_record_says", "error", "source", "meaning", "posology", "title", "label"}


def show_list(what: str, disease: str | None, as_json: bool) -> None:
    """Print a list, of one disease if it is named.

    Raises
    ------
    InputError
        If the disease is unknown, or the list is not by disease.
    """
    rows = _LISTS[what]()
    if disease is not None:
        from stemtrial.disease import builder_of

        builder_of(disease)
        if not all("disease" in r for r in rows):
            raise InputError(f"a list of {what} is not by disease; leave out --disease")
        rows = [r for r in rows if disease in ([r["disease"]] if isinstance(r["disease"], str) else r["disease"])]
    if as_json:
        text.print_json(rows)
    else:
        left_out = _ONLY_IN_JSON.get(what, ())
        text.records([{k: v for k, v in r.items() if k not in left_out} for r in rows], fold=sorted(_SHORT))


_FOLDED = (
    "meaning", "source", "how", "next_value", "multiplied_by", "changes", "value", "procedure",
    "events_of_the_procedure", "potency", "ethics", "shown", "studies",
)  # fmt: skip
_TELLING = {
    "products": ("label", "tissue", "lot_cv", "source", "potency", "ethics"),
    "manufacture": ("source",),
    "delivery": ("source", "procedure", "events_of_the_procedure"),
}
"""Columns that only the JSON of an explanation holds, or that stand in words below the table."""
_IN_WORDS = {
    "products": ("product", ("label", "tissue", "potency", "ethics")),
    "delivery": ("route", ("procedure", "events_of_the_procedure")),
}
"""What is too long for a table: the column that names a row, and those told below it."""
_FORMULAS = ("next_value", "value", "multiplied_by")
LONGEST_FORMULA = 160
"""Characters of a formula on the screen; a product of grafts in five regions fills pages."""


# -- explain ----------------------------------------------------------------------------------------------------------
def explain_subject(subject: str, as_json: bool) -> None:
    """Print an explanation: texts as paragraphs, lists of texts as numbered steps, rows as tables."""
    from stemtrial.report.explain import explain

    told = explain(subject)
    if as_json:
        text.print_json(told)
        return
    text.say(f"{told['title']} ({told['subject']})", style="bold")
    parts = {k: v for k, v in told.items() if k not in ("subject", "kind", "title") and v not in ("", [], None)}
    for name, part in parts.items():
        if isinstance(part, str):
            text.say(f"{name.replace('_', ' ')}: {part}" if name != "about" else part)
    for name, part in parts.items():
        if isinstance(part, str):
            continue
        text.heading(name.replace("_", " ").capitalize())
        if isinstance(part[0], str):
            text.steps(part)
        else:
            left_out = _TELLING.get(name, ())
            part = [r for r in part if name != "parameters" or r["name"] not in _told_above(parts)]
            empty = {k for r in part[:1] for k in r if all(other[k] is None for other in part)}
            rows = [{k: _cut(k, v) for k, v in r.items() if k not in left_out and k not in empty} for r in part]
            text.records(rows, fold=_FOLDED)
            if name == "parameters" and len(part) < len(parts[name]):
                text.note("without those of the harms and of the action, which stand above")
            if any(_cut(k, v) != v for r in part for k, v in r.items()):
                text.note("… a longer formula; all of it: --json")
            first, told_below = _IN_WORDS.get(name, ("", ()))
            text.bullets([_in_words(r, first, told_below) for r in part] if first else [])


def _told_above(parts: dict[str, Any]) -> set[str]:
    """Parameters that the tables of harms and of action have shown already."""
    action = {r["number"] for r in parts.get("action_by_hypothesis", ())}
    both = {f"{stem}.{which}" for stem in action for which in ("optimistic", "sceptical")}
    return both | {r["number"] for r in parts.get("harms", ())}


def _cut(key: str, value: Any) -> Any:
    """A formula as far as a reader follows it; everything else as it is."""
    if isinstance(value, list):
        return [_cut(key, v) for v in value]
    if key not in _FORMULAS or not isinstance(value, str) or len(value) <= LONGEST_FORMULA:
        return value
    return value[:LONGEST_FORMULA].rpartition(" ")[0] + " …"


def _in_words(row: dict[str, Any], name: str, columns: tuple[str, ...]) -> str:
    said = (f"{k.replace('_', ' ')}: {text.cell(row[k])}" for k in columns if row[k] not in ("", [], None))
    return f"{row[name]}. " + "; ".join(s.rstrip(".") for s in said) + "."


# -- evidence ---------------------------------------------------------------------------------------------------------
def show_evidence(
    endpoint: str, family: str | None, statistic: str | None, as_json: bool, out: str | None = None
) -> None:
    """Print a forest: pooled panels first, then rows that stand alone, then those without a verified number."""
    from stemtrial.evidence.forest import forest, spoken

    place = None if out is None else page_of(out)
    found = forest(endpoint, family, statistic)  # type: ignore[arg-type]  # checked there
    if place is not None:
        from stemtrial.report.evidence import write

        chosen = [f"--family {family}"] * bool(family) + [f"--statistic {statistic}"] * bool(statistic)
        write(found, place, " ".join(["stemtrial evidence", endpoint, *chosen]))
    if as_json:
        text.print_json(found.to_rows())
        return
    from stemtrial.report.words import number, span, years

    def line(r: Any) -> list[str]:
        interval = None if r.low is None and r.high is None else (r.low, r.high)
        value = number(r.value) + (f" ({span(interval)})" if interval else "")
        return [r.outcome_id, years(r.time_years) or "–", value, str(r.n or "–")]

    t = found.term
    text.say(f"{t.label} ({t.id}), {t.unit}; {'no' if t.benefit == 'none' else t.benefit} is better", style="bold")
    text.say(f"{len(found.rows)} published rows in {len(found.panels)} groups that compare")
    for p in found.panels:
        if p.pooled is None:
            continue
        text.heading(_panel_title(p, years))
        verified = [r for r in p.rows if r.standing in ("pooled", "listed", "context")]
        lines = [[*line(r), r.standing if r.standing == "pooled" else f"{r.standing}: {r.why}"] for r in verified]
        m, o = p.pooled.meta, p.pooled
        pooled = f"{number(o.value)} ({span((o.low, o.high))})"
        text.table(
            ["outcome", "time", "value (95 % CI)", "n", "in the pool"],
            [*lines, [f"pooled, {m.k} rows", "", pooled, "", f"I² {100 * m.i2:.0f} %"]],
            right=[3],
            fold=[4],
        )
        new = " to ".join(number(v) for v in (o.prediction_low, o.prediction_high))
        text.note(f"a new study would show {new} (95 % prediction interval)")
    for title, standings, value in (
        ("Verified, not pooled", ("listed", "context"), True),
        ("Recalled: not verified at a source, never pooled or scored", ("recalled",), True),
        ("Sealed: withheld until predicted", ("sealed",), False),
    ):
        rows = [(p, r) for p in found.panels if value is False or p.pooled is None or standings == ("recalled",)
                for r in p.rows if r.standing in standings]  # fmt: skip
        if rows:
            text.heading(f"{title} ({len(rows)})")
            text.table(
                ["outcome", "what", "time", "value (95 % CI)", "n", "why"],
                [
                    [r.outcome_id, f"{_statistic(p, r.unit)}, {spoken(r.comparison)}", *line(r)[1:], r.why]
                    for p, r in rows
                ],
                right=[4],
                fold=[1, 5],
            )
    if place is not None:
        text.heading("Written")
        text.whole(f"  {place}")


def page_of(out: str) -> Path:
    """Return where a page goes.

    Raises
    ------
    InputError
        If it is no HTML file in a folder that exists.
    """
    place = Path(out)
    if place.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"'{out}' is no name of a page; write {place.name or 'forest'}.html")
    if place.is_dir() or not place.parent.is_dir():
        raise InputError(f"'{out}' cannot be written; name a file in a folder that exists")
    return place


def _panel_title(p: Any, years: Callable[[Any], str]) -> str:
    from stemtrial.evidence.forest import spoken

    at = f", at {years(p.horizon_years)}" if p.horizon_years else ""
    return f"{_statistic(p, p.rows[0].unit)}, {spoken(p.comparison)} ({p.disease.upper()}{at})"


def _statistic(panel: Any, unit: str | None) -> str:
    """The statistic of a panel, with the unit where the rows of the endpoint have several."""
    return str(panel.statistic).replace("_", " ") + (f" [{unit}]" if unit and unit != "1" else "")
