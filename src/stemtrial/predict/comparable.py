"""Published rows of role fit that compare with an outcome: what a naive forecaster may learn from.

Values come from outcomes whose role is ``fit``, and never from the cohort that is forecast; of the outcome itself only
what was known before its result is read (endpoint, statistic, arms, size, time). An outcome's role is that of its study
in ``targets.yaml``, lowered to test for arms that nothing may be tuned to.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.special import logit

from stemtrial.evidence import Effect, Outcome, Study, effect_of, random_effects, studies, term_of
from stemtrial.evidence.effects import Scale
from stemtrial.evidence.forest import comparison_of, horizon_years, treatment_of
from stemtrial.evidence.schema import RATIOS
from stemtrial.predict.score import patients_of

OVERDISPERSION = 1.5
"""Variance of a number of events over its mean, of a whole arm; assumed (patients differ in their rates)."""
_CONTRASTS = RATIOS | {"difference"}
_GROUPS = {
    "proportion": "share", "km_probability": "share", "rate_per_year": "rate", "mean": "level", "median": "level",
    "geometric_mean": "level", "mean_change": "change", "median_change": "change", "relative_change": "relative_change",
    "slope_per_year": "slope", "difference": "difference", **{r: r for r in RATIOS},
}  # fmt: skip
_CUMULATIVE = frozenset({"share", "count", "change", "level", "difference"})
_POSITIVE = frozenset(
    {"lesions", "clones", "pg/ml or relative", "pg/mL", "pg/mL CSF", "ml", "y", "years", "months", "1"}
)
"""Units of numbers above 0 that differ by factors."""
_CONTROLS = frozenset({"placebo", "none", "best_available", "sham", "unspecified"})
_FAMILIES = {"msc_ntf": "msc", "ipsc_nsc": "nsc", "ipsc_opc": "opc"}


class Quantity(NamedTuple):
    """What an outcome measures: ``key`` (controlled term; the spelling where a term gathers different quantities).

    ``group`` holds statistics that compare (a Kaplan-Meier probability with a share, a median with a mean), on
    ``scale``.
    """

    disease: str
    key: str
    group: str
    scale: Scale
    unit: str

    @property
    def kind(self) -> tuple[str, str]:
        """Quantities whose spreads compare: a group, on an additive scale of one unit (one endpoint if units vary)."""
        unit = self.key if self.unit == "various" else self.unit
        return self.group, unit if self.scale == "identity" else ""


class Setting(NamedTuple):
    """Of whom a number is told: treatments and their families (a contrast has its control in both), and when.

    ``treated`` is False of a control arm, and of two of them against each other.
    """

    treatment: str
    family: str
    treated: bool
    horizon: float | None
    patients: int | None
    years: float | None


@dataclass(frozen=True)
class Known:
    """A published row of role fit on the scale on which it is pooled.

    Attributes
    ----------
    value : float
        Effect on the scale of the quantity.
    variance : float
        Its sampling variance there; NaN where nothing tells it.
    first : bool
        Whether the study calls it primary.
    """

    outcome_id: str
    cohort: str
    quantity: Quantity
    setting: Setting
    value: float
    variance: float
    first: bool


def quantity_of(o: Outcome, disease: str) -> Quantity | None:
    """Return what an outcome measures; None of a statistic that is not forecast (a bound, a correlation, words).

    A count is one of patients where its term takes shares, else of events.
    """
    term = term_of(o.endpoint)
    group = _GROUPS.get(o.statistic)
    if o.statistic == "count":
        group = "share" if "proportion" in term.statistics and term.unit != "lesions" else "count"
    if group == "level" and "mean_change" in term.statistics and "mean" not in term.statistics:
        group = "change"  # the median of a change
    if group is None:
        return None
    if group in _CONTRASTS and len(o.arms) == 1:  # after against before treatment, or patients within one arm
        group = "change" if group == "difference" else f"{group} within"
    unit = o.unit or term.unit
    scale: Scale = "identity"
    if group == "share":
        scale = "logit"
    elif o.statistic in RATIOS or group in ("rate", "count") or (group == "level" and unit in _POSITIVE):
        scale = "log"
    key = o.endpoint if term.is_other else term.id
    if group.startswith("hazard_ratio") and term.hazard_of:  # the hazard of a relapse, whatever the term counts
        key = f"hazard of {term.hazard_of}"
        unit = "1"
    return Quantity(disease, key, group, scale, unit)


def setting_of(o: Outcome, s: Study, q: Quantity) -> Setting:
    """Return treatments, horizon, size and length of follow-up of an outcome; of its result nothing is read."""
    families = [_family(treatment_of(s, [a], full=False)) for a in o.arms]
    if len(o.arms) == 2 and o.statistic in _CONTRASTS:
        family = " vs ".join(families)
    else:
        family = " + ".join(sorted(set(families)))
    horizon = horizon_years(o.time_years) if q.group in _CUMULATIVE and term_of(o.endpoint).timed else None
    followed = s.follow_up_years
    years = o.time_years or (followed and (followed.mean or followed.median)) or None
    treated = families[0] != "control"
    return Setting(comparison_of(s, o), family, treated, horizon, patients_of(s, o), years)


def _family(classes: str) -> str:
    """Family of therapies of an arm: drugs, a kind of cells, or control."""
    names = {"control" if c in _CONTROLS else _FAMILIES.get(c, c) for c in classes.split(" + ")}
    return " + ".join(sorted(names))


@cache
def known_rows() -> tuple[Known, ...]:
    """All rows that may be learned from: role fit, with a number, after baseline, measured in patients."""
    return known_of(studies().values())


def known_of(record: Iterable[Study]) -> tuple[Known, ...]:
    """As :func:`known_rows`, of a record of one's own."""
    out = []
    for s in record:
        for o in s.outcomes:
            row = _known(o, s) if o.role == "fit" and o.value is not None and o.time_years != 0 else None
            if row is not None:
                out.append(row)
    return tuple(out)


