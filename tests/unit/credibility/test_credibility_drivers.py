"""What drives an estimate: a planted driver is found, and noise is not taken for one."""

from __future__ import annotations

import numpy as np
import pytest

from stemtrial.credibility import drivers
from stemtrial.credibility.sensitivity import FEWEST_DRAWS


def table(draws=80, parameters=40, each=3, seed=1):
    rng = np.random.default_rng(seed)
    return rng, rng.normal(size=(draws, parameters)), np.arange(draws * each) % draws


NAMES = [f"p{k}" for k in range(40)]


def test_a_planted_driver_is_found_first_with_its_sign_and_share():
    rng, values, draw = table()
    x = -2.0 * values[draw, 7] + 0.5 * rng.normal(size=len(draw))
    found = drivers(x, draw, NAMES, values)
    first = found.rows[0]
    assert (first["name"], first["above_noise"]) == ("p7", True)
    assert first["rank_correlation"] < -0.9
    assert first["interval"][0] <= first["rank_correlation"] <= first["interval"][1] < -found.floor
    assert first["share"] > 0.9
    assert [r["name"] for r in found.rows if r["above_noise"]] == ["p7"]
    assert len(found.rows) == 15


def test_two_drivers_have_the_shares_that_were_planted():
    rng, values, draw = table(draws=400, parameters=5)
    x = values[draw, 0] + 0.5 * values[draw, 1] + 2.0 * rng.normal(size=len(draw))
    found = drivers(x, draw, NAMES[:5], values)
    share = {r["name"]: r["share"] for r in found.rows}
    assert [r["name"] for r in found.rows[:2]] == ["p0", "p1"]
    assert share["p0"] == pytest.approx(0.8, abs=0.15)  # of the variance between draws, noise within them taken off
    assert share["p1"] == pytest.approx(0.2, abs=0.12)
    assert 0.2 < found.reliability < 0.8


def test_the_noise_floor_is_passed_by_chance_once_in_twenty(monkeypatch):
    monkeypatch.setattr("stemtrial.credibility.sensitivity.RESAMPLES", 2)  # intervals are not asked about
    false = 0
    for seed in range(40):
        rng, values, draw = table(draws=40, parameters=30, each=2, seed=seed)
        false += any(r["above_noise"] for r in drivers(rng.normal(size=len(draw)), draw, NAMES[:30], values).rows)
    assert false <= 6  # binomial(40, 0.05): 7 or more has probability 0.4 %


def test_a_driver_is_found_where_many_replicates_stand_at_a_limit():
    rng, values, draw = table()
    x = values[draw, 3] + 0.5 * rng.normal(size=len(draw))
    x = np.where(x < -0.5, 0.0, np.where(x > 1.0, np.inf, x))
    assert drivers(x, draw, NAMES, values).rows[0]["name"] == "p3"


def test_the_same_seed_gives_the_same_numbers():
    rng, values, draw = table()
    x = rng.normal(size=len(draw))
    assert drivers(x, draw, NAMES, values, seed=4) == drivers(x, draw, NAMES, values, seed=4)
    assert drivers(x, draw, NAMES, values, seed=4).floor != drivers(x, draw, NAMES, values, seed=5).floor


def test_what_cannot_be_told_is_said():
    rng, values, draw = table()
    x = rng.normal(size=len(draw))
    few = draw < FEWEST_DRAWS - 1
    assert f"{FEWEST_DRAWS - 1} draws are too few" in drivers(x[few], draw[few], NAMES, values).why_not
    assert "no parameter varies" in drivers(x, draw, NAMES, np.ones_like(values)).why_not
    lost = np.where(rng.random(len(x)) < 0.3, np.nan, x)
    assert "more than a tenth" in drivers(lost, draw, NAMES, values).why_not
    constant = drivers(np.ones(len(x)), draw, NAMES, values)
    assert not any(r["above_noise"] for r in constant.rows)
    assert constant.reliability is None
