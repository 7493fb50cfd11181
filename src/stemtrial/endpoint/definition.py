"""What an endpoint is: one typed record for each rule, read from ``definitions.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from stemtrial.errors import InputError, did_you_mean

Disposition = Literal["completed", "dropped_out", "died", "crossed_over"]
Kind = Literal["time_to_event", "value", "change", "count", "rate", "status"]
EventTime = Literal["actual", "scheduled"]


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
    """Change of EDSS that counts for a baseline up to and including ``up_to``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    up_to: Annotated[float, Field(ge=0, le=10)]
    by: Annotated[float, Field(gt=0, le=10)]


class ConfirmedChange(_Common):
    """Time to a change of EDSS from baseline that is still there at a later visit.

    Attributes
    ----------
    direction : {'worse', 'better'}
        Rise or fall.
    thresholds : tuple of Threshold
        By baseline EDSS, ascending, the last up to 10.
    confirmation_days, tolerance_days : int
        The confirming visit lies at least ``confirmation_days - tolerance_days`` after onset; every usable visit from
        onset to it must hold the change.
    onset_from_days : int
        Earliest day of onset. A change that began before counts from the first usable visit on or after that day.
    baseline_at_least : float
        Patients with a lower baseline are not at risk: time 0, censored.
    scheduled_only : bool
        True leaves out unscheduled visits (at relapses).
    exclude_days_after_relapse : int or None
        A visit within that many days after the onset of a relapse is not usable: it neither starts, confirms nor ends
        a change.
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
    thresholds: tuple[Threshold, ...]
    confirmation_days: Annotated[int, Field(gt=0)]
    tolerance_days: Annotated[int, Field(ge=0)] = 0
    onset_from_days: Annotated[int, Field(ge=0)] = 0
    baseline_at_least: Annotated[float, Field(ge=0, le=10)] = 0.0
    scheduled_only: bool = False
    exclude_days_after_relapse: Annotated[int, Field(ge=0)] | None = None
    unconfirmed_at_end: Literal["censored", "event"] = "censored"
    death: Literal["censored", "event"] = "censored"
    event_time: EventTime = "actual"

    @model_validator(mode="after")
    def _consistent(self) -> ConfirmedChange:
        limits = [t.up_to for t in self.thresholds]
        if not limits or limits != sorted(set(limits)) or limits[-1] != 10.0:
            raise ValueError(f"thresholds must ascend to up_to: 10.0, not {limits}")
        if self.tolerance_days >= self.confirmation_days:
            raise ValueError(f"tolerance_days {self.tolerance_days} must be less than confirmation_days")
        return self


class FirstActivity(_Common):
    """Time to the first disease activity: relapse, confirmed worsening, or a lesion on a scan (NEDA-3).

    Follow-up ends at the last scheduled visit or scan, because nobody knows of activity after it.

    Attributes
    ----------
    worsening : str or None
        Id of a ``confirmed_change`` definition; its own follow-up rules apply to that component.
    relapses, gd_lesions, new_t2_lesions : bool
        Which other components count.
    mri_from_days : int
        Scans before that day show no activity (a new baseline scan after treatment).
    event_time : {'actual', 'scheduled'}
        Time of a scan, as in :class:`ConfirmedChange`.

    """

    kind: ClassVar[Kind] = "time_to_event"
    rule: Literal["first_activity"] = "first_activity"
    worsening: str | None
    relapses: bool = True
    gd_lesions: bool = True
    new_t2_lesions: bool = True
    mri_from_days: Annotated[int, Field(ge=0)] = 0
    event_time: EventTime = "actual"


class FirstRelapse(_Common):
    """Time to the first relapse."""

    kind: ClassVar[Kind] = "time_to_event"
    rule: Literal["first_relapse"] = "first_relapse"


class RelapseCount(_Common):
    """Relapses and the time in which they were counted."""

    kind: ClassVar[Kind] = "rate"
    rule: Literal["relapse_count"] = "relapse_count"


class LesionCount(_Common):
    """New or enlarging T2 lesions over all scans to the horizon, and the time to the last of these scans."""

    kind: ClassVar[Kind] = "count"
    rule: Literal["lesion_count"] = "lesion_count"


class VisitValue(_Common):
    """A measurement at the visit nearest to the horizon, or its change from baseline.

    Attributes
    ----------
    table : {'visits', 'mri'}
        Where it is measured.
    column : str
        Its column there; a change also needs the column of the same name in the patients table.
    change : {'none', 'difference', 'percent'}
        The value itself, value minus baseline, or 100 (value / baseline - 1).

    """

    rule: Literal["visit_value"] = "visit_value"
    table: Literal["visits", "mri"]
    column: str
    change: Literal["none", "difference", "percent"] = "none"

    @property
    def kind(self) -> Kind:
        """``value`` or ``change``."""
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


Definition = (
    ConfirmedChange | FirstActivity | FirstRelapse | RelapseCount | LesionCount | VisitValue | Death | TreatmentDeath
)
_ADAPTER: TypeAdapter[Definition] = TypeAdapter(Annotated[Definition, Field(discriminator="rule")])


def define(fields: Mapping[str, Any]) -> Definition:
    """Make a definition from data.

    Parameters
    ----------
    fields : mapping
        ``id``, ``rule`` and the fields of that rule.

    Raises
    ------
    InputError
        If a field is unknown, missing or out of range.

    """
    try:
        return _ADAPTER.validate_python(dict(fields))
    except ValidationError as e:
        first = e.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or "rule"
        raise InputError(f"endpoint '{fields.get('id')}': {where}: {first['msg']} (given {first['input']!r})") from None


@cache
def definitions() -> dict[str, Definition]:
    """Every endpoint definition by id."""
    text = files("stemtrial.endpoint").joinpath("definitions.yaml").read_text(encoding="utf-8")
    return {name: define({"id": name, **fields}) for name, fields in yaml.safe_load(text).items()}


def find(definition: str | Definition, **changes: Any) -> Definition:
    """Look a definition up by id, optionally with fields changed (a new, validated definition).

    Raises
    ------
    InputError
        If the id is unknown (the closest ids are listed) or a changed field is not valid.

    """
    if isinstance(definition, str):
        known = definitions()
        if definition not in known:
            raise InputError(f"endpoint '{definition}' is not known{did_you_mean(definition, known)}")
        definition = known[definition]
    return define({**definition.model_dump(), **changes}) if changes else definition
