"""``scorecard``: every study that has a protocol, predicted beside what was published; misses first."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stemtrial.cli import text
from stemtrial.cli.running import FEW_REPLICATES, Options
from stemtrial.cli.waiting import progress
from stemtrial.errors import InputError
from stemtrial.report.scorecard_figures import z_text
from stemtrial.report.words import (
    DISEASES,
    NO_HUMAN_DATA,
    NO_HUMAN_DATA_MARK,
    count,
    interval_words,
    number,
    scale_of,
    shown,
    span,
    statistic,
    years,
)

SHOWN = 25
"""Rows of the table of misses on the screen; the page and the JSON hold all."""


def show_scorecard(disease: str, family: str | None, blind: bool, o: Options) -> int:
    """Run the scorecard, write ``scorecard.json`` and ``scorecard.html``, print it; return the exit status.

    1 if a protocol failed for a reason that is no input of the user, else 0.

    Raises
    ------
    InputError
        If the disease or family is unknown, or nothing can be run.
    """
    from stemtrial.predict import Settings
    from stemtrial.predict.families import families
    from stemtrial.predict.scorecard import scorecard
    from stemtrial.report.scorecard import write_scorecard
    from stemtrial.store import write_atomic

    try:
        families(disease, family)
    except InputError as e:
        raise InputError(f"--{e}") from None
    folder = Path(o.out) if o.out else Path("runs") / f"scorecard-{disease}"
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder} is a file; name a folder")
    with _Told() as told:
        card = scorecard(
            Settings(replicates=o.replicates, seed=o.seed, threads=o.threads), folder,
            disease=disease, family=family, blind=blind, told=told,
        )  # fmt: skip
    if not card["protocols"] and not card["not_run"]:
        raise InputError(_nothing(disease, family, blind))
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "scorecard.json", json.dumps(text.finite(card), indent=1, allow_nan=False).encode())
    write_scorecard(card, folder / "scorecard.html")
    if o.json:
        text.print_json(card)
    else:
        _show(card, folder, few=o.replicates < FEW_REPLICATES)
    return 1 if any(n["fault"] for n in card["not_run"]) else 0


def _nothing(disease: str, family: str | None, blind: bool) -> str:
    """Why nothing can be scored, and what can be done instead."""
    from stemtrial.therapy import FAMILIES
    from stemtrial.trial.entry import families_of
    from stemtrial.trial.protocol import load_protocol, protocol_names

    if not blind and family in FAMILIES:
        found = [load_protocol(n) for n in protocol_names()]
        untried = [p.protocol for p in found if p.disease == disease and family in families_of(p)]
        told = f"; what it predicts without human data: stemtrial run {untried[0]}" if untried else ""
        return f"no published trial of family '{family}' in {disease.upper()} is there to score{told}"
    return "no protocol fits; leave out --family or --blind"


class _Told:
    """Says which protocol is being run, and shows how far that one is."""

    def __init__(self) -> None:
        self._open: Any = None

    def __enter__(self) -> _Told:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        if self._open is not None:
            self._open.__exit__(None, None, None)
            self._open = None

    def __call__(self, name: str, number_: int, of: int) -> Callable[[str, float], None]:
        self._close()
        print(f"stemtrial: {name} ({number_} of {of})", file=sys.stderr, flush=True)
        begun: list[Callable[[str, float], None]] = []

        def told(stage: str, fraction: float) -> None:
            if not begun:  # a run that is read back shows no bar and compiles nothing
                from stemtrial.therapy import compose
                from stemtrial.trial.entry import families_of
                from stemtrial.trial.protocol import load_protocol

                self._open = progress(compose(load_protocol(name).disease, families_of(load_protocol(name))))
                begun.append(self._open.__enter__())
            begun[0](stage, fraction)

        return told


def _show(card: Mapping[str, Any], folder: Path, *, few: bool) -> None:
    rows = card["rows"]
    headlines = [r for r in rows if r["headline"]]
    misses = [r for r in headlines if r["agrees"] is False]
    s = card["settings"]
    text.say(f"Scorecard of {DISEASES[s['disease']]}", style="bold")
    text.say(
        f"{len(card['protocols'])} protocols at the published size, {count(s['replicates'])} replicates each, "
        f"seed {s['seed']}" + (f", family {s['family']}" if s["family"] else "") + (", sealed only" * s["blind"])
    )
    if headlines:
        lie = "lies outside its" if len(misses) == 1 else "lie outside their"
        text.heading(f"Misses: {len(misses)} of {len(headlines)} headlines {lie} 90 % interval")
        if misses:
            _table(misses[:SHOWN])
        if len(misses) > SHOWN:
            text.note(f"and {len(misses) - SHOWN} more, on the page")
        text.heading("Coverage: how often the intervals hold the published value, each cohort counting once")
        text.table(
            ["", "90 %", "50 %", "cohorts", "outcomes"],
            [_coverage(which, c) for which, c in _groups(card["coverage"])],
            right=[1, 2, 3, 4],
        )
    sealed = [r for r in rows if r["role"] == "sealed"]
    if sealed:
        text.heading(f"Sealed: predicted, nothing to compare with yet ({len(sealed)})")
        if s["blind"]:
            _table(sealed)
    if card["not_run"]:
        text.heading(f"Not run ({len(card['not_run'])})")
        for n in card["not_run"]:
            text.note(f"{n['protocol']}: {'failed: ' * n['fault']}{n['reason']}")
    text.heading(f"Not predicted ({len(card['not_predicted'])} published outcomes)")
    for reason, n in Counter(r["reason"] for r in card["not_predicted"]).most_common():
        text.note(f"{count(n)}: {reason}")
    text.heading("Mind")
    held = interval_words(s["interval"]) + (" only" if "+" not in s["interval"] else ", not parameters")
    told = [f"intervals hold {held}: what is not known about the parameters would make them wider"]
    told += [f"{s['replicates']} replicates are few: the ends of the intervals are rough; use 100 or more"] * few
    told += ["patients at baseline are context and are not scored"]
    text.bullets(told)
    text.heading("Written")
    text.whole(f"  {folder / 'scorecard.json'}\n  {folder / 'scorecard.html'}")
    text.say(f"\n{card['disclaimer']}", style="dim")


def _table(rows: list[Mapping[str, Any]]) -> None:
    text.table(
        ["trial", "endpoint", "who", "predicted, 90 %", "published", "z", "role"],
        [
            [
                r["protocol"],
                f"{r['endpoint']}: {statistic(r['statistic'], r['endpoint'])}",
                ", ".join(p for p in (r["arms"], years(r["time_years"])) if p)
                + f" {NO_HUMAN_DATA_MARK}" * (NO_HUMAN_DATA in r["labels"]),
                _interval(r, v["pi90"]) + (f" {v['unit']}" if v["unit"] else ""),
                number(v["value"]),
                z_text(r["z"]),
                r["role"],
            ]
            for r in rows
            for v in [shown(r, scale_of(r)) | {"unit": scale_of(r).unit}]
        ],
        right=[5],
        fold=[1, 2],
    )


def _interval(row: Mapping[str, Any], pi90: Sequence[Any]) -> str:
    """Write an interval; a median time without an upper end is not reached within the trial."""
    told = span(pi90)
    return told.replace("–", "not reached") if row["statistic"] == "median" else told


def _groups(coverage: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    out = [("all headlines", coverage["all"])]
    kinds = (("role", "role"), ("therapy", "therapy"), ("family", "outcomes of"))
    return out + [(f"{said} {name}", c) for key, said in kinds for name, c in coverage[key].items()]


def _coverage(which: str, c: Mapping[str, Any]) -> list[str]:
    def percent(x: float | None) -> str:
        return "–" if x is None else f"{100 * x:.0f} %"

    ci = c["ci90_of_90"]
    interval = f" ({100 * ci[0]:.0f} to {100 * ci[1]:.0f})" if ci else ""
    return [which, percent(c["inside90"]) + interval, percent(c["inside50"]), count(c["cohorts"]), count(c["outcomes"])]
