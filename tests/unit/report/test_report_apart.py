"""Sections beside a prediction: no effect at all, hypotheses, claims; marks of what has no human data; designs."""

from __future__ import annotations

import copy

import pytest

from stemtrial.report import render_report
from stemtrial.report.apart import (
    HYPOTHESES,
    NO_EFFECT,
    hypotheses_section,
    no_effect_section,
    no_effect_table,
    published_table,
    told_section,
)
from stemtrial.report.tables import adverse_table
from stemtrial.report.words import Names, interval_words, names_of


@pytest.fixture
def one_arm(report):
    """The synthetic report as one of a single arm, under two hypotheses, of what nobody has been given."""
    told = copy.deepcopy(report)
    told["run"] |= {"design": "single_arm", "interval": "sampling+trial_effects"}
    told["run"]["without_human_data"] = {"cells": ["made-up cells: by a made-up way"]}
    for row in told["estimates"]:
        span = {"median": row["median"], "pi50": row["pi50"], "pi90": row["pi90"]}
        row["no_effect"] = span | {"difference": {"median": 0.123, "pi90": [0.1, 0.2]}, "without_rating_bias": 0.456}
        row["hypotheses"] = {"optimistic": span | {"n": 321}, "sceptical": span | {"n": 679}}
        row["labels"] = ["prediction_without_human_data"]
    weight = {"family": "nsc", "parameter": "nsc.w", "weight": 0.3, "source": "assumed, made up", "meaning": "weight"}
    told["hypotheses"] = [weight]
    told["claims"] = [
        {"claim": "c000", "article": "an article", "text": "Cells cure <all>", "verdict": "contradicted",
         "what_the_record_says": "Nobody was cured", "quantities": {"cured": 0, "range": [1, 2]}, "sources": []}
    ]  # fmt: skip
    outcome = {"outcome_id": "s#1", "endpoint": "edss", "label": "EDSS", "arm": "a", "time_years": 1, "n": 9,
               "statistic": "mean", "unit": "EDSS", "value": 4.25, "ci95": None, "verification": "primary"}  # fmt: skip
    sealed = outcome | {"outcome_id": "s#2", "value": None, "verification": "sealed"}
    told["beside"] = [
        {
            "study": "s",
            "citation": "Somebody 2000",
            "doi": None,
            "role": "test",
            "arms": [],
            "outcomes": [outcome, sealed],
        }
    ]
    return told


def texts(table):
    return [[" ".join((c.text, *c.notes)) for c in row] for row in table.rows]


def test_a_page_tells_design_label_and_sections(one_arm):
    page = render_report(one_arm)
    for words in (NO_EFFECT, HYPOTHESES, "What the article says, what the record says, what the model says",
                  "Prediction without human data", "made-up cells: by a made-up way", "One arm", "no human data",
                  "Sampling and effects of the trial", "Cells cure &lt;all&gt;", "Nobody was cured"):  # fmt: skip
        assert words in page, words
    assert "years since randomisation" not in page
    assert "years since entry" in page


def test_a_randomised_page_has_none_of_them(report):
    page = render_report(report)
    for words in (NO_EFFECT, HYPOTHESES, "What the article says", "without human data", "One arm"):
        assert words not in page, words
    names = names_of(report)
    assert no_effect_section(report, names) is hypotheses_section(report, names) is told_section(report, names) is None


def test_no_effect_stands_beside_predicted_and_published(one_arm):
    rows = [r for r in one_arm["estimates"] if (r["published"] or {}).get("value") is not None]
    table = no_effect_table(rows, Names(), "told")
    assert table.columns[1:] == ["Published", "Predicted", "No effect at all", "Difference", "No effect, blind raters"]
    for row in rows:
        row["no_effect"]["without_rating_bias"] = None
    assert len(no_effect_table(rows, Names(), "told").columns) == 5
    section = no_effect_section(one_arm, names_of(one_arm))
    assert "It has no control arm" in section.intro
    one_arm["run"]["design"] = "observational"
    assert "not allocated by chance" in no_effect_section(one_arm, names_of(one_arm)).intro


def test_hypotheses_say_weights_their_source_and_replicates(one_arm):
    section = hypotheses_section(one_arm, names_of(one_arm))
    assert "optimistic 30 %, sceptical 70 %" in section.intro
    assert "assumed, made up" in section.intro
    cells = texts(section.figures[0].tables[0])
    assert all("321 replicates" in line[2] and "679 replicates" in line[3] for line in cells)


def test_published_outcomes_beside_are_shown_and_sealed_ones_withheld(one_arm):
    known, sealed = texts(published_table(one_arm["beside"][0]))
    assert "4.25" in known[-1]
    assert sealed[-1] == "sealed"


def test_studies_alone_are_no_article(one_arm):
    del one_arm["claims"]
    assert "article" not in told_section(one_arm, names_of(one_arm)).title


def test_adverse_events_of_many_terms_read_in_columns():
    rows = [
        {"term": f"term {k}", "arm": "a", "cause": "cells", "grade": 3, "serious": True, "percent_median": 50.0 - k,
         "percent_lo": 1.0, "percent_hi": 60.0, "events": 2.5, "severe_percent": 7.0, "serious_percent": 8.0,
         "day": 12.0}
        for k in range(30)
    ]  # fmt: skip
    rows.append(rows[0] | {"term": "never", "percent_median": 0.0, "percent_hi": 0.0, "events": 0.0, "day": None})
    table = adverse_table(rows, Names())
    assert len(table.rows) == 30, "what never came is left out"
    assert texts(table)[0] == ["term 0 grade up to 3", "A cells", "50 1 to 60", "2.50", "7", "8", "12"]


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ("sampling", "sampling"),
        ("sampling+trial_effects", "sampling and effects of the trial"),
        ("sampling+trial_effects+parameters", "sampling, effects of the trial and parameters"),
        (None, ""),
    ],
)
def test_what_intervals_hold_in_words(held, words):
    assert interval_words(held) == words
