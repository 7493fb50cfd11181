"""Every spelling of the evidence has exactly one controlled term."""

from fnmatch import fnmatchcase

import pytest

from stemtrial import evidence as ev
from stemtrial.endpoint import definitions
from stemtrial.errors import InputError

SPELLINGS = {o.endpoint for s in ev.studies().values() for o in s.outcomes}


def test_every_spelling_has_exactly_one_term():
    assert len(SPELLINGS) == 634
    for spelling in SPELLINGS:
        under = [t.id for t in ev.terms().values() if any(fnmatchcase(spelling, s) for s in t.spellings)]
        assert under == [ev.term_of(spelling).id], spelling


def test_no_term_lists_a_spelling_that_nobody_uses():
    for t in ev.terms().values():
        for s in t.spellings:
            assert any(fnmatchcase(e, s) for e in SPELLINGS), (t.id, s)


def test_a_name_that_is_term_and_spelling_means_one_thing():
    for name in set(ev.terms()) & SPELLINGS:
        assert ev.term_of(name).id == name


def test_terms_take_the_statistics_of_their_rows():
    for s in ev.studies().values():
        for o in s.outcomes:
            t = ev.term_of(o.endpoint)
            assert t.is_other or o.statistic in t.statistics, (o.outcome_id, t.id)


def test_size_of_the_vocabulary():
    core = [t for t in ev.terms().values() if not t.is_other]
    assert 40 <= len(core) <= 80
    assert all(t.id == f"other.{t.family}" for t in ev.terms().values() if t.is_other)


@pytest.mark.parametrize(
    ("spelling", "term"),
    [
        ("disability_progression", "confirmed_disability_worsening"),
        ("relapse_rate", "annualised_relapse_rate"),
        ("nea", "neda3"),
        ("edss_transition_3_to_4", "other.disability"),
        ("t2_volume_change_pct", "t2_volume_change_pct"),
    ],
)
def test_known_spellings(spelling, term):
    assert ev.term(spelling).id == term


def test_hazard_ratios_of_event_free_terms_compare_the_event():
    assert ev.term("neda3").benefit_of("km_probability") == "higher"
    assert ev.term("neda3").benefit_of("hazard_ratio") == "lower"
    assert ev.term("confirmed_disability_improvement").benefit_of("hazard_ratio") == "higher"


def test_unknown_endpoint_lists_the_closest():
    with pytest.raises(InputError, match="did you mean 'neda3'"):
        ev.term("neda33")


def test_endpoints_of_the_library_lead_to_their_term():
    for name, wanted in {
        "confirmed_worsening": "confirmed_disability_worsening",
        "confirmed_worsening.mist": "confirmed_disability_worsening",
        "neda3.halt_ms": "neda3",
        "overall_survival": "survival",
        "edss_milestone.6": "edss6_reached",
        "serious_adverse_events.related": "serious_adverse_events",
        "relapse_rate": "annualised_relapse_rate",
    }.items():
        assert ev.term(name).id == wanted
    with pytest.raises(InputError, match="'eq5d_change' is not in the evidence"):
        ev.term("eq5d_change")
    with pytest.raises(InputError, match="'neda33' is not known; did you mean 'neda3'"):
        ev.term("neda33")


def test_endpoints_named_by_terms_exist_and_stand_once():
    known = set(definitions()) | {d.split(".")[0] for d in definitions()}
    named = [e for t in ev.terms().values() for e in t.endpoints]
    assert set(named) <= known
    assert len(named) == len(set(named))
    assert not set(named) & (set(ev.terms()) | SPELLINGS)
