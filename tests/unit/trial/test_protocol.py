"""Protocols: what is refused and how it is said, identity, schema, and MIST against the record of its study."""

import json
import math
from pathlib import Path

import jsonschema
import pytest
from als_mistakes import BAD as BAD_IN_ALS
from als_mistakes import SMALL as SMALL_OF_ALS
from hypothesis import given, settings
from hypothesis import strategies as st
from protocol_mistakes import BAD, SMALL
from pydantic import ValidationError

from stemtrial import evidence
from stemtrial.errors import InputError
from stemtrial.predict.obstacles import refuse
from stemtrial.therapy.info import catalogue, therapy_info
from stemtrial.trial.entry import planned_days
from stemtrial.trial.parts import Visits
from stemtrial.trial.protocol import Protocol, json_schema, load_protocol, protocol_names
from stemtrial.trial.regimen import Choice, Treatment
from stemtrial.trial.source import load_yaml

ROOT = Path(__file__).parents[3]
MIST = ROOT / "src/stemtrial/trial/protocols/mist.yaml"
IDS = {
    "confirmed_worsening.mist",
    "neda3.mist",
    "edss",
    "edss_change",
    "relapse_rate",
    "gd_lesions",
    "new_t2_lesions",
    "t2_volume_change_pct",
    "brain_volume_change_pct",
    "treatment_related_mortality",
}


@pytest.fixture
def load(tmp_path):
    def from_text(text: str) -> Protocol:
        (tmp_path / "t.yaml").write_text(text)
        return load_protocol(tmp_path / "t.yaml", IDS)

    return from_text


@pytest.mark.parametrize(
    ("old", "new", "at", "message"), BAD, ids=[f"{i}-{b[3].split(':')[0]}" for i, b in enumerate(BAD)]
)
def test_a_mistake_is_named_in_one_line_where_it_stands(load, tmp_path, old, new, at, message):
    text = SMALL.replace(old, new, 1)
    assert text != SMALL
    before = text[: text.index(at)].split("\n")
    with pytest.raises(InputError) as caught:
        load(text)
    assert str(caught.value) == f"{tmp_path / 't.yaml'}:{len(before)}:{len(before[-1]) + 1}: {message}"


@pytest.mark.parametrize("mistake", BAD_IN_ALS, ids=lambda b: b[1][:40])
def test_a_mistake_of_als_is_named_in_one_line_where_it_stands(tmp_path, mistake):
    old, new, words = mistake
    text = SMALL_OF_ALS.replace(old, new, 1)
    assert text != SMALL_OF_ALS
    (tmp_path / "t.yaml").write_text(text)

    def use():
        refuse(load_protocol(tmp_path / "t.yaml"))

    with pytest.raises(InputError) as caught:
        use()
    message = str(caught.value)
    assert words in message
    assert "\n" not in message
    place = message.removeprefix(f"{tmp_path / 't.yaml'}:")
    at = place.split(":")[2].strip() if place != message else place.split(":")[0]
    assert at.split(".")[0] in Protocol.model_fields, "the path of what is wrong"


def test_the_small_protocol_of_als_stands_in_nobodys_way(tmp_path):
    (tmp_path / "t.yaml").write_text(SMALL_OF_ALS)
    refuse(load_protocol(tmp_path / "t.yaml"))


def test_of_several_mistakes_the_first_of_the_file_is_told(load):
    text = SMALL.replace("per_year: 0.03", "per_year: -1").replace("patient: open", "patient: opne")
    with pytest.raises(
        InputError, match=r"t\.yaml:7:12: blinding\.patient: 'opne' is not known; did you mean 'open'\?"
    ):
        load(text)


