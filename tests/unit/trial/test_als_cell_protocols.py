"""Protocols of cell therapies in ALS, each against the record of the study that it reproduces or the claims told."""

import math
from collections import Counter

import numpy as np
import pytest

from stemtrial.cohort.eligibility import parse_rule
from stemtrial.evidence import study
from stemtrial.evidence.schema import CONTEXT_ANALYSES
from stemtrial.predict.estimate import rows_of
from stemtrial.predict.obstacles import obstacles
from stemtrial.trial.protocol import load_protocol

# Name -> the study, and its outcomes that no estimate predicts: number -> why.
#   ambiguous: the sign is not sure.   any cause: counts illness that has no cause in the therapy.   baseline: Table 1
#   shows it.   conduct: who was treated, stayed or left.   number: none is published.   rule: no rule or definition
#   that a visit could follow.   split: patients by what happened to them.   subgroup: of some patients, found after
#   the fact.   unmeasured: no instrument or estimator gives it.
REPRODUCED = {
    "alsummit": (
        "alsummit2024_lenzumestrocel_p3",
        {1: "conduct", 2: "number", **dict.fromkeys(range(3, 11), "subgroup"), 11: "number", 12: "number"},
    ),
    "astrorx": ("gotkine2023_astrorx", {5: "rule", 6: "rule"}),
    "baloh-2022": ("baloh2022_cns10gdnf", {**dict.fromkeys(range(1, 6), "baseline"), 6: "number", 7: "unmeasured"}),
    "barczewska-2019": ("barczewska2019_wjmsc", {2: "any cause"}),
    "barczewska-2020": ("barczewska2020_wjmsc", {4: "unmeasured"}),
    "karussis-2010-als": ("karussis2010_msc_als", {1: "baseline", 2: "number"}),
    "mazzini-2015": ("mazzini2015_hnsc", {}),
    "mazzini-2019": ("mazzini2019_hnsc", {4: "rule"}),
    "nabavi-2019": ("nabavi2019_bmmsc", {2: "any cause"}),
    "nsi-566-phase1": ("glass2012_nsi566", {1: "conduct", 2: "rule"}),
    "nsi-566-phase2": (
        "glass2016_nsi566_p2",
        {1: "conduct", 3: "split", 4: "split", 6: "rule"},
    ),
    "nurown-phase2": ("berry2019_nurown_p2", dict.fromkeys((1, 2, 3), "number")),
    "nurown-phase3": ("cudkowicz2022_nurown_p3", dict.fromkeys(range(8, 44), "subgroup")),
    "oh-2018": ("oh2018_lenzumestrocel_p2", {14: "number"}),
    "petrou-2016": (
        "petrou2016_mscntf",
        {2: "ambiguous", 3: "unmeasured", 7: "unmeasured", 10: "ambiguous"},
    ),
    "petrou-2021-als": ("petrou2021_msc_repeat", dict.fromkeys((2, 3, 4, 5), "rule")),
    "shamsaei-2023": ("shamsaei2023_bmmsc", {}),
    "siwek-2020": ("siwek2020_bmmsc", {1: "conduct"}),
    "staff-2016": ("staff2016_adipose", {1: "unmeasured"}),
    "sykova-2017": ("sykova2017_msc", {2: "number"}),
    "treg-2018": ("thonhoff2018_treg", dict.fromkeys((1, 2, 3), "unmeasured")),
    "treg-2022": ("thonhoff2022_treg", {1: "conduct", 2: "conduct"}),
}
TOLD = "article-nsc-als"
BEGUN = ("alsfrs_r_18_weeks_ago", "svc_pct_18_weeks_ago")
BLIND = ["alsummit", "nurown-phase2", "nurown-phase3", "treg-2022"]
# Arms of a protocol that the record of its study names otherwise, or that another study holds.
ALSO = {
    "nsi-566-phase1": {"cervical": ("feldman2014_nsi566", "cervical")},
    "nsi-566-phase2": {a: ("glass2016_nsi566_p2", a.upper()) for a in "abcde"},
    "treg-2022": dict.fromkeys(("active", "placebo"), ("thonhoff2022_treg", "both")),
}
MEAN_OF_GROUPS = {"mazzini-2015", "mazzini-2019", "staff-2016"}


