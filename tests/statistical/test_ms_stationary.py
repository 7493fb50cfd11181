"""Means of the MS patient that are known beforehand (docs/design/ms_model.md section 15)."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from stemtrial.therapy import compose

# every lesion is felt (theta 0), every brain lesion is counted (pT2 1), activity does not fall with age
COUNTING = {"ms.theta": 0.0, "ms.pT2": 1.0, "ms.kage": 0.0, "ms.nuF": 0.0}


def typical(kernel, n, **state):
    """People of activity 1."""
    constants = dict.fromkeys(kernel.constants, 1.0) | {"age0": 37.0, "season_sin": 0.0}
    return kernel.population(0, np.arange(n), constants, state)


def test_mean_activity_is_one(everything, point):
    n = 20_000
    crowd = typical(everything, n)
    u = everything.row("u")
    crowd.state[u] = point["ms.sig_u"] * (np.random.default_rng(1).standard_normal(n) - 0.5 * point["ms.sig_u"])
    spread = np.exp(point["ms.sig_u"] ** 2) - 1
    means, sds = [], []
    for k in range(12):
        everything.advance(crowd, 180 * k, 180 * (k + 1), point, 11, threads=2)
        means.append(np.exp(crowd.state[u]).mean())
        sds.append(crowd.state[u].std())
    print("mean of exp(u):", np.mean(means), "Monte Carlo error", np.sqrt(spread / n / 12))
    assert np.mean(means) == pytest.approx(1, abs=0.02)
    assert np.mean(sds) == pytest.approx(point["ms.sig_u"], rel=0.01)


@pytest.fixture(scope="module")
def lesions(everything, point):
    """Counts of 4,000 people of activity 1 without noise, over five years after one of run-in."""
    p = point | COUNTING | {"ms.sig_u": 0.0, "ms.nu_a": 0.0}
    n, day = 4000, np.arange(365, 365 + 1827, 61)
    crowd = typical(everything, n)
    visits = np.tile(np.arange(n), len(day)), np.repeat(day, n)
    everything.advance(crowd, 0, 365, p, 21, threads=2)
    start = crowd.state.copy()
    seen = everything.advance(crowd, 365, day[-1], p, 21, visits=visits, threads=2).observed
    change = crowd.state - start
    years = n * (day[-1] - 365) / 365.25
    return {
        "rate": change[everything.row("n_felt")].sum() / years,
        "brain": change[everything.row("n_t2")].sum() / years,
        "gd": seen["gd_lesions"].mean(),
        "parameters": p,
    }


def test_lesions_arrive_at_their_rate(lesions):
    print("lesions a year:", lesions["rate"])
    assert lesions["rate"] == pytest.approx(lesions["parameters"]["ms.lam0"], rel=0.02)


def test_share_of_the_brain(lesions):
    share = sum(lesions["parameters"][f"ms.topography.{r}"] for r in ("pv", "cj", "it"))
    assert share == pytest.approx(0.875)
    assert lesions["brain"] / lesions["rate"] == pytest.approx(share, abs=0.005)


def test_enhancing_lesions_are_arrivals_times_their_duration(lesions):
    expected = lesions["brain"] * lesions["parameters"]["ms.tauG"] / 365.25
    print("enhancing lesions:", lesions["gd"], "expected", expected)
    assert lesions["gd"] == pytest.approx(expected, rel=0.02)


def test_lesions_arrive_more_often_in_the_young_as_the_rate_of_age_says(everything, point):
    p = point | COUNTING | {"ms.sig_u": 0.0, "ms.nu_a": 0.0, "ms.kage": point["ms.kage"]}
    rates = []
    for age in (20.0, 37.0, 54.0):
        crowd = typical(everything, 5000)
        crowd.constants[everything.constants.index("age0")] = age - 0.5
        everything.advance(crowd, 0, 365, p, 22, threads=2)
        rates.append(crowd.state[everything.row("n_felt")].mean() / 365 * 365.25 / p["ms.lam0"])
    expected = [2 / (1 + np.exp(p["ms.kage"] * (age - 37))) for age in (20.0, 37.0, 54.0)]
    np.testing.assert_allclose(rates, expected, rtol=0.04)


def test_false_relapses_infections_and_deaths_come_at_their_rates(everything, point):
    n, years = 6000, 5
    p = point | {"ms.lam0": 0.0, "ms.nuF": 0.2, "ms.gompertz_b": 0.0, "ms.gompertz_a": 0.01, "ms.mortality_ratio": 1.0}
    crowd = typical(everything, n)
    told = everything.advance(crowd, 0, round(years * 365.25), p, 23, threads=2).events
    deaths = (told["kind"] == everything.event("death")).sum()
    assert stats.binomtest(int(deaths), n, 1 - np.exp(-0.01 * years)).pvalue > 1e-3
    relapses = (told["kind"] == everything.event("relapse")).sum()
    # 31 days of silence after each: a renewal process of rate 1 / (1/0.2 + 31/365.25)
    expected = n * years / (1 / 0.2 + 31 / 365.25)
    assert abs(relapses - expected) < 4 * np.sqrt(expected) + 0.01 * expected
    a = crowd.state[everything.row("a")]
    mean = p["ms.nu_a"] * p["ms.Ja"] * p["ms.tau_a"] / 365.25
    assert a.mean() == pytest.approx(mean, rel=0.35)  # the season of the last day swings it by 30 %


def test_seasons_swing_the_infections(everything, point):
    p = point | {"ms.lam0": 0.0, "ms.tau_a": 1e7, "ms.seasonal": 0.9}
    counts = []
    for season in (1.0, -1.0):
        crowd = typical(everything, 4000)
        crowd.constants[everything.constants.index("season_cos")] = season
        crowd.state[everything.row("a")] = 0.0
        everything.advance(crowd, 0, 61, p, 24)  # around day 30, the peak of such a clock
        counts.append(crowd.state[everything.row("a")].mean())
    assert counts[0] / counts[1] == pytest.approx(1.85 / 0.15, rel=0.25)


@pytest.mark.slow
def test_half_steps_give_the_same_trial_outcomes(people, point):
    """Halving the step changes 2-year outcomes of people a year after onset by less than 1 %."""
    n, batches = 25_000, 8
    outcomes = {}
    for steps in (1, 2):
        kernel = compose("ms", ("drugs", "steroids"), steps_per_day=steps)
        found = []
        for b in range(batches):
            crowd = people(kernel, n, first=b * n)
            kernel.advance(crowd, 0, 365, point, 31, threads=2)
            before = crowd.state.copy()
            visits = np.arange(n), np.full(n, 365 + 730)
            first = kernel.advance(crowd, 365, 365, point, 31, visits=(np.arange(n), np.full(n, 365))).observed
            last = kernel.advance(crowd, 365, 365 + 730, point, 31, visits=visits, threads=2).observed
            change = crowd.state - before
            found.append(
                {
                    "ARR": change[kernel.row("n_relapses")] / 2,
                    "new T2": change[kernel.row("n_t2")],
                    "Gd": last["gd_lesions"],
                    "brain volume": last["brain_volume_pct"] - first["brain_volume_pct"],
                    "T2 volume": last["t2_volume_ml"],
                    "NfL": last["nfl_pg_ml"],
                    "axonal loss of the cord": change[kernel.row("X_sc")],
                    "deficit of the cord": last["f_sc"],
                }
            )
        outcomes[steps] = {k: np.concatenate([f[k] for f in found]) for k in found[0]}
    for name in outcomes[1]:
        # the same people in both, so their constants cancel; the random numbers differ
        a, b = outcomes[1][name], outcomes[2][name]
        relative = (b.mean() - a.mean()) / a.mean()
        error = (b - a).std() / np.sqrt(len(a)) / abs(a.mean())
        print(f"{name:24} {a.mean():10.5f} {b.mean():10.5f} change {100 * relative:+.2f} % +- {100 * error:.2f} %")
        assert abs(relative) < 0.01 + 2 * error, name
