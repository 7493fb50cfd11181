"""What moves the outcome of a trial in ALS, as the evidence says: drug, dose, segment, number of courses, open raters.

As for MS: the same people enter with the same random numbers, and one thing differs between two trials. The optimistic
hypothesis holds and all centres are alike; raters are blind unless said. Directions are asked for, not sizes.
"""

from __future__ import annotations

import numpy as np
import pytest
from test_cell_directions import CERTAIN, PATIENTS, REPLICATES, moves

from stemtrial.cohort.clinic import Care
from stemtrial.cohort.recruit import recruit
from stemtrial.parameters import point_draw
from stemtrial.therapy import acting_on, compose
from stemtrial.trial.conduct import conduct
from stemtrial.trial.protocol import Protocol

WEEKS = (0, 12, 24, 48)
HALF, YEAR = 2, 3
"""Visits of weeks 24 and 48."""
ENDS = {"disposition": ("died",), "milestones": ("tracheostomy", "permanent_ventilation")}
"""What ends survival without tracheostomy or permanent ventilation, by table."""
MSC = {"therapy": "msc", "product": "bone-marrow-autologous", "route": "intrathecal", "dose_1e6_per_kg": 1.0}
NSC = {"therapy": "nsc", "product": "foetal-spinal-allogeneic", "route": "intraspinal", "dose_1e6": 16.0,
       "segments": "cervical_and_lumbar", "immunosuppression": "tacrolimus"}  # fmt: skip
TREG = {"therapy": "treg", "dose_1e6_per_kg": 1.0, "courses": 12}


def design(entry, rater="blind", carriers=False):
    who = ["18 <= age_years <= 80", "svc_pct >= 65", "symptom_months <= 36"] + (["sod1 == 1"] if carriers else [])
    return Protocol.model_validate({
        "protocol": "direction", "title": "direction", "disease": "als",
        "population": {"course": "als", "care_before_entry": "riluzole", "eligibility": who},
        "accrual": {"start": "2018-01", "end": "2018-01", "closure": "2030-01"},
        "blinding": {"patient": rater, "rater": rater},
        "arms": {"arm": {"n": PATIENTS, "regimen": [entry] if entry else []}},
        "visits": {"weeks": list(WEEKS), "window_days": 0},
        "instruments": ["svc_pct", "nfl_pg_ml"],
        "endpoints": {"primary": {"id": "alsfrs_r_change", "estimator": "mean", "at_years": [0.46]}},
    })  # fmt: skip


@pytest.fixture(scope="module")
def kernel():
    return compose("als", acting_on("als"))


@pytest.fixture(scope="module")
def trial(kernel, point):
    """Function (entry, ...) -> function (column, visit) -> what was measured, by patient; NaN for who has left."""
    pools, kept = {}, {}

    def go(entry=None, rater="blind", carriers=False, p=None, **fields):
        protocol = design(entry | fields if entry else None, rater, carriers)
        key = str((entry, fields, rater, carriers, p))
        if carriers not in pools:
            care = Care("als", "als", "riluzole", (2018.0, 2018.1))
            pools[carriers] = recruit(kernel, point_draw(), 0, care, protocol.population.criteria, 400, threads=2)
        if key not in kept:
            found = conduct(
                protocol, pools[carriers], kernel, point | CERTAIN | (p or {}), 1, replicates=range(REPLICATES),
                threads=2,
            )  # fmt: skip
            assert found.failed == found.overflow == 0
            kept[key] = found.tables
        tables = kept[key]

        def who(table):
            return tables[table]["replicate"].astype(np.int64) * PATIENTS + tables[table]["patient"]

        def value(column, visit):
            t, out = tables["visits"], np.full(PATIENTS * REPLICATES, np.nan)
            mine = t["visit"] == visit
            out[who("visits")[mine]] = t[column][mine]
            return out

        def survived(days):
            gone = np.zeros(PATIENTS * REPLICATES)
            for table, events in ENDS.items():
                t = tables[table]
                gone[who(table)[np.isin(t["event"], events) & (t["day"] <= days)]] = 1.0
            return 1.0 - gone

        value.survived = survived
        return value

    return go


