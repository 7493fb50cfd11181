"""The parts of a protocol, each a frozen record that checks itself.

What needs two places of a file, the catalogue of therapies or the list of endpoints is checked by validators, which put
the error where its cause stands (:func:`fail`). :mod:`stemtrial.trial.protocol` puts the parts together.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, NoReturn, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from stemtrial.endpoint import definitions
from stemtrial.errors import did_you_mean
from stemtrial.therapy.info import catalogue
from stemtrial.trial.source import Loc

MONTH_DAYS = 365.25 / 12
WEEK_DAYS = 7.0

# What a pattern means, for the error of who did not meet it.
PATTERNS = {
    r"^[a-z][a-z0-9_]{0,23}$": "a name of at most 24 small letters, digits and _, starting with a letter",
    r"^[a-z0-9][a-z0-9_-]{0,63}$": "a name of at most 64 small letters, digits, _ and -",
    r"^[12][0-9]{3}-(0[1-9]|1[0-2])$": "a month written YYYY-MM",
    r"^[A-Za-z0-9_.-]+#[1-9][0-9]{0,3}$": "an outcome written STUDY#NUMBER",
}
_ARM, _NAME, _MONTH, _OUTCOME = PATTERNS

Number = Annotated[float, Strict()]
Integer = Annotated[int, Strict()]
Positive = Annotated[float, Strict(), Field(gt=0)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
ArmName = Annotated[str, StringConstraints(pattern=_ARM)]
ProtocolName = Annotated[str, StringConstraints(pattern=_NAME)]
Month = Annotated[str, StringConstraints(pattern=_MONTH)]
OutcomeId = Annotated[str, StringConstraints(pattern=_OUTCOME)]

# What each estimator gives, and the kinds of endpoint that it fits (predict/obstacles.py holds the table):
#   cox hazard_ratio | kaplan_meier km_probability, kaplan_meier_complement 1 - it | logrank p_value
#   median_time median (years, or months or weeks where the outcome's name ends so)
#   proportion, complement 1 - it | risk_difference difference | risk_ratio | odds_ratio   (events and status)
#   rate, negative_binomial rate_per_year (the latter rate_ratio too) | rate_difference difference   (rates, counts)
#   crossover_difference difference: both arms had both treatments; half the contrast of the change between the periods
#   mean | mean_difference difference | mean_ratio rate_ratio | median   (values, changes, counts, rates)
#   slope slope_per_year, the mean change a year   (changes)
#   per_scan mean | per_scan_ratio rate_ratio: all lesions over all scans after baseline   (gd_lesions, new_t2_lesions)
#   geometric_mean | geometric_mean_ratio rate_ratio   (positive values)
#   ancova_difference difference: adjusted for baseline   (changes from baseline)
#   random_slope slope_per_year | random_slope_difference difference of slopes a year: mixed model   (trajectories)
#   joint_slope, joint_slope_difference: the same, jointly with survival   (trajectories)
#   cafs_mean mean rank of an arm | cafs_probability proportion of pairs that the treated win | cafs_p_value   (ranks)
# Shares of relapse_free and of the NEDA endpoints are told as *free of* the event by kaplan_meier and proportion, so
# that patients_with_relapse is relapse_free with complement. Worsening is told as *with* it. A status (gd_free) is told
# as its name says.
Estimator = Literal[
    "cox",
    "kaplan_meier",
    "kaplan_meier_complement",
    "logrank",
    "negative_binomial",
    "rate_difference",
    "mean_difference",
    "crossover_difference",
    "mean_ratio",
    "mean",
    "median",
    "dispersion",
    "slope",
    "geometric_mean",
    "geometric_mean_ratio",
    "per_scan",
    "per_scan_ratio",
    "proportion",
    "complement",
    "risk_difference",
    "risk_ratio",
    "odds_ratio",
    "median_time",
    "rate",
    "ancova_difference",
    "random_slope",
    "random_slope_difference",
    "joint_slope",
    "joint_slope_difference",
    "cafs_mean",
    "cafs_probability",
    "cafs_p_value",
]
CONTRASTS = {
    "cox",
    "logrank",
    "mean_difference",
    "crossover_difference",
    "mean_ratio",
    "geometric_mean_ratio",
    "per_scan_ratio",
    "rate_difference",
    "risk_difference",
    "risk_ratio",
    "odds_ratio",
    "ancova_difference",
    "random_slope_difference",
    "joint_slope_difference",
    "cafs_probability",
    "cafs_p_value",
}
AT_VISITS = {
    "mean",
    "mean_difference",
    "ancova_difference",
    "mean_ratio",
    "median",
    "dispersion",
    "slope",
    "geometric_mean",
    "geometric_mean_ratio",
}
_AT_TIMES = {"kaplan_meier", "kaplan_meier_complement", *AT_VISITS}
_WITHOUT_TIMES = {"cox", "logrank", "median_time"}
_COMPARING = {*CONTRASTS, "cafs_mean"}  # a mean rank is one among all arms


def fail(loc: Sequence[str | int], message: str) -> NoReturn:
    """Raise from a validator, at ``loc`` below the model that is being validated."""
    error = PydanticCustomError("protocol", "{message}", {"message": message})
    raise ValidationError.from_exception_data("Protocol", [InitErrorDetails(type=error, loc=tuple(loc), input=None)])


class Part(BaseModel):
    """A frozen record that names the key that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and cls.model_config.get("extra") == "forbid":
            for key in data:
                if key not in cls.model_fields:
                    fail((str(key),), f"unknown key{did_you_mean(str(key), cls.model_fields)}")
        return data

    def filled(self, **values: Any) -> Self:
        """Return a copy with defaults filled in, which still knows what its file held."""
        given = set(self.model_fields_set)
        copy = self.model_copy(update=values)
        copy.model_fields_set.intersection_update(given)
        return copy


