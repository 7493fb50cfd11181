"""Results of single arms as publications print them: events of the whole arm, after minus before, relative changes."""

import numpy as np
import pytest

from stemtrial.evidence import study
from stemtrial.predict.estimate import Row, _location
from stemtrial.predict.rows import told_as


def outcome(outcome_id):
    return next(o for o in study(outcome_id.split("#")[0]).outcomes if o.outcome_id == outcome_id)


@pytest.mark.parametrize(
    ("endpoint", "estimator", "statistic", "outcome_id", "told"),
    [
        ("infection", "mean", "mean", "uccelli2021_mesems#6", "count"),
        ("relapse_rate", "mean", "mean", "llufriu2014_msc#7", "count"),
        ("gd_lesions.all_scans", "mean", "mean", "atkins2016_canada#3", "count"),
        ("gd_lesions", "mean", "mean", "atkins2016_canada#3", "mean"),  # of one scan: no count of the arm
        ("visual_acuity_slope", "mean", "mean_change", "connick2012_mscims#2", "difference"),
        ("nfl_change_fraction", "mean", "mean_change", "thebault2020_nfl_gfap#3", "relative_change"),
        ("nfl_change", "mean", "mean_change", "thebault2020_nfl_gfap#3", "mean_change"),  # pg/ml are no relative change
    ],
)
def test_a_publication_may_tell_a_mean_otherwise(endpoint, estimator, statistic, outcome_id, told):
    row = Row(endpoint, estimator, "hsct", None, statistic, "1", None)
    assert told_as(row, outcome(outcome_id)).statistic == told


def test_a_count_is_the_mean_times_the_patients_seen():
    y = np.array([[0.0, 2.0, 1.0, 9.0], [0.0, 0.0, 0.0, 9.0]])
    seen = np.array([[True, True, True, False]] * 2)
    row = Row("infection", "mean", "hsct", 1.0, "count", "events", None)
    np.testing.assert_array_equal(_location(row, y, None, seen), [3, 0])
    mean = Row("infection", "mean", "hsct", 1.0, "mean", "events", None)
    np.testing.assert_array_equal(_location(mean, y, None, seen), [1, 0])


def test_distinct_clones_are_told_in_clones():
    row = Row("blood.tcr_clones_1e3", "mean", "hsct", 1.0, "mean", "1e3", None)
    assert told_as(row, outcome("storek_tcr_diversity2009#3")).unit == "clones"
