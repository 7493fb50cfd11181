"""Regulatory T cells of the patient, expanded: while they circulate they calm neuroinflammation.

Science: docs/design/als_model.md sections 2 and 6. A dozen people with ALS were given them (thonhoff2018_treg,
thonhoff2022_treg), too few to tell an effect; its size is a prior. Interleukin-2 under the skin, given beside them in
those trials to keep them alive, is part of their life here and not modelled by itself.
"""

from __future__ import annotations

import math

import numpy as np

from stemtrial.kernel import Effect, Expr, Model, exp, where
from stemtrial.therapy.family import GONE, Facts, Family, Given, Harm, HarmEvents, Numbers, Order, Settings, amounts
from stemtrial.therapy.product import FAILURE, check, course_days, harvest_harms, product, viable_dose, wait
from stemtrial.therapy.routes import after_dose, doses_given, procedure_harms

HARMS = {
    "infusion_reaction": Harm("infusion reaction", 2, False),
    "infection": Harm("infection", 2, False),
}
"""Event of the cells -> how it is recorded; probability ``treg.<event>``, delay ``treg.onset_days.<event>``."""


def on_als(m: Model) -> None:
    """Compose the cells onto ALS: doses ``treg.infuse`` and ``treg.stop``."""

    def p(symbol: str) -> Expr:
        return m.parameter(f"treg.{symbol}")

    cells = m.state("treg.cells", "1e6/kg", "living regulatory T cells that were given")
    left = 1.0 - m.decay(p("half_life") / math.log(2.0))
    m.update(cells, where(cells < GONE, 0.0, cells * left), "die")
    m.modify("inflammation", 1.0 - p("inflammation") * (cells / (cells + p("half_dose"))))

    def infuse(e: Effect) -> None:
        z, _ = e.normals()
        sigma = e.amount("lot_sigma")
        e.add(cells, e.amount("dose_1e6_per_kg") * exp(sigma * z - sigma * sigma * 0.5))

    m.on_dose("treg.infuse", infuse, ("dose_1e6_per_kg", "lot_sigma"), "cells given, intravenous infusion")
    m.on_dose("treg.stop", lambda e: None, (), "no further course; what was given cannot be taken back")
    m.observe("treg_1e6_per_kg", cells, "1e6/kg", "living regulatory T cells that were given")


def prescribe(name: str, settings: Settings, facts: Facts, parameters: Numbers) -> list[Order]:
    """Give the courses; a dose of 0 orders nothing."""
    weight = parameters["cells.weight_kg"]
    dose = viable_dose(name, settings, weight) / weight
    if dose == 0:
        return []
    sigma = math.sqrt(math.log1p(product(name, settings["product"]).lot_cv.value ** 2))
    given = amounts(len(facts["day"]), dose, sigma)
    return [Order(day, "treg.infuse", given) for day in course_days(settings)]


def adverse_events(seed: int, given: Given, parameters: Numbers) -> list[HarmEvents]:
    """Draw the harm of leukapheresis and infusion; a dose of 0 has that of the procedure alone."""
    days = course_days(given.settings)
    out = [*harvest_harms(seed, given, parameters), *procedure_harms(seed, given, parameters, days)]
    if viable_dose(given.therapy, given.settings, parameters["cells.weight_kg"]) == 0:
        return out
    for event, harm in HARMS.items():
        for day in days:
            chance = np.where(doses_given(given, day), parameters[f"treg.{event}"], 0.0)
            onset = parameters[f"treg.onset_days.{event}"]
            out.append(after_dose(seed, given, f"cells.{event}", given.start + day, chance, onset, harm))
    return out


FAMILY = Family(
    "treg",
    {"als": on_als},
    ("treg",),
    prescribe,
    stop="treg.stop",
    failure=FAILURE,
    repeatable=True,
    check=check,
    wait=wait,
    adverse_events=adverse_events,
    shares=("cells",),
)
