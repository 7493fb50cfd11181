"""Headlines by the record alone, z on the statistic's scale, coverage with each cohort counting once."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemtrial.evidence import Outcome, studies, study
from stemtrial.predict.estimate import Row
from stemtrial.predict.score import (
    LANES,
    coverage,
    coverages,
    declare,
    horizon_of,
    order,
    patients_of,
    verdict,
    verdicts,
    why_no_headline,
)
from stemtrial.predict.summary import z_of


def outcome(**changes):
    base = {
        "outcome_id": "s#1", "role": "fit", "arm": "a", "endpoint": "relapse_rate", "statistic": "rate_per_year",
        "time_years": 2.0, "value": 0.4, "verification": "primary", "n": 100,
    }  # fmt: skip
    return Outcome.model_validate(base | changes)


# -- what is no headline -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"role": "sealed", "value": None, "verification": None}, "sealed"),
        ({"value": None, "verification": None}, "no published number"),
        ({"verification": "recalled"}, "published value recalled, not verified"),
        ({"analysis": "post_hoc", "role": "context"}, "post hoc"),
        ({"analysis": "subgroup", "role": "context"}, "subgroup"),
        ({"analysis": "interim", "role": "context"}, "interim"),
        ({"analysis": "threshold_scan", "role": "context"}, "threshold scan"),
        ({"analysis": "exploratory", "role": "context"}, "exploratory"),
        ({"analysis": "primary"}, None),
        ({"time_years": 0.0}, "baseline"),
        ({"role": "context"}, "context"),
        ({"endpoint": "treatment_related_mortality", "statistic": "proportion", "value": 0.0, "n": 29},
         "no event in fewer than 30 patients"),
        ({"endpoint": "treatment_related_mortality", "statistic": "proportion", "value": 0.0, "n": 30}, None),
        ({"endpoint": "treatment_related_mortality", "statistic": "proportion", "value": 0.1, "n": 29}, None),
    ],
)  # fmt: skip
def test_what_is_no_headline(changes, reason):
    assert why_no_headline(outcome(**changes)) == reason


def test_enrolment_counts_are_no_outcome():
    counted = [o for s in studies().values() for o in s.outcomes if o.endpoint == "cohort_size" and o.value is not None]
    assert counted
    assert all(why_no_headline(o) is not None for o in counted)


def row(outcome_id, cohort, agrees=True, inside50=None, z=0.5, role="fit", family="relapse", term="t"):
    return {
        "study": outcome_id.partition("#")[0], "outcome_id": outcome_id, "cohort": cohort, "agrees": agrees,
        "inside90": agrees, "inside50": agrees if inside50 is None else inside50, "z": z, "role": role,
        "family": family, "term": term,
    }  # fmt: skip


def opera(*numbers):
    return [row(f"hauser2017_opera#{k}", "opera") for k in numbers]


def test_one_headline_a_family_arm_and_horizon():
    """OPERA: two hazard ratios of worsening at one time are one headline; those of each trial alone are others."""
    rows = opera(10, 7, 37, 38)
    declare(rows, studies())
    by = {r["outcome_id"].partition("#")[2]: r for r in rows}
    assert by["7"]["headline"], "the first of the record"
    assert not by["10"]["headline"]
    assert "is the headline" in by["10"]["why_not"]
    assert by["37"]["headline"]
    assert by["38"]["headline"]
    assert sum(r["weight"] for r in rows) == pytest.approx(1.0)
    assert by["10"]["weight"] == 0.0


def test_what_the_study_calls_primary_comes_first():
    carems = study("cohen2012_carems1")
    by = {o.outcome_id: o for o in carems.outcomes}
    primary = [o for o in carems.outcomes if o.analysis == "primary"]
    assert primary
    rows = [row(o.outcome_id, "c") for o in carems.outcomes if o.arms == primary[0].arms]
    declare(rows, {carems.id: carems})
    mine = [r for r in rows if r["headline"] and by[r["outcome_id"]].endpoint == primary[0].endpoint]
    assert [r["outcome_id"] for r in mine] == [primary[0].outcome_id]


def test_headlines_do_not_depend_on_the_order_of_rows_or_on_how_well_they_are_predicted():
    numbers = [o.outcome_id.partition("#")[2] for o in study("polman2006_affirm").outcomes]
    declared = []
    for agrees, step in ((True, 1), (False, -1)):
        rows = [row(f"polman2006_affirm#{k}", "affirm", agrees) for k in numbers[::step]]
        declare(rows, studies())
        declared.append({r["outcome_id"] for r in rows if r["headline"]})
    assert declared[0] == declared[1]
    assert len(declared[0]) > 5


def test_a_row_that_cannot_be_estimated_keeps_its_place_so_that_no_other_steps_in():
    rows = [row("hauser2017_opera#7", "opera", agrees=None), row("hauser2017_opera#10", "opera")]
    declare(rows, studies())
    assert rows[0]["why_not"] == "not estimable"
    assert not rows[1]["headline"]
    estimable = [row("hauser2017_opera#7", "opera"), row("hauser2017_opera#10", "opera")]
    declare(estimable, studies())
    assert [r["headline"] for r in estimable] == [True, False]


def test_what_a_parameter_repeats_is_no_headline():
    rows = [row("hauser2017_opera#35", "opera"), row("hauser2017_opera#36", "opera")]
    declare(rows, studies())
    assert not any(r["headline"] for r in rows)
    assert all("harms.serious_infection" in r["why_not"] for r in rows)


def test_horizons_are_half_years():
    assert horizon_of(outcome(time_years=1.85)) == horizon_of(outcome(time_years=2.0)) == 2.0
    assert horizon_of(outcome(time_years=1.0)) != horizon_of(outcome(time_years=1.5))
    assert horizon_of(outcome(time_years=None)) is None


# -- coverage ----------------------------------------------------------------------------------------------------------
def marked(rows):
    return [r | {"headline": True, "weight": 0.0} for r in rows]


def test_each_cohort_counts_once():
    """One trial with nine hits weighs no more than one with a single miss."""
    rows = marked([row(f"a#{k}", "a") for k in range(9)] + [row("b#1", "b", agrees=False)])
    c = coverage(rows)
    assert (c["cohorts"], c["outcomes"]) == (2, 10)
    assert c["inside90"] == pytest.approx(0.5)
    assert c["ci90_of_90"] == pytest.approx([0.0, 1.0])
    assert not c["judged"]


def test_coverage_of_nothing_and_of_one_cohort():
    assert coverage([]) == {
        "cohorts": 0, "outcomes": 0, "not_estimable": 0, "inside50": None, "ci90_of_50": None, "inside90": None,
        "ci90_of_90": None, "by_pit50": None, "ci90_by_pit50": None, "by_pit90": None, "ci90_by_pit90": None,
        "judged": False,
    }  # fmt: skip
    one = coverage(marked([row("a#1", "a", inside50=False)]))
    assert (one["inside90"], one["inside50"], one["ci90_of_90"]) == (1.0, 0.0, None)


def test_rows_that_are_no_headline_are_not_covered():
    rows = [*marked([row("a#1", "a")]), row("a#2", "a", agrees=False) | {"headline": False}]
    assert coverage(rows)["inside90"] == 1.0


def test_a_right_model_covers_as_often_as_it_says():
    """Forty cohorts of five outcomes whose intervals hold with their nominal chance."""
    rng = np.random.default_rng(1)
    held = []
    for _ in range(60):
        u = rng.random((40, 5))
        rows = marked(
            [
                row(f"s#{i}", str(c), agrees=bool(v < 0.9), inside50=bool(v < 0.5))
                for c, x in enumerate(u)
                for i, v in enumerate(x)
            ]
        )
        told = coverage(rows)
        low, high = told["ci90_of_90"]
        held.append(low <= 0.9 <= high)
        assert told["judged"]
    assert 0.75 <= np.mean(held) <= 1.0


def test_coverage_is_told_by_role_family_and_endpoint():
    rows = marked([row("a#1", "a", role="fit"), row("b#1", "b", agrees=False, role="test", family="mri", term="u")])
    told = coverages(rows)
    assert told["role"]["fit"]["inside90"] == 1.0
    assert told["role"]["test"]["inside90"] == 0.0
    assert set(told["family"]) == {"relapse", "mri"}
    assert set(told["term"]) == {"t", "u"}


def test_misses_stand_first_by_the_size_of_z():
    rows = marked([row("a#1", "a", True, z=0.1), row("a#2", "a", False, z=-3.0), row("a#3", "a", False, z=5.0)])
    rows += [row("a#4", "a", None, z=None) | {"headline": False}, row("a#5", "a", False, z=9.0) | {"headline": False}]
    assert [r["outcome_id"] for r in sorted(rows, key=order)] == ["a#3", "a#2", "a#1", "a#5", "a#4"]


# -- z -----------------------------------------------------------------------------------------------------------------
def z(value, x, statistic="rate_per_year"):
    made = Row("relapse_rate", "negative_binomial", "a", None, statistic, "1/y", "s#1")
    return z_of(outcome(value=value, statistic=statistic), made, np.asarray(x, float))


@given(st.lists(st.floats(0.1, 10), min_size=5, max_size=50, unique=True), st.floats(0.1, 10))
def test_z_is_the_distance_in_standard_deviations(x, value):
    assert z(value, x) == pytest.approx((value - np.mean(x)) / np.std(x, ddof=1))
    assert z(value, x, "hazard_ratio") == pytest.approx(
        (math.log(value) - np.mean(np.log(x))) / np.std(np.log(x), ddof=1), abs=1e-9
    )


def test_z_of_ratios_is_the_same_for_the_inverse():
    x = np.random.default_rng(2).lognormal(size=200)
    assert z(0.4, x, "rate_ratio") == pytest.approx(-z(1 / 0.4, 1 / x, "rate_ratio"))


def test_z_is_absent_where_it_would_say_nothing():
    assert z(0.4, [1.0] * 20) is None, "no spread"
    assert z(0.4, [np.inf] * 3 + [0.3, 0.5] * 10, "hazard_ratio") is None, "more than a tenth at a limit"
    assert z(0.4, [0.0] + [0.3, 0.5] * 10, "hazard_ratio") is not None
    recalled = outcome(verification="recalled")
    made = Row("relapse_rate", "rate", "a", None, "rate_per_year", "1/y", "s#1")
    assert z_of(recalled, made, np.array([0.1, 0.2, 0.3])) is None
    assert z_of(None, made, np.array([0.1, 0.2, 0.3])) is None


# -- the verdict -------------------------------------------------------------------------------------------------------
def scored(cohorts, own=1.0, other=2.0, calibrated=True, lane="MS drugs", role="test"):
    """Ten outcomes a cohort, as calibrated as can be: nine inside 90 %, five inside 50 %."""
    rows = []
    for c in range(cohorts):
        for k in range(10):
            made = row(f"s#{k}", f"{lane}{c}", agrees=not calibrated or k > 0, inside50=k > 4, role=role)
            rows.append(made | {"crps": own, "crps_meta": other, "crps_no_change": other, "lane": lane})
    rng = np.random.default_rng(3)
    for r in rows:
        r["pit"] = float(rng.random())
    return marked(rows)


def test_a_right_and_skilled_model_passes():
    told = verdict(scored(25))
    assert told["passed"] is True
    assert [r["met"] for r in told["rules"]] == [True] * 4
    assert told["ratios"]["crps_meta"]["ratio"] == pytest.approx(0.5)
    assert told["coverage"]["by_pit50"] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    ("rows", "met"),
    [
        (scored(25, calibrated=False), [False, True, True, True]),
        (scored(25, own=2.0, other=1.0), [True, True, False, False]),
        (scored(24), [None] * 4),
        ([], [None] * 4),
    ],
)
def test_each_rule_fails_by_itself(rows, met):
    told = verdict(rows)
    assert [r["met"] for r in told["rules"]] == met
    assert told["passed"] is (False if False in met else None)


def test_a_ratio_that_might_be_above_one_fails():
    """Half of the cohorts better, half worse by a little less: below 1, and its bound is not below 1.05."""
    rows = scored(26)
    for r in rows:
        r["crps_meta"] = 2.1 if int(r["cohort"].removeprefix("MS drugs")) % 2 else 0.5
    told = verdict(rows)
    assert told["ratios"]["crps_meta"]["ratio"] < 1
    assert [r["met"] for r in told["rules"]] == [True, True, False, True]


def test_naive_forecasts_that_are_missing_are_counted_and_few_cohorts_are_not_judged():
    rows = scored(25)
    for r in rows:
        if int(r["cohort"].removeprefix("MS drugs")) > 10:
            r["crps_no_change"] = None
    told = verdict(rows)
    assert told["ratios"]["crps_no_change"]["left_out"] == 140
    assert [r["met"] for r in told["rules"]] == [True, True, True, None]
    assert told["passed"] is None


def test_verdicts_are_told_by_lane_of_the_test_studies():
    rows = scored(15) + scored(14, lane="ALS") + scored(30, role="fit", own=9.0)
    told = verdicts(rows)
    assert told["all"]["coverage"]["cohorts"] == 29
    assert told["all"]["passed"]
    assert set(told["lane"]) == set(LANES)
    assert told["lane"]["MS drugs"]["passed"] is True
    assert told["lane"]["ALS"]["passed"] is None


def test_headlines_without_a_prediction_are_counted():
    rows = [row("hauser2017_opera#7", "opera", agrees=None), row("hauser2017_opera#37", "opera")]
    declare(rows, studies())
    told = coverage(rows)
    assert (told["outcomes"], told["not_estimable"]) == (1, 1)


def test_no_serious_event_in_a_small_arm_is_no_headline_though_only_the_arm_tells_its_size():
    s = study("petrou2020_brain")
    o = next(o for o in s.outcomes if o.outcome_id == "petrou2020_brain#9")
    assert (o.value, o.n) == (0, None)
    assert why_no_headline(o, s) == "no event in fewer than 30 patients"


def test_patients_of_an_outcome():
    s = study("burt2019_mist")
    by = {o.outcome_id: o for o in s.outcomes}
    assert patients_of(s, by["burt2019_mist#1"]) == 103
    assert patients_of(s, by["burt2019_mist#9"]) == sum(a.n_analysed or a.n for a in s.arms)
