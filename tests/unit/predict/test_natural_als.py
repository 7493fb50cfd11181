"""Natural history of ALS: the reduction against the tables, estimators by hand, whose lives, pictures."""

from __future__ import annotations

import json

import numpy as np
import pytest

from stemtrial.cohort.als.natural import live
from stemtrial.observe.alsfrs import ITEMS
from stemtrial.observe.staging import regions_involved
from stemtrial.parameters import point_draw
from stemtrial.predict.natural_als import EVERYBODY, AlsPeople, mean_time, share_from, slope_after, standardised
from stemtrial.predict.natural_als_lives import EVERY_DAYS, AlsLives, summarise
from stemtrial.predict.natural_history import as_data, natural_history

PEOPLE, YEARS = 400, 8


@pytest.fixture(scope="module")
def history():
    return natural_history(disease="als", people=PEOPLE, years=YEARS, threads=2)


@pytest.fixture(scope="module")
def tables():
    return live(point_draw(), people=150, years=YEARS, seed=4, every_days=EVERY_DAYS, threads=2)


def test_reduction_keeps_what_the_tables_say(tables):
    lives = summarise(tables)
    gone, visits = tables["disposition"], tables["visits"]
    assert lives.years == YEARS
    np.testing.assert_allclose(lives.end_years, gone["day"] / 365.25)
    assert np.array_equal(lives.event["death"], gone["event"] == "died")
    for kind in ("niv", "gastrostomy", "tracheostomy"):
        assert lives.event[kind].sum() == (tables["milestones"]["event"] == kind).sum()
    for i in range(150):
        mine = visits["patient"] == i
        np.testing.assert_allclose(lives.alsfrs[i][np.isfinite(lives.alsfrs[i])], visits["alsfrs_r"][mine])
        stage = visits["kings_stage"][mine]
        assert lives.event["kings_3"][i] == bool((stage >= 3).any())
        if lives.event["kings_3"][i]:
            day = visits["day"][mine][(stage >= 3).argmax()]
            assert lives.time["kings_3"][i] == pytest.approx(day / 365.25)
        regions = regions_involved({k: visits[k][mine] for k in ITEMS})
        assert lives.event["second_region"][i] == bool((regions >= 2).any())
    ends = ("death", "tracheostomy", "permanent_ventilation")
    failing = np.min([lives.time[k] for k in ends], axis=0)
    np.testing.assert_array_equal(lives.time["failure"], failing)
    assert lives.event["failure"].sum() >= lives.event["death"].sum()


def some(n: int = 6, **changes) -> AlsLives:
    """People who die after 1, 2, ... years, diagnosed halfway, with a score that falls by 6 points a year."""
    end = np.arange(1.0, n + 1)
    t = np.arange(round(n / AlsLives.step) + 2) * AlsLives.step
    score = np.where(t <= end[:, None], 48.0 - 6.0 * t, np.nan)
    whole, never = np.ones(n, bool), np.zeros(n, bool)
    fields = {
        "female": whole, "onset_age": np.full(n, 60.0), "end_years": end,
        "time": {"death": end, "diagnosis": end / 2, "kings_2": end * 0.4, "niv": end},
        "event": {"death": whole, "diagnosis": whole, "kings_2": whole, "niv": never},
        "site": np.array(["bulbar"] * n), "c9orf72": never, "sod1": never, "alsfrs": score, "svc": score, "nfl": score,
    }  # fmt: skip
    return AlsLives(**fields | changes)


def test_estimators_by_hand():
    lives = some()
    assert standardised(lives, "kings_2").value == pytest.approx(0.4)
    assert mean_time(lives, "kings_2").value == pytest.approx(0.4 * 3.5)
    assert mean_time(lives, "niv").people == 0
    assert share_from(lives, "diagnosis", "death", 1.0).value == pytest.approx(2 / 6), "half a year and one"
    assert slope_after(lives, "diagnosis", 1.0).value == pytest.approx(-6.0)
    assert np.isnan(slope_after(lives, "niv", 1.0).value)
    uneven = some(time=some().time | {"kings_2": np.arange(1.0, 7) * np.array([0.1, 0.2, 0.3, 0.5, 0.6, 0.7])})
    assert standardised(uneven, "kings_2").value == pytest.approx(0.4)
    reached = some(event=some().event | {"kings_2": np.array([True] * 3 + [False] * 3)})
    assert standardised(reached, "kings_2").people == 3, "of those who reached it"


def test_whose_lives():
    lives = some(site=np.array(["bulbar"] * 2 + ["upper_limb"] * 4), c9orf72=np.array([True] + [False] * 5))
    count = lambda **asked: len(AlsPeople(**asked).of({EVERYBODY: lives}))  # noqa: E731
    assert count() == 6
    assert count(site=("bulbar",)) == 2
    assert count(site=("bulbar", "upper_limb")) == 6
    assert count(c9orf72=True) == 1
    assert count(site=("upper_limb",), c9orf72=False) == 4
    assert count(onset_age=(0, 60)) == 0
    assert count(female=False) == 0


def test_the_comparison_finds_everything_and_keeps_roles_apart(history):
    rows = {r["quantity"]: r for r in history.comparison}
    assert all(np.isfinite(r["predicted"]["value"]) or name == "alive_10y.all" for name, r in rows.items())
    assert rows["survival.bulbar"]["predicted"]["value"] < rows["survival.limb"]["predicted"]["value"]
    held_out = rows["dead_1y_from_diagnosis"]
    assert held_out["range"] is not None
    assert held_out["range_fit"] is None, "a study of the role test sets nothing"
    recalled = rows["hazard.bulbar"]
    assert recalled["inside"] is None
    assert "recalled" in recalled["why"]


def test_plain_data_is_json_and_every_curve_is_whole(history):
    data = as_data(history, "a command")
    json.dumps(data)
    assert {"survival-site", "kings", "alsfrs"} <= {p["id"] for p in data["pictures"]}
    for p in data["pictures"]:
        for c in p["curves"]:
            assert len({len(c[k]) for k in ("x", "y", "lo", "hi") if k in c}) == 1, p["id"]
        assert all(0 <= q["curve"] < len(p["curves"]) for q in p["published"])
    site = next(p for p in data["pictures"] if p["id"] == "survival-site")
    assert [c["y"][0] for c in site["curves"]] == [1.0] * len(site["curves"])
    assert site["published"]
    assert set(data["groups"]) <= {r["who"] for r in data["estimates"]}
