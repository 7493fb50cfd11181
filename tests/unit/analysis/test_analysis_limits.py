"""Hand-made trials at the edge: what each estimator says, and what it refuses."""

import numpy as np
import pytest

import stemtrial.analysis as an
from stemtrial.analysis import Status
from stemtrial.errors import InputError

OK, LOW, HIGH, NONE = Status.OK, Status.AT_LOWER_LIMIT, Status.AT_UPPER_LIMIT, Status.NO_DATA
ARM = np.array([[1, 1, 1, 0, 0, 0]], bool)
T = np.array([[1, 2, 3, 1, 2, 3]], float)


def check(e, value, status):
    assert e.status[0] == status
    np.testing.assert_allclose(e.value[0], value)
    if status in (LOW, HIGH):
        assert (e.lower[0], e.upper[0], e.se[0]) == (0, np.inf, np.inf)
    if status != OK:
        assert np.isnan(e.p_value[0])


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize(
    ("event", "value", "status"),
    [([0, 0, 0, 1, 1, 0], 0, LOW), ([1, 0, 0, 0, 0, 0], np.inf, HIGH), ([0] * 6, np.nan, NONE)],
)
def test_cox_without_events_in_an_arm(event, value, status, ties):
    check(an.cox(T, [event], ARM, ties=ties), value, status)


def test_cox_with_events_in_both_arms_but_a_monotone_likelihood():
    # The treated are all gone before the first control fails: no finite hazard ratio, though both arms have events.
    check(an.cox([[1, 2, 3, 4, 5, 6]], np.ones((1, 6)), ARM), np.inf, HIGH)
    check(an.cox([[4, 5, 6, 1, 2, 3]], np.ones((1, 6)), ARM), 0, LOW)


def test_cox_without_a_common_risk_set():
    # The treated are censored before anything happens: their 0 events say nothing.
    check(an.cox([[1, 1, 1, 2, 2, 3]], [[0, 0, 0, 1, 1, 1]], ARM), np.nan, NONE)
    assert an.logrank([[1, 1, 1, 2, 2, 3]], [[0, 0, 0, 1, 1, 1]], ARM).status[0] == NONE
    check(an.cox(T, np.ones((1, 6)), np.ones((1, 6))), np.nan, NONE)  # an empty arm


def test_cox_of_a_far_but_finite_ratio():
    n = 2000
    arm = np.arange(n)[None, :] % 2 == 0
    time = np.where(arm, 1.0 + np.arange(n), 5000.0 + np.arange(n))
    time[0, 1] = 1200.5  # one control fails among the treated
    e = an.cox(time, np.ones((1, n)), arm)
    assert e.status[0] == OK
    assert 1e3 < e.value[0] < 1e5


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_all_events_at_time_zero(ties):
    # One tie of six: by symmetry the arms are equal.
    e = an.cox(np.zeros((1, 6)), np.ones((1, 6)), ARM, ties=ties)
    check(e, 1.0, OK)
    km = an.kaplan_meier(np.zeros((1, 6)), np.ones((1, 6)), [0, 1])
    np.testing.assert_array_equal(km.survival, [[0, 0]])
    np.testing.assert_array_equal(km.n_at_risk, [[6, 0]])
    m = an.median_time(np.zeros((1, 6)), np.ones((1, 6)))
    assert (m.value[0], m.lower[0], m.upper[0]) == (0, 0, np.inf)
    assert an.logrank(np.zeros((1, 6)), np.ones((1, 6)), ARM).status[0] == NONE  # n = d: no variance


def test_logrank_exists_where_cox_stands_at_its_limit():
    test = an.logrank(T, [[0, 0, 0, 1, 1, 0]], ARM)
    # at 1: 6 at risk, 1 event, E = 1/2, V = 1/4; at 2: 4 at risk, 1 event, E = 1/2, V = 1/4
    assert (test.observed[0], test.expected[0], test.variance[0]) == (0, 1, 0.5)
    assert test.z[0] == pytest.approx(-np.sqrt(2))
    assert test.status[0] == OK


