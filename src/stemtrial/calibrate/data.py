"""What the fit reads: published outcomes of role fit that a protocol or the natural history predicts.

One datum an outcome. What may be tuned to is fixed in the evidence (``role``: verified, the pre-specified analysis of
everybody, of a study that no one holds out); what says the same twice is left by the rules of
:mod:`stemtrial.calibrate.choice`. The rules are those of ``docs/design/model_review.md``, *Likelihood and score*, and
none of them looks at what the model predicts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from stemtrial.calibrate.choice import choose, why_not_data
from stemtrial.calibrate.datum import Datum, Floats, Kind, Left, Scale, from_scale, on_scale
from stemtrial.calibrate.kin import with_kin
from stemtrial.calibrate.spread import (
    MEDIAN_TIME,
    assumed,
    dispersion,
    effective_n,
    follow_up,
    patients,
    standard_error,
)
from stemtrial.errors import InputError, did_you_mean
from stemtrial.evidence import Outcome, Study, half_unit, studies, term_of
from stemtrial.evidence.schema import CONTEXT_ANALYSES, VALUELESS_STATISTICS
from stemtrial.parameters import registry
from stemtrial.predict.families import families_of, therapies_of_arm
from stemtrial.predict.lanes import lane_of
from stemtrial.predict.natural_history import NATURES, quantities
from stemtrial.predict.natural_quantity import Quantity
from stemtrial.predict.obstacles import refuse
from stemtrial.predict.rows import Row, rows_of
from stemtrial.predict.score import family_of, stated_by_parameters
from stemtrial.therapy import catalogue
from stemtrial.trial.protocol import Protocol, load_protocol, protocol_names

__all__ = ["Datum", "Floats", "Left", "data", "from_scale", "on_scale"]

RATIO_LIMIT = math.log(20)
TIME_LIMIT = math.log(3)
AGE_LIMIT = 30.0
"""Farthest from the published value that a simulated ratio, time and age may lie, on their scales."""
_COMPOSITE = ("nea", "neda", "clinical_disease_activity", "clinical_activity", "treatment_failure", "mri_activity")
_KM = ("kaplan_meier", "kaplan_meier_complement")
_SHARES = (*_KM, "proportion", "complement", "cafs_probability")
_RATES = ("rate", "negative_binomial", "per_scan")


@cache
def _data(disease: str) -> tuple[tuple[Datum, ...], tuple[Left, ...]]:
    known = studies()
    found: dict[str, Datum] = {}
    left: dict[str, str] = {}
    tied: set[str] = set()
    for datum, o, why in [*_of_protocols(disease), *_of_natural_history(disease)]:
        tied.add(o.outcome_id)
        reason = why or why_not_data(datum, o, _fixed(o.outcome_id))
        if reason:
            left.setdefault(o.outcome_id, reason)
        elif o.outcome_id not in found:
            found[o.outcome_id] = datum
    chosen, twice = choose(with_kin(list(found.values())))
    left = {k: v for k, v in left.items() if k not in found} | twice
    for study in known.values():
        if study.disease == disease and study.role == "fit":
            left |= {o.outcome_id: _untied(o) for o in study.outcomes if o.outcome_id not in tied}
    gone = tuple(Left(k, k.partition("#")[0], why) for k, why in left.items())
    return tuple(chosen), gone


def data(disease: str) -> tuple[list[Datum], list[Left]]:
    """Return what the fit of a disease reads, and what it leaves of the studies that it may be tuned to.

    Parameters
    ----------
    disease : {"ms", "als"}
        Which.

    Returns
    -------
    list of Datum
        One an outcome, protocols first, in their order; natural history after them.
    list of Left
        Every other outcome of a study whose role is fit, with the reason. Outcomes of test and sealed studies are in
        neither: they are no matter of the fit.

    Raises
    ------
    InputError
        If the disease is unknown.
    """
    if disease not in NATURES:
        raise InputError(f"disease '{disease}' is not known{did_you_mean(disease, NATURES)}")
    chosen, left = _data(disease)
    return list(chosen), list(left)


def _fixed(outcome_id: str) -> str:
    """The parameter that states an outcome and is not free, else nothing.

    An outcome that a parameter without prior repeats is no data: the model has it by construction. Where the parameter
    has a prior the outcome is data like any other, its name is told in ``Datum.stated_by``, and the prior must not be
    drawn from that outcome as well.
    """
    name = stated_by_parameters().get(outcome_id, "")
    return name if name and not _free(name) else ""


def _free(name: str) -> bool:
    prior = registry()[name].prior
    return bool(prior) and prior.get("dist") != "fixed"


def _untied(o: Outcome) -> str:
    """Why an outcome of a fit study is none of the rows that the fit simulates."""
    if o.statistic in VALUELESS_STATISTICS or o.statistic == "direction" or o.value is None:
        return "carries no number"
    if not o.verified:
        return "recalled, not verified"
    if o.role != "fit":
        told = str(o.analysis).replace("_", " ") if o.analysis in CONTEXT_ANALYSES else "never to be tuned to"
        return f"{told}: not of the fit"
    if family_of(o) in ("population", "design", "measurement"):
        return "no outcome: describes people, design or measurement"
    return "no protocol or quantity of natural history predicts it"


# -- of protocols -----------------------------------------------------------------------------------------------------
def _of_protocols(disease: str) -> Iterator[tuple[Datum, Outcome, str]]:
    known = studies()
    for name in protocol_names():
        try:
            protocol = load_protocol(name)
            refuse(protocol)
        except InputError:
            continue  # told by the scorecard
        study = known.get(protocol.reproduces or "")
        if study is None or study.disease != disease or study.role != "fit":
            continue
        outcomes = {o.outcome_id: o for o in study.outcomes}
        for row in rows_of(protocol, study):
            if row.outcome_id and outcomes[row.outcome_id].role == "fit":
                o = outcomes[row.outcome_id]
                yield _datum_of_row(name, protocol, study, row, o), o, ""


def _datum_of_row(name: str, protocol: Protocol, study: Study, row: Row, o: Outcome) -> Datum:
    given = dict.fromkeys(t for a in row.arms for t in therapies_of_arm(protocol.arms[a]))
    lane = lane_of(protocol.disease, families_of(protocol))
    n = patients(o, study, sum(protocol.analysis_set[a] for a in row.arms))
    time = row.time_years or o.time_years
    last = min(max((x.time_years or 0.0 for x in study.outcomes), default=0.0), protocol.visits.months[-1] / 12)
    years = follow_up(study, time) or (time or last or protocol.visits.months[-1] / 12) * assumed()["followed"]
    scans = len([m for m in protocol.visits.mri_months if m > 0]) or 1
    randomised = protocol.design == "randomised"
    return Datum(
        **_record(study, o), protocol=name, quantity="", lane=lane,
        therapies=tuple(sorted({*given, *(str(catalogue()[t].family) for t in given)})),
        endpoint=row.endpoint, estimator=row.estimator, statistic=row.statistic, unit=row.unit, arms=row.arms,
        control=randomised and row.arms == (protocol.control,), randomised=randomised, time_years=row.time_years,
        **_likelihood(o, study, row.estimator, row.statistic, n, time, years, scans),
    )  # fmt: skip


def _record(study: Study, o: Outcome) -> dict[str, Any]:
    """What the record says of an outcome, whoever predicts it."""
    term = term_of(o.endpoint)
    return {
        "outcome_id": o.outcome_id, "study": study.id, "cohort": study.cohort or study.id, "disease": study.disease,
        "family": term.family, "term": o.endpoint if term.is_other else term.id, "domain": _domain(o),
        "primary": o.analysis == "primary", "stated_by": stated_by_parameters().get(o.outcome_id, ""),
    }  # fmt: skip


def _domain(o: Outcome) -> str:
    term = term_of(o.endpoint)
    if o.endpoint.startswith(_COMPOSITE):
        return "composite"
    if term.family == "mri":
        return "atrophy" if "volume_change" in term.id and not term.id.startswith("t2") else "mri"
    if term.family == "biomarker":
        return "nfl" if o.endpoint.startswith("nfl") else "biomarker"
    return {"safety": "harm"}.get(term.family, term.family)


# -- of natural history -----------------------------------------------------------------------------------------------
def _of_natural_history(disease: str) -> Iterator[tuple[Datum, Outcome, str]]:
    known = studies()
    outcomes = {o.outcome_id: (s, o) for s in known.values() if s.disease == disease for o in s.outcomes}
    for name, q in quantities(disease).items():
        for outcome_id, tie in q.published.items():
            study, o = outcomes[outcome_id]
            if o.role == "fit":
                yield _datum_of_quantity(name, q, study, o), o, _unlike(q, study, o, tie.unlike)


def _unlike(q: Quantity, study: Study, o: Outcome, unlike: str) -> str:
    """Why a published quantity is no datum, else nothing."""
    if unlike:
        return "unlike what is simulated"
    if not patients(o, study):
        return "how many people it is of is not on record"
    return "a time of 0: reached before anybody was seen" if q.unit == "y" and o.value == 0 else ""


def _people(name: str, q: Quantity, study: Study, o: Outcome) -> float:
    """People of a quantity: as recorded; parts of a group, whose sizes are not, count as equal parts of it."""
    n = patients(o, study)
    arm = study.arm(o.arms[0]) if len(o.arms) == 1 else None
    stem = name.rpartition(".")[0]
    compares = q.against is not None or next(iter(q.find)).startswith("hazard_ratio")
    if o.n or compares or not stem or name.endswith(".all"):
        return n
    ids = {x.outcome_id: x for x in study.outcomes}
    parts = {
        i
        for k, other in quantities(study.disease).items()
        if k.rpartition(".")[0] == stem and other.against is None and not k.endswith(".all")
        for i, tie in other.published.items()
        if i in ids and not tie.unlike and (ids[i].arms == o.arms or arm is None or not arm.n)
    }
    return float(round(n / max(1, len(parts))))


def _datum_of_quantity(name: str, q: Quantity, study: Study, o: Outcome) -> Datum:
    kind = next(iter(q.find))
    estimator = {"share": "share", "1/y": "rate_of_lives", "ratio": "ratio_of_lives"}.get(q.unit, kind)
    if o.statistic == "median" and q.unit == "y":
        estimator = "age" if "age" in kind else "time"
    if o.statistic == "median" and q.unit == "share":
        estimator = "median_share"
    n, at = _people(name, q, study, o), q.find.get("at")
    time = float(at) if at is not None else o.time_years
    return Datum(
        **_record(study, o), protocol="", quantity=name, lane="natural history", therapies=(), endpoint=name,
        estimator=kind, statistic=o.statistic, unit=q.unit, arms=o.arms, control=False, randomised=False,
        time_years=time, **_likelihood(o, study, estimator, o.statistic, n, time, time or 1.0, 1),
    )  # fmt: skip


# -- likelihoods ------------------------------------------------------------------------------------------------------
def _likelihood(
    o: Outcome, study: Study, estimator: str, statistic: str, n: float, time: float | None, years: float, scans: int
) -> dict[str, Any]:  # fmt: skip
    """Kind and scale of an outcome, its n, error, rounding and what else its likelihood needs."""
    assert o.value is not None
    n = max(n, 1.0)
    out: dict[str, Any] = {
        "value": o.value,
        "n": n,
        "half_width": half_unit(o, study),
        "se": None,
        "spread": "n",
    }
    counts = o.endpoint.startswith(("gd_lesions", "new_t2", "relapses_per")) and statistic == "mean"
    if estimator in _SHARES or estimator == "share":
        return out | _of_share(o, study, estimator, statistic, n, time)
    if (statistic == "rate_per_year" and estimator != "rate_of_lives") or counts:
        exposure = n * (years if statistic == "rate_per_year" else scans if estimator == "per_scan" else 1.0)
        size, spread = dispersion(o, n, exposure)
        return out | {
            "kind": "negative_binomial", "scale": "log", "exposure": exposure, "size": size, "spread": spread,
            "offset": 0.5 / exposure,
        }  # fmt: skip
    kind, scale = _normal(o, estimator, statistic)
    median = "median" in (estimator, statistic)
    told = standard_error(o, scale, n, median)
    limit = {"log": RATIO_LIMIT, "logit": np.inf, "identity": np.inf}[scale]
    if estimator in ("time", "median_time"):
        limit = TIME_LIMIT if scale == "log" else AGE_LIMIT
        told = told or (MEDIAN_TIME / math.sqrt(n), "n, exponential times")
    elif estimator == "age":
        limit = AGE_LIMIT
    se, spread = told or (None, "kin")
    return out | {"kind": kind, "scale": scale, "se": se, "spread": spread, "limit": limit}


def _normal(o: Outcome, estimator: str, statistic: str) -> tuple[Kind, Scale]:
    assert o.value is not None
    if estimator == "median_share":
        return "logitnormal", "logit"
    logs = statistic.endswith("_ratio") or estimator in ("time", "median_time", "rate_of_lives", "ratio_of_lives")
    logs |= statistic == "geometric_mean"
    return ("lognormal", "log") if logs and o.value > 0 else ("normal", "identity")


def _of_share(
    o: Outcome, study: Study, estimator: str, statistic: str, n: float, time: float | None
) -> dict[str, Any]:  # fmt: skip
    """Shares: counts exactly, Kaplan-Meier probabilities by their interval, else by their effective n."""
    counted = statistic == "count"
    curve = estimator in _KM or (estimator == "share" and o.statistic == "km_probability")
    if not curve:
        return {"kind": "binomial", "scale": "logit", "counted": counted, "spread": "events and n"} | _exact(o, n)
    told = standard_error(o, "logit", n) if o.ci95 or o.ci90 or o.se else None
    effective, where = effective_n(o, study, n, time)
    if told is not None:
        return {"kind": "logitnormal", "scale": "logit", "se": told[0], "spread": told[1], "n": effective}
    return {"kind": "binomial", "scale": "logit", "n": effective, "spread": where}


def _exact(o: Outcome, n: float) -> dict[str, Any]:
    """Counts that are printed need no rounding."""
    assert o.value is not None
    if o.statistic == "count" or (o.events is not None and abs(o.events / n - o.value) <= 0.006):
        return {"half_width": 0.0}
    return {}
