"""Neural stem cells on the MS patient: what they change, where, by how much more with dose; nothing without cells."""

from __future__ import annotations

import numpy as np
import pytest
from grafting import BANK, FOETAL, OWN, PRECURSORS, REGIONS, TACROLIMUS, Course, follow, graft_kernel, regimen

from stemtrial.errors import InputError
from stemtrial.parameters import registry
from stemtrial.therapy.prescribe import FAMILIES, failure_of, prescribe

YEARS = 730
LUMBAR = FOETAL | TACROLIMUS | {"route": "intrathecal"}
OF_DISEASE = [s.name for s in graft_kernel().model.states.values() if s.owner == "ms"]


def same_disease(a: Course, b: Course):
    for s in OF_DISEASE:
        np.testing.assert_array_equal(a.state[s], b.state[s], err_msg=s)
    for k in a.seen:
        if not k.startswith(("nsc_", "opc_")):
            np.testing.assert_array_equal(a.seen[k], b.seen[k], err_msg=k)
    assert {k: v for k, v in a.events.items() if k in ("relapse", "death")} == {
        k: v for k, v in b.events.items() if k in ("relapse", "death")
    }


@pytest.fixture(scope="module")
def untreated(people, point):
    return follow(people, point, YEARS)


@pytest.fixture(scope="module")
def best(point):
    """The optimistic hypothesis without what only spreads patients and lots."""
    return point | {"graft.reactivity_sd": 0.0, "graft.responsiveness_sd": 0.0}


def effect(people, p, untreated, state, fields, **facts):
    """Mean of a state without minus with the cells."""
    treated = follow(people, p, YEARS, "nsc", fields, **({"optimistic": 1.0} | facts))
    return float((untreated.state[state] - treated.state[state]).mean())


@pytest.mark.parametrize(("therapy", "fields"), [("nsc", LUMBAR), ("ipsc_opc", BANK | TACROLIMUS)])
def test_a_dose_of_none_is_no_therapy_bit_for_bit(people, point, untreated, therapy, fields):
    sham = follow(people, point, YEARS, therapy, fields | {"dose_1e6": 0.0, "courses": 2}, optimistic=1.0, centre=3.0)
    same_disease(sham, untreated)


@pytest.mark.parametrize(("therapy", "fields"), [("nsc", LUMBAR), ("ipsc_opc", BANK | TACROLIMUS)])
def test_without_effects_cells_live_and_change_nothing(people, point, untreated, therapy, fields):
    p = point | {k: v.no_effect for k, v in registry().items() if v.no_effect is not None}
    idle = follow(people, p, YEARS, therapy, fields, optimistic=1.0, centre=3.0)
    same_disease(idle, untreated)
    assert max(idle.seen["nsc_cells_1e6"].max(), idle.seen["opc_cells_1e6"].max()) > 0.1
    assert not any(v for k, v in idle.events.items() if k.startswith(("nsc_", "opc_")))


def test_cells_protect_calm_and_help_repair(people, best, untreated):
    """Directions: CSF and atrophy of genchi2023_stems, leone2023_icv_nsc; host repair in sullivan2020_insc."""
    for state in ("X_pv", "X_sc", "M", "L", "D_pv", "Nf"):
        assert effect(people, best, untreated, state, LUMBAR | {"dose_1e6": 400.0}) > 0, state


@pytest.mark.parametrize(
    ("route", "given"), [("intrathecal", (50, 100, 200, 400)), ("intracerebroventricular", (5, 10, 16, 24))]
)
def test_more_cells_less_atrophy_and_less_so_for_every_further_cell(people, best, untreated, route, given):
    """The direction that both fit trials tell: genchi2023_stems by lumbar, leone2023_icv_nsc by ventricular route."""
    saved = [effect(people, best, untreated, "L", LUMBAR | {"route": route, "dose_1e6": d}) for d in (0, *given)]
    slope = np.diff(saved) / np.diff((0, *given))
    assert (np.diff(saved) > 0).all()
    assert (np.diff(slope) < 0).all()


def test_cells_act_where_they_are_given(people, best, untreated):
    fields = OWN | {"dose_1e6": 20.0}
    spine, brain, ventricle = (
        {s: effect(people, best, untreated, s, fields | {"route": r}) for s in ("X_sc", "X_pv", "L")}
        for r in ("intraspinal", "intraparenchymal", "intracerebroventricular")
    )
    assert spine["X_sc"] > 5 * brain["X_sc"]
    assert brain["X_pv"] > 5 * spine["X_pv"]
    assert ventricle["X_sc"] > brain["X_sc"]
    assert brain["L"] > 5 * spine["L"]


def test_hypotheses_centres_and_people_differ(people, point, best, untreated):
    optimistic, sceptical = (effect(people, best, untreated, "X_pv", LUMBAR, optimistic=o) for o in (1.0, 0.0))
    assert optimistic > 2 * sceptical > 0
    weak, strong = (effect(people, best, untreated, "X_pv", LUMBAR, centre=c) for c in (0.4, 2.5))
    assert weak < optimistic < strong
    spread = follow(people, point, 60, "nsc", LUMBAR, optimistic=1.0).state["nsc.most_axonal_loss"]
    assert spread.std() > 0.05
    assert ((spread > 0) & (spread < 1)).all()


def test_rejected_cells_stop_acting(people, best, untreated):
    kept, lost = (effect(people, best, untreated, "L", f) for f in (LUMBAR, LUMBAR | {"immunosuppression": "none"}))
    assert kept > 2 * lost > 0


def test_orders_courses_and_immunosuppression(point):
    fields = regimen("nsc", LUMBAR | {"courses": 3, "every_days": 100, "immunosuppression_days": 150})
    orders = prescribe("nsc", fields, {"day": np.zeros(2, int)}, parameters=point)
    told = [(o.day, o.dose) for o in orders]
    both = ["nsc.receive", "nsc.graft"]
    assert told == [
        (0, "nsc.suppress"), *((0, d) for d in both), *((100, d) for d in both), (150, "nsc.taper"),
        *((200, d) for d in both),
    ]  # fmt: skip
    placed = next(o.amounts for o in orders if o.dose == "nsc.graft")
    assert placed.shape == (2, len(REGIONS) + 1)


def test_a_product_that_cannot_be_is_refused():
    with pytest.raises(InputError, match="has no mismatch, not 3"):
        FAMILIES["nsc"].check("nsc", regimen("nsc", OWN | {"hla_mismatches": 3}))


def test_own_cells_are_waited_for_and_may_fail(point):
    """Reprogramming, banking and differentiation of one's own cells take most of a year; a bank's lie ready."""
    family = FAMILIES["opc"]
    assert family.wait("ipsc_opc", regimen("ipsc_opc", PRECURSORS)) == pytest.approx(270, abs=10)
    assert family.wait("ipsc_opc", regimen("ipsc_opc", BANK)) == 0
    own, bank = (failure_of("ipsc_opc", regimen("ipsc_opc", f)).chance(point) for f in (PRECURSORS, BANK))
    assert own > bank > 0
