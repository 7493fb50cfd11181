"""Live agreement with statsmodels on random trials."""

import numpy as np
import pytest

import stemtrial.analysis as an

sm = pytest.importorskip("statsmodels.api")
proportion = pytest.importorskip("statsmodels.stats.proportion")

R, N = 6, 90
RNG = np.random.default_rng(7)
ARM = RNG.random((R, N)) < 0.4
TIME = np.ceil(RNG.exponential(np.where(ARM, 9.0, 5.0)))
EVENT = RNG.random((R, N)) < 0.7
EXPOSURE = RNG.uniform(0.3, 4, (R, N))
COUNT = RNG.poisson(RNG.gamma(0.9, 1 / 0.9, (R, N)) * EXPOSURE * np.where(ARM, 0.5, 1.2))
Y = RNG.normal(size=(R, N)) + ARM
each = pytest.mark.parametrize("r", range(R))


@each
def test_survival(r):
    f = sm.SurvfuncRight(TIME[r], EVENT[r].astype(int))
    km = an.kaplan_meier(TIME, EVENT, [3.0, 8.0])
    for k, t in enumerate((3.0, 8.0)):
        i = np.searchsorted(f.surv_times, t, side="right") - 1
        np.testing.assert_allclose([km.survival[r, k], km.se[r, k]], [f.surv_prob[i], f.surv_prob_se[i]], rtol=1e-10)
    chi2, p = sm.duration.survdiff(TIME[r], EVENT[r].astype(int), ARM[r].astype(int))
    test = an.logrank(TIME, EVENT, ARM)
    np.testing.assert_allclose([test.chi2[r], test.p_value[r]], [chi2, p], rtol=1e-9)


@each
@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_cox(r, ties):
    f = sm.PHReg(TIME[r], ARM[r].astype(float), status=EVENT[r].astype(int), ties=ties).fit(disp=0, tol=1e-12)
    e = an.cox(TIME, EVENT, ARM, ties=ties)
    np.testing.assert_allclose(
        [np.log(e.value[r]), e.se[r], e.p_value[r]], [f.params[0], f.bse[0], f.pvalues[0]], rtol=1e-6
    )


@each
def test_negative_binomial_maximum(r):
    x = sm.add_constant(ARM[r].astype(float))
    model = sm.NegativeBinomial(COUNT[r], x, exposure=EXPOSURE[r])
    fit = an.negative_binomial(COUNT, EXPOSURE, ARM)
    ours = [
        np.log(fit.control.value[r]),
        np.log(fit.ratio.value[r]),
        np.log(fit.dispersion[r]),
    ]  # statsmodels works in log alpha
    np.testing.assert_allclose(model.score(np.array(ours)), 0, atol=1e-8)
    assert (np.linalg.eigvalsh(model.hessian(np.array(ours))) < 0).all()
    g = sm.GLM(COUNT[r], x, sm.families.NegativeBinomial(alpha=fit.dispersion[r]), exposure=EXPOSURE[r]).fit(tol=1e-12)
    np.testing.assert_allclose([fit.control.se[r], fit.ratio.se[r]], g.bse, rtol=1e-6)


@each
def test_welch(r):
    c = sm.stats.CompareMeans.from_data(Y[r][ARM[r]], Y[r][~ARM[r]])
    e = an.mean_difference(Y, ARM)
    np.testing.assert_allclose([e.lower[r], e.upper[r]], c.tconfint_diff(usevar="unequal"), rtol=1e-9)
    np.testing.assert_allclose(e.p_value[r], c.ttest_ind(usevar="unequal")[1], rtol=1e-9)


@each
def test_proportions(r):
    x1, n1, x0, n0 = (EVENT & ARM)[r].sum(), ARM[r].sum(), (EVENT & ~ARM)[r].sum(), (~ARM)[r].sum()
    for method, theirs in (("wilson", "wilson"), ("clopper_pearson", "beta")):
        e = an.proportion(EVENT, ARM, method=method)
        np.testing.assert_allclose([e.lower[r], e.upper[r]], proportion.proportion_confint(x1, n1, method=theirs))
    d = an.risk_difference(EVENT, ARM)
    expected = proportion.confint_proportions_2indep(x1, n1, x0, n0, compare="diff", method="newcomb")
    np.testing.assert_allclose([d.lower[r], d.upper[r]], expected, rtol=1e-9)
    table = sm.stats.Table2x2([[x1, n1 - x1], [x0, n0 - x0]])
    o = an.odds_ratio(EVENT, ARM)
    np.testing.assert_allclose([o.value[r], o.lower[r], o.upper[r]], [table.oddsratio, *table.oddsratio_confint()])
    q = an.risk_ratio(EVENT, ARM)
    np.testing.assert_allclose([q.value[r], q.lower[r], q.upper[r]], [table.riskratio, *table.riskratio_confint()])


@each
def test_ratio_of_means(r):
    g = sm.GLM(COUNT[r], sm.add_constant(ARM[r].astype(float)), sm.families.Poisson()).fit(cov_type="HC0", tol=1e-13)
    e = an.mean_ratio(COUNT, ARM)
    np.testing.assert_allclose([np.log(e.value[r]), e.se[r]], [g.params[1], g.bse[1]], rtol=1e-7)
