"""Confirmed changes of tables: the first that counts, and the list of all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stemtrial.endpoint.change_kernel import ANY, PIRA, RAW, UNDEFINED, find_changes
from stemtrial.endpoint.confirmed import PYRAMIDAL, ConfirmedChange, window
from stemtrial.endpoint.definition import find
from stemtrial.endpoint.horizon import at_visit
from stemtrial.endpoint.ragged import DAYS_PER_YEAR, FOREVER, NO_ROWS, Bools, Floats, Rows, Trial
from stemtrial.endpoint.rules import Definition
from stemtrial.errors import InputError
from stemtrial.tables import Table

_MONTH = DAYS_PER_YEAR / 12
BASELINE_WITHIN_DAYS = 42
"""A later baseline is at most that far from its day: half-way between visits every twelve weeks."""
_CLASSES = {"any": ANY, "pira": PIRA, "raw": RAW, "undefined": UNDEFINED}
CLASS_NAMES = np.array([name for name, _ in sorted(_CLASSES.items(), key=lambda c: c[1]) if name != "any"])


class _Found(NamedTuple):
    """What one measure shows: time to the first change that counts, and with ``every`` all changes."""

    measure: str
    time: Floats
    event: Bools
    days: NDArray[np.int64]
    values: Floats


def months(trial: Trial, table: str, event_time: str) -> Floats:
    """Whole months of each scheduled visit, by replicate; no columns where the actual day counts."""
    if event_time == "actual":
        return np.empty((trial.n_groups, 0))
    return np.round(trial.schedule_days(table) / _MONTH)


def _blocked(d: ConfirmedChange, trial: Trial) -> Bools:
    """Visits at which the further conditions do not hold; empty if there are none."""
    conditions = []
    if d.edss_at_least is not None:
        conditions.append(~(trial.floats("visits", "edss") >= d.edss_at_least))
    if d.pyramidal_at_least is not None and trial.has("visits", PYRAMIDAL):
        conditions.append(~(trial.floats("visits", PYRAMIDAL) >= d.pyramidal_at_least))
    return np.logical_or.reduce(conditions) if conditions else np.empty(0, np.bool_)


def _windows(texts: tuple[str, ...]) -> NDArray[np.int64]:
    return np.array([window(t) for t in texts], np.int64).reshape(-1, 4)


def _baseline(d: ConfirmedChange, trial: Trial, measure: str) -> Floats:
    """Return the value from which a measure changes, NaN where there is none."""
    if d.baseline_days is None:
        return trial.floats("patients", measure)
    values, end = trial.floats("visits", measure), trial.end(d.censor_at)
    return at_visit(trial, "visits", values, end, d.baseline_days / DAYS_PER_YEAR, BASELINE_WITHIN_DAYS)[0]


def _by_measure(d: ConfirmedChange, trial: Trial, every: bool) -> Iterator[_Found]:
    """Walk through the visits once for each measure."""
    rows, number = trial.rows("visits"), trial.integers("visits", "visit")
    relapses = trial.rows("relapses") if d.reads_relapses else Rows(np.zeros(trial.n + 1, np.int64), NO_ROWS)
    end = trial.end(d.censor_at)
    death = trial.first_disposition(("died",)) if d.death == "event" else np.full(trial.n, FOREVER)
    at_risk = np.ones(trial.n, np.bool_)
    if d.baseline_at_least > 0:
        at_risk = trial.floats("patients", "edss") >= d.baseline_at_least
    blocked, clock = _blocked(d, trial), months(trial, "visits", d.event_time)
    capacity = len(rows.day) if every else 0
    for measure in d.measures:
        edss = measure == "edss"
        steps = [(t.up_to, t.by) for t in d.thresholds] if edss else [(np.inf, d.points.get(measure, 0.0))]
        up_to, by = np.array(steps, np.float64).reshape(-1, 2).T.copy()
        time, event = np.empty(trial.n), np.empty(trial.n, np.bool_)
        days, values = np.empty((capacity, 5), np.int64), np.empty((capacity, 3))
        n = find_changes(
            _baseline(d, trial, measure),
            at_risk,
            rows.offsets,
            rows.day,
            number,
            trial.floats("visits", measure),
            blocked,
            relapses.offsets,
            relapses.day,
            end,
            death,
            trial.group,
            up_to,
            by,
            d.reach if edss and d.reach is not None else 0.0,
            d.percent.get(measure, 0.0),
            1.0 if d.direction == "worse" else -1.0,
            d.confirmation_days - d.tolerance_days,
            max(d.onset_from_days, d.baseline_days or 0),
            d.reference == "roving",
            -1 if d.rebaseline_after_relapse_days is None else d.rebaseline_after_relapse_days,
            d.scheduled_only,
            -1 if d.exclude_days_after_relapse is None else d.exclude_days_after_relapse,
            _windows(d.relapse_near),
            _windows(d.relapse_free),
            d.known_before_entry,
            _CLASSES[d.counts],
            every,
            d.unconfirmed_at_end == "event",
            d.death == "event",
            clock,
            time,
            event,
            days,
            values,
        )
        yield _Found(measure, time, event, days[:n], values[:n])


def first_change(d: ConfirmedChange, trial: Trial) -> tuple[Floats, Bools]:
    """Time (years) to the first change that counts on any measure, else the last usable visit of any."""
    found = _by_measure(d, trial, every=False)
    _, time, event, _, _ = next(found)
    for other in found:
        earlier = other.event & (~event | (other.time < time))
        later = ~other.event & ~event & (other.time > time)
        time = np.where(earlier | later, other.time, time)
        event |= other.event
    return time, event


def changes(definition: str | Definition, tables: Mapping[str, Table], planned_days: ArrayLike | None = None) -> Table:
    """List every confirmed change of every patient, with its class.

    Parameters
    ----------
    definition : str or Definition
        A ``confirmed_change`` definition. Its ``counts`` is not applied: all classes are listed. With a fixed
        reference there is one change a patient and measure at most, unless relapses renew the reference.
    tables : mapping of str to Table
        As :func:`stemtrial.endpoint.derive` takes them.
    planned_days : array_like of float, optional
        Planned day of visit number 0, 1, ...

    Returns
    -------
    Table
        Sorted by replicate, patient, onset: ``replicate``, ``patient``, ``measure`` (column name), ``reference_day``,
        ``onset_day``, ``confirmation_day`` (-1: counted without), the values there in the unit of the measure
        (``reference_value``, ``onset_value``, ``confirmation_value``, NaN without), and ``kind``: ``pira``, ``raw`` or
        ``undefined`` (also where the definition has no windows). Days are those of the visits.

    Raises
    ------
    InputError
        If the definition is of another rule, or the tables are not what :func:`stemtrial.endpoint.derive` takes.

    """
    d = find(definition)
    if not isinstance(d, ConfirmedChange):
        raise InputError(f"endpoint '{d.id}' is a {d.rule}; changes can be listed of confirmed_change definitions")
    trial = Trial(tables, planned_days)
    parts: list[dict[str, NDArray[Any]]] = []
    for found in _by_measure(d, trial, every=True):
        who = found.days[:, 0]
        parts.append(
            {
                "replicate": trial.replicate[who],
                "patient": trial.patient[who],
                "measure": np.full(len(who), found.measure, "U32"),
                "reference_day": found.days[:, 1],
                "onset_day": found.days[:, 2],
                "confirmation_day": found.days[:, 3],
                "reference_value": found.values[:, 0],
                "onset_value": found.values[:, 1],
                "confirmation_value": found.values[:, 2],
                "kind": CLASS_NAMES[found.days[:, 4]].astype("U9"),
            }
        )
    whole = {c: np.concatenate([p[c] for p in parts]) for c in parts[0]}
    order = np.lexsort((whole["onset_day"], whole["patient"], whole["replicate"]))
    return {c: v[order] for c, v in whole.items()}
