"""Conventional drugs: onset, dose, combination, washout, rebound, depletion and return, on mechanisms only."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemtrial.errors import InputError
from stemtrial.kernel import Schedule
from stemtrial.parameters import registry
from stemtrial.therapy import FAMILIES, catalogue, compose, prescribe, stopping, stops
from stemtrial.therapy.anti_cd20 import ANTIBODIES
from stemtrial.therapy.depleting import DEPLETING
from stemtrial.therapy.drugs import CHANNELS, DRUGS, MOST
from stemtrial.therapy.family import AMOUNTS
from stemtrial.therapy.prescribe import failure_of, refuse_together

CONVENTIONAL = ("anti_cd20", "depleting", "drugs", "remyelination", "steroids")


@pytest.fixture(scope="module")
def kernel():
    return compose("ms", CONVENTIONAL)


def facts(n):
    return {"edss": np.full(n, 3.0), "year": np.full(n, 2015.0), "day": np.zeros(n, int)}


def filled(name, **fields):
    """Settings as a protocol gives them, defaults filled in."""
    known = catalogue()[name].fields
    return {k: f.default for k, f in known.items() if f.default is not None} | fields


def plan(kernel, n, *entries):
    """Schedule of (day, therapy, fields), each in the place of what is taken or, ``added``, beside it.

    A therapy of None stops everything.
    """
    rows = []
    for day, name, fields in entries:
        orders = []
        if name is None or not fields.get("added"):
            orders += [(day, dose, None) for dose in stopping(CONVENTIONAL)]
        if name is not None:
            own = {k: v for k, v in fields.items() if k != "added"}
            given_ = prescribe(name, filled(name, day=day, **own), facts(n))
            orders += [(day + o.day, o.dose, o.amounts) for o in given_]
        for at, dose, amounts in orders:
            a = np.zeros((n, AMOUNTS)) if amounts is None else amounts
            rows.append(Schedule(np.arange(n), np.full(n, at), np.full(n, kernel.dose(dose)), a))
    return Schedule.join(rows)


def follow(kernel, crowd, point, days, schedule=None, seed=1):
    """Advance to each of ``days``; returns the states there, one row a day."""
    out, now = [], 0
    for day in days:
        kernel.advance(crowd, now, day, point, seed, schedule=schedule, threads=2)
        out.append(crowd.state.copy())
        now = day
    return np.array(out)


def of_ms(kernel, states):
    """Rows of the disease alone, from states of shape (days, states, patients)."""
    return states[:, [kernel.row(s.name) for s in kernel.model.states.values() if s.owner == "ms"]]


def effects(kernel, state):
    """What the channels hold back in all, from states of shape (states, patients)."""
    s = {c: state[kernel.row(f"drugs.{c}")] for c in ("way", "left")}
    out = {}
    for c in CHANNELS:
        a, b, old = (state[kernel.row(f"drugs.{c}_{x}")] for x in ("from", "to", "before"))
        out[c] = 1 - (1 - (a + (b - a) * s["way"])) * (1 - old * s["left"])
    return out


# -- the catalogue -----------------------------------------------------------------------------------------------
def test_drugs_have_a_dose_and_courses_none():
    for name, info in catalogue().items():
        assert ("dose_ratio" in info.fields) == (info.family in ("dmt", "remyelination", "als_drug")), name
        assert ("stop_day" in info.fields) == (info.entry != "one_off"), name


def test_every_effect_registers_where_it_vanishes():
    known = registry()
    assert all(known[f"drugs.{d}.{c}"].no_effect == 0.0 for d in DRUGS for c in (*CHANNELS, "fluid"))
    assert all(known[f"anti_cd20.{x}.{d}"].no_effect == 0.0 for d in ANTIBODIES for x in ("depletion", "activation"))
    assert all(known[f"depleting.{x}.{d}"].no_effect == 0.0 for d in DEPLETING for x in ("kill", "kill_b"))


def test_a_drug_without_data_is_vaguer_than_its_class():
    known = registry()
    for drug, reference in (("ponesimod", "fingolimod"), ("evobrutinib", "tolebrutinib")):
        for c in CHANNELS:
            mine, theirs = known[f"drugs.{drug}.{c}"], known[f"drugs.{reference}.{c}"]
            assert mine.value == theirs.value
            assert mine.prior["sd"] > theirs.prior["sd"]
            assert "class" in mine.source
    assert all(known[f"drugs.laquinimod.{c}"].value == 0.0 for c in CHANNELS), "no class: centred on no effect"


# -- nothing without effects --------------------------------------------------------------------------------------
def test_without_effects_whatever_is_given_the_patient_is_the_untreated_bit_for_bit(kernel, people, point):
    p = point | {k: v.no_effect for k, v in registry().items() if v.no_effect is not None}
    n = 200
    given_ = plan(
        kernel, n, (5, "interferon_beta", {}), (100, "natalizumab", {}), (150, "glatiramer", {"added": True}),
        (200, "natalizumab", {}), (300, "ocrelizumab", {"dose_ratio": 2.0}), (420, "alemtuzumab", {}),
        (600, "ofatumumab", {"stop_day": 700}), (900, "clemastine", {"added": True}),
        (950, "methylprednisolone", {"added": True}), (1000, None, {}),
    )  # fmt: skip
    treated, placebo = people(kernel, n), people(kernel, n)
    at = np.arange(0, 1201, 60)
    visits = np.tile(np.arange(n), len(at)), np.repeat(at, n)
    a = kernel.advance(treated, 0, 1200, p, 4, schedule=given_, visits=visits, threads=2)
    b = kernel.advance(placebo, 0, 1200, p, 4, visits=visits, threads=2)
    disease = [s.name for s in kernel.model.states.values() if s.owner == "ms"]
    for s in disease:
        np.testing.assert_array_equal(treated.state[kernel.row(s)], placebo.state[kernel.row(s)], err_msg=s)
    for k in a.observed:
        np.testing.assert_array_equal(a.observed[k], b.observed[k], err_msg=k)
    for k in a.events:
        np.testing.assert_array_equal(a.events[k], b.events[k])


def test_a_family_that_is_composed_and_not_given_changes_no_bit(kernel, people, point):
    bare = compose("ms", ("steroids",))
    a, b = people(kernel, 200), people(bare, 200)
    kernel.advance(a, 0, 700, point, 3, threads=2)
    bare.advance(b, 0, 700, point, 3, threads=2)
    for s in bare.states:
        np.testing.assert_array_equal(a.state[kernel.row(s)], b.state[bare.row(s)], err_msg=s)


def test_the_readable_kernel_agrees_with_the_fast_one(kernel, people, point):
    slow = compose("ms", CONVENTIONAL, backend="numpy")
    n, days = 24, 760
    entries = (
        (3, "natalizumab", {"dose_ratio": 1.5}), (200, "teriflunomide", {}), (220, "clemastine", {"added": True}),
        (260, "mitoxantrone", {"added": True, "stop_day": 300}), (280, "mitoxantrone", {"dose_ratio": 0.8}),
        (280, "teriflunomide", {"added": True}), (350, "ocrelizumab", {"stop_day": 500}),
        (370, "cladribine", {"added": True}), (600, "methylprednisolone", {"added": True}),
    )  # fmt: skip
    found = []
    for k in (kernel, slow):
        crowd = people(k, n)
        told = k.advance(crowd, 0, days, point, 9, schedule=plan(k, n, *entries)).events
        found.append((crowd.state, told))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-9, atol=1e-10)
    for c in ("patient", "day", "kind"):
        np.testing.assert_array_equal(found[0][1][c], found[1][1][c])


# -- channels ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("drug", DRUGS)
def test_a_drug_reaches_its_effects_by_its_onset_and_loses_them_by_its_washout(kernel, people, point, drug):
    stop, onset, washout = 100, point[f"drugs.onset.{drug}"], point[f"drugs.washout.{drug}"]
    given_ = plan(kernel, 2, (0, drug, {}), (stop, None, {}))
    seen = follow(kernel, people(kernel, 2), point, (50, stop, 160), given_)
    for day, state in zip((50, stop, 160), seen, strict=True):
        for c, e in effects(kernel, state).items():
            reached = point[f"drugs.{drug}.{c}"] * (1 - np.exp(-min(day, stop) / onset))
            np.testing.assert_allclose(e, reached * np.exp(-max(0, day - stop) / washout), rtol=1e-9, atol=1e-12)


def test_after_a_switch_the_old_effect_fades_by_its_own_washout_beside_the_new(kernel, people, point):
    given_ = plan(kernel, 2, (0, "natalizumab", {}), (300, "glatiramer", {}))
    day = 360
    (state,) = follow(kernel, people(kernel, 2), point, (day,), given_)
    old = point["drugs.natalizumab.entry"] * (1 - np.exp(-300 / point["drugs.onset.natalizumab"]))
    old *= np.exp(-(day - 300) / point["drugs.washout.natalizumab"])
    new = point["drugs.glatiramer.entry"] * (1 - np.exp(-(day - 300) / point["drugs.onset.glatiramer"]))
    np.testing.assert_allclose(effects(kernel, state)["entry"], 1 - (1 - old) * (1 - new), rtol=1e-9)


def test_stopping_on_its_stop_day_is_stopping(kernel, people, point):
    a = follow(kernel, people(kernel, 2), point, (400,), plan(kernel, 2, (0, "fingolimod", {"stop_day": 200})))
    b = follow(kernel, people(kernel, 2), point, (400,), plan(kernel, 2, (0, "fingolimod", {}), (200, None, {})))
    for c in CHANNELS:
        np.testing.assert_allclose(effects(kernel, a[0])[c], effects(kernel, b[0])[c], rtol=1e-9, atol=1e-12)
    (late,) = follow(kernel, people(kernel, 2), point, (3000,), plan(kernel, 2, (0, "natalizumab", {"stop_day": 200})))
    assert all((e < 1e-9).all() for e in effects(kernel, late).values())
    assert (late[kernel.row("V_to")] == 0).all()


@given(st.lists(st.floats(0.05, 5), min_size=2, max_size=6, unique=True))
@settings(max_examples=8)
def test_more_of_a_drug_does_more_and_never_all(kernel, people, point, ratios):
    reached = []
    for r in sorted(ratios):
        (s,) = follow(kernel, people(kernel, 1), point, (2000,), plan(kernel, 1, (0, "natalizumab", {"dose_ratio": r})))
        reached.append(effects(kernel, s)["entry"][0])
    assert (np.diff(reached) >= 0).all()
    assert max(reached) <= MOST + 1e-12
    h, e = point["drugs.half_dose"], point["drugs.natalizumab.entry"]
    expected = [min(MOST, e * r * (1 + h) / (r + h)) for r in sorted(ratios)]
    np.testing.assert_allclose(reached, expected, rtol=1e-9)


def test_a_combination_is_stronger_than_each_and_leaves_the_other_when_one_is_withdrawn(kernel, people, point):
    def reached(*entries, day=2000):
        return effects(kernel, follow(kernel, people(kernel, 1), point, (day,), plan(kernel, 1, *entries))[0])

    one, other = reached((0, "teriflunomide", {})), reached((0, "natalizumab", {}))
    both = reached((0, "teriflunomide", {}), (0, "natalizumab", {"added": True}))
    for c in CHANNELS:
        np.testing.assert_allclose(both[c], 1 - (1 - one[c]) * (1 - other[c]), rtol=1e-9)
    assert both["entry"] > max(one["entry"], other["entry"])
    again = reached((0, "teriflunomide", {}), (0, "natalizumab", {"added": True, "stop_day": 300}), day=4000)
    for c in CHANNELS:
        np.testing.assert_allclose(again[c], one[c], rtol=1e-9, atol=1e-12)


def test_a_withdrawal_that_comes_after_a_switch_touches_nothing(kernel, people, point):
    given_ = plan(kernel, 1, (0, "mitoxantrone", {}), (200, "fingolimod", {}))  # its lifetime dose ends in year 3
    (state,) = follow(kernel, people(kernel, 1), point, (2500,), given_)
    np.testing.assert_allclose(effects(kernel, state)["entry"], point["drugs.fingolimod.entry"], rtol=1e-9)


def test_mitoxantrone_ends_with_its_lifetime_dose(point):
    orders = prescribe("mitoxantrone", filled("mitoxantrone"), facts(2), parameters=point)
    assert orders[-1].day == point["drugs.mitoxantrone_days"]
    assert orders[-1].dose == "drugs.withdraw"
    assert prescribe("mitoxantrone", filled("mitoxantrone", dose_ratio=2.0), facts(2))[-1].day < orders[-1].day


def test_pending_care_at_the_reference_dose_needs_no_amounts(kernel, people, point):
    dose = np.full(1, kernel.dose("drugs.start.interferon_beta"))
    bare = Schedule(np.zeros(1, int), np.zeros(1, int), dose, np.zeros((1, AMOUNTS)))
    (state,) = follow(kernel, people(kernel, 1), point, (3000,), bare)
    np.testing.assert_allclose(effects(kernel, state)["activation"], point["drugs.interferon_beta.activation"])


# -- going on ----------------------------------------------------------------------------------------------------
IFN, NTZ = "interferon_beta", "natalizumab"
CONTINUED = {
    "alone": ([(0, IFN, {})], [(200, IFN, {})]),
    "while it takes effect": ([(190, IFN, {})], [(200, IFN, {})]),
    "twice": ([(0, NTZ, {})], [(200, NTZ, {}), (210, NTZ, {})]),
    "stopped twice": ([(0, NTZ, {})], [(200, None, {}), (200, NTZ, {})]),
    "another dose": ([(0, NTZ, {"dose_ratio": 0.3})], [(200, NTZ, {"dose_ratio": 0.3})]),
    "both of two, early": (
        [(190, IFN, {}), (190, NTZ, {"added": True})],
        [(200, IFN, {}), (200, NTZ, {"added": True})],
    ),
    "both of two": ([(0, IFN, {}), (0, NTZ, {"added": True})], [(200, IFN, {}), (200, NTZ, {"added": True})]),
    "one after another": ([(0, "fingolimod", {}), (5, IFN, {})], [(1500, IFN, {})]),
}


@pytest.mark.parametrize("case", CONTINUED)
def test_a_drug_stopped_and_started_on_one_day_goes_on_untouched(kernel, people, point, case):
    taken, again = CONTINUED[case]
    n, last = 100, again[-1][0]
    days = (last, last + 1, last + 40, last + 400)
    a = follow(kernel, people(kernel, n), point, days, plan(kernel, n, *taken))
    b = follow(kernel, people(kernel, n), point, days, plan(kernel, n, *taken, *again))
    np.testing.assert_allclose(of_ms(kernel, a), of_ms(kernel, b), rtol=1e-12, atol=1e-12)
    for k in range(len(days)):
        for c, e in effects(kernel, a[k]).items():
            np.testing.assert_allclose(effects(kernel, b[k])[c], e, rtol=1e-12, atol=1e-12, err_msg=c)
    row = kernel.row("drugs.trapped")
    np.testing.assert_allclose(a[:, row], b[:, row], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("regimen", [(NTZ, IFN), (IFN, NTZ), ("glatiramer", NTZ), (NTZ, "glatiramer"), (NTZ,)])
def test_what_a_regimen_continues_keeps_its_level_in_any_order_and_the_rest_fades_by_its_washout(
    kernel, people, point, regimen
):
    start = [(0, NTZ, {}), (0, IFN, {"added": True})]
    new = [(1000, d, {"added": k > 0}) for k, d in enumerate(regimen)]
    at, later = follow(kernel, people(kernel, 1), point, (1000, 1045), plan(kernel, 1, *start, *new))
    (now,) = follow(kernel, people(kernel, 1), point, (1001,), plan(kernel, 1, *start, *new))
    for c in CHANNELS:
        e = {d: point[f"drugs.{d}.{c}"] for d in (*regimen, IFN)}
        np.testing.assert_allclose(effects(kernel, at)[c], 1 - (1 - e[NTZ]) * (1 - e[IFN]), rtol=1e-6, atol=1e-12)
        for state, days in ((now, 1), (later, 45)):
            left = 1.0 if IFN in regimen else np.exp(-days / point["drugs.washout.natalizumab"])
            came = 1 - np.exp(-days / point["drugs.onset.glatiramer"]) if "glatiramer" in regimen else 0.0
            kept = (1 - e[NTZ]) * (1 - left * e[IFN]) * (1 - came * e.get("glatiramer", 0.0))
            np.testing.assert_allclose(effects(kernel, state)[c], 1 - kept, rtol=1e-6, atol=1e-12, err_msg=c)


@pytest.mark.parametrize("titrated", [False, True])
def test_another_dose_moves_on_from_the_level_of_the_old_one(kernel, people, point, titrated):
    def reached(first, then, days):
        start = (0, "fingolimod", {"dose_ratio": first} | ({"stop_day": 800} if titrated else {}))
        entries = plan(kernel, 1, start, (800, "fingolimod", {"dose_ratio": then}))
        return [effects(kernel, s)["entry"][0] for s in follow(kernel, people(kernel, 1), point, days, entries)]

    h, full = point["drugs.half_dose"], point["drugs.fingolimod.entry"]
    low, high = (full * r * (1 + h) / (r + h) for r in (0.5, 1.2))
    came, left = (np.exp(-10 / point[f"drugs.{x}.fingolimod"]) for x in ("onset", "washout"))
    np.testing.assert_allclose(reached(0.5, 1.2, (800, 810, 1800)), [low, high + (low - high) * came, high], rtol=1e-9)
    surplus = 1 - (1 - high) / (1 - low)
    np.testing.assert_allclose(
        reached(1.2, 0.5, (800, 810, 1800)), [high, 1 - (1 - low) * (1 - surplus * left), low], rtol=1e-9
    )


def test_a_drug_started_again_while_it_wears_off_goes_on_from_what_is_left(kernel, people, point):
    given_ = plan(kernel, 1, (0, NTZ, {}), (1000, None, {}), (1075, NTZ, {}))
    full, seen = point["drugs.natalizumab.entry"], follow(kernel, people(kernel, 1), point, (1075, 1089), given_)
    left = full * np.exp(-75 / point["drugs.washout.natalizumab"])
    back = full + (left - full) * np.exp(-14 / point["drugs.onset.natalizumab"])
    np.testing.assert_allclose([effects(kernel, s)["entry"][0] for s in seen], [left, back], rtol=1e-9)


def test_a_drug_takes_back_nothing_that_another_left(kernel, people, point):
    """Interferon of years ago, natalizumab until now: interferon starts from nought beside what natalizumab leaves."""
    given_ = plan(kernel, 1, (0, IFN, {}), (300, NTZ, {}), (1500, IFN, {}))
    (state,) = follow(kernel, people(kernel, 1), point, (1520,), given_)
    new = point["drugs.interferon_beta.entry"] * (1 - np.exp(-20 / point["drugs.onset.interferon_beta"]))
    old = point["drugs.natalizumab.entry"] * np.exp(-20 / point["drugs.washout.natalizumab"])
    np.testing.assert_allclose(effects(kernel, state)["entry"], 1 - (1 - new) * (1 - old), rtol=1e-9)


@pytest.mark.parametrize("order", [(NTZ, "interferon_beta_im"), ("interferon_beta_im", NTZ)])
def test_drugs_stopped_together_fade_by_the_slowest_washout_of_those_taken(kernel, people, point, order):
    both = [(0, order[0], {}), (0, order[1], {"added": True})]
    for drugs, entries in (
        (order, [*both, (1000, None, {})]),
        (("interferon_beta_im",), [*both, (1000, "interferon_beta_im", {}), (2500, None, {})]),
    ):
        stop = entries[-1][0]
        left = np.exp(-40 / max(point[f"drugs.washout.{d}"] for d in drugs))
        for c in CHANNELS:
            (state,) = follow(kernel, people(kernel, 1), point, (stop + 40,), plan(kernel, 1, *entries))
            full = 1 - np.prod([1 - point[f"drugs.{d}.{c}"] for d in drugs])
            np.testing.assert_allclose(effects(kernel, state)[c], full * left, rtol=1e-6, atol=1e-8)


def test_what_is_left_of_a_strong_drug_keeps_its_washout_when_the_next_is_stopped_early(kernel, people, point):
    given_ = plan(kernel, 1, (0, NTZ, {}), (1000, "dimethyl_fumarate", {}), (1003, None, {}))
    (state,) = follow(kernel, people(kernel, 1), point, (1075,), given_)
    left = point["drugs.natalizumab.entry"] * np.exp(-75 / point["drugs.washout.natalizumab"])
    assert left <= effects(kernel, state)["entry"][0] < left + 0.03


@pytest.mark.parametrize("order", [(NTZ, IFN), (IFN, NTZ)])
def test_drugs_started_together_move_with_the_onset_of_the_stronger(kernel, people, point, order):
    both = plan(kernel, 1, (0, order[0], {}), (0, order[1], {"added": True}))
    (state,) = follow(kernel, people(kernel, 1), point, (20,), both)
    full = 1 - (1 - point["drugs.natalizumab.entry"]) * (1 - point["drugs.interferon_beta.entry"])
    came = 1 - np.exp(-20 / point["drugs.onset.natalizumab"])
    np.testing.assert_allclose(effects(kernel, state)["entry"], full * came, rtol=1e-9)


# -- rebound -----------------------------------------------------------------------------------------------------
def lesions_after(kernel, people, p, drug, n=8000, stop=400, months=8):
    """New T2 lesions in each month after a drug is stopped, shape (months, patients); all calls share the noise."""
    days = [stop + 30 * k for k in range(months + 1)]
    given_ = plan(kernel, n, (0, drug, {"stop_day": stop})) if drug else None
    return np.diff(follow(kernel, people(kernel, n), p, days, given_, seed=8)[:, kernel.row("n_t2")], axis=0)


@pytest.fixture(scope="module")
def untreated(kernel, people, point):
    return lesions_after(kernel, people, point, None)


@pytest.mark.parametrize("drug", ["natalizumab", "fingolimod"])
def test_lesions_rebound_over_untreated_when_trapped_cells_return(kernel, people, point, untreated, drug):
    more = lesions_after(kernel, people, point, drug) - untreated
    z = more.mean(1) / (more.std(1) / np.sqrt(more.shape[1]))
    assert z[0] < -5, "it still works in the first month"
    assert z[2:].max() > 5
    assert (more.mean(1) / untreated.mean(1))[2:5].max() > 0.2
    calm = lesions_after(kernel, people, point | {"drugs.rebound": 0.0}, drug)
    assert (calm.mean(1) < 1.01 * untreated.mean(1)).all(), "trapped cells, and nothing else, make the rebound"


@pytest.mark.parametrize("drug", ["dimethyl_fumarate", "interferon_beta"])
def test_lesions_return_to_untreated_without_rebound_where_nothing_is_trapped(kernel, people, point, untreated, drug):
    found = lesions_after(kernel, people, point, drug)
    ratio = found.mean(1) / untreated.mean(1)
    # what a trial of this size would see: its error without the shared noise
    error = np.sqrt(found.var(1) + untreated.var(1)) / np.sqrt(found.shape[1]) / untreated.mean(1)
    assert ratio[0] < 1 - 5 * error[0]
    assert (ratio < 1 + 2 * error).all()
    assert (np.diff(ratio) > -2 * error[1:]).all()
    assert abs(ratio[-1] - 1) < 0.01
    calm = lesions_after(kernel, people, point | {"drugs.rebound": 0.0}, drug)
    np.testing.assert_array_equal(found, calm)


def test_only_drugs_that_keep_cells_outside_the_cns_trap_them(kernel, people, point):
    trap = {"natalizumab", "fingolimod", "siponimod", "ozanimod", "ponesimod"}
    for drug in DRUGS:
        assert point[f"drugs.traps.{drug}"] == (drug in trap)
        (state,) = follow(kernel, people(kernel, 1), point, (2000,), plan(kernel, 1, (0, drug, {"stop_day": 1990})))
        assert (state[kernel.row("drugs.trapped")] > 0.5).all() == (drug in trap)
    both = plan(kernel, 1, (0, NTZ, {}), (0, "dimethyl_fumarate", {"added": True}))
    (state,) = follow(kernel, people(kernel, 1), point, (3000,), both)
    np.testing.assert_allclose(state[kernel.row("drugs.trapped")], point["drugs.natalizumab.entry"], rtol=1e-6)


def test_there_is_no_rebound_while_the_drug_is_taken(kernel, people, point):
    given_ = plan(kernel, 300, (0, "natalizumab", {}))
    a = follow(kernel, people(kernel, 300), point, (200, 800), given_)
    b = follow(kernel, people(kernel, 300), point | {"drugs.rebound": 0.0}, (200, 800), given_)
    np.testing.assert_array_equal(a, b)


# -- depletion ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("drug", ANTIBODIES)
def test_memory_b_cells_fall_in_a_fortnight_and_return_by_the_time_that_is_published(kernel, people, point, drug):
    stop, back = 700, point[f"anti_cd20.return_days.{drug}"]
    given_ = plan(kernel, 1, (0, drug, {"stop_day": stop}))
    days = (14, 60, stop, stop + int(back), stop + 200)
    seen = follow(kernel, people(kernel, 1), point, sorted(days), given_)[:, kernel.row("B"), 0]
    b = dict(zip(sorted(days), seen, strict=True))
    low = 1 - point[f"anti_cd20.depletion.{drug}"]
    assert b[14] < 0.15
    assert b[60] == pytest.approx(low, abs=1e-3)
    assert b[stop] == pytest.approx(low, abs=1e-9)
    for day in (stop + int(back), stop + 200):
        assert b[day] == pytest.approx(1 - (1 - low) * np.exp(-(day - stop) / back), rel=1e-6)


def test_b_cells_return_as_published(point):
    """Day on which 70 % are back, after the last dose: 72, 24.6 and 70 weeks."""
    for drug, weeks in (("ocrelizumab", 72), ("ofatumumab", 24.6), ("ublituximab", 70)):
        assert -np.log(0.3) * point[f"anti_cd20.return_days.{drug}"] / 7 == pytest.approx(weeks, rel=0.02)


def test_anti_cd20_stops_lesions_at_once_and_smouldering_late(kernel, people, point):
    n = 3000
    treated = follow(kernel, people(kernel, n), point, (90, 455, 1500), plan(kernel, n, (0, "ocrelizumab", {})), seed=5)
    control = follow(kernel, people(kernel, n), point, (90, 455, 1500), seed=5)
    lesions, smoulder = kernel.row("n_t2"), kernel.row("M")
    fall = (treated[1] - treated[0])[lesions].mean() / (control[1] - control[0])[lesions].mean()
    assert fall < 0.15
    gain = 1 - treated[:, smoulder].mean(1) / control[:, smoulder].mean(1)
    assert gain[0] < 0.03
    assert gain[2] > 0.10


@pytest.mark.parametrize("drug", DEPLETING)
def test_two_courses_kill_what_the_parameter_says_and_clones_grow_back(kernel, people, point, drug):
    n, p = 3000, point | {"ms.rC": 0.0}
    given_ = plan(kernel, n, (0, drug, {}))
    one, two = follow(kernel, people(kernel, n), p, (1, 366), given_)[:, kernel.row("C")]
    half = point[f"depleting.kill.{drug}"] / 2
    assert -np.log10(one).mean() == pytest.approx(half, abs=0.03)
    assert -np.log10(two).mean() == pytest.approx(2 * half, abs=0.04)
    (only,) = follow(kernel, people(kernel, n), p, (366,), plan(kernel, n, (0, drug, {"stop_day": 300})))
    np.testing.assert_array_equal(only[kernel.row("C")], one)
    grown = follow(kernel, people(kernel, n), point, (366, 2000), given_)[:, kernel.row("C")]
    assert (grown[1] > grown[0]).all()
    assert grown[1].mean() > 1.5 * grown[0].mean()


def test_alemtuzumab_outlasts_its_courses_and_cladribine_is_weaker(kernel, people, point):
    n = 3000
    found = {}
    for name in (None, *DEPLETING):
        given_ = plan(kernel, n, *([(0, name, {})] if name else []))
        a, b = follow(kernel, people(kernel, n), point, (400, 1100), given_, seed=7)
        found[name] = (b - a)[kernel.row("n_t2")].mean()
    assert found["alemtuzumab"] < found["cladribine"] < 0.5 * found[None]


# -- repair ------------------------------------------------------------------------------------------------------
def test_clemastine_mends_chronic_lesions_seven_times_faster_and_stops_nothing_else(kernel, people, point):
    n, p = 50, point | {"ms.lam0": 0.0}
    treated = follow(kernel, people(kernel, n, D_pv=5.0), p, (100, 101), plan(kernel, n, (0, "clemastine", {})))
    control = follow(kernel, people(kernel, n, D_pv=5.0), p, (100, 101))
    row = kernel.row("D_pv")
    speed = [np.log(x[0][row] / x[1][row]) for x in (treated, control)]
    np.testing.assert_allclose(speed[0] / speed[1], 1 + point["remyelination.effect.clemastine"], rtol=5e-3)
    np.testing.assert_array_equal(treated[1][kernel.row("E")], control[1][kernel.row("E")])


def test_an_ordered_steroid_course_speeds_recovery_for_its_days(kernel, people, point):
    def block(day, *entries):
        crowd = people(kernel, 20, Q_sc=0.4, days_since_relapse=1000.0)
        p = point | {"ms.lam0": 0.0, "ms.nuF": 0.0}
        return follow(kernel, crowd, p, (day, day + 1), plan(kernel, 20, *entries))[:, kernel.row("Q_sc")]

    course = [(0, "methylprednisolone", {})]
    during, plain, after = block(10, *course), block(10), block(60, *course)
    assert (during[0] < plain[0]).all()
    np.testing.assert_allclose(after[1] / after[0], plain[1] / plain[0], rtol=1e-9)


# -- orders ------------------------------------------------------------------------------------------------------
def test_ahsct_is_ordered_with_its_mobilisation_ahead_never_before_the_regimen_begins(point):
    base = filled("ahsct", conditioning="beam-atg", cd34_selected="yes")
    first, graft = prescribe("ahsct", base | {"day": 30}, facts(3), parameters=point)
    assert (first.day, first.dose) == (-int(point["ahsct.mobilisation_days"]), "ahsct.mobilise")
    assert (graft.day, graft.dose) == (0, "ahsct.infuse.intermediate")
    np.testing.assert_allclose(graft.amounts, [[5.0, 3.0, 2015.0, 1.0, 0.0, 0.0]] * 3)
    assert prescribe("ahsct", base | {"day": 8}, facts(3))[0].day == -8
    assert len(prescribe("ahsct", base | {"mobilisation": "gcsf"}, facts(3))) == 1
    assert failure_of("ahsct").probability in registry()
    assert failure_of("natalizumab") is None


def test_what_can_be_stopped_is_stopped_by_its_family():
    assert stops("natalizumab") == ("drugs.stop",)
    assert stops("rituximab") == ("anti_cd20.stop",)
    assert stops("alemtuzumab") == stops("ahsct") == ()
    assert stops("msc") == ("msc.stop",), "no further course; what was given stays"
    assert stops("riluzole") == ("riluzole.stop",)
    assert [f for f in FAMILIES if FAMILIES[f].lasting] == ["riluzole"], "goes on where the trial did not give it"
    ending = ("drugs", "anti_cd20", "msc", "nsc", "opc", "remyelination", "als_drugs", "astrocyte", "treg", "riluzole")
    assert set(stopping(FAMILIES)) == {f"{f}.stop" for f in ending}


def test_impossible_regimens_are_refused():
    with pytest.raises(InputError, match="'natalizumab' is given twice"):
        refuse_together(["natalizumab", "clemastine", "natalizumab"])
    with pytest.raises(InputError, match="'ocrelizumab' and 'rituximab' act alike"):
        refuse_together(["ocrelizumab", "glatiramer", "rituximab"])
    refuse_together(["interferon_beta", "natalizumab", "ocrelizumab", "methylprednisolone", "clemastine"])
    with pytest.raises(InputError, match="'natalizumb' has no model; did you mean 'natalizumab'"):
        prescribe("natalizumb", {}, facts(1))