class Accrual(Part):
    """When patients enter and when the trial closes, as ``YYYY-MM``.

    Entry is uniform from the first day of ``start`` to the last day of ``end``; nobody is followed after the last day
    of ``closure``.
    """

    start: Month
    end: Month
    closure: Month

    @model_validator(mode="after")
    def _in_order(self) -> Accrual:
        if self.end < self.start:
            fail(("end",), f"{self.end} is before accrual.start {self.start}; put start, end, closure in order")
        if self.closure < self.end:
            fail(("closure",), f"{self.closure} is before accrual.end {self.end}; put start, end, closure in order")
        return self


class Randomisation(Part):
    """Permuted blocks.

    Parameters
    ----------
    ratio : dict of str to int
        Share of each arm.
    block_sizes : tuple of int
        Sizes to draw from, each a multiple of the sum of the ratio.
    """

    ratio: Mapping[str, Annotated[int, Strict(), Field(ge=1, le=100)]]
    block_sizes: Annotated[tuple[Annotated[int, Strict(), Field(ge=1, le=1000)], ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _blocks_hold_the_ratio(self) -> Randomisation:
        total = sum(self.ratio.values())
        for i, size in enumerate(self.block_sizes):
            if size % total:
                fail(("block_sizes", i), f"{size} is no multiple of {total}, the sum of the ratio; use one")
        return self


class Blinding(Part):
    """Who knows the arm: the patient, and the rater of the EDSS or ALSFRS-R."""

    patient: Literal["open", "blind"]
    rater: Literal["open", "blind"]


class Visits(Part):
    """When patients are seen: in ``months``, or in ``weeks`` as many protocols say; one of the two.

    Parameters
    ----------
    months : tuple of float
        Scheduled visits in months (of 365.25/12 days) after randomisation, ascending from 0. Filled in from ``weeks``.
    weeks : tuple of float
        The same in weeks; empty where the file has months.
    window_days : int
        A visit falls up to so many days early or late.
    at_relapse : bool
        Whether a reported relapse brings an extra visit.
    mri_months, mri_weeks : tuple of float
        The visits with a scan, in the unit of the visits; all visits when left out.
    """

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["months"]}, {"required": ["weeks"]}]},
    )

    months: Annotated[tuple[Annotated[float, Strict(), Field(ge=0, le=600)], ...], Field(max_length=500)] = ()
    weeks: Annotated[tuple[Annotated[float, Strict(), Field(ge=0, le=2600)], ...], Field(max_length=500)] = ()
    window_days: Annotated[int, Strict(), Field(ge=0, le=183)] = 0
    at_relapse: Annotated[bool, Strict()] = False
    mri_months: tuple[Number, ...] = ()
    mri_weeks: tuple[Number, ...] = ()

    @model_validator(mode="after")
    def _in_one_unit(self) -> Visits:
        # After each number is checked, so that a wrong one is reported once, where it stands.
        given = self.model_fields_set
        if not self.weeks:
            if self.mri_weeks:
                fail(("mri_weeks",), "needs visits in weeks; use mri_months, or write the visits as weeks")
            if not self.months:
                fail(("weeks" if "weeks" in given else "months",), "is missing; list the visits as months or as weeks")
            return self if "mri_months" in given else self.filled(mri_months=self.months)
        scans = self.mri_weeks if "mri_weeks" in given else self.weeks
        same = {"months": _in_months(self.weeks), "mri_months": _in_months(scans)}
        for name, months in same.items():  # a protocol written out again has both, and they agree
            if name in given and getattr(self, name) != months:
                fail((name,), f"stands beside weeks; remove it and use {name.replace('months', 'weeks')}")
        return self.filled(**same, mri_weeks=scans)

    @model_validator(mode="after")
    def _ascending(self) -> Visits:
        unit = "weeks" if self.weeks else "months"
        one, days = unit[:-1], WEEK_DAYS if self.weeks else MONTH_DAYS
        visits, scans = (self.weeks, self.mri_weeks) if self.weeks else (self.months, self.mri_months)
        if visits[0] != 0:
            fail((unit, 0), f"the first visit is at {one} {visits[0]:g}; begin with 0, the randomisation")
        if len(visits) == 1:
            fail((unit,), f"the randomisation alone follows nobody; add a later {one}")
        for i, (a, b) in enumerate(itertools.pairwise(visits)):
            if b <= a:
                fail((unit, i + 1), f"{b:g} does not come after {a:g}; list the {unit} in ascending order")
            if 2 * self.window_days >= (b - a) * days:
                fail(
                    ("window_days",),
                    f"{self.window_days} days let the visits of {unit} {a:g} and {b:g} change places; "
                    f"use at most {int(((b - a) * days - 1) // 2)}",
                )
        for i, time in enumerate(scans):
            if time not in visits:
                fail((f"mri_{unit}", i), f"{time:g} is no visit; use {unit} of visits.{unit}")
            if i and time <= scans[i - 1]:
                fail((f"mri_{unit}", i), f"{time:g} does not come after {scans[i - 1]:g}; list them ascending")
        return self

    def near(self, at_years: float, scans: bool = False) -> float | None:
        """Month of the follow-up visit that stands for a time.

        Trials say "2 years" for week 96: the nearest visit counts, if it lies within 1.5 months or 10 % of the time.

        Parameters
        ----------
        at_years : float
            Years since randomisation.
        scans : bool
            Only visits with a scan.

        Returns
        -------
        float or None
            ``None`` where no visit lies that near.
        """
        months = [m for m in (self.mri_months if scans else self.months) if m > 0]
        wanted = at_years * 12
        nearest = min(months, key=lambda m: abs(m - wanted), default=-1e9)
        return nearest if abs(nearest - wanted) <= max(1.5, 0.1 * wanted) else None


