"""Do slopes, joint models and joint ranks hold what they promise? Fixed seeds, bounds of 3.3 Monte Carlo errors."""

import numpy as np
import pytest

import stemtrial.analysis as an
from stemtrial.endpoint.ragged import DAYS_PER_YEAR
from stemtrial.endpoint.trajectory import Points, least_squares

TRUE_SLOPES = (-12.0, -9.0)  # control, treated; points a year
ASSOCIATION = (-0.03, -0.15)
LOG_RATIO, SHAPE = np.log(0.7), 1.4


def trials(seed, replicates, patients, hazard=0.45, slopes=TRUE_SLOPES, ratio=LOG_RATIO):
    """Trials under the joint model: 18 months, visits every 12 weeks, those who decline fast die first."""
    rng = np.random.default_rng(seed)
    shape = (replicates, patients)
    time = np.broadcast_to(np.arange(0, 1.5, 84 / 365.25), (*shape, 7))
    arm = np.broadcast_to(np.arange(patients) % 2 == 1, shape)
    z = rng.normal(size=(2, *shape))
    b0, b1 = 5 * z[0], 8 * (0.2 * z[0] + np.sqrt(0.96) * z[1])
    value = 38 + b0[..., None] + (b1 + np.where(arm, slopes[1], slopes[0]))[..., None] * time
    value = value + 1.5 * rng.normal(size=time.shape)
    value[..., 1:][rng.random((*shape, 6)) < 0.05] = np.nan
    log_hazard = np.log(hazard) + ratio * arm + ASSOCIATION[0] * b0 + ASSOCIATION[1] * b1
    follow = (rng.exponential(size=shape) / np.exp(log_hazard)) ** (1 / SHAPE)
    died, follow = follow < 1.5, np.minimum(follow, 1.5)
    value[time > follow[..., None]] = np.nan
    return time, value, follow, died, arm


def near(x, truth, z=3.3, allowed=0.0):
    """Whether the mean of estimates is the truth, up to Monte Carlo error and an allowance."""
    return abs(x.mean() - truth) < z * x.std(ddof=1) / np.sqrt(len(x)) + allowed


def ancova_of_survivors(time, value, arm):
    """Difference of change at the last visit, over those seen there, a year."""
    seen = np.isfinite(value[..., -1])
    change = np.where(seen, value[..., -1] - value[..., 0], 0.0)
    return an.ancova(change, value[..., 0], arm, seen).value / time[0, 0, -1]


@pytest.fixture(scope="module")
def large():
    data = trials(1, 120, 300)
    return data, an.joint_slope_difference(*data)


def test_the_joint_model_recovers_what_made_the_data(large):
    (_, _, _, died, _), fit = large
    assert 0.35 < died.mean() < 0.65
    assert fit.converged.mean() > 0.98
    assert near(fit.control.value, TRUE_SLOPES[0])
    assert near(fit.treated.value, TRUE_SLOPES[1])
    assert near(np.log(fit.hazard_ratio.value), LOG_RATIO, allowed=0.02)
    assert near(fit.association[:, 1], ASSOCIATION[1], allowed=0.004)
    assert near(fit.association[:, 0], ASSOCIATION[0], allowed=0.004)
    assert near(fit.hazard_shape, SHAPE, allowed=0.03)
    assert near(fit.residual_sd, 1.5, allowed=0.01)
    assert near(np.sqrt(fit.covariance[:, 1, 1]), 8.0, allowed=0.1)


def test_its_standard_errors_are_the_spread_over_trials(large):
    _, fit = large
    for e, spread in (
        (fit.difference.se, fit.difference.value.std()),
        (fit.control.se, fit.control.value.std()),
        (fit.hazard_ratio.se, np.log(fit.hazard_ratio.value).std()),
        (fit.association_se[:, 1], fit.association[:, 1].std()),
    ):
        assert e.mean() == pytest.approx(spread, rel=3.3 / np.sqrt(2 * 120))
    covered = (fit.difference.lower < 3) & (fit.difference.upper > 3)
    assert covered.mean() > 0.95 - 3.3 * np.sqrt(0.95 * 0.05 / 120)


def test_what_death_hides_from_the_other_estimators(large):
    """Deaths take the fastest: every estimator that ignores it sees slower decline, and less of a benefit."""
    (time, value, _, _, arm), fit = large
    joint = abs(fit.control.value.mean() - TRUE_SLOPES[0])
    mixed = an.random_slope_difference(time, value, arm)
    seen = np.isfinite(value)
    days, values, use = (x.reshape(-1, x.shape[-1]) for x in (time * DAYS_PER_YEAR, value, seen))
    own = least_squares(Points(days, values), use, 2).reshape(arm.shape)
    seen = np.isfinite(own)
    of_patients = an.mean(np.where(seen, own, 0), seen & ~arm)
    survivors = np.isfinite(value[..., -1]) & ~arm
    change = an.mean(np.where(survivors, (value[..., -1] - value[..., 0]) / time[..., -1], 0.0), survivors)
    biases = [e.value.mean() - TRUE_SLOPES[0] for e in (mixed.control, of_patients, change)]
    assert all(b > 0.5 for b in biases), biases
    assert biases[2] > max(biases[:2]), "survivors alone are the worst"
    assert all(b > 3 * joint for b in biases)
    difference = abs(fit.difference.value.mean() - 3)
    ancova = ancova_of_survivors(time, value, arm)
    assert 3 - ancova.mean() > 0.5 + difference, "a therapy that works looks worse among survivors"


def test_random_slopes_reject_a_true_null_as_often_as_they_say():
    time, value, _, _, arm = trials(2, 2000, 40, hazard=1e-9, slopes=(-12, -12), ratio=0.0)
    fit = an.random_slope_difference(time, value, arm)
    assert (fit.difference.status == 0).all()
    assert abs((fit.difference.p_value < 0.05).mean() - 0.05) < 3.3 * np.sqrt(0.05 * 0.95 / 2000)
    assert near(fit.control.value, -12)
    assert near(fit.covariance[:, 1, 1], 64)
    assert near(fit.covariance[:, 0, 1], 8)
    assert near(fit.residual_sd**2, 2.25)


def test_joint_ranks_reject_a_true_null_as_often_as_they_say():
    _, value, follow, died, arm = trials(3, 2000, 60, slopes=(-12, -12), ratio=0.0)
    fit = an.cafs(value - value[..., :1], follow, died, arm)
    assert abs((fit.p_value < 0.05).mean() - 0.05) < 3.3 * np.sqrt(0.05 * 0.95 / 2000)
    assert abs((fit.probability.p_value < 0.05).mean() - 0.05) < 3.3 * np.sqrt(0.05 * 0.95 / 2000) + 0.005
    assert near(fit.probability.value, 0.5)
    works = an.cafs(*(lambda t, v, f, d, a: (v - v[..., :1], f, d, a))(*trials(4, 200, 200)))
    assert (works.p_value < 0.05).mean() > 0.3
    assert works.probability.value.mean() > 0.55
