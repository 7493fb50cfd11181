"""The scorecard: every packaged protocol that reproduces a study, and natural history, beside what was published."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from stemtrial.cohort.recruit import Held
from stemtrial.errors import InputError
from stemtrial.evidence import Outcome, Study, studies, term_of
from stemtrial.parameters import Draws
from stemtrial.predict.entered import Entry, entries
from stemtrial.predict.expressible import why_not
from stemtrial.predict.families import FAMILIES, families_of, families_of_study
from stemtrial.predict.labels import arm_labels, spoken_arm
from stemtrial.predict.lanes import NATURAL, Choice, lane_of, phenotype_of
from stemtrial.predict.misses import why
from stemtrial.predict.natural_history import quantities
from stemtrial.predict.natural_rows import natural_rows
from stemtrial.predict.natural_rows import phenotype_of as phenotype_of_people
from stemtrial.predict.page import DISCLAIMER
from stemtrial.predict.rows import POOLED
from stemtrial.predict.run import Settings, predict, run_id_of
from stemtrial.predict.score import Row, Z, coverages, declare, family_of, order, verdicts
from stemtrial.predict.scored import groups, joint_ranks, score
from stemtrial.predict.summary import interval_of
from stemtrial.trial.protocol import Protocol

Floats = NDArray[np.float64]
Told = Callable[[str, int, int], Callable[[str, float], None]]
MOST_COHORTS = 200
"""Registries that are simulated at the most; draws beyond are left out of natural history."""
MOST_PEOPLE = 600
"""People of one kind and year of onset of a registry at the most. Beyond some hundreds, registries differ from each
other by far more than their numbers explain, and twice as many people cost twice the time."""


@dataclass(frozen=True)
class Predicted:
    """Everything that was predicted.

    Attributes
    ----------
    entries : list of Entry
        Protocols that were asked for.
    rows : list of dict
        Predictions of published outcomes, once each, as of ``estimates.json`` with ``role, cohort, family, term, lane,
        phenotype, protocol, therapies, arms, inside50, inside90``.
    free : list of dict
        Predictions of what nobody has published, of the protocols that were run.
    values : dict of str to ndarray
        By outcome: one value a replicate.
    ran, not_run : list of dict
        Protocols, and those that were refused or failed.
    """

    entries: list[Entry]
    rows: list[Row]
    free: list[Row]
    values: dict[str, Floats]
    ran: list[dict[str, Any]]
    not_run: list[dict[str, Any]]


def predict_all(
    settings: Settings, folder: Path, choice: Choice, draws: Draws, *, blind: bool = False, every: bool = False,
    names: Sequence[str] | None = None, natural: bool = True, told: Told | None = None,
) -> Predicted:  # fmt: skip
    """Run every protocol of a scorecard and natural history, or read them back; arguments as :func:`scorecard`.

    What a trial shows beside itself without its effects is no prediction of anything published, and is left out.
    """
    settings, held = dataclasses.replace(settings, beside=False), Held()
    found = entries(choice, blind=blind, every=every, names=names)
    known = studies()
    of_nature = choice.diseases if natural and choice.natural else ()
    todo = [e for e in found if e.protocol is not None and e.skipped is None]
    out = Predicted(found, [], [], {}, [], [])
    for e in found:
        if e.protocol is None:
            out.not_run.append({"protocol": e.name, "study": e.study, "reason": e.reason, "fault": False})
    steps = len(todo) + len(of_nature)
    for k, e in enumerate(todo):
        assert e.protocol is not None
        try:
            run, estimates, values = _result(
                e.protocol, settings, draws, folder, held, told(e.name, k + 1, steps) if told else None
            )
        except (OSError, MemoryError):
            raise  # the machine's fault, not the protocol's
        except Exception as error:  # one protocol must not cost the results of the others; it is told as a fault
            fault = not isinstance(error, InputError)
            reason = f"{type(error).__name__}: {error}" if fault else str(error)
            out.not_run.append({"protocol": e.name, "study": e.study, "reason": reason, "fault": fault})
            continue
        out.ran.append(
            {"protocol": e.name, "study": e.study, "role": known[e.study].role}
            | {k: run[k] for k in ("id", "digest", "patients_per_arm", "labels", "seconds", "recruit_warning")}
        )
        _take(out, e.protocol, e.planned, known[e.study], estimates, values)
    for k, disease in enumerate(of_nature):
        cohorts = min(settings.replicates, max(len(draws), 25), MOST_COHORTS)
        _, rows, values = natural_rows(
            disease, draws, replicates=cohorts, seed=settings.seed, folder=folder, every=every,
            people=MOST_PEOPLE, threads=settings.threads,
            progress=told(f"natural history, {disease}", len(todo) + k + 1, steps) if told else None,
        )  # fmt: skip
        _take_natural(out, disease, rows, values, blind)
    return out


def scorecard(
    settings: Settings, folder: Path, *, disease: str = "all", family: str | None = None, every: bool = False,
    names: Sequence[str] | None = None, natural: bool | None = None, draws: Draws | None = None,
    told: Told | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Predict every study that has a protocol, and score the predictions that have a published value.

    Each protocol has a run folder below ``folder``. A finished run is read back by its identity, a killed one goes on;
    a protocol that is refused or fails is told under ``not_run``, and the others go on.

    Parameters
    ----------
    settings : Settings
        Replicates, draws, seed, threads; ``patients`` must be None, as only trials of the published size are scored.
    folder : Path
        Where the runs lie.
    disease : {"all", "ms", "als"}
        Whose studies.
    family : str, optional
        A lane or a family of therapies, as :class:`~stemtrial.predict.lanes.Choice`; everything when left out.
    every : bool
        Also run what nobody reads: protocols whose outcomes another one predicts, and context.
    names : sequence of str, optional
        Protocols by name or path; all packaged ones when left out.
    natural : bool, optional
        Whether natural history is predicted; when left out, if all protocols are.
    draws : Draws, optional
        Parameters; those of the settings when left out.
    told : callable, optional
        Called with (protocol, its number, how many); gives the function that is told the progress of that run.

    Returns
    -------
    dict
        Plain data: ``settings``, ``z`` (its definition), ``verdicts`` (of the roles test and fit:
        :func:`~stemtrial.predict.score.verdicts`), ``coverage`` (:func:`~stemtrial.predict.score.coverages`),
        ``groups`` (:func:`~stemtrial.predict.scored.groups`), ``joint``
        (:func:`~stemtrial.predict.scored.joint_ranks`), ``rows`` (of :class:`Predicted`, with ``headline, why_not,
        weight, why`` and the scores ``pit, crps, interval_score, crps_meta, crps_no_change``; misses first),
        ``not_predicted`` (``study, outcome_id, endpoint, statistic, reason``), ``not_run`` (``protocol, study, reason,
        fault``), ``skipped`` (``protocol, study, reason``), ``protocols``.
    """
    if settings.patients is not None:
        raise InputError("a scorecard runs trials of the published size; leave the number of patients out")
    choice, known = Choice(disease, family), studies()
    draws = draws or settings.parameters()
    wanted = names is None if natural is None else natural
    p = predict_all(settings, folder, choice, draws, every=every, names=names, natural=wanted, told=told)
    rows = p.rows
    declare([r for r in rows if not r["unlike"]], known)
    for row in rows:
        if row["unlike"]:
            row |= {"headline": False, "why_not": f"not like for like: {row['unlike']}", "weight": 0.0}
    _score(rows, p.values, known)
    rows.sort(key=order)
    for row in rows:
        row["why"] = why(row, known[row["study"]].disease, row["therapies"]) if row["agrees"] is False else None
    joint = joint_ranks(rows, p.values)
    used = min(len(draws), settings.replicates)
    return {
        "settings": {
            "disease": disease, "family": family, "every": every, "blind": False, "replicates": settings.replicates,
            "seed": settings.seed, "draws": used, "draws_label": draws.label, "draws_id": draws.identity,
            "labels": draws.labels,
            "interval": interval_of(used, any("trial_effects" in r["interval"] for r in rows)),
        },
        "z": Z,
        "verdicts": {role: verdicts(rows, role) for role in ("test", "fit")},
        "coverage": coverages(rows),
        "groups": groups(rows, joint),
        "joint": joint,
        "rows": rows,
        "not_predicted": not_predicted(p, choice),
        "not_run": p.not_run,
        "skipped": [{"protocol": e.name, "study": e.study, "reason": e.skipped} for e in p.entries if e.skipped],
        "protocols": p.ran,
        "disclaimer": DISCLAIMER,
    }  # fmt: skip


