"""On which days the people of a pool had relapses."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class RelapseDays:
    """Relapse days of a pool, asked by patient and day."""

    SPAN = 1 << 20

    def __init__(self, patient: NDArray[Any], day: NDArray[Any], n: int, first_attack: NDArray[Any]) -> None:
        """``first_attack``: who fell ill with one, on day 0; it is no event of the kernel, but counts as a relapse."""
        keys = np.concatenate([first_attack * self.SPAN, patient.astype(np.int64) * self.SPAN + day])
        self.key = np.sort(keys)
        self.day = self.key % self.SPAN
        self.base = np.arange(n, dtype=np.int64) * self.SPAN

    def _until(self, day: NDArray[Any]) -> NDArray[np.int64]:
        return np.asarray(
            np.searchsorted(self.key, self.base + np.clip(day, -1, self.SPAN - 1), side="right"), np.int64
        )

    def last_until(self, day: NDArray[Any]) -> NDArray[np.int64]:
        """Day of the last relapse up to and with ``day``, -1 if there was none."""
        at = self._until(day)
        has = at > self._until(np.full(len(self.base), -1))
        out = np.full(len(self.base), -1)
        out[has] = self.day[at[has] - 1]
        return out

    def first_after(self, day: NDArray[Any]) -> NDArray[np.int64]:
        """Day of the first relapse after ``day``, -1 if there was none."""
        at = self._until(day)
        has = at < self._until(np.full(len(self.base), self.SPAN - 1))
        out = np.full(len(self.base), -1)
        out[has] = self.day[at[has]]
        return out

    def between(self, after: NDArray[Any], until: NDArray[Any]) -> NDArray[np.int64]:
        """Relapses after ``after`` and up to ``until``."""
        return np.asarray(self._until(until) - self._until(after), np.int64)
