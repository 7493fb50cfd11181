"""Effects of a trial by name: how they are drawn, what each moves, what it leaves as it was, and that 0 is none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from trials import AHSCT, CELLS

from stemtrial.parameters import registry
from stemtrial.trial.conduct import conduct
from stemtrial.trial.effects import EFFECTS, trial_effects

SD = "trial.effect_sd."
OFF = {k: 0.0 for k in registry() if k.startswith(SD)}
REPLICATES = 4
NAMED = {"ms": (*EFFECTS["ms"], "conditioning"), "als": EFFECTS["als"]}
MONTHS = [0, 6, 12, 18, 24]


def drawn(disease, families=(), n=3000, seed=1, **sd):
    p = {k: x.value for k, x in registry().items()} | {f"{SD}{disease}.{k}": v for k, v in sd.items()}
    return trial_effects(disease, families, False, seed, np.arange(n), p).named


# -- drawn ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("disease", ["ms", "als"])
def test_each_spreads_over_the_trials_as_its_parameter_says_and_goes_with_no_other(disease):
    found = drawn(disease, ("ahsct",))
    assert tuple(found) == NAMED[disease]
    for name, x in found.items():
        sd = registry()[f"{SD}{disease}.{name}"].value
        assert sd > 0
        assert stats.kstest(x, "norm", (0, sd)).pvalue > 0.001, name
    r = np.corrcoef(list(found.values()))
    assert np.abs(r[np.triu_indices(len(found), 1)]).max() < 0.08


def test_every_one_of_them_may_be_fitted():
    assert {k.removeprefix(SD) for k in OFF} == {f"{d}.{name}" for d, names in NAMED.items() for name in names}
    assert all(registry()[k].prior["dist"] == "lognormal" for k in OFF)


def test_one_more_or_less_shifts_no_other_and_none_depends_on_the_other_replicates():
    with_graft, without = drawn("ms", ("ahsct", "drugs"), 20), drawn("ms", ("drugs",), 20)
    assert set(with_graft) - set(without) == {"conditioning"}
    wide = drawn("ms", ("ahsct",), 20, rater=1.0)
    for name, x in without.items():
        np.testing.assert_array_equal(x, with_graft[name])
        assert (x == wide[name]).all() == (name != "rater")
    np.testing.assert_allclose(wide["rater"], without["rater"] / registry()[f"{SD}ms.rater"].value)
    p = {k: x.value for k, x in registry().items()}
    alone = trial_effects("ms", ("ahsct",), False, 1, np.array([7]), p).named
    assert {k: x[0] for k, x in alone.items()} == {k: x[7] for k, x in with_graft.items()}
    assert drawn("ms", n=1, seed=2)["rater"] != drawn("ms", n=1)["rater"]


# -- in a trial -------------------------------------------------------------------------------------------------------
class Moved:
    """Trials of a disease without effects, and with one of them alone."""

    def __init__(self, trials):
        self.trials, self.kept = trials, {}
        ms = trials.disease == "ms"
        drug = {"therapy": "interferon_beta"} if ms else {"therapy": "edaravone"}
        arms = {
            "treated": {"n": 60, "regimen": [AHSCT | {"day": 30}] if ms else [CELLS]},
            "control": {"n": 60, "regimen": [drug]},
        }
        visits = {"months": MONTHS, "window_days": 20, "at_relapse": ms} | ({"mri_months": MONTHS} if ms else {})
        self.protocol = trials.protocol(arms, visits=visits, instruments=["nfl_pg_ml"])

    def __call__(self, sd=None, **more):
        key = tuple(sorted((sd or {}).items()))
        if more or key not in self.kept:
            p = self.trials.point | OFF | {f"{SD}{self.trials.disease}.{k}": v for k, v in (sd or {}).items()}
            which = more.pop("replicates", range(REPLICATES))
            t = conduct(
                self.protocol, self.trials.recruits, self.trials.kernel, p, 1, replicates=which, truth=True,
                **({"threads": 2} | more),
            )  # fmt: skip
            if more or which != range(REPLICATES):
                return t
            self.kept[key] = t
        return self.kept[key]

    def changed(self, sd):
        """Columns that an effect changes, as ``table.column``; a table whose rows change as ``table``."""
        a, b, out = self(), self(sd), set()
        for name, t in a.tables.items():
            for c, x in t.items():
                y = b.tables[name][c]
                if len(x) != len(y):
                    out.add(name)
                elif not np.array_equal(x, y, equal_nan=x.dtype.kind == "f"):
                    out.add(f"{name}.{c}")
        return out

    def by_replicate(self, t, table, value, **where):
        """Sum over the rows of each replicate."""
        rows = t.tables[table]
        keep = np.ones(len(rows["replicate"]), bool)
        for k, v in where.items():
            keep &= rows[k] == v
        x = np.ones(keep.sum()) if value is None else rows[value][keep].astype(float)
        return np.bincount(rows["replicate"][keep], x, REPLICATES)


@pytest.fixture(scope="module")
def ms(in_ms):
    return Moved(in_ms)


@pytest.fixture(scope="module")
def als(in_als):
    return Moved(in_als)


@pytest.fixture(scope="module", params=["ms", "als"])
def each(request):
    return request.getfixturevalue(request.param)


def follows(change, effect):
    """Whether a change has the sign of the effect in every trial in which that is not tiny."""
    large = np.abs(effect) > 0.1
    assert large.sum() >= 2
    return bool((np.sign(change) == np.sign(effect))[large].all())


def test_no_sd_is_no_effect_bit_for_bit(each):
    t = each()
    assert set(t.effects) >= set(NAMED[each.trials.disease])
    assert all((t.effects[name] == 0).all() for name in NAMED[each.trials.disease])
    for name in NAMED[each.trials.disease]:
        assert each.changed({name: 1e-300}) == set(), name  # the same way through the code as any other effect


def test_whoever_else_is_there_a_trial_stays_the_same(each):
    sd = dict.fromkeys(NAMED[each.trials.disease], 0.3)
    all_, one = each(sd), each(sd, replicates=[2], threads=1)
    for name, x in one.effects.items():
        np.testing.assert_array_equal(all_.effects[name][[2]], x)
    for name, t in one.tables.items():
        mine = all_.tables[name]["replicate"] == 2
        for c, x in t.items():
            np.testing.assert_array_equal(all_.tables[name][c][mine], x, err_msg=f"{name}.{c}")


@pytest.mark.parametrize("name", ["activity", "progression", "reporting"])
def test_what_patients_are_acts_from_entry_on(ms, name):
    found = ms.changed({name: 1.0})
    assert found
    assert not any(c.startswith("patients") for c in found)
    a, b = ms(), ms({name: 1.0})
    day0 = [t.tables["truth_visits"]["edss_true"][t.tables["truth_visits"]["day"] == 0] for t in (a, b)]
    np.testing.assert_array_equal(*day0)


def test_activity_brings_lesions_and_relapses_in_the_control_arm(ms):
    a, b = ms(), ms({"activity": 1.0})
    e = b.effects["activity"]
    for table, value in (("mri", "new_t2_lesions"), ("mri", "gd_lesions"), ("relapses", None)):
        assert follows(ms.by_replicate(b, table, value) - ms.by_replicate(a, table, value), e), table


def test_progression_moves_true_disability_and_no_lesion_or_relapse(ms):
    found = ms.changed({"progression": 1.0})
    assert not found & {"mri.new_t2_lesions", "mri.gd_lesions", "relapses", "relapses.day", "mri"}
    a, b = (ms.by_replicate(t, "truth_visits", "edss_true", visit=4) for t in (ms(), ms({"progression": 1.0})))
    assert follows(b - a, ms({"progression": 1.0}).effects["progression"])


def test_reporting_moves_relapses_and_no_scan(ms):
    scans = []
    for t in (ms(), ms({"reporting": 2.0})):
        m = t.tables["mri"]
        scans.append(
            dict(zip(zip(m["replicate"], m["patient"], m["day"], strict=True), m["new_t2_lesions"], strict=True))
        )
    both = scans[0].keys() & scans[1].keys()  # one dies of a graft who was rated at a relapse before
    assert len(both) >= len(scans[0]) - 5
    # one random number a day decides on both kinds of rare event: a few infections come on other days, hence lesions
    assert np.mean([scans[0][k] == scans[1][k] for k in both]) > 0.95
    a, b = (ms.by_replicate(t, "relapses", None) for t in (ms(), ms({"reporting": 2.0})))
    assert follows(b - a, ms({"reporting": 2.0}).effects["reporting"])


def test_reading_moves_what_is_counted_on_scans_and_nothing_else(ms):
    seen = {"gd_lesions", "t2_volume_ml"}
    assert ms.changed({"reading": 0.5}) == {f"{t}.{c}" for t in ("mri", "patients") for c in seen} | {
        "mri.new_t2_lesions"
    }
    a, b = ms(), ms({"reading": 0.5})
    factor = np.exp(b.effects["reading"])
    for c in ("new_t2_lesions", "gd_lesions"):
        before = ms.by_replicate(a, "mri", c)
        ratio = ms.by_replicate(b, "mri", c) / before
        np.testing.assert_allclose(ratio, factor, atol=3 * np.sqrt(0.3 / before.min()))
    volume = b.tables["mri"]["t2_volume_ml"] / a.tables["mri"]["t2_volume_ml"]
    np.testing.assert_allclose(volume, factor[b.tables["mri"]["replicate"].astype(int)] ** 0.5)


def test_atrophy_moves_the_measured_loss_of_brain_volume_alone(ms):
    assert ms.changed({"atrophy": 0.5}) == {"mri.brain_volume_change_pct"}
    exact = {"instruments.mri_brain_volume_sd_pct": 0.0}
    rows = []
    for sd in (0.0, 0.5):
        p = ms.trials.point | OFF | exact | {f"{SD}ms.atrophy": sd}
        t = conduct(ms.protocol, ms.trials.recruits, ms.trials.kernel, p, 1, replicates=[0], threads=2)
        rows.append(t.tables["mri"]["brain_volume_change_pct"])
    np.testing.assert_allclose(rows[1], rows[0] * np.exp(t.effects["atrophy"][0]))


def test_assay_moves_the_level_of_neurofilament_alone(each):
    assert each.changed({"assay": 0.5}) == {"visits.nfl_pg_ml", "patients.nfl_pg_ml"}
    a, b = each().tables["visits"], each({"assay": 0.5})
    factor = np.exp(b.effects["assay"])[a["replicate"].astype(int)]
    np.testing.assert_allclose(b.tables["visits"]["nfl_pg_ml"], a["nfl_pg_ml"] * factor)


def test_rater_moves_the_spread_of_what_is_rated_and_not_its_truth(each):
    scale = {"ms": "edss", "als": "alsfrs_r"}[each.trials.disease]
    found = each.changed({"rater": 0.7})
    assert f"visits.{scale}" in found
    rated = {c for c in each().tables["visits"] if c.startswith(("edss", "alsfrs_r"))}
    items = {"speech", "salivation", "swallowing", "handwriting", "cutting_food", "dressing", "turning_in_bed",
             "walking", "climbing_stairs", "dyspnoea", "orthopnoea", "respiratory_insufficiency"}  # fmt: skip
    allowed = {f"{t}.{c}" for t in ("visits", "patients") for c in rated | items} | {"relapses.severity"}
    assert found <= allowed | {"adverse_events"}  # harm of a transplant goes by the EDSS as rated

    def spread(t):
        v, true = t.tables["visits"], t.tables["truth_visits"]
        known = dict(
            zip(zip(true["replicate"], true["patient"], true["day"], strict=True), true[f"{scale}_true"], strict=True)
        )
        wrong = v[scale] - np.array([known[k] for k in zip(v["replicate"], v["patient"], v["day"], strict=True)])
        return np.array([wrong[v["replicate"] == r].std() for r in range(REPLICATES)])

    b = each({"rater": 0.7})
    assert follows(spread(b) - spread(each()), b.effects["rater"])


def test_harm_moves_what_is_recorded_of_mild_events_alone(each):
    assert {c.split(".")[0] for c in each.changed({"harm": 2.0})} == {"adverse_events"}
    a, b = each(), each({"harm": 2.0})
    assert follows(
        each.by_replicate(b, "adverse_events", None) - each.by_replicate(a, "adverse_events", None), b.effects["harm"]
    )
    severe = []
    for t in (a.tables["adverse_events"], b.tables["adverse_events"]):
        keep = (t["grade"] >= 3) | (t["serious"] > 0)
        severe.append(sorted(zip(*(t[c][keep].tolist() for c in ("replicate", "patient", "day", "term")), strict=True)))
    assert severe[0] == severe[1]
    assert len(severe[0]) > 20 or each.trials.disease == "als"


def test_conditioning_moves_what_comes_back_after_a_transplant_alone(ms):
    a, b = ms(), ms({"conditioning": 3.0})
    e = b.effects["conditioning"]
    arm = a.tables["patients"]["arm"].reshape(REPLICATES, -1)

    def lesions(t, name):
        m = t.tables["mri"]
        mine = (arm[m["replicate"].astype(int), m["patient"].astype(int)] == name) & (m["day"] > 365)
        return np.bincount(m["replicate"][mine].astype(int), m["new_t2_lesions"][mine], REPLICATES)

    np.testing.assert_array_equal(lesions(a, "control"), lesions(b, "control"))
    change = lesions(b, "treated") - lesions(a, "treated")
    assert (change * e <= 0).all()
    assert np.abs(change).sum() > 20


def test_a_conditioning_without_effect_has_none_at_any_centre(ms):
    """What is left of a transplant whose effects vanish is the untreated course, whatever its centre."""
    off = {k: x.no_effect for k, x in registry().items() if k.startswith("ahsct.") and x.no_effect is not None}
    seen = []
    for sd in (0.0, 3.0):
        p = ms.trials.point | OFF | off | {f"{SD}ms.conditioning": sd}
        t = conduct(ms.protocol, ms.trials.recruits, ms.trials.kernel, p, 1, replicates=[0], threads=2)
        seen.append(t.tables)
    for name, t in seen[0].items():
        for c, x in t.items():
            np.testing.assert_array_equal(x, seen[1][name][c], err_msg=f"{name}.{c}")


def test_pace_speeds_decline_from_entry_on(als):
    a, b = als(), als({"pace": 0.7})
    assert not any(c.startswith("patients") for c in als.changed({"pace": 0.7}))

    def year(t):
        v = t.tables["truth_visits"]
        mine = v["visit"] == 1
        return np.bincount(v["replicate"][mine].astype(int), v["alsfrs_r_true"][mine]) / np.bincount(
            v["replicate"][mine].astype(int)
        )

    assert follows(year(a) - year(b), b.effects["pace"])


def test_hazard_moves_deaths_and_no_function_of_the_living(als):
    a, b = als(), als({"hazard": 1.5})

    def deaths(t):
        return als.by_replicate(t, "disposition", None, event="died") + als.by_replicate(
            t, "milestones", None, event="tracheostomy"
        )

    assert follows(deaths(b) - deaths(a), b.effects["hazard"])
    key = ("replicate", "patient", "visit")
    seen = [
        dict(zip(zip(*(v[c].tolist() for c in key), strict=True), v["alsfrs_r_true"].tolist(), strict=True))
        for v in (t.tables["truth_visits"] for t in (a, b))
    ]
    stones = [t.tables["milestones"] for t in (a, b)]
    aided = {who for m in stones for who in zip(m["replicate"].tolist(), m["patient"].tolist(), strict=True)}
    both = [
        k for k in seen[0].keys() & seen[1].keys() if k[:2] not in aided
    ]  # ventilation comes with respiratory failure
    assert len(both) > 500
    assert all(seen[0][k] == seen[1][k] for k in both)
