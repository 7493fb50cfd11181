"""Chunks and cache: whole or absent, damaged counts as absent, resumed equals unbroken."""

from __future__ import annotations

import json
import os
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hyp
from hypothesis import strategies as st

from stemtrial.store import ChunkStore, cached, content_hash, digest_tables, map_chunks, write_atomic
from stemtrial.store.chunks import STALE_SECONDS

ARRAYS = {"a": np.arange(7.0), "b": np.array(["x", "yy"]), "c": np.array([[np.nan, np.inf]]), "empty": np.zeros((0, 3))}


def same(a, b):
    assert set(a) == set(b)
    for k in a:
        np.testing.assert_array_equal(a[k], b[k])


@pytest.fixture
def store(tmp_path):
    return ChunkStore(tmp_path / "chunks", "run 1")


def files(folder):
    return sorted(p.name for p in folder.rglob("*") if p.is_file())


def test_what_was_written_is_read(store):
    assert store.read(3) is None
    store.write(3, ARRAYS)
    same(store.read(3), ARRAYS)
    store.write(3, {"a": np.zeros(1)})
    same(store.read(3), {"a": np.zeros(1)})
    assert files(store.folder) == ["part-00003.json", "part-00003.npz"]


def test_a_chunk_of_another_run_counts_as_absent(store):
    store.write(0, ARRAYS)
    assert ChunkStore(store.folder, "run 2").read(0) is None


@pytest.mark.parametrize("name", ["part-00000.npz", "part-00000.json"])
@pytest.mark.parametrize("size", [0, 1, 0.5, -1])
def test_a_truncated_chunk_counts_as_absent(store, name, size):
    store.write(0, ARRAYS)
    content = (store.folder / name).read_bytes()
    (store.folder / name).write_bytes(content[: int(len(content) * size) if 0 < size < 1 else size])
    assert store.read(0) is None


@pytest.mark.parametrize("name", ["part-00000.npz", "part-00000.json"])
def test_half_a_chunk_counts_as_absent(store, name):
    store.write(0, ARRAYS)
    (store.folder / name).unlink()
    assert store.read(0) is None


@hyp(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**6), st.integers(0, 7))
def test_any_bit_flip_of_the_data_is_noticed(store, place, bit):
    store.write(0, ARRAYS)
    path = store.folder / "part-00000.npz"
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 1 << bit
    path.write_bytes(content)
    assert store.read(0) is None


@hyp(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**6), st.integers(0, 7))
def test_a_bit_flip_of_the_sidecar_never_gives_wrong_data(store, place, bit):
    store.write(0, ARRAYS)
    path = store.folder / "part-00000.json"
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 1 << bit
    path.write_bytes(content)
    found = store.read(0)
    if found is not None:  # the flip hit what nobody checks
        same(found, ARRAYS)


@pytest.mark.parametrize("text", ["null", "3", "[]", '"x"'])
def test_a_sidecar_that_is_no_mapping_counts_as_absent(store, text):
    store.write(0, ARRAYS)
    (store.folder / "part-00000.json").write_text(text)
    assert store.read(0) is None


def test_an_atomic_write_leaves_the_old_or_the_new(tmp_path, monkeypatch):
    path = tmp_path / "x"
    write_atomic(path, b"old")
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"

    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", broken)
    with pytest.raises(OSError, match="disk full"):
        write_atomic(path, b"newer")
    assert files(tmp_path) == ["x"]
    assert path.read_bytes() == b"new"


def squares(calls, fail_at=None):
    def compute(i):
        calls.append(i)
        if i == fail_at:
            raise RuntimeError("killed")
        return {"x": np.full(3, i * i), "i": np.array([i])}

    return compute


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_chunks_come_in_order_and_are_computed_once(store, workers):
    calls, told = [], []
    got = list(map_chunks(store, range(9), squares(calls), workers, told.append))
    assert [i for i, _ in got] == list(range(9))
    assert [int(a["x"][0]) for _, a in got] == [i * i for i in range(9)]
    assert sorted(calls) == list(range(9))
    assert told[0] == 0
    assert told[-1] == 9
    assert told == sorted(told)
    calls.clear()
    again = list(map_chunks(store, range(9), squares(calls), workers))
    assert calls == []
    for (_, a), (_, b) in zip(got, again, strict=True):
        same(a, b)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_map_keeps_what_is_done_and_resumes(store, workers):
    calls: list[int] = []
    with pytest.raises(RuntimeError, match="killed"):
        list(map_chunks(store, range(8), squares(calls, fail_at=4), workers))
    kept = {i for i in range(8) if store.read(i) is not None}
    assert {0, 1, 2} <= kept
    assert 4 not in kept
    stray, young = store.folder / ".tmp-left-by-a-killed-writer", store.folder / ".tmp-of-another-run"
    for path, age in ((stray, STALE_SECONDS + 60), (young, STALE_SECONDS - 60)):
        path.write_bytes(b"half")
        os.utime(path, (time.time() - age,) * 2)
    calls.clear()
    told: list[int] = []
    got = dict(map_chunks(store, range(8), squares(calls), workers, told.append))
    assert sorted(calls) == sorted(set(range(8)) - kept)
    assert told[0] == len(kept)
    assert [int(got[i]["x"][1]) for i in range(8)] == [i * i for i in range(8)]
    assert list(store.folder.glob(".tmp-*")) == [young], "who wrote within the hour may still be writing"


