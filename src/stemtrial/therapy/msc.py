"""Mesenchymal stromal cells: where a dose goes, how long it lives, what it does to the immune system and the CNS.

Science: docs/design/ms_model.md sections 7.0 and 7.3, docs/design/als_model.md sections 2 and 4. Cells by vein stay in
the lung, die within days and act from the periphery; cells in the cerebrospinal fluid act where they lie. Product, way
and fate are the same in every disease; what the signal does there is the disease's own. What a cell can do is uncertain
between two hypotheses that are kept apart: one of them holds in a trial, and comes with the dose.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stemtrial.kernel import Effect, Expr, Model, exp, minimum, where
from stemtrial.therapy.family import GONE, Facts, Family, Given, Harm, HarmEvents, Numbers, Order, Settings, amounts
from stemtrial.therapy.product import (
    FAILURE,
    check,
    course_days,
    harvest_harms,
    preparation,
    product,
    viable_dose,
    wait,
)
from stemtrial.therapy.routes import REGIONS, after_dose, doses_given, procedure_harms, route, routes_of

HYPOTHESES = ("sceptical", "optimistic")
INTO_CSF = tuple(r for r in routes_of("msc") if route(r).shares["msc"].csf > 0)
"""Routes into the cerebrospinal fluid."""
AMOUNTS = ("dose_1e6_per_kg", "optimistic", "centre", "lot_sigma", "trophic", "allogeneic")
MOST = 0.98
"""Largest share that cells can take from a rate."""


def _parameter(m: Model, symbol: str) -> Expr:
    return m.parameter(f"msc.{symbol}")


@dataclass(frozen=True)
class Signal:
    """What cells that were given tell the patient.

    Attributes
    ----------
    model : Model
        The model.
    optimistic : Expr
        1 where the optimistic hypothesis holds.
    personal : Expr
        Factor of centre and patient on every effect.
    trophic : Expr
        Trophic potency of the product.
    lung : Expr
        Signal from the lung.
    csf : mapping of str to Expr
        Signal in the cerebrospinal fluid, by route.
    """

    model: Model
    optimistic: Expr
    personal: Expr
    trophic: Expr
    lung: Expr
    csf: Mapping[str, Expr]

    def everywhere(self) -> Expr:
        """Signal in the whole of the cerebrospinal fluid."""
        return _sum(list(self.csf.values()))

    def here(self, disease: str, region: int) -> Expr:
        """Signal at one region of a disease."""
        return _sum([s * route(r).shares["msc"].weights(disease)[region] for r, s in self.csf.items()])

    def size(self, effect: str, signal: Expr, half: Expr, factor: Expr | float = 1.0) -> Expr:
        """Size of an effect: between none and that of the hypothesis that holds, by the signal."""
        low, high = (_parameter(self.model, f"{effect}.{h}") for h in HYPOTHESES)
        full = (low + (high - low) * self.optimistic) * self.personal * factor
        return full * (signal / (signal + half))


def _sum(values: list[Expr]) -> Expr:
    out = values[0]
    for value in values[1:]:
        out = out + value
    return out


def _kept(*sizes: Expr) -> Expr:
    """What is left of a rate from which each effect takes its share."""
    out = 1.0 - minimum(MOST, sizes[0])
    for s in sizes[1:]:
        out = out * (1.0 - minimum(MOST, s))
    return out


def fate(m: Model, disease: str) -> Signal:
    """Declare the cells of a patient, and doses ``msc.<route>`` and ``msc.stop``.

    Parameters
    ----------
    m : Model
        The model.
    disease : str
        By which of its routes.
    """

    def p(symbol: str) -> Expr:
        return _parameter(m, symbol)

    given_by = routes_of("msc", disease)
    optimistic = m.state("msc.optimistic", "1", "1 where the optimistic hypothesis holds")
    centre = m.state("msc.centre", "rel", "factor of the centre")
    response = m.state("msc.response", "rel", "response of the patient; 0 before the first dose")
    trophic = m.state("msc.trophic", "rel", "trophic potency of the product")
    allogeneic = m.state("msc.allogeneic_doses", "doses", "allogeneic doses so far")

    def compartment(where_: str, half_life: Expr, release: Expr, fades: Expr) -> tuple[Expr, Expr]:
        """Cells that die at one rate, and the signal they leave; cell-days are exact for any step."""
        cells = m.state(f"msc.cells_{where_}", "1e6/kg", f"viable cells, {where_}")
        signal = m.state(f"msc.signal_{where_}", "1", f"what the cells released, {where_}")
        tau = half_life / math.log(2.0)
        dying = m.decay(tau)
        m.update(cells, where(cells < GONE, 0.0, cells - cells * dying), "die")
        kept = where(signal < GONE, 0.0, signal - signal * m.decay(fades))
        m.update(signal, cells * (release * tau * dying) + kept, "released by living cells, fades")
        return cells, signal

    lung, from_lung = compartment("lung", p("lung_half_life"), p("lung_release"), p("lung_signal_days"))
    csf = {
        r: compartment(r, p("csf_half_life"), p("csf_release"), p("csf_signal_days")) for r in INTO_CSF if r in given_by
    }

    def define(name: str) -> None:
        shares = route(name).shares["msc"]

        def give(e: Effect) -> None:
            z, y = e.normals()
            had = e.read(response)
            e.set(response, where(had > 0.0, had, 2.0 / (1.0 + exp(-(p("responsiveness") * z)))))
            e.set(optimistic, e.amount("optimistic"))
            e.set(centre, e.amount("centre"))
            e.set(trophic, e.amount("trophic"))
            sigma, foreign = e.amount("lot_sigma"), e.amount("allogeneic")
            lot = exp(sigma * y - sigma * sigma * 0.5)
            dose = e.amount("dose_1e6_per_kg") * lot / (1.0 + p("sensitisation") * foreign * e.read(allogeneic))
            e.add(allogeneic, foreign)
            if shares.lung > 0:
                e.add(lung, dose * shares.lung)
            if shares.csf > 0:
                e.add(csf[name][0], dose * shares.csf)

        m.on_dose(f"msc.{name}", give, AMOUNTS, f"cells given, {route(name).label.lower()}")

    for name in given_by:
        define(name)
    m.on_dose("msc.stop", lambda e: None, (), "no further course; what was given cannot be taken back")
    return Signal(m, optimistic, centre * response, trophic, from_lung, {r: signal for r, (_, signal) in csf.items()})


def on_ms(m: Model) -> None:
    """Compose the cells onto MS."""
    s = fate(m, "ms")
    half_lung, half_csf = _parameter(m, "half_lung"), _parameter(m, "half_csf")
    everywhere = s.everywhere()
    m.modify("effector_drive", _kept(s.size("iv.drive", s.lung, half_lung)))
    m.modify("regulatory_drive", 1.0 + s.size("iv.regulation", s.lung, half_lung))
    m.modify("lesion_activity", _kept(s.size("it.lesions", everywhere, half_csf)))
    m.modify(
        "smouldering",
        _kept(s.size("it.smouldering", everywhere, half_csf), s.size("iv.smouldering", s.lung, half_lung)),
    )
    for k, region in enumerate(REGIONS["ms"]):
        here = s.here("ms", k)
        m.modify(f"axonal_loss_{region}", _kept(s.size("it.axons", here, half_csf, s.trophic)))
        m.modify(f"remyelination_{region}", 1.0 + s.size("it.remyelination", here, half_csf, s.trophic))


def on_als(m: Model) -> None:
    """Compose the cells onto ALS: they spare motor neurons where they lie and calm neuroinflammation."""
    s = fate(m, "als")
    half_lung, half_csf = _parameter(m, "half_lung"), _parameter(m, "als.half_csf")
    trophic = 1.0 + (s.trophic - 1.0) * _parameter(m, "als.trophic_share")
    for k, region in enumerate(REGIONS["als"]):
        m.modify(f"neuron_loss_{region}", _kept(s.size("als.it.neurons", s.here("als", k), half_csf, trophic)))
    m.modify(
        "inflammation",
        _kept(
            s.size("als.it.inflammation", s.everywhere(), half_csf), s.size("als.iv.inflammation", s.lung, half_lung)
        ),
    )


def potency(settings: Settings, parameters: Numbers) -> float:
    """Potency per viable cell over the cell's lifetime, fresh bone-marrow MSC 1.

    Thawed cells start at ``thawed_potency`` and recover with time constant r while they die with time constant t: over
    their lifetime they lose the share (1 - thawed_potency) r/(r + t), much in the lung and little in the CSF.
    """
    made = product("msc", settings["product"])
    per_cell = parameters[f"msc.potency.{made.name}"]
    if preparation(made, settings) == "fresh":
        return per_cell
    lives = "csf_half_life" if settings["route"] in INTO_CSF else "lung_half_life"
    alive, recovers = parameters[f"msc.{lives}"] / math.log(2.0), parameters["msc.recovery_days"]
    return per_cell * (1.0 - (1.0 - parameters["msc.thawed_potency"]) * recovers / (recovers + alive))


def prescribe(name: str, settings: Settings, facts: Facts, parameters: Numbers) -> list[Order]:
    """Give the courses; a dose of 0 orders nothing."""
    n, made, weight = len(facts["day"]), product(name, settings["product"]), parameters["cells.weight_kg"]
    dose = viable_dose(name, settings, weight) / weight * potency(settings, parameters)
    if dose == 0:
        return []
    given = amounts(
        n,
        dose,
        facts.get("optimistic", np.zeros(n)),
        facts.get("centre", np.ones(n)),
        math.sqrt(math.log1p(made.lot_cv.value**2)),
        parameters[f"msc.trophic.{made.name}"],
        float(not made.autologous),
    )
    return [Order(day, f"msc.{settings['route']}", given) for day in course_days(settings)]


HARMS = {
    "fever": Harm("fever", 2, False),
    "headache": Harm("headache", 2, False),
    "infusion_reaction": Harm("infusion reaction", 2, False),
    "rash": Harm("rash", 1, False),
    "thromboembolism": Harm("thromboembolism", 3, True),
    "infection": Harm("infection", 2, False),
    "back_or_leg_pain": Harm("back or leg pain", 2, False),
    "meningeal_reaction": Harm("meningeal reaction", 2, False),
    "arachnoiditis": Harm("arachnoiditis", 3, True),
    "radicular_pain": Harm("radicular pain", 2, False),
}
"""Event of the cells -> how it is recorded; probability ``msc.<event>.<route>``, delay ``msc.onset_days.<event>``.