def test_values_and_defaults(load):
    p = load(SMALL)
    assert p.control == "drug"
    assert p.analysis_set == {"graft": 10, "drug": 20}
    assert p.visits.mri_months == p.visits.months == (0, 6, 12, 24)
    assert p.follow_up_days == 730
    graft = p.arms["graft"].regimen[0]
    assert isinstance(graft, Treatment)
    assert (graft.therapy, graft.day) == ("ahsct", 30)
    assert graft.settings == {
        "conditioning": "beam-atg",
        "cells_1e6_per_kg": 5.0,
        "mobilisation": "cyclophosphamide-gcsf",
        "cd34_selected": "no",
        "centre_transplants": 30.0,
    }
    drug = p.arms["drug"].regimen[0]
    assert isinstance(drug, Choice)
    assert (dict(drug.of), drug.switch_to, drug.day) == ({"natalizumab": 2.0, "fingolimod": 1.0}, "remaining", 0)
    assert p.population.criteria.variables == {"edss", "age_years"}
    assert [e.id for e in p.endpoints.all] == ["edss_change", "edss", "relapse_rate"]
    with pytest.raises(ValidationError, match="frozen"):
        p.title = "other"


WEEKS = ("months: [0, 6, 12, 24], window_days: 30", "weeks: [0, 24, 48, 96], mri_weeks: [0, 48, 96]")


def test_visits_in_weeks_are_visits_on_whole_days(load):
    p = load(SMALL.replace(*WEEKS).replace("sources: {visits.months", "sources: {visits.weeks"))
    assert planned_days(p).tolist() == [0, 168, 336, 672]
    assert p.visits.mri_months == tuple(m for i, m in enumerate(p.visits.months) if i != 1)
    in_months = SMALL.replace(WEEKS[0], f"months: {list(p.visits.months)}, mri_months: {list(p.visits.mri_months)}")
    assert load(in_months).identity() == p.identity()
    assert load(SMALL.replace(WEEKS[0], "weeks: [0, 24, 48, 96]")).visits.mri_months == p.visits.months
    assert Protocol.model_validate(json.loads(p.model_dump_json()), context={"endpoint_ids": IDS}) == p


@given(st.lists(st.integers(1, 300), min_size=1, max_size=8, unique=True))
def test_whole_weeks_stay_whole(weeks):
    visits = Visits.model_validate({"weeks": [0, *sorted(weeks)]})
    days = [round(m * 365.25 / 12) for m in visits.months]
    assert days == [7 * w for w in (0, *sorted(weeks))]


@pytest.mark.parametrize(
    ("months", "years", "near"),
    [
        ([12, 24], 2, 24), ([12, 22.1], 2, 22.1), ([12, 21.5], 2, None), ([12, 26.4], 2, 26.4), ([12, 26.5], 2, None),
        ([6, 11], 1, 11), ([6, 10.4], 1, None), ([1, 3], 0.25, 3), ([1, 4.6], 0.25, None), ([24], 0.1, None),
        ([22.1, 24], 2, 24), ([0.5], 0.1, 0.5),
    ],
)  # fmt: skip
def test_a_time_means_the_nearest_visit_within_six_weeks_or_a_tenth(months, years, near):
    assert Visits.model_validate({"months": [0, *months]}).near(years) == near


def test_values_of_scans_need_a_scan_nearby(load):
    scans = SMALL.replace("window_days: 30", "mri_months: [0, 24]").replace("id: edss, est", "id: gd_lesions, est")
    with pytest.raises(InputError, match=r"at_years\.0: 1 years is near no scan; add month 12 to visits\.mri_months$"):
        load(scans)
    load(scans.replace("[1, 2]", "[2]"))


def test_how_readily_relapses_are_reported_follows_the_course_and_the_blinding(load):
    assert load(SMALL).ascertainment == "open_label_transplant"
    assert load(SMALL.replace("patient: open", "patient: blind")).ascertainment == "blind"
    assert load(SMALL.replace("course: rrms", "course: ppms")).ascertainment == "progressive"
    assert load(SMALL.replace("disease: ms", "disease: ms\nascertainment: open")).ascertainment == "open"
    without = SMALL.replace("therapy: ahsct, conditioning: beam-atg", "therapy: natalizumab")
    assert load(without).ascertainment == "blind"


OBSERVED = SMALL.replace("randomisation: {ratio: {graft: 1, drug: 2}, block_sizes: [3, 6]}", "design: observational")


def again(p: Protocol) -> Protocol:
    return Protocol.model_validate(json.loads(p.model_dump_json()), context={"endpoint_ids": IDS})


def test_the_design_is_said_where_it_cannot_be_told(load):
    assert load(SMALL).design == "randomised"
    assert load(OBSERVED).design == "observational"
    assert again(load(OBSERVED)) == load(OBSERVED)
    for written in ("rebuild", "mist"):
        assert load_protocol(written).design == "randomised"


