"""Transplantation whole: what returns and when, who dies, which harm comes to whom; directions as published."""

from __future__ import annotations

import numpy as np
import pytest

from stemtrial.kernel import Schedule
from stemtrial.parameters import registry
from stemtrial.therapy import catalogue, prescribe
from stemtrial.therapy.ahsct_harms import TERMS, adverse_events, engraftment
from stemtrial.therapy.ahsct_regimens import ANTIBODIES, ANTIBODY, CONDITIONING, INTENSITIES, IRRADIATION
from stemtrial.therapy.family import Given

SEED = 3


def entry(conditioning="beam-atg", **fields):
    base = {
        "cells_1e6_per_kg": 5.0,
        "mobilisation": "gcsf",
        "cd34_selected": "no",
        "centre_transplants": 30.0,
        "day": 0,
    }
    return base | {"conditioning": conditioning} | fields


def given(n, conditioning="beam-atg", facts=None, start=0, **fields):
    known = {"edss": 4.0, "age_years": 38.0, "female": 1.0} | (facts or {})
    return Given(
        np.arange(n, dtype=np.uint64), "ahsct", entry(conditioning, **fields), np.full(n, start),
        np.full(n, start + 4000), {k: np.broadcast_to(np.asarray(v, float), n) for k, v in known.items()},
    )  # fmt: skip


def graft(kernel, people, p, n, conditioning="beam-atg", *, days=1, at=(), age=38.0, edss=4.0, year=2012.0, **fields):
    """Transplant on day 0 people of one age who die of nothing else; the crowd, what was seen, the log."""
    crowd = people(kernel, n)
    crowd.constants[kernel.constants.index("age0")] = age
    facts = {"edss": np.full(n, edss), "year": np.full(n, year), "day": np.zeros(n, np.int64)}
    (order,) = prescribe("ahsct", entry(conditioning, **fields), facts, parameters=p)
    plan = Schedule(np.arange(n), np.zeros(n, int), np.full(n, kernel.dose(order.dose)), order.amounts)
    visits = (np.tile(np.arange(n), len(at)), np.repeat(np.array(at, int), n)) if len(at) else None
    told = kernel.advance(crowd, 0, days, p | {"ms.gompertz_a": 0.0}, SEED, schedule=plan, visits=visits, threads=2)
    return crowd, {k: v.reshape(len(at), n) for k, v in told.observed.items()} if len(at) else {}, told.events


def deathless(point):
    return point | {f"ahsct.mortality.{i}": 0.0 for i in INTENSITIES}


def days_of(events, *terms):
    """Rows and days of some terms."""
    mine = [e for e in events if e.harm.term in terms]
    return np.concatenate([e.row for e in mine]), np.concatenate([e.day for e in mine])


def share(events, n, *terms):
    return len(np.unique(days_of(events, *terms)[0])) / n


# -- regimens and orders -----------------------------------------------------------------------------------------
def test_every_conditioning_of_the_catalogue_has_an_intensity_and_an_antibody():
    choices = set(catalogue()["ahsct"].fields["conditioning"].choices)
    assert choices == set(CONDITIONING) == set(ANTIBODY)
    assert set(CONDITIONING.values()) == set(INTENSITIES)
    assert set(ANTIBODY.values()) == set(ANTIBODIES)
    assert all(CONDITIONING[c] == "high" for c in IRRADIATION)


@pytest.mark.parametrize(("done", "expected"), [(0, 1.0), (11.5, 0.5), (23, 0.0), (400, 0.0)])
def test_an_order_carries_inexperience_and_whether_there_is_an_antibody(point, done, expected):
    facts = {"edss": np.array([4.0]), "year": np.array([2015.0]), "day": np.array([0])}
    for conditioning, without in (("beam", 1.0), ("beam-atg", 0.0), ("cyclophosphamide-rituximab", 1.0)):
        (order,) = prescribe("ahsct", entry(conditioning, centre_transplants=done), facts, parameters=point)
        assert order.amounts.tolist() == [[5.0, 4.0, 2015.0, 0.0, expected, without]]


