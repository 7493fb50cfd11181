"""Recruiting: people live from onset, are found and screened on rated values, and enter with the state they have.

How they are found and screened is the :class:`stemtrial.cohort.clinic.Clinic` of their disease; here are the batches,
which are kept, and what becomes of them.
"""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.cohort.als.screening import CLINIC as ALS
from stemtrial.cohort.clinic import RUN_IN_SEED, Care, Clinic
from stemtrial.cohort.eligibility import Eligibility
from stemtrial.cohort.ms.screening import CLINIC as MS
from stemtrial.cohort.resemble import effective
from stemtrial.errors import InputError, did_you_mean
from stemtrial.kernel import Kernel
from stemtrial.parameters import Draws
from stemtrial.store import cached, content_hash, package_hash

Floats = NDArray[np.float64]
BATCH = 20_000
"""People of the largest batches."""
FIRST = 512
"""People of the first batch; each later one is half as large as all before it together, so that little is too much."""
LANES = 64
"""Batches grow in steps of so many people, which the kernel takes together."""
MAX_POOL = 400_000
APART = 2**19
"""People between the first of one draw and of the next: draws have people of their own, so that what a pool adds by
chance averages out over them."""
HELD_BYTES = 200_000_000
"""What :class:`Held` remembers at the most."""
HOPELESS = 200_000
"""People after whom nobody else is looked at, if none of them could be recruited."""
CLINICS: Mapping[str, Clinic] = {c.disease: c for c in (MS, ALS)}
"""Clinics by the name of their disease."""


def clinic_of(disease: str) -> Clinic:
    """Look the clinic of a disease up.

    Raises
    ------
    InputError
        If there is none.
    """
    if disease not in CLINICS:
        raise InputError(f"disease '{disease}' cannot be recruited{did_you_mean(disease, CLINICS)}")
    return CLINICS[disease]


@dataclass(frozen=True)
class Recruits:
    """People who passed screening, as they enter.

    Attributes
    ----------
    index : ndarray of int64
        Identity in the pool, ascending. A life is looked at several times (``Clinic.times``), and each look may give
        a recruit of its own, with the state and the rating of another day: look ``index % times`` of the person
        ``index // times``.
    constants : dict of ndarray
        With the clock starting at entry.
    state : dict of ndarray
        By state name.
    screening : dict of ndarray
        What screening saw, and ``entry_year``.
    rater_h : ndarray, shape (recruits, processes)
        Autocorrelated rating errors at screening.
    funnel : list of (step, number)
        From the pool down to the recruits, counting each time that a person is looked at; of several pools one after
        the other, each step named after its pool.
    screened : int
        Number at the top: people in the pools, as often as each is looked at.
    pool : ndarray of int64, shape (recruits,), optional
        Which pool each is from; one pool when left out.
    weight : ndarray, shape (recruits,), optional
        Chance of being drawn among those of the pool, in any unit; the same for all when left out.
    warning : str, optional
        What is wrong with their number.
    """

    index: NDArray[np.int64]
    constants: dict[str, Floats]
    state: dict[str, Floats]
    screening: dict[str, Floats]
    rater_h: Floats
    funnel: list[tuple[str, int]]
    screened: int = 0
    pool: NDArray[np.int64] | None = None
    weight: Floats | None = None
    warning: str | None = None

    def __len__(self) -> int:
        return len(self.index)

    @property
    def effective(self) -> float:
        """Effective number of distinct recruits that their weights leave, pools added up."""
        if self.weight is None:
            return float(len(self))
        pool = np.zeros(len(self), np.int64) if self.pool is None else self.pool
        return sum(effective(self.weight[pool == k]) for k in np.unique(pool))


