"""A cell therapy as a cell scientist reads it: product, manufacture, release, delivery, action, harm, who had it.

Nothing is repeated here: products and routes come from their own records, numbers from the register of parameters.
"""

from __future__ import annotations

from typing import Any

from stemtrial.disease import DISEASES
from stemtrial.parameters import Parameter, registry
from stemtrial.therapy import FAMILIES, catalogue, family_of, human_data
from stemtrial.therapy.ahsct_regimens import ANTIBODY, CONDITIONING
from stemtrial.therapy.costs import costs_of, unit_costs
from stemtrial.therapy.product import (
    Fact,
    Product,
    cell_therapies,
    expected_yield,
    failure_probability,
    manufacturing_days,
    products,
    shortest_days,
)
from stemtrial.therapy.routes import PROCEDURE_HARMS, REGIONS, Route, routes, routes_of

Rows = list[dict[str, Any]]
HYPOTHESES = ("optimistic", "sceptical")
NONE = "none: prediction without human data"


def cell_parts(therapy: str) -> dict[str, Any]:
    """Return the parts of an explanation that only a cell therapy has; none for a drug.

    Parameters
    ----------
    therapy : str
        Of the catalogue.

    Returns
    -------
    dict
        ``products, manufacture, release, delivery, conditioning, tried_in_people, action_by_hypothesis, harms,
        unit_costs``: lists of rows, those that are empty left out. ``hypotheses`` is a text.
    """
    made = list(products(therapy).values())
    if not made:
        return {}
    parts: dict[str, Any] = {
        "hypotheses": _hypotheses(therapy),
        "products": [_product(p) for p in made],
        "manufacture": [_step(p, s) for p in made for s in p.steps],
        "release": [
            {"product": p.name, "shown": c.what, "limit": c.limit, "source": c.source} for p in made for c in p.release
        ],
        "delivery": [_delivery(routes()[r], therapy) for r in routes_of(therapy)],
        "conditioning": [
            {"conditioning": c, "intensity": i, "antibody_against_T_cells": ANTIBODY[c]}
            for c, i in CONDITIONING.items()
        ]
        if therapy == "ahsct"
        else [],
        "tried_in_people": _tried(made),
        "action_by_hypothesis": action(therapy),
        "harms": harms(therapy),
        "unit_costs": costs(therapy),
    }
    return {k: v for k, v in parts.items() if v}


def list_products() -> Rows:
    """Return all cell products, a row each."""
    found = [p for t in cell_therapies() for p in products(t).values()]
    return [{"therapy": p.therapy, "disease": list(FAMILIES[family_of(p.therapy)].on), **_product(p)} for p in found]


def list_routes() -> Rows:
    """Return all routes by which cells are given, a row each."""
    return [
        {
            "route": r.name,
            "disease": [d for d in DISEASES if any(d in s.regions for s in r.shares.values())],
            "label": r.label,
            "therapies": sorted(r.shares),
            "stay_days": r.stay_days,
            "procedure": r.procedure,
            "events": [_event(e) for e in r.events],
            "source": r.source,
        }
        for r in routes().values()
    ]


def _hypotheses(therapy: str) -> str:
    return " ".join(
        f"Two hypotheses of its action on {disease.upper()} compete; one holds in a whole trial: the optimistic with "
        f"weight {p.value:g}, the sceptical with {1 - p.value:g} ({p.name}; {p.source})."
        for disease, name in FAMILIES[family_of(therapy)].hypothesis.items()
        for p in (registry()[name],)
    )


def _product(p: Product) -> dict[str, Any]:
    return {
        "product": p.name,
        "label": p.label,
        "tissue": p.tissue,
        "donor": p.donor,
        "days": manufacturing_days(p),
        "least_days": shortest_days(p),
        "lot_fails": round(failure_probability(p), 3),
        "lot_1e6": expected_yield(p),
        "given": p.prepared,
        "viability": p.viability[p.prepared].value,
        "purity": _value(p.purity),
        "pluripotent": _value(p.residual_undifferentiated),
        "lot_cv": p.lot_cv.value,
        "potency": p.potency,
        "ethics": p.ethics,
        "source": p.source,
    }


def _value(fact: Fact | None) -> float | None:
    return None if fact is None else fact.value


