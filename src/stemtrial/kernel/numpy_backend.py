"""The readable twin of the fast kernel: walks the graph with NumPy, patient by patient group, slowly.

It shares no code with the printed kernel but the model itself: own Philox, NumPy's exp and log, no fma. Tests hold the
two together to 1e-10 on every state, observable and event.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.kernel.effect import Effect, Log, Read, Set, SetAt
from stemtrial.kernel.graph import Expr
from stemtrial.kernel.lower import STEADY, Program
from stemtrial.kernel.model import MOST_ARRIVALS, MOST_UNITS, SLOW_DAYS
from stemtrial.kernel.random import stream_id

Values = NDArray[Any]

OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "neg": np.negative,
    "fma": lambda a, b, c: a * b + c, "power": np.power, "exp": np.exp, "log": np.log, "sqrt": np.sqrt,
    "cos2pi": lambda x: np.cos(2 * np.pi * x), "floor": np.floor, "min": np.minimum, "max": np.maximum,
    "where": np.where, "lt": np.less, "le": np.less_equal, "and": np.logical_and,
    "rate": lambda *f: np.prod(np.broadcast_arrays(*f), axis=0) if len(f) > 1 else f[0],
    "slow": lambda x: x,
}  # fmt: skip


def evaluate(roots: list[Expr], known: dict[int, Any], leaf: Callable[[Expr], Any]) -> list[Any]:
    """Values of nodes, given those in ``known`` (filled on the way) and a function for the leaves."""
    stack = [r for r in roots if r.index not in known]
    while stack:
        n = stack[-1]
        if n.index in known:
            stack.pop()
            continue
        found = leaf(n)
        if found is not None:
            known[n.index] = found
            continue
        missing = [x for x in n.operands if x.index not in known]
        if missing:
            stack.extend(missing)
        else:
            known[n.index] = OPERATIONS[n.op](*(known[x.index] for x in n.operands))
    return [known[r.index] for r in roots]


def uniform_values(program: Program, theta: dict[str, float]) -> Values:
    """Values of the uniform class for one draw of the population parameters."""

    def leaf(n: Expr) -> Any:
        return float(n.args[0]) if n.op == "const" else theta[n.args[0]] if n.op == "theta" else None

    return np.array(evaluate(list(program.uniforms), {}, leaf), float).reshape(len(program.uniforms))


def philox(c0: Values, c1: Values, c2: Values, c3: Values, seed: int) -> list[Values]:
    """Philox4x32-10 on arrays of 32-bit words held in uint64."""
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF
    mask, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (b >> half) ^ c1 ^ np.uint64(k0), b & mask, (a >> half) ^ c3 ^ np.uint64(k1), a & mask
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return [c0, c1, c2, c3]


def to_uniform(word: Values) -> Values:
    """A 32-bit word as a number in (0, 1)."""
    return (word.astype(float) + 0.5) * 2.0**-32


def _normal_pair(w0: Values, w1: Values) -> tuple[Values, Values]:
    radius, angle = np.sqrt(-2.0 * np.log(to_uniform(w0))), 2 * np.pi * to_uniform(w1)
    return radius * np.cos(angle), radius * np.sin(angle)


class _Lanes:
    """All patients of a call, stepped together."""

    def __init__(self, program: Program, lo: Values, hi: Values, patient: Values, state: Values, u: Values, seed: int):
        self.p, self.m = program, program.model
        self.lo, self.hi, self.seed, self.u = lo, hi, seed, u
        self.x = {s: state[k].copy() for k, s in enumerate(program.state_names)}
        self.c = {c: patient[k] for k, c in enumerate(program.constant_names)}
        self.uniform = {n.index: u[k] for k, n in enumerate(program.uniforms)}
        self.steady: dict[int, Any] = {}
        self.quads: dict[tuple[str, int], list[Values]] = {}
        self.log: list[tuple[Values, int, int, Values]] = []

    def words(self, stream: str, step: int, block: int, lanes: Values | slice) -> list[Values]:
        lo, hi = self.lo[lanes], self.hi[lanes]
        full = np.full_like(lo, step & 0xFFFFFFFF), np.full_like(lo, stream_id(stream) + block)
        return philox(lo, hi, *full, self.seed)

    def draw(self, stream: str, step: int) -> Values:
        key = (stream, step // 4)
        if key not in self.quads:
            self.quads = {k: v for k, v in self.quads.items() if k[1] == key[1]}
            w = self.words(stream, step // 4, 0, slice(None))
            if self.m.streams[stream] == "normal":
                self.quads[key] = [*_normal_pair(w[0], w[1]), *_normal_pair(w[2], w[3])]
            else:
                self.quads[key] = [to_uniform(x) for x in w]
        return self.quads[key][step % 4]

    def leaf(self, step: int, day: float, inside_slow: bool = False) -> Callable[[Expr], Any]:
        def find(n: Expr) -> Any:
            if n.op == "const":
                return float(n.args[0])
            if n.index in self.uniform:
                return self.uniform[n.index]
            if n.index in self.steady and not inside_slow:
                return self.steady[n.index]
            if n.op == "day":
                return day
            if n.op == "patient":
                return self.c[n.args[0]]
            if n.op == "state":
                return self.x[n.args[0]]
            if n.op == "draw":
                return self.draw(n.args[0], step)
            return None

        return find

    def refresh(self, step: int) -> None:
        days = SLOW_DAYS
        day = (step // (days * self.m.steps_per_day)) * days + 0.5 * days
        values = evaluate(list(self.p.steady), {}, self.leaf(step, day, inside_slow=True))
        self.steady = {n.index: v for n, v in zip(self.p.steady, values, strict=True)}

    # -- effects -----------------------------------------------------------------------------------------------------
    def run(
        self, e: Effect, lanes: Values, step: int, day: float, shift: int = 0, amounts: Values | None = None
    ) -> None:
        """Run an effect's statements for the lanes listed."""
        if len(lanes) == 0:
            return
        known: dict[int, Any] = {}
        words: dict[int, list[Values]] = {}

        def word(k: int) -> Values:
            if k // 4 not in words:
                words[k // 4] = self.words(e.name, step, k // 4 + shift, lanes)
            return words[k // 4][k % 4]

        def leaf(n: Expr) -> Any:
            if n.op == "const":
                return float(n.args[0])
            if n.index in self.uniform:
                return self.uniform[n.index]
            if n.index in self.steady:
                return np.broadcast_to(self.steady[n.index], self.lo.shape)[lanes]
            if n.op == "day":
                return day
            if n.op == "patient":
                return self.c[n.args[0]][lanes]
            if n.op == "amount":
                assert amounts is not None
                return amounts[:, n.args[0]]
            if n.op == "e_uniform":
                return to_uniform(word(n.args[0]))
            if n.op in ("e_low", "e_high"):
                w = word(n.args[0])
                half = w & np.uint64(0xFFFF) if n.op == "e_low" else w >> np.uint64(16)
                return (half.astype(float) + 0.5) / 65536
            if n.op in ("e_normal", "e_normal2"):
                pair = _normal_pair(word(n.args[0]), word(n.args[0] + 1))
                return pair[0] if n.op == "e_normal" else pair[1]
            if n.op == "now":
                return self.x[n.args[0]][lanes]
            return None

        def value(n: Expr) -> Values:
            return np.broadcast_to(np.asarray(evaluate([n], known, leaf)[0]), lanes.shape)

        names = self.p.state_names
        for s in e.statements:
            match s:
                case Read():
                    if s.node.op == "now_at":
                        first, index = names.index(s.node.args[0]), value(s.node.args[1]).astype(int)
                        found = [self.x[names[first + k]][i] for k, i in zip(index, lanes, strict=True)]
                        known[s.node.index] = np.array(found)
                    else:
                        value(s.node)
                case Set():
                    self.x[s.state][lanes] = value(s.value)
                case SetAt():
                    first, index, new = names.index(s.first), value(s.index).astype(int), value(s.value)
                    for k, i, v in zip(index, lanes, new, strict=True):
                        self.x[names[first + k]][i] = v
                case Log():
                    hit = np.ones(len(lanes), bool) if s.when is None else value(s.when).astype(bool)
                    self.log.append(
                        (lanes[hit], step + (amounts is None), self.m.event_kinds[s.kind], value(s.value)[hit])
                    )

    # -- one step ----------------------------------------------------------------------------------------------------
    def advance(self, step: int, day: float, active: Values) -> None:
        known: dict[int, Any] = {}
        find = self.leaf(step, day)
        m = self.m
        roots = [*m.next.values(), self.p.fire, *(a.mean for a in m.arrivals), *(c.probability for c in m.chances)]
        values = evaluate(roots, known, find)
        shape = self.lo.shape
        for name, v in zip(m.next, values, strict=False):
            self.x[name] = np.where(active, np.broadcast_to(v, shape), self.x[name])
        fired = active & (np.broadcast_to(known[self.p.fire.index], shape) < 0)
        self.jumps(step, day, fired, known)

    def jumps(self, step: int, day: float, fired: Values, known: dict[int, Any]) -> None:
        m, shape = self.m, self.lo.shape
        for r in m.removals:
            u, g = self.draw(r.chance.args[0], step), self.x[r.state]
            p, log_stay, odds = evaluate([r.probability, r.log_stay, r.odds], {}, self.leaf(step, day))
            for i in np.flatnonzero(fired & (u < g * p)):
                count, pk, gone = g[i], np.exp(g[i] * log_stay), 0.0
                s = 1.0 - pk
                while u[i] < s and gone < count:
                    gone += 1.0
                    pk *= (count - gone + 1.0) / gone * odds
                    s -= pk
                self.x[r.state][i] = count - gone
        for chance in dict.fromkeys(c.chance for c in m.chances):
            e = 1.0 - self.draw(chance.args[0], step)
            bound, open_ = np.zeros(shape), fired.copy()
            for c in m.chances:
                if c.chance is chance:
                    bound = bound + known[c.probability.index]
                    hit = open_ & (e < bound)
                    open_ &= ~hit
                    self.run(c.effect, np.flatnonzero(hit), step, day)
        for a in m.arrivals:
            u, mean = self.draw(a.chance.args[0], step), np.broadcast_to(known[a.mean.index], shape)
            may = fired & (1.0 - u < mean)
            count = np.zeros(shape, int)
            p = np.exp(-mean)
            cumulative = p.copy()
            for k in range(1, MOST_ARRIVALS + 1):
                more = may & (u > cumulative) & (count == k - 1)
                count[more] = k
                p = p * (mean / k)
                cumulative = cumulative + p
            if a.shrink is not None:
                shrink = evaluate([a.shrink], {}, self.leaf(step, day))[0]
                units = np.zeros(shape, int)
                for j in range(count.max(initial=0)):
                    u = to_uniform(self.words(a.name + ".extra", step, j, slice(None))[0])
                    units += np.where(count > j, 1 + (np.log(u) * shrink).astype(int), 0)
                count = np.minimum(units, MOST_UNITS)
            blocks = (a.effect.n_words + 3) // 4
            for j in range(count.max(initial=0)):
                self.run(a.effect, np.flatnonzero(count > j), step, day, shift=blocks * j)
        for h in m.hazards:
            self.run(h.effect, np.flatnonzero(fired & (self.x[h.threshold] < 0)), step, day)


def run(program: Program, data: dict[str, Any], u: Values, seed: int) -> list[tuple[Values, int, int, Values]]:
    """Advance all patients of ``data`` (the arrays that the printed kernel takes) in place; return the event log."""
    m = program.model
    start, end = data["start"], data["end"]
    lanes = _Lanes(program, data["lo"], data["hi"], data["constants"], data["state"], u, seed)
    step, last = int(start.min()), int(end.max())
    doses = [(d.name, d.effect) for d in m.doses.values()]
    while True:
        day = step / m.steps_per_day
        lanes.refresh(step)
        for i in np.flatnonzero((start <= step) & (end >= step)):
            for k in range(data["visit_at"][i], data["visit_at"][i + 1]):
                if data["visit_step"][k] == step:
                    find = lanes.leaf(step, day)
                    values = evaluate([v for v, _, _ in m.observables.values()], {}, find)
                    data["observed"][k] = [np.broadcast_to(v, start.shape)[i] for v in values]
        for i in np.flatnonzero((start <= step) & (end > step)):
            for k in range(data["dose_at"][i], data["dose_at"][i + 1]):
                if data["dose_step"][k] == step:
                    effect = doses[data["dose_kind"][k]][1]
                    lanes.run(effect, np.array([i]), step, day, amounts=data["dose_amount"][k : k + 1])
        if step >= last:
            break
        lanes.advance(step, day, (start <= step) & (step < end))
        step += 1
    for k, s in enumerate(program.state_names):
        data["state"][k] = lanes.x[s]
    return lanes.log


__all__ = ["STEADY", "evaluate", "run", "uniform_values"]
