"""The rule of confirmed changes: worsening and improvement, with the choices that publications make differently."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from stemtrial.endpoint.common import Common, EventTime, Kind

ANCHORS = ("reference", "previous", "onset", "confirmation")
"""Days from which a window of relapses is counted, in the order that the kernel numbers them."""

PYRAMIDAL = "pyramidal_fs"
"""Column of the pyramidal functional system in the visits table."""

_END = rf"({'|'.join(ANCHORS)})([+-]\d+)?"
_WINDOW = re.compile(rf"^{_END} to {_END}$")


class Threshold(BaseModel):
    """Change of EDSS that counts for a reference up to and including ``up_to``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    up_to: Annotated[float, Field(ge=0, le=10)]
    by: Annotated[float, Field(gt=0, le=10)]


def window(text: str) -> tuple[int, int, int, int]:
    """Read ``"onset-90 to confirmation+30"`` as (anchor, days, anchor, days); anchors as numbered in ``ANCHORS``.

    Raises
    ------
    ValueError
        If the text is no window.

    """
    found = _WINDOW.match(text)
    if not found:
        raise ValueError(
            f"'{text}' is no window; write for example 'onset-90 to confirmation', with {', '.join(ANCHORS)}"
        )
    a, da, b, db = found.groups()
    return ANCHORS.index(a), int(da or 0), ANCHORS.index(b), int(db or 0)


