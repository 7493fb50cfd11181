"""Blind predictions: what a posterior predicts of results that nobody here has seen, written once and never changed."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stemtrial.errors import InputError
from stemtrial.evidence import studies
from stemtrial.parameters import Draws
from stemtrial.predict.lanes import Choice
from stemtrial.predict.page import DISCLAIMER
from stemtrial.predict.run import Settings
from stemtrial.predict.scorecard import Predicted, Told, not_predicted, predict_all
from stemtrial.predict.summary import interval_of
from stemtrial.store import package_hash, write_atomic

Row = dict[str, Any]
ROOMS = ("disease", "therapy", "observe", "cohort", "endpoint", "analysis", "trial", "predict", "kernel", "parameters")
KEYS = (
    "study", "protocol", "outcome_id", "arm", "arms", "endpoint", "definition", "time_years", "statistic", "unit",
    "median", "pi50", "pi90", "interval", "sd", "n_replicates", "n_draws", "n_not_estimable", "mcse", "labels",
    "lane", "phenotype", "quantity", "unlike", "no_effect", "hypotheses",
)  # fmt: skip
"""Keys of a prediction; none of them holds anything that was published of a result."""


def folder_of(root: Path, draws: Draws, date: datetime.date) -> Path:
    """Folder of the predictions of a posterior on a day.

    Raises
    ------
    InputError
        If the draws are point values, or the folder exists: predictions are never overwritten.
    """
    if draws.label == "point" or len(draws) < 2:
        raise InputError(f"blind predictions are made with a posterior; '{draws.label}' of {len(draws)} draws is none")
    label = re.sub(r"[^a-z0-9.]+", "-", draws.label.lower()).strip("-")
    folder = root / f"{date.isoformat()}-{label}"
    if folder.exists():
        raise InputError(f"{folder} exists; blind predictions are never overwritten, a later model adds a folder")
    return folder


def blind_predictions(
    settings: Settings, runs: Path, root: Path, draws: Draws, *, command: str = "", date: datetime.date | None = None,
    names: Sequence[str] | None = None, natural: bool | None = None, told: Told | None = None,
) -> tuple[Path, dict[str, Any]]:  # fmt: skip
    """Predict every outcome of the sealed studies, and the trials that have no results, and write that down.

    Parameters
    ----------
    settings : Settings
        Replicates, seed, threads.
    runs : Path
        Where the runs lie: finished ones are read back.
    root : Path
        Where the folder ``<date>-<posterior>`` is made, of ``predictions.json`` and ``README.md``.
    draws : Draws
        The posterior.
    command : str
        The command line, for the record.
    date : date, optional
        Of today when left out (UTC).
    names, natural, told
        As :func:`stemtrial.predict.scorecard.scorecard`.

    Returns
    -------
    folder : Path
        What was written.
    data : dict
        ``provenance``, ``holds`` (what the intervals hold), ``outcomes`` (how many sealed ones there are, how many are
        predicted), ``predictions`` (rows with :data:`KEYS`), ``without_results`` (the same, of trials without
        results), ``not_predicted`` (``study, outcome_id, endpoint, statistic, reason``), ``not_run``, ``disclaimer``.

    Raises
    ------
    InputError
        If the folder exists or the draws are point values.
    """
    date = date or datetime.datetime.now(datetime.UTC).date()
    folder = folder_of(root, draws, date)
    wanted = names is None if natural is None else natural
    p = predict_all(settings, runs, Choice(), draws, blind=True, names=names, natural=wanted, told=told)
    data = as_data(p, settings, draws, command, date)
    root.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir()  # whoever comes first has it
    except FileExistsError:
        raise InputError(f"{folder} exists; blind predictions are never overwritten") from None
    write_atomic(folder / "predictions.json", json.dumps(data, indent=1, allow_nan=False).encode())
    write_atomic(folder / "README.md", readme(data).encode())
    return folder, data


def as_data(p: Predicted, settings: Settings, draws: Draws, command: str, date: datetime.date) -> dict[str, Any]:
    """Plain data of blind predictions, as :func:`blind_predictions` tells."""
    sealed = [r for r in p.rows if r["role"] == "sealed"]
    missing = [n | {"reason": n["reason"]} for n in not_predicted(p, Choice(), ("sealed",))]
    used = min(len(draws), settings.replicates)
    every = sum(len(s.outcomes) for s in studies().values() if s.role == "sealed")
    trial_effects = any("trial_effects" in r["interval"] for r in [*sealed, *p.free])
    design = {s.id for s in studies().values() if s.role != "sealed"}
    return {
        "provenance": {
            "posterior": draws.label,
            "posterior_hash": draws.identity,
            "posterior_provenance": dict(draws.provenance),
            "version": importlib.metadata.version("stemtrial"),
            "code": package_hash(*ROOMS),
            "seed": settings.seed,
            "replicates": settings.replicates,
            "draws": used,
            "date": date.isoformat(),
            "command": command,
            "runs": {r["protocol"]: r["id"] for r in p.ran},
        },
        "holds": interval_of(used, trial_effects),
        "outcomes": {"sealed": every, "predicted": len(sealed)},
        "predictions": [_kept(r) for r in sorted(sealed, key=_place)],
        "without_results": [_kept(r) for r in p.free if r["study"] in design],
        "not_predicted": missing,
        "not_run": p.not_run,
        "disclaimer": DISCLAIMER,
    }


def _place(row: Row) -> tuple[str, int]:
    study, _, number = row["outcome_id"].partition("#")
    return study, int(number)


def _kept(row: Row) -> Row:
    return {k: row[k] for k in KEYS if k in row}


# -- for reading -------------------------------------------------------------------------------------------------------
def readme(data: Mapping[str, Any]) -> str:
    """Return blind predictions as a page of Markdown tables."""
    p, n = data["provenance"], data["outcomes"]
    held = data["holds"].replace("+", ", ").replace("_", " ")
    out = [
        f"# Blind predictions of {p['date']}",
        "",
        f"Posterior `{p['posterior']}` (`{p['posterior_hash']}`), stemtrial {p['version']}, code `{p['code'][:16]}`, "
        f"seed {p['seed']}, {p['replicates']} replicates over {p['draws']} draws. Made by `{p['command']}`.",
        "",
        "Written before anybody here saw the results, and never edited; a later model adds a folder. Each line says "
        "what the study reports: at its size, with its definitions, visits and follow-up. Intervals hold "
        f"{held}. `predictions.json` has every digit, the labels, and the spread by its parts.",
        "",
        f"{n['predicted']} of {n['sealed']} outcomes of sealed studies are predicted"
        + (f", and {len(data['without_results'])} of trials without results." if data["without_results"] else "."),
        "",
        data["disclaimer"],
        "",
    ]
    for title, rows in (("Sealed studies", data["predictions"]), ("Trials without results", data["without_results"])):
        if rows:
            out += [f"## {title}", ""]
        for study in dict.fromkeys(r["study"] for r in rows):
            out += [f"### {study}", "", "| | endpoint | who | when | statistic | median | 50 % | 90 % |"]
            out += ["|---|---|---|---|---|---|---|---|"]
            out += [_line(r) for r in rows if r["study"] == study] + [""]
    if data["not_predicted"]:
        out += ["## Not predicted", "", "| outcome | endpoint | statistic | why |", "|---|---|---|---|"]
        out += [
            f"| {r['outcome_id']} | {_plain(r['endpoint'])} | {_plain(r['statistic'])} | {_plain(r['reason'])} |"
            for r in data["not_predicted"]
        ]
        out.append("")
    if data["not_run"]:
        out += ["## Not run", ""] + [f"- {r['protocol']}: {r['reason']}" for r in data["not_run"]] + [""]
    return "\n".join(out)


def _plain(text: Any) -> str:
    return str(text).replace("_", " ").replace("|", "/").replace("\n", " ")


def _line(row: Row) -> str:
    share = row["unit"] in ("fraction", "probability")
    unit = "%" if share else "" if row["unit"] in ("1", None) else str(row["unit"])

    def told(x: float | None) -> str:
        return "not reached" if x is None else f"{(100 * x if share else x):.3g}".replace("-", "−")

    def span(ends: Sequence[float | None]) -> str:
        return f"{told(ends[0])} to {told(ends[1])}"

    number = f"#{row['outcome_id'].partition('#')[2]}" if row["outcome_id"] else ""
    marks = "".join(f" [{label.replace('_', ' ')}]" for label in row["labels"]) + (
        " [not like for like]" if row.get("unlike") else ""
    )
    when = "" if row["time_years"] is None else f"{row['time_years']:.3g} y"
    cells = [
        number, _plain(row["endpoint"]) + marks, _plain(row["arms"]), when,
        f"{_plain(row['statistic'])}{f', {unit}' if unit else ''}", told(row["median"]), span(row["pi50"]),
        span(row["pi90"]),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"
