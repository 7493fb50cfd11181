"""Columns of true values, checked once for all instruments."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stemtrial.errors import InputError


def column(name: str, values: ArrayLike, low: float = -np.inf, high: float = np.inf) -> NDArray[np.float64]:
    """Float column; InputError names the first value outside [low, high] (NaN is always outside)."""
    out = np.asarray(values, dtype=np.float64)
    good = (out >= low) & (out <= high) & np.isfinite(out)
    if not good.all():
        span = (
            f"between {low:g} and {high:g}" if np.isfinite(high) else (f">= {low:g}" if np.isfinite(low) else "finite")
        )
        raise InputError(f"{name} must be {span}, not {out[~good].ravel()[0]}")
    return out


def counts(name: str, values: ArrayLike, high: int = 100_000) -> NDArray[np.int64]:
    """Column of whole numbers 0 to ``high``; InputError names the first other value."""
    out = column(name, values, 0.0, float(high))
    whole = out.astype(np.int64)
    if (whole != out).any():
        raise InputError(f"{name} must be a whole number, not {out[whole != out].ravel()[0]}")
    return whole
