"""Natural history: estimators against closed forms, verdicts by hand, the mapping against the evidence."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from stemtrial.cohort.ms.natural import live
from stemtrial.endpoint import derive
from stemtrial.errors import InputError
from stemtrial.evidence import study
from stemtrial.parameters import point_draw
from stemtrial.predict import natural_estimators as estimate
from stemtrial.predict import natural_ms_estimators as ms
from stemtrial.predict.natural_estimators import STEP, Estimated
from stemtrial.predict.natural_history import NATURES, as_data, natural_history, quantities
from stemtrial.predict.natural_ms import MS, MsQuantity
from stemtrial.predict.natural_ms_lives import EVERY_DAYS, MsLives, summarise
from stemtrial.predict.natural_quantity import Tie, compare_quantity, found

RNG = np.random.default_rng(3)


@pytest.fixture(scope="module")
def history():
    return natural_history(people=250, years=20, onset="all", threads=2)


@pytest.fixture(scope="module")
def world(history):
    return history.worlds["relapsing", 1980.0]


def exact(n=40_000, rate=0.1, horizon=30.0):
    t = RNG.exponential(1 / rate, n)
    return np.minimum(np.ceil(t / STEP) * STEP, horizon), t <= horizon


# -- estimators -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("q", [0.25, 0.5, 0.75])
def test_quantile_of_an_exponential_time(q):
    time, event = exact()
    e = estimate.quantile(time, event, q)
    assert e.value == pytest.approx(-math.log(1 - q) / 0.1, abs=0.3)  # seen at the next visit, between visits read off
    assert e.low < e.value < e.high


def test_quantile_beyond_the_follow_up_is_infinite():
    time, event = exact(rate=0.001)
    assert estimate.quantile(time, event).value == math.inf
    assert np.isnan(estimate.quantile(time[:0], event[:0]).value)


def test_share_and_its_limits():
    time, event = exact()
    e = estimate.share(time, event, 10.0)
    assert e.low < 1 - math.exp(-1) < e.high + 0.02
    assert np.isnan(estimate.share(time, event, 40.0).value)


def test_rate_counts_people_as_the_units():
    exposure = np.full((5000, 4), 1.0)
    frailty = RNG.gamma(0.5, 2.0, 5000)
    e = estimate.rate(RNG.poisson(0.3 * frailty[:, None], exposure.shape), exposure)
    assert e.low < 0.3 < e.high
    assert e.high - e.low > 1.5 * 2 * 1.96 * math.sqrt(0.3 / 20_000)  # wider than Poisson: people differ


def test_hazard_ratio_per_unit_of_a_covariate_that_changes():
    n, years, beta = 30_000, 20, math.log(1.3)
    jumps = RNG.poisson(0.2, (n, years))
    x = np.cumsum(np.hstack([np.zeros((n, 1)), jumps]), axis=1)[:, :years]
    alive, time = np.ones(n, bool), np.full(n, float(years))
    for y in range(years):
        dying = alive & (RNG.random(n) < 1 - np.exp(-0.02 * np.exp(beta * x[:, y])))
        time[dying] = y + 1.0
        alive &= ~dying
    e = estimate.hazard_ratio_per(time, ~alive, x, 0, years)
    assert e.value == pytest.approx(1.3, abs=0.03)
    assert e.low < 1.3 < e.high


def some(world: MsLives, n: int, **changes) -> MsLives:
    return dataclasses.replace(world.take(np.arange(n) % len(world)), **changes)


def test_relapse_fall_finds_the_slope(world):
    n, years = 800, world.years
    mean = 0.5 * 0.8 ** ((np.arange(years) + 0.5) / 5)
    lives = some(world, n, relapses=RNG.poisson(np.tile(mean, (n, 1))).astype(float), exposure=np.ones((n, years)))
    e = ms.fall_per_5_years(lives, 0, years)
    assert e.value == pytest.approx(0.8, abs=0.03)
    assert e.low < 0.8 < e.high


def test_mortality_ratio_of_the_general_population_is_one(world):
    p = point_draw()[0]
    n, horizon = 20_000, world.years
    age = RNG.uniform(40, 60, n)
    a, b = p["ms.gompertz_a"], p["ms.gompertz_b"]
    female = RNG.random(n) < 0.5
    a = a * np.where(female, p["cohort.mortality.female"], p["cohort.mortality.male"])
    t = np.log(1 - b / a * np.log(RNG.random(n)) * np.exp(-b * age)) / b
    end, dead = np.minimum(t, horizon - 0.2), t < horizon - 0.2
    lives = some(world, n, onset_age=age, female=female, end_years=end, event=dict(some(world, n).event, death=dead))
    e = ms.mortality_ratio(lives, p)
    assert e.low < 1.0 < e.high
    assert e.value == pytest.approx(1.0, abs=0.08)


def test_slopes_and_transitions_of_a_straight_line(world):
    n, v = 10, world.edss.shape[1]
    edss = np.tile(np.arange(v) * STEP * 0.2, (n, 1))
    lives = some(world, n, edss=edss)
    assert ms.edss_slope(lives, 1, 10).value == pytest.approx(0.2)
    assert ms.transition(lives, 0.0, 0.1, 0.15, 0.35).value == 1.0
    volume = np.tile(np.arange(world.years + 1) * -0.4, (n, 1))
    assert ms.atrophy(some(world, n, brain_volume=volume), "any", 0, 10).value == pytest.approx(-0.4)


# -- reduction --------------------------------------------------------------------------------------------------------
def test_reduction_keeps_what_the_tables_say():
    tables = live(point_draw(), people=200, years=10, seed=8)
    lives = summarise(tables, 10)
    days = tables["disposition"]["day"]
    assert np.allclose(lives.end_years, days / 365.25)
    assert lives.relapses.sum() == len(tables["relapses"]["day"])
    assert lives.new_t2.sum() == tables["mri"]["new_t2_lesions"].sum()
    assert np.allclose(lives.exposure.sum(1), np.minimum(days / 365.25, 10))
    visits = tables["visits"]
    for i in range(200):  # milestones read a second time: the score holds for two visits
        rated = visits["edss"][visits["patient"] == i]
        up = (rated[1:-1] >= 4) & (rated[2:] >= 4)
        assert lives.event["edss_4"][i] == up.any()
        if up.any():
            assert lives.time["edss_4"][i] == pytest.approx((up.argmax() + 1) * EVERY_DAYS / 365.25)
    again = derive("spms_conversion", tables)
    assert np.array_equal(lives.event["spms"], again.event)
    quiet = [
        np.diff(np.concatenate([[0], tables["relapses"]["day"][tables["relapses"]["patient"] == i], [10**6]]))
        for i in range(200)
    ]
    never = np.array([q[0] > 10**5 for q in quiet])
    assert lives.free_for_5_years[never & (lives.time["spms"] > 5.01)].all()


# -- the mapping ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("disease", NATURES)
def test_every_published_outcome_exists_and_is_tied_to_one_quantity_of_its_kind(disease):
    for name, q in quantities(disease).items():
        for outcome_id in q.published:
            found_ids = {o.outcome_id: o for o in study(outcome_id.split("#")[0]).outcomes}
            assert outcome_id in found_ids, (name, outcome_id)
            value = found_ids[outcome_id].value
            assert q.unit != "share" or value is None or 0 <= value <= 1, (name, outcome_id)


def test_every_estimator_is_used_and_every_quantity_finds_something(history):
    used = {next(iter(q.find)) for d in NATURES for q in quantities(d).values()}
    assert used == {name for n in NATURES.values() for name in (*n.every_finder, *n.comparers)}
    nothing = {r["quantity"] for r in history.comparison if np.isnan(r["predicted"]["value"])}
    for name in nothing:  # only what lies beyond twenty years
        find = quantities()[name].find
        assert (
            find.get("at", 0) > 20 or find.get("between", [0, 0])[0] > 5 or name.startswith(("smr", "relapse_rate.at"))
        )


def test_sealed_values_are_not_shown(history):
    sealed = [p for r in history.comparison for p in r["published"] if p["role"] == "sealed"]
    assert sealed
    assert all(p["value"] is None and p["interval"] is None and p["not_scored"] for p in sealed)


def quantity(**published: str) -> MsQuantity:
    ties = {k.replace("__", "#"): Tie(unlike=v) for k, v in published.items()}
    return MsQuantity(theme="t", label="l", unit="y", find={"quantile": "edss_4"}, published=ties)


def test_verdicts():
    lyon = quantity(confavreux2006_lyon_age__1="")  # 44.3 (43.3 to 45.2)
    say = lambda q, *e: compare_quantity("x", q, Estimated(*e, 1000), 30)  # noqa: E731
    assert say(lyon, 44.0, 43.5, 44.5)["inside"] is True
    assert say(lyon, 43.0, 42.5, 43.31)["inside"] is True  # the Monte Carlo interval reaches the range
    assert say(lyon, 43.0, 42.5, 43.29)["inside"] is False
    assert say(lyon, np.inf, np.inf, np.inf)["inside"] is None  # 45 years lie beyond thirty
    assert say(lyon, np.nan, np.nan, np.nan)["inside"] is None
    unlike = quantity(confavreux2006_lyon_age__1="another kind of cohort")
    assert say(unlike, 44.0, 43.5, 44.5)["inside"] is None
    recalled = quantity(tremlett2006_bc__1="")
    assert "recalled" in say(recalled, 44.0, 43.5, 44.5)["why"]
    wide = quantity(confavreux2006_lyon_age__1="", tedeholm2015_gothenburg__2="")
    row = say(wide, 30.0, 29.0, 31.0)
    assert row["inside"] is True  # between two registries
    assert row["range"][0] < 26 < row["range"][1]
    assert row["range_fit"] == [43.3, 45.2]  # the other is held out


def test_a_value_without_interval_gets_what_its_people_leave_open():
    q = quantity(confavreux2000_lyon__1="")  # 11.4, 1562 people
    row = compare_quantity("x", q, Estimated(12.0, 11.0, 13.0, 1562 * 4), 30)
    assert row["range"] == pytest.approx([9.4, 13.4])
    share = MsQuantity(
        theme="t",
        label="l",
        unit="share",
        find={"share": "edss_6", "at": 7.3},
        published={"tremlett2005_bc_ppms#3": Tie()},
    )
    low, high = compare_quantity("x", share, Estimated(0.3, 0.29, 0.31, 9), 30)["range"]
    assert low < 0.25 < high
    assert high - low == pytest.approx(2 * 1.96 * math.sqrt(0.25 * 0.75 / 352), rel=0.05)


def test_misses_stand_first_and_the_same_seed_gives_the_same(history):
    order = [{False: 0, True: 1, None: 2}[r["inside"]] for r in history.comparison]
    assert order == sorted(order)
    again = natural_history(people=250, years=20, onset="primary", threads=1)
    a, b = history.worlds["primary", 1980.0], again.worlds["primary", 1980.0]
    assert np.array_equal(a.edss, b.edss, equal_nan=True)
    assert {r["theme"] for r in again.comparison} >= {"primary progressive"}


def test_mixed_onset_has_the_share_asked_for(history):
    q = MsQuantity(theme="t", label="l", unit="share", find={"share_true": "female"},
                 people={"onset": "mixed", "primary_share": 0.2})  # fmt: skip
    mixed = found(MS, q, history.worlds, history.parameters)
    parts = [history.worlds[k, 1980.0].female.mean() for k in ("relapsing", "primary")]
    assert mixed.value == pytest.approx(0.8 * parts[0] + 0.2 * parts[1], abs=0.03)


def test_plain_data_is_json_and_every_curve_is_whole(history):
    data = as_data(history, "a command")
    text = json.dumps({k: data[k] for k in ("settings", "comparison", "estimates", "pictures", "provenance")})
    assert "relapsing onset, women" in text
    for p in data["pictures"]:
        for c in p["curves"]:
            assert len({len(c[k]) for k in ("x", "y", "lo", "hi") if k in c}) == 1, p["id"]
            assert np.isfinite(c["y"]).all()
        assert all(0 <= q["curve"] < len(p["curves"]) for q in p["published"])
    lost = [r["value"] for r in data["estimates"] if r["measure"].startswith("life years lost")]
    assert max(lost) < 20
    assert min(lost) > -2


def test_unknown_onset():
    with pytest.raises(InputError, match="onset 'sudden' is not known"):
        natural_history(people=10, years=5, onset="sudden")
    with pytest.raises(InputError, match=r"onset 'bulbar' is not known"):
        natural_history(disease="als", people=10, years=5, onset="bulbar")
    with pytest.raises(InputError, match=r"disease 'pd' has no natural history"):
        natural_history(disease="pd", people=10, years=5)
