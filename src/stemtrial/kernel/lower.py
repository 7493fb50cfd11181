"""From a finished model to a program: which value is computed when, and where it is kept.

Every value belongs to a class, by what it depends on, and is computed as seldom as its class allows:

========  ============================================================  ===========================
class     depends on                                                    computed
========  ============================================================  ===========================
uniform   population parameters                                         once a run
daily     and the day                                                   once a step, one scalar
steady    and constants of the patient, slow values                     once in 28 days, one row
lane      and states, draws                                             every step, every patient
========  ============================================================  ===========================
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from stemtrial.errors import InputError
from stemtrial.kernel.effect import Effect, Log, Read, Set, SetAt
from stemtrial.kernel.graph import Expr, topological
from stemtrial.kernel.model import Model

CONST, UNIFORM, DAILY, STEADY, LANE = range(5)


@dataclass(frozen=True)
class Program:
    """A model, and the places of its values. Built by :func:`lower`; read by the back ends."""

    model: Model
    classes: dict[int, int]
    uniforms: tuple[Expr, ...]
    daily: tuple[Expr, ...]
    steady: tuple[Expr, ...]
    stored: tuple[Expr, ...]
    fire: Expr

    def class_of(self, node: Expr) -> int:
        """Return the class of a node that the program uses."""
        return self.classes[node.index]

    @cached_property
    def state_names(self) -> tuple[str, ...]:
        """States in the order of their rows."""
        return tuple(self.model.states)

    @cached_property
    def constant_names(self) -> tuple[str, ...]:
        """Patient constants in the order of their rows."""
        return tuple(self.model.constants)

    @cached_property
    def rows(self) -> dict[str, int]:
        """Row of every per-patient value in the working block."""
        names = [f"state {s}" for s in self.state_names]
        names += [f"patient {c}" for c in self.constant_names]
        names += [f"steady {n.index}" for n in self.steady]
        names += [f"stored {n.index}" for n in self.stored]
        names += [f"draw {s}" for s in self.model.streams]
        names += [f"draw {s} {q}" for s in self.model.streams for q in range(4)]
        names += ["fire"]
        return {n: i for i, n in enumerate(names)}

    @cached_property
    def effects(self) -> tuple[Effect, ...]:
        """Every effect program of the model."""
        m = self.model
        return (
            *(c.effect for c in m.chances),
            *(a.effect for a in m.arrivals),
            *(h.effect for h in m.hazards),
            *(d.effect for d in m.doses.values()),
        )


def effect_nodes(effect: Effect) -> list[Expr]:
    """Every node that an effect's statements mention, in their order."""
    out: list[Expr] = []
    for s in effect.statements:
        match s:
            case Read():
                out.append(s.node)
            case Set():
                out.append(s.value)
            case SetAt():
                out += [s.index, s.value]
            case Log():
                out += [s.value] if s.when is None else [s.when, s.value]
    return out


def lower(model: Model) -> Program:
    """Classify the values of a finished model and give each its place."""
    g = model.graph
    slacks: list[Expr] = []
    stored: list[Expr] = []
    high_end: dict[int, Expr] = {}
    for a in model.arrivals:
        slacks.append((1.0 - a.chance) - a.mean)
        stored.append(a.mean)
    for r in model.removals:
        slacks.append(r.chance - g.node("state", r.state) * r.probability)
    for c in model.chances:
        total = high_end.get(c.chance.index)
        high_end[c.chance.index] = c.probability if total is None else total + c.probability
        stored.append(c.probability)
    for index, total in high_end.items():
        slacks.append((1.0 - g.nodes[index]) - total)
    slacks.extend(model.next[h.threshold] for h in model.hazards)
    fire = slacks[0] if slacks else g.constant(1.0)
    for s in slacks[1:]:
        fire = g.node("min", fire, s)

    effects = [
        *(c.effect for c in model.chances),
        *(a.effect for a in model.arrivals),
        *(h.effect for h in model.hazards),
        *(d.effect for d in model.doses.values()),
    ]
    roots: list[Expr] = [*model.next.values(), fire, *stored, *(v for v, _, _ in model.observables.values())]
    for e in effects:
        for n in topological(effect_nodes(e), stop="slow"):
            if n.op in ("state", "rate", "draw"):
                raise InputError(f"effect '{e.name}' uses a {n.op} of the step; read states with e.read(state)")
        roots.extend(effect_nodes(e))
    roots.extend(a.shrink for a in model.arrivals if a.shrink is not None)
    roots.extend(x for r in model.removals for x in (r.probability, r.log_stay, r.odds))
    classes = _classify(roots)
    used: dict[int, set[int]] = {UNIFORM: set(), DAILY: set(), STEADY: set()}
    for node in topological(roots, stop="slow"):
        for x in () if node.op == "slow" else node.operands:
            if classes[x.index] in used and classes[x.index] != classes[node.index]:
                used[classes[x.index]].add(x.index)
    for root in roots:
        if classes[root.index] in used:
            used[classes[root.index]].add(root.index)
    steady = [g.nodes[i] for i in sorted(used[STEADY]) if g.nodes[i].op != "patient"]
    # inside a steady row everything but its uniform parts is computed on the spot, with the day of mid-interval
    inner = _classify(steady, through_slow=True)
    for n in topological(steady):
        if inner[n.index] != UNIFORM:
            used[UNIFORM].update(x.index for x in n.operands if inner[x.index] == UNIFORM)
    order = topological([g.nodes[i] for i in sorted(used[UNIFORM])])
    uniforms = [n for n in order if n.index in used[UNIFORM]]
    daily = [g.nodes[i] for i in sorted(used[DAILY])]
    return Program(
        model=model,
        classes=classes,
        uniforms=tuple(uniforms),
        daily=tuple(daily),
        steady=tuple(steady),
        stored=tuple({n.index: n for n in stored if classes[n.index] == LANE}.values()),
        fire=fire,
    )


def _classify(roots: Iterable[Expr], through_slow: bool = False) -> dict[int, int]:
    classes: dict[int, int] = {}
    for n in topological(roots, stop=None if through_slow else "slow"):
        if n.op == "const":
            c = CONST
        elif n.op == "theta":
            c = UNIFORM
        elif n.op == "day":
            c = DAILY
        elif n.op in ("patient", "slow"):
            c = STEADY
        elif n.op in ("state", "draw", "now", "now_at", "amount") or n.op.startswith("e_"):
            c = LANE
        else:
            kids = {classes[x.index] for x in n.operands}
            c = max(kids)
            if c == STEADY and DAILY in kids:
                c = LANE
        classes[n.index] = c
    return classes