class Held:
    """Batches in memory: those asked for last, as far as they fit; pools and trials that share people find them there.

    Parameters
    ----------
    most : int
        Bytes of all together.
    """

    def __init__(self, most: int = HELD_BYTES) -> None:
        self._most, self._bytes, self._lock = most, 0, threading.Lock()
        self._batches: OrderedDict[str, dict[str, NDArray[Any]]] = OrderedDict()

    def get(self, key: str, compute: Callable[[], dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
        """Return the batch of a key, computing it if it is not here; two threads at once may both compute it."""
        with self._lock:
            if key in self._batches:
                self._batches.move_to_end(key)
                return self._batches[key]
        found = compute()
        with self._lock:
            if key not in self._batches:
                self._batches[key] = found
                self._bytes += _size(found)
            while self._bytes > self._most:
                self._bytes -= _size(self._batches.popitem(last=False)[1])
        return found


def _size(batch: Mapping[str, NDArray[Any]]) -> int:
    return sum(x.nbytes for x in batch.values())


def join(parts: Mapping[str, Recruits]) -> Recruits:
    """Recruits of several pools, by the name of the pool, as one."""
    each = list(parts.values())

    def together(field: str) -> dict[str, Floats]:
        return {k: np.concatenate([getattr(r, field)[k] for r in each]) for k in getattr(each[0], field)}

    weight = [np.ones(len(r)) if r.weight is None else r.weight for r in each]
    return Recruits(
        np.concatenate([r.index for r in each]), together("constants"), together("state"), together("screening"),
        np.concatenate([r.rater_h for r in each]),
        [(f"{name}: {step}", n) for name, r in parts.items() for step, n in r.funnel],
        sum(r.screened for r in each),
        np.repeat(np.arange(len(each)), [len(r) for r in each]),
        None if all(r.weight is None for r in each) else np.concatenate(weight),
        next((r.warning for r in each if r.warning), None),
    )  # fmt: skip


def recruit(
    kernel: Kernel, draws: Draws, draw: int, care: Care, rules: Eligibility, wanted: int, *,
    threads: int = 1, progress: Callable[[str, float], None] | None = None, max_pool: int = MAX_POOL, keep: bool = True,
    held: Held | None = None,
) -> Recruits:  # fmt: skip
    """Find at least ``wanted`` distinct recruits, or as many as ``max_pool`` people yield.

    People come in batches whose sizes are the same for all: who wants more gets the recruits of who wants fewer first.

    Parameters
    ----------
    kernel : Kernel
        With the families of the care of the disease.
    draws, draw
        Parameters, and which draw of them.
    care : Care
        Care policy and period.
    rules : Eligibility
        Criteria of the protocol.
    wanted : int
        Distinct recruits to stop at; the batch that reaches them is finished.
    threads : int
        Threads of the kernel; the result does not depend on it.
    progress : callable, optional
        Gets a stage and a fraction.
    max_pool : int
        People to screen at most.
    keep : bool
        Whether batches are read from the disk and stored there; without, nothing is left behind by many draws.
    held : Held, optional
        Batches in memory, of earlier calls too; they change no bit.

    Raises
    ------
    InputError
        If the course is unknown, or nobody in the pool is eligible: the message holds the funnel.
    """
    clinic = clinic_of(care.disease)
    if care.course not in clinic.courses:
        raise InputError(f"course '{care.course}' cannot be recruited{did_you_mean(care.course, clinic.courses)}")
    identity = {
        "kernel": kernel.identity,
        "draw": draws.one(draw).identity,
        "care": [care.course, care.before_entry, list(care.entry_years), care.era],
        "rules": [r.text for r in rules.rules],
        "code": package_hash("cohort", "observe", "therapy"),
    }
    held = held or Held()
    parts: list[dict[str, NDArray[Any]]] = []
    found = 0
    offset = draw % len(draws) % (2**32 // APART) * APART
    for first, size in _batches(max_pool):  # each is kept, so that who wants more goes on where another stopped
        if progress is not None:
            progress("recruiting", min(1.0, found / wanted))
        people = np.arange(offset + first, offset + first + size, dtype=np.uint64)
        batch = functools.partial(clinic.batch, kernel, draws[draw], care, rules, people, threads)
        mine = identity | {"first": offset + first, "people": size}
        part = held.get(content_hash(mine), functools.partial(_stored, mine, batch) if keep else batch)
        parts.append(part)
        found += len(part["index"])
        if found >= wanted or (first + size >= HOPELESS and found == 0):
            break
    arrays = {k: np.concatenate([p[k] for p in parts]) for k in parts[0] if k != "funnel"}
    arrays["funnel"] = np.sum([p["funnel"] for p in parts], axis=0)
    funnel = list(zip(clinic.steps(draws[draw], care, rules), (int(x) for x in arrays["funnel"]), strict=True))
    if len(arrays["index"]) == 0:
        told = "; ".join(f"{n} {step}" for step, n in funnel)
        raise InputError(f"nobody is eligible: {told}; widen the rule at which the numbers fall to 0")

    def group(prefix: str) -> dict[str, Floats]:
        return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}

    return Recruits(arrays["index"], group("c:"), group("s:"), group("x:"), arrays["rater_h"], funnel, funnel[0][1])


def _stored(identity: Mapping[str, Any], batch: Callable[[], dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    return cached("recruits", identity, batch)[0]


def _batches(people: int) -> Iterator[tuple[int, int]]:
    """Yield the first person and the size of each batch."""
    first = 0
    while first < people:
        size = min(max(FIRST, LANES * (first // 2 // LANES)), BATCH, people - first)
        yield first, size
        first += size


def wanted_recruits(n: int, over: int = 1) -> int:
    """Distinct recruits to look for.

    25 for each of ``n`` places, so that the pool adds little error of its own; fewer where that would be more than
    5,000, and never fewer than 10, which add a tenth to the variance of an estimate.

    Parameters
    ----------
    n : int
        Places.
    over : int
        Draws of the parameters over which they are spread, each with recruits of its own: what a small pool adds
        differs from draw to draw and averages out over them. No draw has fewer than one a place, or 250.
    """
    if over < 1:
        raise InputError(f"recruits are spread over {over} draws; use 1 or more")
    wanted = max(min(25 * n, 5000), 10 * n)
    return max(-(-wanted // over), min(n, 250))


__all__ = [
    "BATCH", "CLINICS", "MAX_POOL", "RUN_IN_SEED", "Care", "Clinic", "Held", "Recruits", "clinic_of", "join", "recruit",
    "wanted_recruits",
]  # fmt: skip
