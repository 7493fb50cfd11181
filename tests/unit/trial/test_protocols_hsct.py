"""Protocols of autologous stem-cell transplantation: each against the record of the study that it reproduces."""

import itertools

import numpy as np
import pytest

from stemtrial.endpoint import find
from stemtrial.evidence import claims, study
from stemtrial.predict.estimate import AT_A_VISIT, rows_of
from stemtrial.predict.obstacles import obstacles
from stemtrial.trial.entry import days_of
from stemtrial.trial.parts import MONTH_DAYS
from stemtrial.trial.protocol import load_protocol
from stemtrial.trial.rules import HazardRule

# Study -> its protocols, each with how many outcomes it predicts.
PROTOCOLS = {
    "atkins2016_canada": {"atkins-2016": 4},
    "beatms_design": {"beat-ms": 0},
    "boffa2021_italy210": {"boffa-2021": 7, "boffa-2021-all": 1},
    "boffa2023_spms": {"boffa-2023": 5},
    "braun2024_hamburg": {"braun-2024": 5},
    "burman2014_sweden": {"burman-2014": 5},
    "burt2003_tbi": {"burt-2003": 1, "burt-2003-edss-6": 1},
    "burt2021_507": {"burt-2021": 14, "burt-2021-all": 3},
    "das2021_firstline": {"das-2021": 3},
    "jespersen2023_denmark": {"jespersen-2023": 5},
    "kalincik2023_emulated": {
        "kalincik-2023-fingolimod": 5,
        "kalincik-2023-natalizumab": 4,
        "kalincik-2023-ocrelizumab": 5,
    },
    "kalincik2024_progressive": {"kalincik-2024": 12},
    "kvistad2020_norway": {"kvistad-2020": 6},
    "lee2017_atrophy": {"lee-2017": 2},
    "lee_haltms_bvl": {"halt-ms-atrophy": 2},
    "mancardi2015_astims": {"astims": 10},
    "mariottini2022_nfl": {"mariottini-2022-nfl": 2},
    "massarotti2021_menses": {"massarotti-2021": 2},
    "mehra2019_ebv": {"mehra-2019": 2},
    "melnichenko2021_rrms258": {"melnichenko-2021": 5},
    "moore2019_australia": {"moore-2019": 3},
    "muraro2017_longterm": {"muraro-2017": 3},
    "muraro2025_atz_ocr": {"muraro-2025-atz": 5, "muraro-2025-ocr": 5},
    "muraro2025_uk": {"muraro-2025-uk": 11},
    "nash2003_tbi": {"nash-2003": 5},
    "nash2017_haltms": {"halt-ms": 9},
    "netms_design": {"net-ms": 0},
    "nicholas2021_london": {"nicholas-2021": 7},
    "ramms_design": {"ram-ms": 0},
    "rocca2007_atrophy": {"rocca-2007": 3},
    "ruizarguelles2019_mexico617": {"ruizarguelles-2019": 3},
    "samijn2006": {"samijn-2006": 2},
    "shevchenko2015": {"shevchenko-2015": 3},
    "silfverberg2024_sweden": {"silfverberg-2024": 11},
    "singlecentre2026_29": {"singlecentre-2026": 2},
    "starms_design": {"star-ms": 0},
    "thebault2020_nfl_gfap": {"thebault-2020": 2},
    "zhukovsky2021_alem": {"zhukovsky-2021": 14},
}
OPEN_TRIALS = {"beat-ms", "star-ms", "ram-ms", "net-ms"}
ARTICLE = "article-ahsct-spms"
NAMES = sorted([name for of in PROTOCOLS.values() for name in of] + [ARTICLE])
# Study -> number of the outcome -> why no protocol predicts it.
NOT_PREDICTED = {
    "atkins2016_canada": {3: "a count of lesions over scans that nobody scheduled"},
    "beatms_design": {1: "a number of patients"},
    "boffa2021_italy210": {
        6: "compares regimens, which are not in one arm here",
        10: "of a subgroup",
        11: "of a subgroup",
    },
    "burman2014_sweden": {5: "of a subgroup", 6: "of a subgroup"},
    "burt2003_tbi": {3: "of both groups together"},
    "burt2021_507": {
        17: "ITP after alemtuzumab, which few had",
        19: "hypothyroidism is not told from other thyroid disease",
        20: "hyperthyroidism is not told from other thyroid disease",
    },
    "kalincik2023_emulated": {
        1: "a number of patients",
        14: "of all grafts together",
        16: "of an interim analysis",
        17: "of an interim analysis",
        18: "of an interim analysis",
        19: "of an interim analysis",
        20: "of an interim analysis",
        21: "of an interim analysis",
        23: "of an interim analysis",
    },
    "kalincik2024_progressive": {4: "a count of complications after discharge, which is no day of the model"},
    "kvistad2020_norway": {3: "work is not modelled"},
    "lee2017_atrophy": {
        3: "grey matter is not measured apart",
        4: "white matter is not measured apart",
        5: "grey matter",
        6: "white matter",
    },
    "lee_haltms_bvl": {
        2: "grey matter is not measured apart",
        3: "white matter is not measured apart",
        5: "grey matter",
        6: "white matter",
        7: "of a subgroup",
        8: "of a subgroup",
        9: "of a subgroup",
        10: "of a subgroup",
        11: "of a subgroup",
        12: "of a subgroup",
    },
    "mancardi2015_astims": {11: "says a direction and no number"},
    "mariottini2022_nfl": {
        2: "of the relapsing, with a limit that the record does not state",
        3: "of the progressive, with a limit that the record does not state",
    },
    "massarotti2021_menses": {3: "a coefficient of a regression", 4: "a coefficient of a regression"},
    "mehra2019_ebv": {3: "treatment of the virus is not modelled", 4: "a threshold of copies"},
    "moore2019_australia": {2: "of a subgroup", 5: "of a subgroup"},
    "muraro2017_longterm": {
        2: "of a subgroup",
        3: "of a subgroup",
        4: "of a subgroup",
        5: "of a subgroup",
        8: "a coefficient of a regression",
        9: "a coefficient of a regression",
        10: "a coefficient of a regression",
        11: "a coefficient of a regression",
    },
    "nash2003_tbi": {5: "cerebrospinal fluid is not modelled"},
    "nash2017_haltms": {9: "days to engraftment are no endpoint", 10: "platelets are not modelled"},
    "ramms_design": {1: "a number of patients"},
    "rocca2007_atrophy": {4: "a correlation"},
    "ruizarguelles2019_mexico617": {
        1: "days to engraftment are no endpoint",
        2: "platelets are not modelled",
        5: "admission after outpatient treatment is no event of the model",
        7: "of a subgroup",
        8: "the dose is set, not predicted",
    },
    "shevchenko2015": {
        3: "of a subgroup",
        4: "of a subgroup",
        5: "of those not worse in three years",
        6: "of those not worse in three years",
    },
    "singlecentre2026_29": {2: "of a subgroup", 3: "of those who failed alone"},
    "starms_design": {1: "a number of patients", 2: "a number of patients"},
    "thebault2020_nfl_gfap": {
        1: "of baseline",
        2: "of people without a graft",
        3: "a relative change, which no estimator gives so",
        5: "of baseline",
        6: "of people without a graft",
        7: "a relative change",
    },
}
# Protocol -> (arm or all, statistic, years): the published follow-up that the hazards of drop-out stand for.
FOLLOWED = {
    "atkins-2016": [(None, "median", 6.7)],
    "boffa-2021": [(None, "mean", 6.2)],
    "burman-2014": [(None, "mean", 3.92)],
    "das-2021": [(None, "median", 2.5)],
    "halt-ms": [(None, "median", 5.17)],
    "kalincik-2023-fingolimod": [("hsct_vs_fing", "mean", 4.01), ("fingolimod", "mean", 2.84)],
    "kalincik-2023-natalizumab": [("hsct_vs_nat", "mean", 4.08), ("natalizumab", "mean", 2.51)],
    "kalincik-2023-ocrelizumab": [("hsct_vs_ocr", "mean", 3.78), ("ocrelizumab", "mean", 1.52)],
    "lee-2017": [(None, "mean", 5)],
    "moore-2019": [(None, "median", 3)],
    "muraro-2017": [(None, "median", 6.6)],
    "muraro-2025-atz": [(None, "median", 3.58)],
    "muraro-2025-ocr": [(None, "median", 3.58)],
    "muraro-2025-uk": [(None, "median", 3.83)],
    "nash-2003": [(None, "median", 2)],
    "nicholas-2021": [(None, "median", 1.75)],
    "ruizarguelles-2019": [(None, "median", 1)],
    "shevchenko-2015": [(None, "median", 4.08)],
    "silfverberg-2024": [(None, "median", 5.5)],
    "singlecentre-2026": [(None, "median", 8)],
}


