"""The scorecard: what it runs, what it reads back, what it says of what it could not run or does not predict."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pytest

import stemtrial.predict.scorecard as module
from stemtrial.errors import InputError
from stemtrial.evidence import studies
from stemtrial.predict import protocol_of
from stemtrial.predict.compare import protocols_of, reproductions
from stemtrial.predict.entered import MOST_PATIENTS, capped, entries, file_of, without_results
from stemtrial.predict.families import FAMILIES, families_of_study
from stemtrial.predict.lanes import Choice, lane_of, phenotype_of
from stemtrial.predict.run import Settings
from stemtrial.predict.scorecard import labels_of_arms, scorecard
from stemtrial.trial.protocol import load_protocol, protocol_names

MIST = Path(file_of("mist")).read_text(encoding="utf-8")
SETTINGS = Settings(replicates=12, seed=3, threads=2, point=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Protocols: MIST, one refused by the file's rules, one by what can be computed, one of no study."""
    place = tmp_path_factory.mktemp("protocols")
    changes = {
        "broken": ("therapy: ahsct", "therapy: ahsc"),
        "odd": ("{id: relapse_rate, estimator: negative_binomial}", "{id: relapse_rate, estimator: cox}"),
    }
    for name, (old, new) in changes.items():
        assert old in MIST
        (place / f"{name}.yaml").write_text(MIST.replace(old, new))
    untied = re.sub(r",? *predicts: \[[^\]]*\]|\n *predicts:(\n *- burt2019_mist#\d+)+", "", MIST)
    (place / "free.yaml").write_text(untied.replace("reproduces: burt2019_mist\n", ""))
    return place


@pytest.fixture(scope="module")
def names(folder):
    return ["mist", *(str(folder / f"{n}.yaml") for n in ("broken", "odd"))]


@pytest.fixture(scope="module")
def card(names, tmp_path_factory):
    return scorecard(SETTINGS, tmp_path_factory.mktemp("card"), names=names, disease="ms")


def test_a_refused_protocol_costs_only_itself(card):
    assert [p["protocol"] for p in card["protocols"]] == ["mist"]
    assert len(card["not_run"]) == 2
    assert all(n["study"] == "burt2019_mist" and not n["fault"] for n in card["not_run"])
    reasons = " ".join(n["reason"] for n in card["not_run"])
    assert "did you mean 'ahsct'" in reasons
    assert "does not fit" in reasons


def test_rows_are_those_of_the_run_with_what_the_scorecard_adds(card):
    published = {o.outcome_id: o for o in studies()["burt2019_mist"].outcomes}
    assert {r["outcome_id"] for r in card["rows"]} == set(published)
    for r in card["rows"]:
        o = published[r["outcome_id"]]
        assert r["role"] == o.role
        assert r["published"]["value"] == o.value
        assert r["inside90"] is r["agrees"]
        if r["inside50"]:
            assert r["inside90"], "what lies in the half lies in the nine tenths"
        assert r["headline"] is (r["why_not"] is None)
        assert (r["why"] is not None) is (r["agrees"] is False)
    headlines = [r for r in card["rows"] if r["headline"]]
    assert sum(r["weight"] for r in headlines) == pytest.approx(1.0)
    for r in card["rows"]:
        assert (r["lane"], r["phenotype"]) == ("aHSCT", "rrms")
        scored = r["agrees"] is not None
        assert (r["pit"] is not None) is scored
        some = scored and r["n_not_estimable"] < r["n_replicates"]  # else there is no distance to measure
        assert all((r[c] is not None) is some for c in ("crps", "interval_score"))
        assert not some or (0 <= r["pit"] <= 1 and r["crps"] >= 0)
    misses = [r for r in headlines if r["agrees"] is False]
    assert card["rows"][: len(misses)] == misses
    sizes = [abs(r["z"] or 0) for r in misses]
    assert sizes == sorted(sizes, reverse=True)


def test_arms_are_named_by_what_they_get(card):
    assert {r["arms"] for r in card["rows"]} == {"aHSCT", "drugs", "aHSCT vs drugs"}
    assert labels_of_arms(load_protocol("mist"), "all arms") == "all arms"


