"""Drugs of ALS: what is taken approaches its level with the drug's own time constant and fades with the same.

Science: docs/design/als_model.md sections 4 and 6. Every drug lowers the loss of motor neurons, upper ones too, by a
factor; tofersen lowers the synthesis of SOD1 instead, which matters to carriers of a variant alone. Drugs multiply what
is left. Where no fit study tells a drug's size it is that of its class, centred near none.
"""

from __future__ import annotations

from dataclasses import replace

from stemtrial.kernel import Effect, Expr, Model, maximum, where
from stemtrial.therapy.drugs import dose_response
from stemtrial.therapy.family import (
    GONE,
    Facts,
    Family,
    Given,
    HarmEvents,
    Numbers,
    Order,
    Settings,
    amounts,
    stop_offset,
)
from stemtrial.therapy.routes import procedure_harms

SLOWING = ("edaravone", "amx0035", "dexpramipexole", "masitinib", "ceftriaxone", "pridopidine")
"""Drugs that lower the loss of motor neurons."""
DRUGS = (*SLOWING, "tofersen")
LEAST = 0.02
"""Least that drugs leave of a rate, each."""
LOADING, EVERY = (0, 14, 28), 28
"""Days of the first intrathecal doses, and days between those that follow."""


def level_of(m: Model, family: str, drug: str) -> Expr:
    """Declare the level of a drug and the dose that sets where it goes: ``<family>.take.<drug>``.

    Parameters
    ----------
    m : Model
        The model.
    family, drug : str
        Owner, which reads ``<family>.days.<drug>``, and drug.

    Returns
    -------
    Expr
        Level: 0 nothing, 1 the reference dose at its full effect.
    """
    level = m.state(f"{family}.{drug}", "1", f"effect of {drug}, over that of its reference dose")
    to = m.state(f"{family}.{drug}_to", "1", f"effect that the {drug} taken drives to")
    new = (to - level) * m.decay(m.parameter(f"{family}.days.{drug}")) + level
    m.update(level, where(new < GONE, 0.0, new), "follows what is taken")

    def take(e: Effect) -> None:
        ratio = e.amount("dose_ratio")
        e.set(to, where(ratio > 0.0, dose_response(ratio, m.parameter("riluzole.half_dose")), 0.0))

    m.on_dose(f"{family}.take.{drug}", take, ("dose_ratio",), f"{drug} is taken from now on; a dose of 0 ends it")
    return level


def kept(factor: Expr, level: Expr) -> Expr:
    """What is left of a rate at the level of a drug whose reference dose leaves ``factor``."""
    return maximum(LEAST, 1.0 - (1.0 - factor) * level)


def orders(family: str, name: str, settings: Settings, facts: Facts) -> list[Order]:
    """Start a drug, and end it on its ``stop_day``."""
    n, dose = len(facts["day"]), f"{family}.take.{name}"
    out = [Order(0, dose, amounts(n, float(settings.get("dose_ratio", 1.0))))]
    last = stop_offset(settings)
    return out if last is None else [*out, Order(last, dose, amounts(n, 0.0))]


def on_als(m: Model) -> None:
    """Compose the drugs onto ALS: doses ``als_drugs.take.<drug>`` and ``als_drugs.stop``."""

    def p(symbol: str) -> Expr:
        return m.parameter(f"als_drugs.{symbol}")

    for drug in SLOWING:
        left = kept(p(f"loss.{drug}"), level_of(m, "als_drugs", drug))
        m.modify("neuron_loss", left)
        m.modify("upper_loss", left)
    m.modify("sod1_synthesis", kept(p("sod1_synthesis.tofersen"), level_of(m, "als_drugs", "tofersen")))

    def stop(e: Effect) -> None:
        for drug in DRUGS:
            e.set(m.state_node(f"als_drugs.{drug}_to"), 0.0)

    m.on_dose("als_drugs.stop", stop, (), "all drugs of this family are stopped")


def prescribe(name: str, settings: Settings, facts: Facts, parameters: Numbers) -> list[Order]:
    """Start a drug, and end it on its ``stop_day``."""
    return orders("als_drugs", name, settings, facts)


def adverse_events(seed: int, given: Given, parameters: Numbers) -> list[HarmEvents]:
    """Draw the harm of the lumbar punctures by which tofersen is given; all else is in ``harms``."""
    if given.therapy != "tofersen" or len(given.start) == 0:
        return []
    longest = int((given.stop - given.start).max())
    days = [*LOADING, *range(LOADING[-1] + EVERY, longest, EVERY)]
    return procedure_harms(seed, replace(given, settings={"route": "intrathecal"}), parameters, days)


FAMILY = Family(
    "als_drugs",
    {"als": on_als},
    DRUGS,
    prescribe,
    stop="als_drugs.stop",
    adverse_events=adverse_events,
    shares=("cells",),
)
