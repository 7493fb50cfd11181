"""Crash-safe chunks: chunk i is a pure function of (run, i); a run killed at any moment resumes and ends the same."""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
STALE_SECONDS = 3600.0


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file so that it is whole or absent: temporary file, fsync, rename, fsync of the folder."""
    tmp = path.parent / f".tmp-{uuid.uuid4().hex}"
    try:
        with open(tmp, "wb") as f:
            f.write(content)
            f.flush()
            os.fsync(f.fileno())
        os.replace(tmp, path)
    finally:
        tmp.unlink(missing_ok=True)
    fd = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class ChunkStore:
    """Chunks of one run in one folder, each with a sidecar that holds its SHA-256.

    Parameters
    ----------
    folder : Path
        Made when the first chunk is written.
    run : str
        Identity of the run; chunks of another run count as absent.
    """

    def __init__(self, folder: Path, run: str) -> None:
        self.folder, self.run = folder, run

    def _paths(self, i: int) -> tuple[Path, Path]:
        return self.folder / f"part-{i:05d}.npz", self.folder / f"part-{i:05d}.json"

    def write(self, i: int, arrays: Arrays) -> None:
        """Store a chunk; the sidecar comes last, so that a chunk with a sidecar is whole."""
        self.folder.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        np.savez(buffer, **{k: arrays[k] for k in sorted(arrays)})  # type: ignore[arg-type]
        content = buffer.getvalue()
        data, sidecar = self._paths(i)
        write_atomic(data, content)
        digest = hashlib.sha256(content).hexdigest()
        told = {"run": self.run, "chunk": i, "sha256": digest, "bytes": len(content)}
        write_atomic(sidecar, json.dumps(told, sort_keys=True).encode())

    def read(self, i: int) -> Arrays | None:
        """Return a chunk, or None if it is absent, of another run, or damaged."""
        data, sidecar = self._paths(i)
        try:
            told = json.loads(sidecar.read_text())
            content = data.read_bytes()
        except (OSError, ValueError):
            return None
        whole = (
            isinstance(told, dict)
            and told.get("run") == self.run
            and told.get("sha256") == hashlib.sha256(content).hexdigest()
        )
        if not whole:
            return None
        with np.load(io.BytesIO(content), allow_pickle=False) as found:
            return dict(found)

    def sweep(self) -> None:
        """Remove what a killed writer left an hour ago or more; younger files may be another run's."""
        for stray in self.folder.glob(".tmp-*"):
            if time.time() - stray.stat().st_mtime > STALE_SECONDS:
                stray.unlink(missing_ok=True)


def map_chunks(
    store: ChunkStore, chunks: Iterable[int], compute: Callable[[int], Arrays], workers: int,
    done: Callable[[int], None] | None = None,
) -> Iterator[tuple[int, Arrays]]:  # fmt: skip
    """Yield every chunk in order, computing those that are missing on threads.

    Parameters
    ----------
    store : ChunkStore
        Where chunks are kept.
    chunks : iterable of int
        Which chunks.
    compute : callable
        Chunk number to arrays; a pure function.
    workers : int
        Threads; the result does not depend on it.
    done : callable, optional
        Called with the number of chunks finished.
    """
    wanted = list(chunks)
    store.sweep()

    def one(i: int) -> None:
        store.write(i, compute(i))

    missing = [i for i in wanted if store.read(i) is None]
    finished = len(wanted) - len(missing)
    if done is not None:
        done(finished)
    with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        pending: set[Future[None]] = {pool.submit(one, i) for i in missing}
        try:
            while pending:
                ready, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in ready:
                    future.result()
                finished += len(ready)
                if done is not None:
                    done(finished)
        except BaseException:
            for future in pending:
                future.cancel()
            raise
    for i in wanted:
        arrays = store.read(i)
        if arrays is None:
            raise OSError(f"chunk {i} in {store.folder} was damaged while the run went on; run the command again")
        yield i, arrays


def digest_tables(tables: dict[str, Arrays]) -> str:
    """SHA-256 of table values: tables by name, columns by name, rows as they stand. Independent of chunk layout."""
    h = hashlib.sha256()
    for name in sorted(tables):
        for column in sorted(tables[name]):
            values = np.ascontiguousarray(tables[name][column])
            if values.dtype.kind == "U":
                data = "\0".join(values.tolist()).encode()
            else:
                kind = "<f8" if values.dtype.kind == "f" else "<i8"
                data = values.astype(kind).tobytes()
            h.update(f"{name}.{column}:{len(values)}:".encode())
            h.update(data)
    return h.hexdigest()
