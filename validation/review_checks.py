"""Holds the MS model against the figures of docs/design/model_review.md (MS items 1-9) and prints a Markdown table.

    python -m validation.review_checks [--patients N] [parameter=value ...]

Parameters given are changed for this call only: to see what a number does before it is changed in its file.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from stemtrial import analysis
from stemtrial.cohort.eligibility import Eligibility
from stemtrial.cohort.population import people_at_onset
from stemtrial.cohort.recruit import Care, deficits, recruit, weights
from stemtrial.endpoint import Events, derive
from stemtrial.kernel import YEAR, Kernel, default_threads
from stemtrial.observe import EdssRater, RaterState
from stemtrial.observe.parameters import EdssParameters, from_draw, load
from stemtrial.parameters import Draws, point_draw
from stemtrial.tables import Table
from stemtrial.therapy import compose_ms
from stemtrial.trial.conduct import conduct
from stemtrial.trial.entry import planned_days
from stemtrial.trial.protocol import Protocol

PLACEBO_TRIAL = (
    "18 <= age_years <= 55",
    "edss <= 5.5",
    "relapses_last_12_months >= 1 or relapses_last_24_months >= 2",
    "days_since_relapse > 30",
)
TRANSPLANT_SERIES = ("18 <= age_years <= 50", "2.0 <= edss <= 6.0", "relapses_last_12_months >= 2")
WEEK_VISITS = [round(12 * 7 * k * 12 / YEAR, 4) for k in range(11)]
Rows = list[tuple[str, str, str, str]]


def protocol(arms: Mapping[str, Any], months: list[float], rules: tuple[str, ...], care: str, patient: str) -> Protocol:
    """A bare protocol: who, what, when."""
    data: dict[str, Any] = {
        "protocol": "check", "title": "check", "disease": "ms",
        "population": {"course": "rrms", "care_before_entry": care, "eligibility": rules},
        "accrual": {"start": "2005-01", "end": "2008-12", "closure": "2030-12"},
        "blinding": {"patient": patient, "rater": "blind"},
        "arms": arms, "visits": {"months": months, "window_days": 7}, "control": next(iter(arms)),
        "endpoints": {"primary": {"id": "relapse_rate", "estimator": "rate"}},
    }  # fmt: skip
    if len(arms) > 1:
        data["randomisation"] = {"ratio": dict.fromkeys(arms, 1), "block_sizes": [len(arms)]}
    return Protocol.model_validate(data)


class Trial:
    """One large trial and the readings of it."""

    def __init__(self, p: Protocol, draws: Draws, kernel: Kernel, wanted: int) -> None:
        threads = default_threads()
        care = Care("rrms", p.population.care_before_entry, (2005.0, 2009.0))
        people = recruit(kernel, draws, 0, care, p.population.criteria, wanted, threads=threads)
        self.protocol = p
        self.tables: Mapping[str, Table] = conduct(p, people, kernel, draws[0], 5, threads=threads).tables
        self.arm = self.tables["patients"]["arm"]

    def derive(self, endpoint: str, at: float | None = None) -> Any:
        return derive(endpoint, self.tables, at_years=at, planned_days=planned_days(self.protocol))

    def share(self, endpoint: str, arm: str, at: float) -> float:
        """Kaplan-Meier probability of the event."""
        e: Events = self.derive(endpoint)
        mine = (self.arm == arm)[None]
        return float(1 - analysis.kaplan_meier(e.time_years[None], e.event[None], [at], mine).survival[0, 0])

    def hazard_ratio(self, endpoint: str, arm: str, control: str) -> float:
        e: Events = self.derive(endpoint)
        pair = (self.arm == arm) | (self.arm == control)
        return float(analysis.cox(e.time_years[None], e.event[None], (self.arm == arm)[None], pair[None]).value[0])

    def change(self, arm: str, at: float) -> float:
        return float(np.nanmean(self.derive("edss_change", at).value[self.arm == arm]))

    def rate(self, endpoint: str, arm: str) -> float:
        c = self.derive(endpoint)
        mine = self.arm == arm
        return float(c.count[mine].sum() / c.exposure_years[mine].sum())

    def brain_volume(self, arm: str, visit: int) -> float:
        scans = self.tables["mri"]
        here = (scans["visit"] == visit) & (self.arm[scans["patient"]] == arm)
        return float(scans["brain_volume_change_pct"][here].mean())


def placebo_controlled(draws: Draws, kernel: Kernel, n: int) -> Rows:
    """Relapsing MS on placebo, fingolimod, natalizumab for two years, 12-weekly visits."""
    arms = {
        a: {"n": n, "regimen": [] if a == "placebo" else [{"therapy": a}]}
        for a in ("placebo", "fingolimod", "natalizumab")
    }
    t = Trial(protocol(arms, WEEK_VISITS, PLACEBO_TRIAL, "none", "blind"), draws, kernel, 5000)
    p, f, z = arms
    base = t.tables["patients"]
    gd = base["gd_lesions"].astype(float)
    cdw = {w: f"confirmed_worsening.{w}_weeks" for w in (12, 24)}

    def two(endpoint: str, arm: str) -> str:
        return f"{t.share(endpoint, arm, 1.99):.2f}"

    hr = {a: f"{t.hazard_ratio(cdw[12], a, p):.2f}, {t.hazard_ratio(cdw[24], a, p):.2f}" for a in (f, z)}
    improved = "confirmed_improvement.12_weeks"
    k = gd.mean() ** 2 / (gd.var() - gd.mean())
    return [
        ("relapses in the year before entry", "1.5", "1.47", f"{base['relapses_last_12_months'].mean():.2f}"),
        ("baseline EDSS", "2.3-2.5", "-", f"{base['edss'].mean():.2f}"),
        ("placebo relapse rate (FREEDOMS)", ".40", "-", f"{t.rate('relapse_rate', p):.2f}"),
        ("placebo new T2 lesions a year (FREEDOMS)", "4.9", "-", f"{t.rate('new_t2_lesions', p):.1f}"),
        ("placebo CDW12 / CDW24 at 2 y", ".24-.29 / .12-.19", ".27 / .20", f"{two(cdw[12], p)} / {two(cdw[24], p)}"),
        ("HR12, HR24 fingolimod", ".70, .63", ".58, .52", hr[f]),
        ("HR12, HR24 natalizumab", ".58, .46", ".54, .51", hr[z]),
        ("EDSS drift, placebo / fingolimod, 2 y", "+.13 / 0", "+.25 / -.02", f"{t.change(p, 1.98):+.2f} / {t.change(f, 1.98):+.2f}"),
        ("CDI12 placebo / natalizumab", ".19 / .30", ".28 / .35", f"{two(improved, p)} / {two(improved, z)}"),
        ("Gd mean, SD, negative binomial k", "1.1-1.5, 2.9-4, .16", "-, 3.5, .33", f"{gd.mean():.1f}, {gd.std():.1f}, {k:.2f}"),
        ("brain volume 2 y, placebo / fingolimod", "-1.31 / -.84", "-", f"{t.brain_volume(p, 9):.2f} / {t.brain_volume(f, 9):.2f}"),
    ]  # fmt: skip


def transplant_series(draws: Draws, kernel: Kernel, n: int) -> Rows:
    """Highly active relapsing MS after BEAM-ATG, half-yearly visits for ten years, open label, raters blind."""
    arm = {"ahsct": {"n": n, "regimen": [{"therapy": "ahsct", "conditioning": "beam-atg", "day": 30}]}}
    months = [6.0 * k for k in range(21)]
    t = Trial(protocol(arm, months, TRANSPLANT_SERIES, "platform_drugs", "open"), draws, kernel, 3000)

    def free(endpoint: str, *at: float) -> str:
        return " / ".join(f"{1 - t.share(endpoint, 'ahsct', y):.2f}" for y in at)

    change = " / ".join(f"{t.change('ahsct', y):+.2f}" for y in (1.0, 2.0, 5.0))
    return [
        ("aHSCT: EDSS change at 1 / 2 / 5 y", "-.5 to -1.4, sustained", "-.52 / -.56 / -.49", change),
        ("aHSCT: worsening-free at 5 / 10 y", ".855 / .71", ".87 / .69", free("confirmed_worsening.24_weeks", 5, 9.4)),
        ("aHSCT: relapse-free at 3 / 5 / 10 y", ".87-.96 / .80-.88 / .63", "-", free("relapse_free", 3, 5, 9.9)),
        ("aHSCT: NEDA at 5 / 10 y", ".62-.69 / .40-.55", ".60 / .29", free("neda3", 5, 9.9)),
        ("aHSCT: CDI at 2 y", "-", ".50", f"{t.share('confirmed_improvement', 'ahsct', 2.0):.2f}"),
    ]


def relapse_recovery(draws: Draws, kernel: Kernel) -> Rows:
    """Rated EDSS before a first reported relapse, 8 days into it, and 64 and 180 days after it, on placebo."""
    p, threads = draws[0], default_threads()
    rules = Eligibility(PLACEBO_TRIAL)
    r = recruit(kernel, draws, 0, Care("rrms", "none", (2005.0, 2009.0)), rules, 5000, threads=threads)
    n = len(r)
    start = {s: r.state[s] for s in kernel.states}
    first = kernel.advance(kernel.population(1, np.arange(n), r.constants, start), 0, 420, p, 9, threads=threads).events
    told = (
        (first["kind"] == kernel.event("relapse")) & (first["value"] > 0) & (first["day"] > 40) & (first["day"] < 240)
    )
    who, at = np.unique(first["patient"][told], return_index=True)
    day = first["day"][told][at]
    days = day[:, None] + np.array([-30, 8, 64, 180])
    people = kernel.population(1, np.arange(n), r.constants, start)
    visits = (np.repeat(who, 4), days.ravel())
    seen = kernel.advance(people, 0, 420, p, 9, visits=visits, threads=threads).observed
    rater, held, edss = EdssRater(4, parameters=load(EdssParameters, from_draw(p))), RaterState.fresh(len(who)), []
    for k in range(4):
        rows = np.arange(len(who)) * 4 + k
        rating = rater.rate(who, days[:, k], deficits(seen, rows), weights(r.constants, who), held)
        held = rating.state
        edss.append(rating.edss)
    rise, residual, later = (edss[k] - edss[0] for k in (1, 2, 3))
    share = f"{(residual >= 0.5).mean():.2f}, {(residual >= 1.0).mean():.2f}"
    return [
        (
            "relapse: rise, residual at 64 d (EDSS)",
            "1.09, .28",
            "rise .77",
            f"{rise.mean():.2f}, {residual.mean():.2f}",
        ),
        ("relapse: residual >= .5, >= 1.0 at 64 d", ".42-.45, .25-.33", "-", share),
        ("relapse: residual at 180 d (EDSS)", "-", "-", f"{later.mean():.2f}"),
    ]


def natural_history(draws: Draws, n: int) -> Rows:
    """Untreated relapsing-onset MS for 40 years from onset in 1980, rated half-yearly."""
    p, kernel = draws[0], compose_ms(("steroids",))
    index = np.arange(n, dtype=np.uint64)
    thirty = np.full(n, 30.0)
    constants, state = people_at_onset(11, index, p, entry_year=thirty + 1980, duration_years=thirty, era=1.0)
    people = kernel.population(0, index, constants, state)
    days = np.arange(0, 40 * 365, 182)
    visits = (np.repeat(index.astype(int), len(days)), np.tile(days, n))
    seen = kernel.advance(people, 0, int(days[-1]), p, 12, visits=visits, threads=default_threads()).observed
    rater, held, rated = EdssRater(3, parameters=load(EdssParameters, from_draw(p))), RaterState.fresh(n), []
    for k, day in enumerate(days):
        rating = rater.rate(index, day, deficits(seen, np.arange(n) * len(days) + k), weights(constants), held)
        held = rating.state
        rated.append(rating.edss)
    edss, t = np.array(rated).T, days / YEAR

    def reached(level: float) -> Any:
        up = (edss[:, :-1] >= level) & (edss[:, 1:] >= level)
        return np.where(up.any(1), t[up.argmax(1)], np.inf)

    relapses = seen["n_relapses"].reshape(n, -1)
    at = [int(np.searchsorted(t, y)) for y in (0, 5, 10, 15, 20)]
    rates = " ".join(f"{(relapses[:, b] - relapses[:, a]).mean() / 5:.2f}" for a, b in itertools.pairwise(at))
    median = " / ".join(f"{np.median(reached(x)):.1f}" for x in (4.0, 6.0, 7.0))
    return [
        ("untreated: median years to EDSS 4 / 6 / 7", "11-18 / 20-28 / 30-33", "- / 25 / -", median),
        ("untreated: at EDSS 6 by 15 y", "22-28 %", "25 %", f"{100 * (reached(6.0) <= 15).mean():.0f} %"),
        ("untreated: relapse rate, years 0-5, 5-10, 10-15, 15-20", "-17 % each 5 y", "-", rates),
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=6000)
    parser.add_argument("changes", nargs="*", metavar="parameter=value")
    args = parser.parse_args()
    draws = point_draw({k: float(v) for k, v in (c.split("=") for c in args.changes)})
    kernel = compose_ms(("ahsct", "drugs", "steroids"))
    rows = placebo_controlled(draws, kernel, args.patients) + transplant_series(draws, kernel, args.patients // 2)
    rows += relapse_recovery(draws, kernel) + natural_history(draws, args.patients // 2)
    print("| check | published | model review | here |\n|---|---|---|---|")
    for row in rows:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
