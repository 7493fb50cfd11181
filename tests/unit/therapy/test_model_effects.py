"""What therapies do to the MS patient: on mechanisms, by their parameters, and nothing when those are at no effect."""

from __future__ import annotations

import numpy as np
import pytest

from stemtrial.errors import InputError
from stemtrial.kernel import Schedule
from stemtrial.parameters import registry
from stemtrial.therapy import FAMILIES, acting_on, compose
from stemtrial.therapy.ahsct import CONDITIONING, INTENSITIES
from stemtrial.therapy.family import amounts as columns

N = 400
GRAFT = (5.0, 4.0, 2012.0, 0.0)


def doses(kernel, *rows, n=N):
    """Schedule of (day, dose name, amounts) for everybody."""
    parts = []
    for day, name, amounts in rows:
        parts.append(Schedule(np.arange(n), np.full(n, day), np.full(n, kernel.dose(name)), columns(n, *amounts)))
    return Schedule.join(parts)


def run(kernel, crowd, p, days, schedule, seed=6):
    n = len(crowd)
    at = np.arange(0, days + 1, 30)
    visits = np.tile(np.arange(n), len(at)), np.repeat(at, n)
    return kernel.advance(crowd, 0, days, p, seed, schedule=schedule, visits=visits, threads=2)


def without_effect(point):
    """Every effect of every therapy at the value at which it vanishes."""
    return point | {k: v.no_effect for k, v in registry().items() if v.no_effect is not None}


@pytest.mark.parametrize("intensity", INTENSITIES)
def test_without_effects_a_treated_patient_is_the_untreated_bit_for_bit(everything, people, point, intensity):
    p = without_effect(point)
    plan = doses(
        everything, (5, "drugs.start.interferon_beta", ()), (200, "drugs.start.natalizumab", ()),
        (400, "drugs.stop", ()), (420, "ahsct.mobilise", ()), (441, f"ahsct.infuse.{intensity}", GRAFT),
    )  # fmt: skip
    treated, placebo = people(everything, N), people(everything, N)
    a = run(everything, treated, p, 1200, plan)
    b = run(everything, placebo, p, 1200, Schedule.empty())
    disease = [s.name for s in everything.model.states.values() if s.owner == "ms"]
    assert len(disease) > 35
    for s in disease:
        np.testing.assert_array_equal(treated.state[everything.row(s)], placebo.state[everything.row(s)], err_msg=s)
    own = {"neutrophils_1e9_per_l"}  # engraftment takes its days whatever the effects
    for k in a.observed:
        if k not in own:
            np.testing.assert_array_equal(a.observed[k], b.observed[k], err_msg=k)
    logs = []
    for told in (a.events, b.events):
        keep = np.isin(told["kind"], [everything.event("relapse"), everything.event("death")])
        logs.append({k: v[keep] for k, v in told.items()})
    for k in logs[0]:
        np.testing.assert_array_equal(logs[0][k], logs[1][k])
    assert len(logs[0]["day"]) > N / 4
    harms = ("febrile_neutropenia", "serious_infection", "treatment_death", "secondary_autoimmunity")
    assert not np.isin(a.events["kind"], [everything.event(h) for h in harms]).any()


@pytest.mark.parametrize("drug", ["interferon_beta", "glatiramer", "fingolimod", "natalizumab", "mitoxantrone"])
def test_drugs_lower_lesions_relapses_and_loss(everything, people, point, drug):
    treated, control = people(everything, 3000), people(everything, 3000)
    plan = doses(everything, (0, f"drugs.start.{drug}", ()), n=3000)
    everything.advance(treated, 0, 730, point, 2, schedule=plan, threads=2)
    everything.advance(control, 0, 730, point, 2, threads=2)
    for s in ("n_t2", "n_felt", "X_sc", "W"):
        k = everything.row(s)
        gain = control.state[k] - treated.state[k]
        assert gain.mean() > 4 * gain.std() / np.sqrt(3000), s


def test_steroids_speed_recovery_and_save_no_axon(everything, people, point):
    def q_and_x(speed, days):
        crowd = people(everything, 200, Q_sc=0.4, days_since_relapse=1.0)
        everything.advance(crowd, 0, days, point | {"steroids.speed": speed, "ms.lam0": 0.0, "ms.nuF": 0.0}, 1)
        return crowd.state[everything.row("Q_sc")], crowd.state[everything.row("X_sc")]

    (slow, _), (fast, _) = q_and_x(0.0, 20), q_and_x(1.0, 20)
    assert (fast < 0.75 * slow).all()
    (_, without), (_, with_course) = q_and_x(0.0, 600), q_and_x(1.0, 600)
    start = people(everything, 200).state[everything.row("X_sc")]
    np.testing.assert_allclose(with_course - start, without - start, rtol=0.02)


