"""The fast kernel against its NumPy twin, which shares the model with it and no other code: states, visits, events."""

from __future__ import annotations

import numpy as np
import pytest

from stemtrial.kernel import Schedule
from stemtrial.therapy import compose_ms
from stemtrial.therapy.drugs import DRUGS

FAMILIES = ("ahsct", "drugs", "steroids")
TOLERANCE = 1e-10


def course(kernel, n: int, days: int):
    """Doses, visits, starts, ends: thirds are untreated, on drugs (switched, stopped), transplanted."""
    i = np.arange(n)
    start, end = (i * 13) % 40, days - (i * 7) % 90
    rows: list[tuple[int, int, str, list[float]]] = []
    for k in i:
        if k % 3 == 1:
            rows.append((k, start[k] + k % 60, f"drugs.start.{DRUGS[k % 6]}", []))
            rows.append((k, 300 + k % 50, f"drugs.start.{DRUGS[(k + 1) % 6]}", []))
            rows.append((k, 480 + k % 9, "drugs.stop", []))
        if k % 3 == 2:
            day = 60 + k % 100
            rows.append((k, day - 21, "ahsct.mobilise", []))
            intensity = ("low", "intermediate", "high")[k % 9 // 3]
            rows.append(
                (k, day, f"ahsct.infuse.{intensity}", [2.0 + k % 7, 1.0 + k % 6, 2004.0 + k % 12, float(k % 2)])
            )
            rows.append((k, day, "drugs.stop", []))
    amounts = np.zeros((len(rows), 4))
    for a, row in zip(amounts, rows, strict=True):
        a[: len(row[3])] = row[3]
    doses = Schedule(
        np.array([r[0] for r in rows]), np.array([r[1] for r in rows]),
        np.array([kernel.dose(r[2]) for r in rows]), amounts,
    )  # fmt: skip
    at = np.concatenate([start, *(np.minimum(start + d, end) for d in range(91, days, 91)), end])
    return start, end, doses, (np.tile(i, len(at) // n), at)


def compare(people, point, n: int, days: int, truth: bool = False) -> dict[str, float]:
    """Largest relative difference of each kind; fails where it exceeds the tolerance or an event differs."""
    got = {}
    for backend in ("numba", "numpy"):
        kernel = compose_ms(FAMILIES, backend=backend, truth=truth)
        crowd = people(kernel, n)
        start, end, doses, visits = course(kernel, n, days)
        out = kernel.advance(crowd, start, end, point, 2026, schedule=doses, visits=visits)
        got[backend] = kernel, crowd, out
    (kernel, a, x), (_, b, y) = got["numba"], got["numpy"]
    for key in ("patient", "day", "kind"):
        np.testing.assert_array_equal(x.events[key], y.events[key], err_msg=key)
    assert len(x.failed["patient"]) == len(y.failed["patient"]) == x.overflow == 0
    told = {
        "state": _difference({k: (a.state[j], b.state[j]) for j, k in enumerate(kernel.states)}),
        "observed": _difference({k: (x.observed[k], y.observed[k]) for k in x.observed}),
        "event value": _difference({"value": (x.events["value"], y.events["value"])}),
        "events": float(len(x.events["day"])),
    }
    names = {v: k for k, v in kernel.model.event_kinds.items()}
    told["kinds"] = len({names[int(k)] for k in x.events["kind"]})
    return told


def _difference(pairs) -> float:
    worst = 0.0
    for name, (a, b) in pairs.items():
        assert (np.isnan(a) == np.isnan(b)).all(), name
        worst = max(worst, float(np.nanmax(np.abs(a - b) / np.maximum(1.0, np.abs(b)), initial=0.0)))
        np.testing.assert_allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE, err_msg=name)
    return worst


def test_the_kernel_agrees_with_its_twin(people, point):
    told = compare(people, point, 200, 700)
    assert told["events"] > 200
    assert told["kinds"] >= 5, "too few kinds of events happened for the comparison to mean something"


@pytest.mark.slow
def test_the_kernel_agrees_with_its_twin_for_five_years(people, point):
    told = compare(people, point, 500, 1826)
    print("largest differences of 500 patients over 5 years:", told)
    assert told["kinds"] >= 6
