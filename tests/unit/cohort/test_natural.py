"""Untreated lives: the same people whatever the chunk or thread, nobody examined after death, tables as promised."""

from __future__ import annotations

import numpy as np
import pytest

from stemtrial.cohort.ms.natural import cumulative_mortality, live, lives, surviving
from stemtrial.errors import InputError
from stemtrial.parameters import point_draw
from stemtrial.tables import SCHEMAS, concat

KEYS = ("patients", "visits", "mri", "relapses", "disposition")


@pytest.fixture(scope="module")
def lived():
    return live(point_draw(), people=300, years=12, seed=4)


def test_tables_are_those_of_a_trial(lived):
    for name in KEYS:
        assert set(SCHEMAS[name].columns) <= set(lived[name])
        assert len({len(v) for v in lived[name].values()}) == 1
    assert np.array_equal(lived["patients"]["patient"], np.arange(300))
    assert set(lived["truth_patients"]) == {"replicate", "patient", "alpha", "m", "rho", "sev"}
    assert not set(lived["visits"]) & {"alpha", "ambulation_index", "smouldering", "progressive"}


def test_visits_are_half_yearly_until_death_or_the_horizon(lived):
    end = lived["disposition"]["day"]
    died = lived["disposition"]["event"] == "died"
    assert (end[~died] == 182 * 24).all()
    for name in ("visits", "mri", "relapses"):
        t = lived[name]
        assert (t["day"] <= end[t["patient"]]).all()
        assert (np.lexsort((t["day"], t["patient"])) == np.arange(len(t["day"]))).all()
    seen = np.bincount(lived["visits"]["patient"], minlength=300)
    assert (seen == np.where(died, -(-end // 182), 25)).all()
    assert (lived["visits"]["day"] == 182 * lived["visits"]["visit"]).all()


@pytest.mark.parametrize(("chunk", "threads"), [(7, 1), (128, 2), (1000, 2)])
def test_chunks_and_threads_change_no_bit(lived, chunk, threads):
    parts = list(lives(point_draw(), people=300, years=12, seed=4, chunk=chunk, threads=threads))
    for name, table in lived.items():
        again = concat([p[name] for p in parts])
        for column, values in table.items():
            assert np.array_equal(values, again[column], equal_nan=values.dtype.kind == "f"), (name, column)


def test_more_people_and_years_leave_the_first_as_they_were(lived):
    more = live(point_draw(), people=350, years=14, seed=4)
    mine = (more["visits"]["patient"] < 300) & (more["visits"]["day"] <= 182 * 24)
    assert np.array_equal(more["visits"]["edss"][mine], lived["visits"]["edss"])
    assert not np.array_equal(live(point_draw(), people=300, years=1, seed=5)["patients"]["age_years"],
                              lived["patients"]["age_years"])  # fmt: skip


def test_kinds_of_onset_differ_as_they_should():
    primary = live(point_draw(), people=200, years=4, onset="primary")
    child = live(point_draw(), people=200, years=4, onset="paediatric")
    assert primary["patients"]["age_years"].mean() > 35
    assert child["patients"]["age_years"].max() < 18
    assert not primary["truth_visits"]["progressive"].any()
    assert len(primary["relapses"]["day"]) < len(child["relapses"]["day"]) / 3


def test_later_onset_means_slower_progression():
    early, late = (live(point_draw(), people=300, years=15, onset_year=y)["truth_visits"] for y in (1960.0, 2010.0))
    assert late["smouldering"].mean() < early["smouldering"].mean() / 2


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"onset": "cis"}, "onset 'cis' is not known"),
        ({"people": 0}, "people must lie between 1"),
        ({"years": 81}, "years must lie between 1 and 80, not 81"),
        ({"every_days": 7}, "every_days must lie between 28"),
    ],
)
def test_mistakes(bad, says):
    with pytest.raises(InputError, match=says):
        live(point_draw(), **({"people": 5, "years": 2} | bad))


def test_the_general_population_is_gompertz(point):
    a, b = point["ms.gompertz_a"], point["ms.gompertz_b"]
    t = np.linspace(0, 20, 20_001)
    hazard = a * np.exp(b * (40 + t))
    total = float(((hazard[1:] + hazard[:-1]) / 2 * np.diff(t)).sum())
    total *= point["cohort.mortality.female"]
    assert cumulative_mortality(point, 40.0, True, 20.0) == pytest.approx(total, rel=1e-7)
    assert cumulative_mortality(point, 40.0, False, 20.0) > total
    assert surviving(point, 40.0, 1, 20.0) == pytest.approx(np.exp(-total), rel=1e-7)
    assert surviving(point, [30.0, 60.0], [True, False], 0.0).tolist() == [1.0, 1.0]
