"""Therapies: one file a family; each composes itself onto a disease through exported states and rates only."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache

from stemtrial.disease.ms import build_ms
from stemtrial.errors import InputError, did_you_mean
from stemtrial.kernel import Kernel, Model, build
from stemtrial.kernel.run import Backend
from stemtrial.therapy.info import TherapyInfo, catalogue
from stemtrial.therapy.prescribe import FAMILIES, Order, family_of, modelled, prescribe, stopping, stops
from stemtrial.therapy.product import human_data


@cache
def _composed(families: tuple[str, ...], backend: Backend, width: int, steps_per_day: int, truth: bool) -> Kernel:
    model = Model("ms", steps_per_day)
    build_ms(model, truth=truth)
    for name in families:
        with model.owned_by(name):
            FAMILIES[name].on_ms(model)
    return build(model, width=width, backend=backend)


def compose_ms(
    families: Collection[str] = (),
    *,
    backend: Backend = "numba",
    width: int = 64,
    steps_per_day: int = 1,
    truth: bool = False,
) -> Kernel:
    """Return the MS patient with the given therapy families, as a kernel.

    Parameters
    ----------
    families : collection of str
        Of :data:`FAMILIES`. What is composed but not given changes no bit.
    backend : {"numba", "numpy"}
        The fast kernel or its readable twin.
    width : int
        Patients a block.
    steps_per_day : int
        Steps a day; the model is calibrated at 1.
    truth : bool
        Also keep axonal loss apart by cause.
    """
    for name in families:
        if name not in FAMILIES:
            raise InputError(f"therapy family '{name}' is not known{did_you_mean(name, FAMILIES)}")
    return _composed(tuple(sorted(set(families))), backend, width, steps_per_day, truth)


__all__ = [
    "FAMILIES", "Order", "TherapyInfo", "catalogue", "compose_ms", "family_of", "human_data", "modelled", "prescribe",
    "stopping", "stops",
]  # fmt: skip
