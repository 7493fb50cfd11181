"""What holds for every family of therapies: catalogue, no effect, nothing given, harm, orders."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from stemtrial.cohort.als.population import people_at_onset
from stemtrial.kernel import Schedule
from stemtrial.parameters import registry
from stemtrial.therapy import FAMILIES, acting_on, catalogue, compose, family_of, modelled, prescribe, stopping
from stemtrial.therapy.family import AMOUNTS, FieldError, Given
from stemtrial.therapy.prescribe import failure_of, kernel_harms, refuse_in

FROZEN = (
    "interferon_beta", "interferon_beta_im", "glatiramer", "teriflunomide", "dimethyl_fumarate", "fingolimod",
    "siponimod", "ozanimod", "ponesimod", "cladribine", "natalizumab", "alemtuzumab", "ocrelizumab", "ofatumumab",
    "ublituximab", "rituximab", "evobrutinib", "tolebrutinib", "laquinimod", "mitoxantrone", "cyclophosphamide",
    "methylprednisolone", "clemastine", "ahsct", "msc", "nsc", "ipsc_opc", "astrocytes", "treg", "riluzole",
    "edaravone", "tofersen", "amx0035", "dexpramipexole", "masitinib", "ceftriaxone", "pridopidine",
)  # fmt: skip
CELLS = {"ms": ("ahsct", "msc", "nsc", "opc"), "als": ("msc", "nsc", "astrocyte", "treg")}
BARE = {"ms": "steroids", "als": "riluzole"}
"""A family of each disease that stands for those without any other."""
BOTH = [(disease, family) for disease in CELLS for family in acting_on(disease)]
NEEDED = {
    "ahsct": ({"conditioning": c} for c in ("cyclophosphamide-atg", "beam-atg", "busulfan-cyclophosphamide-atg")),
    "msc": (
        {"product": "bone-marrow-autologous", "route": "intravenous", "dose_1e6_per_kg": 2.0},
        {"product": "umbilical-cord", "route": "intrathecal", "dose_1e6": 60.0, "courses": 2, "every_days": 90},
        {"product": "bone-marrow-np-autologous", "route": "intracerebroventricular", "dose_1e6": 60.0},
        {"product": "bone-marrow-ntf-autologous", "route": "intrathecal", "dose_1e6": 125.0},
    ),
    "nsc": (
        {"product": "foetal-allogeneic", "route": "intracerebroventricular", "dose_1e6": 24.0,
         "immunosuppression": "tacrolimus", "immunosuppression_days": 120},
        {"product": "ipsc-autologous", "route": "intrathecal", "dose_1e6": 100.0},
        {"product": "foetal-spinal-allogeneic", "route": "intraspinal", "dose_1e6": 8.0,
         "segments": "cervical_and_lumbar", "injections": 40, "immunosuppression": "tacrolimus"},
        {"product": "npc-gdnf-allogeneic", "route": "intraspinal", "dose_1e6": 4.0, "segments": "lumbar_unilateral"},
    ),
    "ipsc_opc": (
        {"product": "ipsc-autologous", "route": "intraparenchymal", "dose_1e6": 100.0},
        {"product": "ipsc-allogeneic-bank", "route": "intraspinal", "dose_1e6": 30.0, "courses": 2, "every_days": 120},
    ),
    "astrocytes": ({"dose_1e6": 100.0}, {"dose_1e6": 250.0, "courses": 2, "every_days": 60}),
    "treg": ({"dose_1e6_per_kg": 1.0, "courses": 4, "every_days": 28},),
}  # fmt: skip
"""Entries for each therapy with required fields; all others need none."""
ENTRIES = {name: tuple(NEEDED.get(name, ({},))) for name in FROZEN}
DAYS = 400


def possible(disease, name, fields):
    """Whether such an entry can be in a disease."""
    try:
        refuse_in(disease, name, fields)
    except FieldError:
        return False
    return True


def entries_of(disease, family):
    """Entries of a family in a disease."""
    every = ((t, e) for t in FAMILIES[family].therapies for e in ENTRIES[t])
    return [(t, e) for t, e in every if possible(disease, t, e)]


@pytest.fixture(scope="module")
def whole():
    """Function disease -> its patient with every family, compiled once."""
    return functools.cache(lambda disease: compose(disease, acting_on(disease)))


@pytest.fixture(scope="module")
def ill(people, point):
    """Function (kernel, n, ...) -> people with the disease of the kernel."""

    def with_als(kernel, n, **state):
        index = np.arange(n, dtype=np.uint64)
        constants, start = people_at_onset(7, index, point)
        constants["sod1"] = np.arange(n) % 2.0
        return kernel.population(0, index, constants, start | state)

    def make(kernel, n, **state):
        of_ms = kernel.model.name == "ms"
        return people(kernel, n, **state) if of_ms else with_als(kernel, n)

    return make


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


def followed(kernel, ill, p, plan, n, seed=4, **start):
    crowd = ill(kernel, n, **start)
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
        pairs = {n.rsplit(".", 1)[0] for n in known if n.startswith(f"{family.name}.") and n.endswith(".optimistic")}
        assert set(family.hypothesis) <= set(family.on), family.name
        assert bool(pairs) == bool(family.hypothesis), family.name
        assert all(0 < known[weight].value < 1 for weight in family.hypothesis.values())
        for pair in pairs:
            low, high = (known[f"{pair}.{h}"] for h in ("sceptical", "optimistic"))
            assert low.no_effect == high.no_effect == 0.0, pair
            assert low.value < high.value, pair
    assert {f.name for f in FAMILIES.values() if "ms" in f.hypothesis} == {"msc", "nsc", "opc"}
    assert {f.name for f in FAMILIES.values() if "als" in f.hypothesis} == {"msc", "nsc", "astrocyte"}
    assert len({w for f in FAMILIES.values() for w in f.hypothesis.values()}) == 6, "each disease has its own weight"


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
def placebo(whole, ill, off):
    """Function disease -> the untreated, all effects vanished."""
    return functools.cache(lambda disease: followed(whole(disease), ill, off, Schedule.empty(), 64, D_pv=2.0))


OWN = ("mobilisation", "engraftment")
"""Events that say what was done, not what it does."""


@pytest.mark.parametrize(("disease", "family"), BOTH)
def test_without_effects_a_treated_patient_is_the_untreated_bit_for_bit(
    whole, ill, off, point, placebo, disease, family
):
    kernel, entries = whole(disease), entries_of(disease, family)
    # one after the other, by the doses of the point values: what a family needs to order may vanish with its effects
    plans = [doses(kernel, 64, point, t, e, 25 + 45 * (k % 7)) for k, (t, e) in enumerate(entries)]
    crowd, told = followed(kernel, ill, off, Schedule.join(plans), 64, D_pv=2.0)
    other, untold = placebo(disease)
    for s in (s.name for s in kernel.model.states.values() if s.owner == disease):
        np.testing.assert_array_equal(crowd.state[kernel.row(s)], other.state[kernel.row(s)], err_msg=s)
    for k in set(compose(disease, (), backend="numpy").model.observables):
        np.testing.assert_array_equal(told.observed[k], untold.observed[k], err_msg=k)
    own = {kernel.event(e) for e in OWN if e in kernel.model.event_kinds}
    kept = ~np.isin(told.events["kind"], list(own))
    for k in told.events:
        np.testing.assert_array_equal(told.events[k][kept], untold.events[k])
    again = Schedule.join([doses(kernel, 64, off, t, e, 25) for t, e in entries])
    assert set(again.dose) <= set(Schedule.join(plans).dose), "the same doses, or fewer where a dose has nothing left"


@pytest.mark.parametrize(("disease", "family"), BOTH)
def test_with_effects_it_is_another(whole, ill, point, disease, family):
    """The counterpart: in the test above something was given that does something."""
    kernel, entries = whole(disease), entries_of(disease, family)
    plans = [doses(kernel, 64, point, t, e, 25 + 45 * (k % 7)) for k, (t, e) in enumerate(entries)]
    crowd, _ = followed(kernel, ill, point, Schedule.join(plans), 64, D_pv=2.0, Q_sc=0.3)
    bare, _ = followed(kernel, ill, point, Schedule.empty(), 64, D_pv=2.0, Q_sc=0.3)
    of_disease = [kernel.row(s.name) for s in kernel.model.states.values() if s.owner == disease]
    assert (crowd.state[of_disease] != bare.state[of_disease]).any(0).mean() > 0.9


BY_ITSELF = ("tofersen",)
"""Drugs that their family gives by a procedure with harm of its own."""


def test_without_effects_there_is_no_harm_beside_the_kernel_either(off, point):
    n = 300
    for name in FROZEN:
        family = FAMILIES[family_of(name)]
        draw = family.adverse_events
        if draw is None:
            continue
        harmless = family.name == "als_drugs" and name not in BY_ITSELF
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
            assert (sum(len(e.row) for e in draw(1, given, point)) == 0) == harmless, name


# -- nothing given -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("disease", CELLS)
def test_what_is_composed_and_not_given_changes_no_bit(whole, ill, point, disease):
    full, bare = whole(disease), compose(disease, (BARE[disease],))
    (drug,) = FAMILIES[BARE[disease]].therapies
    plan = [doses(k, 64, point, drug, {}, 30) for k in (full, bare)]
    (a, x), (b, y) = (followed(k, ill, point, d, 64) for k, d in zip((full, bare), plan, strict=True))
    for s in bare.states:
        np.testing.assert_array_equal(a.state[full.row(s)], b.state[bare.row(s)], err_msg=s)
    for k in y.observed:
        np.testing.assert_array_equal(x.observed[k], y.observed[k], err_msg=k)
    assert {*bare.model.event_kinds} < {*full.model.event_kinds}
    np.testing.assert_array_equal(x.events["day"], y.events["day"])


@pytest.mark.parametrize(("disease", "family"), [(d, f) for d, families in CELLS.items() for f in families])
def test_a_given_family_is_the_same_alone_and_among_all(ill, point, disease, family):
    alone = compose(disease, (family,), backend="numpy")
    among = compose(disease, acting_on(disease), backend="numpy")
    n, states = 6, []
    for k in (alone, among):
        plans = [doses(k, n, point, t, e, 10 + 15 * j) for j, (t, e) in enumerate(entries_of(disease, family))]
        crowd = ill(k, n, D_pv=2.0)
        k.advance(crowd, 0, 130, point, 3, schedule=Schedule.join(plans))
        states.append({s: crowd.state[k.row(s)] for s in alone.states})
    for s in alone.states:
        np.testing.assert_array_equal(states[0][s], states[1][s], err_msg=s)


# -- harm and orders ---------------------------------------------------------------------------------------------
DISEASE_LOGS = {"ms": {"relapse", "death"}, "als": {"death", "niv", "gastrostomy", "tracheostomy"}}


def test_harm_that_the_kernel_logs_is_described():
    logged = set()
    for disease, own in DISEASE_LOGS.items():
        model = compose(disease, acting_on(disease), backend="numpy").model
        logged |= set(model.event_kinds) - own - set(OWN)
    assert logged == set(kernel_harms())
    assert {cause for _, cause in kernel_harms().values()} == {"ahsct", "nsc", "ipsc_opc", "astrocytes"}
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
