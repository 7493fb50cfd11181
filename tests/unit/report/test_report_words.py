"""Numbers and names as a reader meets them."""

from __future__ import annotations

import pytest

from stemtrial.report.words import Names, arms_of, group_by_scale, off_by, scale_of, shown, span, years


@pytest.mark.parametrize(
    ("time", "said"),
    [(0.25, "3 months"), (0.46, "24 weeks"), (1 / 12, "1 month"), (1, "1 year"), (0, "baseline"),
     (0.92, "48 weeks"), (11 / 12, "11 months"), (0.54, "28 weeks"), (0.62, "0.62 years"), (1.3798, "72 weeks"),
     (1.84, "96 weeks"), (1.5, "1.5 years"), (2.3, "2.3 years")],
)  # fmt: skip
def test_times_are_told_in_the_unit_of_a_visit(time, said):
    assert years(time) == said
    brief = {"months": "mo", "month": "mo", "weeks": "wk", "years": "y", "year": "y", "baseline": "baseline"}
    assert years(time, short=True) == " ".join(brief.get(w, w) for w in said.split())


@pytest.mark.parametrize(
    ("arm", "statistic", "said"),
    [
        ("msc_ntf", "mean", "msc ntf"),
        (["a", "b"], "difference", "a vs b"),
        (["a", "b"], "count", "a and b"),
        (["a1", "a2", "b", "c"], "count", "all 4 arms"),
    ],
)
def test_arms_are_contrasted_or_taken_together(arm, statistic, said):
    assert arms_of({"arm": arm, "statistic": statistic}) == said


def test_a_share_of_patients_is_a_percentage_even_where_its_endpoint_has_various_units():
    assert scale_of({"statistic": "proportion", "unit": "various"}).factor == 100
    assert scale_of({"statistic": "proportion", "unit": "%"}).factor == 1


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ((0.0098, 0.2083), "0.010 to 0.208"),
        ((6.14, 41.67), "6.1 to 41.7"),
        ((0.58, 1.5), "0.58 to 1.50"),
        ((-0.1371, -0.0031), "−0.137 to −0.003"),
        ((0.0012, 900.0), "0.001 to 900.000"),
        ((2.0, 2.0), "2 to 2"),
    ],
)
def test_an_interval_is_as_fine_as_its_width_and_no_end_reads_zero(pair, said):
    assert span(pair) == said


def test_what_counts_deaths_is_not_called_survival():
    names = Names(endpoints={"overall_survival": "Overall survival"})
    titles = {
        s: names.title({"endpoint": "overall_survival", "statistic": s}) for s in ("proportion", "km_probability")
    }
    assert titles == {"proportion": "Deaths", "km_probability": "Overall survival"}


def test_what_is_left_of_equal_numbers_is_zero():
    row = {"median": 0.1 + 0.2 - 0.3, "unit": "fraction", "statistic": "proportion"}
    assert shown(row, scale_of(row))["median"] == 0.0


def test_small_changes_have_an_axis_of_their_own_and_none_is_lost():
    def row(endpoint, high):
        return {"endpoint": endpoint, "statistic": "mean_change", "unit": "%", "pi90": [0.0, high]}

    rows = [row("walk", 800.0), row("myelin", 1.0), row("peg", 90.0), row("myelin", 2.0)]
    groups = [[r["endpoint"] for r in members] for _, members in group_by_scale(rows)]
    assert groups == [["walk", "peg"], ["myelin", "myelin"]]
    assert len({scale.title for scale, _ in group_by_scale(rows)}) == 2
    assert len(group_by_scale([row("walk", 8.0), row("myelin", 1.0)])) == 1


@pytest.mark.parametrize(
    ("value", "error", "said"),
    [
        (-1.2e-4, 0.0042, "−0.0001 ± 0.0042"),
        (-0.001, 0.19, "0.00 ± 0.19"),
        (12.3, 17.4, "12 ± 17"),
        (None, 1, "– ± 1.0"),
    ],
)
def test_a_bias_is_no_finer_than_its_error(value, error, said):
    assert " ± ".join(off_by(value, error)) == said
