"""Compiles a program: one generated module a source, cached on disk under the hash of its text."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

from stemtrial.kernel.lower import Program
from stemtrial.kernel.numba_backend import print_numba

_LOADED: dict[str, Any] = {}


def cache_folder() -> Path:
    """Folder of everything that can be computed again: ``$STEMTRIAL_CACHE``, else the user's cache folder."""
    root = os.environ.get("STEMTRIAL_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache"), "stemtrial"
    )
    return Path(root)


def source_hash(text: str) -> str:
    """Identity of a kernel: its text, and the compiler that turns it into machine code."""
    return hashlib.sha256(f"{numba.__version__}\n{text}".encode()).hexdigest()[:16]


def compile_program(program: Program, width: int = 64) -> Callable[..., None]:
    """Return the compiled ``run`` function of a program; from memory, else from disk, else compiled now."""
    if width not in (1, 16, 32, 64, 128, 256):  # 1 is one patient an iteration, for comparison
        raise ValueError(f"block width is 1, 16, 32, 64, 128 or 256, not {width}")
    text = print_numba(program, width)
    key = source_hash(text)
    if key not in _LOADED:
        _LOADED[key] = _load(key, text.replace("@njit(", "@njit(cache=True, "))
    run: Callable[..., None] = _LOADED[key].run
    return run


def _load(key: str, text: str) -> Any:
    folder = cache_folder() / "kernels"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"kernel_{key}.py"
    if not path.exists() or path.read_text() != text:
        fd, tmp = tempfile.mkstemp(dir=folder, suffix=".tmp")
        with os.fdopen(fd, "w") as f:
            f.write(text)
        os.replace(tmp, path)
    spec = importlib.util.spec_from_file_location(f"stemtrial_kernel_{key}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
