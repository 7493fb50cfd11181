"""MRI, NfL and function tests: known values, distributions, refusals; the register of instruments."""

import numpy as np
import pytest
from scipy import stats

from stemtrial.errors import InputError
from stemtrial.observe import (
    Deficits,
    brain_volume_change,
    instruments,
    new_t2_lesions,
    nfl,
    nine_hole_peg,
    parameter_entries,
    scan,
    sdmt,
    t2_volume,
    t25fw,
    visible_gd,
)


@pytest.mark.parametrize(("n", "hidden"), [(1, 0.3), (7, 0.45), (7, 0.8), (40, 0.02), (1000, 0.5), (1000, 0.999)])
def test_visible_gd_is_the_binomial_quantile(n, hidden):
    u = np.linspace(0.001, 0.999, 257)
    got = visible_gd(np.full(u.size, n), hidden, u)
    expected = stats.binom(n, 1 - hidden).ppf(u)
    np.testing.assert_array_equal(got, expected)


def test_visible_gd_at_the_ends():
    np.testing.assert_array_equal(visible_gd([5, 5, 0], [0.0, 1.0, 0.5], 0.7), [5, 0, 0])


def test_new_t2_is_the_counter_difference():
    np.testing.assert_array_equal(new_t2_lesions([5, 9], [5, 4]), [0, 5])
    with pytest.raises(InputError, match="falls by 2"):
        new_t2_lesions([3], [5])


def test_volumes_and_nfl():
    np.testing.assert_allclose(t2_volume([10.0, 0.0], [1.0, 3.0]), [10 * np.exp(0.05), 0.0])
    np.testing.assert_allclose(brain_volume_change([0.0, -0.5], [True, False], [2.0, 1.0]), [0.0, -0.3])
    np.testing.assert_allclose(nfl([12.0], [-1.0]), [12 * np.exp(-0.1)])


def test_function_tests_at_age_37_and_with_deficit():
    f = Deficits(0.2, 0.1, 0.3, 0.4, 0.0)
    assert t25fw(0.0, 37, 0.0) == pytest.approx(4.4)
    assert t25fw(0.3, 47, 0.0) == pytest.approx(4.4 * np.exp(0.195 + 0.567 + 0.04))
    assert t25fw(1.0, 47, 0.0) == pytest.approx(180.0)
    assert nine_hole_peg(f, 37, 0.0) == pytest.approx(18.5 * np.exp(0.15 + 0.12 + 0.04))
    assert sdmt(f, 47, 0, 0.0) == pytest.approx(58 - 2.5 - 35 * 0.3)
    assert sdmt(f, 47, 5, 1.0) == pytest.approx(58 - 2.5 - 35 * 0.3 + 3.0 + 3.5)


def test_scan_gives_the_mri_columns_and_repeats_itself():
    truth = {
        "gd_lesions": [3, 0], "t2_counter": [4, 2], "t2_counter_previous": [1, 2], "t2_volume_ml": [8.0, 2.0],
        "brain_volume_change_pct": [-0.4, 0.0], "is_baseline": [False, True], "hidden_fraction": 0.4,
    }  # fmt: skip
    a = scan(7, [11, 12], 365, **truth)
    b = scan(7, [11, 12], 365, **truth)
    assert list(a) == ["gd_lesions", "new_t2_lesions", "t2_volume_ml", "brain_volume_change_pct"]
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])
    assert a["brain_volume_change_pct"][1] == 0.0
    other = scan(8, [11, 12], 365, **truth)
    assert (a["t2_volume_ml"] != other["t2_volume_ml"]).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: visible_gd([1.5], 0.1, 0.5), "gd_lesions must be a whole number, not 1.5"),
        (lambda: visible_gd([-1], 0.1, 0.5), "gd_lesions must be between 0 and 1000, not -1"),
        (lambda: visible_gd([1], 1.1, 0.5), "hidden_fraction must be between 0 and 1, not 1.1"),
        (lambda: t2_volume([-1.0], [0.0]), "t2_volume_ml must be >= 0, not -1"),
        (lambda: nfl([np.nan], [0.0]), "nfl_pg_ml must be >= 0, not nan"),
        (lambda: t25fw([0.1], [-3], [0.0]), "age_years must be between 0 and 130, not -3"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_register_and_parameters_are_complete():
    register = instruments()
    entries = parameter_entries()
    assert {"edss", "gd_lesions", "new_t2_lesions", "t2_volume_ml", "brain_volume_change_pct", "nfl_pg_ml"} <= set(
        register
    )
    for name, instrument in register.items():
        assert name == instrument.name
        assert instrument.low < instrument.high
        assert instrument.unit
        assert instrument.noise
        assert instrument.source
        assert set(instrument.parameters) <= set(entries)
    for name, entry in entries.items():
        assert set(entry) == {"value", "unit", "meaning", "source", "prior"}, name
        prior = entry["prior"]
        needs = {"lognormal": {"median", "sd_log"}, "normal": {"mean", "sd"}, "beta": {"a", "b"}, "fixed": set()}
        assert set(prior) - {"dist"} == needs[prior["dist"]], name
