"""Recruiting: people by index, screened by the rules, replayed with the same bits, cached; nobody eligible is told."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from stemtrial.cohort import recruit as room
from stemtrial.cohort.eligibility import Eligibility
from stemtrial.cohort.population import era_factor, people_at_onset, season_at
from stemtrial.cohort.recruit import RUN_IN_SEED, Care, _Relapses, deficits, recruit, wanted_recruits, weights
from stemtrial.errors import InputError
from stemtrial.kernel import YEAR, Schedule, uniforms
from stemtrial.observe import EdssRater, RaterState
from stemtrial.observe.parameters import EdssParameters, from_draw, load
from stemtrial.parameters import point_draw

CARE = Care("rrms", "platform_drugs", (2006.0, 2014.0), None)
RULES = ["18 <= age_years <= 50", "2.0 <= edss <= 5.0", "relapses_last_12_months >= 1", "gd_lesions >= 1"]


@pytest.fixture
def small(monkeypatch, empty_cache):
    """Batches of 1,500 people."""
    monkeypatch.setattr(room, "BATCH", 1500)


@pytest.fixture(scope="module")
def found(everything, tmp_path_factory):
    with pytest.MonkeyPatch.context() as m:
        m.setattr(room, "BATCH", 4000)
        return recruit(everything, point_draw(), 0, CARE, rules(), 10, max_pool=8000)


def rules(*texts) -> Eligibility:
    return Eligibility(texts or RULES)


def test_every_recruit_meets_every_rule(found):
    x = found.screening
    assert len(found) > 20
    assert ((x["age_years"] >= 18) & (x["age_years"] <= 50)).all()
    assert ((x["edss"] >= 2) & (x["edss"] <= 5)).all()
    assert (x["relapses_last_12_months"] >= 1).all()
    assert (x["gd_lesions"] >= 1).all()
    assert ((x["entry_year"] >= 2006) & (x["entry_year"] <= 2014)).all()
    for r in rules().rules:
        assert r.evaluate(x).all()


def test_everybody_was_referred_by_a_relapse_within_the_window(found, point):
    days = found.screening["days_since_relapse"]
    assert days.min() >= 0
    assert days.max() <= point["cohort.referral_days.high"]
    # some relapse again while they wait, so that the low end of the wait is not the low end of the days
    assert np.median(days) > point["cohort.referral_days.low"]


def test_the_funnel_narrows_and_ends_at_the_recruits(found):
    steps, people = zip(*found.funnel, strict=True)
    assert steps[:2] == ("people with relapsing MS", "referred after a relapse")
    assert list(people) == sorted(people, reverse=True)
    assert people[0] == 4000
    assert people[-1] == len(found)
    assert {s.removeprefix("pass ") for s in steps[2:]} == set(RULES)


def test_recruits_are_distinct_and_alive(found):
    assert len(np.unique(found.index)) == len(found)
    assert (found.state["alive"] == 1).all()
    assert (found.constants["age0"] == found.screening["age_years"]).all()


def replay(everything, point, *index):
    """People from onset to screening, by the definitions, and nobody else."""
    i = np.array(index, np.uint64)
    u = uniforms(RUN_IN_SEED, i, 0, "cohort.referral", 4)
    shape, scale, low = (point[f"cohort.duration.platform_drugs_{k}"] for k in ("shape", "scale", "low"))
    duration = low + scale * special.gammaincinv(shape, u[:, 0])
    year = CARE.entry_years[0] + (CARE.entry_years[1] - CARE.entry_years[0]) * u[:, 1]
    constants, state = people_at_onset(RUN_IN_SEED, i, point, entry_year=year, duration_years=duration)
    target = np.maximum(400, (duration * YEAR).astype(int))
    begin = np.maximum(0, target - round(point["cohort.platform_years"] * YEAR))
    kind = np.full(len(i), everything.dose("drugs.start.interferon_beta"))
    drug = Schedule(np.arange(len(i)), begin, kind, np.zeros((len(i), 4)))
    return i, constants, everything.population(0, i, constants, state), drug


def test_relapses_before_screening_are_those_of_the_run_in(everything, point, found):
    _, _, crowd, drug = replay(everything, point, *found.index)
    day = np.round(found.screening["disease_duration_years"] * YEAR).astype(int)
    told = everything.advance(crowd, 0, day + 1, point, RUN_IN_SEED, schedule=drug).events
    relapse = told["kind"] == everything.event("relapse")
    who, ago = told["patient"][relapse], day[told["patient"][relapse]] - told["day"][relapse]
    for months, days in ((12, 365), (24, 730)):
        count = np.bincount(who[(ago >= 0) & (ago < days)], minlength=len(found))
        np.testing.assert_array_equal(found.screening[f"relapses_last_{months}_months"], count)


def test_a_recruit_replayed_alone_has_the_same_bits(everything, point, found):
    for k in (0, len(found) // 2, len(found) - 1):
        i, constants, person, drug = replay(everything, point, found.index[k])
        day = round(found.screening["disease_duration_years"][k] * YEAR)
        told = everything.advance(person, 0, day, point, RUN_IN_SEED, schedule=drug, visits=([0], [day]))
        for j, s in enumerate(everything.states):
            assert person.state[j, 0] == found.state[s][k], s
        relapses = told.events["day"][told.events["kind"] == everything.event("relapse")]
        assert (relapses > day - 365).sum() == found.screening["relapses_last_12_months"][k]
        assert day - relapses.max() == found.screening["days_since_relapse"][k]
        rated = EdssRater(RUN_IN_SEED, "cohort.screening", load(EdssParameters, from_draw(point))).rate(
            i, np.array([day]), deficits(told.observed), weights(constants), RaterState.fresh(1)
        )
        assert rated.edss[0] == found.screening["edss"][k]
        np.testing.assert_array_equal(rated.state.h[0], found.rater_h[k])
        c, s = season_at(constants, np.array([float(day)]))
        assert (c[0], s[0]) == (found.constants["season_cos"][k], found.constants["season_sin"][k])
        kept = set(constants) - {"age0", "season_cos", "season_sin"}
        assert all(constants[c][0] == found.constants[c][k] for c in kept)


def test_the_clock_restarts_without_a_jump_of_age_or_season(found):
    born = found.constants["age0"] - found.screening["disease_duration_years"]
    assert ((born >= 8) & (born <= 62)).all()
    np.testing.assert_allclose(np.hypot(found.constants["season_cos"], found.constants["season_sin"]), 1)


def test_platform_drugs_are_taken_at_screening(found, point):
    assert (found.state["drugs.activation"] > 0.5 * point["drugs.interferon_beta.activation"]).all()


def test_care_before_entry_reaches_the_recruits(everything, found, small, point):
    assert (found.state["drugs.activation"] > 0.9 * point["drugs.interferon_beta.activation"]).mean() > 0.3
    without = recruit(everything, point_draw(), 0, Care("rrms", "none", (2006.0, 2014.0)), rules(), 10, max_pool=1500)
    assert (without.state["drugs.activation"] == 0).all()


def same(a, b):
    np.testing.assert_array_equal(a.index, b.index)
    np.testing.assert_array_equal(a.rater_h, b.rater_h)
    for x, y in ((a.constants, b.constants), (a.state, b.state), (a.screening, b.screening)):
        assert set(x) == set(y)
        for k in x:
            np.testing.assert_array_equal(x[k], y[k])
    assert a.funnel == b.funnel


def test_the_cache_gives_what_was_computed_and_damage_is_mended(everything, small, empty_cache, monkeypatch):
    def call(**options):
        return recruit(everything, point_draw(), 0, CARE, rules(), 10, max_pool=1500, **options)

    first = call()
    (path,) = empty_cache.glob("recruits/*.npz")
    with monkeypatch.context() as m:
        m.setattr(room, "_batch", lambda *a: pytest.fail("computed again"))
        same(first, call())
    path.write_bytes(path.read_bytes()[:-1000])
    same(first, call(threads=2))
    with monkeypatch.context() as m:
        m.setattr(room, "_batch", lambda *a: pytest.fail("the mended file was not stored"))
        same(first, call())


def test_other_numbers_rules_or_care_are_other_recruits(everything, small, empty_cache):
    def call(d=None, care=CARE, r=None):
        r = r or rules("relapses_last_12_months >= 1")
        return recruit(everything, d or point_draw(), 0, care, r, 10, max_pool=1500)

    base = call()
    for other in (
        call(point_draw({"ms.lam0": 5.0})), call(care=Care("rrms", "none", (2006.0, 2014.0))),
        call(care=Care("rrms", "platform_drugs", (2006.0, 2014.0), 2.0)), call(r=rules("relapses_last_12_months >= 2")),
    ):  # fmt: skip
        assert len(other) != len(base) or (other.index != base.index).any()
    assert len(list(empty_cache.glob("recruits/*.npz"))) == 5


def test_batches_add_up(everything, monkeypatch, empty_cache):
    monkeypatch.setattr(room, "BATCH", 700)
    two = recruit(everything, point_draw(), 0, CARE, rules("relapses_last_12_months >= 1"), 10**6, max_pool=1400)
    monkeypatch.setattr(room, "BATCH", 1400)
    one = recruit(everything, point_draw(), 0, CARE, rules("relapses_last_12_months >= 1"), 10**6, max_pool=1400)
    same(one, two)


def test_it_stops_when_enough_are_found(everything, small, empty_cache):
    seen = []
    few = recruit(
        everything, point_draw(), 0, CARE, rules("relapses_last_12_months >= 0"), 10, max_pool=6000,
        progress=lambda stage, x: seen.append((stage, x)),
    )  # fmt: skip
    assert few.funnel[0][1] == 1500
    assert len(few) > 10
    assert seen == [("recruiting", 0.0)]


def test_nobody_eligible_is_told_with_the_funnel(everything, small, empty_cache):
    with pytest.raises(InputError) as e:
        recruit(everything, point_draw(), 0, CARE, rules("age_years >= 18", "t2_volume_ml >= 200"), 10, max_pool=1500)
    message = str(e.value)
    assert message.startswith("nobody is eligible: 1500 people with relapsing MS; ")
    assert message.endswith("0 pass t2_volume_ml >= 200; widen the rule at which the numbers fall to 0")
    with pytest.raises(InputError, match="0 pass age_years >= 100"):
        recruit(everything, point_draw(), 0, CARE, rules("age_years >= 100"), 10, max_pool=1500)


def test_what_cannot_be_recruited_or_screened_is_refused(everything, small, empty_cache):
    with pytest.raises(InputError, match="course 'spms' cannot be recruited yet; valid: rrms"):
        recruit(everything, point_draw(), 0, Care("spms", "none", (2000.0, 2001.0)), rules(), 10)
    with pytest.raises(InputError, match="screening does not measure ambulation_index yet"):
        recruit(everything, point_draw(), 0, CARE, rules("ambulation_index < 0.5"), 10, max_pool=1500)


def test_wanted_is_twenty_five_a_place():
    assert wanted_recruits(110) == 2750


# -- people ------------------------------------------------------------------------------------------------------------
def onset(index, point, year=2008.0, **options):
    n = len(index)
    return people_at_onset(
        5, np.asarray(index, np.uint64), point, entry_year=np.full(n, year), duration_years=np.full(n, 6.0), **options
    )


@pytest.mark.parametrize("primary", [False, True])
def test_a_person_is_a_function_of_the_index(point, primary):
    whole, alone = onset(range(50), point, primary=primary), onset([31], point, primary=primary)
    mixed = onset([40, 31, 2], point, primary=primary)
    for a, b, c in zip(whole, alone, mixed, strict=True):
        for k in a:
            assert a[k][31] == b[k][0] == c[k][1], k


def test_people_differ_as_their_parameters_say(point):
    c, state = onset(range(20_000), point, era=1.0)
    assert 1 - c["female"].mean() == pytest.approx(point["cohort.male.relapsing"], abs=0.015)
    logs = np.log(c["alpha"])
    women, adult = c["female"] == 1, c["age0"] >= point["cohort.onset_low"] + 1
    assert logs[women & adult].mean() == pytest.approx(np.log(point["cohort.alpha.female"]), abs=0.04)
    assert logs[women & adult].std() == pytest.approx(point["cohort.alpha_sd"], rel=0.03)
    m = np.log(c["m"]) - np.where(women, np.log(point["cohort.m.female"]), np.log(point["cohort.m.male"]))
    assert m.std() == pytest.approx(point["cohort.m_sd"], rel=0.03)
    assert np.corrcoef(logs[women & adult], m[women & adult])[0, 1] == pytest.approx(point["cohort.alpha_m"], abs=0.03)
    assert ((c["age0"] >= 8) & (c["age0"] <= 62)).all()
    assert (c["age0"] < 18).mean() == pytest.approx(point["cohort.paediatric"], abs=0.02)
    sites = np.array([(state[f"Q_{r}"] > 0).mean() for r in ("pv", "cj", "it", "sc", "on")])
    np.testing.assert_allclose(
        sites, [point[f"cohort.first_site.{r}"] for r in ("pv", "cj", "it", "sc", "on")], atol=0.015
    )
    assert np.exp(state["u"]).mean() == pytest.approx(1, abs=0.1)


def test_the_era_acts_on_activity_and_onset_on_progression(point):
    known = {2002.0: "2002", 2007.0: "2007", 2011.0: "2011"}
    for year, name in known.items():
        assert era_factor(np.array([year]), point)[0] == pytest.approx(point[f"cohort.era.at_{name}"])
    years = np.linspace(1990, 2025, 200)
    factor = era_factor(years, point)
    assert (np.diff(factor) <= 1e-12).all()
    assert factor[0] == pytest.approx(point["cohort.era.at_2002"])
    assert factor[-1] == pytest.approx(point["cohort.era.at_2011"])
    middle = era_factor(np.array([2004.5]), point)[0]
    assert middle == pytest.approx(np.sqrt(point["cohort.era.at_2002"] * point["cohort.era.at_2007"]))
    early, late = onset(range(9), point, 2002.0)[0], onset(range(9), point, 2011.0)[0]
    fixed = onset(range(9), point, 2011.0, era=1.4)[0]
    np.testing.assert_allclose(
        early["alpha"] / late["alpha"], point["cohort.era.at_2002"] / point["cohort.era.at_2011"]
    )
    np.testing.assert_allclose(fixed["alpha"] / late["alpha"], 1.4 / point["cohort.era.at_2011"])
    np.testing.assert_allclose(early["m"] / late["m"], np.exp(9 * point["cohort.m_era"]))


def test_the_season_goes_round_in_a_year():
    constants = {"season_cos": np.array([0.6]), "season_sin": np.array([0.8])}
    for days, expected in ((0, (0.6, 0.8)), (YEAR, (0.6, 0.8)), (YEAR / 4, (-0.8, 0.6)), (YEAR / 2, (-0.6, -0.8))):
        np.testing.assert_allclose(np.ravel(season_at(constants, np.array([float(days)]))), expected, atol=1e-12)


def test_relapses_are_counted_by_patient_and_day():
    r = _Relapses(np.array([0, 0, 0, 2]), np.array([5, 40, 400, 7]), 3)
    day = np.array([40, 40, 40])
    assert r.last_until(day).tolist() == [40, -1, 7]
    assert r.last_until(day - 1).tolist() == [5, -1, 7]
    assert r.between(day - 35, day).tolist() == [1, 0, 1], "after the first day, up to and with the last"
    assert r.between(day - 36, day).tolist() == [2, 0, 1]
    assert r.last_until(np.array([-5, 0, 6])).tolist() == [-1, -1, -1]
