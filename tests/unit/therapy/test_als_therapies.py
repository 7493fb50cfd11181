"""Therapies of ALS: drugs, and what cells do there; directions with the study or section that says so."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from stemtrial.cohort.als.population import people_at_onset
from stemtrial.disease.als import REGIONS
from stemtrial.kernel import Schedule
from stemtrial.parameters import registry
from stemtrial.therapy import FAMILIES, acting_on, catalogue, compose, family_of, prescribe
from stemtrial.therapy.als_drugs import DRUGS, SLOWING
from stemtrial.therapy.family import AMOUNTS, Given
from stemtrial.therapy.msc import HYPOTHESES
from stemtrial.therapy.routes import route

N, ENTRY, WEEKS = 1500, 450, (0, 24, 48, 78)
MSC = {"product": "bone-marrow-autologous", "route": "intrathecal", "dose_1e6": 60.0}
NTF = MSC | {"product": "bone-marrow-ntf-autologous"}
NSI = {"product": "foetal-spinal-allogeneic", "route": "intraspinal"}
CORD = NSI | {"dose_1e6": 8.0, "segments": "cervical_and_lumbar"}
TACROLIMUS = {"immunosuppression": "tacrolimus", "immunosuppression_days": 365}


def entry(therapy, **fields):
    """Settings as a protocol gives them, defaults filled in."""
    known = {k: f.default for k, f in catalogue()[therapy].fields.items() if f.default is not None}
    return known | {"day": 0} | fields


@pytest.fixture(scope="module")
def kernel():
    """The patient with ALS with every family."""
    return compose("als", acting_on("als"))


@pytest.fixture(scope="module")
def same(point):
    """Point values without what spreads patients and lots: a dose is what it says, in everybody."""
    spreads = ("msc.responsiveness", "graft.reactivity_sd", "graft.responsiveness_sd")
    return point | dict.fromkeys(spreads, 0.0)


@pytest.fixture(scope="module")
def course(kernel, same):
    """Function (entries, ...) -> truth at :data:`WEEKS` after entries that are due 15 months from onset."""

    @functools.cache
    def told(plan, optimistic, sod1, changes):
        p, index = same | dict(changes), np.arange(N, dtype=np.uint64)
        constants, start = people_at_onset(7, index, p)
        constants["sod1"] = np.full(N, sod1)
        facts = {"day": np.zeros(N, int), "optimistic": np.full(N, optimistic), "centre": np.ones(N)}
        rows = []
        for therapy, fields in plan:
            for o in prescribe(therapy, entry(therapy, **dict(fields)), facts, parameters=p):
                carried = np.zeros((N, AMOUNTS)) if o.amounts is None else o.amounts
                rows.append(Schedule(np.arange(N), np.full(N, ENTRY + o.day), np.full(N, kernel.dose(o.dose)), carried))
        at = ENTRY + 7 * np.array(WEEKS)
        visits = np.tile(np.arange(N), len(at)), np.repeat(at, N)
        crowd = kernel.population(0, index, constants, start)
        plan_ = Schedule.join(rows) if rows else Schedule.empty()
        result = kernel.advance(crowd, 0, int(at[-1]) + 1, p, 5, schedule=plan_, visits=visits, threads=2)
        return {k: np.array(v).reshape(len(at), N) for k, v in result.observed.items()}

    def run(*plan, optimistic=1.0, sod1=0.0, **changes):
        named = tuple((t, tuple(sorted(f.items()))) for t, f in plan)
        return told(named, optimistic, sod1, tuple(sorted(changes.items())))

    return run


def points(told):
    """Latent function in points of the ALSFRS-R, by visit and person."""
    return 12.0 * (told["f_bulbar"] + told["f_fine"] + told["f_gross"] + told["f_resp"])


def gain(told, bare, week=24, what=points):
    """Mean difference in those who are alive at that week under both."""
    k = WEEKS.index(week)
    both = (told["alive"][k] > 0.5) & (bare["alive"][k] > 0.5)
    return float((what(told)[k] - what(bare)[k])[both].mean())


def lost(region):
    """Function giving the motor neurons left in a region."""
    return lambda told: told[f"neurons_{region}"]


def hazard_ratio(told, bare):
    """Of respiratory failure and death over 78 weeks."""
    alive = (bare["alive"][0] > 0.5) & (bare["ventilated"][0] < 0.5)
    event_free = [((t["alive"][-1] > 0.5) & (t["ventilated"][-1] < 0.5))[alive].mean() for t in (told, bare)]
    return float(np.log(event_free[0]) / np.log(event_free[1]))


# -- drugs -----------------------------------------------------------------------------------------------------------
def test_riluzole_saves_more_lives_than_function_lacomblez1996(course):
    bare, usual = course(), course(("riluzole", {}))
    assert 0.78 < hazard_ratio(usual, bare) < 0.92
    assert 0.05 < gain(usual, bare) < 0.5, "no scale separated the arms"
    spared = course(("riluzole", {}), **{"riluzole.mortality": 1.0})
    assert hazard_ratio(usual, bare) < hazard_ratio(spared, bare) < 1.0


def test_more_riluzole_is_better_with_falling_gain_lacomblez1996(course):
    bare = course()
    half, usual, twice = (gain(course(("riluzole", {"dose_ratio": r})), bare) for r in (0.5, 1.0, 2.0))
    assert 0 < half < usual < twice
    assert usual - half > (twice - usual) * 0.9
    ratios = [hazard_ratio(course(("riluzole", {"dose_ratio": r})), bare) for r in (0.5, 1.0, 2.0)]
    assert ratios == sorted(ratios, reverse=True)


def test_riluzole_goes_on_beside_what_a_regimen_starts_and_ends_on_its_stop_day(course):
    bare, usual = course(), course(("riluzole", {}))
    with_eda = course(("riluzole", {}), ("edaravone", {}))
    assert gain(with_eda, course(("edaravone", {}))) > 0
    assert gain(with_eda, usual) > 0
    short = course(("riluzole", {"stop_day": 84}))
    assert 0 < gain(short, bare, 48) < gain(usual, bare, 48)


def test_edaravone_is_what_its_fit_trials_leave_together(course):
    assert 0.1 < gain(course(("edaravone", {})), course()) < 0.65, "between adore2024_fab122 and edaravone2017_study19"


def test_a_drug_without_a_fit_study_has_the_value_of_its_class():
    known = registry()
    of_class = {known[f"als_drugs.loss.{d}"].value for d in ("amx0035", "masitinib", "ceftriaxone", "pridopidine")}
    assert of_class == {0.98}
    assert known["als_drugs.loss.dexpramipexole"].value == 1.0, "cudkowicz2013_empower"
    for d in SLOWING:
        assert known[f"als_drugs.loss.{d}"].no_effect == 1.0
        assert known[f"als_drugs.loss.{d}"].prior
    for study in ("paganoni2020", "phoenix2024", "mora2020", "cudkowicz2014", "healey2023"):
        assert not any(study in p.source for n, p in known.items() if n.startswith("als_drugs.")), study


def test_tofersen_helps_carriers_alone_and_nfl_falls_before_function_miller2022_valor(course):
    assert gain(course(("tofersen", {})), course()) == 0.0
    bare, told = course(sod1=1.0), course(("tofersen", {}), sod1=1.0)

    def log_nfl(x):
        return np.log(x["nfl_pg_ml"])

    assert 0.35 < np.exp(gain(told, bare, 24, log_nfl)) < 0.65
    early, late = gain(told, bare, 24), gain(told, bare, 48)
    assert 0.5 < early < late
    assert early < 0.6 * late, "the gap opens late"


def test_a_drug_that_is_stopped_wears_off(kernel, same):
    for drug in (*DRUGS, "riluzole"):
        family = family_of(drug)
        start, end = prescribe(drug, entry(drug, stop_day=90), {"day": np.zeros(2, int)}, parameters=same)
        assert start.dose == end.dose == f"{family}.take.{drug}"
        assert (start.day, end.day) == (0, 90)
        assert start.amounts[0, 0] == 1.0
        assert end.amounts[0, 0] == 0.0
        assert f"{family}.{drug}" in kernel.states


# -- cells: what is shared with MS -----------------------------------------------------------------------------------
def test_fate_is_the_same_in_both_diseases(same):
    """One person of each disease gets the same dose: cells and signal are bit for bit the same."""
    found = {}
    for disease in ("ms", "als"):
        k = compose(disease, ("msc",), backend="numpy")
        constants = {c: np.ones(2) for c in k.model.constants}
        crowd = k.population(0, np.arange(2, dtype=np.uint64), constants, {})
        facts = {"day": np.zeros(2, int), "optimistic": np.ones(2), "centre": np.ones(2)}
        rows = []
        for fields in (MSC | {"courses": 2, "every_days": 26}, MSC | {"route": "intravenous"}):
            for o in prescribe("msc", entry("msc", **fields), facts, parameters=same):
                rows.append(Schedule(np.arange(2), np.full(2, o.day + 3), np.full(2, k.dose(o.dose)), o.amounts))
        k.advance(crowd, 0, 60, same, 5, schedule=Schedule.join(rows))
        names = [f"msc.{what}_{where}" for what in ("cells", "signal") for where in ("lung", "intrathecal")]
        found[disease] = np.array([crowd.state[k.row(s)] for s in names])
    np.testing.assert_array_equal(found["ms"], found["als"])
    assert (found["als"] > 0).any(1).all()


@pytest.mark.parametrize(
    ("therapy", "fields"),
    [("msc", MSC), ("nsc", CORD), ("astrocytes", {"dose_1e6": 100.0}), ("treg", {"dose_1e6_per_kg": 1.0})],
)
def test_a_dose_of_none_does_nothing_bit_for_bit(course, therapy, fields):
    none = {k: 0.0 if k.startswith("dose") else v for k, v in fields.items()}
    sham, bare, told = course((therapy, none)), course(), course((therapy, fields))
    of_disease = set(compose("als", (), backend="numpy").model.observables)
    for k in of_disease:
        np.testing.assert_array_equal(sham[k], bare[k], err_msg=k)
    assert any((told[k] != bare[k]).any() for k in of_disease)


@pytest.mark.parametrize(("therapy", "fields"), [("msc", MSC), ("nsc", CORD), ("astrocytes", {"dose_1e6": 100.0})])
def test_the_sceptical_hypothesis_is_none_and_every_size_is_small(course, therapy, fields):
    bare = course()
    assert gain(course((therapy, fields), optimistic=0.0), bare) == 0.0
    assert 0.0 < gain(course((therapy, fields)), bare) < 0.8


# -- mesenchymal cells -----------------------------------------------------------------------------------------------
def test_more_doses_and_larger_ones_do_more_and_a_single_one_fades_oh2018(course):
    bare = course()
    once, twice = course(("msc", MSC)), course(("msc", MSC | {"courses": 2, "every_days": 26}))
    again = course(("msc", MSC | {"courses": 5, "every_days": 60}))
    assert 0 < gain(once, bare) < gain(twice, bare) < 1.0
    assert gain(twice, bare, 48) < gain(again, bare, 48)
    assert gain(once, bare, 48) < 1.3 * gain(once, bare, 24), "what it saved stays, what follows is as before"
    large = gain(course(("msc", MSC | {"dose_1e6": 240.0})), bare)
    assert gain(once, bare) < large < 2 * gain(once, bare), "saturates"


def test_cells_that_secrete_neurotrophic_factors_do_more(course, point):
    bare = course()
    plain = gain(course(("msc", MSC), **{"msc.als.it.inflammation.optimistic": 0.0}), bare)
    ntf = gain(course(("msc", NTF), **{"msc.als.it.inflammation.optimistic": 0.0}), bare)
    assert 1.1 < ntf / plain < 1.35, "the induced product has fewer living cells"
    gained = 1 + (point["msc.trophic.bone-marrow-ntf-autologous"] - 1) * point["msc.als.trophic_share"]
    assert gained == pytest.approx(1.3), "als_model 6, g_ntf"


def test_cells_by_vein_reach_no_neuron_and_calm_a_little(course):
    bare, vein = course(), course(("msc", MSC | {"route": "intravenous"}))
    calmer = gain(vein, bare, 24, lambda x: x["inflammation"])
    assert gain(course(("msc", MSC)), bare, 24, lambda x: x["inflammation"]) < calmer < 0
    assert 0 < gain(vein, bare) < gain(course(("msc", MSC)), bare)


def test_the_weight_in_als_is_its_own():
    known = registry()
    ms, als = (known[FAMILIES["msc"].hypothesis[d]] for d in ("ms", "als"))
    assert ms.name != als.name
    assert als.value == 0.15
    pairs = [n for n in known if n.startswith("msc.als.") and n.endswith(tuple(f".{h}" for h in HYPOTHESES))]
    assert len(pairs) == 6
    assert all(known[n].no_effect == 0.0 for n in pairs)


# -- neural stem cells -----------------------------------------------------------------------------------------------
def test_cells_act_in_the_segment_where_they_were_put(course):
    bare = course()
    by = {s: course(("nsc", CORD | {"segments": s})) for s in ("cervical", "lumbar", "cervical_and_lumbar")}
    reached = {s: {r for r in REGIONS if gain(told, bare, 24, lost(r)) > 1e-4} for s, told in by.items()}
    assert reached["cervical"] >= {"cervical", "respiratory"}
    assert "lumbar" not in reached["cervical"]
    assert reached["lumbar"] >= {"lumbar"}
    assert not reached["lumbar"] & {"cervical", "respiratory"}
    assert reached["cervical_and_lumbar"] >= {"cervical", "respiratory", "lumbar"}
    assert all("bulbar" not in r for r in reached.values()), "no needle goes there"


def test_more_cells_do_more_with_falling_gain(course):
    bare = course()
    g = [gain(course(("nsc", CORD | {"dose_1e6": d})), bare) for d in (0.5, 2.0, 8.0, 32.0)]
    assert g == sorted(g)
    assert g[3] - g[2] < g[2] - g[0]


def test_on_one_side_at_most_half_of_the_pool_is_reached_baloh2022(course):
    bare, legs = course(), CORD | {"dose_1e6": 400.0}
    both, one = (course(("nsc", legs | {"segments": s})) for s in ("lumbar", "lumbar_unilateral"))
    share = gain(one, bare, 24, lost("lumbar")) / gain(both, bare, 24, lost("lumbar"))
    assert share == pytest.approx(0.5, abs=0.03), "far above the half-effect both are full where they are"
    few = CORD | {"dose_1e6": 0.5}
    both, one = (course(("nsc", few | {"segments": s})) for s in ("lumbar", "lumbar_unilateral"))
    share = gain(one, bare, 24, lost("lumbar")) / gain(both, bare, 24, lost("lumbar"))
    assert 0.5 < share < 1.0, "the same cells in half of the place"


def test_a_product_that_secretes_gdnf_does_more(course):
    bare, here = course(), {"segments": "lumbar_unilateral", "dose_1e6": 5.0}
    plain, gdnf = (course(("nsc", CORD | here | {"product": p})) for p in (CORD["product"], "npc-gdnf-allogeneic"))
    assert gain(gdnf, bare, 24, lost("lumbar")) > 1.2 * gain(plain, bare, 24, lost("lumbar"))


def test_grafts_outlive_immunosuppression_tadesse2014(course):
    """Alive after 196-921 d in six of six, five of them off immunosuppression for 57-638 d."""
    plain, protected = course(("nsc", CORD)), course(("nsc", CORD | TACROLIMUS))
    alive = {k: t["nsc_cells_1e6"].mean(1) for k, t in (("plain", plain), ("protected", protected))}
    assert (alive["protected"][1:] > alive["plain"][1:]).all()
    assert (alive["plain"][1:] > 0.02).all(), "not gone in a year and a half"
    assert (plain["nsc_cells_1e6"][-1] > 1e-3).mean() > 0.95
    assert alive["protected"][-1] < alive["protected"][1]


# -- astrocytes and regulatory T cells -------------------------------------------------------------------------------
def test_astrocytes_live_for_weeks_and_their_effect_ends_with_them(course):
    bare = course()
    low, high = (course(("astrocytes", {"dose_1e6": d})) for d in (100.0, 250.0))
    again = course(("astrocytes", {"dose_1e6": 100.0, "courses": 5, "every_days": 60}))
    assert 0 < gain(low, bare) < gain(high, bare)
    assert low["astrocytes_1e6"][2].max() < 0.01 * 100.0
    assert gain(low, bare, 48) < 1.3 * gain(low, bare, 24)
    assert gain(again, bare, 48) > 2 * gain(low, bare, 48)


def test_regulatory_t_cells_calm_while_they_are_there_thonhoff2018(course):
    bare = course()
    doses = {"dose_1e6_per_kg": 1.0, "courses": 6, "every_days": 28}
    few, more = course(("treg", {"dose_1e6_per_kg": 1.0})), course(("treg", doses))

    def calm(x):
        return x["inflammation"]

    assert gain(more, bare, 24, calm) < gain(few, bare, 24, calm) < 0
    assert abs(gain(more, bare, 78, calm)) < 0.25 * abs(gain(more, bare, 24, calm)), "and no longer"
    assert 0 < gain(few, bare) < gain(more, bare) < 0.5


# -- harm ------------------------------------------------------------------------------------------------------------
def events(therapy, point, days=900, n=4000, **fields):
    """Number a patient of each adverse event that the family draws itself."""
    given = Given(
        np.arange(n, dtype=np.uint64), therapy, entry(therapy, **fields), np.zeros(n, int), np.full(n, days), {}
    )
    out: dict[str, float] = {}
    for e in FAMILIES[family_of(therapy)].adverse_events(3, given, point):
        out[e.harm.term] = out.get(e.harm.term, 0.0) + len(e.row) / n
    return out


def test_an_operation_on_the_cord_harms_with_every_needle_glass2016(point):
    usual = events("nsc", point, **CORD)
    assert usual["procedure complication"] == pytest.approx(1 / 15, abs=0.015), "one serious event in 15"
    few, many = (events("nsc", point, **CORD, injections=k) for k in (5, 40))
    for term in ("procedure complication", "back or leg pain", "procedure-related infection"):
        assert few[term] < usual[term] < many[term], term
    assert many["procedure complication"] == pytest.approx(1 - (14 / 15) ** 2, abs=0.02)
    same = events("nsc", point, **CORD, injections=int(point["cells.injections"]))
    assert same["procedure complication"] == usual["procedure complication"]
    assert "tremor" in events("nsc", point, **CORD, **TACROLIMUS)
    assert "tremor" not in usual


def test_many_cells_of_fat_hurt_the_roots_staff2016(point):
    fat = MSC | {"product": "adipose-autologous"}
    few, many = (events("msc", point, **(fat | {"dose_1e6": d})) for d in (10.0, 100.0))
    assert few["radicular pain"] < 0.06 < 0.15 < many["radicular pain"]
    assert "radicular pain" not in events("msc", point, **(MSC | {"dose_1e6": 100.0}))


def test_tofersen_has_the_harm_of_its_punctures(point):
    year, half = events("tofersen", point, days=365), events("tofersen", point, days=182)
    a_puncture = point["cells.headache.intrathecal"]
    given = 3 + len(range(56, 365, 28))
    assert year["headache"] == pytest.approx(given * a_puncture, rel=0.05)
    assert 0.4 < half["headache"] / year["headache"] < 0.7
    assert events("edaravone", point) == {}


def test_cells_of_the_patient_are_taken_by_leukapheresis(point):
    told = events("treg", point, dose_1e6_per_kg=1.0, made="to_order")
    assert told["harvest site pain"] == pytest.approx(point["cells.harvest_pain.blood"], abs=0.01)
    assert "harvest site pain" not in events("treg", point, dose_1e6_per_kg=1.0)


def test_segments_share_the_dose():
    shares = {k: (s.regions, s.reach) for k, s in route("intraspinal").segments["als"].items()}
    assert shares["cervical"][0] == {"cervical": 0.5, "respiratory": 0.5}
    for k in ("cervical", "lumbar"):
        assert shares[f"{k}_unilateral"][0] == shares[k][0]
        assert shares[f"{k}_unilateral"][1] == 0.5 == shares[k][1] / 2
