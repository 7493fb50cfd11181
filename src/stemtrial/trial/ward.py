"""Where the patients of the trials of one chunk stand, one row each: what conduct, dosing and decisions share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.kernel import uniforms
from stemtrial.trial.effects import TrialEffects, trial_effects
from stemtrial.trial.entry import NEVER, Entrants, families_of
from stemtrial.trial.protocol import Protocol

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass
class Ward:
    """The patients while their trials run.

    Attributes
    ----------
    protocol : Protocol
        What is done.
    who : Entrants
        What was known of them on the day of entry.
    parameters : mapping
        One draw.
    seed : int
        Key of the trial's random numbers.
    effects : TrialEffects
        What holds for the whole trial of a patient.
    trial : ndarray of int64
        Position of each patient's replicate among those of the chunk.
    now, end : ndarray of int64
        Day reached, and the last day of follow-up as known today.
    active : ndarray of bool
        Whether they are followed.
    crossed : ndarray of bool
        Whether they have crossed over to another arm.
    last : ndarray
        What the disease is told by at a visit (of MS the EDSS, of ALS the ALSFRS-R), as last rated.
    first : ndarray
        The same at entry.
    treated_from : ndarray of int64
        Day of the first therapy that is more than a sham, as planned today; ``NEVER`` without any.
    why : dict of int to str
        Why a row leaves, where a rule says so.
    """

    protocol: Protocol
    who: Entrants
    parameters: Mapping[str, float]
    seed: int
    effects: TrialEffects = field(init=False)
    trial: Ints = field(init=False)
    now: Ints = field(init=False)
    end: Ints = field(init=False)
    active: Bools = field(init=False)
    crossed: Bools = field(init=False)
    last: NDArray[np.float64] = field(init=False)
    first: NDArray[np.float64] = field(init=False)
    treated_from: Ints = field(init=False)
    why: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.end = np.minimum(self.who.closure, self.who.leaves)
        self.now = np.zeros(len(self), np.int64)
        self.active = self.end > 0
        self.crossed = np.zeros(len(self), bool)
        self.last = np.full(len(self), np.nan)
        self.first = self.last.copy()
        self.treated_from = np.full(len(self), NEVER)
        self.arms = tuple(self.protocol.arms)
        self.identity = self.who.identity
        self.arm = self.who.arm
        replicates, self.trial = np.unique(self.who.replicate.astype(np.int64), return_inverse=True)
        families, rater_open = families_of(self.protocol), self.protocol.blinding.rater == "open"
        self.effects = trial_effects(
            self.protocol.disease, families, rater_open, self.seed, replicates, self.parameters
        )

    def __len__(self) -> int:
        return len(self.who.arm)

    def uniform(self, stream: str, rows: Any = slice(None), day: Any = 0) -> NDArray[np.float64]:
        """One number a row from a named stream; the same whenever it is asked for."""
        return uniforms(self.seed, self.identity[rows], day, stream)[..., 0]

    def in_arms(self, names: tuple[str, ...]) -> Bools:
        """Who was randomised to one of some arms."""
        return np.isin(self.arm, [self.arms.index(a) for a in names])
