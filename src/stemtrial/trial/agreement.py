"""Whether the parts of a protocol agree with each other and with the evidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from stemtrial.cohort.eligibility import parse_rule
from stemtrial.cohort.recruit import clinic_of
from stemtrial.cohort.variables import VARIABLES
from stemtrial.endpoint import definitions
from stemtrial.endpoint.definition import diseases_of
from stemtrial.errors import InputError, did_you_mean
from stemtrial.evidence import claims, study
from stemtrial.observe import instruments
from stemtrial.therapy.family import FieldError, Settings
from stemtrial.therapy.prescribe import refuse_in
from stemtrial.trial.mistakes import path_of, sentence_of
from stemtrial.trial.parts import AT_VISITS, CONTRASTS, EndpointUse
from stemtrial.trial.regimen import Treatment
from stemtrial.trial.rules import WhenRule
from stemtrial.trial.source import Loc

if TYPE_CHECKING:
    from stemtrial.trial.protocol import Protocol


def disagreements(p: Protocol) -> Iterator[tuple[Loc, str]]:
    """Yield what is wrong between the parts of a protocol."""

    def unknown_arm(name: str) -> str:
        return f"arm '{name}' does not exist{did_you_mean(name, p.arms)}"

    yield from _design(p)
    yield from _of_its_disease(p)
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
        if name not in instruments(p.disease):
            yield ("instruments", i), f"instrument '{name}' is not known{did_you_mean(name, instruments(p.disease))}"
    yield from _evidence(p)
    paths = list(_paths(p.model_dump(exclude={"title", "sources", "notes"})))
    for path in p.sources:
        if path not in paths:
            yield ("sources", path), f"no such path{did_you_mean(path, paths)}"


def on_scan(endpoint: str) -> bool:
    """Whether an endpoint is read on scans; False for ids that are not defined here."""
    definition = definitions().get(endpoint)
    return definition is not None and (
        getattr(definition, "table", "") == "mri" or definition.rule in ("lesion_count", "lesion_free")
    )


def _endpoint_disagreements(p: Protocol, loc: Loc, endpoint: EndpointUse) -> Iterator[tuple[Loc, str]]:
    if endpoint.estimator in CONTRASTS and len(p.arms) < 2:
        yield (*loc, "estimator"), f"{endpoint.estimator} compares two arms, there is one; use another estimator"
    scanned = on_scan(endpoint.id)
    last = p.visits.months[-1]
    for i, year in enumerate(endpoint.at_years):
        if year * 12 > last and p.visits.near(year) is None:
            at = f"week {p.visits.weeks[-1]:g}" if p.visits.weeks else f"month {last:g}"
            yield (*loc, "at_years", i), f"{year:g} is after the last visit, {at}; use less"
        elif endpoint.estimator in AT_VISITS and p.visits.near(year, scanned) is None:
            prefix = "mri_" if scanned and p.visits.near(year) is not None else ""
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
                    yield ("arms", name, "population", *path_of(detail)), sentence_of(detail)
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


def _of_its_disease(p: Protocol) -> Iterator[tuple[Loc, str]]:
    """Yield what means nothing in the disease of the protocol."""
    clinic = clinic_of(p.disease)

    def foreign(what: str, name: str, of: Iterable[str]) -> str:
        return f"{what} '{name}' is not of {p.disease}{did_you_mean(name, tuple(of))}"

    populations: list[tuple[Loc, Any]] = [(("population",), p.population)]
    populations += [(("arms", a, "population"), arm.population) for a, arm in p.arms.items() if arm.population]
    for loc, population in populations:
        courses = () if population.course is None else population.course
        for course in (courses,) if isinstance(courses, str) else courses:
            if course not in clinic.courses:
                yield (*loc, "course"), foreign("course", course, clinic.courses)
        care = population.care_before_entry
        if care is not None and care not in clinic.policies:
            yield (*loc, "care_before_entry"), foreign("care", care, clinic.policies)
        if p.disease != "ms" and population.era is not None:
            yield (*loc, "era"), f"means nothing in {p.disease}; remove it"
        known = [name for name, v in VARIABLES.items() if p.disease in v.diseases]
        for i, text in enumerate(population.eligibility or ()):
            for name in sorted(parse_rule(text).variables - set(known)):
                yield (*loc, "eligibility", i), foreign("variable", name, known)
        for name in population.resemble or {}:
            if name not in known:
                yield (*loc, "resemble", name), foreign("variable", name, known)
    if p.disease != "ms":
        yield from _relapses_and_scans(p)
    uses = [(("endpoints", *below, "id"), "endpoint", use.id) for below, use in p.endpoints.located()]
    uses += [(loc, "event", name) for loc, name in _waited_for(p)]
    for loc, what, name in uses:
        if name in definitions() and p.disease not in diseases_of(name):
            yield loc, foreign(what, name, [k for k in definitions() if p.disease in diseases_of(k)])
    for loc, therapy, settings in given(p):
        try:
            refuse_in(p.disease, therapy, settings)
        except FieldError as e:
            yield (*loc, *(() if loc[-1] in ("of", "switch_to") else (e.field,))), str(e)


def _waited_for(p: Protocol) -> Iterator[tuple[Loc, str]]:
    """Yield each event that a rule or a choice waits for, with its path."""
    found: list[tuple[Loc, Any]] = [
        (("rules", i, key), getattr(rule, key, None)) for i, rule in enumerate(p.rules) for key in ("when", "after")
    ]
    found += [
        (("arms", name, "regimen", i, "switch_on"), getattr(entry, "switch_on", None))
        for name, arm in p.arms.items()
        for i, entry in enumerate(arm.regimen)
    ]
    yield from ((loc, event) for loc, event in found if event is not None)


def _relapses_and_scans(p: Protocol) -> Iterator[tuple[Loc, str]]:
    """Yield what a protocol says of relapses and scans, which its disease does not have."""
    none = f"there are no relapses in {p.disease}; "
    for loc, event in _waited_for(p):
        if event == "relapse":
            yield loc, f"{none}name an endpoint"
    if p.visits.at_relapse:
        yield ("visits", "at_relapse"), f"{none}remove it"
    if p.relapse_treatment == "none":
        yield ("relapse_treatment",), f"{none}remove it"
    if p.ascertainment is not None:
        yield ("ascertainment",), f"{none}remove it"
    if p.visits.mri_months != p.visits.months:
        key = "mri_weeks" if p.visits.weeks else "mri_months"
        yield ("visits", key), f"there are no scans in {p.disease}; remove it"


def given(p: Protocol) -> Iterator[tuple[Loc, str, Settings]]:
    """Yield each therapy that an arm or a rule may give, with its path and its fields."""
    entries: list[tuple[Loc, Any]] = [
        (("arms", name, "regimen", i), e) for name, arm in p.arms.items() for i, e in enumerate(arm.regimen)
    ]
    entries += [(("rules", i, "to"), r.entry) for i, r in enumerate(p.rules) if isinstance(r, WhenRule) and r.entry]
    for loc, entry in entries:
        if isinstance(entry, Treatment):
            yield loc, entry.therapy, entry.settings
        else:
            yield from (((*loc, "of"), name, {}) for name in entry.of)
            if entry.switch_to != "remaining":
                yield (*loc, "switch_to"), entry.switch_to, {}


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
