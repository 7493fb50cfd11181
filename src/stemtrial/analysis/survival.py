"""Time to event: Kaplan-Meier curves, the median, the log-rank test and the hazard ratio.

Times that are equal as numbers are tied; round times to the unit in which they were recorded first. In a tie events
come before censorings: a patient censored at ``t`` is at risk at ``t``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from stemtrial.analysis import _inputs
from stemtrial.analysis._inputs import Bools, Floats, Ints, divide
from stemtrial.analysis._roots import falling_root
from stemtrial.analysis.result import Estimate, Status, log_wald
from stemtrial.errors import InputError


@dataclass(frozen=True)
class _Sorted:
    """Patients of each replicate in the order of time, the excluded ones last; shape (replicates, patients)."""

    order: Ints
    time: Floats  # inf for the excluded
    event: Bools  # False for the excluded
    new: Bools  # first position of its tie
    first: Ints  # first position of the tie
    last: Ints  # last position of the tie
    n: Ints  # shape (replicates, 1): size of the analysis set

    def in_tie(self, x: Bools) -> Ints:
        """Count ``x`` over the tie that each position belongs to."""
        c = _running(x)
        return np.take_along_axis(c, self.last + 1, 1) - np.take_along_axis(c, self.first, 1)

    def from_tie_on(self, x: Bools) -> Ints:
        """Count ``x`` from the tie of each position to the end: the number at risk, if ``x`` marks a group."""
        c = _running(x)
        return c[:, -1:] - np.take_along_axis(c, self.first, 1)


def _running(x: Bools) -> Ints:
    """Return sums over the positions before 0, 1, ..., patients."""
    c = np.zeros((x.shape[0], x.shape[1] + 1), np.int64)
    np.cumsum(x, axis=1, out=c[:, 1:])
    return c


def _sort(time: ArrayLike, event: ArrayLike, include: ArrayLike | None) -> tuple[_Sorted, Bools]:
    dead = _inputs.flags("event", event)
    mask = _inputs.analysis_set(include, dead.shape)
    t = np.where(mask, _inputs.numbers("time", time, mask, signed=False), np.inf)
    if t.shape[1] == 0:  # nobody: one excluded patient stands in, so that every axis has a length
        t, dead, mask = (np.full((len(t), 1), v) for v in (np.inf, False, False))
    order = np.argsort(t, axis=1, kind="stable")
    t = np.take_along_axis(t, order, 1)
    position = np.arange(t.shape[1])
    new = np.ones(t.shape, np.bool_)
    new[:, 1:] = t[:, 1:] != t[:, :-1]
    ends = np.ones(t.shape, np.bool_)
    ends[:, :-1] = new[:, 1:]
    first = np.maximum.accumulate(np.where(new, position, 0), axis=1)
    last = np.minimum.accumulate(np.where(ends, position, t.shape[1] - 1)[:, ::-1], axis=1)[:, ::-1]
    event_sorted = np.take_along_axis(dead & mask, order, 1)
    return _Sorted(order, t, event_sorted, new, first, last, mask.sum(1, keepdims=True)), mask


def _two_arms(
    time: ArrayLike, event: ArrayLike, treated: ArrayLike, include: ArrayLike | None
) -> tuple[_Sorted, Bools, Bools]:
    """Sort, and return who is treated and who is control, both within the analysis set."""
    arm = _inputs.flags("treated", treated, np.shape(event))
    s, mask = _sort(time, event, include)
    if arm.shape[1] == 0:
        arm = np.zeros(mask.shape, np.bool_)
    return s, np.take_along_axis(arm & mask, s.order, 1), np.take_along_axis(~arm & mask, s.order, 1)


def _curve(s: _Sorted) -> tuple[Floats, Floats]:
    """Survival just after each position, and Greenwood's sum of d / (n (n - d)); inf once nobody is left."""
    at_risk = (s.n - s.first).astype(np.float64)
    deaths = np.where(s.new, s.in_tie(s.event), 0).astype(np.float64)
    some = deaths > 0
    dying = np.divide(deaths, at_risk, out=np.zeros_like(deaths), where=some)
    survival: Floats = np.cumprod(1.0 - dying, axis=1, dtype=np.float64)
    left = at_risk - deaths
    term = np.divide(deaths, at_risk * left, out=np.where(some, np.inf, 0.0), where=some & (left > 0))
    greenwood: Floats = np.cumsum(term, axis=1)
    return survival, greenwood


