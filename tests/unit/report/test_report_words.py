"""Numbers and names as a reader meets them."""

from __future__ import annotations

import pytest

from stemtrial.report.words import Names, group_by_scale, scale_of, shown, span, years


@pytest.mark.parametrize(
    ("time", "said"),
    [(0.25, "3 months"), (0.46, "24 weeks"), (1 / 12, "1 month"), (1, "1 year"), (0, "baseline")],
)  # fmt: skip
def test_times_are_told_in_the_unit_of_a_visit(time, said):
    assert years(time) == said


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
