"""On which days the people of a pool had relapses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
SPAN = 1 << 20
"""More days than anybody lives: ``person * SPAN + day`` orders by person, then by day."""


class RelapseDays:
    """Relapse days of a pool, asked by person and day; a person may be asked for several times.

    Parameters
    ----------
    person, day : ndarray of int64, shape (relapses,)
        Whose (0 or more), and when.
    first_attack : ndarray of int64
        Who fell ill with one, on day 0; it is no event of the kernel, but counts as a relapse.
    """

    def __init__(self, person: Ints, day: Ints, first_attack: Ints) -> None:
        self.key = np.sort(np.concatenate([first_attack * SPAN, person * SPAN + day]))
        self.day = np.r_[self.key % SPAN, -1]
        self.who = np.r_[self.key // SPAN, -1]

    def _until(self, person: Ints, day: Ints) -> Ints:
        return np.asarray(np.searchsorted(self.key, person * SPAN + np.maximum(day, -1), side="right"), np.int64)

    def last_until(self, person: Ints, day: Ints) -> Ints:
        """Day of the last relapse up to and with ``day``, -1 if there was none."""
        at = self._until(person, day) - 1
        return np.where(self.who[at] == person, self.day[at], -1)

    def first_after(self, person: Ints, day: Ints) -> Ints:
        """Day of the first relapse after ``day``, -1 if there was none."""
        at = self._until(person, day)
        return np.where(self.who[at] == person, self.day[at], -1)

    def between(self, person: Ints, after: Ints, until: Ints) -> Ints:
        """Relapses after ``after`` and up to ``until``."""
        return self._until(person, until) - self._until(person, after)
