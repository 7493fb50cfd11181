"""Cell products: what they are made from, how, for how long, with what loss; which product cannot be.

Facts lie in ``products.yaml``, each with its source; numbers that a posterior may vary are parameters.
"""

from __future__ import annotations

import functools
import importlib.resources
import math
from collections.abc import Mapping
from typing import Literal

import yaml
from pydantic import Field, model_validator

from stemtrial.errors import InputError, did_you_mean
from stemtrial.parameters import registry
from stemtrial.therapy.family import Failure, FieldError, Given, Harm, HarmEvents, Numbers, Settings
from stemtrial.therapy.info import Record, therapy_info
from stemtrial.therapy.routes import after_dose, routes, routes_of

Share = Literal["viability", "purity", "residual_undifferentiated"]
"""Shares of a product that an entry may state."""

HARVEST = Harm("harvest site pain", 1, False)
"""Pain where marrow, fat, skin or blood is taken."""


class Fact(Record):
    """One number with its source (study id, DOI, or ``assumed``)."""

    value: float
    source: str


class Step(Record):
    """One step of manufacture.

    Attributes
    ----------
    name, source : str
        What is done; where the numbers come from.
    days, least_days : int
        Usual and shortest duration (d).
    fold : float
        Viable cells out per cell in.
    failure : float
        Probability that the lot ends here.
    banked : bool
        Done before anybody ordered.
    """

    name: str
    days: int = Field(ge=0)
    least_days: int = Field(ge=0)
    fold: float = Field(gt=0)
    failure: float = Field(ge=0, lt=1)
    source: str
    banked: bool = False

    @model_validator(mode="after")
    def _shortest_is_not_longer(self) -> Step:
        if self.least_days > self.days:
            raise ValueError(f"least_days {self.least_days} exceed days {self.days}; mend the step")
        return self


class Criterion(Record):
    """What a lot must show before it is released, and the limit, as a laboratory writes it."""

    what: str
    limit: str
    source: str


class Product(Record):
    """One cell product.

    Attributes
    ----------
    name, therapy, label : str
        Name in a protocol, therapy of the catalogue, name in a report.
    tissue : str
        What the cells are made from.
    taken : str, optional
        What is taken from the patient: ``marrow``, ``fat``, ``skin`` or ``blood`` (leukapheresis).
    donor : {"autologous", "allogeneic"}
        The patient, or somebody else.
    prepared : {"fresh", "thawed"}
        As the product is usually given.
    start_1e6 : Fact
        Cells at the first step (1e6).
    steps : tuple of Step
        Manufacture in order.
    release : tuple of Criterion
        Release criteria.
    viability : mapping of str to Fact
        Share alive when given, by preparation; a preparation that is not here is impossible.
    lot_cv : Fact
        Coefficient of variation of potency between lots.
    potency : str
        What the potency assay measures.
    purity, residual_undifferentiated, residual_limit : Fact, optional
        Share of wanted cells; share of cells still pluripotent, and the most at which a lot is released.
    hla_mismatches : Fact, optional
        Usual mismatched antigens of six; an autologous product has none.
    ethics, source : str
        Ethics of the source; where the product is described.
    human : mapping of str to mapping of str to tuple of str
        Studies with human results by disease and route, for the transplant by conditioning.
    """

    name: str
    therapy: str
    label: str
    tissue: str
    taken: Literal["marrow", "fat", "skin", "blood"] | None = None
    donor: Literal["autologous", "allogeneic"]
    prepared: Literal["fresh", "thawed"]
    start_1e6: Fact
    steps: tuple[Step, ...]
    release: tuple[Criterion, ...]
    viability: Mapping[str, Fact]
    lot_cv: Fact
    potency: str
    purity: Fact | None = None
    residual_undifferentiated: Fact | None = None
    residual_limit: Fact | None = None
    hla_mismatches: Fact | None = None
    ethics: str
    source: str
    human: Mapping[str, Mapping[str, tuple[str, ...]]]

    @property
    def autologous(self) -> bool:
        """Whether the cells are the patient's own."""
        return self.donor == "autologous"


@functools.cache
def _all() -> Mapping[str, Mapping[str, Product]]:
    text = importlib.resources.files("stemtrial.therapy").joinpath("products.yaml").read_text(encoding="utf-8")
    return {
        therapy: {n: Product.model_validate(p | {"name": n, "therapy": therapy}) for n, p in entries.items()}
        for therapy, entries in yaml.safe_load(text).items()
    }


def cell_therapies() -> tuple[str, ...]:
    """Therapies of the catalogue that are cell products."""
    return tuple(_all())


def products(therapy: str) -> Mapping[str, Product]:
    """Products of a therapy of the catalogue, by name; none for a drug."""
    return _all().get(therapy, {})


