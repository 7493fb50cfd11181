"""People at the onset of ALS, and their untreated lives."""

from __future__ import annotations

import numpy as np
import pytest

from stemtrial.cohort.als.natural import live
from stemtrial.cohort.als.population import SITES, era_mortality, people_at_onset, under_care_of
from stemtrial.disease.als import REGIONS
from stemtrial.errors import InputError
from stemtrial.parameters import point_draw

N = 20_000


@pytest.fixture(scope="module")
def drawn(point):
    return people_at_onset(1, np.arange(N, dtype=np.uint64), point)


def test_a_person_is_a_function_of_the_index(drawn, point):
    some = np.array([17, 3, 9999], dtype=np.uint64)
    for all_, few in zip(drawn, people_at_onset(1, some, point), strict=True):
        assert all_.keys() == few.keys()
        for k, x in few.items():
            np.testing.assert_array_equal(x, all_[k][some.astype(int)], err_msg=k)
    other = people_at_onset(2, some, point)[0]
    assert (other["rate"] != drawn[0]["rate"][some.astype(int)]).all()


def test_shares_are_those_of_the_parameters(drawn, point):
    constants, _ = drawn
    for k, r in enumerate(REGIONS):
        assert (constants["onset_region"] == k).mean() == pytest.approx(point[f"cohort.als.onset.{r}"], abs=0.012)
    np.testing.assert_array_equal(constants["bulbar_onset"], constants["onset_region"] == 0)
    for name in ("c9orf72", "sod1", "riluzole", "ventilation"):
        assert constants[name].mean() == pytest.approx(point[f"cohort.als.{name}"], abs=0.012), name
    assert not (constants["c9orf72"] * constants["sod1"]).any()
    assert len(SITES) == len(REGIONS)


def test_the_second_region_of_a_combined_onset_is_another_one(drawn, point):
    constants, state = drawn
    begun = np.stack([state[f"P_{r}"] == point["cohort.als.p_on"] for r in REGIONS])
    assert (begun.sum(0) == 2).mean() == pytest.approx(point["cohort.als.combined"], abs=0.01)
    assert (begun.sum(0) >= 1).all()
    assert begun.sum(0).max() == 2
    assert begun[constants["onset_region"].astype(int), np.arange(N)].all()
    second = begun & (np.arange(4)[:, None] != constants["onset_region"])
    assert not second[2].any(), "nobody falls ill with breathing as the second region"
    np.testing.assert_array_equal(begun, np.stack([state[f"N_{r}"] < 1 for r in REGIONS]))


def test_traits_have_mean_one_and_stay_in_range(drawn):
    constants, _ = drawn
    for name in ("frailty", *(f"{k}_{r}" for k in ("rho", "spread") for r in REGIONS)):
        assert constants[name].mean() == pytest.approx(1.0, abs=0.05), name
        assert constants[name].min() > 0
    assert constants["age0"].min() >= 20
    assert constants["age0"].max() <= 90
    items = np.stack([constants[f"item_{i}"] for i in range(1, 13)])
    assert np.abs(items.mean(1)).max() < 0.03
    assert np.abs(np.corrcoef(items) - np.eye(12)).max() < 0.04


def test_the_fast_are_diagnosed_sooner_and_the_old_are_faster(drawn):
    constants, _ = drawn
    log_rate = np.log(constants["rate"])
    assert np.corrcoef(log_rate, np.log(constants["delay_months"]))[0, 1] < -0.2
    assert np.corrcoef(log_rate, constants["age0"])[0, 1] > 0.05


def test_care_is_that_of_the_year(drawn, point):
    person, index = drawn[0], np.arange(N, dtype=np.uint64)
    niv, frailty = [], []
    for year in (1980.0, 1995.0, 2000.0, 2005.0, 2020.0):
        then = under_care_of(np.full(N, year), 1, index, person, point)
        niv.append(then["niv_offer"].sum() / person["niv_offer"].sum())
        frailty.append((then["frailty"] / person["frailty"])[0])
        assert (then["niv_offer"] <= person["niv_offer"]).all(), "whoever does not accept it now did not then"
    assert niv == pytest.approx([0, 0, 0.5, 1, 1], abs=0.02)
    most = point["cohort.als.mortality_1995"]
    assert frailty == pytest.approx([most, most, most**0.5, 1, 1])
    assert era_mortality(np.array([2005.0]), point) == 1


@pytest.fixture(scope="module")
def lives():
    return live(point_draw(), people=300, years=8, every_days=84, seed=4)


def test_untreated_lives_are_tables(lives):
    visits, who = lives["visits"], lives["disposition"]
    assert len(lives["patients"]["patient"]) == len(who["patient"]) == 300
    died = np.where(who["event"] == "died", who["day"], 10**9)
    assert (visits["day"] < died[visits["patient"]]).all()
    assert (lives["milestones"]["day"] <= died[lives["milestones"]["patient"]]).all()
    assert {"niv", "gastrostomy"} <= set(lives["milestones"]["event"])
    assert 0.5 < (who["event"] == "died").mean() < 1
    items = [c for c in visits if c in ("speech", "walking", "dyspnoea")]
    assert all(set(np.unique(visits[c])) <= {0, 1, 2, 3, 4} for c in items)
    domains = [visits[f"alsfrs_r_{d}"] for d in ("bulbar", "fine_motor", "gross_motor", "respiratory")]
    np.testing.assert_array_equal(visits["alsfrs_r"], sum(domains))
    first, last = (visits["alsfrs_r"][visits["visit"] == k].mean() for k in (0, 8))
    assert first > 45 > 40 > last


def test_one_more_person_changes_nobody(lives):
    more = live(point_draw(), people=301, years=8, every_days=84, seed=4)
    for table, columns in lives.items():
        mine = more[table]["patient"] < 300
        for name, x in columns.items():
            np.testing.assert_array_equal(x, more[table][name][mine], err_msg=f"{table} {name}")


@pytest.mark.parametrize(("field", "value"), [("people", 0), ("years", 81), ("every_days", 27)])
def test_numbers_out_of_range_are_refused(field, value):
    with pytest.raises(InputError, match=field):
        live(point_draw(), **{"people": 10, "years": 2, "every_days": 84, field: value})
