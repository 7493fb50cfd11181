"""The kernel on the full MS model and on the ALS patient: rate, share of the peak, ratios to its twins, scaling."""

from __future__ import annotations

import importlib.util
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import assemblies, flops_per_lane, fma_peak, load_average, peak_memory, registers
from stemtrial.cohort.als import population as als
from stemtrial.cohort.ms import population as ms
from stemtrial.kernel import Kernel, Population, Schedule
from stemtrial.kernel.compile import compile_program
from stemtrial.kernel.numba_backend import print_numba
from stemtrial.parameters import point_draw
from stemtrial.therapy import catalogue, compose, family_of, prescribe
from stemtrial.therapy.family import AMOUNTS, amounts

ALL = ("ahsct", "drugs", "steroids")
CELLS = {
    "MSC": ("msc", {"product": "bone-marrow-autologous", "route": "intrathecal", "dose_1e6_per_kg": 1.0, "courses": 3}),
    "NSC": ("nsc", {"product": "foetal-allogeneic", "route": "intracerebroventricular", "dose_1e6": 24.0,
                    "immunosuppression": "tacrolimus"}),
    "OPC": ("ipsc_opc", {"product": "ipsc-allogeneic-bank", "route": "intraparenchymal", "dose_1e6": 100.0,
                         "immunosuppression": "tacrolimus"}),
}  # fmt: skip
"""Cell therapies by the name of their case: therapy and fields of the entry."""
P = point_draw()[0]
RUN_IN, DAYS, VISIT = 1096, 720, 84


def people(kernel: Kernel, n: int) -> Population:
    """People three years into relapsing MS, or into ALS (those who died stay in: they cost as much)."""
    index = np.arange(n, dtype=np.uint64)
    if kernel.model.name == "als":
        constants, state = als.people_at_onset(1, index, P)
    else:
        year, duration = np.full(n, 2008.0), np.full(n, 3.0)
        constants, state = ms.people_at_onset(1, index, P, entry_year=year, duration_years=duration)
    population = kernel.population(0, index, constants, state)
    kernel.advance(population, 0, RUN_IN, P, 1)
    return population


def schedule(kernel: Kernel, n: int, what: str) -> Schedule:
    """Nobody treated, everybody on natalizumab, transplanted after mobilisation, or given cells."""
    rows = np.arange(n)

    def all_get(dose: str, day: int, carried: tuple[float, ...] = ()) -> Schedule:
        return Schedule(rows, np.full(n, day), np.full(n, kernel.dose(dose)), amounts(n, *carried))

    if what == "natalizumab":
        return all_get("drugs.start.natalizumab", RUN_IN)
    if what == "aHSCT":
        graft = all_get("ahsct.infuse.low", RUN_IN + 21, (5.0, 3.0, 2012.0, 0.0))
        return Schedule.join([all_get("ahsct.mobilise", RUN_IN), graft])
    if what in CELLS:
        name, fields = CELLS[what]
        known = {k: f.default for k, f in catalogue()[name].fields.items() if f.default is not None}
        facts = {"edss": np.full(n, 3.0), "year": np.full(n, 2012.0), "day": np.full(n, RUN_IN)}
        orders = prescribe(name, known | {"day": 0} | fields, facts, parameters=P)
        return Schedule.join([
            Schedule(rows, np.full(n, RUN_IN + o.day), np.full(n, kernel.dose(o.dose)),
                     np.zeros((n, AMOUNTS)) if o.amounts is None else o.amounts)
            for o in orders
        ])  # fmt: skip
    return Schedule.empty()


class Case:
    """One kernel on one schedule, timed by the CPU clock of the thread."""

    def __init__(self, name: str, kernel: Kernel, n: int, what: str = "untreated", days: int = DAYS) -> None:
        self.name, self.kernel, self.n, self.days = name, kernel, n, days
        self.people = people(kernel if kernel.backend == "numba" else compose("ms", ALL), n)
        self.state = self.people.state.copy()
        self.schedule = schedule(kernel, n, what)
        at = np.arange(RUN_IN, RUN_IN + days + 1, VISIT)
        self.visits = (np.repeat(np.arange(n), len(at)), np.tile(at, n))
        self.rates: list[float] = []
        self.events = 0

    def run(self) -> None:
        self.people.state[:] = self.state
        t = time.thread_time()
        got = self.kernel.advance(
            self.people, RUN_IN, RUN_IN + self.days, P, 1, schedule=self.schedule, visits=self.visits
        )
        self.rates.append(self.n * self.days / (time.thread_time() - t))
        self.events = len(got.events["day"])

    @property
    def lesions(self) -> float:
        """New lesions a day; 0 in ALS."""
        if "n_t2" not in self.kernel.states:
            return 0.0
        row = self.kernel.row("n_t2")
        return float((self.people.state[row] - self.state[row]).mean() / self.days / P["ms.pT2"])


