"""A person with ALS as equations: pathology that spreads, motor neurons, breathing, weight, and what ends a life.

Science: docs/design/als_model.md section 2, as changed by docs/design/model_review.md (ALS items 1 and 2) and by "Where
the code differs by now" at its end. Holds no therapy. Exports to therapies every state below and the rates
``neuron_loss`` (also ``neuron_loss_<r>`` for r of :data:`REGIONS`, beside the global one), ``upper_loss, spread,
inflammation, inflammation_effect, sod1_synthesis, mortality, nfl_release``.

The state of a region's motor neurons is the *function* that they hold up, the square root of the share left: surviving
neurons take over orphaned muscle fibres and then fail sooner, so that function falls in a straight line while pathology
stands. Their number is the square, and no power is taken in a step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.kernel import YEAR, Effect, Expr, Model, exp, maximum, minimum, sqrt, where

REGIONS = ("bulbar", "cervical", "respiratory", "lumbar")
"""Pools of motor neurons: tongue and throat; arms; diaphragm and chest; legs."""
MONTH = YEAR / 12.0
"""Days; rates of the disease are given a month, as its literature does."""

MILESTONES: Mapping[str, tuple[str, str]] = {
    "niv": ("niv", "niv"),
    "gastrostomy": ("gastrostomy", "gastrostomy"),
    "tracheostomy": ("permanent_ventilation", "tracheostomy"),
}
"""Events that are milestones of the disease: how they are recorded at value 0 and at value 1."""


def milestones(kind: str, value: NDArray[Any]) -> NDArray[np.str_]:
    """Names under which events of one kind are recorded (:data:`MILESTONES`), by the value that each was given."""
    return np.asarray(np.array(MILESTONES[kind])[(value > 0.5).astype(int)])


def build_als(m: Model, *, truth: bool = False) -> None:
    """Declare the patient.

    Parameters
    ----------
    m : Model
        The model that receives states, rates, events and observables.
    truth : bool
        Accepted as for the other disease, and adds nothing: all loss of motor neurons has one cause here, pathology.

    Notes
    -----
    Events logged: ``niv``, ``gastrostomy``, ``tracheostomy`` (respiratory failure of somebody who accepts it; value 1 a
    tracheostomy, 0 permanent non-invasive ventilation) and ``death``.
    """

    def als(symbol: str) -> Expr:
        return m.parameter(f"als.{symbol}")

    # -- the person --------------------------------------------------------------------------------------------------
    rate = m.constant("rate", "rel", "overall rate of the disease")
    rho = [m.constant(f"rho_{r}", "rel", f"susceptibility of motor neurons, {r}") for r in REGIONS]
    receptive = [m.constant(f"spread_{r}", "rel", f"how readily pathology spreads into a region, {r}") for r in REGIONS]
    age0 = m.constant("age0", "y", "age on day 0 of the patient's clock")
    nfl = m.constant("nfl", "rel", "NfL that a lost neuron releases into blood")
    svc_base = m.constant("svc_base", "fraction", "vital capacity when healthy, of predicted")
    frailty = m.constant("frailty", "rel", "mortality of the person beside what the disease explains")
    sod1 = m.constant("sod1", "0/1", "carries a pathogenic SOD1 variant")
    ventilation = m.constant("ventilation", "0/1", "would accept tracheostomy or permanent ventilation")
    niv_offer = m.constant("niv_offer", "0/1", "would accept non-invasive ventilation")

    # -- states (as at onset unless the cohort sets them) ------------------------------------------------------------
    N = [m.state(f"N_{r}", "fraction", f"function held up by motor neurons, {r}; its square is their number", 1.0)
         for r in REGIONS]  # fmt: skip
    P = [m.state(f"P_{r}", "fraction", f"pathology burden, {r}") for r in REGIONS]
    inflamed = m.state("I", "fraction", "neuroinflammation")
    U = m.state("U", "fraction", "upper motor neurons left", 1.0)
    D = m.state("D", "rel", "SOD1 protein, 1 untreated", 1.0)
    level = m.state("nfl_level", "pg/ml", "NfL in blood", 16.0)
    W = m.state("W", "fraction", "body weight, of weight before the disease", 1.0)
    V = m.state("V", "0/1", "uses non-invasive ventilation")
    tube = m.state("gastrostomy", "0/1", "has a gastrostomy")
    X = m.state("X", "log", "fluctuation of the log rate")
    ventilated = m.state("ventilated", "0/1", "lives on tracheostomy or permanent ventilation")
    alive = m.state("alive", "1", "1 until death", 1.0)

    # -- pathology grows where it is and spreads along the cord ------------------------------------------------------
    k_X = m.decay(als("tau_X") * MONTH)
    wander = als("sigma_X") * sqrt(k_X * (2.0 - k_X))  # keeps the stationary SD for any step
    mean_X = als("sigma_X") * als("sigma_X") * -0.5  # so that E[exp(X)] = 1
    m.update(X, wander * m.normal("als.X") + ((mean_X - X) * k_X + X), "wanders (Ornstein-Uhlenbeck, exact)")
    act = exp(X)
    pace = m.slow(rate ** als("b_P")) * (m.dt / MONTH)
    spread = m.rate("spread", 1.0, "rel", "spread of pathology between regions")
    for k, r in enumerate(REGIONS):
        arriving = m.graph.constant(0.0)
        for q, other in enumerate(REGIONS):
            if q != k:
                arriving = arriving + P[q] * als(f"c.{r}_from_{other}")
        growth = P[k] * als("a") + arriving * receptive[k] * spread
        m.update(P[k], (1.0 - P[k]) * (act * pace) * growth + P[k], "grows, and arrives from the other regions")
    burden = (P[0] + P[1] + P[2] + P[3]) * 0.25
    target = m.rate("inflammation", burden, "fraction", "what neuroinflammation follows: mean pathology burden")
    m.relax(inflamed, to=target, tau=als("tau_I") * MONTH, text="follows the burden of pathology")

    # -- loss --------------------------------------------------------------------------------------------------------
    synthesis = m.rate("sod1_synthesis", 1.0, "rel", "SOD1 protein that synthesis holds up")
    m.relax(D, to=synthesis, tau=als("tau_D") * MONTH, text="follows its synthesis")
    toxic = 1.0 - sod1 * (1.0 - D * D)  # 1 without the gene
    harm = m.rate("inflammation_effect", als("alpha"), "1", "how much full neuroinflammation adds to neuron loss")
    loss = m.rate("neuron_loss", 1.0, "rel", "loss of motor neurons, all regions")
    # regional factors enter where a patient has a value of the day anyway, so that 1 costs nothing
    loss_in = [
        m.rate(f"neuron_loss_{r}", 1.0, "rel", f"loss of motor neurons, {r}, beside the global") for r in REGIONS
    ]
    strike = act * toxic
    speed = strike * (1.0 + inflamed * harm) * loss
    shed = m.graph.constant(0.0)
    for k, r in enumerate(REGIONS):
        fall = rho[k] * rate * (als(f"k.{r}") * (m.dt / MONTH))
        left = maximum(0.0, N[k] - fall * (P[k] * speed) * loss_in[k])
        m.update(N[k], left, "falls in a straight line under full pathology")
        shed = (N[k] - left) * (N[k] + left) + shed  # neurons lost: difference of the squares
    upper = m.rate("upper_loss", 1.0, "rel", "loss of upper motor neurons")
    upper_fall = U * (burden * strike) * (rate * (als("k_U") * (m.dt / MONTH))) * upper
    m.update(U, U - upper_fall, "lost with the mean burden of pathology")

    # -- neurofilament -----------------------------------------------------------------------------------------------
    release = m.rate("nfl_release", 1.0, "rel", "NfL released by the loss")
    released = (shed * 0.25 + upper_fall * als("nfl_upper")) * toxic * release
    m.relax(
        level, to=released * (nfl * (als("phi") * (MONTH / m.dt))) + als("F0"),
        tau=als("t_half") * (MONTH / 0.6931471805599453), text="follows the loss of neurons",
    )  # fmt: skip

    # -- breathing, eating, weight -----------------------------------------------------------------------------------
    breath = N[2] * (N[2] * als("v_count") + (1.0 - als("v_count")))
    weak_throat = 1.0 - N[0]
    reserve = (breath * (1.0 - als("v_floor")) + als("v_floor")) * (1.0 - weak_throat * als("v_bulbar"))
    v = svc_base * reserve
    eats_less = weak_throat * (1.0 - tube * als("tube_gain")) * als("k_W")
    limbs = 1.0 - (N[0] + N[1] + N[2] + N[3]) * 0.25
    m.update(W, W - W * (eats_less + limbs * als("k_W_muscle")) * (m.dt / MONTH), "falls with swallowing and muscle")

    # -- events: one uniform number a day serves them all ------------------------------------------------------------
    day = m.uniform("als.events")
    short = maximum(0.0, minimum(1.0, (als("niv_from") - v) * (1.0 / als("niv_width"))))
    m.happen(
        "als.niv",
        short * (1.0 - V) * (1.0 - ventilated) * niv_offer * (als("u_V") / MONTH),
        _starts(V, alive, "niv"),
        day,
    )
    starving = maximum(0.0, minimum(1.0, (als("tube_from") - N[0]) * (1.0 / als("tube_width"))))
    m.happen(
        "als.gastrostomy", starving * (1.0 - tube) * (als("u_G") / MONTH), _starts(tube, alive, "gastrostomy"), day
    )

    age = age0 + m.day / YEAR
    own = m.slow(frailty * (als("h0") / MONTH) * exp(als("b_age") * 0.1 * (age - 60.0)))
    # what is left with full capacity, weight and throat (h0) is of people with ALS: no limit of health
    strain = exp((1.0 - v) * als("b_v") + ((1.0 - W) * (als("b_W") * 10.0) + weak_throat * als("b_B")))
    spared = 1.0 - V * N[0] * (1.0 - als("HR_niv"))  # a weak throat leaves less of the benefit
    failing = own * strain * spared
    hazard = m.rate("mortality", 1.0, "rel", "hazard of respiratory failure and of death")
    on_machine = als("h_ventilated") / MONTH

    def failure(e: Effect) -> None:
        living, helped = e.read(alive), e.read(ventilated)
        goes_on = ventilation * (1.0 - helped)
        by_tube = where(e.uniform() < als("tracheostomy"), 1.0, 0.0)
        e.log("tracheostomy", by_tube, when=(living > 0.5) & (goes_on > 0.5))
        e.log("death", 0.0, when=(living > 0.5) & (goes_on < 0.5))
        e.set(ventilated, maximum(helped, goes_on * living))
        e.set(alive, living * goes_on)

    m.happen("als.failure", where(ventilated > 0.5, on_machine, failing) * hazard * alive, failure, day)

    # -- what instruments may read -----------------------------------------------------------------------------------
    upright = 1.0 - (1.0 - U) * als("f_upper")  # spasticity and slowness
    arms = als("f_arms")
    m.observe("f_bulbar", N[0] * upright, "fraction", "function of speech, saliva and swallowing, 1 healthy")
    m.observe("f_fine", N[1] * upright, "fraction", "fine motor function of the hands, 1 healthy")
    m.observe("f_gross", (N[3] * (1.0 - arms) + N[1] * arms) * upright, "fraction", "gross motor function, 1 healthy")
    lost = maximum(0.0, (1.0 - reserve) * (1.0 / (1.0 - als("v_floor"))))
    gasping = lost * (lost * als("f_resp_square") + (1.0 - als("f_resp_square")))
    m.observe("f_resp", maximum(0.0, 1.0 - gasping), "fraction", "ease of breathing, 1 healthy; lost late, then fast")
    m.observe("vital_capacity", v, "fraction", "slow vital capacity, of predicted")
    for k, limb in ((1, "arm"), (3, "leg")):
        strength = N[k] * (N[k] * als("strength_count") + (1.0 - als("strength_count")))
        m.observe(f"strength_{limb}", strength, "fraction", f"strength of the {limb}s, 1 healthy")
    m.observe("nfl_pg_ml", level, "pg/ml", "neurofilament light in blood")
    m.observe("weight", W, "fraction", "body weight, of weight before the disease")
    m.observe("niv", V, "0/1", "uses non-invasive ventilation")
    m.observe("gastrostomy", tube, "0/1", "has a gastrostomy")
    m.observe("ventilated", ventilated, "0/1", "lives on tracheostomy or permanent ventilation")
    m.observe("umn", U, "fraction", "upper motor neurons left")
    m.observe("inflammation", inflamed, "fraction", "neuroinflammation")
    m.observe("age_years", age, "y", "age")
    m.observe("alive", alive, "1", "1 until death")
    for k, r in enumerate(REGIONS):
        m.observe(f"neurons_{r}", N[k] * N[k], "fraction", f"motor neurons left, {r}")
    m.observe("log_fluctuation", X, "log", "fluctuation of the log rate")


def _starts(state: Expr, alive: Expr, kind: str) -> Callable[[Effect], None]:
    """Effect of an aid that a living person starts to use and keeps."""

    def effect(e: Effect) -> None:
        e.set(state, 1.0)
        e.log(kind, 0.0, when=e.read(alive) > 0.5)

    return effect
