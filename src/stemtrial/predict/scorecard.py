"""The scorecard: every packaged protocol that reproduces a study, run or read back, beside what was published."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from stemtrial.errors import InputError
from stemtrial.evidence import Outcome, Study, studies, term_of
from stemtrial.evidence.schema import VALUELESS_STATISTICS
from stemtrial.predict.estimate import STATISTICS
from stemtrial.predict.families import families, families_of, families_of_study, families_of_therapies
from stemtrial.predict.labels import arm_labels, spoken_arm
from stemtrial.predict.misses import why
from stemtrial.predict.obstacles import refuse
from stemtrial.predict.page import DISCLAIMER
from stemtrial.predict.rows import POOLED
from stemtrial.predict.run import Settings, predict, run_id_of
from stemtrial.predict.score import Row, Z, coverages, declare, family_of, order
from stemtrial.predict.summary import interval_of
from stemtrial.trial.protocol import Protocol, load_protocol, protocol_names
from stemtrial.trial.source import load_yaml

_GIVEN = frozenset(s for s in STATISTICS.values()) | {"count", "mean_change", "median_change", "relative_change"}
Told = Callable[[str, int, int], Callable[[str, float], None]]


@dataclass(frozen=True)
class Entry:
    """One protocol of the scorecard: its name, the study it reproduces, and either what is run or why it is not."""

    name: str
    study: str
    protocol: Protocol | None
    reason: str | None


def entries(
    family: str | None = None, blind: bool = False, names: Sequence[str] | None = None, disease: str = "ms"
) -> list[Entry]:
    """Return the protocols that a scorecard covers, those that cannot be run among them.

    Parameters
    ----------
    family : str, optional
        Only protocols with such a therapy, of :data:`~stemtrial.predict.families.FAMILIES`; all when left out.
    blind : bool
        Only protocols of sealed studies.
    names : sequence of str, optional
        Protocols by name or path; all packaged ones when left out.
    disease : {"ms", "als"}
        Only protocols of studies of that disease.

    Raises
    ------
    InputError
        If the disease or the family is unknown.
    """
    families(disease, family)
    out = []
    for name in protocol_names() if names is None else names:
        try:
            protocol = load_protocol(name)
            refuse(protocol)
        except InputError as e:
            said = _said(name)
            if said["study"] and (family is None or family in said["families"]):
                out.append(Entry(name, said["study"], None, str(e).replace(f"{_file(name).parent}/", "")))
            continue
        if protocol.reproduces and (family is None or family in families_of(protocol)):
            out.append(Entry(protocol.protocol, protocol.reproduces, protocol, None))
    known = studies()
    of_disease = [e for e in out if e.study in known and known[e.study].disease == disease]
    return [e for e in of_disease if not blind or known[e.study].role == "sealed"]


def _said(name: str) -> dict[str, Any]:
    """What a protocol that is refused says of itself: its study and families, as far as the file can be read."""
    try:
        data, _ = load_yaml(_file(name))
        given = {str(e["therapy"]) for arm in data["arms"].values() for e in arm["regimen"]}
        return {"study": data.get("reproduces"), "families": families_of_therapies(given)}
    except (InputError, KeyError, TypeError, AttributeError):
        return {"study": None, "families": set()}


def _file(name: str) -> Path:
    packaged = Path(str(files("stemtrial.trial"))) / "protocols" / f"{name}.yaml"
    return packaged if packaged.exists() else Path(name)


def scorecard(
    settings: Settings, folder: Path, *, disease: str = "ms", family: str | None = None, blind: bool = False,
    names: Sequence[str] | None = None, told: Told | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Predict every study that has a protocol, and score the predictions that have a published value.

    Each protocol has a run folder below ``folder``. A finished run is read back by its identity, a killed one goes on;
    a protocol that is refused or fails is told under ``not_run``, and the others go on.

    Parameters
    ----------
    settings : Settings
        Replicates, seed, threads; ``patients`` must be None, as only trials of the published size are scored.
    folder : Path
        Where the runs lie.
    disease, family, blind, names
        As in :func:`entries`.
    told : callable, optional
        Called with (protocol, its number, how many); gives the function that is told the progress of that run.

    Returns
    -------
    dict
        Plain data: ``settings``, ``z`` (its definition), ``coverage`` (:func:`~stemtrial.predict.score.coverages`),
        ``rows`` (rows of ``estimates.json`` that predict a published outcome, with ``protocol, therapies, role, cohort,
        family, term, headline, why_not, weight, inside50, inside90, why``; misses first), ``not_predicted`` (``study,
        outcome_id, endpoint, statistic, reason``), ``not_run`` (``protocol, study, reason, fault``), ``protocols``.
    """
    if settings.patients is not None:
        raise InputError("a scorecard runs trials of the published size; leave the number of patients out")
    found = entries(family, blind, names, disease)
    known = studies()
    rows: list[Row] = []
    ran: list[dict[str, Any]] = []
    not_run: list[dict[str, Any]] = []
    for k, e in enumerate(found):
        if e.protocol is None:
            not_run.append({"protocol": e.name, "study": e.study, "reason": e.reason, "fault": False})
            continue
        try:
            run, estimates = _result(e.protocol, settings, folder, told(e.name, k + 1, len(found)) if told else None)
        except (OSError, MemoryError):
            raise  # the machine's fault, not the protocol's
        except Exception as error:  # one protocol must not cost the results of the others; it is told as a fault
            fault = not isinstance(error, InputError)
            reason = f"{type(error).__name__}: {error}" if fault else str(error)
            not_run.append({"protocol": e.name, "study": e.study, "reason": reason, "fault": fault})
            continue
        ran.append(
            {"protocol": e.name, "study": e.study, "role": known[e.study].role}
            | {k: run[k] for k in ("id", "digest", "patients_per_arm", "labels", "seconds", "recruit_warning")}
        )
        rows += _rows(e, known[e.study], estimates)
    rows = _once(rows)
    declare(rows, known)
    rows.sort(key=order)
    for row in rows:
        row["why"] = why(row, disease, row["therapies"]) if row["agrees"] is False else None
    return {
        "settings": {
            "disease": disease, "family": family, "blind": blind, "replicates": settings.replicates,
            "seed": settings.seed, "draws": 1,
            "interval": interval_of(1, any("trial_effects" in r["interval"] for r in rows)),
        },
        "z": Z,
        "coverage": coverages(rows),
        "rows": rows,
        "not_predicted": _not_predicted(found, rows, not_run, disease, family, blind),
        "not_run": not_run,
        "protocols": ran,
        "disclaimer": DISCLAIMER,
    }  # fmt: skip


