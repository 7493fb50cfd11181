"""Protocols of drugs in ALS, each against the record of the study that it reproduces."""

import pytest

from stemtrial.evidence import study
from stemtrial.parameters import point_draw
from stemtrial.predict.estimate import rows_of
from stemtrial.predict.obstacles import obstacles
from stemtrial.therapy import compose
from stemtrial.trial.conduct import conduct
from stemtrial.trial.entry import families_of
from stemtrial.trial.protocol import load_protocol
from stemtrial.trial.recruiting import recruit_for
from stemtrial.trial.rules import HazardRule

# Name -> the study, and its outcomes that no estimate predicts: number -> why.
#   adjusted: by covariates or for missing values, as no estimator here does.   any cause: counts illness that has no
#   cause in the therapy.   baseline: Table 1 shows it.   conduct: the protocol states it.   extension: of open-label
#   years, beyond this follow-up.   no time: the record does not say when.   stated: a parameter repeats it.
#   subset: of some patients.   unmeasured: no instrument.
REPRODUCED = {
    "adore": ("adore2024_fab122", {31: "no time", 32: "no time", 33: "any cause"}),
    "ceftriaxone": ("cudkowicz2014_ceftriaxone", {3: "conduct"}),
    "centaur": ("paganoni2020_centaur", dict.fromkeys((13, 14, 15), "extension")),
    "edaravone-16": ("abe2014_edaravone16", {}),
    "empower": ("cudkowicz2013_empower", {1: "adjusted", 2: "adjusted"}),
    "healey-pridopidine": ("healey2023_pridopidine", {}),
    "masitinib-als": (
        "mora2020_masitinib",
        {2: "adjusted", **dict.fromkeys((3, 4, 5), "subset"), 6: "baseline", 7: "baseline"},
    ),
    "phoenix": ("phoenix2024_amx0035", {4: "subset"}),
    "riluzole-1994": ("bensimon1994_riluzole", {}),
    "riluzole-1996": ("lacomblez1996_riluzole", dict.fromkeys((6, 7, 8), "adjusted")),
    "study-19": ("edaravone2017_study19", {8: "any cause", 9: "any cause"}),
    "valor": (
        "miller2022_valor",
        {**dict.fromkeys((1, 2, 3), "subset"), 9: "extension", 10: "extension", 11: "unmeasured", 14: "stated"},
    ),
    "valor-fast": ("miller2022_valor", None),  # the rest of the record is valor's
}
# Arms of a protocol that are not the record's: their sizes together, and where that is written.
PARTS = {
    "masitinib-als": ({"m45", "placebo"}, "mora2020_masitinib#1"),
    "valor-fast": ({"tofersen", "placebo"}, "miller2022_valor#3"),
}
# Who was on placebo and has the drug after the blind part: week of its last visit.
DELAYED = {"study-19": 24, "valor": 28}
SUBSETS = ("subgroup", "post_hoc", "threshold_scan", "interim")


@pytest.fixture(scope="module", params=sorted(REPRODUCED))
def protocol(request):
    return load_protocol(request.param)


@pytest.fixture(scope="module")
def record(protocol):
    return study(protocol.reproduces)


def test_it_is_of_its_study_and_nothing_stands_in_the_way_of_running_it(protocol):
    assert protocol.disease == "als"
    assert protocol.reproduces == REPRODUCED[protocol.protocol][0]
    assert list(obstacles(protocol)) == []


def test_arms_are_those_of_the_record(protocol, record):
    assert set(protocol.arms) == {a.id for a in record.arms}
    sizes = {name: arm.n for name, arm in protocol.arms.items()}
    published = {a.id: a.n for a in record.arms}
    if protocol.protocol in PARTS:
        arms, outcome = PARTS[protocol.protocol]
        (o,) = (o for o in record.outcomes if o.outcome_id == outcome)
        assert set(o.arms) == arms
        assert sum(sizes[a] for a in arms) == o.n
        assert all(sizes[a] < published[a] for a in sizes)
    elif protocol.protocol == "phoenix":  # the record has no sizes by arm; its notes have 664, 3 to 2
        assert sizes == {"amx0035": 398, "placebo": 266}
        assert any("664 randomised 3:2" in note for note in record.notes)
    else:
        assert sizes == published