def test_curve_beyond_follow_up():
    args = ([[1.0, 2.0, 3.0]], [[True, False, False]], [2.5, 3.0, 3.1])
    km, on = an.kaplan_meier(*args), an.kaplan_meier(*args, extend=True)
    np.testing.assert_allclose(km.survival, [[2 / 3, 2 / 3, np.nan]])
    np.testing.assert_array_equal(km.status, [[OK, OK, NONE]])
    np.testing.assert_allclose(on.survival, [[2 / 3] * 3])
    np.testing.assert_array_equal(on.n_at_risk, [[1, 1, 0]])
    gone = an.kaplan_meier([[1.0, 2.0]], [[True, True]], [9.0])  # a curve that reached 0 stays there
    assert (gone.survival[0, 0], gone.status[0, 0]) == (0, OK)


def test_events_come_before_censorings_of_the_same_time():
    km = an.kaplan_meier([[2.0, 2.0, 2.0, 5.0]], [[False, True, False, False]], [1.9, 2.0])
    np.testing.assert_allclose(km.survival, [[1, 3 / 4]])
    np.testing.assert_array_equal(km.n_at_risk, [[4, 4]])


def test_event_probability_turns_the_interval():
    km = an.kaplan_meier(T, [[1, 0, 1, 0, 1, 0]], [2.0])
    e, s = km.estimate(events=True), km.estimate()
    np.testing.assert_allclose([e.value, e.lower, e.upper], [1 - s.value, 1 - s.upper, 1 - s.lower])
    assert (e.lower < e.value).all()
    assert (e.value < e.upper).all()


def test_median_not_reached():
    m = an.median_time(T, [[1, 0, 0, 0, 0, 0]])
    assert m.status[0] == HIGH
    assert np.isinf(m.value[0])


@pytest.mark.parametrize(
    ("count", "value", "status"),
    [([0, 0, 0, 4, 0, 1], 0, LOW), ([4, 0, 1, 0, 0, 0], np.inf, HIGH), ([0] * 6, np.nan, NONE)],
)
def test_rates_without_events_in_an_arm(count, value, status):
    fit = an.negative_binomial([count], np.ones((1, 6)), ARM)
    check(fit.ratio, value, status)
    for arm, some in ((fit.treated, sum(count[:3])), (fit.control, sum(count[3:]))):
        np.testing.assert_allclose(arm.value[0], some / 3)  # equal exposures: the rate is events over time
        assert arm.status[0] == (OK if some else LOW)
    assert np.isnan(fit.dispersion[0]) == (sum(count) == 0)


def test_an_arm_without_events_has_no_say_in_the_other():
    y, t = np.array([[0, 0, 0, 4, 0, 1]]), np.array([[1, 1, 2, 1, 2, 3.0]])
    both, alone = an.negative_binomial(y, t, ARM), an.annualised_rate(y, t, ~ARM)
    np.testing.assert_allclose(both.control.value, alone.rate.value)
    np.testing.assert_allclose(both.control.se, alone.rate.se)


def test_an_arm_without_exposure_has_no_rate():
    fit = an.negative_binomial([[0, 0, 0, 1, 2, 0]], [[0, 0, 0, 1, 1, 1]], ARM)
    check(fit.ratio, np.nan, NONE)
    check(fit.treated, np.nan, NONE)
    check(fit.control, 1.0, OK)


def test_counts_exactly_as_variable_as_poisson():
    fit = an.annualised_rate([[0, 2]], [[1, 1]])  # sum((y - mean)^2) = sum(y): the score in the dispersion is 0
    assert fit.poisson[0]
    assert fit.dispersion[0] == 0
    assert fit.rate.se[0] == pytest.approx(1 / np.sqrt(2))


