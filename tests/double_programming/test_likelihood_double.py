"""Likelihoods a second time: by sums and integrals from first principles."""

import dataclasses
import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import gammaln
from scipy.stats import gamma, norm, poisson

from stemtrial.calibrate.data import data
from stemtrial.calibrate.likelihood import log_likelihood

EVERY = {d.outcome_id: d for disease in ("ms", "als") for d in data(disease)[0]}


@pytest.mark.parametrize(
    ("n", "value", "half", "p"), [(45, 0.2, 0.005, 0.3), (45, 0.2, 0.05, 0.12), (9, 0.0, 0.0, 0.1)]
)
def test_binomial_by_combinations(n, value, half, p):
    d = dataclasses.replace(EVERY["polman2006_affirm#2"], n=float(n), value=value, half_width=half)
    ks = [k for k in range(n + 1) if abs(k / n - value) <= half + 1e-12]
    brute = sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in ks)
    assert float(log_likelihood(d, p)) == pytest.approx(math.log(brute), rel=1e-9)


def test_the_total_of_overdispersed_patients_by_convolution():
    """Three patients, each Poisson with a gamma rate: the distribution of their sum, by integration and convolution."""
    patients, years, shape, rate = 3, 2.0, 0.5, 0.7
    top = 60
    one = np.array(
        [
            quad(
                lambda g, k=k: poisson.pmf(k, g * rate * years) * gamma.pdf(g, shape, scale=1 / shape),
                0,
                np.inf,
                limit=200,
            )[0]
            for k in range(top)
        ]
    )
    total = one
    for _ in range(patients - 1):
        total = np.convolve(total, one)[:top]
    for k in (0, 1, 4, 9):
        d = dataclasses.replace(
            EVERY["polman2006_affirm#6"], value=k / (patients * years), half_width=0.0, n=float(patients),
            exposure=patients * years, size=patients * shape,
        )  # fmt: skip
        assert float(log_likelihood(d, rate)) == pytest.approx(math.log(total[k]), abs=2e-4)


def test_rounded_rates_by_gamma_functions():
    d = dataclasses.replace(
        EVERY["polman2006_affirm#6"], value=0.31, half_width=0.005, n=200.0, exposure=371.3, size=88.0
    )
    mean = 0.36 * 371.3
    brute = 0.0
    for k in range(1000):
        if abs(k / 371.3 - 0.31) <= 0.005:
            log_pmf = gammaln(k + 88) - gammaln(88) - gammaln(k + 1)
            brute += math.exp(log_pmf + 88 * math.log(88 / (88 + mean)) + k * math.log(mean / (88 + mean)))
    assert float(log_likelihood(d, 0.36)) == pytest.approx(math.log(brute), rel=1e-9)


@pytest.mark.parametrize("hazard_ratio", [0.4, 0.58, 0.9])
def test_rounded_ratios_by_quadrature(hazard_ratio):
    d = EVERY["polman2006_affirm#1"]
    assert (d.kind, d.half_width) == ("lognormal", pytest.approx(0.005))
    area = quad(lambda x: norm.pdf(math.log(x), math.log(hazard_ratio), d.se) / x, d.value - 0.005, d.value + 0.005)[0]
    assert float(log_likelihood(d, hazard_ratio)) == pytest.approx(math.log(area), rel=1e-7)


def test_rounded_means_by_quadrature():
    d = dataclasses.replace(EVERY["cohen2012_carems1#16"], value=-0.1, half_width=0.05, se=0.08)
    for mean in (-0.6, -0.1, 0.2):
        area = quad(lambda x, mean=mean: norm.pdf(x, mean, 0.08), -0.15, -0.05)[0]
        assert float(log_likelihood(d, mean)) == pytest.approx(math.log(area), rel=1e-7)
