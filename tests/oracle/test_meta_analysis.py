"""Random-effects meta-analysis against R metafor (frozen answers, with the call that made them in the fixture)."""

import json
from pathlib import Path

import pytest

from stemtrial.evidence.meta_analysis import random_effects

FIXTURE = json.loads((Path(__file__).parent / "fixtures" / "meta_analysis.json").read_text())


def test_fixture_says_how_it_was_made():
    assert "rma(yi, vi" in FIXTURE["call"]
    assert "knha" in FIXTURE["call"]
    assert "metafor" in FIXTURE["software"]
    assert sum(c["tau2"] == 0 for c in FIXTURE["cases"]) >= 2
    assert len({c["name"] for c in FIXTURE["cases"]}) >= 3
    sizes = {(len(c["yi"]), c["tau2"] > 0) for c in FIXTURE["cases"] if c["method"] == "REML"}
    assert {(2, False), (2, True), (3, True)} <= sizes


@pytest.mark.parametrize("case", FIXTURE["cases"], ids=lambda c: f"{c['name']}-{c['method']}")
def test_equals_metafor(case):
    got = random_effects(case["yi"], case["vi"], method=case["method"])
    for key in ("estimate", "se", "tau2", "q", "q_p", "i2", "ci", "prediction"):
        assert getattr(got, key) == pytest.approx(case[key], rel=1e-6, abs=1e-9), key
    assert got.k == len(case["yi"])
