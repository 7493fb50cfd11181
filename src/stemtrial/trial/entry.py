"""Who enters a trial, in which arm, and what is known of their follow-up on that day."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.cohort.recruit import Recruits, clinic_of
from stemtrial.errors import InputError
from stemtrial.kernel import uniforms
from stemtrial.therapy.prescribe import family_of
from stemtrial.trial.agreement import given
from stemtrial.trial.parts import MONTH_DAYS
from stemtrial.trial.places import Places, places_of
from stemtrial.trial.protocol import Protocol
from stemtrial.trial.rules import HazardRule

Ints = NDArray[np.int64]
NEVER = 1 << 40


def therapies_of(protocol: Protocol) -> tuple[str, ...]:
    """Names of all therapies that a protocol may give."""
    return tuple(dict.fromkeys(name for _, name, _ in given(protocol)))


def families_of(protocol: Protocol) -> tuple[str, ...]:
    """Therapy families that any arm, rule or crossover may give, and those of the care of the disease.

    Raises
    ------
    InputError
        If a therapy of the catalogue has no model yet.
    """
    return tuple(sorted({family_of(name) for name in (*clinic_of(protocol.disease).care, *therapies_of(protocol))}))


def parameters_of(protocol: Protocol, parameters: Mapping[str, float]) -> Mapping[str, float]:
    """Parameters as they hold in this trial: relapses go untreated where the protocol says so."""
    untreated = {"steroids.speed": 0.0} if protocol.relapse_treatment == "none" else {}
    return {**parameters, **untreated}


def days_of(protocol: Protocol) -> tuple[int, int, float]:
    """Length of accrual, day of closure (both from the start of accrual), and the calendar year of that start."""

    def first(month: str) -> datetime.date:
        return datetime.date(int(month[:4]), int(month[5:]), 1)

    def after(month: str) -> datetime.date:
        d = first(month)
        return datetime.date(d.year + d.month // 12, d.month % 12 + 1, 1)

    start = first(protocol.accrual.start)
    length = (after(protocol.accrual.end) - start).days
    return length, (after(protocol.accrual.closure) - start).days - 1, start.year + (start.month - 1) / 12


def planned_days(protocol: Protocol) -> Ints:
    """Nominal day of each scheduled visit."""
    return np.array([round(m * MONTH_DAYS) for m in protocol.visits.months], np.int64)


@dataclass(frozen=True)
class Entrants:
    """One row a patient, replicates after each other, patients of a replicate in the order of entry.

    Attributes
    ----------
    replicate, place : ndarray of uint64
        Which repetition, and the number within it; together the identity of the patient's random numbers.
    arm : ndarray of int64
        Position of the randomised arm in the protocol.
    drawn : ndarray of int64
        Which recruit.
    course : ndarray of str
        Course at entry.
    entry_day : ndarray of int64
        Days from the start of accrual.
    year : ndarray of float
        Calendar year of entry.
    visit_day : ndarray of int64, shape (patients, visits)
        Day of each scheduled visit, window included.
    closure, leaves : ndarray of int64
        Last day that the protocol allows; day of drop-out (``NEVER`` for most, 0 for who is randomised, not analysed).
    """

    replicate: NDArray[np.uint64]
    place: NDArray[np.uint64]
    arm: Ints
    drawn: Ints
    course: NDArray[np.str_]
    entry_day: Ints
    year: NDArray[np.float64]
    visit_day: Ints
    closure: Ints
    leaves: Ints

    @property
    def identity(self) -> NDArray[np.uint64]:
        """``replicate * 2**32 + place``."""
        return np.asarray((self.replicate << np.uint64(32)) | self.place)


def enter(protocol: Protocol, recruits: Recruits, seed: int, replicates: Ints) -> Entrants:
    """Draw the patients of some replicates, randomise them, and plan their follow-up.

    Parameters
    ----------
    protocol : Protocol
        What is to be done.
    recruits : Recruits
        Drawn from with replacement, by their weights where they have some; of each pool as many as it has places.
    seed : int
        Key of the trial's random numbers.
    replicates : ndarray of int64
        Which replicates.
    """
    places = places_of(protocol)
    size = len(places)
    row = np.arange(len(replicates) * size)
    replicate, place = replicates[row // size].astype(np.uint64), (row % size).astype(np.uint64)
    identity = np.asarray((replicate << np.uint64(32)) | place)

    def uniform(stream: str, day: int = 0) -> NDArray[np.float64]:
        return uniforms(seed, identity, day, stream)[:, 0]

    length, closure, year = days_of(protocol)
    drawn = _draw(places, recruits, uniform("trial.recruit").reshape(-1, size))
    date = np.clip((recruits.screening["entry_year"][drawn] - year) * 365.25, 0, length - 1)
    order = np.argsort(date, axis=1, kind="stable")  # people enter by date, which is how blocks are filled
    entry_day = np.take_along_axis(date, order, axis=1).ravel().astype(np.int64)
    drawn = np.take_along_axis(drawn, order, axis=1)
    if places.arm is None:
        arm = _randomise(protocol, uniform("trial.randomisation").reshape(-1, size))
    else:
        arm = places.arm[order].ravel()
    of_pool = places.pool[order].ravel()

    window = protocol.visits.window_days
    visit_day: Ints = np.tile(planned_days(protocol), (len(row), 1)).astype(np.int64)
    for k in range(1, visit_day.shape[1]):
        shift = np.floor((2 * uniform("trial.window", k) - 1) * (window + 0.5) + 0.5)
        visit_day[:, k] += np.clip(shift, -window, window).astype(np.int64)

    leaves = np.full(len(row), NEVER)
    for k, rule in enumerate(r for r in protocol.rules if isinstance(r, HazardRule)):
        if rule.after is None and not rule.per_point:
            day = drop_out_days(rule, uniform("trial.drop_out", k), np.zeros(len(row), np.int64))
            mine = np.isin(arm, [list(protocol.arms).index(a) for a in rule.of(tuple(protocol.arms))])
            leaves = np.where(mine, np.minimum(leaves, day), leaves)
    lottery = uniform("trial.withdrawal")
    for a, name in enumerate(protocol.arms):
        surplus = protocol.arms[name].n - protocol.analysis_set.get(name, protocol.arms[name].n)
        rank = np.argsort(np.argsort(np.where(arm == a, lottery, 2.0).reshape(-1, size), axis=1), axis=1).ravel()
        leaves[rank < surplus] = 0
    last = protocol.follow_up_days + window
    courses = np.array([p.course for p in places.pools])
    return Entrants(
        replicate, place, arm, drawn.ravel(), courses[of_pool], entry_day, year + entry_day / 365.25,
        visit_day, np.maximum(np.minimum(last, closure - entry_day), 0), leaves,
    )  # fmt: skip


def _draw(places: Places, recruits: Recruits, u: NDArray[np.float64]) -> Ints:
    """Recruit of each place, from numbers shaped (replicates, places)."""
    pool = np.zeros(len(recruits), np.int64) if recruits.pool is None else recruits.pool
    if pool.max(initial=0) != len(places.pools) - 1:
        what = f"{int(pool.max(initial=0)) + 1} pools of recruits, the protocol draws from {len(places.pools)}"
        raise InputError(f"{what}; recruit with recruit_for")
    out = np.empty(u.shape, np.int64)
    for k in range(len(places.pools)):
        mine, members = places.pool == k, np.flatnonzero(pool == k)
        if recruits.weight is None:
            at = (u[:, mine] * len(members)).astype(np.int64)
        else:
            upto = np.cumsum(recruits.weight[members])
            at = np.searchsorted(upto, u[:, mine] * upto[-1], side="right")
        out[:, mine] = members[np.minimum(at, len(members) - 1)]
    return out


def drop_out_days(
    rule: HazardRule, u: NDArray[np.float64], since: Ints, worse: NDArray[np.float64] | float = 0.0
) -> Ints:
    """Day of drop-out under one hazard, ``NEVER`` where it does not strike.

    Parameters
    ----------
    rule : HazardRule
        The hazard.
    u : ndarray
        Uniform numbers, one a patient.
    since : ndarray of int64
        Day from which it may act, beside its ``from_month``.
    worse : float or ndarray
        Points by which each patient is worse than at entry.
    """
    wait = -np.log(u) / np.maximum(rule.per_year * np.exp(rule.per_point * worse), 1e-12) * 365.25
    begin = np.maximum(since, round(rule.from_month * MONTH_DAYS))
    day = np.minimum(begin + wait, NEVER).astype(np.int64)
    stop = NEVER if rule.to_month is None else round(rule.to_month * MONTH_DAYS)
    return np.where(day < stop, np.maximum(day, since + 1), NEVER)


def _randomise(protocol: Protocol, u: NDArray[np.float64]) -> Ints:
    """Permuted blocks, the last ones filled so that every arm gets exactly its n."""
    sizes = np.array([a.n for a in protocol.arms.values()])
    if protocol.randomisation is None:
        return np.zeros(u.size, np.int64)
    ratio, blocks = protocol.randomisation.ratio, protocol.randomisation.block_sizes
    pattern = np.repeat(np.arange(len(sizes)), [ratio[a] for a in protocol.arms])
    left = sizes.copy()
    labels: list[NDArray[Any]] = []
    while left.sum():
        length = blocks[len(labels) % len(blocks)]
        want = np.bincount(np.tile(pattern, length // len(pattern)), minlength=len(sizes))
        got = np.minimum(want, left)
        labels.append(np.repeat(np.arange(len(sizes)), got))
        left = left - got
    block = np.repeat(np.arange(len(labels)), [len(b) for b in labels])
    place = np.argsort(block + u, axis=1, kind="stable")  # a permutation within each block
    out = np.empty(u.shape, np.int64)
    np.put_along_axis(out, place, np.broadcast_to(np.concatenate(labels), u.shape), axis=1)
    return out.ravel()


def constants_at_entry(
    protocol: Protocol, recruits: Recruits, entrants: Entrants, parameters: Mapping[str, float]
) -> dict[str, NDArray[np.float64]]:
    """Constants of the patients; how readily relapses without a lesion are reported is a property of the trial."""
    known = {c: v[entrants.drawn] for c, v in recruits.constants.items()}
    if "ascertainment" not in known:
        return known
    told = np.empty(len(entrants.drawn))
    for course in np.unique(entrants.course).tolist():
        told[entrants.course == course] = parameters[f"cohort.ascertainment.{protocol.ascertained(course)}"]
    return known | {"ascertainment": told}