def test_a_drug_against_loss_slows_decline_and_a_null_one_does_not(trial):
    none = trial()
    moves(trial({"therapy": "edaravone"})("alsfrs_r", YEAR), none("alsfrs_r", YEAR), z=4)
    assert np.array_equal(
        trial({"therapy": "dexpramipexole"})("alsfrs_r", YEAR), none("alsfrs_r", YEAR), equal_nan=True
    ), "cudkowicz2013_empower"


def test_tofersen_lowers_nfl_first_miller2022_valor(trial):
    none, told = trial(carriers=True), trial({"therapy": "tofersen"}, carriers=True)
    moves(none("nfl_pg_ml", 1), told("nfl_pg_ml", 1))
    early = moves(told("alsfrs_r", HALF), none("alsfrs_r", HALF), z=4)
    assert moves(told("alsfrs_r", YEAR), none("alsfrs_r", YEAR)) > early


def test_more_courses_of_msc_do_more_oh2018(trial):
    none, once = trial(), trial(MSC)
    often = trial(MSC, courses=6, every_days=60)
    moves(once("alsfrs_r", HALF), none("alsfrs_r", HALF), z=3)
    moves(often("alsfrs_r", YEAR), once("alsfrs_r", YEAR), z=3)


def test_neurotrophic_factors_add_to_msc(trial):
    plain = trial(MSC, courses=6, every_days=60)
    ntf = trial(MSC | {"product": "bone-marrow-ntf-autologous"}, courses=6, every_days=60)
    moves(ntf("nfl_pg_ml", YEAR) * -1.0, plain("nfl_pg_ml", YEAR) * -1.0, z=3)


def test_each_segment_has_its_domain(trial):
    """als_model 2: local effect only; breathing by the cervical cord, walking by the lumbar one."""
    none, neck, legs = trial(), trial(NSC, segments="cervical"), trial(NSC, segments="lumbar")
    moves(neck("svc_pct", HALF), none("svc_pct", HALF), z=4)
    moves(legs("alsfrs_r_gross_motor", YEAR), none("alsfrs_r_gross_motor", YEAR), z=3)
    moves(legs("alsfrs_r_gross_motor", YEAR), neck("alsfrs_r_gross_motor", YEAR), z=2)
    moves(neck("svc_pct", HALF), legs("svc_pct", HALF), z=4)


def test_a_protected_graft_does_more_than_one_that_is_rejected(trial):
    strong = {"graft.rejection": 0.5}
    kept, lost = trial(NSC, p=strong), trial(NSC, p=strong, immunosuppression="none")
    moves(kept("svc_pct", HALF), lost("svc_pct", HALF), z=4)


def test_regulatory_t_cells_slow_while_given_thonhoff2018(trial):
    moves(trial(TREG)("nfl_pg_ml", HALF) * -1.0, trial()("nfl_pg_ml", HALF) * -1.0, z=4)


def test_open_raters_see_what_the_spirometer_does_not_oh2018_alsummit2024(trial):
    """Cells without any effect: the score of an open trial rises, vital capacity does not."""
    off = {"msc.als.weight_optimistic": 0.0}
    blind, hopeful = trial(MSC, p=off), trial(MSC, rater="open", p=off)
    assert moves(hopeful("alsfrs_r", HALF), blind("alsfrs_r", HALF)) > 0.5
    assert np.array_equal(hopeful("svc_pct", HALF), blind("svc_pct", HALF), equal_nan=True)
    none = trial()
    assert np.array_equal(blind("alsfrs_r", HALF), none("alsfrs_r", HALF), equal_nan=True), "blind, nothing is left"


def test_riluzole_saves_lives_bensimon1994(trial):
    told, without = trial(), trial(p={"riluzole.loss": 1.0, "riluzole.mortality": 1.0})
    saved = told.survived(336) - without.survived(336)
    assert saved.mean() > 4 * saved.std() / np.sqrt(len(saved))