def test_arms_of_an_observational_study_have_populations_of_their_own(load):
    own = "n: 10, population: {course: {spms: 0.4, rrms: 0.6}, resemble: {edss: {mean: 5}}},"
    p = load(OBSERVED.replace("n: 10,", own))
    graft, drug = p.population_of("graft"), p.population_of("drug")
    assert drug == p.population
    assert graft.shares == {"rrms": 0.6, "spms": 0.4}
    assert graft.eligibility == drug.eligibility
    assert graft.resemble["edss"].mean == 5.0
    assert p.ascertainment is None, "it depends on the course"
    assert (p.ascertained("rrms"), p.ascertained("spms")) == ("open_label_transplant", "progressive")
    assert again(p) == p


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ("{eligibility: [edss > 5, edss < 4]}", r"arms\.graft\.population\.eligibility\.1: eligibility lets nobody in"),
        ("{course: {rrms: 0.4, spms: 0.5}}", r"arms\.graft\.population\.course: the shares of the courses sum to 0\.9"),
        ("{eligiblity: [edss > 5]}", r"arms\.graft\.population\.eligiblity: unknown key; did you mean 'eligibility'\?"),
    ],
)
def test_a_mistake_in_the_population_of_an_arm_is_told_there(load, own, message):
    with pytest.raises(InputError, match=r"t\.yaml:9:\d+: " + message):
        load(OBSERVED.replace("n: 10,", f"n: 10, population: {own},"))


def test_shares_of_courses_may_miss_one_by_a_rounding_and_their_order_has_no_effect(load):
    mixed = load(SMALL.replace("course: rrms", "course: {spms: 0.5200005, rrms: 0.48}"))
    assert list(mixed.population.shares) == ["rrms", "spms"]
    with pytest.raises(InputError, match=r"sum to 1\.00001, not 1"):
        load(SMALL.replace("course: rrms", "course: {spms: 0.52001, rrms: 0.48}"))


def test_what_is_told_beside_a_protocol_has_no_effect(load):
    told = load(SMALL + "claims: [c001]\nbeside: [burt2019_mist]\n")
    assert (told.claims, told.beside) == (("c001",), ("burt2019_mist",))
    assert told.identity() == load(SMALL).identity()


def test_rules_hold_for_an_arm_for_several_or_for_all(load):
    p = load(SMALL.replace("per_year: 0.03", "per_year: 0.03, arms: [graft, drug]"))
    assert p.rules[0].of(tuple(p.arms)) == ("drug",)
    assert p.rules[1].of(tuple(p.arms)) == ("graft", "drug")
    assert load(SMALL).rules[1].of(tuple(p.arms)) == ("graft", "drug")


def test_a_rule_starts_a_therapy_by_name_or_with_its_settings(load):
    by_name = load(SMALL.replace("cross_over, to: graft", "switch, to: natalizumab")).rules[0].entry
    written = load(SMALL.replace("cross_over, to: graft", "add, to: {therapy: natalizumab, stop_day: 90}")).rules[0]
    assert (by_name.therapy, by_name.day) == ("natalizumab", 0)
    assert written.entry.settings["stop_day"] == 90
    assert load(SMALL).rules[0].entry is None


def test_an_arm_may_get_nothing_and_a_drug_may_stop(load):
    p = load(SMALL.replace("[{therapy: ahsct, conditioning: beam-atg, day: 30}]", "[]"))
    assert p.arms["graft"].regimen == ()
    p = load(SMALL.replace("ahsct, conditioning: beam-atg, day: 30", "ocrelizumab, stop_day: 90"))
    assert p.arms["graft"].regimen[0].settings["stop_day"] == 90


def test_a_single_arm_needs_no_randomisation(load):
    text = SMALL.replace("randomisation: {ratio: {graft: 1, drug: 2}, block_sizes: [3, 6]}\n", "")
    start, end = text.index("  drug:\n"), text.index("visits:")
    text = text[:start] + text[end:]
    text = text.replace(
        "  - {when: edss_change, arm: drug, action: cross_over, to: graft, from_month: 12, share: 0.5}\n", ""
    )
    with pytest.raises(InputError, match=r"endpoints\.primary\.estimator: cox compares two arms, there is one"):
        load(text)
    p = load(text.replace("estimator: cox", "estimator: proportion"))
    assert p.control == "graft"


