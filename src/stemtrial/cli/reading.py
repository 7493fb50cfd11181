"""``readout``: one trial under every definition side by side, and the truth beside it in tables of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from stemtrial.cli import text
from stemtrial.cli.drawn import other_parameters, parameters_words, without_parameters
from stemtrial.cli.running import (
    FEW_REPLICATES,
    Options,
    usable,
)
from stemtrial.cli.waiting import progress
from stemtrial.report.readout_figures import by_arm
from stemtrial.report.words import count, finite, number

Row = Mapping[str, Any]


def show_readout(name: str, reference: str | None, o: Options) -> None:
    """Read a protocol's trial out, write ``readout.json`` and ``report.html``, and print the tables.

    Raises
    ------
    InputError
        If the protocol or the reference cannot be used, or the folder holds something else.
    """
    from stemtrial.cli.checking import load
    from stemtrial.predict.readout import read_out, reference_of, truth_kernel
    from stemtrial.report.readout import write_readout
    from stemtrial.store import write_atomic

    loaded = load(name)
    reference_of(loaded.protocol, reference)  # before anything is compiled or recruited
    folder = Path(o.out) if o.out else None
    if folder is not None:
        usable(folder)
    command = _command(name, reference, o)
    with progress(truth_kernel(loaded.protocol)) as told, loaded.located():
        read = read_out(
            loaded.protocol, o.settings(), reference=reference, folder=folder, progress=told, command=command
        )  # fmt: skip
        told("writing", 0.0)
        data, target = read.as_json(), Path(read.run["folder"])
        target.mkdir(parents=True, exist_ok=True)
        write_readout(data, target / "report.html")
        write_atomic(target / "readout.json", json.dumps(text.finite(data), indent=1, ensure_ascii=False).encode())
    if o.json:
        text.print_json(data)
    else:
        _print(data, target)


def _command(name: str, reference: str | None, o: Options) -> str:
    """The command that gives the same numbers."""
    compared = f" --reference {reference}" if reference is not None else ""
    return f"stemtrial readout {name}{o.size}{compared}"


# -- on the screen ----------------------------------------------------------------------------------------------------
def told(row: Row | None, factor: float = 1.0, decimals: int | None = None, of: Row | None = None) -> str:
    """Write median (of how many) and 90 % interval, as short as a line of 80 characters asks for."""
    if row is None or finite(row["median"]) is None:
        return "–"
    most = "" if of is None else f" of {number(of['median'], 0)}"
    low, high = row["pi90"]
    ends = ["∞" if v is None else number(v * factor, decimals) for v in (low, high)]  # a ratio without events below it
    return f"{number(row['median'] * factor, decimals)}{most} ({ends[0]}–{ends[1]})"


def _print(data: Mapping[str, Any], folder: Path) -> None:
    run = data["run"]
    sizes = ", ".join(f"{arm} {count(n)}" for arm, n in run["patients_per_arm"].items())
    text.say(run["title"], style="bold")
    text.say(
        f"One trial read out under {len({r['endpoint'] for r in data['observed']})} definitions; {sizes} patients, "
        f"{count(run['replicates'])} replicates, seed {run['seed']}, "
        f"{parameters_words(run['draws'], run['draws_label'])}. Median (90 % interval over replicates)."
    )
    text.heading("Observed: what the trial would tell")
    text.note(
        "at risk: could have an event (a milestone not yet reached); probability: of an event, Kaplan-Meier, %, to the "
        f"end of follow-up; HR against {run['control']}; kappa with {run['reference']}"
    )
    _blocks(
        ["", "event of at risk", "probability, %", "HR", "kappa"],
        data["observed"],
        run,
        lambda s: [
            told(s["count"], decimals=0, of=s["at_risk"]),
            told(s.get("km_probability"), 100.0, 0),
            told(s.get("hazard_ratio"), decimals=2),
            kappa(s["kappa"]),
        ],
    )
    if data["truth"]:
        _print_truth(data["truth"], run)
    if data["left_out"]:
        text.heading("Not read out")
        for r in data["left_out"]:
            text.note(f"{r['endpoint']}: {r['reason']}")
    text.heading("Mind")
    lines = without_parameters(run["interval"]) + other_parameters(run["labels"])
    few = run["replicates"] < FEW_REPLICATES
    lines += [f"{run['replicates']} replicates are few: the ends of the intervals are rough"] * few
    text.bullets(lines)
    text.heading("Written")
    text.whole(f"  {folder / 'readout.json'}\n  {folder / 'report.html'}")
    text.say("\nResearch software: simulated people, and no advice about any person.", style="dim")


def _print_truth(rows: Sequence[Row], run: Mapping[str, Any]) -> None:
    text.heading("Truth: what no trial sees")
    text.note(
        "changed: patients whose EDSS without rating error has changed by the threshold at the end of their follow-up; "
        "sens: of them, with an event; PPV: of those with an event, truly changed (both %, EDSS alone). "
        "Loss: true axonal loss of the events by cause, %: acute / demyelination / smouldering"
    )
    _blocks(
        ["", "changed", "sens, %", "PPV, %", "loss a/d/s"],
        rows,
        run,
        lambda s: [
            told(s.get("true_changes"), decimals=0),
            told(s.get("sensitivity"), 100.0, 0),
            told(s.get("predictive_value"), 100.0, 0),
            loss(s),
        ],
    )


def kappa(row: Row) -> str:
    """Write the median of kappa; a zero has no sign."""
    value = finite(row["median"])
    return number(None if value is None else round(value, 2) + 0.0, 2)


def loss(statistics: Mapping[str, Row]) -> str:
    """Write the shares of true loss by cause, in the order of the heading."""
    shares = [r["median"] for name, r in statistics.items() if name.startswith("share_")]
    return " / ".join(number(None if v is None else 100.0 * v, 0) for v in shares) if any(shares) else "–"


def _blocks(columns: list[str], rows: Sequence[Row], run: Mapping[str, Any], line: Any) -> None:
    """Print a table: a line for each definition, and below it one for each arm."""
    cells, arms = by_arm(rows), list(run["patients_per_arm"])
    names = [name for name, _ in groupby(rows, key=lambda r: r["endpoint"])]
    text.tables(columns, [(name, [[f"  {arm}", *line(cells[name, arm])] for arm in arms]) for name in names])
