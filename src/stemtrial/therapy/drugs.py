"""Drugs that hold disease back while they are taken: channels that follow what is taken, on mechanisms only.

A drug is a vector of effects on channels (``drugs.parameters.yaml``). Starting one sets the targets that the channels
approach with its onset; what a drug taken before had reached fades beside it with that drug's own washout, drugs that
are stopped together with the slowest of theirs. A drug that is added to another multiplies what is left of each rate.
Dose: ``e(r) = e r (1 + h)/(r + h)``, r the dose over the reference dose, 0.99 at most.

Going on: a drug that is started again takes back, of what fades, as much as its dose holds back at most. Stopped and
started on one day, alone or among others, it keeps its level; at a higher dose it moves on from there with its onset,
at a lower one the surplus fades with its washout.

Rebound: natalizumab keeps cells from the CNS, S1P modulators keep them in lymph nodes: these cells are *trapped*. That
pool follows the block slowly, and where entry reopens faster than it empties, lesions exceed what the patient would
have had untreated. Other drugs lower entry as a rate and trap nothing.
"""

from __future__ import annotations

from stemtrial.kernel import Effect, Expr, Model, exp, floor, maximum, minimum, where
from stemtrial.therapy.family import Facts, Family, Numbers, Order, Settings, amounts, stop_offset

DRUGS = (
    "interferon_beta",
    "interferon_beta_im",
    "glatiramer",
    "teriflunomide",
    "dimethyl_fumarate",
    "fingolimod",
    "siponimod",
    "ozanimod",
    "ponesimod",
    "natalizumab",
    "evobrutinib",
    "tolebrutinib",
    "laquinimod",
    "mitoxantrone",
    "cyclophosphamide",
)
CHANNELS = {
    "activation": "effector_drive",
    "entry": "lesion_activity",
    "smouldering": "smouldering",
    "enhancement": "",
}
"""Channel -> the disease's rate that it lowers; enhancement hides lesions from the scan only."""
TRAPPING = "trapping"
"""The part of the block of entry that is due to drugs which trap cells; it moves as a channel does."""
LEVELS = (*CHANNELS, TRAPPING)
MOST = 0.99
NOTHING = 1e-12  # above what rounding leaves when one drug of a combination is withdrawn


def dose_response(ratio: Expr, half: Expr) -> Expr:
    """Effect at a dose over the effect at the reference dose; a ratio of 0 stands for the reference dose."""
    r = where(ratio < NOTHING, 1.0, ratio)
    return r * (1.0 + half) / (r + half)


