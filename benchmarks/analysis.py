"""Milliseconds a replicate that estimators over visits cost, on one core."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import stemtrial.analysis as an

Case = tuple[int, int, int]  # replicates, patients, visits


def trial(case: Case, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Noisy lines of patients of whom a third die within the year; no visit after death, a tenth missed."""
    rng = np.random.default_rng(seed)
    replicates, patients, visits = case
    shape = (replicates, patients)
    when = np.broadcast_to(np.linspace(0, 1, visits), (*shape, visits))
    arm = np.broadcast_to(np.arange(patients) % 2 == 1, shape)
    intercept, slope = 5 * rng.normal(size=shape), 8 * rng.normal(size=shape)
    value = 38 + intercept[..., None] + (slope - 12)[..., None] * when + 1.5 * rng.normal(size=when.shape)
    value[..., 1:][rng.random((*shape, visits - 1)) < 0.1] = np.nan
    follow = rng.exponential(size=shape) / (0.35 * np.exp(-0.1 * slope))
    died, follow = follow < 1, np.minimum(follow, 1.0)
    value[when > follow[..., None]] = np.nan
    return {"time": when, "value": value, "event_time": follow, "died": died, "treated": arm}


def measure(quick: bool = False) -> dict[str, Any]:
    """CPU milliseconds a replicate by estimator and size; the best of a few rounds."""
    calls: dict[str, Callable[[dict[str, Any]], Any]] = {
        "random_slope_difference": lambda d: an.random_slope_difference(d["time"], d["value"], d["treated"]),
        "joint_slope_difference": lambda d: an.joint_slope_difference(**d),
        "cafs": lambda d: an.cafs(d["value"] - d["value"][..., :1], d["event_time"], d["died"], d["treated"]),
    }
    out = {}
    for patients, visits in ((200, 8), (942, 13)):
        replicates = 32 if quick else 128
        data, warm = trial((replicates, patients, visits)), trial((1, 40, 4))
        for name, call in calls.items():
            call(warm)
            best = np.inf
            for _ in range(1 if quick else 3):
                start = time.process_time()
                call(data)
                best = min(best, time.process_time() - start)
            out[f"{name}, {patients} patients x {visits} visits"] = 1e3 * best / replicates
    return {"ms_per_replicate": out}


def show(m: dict[str, Any]) -> None:
    """Print the figures for people."""
    print("CPU milliseconds a replicate")
    for name, cost in m["ms_per_replicate"].items():
        print(f"  {name:60s} {cost:.2f}")
