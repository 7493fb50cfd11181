"""The rules that endpoints follow: one typed record each, with the choices that publications make differently."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Disposition = Literal["completed", "dropped_out", "died", "crossed_over"]
Kind = Literal["time_to_event", "value", "change", "count", "rate", "status"]
EventTime = Literal["actual", "scheduled"]

ANCHORS = ("reference", "previous", "onset", "confirmation")
"""Days from which a window of relapses is counted, in the order that the kernel numbers them."""

PYRAMIDAL = "pyramidal_fs"
"""Column of the pyramidal functional system in the visits table."""

_END = rf"({'|'.join(ANCHORS)})([+-]\d+)?"
_WINDOW = re.compile(rf"^{_END} to {_END}$")


class _Common(BaseModel):
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


class ConfirmedChange(_Common):
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
    edss_at_least: Annotated[float, Field(ge=0, le=10)] | None = None
    pyramidal_at_least: Annotated[float, Field(ge=0, le=6)] | None = None
    confirmation_days: Annotated[int, Field(ge=0)]
    tolerance_days: Annotated[int, Field(ge=0)] = 0
    onset_from_days: Annotated[int, Field(ge=0)] = 0
    baseline_at_least: Annotated[float, Field(ge=0, le=10)] = 0.0
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
            raise ValueError("give thresholds, reach or percent: nothing would be measured")
        if self.tolerance_days and self.tolerance_days >= self.confirmation_days:
            raise ValueError(f"tolerance_days {self.tolerance_days} must be less than confirmation_days")
        if self.counts != "any" and not (self.relapse_near or self.relapse_free):
            raise ValueError(f"counts: {self.counts} needs windows relapse_near or relapse_free")
        return self

    @property
    def measures(self) -> tuple[str, ...]:
        """Columns of the visits table on which the change is measured."""
        edss = ("edss",) if self.thresholds or self.reach is not None else ()
        return (*edss, *self.percent)

    @property
    def reads_relapses(self) -> bool:
        """Whether relapses matter."""
        return bool(
            self.exclude_days_after_relapse is not None
            or self.rebaseline_after_relapse_days is not None
            or self.relapse_near
            or self.relapse_free
        )


class FirstActivity(_Common):
    """Time to the first disease activity: relapse, confirmed worsening, lesions or brain volume loss on a scan.

    Follow-up ends at the last scheduled visit or scan, because nobody knows of activity after it.

    Attributes
    ----------
    worsening : str or None
        Id of a ``confirmed_change`` definition; its own follow-up rules apply to that component.
    relapses, gd_lesions, new_t2_lesions : bool
        Which other components count.
    deaths : bool
        Whether death from any cause counts too, on its day (event-free survival).
    relapses_from_days : int
        Relapses before that day are no activity.
    mri_from_days : int
        Scans before that day show no activity (a new baseline scan after treatment).
    new_t2_at_least, consecutive_scans : int
        New T2 lesions that make a scan active, and on how many scans in a row; the last of them is the event. Enhancing
        lesions count from the first on one scan.
    brain_volume_loss_pct_per_year : float or None
        NEDA-4: a scan shows activity if brain volume fell faster than this since the baseline scan.
    brain_volume_from_days : int
        Scans before that day say nothing of brain volume.
    event_time : {'actual', 'scheduled'}
        Time of a scan, as in :class:`ConfirmedChange`.

    """

    kind: ClassVar[Kind] = "time_to_event"
    rule: Literal["first_activity"] = "first_activity"
    worsening: str | None
    relapses: bool = True
    gd_lesions: bool = True
    new_t2_lesions: bool = True
    deaths: bool = False
    relapses_from_days: Annotated[int, Field(ge=0)] = 0
    mri_from_days: Annotated[int, Field(ge=0)] = 0
    new_t2_at_least: Annotated[int, Field(ge=1)] = 1
    consecutive_scans: Annotated[int, Field(ge=1)] = 1
    brain_volume_loss_pct_per_year: Annotated[float, Field(gt=0)] | None = None
    brain_volume_from_days: Annotated[int, Field(ge=0)] = 0
    event_time: EventTime = "actual"


class FirstRelapse(_Common):
    """Time to the first relapse.

    Attributes
    ----------
    deaths : bool
        Whether death from any cause is an event too.

    """

    kind: ClassVar[Kind] = "time_to_event"
    rule: Literal["first_relapse"] = "first_relapse"
    deaths: bool = False


class RelapseCount(_Common):
    """Relapses and the time in which they were counted."""

    kind: ClassVar[Kind] = "rate"
    rule: Literal["relapse_count"] = "relapse_count"


class LesionCount(_Common):
    """Lesions summed over all scans after baseline to the horizon, and the time to the last of these scans.

    Attributes
    ----------
    column : str
        Lesions counted on each scan, a column of the mri table.
    from_days : int
        Scans before that day are left out.

    """

    kind: ClassVar[Kind] = "count"
    rule: Literal["lesion_count"] = "lesion_count"
    column: Literal["gd_lesions", "new_t2_lesions"] = "new_t2_lesions"
    from_days: Annotated[int, Field(ge=0)] = 0


class LesionFree(_Common):
    """Whether scans show no lesion; a patient without a scan at the horizon is not assessed.

    Attributes
    ----------
    column : str
        Lesions counted on each scan, a column of the mri table.
    scans : {'at_horizon', 'to_horizon'}
        The scan of the horizon alone, or every scan after baseline up to it.

    """

    kind: ClassVar[Kind] = "status"
    rule: Literal["lesion_free"] = "lesion_free"
    column: Literal["gd_lesions", "new_t2_lesions"]
    scans: Literal["at_horizon", "to_horizon"]


class VisitValue(_Common):
    """A measurement at the visit nearest to the horizon, its change from baseline, or whether that lies within limits.

    Attributes
    ----------
    table : {'visits', 'mri'}
        Where it is measured.
    column : str
        Its column there; a change from baseline also needs the column of the same name in the patients table.
    plus : str or None
        A second column of the same unit that is added to it.
    change : {'none', 'difference', 'fraction', 'percent', 'chained_percent', 'slope_change'}
        The value itself, value minus reference, value / reference - 1, 100 times that, or, for a value that is itself
        a percentage change since baseline, 100 ((100 + value) / (100 + reference) - 1). ``slope_change``: slope a month
        from the reference to the value minus slope from baseline (day 0) to the reference, as in a trial that treats
        after a run-in.
    reference_days : int or None
        The reference is the scheduled visit nearest to that day (a new baseline) instead of baseline.
    reference_at_least : float or None
        Who has a lower reference is not assessed.
    at_least, at_most : float or None
        With one of them a status: whether the value or change lies within, ends included.

    """

    rule: Literal["visit_value"] = "visit_value"
    table: Literal["visits", "mri"]
    column: str
    plus: str | None = None
    change: Literal["none", "difference", "fraction", "percent", "chained_percent", "slope_change"] = "none"
    reference_days: Annotated[int, Field(gt=0)] | None = None
    reference_at_least: float | None = None
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _consistent(self) -> VisitValue:
        if self.change == "none" and self.reference_days is not None:
            raise ValueError("reference_days needs a change")
        if self.change == "none" and self.reference_at_least is not None:
            raise ValueError("reference_at_least needs a change")
        if self.change == "slope_change" and self.reference_days is None:
            raise ValueError("slope_change needs reference_days, the day on which the slopes meet")
        if self.change == "chained_percent" and self.reference_days is None:
            raise ValueError("chained_percent needs reference_days; since baseline the value is the change already")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"at_least {self.at_least:g} is above at_most {self.at_most:g}")
        return self

    @property
    def kind(self) -> Kind:
        """``value``, ``change`` or, with limits, ``status``."""
        if self.at_least is not None or self.at_most is not None:
            return "status"
        return "value" if self.change == "none" else "change"


class Death(_Common):
    """Time to death from any cause."""

    kind: ClassVar[Kind] = "time_to_event"
    rule: Literal["death"] = "death"


class TreatmentDeath(_Common):
    """Whether the patient died for one of ``reasons`` (column ``reason`` of the disposition table)."""

    kind: ClassVar[Kind] = "status"
    rule: Literal["treatment_death"] = "treatment_death"
    reasons: tuple[str, ...]


class AnyOf(_Common):
    """Whether at least one of several measurements with limits holds; without any measurement not assessed.

    A measurement that was missed shows nothing: whoever has the others is judged by them.

    Attributes
    ----------
    of : tuple of str
        Ids of ``visit_value`` definitions with limits.

    """

    kind: ClassVar[Kind] = "status"
    rule: Literal["any_of"] = "any_of"
    of: Annotated[tuple[str, ...], Field(min_length=2)]


class AdverseEvent(_Common):
    """Adverse events of some kind within follow-up.

    Attributes
    ----------
    counts : {'patients', 'events', 'first', 'months'}
        Whether a patient had one (a status), how many (a count, and the time in which they were counted), the time to
        the first, or the months from randomisation to the first of those who had one (a value).
    terms : tuple of str
        Terms of the adverse_events table that count; all of them if empty.
    serious : bool
        Only serious ones.
    grade_at_least, grade_at_most : int
        Only those of these grades, ends included.
    causes : tuple of str
        Only those caused by one of these therapies; of any cause if empty.
    from_days, to_days : int, int or None
        Only those within these days, ends included. Who left before the first of them is not assessed; time to the
        first is censored at the last.
    ended_by, lasting_days : tuple of str, int
        An event counts once it has lasted that long, on that day, unless an event of these terms came before.
    women_only : bool
        Men are not assessed.
    among : tuple of str
        Who had no event of these terms within follow-up is not assessed.

    Who is not assessed has NaN as a status, 0 years as a count, and is censored at 0 as a time to the first.

    """

    rule: Literal["adverse_event"] = "adverse_event"
    counts: Literal["patients", "events", "first", "months"] = "patients"
    terms: tuple[str, ...] = ()
    serious: bool = False
    grade_at_least: Annotated[int, Field(ge=1, le=5)] = 1
    grade_at_most: Annotated[int, Field(ge=1, le=5)] = 5
    causes: tuple[str, ...] = ()
    from_days: Annotated[int, Field(ge=0)] = 0
    to_days: Annotated[int, Field(ge=0)] | None = None
    ended_by: tuple[str, ...] = ()
    lasting_days: Annotated[int, Field(ge=0)] = 0
    women_only: bool = False
    among: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> AdverseEvent:
        if self.grade_at_least > self.grade_at_most:
            raise ValueError(f"grade_at_least {self.grade_at_least} is above grade_at_most {self.grade_at_most}")
        if self.to_days is not None and self.to_days < self.from_days:
            raise ValueError(f"to_days {self.to_days} is before from_days {self.from_days}")
        if bool(self.ended_by) != bool(self.lasting_days):
            raise ValueError("give ended_by and lasting_days together")
        return self

    @property
    def kind(self) -> Kind:
        """``status``, ``count``, ``time_to_event`` or ``value``, by ``counts``."""
        kinds: dict[str, Kind] = {"patients": "status", "events": "count", "first": "time_to_event", "months": "value"}
        return kinds[self.counts]


Definition = (
    ConfirmedChange
    | FirstActivity
    | FirstRelapse
    | RelapseCount
    | LesionCount
    | LesionFree
    | VisitValue
    | Death
    | TreatmentDeath
    | AdverseEvent
    | AnyOf
)
