"""Prints a program as a Numba block kernel: structure of arrays, W patients a block, one vectorised pass a step.

The dense pass computes every next value for all lanes and one slack, negative where a jump *may* happen (a cheap upper
bound). Only those lanes run the exact test and the jump's effect, as scalar code. Visits, doses, entries and exits of
single lanes are found by one vector compare a step. The generated module holds its own mathematics, so that its hash
identifies everything that decides a bit.
"""

from __future__ import annotations

import math
from importlib.resources import files

from stemtrial.kernel.graph import Expr, topological
from stemtrial.kernel.lower import CONST, DAILY, LANE, STEADY, UNIFORM, Program
from stemtrial.kernel.model import MOST_ARRIVALS, MOST_UNITS, SLOW_DAYS, Effect
from stemtrial.kernel.random import stream_id

_INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/", "lt": "<", "le": "<=", "and": "&"}
_CALL = {
    "fma": "fma", "exp": "exp", "log": "log", "sqrt": "math.sqrt", "cos2pi": "cos2pi", "floor": "math.floor",
    "min": "minimum", "max": "maximum", "where": "where", "power": "power",
}  # fmt: skip


def literal(value: float) -> str:
    """A number as source text."""
    if math.isinf(value):
        return "math.inf" if value > 0 else "(-math.inf)"
    return repr(value) if value >= 0 else f"({value!r})"


class _Body:
    """Emits statements for nodes, each once, in one function's scope."""

    def __init__(self, program: Program, scope: str) -> None:
        self.program, self.scope = program, scope
        self.lines: list[str] = []
        self.prologue: dict[str, str] = {}
        self.names: dict[int, str] = {}
        self.uniform = {n.index: k for k, n in enumerate(program.uniforms)}
        self.daily = {n.index: k for k, n in enumerate(program.daily)}
        self.steady = {n.index for n in program.steady}

    def row(self, name: str) -> str:
        return f"X[{self.program.rows[name]} * LD + l]"

    def assign(self, node: Expr, text: str) -> str:
        name = f"v{node.index}"
        self.lines.append(f"{name} = {text}")
        self.names[node.index] = name
        return name

    def ref(self, node: Expr) -> str:
        """Source text of a value, emitting what it needs first."""
        for n in topological([node], stop=None):
            if n.index not in self.names:
                self._emit(n, node)
        return self.names[node.index]

    def want(self, node: Expr) -> str:
        """As :meth:`ref`, without walking below values that are kept somewhere."""
        if node.index in self.names:
            return self.names[node.index]
        if node.op == "const":
            return literal(float(node.args[0]))
        cls = self.program.classes.get(node.index)
        if node.index in self.uniform and self.scope != "uniform":
            return self._hoisted(node, f"u{self.uniform[node.index]}", f"U[{self.uniform[node.index]}]")
        if node.index in self.daily and self.scope not in ("daily", "slow"):
            return self._hoisted(node, f"d{self.daily[node.index]}", f"DV[{self.daily[node.index]}]")
        if node.index in self.steady and self.scope != "slow":
            return self.assign(node, self.row(f"steady {node.index}"))
        if self.scope == "rare" and cls == LANE and node.index in {n.index for n in self.program.stored}:
            return self.assign(node, self.row(f"stored {node.index}"))
        return self._compute(node)

    def _hoisted(self, node: Expr, name: str, text: str) -> str:
        self.prologue[name] = text
        self.names[node.index] = name
        return name

    def _compute(self, node: Expr) -> str:
        op = node.op
        if op == "state":
            return self.assign(node, self.row(f"state {node.args[0]}"))
        if op == "patient":
            return self.assign(node, self.row(f"patient {node.args[0]}"))
        if op == "draw":
            return self.assign(node, self.row(f"draw {node.args[0]}"))
        if op == "day":
            self.names[node.index] = "day"
            return "day"
        if op == "slow":
            if self.scope != "slow":
                raise AssertionError("a slow value is read from its row")
            self.names[node.index] = self.want(node.args[0])
            return self.names[node.index]
        if op == "rate":
            return self.assign(node, " * ".join(self.want(x) for x in node.operands))
        args = [self.want(x) for x in node.operands]
        if op in _INFIX:
            return self.assign(node, f"{args[0]} {_INFIX[op]} {args[1]}")
        if op == "neg":
            return self.assign(node, f"-{args[0]}")
        if op in _CALL:
            return self.assign(node, f"{_CALL[op]}({', '.join(args)})")
        raise AssertionError(f"no text for operation {op}")

    def text(self, indent: int) -> str:
        return "\n".join(" " * indent + line for line in self.lines)

    def loads(self, indent: int) -> str:
        return "\n".join(" " * indent + f"{k} = {v}" for k, v in self.prologue.items())


