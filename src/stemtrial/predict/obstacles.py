"""What a valid protocol asks for that cannot be computed, so that it is refused where it stands and not midway."""

from __future__ import annotations

from collections.abc import Iterator

from stemtrial.cohort.recruit import EXAMINED, HISTORY
from stemtrial.endpoint import Definition, definitions, find
from stemtrial.errors import InputError, did_you_mean
from stemtrial.evidence import study
from stemtrial.predict.estimate import rows_of
from stemtrial.therapy import catalogue, drugs
from stemtrial.trial.protocol import Protocol
from stemtrial.trial.regimen import Choice, Treatment
from stemtrial.trial.rules import HazardRule, WhenRule

Loc = tuple[str | int, ...]

_SHARES = ("complement", "odds_ratio", "proportion", "risk_difference", "risk_ratio")
_MEANS = ("mean", "mean_difference", "mean_ratio", "median")
_ABOVE_ZERO = ("pg/ml", "s", "ms")
"""Units of measurements that are never 0, so that they have logarithms."""
_RATES = ("negative_binomial", "rate", "rate_difference")

ESTIMATORS = {
    "time_to_event": ("cox", "kaplan_meier", "kaplan_meier_complement", "logrank", "median_time", *_SHARES),
    "status": _SHARES,
    "value": _MEANS,
    "change": (*_MEANS, "slope"),
    "count": (*_MEANS, *_RATES),
    "rate": (*_MEANS, *_RATES),
}
"""Estimators that fit each kind of endpoint; another would give a number under a wrong name."""


def estimators_of(definition: Definition) -> tuple[str, ...]:
    """Return the estimators that fit an endpoint."""
    kind, column = definition.kind, getattr(definition, "column", "")
    if definition.rule == "lesion_count" or (kind == "value" and column in ("gd_lesions", "new_t2_lesions")):
        return (*ESTIMATORS[kind], "per_scan", "per_scan_ratio")
    if kind == "value" and definition.unit in _ABOVE_ZERO:
        return (*ESTIMATORS[kind], "geometric_mean", "geometric_mean_ratio")
    # what is measured as a change since the baseline scan is a change
    return ESTIMATORS["change" if column.endswith("_change_pct") else kind]


def obstacles(protocol: Protocol) -> Iterator[tuple[Loc, str]]:
    """Yield what stands in the way of running a protocol, as (path in its file, rule and fix).

    Parameters
    ----------
    protocol : Protocol
        Valid as a file.
    """
    for i, rule in enumerate(protocol.population.criteria.rules):
        unknown = sorted(rule.variables - HISTORY - EXAMINED)
        if unknown:
            valid = did_you_mean(unknown[0], HISTORY | EXAMINED)
            yield ("population", "eligibility", i), f"screening does not measure '{unknown[0]}' yet{valid}"
    for arm, a in protocol.arms.items():
        for i, entry in enumerate(a.regimen):
            loc: Loc = ("arms", arm, "regimen", i)
            if not isinstance(entry, Choice):
                yield from _unmodelled(entry.therapy, (*loc, "therapy"), whole=True)
                continue
            for name in entry.of:
                yield from _unmodelled(name, (*loc, "of", name))
            if entry.switch_on not in (None, "relapse"):
                yield (*loc, "switch_on"), f"a switch on '{entry.switch_on}' is not computed yet; use relapse"
            if entry.switch_to != "remaining":
                yield from _unmodelled(entry.switch_to, (*loc, "switch_to"))
    for i, when in enumerate(protocol.rules):
        if isinstance(when, WhenRule):
            yield from _rule(when, ("rules", i))
        if isinstance(when, HazardRule) and (when.named() or when.after):
            yield ("rules", i), "drop-out by arm or after an event is not computed yet; leave arm and after out"
    yield from _endpoints(protocol)


def _endpoints(protocol: Protocol) -> Iterator[tuple[Loc, str]]:
    try:
        reproduced = study(protocol.reproduces) if protocol.reproduces else None
    except InputError as e:
        yield ("reproduces",), str(e)
        return
    outcomes = {o.outcome_id: o for o in reproduced.outcomes} if reproduced else {}
    unknown = False
    for below, use in protocol.endpoints.located():
        fits = estimators_of(find(use.id))
        if use.estimator not in fits:
            kind = find(use.id).kind.replace("_", " ")
            what = f"'{use.estimator}' does not fit '{use.id}', which is a {kind}; use {' or '.join(fits)}"
            yield ("endpoints", *below, "estimator"), what
        for i, outcome in enumerate(use.predicts):
            if outcome not in outcomes:
                unknown = True
                what = f"the study has no outcome '{outcome}'{did_you_mean(outcome, outcomes)}"
                yield ("endpoints", *below, "predicts", i), what
    if unknown:
        return
    tied = {r.outcome_id: r for r in rows_of(protocol, reproduced)}
    for below, use in protocol.endpoints.located():
        for i, outcome in enumerate(use.predicts):
            o, row = outcomes[outcome], tied.get(outcome)
            loc: Loc = ("endpoints", *below, "predicts", i)
            if row is None:
                at = "" if o.time_years is None else f" at year {o.time_years:g}"
                what = f"'{outcome}' is of {' and '.join(o.arms)}{at}, which no estimate here is; mend at_years or arms"
                yield loc, what
            elif row.statistic != o.statistic:
                what = f"'{outcome}' is a {o.statistic}, {use.estimator} gives a {row.statistic}; use another estimator"
                yield loc, what


def refuse(protocol: Protocol) -> None:
    """Raise the first obstacle.

    Raises
    ------
    InputError
        With the path in the protocol, the rule and the fix.
    """
    for loc, message in obstacles(protocol):
        raise InputError(f"{'.'.join(map(str, loc))}: {message}")


def _unmodelled(name: str, loc: Loc, whole: bool = False) -> Iterator[tuple[Loc, str]]:
    valid = (*(["ahsct"] if whole else []), *drugs.DRUGS)
    if name in valid:
        return
    if catalogue()[name].family == "steroid":
        yield loc, f"'{name}' is given for every reported relapse already, and has no other model; remove it"
    elif name == "ahsct":
        yield loc, f"'{name}' can be given by an arm only; name one of {', '.join(valid)}"
    else:
        yield loc, f"therapy '{name}' is in the catalogue, but has no model yet; valid: {', '.join(valid)}"


def _rule(rule: WhenRule, loc: Loc) -> Iterator[tuple[Loc, str]]:
    waits = [k for k, d in definitions().items() if d.kind == "time_to_event"]
    if rule.when not in waits:
        yield (*loc, "when"), f"'{rule.when}' is no event that a visit can show; valid: {', '.join(waits)}"
    if rule.action in ("add", "stop") or isinstance(rule.entry, Choice):
        yield (*loc, "action"), f"'{rule.action}' is not computed yet; use cross_over, switch or withdraw"
    if isinstance(rule.to, Treatment) or (rule.action == "switch" and rule.to is not None):
        yield from _unmodelled(rule.to if isinstance(rule.to, str) else rule.to.therapy, (*loc, "to"))
