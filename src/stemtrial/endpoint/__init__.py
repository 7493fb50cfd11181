"""Endpoints: named, cited definitions; pure functions of tables to events, values and counts."""

from stemtrial.endpoint.change import changes
from stemtrial.endpoint.confirmed import ConfirmedChange, Threshold
from stemtrial.endpoint.decline import JointRank, Slope, Trajectory
from stemtrial.endpoint.definition import define, definitions, diseases_of, find, needs
from stemtrial.endpoint.derive import Counts, Courses, Events, Values, derive
from stemtrial.endpoint.readout import readout
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

__all__ = [
    "AdverseEvent",
    "AnyOf",
    "ConfirmedChange",
    "Counts",
    "Courses",
    "Death",
    "Definition",
    "Events",
    "FirstActivity",
    "FirstMilestone",
    "FirstRelapse",
    "JointRank",
    "Leaving",
    "LesionCount",
    "LesionFree",
    "RelapseCount",
    "Slope",
    "Threshold",
    "Trajectory",
    "TreatmentDeath",
    "Values",
    "VisitValue",
    "changes",
    "define",
    "definitions",
    "derive",
    "diseases_of",
    "find",
    "needs",
    "readout",
]
