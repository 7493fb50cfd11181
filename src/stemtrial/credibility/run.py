"""A finished run as a credibility report reads it: made now, or read from its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from stemtrial.endpoint import find
from stemtrial.errors import InputError, did_you_mean
from stemtrial.evidence import study
from stemtrial.parameters import Draws, default_draws, is_shipped, point_draw
from stemtrial.predict.estimate import STATISTICS
from stemtrial.predict.rows import rows_of
from stemtrial.predict.run import Prediction, scaled
from stemtrial.store import content_hash
from stemtrial.trial.protocol import Protocol

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Run:
    """What a run gave.

    Attributes
    ----------
    protocol : Protocol
        As it was run, of that size.
    run : dict
        ``run.json``.
    estimates : list of dict
        Rows of ``estimates.json``.
    values : ndarray, shape (estimates, replicates)
        One value a replicate; replicate k is of draw k mod ``run["draws"]``.
    draws : Draws or None
        Its parameters; None where the draws of the package are not those of the run.
    """

    protocol: Protocol
    run: Mapping[str, Any]
    estimates: list[dict[str, Any]]
    values: Floats
    draws: Draws | None

    @property
    def draw(self) -> NDArray[np.int64]:
        """Draw of each replicate."""
        return np.arange(self.values.shape[1]) % int(self.run["draws"])

    def answer(self, endpoint: str | None = None) -> int:
        """Return the place of the estimate that answers, of an endpoint or, when left out, of the primary one.

        A contrast of two arms answers before what one arm shows, and the primary estimator before others.

        Raises
        ------
        InputError
            If the protocol does not estimate that endpoint.
        """
        primary = self.protocol.endpoints.primary
        wanted = endpoint or primary.id
        mine = [k for k, e in enumerate(self.estimates) if e["endpoint"] == wanted]
        if not mine:
            known = {str(e["endpoint"]) for e in self.estimates}
            raise InputError(f"{self.protocol.protocol} does not estimate '{wanted}'{did_you_mean(wanted, known)}")
        asked = STATISTICS.get(primary.estimator) if wanted == primary.id else None

        def rank(k: int) -> tuple[bool, bool, int]:
            return isinstance(self.estimates[k]["arm"], str), self.estimates[k]["statistic"] != asked, k

        return min(mine, key=rank)


def run_of(protocol: Protocol, made: Prediction, draws: Draws) -> Run:
    """Take a run that was made now.

    Parameters
    ----------
    protocol : Protocol
        As it was given to :func:`stemtrial.predict.predict`.
    made : Prediction
        What that gave.
    draws : Draws
        Its parameters.
    """
    values = np.asarray(made.tables["estimates"]["value"], float).reshape(len(made.estimates), -1)
    return Run(_of_size(protocol, made.run["patients_per_arm"]), made.run, made.estimates, values, draws)


def _of_size(protocol: Protocol, sizes: Mapping[str, int]) -> Protocol:
    """Return the protocol as it was run; of the planned size it is itself."""
    planned = {a: p.n for a, p in protocol.arms.items()}
    return protocol if planned == dict(sizes) else scaled(protocol, sum(sizes.values()))


def read_run(folder: Path, protocol: Protocol) -> Run:
    """Read a finished run of a protocol from its folder.

    Parameters
    ----------
    folder : Path
        With ``run.json``, ``estimates.json`` and ``tables/estimates.parquet``.
    protocol : Protocol
        That was run.

    Raises
    ------
    InputError
        If the folder holds no finished run, or that of another protocol.
    """
    try:
        run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        estimates = json.loads((folder / "estimates.json").read_text(encoding="utf-8"))
        sizes, told = dict(run["patients_per_arm"]), run["provenance"]
        name, used, replicates = str(run["protocol"]), int(run["draws"]), int(run["replicates"])
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"--run {folder} holds no finished run; name the folder that 'stemtrial run' wrote") from None
    if name != protocol.protocol:
        raise InputError(f"--run {folder} holds a run of {name}, not of {protocol.protocol}; name one of them")
    mine = _of_size(protocol, sizes)
    if content_hash(mine.identity())[:16] != told["protocol"]:
        raise InputError(f"--run {folder}: {name} has changed since that run; run it again")
    rows = rows_of(mine, study(mine.reproduces) if mine.reproduces else None)
    path = folder / "tables" / "estimates.parquet"
    try:
        values = _values(path).reshape(len(rows), replicates)
    except (duckdb.Error, ValueError):
        raise InputError(f"{path} is not the table of that run; run it again") from None
    return Run(mine, run, estimates, values, _draws(str(told["draws"]), used))


def _values(path: Path) -> Floats:
    with duckdb.connect(config={"threads": 1}) as con:
        quoted = str(path).replace("'", "''")
        got = con.execute(
            f"select value from read_parquet('{quoted}', file_row_number = true) order by file_row_number"
        )
        return np.asarray(got.fetchnumpy()["value"], float)


def _draws(identity: str, used: int) -> Draws | None:
    """Draws of this package with that identity: so many of the posterior, all of it, or the point values."""
    known = [point_draw()]
    if is_shipped():
        every = default_draws()
        known += [every] + [every.first(used)] * (used <= len(every))
    return next((d for d in known if d.identity == identity), None)


def label_of(row: Mapping[str, Any]) -> str:
    """Return an estimate in words: endpoint, statistic, arms, time."""
    arm = row["arm"] if isinstance(row["arm"], str) else " vs ".join(row["arm"])
    at = "" if row["time_years"] is None else f", at {row['time_years']:.3g} years"
    return f"{find(row['endpoint']).label}: {str(row['statistic']).replace('_', ' ')}, {arm}{at}"


__all__ = ["Run", "label_of", "read_run", "run_of"]