def _log_log(survival: Floats, greenwood: Floats, level: float) -> tuple[Floats, Floats]:
    """Limits of survival on the log(-log) scale; NaN where survival is 0 or 1."""
    inside = (survival > 0) & (survival < 1)
    log_s = np.log(survival, out=np.full_like(survival, -1.0), where=inside)
    width = ndtri(0.5 + level / 2) * np.sqrt(np.where(inside, greenwood, 0.0)) / -log_s
    with np.errstate(over="ignore", under="ignore"):
        lower, upper = np.exp(log_s * np.exp(width)), np.exp(log_s * np.exp(-width))
    return np.where(inside, lower, np.nan), np.where(inside, upper, np.nan)


@dataclass(frozen=True)
class KaplanMeier:
    """Survival at chosen times; every array but ``at`` has shape (replicates, times).

    Attributes
    ----------
    at : ndarray of float, shape (times,)
        The times asked for, in the unit of ``time``.
    survival : ndarray of float
        Probability of no event up to and including ``at``, 0 to 1.
    se : ndarray of float
        Greenwood's standard error of survival; NaN where survival is 0.
    lower, upper : ndarray of float
        Limits on the log(-log) scale; NaN where survival is 0 or 1, as there the method has none.
    n_at_risk : ndarray of int
        Patients with ``time >= at``.
    status : ndarray of int8
        0, or 3 where the curve is not defined: no patients, or ``at`` beyond the last follow-up.

    """

    at: Floats
    survival: Floats
    se: Floats
    lower: Floats
    upper: Floats
    n_at_risk: Ints
    status: NDArray[np.int8]

    @property
    def event_probability(self) -> Floats:
        """Probability of an event up to and including ``at``: 1 - survival."""
        return 1.0 - self.survival

    def estimate(self, events: bool = False) -> Estimate:
        """Return survival, or the event probability, as an :class:`Estimate` of shape (replicates, times)."""
        nothing = np.full_like(self.survival, np.nan)
        if events:
            return Estimate(self.event_probability, 1.0 - self.upper, 1.0 - self.lower, self.se, nothing, self.status)
        return Estimate(self.survival, self.lower, self.upper, self.se, nothing, self.status)


def kaplan_meier(
    time: ArrayLike,
    event: ArrayLike,
    at: ArrayLike,
    include: ArrayLike | None = None,
    level: float = 0.95,
    extend: bool = False,
) -> KaplanMeier:
    """Kaplan-Meier estimate of survival at given times.

    Parameters
    ----------
    time : array_like, shape (replicates, patients)
        Time of the event or of censoring, 0 or more, any unit.
    event : array_like of bool, shape (replicates, patients)
        True for an event, False for censoring.
    at : array_like, shape (times,)
        Times at which survival is wanted, in the same unit.
    include : array_like of bool, optional
        False for patients outside the analysis set; their other values are not read.
    level : float
        Confidence level.
    extend : bool
        Carry the curve forward beyond the last follow-up of a replicate. By default it is NaN there with status 3,
        unless it has reached 0.

    Returns
    -------
    KaplanMeier

    Raises
    ------
    InputError
        If shapes differ, or times are NaN or negative.

    Notes
    -----
    Kaplan and Meier 1958, doi:10.1080/01621459.1958.10501452; variance: Greenwood 1926; limits: Kalbfleisch and
    Prentice, doi:10.1002/9781118032985, as ``survfit(conf.type = "log-log")``.

    """
    level = _inputs.level(level)
    times = np.atleast_1d(np.asarray(at, np.float64))
    if times.ndim != 1 or not np.isfinite(times).all():
        raise InputError("at must be a list of finite times, without NaN")
    s, _ = _sort(time, event, include)
    survival, greenwood = (np.insert(x, 0, start, axis=1) for x, start in zip(_curve(s), (1.0, 0.0), strict=True))
    shape = (len(s.time), len(times))
    passed, before = np.empty(shape, np.int64), np.empty(shape, np.int64)
    for k, t in enumerate(times):
        passed[:, k] = (s.time <= t).sum(1)
        before[:, k] = (s.time < t).sum(1)
    value, variance = np.take_along_axis(survival, passed, 1), np.take_along_axis(greenwood, passed, 1)
    at_risk = s.n - before
    known = (s.n > 0) & (extend | (at_risk > 0) | (value == 0))
    lower, upper = _log_log(value, variance, level)
    se = np.where(value > 0, value * np.sqrt(np.where(value > 0, variance, 0.0)), np.nan)
    status = np.where(known, Status.OK, Status.NO_DATA).astype(np.int8)
    value, se, lower, upper = (np.where(known, x, np.nan) for x in (value, se, lower, upper))
    return KaplanMeier(times, value, se, lower, upper, at_risk, status)