def product(therapy: str, name: str | None = None) -> Product:
    """One product of a therapy; its only one if no name is given.

    Raises
    ------
    InputError
        If the therapy has no such product.
    """
    known = products(therapy)
    if name is None and len(known) == 1:
        return next(iter(known.values()))
    if name is None or name not in known:
        raise InputError(f"'{name}' is no product of '{therapy}'{did_you_mean(str(name), known)}")
    return known[name]


def manufacturing_days(made: Product) -> int:
    """Usual days from order to release; steps of a bank are not waited for."""
    return sum(s.days for s in made.steps if not s.banked)


def shortest_days(made: Product) -> int:
    """Least days from order to release."""
    return sum(s.least_days for s in made.steps if not s.banked)


def failure_probability(made: Product) -> float:
    """Probability that a lot made to order is not released, 1 - prod(1 - f) over the steps that are not banked."""
    return 1.0 - math.prod(1.0 - s.failure for s in made.steps if not s.banked)


def expected_yield(made: Product) -> float:
    """Viable cells of one lot (1e6), of a bank all that one donor gives."""
    return made.start_1e6.value * math.prod(s.fold for s in made.steps)


def preparation(made: Product, settings: Settings) -> str:
    """``fresh`` or ``thawed``: what the entry says, else as the product is usually given."""
    return str(settings.get("preparation", made.prepared))


def hla_mismatches(made: Product, settings: Settings) -> int:
    """Mismatched antigens of six: what the entry says, else those usual for the product."""
    usual = 0.0 if made.hla_mismatches is None else made.hla_mismatches.value
    return int(settings.get("hla_mismatches", usual))


def number(
    made: Product, settings: Settings, field: Literal["viability", "purity", "residual_undifferentiated"]
) -> float:
    """A share of the product: what the entry says, else the product's; 1 for the purity of a product without one."""
    if settings.get(field) is not None:
        return float(settings[field])
    if field == "viability":
        return made.viability[preparation(made, settings)].value
    fact = made.purity if field == "purity" else made.residual_undifferentiated
    return fact.value if fact is not None else 1.0 if field == "purity" else 0.0


def total_1e6(settings: Settings, weight_kg: float) -> float:
    """Cells of one course as ordered (1e6), dead ones among them."""
    if settings.get("dose_1e6") is not None:
        return float(settings["dose_1e6"])
    return float(settings["dose_1e6_per_kg"]) * weight_kg


def viable_dose(therapy: str, settings: Settings, weight_kg: float) -> float:
    """Living cells of the wanted kind in one course (1e6): dose x viability x purity.

    Parameters
    ----------
    therapy : str
        A cell therapy other than the transplant.
    settings : mapping
        Fields of the regimen entry.
    weight_kg : float
        Body weight, the parameter ``cells.weight_kg``.
    """
    made = product(therapy, settings["product"])
    return total_1e6(settings, weight_kg) * number(made, settings, "viability") * number(made, settings, "purity")


def course_days(settings: Settings) -> list[int]:
    """Days of the courses, from the day of the first."""
    return [k * int(settings.get("every_days", 0)) for k in range(int(settings.get("courses", 1)))]


def wait(therapy: str, settings: Settings) -> int:
    """Days from the day of the entry until the cells can be given: 0 if they lie ready or come from a bank."""
    if settings.get("made", "to_order") == "before_entry":
        return 0
    return int(settings.get("manufacturing_days", manufacturing_days(product(therapy, settings["product"]))))


def harvest_harms(seed: int, given: Given, parameters: Numbers) -> list[HarmEvents]:
    """Pain where the patient's own cells are taken, on the day of the order.

    Of a product made before entry nothing is recorded: its harvest lies before the trial.
    """
    made = product(given.therapy, given.settings["product"])
    ahead = wait(given.therapy, given.settings)
    if made.taken is None or ahead == 0:
        return []
    p = parameters[f"cells.harvest_pain.{made.taken}"]
    return [after_dose(seed, given, "harvest_pain", given.start - ahead, p, 0.0, HARVEST)]


def failure_times(therapy: str, settings: Settings) -> float:
    """Probability that what is ordered is not released, before the factor ``cells.failure``; 0 if it lies ready."""
    if settings.get("made", "to_order") == "before_entry":
        return 0.0
    return failure_probability(product(therapy, settings["product"]))


FAILURE = Failure("cells.failure", "cells.release", Harm("product failed release", 1, False), failure_times)
"""A lot made to order that is not released: the patient goes on as before."""


