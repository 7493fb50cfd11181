"""Recruiting: people by index, screened by the rules, replayed with the same bits, cached; nobody eligible is told."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import special

from stemtrial.cohort import recruit as room
from stemtrial.cohort.eligibility import Eligibility
from stemtrial.cohort.ms.courses import COURSES
from stemtrial.cohort.ms.population import people_at_onset, season_at
from stemtrial.cohort.recruit import CLINICS, RUN_IN_SEED, Care, recruit, wanted_recruits
from stemtrial.errors import InputError
from stemtrial.kernel import YEAR, Schedule, uniforms
from stemtrial.observe import N_SLOW, EdssRater, RaterState, deficits, weights
from stemtrial.observe.parameters import EdssParameters, from_draw, load
from stemtrial.parameters import point_draw

CARE = Care("ms", "rrms", "platform_drugs", (2006.0, 2014.0), None)
UNTREATED = dataclasses.replace(CARE, before_entry="none")
RULES = ["18 <= age_years <= 50", "2.0 <= edss <= 5.0", "relapses_last_12_months >= 1", "gd_lesions >= 1"]


@pytest.fixture
def small(monkeypatch, empty_cache):
    """Batches of 1,500 people."""
    monkeypatch.setattr(room, "BATCH", 1500)


def batches(patch, before) -> None:
    """Call ``before`` with the first index of each batch that is really computed."""
    clinic = CLINICS["ms"]

    def batch(*given):
        before(given[4][0])
        return clinic.batch(*given)

    patch.setattr(room, "CLINICS", {"ms": dataclasses.replace(clinic, batch=batch)})


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
    assert {s.removeprefix("pass ") for s in steps[2:]} == {*RULES, "are not called progressive"}


def test_recruits_are_distinct_and_alive(found):
    assert len(np.unique(found.index)) == len(found)
    assert (found.state["alive"] == 1).all()
    assert (found.constants["age0"] == found.screening["age_years"]).all()


def replay(everything, point, *index):
    """People from onset to screening, by the definitions, and nobody else."""
    i = np.array(index, np.uint64)
    u = uniforms(RUN_IN_SEED, i, 0, "cohort.referral", 4)
    shape, scale, low = (point[f"cohort.duration.rrms_treated_{k}"] for k in ("shape", "scale", "low"))
    duration = low + scale * special.gammaincinv(shape, u[:, 0])
    year = CARE.entry_years[0] + (CARE.entry_years[1] - CARE.entry_years[0]) * u[:, 1]
    constants, state = people_at_onset(RUN_IN_SEED, i, point, entry_year=year, duration_years=duration)
    target = (duration * YEAR).astype(int)
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
    back = point["cohort.telescoping_days"]
    for months, days in ((12, 365 + back), (24, 730 + back)):
        count = np.bincount(who[(ago >= 0) & (ago < days)], minlength=len(found)) + (
            day < days
        )  # with the first attack
        np.testing.assert_array_equal(found.screening[f"relapses_last_{months}_months"], count)


def test_a_recruit_replayed_alone_has_the_same_bits(everything, point, found):
    for k in (0, len(found) // 2, len(found) - 1):
        i, constants, person, drug = replay(everything, point, found.index[k])
        day = round(found.screening["disease_duration_years"][k] * YEAR)
        days = np.array([d for d in (day - 730, day - 365, day) if d >= 0])
        told = everything.advance(
            person, 0, day, point, RUN_IN_SEED, schedule=drug, visits=(np.zeros(len(days), int), days)
        )
        for j, s in enumerate(everything.states):
            assert person.state[j, 0] == found.state[s][k], s
        relapses = told.events["day"][told.events["kind"] == everything.event("relapse")]
        relapses = np.r_[0, relapses]  # the first attack
        since = day - 365 - point["cohort.telescoping_days"]
        assert (relapses > since).sum() == found.screening["relapses_last_12_months"][k]
        assert day - relapses.max() == found.screening["days_since_relapse"][k]
        rater = EdssRater(RUN_IN_SEED, "cohort.screening", load(EdssParameters, from_draw(point)))
        held = RaterState.fresh(1, N_SLOW)
        for visit, at in enumerate(days):
            rated = rater.rate(i, np.array([at]), deficits(told.observed, [visit]), weights(constants), held)
            held = rated.state
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
    assert (
        found.state["drugs.activation_to"] * found.state["drugs.way"] > 0.5 * point["drugs.interferon_beta.activation"]
    ).all()


def test_care_before_entry_reaches_the_recruits(everything, found, small, point):
    assert (
        found.state["drugs.activation_to"] * found.state["drugs.way"] > 0.9 * point["drugs.interferon_beta.activation"]
    ).mean() > 0.3
    without = recruit(everything, point_draw(), 0, UNTREATED, rules(), 10, max_pool=1500)
    assert (without.state["drugs.activation_to"] * without.state["drugs.way"] == 0).all()


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
        batches(m, lambda first: pytest.fail("computed again"))
        same(first, call())
    path.write_bytes(path.read_bytes()[:-1000])
    same(first, call(threads=2))
    with monkeypatch.context() as m:
        batches(m, lambda first: pytest.fail("the mended file was not stored"))
        same(first, call())


def test_other_numbers_rules_or_care_are_other_recruits(everything, small, empty_cache):
    def call(d=None, care=CARE, r=None):
        r = r or rules("relapses_last_12_months >= 1")
        return recruit(everything, d or point_draw(), 0, care, r, 10, max_pool=1500)

    base = call()
    for other in (
        call(point_draw({"ms.lam0": 5.0})), call(care=UNTREATED),
        call(care=dataclasses.replace(CARE, era=2.0)), call(r=rules("relapses_last_12_months >= 2")),
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


def test_a_delayed_evoked_potential_is_measured_at_screening_and_chooses_damaged_nerves(everything, small, empty_cache):
    anybody = recruit(everything, point_draw(), 0, CARE, rules("age_years >= 18"), 10, max_pool=3000)
    delayed = recruit(
        everything, point_draw(), 0, CARE, rules("age_years >= 18", "vep_p100_ms > 112"), 10, max_pool=3000
    )
    seen = anybody.screening["vep_p100_ms"]
    assert np.isfinite(seen).all()
    np.testing.assert_array_equal(delayed.index, anybody.index[seen > 112])
    np.testing.assert_array_equal(delayed.screening["vep_p100_ms"], seen[seen > 112])
    nerve = "D_on"
    assert delayed.state[nerve].mean() > 1.5 * anybody.state[nerve].mean()


def test_nobody_eligible_is_told_with_the_funnel(everything, small, empty_cache):
    with pytest.raises(InputError) as e:
        recruit(everything, point_draw(), 0, CARE, rules("age_years >= 18", "t2_volume_ml >= 200"), 10, max_pool=1500)
    message = str(e.value)
    assert message.startswith("nobody is eligible: 1500 people with relapsing MS; ")
    assert message.endswith("0 pass t2_volume_ml >= 200; widen the rule at which the numbers fall to 0")
    with pytest.raises(InputError, match="0 pass age_years >= 100"):
        recruit(everything, point_draw(), 0, CARE, rules("age_years >= 100"), 10, max_pool=1500)


def test_what_cannot_be_recruited_is_refused(everything, small, empty_cache):
    with pytest.raises(InputError, match="course 'smps' cannot be recruited; did you mean 'spms'"):
        recruit(everything, point_draw(), 0, Care("ms", "smps", "none", (2000.0, 2001.0)), rules(), 10)


@pytest.mark.parametrize("course", COURSES)
def test_every_course_can_be_recruited_and_looks_like_itself(everything, small, empty_cache, course):
    anybody = rules("0 <= age_years <= 110")
    found = recruit(
        everything, point_draw(), 0, dataclasses.replace(UNTREATED, course=course), anybody, 10, max_pool=3000
    )
    s = found.screening
    if course == "cis":
        assert (s["disease_duration_years"] < 1).all()
        assert (s["relapses_last_12_months"] >= 1).all(), "the first attack counts"
    if course == "paediatric":
        assert (s["onset_age_years"] < 18).all()
    if course == "ppms":
        assert (s["days_since_relapse"] == 40_000).mean() > 0.4, "most never had a relapse"
        assert 0.35 < found.constants["female"].mean() < 0.7
    if course == "spms":
        assert (s["edss"] >= 3).all()
        assert (s["disease_duration_years"] > 3).all()
    if course in ("rrms", "paediatric"):
        assert (s["relapses_last_12_months"] >= 1).all(), "a relapse led to referral"


def test_wanted_is_enough_to_draw_with_replacement():
    assert wanted_recruits(110) == 2750
    assert wanted_recruits(300) == 5000
    assert wanted_recruits(1900) == 19_000


def test_who_wants_more_goes_on_where_another_stopped(everything, small, empty_cache, monkeypatch):
    many = rules("relapses_last_12_months >= 0")
    screened = []
    batches(monkeypatch, screened.append)
    few = recruit(everything, point_draw(), 0, CARE, many, 10, max_pool=4500)
    more = recruit(everything, point_draw(), 0, CARE, many, 10**6, max_pool=4500)
    assert screened == [0, 1500, 3000]
    assert (more.index[: len(few)] == few.index).all()
    assert (few.screened, more.screened) == (1500, 4500)