def _reaches_half(s: _Sorted, curve: Floats) -> Floats:
    """First time at which a falling curve is at most 1/2, midway to its next fall if it rests at 1/2; inf if never."""
    tol = 1.5e-8  # R's sqrt(.Machine$double.eps): 1/2 as a product of fractions is rarely 0.5
    end = np.max(np.where(np.isfinite(s.time), s.time, 0.0), axis=1)

    def first_time(met: Bools, otherwise: Floats) -> Floats:
        met = met & np.isfinite(s.time)
        t = np.take_along_axis(s.time, met.argmax(1)[:, None], 1)[:, 0]
        return np.where(met.any(1), t, otherwise)

    start = first_time(curve <= 0.5 + tol, np.full(end.shape, np.inf))
    stop = first_time(curve < 0.5 - tol, end)
    resting = np.isfinite(start)
    return np.where(resting, (np.where(resting, start, 0.0) + stop) / 2, np.inf)


def median_time(time: ArrayLike, event: ArrayLike, include: ArrayLike | None = None, level: float = 0.95) -> Estimate:
    """Median time to the event with the interval of Brookmeyer and Crowley.

    Parameters
    ----------
    time, event, include, level
        As in :func:`kaplan_meier`.

    Returns
    -------
    Estimate
        In the unit of ``time``; ``inf`` means *not reached within follow-up* (status 2 for the value). ``se`` and
        ``p_value`` are NaN.

    Notes
    -----
    The limits are the times at which the pointwise log(-log) limits of survival pass 1/2 (Brookmeyer and Crowley 1982,
    doi:10.2307/2530286), as ``quantile(survfit(conf.type = "log-log"), 0.5)``. Where a curve falls to 0 its lower limit
    counts as 0, so that the lower limit of a median that was reached always exists.

    """
    level = _inputs.level(level)
    s, _ = _sort(time, event, include)
    survival, greenwood = _curve(s)
    lower, upper = _log_log(survival, greenwood, level)
    lower, upper = np.where(survival == 0, 0.0, np.nan_to_num(lower, nan=1.0)), np.nan_to_num(upper, nan=1.0)
    some = s.n[:, 0] > 0
    value, low, high = (np.where(some, _reaches_half(s, c), np.nan) for c in (survival, lower, upper))
    status = np.select([~some, np.isinf(value)], [Status.NO_DATA, Status.AT_UPPER_LIMIT], Status.OK).astype(np.int8)
    nothing = np.full_like(value, np.nan)
    return Estimate(value, low, high, nothing, nothing, status)


@dataclass(frozen=True)
class LogRank:
    """Log-rank test of each replicate; arrays of shape (replicates,).

    Attributes
    ----------
    observed, expected, variance : ndarray of float
        Events in the treated arm, their expectation under equal hazards, and the hypergeometric variance.
    z : ndarray of float
        (observed - expected) / sqrt(variance): negative where the treated arm fares better.
    chi2 : ndarray of float
        z squared, one degree of freedom.
    p_value : ndarray of float
        Two-sided.
    status : ndarray of int8
        0, or 3 (all NaN but the counts) where no risk set with an event held both arms.

    """

    observed: Floats
    expected: Floats
    variance: Floats
    z: Floats
    chi2: Floats
    p_value: Floats
    status: NDArray[np.int8]


