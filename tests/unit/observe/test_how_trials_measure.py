"""What differs between trials that measure the same truth: how widely raters err, what a reading centre counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemtrial.errors import InputError
from stemtrial.observe import N_NORMALS, N_SLOW, Deficits, PatientWeights, RaterState, rate_edss, scan, true_edss
from stemtrial.observe.alsfrs import N_NORMALS_ALSFRS, N_SLOW_ALSFRS, TRAITS, rate_alsfrs, true_alsfrs
from stemtrial.observe.mri import read_by

N = 4000


def rated(spread, seed=3):
    """EDSS of two visits, and the state carried, at one truth."""
    f, w = Deficits(*(np.full(N, 0.2) for _ in range(5))), PatientWeights(0.5, 0.5, 0.03)
    rng = np.random.default_rng(seed)
    first = rate_edss(f, w, 0, RaterState.fresh(N, N_SLOW), rng.standard_normal((N, N_NORMALS)), spread=spread)
    second = rate_edss(f, w, 90, first.state, rng.standard_normal((N, N_NORMALS)), spread=spread)
    return true_edss(f, w), first, second


def test_edss_scatters_by_the_spread_around_the_same_truth():
    true, *none = rated(0.0)
    assert all((r.edss == true).all() for r in none)
    sd = []
    for x in (0.5, 1.0, 2.0):
        _, first, second = rated(np.full(N, x))
        sd.append(first.edss.std())
        assert (first.state.h == rated(1.0)[1].state.h).all(), "what is carried is in SDs"
        assert np.corrcoef(first.edss, second.edss)[0, 1] > 0.05, "errors that last scatter too"
    assert sd[0] < 0.75 * sd[1] < 0.75 * 0.75 * sd[2]
    for a, b in zip(rated(1.0)[1:], rated(np.ones(N))[1:], strict=True):
        np.testing.assert_array_equal(a.edss, b.edss)
        np.testing.assert_array_equal(a.fs, b.fs)


def test_items_scatter_by_the_spread_and_form_stays_the_patients_own():
    seen = {k: np.full(N, 0.6) for k in ("f_bulbar", "f_fine", "f_gross", "f_resp")}
    seen |= {"niv": np.zeros(N), "ventilated": np.zeros(N)}
    traits = {t: np.zeros(N) for t in TRAITS}
    z = np.random.default_rng(1).standard_normal((N, N_NORMALS_ALSFRS))
    fresh = RaterState.fresh(N, N_SLOW_ALSFRS)
    errors = z.copy()
    errors[:, 13] = 0.0  # raters alone
    sd = {
        x: rate_alsfrs(seen, traits, 0, fresh, errors, spread=x).items[:, :11].sum(1).std()
        for x in (0.0, 0.5, 1.0, 2.0)
    }
    assert 0 == sd[0.0] < sd[0.5] < sd[1.0] < sd[2.0]
    still = np.zeros_like(z)
    np.testing.assert_array_equal(
        rate_alsfrs(seen, traits, 0, fresh, still, spread=3.0).items, true_alsfrs(seen, traits)
    )
    z[:, :13] = 0.0  # the form alone
    a, b = (rate_alsfrs(seen, traits, 0, fresh, z, spread=x).items for x in (1.0, 3.0))
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("spread", [-0.1, np.nan, np.inf])
def test_a_spread_is_no_negative_number(spread):
    z = np.zeros((1, N_NORMALS))
    with pytest.raises(InputError, match="spread must be 0 or more"):
        rate_edss(
            Deficits(0.1, 0.1, 0.1, 0.1, 0.1), PatientWeights(0.5, 0.5, 0.03), 0, RaterState.fresh(1, N_SLOW), z,
            spread=spread,
        )  # fmt: skip


@given(st.integers(0, 60), st.floats(0.0, 4.0), st.floats(0.0, 1.0), st.floats(0.001, 0.999))
def test_a_centre_counts_more_with_a_larger_factor_and_nothing_where_there_is_nothing(n, factor, more, u):
    count = [int(read_by(np.array([n]), x, u)[0]) for x in (factor, factor + more)]
    assert 0 <= n * np.floor(factor) <= count[0] <= count[1]
    assert count[0] <= n * np.ceil(factor)
    assert read_by(np.array([n]), float(round(factor)), u)[0] == n * round(factor)


@pytest.mark.parametrize("factor", [0.3, 0.8, 1.0, 1.4, 2.3])
def test_the_mean_count_is_multiplied(factor):
    rng = np.random.default_rng(2)
    lesions = rng.poisson(3.0, 40_000)
    assert read_by(lesions, factor, rng.uniform(size=40_000)).mean() == pytest.approx(factor * lesions.mean(), rel=0.01)


def test_a_scan_is_read_by_its_centre_and_keeps_its_errors():
    ids, ones = np.arange(N), np.ones(N)
    truth = {"gd_lesions": 2 * ones, "t2_counter": 5 * ones, "t2_counter_previous": ones, "t2_volume_ml": 8 * ones,
             "brain_volume_change_pct": -ones, "is_baseline": ids == 0}  # fmt: skip
    plain, same = scan(1, ids, 365, **truth), scan(1, ids, 365, **truth, reading=ones, atrophy=ones)
    for name, x in plain.items():
        np.testing.assert_array_equal(x, same[name])
    half = scan(1, ids, 365, **truth, reading=np.where(ids < N // 2, 0.5, 1.0), atrophy=1.5)
    assert half["gd_lesions"][: N // 2].mean() == pytest.approx(1.0, abs=0.08)
    assert half["new_t2_lesions"][: N // 2].mean() == pytest.approx(2.0, abs=0.08)
    np.testing.assert_array_equal(half["new_t2_lesions"][N // 2 :], plain["new_t2_lesions"][N // 2 :])
    np.testing.assert_allclose(half["t2_volume_ml"][: N // 2], plain["t2_volume_ml"][: N // 2] * 0.5**0.5)
    change = half["brain_volume_change_pct"] - plain["brain_volume_change_pct"]
    np.testing.assert_allclose(change[1:], -0.5)
    assert half["brain_volume_change_pct"][0] == 0.0
    with pytest.raises(InputError, match="reading"):
        scan(1, ids, 365, **truth, reading=-1.0)
