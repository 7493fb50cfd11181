"""What the ALS model was set on: each target as a Markdown table, misses first.

    python -m validation.als_targets [--people N] [parameter=value ...]

People live from onset under the care of their time (riluzole from diagnosis, or none) and are measured as the studies
measured them; a trial's population is those who meet its main criteria on the day of their screening. Only studies with
the role ``fit`` set the model; the lines marked "report" are read and never tuned on. Parameters given are changed for
this call only.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stemtrial.disease.als import MONTH
from stemtrial.parameters import point_draw
from validation import changes
from validation.als_lives import (
    RUN_IN,
    Floats,
    Lives,
    Trial,
    at_screening,
    correlation,
    mean,
    signs,
    slopes,
    survival_quantile,
)


@dataclass(frozen=True)
class Target:
    """One line: what, whose, between which limits, what the model gives; ``weight`` 0 for what is only reported."""

    what: str
    study: str
    low: float
    high: float
    value: float
    digits: int = 2
    weight: float = 1.0

    @property
    def met(self) -> bool:
        """Whether the value, rounded as shown, lies within the limits."""
        return self.low <= round(self.value, self.digits) <= self.high


def targets(p: Mapping[str, float], people: int, seed: int = 1) -> Iterator[Target]:
    """Measure all targets."""
    lives = Lives(p, people, at_screening, True, seed)
    months, age = lives.day[:, RUN_IN] / MONTH, lives.person["age0"] + lives.day[:, RUN_IN] / 365.25
    score, svc = lives.total[:, RUN_IN], lives.svc[:, RUN_IN]
    run_in = lives.total[:, RUN_IN] - lives.total[:, 0]
    rate = (48.0 - score) / months
    adult = (score > 0) & (age <= 80)
    generic = Trial(lives, adult & (months <= 36) & (svc >= 60) & (score >= 20))
    empower = Trial(lives, adult & (months <= 24) & (svc >= 65))
    adore = Trial(lives, adult & (months <= 24) & (svc >= 70) & (rate >= 0.35) & (rate <= 1.5))
    falls = (run_in <= -1) & (run_in >= -4) & (age <= 75)
    each_2 = (lives.items[:, RUN_IN] >= 2).all(1)
    breathes = (lives.items[:, RUN_IN, 9:] == 4).all(1)  # the three items of breathing at their best
    probable = falls & breathes & (signs(lives, p) >= 2)
    study_16 = Trial(lives, probable & (svc >= 70) & (months <= 36))
    study_19 = Trial(lives, probable & (svc >= 80) & (months <= 24) & each_2)
    oh = Trial(lives, adult & (score >= 31) & (months <= 60) & (rate >= 0.3))
    yield Target("points lost a month before entry", "andrews2018_svc (EMPOWER)", 0.6, 0.8, mean(empower.rate_before))
    yield Target(
        "points a month in trials",
        "atassi2014_proact, thakore2018_trajectories",
        -1.08,
        -0.93,
        mean(generic.slope(generic.lives.total)),
        weight=2,
    )
    yield Target(
        "SD of the slope over 12 months",
        "topiramate_placebo_mixed 0.68 between patients",
        0.58,
        0.78,
        generic.spread_of_slopes(generic.lives.total),
    )
    yield Target(
        "SD of the change of slope, 24 weeks after against 12 before",
        "oh2018_lenzumestrocel_p2 16 a year",
        13.5 / 12,
        19.5 / 12,
        float(np.nanstd(oh.slope(oh.lives.total, 6) - oh.run_in_slope)),
    )
    yield Target(
        "24-week change", "adore2024_fab122 placebo -5.4, both arms -5.8", -6.4, -4.6, mean(adore.change(6)), 1, 2
    )
    yield Target(
        "48-week change", "adore2024_fab122 placebo -10.8, both arms -11.1", -12.0, -9.6, mean(adore.change(12)), 1, 2
    )
    yield Target(
        "SD of the 24-week change",
        "edaravone2017_study19, who entered its extension",
        3.4,
        5.1,
        float(np.nanstd(adore.change(6))),
        1,
    )
    for d, (name, aim) in enumerate(
        (("bulbar", -2.2), ("fine motor", -3.3), ("gross motor", -3.3), ("respiratory", -2.0))
    ):
        domain = adore.lives.items[:, :, 3 * d : 3 * d + 3].sum(2)
        yield Target(
            f"48-week change, {name}",
            f"adore2024_fab122 placebo {aim}",
            aim - 0.4,
            aim + 0.4,
            mean(adore.change(12, domain)),
            1,
        )
    yield Target(
        "24-week change after a run-in", "abe2014_edaravone16 placebo -6.35", -7.3, -5.4, mean(study_16.change(6)), 1
    )
    yield Target(
        "24-week change after a run-in, enriched",
        "edaravone2017_study19 placebo -7.5",
        -8.5,
        -6.0,
        mean(study_19.change(6)),
        1,
    )
    yield Target(
        "deaths by 12 to 18 months",
        "cudkowicz2013_empower placebo 103 of 468",
        0.183,
        0.260,
        1.0 - float(np.mean([empower.alive(m, "death") for m in range(12, 19)])),
        3,
        2,
    )
    yield Target(
        "deaths by 12 months",
        "cudkowicz2013_empower placebo 79 of 468 (recalled)",
        0.137,
        0.205,
        1.0 - empower.alive(12, "death"),
        3,
        0,
    )
    yield Target(
        "12-month change by the random-slope model",
        "cudkowicz2013_empower placebo -13.42 (recalled)",
        -14.5,
        -12.0,
        12.0 * empower.mean_slope(empower.lives.total),
        1,
        0,
    )
    yield Target(
        "alive at 24 months", "set by als_model 7, no modern source", 0.55, 0.70, generic.alive(24, "death"), 2
    )
    yield Target(
        "alive without tracheostomy at 24 months",
        "set by als_model 7 (one event there)",
        0.55,
        0.70,
        generic.alive(24),
        2,
    )
    yield Target("baseline score", "andrews2018_svc 38.0 and 37.3", 37.0, 39.0, mean(empower.base), 1)
    yield Target("SD of the baseline score", "andrews2018_svc 5.6 and 4.2", 4.2, 5.9, float(np.nanstd(empower.base)), 1)
    yield Target(
        "months from onset to entry", "andrews2018_svc 15.6", 14.6, 16.6, float((empower.at / MONTH).mean()), 1
    )
    yield Target("bulbar onset", "andrews2018_svc", 0.14, 0.26, mean(empower.lives.person["bulbar_onset"]))
    yield Target("baseline SVC", "andrews2018_svc 89.3", 87.5, 91.0, mean(empower.lives.svc[:, RUN_IN]), 1)
    yield Target(
        "SVC slope, % a month", "andrews2018_svc", -3.0, -2.5, mean(empower.slope(empower.lives.svc)), weight=2
    )
    yield Target(
        "SD of the SVC slope, % a month",
        "topiramate_placebo_mixed 1.86 between patients",
        1.5,
        2.3,
        empower.spread_of_slopes(empower.lives.svc),
    )
    old, young = empower.lives.person["age0"] > 63.5, empower.lives.person["age0"] < 48.5
    by_age = empower.slope(empower.lives.svc)
    yield Target("SVC slope above 65, % a month", "andrews2018_svc", -4.3, -2.9, mean(by_age[old]))
    yield Target("SVC slope below 50, % a month", "andrews2018_svc", -2.7, -1.8, mean(by_age[young]))
    log_nfl = np.log(empower.lives.nfl[:, RUN_IN])
    yield Target(
        "r of log NfL and rate before entry", "vitality_nf 0.50", 0.40, 0.60, correlation(log_nfl, empower.rate_before)
    )
    yield Target(
        "r of log NfL and rate in the trial",
        "vitality_nf 0.53",
        0.43,
        0.62,
        -correlation(log_nfl, empower.slope(empower.lives.total)),
    )
    seen = lives.take(np.flatnonzero(score > 0))
    own_rate, level = rate[score > 0], seen.nfl[:, RUN_IN]
    yield Target(
        "median NfL, rate up to 0.49, pg/ml",
        "nfl2020_dongzhimen 45.8",
        36,
        56,
        float(np.median(level[own_rate <= 0.49])),
        0,
    )
    yield Target(
        "median NfL, rate above 0.49, pg/ml",
        "nfl2020_dongzhimen 96.4",
        75,
        118,
        float(np.median(level[own_rate > 0.49])),
        0,
    )
    third, months_on = np.quantile(level, [1 / 3, 2 / 3]), (seen.event["death"] - seen.day[:, RUN_IN]) / MONTH
    died = [
        (months_on[w] <= 24).sum() / np.minimum(months_on[w], 24).sum() for w in (level > third[1], level <= third[0])
    ]
    yield Target("mortality, top over bottom third of NfL", "lu2015_nfl 3.9", 2.0, 7.9, float(died[0] / died[1]), 1)
    first, second = generic.lives.total[:, 0], generic.lives.retest
    sem = float(np.std(first - second) / np.sqrt(2.0))
    yield Target("standard error of a rating, points", "kaufmann2007_reliability", 1.1, 1.6, sem)
    yield Target("ICC of ratings", "kaufmann2007_reliability", 0.92, 0.97, float(1.0 - sem**2 / first.var()))
    early = Lives(p, people // 2, at_screening, False, seed)
    age_early = early.person["age0"] + early.day[:, RUN_IN] / 365.25
    nineties = Trial(
        early,
        (early.total[:, RUN_IN] > 0)
        & (age_early <= 75)
        & (early.svc[:, RUN_IN] >= 60)
        & (early.day[:, RUN_IN] <= 60 * MONTH)
        & (signs(early, p) >= 2),
    )
    yield Target(
        "alive without tracheostomy at 18 months, 1990s",
        "lacomblez1996_riluzole placebo 0.504",
        0.44,
        0.57,
        nineties.alive(18),
    )
    yield Target(
        "alive without tracheostomy at 12 months, 1990s",
        "bensimon1994_riluzole placebo 0.58",
        0.47,
        0.69,
        nineties.alive(12),
    )
    yield from from_onset(p, people // 2, seed)
    yield from read_only(lives, score, svc, months, adult)


def from_onset(p: Mapping[str, float], people: int, seed: int) -> Iterator[Target]:
    """Measure lives from onset, riluzole from diagnosis: signs dated as by history, without rating error."""
    lives = Lives(p, people, np.arange(0, 3653, 56), True, seed, rated=False)
    region = lives.person["onset_region"]
    bulbar, limb = region == 0, (region == 1) | (region == 3)
    died = lives.failed
    yield Target(
        "median survival, bulbar, months",
        "wijesekera2009_flail 27, fujimura2011_spread 26",
        25.0,
        28.0,
        survival_quantile(died[bulbar]),
        1,
        2,
    )
    yield Target(
        "median survival, limb, months",
        "wijesekera2009_flail 31-35, fujimura2011_spread 32-33",
        31.0,
        35.5,
        survival_quantile(died[limb]),
        1,
        2,
    )
    yield Target(
        "alive at 5 years, bulbar",
        "wijesekera2009_flail 0.09, fujimura2011_spread 0.16",
        0.08,
        0.17,
        float((died[bulbar] > 60 * MONTH).mean()),
    )
    yield Target(
        "alive at 5 years, limb",
        "wijesekera2009_flail, fujimura2011_spread",
        0.17,
        0.24,
        float((died[limb] > 60 * MONTH).mean()),
    )
    age = lives.person["age0"]
    for name, who, aim in (
        ("51-60", (age > 50) & (age <= 60), 41.9),
        ("61-70", (age > 60) & (age <= 70), 26.6),
        ("over 70", age > 70, 24.0),
    ):
        yield Target(
            f"median survival, onset at {name}, months",
            f"italian_register_supp {aim}",
            0.8 * aim,
            1.25 * aim,
            survival_quantile(died[who]),
            1,
            0.5,
        )
    low = np.stack([(lives.items[:, :, 3 * d : 3 * d + 3] < 4).any(2) for d in range(3)])
    two = low.sum(0) >= 2  # any item of a domain, as a history tells a region
    when = np.where(two.any(1), np.take_along_axis(lives.day, two.argmax(1)[:, None], 1)[:, 0], np.nan) / MONTH
    yield Target("onset to second region, months", "fujimura2011_spread 12.8", 11.0, 14.5, mean(when), 1)
    stage, dead = np.where(np.isnan(lives.total), 9.0, lives.kings), lives.event["death"] < 3653
    for k, low_, high in ((2, 0.35, 0.43), (3, 0.57, 0.64), (4, 0.75, 0.82)):
        reached = stage >= k
        at = np.take_along_axis(lives.day, reached.argmax(1)[:, None], 1)[:, 0]
        share = np.minimum(at, lives.event["death"]) / lives.event["death"]
        yield Target(
            f"King's {k}, share of the time to death",
            "ferraro2016_kings_mitos, roche2012_kings",
            low_,
            high,
            float(np.median(share[dead])),
        )
    for kind, low_, high in (("gastrostomy", 0.20, 0.29), ("tracheostomy", 0.04, 0.10), ("niv", 0.10, 0.40)):
        yield Target(
            f"{kind}, ever",
            "italian_register_supp, raymond2019_usregistry",
            low_,
            high,
            float((lives.event[kind] < 3653).mean()),
        )


def read_only(lives: Lives, score: Floats, svc: Floats, months: Floats, adult: Any) -> Iterator[Target]:
    """Yield what is read and never tuned on: studies of other roles, and what no study says."""
    centaur = Trial(lives, adult & (months <= 18) & (svc > 60) & (lives.regions[:, RUN_IN] == 3))
    yield Target(
        "report: points a month, three regions within 18 months",
        "paganoni2020_centaur -1.66",
        -1.9,
        -1.4,
        mean(centaur.slope(centaur.lives.total, 6)),
        weight=0,
    )
    nurown = Trial(
        lives, adult & (score >= 25) & (months <= 24) & (svc >= 65) & (lives.total[:, RUN_IN] - lives.total[:, 0] <= -3)
    )
    own_before = slopes(nurown.lives.day[:, : RUN_IN + 1].astype(float), nurown.lives.total[:, : RUN_IN + 1])
    gain = nurown.slope(nurown.lives.total, 7) - own_before
    yield Target(
        "report: responders without treatment",
        "cudkowicz2022_nurown_p3 placebo 0.28",
        0.2,
        0.36,
        float((gain >= 1.25)[np.isfinite(gain)].mean()),
        weight=0,
    )
    everyone = Trial(lives, adult & (months <= 36) & (svc >= 60))
    yield Target(
        "report: r of slopes before and in the trial",
        "thakore2018_trajectories (correlated)",
        0.2,
        0.6,
        -correlation(everyone.rate_before, everyone.slope(everyone.lives.total)),
        weight=0,
    )


def main() -> None:
    """Print the table, misses first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("changes", nargs="*", metavar="parameter=value")
    args = parser.parse_args()
    p = point_draw(changes(args.changes))[0]
    print("| target | study | aim | simulated | |\n|---|---|---|---|---|")
    for t in sorted(targets(p, args.people, args.seed), key=lambda t: t.met):
        verdict = "inside" if t.met else "**outside**"
        print(f"| {t.what} | {t.study} | {t.low:g} to {t.high:g} | {t.value:.{t.digits}f} | {verdict} |")


if __name__ == "__main__":
    main()
