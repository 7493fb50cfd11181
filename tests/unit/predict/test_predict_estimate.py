"""Estimates of a protocol: which there are, which outcome each predicts, in which unit; and their values by hand."""

from __future__ import annotations

import numpy as np
import pytest

from stemtrial.errors import InputError
from stemtrial.evidence import study
from stemtrial.predict.curves import curves, km_times
from stemtrial.predict.estimate import Analysed, estimate, rows_of
from stemtrial.predict.run import _gather, _plan, care_of, scaled
from stemtrial.trial.conduct import conduct
from stemtrial.trial.protocol import load_protocol

MIST = study("burt2019_mist")


@pytest.fixture(scope="module")
def rows(mist):
    return rows_of(mist, MIST)


@pytest.fixture(scope="module")
def tables(mist, recruits, everything, point):
    return conduct(mist, recruits, everything, point, 3, replicates=range(12), threads=2).tables


@pytest.fixture(scope="module")
def values(mist, rows, tables):
    found = estimate(rows, Analysed(tables, mist))
    return {r.key: x for r, x in zip(rows, found, strict=True)}


# -- rows ------------------------------------------------------------------------------------------------------------
def test_every_outcome_of_mist_is_predicted_by_one_row(rows):
    tied = [r.outcome_id for r in rows if r.outcome_id]
    assert sorted(tied) == sorted(o.outcome_id for o in MIST.outcomes)
    assert len(tied) == 27


def test_a_row_predicts_an_outcome_of_its_arm_time_and_statistic(rows):
    outcomes = {o.outcome_id: o for o in MIST.outcomes}
    for r in rows:
        if r.outcome_id:
            o = outcomes[r.outcome_id]
            assert o.arms == (r.arm if isinstance(r.arm, tuple) else (r.arm,)), r
            assert o.statistic == r.statistic, r
            assert o.time_years in (None, r.time_years), r


def test_keys_are_unique(rows):
    assert len({r.key for r in rows}) == len(rows)


def test_without_a_study_nothing_is_tied_and_statistics_are_those_of_the_estimator(mist):
    plain = mist.model_copy(update={"reproduces": None, "endpoints": _untied(mist.endpoints)})
    found = rows_of(plain, None)
    assert all(r.outcome_id is None for r in found)
    worsened = {r.statistic for r in found if r.estimator == "proportion" and r.endpoint == "confirmed_worsening.mist"}
    assert worsened == {"proportion"}
    assert {r.unit for r in found if r.estimator == "median_time"} == {"years"}


def _untied(endpoints):
    free = [u.model_copy(update={"predicts": ()}) for u in endpoints.all]
    return endpoints.model_copy(update={"primary": free[0], "secondary": tuple(free[1:])})


def test_an_outcome_that_the_study_lacks_is_refused(mist):
    first = mist.endpoints.primary.model_copy(update={"predicts": ("burt2019_mist#99",)})
    wrong = mist.model_copy(update={"endpoints": mist.endpoints.model_copy(update={"primary": first})})
    with pytest.raises(InputError, match="'burt2019_mist#99', which the study does not have"):
        rows_of(wrong, MIST)


# -- values ----------------------------------------------------------------------------------------------------------
def test_a_count_is_the_proportion_times_the_analysed(mist, tables, values):
    plain = mist.model_copy(update={"reproduces": None, "endpoints": _untied(mist.endpoints)})
    free = rows_of(plain, None)
    share = {r.key: x for r, x in zip(free, estimate(free, Analysed(tables, plain)), strict=True)}
    for arm, n in mist.analysis_set.items():
        count = values[f"confirmed_worsening.mist|count|{arm}|"]
        np.testing.assert_allclose(count, np.round(count), atol=1e-9)
        np.testing.assert_allclose(count, n * share[f"confirmed_worsening.mist|proportion|{arm}|"])
    assert values["confirmed_worsening.mist|count|dmt|"].sum() > 0


def test_a_median_time_for_an_outcome_in_months_is_in_months(mist, tables, values):
    plain = mist.model_copy(update={"reproduces": None, "endpoints": _untied(mist.endpoints)})
    free = rows_of(plain, None)
    years = {r.key: x for r, x in zip(free, estimate(free, Analysed(tables, plain)), strict=True)}
    key = "confirmed_worsening.mist|median|dmt|"
    np.testing.assert_allclose(values[key], 12 * years[key])


def test_simple_means_by_hand(mist, tables, values):
    """Mean EDSS at a year: the visit of month 12 of everybody analysed who made it."""
    v, patients = tables["visits"], tables["patients"]
    number = list(mist.visits.months).index(12)
    a = Analysed(tables, mist)
    for arm in mist.arms:
        for k in range(12):
            kept = set(np.flatnonzero(a.of(arm)[k]))
            at_year = (v["visit"] == number) & (v["replicate"] == k)
            mine = [e for p, e in zip(v["patient"][at_year], v["edss"][at_year], strict=True) if p in kept]
            got = values[f"edss|mean|{arm}|1"][k]
            assert got == pytest.approx(np.mean(mine), abs=1e-12)
            start = patients["edss"][patients["replicate"] == k]
            change = [e - start[p] for p, e in zip(v["patient"][at_year], v["edss"][at_year], strict=True) if p in kept]
            assert values[f"edss_change|mean_change|{arm}|1"][k] == pytest.approx(np.mean(change), abs=1e-12)
    difference = values["edss_change|mean_change|hsct|1"] - values["edss_change|mean_change|dmt|1"]
    np.testing.assert_allclose(values["edss_change|difference|hsct - dmt|1"], difference, atol=1e-12)