def test_every_arm_has_its_drug_at_its_dose_from_the_first_day_and_placebo_none_in_the_blind_part(protocol, record):
    for name, arm in protocol.arms.items():
        published = record.arm(name)
        if published.therapy != "placebo":
            (entry,) = arm.regimen
            assert entry.therapy == published.therapy.removeprefix("dmt:")
            assert (entry.day, entry.settings.get("stop_day")) == (0, None)
            continue
        if protocol.protocol not in DELAYED:
            assert not arm.regimen
            continue
        (entry,) = arm.regimen
        weeks, window = protocol.visits.weeks, protocol.visits.window_days
        last = DELAYED[protocol.protocol]
        after = weeks[weeks.index(last) + 1]
        assert 7 * last + window < entry.day < 7 * after - window


def test_riluzole_is_given_as_the_study_had_it():
    ratio = {name: arm.regimen for name, arm in load_protocol("riluzole-1996").arms.items()}
    for arm in study("lacomblez1996_riluzole").arms:
        given = ratio[arm.id]
        assert [e.settings["dose_ratio"] for e in given] == ([arm.dose.value / 100] if arm.dose else [])
    for name in REPRODUCED:
        population = load_protocol(name).population
        assert population.care_before_entry == ("none" if name.startswith("riluzole") else "riluzole")


def test_every_outcome_is_predicted_or_listed_with_the_reason(protocol, record):
    tied = {r.outcome_id: r for r in rows_of(protocol, record) if r.outcome_id}
    claimed = {o for use in protocol.endpoints.all for o in use.predicts}
    assert set(tied) == claimed
    reasons = REPRODUCED[protocol.protocol][1]
    for o in record.outcomes:
        number = int(o.outcome_id.partition("#")[2])
        if reasons is not None:
            assert (o.outcome_id in claimed) != (number in reasons), o.outcome_id
        if o.outcome_id in claimed:
            assert o.arms == tied[o.outcome_id].arms
            assert o.statistic == tied[o.outcome_id].statistic, o.outcome_id
            assert o.analysis not in SUBSETS
        elif reasons is not None and reasons[number] == "no time":
            assert o.time_years is None
    assert not set(reasons or ()) - {int(o.outcome_id.partition("#")[2]) for o in record.outcomes}


def test_both_protocols_of_valor_share_its_outcomes_without_claiming_one_twice():
    both = [{o for use in load_protocol(n).endpoints.all for o in use.predicts} for n in ("valor", "valor-fast")]
    assert both[0].isdisjoint(both[1])
    assert both[1] == {f"miller2022_valor#{k}" for k in (1, 2, 3)}


def test_all_are_blind_randomised_and_followed_to_the_last_visit_of_a_trial_of_fixed_length(protocol, record):
    assert record.blinding == "double-blind"
    assert (protocol.design, protocol.blinding.patient, protocol.blinding.rater) == ("randomised", "blind", "blind")
    end, closure = (12 * int(m[:4]) + int(m[5:]) for m in (protocol.accrual.end, protocol.accrual.closure))
    if protocol.protocol in ("ceftriaxone", "empower", "riluzole-1994", "riluzole-1996"):
        assert closure - end >= 12  # they ended for all on one day, a year after the last had entered
    else:
        assert closure - end >= protocol.visits.months[-1] - 0.1


def test_drop_out_is_that_of_study_19_where_the_study_itself_tells_nothing():
    (own,) = load_protocol("study-19").rules
    for name in REPRODUCED:
        p = load_protocol(name)
        (rule,) = p.rules
        assert isinstance(rule, HazardRule)
        assert rule.arm is None
        assert rule.per_point == own.per_point > 0, "who is worse leaves sooner, by one law"
        assert p.sources["rules.0.per_point"].startswith("assumed")
        if "as in study 19" in p.sources["rules.0.per_year"]:
            assert rule.per_year == own.per_year
            assert p.visits.months[-1] <= 12
        elif name != "study-19":  # over longer follow-up, patients fare worse than study 19 saw
            assert rule.per_year < own.per_year
            assert p.visits.months[-1] > 12
            assert "so that, with per_point" in p.sources["rules.0.per_year"].lower()


