"""One trial under many definitions side by side, with the truth beside them where the truth is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stemtrial.endpoint.change import changes
from stemtrial.endpoint.change_kernel import needed
from stemtrial.endpoint.confirmed import ConfirmedChange
from stemtrial.endpoint.definition import definitions, diseases_of, find, needs
from stemtrial.endpoint.derive import Events, derive
from stemtrial.endpoint.ragged import Bools, Floats, Ints, Trial
from stemtrial.endpoint.rules import Definition
from stemtrial.errors import InputError
from stemtrial.observe import SCALES
from stemtrial.tables import Table

_APART = ("adverse_event", "leaving")
_ALL = "all"
_CAUSE = "x_"


def times_of(disease: str) -> list[str]:
    """Return the ids of the time-to-event definitions of a disease; harms and leaving are not compared."""
    return [
        name
        for name, d in definitions().items()
        if d.kind == "time_to_event" and d.rule not in _APART and disease in diseases_of(d)
    ]


def measurable(tables: Mapping[str, Table]) -> list[str]:
    """Return the ids of the definitions that are compared and whose measurements the tables hold."""
    return [
        name
        for disease, rated in SCALES.items()  # what everybody is rated on, by which the tables of a disease are known
        if rated in tables.get("visits", ())
        for name in times_of(disease)
        if all(columns <= set(tables.get(t, ())) for t, columns in needs(name).items())
    ]


def event_probability(time: Floats, event: Bools, at: float | None = None) -> float:
    """Kaplan-Meier probability of an event by ``at``, or by the last event; NaN without patients.

    As :func:`stemtrial.analysis.kaplan_meier`, which lies above this room, for one sample (Kaplan and Meier 1958,
    doi:10.1080/01621459.1958.10501452).
    """
    if len(time) == 0:
        return np.nan
    times, place = np.unique(time, return_inverse=True)
    events = np.bincount(place, event, len(times))
    at_risk = np.cumsum(np.bincount(place, minlength=len(times))[::-1])[::-1]
    seen = times <= (np.inf if at is None else at)
    return float(1.0 - np.prod(1.0 - events[seen] / at_risk[seen]))


def kappa(a: Bools, b: Bools) -> float:
    """Cohen's kappa of two yes/no ratings (doi:10.1177/001316446002000104); NaN where both are always the same."""
    if len(a) == 0:
        return np.nan
    agree, p, q = float(np.mean(a == b)), float(np.mean(a)), float(np.mean(b))
    chance = p * q + (1 - p) * (1 - q)
    return np.nan if chance == 1.0 else (agree - chance) / (1 - chance)


