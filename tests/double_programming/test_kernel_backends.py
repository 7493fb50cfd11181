"""The fast kernel against its NumPy twin, which shares the model with it and no other code: states, visits, events."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stemtrial.kernel import Schedule
from stemtrial.therapy import acting_on, catalogue, compose, prescribe
from stemtrial.therapy.als_drugs import DRUGS as ALS_DRUGS
from stemtrial.therapy.drugs import DRUGS
from stemtrial.therapy.family import AMOUNTS

TOLERANCE = 1e-10
OFTEN = {"graft.tumour": 2e-3, "graft.ectopic": 0.2, "ahsct.mortality.low": 0.05}
"""Rare harm made frequent enough to be compared."""
CELLS_IN_ALS = (
    ("msc", {"product": "bone-marrow-ntf-autologous", "route": "intrathecal", "dose_1e6": 100.0, "courses": 3}),
    ("msc", {"product": "bone-marrow-autologous", "route": "intravenous", "dose_1e6": 60.0}),
    ("nsc", {"product": "foetal-spinal-allogeneic", "route": "intraspinal", "segments": "cervical_and_lumbar",
             "dose_1e6": 8.0, "immunosuppression": "tacrolimus", "immunosuppression_days": 200}),
    ("nsc", {"product": "npc-gdnf-allogeneic", "route": "intraspinal", "segments": "lumbar_unilateral",
             "dose_1e6": 5.0}),
    ("astrocytes", {"product": "hesc-astrocytes", "route": "intrathecal", "dose_1e6": 250.0, "courses": 2}),
    ("treg", {"dose_1e6_per_kg": 1.0, "courses": 4, "every_days": 28}),
)  # fmt: skip
CELLS = (
    ("msc", {"product": "bone-marrow-allogeneic", "route": "intravenous", "dose_1e6_per_kg": 2.0, "courses": 3}),
    ("msc", {"product": "bone-marrow-np-autologous", "route": "intrathecal", "dose_1e6": 60.0, "courses": 3}),
    ("msc", {"product": "adipose-autologous", "route": "intracerebroventricular", "dose_1e6": 60.0}),
    ("nsc", {"product": "foetal-allogeneic", "route": "intracerebroventricular", "dose_1e6": 24.0,
             "immunosuppression": "tacrolimus", "immunosuppression_days": 200}),
    ("nsc", {"product": "ipsc-autologous", "route": "intrathecal", "dose_1e6": 300.0, "courses": 2}),
    ("ipsc_opc", {"product": "ipsc-autologous", "route": "intraparenchymal", "dose_1e6": 100.0}),
    ("ipsc_opc", {"product": "ipsc-allogeneic-bank", "route": "intraspinal", "dose_1e6": 50.0, "courses": 2}),
)  # fmt: skip


def given_cells(k: int, p, cells=CELLS) -> list[tuple[int, str, list[float]]]:
    """Day, dose and amounts of what one patient gets; products, routes, hypotheses and centres in turn."""
    name, fields = cells[k % len(cells)]
    known = {f: x.default for f, x in catalogue()[name].fields.items() if x.default is not None}
    facts = {"edss": np.array([4.0]), "year": np.array([2015.0]), "day": np.zeros(1, int),
             "optimistic": np.array([k // 2 % 2]), "centre": np.array([0.5 + k % 5 / 3])}  # fmt: skip
    orders = prescribe(name, known | {"day": 0} | fields, facts, parameters=p)
    return [(40 + k % 70 + o.day, o.dose, [] if o.amounts is None else list(o.amounts[0])) for o in orders]


def course(kernel, n: int, days: int, p):
    """Doses, visits, starts, ends: one in six untreated, on drugs (switched, stopped), transplanted; the rest cells."""
    i = np.arange(n)
    start, end = (i * 13) % 40, days - (i * 7) % 90
    rows: list[tuple[int, int, str, list[float]]] = []
    for k in i:
        if kernel.model.name == "als":
            if k % 6 == 1:
                rows.append((k, start[k] + k % 60, f"als_drugs.take.{ALS_DRUGS[k // 6 % 7]}", [1.0 + k % 2]))
                rows.append((k, 480 + k % 9, "als_drugs.stop", []))
            if k % 6 < 3:
                rows.append((k, start[k] + k % 90, "riluzole.take.riluzole", [0.5 + k % 3 / 2]))
                rows.append((k, 500 + k % 9, "riluzole.stop", []))
            else:
                rows += [(k, *dose) for dose in given_cells(k, p, CELLS_IN_ALS)]
            continue
        if k % 6 == 1:
            rows.append((k, start[k] + k % 60, f"drugs.start.{DRUGS[k // 6 % 6]}", []))
            rows.append((k, 300 + k % 50, f"drugs.start.{DRUGS[(k // 6 + 1) % 6]}", []))
            rows.append((k, 480 + k % 9, "drugs.stop", []))
        if k % 6 == 2:
            day = 60 + k % 100
            rows.append((k, day - 21, "ahsct.mobilise", []))
            intensity = ("low", "intermediate", "high")[k // 6 % 3]
            carried = [2.0 + k % 7, 1.0 + k % 6, 2004.0 + k % 12, k // 6 % 2, k % 4 / 3, k % 5 == 0]
            rows.append((k, day, f"ahsct.infuse.{intensity}", carried))
            rows.append((k, day, "drugs.stop", []))
        if k % 6 > 2:
            rows += [(k, *dose) for dose in given_cells(k, p)]
    amounts = np.zeros((len(rows), AMOUNTS))
    for a, row in zip(amounts, rows, strict=True):
        a[: len(row[3])] = row[3]
    doses = Schedule(
        np.array([r[0] for r in rows]), np.array([r[1] for r in rows]),
        np.array([kernel.dose(r[2]) for r in rows]), amounts,
    )  # fmt: skip
    at = np.concatenate([start, *(np.minimum(start + d, end) for d in range(91, days, 91)), end])
    return start, end, doses, (np.tile(i, len(at) // n), at)


def compare(people, point, n: int, days: int, disease: str = "ms", truth: bool = False) -> dict[str, Any]:
    """Largest relative difference of each kind; fails where it exceeds the tolerance or an event differs."""
    got, p = {}, point | OFTEN
    for backend in ("numba", "numpy"):
        kernel = compose(disease, acting_on(disease), backend=backend, truth=truth)
        crowd = people(kernel, n)
        start, end, doses, visits = course(kernel, n, days, p)
        out = kernel.advance(crowd, start, end, p, 2026, schedule=doses, visits=visits)
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
    told["kinds"] = {names[int(k)] for k in x.events["kind"]}
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
    assert told["kinds"] >= {"relapse", "mobilisation", "engraftment", "nsc_ectopic_tissue", "opc_ectopic_tissue"}


def test_the_kernel_of_als_with_its_therapies_agrees_with_its_twin(people, point):
    told = compare(people, point, 200, 900, "als")
    ectopic = {f"{family}_ectopic_tissue" for family in ("nsc", "astrocyte")}
    assert told["kinds"] >= {"death", "niv", "gastrostomy", "tracheostomy", *ectopic}


@pytest.mark.slow
def test_the_kernel_agrees_with_its_twin_for_five_years(people, point):
    told = compare(people, point, 500, 1826)
    print("largest differences of 500 patients over 5 years:", told)
    assert told["kinds"] >= {"treatment_death", "opc_graft_tumour", "nsc_ectopic_tissue", "opc_ectopic_tissue"}
