"""Patients a second that each time-to-event definition reads out, on one core."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from stemtrial import tables
from stemtrial.endpoint import definitions, derive
from stemtrial.endpoint.ragged import DAYS_PER_YEAR
from stemtrial.tables import Table

REPLICATE = 1000  # patients of one
VISITS = 9  # every 12 weeks for two years, the first on day 0 in the patients table


def cohort(n: int, seed: int = 0) -> dict[str, Table]:
    """``n`` patients as a random walk of ratings, times, relapses and scans; two years, 12-weekly, dropouts."""
    rng = np.random.default_rng(seed)
    replicate, patient = np.divmod(np.arange(n), REPLICATE)
    closure = np.full(n, int(2 * DAYS_PER_YEAR) + 14)
    edss = rng.integers(4, 12, n) / 2
    drift = np.cumsum(rng.choice([-0.5, 0.0, 0.0, 0.0, 0.5], (n, VISITS)), axis=1)
    day = 84 * np.arange(1, VISITS + 1) + rng.integers(-7, 8, (n, VISITS))
    zero = np.zeros(n)
    timed = {"t25fw_s": rng.lognormal(1.8, 0.3, n), "nine_hole_peg_s": rng.lognormal(3.1, 0.2, n)}
    many = {"replicate": np.repeat(replicate, VISITS), "patient": np.repeat(patient, VISITS), "day": day.ravel()}
    number = np.tile(np.arange(1, VISITS + 1), n)
    n_relapses = rng.poisson(0.7, n)
    who = np.repeat(np.arange(n), n_relapses)
    when = rng.integers(1, 730, len(who))
    order = np.lexsort((when, who))
    who, when = who[order], when[order]
    scans = np.isin(number, (2, 4, 8))
    lesions = rng.poisson(0.5, scans.sum())
    left = rng.random(n) < 0.15
    return {
        "patients": tables.make(
            "patients", replicate=replicate, patient=patient, arm=np.full(n, "a"), recruit=zero, entry_day=zero,
            closure_day=closure, age_years=zero, female=zero, disease_duration_years=zero, relapses_last_12_months=zero,
            edss=edss, gd_lesions=zero, t2_volume_ml=zero + 5, **timed,
        ),
        "visits": tables.make(
            "visits", **many, visit=number, edss=np.clip(edss[:, None] + drift, 1, 9.5).ravel(),
            **{c: (x[:, None] * np.exp(rng.normal(0, 0.1, (n, VISITS)))).ravel() for c, x in timed.items()},
        ),
        "mri": tables.make(
            "mri", **{k: v[scans] for k, v in many.items()}, visit=number[scans], gd_lesions=lesions // 2,
            new_t2_lesions=lesions, t2_volume_ml=np.full(scans.sum(), 5.0),
            brain_volume_change_pct=rng.normal(-0.3, 0.3, scans.sum()),
        ),
        "relapses": tables.make("relapses", replicate=replicate[who], patient=patient[who], day=when),
        "disposition": tables.make(
            "disposition", replicate=replicate, patient=patient,
            day=np.where(left, rng.integers(1, 730, n), closure), event=np.where(left, "dropped_out", "completed"),
            reason=np.full(n, ""),
        ),
    }  # fmt: skip


def measure(quick: bool = False) -> dict[str, Any]:
    """Patients a CPU second by definition; the best of a few rounds."""
    n = 100_000 if quick else 500_000
    trial, warm = cohort(n), cohort(REPLICATE)
    planned = 84.0 * np.arange(VISITS + 1)
    out = {}
    for name, d in definitions().items():
        if d.kind != "time_to_event":
            continue
        derive(name, warm, planned_days=planned)
        best = np.inf
        for _ in range(2 if quick else 4):
            t = time.process_time()
            derive(name, trial, planned_days=planned)
            best = min(best, time.process_time() - t)
        out[name] = n / best
    return {"patients": n, "visits": VISITS, "patients_per_cpu_second": out}


def show(m: dict[str, Any]) -> None:
    """Print the figures for people."""
    print(f"Millions of patients a CPU second, {m['patients']:,} patients with {m['visits']} visits")
    for name, speed in m["patients_per_cpu_second"].items():
        print(f"  {name:40s} {speed / 1e6:.2f}")
