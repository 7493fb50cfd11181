"""Autologous haematopoietic stem-cell transplantation: mobilise, condition, infuse; what goes and what returns, when.

Science: docs/design/ms_model.md section 7.2. The immune reset acts on the autoreactive clone pool, effectors, B cells
and smouldering inflammation; nothing here is written as an outcome. Harm that ends a life is here, all other harm in
``ahsct_harms``.
"""

from __future__ import annotations

import numpy as np

from stemtrial.kernel import YEAR, Effect, Expr, Model, exp, log, maximum, minimum, power10, sqrt, where
from stemtrial.therapy.ahsct_harms import adverse_events
from stemtrial.therapy.ahsct_regimens import ANTIBODY, CONDITIONING, INTENSITIES
from stemtrial.therapy.family import GONE, Facts, Failure, Family, Harm, Numbers, Order, Settings, amounts

AMOUNTS = ("cells_1e6_per_kg", "edss", "year", "cd34_selected", "centre_inexperience", "without_antibody")
"""What a graft carries; the last two are 0 at an experienced centre and with an antibody against T cells."""


def on_ms(m: Model) -> None:
    """Compose the transplant onto MS: doses ``ahsct.mobilise`` and ``ahsct.infuse.<intensity>``."""

    def p(symbol: str) -> Expr:
        return m.parameter(f"ahsct.{symbol}")

    thy = m.constant("thy", "rel", "thymic rebound capacity")
    age = m.constant("age0", "y", "age on day 0 of the patient's clock") + m.day / YEAR
    thymus = m.slow(exp(-p("naive_age") * (age - 37.0)))
    rebound_now = m.slow(thy * p("rebound") * exp(-p("rebound_age") * (age - 37.0)))
    b_to = m.state_node("B_to")

    def regrows(name: str, meaning: str, growth: str) -> Expr:
        """Cells that grow logistically: norm/cells - 1, their deficit, falls exponentially, so the step is exact."""
        deficit = m.state(f"ahsct.{name}_deficit", "1", f"norm over {meaning}, minus 1")
        m.update(deficit, where(deficit < GONE, 0.0, deficit * exp(-p(growth) * m.dt)), "falls as they grow")
        return deficit

    neutrophils = regrows("neutrophil", "neutrophils", "growth")
    t_cells = regrows("t_cell", "T cells as far as the periphery alone makes them", "t_growth")
    thymopoiesis = regrows("thymus", "thymic output", "thymus_growth")
    naive_b = m.state("ahsct.naive_b_deficit", "1", "norm over naive B cells, minus 1")
    falling = where(naive_b < GONE, 0.0, naive_b * exp(-p("b_growth") * m.dt))
    m.update(naive_b, where(b_to < 0.5, 99.0, falling), "falls as they grow, unless a drug depletes B cells")
    naive = m.state("ahsct.naive_cd4", "rel to age norm", "naive CD4 T cells", 1.0)
    gap = m.state("ahsct.memory_gap", "rel", "memory CD4 T cells that expansion does not make up for")
    nk = m.state("ahsct.nk", "rel", "NK cells", 1.0)
    diversity = m.state("ahsct.repertoire", "rel", "T-cell receptor diversity", 1.0)
    renewed = m.state("ahsct.memory_renewed", "share", "share of the memory CD4 repertoire that is new")
    rebound = m.state("ahsct.rebound", "rel", "regulatory and thymic rebound")
    output = (1.0 + rebound) / (1.0 + thymopoiesis)
    m.relax(rebound, to=0.0, tau=p("rebound_days"), text="fades")
    m.relax(naive, to=output, tau=p("naive_days"), text="return from the thymus")
    m.relax(gap, to=0.0, tau=p("memory_days"), text="closes over years")
    m.relax(nk, to=1.0, tau=p("nk_days"), text="return")
    survivors = 1.0 - p("repertoire_kill")  # clones that conditioning or the graft spared stay
    m.relax(diversity, to=maximum(output, survivors), tau=p("repertoire_days"), text="returns with thymic output")
    m.relax(renewed, to=where(renewed > GONE, 1.0, 0.0), tau=p("renewal_days"), text="goes on once it has begun")

    # regulation gains the rebound in absolute terms, whatever the effectors do
    effectors = m.state_node("E")
    follows = effectors * m.parameter("ms.q") + (1.0 - m.parameter("ms.q"))
    m.modify("regulatory_drive", 1.0 + rebound / follows)
    transplanted = m.state("ahsct.transplanted", "1", "1 after a transplant")
    faster = m.decay(p("tauB")) / m.decay(m.parameter("ms.tauB")) - 1.0
    m.modify("b_return", 1.0 + transplanted * faster)

    # -- death -------------------------------------------------------------------------------------------------------
    alive = m.state_node("alive")
    risk = m.state("ahsct.death_risk", "1/d", "hazard of treatment-related death")
    m.relax(risk, to=0.0, tau=p("mortality_days"), text="falls")

    def die(e: Effect) -> None:
        living = e.read(alive)
        e.set(alive, 0.0)
        e.log("treatment_death", 0.0, when=living > 0.5)

    m.hazard("ahsct.death", risk, die)

    # -- what is given -----------------------------------------------------------------------------------------------
    clones, b_cells, regulators = (m.state_node(s) for s in ("C", "B", "R"))
    smoulder, meningeal, tissue = (m.state_node(s) for s in ("M", "Bm", "W"))

    def mobilise(e: Effect) -> None:
        e.scale(clones, power10(-p("mobilisation_kill")))
        e.log("mobilisation")

    m.on_dose("ahsct.mobilise", mobilise, (), "cyclophosphamide and G-CSF; CD34+ cells are harvested")

    def infuse(intensity: str) -> None:
        def falls(e: Effect, deficit: Expr, logs: Expr) -> None:
            """Kill cells that regrow logistically."""
            e.set(deficit, (1.0 + e.read(deficit)) * power10(maximum(0.0, logs)) - 1.0)

        def effect(e: Effect) -> None:
            z, y = e.normals()
            w, v = e.normals()
            kill = maximum(0.0, p(f"kill.{intensity}") - p("mobilisation_kill") + p("kill_sd") * z)
            selected = e.amount("cd34_selected") > 0.5
            given_back = where(selected, p("graft_clones_selected"), p("graft_clones"))
            e.set(clones, minimum(1.0, e.read(clones) * power10(-kill) + given_back))
            e.scale(effectors, power10(-p("kill_effector")))
            e.scale(b_cells, power10(-p("kill_b")))
            e.scale(regulators, power10(-p("kill_regulatory")))
            kept = 1.0 - p(f"kill_smouldering.{intensity}")
            e.scale(smoulder, kept)
            e.scale(meningeal, kept)
            e.add(tissue, p(f"toxicity.{intensity}") * exp(0.5 * y - 0.125))
            t_kill = p("t_kill") + p("t_kill_antibody") * (1.0 - e.amount("without_antibody"))
            spread = p("lymphoid_sd") * v
            falls(e, t_cells, t_kill + spread)
            falls(e, thymopoiesis, p("thymus_kill") + spread)
            falls(e, naive_b, p("kill_b") + spread)
            e.scale(naive, power10(-t_kill))
            e.set(gap, maximum(e.read(gap), where(selected, p("memory_gap_selected"), p("memory_gap"))))
            e.scale(nk, power10(-p("nk_kill")))
            e.scale(diversity, survivors)
            e.set(renewed, 1.0 - (1.0 - e.read(renewed)) * (1.0 - p("memory_renewal")))
            e.set(rebound, rebound_now)
            e.set(transplanted, 1.0)
            # the day on which neutrophils pass 0.5e9/l follows from their growth
            reserve = p(f"neutrophils_graft.{intensity}") * exp(p("neutrophils_graft_sd") * w)
            left = p("neutrophils") / (reserve * sqrt(e.amount("cells_1e6_per_kg") / 5.0)) - 1.0
            low = p("neutrophils") / 0.5 - 1.0
            e.set(neutrophils, maximum(left, 0.0))
            e.log("engraftment", log(maximum(left, low) / low) / p("growth"))
            reference = p(f"mortality.{intensity}")
            years_before = maximum(0.0, 2012.0 - e.amount("year"))
            older = p("mortality_age") * (age - 38.0) + p("mortality_edss") * (e.amount("edss") - 4.0)
            older = older + p("mortality_centre") * e.amount("centre_inexperience")
            odds = reference / (1.0 - reference) * exp(older + p("mortality_era") * years_before)
            # -log(1 - probability), spent step by step as the risk falls
            e.set(risk, log(1.0 + odds) * m.decay(p("mortality_days")) * (1.0 / m.dt))
            e.arm("ahsct.death")

        meaning = f"{intensity}-intensity conditioning and graft, on the day of the graft"
        m.on_dose(f"ahsct.infuse.{intensity}", effect, AMOUNTS, meaning)

    for intensity in INTENSITIES:
        infuse(intensity)

    def hands(e: Effect) -> None:
        e.scale(clones, power10(-e.amount("clone_kill_log10")))

    meaning = "what conditioning at this centre kills of clones beyond that at others, just before the graft"
    m.on_dose("ahsct.centre", hands, ("clone_kill_log10",), meaning)

    # -- what instruments may read -----------------------------------------------------------------------------------
    expanded = 1.0 / (1.0 + t_cells)
    naive_now, memory_now = naive * thymus, (1.0 - gap) * expanded
    cd8_now = (1.0 + p("cd8_overshoot") * gap) * expanded
    other = p("t_share.other")  # cells without receptors, in whose DNA the circles are diluted too
    cells = p("t_share.naive_cd4") * naive_now + p("t_share.memory_cd4") * memory_now + p("t_share.cd8") * cd8_now
    circles = output * thymus * (1.0 + other) / (cells + other)
    total_b = b_cells + transplanted * p("b_naive_share") * (1.0 / (1.0 + naive_b) - b_cells)
    m.observe("neutrophils_1e9_per_l", p("neutrophils") / (1.0 + neutrophils), "1e9/l", "neutrophils")
    m.observe("naive_cd4", naive_now, "rel to adult norm", "naive CD4 T cells")
    m.observe("memory_cd4", memory_now, "rel", "memory CD4 T cells")
    m.observe("cd8", cd8_now, "rel", "CD8 T cells")
    m.observe("nk", nk, "rel", "NK cells")
    m.observe("b_cells", total_b, "rel", "B cells")
    m.observe("trec", circles, "rel to adult norm", "T-cell receptor excision circles in the DNA of blood cells")
    m.observe("repertoire", diversity, "rel", "T-cell receptor diversity")
    m.observe("memory_overlap", 1.0 - renewed, "share", "share of the memory CD4 repertoire from before the graft")


