"""The folder of a run: what may be written where, and what is written."""

from __future__ import annotations

import datetime
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import duckdb

from stemtrial.errors import InputError
from stemtrial.store import write_atomic
from stemtrial.tables import Table, to_frame

UNFINISHED = ("chunks", "tables", "estimates.json", "baseline.json")
"""What a run that was killed leaves in its folder."""


def refuse_other_run(folder: Path, run_id: str) -> None:
    """Refuse a folder that holds another run or something else, or that cannot be written.

    Raises
    ------
    InputError
        If it does.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; name a folder for the run")
    marker = folder / "run.json"
    if marker.exists():
        try:
            other = json.loads(marker.read_text()).get("id")
        except (ValueError, OSError):
            other = None
        if other != run_id:
            raise InputError(f"{folder} holds another run; name another folder, or remove it")
    elif folder.exists() and any(p.name not in UNFINISHED and not p.name.startswith(".") for p in folder.iterdir()):
        raise InputError(f"{folder} is not empty and holds no run; name another folder")
    _refuse_unwritable(folder)


def _refuse_unwritable(folder: Path) -> None:
    """Try the folder, or the closest one above it that exists, before recruiting, which takes long."""
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise InputError(f"{folder} cannot be made, because {place} is a file; name another folder for the run")
    try:
        os.rmdir(tempfile.mkdtemp(prefix=".tmp-", dir=place))
    except OSError as e:
        raise InputError(f"{folder} cannot be written ({e.strerror}); name another folder for the run") from None


def write_run(
    folder: Path, run: dict[str, Any], estimates: list[dict[str, Any]], baseline: list[dict[str, Any]],
    tables: dict[str, Table],
) -> None:  # fmt: skip
    """Write the files of a run into its folder, ``run.json`` last: with it the folder is whole."""
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    with duckdb.connect(config={"threads": 1}) as con:
        for name, table in tables.items():
            frame = to_frame(table)  # noqa: F841  read by name in the query
            tmp, path = folder / f".tmp-{name}.parquet", folder / "tables" / f"{name}.parquet"
            quoted = str(tmp).replace("'", "''")
            try:
                con.execute(f"copy (select * from frame) to '{quoted}' (format parquet, compression zstd)")
                tmp.replace(path)
            except duckdb.IOException as e:
                raise OSError(f"{path} cannot be written: {e}") from None
            finally:
                tmp.unlink(missing_ok=True)
    write_atomic(folder / "baseline.json", json.dumps(baseline, indent=1, allow_nan=False).encode())
    write_atomic(folder / "estimates.json", json.dumps(estimates, indent=1, allow_nan=False).encode())
    created = datetime.datetime.now(datetime.UTC).date().isoformat()
    write_atomic(folder / "run.json", json.dumps(run | {"created": created}, indent=1, allow_nan=False).encode())
