"""One simulated trial read out under every time-to-event definition side by side, with the truth beside them in MS.

The trial is conducted as `stemtrial run` would conduct it, with the same people and the same chance; only what is
measured is more, so that each definition finds its instruments.
"""

from __future__ import annotations

import functools
import importlib.metadata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.cohort.recruit import Recruits
from stemtrial.endpoint import ConfirmedChange, Definition, Events, FirstActivity, definitions, find, needs, readout
from stemtrial.endpoint.definition import worsening_of
from stemtrial.endpoint.readout import times_of
from stemtrial.errors import InputError, did_you_mean
from stemtrial.kernel import Kernel
from stemtrial.parameters import Draws
from stemtrial.predict.estimate import Analysed, Row, estimate
from stemtrial.predict.hypotheses import varies
from stemtrial.predict.obstacles import refuse
from stemtrial.predict.recruited import Recruiting, told_of, told_of_all
from stemtrial.predict.run import CHUNK, CHUNK_PATIENTS, Settings, plan_of, scaled
from stemtrial.predict.summary import interval_of, summarise
from stemtrial.predict.uncertainty import set_parts
from stemtrial.store import ChunkStore, content_hash, digest_tables, map_chunks, package_hash
from stemtrial.tables import Table, row_of, take
from stemtrial.therapy import compose
from stemtrial.trial.conduct import conduct
from stemtrial.trial.entry import families_of, planned_days
from stemtrial.trial.examine import CAUSES
from stemtrial.trial.parts import EndpointUse
from stemtrial.trial.protocol import Protocol
from stemtrial.trial.recruiting import recruit_for

ALL = "all"
"""All arms together."""
REFERENCES = {"ms": "confirmed_worsening.12_weeks", "als": "tracheostomy_free_survival"}
"""What the definitions of a disease are compared with where the primary endpoint is no time to an event."""
TRUTH_OF = "ms"
"""The disease whose definitions can be held against a truth: a lasting change of EDSS, and axons lost by cause.

In ALS events are deaths and stages that happen or do not; what a rating misses is told by `stemtrial estimands`.
"""
OBSERVED = {"events": ("count", "patients"), "probability": ("km_probability", "fraction"), "kappa": ("kappa", "1")}
"""What is told of each definition and arm: column of the readout -> (statistic, unit)."""
JUDGED = {
    "true_changes": ("true_changes", "patients"),
    "sensitivity": ("sensitivity", "fraction"),
    "predictive_value": ("predictive_value", "fraction"),
}
"""The same of definitions that can be held against the truth: confirmed changes of EDSS alone."""
SHARES = {f"share_{c}": (f"share_{c}", "fraction") for c in CAUSES}
"""The same of all confirmed changes: true axonal loss between reference and confirmation, by cause."""
_ROW = (
    "endpoint", "arm", "statistic", "unit", "median", "pi90", "interval", "sd", "n_replicates", "n_draws",
    "n_not_estimable", "labels",
)  # fmt: skip


@dataclass(frozen=True)
class Readout:
    """One trial under many definitions.

    Attributes
    ----------
    run : dict
        Identity, size, reference and digest.
    observed : list of dict
        A row for each definition, arm and statistic: ``standing`` (``observed``), ``endpoint, label, arm`` (or
        [treated, control]), ``statistic`` (``count`` of patients with an event, ``at_risk``: patients who could have
        one, ``km_probability`` at the end of follow-up, ``hazard_ratio``, ``kappa`` with the reference), ``unit,
        median, pi90`` over replicates, ``interval, sd, n_replicates, n_draws, n_not_estimable, labels``. Definitions
        by the probability in the control arm, falling.
    truth : list of dict
        The same with ``standing`` ``truth``, which no trial sees: ``true_changes, sensitivity, predictive_value`` and
        ``share_<cause>``.
    left_out : list of dict
        ``endpoint`` and ``reason`` of definitions that this trial cannot answer.
    """

    run: dict[str, Any]
    observed: list[dict[str, Any]]
    truth: list[dict[str, Any]]
    left_out: list[dict[str, str]]

    def as_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {"run": self.run, "observed": self.observed, "truth": self.truth, "left_out": self.left_out}


