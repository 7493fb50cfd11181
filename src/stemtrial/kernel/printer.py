"""Prints values of a program as statements of one function: each value once, operands first."""

from __future__ import annotations

import math
from typing import Literal

from stemtrial.kernel.effect import Effect, Log, Read, Set, SetAt
from stemtrial.kernel.graph import Expr
from stemtrial.kernel.lower import Program
from stemtrial.kernel.random import stream_id

Scope = Literal["dense", "slow", "daily", "lane"]
"""Which function is printed: the vectorised step, the 28-day refresh, the scalars of a day, or one lane's code."""
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


class Printer:
    """Statements of one function. ``prologue`` names what is loaded once, before the loop over lanes."""

    def __init__(self, program: Program, scope: Scope) -> None:
        self.program, self.scope = program, scope
        self.lines: list[str] = []
        self.prologue: dict[str, str] = {}
        self._names: dict[int, str] = {}
        self._uniform = {n.index: k for k, n in enumerate(program.uniforms)}
        self._daily = {n.index: k for k, n in enumerate(program.daily)} if scope in ("dense", "lane") else {}
        self._steady = {n.index for n in program.steady} if scope != "slow" else set()
        self._stored = {n.index for n in program.stored} if scope == "lane" else set()

    def row(self, name: str) -> str:
        """A per-patient value of the lane."""
        return f"X[{self.program.rows[name]} * LD + l]"

    def value(self, node: Expr) -> str:
        """Return the text that stands for a value, printing what it needs first."""
        stack = [node]
        while stack:
            n = stack[-1]
            if n.index in self._names:
                stack.pop()
                continue
            kept = self._kept(n)
            missing = [] if kept else [x for x in n.operands if x.index not in self._names]
            if missing:
                stack.extend(reversed(missing))
            else:
                self._names[n.index] = kept or self._computed(n)
                stack.pop()
        return self._names[node.index]

    def assign(self, node: Expr, text: str) -> str:
        """Print one assignment and remember its name."""
        name = f"v{node.index}"
        self.lines.append(f"{name} = {text}")
        self._names[node.index] = name
        return name

    def store(self, row: str, node: Expr) -> None:
        """Print a value into a row."""
        text = self.value(node)
        self.lines.append(f"{self.row(row)} = {text}")

    def _kept(self, n: Expr) -> str | None:
        """Text of a value that is kept somewhere, rather than computed here."""
        if n.op == "const":
            return literal(float(n.args[0]))
        if n.op == "day":
            return "day"
        if n.index in self._uniform:
            return self._loaded(f"u{self._uniform[n.index]}", f"U[{self._uniform[n.index]}]")
        if n.index in self._daily:
            return self._loaded(f"d{self._daily[n.index]}", f"DV[{self._daily[n.index]}]")
        if n.index in self._steady:
            return self.assign(n, self.row(f"steady {n.index}"))
        if n.index in self._stored:
            return self.assign(n, self.row(f"stored {n.index}"))
        if n.op in ("state", "patient", "draw"):
            return self.assign(n, self.row(f"{n.op} {n.args[0]}"))
        return None

    def _loaded(self, name: str, text: str) -> str:
        self.prologue[name] = text
        return name

    def _computed(self, n: Expr) -> str:
        args = [self._names[x.index] for x in n.operands]
        if n.op == "slow":
            return args[0]
        if n.op == "rate":
            return self.assign(n, " * ".join(args))
        if n.op in _INFIX:
            return self.assign(n, f"{args[0]} {_INFIX[n.op]} {args[1]}")
        if n.op == "neg":
            return self.assign(n, f"-{args[0]}")
        return self.assign(n, f"{_CALL[n.op]}({', '.join(args)})")

    def text(self, indent: int) -> str:
        """All statements, the prologue first."""
        loads = [f"{k} = {v}" for k, v in self.prologue.items()]
        return "\n".join(" " * indent + line for line in (loads + self.lines or ["pass"]))

    def loop(self) -> str:
        """The prologue, then a loop over the lanes."""
        loads = "".join(f"    {k} = {v}\n" for k, v in self.prologue.items())
        body = "\n".join(" " * 8 + line for line in (self.lines or ["pass"]))
        return f"{loads}    for l in range(W):\n{body}"


class EffectPrinter(Printer):
    """Statements of an effect: scalar code of one lane, with reads in their order and draws of its own stream."""

    def __init__(self, program: Program, effect: Effect) -> None:
        super().__init__(program, "lane")
        self.effect = effect
        self._words: set[int] = set()
        rows, dosed = program.rows, any(d.effect is effect for d in program.model.doses.values())
        for s in effect.statements:
            match s:
                case Read():
                    self.value(s.node)
                case Set():
                    self.store(f"state {s.state}", s.value)
                case SetAt():
                    at, new = self.value(s.index), self.value(s.value)
                    self.lines.append(f"X[({rows[f'state {s.first}']} + np.int64({at})) * LD + l] = {new}")
                case Log():
                    amount, guard = self.value(s.value), f"if {self.value(s.when)}: " if s.when is not None else ""
                    kind = program.model.event_kinds[s.kind]
                    self.lines.append(f"{guard}record(LI, LF, LN, who, istep + {int(not dosed)}, {kind}, {amount})")

    def _word(self, k: int) -> str:
        """A word of the effect's stream; Philox gives four at a time."""
        block = k // 4
        if block not in self._words:
            self._words.add(block)
            names = ", ".join(f"w{4 * block + i}" for i in range(4))
            counter = f"lo, hi, step, np.uint64({stream_id(self.effect.name) + block}) + shift"
            self.lines.append(f"{names} = philox({counter}, k0, k1)")
        return f"w{k}"

    def _computed(self, n: Expr) -> str:
        if n.op == "now":
            return self.assign(n, self.row(f"state {n.args[0]}"))
        if n.op == "now_at":
            first = self.program.rows[f"state {n.args[0]}"]
            return self.assign(n, f"X[({first} + np.int64({self.value(n.args[1])})) * LD + l]")
        if n.op == "amount":
            return self.assign(n, f"amounts[{n.args[0]}]")
        if n.op == "e_uniform":
            return self.assign(n, f"uniform({self._word(n.args[0])})")
        if n.op in ("e_low", "e_high"):
            w = self._word(n.args[0])
            half = f"{w} & np.uint64(0xFFFF)" if n.op == "e_low" else f"{w} >> np.uint64(16)"
            return self.assign(n, f"(i2f(np.int64({half})) + 0.5) * 1.52587890625e-05")
        if n.op == "e_normal":
            pair = f"normal_pair({self._word(n.args[0])}, {self._word(n.args[0] + 1)})"
            self.lines.append(f"z{n.args[0]}, y{n.args[0]} = {pair}")
            return self.assign(n, f"z{n.args[0]}")
        if n.op == "e_normal2":
            return self.assign(n, f"y{n.args[0]}")
        return super()._computed(n)
