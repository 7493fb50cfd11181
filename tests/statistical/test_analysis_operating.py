"""Do tests reject and intervals cover as often as they say? Fixed seeds, bounds of 3.3 Monte Carlo standard errors."""

import numpy as np

import stemtrial.analysis as an

R = 4000


def near(share, expected, replicates=R, z=3.3):
    return abs(share - expected) < z * np.sqrt(expected * (1 - expected) / replicates)


def survival_trials(rng, n, hazard_ratio):
    """Exponential events, staggered entry, arms of n patients, months rounded up."""
    arm = np.broadcast_to(np.arange(2 * n) < n, (R, 2 * n))
    event_time = rng.exponential(1 / np.where(arm, 0.3 * hazard_ratio, 0.3), (R, 2 * n))
    follow = rng.uniform(1, 5, (R, 2 * n))
    return np.ceil(np.minimum(event_time, follow) * 365.25), event_time <= follow, arm


def count_trials(rng, n, ratio, dispersion=1.0):
    arm = np.broadcast_to(np.arange(2 * n) < n, (R, 2 * n))
    exposure = rng.uniform(0.5, 3, (R, 2 * n))
    frailty = rng.gamma(1 / dispersion, dispersion, (R, 2 * n))
    return rng.poisson(frailty * exposure * np.where(arm, ratio, 1.0)), exposure, arm


def test_logrank_rejects_a_true_null_as_often_as_it_says():
    test = an.logrank(*survival_trials(np.random.default_rng(1), 55, 1.0))
    assert (test.status == 0).all()
    assert near((test.p_value < 0.05).mean(), 0.05)
    assert near((test.z < -1.959964).mean(), 0.025)


def test_cox_interval_covers():
    for seed, hazard_ratio in ((2, 1.0), (3, 0.4)):
        e = an.cox(*survival_trials(np.random.default_rng(seed), 55, hazard_ratio))
        assert near(((e.lower < hazard_ratio) & (hazard_ratio < e.upper)).mean(), 0.95)


def test_kaplan_meier_interval_covers():
    time, event, _ = survival_trials(np.random.default_rng(4), 55, 1.0)
    km = an.kaplan_meier(time, event, [365.25, 2 * 365.25])
    truth = np.exp(-0.3 * np.array([1, 2]))
    for k in (0, 1):
        assert near(((km.lower[:, k] < truth[k]) & (truth[k] < km.upper[:, k])).mean(), 0.95)
    assert np.abs(km.survival.mean(0) - truth).max() < 3.3 * km.survival.std(0).max() / np.sqrt(R)
    # Greenwood's standard error is the spread over replicates
    np.testing.assert_allclose(km.se.mean(0), km.survival.std(0), rtol=0.05)


def test_negative_binomial_in_large_trials():
    half = R // 2
    y, exposure, arm = (x[:half] for x in count_trials(np.random.default_rng(5), 200, 1.0))
    assert near((an.negative_binomial(y, exposure, arm).ratio.p_value < 0.05).mean(), 0.05, half)
    y, exposure, arm = (x[:half] for x in count_trials(np.random.default_rng(6), 200, 0.5, dispersion=0.7))
    fit = an.negative_binomial(y, exposure, arm)
    assert near(((fit.ratio.lower < 0.5) & (fit.ratio.upper > 0.5)).mean(), 0.95, half)
    assert abs(np.median(fit.dispersion) / 0.7 - 1) < 0.05
    assert not fit.poisson.any()


def test_negative_binomial_wald_test_is_liberal_in_small_trials_but_not_by_much():
    e = an.negative_binomial(*count_trials(np.random.default_rng(7), 52, 1.0)).ratio
    assert 0.045 < (e.p_value < 0.05).mean() < 0.075


def test_mean_difference_and_ancova():
    rng = np.random.default_rng(9)
    arm = np.broadcast_to(np.arange(60) < 20, (R, 60))
    baseline = rng.normal(size=(R, 60))
    y = 0.8 * baseline + rng.normal(size=(R, 60)) * np.where(arm, 2.0, 1.0)
    assert near((an.mean_difference(y, arm).p_value < 0.05).mean(), 0.05)
    even = 0.8 * baseline + rng.normal(size=(R, 60)) + 0.5 * arm
    e, raw = an.ancova(even, baseline, arm), an.mean_difference(even, arm)
    assert near(((e.lower < 0.5) & (e.upper > 0.5)).mean(), 0.95)
    assert e.se.mean() < 0.85 * raw.se.mean()
