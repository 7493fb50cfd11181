"""Table 1: which lines there are, what they summarise, what was published beside them."""

from __future__ import annotations

import numpy as np
import pytest

from stemtrial.evidence import Baseline, studies, study
from stemtrial.predict.estimate import Analysed
from stemtrial.predict.table_one import LINES, baseline_values, field_of, lines_of, published_line, table_one
from stemtrial.trial.conduct import conduct

MIST = study("burt2019_mist")


@pytest.fixture(scope="module")
def tables(mist, recruits, everything, point):
    return conduct(mist, recruits, everything, point, 3, replicates=range(5), threads=2).tables


@pytest.fixture(scope="module")
def seen(tables, mist):
    return baseline_values(Analysed(tables, mist), mist)


def test_lines_read_fields_that_exist():
    fields = {f for line in LINES.values() for f in line.published}
    assert fields <= set(Baseline.model_fields)


NO_LINE = {"alsfrs_mean", "alsfrs_sd", "snip_mean", "diagnostic_delay_months_median"}
"""The scale before its revision, and what no instrument of a trial here measures."""


@pytest.mark.parametrize("family", ["ms", "als"])
def test_every_published_baseline_has_a_line(family):
    """A field that no line shows would be dropped in silence."""
    told = {f for line in lines_of(family).values() for f in line.published}
    told |= {f.replace("_mean", "_sd") for f in told} | NO_LINE
    given = {
        k
        for s in studies().values()
        if s.family == family
        for a in s.arms
        if a.baseline
        for k, v in a.baseline.model_dump().items()
        if v is not None
    }
    assert given <= told


def test_years_are_months_where_the_line_is_in_months():
    years = Baseline(symptom_years_mean=1.5, symptom_years_sd=0.5)
    both = Baseline(symptom_years_mean=1.5, symptom_months_mean=19.0)
    line = LINES["symptom_months"]
    assert field_of(years, line) == 18.0
    assert field_of(both, line) == 19.0
    study19 = study("edaravone2017_study19")
    shown = published_line(study19, "placebo", line)
    assert shown["value"] == pytest.approx(12 * study19.arm("placebo").baseline.symptom_years_mean)
    assert shown["sd"] == pytest.approx(12 * study19.arm("placebo").baseline.symptom_years_sd)


def test_a_disease_has_lines_of_its_own():
    ms, als = lines_of("ms"), lines_of("als")
    assert {"edss", "disease_duration_years"} <= ms.keys()
    assert "symptom_months" not in ms
    assert {"age_years", "female", "symptom_months", "svc_pct"} <= als.keys()
    assert "disease_duration_years" not in als


def test_summaries_by_hand(tables, seen, mist):
    p, a = tables["patients"], Analysed(tables, mist)
    for k in range(5):
        mine = a.of("hsct")[k]
        edss, gd = a.square(p["edss"])[k][mine], a.square(p["gd_lesions"])[k][mine]
        assert seen["baseline|edss|hsct"][k] == pytest.approx(edss.mean())
        assert seen["spread|edss|hsct"][k] == pytest.approx(edss.std())
        assert seen["baseline|edss_median|hsct"][k] == np.median(edss)
        assert seen["baseline|gd_positive|hsct"][k] == pytest.approx(100 * (gd > 0).mean())
        assert seen["baseline|female|hsct"][k] == pytest.approx(100 * a.square(p["female"])[k][mine].mean())


def test_missing_measurements_are_left_out_and_absent_columns_have_no_line(tables, mist):
    marked = dict(tables["patients"]) | {"nfl_pg_ml": np.where(tables["patients"]["female"] == 1, 10.0, np.nan)}
    found = baseline_values(Analysed(tables | {"patients": marked}, mist), mist)
    np.testing.assert_allclose(found["baseline|nfl_pg_ml|dmt"], 10.0)
    assert not any("|sdmt|" in k for k in found)
    nobody = dict(tables["patients"]) | {"nfl_pg_ml": np.full(len(marked["female"]), np.nan)}
    empty = baseline_values(Analysed(tables | {"patients": nobody}, mist), mist)
    assert np.isnan(empty["baseline|nfl_pg_ml|dmt"]).all()
    assert not any(r["variable"] == "nfl_pg_ml" for r in table_one(mist, MIST, empty))


def test_rows_stand_beside_the_published_and_carry_no_verdict(seen, mist):
    rows = {(r["variable"], r["arm"]): r for r in table_one(mist, MIST, seen)}
    assert rows["edss", "hsct"]["published"]["value"] == 3.38
    assert rows["edss", "hsct"]["published"]["verification"] == "secondary"
    r = rows["edss", "dmt"]
    assert r["pi90"][0] <= r["median"] <= r["pi90"][1]
    assert all("agrees" not in r for r in rows.values())
    assert {r["published"] for r in table_one(mist, None, seen)} == {None}


def test_fractions_become_per_cent_and_outcomes_at_time_zero_count():
    b = Baseline(female_fraction=0.7, age_mean=36.0)
    assert field_of(b, LINES["female"]) == pytest.approx(70.0)
    assert field_of(b, LINES["age_years"]) == 36.0
    assert field_of(b, LINES["edss"]) is None
    assert field_of(None, LINES["edss"]) is None
    asclepios = study("hauser2020_asclepios")
    assert published_line(asclepios, "ofa", LINES["gd_positive"])["value"] == pytest.approx(40.7)
    assert published_line(asclepios, "ofa", LINES["gd_lesions"])["value"] == 1.7
    assert published_line(asclepios, "nobody", LINES["age_years"]) is None


def test_a_sealed_study_publishes_nothing():
    sealed = study("kapoor2018_ascend")
    assert published_line(sealed, "placebo", LINES["nine_hole_peg_median"]) is None
