"""Small content-addressed cache of arrays: a pure function's result under the hash of its inputs."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]


def cache_root() -> Path:
    """Folder of everything that can be computed again: ``$STEMTRIAL_CACHE``, else the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(os.environ.get("STEMTRIAL_CACHE") or os.path.join(home, "stemtrial"))


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
        Whether they came from the cache. A file that cannot be read is computed again.
    """
    folder = cache_root() / room
    path = folder / f"{content_hash(identity)[:24]}.npz"
    try:
        with np.load(path, allow_pickle=False) as found:
            return dict(found), True
    except (OSError, ValueError, KeyError, EOFError):
        pass
    except Exception as error:  # a damaged zip raises its own kinds
        if type(error).__name__ not in ("BadZipFile", "UnpicklingError", "error"):
            raise
    arrays = compute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fd, tmp = tempfile.mkstemp(dir=folder, suffix=".tmp")
        with os.fdopen(fd, "wb") as f:
            np.savez(f, **arrays)  # type: ignore[arg-type]
        os.replace(tmp, path)
    except OSError:
        pass  # a full or read-only disk costs time, not the result
    return arrays, False