@pytest.fixture(scope="module", params=NAMES)
def protocol(request):
    return load_protocol(request.param)


def test_it_grafts_somebody(protocol):
    given = [e for arm in protocol.arms.values() for e in arm.regimen]
    assert "ahsct" in {e.therapy for e in given}


def test_nothing_stands_in_the_way_of_running_it(protocol):
    assert list(obstacles(protocol)) == []


def test_design_and_arms_are_those_of_the_record(protocol):
    if protocol.protocol == ARTICLE:
        return
    record = study(protocol.reproduces)
    assert (protocol.design == "randomised") == (record.kind == "rct")
    for name, arm in protocol.arms.items():
        published = record.arm(name)
        if published is None:
            assert name == "all", name
        elif protocol.reproduces == "burt2003_tbi":
            assert arm.n < published.n
        elif published.n is not None:
            assert arm.n == published.n
    if record.blinding is None or "rater" not in record.blinding:
        assert protocol.blinding.rater == "open" or protocol.protocol == "net-ms"


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_every_outcome_is_predicted_once_or_has_a_reason(name):
    outcomes = [o.outcome_id for o in study(name).outcomes]
    claimed = [o for p in PROTOCOLS[name] for use in load_protocol(p).endpoints.all for o in use.predicts]
    left = [f"{name}#{k}" for k in NOT_PREDICTED.get(name, {})]
    assert sorted(claimed + left) == sorted(outcomes)


