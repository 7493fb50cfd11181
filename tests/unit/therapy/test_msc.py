"""Mesenchymal stromal cells: fate, action under two hypotheses, harm; directions with the study that supports them."""

from __future__ import annotations

import numpy as np
import pytest

from stemtrial.disease.ms import REGIONS
from stemtrial.kernel import Schedule
from stemtrial.parameters import registry
from stemtrial.therapy import FAMILIES, catalogue, compose, prescribe
from stemtrial.therapy.family import Given
from stemtrial.therapy.msc import HARMS, potency
from stemtrial.therapy.prescribe import failure_of, stops
from stemtrial.therapy.product import FAILURE, products, viable_dose
from stemtrial.therapy.routes import PROCEDURE_HARMS, route, routes_of

N = 96
EFFECTS = (
    "iv.drive",
    "iv.regulation",
    "iv.smouldering",
    "it.lesions",
    "it.smouldering",
    "it.axons",
    "it.remyelination",
)


@pytest.fixture(scope="module")
def kernel():
    return compose("ms", ("msc",))


def entry(**fields):
    """Settings as a protocol gives them, defaults filled in."""
    known = {k: f.default for k, f in catalogue()["msc"].fields.items() if f.default is not None}
    usual = {"product": "bone-marrow-autologous", "route": "intrathecal", "dose_1e6_per_kg": 1.0}
    return {k: v for k, v in (known | usual | fields).items() if v is not None}


def facts(n=N, **more):
    return {"edss": np.full(n, 5.0), "year": np.full(n, 2016.0), "day": np.zeros(n, int)} | more


def schedule(kernel, point, *entries, n=N, optimistic=0.0, centre=1.0):
    given = facts(n, optimistic=np.full(n, optimistic), centre=np.full(n, centre))
    rows = []
    for settings in entries:
        for o in prescribe("msc", settings, given, parameters=point):
            day = settings["day"] + o.day
            rows.append(Schedule(np.arange(n), np.full(n, day), np.full(n, kernel.dose(o.dose)), o.amounts))
    return Schedule.join(rows) if rows else Schedule.empty()


def after(kernel, people, p, days, *entries, n=N, **given):
    """States on ``days`` of the same people and the same chances; shape (days, states, patients) by name."""
    crowd, plan, now, out = people(kernel, n), schedule(kernel, p, *entries, n=n, **given), 0, []
    for day in days:
        kernel.advance(crowd, now, day, p, 11, schedule=plan, threads=2)
        out.append(crowd.state.copy())
        now = day
    states = np.array(out)
    return lambda name: states[:, kernel.row(name)]


def only(point, *kept):
    """Point values with every effect of the cells off but some."""
    off = {f"msc.{e}.{h}": 0.0 for e in EFFECTS if e not in kept for h in ("sceptical", "optimistic")}
    return point | off


# -- the numbers ---------------------------------------------------------------------------------------------------
def test_every_effect_and_every_harm_registers_where_it_vanishes():
    known = registry()
    for e in EFFECTS:
        low, high = known[f"msc.{e}.sceptical"], known[f"msc.{e}.optimistic"]
        assert low.value < high.value < 1
        assert low.no_effect == high.no_effect == 0.0
        assert low.prior, e
    harms = {n: p for n, p in known.items() if n.split(".")[1] in HARMS and n.startswith("msc.")}
    assert len(harms) >= 2 * len(HARMS) - 1
    assert all(p.no_effect == 0.0 for p in harms.values())
    for event in HARMS:
        assert any(n.startswith(f"msc.{event}.") for n in harms), event
        assert f"msc.onset_days.{event}" in known
    for name in products("msc"):
        assert known[f"msc.potency.{name}"].value == 1.0, "no head-to-head evidence between sources"
        assert known[f"msc.trophic.{name}"].value >= 1.0
    weight = known[FAMILIES["msc"].hypothesis["ms"]]
    assert known["msc.prior_weight"].value == 0.3
    assert known["msc.prior_weight"].value < weight.value < 1, "trials speak for it, not beyond doubt"
    assert "cell_hypotheses" in weight.source


