"""Verification: tests of the code, counted where they can be read; numerical error of a run, from the run itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from stemtrial.cohort.recruit import wanted_recruits
from stemtrial.credibility.run import Run, label_of

STANDINGS = {
    "unit": "rules and functions of each room",
    "double_programming": "the same result from a second, independent implementation",
    "oracle": "frozen answers of other software (R, published packages)",
    "statistical": "laws that simulated numbers must obey, within Monte Carlo error",
    "baseline": "numbers that may change only with a line under Science changes",
}
"""Folder of tests -> what kind it is."""
_BITS = ("same_bits", "bit_for_bit", "identical", "bit_identical", "threads", "resume", "resum", "chunk", "backends")
_TEST = re.compile(r"^[ \t]*(?:async )?def (test_\w+)", re.M)
MCSE_SHARE = 0.1
"""Monte Carlo error of the answer, as a share of half its 90 % interval, beyond which more replicates are asked for."""


def folder_of_tests() -> Path | None:
    """Return the tests of the checkout that this package runs from; None where it is installed without them."""
    root = Path(str(files("stemtrial"))).resolve().parents[1]
    return root / "tests" if (root / "pyproject.toml").is_file() and (root / "tests").is_dir() else None


def code_of(folder: Path | None) -> dict[str, Any]:
    """Count the tests of the package by what they are; nothing is run.

    Parameters
    ----------
    folder : Path or None
        Of the tests.

    Returns
    -------
    dict
        ``available``; ``standings`` (``standing, meaning, files, tests``: test functions, of which many have several
        cases), ``fixtures`` (files of frozen answers), ``bits`` (names of tests of bit identity, over threads, chunks,
        restarts and back ends). Without a folder only ``available``, False.
    """
    if folder is None:
        return {"available": False}
    found, bits = [], []
    for standing, meaning in STANDINGS.items():
        files = sorted((folder / standing).rglob("test_*.py"))
        names = [n for f in files for n in _tests(f)]
        bits += [n for n in names if any(w in n for w in _BITS)]
        found.append({"standing": standing, "meaning": meaning, "files": len(files), "tests": len(names)})
    fixtures = sorted(f.name for f in (folder / "oracle" / "fixtures").glob("*") if f.suffix in (".json", ".npz"))
    return {"available": True, "standings": found, "fixtures": fixtures, "bits": sorted(bits)}


def _tests(file: Path) -> list[str]:
    try:
        return _TEST.findall(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # what cannot be read holds no test
        return []


def calculation_of(run: Run, answer: int, step_days: float) -> dict[str, Any]:
    """Return the numerical error of a run: Monte Carlo, failures, overflow, recruits, step.

    Returns
    -------
    dict
        ``replicates, draws, answer`` (``label, median, mcse, share``: of half the 90 % interval), ``worst`` (the
        estimates with the greatest share, at most five), ``failed_patients, patients, events_overflowed``,
        ``distinct_recruits, wanted_recruits, recruit_warning, step_days``.
    """
    told = run.run
    size = sum(told["patients_per_arm"].values())
    rows = [_error(e) for e in run.estimates]
    known = sorted((r for r in rows if r["share"] is not None), key=lambda r: -r["share"])
    return {
        "replicates": int(told["replicates"]), "draws": int(told["draws"]), "answer": rows[answer], "worst": known[:5],
        "not_estimable": int(run.estimates[answer]["n_not_estimable"]),
        "failed_patients": int(told["failed_patients"]), "events_overflowed": int(told["events_overflowed"]),
        "patients": size * int(told["replicates"]), "distinct_recruits": int(told["distinct_recruits"]),
        "wanted_recruits": int(told["draws"]) * wanted_recruits(size, int(told["draws"])),
        "recruit_warning": told.get("recruit_warning"), "step_days": step_days,
    }  # fmt: skip


def _error(e: Mapping[str, Any]) -> dict[str, Any]:
    ends: Sequence[float | None] = e["pi90"]
    half = None if ends[0] is None or ends[1] is None else (ends[1] - ends[0]) / 2
    share = e["mcse"] / half if e["mcse"] is not None and half else None
    return {"label": label_of(e), "median": e["median"], "mcse": e["mcse"], "share": share}


__all__ = ["MCSE_SHARE", "calculation_of", "code_of", "folder_of_tests"]
