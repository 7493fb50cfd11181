"""What the patients of an arm get, checked against the catalogue of therapies."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    ConfigDict,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    Strict,
    Tag,
    ValidationInfo,
    model_validator,
)

from stemtrial.errors import InputError, did_you_mean
from stemtrial.therapy.family import Family, FieldError
from stemtrial.therapy.info import RegimenField, catalogue, therapy_info
from stemtrial.therapy.prescribe import FAMILIES, family_of, modelled
from stemtrial.trial.parts import Integer, Part, Positive, check_event, check_therapy, fail
from stemtrial.trial.population import ArmPopulation

DOSES = ("dose_1e6_per_kg", "dose_1e6")
"""Fields of which 0 says that no cells are given."""


class Treatment(Part):
    """One therapy of a regimen: ``{therapy: NAME, day: 0, <fields of that therapy>}``.

    Parameters
    ----------
    therapy : str
        A name of :func:`stemtrial.therapy.info.catalogue`.
    day : int
        Day of the dose or of the start, from randomisation.

    Notes
    -----
    The other fields, defaults filled in, are in :attr:`settings`.
    """

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    therapy: str
    day: Integer = 0

    @property
    def settings(self) -> dict[str, float | int | str]:
        """The fields of the therapy beside ``day``; an optional field that was left out is absent."""
        return dict(self.model_extra or {})

    @property
    def family(self) -> Family | None:
        """The family that models the therapy; None if none does yet."""
        return FAMILIES[family_of(self.therapy)] if self.therapy in modelled() else None

    @property
    def wait(self) -> int:
        """Days from ``day`` until it can be given."""
        wait = None if self.family is None else self.family.wait
        return 0 if wait is None else wait(self.therapy, {"day": self.day, **self.settings})

    @property
    def begins(self) -> int:
        """Day on which it is given: ``day``, and the wait for what is made to order."""
        return self.day + self.wait

    @property
    def sham(self) -> bool:
        """Whether it is the procedure alone: a dose of 0."""
        return any(value == 0 for key, value in self.settings.items() if key in DOSES)

    @model_validator(mode="before")
    @classmethod
    def _as_the_catalogue_says(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        name = data.get("therapy")
        if not isinstance(name, str):
            fail(("therapy",), f"must name a therapy{did_you_mean(str(name), [*catalogue(), 'choice'])}")
        check_therapy(name, ("therapy",), also=("choice",))
        fields = therapy_info(name).fields
        filled: dict[str, Any] = {"therapy": name}
        for key in data:
            if key != "therapy" and key not in fields:
                fail((key,), _unknown_field(key, name, fields))
        for key, field in fields.items():
            if data.get(key) is not None:
                try:
                    filled[key] = field.parse(data[key])
                except InputError as e:
                    fail((key,), str(e))
            elif field.default is not None:
                filled[key] = field.parse(field.default)
            elif field.required:
                fail((key,), f"is missing from '{name}'; add one of {', '.join(field.choices) or field.unit}")
        if filled.get("stop_day", math.inf) <= filled["day"]:
            fail(("stop_day",), f"{filled['stop_day']} is not after day {filled['day']}; stop later or start earlier")
        _check_of_its_family(name, filled)
        return filled

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """One alternative a therapy."""
        handler(core_schema)
        return {"description": "One therapy of a regimen.", "anyOf": [_entry_schema(name) for name in catalogue()]}


class Choice(Part):
    """A therapy drawn for each patient: ``{therapy: choice, of: {natalizumab: 22, ...}, switch_on: relapse}``.

    Parameters
    ----------
    of : dict of str to float
        Weight of each therapy, of any sum. The order counts for the draw.
    day : int
        Day of the start.
    switch_on : str, optional
        ``relapse`` or an endpoint id: what makes a patient change therapy.
    switch_to : str
        ``remaining``: drawn from ``of`` without what the patient had already; or the name of a therapy.
    """

    therapy: Literal["choice"]
    of: Annotated[Mapping[str, Positive], Field(min_length=1)]
    day: Annotated[int, Strict(), Field(ge=0, le=40_000)] = 0
    switch_on: str | None = None
    switch_to: str = "remaining"

    @model_validator(mode="after")
    def _names_are_known(self, info: ValidationInfo) -> Choice:
        for name in self.of:
            check_therapy(name, ("of", name))
            missing = [key for key, field in catalogue()[name].fields.items() if field.required]
            if missing:
                fail(("of", name), f"'{name}' needs the field '{missing[0]}', which a choice cannot give; use an arm")
        if self.switch_on is not None:
            check_event(self.switch_on, info, ("switch_on",))
        if self.switch_to != "remaining":
            check_therapy(self.switch_to, ("switch_to",), also=("remaining",))
        return self


def _entry_tag(entry: Any) -> str:
    name = entry.get("therapy") if isinstance(entry, Mapping) else getattr(entry, "therapy", None)
    return "<choice>" if name == "choice" else "<treatment>"


RegimenEntry = Annotated[
    Annotated[Treatment, Tag("<treatment>")] | Annotated[Choice, Tag("<choice>")], Discriminator(_entry_tag)
]


class Arm(Part):
    """One arm.

    Parameters
    ----------
    n : int
        Patients randomised to it, or in it where nobody is randomised.
    regimen : tuple of Treatment or Choice
        What they get; empty for no treatment.
    population : ArmPopulation, optional
        In an observational study: what sets its patients apart from the protocol's population.
    """

    n: Annotated[int, Strict(), Field(ge=1, le=1_000_000)]
    regimen: tuple[RegimenEntry, ...]
    population: ArmPopulation | None = None


def _check_of_its_family(name: str, filled: Mapping[str, Any]) -> None:
    """Fail at the field of a product that cannot be."""
    check = FAMILIES[family_of(name)].check if name in modelled() else None
    if check is not None:
        try:
            check(name, {k: v for k, v in filled.items() if k != "therapy"})
        except FieldError as e:
            fail((e.field,), str(e))


def _unknown_field(key: str, therapy: str, fields: Mapping[str, RegimenField]) -> str:
    with_unit = [name for name in fields if name.startswith(f"{key}_")]
    if with_unit:
        return f"needs its unit in the name; use {with_unit[0]}"
    return f"unknown field of '{therapy}'{did_you_mean(key, fields)}"


def _entry_schema(name: str) -> dict[str, Any]:
    info = therapy_info(name)
    properties: dict[str, Any] = {"therapy": {"const": name}}
    for key, field in info.fields.items():
        if field.kind == "choice":
            schema: dict[str, Any] = {"enum": list(field.choices)}
        else:
            kind = "number" if field.kind == "number" else "integer"
            schema = {"type": kind, "minimum": field.minimum, "maximum": field.maximum}
        if field.default is not None:
            schema["default"] = field.default
        properties[key] = schema | {"description": f"{field.meaning} [{field.unit}]"}
    required = ["therapy", *(key for key, field in info.fields.items() if field.required)]
    return {
        "title": info.label,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
