"""The protocol as data: typed, checked, and located in its file.

Names follow ICH M11. The first error in the order of the file is raised, as
``file:line:col: path: what is wrong; the fix``.
"""

from __future__ import annotations

import functools
import importlib.resources
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, Strict, ValidationError, model_validator

from stemtrial.endpoint import find
from stemtrial.errors import InputError, did_you_mean
from stemtrial.therapy.info import catalogue
from stemtrial.trial.agreement import disagreements, on_scan
from stemtrial.trial.mistakes import path_of, sentence_of
from stemtrial.trial.parts import (
    MONTH_DAYS,
    Accrual,
    ArmName,
    Blinding,
    Endpoints,
    Part,
    ProtocolName,
    Randomisation,
    Text,
    Visits,
    fail,
)
from stemtrial.trial.population import Population
from stemtrial.trial.regimen import Arm, Treatment
from stemtrial.trial.rules import RuleEntry
from stemtrial.trial.source import Positions, load_yaml


class Protocol(Part):
    """A trial protocol; load it with :func:`load_protocol`.

    Parameters
    ----------
    protocol : str
        Its name: small letters, digits, ``_`` and ``-``.
    title : str
        One line.
    disease : {"ms", "als"}
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
        Of MS only; not said in ALS.
    relapse_treatment : {"methylprednisolone", "none"}
        What every reported relapse of MS is treated with.
    instruments : tuple of str
        What is measured beside the EDSS and the scan, or the ALSFRS-R, and what the endpoints need.
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
    disease: Literal["ms", "als"]
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
        told = {self.ascertained(c) for c in courses} if self.disease == "ms" else {self.ascertainment}
        default = "randomised" if self.randomisation is not None else "single_arm" if len(self.arms) == 1 else None
        return self.filled(
            control=self.control or list(self.arms)[-1],
            analysis_set=sizes | dict(self.analysis_set),
            design=self.design or default,
            ascertainment=told.pop() if len(told) == 1 else None,
        )

    @model_validator(mode="after")
    def _parts_agree(self) -> Protocol:
        for loc, message in disagreements(self):
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
        if at_years is None or definition.rule not in AT_VISIT_RULES:
            return at_years
        month = self.visits.near(at_years, on_scan(endpoint))
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


AT_VISIT_RULES = ("visit_value", "lesion_count", "lesion_free", "slope", "trajectory", "joint_rank")
"""Endpoint rules that are read at a visit or scan, or from all up to it."""
_WITHOUT_EFFECT: Any = {
    **dict.fromkeys(("title", "claims", "beside", "sources", "notes"), True),
    "visits": {"weeks", "mri_weeks"},
}


def _courses(p: Protocol, arm: Arm) -> tuple[str, ...]:
    course = p.population.course if arm.population is None else arm.population.course or p.population.course
    return (course,) if isinstance(course, str) else tuple(course)


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
        loc = path_of(detail)
        found.append((positions.at(loc), loc, sentence_of(detail)))
    _, loc, message = min(found, key=lambda item: item[0])
    return positions.error(loc, message)


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a protocol file, for editors; the checks between parts are not in it."""
    schema = Protocol.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema
