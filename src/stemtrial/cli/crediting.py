"""``credibility``: a report for a context of use, filled from a run and from what the package knows."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stemtrial.cli import text
from stemtrial.cli.running import Options
from stemtrial.cli.showing import page_of
from stemtrial.cli.waiting import progress
from stemtrial.errors import InputError

if TYPE_CHECKING:
    from stemtrial.cli.checking import Loaded
    from stemtrial.credibility import Run

SHOWN = 12
"""Criteria and missing things on the screen; the page and the JSON hold all."""


def print_template() -> None:
    """Print the context of use that a person fills in."""
    from stemtrial.credibility.context import TEMPLATE

    print(TEMPLATE, end="")


def show_credibility(
    name: str, context: str | None, run: str | None, scorecard: str | None, fit: str | None, o: Options
) -> None:
    """Run a protocol, or read a run back, and write the credibility report of it.

    Parameters
    ----------
    name : str
        A protocol, or the id of a study that one reproduces.
    context, scorecard, fit : str, optional
        Files: context of use; ``scorecard.json``; ``calibration.json``.
    run : str, optional
        Folder of a finished run; one is made when left out.
    o : Options
        ``out`` is the page.

    Raises
    ------
    InputError
        If a file cannot be read, the protocol is unknown, or the context names what the protocol does not estimate.
    """
    page = page_of(o.out) if o.out is not None else None
    from stemtrial.credibility import credibility, load_context
    from stemtrial.credibility.validated import check_card
    from stemtrial.report.credibility import write_credibility
    from stemtrial.store import write_atomic

    told, digest = load_context(context) if context is not None else (None, "")
    card = check_card(_json(scorecard, "--scorecard"), scorecard or "") if scorecard is not None else None
    report = _fit_report(fit) if fit is not None else None
    loaded = _load(name)
    if told is not None and told.endpoint is not None:
        _check_endpoint(told.endpoint, loaded, str(context))
    made = _read(run, loaded) if run is not None else _make(name, loaded, o)
    data = credibility(
        made, told, context_hash=digest, card=card, fit_report=report,
        command=_command(name, context, run, scorecard, fit, o),
    )  # fmt: skip
    page = page or Path(str(made.run.get("folder") or run)) / "credibility.html"
    write_credibility(data, page)
    beside = page.with_suffix(".json")
    plain = text.finite(data)
    write_atomic(beside, json.dumps(plain, indent=1, allow_nan=False, ensure_ascii=False).encode())
    if o.json:
        text.print_json(plain)
        return
    _show(data, [page, beside])


def _load(name: str) -> Loaded:
    """Load a protocol by name, path, or the study that it reproduces."""
    from stemtrial.cli.checking import load
    from stemtrial.evidence import studies
    from stemtrial.predict import protocol_of
    from stemtrial.trial.protocol import protocol_names

    study = not any(c in name for c in "/\\.") and name not in protocol_names() and name in studies()
    return load(protocol_of(name) if study else name)


def _check_endpoint(endpoint: str, loaded: Loaded, file: str) -> None:
    from stemtrial.errors import did_you_mean
    from stemtrial.trial.source import load_yaml

    known = list(dict.fromkeys(u.id for u in loaded.protocol.endpoints.all))
    if endpoint not in known:
        told = f"{loaded.protocol.protocol} does not estimate '{endpoint}'{did_you_mean(endpoint, known)}"
        raise load_yaml(file)[1].error(("endpoint",), told)


def _read(folder: str, loaded: Loaded) -> Run:
    from stemtrial.credibility import read_run

    return read_run(Path(folder), loaded.protocol)


def _make(name: str, loaded: Loaded, o: Options) -> Run:
    from stemtrial.credibility import run_of
    from stemtrial.predict import predict
    from stemtrial.report import write_report
    from stemtrial.therapy import compose
    from stemtrial.trial.entry import families_of

    p, settings = loaded.protocol, o.settings()
    draws = settings.parameters()
    with progress(compose(p.disease, families_of(p))) as told, loaded.located():
        made = predict(p, settings, draws, progress=told, command=f"stemtrial run {p.protocol}{o.size}")
        write_report(made.page, Path(made.run["folder"]) / "report.html")
    return run_of(p, made, draws)


def _json(file: str, option: str) -> Any:
    try:
        return json.loads(Path(file).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{option} {file}: no such file; check the path") from None
    except OSError as e:
        raise InputError(f"{option} {file}: cannot be read ({e.strerror}); check the path") from None
    except ValueError:
        raise InputError(f"{option} {file} is no JSON; name the file that the command wrote") from None


def _fit_report(file: str) -> Mapping[str, Any]:
    data = _json(file, "--fit")
    keys = ("title", "disease", "identifiability", "coverage", "parameters", "data", "spread")
    found = data.get("blocks") if isinstance(data, Mapping) else None
    if not isinstance(found, list) or any(not isinstance(b, Mapping) or any(k not in b for k in keys) for b in found):
        raise InputError(f"--fit {file} is no report of a fit; give the calibration.json of 'stemtrial fit'")
    return dict(data)


def _command(
    name: str, context: str | None, run: str | None, scorecard: str | None, fit: str | None, o: Options
) -> str:  # fmt: skip
    files = (("--context", context), ("--run", run), ("--scorecard", scorecard), ("--fit", fit))
    given = [word for option, value in files if value is not None for word in (option, value)]
    return shlex.join(["stemtrial", "credibility", name, *given]) + (o.size if run is None else "")


def _show(data: Mapping[str, Any], written: list[Path]) -> None:
    from stemtrial.report.words import number, scale_of, shown, span

    row, a = data["answer"], data["adequacy"]
    scale = scale_of(row)
    s, unit = shown(row, scale), f" {scale.unit}" if scale.unit else ""
    text.say(data["title"], style="bold")
    text.say(data["question"]["question"] if data["question"] else "no question of interest is stated (--context)")
    text.heading("Answer of the model")
    text.note(f"{row['label']}: {number(s['median'])}{unit}, 90 % {span(s['pi90'])}{unit}, ± {number(s['mcse'])}")
    text.heading("Adequacy")
    text.note(a["statement"]["text"])
    doubtful = [c for c in a["criteria"] if c["state"] != "met"]
    text.table(
        ["state", "criterion", "why"], [[c["state"], c["criterion"], c["why"]] for c in doubtful[:SHOWN]], fold=[1, 2]
    )
    found = [r for r in data["sensitivity"]["rows"] if r["above_noise"]]
    text.heading("What drives the answer")
    if found:
        text.table(
            ["parameter", "rank correlation", "90 %", "source"],
            [[r["name"], number(r["rank_correlation"], 2), span(r["interval"]), r["source"]] for r in found],
            right=[1], fold=[3],
        )  # fmt: skip
    else:
        text.note(data["sensitivity"]["why_not"] or "no parameter stands out of the noise")
    text.heading(f"Missing ({len(data['missing'])})")
    text.table(["part", "what", "how"], [list(m.values()) for m in data["missing"][:SHOWN]], fold=[1, 2])
    text.heading("Written")
    text.whole("\n".join(f"  {p}" for p in written))
    text.say("\nResearch software: simulated people, and no advice about any person.", style="dim")
