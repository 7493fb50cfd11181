"""Unit costs of cell therapies as data, and how many of each a regimen entry needs.

Currencies and years stay as published: converting and discounting is the business of an economic analysis.
"""

from __future__ import annotations

import functools
import importlib.resources
import math
from collections.abc import Mapping

import yaml

from stemtrial.errors import InputError
from stemtrial.parameters import registry
from stemtrial.therapy.family import Settings
from stemtrial.therapy.info import Record
from stemtrial.therapy.product import Product, cell_therapies, expected_yield, preparation, product, products, total_1e6
from stemtrial.therapy.routes import route

DAYS_A_MONTH = 365.25 / 12


class UnitCost(Record):
    """Cost of one item.

    Attributes
    ----------
    item : str
        Name.
    value : float
        Cost of one (``currency`` of ``year``).
    currency, per, label, source : str
        ISO code; what one is; one line; study id, DOI or ``assumed``.
    year : int
        Year of the prices.
    usual : float, optional
        How many a cell therapy needs (of a visit: a course) where neither product nor schedule says so.
    """

    item: str
    value: float
    currency: str
    year: int
    per: str
    label: str
    source: str
    usual: float | None = None


@functools.cache
def unit_costs() -> Mapping[str, UnitCost]:
    """All unit costs by item."""
    text = importlib.resources.files("stemtrial.therapy").joinpath("costs.yaml").read_text(encoding="utf-8")
    return {item: UnitCost.model_validate(entry | {"item": item}) for item, entry in yaml.safe_load(text).items()}


def costs_of(therapy: str, settings: Settings) -> list[tuple[str, float]]:
    """Items that one regimen entry of a cell therapy needs, and how many of each.

    Parameters
    ----------
    therapy : str
        A cell therapy.
    settings : mapping
        Fields of the regimen entry, defaults of the catalogue filled in.

    Returns
    -------
    list of (str, float)
        Items of :func:`unit_costs` and their number; what fails release is not in it.

    Raises
    ------
    InputError
        For a drug, whose costs are not unit costs of a product.
    """
    if not products(therapy):
        raise InputError(
            f"'{therapy}' is no cell therapy and has no unit costs here; ask for {', '.join(cell_therapies())}"
        )
    made = product(therapy, settings.get("product"))
    if therapy == "ahsct":
        needed = [("transplant_episode", 1.0), (f"conditioning.{settings['conditioning']}", 1.0)]
        return needed + ([("cd34_selection", 1.0)] if settings.get("cd34_selected") == "yes" else [])
    courses, way = float(settings.get("courses", 1)), route(str(settings["route"]))
    cells = total_1e6(settings, _weight()) > 0
    out = _product(made, settings, courses) if cells else []
    out += [(f"procedure.{way.name}", courses), ("admission_day", courses * way.stay_days)]
    out.append(("monitoring_visit", courses * (unit_costs()["monitoring_visit"].usual or 0.0)))
    if settings.get("immunosuppression", "none") == "tacrolimus":
        days = float(settings["immunosuppression_days"]) + float(settings["taper_days"]) / 2  # half of it on average
        out.append(("tacrolimus_month", days / DAYS_A_MONTH))
    if cells and made.residual_limit is not None:
        out.append(("tumour_surveillance_mri", unit_costs()["tumour_surveillance_mri"].usual or 0.0))
    return [(item, number) for item, number in out if number > 0]


def _weight() -> float:
    return registry()["cells.weight_kg"].value


def _product(made: Product, settings: Settings, courses: float) -> list[tuple[str, float]]:
    """Manufacture: a bank gives doses; the patient's own cells are a lot each time they are needed fresh."""
    number = courses
    if made.autologous and preparation(made, settings) == "thawed":
        number = float(math.ceil(courses * total_1e6(settings, _weight()) / expected_yield(made)))
    taken = [] if made.taken is None else [(f"harvest.{made.taken}", number)]
    return [*taken, (f"lot.{made.therapy}.{made.name}", number), (f"release.{made.donor}", number)]


__all__ = ["UnitCost", "costs_of", "unit_costs"]