# -- nothing given, nothing changed ---------------------------------------------------------------------------------
def of_ms(kernel):
    return [s.name for s in kernel.model.states.values() if s.owner == "ms"]


def test_a_dose_of_zero_is_no_therapy_bit_for_bit(kernel, people, point):
    assert prescribe("msc", entry(dose_1e6_per_kg=0.0), facts(), parameters=point) == []
    treated, untreated = people(kernel, N), people(kernel, N)
    forced = Schedule(
        np.arange(N), np.full(N, 5), np.full(N, kernel.dose("msc.intrathecal")),
        np.tile([0.0, 1.0, 2.0, 0.5, 1.5, 1.0], (N, 1)),
    )  # fmt: skip
    kernel.advance(treated, 0, 500, point, 4, schedule=forced, threads=2)
    kernel.advance(untreated, 0, 500, point, 4, threads=2)
    for s in of_ms(kernel):
        np.testing.assert_array_equal(treated.state[kernel.row(s)], untreated.state[kernel.row(s)], err_msg=s)


def test_with_every_effect_off_a_full_dose_is_no_therapy_bit_for_bit(kernel, people, point):
    off = point | {k: v.no_effect for k, v in registry().items() if v.no_effect is not None}
    entries = entry(courses=3, every_days=60), entry(route="intravenous"), entry(route="intracerebroventricular")
    treated, untreated = people(kernel, N), people(kernel, N)
    kernel.advance(treated, 0, 500, off, 4, schedule=schedule(kernel, off, *entries, optimistic=1.0), threads=2)
    kernel.advance(untreated, 0, 500, off, 4, threads=2)
    assert treated.state[kernel.row("msc.signal_intrathecal")].min() > 0
    for s in of_ms(kernel):
        np.testing.assert_array_equal(treated.state[kernel.row(s)], untreated.state[kernel.row(s)], err_msg=s)


def test_the_family_composed_and_not_given_changes_no_bit(people, point):
    with_, bare = (compose("ms", f, backend="numpy") for f in (("msc",), ()))
    a, b = people(with_, 24), people(bare, 24)
    with_.advance(a, 0, 400, point, 3)
    bare.advance(b, 0, 400, point, 3)
    for s in of_ms(bare):
        np.testing.assert_array_equal(a.state[with_.row(s)], b.state[bare.row(s)], err_msg=s)


def test_the_readable_kernel_agrees_with_the_fast_one(kernel, people, point):
    slow, n = compose("ms", ("msc",), backend="numpy"), 12
    entries = (
        entry(product="umbilical-cord", route="intravenous", courses=3, every_days=30, dose_1e6_per_kg=2.0),
        entry(day=20, courses=2, every_days=90), entry(day=40, route="intracerebroventricular"),
    )  # fmt: skip
    found = []
    for k in (kernel, slow):
        crowd = people(k, n)
        k.advance(crowd, 0, 250, point, 9, schedule=schedule(k, point, *entries, n=n, optimistic=1.0))
        found.append(crowd.state)
    np.testing.assert_allclose(*found, rtol=1e-9, atol=1e-10)


# -- fate ------------------------------------------------------------------------------------------------------------
def test_cells_by_vein_halve_in_a_day_and_leave_next_to_none_by_the_third_lee2009_eggenhofer2012(kernel, people, point):
    cells = after(kernel, people, point, (1, 2, 4), entry(route="intravenous"))("msc.cells_lung")
    np.testing.assert_allclose(cells[1] / cells[0], 0.5, rtol=1e-12)
    np.testing.assert_allclose(cells[2] / cells[0], 0.125, rtol=1e-12)


