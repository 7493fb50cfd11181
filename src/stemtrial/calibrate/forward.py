"""What an ensemble of parameters predicts for the data of a block: every trial recruited, conducted and estimated anew.

A member is one vector of parameters. Each of its trials is repeated a few times, with fresh patients and fresh effects
of the trial (:mod:`stemtrial.trial.effects`) at the published size, so that differences between the repetitions are
the noise of the published value itself. Recruits are looked for among other people for every member: what a pool of
some hundred people adds by chance then averages out over the ensemble.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from stemtrial.calibrate.data import Datum, on_scale
from stemtrial.evidence import study
from stemtrial.kernel import Kernel, derive_seed
from stemtrial.parameters import Draws
from stemtrial.predict.entered import capped
from stemtrial.predict.estimate import Analysed, Row, estimate, rows_of
from stemtrial.predict.natural_rows import cohort_effects, natural_values
from stemtrial.therapy import compose
from stemtrial.trial.conduct import conduct
from stemtrial.trial.entry import families_of
from stemtrial.trial.protocol import Protocol, load_protocol
from stemtrial.trial.recruiting import recruit_for

Floats = NDArray[np.float64]
REPEATS = 2
"""Repetitions of every trial of a member."""
SPREAD_OVER = 10**6
"""Recruits as few as a draw may have."""
REGISTRY_PEOPLE = 300
"""People whose natural history a registry tells, of each kind and year of onset. Registries have more, but differ from
each other by far more than their numbers explain: counted as so many, none of them outweighs the trials."""
NATURAL = "natural history"
"""What stands in the place of a protocol's name where data are of natural history."""


@dataclass(frozen=True)
class Predicted:
    """What some members predict.

    Attributes
    ----------
    values : ndarray, shape (members, repeats, data)
        On the scale of each datum; NaN where a repetition gave no estimate.
    effects : dict of (trial, effect) to ndarray, shape (members, repeats)
        What was drawn for each trial.
    """

    values: Floats
    effects: dict[tuple[str, str], Floats]


@dataclass(frozen=True)
class _Trial:
    protocol: Protocol
    kernel: Kernel
    rows: list[Row]
    data: list[tuple[int, int, Datum]]
    """Position among the data, row, and datum."""


@cache
def _prepared(name: str) -> tuple[Protocol, Kernel, list[Row]]:
    protocol = capped(load_protocol(name))
    kernel = compose(protocol.disease, families_of(protocol))
    return protocol, kernel, rows_of(protocol, study(str(protocol.reproduces)))


def trials_of(data: Sequence[Datum]) -> list[str]:
    """Names of the protocols that the data ask for, in order."""
    return list(dict.fromkeys(d.protocol for d in data if d.protocol))


def _trial(name: str, data: Sequence[Datum]) -> _Trial:
    protocol, kernel, rows = _prepared(name)
    at = {r.outcome_id: k for k, r in enumerate(rows) if r.outcome_id}
    mine = [(i, at[d.outcome_id], d) for i, d in enumerate(data) if d.protocol == name]
    used = sorted({row for _, row, _ in mine})
    renumber = {row: k for k, row in enumerate(used)}
    return _Trial(protocol, kernel, [rows[k] for k in used], [(i, renumber[row], d) for i, row, d in mine])


def predict_members(
    data: Sequence[Datum], parameters: Draws, members: Sequence[int], seed: int, *, repeats: int = REPEATS,
    told: Callable[[str], None] | None = None,
) -> Predicted:  # fmt: skip
    """Predict the data under some members of an ensemble.

    Parameters
    ----------
    data : sequence of Datum
        What is predicted.
    parameters : Draws
        The ensemble, one draw a member.
    members : sequence of int
        Which of them; the result of a member does not depend on the others.
    seed : int
        Key of all random numbers; a member's are its own.
    repeats : int
        Repetitions of every trial.
    told : callable, optional
        Gets the name of each trial as it begins.
    """
    values = np.full((len(members), repeats, len(data)), np.nan)
    effects: dict[tuple[str, str], Floats] = {}
    for name in trials_of(data):
        if told is not None:
            told(name)
        t, own = _trial(name, data), derive_seed(seed, name)  # trials of a member share no effects
        for m, member in enumerate(members):
            p = parameters[member]
            people = recruit_for(t.protocol, t.kernel, parameters, member, over=SPREAD_OVER, keep=False)
            replicates = range(member * repeats, (member + 1) * repeats)
            done = conduct(t.protocol, people, t.kernel, p, own, replicates=replicates)
            got = estimate(t.rows, Analysed(done.tables, t.protocol))
            for i, row, d in t.data:
                values[m, :, i] = on_scale(d, got[row])
            for effect, drawn in done.effects.items():
                effects.setdefault((name, effect), np.zeros((len(members), repeats)))[m] = drawn
    natural = [(i, d) for i, d in enumerate(data) if not d.protocol]
    if natural:
        if told is not None:
            told(NATURAL)
        names = sorted({d.quantity for _, d in natural})
        for m, member in enumerate(members):
            for k in range(repeats):
                p, own = parameters[member], derive_seed(seed, f"registry {member} {k}")
                shift = cohort_effects(natural[0][1].disease, p, own)
                found = natural_values(natural[0][1].disease, p, own, names, REGISTRY_PEOPLE, effects=shift)
                for i, d in natural:
                    values[m, k, i] = on_scale(d, found[d.quantity])
                for effect, x in shift.items():
                    effects.setdefault((NATURAL, effect), np.zeros((len(members), repeats)))[m, k] = x
    values[~np.isfinite(values)] = np.nan
    return Predicted(values, effects)