def _known(o: Outcome, s: Study) -> Known | None:
    q = quantity_of(o, s.disease)
    assert o.value is not None
    if q is None or s.kind in ("meta_analysis", "model", "preclinical", "reference"):
        return None
    setting = setting_of(o, s, q)
    found = _on_scale(o, q, setting)
    if found is None:
        return None
    return Known(o.outcome_id, s.cohort or s.id, q, setting, *found, o.analysis == "primary")


def _on_scale(o: Outcome, q: Quantity, at: Setting) -> tuple[float, float] | None:
    """Return the effect of a published number on its scale and its sampling variance, NaN where nothing tells it.

    Half an event is added where there was none (and half a survivor where all had it).
    """
    value, n = float(o.value or 0.0), at.patients
    if q.group == "share":
        if n is None:
            return (float(logit(value)), math.nan) if 0 < value < 1 else None
        x = float(value if o.statistic == "count" else value * n)
        if not 0 <= x <= n:
            return None
        total = float(n)
        if not 0.25 < x < n - 0.25:
            x, total = x + 0.5, total + 1
        return math.log(x / (total - x)), 1 / x + 1 / (total - x)
    if q.group in ("rate", "count"):
        size = (n or 0) * (at.years or 0) if q.group == "rate" else float(n or 0)
        if size <= 0:
            return (math.log(value), math.nan) if value > 0 and q.group == "rate" else None
        events = max(0.5, value * size if q.group == "rate" else value)
        return math.log(events / size), OVERDISPERSION / events
    told = effect_of(o)
    if isinstance(told, Effect) and told.scale == q.scale:
        return told.value, told.se**2
    variance = math.nan
    if q.scale == "identity":
        spread = o.sd**2 / n if o.sd and n else o.se**2 if o.se else math.nan
        return value, spread
    if value <= 0:
        return (math.log(0.5 / n), math.nan) if n and value == 0 and q.unit == "lesions" else None
    if o.sd and n:
        variance = (o.sd / value) ** 2 / n
    return math.log(value), variance


# -- who compares ------------------------------------------------------------------------------------------------------
def alike(q: Quantity, cohort: str, rows: Sequence[Known] | None = None) -> list[Known]:
    """Rows of the same quantity of other cohorts."""
    return [
        r for r in (known_rows() if rows is None else rows)
        if r.cohort != cohort and r.quantity[:4] == q[:4] and r.quantity.unit == q.unit
    ]  # fmt: skip


STEPS: Mapping[str, Callable[[Setting], tuple[object, ...]]] = {
    "same treatment, same horizon": lambda at: (at.treatment, at.horizon),
    "same treatment, any horizon": lambda at: (at.treatment,),
    "same family of therapies, same horizon": lambda at: (at.family, at.horizon),
    "same family of therapies, any horizon": lambda at: (at.family,),
    "any treatment, same horizon": lambda at: (at.treated, at.horizon),
    "any treatment, any horizon": lambda at: (at.treated,),
}
"""How the circle of comparable rows widens until it holds two cohorts, and what is alike within each."""


