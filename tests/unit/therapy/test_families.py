"""What holds for every family of therapies: catalogue, no effect, nothing given, harm, orders."""

from __future__ import annotations

import numpy as np
import pytest

from stemtrial.kernel import Schedule
from stemtrial.parameters import registry
from stemtrial.therapy import FAMILIES, acting_on, catalogue, compose, family_of, modelled, prescribe, stopping
from stemtrial.therapy.family import AMOUNTS, Given
from stemtrial.therapy.prescribe import failure_of, kernel_harms

FROZEN = (
    "interferon_beta", "interferon_beta_im", "glatiramer", "teriflunomide", "dimethyl_fumarate", "fingolimod",
    "siponimod", "ozanimod", "ponesimod", "cladribine", "natalizumab", "alemtuzumab", "ocrelizumab", "ofatumumab",
    "ublituximab", "rituximab", "evobrutinib", "tolebrutinib", "laquinimod", "mitoxantrone", "cyclophosphamide",
    "methylprednisolone", "clemastine", "ahsct", "msc", "nsc", "ipsc_opc",
)  # fmt: skip
CELLS = ("ahsct", "msc", "nsc", "opc")
NEEDED = {
    "ahsct": ({"conditioning": c} for c in ("cyclophosphamide-atg", "beam-atg", "busulfan-cyclophosphamide-atg")),
    "msc": (
        {"product": "bone-marrow-autologous", "route": "intravenous", "dose_1e6_per_kg": 2.0},
        {"product": "umbilical-cord", "route": "intrathecal", "dose_1e6": 60.0, "courses": 2, "every_days": 90},
        {"product": "bone-marrow-np-autologous", "route": "intracerebroventricular", "dose_1e6": 60.0},
    ),
    "nsc": (
        {"product": "foetal-allogeneic", "route": "intracerebroventricular", "dose_1e6": 24.0,
         "immunosuppression": "tacrolimus", "immunosuppression_days": 120},
        {"product": "ipsc-autologous", "route": "intrathecal", "dose_1e6": 100.0},
    ),
    "ipsc_opc": (
        {"product": "ipsc-autologous", "route": "intraparenchymal", "dose_1e6": 100.0},
        {"product": "ipsc-allogeneic-bank", "route": "intraspinal", "dose_1e6": 30.0, "courses": 2, "every_days": 120},
    ),
}  # fmt: skip
"""Entries for each therapy with required fields; all others need none."""
ENTRIES = {name: tuple(NEEDED.get(name, ({},))) for name in FROZEN}
OF_FAMILY = {f: [(t, e) for t in FAMILIES[f].therapies for e in ENTRIES[t]] for f in FAMILIES}
DAYS = 400


@pytest.fixture(scope="module")
def whole():
    """The MS patient with every family."""
    return compose("ms", acting_on("ms"))


def filled(name, **fields):
    """Settings as a protocol gives them, defaults filled in."""
    known = catalogue()[name].fields
    return {k: f.default for k, f in known.items() if f.default is not None} | {"day": 0} | fields


def facts(n):
    return {
        "edss": np.full(n, 3.0), "year": np.full(n, 2015.0), "day": np.zeros(n, int), "optimistic": np.ones(n),
        "centre": np.full(n, 1.5), "age_years": np.full(n, 35.0), "female": np.arange(n) % 2.0,
    }  # fmt: skip


def doses(kernel, n, p, therapy, fields, day):
    """Doses of one entry that is due on ``day``."""
    rows = []
    for o in prescribe(therapy, filled(therapy, **fields), facts(n), parameters=p):
        carried = np.zeros((n, AMOUNTS)) if o.amounts is None else o.amounts
        rows.append(Schedule(np.arange(n), np.full(n, day + o.day), np.full(n, kernel.dose(o.dose)), carried))
    return Schedule.join(rows)


