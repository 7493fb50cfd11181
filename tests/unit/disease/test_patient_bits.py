"""The composed patient of each disease: no way of computing it, and nothing composed beside it, changes a bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hyp
from hypothesis import strategies as st

from stemtrial.kernel import Schedule
from stemtrial.therapy import acting_on, catalogue, compose, prescribe
from stemtrial.therapy.family import amounts

N, DAYS, SEED = 300, 800, 4
CELLS = {"product": "foetal-spinal-allogeneic", "route": "intraspinal", "dose_1e6": 8.0,
         "segments": "cervical_and_lumbar"}  # fmt: skip


class Patients:
    """People with one disease: a third takes a drug and stops it, a third is given cells where they are composed."""

    def __init__(self, disease, point):
        self.disease, self.point = disease, point
        if disease == "ms":
            self.small, self.events, self.acts_on = ("drugs", "steroids"), {"relapse", "engraftment"}, "clones"
        else:
            self.small, self.acts_on = ("als_drugs", "riluzole"), "neurons_cervical"
            self.events = {"death", "niv", "gastrostomy", "tracheostomy"}

    def doses(self, kernel, drug, cells):
        """Schedules of those on the drug, and of those who get cells."""

        def dose(who, day, name, carried=None):
            kind = np.full(len(who), kernel.dose(name))
            day = np.broadcast_to(day, who.shape).astype(np.int64)
            return Schedule(who, day, kind, amounts(len(who)) if carried is None else carried)

        start = (drug * 5) % 30 + 10
        if self.disease == "ms":
            parts = [dose(drug, start, "drugs.start.natalizumab"), dose(drug, 400, "drugs.stop")]
            if len(cells):
                carried = amounts(len(cells), 5.0, 3.0, 2008.0)
                parts.append(dose(cells, 90 + cells % 50, "ahsct.infuse.intermediate", carried))
            return parts
        one = amounts(len(drug), 1.0)
        parts = [dose(drug, start, "als_drugs.take.edaravone", one), dose(drug, 400, "als_drugs.stop")]
        parts.append(dose(drug[::2], 30, "riluzole.take.riluzole", one[::2]))
        facts = {"day": np.zeros(len(cells), int), "optimistic": np.ones(len(cells)), "centre": np.ones(len(cells))}
        known = {k: f.default for k, f in catalogue()["nsc"].fields.items() if f.default is not None}
        for order in prescribe("nsc", known | CELLS, facts, parameters=self.point) if len(cells) else ():
            parts.append(dose(cells, 90 + cells % 50 + order.day, order.dose, order.amounts))
        return parts

    def plan(self, kernel, treated):
        """Starts, ends, doses, and visits by quarter."""
        i = np.arange(N)
        start, end = (i * 5) % 30, DAYS - (i * 3) % 40
        parts = self.doses(kernel, i[i % 3 == 1], i[i % 3 == 2] if treated else i[:0])
        at = np.concatenate([np.minimum(start + d, end) for d in range(0, DAYS, 91)] + [end])
        return start, end, Schedule.join(parts), (np.tile(i, len(at) // N), at)


@pytest.fixture(scope="module", params=["ms", "als"])
def given_(request, point, everything, everything_als):
    return Patients(request.param, point), {"ms": everything, "als": everything_als}[request.param]


@pytest.fixture(scope="module")
def patients(given_):
    return given_[0]


@pytest.fixture(scope="module")
def composed(given_):
    return given_[1]


def run(patients, kernel, people, treated=True, cuts=(), **options):
    """States, observables and events, by name."""
    crowd = people(kernel, N)
    start, end, doses, visits = patients.plan(kernel, treated)
    seen = {k: np.full(len(visits[0]), np.nan) for k in kernel.model.observables}
    events, now = [], start
    for cut in [*sorted(cuts), DAYS]:
        until = np.maximum(now, np.minimum(cut, end))
        got = kernel.advance(crowd, now, until, patients.point, SEED, schedule=doses, visits=visits, **options)
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
def reference(patients, composed, people):
    out = run(patients, composed, people)
    assert {e[2] for e in out[2]} >= patients.events
    return out


@pytest.mark.parametrize(("threads", "chunk"), [(1, 64), (2, 64), (7, 100), (2, 2048)])
def test_threads_and_chunks(patients, composed, people, reference, threads, chunk):
    same(reference, run(patients, composed, people, threads=threads, chunk=chunk))


def test_twice(patients, composed, people, reference):
    same(reference, run(patients, composed, people))


@pytest.mark.slow
def test_block_widths(everything, people, point):
    patients = Patients("ms", point)
    same(run(patients, everything, people), run(patients, compose("ms", acting_on("ms"), width=16), people))


@hyp(max_examples=12)
@given(st.lists(st.integers(0, DAYS), min_size=1, max_size=4))
def test_segments(patients, composed, people, reference, cuts):
    same(reference, run(patients, composed, people, cuts=cuts, threads=2))


def test_a_family_that_nobody_gets(patients, composed, people):
    width = 16 if patients.disease == "als" else 64  # of ALS, in other blocks too: a compile less
    without = run(patients, compose(patients.disease, patients.small, width=width), people, treated=False)
    beside = run(patients, composed, people, treated=False)
    same(without, beside, only_shared=True)
    assert set(without[0]) < set(beside[0])


def test_truth_beside_observation_and_the_widest_blocks(everything, people, point):
    patients = Patients("ms", point)
    reference = run(patients, everything, people)
    kernel = compose("ms", acting_on("ms"), truth=True, width=256)
    told = run(patients, kernel, people)
    same(reference, told, only_shared=True)
    assert set(reference[0]) < set(told[0])
    # the causes add up to what was lost
    start = people(kernel, N)
    lost = sum(told[0][f"X_{r}"] - start.state[kernel.row(f"X_{r}")] for r in ("pv", "cj", "it", "sc", "on"))
    causes = [told[0][f"X_by_{c}"] for c in ("acute", "demyelination", "smouldering")]
    np.testing.assert_allclose(sum(causes), lost, rtol=1e-9, atol=1e-12)
    assert all((c > 0).any() and (c >= 0).all() for c in causes)


def test_a_patient_in_both_arms_is_the_same_until_treated(patients, composed, people):
    treated, control = (run(patients, composed, people, treated=t) for t in (True, False))
    graft = np.arange(N)[np.arange(N) % 3 == 2]
    _, _, _, (who, day) = patients.plan(composed, True)
    before = np.isin(who, graft) & (day <= 90 + who % 50)
    for k in treated[1]:
        np.testing.assert_array_equal(treated[1][k][before], control[1][k][before])
    after = np.isin(who, graft) & (day > 91 + who % 50)
    a, b = (x[1][patients.acts_on][after] for x in (treated, control))
    assert (a < b).all() if patients.disease == "ms" else (a.mean() > b.mean() and (a != b).mean() > 0.5)
    for k in treated[0]:  # those who are not treated are untouched by those who are
        rest = np.setdiff1d(np.arange(N), graft)
        np.testing.assert_array_equal(treated[0][k][rest], control[0][k][rest])