def test_as_many_leave_study_19_as_did():
    stayed = {o.outcome_id: o.n for o in study("edaravone2017_study19").outcomes}
    entered = sum(stayed[f"edaravone2017_study19#{k}"] for k in (4, 5))
    sizes = sum(a.n for a in study("edaravone2017_study19").arms)
    p, draws = load_protocol("study-19"), point_draw()
    kernel, replicates = compose("als", families_of(p)), 60
    trial = conduct(p, recruit_for(p, kernel, draws, threads=2), kernel, draws[0], 1, replicates=range(replicates))
    told = trial.tables["disposition"]
    left = (told["event"] == "dropped_out") & (told["day"] <= 24 * 7)
    error = (entered / sizes * (1 - entered / sizes) / (replicates * sizes)) ** 0.5
    assert left.sum() / (replicates * sizes) == pytest.approx(1 - entered / sizes, abs=4 * error)


def test_who_is_resembled_was_published():
    s19 = study("edaravone2017_study19").arms
    resembled = load_protocol("study-19").population.resemble
    assert resembled["alsfrs_r"].mean == pytest.approx(sum(a.baseline.alsfrs_r_mean for a in s19) / 2)
    assert resembled["alsfrs_r"].sd == pytest.approx(sum(a.baseline.alsfrs_r_sd for a in s19) / 2)
    years = sum(a.baseline.symptom_years_mean for a in s19) / 2
    assert resembled["symptom_months"].mean == pytest.approx(12 * years, abs=0.1)
    assert resembled["symptom_months"].sd == pytest.approx(12 * s19[0].baseline.symptom_years_sd)
    bulbar = sum(a.n * a.baseline.bulbar_onset_fraction for a in s19) / sum(a.n for a in s19)
    assert resembled["bulbar_onset"].mean == pytest.approx(bulbar, abs=0.002)
    placebo = study("andrews2018_svc").arm("empower_placebo").baseline
    resembled = load_protocol("empower").population.resemble
    assert (resembled["alsfrs_r"].mean, resembled["alsfrs_r"].sd) == (placebo.alsfrs_r_mean, placebo.alsfrs_r_sd)
    months = resembled["symptom_months"]
    assert (months.mean, months.sd) == (placebo.symptom_months_mean, placebo.symptom_months_sd)
    for name in set(REPRODUCED) - {"study-19", "empower"}:  # no baseline in the record: recalled, or nobody is weighted
        p = load_protocol(name)
        assert all("recalled" in p.sources[f"population.resemble.{v}"] for v in p.population.resemble)


def test_criteria_are_those_of_the_record():
    probable = {"regions_with_signs >= 2"}  # of El Escorial, or better
    rules = {name: set(load_protocol(name).population.eligibility) for name in REPRODUCED}
    assert {
        "alsfrs_r_lowest_item >= 2", "fvc_pct >= 80", "symptom_months <= 24", "regions_with_signs >= 2",
        "-4 <= alsfrs_r_change_last_12_weeks <= -1",
    } <= rules["study-19"]  # fmt: skip
    assert {"svc_pct >= 70", "0.35 <= alsfrs_r_slope_from_onset <= 1.5", "symptom_months <= 24"} <= rules["adore"]
    assert {"symptom_months <= 18", "regions_with_signs >= 3"} <= rules["centaur"]
    assert {"symptom_months <= 24", "svc_pct >= 65", "18 <= age_years <= 80"} == rules["empower"]
    assert {"svc_pct > 60", "symptom_months < 36"} <= rules["ceftriaxone"]
    riluzole = {"disease_duration_years <= 5", *probable}
    assert {"20 <= age_years <= 75", "fvc_pct > 60", *riluzole} == rules["riluzole-1994"]
    assert {"18 <= age_years <= 75", "fvc_pct >= 60", *riluzole} == rules["riluzole-1996"]
    assert "alsfrs_r_slope_from_onset < 1.1" in rules["masitinib-als"]
    assert all(probable <= rules[name] for name in ("phoenix", "edaravone-16"))
    assert all("sod1 == 1" in rules[name] for name in ("valor", "valor-fast"))


def test_the_sealed_study_has_no_values_that_could_have_fed_anything():
    p = load_protocol("healey-pridopidine")
    sealed = study(p.reproduces)
    assert sealed.role == "sealed"
    assert all(o.value is None for o in sealed.outcomes)
    assert {o for use in p.endpoints.all for o in use.predicts} == {o.outcome_id for o in sealed.outcomes}
