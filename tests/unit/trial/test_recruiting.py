"""Who fills which places: quotas of courses, populations of arms, recruits that resemble whom they shall."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trials import CELLS, protocol

from stemtrial.cohort import recruit as room
from stemtrial.cohort.recruit import recruit
from stemtrial.errors import InputError
from stemtrial.kernel import derive_seed
from stemtrial.parameters import point_draw
from stemtrial.therapy import compose
from stemtrial.trial.entry import constants_at_entry, enter
from stemtrial.trial.places import places_of, quotas
from stemtrial.trial.recruiting import care_of, recruit_for

POPULATION = {"course": "rrms", "care_before_entry": "none", "eligibility": ["18 <= age_years <= 60"]}
MIXED = POPULATION | {"course": {"rrms": 0.48, "spms": 0.52}}
ARMS = {
    "graft": {"n": 10, "regimen": [], "population": {"course": "spms", "resemble": {"edss": {"mean": 5.5}}}},
    "drug": {"n": 20, "regimen": []},
    "none": {"n": 5, "regimen": []},
}
REPLICATES = np.arange(6)


def trial(population=POPULATION, arms=None, **more):
    return protocol(arms or {"a": {"n": 25, "regimen": []}}, population=population, **more)


def observed(**more):
    return trial(arms=ARMS, design="observational", randomisation=None, **more)


POPULATION_OF_ALS = {"course": "als", "care_before_entry": "riluzole", "eligibility": ["18 <= age_years <= 80"]}
ARMS_OF_ALS = {
    "graft": {"n": 10, "regimen": [CELLS],
              "population": {"eligibility": ["onset_site != bulbar"], "resemble": {"alsfrs_r": {"mean": 36.0}}}},
    "drug": {"n": 20, "regimen": []},
    "none": {"n": 5, "regimen": [], "population": {"care_before_entry": "none"}},
}  # fmt: skip


def of_als(population=POPULATION_OF_ALS, arms=None, **more):
    return protocol(arms or {"a": {"n": 25, "regimen": []}}, population=population, disease="als", **more)


@pytest.fixture(scope="module")
def people(everything, everything_als):
    """Function (protocol, ...) -> recruits, from batches of 2,000."""
    kernels = {"ms": everything, "als": everything_als}

    def make(p, **more):
        with pytest.MonkeyPatch.context() as m:
            m.setattr(room, "FIRST", 2000)
            m.setattr(room, "BATCH", 2000)
            return recruit_for(p, kernels[p.disease], point_draw(), **{"threads": 2, "max_pool": 8000, **more})

    return make


shares = st.dictionaries(st.sampled_from("abcde"), st.floats(0.01, 1), min_size=1)


@given(shares, st.integers(0, 500))
def test_quotas_fill_all_places_and_miss_their_shares_by_less_than_one(weights, n):
    got = quotas(weights, n)
    assert sum(got.values()) == n
    for k, v in weights.items():
        assert abs(got[k] - n * v / sum(weights.values())) < 1 + 1e-6


def test_of_equal_remainders_the_first_name_gets_the_place():
    assert quotas({"b": 0.5, "a": 0.5}, 3) == {"a": 2, "b": 1}


def test_a_plain_trial_has_one_pool_and_the_recruits_of_its_population(everything, people):
    p = trial()
    assert [pool.name for pool in places_of(p).pools] == ["rrms"]
    assert places_of(p).arm is None
    with pytest.MonkeyPatch.context() as m:
        m.setattr(room, "FIRST", 2000)
        m.setattr(room, "BATCH", 2000)
        plain = recruit(everything, point_draw(), 0, care_of(p), p.population.criteria, 625, threads=2, max_pool=8000)
    assert (people(p).index == plain.index).all()
    assert people(p).weight is None


@pytest.fixture(scope="module")
def mixed(people):
    return people(trial(MIXED))


def test_courses_are_recruited_apart_and_fill_fixed_numbers(mixed):
    p = trial(MIXED)
    assert len(mixed.pool) == len(mixed)
    steps = [s for s, _ in mixed.funnel]
    assert steps[0] == "rrms: people with relapsing MS, in 8 recruiting periods each"
    assert "spms: are called secondary progressive" in steps
    assert mixed.screened == sum(n for s, n in mixed.funnel if ": people with " in s)
    who = enter(p, mixed, derive_seed(1, "trial"), REPLICATES)
    for k in REPLICATES:
        course = who.course[who.replicate == k]
        assert (course == "rrms").sum() == 12
        assert (mixed.pool[who.drawn[who.replicate == k]] == (course == "spms")).all()
    first = [who.course[who.replicate == k][0] for k in REPLICATES]
    assert len(set(first)) == 2, "in random order"


def test_reports_of_relapses_follow_the_course_of_each(mixed, point):
    p = trial(MIXED)
    who = enter(p, mixed, derive_seed(1, "trial"), REPLICATES)
    told = constants_at_entry(p, mixed, who, point)["ascertainment"]
    assert set(told[who.course == "rrms"]) == {point["cohort.ascertainment.blind"]}
    assert set(told[who.course == "spms"]) == {point["cohort.ascertainment.progressive"]}


def test_a_trial_of_several_courses_refuses_recruits_of_one(people):
    with pytest.raises(InputError, match="1 pools of recruits, the protocol draws from 2; recruit with recruit_for"):
        enter(trial(MIXED), people(trial()), 1, REPLICATES)
    with pytest.raises(InputError, match=r"several pools \(rrms; spms\); use recruit_for"):
        care_of(trial(MIXED))


def test_arms_of_an_observational_study_are_filled_by_their_n_from_their_own_people(people):
    p = observed()
    places = places_of(p)
    assert [pool.name for pool in places.pools] == ["spms, graft", "rrms"], "two arms share the protocol's population"
    found = people(p)
    who = enter(p, found, derive_seed(1, "trial"), REPLICATES)
    for k in REPLICATES:
        assert np.bincount(who.arm[who.replicate == k]).tolist() == [10, 20, 5]
    assert (who.course == np.where(who.arm == 0, "spms", "rrms")).all()
    assert (found.pool[who.drawn] == (who.arm != 0)).all()
    w = np.where(found.pool == 0, found.weight, 0)
    assert np.average(found.screening["edss"], weights=w) == pytest.approx(5.5, abs=1e-3)
    one = enter(p, found, derive_seed(1, "trial"), REPLICATES[3:4])
    for name in ("arm", "drawn", "course", "entry_day"):
        assert (getattr(one, name) == getattr(who, name)[who.replicate == 3]).all(), name


def test_arms_of_als_have_their_own_people_care_and_weights(people):
    p = of_als(arms=ARMS_OF_ALS, design="observational", randomisation=None)
    assert [pool.name for pool in places_of(p).pools] == ["als, graft", "als", "als, none"]
    found = people(p)
    who = enter(p, found, derive_seed(1, "trial"), REPLICATES)
    for k in REPLICATES:
        assert np.bincount(who.arm[who.replicate == k]).tolist() == [10, 20, 5]
    assert (found.pool[who.drawn] == who.arm).all()
    w = np.where(found.pool == 0, found.weight, 0)
    assert np.average(found.screening["alsfrs_r"], weights=w) == pytest.approx(36, abs=1e-3)
    bulbar, riluzole = (found.screening[c] for c in ("bulbar_onset", "riluzole"))
    share = [(bulbar[found.pool == k].mean(), riluzole[found.pool == k].mean()) for k in range(3)]
    assert share[0][0] == share[2][1] == 0
    assert min(share[1][0], share[2][0]) > 0.1
    assert min(share[0][1], share[1][1]) > 0.5
    takes = found.state["riluzole.riluzole"] > 0
    assert (takes == (riluzole > 0)).all(), "in the body of who says so"
    one = enter(p, found, derive_seed(1, "trial"), REPLICATES[3:4])
    for name in ("arm", "drawn", "entry_day"):
        assert (getattr(one, name) == getattr(who, name)[who.replicate == 3]).all(), name


@pytest.mark.parametrize("p", [observed(), of_als(arms=ARMS_OF_ALS, design="observational", randomisation=None)])
def test_entry_of_observational_arms_is_spread_over_accrual(people, p):
    who = enter(p, people(p), derive_seed(1, "trial"), np.arange(60))
    length = who.entry_day.max()
    for arm in range(3):
        assert who.entry_day[who.arm == arm].mean() / length == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize(
    ("make", "population", "like"),
    [(trial, POPULATION, {"age_years": (32.0, 6.0), "edss": (4.0, None)}),
     (of_als, POPULATION_OF_ALS, {"age_years": (56.0, 9.0), "alsfrs_r": (36.0, None), "svc_pct": (80.0, None),
                                  "female": (0.4, None), "symptom_months": (20.0, None)})],
    ids=["ms", "als"],
)  # fmt: skip
def test_resembled_people_have_the_moments_and_are_drawn_by_their_weights(people, make, population, like):
    asked = {k: {"mean": m} | ({} if sd is None else {"sd": sd}) for k, (m, sd) in like.items()}
    p = make(population | {"resemble": asked})
    found, plain = people(p), people(make(population))
    w = found.weight / found.weight.sum()
    drawn = enter(p, found, derive_seed(1, "trial"), np.arange(200)).drawn
    for name, (mean, sd) in like.items():
        x = found.screening[name]
        spread = np.sqrt(w @ (x - mean) ** 2)
        assert w @ x == pytest.approx(mean, rel=1e-4), name
        assert sd is None or spread == pytest.approx(sd, abs=1e-3)
        assert x[drawn].mean() == pytest.approx(mean, abs=4 * spread / np.sqrt(len(drawn))), name
    assert found.effective < len(found)
    assert len(found) >= len(plain), "more are looked for until enough of them count"


def test_too_few_people_behind_the_weights_are_warned_of(people):
    p = trial(POPULATION | {"resemble": {"edss": {"mean": 6.8}}})
    found = people(p, max_pool=4000)
    assert found.effective < 250
    assert found.warning.startswith(f"only {found.effective:.0f} of {len(found)} eligible virtual recruits effectively")
    assert "fewer than the 250" in found.warning


def test_what_no_recruit_is_is_refused_with_its_place(people):
    p = trial(POPULATION | {"eligibility": [], "resemble": {"age_years": {"mean": 109}}})
    with pytest.raises(InputError, match=r"^population\.resemble: age_years: the mean 109 lies outside .*; mend it"):
        people(p)


def test_therapies_of_the_trial_change_no_bit_of_its_recruits(everything):
    p = trial(MIXED)
    care = compose("ms", ("drugs", "steroids"))
    assert set(care.states) < set(everything.states)
    with pytest.MonkeyPatch.context() as m:
        m.setattr(room, "FIRST", 500)
        m.setattr(room, "BATCH", 500)
        found = recruit_for(p, everything, point_draw(), max_pool=500, keep=False)
        for k, pool in enumerate(places_of(p).pools):
            alone = recruit(
                everything, point_draw(), 0, care_of(p, pool), p.population.criteria, 325, max_pool=500, keep=False
            )
            mine = found.pool == k
            assert (found.index[mine] == alone.index).all()
            for s in care.states:
                assert (found.state[s][mine] == alone.state[s]).all(), s
            for s in set(everything.states) - set(care.states):  # what the trial gives them to start with
                assert (alone.state[s] == everything.model.states[s].start).all(), s


def test_pools_of_one_trial_look_at_the_same_people_once(everything, monkeypatch):
    arms = {
        "a": {"n": 10, "regimen": [], "population": {"resemble": {"edss": {"mean": 3.0}}}},
        "b": {"n": 10, "regimen": [], "population": {"resemble": {"edss": {"mean": 4.0}}}},
    }
    computed: list[int] = []

    def watched(clinic):
        def batch(*given):
            computed.append(int(given[4][0]))
            return clinic.batch(*given)

        return dataclasses.replace(clinic, batch=batch)

    monkeypatch.setattr(room, "CLINICS", {d: watched(c) for d, c in room.CLINICS.items()})
    p = trial(arms=arms, design="observational", randomisation=None)
    found = recruit_for(p, everything, point_draw(), over=1000, keep=False)
    assert len(set(found.pool.tolist())) == 2
    assert len(computed) == len(set(computed))
