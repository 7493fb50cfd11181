"""Two forecasters that know no disease: what comparable trials found, and that nothing changes.

A model that predicts no better than these has no skill. Each gives a predictive distribution of the published number,
on its own scale: how far studies differ, and sampling at the size of the study that is forecast. Both learn from
outcomes of role fit alone, and never from the cohort that they forecast (:mod:`stemtrial.predict.comparable`).

**Sampling** of a future study, by what is told:

====================================  ================================================================================
proportion, count of patients         binomial at n
Kaplan-Meier probability              binomial at n: censoring is not known beforehand
rate, count of events                 negative binomial, the variance 1.5 times the mean (assumed), over n times years
ratio, difference, mean, change,      normal on its scale; the variance is the median of (sampling variance times n)
slope, median                         over comparable rows, divided by n; where none tells one, the spread between
                                      studies holds it
====================================  ================================================================================

The size is that of the outcome, else of its arms; where the record tells none, sampling is left out, and a count has
no forecast.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit

from stemtrial.evidence import Outcome, Study, random_effects, studies
from stemtrial.evidence.schema import Baseline
from stemtrial.predict.comparable import (
    OVERDISPERSION,
    Known,
    Quantity,
    Setting,
    between_studies,
    comparable,
    known_rows,
    quantity_of,
    setting_of,
    unit_variance,
    unit_variance_of,
    variances,
)

Floats = NDArray[np.float64]
POINTS = 1000
"""Points of a forecast."""
PRIOR_DF = 4
"""Degrees of freedom with which the variance between studies that is pooled over endpoints counts; assumed.

The variance of two or three studies alone is 0 as often as not, or gives a t distribution without a mean."""
WIDER = 1.2
"""Factor on the spread between studies, set on fit cohorts alone, each forecast without its own rows.

