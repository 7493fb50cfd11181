"""Products, routes and unit costs: complete and sourced; what cannot be is refused with its reason.

Run as a program, this file writes the tables of docs/cell_products.md.
"""

import math
import re
import sys
from pathlib import Path

import pytest

from stemtrial.errors import InputError
from stemtrial.evidence import studies
from stemtrial.parameters import registry
from stemtrial.therapy import catalogue, human_data
from stemtrial.therapy.costs import costs_of, unit_costs
from stemtrial.therapy.family import FieldError
from stemtrial.therapy.info import Record
from stemtrial.therapy.prescribe import FAMILIES, family_of, refuse_in
from stemtrial.therapy.product import (
    Fact,
    Step,
    check,
    expected_yield,
    failure_probability,
    hla_mismatches,
    manufacturing_days,
    product,
    products,
    shortest_days,
    viable_dose,
    wait,
)
from stemtrial.therapy.routes import PROCEDURE_HARMS, REGIONS, Segment, Shares, route, routes, routes_of

PAGE = Path(__file__).parents[3] / "docs" / "cell_products.md"
START = "<!-- tables: written by `python tests/unit/therapy/test_products.py` -->\n"
END = "<!-- end of tables -->\n"
CELLS = ("msc", "nsc", "ipsc_opc", "astrocytes", "treg")
DISEASES = {"ms": "MS", "als": "ALS"}
ALL = [p for t in ("ahsct", *CELLS) for p in products(t).values()]


def entry(therapy, **fields):
    """Settings as a protocol gives them, defaults filled in; None leaves a field out."""
    known = {k: f.default for k, f in catalogue()[therapy].fields.items() if f.default is not None}
    usual = {
        "msc": {"product": "bone-marrow-autologous", "route": "intrathecal", "dose_1e6_per_kg": 1.0},
        "nsc": {"product": "foetal-allogeneic", "route": "intracerebroventricular", "dose_1e6": 24.0},
        "ipsc_opc": {"product": "ipsc-autologous", "route": "intraparenchymal", "dose_1e6": 100.0},
        "astrocytes": {"dose_1e6": 100.0},
        "treg": {"dose_1e6_per_kg": 1.0},
    }[therapy]
    return {k: v for k, v in (known | usual | fields).items() if v is not None}


# -- the page --------------------------------------------------------------------------------------------------------
def row(*cells):
    return "| " + " | ".join(str(c).replace("|", "/") for c in cells) + " |"


def head(*names):
    return [row(*names), "|" + "---|" * len(names)]


def number(fact, form="g"):
    return "" if fact is None else f"{fact.value:{form}}"


def made_of(t, p):
    """Row of one product: what it is."""
    alive = " / ".join(number(p.viability.get(how)) or "not possible" for how in ("fresh", "thawed"))
    days = f"{manufacturing_days(p)} ({shortest_days(p)})"
    mismatch = "" if p.hla_mismatches is None else f"{p.hla_mismatches.value:g} of 6"
    lot = f"{failure_probability(p):.1%}", f"{expected_yield(p):.3g}", number(p.lot_cv)
    return row(t, f"`{p.name}`", p.tissue, p.donor, p.prepared, alive, days, *lot, mismatch, p.source)


def made_by(t, p):
    """Row of one product: how it is made."""
    steps = "; ".join(
        f"{s.name} ({s.days} d, {s.least_days} d; x{s.fold:g}; {s.failure:.1%}{'; banked' if s.banked else ''})"
        for s in p.steps
    )
    release = "; ".join(f"{c.what}: {c.limit}" for c in p.release)
    return row(t, f"`{p.name}`", steps, release, p.potency, p.ethics)


def seen_in(t, p, disease):
    """Rows of one product: in whom it was studied."""
    found = [row(t, f"`{p.name}`", way, ", ".join(ids)) for way, ids in p.human.get(disease, {}).items()]
    return found or [row(t, f"`{p.name}`", "any route", "none: prediction without human data")]


def exposures(disease):
    """Where the cells of each route go in one disease."""
    lines = [f"Exposure of the regions in {DISEASES[disease]}, the highest is 1:", ""]
    lines += head("route", "therapy", *REGIONS[disease])
    for r in routes().values():
        for t, s in r.shares.items():
            if disease in s.regions:
                lines.append(row(f"`{r.name}`", t, *(f"{x:g}" for x in s.weights(disease))))
    return [*lines, ""]