def _want_deep(body: _Body, node: Expr) -> str:
    """Emit a deep expression without Python recursion running out: operands first."""
    stack = [node]
    while stack:
        n = stack[-1]
        if n.index in body.names or n.op == "const" or _kept(body, n):
            stack.pop()
            continue
        missing = [] if n.op == "slow" and body.scope != "slow" else [
            x for x in n.operands if x.index not in body.names and x.op != "const" and not _kept(body, x)
        ]
        if missing:
            stack.extend(reversed(missing))
        else:
            body.want(n)
            stack.pop()
    return body.want(node)


def _kept(body: _Body, n: Expr) -> bool:
    if n.index in body.uniform and body.scope != "uniform":
        return True
    if n.index in body.daily and body.scope not in ("daily", "slow"):
        return True
    if n.index in body.steady and body.scope != "slow":
        return True
    return body.scope == "rare" and n.index in {s.index for s in body.program.stored}


def _effect_function(program: Program, effect: Effect, name: str) -> str:
    """One effect as a scalar function of one lane."""
    body = _Body(program, "rare")
    rows = program.rows
    words: set[int] = set()

    def word(k: int) -> str:
        block = k // 4
        if block not in words:
            words.add(block)
            names = ", ".join(f"w{4 * block + i}" for i in range(4))
            body.lines.append(
                f"{names} = philox(lo, hi, step, np.uint64({stream_id(effect.name)}) + np.uint64({block}) + shift, k0, k1)"
            )
        return f"w{k}"

    def emit(node: Expr) -> str:
        if node.op == "now":
            return body.assign(node, body.row(f"state {node.args[0]}"))
        if node.op == "now_at":
            first = rows[f"state {node.args[0]}"]
            return body.assign(node, f"X[({first} + np.int64({value(node.args[2])})) * LD + l]")
        if node.op == "amount":
            return body.assign(node, f"amounts[{node.args[0]}]")
        if node.op == "e_uniform":
            return body.assign(node, f"uniform({word(node.args[0])})")
        if node.op in ("e_low", "e_high"):
            w = word(node.args[0])
            half = f"{w} & np.uint64(0xFFFF)" if node.op == "e_low" else f"{w} >> np.uint64(16)"
            return body.assign(node, f"(i2f(np.int64({half})) + 0.5) * 1.52587890625e-05")
        if node.op == "e_normal":
            w0, w1 = word(node.args[0]), word(node.args[0] + 1)
            body.lines.append(f"z{node.args[0]}, y{node.args[0]} = normal_pair({w0}, {w1})")
            return body.assign(node, f"z{node.args[0]}")
        if node.op == "e_normal2":
            value(node.args[1])
            return body.assign(node, f"y{node.args[0]}")
        return _want_deep(body, node)

    def value(node: Expr) -> str:
        if node.index not in body.names:
            for n in topological([node], stop="slow"):
                leaf = n.op in ("now", "now_at", "amount") or n.op.startswith("e_")
                if leaf and n.index not in body.names:
                    emit(n)
        return _want_deep(body, node)

    for s in effect.statements:
        if isinstance(s, Expr):
            emit(s)
            continue
        kind, *rest = s
        if kind == "set":
            body.lines.append(f"{body.row(f'state {rest[0]}')} = {value(rest[1])}")
        elif kind == "set_at":
            first, _, index, new = rest
            body.lines.append(f"X[({rows[f'state {first}']} + np.int64({value(index)})) * LD + l] = {value(new)}")
        else:
            event, amount, condition = rest
            code = program.model.event_kinds[event]
            guard = f"if {value(condition)}: " if condition is not None else ""
            body.lines.append(f"{guard}record(LI, LF, LN, who, istep, {code}, {value(amount)})")
    lines = body.text(4) or "    pass"
    return (
        f"@njit(error_model='numpy', forceinline=True)\n"
        f"def {name}(X, l, U, DV, day, lo, hi, step, shift, k0, k1, amounts, LI, LF, LN, who, istep):\n"
        f"{body.loads(4)}\n{lines}\n"
    ).replace("forceinline=False, inline='never'", "")