With it 0.51 (meta-analytic) and 0.48 (no change) of their outcomes lie inside the 50 % interval by PIT; without it 0.43
and 0.40."""
TAIL = 0.995
"""Quantile at which the t distribution is cut off: a rate whose logarithm has its tails would have no mean."""
ENOUGH = 3
"""Cohorts that it takes to say how far studies of one endpoint depart from no change; with fewer, all of its kind."""


@dataclass(frozen=True)
class Forecast:
    """A predictive distribution of one published number.

    Attributes
    ----------
    values : ndarray, shape (POINTS,)
        Its quantiles, ascending, in the unit of the outcome; a count of patients as a count.
    how : str
        The rule or the step that was used, in words.
    rows : tuple of str
        Outcomes that the centre was learned from; empty where a rule gives it.
    """

    values: Floats
    how: str
    rows: tuple[str, ...] = ()


def meta_analytic(o: Outcome, s: Study, record: Sequence[Known] | None = None) -> Forecast | None:
    """Forecast an outcome by a random-effects meta-analysis of comparable rows of other cohorts.

    The prediction interval of the mean and of the effects about it, a t distribution, and sampling at the new study's
    size. The variance between studies is that of the rows (REML, k - 1 degrees of freedom) and that of all endpoints of
    the same kind of number (4, :data:`PRIOR_DF`) weighted by their degrees of freedom; with one row it is the latter.
    The spread is widened by :data:`WIDER`.

    Parameters
    ----------
    o : Outcome
        What is forecast; nothing of its result is read.
    s : Study
        Its study.
    record : sequence of Known, optional
        Rows to learn from; the packaged ones when left out.

    Returns
    -------
    Forecast or None
        None where no cohort has a comparable row, or where a single one has nothing beside it that tells a spread.
    """
    q = quantity_of(o, s.disease)
    if q is None:
        return None
    at, cohort = setting_of(o, s, q), s.cohort or s.id
    if o.statistic == "count" and not at.patients:
        return None
    step, kin = comparable(q, at, cohort, record)
    if not kin:
        return None
    unit = unit_variance(kin)
    if unit is None:
        unit = unit_variance_of(q, cohort, record)
    y, v = np.array([r.value for r in kin]), np.array(variances(kin, unit))
    pooled = between_studies(q, step, cohort, record)
    df = len(kin) - 1 + (0 if pooled is None else PRIOR_DF)
    if df == 0:
        return None
    own = random_effects(y, v).tau2 if len(kin) > 1 else 0.0
    tau2 = ((len(kin) - 1) * own + (0.0 if pooled is None else PRIOR_DF * pooled)) / df
    w = 1 / (v + tau2)
    centre, spread = float(np.sum(w * y) / np.sum(w)), WIDER * math.sqrt(tau2 + 1 / float(np.sum(w)))
    z, u = _lattice()
    top = float(stats.t.ppf(TAIL, df))
    latent = centre + spread * np.clip(stats.t.ppf(z, df), -top, top)
    how = f"{step}, {len(kin)} cohort{'s' if len(kin) > 1 else ''}"
    years = at.years or _typical([r.setting.years for r in kin])
    return Forecast(_sampled(o, q, at, latent, u, unit, years), how, tuple(r.outcome_id for r in kin))


def _typical(x: Sequence[float | None]) -> float | None:
    known = [v for v in x if v]
    return float(np.median(known)) if known else None


@cache
def _lattice() -> tuple[Floats, Floats]:
    """Points (z, u) that fill the unit square evenly: z for what is true of the study, u for its sampling."""
    k = np.arange(POINTS)
    return (k + 0.5) / POINTS, (0.5 + k * (math.sqrt(5) - 1) / 2) % 1.0


def _sampled(
    o: Outcome, q: Quantity, at: Setting, latent: Floats, u: Floats, unit: float | None, years: float | None
) -> Floats:
    """Add sampling to what is true of the study, on the scale of the quantity; return it as it is published."""
    n = at.patients
    if q.group == "share":
        p = np.asarray(expit(latent), float)
        hits = stats.binom.ppf(u, n, p) if n else p
        out = hits / n if n and o.statistic != "count" else hits
    elif q.group in ("rate", "count"):
        rate = np.exp(latent)
        size = (n or 0) * (years or 0) if q.group == "rate" else float(n or 0)
        out = _events(rate * size, u) / (size if q.group == "rate" else 1.0) if size > 0 else rate
    else:
        sd = math.sqrt(unit / n) if unit is not None and n else 0.0
        out = latent + sd * stats.norm.ppf(u)
        out = np.exp(out) if q.scale == "log" else out
    return np.sort(np.asarray(out, float))


def _events(mean: Floats, u: Floats) -> Floats:
    """Quantiles of a number of events whose variance is :data:`OVERDISPERSION` times its mean."""
    return np.asarray(stats.nbinom.ppf(u, mean / (OVERDISPERSION - 1), 1 / OVERDISPERSION), float)


# -- no change ---------------------------------------------------------------------------------------------------------
NOBODY = frozenset(
    {
        "confirmed_disability_worsening", "confirmed_disability_improvement", "edss_improved", "edss_worsened",
        "edss6_reached", "secondary_progression", "pira", "raw", "slope_responders", "t25fw_worsening",
        "nhpt_worsening", "death", "treatment_related_mortality", "serious_adverse_events", "infection",
        "secondary_autoimmunity",
    }
)  # fmt: skip
"""Shares that are 0 where nothing changes."""
EVERYBODY = frozenset({"progression_free_survival", "edss_stable", "edss_stable_or_improved", "survival"})
"""Shares that are 1 where nothing changes."""
_LEVELS = {
    "edss": ("edss_mean", "edss_median"),
    "gd_lesions": ("gd_lesions_mean",),
    "t2_volume_ml": ("t2_volume_ml_mean",),
    "alsfrs_r": ("alsfrs_r_mean",),
}
_RELAPSES = ("relapses_prior_year_mean", "relapse_rate_prior")
_FREE_OF_RELAPSE = frozenset({"relapse_free", "neda3", "neda4"})


def no_change(o: Outcome, s: Study, record: Sequence[Known] | None = None) -> Forecast | None:
    """Forecast no change from baseline, or no difference from control.

    =====================================================  ===========================================================
    change, relative change, slope                         0
    hazard, rate, odds, risk ratio                         1
    difference of two arms                                 0
    EDSS, gadolinium lesions, T2 volume, ALSFRS-R          the arm's baseline
    relapse rate                                           the arm's rate before entry
    free of relapse, of disease activity (NEDA)            exp(-rate before entry x years)
    with or without gadolinium lesions, MRI activity       the arm's share at baseline
    worsening, improvement, response, conversion,          nobody (:data:`NOBODY`)
    death, serious or other adverse events
    progression-free, stable, alive                        everybody (:data:`EVERYBODY`)
    anything else                                          no forecast
    =====================================================  ===========================================================

    A baseline is that of the arm, else of another arm of the same randomised trial; where the record gives none there
    is no forecast. About that centre stands the spread between studies: the root mean square of how far fit cohorts
    were from theirs (each cohort once, less their sampling variance, at least a tenth of it; times :data:`WIDER`).
    It is that of the same endpoint, and from fewer than three cohorts (:data:`ENOUGH`) that of all endpoints of the
    same kind of number. From nobody and from everybody
    shares depart one way only: by half a normal distribution. Then sampling at the new study's size.

    Parameters
    ----------
    o : Outcome
        What is forecast; nothing of its result is read.
    s : Study
        Its study.
    record : sequence of Known, optional
        Rows to learn the spread from; the packaged ones when left out.

    Returns
    -------
    Forecast or None
        None where no rule holds or no study tells the spread.
    """
    q = quantity_of(o, s.disease)
    if q is None:
        return None
    at, cohort = setting_of(o, s, q), s.cohort or s.id
    found = _centre(o, s, q, at)
    if found is None or (o.statistic == "count" and not at.patients):
        return None
    rule, centre = found
    spread = _departure(q, rule, cohort, record)
    if spread is None:
        return None
    z, u = _lattice()
    if rule in ("nobody", "everybody"):
        away = np.minimum(spread * stats.norm.ppf(0.5 + z / 2), 1 - 1e-9)
        share = away if rule == "nobody" else 1 - away
        latent = np.log(share / (1 - share))
    else:
        latent = centre + spread * stats.norm.ppf(z)
    return Forecast(_sampled(o, q, at, latent, u, unit_variance_of(q, cohort, record), at.years), rule)


def _centre(o: Outcome, s: Study, q: Quantity, at: Setting) -> tuple[str, float] | None:
    """Rule of an outcome and its centre on the scale of the quantity; None where there is no rule."""
    if q.group in ("change", "relative_change", "slope", "difference") or "_ratio" in q.group:
        within = q.group in ("change", "relative_change", "slope") or q.group.endswith(" within")
        return ("no change from baseline" if within else "no difference from control"), 0.0
    if q.group == "share" and q.key in NOBODY:
        return "nobody", math.nan
    if q.group == "share" and q.key in EVERYBODY:
        return "everybody", math.nan
    if q.group == "rate" and q.key == "annualised_relapse_rate":
        before = _baseline(o, s, _RELAPSES)
        return ("rate before entry", math.log(before)) if before else None
    if q.group == "share" and q.key in _FREE_OF_RELAPSE and at.years:
        before = _baseline(o, s, _RELAPSES)
        if not before:
            return None
        free = math.exp(-before * at.years)
        return "relapses as before entry", math.log(free) - math.log1p(-free)
    if q.group == "share" and q.key in ("mri_activity_free", "gd_free", "patients_with_gd"):
        share = _baseline(o, s, ("gd_positive_fraction",))
        if not share or share == 1:
            return None
        with_lesions = math.log(share / (1 - share))
        return "lesions as at baseline", with_lesions if q.key == "patients_with_gd" else -with_lesions
    if q.group == "level" and q.key in _LEVELS:
        level = _baseline(o, s, _LEVELS[q.key])
        return ("as at baseline", math.log(level) if q.scale == "log" else level) if level else None
    return None


def _baseline(o: Outcome, s: Study, names: Sequence[str]) -> float | None:
    """Baseline of the outcome's arm, else of the other arms of a randomised trial, else None; several are averaged."""
    own = [a for a in s.arms if a.id in o.arms]
    wider = s.arms if s.kind == "rct" or not own else ()
    for arms in (own, wider):
        known = [b for a in arms if (b := _first(a.baseline, names)) is not None]
        if known:
            return float(np.mean(known))
    return None


