"""What stands beside a prediction on the screen: no effect at all, hypotheses apart, claims and the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stemtrial.cli import text
from stemtrial.report.apart import HYPOTHESES, NO_EFFECT, hypotheses_words
from stemtrial.report.words import Names, number, scale_of, shown, span, statistic, years

Row = Mapping[str, Any]
TOLD = "What the article says, what the record says, what the model says"


def _what(r: Row, names: Names) -> list[str]:
    unit = scale_of(r).unit
    who = ", ".join(p for p in (names.arm(r["arm"]), years(r["time_years"])) if p)
    return [f"{names.endpoint(r['endpoint'])}: {statistic(r['statistic'])}" + (f", {unit}" if unit else ""), who]


def _summary(r: Row, summary: Mapping[str, Any] | None) -> str:
    s = shown({**(summary or {}), "published": None}, scale_of(r))
    return f"{number(s['median'])} ({span(s['pi90'])})" if s["median"] is not None else "–"


def _published(r: Row) -> str:
    return number(shown(r, scale_of(r))["value"])


def show_no_effect(estimates: Sequence[Row], design: str, names: Names) -> None:
    """Print each outcome of a trial without a comparator with no effect at all."""
    rows = [r for r in estimates if r.get("no_effect")]
    if not rows:
        return
    text.heading(NO_EFFECT)
    text.table(
        ["outcome", "who", "published", "predicted (90 %)", "no effect (90 %)", "difference (90 %)"],
        [
            [*_what(r, names), _published(r), _summary(r, r), _summary(r, gone), _summary(r, gone["difference"])]
            for r in rows
            for gone in [r["no_effect"]]
        ],
        fold=[0, 1],
    )
    why = "the trial has no control arm" if design == "single_arm" else "its arms were not allocated by chance"
    text.note(f"regression to the mean, selection on past activity and healing alone; {why}")
    if any(r["no_effect"]["without_rating_bias"] is not None for r in rows):
        text.note("open raters' hope is in both; without it: no_effect.without_rating_bias in the JSON and the report")


def show_hypotheses(estimates: Sequence[Row], weights: Sequence[Mapping[str, Any]], names: Names) -> None:
    """Print each outcome under each hypothesis and under their mixture."""
    rows = [r for r in estimates if r.get("hypotheses")]
    if not rows:
        return
    text.heading(HYPOTHESES)
    text.note(hypotheses_words(weights))
    text.table(
        ["outcome", "who", "published", "optimistic (90 %)", "sceptical (90 %)", "mixture (90 %)"],
        [
            [*_what(r, names), _published(r), *(_summary(r, r["hypotheses"][k]) for k in ("optimistic", "sceptical")),
             _summary(r, r)]
            for r in rows
        ],
        fold=[0, 1],
    )  # fmt: skip


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
                " vs ".join(o["arm"]) if isinstance(o["arm"], list) else o["arm"],
                years(o["time_years"]) or "–",
                statistic(o["statistic"]),
                "sealed" if o["verification"] == "sealed" else number(shown(row, scale_of(row))["value"]),
            ]
            for o in study["outcomes"]
            for row in [{**o, "published": o}]
        ]
        text.table(["#", "outcome", "who", "when", "statistic", "value"], rows, right=[5], fold=[1])
