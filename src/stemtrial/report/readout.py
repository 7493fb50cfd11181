"""A readout as one HTML file: every definition side by side, and the truth apart from what was observed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stemtrial.report.markdown import markdown_table
from stemtrial.report.marks import arm_token
from stemtrial.report.page import document, write_whole
from stemtrial.report.readout_figures import (
    CAUSES,
    CLASSES,
    Row,
    by_arm,
    class_of,
    judged,
    loss_names,
    losses,
    percents,
    probabilities,
    truthful,
)
from stemtrial.report.sections import FigureView, view_of
from stemtrial.report.tables import Cell, TableView
from stemtrial.report.words import finite, number, span

_TRUTH = "Truth, which no trial sees"


def _cell(row: Row | None, percent: bool = False, decimals: int | None = None) -> Cell:
    """Median with the 90 % interval below it."""
    median, ends = percents(row) if percent else (None, (None, None))
    if not percent and row is not None:
        median, ends = finite(row["median"]), (finite(row["pi90"][0]), finite(row["pi90"][1]))
    if median is None:
        return Cell("–")
    if decimals is None:
        return Cell(number(median), (span(ends),) if ends[0] is not None else (), sort=median)
    low, high = ("∞" if v is None else number(v, decimals) for v in ends)  # a ratio without events in the control arm
    return Cell(number(round(median, decimals) + 0.0, decimals), (f"{low} to {high}",), sort=median)


def observed_table(data: Mapping[str, Any]) -> TableView:
    """Return what the trial would tell, a row for each definition and arm."""
    cells, run = by_arm(data["observed"]), data["run"]
    rows = []
    for (name, arm), s in cells.items():
        if arm not in run["patients_per_arm"]:
            continue
        label = s["count"]["label"]
        rows.append(
            [
                Cell(name, (label,)), Cell(arm), _cell(s["count"], decimals=0), _cell(s["at_risk"], decimals=0),
                _cell(s["km_probability"], True),
                _cell(s.get("hazard_ratio"), decimals=2), _cell(s["kappa"], decimals=2),
            ]
        )  # fmt: skip
    caption = (
        f"Observed. Medians, 90 % intervals over {run['replicates']} replicates below them. Hazard ratio against "
        f"{run['control']}; at risk: could have an event; kappa: agreement, event or not, with {run['reference']}."
    )
    columns = ["Definition", "Arm", "With an event", "At risk", "Probability, %", "Hazard ratio", "Kappa"]
    return TableView(caption, columns, rows, {2, 3, 4, 5, 6}, sortable=True)


def truth_table(data: Mapping[str, Any]) -> TableView:
    """Return the truth, a row for each definition and arm, numbered as in the picture."""
    numbers = {name: k for k, name, _ in judged(data, data["run"]["control"])}
    rows = []
    for (name, arm), s in by_arm(data["truth"]).items():
        shares = [percents(s[c])[0] for c in CAUSES]
        known = any(v is not None for v in shares)
        rows.append(
            [
                Cell(name, (s["share_acute"]["label"],)), Cell(str(numbers.get(name, "–")), sort=numbers.get(name)),
                Cell(arm), _cell(s.get("true_changes"), decimals=0), _cell(s.get("sensitivity"), True, 0),
                _cell(s.get("predictive_value"), True, 0),
                Cell(" / ".join(number(v, 0) for v in shares) if known else "–", sort=shares[0]),
            ]
        )  # fmt: skip
    caption = (
        f"{_TRUTH}. Medians, 90 % intervals over {data['run']['replicates']} replicates below them. Loss: true axonal "
        "loss between reference and confirmation of the events, by cause."
    )
    columns = [
        "Definition", "No.", "Arm", "Truly changed", "Sensitivity, %", "Predictive value, %",
        "Loss, %: acute / demyelination / smouldering",
    ]  # fmt: skip
    return TableView(caption, columns, rows, {1, 3, 4, 5, 6}, sortable=True)


def loss_table(data: Mapping[str, Any], arm: str) -> TableView:
    """Return true axonal loss by cause of the reference, PIRA and RAW, with intervals."""
    cells = by_arm(data["truth"])
    rows = [[Cell(n), *(_cell(cells[n, arm][c], True) for c in CAUSES)] for n in loss_names(data)]
    columns = ["Definition", *(f"{cause.capitalize()}, %" for cause, _ in CAUSES.values())]
    caption = f"{_TRUTH}: axonal loss within the events, by cause; medians and 90 % intervals."
    return TableView(caption, columns, rows, {1, 2, 3})


def render_readout(data: Mapping[str, Any]) -> str:
    """Return a readout as one HTML document that loads nothing.

    Parameters
    ----------
    data : mapping
        :meth:`stemtrial.predict.readout.Readout.as_json`.
    """
    run = data["run"]
    arms = list(run["patients_per_arm"])
    everybody = "all" if len(arms) > 1 else arms[0]
    names = dict.fromkeys(r["endpoint"] for r in data["observed"])
    chance = view_of(
        probabilities(data), "probability", "Probability of an event, by definition and arm",
        f"Kaplan-Meier probability of an event under {len(names)} definitions, with 90 % intervals.",
        f"Kaplan-Meier to the end of follow-up; sorted by {run['control']}.", observed_table(data),
    )  # fmt: skip
    held = [(k, name, s) for k, name, s in judged(data, everybody)]
    against: FigureView | None = None
    if held:
        against = view_of(
            truthful(data, everybody), "truth", "Truth: sensitivity and positive predictive value",
            f"Sensitivity against positive predictive value of {len(held)} definitions.",
            "All arms together; numbers stand for the definitions listed below.", truth_table(data),
        )  # fmt: skip
    causes: FigureView | None = None
    if loss_names(data):
        causes = view_of(
            losses(data, everybody), "causes", "Truth: why axons were lost within the events",
            "Shares of true axonal loss by cause, of the reference, PIRA and RAW.",
            "All arms together, medians.", loss_table(data, everybody),
        )  # fmt: skip
    drawn = [f for f in (chance, against, causes) if f is not None]
    shown = {class_of(name) for _, name, _ in held}
    return document(
        "readout.html",
        drawn,
        run=run,
        definitions=len(names),
        arms=[{"id": a, "n": n, "token": arm_token(a, arms)} for a, n in run["patients_per_arm"].items()],
        symbols=["●", "◇", "■", "△", "✕"],
        chance=chance,
        against=against,
        causes=causes,
        cause_key=list(CAUSES.values()),
        classes=[
            (label, token, {"circle": "●", "diamond": "◆", "square": "■", "triangle-up": "▲", "x": "✕"}[symbol])
            for key, (label, token, symbol) in CLASSES.items()
            if key in shown
        ],
        held=[(k, name) for k, name, _ in held],
        headline=_headline(data, everybody),
        left_out=data["left_out"],
    )


def markdown(data: Mapping[str, Any]) -> str:
    """Return a readout as two Markdown tables, observed and truth, all arms of a definition in one line."""
    run = data["run"]
    arms = list(run["patients_per_arm"])
    treated = [a for a in arms if a != run["control"]]
    everybody = "all" if len(arms) > 1 else arms[0]
    observed, truth = by_arm(data["observed"]), by_arm(data["truth"])

    def told(row: Row | None, percent: bool = False, decimals: int | None = 0) -> str:
        cell = _cell(row, percent, decimals)
        return cell.text + (f" ({cell.notes[0]})" if cell.notes else "")

    seen = []
    for name in dict.fromkeys(r["endpoint"] for r in data["observed"]):
        s = {a: observed[name, a] for a in (*arms, everybody)}
        seen.append((
            f"`{name}`", *(told(s[a]["km_probability"], True) for a in arms),
            *(told(s[a]["hazard_ratio"], decimals=2) for a in treated), told(s[everybody]["kappa"], decimals=2),
        ))  # fmt: skip
    causes = ", ".join(cause for cause, _ in CAUSES.values())
    true = []
    numbers = {name: str(k) for k, name, _ in judged(data, everybody)}
    for name in dict.fromkeys(r["endpoint"] for r in data["truth"]):
        t = truth[name, everybody]
        shares = " / ".join(number(percents(t[c])[0], 0) for c in CAUSES)
        judgement = (
            told(t.get("true_changes")),
            told(t.get("sensitivity"), True),
            told(t.get("predictive_value"), True),
        )
        true.append((numbers.get(name, "–"), f"`{name}`", *judgement, shares))
    of_arms = ("definition", *(f"{a}, %" for a in arms), *(f"hazard ratio, {a}" for a in treated), "kappa")
    of_all = ("no.", "definition", "truly changed", "sensitivity, %", "predictive value, %", f"loss by {causes}, %")
    return (
        f"Observed:\n\n{markdown_table(of_arms, seen)}\n\n"
        f"Truth, which no trial sees, all arms together:\n\n{markdown_table(of_all, true)}"
    )


def _headline(data: Mapping[str, Any], arm: str) -> dict[str, Any]:
    """Return the span of probabilities of worsening in the control arm, and the reference against the truth."""
    run = data["run"]
    observed, truth = by_arm(data["observed"]), by_arm(data["truth"])
    control = [
        (v, name)
        for (name, a), s in observed.items()
        if a == run["control"] and (v := percents(s["km_probability"])[0]) is not None
    ]
    kinds = ("confirmed_worsening", "composite_worsening", "pira.")
    worsening = [(v, name) for v, name in control if name.startswith(kinds)] or control
    judged_by = truth.get((run["reference"], arm), {})
    return {
        "low": min(worsening, default=None),
        "high": max(worsening, default=None),
        "sensitivity": percents(judged_by.get("sensitivity"))[0],
        "predictive": percents(judged_by.get("predictive_value"))[0],
        "percent": lambda v: f"{number(v, 0)} %",
    }


def write_readout(data: Mapping[str, Any], path: Path) -> None:
    """Write a readout to ``path`` as HTML: complete or not at all."""
    write_whole(render_readout(data), path)
