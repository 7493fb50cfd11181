"""``estimands``: what a trial estimates under each way to treat death, beside what is true."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from stemtrial.cli import text
from stemtrial.cli.drawn import other_parameters, parameters_words
from stemtrial.cli.running import FEW_REPLICATES, Options, usable
from stemtrial.cli.waiting import progress
from stemtrial.errors import InputError, did_you_mean

ENDPOINT = "alsfrs_r_change"
Row = Mapping[str, Any]


def show_estimands(name: str, endpoint: str, at_years: float | None, changes: Sequence[str], o: Options) -> None:
    """Estimate, write ``estimands.json`` and ``report.html``, and print the table.

    Raises
    ------
    InputError
        If the protocol, the endpoint, the time or a change cannot be used, or ``--out`` is a file.
    """
    from stemtrial.cli.checking import load
    from stemtrial.endpoint import find
    from stemtrial.predict.estimands import estimands
    from stemtrial.predict.labels import arm_labels
    from stemtrial.report.estimands import write_estimands
    from stemtrial.store import content_hash, package_hash, write_atomic
    from stemtrial.therapy import compose
    from stemtrial.trial.entry import families_of

    changed = _changed(changes)
    if o.out is not None:
        usable(Path(o.out))
    loaded = load(name)
    protocol = loaded.protocol
    with progress(compose(protocol.disease, families_of(protocol))) as told, loaded.located():
        found = estimands(
            protocol, o.settings(), endpoint=endpoint, at_years=at_years, changed=changed, progress=told
        )  # fmt: skip
    data: dict[str, Any] = {
        **found.as_json(), "title": protocol.title, "endpoint_label": find(endpoint).label,
        "labels": arm_labels(protocol), "seed": o.seed, "changed": changed,
        "command": _command(name, endpoint, at_years, changes, o),
    }  # fmt: skip
    code = package_hash("trial", "therapy", "observe", "endpoint", "analysis", "cohort", "predict")
    ident = content_hash([protocol.identity(), data["command"], code])[:12]
    folder = Path(o.out) if o.out else Path("runs") / f"estimands-{protocol.protocol}-{ident}"
    folder.mkdir(parents=True, exist_ok=True)
    write_estimands(data, folder / "report.html")
    write_atomic(folder / "estimands.json", json.dumps(text.finite(data), indent=1, ensure_ascii=False).encode())
    if o.json:
        text.print_json(data)
    else:
        _print(data, folder, few=o.replicates < FEW_REPLICATES)


def _changed(changes: Sequence[str]) -> dict[str, float]:
    """Parameters that are changed, from ``name=value``."""
    from stemtrial.parameters import registry

    out: dict[str, float] = {}
    for said in changes:
        name, given, value = said.partition("=")
        if not given:
            raise InputError(f"--change '{said}' has no value; write NAME=VALUE")
        if name not in registry():
            raise InputError(f"--change: parameter '{name}' is not known{did_you_mean(name, registry())}")
        try:
            out[name] = float(value)
        except ValueError:
            raise InputError(f"--change {name}: '{value}' is no number; write NAME=VALUE") from None
    return out


def _command(name: str, endpoint: str, at_years: float | None, changes: Sequence[str], o: Options) -> str:
    """The command that gives the same numbers."""
    what = f" --endpoint {endpoint}" * (endpoint != ENDPOINT) + (f" --at {at_years:g}" if at_years is not None else "")
    changed = "".join(f" --change {c}" for c in changes)
    return f"stemtrial estimands {name}{what}{changed}{o.size}"


def _print(data: Mapping[str, Any], folder: Path, *, few: bool) -> None:
    from stemtrial.report.estimands import QUESTIONS, Z95
    from stemtrial.report.words import count, finite, number, off_by, span, years

    text.say(data["title"], style="bold")
    text.say(
        f"{data['endpoint_label']} at {years(data['time_years'])}; {count(data['patients'])} patients, "
        f"{count(data['replicates'])} replicates, seed {data['seed']}, "
        f"{parameters_words(data['draws'], data['draws_label'])}"
    )
    for (arm, control), rows in groupby(data["rows"], key=lambda r: tuple(r["arm"])):
        text.heading(f"{data['labels'][arm]} against {data['labels'][control]}")
        shares = ", ".join(f"{data['labels'][a]} {100 * data['alive'][a]:.0f} %" for a in (arm, control))
        text.note(f"alive at that time were all given one arm: {shares}")
        parts = []
        for estimand, members in groupby(rows, key=lambda r: str(r["estimand"])):
            lines = []
            for r in members:
                bias, error = finite(r["bias"]), finite(r["mcse"])
                off = "–" if bias is None else " ± ".join(off_by(bias, Z95 * (error or 0.0)))
                told = f"{number(r['median'])} ({span(r['pi90'])})"
                lines.append([f"  {r['estimator']}", told, number(r["truth"]), off, str(r["unit"])])
            parts.append((QUESTIONS[estimand], lines))
        text.tables(["", "estimate (90 %)", "truth", "bias (95 %)", "unit"], parts)
    text.heading("Mind")
    mind = ["treatment policy has no truth: after death there is no value to have"]
    one_value = "intervals hold what differs between trials of this size; every constant stands at one value"
    mind += [one_value] * (data["draws"] == 1) + other_parameters(data["draws_labels"])
    mind += [f"{data['replicates']} replicates are few: biases are uncertain; use 100 or more"] * few
    text.bullets(mind)
    text.heading("Written")
    text.whole(f"  {folder / 'estimands.json'}\n  {folder / 'report.html'}")
    text.say("\nResearch software: simulated people, and no advice about any person.", style="dim")