def _step(p: Product, s: Any) -> dict[str, Any]:
    return {
        "product": p.name,
        "step": s.name,
        "days": s.days,
        "least": s.least_days,
        "cells_out_per_cell_in": s.fold,
        "fails": s.failure,
        "banked": s.banked,
        "source": s.source,
    }


def _delivery(r: Route, therapy: str) -> dict[str, Any]:
    s = r.shares[therapy]
    of = {d: s.regions.get(d, {}) for d in FAMILIES[family_of(therapy)].on}  # none: not given so in that disease
    regions = {region: exposed.get(region) for d, exposed in of.items() for region in REGIONS[d]}
    harm = [f"{_event(e)} {registry()[f'cells.{e}.{r.name}'].value:g}" for e in r.events]
    return {
        "route": r.name,
        "lung": s.lung,
        "csf": s.csf,
        "tissue": s.tissue,
        **regions,
        "stay_days": r.stay_days,
        "procedure": r.procedure,
        "events_of_the_procedure": harm,
        "source": s.source,
    }


def _event(name: str) -> str:
    return PROCEDURE_HARMS[name].term


def _tried(made: list[Product]) -> Rows:
    """Studies with human results of each product by each way of giving it."""
    out: Rows = []
    for p in made:
        for disease in FAMILIES[family_of(p.therapy)].on:
            field, ways = "route", routes_of(p.therapy, disease)
            if p.therapy == "ahsct":
                field, ways = "conditioning", tuple(CONDITIONING)
            for way in ways:
                found = human_data(p.therapy, {"product": p.name, field: way}, disease)
                out.append({"product": p.name, "disease": disease, field: way, "studies": list(found) or NONE})
    return out


def action(therapy: str) -> Rows:
    """Return each number of a therapy's action that differs between the hypotheses, side by side."""
    family, out = family_of(therapy), []
    for name, p in registry().items():
        stem, _, which = name.rpartition(".")
        if which == HYPOTHESES[0] and stem.startswith(f"{family}."):
            other = registry()[f"{stem}.{HYPOTHESES[1]}"]
            row = {"number": stem, "optimistic": p.value, "sceptical": other.value, "no_effect": p.no_effect}
            out.append(row | {"unit": p.unit, "meaning": p.meaning.removesuffix(" (optimistic)"), "source": p.source})
    return out


def harms(therapy: str) -> Rows:
    """Return the probabilities and hazards of harm, of the cells, of the procedure and of immunosuppression."""
    family = family_of(therapy)
    ways = {r for r in routes() if r not in routes_of(therapy)} if family != "ahsct" else set()
    return [
        {"number": p.name, "value": p.value, "unit": p.unit, "meaning": p.meaning, "source": p.source}
        for p in registry().values()
        if p.name.startswith(FAMILIES[family].owners) and _is_harm(p) and p.name.rpartition(".")[2] not in ways
    ]


def costs(therapy: str) -> Rows:
    """Return the unit costs that any product of a therapy, by any of its ways, may need; prices as published."""
    defaults = {k: f.default for k, f in catalogue()[therapy].fields.items() if f.default is not None}
    needed: dict[str, None] = {}
    if therapy == "ahsct":
        for way in CONDITIONING:
            needed |= dict.fromkeys(
                i for i, _ in costs_of(therapy, defaults | {"conditioning": way, "cd34_selected": "yes"})
            )
    for p in products(therapy).values() if therapy != "ahsct" else ():
        for way in routes_of(therapy):
            entry = defaults | {"product": p.name, "route": way, "dose_1e6": 1.0}
            entry |= {"immunosuppression": "tacrolimus"} if "immunosuppression" in defaults else {}
            needed |= dict.fromkeys(item for item, _ in costs_of(therapy, entry))
    return [
        {"item": c.item, "value": c.value, "currency": c.currency, "year": c.year, "per": c.per, "what": c.label}
        | {"source": c.source}
        for c in (unit_costs()[item] for item in needed)
    ]


def _is_harm(p: Parameter) -> bool:
    """Whether a number is the probability or hazard of something that can be switched off."""
    return p.no_effect is not None and (p.unit == "probability" or p.unit.startswith(("1/y", "1/d")))
