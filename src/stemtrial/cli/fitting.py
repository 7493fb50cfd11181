"""``fit``: blocks of parameters fitted to the published record; what it will cost first, what was learned after."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stemtrial.cli import text
from stemtrial.cli.running import check_threads, usable
from stemtrial.errors import InputError

if TYPE_CHECKING:
    from stemtrial.calibrate.fit import Cost, Settings

FOLDER = "runs/fit"
MOST_MEMBERS, FEWEST_MEMBERS, MOST_PASSES = 10_000, 10, 20
LEAST_A_PARAMETER = 4
"""Members for each parameter below which the smoother refuses; a fit that counts has ten (`blocks.yaml`)."""
STEP = 0.05
"""Share of a run after which its progress is told again."""
MISSES = 8
"""Data of a block on the screen; the page and the JSON hold all."""


@dataclass(frozen=True)
class FitOptions:
    """Checked options; names as on the command line."""

    blocks: tuple[str, ...]
    out: Path
    settings: Settings
    ship: Path | None
    json: bool
    yes: bool

    @staticmethod
    def checked(
        block: Sequence[str], out: str | None, members: int | None, passes: int | None, threads: int | None, seed: int,
        ship: str | None, json: bool, yes: bool,
    ) -> FitOptions:  # fmt: skip
        """Check what was typed.

        Raises
        ------
        InputError
            For the first option that cannot be used.
        """
        for option, folder in (("--out", out), ("--ship", ship)):
            if folder is not None and (not folder or "\0" in folder):
                raise InputError(f"{option} names no folder; give one, or leave the option out")
        limits = (
            ("--members", members, FEWEST_MEMBERS, MOST_MEMBERS), ("--passes", passes, 1, MOST_PASSES),
            ("--seed", seed, 0, 2**63 - 1),
        )  # fmt: skip
        for option, value, low, high in limits:
            if value is not None and not low <= value <= high:
                raise InputError(f"{option} {value} is out of range; use {low} to {high}")
        workers = check_threads(threads)
        usable(Path(out or FOLDER))
        if ship is not None and Path(ship).exists() and not Path(ship).is_dir():
            raise InputError(f"--ship {ship} is a file; name a folder")
        from stemtrial.calibrate.fit import Settings

        asked = blocks_asked(block)
        for name, b in _blocks(asked).items():
            least = LEAST_A_PARAMETER * len(b.names)
            if members is not None and members < least:
                raise InputError(
                    f"--members {members} is too few for the {len(b.names)} parameters of block '{name}'; use {least} "
                    "or more"
                )
        settings = Settings(seed=seed, workers=workers, members=members, passes=passes)
        return FitOptions(
            asked, Path(out or FOLDER), settings, Path(ship) if ship else None, json, yes
        )  # fmt: skip


def blocks_asked(names: Sequence[str]) -> tuple[str, ...]:
    """Return blocks by name, and those that they come after, first; all where none is named."""
    from stemtrial.calibrate.blocks import blocks, with_earlier

    return tuple(with_earlier(names or blocks()))


def fit_blocks(o: FitOptions) -> None:
    """Tell the cost, fit, write ``calibration.json`` and ``calibration.html``, print what was learned.

    Raises
    ------
    InputError
        If nobody said yes.
    """
    costs = {name: _cost(name, o) for name in o.blocks}
    _tell_cost(costs, o)
    _ask(costs, o)
    from stemtrial.calibrate.fit import fit
    from stemtrial.calibrate.posterior import ship, widenings
    from stemtrial.calibrate.report import calibration_report
    from stemtrial.report.calibration import write_calibration
    from stemtrial.store import write_atomic

    fitted = fit(o.out, o.blocks, o.settings, _Told({c.title: costs[n].runs for n, c in _blocks(o.blocks).items()}))
    label = ""
    wide = widenings(fitted, o.settings.seed)
    if o.ship is not None:
        label = ship(fitted, o.ship, o.settings, widened=wide).label
    report = calibration_report(fitted, o.settings, label, {n: c.hours * c.workers for n, c in costs.items()}, wide)
    o.out.mkdir(parents=True, exist_ok=True)
    page, data = o.out / "calibration.html", o.out / "calibration.json"
    write_atomic(data, json.dumps(report, indent=1, allow_nan=False, ensure_ascii=False).encode())
    write_calibration(report, page)
    if o.json:
        text.print_json(report)
        return
    show(report, [data, page, *([o.ship / "posterior.csv", o.ship / "posterior.json"] if o.ship else [])])


def show(report: Mapping[str, Any], written: Sequence[Path]) -> None:
    """Print what was learned: a summary, what is far off, what stays at its prior."""
    from stemtrial.calibrate.report import summary_lines
    from stemtrial.report.words import number, span

    text.say("Fit of the parameters to the published record" + f": {report['label']}" * bool(report["label"]), "bold")
    text.bullets(summary_lines(report))
    for b in report["blocks"]:
        far = [r for r in b["data"] if r["inside90"] is False]
        if far:
            text.heading(f"{b['title']}: {len(far)} of {len(b['data'])} published values outside their 90 % interval")
            text.table(
                ["outcome", "endpoint", "published", "after the fit, 90 %", "position"],
                [
                    [
                        r["outcome_id"], f"{r['endpoint']}: {r['statistic'].replace('_', ' ')}", number(r["published"]),
                        span(r["posterior"]["pi90"]), number(r["position"], 2),
                    ]
                    for r in far[:MISSES]
                ],
                right=[2, 4],
                fold=[1],
            )  # fmt: skip
    text.heading("Not fitted")
    text.note(f"{len(report['at_prior'])} parameters of therapies are drawn from their priors")
    text.note(f"{len(report['fixed'])} others that have a prior stay at their point values")
    text.heading("Written")
    text.whole("\n".join(f"  {path}" for path in written))
    text.say("\nResearch software: it gives no advice about a person.", style="dim")


# -- cost -------------------------------------------------------------------------------------------------------------
def _blocks(names: Sequence[str]) -> dict[str, Any]:
    from stemtrial.calibrate.blocks import blocks

    return {n: blocks()[n] for n in names}


def _cost(name: str, o: FitOptions) -> Cost:
    """Measure the cost of a block, or read back what was measured with the same code."""
    from dataclasses import asdict, replace

    from stemtrial.calibrate.fit import CODE, Cost, cost
    from stemtrial.store import package_hash, write_atomic

    kept, code = o.out / name / "cost.json", package_hash(*CODE)
    try:
        told = json.loads(kept.read_text())
        found = Cost(**told["cost"]) if told["code"] == code else None
    except (OSError, ValueError, KeyError, TypeError):
        found = None
    if found is None:
        title = _blocks([name])[name].title
        _say(f"measuring what a member costs: {title} (kernels are compiled once for this machine)")
        found = cost(name, o.settings)
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(kept, json.dumps({"code": code, "cost": asdict(found)}).encode())
    block, s = _blocks([name])[name], o.settings
    return replace(
        found, members=s.members or block.members, runs=(s.passes or block.passes) + 1, workers=s.workers
    )  # fmt: skip


def duration(hours: float) -> str:
    """Write a time as people plan it.

    >>> duration(1.334), duration(0.2), duration(0.001), duration(26.4)
    ('1 h 20 min', '12 min', '1 min', '26 h')
    """
    minutes = max(1, round(60 * hours))
    if minutes < 60:
        return f"{minutes} min"
    if minutes >= 600:
        return f"{hours:.0f} h"
    return f"{minutes // 60} h" + (f" {minutes % 60} min" if minutes % 60 else "")


def _on(workers: int) -> str:
    return "on 1 process" if workers == 1 else f"on {workers} processes"


def _tell_cost(costs: Mapping[str, Cost], o: FitOptions) -> None:
    for name, c in costs.items():
        _say(
            f"{_blocks([name])[name].title}: {c.data} published values of {c.trials} trials and registries; "
            f"{c.members} members x {c.runs} runs x {c.seconds:.1f} s: about {duration(c.hours)} {_on(c.workers)}"
        )
    total = sum(c.hours for c in costs.values())
    _say(f"in all about {duration(total)} {_on(o.settings.workers)}; finished parts in {o.out} are read back")


def _ask(costs: Mapping[str, Cost], o: FitOptions) -> None:
    """Wait for a yes on a terminal; elsewhere ask for the option."""
    if o.yes:
        return
    total = duration(sum(c.hours for c in costs.values()))
    if not sys.stdin.isatty():
        raise InputError(f"this fit takes about {total} {_on(o.settings.workers)}; say --yes to start it")
    print("stemtrial: start? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise InputError("not started; answer y, or say --yes")


def _say(words: str) -> None:
    print(f"stemtrial: {words}", file=sys.stderr, flush=True)


class _Told:
    """One line a twentieth of a run, with the time that is left of it."""

    def __init__(self, runs: Mapping[str, int]) -> None:
        self.runs = runs
        self.stage, self.began, self.first, self.next = "", 0.0, 0.0, 0.0

    def __call__(self, stage: str, fraction: float) -> None:
        now = time.monotonic()
        if stage != self.stage:
            self.stage, self.began, self.first, self.next = stage, now, fraction, 0.0
        if fraction < self.next and fraction < 1.0:
            return
        self.next = fraction + STEP
        title = stage.rpartition(": run ")[0]
        left = ""
        if fraction > self.first and fraction < 1.0:
            hours = (now - self.began) / (fraction - self.first) * (1.0 - fraction) / 3600.0
            left = f", about {duration(hours)} left of this run"
        of = f" of {self.runs[title]}" if title in self.runs else ""
        _say(f"{stage}{of}, {100 * fraction:.0f} %{left}")