def followed(kernel, people, p, plan, n, seed=4, **start):
    crowd = people(kernel, n, **start)
    at = np.arange(0, DAYS + 1, 50)
    visits = np.tile(np.arange(n), len(at)), np.repeat(at, n)
    return crowd, kernel.advance(crowd, 0, DAYS, p, seed, schedule=plan, visits=visits, threads=2)


# -- the catalogue -----------------------------------------------------------------------------------------------
def test_every_therapy_of_the_catalogue_is_modelled_by_one_family():
    assert set(FROZEN) == set(catalogue()) == set(modelled())
    for name in FROZEN:
        assert name in FAMILIES[family_of(name)].therapies
    assert sum(len(f.therapies) for f in FAMILIES.values()) == len(FROZEN)


def test_a_hypothesis_of_a_family_has_a_weight_and_two_sizes_and_every_size_vanishes_somewhere():
    known = registry()
    for family in FAMILIES.values():
        if family.hypothesis is None:
            continue
        assert 0 < known[family.hypothesis].value < 1
        pairs = {n.rsplit(".", 1)[0] for n in known if n.startswith(f"{family.name}.") and n.endswith(".optimistic")}
        assert pairs, family.name
        for pair in pairs:
            low, high = (known[f"{pair}.{h}"] for h in ("sceptical", "optimistic"))
            assert low.no_effect == high.no_effect == 0.0, pair
            assert low.value < high.value, pair
    assert {f.name for f in FAMILIES.values() if f.hypothesis} == {"msc", "nsc", "opc"}


def test_what_may_fail_has_a_probability_that_vanishes():
    for name in FROZEN:
        for fields in ENTRIES[name]:
            failure = failure_of(name, filled(name, **fields))
            if failure is not None:
                assert registry()[failure.probability].no_effect == 0.0
                assert 0 < failure.chance({k: v.value for k, v in registry().items()}) < 0.5, name


# -- no effect ---------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def off(point):
    """Every effect of every therapy at the value at which it vanishes."""
    return point | {k: v.no_effect for k, v in registry().items() if v.no_effect is not None}


@pytest.fixture(scope="module")
def placebo(whole, people, off):
    return followed(whole, people, off, Schedule.empty(), 64, D_pv=2.0)


@pytest.mark.parametrize("family", FAMILIES)
def test_without_effects_a_treated_patient_is_the_untreated_bit_for_bit(whole, people, off, point, placebo, family):
    entries = OF_FAMILY[family]
    # one after the other, by the doses of the point values: what a family needs to order may vanish with its effects
    plans = [doses(whole, 64, point, t, e, 25 + 45 * (k % 7)) for k, (t, e) in enumerate(entries)]
    crowd, told = followed(whole, people, off, Schedule.join(plans), 64, D_pv=2.0)
    other, untold = placebo
    disease = [s.name for s in whole.model.states.values() if s.owner == "ms"]
    for s in disease:
        np.testing.assert_array_equal(crowd.state[whole.row(s)], other.state[whole.row(s)], err_msg=s)
    of_disease = set(compose("ms", (), backend="numpy").model.observables)
    for k in of_disease:
        np.testing.assert_array_equal(told.observed[k], untold.observed[k], err_msg=k)
    own = {whole.event("mobilisation"), whole.event("engraftment")}  # what is done, not what it does
    kept = ~np.isin(told.events["kind"], list(own))
    for k in told.events:
        np.testing.assert_array_equal(told.events[k][kept], untold.events[k])
    again = Schedule.join([doses(whole, 64, off, t, e, 25) for t, e in entries])
    assert set(again.dose) <= set(Schedule.join(plans).dose), "the same doses, or fewer where a dose has nothing left"


