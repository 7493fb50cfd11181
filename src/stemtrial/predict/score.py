"""How predictions are scored against published outcomes: which rows are headlines, coverage by cohort, the verdict.

The rules are those of ``docs/design/model_review.md``, "Likelihood and score", items 5 to 7, and none of them looks at
how well a row is predicted: what is a headline is decided by the record of the study, by what its protocol says it
predicts, and by what parameters were set on, alone. The scores themselves are in :mod:`stemtrial.predict.metrics`.
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
from stemtrial.predict.metrics import cluster_interval, ratio

Row = dict[str, Any]
LEVELS = (50, 90)
JUDGED_FROM = 15
"""Cohorts below which a family of studies is reported and not judged."""
POOLED_FROM = 25
"""Cohorts below which all studies together are reported and not judged."""
LANES = ("MS drugs", "natural history", "aHSCT", "MSC/NSC", "ALS")
"""Families of studies that the verdict is told for: ``lane`` of a row."""
NAIVE = {"crps_meta": "meta-analytic", "crps_no_change": "no change"}
"""Column with the CRPS of a naive forecaster -> what it is called."""
RATIO_BELOW = 1.0
RATIO_BOUND = 1.05
"""The CRPS ratio lies below the first, and the upper end of its central 80 % interval below the second."""
NOT_AN_OUTCOME = frozenset({"population", "design", "measurement"})
NOT_ESTIMABLE = "not estimable"
SERIOUS = frozenset({"safety", "survival"})
Z = (
    "(published - mean of the replicates) / their standard deviation; of logarithms for hazard, rate, odds and risk "
    "ratios; without the replicates that have no finite value, and absent where those are more than a tenth. The "
    "standard deviation holds what the interval of the row holds."
)


@cache
def stated_by_parameters() -> Mapping[str, str]:
    """Outcomes that the source of a parameter names, ``study#number``: it repeats them, and predicts nothing."""
    return {found: name for name, p in registry().items() for found in re.findall(r"[a-z0-9_]+#[0-9]+", p.source)}


def why_no_headline(o: Outcome, study: Study | None = None) -> str | None:
    """Return why a published outcome cannot be a headline, or None if it can.

    Parameters
    ----------
    o : Outcome
        A row of the record.
    study : Study, optional
        Its study: tells how many patients an outcome without an n of its own is about.
    """
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
    n = o.n if o.n is not None or study is None else patients_of(study, o)
    if family in SERIOUS and o.value == 0 and n is not None and n < 30:
        return "no event in fewer than 30 patients"
    if o.role == "context":
        return "context"
    if o.outcome_id in stated_by_parameters():
        return f"the parameter {stated_by_parameters()[o.outcome_id]} states it"
    return None


def patients_of(study: Study, o: Outcome) -> int | None:
    """Patients that an outcome is about: its own n, else those of its arms together; None where the record is silent.

    Of an arm, the patients who were analysed, else those who entered; of a pooled group, all arms of the study.
    """
    if o.n is not None:
        return o.n
    arms = [study.arm(a) for a in o.arms]
    known = [a for a in arms if a is not None]
    sizes = [a.n_analysed or a.n for a in (known if len(known) == len(arms) else study.arms)]
    return sum(n for n in sizes if n) if all(sizes) else None


def family_of(o: Outcome) -> str:
    """Family of an outcome's endpoint in the vocabulary: disability, relapse, mri, ..."""
    return str(term_of(o.endpoint).family)


def horizon_of(o: Outcome) -> float | None:
    """Half years of follow-up: 1.85 years and two years are one horizon. None: the whole of it."""
    return None if o.time_years is None else round(2 * o.time_years) / 2


