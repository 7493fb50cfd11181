"""Corticosteroid courses: every reported relapse is treated; recovery is faster, what is lost stays lost."""

from __future__ import annotations

from stemtrial.kernel import Model, where


def on_ms(m: Model) -> None:
    """Compose the courses onto MS: recovery from conduction block is faster after a reported relapse."""
    since = m.state_node("days_since_relapse")
    course = where(since <= m.parameter("steroids.days"), 1.0, 0.0)
    m.modify("recovery", 1.0 + course * m.parameter("steroids.speed"))
