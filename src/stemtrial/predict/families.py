"""Families of therapies as a scorecard speaks of them, of protocols and of studies."""

from __future__ import annotations

from collections.abc import Collection

from stemtrial.evidence import Study
from stemtrial.therapy import catalogue
from stemtrial.trial.protocol import Protocol
from stemtrial.trial.regimen import Arm, Choice

FAMILIES: dict[str, str] = {"drugs": "ms", "ahsct": "hsct", "msc": "cells", "nsc": "cells", "opc": "cells"}
"""Family of a protocol's therapies -> folder of the evidence in which such studies lie."""
_GIVEN_TO_ARMS = {"msc": "msc", "msc_ntf": "msc", "nsc": "nsc", "ipsc_opc": "opc"}
"""Therapy of an arm in the evidence on cells -> family: those three share a folder."""


def families_of_therapies(therapies: Collection[str]) -> set[str]:
    """Families of cells among some therapies; drugs stand beside them as comparators, and are a family alone."""
    cells = {catalogue()[t].family for t in therapies if t in catalogue()} & (FAMILIES.keys() - {"drugs"})
    return set(cells) or {"drugs"}


def therapies_of_arm(arm: Arm) -> tuple[str, ...]:
    """Names of the therapies of an arm's regimen, all of a choice; once each."""
    return tuple(dict.fromkeys(n for e in arm.regimen for n in (e.of if isinstance(e, Choice) else (e.therapy,))))


def families_of(protocol: Protocol) -> set[str]:
    """Return the families of :data:`FAMILIES` that the arms of a protocol are given."""
    return families_of_therapies([t for arm in protocol.arms.values() for t in therapies_of_arm(arm)])


def families_of_study(study: Study) -> set[str]:
    """Return the families of :data:`FAMILIES` to which a study belongs: by its folder, in ``cells`` by its arms."""
    of_folder = {f for f, folder in FAMILIES.items() if folder == study.family}
    if study.family != FAMILIES["msc"]:
        return of_folder
    return {_GIVEN_TO_ARMS[a.therapy] for a in study.arms if a.therapy in _GIVEN_TO_ARMS}
