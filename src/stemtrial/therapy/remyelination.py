"""Drugs that speed the remyelination of chronic lesions; inflammation is left alone."""

from __future__ import annotations

from stemtrial.kernel import Effect, Model
from stemtrial.therapy.drugs import dose_response
from stemtrial.therapy.family import Facts, Family, Numbers, Order, Settings, amounts, stop_offset

REMYELINATING = ("clemastine",)


def on_ms(m: Model) -> None:
    """Compose the drugs onto MS: doses ``remyelination.start.<drug>`` and ``remyelination.stop``."""
    gain = m.state("remyelination.gain", "1", "rise of the remyelination of chronic lesions")
    gain_to = m.state("remyelination.gain_to", "1", "rise that the drug taken drives to")
    m.relax(gain, to=gain_to, tau=m.parameter("remyelination.onset"), text="follows the drug taken")
    m.modify("remyelination", 1.0 + gain)

    def define(drug: str) -> None:
        def start(e: Effect) -> None:
            dose = dose_response(e.amount("dose_ratio"), m.parameter("drugs.half_dose"))
            e.set(gain_to, m.parameter(f"remyelination.effect.{drug}") * dose)

        m.on_dose(f"remyelination.start.{drug}", start, ("dose_ratio",), f"{drug} is taken from now on")

    for drug in REMYELINATING:
        define(drug)
    m.on_dose("remyelination.stop", lambda e: e.set(gain_to, 0.0), (), "the drug taken is stopped")


def prescribe(name: str, settings: Settings, facts: Facts, parameters: Numbers) -> list[Order]:
    """Start a drug, and stop it on its ``stop_day``."""
    given = amounts(len(facts["day"]), float(settings.get("dose_ratio", 1.0)))
    orders = [Order(0, f"remyelination.start.{name}", given)]
    last = stop_offset(settings)
    return orders if last is None else [*orders, Order(last, "remyelination.stop")]


FAMILY = Family("remyelination", {"ms": on_ms}, REMYELINATING, prescribe, stop="remyelination.stop", exclusive=True)
