"""The page of a scorecard: complete in itself, misses first, a picture for every family, nothing dropped."""

from __future__ import annotations

import copy
import math
import re

import pytest

from stemtrial.report.scorecard import coverage_table, render_scorecard, row_table, write_scorecard
from stemtrial.report.scorecard_figures import MOST_Z, by_term, calibration, comparison, verdict_of
from stemtrial.report.scorecard_markdown import markdown
from stemtrial.report.words import group_by_scale


def row(k, family, term, endpoint, statistic, unit, median, pi90, value, z, agrees=True, role="test", **more):
    return {
        "study": "synthetic2000_trial", "outcome_id": f"synthetic2000_trial#{k}", "role": role, "cohort": "c",
        "family": family, "term": term, "protocol": "synthetic", "arms": "drug <b> vs placebo", "arm": ["d", "p"],
        "endpoint": endpoint, "statistic": statistic, "unit": unit, "time_years": 2.0, "median": median,
        "pi50": [(pi90[0] or 0) + 0.01, median], "pi90": pi90, "z": z, "agrees": agrees, "inside50": False,
        "inside90": agrees, "headline": agrees is not None, "why_not": None if agrees is not None else "sealed",
        "weight": 0.25, "why": "Because of <this>." if agrees is False else None,
        "published": {"value": value, "ci95": None, "n": 100, "verification": "primary" if value else "sealed"},
    } | more  # fmt: skip


def covered(inside):
    return {
        "cohorts": 3, "outcomes": 4, "inside50": 0.25, "ci90_of_50": [0.0, 0.5], "inside90": inside,
        "ci90_of_90": None, "judged": False,
    }  # fmt: skip


@pytest.fixture
def card():
    rows = [
        row(1, "relapse", "annualised_relapse_rate", "relapse_rate", "rate_ratio", "1",
            0.6, [0.5, 0.7], 0.2, -9.0, False),
        row(2, "disability", "confirmed_disability_worsening", "confirmed_worsening.12_weeks", "hazard_ratio", "1",
            0.7, [0.0, None], 0.8, 0.4),
        row(3, "mri", "gd_lesions", "gd_lesions", "mean", "lesions", 1.2, [1.0, 1.4], 1.3, 0.5),
        row(4, "mri", "gd_free", "gd_free", "proportion", "fraction", 0.5, [0.4, 0.6], None, None, None, "sealed"),
        row(5, "relapse", "relapse_free", "relapse_free", "proportion", "fraction", 0.5, [0.4, 0.6], 0.55, 1.0),
    ]  # fmt: skip
    of_all = {"role": {"test": covered(0.75)}, "family": {"mri": covered(1.0)}, "term": {"gd_lesions": covered(1.0)}}
    return {
        "settings": {
            "disease": "ms",
            "family": None,
            "blind": False,
            "replicates": 100,
            "seed": 1,
            "draws": 1,
            "draws_label": "point",
            "interval": "sampling",
        },
        "z": "a definition of z",
        "coverage": {"all": covered(0.75)} | of_all,
        "rows": rows,
        "not_predicted": [
            {
                "study": "other2001",
                "outcome_id": "other2001#3",
                "endpoint": "nea",
                "statistic": "proportion",
                "reason": "no protocol",
            }
        ],
        "not_run": [{"protocol": "gone", "study": "other2001", "reason": "therapy <x> is not known", "fault": False}],
        "protocols": [
            {
                "protocol": "synthetic",
                "study": "synthetic2000_trial",
                "role": "test",
                "digest": "d" * 64,
                "patients_per_arm": {"d": 50, "p": 50},
            }
        ],
        "disclaimer": "Research software.",
    }


def test_the_page_holds_every_row_once_and_says_what_is_missing(card):
    text = render_scorecard(card)
    for k in range(1, 6):
        assert text.count(f">synthetic2000_trial#{k}<") == 1
    assert "1 of 4 headline outcomes lie" in text
    assert "Because of &lt;this&gt;." in text
    assert "therapy &lt;x&gt; is not known" in text
    assert "no protocol" in text
    assert "a definition of z" in text
    assert "drug &lt;b&gt; vs placebo" in text
    assert "<b> vs" not in text.replace("\\u003cb\\u003e", ""), "names are escaped wherever they stand"


def test_the_page_loads_nothing_and_the_same_input_gives_the_same_page(card):
    text = render_scorecard(card)
    assert text == render_scorecard(copy.deepcopy(card))
    outside = re.findall(
        r"""(?:src|href)=["\'](?!#|data:)([^"\']+)""", re.sub(r"<script>.*?</script>", "", text, flags=re.S)
    )
    assert outside == []
    assert "default-src &#39;none&#39;" in text


def test_every_link_and_id_within_the_page_is_good(card):
    text = re.sub(r"<script.*?</script>", "", render_scorecard(card), flags=re.S)
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(ids)


def test_sealed_rows_are_shown_apart_and_never_judged(card):
    text = render_scorecard(card)
    assert "Sealed studies: predicted, not yet compared" in text
    assert verdict_of(card["rows"][3]) == ("sealed", "muted")
    told = row_table(card["rows"], {r["endpoint"]: r["endpoint"] for r in card["rows"]}, "", full=True)
    assert told.rows[3][4].text == "–"
    assert told.rows[3][6].text == "sealed"


