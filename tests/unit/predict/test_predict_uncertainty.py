"""What an interval is made of, against examples whose parts are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemtrial.parameters import draws_with, point_draw, shipped, write_posterior
from stemtrial.predict.uncertainty import PARTS, draws_for, sd_of, set_parts, shares, typical_shares, variance_parts

DRAWS, REPLICATES = 100, 4000
DRAW = np.arange(REPLICATES) % DRAWS


def example(sampling, trial, parameters, seed=1, replicates=REPLICATES, draws=DRAWS):
    """Replicates of a linear world: two trial effects, one of them twice as strong."""
    rng = np.random.default_rng(seed)
    draw = np.arange(replicates) % draws
    effects = rng.normal(size=(replicates, 2))
    y = 3 + parameters * rng.normal(size=draws)[draw] + sampling * rng.normal(size=replicates)
    return y + trial * (effects @ [1, 2]) / np.sqrt(5), draw, effects


@pytest.mark.parametrize("sds", [(1.0, 0.7, 0.5), (1.0, 0.0, 0.0), (0.2, 1.0, 0.0), (0.1, 0.0, 1.0)], ids=str)
def test_parts_are_found_where_they_are_known(sds):
    sampling, trial, parameters = np.sqrt(variance_parts(*example(*sds)))
    assert sampling == pytest.approx(sds[0], rel=0.05)
    assert trial == pytest.approx(sds[1], rel=0.1, abs=0.06)
    assert parameters == pytest.approx(sds[2], rel=0.2, abs=0.08)


def test_parts_are_right_on_average_with_few_replicates_a_draw():
    found = np.mean([variance_parts(*example(1.0, 0.7, 0.5, s, 80, 20)) for s in range(300)], axis=0)
    np.testing.assert_allclose(found, [1.0, 0.49, 0.25], rtol=0.12)


def test_draws_with_unequal_numbers_of_replicates():
    y, draw, effects = example(1.0, 0.7, 0.5)
    kept = (np.random.default_rng(2).random(REPLICATES) < 0.5) | (draw < 10)
    np.testing.assert_allclose(np.sqrt(variance_parts(y[kept], draw[kept], effects[kept])), [1.0, 0.7, 0.5], rtol=0.2)


@given(st.integers(0, 2**31), st.integers(4, 60), st.integers(1, 8), st.integers(0, 4))
def test_parts_are_never_negative_and_add_up(seed, replicates, draws, effects):
    rng = np.random.default_rng(seed)
    y, draw = rng.normal(size=replicates), np.arange(replicates) % draws
    parts = np.array(variance_parts(y, draw, rng.normal(size=(replicates, effects))))
    if replicates <= draws:
        assert np.isnan(parts).all()
        return
    assert (parts >= 0).all()
    if draws == 1:
        assert parts[2] == 0
        assert parts.sum() == pytest.approx(y.var(ddof=1))


def test_a_constant_effect_explains_nothing_and_the_same_twice_no_more_than_once():
    y, draw, effects = example(1.0, 0.7, 0.5)
    twice = np.column_stack([effects, effects[:, 0], np.ones(len(y))])
    np.testing.assert_allclose(variance_parts(y, draw, twice), variance_parts(y, draw, effects), rtol=1e-6)


def test_what_was_not_drawn_has_no_spread():
    y, draw, effects = example(1.0, 0.7, 0.5)
    assert sd_of(y, draw, effects).keys() == set(PARTS)
    assert sd_of(y, draw)["trial_effects"] is None
    assert sd_of(y, np.zeros_like(draw), effects)["parameters"] is None


def test_ratios_spread_on_the_log_scale():
    y, draw, effects = example(0.3, 0.2, 0.1)
    assert sd_of(np.exp(y), draw, effects, ratio=True) == pytest.approx(sd_of(y, draw, effects))


def test_few_missing_values_are_left_out_and_many_are_told():
    y, draw, effects = example(1.0, 0.7, 0.5)
    y[::20] = np.nan
    assert sd_of(y, draw, effects)["sampling"] == pytest.approx(1.0, rel=0.05)
    y[::5] = np.inf
    assert sd_of(y, draw, effects) is None


def test_every_row_gets_its_parts():
    y, draw, effects = example(1.0, 0.7, 0.5)
    rows = [{"statistic": "mean"}, {"statistic": "hazard_ratio"}]
    set_parts(rows, np.stack([y, np.exp(y)]), {"a": effects[:, 0], "b": effects[:, 1]}, DRAWS)
    assert rows[0]["sd"] == pytest.approx(rows[1]["sd"])
    assert rows[0]["sd"] == pytest.approx(sd_of(y, draw, effects))


def test_shares_sum_to_one():
    told = shares({"sampling": 3.0, "trial_effects": None, "parameters": 4.0})
    assert told == pytest.approx({"sampling": 9 / 25, "parameters": 16 / 25})
    assert shares(None) is shares({"sampling": 0.0, "trial_effects": None, "parameters": None}) is None
    both = typical_shares([None, {"sampling": 1.0, "parameters": 1.0}, {"sampling": 1.0, "parameters": 0.0}])
    assert both == pytest.approx({"sampling": 0.75, "parameters": 0.25})
    assert typical_shares([None]) is None


def test_how_many_draws_a_run_uses(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    assert draws_for(1000).label == "point"
    write_posterior(tmp_path, ["ms.kM"], np.linspace(0.05, 0.07, 30)[:, None], {"label": "p"})
    used = {r: len(draws_for(r)) for r in (1, 7, 8, 40, 119, 120, 5000)}
    assert used == {1: 1, 7: 1, 8: 2, 40: 10, 119: 29, 120: 30, 5000: 30}
    assert draws_for(7).identity == point_draw().identity
    assert len(draws_for(10, 25)) == 25
    assert draws_for(1000, point=True).label == "point"
    assert draws_for(8).identity == draws_for(1000).first(2).identity
    assert draws_with(["ms.kM"], [[0.05]]).identity != point_draw().identity
