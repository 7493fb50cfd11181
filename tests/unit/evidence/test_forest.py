"""A forest holds every row of its endpoint once, pools only what compares, and says why for the rest."""

import json
import math

import pytest

from stemtrial import evidence as ev
from stemtrial.errors import InputError

ALL = {t: ev.forest(t) for t in ev.terms()}
POOLED = [(t, p) for t, f in ALL.items() for p in f.panels if p.pooled]


def outcome(**keys):
    base = {"outcome_id": "x#1", "role": "fit", "arm": "a", "endpoint": "nea", "verification": "primary"}
    return ev.Outcome.model_validate(base | keys)


def test_no_row_is_lost_or_doubled():
    ids = [r.outcome_id for f in ALL.values() for r in f.rows]
    assert len(ids) == len(set(ids)) == 2258


def test_recalled_and_sealed_rows_are_apart_and_without_weight():
    rows = {r.outcome_id: r for f in ALL.values() for r in f.rows}
    assert sum(r.standing == "sealed" for r in rows.values()) == 249
    for s in ev.studies().values():
        for o in s.outcomes:
            r = rows[o.outcome_id]
            if o.role == "sealed":
                assert (r.standing, r.value, r.effect, r.low, r.high) == ("sealed", None, None, None, None)
            elif o.verification == "recalled":
                assert r.standing == "recalled"
            assert bool(r.why) == (r.standing != "pooled")


def test_there_are_pools():
    assert len(POOLED) >= 10


@pytest.mark.parametrize(("name", "panel"), POOLED, ids=lambda x: x if isinstance(x, str) else "")
def test_pools_take_comparable_rows_of_different_patients(name, panel):
    used = [r for r in panel.rows if r.standing == "pooled"]
    assert len(used) == panel.pooled.meta.k >= 2
    assert all(r.verification in ("primary", "secondary") and r.effect is not None and r.se > 0 for r in used)
    assert len({(r.disease, r.statistic, r.comparison, r.horizon_years) for r in used}) == 1
    assert len({len(r.arms) > 1 for r in used}) == 1
    patients = [(r.cohort or r.study, arm) for r in used for arm in r.arms]
    assert len(patients) == len(set(patients))
    assert not ev.term(name).is_other
    values = [r.value for r in used]
    if all(0 < v < 1 for v in values) or panel.scale != "logit":
        assert min(values) * (1 - 1e-9 * math.copysign(1, min(values))) <= panel.pooled.value
        assert panel.pooled.value <= max(values) + 1e-9 * abs(max(values))


def test_pool_is_the_meta_analysis_of_its_rows():
    panel = ev.forest("treatment_related_mortality", "hsct", "proportion").panels[0]
    used = [r for r in panel.rows if r.standing == "pooled"]
    m = ev.random_effects([r.effect for r in used], [r.se**2 for r in used])
    assert panel.pooled.meta == m
    assert panel.pooled.value == pytest.approx(1 / (1 + math.exp(-m.estimate)))


def test_shared_patients_enter_once():
    rows = {r.outcome_id: r for r in ALL["treatment_related_mortality"].rows}
    northwestern = [r for r in rows.values() if r.cohort == "northwestern_hsct" and r.standing == "pooled"]
    assert len(northwestern) <= 1
    assert any(r.why.startswith("shares patients with") for r in rows.values())


def test_mist_hazard_ratio_stands_as_published():
    row = next(r for r in ALL["confirmed_disability_worsening"].rows if r.outcome_id == "burt2019_mist#1")
    assert (row.value, row.low, row.high, row.comparison) == (0.07, 0.02, 0.24, "ahsct vs dmt")
    assert row.effect == pytest.approx(math.log(0.07))
    assert row.se == pytest.approx(math.log(0.24 / 0.02) / (2 * 1.959964), rel=1e-6)


@pytest.mark.parametrize(
    ("keys", "effect", "se"),
    [
        # the same formulae as metafor::escalc(measure = "PLO"), half a patient added where no patient has the event
        ({"statistic": "proportion", "value": 0.25, "n": 24, "events": 6}, math.log(6 / 18), math.sqrt(1 / 6 + 1 / 18)),
        ({"statistic": "proportion", "value": 0.0, "n": 48}, math.log(0.5 / 48.5), math.sqrt(1 / 0.5 + 1 / 48.5)),
        ({"statistic": "count", "value": 6, "n": 24, "events": 6}, math.log(6 / 18), math.sqrt(1 / 6 + 1 / 18)),
        ({"statistic": "rate_ratio", "value": 0.5, "ci90": [0.25, 1.0]}, math.log(0.5), math.log(4) / (2 * 1.644854)),
        ({"statistic": "mean_change", "value": -1.0, "sd": 2.0, "n": 16}, -1.0, 0.5),
        ({"statistic": "mean", "value": 3.0, "se": 0.4, "sd": 9.0, "n": 4}, 3.0, 0.4),
        ({"statistic": "rate_per_year", "value": 0.5, "se": 0.1}, math.log(0.5), 0.2),
        ({"statistic": "km_probability", "value": 0.8, "se": 0.04}, math.log(4), 0.25),
    ],
)
def test_effects(keys, effect, se):
    got = ev.effect_of(outcome(**keys))
    assert isinstance(got, ev.Effect), got
    assert got.value == pytest.approx(effect)
    assert got.se == pytest.approx(se, rel=1e-6)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"statistic": "median", "value": 3.0, "ci95": [2.0, 4.0]}, "median is not pooled"),
        ({"statistic": "km_probability", "value": 0.8, "n": 50}, "no interval"),
        ({"statistic": "km_probability", "value": 0.9, "ci95": [0.7, 1.0]}, "border"),
        ({"statistic": "rate_per_year", "value": 0.0, "se": 0.1}, "no finite log"),
        ({"statistic": "hazard_ratio", "verification": "primary"}, "no number"),
        ({"statistic": "count", "value": 6, "n": 24}, "count is not pooled"),
    ],
)
def test_numbers_that_cannot_be_pooled_say_why(keys, says):
    assert says in ev.effect_of(outcome(**keys))


def test_rows_are_plain_json():
    for f in ALL.values():
        rows = json.loads(json.dumps(f.to_rows(), allow_nan=False))
        assert sum(r["kind"] == "outcome" for r in rows) == len(f.rows)
        assert sum(r["kind"] in ("pooled", "not_pooled") for r in rows) == len(f.panels)


def test_filters_and_spellings():
    f = ev.forest("nea", "hsct", "km_probability")
    assert f.term.id == "neda3"
    assert {(r.family, r.statistic) for r in f.rows} == {("hsct", "km_probability")}


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (("neda33",), "did you mean 'neda3'"),
        (("neda3", "hct"), "did you mean 'hsct'"),
        (("neda3", None, "medain"), "did you mean 'median'"),
        (("neda3", "als"), "no rows of 'neda3' in family 'als'"),
        (("alsfrs_r", "als", "proportion"), "it has mean"),
    ],
)
def test_bad_questions(call, says):
    with pytest.raises(InputError, match=says):
        ev.forest(*call)