def measuring_all(protocol: Protocol) -> Protocol:
    """Return the protocol with every time-to-event definition among its endpoints, so that all of it is measured."""
    also = tuple(
        EndpointUse.model_validate({"id": name, "estimator": "median_time"}) for name in times_of(protocol.disease)
    )
    endpoints = protocol.endpoints.model_copy(update={"secondary": (*protocol.endpoints.secondary, *also)})
    return protocol.model_copy(update={"endpoints": endpoints})


def unanswerable(d: Definition, protocol: Protocol) -> str | None:
    """Say why a trial cannot answer a time-to-event definition by its schedule and its patients; None if it can."""
    v = protocol.visits
    scans = sum(m > 0 for m in v.mri_months)
    if needs(d).get("mri") and not scans:
        return "there is no scan after baseline"
    if isinstance(d, FirstActivity) and needs(d).get("mri") and scans < d.consecutive_scans:
        return f"it asks for {d.consecutive_scans} scans in a row"
    if d.id == "spms_conversion" and set(protocol.population.shares) <= {"spms", "ppms"}:
        return "everybody is progressive at entry"
    worsening = worsening_of(d) if isinstance(d, FirstActivity) else d
    if isinstance(worsening, ConfirmedChange):
        c = worsening
        if c.baseline_days is not None and v.near(c.baseline_days / 365.25) is None:
            return f"no visit lies near day {c.baseline_days}, its new baseline"
        days = planned_days(protocol)
        first = days[1] if len(days) > 1 and (c.scheduled_only or not v.at_relapse) else 0
        wait = c.confirmation_days - c.tolerance_days
        if days[-1] - first + 2 * v.window_days < wait and c.unconfirmed_at_end == "censored":
            return f"follow-up ends before a change could be confirmed after {wait} days"
    return None


def reference_of(protocol: Protocol, asked: str | None = None) -> str:
    """Return the definition that the others are compared with.

    Parameters
    ----------
    protocol : Protocol
        Its primary endpoint, if that is a time to an event, else that of :data:`REFERENCES`, unless ``asked``.
    asked : str, optional
        Endpoint id.

    Raises
    ------
    InputError
        If it is not known, is no time to an event, or cannot be answered in this trial.
    """
    times = times_of(protocol.disease)
    if asked is not None and asked not in times:
        kind = definitions()[asked].kind.replace("_", " ") if asked in definitions() else None
        what = f"is a {kind}; the reference is a time to an event" if kind else "is not known"
        raise InputError(f"--reference '{asked}' {what}{did_you_mean(asked, times)}")
    primary = protocol.endpoints.primary.id
    name = asked or (primary if primary in times else REFERENCES[protocol.disease])
    why = unanswerable(find(name), protocol)
    if why is not None:
        raise InputError(f"the reference '{name}' cannot be read out here: {why}; name another with --reference")
    return name


def truth_kernel(protocol: Protocol, width: int = 64) -> Kernel:
    """Return the kernel of a protocol that also keeps axonal loss apart by cause, where definitions have a truth."""
    return compose(protocol.disease, families_of(protocol), width=width, truth=protocol.disease == TRUTH_OF)


def rows_of_readout(protocol: Protocol, ids: Sequence[str]) -> tuple[list[Row], list[Row]]:
    """Return what is estimated, observed and true; ``estimator`` names the column of the readout, or ``cox``."""
    arms = [*protocol.arms, *([ALL] if len(protocol.arms) > 1 else [])]
    pairs = [(arm, protocol.control) for arm in protocol.arms if arm != protocol.control]
    observed: list[Row] = []
    truth: list[Row] = []
    for name in ids:
        d = find(name)
        observed += [Row(name, c, arm, None, s, unit, None) for arm in arms for c, (s, unit) in OBSERVED.items()]
        observed += [Row(name, "at_risk", arm, None, "at_risk", "patients", None) for arm in arms]
        observed += [Row(name, "cox", pair, None, "hazard_ratio", "1", None) for pair in pairs]
        if isinstance(d, ConfirmedChange) and protocol.disease == TRUTH_OF:
            told = (JUDGED if d.measures == ("edss",) else {}) | SHARES
            truth += [Row(name, c, arm, None, s, unit, None) for arm in arms for c, (s, unit) in told.items()]
    return observed, truth