The probability of what follows one product alone has the product's name at its end.
"""
BY_DOSE = ("arachnoiditis", "radicular_pain")
"""Events whose hazard is proportional to the dose; their probability is that after 1e6 viable cells per kg."""


def adverse_events(seed: int, given: Given, parameters: Numbers) -> list[HarmEvents]:
    """Draw the harm of harvest, procedure and cells; a sham procedure (dose 0) has the procedure's alone."""
    settings, weight = given.settings, parameters["cells.weight_kg"]
    days = course_days(settings)
    out = [*harvest_harms(seed, given, parameters), *procedure_harms(seed, given, parameters, days)]
    dose = viable_dose(given.therapy, settings, weight) / weight
    for event, harm in HARMS.items():
        said = f"msc.{event}.{settings['route']}"
        p = parameters.get(said, parameters.get(f"{said}.{settings['product']}", 0.0))
        if dose == 0 or p == 0:
            continue
        if event in BY_DOSE:
            p = 1.0 - (1.0 - p) ** dose
        for day in days:
            chance = np.where(doses_given(given, day), p, 0.0)
            onset = parameters[f"msc.onset_days.{event}"]
            out.append(after_dose(seed, given, f"cells.{event}", given.start + day, chance, onset, harm))
    return out


FAMILY = Family(
    "msc",
    {"ms": on_ms, "als": on_als},
    ("msc",),
    prescribe,
    stop="msc.stop",
    failure=FAILURE,
    repeatable=True,
    check=check,
    wait=wait,
    adverse_events=adverse_events,
    hypothesis={"ms": "msc.weight_optimistic", "als": "msc.als.weight_optimistic"},
    shares=("cells",),
)