def prescribe(name: str, settings: Settings, facts: Facts, parameters: Numbers) -> list[Order]:
    """Order the mobilisation, if by cyclophosphamide, and the graft on the day of the entry.

    Fact ``conditioning`` (log10) is what the centre kills of clones beyond others; a conditioning that kills none kills
    none at any centre.
    """
    n = len(facts["day"])
    orders = []
    if settings["mobilisation"] == "cyclophosphamide-gcsf":
        ahead = min(int(parameters["ahsct.mobilisation_days"]), int(settings.get("day", 0)))
        orders.append(Order(-ahead, "ahsct.mobilise"))
    conditioning = str(settings["conditioning"])
    by_centre = facts.get("conditioning")
    if by_centre is not None and by_centre.any() and parameters[f"ahsct.kill.{CONDITIONING[conditioning]}"] > 0.0:
        orders.append(Order(0, "ahsct.centre", amounts(n, by_centre)))
    done = float(settings.get("centre_transplants", 30.0))
    inexperience = max(0.0, 1.0 - done / parameters["ahsct.experienced_centre"])
    graft = amounts(
        n,
        float(settings["cells_1e6_per_kg"]),
        facts["edss"],
        facts["year"],
        np.full(n, float(settings["cd34_selected"] == "yes")),
        inexperience,
        float(ANTIBODY[conditioning] == "none"),
    )
    return [*orders, Order(0, f"ahsct.infuse.{CONDITIONING[conditioning]}", graft)]


FAMILY = Family(
    "ahsct",
    {"ms": on_ms},
    ("ahsct",),
    prescribe,
    failure=Failure("ahsct.mobilisation_failure", "ahsct.harvest", Harm("harvest failed", 2, False)),
    harms={"treatment_death": Harm("treatment-related death", 5, True)},
    adverse_events=adverse_events,
    effects={"ms": ("conditioning",)},
)
