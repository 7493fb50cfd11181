"""What the model is held against: each module prints the tables of a page in ``docs``."""

from __future__ import annotations

from collections.abc import Sequence


def changes(given: Sequence[str]) -> dict[str, float]:
    """Return ``parameter=value`` arguments as numbers."""
    pairs = (g.partition("=") for g in given)
    return {name: float(value) for name, _, value in pairs}
