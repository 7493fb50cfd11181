"""Courses of MS as regions of one distribution: how each begins, how its people are found, what screening calls it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from stemtrial.cohort.ms.population import Onset
from stemtrial.disease.ms import REGIONS
from stemtrial.errors import InputError, did_you_mean
from stemtrial.observe import Deficits, PatientWeights, functional_systems
from stemtrial.observe.parameters import EdssParameters, from_draw, load

Referral = Literal["relapse", "date", "first_attack"]


@dataclass(frozen=True)
class Course:
    """How people with a course are found.

    Attributes
    ----------
    name, label : str
        Name in a protocol; name in a report.
    onset : {"relapsing", "primary", "paediatric"}
        Kind of onset.
    referral : {"relapse", "date", "first_attack"}
        What brings people to screening: a relapse, a day that has nothing to do with the disease, or the first attack.
    """

    name: str
    label: str
    onset: Onset
    referral: Referral


COURSES: Mapping[str, Course] = {
    c.name: c
    for c in (
        Course("rrms", "relapsing MS", "relapsing", "relapse"),
        Course("cis", "a first attack of MS", "relapsing", "first_attack"),
        Course("spms", "relapsing onset", "relapsing", "date"),
        Course("ppms", "primary progressive MS", "primary", "date"),
        Course("paediatric", "MS begun before 18", "paediatric", "relapse"),
    )
}


def course_of(name: str) -> Course:
    """Look a course up.

    Raises
    ------
    InputError
        If it is unknown.
    """
    if name not in COURSES:
        raise InputError(f"course '{name}' cannot be recruited{did_you_mean(name, COURSES)}")
    return COURSES[name]


def walking_lost_a_year(
    deficits: Deficits, people: PatientWeights, smouldering: NDArray[Any], p: Mapping[str, float]
) -> NDArray[np.float64]:
    """How much the noise-free walking index rises in a year by smouldering loss alone, relapses apart.

    Parameters
    ----------
    deficits, people
        Regional deficits and how they show, one row a person.
    smouldering : ndarray
        Smouldering inflammation.
    p : mapping
        Parameters by registered name.
    """
    known = load(EdssParameters, from_draw(p))
    later = Deficits(
        *(
            1.0 - (1.0 - np.asarray(f)) * np.exp(-p["ms.kX"] * p[f"ms.wX.{r}"] * smouldering)
            for r, f in zip(REGIONS, deficits, strict=True)
        )
    )
    return functional_systems(later, people, known)[1] - functional_systems(deficits, people, known)[1]


def progressive(walking_lost: NDArray[Any], edss: NDArray[Any], p: Mapping[str, float]) -> NDArray[np.bool_]:
    """Who is called progressive: walking gets worse between relapses, and the EDSS has reached a level.

    The loss of walking by smouldering inflammation stands in for what a physician sees over years
    (``docs/design/ms_model.md`` section 9); of relapsing onset it makes the course secondary progressive.

    Parameters
    ----------
    walking_lost : ndarray
        From :func:`walking_lost_a_year`.
    edss : ndarray
        Rated EDSS.
    p : mapping
        Parameters by registered name.
    """
    return np.asarray((walking_lost >= p["cohort.progressive.walking_lost"]) & (edss >= p["cohort.progressive.edss"]))