def _in_months(weeks: Sequence[float]) -> tuple[float, ...]:
    return tuple(w * WEEK_DAYS / MONTH_DAYS for w in weeks)


class EndpointUse(Part):
    """An endpoint, how it is estimated, and which published outcomes that predicts.

    Parameters
    ----------
    id : str
        Endpoint id.
    estimator : str
        One of :data:`Estimator`.
    at_years : tuple of float
        Times of the estimate: needed by kaplan_meier and by means and medians at a visit, refused by cox, logrank
        and median_time and of what is read at baseline, else optional (whole follow-up).
    predicts : tuple of str
        Outcomes of the reproduced study, ``burt2019_mist#7``.
    pooled : bool
        Whether all arms of the protocol are taken together, as small series publish them; else one estimate an arm.
    """

    id: str
    estimator: Estimator
    at_years: tuple[Positive, ...] = ()
    predicts: tuple[OutcomeId, ...] = ()
    pooled: Annotated[bool, Strict()] = False

    @model_validator(mode="after")
    def _fits_its_estimator(self, info: ValidationInfo) -> EndpointUse:
        known = _endpoint_ids(info)
        if self.id not in known:
            fail(("id",), f"endpoint '{self.id}' is not known{did_you_mean(self.id, known)}")
        if getattr(definitions().get(self.id), "at_baseline", False):
            if self.at_years:
                fail(("at_years",), f"means nothing with '{self.id}', which is read at baseline; remove it")
        elif self.estimator in _AT_TIMES and not self.at_years:
            fail(("at_years",), f"is missing; {self.estimator} needs times, e.g. at_years: [1, 2]")
        if self.estimator in _WITHOUT_TIMES and self.at_years:
            fail(("at_years",), f"means nothing with {self.estimator}, which uses the whole follow-up; remove it")
        if self.pooled and self.estimator in _COMPARING:
            fail(("pooled",), f"means nothing with {self.estimator}, which compares arms; remove it")
        for i, (a, b) in enumerate(itertools.pairwise(self.at_years)):
            if b <= a:
                fail(("at_years", i + 1), f"{b:g} does not come after {a:g}; list the years in ascending order")
        return self


