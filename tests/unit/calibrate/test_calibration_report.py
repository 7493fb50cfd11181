"""What a fit learned, as data and as a page, of blocks whose answers are known."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from fabricated import NOISE, fitted_block, fitted_blocks, untold

from stemtrial.calibrate.report import calibration_report, summary_lines
from stemtrial.parameters import registry
from stemtrial.report.calibration import markdown, render_calibration


@pytest.fixture(scope="module")
def fitted():
    return fitted_blocks()


@pytest.fixture(scope="module")
def report(fitted):
    return calibration_report(fitted, label="posterior-x", core_hours={"ms": 3.5})


@pytest.fixture(scope="module")
def page(report):
    return render_calibration(report)


def block(report, name):
    return next(b for b in report["blocks"] if b["name"] == name)


def test_it_is_plain_json(report):
    assert json.loads(json.dumps(report, allow_nan=False)) == report


@pytest.mark.parametrize("name", ["ms", "ahsct", "cells", "als"])
def test_parameters_without_data_stay_at_their_priors_and_no_others(report, name):
    for p in block(report, name)["parameters"]:
        assert p["stays_at_prior"] is (p["name"] in untold(name)), p["name"]
        assert p["informed_by"] == [] if p["stays_at_prior"] else len(p["informed_by"]) == 1


def test_shrinkage_and_information_are_those_of_the_linear_problem(report):
    b = block(report, "ms")
    told = [p for p in b["parameters"] if not p["stays_at_prior"]]
    expected = 1 - 1 / (1 + 1 / NOISE**2)
    assert np.allclose([p["shrinkage"] for p in told], expected, atol=1e-9)
    # each has a datum of its own, so that what informs the k-th is the k-th
    assert told[4]["informed_by"][0]["outcome_id"] == "ms_study_1#1"
    assert 0 < told[4]["informed_by"][0]["precision"] <= 1 / NOISE**2
    i = b["identifiability"]
    assert i["told"] <= len(told)
    assert i["eigenvalues"] == sorted(i["eigenvalues"], reverse=True)
    assert sum(v > 1e-9 for v in i["eigenvalues"]) == len(told)
    assert i["learned"] == pytest.approx(expected * len(told), abs=1e-6)


def test_effects_of_the_trial_take_from_the_directions_told(fitted):
    """Shared effects of a trial hide the common part of its data: fewer directions than with sampling noise alone."""
    from dataclasses import replace

    few = calibration_report({"als": fitted["als"]})
    sds = replace(fitted["als"].sds, mode=np.zeros(len(fitted["als"].effects)))
    alone = calibration_report({"als": replace(fitted["als"], sds=sds)})
    a, b = (x["blocks"][0]["identifiability"]["eigenvalues"] for x in (few, alone))
    assert sum(a) < sum(b) - 0.1
    assert b[0] == pytest.approx(1 / NOISE**2)


def test_prior_and_posterior_are_in_the_unit_of_the_parameter(fitted, report):
    p, k = block(report, "ms")["parameters"][0], 0
    q = registry()[p["name"]]
    assert p["prior"]["median"] == pytest.approx(q.value)  # normal or lognormal
    f = fitted["ms"]
    at = f.ensemble.names.index(p["name"])
    assert p["posterior"]["median"] == pytest.approx(np.median(f.ensemble.values[:, at]))
    assert p["z"]["mean"] == pytest.approx(f.z[:, k].mean())


def test_data_stand_with_the_farthest_off_first(report):
    for b in report["blocks"]:
        far = [abs(r["position"] - 0.5) for r in b["data"]]
        assert far == sorted(far, reverse=True)
        first = b["data"][0]
        assert first["outcome_id"].endswith("_study_0#2")
        assert first["inside90"] is False
        assert first["position"] == 0
        assert first["z"] < -4
        assert first["posterior"]["median"] > first["published"]


def test_published_and_predicted_share_a_unit(report):
    rows = {r["outcome_id"]: r for r in block(report, "ms")["data"]}
    share, rate, mean = (rows[f"ms_study_1#{k}"] for k in (3, 1, 2))
    assert {r["statistic"] for r in (share, rate, mean)} == {"proportion", "rate", "mean"}
    for r in rows.values():
        assert r["published"] == 0.4
        if r["z"] > -3:
            assert r["posterior"]["pi90"][0] < 0.4 < r["posterior"]["pi90"][1]
    missing = next(r for r in rows.values() if r["not_estimable"])
    assert missing["outcome_id"] == "ms_study_0#1"
    assert missing["not_estimable"] == 1


def test_coverage_counts_the_misses(report):
    for b in report["blocks"]:
        misses = sum(r["inside90"] is False for r in b["data"])
        every = b["coverage"][0]
        assert every["domain"] == "all"
        assert every["data"] == len(b["data"])
        assert every["inside90"] == pytest.approx(1 - misses / len(b["data"]))
        assert misses >= 1


def test_sds_start_from_what_the_block_before_left(fitted, report):
    first, later = (block(report, n)["effects"][0] for n in ("ms", "ahsct"))
    assert first["prior"]["median"] == pytest.approx(registry()[first["name"]].value)
    assert later["prior"]["median"] == pytest.approx(np.median(fitted["ms"].sds.draws[:, 0]))
    assert later["prior"]["pi90"][1] < first["prior"]["pi90"][1]


def test_a_collapsed_ensemble_is_told():
    from dataclasses import replace

    f = fitted_block("als")
    told = calibration_report({"als": replace(f, z=0.01 * f.z)})
    assert told["blocks"][0]["spread"]["collapsed"] is True
    assert any("collapsed" in line for line in summary_lines(told))
    assert "The ensemble collapsed" in render_calibration(told)


def test_summary_says_what_stays(report):
    lines = summary_lines(report)
    assert len(lines) == 8
    assert f"parameters that stay at their priors: {len(untold('ms'))} (" in lines[0]
    assert not any("collapsed" in line for line in lines)


def test_the_page_holds_every_parameter_and_datum_and_loads_nothing(report, page):
    for b in report["blocks"]:
        for p in b["parameters"]:
            assert p["name"] in page
        for r in b["data"]:
            assert page.count(r["outcome_id"]) >= 2  # beside the picture, and in the table of all
    outside = re.sub(r"<script.*?</script>", "", page, flags=re.S)
    assert not re.search(r"(src|href)=.?https?:", outside)
    assert "posterior-x" in page
    assert "3.50 core-hours" in page


def test_ids_of_the_page_are_unique(page):
    outside = re.sub(r"<script>.*?</script>", "", page, flags=re.S)
    ids = re.findall(r'\bid="([^"]+)"', outside)
    assert len(ids) == len(set(ids))


def test_the_tables_of_the_documentation(report):
    told = markdown(report)
    assert "Posterior `posterior-x`" in told
    for p in block(report, "ms")["parameters"]:
        assert f"| `{p['name']}` |" in told
    assert "| stays |" in told
