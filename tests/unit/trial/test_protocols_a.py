"""Protocols of published trials, first half: each against the record of the study that it reproduces."""

import itertools
import math

import numpy as np
import pytest

from stemtrial.endpoint import find
from stemtrial.evidence import study
from stemtrial.predict.estimate import Analysed, estimate, rows_of
from stemtrial.predict.obstacles import estimators_of, obstacles
from stemtrial.trial.entry import days_of
from stemtrial.trial.parts import EndpointUse
from stemtrial.trial.protocol import load_protocol
from stemtrial.trial.rules import HazardRule

# Name -> the study, and how many of its outcomes are predicted.
PROTOCOLS = {
    "affirm": ("polman2006_affirm", 33),
    "care-ms-1": ("cohen2012_carems1", 21),
    "confirm": ("fox2012_confirm", 12),
    "define": ("gold2012_define", 18),
    "eu-spms": ("euspms1998_ifnb1b", 5),
    "expand": ("kappos2018_expand", 15),
    "freedoms": ("kappos2010_freedoms", 20),
    "freedoms-2": ("calabresi2014_freedoms2", 11),
    "informs": ("lublin2016_informs", 10),
    "opera": ("hauser2017_opera", 10),
    "opera-1": ("hauser2017_opera", 12),
    "opera-2": ("hauser2017_opera", 12),
    "oratorio": ("montalban2017_oratorio", 13),
    "paradigms": ("chitnis2018_paradigms", 16),
    "prisms": ("prisms1998_prisms", 13),
    "rebuild": ("green2017_rebuild", 3),
    "temso": ("oconnor2011_temso", 18),
    "transforms": ("cohen2010_transforms", 15),
}
# Protocol -> (arms or all, completed, randomised, years): the numbers that the hazards of drop-out stand for.
COMPLETED = {
    "affirm": [(None, 856, 942, 120 * 7 / 365.25)],
    "care-ms-1": [("alem", 366, 376, 2), ("ifn", 178, 187, 2)],
    "confirm": [
        (a, done, of, 96 * 7 / 365.25) for a, done, of in (("bid", 284, 359), ("placebo", 278, 363), ("ga", 292, 350))
    ],
    "define": [(None, 952, 1234, 96 * 7 / 365.25)],
    "freedoms": [("f125", 332, 429, 2), ("f05", 369, 425, 2), ("placebo", 332, 418, 2)],
    "freedoms-2": [(None, 778, 1083, 2)],
    "opera": [("ocr", 726, 827, 1.84), ("ifn", 660, 829, 1.84)],
    "opera-1": [("ocr1", 366, 410, 1.84), ("ifn1", 340, 411, 1.84)],
    "opera-2": [("ocr2", 360, 417, 1.84), ("ifn2", 320, 418, 1.84)],
    "prisms": [(None, 533, 560, 2)],
    "temso": [("placebo", 259, 363, 2.07), ("t7", 274, 366, 2.07), ("t14", 263, 359, 2.07)],
    "transforms": [(None, 1153, 1292, 1)],
}


@pytest.fixture(scope="module", params=sorted(PROTOCOLS))
def protocol(request):
    return load_protocol(request.param)


def test_it_reproduces_its_study(protocol):
    assert protocol.reproduces == PROTOCOLS[protocol.protocol][0]
    assert study(protocol.reproduces).role != "sealed"


def test_nothing_stands_in_the_way_of_running_it(protocol):
    assert list(obstacles(protocol)) == []


def test_arms_are_those_of_the_record(protocol):
    record = study(protocol.reproduces)
    for name, arm in protocol.arms.items():
        published = record.arm(name)
        assert published is not None, name
        assert arm.n == published.n
        given = {e.therapy for e in arm.regimen if hasattr(e, "settings")}
        assert bool(given) == (published.therapy != "placebo")
    assert protocol.control in protocol.arms


def test_every_predicted_outcome_is_tied_to_an_estimate_of_its_arms_and_statistic(protocol):
    record = study(protocol.reproduces)
    outcomes = {o.outcome_id: o for o in record.outcomes}
    claimed = [o for use in protocol.endpoints.all for o in use.predicts]
    tied = {r.outcome_id: r for r in rows_of(protocol, record) if r.outcome_id}
    assert sorted(tied) == sorted(claimed)
    assert len(claimed) == PROTOCOLS[protocol.protocol][1]
    for outcome_id, row in tied.items():
        o = outcomes[outcome_id]
        if row.estimator == "crossover_difference":  # the publication names treatments, the protocol orders of them
            assert o.arms[0] == row.arm[0], outcome_id
            assert record.arm(o.arms[1]).therapy == "placebo", outcome_id
        else:
            assert o.arms == ((row.arm,) if isinstance(row.arm, str) else row.arm), outcome_id
        assert o.statistic == row.statistic, outcome_id
        assert o.analysis not in ("subgroup", "post_hoc"), outcome_id


