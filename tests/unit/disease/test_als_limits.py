"""The ALS patient keeps to its scales, its rates act as they say, and no way of computing it changes a bit."""

from __future__ import annotations

import numpy as np
import pytest

from stemtrial.cohort.als.population import people_at_onset
from stemtrial.disease.als import REGIONS, build_als
from stemtrial.kernel import Model, build

N, END, EVERY = 400, 2200, 100
RATES = (
    "neuron_loss", *(f"neuron_loss_{r}" for r in REGIONS), "upper_loss", "spread", "inflammation",
    "inflammation_effect", "sod1_synthesis", "mortality", "nfl_release",
)  # fmt: skip


def als(knobs=()):
    """The patient; ``knobs`` are rates with a constant of the patient as modifier, named like the rate."""
    model = Model("als")
    build_als(model)
    for rate in knobs:
        model.modify(rate, model.constant(f"knob_{rate}", "1", "factor of a test"))
    return build(model)


@pytest.fixture(scope="module")
def plain():
    return als()


@pytest.fixture(scope="module")
def knobs():
    return als(RATES)


def live(kernel, point, index=None, *, factors=None, change=None, cuts=(END,), **options):
    """Observables (people, visits), final states and events of people from onset."""
    index = np.arange(N, dtype=np.uint64) if index is None else index
    constants, state = people_at_onset(3, index, point)
    for rate in RATES:
        constants[f"knob_{rate}"] = np.full(len(index), (factors or {}).get(rate, 1.0))
    for name, value in (change or {}).items():
        (constants if name in constants else state)[name] = np.full(len(index), value)
    people = kernel.population(0, index, constants, state)
    at = np.arange(0, END + 1, EVERY)
    visits = (np.repeat(np.arange(len(index)), len(at)), np.tile(at, len(index)))
    seen = {k: np.full(len(visits[0]), np.nan) for k in kernel.model.observables}
    events, now = [], 0
    for cut in cuts:
        got = kernel.advance(people, now, cut, point, 11, visits=visits, **options)
        assert len(got.failed["patient"]) == got.overflow == 0
        for k, v in got.observed.items():
            seen[k] = np.where(np.isnan(v), seen[k], v)
        events += zip(*(got.events[c] for c in ("patient", "day", "kind", "value")), strict=True)
        now = cut
    shape = (len(index), len(at))
    return {k: v.reshape(shape) for k, v in seen.items()}, people.state, sorted(events)


@pytest.fixture(scope="module")
def lives(plain, point):
    return live(plain, point)


def same(a, b):
    for k in a[0]:
        np.testing.assert_array_equal(a[0][k], b[0][k], err_msg=k)
    np.testing.assert_array_equal(a[1], b[1])
    assert a[2] == b[2]


@pytest.mark.parametrize(
    "name",
    ["f_bulbar", "f_fine", "f_gross", "f_resp", "umn", "inflammation", "weight", "strength_arm", "strength_leg",
     *(f"neurons_{r}" for r in REGIONS)],
)  # fmt: skip
def test_fractions_stay_fractions(lives, name):
    x = lives[0][name]
    assert ((x >= 0) & (x <= 1)).all()
    assert x.max() - x.min() > 0.2, "the disease goes far enough to try the limits"


@pytest.mark.parametrize("name", ["umn", "weight", "vital_capacity", "f_gross", *(f"neurons_{r}" for r in REGIONS)])
def test_what_is_lost_does_not_come_back(lives, name):
    assert (np.diff(lives[0][name], axis=1) <= 1e-12).all()


@pytest.mark.parametrize("name", ["niv", "gastrostomy", "ventilated"])
def test_an_aid_is_kept(lives, name):
    assert set(np.unique(lives[0][name])) == {0.0, 1.0}
    assert (np.diff(lives[0][name], axis=1) >= 0).all()


def test_the_dead_stay_dead_and_nothing_happens_to_them(plain, lives):
    seen, _, events = lives
    assert (np.diff(seen["alive"], axis=1) <= 0).all()
    died = {who: day for who, day, kind, _ in events if kind == plain.event("death")}
    assert len(died) == (seen["alive"][:, -1] == 0).sum()
    assert 100 < len(died) < N
    assert all(day <= died.get(who, END) for who, day, _, _ in events)
    assert len({(who, kind) for who, _, kind, _ in events}) == len(events), "each happens to a person once"