def test_every_outcome_of_a_study_with_a_role_is_predicted_or_said_why(card):
    told = {r["outcome_id"] for r in card["rows"]} | {n["outcome_id"] for n in card["not_predicted"]}
    wanted = {
        o.outcome_id
        for s in studies().values()
        if s.disease == "ms" and s.family in ("ms", "hsct", "cells") and s.role in ("fit", "test", "sealed")
        for o in s.outcomes
    }
    assert wanted <= told
    assert not {r["outcome_id"] for r in card["rows"]} & {n["outcome_id"] for n in card["not_predicted"]}
    assert all(n["reason"] for n in card["not_predicted"])


def test_a_finished_run_is_read_back_and_a_lost_one_made_again(names, tmp_path, monkeypatch):
    first = scorecard(SETTINGS, tmp_path, names=names)
    made: list[str] = []
    real = module.predict
    monkeypatch.setattr(module, "predict", lambda p, *a, **k: (made.append(p.protocol), real(p, *a, **k))[1])
    again = scorecard(SETTINGS, tmp_path, names=names)
    assert made == []
    assert json.dumps(again["rows"]) == json.dumps(first["rows"])
    assert [p["digest"] for p in again["protocols"]] == [p["digest"] for p in first["protocols"]]
    run = next(tmp_path.glob("mist-*"))
    (run / "run.json").unlink()  # as of a run that was killed
    third = scorecard(SETTINGS, tmp_path, names=names)
    assert made == ["mist"]
    assert json.dumps(third["rows"]) == json.dumps(first["rows"])


def test_a_fault_in_one_protocol_is_told_and_not_hidden(names, tmp_path, monkeypatch):
    def broken(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(module, "predict", broken)
    card = scorecard(SETTINGS, tmp_path, names=["mist"])
    assert [(n["reason"], n["fault"]) for n in card["not_run"]] == [("ZeroDivisionError: by nothing", True)]
    assert {n["reason"] for n in card["not_predicted"] if n["study"] == "burt2019_mist"} == {"protocol not run"}


def test_a_full_disk_ends_it(tmp_path, monkeypatch):
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "predict", full)
    with pytest.raises(OSError, match="No space"):
        scorecard(SETTINGS, tmp_path, names=["mist"])


def test_only_the_published_size_is_scored(tmp_path):
    with pytest.raises(InputError, match="runs trials of the published size"):
        scorecard(Settings(patients=10), tmp_path, names=["mist"])


# -- which protocols ---------------------------------------------------------------------------------------------------
def test_all_packaged_protocols_that_reproduce_a_study_are_entered():
    found = entries()
    assert {e.name for e in found} <= set(protocol_names())
    assert {e.study for e in found} >= {"burt2019_mist", "polman2006_affirm", "hauser2017_opera"}
    assert all((e.protocol is None) is (e.reason is not None) for e in found)


def test_families_and_blind_choose():
    named = {f: {e.name for e in entries(Choice("ms", f))} for f in FAMILIES["ms"]}
    assert {"mist", "astims"} <= named["ahsct"]
    assert "affirm" in named["drugs"]
    assert "petrou-2020" in named["msc"]
    assert "genchi-2023" in named["nsc"]
    assert named["opc"] == set(), "nobody has published a trial of oligodendrocyte precursors from iPSC in MS"
    for f, g in itertools.combinations(FAMILIES["ms"], 2):
        assert not named[f] & named[g]
    lanes = {name: {e.name for e in entries(Choice("all", name))} for name in ("ms-drugs", "ahsct", "cells", "als")}
    assert lanes["ms-drugs"] == named["drugs"]
    assert lanes["ahsct"] == named["ahsct"]
    assert lanes["cells"] == named["msc"] | named["nsc"]
    assert lanes["als"] == {e.name for e in entries(Choice("als"))}
    assert entries(Choice("all", "natural-history")) == []
    with pytest.raises(InputError, match=r"family 'drug' is not known; did you mean 'drugs'"):
        Choice("all", "drug")
    with pytest.raises(InputError, match=r"family 'treg' has no trials in MS"):
        Choice("ms", "treg")
    with pytest.raises(InputError, match=r"disease 'msa' is not known; did you mean 'ms'"):
        Choice("msa")


