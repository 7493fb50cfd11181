"""Protocols of MSC, NSC and iPSC-OPC, each against the record of the study that it reproduces or the claims told."""

import math

import pytest

from stemtrial.endpoint import find
from stemtrial.evidence import study
from stemtrial.predict.estimate import AT_A_VISIT, SHARES, rows_of
from stemtrial.predict.obstacles import obstacles
from stemtrial.trial.protocol import load_protocol
from stemtrial.trial.rules import HazardRule

# Name -> the study, and its outcomes that no estimate predicts: number -> why.
#   baseline: Table 1 shows it.   conduct: who was treated, stayed or left, which the protocol states.
#   direction: no number is published.   any cause: counts illness that has no cause in the therapy.
#   pooled: over arms, periods or diseases.   subgroup: of some patients.   unmeasured: no instrument or rule.
REPRODUCED = {
    "bonab-2007": ("bonab2007_msc", {}),
    "bonab-2012": ("bonab2012_msc", {1: "baseline"}),
    "cohen-2018": ("cohen2018_cleveland_msc", {1: "conduct", 2: "conduct"}),
    "cohen-2023": ("cohen2023_nurown", {1: "conduct"}),
    "connick-2012": ("connick2012_mscims", {1: "conduct", 4: "unmeasured", 7: "any cause"}),
    "dahbour-2017": ("dahbour2017_msc_cm", {2: "direction"}),
    "fernandez-2018": ("fernandez2018_admsc", {1: "pooled"}),
    "fernandez-2018-lots": ("fernandez2018_admsc", {2: "subgroup"}),
    "genchi-2023": ("genchi2023_stems", {1: "conduct", 3: "direction", 4: "direction"}),
    "harris-2016": ("harris2016_mscnp_pilot", {1: "unmeasured"}),
    "harris-2018": ("harris2018_mscnp_phase1", {1: "unmeasured", 2: "unmeasured", 3: "direction"}),
    "harris-2021": ("harris2021_mscnp_followup", {1: "conduct", 3: "subgroup", 4: "direction", 5: "unmeasured"}),
    "harris-2024": (
        "harris2024_mscnp_phase2",
        dict.fromkeys((3, 4, 5, 6), "subgroup") | {7: "conduct", 8: "conduct", 9: "direction"},
    ),
    "karussis-2010": (
        "karussis2010_msc",
        {1: "baseline", **dict.fromkeys((3, 4, 8, 9), "direction"), **dict.fromkeys((5, 6, 7), "pooled")},
    ),
    "leone-2023": ("leone2023_icv_nsc", {1: "conduct", 2: "baseline", 6: "direction", 7: "direction"}),
    "llufriu-2014": ("llufriu2014_msc", {13: "direction", 14: "pooled"}),
    "lublin-2014": ("lublin2014_pda001", {4: "unmeasured"}),
    "mesems": ("uccelli2021_mesems", {2: "conduct", 3: "conduct", **dict.fromkeys(range(4, 10), "any cause")}),
    "petrou-2020": ("petrou2020_brain", {8: "direction"}),
    "petrou-2021": ("petrou2021_longterm", {1: "baseline"}),
    "petrou-2022-nfl": ("petrou2022_nfl", {**dict.fromkeys((1, 2, 3), "unmeasured"), 9: "direction"}),
    "petrou-2025": ("petrou2025_ng01_extension", {2: "direction", 4: "direction"}),
    "riordan-2018": ("riordan2018_ucmsc", {}),
    "yamout-2010": ("yamout2010_msc", {}),
}
TOLD = {
    "article-icv-msc": [f"c{n:03}" for n in range(37, 49)],
    "article-ipsc": [f"c{n:03}" for n in range(4, 11)],
    "article-msc-phase2": ["c026", "c027"],
}
DESIGNS = ["genchi-2023-doses", "ipsc-opc-first-in-human", "leone-2023-doses", "petrou-2020-cycles"]
BLIND = ["fernandez-2018", "fernandez-2018-lots", "harris-2024", "llufriu-2014", "lublin-2014", "mesems"]
BLIND += ["petrou-2020", "petrou-2020-cycles", "petrou-2022-nfl"]
WITHOUT_NUMBER = ("direction_only", "p_only", "lower_bound", "upper_bound", "order_of_magnitude")
CELLS = {"msc", "nsc", "ipsc_opc"}


@pytest.fixture(scope="module", params=sorted([*REPRODUCED, *TOLD, *DESIGNS]))
def protocol(request):
    return load_protocol(request.param)


@pytest.fixture(scope="module", params=sorted(REPRODUCED))
def reproduced(request):
    protocol = load_protocol(request.param)
    return protocol, study(protocol.reproduces)


def test_nothing_stands_in_the_way_of_running_it(protocol):
    assert protocol.protocol in (*REPRODUCED, *TOLD, *DESIGNS)
    assert list(obstacles(protocol)) == []


def test_every_arm_has_cells_or_their_sham_and_nothing_else(protocol):
    for arm in protocol.arms.values():
        assert {e.therapy for e in arm.regimen} <= CELLS
        assert arm.regimen


def test_what_is_blind_was_published_as_blind(protocol):
    assert (protocol.blinding.patient == "blind") == (protocol.protocol in BLIND)
    if protocol.reproduces is not None:
        published = study(protocol.reproduces).blinding or ""
        assert ("blind" in published) == (protocol.protocol in BLIND)