# -- blood -------------------------------------------------------------------------------------------------------
DAYS = (0, 7, 30, 90, 180, 270, 365, 730)
CELLS = ("naive_cd4", "memory_cd4", "cd8", "nk", "b_cells", "trec", "repertoire", "memory_overlap")


@pytest.fixture(scope="module")
def blood(everything, people, point):
    _, seen, _ = graft(everything, people, deathless(point), 600, "cyclophosphamide-atg", days=731, at=DAYS)
    return {k: dict(zip(DAYS, np.median(v / v[0], axis=1), strict=True)) for k, v in seen.items() if k in CELLS}


def test_cells_fall_and_return_in_the_published_order(blood):
    """storek2008_reconstitution (day 7, NK at 1 month, B at 6 months, CD8 before CD4), cull2017_lymphocytes."""
    assert all(blood[c][7] < 0.05 for c in ("naive_cd4", "memory_cd4", "cd8", "b_cells", "trec"))
    assert blood["nk"][30] > 0.8
    assert blood["cd8"][90] > 1 > 3 * blood["memory_cd4"][90]
    assert blood["b_cells"][90] < 0.3 < 0.7 < blood["b_cells"][180] <= 1
    assert blood["naive_cd4"][270] < blood["naive_cd4"][365] == pytest.approx(1.0, abs=0.1)
    assert blood["memory_cd4"][730] < 0.6, "CD4 memory stays low"


def test_the_thymus_makes_new_cells_above_the_level_before(blood):
    """muraro2005_jem (TREC and naive share up at 2 y), arruda2018 (TREC falls, then rebounds in 1-2 y)."""
    assert blood["trec"][90] < 0.3 < 1 < blood["trec"][730] < blood["trec"][365]
    assert blood["naive_cd4"][730] > 1
    assert blood["repertoire"][30] == pytest.approx(0.54, abs=0.02)
    assert blood["repertoire"][730] > 1


def test_the_memory_repertoire_is_renewed_in_two_steps(blood):
    """ruder2022_tcr: .26 soon after, .15 at 1 y."""
    assert blood["memory_overlap"][30] == pytest.approx(0.26, abs=0.02)
    assert blood["memory_overlap"][365] == pytest.approx(0.15, abs=0.02)


def test_older_people_make_fewer_new_t_cells(everything, people, point):
    """storek2008_reconstitution: slower thymopoiesis with age; muraro2005_jem."""
    found = []
    for age in (25.0, 40.0, 55.0):
        _, seen, _ = graft(everything, people, deathless(point), 300, days=731, at=(0, 365, 730), age=age)
        found.append([np.median(seen[c][k]) for c in ("naive_cd4", "trec") for k in (1, 2)])
        found[-1].append(np.median(seen["naive_cd4"][2] / seen["naive_cd4"][0]))
    assert (np.diff(np.array(found), axis=0) < 0).all()


def test_without_an_antibody_more_t_cells_survive_and_a_selected_graft_brings_fewer(everything, people, point):
    """storek2008_reconstitution (CD34-selected graft, CD4 low for years); the antibody's share is assumed."""
    level = {}
    for name, conditioning, selected in (
        ("beam", "beam", "no"),
        ("atg", "beam-atg", "no"),
        ("cd34", "beam-atg", "yes"),
    ):
        _, seen, _ = graft(
            everything, people, deathless(point), 300, conditioning, days=731, at=(14, 730), cd34_selected=selected
        )
        level[name] = [np.median(seen["cd8"][0]), np.median(seen["memory_cd4"][1])]
    assert level["beam"][0] > 2 * level["atg"][0]
    assert level["cd34"][1] < 0.8 * level["atg"][1]


def test_naive_b_cells_wait_while_a_drug_depletes(everything, people, point):
    treated = people(everything, 2, B=0.05, B_to=0.02, **{"ahsct.transplanted": 1.0})
    everything.advance(treated, 0, 200, point, SEED)
    assert (treated.state[everything.row("ahsct.naive_b_deficit")] == 99.0).all()
    treated.state[everything.row("B_to")] = 1.0
    everything.advance(treated, 200, 400, point, SEED)
    assert (treated.state[everything.row("ahsct.naive_b_deficit")] < 0.05).all()