# -- transplantation -------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def transplanted(everything, people, point):
    """Two years after intermediate conditioning on day 0, nobody dying of it."""
    p = point | {"ahsct.mortality.intermediate": 0.0}
    crowd = people(everything, N)
    at = np.array([0, 1, 5, 9, 10, 11, 12, 13, 14, 30, 90, 180, 365, 730])
    visits = np.tile(np.arange(N), len(at)), np.repeat(at, N)
    told = everything.advance(
        crowd, 0, 730, p, 3, schedule=doses(everything, (0, "ahsct.infuse.intermediate", GRAFT)), visits=visits
    )
    return at, {k: v.reshape(len(at), N) for k, v in told.observed.items()}, told.events


def test_the_autoreactive_clones_fall_by_their_kill(transplanted, point):
    _, seen, _ = transplanted
    kill = -np.log10(seen["clones"][1] - point["ahsct.graft_clones"])
    mean, sd = point["ahsct.kill.intermediate"] - point["ahsct.mobilisation_kill"], point["ahsct.kill_sd"]
    assert kill.mean() == pytest.approx(mean, abs=4 * sd / np.sqrt(N) + 0.01)
    assert kill.std() == pytest.approx(sd, rel=0.15)
    assert (seen["clones"] <= 1).all()
    assert (np.diff(seen["clones"][1:], axis=0) >= 0).all(), "the repertoire only grows back"


def test_cells_fall_and_return_in_their_order(transplanted):
    at, seen, _ = transplanted
    for cell in ("b_cells", "naive_cd4", "memory_cd4", "cd8", "nk", "repertoire"):
        assert (seen[cell][1] < 0.6 * seen[cell][0]).all(), cell
    half_year = list(at).index(180)
    for day, early, late in ((30, "nk", "cd8"), (180, "cd8", "b_cells"), (180, "b_cells", "memory_cd4")):
        share = [seen[c][list(at).index(day)] / seen[c][0] for c in (early, late)]
        assert share[0].mean() > share[1].mean(), (early, late)
    assert (seen["cd8"][half_year] > seen["memory_cd4"][half_year]).all(), "the CD4:CD8 ratio is inverted"


def test_neutrophils_pass_half_a_billion_on_the_day_that_is_logged(everything, transplanted):
    at, seen, events = transplanted
    value = events["value"][events["kind"] == everything.event("engraftment")]
    assert len(value) == N
    assert 10 <= np.median(value) <= 12
    assert value.std() > 1, "patients differ"
    assert 0 < value.min() < value.max() < 30
    level = dict(zip(at, seen["neutrophils_1e9_per_l"], strict=True))
    for day in (5, 9, 10, 11, 12, 13, 14, 30):
        np.testing.assert_array_equal(level[day] >= 0.5, np.ceil(value) <= day, err_msg=str(day))


def test_more_cells_engraft_earlier(everything, people, point):
    def days(cells):
        crowd = people(everything, 10)
        told = everything.advance(
            crowd, 0, 1, point, 1, schedule=doses(everything, (0, "ahsct.infuse.low", (cells, *GRAFT[1:])), n=10)
        ).events
        return told["value"][told["kind"] == everything.event("engraftment")]

    by_dose = np.array([days(c) for c in np.linspace(1, 10, 10)])
    assert (np.diff(by_dose, axis=0) < 0).all(), "the same patient, earlier"
    assert by_dose.min() > 0
    assert by_dose.max() < 16


def test_stronger_conditioning_kills_more_clones_and_costs_more_tissue(everything, people, point):
    found = []
    for intensity in INTENSITIES:
        crowd = people(everything, 2000)
        plan = doses(everything, (0, f"ahsct.infuse.{intensity}", GRAFT), n=2000)
        everything.advance(crowd, 0, 1, point, 4, schedule=plan)
        clones, smoulder, lost = (crowd.state[everything.row(s)] for s in ("C", "M", "W"))
        found.append([np.log(clones).mean(), np.log(smoulder).mean(), -lost.mean()])
    assert (np.diff(np.array(found), axis=0) < 0).all()
    assert set(CONDITIONING.values()) == set(INTENSITIES)


