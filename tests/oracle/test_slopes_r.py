"""Agreement with R (nlme, survival, stats) on slopes, survival and ranks; frozen by fixtures/slopes_make.R."""

import json
from pathlib import Path

import numpy as np
import pytest

import stemtrial.analysis as an

SETS = json.loads((Path(__file__).parent / "fixtures" / "slopes.json").read_text())


def square(name):
    """Time and value (1, patients, visits) and the arm, from R's long table."""
    d = {k: np.array(v, float) for k, v in SETS[name]["data"].items()}
    who = d["id"].astype(int) - 1
    number = np.array([(who[:i] == k).sum() for i, k in enumerate(who)])
    time, value = (np.full((who.max() + 1, number.max() + 1), np.nan) for _ in range(2))
    time[who, number], value[who, number] = d["time"], d["value"]
    arm = np.zeros(who.max() + 1, bool)
    arm[who] = d["treated"] == 1
    return time[None], value[None], arm[None]


def agree(estimate, answer, term, rtol, rtol_se=None):
    np.testing.assert_allclose(estimate.value[0], answer[f"value {term}"], rtol=rtol, err_msg=answer["call"])
    np.testing.assert_allclose(estimate.se[0], answer[f"se {term}"], rtol=rtol_se or rtol, err_msg=answer["call"])


def agree_on_variances(fit, answer, rtol):
    (v11, v12), (_, v22) = fit.covariance[0]
    scale = np.sqrt(v11 * v22)
    np.testing.assert_allclose([v11, v22], [answer["covariance"][0], answer["covariance"][2]], rtol=rtol)
    np.testing.assert_allclose(v12, answer["covariance"][1], atol=rtol * scale)
    np.testing.assert_allclose(fit.residual_sd[0], answer["residual_sd"], rtol=rtol)


@pytest.mark.parametrize("name", ["trial", "orthodont"])
def test_random_slopes(name):
    time, value, arm = square(name)
    answers = SETS[name]["answers"]
    fit = an.random_slope_difference(time, value, arm)
    agree(fit.difference, answers["arms"], "time:treated", 1e-5)
    agree(fit.control, answers["arms"], "time", 1e-5)
    agree_on_variances(fit, answers["arms"], 1e-4)
    shared = an.random_slope_difference(time, value, arm, shared_baseline=True)
    agree(shared.difference, answers["shared"], "time:treated", 1e-5)
    agree(shared.control, answers["shared"], "time", 1e-5)
    agree_on_variances(shared, answers["shared"], 1e-4)
    for group, mask in (("control", ~arm), ("treated", arm)):
        one = an.random_slope(time, value, mask)
        agree(one.slope, answers[group], "time", 1e-5)
        agree_on_variances(one, answers[group], 1e-4)


def test_no_spread_of_slopes_is_a_model_of_random_intercepts():
    time, value, arm = square("flat")
    answer = SETS["flat"]["answers"]["intercepts"]
    fit = an.random_slope_difference(time, value, arm)
    agree(fit.difference, answer, "time:treated", 1e-5)
    agree(fit.control, answer, "time", 1e-5)
    np.testing.assert_allclose(fit.covariance[0, 0, 0], answer["variance"], rtol=1e-4)
    assert abs(fit.covariance[0, 1, 1]) < 1e-6 * answer["variance"]
    np.testing.assert_allclose(fit.residual_sd[0], answer["residual_sd"], rtol=1e-5)


@pytest.mark.parametrize("hazard", ["weibull", "exponential"])
def test_without_association_the_joint_model_is_two_models(hazard):
    time, value, arm = square("trial")
    people, answers = SETS["trial"]["people"], SETS["trial"]["answers"]
    fit = an.joint_slope_difference(
        time, value, [people["event_time"]], [people["died"]], arm, association="none", hazard=hazard
    )
    assert fit.converged.all()
    # lme's standard errors are of the expected information, ours of the observed, which differ a little off balance
    agree(fit.difference, answers["ml"], "time:treated", 1e-5, rtol_se=2e-3)
    agree(fit.control, answers["ml"], "time", 1e-5, rtol_se=2e-3)
    agree_on_variances(fit, answers["ml"], 1e-4)
    survival = answers[hazard]
    np.testing.assert_allclose(np.log(fit.hazard_ratio.value[0]), survival["log_hazard_ratio"], rtol=1e-5)
    np.testing.assert_allclose(fit.hazard_ratio.se[0], survival["se"], rtol=1e-4)
    np.testing.assert_allclose(fit.hazard_shape[0], survival["shape"], rtol=1e-5)
    both = answers["ml"]["log_likelihood"] + survival["log_likelihood"]
    np.testing.assert_allclose(fit.log_likelihood[0], both, rtol=1e-8)
    assert np.isnan(fit.association).all()


@pytest.mark.parametrize("name", ["growth", "lung"])
def test_ranks_are_wilcoxons_where_comparison_is_plain(name):
    change = np.array(SETS[name]["data"]["change"], float)
    arm = np.array(SETS[name]["data"]["treated"]) == 1
    everybody = np.ones((1, len(arm)), bool)
    if name == "growth":  # all alive, one visit
        fit = an.cafs(change[None, :, None], everybody, ~everybody, [arm])
    else:  # all dead
        fit = an.cafs(np.empty((1, len(arm), 0)), [change], everybody, [arm])
    n1, n0 = arm.sum(), (~arm).sum()
    np.testing.assert_allclose(fit.p_value[0], SETS[name]["p"], rtol=1e-9)
    np.testing.assert_allclose(fit.probability.value[0], SETS[name]["statistic"] / (n1 * n0), rtol=1e-12)