def on_ms(m: Model) -> None:
    """Compose onto MS: ``drugs.start.<drug>`` adds one, ``drugs.withdraw`` ends one, ``drugs.stop`` ends all."""

    def p(symbol: str) -> Expr:
        return m.parameter(f"drugs.{symbol}")

    def share(days: Expr) -> Expr:
        return 1.0 - exp(-m.dt / days)

    start, target, before = {}, {}, {}
    for c in LEVELS:
        start[c] = m.state(f"drugs.{c}_from", "1", f"effect on {c} at the last change")
        target[c] = m.state(f"drugs.{c}_to", "1", f"effect on {c} that what is taken drives to")
        before[c] = m.state(f"drugs.{c}_before", "1", f"effect on {c} when the drug before was stopped")
    way = m.state("drugs.way", "1", "share of the way made since the last change")
    pace = m.state("drugs.pace", "1/step", "share of the rest of the way made a step")
    left = m.state("drugs.left", "1", "share left of the effects of the drug before", 1.0)
    fading = m.state("drugs.fading", "1/step", "share of that lost a step")
    taken = m.state("drugs.taken", "1", "drugs taken, one binary digit each")
    gone = m.state("drugs.gone", "1", "drugs whose effects fade, one binary digit each")
    trapped = m.state("drugs.trapped", "1", "share of effectors kept outside the CNS")

    m.update(way, (1.0 - way) * pace + way, "approaches 1 by the onset, or the washout of a drug withdrawn")
    m.update(left, left - left * fading, "fades by the washout of the drug before")
    kept = {c: (1.0 - (start[c] + (target[c] - start[c]) * way)) * (1.0 - before[c] * left) for c in LEVELS}
    for c, rate in CHANNELS.items():
        if rate:
            m.modify(rate, kept[c])
    blocked = 1.0 - kept[TRAPPING]
    m.relax(trapped, to=blocked, tau=p("trapped_days"), text="follows the block of entry by drugs that trap cells")
    m.modify("lesion_activity", 1.0 + p("rebound") * maximum(0.0, trapped - blocked))
    m.observe("hidden_fraction", 1.0 - kept["enhancement"], "1", "share of enhancing lesions that drugs hide")
    fluid = m.state_node("V_to")

    def has(digits: Expr, one: Expr | float) -> Expr:
        """1 if a drug is among some: its binary digit, ``one`` being its power of two."""
        return floor(digits / one) - 2.0 * floor(digits * 0.5 / one)

    def here(e: Effect, c: str) -> Expr:
        return e.read(start[c]) + (e.read(target[c]) - e.read(start[c])) * e.read(way)

    def own(drug: str, c: str) -> Expr:
        return p(f"{drug}.entry") * p(f"traps.{drug}") if c == TRAPPING else p(f"{drug}.{c}")

    def effect_of(e: Effect, effect: Expr) -> Expr:
        return minimum(MOST, effect * dose_response(e.amount("dose_ratio"), p("half_dose")))

    def define(drug: str, k: int) -> None:
        def begin(e: Effect) -> None:
            new = 1.0 - has(e.read(taken), 2.0**k)  # a drug added to itself adds nothing
            again = has(e.read(gone), 2.0**k) * new
            longer = m.graph.constant(0.0)
            for c in LEVELS:
                effect = effect_of(e, own(drug, c))
                rest = e.read(target[c]) - here(e, c)
                fades = e.read(before[c]) * e.read(left)
                back = maximum(minimum(fades, maximum(effect, 0.0)), minimum(effect, 0.0)) * again
                e.set(start[c], 1.0 - (1.0 - here(e, c)) * (1.0 - back))
                e.set(target[c], 1.0 - (1.0 - e.read(target[c])) * (1.0 - effect * new))
                e.set(before[c], 1.0 - (1.0 - fades) / (1.0 - back))
                longer = rest * rest - (effect - back) * (effect - back) * new + longer
            e.set(left, 1.0)
            e.add(fluid, effect_of(e, p(f"{drug}.fluid")) * new)
            e.set(way, 0.0)
            # one pace for all that moves: that of what has the longer way to go
            e.set(pace, where(longer > 0.0, e.read(pace), share(p(f"onset.{drug}"))))
            e.add(taken, new * 2.0**k)
            e.add(gone, again * -(2.0**k))

        m.on_dose(f"drugs.start.{drug}", begin, ("dose_ratio",), f"{drug} is taken from now on, beside what is taken")

    def withdraw(e: Effect) -> None:
        number = e.amount("drug")
        one = e.table([2.0**k for k in range(len(DRUGS))], number)
        was = has(e.read(taken), one)
        for c in LEVELS:
            less = effect_of(e, e.table([own(d, c) for d in DRUGS], number))
            rest = 1.0 - (1.0 - e.read(target[c])) / (1.0 - less * was)
            e.set(start[c], here(e, c))
            e.set(target[c], where(rest * rest < NOTHING * NOTHING, 0.0, rest))
        shift = effect_of(e, e.table([p(f"{d}.fluid") for d in DRUGS], number))
        e.set(fluid, maximum(0.0, e.read(fluid) - shift * was))
        e.set(way, 0.0)
        e.set(pace, where(was > 0.5, share(e.table([p(f"washout.{d}") for d in DRUGS], number)), e.read(pace)))
        e.add(taken, was * one * -1.0)
        # the last drug withdrawn fades in place; a stop before it is started again moves it to what fades
        e.set(gone, where(was > 0.5, where(e.read(taken) < 0.5, one, e.read(gone)), e.read(gone)))

    def stop(e: Effect) -> None:
        digits = e.read(taken)
        none = digits < 0.5
        slowest = m.graph.constant(1.0)
        for k, drug in enumerate(DRUGS):
            one = share(p(f"washout.{drug}"))
            slowest = where(has(digits, 2.0**k) > 0.5, minimum(slowest, one), slowest)
        now = {c: here(e, c) for c in LEVELS}
        older = {c: e.read(before[c]) * e.read(left) for c in LEVELS}
        # one pace for all that fades: that of the larger part; what was withdrawn before fades in place by its own
        excess = m.graph.constant(0.0)
        for c in LEVELS:
            excess = older[c] * older[c] - now[c] * now[c] + excess
        e.set(fading, where(excess > 0.0, e.read(fading), where(none, e.read(pace), slowest)))
        for c in LEVELS:
            e.set(before[c], 1.0 - (1.0 - now[c]) * (1.0 - older[c]))
            e.set(start[c], 0.0)
            e.set(target[c], 0.0)
        e.set(left, 1.0)
        e.set(fluid, 0.0)
        e.set(gone, where(none, e.read(gone), digits))
        e.set(taken, 0.0)

    for k, drug in enumerate(DRUGS):
        define(drug, k)
    m.on_dose(
        "drugs.withdraw", withdraw, ("drug", "dose_ratio"), "one drug of those taken is stopped, the others go on"
    )
    m.on_dose("drugs.stop", stop, (), "all drugs taken are stopped")


def prescribe(name: str, settings: Settings, facts: Facts, parameters: Numbers) -> list[Order]:
    """Start a drug, and stop it on its ``stop_day`` or, mitoxantrone, where its lifetime dose is reached."""
    n = len(facts["day"])
    ratio = float(settings.get("dose_ratio", 1.0))
    orders = [Order(0, f"drugs.start.{name}", amounts(n, ratio))]
    last = stop_offset(settings)
    if name == "mitoxantrone":
        limit = int(parameters["drugs.mitoxantrone_days"] / ratio)
        last = limit if last is None else min(last, limit)
    if last is not None:
        orders.append(Order(last, "drugs.withdraw", amounts(n, DRUGS.index(name), ratio)))
    return orders


FAMILY = Family("drugs", {"ms": on_ms}, DRUGS, prescribe, stop="drugs.stop")
