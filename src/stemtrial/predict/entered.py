"""Which protocols a scorecard runs: those that predict a published outcome which no earlier one predicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from stemtrial.errors import InputError
from stemtrial.evidence import Study, studies, term_of
from stemtrial.predict.families import families_of, families_of_therapies
from stemtrial.predict.lanes import Choice
from stemtrial.predict.obstacles import refuse
from stemtrial.predict.rows import rows_of
from stemtrial.predict.score import NOT_AN_OUTCOME
from stemtrial.trial.protocol import Protocol, load_protocol, protocol_names
from stemtrial.trial.source import load_yaml

MOST_PATIENTS = 2000
"""Patients of an arm at the most: a registry with more is predicted as one of so many."""


@dataclass(frozen=True)
class Entry:
    """One protocol of the scorecard.

    Attributes
    ----------
    name, study : str
        Protocol, and the study that it reproduces.
    protocol : Protocol or None
        What is run; None where it is refused.
    reason : str or None
        Why it is refused.
    skipped : str or None
        Why it is not run although it could be: nobody would read what it predicts.
    planned : mapping
        Patients of each arm as published; of the protocol :data:`MOST_PATIENTS` at the most.
    """

    name: str
    study: str
    protocol: Protocol | None
    reason: str | None = None
    skipped: str | None = None
    planned: Mapping[str, int] = field(default_factory=dict)


def capped(protocol: Protocol, most: int = MOST_PATIENTS) -> Protocol:
    """Return the protocol with at most so many patients in an arm."""
    if all(a.n <= most for a in protocol.arms.values()):
        return protocol
    arms = {k: a if a.n <= most else a.model_copy(update={"n": most}) for k, a in protocol.arms.items()}
    kept = {k: min(v, arms[k].n) for k, v in protocol.analysis_set.items()}
    return protocol.model_copy(update={"arms": arms, "analysis_set": kept})


def without_results(study: Study) -> bool:
    """Whether nothing has been published of a trial but how it is made."""
    return study.role == "context" and all(term_of(o.endpoint).family in NOT_AN_OUTCOME for o in study.outcomes)


def entries(
    choice: Choice | None = None, *, blind: bool = False, every: bool = False, names: Sequence[str] | None = None
) -> list[Entry]:
    """Return the protocols that a scorecard covers, those that cannot be run and those that are skipped among them.

    Parameters
    ----------
    choice : Choice, optional
        Which lane or family; everything when left out.
    blind : bool
        Only protocols of sealed studies, and of trials without results (:func:`without_results`).
    every : bool
        Skip none.
    names : sequence of str, optional
        Protocols by name or path; all packaged ones when left out.
    """
    choice, known = choice or Choice(), studies()
    out: list[Entry] = []
    for name in protocol_names() if names is None else names:
        try:
            protocol = load_protocol(name)
            refuse(protocol)
        except InputError as e:
            said = _said(name)
            if said["study"] in known and choice.takes(known[said["study"]].disease, said["families"]):
                out.append(Entry(name, said["study"], None, str(e).replace(f"{file_of(name).parent}/", "")))
            continue
        if protocol.reproduces and choice.takes(protocol.disease, families_of(protocol)):
            planned = {k: a.n for k, a in protocol.arms.items()}
            out.append(Entry(protocol.protocol, protocol.reproduces, capped(protocol), planned=planned))
    if blind:
        return [e for e in out if known[e.study].role == "sealed" or without_results(known[e.study])]
    return out if every else _without_idle(out)


def _without_idle(found: Sequence[Entry]) -> list[Entry]:
    """Mark those whose predictions nobody reads."""
    out, done, known = [], set[str](), studies()
    for e in found:
        skipped = None
        if e.protocol is not None:
            mine = {r.outcome_id for r in rows_of(e.protocol, known[e.study]) if r.outcome_id}
            if known[e.study].role == "context":
                skipped = "its study is context"
            elif not mine:
                skipped = "it predicts no published outcome"
            elif mine <= done:
                skipped = "another protocol of the study predicts the same outcomes"
            done |= mine if skipped is None else set()
        out.append(replace(e, skipped=skipped))
    return out


def _said(name: str) -> dict[str, Any]:
    """What a protocol that is refused says of itself: its study and families, as far as the file can be read."""
    try:
        data, _ = load_yaml(file_of(name))
        given = {str(e["therapy"]) for arm in data["arms"].values() for e in arm["regimen"]}
        return {"study": data.get("reproduces"), "families": families_of_therapies(given)}
    except (InputError, KeyError, TypeError, AttributeError):
        return {"study": None, "families": set()}


def file_of(name: str) -> Path:
    """File of a protocol, a packaged one by its name."""
    packaged = Path(str(files("stemtrial.trial"))) / "protocols" / f"{name}.yaml"
    return packaged if packaged.exists() else Path(name)
