"""How a kernel runs: days, visits, doses, logs, failures; and that no way of computing it changes a bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hyp
from hypothesis import strategies as st
from toy_model import PARAMETERS, crowd, toy

from stemtrial.errors import InputError
from stemtrial.kernel import Kernel, Model, Schedule, build, default_threads, where
from stemtrial.kernel.compile import compile_program

N, DAYS = 333, 400


@pytest.fixture(scope="module")
def kernel() -> Kernel:
    return build(toy())


def plan(n: int, kernel: Kernel):
    """Starts, ends, doses and visits that differ between patients; some doses and visits share a day."""
    i = np.arange(n)
    start, end = (i * 7) % 50, DAYS - (i * 11) % 60
    end[::17] = start[::17]  # some do not move at all
    who = np.concatenate([i, i[::2], i[::5]])
    day = np.concatenate([start + 20, start[::2] + 20, end[::5]])
    amounts = np.zeros((len(who), 4))
    amounts[:, 0], amounts[:, 1] = 0.5, 1.0 + (who % 3)
    doses = Schedule(who, day, np.full(len(who), kernel.dose("give")), amounts)
    visits = np.concatenate([i, i, i, i]), np.concatenate([end, start, start + 20, np.minimum(start + 77, end)])
    return start, end, doses, visits


def run(kernel: Kernel, n: int = N, take=None, **options):
    """Everything that a run leaves, as one dictionary of arrays."""
    people = crowd(kernel, n)
    start, end, doses, visits = plan(n, kernel)
    if take is not None:
        people = people.take(take)
        new = np.full(n, -1)
        new[take] = np.arange(len(take))
        rows = np.flatnonzero(new[doses.patient] >= 0)
        doses = doses.take(rows)
        doses = Schedule(new[doses.patient], doses.day, doses.dose, doses.amounts)
        seen = new[visits[0]] >= 0
        start, end, visits = start[take], end[take], (new[visits[0][seen]], visits[1][seen])
    got = kernel.advance(people, start, end, PARAMETERS, 99, schedule=doses, visits=visits, **options)
    out = {f"state {k}": people.state[j] for j, k in enumerate(kernel.states)}
    out |= {f"observed {k}": v for k, v in got.observed.items()} | {f"event {k}": v for k, v in got.events.items()}
    assert got.overflow == 0
    return out


@pytest.fixture(scope="module")
def reference(kernel):
    return run(kernel)


def same(a, b, states_of=None):
    for key in a if states_of is None else states_of:
        np.testing.assert_array_equal(a[key], b[key], err_msg=key)


def test_the_reference_is_worth_comparing_with(reference, kernel):
    names = {v: k for k, v in kernel.model.event_kinds.items()}
    counts = {names[int(k)]: int((reference["event kind"] == k).sum()) for k in np.unique(reference["event kind"])}
    assert set(counts) == {"unit", "bell", "given"}
    assert counts["unit"] > N
    assert counts["bell"] > N
    for k in ("first", "second", "total", "part2"):
        assert reference[f"state {k}"].sum() > N


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("chunk", [64, 100, 2048])
def test_threads_and_chunks_change_no_bit(kernel, reference, threads, chunk):
    same(reference, run(kernel, threads=threads, chunk=chunk))


def test_two_runs_are_equal(kernel, reference):
    same(reference, run(kernel))


def test_other_widths_are_refused(kernel):
    with pytest.raises(ValueError, match="not 8"):
        compile_program(kernel.program, 8)


def test_a_patient_alone_is_the_patient_among_many(kernel, reference):
    rows = np.array([5, 17, 200, 332])
    alone = run(kernel, take=rows)
    for k in kernel.states:
        np.testing.assert_array_equal(alone[f"state {k}"], reference[f"state {k}"][rows])


def test_an_unused_family_in_narrow_blocks_changes_no_bit(reference):
    bigger = build(toy(family=True), width=16)
    got = run(bigger)
    same(reference, got)
    np.testing.assert_array_equal(got["state drug.level"], 0.0)


def test_a_used_family_does_change_something():
    k = build(toy(family=True), width=16)
    i = np.arange(100)
    doses = Schedule(i, np.full(100, 3), np.full(100, k.dose("drug.start")), np.zeros((100, 4)))
    treated, control = crowd(k, 100), crowd(k, 100)
    told = k.advance(treated, 0, 200, PARAMETERS, 1, schedule=doses).events
    k.advance(control, 0, 200, PARAMETERS, 1)
    assert (treated.state[k.row("x")] != control.state[k.row("x")]).all()
    assert (told["kind"] == k.event("harm")).sum() > 50


@hyp(max_examples=25)
@given(st.lists(st.integers(0, DAYS), max_size=5), st.sampled_from([1, 2]), st.sampled_from([50, 2048]))
def test_segments_give_the_bits_of_an_unbroken_run(kernel, reference, cuts, threads, chunk):
    people = crowd(kernel, N)
    start, end, doses, visits = plan(N, kernel)
    events, observed = [], {k: np.full(len(visits[0]), np.nan) for k in kernel.model.observables}
    now = start.copy()
    for cut in [*sorted(cuts), DAYS]:
        until = np.maximum(now, np.minimum(cut, end))
        got = kernel.advance(
            people, now, until, PARAMETERS, 99, schedule=doses, visits=visits, threads=threads, chunk=chunk
        )
        events.append(got.events)
        for k, v in got.observed.items():
            observed[k] = np.where(np.isnan(v), observed[k], v)
        now = until
    joined = {k: np.concatenate([e[k] for e in events]) for k in events[0]}
    order = np.lexsort((joined["value"], joined["kind"], joined["day"], joined["patient"]))
    # patients who never move get their doses in no segment, as in the unbroken run
    for k in joined:
        np.testing.assert_array_equal(joined[k][order], reference[f"event {k}"])
    for j, k in enumerate(kernel.states):
        np.testing.assert_array_equal(people.state[j], reference[f"state {k}"], err_msg=k)
    for k, v in observed.items():
        np.testing.assert_array_equal(v, reference[f"observed {k}"], err_msg=k)


def test_replicates_and_seeds_are_other_patients(kernel):
    def x(replicate, seed):
        people = kernel.population(replicate, np.arange(200), {"speed": 1.0}, {})
        kernel.advance(people, 0, 50, PARAMETERS, seed)
        return people.state[kernel.row("x")]

    base = x(0, 1)
    for other in (x(1, 1), x(0, 2), x(0, 1 << 40)):
        assert (base != other).all()
        assert abs(np.corrcoef(base, other)[0, 1]) < 0.25
    np.testing.assert_array_equal(base, x(0, 1))


def test_visits_read_before_doses_and_at_the_end_day():
    k = build(toy())
    people = k.population(0, [0, 1], {"speed": 1.0}, {"x": 2.0})
    doses = Schedule(np.array([0]), np.array([0]), np.array([0]), np.array([[1.0, 50.0, 0.0, 0.0]]))
    got = k.advance(people, 0, 1, PARAMETERS, 3, schedule=doses, visits=([0, 0, 1, 1, 0], [0, 1, 0, 1, 2]))
    x = got.observed["x"]
    assert x[0] == x[2] == 2.0  # the visit of the day comes before its dose
    assert x[1] > 40 > x[3]
    assert np.isnan(x[4])  # after the end: not read
    np.testing.assert_array_equal([x[1], x[3]], people.state[k.row("x")])


def test_doses_of_the_end_day_are_left_to_the_next_segment(kernel):
    doses = Schedule(np.array([0]), np.array([5]), np.array([0]), np.array([[0.0, 1.0, 0.0, 0.0]]))
    people = crowd(kernel, 1)
    assert kernel.event("given") not in kernel.advance(people, 0, 5, PARAMETERS, 1, schedule=doses).events["kind"]
    assert kernel.event("given") in kernel.advance(people, 5, 6, PARAMETERS, 1, schedule=doses).events["kind"]


def test_doses_of_one_day_happen_in_the_order_of_the_schedule(kernel):
    def x(cuts):
        n = len(cuts)
        amounts = np.array([[c, p, 0, 0] for c, p in cuts], float)
        doses = Schedule(np.zeros(n, int), np.full(n, 4), np.zeros(n, int), amounts)
        people = crowd(kernel, 1)
        return kernel.advance(people, 0, 9, PARAMETERS, 1, schedule=doses, visits=([0], [5])).observed["x"][0]

    assert x([(1.0, 0.0), (0.0, 10.0)]) > x([(0.0, 10.0), (1.0, 0.0)]) + 5


def test_events_are_sorted_and_carry_the_patients_place(kernel, reference):
    key = np.column_stack([reference[f"event {k}"] for k in ("patient", "day", "kind", "value")])
    assert (np.lexsort(key.T[::-1]) == np.arange(len(key))).all()
    start, end, *_ = plan(N, kernel)
    who = reference["event patient"].astype(int)
    day, dosed = reference["event day"], reference["event kind"] == kernel.event("given")
    assert ((start[who] <= day) & (day < end[who]))[dosed].all(), "a dose has its own day"
    assert ((start[who] < day) & (day <= end[who]))[~dosed].all(), "a jump has the day on which its step ends"
    assert (day[dosed] == start[who[dosed]] + 20).any()


def test_a_patient_who_leaves_the_numbers_is_named_and_others_go_on(kernel):
    for backend in ("numba", "numpy"):
        k = build(toy(), backend=backend)
        people = crowd(k, 5)
        people.state[k.row("x"), 3] = np.nan
        got = k.advance(people, 0, 10, PARAMETERS, 1)
        assert got.failed["patient"].tolist() == [3]
        assert got.failed["state"].tolist() == ["x"]
        assert np.isfinite(np.delete(people.state, 3, axis=1)).all()


def test_a_full_log_counts_what_it_drops(kernel):
    narrow = Kernel(kernel.program, log_per_patient_year=0.0)
    people, free = crowd(kernel, 20), crowd(kernel, 20)
    got = narrow.advance(people, 0, 2000, PARAMETERS, 1)
    whole = kernel.advance(free, 0, 2000, {**PARAMETERS}, 1)
    assert len(got.events["day"]) == 16 * 20
    assert got.overflow > 0
    assert got.overflow + 16 * 20 == len(whole.events["day"]) + whole.overflow
    np.testing.assert_array_equal(people.state, free.state)


def test_progress_counts_up_and_an_interruption_stops_the_run(kernel):
    seen = []
    kernel.advance(crowd(kernel, 300), 0, 50, PARAMETERS, 1, chunk=64, progress=seen.append)
    assert seen
    assert seen[-1] == 300
    assert seen == sorted(seen)

    def stop(n):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kernel.advance(crowd(kernel, 300), 0, 50, PARAMETERS, 1, chunk=64, progress=stop)


def test_nobody_and_no_time_are_fine(kernel):
    nobody = kernel.population(0, [], {"speed": []}, {})
    got = kernel.advance(nobody, 0, 10, PARAMETERS, 1)
    assert len(got.events["day"]) == 0
    people = crowd(kernel, 3)
    before = people.state.copy()
    got = kernel.advance(people, 7, 7, PARAMETERS, 1, visits=([0, 1, 2], [7, 7, 7]))
    np.testing.assert_array_equal(people.state, before)
    np.testing.assert_array_equal(got.observed["x"], before[kernel.row("x")])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda k, p: k.advance(p, 5, 4, PARAMETERS, 1), r"0 <= start <= end, not start 5 and end 4"),
        (lambda k, p: k.advance(p, -1, 4, PARAMETERS, 1), r"0 <= start <= end"),
        (lambda k, p: k.advance(p, 0, 4, {"toy.rates": 1}, 1), r"'toy.rate' has no value; did you mean 'toy.rates'"),
        (lambda k, p: k.advance(p, 0, 4, PARAMETERS, 1, visits=([3], [1])), r"schedule names patients 0 to 2"),
        (lambda k, p: k.dose("gave"), r"dose 'gave' is not part of this kernel; did you mean 'give'"),
        (lambda k, p: k.row("unit"), r"state 'unit' is not part of this kernel; did you mean 'units'"),
        (lambda k, p: k.population(0, [0], {}, {}), r"lack the constant 'speed'"),
        (lambda k, p: k.population(0, [0], {"speed": 1}, {"X": 1}), r"state 'X' is not part of this kernel"),
    ],
)  # fmt: skip
def test_wrong_calls_are_told_what_is_wrong(kernel, call, message):
    with pytest.raises(InputError, match=message):
        call(kernel, crowd(kernel, 3))


def test_identity_goes_by_the_model_not_by_the_width(kernel):
    assert kernel.identity == build(toy(), width=32).identity
    assert kernel.identity != build(toy(family=True)).identity
    other = toy()
    other.relax(other.state("new", "1", ""), to=0.0, tau=3.0)
    assert kernel.identity != build(other).identity


def plain(steps_per_day: int = 1) -> Kernel:
    """One state that fades; a dose adds to it. A jump that happens once, in the first step of day 12."""
    m = Model("plain", steps_per_day)
    x, jumped = m.state("x", "1", "", 1.0), m.state("jumped", "1", "")
    due = where(m.day < 12.0, 0.0, 1.0) * (1.0 - jumped)
    m.happen("jump", due, lambda e: [e.set(jumped, 1.0), e.log("jumped")], m.uniform("plain.u"))
    m.relax(x, to=0.0, tau=10.0)
    m.on_dose("add", lambda e: [e.add(x, e.amount("a")), e.log("added", e.read(x))], ("a",), "")
    m.observe("x", x, "1", "")
    m.observe("jumped", jumped, "1", "")
    m.observe("day", m.day + 0.0 * x, "d", "")
    return build(m)


@pytest.mark.parametrize("steps_per_day", [1, 2])
def test_days_are_days_whatever_the_step(steps_per_day):
    k = plain(steps_per_day)
    people = k.population(0, np.arange(2), {}, {})
    doses = Schedule(np.array([1]), np.array([5]), np.array([0]), np.array([[3.0, 0, 0, 0]]))
    got = k.advance(people, 0, 20, {}, 1, schedule=doses, visits=([0, 1, 1, 1, 0, 0], [10, 5, 6, 20, 12, 13]))
    added = 3 + np.exp(-0.5)
    x = [np.exp(-1), np.exp(-0.5), added * np.exp(-0.1), added * np.exp(-1.5), np.exp(-1.2), np.exp(-1.3)]
    np.testing.assert_allclose(got.observed["x"], x, rtol=1e-12)
    np.testing.assert_array_equal(got.observed["day"], [10, 5, 6, 20, 12, 13])
    np.testing.assert_allclose(people.state[k.row("x")], [np.exp(-2), added * np.exp(-1.5)], rtol=1e-12)
    # the dose has its day, the jump that on which a visit first sees it
    assert got.observed["jumped"].tolist() == [0, 0, 0, 1, 0, 1]
    assert got.events["patient"].tolist() == [0, 1, 1]
    assert got.events["day"].tolist() == [13, 5, 13]
    assert got.events["kind"].tolist() == [k.event(e) for e in ("jumped", "added", "jumped")]
    np.testing.assert_allclose(got.events["value"][1], added, rtol=1e-12)


def test_a_model_without_constants_gets_a_population():
    k = plain()
    assert k.constants == ()
    assert k.population(0, [0, 1], {}, {}).state[k.row("x")].tolist() == [1.0, 1.0]


def test_default_threads_is_positive():
    assert default_threads() >= 1
