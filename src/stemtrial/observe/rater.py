"""What a rater carries from visit to visit of a patient, whatever scale is rated."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stemtrial.errors import InputError

NEVER = np.iinfo(np.int64).min
"""``last_day`` of a patient not rated before."""


class RaterState(NamedTuple):
    """Autocorrelated errors carried between the visits of a patient.

    Attributes
    ----------
    h : ndarray, shape (patients, processes)
        Stationary N(0, 1) processes; the rater of each scale says what they are.
    last_day : ndarray of int64, shape (patients,)
        Day of the last rating, :data:`NEVER` before the first.

    """

    h: NDArray[np.float64]
    last_day: NDArray[np.int64]

    @classmethod
    def fresh(cls, n: int, processes: int) -> RaterState:
        """State of ``n`` patients before their first rating."""
        return cls(np.zeros((n, processes)), np.full(n, NEVER, np.int64))

    def take(self, rows: NDArray[Any]) -> RaterState:
        """State of some patients (a copy)."""
        return RaterState(self.h[rows], self.last_day[rows])

    def put(self, rows: NDArray[Any], new: RaterState) -> None:
        """Write back the state of some patients, in place."""
        self.h[rows] = new.h
        self.last_day[rows] = new.last_day


class Sitting(NamedTuple):
    """What a rating loop needs beside the truth, checked and as arrays of its own, one row a patient.

    Attributes
    ----------
    day : ndarray of int64
        Day of the visit.
    h, last_day : ndarray
        Copies of the state, which the loop moves on.
    bias : ndarray
        What an open rater adds.
    spread : ndarray
        Factor on the SD of what raters err by.
    """

    day: NDArray[np.int64]
    h: NDArray[np.float64]
    last_day: NDArray[np.int64]
    bias: NDArray[np.float64]
    spread: NDArray[np.float64]

    def done(self, bad: int) -> RaterState:
        """Return the state after the loop, which says which row came out of order (-1: none).

        Raises
        ------
        InputError
            If one did.
        """
        if bad >= 0:
            raise InputError(
                f"day {self.day[bad]} of row {bad} lies before its last rating, day {self.last_day[bad]}; "
                "rate visits in order"
            )
        return RaterState(self.h, self.last_day)


def sitting(
    day: ArrayLike, state: RaterState, normals: NDArray[np.float64], shape: tuple[int, int], bias: ArrayLike,
    spread: ArrayLike = 1.0,
) -> Sitting:  # fmt: skip
    """Check what a rating is given beside the truth.

    Parameters
    ----------
    day : array_like of int
        Day of the visit of each row.
    state : RaterState
        Of the rows' patients.
    normals : ndarray, shape (rows, shape[0])
        Standard normals.
    shape : (int, int)
        Normals of a rating, and autocorrelated processes of a patient.
    bias : array_like of float
        What an open rater adds; 0 for blinded raters.
    spread : array_like of float
        Factor, 0 or more, on the SD of what raters err by; 1 for raters as the instrument says.

    Raises
    ------
    InputError
        If shapes differ, a bias is not finite, or a spread is negative or not finite.
    """
    n, (drawn, processes) = len(state.last_day), shape
    if normals.shape != (n, drawn):
        raise InputError(f"normals have shape {normals.shape}; a rating of {n} rows needs ({n}, {drawn})")
    if state.h.shape != (n, processes):
        raise InputError(f"h of the state has shape {state.h.shape}; this scale carries ({n}, {processes})")
    lean = np.array(np.broadcast_to(np.asarray(bias, dtype=np.float64), (n,)))
    if not np.isfinite(lean).all():
        raise InputError(f"bias must be finite, not {lean[~np.isfinite(lean)][0]}; give 0 for blinded raters")
    wide = np.array(np.broadcast_to(np.asarray(spread, dtype=np.float64), (n,)))
    if not (np.isfinite(wide) & (wide >= 0.0)).all():
        raise InputError(f"spread must be 0 or more, not {wide[~(wide >= 0.0) | ~np.isfinite(wide)][0]}; give 1")
    days = np.array(np.broadcast_to(np.asarray(day, dtype=np.int64), (n,)))
    return Sitting(days, state.h.copy(), state.last_day.copy(), lean, wide)
