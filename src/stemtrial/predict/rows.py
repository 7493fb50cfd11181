"""What a protocol estimates: one row an estimate, with its statistic and unit, tied to the outcome that it predicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from stemtrial.endpoint import Definition, find
from stemtrial.errors import InputError
from stemtrial.evidence import Outcome, Study, term_of
from stemtrial.trial.parts import CONTRASTS, EndpointUse
from stemtrial.trial.protocol import Protocol

STATISTICS = {
    "cox": "hazard_ratio",
    "logrank": "p_value",
    "kaplan_meier": "km_probability",
    "kaplan_meier_complement": "km_probability",
    "median_time": "median",
    "proportion": "proportion",
    "complement": "proportion",
    "risk_difference": "difference",
    "risk_ratio": "risk_ratio",
    "odds_ratio": "odds_ratio",
    "rate": "rate_per_year",
    "negative_binomial": "rate_per_year",
    "rate_difference": "difference",
    "mean": "mean",
    "mean_difference": "difference",
    "crossover_difference": "difference",
    "mean_ratio": "rate_ratio",
    "median": "median",
    "dispersion": "dispersion",
    "slope": "slope_per_year",
    "per_scan": "mean",
    "per_scan_ratio": "rate_ratio",
    "geometric_mean": "geometric_mean",
    "geometric_mean_ratio": "rate_ratio",
    "ancova_difference": "difference",
    "random_slope": "slope_per_year",
    "random_slope_difference": "difference",
    "joint_slope": "slope_per_year",
    "joint_slope_difference": "difference",
    "cafs_mean": "mean",
    "cafs_probability": "proportion",
    "cafs_p_value": "p_value",
}
"""Estimator -> the statistic that it gives, named as in the evidence."""

SECOND = frozenset(
    {
        "complement",
        "crossover_difference",
        "dispersion",
        "kaplan_meier_complement",
        "rate",
        "rate_difference",
        "risk_difference",
        "mean_ratio",
        "geometric_mean_ratio",
        "per_scan",
        "per_scan_ratio",
        "ancova_difference",
        "joint_slope",
        "joint_slope_difference",
    }
)
"""Estimators of a statistic that another estimator gives too: their rows are named after themselves."""

_UNITS = {
    **dict.fromkeys(("dispersion", "cox", "logrank", "cafs_p_value", "risk_ratio", "odds_ratio"), "1"),
    **dict.fromkeys(("mean_ratio", "geometric_mean_ratio", "per_scan_ratio"), "1"),
    **dict.fromkeys(
        ("kaplan_meier", "kaplan_meier_complement", "proportion", "complement", "risk_difference", "cafs_probability"),
        "fraction",
    ),
    **dict.fromkeys(("rate", "negative_binomial", "rate_difference"), "1/y"),
    "median_time": "years",
}
SCALES = {
    ("%", "fraction"): 0.01,
    ("fraction", "%"): 100.0,
    ("years", "months"): 12.0,
    ("years", "weeks"): 365.25 / 7,
    ("1e3", "clones"): 1000.0,
}
"""(unit of the estimator, unit of the publication) -> factor."""
POOLED = "all arms"
"""What a row is called that takes all arms together; no arm can be, for the space."""
NEAR_YEARS = 0.03
"""A published time is rounded: 96 weeks are 1.84 years and stand as 1.85."""


@dataclass(frozen=True)
class Row:
    """What one estimate is: endpoint, estimator, who, when, in which unit; and the outcome that it predicts.

    Parameters
    ----------
    endpoint, estimator : str
        As in the protocol.
    arm : str or tuple of str
        The arm, both arms of a contrast, or :data:`POOLED`.
    time_years : float or None
        Since randomisation; None for the whole follow-up.
    statistic, unit : str
        As the outcome tells it, where there is one.
    outcome_id : str or None
        The outcome that it predicts.
    pooled : tuple of str
        The arms that are taken together, else empty.
    """

    endpoint: str
    estimator: str
    arm: str | tuple[str, str]
    time_years: float | None
    statistic: str
    unit: str
    outcome_id: str | None
    pooled: tuple[str, ...] = ()

    @property
    def arms(self) -> tuple[str, ...]:
        """The arm, both arms of a contrast, or all that are taken together."""
        return self.pooled or ((self.arm,) if isinstance(self.arm, str) else self.arm)

    @property
    def key(self) -> str:
        """A name for columns and files."""
        arm = self.arm if isinstance(self.arm, str) else " - ".join(self.arm)
        told = self.estimator if self.estimator in SECOND else self.statistic
        return "|".join([self.endpoint, told, arm, "" if self.time_years is None else f"{self.time_years:g}"])


def rows_of(protocol: Protocol, study: Study | None) -> list[Row]:
    """Return all estimates of a protocol, in its order; published outcomes are tied to the rows that predict them."""
    outcomes = {o.outcome_id: o for o in study.outcomes} if study else {}
    out: list[Row] = []
    for use in protocol.endpoints.all:
        out += _rows_of_use(protocol, use, outcomes)
    return out


def _rows_of_use(protocol: Protocol, use: EndpointUse, outcomes: Mapping[str, Outcome]) -> list[Row]:
    definition = find(use.id)
    statistic, unit = STATISTICS[use.estimator], unit_of(definition, use.estimator)
    if definition.kind == "change" and statistic in ("mean", "median"):
        statistic = f"{statistic}_change"
    treated = [a for a in protocol.arms if a != protocol.control]
    contrasts = [(a, protocol.control) for a in treated]
    arms: list[str | tuple[str, str]] = list(contrasts) if use.estimator in CONTRASTS else list(protocol.arms)
    times: tuple[float | None, ...] = use.at_years or ((0.0,) if at_baseline(definition) else (None,))
    if use.pooled:
        together = tuple(protocol.arms)
        made = [Row(use.id, use.estimator, POOLED, t, statistic, unit, None, together) for t in times]
        return _tied(made, use, outcomes)
    made = [Row(use.id, use.estimator, arm, t, statistic, unit, None) for t in times for arm in arms]
    if use.estimator == "negative_binomial":
        made += [Row(use.id, use.estimator, c, t, "rate_ratio", "1", None) for t in times for c in contrasts]
    return _tied(made, use, outcomes)


def at_baseline(definition: Definition) -> bool:
    """Whether a definition is read before anything is given."""
    return bool(getattr(definition, "at_baseline", False))


def unit_of(definition: Definition, estimator: str) -> str:
    """Return the unit in which an estimator tells an endpoint."""
    if estimator in _UNITS:
        return _UNITS[estimator]
    if estimator == "slope":
        return f"{definition.unit}/y"
    if estimator == "per_scan":
        return f"{definition.unit}/scan"
    return "relapses" if definition.kind == "rate" else definition.unit


def _tied(rows: list[Row], use: EndpointUse, outcomes: Mapping[str, Outcome]) -> list[Row]:
    """Tie each outcome to the row of its arm and statistic nearest in time, taking over its statistic and unit."""
    out = list(rows)
    for outcome_id in use.predicts:
        o = outcomes.get(outcome_id)
        if o is None:
            raise InputError(f"endpoint '{use.id}' predicts '{outcome_id}', which the study does not have")
        found = [
            (gap, k)
            for k, row in enumerate(rows)
            if _of_same_arms(row, o) and out[k].outcome_id is None and (gap := _years_apart(row, o)) <= NEAR_YEARS
        ]
        if found:
            k = min(found)[1]
            out[k] = told_as(rows[k], o)
    return out


def _of_same_arms(row: Row, o: Outcome) -> bool:
    """Whether estimate and outcome are of the same arms; of a crossover publications name treatments, not orders."""
    if row.estimator == "crossover_difference":
        return len(o.arms) == 2 and o.arms[0] == row.arm[0]
    if row.pooled:  # in any order; groups that a record names by capitals have small letters in a protocol
        return o.arms == ("all",) or sorted(a.lower() for a in o.arms) == sorted(row.pooled)
    return o.arms == row.arms


def _years_apart(row: Row, o: Outcome) -> float:
    """Gap between estimate and publication; 0 where one of them is of the whole follow-up.

    Where a change or a sum counts from a later day, publications date it from there or from randomisation.
    """
    if row.time_years is None:
        return 0.0
    if o.time_years is None and row.time_years == 0:
        return 0.0  # who was recruited: a record need not say when
    if o.time_years is None:
        return 1.0 / (1e6 + row.time_years)  # the last of several times
    definition = find(row.endpoint)
    start = (getattr(definition, "reference_days", None) or getattr(definition, "from_days", None) or 0) / 365.25
    return min(abs(o.time_years - row.time_years), abs(o.time_years - (row.time_years - start)))


def told_as(row: Row, o: Outcome) -> Row:
    """Return the row in the statistic and unit of a publication, where it is the same number told otherwise."""
    statistic, unit, definition = row.statistic, row.unit, find(row.endpoint)
    share = getattr(definition, "change", None) == "fraction"
    if o.statistic == "count" and row.estimator in ("proportion", "complement"):
        statistic, unit = "count", "patients"
    elif o.statistic == "count" and row.estimator == "mean" and definition.kind in ("count", "rate"):
        statistic = "count"  # events of the whole arm
    elif statistic == "mean_change" and (o.statistic == "difference" or (o.statistic == "relative_change" and share)):
        statistic = o.statistic  # of one arm: after minus before
    elif o.statistic == "rate_per_year" and row.estimator == "mean" and at_baseline(definition):
        statistic = o.statistic  # relapses of the year before
    elif o.statistic == "mean" and statistic == "dispersion":
        statistic = o.statistic  # a record without a name for it; its endpoint says what it is
    elif o.statistic == "slope_per_year" and definition.rule == "slope" and unit.endswith("/y"):
        statistic = o.statistic  # of the patients' own slopes, a mean or median
    elif {statistic, o.statistic} in ({"mean", "mean_change"}, {"median", "median_change"}):
        statistic = o.statistic
    elif o.statistic in ("mean", "mean_change") and row.estimator == "median" and "median" in (o.definition or ""):
        statistic = o.statistic  # printed beside means, but a median by its definition
    elif o.statistic == "proportion" and statistic == "km_probability":
        statistic = "proportion"  # a proportion read from a survival curve
    published = o.unit or term_of(o.endpoint).unit
    if row.estimator == "median_time":
        published = next((u for u in ("months", "weeks") if o.endpoint.endswith(f"_{u}")), published)
    if (unit, published) in SCALES:
        unit = published
    return replace(row, statistic=statistic, unit=unit, outcome_id=o.outcome_id)
