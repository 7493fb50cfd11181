"""The catalogue of therapies: what a protocol may prescribe, in which fields and units.

No effect sizes here, those are parameters; no biology, that is the family's own file.
"""

from __future__ import annotations

import functools
import importlib.resources
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, Strict

from stemtrial.errors import InputError, did_you_mean

Value = Annotated[int, Strict()] | Annotated[float, Strict()] | Annotated[str, Strict()]

LAST_DAY = 40_000


class Record(BaseModel):
    """Data from a file: nothing unknown in it, nothing changes."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class RegimenField(Record):
    """One field of a regimen entry.

    Parameters
    ----------
    kind : {"number", "integer", "day", "choice"}
        A ``day`` is a whole number of days since randomisation.
    meaning : str
        One line.
    unit : str
        Unit of a number; also the ending of the field's name.
    minimum, maximum : float
        Range of a number, both ends allowed.
    choices : dict of str to str
        The words of a choice, with their meaning.
    default : number or str, optional
        What holds when the field is left out.
    required : bool
        Whether it may not be left out: true without a default, unless ``optional``.
    optional : bool
        Left out, the field stays unset.
    source : str
        Study id, DOI or ``assumed``.
    """

    kind: Literal["number", "integer", "day", "choice"]
    meaning: str
    source: str
    unit: str = "1"
    minimum: float = 0
    maximum: float = LAST_DAY
    choices: Mapping[str, str] = Field(default_factory=dict)
    default: Value | None = None
    optional: bool = False

    @property
    def required(self) -> bool:
        """Whether an entry must state the field."""
        return self.default is None and not self.optional

    def parse(self, value: object) -> int | float | str:
        """Check a value and give it its type.

        Raises
        ------
        InputError
            If the value is of the wrong kind, out of range, or not one of the choices.
        """
        if self.kind == "choice":
            if not isinstance(value, str):
                raise InputError(f"must be a word, not {value!r}; valid: {', '.join(self.choices)}")
            if value not in self.choices:
                raise InputError(f"'{value}' is not known{did_you_mean(value, self.choices)}")
            return value
        whole = self.kind != "number"
        unit = "" if self.unit == "1" else f" ({self.unit})"
        limits = f"from {self.minimum:g} to {self.maximum:g}{unit}"
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            raise InputError(f"must be a {'whole ' if whole else ''}number {limits}, not {value!r}; mend it")
        assert isinstance(value, int | float)
        if not self.minimum <= value <= self.maximum:
            raise InputError(f"{value} lies outside the range {limits}; use a value inside it")
        return value if whole else float(value)


class TherapyInfo(Record):
    """One therapy as a protocol sees it.

    Parameters
    ----------
    name : str
        The name in a protocol.
    label : str
        The name in a report.
    family : {"ahsct", "msc", "nsc", "opc", "astrocyte", "treg", "dmt", "steroid", "remyelination", "als_drug"}
        Kind of therapy, as people speak of it; :func:`stemtrial.therapy.family_of` names the family that models it.
    entry : {"one_off", "course", "continuous"}
        Given once, or in courses that the entry itself counts; for a limited time that the therapy itself knows; or
        until stopped.
    posology : str
        What is given, and for a drug the dose for which its effect stands.
    source : str
        Study id or DOI of the posology.
    fields : dict of str to RegimenField
        The fields of a regimen entry beside ``therapy``: always ``day``; ``stop_day`` unless given once; ``dose_ratio``
        for a drug whose effect stands for a reference dose.
    """

    name: str
    label: str
    family: Literal["ahsct", "msc", "nsc", "opc", "astrocyte", "treg", "dmt", "steroid", "remyelination", "als_drug"]
    entry: Literal["one_off", "course", "continuous"]
    posology: str
    source: str
    fields: Mapping[str, RegimenField]


_DAY = RegimenField(
    kind="day",
    unit="d",
    default=0,
    meaning="day on which it is given or starts, 0 is randomisation",
    source="by definition",
)
_STOP_DAY = RegimenField(
    kind="day", unit="d", optional=True, meaning="day on which it stops; left out, it goes on", source="by definition"
)
_DOSE_RATIO = RegimenField(
    kind="number",
    minimum=0.05,
    maximum=5,
    default=1,
    meaning="dose over the dose that `posology` states",
    source="the response to it: drugs.half_dose, of ALS riluzole.half_dose",
)


@functools.cache
def catalogue() -> Mapping[str, TherapyInfo]:
    """All therapies that a protocol can name, by name, in the order of ``catalogue.yaml``."""
    text = importlib.resources.files("stemtrial.therapy").joinpath("catalogue.yaml").read_text(encoding="utf-8")
    entries: dict[str, dict[str, Any]] = yaml.safe_load(text)
    therapies = {}
    for name, entry in entries.items():
        fields = {"day": _DAY} if entry["entry"] == "one_off" else {"day": _DAY, "stop_day": _STOP_DAY}
        if entry["family"] in ("dmt", "remyelination", "als_drug"):
            fields["dose_ratio"] = _DOSE_RATIO
        therapies[name] = TherapyInfo.model_validate(entry | {"name": name, "fields": entry.get("fields", {}) | fields})
    return therapies


def therapy_info(name: str) -> TherapyInfo:
    """The catalogue's entry for ``name``.

    Raises
    ------
    InputError
        If the therapy is not in the catalogue.
    """
    if name not in catalogue():
        raise InputError(f"therapy '{name}' is not known{did_you_mean(name, catalogue())}")
    return catalogue()[name]
