"""Riluzole: a little less loss of motor neurons, and fewer deaths than that explains.

Science: docs/design/als_model.md sections 4 and 6. It is background care: who takes it from diagnosis on goes on beside
whatever a trial gives. What a trial gives of it ends on its ``stop_day``, and where a rule stops therapy.
"""

from __future__ import annotations

from stemtrial.kernel import Model
from stemtrial.therapy.als_drugs import kept, level_of, orders
from stemtrial.therapy.family import Facts, Family, Numbers, Order, Settings


def on_als(m: Model) -> None:
    """Compose the drug onto ALS: doses ``riluzole.take.riluzole`` and ``riluzole.stop``."""
    level = level_of(m, "riluzole", "riluzole")
    loss = kept(m.parameter("riluzole.loss"), level)
    m.modify("neuron_loss", loss)
    m.modify("upper_loss", loss)
    m.modify("mortality", kept(m.parameter("riluzole.mortality"), level))
    to = m.state_node("riluzole.riluzole_to")
    m.on_dose("riluzole.stop", lambda e: e.set(to, 0.0), (), "the drug taken is stopped")


def prescribe(name: str, settings: Settings, facts: Facts, parameters: Numbers) -> list[Order]:
    """Start it, and end it on its ``stop_day``."""
    return orders("riluzole", name, settings, facts)


FAMILY = Family("riluzole", {"als": on_als}, ("riluzole",), prescribe, stop="riluzole.stop", lasting=True)
