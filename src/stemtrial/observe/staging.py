"""Clinical stages of ALS, read off the rated items of the ALSFRS-R: King's and MiToS. They have no error of their own.

King's counts regions with a symptom and looks for the need of gastrostomy (4A) or ventilation (4B): Roche 2012
(doi:10.1093/brain/awr351), from items by the algorithm of Balendra 2014 (pmid 24720420). Where it says that the
version of an item for patients with gastrostomy is filled in, the gastrostomy itself is asked. MiToS counts functions
in which independence is lost: Chio 2015 (chio2015_mitos, table 1). Death, stage 5 of both, stands in no visit.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stemtrial.errors import InputError, did_you_mean
from stemtrial.observe._checks import column
from stemtrial.observe.parameters import ALSFRS_ITEMS

REGION_ITEMS: dict[str, tuple[str, ...]] = {
    "bulbar": ("speech", "salivation", "swallowing"),
    "arms": ("handwriting", "cutting_food"),
    "legs": ("walking",),
}
"""Items that tell whether a region is involved: any below 4. The others depend on arms and legs alike."""

_NORMAL = 4.0


def _item(items: Mapping[str, ArrayLike], name: str) -> NDArray[np.float64]:
    if name not in items:
        raise InputError(f"item '{name}' is not given{did_you_mean(name, items)}; stages are read off rated items")
    return column(f"item '{name}'", items[name], 0.0, _NORMAL)


def regions_involved(items: Mapping[str, ArrayLike]) -> NDArray[np.float64]:
    """How many regions have a symptom, 0-3: bulbar, arms, legs (:data:`REGION_ITEMS`).

    Parameters
    ----------
    items : mapping of str to array_like, each of shape (rows,)
        Rated items by column name, 0-4 (:data:`stemtrial.observe.alsfrs.ITEMS`).

    Raises
    ------
    InputError
        If an item is absent or outside 0-4 (NaN always is).

    """
    below = [np.min([_item(items, name) for name in names], axis=0) < _NORMAL for names in REGION_ITEMS.values()]
    return np.asarray(np.sum(below, axis=0), dtype=np.float64)


def kings_stage(items: Mapping[str, ArrayLike], gastrostomy: ArrayLike) -> NDArray[np.float64]:
    """King's clinical stage 1-4: regions involved, 4 with gastrostomy (4A) or respiratory failure (4B).

    4B is ventilation of any kind (item ``respiratory_insufficiency`` below 4) or ``dyspnoea`` of 0. Somebody with the
    disease and no item below 4 is in stage 1.

    Parameters
    ----------
    items
        As in :func:`regions_involved`.
    gastrostomy : array_like of float, shape (rows,)
        1 with gastrostomy, 0 without.

    Raises
    ------
    InputError
        If an item is absent or outside 0-4, or the gastrostomy is outside 0-1.

    """
    fed = column("gastrostomy", gastrostomy, 0.0, 1.0) > 0.5
    breathless = (_item(items, "respiratory_insufficiency") < _NORMAL) | (_item(items, "dyspnoea") == 0.0)
    return np.where(fed | breathless, 4.0, np.maximum(regions_involved(items), 1.0))


def mitos_stage(items: Mapping[str, ArrayLike]) -> NDArray[np.float64]:
    """Milano-Torino stage 0-4: functions in which independence is lost.

    Swallowing (item at most 1), movement (walking or dressing at most 1), communication (speech and handwriting at
    most 1), breathing (dyspnoea at most 1 or respiratory insufficiency at most 2).

    Parameters
    ----------
    items
        As in :func:`regions_involved`.

    Raises
    ------
    InputError
        If an item is absent or outside 0-4.

    """
    x = {name: _item(items, name) for name in ALSFRS_ITEMS}
    lost = [
        x["swallowing"] <= 1.0,
        (x["walking"] <= 1.0) | (x["dressing"] <= 1.0),
        (x["speech"] <= 1.0) & (x["handwriting"] <= 1.0),
        (x["dyspnoea"] <= 1.0) | (x["respiratory_insufficiency"] <= 2.0),
    ]
    return np.asarray(np.sum(lost, axis=0), dtype=np.float64)
