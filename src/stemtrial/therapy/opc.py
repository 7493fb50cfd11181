"""Oligodendrocyte precursors from induced pluripotent stem cells: they spread, mature, and remyelinate what is naked.

Science: docs/design/ms_model.md section 7.4. No human data exist; whatever is predicted rests on animals, and on two
hypotheses about what the chronic lesion of an adult lets cells do, of which one holds for a whole trial.
"""

from __future__ import annotations

from stemtrial.disease.ms import BRAIN, REGIONS
from stemtrial.kernel import YEAR, Effect, Expr, Model, exp, maximum, minimum, where
from stemtrial.therapy import graft
from stemtrial.therapy.family import GONE

FASTEST = 0.05
"""Most of a demyelinated volume that a graft remyelinates in a day: none becomes negative, whatever acts beside it."""
TINY = 1e-9
"""Volume (ml) and number (1e6 cells) below which a quotient is not taken."""
SLOWEST = 1e-12
"""Host remyelination (1/d) below which its quotient is not taken; a host with none at all shows none of the graft's."""


def on_ms(m: Model) -> None:
    """Compose the cells onto MS: doses ``opc.receive``, ``opc.graft``, ``opc.suppress``, ``opc.taper``."""

    def p(symbol: str) -> Expr:
        return m.parameter(f"opc.{symbol}")

    def by_region(name: str, unit: str, meaning: str) -> list[Expr]:
        return [m.state(f"opc.{name}_{r}", unit, f"{meaning}, {r}") for r in REGIONS]

    precursors = by_region("precursors", "1e6 cells", "living precursors")
    waiting = by_region("waiting", "1e6 cells", "pre-myelinating cells not yet engaged")
    engaged = by_region("engaged", "1e6 cells", "cells that ensheath axons")
    young = m.state("opc.young", "share", "capacity of the precursors to divide")
    myelin = m.state("opc.myelin", "ml per 1e6", "volume that a million engaged cells of this graft remyelinate")
    living = _sum([*precursors, *waiting, *engaged])
    host = graft.declare_host(m, "opc", living)

    # -- precursors divide for a while, mature, and within the brain go where tissue lacks its own -------------------
    naked = [m.state_node(f"D_{r}") for r in REGIONS]
    volume = [m.parameter(f"ms.volume.{r}") for r in REGIONS]
    age = m.constant("age0", "y", "age on day 0 of the patient's clock") + m.day / YEAR
    maturing = m.slow(p("differentiation") * exp(-p("differentiation_age") * (age - 35.0)))
    m.relax(young, to=0.0, tau=p("growth_days"), text="ends")
    net = (young * p("growth") - maturing) * m.dt
    spread = m.decay(p("migration_days"))
    pull = [naked[k] + p("home") * volume[k] for k in BRAIN]
    brain_volume = _sum([volume[k] for k in BRAIN])
    remyelination = m.rates["remyelination"].node
    reached = [naked[k] + p("half_volume") * (volume[k] / brain_volume) for k in range(len(REGIONS))]
    some = [maximum(ml, TINY) for ml in naked]
    per_pull, per_repair, *per_both = graft.reciprocals(
        [_sum(pull), maximum(remyelination, SLOWEST) * m.dt, *(a * b for a, b in zip(reached, some, strict=True))]
    )
    drawn = _sum([precursors[k] for k in BRAIN]) * per_pull  # 1e6 cells per ml of pull, if all were drawn
    for k, region in enumerate(REGIONS):
        cells, ready, bound = precursors[k], waiting[k], engaged[k]
        moved = (drawn * pull[k] - cells) * spread if k in BRAIN else 0.0
        m.update(cells, _alive((cells * net + cells + moved) * host.kept), "divide, mature, spread; are rejected")
        # -- those that mature find naked axons, or die --------------------------------------------------------------
        # what engages a day and ml of naked tissue: half of the most where half_volume is naked
        per_ml = ready * (m.dt / p("engagement_days")) * (some[k] * per_both[k])
        finds = per_ml * naked[k]
        left = ready * (1.0 - m.dt / p("waiting_days")) - finds
        m.update(ready, _alive((cells * maturing * m.dt + left) * host.kept), "mature, engage or die; are rejected")
        m.update(bound, _alive((bound + finds) * host.kept), "ensheath axons; are rejected")
        # -- myelin made, and lost again where the cells that hold it are rejected, as a share of the naked volume: a
        #    therapy acts on rates, and 1 + x/rate adds x times the naked volume to what remyelinates by itself
        lost = bound * (1.0 - host.kept) * (reached[k] * per_both[k])
        gained = minimum(FASTEST, (per_ml - lost) * myelin)
        m.modify(f"remyelination_{region}", 1.0 + gained * per_repair)

    def receive(e: Effect) -> None:
        strength = host.receive(e)
        per_cell = where(e.amount("optimistic") > 0.5, p("myelin.optimistic"), p("myelin.sceptical"))
        e.set(myelin, strength * per_cell)

    def give(e: Effect) -> None:
        before = _sum([e.read(state) for state in precursors])
        fresh = graft.place(m, e, "opc", precursors, host.lot)
        # the young among all precursors, by number
        e.set(young, (e.read(young) * before + fresh) / maximum(before + fresh, TINY))

    m.on_dose("opc.receive", receive, graft.RECEIVED, "the patient is about to get a graft of this product and lot")
    m.on_dose("opc.graft", give, graft.PLACED, "precursors that settle, by region, and undifferentiated cells")
    m.observe("opc_cells_1e6", living, "1e6 cells", "living cells of the graft of oligodendrocyte precursors")
    m.observe("opc_engaged_1e6", _sum(engaged), "1e6 cells", "cells of the graft that ensheath axons")


def _sum(values: list[Expr]) -> Expr:
    return sum(values[1:], values[0])


def _alive(cells: Expr) -> Expr:
    return where(cells < GONE, 0.0, cells)


FAMILY = graft.family("opc", "ipsc_opc", {"ms": on_ms}, {"ms": "opc.weight_optimistic"})
