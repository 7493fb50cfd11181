"""Small content-addressed cache of arrays: a pure function's result under the hash of its inputs."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.kernel.compile import cache_folder

Arrays = dict[str, NDArray[Any]]
_HASH = hashlib.sha256().digest_size


@cache
def package_hash(*rooms: str) -> str:
    """Hash of the code and data of some rooms, or files in them: what a stored result depends on beside its inputs."""
    h = hashlib.sha256()
    root = files("stemtrial")
    for room in rooms:
        for name, item in _files(root.joinpath(room), room):
            h.update(f"{name}\n".encode() + item.read_bytes())
    return h.hexdigest()[:16]


def _files(folder: Traversable, name: str) -> Iterator[tuple[str, Traversable]]:
    """Code and data of a package and the packages in it, in the order of their names; other folders hold no code."""
    if folder.is_file():
        yield name, folder
        return
    for item in sorted(folder.iterdir(), key=lambda f: f.name):
        if item.is_dir() and item.joinpath("__init__.py").is_file():
            yield from _files(item, f"{name}/{item.name}")
        elif item.name.endswith((".py", ".yaml")):
            yield f"{name}/{item.name}", item


def content_hash(identity: Any) -> str:
    """Hash of canonical JSON."""
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def cached(room: str, identity: Mapping[str, Any], compute: Callable[[], Arrays]) -> tuple[Arrays, bool]:
    """Return the arrays stored under ``identity``, computing and storing them on first use.

    Returns
    -------
    arrays : dict of ndarray
    hit : bool
        Whether they came from the cache. A file whose hash is not that of its content is computed again.
    """
    folder = cache_folder() / room
    path = folder / f"{content_hash(identity)[:24]}.npz"
    try:
        content = path.read_bytes()
        if hashlib.sha256(content[_HASH:]).digest() == content[:_HASH]:
            with np.load(io.BytesIO(content[_HASH:]), allow_pickle=False) as found:
                return dict(found), True
    except OSError:
        pass
    arrays = compute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        fd, tmp = tempfile.mkstemp(dir=folder, suffix=".tmp")
        with os.fdopen(fd, "wb") as f:
            f.write(hashlib.sha256(buffer.getvalue()).digest() + buffer.getvalue())
        os.replace(tmp, path)
    except OSError:
        pass  # a full or read-only disk costs time, not the result
    return arrays, False
