"""What a replicate of MIST costs, by stage, and that memory stays flat."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

from benchmarks.machine import peak_memory
from stemtrial.cohort.recruit import recruit, wanted_recruits
from stemtrial.evidence import study
from stemtrial.parameters import point_draw
from stemtrial.predict.curves import curves
from stemtrial.predict.estimate import Analysed, estimate, rows_of
from stemtrial.therapy import compose
from stemtrial.trial.conduct import conduct
from stemtrial.trial.entry import families_of
from stemtrial.trial.protocol import load_protocol
from stemtrial.trial.recruiting import care_of

MEMORY = """
import sys, tempfile
from pathlib import Path
from benchmarks.machine import peak_memory
from stemtrial.predict import Settings, predict
from stemtrial.trial.protocol import load_protocol
with tempfile.TemporaryDirectory() as folder:
    predict(load_protocol("mist"), Settings(replicates=int(sys.argv[1])), folder=Path(folder) / "run")
print(peak_memory() / 2**20)
"""


def measure(quick: bool = False) -> dict[str, Any]:
    """CPU seconds for 100 replicates of MIST by stage; peak memory of runs of different length."""
    protocol = load_protocol("mist")
    kernel, draws = compose(protocol.disease, families_of(protocol)), point_draw()
    people = recruit(kernel, draws, 0, care_of(protocol), protocol.population.criteria, wanted_recruits(110))
    rows = rows_of(protocol, study("burt2019_mist"))
    best = {"conduct": 1e9, "estimate": 1e9, "curves": 1e9}
    for _ in range(2 if quick else 5):
        t = time.process_time()
        trial = conduct(protocol, people, kernel, draws[0], 1, replicates=range(100))
        t1 = time.process_time()
        a = Analysed(trial.tables, protocol)
        estimate(rows, a)
        t2 = time.process_time()
        curves(a, protocol)
        t3 = time.process_time()
        best = {k: min(best[k], v) for k, v in zip(best, (t1 - t, t2 - t1, t3 - t2), strict=True)}
    memory = {}
    for replicates in (50, 200) if quick else (100, 400, 1600):
        command = [sys.executable, "-c", MEMORY, str(replicates)]
        memory[replicates] = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {
        "cpu_seconds_per_100_replicates": best,
        "peak_mib_by_replicates": memory,
        "peak_mib": peak_memory() / 2**20,
    }


def show(m: dict[str, Any]) -> None:
    """Print the figures for people."""
    print("CPU seconds for 100 replicates of MIST")
    for k, v in m["cpu_seconds_per_100_replicates"].items():
        print(f"  {k:10s} {v:.3f}")
    print("peak memory: " + ", ".join(f"{k} replicates {v:,.0f} MiB" for k, v in m["peak_mib_by_replicates"].items()))
