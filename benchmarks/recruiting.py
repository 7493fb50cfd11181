"""How many recruits a core-second finds, by trial and pool: with a posterior, every draw recruits anew."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from stemtrial.cohort.recruit import clinic_of
from stemtrial.parameters import point_draw
from stemtrial.therapy import compose
from stemtrial.trial.entry import families_of
from stemtrial.trial.places import places_of
from stemtrial.trial.protocol import load_protocol
from stemtrial.trial.recruiting import care_of

TRIALS = ("affirm", "mist", "expand", "oratorio", "mesems", "phoenix")


def measure(quick: bool = False) -> dict[str, Any]:
    """CPU seconds for a batch of people on one core, how many recruits it gives, and of how many lives."""
    p, out = point_draw()[0], []
    for name in TRIALS:
        protocol = load_protocol(name)
        kernel, clinic = compose(protocol.disease, families_of(protocol)), clinic_of(protocol.disease)
        for pool in places_of(protocol).pools:
            care, rules = care_of(protocol, pool), pool.population.criteria
            people, best = np.arange(5_000 if quick else 20_000, dtype=np.uint64), np.inf
            clinic.batch(kernel, p, care, rules, people[:64], 1)  # compiles
            for _ in range(1 if quick else 3):
                t = time.process_time()
                found = clinic.batch(kernel, p, care, rules, people, 1)["index"]
                best = min(best, time.process_time() - t)
            lives = len(np.unique(found // clinic.times(p, care)))
            row = {"trial": name, "pool": pool.name, "people": len(people), "recruits": len(found), "lives": lives}
            out.append(row | {"cpu_seconds": best, "recruits_per_core_second": len(found) / best})
    return {"recruiting": out}


def show(m: dict[str, Any]) -> None:
    """Print the figures for people."""
    print("recruits a core-second")
    for r in m["recruiting"]:
        print(
            f"  {r['trial']:9s} {r['pool']:5s} {r['recruits_per_core_second']:8,.0f}   ({r['recruits']:,} recruits of "
            f"{r['lives']:,} lives among {r['people']:,} people in {r['cpu_seconds']:.2f} s)"
        )
