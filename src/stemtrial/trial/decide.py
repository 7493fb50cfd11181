"""What is decided at visits: switches, rescue, stops, crossover, withdrawal, drop-out by event or score."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
from numpy.typing import NDArray

from stemtrial.endpoint import Events, derive, needs
from stemtrial.errors import InputError
from stemtrial.observe import WORSE
from stemtrial.tables import Table
from stemtrial.trial.book import Book
from stemtrial.trial.dosing import Dosing, by_name
from stemtrial.trial.entry import drop_out_days, planned_days
from stemtrial.trial.parts import MONTH_DAYS
from stemtrial.trial.regimen import Choice
from stemtrial.trial.rules import HazardRule, WhenRule
from stemtrial.trial.ward import Bools, Ints, Ward

RELAPSE = "relapse"


class Decisions:
    """Applies the rules of a protocol to rows of the ward.

    Parameters
    ----------
    ward : Ward
        The patients.
    dosing : Dosing
        Carries decisions on therapy out.
    book : Book
        Receives crossovers.
    tables : callable
        Returns observed tables so far, by name.
    """

    def __init__(
        self, ward: Ward, dosing: Dosing, book: Book, tables: Callable[[Collection[str]], dict[str, Table]]
    ) -> None:
        self.ward, self.dosing, self.book, self.tables = ward, dosing, book, tables
        p, n = ward.protocol, len(ward)
        self.rules = [r for r in p.rules if isinstance(r, WhenRule)]
        hazards = list(enumerate(r for r in p.rules if isinstance(r, HazardRule)))
        self.losses = [(k, r) for k, r in hazards if r.after]
        self.scored = [(k, r) for k, r in hazards if r.per_point]
        self.choices = [
            (a, e) for a in p.arms for e in p.arms[a].regimen if isinstance(e, Choice) and e.switch_on is not None
        ]
        self.acted = np.zeros((len(self.rules), n), bool)
        self.lost = np.zeros((len(self.losses), n), bool)
        self.switched = np.zeros((len(self.choices), n), bool)
        self.relapsed = np.zeros(n, bool)
        self.planned = planned_days(p)

    def at_entry(self) -> None:
        """Draw who leaves before the first visit after entry."""
        self._leave_by_score(0)

    def at_relapse(self, rows: Ints) -> None:
        """Act on a relapse that a visit shows today."""
        self.relapsed[rows] = True
        for k, (_, loss) in enumerate(self.losses):
            if loss.after == RELAPSE:  # each relapse adds its hazard
                self._lose(k, rows)
        for arm, entry in self.choices:
            if entry.switch_on == RELAPSE:
                self._switch(arm, entry, rows)
        due = self._due(rows)
        for k, rule in enumerate(self.rules):
            if rule.when == RELAPSE:
                self._act(k, rows[due & (self.ward.now[rows] >= rule.from_month * MONTH_DAYS)])

    def at_visit(self, number: int) -> None:
        """Act on what a scheduled visit shows."""
        ward = self.ward
        if number == len(ward.protocol.visits.months) - 1:
            return
        self._leave_by_score(number)
        if not (self.rules or self.losses or self.choices):
            return
        month = ward.protocol.visits.months[number]
        shown: dict[str, Bools] = {RELAPSE: self.relapsed}

        def event(when: str) -> Bools:
            if when not in shown:
                shown[when] = self._event(when)
            return shown[when]

        everybody = np.arange(len(ward))
        for k, (_, loss) in enumerate(self.losses):
            if loss.after is not None and loss.after != RELAPSE:
                at_risk = ward.active & ~self.lost[k] & ward.in_arms(loss.of(ward.arms))
                if at_risk.any():
                    self._lose(k, np.flatnonzero(at_risk & event(loss.after)))
        for k, (arm, entry) in enumerate(self.choices):
            if entry.switch_on is not None and entry.switch_on != RELAPSE and not self.switched[k].all():
                rows = np.flatnonzero(self._due(everybody) & ~self.switched[k] & event(entry.switch_on))
                self.switched[k, rows] = True
                self._switch(arm, entry, rows)
        for k, rule in enumerate(self.rules):
            # asked anew for each rule, since the one before may have moved patients
            open_ = self._due(everybody) & ~self.acted[k] & ~ward.crossed & ward.in_arms(rule.of(ward.arms))
            if month >= rule.from_month and open_.any():
                self._act(k, np.flatnonzero(open_ & event(rule.when)))

    def _due(self, rows: Ints) -> Bools:
        """Who is followed beyond today."""
        return np.asarray(self.ward.active[rows] & (self.ward.now[rows] < self.ward.who.closure[rows]))

    def _event(self, when: str) -> Bools:
        """Who is known to have had an event."""
        result = derive(when, self.tables(needs(when)), planned_days=self.planned)
        if not isinstance(result, Events):
            raise InputError(f"rules: '{when}' is no event that can be waited for; use a time-to-event endpoint")
        return result.event

    def _switch(self, arm: str, entry: Choice, rows: Ints) -> None:
        """Change the drug of those of an arm whose regimen says so."""
        ward = self.ward
        mine = rows[ward.in_arms((arm,))[rows] & ~ward.crossed[rows] & ward.active[rows]]
        to = entry if entry.switch_to == "remaining" else by_name(entry.switch_to)
        self.dosing.switch(to, mine, "trial.switch")

    def _act(self, k: int, rows: Ints) -> None:
        """Do what rule ``k`` says to those of ``rows`` for whom it holds and who have not been asked before."""
        ward, rule = self.ward, self.rules[k]
        mine = rows[ward.in_arms(rule.of(ward.arms))[rows] & ~ward.crossed[rows] & ~self.acted[k, rows]]
        if rule.action == "cross_over":  # nobody crosses over to the own arm
            mine = mine[~ward.in_arms((str(rule.to),))[mine]]
        mine = mine[ward.uniform(f"trial.rule.{k}", mine) < rule.share] if rule.share < 1 else mine
        self.acted[k, mine] = True
        if len(mine) == 0:
            return
        stream = f"trial.rule.{k}.choice"
        if rule.action == "cross_over":
            ward.crossed[mine] = True
            self.book.write("disposition", mine, day=ward.now[mine], event="crossed_over", reason=rule.when[:40])
            self.dosing.regimen(str(rule.to), mine, ward.now[mine], "crossover")
        elif rule.action == "stop":
            self.dosing.stop(mine, ward.now[mine])
        elif rule.action == "withdraw":
            self._leave(mine, ward.now[mine], rule.when)
        elif rule.entry is not None:
            (self.dosing.add if rule.action == "add" else self.dosing.switch)(rule.entry, mine, stream)

    def _lose(self, k: int, rows: Ints) -> None:
        """Draw when those of ``rows`` for whom it holds leave after an event shown today."""
        number, rule = self.losses[k]
        ward = self.ward
        mine = rows[ward.active[rows] & ward.in_arms(rule.of(ward.arms))[rows]]
        self.lost[k, mine] = True
        if len(mine):
            now = ward.now[mine]
            u = ward.uniform(f"trial.drop_out.after.{number}", mine, now)
            self._leave(mine, drop_out_days(rule, u, now), f"after {rule.after}")

    def _leave_by_score(self, number: int) -> None:
        """Draw who leaves between this visit and the next, at the hazard of the score rated today."""
        ward = self.ward
        for k, rule in self.scored:
            mine = np.flatnonzero(ward.active & ward.in_arms(rule.of(ward.arms)))
            now, worse = ward.now[mine], WORSE[ward.protocol.disease] * (ward.last[mine] - ward.first[mine])
            day = drop_out_days(rule, ward.uniform(f"trial.drop_out.by_score.{k}", mine, now), now, worse)
            # a hazard has no memory: whoever would leave later is drawn for anew at the next visit
            due = day < ward.who.visit_day[mine, number + 1]
            self._leave(mine[due], day[due], "")

    def _leave(self, rows: Ints, day: NDArray[np.int64], why: str) -> None:
        """Bring the end of follow-up forward."""
        ward = self.ward
        sooner = day < ward.end[rows]
        rows, day = rows[sooner], day[sooner]
        ward.end[rows] = ward.who.leaves[rows] = day
        ward.why |= dict.fromkeys(rows.tolist(), why[:40])