def interleave(cases: list[Case], rounds: int) -> None:
    """Run all cases in turn, the first round uncounted."""
    for r in range(rounds + 1):
        for c in cases:
            c.run()
            if r == 0:
                c.rates.clear()


def machine_code(kernel: Kernel, rate: float) -> dict[str, Any]:
    """Flops a patient-day counted from the machine code, against the measured fma peak of the same core."""
    source = print_numba(kernel.program, kernel.width)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel_fresh.py"
        path.write_text(source)
        module = _fresh(path)
        fresh = Kernel(kernel.program, width=kernel.width)
        fresh.__dict__["_compiled"] = module.run
        fresh.advance(people(kernel, 64), RUN_IN, RUN_IN + 60, P, 1)
        code = assemblies(module, ("dense", "draw", "slow"))
    flops = {n: flops_per_lane(code[n], _stores_per_loop(_function(source, n))) for n in code}
    per_day = flops["dense"] + flops["draw"] / 4 + flops["slow"] / 28
    peak = fma_peak()
    return {
        "flops_per_lane": flops,
        "flops_per_patient_day": per_day,
        "not_counted": "scalar code of jumps, doses and visits",
        "fma_peak_gflops": peak / 1e9,
        "fraction_of_fma_peak": per_day * rate / peak,
        "registers_in_dense": registers(code["dense"]),
    }


