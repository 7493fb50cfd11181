"""Who is recruited, as a protocol says it: courses, care before entry, rules, and whom they resemble."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Strict, Tag, model_validator

from stemtrial.cohort.eligibility import Eligibility, parse_rule
from stemtrial.cohort.variables import VARIABLES
from stemtrial.errors import InputError, did_you_mean
from stemtrial.trial.parts import Number, Part, Positive, fail

CourseName = Literal["rrms", "cis", "spms", "ppms", "paediatric", "als"]
CareName = Literal["none", "platform_drugs", "riluzole"]
Era = Annotated[float, Strict(), Field(ge=0.1, le=5)]
SHARES_SUM = 1e-6
"""How far the shares of courses may be from 1 together."""


class Moments(Part):
    """Mean and, where given, standard deviation of a baseline variable as published."""

    mean: Number
    sd: Positive | None = None


def _course_tag(course: Any) -> str:
    return "<shares>" if isinstance(course, Mapping) else "<course>"


Share = Annotated[float, Strict(), Field(gt=0, le=1)]
Courses = Annotated[
    Annotated[CourseName, Tag("<course>")]
    | Annotated[Mapping[CourseName, Share], Field(min_length=1), Tag("<shares>")],
    Discriminator(_course_tag),
]


class Population(Part):
    """Who is recruited.

    Parameters
    ----------
    course : str or dict of str to float
        Course at entry: ``rrms``, ``cis`` (a first attack), ``spms``, ``ppms`` or ``paediatric`` (relapsing MS
        before adulthood), or ``als``; or the share of each, ``{rrms: 0.48, spms: 0.52}``, of which every trial
        gets its fixed numbers by largest remainder.
    care_before_entry : {"none", "platform_drugs", "riluzole"}
        Treatment policy before the trial: none; in MS a first-line drug once relapses are reported; in ALS riluzole,
        which a share of people take from the diagnosis on and go on taking.
    eligibility : tuple of str
        Rules of :mod:`stemtrial.cohort.eligibility`, all to be met. A rule may speak of one course of several:
        ``course != spms or edss >= 4``.
    era : float, optional
        Activity of the disease in patients recruited in that period, 0.1 to 5 and 1 for about 2007
        (``docs/design/ms_model.md``, section 6.2); by year of entry when left out.
    resemble : dict of str to Moments
        Baseline variables whose mean, and standard deviation if given, recruits are weighted to have at screening
        (:mod:`stemtrial.cohort.resemble`): ``{edss: {mean: 6.1, sd: 0.6}}``.
    """

    course: Courses
    care_before_entry: CareName
    eligibility: tuple[str, ...]
    era: Era | None = None
    resemble: Mapping[str, Moments] = Field(default_factory=dict)

    @property
    def criteria(self) -> Eligibility:
        """The parsed rules."""
        return Eligibility(self.eligibility)

    @property
    def shares(self) -> dict[str, float]:
        """Share of each course, in the order of their names: the order of a file has no effect."""
        return {self.course: 1.0} if isinstance(self.course, str) else dict(sorted(self.course.items()))

    def replaced(self, by: ArmPopulation | None) -> Population:
        """Return the population with the fields that an arm states in the place of its own."""
        if by is None:
            return self
        own = {k: v for k in ArmPopulation.model_fields if (v := getattr(by, k)) is not None}
        return Population.model_validate({k: getattr(self, k) for k in Population.model_fields} | own)

    @model_validator(mode="after")
    def _shares_sum_to_one(self) -> Population:
        total = sum(self.shares.values())
        if abs(total - 1) > SHARES_SUM:
            fail(("course",), f"the shares of the courses sum to {total:.7g}, not 1; mend them")
        return self

    @model_validator(mode="after")
    def _somebody_is_eligible(self) -> Population:
        for course in self.shares:
            rules = [parse_rule(f"course == {course}")]
            for i, text in enumerate(self.eligibility):
                try:
                    rules.append(parse_rule(text))
                    Eligibility(rules)
                except InputError as e:
                    fail(("eligibility", i), str(e))
        return self

    @model_validator(mode="after")
    def _resembled_is_screened(self) -> Population:
        numbers = {k: v for k, v in VARIABLES.items() if not v.choices}
        for name, asked in self.resemble.items():
            if name not in numbers:
                fail(("resemble", name), f"variable '{name}' is not known{did_you_mean(name, numbers)}")
            v = numbers[name]
            if not v.lowest <= asked.mean <= v.highest:
                fail(
                    ("resemble", name, "mean"),
                    f"{asked.mean:g} lies outside the range of '{name}', {v.lowest:g} to {v.highest:g} ({v.unit}); "
                    "use a value inside it",
                )
            for side in (">=", "<="):  # a mean lies between the eligible: one of them is as high, one as low
                try:
                    Eligibility([*self.eligibility, f"{name} {side} {asked.mean:g}"])
                except InputError:
                    fail(
                        ("resemble", name, "mean"),
                        f"nobody eligible has {name} {side} {asked.mean:g}, so that no mean can be that; use a value "
                        "that the eligibility allows",
                    )
        return self


class ArmPopulation(Part):
    """Who is in one arm of an observational study; what is left out is the protocol's.

    Parameters
    ----------
    course, care_before_entry, eligibility, era, resemble
        As in :class:`Population`.
    """

    course: Courses | None = None
    care_before_entry: CareName | None = None
    eligibility: tuple[str, ...] | None = None
    era: Era | None = None
    resemble: Mapping[str, Moments] | None = None
