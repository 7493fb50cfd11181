"""Riluzole: a little less loss of motor neurons, and fewer deaths than that explains.

Science: docs/design/als_model.md sections 4 and 6. It is background care: who takes it from diagnosis on goes on beside
whatever a trial gives, so that no regimen ends it, its own ``stop_day`` alone.
"""

from __future__ import annotations

from stemtrial.kernel import Model
from stemtrial.therapy.als_drugs import kept, level_of, orders
from stemtrial.therapy.family import Facts, Family, Numbers, Order, Settings


def on_als(m: Model) -> None:
    """Compose the drug onto ALS: dose ``riluzole.take.riluzole``."""
    level = level_of(m, "riluzole", "riluzole")
    loss = kept(m.parameter("riluzole.loss"), level)
    m.modify("neuron_loss", loss)
    m.modify("upper_loss", loss)
    m.modify("mortality", kept(m.parameter("riluzole.mortality"), level))


def prescribe(name: str, settings: Settings, facts: Facts, parameters: Numbers) -> list[Order]:
    """Start it, and end it on its ``stop_day``."""
    return orders("riluzole", name, settings, facts)


FAMILY = Family("riluzole", {"als": on_als}, ("riluzole",), prescribe)
