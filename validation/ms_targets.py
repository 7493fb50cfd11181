"""What the MS model was set on: each target on its fit study's own protocol, as a Markdown table, misses first.

    python -m validation.ms_targets [--patients N] [--cohort N] [parameter=value ...]

A protocol is run once with N patients, so that the figures are the model's and not one trial's luck; worsening not yet
confirmed at the last visit is censored. Parameters given are changed for this call only. Drugs one by one stand in
``validation.drug_effects``, natural history in ``stemtrial cohort --disease ms``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from stemtrial import analysis
from stemtrial.cohort.recruit import recruit
from stemtrial.endpoint import derive
from stemtrial.kernel import Kernel, default_threads
from stemtrial.observe import N_SLOW, EdssRater, RaterState, deficits, weights
from stemtrial.observe.parameters import EdssParameters, from_draw, load
from stemtrial.parameters import Draws, point_draw
from stemtrial.predict.natural_estimators import quantile, share
from stemtrial.predict.natural_ms_lives import simulate
from stemtrial.predict.run import scaled
from stemtrial.therapy import compose
from stemtrial.trial.conduct import conduct
from stemtrial.trial.entry import families_of, planned_days
from stemtrial.trial.protocol import load_protocol
from stemtrial.trial.recruiting import care_of
from validation import changes

RECRUITS = 6000
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Target:
    """One line: what, by which definition, between which limits, and what the model gives."""

    what: str
    definition: str
    low: float
    high: float
    value: float
    digits: int = 2

    @property
    def met(self) -> bool:
        """Whether the value, rounded as shown, lies within the limits."""
        return self.low <= round(self.value, self.digits) <= self.high


class Trial:
    """A published protocol, once, with many patients."""

    def __init__(self, name: str, draws: Draws, patients: int, instruments: tuple[str, ...] = ()) -> None:
        p = scaled(load_protocol(HERE / name if name.endswith(".yaml") else name), patients)
        self.protocol = p.filled(instruments=(*p.instruments, *instruments))
        self.draws, self.kernel = draws, compose(p.disease, families_of(p))
        self.recruits = recruit(
            self.kernel, draws, 0, care_of(p), p.population.criteria, RECRUITS, threads=default_threads()
        )

    @cached_property
    def tables(self) -> dict[str, Any]:
        """Observed tables."""
        done = conduct(self.protocol, self.recruits, self.kernel, self.draws[0], 5, threads=default_threads())
        return done.tables

    def of(self, arm: str) -> Any:
        """Patients of an arm."""
        return self.tables["patients"]["arm"] == arm

    def derive(self, endpoint: str, at: float | None = None) -> Any:
        """An endpoint of every patient."""
        return derive(endpoint, self.tables, at_years=at, planned_days=planned_days(self.protocol))

    def hazard_ratio(self, endpoint: str, arm: str, control: str) -> float:
        """Cox hazard ratio."""
        e = self.derive(endpoint)
        pair = self.of(arm) | self.of(control)
        return float(analysis.cox(e.time_years[None], e.event[None], self.of(arm)[None], pair[None]).value[0])

    def mean(self, endpoint: str, arm: str, at: float) -> float:
        """Mean of a value at a visit."""
        return float(np.nanmean(self.derive(endpoint, at).value[self.of(arm)]))

    def free(self, endpoint: str, arm: str, at: float) -> float:
        """Kaplan-Meier share free of an event."""
        e = self.derive(endpoint)
        return float(analysis.kaplan_meier(e.time_years[None], e.event[None], [at], self.of(arm)[None]).survival[0, 0])

    def rate(self, endpoint: str, arm: str) -> float:
        """Events a patient-year."""
        c, mine = self.derive(endpoint), self.of(arm)
        return float(c.count[mine].sum() / c.exposure_years[mine].sum())


def relapse_recovery(t: Trial, kernel: Kernel) -> tuple[float, float]:
    """Mean rise of the EDSS at the first reported relapse of untreated recruits, and what is left 64 days after it."""
    p, r, threads = t.draws[0], t.recruits, default_threads()
    people = 4 * len(r)
    drawn = np.arange(people) % len(r)
    constants = {k: v[drawn] for k, v in r.constants.items()}
    start = {s: r.state[s][drawn] for s in kernel.states}
    number = np.arange(people)

    def from_entry(visits: Any = None) -> Any:
        return kernel.advance(
            kernel.population(1, number, constants, start), 0, 420, p, 9, visits=visits, threads=threads
        )

    events = from_entry().events
    told = (events["kind"] == kernel.event("relapse")) & (events["day"] > 40) & (events["day"] < 240)
    who, first = np.unique(events["patient"][told], return_index=True)
    onset = events["day"][told][first]
    days = onset[:, None] + np.array([-30, int(p["trial.relapse_visit_days"]), 64])
    seen = from_entry((np.repeat(who, 3), days.ravel())).observed
    rater, held = EdssRater(4, parameters=load(EdssParameters, from_draw(p))), RaterState.fresh(len(who), N_SLOW)
    edss = []
    for k in range(3):
        rows = np.arange(len(who)) * 3 + k
        rating = rater.rate(who.astype(np.uint64), days[:, k], deficits(seen, rows), weights(constants, who), held)
        held = rating.state
        edss.append(rating.edss)
    return float((edss[1] - edss[0]).mean()), float((edss[2] - edss[0]).mean())


def targets(draws: Draws, patients: int, cohort: int) -> Iterator[Target]:
    """Measure each target in turn."""
    affirm = Trial("affirm", draws, patients)
    freedoms = Trial("freedoms", draws, patients, ("nfl_pg_ml",))
    in_affirm, in_freedoms = "polman2006_affirm", "kappos2010_freedoms"
    yield Target(
        "placebo EDSS drift at 2 y", f"{in_freedoms}, mean change of those seen", -9, 0.25,
        freedoms.mean("edss_change", "placebo", 2.0),
    )  # fmt: skip
    yield Target(
        "natalizumab, 24-week hazard ratio", f"{in_affirm}, confirmed_worsening.affirm.24_weeks, Cox", 0.42, 0.58,
        affirm.hazard_ratio("confirmed_worsening.affirm.24_weeks", "natalizumab", "placebo"),
    )  # fmt: skip
    yield Target(
        "fingolimod, 24-week hazard ratio", f"{in_freedoms}, confirmed_worsening.24_weeks, 0.5 mg, Cox", 0.52, 0.72,
        freedoms.hazard_ratio("confirmed_worsening.24_weeks", "f05", "placebo"),
    )  # fmt: skip
    for t, name in ((affirm, in_affirm), (freedoms, in_freedoms)):
        yield Target(
            "relapses in the year before entry", f"{name}, as screening records them", 1.4, 1.6,
            float(t.tables["patients"]["relapses_last_12_months"].mean()),
        )  # fmt: skip
    lives = simulate(
        draws, 0, people=cohort, years=40, onset="relapsing", onset_year=1980.0, seed=1, threads=default_threads()
    )
    onset = "relapsing onset in 1980, untreated, edss_milestone"
    for level, low, high in ((4, 11.0, 18.0), (6, 20.0, 28.0)):
        median = quantile(lives.time[f"edss_{level}"], lives.event[f"edss_{level}"]).value
        yield Target(f"median years to EDSS {level}", f"{onset}.{level}", low, high, median, 1)
    by_15 = share(lives.time["edss_6"], lives.event["edss_6"], 15.0)
    yield Target("share at EDSS 6 by 15 y", f"{onset}.6, Kaplan-Meier", 0.22, 0.28, by_15.value)
    rise, residual = relapse_recovery(affirm, compose("ms", ("drugs", "steroids")))
    told = "lublin2014_affirm_relapse_recovery, first reported relapse on placebo"
    yield Target("acute rise of a relapse (1.09 EDSS)", told, 0.95, 1.2, rise)
    yield Target("residual of a relapse (.28 EDSS)", f"{told}, 64 d after it", 0.2, 0.35, residual)
    for t, name in ((affirm, in_affirm), (freedoms, in_freedoms)):
        gd = t.tables["patients"]["gd_lesions"].astype(float)
        yield Target("SD of enhancing lesions at baseline", name, 3.0, 99, float(gd.std()), 1)
    nfl = {a: np.log(freedoms.derive("nfl", 2.0).value[freedoms.of(a)]) for a in ("f05", "placebo")}
    yield Target(
        "fingolimod, NfL ratio", f"{in_freedoms}, geometric means at 2 y", 0, 0.72,
        float(np.exp(np.nanmean(nfl["f05"]) - np.nanmean(nfl["placebo"]))),
    )  # fmt: skip
    oratorio = Trial("oratorio", draws, patients // 2, ("t25fw_s",))
    walk = oratorio.derive("t25fw_change_pct", 2.0).value[oratorio.of("placebo")]
    yield Target(
        "T25FW 20 % worse on placebo in PPMS", "montalban2017_oratorio, share of those seen at 2 y", 0.35, 1,
        float((walk[~np.isnan(walk)] >= 20.0).mean()),
    )  # fmt: skip
    paradigms = Trial("paradigms", draws, patients // 2)
    yield Target(
        "relapse rate on fingolimod in children",
        "chitnis2018_paradigms",
        0,
        0.25,
        paradigms.rate("relapse_rate", "fin"),
    )
    yield from after_transplantation(draws, patients // 4)
    for arm, low, high in (("placebo", 0.25, 0.33), ("natalizumab", 0.13, 0.21)):
        yield Target(
            f"12-week worsening at 2 y, {arm}", f"{in_affirm}, confirmed_worsening.affirm.12_weeks", low, high,
            1.0 - affirm.free("confirmed_worsening.affirm.12_weeks", arm, 1.98),
        )  # fmt: skip


def after_transplantation(draws: Draws, patients: int) -> Iterator[Target]:
    """Measure what happens after BEAM-ATG in highly active relapsing MS."""
    series, study = Trial("beam-series.yaml", draws, patients), "boffa2021_italy210"
    worsening = "confirmed_worsening.24_weeks"
    yield Target(
        "worsening-free 5 y after aHSCT", f"{study}, {worsening}", 0.81, 0.90, series.free(worsening, "ahsct", 5.0)
    )
    yield Target(
        "worsening-free 10 y after aHSCT", f"{study}, {worsening}", 0.58, 0.85, series.free(worsening, "ahsct", 9.5)
    )
    for year in (1.0, 2.0, 5.0):
        yield Target(
            f"EDSS change {year:g} y after aHSCT", "burt2021_507 and other series, blind raters here", -1.4, -0.5,
            series.mean("edss_change", "ahsct", year),
        )  # fmt: skip


def main() -> None:
    """Print the table, misses first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=20_000)
    parser.add_argument("--cohort", type=int, default=10_000)
    parser.add_argument("changes", nargs="*", metavar="parameter=value")
    args = parser.parse_args()
    draws = point_draw(changes(args.changes))
    print("| target | definition | aim | measured | |\n|---|---|---|---|---|")
    for t in sorted(targets(draws, args.patients, args.cohort), key=lambda t: t.met):
        low, high = ("" if abs(x) in (9, 99, 0, 1) else f"{x:g}" for x in (t.low, t.high))
        aim = f"{low}-{high}" if low and high else (f"at least {low}" if low else f"at most {high}")
        print(f"| {t.what} | {t.definition} | {aim} | {t.value:.{t.digits}f} | {'met' if t.met else '**missed**'} |")


if __name__ == "__main__":
    main()
