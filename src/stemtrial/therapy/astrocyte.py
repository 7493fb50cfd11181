"""Astrocytes in the cerebrospinal fluid: for weeks they take up glutamate and feed motor neurons from outside the cord.

Science: docs/therapies.md; docs/design/als_model.md has none of them. A living graft that does not settle in tissue:
rejection, lots, unwanted growth and harm are those of every graft; its life is its own, and short. Ten people got them
(gotkine2023_astrorx), without a control; what they do is two hypotheses, of which one holds for a whole trial.
"""

from __future__ import annotations

from stemtrial.kernel import Effect, Expr, Model, exp, log, maximum, where
from stemtrial.therapy import graft
from stemtrial.therapy.family import GONE, Facts, Numbers, Order, Settings
from stemtrial.therapy.product import viable_dose
from stemtrial.therapy.routes import REGIONS, route

POOLS = REGIONS["als"]


def on_als(m: Model) -> None:
    """Compose the cells onto ALS: doses ``astrocyte.receive``, ``astrocyte.graft``."""

    def p(symbol: str) -> Expr:
        return m.parameter(f"astrocyte.{symbol}")

    cells = [m.state(f"astrocyte.cells_{r}", "1e6 cells", f"living cells, {r}") for r in POOLS]
    living = sum(cells[1:], cells[0])
    host = graft.declare_host(m, "astrocyte", living)
    kept = host.kept * (1.0 - m.decay(p("life_days")))
    most = m.state("astrocyte.most", "share", "loss of motor neurons prevented, at most")
    half = p("half_dose") * (1.0 / len(POOLS))
    for state, region in zip(cells, POOLS, strict=True):
        m.update(state, where(state < GONE, 0.0, state * kept), "die in time, are rejected")
        m.modify(f"neuron_loss_{region}", 1.0 - most * (state / (state + half)))

    def receive(e: Effect) -> None:
        size = where(e.amount("optimistic") > 0.5, p("neurons.optimistic"), p("neurons.sceptical"))
        e.set(most, 1.0 - exp(host.receive(e) * log(maximum(1e-9, 1.0 - size))))

    def give(e: Effect) -> None:
        graft.place(m, e, "astrocyte", cells, host.lot, POOLS)

    m.on_dose("astrocyte.receive", receive, graft.RECEIVED, "the patient is about to get cells of this lot")
    m.on_dose(
        "astrocyte.graft", give, (*POOLS, "undifferentiated"), "cells that live on, by pool, and undifferentiated"
    )
    m.observe("astrocytes_1e6", living, "1e6 cells", "living astrocytes of the graft")


def prescribe(name: str, settings: Settings, facts: Facts, parameters: Numbers) -> list[Order]:
    """Order the courses; the cells spread as the route exposes the pools."""
    exposed = route(str(settings["route"])).shares[name].weights("als")
    total = viable_dose(name, settings, parameters["cells.weight_kg"])
    total *= graft.settling("astrocyte", name, settings, parameters)
    placed = [total * w / sum(exposed) for w in exposed]
    return graft.graft_orders("astrocyte", name, settings, facts, parameters, placed=placed)


FAMILY = graft.family("astrocyte", "astrocytes", {"als": on_als}, {"als": "astrocyte.weight_optimistic"}, prescribe)
