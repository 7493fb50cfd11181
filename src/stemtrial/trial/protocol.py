"""The protocol as data: typed, checked, and located in its file.

Names follow ICH M11. The first error in the order of the file is raised, as
``file:line:col: path: what is wrong; the fix``.
"""

from __future__ import annotations

import functools
import importlib.resources
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, Strict, ValidationError, model_validator

from stemtrial.endpoint import definitions, find
from stemtrial.errors import InputError, did_you_mean
from stemtrial.evidence import claims, study
from stemtrial.observe import instruments
from stemtrial.therapy.info import catalogue
from stemtrial.trial.parts import (
    AT_VISITS,
    CONTRASTS,
    MONTH_DAYS,
    PATTERNS,
    Accrual,
    ArmName,
    Blinding,
    Endpoints,
    EndpointUse,
    Part,
    ProtocolName,
    Randomisation,
    Text,
    Visits,
    fail,
)
from stemtrial.trial.population import Population
from stemtrial.trial.regimen import Arm, Treatment
from stemtrial.trial.rules import RuleEntry, WhenRule
from stemtrial.trial.source import Loc, Positions, load_yaml


class Protocol(Part):
    """A trial protocol; load it with :func:`load_protocol`.

    Parameters
    ----------
    protocol : str
        Its name: small letters, digits, ``_`` and ``-``.
    title : str
        One line.
    disease : {"ms"}
        Which model.
    population, accrual, blinding, arms, visits, rules, endpoints
        See the classes.
    design : {"randomised", "single_arm", "observational"}
        Left out: ``randomised`` with a randomisation, ``single_arm`` with one arm. ``observational`` must be said: arms
        are filled by their ``n`` as people enter, and may have populations of their own.
    randomisation : Randomisation, optional
        Needed with more than one arm, unless the design is observational.
    control : str
        The arm that contrasts compare with; the last one when left out.
    analysis_set : dict of str to int
        How many of an arm's ``n`` stay in the trial after randomisation; the others leave on day 0. All of them when
        left out.
    ascertainment : str, optional
        How readily relapses without a lesion are reported: ``blind``, ``open``, ``progressive``, ``paediatric`` or
        ``open_label_transplant``. Left out: ``progressive`` for progressive courses, ``paediatric`` for children,
        ``open_label_transplant`` where patients know that some are transplanted, else ``blind``; with several courses
        it stays out, and holds for each patient by the own course (:meth:`ascertained`).
    relapse_treatment : {"methylprednisolone", "none"}
        What every reported relapse is treated with.
    instruments : tuple of str
        What is measured beside the EDSS, the scan and what the endpoints need.
    reproduces : str, optional
        Id of the published study.
    claims : tuple of str
        Ids of claims (``stemtrial list claims``) that the protocol tells as they are told, without effect.
    beside : tuple of str
        Ids of the studies that show what was really published, without effect.
    sources : dict of str to str
        Path of a value (``accrual.start``; it covers what lies below) to a citation, or to ``assumed`` and why.
    notes : tuple of str
        Remarks, without effect.
    """

    protocol: ProtocolName
    title: Text
    disease: Literal["ms"]
    population: Population
    accrual: Accrual
    blinding: Blinding
    arms: Annotated[Mapping[ArmName, Arm], Field(min_length=1)]
    visits: Visits
    endpoints: Endpoints
    design: Literal["randomised", "single_arm", "observational"] | None = None
    randomisation: Randomisation | None = None
    control: str = ""
    analysis_set: Mapping[str, Annotated[int, Strict(), Field(ge=1)]] = Field(default_factory=dict)
    rules: tuple[RuleEntry, ...] = ()
    ascertainment: Literal["blind", "open", "progressive", "paediatric", "open_label_transplant"] | None = None
    relapse_treatment: Literal["methylprednisolone", "none"] = "methylprednisolone"
    instruments: tuple[str, ...] = ()
    reproduces: Text | None = None
    claims: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    sources: Mapping[str, Text] = Field(default_factory=dict)
    notes: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _fill_defaults(self) -> Protocol:
        sizes = {name: arm.n for name, arm in self.arms.items()}
        courses = {c for arm in self.arms.values() for c in _courses(self, arm)}
        told = {self.ascertained(c) for c in courses}
        default = "randomised" if self.randomisation is not None else "single_arm" if len(self.arms) == 1 else None
        return self.filled(
            control=self.control or list(self.arms)[-1],
            analysis_set=sizes | dict(self.analysis_set),
            design=self.design or default,
            ascertainment=told.pop() if len(told) == 1 else None,
        )

    @model_validator(mode="after")
    def _parts_agree(self) -> Protocol:
        for loc, message in _disagreements(self):
            fail(loc, message)
        return self

    def ascertained(self, course: str) -> str:
        """How readily relapses without a lesion are reported by patients of a course."""
        transplant = any(
            isinstance(e, Treatment) and catalogue()[e.therapy].family == "ahsct"
            for arm in self.arms.values()
            for e in arm.regimen
        )
        told = "open_label_transplant" if self.blinding.patient == "open" and transplant else "blind"
        by_course = {"spms": "progressive", "ppms": "progressive", "paediatric": "paediatric"}
        return self.ascertainment or by_course.get(course, told)

    def population_of(self, arm: str) -> Population:
        """Who is in an arm."""
        return self.population.replaced(self.arms[arm].population)

    @property
    def follow_up_days(self) -> int:
        """Day of the last scheduled visit, without its window."""
        return round(self.visits.months[-1] * MONTH_DAYS)

    def horizon(self, endpoint: str, at_years: float | None) -> float | None:
        """Time at which an estimate is read.

        Parameters
        ----------
        endpoint : str
            Endpoint id.
        at_years : float or None
            Time as the protocol says it.

        Returns
        -------
        float or None
            Planned years of the visit or scan that stands for it (:meth:`Visits.near`), where the endpoint is read at
            a visit or summed over scans; else, and where no visit lies that near, ``at_years``.
        """
        definition = find(endpoint)
        if at_years is None or definition.rule not in ("visit_value", "lesion_count", "lesion_free"):
            return at_years
        month = self.visits.near(at_years, _on_scan(endpoint))
        return at_years if month is None else month / 12

    def identity(self) -> dict[str, Any]:
        """What a run depends on, as plain JSON values.

        Returns
        -------
        dict
            Without title, claims, studies beside, sources and notes; defaults filled in, so that leaving one out or
            writing it down is the same. Mappings whose order matters to a draw (arms, choices) are lists of pairs.
        """
        data = self.model_dump(mode="json", exclude=_WITHOUT_EFFECT)
        for arm in data["arms"].values():
            for entry in arm["regimen"]:
                if "of" in entry:
                    entry["of"] = [list(pair) for pair in entry["of"].items()]
        data["arms"] = [[name, arm] for name, arm in data["arms"].items()]
        return data


