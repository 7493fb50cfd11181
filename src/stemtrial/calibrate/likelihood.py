"""Likelihood of a published number under a model's expected value: exact for counts, with rounding.

Kinds (:class:`~stemtrial.calibrate.datum.Datum`):

- ``binomial``: k of n patients. Where only a share is printed, all k that round to it; a Kaplan-Meier probability
  without interval is a share of its effective n.
- ``negative_binomial``: events in an exposure, with the size of the total; all totals that round to the printed rate.
- ``normal``, ``lognormal``, ``logitnormal``: normal on the scale of the datum, integrated over the numbers that round
  to the printed one; the density where the number is exact.

The expected value is that of the trial as it was, its own random effects included. A published standard error enters
here alone: what is simulated at the published number of patients (the ensemble smoother) carries the sampling error of
its own patients, and adding the published one would count it twice.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_ndtr, logsumexp
from scipy.stats import binom, nbinom

from stemtrial.calibrate.datum import Datum, Floats, from_scale, on_scale
from stemtrial.errors import InputError

SURE = 1e-6
"""Least probability of an event, and of none: a model that rules out what happened once is not infinitely wrong."""
_NARROW = 1e-4
"""Width of rounding, in standard errors, below which the density stands for the integral."""


def log_likelihood(datum: Datum, expected: ArrayLike, *, scaled: bool = False) -> Floats:
    """Log-likelihood of a published number.

    Parameters
    ----------
    datum : Datum
        What was published.
    expected : array_like
        What the model expects, without sampling error, in the unit of the published value (a share, or a count of
        patients where ``datum.counted``; events a unit of exposure; a ratio; a mean). Any shape.
    scaled : bool
        Whether ``expected`` is on the scale of :func:`~stemtrial.calibrate.data.on_scale`, as an emulator gives it.

    Returns
    -------
    ndarray
        Of the shape of ``expected``; minus infinity where it is NaN.

    Raises
    ------
    InputError
        If a datum of a normal kind has no standard error.
    """
    x = np.asarray(expected, np.float64)
    flat = np.atleast_1d(x).ravel()
    out = np.full(flat.shape, -np.inf)
    seen = ~np.isnan(flat)
    if seen.any():
        out[seen] = _OF_KIND.get(datum.kind, _normal)(datum, flat[seen], scaled)
    return out.reshape(x.shape)


def _integers(low: float, high: float, nearest: float, most: float = math.inf) -> NDArray[np.int64]:
    """Counts from low to high; where rounding leaves none, the nearest."""
    first, last = max(0, math.ceil(low - 1e-9)), min(most, math.floor(high + 1e-9))
    found = range(first, int(last) + 1) if last >= first else [max(0, round(nearest))]
    return np.array(found, np.int64)


def _binomial(d: Datum, x: Floats, scaled: bool) -> Floats:
    n = round(d.n)
    p = from_scale(d, x) if scaled else x
    p = np.clip(p / d.n if d.counted else p, SURE, 1.0 - SURE)
    share = d.share
    k = _integers((share - d.half_width) * n, (share + d.half_width) * n, share * n, n)
    return np.asarray(logsumexp(binom.logpmf(k[:, None], n, p), axis=0), np.float64)


def _negative_binomial(d: Datum, x: Floats, scaled: bool) -> Floats:
    mean = np.maximum((from_scale(d, x) if scaled else x) * d.exposure, SURE)
    k = _integers((d.value - d.half_width) * d.exposure, (d.value + d.half_width) * d.exposure, d.value * d.exposure)
    return np.asarray(logsumexp(nbinom.logpmf(k[:, None], d.size, d.size / (d.size + mean)), axis=0), np.float64)


def _normal(d: Datum, x: Floats, scaled: bool) -> Floats:
    if d.se is None:
        raise InputError(f"{d.outcome_id}: a {d.kind} datum has no standard error; give se on its scale")
    mean = x if scaled else on_scale(d, x)
    y, low, high = (float(on_scale(d, d.value + h)) for h in (0.0, -d.half_width, d.half_width))
    if high - low < _NARROW * d.se:
        width = math.log(high - low) if high > low else 0.0
        z = (y - mean) / d.se
        return np.asarray(-0.5 * z**2 - math.log(d.se * math.sqrt(2 * math.pi)) + width, np.float64)
    a, b = (low - mean) / d.se, (high - mean) / d.se
    right = a > 0  # in the upper tail the complement keeps its digits
    a, b = np.where(right, -b, a), np.where(right, -a, b)
    top = log_ndtr(b)
    return np.asarray(top + np.log1p(-np.exp(np.minimum(log_ndtr(a) - top, -1e-300))), np.float64)


_OF_KIND = {"binomial": _binomial, "negative_binomial": _negative_binomial}