def read_tables(
    tables: dict[str, Table], protocol: Protocol, ids: Sequence[str], rows: Sequence[Row], reference: str
) -> NDArray[np.float64]:
    """Read the tables of a conducted trial out, truth included where there is one.

    Who was randomised and is not in the protocol's analysis set is left out.

    Returns
    -------
    ndarray of float, shape (replicates, rows)
        NaN where a replicate has no value.
    """
    observed = {name: t for name, t in tables.items() if name != "truth_visits"}
    a = Analysed(observed, protocol)
    kept, size = a.kept.ravel(), a.arm.shape[1]

    def analysed(t: Table) -> Table:
        return take(t, kept[row_of(t, a.replicates, size)])

    found = readout(
        {name: analysed(t) for name, t in observed.items()}, planned_days(protocol), ids,
        reference=reference, truth_visits=analysed(tables["truth_visits"]) if "truth_visits" in tables else None,
    )  # fmt: skip
    keys = zip(found["replicate"].tolist(), found["endpoint"].tolist(), found["arm"].tolist(), strict=True)
    at = {key: k for k, key in enumerate(keys)}
    out = np.full((len(a.replicates), len(rows)), np.nan)
    for j, row in enumerate(rows):
        if row.estimator == "cox":
            out[:, j] = estimate([row], a)[0]
            continue
        if row.estimator == "at_risk":
            out[:, j] = _at_risk(a, row)
            continue
        for i, r in enumerate(a.replicates.tolist()):
            k = at.get((r, row.endpoint, row.arm))
            if k is not None:
                out[i, j] = found[row.estimator][k]
    return out


def _at_risk(a: Analysed, row: Row) -> NDArray[np.float64]:
    """Patients of the analysis set whom a definition follows at all: who cannot have an event is censored at 0."""
    e = a.derive(row.endpoint)
    assert isinstance(e, Events)
    mine = a.kept if row.arm == ALL else a.of(str(row.arm))
    return np.asarray((mine & (a.square(e.time_years) > 0)).sum(1), np.float64)


