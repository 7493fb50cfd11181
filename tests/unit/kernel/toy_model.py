"""A small model that uses every element of the language, for tests of how kernels run."""

from __future__ import annotations

from typing import Any

import numpy as np

from stemtrial.kernel import Kernel, Model, Population, exp, where

PARAMETERS = {"toy.rate": 0.3, "toy.extra": 1.5, "toy.tau": 9.0, "toy.hazard": 0.02}


def toy(*, family: bool = False, steps_per_day: int = 1) -> Model:
    """Clusters arrive, units leave, two chances share a uniform, a dose arms a hazard, a normal wanders."""
    m = Model("toy", steps_per_day)
    p = {k.split(".")[1]: m.parameter(k) for k in PARAMETERS}
    speed = m.constant("speed", "rel", "")
    seasonal = m.slow(speed * exp(m.day * -0.001))
    x = m.state("x", "1", "", 1.0)
    units, total = m.state("units", "1", ""), m.state("total", "1", "")
    first, second = m.state("first", "1", ""), m.state("second", "1", "")
    parts = [m.state(f"part{k}", "1", "") for k in range(3)]
    drug = m.rate("pace", seasonal, "1", "")
    m.relax(x, to=drug + m.normal("toy.noise") * 0.1, tau=p["tau"])
    u = m.uniform("toy.low")

    def unit(e: Any) -> None:
        z, _ = e.normals()
        k = e.choose([0.5, 0.3, 0.2], e.uniform())
        low, high = e.half_uniforms()
        e.set_at(parts, k, e.read_at(parts, k) + exp(0.1 * z))
        e.add(units, 1.0)
        e.add(total, 1.0)
        e.log("unit", low + high, when=(low < 0.03) & (e.read(x) > -9.0))

    m.arrive("toy.unit", x * p["rate"] * where(x > 0.0, 1.0, 0.0), unit, m.uniform("toy.arrive"), extra=p["extra"])
    m.remove("toy.leave", units, 12.0, u)
    m.happen("toy.first", speed * 0.02, lambda e: e.add(first, 1.0), u)
    m.happen("toy.second", m.graph.constant(0.03), lambda e: e.add(second, 1.0), u)
    m.hazard("toy.bell", p["hazard"] * speed, lambda e: e.log("bell", e.read(x)))

    def give(e: Any) -> None:
        e.scale(x, 1.0 - e.amount("cut"))
        e.add(x, e.amount("plus"))
        e.arm("toy.bell")
        e.log("given", e.amount("plus"))

    m.on_dose("give", give, ("cut", "plus"), "")
    m.observe("x", x, "1", "")
    m.observe("units", units, "1", "")
    m.observe("mixed", x * 2.0 + parts[0] * speed + m.day, "1", "")
    if family:
        with m.owned_by("drug"):
            level = m.state("drug.level", "1", "")
            m.relax(level, to=0.0, tau=30.0)
            m.modify("pace", 1.0 - 0.5 * level)
            m.hazard("drug.harm", level * 0.1, lambda e: e.log("harm"))
            m.on_dose("drug.start", lambda e: [e.set(level, 1.0), e.arm("drug.harm")], (), "")
    return m


def crowd(kernel: Kernel, n: int, first: int = 0) -> Population:
    """A population in which everybody differs."""
    i = np.arange(first, first + n)
    return kernel.population(i % 3, i, {"speed": 0.5 + (i % 7) / 7}, {"x": (i % 5) / 2.0, "units": i % 4})