def _score(rows: Sequence[Row], values: Mapping[str, Floats], known: Mapping[str, Study]) -> None:
    outcomes = {o.outcome_id: o for s in {r["study"] for r in rows} for o in known[s].outcomes}
    for row in rows:
        o = outcomes[row["outcome_id"]]
        score(row, values[row["outcome_id"]], o, known[row["study"]])


def _result(
    protocol: Protocol, settings: Settings, draws: Draws, folder: Path, held: Held,
    progress: Callable[[str, float], None] | None,
) -> tuple[Mapping[str, Any], list[Row], Floats]:  # fmt: skip
    """Return ``run.json``, ``estimates.json`` and a value an estimate and replicate, of a finished run or a run now."""
    run_id = run_id_of(protocol, settings, draws)
    place = folder / f"{protocol.protocol}-{run_id[:12]}"
    try:
        run = json.loads((place / "run.json").read_text())
        if run.get("id") == run_id:  # written last: the folder is whole
            estimates = json.loads((place / "estimates.json").read_text())
            return run, estimates, _values(place, len(estimates))
    except (OSError, ValueError):
        pass
    parameters = " --point" if draws.label == "point" else f" --draws {min(len(draws), settings.replicates)}"
    size = f"--replicates {settings.replicates}{parameters} --seed {settings.seed}"
    command = f"stemtrial run {protocol.protocol} {size}"
    made = predict(protocol, settings, draws, folder=place, progress=progress, command=command, held=held)
    return made.run, made.estimates, _values(place, len(made.estimates))


