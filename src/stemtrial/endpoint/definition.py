"""Endpoint definitions by id, read from ``definitions.yaml``; what each needs to be measured."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, assert_never

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from stemtrial.disease import DISEASES
from stemtrial.endpoint.confirmed import PYRAMIDAL, ConfirmedChange
from stemtrial.endpoint.decline import JointRank, Slope, Trajectory
from stemtrial.endpoint.rules import (
    AdverseEvent,
    AnyOf,
    Death,
    Definition,
    FirstActivity,
    FirstMilestone,
    FirstRelapse,
    Leaving,
    LesionCount,
    LesionFree,
    RelapseCount,
    TreatmentDeath,
    VisitValue,
)
from stemtrial.errors import InputError, did_you_mean
from stemtrial.observe.instruments import instruments

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
    return {
        name: define({"id": name, **fields})
        for name, fields in yaml.safe_load(text).items()
        if not name.startswith("_")  # shared blocks
    }


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


def worsening_of(d: FirstActivity) -> ConfirmedChange | None:
    """Return the worsening that a first-activity definition names.

    Raises
    ------
    InputError
        If it names something else.

    """
    if d.worsening is None:
        return None
    found = find(d.worsening)
    if not isinstance(found, ConfirmedChange):
        raise InputError(f"endpoint '{d.id}': worsening '{d.worsening}' must be a confirmed_change definition")
    return found


def parts_of(d: AnyOf) -> list[VisitValue]:
    """Return the measurements that an any-of definition names.

    Raises
    ------
    InputError
        If one of them is no measurement with limits.

    """
    parts = [find(name) for name in d.of]
    for part in parts:
        if not isinstance(part, VisitValue) or part.kind != "status":
            raise InputError(f"endpoint '{d.id}': '{part.id}' must be a visit_value with at_least or at_most")
    return [part for part in parts if isinstance(part, VisitValue)]


def needs(definition: str | Definition) -> dict[str, set[str]]:
    """Return the tables that an endpoint reads and, of each, the columns that an instrument fills.

    Parameters
    ----------
    definition : str or Definition
        Id, or a definition.

    Returns
    -------
    dict of str to set of str
        Measured columns by table; an empty set: only the rows and bookkeeping columns (day, visit, event ...) matter.
        ``patients`` names the baseline measurements, not what screening knows (the slope of the run-in). A column that
        a rule uses only if it is there is not listed.

    Raises
    ------
    InputError
        If the id is unknown.

    """
    d = find(definition)
    out: dict[str, set[str]] = {"patients": set(), "disposition": set()}
    match d:
        case ConfirmedChange():
            out["visits"] = {*d.measures} | ({"edss"} if d.edss_at_least is not None else set())
            out["patients"] = {*d.measures} if d.baseline_days is None else set()
            out["patients"] |= {"edss"} if d.baseline_at_least > 0 else set()
            out["patients"] |= {*d.subgroup}
            if d.reads_relapses:
                out["relapses"] = set()
        case FirstActivity():
            worsening = worsening_of(d)
            out |= {"visits": set(), "mri": set()}
            if worsening is not None:
                out |= needs(worsening)
            if d.relapses:
                out["relapses"] = set()
            shown = {"gd_lesions": d.gd_lesions, "new_t2_lesions": d.new_t2_lesions}
            out["mri"] = {c for c, counts in shown.items() if counts}
            if d.brain_volume_loss_pct_per_year is not None:
                out["mri"].add("brain_volume_change_pct")
        case FirstRelapse() | RelapseCount():
            out["relapses"] = set()
        case LesionCount() | LesionFree():
            out["mri"] = {d.column}
        case VisitValue() if d.at_baseline:
            out["patients"] = {c for c in (d.column, *d.plus) if c in instruments()}  # not what screening knows
        case VisitValue():
            out[d.table] = {d.column, *d.plus}
            from_baseline = d.reference_days is None and (d.change != "none" or d.limits_reference)
            if d.change == "slope_change" or from_baseline:
                out["patients"] = set(out[d.table])
        case Slope():
            out["patients"] = {d.column, *d.plus}
            if d.measure != "before":
                out["visits"] = {d.column, *d.plus}
        case Trajectory() | JointRank():
            out["visits"] = out["patients"] = {d.column, *d.plus}
            if d.events:
                out["milestones"] = set()
        case FirstMilestone():
            out["milestones"] = set()
        case AnyOf():
            for part in parts_of(d):
                for table, columns in needs(part).items():
                    out[table] = out.get(table, set()) | columns
        case AdverseEvent():
            out["adverse_events"] = set()
        case Death() | TreatmentDeath() | Leaving():
            pass
        case _:
            assert_never(d)
    return out


_OF_ONE = {"relapses": "ms", "mri": "ms", "milestones": "als"}
"""Tables that only one disease has."""


def diseases_of(definition: str | Definition) -> tuple[str, ...]:
    """Return the diseases whose trials can measure an endpoint, in the order of ``stemtrial.disease.DISEASES``.

    Parameters
    ----------
    definition : str or Definition
        Id, or a definition.

    Returns
    -------
    tuple of str
        Those that have every table and every instrument that :func:`needs` names; harms and deaths are of all.

    Raises
    ------
    InputError
        If the id is unknown.

    """
    d = find(definition)
    out = set(DISEASES)
    if isinstance(d, VisitValue) and d.at_baseline and any(c.startswith("relapses_") for c in (d.column, *d.plus)):
        out &= {_OF_ONE["relapses"]}
    for table, columns in needs(d).items():
        out &= {_OF_ONE[table]} if table in _OF_ONE else set(DISEASES)
        for column in columns:
            out &= set(instruments()[column].diseases)
    return tuple(d for d in DISEASES if d in out)


__all__ = [
    "PYRAMIDAL",
    "define",
    "definitions",
    "diseases_of",
    "find",
    "needs",
    "parts_of",
    "worsening_of",
]
