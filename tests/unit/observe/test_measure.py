"""measure: every instrument of the table of visits keeps its range, its stream and its refusals."""

import numpy as np
import pytest

from stemtrial.errors import InputError
from stemtrial.observe import View, measure


def visit(n=400, day=84, seed=1, **changes):
    rng = np.random.default_rng(seed)
    observed = {f"f_{r}": rng.beta(1.2, 5, n) for r in ("pv", "cj", "it", "sc", "on")}
    observed |= {"age_years": rng.uniform(10, 70, n), "nfl_pg_ml": rng.lognormal(2.3, 0.5, n)}
    constants = {"w_it": rng.beta(4, 4, n), "w_sc": rng.beta(6, 6, n), "res": np.full(n, 0.028)}
    given = {
        "seed": 7, "patient": np.arange(n, dtype=np.uint64), "day": np.full(n, day), "observed": observed,
        "constants": constants, "edss": rng.integers(0, 15, n) / 2, "fs": rng.integers(0, 5, (n, 7)).astype(np.int8),
        "days_since_relapse": rng.integers(0, 900, n).astype(float),
    }  # fmt: skip
    return View(**(given | changes))


NAMES = ("edss", "t25fw_s", "nine_hole_peg_s", "sdmt", "nfl_pg_ml")


@pytest.mark.parametrize("name", NAMES)
def test_an_instrument_is_the_same_alone_and_among_others(name):
    view = visit()
    np.testing.assert_array_equal(measure(view, [name])[name], measure(view, NAMES)[name])


def test_an_unknown_instrument_is_refused():
    with pytest.raises(InputError, match="instrument 't25fw' is not known at visits; did you mean 't25fw_s'"):
        measure(visit(), ["t25fw"])
