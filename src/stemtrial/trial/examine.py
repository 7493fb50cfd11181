"""What a trial measures at its visits: what its disease is told by always, other instruments where somebody asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.endpoint.definition import find, needs, worsening_of
from stemtrial.kernel import Kernel
from stemtrial.observe import PYRAMIDAL, SCALES, RaterState, View, examination, instruments, measure
from stemtrial.observe.parameters import from_draw
from stemtrial.trial.book import Book
from stemtrial.trial.protocol import Protocol
from stemtrial.trial.rules import HazardRule
from stemtrial.trial.scanner import SCAN, Scanner
from stemtrial.trial.ward import Ints, Ward

Columns = Mapping[str, NDArray[Any]]
ASSAYED = "nfl_pg_ml"
"""Observable whose measured level differs between laboratories."""
CAUSES = ("acute", "demyelination", "smouldering")


def events_of(protocol: Protocol) -> tuple[str, ...]:
    """Endpoints that rules wait for."""
    waits = [r.after if isinstance(r, HazardRule) else r.when for r in protocol.rules]
    waits += [getattr(e, "switch_on", None) for arm in protocol.arms.values() for e in arm.regimen]
    return tuple(dict.fromkeys(w for w in waits if w not in (None, "relapse")))


def instruments_of(protocol: Protocol) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what is measured at visits and on scans beside what every visit and scan of the disease has.

    Parameters
    ----------
    protocol : Protocol
        Its endpoints, the events that its rules wait for, and its ``instruments`` decide.

    Returns
    -------
    visits, mri : tuple of str
        Columns, in the order in which they are first needed.
    """
    wanted: dict[str, dict[str, None]] = {"visits": {}, "mri": {}}
    for name in dict.fromkeys([*(use.id for use in protocol.endpoints.all), *events_of(protocol)]):
        definition = find(name)
        found = needs(definition)
        if getattr(definition, "at_baseline", False):  # what the baseline holds is what visits and scans measure
            found = {t: {c for c in found["patients"] if instruments()[c].table == t} for t in wanted}
        for table, columns in wanted.items():
            columns |= dict.fromkeys(sorted(found.get(table, ())))
        worsening = worsening_of(definition) if definition.rule == "first_activity" else definition
        if getattr(worsening, "pyramidal_at_least", None) is not None:
            wanted["visits"][PYRAMIDAL] = None
    return tuple(wanted["visits"]), tuple(wanted["mri"])


class Examiner:
    """Rates, measures and scans rows of the ward.

    Parameters
    ----------
    ward : Ward
        The patients.
    kernel : Kernel
        Whose states are the truth.
    constants : mapping of str to ndarray
        Constants of the patients, a row each.
    rater_h : ndarray, shape (patients, processes)
        Autocorrelated rating errors at entry; changed in place.
    book : Book
        Receives the rows.
    truth : bool
        Also keep the truth of every visit, in a table of its own.
    """

    def __init__(
        self, ward: Ward, kernel: Kernel, constants: Columns, rater_h: NDArray[np.float64], book: Book,
        truth: bool = False,
    ) -> None:  # fmt: skip
        self.ward, self.kernel, self.constants, self.book, self.truth = ward, kernel, constants, book, truth
        n, disease = len(ward), ward.protocol.disease
        self.known = from_draw(ward.parameters)
        self.doctor = examination(disease, ward.seed, self.known)
        self.scale = SCALES[disease]
        self.rating = RaterState(rater_h, np.zeros(n, np.int64))
        wanted, on_scans = instruments_of(ward.protocol)
        known = instruments(disease)
        also = [c for c in dict.fromkeys([*wanted, *ward.protocol.instruments]) if c not in self.doctor.columns]
        # some findings of the examination are no instruments: written where somebody asks
        self.found = (*self.doctor.columns, *(c for c in also if c not in known))
        self.tests = tuple(c for c in also if c in known and known[c].table == "visits")
        book.extra["visits"] = (*self.found, *self.tests)
        scanned = tuple(dict.fromkeys([*on_scans, *(c for c in also if c in known and known[c].table == "mri")]))
        self.scanner = None
        if any(i.table == "mri" for i in known.values()):
            self.scanner = Scanner(ward, book, tuple(c for c in scanned if c not in SCAN), self.known)
        self.earlier = {name: np.zeros(n) for name in self.tests}
        self.rating_bias = ward.effects.rating_bias[ward.trial]
        self.rater_spread = ward.effects.factor("rater", ward.trial)
        self.assay = ward.effects.factor("assay", ward.trial)
        self.bias_days = ward.parameters[f"trial.rating_bias_days.{disease}"]

    def baseline(self, observed: Columns, state: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
        """Examine everybody on day 0; the values go into the table of patients."""
        rows = np.arange(len(self.ward))
        seen = self._visit(rows, observed, rows)
        self.ward.first = self.ward.last.copy()
        scanned = {} if self.scanner is None else self.scanner.baseline(observed)
        self._true(rows, observed, rows, state, 0)
        return seen | scanned

    def visit(self, going: Ints, observed: Columns, pick: Ints, number: int, state: NDArray[np.float64]) -> None:
        """Examine the patients at positions ``pick`` of ``going``; -1 numbers a visit at a relapse."""
        if len(pick) == 0:
            return
        rows, months = going[pick], self.ward.protocol.visits.months
        day = self.ward.now[rows]
        self.book.write("visits", rows, day=day, visit=number, **self._visit(rows, observed, pick, number >= 0))
        self._true(rows, observed, pick, state, number)
        if self.scanner is not None and number >= 0 and months[number] in self.ward.protocol.visits.mri_months:
            self.scanner.visit(rows, observed, pick, number)

    def _visit(self, rows: Ints, observed: Columns, pick: Ints, tests: bool = True) -> dict[str, NDArray[Any]]:
        day = self.ward.now[rows]
        seen = {k: v[pick] for k, v in observed.items()}
        body = {k: v[rows] for k, v in self.constants.items()}
        identity = self.ward.identity[rows]
        held, bias, spread = self.rating.take(rows), self._bias(rows, day), self.rater_spread[rows]
        rated, kept = self.doctor.rate(identity, day, seen, body, held, bias, spread)
        self.rating.put(rows, kept)
        self.ward.last[rows] = rated[self.scale]
        out = {c: rated[c] for c in self.found}
        if tests and self.tests:
            seen[ASSAYED] = seen[ASSAYED] * self.assay[rows]
            earlier = {k: v[rows] for k, v in self.earlier.items()}
            measured = measure(View(self.ward.seed, identity, day, seen, body, rated, earlier), self.tests, self.known)
            for name, values in measured.items():
                self.earlier[name][rows] += np.isfinite(values)
            out |= measured
        return out

    def _bias(self, rows: Ints, day: Ints) -> NDArray[np.float64]:
        """What open raters add: from the day after the first therapy on, less as hope fades."""
        since = np.maximum(day - self.ward.treated_from[rows], 0)
        fading = np.exp(-since / self.bias_days)
        return np.where(since > 0, self.rating_bias[rows] * fading, 0.0)

    def _true(self, rows: Ints, observed: Columns, pick: Ints, state: NDArray[np.float64], number: int) -> None:
        if not self.truth:
            return
        true = self.doctor.true(
            {k: v[pick] for k, v in observed.items()}, {k: v[rows] for k, v in self.constants.items()}
        )
        causes = {
            f"x_{c}": state[self.kernel.row(f"X_by_{c}"), rows] for c in CAUSES if f"X_by_{c}" in self.kernel.states
        }
        self.book.write("truth_visits", rows, day=self.ward.now[rows], visit=number, **true, **causes)