def test_cells_in_the_csf_outlive_those_in_the_lung(kernel, people, point):
    state = after(kernel, people, point, (9,), entry(), entry(route="intravenous"))
    assert (state("msc.cells_intrathecal") > 20 * state("msc.cells_lung")).all()


def test_the_signal_is_that_of_all_cell_days(kernel, people, point):
    slow = point | {"msc.csf_signal_days": 1e12}
    state = after(kernel, people, slow, (1, 400), entry())
    first = state("msc.cells_intrathecal")[0] * 2 ** (1 / point["msc.csf_half_life"])  # at the dose, a day before
    days = point["msc.csf_half_life"] / np.log(2)
    np.testing.assert_allclose(state("msc.signal_intrathecal")[1], point["msc.csf_release"] * first * days, rtol=1e-9)


def test_lots_differ_with_the_coefficient_of_the_product(kernel, people, point):
    n = 4000
    cells = after(kernel, people, point, (1,), entry(), n=n)("msc.cells_intrathecal")[0]
    given = viable_dose("msc", entry(), 1.0) * 2 ** (-1 / point["msc.csf_half_life"])
    cv = products("msc")["bone-marrow-autologous"].lot_cv.value
    assert cells.mean() == pytest.approx(given, rel=4 * cv / np.sqrt(n))
    assert cells.std() / cells.mean() == pytest.approx(cv, rel=0.1)


def test_the_response_is_drawn_once_a_patient_with_mean_1(kernel, people, point):
    n = 4000
    r = after(kernel, people, point, (2, 300), entry(courses=4, every_days=60), n=n)("msc.response")
    np.testing.assert_array_equal(r[0], r[1])
    assert r[0].mean() == pytest.approx(1.0, abs=4 * 0.45 / np.sqrt(n))
    assert 0 < r[0].min() < 0.2
    assert 1.8 < r[0].max() < 2
    assert r[0].std() == pytest.approx(0.45, abs=0.03)


def test_allogeneic_cells_last_less_with_every_dose_and_autologous_do_not_assumed(kernel, people, point):
    def third(product):
        even = point | {"msc.responsiveness": 0.0}
        days = (1, 101, 201)
        return after(kernel, people, even, days, entry(product=product, courses=3, every_days=100), n=2000)

    own, foreign = (third(p)("msc.cells_intrathecal").mean(1) for p in ("bone-marrow-autologous", "umbilical-cord"))
    assert foreign[2] / foreign[0] == pytest.approx(1 / (1 + 2 * point["msc.sensitisation"]), rel=0.06)
    assert own[2] / own[0] == pytest.approx(1.0, rel=0.08)


# -- direction -------------------------------------------------------------------------------------------------------
def mean_m(kernel, people, p, day, *entries, **given):
    """What the cells take from smouldering inflammation, mean over people."""
    bare = after(kernel, people, p, (day,))("M")
    return float((1 - after(kernel, people, p, (day,), *entries, **given)("M") / bare).mean())


def test_more_cells_do_more_and_ever_less_so_ms_model_7_3_assumed(kernel, people, point):
    p = only(point, "it.smouldering")
    doses = np.array([0.05, 0.2, 0.8, 3.2])
    gain = np.array([mean_m(kernel, people, p, 180, entry(dose_1e6_per_kg=d)) for d in doses])
    assert (np.diff(gain) > 0).all()
    slope = np.diff(gain) / np.diff(doses)
    assert (np.diff(slope) < 0).all()
    assert gain[3] < 0.15 + 0.01, "not beyond the full effect"


def test_a_second_course_adds_to_the_first_petrou2020(kernel, people, point):
    p = only(point, "it.smouldering")
    once = mean_m(kernel, people, p, 365, entry())
    twice = mean_m(kernel, people, p, 365, entry(courses=2, every_days=182))
    assert twice > 1.3 * once > 0


