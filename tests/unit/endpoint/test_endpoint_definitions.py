"""Definitions: complete, cited, typed; changes are validated."""

import pytest

from stemtrial.endpoint import ConfirmedChange, define, definitions, diseases_of, find, needs
from stemtrial.errors import InputError

REQUIRED = {
    "brain_volume_change_pct", "brain_volume_change_pct.from_24_weeks", "brain_volume_change_pct.from_52_weeks",
    "clinical_activity_free", "composite_worsening.12_weeks",
    "composite_worsening.24_weeks", "confirmed_improvement", "confirmed_improvement.12_weeks",
    "confirmed_worsening.12_weeks", "confirmed_worsening.12_weeks.from_24_weeks", "confirmed_worsening.24_weeks",
    "confirmed_worsening.affirm.12_weeks", "confirmed_worsening.affirm.24_weeks", "confirmed_worsening.expand",
    "confirmed_worsening.expand.6_months", "confirmed_worsening.mist", "confirmed_worsening.opera.12_weeks",
    "confirmed_worsening.opera.24_weeks", "confirmed_worsening.oratorio", "confirmed_worsening.oratorio.24_weeks",
    "edss", "edss_change", "edss_improved", "edss_milestone.3", "edss_milestone.4", "edss_milestone.6",
    "edss_milestone.7", "edss_stable", "edss_stable_or_improved", "edss_worsened", "eq5d_change", "gd_free",
    "gd_free.all_scans", "gd_lesions", "gd_lesions.all_scans", "gd_lesions.from_12_weeks", "gfap",
    "high_mri_activity_free", "low_contrast_letters_change.from_3_months", "mfis_change", "msis29_physical_change",
    "neda3", "neda3.24_weeks", "neda3.from_24_weeks", "neda3.mist", "neda4", "new_t2_free", "new_t2_lesions",
    "new_t2_lesions.from_52_weeks", "nfl", "nfl_change_pct", "nine_hole_peg_change_pct",
    "nine_hole_peg_worsening_20.12_weeks", "nine_hole_peg_worsening_20.24_weeks", "overall_survival",
    "pira.12_weeks", "pira.24_weeks", "pira.fixed", "pira.muller2025", "pira.opera", "pira.roving", "raw.12_weeks",
    "raw.24_weeks", "raw.fixed", "raw.muller2025", "raw.opera", "raw.roving", "relapse_free",
    "relapse_or_high_mri_free", "relapse_rate", "sdmt_change", "serious_adverse_events", "serious_infection",
    "sf36_pcs_change", "spms_conversion", "t25fw_change_fraction", "t25fw_change_pct", "t25fw_worsening_20",
    "t25fw_worsening_20.12_weeks", "t25fw_worsening_20.24_weeks", "t2_volume_change_ml", "t2_volume_change_pct",
    "thyroid_autoimmunity", "treatment_related_mortality", "vep_p100_change", "vep_p100_change.from_3_months",
    "vep_responder_6ms", "vep_responder_6ms.from_3_months",
}  # fmt: skip
CELL_THERAPY = {
    "lesion_mtr_change", "lesion_mwf_change",
    "adverse_events.grade_3_or_worse", "amenorrhoea_over_12_months", "any_adverse_event", "arachnoiditis",
    "batch_failure", "blood.b_cells_per_ul", "blood.cd4_count", "blood.cd4_memory_per_ul", "blood.cd4_naive_per_ul",
    "blood.cd8_per_ul", "blood.neutrophils_1e9_per_l", "blood.nk_per_ul", "blood.t_cells", "blood.tcr_clones_1e3",
    "blood.trec_per_ug_dna", "brain_volume_change_pct.from_104_weeks", "brain_volume_change_pct.from_30_months",
    "brain_volume_loss_normal", "confirmed_improvement.12_months", "confirmed_improvement.24_weeks",
    "confirmed_improvement.msbase", "confirmed_worsening.1_point", "confirmed_worsening.graft",
    "confirmed_worsening.graft.12_months", "confirmed_worsening.graft.12_weeks", "confirmed_worsening.graft.24_weeks",
    "confirmed_worsening.halt_ms", "confirmed_worsening.msbase", "edss_improved.1_point", "edss_improved.from_6",
    "edss_improved.with_disability", "edss_large_gain", "edss_plus_improved", "edss_stable.1_point",
    "edss_stable_or_improved.1_point", "edss_worsened.1_point", "engraftment_syndrome", "febrile_neutropenia",
    "fever", "gd_lesions.from_6_months", "gd_lesions.weeks_4_12_24", "gd_lesions_change",
    "gd_lesions_change.from_6_months", "gfap_change_fraction", "graft_tumour", "headache", "icu_admission",
    "infection", "infection.from_16_days", "infection.from_181_days", "infection.from_366_days",
    "infection.from_6_months", "infusion_reaction", "meningeal_reaction", "menses_recovery", "menses_recovery_months",
    "monoclonal_gammopathy", "mri_activity_free", "mri_activity_free.graft", "mri_activity_free.halt_ms",
    "neda.petrou", "neda.petrou.cycle_2", "neda3.atkins2016", "neda3.graft", "neda3.halt_ms", "new_t2_free.graft",
    "new_t2_lesions.from_6_months", "nfl_change", "nfl_change_fraction", "nfl_drop_over_50pct",
    "nine_hole_peg_improved", "nine_hole_peg_improved.25", "pfs", "pfs.12_months", "pfs.24_weeks", "pfs.boffa2021",
    "pfs.burman2014", "pfs.burt2021", "pfs.halt_ms", "pfs.moore2019", "pfs.nicholas2021", "procedure_complication",
    "rash", "relapse_free_survival.beat_ms", "secondary_autoimmunity", "secondary_autoimmunity.itp",
    "secondary_autoimmunity.thyroid", "secondary_autoimmunity_onset_months", "serious_adverse_events.count",
    "serious_adverse_events.grade3_per_patient", "serious_adverse_events.grade4_per_patient",
    "serious_adverse_events.related", "serum_sickness", "t25fw_improved", "t25fw_improved.25",
    "t25fw_or_nhpt_responder", "treatment_failure.petrou", "treatment_failure.petrou.cycle_2", "vep_latency_slope",
    "viral_reactivation.cmv", "viral_reactivation.ebv", "vision_improved", "visual_acuity_change",
    "visual_acuity_slope",
}  # fmt: skip
ALS = {
    "alsaq40_change", "alsfrs_change", "alsfrs_r", "alsfrs_r_bulbar_change", "alsfrs_r_change",
    "alsfrs_r_change.carried_forward", "alsfrs_r_change.from_35", "alsfrs_r_death_zero_change", "alsfrs_r_fallen",
    "alsfrs_r_fine_motor_change", "alsfrs_r_gross_motor_change", "alsfrs_r_improved", "alsfrs_r_own_slope",
    "alsfrs_r_respiratory_change", "alsfrs_r_run_in_slope", "alsfrs_r_slope", "alsfrs_r_slope_change", "alsfrs_slope",
    "cafs", "fvc_change", "fvc_own_slope", "fvc_slope", "gastrostomy", "hhd_arm_slope", "hhd_change", "hhd_leg_slope",
    "hhd_slope", "joint_rank", "kings_progression", "kings_stage", "mitos_progression", "mitos_stage", "nfl_ratio",
    "niv_free_survival", "progression_decreased", "progression_increased", "progression_unchanged",
    "responder.1_5_points", "responder.flat_or_positive", "responder.nurown", "responder.nurown.from_35",
    "responder.slope_25_percent", "responder.slope_50_percent", "svc_change", "svc_pct", "svc_slope", "time_to_niv",
    "tracheostomy", "tracheostomy_free_survival", "walking_improved", "weight_change",
}  # fmt: skip
STATES = {
    "baseline.edss", "baseline.edss_6_or_6_5", "baseline.gd_lesions", "baseline.nine_hole_peg_s",
    "baseline.relapse_free_24_months", "baseline.relapses_last_12_months", "composite_worsening.12_weeks.mri_active",
    "edss_stable_or_improved.from_82_months", "edss_transition.0_to_0", "edss_transition.0_to_mild",
    "edss_transition.mild_to_mild", "edss_transition.mild_to_moderate", "edss_transition.moderate_to_moderate",
    "edss_transition.moderate_to_severe", "edss_transition.severe_to_severe",
}  # fmt: skip
ANY_DISEASE = {"baseline.female", "completed", "lost_to_follow_up", "serious_neurologic_events"}


