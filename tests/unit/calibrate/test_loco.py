"""What is left out is what closed forms leave, and forecasts score as their numbers do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from linear_block import Linear
from scipy import stats

from stemtrial.calibrate.data import data, on_scale
from stemtrial.calibrate.fit import Fitted
from stemtrial.calibrate.loco import (
    _step,
    as_published,
    by_lane,
    forecast,
    leave_one_out,
    noise_with_lack,
    shifts,
    without_series,
)


@pytest.fixture(scope="module")
def cells() -> Fitted:
    return Linear("cells").fitted(160)


@pytest.fixture(scope="module")
def exact(cells) -> Fitted:
    """The same block with a straight emulator and an ensemble whose moments are those of the closed form."""
    sds = replace(cells.sds, draws=np.tile(cells.sds.mode, (2, 1)))
    f = replace(cells, emulator=replace(cells.emulator, square=np.zeros_like(cells.emulator.square)), sds=sds)
    mean, cov = closed(f, np.ones(len(f.data), bool))
    x = np.random.default_rng(0).normal(size=(400, len(mean)))
    x = x - x.mean(axis=0)
    white = np.linalg.solve(np.linalg.cholesky(np.cov(x.T)), x.T).T
    return replace(f, z=mean + white @ np.linalg.cholesky(cov).T)


def closed(f: Fitted, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Moments of the posterior given the kept data."""
    e, R = f.emulator, noise_with_lack(f)[np.ix_(kept, kept)]
    G, y = e.linear[kept], (f.published - e.mean(np.zeros((1, f.z.shape[1])))[0])[kept]
    cov = np.linalg.inv(np.eye(G.shape[1]) + G.T @ np.linalg.solve(R, G))
    return cov @ G.T @ np.linalg.solve(R, y), cov


def test_forecasts_are_those_of_the_closed_form_without_the_cohort(exact):
    forecasts = leave_one_out(exact)
    assert [f.outcome_id for f in forecasts] == [d.outcome_id for d in exact.data]
    R = noise_with_lack(exact)
    for k, (d, f) in enumerate(zip(exact.data, forecasts, strict=True)):
        m, C = closed(exact, np.array([x.cohort != d.cohort for x in exact.data]))
        g = exact.emulator.linear[k]
        law = stats.norm(exact.emulator.mean(m[None])[0, k], np.sqrt(g @ C @ g + R[k, k]))
        # Where in the closed form the ends of the forecast lie; a whole count may stand for all between two.
        steps = np.array([f.low_90, f.median, f.high_90])
        low, high = (law.cdf(on_scale(d, steps + side * _step(d) / 2)) for side in (-1, 1))
        if (step := _step(d)) > 0:  # no event, and every patient, stand for all beyond
            low = np.where(steps < step / 2, 0.0, low)
            high = np.where((d.kind == "binomial") & (steps / step > round(d.n) - 0.5), 1.0, high)
        claimed = np.array([0.05, 0.5, 0.95])
        assert (low < claimed + 0.06).all(), d.outcome_id
        assert (high > claimed - 0.06).all(), d.outcome_id


def test_a_cohort_is_left_out_whole(exact):
    """Two trials of one cohort share patients: neither helps to predict the other."""
    several = {d.cohort for d in exact.data if len({x.protocol for x in exact.data if x.cohort == d.cohort}) > 1}
    assert several
    k = next(i for i, d in enumerate(exact.data) if d.cohort in several)
    other = next(
        i for i, d in enumerate(exact.data) if d.cohort == exact.data[k].cohort and d.protocol != exact.data[k].protocol
    )
    moved = list(exact.data)
    moved[other] = replace(moved[other], cohort="another")
    before, after = leave_one_out(exact)[k], leave_one_out(replace(exact, data=moved))[k]
    assert before.high_90 - before.low_90 > after.high_90 - after.low_90


def test_shifts_are_those_of_the_closed_form(exact):
    gone = np.array([d.protocol == exact.data[0].protocol for d in exact.data])
    m, C = closed(exact, ~gone)
    sd = exact.z.std(axis=0, ddof=1)
    expected = dict(zip(exact.block.names, (m - exact.z.mean(axis=0)) / sd, strict=True))
    spread = dict(zip(exact.block.names, np.sqrt(np.diag(C)) / sd, strict=True))
    found = shifts(exact, gone.tolist())
    assert [abs(s.shift) for s in found] == sorted((abs(s.shift) for s in found), reverse=True)
    for s in found:
        assert s.shift == pytest.approx(expected[s.parameter], abs=1e-6)
        assert s.ratio == pytest.approx(spread[s.parameter], abs=1e-6)


def test_single_arm_series_are_told_by_design_and_small_ones_by_their_largest_number(cells):
    every, small = without_series(cells)
    single = {d.study for d in cells.data if d.protocol and not d.randomised}
    assert set(every.studies) == single
    assert set(small.studies) == {s for s in single if max(d.n for d in cells.data if d.study == s) < 30}
    assert every.outcomes == sum(d.study in single for d in cells.data)
    none = replace(cells, data=[replace(d, randomised=True) for d in cells.data])
    assert [(r.studies, r.outcomes, r.shifts) for r in without_series(none)] == [((), 0, [])] * 2


def test_counts_are_whole_and_ties_are_spread():
    d = next(d for x in ("ms", "als") for d in data(x)[0] if d.kind == "binomial" and not d.counted and d.n < 60)
    n = round(d.n)
    k = round(d.value * n)
    x = on_scale(d, np.full(200, k / n)) + 1e-4 * np.random.default_rng(0).normal(size=200)
    assert np.unique(np.round(as_published(d, x) * n, 9)).tolist() == [k]
    spread = [forecast(replace(d, outcome_id=f"x#{i}"), x).pit for i in range(300)]
    assert 0.4 < np.mean(spread) < 0.6
    assert min(spread) < 0.05
    assert max(spread) > 0.95


def test_forecasts_of_their_own_distribution_cover_as_they_claim():
    d = next(d for d in data("ms")[0] if d.kind == "lognormal")
    rng = np.random.default_rng(1)
    y = float(on_scale(d, d.value))
    rows = [forecast(d, y + 0.2 * (rng.normal() + rng.normal(size=400))) for _ in range(400)]
    assert np.mean([f.inside(0.9) for f in rows]) == pytest.approx(0.9, abs=0.05)
    assert np.mean([f.inside(0.5) for f in rows]) == pytest.approx(0.5, abs=0.08)


def test_lanes_count_each_cohort_once_and_few_are_not_judged(cells):
    base = forecast(cells.data[0], np.linspace(-3, 3, 100))
    inside, outside = replace(base, pit=0.5), replace(base, pit=0.999)
    rows = [replace(inside, cohort="a")] * 9 + [replace(outside, cohort="b")]
    (few,) = by_lane(rows)
    assert (few["cohorts"], few["outcomes"], few["coverage_90"], few["judged"], few["holds"]) == (
        2,
        10,
        0.5,
        False,
        None,
    )
    many = [replace(inside if k % 10 else outside, cohort=str(k), pit=(k + 0.5) / 40) for k in range(40)]
    (judged,) = by_lane(many)
    assert judged["judged"]
    assert judged["holds"]
    (bad,) = by_lane([replace(outside, cohort=str(k)) for k in range(20)])
    assert bad["holds"] is False
