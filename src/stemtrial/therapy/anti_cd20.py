"""Antibodies against CD20: memory B cells fall while the drug is given, and return by its own time constant after it.

The effect on lesions emerges through the help that effectors get from B cells, and the late effect on smouldering
inflammation through meningeal B cells, which follow with a lag. Beside it stands a small direct effect on effectors
(CD20+ T cells), in proportion to the depletion. One antibody at a time.
"""

from __future__ import annotations

from stemtrial.kernel import Effect, Expr, Model, maximum, minimum
from stemtrial.therapy.drugs import MOST, dose_response
from stemtrial.therapy.family import Facts, Family, Numbers, Order, Settings, amounts, stop_offset

ANTIBODIES = ("ocrelizumab", "ofatumumab", "ublituximab", "rituximab")


def on_ms(m: Model) -> None:
    """Compose the antibodies onto MS: doses ``anti_cd20.start.<drug>`` and ``anti_cd20.stop``."""

    def p(symbol: str) -> Expr:
        return m.parameter(f"anti_cd20.{symbol}")

    own_pace = m.decay(m.parameter("ms.tauB"))
    faster = m.state("anti_cd20.pace", "1", "pace of memory B cells over their own", 1.0)
    after = m.state("anti_cd20.pace_after", "1", "that pace once the antibody is stopped", 1.0)
    direct = m.state("anti_cd20.direct", "1", "direct effect on effectors at full depletion")
    b_cells, b_to = m.state_node("B"), m.state_node("B_to")
    m.modify("b_return", faster)
    m.modify("effector_drive", 1.0 - direct * maximum(0.0, 1.0 - b_cells))

    def define(drug: str) -> None:
        def start(e: Effect) -> None:
            dose = dose_response(e.amount("dose_ratio"), m.parameter("drugs.half_dose"))
            e.set(b_to, 1.0 - minimum(MOST, p(f"depletion.{drug}") * dose))
            e.set(direct, minimum(MOST, p(f"activation.{drug}") * dose))
            e.set(faster, m.decay(p("depletion_days")) / own_pace)
            e.set(after, m.decay(p(f"return_days.{drug}")) / own_pace)

        m.on_dose(f"anti_cd20.start.{drug}", start, ("dose_ratio",), f"{drug} is given from now on")

    for drug in ANTIBODIES:
        define(drug)

    def stop(e: Effect) -> None:
        e.set(b_to, 1.0)
        e.set(faster, e.read(after))

    m.on_dose("anti_cd20.stop", stop, (), "no further antibody is given: B cells return")


def prescribe(name: str, settings: Settings, facts: Facts, parameters: Numbers) -> list[Order]:
    """Give an antibody, the last time on its ``stop_day``."""
    given = amounts(len(facts["day"]), float(settings.get("dose_ratio", 1.0)))
    orders = [Order(0, f"anti_cd20.start.{name}", given)]
    last = stop_offset(settings)
    return orders if last is None else [*orders, Order(last, "anti_cd20.stop")]


FAMILY = Family("anti_cd20", {"ms": on_ms}, ANTIBODIES, prescribe, stop="anti_cd20.stop", exclusive=True)