def print_numba(program: Program, width: int = 64) -> str:
    """Source of the kernel module of a program, for blocks of ``width`` patients (16 to 512)."""
    m, rows = program.model, program.rows
    n_state, n_const = len(program.state_names), len(program.constant_names)
    group = min(width, 64)
    dense = _Body(program, "dense")
    for node in program.stored:
        dense.lines.append(f"{dense.row(f'stored {node.index}')} = {_want_deep(dense, node)}")
    for name, node in m.next.items():
        state = m.graph.node("state", name)
        new = _want_deep(dense, node)
        dense.want(state)  # the old value is in a register before its row is overwritten
        dense.lines.append(f"{dense.row(f'state {name}')} = {new}")
    dense.lines.append(f"{dense.row('fire')} = {_want_deep(dense, program.fire)}")

    slow = _Body(program, "slow")
    for node in program.steady:
        slow.lines.append(f"{slow.row(f'steady {node.index}')} = {_want_deep(slow, node)}")
    daily = _Body(program, "daily")
    for k, node in enumerate(program.daily):
        daily.lines.append(f"DV[{k}] = {_want_deep(daily, node)}")

    draws: list[str] = []
    for stream, kind in m.streams.items():
        q = [rows[f"draw {stream} {i}"] for i in range(4)]
        draws.append(f"w0, w1, w2, w3 = philox(LO[l], HI[l], quad, np.uint64({stream_id(stream)}), k0, k1)")
        if kind == "normal":
            draws.append(f"X[{q[0]} * LD + l], X[{q[1]} * LD + l] = normal_pair(w0, w1)")
            draws.append(f"X[{q[2]} * LD + l], X[{q[3]} * LD + l] = normal_pair(w2, w3)")
        else:
            draws += [f"X[{q[i]} * LD + l] = uniform(w{i})" for i in range(4)]
    copies = [f"X[{rows[f'draw {s}']} * LD + l] = X[({rows[f'draw {s} 0']} + phase) * LD + l]" for s in m.streams]

    observe = _Body(program, "rare")
    for k, (_, (node, _, _)) in enumerate(m.observables.items()):
        observe.lines.append(f"O[row, {k}] = {_want_deep(observe, node)}")

    effects = [(e, f"effect{k}") for k, e in enumerate(program.effects)]
    names = {id(e): n for e, n in effects}
    call = "X, l, U, DV, day, lo, hi, step, {shift}, k0, k1, amounts, LI, LF, LN, who, istep"
    rare = _rare(program, names, call)
    doses = [
        f"{'if' if i == 0 else 'elif'} kind == {i}: {names[id(d.effect)]}({call.format(shift='np.uint64(0)')})"
        for i, d in enumerate(m.doses.values())
    ] or ["pass"]
    math_source = files("stemtrial.kernel").joinpath("inline_math.py").read_text()
    parts = [
        math_source,
        f"W = {width}\nLD = {width + 8}\nNEVER = 1 << 60\n",
        _RECORD,
        *(_effect_function(program, e, n) for e, n in effects),
        _function("slow", "X, U, day", slow.loads(4), slow.text(8)),
        _function("dense", "X, U, DV, day", dense.loads(4), dense.text(8)),
        "@njit(error_model='numpy')\ndef draw(X, LO, HI, quad, k0, k1):\n    for l in range(W):\n" + _indent(draws, 8) + "\n",
        "@njit(error_model='numpy')\ndef copy(X, phase):\n    for l in range(W):\n" + _indent(copies, 8) + "\n",
        "@njit(error_model='numpy')\ndef daily(DV, U, day):\n" + (daily.loads(4) + "\n" + daily.text(4) or "") + "\n    return\n",
        "@njit(error_model='numpy')\ndef observe(X, l, U, DV, day, O, row):\n"
        + observe.loads(4) + "\n" + observe.text(4) + "\n    return\n",
        "@njit(error_model='numpy', forceinline=True)\ndef rare(X, l, U, DV, day, lo, hi, step, k0, k1, amounts, LI, LF, LN, who, istep):\n"
        + _indent(rare, 4) + "\n",
        "@njit(error_model='numpy')\ndef dose(kind, X, l, U, DV, day, lo, hi, step, k0, k1, amounts, LI, LF, LN, who, istep):\n"
        + _indent(doses, 4) + "\n",
        _DRIVER.replace("%NROWS%", str(len(rows))).replace("%NSTATE%", str(n_state)).replace("%NCONST%", str(n_const))
        .replace("%GROUP%", str(group)).replace("%GROUPS%", str(width // group))
        .replace("%ND%", str(max(1, len(program.daily)))).replace("%FIRE%", str(rows["fire"]))
        .replace("%SLOW%", str(SLOW_DAYS * m.steps_per_day)).replace("%SPD%", str(m.steps_per_day)),
    ]  # fmt: skip
    return "\n".join(parts)


def _function(name: str, arguments: str, loads: str, text: str) -> str:
    return f"@njit(error_model='numpy')\ndef {name}({arguments}):\n{loads}\n    for l in range(W):\n{text or ' ' * 8 + 'pass'}\n"


def _indent(lines: list[str], n: int) -> str:
    return "\n".join(" " * n + line for line in (lines or ["pass"]))


def _rare(program: Program, names: dict[int, str], call: str) -> list[str]:
    """Scalar code of one lane whose slack was negative: exact tests, then effects."""
    m, rows = program.model, program.rows
    body = _Body(program, "rare")

    def row(name: str) -> str:
        return f"X[{rows[name]} * LD + l]"

    out: list[str] = []
    zero = call.format(shift="np.uint64(0)")
    for k, r in enumerate(m.removals):
        p = r.probability
        out += [
            f"g = {row(f'state {r.state}')}",
            f"u = {row(f'draw {r.chance.args[0]}')}",
            f"if u < g * {p!r}:",
            f"    pk = exp(g * {math.log1p(-p)!r})",
            "    s = 1.0 - pk",
            "    gone = 0.0",
            "    while u < s and gone < g:",
            "        gone += 1.0",
            f"        pk = pk * ((g - gone + 1.0) / gone * {p / (1 - p)!r})",
            "        s = s - pk",
            f"    {row(f'state {r.state}')} = g - gone",
        ]
    for chance in dict.fromkeys(c.chance for c in m.chances):
        out += [f"e = 1.0 - {row(f'draw {chance.args[0]}')}", "bound = 0.0", "fired = False"]
        for c in m.chances:
            if c.chance is chance:
                before = len(body.lines)
                p = _want_deep(body, c.probability)
                out += body.lines[before:]
                out += [f"bound = bound + {p}", "if not fired and e < bound:", "    fired = True",
                        f"    {names[id(c.effect)]}({zero})"]  # fmt: skip
    for a in m.arrivals:
        before = len(body.lines)
        mean = _want_deep(body, a.mean)
        out += body.lines[before:]
        blocks = (a.effect.n_words + 3) // 4
        out += [
            f"u = {row(f'draw {a.chance.args[0]}')}",
            f"if 1.0 - u < {mean}:",
            f"    p = exp(-{mean})",
            "    cumulative = p",
            "    n = 0",
            f"    while u > cumulative and n < {MOST_ARRIVALS}:",
            "        n += 1",
            f"        p = p * ({mean} / n)",
            "        cumulative = cumulative + p",
        ]
        if a.shrink is not None:
            block = f"philox(lo, hi, step, np.uint64({stream_id(a.name + '.extra')}) + np.uint64"
            out += [
                "    units = 0",
                "    for j in range(n):",
                f"        w0, w1, w2, w3 = {block}(j), k0, k1)",
                f"        units += 1 + np.int64(log(uniform(w0)) * {_want_deep(body, a.shrink)})",
                f"    n = min(units, {MOST_UNITS})",
            ]
        out += [
            "    for j in range(n):",
            f"        {names[id(a.effect)]}({call.format(shift=f'np.uint64({blocks} * j)')})",
        ]
    for h in m.hazards:
        out += [f"if {row(f'state {h.threshold}')} < 0.0:", f"    {names[id(h.effect)]}({zero})"]
    return [line for line in body.prologue_lines()] + out if hasattr(body, "prologue_lines") else [
        f"{k} = {v}" for k, v in body.prologue.items()
    ] + out


_RECORD = '''
@njit(error_model='numpy')
def record(LI, LF, LN, who, istep, kind, value):
    n = LN[0]
    if n < LI.shape[0]:
        LI[n, 0] = who
        LI[n, 1] = istep
        LI[n, 2] = kind
        LF[n] = value
        LN[0] = n + 1
    else:
        LN[1] += 1
'''

_DRIVER = '''
@njit(error_model='numpy', nogil=True)
def run(first, last, order, LO_, HI_, P, S, start, end, U, seed, dose_at, dose_step, dose_kind, dose_amount,
        visit_at, visit_step, O, LI, LF, LN, failed, progress):
    k0 = seed & np.uint64(0xFFFFFFFF)
    k1 = seed >> np.uint64(32)
    raw = np.zeros(%NROWS% * LD + 8)
    X = raw[((64 - raw.ctypes.data % 64) % 64) // 8:]
    DV = np.zeros(%ND%)
    LO = np.zeros(W, np.uint64)
    HI = np.zeros(W, np.uint64)
    who = np.zeros(W, np.int64)
    next_step = np.zeros(W, np.int64)
    dose_next = np.zeros(W, np.int64)
    visit_next = np.zeros(W, np.int64)
    active = np.zeros(%GROUPS%, np.uint64)
    no_amounts = np.zeros(1)
    for b in range(first, last, W):
        if progress[1] != 0:
            return
        n = min(W, last - b)
        t0 = NEVER
        t1 = -NEVER
        for l in range(W):
            i = order[b + min(l, n - 1)]
            who[l] = i
            LO[l] = LO_[i]
            HI[l] = HI_[i]
            for r in range(%NSTATE%):
                X[r * LD + l] = S[r, i]
            for r in range(%NCONST%):
                X[(%NSTATE% + r) * LD + l] = P[r, i]
            dose_next[l] = dose_at[i]
            visit_next[l] = visit_at[i]
            next_step[l] = start[i] if l < n else NEVER
            if l < n:
                t0 = min(t0, start[i])
                t1 = max(t1, end[i])
        for g in range(%GROUPS%):
            active[g] = np.uint64(0)
        for t in range(t0, t1 + 1):
            day = np.float64(t) / %SPD%
            step = np.uint64(t)
            if t % %SLOW% == 0 or t == t0:
                slow(X, U, (t // %SLOW%) * (%SLOW% / %SPD%) + 0.5 * (%SLOW% / %SPD%))
            if t % 4 == 0 or t == t0:
                draw(X, LO, HI, np.uint64(t // 4), k0, k1)
            daily(DV, U, day)
            for g in range(%GROUPS%):
                due = np.uint64(0)
                for l in range(%GROUP%):
                    due |= np.uint64(next_step[g * %GROUP% + l] <= t) << np.uint64(l)
                while due != np.uint64(0):
                    bit = due & (~due + np.uint64(1))
                    l = np.int64(cttz(due)) + g * %GROUP%
                    due &= due - np.uint64(1)
                    i = who[l]
                    if t == start[i]:
                        for r in range(%NSTATE%):
                            X[r * LD + l] = S[r, i]
                        active[g] |= bit
                    while visit_next[l] < visit_at[i + 1] and visit_step[visit_next[l]] < t:
                        visit_next[l] += 1
                    while visit_next[l] < visit_at[i + 1] and visit_step[visit_next[l]] == t:
                        observe(X, l, U, DV, day, O, visit_next[l])
                        visit_next[l] += 1
                    if t >= end[i]:
                        active[g] &= ~bit
                        next_step[l] = NEVER
                        for r in range(%NSTATE%):
                            x = X[r * LD + l]
                            S[r, i] = x
                            if not math.isfinite(x) and failed[i] == 0:
                                failed[i] = r + 1
                        continue
                    while dose_next[l] < dose_at[i + 1] and dose_step[dose_next[l]] < t:
                        dose_next[l] += 1
                    while dose_next[l] < dose_at[i + 1] and dose_step[dose_next[l]] == t:
                        d = dose_next[l]
                        dose(dose_kind[d], X, l, U, DV, day, LO[l], HI[l], step, k0, k1, dose_amount[d], LI, LF, LN, i, t)
                        dose_next[l] += 1
                    upcoming = end[i]
                    if visit_next[l] < visit_at[i + 1]:
                        upcoming = min(upcoming, visit_step[visit_next[l]])
                    if dose_next[l] < dose_at[i + 1]:
                        upcoming = min(upcoming, dose_step[dose_next[l]])
                    next_step[l] = upcoming
            if t == t1:
                break
            copy(X, t % 4)
            dense(X, U, DV, day)
            for g in range(%GROUPS%):
                fired = np.uint64(0)
                for l in range(%GROUP%):
                    fired |= np.uint64(X[%FIRE% * LD + g * %GROUP% + l] < 0.0) << np.uint64(l)
                fired &= active[g]
                while fired != np.uint64(0):
                    l = np.int64(cttz(fired)) + g * %GROUP%
                    fired &= fired - np.uint64(1)
                    rare(X, l, U, DV, day, LO[l], HI[l], step, k0, k1, no_amounts, LI, LF, LN, who[l], t)
        progress[0] += n
'''

__all__ = ["CONST", "DAILY", "LANE", "STEADY", "UNIFORM", "literal", "print_numba"]
