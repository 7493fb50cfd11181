"""Endpoints: named, cited definitions; pure functions of tables to events, values and counts."""

from stemtrial.endpoint.change import changes
from stemtrial.endpoint.confirmed import ConfirmedChange, Threshold
from stemtrial.endpoint.definition import define, definitions, find, needs
from stemtrial.endpoint.derive import Counts, Events, Values, derive
from stemtrial.endpoint.readout import readout
from stemtrial.endpoint.rules import (
    AdverseEvent,
    AnyOf,
    Death,
    Definition,
    FirstActivity,
    FirstRelapse,
    LesionCount,
    LesionFree,
    RelapseCount,
    TreatmentDeath,
    VisitValue,
)

__all__ = [
    "AdverseEvent",
    "AnyOf",
    "ConfirmedChange",
    "Counts",
    "Death",
    "Definition",
    "Events",
    "FirstActivity",
    "FirstRelapse",
    "LesionCount",
    "LesionFree",
    "RelapseCount",
    "Threshold",
    "TreatmentDeath",
    "Values",
    "VisitValue",
    "changes",
    "define",
    "definitions",
    "derive",
    "find",
    "needs",
    "readout",
]
