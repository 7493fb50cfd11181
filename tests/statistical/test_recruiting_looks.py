"""Lives that are looked at several times give the recruits of lives that are looked at once."""

import numpy as np
import pytest

from stemtrial.cohort.clinic import Care
from stemtrial.cohort.eligibility import Eligibility
from stemtrial.cohort.recruit import clinic_of
from stemtrial.parameters import point_draw
from stemtrial.trial.protocol import load_protocol
from stemtrial.trial.recruiting import care_of

MEASURED = (
    "age_years", "disease_duration_years", "edss", "relapses_last_12_months", "gd_lesions", "t2_volume_ml", "female",
)  # fmt: skip
CASES = {  # people looked at once, and several times: about as much work
    "affirm": (24_000, 8_000),
    "expand": (8_000, 4_000),
}


def moments(kernel, care: Care, rules: Eligibility, people: np.ndarray, once: bool):
    """Means, their errors (lives are independent, recruits of one are not), and standard deviations."""
    p, clinic = point_draw({f"cohort.referral_times.{care.course}": 1.0} if once else {})[0], clinic_of(care.disease)
    found = clinic.batch(kernel, p, care, rules, people, 2)
    _, life = np.unique(found["index"] // clinic.times(p, care), return_inverse=True)
    out = {}
    for name in MEASURED:
        x = found[f"x:{name}"]
        apart = np.bincount(life, weights=x - x.mean())
        out[name] = x.mean(), np.sqrt((apart**2).sum()) / len(x), x.std()
    return out, len(x)


@pytest.mark.parametrize("name", CASES)
def test_recruits_are_alike_however_often_a_life_is_looked_at(everything, name):
    protocol, (once, several) = load_protocol(name), CASES[name]
    care, rules = care_of(protocol), protocol.population.criteria
    people = np.arange(10**6, 10**6 + once + several, dtype=np.uint64)  # two lots: independent
    (one, n), (many, m) = (
        moments(everything, care, rules, who, alone)
        for who, alone in ((people[:once], True), (people[once:], False))
    )  # fmt: skip
    assert min(n, m) > 500
    assert m / several > 3 * n / once, "several recruits a life"
    for column in MEASURED:
        (a, error, spread), (b, other, width) = one[column], many[column]
        noise = np.hypot(error, other)
        assert noise < 0.1 * spread, f"{column}: too few to tell"
        assert abs(a - b) < 3.5 * noise, column
        if column in ("age_years", "disease_duration_years", "edss"):  # the spread of the others hangs on a few people
            assert width == pytest.approx(spread, rel=0.15), column