def _values(place: Path, rows: int) -> Floats:
    """Values of a run, shape (rows, replicates), in the order of its estimates."""
    path = str(place / "tables" / "estimates.parquet").replace("'", "''")
    with duckdb.connect(config={"threads": 1}) as con:
        got = con.execute(f"select value from read_parquet('{path}', file_row_number = true) order by file_row_number")
        return np.asarray(got.fetchnumpy()["value"], float).reshape(rows, -1)


def _take(
    out: Predicted, protocol: Protocol, planned: Mapping[str, int], study: Study, estimates: list[Row], values: Floats
) -> None:
    """Take the estimates of a run: those that predict an outcome that no earlier one predicts, and the others."""
    outcomes = {o.outcome_id: o for o in study.outcomes}
    therapies = sorted(families_of(protocol))
    about = {
        "lane": lane_of(protocol.disease, therapies),
        "phenotype": phenotype_of(protocol),
        "protocol": protocol.protocol,
        "therapies": therapies,
        "unlike": "",
    }
    fewer = {a: n for a, n in planned.items() if protocol.arms[a].n < n}
    for row, x in zip(estimates, values, strict=True):
        named = [row["arm"]] if isinstance(row["arm"], str) else row["arm"]
        small = [f"sampling_of_{fewer[a]}" for a in named if a in fewer]
        told = about | {"arms": labels_of_arms(protocol, row["arm"]), "labels": [*row["labels"], *dict.fromkeys(small)]}
        o = outcomes.get(row["outcome_id"] or "")
        if o is None:
            out.free.append(row | told)
        elif o.outcome_id not in out.values:
            out.values[o.outcome_id] = x
            out.rows.append(_row(row, o, study) | told)


def _take_natural(out: Predicted, disease: str, rows: list[Row], values: Floats, blind: bool) -> None:
    known, asked = studies(), quantities(disease)
    for row, x in zip(rows, values, strict=True):
        study = known[row["study"]]
        o = next(o for o in study.outcomes if o.outcome_id == row["outcome_id"])
        if o.outcome_id in out.values or (blind and o.role != "sealed"):
            continue
        out.values[o.outcome_id] = x
        about = {
            "lane": NATURAL, "phenotype": phenotype_of_people(asked[row["quantity"]]), "protocol": "",
            "therapies": [], "arms": row["label"],
        }  # fmt: skip
        out.rows.append(_row(row, o, study) | about)


def _row(row: Row, o: Outcome, study: Study) -> Row:
    """A prediction of an outcome with what the scorecard adds."""
    return {
        "role": o.role,
        "cohort": study.cohort or study.id,
        "family": family_of(o),
        "term": term_of(o.endpoint).id,
        **row,
        "inside50": _inside(row, "pi50"),
        "inside90": row["agrees"],
    }


def labels_of_arms(protocol: Protocol, arm: Any) -> str:
    """Who a row is about, in words that stand without the protocol."""
    if arm == POOLED:
        return POOLED
    names = [arm] if isinstance(arm, str) else arm
    told = [spoken_arm(protocol, a) for a in names]
    if len(set(told)) < len(told):  # both get it, one of them later or in another dose
        told = [arm_labels(protocol)[a] for a in names]
    return " vs ".join(told)


def _inside(row: Row, interval: str) -> bool | None:
    if row["agrees"] is None:
        return None
    low, high = (float("inf") if v is None else v for v in row[interval])  # None: not reached, or an infinite ratio
    return bool(low <= row["published"]["value"] <= high)


def not_predicted(p: Predicted, choice: Choice, roles: Sequence[str] = ("fit", "test", "sealed")) -> list[Row]:
    """Return the published outcomes of studies with a role that no row predicts, and why."""
    done = {r["outcome_id"] for r in p.rows}
    of_study: dict[str, list[Entry]] = {}
    for e in p.entries:
        of_study.setdefault(e.study, []).append(e)
    refused = {n["protocol"] for n in p.not_run}
    out = []
    for study in studies().values():
        named = of_study.get(study.id, [])
        of_disease = families_of_study(study) if study.family in FAMILIES[study.disease].values() else set()
        nature = study.kind in ("natural_history", "registry", "cohort") and choice.natural
        asked = choice.takes(study.disease, of_disease) or (nature and study.disease in choice.diseases)
        if study.role not in roles or not (named or asked):
            continue
        run = [e.protocol for e in named if e.protocol is not None and e.name not in refused]
        for o in study.outcomes:
            if o.outcome_id not in done:
                out.append(
                    {
                        "study": study.id,
                        "outcome_id": o.outcome_id,
                        "endpoint": o.endpoint,
                        "statistic": o.statistic,
                        "reason": "protocol not run" if named and not run else why_not(o, run),
                    }
                )
    return out