def human_data(therapy: str, settings: Settings, disease: str) -> tuple[str, ...]:
    """Studies with human results of that product by that route in one disease.

    Parameters
    ----------
    therapy : str
        A therapy of the catalogue.
    settings : mapping
        Fields of the regimen entry: ``product`` and ``route``, or ``conditioning`` of a transplant.
    disease : str
        Whose patients; what is known in another disease does not count.

    Returns
    -------
    tuple of str
        Study ids. Empty: whatever is predicted is ``prediction_without_human_data``. For a drug, the source of its
        posology.
    """
    if not products(therapy):
        return (therapy_info(therapy).source,)
    made = product(therapy, settings.get("product"))
    return made.human.get(disease, {}).get(str(settings.get("route", settings.get("conditioning"))), ())


def check(therapy: str, settings: Settings) -> None:
    """Refuse a product that cannot be.

    Parameters
    ----------
    therapy : str
        A cell therapy other than the transplant.
    settings : mapping
        Fields of the regimen entry, defaults of the catalogue filled in.

    Raises
    ------
    FieldError
        With the field at fault: its rule, value and fix.
    """
    made = product(therapy, settings["product"])
    _check_dose(made, settings)
    _check_cells(made, settings)
    _check_time(made, settings)


def _check_dose(made: Product, settings: Settings) -> None:
    said = [f for f in ("dose_1e6_per_kg", "dose_1e6") if settings.get(f) is not None]
    possible = [f for f in ("dose_1e6_per_kg", "dose_1e6") if f in therapy_info(made.therapy).fields]
    if not said:
        raise FieldError(possible[0], f"a dose is missing; say {' or '.join(possible)}")
    if len(said) > 1:
        raise FieldError("dose_1e6", "the dose is said twice, dose_1e6_per_kg and dose_1e6; keep one")
    route, known = str(settings["route"]), routes_of(made.therapy)
    if route not in known:
        raise FieldError("route", f"'{made.therapy}' cannot be given by '{route}'{did_you_mean(route, known)}")
    for needle in ("segments", "injections"):
        if settings.get(needle) is not None and not routes()[route].segments:
            raise FieldError(needle, f"needles into the cord have {needle}, '{route}' has none; leave it out")
    weight = registry()["cells.weight_kg"].value
    dose, most = total_1e6(settings, weight), expected_yield(made)
    if dose > most:
        at = f" at {weight:g} kg" if said[0] == "dose_1e6_per_kg" else ""
        raise FieldError(
            said[0], f"one lot of '{made.name}' yields {most:.4g}e6 cells, the dose is {dose:.4g}e6{at}; give less"
        )


def _check_cells(made: Product, settings: Settings) -> None:
    how = preparation(made, settings)
    if how not in made.viability:
        why = "comes from a bank" if not made.autologous else "loses its induced state in the freezer"
        raise FieldError("preparation", f"'{made.name}' {why} and cannot be {how}; use {', '.join(made.viability)}")
    if number(made, settings, "viability") <= 0:
        raise FieldError(
            "viability",
            "a product without living cells cannot act, viability is 0; use a share above 0, or a dose of 0",
        )
    if number(made, settings, "purity") <= 0:
        raise FieldError("purity", "a product without the wanted cells is none, purity is 0; use a share above 0")
    if made.residual_limit is not None:
        left, limit = number(made, settings, "residual_undifferentiated"), made.residual_limit.value
        if left > limit:
            raise FieldError(
                "residual_undifferentiated",
                f"a lot is released with at most {limit:g} undifferentiated cells, this one has {left:g}; purify it",
            )
    mismatches = int(settings.get("hla_mismatches") or 0)
    if made.autologous and mismatches > 0:
        raise FieldError(
            "hla_mismatches", f"'{made.name}' is the patient's own and has no mismatch, not {mismatches}; leave it out"
        )


def _check_time(made: Product, settings: Settings) -> None:
    steps = [s for s in made.steps if not s.banked]
    days, least = settings.get("manufacturing_days"), shortest_days(made)
    if made.autologous and days is not None and int(days) < least:
        told = ", ".join(f"{s.name} {s.least_days}" for s in steps)
        raise FieldError(
            "manufacturing_days",
            f"'{made.name}' takes at least {least} days to make ({told}), not {days}; wait that long or use a bank",
        )
    courses, every = int(settings.get("courses", 1)), int(settings.get("every_days", 0))
    remaking = wait(made.therapy, settings)
    again = courses > 1 and preparation(made, settings) == "fresh" and settings.get("made", "to_order") == "to_order"
    if again and made.autologous and every < remaking:
        raise FieldError(
            "every_days",
            f"a fresh autologous product is made again for each course, in {remaking} days, not {every}; "
            "leave more time, or freeze it (preparation: thawed)",
        )


__all__ = [
    "FAILURE", "Criterion", "Fact", "Product", "Step", "cell_therapies", "check", "course_days", "expected_yield",
    "failure_probability", "failure_times", "harvest_harms", "hla_mismatches", "human_data", "manufacturing_days",
    "number", "preparation", "product", "products", "shortest_days", "total_1e6", "viable_dose", "wait",
]  # fmt: skip
