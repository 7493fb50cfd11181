"""What must hold of every estimator whatever the trial: symmetries, and no crash on a degenerate one."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import nbinom, poisson

import stemtrial.analysis as an

AT = (0.0, 2.0, 4.0)


def fields(result, prefix=""):
    """Flatten a result to {name: array over replicates}."""
    out = {}
    for f in dataclasses.fields(result):
        value = getattr(result, f.name)
        out |= fields(value, f"{f.name}.") if dataclasses.is_dataclass(value) else {prefix + f.name: value}
    out.pop("at", None)
    return out


ESTIMATORS = {
    "kaplan_meier": lambda d: an.kaplan_meier(d["time"], d["event"], AT, d["include"]),
    "median_time": lambda d: an.median_time(d["time"], d["event"], d["include"]),
    "logrank": lambda d: an.logrank(d["time"], d["event"], d["treated"], d["include"]),
    "cox_efron": lambda d: an.cox(d["time"], d["event"], d["treated"], d["include"]),
    "cox_breslow": lambda d: an.cox(d["time"], d["event"], d["treated"], d["include"], ties="breslow"),
    "negative_binomial": lambda d: an.negative_binomial(d["count"], d["exposure"], d["treated"], d["include"]),
    "annualised_rate": lambda d: an.annualised_rate(d["count"], d["exposure"], d["include"]),
    "mean": lambda d: an.mean(d["y"], d["include"]),
    "welch": lambda d: an.mean_difference(d["y"], d["treated"], d["include"]),
    "student": lambda d: an.mean_difference(d["y"], d["treated"], d["include"], unequal_variance=False),
    "ancova": lambda d: an.ancova(d["y"], d["baseline"], d["treated"], d["include"]),
    "wilson": lambda d: an.proportion(d["event"], d["include"]),
    "clopper_pearson": lambda d: an.proportion(d["event"], d["include"], method="clopper_pearson"),
    "newcombe": lambda d: an.risk_difference(d["event"], d["treated"], d["include"]),
    "wald_difference": lambda d: an.risk_difference(d["event"], d["treated"], d["include"], method="wald"),
    "odds_ratio": lambda d: an.odds_ratio(d["event"], d["treated"], d["include"]),
}
RATIOS = ("cox_efron", "cox_breslow", "odds_ratio", "negative_binomial")
every = pytest.mark.parametrize("name", ESTIMATORS)


@st.composite
def trials(draw, smallest=0):
    """One trial, heavily tied: whole-number times, some patients without follow-up, small counts."""
    n = draw(st.integers(smallest, 14))

    def column(elements):
        return draw(st.lists(elements, min_size=n, max_size=n))

    exposure = np.array(column(st.sampled_from([0.0, 0.25, 1.0, 1.0, 3.0])))
    count = np.array(column(st.sampled_from([0, 0, 1, 2, 9])), float)
    d = {
        "time": np.array(column(st.integers(0, 5)), float),
        "event": np.array(column(st.booleans()), bool),
        "treated": np.array(column(st.booleans()), bool),
        "include": np.array(column(st.sampled_from([True, True, True, False])), bool),
        "exposure": exposure,
        "count": np.where(exposure > 0, count, 0),
        "y": np.array(column(st.integers(-4, 4)), float) / 2,
        "baseline": np.array(column(st.integers(0, 6)), float) / 2,
    }
    return {k: v[None, :] for k, v in d.items()}


def same(a, b, rtol=1e-7):
    for key, value in fields(a).items():
        np.testing.assert_allclose(value, fields(b)[key], rtol=rtol, atol=1e-9, err_msg=key)


@every
@settings(max_examples=15, deadline=None)
@given(d=trials(), seed=st.integers(0, 999))
def test_order_of_patients_does_not_matter(name, d, seed):
    order = np.random.default_rng(seed).permutation(d["time"].shape[1])
    same(ESTIMATORS[name](d), ESTIMATORS[name]({k: v[:, order] for k, v in d.items()}))


@every
@settings(max_examples=15, deadline=None)
@given(d=trials())
def test_include_is_the_same_as_dropping(name, d):
    kept = {k: v[:, d["include"][0]] for k, v in d.items()}
    poisoned = {k: np.where(d["include"], v, np.nan) if v.dtype == float else v for k, v in d.items()}
    same(ESTIMATORS[name](poisoned), ESTIMATORS[name]({**kept, "include": None}))


@every
@settings(max_examples=15, deadline=None)
@given(rows=st.lists(trials(smallest=6), min_size=2, max_size=4))
def test_replicates_do_not_touch_each_other(name, rows):
    n = min(r["time"].shape[1] for r in rows)
    rows = [{k: v[:, :n] for k, v in r.items()} for r in rows]
    together = fields(ESTIMATORS[name]({k: np.concatenate([r[k] for r in rows]) for k in rows[0]}))
    for i, row in enumerate(rows):
        for key, value in fields(ESTIMATORS[name](row)).items():
            np.testing.assert_allclose(together[key][i], value[0], rtol=1e-8, atol=1e-10, err_msg=key)


@every
@settings(max_examples=30, deadline=None)
@given(d=trials())
def test_status_tells_where_the_value_stands(name, d):
    result = ESTIMATORS[name](d)
    for e in (result, *(getattr(result, f.name) for f in dataclasses.fields(result))):
        if not isinstance(e, an.Estimate):
            continue
        v, s = e.value, e.status
        assert (np.isfinite(v) == ((s == an.Status.OK) | (s == an.Status.AT_LOWER_LIMIT))).all()
        assert (np.isposinf(v) == (s == an.Status.AT_UPPER_LIMIT)).all()
        assert (np.isnan(v) == (s == an.Status.NO_DATA)).all()
        assert (v[s == an.Status.AT_LOWER_LIMIT] == 0).all()
        assert not (e.lower > v + 1e-12).any()
        assert not (e.upper < v - 1e-12).any()
        there = ~np.isnan(e.p_value)
        assert ((e.p_value[there] >= 0) & (e.p_value[there] <= 1)).all()


@pytest.mark.parametrize("name", RATIOS)
@settings(max_examples=30, deadline=None)
@given(d=trials())
def test_swapping_the_arms_inverts_a_ratio(name, d):
    a, b = (ESTIMATORS[name](x) for x in (d, {**d, "treated": ~d["treated"]}))
    if name == "negative_binomial":
        a, b = a.ratio, b.ratio
    swap = np.array([0, 2, 1, 3])
    np.testing.assert_array_equal(b.status, swap[a.status])
    with np.errstate(divide="ignore"):
        for x, y in ((a.value, b.value), (a.lower, b.upper), (a.upper, b.lower)):
            np.testing.assert_allclose(1 / x, y, rtol=1e-8)
    np.testing.assert_allclose(a.p_value, b.p_value, rtol=1e-7)


@settings(max_examples=30, deadline=None)
@given(d=trials())
def test_swapping_the_arms_turns_a_difference(d):
    e = {**d, "treated": ~d["treated"]}
    for name in ("welch", "student", "ancova", "newcombe", "wald_difference"):
        a, b = ESTIMATORS[name](d), ESTIMATORS[name](e)
        np.testing.assert_allclose([a.value, a.lower, a.upper], [-b.value, -b.upper, -b.lower], atol=1e-10)
    a, b = ESTIMATORS["logrank"](d), ESTIMATORS["logrank"](e)
    np.testing.assert_allclose(a.z, -b.z, atol=1e-10)


@settings(max_examples=15, deadline=None)
@given(d=trials(), scale=st.floats(1e-3, 1e3))
def test_the_unit_of_time_does_not_matter(d, scale):
    scaled = {**d, "time": d["time"] * scale, "exposure": d["exposure"] * scale}
    for name in ("logrank", "cox_efron", "cox_breslow"):
        same(ESTIMATORS[name](d), ESTIMATORS[name](scaled))
    a, b = ESTIMATORS["negative_binomial"](d), ESTIMATORS["negative_binomial"](scaled)
    same(a.ratio, b.ratio, rtol=1e-6)
    np.testing.assert_allclose(a.control.value, b.control.value * scale, rtol=1e-6)
    a, b = ESTIMATORS["median_time"](d), ESTIMATORS["median_time"](scaled)
    np.testing.assert_allclose(a.value * scale, b.value)
    km = an.kaplan_meier(d["time"], d["event"], AT, d["include"])
    same(km, an.kaplan_meier(scaled["time"], d["event"], np.array(AT) * scale, d["include"]))


@settings(max_examples=80, deadline=None)
@given(d=trials())
def test_no_other_dispersion_or_rate_is_likelier(d):
    fit = an.negative_binomial(d["count"], d["exposure"], d["treated"], d["include"])
    y, t, arm = (d[k][d["include"]] for k in ("count", "exposure", "treated"))
    y, arm, t = y[t > 0], arm[t > 0], t[t > 0]
    if y.sum() == 0:
        assert np.isnan(fit.dispersion[0])
        return

    def likelihood(alpha, r1, r0):
        mu = t * np.where(arm, r1, r0)
        y_, mu = y[mu > 0], mu[mu > 0]
        if alpha == 0:
            return poisson.logpmf(y_, mu).sum()
        return nbinom.logpmf(y_, 1 / alpha, 1 / (1 + alpha * mu)).sum()

    r1, r0 = (np.nan_to_num(x.value[0]) for x in (fit.treated, fit.control))
    best = likelihood(fit.dispersion[0], r1, r0)
    for alpha in (fit.dispersion[0] * 0.99, fit.dispersion[0] * 1.01, *np.logspace(-4, 2, 25)):
        assert likelihood(alpha, r1, r0) <= best + 1e-8
    for f in (0.99, 1.01):
        assert likelihood(fit.dispersion[0], r1 * f, r0) <= best + 1e-8
        assert likelihood(fit.dispersion[0], r1, r0 * f) <= best + 1e-8