def test_large_counts():
    y = np.array([[10_000, 1, 0, 3, 9_000, 12]])
    fit = an.annualised_rate(y, np.ones((1, 6)))
    np.testing.assert_allclose(fit.rate.value, y.mean())
    assert fit.dispersion[0] > 1


def test_one_patient():
    one = [[2.0]]
    m = an.mean(one)
    assert (m.value[0], m.status[0]) == (2, OK)
    assert np.isnan([m.lower[0], m.upper[0], m.se[0], m.p_value[0]]).all()
    assert an.mean_difference(one, [[True]]).status[0] == NONE
    assert an.cox(one, [[True]], [[True]]).status[0] == NONE
    assert an.negative_binomial([[2]], one, [[True]]).ratio.status[0] == NONE
    d = an.mean_difference([[2.0, 5.0]], [[True, False]])
    assert (d.value[0], d.status[0]) == (-3, OK)
    assert np.isnan(d.lower[0])


def test_ancova_whose_baseline_says_nothing():
    y = np.array([[1, 2, 4, 0, 3, 7.0]])
    flat = an.ancova(y, np.full((1, 6), 0.1), ARM)
    student = an.mean_difference(y, ARM, unequal_variance=False)
    np.testing.assert_allclose([flat.value, flat.lower, flat.p_value], [student.value, student.lower, student.p_value])
    check(an.ancova(y, np.where(ARM, 0.3, 0.1), ARM), np.nan, NONE)


def test_constant_outcomes():
    d = an.mean_difference(np.where(ARM, 2.0, 1.0), ARM)
    assert (d.value[0], d.lower[0], d.upper[0], d.se[0]) == (1, 1, 1, 0)
    assert np.isnan(d.p_value[0])


def test_newcombe_against_his_paper():
    # doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I, Table II, method 10: 56/70 against 48/80,
    # 0/10 against 0/20
    event, arm = np.zeros((2, 150), bool), np.zeros((2, 150), bool)
    include = np.ones((2, 150), bool)
    arm[0, :70] = arm[1, :10] = True
    event[0, :56] = event[0, 70:118] = True
    include[1, 30:] = False
    d = an.risk_difference(event, arm, include)
    np.testing.assert_allclose(d.lower, [0.0524, -0.1611], atol=5e-5)
    np.testing.assert_allclose(d.upper, [0.3339, 0.2775], atol=5e-5)


@pytest.mark.parametrize(
    ("event", "value", "status"),
    [
        ([0, 0, 0, 1, 0, 0], 0, LOW),
        ([0, 1, 0, 1, 1, 1], 0, LOW),
        ([1, 0, 0, 0, 0, 0], np.inf, HIGH),
        ([0] * 6, np.nan, NONE),
        ([1] * 6, np.nan, NONE),
        ([0, 0, 1, 0, 1, 1], 0.25, OK),
    ],
)
def test_odds_ratio(event, value, status):
    check(an.odds_ratio([event], ARM), value, status)


def test_proportions_at_the_ends():
    for method, upper in (
        ("wilson", 3.841458820694124 / (3 + 3.841458820694124)),
        ("clopper_pearson", 1 - 0.025 ** (1 / 3)),
    ):
        e = an.proportion([[0, 0, 0]], method=method)
        assert (e.value[0], e.lower[0], e.status[0]) == (0, 0, OK)
        assert e.upper[0] == pytest.approx(upper)


