"""Which people fill which places of a trial.

A *pool* holds people of one course of one population. A randomised trial of one course has one pool; a mixed population
has one a course, and the arms of an observational study may have their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stemtrial.trial.population import Population
from stemtrial.trial.protocol import Protocol

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Pool:
    """People of one course of one population.

    Attributes
    ----------
    population : Population
        Who is recruited.
    course : str
        Which of its courses.
    where : str
        Path of the population in the protocol.
    name : str
        For a report: the course, and the first arm of it where the population is not the protocol's.
    """

    population: Population
    course: str
    where: str
    name: str


@dataclass(frozen=True)
class Places:
    """Places of one trial, before anybody enters.

    Attributes
    ----------
    pools : tuple of Pool
        Whom they are filled from.
    pool : ndarray of int64, shape (places,)
        Pool of each place.
    arm : ndarray of int64, shape (places,), optional
        Arm of each place, where nobody is randomised.
    """

    pools: tuple[Pool, ...]
    pool: Ints
    arm: Ints | None

    def __len__(self) -> int:
        return len(self.pool)


def places_of(protocol: Protocol) -> Places:
    """Return the places of a trial: of each course its fixed number, in a randomised trial over all arms together."""
    arms = list(protocol.arms.values())
    own = protocol.design == "observational"
    groups = [(protocol.population_of(name), arm.n) for name, arm in protocol.arms.items()] if own else []
    groups = groups or [(protocol.population, sum(a.n for a in arms))]
    pools: list[Pool] = []
    pool: list[int] = []
    for k, (population, n) in enumerate(groups):
        only = population != protocol.population
        for course, places in quotas(population.shares, n).items():
            if places == 0:
                continue
            at = next((i for i, p in enumerate(pools) if (p.population, p.course) == (population, course)), len(pools))
            if at == len(pools):
                name = list(protocol.arms)[k]
                where = f"arms.{name}.population" if only else "population"
                pools.append(Pool(population, course, where, f"{course}, {name}" if only else course))
            pool += [at] * places
    arm = np.repeat(np.arange(len(arms)), [a.n for a in arms]) if own else None
    return Places(tuple(pools), np.array(pool, np.int64), arm)


def quotas(shares: Mapping[str, float], n: int) -> dict[str, int]:
    """Whole numbers that sum to ``n`` in given shares, by largest remainder; of equal remainders the first name's.

    Parameters
    ----------
    shares : mapping of str to float
        Of any sum.
    n : int
        0 or more.
    """
    exact = {k: n * v / sum(shares.values()) for k, v in shares.items()}
    out = {k: int(v) for k, v in exact.items()}
    for k in sorted(out, key=lambda k: (round(out[k] - exact[k], 9), k))[: n - sum(out.values())]:
        out[k] += 1
    return out
