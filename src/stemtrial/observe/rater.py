"""What a rater carries from visit to visit of a patient, whatever scale is rated."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

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
