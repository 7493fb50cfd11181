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

NATURAL = "natural history"
ROLES = {"test": "Held out (test)", "fit": "Fitted to (fit)"}
BLIND = Path("validation") / "blind"
"""Where blind predictions are written, below the working directory."""
EACH = 2
"""Replicates of each draw: draws differ by more than the replicates of one, and cost as much as to recruit anew."""
FULL_DRAWS = 100
"""Draws where nothing is said. Each recruits people of its own, which is most of the cost: about eighteen minutes of
one core for each twenty-five."""
MANY_DRAWS = 25
"""Draws from which on two replicates of each are enough to judge by."""
SHOWN = 25
"""Rows of the table of misses on the screen; the page and the JSON hold all."""


def size_of(replicates: int | None, draws: int | None, point: bool) -> tuple[int, int | None]:
    """Return replicates and draws of a scorecard, where they are left out.

    Of the first hundred draws of the posterior, or of 25 or more, two replicates each; of fewer draws and of the point
    values a hundred replicates together.
    """
    from stemtrial.parameters import is_shipped, posterior

    if draws is None and not point and is_shipped():
        every = min(FULL_DRAWS, len(posterior()))
        draws = every if replicates is None else max(1, min(every, replicates))
        return EACH * draws if replicates is None else replicates, draws
    if replicates is None:
        replicates = EACH * draws if draws and draws >= MANY_DRAWS else FEW_REPLICATES
    return replicates, draws


def show_scorecard(
    disease: str, family: str | None, blind: bool, every: bool, o: Options
) -> int:  # fmt: skip
    """Run the scorecard, write ``scorecard.json`` and ``scorecard.html``, print it; return the exit status.

    1 if a protocol failed for a reason that is no input of the user, else 0.

    Raises
    ------
    InputError
        If the disease or family is unknown, or nothing can be run.
    """
    from stemtrial.predict.lanes import Choice
    from stemtrial.predict.scorecard import scorecard
    from stemtrial.report.scorecard import write_scorecard
    from stemtrial.store import write_atomic

    try:
        Choice(disease, family)
    except InputError as e:
        raise InputError(f"--{e}") from None
    if blind:
        return _show_blind(disease, family, o)
    folder = Path(o.out) if o.out else Path("runs") / f"scorecard-{disease}"
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder} is a file; name a folder")
    with _Told() as told:
        card = scorecard(o.settings(), folder, disease=disease, family=family, every=every, told=told)
    if not card["rows"] and not card["not_run"]:
        raise InputError(_nothing(disease, family))
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "scorecard.json", json.dumps(text.finite(card), indent=1, allow_nan=False).encode())
    write_scorecard(card, folder / "scorecard.html")
    if o.json:
        text.print_json(card)
    else:
        _show(card, folder, few=o.replicates < FEW_REPLICATES)
    return 1 if any(n["fault"] for n in card["not_run"]) else 0


def _show_blind(disease: str, family: str | None, o: Options) -> int:
    """Write blind predictions into ``validation/blind``; return the exit status."""
    from stemtrial.predict.blind import blind_predictions

    if family is not None or disease != "all":
        raise InputError("--blind predicts every sealed study; leave out --family and --disease")
    if o.point:
        raise InputError("--blind needs a posterior, not point values; leave --point out")
    draws = o.settings().parameters()
    command = f"stemtrial scorecard --blind{o.size}"
    with _Told() as told:
        folder, data = blind_predictions(
            o.settings(), Path(o.out) if o.out else Path("runs") / "scorecard-all", BLIND, draws, command=command,
            told=told,
        )  # fmt: skip
    if o.json:
        text.print_json(data)
        return 1 if any(n["fault"] for n in data["not_run"]) else 0
    n = data["outcomes"]
    text.say(f"Blind predictions with {data['provenance']['posterior']}", style="bold")
    more = f", and {len(data['without_results'])} estimates of trials without results"
    text.say(f"{n['predicted']} of {n['sealed']} outcomes of sealed studies{more}")
    for title, rows in (("Not run", data["not_run"]), ("Not predicted", data["not_predicted"])):
        if rows:
            text.heading(f"{title} ({len(rows)})")
            for reason, k in Counter(r["reason"] for r in rows).most_common():
                text.note(f"{count(k)}: {reason}")
    text.heading("Written")
    text.whole(f"  {folder / 'predictions.json'}\n  {folder / 'README.md'}")
    text.say(f"\n{data['disclaimer']}", style="dim")
    return 1 if any(n["fault"] for n in data["not_run"]) else 0


def _nothing(disease: str, family: str | None) -> str:
    """Why nothing can be scored, and what can be done instead."""
    from stemtrial.therapy import FAMILIES
    from stemtrial.trial.entry import families_of
    from stemtrial.trial.protocol import load_protocol, protocol_names

    if family in FAMILIES:
        found = [load_protocol(n) for n in protocol_names()]
        untried = [p.protocol for p in found if disease in ("all", p.disease) and family in families_of(p)]
        told = f"; what it predicts without human data: stemtrial run {untried[0]}" if untried else ""
        of_disease = f" in {disease.upper()}" if disease != "all" else ""
        return f"no published trial of family '{family}'{of_disease} is there to score{told}"
    return "no protocol fits; leave out --family"


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
                self._open = progress(_kernel_of(name))
                begun.append(self._open.__enter__())
            begun[0](stage, fraction)

        return told


