"""MRI, NfL and function tests: known values, distributions, refusals; the register of instruments."""

import numpy as np
import pytest
from scipy import stats

from stemtrial.errors import InputError
from stemtrial.observe import (
    Deficits,
    brain_volume_change,
    gfap,
    instruments,
    lesion_mtr,
    lesion_mwf,
    low_contrast_acuity,
    new_t2_lesions,
    nfl,
    nine_hole_peg,
    parameter_entries,
    relapse_recovery,
    relapse_severity,
    scan,
    scan_done,
    sdmt,
    slowly_expanding_lesions,
    t2_volume,
    t25fw,
    vep_p100,
    visible_gd,
    visual_acuity,
)
from stemtrial.observe.lesions import _poisson_quantile
from stemtrial.observe.mri import SPECIAL


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
    arm = 0.5 * 0.3 + 0.3 * 0.4 + 0.2 * 0.2
    assert nine_hole_peg(f, 37, 0.0) == pytest.approx(18.5 * np.exp(0.5 * arm + 4.0 * arm**2))
    assert nine_hole_peg(f, 37, 1.0, person=-1.0) == pytest.approx(18.5 * np.exp(0.5 * arm + 4 * arm**2 + 0.06 - 0.1))
    assert t25fw(0.3, 37, 0.0, gait=1.0) == pytest.approx(4.4 * np.exp((0.195 + 0.567) * np.exp(0.3)))
    assert t25fw(0.3, 37, 1.0, form=2.0, person=1.0) == pytest.approx(4.4 * np.exp(0.195 + 0.567 + 0.07 + 0.198 + 0.12))
    assert t25fw(0.0, 37, 0.0, edss=7.0) == 180.0
    assert nine_hole_peg(f, 37, 0.0, edss=[8.5, 9.0])[1] == 300.0
    assert sdmt(f, 47, 0, 0.0) == pytest.approx(58 - 2.5 - 35 * 0.3)
    assert sdmt(f, 47, 5, 1.0) == pytest.approx(58 - 2.5 - 35 * 0.3 + 3.0 + 3.5)


def test_vision_and_gfap_without_error():
    assert vep_p100(0.1, 0.2, 0.0) == pytest.approx(102 + 12 + 6)
    assert visual_acuity(0.5, 0.0) == pytest.approx(-0.1 + 0.2 + 0.2)
    assert low_contrast_acuity(0.2, 0.3, 0.0) == pytest.approx(43 - 9 - 6)
    assert gfap(1.0, 47, 3, 4.0, 0.0) == pytest.approx(80 * 2 * np.exp(0.12 + 0.45 * np.log(2) - 0.2 + 0.03))


def test_lesion_myelin_falls_with_the_demyelinated_share_and_needs_a_lesion():
    np.testing.assert_allclose(lesion_mtr([1.0, 0.0, 1.0], [0.0, 2.0, 1.0], 0.0), [65.0, 90.0, 77.5])
    np.testing.assert_allclose(lesion_mwf([1.0, 0.0], [0.0, 2.0], 0.0), [9.0, 15.3])
    assert np.isnan(lesion_mtr([0.0], [0.0], [0.0])).all()
    assert np.isnan(lesion_mwf([0.0], [0.0], [0.0])).all()
    assert (lesion_mtr([0.0], [1.0], [99.0]) <= 100.0).all()


@pytest.mark.parametrize("volume", [0.0, 0.1, 1.3, 40.0])
def test_slowly_expanding_lesions_are_a_poisson_quantile(volume):
    z = np.linspace(-3.5, 3.5, 101)
    got = slowly_expanding_lesions(np.full(101, volume), z * np.sqrt(0.2), person=z * np.sqrt(0.8))
    np.testing.assert_array_equal(got, np.maximum(0, stats.poisson(4 * volume).ppf(stats.norm.cdf(z))))


def test_the_compiled_loop_is_compiled_once():
    for n in (1, 7, 300):
        slowly_expanding_lesions(np.ones(n), np.zeros(n))
        slowly_expanding_lesions([1.0] * n, 0.0)
    assert len(_poisson_quantile.signatures) == 1


def test_special_columns_come_when_asked_for_and_shift_no_other():
    n = 5000
    ids, ones = np.arange(n), np.ones(n)
    truth = {
        "gd_lesions": ones, "t2_counter": ones, "t2_counter_previous": ones, "t2_volume_ml": ones,
        "brain_volume_change_pct": -ones, "is_baseline": ids % 2 == 0, "demyelinated_ml": 2 * ones,
        "remyelinated_ml": ones, "chronic_active_ml": ones,
    }  # fmt: skip
    plain, every, one = (scan(7, ids, 365, **truth, columns=c) for c in ((), SPECIAL, SPECIAL[1:2]))
    for name, values in plain.items():
        np.testing.assert_array_equal(values, every[name])
    np.testing.assert_array_equal(one[SPECIAL[1]], every[SPECIAL[1]])
    for name in SPECIAL:
        gone = np.isnan(every[name])
        assert not gone[::2].any()
        assert gone[1::2].mean() == pytest.approx(0.08, abs=0.02)
    later = scan(7, ids, 800, **truth, columns=SPECIAL)
    both = ~np.isnan(every["slowly_expanding_lesions"]) & ~np.isnan(later["slowly_expanding_lesions"])
    pair = every["slowly_expanding_lesions"][both], later["slowly_expanding_lesions"][both]
    assert np.corrcoef(*pair)[0, 1] == pytest.approx(0.8, abs=0.05)


