"""What patients report: questionnaires as burden by deficits plus a stable share of the person plus the day.

Most of what a questionnaire measures is not the deficit: people of equal EDSS differ, and stay different. That share is
drawn once for each person. Fatigue and low mood are shared by all questionnaires, so that they correlate as published.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stemtrial.observe._checks import column
from stemtrial.observe.edss import Deficits
from stemtrial.observe.parameters import QuestionnaireParameters, merged

EQ5D_STEPS = tuple(range(10))
"""EDSS steps at which the utilities are given; between them it is interpolated, above the last it stays."""


class Person(NamedTuple):
    """Standard normals of a person, shape (rows,): fatigue and low mood (shared), and what is the instrument's own."""

    fatigue: ArrayLike
    mood: ArrayLike
    own: ArrayLike


def burden(
    deficits: Deficits, parameters: Mapping[str, float] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Physical and mental burden, fractions: weighted means of the regional deficits.

    Raises
    ------
    InputError
        If a deficit is not a fraction.

    """
    p = parameters if parameters is not None else merged()
    f = {k: column(f"f_{k}", v, 0.0, 1.0) for k, v in deficits._asdict().items()}
    physical = sum(p[f"physical_burden.{k}"] * f[k] for k in ("sc", "it", "pv"))
    mental = sum(p[f"mental_burden.{k}"] * f[k] for k in ("pv", "cj", "sc"))
    return np.asarray(physical), np.asarray(mental)


def als_burden(
    items: ArrayLike, parameters: Mapping[str, float] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Physical and mental burden of ALS, fractions, from the items of the ALSFRS-R without rating error.

    Physical is the mean loss of what the four physical parts of the ALSAQ-40 ask (mobility, use of the arms, eating,
    communication), weighted by their numbers of items; mental is the share of the whole scale that is lost.

    Parameters
    ----------
    items : array_like, shape (rows, 12)
        Scores 0-4 in the order of :data:`stemtrial.observe.alsfrs.ITEMS`.
    parameters : mapping, optional
        All numbers (:func:`stemtrial.observe.parameters.merged`).

    Raises
    ------
    InputError
        If a score lies outside 0-4.

    """
    p = parameters if parameters is not None else merged()
    lost = 1.0 - column("item", items, 0.0, 4.0) / 4.0
    asked = {"gross_motor": slice(6, 9), "fine_motor": slice(3, 6), "swallowing": slice(2, 3), "speech": slice(0, 1)}
    weights = {k: p[f"alsaq40_items.{k}"] for k in asked}
    physical = sum(weights[k] * lost[:, rows].mean(1) for k, rows in asked.items()) / sum(weights.values())
    return np.asarray(physical), np.asarray(lost.mean(1))


def questionnaire(
    physical: ArrayLike,
    mental: ArrayLike,
    smouldering: ArrayLike,
    person: Person,
    normals: ArrayLike,
    parameters: QuestionnaireParameters,
) -> NDArray[np.float64]:
    """Score of a questionnaire before it is rounded to its grid and cut to its range.

    Parameters
    ----------
    physical, mental : array_like of float, shape (rows,)
        Burden, see :func:`burden`.
    smouldering : array_like of float
        Smouldering inflammation, >= 0; counts for fatigue only.
    person : Person
        What the person brings.
    normals : array_like of float
        Standard normals of the visit.
    parameters : QuestionnaireParameters
        ``load(QuestionnaireParameters, owner="mfis")`` and the like.

    Raises
    ------
    InputError
        If a burden or the smouldering inflammation is out of range.

    """
    p = parameters
    score = p.base + p.physical * column("physical burden", physical, 0.0, 2.0)
    score = score + p.mental * column("mental burden", mental, 0.0, 2.0)
    if p.smouldering:
        score = score + p.smouldering * column("smouldering", smouldering, 0.0)
    score = score + p.fatigue * np.asarray(person.fatigue) + p.mood * np.asarray(person.mood)
    return np.asarray(score + p.own * np.asarray(person.own) + p.visit * np.asarray(normals))


def eq5d(
    edss: ArrayLike,
    days_since_relapse: ArrayLike,
    person: Person,
    normals: ArrayLike,
    parameters: Mapping[str, float] | None = None,
) -> NDArray[np.float64]:
    """EQ-5D-3L utility, UK values, before it is cut to its range (-0.594 to 1).

    Parameters
    ----------
    edss : array_like of float, shape (rows,)
        EDSS without rating error: a utility is lived, not rated.
    days_since_relapse : array_like of float
        Days since the last reported relapse, >= 0.
    person : Person
        What the person brings.
    normals : array_like of float
        Standard normals of the visit.
    parameters : mapping, optional
        All numbers (:func:`stemtrial.observe.parameters.merged`).

    Raises
    ------
    InputError
        If EDSS is outside 0-10 or the days are negative.

    """
    p = parameters if parameters is not None else merged()
    mean = np.interp(column("edss", edss, 0.0, 10.0), EQ5D_STEPS, [p[f"eq5d_edss_{k}"] for k in EQ5D_STEPS])
    recent = column("days_since_relapse", days_since_relapse, 0.0) <= p["eq5d_relapse_days"]
    stable = p["eq5d_fatigue"] * np.asarray(person.fatigue) + p["eq5d_mood"] * np.asarray(person.mood)
    stable = stable + p["eq5d_own"] * np.asarray(person.own)
    return np.asarray(mean + p["eq5d_relapse"] * recent + stable + p["eq5d_visit"] * np.asarray(normals))
