"""Families of therapies as a scorecard speaks of them, of protocols and of studies."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from stemtrial.errors import InputError, did_you_mean
from stemtrial.evidence import Study
from stemtrial.therapy import catalogue
from stemtrial.trial.protocol import Protocol
from stemtrial.trial.regimen import Arm, Choice

FAMILIES: Mapping[str, Mapping[str, str]] = {
    "ms": {"drugs": "ms", "ahsct": "hsct", "msc": "cells", "nsc": "cells", "opc": "cells"},
    "als": dict.fromkeys(("drugs", "msc", "nsc", "astrocyte", "treg"), "als"),
}
"""By disease: family of a protocol's therapies -> folder of the evidence in which such studies lie."""
_CELLS = {f for of_disease in FAMILIES.values() for f in of_disease} - {"drugs"}
_GIVEN_TO_ARMS = {
    "msc": "msc", "msc_ntf": "msc", "nsc": "nsc", "ipsc_opc": "opc", "astrocyte": "astrocyte", "treg": "treg",
}  # fmt: skip
"""Therapy of an arm in the evidence -> family of cells, where several families share a folder."""


def families(disease: str, family: str | None = None) -> Mapping[str, str]:
    """Return the families of a disease, :data:`FAMILIES`, having checked that ``family`` is one of them.

    Raises
    ------
    InputError
        If the disease is unknown, or the family is none of its families.
    """
    if disease not in FAMILIES:
        raise InputError(f"disease '{disease}' is not known{did_you_mean(disease, FAMILIES)}")
    known = FAMILIES[disease]
    if family is not None and family not in known:
        of_another = any(family in other for other in FAMILIES.values())
        why = f"has no trials in {disease.upper()}; use {', '.join(known)}" if of_another else "is not known"
        raise InputError(f"family '{family}' {why}{'' if of_another else did_you_mean(family, known)}")
    return known


def families_of_therapies(therapies: Collection[str]) -> set[str]:
    """Families of cells among some therapies; drugs stand beside them as comparators, and are a family alone."""
    cells = {str(catalogue()[t].family) for t in therapies if t in catalogue()} & _CELLS
    return cells or {"drugs"}


def therapies_of_arm(arm: Arm) -> tuple[str, ...]:
    """Names of the therapies of an arm's regimen, all of a choice; once each."""
    return tuple(dict.fromkeys(n for e in arm.regimen for n in (e.of if isinstance(e, Choice) else (e.therapy,))))


def families_of(protocol: Protocol) -> set[str]:
    """Return the families of :data:`FAMILIES` that the arms of a protocol are given."""
    return families_of_therapies([t for arm in protocol.arms.values() for t in therapies_of_arm(arm)])


def families_of_study(study: Study) -> set[str]:
    """Return the families to which a study belongs: by its folder, by its arms where families share a folder."""
    of_folder = {f for f, folder in FAMILIES[study.disease].items() if folder == study.family}
    if len(of_folder) < 2:
        return of_folder
    given = {_GIVEN_TO_ARMS[a.therapy] for a in study.arms if a.therapy in _GIVEN_TO_ARMS}
    return given or of_folder & {"drugs"}