def test_activity_almost_stops_and_b_cells_return_faster(everything, people, point):
    treated, control = people(everything, 2000), people(everything, 2000)
    plan = doses(everything, (0, "ahsct.infuse.intermediate", GRAFT), n=2000)
    everything.advance(treated, 0, 60, point, 5, schedule=plan, threads=2)
    everything.advance(control, 0, 60, point, 5, threads=2)
    k = everything.row("n_t2")
    before = treated.state[k].copy(), control.state[k].copy()
    everything.advance(treated, 60, 800, point, 5, threads=2)
    everything.advance(control, 60, 800, point, 5, threads=2)
    assert (treated.state[k] - before[0]).mean() < 0.15 * (control.state[k] - before[1]).mean()
    slow = people(everything, 1, B=0.01)
    everything.advance(slow, 0, 300, point, 5)
    own = people(everything, 1, B=0.01, **{"ahsct.transplanted": 1.0})
    everything.advance(own, 0, 300, point, 5)
    for crowd, tau in ((slow, point["ms.tauB"]), (own, point["ahsct.tauB"])):
        assert crowd.state[everything.row("B"), 0] == pytest.approx(1 - 0.99 * np.exp(-300 / tau), rel=1e-9)


def mortality(everything, people, point, n, reference, **graft):
    amounts = dict(zip(("cells", "edss", "year", "selected"), GRAFT, strict=True)) | graft
    p = point | {"ahsct.mortality.low": reference, "ms.gompertz_a": 0.0}
    crowd = people(everything, n)
    crowd.constants[everything.constants.index("age0")] = 38.0
    plan = doses(everything, (0, "ahsct.infuse.low", tuple(amounts.values())), n=n)
    told = everything.advance(crowd, 0, 400, p, 8, schedule=plan, threads=2).events
    deaths = told["kind"] == everything.event("treatment_death")
    assert len(np.unique(told["patient"][deaths])) == deaths.sum(), "one dies once"
    assert (crowd.state[everything.row("alive")] == 0).sum() == deaths.sum()
    return deaths.sum() / n, told["day"][deaths]


def test_mortality_is_what_its_parameter_says(everything, people, point):
    share, day = mortality(everything, people, point, 20_000, 0.10)
    assert share == pytest.approx(0.10, abs=4 * np.sqrt(0.1 * 0.9 / 20_000))
    assert day.mean() == pytest.approx(point["ahsct.mortality_days"], rel=0.1)


def test_the_integral_of_the_mortality_hazard_is_exact(everything, people, point):
    p = point | {"ahsct.mortality.low": 0.10}
    crowd = people(everything, 200)
    crowd.constants[everything.constants.index("age0")] = 38.0
    everything.advance(crowd, 0, 1, p, 8, schedule=doses(everything, (0, "ahsct.infuse.low", GRAFT), n=200))
    first = crowd.state[everything.row("ahsct.death.countdown")].copy()
    risk = crowd.state[everything.row("ahsct.death_risk")] * np.exp(1 / p["ahsct.mortality_days"])
    told = everything.advance(crowd, 1, 3000, p, 8).events
    alive = np.setdiff1d(np.arange(200), told["patient"][told["kind"] == everything.event("treatment_death")])
    spent = risk + first - crowd.state[everything.row("ahsct.death.countdown")]
    np.testing.assert_allclose(1 - np.exp(-spent[alive]), 0.10, rtol=1e-3)


def test_mortality_rises_with_disability_and_in_earlier_years(everything, people, point):
    base, _ = mortality(everything, people, point, 6000, 0.05)
    for graft in ({"edss": 7.0}, {"year": 2000.0}):
        worse, _ = mortality(everything, people, point, 6000, 0.05, **graft)
        assert worse > 1.5 * base


# -- composition ------------------------------------------------------------------------------------------------
def test_the_order_of_families_does_not_matter():
    assert compose("ms", ("steroids", "drugs", "ahsct")) is compose("ms", ["ahsct", "steroids", "drugs", "drugs"])


def test_an_unknown_family_is_refused_with_a_suggestion():
    with pytest.raises(InputError, match=r"therapy family 'ahcst' is not known; did you mean 'ahsct'\?"):
        compose("ms", ("ahcst",))


def test_therapies_move_no_state_of_the_disease():
    kernel = compose("ms", acting_on("ms"))
    for flow in kernel.model.flows:
        assert kernel.model.states[flow.state].owner == flow.owner
    for rate in kernel.model.rates.values():
        assert all(owner in FAMILIES for owner, _ in rate.modifiers)