def needles():
    """Segments of the cord."""
    lines = ["Segments, by route and disease:", ""]
    lines += head("route", "disease", "segment", "where", "share of the dose by region", "part of the region", "source")
    for r in routes().values():
        for disease, segments in r.segments.items():
            for name, s in segments.items():
                shares = ", ".join(f"{k} {v:g}" for k, v in s.regions.items())
                where = row(f"`{r.name}`", DISEASES[disease], f"`{name}`", s.meaning, shares, f"{s.reach:g}", s.source)
                lines.append(where)
    return [*lines, ""]


def tables():
    """The tables as the page must have them."""
    every = [(t, p) for t in catalogue() for p in products(t).values()]
    what = ("therapy", "product", "made from", "donor", "given", "viability fresh / thawed", "days to make (least)")
    lot = ("a lot to order fails", "one lot yields (1e6)", "CV of lots", "HLA mismatches", "described in")
    lines = ["## Products", "", *head(*what, *lot), *(made_of(t, p) for t, p in every)]
    steps = "steps (days, least; fold of viable cells; failure)"
    lines += ["", "## Making", "", *head("therapy", "product", steps, "release criteria", "potency", "ethics")]
    lines += [made_by(t, p) for t, p in every]
    for disease, name in DISEASES.items():
        lines += ["", f"## Human results in {name}", "", *head("therapy", "product", "by", "studies")]
        acting = [(t, p) for t, p in every if disease in FAMILIES[family_of(t)].on]
        lines += [line for t, p in acting for line in seen_in(t, p, disease)]
    lines += ["", "## Routes", "", "Shares of the viable cells of a dose:", ""]
    lines += head("route", "procedure", "days in hospital", "therapy", "lung", "CSF", "tissue", "blood", "source")
    for r in routes().values():
        for t, s in r.shares.items():
            shares = (f"{x:g}" for x in (s.lung, s.csf, s.tissue, s.blood))
            lines.append(row(f"`{r.name}`", r.procedure, r.stay_days, t, *shares, s.source))
    lines += ["", *exposures("ms"), *exposures("als"), *needles()]
    lines += ["Harm of the procedure itself, probability a dose, with or without cells in it:", ""]
    lines += head("route", "event", "probability", "grade", "serious", "source")
    for r in routes().values():
        for e in r.events:
            p, harm = registry()[f"cells.{e}.{r.name}"], PROCEDURE_HARMS[e]
            serious = "yes" if harm.serious else "no"
            lines.append(row(f"`{r.name}`", harm.term, f"{p.value:g}", harm.grade, serious, p.source))
    lines += ["", "## Unit costs", "", *head("item", "what", "value", "per", "prices of", "source")]
    for c in unit_costs().values():
        lines.append(row(f"`{c.item}`", c.label, f"{c.value:,g} {c.currency}", c.per, c.year, c.source))
    return "\n".join(["", *lines, ""])


def test_the_page_shows_products_routes_and_costs_as_they_are():
    page = PAGE.read_text(encoding="utf-8")
    assert page.split(START)[1].split(END)[0] == tables(), f"run: python {Path(__file__).relative_to(PAGE.parents[1])}"


# -- complete and sourced ----------------------------------------------------------------------------------------------
def records(thing):
    """All records inside a record."""
    if isinstance(thing, Record):
        yield thing
        for name in type(thing).model_fields:
            yield from records(getattr(thing, name))
    elif isinstance(thing, dict):
        for v in thing.values():
            yield from records(v)
    elif isinstance(thing, tuple):
        for v in thing:
            yield from records(v)


def sources():
    for top in (*ALL, *routes().values(), *unit_costs().values()):
        for r in records(top):
            yield top, r.source


def test_every_number_has_a_source_and_every_study_that_it_names_exists():
    known = set(studies())
    assert len(list(sources())) > 200
    for top, source in sources():
        assert len(source) > 4, top
        named = set(re.findall(r"\b[a-z_0-9]*[12][09][0-9]{2}[a-z]?_[a-z0-9_]+\b", source))
        assert named <= known, top
        cited = "assumed" in source or source.startswith("10.") or any(s in source for s in known)
        assert cited, f"{top}: '{source}' is no study, no DOI and not assumed"
    for p in ALL:
        for disease, by in p.human.items():
            for found in by.values():
                assert set(found) <= known, p.name
                assert all(studies()[s].disease == disease for s in found), p.name


