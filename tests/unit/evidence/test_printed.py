"""How many digits a study prints."""

import pytest

from stemtrial.evidence import half_unit, study

AFFIRM = study("polman2006_affirm")
OUTCOMES = {o.outcome_id: o for o in AFFIRM.outcomes}


def _outcome(**changes):
    return OUTCOMES["polman2006_affirm#1"].model_copy(update=changes)


def test_rounding_is_read_off_the_longest_number_of_its_kind():
    assert half_unit(OUTCOMES["polman2006_affirm#1"], AFFIRM) == pytest.approx(0.005)
    assert half_unit(OUTCOMES["polman2006_affirm#11"], AFFIRM) == pytest.approx(0.05)  # 11.0 beside 1.9


@pytest.mark.parametrize(("statistic", "half"), [("mean", 0.05), ("proportion", 0.005), ("count", 0.0)])
def test_a_share_is_printed_to_a_per_cent_and_a_count_is_exact(statistic, half):
    alone = _outcome(statistic=statistic, value=0.4, ci95=None)
    assert half_unit(alone, AFFIRM.model_copy(update={"outcomes": (alone,)})) == pytest.approx(half)


def test_a_number_computed_from_others_keeps_its_own_digits():
    derived = _outcome(value=0.125, ci95=None, derived=True)
    assert half_unit(derived, AFFIRM) == pytest.approx(0.0005)
    assert half_unit(_outcome(value=1 / 3, ci95=None, derived=True), AFFIRM) == 0.0
