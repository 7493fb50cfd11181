"""Autologous haematopoietic stem-cell transplantation: mobilise, condition, infuse; what returns, when, at what price.

Science: docs/design/ms_model.md section 7.2. The immune reset acts on the autoreactive clone pool, effectors, B cells
and smouldering inflammation; nothing here is written as an outcome.
"""

from __future__ import annotations

import numpy as np

from stemtrial.kernel import YEAR, Effect, Expr, Model, exp, log, maximum, minimum, power10, sqrt, where
from stemtrial.therapy.family import Facts, Failure, Family, Harm, Numbers, Order, Settings, amounts

INTENSITIES = ("low", "intermediate", "high")
CONDITIONING = {
    "cyclophosphamide-atg": "low",
    "cyclophosphamide-rituximab": "low",
    "beam-atg": "intermediate",
    "busulfan-cyclophosphamide-atg": "high",
}
AMOUNTS = ("cells_1e6_per_kg", "edss", "year", "cd34_selected")


def on_ms(m: Model) -> None:
    """Compose the transplant onto MS: doses ``ahsct.mobilise`` and ``ahsct.infuse.<intensity>``."""

    def p(symbol: str) -> Expr:
        return m.parameter(f"ahsct.{symbol}")

    thy = m.constant("thy", "rel", "thymic rebound capacity")
    age = m.constant("age0", "y", "age on day 0 of the patient's clock") + m.day / YEAR
    thymus = m.slow(exp(-p("naive_age") * (age - 37.0)))
    rebound_now = m.slow(thy * p("rebound") * exp(-p("rebound_age") * (age - 37.0)))

    # neutrophils grow logistically; deficit = norm/neutrophils - 1 falls exponentially, so the step is exact
    deficit = m.state("ahsct.neutrophil_deficit", "1", "norm over neutrophils, minus 1")
    gone = 1e-30  # far below any meaning; the smallest floating-point numbers would slow every later day
    m.update(deficit, where(deficit < gone, 0.0, deficit * exp(-p("growth") * m.dt)), "falls as neutrophils grow")
    neutropenic = where(p("neutrophils") / 0.5 - 1.0 < deficit, 1.0, 0.0)
    naive = m.state("ahsct.naive_cd4", "rel to age norm", "naive CD4 T cells", 1.0)
    memory = m.state("ahsct.memory_cd4", "rel", "memory CD4 T cells", 1.0)
    cd8 = m.state("ahsct.cd8", "rel", "CD8 T cells", 1.0)
    nk = m.state("ahsct.nk", "rel", "NK cells", 1.0)
    diversity = m.state("ahsct.repertoire", "rel", "T-cell receptor diversity", 1.0)
    rebound = m.state("ahsct.rebound", "rel", "regulatory and thymic rebound")
    m.relax(rebound, to=0.0, tau=p("rebound_days"), text="fades")
    m.relax(naive, to=1.0 + rebound, tau=p("naive_days"), text="return from the thymus")
    m.relax(memory, to=1.0, tau=p("memory_days"), text="return")
    m.relax(cd8, to=1.0 + p("cd8_overshoot") * (1.0 - minimum(1.0, memory)), tau=p("cd8_days"), text="expand")
    m.relax(nk, to=1.0, tau=p("nk_days"), text="return")
    m.relax(diversity, to=1.0, tau=p("repertoire_days"), text="returns with thymic output")

    # regulation gains the rebound in absolute terms, whatever the effectors do
    effectors = m.state_node("E")
    follows = effectors * m.parameter("ms.q") + (1.0 - m.parameter("ms.q"))
    m.modify("regulatory_drive", 1.0 + rebound / follows)
    transplanted = m.state("ahsct.transplanted", "1", "1 after a transplant")
    faster = m.decay(p("tauB")) / m.decay(m.parameter("ms.tauB")) - 1.0
    m.modify("b_return", 1.0 + transplanted * faster)

    # -- harm --------------------------------------------------------------------------------------------------------
    alive = m.state_node("alive")
    risk = m.state("ahsct.death_risk", "1/d", "hazard of treatment-related death")
    m.relax(risk, to=0.0, tau=p("mortality_days"), text="falls")
    late_risk = m.state("ahsct.autoimmunity_risk", "1/d", "hazard of secondary autoimmunity")
    m.relax(late_risk, to=0.0, tau=p("autoimmunity_years") * YEAR, text="falls")

    def die(e: Effect) -> None:
        living = e.read(alive)
        e.set(alive, 0.0)
        e.log("treatment_death", 0.0, when=living > 0.5)

    def logs(kind: str) -> object:
        def effect(e: Effect) -> None:
            e.log(kind, 0.0, when=e.read(alive) > 0.5)

        return effect

    low_naive = where(naive * thymus < 0.3, 1.0, 0.0) * transplanted
    m.hazard("ahsct.fever", neutropenic * p("fever_neutropenic"), logs("febrile_neutropenia"))  # type: ignore[arg-type]
    m.hazard(
        "ahsct.infection",
        neutropenic * p("infection_neutropenic") + low_naive * p("infection_late"),
        logs("serious_infection"),  # type: ignore[arg-type]
    )
    m.hazard("ahsct.death", risk, die)
    m.hazard("ahsct.autoimmunity", late_risk, logs("secondary_autoimmunity"))  # type: ignore[arg-type]

    # -- what is given -----------------------------------------------------------------------------------------------
    clones, b_cells, regulators = (m.state_node(s) for s in ("C", "B", "R"))
    smoulder, meningeal, tissue = (m.state_node(s) for s in ("M", "Bm", "W"))

    def mobilise(e: Effect) -> None:
        e.scale(clones, power10(-p("mobilisation_kill")))
        e.log("mobilisation")

    m.on_dose("ahsct.mobilise", mobilise, (), "cyclophosphamide and G-CSF; CD34+ cells are harvested")

    def infuse(intensity: str) -> None:
        def effect(e: Effect) -> None:
            z, y = e.normals()
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
            e.scale(naive, power10(-p("naive_kill")))
            e.scale(memory, power10(-p("memory_kill")))
            e.scale(cd8, power10(-p("cd8_kill")))
            e.scale(nk, power10(-p("nk_kill")))
            e.scale(diversity, 1.0 - p("repertoire_kill"))
            e.set(rebound, rebound_now)
            e.set(transplanted, 1.0)
            seeds = p("neutrophils_graft") * sqrt(e.amount("cells_1e6_per_kg") / 5.0)
            left = p("neutrophils") / seeds - 1.0
            e.set(deficit, left)
            # the day on which neutrophils pass 0.5e9/l follows from their growth
            e.log("engraftment", log(left / (p("neutrophils") / 0.5 - 1.0)) / p("growth"))
            reference = p(f"mortality.{intensity}")
            years_before = maximum(0.0, 2012.0 - e.amount("year"))
            older = p("mortality_age") * (age - 38.0) + p("mortality_edss") * (e.amount("edss") - 4.0)
            odds = reference / (1.0 - reference) * exp(older + p("mortality_era") * years_before)
            # -log(1 - probability), spent step by step as the risk falls
            e.set(risk, log(1.0 + odds) * m.decay(p("mortality_days")) * (1.0 / m.dt))
            e.set(late_risk, p("autoimmunity") / YEAR)
            for hazard in ("fever", "infection", "death", "autoimmunity"):
                e.arm(f"ahsct.{hazard}")

        meaning = f"{intensity}-intensity conditioning and graft, on the day of the graft"
        m.on_dose(f"ahsct.infuse.{intensity}", effect, AMOUNTS, meaning)

    for intensity in INTENSITIES:
        infuse(intensity)
    m.observe("neutrophils_1e9_per_l", p("neutrophils") / (1.0 + deficit), "1e9/l", "neutrophils")
    m.observe("naive_cd4", naive * thymus, "rel to adult norm", "naive CD4 T cells")
    m.observe("memory_cd4", memory, "rel", "memory CD4 T cells")
    m.observe("cd8", cd8, "rel", "CD8 T cells")
    m.observe("nk", nk, "rel", "NK cells")
    m.observe("b_cells", b_cells, "rel", "memory B cells")
    m.observe("repertoire", diversity, "rel", "T-cell receptor diversity")


