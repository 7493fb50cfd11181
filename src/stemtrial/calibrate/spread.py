"""How exact a published number is: effective numbers of patients, standard errors, dispersion."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import numpy as np
import yaml
from scipy.special import logit
from scipy.stats import norm

from stemtrial.calibrate.datum import Scale
from stemtrial.evidence import Outcome, Study, term_of

MEDIAN = math.sqrt(math.pi / 2)
"""Standard error of a median over that of a mean, of normal numbers."""
MEDIAN_TIME = 1 / math.log(2)
"""Standard error of a log median of exponential times to an event, times the root of their number."""
_P_TELLS = 0.5
"""p above which an effect is so near to none that p says nothing of its standard error."""


@cache
def assumed() -> Mapping[str, float]:
    """Return the assumed spreads of ``spreads.yaml``, those of domains as ``sd.<domain>``."""
    out: dict[str, float] = {}
    for name, entry in yaml.safe_load((files("stemtrial.calibrate") / "spreads.yaml").read_text()).items():
        value = entry["value"]
        out |= {f"{name}.{k}": float(v) for k, v in value.items()} if isinstance(value, dict) else {name: float(value)}
    return out


def patients(o: Outcome, study: Study, arms_n: float | None = None) -> float:
    """Patients of an outcome: its own n, else that of its arms (analysed, else all), else ``arms_n``; 0 if unknown."""
    if o.n:
        return float(o.n)
    found = [study.arm(a) for a in o.arms]
    known = [float(a.n_analysed or a.n or 0) for a in found if a is not None]
    if len(known) == len(o.arms) and all(known):
        return sum(known)
    if arms_n:
        return float(arms_n)
    return max((float(a.n) for a in study.arms if a.n), default=0.0)


def follow_up(study: Study, time: float | None) -> float | None:
    """Mean years of follow-up of a study, to ``time`` at most; None if the record tells none."""
    f = study.follow_up_years
    told = None if f is None else f.mean or f.median
    return None if told is None else float(told) if time is None else min(float(told), time)


def effective_n(o: Outcome, study: Study, n: float, time: float | None) -> tuple[float, str]:
    """Patients that a Kaplan-Meier probability is worth.

    With its events: the n of which they are the share that the curve shows. Else n shrunk by the person-time that was
    seen: mean follow-up over the horizon, or an assumed share of it.

    Returns
    -------
    (float, str)
        n, 1 or more, and where it comes from.
    """
    assert o.value is not None
    if o.events:
        for share in (o.value, 1.0 - o.value):
            if share > 0 and n / 2 <= o.events / share <= n * 1.02:
                return max(1.0, round(min(n, o.events / share))), "events over the curve"
    seen = follow_up(study, time)
    if time and seen is not None:
        return max(1.0, round(n * min(1.0, max(0.3, seen / time)))), "n shrunk by mean follow-up"
    return max(1.0, round(n * assumed()["followed"])), "n shrunk by assumed losses"


def forward(scale: Scale, x: float) -> float:
    """Return a number on a scale, infinite at its border."""
    with np.errstate(divide="ignore"):
        return float(logit(x)) if scale == "logit" else float(np.log(x)) if scale == "log" and x > 0 else x


def standard_error(o: Outcome, scale: Scale, n: float, median: bool = False) -> tuple[float, str] | None:
    """Standard error of a published number on a scale, from what stands beside it.

    From, in this order, the 95 or 90 % interval, the standard error, the standard deviation or quartiles and n, and of
    a ratio the p value. A p value of .001 or below is a bound: the standard error is then too wide, never too narrow.

    Parameters
    ----------
    o : Outcome
        With a value.
    scale : {"logit", "log", "identity"}
        Where.
    n : float
        Patients.
    median : bool
        Whether it is a median: its standard error is wider than that of a mean.

    Returns
    -------
    (float, str) or None
        The standard error and where it comes from.
    """
    assert o.value is not None
    inside = {"logit": 0 < o.value < 1, "log": o.value > 0, "identity": True}
    if not inside[scale]:
        return None
    for interval, z in ((o.ci95, norm.ppf(0.975)), (o.ci90, norm.ppf(0.95))):
        low, high = interval or (None, None)
        if low is None or high is None:
            continue
        if (scale == "log" and low <= 0) or (scale == "logit" and not (low > 0 and high < 1)) or high <= low:
            continue
        return (forward(scale, high) - forward(scale, low)) / (2 * float(z)), "interval"
    slope = {"log": 1 / o.value if o.value else 1.0, "logit": 1 / (o.value * (1 - o.value) or 1.0), "identity": 1.0}
    if o.se:
        return o.se * abs(slope[scale]), "standard error"
    wider = MEDIAN if median else 1.0
    if o.sd and n:
        return wider * o.sd / math.sqrt(n) * abs(slope[scale]), "standard deviation"
    if o.iqr and n:
        return wider * (o.iqr[1] - o.iqr[0]) / (2 * norm.ppf(0.75)) / math.sqrt(n) * abs(slope[scale]), "quartiles"
    if scale == "log" and o.value != 1 and o.statistic.endswith("_ratio") and o.p_value is not None:
        p = float(str(o.p_value).lstrip("<"))
        if 0 < p < _P_TELLS:
            return abs(math.log(o.value)) / float(norm.isf(p / 2)), "p value"
    return None


def dispersion(o: Outcome, n: float, exposure: float) -> tuple[float, str]:
    """Size of the negative binomial of all events of n patients, and where it comes from.

    The total of n patients of one follow-up, each a negative binomial of size k, is one of size n k. Where the rate has
    an interval, the size is what its width leaves beyond Poisson counts; else k is assumed.
    """
    assert o.value is not None
    told = standard_error(o, "log", n) if o.ci95 or o.ci90 or o.se or o.sd else None
    events = o.value * exposure
    if told is not None and events > 0:
        extra = told[0] ** 2 - 1 / events
        if extra > 0:
            return 1 / extra, told[1]
    lesions = term_of(o.endpoint).family == "mri"
    return n * assumed()["lesion_dispersion" if lesions else "relapse_dispersion"], "assumed dispersion"
