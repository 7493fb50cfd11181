"""A readout: the same trial as a run, every definition that it can answer, and the truth apart."""

from __future__ import annotations

import numpy as np
import pytest

from stemtrial.endpoint import find
from stemtrial.endpoint import readout as endpoint_readout
from stemtrial.endpoint.readout import times_of
from stemtrial.errors import InputError
from stemtrial.predict.estimate import Analysed, Row, estimate
from stemtrial.predict.readout import (
    REFERENCES,
    measuring_all,
    read_out,
    read_tables,
    reference_of,
    rows_of_readout,
    truth_kernel,
    unanswerable,
)
from stemtrial.predict.run import Settings
from stemtrial.report.readout import render_readout
from stemtrial.trial.conduct import conduct
from stemtrial.trial.entry import planned_days
from stemtrial.trial.parts import EndpointUse
from stemtrial.trial.protocol import load_protocol

REFERENCE = REFERENCES["ms"]

REPLICATES = 5
TIMES = times_of("ms")


@pytest.fixture(scope="module")
def tables(mist, recruits, point):
    """The trial with everything measured and the truth."""
    kernel = truth_kernel(mist)
    return conduct(measuring_all(mist), recruits, kernel, point, 1, replicates=range(REPLICATES), truth=True).tables


@pytest.fixture(scope="module")
def read(mist, tmp_path_factory):
    settings = Settings(replicates=REPLICATES, seed=1, threads=1, chunk=REPLICATES)
    return read_out(mist, settings, folder=tmp_path_factory.mktemp("read"))


def values_of(tables, protocol, ids, reference=REFERENCE):
    observed, truth = rows_of_readout(protocol, ids)
    rows = [*observed, *truth]
    values = read_tables(tables, protocol, ids, rows, reference)
    return {(r.endpoint, r.arm, r.statistic): values[:, k] for k, r in enumerate(rows)}


# -- the trial --------------------------------------------------------------------------------------------------------
def test_it_is_the_trial_that_a_run_conducts(mist, recruits, everything, point, tables):
    plain = conduct(mist, recruits, everything, point, 1, replicates=range(REPLICATES)).tables
    for name, table in plain.items():
        for column, values in table.items():
            np.testing.assert_array_equal(values, tables[name][column], err_msg=f"{name}.{column}")
    assert not any("true" in c or c.startswith("x_") for n, t in tables.items() if n != "truth_visits" for c in t)


def test_everything_that_a_definition_needs_is_measured(mist, tables):
    assert {"t25fw_s", "nine_hole_peg_s", "pyramidal_fs"} <= set(tables["visits"])
    values_of(tables, mist, [name for name in TIMES if unanswerable(find(name), mist) is None])


def test_events_probability_and_hazard_ratio_are_those_of_the_run(mist, tables):
    primary = mist.endpoints.primary.id
    got = values_of(tables, mist, [primary])
    a = Analysed(tables, mist)
    for arm, kept in mist.analysis_set.items():
        share = estimate([Row(primary, "proportion", arm, None, "proportion", "fraction", None)], a)[0]
        np.testing.assert_allclose(got[primary, arm, "count"], share * kept)
        assert (got[primary, arm, "at_risk"] <= kept).all()
        np.testing.assert_array_less(got[primary, arm, "count"] / kept, got[primary, arm, "km_probability"] + 1e-9)
    ratio = estimate([Row(primary, "cox", ("hsct", "dmt"), None, "hazard_ratio", "1", None)], a)[0]
    np.testing.assert_array_equal(got[primary, ("hsct", "dmt"), "hazard_ratio"], ratio)


def test_a_definition_agrees_with_itself(mist, tables):
    got = values_of(tables, mist, [REFERENCE, "confirmed_worsening.24_weeks"])
    assert (got[REFERENCE, "all", "kappa"] == 1).all()
    assert (got["confirmed_worsening.24_weeks", "all", "kappa"] < 1).any()
    # who is worse for 24 weeks was worse for 12
    assert (got["confirmed_worsening.24_weeks", "all", "count"] <= got[REFERENCE, "all", "count"]).all()


def test_pira_raw_and_undefined_add_up_to_worsening(mist, tables):
    """With a fixed reference there is one worsening a patient, and it has one class."""
    observed = {k: t for k, t in tables.items() if k != "truth_visits"}
    sums = {}
    for counts in ("any", "pira", "raw", "undefined"):
        ids = [find("pira.fixed", counts=counts)]
        sums[counts] = endpoint_readout(observed, planned_days(mist), ids)["events"]
    np.testing.assert_array_equal(sums["pira"] + sums["raw"] + sums["undefined"], sums["any"])
    assert sums["any"].sum() > sums["pira"].sum() > 0


# -- the truth --------------------------------------------------------------------------------------------------------
def test_noise_of_the_rater_costs_predictive_value(mist, tables):
    """With the truth in the place of the ratings, more of who has an event has truly changed."""
    ids = ["confirmed_worsening.24_weeks"]
    truth = tables["truth_visits"]
    clear = {**tables, "visits": {**tables["visits"], "edss": truth["edss_true"][truth["visit"] != 0]}}
    clear["patients"] = {**tables["patients"], "edss": truth["edss_true"][truth["visit"] == 0]}
    rated, known = (values_of(t, mist, ids)[ids[0], "all", "predictive_value"] for t in (tables, clear))
    assert np.nanmean(rated) < 0.8
    assert np.nanmean(known) > np.nanmean(rated) + 0.2


