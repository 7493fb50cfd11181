"""Endpoints: named, cited definitions; pure functions of tables to events, values and counts."""

from stemtrial.endpoint.definition import (
    ConfirmedChange,
    Death,
    Definition,
    FirstActivity,
    FirstRelapse,
    LesionCount,
    RelapseCount,
    Threshold,
    TreatmentDeath,
    VisitValue,
    define,
    definitions,
    find,
)
from stemtrial.endpoint.derive import Counts, Events, Values, derive

__all__ = [
    "ConfirmedChange",
    "Counts",
    "Death",
    "Definition",
    "Events",
    "FirstActivity",
    "FirstRelapse",
    "LesionCount",
    "RelapseCount",
    "Threshold",
    "TreatmentDeath",
    "Values",
    "VisitValue",
    "define",
    "definitions",
    "derive",
    "find",
]