_WITHOUT_EFFECT: Any = {
    **dict.fromkeys(("title", "claims", "beside", "sources", "notes"), True),
    "visits": {"weeks", "mri_weeks"},
}


def _courses(p: Protocol, arm: Arm) -> tuple[str, ...]:
    course = p.population.course if arm.population is None else arm.population.course or p.population.course
    return (course,) if isinstance(course, str) else tuple(course)


def _design(p: Protocol) -> Iterator[tuple[Loc, str]]:
    """Yield what does not fit the design."""
    if p.design == "observational":
        if p.randomisation is not None:
            yield ("randomisation",), "means nothing with design: observational, where nobody is randomised; remove it"
        for name, arm in p.arms.items():
            try:
                p.population.replaced(arm.population)
            except ValidationError as e:
                for detail in e.errors(include_url=False):
                    yield ("arms", name, "population", *_loc(detail)), _sentence(detail)
        return
    if p.design == "single_arm" and len(p.arms) > 1:
        yield ("design",), f"single_arm has one arm, the protocol {len(p.arms)}; use randomised or observational"
    elif p.design == "single_arm" and p.randomisation is not None:
        yield ("randomisation",), "means nothing with design: single_arm; remove it"
    elif p.design != "single_arm" and p.randomisation is None:
        what = "is missing; several arms need a ratio and block_sizes, or design: observational"
        yield ("randomisation",), what if len(p.arms) > 1 else "is missing; design: randomised needs it"
    for name, arm in p.arms.items():
        if arm.population is not None:
            what = "is for arms of design: observational; randomised arms come from one population, so remove it"
            yield ("arms", name, "population"), what