def test_every_predicted_outcome_is_tied_to_an_estimate_of_its_arms_and_statistic(protocol):
    if protocol.protocol == ARTICLE:
        return
    record = study(protocol.reproduces)
    outcomes = {o.outcome_id: o for o in record.outcomes}
    tied = {r.outcome_id: r for r in rows_of(protocol, record) if r.outcome_id}
    assert len(tied) == PROTOCOLS[protocol.reproduces][protocol.protocol]
    for outcome_id, row in tied.items():
        o = outcomes[outcome_id]
        assert o.arms == ((row.arm,) if isinstance(row.arm, str) else row.arm), outcome_id
        assert o.statistic == row.statistic, outcome_id
        assert o.analysis != "subgroup", outcome_id


@pytest.mark.parametrize("name", [n for n in sorted(PROTOCOLS) if study(n).role == "sealed"])
def test_of_a_sealed_study_no_value_is_known(name):
    assert all(o.value is None for o in study(name).outcomes)


def test_what_counts_from_a_new_scan_has_that_scan(protocol):
    if any(use.id.endswith(".graft") for use in protocol.endpoints.all):
        assert any(abs(month - 6) < 0.6 for month in protocol.visits.mri_months)


def test_visits_confirm_worsening_and_reach_the_estimates(protocol):
    months = protocol.visits.months
    assert max(b - a for a, b in itertools.pairwise(months) if b <= 120) <= 6
    times = [t for use in protocol.endpoints.all for t in use.at_years]
    window = protocol.visits.window_days / MONTH_DAYS
    assert all(t * 12 <= months[-1] + window + 0.1 for t in times)


def test_nobody_reads_a_curve_of_visits_where_follow_up_ends(protocol):
    """The last visits fall on several days: who comes early leaves, and the last few at risk decide the curve."""
    for use in protocol.endpoints.all:
        if use.estimator.startswith("kaplan_meier") and find(use.id).rule in AT_A_VISIT:
            assert max(use.at_years) * 12 < protocol.visits.months[-1] - 3, use.id


def test_the_graft_is_on_the_day_of_entry_unless_patients_are_randomised(protocol):
    for arm in protocol.arms.values():
        for entry in arm.regimen:
            if entry.therapy == "ahsct":
                assert (entry.day > 0) == (protocol.design == "randomised")


@pytest.mark.parametrize("name", sorted(FOLLOWED))
def test_entry_closure_and_drop_out_give_the_published_follow_up(name):
    protocol = load_protocol(name)
    rules = [r for r in protocol.rules if isinstance(r, HazardRule)]
    assert len(rules) == len(FOLLOWED[name])
    length, closure, _ = days_of(protocol)
    planned = np.minimum(closure - np.linspace(0, length, 1001), protocol.follow_up_days) / 365.25
    years = np.linspace(0, protocol.follow_up_days / 365.25, 4001)
    for rule, (arm, statistic, published) in zip(rules, FOLLOWED[name], strict=True):
        assert rule.arm == arm
        followed = np.exp(-rule.per_year * years) * (planned[:, None] >= years).mean(0)
        found = np.trapezoid(followed, years) if statistic == "mean" else years[np.argmax(followed < 0.5)]
        assert found == pytest.approx(published, abs=0.1)


def test_open_trials_predict_no_outcome():
    for name in OPEN_TRIALS:
        assert not any(use.predicts for use in load_protocol(name).endpoints.all)


def test_the_article_is_told_as_told_beside_what_was_published():
    protocol = load_protocol(ARTICLE)
    assert protocol.reproduces is None
    assert protocol.design == "single_arm"
    assert {"c028", "c029"} == set(protocol.claims) <= set(claims())
    assert {study(s).role for s in protocol.beside} <= {"fit", "test"}
    assert any(use.id == "pfs" and 3 in use.at_years for use in protocol.endpoints.all)