def test_every_definition_is_there_cited_and_typed():
    known = definitions()
    assert set(known) == REQUIRED | CELL_THERAPY | STATES | ALS | ANY_DISEASE
    for name, d in known.items():
        assert d.id == name
        assert d.label
        assert d.citation
        assert d.unit
        assert d.kind in {"time_to_event", "value", "change", "count", "rate", "status", "trajectory", "rank"}
        assert "censor_at" in d.parameters()
        if getattr(d, "worsening", None):
            assert isinstance(known[d.worsening], ConfirmedChange)


def test_mist_is_the_published_rule():
    d = find("confirmed_worsening.mist")
    assert [(t.up_to, t.by) for t in d.thresholds] == [(10.0, 1.0)]
    assert d.confirmation_days == 183
    assert d.onset_from_days == 365 - 30
    assert d.unconfirmed_at_end == "censored"
    assert "crossed_over" in d.censor_at
    assert "burt2019_mist#1" in d.citation


@pytest.mark.parametrize(
    ("name", "baseline", "rise"),
    [
        ("confirmed_worsening.24_weeks", 0.0, 1.5), ("confirmed_worsening.24_weeks", 1.0, 1.0),
        ("confirmed_worsening.24_weeks", 5.5, 1.0), ("confirmed_worsening.24_weeks", 6.0, 0.5),
        ("confirmed_worsening.oratorio", 0.0, 1.0), ("confirmed_worsening.oratorio", 6.0, 0.5),
        ("confirmed_worsening.expand", 5.0, 1.0), ("confirmed_worsening.expand", 5.5, 0.5),
    ],
)  # fmt: skip
def test_thresholds_by_baseline(name, baseline, rise):
    assert next(t.by for t in find(name).thresholds if baseline <= t.up_to) == rise


