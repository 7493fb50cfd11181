"""The expression graph: sharing, local rounding, refused misuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemtrial.errors import InputError
from stemtrial.kernel import Model, exp, floor, log, maximum, minimum, power10, where
from stemtrial.kernel.graph import Graph, is_uniform
from stemtrial.kernel.numpy_backend import evaluate


def build() -> tuple[Model, dict]:
    m = Model("toy")
    return m, {k: m.state(k, "1", "") for k in "xyz"}


def value(node, **states):
    def leaf(n):
        return float(n.args[0]) if n.op == "const" else states.get(n.args[0]) if n.op == "state" else None

    return evaluate([node], {}, leaf)[0]


def test_the_same_expression_is_one_node():
    _, s = build()
    x, y = s["x"], s["y"]
    assert exp(x * y + 1.0) is exp(x * y + 1.0)
    assert x + y is not y + x  # sharing goes by shape, and so does rounding
    assert x.graph.constant(2) is x.graph.constant(2.0)


def test_reads_of_a_changing_state_are_never_shared():
    g = Graph()
    assert g.fresh("now", "x") is not g.fresh("now", "x")


def test_adding_to_a_product_is_one_fma():
    _, s = build()
    x, y, z = (s[k] for k in "xyz")
    for node in (x * y + z, z + x * y, z - x * y, x * y - z):
        assert node.op == "fma"
    assert (x * y + 0.0).op == "mul"


def shape(node) -> str:
    inner = ", ".join(shape(a) if hasattr(a, "op") else repr(a) for a in node.args)
    return f"{node.op}({inner})"


def test_fusion_is_local_other_consumers_change_nothing():
    _, s = build()
    alone = shape(s["x"] * s["y"] + s["z"])
    _, s = build()
    product = s["x"] * s["y"]
    exp(product)  # the product has other consumers, before
    node = product + s["z"]
    product * product + s["y"]  # and after
    assert shape(node) == alone == "fma(state('x'), state('y'), state('z'))"


def test_a_rate_is_a_rounding_point():
    m, s = build()
    rate = m.rate("pace", s["x"] * s["y"], "1", "")
    assert (rate + s["z"]).op == "add"
    assert (s["z"] - rate).op == "sub"


def test_modifiers_of_a_rate_leave_the_nodes_that_read_it_alone():
    shapes = []
    for families in ((), ("b", "a")):
        m, s = build()
        rate = m.rate("pace", s["x"] * 2.0, "1", "")
        m.update(s["y"], s["y"] + rate * s["z"])
        for f in families:
            with m.owned_by(f):
                m.modify("pace", 1.0 - m.state(f"{f}.level", "1", ""))
        m.finish()
        shapes.append((m.next["y"].op, [a.op for a in m.next["y"].operands]))
    assert shapes[0] == shapes[1]
    # factors multiply in the order of their owners' names, not of composition
    assert [next(a.args[0] for a in f.operands if a.op == "state") for f in rate.args[2:]] == ["a.level", "b.level"]


@given(st.floats(-50, 50), st.floats(-50, 50), st.floats(0.01, 50))
def test_arithmetic_means_what_python_means(x, y, z):
    _, s = build()
    a, b, c = (s[k] for k in "xyz")
    known = {"x": x, "y": y, "z": z}
    pairs = [
        (a + b, x + y), (a - b, x - y), (a * b, x * y), (a / c, x / z), (2.0 / c, 2.0 / z), (-a, -x), (3 - a, 3 - x),
        (a / 4, x / 4), (a**1, x), (a**2, x**2), (a**5, x**5), (a * 1.0, x), (a * 0.0, 0.0), (a + 0, x), (0 - a, -x),
        (c**0.5, z**0.5), (c**-1, 1 / z), (log(c), math.log(z)), (exp(b / 50), math.exp(y / 50)),
        (power10(b / 50), 10 ** (y / 50)), (floor(a), math.floor(x)),
        (minimum(a, 1.0), min(x, 1.0)), (maximum(a, b), max(x, y)), (where(a < b, 1.0, 2.0), 1.0 if x < y else 2.0),
        (where(a >= 3.0, a, b), x if x >= 3 else y), (where((a > 0) & (b <= 0), 1, 0), float(x > 0 and y <= 0)),
    ]  # fmt: skip
    for node, expected in pairs:
        assert value(node, **known) == pytest.approx(expected, rel=1e-12, abs=1e-12), node


def test_literals_are_folded():
    g = Graph()
    assert (g.constant(2) * 3 + 4).value == 10
    assert (-g.constant(2)).value == -2
    assert (g.constant(1) / 4).value == 0.25


def test_division_by_what_is_the_same_for_all_is_a_multiplication():
    m, s = build()
    theta = m.parameter("tau")
    assert (s["x"] / 4.0).op == "mul"
    assert (s["x"] / (theta * 2.0)).op == "mul"
    assert (s["x"] / s["y"]).op == "div"
    assert (s["x"] / m.day).op == "div"


def test_what_is_uniform():
    m, s = build()
    theta, constant = m.parameter("a"), m.constant("alpha", "1", "")
    assert is_uniform(exp(theta * 2.0))
    for x in (s["x"], constant, m.day, m.rate("r", 1.0, "1", ""), theta + constant):
        assert not is_uniform(x)


def test_a_model_value_has_no_truth_value():
    _, s = build()
    with pytest.raises(TypeError, match="use where"):
        bool(s["x"] > 1.0)
    with pytest.raises(TypeError, match="use where"):
        max(s["x"], s["y"])


def test_minimum_needs_a_model_value():
    with pytest.raises(TypeError, match="model value"):
        minimum(1.0, 2.0)


# -- refused misuse of the model language ------------------------------------------------------------------------
def test_names_are_declared_once():
    m, _ = build()
    m.rate("pace", 1.0, "1", "")
    with m.owned_by("drug"), pytest.raises(InputError, match=r"state 'x' is declared twice, by toy and by drug"):
        m.state("x", "1", "")
    with pytest.raises(InputError, match="rate 'pace' is declared twice"):
        m.rate("pace", 1.0, "1", "")


def test_unknown_names_come_with_a_suggestion():
    m, _ = build()
    m.rate("lesion_activity", 1.0, "1", "")
    m.state("effector", "1", "")
    with pytest.raises(InputError, match=r"not open to modifiers; did you mean 'lesion_activity'\?"):
        m.modify("lesions_activity", 0.5)
    with pytest.raises(InputError, match=r"not exported; did you mean 'effector'\?"):
        m.state_node("efector")


def test_rates_in_a_circle_are_refused():
    m, s = build()
    a = m.rate("a", s["x"], "1", "")
    b = m.rate("b", s["y"] * a, "1", "")
    m.modify("a", 1.0 + b)
    with pytest.raises(InputError, match=r"rate 'a' depends on itself|rate 'b' depends on itself"):
        m.finish()


def test_a_rate_may_read_another():
    m, s = build()
    a = m.rate("a", s["x"], "1", "")
    m.rate("b", s["y"] * a, "1", "")
    m.finish()


def test_a_therapy_moves_only_its_own_states():
    m, s = build()
    with m.owned_by("drug"):
        for move in (lambda: m.flow(s["x"], s["y"]), lambda: m.relax(s["x"], 0, 3.0), lambda: m.update(s["x"], s["y"])):
            with pytest.raises(InputError, match=r"drug may not move state 'x' of toy; modify a rate"):
                move()
        m.relax(m.state("drug.level", "1", ""), 1.0, 3.0)


def test_a_slow_value_reads_no_state():
    for what in ("state", "draw", "rate"):
        m, s = build()
        bad = {"state": s["x"], "draw": m.uniform("u"), "rate": m.rate("r", 1.0, "1", "")}[what]
        m.update(s["x"], m.slow(bad * 2.0) + s["x"])
        with pytest.raises(InputError, match=f"slow value may use .* and the day, not {what}"):
            m.finish()


def test_doses_know_their_amounts():
    m, s = build()

    def effect(e):
        e.add(s["x"], e.amount("celIs"))

    with pytest.raises(InputError, match=r"dose 'graft' has no amount 'celIs'; did you mean 'cells'\?"):
        m.on_dose("graft", effect, ("cells",), "")


def test_relaxation_is_exact_for_a_constant_target():
    m, s = build()
    m.relax(s["x"], to=2.0, tau=5.0)
    x = 7.0
    for _ in range(10):
        x = value(m.next["x"], x=x)
    assert x == pytest.approx(2.0 + 5.0 * np.exp(-2.0), rel=1e-13)


def test_flows_add_up():
    m, s = build()
    m.flow(s["x"], s["y"] * 2.0)
    m.flow(s["x"], s["z"] * -1.0)
    assert value(m.next["x"], x=1.0, y=3.0, z=0.5) == 6.5
