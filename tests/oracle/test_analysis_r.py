"""Agreement with R (survival, MASS, stats): answers frozen by fixtures/analysis_make.R, each beside its call."""

import json
from pathlib import Path

import numpy as np
import pytest

import stemtrial.analysis as an

FOLDER = Path(__file__).parent / "fixtures"
SETS = {p.stem.removeprefix("analysis_"): json.loads(p.read_text()) for p in sorted(FOLDER.glob("analysis_*.json"))}
NAMES = sorted(SETS)
FIELDS = {"estimate": "value", "lower": "lower", "upper": "upper", "se": "se", "p": "p_value"}


def test_there_are_five_data_sets():
    assert NAMES == ["lung", "mist", "monthly", "quine", "tiny"]


def columns():
    """All data sets as the rows of one array, padded by patients outside the analysis set who hold NaN."""
    width = max(len(s["data"]["time"]) for s in SETS.values())
    out = {}
    for name in ("time", "event", "treated", "count", "exposure", "y", "baseline"):
        boolean = name in ("event", "treated")
        x = np.full((len(NAMES), width), True if boolean else np.nan, bool if boolean else float)
        for r, key in enumerate(NAMES):
            column = SETS[key]["data"][name]
            x[r, : len(column)] = column
        out[name] = x
    out["include"] = np.arange(width) < np.array([len(SETS[k]["data"]["time"]) for k in NAMES])[:, None]
    return out


C = columns()
INC, ARM = C["include"], C["treated"]


def agree(estimate, question, log_scale=False, rtol=1e-8, replicates=NAMES):
    """Compare every field that R gave."""
    checked = 0
    for key in replicates:
        if question not in SETS[key]["answers"]:
            continue
        answer, r = SETS[key]["answers"][question], NAMES.index(key)
        assert estimate.status[r] == an.Status.OK
        for theirs, ours in FIELDS.items():
            if theirs in answer:
                np.testing.assert_allclose(
                    getattr(estimate, ours)[r],
                    answer[theirs],
                    rtol=rtol,
                    atol=1e-13,
                    err_msg=f"{key}: {answer['call']}: {theirs}",
                )
                checked += 1
    assert checked >= 3


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_cox(ties):
    agree(an.cox(C["time"], C["event"], ARM, INC, ties=ties), f"cox_{ties}")


def test_logrank():
    test = an.logrank(C["time"], C["event"], ARM, INC)
    for r, key in enumerate(NAMES):
        answer = SETS[key]["answers"]["logrank"]
        for name in ("observed", "expected", "variance", "chi2"):
            np.testing.assert_allclose(getattr(test, name)[r], answer[name], rtol=1e-10)
        np.testing.assert_allclose(test.p_value[r], answer["p"], rtol=1e-9)
        assert np.sign(test.z[r]) == np.sign(answer["observed"] - answer["expected"])


@pytest.mark.parametrize("key", NAMES)
@pytest.mark.parametrize("group", ["treated", "control"])
def test_kaplan_meier_and_median(key, group):
    answer, r = SETS[key]["answers"][f"km_{group}"], NAMES.index(key)
    mask = INC & (ARM if group == "treated" else ~ARM)
    at = np.array(SETS[key]["at"], float)
    km = an.kaplan_meier(C["time"], C["event"], at, mask, extend=True)
    theirs = {k: np.array(answer[k], float) for k in ("survival", "se", "lower", "upper", "n_at_risk")}
    before = at < C["time"][r][mask[r]].min()  # R prints an interval of [1, 1] there; the method has none
    theirs["lower"][before] = theirs["upper"][before] = np.nan
    for name, value in theirs.items():
        np.testing.assert_allclose(getattr(km, name)[r], value, rtol=1e-9, err_msg=name)
    np.testing.assert_allclose(km.event_probability[r], 1 - theirs["survival"], atol=1e-14)
    median = an.median_time(C["time"], C["event"], mask)
    for ours, name in ((median.value, "median"), (median.lower, "median_lower"), (median.upper, "median_upper")):
        expected = np.inf if answer[name] is None else answer[name]
        np.testing.assert_allclose(ours[r], expected, rtol=1e-12, err_msg=name)


