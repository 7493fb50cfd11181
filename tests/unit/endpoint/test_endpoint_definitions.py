"""Definitions: complete, cited, typed; changes are validated."""

import pytest

from stemtrial.endpoint import ConfirmedChange, define, definitions, find
from stemtrial.errors import InputError

REQUIRED = {
    "confirmed_worsening.mist", "confirmed_worsening.12_weeks", "confirmed_worsening.24_weeks",
    "confirmed_worsening.oratorio", "confirmed_worsening.expand", "confirmed_improvement", "neda3", "neda3.mist",
    "relapse_rate", "relapse_free", "edss", "edss_change", "gd_lesions", "new_t2_lesions", "t2_volume_change_pct",
    "brain_volume_change_pct", "treatment_related_mortality", "overall_survival",
}  # fmt: skip


def test_every_definition_is_there_cited_and_typed():
    known = definitions()
    assert set(known) >= REQUIRED
    for name, d in known.items():
        assert d.id == name
        assert d.label
        assert d.citation
        assert d.unit
        assert d.kind in {"time_to_event", "value", "change", "count", "rate", "status"}
        assert "censor_at" in d.parameters()
        if getattr(d, "worsening", None):
            assert isinstance(known[d.worsening], ConfirmedChange)


def test_mist_is_the_published_rule():
    d = find("confirmed_worsening.mist")
    assert [(t.up_to, t.by) for t in d.thresholds] == [(10.0, 1.0)]
    assert d.confirmation_days == 183
    assert d.onset_from_days == 365 - 30
    assert d.unconfirmed_at_end == "censored"
    assert "crossed_over" in d.censor_at
    assert "burt2019_mist#1" in d.citation


@pytest.mark.parametrize(
    ("name", "baseline", "rise"),
    [
        ("confirmed_worsening.24_weeks", 0.0, 1.5), ("confirmed_worsening.24_weeks", 1.0, 1.0),
        ("confirmed_worsening.24_weeks", 5.5, 1.0), ("confirmed_worsening.24_weeks", 6.0, 0.5),
        ("confirmed_worsening.oratorio", 0.0, 1.0), ("confirmed_worsening.oratorio", 6.0, 0.5),
        ("confirmed_worsening.expand", 5.0, 1.0), ("confirmed_worsening.expand", 5.5, 0.5),
    ],
)  # fmt: skip
def test_thresholds_by_baseline(name, baseline, rise):
    assert next(t.by for t in find(name).thresholds if baseline <= t.up_to) == rise


def test_a_changed_definition_is_new_and_validated():
    d = find("confirmed_worsening.mist", unconfirmed_at_end="event")
    assert d.unconfirmed_at_end == "event"
    assert find("confirmed_worsening.mist").unconfirmed_at_end == "censored"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: find("confirmed_worsening.mists"), "did you mean 'confirmed_worsening.mist'"),
        (lambda: find("edss", colour="red"), "colour"),
        (
            lambda: find("confirmed_worsening.mist", confirmation_days=-1),
            "confirmation_days.*or equal to 0",
        ),
        (lambda: find("confirmed_worsening.mist", tolerance_days=183), "tolerance_days 183 must be less than"),
        (lambda: find("confirmed_worsening.mist", thresholds=[{"up_to": 5, "by": 1}]), "ascend to up_to: 10.0"),
        (lambda: find("neda3", censor_at=["moved"]), "censor_at.*'moved'"),
        (lambda: define({"id": "x", "rule": "guess"}), "endpoint 'x'"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(InputError, match=message) as e:
        call()
    assert "\n" not in str(e.value)
