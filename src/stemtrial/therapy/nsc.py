"""Neural stem cells: where they settle they protect axons, calm smouldering inflammation and help the host to repair.

Science: docs/design/ms_model.md section 7.4. The cells make no myelin of their own (sullivan2020_insc). Human data
in MS exist for foetal cells by two routes (genchi2023_stems, leone2023_icv_nsc), both without controls, and tell
directions only; whatever is predicted rests on two hypotheses, of which one holds for a whole trial.

In ALS (docs/design/als_model.md section 2) needles put them beside the motor neurons of a segment of the cord, which
they may spare there and nowhere else. On one side they reach half of a pool: the legs of one person are one pool here,
so that a trial of one leg against the other (baloh2022_cns10gdnf) is half an effect on their mean.
"""

from __future__ import annotations

from collections.abc import Sequence

from stemtrial.disease.ms import REGIONS
from stemtrial.kernel import Effect, Expr, Model, exp, log, maximum, minimum, where
from stemtrial.therapy import graft
from stemtrial.therapy.family import GONE, Facts, Numbers, Order, Settings
from stemtrial.therapy.product import product, viable_dose
from stemtrial.therapy.routes import route

EFFECTS = {
    "axonal_loss": "axonal loss prevented where the cells are, at most",
    "smouldering": "smouldering inflammation held down, at most",
    "remyelination": "rise of remyelination where the cells are, at most",
}

HIGHEST = 9.0
"""Most by which remyelination rises; only the far end of the spread of centres and patients gets there."""
POOLS = ("cervical", "respiratory", "lumbar")
"""Pools of motor neurons beside which cells can be put; there is no way to the brain stem."""
SPINAL = (*POOLS, "undifferentiated", "reach")
"""Amounts of a graft in ALS."""


def _parameter(m: Model, symbol: str) -> Expr:
    return m.parameter(f"nsc.{symbol}")


def _graft(m: Model, regions: Sequence[str], where_it_lies: Expr | float = 1.0) -> tuple[list[Expr], graft.Host]:
    """Declare the cells of the graft by region, and its host: fate is the same in every disease."""
    cells = [m.state(f"nsc.cells_{r}", "1e6 cells", f"living cells, {r}") for r in regions]
    living = sum(cells[1:], cells[0])
    host = graft.declare_host(m, "nsc", living, where_it_lies)
    kept = host.kept * (1.0 - m.decay(_parameter(m, "life_days")))
    for state in cells:
        m.update(state, where(state < GONE, 0.0, state * kept), "die in time, are rejected")
    m.observe("nsc_cells_1e6", living, "1e6 cells", "living neural stem cells of the graft")
    return cells, host


def _share(m: Model, e: Effect, effect: str, strength: Expr) -> Expr:
    """Share of a rate that the graft takes at most: strength 2 acts as two grafts of strength 1 after each other."""
    low, high = (_parameter(m, f"{effect}.{h}") for h in ("sceptical", "optimistic"))
    size = where(e.amount("optimistic") > 0.5, high, low)
    return 1.0 - exp(strength * log(maximum(1e-9, 1.0 - size)))