def _result(
    protocol: Protocol, settings: Settings, folder: Path, progress: Callable[[str, float], None] | None
) -> tuple[Mapping[str, Any], list[Row]]:
    """Return ``run.json`` and ``estimates.json``, of a finished run as they are, else of a run now."""
    run_id = run_id_of(protocol, settings)
    place = folder / f"{protocol.protocol}-{run_id[:12]}"
    try:
        run = json.loads((place / "run.json").read_text())
        if run.get("id") == run_id:  # written last: the folder is whole
            return run, json.loads((place / "estimates.json").read_text())
    except (OSError, ValueError):
        pass
    command = f"stemtrial run {protocol.protocol} --replicates {settings.replicates} --seed {settings.seed}"
    made = predict(protocol, settings, folder=place, progress=progress, command=command)
    return made.run, made.estimates


def _rows(e: Entry, study: Study, estimates: list[Row]) -> list[Row]:
    """Return the estimates that predict an outcome, with what the scorecard adds."""
    outcomes = {o.outcome_id: o for o in study.outcomes}
    out = []
    for row in estimates:
        if not row["outcome_id"]:
            continue
        o = outcomes[row["outcome_id"]]
        out.append(
            {
                "role": o.role,
                "cohort": study.cohort or study.id,
                "family": family_of(o),
                "term": term_of(o.endpoint).id,
                "protocol": e.name,
                "therapies": sorted(families_of(e.protocol)) if e.protocol else [],
                "arms": _labels(e.protocol, row["arm"]),
                **row,
                "inside50": _inside(row, "pi50"),
                "inside90": row["agrees"],
            }
        )
    return out


def _labels(protocol: Protocol | None, arm: Any) -> str:
    """Who a row is about, in words that stand without the protocol."""
    if arm == POOLED:
        return POOLED
    names = [arm] if isinstance(arm, str) else arm
    told = list(names) if protocol is None else [spoken_arm(protocol, a) for a in names]
    if protocol is not None and len(set(told)) < len(told):  # both get it, one of them later or in another dose
        told = [arm_labels(protocol)[a] for a in names]
    return " vs ".join(told)


def _inside(row: Row, interval: str) -> bool | None:
    if row["agrees"] is None:
        return None
    low, high = (float("inf") if v is None else v for v in row[interval])  # None: not reached, or an infinite ratio
    return bool(low <= row["published"]["value"] <= high)


def _once(rows: list[Row]) -> list[Row]:
    """Keep the first prediction of an outcome that two protocols of one study predict."""
    out: dict[str, Row] = {}
    for row in rows:
        out.setdefault(row["outcome_id"], row)
    return list(out.values())


def _not_predicted(
    found: Sequence[Entry], rows: Sequence[Row], not_run: Sequence[Mapping[str, Any]], disease: str,
    family: str | None, blind: bool,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return the published outcomes of studies with a role that no row predicts, and why."""
    done = {r["outcome_id"] for r in rows}
    of_study: dict[str, list[str]] = {}
    for e in found:
        of_study.setdefault(e.study, []).append(e.name)
    refused = {n["protocol"] for n in not_run}
    roles: set[Literal["fit", "test", "sealed", "context"]] = {"sealed"} if blind else {"fit", "test", "sealed"}
    out = []
    for study in studies().values():
        named = of_study.get(study.id, [])
        folders = families(disease).values()
        asked = study.family in folders if family is None else family in families_of_study(study)
        if not named and (study.disease != disease or not asked or study.role not in roles):
            continue
        for o in study.outcomes:
            if o.outcome_id not in done:
                out.append(
                    {
                        "study": study.id,
                        "outcome_id": o.outcome_id,
                        "endpoint": o.endpoint,
                        "statistic": o.statistic,
                        "reason": _reason(o, named, refused),
                    }
                )
    return out


def _reason(o: Outcome, protocols: Sequence[str], refused: set[Any]) -> str:
    if not protocols:
        return "no protocol"
    if set(protocols) <= refused:
        return "protocol not run"
    if o.statistic in VALUELESS_STATISTICS:
        return "carries no number"
    if o.time_years == 0:
        return "baseline: context, in Table 1 of the run"
    if o.statistic not in _GIVEN:
        return f"no estimator gives a {o.statistic}"
    return "no endpoint of its protocol predicts it"