def assert_loads_or_refuses(file: Path) -> None:
    message = f"{file}:"
    try:
        load_protocol(file, IDS)
    except InputError as e:
        message = str(e)
    assert message.startswith(f"{file}:")
    assert "\n" not in message


SAME = [
    ("title: A small trial", "title: Another title"),
    ("sources: {visits.months: assumed}", "notes: [a remark]"),
    ("n: 10,", "n: 10,   # comment\n   "),
    ("day: 30", "day: 30, cells_1e6_per_kg: 5, cd34_selected: no"),
    ("from_month: 12", "from_month: 12.0"),
    ("disease: ms", "control: drug\ndisease: ms"),
    ("window_days: 30", "window_days: 30, mri_months: [0, 6, 12, 24]"),
    ("disease: ms", "ascertainment: open_label_transplant\nrelapse_treatment: methylprednisolone\ndisease: ms"),
]
OTHER = [
    ("n: 10", "n: 11"),
    ("day: 30", "day: 31"),
    ("day: 30", "cells_1e6_per_kg: 6, day: 30"),
    ("natalizumab: 2, fingolimod: 1", "fingolimod: 1, natalizumab: 2"),  # the order counts for the draw
    ("disease: ms", "control: graft\ndisease: ms"),
    ("disease: ms", "analysis_set: {graft: 9}\ndisease: ms"),
    ("per_year: 0.03", "per_year: 0.030001"),
    ("edss <= 6", "edss <= 6.5"),
    ("closure: 2015-01", "closure: 2015-02"),
    ("disease: ms", "disease: ms\nascertainment: blind"),
    ("disease: ms", "disease: ms\nrelapse_treatment: none"),
    ("disease: ms", "disease: ms\ninstruments: [sdmt]"),
]


def test_identity_knows_what_matters(load):
    base = json.dumps(load(SMALL).identity(), sort_keys=True, allow_nan=False)
    for old, new in SAME:
        assert json.dumps(load(SMALL.replace(old, new, 1)).identity(), sort_keys=True) == base, new
    others = {json.dumps(load(SMALL.replace(old, new, 1)).identity(), sort_keys=True) for old, new in OTHER}
    assert base not in others
    assert len(others) == len(OTHER)


ALS = ROOT / "src/stemtrial/trial/protocols/study-19.yaml"
AT_RELAPSE = {"therapy": "choice", "of": {"edaravone": 1}, "switch_on": "relapse"}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("relapse_treatment",), "none", "relapse_treatment: there are no relapses in als; remove it"),
        (("ascertainment",), "open", "ascertainment: there are no relapses in als; remove it"),
        (("visits", "at_relapse"), True, "visits.at_relapse: there are no relapses in als; remove it"),
        (("visits", "mri_weeks"), [0, 24], "visits.mri_weeks: there are no scans in als; remove it"),
        (("rules", 0, "after"), "relapse", "rules.0.after: there are no relapses in als; name an endpoint"),
        (("arms", "placebo", "regimen", 0), AT_RELAPSE,
         "arms.placebo.regimen.0.switch_on: there are no relapses in als; name an endpoint"),
        (("population", "era"), 1.0, "population.era: means nothing in als; remove it"),
        (("population", "course"), "rrms", "population.course: course 'rrms' is not of als; valid: als"),
        (("population", "care_before_entry"), "platform_drugs",
         "population.care_before_entry: care 'platform_drugs' is not of als; valid: none, riluzole"),
    ],
)  # fmt: skip
def test_what_belongs_to_ms_is_refused_in_als(tmp_path, path, value, message):
    data = json.loads(json.dumps(load_yaml(ALS)[0])) | {"rules": [{"hazard": "drop_out", "per_year": 0.1}]}
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    (tmp_path / "t.yaml").write_text(json.dumps(data, indent=1))
    with pytest.raises(InputError) as caught:
        load_protocol(tmp_path / "t.yaml")
    assert str(caught.value).endswith(f": {message}")


