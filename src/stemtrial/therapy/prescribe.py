"""From a therapy's name and fields to doses: the one place where a trial asks, so that it names no family.

Starting a regimen in the place of another: give what :func:`stopping` says for the families of the trial, then what
:func:`prescribe` says of each therapy; a drug that is thus stopped and started on one day goes on. Without the stop, it
is given beside what is taken. Orders of one day are given in the order of the list.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from stemtrial.errors import InputError, did_you_mean
from stemtrial.parameters import registry
from stemtrial.therapy import (
    ahsct,
    als_drugs,
    anti_cd20,
    astrocyte,
    depleting,
    drugs,
    msc,
    nsc,
    opc,
    remyelination,
    riluzole,
    steroids,
    treg,
)
from stemtrial.therapy.family import Facts, Failure, Family, FieldError, Harm, Numbers, Order, Settings
from stemtrial.therapy.routes import route, routes_of

_MODULES = (
    ahsct, als_drugs, anti_cd20, astrocyte, depleting, drugs, msc, nsc, opc, remyelination, riluzole, steroids, treg,
)  # fmt: skip
FAMILIES: Mapping[str, Family] = {m.FAMILY.name: m.FAMILY for m in _MODULES}
"""Families by name."""

_OF = {therapy: family for family in FAMILIES.values() for therapy in family.therapies}


def acting_on(disease: str) -> tuple[str, ...]:
    """Names of the families that act on a disease."""
    return tuple(name for name, family in FAMILIES.items() if disease in family.on)


def modelled() -> tuple[str, ...]:
    """Names of the therapies of the catalogue that have a model."""
    return tuple(_OF)


def family_of(name: str) -> str:
    """Name of the family that models a therapy.

    Raises
    ------
    InputError
        If no family models it.
    """
    return _family(name).name


def prescribe(name: str, settings: Settings, facts: Facts, *, parameters: Numbers | None = None) -> list[Order]:
    """Return the doses of one therapy for a group of patients.

    Parameters
    ----------
    name : str
        A therapy of :func:`modelled`.
    settings : mapping
        Fields of the regimen entry, ``day`` among them (0 if left out); ``stop_day`` counts from the same day as
        ``day`` does.
    facts : mapping of str to ndarray, shape (patients,)
        ``edss`` (last rated, MS), ``year`` (calendar year on the day of the entry), ``day`` (day of the entry on the
        patient's clock in the trial); and, where they are known, ``age_years``, ``female`` (0 or 1), ``optimistic``
        (1 where the optimistic hypothesis holds in the patient's trial) and ``centre`` (factor on the action). Missing
        ones mean 40, 0, 0 and 1. No dose is ordered before the day from which ``settings["day"]`` counts.
    parameters : mapping, optional
        One draw; the registered values if left out.

    Returns
    -------
    list of Order
        Days are relative to the day of the entry.

    Raises
    ------
    InputError
        If no family models the therapy, or its fields contradict each other.
    """
    known = parameters if parameters is not None else {k: p.value for k, p in registry().items()}
    return _family(name).prescribe(name, settings, facts, known)  # what is to end, stopping() ends


def refuse_in(disease: str, name: str, settings: Settings) -> None:
    """Refuse a therapy that cannot be given to people with a disease.

    Parameters
    ----------
    disease : str
        Whose patients.
    name : str
        A therapy of :func:`modelled`.
    settings : mapping
        Fields of the regimen entry, as :attr:`Family.check` gets them.

    Raises
    ------
    FieldError
        With the field at fault: no action in that disease, a way that cells do not go there, a segment missing or said
        where there is none.
    """
    family = _family(name)
    if disease not in family.on:
        able = ", ".join(t for f in acting_on(disease) for t in FAMILIES[f].therapies)
        raise FieldError("therapy", f"'{name}' has no model in {disease}; give one of {able}")
    if settings.get("route") is None:
        return
    way, ways = route(str(settings["route"])), routes_of(name, disease)
    if way.name not in ways:
        raise FieldError("route", f"in {disease} '{name}' is not given by '{way.name}'; use {', '.join(ways)}")
    said, known = settings.get("segments"), way.segments.get(disease, {})
    if said is None and known:
        raise FieldError(
            "segments", f"in {disease} needles go into a segment, none is said; say one of {', '.join(known)}"
        )
    if said is not None and said not in known:
        raise FieldError("segments", f"in {disease} '{way.name}' has no segments, '{said}' is said; leave it out")


def refuse_together(names: Sequence[str]) -> None:
    """Refuse therapies that cannot be given to one patient at the same time.

    Parameters
    ----------
    names : sequence of str
        Therapies whose time overlaps.

    Raises
    ------
    InputError
        If a therapy that is not repeatable is named twice, or two of a family that knows only one at a time.
    """
    for a, b in itertools.combinations(names, 2):
        family = _family(a)
        if a == b and family.repeatable:
            continue
        if a == b:
            raise InputError(f"'{a}' is given twice at the same time; name it once, with `dose_ratio` for more")
        if family.exclusive and family is _family(b):
            raise InputError(f"'{a}' and '{b}' act alike and have no model together; give one, or one after the other")


def stopping(families: Collection[str]) -> tuple[str, ...]:
    """Doses that end all that is taken of some families; given before a switch, and nowhere else ordered with a start.

    They carry no amounts.
    """
    return tuple(f.stop for f in FAMILIES.values() if f.name in families and f.stop is not None)


def stops(name: str) -> tuple[str, ...]:
    """Doses that end a therapy and whatever else is taken of its family; none if it cannot be taken back."""
    return stopping((family_of(name),))


def failure_of(name: str, settings: Settings | None = None) -> Failure | None:
    """Who cannot be given a therapy though it is ordered (too few cells harvested, no lot released), or None.

    Parameters
    ----------
    name : str
        A therapy of :func:`modelled`.
    settings : mapping, optional
        Fields of the regimen entry; without them, None where the failure depends on what is ordered.
    """
    failure = _family(name).failure
    if failure is None or failure.times is None:
        return failure
    factor = 0.0 if settings is None else failure.times(name, settings)
    return replace(failure, factor=factor) if factor > 0 else None


def kernel_harms() -> Mapping[str, tuple[Harm, str]]:
    """Event kinds that the kernel logs as harm: what is recorded, and the therapy that caused it."""
    return {kind: (harm, f.therapies[0]) for f in FAMILIES.values() for kind, harm in f.harms.items()}


def _family(name: str) -> Family:
    if name not in _OF:
        raise InputError(f"therapy '{name}' has no model{did_you_mean(name, _OF)}")
    return _OF[name]


__all__ = [
    "FAMILIES", "Failure", "Harm", "Order", "acting_on", "failure_of", "family_of", "kernel_harms", "modelled",
    "prescribe", "refuse_in", "refuse_together", "stopping", "stops",
]  # fmt: skip
