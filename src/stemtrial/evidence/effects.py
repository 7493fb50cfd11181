"""From a published number to an effect with a standard error on the scale on which studies are pooled."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from scipy.special import expit
from scipy.stats import norm

from stemtrial.evidence.schema import RATIOS, Outcome

Scale = Literal["log", "logit", "identity"]

SCALES: dict[str, Scale] = {
    **dict.fromkeys(RATIOS, "log"),
    "rate_per_year": "log",
    "geometric_mean": "log",
    "proportion": "logit",
    "km_probability": "logit",
    "mean": "identity",
    "mean_change": "identity",
    "slope_per_year": "identity",
    "difference": "identity",
}
"""Scale of each statistic that can be pooled; the others (medians, bounds, directions ...) are shown only."""

Z95 = float(norm.ppf(0.975))


@dataclass(frozen=True)
class Effect:
    """An effect and its standard error on ``scale``; ``source`` says where the standard error comes from."""

    scale: Scale
    value: float
    se: float
    source: str


def comparable_statistic(outcome: Outcome) -> str:
    """Statistic under which an outcome compares: a count of patients with events among n is a proportion."""
    patients = outcome.events is not None and outcome.n is not None and outcome.events <= outcome.n
    return "proportion" if outcome.statistic == "count" and patients else outcome.statistic


def back(scale: Scale, x: float) -> float:
    """Return a number of the analysis scale to the scale of publication."""
    if scale == "log":
        return math.exp(x)
    return float(expit(x)) if scale == "logit" else x


def effect_of(outcome: Outcome) -> Effect | str:
    """Effect and standard error of one outcome, or in words why there is none.

    Ratios, rates and geometric means go to the log scale, proportions and Kaplan-Meier probabilities to the logit
    scale, means, changes, slopes and differences stay. The standard error comes from, in this order, patients with
    events among n (half a patient added where none or all have the event, doi:10.1002/sim.1187), the 95 % or 90 %
    interval (its width on the analysis scale), the standard error, or the standard deviation and n; the last two by
    the delta method. A Kaplan-Meier probability has no standard error from n alone: censoring is unknown.

    Parameters
    ----------
    outcome : Outcome
        A row of a study.

    Returns
    -------
    Effect or str
        The effect, or the reason why it cannot be pooled.

    """
    statistic = comparable_statistic(outcome)
    if statistic not in SCALES:
        return f"a {statistic} is not pooled"
    if outcome.value is None:
        return "no number published"
    scale, value = SCALES[statistic], outcome.value
    if statistic == "proportion" and outcome.n is not None:
        x = float(outcome.events) if outcome.events is not None else value * outcome.n
        n = float(outcome.n)
        if not 0 < x < n:
            x, n = x + 0.5, n + 1.0
        return Effect(scale, math.log(x / (n - x)), math.sqrt(1 / x + 1 / (n - x)), "events and n")
    if not _inside(scale, value):
        return f"{value:g} has no finite {scale}"
    for interval, level in ((outcome.ci95, 0.95), (outcome.ci90, 0.90)):
        if interval is None or interval[1] is None:
            continue
        low, high = interval[0], interval[1]
        if not (_inside(scale, low) and _inside(scale, high)):
            return f"its interval touches the border of the {scale} scale"
        width = _forward(scale, high) - _forward(scale, low)
        if width <= 0:
            return "its interval has no width"
        se = width / (2 * float(norm.ppf(0.5 + level / 2)))
        return Effect(scale, _forward(scale, value), se, f"{level:.0%} interval")
    se_raw, source = outcome.se, "standard error"
    if se_raw is None and outcome.sd and outcome.n:
        se_raw, source = outcome.sd / math.sqrt(outcome.n), "standard deviation and n"
    if se_raw is None:
        return "no interval, standard error, or n that gives one"
    slope = {"log": 1 / value if value else math.nan, "logit": 1 / (value * (1 - value) or math.nan), "identity": 1.0}
    return Effect(scale, _forward(scale, value), se_raw * slope[scale], source)


def _inside(scale: Scale, x: float) -> bool:
    return x > 0 if scale == "log" else 0 < x < 1 if scale == "logit" else True


def _forward(scale: Scale, x: float) -> float:
    return math.log(x) if scale == "log" else math.log(x / (1 - x)) if scale == "logit" else x