def test_the_catalogue_and_the_data_name_the_same_products_and_routes():
    for t in CELLS:
        fields = catalogue()[t].fields
        assert list(fields["product"].choices) == list(products(t))
        assert set(fields["route"].choices) == set(routes_of(t))
        assert {f"lot.{t}.{name}" for name in products(t)} <= set(unit_costs())
        for p in products(t).values():
            assert set(p.human) <= set(FAMILIES[family_of(t)].on)
            assert all(set(by) <= set(routes_of(t, disease)) for disease, by in p.human.items())
        acts = FAMILIES[family_of(t)].on
        assert all(routes_of(t, disease) for disease in acts), "some way to give it wherever it acts"
        assert all(set(r.shares[t].regions) <= set(acts) for r in routes().values() if t in r.shares)
    conditioning = set(catalogue()["ahsct"].fields["conditioning"].choices)
    assert set(products("ahsct")["peripheral-blood-cd34"].human["ms"]) == conditioning
    assert {f"conditioning.{c}" for c in conditioning} <= set(unit_costs())
    assert not products("ocrelizumab")
    (cord,) = (r for r in routes().values() if r.segments)
    assert list(catalogue()["nsc"].fields["segments"].choices) == list(cord.segments["als"])
    for segment in cord.segments["als"].values():
        assert set(segment.regions) <= {r for r, w in cord.shares["nsc"].regions["als"].items() if w > 0}


def test_products_are_possible():
    for p in ALL:
        assert p.prepared in p.viability, p.name
        assert all(0 < v.value <= 1 for v in p.viability.values())
        assert 0 < p.lot_cv.value < 1
        assert (p.taken is None) <= (not p.autologous or p.therapy == "ahsct"), p.name
        assert (p.hla_mismatches is None) == p.autologous, p.name
        assert any(s.banked for s in p.steps) == (not p.autologous), p.name
        assert shortest_days(p) <= manufacturing_days(p)
        assert 0 <= failure_probability(p) < 0.5
        assert p.release
        if p.residual_limit is not None:
            assert p.residual_undifferentiated.value <= p.residual_limit.value
        assert p.name.startswith(("ipsc", "hesc")) == (p.residual_limit is not None)
    auto = product("ipsc_opc", "ipsc-autologous")
    assert manufacturing_days(auto) == 270, "ms_model 7.4"
    assert failure_probability(auto) == pytest.approx(1 - 0.99 * 0.95 * 0.85 * 0.9 * 0.9)


def test_routes_are_possible():
    for r in routes().values():
        assert all(f"cells.{e}.{r.name}" in registry() for e in r.events), r.name
        assert all(registry()[f"cells.{e}.{r.name}"].no_effect == 0.0 for e in r.events)
        for s in r.shares.values():
            assert all((max(s.weights(d)) == 1.0) == (s.csf + s.tissue > 0) for d in s.regions)
    vein = route("intravenous").shares["msc"]
    reached = max(max(vein.weights(d)) for d in DISEASES)
    assert vein.csf == vein.tissue == reached == 0.0, "detante2009_brain_homing, eggenhofer2012_shortlived"
    assert set(route("intravenous").shares) == {"msc", "treg"}, "neural cells are not given by vein"


def test_malformed_data_are_refused():
    even = {"ms": dict.fromkeys(REGIONS["ms"], 1.0)}
    good = {"lung": 0.5, "csf": 0.5, "tissue": 0.0, "regions": even, "source": "assumed"}
    assert Shares.model_validate(good)
    half, other = {"als": dict.fromkeys(REGIONS["als"], 0.5)}, {"als": even["ms"]}
    for wrong in ({"ms": {"pv": 1.0}}, half, other):
        with pytest.raises(ValueError, match="regions of"):
            Shares.model_validate(good | {"regions": wrong})
    with pytest.raises(ValueError, match=r"sum to 0\.9, not 1; mend them"):
        Segment.model_validate({"meaning": "m", "regions": {"lumbar": 0.9}, "reach": 1.0, "source": "assumed"})
    for bad in ({"tissue": 0.1}, {"blood": 0.1}, {"regions": {"ms": {"pv": 1.0}}}, {"moon": 1}):
        with pytest.raises(ValueError, match=r"shares|regions|moon"):
            Shares.model_validate(good | bad)
    with pytest.raises(ValueError, match="least_days 5 exceed days 3"):
        Step(name="s", days=3, least_days=5, fold=1, failure=0, source="assumed")
    with pytest.raises(ValueError, match="source"):
        Fact.model_validate({"value": 1.0})


