"""What a family of therapies tells the rest: how it composes onto a disease, and how its therapies are ordered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.errors import InputError
from stemtrial.kernel import MAX_AMOUNTS, Model

AMOUNTS = MAX_AMOUNTS
"""Amounts that a dose may carry."""

SEVERE = 3
"""CTCAE grade from which on an adverse event is severe."""

GONE = 1e-30
"""Far below any meaning of a state that decays: from there on 0, since the smallest floating-point numbers are slow."""

Floats = NDArray[np.float64]
Settings = Mapping[str, Any]
Facts = Mapping[str, NDArray[Any]]
Numbers = Mapping[str, float]


@dataclass(frozen=True)
class Order:
    """One dose for a group of patients.

    Attributes
    ----------
    day : int
        Days from the day on which the therapy's entry is due; negative for what comes before it.
    dose : str
        Name of the kernel's dose event.
    amounts : ndarray, shape (patients, AMOUNTS), optional
        What the dose carries; None: nothing.
    """

    day: int
    dose: str
    amounts: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Harm:
    """How an adverse event is recorded: its term, CTCAE grade, and whether it is serious."""

    term: str
    grade: int
    serious: bool

    @property
    def discretionary(self) -> bool:
        """Whether it depends on the trial if it is recorded: grade 1 or 2 and not serious.

        What is severe or serious comes to light in every trial.
        """
        return self.grade < SEVERE and not self.serious


def recorded(probability: float | Floats, harm: Harm, recording: float | Floats) -> float | Floats:
    """Probability that an event happens and is recorded.

    Parameters
    ----------
    probability : float or ndarray
        That at a trial that records as most do.
    harm : Harm
        The event; what is not :attr:`Harm.discretionary` is always recorded.
    recording : float or ndarray
        Shift of the logit in the patient's trial (:attr:`Given.recording`); 0 leaves the probability as it is.
    """
    if not harm.discretionary or not np.any(recording):
        return probability
    odds = np.exp(recording)
    return np.where(np.equal(recording, 0.0), probability, probability * odds / (1.0 + probability * (odds - 1.0)))


def recording_speed(harm: Harm, recording: float | Floats) -> float | Floats:
    """Factor on the rate of events that come again and again: the odds of :func:`recorded` in a short time."""
    return np.exp(recording) if harm.discretionary else 1.0


@dataclass(frozen=True)
class Failure:
    """A therapy that cannot be given to some: they stay on what they take, and the event is recorded.

    Attributes
    ----------
    probability : str
        Parameter that holds the probability.
    stream : str
        Named stream of the uniform number that decides; it fails if that number is below the probability.
    harm : Harm
        What is recorded, on the day on which the therapy's entry is due.
    times : callable, optional
        ``(therapy, settings)`` -> factor on that probability, where it depends on what is ordered; 0 where nothing can
        fail. :func:`stemtrial.therapy.prescribe.failure_of` asks it.
    factor : float
        What it said.
    """

    probability: str
    stream: str
    harm: Harm
    times: Callable[[str, Settings], float] | None = None
    factor: float = 1.0

    def chance(self, parameters: Numbers) -> float:
        """Probability that it cannot be given, under one draw."""
        return min(1.0, parameters[self.probability] * self.factor)


class FieldError(InputError):
    """A field of a regimen entry that cannot be: its rule, value and fix, and which field it is."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class Given:
    """One therapy as given to a group of patients: what its harm depends on.

    Attributes
    ----------
    patient : ndarray of uint64, shape (rows,)
        Identity of the patient's random numbers.
    therapy : str
        Name of the catalogue.
    settings : mapping
        Fields of the regimen entry, defaults filled in.
    start, stop : ndarray of int64, shape (rows,)
        First day (of a graft or infusion: the day on which it is given), and the day on which it is stopped or
        follow-up ends.
    facts : mapping of str to ndarray, shape (rows,)
        As :func:`stemtrial.therapy.prescribe` gets them.
    recording : float or ndarray, shape (rows,)
        How readily the patient's trial records what is not severe: shift of the logit of its probability.
    """

    patient: NDArray[np.uint64]
    therapy: str
    settings: Settings
    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    facts: Facts
    recording: float | Floats = 0.0