def declare(rows: Sequence[Row], studies: Mapping[str, Study]) -> None:
    """Mark the headlines among rows, and the weight of each, in place.

    At most one outcome for each cohort, endpoint family, arm or contrast, and horizon is a headline: the one that the
    study calls primary, else the first in its record. The weights of a cohort sum to 1. All that is read of a
    prediction is whether there is any: a headline that cannot be estimated is not scored, keeps its place, so that no
    other outcome steps in, and is counted (:func:`coverage`).

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
        reason = why_no_headline(o, studies[row["study"]])
        if reason is None and place in taken:
            reason = "another outcome of this endpoint family, arm and time is the headline"
        if reason is None:
            taken.add(place)  # also where the run gives nothing: no other outcome steps in
            reason = NOT_ESTIMABLE if row["agrees"] is None else None
        row["headline"], row["why_not"] = reason is None, reason
    size: defaultdict[str, int] = defaultdict(int)
    for row in rows:
        size[row["cohort"]] += row["headline"]
    for row in rows:
        row["weight"] = 1.0 / size[row["cohort"]] if row["headline"] else 0.0


def _rank(o: Outcome) -> tuple[bool, str, int]:
    study, _, number = o.outcome_id.partition("#")
    return o.analysis != "primary", study, int(number)


def coverage(rows: Iterable[Row], seed: int = 0, judged_from: int = JUDGED_FROM) -> dict[str, Any]:
    """Return how often the 50 and 90 % intervals of the headlines hold the published value, each cohort counting once.

    Of counts few values are possible, and an interval with both ends holds more than it says even where the model is
    right; the same by the randomised PIT, which is exact there, stands beside it.

    Parameters
    ----------
    rows : iterable of dict
        With ``headline, why_not, cohort, inside50, inside90``, and ``pit`` where it is known.
    seed : int
        Of the cluster bootstrap.
    judged_from : int
        Cohorts that it takes to be judged.

    Returns
    -------
    dict
        ``cohorts``, ``outcomes``, ``not_estimable`` (declared, without a prediction); for 50 and 90:
        ``inside<level>``, the mean over cohorts of the share inside, and ``ci90_of_<level>``, its 90 % interval by
        resampling cohorts (None below two); ``by_pit<level>`` and ``ci90_by_pit<level>``, of rows with a PIT;
        ``judged``, whether there are enough cohorts to say more than these numbers.
    """
    given = list(rows)
    heads = [r for r in given if r["headline"]]
    cohorts = {r["cohort"] for r in heads}
    lost = sum(r.get("why_not") == NOT_ESTIMABLE for r in given)
    out: dict[str, Any] = {"cohorts": len(cohorts), "outcomes": len(heads), "not_estimable": lost}
    known = [r for r in heads if r.get("pit") is not None]
    for level in LEVELS:
        inside = _shares((r["cohort"], r[f"inside{level}"]) for r in heads)
        out[f"inside{level}"] = float(np.mean(inside)) if inside else None
        out[f"ci90_of_{level}"] = cluster_interval(inside, 0.9, seed)
        by_pit = _shares((r["cohort"], abs(r["pit"] - 0.5) <= level / 200) for r in known)
        out[f"by_pit{level}"] = float(np.mean(by_pit)) if by_pit else None
        out[f"ci90_by_pit{level}"] = cluster_interval(by_pit, 0.9, seed)
    return out | {"judged": len(cohorts) >= judged_from}


def _shares(marks: Iterable[tuple[str, bool]]) -> list[float]:
    """Share of true marks of each cohort."""
    by_cohort: defaultdict[str, list[bool]] = defaultdict(list)
    for cohort, mark in marks:
        by_cohort[cohort].append(mark)
    return [float(np.mean(m)) for m in by_cohort.values()]


def verdict(rows: Sequence[Row], judged_from: int = POOLED_FROM, seed: int = 0) -> dict[str, Any]:
    """Judge calibration and skill of the headlines by the rules of acceptance.

    The 90 % interval over cohorts of the 90 %-coverage holds 0.90, and that of the 50 %-coverage 0.50; the CRPS ratio
    to each naive forecaster lies below 1, with the upper end of its central 80 % interval below 1.05.

    Parameters
    ----------
    rows : sequence of dict
        As for :func:`coverage`, with ``crps, crps_meta, crps_no_change`` (None where there is no such forecast).
    judged_from : int
        Cohorts that it takes; with fewer the numbers stand without a verdict. A naive forecaster has no forecast of
        some outcomes: a ratio is judged where the whole is, if it has at least 15 cohorts (:data:`JUDGED_FROM`).
    seed : int
        Of the cluster bootstrap.

    Returns
    -------
    dict
        ``coverage`` (:func:`coverage`), ``ratios`` (``crps_meta`` and ``crps_no_change``:
        :func:`~stemtrial.predict.metrics.ratio`), ``rules``: a row for each rule with ``rule, value, interval,
        cohorts, met``; ``passed``: True, False, or None where a rule is not judged and none fails.
    """
    covered = coverage(rows, seed, judged_from)
    rules = []
    for level in reversed(LEVELS):
        ends, enough = covered[f"ci90_of_{level}"], covered["judged"]
        met = bool(ends[0] - 1e-12 <= level / 100 <= ends[1] + 1e-12) if enough and ends else None
        told = f"90 % interval of the {level} %-coverage holds {level / 100:.2f}"
        rules.append(_rule(told, covered[f"inside{level}"], ends, covered["cohorts"], met))
    heads = [r for r in rows if r["headline"]]
    ratios = {}
    for column, name in NAIVE.items():
        own, other = ([np.nan if r.get(c) is None else r[c] for r in heads] for c in ("crps", column))
        found = ratios[column] = ratio(own, other, [r["cohort"] for r in heads], seed)
        ends, enough = found["ci80"], covered["judged"] and found["cohorts"] >= JUDGED_FROM
        met = bool(found["ratio"] < RATIO_BELOW and ends[1] < RATIO_BOUND) if enough and ends else None
        told = f"CRPS ratio to {name} below {RATIO_BELOW:g}, its 80 % upper bound below {RATIO_BOUND:g}"
        rules.append(_rule(told, found["ratio"], ends, found["cohorts"], met))
    marks = [r["met"] for r in rules]
    passed = False if False in marks else None if None in marks else True
    return {"coverage": covered, "ratios": ratios, "rules": rules, "passed": passed}


def _rule(rule: str, value: float | None, interval: list[float] | None, cohorts: int, met: bool | None) -> Row:
    return {"rule": rule, "value": value, "interval": interval, "cohorts": cohorts, "met": met}


def verdicts(rows: Sequence[Row], role: str = "test") -> dict[str, Any]:
    """Return the verdict on all headlines of a role, judged from 25 cohorts, and by lane, each judged from 15.

    Parameters
    ----------
    rows : sequence of dict
        As for :func:`verdict`, with ``role`` and ``lane`` (one of :data:`LANES`).
    role : {"test", "fit"}
        Whose headlines.
    """
    mine = [r for r in rows if r["role"] == role]
    by_lane = {lane: verdict([r for r in mine if r["lane"] == lane], JUDGED_FROM) for lane in LANES}
    return {"all": verdict(mine), "lane": by_lane}


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
