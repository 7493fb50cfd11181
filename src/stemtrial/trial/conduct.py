"""Conducts a trial: advance the truth to the next visit, observe it through instruments, decide as the protocol says.

All replicates of a chunk go together, one row a patient. Within a stretch between two scheduled visits, whoever has a
relapse is taken back to the start of the stretch and stopped at the relapse visit, where the relapse is rated and
therapy may change; the kernel's random numbers are keyed by day, so what was simulated before that visit stays the
same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial import tables
from stemtrial.cohort.recruit import Recruits, clinic_of
from stemtrial.disease.als import MILESTONES, milestones
from stemtrial.kernel import Kernel, derive_seed
from stemtrial.tables import Table
from stemtrial.therapy.prescribe import kernel_harms
from stemtrial.trial.book import Book
from stemtrial.trial.decide import Decisions
from stemtrial.trial.dosing import STARTED, Dosing
from stemtrial.trial.entry import NEVER, constants_at_entry, enter, parameters_of
from stemtrial.trial.examine import Examiner
from stemtrial.trial.protocol import Protocol
from stemtrial.trial.ward import Ints, Ward

DEATH_GRADE = 5
DEATH: Mapping[str, str] = {"ms": "other cause", "als": "respiratory failure"}
"""What a death stands for that no treatment caused: in ALS, the end of the disease."""
NONE = -1
"""Kind of an event that a disease does not have."""
OBSERVED: Mapping[str, tuple[str, ...]] = {
    "ms": ("visits", "relapses", "mri", "adverse_events", "disposition"),
    "als": ("visits", "milestones", "adverse_events", "disposition"),
}
"""Tables that a trial of a disease keeps as it goes, beside ``patients``."""


@dataclass(frozen=True)
class Trial:
    """What a trial, repeated, left behind: the observed tables by name, and counts of what went wrong.

    With the truth asked for, ``tables`` also holds ``truth_visits``; no observed table ever does. ``effects`` holds
    what was drawn for each trial as a whole (:meth:`stemtrial.trial.effects.TrialEffects.drawn`), in the order of the
    replicates: truth too, which nobody observes.
    """

    tables: dict[str, Table]
    failed: int
    overflow: int
    effects: dict[str, NDArray[np.float64]] = field(default_factory=dict)


class _Conduct:
    """The trials of one chunk while they run."""

    def __init__(
        self,
        protocol: Protocol,
        recruits: Recruits,
        kernel: Kernel,
        parameters: Mapping[str, float],
        seed: int,
        replicates: Ints,
        threads: int,
        truth: bool,
    ) -> None:
        self.protocol, self.kernel, self.p, self.threads = protocol, kernel, parameters, threads
        self.seed = derive_seed(seed, "trial")
        who = enter(protocol, recruits, self.seed, replicates)
        self.ward = ward = Ward(protocol, who, parameters, self.seed)
        known = constants_at_entry(protocol, recruits, who, parameters)
        constants = ward.effects.on_constants(protocol.disease, known, ward.trial)
        state = {s: recruits.state[s][who.drawn] for s in kernel.states if s in recruits.state}
        self.people = kernel.population(who.replicate, who.place, constants, state)
        self.screening = {c: recruits.screening[c][who.drawn] for c in clinic_of(protocol.disease).screened}
        self.recruit, self.female = recruits.index[who.drawn], constants["female"]
        self.book = Book(len(ward) // len(replicates), replicates)
        self.examiner = Examiner(ward, kernel, constants, recruits.rater_h[who.drawn].copy(), self.book, truth)
        self.book.extra["relapses"] = ("severity",)
        self.dosing = Dosing(ward, kernel, self.book, constants)
        self.decisions = Decisions(ward, self.dosing, self.book, self._observed)
        self.truth = truth
        self.wait = int(parameters["trial.relapse_visit_days"])
        self.kinds = {v: k for k, v in kernel.model.event_kinds.items()}
        self.relapse = kernel.model.event_kinds.get("relapse", NONE)
        self.harms = kernel_harms()
        fatal = {"death": DEATH[protocol.disease]} | {
            k: "treatment-related" for k, (harm, _) in self.harms.items() if harm.grade == DEATH_GRADE
        }
        self.fatal = {k: why for k, why in fatal.items() if k in kernel.model.event_kinds}
        self.failed: set[int] = set()
        self.overflow = 0

    # -- moving on ---------------------------------------------------------------------------------------------------
    def _advance(self, rows: Ints, until: Ints) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
        """Advance some patients; their state changes. Returns observables at ``until`` and events, by position."""
        people = self.people.take(rows)
        got = self.kernel.advance(
            people,
            self.ward.now[rows],
            until,
            self.p,
            self.seed,
            schedule=self.dosing.schedule(rows),
            visits=(np.arange(len(rows)), until),
            threads=self.threads,
        )
        self.people.state[:, rows] = people.state
        self.overflow += got.overflow
        self.failed.update(rows[got.failed["patient"]].tolist())
        return got.observed, got.events

    def run(self) -> Trial:
        ward, rows = self.ward, np.arange(len(self.ward))
        seen, _ = self._advance(rows, ward.now)
        self.patients = self._patients(self.examiner.baseline(seen, self.people.state))
        never = np.flatnonzero(~ward.active)
        self.book.write("disposition", never, day=0, event="dropped_out", reason="before treatment")
        treated = np.flatnonzero(ward.active)
        for a, name in enumerate(ward.arms):
            mine = treated[ward.arm[treated] == a]
            self.dosing.regimen(name, mine, np.zeros(len(mine), np.int64), STARTED)
        self.decisions.at_entry()
        for number in range(1, ward.who.visit_day.shape[1]):
            self._to_visit(number)
        left = np.flatnonzero(ward.active)  # whoever is still followed completes at the last visit
        ward.end[left] = ward.now[left]
        ward.active[left] = False
        self.book.write("disposition", left, day=ward.now[left], event="completed")
        exposure = self.dosing.exposure(ward.end)
        self.dosing.harms(exposure, ward.end)
        names = [*OBSERVED[self.protocol.disease], *(["truth_visits"] if self.truth else [])]
        effects = ward.effects.drawn(self.protocol.blinding.rater == "open")
        return Trial(self._observed(names) | {"exposure": exposure}, len(self.failed), self.overflow, effects)

    def _patients(self, examined: dict[str, NDArray[Any]]) -> Table:
        who = self.ward.who
        return tables.make(
            "patients",
            replicate=who.replicate,
            patient=who.place,
            arm=np.array(self.ward.arms)[who.arm],
            recruit=self.recruit,
            entry_day=who.entry_day,
            closure_day=who.closure,
            female=self.female,
            **self.screening,
            **({"course": who.course} if len(set(who.course.tolist())) > 1 else {}),
            **examined,
        )

    def _to_visit(self, number: int) -> None:
        """Take everybody to the scheduled visit, stopping at relapse visits on the way."""
        ward = self.ward
        going = np.flatnonzero(ward.active)
        while len(going):
            target = np.minimum(ward.who.visit_day[going, number], ward.end[going])
            backup = self.people.state[:, going].copy()
            observed, events = self._advance(going, target)
            told = events["kind"] == self.relapse
            stop = target.copy()
            if self.protocol.visits.at_relapse:
                np.minimum.at(stop, events["patient"][told], events["day"][told] + self.wait)
                early = np.flatnonzero(stop < target)
                if len(early):
                    self.people.state[:, going[early]] = backup[:, early]
                    again, _ = self._advance(going[early], stop[early])
                    for k, v in observed.items():
                        v[early] = again[k]
            keep = events["day"] <= np.minimum(stop, self._death(len(going), events))[events["patient"]]
            self._record(going, {k: v[keep] for k, v in events.items()})
            ward.now[going] = stop
            followed = ward.active[going]
            relapse_visit = followed & (stop < target)
            arrived = followed & (stop >= target) & (ward.who.visit_day[going, number] <= ward.end[going])
            before = ward.last[going]
            self.examiner.visit(going, observed, np.flatnonzero(relapse_visit), -1, self.people.state)
            self._relapses(going, events, told & keep, np.where(relapse_visit, ward.last[going] - before, np.nan))
            self.examiner.visit(going, observed, np.flatnonzero(arrived), number, self.people.state)
            rows = going[relapse_visit]
            self.decisions.at_relapse(rows)
            # a relapse without a visit of its own is acted on at the scheduled visit
            late = np.zeros(len(going), bool)
            late[events["patient"][told & keep]] = True
            self.decisions.at_relapse(going[late & arrived])
            going = rows[ward.active[rows]]
        self._leave()
        self.decisions.at_visit(number)
        self._leave()

    def _death(self, n: int, events: dict[str, NDArray[Any]]) -> Ints:
        """Day of death of each patient of a stretch; the kernel goes on beyond it."""
        out = np.full(n, NEVER)
        for kind in self.fatal:
            mine = events["kind"] == self.kernel.event(kind)
            np.minimum.at(out, events["patient"][mine], events["day"][mine])
        return out

    def _record(self, going: Ints, events: dict[str, NDArray[Any]]) -> None:
        """Write events of the kernel into the tables; the dead leave."""
        for kind in np.unique(events["kind"]):
            mine, name = events["kind"] == kind, self.kinds[int(kind)]
            rows, day = going[events["patient"][mine]], events["day"][mine]
            if name in self.harms:
                self.book.harm(*self.harms[name], rows, day)
            if name in MILESTONES:
                self.book.write("milestones", rows, day=day, event=milestones(name, events["value"][mine]))
            if name in self.fatal:
                self.book.write("disposition", rows, day=day, event="died", reason=self.fatal[name])
                self.ward.active[rows] = False
                self.ward.end[rows] = np.minimum(self.ward.end[rows], day)

    def _relapses(
        self, going: Ints, events: dict[str, NDArray[Any]], told: NDArray[np.bool_], rise: NDArray[np.float64]
    ) -> None:
        """Write relapses, with the rise of EDSS where a visit of its own rated it."""
        at = events["patient"][told]
        self.book.write("relapses", going[at], day=events["day"][told], severity=rise[at])

    def _leave(self) -> None:
        """Whoever has reached the end of his own follow-up leaves."""
        ward = self.ward
        gone = np.flatnonzero(ward.active & (ward.now >= ward.end))
        dropped = ward.who.leaves[gone] <= ward.who.closure[gone]
        out = gone[dropped]
        reason = np.array([ward.why.get(int(r), "") for r in out], "U40")
        self.book.write("disposition", out, day=ward.now[out], event="dropped_out", reason=reason)
        self.book.write("disposition", gone[~dropped], day=ward.now[gone[~dropped]], event="completed")
        ward.active[gone] = False

    def _observed(self, names: Collection[str]) -> dict[str, Table]:
        """Tables so far; nothing that was planned for a day that the patient did not reach."""
        last = np.where(self.ward.active, NEVER, self.ward.end)
        out = {"patients": self.patients}
        for name in names:
            if name == "adverse_events":
                t = self.book.table(name)
                out[name] = tables.take(t, t["day"] <= last[self.book.row_of(t)])
            elif name != "patients":
                out[name] = self.book.table(name)
        return out


def conduct(
    protocol: Protocol, recruits: Recruits, kernel: Kernel, parameters: Mapping[str, float], seed: int, *,
    replicates: Sequence[int] = (0,), threads: int = 1, truth: bool = False,
) -> Trial:  # fmt: skip
    """Conduct a trial ``replicates`` times.

    Parameters
    ----------
    protocol : Protocol
        What is done.
    recruits : Recruits
        Who may enter; each replicate draws its patients from them with replacement, with fresh random numbers after
        entry.
    kernel : Kernel
        With the families of :func:`families_of`.
    parameters : mapping
        One draw.
    seed : int
        Seed of the run. Replicate k is the same alone and among many.
    replicates : sequence of int
        Which replicates, ascending.
    threads : int
        Threads of the kernel; the results do not depend on it.
    truth : bool
        Also return table ``truth_visits``: what a rater without error would find at every visit and, of MS from a
        kernel composed with the truth, axonal loss by cause since randomisation. Changes no other number.

    Returns
    -------
    Trial
    """
    which = np.asarray(replicates, np.int64)
    here = parameters_of(protocol, parameters)
    return _Conduct(protocol, recruits, kernel, here, seed, which, threads, truth).run()
