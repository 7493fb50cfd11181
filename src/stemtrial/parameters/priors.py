"""Priors as transforms of a standard normal: what a fit moves is z, what the model reads is the value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from stemtrial.errors import InputError, did_you_mean
from stemtrial.parameters.register import registry

Floats = NDArray[np.float64]
FARTHEST = 8.0
"""z of a value beyond what its prior can tell apart in floating point."""
FREE = ("normal", "lognormal", "beta")
"""Distributions of parameters that may be fitted."""


def _prior(name: str) -> tuple[str, float, float]:
    """Distribution, centre and SD."""
    known = registry()
    if name not in known:
        raise InputError(f"parameter '{name}' is not registered{did_you_mean(name, known)}")
    p = known[name]
    kind = str(p.prior.get("dist", "none"))
    if kind not in FREE:
        raise InputError(f"parameter '{name}' has no prior to fit it by ({kind}); give it one of {', '.join(FREE)}")
    centre, sd = float(p.prior.get("mean", p.value)), float(p.prior["sd"])
    if kind == "lognormal" and centre == 0:
        raise InputError(f"parameter '{name}': a lognormal prior around 0 is 0 always; use another distribution")
    return kind, centre, sd


def beta_shape(name: str, mean: float, sd: float) -> tuple[float, float]:
    """Return the two shape parameters of a beta prior.

    Parameters
    ----------
    name : str
        Of the parameter, for the message.
    mean, sd : float
        A mean nearer to 0 or 1 than half the SD, the border itself above all, has no beta distribution that could be
        told from its border; it counts as half an SD away from it.

    Raises
    ------
    InputError
        If no beta distribution has that SD.
    """
    m = min(max(mean, sd / 2), 1 - sd / 2)
    size = m * (1 - m) / sd**2 - 1
    if not size > 0:
        raise InputError(f"parameter '{name}': no beta prior has mean {m:g} and sd {sd:g}; use a smaller sd")
    return m * size, (1 - m) * size


def _table(names: Sequence[str], values: ArrayLike) -> Floats:
    table = np.asarray(values, np.float64)
    if table.ndim != 2 or table.shape[1] != len(names):
        raise InputError(
            f"an array of shape {table.shape} does not fit {len(names)} names; give (members, {len(names)})"
        )
    return table


def from_normal(names: Sequence[str], z: ArrayLike) -> Floats:
    """Return parameter values from standard normals, by the prior of each.

    Parameters
    ----------
    names : sequence of str
        Registered names of parameters with a prior.
    z : array, shape (members, names)
        Standard normal under the prior; 0 is its median.

    Returns
    -------
    ndarray of float, shape (members, names)
        Normal: value + sd z. Lognormal: value exp(sd z). Beta of mean value and SD sd: its quantile at Phi(z); for a
        value at or near 0 or 1 see :func:`beta_shape`.

    Raises
    ------
    InputError
        If a name is unknown or has no prior, or the shape does not fit.
    """
    table = _table(names, z)
    out = np.empty_like(table)
    for k, name in enumerate(names):
        kind, centre, sd = _prior(name)
        x = table[:, k]
        if kind == "normal":
            out[:, k] = centre + sd * x
        elif kind == "lognormal":
            out[:, k] = centre * np.exp(sd * x)
        else:
            a, b = beta_shape(name, centre, sd)
            # from whichever end is nearer, so that the tail keeps its digits
            low = special.betaincinv(a, b, special.ndtr(np.minimum(x, 0.0)))
            high = special.betainccinv(a, b, special.ndtr(-np.maximum(x, 0.0)))
            out[:, k] = np.where(x < 0, low, high)
    return out


def to_normal(names: Sequence[str], values: ArrayLike) -> Floats:
    """Return the standard normals of parameter values: the inverse of :func:`from_normal`.

    Parameters
    ----------
    names : sequence of str
        Registered names of parameters with a prior.
    values : array, shape (members, names)
        Values that the prior allows.

    Returns
    -------
    ndarray of float, shape (members, names)
        A share of exactly 0 or 1 stands at -8 or 8.

    Raises
    ------
    InputError
        If a name is unknown or has no prior, the shape does not fit, or the prior does not allow a value.
    """
    table = _table(names, values)
    out = np.empty_like(table)
    for k, name in enumerate(names):
        kind, centre, sd = _prior(name)
        x = table[:, k]
        if kind == "normal":
            out[:, k] = (x - centre) / sd
            continue
        allowed = x / centre > 0 if kind == "lognormal" else (x >= 0) & (x <= 1)
        if not allowed.all():
            rule = "of the sign of its point value" if kind == "lognormal" else "0 to 1"
            raise InputError(f"parameter '{name}' is {x[~allowed][0]:g}; its prior is {kind}: use values {rule}")
        if kind == "lognormal":
            out[:, k] = np.log(x / centre) / sd
        else:
            a, b = beta_shape(name, centre, sd)
            below, above = special.betainc(a, b, x), special.betaincc(a, b, x)
            z = np.where(below < above, special.ndtri(below), -special.ndtri(above))
            out[:, k] = np.clip(z, -FARTHEST, FARTHEST)
    return out


__all__ = ["FREE", "beta_shape", "from_normal", "to_normal"]