# -- engraftment -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("conditioning", ["cyclophosphamide-rituximab", "beam-atg", "tbi-cyclophosphamide-atg"])
def test_days_without_neutrophils_are_the_kernels(everything, people, point, conditioning):
    _, seen, told = graft(everything, people, deathless(point), 300, conditioning, days=31, at=range(30))
    logged = np.zeros(300)
    mine = told["kind"] == everything.event("engraftment")
    logged[told["patient"][mine]] = told["value"][mine]
    drawn, _ = engraftment(SEED, given(300, conditioning), point)
    np.testing.assert_allclose(drawn, logged, rtol=1e-9)
    seen_day = (seen["neutrophils_1e9_per_l"] >= 0.5)[1:].argmax(0) + 1
    np.testing.assert_array_equal(seen_day, np.ceil(logged))
    cytopenic, _ = days_of(adverse_events(SEED, given(300, conditioning), point), "neutropenia")
    np.testing.assert_array_equal(cytopenic, np.flatnonzero(logged > 0))


def test_engraftment_is_as_published(point):
    """ruizarguelles2019_mexico617: 8 d (2-14) and 4 d (0-11); nash2017_haltms: 11 and 18 d."""
    neutrophils, platelets = engraftment(SEED, given(617, "cyclophosphamide-rituximab", cells_1e6_per_kg=5.68), point)
    assert np.median(neutrophils) == pytest.approx(8, abs=0.5)
    assert 1 < neutrophils.min() < neutrophils.max() < 15
    assert np.median(platelets) == pytest.approx(4, abs=0.3)
    neutrophils, platelets = engraftment(SEED, given(4000, cd34_selected="yes"), point)
    assert np.median(neutrophils) == pytest.approx(11, abs=0.5)
    assert np.median(platelets) == pytest.approx(18, abs=0.7)


def test_more_cells_engraft_earlier(point):
    few, many = (engraftment(SEED, given(200, cells_1e6_per_kg=c), point) for c in (2.0, 10.0))
    assert (many[0] < few[0]).all()
    assert (many[1] < few[1]).all()


# -- what the disease feels --------------------------------------------------------------------------------------
def test_a_selected_graft_brings_fewer_clones_back(everything, people, point):
    p = point | {f"ahsct.kill.{i}": 8.0 for i in INTENSITIES} | {"ahsct.kill_sd": 0.0}
    clones = [
        graft(everything, people, p, 10, cd34_selected=s)[0].state[everything.row("C")].mean() for s in ("no", "yes")
    ]
    assert clones == [pytest.approx(point[f"ahsct.graft_clones{s}"], rel=1e-2) for s in ("", "_selected")]
    assert clones[1] < 0.2 * clones[0]


def test_more_intense_conditioning_removes_more_inflammation_and_costs_more_brain(everything, people, point):
    """rocca2007_atrophy and lee_haltms_bvl: more is lost in the first year after more intense conditioning."""
    found = []
    for conditioning in ("cyclophosphamide-atg", "beam-atg", "tbi-cyclophosphamide-atg"):
        crowd, _, _ = graft(everything, people, point, 1000, conditioning)
        inflammation, tissue = (crowd.state[everything.row(s)].mean() for s in ("M", "W"))
        found.append([inflammation, -tissue])
    assert (np.diff(np.array(found), axis=0) < 0).all()


# -- death -------------------------------------------------------------------------------------------------------
def risk(everything, people, point, conditioning="beam-atg", **graft_):
    """Hazard of treatment-related death on the day after the graft."""
    crowd, _, _ = graft(everything, people, point, 2, conditioning, **graft_)
    return float(crowd.state[everything.row("ahsct.death_risk")][0])


