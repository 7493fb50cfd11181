"""Grafts on a few people: what the tests of grafts share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from stemtrial.kernel import Schedule
from stemtrial.therapy import compose
from stemtrial.therapy.info import therapy_info
from stemtrial.therapy.prescribe import prescribe

REGIONS = ("pv", "cj", "it", "sc", "on")
N = 96
FOETAL = {"product": "foetal-allogeneic", "route": "intracerebroventricular", "dose_1e6": 24.0}
OWN = {"product": "ipsc-autologous", "route": "intracerebroventricular", "dose_1e6": 24.0}
PRECURSORS = {"product": "ipsc-autologous", "route": "intraparenchymal", "dose_1e6": 100.0}
BANK = PRECURSORS | {"product": "ipsc-allogeneic-bank"}
TACROLIMUS = {"immunosuppression": "tacrolimus"}


def graft_kernel() -> Any:
    """The MS patient with both grafts (compiled once a session)."""
    return compose("ms", ("nsc", "opc"))


def regimen(therapy: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Fields of a regimen entry, defaults filled in."""
    known = {k: f.default for k, f in therapy_info(therapy).fields.items() if f.default is not None}
    return known | {"day": 0} | fields


def schedule(kernel: Any, n: int, therapy: str, fields: dict[str, Any], p: Any, **facts: Any) -> Schedule:
    """Doses of one entry for ``n`` people."""
    given = {"edss": np.full(n, 5.0), "year": np.full(n, 2020.0), "day": np.zeros(n)}
    given |= {k: np.broadcast_to(np.asarray(v, float), n) for k, v in facts.items()}
    parts = []
    for order in prescribe(therapy, regimen(therapy, fields), given, parameters=p):
        amounts = np.zeros((n, 6)) if order.amounts is None else order.amounts
        parts.append(Schedule(np.arange(n), np.full(n, order.day), np.full(n, kernel.dose(order.dose)), amounts))
    return Schedule.join(parts)


@dataclass
class Course:
    """What became of people: states at the end, observables (visits, people), events by kind."""

    state: dict[str, Any]
    seen: dict[str, Any]
    events: dict[str, int]
    told: dict[str, Any]

    def total(self, stem: str) -> Any:
        """Sum of a state over the regions."""
        return sum(self.state[f"{stem}_{r}"] for r in REGIONS)


def follow(
    people: Any, p: Any, days: int, therapy: str = "", fields: Any = None, *, n: int = N, every: int = 30,
    doses: Schedule | None = None, start: Any = None, age: float | None = None, **facts: Any,
) -> Course:  # fmt: skip
    """Treat people with 6 ml of demyelinated tissue and follow them."""
    kernel = graft_kernel()
    naked = {"D_pv": 3.0, "D_cj": 2.0, "D_it": 0.5, "D_sc": 0.5} | (start or {})
    crowd = people(kernel, n, p=p, **{k: np.full(n, v) for k, v in naked.items()})
    if age is not None:
        crowd.constants[kernel.constants.index("age0")] = age
    if doses is None:
        doses = schedule(kernel, n, therapy, fields, p, **facts) if therapy else Schedule.empty()
    at = np.arange(0, days + 1, every)
    visits = np.tile(np.arange(n), len(at)), np.repeat(at, n)
    got = kernel.advance(crowd, 0, days + 1, p, 5, schedule=doses, visits=visits, threads=2)
    count = {k: int((got.events["kind"] == e).sum()) for k, e in kernel.model.event_kinds.items()}
    return Course(
        {s: crowd.state[kernel.row(s)] for s in kernel.states},
        {k: np.asarray(v).reshape(len(at), n) for k, v in got.observed.items()},
        count,
        got.events,
    )
