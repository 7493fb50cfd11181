"""The tables that travel between rooms: one schema each, key columns first, units in names.

A table is a plain ``dict`` of equally long NumPy columns. Inside replicate loops that is the fastest form;
:func:`to_frame` gives the pandas view that people and files get.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stemtrial.errors import InputError, did_you_mean

Table = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Column:
    """One column: its NumPy dtype, unit and meaning."""

    dtype: str
    unit: str
    meaning: str


@dataclass(frozen=True)
class Schema:
    """Name, key columns and columns of one kind of table.

    ``optional`` columns may be absent: those of one disease among them. Screening variables
    (:data:`stemtrial.cohort.variables.VARIABLES`) and instruments (:func:`stemtrial.observe.instruments`), which say
    their own units and meanings, stand in ``patients``, ``visits`` and ``mri`` without being declared again here.
    """

    name: str
    keys: tuple[str, ...]
    columns: Mapping[str, Column]
    optional: Mapping[str, Column]


_KEY = {
    "replicate": Column("i4", "1", "which repetition of the trial"),
    "patient": Column("i4", "1", "patient number within the replicate, 0-based"),
}
_DAY = {"day": Column("i4", "d", "days since the patient's randomisation")}


def _schema(
    name: str, keys: tuple[str, ...], optional: Mapping[str, Column] | None = None, **columns: tuple[str, str, str]
) -> Schema:
    base: dict[str, Column] = dict(_KEY)
    if "day" in keys:
        base.update(_DAY)
    base.update({k: Column(*v) for k, v in columns.items()})
    return Schema(name, keys, base, optional or {})


SCHEMAS: dict[str, Schema] = {
    s.name: s
    for s in (
        _schema(
            "patients",
            ("replicate", "patient"),
            optional={
                "course": Column("U12", "1", "course at entry, where a trial takes several"),
                "disease_duration_years": Column("f8", "y", "years since the first symptom"),
                "relapses_last_12_months": Column("i4", "1", "reported relapses in the year before screening"),
                "edss": Column("f8", "EDSS", "rated EDSS at baseline"),
                "gd_lesions": Column("i4", "1", "enhancing lesions on the baseline scan"),
                "t2_volume_ml": Column("f8", "ml", "T2 lesion volume on the baseline scan"),
            },
            arm=("U24", "1", "randomised arm"),
            recruit=("i8", "1", "identity of the recruit drawn into this place"),
            entry_day=("i4", "d", "calendar day of randomisation, counted from the start of accrual"),
            closure_day=("i4", "d", "day of the patient's last possible visit"),
            age_years=("f8", "y", "age at baseline"),
            female=("i1", "1", "1 for a woman"),
        ),
        _schema(
            "visits",
            ("replicate", "patient", "day"),
            optional={"edss": Column("f8", "EDSS", "rated EDSS")},
            visit=("i2", "1", "number of the scheduled visit; -1 for a visit at a relapse"),
        ),
        _schema(
            "milestones",
            ("replicate", "patient", "day"),
            event=("U24", "1", "niv, gastrostomy, tracheostomy or permanent_ventilation, as it happens"),
        ),
        _schema(
            "relapses",
            ("replicate", "patient", "day"),
            optional={
                "severity": Column(
                    "f8", "EDSS", "EDSS rated at the relapse visit minus that rated before; NaN without such a visit"
                )
            },
        ),
        _schema(
            "mri",
            ("replicate", "patient", "day"),
            visit=("i2", "1", "number of the scheduled visit"),
            gd_lesions=("i4", "1", "visible gadolinium-enhancing lesions"),
            new_t2_lesions=("i4", "1", "new or enlarging T2 lesions since the previous scan"),
            t2_volume_ml=("f8", "ml", "T2 lesion volume"),
            brain_volume_change_pct=("f8", "%", "percentage brain volume change since the baseline scan"),
        ),
        _schema(
            "exposure",
            ("replicate", "patient", "day"),
            therapy=("U32", "1", "therapy that starts on this day"),
            stop_day=(
                "i4",
                "d",
                "day on which it was stopped; -1 if it went on to the end of follow-up or cannot stop",
            ),
            reason=("U24", "1", "why it starts: randomised, switch, added, crossover"),
        ),
        _schema(
            "adverse_events",
            ("replicate", "patient", "day"),
            term=("U40", "1", "what happened"),
            grade=("i1", "1", "CTCAE grade 1-5"),
            serious=("i1", "1", "1 for a serious adverse event"),
            cause=("U32", "1", "therapy that caused it"),
        ),
        _schema(
            "disposition",
            ("replicate", "patient", "day"),
            event=("U24", "1", "completed, dropped_out, died, crossed_over"),
            reason=("U40", "1", "why"),
        ),
        _schema(
            "truth_visits",
            ("replicate", "patient", "day"),
            visit=("i2", "1", "number of the scheduled visit; 0 at baseline, -1 at a relapse"),
            optional={
                "edss_true": Column("f8", "EDSS", "EDSS that an examiner without error would give"),
                "alsfrs_r_true": Column("f8", "points", "ALSFRS-R that an examiner without error would give"),
                **{
                    f"x_{cause}": Column(
                        "f8", "fraction", f"axonal function lost by {cause} since randomisation, all regions"
                    )
                    for cause in ("acute", "demyelination", "smouldering")
                },
            },
        ),
    )
}


def make(name: str, **columns: NDArray[Any]) -> Table:
    """Build a table of schema ``name``; optional and extra columns (instruments) stand after the declared ones.

    Raises
    ------
    InputError
        If the schema is unknown, a column is missing, or the columns differ in length.
    """
    if name not in SCHEMAS:
        raise InputError(f"table '{name}' is not known{did_you_mean(name, SCHEMAS)}")
    schema = SCHEMAS[name]
    missing = [c for c in schema.columns if c not in columns]
    if missing:
        raise InputError(f"table '{name}' lacks column '{missing[0]}'; it needs {', '.join(schema.columns)}")
    out: Table = {c: np.asarray(columns[c], dtype=spec.dtype) for c, spec in schema.columns.items()}
    for c, v in columns.items():
        if c not in schema.columns:
            out[c] = np.asarray(v, dtype=schema.optional[c].dtype if c in schema.optional else None)
    lengths = {c: len(v) for c, v in out.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f"columns of table '{name}' differ in length: {lengths}")
    return out


def concat(tables: list[Table]) -> Table:
    """Stack tables of one schema."""
    return {c: np.concatenate([t[c] for t in tables]) for c in tables[0]}


def take(table: Table, rows: NDArray[Any]) -> Table:
    """Rows of a table, by mask or index."""
    return {c: v[rows] for c, v in table.items()}


def row_of(table: Table, replicates: NDArray[Any], patients: int) -> NDArray[np.int64]:
    """Row of each record's patient in a table of ``patients`` a replicate, replicates ascending as given."""
    return np.asarray(np.searchsorted(replicates, table["replicate"]) * patients + table["patient"], np.int64)


def to_frame(table: Table) -> pd.DataFrame:
    """Pandas view of a table."""
    return pd.DataFrame(table)
