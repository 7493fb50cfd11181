"""The same trial with no effect at all: what regression to the mean, selection and open rating show without a therapy.

A trial without a comparator shows a change, not an effect. The same recruits live through the same trial a second time,
with the same random numbers, and every number by which its therapies help or harm stands where the effect vanishes
(``no_effect`` of the parameter). What is left is what the design alone produces. The difference between both is exact,
patient by patient. Raters who know what was given still rate with their hope: that bias belongs to the trial, and where
they do, the trial is conducted a third time without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.parameters import registry
from stemtrial.predict.estimate import Row
from stemtrial.predict.families import therapies_of_arm
from stemtrial.predict.summary import number, quantiles, spread
from stemtrial.therapy import FAMILIES, family_of
from stemtrial.trial.protocol import Protocol

Floats = NDArray[np.float64]
NO_EFFECT, UNBIASED = "no_effect", "no_effect_unbiased"
"""Names of the conducts beside the trial itself."""
BIAS = ("trial.rating_bias", "trial.rating_bias_sd")
"""Parameters of the bias of open raters, by disease; 0 means none."""


def effects_of(therapies: tuple[str, ...]) -> dict[str, float]:
    """Return the value at which each effect of some therapies vanishes.

    Parameters
    ----------
    therapies : tuple of str
        Of the catalogue.

    Returns
    -------
    dict of str to float
        Registered name -> ``no_effect``, for every parameter of their families that states one. In a family of several
        therapies those that carry the name of another one are left out: care that others gave before stays what it was.
    """
    families = {family_of(t) for t in therapies}
    others = {o for f in families for o in FAMILIES[f].therapies} - set(therapies)
    owners = tuple(o for f in families for o in FAMILIES[f].owners)
    out = {}
    for name, p in registry().items():
        parts = set(name.split("."))
        mine = name.startswith(owners) and others.isdisjoint(parts)
        harm = name.startswith("harms.") and not parts.isdisjoint(therapies)
        if p.no_effect is not None and (mine or harm):
            out[name] = float(p.no_effect)
    return out


def conducts(protocol: Protocol) -> dict[str, dict[str, float]]:
    """Return how a trial is conducted beside itself: name -> parameters that are changed.

    Parameters
    ----------
    protocol : Protocol
        What is done.

    Returns
    -------
    dict
        Empty for a randomised trial, whose control arm answers the question, and where nobody is treated. Else
        ``no_effect``, and ``no_effect_unbiased`` where raters know the treatment.
    """
    given = tuple(dict.fromkeys(t for arm in protocol.arms.values() for t in therapies_of_arm(arm)))
    if protocol.design == "randomised" or not given:
        return {}
    gone = effects_of(given)
    out = {NO_EFFECT: gone}
    if protocol.blinding.rater == "open":
        out[UNBIASED] = gone | {f"{name}.{protocol.disease}": 0.0 for name in BIAS}
    return out


def set_beside(
    estimates: list[dict[str, Any]], rows: list[Row], values: Floats, others: Mapping[str, Floats], protocol: Protocol
) -> None:
    """Write ``no_effect`` into every row of ``estimates.json``, in place.

    Parameters
    ----------
    estimates : list of dict
        Rows of ``estimates.json``, in the order of ``rows``.
    rows : list of Row
        What is estimated.
    values : ndarray, shape (rows, replicates)
        Of the trial itself.
    others : mapping of str to ndarray, shape (rows, replicates)
        Of its other conducts, by the names of :func:`conducts`.
    protocol : Protocol
        What is done; rows of arms without a therapy have no counterpart.

    Notes
    -----
    ``no_effect`` is None, or ``median, pi50, pi90``, ``difference`` (``median, pi90`` of the trial minus its
    counterpart, replicate by replicate) and ``without_rating_bias`` (the median without the hope of open raters; None
    where raters are blind).
    """
    for k, (told, row) in enumerate(zip(estimates, rows, strict=True)):
        if NO_EFFECT not in others or not any(protocol.arms[a].regimen for a in row.arms):
            told["no_effect"] = None
            continue
        without = others[NO_EFFECT][k]
        with np.errstate(invalid="ignore"):
            low, middle, high = quantiles(values[k] - without, [0.05, 0.5, 0.95])
        unbiased = quantiles(others[UNBIASED][k], [0.5])[0] if UNBIASED in others else None
        told["no_effect"] = {
            **spread(without),
            "difference": {"median": number(middle), "pi90": [number(low), number(high)]},
            "without_rating_bias": None if unbiased is None else number(unbiased),
        }