class ConfirmedChange(Common):
    """Time to a change from a reference that is still there at a later visit, on one measure or the first of several.

    A reference gives at most one change. Of a composite each measure has its own reference and is confirmed by itself.

    Attributes
    ----------
    direction : {'worse', 'better'}
        Rise or fall of the measure.
    thresholds : tuple of Threshold
        Change of EDSS by reference EDSS, ascending, the last up to 10; empty: EDSS is not a measure of this endpoint.
    reach : float or None
        Instead of thresholds: the EDSS that must be reached. Who is there at baseline is not at risk.
    percent : mapping of str to float
        Further measures: column of the visits table, and the change in per cent of the reference that counts.
    points : mapping of str to float
        Further measures: column of the visits table, and the change in its own unit that counts (stages, items).
    edss_at_least, pyramidal_at_least : float or None
        What EDSS and the pyramidal functional system must also be, at every visit of the change. The second is left
        out where the visits table has no column ``pyramidal_fs``.
    confirmation_days, tolerance_days : int
        The confirming visit lies at least ``confirmation_days - tolerance_days`` after onset; every usable visit from
        onset to it must hold the change. 0 and 0: the change need not be confirmed.
    onset_from_days : int
        Earliest day of onset. A change that began before counts from the first usable visit on or after that day.
    baseline_at_least : float
        Patients with a lower baseline EDSS are not at risk: time 0, censored.
    subgroup : mapping of str to float
        Column of the patients table, and the least value there at baseline. The others are not at risk (time 0,
        censored), and no part of a share.
    baseline_days : int or None
        The scheduled visit nearest to that day, within 42 days, is the baseline of every measure (a new baseline once a
        drug works), and nothing before that day counts. Patients without that visit are not at risk.
    reference : {'fixed', 'roving'}
        Fixed: the baseline. Roving: moves to the confirming value after a change, and to a better value that every
        visit holds up to the first one late enough to confirm it.
    rebaseline_after_relapse_days : int or None
        The first usable visit at least that many days after the onset of a relapse becomes the reference, once no
        change waits for its confirmation.
    scheduled_only : bool
        True leaves out unscheduled visits (at relapses).
    exclude_days_after_relapse : int or None
        A visit within that many days after the onset of a relapse is not usable: it neither starts, confirms nor ends
        a change.
    counts : {'any', 'pira', 'raw', 'undefined'}
        Which changes are events: all, or those of one class.
    relapse_near : tuple of str
        Windows such as ``onset-90 to confirmation``, both ends included; anchors are the reference visit, the previous
        usable visit before onset, onset and confirmation. A relapse in any of them makes the change RAW.
    relapse_free : tuple of str
        A change that is not RAW is PIRA if no relapse lies in any of these windows, else undefined.
    known_before_entry : bool
        False: a change that is not RAW and has a window that reaches back before day 0 is undefined.
    unconfirmed_at_end : {'censored', 'event'}
        What a change at the last usable visit is that no later visit could confirm.
    death : {'censored', 'event'}
        Whether death is an event, on its day.
    event_time : {'actual', 'scheduled'}
        Time of a visit: its day, or its place in the schedule in whole months (mean day of all visits of that
        number), so that a yearly visit a few days late still counts at one year.

    """

    kind: ClassVar[Kind] = "time_to_event"
    rule: Literal["confirmed_change"] = "confirmed_change"
    direction: Literal["worse", "better"]
    thresholds: tuple[Threshold, ...] = ()
    reach: Annotated[float, Field(gt=0, le=10)] | None = None
    percent: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    points: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    edss_at_least: Annotated[float, Field(ge=0, le=10)] | None = None
    pyramidal_at_least: Annotated[float, Field(ge=0, le=6)] | None = None
    confirmation_days: Annotated[int, Field(ge=0)]
    tolerance_days: Annotated[int, Field(ge=0)] = 0
    onset_from_days: Annotated[int, Field(ge=0)] = 0
    baseline_at_least: Annotated[float, Field(ge=0, le=10)] = 0.0
    subgroup: dict[str, float] = Field(default_factory=dict)
    baseline_days: Annotated[int, Field(gt=0)] | None = None
    reference: Literal["fixed", "roving"] = "fixed"
    rebaseline_after_relapse_days: Annotated[int, Field(ge=0)] | None = None
    scheduled_only: bool = False
    exclude_days_after_relapse: Annotated[int, Field(ge=0)] | None = None
    counts: Literal["any", "pira", "raw", "undefined"] = "any"
    relapse_near: tuple[str, ...] = ()
    relapse_free: tuple[str, ...] = ()
    known_before_entry: bool = True
    unconfirmed_at_end: Literal["censored", "event"] = "censored"
    death: Literal["censored", "event"] = "censored"
    event_time: EventTime = "actual"

    @field_validator("relapse_near", "relapse_free")
    @classmethod
    def _windows(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        for text in texts:
            window(text)
        return texts

    @model_validator(mode="after")
    def _consistent(self) -> ConfirmedChange:
        limits = [t.up_to for t in self.thresholds]
        if limits and (limits != sorted(set(limits)) or limits[-1] != 10.0):
            raise ValueError(f"thresholds must ascend to up_to: 10.0, not {limits}")
        if limits and self.reach is not None:
            raise ValueError("give thresholds or reach, not both")
        moves = self.reference == "roving" or self.rebaseline_after_relapse_days is not None
        if self.reach is not None and (moves or self.direction == "better"):
            raise ValueError("reach is for worsening from a fixed reference")
        if self.baseline_days is not None and (moves or self.relapse_near or self.relapse_free):
            raise ValueError("baseline_days is for a fixed reference without windows")
        if not self.measures:
            raise ValueError("give thresholds, reach, percent or points: nothing would be measured")
        if twice := sorted(self.percent.keys() & self.points.keys()):
            raise ValueError(f"'{twice[0]}' stands under percent and points; keep one")
        if self.tolerance_days and self.tolerance_days >= self.confirmation_days:
            raise ValueError(f"tolerance_days {self.tolerance_days} must be less than confirmation_days")
        if self.counts != "any" and not (self.relapse_near or self.relapse_free):
            raise ValueError(f"counts: {self.counts} needs windows relapse_near or relapse_free")
        return self

    @property
    def measures(self) -> tuple[str, ...]:
        """Columns of the visits table on which the change is measured."""
        edss = ("edss",) if self.thresholds or self.reach is not None else ()
        return (*edss, *self.percent, *self.points)

    @property
    def reads_relapses(self) -> bool:
        """Whether relapses matter."""
        return bool(
            self.exclude_days_after_relapse is not None
            or self.rebaseline_after_relapse_days is not None
            or self.relapse_near
            or self.relapse_free
        )