def _fresh(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("kernel_fresh", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["kernel_fresh"] = module
    spec.loader.exec_module(module)
    return module


def _stores_per_loop(function: str) -> list[int]:
    """Rows that each lane loop of a printed function writes."""
    loops = function.split("for l in range(W):")[1:]
    return [len(re.findall(r"X\[[^\]]*\](?=[^=\n]*=)", loop)) for loop in loops]


def _function(source: str, name: str) -> str:
    found = re.search(rf"\ndef {name}\(.*?\n(?=\n|@|\Z)", source, flags=re.S)
    assert found is not None
    return found.group(0)


SCALING = """
import sys, time
from benchmarks.kernel import ALL, P, RUN_IN, people
from benchmarks.machine import peak_memory
from stemtrial.therapy import compose
n, days = int(sys.argv[1]), int(sys.argv[2])
k = compose("ms", ALL)
people(k, 64)
p = people(k, n)
t = time.thread_time()
k.advance(p, RUN_IN, RUN_IN + days, P, 1)
t = time.thread_time() - t
print(t / n / days, peak_memory())
"""


def scaling(quick: bool) -> list[dict[str, float]]:
    """CPU time a patient-day and peak memory for growing populations, each in a process of its own."""
    out = []
    for n in (10_000, 100_000) if quick else (10_000, 100_000, 1_000_000):
        done = subprocess.run(
            [sys.executable, "-c", SCALING, str(n), "200"], check=True, capture_output=True, text=True
        )
        cost, memory = (float(x) for x in done.stdout.split())
        out.append({"patients": n, "days": 200, "ns_per_patient_day": cost * 1e9, "peak_mib": memory / 2**20})
    for row in out:
        row["cost_relative"] = row["ns_per_patient_day"] / out[0]["ns_per_patient_day"]
    return out


def two_threads(kernel: Kernel, n: int, rounds: int) -> dict[str, float]:
    """Wall time of one thread over that of two: a claim about wall time, so only an idle machine tells it."""
    people_, best = people(kernel, n), {1: np.inf, 2: np.inf}
    state = people_.state.copy()
    for _ in range(rounds):
        for threads in best:
            people_.state[:] = state
            t = time.perf_counter()
            kernel.advance(people_, RUN_IN, RUN_IN + 360, P, 1, threads=threads)
            best[threads] = min(best[threads], time.perf_counter() - t)
    return {"ratio_of_wall_time": best[1] / best[2], "load_average": load_average()}


def measure(quick: bool = False) -> dict[str, Any]:
    """All figures of ``python -m benchmarks kernel``."""
    rounds, n = (3, 1024) if quick else (9, 4096)
    plain, full = compose("ms", ()), compose("ms", ALL)
    scalar = Kernel(full.program, width=1)
    compile_program(scalar.program, 1)
    twin = compose("ms", ALL, backend="numpy")
    cases = {
        "untreated": Case("untreated", plain, n),
        "ALS, untreated": Case("ALS", compose("als"), n),
        "ALS composed, untreated": Case("ALS composed", compose("als", ("riluzole", "als_drugs", "msc")), n),
        "composed, untreated": Case("composed, untreated", full, n),
        "composed, natalizumab": Case("composed, natalizumab", full, n, "natalizumab"),
        "composed, aHSCT": Case("composed, aHSCT", full, n, "aHSCT"),
        "composed, aHSCT, one patient an iteration": Case("scalar", scalar, n // 4, "aHSCT"),
    }
    for what, (name, _) in CELLS.items():
        with_cells = compose("ms", ("drugs", "steroids", family_of(name)))
        cases[f"{what} composed, untreated"] = Case(what, with_cells, n)
        cases[f"{what} composed, given"] = Case(what, with_cells, n, what)
    interleave(list(cases.values()), rounds)
    numpy_case = Case("numpy", twin, 512 if quick else 4096, "aHSCT", days=28)
    for _ in range(3):
        numpy_case.run()
    rate = {k: statistics.median(c.rates) for k, c in cases.items()}
    half, rest = "composed, aHSCT", "composed, aHSCT, one patient an iteration"
    widths = {}
    if not quick:
        swept = [Case(str(w), Kernel(full.program, width=w), n, "aHSCT") for w in (16, 32, 64, 128, 256)]
        interleave(swept, 3)
        widths = {c.name: statistics.median(c.rates) / 1e6 for c in swept}
    return {
        "patient_days_per_core_second": rate,
        "states": {k: len(c.kernel.states) for k, c in cases.items()},
        "state_days_per_core_second": {k: rate[k] * len(c.kernel.states) for k, c in cases.items()},
        "spread": {k: [min(c.rates), max(c.rates)] for k, c in cases.items()},
        "lesions_per_patient_day": {k: c.lesions for k, c in cases.items()},
        "fraction_of_fma_peak": (code := machine_code(full, rate["composed, untreated"]))["fraction_of_fma_peak"],
        "machine_code": code,
        "ratio_to_numpy": rate[half] / statistics.median(numpy_case.rates),
        "ratio_to_scalar_numba": rate[half] / rate[rest],
        "scaling": scaling(quick),
        "two_threads": two_threads(full, 8192 if quick else 65536, 3 if quick else 5),
        "block_width": widths,
        "load_average": load_average(),
        "peak_mib": peak_memory() / 2**20,
    }


def show(m: dict[str, Any]) -> None:
    """Print the figures for people."""
    print("patient-days a core-second (f64, CPU clock, median of interleaved rounds)")
    for k, v in m["patient_days_per_core_second"].items():
        low, high = (x / 1e6 for x in m["spread"][k])
        lesions = m["lesions_per_patient_day"][k]
        states, all_ = m["states"][k], m["state_days_per_core_second"][k] / 1e6
        print(
            f"  {k:44s} {v / 1e6:6.1f} M  ({low:.1f} to {high:.1f}), x {states} states = {all_:,.0f} M, "
            f"{lesions:.3f} lesions a day"
        )
    c = m["machine_code"]
    print(
        f"flops a patient-day, in the machine code: {c['flops_per_patient_day']:.0f} {json.dumps(c['flops_per_lane'])}"
    )
    print(f"  of a measured fma peak of {c['fma_peak_gflops']:.0f} GF/s: {m['fraction_of_fma_peak']:.2f}")
    print(f"  registers named in the dense pass: {c['registers_in_dense']}")
    print(f"ratio to NumPy {m['ratio_to_numpy']:.0f}, to one patient an iteration {m['ratio_to_scalar_numba']:.1f}")
    for row in m["scaling"]:
        cost = f"{row['ns_per_patient_day']:.1f} ns a patient-day (x {row['cost_relative']:.2f})"
        print(f"  {row['patients']:>9,} patients: {cost}, peak {row['peak_mib']:,.0f} MiB")
    two = m["two_threads"]
    print(f"two threads: wall time / {two['ratio_of_wall_time']:.2f} (load {two['load_average']:.1f})")
    if m["block_width"]:
        print("block width: " + ", ".join(f"{k}: {v:.1f} M" for k, v in m["block_width"].items()))
