"""Whoever is far out in the distribution stays a person: deficits are fractions, the brain does not vanish."""

from __future__ import annotations

import numpy as np

from stemtrial.cohort.ms.population import people_at_onset
from stemtrial.therapy import compose


def test_the_sickest_people_keep_to_their_scales(point):
    kernel, n = compose("ms", ("steroids",)), 2000
    index, days = np.arange(n, dtype=np.uint64), np.arange(0, 3650, 182)
    constants, state = people_at_onset(
        5, index, point, entry_year=np.full(n, 1995.0), duration_years=np.full(n, 5.0), onset="paediatric"
    )
    constants["alpha"] = constants["alpha"] * 20  # lesions all the time
    people = kernel.population(0, index, constants, state)
    visits = (np.repeat(np.arange(n), len(days)), np.tile(days, n))
    seen = kernel.advance(people, 0, 3650, point, 1, visits=visits).observed
    for region in ("pv", "cj", "it", "sc", "on"):
        f = seen[f"f_{region}"]
        assert ((f >= 0) & (f <= 1)).all(), region
    assert seen["f_pv"].max() > 0.95, "people were sick enough to try the limit"
    assert (seen["brain_volume_pct"] > -45).all()
    assert (seen["t2_volume_ml"] >= 0).all()
    assert set(np.unique(seen["alive"])) <= {0.0, 1.0}
