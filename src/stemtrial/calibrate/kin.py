"""Standard errors of numbers that are printed without one: from the arms of a contrast, else from their kin."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from stemtrial.calibrate.datum import Datum
from stemtrial.calibrate.spread import assumed
from stemtrial.endpoint import find
from stemtrial.predict.estimate import FREE_OF

NORMAL = ("normal", "lognormal", "logitnormal")
_KEYS: tuple[Callable[[Datum], Any], ...] = (
    lambda d: (d.term, d.scale, d.contrast, d.statistic == "slope_per_year"),
    lambda d: (d.domain, d.scale, d.contrast, d.unit),
)
"""Who is kin: of one term, else of one domain and unit; on one scale, both of one arm or both of two."""


def with_kin(found: Sequence[Datum]) -> list[Datum]:
    """Give every datum whose likelihood is normal a standard error.

    Of one arm: the standard error times the root of n of its kin (root mean square over data of the same term, an
    assumed standard deviation of that term, data of the same domain and unit, an assumed one of the domain, in this
    order). Of two arms: from the numbers of both arms, where they are published too, else from two data of the same
    term or more, else an assumed one.

    Parameters
    ----------
    found : sequence of Datum
        ``se`` is None where nothing beside the number tells it.

    Returns
    -------
    list of Datum
        In the same order.
    """
    tables = [_spreads(found, key) for key in _KEYS]
    single = [_of_kin(d, tables) if not d.contrast else d for d in found]
    return [_of_arms(d, single) or _of_kin(d, tables) for d in single]


def _spreads(found: Sequence[Datum], key: Callable[[Datum], Any]) -> dict[Any, float]:
    seen: dict[Any, list[float]] = defaultdict(list)
    for d in found:
        if d.se is not None and d.kind in NORMAL and "exponential" not in d.spread:
            seen[key(d)].append(d.se**2 * d.n)
    # a single ratio says little of the error of others: it hangs on how many events there were
    return {k: math.sqrt(sum(v) / len(v)) for k, v in seen.items() if len(v) > 1 or not k[2]}


def _of_kin(d: Datum, tables: Sequence[dict[Any, float]]) -> Datum:
    if d.se is not None or d.kind not in NORMAL:
        return d
    of_term, of_domain = (t.get(key(d)) for t, key in zip(tables, _KEYS, strict=True))
    known = assumed().get("sd.age" if d.estimator == "quantile_of_age" else f"sd.{d.term}")
    if d.scale == "log":
        known = assumed().get(f"sd_of_ratio.{d.domain}")
    elif d.contrast:  # of a difference: twice that of one of two equal arms
        known = 2 * (known or assumed()[f"sd.{d.domain}"])
    elif d.scale == "logit":
        known = None
    spread, told = of_term or known or of_domain, "of its kin" if of_term or (of_domain and not known) else "assumed"
    spread = spread or assumed()[f"sd.{d.domain}"]
    return replace(d, se=spread / math.sqrt(d.n), spread=told)


def _of_arms(d: Datum, found: Sequence[Datum]) -> Datum | None:
    """A contrast with the error that the numbers of its arms imply."""
    if d.se is not None or not d.contrast:
        return None
    variances = []
    for arm in d.arms:
        kin = [
            x
            for x in found
            if x.study == d.study and x.protocol == d.protocol and x.endpoint == d.endpoint and x.arms == (arm,)
        ]
        told = [v for x in kin if (v := _variance(x, d)) is not None]
        if not told:
            return None
        variances.append(told[0])
    return replace(d, se=math.sqrt(sum(variances)), spread="of its arms")


def _variance(arm: Datum, contrast: Datum) -> float | None:
    """Variance that an arm adds to a contrast: of log hazards and ratios, one over its events; of means, its own."""
    if contrast.scale == "identity":
        return arm.se**2 if arm.se is not None and arm.scale == "identity" else None
    if arm.kind == "negative_binomial":
        events = max(arm.value * arm.exposure, 0.5)
        return 1 / events + 1 / arm.size
    if arm.kind in ("binomial", "logitnormal"):
        free = (find(arm.endpoint).rule in FREE_OF) ^ arm.estimator.endswith("complement")
        return 1 / max(arm.n * (1 - arm.share if free else arm.share), 0.5)
    return None
