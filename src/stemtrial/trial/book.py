"""The book of a trial while it runs: rows as they happen, tables when asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial import tables
from stemtrial.tables import Table

ADVERSE = {
    "febrile_neutropenia": ("febrile neutropenia", 3, 1),
    "serious_infection": ("serious infection", 3, 1),
    "secondary_autoimmunity": ("secondary autoimmune disease", 2, 0),
    "harvest_failed": ("harvest failed", 2, 0),
    "treatment_death": ("treatment-related death", 5, 1),
}
"""Event of the kernel, or of the conduct -> term, grade, serious."""


@dataclass
class Book:
    """Rows that become tables."""

    rows: dict[str, list[dict[str, NDArray[Any]]]] = field(default_factory=dict)

    def write(self, table: str, row: NDArray[np.int64], **columns: NDArray[Any]) -> None:
        """Add rows of some patients, by row number; a column of one value stands for all of them."""
        if len(row):
            full = {k: np.broadcast_to(v, row.shape) for k, v in columns.items()}
            self.rows.setdefault(table, []).append({"row": row, **full})

    def table(self, name: str, patients: int, replicates: NDArray[np.int64]) -> Table:
        """One sorted table of schema ``name``; ``patient`` was a row number over all replicates until here."""
        schema = tables.SCHEMAS[name]
        parts = self.rows.get(name, [])
        keys = dict.fromkeys(k for p in parts for k in p)
        raw = {
            k: np.concatenate([p[k] if k in p else np.zeros(len(p["row"]), schema.columns[k].dtype) for p in parts])
            for k in keys
        }
        row = raw.pop("row", np.zeros(0, np.int64)).astype(np.int64)
        order = np.lexsort((raw.get("day", row), row))
        columns = {k: v[order] for k, v in raw.items()}
        row = row[order]
        columns |= {"replicate": replicates[row // patients], "patient": row % patients}
        for key, spec in schema.columns.items():
            columns.setdefault(key, np.zeros(len(row), spec.dtype))
        return tables.make(name, **columns)

    def adverse_event(self, event: str, row: NDArray[np.int64], day: NDArray[Any]) -> None:
        """Add an adverse event of :data:`ADVERSE`."""
        term, grade, serious = (np.array(x) for x in ADVERSE[event])
        self.write("adverse_events", row, day=day, term=term, grade=grade, serious=serious, cause=np.array("ahsct"))
