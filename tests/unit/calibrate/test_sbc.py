"""Simulation-based calibration passes a right posterior and fails wrong ones."""

from __future__ import annotations

import numpy as np
import pytest

from stemtrial.calibrate.sbc import Calibration, calibrate, joined, rank_of
from stemtrial.errors import InputError

P, DRAWS = 5, 99


def run(narrow: float = 1.0, shift: float = 0.0, seed: int = 0, n: int = 200) -> Calibration:
    """Normal data on normal parameters: the posterior is N(y / 2, 1 / 2)."""

    def posterior(y, rng):
        return y / 2 + shift + rng.normal(size=(DRAWS, P)) * np.sqrt(0.5) / narrow

    seeds = np.random.SeedSequence(seed).spawn(n)
    return calibrate(lambda z, rng: z + rng.normal(size=P), posterior, P, seeds)


def test_a_right_posterior_passes():
    assert sum(run(seed=s).passes() for s in range(10)) >= 9
    right = run()
    assert right.coverage(0.9).pooled == pytest.approx(0.9, abs=0.03)
    assert right.coverage(0.5).pooled == pytest.approx(0.5, abs=0.05)
    assert (right.uniformity() > 0.001).all()


@pytest.mark.parametrize("wrong", [{"narrow": 1.5}, {"narrow": 1 / 1.5}, {"shift": 0.25}])
def test_a_wrong_posterior_fails(wrong):
    assert not any(run(seed=s, **wrong).passes() for s in range(5))


def test_too_narrow_shows_in_coverage():
    c = run(narrow=1.5).coverage(0.9)
    assert c.pooled == pytest.approx(0.727, abs=0.04)
    assert c.pooled_high < 0.85
    assert (c.low <= c.share).all()
    assert (c.share <= c.high).all()


def test_coverage_at_its_limits_has_an_interval():
    inside = Calibration(np.full((20, 1), 50), 99).coverage(0.9)
    assert (inside.share[0], inside.high[0]) == (1.0, 1.0)
    assert inside.low[0] == pytest.approx(0.025 ** (1 / 20))
    outside = Calibration(np.zeros((20, 1), np.int64), 99).coverage(0.9)
    assert (outside.share[0], outside.low[0]) == (0.0, 0.0)


def test_rank_counts_draws_below_and_breaks_ties():
    rng = np.random.default_rng(0)
    assert rank_of([0.5], [[0.1], [0.2], [0.9]], rng) == [2]
    tied = [int(rank_of([1.0], [[1.0], [1.0]], rng)[0]) for _ in range(200)]
    assert set(tied) == {0, 1, 2}


def test_parts_joined_are_the_whole():
    seeds = np.random.SeedSequence(3).spawn(20)

    def part(own):
        return calibrate(lambda z, rng: z + rng.normal(size=2), lambda y, rng: y / 2 + rng.normal(size=(9, 2)), 2, own)

    whole = part(seeds)
    again = np.random.SeedSequence(3).spawn(20)
    cut = joined([part(again[:7]), part(again[7:])])
    assert (whole.ranks == cut.ranks).all()
    assert whole.uniformity() == pytest.approx(cut.uniformity())


def test_what_cannot_be_is_refused():
    with pytest.raises(InputError, match="one seed"):
        calibrate(lambda z, rng: z, lambda y, rng: y[None], 1, [])
    with pytest.raises(InputError, match="level"):
        run(n=5).coverage(1.0)
    with pytest.raises(InputError, match="same number"):
        joined([Calibration(np.zeros((1, 1), np.int64), 9), Calibration(np.zeros((1, 1), np.int64), 10)])
