"""What the patients of a trial take: a protocol's therapies become doses of the kernel and rows of exposure."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.kernel import YEAR, Kernel, Schedule
from stemtrial.observe import SCALES
from stemtrial.tables import Table
from stemtrial.therapy.family import AMOUNTS, Facts, Given, Settings
from stemtrial.therapy.harms import Exposure, adverse_events
from stemtrial.therapy.info import catalogue
from stemtrial.therapy.prescribe import FAMILIES, Order, failure_of, family_of, prescribe, stopping, stops
from stemtrial.trial.book import Book
from stemtrial.trial.entry import NEVER
from stemtrial.trial.regimen import Choice, Treatment
from stemtrial.trial.ward import Ints, Ward

STARTED = "randomised"
"""Reason of the first regimen; every other reason replaces what was taken before."""
ON = -1
"""``stop_day`` of what nobody stopped."""


@dataclass(frozen=True)
class _Entry:
    """One therapy given to some rows: from when, until when (``ON``: open), why, on what facts; numbered as decided."""

    rows: Ints
    start: Ints
    end: Ints
    therapy: str
    settings: Settings
    facts: Facts
    reason: str
    number: int


@functools.cache
def by_name(therapy: str) -> Treatment:
    """A therapy with its defaults."""
    return Treatment.model_validate({"therapy": therapy})


class Dosing:
    """Prescribes to rows of the ward and keeps what is planned.

    Parameters
    ----------
    ward : Ward
        The patients.
    kernel : Kernel
        Which doses there are.
    book : Book
        Receives failed harvests and their like.
    constants : mapping of str to ndarray, shape (patients,)
        Constants of the patients; ``age0`` and ``female`` are facts for prescribers.
    """

    def __init__(self, ward: Ward, kernel: Kernel, book: Book, constants: Mapping[str, NDArray[np.float64]]) -> None:
        self.ward, self.kernel, self.book, self.constants = ward, kernel, book, constants
        self.scale = SCALES[ward.protocol.disease]
        self.recording = ward.effects.shift("harm", ward.trial)
        ends = {f.name: d for f in FAMILIES.values() for d in stopping([f.name]) if d in kernel.model.doses}
        self._all_stop = tuple(d for f, d in ends.items() if not FAMILIES[f].lasting)
        self._lasting = tuple((f, d) for f, d in ends.items() if FAMILIES[f].lasting)
        self._planned = Schedule.empty()
        self._new: list[Schedule] = []
        self._taken: dict[str, NDArray[np.bool_]] = {}
        self._given: list[_Entry] = []
        self._stopped: list[tuple[Ints, Ints, Ints, int]] = []  # rows, decided on, from, number
        self._number = 0

    # -- doses -------------------------------------------------------------------------------------------------------
    def schedule(self, rows: Ints) -> Schedule:
        """Doses still to come of some rows, patients numbered by their position."""
        if self._new:
            joined = Schedule.join([self._planned, *self._new])
            self._planned = joined.take(np.flatnonzero(joined.day >= self.ward.now[joined.patient]))
            self._new = []
        where = np.full(len(self.ward), -1)
        where[rows] = np.arange(len(rows))
        position = where[self._planned.patient]
        mine = self._planned.take(np.flatnonzero(position >= 0))
        return Schedule(where[mine.patient], mine.day, mine.dose, mine.amounts)

    def _give(self, rows: Ints, day: Any, dose: str, amounts: NDArray[np.float64] | None = None) -> None:
        given = np.zeros((len(rows), AMOUNTS)) if amounts is None else amounts
        days = np.broadcast_to(np.asarray(day, np.int64), rows.shape)
        self._new.append(Schedule(rows.astype(np.int64), days, np.full(len(rows), self.kernel.dose(dose)), given))

    def _cancel(self, rows: Ints) -> None:
        """Forget what is planned from today on."""
        replaced = np.zeros(len(self.ward), bool)
        replaced[rows] = True
        now = self.ward.now

        def kept(s: Schedule) -> Schedule:
            return s.take(np.flatnonzero(~replaced[s.patient] | (s.day < now[s.patient])))

        self._planned, self._new = kept(self._planned), [kept(s) for s in self._new]

    # -- what protocols say ------------------------------------------------------------------------------------------
    def stop(self, rows: Ints, day: Ints) -> None:
        """Stop all therapy from ``day`` on, and forget what was planned; care before entry may go on."""
        if len(rows) == 0:
            return
        self._cancel(rows)
        planned = rows[self.ward.treated_from[rows] > self.ward.now[rows]]
        self.ward.treated_from[planned] = NEVER
        for dose in self._all_stop:
            self._give(rows, day, dose)
        for family, dose in self._lasting:
            begun = self._begun(family)[rows]
            if begun.any():
                self._give(rows[begun], np.asarray(day)[begun], dose)
        self._number += 1
        self._stopped.append((rows, self.ward.now[rows], np.asarray(day), self._number))

    def _begun(self, family: str) -> NDArray[np.bool_]:
        """Whom the trial has given something of a family by today."""
        begun = np.zeros(len(self.ward), bool)
        for entry in self._given:
            if family_of(entry.therapy) == family:
                begun[entry.rows[entry.start <= self.ward.now[entry.rows]]] = True
        return begun

    def regimen(self, arm: str, rows: Ints, day: Ints, reason: str) -> None:
        """Start an arm's regimen on ``day``; what was taken or planned before is stopped.

        A drug that is taken already and goes on is stopped and started on one day, by which it keeps its level.
        """
        entries = sorted(enumerate(self.ward.protocol.arms[arm].regimen), key=lambda e: e[1].day)
        for _, entry in entries:
            if isinstance(entry, Treatment):
                rows, day = self._who_can(entry, rows, day)
        if len(rows) == 0:
            return
        self.stop(rows, day)
        running: list[Treatment | Choice] = []
        for i, (k, entry) in enumerate(entries):
            for dose in dict.fromkeys(d for e in running if replaces(entry, e) for t in _names(e) for d in stops(t)):
                self._give(rows, day + entry.day, dose)
            running = [e for e in running if not replaces(entry, e)] + [entry]
            until = min((e.day for _, e in entries[i + 1 :] if replaces(e, entry)), default=None)
            self._start(entry, rows, day, reason, f"trial.choice.{k}", until)

    def switch(self, entry: Treatment | Choice, rows: Ints, stream: str) -> None:
        """Stop what is taken and start another therapy today; who is left nothing to choose from goes on."""
        rows, day = self._who_can(entry, rows, self.ward.now[rows])
        if isinstance(entry, Choice):
            rows = rows[self._open(entry, rows).any(1)]
            day = self.ward.now[rows]
        self.stop(rows, day)
        self._start(entry, rows, day, "switch", stream)

    def add(self, entry: Treatment | Choice, rows: Ints, stream: str) -> None:
        """Start a therapy today beside what is taken."""
        rows, day = self._who_can(entry, rows, self.ward.now[rows])
        self._start(entry, rows, day, "added", stream)

    def _who_can(self, entry: Treatment | Choice, rows: Ints, day: Ints) -> tuple[Ints, Ints]:
        """Leave out those to whom it cannot be given; they stay on what they take, with a record."""
        failure = None if isinstance(entry, Choice) else failure_of(entry.therapy, entry.settings)
        if failure is None or isinstance(entry, Choice):
            return rows, day
        can = self.ward.uniform(failure.stream, rows) >= failure.chance(self.ward.parameters)
        self.book.harm(failure.harm, entry.therapy, rows[~can], day[~can] + entry.begins)
        return rows[can], day[can]

    def _start(
        self, entry: Treatment | Choice, rows: Ints, day: Ints, reason: str, stream: str, until: int | None = None
    ) -> None:
        """Give an entry whose own day counts from ``day``; it ends ``until`` days after, unless stopped before."""
        if len(rows) == 0:
            return
        if isinstance(entry, Choice):
            names = list(entry.of)
            weight = np.where(self._open(entry, rows, reason == STARTED), np.array(list(entry.of.values())), 0.0)
            can = weight.any(1)
            rows, day, weight = rows[can], day[can], weight[can]
            u = self.ward.uniform(stream, rows, day + entry.day)
            chosen = (np.cumsum(weight, 1) < (u * weight.sum(1))[:, None]).sum(1)
            for k in np.unique(chosen):
                mine, drawn = chosen == k, by_name(names[k]).model_copy(update={"day": entry.day})
                self._start(drawn, rows[mine], day[mine], reason, stream, until)
            return
        ward, due = self.ward, day + entry.begins
        settings = {**entry.settings, "day": entry.begins}  # the fields count from the day on which it is given
        facts = {
            self.scale: ward.last[rows],
            "year": ward.who.year[rows] + due / YEAR,
            "day": due,
            "age_years": self.constants["age0"][rows] + due / YEAR,
            "female": self.constants["female"][rows],
            **ward.effects.of(family_of(entry.therapy), ward.trial[rows]),
        }
        orders: Sequence[Order] = prescribe(entry.therapy, settings, facts, parameters=ward.parameters)
        for order in orders:
            self._give(rows, due + order.day, order.dose, order.amounts)
        self._taken.setdefault(entry.therapy, np.zeros(len(ward), bool))[rows] = True
        if not entry.sham:
            ward.treated_from[rows] = np.minimum(ward.treated_from[rows], due)
        planned = [int(entry.settings["stop_day"])] if "stop_day" in entry.settings else []
        last = min([*planned, *([] if until is None or not stops(entry.therapy) else [until])], default=None)
        end = np.full(len(rows), ON) if last is None else day + last
        self._number += 1
        self._given.append(_Entry(rows, due, end, entry.therapy, settings, facts, reason, self._number))

    def _open(self, entry: Choice, rows: Ints, everything: bool = False) -> NDArray[np.bool_]:
        """Which therapies of a choice are left to each row, shape (rows, therapies)."""
        never = np.zeros(len(self.ward), bool)
        had = np.array([self._taken.get(name, never)[rows] for name in entry.of]).T
        return np.ones_like(had) if everything else ~had

    # -- what was taken ----------------------------------------------------------------------------------------------
    def exposure(self, last: Ints) -> Table:
        """Table of what was started up to the ``last`` day of each row, and when it was stopped."""
        fresh = Book(self.book.patients, self.book.replicates)
        for entry, keep, end in self._kept(self._given, last):
            fresh.write(
                "exposure", entry.rows[keep], day=entry.start[keep], stop_day=end[keep], therapy=entry.therapy,
                reason=entry.reason,
            )  # fmt: skip
        return fresh.table("exposure")

    def _kept(self, given: Iterable[_Entry], last: Ints) -> Iterator[tuple[_Entry, NDArray[np.bool_], Ints]]:
        """Of each entry the rows to which it was given in the end, and for all of its rows when it was stopped."""
        key, decided, begins = self._stops()
        for entry in given:
            rows, start = entry.rows, entry.start
            here = rows * (self._number + 2)
            at = np.searchsorted(key, here + entry.number)
            follows = at < np.searchsorted(key, here + self._number + 1)
            at = np.minimum(at, max(len(key) - 1, 0))
            end = entry.end.copy()
            keep = start <= last[rows]
            if follows.any():
                keep &= ~(follows & (start >= decided[at]))
                if stops(entry.therapy):
                    sooner = follows & ((end == ON) | (begins[at] < end))
                    end[sooner] = begins[at][sooner]
            end[end > last[rows]] = ON
            yield entry, keep, end

    def harms(self, t: Table, last: Ints) -> None:
        """Write the adverse events, up to the ``last`` day of each row, of what a table of exposure says was given.

        Families that draw their own harm get what was given with its settings and facts.
        """
        row = self.book.row_of(t)
        stop = np.where(t["stop_day"] == ON, last[row], t["stop_day"])
        start, recording = t["day"].astype(np.int64), self.recording[row]
        given = Exposure(self.ward.identity[row], t["therapy"], start, stop.astype(np.int64), recording)
        events = adverse_events(self.ward.seed, given, self.ward.parameters)
        who = row[events.pop("row")]
        seen = events["day"] <= last[who]
        self.book.write("adverse_events", who[seen], **{k: v[seen] for k, v in events.items()})
        own = [e for e in self._given if FAMILIES[family_of(e.therapy)].adverse_events is not None]
        for entry, keep, end in self._kept(own, last):
            self._harms_of_its_family(entry, keep, end, last)

    def _harms_of_its_family(self, entry: _Entry, keep: NDArray[np.bool_], end: Ints, last: Ints) -> None:
        drawer, rows = FAMILIES[family_of(entry.therapy)].adverse_events, entry.rows[keep]
        if drawer is None or len(rows) == 0:
            return
        stop = np.where(end[keep] == ON, last[rows], end[keep])
        facts = {k: v[keep] for k, v in entry.facts.items()}
        identity, start = self.ward.identity[rows], entry.start[keep]
        given = Given(identity, entry.therapy, entry.settings, start, stop, facts, self.recording[rows])
        for found in drawer(self.ward.seed, given, self.ward.parameters):
            seen = found.day <= last[rows[found.row]]
            self.book.harm(found.harm, entry.therapy, rows[found.row[seen]], found.day[seen])

    def _stops(self) -> tuple[Ints, Ints, Ints]:
        """Every stop in the order of row and number: sort key, day of the decision, day from which it holds."""
        none = np.zeros(0, np.int64)
        rows, decided, begins = (np.concatenate([none, *(s[k] for s in self._stopped)]) for k in range(3))
        number = np.concatenate([none, *(np.full(len(s[0]), s[3]) for s in self._stopped)])
        key = rows * (self._number + 2) + number
        order = np.argsort(key)
        return key[order], decided[order], begins[order]


def _names(entry: Treatment | Choice) -> tuple[str, ...]:
    """A therapy, or all of a choice."""
    return (entry.therapy,) if isinstance(entry, Treatment) else tuple(entry.of)


def _name(entry: Treatment | Choice) -> str:
    """A therapy, or the first of a choice, which stands for its family in the catalogue."""
    return _names(entry)[0]


def replaces(entry: Treatment | Choice, before: Treatment | Choice) -> bool:
    """Whether an entry of a regimen ends another: drugs that modify the disease are a combination or a sequence."""
    kinds = {catalogue()[_name(e)].family for e in (entry, before)}
    return kinds == {"dmt"} and entry.day > before.day


def taken_with(entries: Sequence[Treatment | Choice], number: int) -> list[str]:
    """Therapies of the entries before one in a regimen that are still taken when it starts; of a choice all."""
    entry = entries[number]
    out: list[str] = []
    for k, before in enumerate(entries):
        if before.day > entry.day or (before.day == entry.day and k >= number):
            continue
        ended = isinstance(before, Treatment) and int(before.settings.get("stop_day", NEVER)) <= entry.day
        ended |= before.day < entry.day and catalogue()[_name(before)].entry != "continuous"
        if not ended and not any(replaces(e, before) and e.day <= entry.day for e in entries):
            out += _names(before)
    return out
