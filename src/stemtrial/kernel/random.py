"""Counter-based random numbers: the same (seed, patient, day, stream) gives the same numbers, whoever asks.

The counter of Philox4x32-10 is (patient index, replicate, day, stream and block); the key is the seed. Streams have
names: adding a stream shifts no other. ``patient`` is ``replicate * 2**32 + index``.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from stemtrial.kernel.inline_math import normal_pair, philox, uniform

BLOCK_BITS = 8  # the low bits of the fourth counter word number the blocks of one stream and day


@cache
def stream_id(name: str) -> int:
    """Counter word of a named stream: 24 bits of the SHA-256 of its name, the low 8 bits left for blocks."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:3], "big") << BLOCK_BITS


def derive_seed(seed: int, purpose: str) -> int:
    """Return a 64-bit seed for a named purpose: the run-in and the trial draw under different keys."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{purpose}".encode()).digest()[:8], "big")


@njit(error_model="numpy", nogil=True, cache=True)
def _fill(out: Any, patient: Any, day: Any, stream: Any, k0: Any, k1: Any, normal: Any) -> None:
    mask = np.uint64(0xFFFFFFFF)
    for i in range(out.shape[0]):
        for b in range((out.shape[1] + 3) // 4):
            w0, w1, w2, w3 = philox(
                patient[i] & mask, patient[i] >> np.uint64(32), np.uint64(day[i]) & mask, stream + np.uint64(b), k0, k1
            )
            if normal:
                z0, z1 = normal_pair(w0, w1)
                z2, z3 = normal_pair(w2, w3)
            else:
                z0, z1, z2, z3 = uniform(w0), uniform(w1), uniform(w2), uniform(w3)
            j = 4 * b
            out[i, j] = z0
            if j + 1 < out.shape[1]:
                out[i, j + 1] = z1
            if j + 2 < out.shape[1]:
                out[i, j + 2] = z2
            if j + 3 < out.shape[1]:
                out[i, j + 3] = z3


def _draw(seed: int, patient: Any, day: Any, stream: str, n: int, normal: bool) -> NDArray[np.float64]:
    if not 1 <= n <= 4 << BLOCK_BITS:
        raise ValueError(f"a stream gives 1 to {4 << BLOCK_BITS} numbers a day, not {n}")
    shape = np.broadcast_shapes(np.shape(patient), np.shape(day))
    p = np.array(np.broadcast_to(np.asarray(patient, np.uint64), shape))
    d = np.array(np.broadcast_to(np.asarray(day, np.int64), shape))
    out = np.empty((p.size, n))
    lo, hi = np.uint64(seed & 0xFFFFFFFF), np.uint64((seed >> 32) & 0xFFFFFFFF)
    _fill(
        out,
        p.ravel(),
        d.ravel(),
        np.uint64(stream_id(stream)),
        lo,
        hi,
        normal,
    )
    return out.reshape(*p.shape, n)


def uniforms(seed: int, patient: Any, day: Any, stream: str, n: int = 1) -> NDArray[np.float64]:
    """Uniform numbers in (0, 1), one row of ``n`` for each (patient, day).

    Parameters
    ----------
    seed : int
        64-bit key.
    patient, day : array_like of int
        Counters; broadcast against each other. Days may be negative.
    stream : str
        Name of the stream, e.g. ``"observe.edss"``.
    n : int
        Numbers per row, 1 to 1024.

    Returns
    -------
    ndarray, shape ``broadcast(patient, day).shape + (n,)``
    """
    return _draw(seed, patient, day, stream, n, normal=False)


def normals(seed: int, patient: Any, day: Any, stream: str, n: int = 1) -> NDArray[np.float64]:
    """Return standard normal numbers (Box-Muller), shaped as :func:`uniforms`."""
    return _draw(seed, patient, day, stream, n, normal=True)
