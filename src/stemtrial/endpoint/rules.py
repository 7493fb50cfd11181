"""The rules that endpoints follow: one typed record each, with the choices that publications make differently."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from stemtrial.endpoint.common import Common, Disposition, EventTime, Kind, Milestone, within_limits
from stemtrial.endpoint.confirmed import ConfirmedChange
from stemtrial.endpoint.decline import JointRank, Slope, Trajectory


class FirstActivity(Common):
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


class FirstRelapse(Common):
    """Time to the first relapse.

    Attributes
    ----------
    deaths : bool
        Whether death from any cause is an event too.

    """

    kind: ClassVar[Kind] = "time_to_event"
    rule: Literal["first_relapse"] = "first_relapse"
    deaths: bool = False


class FirstMilestone(Common):
    """Time to the first of some milestones of ALS, which happen on a day of their own.

    Who has passed one of them at baseline (column of its name in the patients table, where there is one) is not at
    risk: time 0, censored.

    Attributes
    ----------
    events : tuple of str
        Milestones that count.
    deaths : bool
        Whether death from any cause counts too (a composite); else it ends follow-up.

    """

    kind: ClassVar[Kind] = "time_to_event"
    rule: Literal["first_milestone"] = "first_milestone"
    events: Annotated[tuple[Milestone, ...], Field(min_length=1)]
    deaths: bool = False


class Leaving(Common):
    """Time to leaving the trial.

    Attributes
    ----------
    events : tuple of str
        Events of the disposition table that count as leaving.

    """

    kind: ClassVar[Kind] = "time_to_event"
    rule: Literal["leaving"] = "leaving"
    events: Annotated[tuple[Disposition, ...], Field(min_length=1)]


class RelapseCount(Common):
    """Relapses and the time in which they were counted."""

    kind: ClassVar[Kind] = "rate"
    rule: Literal["relapse_count"] = "relapse_count"


class LesionCount(Common):
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


class LesionFree(Common):
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


class VisitValue(Common):
    """A measurement at the visit nearest to the horizon, its change from baseline, or whether that lies within limits.

    Attributes
    ----------
    table : {'visits', 'mri', 'patients'}
        Where it is measured; ``patients``: at baseline, or what was known then, whatever the horizon.
    column : str
        Its column there; a change from baseline also needs the column of the same name in the patients table.
    plus : tuple of str
        Further columns of the same unit that are added to it.
    change : {'none', 'difference', 'ratio', 'fraction', 'percent', 'chained_percent', 'slope_change'}
        The value itself, value minus reference, value / reference, that minus 1, 100 times that, or, for a value that
        is itself a percentage change since baseline, 100 ((100 + value) / (100 + reference) - 1). ``slope_change``:
        slope a month from the reference to the value minus slope from baseline (day 0) to the reference, as in a trial
        that treats after a run-in.
    reference_days : int or None
        The reference is the scheduled visit nearest to that day (a new baseline) instead of baseline.
    reference_at_least, reference_at_most : float or None
        Who has a lower, or a higher, reference is not assessed; the reference is the baseline where nothing changes.
    dead : float or None
        The value of those who died by the horizon, or before their visit of it (a composite of function and survival);
        None: it is missing.
    carried_from_days : int or None
        Who has no value at the horizon keeps the last one of that day or later (last observation carried forward);
        None: it is missing.
    at_least, at_most : float or None
        With one of them a status: whether the value or change lies within, ends included.

    """

    rule: Literal["visit_value"] = "visit_value"
    table: Literal["visits", "mri", "patients"]
    column: str
    plus: tuple[str, ...] = ()
    change: Literal["none", "difference", "ratio", "fraction", "percent", "chained_percent", "slope_change"] = "none"
    reference_days: Annotated[int, Field(gt=0)] | None = None
    reference_at_least: float | None = None
    reference_at_most: float | None = None
    dead: float | None = None
    carried_from_days: Annotated[int, Field(gt=0)] | None = None
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _consistent(self) -> VisitValue:
        if self.change == "none" and self.reference_days is not None:
            raise ValueError("reference_days needs a change")
        if self.at_baseline and (self.change != "none" or self.dead is not None or self.carried_from_days is not None):
            raise ValueError("table: patients is the baseline, which takes no change, dead or carried_from_days")
        if self.change == "slope_change" and self.reference_days is None:
            raise ValueError("slope_change needs reference_days, the day on which the slopes meet")
        if self.change == "chained_percent" and self.reference_days is None:
            raise ValueError("chained_percent needs reference_days; since baseline the value is the change already")
        if self.dead is not None and (self.reference_days, self.carried_from_days) != (None, None):
            raise ValueError("dead takes neither reference_days nor carried_from_days")
        if self.change == "slope_change" and self.carried_from_days is not None:
            raise ValueError("slope_change takes no carried_from_days; its slope ends at the horizon")
        within_limits(self.at_least, self.at_most)
        within_limits(self.reference_at_least, self.reference_at_most)
        return self

    @property
    def at_baseline(self) -> bool:
        """Whether it is read from the patients table: no outcome of treatment, and of no time but 0."""
        return self.table == "patients"

    @property
    def limits_reference(self) -> bool:
        """Whether only those with some reference are assessed."""
        return self.reference_at_least is not None or self.reference_at_most is not None

    @property
    def kind(self) -> Kind:
        """``value``, ``change`` or, with limits, ``status``."""
        if self.at_least is not None or self.at_most is not None:
            return "status"
        return "value" if self.change == "none" else "change"


class Death(Common):
    """Time to death from any cause."""

    kind: ClassVar[Kind] = "time_to_event"
    rule: Literal["death"] = "death"


class TreatmentDeath(Common):
    """Whether the patient died for one of ``reasons`` (column ``reason`` of the disposition table)."""

    kind: ClassVar[Kind] = "status"
    rule: Literal["treatment_death"] = "treatment_death"
    reasons: tuple[str, ...]


class AnyOf(Common):
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


class AdverseEvent(Common):
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
    | FirstMilestone
    | Leaving
    | RelapseCount
    | LesionCount
    | LesionFree
    | VisitValue
    | Slope
    | Trajectory
    | JointRank
    | Death
    | TreatmentDeath
    | AdverseEvent
    | AnyOf
)
