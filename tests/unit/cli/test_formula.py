"""Formulas as ``explain`` prints them give the values that the model computes."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from stemtrial.kernel import Model, exp, log, maximum, minimum, sqrt, where
from stemtrial.kernel.graph import Expr
from stemtrial.report.formula import formula
from stemtrial.therapy import acting_on, compose

CALLS = {"exp": math.exp, "log": math.log, "sqrt": math.sqrt, "floor": math.floor, "min": min, "max": max}
MODEL = compose("ms", acting_on("ms")).model


def names(x: Expr) -> set[str]:
    found, stack = set(), [x]
    while stack:
        n = stack.pop()
        if n.op in ("state", "theta", "patient", "rate", "draw"):
            found.add(str(n.args[0]))
        if n.op != "rate":
            stack += n.operands
    return found | {"day"}


def by_hand(x: Expr, v: dict[str, float]) -> float:
    """Evaluate the graph itself."""
    if x.op == "const":
        return float(x.args[0])
    if x.op in ("state", "theta", "patient", "rate", "draw"):
        return v[str(x.args[0])]
    if x.op == "day":
        return v["day"]
    a = [by_hand(o, v) for o in x.operands]
    return float(
        {
            "slow": lambda: a[0], "neg": lambda: -a[0], "add": lambda: a[0] + a[1], "sub": lambda: a[0] - a[1],
            "mul": lambda: a[0] * a[1], "div": lambda: a[0] / a[1], "fma": lambda: a[0] * a[1] + a[2],
            "power": lambda: a[0] ** a[1], "exp": lambda: math.exp(a[0]), "log": lambda: math.log(a[0]),
            "sqrt": lambda: math.sqrt(a[0]), "floor": lambda: math.floor(a[0]), "min": lambda: min(a),
            "max": lambda: max(a), "where": lambda: a[1] if a[0] else a[2], "lt": lambda: a[0] < a[1],
            "le": lambda: a[0] <= a[1], "and": lambda: bool(a[0]) and bool(a[1]),
        }[x.op]()
    )  # fmt: skip


def check(x: Expr) -> None:
    known = sorted(names(x), key=len, reverse=True)
    text = formula(x)
    for k, name in enumerate(known):
        text = re.sub(rf"(?<![\w.]){re.escape(name)}(?![\w.])", f"v[{k}]", text)
    rng = np.random.default_rng(7)
    for _ in range(5):
        v = {name: float(u) for name, u in zip(known, rng.uniform(0.1, 0.9, len(known)), strict=True)}
        value = eval(text, {"__builtins__": {}}, CALLS | {"v": [v[name] for name in known]})
        assert value == pytest.approx(by_hand(x, v), rel=1e-4), formula(x)  # numbers are printed to 6 digits


@pytest.mark.parametrize("state", MODEL.next)
def test_next_values(state):
    check(MODEL.next[state])


@pytest.mark.parametrize("rate", MODEL.rates)
def test_rates_and_their_modifiers(rate):
    r = MODEL.rates[rate]
    for x in (r.node.args[1], *(factor for _, factor in r.modifiers)):
        check(x)


def test_signs_and_brackets():
    m = Model("toy")
    a, b, c = (m.state(n, "1", n) for n in "abc")
    shapes = [
        a - (b - c), a - (b + c), a / (b * c), a / b / c, a * (b / c), -(a + b), -a * b, a - b * c, a * b - c,
        (a - b) * (c - a), 1.0 - a, a - 1.0, 2.0 - a * -3.0, exp(-a), log(a) - -b, minimum(a, maximum(b, c)),
        sqrt(a * b) ** 3, where(a < b, a - c, b - (c - a)) * 2.0, (a + b) * (1.0 / 365.25), -(a * b) + c,
    ]  # fmt: skip
    for x in shapes:
        check(x)
    assert formula(a - (b - c)) == "a - (b - c)"
    assert formula(1.0 - a * b) == "1 - a*b"