def test_a_protocol_survives_its_own_dump(load):
    p = load(SMALL)
    assert Protocol.model_validate(json.loads(p.model_dump_json()), context={"endpoint_ids": IDS}) == p
    als = load_protocol(ALS)
    assert Protocol.model_validate(json.loads(als.model_dump_json())) == als


@given(st.data())
@settings(max_examples=250, deadline=None)
def test_damaged_protocols_give_a_protocol_or_an_input_error(tmp_path_factory, data):
    text = data.draw(st.sampled_from([SMALL, MIST.read_text()]))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text) - 1))
        cut = data.draw(st.integers(0, 12))
        junk = data.draw(
            st.one_of(
                st.text(max_size=6), st.sampled_from(["- ", ": 1", "{}", "[]", "null", "-1", "1e9", "[[]]", "{a: b}"])
            )
        )
        text = text[:at] + junk + text[at + cut :]
    file = tmp_path_factory.getbasetemp() / "damaged.yaml"
    file.write_text(text, encoding="utf-8", errors="replace")
    assert_loads_or_refuses(file)


@given(
    st.sampled_from(
        [
            "population",
            "accrual",
            "randomisation",
            "blinding",
            "arms",
            "visits",
            "rules",
            "endpoints",
            "sources",
            "control",
            "analysis_set",
            "notes",
            "title",
        ]
    ),
    st.recursive(
        st.sampled_from(["null", "1", "-1.5", "word", "true", "2010-01", "choice", "ahsct"]),
        lambda inner: (
            st.lists(inner, max_size=3).map(lambda v: "[" + ", ".join(v) + "]")
            | st.dictionaries(
                st.sampled_from(["n", "regimen", "therapy", "of", "when", "hazard", "months", "primary", "id"]),
                inner,
                max_size=3,
            ).map(lambda v: "{" + ", ".join(f"{k}: {x}" for k, x in v.items()) + "}")
        ),
        max_leaves=6,
    ),
)
@settings(max_examples=250, deadline=None)
def test_any_value_at_any_key_gives_a_protocol_or_an_input_error(tmp_path_factory, key, value):
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    lines, keep = [], True
    for line in SMALL.splitlines():
        if not line.startswith(" "):
            keep = not line.startswith(f"{key}:")
        if keep:
            lines.append(line)
    file.write_text("\n".join([*lines, f"{key}: {value}", ""]))
    assert_loads_or_refuses(file)


def test_names_and_paths(tmp_path):
    assert "mist" in protocol_names()
    with pytest.raises(InputError, match=r"^protocol 'mits' is not known; did you mean 'mist'\?$"):
        load_protocol("mits", IDS)
    with pytest.raises(InputError, match=r"mits\.yaml: no such file; check the path$"):
        load_protocol(str(tmp_path / "mits.yaml"), IDS)
    for name in protocol_names():
        assert load_protocol(name).protocol == name  # with the endpoints that there are
    assert load_protocol("mist", IDS) == load_protocol(MIST, IDS) == load_protocol(str(MIST), IDS)


def test_the_exported_schema_is_the_current_one_and_holds_mist():
    exported = json.loads((ROOT / "docs/protocol.schema.json").read_text())
    assert exported == json_schema(), "write docs/protocol.schema.json anew from json_schema()"
    jsonschema.Draft202012Validator.check_schema(exported)
    validator = jsonschema.Draft202012Validator(exported)
    for name in protocol_names():
        data, _ = load_yaml(MIST.with_name(f"{name}.yaml"))
        validator.validate(data)
    data, _ = load_yaml(MIST)
    data["arms"]["hsct"]["regimen"][0]["cells"] = 5
    assert not validator.is_valid(data)


# ---------------------------------------------------------------------------------------------------- MIST


@pytest.fixture(scope="module")
def mist():
    return load_protocol("mist", IDS)


