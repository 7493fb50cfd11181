"""Breathing, strength, weight and stages of ALS: directions, hand-made cases, refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemtrial.errors import InputError
from stemtrial.observe.alsfrs import ITEMS
from stemtrial.observe.breathing import fvc, svc
from stemtrial.observe.reported import als_burden
from stemtrial.observe.staging import kings_stage, mitos_stage, regions_involved
from stemtrial.observe.strength import body_weight, megascore

HEALTHY = dict.fromkeys(ITEMS, 4)


def one(**items):
    return {k: np.array([float(v)]) for k, v in (HEALTHY | items).items()}


@pytest.mark.parametrize(
    ("items", "gastrostomy", "regions", "stage"),
    [
        ({}, 0, 0, 1),  # with the disease, before the scale shows it
        ({"speech": 3}, 0, 1, 1),
        ({"speech": 1, "salivation": 0, "swallowing": 0}, 0, 1, 1),  # however severe, one region
        ({"handwriting": 3}, 0, 1, 1),
        ({"cutting_food": 2, "handwriting": 3}, 0, 1, 1),
        ({"walking": 3}, 0, 1, 1),
        ({"dressing": 1, "turning_in_bed": 1, "climbing_stairs": 1}, 0, 0, 1),  # arms or legs: they do not tell
        ({"speech": 3, "walking": 3}, 0, 2, 2),
        ({"speech": 3, "walking": 3, "handwriting": 3}, 0, 3, 3),
        ({"walking": 3}, 1, 1, 4),  # 4A
        ({"respiratory_insufficiency": 3}, 0, 0, 4),  # 4B: ventilation of any kind
        ({"dyspnoea": 0}, 0, 0, 4),
        ({"dyspnoea": 1, "orthopnoea": 0}, 0, 0, 1),
    ],
)
def test_kings_stage(items, gastrostomy, regions, stage):
    assert regions_involved(one(**items))[0] == regions
    assert kings_stage(one(**items), np.array([gastrostomy]))[0] == stage


@pytest.mark.parametrize(
    ("items", "stage"),
    [
        ({}, 0),
        ({"swallowing": 2, "walking": 2, "dressing": 2, "speech": 2, "dyspnoea": 2, "respiratory_insufficiency": 3}, 0),
        ({"swallowing": 1}, 1),
        ({"walking": 1}, 1),
        ({"dressing": 0}, 1),
        ({"walking": 0, "dressing": 0}, 1),  # one function, lost twice
        ({"speech": 0}, 0),  # can write
        ({"handwriting": 0}, 0),  # can speak
        ({"speech": 1, "handwriting": 1}, 1),
        ({"dyspnoea": 1}, 1),
        ({"respiratory_insufficiency": 2}, 1),  # ventilated all night
        ({"swallowing": 0, "walking": 1, "speech": 0, "handwriting": 0}, 3),
        (dict.fromkeys(ITEMS, 0), 4),
    ],
)
def test_mitos_stage(items, stage):
    assert mitos_stage(one(**items))[0] == stage


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=12, max_size=12), st.integers(0, 1), st.integers(0, 11))
def test_stages_keep_their_range_and_never_fall_when_an_item_does(scores, gastrostomy, k):
    worse = [max(0, s - (i == k)) for i, s in enumerate(scores)]
    before, after = ({n: np.array([s]) for n, s in zip(ITEMS, x, strict=True)} for x in (scores, worse))
    tube = np.array([gastrostomy])
    assert 1 <= kings_stage(before, tube)[0] <= kings_stage(after, tube)[0] <= 4
    assert 0 <= mitos_stage(before)[0] <= mitos_stage(after)[0] <= 4
    assert 0 <= regions_involved(before)[0] <= regions_involved(after)[0] <= 3


def test_stages_refuse_what_is_no_item():
    with pytest.raises(InputError, match="item 'walking' is not given; did you mean 'walkin'"):
        kings_stage({("walkin" if k == "walking" else k): v for k, v in one().items()}, [0])
    for bad in (4.5, -1, np.nan):
        with pytest.raises(InputError, match="item 'swallowing' must be between 0 and 4"):
            mitos_stage(one(swallowing=bad))
        with pytest.raises(InputError, match="gastrostomy must be between 0 and 1"):
            kings_stage(one(), [bad])


def test_vital_capacity_of_one_visit_agrees_and_bulbar_weakness_takes_from_the_forced_one():
    rng = np.random.default_rng(1)
    n = 20_000
    v, effort, a, b, person = (rng.normal(size=n) for _ in range(5))
    v = np.clip(0.85 + 0.18 * v, 0.2, 1.4)
    slow = svc(v, effort, a)
    strong, weak = (fvc(v, np.full(n, f), effort, b, person) for f in (1.0, 0.2))
    assert (slow - 100 * v).std() == pytest.approx(4.5, abs=0.1)
    assert (slow - 100 * v).mean() == pytest.approx(0.0, abs=0.1)
    assert np.corrcoef(slow, strong)[0, 1] > 0.95
    assert np.corrcoef(slow - 100 * v, strong - 100 * v)[0, 1] == pytest.approx(
        0.5 / (1 + (2 / 4.5) ** 2) ** 0.5, abs=0.03
    )
    assert (weak < strong).all()
    assert (1 - weak / strong).mean() == pytest.approx(0.06 * 0.8, abs=0.005)


def test_dynamometry_errs_by_a_share_of_the_force():
    rng = np.random.default_rng(2)
    n = 20_000
    none = np.zeros(n)
    for strength in (1.0, 0.3):
        a, b = (megascore(np.full(n, strength), none, rng.normal(size=n), rng.normal(size=n)) for _ in range(2))
        assert (a - b).std() / np.sqrt(2) / a.mean() == pytest.approx(0.062, abs=0.002)  # bakers2020_dynamometry
        assert np.median(a) == pytest.approx(100 * strength, rel=0.01)
    assert (megascore(none, rng.normal(size=n), rng.normal(size=n), rng.normal(size=n)) == 0).all()


def test_a_person_is_strong_in_arms_and_legs_alike():
    z = np.linspace(-2, 2, 5)
    np.testing.assert_allclose(megascore(np.ones(5), z, np.zeros(5), np.zeros(5)), 100 * np.exp(0.1 * z))


def test_weight():
    z = np.random.default_rng(3).normal(size=10_000)
    got = body_weight(np.full(10_000, 0.9), z)
    assert np.median(got) == pytest.approx(90, rel=0.002)
    assert np.log(got).std() == pytest.approx(0.01, rel=0.05)


def test_burden_of_als():
    items = np.full((5, 12), 4)
    items[1] = 0
    items[2, 6:9] = 0  # legs: 10 of 30 questions
    items[3, 2] = 0  # swallowing: 3 of 30
    items[4, 9:] = 0  # breathing is not asked
    physical, mental = als_burden(items)
    np.testing.assert_allclose(physical, [0, 1, 1 / 3, 0.1, 0])
    np.testing.assert_allclose(mental, [0, 1, 0.25, 1 / 12, 0.25])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: svc([x], [0], [0]), "vital_capacity must be between 0 and 2"),
        (lambda x: fvc([x], [1], [0], [0], [0]), "vital_capacity must be between 0 and 2"),
        (lambda x: fvc([1], [x], [0], [0], [0]), "f_bulbar must be between 0 and 1"),
        (lambda x: megascore([x], [0], [0], [0]), "strength must be between 0 and 1"),
        (lambda x: body_weight([x], [0]), "weight must be between 0 and 2"),
        (lambda x: als_burden(np.full((1, 12), x)), "item must be between 0 and 4"),
    ],
)
@pytest.mark.parametrize("value", [-0.1, 4.1, np.nan, np.inf])
def test_each_refuses_what_cannot_be(call, message, value):
    with pytest.raises(InputError, match=message):
        call(value)
