"""Effects of a whole trial: one draw a replicate, whoever else is there; forced, switched off, and where they act."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import stats
from trials import CELLS, SHAM, protocol

from stemtrial.parameters import registry
from stemtrial.therapy.family import FieldError, Harm, HarmEvents
from stemtrial.therapy.prescribe import FAMILIES
from stemtrial.trial.conduct import conduct
from stemtrial.trial.effects import EFFECTS, trial_effects
from stemtrial.trial.regimen import Treatment

IFN, EDARAVONE = {"therapy": "interferon_beta"}, {"therapy": "edaravone"}
P = {"trial.centre_sd": 0.7, "trial.rating_bias.ms": -0.25, "trial.rating_bias_sd.ms": 0.2, "drugs.weight": 0.3} | {
    k: x.value for k, x in registry().items() if k.startswith("trial.effect_sd.")
}
OPEN = {"patient": "open", "rater": "open"}
BLIND = {"patient": "blind", "rater": "blind"}


@pytest.fixture
def hypothetical(monkeypatch):
    """The family of drugs, as if its action were a hypothesis."""
    monkeypatch.setitem(FAMILIES, "drugs", dataclasses.replace(FAMILIES["drugs"], hypothesis={"ms": "drugs.weight"}))


def drawn(n=2000, families=("drugs", "steroids"), rater_open=True, seed=1, **changed):
    return trial_effects("ms", families, rater_open, seed, np.arange(n), P | changed)


def test_a_replicate_has_the_same_effects_alone_and_among_many(hypothetical):
    many = drawn(50)
    one = trial_effects("ms", ("drugs",), True, 1, np.array([7]), P)
    for a, b in zip(many.drawn(True).values(), one.drawn(True).values(), strict=True):
        assert a[7] == b[0]
    assert list(many.drawn(True)) == ["optimistic.drugs", "centre", "rating_bias", *EFFECTS["ms"]]
    assert (drawn(50, seed=2).centre != many.centre).all()


def test_effects_have_the_distributions_that_their_parameters_say(hypothetical):
    e = drawn()
    assert set(np.unique(e.optimistic["drugs"])) == {0.0, 1.0}
    assert e.optimistic["drugs"].mean() == pytest.approx(0.3, abs=0.04)
    assert stats.kstest(np.log(e.centre), "norm", (0, 0.7)).pvalue > 0.001
    assert stats.kstest(e.rating_bias, "norm", (-0.25, 0.2)).pvalue > 0.001
    r = np.corrcoef([e.optimistic["drugs"], e.centre, e.rating_bias])
    assert np.abs(r[np.triu_indices(3, 1)]).max() < 0.08


def test_effects_are_forced_and_switched_off_by_their_parameters(hypothetical):
    assert (drawn(**{"drugs.weight": 1.0}).optimistic["drugs"] == 1).all()
    assert (drawn(**{"drugs.weight": 0.0}).optimistic["drugs"] == 0).all()
    assert (drawn(**{"trial.centre_sd": 0.0}).centre == 1).all()
    off = drawn(rater_open=False)
    assert (off.rating_bias == 0).all()
    assert "rating_bias" not in off.drawn(False)
    assert (off.centre == drawn().centre).all(), "one effect more or less shifts no other"


def test_families_without_a_hypothesis_know_of_none():
    e = drawn(3)
    assert list(e.drawn(False)) == list(EFFECTS["ms"])
    facts = e.of("drugs", np.array([0, 2]))
    assert facts["optimistic"].tolist() == [0, 0]
    assert facts["centre"].tolist() == [1, 1]


# -- in a trial -------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def run(recruits, everything, point):
    def go(p, replicates=range(4), **changed):
        return conduct(p, recruits, everything, point | changed, 1, replicates=replicates, threads=2)

    return go


class Rated:
    """Trials of a disease whose open raters lean: what they rate, a drug, and a bias to the better of the scale."""

    def __init__(self, trials):
        self.trials, ms = trials, trials.disease == "ms"
        self.scale, self.drug, self.bias = ("edss", IFN, -1.5) if ms else ("alsfrs_r", EDARAVONE, 0.3)
        self.better, self.others = (-1, "relapses") if ms else (1, "milestones")

    def __call__(self, regimens, bias, replicates=range(4), blinding=OPEN, fades=None, **more):
        d = self.trials.disease
        changed = {f"trial.rating_bias.{d}": bias, f"trial.rating_bias_sd.{d}": 0.0}
        if fades is not None:
            changed[f"trial.rating_bias_days.{d}"] = fades
        p = self.trials.protocol(arms(*regimens), blinding=blinding, **more)
        return conduct(
            p,
            self.trials.recruits,
            self.trials.kernel,
            self.trials.point | changed,
            1,
            replicates=replicates,
            threads=2,
        )

    def seen(self, t, arm):
        """What is rated at the visits of an arm, and on which days."""
        v, p = t.tables["visits"], t.tables["patients"]
        mine = p["arm"][v["replicate"] * 80 + v["patient"]] == arm
        return v[self.scale][mine], v["day"][mine]


@pytest.fixture(scope="module")
def rated(in_each):
    return Rated(in_each)


def arms(*regimens):
    return {f"arm{k}": {"n": 40, "regimen": r} for k, r in enumerate(regimens)}


def test_an_open_rater_leans_on_the_treated_only_and_from_their_treatment_on(rated):
    regimens = [], [rated.drug | {"day": 300}]
    fair, lean = rated(regimens, 0.0), rated(regimens, rated.bias)
    assert (lean.effects["rating_bias"] == rated.bias).all()
    np.testing.assert_array_equal(rated.seen(fair, "arm0")[0], rated.seen(lean, "arm0")[0])
    (a, day), (b, _) = rated.seen(fair, "arm1"), rated.seen(lean, "arm1")
    assert (a == b)[day <= 300].all()
    assert rated.better * (b - a)[day > 300].mean() > 0.3
    for name in (rated.others, "disposition"):
        np.testing.assert_array_equal(fair.tables[name]["day"], lean.tables[name]["day"])


def test_the_hope_of_an_open_rater_fades(rated):
    regimens, months = ([], [rated.drug]), (0, 1, 6, 12, 18)
    fair, lean = (rated(regimens, b, fades=100.0, months=months, window=5) for b in (0.0, rated.bias))
    (a, day), (b, _) = rated.seen(fair, "arm1"), rated.seen(lean, "arm1")
    gain = [rated.better * (b - a)[(day > lo) & (day < lo + 100)].mean() for lo in (0, 150, 330)]
    assert gain[0] > 2 * gain[1] > 4 * gain[2] >= 0


def test_a_blinded_rater_does_not_lean(rated):
    a, b = (rated(([], [rated.drug]), x, blinding=BLIND) for x in (0.0, rated.bias))
    assert "rating_bias" not in a.effects
    np.testing.assert_array_equal(a.tables["visits"][rated.scale], b.tables["visits"][rated.scale])


def test_an_open_rater_does_not_lean_on_a_sham(in_als):
    rated = Rated(in_als)
    fair, lean = (rated(([], [SHAM]), x) for x in (0.0, rated.bias))
    assert len(lean.tables["exposure"]["day"]) > 100
    np.testing.assert_array_equal(fair.tables["visits"]["alsfrs_r"], lean.tables["visits"]["alsfrs_r"])


def test_effects_stand_in_the_order_of_the_replicates_and_do_not_depend_on_the_others(rated):
    cells = [CELLS] if rated.trials.disease == "als" else [rated.drug]
    all_, two = (rated(([], cells), rated.bias, replicates=k) for k in (range(4), [1, 3]))
    for name, drawn_ in all_.effects.items():
        np.testing.assert_array_equal(drawn_[[1, 3]], two.effects[name])
    assert ("optimistic.msc" in two.effects) == (rated.trials.disease == "als")
    for name, t in two.tables.items():
        mine = np.isin(all_.tables[name]["replicate"], [1, 3])
        for c, x in t.items():
            np.testing.assert_array_equal(all_.tables[name][c][mine], x, err_msg=f"{name}.{c}")


def test_who_was_to_be_treated_but_stopped_before_is_not_treated(rated):
    ms = rated.trials.disease == "ms"
    stop = [{"when": "relapse" if ms else "time_to_niv", "action": "stop"}]
    regimens, months = ([], [rated.drug | {"day": 700}]), (0, 6, 12, 24, 30)
    fair, lean = (rated(regimens, x, rules=stop, months=months) for x in (0.0, rated.bias))
    t = fair.tables[rated.others]
    stopped = (t["day"] < (650 if ms else 300)) & (True if ms else t["event"] == "niv")
    who = set(zip(t["replicate"][stopped], t["patient"][stopped], strict=True))
    v = fair.tables["visits"]
    of_stopped = np.array([(r, w) in who for r, w in zip(v["replicate"], v["patient"], strict=True)])
    assert of_stopped.sum() > 50
    same = v[rated.scale] == lean.tables["visits"][rated.scale]
    assert same[of_stopped].all()
    assert not same.all()


# -- hooks of a family ------------------------------------------------------------------------------------------------
SORE = Harm("headache", 1, False)


def test_a_family_draws_its_own_harm_from_what_was_given(run, monkeypatch):
    asked = []

    def drawer(seed, given, parameters):
        asked.append(given)
        rows = np.arange(len(given.patient))
        return [HarmEvents(rows, given.start + 5, SORE), HarmEvents(rows, given.stop + 1, SORE)]

    monkeypatch.setitem(FAMILIES, "drugs", dataclasses.replace(FAMILIES["drugs"], adverse_events=drawer))
    p = protocol(arms([], [IFN | {"day": 100, "dose_ratio": 0.5, "stop_day": 400}]))
    t = run(p)
    (given,) = asked
    assert given.therapy == "interferon_beta"
    assert given.settings["dose_ratio"] == 0.5
    assert (given.start == 100).all()
    assert given.stop.max() == 400
    assert set(given.facts) == {"edss", "year", "day", "age_years", "female", "optimistic", "centre"}
    assert all(len(v) == len(given.patient) for v in given.facts.values())
    exposed = t.tables["exposure"]
    assert len(given.patient) == (exposed["therapy"] == "interferon_beta").sum()
    ae = t.tables["adverse_events"]
    mine = ae["term"] == "headache"
    assert set(ae["cause"][mine]) == {"interferon_beta"}
    assert (ae["day"][mine] == 105).sum() == len(given.patient) - (given.stop < 105).sum()
    d = t.tables["disposition"]
    last = {(r, w): x for r, w, x in zip(d["replicate"], d["patient"], d["day"], strict=True)}
    assert all(ae["day"][i] <= last[ae["replicate"][i], ae["patient"][i]] for i in np.flatnonzero(mine))


def test_age_and_sex_are_facts_on_the_day_of_the_entry(run, monkeypatch):
    asked = []
    monkeypatch.setitem(
        FAMILIES, "drugs", dataclasses.replace(FAMILIES["drugs"], adverse_events=lambda s, g, p: asked.append(g) or [])
    )
    t = run(protocol(arms([], [IFN | {"day": 300}])), replicates=[0])
    (given,) = asked
    who = (given.patient & np.uint64(2**32 - 1)).astype(int)
    patients = t.tables["patients"]
    np.testing.assert_allclose(given.facts["age_years"], patients["age_years"][who] + 300 / 365.25, atol=1e-9)
    np.testing.assert_array_equal(given.facts["female"], patients["female"][who])


def test_what_is_made_to_order_comes_later(run, monkeypatch):
    late = run(protocol(arms([], [IFN | {"day": 200}])))
    monkeypatch.setitem(FAMILIES, "drugs", dataclasses.replace(FAMILIES["drugs"], wait=lambda therapy, settings: 150))
    p = protocol(arms([], [IFN | {"day": 50}]))
    assert p.arms["arm1"].regimen[0].begins == 200
    same = run(p)
    for name in ("exposure", "visits", "relapses", "adverse_events"):
        for c, x in late.tables[name].items():
            np.testing.assert_array_equal(x, same.tables[name][c], err_msg=f"{name}.{c}")


def test_what_cannot_be_ready_before_the_last_visit_is_refused(monkeypatch):
    monkeypatch.setitem(FAMILIES, "drugs", dataclasses.replace(FAMILIES["drugs"], wait=lambda t, s: 800))
    with pytest.raises(ValueError, match=r"day 10 and 800 days of making it is after the last visit, day 730"):
        protocol(arms([], [IFN | {"day": 10}]))


def test_a_family_refuses_a_product_at_its_field(monkeypatch):
    def check(therapy, settings):
        if settings["dose_ratio"] > 2:
            raise FieldError("dose_ratio", f"{settings['dose_ratio']:g} is more than a cell can bear; use 2")

    monkeypatch.setitem(FAMILIES, "drugs", dataclasses.replace(FAMILIES["drugs"], check=check))
    Treatment.model_validate(IFN)
    with pytest.raises(ValueError, match="3 is more than a cell can bear") as e:
        protocol(arms([], [IFN | {"dose_ratio": 3.0}]))
    assert e.value.errors()[0]["loc"][-1] == "dose_ratio"


@pytest.mark.parametrize("field", ["dose_1e6_per_kg", "dose_1e6"])
def test_a_dose_of_nothing_is_a_sham(field):
    entry = {"therapy": "msc", "product": "bone-marrow-autologous", "route": "intravenous"}
    assert Treatment.model_validate(entry | {field: 0.0}).sham
    assert not Treatment.model_validate(entry | {field: 1.0}).sham
    assert not Treatment.model_validate(IFN).sham
