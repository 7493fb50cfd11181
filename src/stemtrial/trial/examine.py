"""What a trial measures at its visits: EDSS and scans always, other instruments where an endpoint or the file asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.cohort.recruit import deficits, weights
from stemtrial.endpoint.definition import PYRAMIDAL, find, needs, worsening_of
from stemtrial.kernel import Kernel
from stemtrial.observe import EdssRater, RaterState, View, instruments, measure, scan, scan_done, true_edss
from stemtrial.observe.parameters import EdssParameters, MriParameters, from_draw, load
from stemtrial.trial.book import Book
from stemtrial.trial.protocol import Protocol
from stemtrial.trial.rules import HazardRule
from stemtrial.trial.ward import Ints, Ward

Columns = Mapping[str, NDArray[Any]]
SCAN = ("gd_lesions", "new_t2_lesions", "t2_volume_ml", "brain_volume_change_pct")
"""Columns of every scan."""
CAUSES = ("acute", "demyelination", "smouldering")


def events_of(protocol: Protocol) -> tuple[str, ...]:
    """Endpoints that rules wait for."""
    waits = [r.after if isinstance(r, HazardRule) else r.when for r in protocol.rules]
    waits += [getattr(e, "switch_on", None) for arm in protocol.arms.values() for e in arm.regimen]
    return tuple(dict.fromkeys(w for w in waits if w not in (None, "relapse")))


def instruments_of(protocol: Protocol) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what is measured at visits and on scans beside the EDSS and the four columns of every scan.

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
    rater_h : ndarray, shape (patients, 8)
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
        n = len(ward)
        self.known = from_draw(ward.parameters)
        self.rater = EdssRater(ward.seed, parameters=load(EdssParameters, self.known))
        self.mri = load(MriParameters, self.known)
        self.rating = RaterState(rater_h, np.zeros(n, np.int64))
        wanted, self.on_scans = instruments_of(ward.protocol)
        asked = dict.fromkeys([*wanted, *ward.protocol.instruments])
        also = [c for c in asked if c not in (PYRAMIDAL, "edss")]
        self.on_scans = tuple(dict.fromkeys([*self.on_scans, *(c for c in also if instruments()[c].table == "mri")]))
        self.on_scans = tuple(c for c in self.on_scans if c not in SCAN)
        self.tests = tuple(c for c in also if instruments()[c].table == "visits")
        self.pyramidal = PYRAMIDAL in wanted
        tested = (PYRAMIDAL, *self.tests) if self.pyramidal else self.tests
        book.extra |= {"visits": tested, "mri": self.on_scans}
        self.earlier = {name: np.zeros(n) for name in self.tests}
        self.rating_bias = ward.effects.rating_bias[ward.trial]
        self.bias_days = ward.parameters["trial.rating_bias_days"]
        self.t2_counter = np.zeros(n)
        self.brain0 = np.zeros(n)

    def baseline(self, observed: Columns, state: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
        """Examine everybody on day 0; the values go into the table of patients."""
        rows = np.arange(len(self.ward))
        seen = self._visit(rows, observed, rows)
        self.t2_counter, self.brain0 = observed["n_t2"].copy(), observed["brain_volume_pct"].copy()
        scanned = self._scan(rows, observed, rows)
        self._true(rows, observed, rows, state, 0)
        kept = {k: scanned[k] for k in ("gd_lesions", "t2_volume_ml", *self.on_scans)}
        return seen | kept

    def visit(self, going: Ints, observed: Columns, pick: Ints, number: int, state: NDArray[np.float64]) -> None:
        """Examine the patients at positions ``pick`` of ``going``; -1 numbers a visit at a relapse."""
        if len(pick) == 0:
            return
        rows, months = going[pick], self.ward.protocol.visits.months
        day = self.ward.now[rows]
        self.book.write("visits", rows, day=day, visit=number, **self._visit(rows, observed, pick, number >= 0))
        self._true(rows, observed, pick, state, number)
        if number >= 0 and months[number] in self.ward.protocol.visits.mri_months:
            done = scan_done(self.ward.seed, self.ward.identity[rows], day, day == 0, parameters=self.mri)
            rows, day, pick = rows[done], day[done], pick[done]
            if len(rows):
                self.book.write("mri", rows, day=day, visit=number, **self._scan(rows, observed, pick))

    def _visit(self, rows: Ints, observed: Columns, pick: Ints, tests: bool = True) -> dict[str, NDArray[Any]]:
        day = self.ward.now[rows]
        rated = self.rater.rate(
            self.ward.identity[rows],
            day,
            deficits(observed, pick),
            weights(self.constants, rows),
            self.rating.take(rows),
            self._bias(rows, day),
        )
        self.rating.put(rows, rated.state)
        self.ward.last_edss[rows] = rated.edss
        out: dict[str, NDArray[Any]] = {"edss": rated.edss}
        if self.pyramidal:
            out[PYRAMIDAL] = rated.fs[:, 0].astype(float)
        if tests and self.tests:
            view = View(
                self.ward.seed,
                self.ward.identity[rows],
                day,
                {k: v[pick] for k, v in observed.items()},
                {k: v[rows] for k, v in self.constants.items()},
                rated.edss,
                rated.fs,
                observed["days_since_relapse"][pick],
                {k: v[rows] for k, v in self.earlier.items()},
            )
            measured = measure(view, self.tests, self.known)
            for name, values in measured.items():
                self.earlier[name][rows] += np.isfinite(values)
            out |= measured
        return out

    def _bias(self, rows: Ints, day: Ints) -> NDArray[np.float64]:
        """What open raters add: from the day after the first therapy on, less as hope fades."""
        since = np.maximum(day - self.ward.treated_from[rows], 0)
        fading = np.exp(-since / self.bias_days)
        return np.where(since > 0, self.rating_bias[rows] * fading, 0.0)

    def _scan(self, rows: Ints, observed: Columns, pick: Ints) -> dict[str, NDArray[Any]]:
        day, counter = self.ward.now[rows], observed["n_t2"][pick]
        names = ("demyelinated_ml", "remyelinated_ml", "chronic_active_ml") if self.on_scans else ()
        volumes: dict[str, Any] = {k: observed[k][pick] for k in names}
        seen = scan(
            self.ward.seed, self.ward.identity[rows], day, gd_lesions=observed["gd_lesions"][pick], t2_counter=counter,
            t2_counter_previous=self.t2_counter[rows], t2_volume_ml=observed["t2_volume_ml"][pick],
            brain_volume_change_pct=observed["brain_volume_pct"][pick] - self.brain0[rows],
            is_baseline=day == 0, columns=self.on_scans, parameters=self.mri,
            hidden_fraction=observed["hidden_fraction"][pick] if "hidden_fraction" in observed else 0.0,
            **volumes,
        )  # fmt: skip
        self.t2_counter[rows] = counter
        return seen

    def _true(self, rows: Ints, observed: Columns, pick: Ints, state: NDArray[np.float64], number: int) -> None:
        if not self.truth:
            return
        edss = true_edss(deficits(observed, pick), weights(self.constants, rows), self.rater.parameters)
        causes = {
            f"x_{c}": state[self.kernel.row(f"X_by_{c}"), rows] for c in CAUSES if f"X_by_{c}" in self.kernel.states
        }
        self.book.write("truth_visits", rows, day=self.ward.now[rows], visit=number, edss_true=edss, **causes)