def test_respiratory_failure_ends_in_death_or_on_a_machine(plain, lives, point):
    wants = people_at_onset(3, np.arange(N, dtype=np.uint64), point)[0]["ventilation"]
    saved = {who: value for who, _, kind, value in lives[2] if kind == plain.event("tracheostomy")}
    assert saved
    assert all(wants[who] == 1 for who in saved)
    assert set(saved.values()) == {0.0, 1.0}
    died = {who for who, _, kind, _ in lives[2] if kind == plain.event("death")}
    assert all(who in saved for who in died if wants[who] == 1), "who accepts a machine dies on it"
    assert saved.keys() - died, "and lives on for a while"


@pytest.mark.parametrize(
    ("rate", "untouched"),
    [("neuron_loss", [f"neurons_{r}" for r in REGIONS]), *((f"neuron_loss_{r}", [f"neurons_{r}"]) for r in REGIONS),
     ("upper_loss", ["umn"]), ("inflammation", ["inflammation"]), ("mortality", ["alive", "ventilated"]),
     ("nfl_release", ["nfl_pg_ml"])],
)  # fmt: skip
def test_a_rate_times_zero_stops_what_it_names(knobs, point, rate, untouched):
    seen = live(knobs, point, factors={rate: 0.0})[0]
    for name, x in seen.items():
        if name in untouched:
            np.testing.assert_array_equal(x, x[:, :1].repeat(x.shape[1], 1), err_msg=name)
    others = {f"neurons_{r}" for r in REGIONS} - set(untouched)
    assert all((seen[name][:, -1] < seen[name][:, 0]).all() for name in others)


def test_a_factor_of_one_changes_no_bit(knobs, lives, point):
    same(lives, live(knobs, point))


def test_without_spread_a_region_that_is_clean_stays_clean(knobs, point):
    seen = live(knobs, point, factors={"spread": 0.0}, change={"P_bulbar": 0.0})[0]
    bulbar = seen["neurons_bulbar"]
    np.testing.assert_array_equal(bulbar, bulbar[:, :1].repeat(bulbar.shape[1], 1))
    assert (seen["neurons_lumbar"][:, -1] < 0.99).all()


def test_without_inflammation_loss_is_slower(knobs, lives, point):
    seen = live(knobs, point, factors={"inflammation_effect": 0.0})[0]
    assert (seen["neurons_lumbar"] >= lives[0]["neurons_lumbar"]).all()
    assert seen["neurons_lumbar"].mean() > lives[0]["neurons_lumbar"].mean() + 0.01


def test_less_sod1_protein_helps_carriers_only(knobs, point):
    for carrier in (0.0, 1.0):
        usual, less = (
            live(knobs, point, change={"sod1": carrier}, factors={"sod1_synthesis": x})[0] for x in (1.0, 0.4)
        )
        gain = less["neurons_cervical"] - usual["neurons_cervical"]
        assert (gain >= 0).all()
        assert (gain.max() > 0.1) == (carrier == 1.0)
        np.testing.assert_allclose(usual["nfl_pg_ml"][:, 0], less["nfl_pg_ml"][:, 0])


def test_nfl_follows_the_loss(lives, point):
    level, base = lives[0]["nfl_pg_ml"], point["als.F0"]
    assert (level >= base - 1e-9).all()
    assert np.median(level[:, 4]) > 2 * base


def test_older_people_die_sooner(plain, point):
    dead = [1.0 - live(plain, point, change={"age0": age})[0]["alive"][:, 10].mean() for age in (45.0, 75.0)]
    assert dead[1] > dead[0] + 0.05


@pytest.mark.parametrize(("threads", "chunk"), [(2, 64), (3, 100)])
def test_threads_and_chunks_change_no_bit(plain, lives, point, threads, chunk):
    same(lives, live(plain, point, threads=threads, chunk=chunk))


def test_a_life_in_segments_is_the_same(plain, lives, point):
    same(lives, live(plain, point, cuts=(333, 334, 1501, END)))


def test_the_order_of_people_changes_no_bit(plain, lives, point):
    order = np.random.default_rng(1).permutation(N)
    seen, state, _ = live(plain, point, order.astype(np.uint64))
    for k, x in seen.items():
        np.testing.assert_array_equal(x, lives[0][k][order], err_msg=k)
    np.testing.assert_array_equal(state, lives[1][:, order])
