"""The model language: states, named rates, relaxations, flows, jumps, doses, observables.

One simulated step (a day unless ``steps_per_day`` says otherwise) runs, for every patient, in this order:

1. visits due are read (observables of the state as it stands);
2. doses due are applied;
3. all next values are computed from the old values (simultaneous update), linear relaxation exactly;
4. jumps happen on the new values: removals, chances, arrivals, hazards, in the order of declaration.

Only steps 1, 2 and 4 can branch; they cost where they happen. A therapy may add states, multiply named rates, and on a
dose rescale, set or add to exported states: nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from stemtrial.errors import InputError, did_you_mean
from stemtrial.kernel.effect import Effect, hazard_state
from stemtrial.kernel.graph import Expr, Graph, Number, exp, maximum, topological
from stemtrial.kernel.graph import log as ln

YEAR = 365.25
SLOW_DAYS = 28
MOST_ARRIVALS = 6
MOST_UNITS = 24


@dataclass(frozen=True)
class State:
    """A real number of each patient that changes: name, unit, meaning, value before anything has set it."""

    name: str
    unit: str
    meaning: str
    start: float
    owner: str


@dataclass(frozen=True)
class Constant:
    """A number of each patient that does not change."""

    name: str
    unit: str
    meaning: str


@dataclass
class Rate:
    """A named quantity that therapies may multiply; rounding happens here, so composition changes no bit."""

    name: str
    unit: str
    meaning: str
    node: Expr
    modifiers: list[tuple[str, Expr]] = field(default_factory=list)


@dataclass(frozen=True)
class Flow:
    """One contribution to a state, for ``explain``."""

    state: str
    kind: str
    text: str
    owner: str


@dataclass(frozen=True)
class Arrivals:
    """Poisson arrivals within a step; ``effect`` runs once an arrival, with its own draws.

    With ``shrink`` (1/log(extra/(1 + extra))) each arrival is a cluster, its size 1 plus a geometric number.
    """

    name: str
    mean: Expr
    chance: Expr
    effect: Effect
    shrink: Expr | None


@dataclass(frozen=True)
class Removal:
    """Binomial thinning of an integer state: each unit leaves with ``probability`` a step.

    ``log_stay`` is log(1 - probability), ``odds`` probability/(1 - probability); all are of the uniform class.
    """

    name: str
    state: str
    probability: Expr
    log_stay: Expr
    odds: Expr
    chance: Expr


@dataclass(frozen=True)
class Chance:
    """A Bernoulli event of probability ``probability`` a step, read from the high end of a shared uniform."""

    name: str
    probability: Expr
    chance: Expr
    effect: Effect


@dataclass(frozen=True)
class Hazard:
    """An event when the integrated rate passes an exponential threshold, armed by a dose."""

    name: str
    threshold: str
    effect: Effect


@dataclass(frozen=True)
class Dose:
    """What a dose event of this name does; ``fields`` name the amounts that a schedule row carries."""

    name: str
    fields: tuple[str, ...]
    effect: Effect
    meaning: str


NEVER = 1e300


class Model:
    """Collects what a disease and its therapies declare. One object a compiled kernel."""

    def __init__(self, name: str, steps_per_day: int = 1) -> None:
        self.name = name
        self.steps_per_day = steps_per_day
        self.dt = 1.0 / steps_per_day
        self.graph = Graph()
        self.owner = name
        self.states: dict[str, State] = {}
        self.constants: dict[str, Constant] = {}
        self.parameters: dict[str, Expr] = {}
        self.rates: dict[str, Rate] = {}
        self.next: dict[str, Expr] = {}
        self.flows: list[Flow] = []
        self.streams: dict[str, str] = {}
        self.removals: list[Removal] = []
        self.chances: list[Chance] = []
        self.arrivals: list[Arrivals] = []
        self.hazards: list[Hazard] = []
        self.doses: dict[str, Dose] = {}
        self.observables: dict[str, tuple[Expr, str, str]] = {}
        self.event_kinds: dict[str, int] = {}
        self.slow_nodes: list[Expr] = []
        self.day = self.graph.node("day")

    # -- declarations ------------------------------------------------------------------------------------------------
    @contextmanager
    def owned_by(self, owner: str) -> Iterator[None]:
        """Declare on behalf of a therapy."""
        before, self.owner = self.owner, owner
        try:
            yield
        finally:
            self.owner = before

    def state(self, name: str, unit: str, meaning: str, start: float = 0.0) -> Expr:
        """Declare a state. It keeps its value until a flow, relaxation, jump or dose changes it."""
        if name in self.states:
            raise InputError(f"state '{name}' is declared twice, by {self.states[name].owner} and by {self.owner}")
        self.states[name] = State(name, unit, meaning, start, self.owner)
        return self.graph.node("state", name)

    def state_node(self, name: str) -> Expr:
        """Return an exported state, by name."""
        if name not in self.states:
            raise InputError(f"{self.owner}: state '{name}' is not exported{did_you_mean(name, self.states)}")
        return self.graph.node("state", name)

    def constant(self, name: str, unit: str, meaning: str) -> Expr:
        """Declare a constant of each patient, or return it if it is declared already."""
        self.constants.setdefault(name, Constant(name, unit, meaning))
        return self.graph.node("patient", name)

    def parameter(self, name: str) -> Expr:
        """Return a population parameter, by its registered name; one value a draw."""
        return self.parameters.setdefault(name, self.graph.node("theta", name))

    def rate(self, name: str, value: Expr | Number, unit: str, meaning: str) -> Expr:
        """Name a quantity that therapies may multiply."""
        if name in self.rates:
            raise InputError(f"rate '{name}' is declared twice")
        node = self.graph.fresh("rate", name, self.graph.wrap(value))
        self.rates[name] = Rate(name, unit, meaning, node)
        return node

    def modify(self, rate: str, factor: Expr | Number) -> None:
        """Multiply a named rate."""
        if rate not in self.rates:
            raise InputError(f"{self.owner}: rate '{rate}' is not open to modifiers{did_you_mean(rate, self.rates)}")
        self.rates[rate].modifiers.append((self.owner, self.graph.wrap(factor)))

    def slow(self, value: Expr) -> Expr:
        """Return a value recomputed every 28 days only, at the middle of the interval: for what moves with age."""
        node = self.graph.node("slow", value)
        if node not in self.slow_nodes:
            self.slow_nodes.append(node)
        return node

    # -- motion ------------------------------------------------------------------------------------------------------
    def _move(self, state: Expr, kind: str, text: str, new: Expr) -> None:
        name = state.args[0]
        if self.states[name].owner != self.owner:
            raise InputError(f"{self.owner} may not move state '{name}' of {self.states[name].owner}; modify a rate")
        self.next[name] = new
        self.flows.append(Flow(name, kind, text, self.owner))

    def _now(self, state: Expr) -> Expr:
        return self.next.get(state.args[0], state)

    def decay(self, tau: Expr | Number) -> Expr:
        """Share lost in one step by first-order loss with time constant ``tau`` in days: 1 - exp(-dt/tau)."""
        if isinstance(tau, Expr):
            return 1.0 - exp(-self.dt / tau)
        return self.graph.constant(-math.expm1(-self.dt / tau))

    def relax(self, state: Expr, to: Expr | Number, tau: Expr | Number, text: str = "") -> None:
        """Relax a state towards ``to`` with time constant ``tau`` days; exact for a constant target."""
        k = self.decay(tau)
        self._move(state, "relaxes", text, (self.graph.wrap(to) - state) * k + self._now(state))

    def flow(self, state: Expr, per_day: Expr, text: str = "") -> None:
        """Add ``per_day`` times the step to a state."""
        self._move(state, "flows", text, per_day * self.dt + self._now(state))

    def update(self, state: Expr, new: Expr, text: str = "") -> None:
        """State the next value itself, the state holding its old value on the right."""
        self._move(state, "becomes", text, new)

    # -- chance ------------------------------------------------------------------------------------------------------
    def normal(self, stream: str) -> Expr:
        """Return one standard normal number a step, of a named stream."""
        self.streams[stream] = "normal"
        return self.graph.node("draw", stream)

    def uniform(self, stream: str) -> Expr:
        """Return one uniform number a step, of a named stream."""
        self.streams[stream] = "uniform"
        return self.graph.node("draw", stream)

    def _effect(self, name: str, program: Callable[[Effect], None], fields: Sequence[str] = ()) -> Effect:
        effect = Effect(self, name, fields)
        program(effect)
        return effect

    def arrive(
        self, name: str, per_day: Expr, effect: Callable[[Effect], None], chance: Expr, extra: Expr | None = None
    ) -> None:
        """Poisson arrivals with this rate; ``effect`` runs for each of them.

        ``extra`` is the mean of the geometric number of further units that arrive with one. A step takes at most
        ``MOST_ARRIVALS`` arrivals and ``MOST_UNITS`` units.
        """
        shrink = None if extra is None else 1.0 / ln(maximum(extra, 1e-9) / (1.0 + extra))
        self.arrivals.append(Arrivals(name, per_day * self.dt, chance, self._effect(name, effect), shrink))

    def remove(self, name: str, state: Expr, tau: Expr | Number, chance: Expr) -> None:
        """Each unit of an integer state leaves with probability dt/tau a step."""
        p = self.dt / self.graph.wrap(tau)
        stay = 1.0 - p
        self.removals.append(Removal(name, state.args[0], p, ln(stay), p / stay, chance))

    def happen(self, name: str, per_day: Expr, effect: Callable[[Effect], None], chance: Expr) -> None:
        """At most one event a step, of probability ``per_day * dt`` (rates must stay far below one a day)."""
        self.chances.append(Chance(name, per_day * self.dt, chance, self._effect(name, effect)))

    def hazard(self, name: str, per_day: Expr, effect: Callable[[Effect], None]) -> None:
        """Event of this rate, once armed by a dose (:meth:`Effect.arm`); re-arms itself after it happened."""
        countdown = self.state(hazard_state(name), "1", f"integrated hazard left until {name}", start=NEVER)
        self.update(countdown, per_day * (-self.dt) + countdown, "falls by the rate")

        def run(e: Effect) -> None:
            effect(e)
            # what the hazard overshot its threshold by counts towards the next event
            e.set(countdown, e.read(countdown) - ln(e.uniform()))

        self.hazards.append(Hazard(name, hazard_state(name), self._effect(name, run)))

    def on_dose(self, name: str, effect: Callable[[Effect], None], fields: Sequence[str], meaning: str) -> None:
        """Say what a dose event does."""
        self.doses[name] = Dose(name, tuple(fields), self._effect(name, effect, fields), meaning)

    def observe(self, name: str, value: Expr, unit: str, meaning: str) -> None:
        """Declare a true value that visits read."""
        self.observables[name] = (value, unit, meaning)

    # -- closing -----------------------------------------------------------------------------------------------------
    def finish(self) -> Model:
        """Bind the modifiers to their rates and check that the whole is well formed.

        Raises
        ------
        InputError
            If rates depend on each other in a circle, or a slow value reads a state.
        """
        for rate in self.rates.values():
            factors = [f for _, f in sorted(rate.modifiers, key=lambda pair: pair[0])]
            rate.node.args = (rate.name, rate.node.args[1], *factors)
        for rate in self.rates.values():
            _refuse_circle(rate)
        for node in self.slow_nodes:
            for n in topological(node.operands):
                if n.op in ("state", "draw", "rate"):
                    raise InputError(f"a slow value may use parameters, patient constants and the day, not {n.op}")
        return self


def _refuse_circle(rate: Rate) -> None:
    stack = list(rate.node.operands)
    seen: set[int] = set()
    while stack:
        n = stack.pop()
        if n is rate.node:
            raise InputError(f"rate '{rate.name}' depends on itself through its modifiers")
        if n.index not in seen:
            seen.add(n.index)
            stack.extend(n.operands)
