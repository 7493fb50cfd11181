"""Harm of drugs: drawn at the rates of its parameters, at the right time, each event from a stream of its own."""

from __future__ import annotations

import numpy as np
import pytest

from stemtrial.errors import InputError
from stemtrial.kernel import YEAR
from stemtrial.parameters import registry
from stemtrial.tables import SCHEMAS
from stemtrial.therapy import FAMILIES, modelled
from stemtrial.therapy.harms import HARMS, PML_DAYS, Exposure, adverse_events

N = 40_000


def given_to(n, therapy, years, start=0, first=0):
    patient = np.arange(first, first + n, dtype=np.uint64)
    stop = np.full(n, start + round(years * YEAR))
    return Exposure(patient, np.full(n, therapy, "U32"), np.full(n, start), stop, np.zeros(n))


def drawn(p, event, therapy, years, n=N, **changes):
    """Days since the start of one event, and how many patients have it."""
    term = HARMS[event][0].term
    others = {k: 0.0 for k in p if k.startswith("harms.") and k.endswith(f".{therapy}") and event not in k}
    out = adverse_events(3, given_to(n, therapy, years), p | others | changes)
    mine = out["term"] == term
    return out["day"][mine], len(np.unique(out["row"][mine]))


def within(count, share, n=N):
    return abs(count - n * share) < 4.5 * np.sqrt(n * share * (1 - share)) + 1


# -- the register ------------------------------------------------------------------------------------------------
def test_every_number_has_an_event_and_every_event_its_numbers():
    numbers = {tuple(k.split(".")[1:]) for k in registry() if k.startswith("harms.")}
    events = {e for e, *_ in numbers} - {"pml_early", "jcv_positive", "onset_days", "late_days", "full_days"}
    assert events == set(HARMS)
    needs = {"start": "onset_days", "course": "onset_days", "late": "late_days", "dose": "full_days"}
    for event, (_, timing) in HARMS.items():
        assert timing not in needs or (needs[timing], event) in numbers, event
    therapies = {t for e, *t in numbers if e in events for t in t}
    both = {t for t in FAMILIES["als_drugs"].therapies if t != "pridopidine"}  # tofersen's punctures are drawn beside
    assert therapies == both | {t for f in FAMILIES.values() if f.adverse_events is None for t in f.therapies}
    assert all(f.adverse_events for f in FAMILIES.values() if not set(f.therapies) & therapies), "all do some harm"


def test_what_is_recorded_fits_the_table():
    width = np.dtype(SCHEMAS["adverse_events"].columns["term"].dtype).itemsize // 4
    for harm, _ in HARMS.values():
        assert len(harm.term) <= width
        assert 1 <= harm.grade <= 4
        assert harm.serious <= (harm.grade >= 3)


# -- rates -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("event", "therapy"),
    [("flu_like", "interferon_beta"), ("flushing", "dimethyl_fumarate"), ("macular_oedema", "siponimod")],
)
def test_a_harm_of_the_start_comes_with_its_probability_and_at_its_time(point, event, therapy):
    day, who = drawn(point, event, therapy, 20)
    assert within(who, point[f"harms.{event}.{therapy}"])
    assert len(day) == who, "once"
    mean = point[f"harms.onset_days.{event}"]
    assert day.mean() + 0.5 == pytest.approx(mean, abs=4 * mean / np.sqrt(who) + 0.1)
    assert drawn(point, event, therapy, 0.01)[1] < who, "not once it is stopped"


def test_a_rate_is_that_many_a_year(point):
    rate = point["harms.serious_infection.cyclophosphamide"]
    day, _ = drawn(point, "serious_infection", "cyclophosphamide", 3)
    assert len(day) == pytest.approx(rate * 3 * N, abs=4.5 * np.sqrt(rate * 3 * N))
    assert np.histogram(day, bins=3)[0].std() < 4 * np.sqrt(rate * N), "evenly"
    often, _ = drawn(
        point, "serious_infection", "cyclophosphamide", 3, 500, **{"harms.serious_infection.cyclophosphamide": 30.0}
    )
    assert len(often) == pytest.approx(30 * 3 * 500, rel=0.02)


def test_each_course_has_its_own_reactions(point):
    day, _ = drawn(point, "infusion_reaction_course", "alemtuzumab", 2)
    share = point["harms.infusion_reaction_course.alemtuzumab"]
    assert within((day < 365).sum(), share)
    assert within((day >= 365).sum(), share)
    day, _ = drawn(point, "infusion_reaction_course", "alemtuzumab", 0.9)
    assert day.max() < 200, "no second course, no reaction to it"


