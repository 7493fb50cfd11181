"""Courses of MS as regions of one distribution: how each begins, how its people are found, what screening calls it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from stemtrial.cohort.population import Onset
from stemtrial.errors import InputError, did_you_mean

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
        Course("spms", "relapsing onset, by date", "relapsing", "date"),
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


def secondary_progressive(
    ambulation_rise: NDArray[Any], edss: NDArray[Any], days_since_relapse: NDArray[Any], p: Mapping[str, float]
) -> NDArray[np.bool_]:
    """Who of those with a relapsing onset is called secondary progressive.

    A physician calls it so when walking has worsened over the last year without a relapse to explain it; the model's
    noise-free walking index stands in for that judgement (``docs/design/ms_model.md`` section 9).

    Parameters
    ----------
    ambulation_rise : ndarray
        Noise-free walking index minus that of a year before; NaN (unknown) is not called progressive.
    edss : ndarray
        Rated EDSS.
    days_since_relapse : ndarray
        Days since the last reported relapse.
    p : mapping
        Parameters by registered name.
    """
    return np.asarray(
        (ambulation_rise >= p["cohort.progressive.ambulation_rise"])
        & (edss >= p["cohort.progressive.edss"])
        & (days_since_relapse > p["cohort.progressive.relapse_free_days"])
    )
