"""What commands say of the parameters that were used, and of what intervals therefore hold."""

from __future__ import annotations

from collections.abc import Sequence


def parameters_words(draws: int, label: str) -> str:
    """Say which parameters were used: point values, one draw, or so many of a posterior."""
    if label == "point":
        return "parameters at their point values"
    return f"{draws} draw{'s' * (draws > 1)} of {label}"


def without_parameters(interval: str) -> list[str]:
    """What to mind where intervals do not hold what is unknown about the parameters."""
    from stemtrial.report.words import interval_words

    if "parameters" in interval:
        return []
    held = interval_words(interval) + (" only" if "+" not in interval else ", not parameters")
    return [f"intervals hold {held}: what is not known about the parameters would make them wider"]


def other_parameters(labels: Sequence[str]) -> list[str]:
    """What to mind of a posterior that was fitted under other numbers."""
    from stemtrial.parameters import OTHER_PARAMETERS

    told = "the posterior was fitted when numbers or priors of the package were others; a new fit is due"
    return [told] * (OTHER_PARAMETERS in labels)
