"""The result of a run in words and tables: misses first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stemtrial.cli.beside import grouped, predicted, show_harm, show_hypotheses, show_no_effect, show_told, who
from stemtrial.cli.drawn import other_parameters, parameters_words, without_parameters
from stemtrial.cli.text import bullets, heading, note, say, whole
from stemtrial.predict import Prediction, compare
from stemtrial.predict.uncertainty import typical_shares
from stemtrial.report.words import (
    NO_HUMAN_DATA,
    NO_HUMAN_DATA_MARK,
    Names,
    count,
    names_of,
    number,
    scale_of,
    shown,
    span,
)

Row = Mapping[str, Any]


def show_result(prediction: Prediction, report: Path, *, few: bool) -> None:
    """Print a prediction.

    Parameters
    ----------
    prediction : Prediction
        What the run gave.
    report : Path
        Where its report lies.
    few : bool
        Whether the replicates are too few for the ends of an interval.
    """
    run, page = prediction.run, prediction.page
    names, told = names_of(page), compare(prediction)
    sizes = ", ".join(f"{names.arm(a)} {n}" for a, n in run["patients_per_arm"].items())
    say(run["title"], style="bold")
    say(
        f"{count(run['replicates'])} replicates of {sum(run['patients_per_arm'].values())} patients ({sizes}), "
        f"seed {run['seed']}, {parameters_words(run['draws'], run['draws_label'])}"
    )
    if told.study:
        say(f"beside {page['run'].get('citation') or told.study} ({told.study})")
    if run["design"] != "randomised":
        say({"single_arm": "one arm, no control", "observational": "arms not randomised"}[run["design"]])
    untried: dict[str, list[str]] = {}
    for arm, what in run["without_human_data"].items():
        untried.setdefault("; ".join(what), []).append(names.arm(arm))
    for given, arms in untried.items():
        say(f"⚠ prediction without human data: {given} ({', '.join(arms)})", style="bold")
    _group(f"Misses: the published value lies outside the 90 % interval ({len(told.misses)})", told.misses, names)
    _group(f"Agreements: it lies inside ({len(told.agreements)})", told.agreements, names)
    _group(f"Not scored ({len(told.unscored)}){_why_unscored(told.unscored)}", told.unscored, names)
    _group(f"Predictions without a published value ({len(told.unpublished)})", told.unpublished, names)
    show_no_effect(prediction.estimates, run, names)
    show_hypotheses(prediction.estimates, page["hypotheses"], names)
    show_harm(page, names)
    show_told(page)
    paragraphs = {m["outcome_id"]: m["why"] for m in page["misses"]}
    if told.misses:
        heading("Why the misses miss")
        for row in told.misses:
            say(f"{_number_of(row)} {names.outcome(row)}", style="italic")
            note(paragraphs[row["outcome_id"]])
    _coverage(told, run)
    _spread(prediction.estimates)
    _warnings(run, prediction.estimates, few)
    heading("Written")
    whole(f"  {run['folder']}\n  {report}")
    note(f"digest {run['digest'][:16]}, {sum(run['seconds'].values()):.0f} s")
    say(f"\n{page['disclaimer']}", style="dim")


def _why_unscored(rows: Sequence[Row]) -> str:
    if any("other_size" in r["labels"] for r in rows):
        return ": the trial has not the published size"
    kinds = dict.fromkeys(str((r["published"] or {}).get("verification")) for r in rows)
    words = {"recalled": "published values recalled, not verified", "sealed": "sealed until predicted"}
    return ": " + ", ".join(words.get(k, "no published number") for k in kinds) if rows else ""


def _number_of(row: Row) -> str:
    return f"#{str(row['outcome_id']).rpartition('#')[2]}" if row["outcome_id"] else ""


def _group(title: str, rows: Sequence[Row], names: Names) -> None:
    """One table over all endpoints, under a line for each endpoint and statistic."""
    if not rows:
        return
    heading(title)
    published = any(r["published"] for r in rows)
    columns = ["", "", "predicted (90 %)", *(["published (95 %)", "source"] if published else [])]
    grouped(columns, rows, lambda r: _line(r, names, published), names)


def _line(r: Row, names: Names, published: bool) -> list[str]:
    s = shown(r, scale_of(r))
    mark = f" {NO_HUMAN_DATA_MARK}" * (NO_HUMAN_DATA in r["labels"])
    line = [_number_of(r), who(r, names) + mark, predicted(r, r)]
    if published:
        p = r["published"] or {}
        ci = f" ({span(s['ci95'])})" if s["ci95"][0] is not None else ""
        line += [number(s["value"]) + ci, p.get("verification") or "–"]
    return line


def _coverage(told: Any, run: Row) -> None:
    if not told.study:
        return
    heading(f"Of the {told.published} published outcomes of {told.study}")
    scored = len(told.misses) + len(told.agreements)
    expected = f" (about {0.9 * scored:.0f} would, were the model right)" if scored else ""
    note(
        f"{told.predicted} predicted: {len(told.agreements)} of {scored} scored agree{expected}, "
        f"{len(told.unscored)} not scored"
    )
    by_reason: dict[str, list[str]] = {}
    for n in told.not_predicted:
        by_reason.setdefault(n["reason"], []).append(f"#{n['outcome_id'].rpartition('#')[2]}")
    for reason, outcomes in by_reason.items():
        note(f"{', '.join(outcomes)}: {reason}")


def _spread(estimates: Sequence[Row]) -> None:
    """Say what the intervals are made of, if of more than sampling: the middle of all estimates."""
    told = typical_shares([r["sd"] for r in estimates])
    if told is None or len(told) < 2:
        return
    heading("Of the spread (variance; mean over the estimates, each by itself in the report's data)")
    words = {"sampling": "sampling", "trial_effects": "effects of the trial", "parameters": "parameters"}
    note(", ".join(f"{words[k]} {100 * v:.0f} %" for k, v in told.items()))


def _warnings(run: Row, estimates: Sequence[Row], few: bool) -> None:
    told = []
    if run["recruit_warning"]:
        told.append(str(run["recruit_warning"]))
    if run["failed_patients"]:
        told.append(
            f"{count(run['failed_patients'])} virtual patients failed numerically and count as missing from then on"
        )
    if run["events_overflowed"]:
        told.append(f"{count(run['events_overflowed'])} events did not fit into the event log and are missing")
    if few:
        told.append(f"{run['replicates']} replicates are few: the ends of the intervals are rough; use 1000")
    told += without_parameters(run["interval"]) + other_parameters(run["labels"])
    lost = sum(1 for e in estimates if e["n_not_estimable"])
    if lost:
        these = "1 estimate" if lost == 1 else f"{lost} estimates"
        told.append(f"{these} had no finite value in some replicates (no event in an arm, for one); see the report")
    if told:
        heading("Mind")
        bullets(told)
