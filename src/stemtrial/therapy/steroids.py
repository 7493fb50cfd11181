"""Corticosteroid courses: every reported relapse is treated; recovery is faster, what is lost stays lost."""

from __future__ import annotations

from stemtrial.kernel import Model, where
from stemtrial.therapy.family import Facts, Family, Numbers, Order, Settings


def on_ms(m: Model) -> None:
    """Compose the courses onto MS: recovery from conduction block is faster after a reported relapse."""
    since = m.state_node("days_since_relapse")
    course = where(since <= m.parameter("steroids.days"), 1.0, 0.0)
    m.modify("recovery", 1.0 + course * m.parameter("steroids.speed"))


def prescribe(name: str, settings: Settings, facts: Facts, parameters: Numbers, added: bool) -> list[Order]:
    """Order nothing: every reported relapse is treated, whatever the regimen."""
    return []


FAMILY = Family("steroids", on_ms, ("methylprednisolone",), prescribe)