def test_medians_that_rest_at_one_half():
    # R: quantile(survfit(Surv(c(1,2,3,4), c(1,1,0,0)) ~ 1, conf.type = "log-log"), 0.5)  ->  3, lower 1, upper NA
    # R: quantile(survfit(Surv(c(1,2,3,4), c(1,1,1,1)) ~ 1, conf.type = "log-log"), 0.5)  ->  2.5, lower 1, upper NA
    m = an.median_time([[1, 2, 3, 4]] * 2, [[1, 1, 0, 0], [1, 1, 1, 1]])
    np.testing.assert_array_equal([m.value, m.lower, m.upper], [[3, 2.5], [1, 1], [np.inf, np.inf]])


def test_negative_binomial():
    fit = an.negative_binomial(C["count"], C["exposure"], ARM, INC)
    agree(fit.ratio, "negative_binomial", rtol=1e-6)
    for key, r in ((k, NAMES.index(k)) for k in NAMES if k != "tiny"):
        answer = SETS[key]["answers"]
        np.testing.assert_allclose(fit.dispersion[r], answer["negative_binomial"]["dispersion"], rtol=1e-6)
        assert not fit.poisson[r]
        for group in ("treated", "control"):
            ours, theirs = getattr(fit, group), answer[f"joint_rate_{group}"]
            np.testing.assert_allclose(
                [ours.value[r], ours.lower[r], ours.upper[r], ours.se[r]],
                [theirs["estimate"], theirs["lower"], theirs["upper"], theirs["se"]],
                rtol=1e-6,
            )


def test_poisson_limit():
    fit = an.negative_binomial(C["count"], C["exposure"], ARM, INC)
    r = NAMES.index("tiny")
    assert fit.poisson[r]
    assert fit.dispersion[r] == 0
    agree(fit.ratio, "poisson")


@pytest.mark.parametrize("group", ["treated", "control"])
def test_annualised_rate(group):
    fit = an.annualised_rate(C["count"], C["exposure"], INC & (ARM if group == "treated" else ~ARM))
    for key in NAMES:
        if f"rate_{group}" in SETS[key]["answers"]:
            theirs, r = SETS[key]["answers"][f"rate_{group}"], NAMES.index(key)
            np.testing.assert_allclose(
                [fit.rate.value[r], fit.rate.lower[r], fit.rate.upper[r], fit.rate.se[r], fit.dispersion[r]],
                [theirs[k] for k in ("estimate", "lower", "upper", "se", "dispersion")],
                rtol=1e-6,
                err_msg=key,
            )


def test_means():
    agree(an.mean_difference(C["y"], ARM, INC), "welch")
    agree(an.mean_difference(C["y"], ARM, INC, unequal_variance=False), "student")
    agree(an.mean(C["y"], INC & ARM), "mean")
    agree(an.ancova(C["y"], C["baseline"], ARM, INC), "ancova")
    agree(an.mean_ratio(C["count"], ARM, INC), "mean_ratio")


def test_medians():
    agree(an.median(C["y"], INC & ARM), "median")


def test_geometric_means():
    y = C["exposure"] * (C["count"] + 1)
    agree(an.geometric_mean(y, INC & ARM), "geometric_mean")
    agree(an.geometric_mean_ratio(y, ARM, INC), "geometric_mean_ratio")


def test_proportions():
    agree(an.proportion(C["event"], INC & ARM), "wilson")
    agree(an.proportion(C["event"], INC & ARM, method="clopper_pearson"), "clopper_pearson")
    agree(an.risk_difference(C["event"], ARM, INC, method="wald"), "risk_difference")
    agree(an.odds_ratio(C["event"], ARM, INC), "odds_ratio")
    agree(an.risk_ratio(C["event"], ARM, INC), "risk_ratio")
