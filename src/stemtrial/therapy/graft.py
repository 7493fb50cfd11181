"""What every living graft in brain and cord shares: rejection, protection from it, unwanted growth, and their harm.

Science: docs/design/ms_model.md section 7.4; of ALS docs/design/als_model.md section 2. A host turns against a foreign
graft while it lives; immunosuppression slows that and holds off the attack; what has once been learned stays, so that a
second graft is rejected sooner. Own cells are not rejected. Undifferentiated cells that survive may become a tumour,
more so without an immune watch.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stemtrial.kernel import YEAR, Effect, Expr, Model, exp, log, maximum, sqrt, uniforms, where
from stemtrial.therapy.family import (
    GONE,
    Composer,
    Facts,
    Family,
    Given,
    Harm,
    HarmEvents,
    Numbers,
    Order,
    Prescriber,
    Settings,
    amounts,
    recording_speed,
)
from stemtrial.therapy.product import (
    FAILURE,
    check,
    course_days,
    harvest_harms,
    hla_mismatches,
    number,
    product,
    viable_dose,
    wait,
)
from stemtrial.therapy.routes import REGIONS, after_dose, doses_given, procedure_harms, route

TUMOUR, ECTOPIC = Harm("graft tumour", 4, True), Harm("ectopic tissue", 2, False)
MENINGEAL, FEVER = Harm("meningeal reaction", 2, False), Harm("fever", 2, False)
RENAL, TREMOR = Harm("renal impairment", 2, False), Harm("tremor", 1, False)
INFECTION, SERIOUS_INFECTION = Harm("infection", 2, False), Harm("serious infection", 3, True)


@dataclass(frozen=True)
class Host:
    """What a graft of one family meets in the kernel.

    Attributes
    ----------
    kept : Expr
        Share of a foreign graft that one step of rejection leaves.
    foreign, reactivity, responsiveness, lot : Expr
        States that a dose sets: foreignness of the graft, and what is drawn of patient (once) and lot (each time).
    """

    kept: Expr
    foreign: Expr
    reactivity: Expr
    responsiveness: Expr
    lot: Expr

    def receive(self, e: Effect) -> Expr:
        """Prepare the host for a graft, on a dose with the amounts :data:`RECEIVED`; return the factor on its effect.

        Draws once a patient how fast the host reacts (median 1) and how well it responds (mean 1), and for each graft
        the potency of the lot (mean 1).
        """
        model = e.model
        sd, spread = model.parameter("graft.reactivity_sd"), model.parameter("graft.responsiveness_sd")
        z, y = e.normals()
        x, _ = e.normals()
        e.set(self.foreign, e.amount("foreign"))
        known = e.read(self.reactivity)
        e.set(self.reactivity, where(known > 0.0, known, exp(sd * z)))
        found = e.read(self.responsiveness)
        response = where(found > 0.0, found, exp(spread * y - 0.5 * spread * spread))
        e.set(self.responsiveness, response)
        cv = e.amount("lot_cv")
        variance = log(1.0 + cv * cv)
        e.set(self.lot, exp(sqrt(variance) * x - 0.5 * variance))
        return response * e.amount("centre")


RECEIVED = ("foreign", "optimistic", "centre", "lot_cv", "trophic")
PLACED = (*REGIONS["ms"], "undifferentiated")


def declare_host(m: Model, owner: str, living: Expr, where_it_lies: Expr | float = 1.0) -> Host:
    """Declare how the host of a graft reacts to it, and the doses ``<owner>.suppress``, ``.taper``, ``.stop``.

    Parameters
    ----------
    m : Model
        The model.
    owner : str
        Family of the graft.
    living : Expr
        All its living cells (1e6).
    where_it_lies : Expr, optional
        Factor on the attack where the graft is out of its reach in part.
    """

    def g(symbol: str) -> Expr:
        return m.parameter(f"graft.{symbol}")

    sensitised = m.state(f"{owner}.sensitised", "share", "how far the host has turned against the graft; stays")
    suppression = m.state(f"{owner}.suppression", "share", "rejection held off by immunosuppression")
    tapering = m.state(f"{owner}.tapering", "1/d", "fall of the immunosuppression")
    foreign = m.state(f"{owner}.foreign", "rel", "foreignness of the last graft, 1 = allogeneic, 6 of 6 HLA mismatches")
    reactivity = m.state(f"{owner}.reactivity", "rel", "how fast the host turns against a graft; 0 before the first")
    responsiveness = m.state(f"{owner}.responsiveness", "rel", "how well the patient responds; 0 before the first")
    lot = m.state(f"{owner}.lot", "rel", "potency of the last lot")

    open_to_attack = 1.0 - suppression
    learning = foreign * reactivity * (living / (living + g("priming"))) * (1.0 / g("sensitise_days"))
    learned = 1.0 - exp(learning * open_to_attack * open_to_attack * -m.dt)
    m.update(sensitised, (1.0 - sensitised) * learned + sensitised, "rises while a foreign graft lives")
    m.update(suppression, maximum(0.0, suppression - tapering * m.dt), "falls linearly once tapered")
    attack = where(foreign > 0.0, sensitised * open_to_attack * (g("rejection") * where_it_lies), 0.0)

    def suppress(e: Effect) -> None:
        e.set(suppression, g("suppression"))
        e.set(tapering, 0.0)

    def taper(e: Effect) -> None:
        e.set(tapering, e.read(suppression) / maximum(1.0, e.amount("taper_days")))

    m.on_dose(f"{owner}.suppress", suppress, (), "tacrolimus is taken from now on")

    def stop(e: Effect) -> None:
        e.set(suppression, 0.0)
        e.set(tapering, 0.0)

    m.on_dose(f"{owner}.taper", taper, ("taper_days",), "tacrolimus is tapered over days, then stopped")
    m.on_dose(f"{owner}.stop", stop, (), "no further course, tacrolimus ends at once; the graft stays")
    undifferentiated(m, owner, attack, open_to_attack, living)
    return Host(exp(attack * -m.dt), foreign, reactivity, responsiveness, lot)


def undifferentiated(m: Model, owner: str, attack: Expr, watch: Expr, living: Expr) -> None:
    """Declare unwanted growth: surviving undifferentiated cells, and the hazards of tumour and ectopic tissue."""

    def g(symbol: str) -> Expr:
        return m.parameter(f"graft.{symbol}")

    seeds = m.state(f"{owner}.undifferentiated", "cells", "undifferentiated cells that survive")
    risk = m.state(f"{owner}.tumour_risk", "1/y", "hazard of a graft tumour")
    left = exp((watch * g("surveillance") + attack) * -m.dt)
    m.update(seeds, where(seeds < GONE, 0.0, seeds * left), "rejected, or found by the host's immune watch")
    m.relax(risk, to=seeds * g("tumour"), tau=g("tumour_days"), text="follows the cells, as a tumour takes its time")
    alive = m.state_node("alive")

    def tumour(e: Effect) -> None:
        e.log(f"{owner}_graft_tumour", 0.0, when=e.read(alive) > 0.5)
        e.set(seeds, 0.0)  # found and removed
        e.set(risk, 0.0)

    def ectopic(e: Effect) -> None:
        e.log(f"{owner}_ectopic_tissue", 0.0, when=e.read(alive) > 0.5)

    m.hazard(f"{owner}.tumour", risk * (1.0 / YEAR), tumour)
    m.hazard(f"{owner}.ectopic", living * g("ectopic") * (1.0 / YEAR), ectopic)


def kernel_harms(owner: str) -> dict[str, Harm]:
    """Events that the kernel logs for a graft of this family."""
    return {f"{owner}_graft_tumour": TUMOUR, f"{owner}_ectopic_tissue": ECTOPIC}


def place(
    m: Model, e: Effect, owner: str, cells: Sequence[Expr], lot: Expr, regions: Sequence[str] = REGIONS["ms"]
) -> Expr:
    """Add what settles, on a dose with amounts named by regions and ``undifferentiated``; return the cells (1e6)."""
    potency = e.read(lot)
    added = None
    for state, region in zip(cells, regions, strict=True):
        here = e.amount(region) * potency
        e.add(state, here)
        added = here if added is None else added + here
    assert added is not None
    e.add(m.state_node(f"{owner}.undifferentiated"), e.amount("undifferentiated") * potency)
    for hazard in ("tumour", "ectopic"):
        e.arm(f"{owner}.{hazard}")
    return added


def reciprocals(values: Sequence[Expr]) -> list[Expr]:
    """One over each of several values above 0, with a single division: one costs a vector as much as a dozen products.

    Parameters
    ----------
    values : sequence of Expr
        The product of them all, and of any first few, has to be a floating-point number above 0.
    """
    product, before = values[0], []
    for value in values[1:]:
        before.append(product)
        product = product * value
    out, left = [], 1.0 / product
    for value, of_those_before in zip(reversed(values[1:]), reversed(before), strict=True):
        out.append(left * of_those_before)
        left = left * value
    return [left, *reversed(out)]


# -- what is ordered ---------------------------------------------------------------------------------------------------
def foreignness(therapy: str, settings: Settings, parameters: Numbers) -> float:
    """How foreign a product is to its host: 1 = allogeneic with 6 of 6 HLA mismatches."""
    made = product(therapy, settings["product"])
    if made.autologous:
        return parameters["graft.reprogrammed"]
    minor = parameters["graft.minor_antigens"]
    return minor + (1.0 - minor) * hla_mismatches(made, settings) / 6.0


def settling(owner: str, therapy: str, settings: Settings, parameters: Numbers) -> float:
    """Share of the viable cells of one course that settle and outlive the first days.

    Parameters
    ----------
    owner, therapy : str
        Family, and therapy of the catalogue.
    settings : mapping
        Fields of the regimen entry.
    parameters : mapping
        One draw; reads ``<owner>.enters.<route>`` and ``<owner>.survives``.
    """
    way = route(str(settings["route"])).shares[therapy]
    return (way.tissue + way.csf * parameters[f"{owner}.enters.{settings['route']}"]) * parameters[f"{owner}.survives"]


def settled(owner: str, therapy: str, settings: Settings, parameters: Numbers) -> list[float]:
    """Cells of one course that settle in each region of MS and outlive the first days (1e6).

    Parameters
    ----------
    owner, therapy, settings, parameters
        As of :func:`settling`; also reads ``cells.weight_kg`` and ``ms.volume.*``: exposure of the region times its
        volume.
    """
    way = route(str(settings["route"])).shares[therapy]
    weights = [w * parameters[f"ms.volume.{r}"] for w, r in zip(way.weights("ms"), REGIONS["ms"], strict=True)]
    share = settling(owner, therapy, settings, parameters)
    total = viable_dose(therapy, settings, parameters["cells.weight_kg"]) * share
    return [total * w / sum(weights) for w in weights]


def graft_orders(
    owner: str,
    therapy: str,
    settings: Settings,
    facts: Facts,
    parameters: Numbers,
    undifferentiated_share: float | None = None,
    *,
    trophic: float = 1.0,
    placed: Sequence[float] | None = None,
    more: Sequence[float] = (),
) -> list[Order]:
    """Order the courses of a graft, and the immunosuppression from the first of them on.

    Parameters
    ----------
    owner, therapy, settings, facts, parameters
        As :class:`stemtrial.therapy.family.Family` passes them, ``owner`` being the family.
    undifferentiated_share : float, optional
        Share of the viable cells that could form a tumour; that of the product if left out.
    trophic : float
        Trophic potency of the product.
    placed : sequence of float, optional
        Cells of one course that settle in each region (1e6); those of :func:`settled` if left out.
    more : sequence of float
        Amounts of the graft beside its cells.
    """
    n = len(facts["day"])
    made = product(therapy, settings["product"])
    share = settling(owner, therapy, settings, parameters)
    cells = settled(owner, therapy, settings, parameters) if placed is None else placed
    if undifferentiated_share is None:
        undifferentiated_share = number(made, settings, "residual_undifferentiated")
    viable = viable_dose(therapy, settings, parameters["cells.weight_kg"]) / number(made, settings, "purity")
    seeds = viable * 1e6 * share * undifferentiated_share
    received = amounts(
        n,
        foreignness(therapy, settings, parameters),
        facts.get("optimistic", np.zeros(n)),
        facts.get("centre", np.ones(n)),
        made.lot_cv.value,
        trophic,
    )
    protected = settings.get("immunosuppression", "none") != "none"
    orders = [Order(0, f"{owner}.suppress")] if protected else []
    for day in course_days(settings):
        orders.append(Order(day, f"{owner}.receive", received))
        orders.append(Order(day, f"{owner}.graft", amounts(n, *cells, seeds, *more)))
    if protected:
        stop = amounts(n, float(settings["taper_days"]))
        orders.append(Order(int(settings["immunosuppression_days"]), f"{owner}.taper", stop))
    return sorted(orders, key=lambda order: order.day)


# -- harm beside the kernel --------------------------------------------------------------------------------------------
def adverse_events(owner: str, seed: int, given: Given, parameters: Numbers) -> list[HarmEvents]:
    """Draw the harm of harvest, procedure, cells and immunosuppression; tumours are the kernel's own.

    Parameters
    ----------
    owner : str
        Family of the graft.
    seed, given, parameters
        As :class:`stemtrial.therapy.family.Family` passes them.
    """
    days = course_days(given.settings)
    out = [*harvest_harms(seed, given, parameters), *procedure_harms(seed, given, parameters, days)]
    if viable_dose(given.therapy, given.settings, parameters["cells.weight_kg"]) > 0:
        for later in days:
            done = doses_given(given, later)
            for event, harm, delay in (("meningeal_reaction", MENINGEAL, 1.0), ("fever", FEVER, 1.0)):
                p = np.where(done, parameters[f"{owner}.{event}.{given.settings['route']}"], 0.0)
                out.append(after_dose(seed, given, event, given.start + later, p, delay, harm))
    if given.settings.get("immunosuppression", "none") == "none":
        return out
    days_on = float(given.settings["immunosuppression_days"]) + float(given.settings["taper_days"])
    on = np.minimum(days_on, given.stop - given.start)
    tremor = after_dose(
        seed, given, "tremor", given.start, parameters["graft.tremor"], parameters["graft.tremor_days"], TREMOR
    )
    shown = tremor.day - given.start[tremor.row] <= on[tremor.row]
    out.append(HarmEvents(tremor.row[shown], tremor.day[shown], TREMOR))
    for event, harm, once in (
        ("renal_impairment", RENAL, True),
        ("infection", INFECTION, False),
        ("serious_infection", SERIOUS_INFECTION, False),
    ):
        out.append(_while_on(seed, given, event, parameters[f"graft.{event}"], on, harm, once))
    return out


def _while_on(
    seed: int, given: Given, event: str, per_year: float, days: NDArray[np.float64], harm: Harm, once: bool
) -> HarmEvents:
    """Events of a constant rate during the first ``days``: the first of them only, or all (up to 32)."""
    if per_year <= 0:
        return HarmEvents(np.zeros(0, np.int64), np.zeros(0, np.int64), harm)
    u = uniforms(
        seed, given.patient, given.start, f"harms.{event}.{given.therapy}.{given.settings['route']}", 1 if once else 32
    )
    speed = np.broadcast_to(recording_speed(harm, given.recording), len(u))[:, None]
    times = np.cumsum(-np.log(u), axis=1) * (YEAR / per_year) / speed
    row, which = np.nonzero(times < days[:, None])
    return HarmEvents(row, given.start[row] + times[row, which].astype(np.int64), harm)


# -- family ------------------------------------------------------------------------------------------------------------
def family(
    owner: str,
    therapy: str,
    on: Mapping[str, Composer],
    hypothesis: Mapping[str, str],
    prescribe: Prescriber | None = None,
) -> Family:
    """Family of one living graft.

    Parameters
    ----------
    owner, therapy : str
        Name of the family, and the therapy of the catalogue that it models.
    on : mapping of str to callable
        Composes it onto a disease, by name.
    hypothesis : mapping of str to str
        By disease, the parameter with the weight of the optimistic hypothesis.
    prescribe : callable, optional
        Orders it; :func:`graft_orders` if left out.
    """
    return Family(
        owner,
        on,
        (therapy,),
        prescribe or functools.partial(graft_orders, owner),
        failure=FAILURE,
        stop=f"{owner}.stop",
        harms=kernel_harms(owner),
        repeatable=True,
        check=check,
        wait=wait,
        adverse_events=functools.partial(adverse_events, owner),
        hypothesis=hypothesis,
        shares=("cells", "graft"),
    )
