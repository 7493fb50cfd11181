"""What a valid protocol asks for that cannot be computed, so that it is refused where it stands and not midway."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stemtrial.endpoint import Definition, definitions, find, needs
from stemtrial.errors import InputError, did_you_mean
from stemtrial.evidence import study
from stemtrial.observe import instruments
from stemtrial.predict.courses import RANKS, SLOPES
from stemtrial.predict.estimate import rows_of
from stemtrial.therapy import catalogue, modelled
from stemtrial.therapy.prescribe import refuse_together
from stemtrial.trial.dosing import taken_with
from stemtrial.trial.entry import therapies_of
from stemtrial.trial.protocol import Protocol
from stemtrial.trial.regimen import Choice, Treatment
from stemtrial.trial.rules import HazardRule

Loc = tuple[str | int, ...]

_SHARES = ("complement", "odds_ratio", "proportion", "risk_difference", "risk_ratio")
_MEANS = ("mean", "mean_difference", "mean_ratio", "median")
_COUNTED = (*_MEANS, "dispersion")
_GEOMETRIC = ("geometric_mean", "geometric_mean_ratio")
_ABOVE_ZERO = ("pg/ml", "s", "ms")
"""Units of measurements that are never 0, so that they have logarithms."""
_RATES = ("negative_binomial", "rate", "rate_difference")

ESTIMATORS = {
    "time_to_event": ("cox", "kaplan_meier", "kaplan_meier_complement", "logrank", "median_time", *_SHARES),
    "status": _SHARES,
    "value": _MEANS,
    "change": (*_MEANS, "slope"),
    "count": (*_COUNTED, *_RATES),
    "rate": (*_MEANS, *_RATES),
    "trajectory": (*SLOPES, *(f"{s}_difference" for s in SLOPES)),
    "rank": RANKS,
}
"""Estimators that fit each kind of endpoint; another would give a number under a wrong name."""


def estimators_of(definition: Definition) -> tuple[str, ...]:
    """Return the estimators that fit an endpoint."""
    kind, column = definition.kind, getattr(definition, "column", "")
    if definition.rule == "lesion_count" and (column == "gd_lesions" or getattr(definition, "from_days", 0)):
        return _COUNTED  # a sum over some scans is no rate
    on_scans = getattr(definition, "table", "") == "mri" and column in ("gd_lesions", "new_t2_lesions")
    if definition.rule == "lesion_count" or (kind == "value" and on_scans):
        return (*ESTIMATORS[kind], "per_scan", "per_scan_ratio")
    if kind == "value" and definition.unit in _ABOVE_ZERO:
        return (*ESTIMATORS[kind], *_GEOMETRIC)
    if kind == "change" and definition.rule == "visit_value":
        if definition.change == "ratio":
            return (*_MEANS, *_GEOMETRIC)
        return (*ESTIMATORS[kind], "crossover_difference" if definition.reference_days else "ancova_difference")
    if kind == "change" and definition.rule == "slope":
        return _MEANS
    # what is measured as a change since the baseline scan is a change
    return ESTIMATORS["change" if kind == "value" and column.endswith("_change_pct") else kind]


def obstacles(protocol: Protocol) -> Iterator[tuple[Loc, str]]:
    """Yield what stands in the way of running a protocol, as (path in its file, rule and fix).

    Parameters
    ----------
    protocol : Protocol
        Valid as a file.
    """
    for arm, a in protocol.arms.items():
        yield from _regimen(a.regimen, ("arms", arm, "regimen"))
    for i, step in enumerate(protocol.rules):
        if isinstance(step, HazardRule):
            if step.after is not None:
                yield from _event(step.after, ("rules", i, "after"))
            continue
        yield from _event(step.when, ("rules", i, "when"))
        if step.entry is not None:
            yield from _entry(step.entry, ("rules", i, "to"))
            if step.action == "add" and isinstance(step.entry, Treatment) and not list(_entry(step.entry, ())):
                for arm in step.of(tuple(protocol.arms)):
                    given = [e for e in protocol.arms[arm].regimen if isinstance(e, Treatment)]
                    still = [e.therapy for e in given if "stop_day" not in e.settings and _goes_on(e.therapy)]
                    yield from _together([*still, step.entry.therapy], ("rules", i, "to"))
    if protocol.relapse_treatment == "none" and "methylprednisolone" in therapies_of(protocol):
        what = "'none' has no model beside the methylprednisolone that the protocol gives; remove one of the two"
        yield ("relapse_treatment",), what
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
        yield from _unmeasured(use.id, ("endpoints", *below, "id"))
        fits = estimators_of(find(use.id))
        if use.estimator not in fits:
            kind = find(use.id).kind.replace("_", " ")
            what = f"'{use.estimator}' does not fit '{use.id}', which is a {kind}; use {' or '.join(fits)}"
            yield ("endpoints", *below, "estimator"), what
        if use.estimator == "crossover_difference" and len(protocol.arms) != 2:
            what = f"a crossover has 2 arms, the protocol {len(protocol.arms)}; use mean_difference"
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


def _regimen(entries: Sequence[Treatment | Choice], loc: Loc) -> Iterator[tuple[Loc, str]]:
    for i, entry in enumerate(entries):
        yield from _entry(entry, (*loc, i))
        if list(_entry(entry, loc)):
            continue
        names = [entry.therapy] if isinstance(entry, Treatment) else list(entry.of)
        for name in names:
            yield from _together([*taken_with(entries, i), name], (*loc, i, "therapy"))


def _goes_on(name: str) -> bool:
    return catalogue()[name].entry == "continuous"


def _together(names: Sequence[str], loc: Loc) -> Iterator[tuple[Loc, str]]:
    for before in names[:-1]:
        try:
            refuse_together([before, names[-1]])
        except InputError as e:
            yield loc, str(e)
            return


def _entry(entry: Treatment | Choice, loc: Loc) -> Iterator[tuple[Loc, str]]:
    if isinstance(entry, Treatment):
        yield from _unmodelled(entry.therapy, (*loc, "therapy"))
        return
    for name in entry.of:
        yield from _unmodelled(name, (*loc, "of", name))
    if entry.switch_on is not None:
        yield from _event(entry.switch_on, (*loc, "switch_on"))
    if entry.switch_to != "remaining":
        yield from _unmodelled(entry.switch_to, (*loc, "switch_to"))
        needed = [key for key, field in catalogue()[entry.switch_to].fields.items() if field.required]
        if needed:
            what = f"'{entry.switch_to}' needs the field '{needed[0]}', which a choice cannot give; use a rule"
            yield (*loc, "switch_to"), what


def _unmodelled(name: str, loc: Loc) -> Iterator[tuple[Loc, str]]:
    if name not in modelled():
        yield loc, f"therapy '{name}' is in the catalogue, but has no model yet{did_you_mean(name, modelled())}"


def _event(name: str, loc: Loc) -> Iterator[tuple[Loc, str]]:
    waits = ["relapse", *(k for k, d in definitions().items() if d.kind == "time_to_event")]
    if name not in waits:
        yield loc, f"'{name}' is no event that a visit can show{did_you_mean(name, waits)}"
    elif name != "relapse":
        yield from _unmeasured(name, loc)


def _unmeasured(endpoint: str, loc: Loc) -> Iterator[tuple[Loc, str]]:
    for table, columns in needs(endpoint).items():
        for column in sorted(columns):
            if table in ("visits", "mri") and getattr(instruments().get(column), "table", None) != table:
                yield loc, f"'{endpoint}' needs '{column}', which no instrument of table '{table}' measures yet"
