"""Scores of rows, studies and groups, on made-up rows."""

from __future__ import annotations

import numpy as np
import pytest

from stemtrial.evidence import studies
from stemtrial.predict.metrics import crps, tie_breaker
from stemtrial.predict.scored import FORECASTERS, groups, joint_ranks, score

RNG = np.random.default_rng(4)
AFFIRM = studies()["polman2006_affirm"]


def outcome(statistic):
    return next(o for o in AFFIRM.outcomes if o.statistic == statistic and o.value is not None and o.verified)


def test_a_row_gets_every_score_on_the_scale_of_its_statistic():
    o = outcome("hazard_ratio")
    x = np.exp(RNG.normal(np.log(o.value), 0.2, 400))
    row = {"agrees": True}
    score(row, x, o, AFFIRM)
    assert row["crps"] == pytest.approx(crps(np.log(x), np.log(o.value)))
    assert 0.3 < row["pit"] < 0.7
    for column, forecast in FORECASTERS.items():
        made = forecast(o, AFFIRM)
        assert (row[column] is None) is (made is None)
        if made is not None:
            assert row[column] == pytest.approx(crps(np.log(made.values), np.log(o.value), fair=False))
            assert row["naive"][column] == made.how


def test_nothing_is_scored_where_nothing_may_be():
    row = {"agrees": None}
    score(row, np.ones(5), outcome("hazard_ratio"), AFFIRM)
    assert all(row[c] is None for c in ("pit", "crps", "interval_score", "crps_meta", "crps_no_change"))


def test_a_printed_share_ties_with_the_counts_behind_it():
    o = outcome("proportion").model_copy(update={"value": 0.042})
    row = {"agrees": True}
    score(row, np.full(99, 1 / 24), o, AFFIRM)  # 1 of 24 is printed as 0.042
    assert row["pit"] == pytest.approx(tie_breaker(o.outcome_id))


def rows_of(n_studies, inside, role="test", lane="aHSCT"):
    out = []
    for s in range(n_studies):
        for k in range(2):
            hit = RNG.random() < inside
            out.append({
                "study": f"s{s}", "protocol": f"p{s}", "cohort": f"c{s}", "outcome_id": f"s{s}#{k}", "lane": lane,
                "role": role, "phenotype": "rrms", "family": "relapse", "statistic": "mean", "headline": True,
                "why_not": None, "inside90": hit, "inside50": hit, "pit": RNG.random(), "crps": 1.0, "crps_meta": 2.0,
                "crps_no_change": None, "published": {"value": 0.0},
            })  # fmt: skip
    return out


def test_groups_sum_up_by_role_lane_family_and_phenotype():
    rows = rows_of(20, 0.9) + rows_of(5, 0.5, "fit", "ALS")
    told = {(g["role"], g["by"], g["name"]): g for g in groups(rows, [])}
    assert {k[:2] for k in told} == {(r, b) for r in ("test", "fit") for b in ("all", "lane", "family", "phenotype")}
    assert ("test", "lane", "ALS") not in told
    all_ = told["test", "all", "all"]
    assert all_["coverage"]["cohorts"] == 20
    assert all_["ratios"]["crps_meta"]["ratio"] == pytest.approx(0.5)
    assert all_["ratios"]["crps_no_change"]["ratio"] is None
    assert sum(all_["pit"]["histogram"]) == pytest.approx(1.0)
    assert not told["fit", "all", "all"]["coverage"]["judged"]


def test_joint_ranks_find_what_is_odd_together():
    rows = rows_of(2, 1.0)
    base = RNG.normal(size=400)
    values = {r["outcome_id"]: base + 0.1 * RNG.normal(size=400) for r in rows}
    for r in rows:  # both outcomes go together in every replicate, and not in the first publication
        r["published"]["value"] = 1.0 if r["study"] == "s1" or r["outcome_id"].endswith("#0") else -1.0
    told = joint_ranks(rows, values)
    assert [j["study"] for j in told] == ["s0", "s1"]
    assert told[0]["rank"] > 0.99 > 0.9 > told[1]["rank"]
    assert told[0]["outcomes"] == 2
    assert joint_ranks(rows[:1], values) == []
