"""Writes an expression of the model language as people write it: ``1 - drugs.entry``, ``B*(1.05*C/(C + 0.05))``."""

from __future__ import annotations

from stemtrial.kernel.graph import Expr
from stemtrial.kernel.model import YEAR

_SUM, _PRODUCT, _ATOM = 1, 2, 3
_SIGNS = {"lt": "<", "le": "<=", "and": "and"}


def formula(x: Expr) -> str:
    """Return an expression as text: states, parameters and named rates by their names, rounding steps left out."""
    return _write(x)[0]


def _write(x: Expr) -> tuple[str, int]:
    """Text and how tightly it binds."""
    if x.op == "const":
        return f"{x.args[0]:.6g}", _ATOM if x.args[0] >= 0 else _SUM
    if x.op in ("state", "theta", "patient", "rate", "draw"):
        return str(x.args[0]), _ATOM
    if x.op == "day":
        return "day", _ATOM
    if x.op == "slow":
        return _write(x.args[0])
    if x.op == "neg":
        return "-" + _inside(x.args[0], _PRODUCT), _SUM
    if x.op == "add":
        return _sum(*x.args), _SUM
    if x.op == "sub":
        return f"{_write(x.args[0])[0]} - {_inside(x.args[1], _PRODUCT)}", _SUM
    if x.op == "mul":
        a, b = x.args
        if a.value == -1.0:
            return "-" + _inside(b, _PRODUCT), _SUM
        if b.op == "div" and b.args[0].value == 1.0:  # one division a run instead of one a day, see the graph
            return f"{_inside(a, _PRODUCT)}/{_inside(b.args[1], _ATOM)}", _PRODUCT
        if b.value is not None and abs(b.value * YEAR - 1.0) < 1e-12:
            return f"{_inside(a, _PRODUCT)}/{YEAR:g}", _PRODUCT
        return f"{_inside(a, _PRODUCT)}*{_inside(b, _PRODUCT)}", _PRODUCT
    if x.op == "fma":
        a, b, c = x.args
        negative = next((k for k in (0, 1) if _negated(x.args[k])), None)
        if negative is None:
            return _sum(a.graph.node("mul", a, b), c), _SUM
        pair = [a, b]
        texts = [_inside(p, _PRODUCT) if k != negative else _unsigned(p) for k, p in enumerate(pair)]
        product = "*".join(t for t in texts if t != "1")
        return f"{_inside(c, _SUM)} - {product or '1'}", _SUM
    if x.op == "div":
        return f"{_inside(x.args[0], _PRODUCT)}/{_inside(x.args[1], _ATOM)}", _PRODUCT
    if x.op == "power":
        return f"{_inside(x.args[0], _ATOM)}**{_inside(x.args[1], _ATOM)}", _PRODUCT
    if x.op == "where":
        return f"({_write(x.args[1])[0]} if {_write(x.args[0])[0]} else {_write(x.args[2])[0]})", _ATOM
    if x.op in _SIGNS:
        return f" {_SIGNS[x.op]} ".join(_inside(a, _SUM) for a in x.args), 0
    return f"{x.op}({', '.join(_write(a)[0] for a in x.operands)})", _ATOM


def _sum(a: Expr, b: Expr) -> str:
    if b.value is not None and b.value < 0:
        return f"{_write(a)[0]} - {-b.value:.6g}"
    if b.op == "neg":
        return f"{_write(a)[0]} - {_inside(b.args[0], _PRODUCT)}"
    if a.value is not None and a.value < 0:
        return f"{_inside(b, _SUM)} - {-a.value:.6g}"
    return f"{_write(a)[0]} + {_inside(b, _SUM)}"


def _inside(x: Expr, binds: int) -> str:
    text, own = _write(x)
    return f"({text})" if own < binds else text


def _negated(x: Expr) -> bool:
    return x.op == "neg" or (x.value is not None and x.value < 0)


def _unsigned(x: Expr) -> str:
    return _inside(x.args[0], _PRODUCT) if x.op == "neg" else f"{-float(x.args[0]):.6g}"
