"""The composed MS patient: no way of computing it, and nothing composed beside it, changes a bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hyp
from hypothesis import strategies as st

from stemtrial.kernel import Schedule
from stemtrial.therapy import acting_on, compose
from stemtrial.therapy.family import amounts

N, DAYS, SEED = 300, 800, 4
FAMILIES = ("ahsct", "drugs", "steroids")


def plan(kernel, transplants: bool):
    """A third on a drug, a third transplanted if the family is there; visits by quarter."""
    i = np.arange(N)
    start, end = (i * 5) % 30, DAYS - (i * 3) % 40
    drug, graft = i[i % 3 == 1], i[i % 3 == 2]

    def dose(who, day, name):
        kind = np.full(len(who), kernel.dose(name))
        return Schedule(who, np.broadcast_to(day, who.shape).astype(np.int64), kind, amounts(len(who)))

    parts = [dose(drug, start[drug] + 10, "drugs.start.natalizumab"), dose(drug, 400, "drugs.stop")]
    if transplants:
        carried = amounts(len(graft), 5.0, 3.0, 2008.0)
        kind = np.full(len(graft), kernel.dose("ahsct.infuse.intermediate"))
        parts.append(Schedule(graft, 90 + graft % 50, kind, carried))
    at = np.concatenate([np.minimum(start + d, end) for d in range(0, DAYS, 91)] + [end])
    return start, end, Schedule.join(parts), (np.tile(i, len(at) // N), at)


def run(kernel, people, point, transplants=True, cuts=(), **options):
    """States, observables and events, by name."""
    crowd = people(kernel, N)
    start, end, doses, visits = plan(kernel, transplants)
    seen = {k: np.full(len(visits[0]), np.nan) for k in kernel.model.observables}
    events, now = [], start
    for cut in [*sorted(cuts), DAYS]:
        until = np.maximum(now, np.minimum(cut, end))
        got = kernel.advance(crowd, now, until, point, SEED, schedule=doses, visits=visits, **options)
        for k, v in got.observed.items():
            seen[k] = np.where(np.isnan(v), seen[k], v)
        events.append(got.events)
        now = until
    names = {v: k for k, v in kernel.model.event_kinds.items()}
    joined = {k: np.concatenate([e[k] for e in events]) for k in events[0]}
    told = sorted(
        zip(joined["patient"], joined["day"], [names[int(k)] for k in joined["kind"]], joined["value"], strict=True)
    )
    return {k: crowd.state[j] for j, k in enumerate(kernel.states)}, seen, told


def same(a, b, only_shared=False):
    for mine, other in ((a[0], b[0]), (a[1], b[1])):
        names = [k for k in mine if k in other] if only_shared else list(mine)
        assert only_shared or set(mine) == set(other)
        for k in names:
            np.testing.assert_array_equal(mine[k], other[k], err_msg=k)
    assert a[2] == b[2]


@pytest.fixture(scope="module")
def reference(everything, people, point):
    out = run(everything, people, point)
    kinds = {e[2] for e in out[2]}
    assert {"relapse", "engraftment"} <= kinds
    return out


@pytest.mark.parametrize(("threads", "chunk"), [(1, 64), (2, 64), (7, 100), (2, 2048)])
def test_threads_and_chunks(everything, people, point, reference, threads, chunk):
    same(reference, run(everything, people, point, threads=threads, chunk=chunk))


def test_twice(everything, people, point, reference):
    same(reference, run(everything, people, point))


@pytest.mark.slow
def test_block_widths(people, point, reference):
    same(reference, run(compose("ms", acting_on("ms"), width=16), people, point))


@hyp(max_examples=12)
@given(st.lists(st.integers(0, DAYS), min_size=1, max_size=4))
def test_segments(everything, people, point, reference, cuts):
    same(reference, run(everything, people, point, cuts=cuts, threads=2))


def test_a_family_that_nobody_gets(everything, people, point):
    small = compose("ms", ("drugs", "steroids"))
    without = run(small, people, point, transplants=False)
    beside = run(everything, people, point, transplants=False)
    same(without, beside, only_shared=True)
    assert set(without[0]) < set(beside[0])


def test_truth_beside_observation_and_the_widest_blocks(people, point, reference):
    kernel = compose("ms", acting_on("ms"), truth=True, width=256)
    told = run(kernel, people, point)
    same(reference, told, only_shared=True)
    assert set(reference[0]) < set(told[0])
    # the causes add up to what was lost
    start = people(kernel, N)
    lost = sum(told[0][f"X_{r}"] - start.state[kernel.row(f"X_{r}")] for r in ("pv", "cj", "it", "sc", "on"))
    causes = [told[0][f"X_by_{c}"] for c in ("acute", "demyelination", "smouldering")]
    np.testing.assert_allclose(sum(causes), lost, rtol=1e-9, atol=1e-12)
    assert all((c > 0).any() and (c >= 0).all() for c in causes)


def test_a_patient_in_both_arms_is_the_same_until_treated(everything, people, point):
    treated, control = (run(everything, people, point, transplants=t) for t in (True, False))
    graft = np.arange(N)[np.arange(N) % 3 == 2]
    _, _, _, (who, day) = plan(everything, True)
    before = np.isin(who, graft) & (day <= 90 + who % 50)
    for k in treated[1]:
        np.testing.assert_array_equal(treated[1][k][before], control[1][k][before])
    after = np.isin(who, graft) & (day > 91 + who % 50)
    assert (treated[1]["clones"][after] < control[1]["clones"][after]).all()
    for k in treated[0]:  # those who are not transplanted are untouched by those who are
        rest = np.setdiff1d(np.arange(N), graft)
        np.testing.assert_array_equal(treated[0][k][rest], control[0][k][rest])