def test_scans_are_missed_at_random_and_never_at_baseline():
    ids = np.arange(20_000)
    assert scan_done(7, ids, 365, np.zeros(20_000, bool)).mean() == pytest.approx(0.96, abs=0.005)
    assert scan_done(7, ids, 0, np.ones(20_000, bool)).all()


def test_relapses_by_severity_and_recovery():
    before, at = [2.0, 2.0, 2.0, 2.0, 0.0, 3.0, 2.0], [2.0, 2.5, 3.0, 3.5, 2.0, 6.0, 1.5]
    severity = relapse_severity(before, at).tolist()
    assert severity == ["mild", "mild", "moderate", "moderate", "severe", "severe", "mild"]
    assert relapse_severity([2.0], [3.0], {"relapse_moderate_edss": 1.5}) == ["mild"]
    np.testing.assert_allclose(
        relapse_recovery([2, 2, 2, 2, 2], [4, 4, 4, 4, 2], [2, 3, 4, 5, 2]), [1, 0.5, 0, -0.5, np.nan]
    )


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


def one_scan(**changes):
    truth = {
        "gd_lesions": [1], "t2_counter": [1], "t2_counter_previous": [1], "t2_volume_ml": [1.0],
        "brain_volume_change_pct": [0.0], "is_baseline": [False],
    }  # fmt: skip
    return scan(1, [1], [30], **(truth | changes))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: visible_gd([1.5], 0.1, 0.5), "gd_lesions must be a whole number, not 1.5"),
        (lambda: visible_gd([-1], 0.1, 0.5), "gd_lesions must be between 0 and 1000, not -1"),
        (lambda: visible_gd([1], 1.1, 0.5), "hidden_fraction must be between 0 and 1, not 1.1"),
        (lambda: t2_volume([-1.0], [0.0]), "t2_volume_ml must be >= 0, not -1"),
        (lambda: nfl([np.nan], [0.0]), "nfl_pg_ml must be >= 0, not nan"),
        (lambda: lesion_mtr([-1.0], [1.0], [0.0]), "demyelinated_ml must be between 0 and 500, not -1"),
        (lambda: lesion_mwf([1.0], [np.nan], [0.0]), "remyelinated_ml must be between 0 and 500, not nan"),
        (lambda: slowly_expanding_lesions([101.0], [0.0]), "chronic_active_ml must be between 0 and 100, not 101"),
        (lambda: one_scan(t2_volume_ml=[-2.0]), "t2_volume_ml must be >= 0, not -2"),
        (lambda: one_scan(brain_volume_change_pct=[-101.0]), "must be between -100 and 100, not -101"),
        (lambda: one_scan(t2_counter=[1], t2_counter_previous=[3]), "falls by 2 between two scans"),
        (lambda: one_scan(columns=["lesion_mtr"]), "instrument 'lesion_mtr' is not known at scans; did you mean"),
        (lambda: one_scan(columns=["lesion_mtr_pct"]), "reads demyelinated_ml, which the scan was not given"),
        (lambda: relapse_severity([0.5], [2.0]), "edss_before must be a step of the EDSS .* not 0.5"),
        (lambda: relapse_severity([1.0], [10.5]), "edss_at must be between 0 and 10, not 10.5"),
        (lambda: relapse_recovery([1.0], [3.0], [2.2]), "edss_after must be a step of the EDSS .* not 2.2"),
        (lambda: vep_p100([-0.1], [0.0], [0.0]), "demyelinated_on_ml must be >= 0, not -0.1"),
        (lambda: visual_acuity([1.1], [0.0]), "f_on must be between 0 and 1, not 1.1"),
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
        assert set(instrument.parameters) | set(instrument.missing_parameters) <= set(entries)
        assert instrument.practice.endswith(".")
        assert instrument.missing.endswith(".")
        assert bool(instrument.missing_parameters) != instrument.missing.startswith("Never: ")
        assert instrument.diseases
    for name, entry in entries.items():
        assert set(entry) == {"value", "unit", "meaning", "source", "prior"}, name
        prior = entry["prior"]
        needs = {"lognormal": {"sd"}, "normal": {"sd"}, "fixed": set()}[prior["dist"]]
        assert set(prior) - {"dist"} == needs, name