def _evidence(p: Protocol) -> Iterator[tuple[Loc, str]]:
    """Yield claims and studies that the evidence does not hold."""
    for i, name in enumerate(p.claims):
        if name not in claims():
            yield ("claims", i), f"claim '{name}' is not known{did_you_mean(name, claims())}"
    for i, name in enumerate(p.beside):
        try:
            study(name)
        except InputError as e:
            yield ("beside", i), str(e)


def _disagreements(p: Protocol) -> Iterator[tuple[Loc, str]]:
    """Yield what is wrong between the parts of a protocol."""

    def unknown_arm(name: str) -> str:
        return f"arm '{name}' does not exist{did_you_mean(name, p.arms)}"

    yield from _design(p)
    if p.randomisation is not None:
        for name in p.randomisation.ratio:
            if name not in p.arms:
                yield ("randomisation", "ratio", name), unknown_arm(name)
        for name in p.arms:
            if name not in p.randomisation.ratio:
                yield ("randomisation", "ratio"), f"lacks the arm '{name}'; add its share"
    if p.control not in p.arms:
        yield ("control",), unknown_arm(p.control)
    for name, n in p.analysis_set.items():
        if name not in p.arms:
            yield ("analysis_set", name), unknown_arm(name)
        elif n > p.arms[name].n:
            yield ("analysis_set", name), f"{n} is more than the {p.arms[name].n} randomised; use at most that"

    last = p.visits.months[-1]
    for name, arm in p.arms.items():
        for i, entry in enumerate(arm.regimen):
            begins = entry.begins if isinstance(entry, Treatment) else entry.day
            if begins > p.follow_up_days:
                made = f" and {begins - entry.day} days of making it" if begins > entry.day else ""
                loc = ("arms", name, "regimen", i, "day")
                yield loc, f"day {entry.day}{made} is after the last visit, day {p.follow_up_days}; start earlier"
    for i, rule in enumerate(p.rules):
        if rule.from_month >= last > 0:
            yield ("rules", i, "from_month"), f"{rule.from_month:g} is not before the last visit, {last:g}; use less"
        for below, name in rule.named():
            if name not in p.arms:
                yield ("rules", i, *below), unknown_arm(name)
        if isinstance(rule, WhenRule) and rule.action == "cross_over" and isinstance(rule.to, str):
            if rule.to not in p.arms:
                yield ("rules", i, "to"), unknown_arm(rule.to)
            elif rule.to in [name for _, name in rule.named()] or len(p.arms) == 1:
                yield ("rules", i, "to"), f"'{rule.to}' is the arm itself; name another arm"
    for below, endpoint in p.endpoints.located():
        yield from _endpoint_disagreements(p, ("endpoints", *below), endpoint)
    for i, name in enumerate(p.instruments):
        if name not in instruments():
            yield ("instruments", i), f"instrument '{name}' is not known{did_you_mean(name, instruments())}"
    yield from _evidence(p)
    paths = list(_paths(p.model_dump(exclude={"title", "sources", "notes"})))
    for path in p.sources:
        if path not in paths:
            yield ("sources", path), f"no such path{did_you_mean(path, paths)}"


def _on_scan(endpoint: str) -> bool:
    """Whether an endpoint is read on scans; False for ids that are not defined here."""
    definition = definitions().get(endpoint)
    return definition is not None and (
        getattr(definition, "table", "") == "mri" or definition.rule in ("lesion_count", "lesion_free")
    )