def test_level_moves_every_interval():
    y = [[0, 3, 1, 5, 0, 8]]
    for f in (
        lambda **k: an.cox(T, [[1, 0, 1, 1, 1, 0]], ARM, **k),
        lambda **k: an.negative_binomial(y, T, ARM, **k).ratio,
        lambda **k: an.mean_difference(y, ARM, **k),
        lambda **k: an.ancova(y, T, ARM, **k),
        lambda **k: an.proportion(ARM, **k),
        lambda **k: an.risk_difference([[1, 0, 1, 1, 1, 0]], ARM, **k),
        lambda **k: an.kaplan_meier(T, [[1, 0, 1, 1, 1, 0]], [2], **k),
    ):
        wide, narrow = f(level=0.99), f(level=0.5)
        assert (wide.lower < narrow.lower).all()
        assert (wide.upper > narrow.upper).all()


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (3, 0)])
def test_nothing_in_nothing_out(shape):
    x, b = np.ones(shape), np.ones(shape, bool)
    for e in (
        an.cox(x, b, b),
        an.logrank(x, b, b),
        an.median_time(x, b),
        an.negative_binomial(x, x, b).ratio,
        an.mean(x),
        an.mean_difference(x, b),
        an.ancova(x, x, b),
        an.proportion(b),
        an.risk_difference(b, b),
        an.odds_ratio(b, b),
    ):
        np.testing.assert_array_equal(e.status, np.full(shape[0], NONE))
    km = an.kaplan_meier(x, b, [1.0, 2.0])
    np.testing.assert_array_equal(km.status, np.full((shape[0], 2), NONE))


BAD = T.copy()
BAD[0, 2] = np.nan


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: an.cox(BAD, ARM, ARM), "time holds 1 NaN"),
        (lambda: an.kaplan_meier(BAD, ARM, [1]), "time holds 1 NaN"),
        (lambda: an.kaplan_meier(T, ARM, [np.nan]), "at must be"),
        (lambda: an.logrank(-T, ARM, ARM), "time must not be negative"),
        (lambda: an.median_time(T, BAD), "event must be true or false"),
        (lambda: an.cox(T, ARM, 2 * T), "treated must be true or false"),
        (lambda: an.cox(T, ARM, ARM, include=BAD), "include must be true or false"),
        (lambda: an.cox(T, ARM, ARM, ties="exact"), "ties must be 'efron' or 'breslow', not 'exact'"),
        (lambda: an.cox(T[0], ARM[0], ARM[0]), "two axes"),
        (lambda: an.cox(T[:, :4], ARM, ARM), "shape"),
        (lambda: an.cox(T, ARM, ARM, level=95), "confidence level"),
        (lambda: an.negative_binomial(BAD, T, ARM), "count holds 1 NaN"),
        (lambda: an.negative_binomial(T, BAD, ARM), "exposure holds 1 NaN"),
        (lambda: an.negative_binomial(T / 2, T, ARM), "whole numbers"),
        (lambda: an.negative_binomial(T * 1e5, T, ARM), "at most 10000"),
        (lambda: an.annualised_rate(T, 0 * T), "count must be 0 where exposure is 0"),
        (lambda: an.annualised_rate(T, -T), "exposure must not be negative"),
        (lambda: an.mean(BAD), "y holds 1 NaN"),
        (lambda: an.mean([["a"]]), "real numbers"),
        (lambda: an.mean_difference(BAD, ARM), "y holds 1 NaN"),
        (lambda: an.ancova(T, BAD, ARM), "baseline holds 1 NaN"),
        (lambda: an.proportion(BAD), "event must be true or false"),
        (lambda: an.proportion(ARM, method="wald"), "method must be"),
        (lambda: an.risk_difference(ARM, ARM, method="wilson"), "method must be"),
    ],
)
def test_input_that_cannot_be_used(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_the_higher_of_two_peaks_is_taken():
    # 9 events in a quarter of a year alone in an arm; 2 in a quarter and 0 in three years in the other. The likelihood
    # falls from dispersion 0, and rises again to a peak near 2 that is higher.
    fit = an.negative_binomial([[9, 2, 0]], [[0.25, 0.25, 3.0]], [[False, True, True]])
    assert not fit.poisson[0]
    assert 1 < fit.dispersion[0] < 4
    assert fit.control.value[0] == pytest.approx(36)
    assert fit.treated.value[0] > 2 / 3.25  # Poisson's rate weighs the long follow-up in full
