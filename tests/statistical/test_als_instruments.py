"""Instruments of ALS over a population such as trials recruit, against what publications give: repeatability, spread.

The population is made up to have the mean and SD of the ALSFRS-R at entry of andrews2018_svc (38.0, 5.6).
"""

import itertools

import numpy as np
import pytest
from scipy import stats

from stemtrial.observe.alsfrs import FUNCTIONS, N_SLOW_ALSFRS, TRAITS, AlsfrsRater, sums, true_alsfrs
from stemtrial.observe.parameters import AlsfrsParameters, load
from stemtrial.observe.rater import RaterState

N = 40_000


@pytest.fixture(scope="module")
def entry():
    rng = np.random.default_rng(1)
    together = np.array([[1, 0, -0.05, 0.2], [0, 1, 0.35, 0.15], [-0.05, 0.35, 1, 0.15], [0.2, 0.15, 0.15, 1]])
    z = np.linalg.cholesky(together) @ rng.normal(size=(4, N))
    lost = ((0.15, 0.45), (0.33, 1.0), (0.37, 1.1), (0.04, 0.4))  # mean, and first shape of a beta law
    f = [1 - stats.beta.ppf(stats.norm.cdf(x), a, a * (1 - m) / m) for x, (m, a) in zip(z, lost, strict=True)]
    observed = dict(zip(FUNCTIONS, f, strict=True)) | {"niv": np.zeros(N), "ventilated": np.zeros(N)}
    return observed, {k: rng.normal(size=N) for k in TRAITS}


def rated(entry, day=0, state=None, stream="observe.alsfrs", bias=0.0):
    return AlsfrsRater(5, stream).rate(np.arange(N), day, *entry, state or RaterState.fresh(N, N_SLOW_ALSFRS), bias)


def total(rating):
    return sums(rating.items)["alsfrs_r"]


def test_two_raters_on_one_day_agree_as_published(entry):
    """kaufmann2007_reliability: ICC .93 between raters, .95 within one, so that the SEM is 1.2-1.5 points."""
    first = rated(entry)
    second = rated(entry, state=first.state, stream="observe.alsfrs.second")
    a, b = total(first), total(second)
    assert a.mean() == pytest.approx(38.0, abs=1.0)
    assert a.std() == pytest.approx(5.6, abs=0.5)
    sem = (a - b).std() / np.sqrt(2)
    assert 1.2 < sem < 1.5
    icc = 1 - sem**2 / np.concatenate([a, b]).var()
    assert 0.925 < icc < 0.96
    assert (a - b).mean() == pytest.approx(0.0, abs=0.03)


def test_a_rating_is_nearly_unbiased_and_an_open_one_is_not(entry):
    true = sums(true_alsfrs(*entry))["alsfrs_r"]
    plain, hopeful = total(rated(entry)), total(rated(entry, bias=0.12))
    assert (plain - true).mean() == pytest.approx(0.0, abs=0.2)  # what a ceiling at 4 takes
    assert 2.3 < (hopeful - plain).mean() < 3.2  # docs/design/als_model.md section 6: about 2.5 points at entry
    assert (hopeful - plain).std() < 2.0


def test_form_is_stationary_and_forgotten_as_its_correlation_time_says(entry):
    tau = load(AlsfrsParameters).alsfrs_form_tau_days
    day, state, history = 0, RaterState.fresh(N, N_SLOW_ALSFRS), []
    for gap in (0, 14, 1, 28, 91, 7):
        day += gap
        state = rated(entry, day, state).state
        history.append((day, state.h[:, 0]))
    for _, h in history:
        assert abs(h.mean()) < 0.02
        assert h.var() == pytest.approx(1.0, abs=0.03)
    for (d0, h0), (d1, h1) in itertools.pairwise(history):
        assert np.corrcoef(h0, h1)[0, 1] == pytest.approx(np.exp(-(d1 - d0) / tau), abs=0.015)
    (d0, h0), (d1, h1) = history[0], history[-1]
    assert np.corrcoef(h0, h1)[0, 1] == pytest.approx(np.exp(-(d1 - d0) / tau), abs=0.015)


def test_stable_people_vary_more_over_months_than_within_a_day(entry):
    """Form adds about a point; without it the change over 24 weeks has too small a spread."""
    first = rated(entry)
    same = rated(entry, state=first.state, stream="observe.alsfrs.second")
    late = rated(entry, 168, first.state)
    within, between = ((total(first) - total(x)).std() for x in (same, late))
    assert 1.1 < between / within < 1.6
    assert (total(first) - total(late)).mean() == pytest.approx(0.0, abs=0.04)


def test_items_of_a_domain_belong_together_as_published(entry):
    """franchignoni2013_rasch: alpha .88 bulbar, .91 motor (in clinic patients, who differ more than recruits)."""

    def alpha(items):
        k = items.shape[1]
        return k / (k - 1) * (1 - items.var(0).sum() / items.sum(1).var())

    items = rated(entry).items.astype(float)
    assert alpha(items[:, 0:3]) == pytest.approx(0.88, abs=0.06)
    assert alpha(items[:, 3:9]) == pytest.approx(0.91, abs=0.10)
