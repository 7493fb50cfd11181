"""``cohort --disease ms|als``: untreated people from onset, beside the registries."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from stemtrial.cli import text
from stemtrial.cli.drawn import parameters_words
from stemtrial.cli.running import usable
from stemtrial.errors import InputError, did_you_mean

PEOPLE, ONSET, SEED = 5000, "all", 1
YEARS = {"ms": 30, "als": 10}
"""Longest follow-up from onset by disease, unless said."""
FEWEST, MOST = 100, 100_000
Row = Mapping[str, Any]


def show_natural_history(
    disease: str, people: int | None, years: int | None, onset: str | None, seed: int | None, threads: int,
    out: str | None, as_json: bool, draws: int | None = None, point: bool = False,
) -> None:  # fmt: skip
    """Simulate, write the folder (``natural_history.json``, ``report.html``), and print what misses first."""
    if disease not in YEARS:
        raise InputError(f"disease '{disease}' has no natural history{did_you_mean(disease, YEARS)}")
    usual = ((people, PEOPLE), (years, YEARS[disease]), (seed, SEED))
    n, y, s = (given if given is not None else default for given, default in usual)
    if out == "" or (out is not None and "\0" in out):
        raise InputError("--out names no folder; give one, or leave the option out")
    if out is not None:
        usable(Path(out))
    for option, value, low, high in (("--people", n, FEWEST, MOST), ("--years", y, 5, 80), ("--seed", s, 0, 2**63 - 1)):
        if not low <= value <= high:
            raise InputError(f"{option} {value} is out of range; use {low} to {high}")
    from stemtrial.cli.waiting import progress
    from stemtrial.predict.natural_history import as_data, draws_of_people, natural_history, nature_of
    from stemtrial.report.natural_history import write
    from stemtrial.store.cache import content_hash, package_hash
    from stemtrial.store.chunks import write_atomic
    from stemtrial.therapy import compose

    kinds = ("all", *nature_of(disease).onsets)
    if onset is not None and onset not in kinds:
        raise InputError(f"--onset '{onset}' is not known{did_you_mean(onset, kinds)}")
    kind = f" --onset {onset or ONSET}" if len(kinds) > 2 else ""
    command = f"stemtrial cohort --disease {disease} --people {n} --years {y}{kind} --seed {s}"
    command += " --point" * point + (f" --draws {draws}" if draws is not None else "")
    with progress(compose(disease, nature_of(disease).families)) as told:
        told("living", 0.0)
        history = natural_history(
            draws_of_people(n, draws, point), disease=disease, people=n, years=y, onset=onset or ONSET, seed=s,
            threads=threads, progress=told,
        )  # fmt: skip
        data = as_data(history, command)
        code = package_hash("kernel", "disease", "therapy", "cohort", "observe", "endpoint", "predict")
        ident = content_hash([history.settings, code])[:12]
        folder = Path(out) if out else Path("runs") / f"natural_history-{ident}"
        folder.mkdir(parents=True, exist_ok=True)
        told("writing", 0.0)
        write(data, folder / "report.html")
        write_atomic(
            folder / "natural_history.json", json.dumps(text.finite(data), indent=1, ensure_ascii=False).encode()
        )
    if as_json:
        text.print_json({k: data[k] for k in ("settings", "comparison", "estimates", "provenance")})
        return
    _print(data, folder)


def _print(data: Row, folder: Path) -> None:
    from stemtrial.report.natural_history import PAGES
    from stemtrial.report.words import count

    settings, rows = data["settings"], data["comparison"]
    groups = {answer: [r for r in rows if r["inside"] is answer] for answer in (False, True, None)}
    page = PAGES[settings["disease"]]
    text.say(f"Untreated {page['name']} from onset, beside the registries", style="bold")
    text.say(
        f"{count(settings['people'])} people{' ' * bool(page['lead'])}{page['lead']}, up to {settings['years']} years, "
        f"seed {settings['seed']}, {parameters_words(settings['n_draws'], settings['draws_label'])}"
    )
    _group(f"Misses: outside what the registries span ({len(groups[False])})", groups[False])
    _group(f"Inside ({len(groups[True])})", groups[True])
    published = [r for r in groups[None] if r["published"]]
    _group(f"Not scored: recalled, sealed, of treated people, or beyond the follow-up ({len(published)})", published)
    _estimates(data["estimates"], data["groups"], settings["disease"])
    text.heading("Written")
    text.whole(f"  {folder}\n  {folder / 'report.html'}")
    text.say("\nResearch software: simulated people, and no advice about any person.", style="dim")


def _group(title: str, rows: Sequence[Row]) -> None:
    """One table over all themes; studies, notes and roles stand in the report and in --json."""
    from stemtrial.report.natural_figures import label_of, range_of, shown, words
    from stemtrial.report.words import number

    if not rows:
        return
    text.heading(title)
    scored = rows[0]["inside"] is not None
    parts = []
    for theme, members in groupby(rows, key=lambda r: r["theme"]):
        lines = []
        for r in members:
            values = ", ".join(
                number(shown(p["value"], r["unit"])) + (" (test)" if p["role"] == "test" else "")
                for p in r["published"]
            )
            simulated = words(r["predicted"]["value"], r["predicted"].get("pi95") or r["predicted"]["mc95"], r["unit"])
            lines.append([label_of(r), simulated, *([range_of(r)] if scored else []), values])
        parts.append((theme, lines))
    text.tables(["", "simulated (95 %)", *(["registries span"] if scored else []), "published"], parts)


WHO_DIES_FIRST = {
    "ms": "Kaplan-Meier; of all but death, who dies first is censored",
    "als": "cumulative incidence; of all but death, who dies first never gets there",
}


def _estimates(rows: Sequence[Row], groups: Sequence[str], disease: str) -> None:
    """Median times to each milestone by group."""
    from stemtrial.report.natural_figures import words

    wanted = [r for r in rows if r["who"] in groups and r["statistic"] == "median"]
    kinds, measures = (list(dict.fromkeys(r[key] for r in wanted)) for key in ("who", "measure"))
    cells = {(r["who"], r["measure"]): words(r["value"], r["mc95"], "y") for r in wanted}
    text.heading(f"Median years to ({WHO_DIES_FIRST[disease]})")
    text.table(["", *kinds], [[m, *(cells.get((k, m), "–") for k in kinds)] for m in measures])
