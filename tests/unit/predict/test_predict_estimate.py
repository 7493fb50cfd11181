"""Estimates of a protocol: which there are, which outcome each predicts, in which unit; and their values by hand."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from stemtrial.endpoint import definitions, derive
from stemtrial.errors import InputError
from stemtrial.evidence import Outcome, study
from stemtrial.evidence.schema import Statistic
from stemtrial.predict.curves import curves, km_times
from stemtrial.predict.estimate import STATISTICS, Analysed, estimate, rows_of
from stemtrial.predict.obstacles import estimators_of
from stemtrial.predict.run import _gather, plan_of, scaled
from stemtrial.trial.conduct import conduct
from stemtrial.trial.entry import planned_days
from stemtrial.trial.parts import _AT_TIMES, EndpointUse, Estimator
from stemtrial.trial.protocol import load_protocol
from stemtrial.trial.recruiting import care_of

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


def test_contrasts_are_treated_over_control(values):
    assert np.nanmedian(values["relapse_rate|rate_ratio|hsct - dmt|"]) < 0.6, "transplanted patients relapse less"


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


# -- every estimator -------------------------------------------------------------------------------------------------
def asked(protocol, uses, study=None):
    """Rows of a protocol with these endpoints only."""
    free = [
        EndpointUse.model_construct(id=i, estimator=e, at_years=at, predicts=tuple(predicts))
        for i, e, at, *predicts in uses
    ]
    endpoints = protocol.endpoints.model_copy(update={"primary": free[0], "secondary": tuple(free[1:])})
    return rows_of(protocol.model_copy(update={"endpoints": endpoints}), study)


def numbers_of(protocol, tables, *uses):
    rows = asked(protocol, uses)
    return {r.key: x for r, x in zip(rows, estimate(rows, Analysed(tables, protocol)), strict=True)}


def test_every_estimator_has_a_statistic_and_fits_some_endpoint():
    assert (
        set(STATISTICS)
        == set(get_args(Estimator))
        == {e for d in definitions().values() for e in estimators_of(d)} | {"rate"}
    )
    assert set(STATISTICS.values()) - {"p_value", "dispersion"} <= set(get_args(Statistic))


ELSEWHERE = ("geometric", "random_slope", "joint_slope", "cafs")  # MIST has no marker, and no scale of ALS


@pytest.mark.parametrize("estimator", [e for e in STATISTICS if not e.startswith(ELSEWHERE)])
def test_estimators_that_fit_give_numbers(estimator, mist, tables):
    """Each pair of endpoint and estimator that is let through is computed, under a key of its own."""
    at = (1.0, 2.0) if estimator in _AT_TIMES else ()
    known = {k: d for k, d in definitions().items() if computable(d, tables)}
    uses = [(k, estimator, at) for k, d in known.items() if estimator in estimators_of(d)]
    found = numbers_of(mist, tables, *uses)
    assert {k.split("|")[0] for k in found} == {u[0] for u in uses}
    assert any(np.isfinite(x).any() for x in found.values())


def computable(definition, tables):
    """Whether the tables of MIST hold what an endpoint reads; other trials measure more."""
    column, table = getattr(definition, "column", None), getattr(definition, "table", "mri")
    if column is None:
        return definition.id in {"relapse_rate", "relapse_free", "neda3", "overall_survival"} or (
            definition.id.startswith(("confirmed_worsening.", "treatment_related"))
        )
    asked = {"edss", "edss_change", "edss_worsened", "gd_lesions", "gd_lesions.all_scans", "new_t2_lesions"}
    asked |= {"t2_volume_change_pct", "brain_volume_change_pct.from_24_weeks"}
    return column in tables[table] and definition.id in asked


def test_shares_without_and_with_an_event_add_up(mist, tables):
    """Relapse-free is told as free of a relapse, worsening as with it; the complement tells the other."""
    for endpoint, free in (("relapse_free", True), ("confirmed_worsening.12_weeks", False)):
        found = numbers_of(
            mist,
            tables,
            *((endpoint, e, ()) for e in ("proportion", "complement")),
            *((endpoint, e, (2.0,)) for e in ("kaplan_meier", "kaplan_meier_complement")),
        )
        share, km = found[f"{endpoint}|proportion|dmt|"], found[f"{endpoint}|km_probability|dmt|2"]
        np.testing.assert_allclose(share + found[f"{endpoint}|complement|dmt|"], 1.0)
        np.testing.assert_allclose(km + found[f"{endpoint}|kaplan_meier_complement|dmt|2"], 1.0)
        data, a = derive(endpoint, tables, planned_days=planned_days(mist)), Analysed(tables, mist)
        happened = np.array([e[m].mean() for e, m in zip(a.square(data.event), a.of("dmt"), strict=True)])
        np.testing.assert_allclose(share, 1 - happened if free else happened)


def test_contrasts_of_shares_are_of_what_is_told(mist, tables):
    uses = [("relapse_free", e, ()) for e in ("proportion", "risk_difference", "risk_ratio", "odds_ratio")]
    found = numbers_of(mist, tables, *uses)
    p1, p0 = found["relapse_free|proportion|hsct|"], found["relapse_free|proportion|dmt|"]
    np.testing.assert_allclose(found["relapse_free|risk_difference|hsct - dmt|"], p1 - p0)
    np.testing.assert_allclose(found["relapse_free|risk_ratio|hsct - dmt|"], p1 / p0)
    inner = (p1 < 1) & (p0 < 1)
    odds = (p1[inner] / (1 - p1[inner])) / (p0[inner] / (1 - p0[inner]))
    np.testing.assert_allclose(found["relapse_free|odds_ratio|hsct - dmt|"][inner], odds)


def test_contrasts_of_means_and_rates(mist, tables):
    found = numbers_of(
        mist,
        tables,
        *(("gd_lesions", e, (1.0,)) for e in ("mean", "mean_ratio", "median")),
        *(("relapse_rate", e, (2.0,)) for e in ("mean", "rate_difference")),
        ("edss_change", "slope", (2.0,)),
        ("edss_change", "mean", (2.0,)),
        *(("gd_lesions", e, ()) for e in ("per_scan", "per_scan_ratio")),
        ("new_t2_lesions", "per_scan", (2.0,)),
    )
    m1, m0 = found["gd_lesions|mean|hsct|1"], found["gd_lesions|mean|dmt|1"]
    both = (m1 > 0) & (m0 > 0)
    np.testing.assert_allclose(found["gd_lesions|mean_ratio|hsct - dmt|1"][both], (m1 / np.maximum(m0, 1e-9))[both])
    np.testing.assert_allclose(found["edss_change|slope_per_year|dmt|2"], found["edss_change|mean_change|dmt|2"] / 2)
    counted = found["relapse_rate|mean|dmt|2"]
    a, r = Analysed(tables, mist), tables["relapses"]
    n = np.zeros(a.arm.size)
    np.add.at(n, r["replicate"][r["day"] <= 730] * a.arm.shape[1] + r["patient"][r["day"] <= 730], 1)
    by_hand = np.array([x[m].mean() for x, m in zip(a.square(n), a.of("dmt"), strict=True)])
    np.testing.assert_allclose(counted, by_hand, atol=0.2)  # censoring ends the count of a few
    assert np.median(found["relapse_rate|rate_difference|hsct - dmt|2"]) < 0


def test_lesions_a_scan_are_all_lesions_over_all_scans(mist, tables):
    found = numbers_of(mist, tables, ("gd_lesions", "per_scan", ()), ("new_t2_lesions", "per_scan", (2.0,)))
    m, a = tables["mri"], Analysed(tables, mist)
    for k in range(12):
        mine = np.isin(m["patient"], np.flatnonzero(a.of("dmt")[k])) & (m["replicate"] == k) & (m["visit"] > 0)
        assert found["gd_lesions|per_scan|dmt|"][k] == pytest.approx(m["gd_lesions"][mine].mean())
        early = mine & (m["day"] < 365 * 2 + 90)
        assert found["new_t2_lesions|per_scan|dmt|2"][k] == pytest.approx(m["new_t2_lesions"][early].mean())


def test_geometric_means_of_a_marker(mist, tables):
    """NfL as another trial would measure it: by hand, on logarithms."""
    rng = np.random.default_rng(5)
    visits = tables["visits"] | {"nfl_pg_ml": np.exp(rng.normal(2.5, 0.5, len(tables["visits"]["day"])))}
    marked = tables | {"visits": visits}
    found = numbers_of(mist, marked, *(("nfl", e, (1.0,)) for e in ("geometric_mean", "geometric_mean_ratio")))
    a, at_year = Analysed(marked, mist), visits["visit"] == list(mist.visits.months).index(12)
    for k in range(12):
        logs = {
            arm: np.log(visits["nfl_pg_ml"])[
                at_year & (visits["replicate"] == k) & np.isin(visits["patient"], np.flatnonzero(a.of(arm)[k]))
            ].mean()
            for arm in ("hsct", "dmt")
        }
        assert found["nfl|geometric_mean|dmt|1"][k] == pytest.approx(np.exp(logs["dmt"]))
        assert found["nfl|geometric_mean_ratio|hsct - dmt|1"][k] == pytest.approx(np.exp(logs["hsct"] - logs["dmt"]))


# -- ties --------------------------------------------------------------------------------------------------------------
def outcome(k, arm, endpoint, statistic, time_years=None, **more):
    return Outcome(
        outcome_id=f"s#{k}", role="test", arm=arm, endpoint=endpoint, statistic=statistic, time_years=time_years,
        verification="primary", **more,
    )  # fmt: skip


class Published:
    """A study, as far as ties read it."""

    def __init__(self, *outcomes):
        self.outcomes = outcomes


@pytest.mark.parametrize(
    ("use", "published", "statistic", "unit"),
    [
        (("t2_volume_change_pct", "median", (2.0,)), ("t2_volume_change_fraction", "median", 2.0),
         "median", "fraction"),
        (("t2_volume_change_pct", "mean", (2.0,)), ("t2_volume_change_pct", "mean", 2.0), "mean", "%"),
        (("brain_volume_change_pct", "slope", (2.0,)), ("brain_volume_change_pct", "slope_per_year", None),
         "slope_per_year", "%/y"),
        (("relapse_free", "median_time", ()), ("time_to_relapse_weeks", "median", None), "median", "weeks"),
        (("relapse_free", "complement", ()), ("patients_with_relapse", "proportion", 2.0), "proportion", "fraction"),
        (("confirmed_worsening.12_weeks", "kaplan_meier", (1.84,)), ("disability_progression", "proportion", 1.85),
         "proportion", "fraction"),
    ],
)  # fmt: skip
def test_a_row_takes_over_how_the_publication_tells_it(use, published, statistic, unit, mist):
    endpoint, told, at = published
    rows = asked(mist, [(*use, "s#1")], Published(outcome(1, "dmt", endpoint, told, at, value=0.5)))
    tied = [r for r in rows if r.outcome_id]
    assert [(r.arm, r.statistic, r.unit) for r in tied] == [("dmt", statistic, unit)]


def test_units_are_converted_with_their_names(mist, tables):
    pub = Published(outcome(1, "dmt", "t2_volume_change_fraction", "median", 2.0, value=0.1))
    percent = asked(mist, [("t2_volume_change_pct", "median", (2.0,))])
    fraction = asked(mist, [("t2_volume_change_pct", "median", (2.0,), "s#1")], pub)
    a = Analysed(tables, mist)
    k = [r.outcome_id for r in fraction].index("s#1")
    np.testing.assert_allclose(estimate(fraction, a)[k], estimate(percent, a)[k] / 100)


def test_a_published_time_finds_the_nearest_estimate_and_no_far_one(mist):
    pub = Published(outcome(1, "dmt", "edss", "mean", 1.85, value=3.0), outcome(2, "hsct", "edss", "mean", value=3.0))
    rows = asked(mist, [("edss", "mean", (1.0, 1.84, 3.0), "s#1", "s#2")], pub)
    assert {(r.outcome_id, r.time_years) for r in rows if r.outcome_id} == {("s#1", 1.84), ("s#2", 3.0)}, (
        "an outcome without a time is that of the last"
    )
    assert not any(r.outcome_id == "s#1" for r in asked(mist, [("edss", "mean", (1.0, 2.0), "s#1")], pub))


# -- all arms together ------------------------------------------------------------------------------------------------
def pooled(protocol, *uses, study=None):
    """Rows of endpoints over all arms."""
    free = [EndpointUse(id=i, estimator=e, at_years=at, predicts=tuple(p), pooled=True) for i, e, at, *p in uses]
    endpoints = protocol.endpoints.model_copy(update={"primary": free[0], "secondary": tuple(free[1:])})
    return rows_of(protocol.model_copy(update={"endpoints": endpoints}), study)


def test_arms_taken_together_are_one_row_of_all_patients(mist, tables):
    a = Analysed(tables, mist)
    uses = [("edss_change", "mean", (1.0, 2.0)), ("relapse_free", "proportion", (2.0,)), ("relapse_rate", "rate", ())]
    rows = pooled(mist, *uses)
    assert [(r.arm, r.arms, r.time_years) for r in rows] == [
        ("all arms", ("hsct", "dmt"), t) for t in (1.0, 2.0, 2.0, None)
    ]
    assert rows[0].key == "edss_change|mean_change|all arms|1"
    together = estimate(rows, a)
    apart = numbers_of(mist, tables, *uses)
    n = {arm: a.of(arm).sum(1) for arm in mist.arms}
    share = sum(n[k] * apart[f"relapse_free|proportion|{k}|2"] for k in n) / sum(n.values())
    np.testing.assert_allclose(together[2], share)
    for row, x in zip(rows, together, strict=True):
        of_arms = [apart[row.key.replace("all arms", k)] for k in n]
        between = np.clip(x, np.min(of_arms, axis=0), np.max(of_arms, axis=0))
        np.testing.assert_allclose(x, between, err_msg=row.key)


def test_rates_of_all_arms_have_no_ratio(mist):
    rows = pooled(mist, ("relapse_rate", "negative_binomial", (2.0,)))
    assert [(r.arm, r.statistic) for r in rows] == [("all arms", "rate_per_year")]


def test_an_outcome_of_all_arms_is_tied_whatever_their_order_and_case(mist):
    both = outcome(1, ["DMT", "hsct"], "relapse_free", "count", 2.0, value=3.0)
    one = outcome(2, "dmt", "relapse_free", "count", 2.0, value=3.0)
    (row,) = pooled(mist, ("relapse_free", "proportion", (2.0,), "s#2", "s#1"), study=Published(both, one))
    assert (row.outcome_id, row.statistic, row.unit) == ("s#1", "count", "patients")
    by_arm = asked(mist, [("relapse_free", "proportion", (2.0,), "s#1")], Published(both))
    assert not any(r.outcome_id for r in by_arm)


def test_an_endpoint_stands_by_arm_and_over_all_arms(mist, tables):
    use = {"id": "relapse_free", "estimator": "proportion"}
    both = type(mist.endpoints).model_validate({"primary": use, "secondary": [use | {"pooled": True}]})
    rows = rows_of(mist.model_copy(update={"endpoints": both}), None)
    assert [r.arm for r in rows] == ["hsct", "dmt", "all arms"]
    found = estimate(rows, Analysed(tables, mist))
    assert len(np.unique(found[2])) > 1
    with pytest.raises(ValueError, match="stands twice"):
        type(mist.endpoints).model_validate({"primary": use | {"pooled": True}, "secondary": [use | {"pooled": True}]})


@pytest.mark.parametrize("estimator", ["cox", "odds_ratio", "random_slope_difference", "cafs_mean", "cafs_p_value"])
def test_what_compares_arms_cannot_take_them_together(estimator):
    with pytest.raises(ValueError, match="compares arms"):
        EndpointUse(id="cafs", estimator=estimator, pooled=True)


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
    plan = plan_of(replicates, draws, chunk)
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
