"""From a protocol to its recruits: every pool by its own policy and rules, weighted to resemble whom it shall."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from stemtrial.cohort.recruit import MAX_POOL, Care, Held, Recruits, clinic_of, join, recruit, wanted_recruits
from stemtrial.cohort.resemble import UnattainableError, resembling
from stemtrial.errors import InputError
from stemtrial.kernel import Kernel
from stemtrial.parameters import Draws
from stemtrial.therapy import FAMILIES, compose, family_of
from stemtrial.trial.entry import days_of
from stemtrial.trial.places import Pool, places_of
from stemtrial.trial.protocol import Protocol

ENOUGH = 10
"""Distinct recruits a place from which on drawing with replacement goes unnoticed."""
ROUNDS = 4
"""How often more people are looked for, when too few of those found are like the published ones."""
Progress = Callable[[str, float], None]


def recruit_for(
    protocol: Protocol, kernel: Kernel, draws: Draws, draw: int = 0, *, threads: int = 1,
    progress: Progress | None = None, max_pool: int = MAX_POOL, over: int = 1, keep: bool = True,
    held: Held | None = None,
) -> Recruits:  # fmt: skip
    """Recruit for all places of a protocol.

    Parameters
    ----------
    protocol : Protocol
        Whom it wants, and how many.
    kernel : Kernel
        With the families of the care of the disease. Others that it has are left out of the run-in, where nobody gets
        them, which changes no bit; so trials of other therapies share their people.
    draws, draw
        Parameters, and which draw of them.
    threads : int
        Threads of the kernel; the result does not depend on it.
    progress : callable, optional
        Gets a stage and a fraction.
    max_pool : int
        People to screen at most, a pool.
    over : int
        Draws over which the distinct recruits are spread (:func:`stemtrial.cohort.recruit.wanted_recruits`).
    keep : bool
        Whether recruits are read from the disk and stored there.
    held : Held, optional
        Batches in memory, of other trials too.

    Returns
    -------
    Recruits
        Pools in the order of :func:`stemtrial.trial.places.places_of`. ``warning`` says if too few are distinct.

    Raises
    ------
    InputError
        If nobody is eligible, or recruits cannot resemble whom they shall.
    """
    places = places_of(protocol)
    found: dict[int, Recruits] = {}
    held = held or Held()
    kernel = _before(protocol.disease, kernel)

    def look(pool: Pool, wanted: int) -> Recruits:
        return recruit(
            kernel, draws, draw, care_of(protocol, pool), pool.population.criteria, wanted,
            threads=threads, progress=progress, max_pool=max_pool, keep=keep, held=held,
        )  # fmt: skip

    for where in dict.fromkeys(p.where for p in places.pools):
        group = [k for k, p in enumerate(places.pools) if p.where == where]
        needed = [int((places.pool == k).sum()) for k in group]
        for k, n, people in zip(
            group, needed, _find([places.pools[k] for k in group], needed, look, over), strict=True
        ):
            told = f"{places.pools[k].name}: " if len(places.pools) > 1 else ""
            found[k] = dataclasses.replace(people, warning=_warning(told, people, -(-ENOUGH * n // over)))
    if len(found) == 1:
        return found[0]
    return join({places.pools[k].name: found[k] for k in sorted(found)})


def _before(disease: str, kernel: Kernel) -> Kernel:
    """The kernel of the run-in: what a kernel has of the disease and of its care, if the rest is of therapies."""
    care = {family_of(name) for name in clinic_of(disease).care}
    alone = compose(disease, care, backend=kernel.backend, width=kernel.width, steps_per_day=kernel.model.steps_per_day)
    more = [s for s in kernel.model.states.values() if s.name not in alone.model.states]
    return alone if more and all(s.owner in FAMILIES for s in more) else kernel


def care_of(protocol: Protocol, pool: Pool | None = None) -> Care:
    """How people of a pool reach this trial; its only pool when left out.

    Raises
    ------
    InputError
        If the trial has several and none is named.
    """
    if pool is None:
        pool, *others = places_of(protocol).pools
        if others:
            names = "; ".join(p.name for p in (pool, *others))
            raise InputError(f"the trial recruits from several pools ({names}); use recruit_for, which asks each")
    length, _, start = days_of(protocol)
    p = pool.population
    return Care(protocol.disease, pool.course, p.care_before_entry, (start, start + length / 365.25), p.era)


def _find(pools: list[Pool], needed: list[int], look: Callable[[Pool, int], Recruits], over: int) -> list[Recruits]:
    """Recruits of the courses of one population; of those to be weighted, more until enough of them count."""
    enough = [wanted_recruits(n, over) for n in needed]
    population, wanted = pools[0].population, list(enough)
    people = [look(p, w) for p, w in zip(pools, wanted, strict=True)]
    if not population.resemble:
        return people
    for more in range(ROUNDS - 1, -1, -1):
        exhausted = [len(r) < w for r, w in zip(people, wanted, strict=True)]
        try:
            people = _weighted(pools, people)
        except UnattainableError as e:
            if more == 0 or all(exhausted):
                raise InputError(f"{pools[0].where}.resemble: {e}") from None
            factors = [4.0] * len(pools)
        else:
            factors = [min(8.0, 1.2 * n / r.effective) for r, n in zip(people, enough, strict=True)]
            factors = [
                1.0 if gone or r.effective >= n else f
                for f, gone, r, n in zip(factors, exhausted, people, enough, strict=True)
            ]
            if more == 0 or max(factors) == 1.0:
                break
        wanted = [int(f * len(r)) if f > 1 else w for f, r, w in zip(factors, people, wanted, strict=True)]
        people = [look(p, w) for p, w in zip(pools, wanted, strict=True)]
    return people


def _weighted(pools: list[Pool], people: list[Recruits]) -> list[Recruits]:
    """Recruits of one population with the weights under which, all courses together, they resemble whom they shall."""
    population = pools[0].population
    targets = {k: (m.mean, m.sd) for k, m in population.resemble.items()}
    group = np.repeat(np.arange(len(people)), [len(r) for r in people])
    columns = {v: np.concatenate([r.screening[v] for r in people]) for v in targets}
    present = sum(population.shares[p.course] for p in pools)
    share = {k: population.shares[p.course] / present for k, p in enumerate(pools)}
    weight = resembling(columns, targets, group, share)
    return [dataclasses.replace(r, weight=weight[group == k]) for k, r in enumerate(people)]


def _warning(told: str, people: Recruits, wanted: int) -> str | None:
    """What is wrong with the number of distinct recruits, or None."""
    if people.effective >= wanted:
        return None
    kind = "distinct virtual recruits were found"
    if people.weight is not None:
        kind = f"of {len(people)} eligible virtual recruits effectively carry the weights of the published baseline"
    return (
        f"{told}only {people.effective:.0f} {kind}, fewer than the {wanted} that let drawing with replacement go "
        "unnoticed; intervals are somewhat too narrow"
    )