def prescribe(name: str, settings: Settings, facts: Facts, parameters: Numbers) -> list[Order]:
    """Order the mobilisation, if by cyclophosphamide, and the graft on the day of the entry."""
    n = len(facts["edss"])
    orders = []
    if settings["mobilisation"] == "cyclophosphamide-gcsf":
        ahead = min(int(parameters["ahsct.mobilisation_days"]), int(settings.get("day", 0)))
        orders.append(Order(-ahead, "ahsct.mobilise"))
    selected = np.full(n, float(settings["cd34_selected"] == "yes"))
    graft = amounts(n, float(settings["cells_1e6_per_kg"]), facts["edss"], facts["year"], selected)
    return [*orders, Order(0, f"ahsct.infuse.{CONDITIONING[str(settings['conditioning'])]}", graft)]


FAMILY = Family(
    "ahsct",
    on_ms,
    ("ahsct",),
    prescribe,
    failure=Failure("ahsct.mobilisation_failure", "ahsct.harvest", Harm("harvest failed", 2, False)),
    harms={
        "febrile_neutropenia": Harm("febrile neutropenia", 3, True),
        "serious_infection": Harm("serious infection", 3, True),
        "secondary_autoimmunity": Harm("secondary autoimmune disease", 2, False),
        "treatment_death": Harm("treatment-related death", 5, True),
    },
)
