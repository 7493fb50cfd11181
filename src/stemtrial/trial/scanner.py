"""The scans of a trial: which visits have one, who misses it, and what is compared with the scan before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.observe import MriParameters, load, scan, scan_done
from stemtrial.trial.book import Book
from stemtrial.trial.ward import Ints, Ward

Columns = Mapping[str, NDArray[Any]]
SCAN = ("gd_lesions", "new_t2_lesions", "t2_volume_ml", "brain_volume_change_pct")
"""Columns of every scan."""


class Scanner:
    """Scans rows of the ward.

    Parameters
    ----------
    ward : Ward
        The patients.
    book : Book
        Receives the rows.
    columns : tuple of str
        What is measured beside :data:`SCAN`.
    known : mapping of str to float
        Instrument parameters.
    """

    def __init__(self, ward: Ward, book: Book, columns: tuple[str, ...], known: Mapping[str, float]) -> None:
        self.ward, self.book, self.columns = ward, book, columns
        self.parameters = load(MriParameters, known)
        book.extra["mri"] = columns
        self.reading, self.atrophy = (ward.effects.factor(e, ward.trial) for e in ("reading", "atrophy"))
        self.t2_counter = np.zeros(len(ward))
        self.brain0 = np.zeros(len(ward))

    def baseline(self, observed: Columns) -> dict[str, NDArray[Any]]:
        """Scan everybody on day 0; what goes into the table of patients."""
        rows = np.arange(len(self.ward))
        self.t2_counter, self.brain0 = observed["n_t2"].copy(), observed["brain_volume_pct"].copy()
        scanned = self._scan(rows, observed, rows)
        return {k: scanned[k] for k in ("gd_lesions", "t2_volume_ml", *self.columns)}

    def visit(self, rows: Ints, observed: Columns, pick: Ints, number: int) -> None:
        """Scan those ``rows`` who come, who stand at positions ``pick`` of what is observed."""
        day = self.ward.now[rows]
        done = scan_done(self.ward.seed, self.ward.identity[rows], day, day == 0, parameters=self.parameters)
        rows, day, pick = rows[done], day[done], pick[done]
        if len(rows):
            self.book.write("mri", rows, day=day, visit=number, **self._scan(rows, observed, pick))

    def _scan(self, rows: Ints, observed: Columns, pick: Ints) -> dict[str, NDArray[Any]]:
        day, counter = self.ward.now[rows], observed["n_t2"][pick]
        names = ("demyelinated_ml", "remyelinated_ml", "chronic_active_ml") if self.columns else ()
        volumes: dict[str, Any] = {k: observed[k][pick] for k in names}
        seen = scan(
            self.ward.seed, self.ward.identity[rows], day, gd_lesions=observed["gd_lesions"][pick], t2_counter=counter,
            t2_counter_previous=self.t2_counter[rows], t2_volume_ml=observed["t2_volume_ml"][pick],
            brain_volume_change_pct=observed["brain_volume_pct"][pick] - self.brain0[rows],
            is_baseline=day == 0, reading=self.reading[rows], atrophy=self.atrophy[rows], columns=self.columns,
            parameters=self.parameters,
            hidden_fraction=observed["hidden_fraction"][pick] if "hidden_fraction" in observed else 0.0,
            **volumes,
        )  # fmt: skip
        self.t2_counter[rows] = counter
        return seen
