"""Naive forecasters: blind to test and to their own cohort, never degenerate, each rule and each widening step."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stemtrial.evidence import Study, random_effects, studies, study, term_of
from stemtrial.evidence.schema import SEALED_KEYS
from stemtrial.predict.comparable import (
    STEPS,
    Known,
    Quantity,
    Setting,
    between_studies,
    comparable,
    known_of,
    known_rows,
    quantity_of,
    setting_of,
)
from stemtrial.predict.naive import EVERYBODY, NOBODY, POINTS, PRIOR_DF, WIDER, meta_analytic, no_change
from stemtrial.predict.score import why_no_headline

FORECASTERS = (meta_analytic, no_change)
RESULTS = tuple(k for k in SEALED_KEYS if k not in ("verification", "source"))


def targets(*roles: str):
    return [(o, s) for s in studies().values() for o in s.outcomes if o.role in roles and why_no_headline(o) is None]


def outcome_of(outcome_id: str):
    s = study(outcome_id.partition("#")[0])
    return next(o for o in s.outcomes if o.outcome_id == outcome_id), s


def changed(o):
    """The same outcome with another result."""
    if o.value is None:
        return o
    fraction = o.statistic in ("proportion", "km_probability")
    new = dict.fromkeys(RESULTS) | {"value": 0.5 * o.value + 0.25 if fraction else 3 * o.value + 1}
    return o.model_copy(update=new)


# -- blind -------------------------------------------------------------------------------------------------------------
def test_nothing_is_learned_from_test_or_sealed():
    """Every value of role test replaced: what is known, and every forecast, stays as it was."""
    record = [
        s.model_copy(update={"outcomes": tuple(changed(o) if o.role != "fit" else o for o in s.outcomes)})
        for s in studies().values()
    ]
    assert sum(a != b for s, z in zip(studies().values(), record, strict=True)
               for a, b in zip(s.outcomes, z.outcomes, strict=True)) > 250  # fmt: skip
    assert repr(known_of(record)) == repr(known_rows())
    roles = {o.outcome_id: o.role for s in studies().values() for o in s.outcomes}
    assert {roles[r.outcome_id] for r in known_rows()} == {"fit"}


def test_the_result_of_what_is_forecast_is_not_read():
    found = 0
    for o, s in targets("test"):
        blind = s.model_copy(update={"outcomes": tuple(changed(x) for x in s.outcomes)})
        for f in FORECASTERS:
            a, b = f(o, s), f(changed(o), blind)
            assert (a is None) == (b is None)
            if a is not None:
                found += 1
                assert (a.values.tolist(), a.how, a.rows) == (b.values.tolist(), b.how, b.rows), o.outcome_id
    assert found > 100


def test_the_own_cohort_is_not_used():
    """Forecasts of fit outcomes stay as they were when all values of their cohort change."""
    cohort_of = {s.id: s.cohort or s.id for s in studies().values()}
    for o, s in targets("fit")[::12]:
        mine = s.cohort or s.id
        other = tuple(
            r if r.cohort != mine else Known(*(getattr(r, k) for k in ("outcome_id", "cohort", "quantity", "setting")),
                                             r.value + 5, r.variance * 2, r.first)
            for r in known_rows()
        )  # fmt: skip
        for f in FORECASTERS:
            a, b = f(o, s), f(o, s, other)
            assert (a is None) == (b is None)
            if a is not None:
                assert a.values.tolist() == b.values.tolist()
                assert mine not in {cohort_of[r.partition("#")[0]] for r in a.rows}


# -- what every forecast is --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("f", FORECASTERS)
def test_forecasts_spread_within_their_bounds(f):
    made = 0
    for o, s in targets("fit", "test"):
        forecast = f(o, s)
        if forecast is None:
            continue
        x = forecast.values
        made += 1
        assert x.shape == (POINTS,)
        assert np.isfinite(x).all()
        assert (np.diff(x) >= 0).all()
        assert x[0] < x[-1], f"{o.outcome_id} has no spread"
        if o.statistic in ("proportion", "km_probability"):
            assert 0 <= x[0] <= x[-1] <= 1
        if o.statistic.endswith("_ratio"):
            assert x[0] > 0
        if o.statistic == "count":
            assert (x == np.rint(x)).all()
    assert made > 180


def test_sealed_outcomes_can_be_forecast():
    """A blind prediction too has its naive ones; nothing but the design of the study is there."""
    found = [f(o, s) for s in studies().values() for o in s.outcomes if o.role == "sealed" for f in FORECASTERS]
    assert sum(x is not None for x in found) > 100


def test_more_patients_narrow_a_forecast():
    o, s = outcome_of("nicholas2021_london#7")
    few, many = (meta_analytic(o.model_copy(update={"n": n}), s).values for n in (20, 2000))
    assert np.ptp(np.quantile(few, [0.25, 0.75])) > np.ptp(np.quantile(many, [0.25, 0.75]))
    assert set(np.rint(few * 20) / 20) == set(few), "shares of twenty patients"


# -- the meta-analysis -------------------------------------------------------------------------------------------------
Q = Quantity("ms", "annualised_relapse_rate", "rate_ratio", "log", "1/y")


def at(treatment="a vs control", family="a vs control", treated=True, horizon=1.0, patients=None, years=1.0):
    return Setting(treatment, family, treated, horizon, patients, years)


def row(cohort, value, variance=0.01, setting=None, quantity=Q):
    return Known(f"{cohort}#1", cohort, quantity, setting or at(), value, variance, first=False)


def test_with_many_rows_it_is_the_random_effects_prediction():
    """Thirty-nine rows: the t distribution of the pool, but for four degrees of freedom of the same variance."""
    o, s = outcome_of("muraro2025_atz_ocr#5")
    q = quantity_of(o, s.disease)
    here = setting_of(o, s, q)
    rng = np.random.default_rng(1)
    rows = [row(f"c{k}", v, setting=here, quantity=q) for k, v in enumerate(rng.normal(-0.5, 0.4, 39))]
    m = random_effects([r.value for r in rows], [r.variance for r in rows], level=0.8)
    big = o.model_copy(update={"n": 10**9})
    forecast = meta_analytic(big, s, [r for r in rows if r.cohort != (s.cohort or s.id)])
    low, middle, high = np.log(np.quantile(forecast.values, [0.1, 0.5, 0.9]))
    assert middle == pytest.approx(m.estimate, abs=0.02)
    assert high - low == pytest.approx(WIDER * (m.prediction[1] - m.prediction[0]), rel=0.03)
    assert forecast.how == "same treatment, same horizon, 39 cohorts"


def test_the_circle_widens_step_by_step():
    here = at()
    rings = [
        here,
        at(horizon=3.0),
        at(treatment="b vs control"),
        at(treatment="b vs control", horizon=3.0),
        at(treatment="c vs control", family="c vs control"),
        at(treatment="c vs control", family="c vs control", horizon=3.0),
    ]
    for k, step in enumerate(STEPS):
        rows = [row("x", 0.1, setting=rings[k]), row("y", 0.2, setting=rings[k])]
        assert comparable(Q, here, "mine", rows)[0] == step
        wide = [row("w", 0.3, setting=rings[-1])]
        assert len(comparable(Q, here, "mine", rows + wide)[1]) >= 2
    one = comparable(Q, here, "mine", [row("x", 0.1), row("mine", 0.2)])
    assert (one[0], [r.cohort for r in one[1]]) == ("same treatment, same horizon", ["x"])
    assert comparable(Q, here, "mine", [row("x", 0.1, setting=at("placebo", "control", False))]) == ("", [])


def test_one_row_a_cohort_the_nearest_in_time():
    rows = [row("x", v, setting=at(years=y)) for v, y in ((0.1, 5.0), (0.2, 1.1), (0.3, 3.0))] + [row("y", 0.5)]
    assert [r.value for r in comparable(Q, at(), "mine", rows)[1]] == [0.2, 0.5]


def test_a_single_row_stands_with_the_spread_of_its_kind():
    o, s = outcome_of("muraro2025_atz_ocr#5")
    q = quantity_of(o, s.disease)
    here = setting_of(o, s, q)
    elsewhere = q._replace(key="another endpoint")
    only = row("x", -0.5, setting=here, quantity=q)
    assert meta_analytic(o, s, [only]) is None, "nothing tells a spread"
    rng = np.random.default_rng(2)
    others = [row(f"c{k}", v, 0.01, here, elsewhere) for k, v in enumerate(rng.normal(0, 0.5, 30))]
    forecast = meta_analytic(o.model_copy(update={"n": 10**9}), s, [only, *others])
    assert forecast.rows == ("x#1",)
    tau2 = between_studies(q, "same treatment, same horizon", "mine", others)
    assert tau2 == pytest.approx(0.25, rel=0.5)
    spread = np.diff(np.log(np.quantile(forecast.values, [0.25, 0.75])))[0]
    from scipy import stats

    assert spread == pytest.approx(WIDER * 2 * stats.t.ppf(0.75, PRIOR_DF) * math.sqrt(2 * tau2 + 0.01), rel=0.02)


def test_other_terms_compare_by_their_spelling_only():
    kinds = {r.quantity.key for r in known_rows()}
    assert not any(k.startswith("other.") for k in kinds)
    loose = [o for o, _ in targets("fit") if term_of(o.endpoint).is_other]
    assert loose
    assert all(q is None or q.key == o.endpoint for o in loose if (q := quantity_of(o, "ms")))


def test_hazards_of_one_event_compare_whatever_their_term_counts():
    o, s = outcome_of("muraro2025_atz_ocr#3")
    assert quantity_of(o, s.disease).key == "hazard of relapse"


# -- no change ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("outcome_id", "how", "middle"),
    [
        ("muraro2025_atz_ocr#5", "no difference from control", 1.0),
        ("phoenix2024_amx0035#1", "no change from baseline", 0.0),
        ("paganoni2020_centaur#1", "no change from baseline", 0.0),
        ("phoenix2024_amx0035#3", "no difference from control", 0.0),
    ],
)
def test_centres_of_no_change(outcome_id, how, middle):
    forecast = no_change(*outcome_of(outcome_id))
    assert forecast.how == how
    assert np.median(forecast.values) == pytest.approx(middle, abs=0.03 * float(np.std(forecast.values)))


def test_a_share_departs_from_nobody_and_from_everybody_one_way():
    nobody, everybody = (no_change(*outcome_of(i)) for i in ("hauser2020_asclepios#6", "burman2014_sweden#3"))
    assert (nobody.how, everybody.how) == ("nobody", "everybody")
    hist = [np.histogram(f.values, 5, (0, 1))[0] for f in (nobody, everybody)]
    assert hist[0].argmax() == 0
    assert hist[1].argmax() == 4


def test_a_rate_stands_at_that_before_entry():
    found = [(o, s, f) for o, s in targets("fit", "test") if (f := no_change(o, s)) and f.how == "rate before entry"]
    assert len(found) >= 5
    for o, s, f in found:
        before = [s.arm(a).baseline for a in o.arms if s.arm(a) and s.arm(a).baseline]
        before = [b.relapses_prior_year_mean or b.relapse_rate_prior for b in before]
        if len(before) == 1 and before[0]:
            assert np.median(f.values) == pytest.approx(before[0], rel=0.1)


def test_no_rule_no_forecast():
    for outcome_id in ("thebault2020_nfl_gfap#2", "gotkine2023_astrorx#6", "nicholas2021_london#3"):
        assert no_change(*outcome_of(outcome_id)) is None


def test_shares_of_no_change_are_terms_of_the_vocabulary():
    assert not NOBODY & EVERYBODY
    assert {term_of_id(t) for t in NOBODY | EVERYBODY} == {True}


def term_of_id(name: str) -> bool:
    from stemtrial.evidence import terms

    return name in terms()


def test_a_study_of_unknown_size_has_a_forecast_without_sampling():
    o, s = outcome_of("nicholas2021_london#7")
    bare: Study = s.model_copy(
        update={"arms": tuple(a.model_copy(update={"n": None, "n_analysed": None}) for a in s.arms)}
    )
    forecast = meta_analytic(o.model_copy(update={"n": None}), bare)
    assert len(set(forecast.values)) > 900
