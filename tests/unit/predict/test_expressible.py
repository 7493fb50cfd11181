"""Outcomes of sealed studies: nine in ten are predicted by a row, and the others say why not."""

from __future__ import annotations

import pytest
from validation.sealed_outcomes import sealed, share

from stemtrial.errors import InputError
from stemtrial.evidence import studies, study
from stemtrial.predict.expressible import UNDEFINED, UNMODELLED, protocols_of, standings, why_not
from stemtrial.predict.obstacles import estimators_of, obstacles
from stemtrial.predict.rows import rows_of
from stemtrial.trial.parts import EndpointUse
from stemtrial.trial.protocol import load_protocol


@pytest.fixture(scope="module")
def found():
    return sealed()


def test_nine_in_ten_sealed_outcomes_are_predicted(found):
    assert len(found) == 27
    predicted, outcomes = share(found)
    assert outcomes == 249
    assert predicted / outcomes >= 0.9
    predicted, outcomes = share(found, baselines=False)
    assert predicted / outcomes >= 0.9


def test_every_sealed_outcome_is_predicted_or_has_a_reason_of_its_own(found):
    for of in found.values():
        for s in of:
            assert s.predicted != bool(s.reason), s
            assert s.reason not in ("no protocol", "no endpoint of its protocol predicts it"), s


def test_protocols_of_sealed_studies_can_be_run(found):
    for name in found:
        assert protocols_of(name)
        for p in protocols_of(name):
            assert not list(obstacles(p)), p.protocol


def test_reasons_stand_for_something(found):
    told = {s.outcome.endpoint for of in found.values() for s in of if not s.predicted}
    assert set(UNMODELLED) <= told
    assert set(UNDEFINED) <= {s.outcome.outcome_id for of in found.values() for s in of if not s.predicted}


def test_why_not():
    told = {s.outcome.outcome_id: s.reason for s in standings("bonab2012_msc")}
    assert told["bonab2012_msc#1"] == "a baseline that is given to the model"
    o = study("burt2019_mist").outcomes[0]
    assert why_not(o, ()) == "no protocol"
    p = [load_protocol("mist")]
    assert why_not(o.model_copy(update={"statistic": "p_only"}), p) == "carries no number"
    assert why_not(o.model_copy(update={"statistic": "correlation"}), p) == "no estimator gives a correlation"
    assert why_not(o, p) == "no endpoint of its protocol predicts it"
    assert why_not(o.model_copy(update={"endpoint": "vep_latency_recovery", "statistic": "mean"}), p).startswith(
        "no endpoint"
    )
    assert all(s.predicted for s in standings("burt2019_mist"))


def test_every_study_can_be_asked():
    for s in studies().values():
        assert len(standings(s)) == len(s.outcomes)


def test_a_baseline_has_no_time_and_is_of_time_0():
    ascend = load_protocol("ascend")
    (row,) = (r for r in rows_of(ascend, study("kapoor2018_ascend")) if r.outcome_id == "kapoor2018_ascend#12")
    assert (row.time_years, row.statistic, row.unit, row.arm) == (0.0, "median", "s", "placebo")
    assert EndpointUse.model_validate({"id": "baseline.edss", "estimator": "mean"}).at_years == ()
    with pytest.raises(ValueError, match="read at baseline"):
        EndpointUse.model_validate({"id": "baseline.edss", "estimator": "mean", "at_years": [1]})


def test_a_dispersion_is_told_beside_the_mean_of_the_same_counts():
    evo = load_protocol("evobrutinib-ph2")
    rows = rows_of(evo, study("montalban2019_evobrutinib_ph2"))
    assert len({r.key for r in rows}) == len(rows)
    row = next(r for r in rows if r.estimator == "dispersion" and r.arm == "placebo")
    assert (row.outcome_id, row.statistic, row.unit) == ("montalban2019_evobrutinib_ph2#10", "mean", "1")


def test_people_of_all_courses_are_the_arms_together():
    rows = rows_of(load_protocol("campbell-2024"), study("campbell2024_msbase_transitions"))
    assert all(r.outcome_id for r in rows)
    assert all(r.pooled == ("rrms", "spms", "ppms") for r in rows)


def test_estimators_of_what_is_counted_at_baseline_are_no_rates():
    from stemtrial.endpoint import find

    assert "per_scan" not in estimators_of(find("baseline.gd_lesions"))
    assert "mean" in estimators_of(find("baseline.gd_lesions"))
    assert "dispersion" in estimators_of(find("gd_lesions.from_12_weeks"))


def test_unknown_study():
    with pytest.raises(InputError, match="did you mean 'burt2019_mist'"):
        standings("burt2019_mst")


def test_what_is_read_at_baseline_is_measured_then():
    from stemtrial.trial.examine import instruments_of

    ascend = load_protocol("ascend")
    uses = tuple(u for u in ascend.endpoints.secondary if u.id == "baseline.nine_hole_peg_s")
    alone = ascend.model_copy(
        update={"endpoints": ascend.endpoints.model_copy(update={"primary": uses[0], "secondary": ()})}
    )
    assert instruments_of(alone) == (("nine_hole_peg_s",), ())