def test_visits_are_regular_enough_to_confirm_worsening_and_reach_the_estimates(protocol):
    months = protocol.visits.months
    assert months[0] == 0
    assert all(a < b for a, b in itertools.pairwise(months))
    assert set(protocol.visits.mri_months) <= set(months)
    if protocol.protocol != "rebuild":
        assert max(b - a for a, b in itertools.pairwise(months)) <= 3.01
    times = [t for use in protocol.endpoints.all for t in use.at_years]
    assert all(protocol.visits.near(t) is not None for t in times)


def test_everybody_who_enters_can_be_followed_to_the_last_visit_of_a_trial_of_fixed_length(protocol):
    if protocol.protocol in ("oratorio", "expand", "eu-spms", "paradigms", "informs"):
        return  # they ended for all on one day
    end, closure = (12 * int(m[:4]) + int(m[5:]) for m in (protocol.accrual.end, protocol.accrual.closure))
    assert closure - end >= protocol.visits.months[-1] - 0.1


@pytest.mark.parametrize("name", sorted(COMPLETED))
def test_drop_out_leaves_as_many_as_completed(name):
    rules = [r for r in load_protocol(name).rules if isinstance(r, HazardRule)]
    assert len(rules) == len(COMPLETED[name])
    for rule, (arm, completed, randomised, years) in zip(rules, COMPLETED[name], strict=True):
        assert rule.arm == arm
        assert math.exp(-rule.per_year * years) == pytest.approx(completed / randomised, abs=0.005)


@pytest.mark.parametrize(
    ("name", "completed", "randomised", "median_years"),
    [("oratorio", 549, 732, 2.9), ("expand", 1327, 1645, 1.75), ("paradigms", 188, 215, 1.61)],
)
def test_follow_up_to_one_last_day_is_that_of_the_record(name, completed, randomised, median_years):
    protocol = load_protocol(name)
    (rule,) = protocol.rules
    length, closure, _ = days_of(protocol)
    planned = np.minimum(closure - np.linspace(0, length, 1001), protocol.follow_up_days) / 365.25
    assert np.exp(-rule.per_year * planned).mean() == pytest.approx(completed / randomised, abs=0.015)
    years = np.linspace(0.1, 4, 2000)[:, None]
    still_there = (np.exp(-rule.per_year * years) * (planned >= years)).mean(1)
    assert years[np.argmax(still_there < 0.5), 0] == pytest.approx(median_years, abs=0.06)


def test_the_crossover_of_rebuild_is_free_of_periods_and_people():
    """P100 = person + period - 3 ms on the drug: the contrast gives -3, the arms at month 3 alone do not."""
    protocol = load_protocol("rebuild")
    person, arm = np.array([110.0, 130.0, 119.0, 127.0]), np.array(["clem", "clem", "placebo_first", "placebo_first"])
    first = arm == "clem"
    month3, month5 = person + 5.0 - 3.0 * first, person - 2.0 - 3.0 * ~first
    who, zero = np.arange(4), np.zeros(4, int)
    tables = {
        "patients": {"replicate": zero, "patient": who, "arm": arm, "closure_day": zero + 152, "vep_p100_ms": person},
        "visits": {
            "replicate": np.zeros(8, int),
            "patient": np.repeat(who, 2),
            "day": np.tile([91, 152], 4),
            "visit": np.tile([2, 3], 4),
            "vep_p100_ms": np.column_stack([month3, month5]).ravel(),
        },
        "disposition": {c: np.zeros(0, int) for c in ("replicate", "patient", "day")} | {"event": np.zeros(0, "U24")},
    }
    rows = [r for r in rows_of(protocol, study("green2017_rebuild")) if r.endpoint == "vep_p100_change.from_3_months"]
    assert [r.outcome_id for r in rows] == ["green2017_rebuild#1"]
    np.testing.assert_allclose(estimate(rows, Analysed(tables, protocol)), [[-3.0]])


def test_a_crossover_has_two_arms():
    use = EndpointUse(id="brain_volume_change_pct.from_24_weeks", estimator="crossover_difference")
    protocol = load_protocol("temso")
    asked = protocol.endpoints.model_copy(update={"primary": use, "secondary": ()})
    found = list(obstacles(protocol.model_copy(update={"endpoints": asked})))
    assert found == [
        (("endpoints", "primary", "estimator"), "a crossover has 2 arms, the protocol 3; use mean_difference")
    ]


def test_a_sum_over_some_scans_is_no_rate():
    for name in ("gd_lesions.all_scans", "gd_lesions.from_12_weeks", "new_t2_lesions.from_52_weeks"):
        assert set(estimators_of(find(name))) == {"mean", "mean_difference", "mean_ratio", "median", "dispersion"}
    assert "negative_binomial" in estimators_of(find("new_t2_lesions"))
