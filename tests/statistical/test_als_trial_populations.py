"""What the criteria of a trial make of its placebo arm: whom they select decides how fast it falls.

Directions that follow from the criteria are asked for, with margins well above chance, and no published outcome.
"""

import itertools

import numpy as np
import pytest

from stemtrial.parameters import point_draw
from stemtrial.predict.estimate import Analysed, estimate, rows_of
from stemtrial.therapy import compose
from stemtrial.trial.conduct import conduct
from stemtrial.trial.entry import families_of
from stemtrial.trial.protocol import Protocol, load_protocol
from stemtrial.trial.recruiting import recruit_for

PATIENTS, REPLICATES = 100, 100
YEARS = 24 * 7 / 365.25
RUN_IN = "-4 <= alsfrs_r_change_last_12_weeks <= -1"


def untreated(name: str, instead: str | None = None) -> Protocol:
    """One arm without a drug, of whom the criteria of a protocol let in; nobody is weighted, nobody leaves.

    ``instead`` replaces the rule on the run-in.
    """
    given = load_protocol(name).model_dump(exclude={"sources", "notes", "analysis_set", "ascertainment"})
    rules = [instead if instead and r == RUN_IN else r for r in given["population"]["eligibility"]]
    given["population"] |= {"eligibility": rules, "resemble": {}}
    return Protocol.model_validate(
        given
        | {
            "arms": {"placebo": {"n": PATIENTS, "regimen": []}},
            "control": "placebo", "design": "single_arm", "randomisation": None, "rules": (), "reproduces": None,
            "visits": {"weeks": [0.0, 12.0, 24.0]},
            "endpoints": {
                "primary": {"id": "alsfrs_r_slope", "estimator": "random_slope", "at_years": [YEARS]},
                "secondary": [{"id": "alsfrs_r_change", "estimator": "mean", "at_years": [YEARS]}],
            },
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def fall():
    """Mean slope in points a year, and its standard error over repeated trials."""
    kernel, draws = compose("als", families_of(load_protocol("centaur")), width=64), point_draw()

    def measured(name, instead=None):
        protocol = untreated(name, instead)
        people = recruit_for(protocol, kernel, draws, threads=2)
        trial = conduct(protocol, people, kernel, draws[0], 1, replicates=range(REPLICATES))
        slope = estimate(rows_of(protocol, None), Analysed(trial.tables, protocol))[0]
        return slope.mean(), slope.std(ddof=1) / np.sqrt(REPLICATES)

    return measured


def test_the_further_and_faster_by_criteria_the_faster_after_entry(fall):
    """Three regions in 18 months; two regions in 24; less than 1.1 points a month since onset."""
    found = [fall(name) for name in ("centaur", "phoenix", "masitinib-als")]
    for (a, se_a), (b, se_b) in itertools.pairwise(found):
        assert b - a > 4 * np.hypot(se_a, se_b)


def test_who_fell_in_a_run_in_goes_on_falling_faster_than_who_did_not(fall):
    """Among those who met all other criteria of study 19."""
    fell, se_f = fall("study-19", "alsfrs_r_change_last_12_weeks <= -1")
    stayed, se_s = fall("study-19", "alsfrs_r_change_last_12_weeks >= 0")
    assert stayed - fell > 4 * np.hypot(se_f, se_s)