def test_unknown_names_say_which_are_known():
    with pytest.raises(InputError, match="did you mean 'placenta'"):
        product("msc", "plazenta")
    with pytest.raises(InputError, match="'None' is no product of 'msc'"):
        product("msc")
    with pytest.raises(InputError, match="did you mean 'intrathecal'"):
        route("intrathekal")


# -- what cannot be ----------------------------------------------------------------------------------------------------
IMPOSSIBLE = [
    ("msc", {"viability": 0.0}, "viability", "without living cells"),
    ("ipsc_opc", {"viability": 0.0}, "viability", "without living cells"),
    ("msc", {"dose_1e6_per_kg": None}, "dose_1e6_per_kg", "a dose is missing; say dose_1e6_per_kg or dose_1e6"),
    ("msc", {"dose_1e6": 70.0}, "dose_1e6", "said twice"),
    ("nsc", {"dose_1e6": None}, "dose_1e6_per_kg", "a dose is missing"),
    ("msc", {"route": "intraspinal"}, "route", "'msc' cannot be given by 'intraspinal'"),
    ("nsc", {"route": "intravenous"}, "route", "'nsc' cannot be given by 'intravenous'"),
    ("ipsc_opc", {"route": "intrathecal"}, "route", "'ipsc_opc' cannot be given by 'intrathecal'"),
    ("msc", {"dose_1e6_per_kg": 5.0}, "dose_1e6_per_kg", "yields 285e6 cells, the dose is 350e6 at 70 kg; give less"),
    ("ipsc_opc", {"dose_1e6": 401.0}, "dose_1e6", "yields 400e6 cells, the dose is 401e6; give less"),
    ("msc", {"product": "placenta", "preparation": "fresh"}, "preparation", "comes from a bank and cannot be fresh"),
    ("msc", {"product": "bone-marrow-ntf-autologous", "preparation": "thawed"}, "preparation", "use fresh"),
    ("nsc", {"product": "ipsc-autologous", "hla_mismatches": 1}, "hla_mismatches", "has no mismatch, not 1"),
    ("ipsc_opc", {"hla_mismatches": 3}, "hla_mismatches", "has no mismatch, not 3"),
    ("ipsc_opc", {"manufacturing_days": 0}, "manufacturing_days", "at least 185 days to make (skin biopsy"),
    ("ipsc_opc", {"manufacturing_days": 184}, "manufacturing_days", "not 184; wait that long or use a bank"),
    ("nsc", {"product": "ipsc-autologous", "manufacturing_days": 30}, "manufacturing_days", "at least 140 days"),
    ("ipsc_opc", {"purity": 0.0}, "purity", "without the wanted cells"),
    ("ipsc_opc", {"residual_undifferentiated": 1e-3}, "residual_undifferentiated", "at most 2e-05"),
    ("msc", {"made": "to_order", "courses": 2, "every_days": 30}, "every_days", "in 36 days, not 30"),
    ("ipsc_opc", {"courses": 2, "every_days": 182}, "every_days", "in 270 days, not 182"),
    ("nsc", {"segments": "cervical"}, "segments", "'intracerebroventricular' has none; leave it out"),
    ("nsc", {"injections": 10}, "injections", "'intracerebroventricular' has none; leave it out"),
    ("astrocytes", {"route": "intravenous"}, "route", "'astrocytes' cannot be given by 'intravenous'"),
    ("treg", {"manufacturing_days": 3}, "manufacturing_days", "at least 26 days to make (leukapheresis"),
    ("treg", {"dose_1e6_per_kg": 40.0}, "dose_1e6_per_kg", "yields 2125e6 cells, the dose is 2800e6"),
]


@pytest.mark.parametrize(("therapy", "fields", "field", "reason"), IMPOSSIBLE)
def test_an_impossible_product_is_refused_with_its_reason(therapy, fields, field, reason):
    check(therapy, entry(therapy))
    with pytest.raises(FieldError, match=re.escape(reason)) as e:
        check(therapy, entry(therapy, **fields))
    assert e.value.field == field
    assert ";" in str(e.value), "and says what to do"