def test_arms_are_those_of_the_record(reproduced):
    protocol, record = reproduced
    assert protocol.reproduces == REPRODUCED[protocol.protocol][0]
    for name, arm in protocol.arms.items():
        published = record.arm(name)
        assert published is not None, name
        assert arm.n == published.n, name
        cells = [e for e in arm.regimen if _dose(e) > 0]
        if published.therapy == "placebo":
            assert min((e.day for e in cells), default=math.inf) > 0, f"{name}: placebo comes first"
        else:
            first = [e for e in cells if e.day == min(c.day for c in cells)]
            if published.route is not None:
                assert {e.settings["route"] for e in first} <= set(_routes(published.route)), name


def test_placebo_goes_through_the_same_procedures_as_treatment(protocol):
    if len(protocol.arms) > 1 and protocol.blinding.patient == "blind":
        courses = {name: sorted(_courses(arm)) for name, arm in protocol.arms.items()}
        assert len({str(c) for c in courses.values()}) == 1, courses


def test_every_outcome_is_predicted_or_listed_with_the_reason(reproduced):
    protocol, record = reproduced
    tied = {r.outcome_id: r for r in rows_of(protocol, record) if r.outcome_id}
    claimed = {o for use in protocol.endpoints.all for o in use.predicts}
    assert set(tied) == claimed
    reasons = REPRODUCED[protocol.protocol][1]
    for o in record.outcomes:
        number = int(o.outcome_id.partition("#")[2])
        assert (o.outcome_id in claimed) != (number in reasons), o.outcome_id
        if o.outcome_id in claimed:
            assert o.statistic == tied[o.outcome_id].statistic, o.outcome_id
            assert o.statistic not in WITHOUT_NUMBER
            assert o.analysis != "subgroup"
        elif reasons[number] == "baseline":
            assert o.time_years == 0
    assert {int(o.outcome_id.partition("#")[2]) for o in record.outcomes} >= set(reasons)


def test_doses_lie_within_those_published(reproduced):
    protocol, record = reproduced
    for name, arm in protocol.arms.items():
        dose = record.arm(name).dose
        if dose is None:
            continue
        one = [dose.value, dose.value_min, dose.value_max, dose.min, dose.max, *(dose.values or ())]
        numbers = [v for v in one if v is not None]
        for e in arm.regimen:
            if _dose(e) > 0:
                assert ("dose_1e6_per_kg" in e.settings) == ("/kg" in dose.unit), name
                assert min(numbers) * 0.99 <= _dose(e) * 1e6 <= max(numbers) * 1.01, name


def test_shares_of_what_a_visit_shows_are_not_read_in_the_middle_of_its_window(protocol):
    """A share at a planned day would miss the patients who come later in the window of that visit."""
    for use in protocol.endpoints.all:
        definition = find(use.id)
        if use.estimator in SHARES and use.at_years and definition.rule in AT_A_VISIT:
            assert getattr(definition, "event_time", None) == "scheduled", use.id


def test_articles_tell_their_claims_beside_what_was_published():
    for name, claims in TOLD.items():
        protocol = load_protocol(name)
        assert protocol.reproduces is None
        assert list(protocol.claims) == claims
        assert protocol.beside
        assert not any(use.predicts for use in protocol.endpoints.all)


@pytest.mark.parametrize(
    ("name", "arm", "stayed", "entered", "years"),
    [("harris-2021", None, 18, 20, 2.5), ("harris-2024", "mscnp", 24, 27, 1.0)],
)
def test_drop_out_leaves_as_many_as_completed(name, arm, stayed, entered, years):
    (rule,) = (r for r in load_protocol(name).rules if isinstance(r, HazardRule))
    assert rule.arm == arm
    assert math.exp(-rule.per_year * years) == pytest.approx(stayed / entered, abs=0.005)


def test_a_first_trial_in_people_begins_where_the_assay_bounds_the_tumour_risk():
    protocol = load_protocol("ipsc-opc-first-in-human")
    assert protocol.reproduces is None
    doses = [arm.regimen[0].settings["dose_1e6"] for arm in protocol.arms.values()]
    assert doses == sorted(doses, reverse=True)
    assert len(doses) == 3
    limit = study("kuroda2012_residual_ipsc").outcomes[0].value
    assert doses[-1] * 1e6 * limit == pytest.approx(100)
    assert protocol.visits.months[-1] >= 24
    assert all(arm.regimen[0].settings["immunosuppression"] == "tacrolimus" for arm in protocol.arms.values())


def test_cohorts_of_the_dose_protocols_add_up_to_the_one_arm():
    for name in ("leone-2023", "genchi-2023"):
        (whole,), parts = load_protocol(name).arms.values(), load_protocol(f"{name}-doses").arms.values()
        assert sum(a.n for a in parts) == whole.n
        mean = sum(a.n * _dose(a.regimen[0]) for a in parts) / whole.n
        assert _dose(whole.regimen[0]) == pytest.approx(mean, rel=0.01)


def _dose(entry):
    s = entry.settings
    return s["dose_1e6"] if s.get("dose_1e6") is not None else s["dose_1e6_per_kg"]


def _courses(arm):
    """Route and day of each time that something is given, with cells or without."""
    for e in arm.regimen:
        for k in range(e.settings.get("courses", 1)):
            yield e.settings["route"], e.day + k * e.settings.get("every_days", 0)


def _routes(published):
    return [r for r in ("intravenous", "intrathecal", "intracerebroventricular") if r in published]
