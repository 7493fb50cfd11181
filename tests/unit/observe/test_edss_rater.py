"""EDSS rater: published numbers of the design prototype, monotonicity, purity, streams, refusals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemtrial.errors import InputError
from stemtrial.observe import (
    FS_MAX,
    N_NORMALS,
    N_SLOW,
    Deficits,
    EdssParameters,
    EdssRater,
    PatientWeights,
    RaterState,
    edss_from_fs,
    functional_systems,
    load,
    rate_edss,
    true_edss,
)

# Frozen from fs_latent() and edss() of the prototype of docs/design/ms_model.md: numpy default_rng(20),
# f = beta(1.2, 6) rounded to 3 digits, first row zero. (f_pv..f_on), (wIT, wSC, res), grades, ambulation, EDSS.
PROTOTYPE = [
    ([0.0, 0.0, 0.0, 0.0, 0.0], [0.391, 0.437, 0.043], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], 0.000000, 0.0),
    (
        [0.03, 0.619, 0.16, 0.123, 0.236],
        [0.396, 0.655, 0.021],
        [1.563291, 1.499332, 1.715466, 1.361759, 1.055902, 2.297132, 3.114075],
        0.123697,
        4.0,
    ),
    (
        [0.159, 0.103, 0.006, 0.129, 0.51],
        [0.713, 0.365, 0.022],
        [1.330909, 0.0, 0.0, 1.328532, 1.089905, 3.961157, 1.584185],
        0.088205,
        4.0,
    ),
    (
        [0.317, 0.194, 0.262, 0.029, 0.105],
        [0.489, 0.544, 0.041],
        [0.975996, 2.384487, 2.135482, 0.50836, 0.0, 0.990416, 2.476546],
        0.118768,
        3.0,
    ),
    (
        [0.257, 0.134, 0.278, 0.38, 0.32],
        [0.751, 0.393, 0.022],
        [3.172057, 3.122524, 1.810237, 3.244706, 2.555906, 2.854475, 2.15299],
        0.334157,
        6.0,
    ),
    (
        [0.104, 0.031, 0.109, 0.032, 0.083],
        [0.423, 0.793, 0.03],
        [0.598951, 1.09036, 1.12917, 0.237064, 0.0, 0.879645, 0.783366],
        0.059716,
        1.5,
    ),
    (
        [0.195, 0.115, 0.008, 0.086, 0.247],
        [0.418, 0.454, 0.028],
        [1.013732, 0.0, 0.0, 0.810429, 0.644471, 2.320045, 1.752326],
        0.068655,
        2.5,
    ),
    (
        [0.334, 0.025, 0.022, 0.057, 0.13],
        [0.293, 0.514, 0.026],
        [0.994189, 0.391391, 0.0, 0.512059, 0.349722, 1.40628, 1.985802],
        0.066892,
        2.0,
    ),
    (
        [0.232, 0.092, 0.037, 0.03, 0.318],
        [0.717, 0.596, 0.019],
        [0.727825, 0.790788, 0.144381, 0.276816, 0.045334, 2.862967, 1.895074],
        0.049834,
        3.5,
    ),
    (
        [0.125, 0.379, 0.294, 0.288, 0.217],
        [0.752, 0.587, 0.036],
        [2.724571, 3.082467, 1.762106, 2.463764, 1.966113, 2.035011, 2.487962],
        0.289162,
        5.5,
    ),
    (
        [0.004, 0.182, 0.337, 0.173, 0.048],
        [0.504, 0.538, 0.03],
        [1.987153, 2.798415, 2.654687, 1.932855, 1.31762, 0.393263, 1.103238],
        0.203667,
        4.0,
    ),
    (
        [0.404, 0.066, 0.123, 0.111, 0.141],
        [0.501, 0.492, 0.024],
        [1.666548, 1.603076, 1.229949, 1.271313, 0.923885, 1.525101, 2.449801],
        0.134811,
        3.0,
    ),
    (
        [0.243, 0.044, 0.077, 0.019, 0.398],
        [0.537, 0.286, 0.025],
        [0.571734, 1.086774, 0.732385, 0.135595, 0.0, 3.311995, 1.674012],
        0.053043,
        3.5,
    ),
    (
        [0.182, 0.071, 0.391, 0.091, 0.183],
        [0.227, 0.435, 0.015],
        [1.756314, 2.534282, 3.738176, 1.637082, 0.872486, 1.953218, 1.608073],
        0.159572,
        4.0,
    ),
    (
        [0.148, 0.245, 0.225, 0.004, 0.026],
        [0.85, 0.498, 0.036],
        [0.438107, 2.715857, 1.164773, 0.059432, 0.0, 0.0, 2.045116],
        0.095701,
        3.5,
    ),
    (
        [0.49, 0.102, 0.228, 0.261, 0.413],
        [0.506, 0.512, 0.034],
        [2.713563, 2.348682, 1.930647, 2.321941, 1.830212, 3.341449, 2.826072],
        0.263422,
        5.0,
    ),
]
F = np.array([row[0] for row in PROTOTYPE])
W = np.array([row[1] for row in PROTOTYPE])


def deficits(f):
    return Deficits(*np.asarray(f, float).reshape(-1, 5).T)


def weights(w):
    return PatientWeights(*np.asarray(w, float).reshape(-1, 3).T)


def test_latent_grades_and_ambulation_are_those_of_the_prototype():
    g, amb = functional_systems(deficits(F), weights(W))
    np.testing.assert_allclose(g, [row[2] for row in PROTOTYPE], atol=2e-6)
    np.testing.assert_allclose(amb, [row[3] for row in PROTOTYPE], atol=2e-6)


def test_edss_is_that_of_the_prototype_where_no_conversion_acts():
    got = true_edss(deficits(F), weights(W))
    raw = np.floor(np.array([row[2] for row in PROTOTYPE]) + 0.5)
    same = (raw[:, 5] < 3) & (raw[:, 4] < 4) & (raw.max(axis=1) < 5) & ((raw == 2).sum(axis=1) < 6)
    assert same.sum() >= 10
    np.testing.assert_array_equal(got[same], np.array([row[4] for row in PROTOTYPE])[same])
    assert got[8] == 2.5  # visual grade 3 counts as 2: two grades of 2, where the prototype read 3.5


@pytest.mark.parametrize(
    ("fs", "edss"),
    [
        ((0, 0, 0, 0, 0, 0, 0), 0.0),
        ((1, 0, 0, 0, 0, 0, 0), 1.0),
        ((1, 1, 0, 0, 0, 0, 1), 1.5),
        ((2, 1, 1, 0, 0, 0, 0), 2.0),
        ((2, 0, 0, 2, 0, 0, 1), 2.5),
        ((2, 2, 2, 0, 0, 0, 0), 3.0),
        ((3, 0, 0, 0, 0, 0, 0), 3.0),
        ((2, 2, 2, 2, 2, 0, 0), 3.5),
        ((2, 2, 2, 2, 2, 2, 0), 4.0),  # item 9
        ((3, 2, 2, 0, 0, 0, 0), 3.5),
        ((3, 3, 0, 0, 0, 0, 0), 3.5),
        ((3, 2, 2, 2, 0, 0, 0), 4.0),
        ((4, 0, 0, 0, 0, 0, 0), 4.0),
        ((5, 0, 0, 0, 0, 0, 0), 5.0),  # item 9
        ((0, 0, 0, 0, 0, 5, 0), 3.0),  # visual 5 counts as 3
        ((0, 0, 0, 0, 0, 6, 0), 4.0),
        ((0, 0, 0, 0, 4, 0, 0), 3.0),  # bowel and bladder 4 counts as 3
        ((0, 0, 0, 0, 6, 0, 0), 5.0),
    ],
)
def test_step_of_known_grades(fs, edss):
    assert edss_from_fs([fs]) == [edss]


fraction = st.floats(0.0, 1.0)


@given(st.tuples(*[fraction] * 5), st.integers(0, 4), fraction, fraction, fraction, st.floats(0.0, 0.1))
def test_true_edss_never_falls_when_a_deficit_rises(f, region, rise, w_it, w_sc, res):
    worse = list(f)
    worse[region] = min(1.0, worse[region] + rise)
    low, high = true_edss(deficits([f, worse]), PatientWeights(w_it, w_sc, res))
    assert low <= high
    assert low * 2 == int(low * 2)
    assert 0.0 <= low <= 9.5


@given(st.tuples(*[st.integers(0, m) for m in FS_MAX]), st.integers(0, 6))
def test_step_never_falls_when_a_grade_rises(fs, k):
    higher = list(fs)
    higher[k] = min(FS_MAX[k], higher[k] + 1)
    low, high = edss_from_fs([fs, higher])
    assert low <= high


def test_rating_without_error_is_the_true_step():
    r = rate_edss(deficits(F), weights(W), 0, RaterState.fresh(len(F), N_SLOW), np.zeros((len(F), N_NORMALS)))
    np.testing.assert_array_equal(r.edss, true_edss(deficits(F), weights(W)))


def test_ambulation_has_to_exceed_its_threshold():
    f, w = Deficits(0.1, 0.1, 0.1, 0.15, 0.0), PatientWeights(0.5, 0.5, 0.03)
    amb = float(functional_systems(f, w)[1][0])
    assert true_edss(f, w, load(EdssParameters, {"amb_edss_4_5": amb}))[0] < 4.5
    assert true_edss(f, w, load(EdssParameters, {"amb_edss_4_5": np.nextafter(amb, 0)}))[0] == 4.5


def test_rating_is_pure_and_the_rater_repeats_itself():
    n = len(F)
    state = RaterState.fresh(n, N_SLOW)
    rater = EdssRater(seed=3)
    first = rater.rate(np.arange(n), 10, deficits(F), weights(W), state)
    assert (state.h == 0).all()
    assert (state.last_day != 10).all()
    again = rater.rate(np.arange(n), 10, deficits(F), weights(W), state)
    np.testing.assert_array_equal(first.edss, again.edss)
    np.testing.assert_array_equal(first.state.h, again.state.h)
    alone = rater.rate([5], 10, deficits(F[5]), weights(W[5]), state.take(np.array([5])))
    assert alone.edss[0] == first.edss[5]
    np.testing.assert_array_equal(alone.state.h[0], first.state.h[5])
    state.put(np.array([5]), alone.state)
    assert state.last_day[5] == 10
    assert (np.delete(state.last_day, 5) < 0).all()


def test_open_label_bias_shifts_affected_systems_only():
    normals = np.zeros((2, N_NORMALS))
    f = deficits([[0.2] * 5, [0.0] * 5])
    w = PatientWeights(0.5, 0.5, 0.03)
    blind = rate_edss(f, w, 0, RaterState.fresh(2, N_SLOW), normals)
    kind = rate_edss(f, w, 0, RaterState.fresh(2, N_SLOW), normals, beta_open=-1.0)
    harsh = rate_edss(f, w, 0, RaterState.fresh(2, N_SLOW), normals, beta_open=[0.0, 5.0])
    assert (kind.fs[0] == blind.fs[0] - 1).all()
    assert kind.edss[0] < blind.edss[0]
    assert harsh.edss[1] == blind.edss[1] == 0.0


def test_one_row_and_no_rows():
    assert true_edss(Deficits(0.1, 0.1, 0.1, 0.1, 0.1), PatientWeights(0.5, 0.5, 0.03)).shape == (1,)
    none = np.empty(0)
    r = EdssRater(1).rate(none, 0, Deficits(*[none] * 5), PatientWeights(none, none, none), RaterState.fresh(0, N_SLOW))
    assert r.edss.shape == (0,)
    assert r.fs.shape == (0, 7)
    assert edss_from_fs(np.empty((0, 7))).shape == (0,)


def test_refusals_name_the_value():
    w = PatientWeights(0.5, 0.5, 0.03)
    good = Deficits(0.1, 0.1, 0.1, 0.1, 0.1)
    z = np.zeros((1, N_NORMALS))
    with pytest.raises(InputError, match=r"f_sc must lie between 0 and 1, not 1\.2"):
        true_edss(good._replace(sc=[1.2]), w)
    with pytest.raises(InputError, match=r"res must lie between 0 and 1, not nan"):
        true_edss(good, w._replace(res=[np.nan]))
    with pytest.raises(InputError, match="shape"):
        true_edss(good._replace(sc=[0.1, 0.2], it=[0.1, 0.2, 0.3]), w)
    with pytest.raises(InputError, match=r"\(1, 17\)"):
        rate_edss(good, w, 0, RaterState.fresh(1, N_SLOW), np.zeros((1, 3)))
    later = rate_edss(good, w, 30, RaterState.fresh(1, N_SLOW), z).state
    with pytest.raises(InputError, match="day 29 of row 0 lies before its last rating, day 30"):
        rate_edss(good, w, 29, later, z)
    with pytest.raises(InputError, match="bias must be finite"):
        rate_edss(good, w, 0, RaterState.fresh(1, N_SLOW), z, beta_open=np.nan)
    with pytest.raises(InputError, match="FS grade cerebral must be an integer 0-5, not 6"):
        edss_from_fs([[0, 0, 0, 0, 0, 0, 6]])
    with pytest.raises(InputError, match=r"not 1\.5"):
        edss_from_fs([[1.5, 0, 0, 0, 0, 0, 0]])
    with pytest.raises(InputError, match="did you mean 'rater_white_sd'"):
        load(EdssParameters, {"rater_whit_sd": 0.2})
    with pytest.raises(InputError, match="thresholds must increase"):
        load(EdssParameters, {"amb_edss_5_0": 0.1})
