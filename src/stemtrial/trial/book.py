"""The book of a trial while it runs: rows as they happen, tables when asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial import tables
from stemtrial.tables import Table
from stemtrial.therapy.harms import HARMS
from stemtrial.therapy.prescribe import FAMILIES, Harm

_RECORDED = {name: harm for name, (harm, _) in HARMS.items()} | {
    name: harm
    for f in FAMILIES.values()
    for name, harm in (*f.harms.items(), *([] if f.failure is None else [(f.failure.stream, f.failure.harm)]))
}
ADVERSE: dict[str, tuple[str, int, int]] = {k: (h.term, h.grade, int(h.serious)) for k, h in _RECORDED.items()}
"""Event of a therapy -> term, CTCAE grade, 1 if serious."""

_DAYS = 1 << 21  # more than any day of a trial, so that row and day make one sortable number


@dataclass
class Book:
    """Rows that become tables.

    Parameters
    ----------
    patients : int
        Patients of one replicate.
    replicates : ndarray of int64
        The replicates, in the order of the rows.
    extra : dict of str to tuple of str
        Columns beyond the schema that a table always has.
    """

    patients: int
    replicates: NDArray[np.int64]
    extra: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rows: dict[str, list[dict[str, NDArray[Any]]]] = field(default_factory=dict)
    _made: dict[str, Table] = field(default_factory=dict)

    def write(self, table: str, row: NDArray[np.int64], **columns: Any) -> None:
        """Add rows of some patients, by row number; a column of one value stands for all of them."""
        if len(row):
            full = {k: np.broadcast_to(v, row.shape) for k, v in columns.items()}
            self.rows.setdefault(table, []).append({"row": row, **full})
            self._made.pop(table, None)

    def table(self, name: str) -> Table:
        """One sorted table of schema ``name``; numbers that some rows lack are NaN in columns beyond the schema."""
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def _make(self, name: str) -> Table:
        declared = tables.SCHEMAS[name].columns
        parts = self.rows.get(name, [])
        keys = dict.fromkeys(k for p in parts for k in p)
        raw = {k: np.concatenate([p[k] if k in p else _absent(name, k, len(p["row"])) for p in parts]) for k in keys}
        row = raw.pop("row", np.zeros(0, np.int64)).astype(np.int64)
        order = np.argsort(row * _DAYS + raw["day"], kind="stable") if len(row) else row
        if parts:  # what was sorted once is nearly sorted the next time
            self.rows[name] = [{"row": row[order], **{k: v[order] for k, v in raw.items()}}]
        columns = {k: v[order] for k, v in raw.items()}
        row = row[order]
        columns |= {"replicate": self.replicates[row // self.patients], "patient": row % self.patients}
        for key, spec in declared.items():
            columns.setdefault(key, np.zeros(len(row), spec.dtype))
        for key in self.extra.get(name, ()):
            columns.setdefault(key, np.full(len(row), np.nan))
        return tables.make(name, **columns)

    def row_of(self, table: Table) -> NDArray[np.int64]:
        """Row number of each record's patient."""
        return tables.row_of(table, self.replicates, self.patients)

    def harm(self, harm: Harm, therapy: str, row: NDArray[np.int64], day: NDArray[Any]) -> None:
        """Add an adverse event."""
        self.write(
            "adverse_events", row, day=day, term=harm.term, grade=harm.grade, serious=harm.serious, cause=therapy
        )


def _absent(table: str, column: str, n: int) -> NDArray[Any]:
    declared = tables.SCHEMAS[table].columns
    return np.full(n, np.nan) if column not in declared else np.zeros(n, declared[column].dtype)
