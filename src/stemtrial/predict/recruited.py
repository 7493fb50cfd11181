"""Recruits of a run over many draws: found where a chunk needs them, let go after its last one, told from chunks."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.cohort.recruit import Recruits

Arrays = dict[str, NDArray[Any]]


class Recruiting:
    """Recruits of each draw while its chunks need them: as many draws are in memory as are computed at a time.

    Parameters
    ----------
    find : callable
        ``(draw, alone)`` -> Recruits; ``alone`` while nothing else is computed.
    chunks : Counter
        How many chunks each draw has.
    """

    def __init__(self, find: Callable[[int, bool], Recruits], chunks: Counter[int]) -> None:
        self._find, self._left = find, chunks
        self._held: dict[int, Recruits] = {}
        self._own = {k: threading.Lock() for k in chunks}
        self._all = threading.Lock()

    def first(self) -> None:
        """Recruit for the first draw on all threads, before anything is written: a rule that nobody meets shows."""
        self._held[0] = self._find(0, True)

    def of(self, draw: int) -> Recruits:
        """Return the recruits of a draw, looking for them if nobody has."""
        with self._own[draw]:
            if draw not in self._held:
                self._held[draw] = self._find(draw, False)
            return self._held[draw]

    def done(self, draw: int) -> None:
        """Say that a chunk of a draw is finished; after the last one its recruits are let go."""
        with self._all:
            self._left[draw] -= 1
            if not self._left[draw]:
                self._held.pop(draw, None)


def told_of(people: Recruits) -> Arrays:
    """What a chunk keeps of the recruits of its draw."""
    return {
        "recruits.distinct": np.array([len(people)]),
        "recruits.screened": np.array([people.screened]),
        "recruits.warning": np.array([people.warning or ""]),
        "recruits.step": np.array([step for step, _ in people.funnel]),
        "recruits.people": np.array([n for _, n in people.funnel]),
    }


def funnel_of(part: Arrays) -> list[tuple[str, int]]:
    """Steps of recruiting and how many people were left, from a chunk."""
    return list(zip(part["recruits.step"].tolist(), part["recruits.people"].tolist(), strict=True))


def told_of_all(parts: Sequence[Arrays], plan: Sequence[tuple[int, list[int]]]) -> dict[str, Any]:
    """Recruits of all draws together: distinct ones, everybody screened, the first warning."""
    of_draw = {draw: part for (draw, _), part in zip(plan, parts, strict=True)}
    warnings = [str(p["recruits.warning"][0]) for p in of_draw.values()]
    return {
        "distinct_recruits": sum(int(p["recruits.distinct"][0]) for p in of_draw.values()),
        "screened": sum(int(p["recruits.screened"][0]) for p in of_draw.values()),
        "recruit_warning": next((w for w in warnings if w), None),
    }