@pytest.fixture(scope="module", params=sorted([*REPRODUCED, TOLD]))
def protocol(request):
    return load_protocol(request.param)


@pytest.fixture(scope="module", params=sorted(REPRODUCED))
def reproduced(request):
    protocol = load_protocol(request.param)
    return protocol, study(protocol.reproduces)


def test_nothing_stands_in_the_way_of_running_it(protocol):
    assert list(obstacles(protocol)) == []
    assert protocol.disease == "als"


def test_arms_get_cells_their_sham_or_nothing_where_nobody_was_treated(protocol):
    for name, arm in protocol.arms.items():
        assert {e.therapy for e in arm.regimen} <= {"msc", "nsc", "astrocytes", "treg"}
        assert bool(arm.regimen) == (name not in ("proact",) and (protocol.protocol, name) != ("oh-2018", "control"))


def test_what_is_blind_was_published_as_blind(protocol):
    blind = protocol.protocol in BLIND
    assert (protocol.blinding.patient, protocol.blinding.rater) == (("blind",) * 2 if blind else ("open",) * 2)
    if protocol.reproduces is not None:
        assert ("blind" in (study(protocol.reproduces).blinding or "")) == blind


def test_placebo_goes_through_the_same_procedures_as_treatment(protocol):
    if protocol.protocol in BLIND:
        procedures = {str(sorted(_courses(arm))) for arm in protocol.arms.values()}
        assert len(procedures) == 1
        first = [e for e in protocol.arms[protocol.control].regimen if e.day == 0]
        assert all(e.sham for e in first)


def test_arms_are_those_of_the_record(reproduced):
    protocol, record = reproduced
    assert record.disease == "als"
    assert record.id == REPRODUCED[protocol.protocol][0]
    for name, arm in protocol.arms.items():
        of, called = ALSO.get(protocol.protocol, {}).get(name, (record.id, name))
        published = study(of).arm(called)
        assert published is not None, name
        if of == "thonhoff2022_treg":
            assert sum(a.n for a in protocol.arms.values()) == published.n
        elif published.n is not None:
            assert arm.n == published.n, name
        given = [e for e in arm.regimen if not e.sham]
        routes = {e.settings["route"] for e in given}
        if published.route is not None:
            assert all(r in published.route for r in routes), name


def test_doses_are_those_of_the_record(reproduced):
    protocol, record = reproduced
    for name, arm in protocol.arms.items():
        of, called = ALSO.get(protocol.protocol, {}).get(name, (record.id, name))
        dose = study(of).arm(called).dose
        if dose is None or protocol.protocol in MEAN_OF_GROUPS:
            continue
        for e in arm.regimen:
            if not e.sham and e.day == 0:
                assert ("dose_1e6_per_kg" in e.settings) == ("/kg" in dose.unit), name
                assert _dose(e) * 1e6 == pytest.approx(dose.value), name


def test_every_outcome_is_predicted_or_listed_with_the_reason(reproduced):
    protocol, record = reproduced
    tied = {r.outcome_id: r for r in rows_of(protocol, record) if r.outcome_id}
    claimed = {o for use in protocol.endpoints.all for o in use.predicts}
    assert set(tied) == claimed
    reasons = REPRODUCED[protocol.protocol][1]
    for k, o in enumerate(record.outcomes, 1):
        assert (o.outcome_id in claimed) != (k in reasons), o.outcome_id
        if o.outcome_id in claimed:
            assert o.statistic == tied[o.outcome_id].statistic, o.outcome_id
            assert record.sealed == (o.value is None), o.outcome_id
        elif reasons[k] == "number":
            assert o.value is None
        elif reasons[k] == "baseline":
            assert "baseline" in o.endpoint
        elif reasons[k] == "subgroup":
            assert o.analysis in CONTEXT_ANALYSES
    assert set(reasons) <= set(range(1, len(record.outcomes) + 1))


def test_outcomes_of_several_groups_are_of_all_their_patients(reproduced):
    protocol, record = reproduced
    several = {o.outcome_id: o.arms for o in record.outcomes if len(o.arms) > 1}
    for row in rows_of(protocol, record):
        if row.outcome_id in several and isinstance(row.arm, str):
            assert row.arm == "all arms"
            assert {a.upper() for a in row.arms} == {a.upper() for a in several[row.outcome_id]}, row.outcome_id


