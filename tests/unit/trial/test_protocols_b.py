"""Protocols of held-out and sealed studies of drugs: each against the record of its study, without simulating."""

import functools

import pytest

from stemtrial import evidence
from stemtrial.predict.estimate import rows_of
from stemtrial.predict.obstacles import obstacles
from stemtrial.trial.protocol import load_protocol

# Protocol -> published outcomes that it predicts. A claim lost, or won, is a change of this table.
HELD_OUT = {
    "clarity": 17,
    "asclepios": 7,
    "asclepios-1": 11,
    "asclepios-2": 10,
    "olympus": 5,
    "promise": 3,
    "sunbeam": 12,
    "tower": 9,
    "ultimate": 7,
    "ultimate-1": 13,
    "ultimate-2": 13,
}
SEALED = {
    "allegro": 17,
    "ascend": 15,
    "bravo": 12,
    "care-ms-2": 14,
    "evobrutinib-ph2": 10,
    "hercules": 11,
    "optimum": 17,
    "oratorio-hand": 11,
    "sentinel": 13,
    "terikids": 11,
}
# Therapy of the record -> therapies of the regimen, with the dose over the reference dose where it is not 1.
THERAPIES = {
    "placebo": [],
    "dmt:alemtuzumab": ["alemtuzumab"],
    "dmt:cladribine": ["cladribine"],
    "dmt:dimethyl_fumarate": ["dimethyl_fumarate"],
    "dmt:evobrutinib": ["evobrutinib"],
    "dmt:ifnb1a_im": ["interferon_beta_im"],
    "dmt:ifnb1a_sc": ["interferon_beta"],
    "dmt:laquinimod": ["laquinimod"],
    "dmt:natalizumab": ["natalizumab"],
    "dmt:natalizumab+ifnb1a": ["natalizumab", "interferon_beta_im"],
    "dmt:ocrelizumab": ["ocrelizumab"],
    "dmt:glatiramer": ["glatiramer"],
    "dmt:rituximab": ["rituximab"],
    "dmt:ozanimod": ["ozanimod"],
    "dmt:ofatumumab": ["ofatumumab"],
    "dmt:ponesimod": ["ponesimod"],
    "dmt:teriflunomide": ["teriflunomide"],
    "dmt:tolebrutinib": ["tolebrutinib"],
    "dmt:ublituximab": ["ublituximab"],
}
DOSE_RATIOS = {
    ("clarity", "c525"): 5.25 / 3.5,
    ("evobrutinib-ph2", "evo25"): 25 / 150,
    ("evobrutinib-ph2", "evo75qd"): 0.5,
    ("olympus", "rtx"): 2.0,
    ("sunbeam", "oz05"): 0.5,
    ("tower", "t7"): 0.5,
}

each = pytest.mark.parametrize("name", [*HELD_OUT, *SEALED])


@functools.cache
def both(name):
    p = load_protocol(name)
    return p, evidence.study(p.reproduces)


@each
def test_it_loads_and_nothing_stands_in_the_way_of_running_it(name):
    p, _ = both(name)
    assert p.protocol == name
    assert list(obstacles(p)) == []


@each
def test_every_predicted_outcome_exists_and_is_tied_to_an_estimate_of_its_arms_and_statistic(name):
    p, study = both(name)
    claimed = [o for use in p.endpoints.all for o in use.predicts]
    tied = {row.outcome_id: row for row in rows_of(p, study) if row.outcome_id}
    outcomes = {o.outcome_id: o for o in study.outcomes}
    assert sorted(claimed) == sorted(tied)
    for outcome_id, row in tied.items():
        o = outcomes[outcome_id]
        assert (row.arm if isinstance(row.arm, tuple) else (row.arm,)) == o.arms, outcome_id
        assert row.statistic == o.statistic, outcome_id
        assert o.analysis not in ("post_hoc", "subgroup"), f"{outcome_id} is not of all patients"
        assert (o.time_years == 0) is row.endpoint.startswith("baseline."), f"{outcome_id} is the baseline, or is not"
    assert len(claimed) == (HELD_OUT | SEALED)[name]


@each
def test_arms_are_those_of_the_record(name):
    p, study = both(name)
    for arm_id, arm in p.arms.items():
        published = study.arm(arm_id)
        assert published is not None, arm_id
        assert arm.n == published.n
        assert [entry.therapy for entry in arm.regimen] == THERAPIES[published.therapy]
        expected = DOSE_RATIOS.get((name, arm_id), 1.0)
        for entry in arm.regimen:
            assert entry.settings.get("dose_ratio", 1.0) == pytest.approx(expected, rel=1e-3)
    whole = sum(p.randomisation.ratio.values())
    total = sum(arm.n for arm in p.arms.values())
    for arm_id, share in p.randomisation.ratio.items():
        assert p.arms[arm_id].n / total == pytest.approx(share / whole, abs=0.02)


@each
def test_course_and_length_follow_the_record(name):
    p, study = both(name)
    assert {"paediatric": "pediatric"}.get(p.population.course, p.population.course) in study.phenotypes
    longest = max((o.time_years or 0 for o in study.outcomes), default=0)
    assert p.visits.months[-1] / 12 >= longest - 0.03
    if p.control == "placebo":
        assert p.arms["placebo"].regimen == ()


@pytest.mark.parametrize("name", SEALED)
def test_the_study_of_a_sealed_protocol_has_no_value(name):
    study = both(name)[1]
    assert study.sealed
    assert study.role == "sealed"
    assert all(getattr(o, key) is None for o in study.outcomes for key in evidence.schema.SEALED_KEYS)


@pytest.mark.parametrize("name", HELD_OUT)
def test_held_out_studies_are_never_fitted(name):
    assert both(name)[1].role == "test"


def test_the_parts_of_a_pooled_study_add_up_to_it_and_share_its_design():
    for pooled, parts in (("asclepios", ("asclepios-1", "asclepios-2")), ("ultimate", ("ultimate-1", "ultimate-2"))):
        whole = both(pooled)[0]
        for k, _ in enumerate(whole.arms):
            # The pooled analysis of ULTIMATE left three and two of those of its trials out.
            together = sum(list(both(p)[0].arms.values())[k].n for p in parts)
            assert 0 <= together - list(whole.arms.values())[k].n <= 3
        for part in parts:
            assert both(part)[0].population == whole.population
            assert (both(part)[0].accrual, both(part)[0].visits) == (whole.accrual, whole.visits)
        claims = [o for p in (pooled, *parts) for use in both(p)[0].endpoints.all for o in use.predicts]
        assert len(claims) == len(set(claims))
