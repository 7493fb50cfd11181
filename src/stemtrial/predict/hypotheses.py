"""Competing hypotheses of how a therapy acts: each trial is run under one of them; told apart, and as their mixture.

A therapy whose action is disputed has an optimistic and a sceptical hypothesis. Which one holds is drawn once a trial,
with the weight that a parameter states. The replicates thus are a mixture; sorted by what was drawn they are the
prediction of each hypothesis by itself, from the same run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.parameters import registry
from stemtrial.predict.estimate import Row
from stemtrial.predict.families import therapies_of_arm
from stemtrial.predict.summary import spread
from stemtrial.therapy import FAMILIES, family_of
from stemtrial.trial.protocol import Protocol

Floats = NDArray[np.float64]
Effects = Mapping[str, NDArray[Any]]
Numbers = Mapping[str, float]


def mixed(protocol: Protocol, draw: Numbers, arms: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """Return the families, among what some arms are given (all when left out), whose hypothesis is drawn."""
    given = [t for a in arms or protocol.arms for t in therapies_of_arm(protocol.arms[a])]
    found = dict.fromkeys(family_of(t) for t in given)
    return tuple(
        f for f in found if (w := FAMILIES[f].hypothesis.get(protocol.disease)) is not None and 0 < draw[w] < 1
    )


def weights(protocol: Protocol, draw: Numbers) -> list[dict[str, Any]]:
    """Return the weight of the optimistic hypothesis of each family that a protocol gives, and where it comes from.

    Parameters
    ----------
    protocol : Protocol
        What is done.
    draw : mapping
        One draw of the parameters, or the mean over several, which then is what is told.

    Returns
    -------
    list of dict
        ``family, parameter, weight, source, meaning``.
    """
    out = []
    for family in mixed(protocol, draw):
        name = FAMILIES[family].hypothesis[protocol.disease]
        p = registry()[name]
        out.append(
            {"family": family, "parameter": name, "weight": draw[name], "source": p.source, "meaning": p.meaning}
        )
    return out


def varies(effects: Effects) -> tuple[str, ...]:
    """Return the names of the trial effects that differ between replicates."""
    return tuple(k for k, v in effects.items() if len(v) and bool(np.any(v != v[0])))


def tell_apart(
    estimates: list[dict[str, Any]], rows: list[Row], values: Floats, effects: Effects, protocol: Protocol,
    draw: Numbers,
) -> None:  # fmt: skip
    """Write ``hypotheses`` into every row of ``estimates.json``, in place.

    Parameters
    ----------
    estimates : list of dict
        Rows of ``estimates.json``, in the order of ``rows``.
    rows : list of Row
        What is estimated.
    values : ndarray, shape (rows, replicates)
        One value a replicate.
    effects : mapping of str to ndarray, shape (replicates,)
        ``optimistic.<family>``: 1 where the optimistic hypothesis holds, 0 where the sceptical one does.
    protocol : Protocol
        What is done.
    draw : mapping
        One draw of the parameters, or the mean over several.

    Notes
    -----
    ``hypotheses`` is None where nothing is mixed, else ``optimistic`` and ``sceptical``, each with ``median, pi50,
    pi90, n`` (replicates). With two disputed families in the arms of a row, a replicate counts where both agree.
    """
    for told, row, x in zip(estimates, rows, values, strict=True):
        drawn = [
            effects[f"optimistic.{f}"] > 0.5 for f in mixed(protocol, draw, row.arms) if f"optimistic.{f}" in effects
        ]
        if not drawn:
            told["hypotheses"] = None
            continue
        told["hypotheses"] = {
            "optimistic": _summary(x[np.all(drawn, axis=0)]),
            "sceptical": _summary(x[~np.any(drawn, axis=0)]),
        }


def _summary(x: Floats) -> dict[str, Any]:
    return {**spread(x), "n": len(x)}