def comparable(q: Quantity, at: Setting, cohort: str, rows: Sequence[Known] | None = None) -> tuple[str, list[Known]]:
    """Return the narrowest step of :data:`STEPS` that holds two cohorts or more, and one row of each of them.

    Of a cohort the row nearest in time stands, then what the study calls primary, then that of most patients, then the
    first of the record. Where no step holds two, the narrowest that holds one; else ``("", [])``.
    """
    kin = alike(q, cohort, rows)
    single: tuple[str, list[Known]] = ("", [])
    for step, alike_in in STEPS.items():
        best: dict[str, Known] = {}
        for r in kin:
            if alike_in(r.setting) == alike_in(at) and (
                r.cohort not in best or _rank(r, at) < _rank(best[r.cohort], at)
            ):
                best[r.cohort] = r
        if len(best) >= 2:
            return step, list(best.values())
        if best and not single[1]:
            single = step, list(best.values())
    return single


def _rank(r: Known, at: Setting) -> tuple[float, bool, int]:
    a, b = r.setting.years, at.years
    gap = abs(a - b) if a is not None and b is not None else math.inf
    return gap, not r.first, -(r.setting.patients or 0)


# -- how far apart -----------------------------------------------------------------------------------------------------
def between_studies(q: Quantity, step: str, cohort: str, rows: Sequence[Known] | None = None) -> float | None:
    """Variance between studies, pooled over all endpoints of the same kind of number; None if none have two cohorts.

    Panels are of one quantity and of what the step of :data:`STEPS` holds alike, with one row a cohort: studies of any
    treatment lie further apart than those of one. DerSimonian-Laird variances, weighted by degrees of freedom. The kind
    is a group of statistics, in one unit on an additive scale.
    """
    return _between(q.kind, step, cohort) if rows is None else _pooled(q.kind, step, cohort, rows)


@cache
def _between(kind: tuple[str, str], step: str, cohort: str) -> float | None:
    return _pooled(kind, step, cohort, known_rows())


def _pooled(kind: tuple[str, str], step: str, cohort: str, rows: Sequence[Known]) -> float | None:
    panels: defaultdict[tuple[object, ...], dict[str, Known]] = defaultdict(dict)
    for r in rows:
        if r.cohort != cohort and r.quantity.kind == kind:
            panels[(r.quantity, *STEPS[step](r.setting))].setdefault(r.cohort, r)
    total = weight = 0.0
    for panel in panels.values():
        if len(panel) >= 2:
            found = list(panel.values())
            m = random_effects([r.value for r in found], variances(found, unit_variance(found)), "DL")
            total, weight = total + (m.k - 1) * m.tau2, weight + m.k - 1
    return total / weight if weight else None


def unit_variance(rows: Iterable[Known]) -> float | None:
    """Sampling variance times number of patients: the median over rows that tell both; None where none does."""
    found = [r.variance * r.setting.patients for r in rows if r.setting.patients and math.isfinite(r.variance)]
    return float(np.median(found)) if found else None


def unit_variance_of(q: Quantity, cohort: str, rows: Sequence[Known] | None = None) -> float | None:
    """As :func:`unit_variance`, of rows of the same quantity of other cohorts, else of the same kind of number."""
    every = known_rows() if rows is None else rows
    own = unit_variance(alike(q, cohort, every))
    if own is not None:
        return own
    return unit_variance(r for r in every if r.cohort != cohort and r.quantity.kind == q.kind)


def variances(rows: Sequence[Known], unit: float | None) -> list[float]:
    """Sampling variances; where a row has none, that of its size; where nothing tells one, next to none.

    In the last case the spread between studies holds the sampling.
    """
    values = np.array([r.value for r in rows])
    least = 1e-6 * (float(values.var()) + 1e-6)
    sizes = [r.setting.patients for r in rows if r.setting.patients]
    typical = float(np.median(sizes)) if sizes else None
    out = []
    for r in rows:
        v, n = r.variance, r.setting.patients or typical
        if not math.isfinite(v):
            v = unit / n if unit is not None and n else least
        out.append(max(v, least))
    return out
