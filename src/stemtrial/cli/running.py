"""``run`` and ``compare``: options, and the result as a table."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stemtrial.cli import text
from stemtrial.cli.waiting import progress
from stemtrial.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from stemtrial.predict import Settings

MOST_REPLICATES = 1_000_000
MOST_PATIENTS = 1_000_000
FEW_REPLICATES = 100
"""With fewer, the ends of a 90 % interval rest on fewer than five replicates each."""


def usable(folder: Path) -> None:
    """Refuse a folder that a page and its data cannot be written into, before anything is computed.

    Raises
    ------
    InputError
        If it is a file or lies below one, holds a run, or cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder} is a file; name a folder")
    if (folder / "run.json").exists():
        raise InputError(f"--out {folder} holds a run; name another folder")
    place = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
    if not place.is_dir():
        raise InputError(f"--out {folder} cannot be made, because {place} is a file; name another folder")
    if not os.access(place, os.W_OK):
        raise InputError(f"--out {folder} cannot be written; name another folder")


@dataclass(frozen=True)
class Options:
    """Checked options of a run; names as on the command line."""

    out: str | None
    patients: int | None
    replicates: int
    draws: int | None
    point: bool
    seed: int
    threads: int
    keep_all: bool
    json: bool

    @staticmethod
    def checked(
        out: str | None, patients: int | None, replicates: int, draws: int | None, point: bool, seed: int,
        threads: int | None, keep: str | None, json: bool,
    ) -> Options:  # fmt: skip
        """Check what was typed.

        Raises
        ------
        InputError
            For the first option that cannot be used.
        """
        _between("--patients", patients, 1, MOST_PATIENTS)
        _between("--replicates", replicates, 1, MOST_REPLICATES)
        check_draws(draws, point)
        if draws is not None and draws > replicates:
            raise InputError(f"--draws {draws} is more than --replicates {replicates}; every draw needs one or more")
        _between("--seed", seed, 0, 2**63 - 1)
        if keep not in (None, "all"):
            raise InputError(f"--keep '{keep}' is not known{did_you_mean(keep, ['all'])}")
        if out is not None and (not out or "\0" in out):
            raise InputError("--out names no folder; give one, or leave the option out")
        return Options(out, patients, replicates, draws, point, seed, check_threads(threads), keep == "all", json)

    def settings(self) -> Settings:
        """As the library takes them."""
        from stemtrial.predict import Settings

        return Settings(
            replicates=self.replicates, seed=self.seed, patients=self.patients, keep_all=self.keep_all,
            threads=self.threads, draws=self.draws, point=self.point,
        )  # fmt: skip

    @property
    def size(self) -> str:
        """Options that decide the numbers, as typed; no thread count, no folder."""
        patients = f" --patients {self.patients}" if self.patients is not None else ""
        draws = " --point" * self.point + (f" --draws {self.draws}" if self.draws is not None else "")
        return f"{patients} --replicates {self.replicates}{draws} --seed {self.seed}"


def _between(option: str, value: int | None, low: int, high: int | None) -> None:
    if value is None:
        return
    if value < low or (high is not None and value > high):
        limits = f"{low} or more" if high is None or value < low else f"at most {high}"
        raise InputError(f"{option} {value} is out of range; use {limits}")


def check_draws(draws: int | None, point: bool) -> None:
    """Check which draws of the parameters are asked for.

    Raises
    ------
    InputError
        If there are not so many, no posterior is shipped, or both options are given.
    """
    from stemtrial.parameters import default_draws

    _between("--draws", draws, 1, None)
    default_draws(draws, point)


def check_threads(threads: int | None) -> int:
    """Return how many threads to use; all cores when None.

    Raises
    ------
    InputError
        If it is not positive.
    """
    _between("--threads", threads, 1, 1024)
    if threads is not None:
        return threads
    from stemtrial.kernel.run import default_threads

    return default_threads()


def run_protocol(name: str, o: Options) -> None:
    """Run a protocol, write its folder and its report, and print the result."""
    from stemtrial.cli.checking import load
    from stemtrial.predict import as_json, predict
    from stemtrial.report import write_report
    from stemtrial.therapy import compose
    from stemtrial.trial.entry import families_of

    loaded = load(name)
    with progress(compose(loaded.protocol.disease, families_of(loaded.protocol))) as told, loaded.located():
        prediction = predict(
            loaded.protocol, o.settings(), folder=Path(o.out) if o.out else None, progress=told,
            command=f"stemtrial run {name}{o.size}{' --keep all' * o.keep_all}",
        )  # fmt: skip
        told("summarising", 0.5)
        report = Path(prediction.run["folder"]) / "report.html"
        write_report(prediction.page, report)
    if o.json:
        text.print_json(as_json(prediction))
    else:
        from stemtrial.cli.result import show_result

        show_result(prediction, report, few=o.replicates < FEW_REPLICATES)
