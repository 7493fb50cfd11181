"""How readily a trial records adverse events: mild ones by the odds, severe and serious ones always."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given as over
from hypothesis import strategies as st

from stemtrial.therapy import ahsct_harms, harms, msc
from stemtrial.therapy.family import Given, Harm, recorded, recording_speed

MILD, SEVERE, SERIOUS = Harm("headache", 2, False), Harm("mucositis", 3, False), Harm("infection", 2, True)
N = 4000
GRAFT = {"conditioning": "beam-atg", "mobilisation": "cyclophosphamide-gcsf", "cells_1e6_per_kg": 5.0,
         "cd34_selected": "no"}  # fmt: skip
CELLS = {"product": "bone-marrow-autologous", "route": "intrathecal", "dose_1e6": 60.0, "courses": 2, "every_days": 28}


@over(st.floats(0.0, 1.0), st.floats(-3.0, 3.0))
def test_the_odds_of_a_mild_event_are_multiplied_and_it_stays_a_probability(p, shift):
    got = recorded(p, MILD, np.array([shift, 0.0]))
    assert np.all((got >= 0.0) & (got <= 1.0))
    assert np.broadcast_to(got, 2)[1] == p
    if 0.001 < p < 0.999:
        odds = got[0] / (1.0 - got[0]) if shift else p / (1.0 - p)
        assert odds == pytest.approx(p / (1.0 - p) * np.exp(shift), rel=1e-9)
    for harm in (SEVERE, SERIOUS):
        assert recorded(p, harm, np.array([shift])) == p
        assert recording_speed(harm, np.array([shift])) == 1.0


def told(events):
    """Events of rows, as sorted (term, grade, serious) -> rows and days."""
    out = {}
    for e in events:
        mine = out.setdefault(e.harm, [])
        mine += list(zip(e.row.tolist(), e.day.tolist(), strict=True))
    return {k: sorted(v) for k, v in out.items()}


def of(therapy, settings, recording):
    facts = {"edss": np.full(N, 4.0), "age_years": np.full(N, 38.0), "female": np.ones(N)}
    start = np.full(N, 30)
    return Given(np.arange(N, dtype=np.uint64), therapy, settings, start, start + 3000, facts, recording)


@pytest.mark.parametrize(("room", "therapy", "settings"), [(ahsct_harms, "ahsct", GRAFT), (msc, "msc", CELLS)])
def test_families_record_mild_events_by_the_trial_and_all_others_alike(point, room, therapy, settings):
    plain, less, more = (
        told(room.adverse_events(3, of(therapy, settings, x), point)) for x in (0.0, np.full(N, -1.0), np.full(N, 1.0))
    )
    assert told(room.adverse_events(3, of(therapy, settings, np.zeros(N)), point)) == plain
    moved = 0
    for harm, events in plain.items():
        if harm.discretionary and len(events) > 100 and harm.term not in ("amenorrhoea", "menses recovered"):
            assert len(less[harm]) < len(events) < len(more[harm]), harm
            moved += 1
        elif not harm.discretionary:
            assert less[harm] == events == more[harm], harm
    assert moved >= 3


def test_a_shift_is_of_each_patient(point):
    half = np.where(np.arange(N) < N // 2, 1.5, 0.0)
    plain, mixed = (told(msc.adverse_events(3, of("msc", CELLS, x), point)) for x in (0.0, half))
    for harm, events in plain.items():
        assert [e for e in events if e[0] >= N // 2] == [e for e in mixed[harm] if e[0] >= N // 2]


@pytest.mark.parametrize("therapy", ["interferon_beta", "alemtuzumab", "natalizumab", "fingolimod", "cladribine"])
def test_harm_of_drugs_is_recorded_by_the_trial_where_it_is_mild(point, therapy):
    def draw(recording):
        start = np.zeros(N, np.int64)
        given = harms.Exposure(
            np.arange(N, dtype=np.uint64), np.full(N, therapy), start, start + 1500, recording
        )  # fmt: skip
        return harms.adverse_events(2, given, point)

    plain, none, less, more = (draw(x) for x in (0.0, np.zeros(N), np.full(N, -1.0), np.full(N, 1.0)))
    for c, x in plain.items():
        np.testing.assert_array_equal(x, none[c])

    def severe(t):
        keep = (t["grade"] > 2) | (t["serious"] > 0)
        return sorted(zip(*(t[c][keep].tolist() for c in ("row", "day", "term")), strict=True))

    assert severe(plain) == severe(less) == severe(more)
    mild = [((t["grade"] <= 2) & (t["serious"] == 0)).sum() for t in (less, plain, more)]
    assert mild[0] < 0.8 * mild[1]
    assert mild[2] > 1.2 * mild[1]


def test_a_rate_is_multiplied(point):
    start = np.zeros(N, np.int64)
    seen = []
    for shift in (0.0, 0.7):
        given = harms.Exposure(
            np.arange(N, dtype=np.uint64), np.full(N, "fingolimod"), start, start + 3650, np.full(N, shift)
        )
        t = harms.adverse_events(2, given, point)
        seen.append((t["term"] == "herpes zoster").sum())
    assert seen[0] > 100
    assert seen[1] / seen[0] == pytest.approx(np.exp(0.7), rel=0.2)