def read_out(
    protocol: Protocol, settings: Settings | None = None, draws: Draws | None = None, *, reference: str | None = None,
    folder: Path | None = None, runs: Path = Path("runs"), progress: Callable[[str, float], None] | None = None,
    command: str = "",
) -> Readout:  # fmt: skip
    """Conduct a trial and read it out under every time-to-event definition that it can answer.

    Parameters
    ----------
    protocol : Protocol
        From :func:`stemtrial.trial.protocol.load_protocol`.
    settings : Settings, optional
        Size and seed. Replicate k has the people and the chance of replicate k of :func:`stemtrial.predict.predict`.
    draws : Draws, optional
        Replicate k uses draw k mod n; those of the settings when left out, the posterior where one is shipped.
    reference : str, optional
        See :func:`reference_of`.
    folder, runs : Path
        Where finished chunks are kept, so that an interrupted call goes on; default
        ``<runs>/readout-<protocol>-<id12>``.
    progress : callable, optional
        Called with a stage and the fraction done.
    command : str
        The command line, for the record.

    Returns
    -------
    Readout

    Raises
    ------
    InputError
        If the protocol cannot be run, nobody is eligible, or the reference does not fit.
    """
    s = settings or Settings()
    if s.replicates < 1:
        raise InputError(f"--replicates {s.replicates} is not positive; use 1 or more")
    told = progress or (lambda stage, fraction: None)
    refuse(protocol)
    compared = reference_of(protocol, reference)
    protocol = measuring_all(scaled(protocol, s.patients))
    times = [find(name) for name in times_of(protocol.disease)]
    why = {d.id: unanswerable(d, protocol) for d in times}
    ids = [name for name, reason in why.items() if reason is None]
    observed, truth = rows_of_readout(protocol, ids)
    d = draws or s.parameters()
    plain, kernel = compose(protocol.disease, families_of(protocol), width=s.width), truth_kernel(protocol, s.width)
    identity = {
        "readout": protocol.identity(),
        "reference": compared,
        "kernel": kernel.identity,
        "draws": d.identity,
        "seed": s.seed,
        "replicates": s.replicates,
        "version": importlib.metadata.version("stemtrial"),
        "code": package_hash("trial", "therapy", "observe", "endpoint", "analysis", "cohort", "predict"),
    }
    run_id = content_hash(identity)
    target = folder or runs / f"readout-{protocol.protocol}-{run_id[:12]}"
    size = sum(a.n for a in protocol.arms.values())
    chunk = s.chunk or max(1, min(CHUNK, CHUNK_PATIENTS // size, -(-s.replicates // s.threads)))
    plan, used = plan_of(s.replicates, len(d), chunk), min(len(d), s.replicates)

    def look(k: int, alone: bool) -> Recruits:
        # the people of `run`: recruited without the truth, so that loss by cause counts from randomisation
        threads, tell = (s.threads, told) if alone or used < s.threads else (1, None)
        return recruit_for(protocol, plain, d, k, threads=threads, progress=tell, over=used, keep=used == 1)

    recruits = Recruiting(look, Counter(draw for draw, _ in plan))
    told("recruiting", 0.0)
    recruits.first()

    def compute(i: int) -> dict[str, NDArray[Any]]:
        draw, replicates = plan[i]
        people, known = recruits.of(draw), protocol.disease == TRUTH_OF
        trial = conduct(protocol, people, kernel, d[draw], s.seed, replicates=replicates, truth=known)
        values = read_tables(trial.tables, protocol, ids, [*observed, *truth], compared)
        recruits.done(draw)
        told_here = {"failed": np.array([trial.failed]), "overflow": np.array([trial.overflow])}
        drawn = {f"effects.{k}": np.asarray(v) for k, v in trial.effects.items()}
        return {"values": values, **told_here, **drawn, **told_of(people)}

    store = ChunkStore(target / "chunks", f"{run_id}:{chunk}")
    done = functools.partial(_share_done, told, len(plan))
    parts = [a for _, a in map_chunks(store, range(len(plan)), compute, s.threads, done)]
    order = np.argsort(np.concatenate([replicates for _, replicates in plan]), kind="stable")
    values = np.concatenate([p["values"] for p in parts])[order]
    effects = {k: np.concatenate([p[k] for p in parts])[order] for k in parts[0] if k.startswith("effects.")}
    drawn = {k: effects[f"effects.{k}"] for k in varies({k.removeprefix("effects."): v for k, v in effects.items()})}
    run = {
        "id": run_id,
        "protocol": protocol.protocol,
        "title": protocol.title,
        "reproduces": protocol.reproduces,
        "reference": compared,
        "patients_per_arm": {k: a.n for k, a in protocol.arms.items()},
        "control": protocol.control,
        "replicates": s.replicates,
        "seed": s.seed,
        "follow_up_years": protocol.follow_up_days / 365.25,
        "draws": used,
        "draws_label": d.label,
        "interval": interval_of(used, bool(drawn)),
        "labels": d.labels,
        "distinct_recruits": told_of_all(parts, plan)["distinct_recruits"],
        "failed_patients": sum(int(p["failed"].sum()) for p in parts),
        "events_overflowed": sum(int(p["overflow"].sum()) for p in parts),
        "digest": digest_tables({"readout": {row.key: values[:, k] for k, row in enumerate([*observed, *truth])}}),
        "command": command,
        "folder": str(target),
    }
    made = functools.partial(_rows, drawn=drawn, used=used, labels=d.labels)
    seen = made("observed", observed, values[:, : len(observed)])
    true = made("truth", truth, values[:, len(observed) :])
    rank = {
        r["endpoint"]: r["median"] if r["median"] is not None else -1.0
        for r in seen
        if r["arm"] == protocol.control and r["statistic"] == "km_probability"
    }
    for rows in (seen, true):
        rows.sort(key=lambda r: (-rank[r["endpoint"]], r["endpoint"]))
    left = [{"endpoint": name, "reason": reason} for name, reason in why.items() if reason is not None]
    return Readout(run, seen, true, left)


def _share_done(told: Callable[[str, float], None], chunks: int, n: int) -> None:
    told("simulating", n / chunks)


def _rows(
    standing: str, rows: list[Row], values: NDArray[np.float64], *, drawn: dict[str, NDArray[Any]], used: int,
    labels: list[str],
) -> list[dict[str, Any]]:  # fmt: skip
    """Median and 90 % interval over replicates of each row."""
    made = summarise(
        rows, values.T, None, n_draws=used, trial_effects=bool(drawn), labels=[labels] * len(rows), scored=False
    )
    set_parts(made, values.T, drawn, used)
    return [{"standing": standing, "label": find(r["endpoint"]).label} | {k: r[k] for k in _ROW} for r in made]
