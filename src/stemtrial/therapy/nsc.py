"""Neural stem cells: where they settle they protect axons, calm smouldering inflammation and help the host to repair.

Science: docs/design/ms_model.md section 7.4. The cells make no myelin of their own (sullivan2020_insc). Human data
in MS exist for foetal cells by two routes (genchi2023_stems, leone2023_icv_nsc), both without controls, and tell
directions only; whatever is predicted rests on two hypotheses, of which one holds for a whole trial.
"""

from __future__ import annotations

from stemtrial.disease.ms import REGIONS
from stemtrial.kernel import Effect, Expr, Model, exp, log, maximum, minimum, where
from stemtrial.therapy import graft
from stemtrial.therapy.family import GONE, Facts, Numbers, Order, Settings

EFFECTS = {
    "axonal_loss": "axonal loss prevented where the cells are, at most",
    "smouldering": "smouldering inflammation held down, at most",
    "remyelination": "rise of remyelination where the cells are, at most",
}

HIGHEST = 9.0
"""Most by which remyelination rises; only the far end of the spread of centres and patients gets there."""


def on_ms(m: Model) -> None:
    """Compose the cells onto MS: doses ``nsc.receive``, ``nsc.graft``, ``nsc.suppress``, ``nsc.taper``."""

    def p(symbol: str) -> Expr:
        return m.parameter(f"nsc.{symbol}")

    cells = [m.state(f"nsc.cells_{r}", "1e6 cells", f"living cells, {r}") for r in REGIONS]
    living = sum(cells[1:], cells[0])
    host = graft.declare_host(m, "nsc", living)
    kept = host.kept * (1.0 - m.decay(p("life_days")))
    for state in cells:
        m.update(state, where(state < GONE, 0.0, state * kept), "die in time, are rejected")

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

        def by_hypothesis(effect: str) -> Expr:
            return where(e.amount("optimistic") > 0.5, p(f"{effect}.optimistic"), p(f"{effect}.sceptical"))

        for effect in ("axonal_loss", "smouldering"):  # shares: strength 2 acts as two such grafts after each other
            e.set(most[effect], 1.0 - exp(strength * log(maximum(1e-9, 1.0 - by_hypothesis(effect)))))
        e.set(most["remyelination"], minimum(HIGHEST, strength * by_hypothesis("remyelination")))

    def give(e: Effect) -> None:
        graft.place(m, e, "nsc", cells, host.lot)

    m.on_dose("nsc.receive", receive, graft.RECEIVED, "the patient is about to get a graft of this product and lot")
    m.on_dose("nsc.graft", give, graft.PLACED, "cells that settle, by region, and undifferentiated cells")
    m.observe("nsc_cells_1e6", living, "1e6 cells", "living neural stem cells of the graft")


def prescribe(name: str, settings: Settings, facts: Facts, parameters: Numbers) -> list[Order]:
    """Order the courses, and immunosuppression from the first of them on."""
    foetal = str(settings["product"]) == "foetal-allogeneic"
    share = parameters["nsc.foetal_undifferentiated"] if foetal else None
    return graft.graft_orders("nsc", name, settings, facts, parameters, share)


FAMILY = graft.family("nsc", "nsc", {"ms": on_ms}, prescribe)
