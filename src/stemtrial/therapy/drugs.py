"""Disease-modifying drugs as one family: four channels that follow the drug taken, on mechanisms only.

A drug is a vector of targets (``drugs.parameters.yaml``); starting one sets the targets, stopping it sets them to zero,
and each channel follows with the drug's onset or the washout. A switch is a start: what was there fades while the
new effect builds up.
"""

from __future__ import annotations

from stemtrial.kernel import Effect, Expr, Model, exp
from stemtrial.therapy.family import Facts, Family, Numbers, Order, Settings, amounts, stop_offset

DRUGS = ("interferon_beta", "glatiramer", "dimethyl_fumarate", "fingolimod", "natalizumab", "mitoxantrone")
CHANNELS = {
    "activation": "effector_drive",
    "entry": "lesion_activity",
    "smouldering": "smouldering",
    "enhancement": "",
}
"""Channel -> the disease's rate that it lowers; enhancement hides lesions from the scan only."""


def on_ms(m: Model) -> None:
    """Compose the drugs onto MS: doses ``drugs.start.<drug>`` and ``drugs.stop``."""
    level: dict[str, Expr] = {}
    target: dict[str, Expr] = {}
    for channel in CHANNELS:
        level[channel] = m.state(f"drugs.{channel}", "1", f"effect on {channel} now")
        target[channel] = m.state(f"drugs.{channel}_to", "1", f"effect on {channel} that the drug taken drives to")
    pace = m.state("drugs.pace", "1/step", "share of the way made a step")
    for channel, rate in CHANNELS.items():
        m.update(level[channel], (target[channel] - level[channel]) * pace + level[channel], "follows the drug taken")
        if rate:
            m.modify(rate, 1.0 - level[channel])
    fluid = m.state_node("V_to")

    def start(drug: str) -> None:
        def effect(e: Effect) -> None:
            for channel in CHANNELS:
                e.set(target[channel], m.parameter(f"drugs.{drug}.{channel}"))
            e.set(fluid, m.parameter(f"drugs.{drug}.fluid"))
            e.set(pace, 1.0 - exp(-m.dt / m.parameter(f"drugs.onset.{drug}")))

        m.on_dose(f"drugs.start.{drug}", effect, (), f"{drug} is taken from now on")

    for drug in DRUGS:
        start(drug)

    def stop(e: Effect) -> None:
        for channel in CHANNELS:
            e.set(target[channel], 0.0)
        e.set(fluid, 0.0)
        e.set(pace, 1.0 - exp(-m.dt / m.parameter("drugs.washout")))

    m.on_dose("drugs.stop", stop, (), "the drug taken is stopped")
    m.observe("hidden_fraction", level["enhancement"], "1", "share of enhancing lesions that the drug hides")


def prescribe(name: str, settings: Settings, facts: Facts, parameters: Numbers, added: bool) -> list[Order]:
    """Start a drug, and stop it on its ``stop_day``."""
    n = len(facts["edss"])
    given = amounts(n, float(settings.get("dose_ratio", 1.0)), float(added))
    orders = [Order(0, f"drugs.start.{name}", given)]
    stop = stop_offset(settings)
    return orders if stop is None else [*orders, Order(stop, "drugs.stop")]


FAMILY = Family("drugs", on_ms, DRUGS, prescribe, stop="drugs.stop")