def test_mist_claims_every_outcome_of_its_study_once_and_fittingly(mist):
    study = evidence.study(mist.reproduces)
    assert len(study.outcomes) == 27
    outcomes = {o.outcome_id: o for o in study.outcomes}
    claims = [(i, e) for e in mist.endpoints.all for i in e.predicts]
    assert sorted(i for i, _ in claims) == sorted(outcomes)
    estimators = {
        "hazard_ratio": "cox",
        "count": "proportion",
        "proportion": "proportion",
        "median": "median_time",
        "mean": "mean",
        "mean_change": "mean",
        "difference": "mean_difference",
        "km_probability": "kaplan_meier",
    }
    families = {
        "disability_progression": "confirmed_worsening.mist",
        "time_to_progression_months": "confirmed_worsening.mist",
        "nea": "neda3.mist",
    }
    for outcome_id, endpoint in claims:
        outcome = outcomes[outcome_id]
        assert estimators[outcome.statistic] == endpoint.estimator, outcome_id
        assert families.get(outcome.endpoint, outcome.endpoint) == endpoint.id, outcome_id
        if outcome.time_years is not None:
            assert outcome.time_years in endpoint.at_years, outcome_id


def test_mist_follows_its_record(mist):
    study = evidence.study("burt2019_mist")
    for arm in study.arms:
        assert mist.arms[arm.id].n == arm.n
        assert mist.analysis_set[arm.id] == arm.n_analysed
    assert mist.control == "dmt"
    assert mist.arms["hsct"].regimen[0].settings["conditioning"] == "cyclophosphamide-atg"
    for name, count in mist.arms["dmt"].regimen[0].of.items():
        shown = {"dimethyl_fumarate": "dimethyl fumarate", "interferon_beta": "interferon"}.get(name, name)
        assert f"{shown} {count:g}" in " ".join(next(a for a in study.arms if a.id == "dmt").therapy.split())
    assert mist.visits.months[-1] == 12 * study.follow_up_years.max
    assert mist.population.eligibility == (
        "18 <= age_years <= 55",
        "2.0 <= edss <= 6.0",
        "relapses_last_12_months >= 2",
    )


def test_mists_drop_out_and_accrual_give_the_published_follow_up(mist):
    """98 of 103 assessed at one year and 23 at five (record, notes): closed form of uniform entry and two hazards."""

    def months(text):
        year, month = text.split("-")
        return 12 * int(year) + int(month) - 1

    first, last = months(mist.accrual.start), months(mist.accrual.end) + 1
    close = months(mist.accrual.closure) + 1

    def retained(years):
        open_ = min(1, (close - 12 * years - first) / (last - first))
        hazard = sum(
            r.per_year * max(0, min(years, (r.to_month or math.inf) / 12) - r.from_month / 12)
            for r in mist.rules
            if hasattr(r, "hazard")
        )
        return open_ * math.exp(-hazard)

    assert 103 * retained(1) == pytest.approx(98, abs=0.5)
    assert 103 * retained(5) == pytest.approx(23, abs=0.5)


# ----------------------------------------------------------------------------------------------- catalogue


def test_the_catalogue_is_whole():
    names = set(catalogue())
    assert names >= {"ahsct", "natalizumab", "dimethyl_fumarate", "fingolimod", "interferon_beta", "glatiramer"}
    assert names >= {"mitoxantrone", "teriflunomide", "cladribine", "ocrelizumab", "alemtuzumab", "methylprednisolone"}
    assert "choice" not in names
    for name, info in catalogue().items():
        assert len(name) <= 32  # column `therapy` of the table of exposure
        assert ("stop_day" in info.fields) == (info.entry != "one_off")
        for key, field in info.fields.items():
            assert bool(field.choices) == (field.kind == "choice"), (name, key)
            if field.default is not None:
                assert field.parse(field.default) == field.default
    cells = catalogue()["ahsct"].fields["cells_1e6_per_kg"]
    assert (cells.minimum, cells.maximum, cells.default, cells.required) == (2, 20, 5, False)
    assert catalogue()["ahsct"].fields["conditioning"].required


def test_an_unknown_therapy_is_named():
    with pytest.raises(InputError, match=r"^therapy 'ocrelizumib' is not known; did you mean 'ocrelizumab'\?"):
        therapy_info("ocrelizumib")


@pytest.mark.parametrize("value", [True, "5", None, [5], math.nan, math.inf, 1.99, 20.01, 10**400])
def test_a_number_field_takes_only_numbers_in_range(value):
    with pytest.raises(InputError):
        catalogue()["ahsct"].fields["cells_1e6_per_kg"].parse(value)
