"""Random numbers of named streams: distribution, independence, shapes. Seeds are fixed, so nothing here flickers."""

from __future__ import annotations

import re
from importlib.resources import files

import numpy as np
import pytest
from scipy import stats

from stemtrial.kernel import normals, uniforms
from stemtrial.kernel.random import stream_id

N = 100_000
PATIENTS = np.arange(N, dtype=np.uint64)


def names_in_the_source() -> set[str]:
    """Every quoted dotted name of the package that could be a stream, and those that kernels derive."""
    found: set[str] = set()
    rooms = [f for room in files("stemtrial").iterdir() if room.is_dir() for f in room.iterdir()]
    for file in rooms:
        if file.name.endswith(".py"):
            found |= set(re.findall(r'"((?:\w+\.)+\w+)"', file.read_text()))
    return found


def streams_of(kernel) -> set[str]:
    """Names of the streams of a kernel."""
    model = kernel.model
    return {e.name for e in kernel.program.effects} | set(model.streams) | {f"{a.name}.extra" for a in model.arrivals}


def test_streams_of_the_package_have_distinct_numbers(everything, everything_als):
    assert {"als.X", "als.events"} <= streams_of(everything_als)
    used = streams_of(everything) | streams_of(everything_als)
    names = (
        used | names_in_the_source() | {f"trial.rule.{k}" for k in range(20)} | {f"trial.choice.{k}" for k in range(20)}
    )
    assert len(used) > 15
    numbers = {stream_id(n): n for n in names}
    assert len(numbers) == len(names)


def test_uniforms_are_uniform():
    u = uniforms(3, PATIENTS, 5, "test.uniform", 4)
    assert u.shape == (N, 4)
    assert ((u > 0) & (u < 1)).all()
    for column in u.T:
        assert stats.kstest(column, "uniform").pvalue > 0.001
    chi = stats.chisquare(np.histogram(u, 256, (0, 1))[0])
    assert 0.001 < chi.pvalue < 0.999


def test_normals_have_the_moments_of_a_normal():
    z = normals(3, PATIENTS, 5, "test.normal", 4).ravel()
    n = len(z)
    assert abs(z.mean()) < 4 / np.sqrt(n)
    assert abs(z.var() - 1) < 4 * np.sqrt(2 / n)
    assert abs(stats.skew(z)) < 4 * np.sqrt(6 / n)
    assert abs(stats.kurtosis(z)) < 4 * np.sqrt(24 / n)
    assert stats.kstest(z, "norm").pvalue > 0.001
    for cut in (3.0, 4.0):
        assert abs((np.abs(z) > cut).sum() - n * 2 * stats.norm.sf(cut)) < 5 * np.sqrt(n * 2 * stats.norm.sf(cut))


def pair(kind: str):
    base = {"seed": 3, "patient": PATIENTS, "day": 5, "stream": "test.a"}
    other = {
        "stream": base | {"stream": "test.b"},
        "day": base | {"day": 6},
        "seed": base | {"seed": 4},
        "high half of the seed": base | {"seed": 3 + (1 << 32)},
        "replicate": base | {"patient": PATIENTS + np.uint64(1 << 32)},
        "neighbour": base | {"patient": PATIENTS + np.uint64(1)},
    }[kind]
    return uniforms(**base)[:, 0], uniforms(**other)[:, 0]


@pytest.mark.parametrize("kind", ["stream", "day", "seed", "high half of the seed", "replicate", "neighbour"])
def test_numbers_that_differ_in_one_counter_are_independent(kind):
    a, b = pair(kind)
    assert abs(np.corrcoef(a, b)[0, 1]) < 4 / np.sqrt(N)
    table = np.histogram2d(a, b, 8, [[0, 1], [0, 1]])[0]
    assert 0.001 < stats.chisquare(table.ravel()).pvalue < 0.999


def test_days_and_places_in_a_row_are_independent():
    u = uniforms(9, 7, np.arange(-N // 2, N // 2), "test.days", 4)
    assert abs(np.corrcoef(u[:-1, 0], u[1:, 0])[0, 1]) < 4 / np.sqrt(N)
    off = np.corrcoef(u.T)[np.triu_indices(4, 1)]
    assert (np.abs(off) < 4 / np.sqrt(N)).all()


def test_numbers_do_not_depend_on_who_else_asks():
    whole = normals(1, PATIENTS[:100], np.arange(100), "test.a", 7)
    np.testing.assert_array_equal(whole[31], normals(1, 31, 31, "test.a", 7))
    np.testing.assert_array_equal(whole[:, :3], normals(1, PATIENTS[:100], np.arange(100), "test.a", 3))
    assert uniforms(1, np.zeros((2, 1), int), np.zeros(3, int), "a").shape == (2, 3, 1)


@pytest.mark.parametrize("n", [0, 1025])
def test_too_many_numbers_are_refused(n):
    with pytest.raises(ValueError, match="1 to 1024 numbers"):
        uniforms(1, 0, 0, "a", n)
