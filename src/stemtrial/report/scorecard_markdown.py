"""A scorecard as the Markdown tables of docs/validation.md: the verdict, groups of headlines, test misses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stemtrial.report.markdown import markdown_table
from stemtrial.report.scorecard_groups import FORECASTERS, ROLES, percent
from stemtrial.report.words import count, interval_words, number, scale_of, shown, span, statistic, years

MET = {True: "met", False: "**missed**", None: "not judged"}
SECTIONS = {"lane": "By kind of study", "family": "By kind of outcome", "phenotype": "By phenotype"}


def markdown(card: Mapping[str, Any]) -> str:
    """Return the tables of docs/validation.md.

    Parameters
    ----------
    card : mapping
        From :func:`stemtrial.predict.scorecard.scorecard`.
    """
    s, heads = card["settings"], [r for r in card["rows"] if r["headline"]]
    told = [
        f"Posterior `{s['draws_label']}`: {count(s['draws'])} draws, {count(s['replicates'])} replicates of every "
        f"trial at its published size, seed {s['seed']}. Intervals hold {interval_words(s['interval'])}. "
        f"{count(len(card['protocols']))} protocols ran; {count(len(card['rows']))} published outcomes are predicted, "
        f"{count(sum(r['role'] == 'sealed' for r in card['rows']))} of them sealed; {count(len(heads))} are headlines.",
        "", "**Rules of acceptance**, test cohorts together:", "",
        markdown_table(
            ("rule", "value", "interval over cohorts", "cohorts", ""),
            [
                (r["rule"], "–" if r["value"] is None else number(r["value"], 2), _ends(r["interval"]),
                 count(r["cohorts"]), MET[r["met"]])
                for r in card["verdicts"]["test"]["all"]["rules"]
            ],
        ),
        "", "**All together**:", "", _groups([g for g in card["groups"] if g["by"] == "all"]),
    ]  # fmt: skip
    for by, title in SECTIONS.items():
        told += ["", f"**{title}**:", "", _groups([g for g in card["groups"] if g["by"] == by])]
    misses = [r for r in heads if r["role"] == "test" and r["agrees"] is False]
    told += ["", f"**Headlines of test studies outside their 90 % interval** ({len(misses)}):", ""]
    told.append(
        markdown_table(("study", "outcome", "who", "predicted, 90 %", "published", "why"), [_miss(r) for r in misses])
    )
    return "\n".join(told)


def _ends(ends: Sequence[float] | None) -> str:
    return f"{number(ends[0], 2)} to {number(ends[1], 2)}" if ends else "–"


def _groups(groups: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for g in groups:
        c = g["coverage"]
        shares = [_share(c, level) for level in (90, 50)]
        ratios = [_ratio(g["ratios"][k]) for k in FORECASTERS]
        judged = "" if c["judged"] else "not judged"
        rows.append((g["name"], ROLES[g["role"]], count(c["cohorts"]), count(c["outcomes"]), *shares, *ratios, judged))
    head = ("", "role", "cohorts", "headlines", "in 90 %", "in 50 %", "CRPS / meta-analysis", "CRPS / no change", "")
    return markdown_table(head, rows)


def _share(c: Mapping[str, Any], level: int) -> str:
    ends = c[f"ci90_of_{level}"]
    return percent(c[f"inside{level}"]) + (f" ({percent(ends[0])} to {percent(ends[1])})" if ends else "")


def _ratio(r: Mapping[str, Any]) -> str:
    if r["ratio"] is None:
        return "–"
    of = f"n {count(r['cohorts'])}"
    return number(r["ratio"], 2) + (f" ({_ends(r['ci80'])}; {of})" if r["ci80"] else f" ({of})")


def _miss(r: Mapping[str, Any]) -> tuple[str, ...]:
    v = shown(r, scale_of(r))
    unit = f" {u}" if (u := scale_of(r).unit) else ""
    who = ", ".join(p for p in (r["arms"], years(r["time_years"])) if p)
    outcome = f"{r['endpoint']}: {statistic(r['statistic'], r['endpoint'])}"
    return r["study"], outcome, who, span(v["pi90"]) + unit, number(v["value"]), r["why"] or ""