class _Truth:
    """The truth at visits, aligned with the patients."""

    def __init__(self, tables: Mapping[str, Table], truth_visits: Table) -> None:
        self._trial = Trial({**tables, "truth_visits": truth_visits})
        rows = self._trial.rows("truth_visits")
        self._offsets, self._table = rows.offsets, truth_visits
        self._width = int(rows.day.max(initial=0)) + 2
        who = np.repeat(np.arange(self._trial.n), np.diff(self._offsets))
        self._key = who * self._width + rows.day
        self._edss = np.asarray(self._trial.column("truth_visits", "edss_true"), np.float64)
        self.causes = [c for c in truth_visits if c.startswith(_CAUSE)]
        for c in ("edss_true", *self.causes):
            bad = np.flatnonzero(~np.isfinite(np.asarray(truth_visits[c], np.float64)))
            if len(bad):
                raise InputError(
                    f"column '{c}' of the truth must be finite, not {truth_visits[c][bad[0]]} (row {bad[0]})"
                )

    def _row(self, who: NDArray[Any], day: NDArray[Any]) -> Ints:
        """Row of the last visit of patients ``who`` by a day; -1 where there is none."""
        row = np.searchsorted(self._key, who * self._width + np.clip(day, 0, self._width - 1), "right") - 1
        return np.asarray(np.where(row >= self._offsets[who], row, -1), np.int64)

    def lasting(self, d: ConfirmedChange) -> Floats:
        """1: true EDSS changes as ``d`` asks, and stays so to the end of follow-up; 0: no; NaN: unknown or no risk."""
        who = np.arange(self._trial.n)
        first, last = self._row(who, np.zeros(len(who), np.int64)), self._row(who, self._trial.end(d.censor_at))
        known = (first >= 0) & (last >= 0)
        baseline, final = (np.where(known, self._edss[row], np.nan) for row in (first, last))
        up_to, by = np.array([t.up_to for t in d.thresholds]), np.array([t.by for t in d.thresholds])
        reach = d.reach or 0.0
        need = np.array([needed(b, up_to, by, reach, 0.0) if b == b else np.nan for b in baseline.tolist()])
        change = (final - baseline) * (1.0 if d.direction == "worse" else -1.0)
        at_risk = known & (need > 0) & (baseline >= d.baseline_at_least)
        holds = change >= need - 1e-9
        if d.edss_at_least is not None:
            holds &= final >= d.edss_at_least
        return np.where(at_risk, holds, np.nan)

    def losses(self, who: Ints, start: Ints, stop: Ints) -> Floats:
        """True loss by cause from one day to another, shape (changes, causes)."""
        a, b = self._row(who, start), self._row(who, stop)
        known = (a >= 0) & (b >= 0)
        each = [
            np.where(known, np.asarray(self._table[c])[b] - np.asarray(self._table[c])[a], 0.0) for c in self.causes
        ]
        return np.array(each, np.float64).reshape(len(self.causes), len(who)).T


def _first_losses(
    d: ConfirmedChange, tables: Mapping[str, Table], planned_days: ArrayLike | None, trial: Trial, truth: _Truth
) -> tuple[Ints, Floats]:
    """Patients with a change that counts, and their true loss from its reference to its confirmation, by cause."""
    found = changes(d, tables, planned_days)
    wanted = np.ones(len(found["kind"]), bool) if d.counts == "any" else found["kind"] == d.counts
    who = np.searchsorted(_key(trial.replicate, trial.patient), _key(found["replicate"], found["patient"]))[wanted]
    who, first = np.unique(who, return_index=True)  # sorted by onset within a patient: the first is the event
    rows = np.flatnonzero(wanted)[first]
    stop = np.where(found["confirmation_day"] >= 0, found["confirmation_day"], found["onset_day"])
    return who, truth.losses(who, found["reference_day"][rows], stop[rows])


def _key(replicate: NDArray[Any], patient: NDArray[Any]) -> Ints:
    return np.asarray(np.asarray(replicate, np.int64) * 2**32 + patient, np.int64)


