"""Jumps of a kernel follow their laws exactly: Poisson, clusters, binomial thinning, shared uniforms, hazards."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from stemtrial.kernel import Kernel, Model, Schedule, build, minimum

N = 40_000
P = {"law.rate": 0.8, "law.extra": 1.5, "law.pace": 0.05}
TAU = 5.0
A, B = 0.07, 0.30


@pytest.fixture(scope="module")
def kernel() -> Kernel:
    m = Model("law")
    m.constant("nothing", "1", "")
    units, once, leaving = (m.state(k, "1", "") for k in ("units", "once", "leaving"))
    first, second = m.state("first", "1", ""), m.state("second", "1", "")
    age = m.state("age", "d", "")
    m.update(age, age + m.dt)
    m.arrive("law.plain", m.parameter("law.rate"), lambda e: e.add(once, 1.0), m.uniform("law.u"))
    m.arrive(
        "law.cluster", m.parameter("law.rate") * 0.5, lambda e: [e.add(units, 1.0), e.uniform()], m.uniform("law.v"),
        extra=m.parameter("law.extra"),
    )  # fmt: skip
    shared = m.uniform("law.w")
    m.remove("law.leave", leaving, TAU, shared)
    m.happen("law.first", m.graph.constant(A), lambda e: e.add(first, 1.0), shared)
    m.happen("law.second", m.graph.constant(B), lambda e: e.add(second, 1.0), shared)
    # a rate that rises and then stays: the integrated hazard is known in closed form
    m.hazard("law.bell", m.parameter("law.pace") * minimum(age * 0.1, 1.0), lambda e: e.log("bell", e.read(age)))
    m.on_dose("arm", lambda e: e.arm("law.bell"), (), "")
    return build(m)


def after(kernel: Kernel, days: int, n: int = N, seed: int = 5, **options):
    """State of ``n`` people, who start with twelve leaving units each, after some days."""
    people = kernel.population(0, np.arange(n), {"nothing": 0.0}, {"leaving": 12.0})
    told = kernel.advance(people, 0, days, P, seed, **options)
    return {k: people.state[j] for j, k in enumerate(kernel.states)}, told


@pytest.fixture(scope="module")
def one_day(kernel):
    return after(kernel, 1)[0]


def fits(counts, probability) -> None:
    """Chi-square test, small expectations pooled; both ends of the p-value count (too good is wrong too)."""
    observed = np.bincount(counts.astype(int), minlength=len(probability)).astype(float)
    assert len(observed) == len(probability)
    expected = np.asarray(probability) * observed.sum()
    big = expected >= 8
    o, e = np.append(observed[big], observed[~big].sum()), np.append(expected[big], expected[~big].sum())
    keep = e > 1e-9
    assert o[~keep].sum() == 0
    assert 1e-3 < stats.chisquare(o[keep], e[keep] * o.sum() / e.sum()).pvalue < 0.999


def poisson(mean: float, most: int = 6):
    """Counts 0 to ``most``, the last one with all that is above."""
    p = stats.poisson.pmf(np.arange(most + 1), mean)
    p[-1] += stats.poisson.sf(most, mean)
    return p


def test_arrivals_are_poisson(one_day):
    fits(one_day["once"], poisson(P["law.rate"]))


def test_clusters_are_one_and_a_geometric_number(one_day):
    share = P["law.extra"] / (1 + P["law.extra"])
    size = np.append(0.0, (1 - share) * share ** np.arange(200))
    law, power = np.zeros(1500), np.array([1.0])
    for p in poisson(P["law.rate"] / 2):
        law[: len(power)] += p * power
        power = np.convolve(power, size)
    capped = np.append(law[:24], law[24:].sum())
    fits(one_day["units"], capped)


def test_mean_and_dispersion_of_clusters_over_a_month(kernel):
    state, _ = after(kernel, 30, seed=6)
    extra, arrivals = P["law.extra"], 30 * P["law.rate"] / 2
    # size 1 + geometric: mean 1 + x, second moment (1 + x)^2 + x(1 + x)
    mean, variance = arrivals * (1 + extra), arrivals * ((1 + extra) ** 2 + extra * (1 + extra))
    units = state["units"]
    assert abs(units.mean() - mean) < 4 * np.sqrt(variance / N)
    assert units.var() == pytest.approx(variance, rel=0.03)


def test_thinning_is_binomial(one_day):
    fits(12 - one_day["leaving"], stats.binom.pmf(np.arange(13), 12, 1 / TAU))


def test_units_leave_independently_day_by_day(kernel):
    state, _ = after(kernel, 7, seed=7)
    fits(state["leaving"], stats.binom.pmf(np.arange(13), 12, (1 - 1 / TAU) ** 7))


def test_chances_that_share_a_uniform_keep_their_marginals(one_day):
    for name, p in (("first", A), ("second", B)):
        assert stats.binomtest(int(one_day[name].sum()), N, p).pvalue > 1e-3
    assert not ((one_day["first"] > 0) & (one_day["second"] > 0)).any(), "one at most happens in a step"


def test_a_chance_of_one_day_says_nothing_of_the_next(kernel):
    days = 40
    state, _ = after(kernel, days, seed=8)
    fits(state["second"], stats.binom.pmf(np.arange(days + 1), days, B))


def test_a_hazard_gives_exponential_times_of_its_integral(kernel):
    everybody = np.arange(N)
    doses = Schedule(everybody, np.zeros(N, int), np.zeros(N, int), np.zeros((N, 4)))
    _, told = after(kernel, 300, schedule=doses)
    bells = told.events["kind"] == kernel.event("bell")
    who, day = told.events["patient"][bells], told.events["day"][bells]
    np.testing.assert_array_equal(told.events["value"][bells], day, "the day is that which the step ends on")
    first = np.full(N, 301)
    np.minimum.at(first, who, day)
    rate = P["law.pace"] * np.minimum(np.arange(300) * 0.1, 1.0)
    survival = np.exp(-np.append(0.0, np.cumsum(rate)))
    fits(first, np.concatenate([[0.0], survival[:-1] - survival[1:], survival[-1:]]))


def test_a_hazard_that_re_arms_is_a_poisson_process(kernel):
    everybody = np.arange(N)
    doses = Schedule(everybody, np.zeros(N, int), np.zeros(N, int), np.zeros((N, 4)))
    _, told = after(kernel, 300, schedule=doses)
    number = np.bincount(told.events["patient"], minlength=N)
    mean = P["law.pace"] * np.minimum(np.arange(300) * 0.1, 1.0).sum()
    assert number.var() == pytest.approx(mean, rel=0.05)
    assert abs(number.mean() - mean) < 4 * np.sqrt(mean / N)


def test_a_hazard_that_was_not_armed_stays_silent(kernel):
    _, told = after(kernel, 300, n=2000)
    assert kernel.event("bell") not in told.events["kind"]
