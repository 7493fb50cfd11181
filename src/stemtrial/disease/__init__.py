"""Diseases: a patient as equations, one file each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from stemtrial.disease.als import build_als
from stemtrial.disease.ms import build_ms
from stemtrial.errors import InputError, did_you_mean
from stemtrial.kernel import Model


class Builder(Protocol):
    """Declares the patient of one disease on a model."""

    def __call__(self, m: Model, *, truth: bool = False) -> None:
        """Declare it; ``truth`` also keeps what only a simulator knows."""


DISEASES: Mapping[str, Builder] = {"ms": build_ms, "als": build_als}
"""Diseases by name."""


def builder_of(disease: str) -> Builder:
    """Look a disease up.

    Raises
    ------
    InputError
        If it is unknown.
    """
    if disease not in DISEASES:
        raise InputError(f"disease '{disease}' is not known{did_you_mean(disease, DISEASES)}")
    return DISEASES[disease]


__all__ = ["DISEASES", "Builder", "builder_of"]