def _endpoint_disagreements(p: Protocol, loc: Loc, endpoint: EndpointUse) -> Iterator[tuple[Loc, str]]:
    if endpoint.estimator in CONTRASTS and len(p.arms) < 2:
        yield (*loc, "estimator"), f"{endpoint.estimator} compares two arms, there is one; use another estimator"
    on_scan = _on_scan(endpoint.id)
    last = p.visits.months[-1]
    for i, year in enumerate(endpoint.at_years):
        if year * 12 > last and p.visits.near(year) is None:
            at = f"week {p.visits.weeks[-1]:g}" if p.visits.weeks else f"month {last:g}"
            yield (*loc, "at_years", i), f"{year:g} is after the last visit, {at}; use less"
        elif endpoint.estimator in AT_VISITS and p.visits.near(year, on_scan) is None:
            prefix = "mri_" if on_scan and p.visits.near(year) is not None else ""
            at = f"week {year * 52:g}" if p.visits.weeks else f"month {year * 12:g}"
            unit = f"{prefix}weeks" if p.visits.weeks else f"{prefix}months"
            what = "scan" if prefix else "visit"
            yield (*loc, "at_years", i), f"{year:g} years is near no {what}; add {at} to visits.{unit}"
    for i, outcome in enumerate(endpoint.predicts):
        study = outcome.partition("#")[0]
        if study != p.reproduces:
            yield (*loc, "predicts", i), f"'{outcome}' is not of the study in 'reproduces' ({p.reproduces}); name one"


def _paths(value: Any, prefix: str = "") -> Iterator[str]:
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    for key, below in items:
        path = f"{prefix}.{key}" if prefix else str(key)
        yield path
        yield from _paths(below, path)


def protocol_names() -> list[str]:
    """Names of the protocols that come with the package, sorted."""
    return sorted(_packaged())


@functools.cache
def _packaged() -> dict[str, Path]:
    folder = Path(str(importlib.resources.files("stemtrial.trial").joinpath("protocols")))
    return {path.stem: path for path in folder.glob("*.yaml")}


def load_protocol(path_or_name: str | os.PathLike[str], endpoint_ids: Collection[str] | None = None) -> Protocol:
    """Load and check a protocol.

    Parameters
    ----------
    path_or_name : str or path
        A path, or the bare name (no folder, no ``.yaml``) of a protocol that comes with the package.
    endpoint_ids : collection of str, optional
        The endpoint ids that are valid; those of :func:`stemtrial.endpoint.definitions` when left out.

    Raises
    ------
    InputError
        For the first error in the order of the file, as ``file:line:col: path: what is wrong; the fix``.
    """
    if isinstance(path_or_name, str) and not any(c in path_or_name for c in "/\\.\0"):
        if path_or_name not in _packaged():
            raise InputError(f"protocol '{path_or_name}' is not known{did_you_mean(path_or_name, _packaged())}")
        path_or_name = _packaged()[path_or_name]
    data, positions = load_yaml(path_or_name)
    if not isinstance(data, Mapping):
        raise positions.error((), "a protocol is a mapping; write 'protocol: name' lines")
    try:
        return Protocol.model_validate(data, context={"endpoint_ids": endpoint_ids})
    except ValidationError as e:
        raise _first(e, positions) from None


def _first(error: ValidationError, positions: Positions) -> InputError:
    found = []
    for detail in error.errors(include_url=False):
        loc = _loc(detail)
        found.append((positions.at(loc), loc, _sentence(detail)))
    _, loc, message = min(found, key=lambda item: item[0])
    return positions.error(loc, message)


def _loc(detail: Any) -> Loc:
    return tuple(part for part in detail["loc"] if not str(part).startswith("<") and part != "[key]")


_KINDS = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "mapping_type": "a mapping, 'name: value'",
    "model_type": "a mapping, 'name: value'",
}


def _sentence(detail: Any) -> str:
    """Pydantic's message as rule, value and fix."""
    if detail["type"] == "protocol":
        return str(detail["ctx"]["message"])
    if detail["type"] == "missing":
        return "is missing; add it"
    value = repr(detail["input"])
    value = value if len(value) <= 60 else value[:57] + "..."
    if detail["type"] == "literal_error" and isinstance(detail["input"], str):
        valid = [word.strip("' ") for word in detail["ctx"]["expected"].replace(" or ", ", ").split(",")]
        return f"{value} is not known{did_you_mean(detail['input'], valid)}"
    if detail["type"] in _KINDS:
        return f"must be {_KINDS[detail['type']]}, not {value}; mend it"
    if detail["type"] == "string_pattern_mismatch":
        return f"must be {PATTERNS[detail['ctx']['pattern']]}, not {value}; mend it"
    rule = detail["msg"].replace("Input should be ", "must be ").replace("String should ", "must ")
    return f"{rule[0].lower()}{rule[1:]}, not {value}; mend it"


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a protocol file, for editors; the checks between parts are not in it."""
    schema = Protocol.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema
