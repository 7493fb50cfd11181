"""readout(): worked example with truth, agreement with the estimators, what is left out, refusals."""

import numpy as np
import pytest

from stemtrial import analysis
from stemtrial.endpoint import definitions, derive, find, readout
from stemtrial.endpoint.readout import kappa, measurable
from stemtrial.errors import InputError
from stemtrial.tables import take

DAYS = (84, 168, 252, 336)
RATED = [  # arm, baseline, ratings, true EDSS on day 0 and after
    ("a", 3.0, (4.0, 4.0, 4.0, 4.0), (3.0, 4.0, 4.0, 4.0, 4.2)),  # worse, and truly so
    ("a", 3.0, (4.0, 4.0, 3.0, 3.0), (3.0, 3.4, 3.0, 3.0, 3.0)),  # rated worse, truly not
    ("b", 3.0, (3.0, 3.0, 3.0, 3.0), (3.0, 3.9, 4.1, 4.1, 4.1)),  # truly worse, never rated so
    ("b", 3.0, (3.0, 3.0, 3.0, 3.0), (3.0, 3.0, 4.2, 4.2, 3.1)),  # true rise that goes back
]


def rows(patient, day, **columns):
    return {"replicate": np.zeros(len(patient), int), "patient": np.array(patient), "day": np.array(day), **columns}


@pytest.fixture
def trial():
    n, k = len(RATED), len(DAYS)
    visits = rows(np.repeat(np.arange(n), k), np.tile(DAYS, n))
    visits |= {"visit": np.tile(np.arange(1, k + 1), n), "edss": np.array([r[2] for r in RATED]).ravel()}
    none = rows(np.zeros(0, int), np.zeros(0, int))
    return {
        "patients": {
            "replicate": np.zeros(n, int), "patient": np.arange(n), "arm": np.array([r[0] for r in RATED]),
            "edss": np.array([r[1] for r in RATED]), "closure_day": np.full(n, 340),
        },
        "visits": visits,
        "relapses": rows([1], [80]),
        "mri": none | {c: np.zeros(0, int) for c in ("visit", "gd_lesions", "new_t2_lesions")},
        "disposition": none | {"event": np.zeros(0, "U9")},
    }  # fmt: skip


@pytest.fixture
def truth():
    n, days = len(RATED), (0, *DAYS)
    loss = np.cumsum(np.tile([0.0, 1.0, 1.0, 1.0, 1.0], (n, 1)), axis=1)
    return rows(
        np.repeat(np.arange(n), 5), np.tile(days, n), edss_true=np.array([r[3] for r in RATED]).ravel(),
        x_acute=(loss * np.array([1.0, 3.0, 0.0, 0.0])[:, None]).ravel(), x_smouldering=(loss * 2.0).ravel(),
    )  # fmt: skip


def row_of(out, endpoint, arm):
    at = np.flatnonzero((out["endpoint"] == endpoint) & (out["arm"] == arm))
    assert len(at) == 1
    return {c: v[at[0]] for c, v in out.items()}


def test_events_agreement_and_truth(trial, truth):
    out = readout(trial, truth_visits=truth)
    both, a, b = (row_of(out, "confirmed_worsening.12_weeks", arm) for arm in ("all", "a", "b"))
    assert [both[c] for c in ("n", "events", "both", "kappa", "probability")] == [4, 2, 2, 1.0, 0.5]
    assert (a["probability"], b["probability"], b["events"]) == (1.0, 0.0, 0)
    assert (both["true_changes"], both["sensitivity"], both["predictive_value"]) == (2, 0.5, 0.5)
    assert (a["sensitivity"], a["predictive_value"]) == (1.0, 0.5)
    assert b["sensitivity"] == 0.0
    assert np.isnan(b["predictive_value"])
    # from day 0 to confirmation on day 168: patient 0 lost 2 acute + 4 smouldering, patient 1 lost 6 + 4
    assert (both["share_acute"], both["share_smouldering"]) == (8 / 16, 8 / 16)
    pira, raw = row_of(out, "pira.12_weeks", "all"), row_of(out, "raw.12_weeks", "all")
    assert (pira["events"], raw["events"]) == (1, 1)
    assert (pira["share_acute"], raw["share_acute"]) == (2 / 6, 6 / 10)
    assert (pira["kappa"], pira["both"]) == (0.5, 1)


def test_no_truth_of_other_rules(trial, truth):
    neda = row_of(readout(trial, truth_visits=truth), "neda3", "all")
    assert all(np.isnan(neda[c]) for c in ("true_changes", "sensitivity", "predictive_value", "share_acute"))
    assert "sensitivity" not in readout(trial)


def test_only_what_was_measured_and_every_such_definition(trial):
    out = readout(trial)
    assert set(out["endpoint"]) == set(measurable(trial))
    assert {"pira.12_weeks", "neda3", "spms_conversion", "overall_survival"} <= set(out["endpoint"])
    assert not {"composite_worsening.12_weeks", "neda4", "edss_change"} & set(out["endpoint"])
    assert list(dict.fromkeys(out["arm"])) == ["a", "b", "all"]


def test_probability_is_the_kaplan_meier_estimate(trial):
    rng = np.random.default_rng(3)
    n = 300
    days = np.sort(rng.integers(1, 700, (n, 6)), axis=1)
    many = rows(np.repeat(np.arange(n), 6), days.ravel(), visit=np.full(n * 6, -1))
    many["edss"] = rng.integers(4, 12, n * 6) / 2
    big = {
        "patients": {
            "replicate": np.zeros(n, int), "patient": np.arange(n), "arm": np.full(n, "a"),
            "edss": rng.integers(4, 9, n) / 2, "closure_day": rng.integers(1, 700, n),
        },
        "visits": many, "relapses": trial["relapses"], "mri": trial["mri"], "disposition": trial["disposition"],
    }  # fmt: skip
    for at in (None, 1.0):
        out = readout(big, at_years=at)
        for k, name in enumerate(out["endpoint"]):
            e = derive(name, big)
            last = e.time_years[e.event].max(initial=0.0) if at is None else at
            km = analysis.kaplan_meier(e.time_years[None], e.event[None], [last], extend=True)
            assert out["probability"][k] == pytest.approx(float(km.event_probability[0, 0]), abs=1e-12)
            assert out["events"][k] == derive(name, big, at).event.sum()


def test_replicates_and_nobody(trial):
    two = {t: {c: np.concatenate([v, v]) for c, v in table.items()} for t, table in trial.items()}
    for table, of in zip(two.values(), trial.values(), strict=True):
        table["replicate"] = np.repeat([0, 7], len(of["patient"]))
    out, alone = readout(two), readout(trial)
    for r in (0, 7):
        mine = out["replicate"] == r
        for c in alone:
            if c != "replicate":
                np.testing.assert_array_equal(out[c][mine], alone[c])
    nobody = {t: take(table, np.zeros(len(table["patient"]), bool)) for t, table in trial.items()}
    assert readout(nobody) == {}


def test_kappa():
    a = np.array([1, 1, 1, 0, 0, 0, 0, 0], bool)
    b = np.array([1, 1, 0, 1, 0, 0, 0, 0], bool)
    assert kappa(a, b) == pytest.approx((6 / 8 - (9 + 25) / 64) / (1 - (9 + 25) / 64))
    assert np.isnan(kappa(a | True, a | True))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t, x: readout(t, ids=["edss_change"]), "'edss_change' is a change; a readout compares times to events"),
        (lambda t, x: readout(t, ids=["pira.12_week"]), "not known; did you mean .pira.12_weeks"),
        (lambda t, x: readout(t, ids=["composite_worsening.12_weeks"]), "has no column 't25fw_s'"),
        (lambda t, x: readout(t, truth_visits={c: v[::-1] for c, v in x.items()}), "'truth_visits' must be sorted"),
        (lambda t, x: readout(t, truth_visits=x | {"edss_true": x["edss_true"] * np.nan}), "truth must be finite"),
        (lambda t, x: readout(t, truth_visits=x | {"patient": x["patient"] + 1}), "belongs to no row"),
    ],
)
def test_refusals(trial, truth, call, message):
    with pytest.raises(InputError, match=message):
        call(trial, truth)


def test_a_definition_of_ones_own(trial):
    mine = find("confirmed_worsening.12_weeks", tolerance_days=0)
    assert readout(trial, ids=[mine])["endpoint"].tolist() == [mine.id] * 3
    assert mine != definitions()[mine.id]