def test_blind_are_sealed_studies_and_trials_without_results():
    found = {e.name: e for e in entries(blind=True)}
    waiting = {n for n, e in found.items() if studies()[e.study].role != "sealed"}
    assert waiting == {"ram-ms", "beat-ms", "star-ms", "net-ms"}
    assert all(without_results(studies()[found[n].study]) for n in waiting)
    assert {"silfverberg-2024", "nabavi-2019"} <= set(found)
    assert all(e.skipped is None for e in found.values())


def test_what_nobody_reads_is_skipped_unless_asked_for():
    skipped = {e.name: e.skipped for e in entries() if e.skipped}
    assert skipped["ram-ms"] == "its study is context"
    assert skipped["treg-2018"] == "it predicts no published outcome"
    assert not {"opera", "opera-1", "mist"} & set(skipped), "OPERA I alone has outcomes of its own"
    assert not any(e.skipped for e in entries(every=True))
    both = [e.skipped for e in entries(names=["mist", "mist"])]
    assert both == [None, "another protocol of the study predicts the same outcomes"]


def test_registries_are_capped():
    boffa = load_protocol("boffa-2023")
    assert max(a.n for a in boffa.arms.values()) <= MOST_PATIENTS
    assert capped(boffa) is boffa
    fewer = capped(boffa, 100)
    assert {k: a.n for k, a in fewer.arms.items()} == {k: min(a.n, 100) for k, a in boffa.arms.items()}
    assert all(n <= 100 for n in fewer.analysis_set.values())


def test_lanes_and_phenotypes():
    assert lane_of("ms", {"drugs"}) == "MS drugs"
    assert lane_of("ms", {"ahsct"}) == "aHSCT"
    assert lane_of("ms", {"msc"}) == lane_of("ms", {"nsc", "msc"}) == "MSC/NSC"
    assert lane_of("als", {"msc"}) == "ALS"
    told = {n: phenotype_of(load_protocol(n)) for n in ("mist", "oratorio", "expand", "muraro-2025-uk", "centaur")}
    assert told == {"mist": "rrms", "oratorio": "ppms", "expand": "spms", "muraro-2025-uk": "mixed", "centaur": "als"}


@pytest.mark.parametrize(
    ("study", "families"),
    [
        ("burt2019_mist", {"ahsct"}),
        ("polman2006_affirm", {"drugs"}),
        ("petrou2020_brain", {"msc"}),
        ("cohen2023_nurown", {"msc"}),
        ("genchi2023_stems", {"nsc"}),
    ],
)
def test_a_study_belongs_to_the_family_of_its_arms(study, families):
    assert families_of_study(studies()[study]) == families


def test_what_a_family_does_not_predict_is_of_its_studies(tmp_path):
    card = scorecard(SETTINGS, tmp_path, family="nsc", names=[])
    told = {n["study"] for n in card["not_predicted"]}
    assert told
    assert all(families_of_study(studies()[s]) == {"nsc"} for s in told)


def test_a_protocol_without_a_study_is_no_entry(folder):
    assert load_protocol(folder / "free.yaml").reproduces is None
    assert entries(names=[str(folder / "free.yaml")]) == []


def test_several_protocols_may_reproduce_one_study():
    assert protocols_of("hauser2017_opera") == ("opera", "opera-1", "opera-2")
    assert protocol_of("hauser2017_opera") == "opera"
    assert reproductions()["burt2019_mist"] == ("mist",)
    with pytest.raises(InputError, match=r"no protocol reproduces 'absinta2019_prl' yet; studies with a protocol: "):
        protocol_of("absinta2019_prl")
    with pytest.raises(InputError, match="did you mean 'burt2019_mist'"):
        protocol_of("burt2019_mis")