def test_the_primary_hazard_ratio_favours_the_transplant(values):
    ratio = values["confirmed_worsening.mist|hazard_ratio|hsct - dmt|"]
    assert np.nanmedian(ratio) < 1


def test_a_replicate_is_estimated_alone_as_among_many(mist, rows, recruits, everything, point, tables, values):
    alone = conduct(mist, recruits, everything, point, 3, replicates=[5]).tables
    found = estimate(rows, Analysed(alone, mist))
    for r, x in zip(rows, found, strict=True):
        np.testing.assert_array_equal(x, values[r.key][5:6], err_msg=r.key)


def test_curves_are_shares_and_agree_with_the_estimates(mist, tables, values):
    seen = curves(Analysed(tables, mist), mist)
    at = km_times(mist)
    for name, x in seen.items():
        assert len(x) == 12, name
        if name.startswith("km|"):
            assert ((x >= 0) & (x <= 1) | np.isnan(x)).all(), name
            assert (seen[name.replace("km|", "risk|")][np.isnan(x)] == 0).all(), "unknown where nobody is left"
            endpoint, arm = name.split("|")[1:]
            for year in (1, 3):
                estimated = values[f"{endpoint}|km_probability|{arm}|{year}"]
                np.testing.assert_allclose(x[:, np.searchsorted(at, year)], estimated, err_msg=name)
        if name.startswith(("adverse|", "left|")):
            assert ((x >= 0) & (x <= 100)).all(), name


# -- size, care, chunks ----------------------------------------------------------------------------------------------
def test_scaling_keeps_proportions():
    p = load_protocol("mist")
    assert scaled(p, None) is p
    small = scaled(p, 22)
    assert {k: a.n for k, a in small.arms.items()} == {"hsct": 11, "dmt": 11}
    assert small.analysis_set == {"hsct": 10, "dmt": 10}
    assert {k: a.n for k, a in p.arms.items()} == {"hsct": 55, "dmt": 55}, "the protocol itself is left alone"
    big = scaled(p, 11_000)
    assert big.analysis_set == {"hsct": 5200, "dmt": 5100}
    assert small.identity() != p.identity()


def test_scaling_keeps_analysis_sets_within_their_arms():
    for n in range(2, 60):
        small = scaled(load_protocol("mist"), n)
        for k, a in small.arms.items():
            assert 1 <= small.analysis_set[k] <= a.n


def test_scaling_gives_the_number_asked_for():
    for n in range(2, 40):
        assert sum(a.n for a in scaled(load_protocol("mist"), n).arms.values()) == n


def test_too_few_patients_are_refused():
    with pytest.raises(InputError, match=r"--patients 1 is too few for 2 arms; give at least 2"):
        scaled(load_protocol("mist"), 1)


def test_care_follows_the_protocol():
    p = load_protocol("mist")
    care = care_of(p)
    assert (care.course, care.before_entry, care.era) == ("rrms", "platform_drugs", None), "era by year of entry"
    start, end = care.entry_years
    assert start == pytest.approx(2005 + 8 / 12, abs=0.01)
    assert end == pytest.approx(2016 + 7 / 12, abs=0.01)


def era(value):
    """MIST with its era written down."""
    p = load_protocol("mist")
    data = p.population.model_dump(exclude={"era"}, exclude_unset=True) | {"era": value}
    return p.model_copy(update={"population": type(p.population).model_validate(data)})


def test_an_era_that_is_written_down_holds_for_all_years():
    assert care_of(era(0.7)).era == 0.7
    assert care_of(era(1.0)).era == 1.0


def test_protocols_that_recruit_others_have_another_identity():
    written, left_out = era(1.0), load_protocol("mist")
    assert care_of(written) != care_of(left_out)
    assert written.identity() != left_out.identity()


@pytest.mark.parametrize(("replicates", "draws", "chunk"), [(10, 1, 3), (10, 3, 2), (2, 5, 50), (7, 7, 1), (1, 1, 1)])
def test_every_replicate_is_in_one_chunk_of_its_draw(replicates, draws, chunk):
    plan = _plan(replicates, draws, chunk)
    assert sorted(r for _, rs in plan for r in rs) == list(range(replicates))
    for draw, rs in plan:
        assert {r % draws for r in rs} == {draw}
        assert 1 <= len(rs) <= chunk
        assert rs == sorted(rs)


def test_a_term_that_a_chunk_never_saw_counts_as_nothing():
    parts = [
        {"replicate": np.array([0, 1]), "adverse|x|a": np.array([5.0, 0.0])},
        {"replicate": np.array([2]), "table.visits.day": np.array([3])},
    ]
    out = _gather(parts)
    assert out["adverse|x|a"].tolist() == [5.0, 0.0, 0.0]
    assert set(out) == {"replicate", "adverse|x|a"}
