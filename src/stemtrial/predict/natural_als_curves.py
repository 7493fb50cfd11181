"""What the natural history of ALS shows beside the comparison: estimates by group, and the curves of its pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.predict import natural_estimators as estimate
from stemtrial.predict.natural_als_lives import AlsLives
from stemtrial.predict.natural_curves import (
    FEWEST,
    QUARTILES,
    ages_words,
    alive,
    between,
    comparable,
    km,
    means,
    picture,
    point,
)
from stemtrial.predict.natural_estimators import Estimated
from stemtrial.predict.natural_quantity import NaturalHistory, Row

ONSETS = {"everybody": "everybody"}
SITES = {
    "bulbar": "bulbar onset", "upper_limb": "upper limb onset", "lower_limb": "lower limb onset",
    "respiratory": "respiratory onset",
}  # fmt: skip
SEXES = {"women": True, "men": False}
ONSET_AGES = ((0, 50), (50, 60), (60, 70), (70, 99))
EVENTS = {
    "death": "death", "failure": "death, tracheostomy or permanent ventilation", "kings_2": "King's stage 2",
    "kings_3": "King's stage 3", "kings_4": "King's stage 4", "second_region": "a second region",
    "niv": "non-invasive ventilation", "gastrostomy": "gastrostomy",
}  # fmt: skip
TIMES = (1, 2, 3, 5, 10)
EVERY = 0.25
"""Years between the points of a curve of times to an event."""


def _everybody(history: NaturalHistory) -> AlsLives:
    (lives,) = history.worlds.values()
    assert isinstance(lives, AlsLives)
    return lives


def _sites(lives: AlsLives) -> dict[str, NDArray[np.bool_]]:
    found = {label: np.asarray(lives.site == site) for site, label in SITES.items()}
    return {label: rows for label, rows in found.items() if rows.sum() >= FEWEST}


def _onset_ages(lives: AlsLives) -> dict[str, NDArray[np.bool_]]:
    found = {f"onset {ages_words(a)}": between(lives.onset_age, a) for a in ONSET_AGES}
    return {label: rows for label, rows in found.items() if rows.sum() >= FEWEST}


def _groups(lives: AlsLives) -> Iterator[tuple[str, AlsLives]]:
    """Label and people of every group with enough of them."""
    yield "everybody", lives
    groups = _sites(lives) | {name: lives.female == female for name, female in SEXES.items()} | _onset_ages(lives)
    groups |= {"C9orf72": lives.c9orf72, "SOD1": lives.sod1}
    for name, rows in groups.items():
        if rows.sum() >= FEWEST:
            yield name, lives.take(rows)


def estimates(history: NaturalHistory) -> list[Row]:
    """Estimates by site and age of onset, sex and gene, each with its Monte Carlo interval.

    Returns
    -------
    list of dict
        ``who, measure, statistic, time_years, unit, value, mc95, people``.
    """
    out: list[Row] = []

    def add(who: str, measure: str, statistic: str, time: Any, unit: str, e: Estimated) -> None:
        if e.people:
            row = {"who": who, "measure": measure, "statistic": statistic, "time_years": time, "unit": unit}
            out.append(row | {"value": e.value, "mc95": [e.low, e.high], "people": e.people})

    for who, lives in _groups(_everybody(history)):
        incident = lives.incident()
        for event, label in EVENTS.items():
            time, happened = incident.time[event], incident.event[event]
            for q, name in QUARTILES:
                add(who, label, name, None, "y", estimate.quantile(time, happened, q))
            for at in (t for t in TIMES if t <= lives.years):
                add(who, label, "share by then", at, "share", estimate.share(time, happened, at))
        for at in (t for t in TIMES if t <= lives.years):
            for measure, unit, values in (("ALSFRS-R", "points", lives.alsfrs), ("SVC", "% of predicted", lives.svc)):
                add(who, measure, "mean of the living", at, unit, estimate.mean(lives.yearly(values)[:, at]))
    return out


def pictures(history: NaturalHistory) -> list[Row]:
    """Curves over time, with the published values that belong to them; as those of MS."""
    lives, since = _everybody(history), "years since onset"
    sites, ages = _sites(lives), _onset_ages(lives)
    out: list[Row] = []
    caption = "Lines are simulated, marks are registries: medians stand at 50 %, shares at their time."
    for ident, title, groups in (
        ("survival-site", "Survival by site of onset", {"everybody": np.ones(len(lives), bool)} | sites),
        ("survival-age", "Survival by age at onset", ages),
        ("survival-sex", "Survival by sex", {k: lives.female == v for k, v in SEXES.items()}),
    ):
        curves = [alive(name, lives.take(rows), every=EVERY) for name, rows in groups.items()]
        points = _survival_points(history, list(groups))
        told = caption if points else ""
        out.append(picture(ident, "survival", title, since, "alive", curves, points, percent=True, caption=told))
    for ident, section, title, events in (
        ("regions", "stages", "Regions involved", ("second_region", "third_region")),
        ("kings", "stages", "King's stages", ("kings_2", "kings_3", "kings_4")),
        ("mitos", "stages", "MiToS stages", ("mitos_1", "mitos_2", "mitos_3", "mitos_4")),
        ("care", "care", "Ventilation and gastrostomy", ("niv", "gastrostomy", "tracheostomy")),
    ):
        names = [
            EVENTS.get(e, e.replace("mitos_", "MiToS stage ").replace("_", " ")).removeprefix("a ") for e in events
        ]
        incident = lives.incident()
        curves = [km(name[:1].upper() + name[1:], incident, e, EVERY) for name, e in zip(names, events, strict=True)]
        out.append(picture(ident, section, title, since, "reached it", curves, percent=True))
    for ident, title, y, values in (
        ("alsfrs", "ALSFRS-R of the living", "points", lives.alsfrs),
        ("svc", "Slow vital capacity of the living", "% of predicted", lives.svc),
        ("nfl", "Serum neurofilament light of the living", "pg/ml", lives.nfl),
    ):
        yearly = lives.yearly(values)
        curves = [means(name, yearly[rows]) for name, rows in sites.items()]
        out.append(picture(ident, "function", title, since, y, curves))
    return [p for p in out if p["curves"]]


def _survival_points(history: NaturalHistory, groups: list[str]) -> list[Row]:
    out = []
    for q, whose, p in comparable(history):
        find, people = q.find, whose.model_dump(exclude_none=True)
        if q.against is not None or "death" not in (find.get("quantile"), find.get("share_without")):
            continue
        site, ages = people.pop("site", None), people.pop("onset_age", None)
        who = "everybody"
        if site is not None and len(site) == 1:
            who = SITES[site[0]]
        elif ages is not None:
            who = f"onset {ages_words((int(ages[0]), int(ages[1])))}"
        if people or (site is not None and ages is not None) or who not in groups or (site and len(site) > 1):
            continue
        k, median = groups.index(who), "quantile" in find
        x, y = (p["value"], 0.5) if median else (find["at"], p["value"])
        out.append(point(k, x, y, p, "x" if median else "y"))
    return out
