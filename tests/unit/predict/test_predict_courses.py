"""Estimators of courses and joint ranks, of own slopes and changes adjusted for baseline: from tables made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from stemtrial import analysis
from stemtrial.endpoint import Courses, derive
from stemtrial.evidence import Outcome
from stemtrial.predict.estimate import Analysed, estimate, rows_of
from stemtrial.tables import make
from stemtrial.trial.entry import planned_days
from stemtrial.trial.parts import EndpointUse
from stemtrial.trial.protocol import load_protocol

MIST = load_protocol("mist")
DAYS = planned_days(MIST)[:4]  # baseline, 6, 12 and 24 months
REPLICATES, N = 5, 60


@pytest.fixture(scope="module")
def tables():
    """ALSFRS-R falling by 6 points a year, 3 if treated, patients by SD 2; some die, the faster ones sooner."""
    rng = np.random.default_rng(4)
    size = REPLICATES * N
    treated = np.tile(np.arange(N) % 2 == 0, REPLICATES)
    base = np.clip(rng.normal(40, 3, size), 30, 48)
    slope = np.where(treated, -3.0, -6.0) + rng.normal(0, 2, size)
    death = np.ceil(365.25 * rng.exponential(np.exp(0.25 * slope + 3.0)))
    died = death < DAYS[-1]
    end = np.where(died, death, DAYS[-1]).astype(int)
    rep, pat = np.repeat(np.arange(REPLICATES), N), np.tile(np.arange(N), REPLICATES)
    who, k = (x.ravel() for x in np.meshgrid(np.arange(size), np.arange(1, len(DAYS)), indexing="ij"))
    came = DAYS[k] <= end[who]
    who, k = who[came], k[came]
    score = np.clip(base[who] + slope[who] * DAYS[k] / 365.25 + rng.normal(0, 1, len(who)), 0, 48)
    none = {c: np.empty(0, int) for c in ("replicate", "patient", "day")}
    return {
        "patients": make(
            "patients", replicate=rep, patient=pat, arm=np.where(treated, "hsct", "dmt"), recruit=pat,
            entry_day=pat * 0, closure_day=np.full(size, DAYS[-1]), age_years=base, female=pat * 0, alsfrs_r=base,
            alsfrs_r_slope_run_in=np.full(size, -0.5), alsfrs_r_slope_run_in_18_weeks=np.full(size, -0.5),
        ),
        "visits": make("visits", replicate=rep[who], patient=pat[who], day=DAYS[k], visit=k, alsfrs_r=score),
        "milestones": make("milestones", **none, event=np.empty(0, "U9")),
        "disposition": make(
            "disposition", replicate=rep, patient=pat, day=end, event=np.where(died, "died", "completed"),
            reason=np.full(size, ""),
        ),
    }  # fmt: skip


def estimated(tables, *uses, study=None):
    free = [
        EndpointUse.model_construct(id=i, estimator=e, at_years=at, predicts=tuple(predicts))
        for i, e, at, *predicts in uses
    ]
    endpoints = MIST.endpoints.model_copy(update={"primary": free[0], "secondary": tuple(free[1:])})
    rows = rows_of(MIST.model_copy(update={"endpoints": endpoints, "analysis_set": {}}), study)
    return rows, dict(zip([r.key for r in rows], estimate(rows, Analysed(tables, MIST)), strict=True))


def square(x):
    return np.reshape(x, (REPLICATES, N, *x.shape[1:]))


def test_slopes_are_those_of_the_estimators(tables):
    rows, got = estimated(
        tables,
        *(("alsfrs_r_slope", e, ()) for e in ("random_slope", "random_slope_difference")),
        *(("alsfrs_r_slope", e, (1.0,)) for e in ("joint_slope", "joint_slope_difference")),
    )
    assert {(r.statistic, r.unit) for r in rows} == {("slope_per_year", "points/y"), ("difference", "points/y")}
    c = derive("alsfrs_r_slope", tables, planned_days=planned_days(MIST))
    assert isinstance(c, Courses)
    arm = square(tables["patients"]["arm"])
    time, value = square(c.time_years), square(c.value)
    for name in ("hsct", "dmt"):
        expected = analysis.random_slope(time, value, arm == name).slope.value
        np.testing.assert_allclose(got[f"alsfrs_r_slope|slope_per_year|{name}|"], expected)
    mixed = analysis.random_slope_difference(time, value, arm == "hsct", None, shared_baseline=True)
    np.testing.assert_allclose(got["alsfrs_r_slope|difference|hsct - dmt|"], mixed.difference.value)
    assert np.abs(mixed.difference.value.mean() - 3.0) < 1.0
    early = derive("alsfrs_r_slope", tables, 1.0, planned_days(MIST))
    assert np.isnan(early.value[:, 3]).all()
    joint = analysis.joint_slope_difference(
        square(early.time_years), square(early.value), square(early.end_years), square(early.event), arm == "hsct",
        None, True,
    )  # fmt: skip
    key = "alsfrs_r_slope|joint_slope_difference|hsct - dmt|1"
    np.testing.assert_allclose(got[key], joint.difference.value)


def test_ranks_put_the_dead_below_the_living(tables):
    rows, got = estimated(tables, *(("cafs", e, (2.0,)) for e in ("cafs_mean", "cafs_probability", "cafs_p_value")))
    assert {r.unit for r in rows if r.estimator == "cafs_mean"} == {"rank"}
    a, b = got["cafs|mean|hsct|2"], got["cafs|mean|dmt|2"]
    np.testing.assert_allclose((a + b) / 2, (N + 1) / 2)
    np.testing.assert_allclose(got["cafs|proportion|hsct - dmt|2"], 0.5 + (a - b) / N)
    assert ((got["cafs|p_value|hsct - dmt|2"] < 0.5) == (np.abs(a - b) > 6)).all()
    arm, died = square(tables["patients"]["arm"]), square(tables["disposition"]["event"] == "died")
    day = square(tables["disposition"]["day"])
    for r in range(REPLICATES):  # a plain reading: sort key of death, then change at two years of those who lived
        change = np.full(N, np.nan)
        v = tables["visits"]
        mine = (v["replicate"] == r) & (v["visit"] == 3)
        change[v["patient"][mine]] = v["alsfrs_r"][mine] - square(tables["patients"]["alsfrs_r"])[r, v["patient"][mine]]
        order = np.where(died[r], day[r] - 1e6, np.nan_to_num(change))
        better = (order[:, None] > order) + 0.5 * (order[:, None] == order)
        won = better[arm[r] == "hsct"][:, arm[r] == "dmt"].mean()
        assert got["cafs|proportion|hsct - dmt|2"][r] == pytest.approx(won)


def test_a_change_is_adjusted_for_its_own_baseline(tables):
    _, got = estimated(tables, *(("alsfrs_r_change", e, (1.0,)) for e in ("mean_difference", "ancova_difference")))
    change = square(derive("alsfrs_r_change", tables, 1.0, planned_days(MIST)).value)
    base, treated = square(tables["patients"]["alsfrs_r"]), square(tables["patients"]["arm"]) == "hsct"
    for r in range(REPLICATES):
        seen = np.isfinite(change[r])
        x = np.column_stack([np.ones(seen.sum()), treated[r][seen], base[r][seen]])
        fit = np.linalg.lstsq(x, change[r][seen], rcond=None)[0]
        assert got["alsfrs_r_change|ancova_difference|hsct - dmt|1"][r] == pytest.approx(fit[1])
    assert not np.allclose(
        got["alsfrs_r_change|ancova_difference|hsct - dmt|1"], got["alsfrs_r_change|difference|hsct - dmt|1"]
    )


class Published:
    """A study, as far as ties read it."""

    def __init__(self, endpoint, statistic, arm="hsct"):
        self.outcomes = [
            Outcome(
                outcome_id="s#1", role="test", arm=arm, endpoint=endpoint, statistic=statistic, time_years=1.0,
                value=1.0, verification="primary",
            )
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("use", "endpoint", "statistic", "unit"),
    [
        (("alsfrs_r_slope", "random_slope"), "alsfrs_r_slope", "slope_per_year", "points/y"),
        (("alsfrs_r_own_slope", "mean"), "alsfrs_r_slope", "slope_per_year", "points/y"),
        (("alsfrs_r_own_slope", "median"), "alsfrs_r_slope", "slope_per_year", "points/y"),
        (("alsfrs_r_slope_change", "mean"), "alsfrs_r_slope_change", "mean_change", "points/y"),
        (("alsfrs_r_change", "mean"), "alsfrs_r_change", "mean_change", "points"),
        (("responder.nurown", "proportion"), "responders", "proportion", "fraction"),
        (("cafs", "cafs_mean"), "cafs", "mean", "rank"),
        (("overall_survival", "proportion"), "death", "count", "patients"),
        (("tracheostomy_free_survival", "kaplan_meier_complement"), "survival", "proportion", "fraction"),
    ],
)
def test_outcomes_of_als_are_tied_in_their_statistic_and_unit(tables, use, endpoint, statistic, unit):
    rows, got = estimated(tables, (*use, (1.0,), "s#1"), study=Published(endpoint, statistic))
    tied = [r for r in rows if r.outcome_id]
    assert [(r.arm, r.statistic, r.unit) for r in tied] == [("hsct", statistic, unit)]
    assert np.isfinite(got[tied[0].key]).all()


def test_published_contrasts_of_slopes_and_responders(tables):
    for use, endpoint, statistic in (
        (("alsfrs_r_slope", "random_slope_difference"), "alsfrs_r_slope", "difference"),
        (("responder.nurown", "odds_ratio"), "responders", "odds_ratio"),
        (("alsfrs_r_change", "ancova_difference"), "alsfrs_r_change", "difference"),
    ):
        rows, _ = estimated(tables, (*use, (1.0,), "s#1"), study=Published(endpoint, statistic, ("hsct", "dmt")))
        assert [(r.arm, r.statistic) for r in rows if r.outcome_id] == [(("hsct", "dmt"), statistic)]
