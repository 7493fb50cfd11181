"""What every rule of endpoints shares."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Disposition = Literal["completed", "dropped_out", "died", "crossed_over"]
Milestone = Literal["niv", "gastrostomy", "tracheostomy", "permanent_ventilation"]
Kind = Literal["time_to_event", "value", "change", "count", "rate", "status", "trajectory", "rank"]
EventTime = Literal["actual", "scheduled"]


class Common(BaseModel):
    """Fields of every definition.

    Attributes
    ----------
    id, label, citation, unit, note : str
        Name in protocols, name in the field, source, unit of the estimate, and what the source leaves open.
    censor_at : tuple of str
        Events of the disposition table that end follow-up; ``closure_day`` of the patient always does.

    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    label: str
    citation: str
    unit: str
    note: str = ""
    censor_at: tuple[Disposition, ...] = ("completed", "dropped_out", "died")

    def parameters(self) -> dict[str, Any]:
        """Return the fields that belong to the rule, not to the bookkeeping."""
        kept = self.model_dump(mode="json")
        return {k: v for k, v in kept.items() if k not in {"id", "label", "citation", "unit", "note", "rule"}}


def within_limits(at_least: float | None, at_most: float | None) -> None:
    """Refuse limits between which nothing lies.

    Raises
    ------
    ValueError
        If the lower one is above the upper one.

    """
    if at_least is not None and at_most is not None and at_least > at_most:
        raise ValueError(f"at_least {at_least:g} is above at_most {at_most:g}")