def logrank(time: ArrayLike, event: ArrayLike, treated: ArrayLike, include: ArrayLike | None = None) -> LogRank:
    """Log-rank test of two arms; ties as in ``survival::survdiff``.

    Parameters
    ----------
    time, event, include
        As in :func:`kaplan_meier`.
    treated : array_like of bool, shape (replicates, patients)
        True for the treated arm.

    Returns
    -------
    LogRank

    Notes
    -----
    Mantel 1966; Peto and Peto 1972, doi:10.2307/2344317. It exists where an arm has no event and :func:`cox`
    stands at a limit.

    """
    s, arm, control = _two_arms(time, event, treated, include)
    d = np.where(s.new, s.in_tie(s.event), 0).astype(np.float64)
    n1 = s.from_tie_on(arm).astype(np.float64)
    n = n1 + s.from_tie_on(control)
    share = np.divide(n1, n, out=np.zeros_like(n), where=n > 0)
    spread = np.divide(n - d, n - 1, out=np.zeros_like(n), where=n > 1)
    observed = (s.event & arm).sum(1).astype(np.float64)
    expected = (d * share).sum(1)
    variance = (d * share * (1 - share) * spread).sum(1)
    status = np.where(variance > 0, Status.OK, Status.NO_DATA).astype(np.int8)
    z = divide(observed - expected, np.sqrt(variance))
    return LogRank(observed, expected, variance, z, z * z, 2 * ndtr(-np.abs(z)), status)


def cox(
    time: ArrayLike,
    event: ArrayLike,
    treated: ArrayLike,
    include: ArrayLike | None = None,
    ties: str = "efron",
    level: float = 0.95,
) -> Estimate:
    """Hazard ratio, treated against control, of the proportional hazards model with the arm as its only covariate.

    Parameters
    ----------
    time, event, treated, include, level
        As in :func:`logrank` and :func:`kaplan_meier`.
    ties : {"efron", "breslow"}
        Likelihood of tied events; Efron's is the default of ``survival::coxph``.

    Returns
    -------
    Estimate
        Hazard ratio with Wald's interval on the log scale; ``se`` is that of the log hazard ratio. Limits as told in
        :class:`~stemtrial.analysis.result.Estimate`.

    Notes
    -----
    Cox 1972, doi:10.1111/j.2517-6161.1972.tb00899.x; Efron 1977, doi:10.1080/01621459.1977.10480613. Maximised by
    Newton's method, kept inside the bracket of the score's root.

    """
    level = _inputs.level(level)
    _inputs.choice("ties", ties, ("efron", "breslow"))
    s, arm, control = _two_arms(time, event, treated, include)
    died1, died0 = s.event & arm, s.event & control
    a, c = s.from_tie_on(arm).astype(np.float64), s.from_tie_on(control).astype(np.float64)
    if ties == "efron":  # the k-th of d tied events sees the others of its tie by (d - k) / d
        earlier = _running(s.event)
        k = earlier[:, :-1] - np.take_along_axis(earlier, s.first, 1)
        share = k / np.maximum(s.in_tie(s.event), 1)
        a, c = a - share * s.in_tie(died1), c - share * s.in_tie(died0)
    a, c = np.where(s.event, a, 0.0), np.where(s.event, c, 1.0)  # positions without event contribute nothing

    # The score falls from `rising` to `falling` as the log hazard ratio goes from -inf to inf; its root is finite only
    # if it changes sign.
    d1 = died1.sum(1).astype(np.float64)
    rising, falling = d1 - (c == 0).sum(1), d1 - (a > 0).sum(1)
    status = np.select(
        [(rising > 0) & (falling < 0), rising > 0, falling < 0],
        [Status.OK, Status.AT_UPPER_LIMIT, Status.AT_LOWER_LIMIT],
        Status.NO_DATA,
    ).astype(np.int8)
    ok = status == Status.OK
    b, se = np.zeros(len(d1)), np.ones(len(d1))
    a, c, d1 = a[ok], c[ok], d1[ok]

    def score(log_ratio: Floats) -> tuple[Floats, Floats]:
        p = a * np.exp(log_ratio)[:, None]
        p /= p + c  # probability that the event falls on a treated patient
        return d1 - p.sum(1), np.einsum("rn,rn->r", p, 1 - p)

    b[ok] = falling_root(score, np.zeros(len(d1)))
    se[ok] = 1 / np.sqrt(score(b[ok])[1])
    return log_wald(b, se, status, level)
