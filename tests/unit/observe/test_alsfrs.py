"""ALSFRS-R: ranges, order, ends of the scale, support, streams, chunks, refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemtrial.errors import InputError
from stemtrial.observe.alsfrs import (
    DOMAIN_OF,
    DOMAINS,
    FUNCTIONS,
    ITEMS,
    N_NORMALS_ALSFRS,
    N_SLOW_ALSFRS,
    SUPPORT,
    TRAITS,
    AlsfrsRater,
    rate_alsfrs,
    sums,
    true_alsfrs,
)
from stemtrial.observe.parameters import AlsfrsParameters, load, parameter_entries
from stemtrial.observe.rater import RaterState

RESPIRATORY_INSUFFICIENCY = 11


def people(n=500, seed=1, **changes):
    """Observables and constants of ``n`` people all over the range."""
    rng = np.random.default_rng(seed)
    observed = {k: rng.uniform(0, 1, n) for k in FUNCTIONS}
    observed |= {"niv": (rng.uniform(0, 1, n) < 0.3) * 1.0, "ventilated": (rng.uniform(0, 1, n) < 0.05) * 1.0}
    return observed | changes, {k: rng.normal(size=n) for k in TRAITS}


def at(mapping, rows):
    return {k: v[rows] for k, v in mapping.items()}


def test_names():
    assert len(ITEMS) == 12
    assert sum(DOMAINS.values(), ()) == ITEMS
    assert [len(items) for items in DOMAINS.values()] == [3, 3, 3, 3]
    assert DOMAIN_OF["walking"] == "gross_motor"
    assert DOMAIN_OF["swallowing"] == "bulbar"
    assert tuple(parameter_entries()["alsfrs_difficulty"]["value"]) == ITEMS


def test_the_total_is_the_sum_of_its_domains():
    items = true_alsfrs(*people())
    total = sums(items)
    assert total["alsfrs_r"].tolist() == items.sum(1).tolist()
    np.testing.assert_array_equal(sum(total[f"alsfrs_r_{d}"] for d in DOMAINS), total["alsfrs_r"])
    np.testing.assert_array_equal(total["alsfrs_r_gross_motor"], items[:, 6:9].sum(1))
    with pytest.raises(InputError, match=r"items have shape \(2, 11\)"):
        sums(np.zeros((2, 11)))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(FUNCTIONS), st.floats(0, 1))
def test_no_item_falls_when_function_rises(seed, domain, rise):
    observed, constants = people(200, seed)
    better = observed | {domain: np.minimum(1.0, observed[domain] + rise)}
    before, after = (true_alsfrs(o, constants) for o in (observed, better))
    assert (after >= before).all()
    untouched = [i for i in range(12) if FUNCTIONS[i // 3] != domain]
    np.testing.assert_array_equal(after[:, untouched], before[:, untouched])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 0.3))
def test_items_are_scores_and_bias_only_raises_them(seed, bias):
    observed, constants = people(200, seed)
    rater = AlsfrsRater(seed)
    ids = np.arange(200)
    plain, hopeful = (
        rater.rate(ids, 10, observed, constants, RaterState.fresh(200, N_SLOW_ALSFRS), b).items for b in (0.0, bias)
    )
    assert plain.dtype == np.int8
    for items in (plain, hopeful):
        assert items.min() >= 0
        assert items.max() <= 4
    assert (hopeful >= plain).all()


def test_where_function_is_whole_or_gone_no_rater_disputes_it():
    n = 2000
    for f, score in ((1.0, 4), (0.0, 0)):
        observed, constants = people(
            n, **{k: np.full(n, f) for k in FUNCTIONS}, niv=np.zeros(n), ventilated=np.zeros(n)
        )
        items = AlsfrsRater(1).rate(np.arange(n), 0, observed, constants, RaterState.fresh(n, N_SLOW_ALSFRS), 0.2).items
        assert (items[:, :RESPIRATORY_INSUFFICIENCY] == score).all()
        assert (items[:, RESPIRATORY_INSUFFICIENCY] == (4 if f else 3)).all()


def test_respiratory_insufficiency_is_the_support_used():
    n = 300
    f = {k: np.linspace(0, 1, n) for k in FUNCTIONS}
    none, constants = people(n, **f, niv=np.zeros(n), ventilated=np.zeros(n))
    constants = {k: np.zeros(n) for k in constants}
    niv, machine = none | {"niv": np.ones(n)}, none | {"niv": np.ones(n), "ventilated": np.ones(n)}
    scores = {k: true_alsfrs(o, constants)[:, RESPIRATORY_INSUFFICIENCY] for k, o in
              (("none", none), ("niv", niv), ("machine", machine))}  # fmt: skip
    assert set(scores["niv"]) == {1, 2, 3}  # day and night, the whole night, now and then
    assert (np.diff(scores["niv"]) >= 0).all()
    assert (scores["machine"] == 0).all()
    assert set(scores["none"]) == {3, 4}
    assert (scores["none"][f["f_resp"] > 0.35] == 4).all()
    assert (scores["none"][f["f_resp"] < 0.15] == 3).all()
    np.testing.assert_array_equal(
        true_alsfrs(none, constants)[:, :RESPIRATORY_INSUFFICIENCY],
        true_alsfrs(machine, constants)[:, :RESPIRATORY_INSUFFICIENCY],
    )


def test_a_rating_depends_on_its_own_patient_and_day_alone():
    n = 400
    observed, constants = people(n)
    ids, rater = np.arange(n, dtype=np.uint64) + np.uint64(3 << 32), AlsfrsRater(9)
    whole = rater.rate(ids, 56, observed, constants, RaterState.fresh(n, N_SLOW_ALSFRS), 0.1)
    again = rater.rate(ids, 56, observed, constants, RaterState.fresh(n, N_SLOW_ALSFRS), 0.1)
    np.testing.assert_array_equal(whole.items, again.items)
    rows = np.random.default_rng(0).permutation(n)[:150]
    some = rater.rate(ids[rows], 56, at(observed, rows), at(constants, rows), RaterState.fresh(150, N_SLOW_ALSFRS), 0.1)
    np.testing.assert_array_equal(some.items, whole.items[rows])
    np.testing.assert_array_equal(some.state.h, whole.state.h[rows])
    for other in (AlsfrsRater(9, "observe.alsfrs.second"), AlsfrsRater(10)):
        assert (
            other.rate(ids, 56, observed, constants, RaterState.fresh(n, N_SLOW_ALSFRS), 0.1).items != whole.items
        ).mean() > 0.05
    assert (
        rater.rate(ids, 57, observed, constants, RaterState.fresh(n, N_SLOW_ALSFRS), 0.1).items != whole.items
    ).mean() > 0.05


def test_the_state_given_is_not_changed_and_form_stays_on_one_day():
    n = 50
    observed, constants = people(n)
    rater, state = AlsfrsRater(2), RaterState.fresh(n, N_SLOW_ALSFRS)
    first = rater.rate(np.arange(n), 7, observed, constants, state)
    np.testing.assert_array_equal(state.h, 0.0)
    second = AlsfrsRater(2, "observe.alsfrs.second").rate(np.arange(n), 7, observed, constants, first.state)
    np.testing.assert_array_equal(second.state.h, first.state.h)
    late = rater.rate(np.arange(n), 5000, observed, constants, first.state)
    assert abs(np.corrcoef(late.state.h[:, 0], first.state.h[:, 0])[0, 1]) < 0.5
    assert (late.state.last_day == 5000).all()


def test_a_changed_number_changes_the_rating():
    observed, constants = people()
    easy = load(AlsfrsParameters, {"alsfrs_difficulty.walking": -0.3})
    plain, changed = true_alsfrs(observed, constants), true_alsfrs(observed, constants, easy)
    assert [ITEMS[i] for i in range(12) if (plain[:, i] != changed[:, i]).any()] == ["walking"]


def test_rounding_beyond_the_ends_of_a_fraction_is_not_refused():
    n = 20
    exact, constants = people(n, f_bulbar=np.ones(n), f_resp=np.zeros(n))
    barely = exact | {"f_bulbar": np.full(n, 1 + 1e-12), "f_resp": np.full(n, -1e-12)}
    np.testing.assert_array_equal(true_alsfrs(barely, constants), true_alsfrs(exact, constants))


def test_no_patients():
    observed, constants = people(0)
    assert true_alsfrs(observed, constants).shape == (0, 12)
    got = AlsfrsRater(1).rate(np.arange(0), 0, observed, constants, RaterState.fresh(0, N_SLOW_ALSFRS))
    assert got.items.shape == (0, 12)


@pytest.mark.parametrize("name", [*FUNCTIONS, *SUPPORT, *TRAITS])
def test_each_column_is_asked_for_and_checked(name):
    def spoilt(change):
        observed, constants = people(20)
        home = observed if name in observed else constants
        return [m | {name: change(m[name])} if m is home else m for m in (observed, constants)]

    span = "finite" if name in TRAITS else "between 0 and 1"
    for value in (np.nan, np.inf, *(() if name in TRAITS else (1.01, -0.01))):
        with pytest.raises(InputError, match=f"'{name}' must be {span}, not {value}"):
            true_alsfrs(*spoilt(lambda x, v=value: np.where(np.arange(20) == 3, v, x)))
    state, z = RaterState.fresh(20, N_SLOW_ALSFRS), np.zeros((20, N_NORMALS_ALSFRS))
    with pytest.raises(InputError, match=rf"'{name}' has shape \(7,\); give one value for each of the 20 rows"):
        rate_alsfrs(*spoilt(lambda x: x[:7]), 0, state, z)
    observed, constants = ({k: v for k, v in m.items() if k != name} for m in people(20))
    with pytest.raises(InputError, match=f"'{name}' is not given"):
        rate_alsfrs(observed, constants, 0, state, z)


def test_refusals():
    observed, constants = people(4)
    state, z = RaterState.fresh(4, N_SLOW_ALSFRS), np.zeros((4, N_NORMALS_ALSFRS))
    with pytest.raises(InputError, match=r"normals have shape \(4, 13\)"):
        rate_alsfrs(observed, constants, 0, state, z[:, 1:])
    with pytest.raises(InputError, match="bias must be finite, not nan; give 0 for blinded raters"):
        rate_alsfrs(observed, constants, 0, state, z, np.nan)
    with pytest.raises(InputError, match=r"h of the state has shape \(4, 8\)"):
        rate_alsfrs(observed, constants, 0, state._replace(h=np.zeros((4, 8))), z)
    seen = rate_alsfrs(observed, constants, 28, state, z).state
    with pytest.raises(InputError, match="day 27 of row 0 lies before its last rating, day 28"):
        rate_alsfrs(observed, constants, 27, seen, z)
    with pytest.raises(InputError, match="'f_fine' is not given to the ALSFRS-R; did you mean 'f_fin'"):
        true_alsfrs({("f_fin" if k == "f_fine" else k): v for k, v in observed.items()}, constants)