@dataclass(frozen=True)
class HarmEvents:
    """Adverse events of one kind: which rows of what was given, on which day of the patient's clock, and what."""

    row: NDArray[np.int64]
    day: NDArray[np.int64]
    harm: Harm


Prescriber = Callable[[str, Settings, Facts, Numbers], list[Order]]
Composer = Callable[[Model], None]
HarmDrawer = Callable[[int, Given, Numbers], list[HarmEvents]]


@dataclass(frozen=True)
class Family:
    """One family of therapies.

    Attributes
    ----------
    name : str
        Owner of its states, doses and parameters.
    on : mapping of str to callable
        Composes it onto a disease, by the name of the disease; it acts on no other.
    therapies : tuple of str
        Therapies of the catalogue that it models.
    prescribe : callable
        ``(therapy, settings, facts, parameters)`` -> orders.
    stop : str, optional
        Dose that ends all that is taken of this family; None where nothing can be taken back.
    lasting : bool
        Whether who takes it before a trial goes on; a trial ends then what it gave itself, and nothing else.
    failure : Failure, optional
        Who cannot be given it.
    harms : mapping of str to Harm
        Events that the kernel logs as harm of this family, by event kind.
    exclusive : bool
        Whether a patient can have only one of its therapies at a time.
    repeatable : bool
        Whether a regimen may name one of its therapies more than once (cells by two routes, courses of two products).
    check : callable, optional
        ``(therapy, settings)``: raises :class:`FieldError` for a product that cannot be.
    wait : callable, optional
        ``(therapy, settings)`` -> days from the day of the entry until it can be given (cells made to order).
    adverse_events : callable, optional
        ``(seed, given, parameters)`` -> adverse events drawn beside the kernel, which feed back on nothing, each from
        a named stream of its own by patient, therapy, event and day.
    hypothesis : mapping of str to str
        By disease, the parameter that holds the weight of the optimistic hypothesis of its action, drawn once a trial.
    effects : mapping of str to tuple of str
        By disease, effects of a trial that its prescriber gets as facts (``trial.effect_sd.<disease>.<name>``), drawn
        only where it may be given.
    shares : tuple of str
        Owners of numbers that it shares with other families (products and procedures, a living graft): with its own
        they are all that it acts by.
    """

    name: str
    on: Mapping[str, Composer]
    therapies: tuple[str, ...]
    prescribe: Prescriber
    stop: str | None = None
    lasting: bool = False
    failure: Failure | None = None
    harms: Mapping[str, Harm] = field(default_factory=dict)
    exclusive: bool = False
    repeatable: bool = False
    check: Callable[[str, Settings], None] | None = None
    wait: Callable[[str, Settings], int] | None = None
    adverse_events: HarmDrawer | None = None
    hypothesis: Mapping[str, str] = field(default_factory=dict)
    effects: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    shares: tuple[str, ...] = ()

    @property
    def owners(self) -> tuple[str, ...]:
        """What the names of its parameters begin with, those that it shares among them."""
        return tuple(f"{owner}." for owner in (self.name, *self.shares))


def amounts(n: int, *columns: Any) -> NDArray[np.float64]:
    """Amounts of a dose for ``n`` patients from up to ``AMOUNTS`` numbers or arrays; the rest is 0."""
    out = np.zeros((n, AMOUNTS))
    for k, column in enumerate(columns):
        out[:, k] = column
    return out


def stop_offset(settings: Settings) -> int | None:
    """Days from the start of an entry to its ``stop_day``; None if it goes on."""
    stop = settings.get("stop_day")
    return None if stop is None else int(stop) - int(settings.get("day", 0))