def readout(
    tables: Mapping[str, Table],
    planned_days: ArrayLike | None = None,
    ids: Iterable[str | Definition] | None = None,
    *,
    at_years: float | None = None,
    reference: str | Definition = "confirmed_worsening.12_weeks",
    truth_visits: Table | None = None,
) -> Table:
    """Read a trial out under every time-to-event definition, by arm.

    Parameters
    ----------
    tables : mapping of str to Table
        As :func:`stemtrial.endpoint.derive` takes them.
    planned_days : array_like of float, optional
        Planned day of visit number 0, 1, ...
    ids : iterable of str or Definition, optional
        Definitions; without it all time-to-event definitions whose measurements the tables hold.
    at_years : float, optional
        Horizon of events and probabilities; without it all of follow-up.
    reference : str or Definition
        The definition with which each is compared.
    truth_visits : Table, optional
        ``replicate, patient, day, edss_true`` (noise-free EDSS), sorted, a row on day 0 for each patient, and any
        ``x_<cause>``: axonal loss so far by cause, any unit.

    Returns
    -------
    Table
        A row for each replicate, definition and arm (``all`` after them if there are several): ``replicate``,
        ``endpoint``, ``arm``, ``n``, ``events`` (patients with one), ``probability`` (Kaplan-Meier, by the horizon or
        the last event), ``kappa`` (Cohen, event or not, with the reference), ``both`` (patients with an event under
        both).
        With the truth, for confirmed changes of EDSS alone, else NaN: ``true_changes`` (patients whose noise-free EDSS
        has changed by the threshold from its baseline at the end of follow-up, which is to change and never go back;
        relapses are not asked for), ``sensitivity`` (of them, with an event), ``predictive_value`` (of those with an
        event and a known truth, truly changed); and for each cause ``share_<cause>``: of the true loss between
        reference and confirmation of the events, all patients together. Truth is judged over all of follow-up.

    Raises
    ------
    InputError
        If a definition is no time to event, or the tables do not hold what it needs.

    """
    trial = Trial(tables, planned_days)
    arm = trial.column("patients", "arm")
    truth = None if truth_visits is None else _Truth(tables, truth_visits)
    compared = _events(reference, tables, planned_days, at_years).event
    arms = [*dict.fromkeys(arm.tolist())]
    groups = [(a, arm == a) for a in arms] + ([(_ALL, np.ones(trial.n, bool))] if len(arms) > 1 else [])
    rows: list[dict[str, Any]] = []
    for d in [find(i) for i in (measurable(tables) if ids is None else ids)]:
        out = _events(d, tables, planned_days, at_years)
        lasting = truth.lasting(d) if truth and isinstance(d, ConfirmedChange) and d.measures == ("edss",) else None
        loss = None
        if truth and truth.causes and isinstance(d, ConfirmedChange):
            who, each = _first_losses(d, tables, planned_days, trial, truth)
            loss = np.zeros((trial.n, len(truth.causes)))
            loss[who] = each
            loss[~out.event] = 0.0  # beyond the horizon
        for r in np.unique(trial.replicate):
            for name, of_arm in groups:
                mine = of_arm & (trial.replicate == r)
                event = out.event[mine]
                row: dict[str, Any] = {
                    "replicate": r, "endpoint": d.id, "arm": name, "n": int(mine.sum()), "events": int(event.sum()),
                    "probability": event_probability(out.time_years[mine], event, at_years),
                    "kappa": kappa(event, compared[mine]), "both": int((event & compared[mine]).sum()),
                }  # fmt: skip
                if truth:
                    row |= _judged(event, None if lasting is None else lasting[mine])
                    whole = np.zeros(len(truth.causes)) if loss is None else loss[mine].sum(0)
                    shares = whole / whole.sum() if whole.sum() > 0 else np.full(len(whole), np.nan)
                    row |= {f"share_{c.removeprefix(_CAUSE)}": x for c, x in zip(truth.causes, shares, strict=True)}
                rows.append(row)
    return {c: np.array([row[c] for row in rows]) for c in rows[0]} if rows else {}


def _events(
    d: str | Definition, tables: Mapping[str, Table], planned_days: ArrayLike | None, at_years: float | None
) -> Events:
    out = derive(d, tables, at_years, planned_days)
    if not isinstance(out, Events):
        raise InputError(
            f"endpoint '{out.definition.id}' is a {out.definition.kind}; a readout compares times to events"
        )
    return out


def _judged(event: Bools, lasting: Floats | None) -> dict[str, float]:
    """True changes, sensitivity and predictive value; NaN where there is no truth or nobody to divide by."""
    if lasting is None:
        return {"true_changes": np.nan, "sensitivity": np.nan, "predictive_value": np.nan}
    true, known = lasting == 1.0, np.isfinite(lasting)
    hits, found = int((true & event).sum()), int((event & known).sum())
    return {
        "true_changes": float(true.sum()),
        "sensitivity": hits / true.sum() if true.any() else np.nan,
        "predictive_value": hits / found if found else np.nan,
    }
