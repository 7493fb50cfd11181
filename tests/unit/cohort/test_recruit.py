"""Recruiting: people by index, screened by the rules, replayed with the same bits, cached; nobody eligible is told."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import special

from stemtrial.cohort import recruit as room
from stemtrial.cohort.als.population import people_at_onset as with_als
from stemtrial.cohort.als.screening import regions_with_signs
from stemtrial.cohort.eligibility import Eligibility
from stemtrial.cohort.ms.courses import COURSES
from stemtrial.cohort.ms.population import people_at_onset, season_at
from stemtrial.cohort.recruit import CLINICS, RUN_IN_SEED, Care, Held, recruit, wanted_recruits
from stemtrial.disease.als import REGIONS
from stemtrial.errors import InputError
from stemtrial.kernel import YEAR, Schedule, uniforms
from stemtrial.observe import N_SLOW, EdssRater, RaterState, deficits, weights
from stemtrial.observe.parameters import EdssParameters, from_draw, load
from stemtrial.parameters import point_draw
from stemtrial.therapy.family import amounts

CARE = Care("ms", "rrms", "platform_drugs", (2006.0, 2014.0), None)
UNTREATED = dataclasses.replace(CARE, before_entry="none")
ALS = Care("als", "als", "riluzole", (2012.0, 2018.0), None)
RULES_OF_ALS = ["age_years <= 75", "symptom_months <= 36", "alsfrs_r >= 30", "svc_pct >= 60"]
"""Two rules on history, two on what only an examination shows."""
RULES = ["18 <= age_years <= 50", "2.0 <= edss <= 5.0", "relapses_last_12_months >= 1", "gd_lesions >= 1"]


@pytest.fixture
def small(monkeypatch, empty_cache):
    """Batches of 1,500 people."""
    in_batches_of(monkeypatch, 1500)


def in_batches_of(patch, people) -> None:
    """Let all batches have one size."""
    patch.setattr(room, "FIRST", people)
    patch.setattr(room, "BATCH", people)


def batches(patch, before) -> None:
    """Call ``before`` with the first index of each batch that is really computed."""

    def watched(clinic):
        def batch(*given):
            before(given[4][0])
            return clinic.batch(*given)

        return dataclasses.replace(clinic, batch=batch)

    patch.setattr(room, "CLINICS", {d: watched(clinic) for d, clinic in CLINICS.items()})


class Looking:
    """Recruits people with one disease."""

    def __init__(self, care, kernel, texts, easy, rare, times):
        self.care, self.kernel, self.texts, self.easy, self.rare = care, kernel, texts, easy, rare
        self.times = times

    def __call__(self, *texts, wanted=10, draws=None, **more):
        care = dataclasses.replace(self.care, **more.pop("care", {}))
        given = {"max_pool": 1500} | more
        return recruit(self.kernel, draws or point_draw(), 0, care, Eligibility(texts or self.texts), wanted, **given)


@pytest.fixture(scope="module", params=["ms", "als"])
def look(request, everything, everything_als):
    if request.param == "ms":
        many = "relapses_last_12_months >= 0"
        return Looking(CARE, everything, RULES, many, ("relapses_last_12_months >= 1", "t2_volume_ml >= 200"), 8)
    rare = ("svc_pct >= 60", "nfl_pg_ml >= 4000")
    return Looking(ALS, everything_als, RULES_OF_ALS, "symptom_months <= 200", rare, 1)


@pytest.fixture(scope="module")
def found(everything, tmp_path_factory):
    with pytest.MonkeyPatch.context() as m:
        in_batches_of(m, 4000)
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
    assert steps[:3] == (
        "people with relapsing MS, in 8 recruiting periods each", "may pass the rules by age, sex and duration",
        "referred after a relapse",
    )  # fmt: skip
    assert list(people) == sorted(people, reverse=True)
    assert people[0] == 8 * 4000
    assert people[-1] == len(found)
    assert {s.removeprefix("pass ") for s in steps[3:]} == {*RULES, "are not called progressive"}


def day_of(found):
    return np.round(found.screening["disease_duration_years"] * YEAR).astype(int)


def person_of(found):
    return found.index // 8


def test_recruits_are_alive_and_distinct_by_their_days(found):
    looks = set(zip(person_of(found).tolist(), day_of(found).tolist(), strict=True))
    assert len(looks) == len(found) > len(np.unique(person_of(found))) > len(found) / 4
    assert (np.diff(found.index) > 0).all()
    assert (found.state["alive"] == 1).all()
    assert (found.constants["age0"] == found.screening["age_years"]).all()


def replay(everything, point, *index):
    """People from onset to screening, by the definitions, and nobody else."""
    i = np.array(index, np.uint64)
    u = uniforms(RUN_IN_SEED, i, 0, "cohort.referral", 2)
    half = 0.5 * 7 * point["cohort.referral_days.window"] / YEAR
    shape, scale, low = (point[f"cohort.duration.rrms_treated_{k}"] for k in ("shape", "scale", "low"))
    duration = low + np.maximum(half, scale * special.gammaincinv(shape, u[:, 0]))
    year = CARE.entry_years[0] + (CARE.entry_years[1] - CARE.entry_years[0]) * u[:, 1]
    constants, state = people_at_onset(RUN_IN_SEED, i, point, entry_year=year, duration_years=duration)
    target = (duration * YEAR).astype(int)
    begin = np.maximum(0, target - round(point["cohort.platform_years"] * YEAR))
    kind = np.full(len(i), everything.dose("drugs.start.interferon_beta"))
    drug = Schedule(np.arange(len(i)), begin, kind, np.zeros((len(i), 4)))
    return i, constants, everything.population(0, i, constants, state), drug


def test_each_look_is_the_first_relapse_of_a_recruiting_period_and_the_wait_after_it(everything, point, found):
    chosen = np.arange(0, len(found), 7)
    i, _, crowd, drug = replay(everything, point, *person_of(found)[chosen])
    day = day_of(found)[chosen]
    told = everything.advance(crowd, 0, day + 1, point, RUN_IN_SEED, schedule=drug).events
    middle = drug.day + round(point["cohort.platform_years"] * YEAR)
    window = round(point["cohort.referral_days.window"])
    low, high = (point[f"cohort.referral_days.{k}"] for k in ("low", "high"))
    k = found.index[chosen] % 8
    wait = [uniforms(RUN_IN_SEED, [j], look, "cohort.referral.wait")[0, 0] for j, look in zip(i, k, strict=True)]
    wait = (low + (high - low) * np.array(wait)).astype(int)
    known = np.flatnonzero(drug.day > 0)  # where the first day of the drug tells the middle
    assert len(known) > 10
    for row in known:
        relapse = told["day"][(told["kind"] == everything.event("relapse")) & (told["patient"] == row)]
        opens = middle[row] + window * (k[row] - 3.5)
        assert relapse[relapse > opens].min() == day[row] - wait[row] <= opens + window + 1


def test_relapses_before_screening_are_those_of_the_run_in(everything, point, found):
    _, _, crowd, drug = replay(everything, point, *person_of(found))
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
        i, constants, person, drug = replay(everything, point, person_of(found)[k])
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


def test_the_cache_gives_what_was_computed_and_damage_is_mended(look, small, empty_cache, monkeypatch):
    first = look()
    (path,) = empty_cache.glob("recruits/*.npz")
    with monkeypatch.context() as m:
        batches(m, lambda first: pytest.fail("computed again"))
        same(first, look())
    path.write_bytes(path.read_bytes()[:-1000])
    same(first, look(threads=2))
    with monkeypatch.context() as m:
        batches(m, lambda first: pytest.fail("the mended file was not stored"))
        same(first, look())


def test_threads_recruit_the_same(look, small, empty_cache, monkeypatch):
    first = look()
    monkeypatch.setenv("STEMTRIAL_CACHE", str(empty_cache.parent / "another"))
    (empty_cache.parent / "another").mkdir()
    (empty_cache.parent / "another" / "kernels").symlink_to(empty_cache / "kernels", target_is_directory=True)
    same(first, look(threads=3))


def test_other_numbers_rules_or_care_are_other_recruits(look, small, empty_cache):
    ms = look.care.disease == "ms"
    one, other = ("relapses_last_12_months >= 1", "relapses_last_12_months >= 2") if ms else look.texts[2:]
    changes = {"ms.lam0": 5.0} if ms else {"als.a": 0.9}
    base = look(one)
    differ = [look(one, draws=point_draw(changes)), look(one, care={"before_entry": "none"}), look(other)]
    differ += [look(one, care={"era": 2.0})] if ms else [look(one, care={"entry_years": (1994.0, 1996.0)})]
    for found in differ:
        alike = len(found) == len(base) and (found.index == base.index).all()
        assert not alike or any((found.state[k] != base.state[k]).any() for k in base.state)
    assert len(list(empty_cache.glob("recruits/*.npz"))) == 5


def test_batches_add_up(look, monkeypatch, empty_cache):
    found = {}
    for size in (700, 1400):
        in_batches_of(monkeypatch, size)
        found[size] = look(look.rare[0], wanted=10**6, max_pool=1400)
    same(found[1400], found[700])


def test_it_stops_when_enough_are_found(look, small, empty_cache):
    seen = []
    few = look(look.easy, max_pool=6000, progress=lambda stage, x: seen.append((stage, x)))
    assert few.funnel[0][1] == 1500 * look.times
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
    assert len(np.unique(seen)) == len(seen), "a life is measured anew on each of its days"
    np.testing.assert_array_equal(delayed.screening["vep_p100_ms"], seen[seen > 112])
    nerve = "D_on"
    assert delayed.state[nerve].mean() > 1.5 * anybody.state[nerve].mean()


def test_nobody_eligible_is_told_with_the_funnel(look, small, empty_cache):
    ms = look.care.disease == "ms"
    people = "12000 people with relapsing MS, in 8 recruiting periods each" if ms else "1500 people with ALS"
    with pytest.raises(InputError) as e:
        look("age_years >= 18", look.rare[1])
    message = str(e.value)
    assert message.startswith(f"nobody is eligible: {people}; ")
    assert message.endswith(f"0 pass {look.rare[1]}; widen the rule at which the numbers fall to 0")
    with pytest.raises(InputError, match="0 pass age_years >= 100"):
        look("age_years >= 100")


def test_what_cannot_be_recruited_is_refused(look, small, empty_cache):
    wrong, right = ("smps", "spms") if look.care.disease == "ms" else ("asl", "als")
    with pytest.raises(InputError, match=f"course '{wrong}' cannot be recruited; did you mean '{right}'"):
        look(care={"course": wrong})
    with pytest.raises(InputError, match="disease 'msa' cannot be recruited"):
        look(care={"disease": "msa"})


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


def test_wanted_is_spread_over_draws_but_no_draw_has_too_few():
    assert wanted_recruits(110, 10) == 275
    assert wanted_recruits(110, 400) == 110
    assert wanted_recruits(942, 400) == 250
    assert wanted_recruits(7, 3) == 59
    with pytest.raises(InputError, match="over 0 draws; use 1 or more"):
        wanted_recruits(10, 0)


def test_batches_grow_by_half_and_follow_each_other():
    first, size = (np.array(x) for x in zip(*room._batches(100_000), strict=True))
    assert (first[1:] == (first + size)[:-1]).all()
    assert (first[0], size[0], first[-1] + size[-1]) == (0, room.FIRST, 100_000)
    assert (size[size < room.BATCH][:-1] % room.LANES == 0).all()
    assert (size <= np.maximum(room.FIRST, first / 2)).all()
    assert size.max() == room.BATCH


def test_what_is_not_kept_is_the_same_and_leaves_nothing_on_the_disk(look, small, empty_cache):
    found = look(keep=False)
    assert not list(empty_cache.glob("recruits/*"))
    same(found, look())
    assert list(empty_cache.glob("recruits/*"))


def test_looks_refused_beforehand_would_have_been_refused_later(everything, small, empty_cache, monkeypatch):
    narrow = rules("30 <= age_years <= 40", "female == 1 or disease_duration_years <= 6", "onset_age_years < 33")
    care = [UNTREATED, dataclasses.replace(UNTREATED, course="ppms")]
    early = [recruit(everything, point_draw(), 0, c, narrow, 10, max_pool=1500, keep=False) for c in care]
    monkeypatch.setattr(type(narrow.rules[0]), "possible", lambda rule, low, high: np.ones(len(low["female"]), bool))
    late = [recruit(everything, point_draw(), 0, c, narrow, 10, max_pool=1500, keep=False) for c in care]
    for a, b in zip(early, late, strict=True):
        assert a.funnel[1][1] < b.funnel[1][1] == b.funnel[0][1]
        assert a.funnel[-1] == b.funnel[-1]
        same(a, dataclasses.replace(b, funnel=a.funnel))


def test_who_wants_more_goes_on_where_another_stopped(look, small, empty_cache, monkeypatch):
    screened = []
    batches(monkeypatch, screened.append)
    few, more = (look(look.easy, wanted=n, max_pool=4500) for n in (10, 10**6))
    assert screened == [0, 1500, 3000]
    assert (more.index[: len(few)] == few.index).all()
    assert (few.screened, more.screened) == (1500 * look.times, 4500 * look.times)


# -- people with ALS ---------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def found_als(everything_als):
    with pytest.MonkeyPatch.context() as m:
        in_batches_of(m, 4000)
        return recruit(everything_als, point_draw(), 0, ALS, Eligibility(RULES_OF_ALS), 10, max_pool=4000)


def test_recruits_with_als_meet_every_rule_and_breathe_by_themselves(found_als):
    for r in Eligibility(RULES_OF_ALS).rules:
        assert r.evaluate(found_als.screening).all()
    assert len(np.unique(found_als.index)) == len(found_als) > 300
    assert (found_als.state["alive"] == 1).all()
    assert (found_als.state["ventilated"] == 0).all()
    steps, people = zip(*found_als.funnel, strict=True)
    assert list(people) == sorted(people, reverse=True)
    assert (people[0], people[-1]) == (4000, len(found_als))
    assert set(RULES_OF_ALS) <= {s.removeprefix("pass ") for s in steps}
    assert (found_als.constants["age0"] == found_als.screening["age_years"]).all()


def test_a_recruit_with_als_replayed_alone_has_the_same_bits(everything_als, point, found_als):
    for k in (0, len(found_als) // 2, len(found_als) - 1):
        index, x = found_als.index[[k]].astype(np.uint64), found_als.screening
        constants, state = with_als(RUN_IN_SEED, index, point)
        month = 365.25 / 12
        diagnosed = int(constants["delay_months"][0] * month)
        day = diagnosed + int(constants["referral_months"][0] * month)
        assert day == round(x["symptom_months"][k] * month)
        kind = everything_als.dose("riluzole.take.riluzole")
        given = Schedule(np.array([0]), np.array([diagnosed]), np.array([kind]), amounts(1, 1.0))
        drug = given if x["riluzole"][k] else Schedule.empty()
        person = everything_als.population(0, index, constants, state)
        everything_als.advance(person, 0, day, point, RUN_IN_SEED, schedule=drug)
        for j, s in enumerate(everything_als.states):
            assert person.state[j, 0] == found_als.state[s][k], s
        for c in set(constants) - {"age0"}:
            assert constants[c][0] == found_als.constants[c][k] or c == "riluzole", c


def test_riluzole_is_in_the_body_of_those_who_take_it(found_als, everything_als, small):
    takes = found_als.screening["riluzole"] > 0
    assert 0.3 < takes.mean() < 1
    np.testing.assert_array_equal(found_als.state["riluzole.riluzole"] > 0, takes)
    assert (found_als.state["riluzole.riluzole_to"][takes] == 1).all()
    without = recruit(
        everything_als, point_draw(), 0, dataclasses.replace(ALS, before_entry="none"), Eligibility(RULES_OF_ALS), 10,
        max_pool=room.BATCH,
    )  # fmt: skip
    assert not (without.state["riluzole.riluzole"] > 0).any()
    assert not without.screening["riluzole"].any()


def test_signs_are_lost_motor_neurons_and_come_before_lost_function(found_als, point):
    x, state = found_als.screening, found_als.state
    left = np.stack([state[f"N_{r}"] ** 2 for r in REGIONS])
    np.testing.assert_array_equal(x["regions_with_signs"], (left < point["cohort.als.signs_below"]).sum(0))
    counts = [(x[f"regions_{how}"] >= 2).mean() for how in ("involved", "with_signs")]
    assert 0.1 < counts[0] < counts[1] <= 1
    for below in (0.7, 0.9):
        other = regions_with_signs({f"neurons_{r}": n for r, n in zip(REGIONS, left, strict=True)},
                                   {"cohort.als.signs_below": below})  # fmt: skip
        assert ((other - x["regions_with_signs"]) * (below - point["cohort.als.signs_below"]) >= 0).all()


def test_bulbar_onset_is_known(found_als):
    np.testing.assert_array_equal(found_als.screening["bulbar_onset"], found_als.constants["onset_region"] == 0)


def test_slopes_of_the_run_in_are_exact(found_als):
    """Of whole points on whole days: the same in any company, and none where the score rose as much as it fell."""
    slope = found_als.screening["alsfrs_r_slope_run_in"]
    day, month = -np.array([84.0, 56.0, 28.0, 0.0]), 365.25 / 12
    steps = slope * ((day - day.mean()) ** 2).sum() / 14 / month
    seen = steps[np.isfinite(steps)]
    assert len(seen) > 300
    np.testing.assert_allclose(seen, np.rint(seen), rtol=0, atol=1e-9)
    assert (slope[np.rint(steps) == 0] == 0).all()
    assert (np.rint(seen) == 0).any()


def test_held_batches_are_computed_once_and_the_oldest_are_let_go():
    computed: list[str] = []

    def ask(held, key):
        def compute():
            computed.append(key)
            return {"x": np.full(100, ord(key))}  # 800 bytes

        return held.get(key, compute)["x"][0]

    held = Held(1700)  # two of them
    assert [ask(held, k) for k in "abaca"] == [ord(k) for k in "abaca"]
    assert computed == ["a", "b", "c"], "b was asked for longest ago"
    ask(held, "b")
    assert computed == ["a", "b", "c", "b"]
    tiny = Held(10)
    assert ask(tiny, "d") == ask(tiny, "d") == ord("d"), "one that does not fit is given and not kept"


def test_held_batches_serve_every_later_look_with_the_same_bits(look, small, monkeypatch):
    computed: list[int] = []
    batches(monkeypatch, computed.append)
    held = Held()
    first = look(look.easy, keep=False, held=held)
    more = look(look.easy, wanted=len(first) + 1, max_pool=3000, keep=False, held=held)
    assert computed == [0, 1500], "the first batch was there"
    alone = look(look.easy, wanted=len(first) + 1, max_pool=3000, keep=False)
    assert computed == [0, 1500, 0, 1500]
    assert (more.index == alone.index).all()
    assert all((more.state[s] == alone.state[s]).all() for s in alone.state)
    look(keep=False, held=held)
    assert len(computed) == 5, "other rules, other people"