SPINAL = {"product": "foetal-spinal-allogeneic", "route": "intraspinal", "dose_1e6": 4.0}
REFUSED_THERE = [
    ("als", "ocrelizumab", {}, "therapy", "'ocrelizumab' has no model in als; give one of edaravone"),
    ("als", "ipsc_opc", {}, "therapy", "'ipsc_opc' has no model in als"),
    ("als", "ahsct", {}, "therapy", "'ahsct' has no model in als"),
    ("ms", "tofersen", {}, "therapy", "'tofersen' has no model in ms"),
    ("ms", "astrocytes", {"route": "intrathecal"}, "therapy", "'astrocytes' has no model in ms"),
    ("als", "msc", {"route": "intracerebroventricular"}, "route", "in als 'msc' is not given by 'intracerebro"),
    ("als", "nsc", {"route": "intrathecal"}, "route", "in als 'nsc' is not given by 'intrathecal'; use intraspinal"),
    ("als", "nsc", SPINAL, "segments", "none is said; say one of cervical, lumbar"),
    ("ms", "nsc", SPINAL | {"segments": "lumbar"}, "segments", "'lumbar' is said; leave it out"),
]


@pytest.mark.parametrize(("disease", "therapy", "fields", "field", "reason"), REFUSED_THERE)
def test_what_cannot_be_given_in_a_disease_is_refused_with_its_reason(disease, therapy, fields, field, reason):
    with pytest.raises(FieldError, match=re.escape(reason)) as e:
        refuse_in(disease, therapy, fields)
    assert e.value.field == field


def test_what_can_be_given_in_a_disease_passes():
    for disease, family in ((d, f) for d in DISEASES for f in FAMILIES.values() if d in f.on):
        for t in family.therapies:
            for way in routes_of(t, disease) or (None,):
                segments = [None] if way is None else list(route(way).segments.get(disease, {})) or [None]
                for s in segments:
                    refuse_in(disease, t, {"route": way, "segments": s})


POSSIBLE = [
    ("nsc", SPINAL | {"segments": "cervical_and_lumbar", "injections": 40}),
    ("astrocytes", {"courses": 2, "every_days": 60}),
    ("treg", {"courses": 8, "every_days": 28, "made": "to_order"}),
    ("msc", {"dose_1e6_per_kg": 0.0}),
    ("msc", {"dose_1e6_per_kg": None, "dose_1e6": 0.0}),
    ("msc", {"preparation": "thawed", "made": "to_order", "courses": 6, "every_days": 30}),
    ("msc", {"courses": 3, "every_days": 30}),
    ("msc", {"product": "placenta", "route": "intravenous", "dose_1e6_per_kg": None, "dose_1e6": 600.0}),
    ("nsc", {"hla_mismatches": 6, "made": "to_order"}),
    ("nsc", {"product": "ipsc-autologous", "made": "to_order", "manufacturing_days": 140, "hla_mismatches": 0}),
    ("ipsc_opc", {"manufacturing_days": 185}),
    ("ipsc_opc", {"product": "ipsc-allogeneic-bank", "manufacturing_days": 0, "courses": 2}),
]


@pytest.mark.parametrize(("therapy", "fields"), POSSIBLE)
def test_what_can_be_passes(therapy, fields):
    check(therapy, entry(therapy, **fields))


# -- dose and time -----------------------------------------------------------------------------------------------------
def test_what_acts_is_dose_times_viability_times_purity():
    assert viable_dose("msc", entry("msc", viability=0.5), 80.0) == pytest.approx(40.0)
    assert viable_dose("msc", entry("msc"), 70.0) == pytest.approx(70 * 0.95)
    assert viable_dose("nsc", entry("nsc"), 70.0) == pytest.approx(24 * 0.8)
    assert viable_dose("ipsc_opc", entry("ipsc_opc"), 70.0) == pytest.approx(100 * 0.9 * 0.9)
    assert viable_dose("ipsc_opc", entry("ipsc_opc", purity=0.5, viability=1.0), 70.0) == pytest.approx(50.0)


def test_own_cells_are_waited_for_and_banked_ones_not():
    assert wait("ipsc_opc", entry("ipsc_opc")) == 270
    assert wait("ipsc_opc", entry("ipsc_opc", manufacturing_days=200)) == 200
    assert wait("ipsc_opc", entry("ipsc_opc", product="ipsc-allogeneic-bank")) == 0
    assert wait("nsc", entry("nsc", made="to_order")) == 0
    assert wait("nsc", entry("nsc", product="ipsc-autologous", made="to_order")) == 240
    assert wait("nsc", entry("nsc", product="ipsc-autologous")) == 0, "made before entry"


