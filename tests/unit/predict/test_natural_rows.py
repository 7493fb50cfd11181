"""Natural history as predictions: effects of a cohort act as said, sizes are those on record, replicates repeat."""

from __future__ import annotations

import numpy as np
import pytest

from stemtrial.cohort.als.population import people_at_onset as people_with_als
from stemtrial.cohort.ms.population import people_at_onset as people_with_ms
from stemtrial.errors import InputError
from stemtrial.parameters import draws_with, point_draw, registry
from stemtrial.predict.natural_history import nature_of, quantities
from stemtrial.predict.natural_rows import (
    MOST_PEOPLE,
    SCALED,
    YEARS,
    asked_of,
    cohort_effects,
    horizons,
    natural_rows,
    natural_values,
    people_needed,
    people_of,
    shifted,
)

POINT = point_draw()[0]
WHO = np.arange(500, dtype=np.uint64)


def test_effects_of_a_cohort_are_factors_on_the_constants_of_people():
    kw = {"entry_year": np.full(500, 1990.0), "duration_years": np.zeros(500)}
    for onset in ("relapsing", "primary"):
        before, _ = people_with_ms(1, WHO, POINT, onset=onset, **kw)
        p = shifted("ms", POINT, {"activity": 0.3, "progression": -0.2})
        after, _ = people_with_ms(1, WHO, p, onset=onset, **kw)
        np.testing.assert_allclose(after["alpha"], before["alpha"] * np.exp(0.3))
        np.testing.assert_allclose(after["m"], before["m"] * np.exp(-0.2))
        same = set(before) - {"alpha", "m"}
        assert all((after[k] == before[k]).all() for k in same)
    before, _ = people_with_als(1, WHO, POINT)
    after, _ = people_with_als(1, WHO, shifted("als", POINT, {"pace": 0.3}))
    np.testing.assert_allclose(after["rate"], before["rate"] * np.exp(0.3))
    assert all((after[k] == before[k]).all() for k in set(before) - {"rate"})
    assert shifted("als", POINT, {"hazard": 0.5})["als.h0"] == pytest.approx(POINT["als.h0"] * np.exp(0.5))
    assert shifted("ms", POINT, {}) == POINT
    with pytest.raises(InputError, match="effect 'pase' of a cohort is not known; did you mean 'pace'"):
        shifted("als", POINT, {"pase": 1.0})


@pytest.mark.parametrize("disease", ["ms", "als"])
def test_effects_are_drawn_with_the_declared_spread_each_from_its_own_stream(disease):
    drawn = [cohort_effects(disease, POINT, seed) for seed in range(4000)]
    for name in SCALED[disease]:
        sd = registry()[f"trial.effect_sd.{disease}.{name}"].value
        x = np.array([d[name] for d in drawn])
        assert abs(x.mean()) < 4 * sd / np.sqrt(len(x))
        assert x.std() == pytest.approx(sd, rel=0.05)
    both = np.array([list(d.values()) for d in drawn])
    assert np.abs(np.corrcoef(both.T) - np.eye(both.shape[1])).max() < 0.07
    assert cohort_effects(disease, POINT, 7) == drawn[7]


def test_values_depend_on_seed_and_effects_alone():
    names = ["survival.all", "alive_3y.all"]
    once = natural_values("als", POINT, 3, names, 200)
    assert once == natural_values("als", POINT, 3, names, 200, threads=2)
    assert set(once) == set(names)
    assert once != natural_values("als", POINT, 4, names, 200)
    slow, fast = (natural_values("als", POINT, 3, names, 400, effects={"pace": x}) for x in (-0.5, 0.5))
    assert slow["survival.all"] > fast["survival.all"]
    assert natural_values("als", POINT, 3, names, 200, effects=cohort_effects("als", POINT, 3)) == once
    with pytest.raises(InputError, match=r"quantity 'survival\.al' is not known; did you mean 'survival\.all'"):
        natural_values("als", POINT, 3, ["survival.al"], 200)


def test_every_outcome_with_a_role_is_asked_once_like_for_like_where_there_is_a_choice():
    for disease in ("ms", "als"):
        asked = asked_of(disease)
        ids = [a.outcome.outcome_id for a in asked]
        assert len(ids) == len(set(ids))
        wanted = {i for q in quantities(disease).values() for i in q.published}
        assert set(ids) <= wanted
        assert all(a.outcome.role in ("fit", "test", "sealed") for a in asked)
        assert {a.outcome.outcome_id for a in asked_of(disease, every=True)} == wanted
    twice = next(a for a in asked_of("ms") if a.outcome.outcome_id == "renoux2007_pediatric#11")
    assert (twice.name, twice.tie.unlike) == ("edss_6.mixed", "")


def test_cohorts_have_the_size_on_record():
    asked = {a.outcome.outcome_id: a for a in asked_of("als")}
    nature, needed = nature_of("als"), people_needed(list(asked.values()))
    assert max(needed.values()) <= MOST_PEOPLE
    years = horizons(nature, [a.quantity for a in asked.values()])
    assert set(years.values()) == {YEARS["als"]}
    worlds = {
        s: nature.simulate(point_draw(), 0, s, people=1000, years=years[s], seed=1, threads=2, progress=None)
        for s in needed
    }
    bulbar = asked["italian_register_supp#8"]
    assert (bulbar.n, bulbar.part) == (61, True)
    mine, others = people_of(bulbar, worlds)
    assert others is None
    assert len(mine) == 61
    assert set(mine.site) == {"bulbar"}
    whole = asked["italian_register_supp#15"]  # three years alive, of a part whose size is not told
    assert (whole.n, whole.part) == (193, False)
    mine, _ = people_of(whole, worlds)
    everybody = next(iter(worlds.values()))
    share = len(whole.quantity.people.of(worlds)) / len(everybody)
    assert len(mine) == pytest.approx(193 * share, abs=1)


def test_people_who_are_compared_or_mixed_are_followed_equally():
    asked = [a.quantity for a in asked_of("ms")]
    years = horizons(nature_of("ms"), asked)
    for q in asked:
        assert len({years[s] for s in q.scenarios()}) == 1
        if "share" in q.find:
            assert all(years[s] > q.find["at"] for s in q.scenarios())


def test_rows_are_predictions_and_are_read_back(tmp_path):
    draws = draws_with(["als.h0"], [[0.003], [0.004]], label="synthetic")
    names = ["survival.all", "alive_3y.all"]
    kw = {"replicates": 6, "seed": 2, "folder": tmp_path, "names": names, "people": 300}
    run, rows, values = natural_rows("als", draws, **kw)
    assert values.shape == (len(rows), 6)
    assert np.isfinite(values).all()
    assert {r["interval"] for r in rows} == {"sampling+trial_effects+parameters"}
    assert (run["draws"], run["draws_label"]) == (2, "synthetic")
    for r, x in zip(rows, values, strict=True):
        assert r["median"] == pytest.approx(np.median(x))
        assert r["published"]["value"] is not None
        assert r["agrees"] is None or isinstance(r["agrees"], bool)
    told: list[float] = []
    again = natural_rows("als", draws, **kw, threads=2, progress=lambda stage, fraction: told.append(fraction))
    assert told == [1.0], "finished replicates are read back"
    np.testing.assert_array_equal(again[2], values)
    fewer = natural_rows("als", draws, **(kw | {"replicates": 3}))[2]
    np.testing.assert_array_equal(fewer, values[:, :3])
    other = natural_rows("als", draws, **(kw | {"seed": 3, "replicates": 1}))[2]
    assert (other[:, 0] != values[:, 0]).any()