def test_a_scorecard_of_sealed_studies_only(card):
    blind = card | {"rows": [card["rows"][3]], "coverage": {"all": covered(None), "role": {}, "family": {}, "term": {}}}
    text = render_scorecard(blind)
    assert "No published outcome to score: 1 predictions of sealed outcomes" in text
    assert 'id="calibration"' not in text


def test_a_scorecard_of_nothing(card):
    nothing = card | {
        "rows": [], "protocols": [], "not_predicted": [], "not_run": [],
        "coverage": {"all": covered(None), "role": {}, "family": {}, "term": {}},
    }  # fmt: skip
    assert "No published outcome to score" in render_scorecard(nothing)


def test_the_strip_holds_a_point_for_every_headline_with_a_z(card):
    headlines = [r for r in card["rows"] if r["headline"]]
    fig = calibration(headlines, {})
    points = [t for t in fig.data if t.name in ("inside its 90 % interval", "outside")]
    assert sum(len(t.x) for t in points) == 4
    outside = next(t for t in points if t.name == "outside")
    assert list(outside.x) == [-MOST_Z], "what is farther off stands at the edge"
    assert len(outside.x) == 1


def test_panels_share_one_scale_and_draw_interval_and_value(card):
    labels = {r["endpoint"]: r["endpoint"] for r in card["rows"]}
    for _, members in group_by_scale([r for r in card["rows"] if r["headline"]]):
        fig = comparison(members, labels)
        published = [t for t in fig.data if t.name and t.name.startswith("published")]
        assert sum(len(t.x) for t in published) == len(members)
        low, high = fig.layout.xaxis.range
        log = fig.layout.xaxis.type == "log"
        for t in published:
            assert all((low <= (math.log10(x) if log else x) <= high) for x in t.x)


def test_rows_of_one_term_stand_together_farthest_off_first(card):
    rows = [
        row(1, "relapse", "relapse_free", "relapse_free", "proportion", "fraction", 0.5, [0.4, 0.6], 0.5, 0.1),
        row(2, "relapse", "patients_with_relapse", "relapse_free", "proportion", "fraction", 0.5, [0.4, 0.6], 0.5, 2.0),
        row(3, "relapse", "relapse_free", "relapse_free", "proportion", "fraction", 0.5, [0.4, 0.6], 0.9, -5.0, False),
    ]
    assert [r["outcome_id"][-1] for r in by_term(rows)] == ["3", "1", "2"]


def test_labels_name_trial_arm_and_time_and_the_definition_where_two_rows_share_them():
    worse = ("disability", "confirmed_disability_worsening")
    rows = [
        row(
            k,
            *worse,
            f"confirmed_worsening.{weeks}_weeks",
            "hazard_ratio",
            "1",
            0.7,
            [0.5, 0.9],
            0.8,
            0.4,
            arms="A vs B",
        )
        for k, weeks in ((1, 12), (2, 24))
    ]
    both = [a.text for a in comparison(rows, {}).layout.annotations]
    assert "<b>SYNTHETIC</b> A vs B, 2 y, 12 weeks" in both
    assert "<b>SYNTHETIC</b> A vs B, 2 y, 24 weeks" in both
    assert "<b>SYNTHETIC</b> A vs B, 2 y" in [a.text for a in comparison(rows[:1], {}).layout.annotations]
    assert "✓ 0.4" in both


def test_coverage_is_a_row_a_group(card):
    told = coverage_table(card)
    assert [r[0].text for r in told.rows] == ["All headlines", "Test", "MRI", "Gadolinium-enhancing lesions"]
    assert told.rows[0][1].text == "75 %"


def test_a_page_is_written_whole(card, tmp_path):
    write_scorecard(card, tmp_path / "s.html")
    assert [p.name for p in tmp_path.iterdir()] == ["s.html"]


def test_markdown_tells_the_rules_the_groups_and_every_test_miss(card):
    ratio = {"ratio": 0.6, "ci80": [0.4, 0.9], "cohorts": 3}
    none = {"ratio": None, "ci80": None, "cohorts": 0}
    rule = {"rule": "a rule", "value": 0.75, "interval": [0.5, 0.88], "cohorts": 3, "met": False}
    group = {"role": "test", "coverage": covered(0.75), "ratios": {"crps_meta": ratio, "crps_no_change": none}}
    card["verdicts"] = {"test": {"all": {"rules": [rule]}}}
    card["groups"] = [group | {"by": "all", "name": "all"}, group | {"by": "lane", "name": "MS drugs"}]
    told = markdown(card)
    assert "| a rule | 0.75 | 0.50 to 0.88 | 3 | **missed** |" in told
    assert "| MS drugs | held out (test) | 3 | 4 | 75 % | 25 % (0 % to 50 %) | 0.60 (0.40 to 0.90; n 3) | – |" in told
    misses = [line for line in told.splitlines() if line.startswith("| synthetic2000_trial")]
    missed = [r for r in card["rows"] if r["headline"] and r["agrees"] is False]
    assert len(misses) == len(missed) == 1
    assert "(1):" in told.split("**Headlines of test studies")[1]