def test_the_effect_wanes_after_the_last_dose_harris2021(kernel, people, point):
    days = (120, 240, 365, 730)
    h = after(kernel, people, point, days, entry(product="bone-marrow-np-autologous", courses=3, every_days=30))
    signal = h("msc.signal_intrathecal").mean(1)
    effect = signal / (signal + point["msc.half_csf"])
    assert (np.diff(effect) < 0).all()
    assert effect[0] > 0.5
    assert effect[3] < 0.05


def test_cells_by_vein_have_no_effect_inside_the_cns_detante2009_eggenhofer2012(kernel, people, point):
    state = after(kernel, people, point, (10, 200), entry(route="intravenous", dose_1e6_per_kg=2.0))
    assert not state("msc.signal_intrathecal").any()
    assert not state("msc.signal_intracerebroventricular").any()
    p = point | {f"msc.{e}.{h}": 0.0 for e in EFFECTS if e[:2] == "iv" for h in ("sceptical", "optimistic")}
    treated = after(kernel, people, p, (200,), entry(route="intravenous"), optimistic=1.0)
    bare = after(kernel, people, p, (200,))
    for s in of_ms(kernel):
        np.testing.assert_array_equal(treated(s), bare(s), err_msg=s)


def test_by_vein_the_effectors_fall_and_regulation_rises_mohajeri2011(kernel, people, point):
    state = after(kernel, people, point, (20,), entry(route="intravenous"), optimistic=1.0)
    bare = after(kernel, people, point, (20,))
    assert (state("E") < bare("E")).all()
    assert (state("R")[0] > bare("R")[0]).mean() > 0.5


def test_in_the_csf_the_cells_act_on_smouldering_more_than_by_vein_petrou2020(kernel, people, point):
    for holds in (0.0, 1.0):
        inside = mean_m(kernel, people, point, 150, entry(), optimistic=holds)
        outside = mean_m(kernel, people, point, 150, entry(route="intravenous"), optimistic=holds)
        assert inside > outside + 0.01


@pytest.mark.parametrize("effect", ["it.smouldering", "it.axons", "iv.drive"])
def test_the_optimistic_hypothesis_does_more_than_the_sceptical(kernel, people, point, effect):
    p = only(point, effect)
    where = "intravenous" if effect[:2] == "iv" else "intrathecal"
    of = {"it.smouldering": "M", "it.axons": "X_sc", "iv.drive": "E"}[effect]

    def left(holds):
        return after(kernel, people, p, (60,), entry(route=where), optimistic=holds)(of).mean()

    assert left(1.0) < left(0.0) < after(kernel, people, p, (60,))(of).mean()


def test_a_centre_with_a_larger_factor_sees_more_model_review_13(kernel, people, point):
    p = only(point, "it.smouldering")
    low, one, high = (mean_m(kernel, people, p, 120, entry(), centre=c) for c in (0.5, 1.0, 2.0))
    assert low < one < high


def test_the_share_taken_from_a_rate_stays_below_all_of_it(kernel, people, point):
    p = only(point, "it.axons") | {"ms.phiX": 0.0}
    lost = after(kernel, people, p, (20, 60), entry(dose_1e6_per_kg=4.0), optimistic=1.0, centre=50.0)("X_sc")
    bare = after(kernel, people, p, (20, 60))("X_sc")
    kept = (lost[1] - lost[0]) / (bare[1] - bare[0])
    assert kept.min() > 0.0199
    assert kept.max() < 0.05


# -- regions ---------------------------------------------------------------------------------------------------------
def protected(kernel, people, p, route_):
    lost = after(kernel, people, p, (10, 90), entry(route=route_))
    bare = after(kernel, people, p, (10, 90))
    return {r: float(1 - np.median(np.diff(lost(f"X_{r}"), axis=0) / np.diff(bare(f"X_{r}"), axis=0))) for r in REGIONS}


