"""Adverse events that an endpoint counts, and whom it assesses."""

from __future__ import annotations

import numpy as np

from stemtrial.endpoint.ragged import DAYS_PER_YEAR, FOREVER, Bools, Floats, Ints, Trial
from stemtrial.endpoint.rules import AdverseEvent

_MONTH = DAYS_PER_YEAR / 12


class Harms:
    """The events of a definition that patients had by the end of follow-up.

    Parameters
    ----------
    d : AdverseEvent
        What counts.
    trial : Trial
        Tables; reads ``adverse_events``, and ``female`` of ``patients`` for ``women_only``.
    end : ndarray of int64, shape (patients,)
        Last day of follow-up.
    """

    def __init__(self, d: AdverseEvent, trial: Trial, end: Ints) -> None:
        rows = trial.rows("adverse_events")
        who = np.repeat(np.arange(trial.n), np.diff(rows.offsets))
        day, term = rows.day.astype(np.int64), trial.column("adverse_events", "term")
        grade = trial.integers("adverse_events", "grade")
        counts = (grade >= d.grade_at_least) & (grade <= d.grade_at_most)
        if d.serious:
            counts &= trial.integers("adverse_events", "serious") > 0
        if d.terms:
            counts &= np.isin(term, d.terms)
        if d.causes:
            counts &= np.isin(trial.column("adverse_events", "cause"), d.causes)
        if d.lasting_days:
            counts &= ~_ended(who, day, np.isin(term, d.ended_by), d.lasting_days)
        self._assessed = np.ones(trial.n, np.bool_)
        if d.women_only:
            self._assessed &= trial.integers("patients", "female") == 1
        if d.among:
            had = np.isin(term, d.among) & (day <= end[who])
            self._assessed &= np.bincount(who[had], minlength=trial.n) > 0
        day = day + d.lasting_days
        last = end if d.to_days is None else np.minimum(end, d.to_days)
        counts &= (d.from_days <= day) & (day <= last[who]) & self._assessed[who]
        self._who, self._day, self._from, self._last = who[counts], day[counts], d.from_days, last

    def _number(self) -> Ints:
        return np.bincount(self._who, minlength=len(self._last)).astype(np.int64)

    def _first_day(self) -> Ints:
        """Day of the first event, ``FOREVER`` without one; rows ascend by patient and day."""
        out = np.full(len(self._last), FOREVER)
        who, at = np.unique(self._who, return_index=True)
        out[who] = self._day[at]
        return out

    def patients(self) -> Floats:
        """1: had one; 0: none; NaN: not assessed."""
        assessed: Bools = self._assessed & (self._last >= self._from)
        return np.where(assessed, np.minimum(self._number(), 1.0), np.nan)

    def events(self) -> tuple[Ints, Floats]:
        """Return the number of events and the years in which they were counted."""
        days = np.where(self._assessed, np.maximum(self._last - self._from, 0), 0)
        return self._number(), days / DAYS_PER_YEAR

    def first(self) -> tuple[Ints, Ints]:
        """Day of the first event (``FOREVER``: none), and the last day of follow-up (0: not assessed)."""
        return self._first_day(), np.where(self._assessed, self._last, 0)

    def months(self) -> Floats:
        """Months from randomisation to the first event, NaN without one."""
        first = self._first_day()
        return np.where(first < FOREVER, first / _MONTH, np.nan)


def _ended(who: Ints, day: Ints, ends: Bools, within: int) -> Bools:
    """Whether each row is followed, on its day or less than ``within`` days later, by one of the rows that end it."""
    width = int(day.max(initial=0)) + within + 1
    key = who * width + day  # ascends, as rows do
    following = np.append(key[ends], np.iinfo(np.int64).max)
    return np.asarray(following[np.searchsorted(following, key, "left")] - key < within, np.bool_)