def test_damaged_chunks_are_computed_again(store):
    list(map_chunks(store, range(5), squares([]), 1))
    (store.folder / "part-00001.npz").write_bytes(b"rubbish")
    (store.folder / "part-00003.json").unlink()
    calls: list[int] = []
    got = dict(map_chunks(store, range(5), squares(calls), 2))
    assert sorted(calls) == [1, 3]
    assert int(got[3]["x"][0]) == 9


def test_another_run_that_starts_on_the_same_folder_disturbs_no_write(store, monkeypatch):
    def fsync(fd, really=os.fsync):
        really(fd)
        ChunkStore(store.folder, "run 1").sweep()  # what a second process does when it starts now

    monkeypatch.setattr("os.fsync", fsync)
    store.write(0, ARRAYS)
    same(store.read(0), ARRAYS)


# -- digest -----------------------------------------------------------------------------------------------------------
TABLES = {
    "visits": {"day": np.array([1, 2, 3]), "edss": np.array([1.5, np.nan, np.inf]), "arm": np.array(["a", "bb", ""])},
    "patients": {"n": np.array([1], np.int8)},
}


def test_the_digest_sees_values_and_names_only():
    reference = digest_tables(TABLES)
    turned = {k: dict(reversed(TABLES[k].items())) for k in reversed(TABLES)}
    assert digest_tables(turned) == reference
    wider = {k: {c: v.astype(np.int64) if v.dtype.kind == "i" else v for c, v in t.items()} for k, t in TABLES.items()}
    wider["visits"]["arm"] = wider["visits"]["arm"].astype("U40")
    wider["visits"]["edss"] = np.stack([TABLES["visits"]["edss"], np.zeros(3)], 1)[:, 0]  # not contiguous
    assert digest_tables(wider) == reference


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("visits", "edss", np.array([1.5, np.nan, -np.inf])),
        ("visits", "edss", np.array([np.nextafter(1.5, 2), np.nan, np.inf])),
        ("visits", "day", np.array([2, 1, 3])),
        ("visits", "arm", np.array(["ab", "b", ""])),
        ("patients", "n", np.array([1, 1], np.int8)),
        ("patients", "m", np.array([1], np.int8)),
    ],
)
def test_the_digest_sees_every_change(table, column, value):
    changed = {k: dict(t) for k, t in TABLES.items()}
    if column == "m":
        changed[table] = {"m": value}
    else:
        changed[table][column] = value
    assert digest_tables(changed) != digest_tables(TABLES)


# -- cache ------------------------------------------------------------------------------------------------------------
def test_the_cache_computes_once(empty_cache):
    calls = []

    def compute():
        calls.append(1)
        return dict(ARRAYS)

    first, hit1 = cached("room", {"a": 1}, compute)
    second, hit2 = cached("room", {"a": 1}, compute)
    third, _ = cached("room", {"a": 2}, compute)
    assert (hit1, hit2, len(calls)) == (False, True, 2)
    same(first, second)
    same(first, third)
    assert not list(empty_cache.rglob("*.tmp"))


def test_a_damaged_cache_file_is_computed_again(empty_cache):
    def compute():
        return dict(ARRAYS)

    cached("room", {"a": 1}, compute)
    (path,) = empty_cache.glob("room/*.npz")
    whole = path.read_bytes()
    for place in range(len(whole)):
        content = bytearray(whole)
        content[place] ^= 1 << place % 8
        path.write_bytes(content)
        same(cached("room", {"a": 1}, compute)[0], ARRAYS)


@pytest.mark.parametrize("rubbish", [b"", b"PK", b"rubbish", b"\x93NUMPY", "half"])
def test_a_broken_cache_file_is_computed_again(empty_cache, rubbish):
    cached("room", {"a": 1}, lambda: dict(ARRAYS))
    (path,) = empty_cache.glob("room/*.npz")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] if rubbish == "half" else rubbish)
    got, hit = cached("room", {"a": 1}, lambda: dict(ARRAYS))
    same(got, ARRAYS)
    assert not hit
    assert cached("room", {"a": 1}, lambda: dict(ARRAYS))[1]


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STEMTRIAL_CACHE", str(tmp_path / "file" / "below"))
    got, hit = cached("room", {"a": 1}, lambda: dict(ARRAYS))
    same(got, ARRAYS)
    assert not hit


def test_the_identity_is_canonical():
    assert content_hash({"a": 1, "b": [1.5, None]}) == content_hash(json.loads('{"b": [1.5, null], "a": 1}'))
    assert content_hash({"a": 1}) != content_hash({"a": 2})
    assert content_hash({"a": 1.0000000000000002}) != content_hash({"a": 1.0})