def _kernel_of(name: str) -> Any:
    """Kernel of a protocol, or of the natural history of a disease."""
    from stemtrial.therapy import compose
    from stemtrial.trial.entry import families_of
    from stemtrial.trial.protocol import load_protocol

    if name.startswith(NATURAL):
        from stemtrial.predict.natural_history import nature_of

        disease = name.removeprefix(f"{NATURAL}, ")
        return compose(disease, nature_of(disease).families)
    protocol = load_protocol(name)
    return compose(protocol.disease, families_of(protocol))


def _show(card: Mapping[str, Any], folder: Path, *, few: bool) -> None:
    rows = card["rows"]
    headlines = [r for r in rows if r["headline"]]
    misses = [r for r in headlines if r["agrees"] is False]
    s = card["settings"]
    of = " and ".join(DISEASES[d] for d in (("ms", "als") if s["disease"] == "all" else (s["disease"],)))
    text.say(f"Scorecard of {of}", style="bold")
    drawn = "the point values" if s["draws"] == 1 else f"{count(s['draws'])} draws of {s['draws_label']}"
    size = f"{len(card['protocols'])} protocols at the published size, {count(s['replicates'])} replicates each"
    text.say(f"{size} over {drawn}, seed {s['seed']}" + (f", family {s['family']}" if s["family"] else ""))
    if headlines:
        lie = "lies outside its" if len(misses) == 1 else "lie outside their"
        text.heading(f"Misses: {len(misses)} of {len(headlines)} headlines {lie} 90 % interval")
        if misses:
            _table(misses[:SHOWN])
        if len(misses) > SHOWN:
            text.note(f"and {len(misses) - SHOWN} more, on the page")
        for role in ("test", "fit"):
            found = [g for g in card["groups"] if g["role"] == role]
            if not found:
                continue
            text.heading(f"{ROLES[role]}: coverage, and CRPS against the naive forecasters, each cohort counting once")
            text.table(
                ["", "90 %", "50 %", "CRPS / meta-analysis", "CRPS / no change", "cohorts", "outcomes"],
                [_group(g) for g in found if g["by"] in ("all", "lane", "family")],
                right=[1, 2, 3, 4, 5, 6],
            )
        _verdict(card["verdicts"]["test"]["all"])
    sealed = [r for r in rows if r["role"] == "sealed"]
    if sealed:
        text.heading(f"Sealed: predicted, nothing to compare with yet ({len(sealed)})")
    if card["skipped"]:
        text.heading(f"Skipped ({len(card['skipped'])}; --every runs them)")
        for reason, n in Counter(r["reason"] for r in card["skipped"]).most_common():
            text.note(f"{count(n)}: {reason}")
    if card["not_run"]:
        text.heading(f"Not run ({len(card['not_run'])})")
        for n in card["not_run"]:
            text.note(f"{n['protocol']}: {'failed: ' * n['fault']}{n['reason']}")
    text.heading(f"Not predicted ({len(card['not_predicted'])} published outcomes)")
    for reason, n in Counter(r["reason"] for r in card["not_predicted"]).most_common():
        text.note(f"{count(n)}: {reason}")
    text.heading("Mind")
    told = [f"intervals hold {interval_words(s['interval'])}"]
    if "parameters" not in s["interval"]:
        told[0] += ", not parameters: what is not known about these would make them wider"
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
                r["protocol"] or r["study"],
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


def _verdict(v: Mapping[str, Any]) -> None:
    """Print the rules of acceptance on all test cohorts."""
    words = {True: "met", False: "not met", None: "not judged"}
    text.heading(f"Rules of acceptance, test cohorts together: {words[v['passed']].replace('not met', 'failed')}")
    for rule in v["rules"]:
        ends = rule["interval"]
        interval = f" ({number(ends[0])} to {number(ends[1])})" if ends else ""
        told = "–" if rule["value"] is None else number(rule["value"])
        text.note(f"{words[rule['met']]}: {rule['rule']}: {told}{interval}, {count(rule['cohorts'])} cohorts")


def _group(g: Mapping[str, Any]) -> list[str]:
    def percent(x: float | None) -> str:
        return "–" if x is None else f"{100 * x:.0f} %"

    def ratio(r: Mapping[str, Any]) -> str:
        if r["ratio"] is None:
            return "–"
        return number(r["ratio"]) + (f" ({number(r['ci80'][0])} to {number(r['ci80'][1])})" if r["ci80"] else "")

    c, ends = g["coverage"], g["coverage"]["ci90_of_90"]
    interval = f" ({100 * ends[0]:.0f} to {100 * ends[1]:.0f})" if ends else ""
    name = {"all": "all headlines", "lane": g["name"], "family": f"outcomes of {g['name']}"}[g["by"]]
    ratios = [ratio(g["ratios"][k]) for k in ("crps_meta", "crps_no_change")]
    return [
        name,
        percent(c["inside90"]) + interval,
        percent(c["inside50"]),
        *ratios,
        count(c["cohorts"]),
        count(c["outcomes"]),
    ]