def test_death_rises_with_age_disability_intensity_and_inexperience_and_fell_over_the_years(everything, people, point):
    """sormani2017_meta (era, EDSS), muraro2017_longterm (EDSS), pasquini2012_cibmtr and snowden2017_ebmt (centre)."""
    base = risk(everything, people, point)
    assert risk(everything, people, point, age=55.0) > 2 * base
    assert risk(everything, people, point, edss=7.0) > 2 * base
    assert risk(everything, people, point, year=2000.0) > 2 * base
    assert risk(everything, people, point, year=2020.0) == pytest.approx(base)
    assert risk(everything, people, point, centre_transplants=2.0) > 3 * base
    assert risk(everything, people, point, centre_transplants=10.0) > 2 * base
    assert risk(everything, people, point, centre_transplants=300.0) == pytest.approx(base)
    by_intensity = [
        risk(everything, people, point, c) for c in ("cyclophosphamide-atg", "beam", "tbi-cyclophosphamide-atg")
    ]
    assert by_intensity == sorted(by_intensity)
    assert by_intensity[2] > 3 * by_intensity[0]


# -- other harm --------------------------------------------------------------------------------------------------
def test_without_effects_there_is_no_harm(point):
    none = point | {k: v.no_effect for k, v in registry().items() if v.no_effect is not None}
    for conditioning in CONDITIONING:
        for selected in ("no", "yes"):
            events = adverse_events(SEED, given(300, conditioning, cd34_selected=selected), none)
            assert sum(len(e.row) for e in events) == 0, conditioning
            assert sum(len(e.row) for e in adverse_events(SEED, given(300, conditioning), point)) > 600


def test_terms_grades_and_days(point):
    told = adverse_events(SEED, given(3000, "tbi-cyclophosphamide-atg", cd34_selected="yes", start=40), point)
    assert {e.harm for e in told} <= set(TERMS.values())
    assert {e.harm.term for e in told if len(e.row)} >= {h.term for h in TERMS.values()} - {"thrombocytopenia"}
    assert all((e.day >= 40).all() for e in told)
    assert all(len(e.row) == len(e.day) for e in told)
    neutrophils, _ = engraftment(SEED, given(3000, "tbi-cyclophosphamide-atg", cd34_selected="yes", start=40), point)
    who, day = days_of(told, "febrile neutropenia")
    assert (day - 40 <= neutrophils[who]).all(), "fever comes while neutrophils lack"


@pytest.mark.parametrize(
    ("term", "parameter", "conditioning"),
    [
        ("mucositis", "mucositis.intermediate", "beam-atg"),
        ("serum sickness", "serum_sickness", "beam-atg"),
        ("EBV reactivation", "ebv.atg", "cyclophosphamide-atg"),
        ("EBV reactivation", "ebv.none", "beam"),
        ("CMV reactivation", "cmv.alemtuzumab", "cyclophosphamide-alemtuzumab"),
        ("monoclonal gammopathy", "gammopathy.atg", "reduced-beam-atg"),
        ("immune thrombocytopenia", "itp.alemtuzumab", "cyclophosphamide-alemtuzumab"),
        ("secondary autoimmune thyroid disease", "thyroid_disease.atg", "beam-atg"),
        ("fluid overload", "fluid_overload.low", "cyclophosphamide-atg"),
        ("intensive care admission", "intensive_care.high", "busulfan-cyclophosphamide-atg"),
    ],
)
def test_a_harm_is_as_frequent_as_its_parameter_says(point, term, parameter, conditioning):
    n, size = 20_000, point[f"ahsct.{parameter}"]
    found = share(adverse_events(SEED, given(n, conditioning), point), n, term)
    assert found == pytest.approx(size, abs=4.5 * np.sqrt(size * (1 - size) / n))
    other = adverse_events(SEED, given(n, conditioning), point | {f"ahsct.{parameter}": 0.0})
    assert share(other, n, "infection", "serious infection") == share(
        adverse_events(SEED, given(n, conditioning), point), n, "infection", "serious infection"
    )


