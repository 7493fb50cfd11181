"""The ALS kernel against its NumPy twin, and against the equations programmed once more, patient by patient."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stemtrial.cohort.als.population import people_at_onset
from stemtrial.disease.als import REGIONS, build_als
from stemtrial.kernel import Model, build

TOLERANCE = 1e-10


def als(backend="numba"):
    model = Model("als")
    build_als(model)
    return build(model, backend=backend)


def crowd(kernel, p, n):
    return kernel.population(0, np.arange(n), *people_at_onset(7, np.arange(n, dtype=np.uint64), p))


@pytest.fixture(scope="module")
def kernel():
    return als()


def test_the_kernel_agrees_with_its_twin(kernel, point):
    n, end = 200, 1500
    at = np.arange(0, end + 1, 75)
    visits = (np.repeat(np.arange(n), len(at)), np.tile(at, n))
    got = []
    for k in (kernel, als("numpy")):
        people = crowd(k, point, n)
        start, until = np.arange(n) % 30, end - np.arange(n) % 50
        out = k.advance(people, start, until, point, 2026, visits=visits)
        assert out.overflow == len(out.failed["patient"]) == 0
        got.append((people, out))
    (a, x), (b, y) = got
    np.testing.assert_allclose(a.state, b.state, rtol=TOLERANCE, atol=TOLERANCE)
    for name in x.observed:
        np.testing.assert_allclose(x.observed[name], y.observed[name], rtol=TOLERANCE, atol=TOLERANCE, err_msg=name)
    for column in x.events:
        np.testing.assert_allclose(x.events[column], y.events[column], rtol=TOLERANCE, err_msg=column)
    kinds = {name for name, number in kernel.model.event_kinds.items() if (x.events["kind"] == number).any()}
    assert kinds == {"death", "niv", "gastrostomy", "tracheostomy"}


def by_hand(p, person, state, days):
    """One person without fluctuation and without events: docs/design/als_model.md section 2, in plain Python."""
    month = 365.25 / 12.0
    dt = 1.0 / month
    g = lambda name: p[f"als.{name}"]  # noqa: E731
    f = {r: state[f"N_{r}"] for r in REGIONS}
    path = {r: state[f"P_{r}"] for r in REGIONS}
    inflamed, upper, weight, level, sod = 0.0, 1.0, 1.0, state["nfl_level"], 1.0
    for _ in range(days):
        mean = sum(path.values()) / 4.0
        toxic = 1.0 - person["sod1"] * (1.0 - sod**2)
        new_path, new_f, lost_neurons = {}, {}, 0.0
        for r in REGIONS:
            arriving = sum(g(f"c.{r}_from_{q}") * path[q] for q in REGIONS if q != r)
            rise = g("a") * path[r] * (1.0 - path[r]) + person[f"spread_{r}"] * arriving * (1.0 - path[r])
            new_path[r] = path[r] + dt * person["rate"] ** g("b_P") * rise
            fall = g(f"k.{r}") * person[f"rho_{r}"] * person["rate"] * path[r] * (1.0 + g("alpha") * inflamed) * toxic
            new_f[r] = max(0.0, f[r] - dt * fall)
            lost_neurons += (f[r] ** 2 - new_f[r] ** 2) / 4.0
        lost_upper = dt * g("k_U") * person["rate"] * mean * upper * toxic
        steady = g("F0") + g("phi") * person["nfl"] * (lost_neurons + g("nfl_upper") * lost_upper) / dt * toxic
        share = sum(f.values()) / 4.0
        new_weight = weight * (1.0 - dt * (g("k_W") * (1.0 - f["bulbar"]) + g("k_W_muscle") * (1.0 - share)))
        level += (steady - level) * (1.0 - 2.0 ** (-dt / g("t_half")))
        inflamed += (mean - inflamed) * (1.0 - math.exp(-dt / g("tau_I")))
        upper, weight, f, path = upper - lost_upper, new_weight, new_f, new_path
    reserve = f["respiratory"] * (g("v_count") * f["respiratory"] + 1.0 - g("v_count"))
    reserve = (g("v_floor") + (1.0 - g("v_floor")) * reserve) * (1.0 - g("v_bulbar") * (1.0 - f["bulbar"]))
    short = (1.0 - reserve) / (1.0 - g("v_floor"))
    upright = 1.0 - g("f_upper") * (1.0 - upper)
    return {
        "f_bulbar": f["bulbar"] * upright,
        "f_fine": f["cervical"] * upright,
        "f_gross": ((1.0 - g("f_arms")) * f["lumbar"] + g("f_arms") * f["cervical"]) * upright,
        "f_resp": max(0.0, 1.0 - (1.0 - g("f_resp_square")) * short - g("f_resp_square") * short**2),
        "vital_capacity": person["svc_base"] * reserve,
        "strength_arm": (1.0 - g("strength_count")) * f["cervical"] + g("strength_count") * f["cervical"] ** 2,
        "neurons_lumbar": f["lumbar"] ** 2,
        "nfl_pg_ml": level,
        "weight": weight,
        "umn": upper,
        "inflammation": inflamed,
    }


def test_the_equations_programmed_again_give_the_same(kernel, point):
    quiet = point | {"als.sigma_X": 0.0, "als.h0": 0.0, "als.u_V": 0.0, "als.u_G": 0.0}
    n, days = 30, 900
    constants, state = people_at_onset(7, np.arange(n, dtype=np.uint64), quiet)
    constants["sod1"] = np.arange(n) % 2.0
    people = kernel.population(0, np.arange(n), constants, state)
    seen = kernel.advance(people, 0, days, quiet, 1, visits=(np.arange(n), np.full(n, days))).observed
    for i in range(n):
        person, start = ({k: float(v[i]) for k, v in given.items()} for given in (constants, state))
        for name, value in by_hand(quiet, person, start, days).items():
            assert seen[name][i] == pytest.approx(value, rel=1e-9, abs=1e-12), (i, name)
    assert (seen["alive"] == 1).all()
    assert (seen["f_fine"] < 0.3).any(), "some people are far enough on to tell the equations apart"
