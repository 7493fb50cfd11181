"""What stands beside a prediction on the screen: no effect at all, hypotheses apart, claims and the record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

from stemtrial.cli import text
from stemtrial.report.apart import DESIGN, HYPOTHESES, NO_EFFECT, hypotheses_words
from stemtrial.report.words import Names, arms_of, finite, number, scale_of, shown, span, statistic, years

Row = Mapping[str, Any]
MOST_EVENTS = 12
TOLD = "What the article says, what the record says, what the model says"


def grouped(
    columns: Sequence[str], rows: Sequence[Row], line: Callable[[Row], list[str]], names: Names
) -> None:  # fmt: skip
    """Print one table over all outcomes, under a line for each endpoint and statistic.

    Parameters
    ----------
    columns : sequence of str
        Headings.
    rows : sequence of mapping
        Rows of ``estimates.json``; those of an endpoint together.
    line : callable
        Cells of a row, one a column.
    names : Names
        Labels of arms and endpoints.
    """

    def title(r: Row) -> str:
        unit = scale_of(r).unit
        return f"{names.title(r)}: {names.statistic(r)}" + (f", {unit}" if unit else "")

    text.tables(columns, [(name, [line(r) for r in members]) for name, members in groupby(rows, key=title)])


def who(r: Row, names: Names) -> str:
    """Arm and time of an estimate."""
    return ", ".join(p for p in (names.arm(r["arm"]), years(r["time_years"])) if p)


def predicted(row: Row, summary: Mapping[str, Any] | None) -> str:
    """Return ``0.07 (0.02 to 0.24)``; what lies beyond every number is not reached (a time) or infinite (a ratio)."""
    s = shown({**(summary or {}), "published": None}, scale_of(row))
    ends = [s["median"], *s["pi90"]]
    if all(finite(x) is None for x in ends):
        return "not reached" if row["statistic"] == "median" else "not estimable"
    never = "not reached" if row["statistic"] == "median" else "∞"
    median, low, high = (never if finite(x) is None else number(x) for x in ends)
    inner = f"{low} to {high}" if never in (low, high) else span(s["pi90"])
    return f"{median} ({inner})"


def _published(r: Row) -> str:
    return number(shown(r, scale_of(r))["value"])


def show_no_effect(estimates: Sequence[Row], run: Row, names: Names) -> None:
    """Print each outcome of a trial without a comparator with no effect at all."""
    rows = [r for r in estimates if r.get("no_effect")]
    if not rows:
        return
    text.heading(NO_EFFECT)
    why = "The trial has no control arm" if run["design"] == "single_arm" else "Its arms were not allocated by chance"
    text.note(
        f"{why}. Here the same patients live through the same trial with every benefit and harm of the therapy "
        f"switched off: what remains is the disease, and the design: {DESIGN[run['disease']]}"
    )
    if any(r["no_effect"]["without_rating_bias"] is not None for r in rows):
        text.note(
            "Raters who know the treatment rate with hope; that stays in both. Without it: the report, and "
            "no_effect.without_rating_bias in the JSON."
        )
    grouped(
        ["", "published", "predicted (90 %)", "no effect (90 %)", "difference (90 %)"],
        rows,
        lambda r: [f"  {who(r, names)}", _published(r), *(predicted(r, x) for x in (r, r["no_effect"])),
                   predicted(r, r["no_effect"]["difference"])],
        names,
    )  # fmt: skip


def show_hypotheses(estimates: Sequence[Row], weights: Sequence[Mapping[str, Any]], names: Names) -> None:
    """Print each outcome under each hypothesis and under their mixture."""
    rows = [r for r in estimates if r.get("hypotheses")]
    if not rows:
        return
    text.heading(HYPOTHESES)
    text.note(hypotheses_words(weights))
    grouped(
        ["", "published", "optimistic (90 %)", "sceptical (90 %)", "mixture (90 %)"],
        rows,
        lambda r: [f"  {who(r, names)}", _published(r),
                   *(predicted(r, r["hypotheses"][k]) for k in ("optimistic", "sceptical")), predicted(r, r)],
        names,
    )  # fmt: skip


def show_harm(page: Mapping[str, Any], names: Names) -> None:
    """Print the adverse events that are most frequent in any arm, per cent of its patients."""
    arms = list(dict.fromkeys(str(r["arm"]) for r in page["adverse_events"]))
    by_term: dict[str, dict[str, Mapping[str, Any]]] = {}
    for r in page["adverse_events"]:
        by_term.setdefault(str(r["term"]), {})[str(r["arm"])] = r
    most = {k: max(_often(r) for r in v.values()) for k, v in by_term.items()}
    terms = sorted((k for k, m in most.items() if any(m)), key=lambda k: most[k], reverse=True)
    if not terms:
        return
    text.heading("Adverse events: patients with the event, %, median (90 %)")
    lines = [
        [term, *(_percent(by_term[term].get(a)) for a in arms),
         "yes" if any(r.get("serious") for r in by_term[term].values()) else ""]
        for term in terms[:MOST_EVENTS]
    ]  # fmt: skip
    text.table(["", *(names.arm(a) for a in arms), "at times serious"], lines)
    if len(terms) > MOST_EVENTS:
        text.note(f"and {len(terms) - MOST_EVENTS} rarer ones, in the report")


def _often(r: Mapping[str, Any]) -> tuple[float, float, float]:
    """How often an event is seen in an arm; zeros if never."""
    median, high, events = (finite(r.get(k)) or 0.0 for k in ("percent_median", "percent_hi", "events"))
    return median, high, events


def _percent(r: Mapping[str, Any] | None) -> str:
    """Median and 90 % interval of the patients with an event; a dash in an arm that has none."""
    if r is None or not any(_often(r)):
        return "–"
    return f"{number(r['percent_median'])} ({span((r['percent_lo'], r['percent_hi']))})"


def show_told(page: Mapping[str, Any]) -> None:
    """Print the claims of a protocol with what the record says, and what the studies beside it published."""
    if not page["claims"] and not page["beside"]:
        return
    text.heading(TOLD)
    for c in page["claims"]:
        text.say(f"{c['claim']}, {c['verdict']}: {c['text']}", style="italic")
        text.note(f"the record: {c['what_the_record_says']}")
    for study in page["beside"]:
        text.say(f"published: {study['citation']} ({study['study']})", style="italic")
        rows = [
            [
                o["outcome_id"].rpartition("#")[2],
                o["label"],
                arms_of(o),
                years(o["time_years"]) or "–",
                statistic(o["statistic"]) + (f", {unit}" if unit not in ("", "various") else ""),
                "sealed" if o["verification"] == "sealed" else number(shown(row, scale_of(row))["value"]),
            ]
            for o in study["outcomes"]
            for row in [{**o, "published": o}]
            for unit in [scale_of(row).unit]
        ]
        text.table(["#", "outcome", "who", "when", "statistic", "value"], rows, right=[5], fold=[1])