@pytest.mark.parametrize("family", FAMILIES)
def test_with_effects_it_is_another(whole, people, point, family):
    """The counterpart: in the test above something was given that does something."""
    entries = OF_FAMILY[family]
    plans = [doses(whole, 64, point, t, e, 25 + 45 * (k % 7)) for k, (t, e) in enumerate(entries)]
    crowd, _ = followed(whole, people, point, Schedule.join(plans), 64, D_pv=2.0, Q_sc=0.3)
    bare, _ = followed(whole, people, point, Schedule.empty(), 64, D_pv=2.0, Q_sc=0.3)
    disease = [whole.row(s.name) for s in whole.model.states.values() if s.owner == "ms"]
    assert (crowd.state[disease] != bare.state[disease]).any(0).mean() > 0.9


def test_without_effects_there_is_no_harm_beside_the_kernel_either(off, point):
    n = 300
    for name in FROZEN:
        draw = FAMILIES[family_of(name)].adverse_events
        if draw is None:
            continue
        for fields in ENTRIES[name]:
            given = Given(
                np.arange(n, dtype=np.uint64),
                name,
                filled(name, **fields),
                np.zeros(n, int),
                np.full(n, 1500),
                facts(n),
            )
            assert sum(len(e.row) for e in draw(1, given, off)) == 0, name
            assert sum(len(e.row) for e in draw(1, given, point)) > 0, name


# -- nothing given -----------------------------------------------------------------------------------------------
def test_what_is_composed_and_not_given_changes_no_bit(whole, people, point):
    bare = compose("ms", ("steroids",))
    plan = [doses(k, 64, point, "methylprednisolone", {}, 30) for k in (whole, bare)]
    (a, x), (b, y) = (followed(k, people, point, d, 64) for k, d in zip((whole, bare), plan, strict=True))
    for s in bare.states:
        np.testing.assert_array_equal(a.state[whole.row(s)], b.state[bare.row(s)], err_msg=s)
    for k in y.observed:
        np.testing.assert_array_equal(x.observed[k], y.observed[k], err_msg=k)
    assert {*bare.model.event_kinds} < {*whole.model.event_kinds}
    np.testing.assert_array_equal(x.events["day"], y.events["day"])


@pytest.mark.parametrize("family", CELLS)
def test_a_given_family_is_the_same_alone_and_among_all(whole, people, point, family):
    alone = compose("ms", (family,), backend="numpy")
    among = compose("ms", acting_on("ms"), backend="numpy")
    n, states = 6, []
    for k in (alone, among):
        plans = [doses(k, n, point, t, e, 10 + 15 * j) for j, (t, e) in enumerate(OF_FAMILY[family])]
        crowd = people(k, n, D_pv=2.0)
        k.advance(crowd, 0, 130, point, 3, schedule=Schedule.join(plans))
        states.append({s: crowd.state[k.row(s)] for s in alone.states})
    for s in alone.states:
        np.testing.assert_array_equal(states[0][s], states[1][s], err_msg=s)


# -- harm and orders ---------------------------------------------------------------------------------------------
def test_harm_that_the_kernel_logs_is_described(whole):
    logged = set(whole.model.event_kinds) - {"relapse", "death", "mobilisation", "engraftment"}
    assert logged == set(kernel_harms())
    assert {cause for _, cause in kernel_harms().values()} == {"ahsct", "nsc", "ipsc_opc"}
    for kind, (_, cause) in kernel_harms().items():
        assert kind in FAMILIES[family_of(cause)].harms
        assert kind == "treatment_death" or kind.startswith(f"{family_of(cause)}_")


@pytest.mark.parametrize("name", FROZEN)
def test_a_start_orders_no_stop_of_its_day_and_nothing_before_the_regimen_begins(point, name):
    """What ends on a switch is said by ``stopping`` alone."""
    for fields in ENTRIES[name]:
        orders = prescribe(name, filled(name, **fields), facts(2), parameters=point)
        assert orders
        assert not {o.dose for o in orders if o.day <= 0} & set(stopping(FAMILIES))
        assert min(o.day for o in orders) >= 0, "day 0 of the regimen"
        assert [o.day for o in orders] == sorted(o.day for o in orders)
        assert all(o.amounts is None or o.amounts.shape == (2, AMOUNTS) for o in orders)