def test_a_changed_definition_is_new_and_validated():
    d = find("confirmed_worsening.mist", unconfirmed_at_end="event")
    assert d.unconfirmed_at_end == "event"
    assert find("confirmed_worsening.mist").unconfirmed_at_end == "censored"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: find("confirmed_worsening.mists"), "did you mean 'confirmed_worsening.mist'"),
        (lambda: find("edss", colour="red"), "colour"),
        (
            lambda: find("confirmed_worsening.mist", confirmation_days=-1),
            "confirmation_days.*or equal to 0",
        ),
        (lambda: find("confirmed_worsening.mist", tolerance_days=183), "tolerance_days 183 must be less than"),
        (lambda: find("confirmed_worsening.mist", thresholds=[{"up_to": 5, "by": 1}]), "ascend to up_to: 10.0"),
        (
            lambda: find("confirmed_worsening.12_weeks", baseline_days=168, reference="roving"),
            "fixed reference without",
        ),
        (lambda: find("edss_stable", at_least=1.0), "at_least 1 is above at_most 0"),
        (lambda: find("neda3", censor_at=["moved"]), "censor_at.*'moved'"),
        (lambda: define({"id": "x", "rule": "guess"}), "endpoint 'x'"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(InputError, match=message) as e:
        call()
    assert "\n" not in str(e.value)


def test_needs_names_what_is_measured_and_no_more():
    assert needs("relapse_rate") == {"patients": set(), "disposition": set(), "relapses": set()}
    assert needs("composite_worsening.12_weeks")["visits"] == {"edss", "t25fw_s", "nine_hole_peg_s"}
    assert needs("neda4")["mri"] == {"gd_lesions", "new_t2_lesions", "brain_volume_change_pct"}
    assert needs("neda4")["visits"] == {"edss"}
    assert needs("nfl") == {"patients": set(), "disposition": set(), "visits": {"nfl_pg_ml"}}
    assert needs("confirmed_worsening.12_weeks.from_24_weeks")["patients"] == set()
    assert needs("serious_infection")["adverse_events"] == set()
    assert needs("nfl_change_pct")["patients"] == {"nfl_pg_ml"}
    assert needs(find("neda3", relapses=False, worsening=None)) == {
        "patients": set(), "disposition": set(), "visits": set(), "mri": {"gd_lesions", "new_t2_lesions"},
    }  # fmt: skip
    assert needs("brain_volume_change_pct.from_24_weeks")["patients"] == set()
    with pytest.raises(InputError, match="did you mean 'neda4'"):
        needs("neda5")


def test_a_definition_belongs_to_the_diseases_that_can_measure_it():
    for name in ALS - {"nfl_ratio"}:
        assert diseases_of(name) == ("als",), name
    shared = {
        "baseline.female",
        "nfl",
        "nfl_change",
        "nfl_change_fraction",
        "nfl_change_pct",
        "nfl_drop_over_50pct",
        "nfl_ratio",
    }
    for name, d in definitions().items():
        harm = d.rule in ("adverse_event", "death", "treatment_death", "leaving")
        both = harm or name in shared
        assert diseases_of(name) == (("ms", "als") if both else ("als",) if name in ALS else ("ms",)), name


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: find("responder.nurown", before=None), "measure: difference needs before"),
        (lambda: find("alsfrs_r_own_slope", before="x"), "measure: after does not read before"),
        (lambda: find("alsfrs_r_own_slope", dead="fails"), "dead: fails needs at_least or at_most"),
        (lambda: find("alsfrs_r_own_slope", from_days=90, to_days=90), "to_days 90 is not after from_days 90"),
        (lambda: find("progression_unchanged", at_most=-2.0), "at_least -0.5 is above at_most -2"),
        (lambda: find("alsfrs_r_own_slope", points_at_least=1), "points_at_least.*or equal to 2"),
        (lambda: find("alsfrs_r_death_zero_change", reference_days=90), "dead takes neither reference_days"),
        (lambda: find("alsfrs_r_death_zero_change", carried_from_days=90), "dead takes neither reference_days"),
        (
            lambda: find("visual_acuity_slope", carried_from_days=90),
            "slope_change takes no carried_from_days",
        ),
        (lambda: find("kings_progression", percent={"kings_stage": 20.0}), "stands under percent and points"),
        (lambda: find("kings_progression", points={}), "give thresholds, reach, percent or points"),
        (lambda: find("time_to_niv", events=[]), "events.*at least 1"),
        (lambda: find("time_to_niv", events=["peg"]), "events"),
        (lambda: find("completed", events=["moved"]), "events"),
    ],
)  # fmt: skip
def test_refusals_of_decline(call, message):
    with pytest.raises(InputError, match=message) as e:
        call()
    assert "\n" not in str(e.value)


def test_needs_of_decline():
    course = {"patients": {"alsfrs_r"}, "visits": {"alsfrs_r"}, "disposition": set()}
    assert needs("alsfrs_r_slope") == needs("cafs") == needs("responder.nurown") == course
    assert needs("joint_rank") == course | {"milestones": set()}
    assert needs("alsfrs_r_run_in_slope") == {"patients": {"alsfrs_r"}, "disposition": set()}
    assert needs("niv_free_survival") == {"patients": set(), "disposition": set(), "milestones": set()}
    assert needs("kings_progression")["visits"] == {"kings_stage"}
    assert needs("alsfrs_slope")["visits"] == {
        "alsfrs_r_bulbar", "alsfrs_r_fine_motor", "alsfrs_r_gross_motor", "dyspnoea",
    }  # fmt: skip
