"""What recruiting has to know of a disease: its courses, the care before a trial, and how its people are screened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.cohort.eligibility import Eligibility, Rule
from stemtrial.kernel import Kernel, Schedule, derive_seed
from stemtrial.therapy.family import amounts
from stemtrial.therapy.prescribe import prescribe

Arrays = dict[str, NDArray[Any]]
RUN_IN_SEED = derive_seed(0, "run-in")
"""The pool is one for all seeds, so that it is simulated once; the trial draws from it under its own seed."""


@dataclass(frozen=True)
class Care:
    """How people are treated and found before a trial.

    Attributes
    ----------
    disease : str
        Of :data:`stemtrial.disease.DISEASES`.
    course : str
        One of its courses.
    before_entry : str
        One of its policies: ``none``; of MS ``platform_drugs``, interferon for two years before screening; of ALS
        ``riluzole``, which a share of people takes from the diagnosis on and goes on taking.
    entry_years : (float, float)
        Calendar years between which people are screened.
    era : float or None
        Activity of the period; None: by year of screening.
    """

    disease: str
    course: str
    before_entry: str
    entry_years: tuple[float, float]
    era: float | None = None


Batch = Callable[[Kernel, Mapping[str, float], Care, Eligibility, NDArray[np.uint64], int], Arrays]


@dataclass(frozen=True)
class Clinic:
    """How people with one disease are found, examined and let in.

    Attributes
    ----------
    disease : str
        Its name.
    courses : mapping of str to str
        Courses that a protocol may name, and what the people of each are called in a report.
    policies : tuple of str
        Ways of care before entry.
    care : tuple of str
        Therapies that people may have before entry or, whatever a protocol says, along the way.
    history : frozenset of str
        What screening knows without examining anybody; the other variables of the disease are examined.
    screened : tuple of str
        Screening variables that the table of patients keeps.
    steps : callable
        ``(parameters, care, rules)`` -> names of the steps of the funnel, the pool of people first.
    times : callable
        ``(parameters, care)`` -> how often each of the people is looked at, and may be recruited.
    batch : callable
        ``(kernel, parameters, care, rules, index, threads)`` -> :func:`packed` of those among some people (their
        identities in the pool) who pass.
    """

    disease: str
    courses: Mapping[str, str]
    policies: tuple[str, ...]
    care: tuple[str, ...]
    history: frozenset[str]
    screened: tuple[str, ...]
    steps: Callable[[Mapping[str, float], Care, Eligibility], list[str]]
    times: Callable[[Mapping[str, float], Care], int]
    batch: Batch

    def apart(self, rules: Eligibility) -> tuple[list[Rule], list[Rule]]:
        """Rules on history, which need no examination, and the others."""
        known, others = ([r for r in rules.rules if (r.variables <= self.history) is k] for k in (True, False))
        return known, others


class Funnel:
    """Who of a batch is left after each step: people, or each of the times at which they are looked at.

    Parameters
    ----------
    n : int
        How many are at its top.
    """

    def __init__(self, n: int) -> None:
        self.left = np.ones(n, bool)
        self.counts = [n]

    def keep(self, passed: NDArray[np.bool_]) -> None:
        """Let those go on who pass one more step."""
        self.left &= passed
        self.counts.append(int(self.left.sum()))

    def passing(self, rules: Iterable[Rule], columns: Mapping[str, NDArray[Any]]) -> None:
        """Let those go on who meet some rules, a step each."""
        for rule in rules:
            self.keep(rule.evaluate(columns))

    def narrow(self) -> NDArray[np.int64]:
        """Rows left; from now on, the funnel has a row for each of them."""
        rows = np.flatnonzero(self.left)
        self.left = np.ones(len(rows), bool)
        return rows


def passed(rules: Iterable[Rule]) -> list[str]:
    """Names of the steps of :meth:`Funnel.passing`."""
    return [f"pass {r.text}" for r in rules]


def taken(
    kernel: Kernel, therapy: str, who: NDArray[np.int64], day: NDArray[np.int64], p: Mapping[str, float]
) -> Schedule:
    """Doses of those people who take a therapy before entry, each from a day on.

    Parameters
    ----------
    kernel : Kernel
        Composed with it.
    therapy : str
        Name of the catalogue; its settings are the defaults.
    who, day : ndarray of int64, shape (takers,)
        Rows in the population, and first days.
    p : mapping
        Parameters by registered name.
    """
    n = len(who)
    parts = [
        Schedule(
            who, day + order.day, np.full(n, kernel.dose(order.dose)),
            amounts(n) if order.amounts is None else order.amounts,
        )
        for order in prescribe(therapy, {"day": 0}, {"day": np.zeros(n, np.int64)}, parameters=p)
    ]  # fmt: skip
    return Schedule.join(parts)


def packed(
    funnel: Funnel, index: NDArray[Any], constants: Mapping[str, NDArray[Any]], state: Mapping[str, NDArray[Any]],
    screening: Mapping[str, NDArray[Any]], rater_h: NDArray[np.float64],
) -> Arrays:  # fmt: skip
    """Return the people whom a funnel leaves as the flat arrays that the store keeps.

    Parameters
    ----------
    funnel : Funnel
        With a row for each of the people given.
    index : ndarray of int64 or uint64, shape (people,)
        Identities in the pool: of person i at its k-th look, ``i * times + k``.
    constants, state, screening : mapping of str to ndarray, shape (people,)
        Constants with the clock starting at entry, state by name, and what screening saw; text is left out.
    rater_h : ndarray, shape (people, processes)
        Autocorrelated rating errors at screening.
    """
    left = funnel.left
    out: Arrays = {"index": index[left].astype(np.int64), "funnel": np.array(funnel.counts)}
    out |= {f"c:{k}": v[left] for k, v in constants.items()}
    out |= {f"s:{k}": v[left] for k, v in state.items()}
    out |= {f"x:{k}": v[left].astype(float) for k, v in screening.items() if v.dtype.kind not in "US"}
    return out | {"rater_h": rater_h[left]}