def on_ms(m: Model) -> None:
    """Compose the cells onto MS: doses ``nsc.receive``, ``nsc.graft``, ``nsc.suppress``, ``nsc.taper``."""

    def p(symbol: str) -> Expr:
        return _parameter(m, symbol)

    cells, host = _graft(m, REGIONS)
    # what the patient's graft can do at most; a dose sets it
    most = {k: m.state(f"nsc.most_{k}", "share", meaning) for k, meaning in EFFECTS.items()}
    volume = [m.parameter(f"ms.volume.{r}") for r in REGIONS]
    whole = sum(volume[1:], volume[0])
    everywhere = None
    for state, region, ml in zip(cells, REGIONS, volume, strict=True):
        part = ml / whole
        there = state / (state + p("half_dose") * part)
        m.modify(f"axonal_loss_{region}", 1.0 - most["axonal_loss"] * there)
        m.modify(f"remyelination_{region}", 1.0 + most["remyelination"] * there)
        everywhere = there * part if everywhere is None else there * part + everywhere
    assert everywhere is not None
    m.modify("smouldering", 1.0 - most["smouldering"] * everywhere)

    def receive(e: Effect) -> None:
        strength = host.receive(e)
        e.set(most["axonal_loss"], _share(m, e, "axonal_loss", strength * e.amount("trophic")))
        e.set(most["smouldering"], _share(m, e, "smouldering", strength))
        helps = where(e.amount("optimistic") > 0.5, p("remyelination.optimistic"), p("remyelination.sceptical"))
        e.set(most["remyelination"], minimum(HIGHEST, strength * helps))

    def give(e: Effect) -> None:
        graft.place(m, e, "nsc", cells, host.lot)

    m.on_dose("nsc.receive", receive, graft.RECEIVED, "the patient is about to get a graft of this product and lot")
    m.on_dose("nsc.graft", give, graft.PLACED, "cells that settle, by region, and undifferentiated cells")


def on_als(m: Model) -> None:
    """Compose the cells onto ALS: the same doses, cells by pool of motor neurons."""
    cells, host = _graft(m, POOLS, _parameter(m, "als.rejection"))
    most = m.state("nsc.most_neurons", "share", "loss of motor neurons prevented where the cells are, at most")
    reach = [m.state(f"nsc.reach_{r}", "share", f"share of the pool that the needles reached, {r}") for r in POOLS]
    half = _parameter(m, "als.half_dose")
    for state, part, region in zip(cells, reach, POOLS, strict=True):
        # a part of the pool has all the cells, at the density that the whole would have with more
        there = state * part / maximum(GONE, state + half * part)
        m.modify(f"neuron_loss_{region}", 1.0 - most * there)

    def receive(e: Effect) -> None:
        strength = host.receive(e) * e.amount("trophic")
        e.set(most, _share(m, e, "als.neurons", strength))

    def give(e: Effect) -> None:
        graft.place(m, e, "nsc", cells, host.lot, POOLS)
        for part, region in zip(reach, POOLS, strict=True):
            before = e.read(part)
            e.set(part, where(e.amount(region) > 0.0, maximum(before, e.amount("reach")), before))

    m.on_dose("nsc.receive", receive, graft.RECEIVED, "the patient is about to get a graft of this product and lot")
    m.on_dose(
        "nsc.graft", give, SPINAL, "cells that settle, by pool, undifferentiated cells, share of the pool reached"
    )


def prescribe(name: str, settings: Settings, facts: Facts, parameters: Numbers) -> list[Order]:
    """Order the courses, and immunosuppression from the first of them on.

    Into a segment of the cord (ALS) the cells of a course go to the pools that the segment holds; there are no segments
    in MS, whose regions the route exposes.
    """
    made = product(name, settings["product"])
    share = parameters["nsc.foetal_undifferentiated"] if made.residual_limit is None else None
    trophic = parameters.get(f"nsc.trophic.{made.name}", 1.0)
    if settings.get("segments") is None:
        return graft.graft_orders("nsc", name, settings, facts, parameters, share, trophic=trophic)
    segment = route(str(settings["route"])).segments["als"][str(settings["segments"])]
    total = viable_dose(name, settings, parameters["cells.weight_kg"])
    total *= graft.settling("nsc", name, settings, parameters)
    placed = [total * segment.regions.get(r, 0.0) for r in POOLS]
    return graft.graft_orders(
        "nsc", name, settings, facts, parameters, share, trophic=trophic, placed=placed, more=(segment.reach,)
    )


FAMILY = graft.family(
    "nsc",
    "nsc",
    {"ms": on_ms, "als": on_als},
    {"ms": "nsc.weight_optimistic", "als": "nsc.als.weight_optimistic"},
    prescribe,
)
