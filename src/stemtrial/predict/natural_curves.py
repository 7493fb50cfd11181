"""Curves of a natural history: Kaplan-Meier estimates, means of the living, and the published values on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial import analysis
from stemtrial.predict import natural_estimators as estimate
from stemtrial.predict.natural_lives import Lives
from stemtrial.predict.natural_quantity import NaturalHistory, Quantity, Row

Floats = NDArray[np.float64]
FEWEST = 50
"""Groups with fewer people, and years with fewer of them, are not shown."""
QUARTILES = ((0.25, "lower quartile"), (0.5, "median"), (0.75, "upper quartile"))


def picture(
    ident: str, section: str, title: str, x_title: str, y_title: str, curves: list[Row],
    points: Sequence[Row] = (), percent: bool = False, caption: str = "",
) -> Row:  # fmt: skip
    """Data of one picture: curves that have points, and the published values on them."""
    return {
        "id": ident, "section": section, "title": title, "caption": caption, "x_title": x_title, "y_title": y_title,
        "percent": percent, "curves": [c for c in curves if c["x"]], "published": list(points),
    }  # fmt: skip


def km(label: str, lives: Lives, event: str, every: float = 0.5) -> Row:
    """Share with an event over time (Kaplan-Meier), every so many years, with 95 % limits."""
    t = np.arange(0.0, lives.years + every / 2, every)
    found = analysis.kaplan_meier(lives.time[event][None], lives.event[event][None], t)
    known = np.isfinite(found.survival[0])
    s = found.survival[0][known]
    low, high = (np.where(np.isnan(x[0][known]), s, x[0][known]) for x in (found.upper, found.lower))
    return curve(label, t[known], 1 - s, 1 - low, 1 - high)


def curve(label: str, x: Any, y: Any, lo: Any, hi: Any) -> Row:
    """Data of one curve with its limits."""
    return {
        "label": label,
        **{k: np.asarray(v, float).tolist() for k, v in zip(("x", "y", "lo", "hi"), (x, y, lo, hi), strict=True)},
    }


def rates(label: str, count: Floats, exposure: Floats) -> Row:
    """Events a person-year by year since onset; years with too few people are left out."""
    years = [k for k in range(count.shape[1]) if exposure[:, k].sum() >= FEWEST]
    found = [estimate.rate(count[:, k], exposure[:, k]) for k in years]
    return curve(label, [k + 0.5 for k in years], *([getattr(e, f) for e in found] for f in ("value", "low", "high")))


def means(label: str, values: Floats) -> Row:
    """Means of the living at whole years since onset; years with too few people are left out."""
    years = [k for k in range(values.shape[1]) if np.isfinite(values[:, k]).sum() >= FEWEST]
    found = [estimate.mean(values[:, k]) for k in years]
    return curve(label, years, *([getattr(e, f) for e in found] for f in ("value", "low", "high")))


def comparable(history: NaturalHistory) -> Iterator[tuple[Quantity, Any, Row]]:
    """Quantity, its people, and each of its published values that has a number and is alike."""
    for row in history.comparison:
        for p in row["published"]:
            alike = p["not_scored"] is None or p["verification"] == "recalled"
            if p["value"] is not None and alike and not p["unlike"]:
                q = history.quantities[row["quantity"]]
                yield q, q.people, p


def point(curve: int, x: float, y: float, p: Row, axis: str) -> Row:
    """A published value on a curve; ``axis`` is the one along which its interval lies."""
    return {
        "curve": curve, "x": x, "y": y, "axis": axis, "across": p["interval"] if p["ci95"] else None,
        "verification": p["verification"], "text": f"{p['citation']} ({p['outcome_id']})", "role": p["role"],
    }  # fmt: skip


def ages_words(ages: tuple[int, int]) -> str:
    """Ages from low to below high in words."""
    return (
        f"before {ages[1]}" if ages[0] == 0 else f"from {ages[0]}" if ages[1] == 99 else f"at {ages[0]}-{ages[1] - 1}"
    )


def between(values: Floats, limits: tuple[int, int]) -> NDArray[np.bool_]:
    """Which values lie from low to below high."""
    return np.asarray((values >= limits[0]) & (values < limits[1]))


def alive(label: str, lives: Lives, event: str = "death", every: float = 0.5) -> Row:
    """Share without an event over time, with 95 % limits."""
    dying = km(label, lives, event, every)
    return dying | {k: [1 - v for v in dying[of]] for k, of in (("y", "y"), ("lo", "hi"), ("hi", "lo"))}