def test_autoimmunity_follows_the_antibody_and_the_selection(point):
    """burt2021_507 (ITP .14 after alemtuzumab, up to .028 otherwise), daikeler2011_secondary_ad (ATG and selection)."""
    n, every = (
        20_000,
        ("secondary autoimmune thyroid disease", "immune thrombocytopenia", "other secondary autoimmune disease"),
    )
    events = {c: adverse_events(SEED, given(n, c), point) for c in ("beam", "beam-atg", "cyclophosphamide-alemtuzumab")}
    itp = [share(e, n, "immune thrombocytopenia") for e in events.values()]
    assert itp[0] < itp[1] < 0.028 < 0.1 < itp[2]
    selected = adverse_events(SEED, given(n, cd34_selected="yes"), point)
    assert share(selected, n, *every) > 1.3 * share(events["beam-atg"], n, *every)
    _, day = days_of(events["beam-atg"], *every)
    assert np.median(day) / 30.44 == pytest.approx(21.9, abs=3)


def test_infections_become_rarer_and_are_rarer_with_unselected_grafts(point):
    """storek2008_reconstitution: .41, .45, .16, .16 a patient in days 0-15, 16-180, 181-365 and 366-730."""
    n = 20_000
    sick = given(n, "tbi-cyclophosphamide-atg", {"edss": 7.0}, cd34_selected="yes")
    _, day = days_of(adverse_events(SEED, sick, point), "infection", "serious infection")
    periods = [((a <= day) & (day <= b)).sum() / n for a, b in ((0, 15), (16, 180), (181, 365), (366, 730))]
    for found, published in zip(periods, (23 / 56, 25 / 56, 9 / 56, 9 / 56), strict=True):
        assert found == pytest.approx(published, rel=0.25)
    fewer = given(n, "tbi-cyclophosphamide-atg", {"edss": 7.0})
    assert len(days_of(adverse_events(SEED, fewer, point), "infection", "serious infection")[0]) < 0.7 * len(day)


def test_engraftment_syndrome_is_common_after_irradiation_and_selection_only(point):
    """nash2003_tbi: 13 of 18."""
    n = 4000
    with_tbi = adverse_events(SEED, given(n, "tbi-cyclophosphamide-atg", cd34_selected="yes"), point)
    assert share(with_tbi, n, "engraftment syndrome") == pytest.approx(13 / 18, abs=0.03)
    assert share(adverse_events(SEED, given(n, cd34_selected="yes"), point), n, "engraftment syndrome") < 0.08


def test_frail_people_are_harmed_more(point):
    n = 20_000
    for term in ("fluid overload", "intensive care admission"):
        mild, severe = (share(adverse_events(SEED, given(n, facts={"edss": e}), point), n, term) for e in (2.0, 7.0))
        assert severe > 2 * mild


def test_menses_stop_and_return_by_age_and_earlier_therapy(point):
    """massarotti2021_menses: 30 of 43 after 6.8 months, less often in older women and after cyclophosphamide."""
    n = 20_000

    def back(**facts):
        told = adverse_events(SEED, given(n, facts=facts), point)
        return share(told, n, "menses recovered") / share(told, n, "amenorrhoea")

    young, old = back(age_years=26.0), back(age_years=40.0)
    assert old < 0.6 * young
    odds = [x / (1 - x) for x in (back(age_years=32.0, previous_cyclophosphamide=1.0), back(age_years=32.0))]
    assert odds[0] / odds[1] == pytest.approx(0.44, rel=0.1)
    told = adverse_events(SEED, given(n, facts={"age_years": 32.0}), point)
    stopped, returned, failed = (days_of(told, t)[0] for t in ("amenorrhoea", "menses recovered", "ovarian failure"))
    assert set(returned) | set(failed) == set(stopped)
    assert not set(returned) & set(failed)
    assert days_of(told, "menses recovered")[1].mean() / 30.44 == pytest.approx(6.8, abs=0.3)
    for facts in ({"female": 0.0}, {"age_years": 55.0}):
        nobody = adverse_events(SEED, given(500, facts=facts), point)
        assert len(days_of(nobody, "amenorrhoea", "menses recovered", "ovarian failure")[0]) == 0


def test_facts_that_are_missing_have_defaults(point):
    bare = Given(np.arange(50, dtype=np.uint64), "ahsct", entry(), np.zeros(50, int), np.full(50, 999), {})
    told = adverse_events(SEED, bare, point)
    assert share(told, 50, "neutropenia") == 1.0
    assert len(days_of(told, "amenorrhoea")[0]) == 0