def test_own_cells_have_no_mismatch():
    assert hla_mismatches(product("nsc", "ipsc-autologous"), {}) == 0
    assert hla_mismatches(product("nsc", "foetal-allogeneic"), {}) == 4
    assert hla_mismatches(product("nsc", "foetal-allogeneic"), {"hla_mismatches": 1}) == 1


def test_human_data_are_of_that_product_by_that_route():
    assert "leone2023_icv_nsc" in human_data("nsc", entry("nsc"), "ms")
    assert human_data("nsc", entry("nsc", route="intrathecal"), "ms") == ("genchi2023_stems",)
    assert human_data("nsc", entry("nsc", product="ipsc-autologous"), "ms") == ()
    assert human_data("msc", entry("msc", route="intracerebroventricular"), "ms") == ()
    assert human_data("ipsc_opc", entry("ipsc_opc"), "ms") == (), "registry_ipsc_glia_2026: none published"
    assert "burt2019_mist" in human_data("ahsct", {"conditioning": "cyclophosphamide-atg"}, "ms")
    assert human_data("ocrelizumab", {}, "ms"), "drugs are in use"
    lumbar = entry("msc", product="adipose-autologous")
    assert human_data("msc", lumbar, "ms") == (), "in another disease"
    assert human_data("msc", lumbar, "als") == ("staff2016_adipose",)
    assert human_data("nsc", entry("nsc", **SPINAL), "als")[0] == "glass2012_nsi566"
    assert human_data("nsc", entry("nsc", product="ipsc-allogeneic", route="intraspinal"), "als") == ()
    assert human_data("treg", entry("treg"), "als") == ("thonhoff2018_treg", "thonhoff2022_treg")


# -- cost --------------------------------------------------------------------------------------------------------------
def test_every_item_of_an_entry_has_a_unit_cost():
    for t in CELLS:
        for name in products(t):
            for r in routes_of(t):
                settings = entry(t, product=name, route=r)
                needed = costs_of(t, settings)
                assert {i for i, _ in needed} <= set(unit_costs())
                assert all(n > 0 and math.isfinite(n) for _, n in needed)
                assert f"lot.{t}.{name}" in dict(needed)
    for c in catalogue()["ahsct"].fields["conditioning"].choices:
        assert {i for i, _ in costs_of("ahsct", {"conditioning": c, "cd34_selected": "yes"})} <= set(unit_costs())
    with pytest.raises(InputError, match="no cell therapy"):
        costs_of("ocrelizumab", {})


def test_what_is_needed_follows_the_schedule():
    fresh = dict(costs_of("msc", entry("msc", courses=3)))
    assert fresh["procedure.intrathecal"] == fresh["harvest.marrow"] == 3
    frozen = dict(costs_of("msc", entry("msc", courses=6, preparation="thawed")))
    assert frozen["harvest.marrow"] == 2, "6 x 70e6 cells from lots of 285e6"
    assert frozen["procedure.intrathecal"] == 6
    sham = dict(costs_of("msc", entry("msc", dose_1e6_per_kg=0.0)))
    assert not any(i.startswith(("lot", "harvest", "release")) for i in sham)
    assert sham["procedure.intrathecal"] == 1
    graft = dict(
        costs_of("nsc", entry("nsc", immunosuppression="tacrolimus", immunosuppression_days=365, taper_days=0))
    )
    assert graft["tacrolimus_month"] == pytest.approx(12, abs=0.02)
    assert "tumour_surveillance_mri" not in graft
    assert dict(costs_of("ipsc_opc", entry("ipsc_opc")))["tumour_surveillance_mri"] == 10


def test_published_costs_are_as_published():
    for item, study, endpoint in (
        ("transplant_episode", "burt2020_cost", "cost_usd"),
        ("transplant_five_years", "mariottini2024_cost", "cost_eur"),
        ("ms_care_year", "cost_msc_care", "direct_cost_per_year"),
    ):
        first = next(o for o in studies()[study].outcomes if o.endpoint == endpoint)
        assert unit_costs()[item].value == first.value
        assert unit_costs()[item].source.startswith(study)


if __name__ == "__main__":
    before, rest = PAGE.read_text(encoding="utf-8").split(START)
    PAGE.write_text(before + START + tables() + END + rest.split(END)[1], encoding="utf-8")
    sys.stdout.write(f"{len(ALL)} products\n")
