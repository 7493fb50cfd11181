"""What the evidence says about one endpoint: comparable rows side by side, pooled where that is honest.

A **panel** holds rows that measure the same thing: one disease, statistic, comparison (contrast or single arm) and,
where follow-up defines the quantity, horizon. Its pool takes verified, pre-specified rows of different patients;
every other row stands beside it with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from stemtrial.errors import InputError, did_you_mean
from stemtrial.evidence.effects import SCALES, Z95, Scale, back, comparable_statistic, effect_of
from stemtrial.evidence.load import studies
from stemtrial.evidence.meta_analysis import MetaAnalysis, random_effects
from stemtrial.evidence.schema import (
    CONTEXT_ANALYSES,
    RATIOS,
    Family,
    Outcome,
    Role,
    Statistic,
    Study,
    Verification,
    is_pooled_arm,
)
from stemtrial.evidence.vocabulary import Term, term, term_of

Standing = Literal["pooled", "listed", "context", "recalled", "sealed"]

_CONTRASTS = RATIOS | {"difference"}
# These grow with follow-up; ratios, rates and slopes do not.
_CUMULATIVE = frozenset({"proportion", "km_probability", "mean", "mean_change", "difference"})


@dataclass(frozen=True)
class ForestRow:
    """One outcome as it stands in a forest.

    Attributes
    ----------
    standing : {"pooled", "listed", "context", "recalled", "sealed"}
        ``listed`` is verified but not in the pool, ``context`` not the pre-specified full-population result,
        ``recalled`` not verified at a source, ``sealed`` without its value until predicted.
    why : str
        Reason of any standing but ``pooled``.
    value, low, high : float or None
        Published value; its 95 % interval, published or derived.
    effect, se : float or None
        The same on the scale of the analysis.

    """

    outcome_id: str
    study: str
    citation: str
    family: Family
    disease: str
    cohort: str | None
    arms: tuple[str, ...]
    comparison: str
    endpoint: str
    definition: str | None
    time_years: float | None
    horizon_years: float | None
    statistic: str
    unit: str | None
    value: float | None
    low: float | None
    high: float | None
    n: int | None
    events: int | None
    effect: float | None
    se: float | None
    se_source: str | None
    analysis: str | None
    verification: Verification | None
    role: Role
    standing: Standing
    why: str


@dataclass(frozen=True)
class Pooled:
    """Pooled result: on the published scale, and in ``meta`` on the scale of the analysis."""

    value: float
    low: float
    high: float
    prediction_low: float
    prediction_high: float
    meta: MetaAnalysis


@dataclass(frozen=True)
class Panel:
    """Comparable rows, and their pooled result or the reason why there is none."""

    disease: str
    statistic: str
    comparison: str
    horizon_years: float | None
    scale: Scale | None
    benefit: str
    rows: tuple[ForestRow, ...]
    pooled: Pooled | None
    why_not: str


@dataclass(frozen=True)
class Forest:
    """All rows of one controlled endpoint, in panels of comparable rows, fullest pool first."""

    term: Term
    family: Family | None
    statistic: str | None
    panels: tuple[Panel, ...]

    @property
    def rows(self) -> tuple[ForestRow, ...]:
        """Rows of all panels."""
        return tuple(r for p in self.panels for r in p.rows)

    def to_rows(self) -> list[dict[str, Any]]:
        """Plain rows for tables and JSON: the outcomes of a panel, then its summary (``kind: pooled``)."""
        out: list[dict[str, Any]] = []
        for number, p in enumerate(self.panels, start=1):
            common = {"panel": number, "term": self.term.id, "unit": self.term.unit, "scale": p.scale}
            for r in p.rows:
                plain = asdict(r) | {"arms": list(r.arms), "unit": r.unit or self.term.unit}
                out.append(common | {"kind": "outcome"} | plain)
            summary: dict[str, Any] = {
                "disease": p.disease,
                "statistic": p.statistic,
                "comparison": p.comparison,
                "horizon_years": p.horizon_years,
            }
            if p.pooled is None:
                summary |= {"kind": "not_pooled", "why": p.why_not}
            else:
                m = p.pooled.meta
                summary |= {
                    "kind": "pooled",
                    "value": p.pooled.value,
                    "low": p.pooled.low,
                    "high": p.pooled.high,
                    "prediction_low": p.pooled.prediction_low,
                    "prediction_high": p.pooled.prediction_high,
                    "k": m.k,
                    "effect": m.estimate,
                    "se": m.se,
                    "tau2": m.tau2,
                    "i2": m.i2,
                    "q": m.q,
                    "q_p": m.q_p,
                    "method": m.method,
                }
            out.append(common | summary)
        return out


def forest(endpoint: str, family: Family | None = None, statistic: str | None = None) -> Forest:
    """Collect the comparable rows of an endpoint and pool them.

    Rows compare when they share controlled term, disease, statistic, comparison (treatment of the arm, or treatment
    against class of control) and, for quantities that grow with follow-up, the horizon to the nearest year (half
    year below nine months). The pool is REML with the Hartung-Knapp-Sidik-Jonkman interval and takes verified rows
    only; ``recalled`` and sealed rows never enter, nor rows that are not the pre-specified full-population result,
    repeat patients of another row (same study or ``cohort``), come from a meta-analysis, a model or animals, or
    carry no standard error.

    Parameters
    ----------
    endpoint : str
        Controlled term (``neda3``) or a spelling of the evidence (``nea``).
    family : {"ms", "hsct", "cells", "als"}, optional
        Folder of the studies; all without it.
    statistic : str, optional
        Only that statistic.

    Raises
    ------
    InputError
        Unknown endpoint, family or statistic, or no row of them together.

    """
    wanted = term(endpoint)
    if family is not None and family not in get_args(Family):
        raise InputError(f"family '{family}' is not known{did_you_mean(family, get_args(Family))}")
    if statistic is not None and statistic not in get_args(Statistic):
        raise InputError(f"statistic '{statistic}' is not known{did_you_mean(statistic, get_args(Statistic))}")
    found = [
        (s, o)
        for s in studies().values()
        if family in (None, s.family)
        for o in s.outcomes
        if term_of(o.endpoint).id == wanted.id
    ]
    chosen = [(s, o) for s, o in found if statistic in (None, comparable_statistic(o), o.statistic)]
    if not chosen:
        there = sorted({comparable_statistic(o) for _, o in found})
        where = f" in family '{family}'" if family else ""
        fix = f"it has {', '.join(there)}" if there else "ask for another family"
        raise InputError(f"no rows of '{wanted.id}'{where}{f' as {statistic}' if statistic else ''}; {fix}")
    groups: dict[tuple[str, str, str, float], list[tuple[Study, ForestRow]]] = {}
    for s, o in chosen:
        row = _row(s, o, wanted)
        key = (s.disease, row.statistic, row.comparison, -1.0 if row.horizon_years is None else row.horizon_years)
        groups.setdefault(key, []).append((s, row))
    panels = [_panel(rows, wanted) for rows in groups.values()]
    panels.sort(key=lambda p: (-(p.pooled.meta.k if p.pooled else 0), -len(p.rows)))
    return Forest(wanted, family, statistic, tuple(panels))


def treatment_of(s: Study, arm_ids: Iterable[str], full: bool = True) -> str:
    """Treatment that the arms share, else the treatments joined; ``full=False`` gives the class (dmt, placebo)."""
    ids = tuple(arm_ids)
    named = [a for a in s.arms if a.id in ids or any(is_pooled_arm(i) and s.arm(i) is None for i in ids)]
    names = [(a.therapy or "unspecified").split(" (")[0] for a in named]
    return " + ".join(sorted({n if full else n.split(":")[0] for n in names})) or "unspecified"


def comparison_of(s: Study, o: Outcome) -> str:
    """What is compared: treatment against class of control, a change within a treatment, or the treatment alone."""
    if len(o.arms) == 2 and o.statistic in _CONTRASTS | {"direction_only", "p_only"}:
        return f"{treatment_of(s, o.arms[:1])} vs {treatment_of(s, o.arms[1:], full=False)}"
    label = treatment_of(s, o.arms)
    return f"within {label}" if o.statistic in _CONTRASTS else label


def spoken(comparison: str) -> str:
    """Treatments as a reader knows them: a drug is named, not its class; no treatment is no word of the record."""
    words = [w.replace("dmt:", "").replace("_", " ") for w in comparison.split(" vs ")]
    return " vs ".join("no study treatment" if w == "none" else w for w in words)


def horizon_years(time_years: float | None) -> float | None:
    """Horizon at which follow-ups compare: the nearest year, the nearest half year below nine months."""
    if time_years is None:
        return None
    return float(round(time_years)) if time_years >= 0.75 else round(2 * time_years) / 2


def _row(s: Study, o: Outcome, t: Term) -> ForestRow:
    statistic = comparable_statistic(o)
    effect = effect_of(o)
    horizon = horizon_years(o.time_years) if t.timed and statistic in _CUMULATIVE else None
    standing: Standing
    if o.role == "sealed":
        standing, why = "sealed", "values withheld until predicted"
    elif not o.verified:
        standing, why = "recalled", "not yet verified at a source"
    elif o.analysis in CONTEXT_ANALYSES:
        standing, why = "context", f"{str(o.analysis).replace('_', ' ')}, not the pre-specified full-population result"
    else:
        no_effect = effect if isinstance(effect, str) else ""
        standing, why = "listed", _why_not_pooled(s, o, t, statistic, horizon, no_effect)
    low: float | None = None
    high: float | None = None
    number = None if isinstance(effect, str) else effect
    if o.ci95 is not None:
        low, high = o.ci95
    elif number is not None:
        low, high = (back(number.scale, number.value + z * number.se) for z in (-Z95, Z95))
    return ForestRow(
        outcome_id=o.outcome_id,
        study=s.id,
        citation=s.citation,
        family=s.family,
        disease=s.disease,
        cohort=s.cohort,
        arms=o.arms,
        comparison=comparison_of(s, o),
        endpoint=o.endpoint,
        definition=o.definition,
        time_years=o.time_years,
        horizon_years=horizon,
        statistic=statistic,
        unit=o.unit,
        # A count of patients stands in a panel of proportions.
        value=o.value if statistic == o.statistic or not o.n else (o.events or 0) / o.n,
        low=low,
        high=high,
        n=o.n,
        events=o.events,
        effect=None if number is None else number.value,
        se=None if number is None else number.se,
        se_source=None if number is None else number.source,
        analysis=o.analysis,
        verification=o.verification,
        role=o.role,
        standing=standing,
        why=why,
    )


def _why_not_pooled(s: Study, o: Outcome, t: Term, statistic: str, horizon: float | None, no_effect: str) -> str:
    """Why a verified, pre-specified row cannot be pooled; empty if it can."""
    if t.is_other:
        return "the term gathers different quantities"
    if s.kind in ("meta_analysis", "model"):
        return f"a {s.kind.replace('_', '-')} of studies, not a study"
    if s.kind == "preclinical":
        return "not measured in patients"
    if no_effect:
        return no_effect
    if statistic in _CONTRASTS and len(o.arms) == 1:
        return "compares patients within one arm"
    if t.timed and statistic in _CUMULATIVE and horizon is None:
        return "follow-up not stated"
    return ""


def _same_patients(a: tuple[Study, ForestRow], b: tuple[Study, ForestRow]) -> bool:
    """Whether two rows may count a patient twice.

    Arms of a randomised trial are apart; the groups of any other study may overlap.
    """
    (s, x), (z, y) = a, b
    if s.id != z.id:
        return s.cohort is not None and s.cohort == z.cohort
    if s.kind != "rct":
        return True
    return bool(set(x.arms) & set(y.arms)) or any(is_pooled_arm(i) for i in (*x.arms, *y.arms))


def _panel(members: list[tuple[Study, ForestRow]], t: Term) -> Panel:
    # Primary results first, then numbers seen at the source, then the larger group, then the order of the files.
    able = [i for i, (_, r) in enumerate(members) if r.standing == "listed" and not r.why]
    able.sort(
        key=lambda i: (
            members[i][1].analysis != "primary",
            members[i][1].verification != "primary",
            -(members[i][1].n or 0),
            i,
        )
    )
    taken: list[int] = []
    reasons: dict[int, str] = {}
    for i in able:
        twin = next((j for j in taken if _same_patients(members[i], members[j])), None)
        if twin is None:
            taken.append(i)
        else:
            reasons[i] = f"shares patients with {members[twin][1].outcome_id}"
    pooled: Pooled | None = None
    why_not = ""
    first = members[0][1]
    scale = SCALES.get(first.statistic)
    if len(taken) >= 2 and scale is not None:
        picked = [members[i][1] for i in sorted(taken)]
        pairs = [(r.effect, r.se**2) for r in picked if r.effect is not None and r.se is not None]
        m = random_effects([e for e, _ in pairs], [v for _, v in pairs])
        value, low, high, p_low, p_high = (back(scale, x) for x in (m.estimate, *m.ci, *m.prediction))
        pooled = Pooled(value, low, high, p_low, p_high, meta=m)
    else:
        why_not = f"{len(taken) or 'no'} verified row of different patients with a standard error"
        why_not += ", 2 are needed" if scale is not None else f"; a {first.statistic} is not pooled"
        reasons |= dict.fromkeys(taken, "the only row that could be pooled")
        taken = []
    rows = tuple(
        replace(r, standing="pooled", why="") if i in taken else replace(r, why=reasons.get(i, r.why))
        for i, (_, r) in enumerate(members)
    )
    return Panel(
        disease=first.disease,
        statistic=first.statistic,
        comparison=first.comparison,
        horizon_years=first.horizon_years,
        scale=scale,
        benefit=t.benefit_of(first.statistic),
        rows=rows,
        pooled=pooled,
        why_not=why_not,
    )