def test_lumbar_cells_protect_the_cord_most_ventricular_cells_the_brain_karussis2010_spect(kernel, people, point):
    p = only(point, "it.axons") | {"ms.phiX": 0.0}
    lumbar, ventricle = (protected(kernel, people, p, r) for r in ("intrathecal", "intracerebroventricular"))
    assert max(lumbar, key=lumbar.__getitem__) == "sc"
    assert max(ventricle, key=ventricle.__getitem__) == "pv"
    assert lumbar["sc"] > ventricle["sc"]
    assert lumbar["pv"] < ventricle["pv"]
    for found, name in ((lumbar, "intrathecal"), (ventricle, "intracerebroventricular")):
        weights = route(name).shares["msc"].regions["ms"]
        assert sorted(found, key=found.__getitem__) == sorted(found, key=weights.__getitem__)


def test_cells_in_the_csf_speed_remyelination_where_they_lie(kernel, people, point):
    p = only(point, "it.remyelination")
    made, bare = after(kernel, people, p, (150,), entry(), optimistic=1.0), after(kernel, people, p, (150,))
    sick = bare("D_sc")[0] > 0
    assert sick.any()
    assert (made("D_sc")[0] < bare("D_sc")[0])[sick].all()
    trophic = after(kernel, people, p, (150,), entry(product="bone-marrow-ntf-autologous"), optimistic=1.0)
    assert (trophic("D_sc")[0] < made("D_sc")[0])[sick].mean() > 0.9


# -- preparation -----------------------------------------------------------------------------------------------------
def test_thawed_cells_do_less_by_vein_and_hardly_less_in_the_csf_antebi2019_lee2009(point):
    def left(route_):
        fresh, thawed = (potency(entry(route=route_, preparation=p), point) for p in ("fresh", "thawed"))
        return thawed / fresh

    assert left("intravenous") < 0.9
    assert 0.95 < left("intrathecal") < 1
    full = point | {"msc.thawed_potency": 1.0}
    assert potency(entry(preparation="thawed"), full) == potency(entry(preparation="fresh"), full)


def test_dead_cells_do_nothing_and_weight_turns_cells_into_a_dose(point):
    def dose(**fields):
        return prescribe("msc", entry(**fields), facts(), parameters=point)[0].amounts[0, 0]

    assert dose(viability=0.5) == pytest.approx(dose(viability=1.0) / 2)
    assert dose(dose_1e6_per_kg=None, dose_1e6=70.0) == pytest.approx(dose(dose_1e6_per_kg=1.0))


# -- orders and harm -------------------------------------------------------------------------------------------------
def test_courses_are_ordered_on_their_days(point):
    orders = prescribe("msc", entry(courses=3, every_days=60), facts(), parameters=point)
    assert [o.day for o in orders] == [0, 60, 120]
    assert {o.dose for o in orders} == {"msc.intrathecal"}
    assert orders[0].amounts[:, 1:3].tolist() == [[0.0, 1.0]] * N, "without trial effects: sceptical, centre 1"
    assert stops("msc") == ("msc.stop",)


def test_only_what_is_made_to_order_waits_and_fails(point):
    family = FAMILIES["msc"]
    assert family.wait("msc", entry()) == 0
    assert family.wait("msc", entry(made="to_order")) == 36
    assert family.wait("msc", entry(made="to_order", product="umbilical-cord")) == 0
    assert failure_of("msc") is failure_of("msc", entry()) is None
    failure = failure_of("msc", entry(made="to_order"))
    assert failure.harm == FAILURE.harm
    assert failure.chance(point) == pytest.approx(1 - 0.995 * 0.98**3)
    assert failure.chance(point | {"cells.failure": 0.0}) == 0.0
    assert failure.chance(point | {"cells.failure": 1e9}) == 1.0


def drawn(point, n=20_000, stop=400, seed=3, **fields):
    """Events of n patients by term: patients with at least one, days."""
    start = np.full(n, 30, np.int64)
    given = Given(np.arange(n, dtype=np.uint64), "msc", entry(**fields), start, np.full(n, stop, np.int64), facts(n))
    out = {}
    for h in FAMILIES["msc"].adverse_events(seed, given, point):
        out.setdefault(h.harm.term, []).append((h.row, h.day))
    return {t: tuple(np.concatenate(x) for x in zip(*e, strict=True)) for t, e in out.items()}


