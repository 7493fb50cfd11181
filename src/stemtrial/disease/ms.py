"""A person with MS as equations: the immune attack, lesions, repair, smouldering loss, and what instruments could see.

Science: docs/design/ms_model.md sections 3-6, as changed by docs/design/model_review.md (MS items 1, 3, 5, 6, 8).
Holds no therapy. Exports to therapies every state below and the rates ``b_return, effector_drive, regulatory_drive,
lesion_activity, smouldering, axonal_loss, remyelination, recovery``; loss and repair also region by
region, as ``axonal_loss_<r>`` and ``remyelination_<r>`` for r of :data:`REGIONS`: 1 each, multiplying the global one.
"""

from __future__ import annotations

from stemtrial.kernel import YEAR, Effect, Expr, Model, cos2pi, exp, floor, log, maximum, minimum, sqrt, where

REGIONS = ("pv", "cj", "it", "sc", "on")
"""Periventricular and deep white matter, cortical/juxtacortical, infratentorial, spinal cord, optic nerve."""
BRAIN = (0, 1, 2)


def build_ms(m: Model, *, truth: bool = False) -> None:
    """Declare the patient.

    Parameters
    ----------
    m : Model
        The model that receives states, rates, jumps and observables.
    truth : bool
        Also keep the axonal loss apart by cause (acute, demyelination, smouldering). Changes no other bit.
    """
    p = m.parameter

    def ms(symbol: str) -> Expr:
        return p(f"ms.{symbol}")

    def by_region(symbol: str) -> list[Expr]:
        return [ms(f"{symbol}.{r}") for r in REGIONS]

    alpha = m.constant("alpha", "rel", "immune activity")
    smoulder = m.constant("m", "rel", "tendency to smouldering progression")
    rho = m.constant("rho", "rel", "capacity to remyelinate")
    sev = m.constant("sev", "rel", "eloquence of lesions")
    age0 = m.constant("age0", "y", "age on day 0 of the patient's clock")
    relthr = m.constant("relthr", "rel", "threshold of a felt relapse")
    nfl = m.constant("nfl", "rel", "assay and body-mass factor of NfL")
    season_cos = m.constant("season_cos", "1", "cosine of the season on day 0")
    season_sin = m.constant("season_sin", "1", "sine of the season on day 0")
    ascertainment = m.constant("ascertainment", "rel", "how readily relapses without a lesion are reported")

    frailty = m.constant("frailty", "rel", "mortality of the person's sex")

    # -- states (0 at onset unless said; the cohort sets the rest) ---------------------------------------------------
    E = m.state("E", "rel", "autoreactive effector T-cell activity", 1.0)
    R = m.state("R", "rel", "regulatory T-cell activity", 1.0)
    B = m.state("B", "rel", "memory B cells", 1.0)
    B_to = m.state("B_to", "rel", "memory B cells that the blood returns to; a depleting drug sets it lower", 1.0)
    C = m.state("C", "share", "autoreactive clone pool", 1.0)
    a = m.state("a", "rel", "activation by infection")
    u = m.state("u", "log", "slow log-activity")
    Bm = m.state("Bm", "rel", "meningeal B cells", 1.0)
    M = m.state("M", "rel", "compartmentalised smouldering inflammation")
    A = m.state("A", "ml", "volume by which fresh lesions of the brain exceed what they leave")
    G = m.state("G", "lesions", "enhancing lesions of the brain")
    S = m.state("S", "ml", "remyelinated lesion volume of the brain")
    D = [m.state(f"D_{r}", "ml", f"demyelinated volume, {r}") for r in REGIONS]
    Q = [m.state(f"Q_{r}", "fraction", f"reversible conduction block, {r}") for r in REGIONS]
    Y = [m.state(f"Y_{r}", "fraction", f"slowly recovering deficit, {r}") for r in REGIONS]
    X = [m.state(f"X_{r}", "fraction", f"axonal function lost for good, {r}") for r in REGIONS]
    Qf = m.state("Qf", "fraction", "deficit of a relapse without a lesion, cord")
    W = m.state("W", "% brain", "tissue loss committed, not yet visible")
    L = m.state("L", "% brain", "brain volume lost to disease")
    V = m.state("V", "% brain", "reversible fluid shift")
    V_to = m.state("V_to", "% brain", "fluid shift that a drug drives to")
    Nf = m.state("Nf", "pg/ml", "NfL above the age norm")
    last = m.state("days_since_relapse", "d", "days since the last reported relapse", 1000.0)
    n_t2 = m.state("n_t2", "lesions", "new T2 lesions so far")
    n_rel = m.state("n_relapses", "relapses", "reported relapses so far")
    n_felt = m.state("n_felt", "relapses", "felt relapses so far")
    alive = m.state("alive", "1", "1 until death", 1.0)

    # -- what moves with age, every 28 days --------------------------------------------------------------------------
    age = age0 + m.day / YEAR
    g_age = m.slow(alpha * 2.0 / (1.0 + exp(ms("kage") * (age - 37.0))))
    rho_age = m.slow(rho * exp(-ms("krho") * (age - 35.0)))
    m_age = m.slow(smoulder * exp(ms("kM") * (age - 45.0)))
    loss_share = m.slow(ms("phiX") * exp(ms("phiX_age") * (age - 35.0)) / (0.5 + 0.5 * rho))
    mortality = m.slow(frailty * ms("mortality_ratio") * ms("gompertz_a") / YEAR * exp(ms("gompertz_b") * age))

    # -- periphery ---------------------------------------------------------------------------------------------------
    ka = m.decay(ms("tau_a"))
    m.relax(a, to=0.0, tau=ms("tau_a"), text="fades")
    ku = m.decay(ms("tau_u"))
    spread = ms("sig_u") * sqrt(ku * (2.0 - ku))  # keeps the stationary SD for any step
    mean_u = ms("sig_u") * ms("sig_u") * -0.5  # so that E[exp(u)] = 1
    m.update(u, spread * m.normal("ms.u") + ((mean_u - u) * ku + u), "wanders (Ornstein-Uhlenbeck, exact)")
    b_return = m.rate("b_return", m.decay(ms("tauB")), "1/step", "return of memory B cells")
    m.update(B, (B_to - B) * b_return + B, "return")
    m.relax(Bm, to=B * 1.05 * (C / (C + 0.05)), tau=ms("tauBm"), text="follow memory B cells of autoreactive kind")
    m.flow(C, C * (1.0 - C) * (ms("rC") / YEAR), "grows back, logistic")
    mean_a = 1.0 + ms("nu_a") / YEAR * m.dt * ms("Ja") / ka * (1.0 - ka)
    drive = m.rate(
        "effector_drive", C * (1.0 + a) * (1.0 / mean_a) * (minimum(1.0, B) * ms("b") + (1.0 - ms("b"))), "rel",
        "drive of effector T cells: clones, infections, help by B cells",
    )  # fmt: skip
    m.relax(E, to=drive * (2.0 / (1.0 + R**4)), tau=ms("tauE"), text="follow their drive, held by R")
    regulation = m.rate("regulatory_drive", E * ms("q") + (1.0 - ms("q")), "rel", "drive of regulatory T cells")
    m.relax(R, to=regulation, tau=ms("tauR"), text="follow the effectors")

    # -- lesions -----------------------------------------------------------------------------------------------------
    activity = m.rate("lesion_activity", g_age * exp(u) * E, "rel", "arrival of lesions, relative")
    m.relax(A, to=0.0, tau=ms("tauA"), text="fresh lesions shrink")
    psi = minimum(0.9, ms("psi0") * rho_age)

    def lesion(e: Effect) -> None:
        z, y = e.normals()
        region = e.choose(by_region("topography"), e.uniform())
        counted, reported = e.half_uniforms()
        in_brain = where(region < 2.5, 1.0, 0.0)
        t2 = e.read(D[0]) + e.read(D[1]) + e.read(D[2]) + e.read(S)
        scar = maximum(0.1, 1.0 - in_brain * t2 * (1.0 / ms("repeat")))  # repeat lesions re-use old tissue
        volume = ms("vmed") * e.table(by_region("lesion_scale"), region) * exp(ms("vsig") * z) * scar
        # median hit of the region, correlated with the lesion's size
        corr = ms("q_volume")
        hit = e.table(by_region("hit"), region) * sev
        hit = minimum(0.6, hit * exp(ms("qsig") * (corr * z + sqrt(1.0 - corr * corr) * y)))
        block = e.read_at(Q, region)
        e.set_at(Q, region, minimum(0.95, block + hit * (1.0 - block)))
        e.set_at(D, region, e.read_at(D, region) + volume * (1.0 - psi))
        e.add(A, volume * in_brain)
        e.add(S, volume * psi * in_brain)
        e.add(G, in_brain)
        counts_twice = volume * (2.0 - in_brain)  # small, dense tracts: cord and nerve
        e.add(W, ms("cW") * counts_twice)
        e.add(Nf, ms("nfles") * counts_twice)
        e.add(n_t2, in_brain * where(counted < ms("pT2"), 1.0, 0.0))
        felt = ms("theta") * relthr < hit
        e.add(n_felt, where(felt, 1.0, 0.0))
        since = e.read(last)
        told = (ms("relapse_gap") < since) & felt & (reported < ms("prep"))
        e.add(n_rel, where(told, 1.0, 0.0))
        e.set(last, where(told, 0.0, since))
        e.log("relapse", hit, when=told)

    minor = m.uniform("ms.minor")  # the low end ends enhancement, the high end serves the rare events
    cluster = ms("cluster")
    m.arrive(
        "ms.lesion", activity * (ms("lam0") / YEAR / (1.0 + cluster)), lesion, m.uniform("ms.lesions"), extra=cluster
    )
    m.remove("ms.enhancement_ends", G, ms("tauG"), minor)

    def false_relapse(e: Effect) -> None:
        since = e.read(last)
        told = ms("relapse_gap") < since
        block = e.read(Qf)
        e.set(Qf, where(told, block + ms("pseudo_hit") * (1.0 - block), block))
        e.add(n_rel, where(told, 1.0, 0.0))
        e.set(last, where(told, 0.0, since))
        e.log("relapse", 0.0, when=told)

    def infection(e: Effect) -> None:
        e.add(a, -(ms("Ja") * log(e.uniform())))

    def death(e: Effect) -> None:
        living = e.read(alive)
        e.set(alive, 0.0)
        e.log("death", 0.0, when=living > 0.5)

    turn = (m.day - 30.0) / YEAR
    cos_day = cos2pi(turn - floor(turn))
    sin_day = cos2pi((turn - 0.25) - floor(turn - 0.25))
    swing = 1.0 + ms("seasonal") * (cos_day * season_cos - sin_day * season_sin)
    m.happen("ms.false_relapse", ascertainment * (ms("nuF") / YEAR), false_relapse, minor)
    m.happen("ms.infection", swing * (ms("nu_a") / YEAR), infection, minor)
    severe = where(ms("severe_loss") < X[3], ms("mortality_severe") / ms("mortality_ratio"), 1.0)
    m.happen("ms.death", mortality * severe, death, minor)
    m.update(last, last + m.dt, "counts days")

    # -- smouldering inflammation ------------------------------------------------------------------------------------
    d_brain = D[0] + D[1] + D[2]
    target = (Bm * ms("omB") + (1.0 - ms("omB"))) * m_age + d_brain * ms("gL")
    smouldering = m.rate("smouldering", target, "rel", "target of smouldering inflammation")
    m.relax(M, to=smouldering, tau=ms("tauM") * YEAR, text="follows age, meningeal B cells and lesion load")

    # -- damage and repair -------------------------------------------------------------------------------------------
    loss = m.rate("axonal_loss", m.graph.constant(1.0), "rel", "vulnerability of axons")
    remyelination = m.rate("remyelination", rho_age * (ms("kslow") / YEAR), "1/d", "remyelination of chronic lesions")
    recovery = m.rate("recovery", m.decay(ms("tauQ")), "1/step", "recovery from conduction block")
    share = loss_share * loss
    yearly = loss * (1.0 / YEAR * m.dt)
    # regional factors enter where a patient has a value of the day anyway, so that 1 costs nothing
    loss_in = [
        m.rate(f"axonal_loss_{r}", 1.0, "rel", f"vulnerability of axons, {r}, beside the global") for r in REGIONS
    ]
    mend_in = [m.rate(f"remyelination_{r}", 1.0, "rel", f"remyelination, {r}, beside the global") for r in REGIONS]
    healed = None
    causes: list[list[Expr]] = [[], [], []]
    volume = by_region("volume")
    for k, r in enumerate(REGIONS):
        dq = Q[k] * recovery
        m.update(Q[k], Q[k] - dq, "recovers")
        m.update(
            Y[k], (1.0 - Y[k]) * dq * ms("phiY") + (Y[k] - Y[k] * m.decay(ms("tauY"))), "fills from Q, recovers slowly"
        )
        by_demyelination = minimum(1.0, D[k] * (2.0 / volume[k])) * ms("kDX")
        by_smouldering = M * (ms("kX") * p(f"ms.wX.{r}"))
        left = (1.0 - X[k]) * loss_in[k]
        m.update(
            X[k], left * (dq * share + (by_smouldering + by_demyelination) * yearly) + X[k], "lost with Q, D and M"
        )
        for parts, part in zip(causes, (dq * share, by_demyelination * yearly, by_smouldering * yearly), strict=True):
            parts.append(left * part)
        mended = D[k] * mend_in[k] * (remyelination * m.dt)
        m.update(D[k], D[k] - mended, "remyelinates")
        if k in BRAIN:
            healed = mended if healed is None else healed + mended
    assert healed is not None
    m.update(S, S + healed, "receives what remyelinates")
    m.relax(Qf, to=0.0, tau=ms("tauQ"), text="fades, no axonal loss")
    shrink = W * m.decay(ms("tauW") * YEAR)
    m.update(W, W - shrink, "becomes visible")
    remaining = maximum(0.0, 1.0 - L * (1.0 / ms("L_max")))  # tissue that can still be lost
    brain_volume = volume[0] + volume[1] + volume[2]
    spared = sum(((1.0 - loss_in[k]) * (volume[k] / brain_volume) for k in BRAIN), m.graph.constant(0.0))
    brain_loss = loss * (1.0 - spared)  # regions count by their volume
    m.update(L, remaining * brain_loss * (shrink + M * (ms("kLM") / YEAR * m.dt)) + L, "shrinks with W and M")
    m.relax(V, to=V_to, tau=90.0, text="follows the drug")
    m.relax(Nf, to=M * ms("nfM") * brain_loss, tau=ms("tauNf"), text="clears; smouldering releases more")
    if truth:
        for name, parts in zip(("acute", "demyelination", "smouldering"), causes, strict=True):
            with m.owned_by("truth"):
                total = m.state(f"X_by_{name}", "fraction", f"axonal loss by {name}, all regions")
                m.update(total, sum(parts[1:], parts[0]) + total, "adds up")

    # -- what instruments may read -----------------------------------------------------------------------------------
    for k, r in enumerate(REGIONS):
        kept = (1.0 - X[k]) * (1.0 - minimum(0.6, D[k] * (ms("kapD") / volume[k])))
        kept = kept * (1.0 - minimum(0.9, Q[k])) * (1.0 - Y[k])
        kept = kept * (1.0 - minimum(0.9, Qf)) if r == "sc" else kept
        m.observe(f"f_{r}", 1.0 - kept, "fraction", f"functional deficit, {r}")
    m.observe("age_years", age, "y", "age")
    m.observe("gd_lesions", G, "lesions", "enhancing lesions, true")
    m.observe("n_t2", n_t2, "lesions", "new T2 lesions so far")
    m.observe("n_relapses", n_rel, "relapses", "reported relapses so far")
    m.observe("t2_volume_ml", D[0] + D[1] + D[2] + 0.75 * S + A, "ml", "T2 lesion volume")
    ageing = ms("ageL0") * (age - age0) + ms("ageL1") * 0.5 * ((age - 37.0) ** 2 - (age0 - 37.0) ** 2)
    m.observe("brain_volume_pct", ms("cOed") * A - L - ageing - V, "% brain", "brain volume against day 0 of the clock")
    m.observe("nfl_pg_ml", (ms("nf0") * exp(ms("nfage") * (age - 37.0)) + Nf) * nfl, "pg/ml", "serum NfL")
    m.observe("demyelinated_ml", d_brain, "ml", "demyelinated lesion volume of the brain")
    m.observe("remyelinated_ml", S, "ml", "remyelinated lesion volume of the brain")
    m.observe("demyelinated_on_ml", D[4], "ml", "demyelinated volume of the optic nerves")
    m.observe("chronic_active_ml", d_brain * (M / (M + ms("rim_half"))), "ml", "lesion volume with a smouldering rim")
    m.observe("days_since_relapse", last, "d", "days since the last reported relapse")
    m.observe("alive", alive, "1", "1 until death")
    m.observe("b_cells", B, "rel", "B cells, by memory B cells")
    m.observe("clones", C, "share", "autoreactive clone pool")
    m.observe("smouldering", M, "rel", "smouldering inflammation")