def test_what_cannot_be_judged_is_not_in_the_truth(mist):
    _, truth = rows_of_readout(mist, ["neda3", "relapse_free", "composite_worsening.12_weeks", REFERENCE])
    told = {(r.endpoint, r.statistic) for r in truth}
    assert {e for e, _ in told} == {"composite_worsening.12_weeks", REFERENCE}
    assert {e for e, s in told if s == "sensitivity"} == {REFERENCE}, "a timed walk has no noise-free EDSS"


def test_truth_stands_apart(read):
    assert {r["standing"] for r in read.observed} == {"observed"}
    assert {r["standing"] for r in read.truth} == {"truth"}
    told = {r["statistic"] for r in read.truth}
    assert told >= {"true_changes", "sensitivity", "predictive_value", "share_acute", "share_smouldering"}
    assert not told & {r["statistic"] for r in read.observed}


def test_shares_of_loss_are_parts_of_a_whole(mist, tables):
    got = values_of(tables, mist, ["confirmed_worsening.12_weeks"])
    shares = np.array([v for (_, arm, s), v in got.items() if s.startswith("share_") and arm == "all"])
    assert shares.shape == (3, REPLICATES)
    np.testing.assert_allclose(shares.sum(0), 1.0)


# -- the whole --------------------------------------------------------------------------------------------------------
def test_threads_and_chunks_change_nothing(mist, read, tmp_path):
    other = read_out(mist, Settings(replicates=REPLICATES, seed=1, threads=2, chunk=2), folder=tmp_path)
    assert other.run["digest"] == read.run["digest"]
    assert (other.observed, other.truth) == (read.observed, read.truth)


def test_rows(mist, read):
    names = list(dict.fromkeys(r["endpoint"] for r in read.observed))
    assert set(names) | {r["endpoint"] for r in read.left_out} == set(TIMES)
    control = [r["median"] for r in read.observed if r["statistic"] == "km_probability" and r["arm"] == mist.control]
    assert control == sorted(control, reverse=True)
    assert read.run["reference"] == mist.endpoints.primary.id
    for r in [*read.observed, *read.truth]:
        assert r["n_replicates"] == REPLICATES
        assert "point_parameters" in r["labels"]
        low, high = r["pi90"]
        if None not in (r["median"], low, high):
            assert low <= r["median"] <= high


def test_one_arm_has_no_contrast_and_no_sum(mist, tmp_path):
    primary = EndpointUse.model_validate({"id": mist.endpoints.primary.id, "estimator": "median_time"})
    alone = mist.model_copy(
        update={
            "arms": {"hsct": mist.arms["hsct"]}, "analysis_set": {}, "control": "hsct", "randomisation": None,
            "rules": (), "reproduces": None,
            "endpoints": mist.endpoints.model_copy(update={"primary": primary, "secondary": ()}),
        }
    )  # fmt: skip
    read = read_out(alone, Settings(replicates=2), folder=tmp_path)
    assert {str(r["arm"]) for r in [*read.observed, *read.truth]} == {"hsct"}
    assert "hazard_ratio" not in {r["statistic"] for r in read.observed}
    assert "Truth: what no trial sees" in render_readout(read.as_json())


def test_the_page_says_what_is_truth_and_loads_nothing(read):
    page = render_readout(read.as_json())
    assert page == render_readout(read.as_json())
    observed, truth = page.index('id="observed"'), page.index('id="held"')
    assert observed < truth
    between = page[observed:truth]
    assert "Sensitivity" not in between
    assert "Predictive value" not in between
    for r in read.observed:
        assert r["endpoint"] in between
    assert "<link" not in page
    assert 'src="http' not in page


# -- what a trial can answer ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("protocol", "endpoint", "why"),
    [
        ("oratorio", "spms_conversion", "progressive at entry"),
        ("expand", "spms_conversion", "progressive at entry"),
        ("rebuild", "pira.24_weeks", "before a change could be confirmed"),
        ("affirm", "spms_conversion", None),
        ("affirm", "relapse_free", None),
        ("mist", "neda4", None),
    ],
)
def test_what_a_trial_cannot_answer_is_left_out(protocol, endpoint, why):
    found = unanswerable(find(endpoint), load_protocol(protocol))
    assert (why in found) if why else (found is None)


def test_a_new_baseline_needs_its_visit(mist):
    d = find("confirmed_worsening.12_weeks.from_24_weeks")
    assert unanswerable(d, mist) is None
    yearly = mist.model_copy(update={"visits": mist.visits.model_copy(update={"months": (0, 12, 24)})})
    assert "new baseline" in unanswerable(d, yearly)
    assert "new baseline" in unanswerable(find("neda3.from_24_weeks"), yearly)


def test_activity_on_scans_needs_scans(mist):
    def scanned(*months):
        return mist.model_copy(update={"visits": mist.visits.model_copy(update={"mri_months": months})})

    assert "no scan" in unanswerable(find("neda3"), scanned(0))
    assert "2 scans in a row" in unanswerable(find("high_mri_activity_free"), scanned(0, 12))
    assert unanswerable(find("high_mri_activity_free"), scanned(0, 12, 24)) is None
    assert unanswerable(find("clinical_activity_free"), scanned(0)) is None


def test_reference(mist):
    assert reference_of(mist) == "confirmed_worsening.mist"
    assert reference_of(mist, "neda3") == "neda3"
    assert reference_of(load_protocol("prisms")) == REFERENCE, "its primary is a rate"
    for asked, says in (("pira.12weeks", "did you mean 'pira.12_weeks'"), ("relapse_rate", "is a rate")):
        with pytest.raises(InputError, match=says):
            reference_of(mist, asked)
    with pytest.raises(InputError, match="cannot be read out here: everybody is progressive"):
        reference_of(load_protocol("oratorio"), "spms_conversion")