def _first(baseline: Baseline | None, names: Sequence[str]) -> float | None:
    return next((float(v) for n in names if (v := getattr(baseline, n, None)) is not None), None)


def _departure(q: Quantity, rule: str, cohort: str, record: Sequence[Known] | None) -> float | None:
    """Root mean square of how far fit cohorts were from no change, on the scale of the quantity (a share by itself)."""
    departures = _departures(None if record is None else tuple(record))
    mine = [d for d in departures if d.rule == rule and d.row.cohort != cohort and d.row.quantity.group == q.group]
    same = [d for d in mine if d.row.quantity.key == q.key and d.row.quantity[:1] == q[:1]]
    kind = [d for d in mine if d.row.quantity.kind == q.kind]
    for found, enough in ((same, ENOUGH), (kind, 1)):
        of_cohort: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
        for d in found:
            of_cohort[d.row.cohort].append((d.squared, d.noise))
        if len(of_cohort) >= enough:
            squared, noise = np.mean([np.mean(m, axis=0) for m in of_cohort.values()], axis=0)
            spread = WIDER * math.sqrt(max(squared - noise, squared / 10))
            if spread > 0:
                return spread
    return None


@dataclass(frozen=True)
class _Departure:
    """How far a fit row was from no change, squared, and the sampling variance in that."""

    row: Known
    rule: str
    squared: float
    noise: float


@cache
def _departures(record: tuple[Known, ...] | None) -> tuple[_Departure, ...]:
    known = studies()
    out = []
    for r in known_rows() if record is None else record:
        s = known[r.outcome_id.partition("#")[0]]
        o = next(o for o in s.outcomes if o.outcome_id == r.outcome_id)
        found = _centre(o, s, r.quantity, r.setting)
        if found is None:
            continue
        rule, centre = found
        noise = r.variance if math.isfinite(r.variance) else 0.0
        away = r.value - centre
        if rule in ("nobody", "everybody"):
            share = float(expit(r.value))
            away = share if rule == "nobody" else 1 - share
            noise *= (share * (1 - share)) ** 2
        out.append(_Departure(r, rule, away**2, noise))
    return tuple(out)
