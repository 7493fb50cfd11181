"""Therapies: one file a family; each composes itself onto a disease through exported states and rates only."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache

from stemtrial.disease import builder_of
from stemtrial.errors import InputError, did_you_mean
from stemtrial.kernel import Kernel, Model, build
from stemtrial.kernel.run import Backend
from stemtrial.therapy.info import TherapyInfo, catalogue
from stemtrial.therapy.prescribe import FAMILIES, Order, acting_on, family_of, modelled, prescribe, stopping, stops
from stemtrial.therapy.product import human_data


@cache
def _composed(
    disease: str, families: tuple[str, ...], backend: Backend, width: int, steps_per_day: int, truth: bool
) -> Kernel:
    model = Model(disease, steps_per_day)
    builder_of(disease)(model, truth=truth)
    for name in families:
        with model.owned_by(name):
            FAMILIES[name].on[disease](model)
    return build(model, width=width, backend=backend)


def compose(
    disease: str,
    families: Collection[str] = (),
    *,
    backend: Backend = "numba",
    width: int = 64,
    steps_per_day: int = 1,
    truth: bool = False,
) -> Kernel:
    """Return the patient of a disease with the given therapy families, as a kernel.

    Parameters
    ----------
    disease : str
        Of :data:`stemtrial.disease.DISEASES`.
    families : collection of str
        Of :data:`FAMILIES`, acting on that disease. What is composed but not given changes no bit.
    backend : {"numba", "numpy"}
        The fast kernel or its readable twin.
    width : int
        Patients a block.
    steps_per_day : int
        Steps a day; the models are calibrated at 1.
    truth : bool
        Also keep what only a simulator knows (of MS, axonal loss apart by cause).

    Raises
    ------
    InputError
        If the disease or a family is unknown, or a family does not act on the disease.
    """
    builder_of(disease)
    for name in families:
        if name not in FAMILIES:
            raise InputError(f"therapy family '{name}' is not known{did_you_mean(name, FAMILIES)}")
        if disease not in FAMILIES[name].on:
            raise InputError(f"therapy family '{name}' does not act on {disease}; use {', '.join(acting_on(disease))}")
    return _composed(disease, tuple(sorted(set(families))), backend, width, steps_per_day, truth)


__all__ = [
    "FAMILIES", "Order", "TherapyInfo", "acting_on", "catalogue", "compose", "family_of", "human_data", "modelled",
    "prescribe", "stopping", "stops",
]  # fmt: skip
