"""A run: protocol x replicates x draws, in chunks that survive a kill, to estimates, tables and a report's data."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.cohort.recruit import Held, Recruits
from stemtrial.errors import InputError
from stemtrial.evidence import study
from stemtrial.kernel import Kernel
from stemtrial.parameters import Draws
from stemtrial.predict import counterfactual, hypotheses, labels
from stemtrial.predict.curves import curves
from stemtrial.predict.estimate import Analysed, Row, estimate, rows_of
from stemtrial.predict.folder import refuse_other_run, write_run
from stemtrial.predict.harm import DAY, tally
from stemtrial.predict.obstacles import refuse
from stemtrial.predict.page import page_data
from stemtrial.predict.recruited import Recruiting, funnel_of, told_of, told_of_all
from stemtrial.predict.summary import interval_of, summarise
from stemtrial.predict.uncertainty import draws_for, set_parts
from stemtrial.store import ChunkStore, content_hash, digest_tables, map_chunks, package_hash
from stemtrial.tables import Table, concat
from stemtrial.therapy import compose
from stemtrial.trial.conduct import Trial, conduct
from stemtrial.trial.entry import families_of
from stemtrial.trial.protocol import Protocol
from stemtrial.trial.recruiting import recruit_for

Arrays = dict[str, NDArray[Any]]
CHUNK = 50
CHUNK_PATIENTS = 20_000
"""Replicates and patients of a chunk at most; the results do not depend on them, the memory taken does."""


@dataclass(frozen=True)
class Settings:
    """How a protocol is run.

    Attributes
    ----------
    replicates : int
        Repetitions of the trial, 1 or more.
    seed : int
        Seed of the run.
    patients : int or None
        Patients of one trial, over all arms in the protocol's proportions; None: as the protocol says.
    keep_all : bool
        Keep the patient tables of every replicate, not of the first only.
    threads, chunk, width : int
        How it is computed; the results do not depend on them. ``chunk`` is in replicates, None: by the trial's size.
    draws : int or None
        The first so many draws of the posterior; None: as :func:`stemtrial.predict.uncertainty.draws_for` chooses.
    point : bool
        The point values of all parameters; excludes ``draws``.
    beside : bool
        Whether a trial without a control arm is conducted once more without its effects
        (:mod:`stemtrial.predict.counterfactual`), which takes as long again.
    """

    replicates: int = 1000
    seed: int = 1
    patients: int | None = None
    keep_all: bool = False
    threads: int = 1
    chunk: int | None = None
    width: int = 64
    draws: int | None = None
    point: bool = False
    beside: bool = True

    def parameters(self) -> Draws:
        """Draws of the parameters that a run of these settings uses.

        Raises
        ------
        InputError
            If ``draws`` and ``point`` are both given, or the posterior has fewer draws.
        """
        return draws_for(self.replicates, self.draws, self.point)


@dataclass(frozen=True)
class Prediction:
    """What a run gave.

    Attributes
    ----------
    run : dict
        Identity, provenance, digest and counts: the contents of ``run.json``.
    estimates : list of dict
        Rows of ``estimates.json``.
    page : dict
        Data of the report (``stemtrial.report.ReportData``).
    tables : dict
        Observed tables of the replicates kept, and ``estimates`` with one row an estimate and replicate.
    """

    run: dict[str, Any]
    estimates: list[dict[str, Any]]
    page: dict[str, Any]
    tables: dict[str, Table]

    def __repr__(self) -> str:
        told = f"{len(self.estimates)} estimates, {self.run['replicates']} replicates"
        return f"<Prediction of {self.run['protocol']}: {told}>"


def scaled(protocol: Protocol, patients: int | None) -> Protocol:
    """Return the protocol for another number of patients, arms in proportion."""
    if patients is None:
        return protocol
    total = sum(a.n for a in protocol.arms.values())
    if patients < len(protocol.arms):
        raise InputError(
            f"--patients {patients} is too few for {len(protocol.arms)} arms; give at least {len(protocol.arms)}"
        )
    sizes = dict.fromkeys(protocol.arms, 1)  # nobody's arm is empty; the rest goes where most is missing
    for _ in range(patients - len(sizes)):
        sizes[max(sizes, key=lambda k: patients * protocol.arms[k].n / total - sizes[k])] += 1
    arms = {k: a.model_copy(update={"n": sizes[k]}) for k, a in protocol.arms.items()}
    kept = {k: max(1, round(sizes[k] * v / protocol.arms[k].n)) for k, v in protocol.analysis_set.items()}
    return protocol.model_copy(update={"arms": arms, "analysis_set": kept})


def _run_id(protocol: Protocol, kernel: Kernel, s: Settings, d: Draws) -> str:
    identity = {
        "protocol": protocol.identity(),
        "kernel": kernel.identity,
        "draws": d.identity,
        "seed": s.seed,
        "replicates": s.replicates,
        "version": importlib.metadata.version("stemtrial"),
        "code": package_hash("trial", "therapy", "observe", "endpoint", "analysis", "cohort", "predict"),
        "study": content_hash(study(protocol.reproduces).model_dump(mode="json")) if protocol.reproduces else None,
        "beside_itself": _beside(protocol, s),
        "keep_all": s.keep_all,
    }
    return content_hash(identity)


def _beside(protocol: Protocol, s: Settings) -> dict[str, dict[str, float]]:
    return counterfactual.conducts(protocol) if s.beside else {}


def run_id_of(protocol: Protocol, settings: Settings, draws: Draws | None = None) -> str:
    """Identity of the run that :func:`predict` would make, without making it."""
    protocol = scaled(protocol, settings.patients)
    kernel = compose(protocol.disease, families_of(protocol), width=settings.width)
    return _run_id(protocol, kernel, settings, draws or settings.parameters())


def predict(
    protocol: Protocol, settings: Settings | None = None, draws: Draws | None = None, *, folder: Path | None = None,
    runs: Path = Path("runs"), progress: Callable[[str, float], None] | None = None, command: str = "",
    held: Held | None = None,
) -> Prediction:  # fmt: skip
    """Run a protocol and predict its estimates; everything is written into a run folder.

    Parameters
    ----------
    protocol : Protocol
        From :func:`stemtrial.trial.protocol.load_protocol`.
    settings : Settings, optional
        Size and seed of the run.
    draws : Draws, optional
        Draws of the parameters; those of the settings when left out, which are the posterior where one is shipped.
        Replicate k uses draw k mod n.
    folder : Path, optional
        Run folder; default ``<runs>/<protocol>-<id12>``.
    runs : Path
        Where run folders are made.
    command : str
        The command line, for the record.
    progress : callable, optional
        Called with a stage and the fraction done.
    held : Held, optional
        People in memory, whom earlier runs may have looked for.

    Raises
    ------
    InputError
        If nobody is eligible, a therapy has no model, or the folder holds another run.
    """
    s = settings or Settings()
    if s.replicates < 1:
        raise InputError(f"--replicates {s.replicates} is not positive; use 1 or more")
    d = draws or s.parameters()
    told = progress or (lambda stage, fraction: None)
    clock = _Clock()
    refuse(protocol)
    planned, protocol = protocol, scaled(protocol, s.patients)
    kernel = compose(protocol.disease, families_of(protocol), width=s.width)
    published = study(protocol.reproduces) if protocol.reproduces else None
    rows = rows_of(protocol, published)
    run_id = _run_id(protocol, kernel, s, d)
    target = folder or runs / f"{protocol.protocol}-{run_id[:12]}"
    refuse_other_run(target, run_id)
    clock("prepare")
    chunk = s.chunk or max(1, min(CHUNK, CHUNK_PATIENTS // sum(a.n for a in protocol.arms.values())))
    plan, beside = plan_of(s.replicates, len(d), chunk), _beside(protocol, s)
    used = min(len(d), s.replicates)

    def find(k: int, alone: bool) -> Recruits:
        # many draws run side by side, each on one thread; of them nothing is kept but their chunks
        threads, tell = (s.threads, told) if alone or used < s.threads else (1, None)
        return recruit_for(protocol, kernel, d, k, threads=threads, progress=tell, over=used, keep=used == 1, held=held)

    recruits = Recruiting(find, Counter(draw for draw, _ in plan))
    told("recruiting", 0.0)
    recruits.first()
    clock("recruit")

    def compute(i: int) -> Arrays:
        draw, replicates = plan[i]
        people = recruits.of(draw)

        def trial(changed: dict[str, float]) -> Trial:
            return conduct(protocol, people, kernel, d[draw] | changed, s.seed, replicates=replicates)

        out = _chunk(trial({}), protocol, rows, replicates, s.keep_all)
        for name, changed in beside.items():  # one after the other: a chunk holds the tables of one conduct
            out[f"values.{name}"] = estimate(rows, Analysed(trial(changed).tables, protocol)).T
        recruits.done(draw)
        return out | told_of(people)

    # chunks are keyed by layout too: another chunk size or thread count must not read them
    store = ChunkStore(target / "chunks", f"{run_id}:{chunk}")
    told("simulating", 0.0)
    parts = [
        a for _, a in map_chunks(
            store, range(len(plan)), compute, s.threads, lambda n: told("simulating", n / len(plan))
        )
    ]  # fmt: skip
    clock("simulate")
    told("summarising", 0.0)
    gathered = _gather(parts)
    order = np.argsort(gathered["replicate"], kind="stable")
    values = gathered["values"][order].T
    said = d.labels
    same_size = all(a.n == planned.arms[k].n for k, a in protocol.arms.items())
    if not same_size:
        said.append("other_size")
    effects = {k.removeprefix("effects."): v[order] for k, v in gathered.items() if k.startswith("effects.")}
    drawn = hypotheses.varies(effects)
    mean = dict(zip(d.names, d.values[:used].mean(0).tolist(), strict=True))
    untried = labels.untried(protocol)
    estimates = summarise(
        rows, values, published, n_draws=used, trial_effects=bool(drawn), scored=same_size,
        labels=[[*said, *labels.labels_of(row, list(untried))] for row in rows],
    )  # fmt: skip
    counterfactual.set_beside(estimates, rows, values, {k: gathered[f"values.{k}"][order].T for k in beside}, protocol)
    set_parts(estimates, values, {k: effects[k] for k in drawn}, used)
    hypotheses.tell_apart(estimates, rows, values, effects, protocol, mean)
    tables = _tables(parts, rows, values)
    run: dict[str, Any] = {
        "id": run_id,
        "protocol": protocol.protocol,
        "disease": protocol.disease,
        "title": protocol.title,
        "reproduces": protocol.reproduces,
        "digest": digest_tables(tables),
        "seed": s.seed,
        "replicates": s.replicates,
        "patients_per_arm": {k: a.n for k, a in protocol.arms.items()},
        "draws": used,
        "draws_label": d.label,
        "interval": interval_of(used, bool(drawn)),
        "trial_effects": list(drawn),
        "design": protocol.design,
        **told_of_all(parts, plan),
        "failed_patients": int(gathered["failed"].sum()),
        "events_overflowed": int(gathered["overflow"].sum()),
        "labels": [*said, *([labels.NO_HUMAN_DATA] if untried else []), *labels.cautions(protocol, published)],
        "without_human_data": untried,
        "hypotheses": hypotheses.weights(protocol, mean),
        "provenance": {
            "model": kernel.identity,
            "protocol": content_hash(protocol.identity())[:16],
            "draws": d.identity,
            **{f"posterior {k}": str(d.provenance[k]) for k in ("label", "date") if k in d.provenance},
            "command": command,
            **{f"version of {p}": importlib.metadata.version(p) for p in ("stemtrial", "numpy", "numba", "scipy")},
        },
    }
    clock("summarise")
    run["seconds"] = clock.seconds
    seen = {k: v[order] for k, v in gathered.items() if "|" in k}
    page = page_data(run, protocol, published, estimates, seen, funnel_of(parts[0]))
    prediction = Prediction(run, estimates, page, tables)
    write_run(target, run, estimates, page["baseline"], tables)
    return dataclasses.replace(prediction, run=run | {"folder": str(target)})


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def __call__(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = round(now - self._last, 2)
        self._last = now


def plan_of(replicates: int, draws: int, chunk: int) -> list[tuple[int, list[int]]]:
    """Chunks as (draw, replicates); every chunk is of one draw, replicate k of draw k mod n."""
    out: list[tuple[int, list[int]]] = []
    for draw in range(min(draws, replicates)):
        mine = list(range(draw, replicates, draws))
        out += [(draw, mine[i : i + chunk]) for i in range(0, len(mine), chunk)]
    return out


def _chunk(trial: Trial, protocol: Protocol, rows: list[Row], replicates: list[int], keep_all: bool) -> Arrays:
    tables = trial.tables
    analysed = Analysed(tables, protocol)
    out: Arrays = {
        "replicate": np.array(replicates),
        "values": estimate(rows, analysed).T,
        "failed": np.array([trial.failed]),
        "overflow": np.array([trial.overflow]),
        **{f"effects.{k}": np.asarray(v) for k, v in trial.effects.items()},
        **curves(analysed, protocol),
        **tally(analysed, protocol),
    }
    for name, table in tables.items():
        keep = np.ones(len(table["replicate"]), bool) if keep_all else table["replicate"] == 0
        if keep_all or 0 in replicates:
            out |= {f"table.{name}.{c}": v[keep] for c, v in table.items()}
    return out


def _gather(parts: list[Arrays]) -> Arrays:
    """One array over all replicates for each name; a term that a chunk never saw counts as 0 there, and has no day."""
    names = dict.fromkeys(k for p in parts for k in p if not k.startswith(("table.", "recruits.")))
    out: Arrays = {}
    for k in names:
        shape = next(p[k].shape[1:] for p in parts if k in p)
        missing = np.nan if k.startswith(f"{DAY}|") else 0.0
        out[k] = np.concatenate([p.get(k, np.full((len(p["replicate"]), *shape), missing)) for p in parts])
    return out


def _tables(parts: list[Arrays], rows: list[Row], values: NDArray[np.float64]) -> dict[str, Table]:
    out: dict[str, Table] = {}
    names = dict.fromkeys(k.split(".")[1] for p in parts for k in p if k.startswith("table."))
    for name in names:
        prefix = f"table.{name}."
        found = [{k.removeprefix(prefix): v for k, v in p.items() if k.startswith(prefix)} for p in parts]
        table = concat([f for f in found if f])
        order = np.argsort(table["replicate"], kind="stable")
        out[name] = {k: v[order] for k, v in table.items()}
    n = values.shape[1]
    out["estimates"] = {
        "replicate": np.tile(np.arange(n), len(rows)),
        "estimate": np.repeat([r.key for r in rows], n),
        "value": values.ravel(),
    }
    return out


def as_json(p: Prediction) -> Mapping[str, Any]:
    """What ``--json`` prints: the run and its estimates; Table 1, harm, claims and other publications as context."""
    return {
        "run": p.run,
        "estimates": p.estimates,
        **{k: p.page[k] for k in ("baseline", "adverse_events", "claims", "beside")},
    }
