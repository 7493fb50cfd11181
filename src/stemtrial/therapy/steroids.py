"""Corticosteroid courses: recovery is faster, what is lost stays lost.

Every reported relapse is treated, whatever the regimen; a course that a regimen orders adds to that.
"""

from __future__ import annotations

from stemtrial.kernel import Model, maximum, where
from stemtrial.therapy.family import Facts, Family, Numbers, Order, Settings


def on_ms(m: Model) -> None:
    """Compose the courses onto MS: after a reported relapse, and dose ``steroids.course``."""
    days = m.parameter("steroids.days")
    since = m.state_node("days_since_relapse")
    left = m.state("steroids.days_left", "d", "days for which an ordered course still works")
    m.update(left, maximum(0.0, left - m.dt), "counts down")
    course = maximum(where(since <= days, 1.0, 0.0), where(left > 0.0, 1.0, 0.0))
    m.modify("recovery", 1.0 + course * m.parameter("steroids.speed"))
    m.on_dose("steroids.course", lambda e: e.set(left, days), (), "one course of methylprednisolone")


def prescribe(name: str, settings: Settings, facts: Facts, parameters: Numbers) -> list[Order]:
    """Give one course."""
    return [Order(0, "steroids.course")]


FAMILY = Family("steroids", {"ms": on_ms}, ("methylprednisolone",), prescribe)
