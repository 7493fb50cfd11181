"""The expression graph: a plain Python model function runs once on these nodes and leaves an SSA graph behind.

Nodes are hash-consed, so a subexpression written twice is computed once. Rounding is decided *here, locally, from the
shape of an expression*: adding to a product always becomes one fma, and a named rate is a rounding point. What else is
composed into the model therefore cannot change a bit of a result (a compiler's contraction would).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

Number: TypeAlias = "float | int"


class Graph:
    """Owns the nodes of one model; equal operations on equal arguments give the same node."""

    def __init__(self) -> None:
        self.nodes: list[Expr] = []
        self._memo: dict[tuple[Any, ...], Expr] = {}

    def node(self, op: str, *args: Any) -> Expr:
        """Return the node ``op(*args)``, made on first use."""
        key = (op, *(a.index if isinstance(a, Expr) else (type(a), a) for a in args))
        found = self._memo.get(key)
        if found is None:
            found = Expr(self, len(self.nodes), op, args)
            self.nodes.append(found)
            self._memo[key] = found
        return found

    def fresh(self, op: str, *args: Any) -> Expr:
        """Return a node that is never shared: a read whose value depends on when it happens."""
        made = Expr(self, len(self.nodes), op, args)
        self.nodes.append(made)
        return made

    def constant(self, value: Number) -> Expr:
        """Return a literal."""
        return self.node("const", float(value))

    def wrap(self, value: Expr | Number) -> Expr:
        """Return a node for a node or a number."""
        return value if isinstance(value, Expr) else self.constant(value)


class Expr:
    """One value of the model. Supports ``+ - * /``, integer powers, comparisons; see also :func:`where`."""

    __slots__ = ("args", "graph", "index", "op")

    def __init__(self, graph: Graph, index: int, op: str, args: tuple[Any, ...]) -> None:
        self.graph, self.index, self.op, self.args = graph, index, op, args

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other

    def __bool__(self) -> bool:
        raise TypeError("a model value has no truth value while the model is traced; use where(condition, a, b)")

    def __repr__(self) -> str:
        return f"<{self.op} #{self.index}>"

    @property
    def value(self) -> float | None:
        """The number of a literal, else None."""
        return float(self.args[0]) if self.op == "const" else None

    @property
    def operands(self) -> list[Expr]:
        """The nodes that this one reads."""
        return [a for a in self.args if isinstance(a, Expr)]

    # -- arithmetic -------------------------------------------------------------------------------------------------
    def __add__(self, other: Expr | Number) -> Expr:
        return _add(self, self.graph.wrap(other))

    def __radd__(self, other: Number) -> Expr:
        return _add(self.graph.wrap(other), self)

    def __sub__(self, other: Expr | Number) -> Expr:
        return _subtract(self, self.graph.wrap(other))

    def __rsub__(self, other: Number) -> Expr:
        return _subtract(self.graph.wrap(other), self)

    def __mul__(self, other: Expr | Number) -> Expr:
        return _multiply(self, self.graph.wrap(other))

    def __rmul__(self, other: Number) -> Expr:
        return _multiply(self.graph.wrap(other), self)

    def __truediv__(self, other: Expr | Number) -> Expr:
        return _divide(self, self.graph.wrap(other))

    def __rtruediv__(self, other: Number) -> Expr:
        return _divide(self.graph.wrap(other), self)

    def __neg__(self) -> Expr:
        return self.graph.constant(-self.value) if self.value is not None else self.graph.node("neg", self)

    def __pow__(self, exponent: Expr | Number) -> Expr:
        if isinstance(exponent, int) and 1 <= exponent <= 8:
            if exponent == 1:
                return self
            half = self ** (exponent // 2)
            return half * half if exponent % 2 == 0 else half * half * self
        return self.graph.node("power", self, self.graph.wrap(exponent))

    # -- comparisons give conditions, usable in where() --------------------------------------------------------------
    def __lt__(self, other: Expr | Number) -> Expr:
        return self.graph.node("lt", self, self.graph.wrap(other))

    def __le__(self, other: Expr | Number) -> Expr:
        return self.graph.node("le", self, self.graph.wrap(other))

    def __gt__(self, other: Expr | Number) -> Expr:
        return self.graph.node("lt", self.graph.wrap(other), self)

    def __ge__(self, other: Expr | Number) -> Expr:
        return self.graph.node("le", self.graph.wrap(other), self)

    def __and__(self, other: Expr) -> Expr:
        return self.graph.node("and", self, other)


def _add(a: Expr, b: Expr) -> Expr:
    g = a.graph
    if a.value is not None and b.value is not None:
        return g.constant(a.value + b.value)
    if a.value == 0.0:
        return b
    if b.value == 0.0:
        return a
    if b.op == "mul":
        return g.node("fma", *b.args, a)
    if a.op == "mul":
        return g.node("fma", *a.args, b)
    return g.node("add", a, b)


def _subtract(a: Expr, b: Expr) -> Expr:
    g = a.graph
    if a.value is not None and b.value is not None:
        return g.constant(a.value - b.value)
    if b.value == 0.0:
        return a
    if b.value is not None:
        return _add(a, g.constant(-b.value))
    if b.op == "mul":
        x, y = b.args
        return g.node("fma", -x, y, a) if x.value is not None else g.node("fma", x, -y, a)
    if a.op == "mul":
        return g.node("fma", *a.args, -b)
    return g.node("sub", a, b)


def _multiply(a: Expr, b: Expr) -> Expr:
    g = a.graph
    if a.value is not None and b.value is not None:
        return g.constant(a.value * b.value)
    if a.value == 1.0:
        return b
    if b.value == 1.0:
        return a
    if a.value == 0.0 or b.value == 0.0:
        return g.constant(0.0)
    return g.node("mul", a, b)


def _divide(a: Expr, b: Expr) -> Expr:
    if b.value is not None:
        return _multiply(a, a.graph.constant(1.0 / b.value))
    if is_uniform(b):  # one division a run instead of one a day and patient
        return _multiply(a, a.graph.node("div", a.graph.constant(1.0), b))
    return a.graph.node("div", a, b)


def _graph(*values: Expr | Number) -> Graph:
    for v in values:
        if isinstance(v, Expr):
            return v.graph
    raise TypeError("at least one argument must be a model value")


def exp(x: Expr) -> Expr:
    """Exponential."""
    return x.graph.node("exp", x)


def log(x: Expr) -> Expr:
    """Natural logarithm."""
    return x.graph.node("log", x)


def sqrt(x: Expr) -> Expr:
    """Square root."""
    return x.graph.node("sqrt", x)


def cos2pi(x: Expr) -> Expr:
    """Cosine of 2*pi*x, for 0 <= x <= 1."""
    return x.graph.node("cos2pi", x)


def floor(x: Expr) -> Expr:
    """Largest integer not above x."""
    return x.graph.node("floor", x)


def power10(x: Expr) -> Expr:
    """10**x."""
    return exp(x * 2.302585092994046)


def minimum(a: Expr | Number, b: Expr | Number) -> Expr:
    """Return the smaller of two values."""
    g = _graph(a, b)
    return g.node("min", g.wrap(a), g.wrap(b))


def maximum(a: Expr | Number, b: Expr | Number) -> Expr:
    """Return the larger of two values."""
    g = _graph(a, b)
    return g.node("max", g.wrap(a), g.wrap(b))


def where(condition: Expr, a: Expr | Number, b: Expr | Number) -> Expr:
    """``a`` where the condition holds, else ``b``."""
    g = condition.graph
    return g.node("where", condition, g.wrap(a), g.wrap(b))


def is_uniform(x: Expr) -> bool:
    """Whether a value is the same for all patients of a run: made of literals and population parameters only."""
    stack, seen = [x], set()
    while stack:
        n = stack.pop()
        if n.index in seen:
            continue
        seen.add(n.index)
        if n.op not in _PURE and n.op not in ("const", "theta"):
            return False
        stack.extend(n.operands)
    return True


_PURE = frozenset(
    {"add", "sub", "mul", "fma", "div", "neg", "power", "exp", "log", "sqrt", "cos2pi", "floor"}
    | {"min", "max", "where", "lt", "le", "and"}
)


def topological(roots: Iterable[Expr], stop: str | None = None) -> Iterator[Expr]:
    """Nodes that the roots need, operands first; does not descend below an operation named ``stop``."""
    seen: set[int] = set()
    for root in roots:
        stack: list[tuple[Expr, int]] = [(root, 0)]
        while stack:
            n, k = stack.pop()
            if n.index in seen:
                continue
            kids = [] if n.op == stop else n.operands
            if k < len(kids):
                stack.append((n, k + 1))
                if kids[k].index not in seen:
                    stack.append((kids[k], 0))
            else:
                seen.add(n.index)
                yield n
