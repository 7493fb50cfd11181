"""From one value a replicate to a row of estimates: quantiles with limits, Monte Carlo error, agreement."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemtrial.evidence import study
from stemtrial.predict.estimate import rows_of
from stemtrial.predict.summary import agreement, band, mcse_of_median, number, published_of, quantiles, summarise
from stemtrial.trial.protocol import load_protocol

INF, NAN = math.inf, math.nan
Q = [0.05, 0.25, 0.5, 0.75, 0.95]


def outcome(**changes):
    found = {o.outcome_id: o for o in study("burt2019_mist").outcomes}["burt2019_mist#1"]
    return found.model_copy(update=changes)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_quantiles_of_finite_values_are_those_of_numpy(x):
    assert quantiles(np.array(x), Q) == pytest.approx(list(np.quantile(x, Q)))
    assert quantiles(np.array([*x, NAN, NAN]), Q) == quantiles(np.array(x), Q), "what is missing counts for nothing"


@given(st.lists(st.sampled_from([-INF, 0.0, 1.0, 2.0, INF, NAN]), max_size=30))
def test_limits_stand_at_their_end_and_are_never_mixed_with_numbers(x):
    got = quantiles(np.array(x, float), Q)
    seen = [v for v in x if not math.isnan(v)]
    if not seen:
        assert all(math.isnan(v) for v in got)
        return
    assert got == sorted(got)
    assert not any(math.isnan(v) for v in got)
    if any(math.isinf(v) for v in seen):
        assert set(got) <= set(seen)
        for v, q in zip(got, Q, strict=True):  # at least the share q lies at or below, and no smaller value has that
            assert sum(s <= v for s in seen) >= q * len(seen) - 1e-9
            assert sum(s < v for s in seen) < q * len(seen) + 1e-9


def test_a_tenth_of_the_replicates_at_the_upper_limit_leaves_the_median_alone():
    x = np.append(np.linspace(0, 1, 90), [INF] * 10)
    low, _, median, _, high = quantiles(x, Q)
    assert median == pytest.approx(0.55, abs=0.01)
    assert low == pytest.approx(0.045, abs=0.02)
    assert high == INF


def test_numbers_for_json():
    assert number(1.5) == 1.5
    assert type(number(np.float64(2))) is float
    assert number(NAN) is number(INF) is number(-INF) is None


def test_monte_carlo_error_of_the_median():
    rng = np.random.default_rng(2)
    n = 400
    medians = [np.median(rng.normal(size=n)) for _ in range(2000)]
    told = np.mean([mcse_of_median(rng.normal(size=n)) for _ in range(300)])
    assert told == pytest.approx(np.std(medians), rel=0.1)
    assert math.isnan(mcse_of_median(np.array([1.0, 2.0, NAN])))
    assert math.isnan(mcse_of_median(np.array([INF] * 6)))


@pytest.mark.parametrize(
    ("changes", "interval", "expected"),
    [
        ({"value": 0.5}, (0.4, 0.6), True),
        ({"value": 0.4}, (0.4, 0.6), True),
        ({"value": 0.6}, (0.4, 0.6), True),
        ({"value": 0.39}, (0.4, 0.6), False),
        ({"value": 0.61}, (0.4, 0.6), False),
        ({"value": 0.5}, (0.4, INF), True),
        ({"value": 0.3}, (0.4, INF), False),
        ({"value": 0.5}, (INF, INF), False),
        ({"value": 0.0}, (0.0, 0.0), True),
        ({"value": 0.5}, (NAN, NAN), None),
        ({"value": 0.5}, (0.4, NAN), None),
        ({"value": None}, (0.4, 0.6), None),
        ({"value": 0.5, "verification": "recalled"}, (0.4, 0.6), None),
        ({"value": 0.5, "verification": "recalled"}, (0.6, 0.7), None),
        ({"value": None, "verification": None}, (0.4, 0.6), None),
        ({"value": 0.5, "verification": "secondary"}, (0.4, 0.6), True),
    ],
)
def test_agreement_is_told_of_verified_values_only(changes, interval, expected):
    assert agreement(outcome(**changes), *interval) is expected


def test_no_outcome_no_agreement():
    assert agreement(None, 0.0, 1.0) is None


def test_a_sealed_outcome_says_so():
    assert published_of(outcome(verification=None, value=None))["verification"] == "sealed"
    assert published_of(outcome(ci95=(0.02, 0.24)))["ci95"] == [0.02, 0.24]


@pytest.fixture(scope="module")
def rows():
    return rows_of(load_protocol("mist"), study("burt2019_mist"))


def summary(rows, values, **options):
    options = {"n_draws": 1, "labels": [["x"]] * len(rows)} | options
    return summarise(rows, values, study("burt2019_mist"), **options)


def test_rows_say_what_they_are(rows):
    values = np.random.default_rng(1).random((len(rows), 50))
    values[0, :5], values[0, 5:8] = INF, NAN
    out = summary(rows, values)
    json.dumps(out, allow_nan=False)
    first = out[0]
    assert first["outcome_id"] == "burt2019_mist#1"
    assert first["arm"] == ["hsct", "dmt"]
    assert (first["n_replicates"], first["n_not_estimable"], first["n_draws"]) == (50, 8, 1)
    assert first["interval"] == "sampling"
    assert first["published"]["value"] == outcome().value
    assert first["pi90"][1] is None, "the upper end is not reached"
    assert first["agrees"] is (first["pi90"][0] <= outcome().value)
    assert summary(rows, values, n_draws=4)[0]["interval"] == "sampling+parameters"
    for row, x in zip(out[1:], values[1:], strict=True):
        assert row["median"] == pytest.approx(np.median(x))
        assert row["pi90"][0] <= row["pi50"][0] <= row["median"] <= row["pi50"][1] <= row["pi90"][1]
        assert row["labels"] == ["x"]


def test_recalled_outcomes_are_shown_and_never_scored(rows):
    out = summary(rows, np.full((len(rows), 9), 0.5))
    recalled = [r for r in out if r["published"] and r["published"]["verification"] == "recalled"]
    assert len(recalled) == 17
    assert all(r["agrees"] is None for r in recalled)
    scored = [r for r in out if r["agrees"] is not None]
    assert {r["outcome_id"] for r in scored} == {f"burt2019_mist#{k}" for k in range(1, 11)}


def test_a_trial_of_another_size_is_not_scored(rows):
    out = summary(rows, np.full((len(rows), 9), 0.5), scored=False)
    assert all(r["agrees"] is None for r in out)


def test_a_band_skips_what_is_missing():
    x = np.array([[0.0, NAN], [1.0, NAN], [2.0, 5.0]])
    median, low, high = band(x)
    assert median == [1.0, 5.0]
    assert low == [pytest.approx(0.1), 5.0]
    assert high == [pytest.approx(1.9), 5.0]
    assert band(np.full((3, 1), NAN)) == ([None], [None], [None])
