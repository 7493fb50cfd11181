"""The checks that every estimator makes of its arrays: two axes, equal shapes, no NaN in the analysis set."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stemtrial.errors import InputError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


def level(value: float) -> float:
    """Return the confidence level if it lies strictly between 0 and 1."""
    if not 0.0 < value < 1.0:
        raise InputError(f"the confidence level must lie between 0 and 1, not {value}; use 0.95 for 95 %")
    return float(value)


def choice(name: str, value: str, valid: tuple[str, ...]) -> None:
    """Refuse a method that does not exist."""
    if value not in valid:
        raise InputError(f"{name} must be {' or '.join(repr(v) for v in valid)}, not {value!r}")


def matrix(name: str, values: ArrayLike, shape: tuple[int, ...] | None = None) -> NDArray[Any]:
    """Return the values as an array of (replicates, patients); check its shape against the first argument's."""
    x = np.asarray(values)
    if x.ndim != 2:
        raise InputError(
            f"{name} must have two axes (replicates, patients), not {x.ndim}; for one trial pass x[None, :]"
        )
    if shape is not None and x.shape != shape:
        raise InputError(f"{name} has shape {x.shape}, the first argument {shape}; both must be (replicates, patients)")
    return x


def flags(name: str, values: ArrayLike, shape: tuple[int, ...] | None = None) -> Bools:
    """Return true/false (or 0/1) values as booleans."""
    x = matrix(name, values, shape)
    if x.dtype != np.bool_:
        if not np.isin(x, (0, 1)).all():
            raise InputError(f"{name} must be true or false (0 or 1) for every patient, in the analysis set or not")
        x = x.astype(np.bool_)
    return x


def analysis_set(include: ArrayLike | None, shape: tuple[int, ...]) -> Bools:
    """Return the mask of the analysis set; everybody when none is given."""
    return np.ones(shape, np.bool_) if include is None else flags("include", include, shape)


def numbers(name: str, values: ArrayLike, include: Bools, signed: bool = True) -> Floats:
    """Return values as floats, finite (and not negative unless ``signed``) in the analysis set, 0 outside of it."""
    x = matrix(name, values, include.shape)
    if not (np.issubdtype(x.dtype, np.number) or x.dtype == np.bool_) or np.iscomplexobj(x):
        raise InputError(f"{name} must hold real numbers, not {x.dtype}")
    x = np.where(include, x, 0).astype(np.float64)
    if not np.isfinite(x).all():
        bad = int((~np.isfinite(x)).sum())
        raise InputError(f"{name} holds {bad} NaN or infinite values in the analysis set; set include to False there")
    if not signed and (x < 0).any():
        raise InputError(f"{name} must not be negative; found {x.min():g}")
    return x


def divide(a: Any, b: Any) -> Floats:
    """Return a / b, NaN where b is 0."""
    a, b = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(b, np.float64))
    out: Floats = np.full(a.shape, np.nan)
    np.divide(a, b, out=out, where=b != 0)
    return out
