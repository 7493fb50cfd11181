"""The random numbers a second time, in plain Python integers, from the definition."""

from __future__ import annotations

import hashlib
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stemtrial.kernel import normals, numpy_backend, uniforms
from stemtrial.kernel.random import derive_seed, stream_id


def philox(counter: list[int], key: list[int]) -> list[int]:
    """Philox4x32-10 (10.1145/2063384.2063405) as its paper states it."""
    c, k = list(counter), list(key)
    for _ in range(10):
        high0, low0 = divmod(0xD2511F53 * c[0], 1 << 32)
        high1, low1 = divmod(0xCD9E8D57 * c[2], 1 << 32)
        c = [high1 ^ c[1] ^ k[0], low1, high0 ^ c[3] ^ k[1], low0]
        k = [(k[0] + 0x9E3779B9) % (1 << 32), (k[1] + 0xBB67AE85) % (1 << 32)]
    return c


def words(seed: int, patient: int, day: int, stream: str, n: int) -> list[int]:
    number = int.from_bytes(hashlib.sha256(stream.encode()).digest()[:3], "big") << 8
    key = [seed % (1 << 32), seed >> 32]
    out: list[int] = []
    for block in range((n + 3) // 4):
        out += philox([patient % (1 << 32), patient >> 32, day % (1 << 32), number + block], key)
    return out


@given(
    st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(-(2**31), 2**31 - 1),
    st.sampled_from(["observe.edss", "trial.recruit", "x"]), st.integers(1, 11),
)  # fmt: skip
def test_uniforms_and_normals_follow_their_definition(seed, patient, day, stream, n):
    w = words(seed, patient, day, stream, n + 3)
    expected = [(x + 0.5) / 2**32 for x in w]
    assert uniforms(seed, np.uint64(patient), day, stream, n).tolist() == expected[:n]
    z: list[float] = []
    for a, b in zip(expected[::2], expected[1::2], strict=False):
        radius = math.sqrt(-2 * math.log(a))
        z += [radius * math.cos(2 * math.pi * b), radius * math.sin(2 * math.pi * b)]
    np.testing.assert_allclose(normals(seed, np.uint64(patient), day, stream, n), z[:n], rtol=1e-11, atol=1e-11)


@given(st.lists(st.integers(0, 2**32 - 1), min_size=4, max_size=4), st.integers(0, 2**64 - 1))
def test_the_numpy_twin_has_the_same_words(counter, seed):
    got = numpy_backend.philox(*(np.array([c], np.uint64) for c in counter), seed)
    assert [int(x[0]) for x in got] == philox(counter, [seed % (1 << 32), seed >> 32])


def test_seeds_for_a_purpose_follow_their_definition():
    assert derive_seed(7, "trial") == int.from_bytes(hashlib.sha256(b"7:trial").digest()[:8], "big")
    assert len({derive_seed(s, p) for s in range(50) for p in ("trial", "run-in", "")}) == 150


def test_stream_numbers_leave_room_for_blocks():
    assert stream_id("a") % 256 == 0
    assert 0 <= stream_id("observe.edss") < 2**32
