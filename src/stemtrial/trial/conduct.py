"""Conducts a trial: advance the truth to the next visit, observe it through instruments, decide as the protocol says.

All replicates of a chunk go together, one row a patient. Within a stretch between two scheduled visits, whoever has a
relapse is taken back to the start of the stretch and stopped at the relapse visit, where the relapse is rated and
therapy may change; the kernel's random numbers are keyed by day, so what was simulated before that visit stays the
same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial import tables
from stemtrial.cohort.recruit import Recruits, deficits, weights
from stemtrial.endpoint import Events, derive
from stemtrial.errors import InputError
from stemtrial.kernel import YEAR, Kernel, Schedule, derive_seed, uniforms
from stemtrial.observe import EdssRater, RaterState, scan
from stemtrial.observe.parameters import EdssParameters, MriParameters, from_draw, load
from stemtrial.tables import Table
from stemtrial.therapy import ahsct, drugs
from stemtrial.trial.book import ADVERSE, Book
from stemtrial.trial.entry import NEVER, constants_at_entry, enter, planned_days
from stemtrial.trial.protocol import Protocol
from stemtrial.trial.regimen import Choice, Treatment
from stemtrial.trial.rules import WhenRule

Ints = NDArray[np.int64]
SCREENED = ("age_years", "disease_duration_years", "relapses_last_12_months")


@dataclass(frozen=True)
class Trial:
    """What a trial, repeated, left behind: the observed tables by name, and counts of what went wrong."""

    tables: dict[str, Table]
    failed: int
    overflow: int


class _Conduct:
    """State of the trials of one chunk while they run."""

    def __init__(
        self,
        protocol: Protocol,
        recruits: Recruits,
        kernel: Kernel,
        parameters: Mapping[str, float],
        seed: int,
        replicates: Ints,
        threads: int,
    ) -> None:
        self.protocol, self.kernel, self.p, self.threads = protocol, kernel, parameters, threads
        self.seed, self.replicates = derive_seed(seed, "trial"), replicates
        self.arms = tuple(protocol.arms)
        self.who = enter(protocol, recruits, self.seed, replicates)
        self.identity, self.arm = self.who.identity, self.who.arm
        self.n = len(self.arm)
        self.constants = constants_at_entry(protocol, recruits, self.who, parameters)
        state = {s: recruits.state[s][self.who.drawn] for s in kernel.states}
        self.people = kernel.population(self.who.replicate, self.who.place, self.constants, state)
        self.screening = {c: v[self.who.drawn] for c, v in recruits.screening.items()}
        self.recruit = recruits.index[self.who.drawn]
        known = from_draw(parameters)
        self.rater, self.mri = EdssRater(self.seed, parameters=load(EdssParameters, known)), load(MriParameters, known)
        self.rating = RaterState(recruits.rater_h[self.who.drawn].copy(), np.zeros(self.n, np.int64))
        self.end = np.minimum(self.who.closure, self.who.leaves)
        self.now = np.zeros(self.n, np.int64)
        self.active = self.end > 0
        self.crossed = np.zeros(self.n, bool)
        self.relapse_visit_days = int(parameters["trial.relapse_visit_days"])
        self.acted: dict[int, NDArray[np.bool_]] = {}
        treated = np.array([bool(protocol.arms[a].regimen) for a in self.arms])[self.arm]
        open_rater = protocol.blinding.rater == "open"
        self.beta_open = np.where(treated & open_rater, parameters["instruments.rater_beta_open"], 0.0)
        self.taken = np.zeros((self.n, len(drugs.DRUGS)), bool)
        self.schedule: list[Schedule] = []
        self.book = Book()
        self.failed: set[int] = set()
        self.overflow = 0

    def _uniform(self, stream: str, rows: Any = slice(None), day: Any = 0) -> NDArray[np.float64]:
        return uniforms(self.seed, self.identity[rows], day, stream)[..., 0]

    # -- therapy -----------------------------------------------------------------------------------------------------
    def _give(self, rows: Ints, day: NDArray[Any], dose: str, amounts: NDArray[np.float64] | None = None) -> None:
        if len(rows):
            given = np.zeros((len(rows), 4)) if amounts is None else amounts
            kind = np.full(len(rows), self.kernel.dose(dose))
            self.schedule.append(Schedule(rows.astype(np.int64), np.asarray(day, np.int64), kind, given))

    def _start_regimen(self, arm: str, rows: Ints, day: NDArray[Any], reason: str) -> None:
        """Prescribe an arm's regimen from ``day`` on; what was taken or planned before is stopped."""
        regimen = self.protocol.arms[arm].regimen
        for entry in regimen:
            if isinstance(entry, Treatment) and entry.therapy == "ahsct":
                rows, day = self._harvest(entry, rows, day)
        if len(rows) == 0:
            return
        if reason != "randomised":
            replaced = np.zeros(self.n, bool)
            replaced[rows] = True
            self.schedule = [
                s.take(np.flatnonzero(~(replaced[s.patient] & (s.day >= self.now[s.patient])))) for s in self.schedule
            ]
        self._give(rows, day, "drugs.stop")
        for k, entry in enumerate(regimen):
            if isinstance(entry, Choice):
                self._draw_drug(entry, rows, day + entry.day, reason, stream=f"trial.choice.{k}")
            else:
                self._start(entry, rows, day + entry.day, reason)

    def _harvest(self, entry: Treatment, rows: Ints, day: NDArray[Any]) -> tuple[Ints, NDArray[Any]]:
        """Return those from whom enough cells are harvested; the others stay on what they take, with a record."""
        enough = self._uniform("ahsct.harvest", rows) >= self.p["ahsct.mobilisation_failure"]
        self.book.adverse_event("harvest_failed", rows[~enough], day[~enough] + entry.day)
        return rows[enough], day[enough]

    def _start(self, entry: Treatment, rows: Ints, day: NDArray[Any], reason: str) -> None:
        name = entry.therapy
        if name in drugs.DRUGS:
            self._give(rows, day, f"drugs.start.{name}")
            self.taken[rows, drugs.DRUGS.index(name)] = True
            stop = entry.settings.get("stop_day")
            if stop is not None:
                self._give(rows, day - entry.day + int(stop), "drugs.stop")
        elif name == "ahsct":
            set_ = entry.settings
            if set_["mobilisation"] == "cyclophosphamide-gcsf":
                before = np.maximum(day - int(self.p["trial.mobilisation_days"]), day - entry.day)
                self._give(rows, before, "ahsct.mobilise")
            amounts = np.column_stack(
                [
                    np.full(len(rows), float(set_["cells_1e6_per_kg"])),
                    self.last_edss[rows],
                    self.who.year[rows] + day / YEAR,
                    np.full(len(rows), float(set_["cd34_selected"] == "yes")),
                ]
            )
            self._give(rows, day, f"ahsct.infuse.{ahsct.CONDITIONING[str(set_['conditioning'])]}", amounts)
        self.book.write("exposure", row=rows, day=day, therapy=np.array(name), reason=np.array(reason))

    def _draw_drug(self, entry: Choice, rows: Ints, day: NDArray[Any], reason: str, stream: str) -> None:
        weight = np.zeros(len(drugs.DRUGS))
        for name, w in entry.of.items():
            weight[drugs.DRUGS.index(name)] = w
        open_ = np.where(self.taken[rows], 0.0, weight) if reason != "randomised" else np.tile(weight, (len(rows), 1))
        can = open_.sum(1) > 0
        rows, day, open_ = rows[can], np.asarray(day)[can], open_[can]
        if len(rows) == 0:
            return
        u = self._uniform(stream, rows, day)
        chosen = (np.cumsum(open_, 1) < (u * open_.sum(1))[:, None]).sum(1)
        for k, name in enumerate(drugs.DRUGS):
            mine = chosen == k
            self._start(Treatment(therapy=name, day=0), rows[mine], day[mine], reason) if mine.any() else None

    # -- moving on ---------------------------------------------------------------------------------------------------
    def _advance(self, rows: Ints, until: Ints) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
        """Advance some patients; their state changes. Returns observables at ``until`` and events, by position."""
        people = self.people.take(rows)
        where = np.full(self.n, -1)
        where[rows] = np.arange(len(rows))
        doses = Schedule.join(self.schedule)
        here = where[doses.patient] >= 0 if len(doses.patient) else np.zeros(0, bool)
        mine = doses.take(np.flatnonzero(here))
        dosing = Schedule(where[mine.patient], mine.day, mine.dose, mine.amounts)
        visits = (np.arange(len(rows)), until)
        got = self.kernel.advance(
            people, self.now[rows], until, self.p, self.seed, schedule=dosing, visits=visits, threads=self.threads
        )
        self.people.state[:, rows] = people.state
        self.overflow += got.overflow
        self.failed.update(rows[got.failed["patient"]].tolist())
        return got.observed, got.events

    def _rate(self, rows: Ints, day: Ints, observed: dict[str, NDArray[Any]], pick: Any) -> NDArray[np.float64]:
        rated = self.rater.rate(
            self.identity[rows],
            day,
            deficits(observed, pick),
            weights(self.constants, rows),
            self.rating.take(rows),
            np.where(day > 0, self.beta_open[rows], 0.0),
        )
        self.rating.put(rows, rated.state)
        return rated.edss

    def run(self) -> Trial:
        rows = np.arange(self.n)
        seen, _ = self._advance(rows, self.now)
        self.baseline = self._rate(rows, self.now, seen, rows)
        self.last_edss = self.baseline.copy()
        self.t2_counter, self.brain0 = seen["n_t2"].copy(), seen["brain_volume_pct"].copy()
        first = scan(
            self.seed, self.identity, self.now, gd_lesions=seen["gd_lesions"], t2_counter=self.t2_counter,
            t2_counter_previous=self.t2_counter, t2_volume_ml=seen["t2_volume_ml"],
            brain_volume_change_pct=np.zeros(self.n), is_baseline=np.ones(self.n, bool),
            hidden_fraction=seen.get("hidden_fraction", 0.0), parameters=self.mri,
        )  # fmt: skip
        self.patients = self._patients(first)
        never = np.flatnonzero(~self.active)
        self.book.write(
            "disposition",
            never,
            day=self.now[never],
            event=np.array("dropped_out"),
            reason=np.array("before treatment"),
        )
        treated = np.flatnonzero(self.active)
        for a, name in enumerate(self.arms):
            mine = treated[self.arm[treated] == a]
            self._start_regimen(name, mine, np.zeros(len(mine), np.int64), "randomised")
        for number in range(1, self.who.visit_day.shape[1]):
            self._to_visit(number)
        left = np.flatnonzero(self.active)  # whoever is still followed completes at the last visit
        self.end[left] = self.now[left]
        self.active[left] = False
        self.book.write("disposition", left, day=self.now[left], event=np.array("completed"))
        return Trial(self._tables(), len(self.failed), self.overflow)

    def _patients(self, first: dict[str, NDArray[Any]]) -> Table:
        return tables.make(
            "patients",
            replicate=self.who.replicate,
            patient=self.who.place,
            arm=np.array(self.arms)[self.arm],
            recruit=self.recruit,
            entry_day=self.who.entry_day,
            closure_day=self.who.closure,
            female=self.constants["female"],
            edss=self.baseline,
            gd_lesions=first["gd_lesions"],
            t2_volume_ml=first["t2_volume_ml"],
            **{c: self.screening[c] for c in SCREENED},
        )

    def _to_visit(self, number: int) -> None:
        """Take everybody to the scheduled visit, stopping at relapse visits on the way."""
        going = np.flatnonzero(self.active)
        target = np.minimum(self.who.visit_day[:, number], self.end)
        while len(going):
            backup = self.people.state[:, going].copy()
            observed, events = self._advance(going, target[going])
            stop = target[going].copy()
            if self.protocol.visits.at_relapse:
                stop = self._relapse_visits(going, events, stop)
                early = np.flatnonzero(stop < target[going])
                if len(early):
                    self.people.state[:, going[early]] = backup[:, early]
                    again, _ = self._advance(going[early], stop[early])
                    for k, v in observed.items():
                        v[early] = again[k]
            keep = events["day"] <= np.minimum(stop, self._death(len(going), events))[events["patient"]]
            self._record(going, {k: v[keep] for k, v in events.items()})
            self.now[going] = stop
            relapse_visit = self.active[going] & (stop < target[going])
            arrived = self.active[going] & ~relapse_visit
            self._see(going, observed, np.flatnonzero(relapse_visit), -1)
            arrived &= self.who.visit_day[going, number] <= self.end[going]
            self._see(going, observed, np.flatnonzero(arrived), number)
            rows = going[relapse_visit]
            self._switch(rows, "relapse")
            # a relapse too close to the scheduled visit for a visit of its own is acted on there
            told = events["kind"] == self.kernel.event("relapse")
            late = np.zeros(len(going), bool)
            late[
                events["patient"][told & keep & (events["day"] + self.relapse_visit_days > stop[events["patient"]])]
            ] = True
            self._switch(going[late & arrived], "relapse")
            going = rows
        self._leave()
        self._decide(number)

    def _relapse_visits(self, going: Ints, events: dict[str, NDArray[Any]], stop: Ints) -> Ints:
        """Day at which each patient stops: the visit for the first relapse of the stretch, else the target."""
        is_relapse = events["kind"] == self.kernel.event("relapse")
        patient, day = (
            events["patient"][is_relapse],
            events["day"][is_relapse] + self.relapse_visit_days,
        )
        first = np.full(len(going), np.iinfo(np.int64).max)
        np.minimum.at(first, patient, day)
        return np.where(first < stop, first, stop)

    def _death(self, n: int, events: dict[str, NDArray[Any]]) -> Ints:
        """Day of death of each patient of a stretch; the kernel goes on beyond it."""
        out = np.full(n, NEVER)
        for kind in ("death", "treatment_death"):
            mine = events["kind"] == self.kernel.event(kind)
            np.minimum.at(out, events["patient"][mine], events["day"][mine])
        return out

    def _record(self, going: Ints, events: dict[str, NDArray[Any]]) -> None:
        """Write events of the kernel into the tables; the dead leave."""
        names = {v: k for k, v in self.kernel.model.event_kinds.items()}
        for kind in np.unique(events["kind"]):
            mine = events["kind"] == kind
            rows, day, name = going[events["patient"][mine]], events["day"][mine], names[int(kind)]
            if name == "relapse":
                self.book.write("relapses", row=rows, day=day)
            if name in ADVERSE:
                self.book.adverse_event(name, rows, day)
            if name in ("death", "treatment_death"):
                reason = "treatment-related" if name == "treatment_death" else "other cause"
                self.book.write("disposition", row=rows, day=day, event=np.array("died"), reason=np.array(reason))
                self.active[rows] = False
                self.end[rows] = np.minimum(self.end[rows], day)

    def _see(self, going: Ints, observed: dict[str, NDArray[Any]], pick: Ints, number: int) -> None:
        """Rate and scan the patients at positions ``pick`` of ``going``."""
        if len(pick) == 0:
            return
        rows, day = going[pick], self.now[going[pick]]
        edss = self._rate(rows, day, observed, pick)
        self.last_edss[rows] = edss
        self.book.write("visits", row=rows, day=day, visit=np.array(number), edss=edss)
        months = self.protocol.visits.months
        if number < 0 or months[number] not in self.protocol.visits.mri_months:
            return
        counter = observed["n_t2"][pick]
        hidden = observed["hidden_fraction"][pick] if "hidden_fraction" in observed else 0.0
        seen = scan(
            self.seed, self.identity[rows], day, gd_lesions=observed["gd_lesions"][pick], t2_counter=counter,
            t2_counter_previous=self.t2_counter[rows], t2_volume_ml=observed["t2_volume_ml"][pick],
            brain_volume_change_pct=observed["brain_volume_pct"][pick] - self.brain0[rows],
            is_baseline=np.zeros(len(rows), bool), hidden_fraction=hidden, parameters=self.mri,
        )  # fmt: skip
        self.t2_counter[rows] = counter
        self.book.write("mri", row=rows, day=day, visit=np.array(number), **seen)

    def _leave(self) -> None:
        """Whoever has reached the end of his own follow-up leaves."""
        gone = np.flatnonzero(self.active & (self.now >= self.end))
        dropped = self.who.leaves[gone] <= self.who.closure[gone]
        self.book.write("disposition", row=gone[dropped], day=self.now[gone[dropped]], event=np.array("dropped_out"))
        self.book.write("disposition", row=gone[~dropped], day=self.now[gone[~dropped]], event=np.array("completed"))
        self.active[gone] = False

    # -- decisions ---------------------------------------------------------------------------------------------------
    def _switch(self, rows: Ints, event: str) -> None:
        """Switch drugs of those whose regimen says so."""
        for a, name in enumerate(self.arms):
            for entry in self.protocol.arms[name].regimen:
                if isinstance(entry, Choice) and entry.switch_on == event:
                    mine = rows[(self.arm[rows] == a) & ~self.crossed[rows] & self.active[rows]]
                    if entry.switch_to == "remaining":
                        self._draw_drug(entry, mine, self.now[mine], "switch", stream="trial.switch")
                    else:
                        self._start(Treatment(therapy=entry.switch_to, day=0), mine, self.now[mine], "switch")

    def _decide(self, number: int) -> None:
        """Apply the rules of the protocol that wait for an event, at a scheduled visit."""
        rules = [r for r in self.protocol.rules if isinstance(r, WhenRule)]
        deciding = self.active & (self.now < self.who.closure)
        if not rules or not deciding.any() or number == len(self.protocol.visits.months) - 1:
            return
        so_far = self._tables()
        month = self.protocol.visits.months[number]
        for k, rule in enumerate(rules):
            if month < rule.from_month:
                continue
            result = derive(rule.when, so_far, planned_days=planned_days(self.protocol))
            if not isinstance(result, Events):
                raise InputError(
                    f"rules: '{rule.when}' is no event that can be waited for; use a time-to-event endpoint"
                )
            acted = self.acted.setdefault(k, np.zeros(self.n, bool))
            found = (
                result.event
                & deciding
                & ~acted
                & ~self.crossed
                & np.isin(self.arm, [self.arms.index(a) for a in rule.of(self.arms)])
            )
            rows = np.flatnonzero(found & (self._uniform(f"trial.rule.{k}") < rule.share))
            acted[rows] = True
            if rule.action == "cross_over":
                self.crossed[rows] = True
                self.book.write(
                    "disposition", row=rows, day=self.now[rows], event=np.array("crossed_over"),
                    reason=np.array(rule.when[:40]),
                )  # fmt: skip
                self._start_regimen(str(rule.to), rows, self.now[rows], "crossover")
            elif isinstance(rule.entry, Treatment):
                self._start(rule.entry, rows, self.now[rows], "switch")
            else:
                self.end[rows] = self.who.leaves[rows] = self.now[rows]
                self._leave()

    def _tables(self) -> dict[str, Table]:
        names = ("visits", "relapses", "mri", "exposure", "adverse_events", "disposition")
        out = {n: self.book.table(n, self.n // len(self.replicates), self.replicates) for n in names}
        last = np.where(self.active, NEVER, self.end)
        for name in ("exposure", "adverse_events"):  # what was planned for a day that the patient did not reach
            t = out[name]
            row = tables.row_of(t, self.replicates, self.n // len(self.replicates))
            out[name] = tables.take(t, t["day"] <= last[row])
        return {"patients": self.patients, **out}


def conduct(
    protocol: Protocol, recruits: Recruits, kernel: Kernel, parameters: Mapping[str, float], seed: int, *,
    replicates: Sequence[int] = (0,), threads: int = 1,
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

    Returns
    -------
    Trial
    """
    which = np.asarray(replicates, np.int64)
    return _Conduct(protocol, recruits, kernel, parameters, seed, which, threads).run()