def test_a_run_in_begins_with_the_published_limits_and_ends_without_others():
    for name, limits in {"nurown-phase3": (25, 65), "alsummit": (31, 40)}.items():
        rules = [parse_rule(text) for text in load_protocol(name).population.eligibility]
        asked = {v for r in rules for v in r.variables}
        assert {"alsfrs_r_18_weeks_ago", "svc_pct_18_weeks_ago", "alsfrs_r_slope_run_in_18_weeks"} <= asked, name
        assert not {"alsfrs_r", "svc_pct", "fvc_pct"} & asked, name
        begun = {k: np.array([b - 0.5, b + 0.5]) for k, b in zip(BEGUN, limits, strict=True)}
        for rule in rules:
            if rule.variables <= set(BEGUN):
                assert rule.evaluate(begun).tolist() == [False, True], rule.text


def test_the_scale_of_forty_points_is_that_of_48_without_the_items_that_it_lacks():
    rules = [parse_rule(text) for text in load_protocol("nabavi-2019").population.eligibility]
    (rule,) = (r for r in rules if "orthopnoea" in r.variables)
    total, orthopnoea = (x.ravel().astype(float) for x in np.meshgrid(np.arange(20, 49), np.arange(5)))
    of_forty = total - orthopnoea - 4
    passed = rule.evaluate({"alsfrs_r": total, "orthopnoea": orthopnoea})
    assert passed.tolist() == (of_forty >= 24).tolist()


def test_sealed_results_are_not_known_to_a_protocol():
    sealed = [name for name, (of, _) in REPRODUCED.items() if study(of).role == "sealed"]
    assert sealed == ["nabavi-2019", "petrou-2021-als"]
    assert all(o.value is None for name in sealed for o in study(REPRODUCED[name][0]).outcomes)


def test_the_article_tells_its_claims_beside_what_was_published():
    protocol = load_protocol(TOLD)
    assert protocol.reproduces is None
    assert list(protocol.claims) == [f"c{n:03}" for n in range(31, 37)]
    assert {"glass2016_nsi566_p2", "goutman2018_nsi566_long"} <= set(protocol.beside)
    assert not any(use.predicts for use in protocol.endpoints.all)
    assert protocol.title.startswith("As told")


def test_drop_out_leaves_as_many_as_were_seen():
    protocol, record = load_protocol("oh-2018"), study("oh2018_lenzumestrocel_p2")
    for rule, outcome in zip(protocol.rules, (record.outcomes[3], record.outcomes[4]), strict=True):
        assert (rule.arm,) == outcome.arms
        left = math.exp(-rule.per_year * 0.5) * protocol.arms[rule.arm].n
        assert left == pytest.approx(outcome.n, abs=0.1)


def test_groups_of_a_protocol_add_up_to_the_randomised():
    planned = study("alsummit2024_lenzumestrocel_p3").outcomes[0]
    sizes = Counter({k: a.n for k, a in load_protocol("alsummit").arms.items()})
    assert sizes.total() == planned.value
    assert sizes["g2"] == sizes["control"] == 2 * sizes["g1"]


def test_cells_go_where_the_published_needles_went():
    for name, segments in {
        "nsi-566-phase1": ["lumbar_unilateral", "lumbar", "lumbar_unilateral", "lumbar", "cervical_unilateral"],
        "nsi-566-phase2": ["cervical"] * 4 + ["cervical_and_lumbar"],
        "baloh-2022": ["lumbar_unilateral"] * 2,
        "mazzini-2015": ["lumbar"],
    }.items():
        given = [e.settings["segments"] for a in load_protocol(name).arms.values() for e in a.regimen]
        assert given == segments, name


def _dose(entry):
    s = entry.settings
    return s["dose_1e6"] if s.get("dose_1e6") is not None else s["dose_1e6_per_kg"]


def _courses(arm):
    """Route and day of each time that something is given, with cells or without."""
    for e in arm.regimen:
        for k in range(e.settings.get("courses", 1)):
            yield e.settings["route"], e.day + k * e.settings.get("every_days", 0)
