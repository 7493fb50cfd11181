"""What a trial measures: instruments on demand, missing values, severity of relapses, and the truth beside it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from trials import CELLS, Run, protocol

from stemtrial.endpoint import definitions
from stemtrial.endpoint.definition import diseases_of
from stemtrial.observe import instruments
from stemtrial.observe.alsfrs import DOMAINS, ITEMS
from stemtrial.therapy import compose
from stemtrial.trial.conduct import conduct
from stemtrial.trial.examine import instruments_of
from stemtrial.trial.protocol import load_protocol
from stemtrial.trial.scanner import SCAN

ARMS = {"a": {"n": 30, "regimen": []}, "b": {"n": 30, "regimen": [{"therapy": "interferon_beta"}]}}
ARMS_OF_ALS = {"a": {"n": 30, "regimen": []}, "b": {"n": 30, "regimen": [CELLS]}}
CORE = ("replicate", "patient", "day", "visit")
TESTS_OF_ALS = ("svc_pct", "fvc_pct", "hhd_pct", "nfl_pg_ml", "alsaq40", "weight_pct", "kings_stage", "mitos_stage")


def ends(*ids):
    uses = [{"id": i, "estimator": "mean", "at_years": [1]} for i in ids]
    return {"primary": uses[0], "secondary": uses[1:]}


@pytest.fixture(scope="module")
def plain(recruits, everything, point):
    return Run(protocol(ARMS), recruits, everything, point, replicates=4)


@pytest.fixture(scope="module")
def measured(recruits, everything, point):
    p = protocol(ARMS, endpoints=ends("t25fw_change_pct", "sdmt_change"), instruments=["nfl_pg_ml", "lesion_mtr_pct"])
    return Run(p, recruits, everything, point, replicates=4)


@pytest.fixture(scope="module")
def plain_als(in_als):
    return in_als(ARMS_OF_ALS, replicates=4)


@pytest.fixture(scope="module")
def measured_als(in_als):
    return in_als(ARMS_OF_ALS, endpoints=ends("svc_change", "hhd_change"), instruments=list(TESTS_OF_ALS), replicates=4)


@pytest.fixture(scope="module", params=["", "_als"])
def both(request):
    """A trial that measures nothing more than its disease asks for, and one that does."""
    return tuple(request.getfixturevalue(f"{name}{request.param}") for name in ("plain", "measured"))


def test_only_what_an_endpoint_of_als_needs_is_measured(plain_als, measured_als):
    rated = (*ITEMS, "alsfrs_r", *(f"alsfrs_r_{d}" for d in DOMAINS))
    assert set(plain_als.t["visits"]) == {*CORE, *rated}
    for table in ("visits", "patients"):
        assert set(measured_als.t[table]) == {*plain_als.t[table], *TESTS_OF_ALS}


def test_missing_tests_are_gaps_of_one_visit_and_grow_with_the_disease(measured_als, point):
    t, patients = measured_als.t["visits"], measured_als.t["patients"]
    for name in ("svc_pct", "fvc_pct", "hhd_pct", "nfl_pg_ml", "weight_pct"):
        assert np.isfinite(patients[name]).all(), "none is missing at baseline"
        gone = np.isnan(t[name])
        assert 0 < gone.mean() < 0.6, name
        known = instruments("als")[name]
        assert ((t[name][~gone] >= known.low) & (t[name][~gone] <= known.high)).all()
    gone = np.isnan(t["svc_pct"])
    assert t["alsfrs_r"][gone].mean() < t["alsfrs_r"][~gone].mean() - 3
    assert not any(np.isnan(t[c]).any() for c in (*ITEMS, "alsfrs_r", "kings_stage", "mitos_stage"))


def test_only_what_an_endpoint_needs_is_measured(plain, measured):
    assert tuple(plain.t["visits"]) == (*CORE, "edss")
    assert tuple(plain.t["mri"])[4:] == SCAN
    assert set(measured.t["visits"]) == {*CORE, "edss", "t25fw_s", "sdmt", "nfl_pg_ml"}
    assert set(measured.t["mri"]) == {*plain.t["mri"], "lesion_mtr_pct"}
    assert set(measured.t["patients"]) == {*plain.t["patients"], "t25fw_s", "sdmt", "nfl_pg_ml", "lesion_mtr_pct"}


def test_measuring_more_changes_no_other_number(both):
    plain, measured = both
    for name, table in plain.t.items():
        for c, x in table.items():
            np.testing.assert_array_equal(x, measured.t[name][c], err_msg=f"{name}.{c}")


def test_tests_are_done_at_scheduled_visits_and_at_baseline(measured):
    t = measured.t["visits"]
    for name in ("t25fw_s", "sdmt", "nfl_pg_ml"):
        i = instruments()[name]
        done = np.isfinite(t[name])
        assert not done[t["visit"] < 0].any(), "none at a relapse"
        assert done[t["visit"] > 0].mean() > 0.8
        assert (t[name][done] >= i.low).all()
        assert (t[name][done] <= i.high).all()
        base = measured.t["patients"][name]
        assert np.isfinite(base).all()
        r = stats.spearmanr(base[measured.who("visits")[done]], t[name][done]).statistic
        assert r > 0.2, "the same people"


def test_practice_counts_the_tests_done_before(recruits, everything, point):
    more = point | {"instruments.sdmt_practice": 10.0, "instruments.sdmt_practice_tests": 2.0}
    visits = {"months": [0, 1, 2, 3, 4], "window_days": 0, "at_relapse": False}
    p = protocol({"a": {"n": 200, "regimen": []}}, visits=visits, instruments=["sdmt"])
    t = Run(p, recruits, everything, more, replicates=1).t
    means = [t["patients"]["sdmt"].mean()]
    means += [np.nanmean(t["visits"]["sdmt"][t["visits"]["visit"] == k]) for k in (1, 2, 3, 4)]
    steps = np.diff(means)
    assert (steps[:2] > 5).all()
    assert (np.abs(steps[2:]) < 3).all()


@pytest.mark.parametrize(
    ("name", "endpoint"),
    [(name, d) for name, of in (("mist", "ms"), ("nurown-phase3", "als")) for d in sorted(definitions())
     if of in diseases_of(d)],
)  # fmt: skip
def test_every_endpoint_finds_its_instruments(name, endpoint):
    p = load_protocol(name)
    use = p.endpoints.primary.model_copy(update={"id": endpoint})
    p = p.model_copy(update={"endpoints": p.endpoints.model_copy(update={"primary": use, "secondary": ()})})
    visits, mri = instruments_of(p)
    known = instruments(p.disease)
    assert {known[c].table for c in visits if c != "pyramidal_fs"} <= {"visits"}
    assert {known[c].table for c in mri} <= {"mri"}


def test_mist_measures_nothing_beside_edss_and_scans():
    visits, mri = instruments_of(load_protocol("mist"))
    assert set(visits) <= {"edss"}
    assert set(mri) <= set(SCAN)


def test_the_pyramidal_system_is_kept_where_a_definition_reads_it(recruits, everything, point):
    name = next(k for k, d in definitions().items() if getattr(d, "pyramidal_at_least", None) is not None)
    end = {"primary": {"id": name, "estimator": "cox"}}
    r = Run(protocol(ARMS, endpoints=end), recruits, everything, point, replicates=1)
    for table in ("visits", "patients"):
        grades = r.t[table]["pyramidal_fs"]
        assert set(grades) <= set(range(7))
    assert np.corrcoef(r.t["visits"]["pyramidal_fs"], r.t["visits"]["edss"])[0, 1] > 0.3


def test_severity_is_the_rise_of_edss_at_the_relapse_visit(plain, point):
    wait = int(point["trial.relapse_visit_days"])
    last: dict[tuple[int, int], float] = {}
    rated = [(int(w), 0, e) for w, e in enumerate(plain.t["patients"]["edss"])]
    v = plain.t["visits"]
    rated += list(zip(plain.who("visits").tolist(), v["day"].tolist(), v["edss"].tolist(), strict=True))
    before: dict[tuple[int, int], float] = {}
    for w, d, e in sorted(rated):
        before[w, d], last[w, 0] = last.get((w, 0), np.nan), e
    at = {(w, d): e for w, d, e in rated}
    own = set(zip(plain.who("visits", visit=-1), v["day"][v["visit"] == -1], strict=True))
    t = plain.t["relapses"]
    found = 0
    for w, d, s in zip(plain.who("relapses"), t["day"], t["severity"], strict=True):
        seen = (w, d + wait)
        if seen in own:
            assert s == at[seen] - before[seen]
            found += 1
        else:
            assert np.isnan(s)
    assert found > 50
    assert np.nanmean(t["severity"]) > 0.2


# -- truth -------------------------------------------------------------------------------------------------------------
def test_truth_stands_beside_and_changes_nothing(both, point):
    plain, _ = both
    scale = "edss" if plain.protocol.disease == "ms" else "alsfrs_r"
    got = conduct(
        plain.protocol, plain.recruits, plain.kernel, point, 1, replicates=range(4), truth=True
    ).tables  # fmt: skip
    truth = got.pop("truth_visits")
    assert set(got) == set(plain.t)
    for name, table in got.items():
        for c, x in table.items():
            np.testing.assert_array_equal(x, plain.t[name][c], err_msg=f"{name}.{c}")
    also = [] if scale == "edss" else [f"alsfrs_r_{d}" for d in DOMAINS]
    assert set(truth) == {"replicate", "patient", "day", "visit", *(f"{c}_true" for c in (scale, *also))}
    later = truth["visit"] != 0
    for c in ("replicate", "patient", "day", "visit"):
        np.testing.assert_array_equal(truth[c][later], got["visits"][c])
    assert (~later).sum() == len(got["patients"][scale])
    error = got["visits"][scale] - truth[f"{scale}_true"][later]
    assert 0.1 < error.std() < (1.0 if scale == "edss" else 3.0)
    assert np.mean(error == 0) > (0.2 if scale == "edss" else 0.05)
    assert not any("true" in c or c.startswith("x_") for t in got.values() for c in t)


def test_causes_of_loss_add_up_from_randomisation_on(recruits, point):
    kernel = compose("ms", ("drugs", "steroids"), backend="numpy", truth=True)
    p = protocol({"a": {"n": 12, "regimen": []}}, months=(0, 6, 12))
    t = conduct(p, recruits, kernel, point, 1, truth=True).tables["truth_visits"]
    causes = np.array([t[f"x_{c}"] for c in ("acute", "demyelination", "smouldering")])
    assert (causes[:, t["visit"] == 0] == 0).all()
    assert (causes[:, t["visit"] == 2] > 0).any(1).all()
    same = np.diff(t["patient"]) == 0
    assert (np.diff(causes, axis=1)[:, same] >= 0).all(), "loss is for good"
