"""What the fit reads: only what it may, nothing twice, everything told."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemtrial.calibrate.choice import BARRED_CELLS, MAX_TIMES, OF_EFFICACY, SUBJECTS, choose
from stemtrial.calibrate.data import Datum, data, from_scale, on_scale
from stemtrial.calibrate.kin import with_kin
from stemtrial.calibrate.spread import assumed, effective_n, standard_error
from stemtrial.errors import InputError
from stemtrial.evidence import studies, study
from stemtrial.evidence.schema import CONTEXT_ANALYSES
from stemtrial.predict.natural_history import quantities
from stemtrial.trial.protocol import load_protocol

DISEASES = ("ms", "als")
LANES = {"ms": {"MS drugs", "aHSCT", "MSC/NSC", "natural history"}, "als": {"ALS", "natural history"}}
DOMAINS = {"relapse", "mri", "atrophy", "disability", "composite", "nfl", "biomarker", "function", "survival", "harm"}
OUTCOMES = {o.outcome_id: o for s in studies().values() for o in s.outcomes}
EVERY = {d.outcome_id: d for disease in DISEASES for d in data(disease)[0]}
LEFT = {x.outcome_id: x for disease in DISEASES for x in data(disease)[1]}


def datum(**changes):
    return dataclasses.replace(EVERY["polman2006_affirm#2"], **changes)


@pytest.mark.parametrize("disease", DISEASES)
def test_every_datum_may_be_tuned_to(disease):
    found, _ = data(disease)
    assert len(found) > 50
    for d in found:
        o, s = OUTCOMES[d.outcome_id], studies()[d.study]
        assert o.role == "fit"
        assert s.role == "fit"
        assert s.disease == disease
        assert o.verified
        assert o.analysis not in CONTEXT_ANALYSES
        assert o.time_years != 0
        assert d.value == o.value
        assert d.family not in ("population", "design", "measurement")


@pytest.mark.parametrize("disease", DISEASES)
def test_nothing_of_test_sealed_or_context_studies_is_read_or_told(disease):
    held_out = {s.id for s in studies().values() if s.role != "fit"}
    found, left = data(disease)
    assert not held_out & {x.study for x in [*found, *left]}


@pytest.mark.parametrize("disease", DISEASES)
def test_each_outcome_of_a_fit_study_is_data_or_left_with_a_reason(disease):
    found, left = data(disease)
    told = [x.outcome_id for x in [*found, *left]]
    mine = {o.outcome_id for s in studies().values() if s.role == "fit" and s.disease == disease for o in s.outcomes}
    assert len(told) == len(set(told))
    assert set(told) == mine
    assert all(x.reason for x in left)


@pytest.mark.parametrize("disease", DISEASES)
def test_every_datum_is_finite_on_its_scale_and_has_what_its_likelihood_needs(disease):
    for d in data(disease)[0]:
        assert np.isfinite(on_scale(d, d.value)), d.outcome_id
        assert d.n >= 1
        assert d.half_width >= 0
        assert d.domain in DOMAINS
        assert d.lane in LANES[disease]
        assert d.disease == disease
        assert bool(d.protocol) != bool(d.quantity)
        if d.kind == "binomial":
            assert d.se is None
            assert 0 <= d.share <= 1
            assert d.scale == "logit"
        elif d.kind == "negative_binomial":
            assert d.se is None
            assert d.exposure > 0
            assert d.size > 0
            assert d.offset == 0.5 / d.exposure
        else:
            assert 0 < (d.se or 0.0) < np.inf, d.outcome_id
            assert d.scale == {"normal": "identity", "lognormal": "log", "logitnormal": "logit"}[d.kind]


def test_protocols_quantities_and_arms_exist():
    for d in EVERY.values():
        if d.quantity:
            assert d.outcome_id in quantities(d.disease)[d.quantity].published
        else:
            protocol = load_protocol(d.protocol)
            assert protocol.reproduces == d.study
            assert set(d.arms) <= set(protocol.arms)
            assert d.control == (protocol.design == "randomised" and d.arms == (protocol.control,))


def test_two_calls_give_the_same_and_a_list_of_ones_own():
    first, second = data("ms"), data("ms")
    assert first == second
    first[0].clear()
    assert data("ms") == second


def test_an_unknown_disease_is_refused():
    with pytest.raises(InputError, match="is not known"):
        data("mss")


# -- no evidence of efficacy from open series --------------------------------------------------------------------------
def test_open_series_bear_no_efficacy_of_cells():
    for d in EVERY.values():
        if BARRED_CELLS & set(d.therapies) and d.domain in OF_EFFICACY:
            assert d.randomised or "run_in" in d.endpoint, d.outcome_id
    for outcome in ("bonab2007_msc#1", "leone2023_icv_nsc#5", "harris2021_mscnp_followup#2", "petrou2016_mscntf#6"):
        assert "open series" in LEFT[outcome].reason


def test_open_series_keep_safety_rates_before_treatment_and_transplantation():
    assert EVERY["leone2023_icv_nsc#4"].domain == "harm"
    assert "run_in" in EVERY["petrou2016_mscntf#1"].endpoint
    assert not EVERY["boffa2021_italy210#1"].randomised
    assert EVERY["boffa2021_italy210#1"].lane == "aHSCT"
    assert EVERY["oh2018_lenzumestrocel_p2#3"].randomised


# -- nothing twice -----------------------------------------------------------------------------------------------------
def test_an_arm_that_stands_in_a_contrast_is_not_told_again():
    contrasts = [d for d in EVERY.values() if d.protocol and d.contrast]
    assert len(contrasts) > 20
    for c in contrasts:
        for d in EVERY.values():
            if (d.study, d.protocol, d.endpoint) == (c.study, c.protocol, c.endpoint) and d.arms == c.arms[:1]:
                assert d.time_years is not None
                assert c.time_years is not None
                assert abs(d.time_years - c.time_years) > 0.1, (d.outcome_id, c.outcome_id)


def test_events_of_a_treated_arm_are_contrasted_by_one_endpoint():
    seen: dict[tuple[str, ...], set[str]] = {}
    for d in EVERY.values():
        subject = SUBJECTS.get(d.endpoint.split(".")[0])
        if d.randomised and d.protocol and not d.control and subject:
            seen.setdefault((d.study, d.protocol, d.arms[0], subject), set()).add(d.endpoint)
    assert {len(v) for v in seen.values()} == {1}, [v for v in seen.values() if len(v) > 1]


def test_one_number_for_an_endpoint_arm_and_time():
    places = Counter((d.study, d.protocol, d.endpoint, d.arms, d.time_years) for d in EVERY.values() if d.protocol)
    assert max(places.values()) == 1
    curves = Counter((d.study, d.protocol, d.endpoint, d.arms) for d in EVERY.values() if d.protocol)
    assert max(curves.values()) <= MAX_TIMES


def test_one_value_of_a_cohort_for_a_quantity():
    kept = Counter((d.quantity, d.cohort, d.arms) for d in EVERY.values() if d.quantity)
    assert max(kept.values()) == 1
    assert "same cohort" in LEFT["renoux2007_pediatric#12"].reason  # the adults of Lyon, told by another paper


def test_known_choices_of_affirm():
    mine = {k for k in EVERY if k.startswith("polman2006_affirm")}
    assert {"polman2006_affirm#1", "polman2006_affirm#2", "polman2006_affirm#6", "polman2006_affirm#8"} <= mine
    assert "polman2006_affirm#3" in LEFT
    assert "polman2006_affirm#7" in LEFT
    hr = EVERY["polman2006_affirm#1"]
    assert (hr.kind, hr.domain, hr.lane) == ("lognormal", "disability", "MS drugs")
    assert hr.se == pytest.approx(np.log(0.77 / 0.43) / 3.92, rel=1e-3)
    assert {"natalizumab", "dmt"} <= set(hr.therapies)
    assert not EVERY["polman2006_affirm#2"].therapies


def test_the_pooled_trial_stands_for_its_parts():
    assert "hauser2017_opera#7" in EVERY
    assert {"hauser2017_opera#37", "hauser2017_opera#38"} <= set(LEFT)


def _at(k, t, *, primary=False):
    return datum(outcome_id=f"x#{k}", endpoint="pfs", arms=("a",), randomised=False, time_years=t, primary=primary)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8, unique=True), st.data())
def test_a_curve_is_told_at_three_times_at_most_its_primary_one_among_them(years, drawn):
    main = drawn.draw(st.sampled_from(years))
    found = [_at(k + 1, float(t), primary=t == main) for k, t in enumerate(years)]
    kept, left = choose(found)
    assert len(kept) == min(len(years), MAX_TIMES)
    assert main in [d.time_years for d in kept]
    assert {d.outcome_id for d in kept} | set(left) == {d.outcome_id for d in found}
    assert not {d.outcome_id for d in kept} & set(left)


def test_choosing_does_not_look_at_values():
    found = list(EVERY.values())
    other = [dataclasses.replace(d, value=d.value / 2) for d in found]
    assert [d.outcome_id for d in choose(found)[0]] == [d.outcome_id for d in choose(other)[0]]


# -- scales ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("outcome", sorted(EVERY))
def test_scales_rise_and_are_undone(outcome):
    d = EVERY[outcome]
    top = {"logit": d.n if d.counted else 1.0, "log": 10 * abs(d.value) + 1, "identity": 100.0}[d.scale]
    x = np.linspace(0.0 if d.scale != "identity" else -100.0, top, 201)
    y = on_scale(d, x)
    assert np.isfinite(y).all()
    assert (np.diff(y) >= 0).all()
    centre = float(on_scale(d, d.value))
    inside = np.abs(y - centre) < d.limit - 1e-9
    np.testing.assert_allclose(from_scale(d, y)[inside], x[inside], rtol=1e-9, atol=1e-9)


def test_no_event_and_all_events_are_finite():
    d = datum(n=20.0)
    np.testing.assert_allclose(on_scale(d, [0.0, 1.0]), [np.log(0.5 / 20.5), np.log(20.5 / 0.5)])
    counted = datum(n=20.0, counted=True, value=5.0)
    np.testing.assert_allclose(on_scale(counted, [0.0, 20.0]), on_scale(d, [0.0, 1.0]))
    rate = datum(kind="negative_binomial", scale="log", value=0.2, exposure=50.0, offset=0.01, size=10.0)
    assert float(on_scale(rate, 0.0)) == pytest.approx(np.log(0.01))


def test_what_has_no_finite_ratio_is_set_at_the_limit_and_what_is_missing_stays_missing():
    hr = EVERY["polman2006_affirm#1"]
    y = on_scale(hr, [0.0, np.inf, np.nan, 0.58])
    np.testing.assert_allclose(y, np.log(0.58) + np.array([-hr.limit, hr.limit, np.nan, 0.0]))


# -- how exact a number is ---------------------------------------------------------------------------------------------
def _outcome(**changes):
    return OUTCOMES["polman2006_affirm#1"].model_copy(update=changes)


def test_counts_that_are_printed_are_not_rounded():
    assert EVERY["cudkowicz2013_empower#7"].half_width == 0.0
    assert EVERY["cudkowicz2013_empower#7"].n == 468


def test_standard_errors_from_what_is_printed():
    told = [
        (_outcome(value=0.5, ci95=(0.25, 1.0)), "log", np.log(4) / 3.919928, "interval"),
        (_outcome(value=0.5, ci95=None, ci90=(0.25, 1.0)), "log", np.log(4) / 3.289707, "interval"),
        (_outcome(value=2.0, ci95=None, se=0.5, statistic="mean"), "identity", 0.5, "standard error"),
        (_outcome(value=2.0, ci95=None, sd=6.0, statistic="mean"), "identity", 0.6, "standard deviation"),
        (_outcome(value=0.5, ci95=None, p_value=0.05), "log", np.log(2) / 1.959964, "p value"),
    ]
    for o, scale, se, source in told:
        got = standard_error(o, scale, 100.0)
        assert got is not None
        assert got[1] == source
        assert got[0] == pytest.approx(se, rel=1e-5)
    assert standard_error(_outcome(ci95=None, p_value=0.9), "log", 100.0) is None  # says nothing of its error
    assert standard_error(_outcome(ci95=None, p_value=None), "log", 100.0) is None


def test_effective_numbers():
    affirm, o = study("polman2006_affirm"), OUTCOMES["polman2006_affirm#2"]
    assert effective_n(o, affirm, 315.0, 2.0) == (round(84 / 0.29), "events over the curve")
    bare = o.model_copy(update={"events": None})
    n, source = effective_n(bare, affirm.model_copy(update={"follow_up_years": None}), 315.0, 2.0)
    assert (n, source) == (round(315 * assumed()["followed"]), "n shrunk by assumed losses")


def test_parts_of_unknown_size_share_their_whole():
    periods = [d for k, d in EVERY.items() if k.startswith("shirani2012_bc_trends#")]
    assert len(periods) == 4
    assert sum(d.n for d in periods) == pytest.approx(2236, abs=4)
    sites = [d for d in EVERY.values() if d.quantity.startswith("alive_3y.") and d.study == "italian_register_supp"]
    assert len(sites) == 3
    assert len({d.n for d in sites}) == 1
    assert EVERY["italian_register_supp#8"].n == 61  # on record
    assert EVERY["renoux2007_pediatric#11"].n == 1775
    assert EVERY["fujimura2011_spread#8"].n == 32  # the arm's own
    assert EVERY["tremlett2009_bc_relapse_impact#1"].n == 2477  # compares people of the whole


def test_a_contrast_takes_its_error_from_its_arms():
    ratio = EVERY["polman2006_affirm#8"]  # printed bare; both rates have intervals
    treated, control = (np.log(hi / lo) / 3.919928 for lo, hi in ((0.19, 0.28), (0.62, 0.87)))
    assert ratio.spread == "of its arms"
    assert ratio.se == pytest.approx(np.hypot(treated, control), rel=1e-3)
    difference = EVERY["edaravone2017_study19#3"]
    assert difference.se == pytest.approx(np.hypot(0.64, 0.66))


def test_a_number_without_error_takes_that_of_its_kin():
    bare = datum(outcome_id="x#1", term="edss", domain="disability", kind="normal", scale="identity", n=100.0)
    kin = [dataclasses.replace(bare, outcome_id=f"x#{k}", se=se, spread="interval") for k, se in ((2, 0.1), (3, 0.2))]
    told = with_kin([dataclasses.replace(bare, se=None), *kin])
    assert told[0].se == pytest.approx(np.sqrt((0.1**2 + 0.2**2) / 2))
    assert told[0].spread == "of its kin"
    assert told[1:] == kin
    alone = with_kin([dataclasses.replace(bare, se=None)])[0]
    assert (alone.se, alone.spread) == (pytest.approx(assumed()["sd.edss"] / 10), "assumed")


def test_assumed_spreads_say_so():
    for d in EVERY.values():
        if d.se is not None:
            assert d.spread, d.outcome_id
    assert any(d.spread == "assumed" for d in EVERY.values())
    assert isinstance(EVERY["polman2006_affirm#1"], Datum)
