"""Oligodendrocyte precursors on the MS patient: how much myelin, where, when, and what takes it away again."""

from __future__ import annotations

import numpy as np
import pytest
from grafting import BANK, PRECURSORS, REGIONS, TACROLIMUS, follow

from stemtrial.therapy.product import human_data

DAYS = 720


@pytest.fixture(scope="module")
def quiet(point):
    """No new lesions and no spread: what remains is the graft."""
    return point | {"ms.lam0": 0.0, "graft.reactivity_sd": 0.0, "graft.responsiveness_sd": 0.0}


@pytest.fixture(scope="module")
def bare(people, quiet):
    return follow(people, quiet, DAYS)


def naked(course):
    return course.total("D")


def gain(people, p, bare, fields=PRECURSORS, **facts):
    """Volume (ml) that is remyelinated with the cells and not without, by patient."""
    return naked(bare) - naked(follow(people, p, bare_days(bare), "ipsc_opc", fields, **({"optimistic": 1.0} | facts)))


def bare_days(course):
    return 30 * (len(course.seen["n_t2"]) - 1)


def test_every_engaged_cell_makes_its_share_of_myelin(people, quiet):
    p = quiet | {"ms.kslow": 1e-7}  # nothing remyelinates by itself
    untreated, treated = follow(people, p, DAYS), follow(people, p, DAYS, "ipsc_opc", PRECURSORS, optimistic=1.0)
    made = naked(untreated) - naked(treated)
    np.testing.assert_allclose(made, treated.total("opc.engaged") * 0.10, rtol=1e-5)
    gone = treated.state["S"] - untreated.state["S"]  # of the brain, where the scan shows it
    brain = sum(treated.state[f"opc.engaged_{r}"] for r in REGIONS[:3]) * 0.10
    np.testing.assert_allclose(gone, brain, rtol=1e-5)


def test_more_cells_more_myelin_and_less_so_for_every_further_cell(people, quiet, bare):
    p = quiet | {"opc.myelin.optimistic": 0.5}
    made = [gain(people, p, bare, PRECURSORS | {"dose_1e6": d}).mean() for d in (0.0, 50.0, 100.0, 200.0)]
    assert made[0] == 0
    assert (np.diff(made) > 0).all()
    assert made[2] < 2 * made[1]
    assert made[3] < 2 * made[2]


def test_sceptical_cells_make_a_fifth(people, quiet, bare):
    optimistic, sceptical = (gain(people, quiet, bare, optimistic=o).mean() for o in (1.0, 0.0))
    assert sceptical == pytest.approx(optimistic / 5, rel=0.15)


def test_an_older_host_lets_fewer_cells_mature(people, quiet):
    """shields1999_age_remyelination: remyelination takes 9 weeks in old rats, 4 in young ones."""
    made = {}
    for age in (25.0, 60.0):
        course = follow(people, quiet | {"opc.growth": 0.0}, 60, "ipsc_opc", PRECURSORS, age=age)
        placed = course.seen["opc_cells_1e6"][1]
        made[age] = ((course.total("opc.waiting") + course.total("opc.engaged")) / placed).mean()
    assert made[60.0] / made[25.0] == pytest.approx(4 / 9, abs=0.06)


def test_cells_without_demyelinated_tissue_find_nothing_to_do(people, quiet):
    """foote2005_opc_repopulation: transplanted cells repopulate tissue that needs them."""
    whole = {f"D_{r}": 0.0 for r in ("pv", "cj", "it", "sc")}
    idle = follow(people, quiet, DAYS, "ipsc_opc", PRECURSORS, start=whole).total("opc.engaged")
    some = follow(people, quiet, DAYS, "ipsc_opc", PRECURSORS).total("opc.engaged")
    lesioned = follow(people, quiet, DAYS, "ipsc_opc", PRECURSORS, start={"D_pv": 12.0}).total("opc.engaged")
    assert idle.max() < 0.02 * some.mean()
    assert lesioned.mean() > some.mean()


def test_cells_act_where_they_are_given_and_spread_within_the_brain(people, quiet, bare):
    """xu2015_hopc_tai: within 3 months in white matter of both sides; none crosses from brain to cord."""
    brain, spine = (
        follow(people, quiet, DAYS, "ipsc_opc", PRECURSORS | {"route": r}, optimistic=1.0)
        for r in ("intraparenchymal", "intraspinal")
    )
    np.testing.assert_array_equal(brain.state["D_sc"], bare.state["D_sc"])
    assert (bare.state["D_sc"] - spine.state["D_sc"]).mean() > 0.1
    given = follow(people, quiet, 1, "ipsc_opc", PRECURSORS, every=1).state
    for day, reached in ((30, 0.4), (90, 0.8)):
        now = follow(people, quiet, day, "ipsc_opc", PRECURSORS, start={"D_pv": 0.0, "D_cj": 6.0, "D_it": 0.0}).state
        before, after = (
            s["opc.precursors_cj"] / sum(s[f"opc.precursors_{r}"] for r in REGIONS[:3]) for s in (given, now)
        )
        assert before.mean() < 0.3
        assert after.mean() > before.mean() + 0.6 * reached * (1 - before.mean()) * (1 - np.exp(-day / 90))


def test_myelin_takes_weeks(people, quiet):
    """uchida2012_hucns: on MRI after 5-7 weeks; windrem2004_fetal_adult_opc: dense after 4-12 weeks (recalled)."""
    engaged = follow(people, quiet, 360, "ipsc_opc", PRECURSORS, every=7).seen["opc_engaged_1e6"].mean(1)
    final = engaged[-1]
    assert engaged[2] < 0.03 * final  # two weeks
    assert engaged[7] > 0.05 * final  # seven weeks
    assert engaged[17] < 0.6 * final  # four months


def test_cells_divide_little_in_an_adult(people, quiet):
    """windrem2014_competitive saw 40-fold in newborn mice without myelin; that is not used."""
    cells = follow(people, quiet, DAYS, "ipsc_opc", PRECURSORS).seen["opc_cells_1e6"]
    placed = follow(people, quiet, 0, "ipsc_opc", PRECURSORS, every=1).total("opc.precursors")
    assert (cells.max(0) < 4 * placed).all()


def test_rejection_takes_the_cells_and_their_myelin(people, quiet, bare):
    kept = gain(people, quiet, bare, BANK | TACROLIMUS | {"immunosuppression_days": 2000})
    early = follow(people, quiet, 360, "ipsc_opc", BANK | TACROLIMUS | {"immunosuppression_days": 200}, optimistic=1.0)
    lost = gain(people, quiet, bare, BANK | {"hla_mismatches": 6})
    tapered = gain(people, quiet, bare, BANK | TACROLIMUS | {"immunosuppression_days": 200, "hla_mismatches": 6})
    assert early.seen["opc_engaged_1e6"][-1].mean() > 0
    assert (kept > 5 * np.abs(lost)).mean() > 0.95
    assert tapered.mean() < 0.3 * kept.mean()


def test_purity_and_viability_scale_the_dose(people, quiet, bare):
    whole, half = (gain(people, quiet, bare, PRECURSORS | {"purity": q, "viability": 0.8}).mean() for q in (0.9, 0.45))
    same = gain(people, quiet, bare, PRECURSORS | {"purity": 0.9, "viability": 0.4}).mean()
    assert half == pytest.approx(same)
    assert 0.4 < half / whole < 0.6


def test_there_are_no_human_data():
    """registry_ipsc_glia_2026."""
    assert human_data("ipsc_opc", PRECURSORS, "ms") == ()