def share(found, term, n=20_000):
    return len(np.unique(found[term][0])) / n if term in found else 0.0


def near(p, n=20_000):
    return pytest.approx(p, abs=4.5 * np.sqrt(p * (1 - p) / n) + 1e-4)


def test_harm_comes_with_its_probability_and_after_the_dose_islam2023(point):
    found = drawn(point)
    assert share(found, "fever") == near(point["msc.fever.intrathecal"])
    both = 1 - (1 - point["msc.headache.intrathecal"]) * (1 - point["cells.headache.intrathecal"])
    assert share(found, "headache") == near(both)
    assert both == pytest.approx(0.576, abs=0.01), "islam2023_meta_msc"
    assert all(day.min() >= 30 for _, day in found.values())
    assert found["arachnoiditis"][1].mean() > 50, "late"


def test_arachnoiditis_rises_with_the_dose_assumed(point):
    low, high = (share(drawn(point, dose_1e6_per_kg=d), "arachnoiditis") for d in (1.0, 4.0))
    assert 0 < low < high
    assert high == near(1 - (1 - point["msc.arachnoiditis.intrathecal"]) ** (4 * 0.95))


def test_a_sham_procedure_has_the_harm_of_the_procedure_alone(point):
    sham = drawn(point, dose_1e6_per_kg=0.0)
    assert share(sham, "headache") == near(point["cells.headache.intrathecal"])
    assert set(sham) <= {PROCEDURE_HARMS[e].term for e in route("intrathecal").events}
    assert not any(len(r) for r, _ in drawn(point, dose_1e6_per_kg=0.0, route="intravenous").values())


def test_ventricular_cells_bring_the_harm_of_neurosurgery_and_veins_none(point):
    icv, iv = drawn(point, route="intracerebroventricular"), drawn(point, route="intravenous")
    assert share(icv, "intracranial haemorrhage") == near(
        point["cells.intracranial_haemorrhage.intracerebroventricular"]
    )
    assert share(iv, "intracranial haemorrhage") == share(iv, "headache") == share(iv, "arachnoiditis") == 0
    assert share(iv, "rash") == near(point["msc.rash.intravenous"])
    assert share(iv, "thromboembolism") > share(icv, "thromboembolism") == 0


def test_every_course_has_its_harm_until_the_therapy_is_stopped(point):
    fever = drawn(point, courses=3, every_days=100, stop=1000)["fever"]
    early = drawn(point, courses=3, every_days=100, stop=135)["fever"]
    p = point["msc.fever.intrathecal"]
    assert len(fever[0]) / 20_000 == pytest.approx(3 * p, rel=0.03)
    assert len(early[0]) / 20_000 == pytest.approx(2 * p, rel=0.03)
    first = drawn(point, courses=1, stop=1000)["fever"]
    n = len(first[0])
    assert np.isin(first[0], fever[0]).all(), "a further course changes nothing of the first"
    assert n < len(fever[0])


def test_pain_of_the_harvest_is_recorded_when_the_product_is_ordered_in_the_trial(point):
    made = drawn(point, made="to_order")["harvest site pain"]
    assert len(made[0]) / 20_000 == near(point["cells.harvest_pain.marrow"])
    assert set(made[1]) == {30 - 36}
    assert "harvest site pain" not in drawn(point)
    assert "harvest site pain" not in drawn(point, made="to_order", product="placenta")


def test_no_effect_leaves_no_harm(point):
    off = point | {k: v.no_effect for k, v in registry().items() if v.no_effect is not None}
    for r in routes_of("msc"):
        assert not any(len(rows) for rows, _ in drawn(off, made="to_order", route=r).values()), r
