"""What a natural history shows beside the comparison: estimates by group, and the curves of its pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import integrate

from stemtrial.cohort.ms.natural import surviving
from stemtrial.predict import natural_estimators as estimate
from stemtrial.predict import natural_ms_estimators as ms
from stemtrial.predict.natural_curves import (
    FEWEST,
    QUARTILES,
    ages_words,
    alive,
    between,
    comparable,
    curve,
    km,
    means,
    picture,
    point,
    rates,
)
from stemtrial.predict.natural_estimators import Estimated
from stemtrial.predict.natural_ms_lives import MsLives
from stemtrial.predict.natural_quantity import NaturalHistory, Row

ONSET_YEAR = 1980.0
Floats = NDArray[np.float64]
ONSETS = {"relapsing": "relapsing onset", "primary": "progressive onset", "paediatric": "onset before 18"}
EVENTS = {"edss_3": "EDSS 3", "edss_4": "EDSS 4", "edss_6": "EDSS 6", "edss_7": "EDSS 7"}
SPMS = {"spms": "secondary progression"}
SEXES = {"women": True, "men": False}
ONSET_AGES = ((0, 18), (18, 30), (30, 40), (40, 50), (50, 99))
AGES = ((10, 20), (20, 30), (30, 40), (40, 50), (50, 60), (60, 70))
TIMES = (10, 15, 20, 25, 30)


def estimates(history: NaturalHistory) -> list[Row]:
    """Estimates by kind of onset (in 1980), sex and age at onset, each with its Monte Carlo interval.

    Returns
    -------
    list of dict
        ``who, measure, statistic, time_years, unit, value, mc95, people``. ``time_years`` is years since onset, or the
        years (low, high) of a period.
    """
    out: list[Row] = []

    def add(who: str, measure: str, statistic: str, time: Any, unit: str, e: Estimated) -> None:
        if e.people:
            row = {"who": who, "measure": measure, "statistic": statistic, "time_years": time, "unit": unit}
            out.append(row | {"value": e.value, "mc95": [e.low, e.high], "people": e.people})

    for who, kind, lives in _groups(history):
        events = EVENTS | ({} if kind == "primary" else SPMS)
        for event, label in events.items():
            time, event_of = lives.time[event], lives.event[event]
            for q, name in QUARTILES:
                add(who, label, name, None, "y", estimate.quantile(time, event_of, q))
            for at in (t for t in TIMES if t <= lives.years):
                add(who, label, "share by then", at, "share", estimate.share(time, event_of, at))
        add(who, "EDSS 4 to EDSS 6", "median", None, "y", estimate.gap(lives, "edss_4", "edss_6"))
        for low in range(0, lives.years, 5):
            period = slice(low, min(low + 5, lives.years))
            span = [low, period.stop]
            years = lives.exposure[:, period]
            if years.sum() >= FEWEST:
                add(who, "relapses", "rate", span, "1/y", estimate.rate(lives.relapses[:, period], years))
                add(who, "new T2 lesions", "rate", span, "1/y", estimate.rate(lives.new_t2[:, period], years))
        for at in (1, 5, *TIMES):
            if at <= lives.years:
                add(who, "T2 volume", "mean", at, "ml", estimate.mean(lives.t2_volume[:, at]))
                add(who, "brain volume since onset", "mean change", at, "%", estimate.mean(lives.brain_volume[:, at]))
        for at in (t for t in (*TIMES, 40, 50) if t <= lives.years):
            dead = estimate.share(lives.time["death"], lives.event["death"], at)
            add(
                who,
                "alive",
                "share by then",
                at,
                "share",
                Estimated(1 - dead.value, 1 - dead.high, 1 - dead.low, dead.people),
            )
        add(
            who,
            f"life years lost within {lives.years} years",
            "mean",
            None,
            "y",
            _years_lost(lives, history.parameters),
        )
        add(who, "mortality over the general population's", "ratio", None, "ratio",
            ms.mortality_ratio(lives, history.parameters))  # fmt: skip
    return out


def _groups(history: NaturalHistory) -> Iterator[tuple[str, str, MsLives]]:
    """Label, kind of onset and people of every group with enough of them."""
    for kind, label in ONSETS.items():
        lives = history.worlds.get((kind, ONSET_YEAR))
        if lives is None:
            continue
        yield label, kind, lives
        groups = {f"{label}, {name}": lives.female == female for name, female in SEXES.items()}
        if kind == "relapsing":
            groups |= {f"{label} {ages_words(a)}": between(lives.onset_age, a) for a in ONSET_AGES}
            groups |= {f"{label}, {name}": rows for name, rows in _early(lives).items()}
        for name, rows in groups.items():
            if rows.sum() >= FEWEST:
                yield name, kind, lives.take(rows)


def _early(lives: MsLives) -> dict[str, NDArray[np.bool_]]:
    n = lives.early_attacks
    return {"1 attack in 2 years": n == 1, "2 attacks in 2 years": n == 2, "3 or more attacks in 2 years": n >= 3}


def _years_lost(lives: MsLives, p: Mapping[str, float]) -> Estimated:
    """Years that people of the same ages and sexes without MS would have lived beyond them, within the follow-up."""
    t = np.arange(0.0, lives.years + 0.05, 0.1)
    table = np.arange(0.0, 100.0)
    women, men = (
        np.interp(lives.onset_age, table, integrate.trapezoid(surviving(p, table[:, None], female, t), t, axis=1))
        for female in (True, False)
    )
    return estimate.mean(np.where(lives.female, women, men) - lives.end_years)


# -- pictures ---------------------------------------------------------------------------------------------------------
def pictures(history: NaturalHistory) -> list[Row]:
    """Curves over time, with the published values that belong to them.

    Returns
    -------
    list of dict
        ``id, section, title, caption, x_title, y_title, percent, curves, published``. A curve has ``label, x, y``, and
        ``lo, hi`` (95 % Monte Carlo limits) or ``beside``, the number of the curve that it compares with. A published
        point has ``curve`` (its number), ``x, y, across`` (interval along the axis named ``axis``), ``verification,
        text, role``.
    """
    worlds = {k: history.worlds[k, ONSET_YEAR] for k in ONSETS if (k, ONSET_YEAR) in history.worlds}
    out: list[Row] = []
    since = "years since onset"
    for kind, lives in worlds.items():
        events = EVENTS | ({} if kind == "primary" else SPMS)
        curves = [km(label, lives, event) for event, label in events.items()]
        points = _points(history, kind, list(events))
        out.append(
            picture(
                f"disability-{kind}", "disability", f"Disability, {ONSETS[kind]}", since, "reached it, deaths censored",
                curves, points, percent=True,
                caption="Lines are simulated, marks are registries: medians stand at 50 %, shares at their time.",
            )
        )  # fmt: skip
    if "relapsing" in worlds:
        lives = worlds["relapsing"]
        ages = {f"onset {ages_words(a)}": between(lives.onset_age, a) for a in ONSET_AGES}
        for ident, title, groups in (
            ("early", "EDSS 6 by attacks in the first two years", _early(lives)),
            ("onset-age", "EDSS 6 by age at onset, relapsing onset", ages),
            ("sex", "EDSS 6 by sex, relapsing onset", {k: lives.female == v for k, v in SEXES.items()}),
        ):
            shown = {k: rows for k, rows in groups.items() if rows.sum() >= FEWEST}
            curves = [km(name, lives.take(rows), "edss_6") for name, rows in shown.items()]
            points = _early_points(history, list(shown)) if ident == "early" else []
            out.append(
                picture(ident, "groups", title, since, "share at EDSS 6", curves, points, percent=True,
                         caption="The first attack counts." if ident == "early" else "")
            )  # fmt: skip

    yearly = _yearly_points(history) if "relapsing" in worlds else []

    def over_time(
        ident: str, section: str, title: str, y: str, curve: Callable[[str, MsLives], Row], **more: Any
    ) -> None:
        curves = [curve(ONSETS[k], lives) for k, lives in worlds.items()]
        out.append(picture(ident, section, title, since, y, curves, **more))

    over_time(
        "relapses", "activity", "Relapses by year of disease", "relapses a year",
        lambda label, x: rates(label, x.relapses, x.exposure), points=yearly,
        caption="Without the first attack.",
    )  # fmt: skip
    curves = [_by_age(ONSETS[k], lives) for k, lives in worlds.items()]
    out.append(picture("relapses-age", "activity", "Relapses by age", "age, years", "relapses a year", curves))
    over_time("new-t2", "activity", "New T2 lesions", "a year", lambda label, x: rates(label, x.new_t2, x.exposure))
    over_time("t2-volume", "tissue", "T2 lesion volume", "ml", lambda label, x: means(label, x.t2_volume))
    over_time("brain", "tissue", "Brain volume since onset", "change, %", lambda label, x: means(label, x.brain_volume))
    over_time("nfl", "tissue", "Serum neurofilament light", "pg/ml", lambda label, x: means(label, x.nfl))
    ill: list[Row] = []
    well: list[Row] = []
    for kind, lives in worlds.items():
        if kind == "paediatric" and len(worlds) > 1:
            continue
        t = np.arange(0.0, lives.years + 0.5, 0.5)
        general = surviving(history.parameters, lives.onset_age[:, None], lives.female[:, None], t).mean(0)
        name = f"people without MS, as old as {ONSETS[kind]}"
        well.append({"label": name, "x": t.tolist(), "y": general.tolist(), "beside": len(ill)})
        ill.append(alive(ONSETS[kind], lives))
    caption = "People without MS of the same ages and sexes have the mortality that the disease multiplies."
    out.append(picture("survival", "survival", "Survival", since, "alive", ill + well, percent=True, caption=caption))
    return [p for p in out if p["curves"]]


def _by_age(label: str, lives: MsLives) -> Row:
    age = lives.onset_age[:, None] + np.arange(lives.years) + 0.5
    x, found = [], []
    for low, high in AGES:
        here = (age >= low) & (age < high)
        exposure = np.where(here, lives.exposure, 0.0)
        if exposure.sum() >= 10 * FEWEST:
            x.append((low + high) / 2)
            found.append(estimate.rate(np.where(here, lives.relapses, 0.0), exposure))
    return curve(label, x, *([getattr(e, f) for e in found] for f in ("value", "low", "high")))


# -- published points -------------------------------------------------------------------------------------------------
def _points(history: NaturalHistory, kind: str, events: list[str]) -> list[Row]:
    out = []
    for q, people, p in comparable(history):
        if people.onset != kind or people.female is not None or people.early_attacks or people.onset_year != ONSET_YEAR:
            continue
        event = q.find.get("quantile") or q.find.get("share")
        if event in events:
            median = "quantile" in q.find
            x, y = (p["value"], 0.5) if median else (q.find["at"], p["value"])
            out.append(point(events.index(event), x, y, p, "x" if median else "y"))
    return out


def _early_points(history: NaturalHistory, groups: list[str]) -> list[Row]:
    names = {(1.0, 1.0): "1 attack in 2 years", (3.0, 99.0): "3 or more attacks in 2 years"}
    return [
        point(groups.index(names[people.early_attacks]), p["value"], 0.5, p, "x")
        for q, people, p in comparable(history)
        if q.find.get("quantile") == "edss_6" and names.get(people.early_attacks) in groups
    ]


def _yearly_points(history: NaturalHistory) -> list[Row]:
    return [
        point(0, sum(q.find["relapse_rate"]) / 2, p["value"], p, "y")
        for q, people, p in comparable(history)
        if "relapse_rate" in q.find and q.find["relapse_rate"][1] - q.find["relapse_rate"][0] == 1
        and not q.find.get("with_onset") and q.against is None and people.onset == "relapsing"
    ]  # fmt: skip