class Endpoints(Part):
    """The primary endpoint and the others."""

    primary: EndpointUse
    secondary: tuple[EndpointUse, ...] = ()

    @property
    def all(self) -> tuple[EndpointUse, ...]:
        """Primary first."""
        return (self.primary, *self.secondary)

    def located(self) -> Iterator[tuple[Loc, EndpointUse]]:
        """Each endpoint with its path below ``endpoints``."""
        yield ("primary",), self.primary
        for i, endpoint in enumerate(self.secondary):
            yield ("secondary", i), endpoint

    @model_validator(mode="after")
    def _once_each(self) -> Endpoints:
        uses: set[tuple[str, str, bool]] = set()
        claimed: dict[str, str] = {}
        for loc, endpoint in self.located():
            use = (endpoint.id, endpoint.estimator, endpoint.pooled)
            if use in uses:
                fail((*loc, "id"), f"'{endpoint.id}' with {endpoint.estimator} stands twice; join their at_years")
            uses.add(use)
            for i, outcome in enumerate(endpoint.predicts):
                if outcome in claimed:
                    fail((*loc, "predicts", i), f"'{outcome}' is predicted by '{claimed[outcome]}' already; keep one")
                claimed[outcome] = endpoint.id
        return self


def check_therapy(name: str, loc: Loc, also: tuple[str, ...] = ()) -> None:
    """Fail at ``loc`` unless ``name`` is in the catalogue of therapies; ``also`` joins the suggestions."""
    if name not in catalogue():
        fail(loc, f"therapy '{name}' is not known{did_you_mean(name, [*catalogue(), *also])}")


def check_event(name: str, info: ValidationInfo, loc: Loc) -> None:
    """Fail at ``loc`` unless ``name`` is ``relapse`` or an endpoint id."""
    known = {"relapse", *_endpoint_ids(info)}
    if name not in known:
        fail(loc, f"event '{name}' is not known{did_you_mean(name, known)}")


def _endpoint_ids(info: ValidationInfo) -> Collection[str]:
    given: Collection[str] | None = (info.context or {}).get("endpoint_ids")
    if given is not None:
        return given
    return definitions()