def test_autoimmunity_comes_late_and_whether_or_not_there_is_a_second_course(point):
    for years in (0.2, 5):
        day, who = drawn(point, "thyroid_autoimmunity", "alemtuzumab", years)
        assert within(who, point["harms.thyroid_autoimmunity.alemtuzumab"])
        assert day.mean() == pytest.approx(point["harms.late_days.thyroid_autoimmunity"], rel=0.03)
        assert (day < 180).mean() < 0.06
    assert 0.12 < (day < 730).sum() / N < 0.24, "CARE-MS I, where the number is from: 18 % in two years"


def test_cumulative_harm_reaches_its_probability_with_the_lifetime_dose(point):
    full = point["harms.full_days.cardiotoxicity"]
    share = point["harms.cardiotoxicity.mitoxantrone"]
    assert within(drawn(point, "cardiotoxicity", "mitoxantrone", full / YEAR)[1], share)
    half = drawn(point, "cardiotoxicity", "mitoxantrone", full / YEAR / 2)[1]
    assert within(half, 1 - (1 - share) ** 0.25), "the hazard rises with the dose"
    assert within(drawn(point, "cardiotoxicity", "mitoxantrone", 20)[1], share), "and ends with it"


def test_pml_rises_after_two_years_and_only_in_carriers_of_the_virus(point):
    changes = {"harms.pml_late.natalizumab": 0.4, "harms.pml_early.natalizumab": 0.05}
    day, who = drawn(point, "pml_late", "natalizumab", 4, **changes)
    carriers = point["harms.jcv_positive"]
    early = carriers * (1 - np.exp(-0.05 * PML_DAYS / YEAR))
    assert within((day < PML_DAYS).sum(), early)
    end = carriers * (1 - np.exp(-0.05 * PML_DAYS / YEAR - 0.4 * (4 - PML_DAYS / YEAR)))
    assert within(who, end)
    everybody = {"harms.jcv_positive": 1.0, "harms.pml_late.natalizumab": 50.0}
    assert drawn(point, "pml_late", "natalizumab", 4, **everybody)[1] == N
    assert drawn(point, "pml_late", "natalizumab", 4, **everybody | {"harms.jcv_positive": 0.0})[1] == 0
    point_rate = drawn(point, "pml_late", "natalizumab", 4)[1] / N
    assert 0.002 < point_rate < 0.008


# -- streams -----------------------------------------------------------------------------------------------------
def rows(out):
    keys = ("row", "day", "term", "grade", "serious", "cause")
    return list(zip(*(out[k].tolist() for k in keys), strict=True))


def test_a_further_therapy_or_patient_or_event_shifts_nothing(point):
    alone = given_to(300, "fingolimod", 4)
    more = given_to(500, "cladribine", 4, first=100)
    both = Exposure(*(np.concatenate([getattr(alone, k), getattr(more, k)]) for k in Exposure.__dataclass_fields__))
    a, b = rows(adverse_events(1, alone, point)), rows(adverse_events(1, both, point))
    assert len(a) > 50
    assert [r for r in b if r[0] < 300] == a
    fewer = rows(adverse_events(1, alone, point | {"harms.liver_enzymes.fingolimod": 0.0}))
    assert fewer == [r for r in a if r[2] != "liver enzymes raised"]


def test_longer_exposure_keeps_what_came_before(point):
    short = rows(adverse_events(1, given_to(2000, "ocrelizumab", 1), point))
    long = rows(adverse_events(1, given_to(2000, "ocrelizumab", 9), point))
    assert set(short) < set(long)


def test_restarting_draws_anew(point):
    p = point | {"harms.flushing.dimethyl_fumarate": 0.5}
    a, b = (adverse_events(1, given_to(400, "dimethyl_fumarate", 2, start=s), p) for s in (0, 900))
    assert set(a["row"].tolist()) != set(b["row"].tolist())
    assert (b["day"] >= 900).all()


def test_without_effects_there_is_no_harm(point):
    p = point | {k: v.no_effect for k, v in registry().items() if v.no_effect is not None}
    for name in modelled():
        assert len(adverse_events(1, given_to(200, name, 6), p)["day"]) == 0


def test_nothing_given_is_no_event_and_nonsense_is_refused(point):
    nobody = Exposure(np.zeros(0, np.uint64), np.zeros(0, "U32"), np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert all(len(v) == 0 for v in adverse_events(1, nobody, point).values())
    with pytest.raises(InputError, match="therapy 'natalizumb' is not known; did you mean"):
        adverse_events(1, given_to(1, "natalizumb", 1), point)
    backwards = given_to(1, "natalizumab", 1)
    with pytest.raises(InputError, match="before its start"):
        adverse_events(1, Exposure(backwards.patient, backwards.therapy, backwards.stop, backwards.start), point)
