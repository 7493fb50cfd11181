"""How predictions are scored against published outcomes: which rows are headlines, z, and coverage by cohort.

The rules are those of ``docs/design/model_review.md``, "Likelihood and score", items 5 to 7, and none of them looks at
how well a row is predicted: what is a headline is decided by the record of the study, and by what parameters were
set on, alone.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from stemtrial.evidence import Outcome, Study, term_of
from stemtrial.evidence.schema import CONTEXT_ANALYSES
from stemtrial.parameters import registry

Row = dict[str, Any]
LEVELS = (50, 90)
RESAMPLES = 2000
JUDGED_FROM = 15
"""Cohorts below which a coverage is reported and not judged."""
NOT_AN_OUTCOME = frozenset({"population", "design", "measurement"})
SERIOUS = frozenset({"safety", "survival"})
Z = (
    "(published - mean of the replicates) / their standard deviation; of logarithms for hazard, rate, odds and risk "
    "ratios; without the replicates that have no finite value, and absent where those are more than a tenth. The "
    "standard deviation is that of sampling alone until a posterior of the parameters exists."
)


@cache
def stated_by_parameters() -> Mapping[str, str]:
    """Outcomes that the source of a parameter names, ``study#number``: it repeats them, and predicts nothing."""
    return {found: name for name, p in registry().items() for found in re.findall(r"[a-z0-9_]+#[0-9]+", p.source)}


def why_no_headline(o: Outcome) -> str | None:
    """Return why a published outcome cannot be a headline, or None if it can."""
    family = term_of(o.endpoint).family
    if o.role == "sealed":
        return "sealed"
    if o.value is None:
        return "no published number"
    if not o.verified:
        return "published value recalled, not verified"
    if o.analysis in CONTEXT_ANALYSES:
        return str(o.analysis).replace("_", " ")
    if o.time_years == 0:
        return "baseline"
    if family in NOT_AN_OUTCOME:
        return "no outcome of treatment"
    if family in SERIOUS and o.value == 0 and o.n is not None and o.n < 30:
        return "no event in fewer than 30 patients"
    if o.role == "context":
        return "context"
    if o.outcome_id in stated_by_parameters():
        return f"the parameter {stated_by_parameters()[o.outcome_id]} states it"
    return None


def family_of(o: Outcome) -> str:
    """Family of an outcome's endpoint in the vocabulary: disability, relapse, mri, ..."""
    return str(term_of(o.endpoint).family)


def horizon_of(o: Outcome) -> float | None:
    """Half years of follow-up: 1.85 years and two years are one horizon. None: the whole of it."""
    return None if o.time_years is None else round(2 * o.time_years) / 2


def declare(rows: Sequence[Row], studies: Mapping[str, Study]) -> None:
    """Mark the headlines among rows, and the weight of each, in place.

    At most one outcome for each cohort, endpoint family, arm or contrast, and horizon is a headline: the one that the
    study calls primary, else the first in its record. The weights of a cohort sum to 1.

    Parameters
    ----------
    rows : sequence of dict
        With ``study``, ``outcome_id``, ``cohort`` and ``agrees``; gets ``headline``, ``why_not`` and ``weight``.
    studies : mapping
        By study id.
    """
    outcomes = {o.outcome_id: o for s in {r["study"] for r in rows} for o in studies[s].outcomes}
    taken: set[tuple[Any, ...]] = set()
    for row in sorted(rows, key=lambda r: _rank(outcomes[r["outcome_id"]])):
        o = outcomes[row["outcome_id"]]
        place = (row["cohort"], family_of(o), o.arms, horizon_of(o))
        reason = why_no_headline(o)
        if reason is None and place in taken:
            reason = "another outcome of this endpoint family, arm and time is the headline"
        if reason is None:
            taken.add(place)  # also where the run gives nothing: no other outcome steps in
            reason = "not estimable" if row["agrees"] is None else None
        row["headline"], row["why_not"] = reason is None, reason
    size: defaultdict[str, int] = defaultdict(int)
    for row in rows:
        size[row["cohort"]] += row["headline"]
    for row in rows:
        row["weight"] = 1.0 / size[row["cohort"]] if row["headline"] else 0.0


def _rank(o: Outcome) -> tuple[bool, str, int]:
    study, _, number = o.outcome_id.partition("#")
    return o.analysis != "primary", study, int(number)


def coverage(rows: Iterable[Row], seed: int = 0) -> dict[str, Any]:
    """Return how often the 50 and 90 % intervals of the headlines hold the published value, each cohort counting once.

    Returns
    -------
    dict
        ``cohorts``, ``outcomes``; for 50 and 90: ``inside<level>``, the mean over cohorts of the share inside, and
        ``ci90_of_<level>``, its 90 % interval by resampling cohorts (None below two); ``judged``, whether there are
        enough cohorts to say more than these numbers.
    """
    by_cohort: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row["headline"]:
            by_cohort[row["cohort"]].append(row)
    out: dict[str, Any] = {"cohorts": len(by_cohort), "outcomes": sum(map(len, by_cohort.values()))}
    pick = np.random.default_rng(seed).integers(0, max(1, len(by_cohort)), (RESAMPLES, len(by_cohort)))
    for level in LEVELS:
        shares = np.array([np.mean([r[f"inside{level}"] for r in mine]) for mine in by_cohort.values()])
        out[f"inside{level}"] = float(shares.mean()) if len(shares) else None
        ends = np.quantile(shares[pick].mean(1), [0.05, 0.95]).tolist() if len(shares) > 1 else None
        out[f"ci90_of_{level}"] = ends
    return out | {"judged": len(by_cohort) >= JUDGED_FROM}


def coverages(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the coverage over all headlines, and by role, endpoint family, endpoint and family of therapies."""
    out: dict[str, Any] = {"all": coverage(rows)}
    for key in ("role", "family", "term"):
        values = sorted({r[key] for r in rows if r["headline"]})
        out[key] = {v: coverage([r for r in rows if r[key] == v]) for v in values}
    given = sorted({t for r in rows if r["headline"] for t in r.get("therapies", ())})
    out["therapy"] = {t: coverage([r for r in rows if t in r.get("therapies", ())]) for t in given}
    return out


def order(row: Row) -> tuple[int, float, str]:
    """Sort key of rows: missed headlines by |z|, headlines that agree, other verified rows, what is not scored."""
    z = abs(row["z"]) if row["z"] is not None else 0.0
    if row["headline"]:
        group = 0 if row["agrees"] is False else 1
    else:
        group = 3 if row["agrees"] is None else 2
    return group, -z, str(row["outcome_id"])
