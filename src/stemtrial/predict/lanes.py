"""Lanes of a scorecard: the families of studies that a verdict is told for, and who is in one."""

from __future__ import annotations

from collections.abc import Collection

from stemtrial.errors import InputError, did_you_mean
from stemtrial.predict.families import FAMILIES, families
from stemtrial.predict.score import LANES
from stemtrial.trial.protocol import Protocol

NATURAL = "natural history"
NAMES = {"ms-drugs": "MS drugs", "natural-history": NATURAL, "ahsct": "aHSCT", "cells": "MSC/NSC", "als": "ALS"}
"""Word for a command line -> lane. Natural history is that of either disease; ALS are its trials."""
assert tuple(NAMES.values()) == LANES
DISEASES = tuple(FAMILIES)
_OF = {"ms-drugs": ("ms",), "cells": ("ms",), "als": ("als",)}


def lane_of(disease: str, therapies: Collection[str]) -> str:
    """Lane of a trial, by its disease and the families of its therapies."""
    if disease == "als":
        return "ALS"
    if "ahsct" in therapies:
        return "aHSCT"
    return "MS drugs" if set(therapies) <= {"drugs"} else "MSC/NSC"


def phenotype_of(protocol: Protocol) -> str:
    """Course of the people whom a protocol wants, ``mixed`` where there are several; of ALS ``als``."""
    if protocol.disease == "als":
        return "als"
    courses = {c for arm in protocol.arms for c in protocol.population_of(arm).shares}
    return str(courses.pop()) if len(courses) == 1 else "mixed"


class Choice:
    """Which lanes, or which family of therapies, a scorecard is of.

    Parameters
    ----------
    disease : {"ms", "als", "all"}
        Whose studies.
    name : str, optional
        A lane (:data:`NAMES`) or a family (:data:`~stemtrial.predict.families.FAMILIES`); everything when left out.

    Raises
    ------
    InputError
        If the disease or the name is unknown.
    """

    def __init__(self, disease: str = "all", name: str | None = None) -> None:
        if disease not in (*DISEASES, "all"):
            raise InputError(f"disease '{disease}' is not known{did_you_mean(disease, (*DISEASES, 'all'))}")
        self.disease, self.name = disease, name
        self.diseases = DISEASES if disease == "all" else (disease,)
        of_families = {f for d in DISEASES for f in FAMILIES[d]}
        self.family = name if name in of_families else None  # aHSCT is both
        self.lane = None if self.family else NAMES.get(name or "")
        if self.family is not None and disease != "all":
            families(disease, name)
        elif self.lane is not None and disease not in _OF.get(name or "", (disease,)) and disease != "all":
            raise InputError(f"family '{name}' has no trials in {disease.upper()}; leave out --disease")
        elif name is not None and self.family is None and self.lane is None:
            known = list(dict.fromkeys([*sorted(of_families), *NAMES]))
            raise InputError(f"family '{name}' is not known{did_you_mean(name, known)}")

    @property
    def natural(self) -> bool:
        """Whether natural history is asked for."""
        return self.name is None or self.lane == NATURAL

    @property
    def trials(self) -> bool:
        """Whether any trial is asked for."""
        return self.lane != NATURAL

    def takes(self, disease: str, therapies: Collection[str]) -> bool:
        """Whether a trial of this disease and of these families is asked for."""
        if disease not in self.diseases or not self.trials:
            return False
        if self.family is not None:
            return self.family in therapies
        return self.lane is None or self.lane == lane_of(disease, therapies)
