"""Runs the checks of docs/design/model_review.md (MS items 1-9) on the model as it stands and prints them side by side.

python -m validation.review_checks [patients] [parameter=value ...]
"""

from __future__ import annotations

import sys

import numpy as np

from stemtrial import analysis
from stemtrial.cohort.population import people_at_onset
from stemtrial.cohort.recruit import Care, Recruits, deficits, recruit, weights
from stemtrial.endpoint import derive
from stemtrial.kernel import default_threads
from stemtrial.observe import EdssRater, RaterState
from stemtrial.observe.parameters import EdssParameters, from_draw, load
from stemtrial.parameters import point_draw
from stemtrial.predict.estimate import Analysed
from stemtrial.therapy import compose_ms
from stemtrial.trial.conduct import conduct
from stemtrial.trial.entry import families_of, planned_days
from stemtrial.trial.protocol import Protocol

RRMS = (
    "18 <= age_years <= 55",
    "edss <= 5.5",
    "relapses_last_12_months >= 1 or relapses_last_24_months >= 2",
    "days_since_relapse > 30",
)


CHANGES: dict[str, float] = {}


def protocol(
    name: str, arms: dict, months: list[float], care: str = "none", rules: tuple[str, ...] = RRMS, blind: str = "blind"
) -> Protocol:
    data = {
        "protocol": name, "title": name, "disease": "ms",
        "population": {"course": "rrms", "care_before_entry": care, "eligibility": rules},
        "accrual": {"start": "2005-01", "end": "2008-12", "closure": "2030-12"},
        "blinding": {"patient": blind, "rater": "blind"},
        "arms": arms, "visits": {"months": months, "window_days": 7},
        "endpoints": {"primary": {"id": "relapse_rate", "estimator": "rate"}},
    }  # fmt: skip
    if len(arms) > 1:
        data["randomisation"] = {"ratio": dict.fromkeys(arms, 1), "block_sizes": [len(arms)]}
        data["control"] = next(iter(arms))
    return Protocol.model_validate(data)


def run(p: Protocol, recruits: Recruits, seed: int = 5):
    d = point_draw(CHANGES)[0]
    return conduct(p, recruits, compose_ms(families_of(p)), d, seed, threads=default_threads()).tables


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    d, t = point_draw(CHANGES), default_threads()
    weeks12 = [round(12 * 7 * k / (365.25 / 12), 4) for k in range(11)]
    arms = {
        a: {"n": n, "regimen": [] if a == "placebo" else [{"therapy": a}]}
        for a in ("placebo", "fingolimod", "natalizumab")
    }
    p = protocol("rrms", arms, weeks12)
    kernel = compose_ms(("ahsct", "drugs", "steroids"))
    care = Care("rrms", "none", (2005.0, 2009.0))
    r = recruit(kernel, d, 0, care, p.population.criteria, 5000, threads=t)
    print("RRMS recruits", len(r), {k: round(float(v.mean()), 2) for k, v in r.screening.items()})
    tables = run(p, Recruits(r.index, r.constants, r.state, r.screening, r.rater_h, r.funnel))
    a = Analysed(tables, p)
    out = {}
    for arm in arms:
        mine = tables["patients"]["arm"] == arm
        row = {}
        for w in (12, 24):
            e = derive(f"confirmed_worsening.{w}_weeks", tables, planned_days=planned_days(p))
            row[f"CDW{w}"] = (
                1 - analysis.kaplan_meier(e.time_years[None], e.event[None], [1.99], mine[None]).survival[0, 0]
            )
            pair = mine | (tables["patients"]["arm"] == "placebo")
            if arm != "placebo":
                row[f"HR{w}"] = analysis.cox(e.time_years[None], e.event[None], mine[None], pair[None]).value[0]
        e = derive("confirmed_improvement.12_weeks", tables, planned_days=planned_days(p))
        row["CDI12"] = 1 - analysis.kaplan_meier(e.time_years[None], e.event[None], [1.99], mine[None]).survival[0, 0]
        v = derive("edss_change", tables, at_years=1.98, planned_days=planned_days(p)).value[mine]
        row["drift"] = np.nanmean(v)
        c = derive("relapse_rate", tables)
        row["T2v"] = tables["patients"]["t2_volume_ml"].mean()
        row["ARR"] = c.count[mine].sum() / c.exposure_years[mine].sum()
        l = derive("new_t2_lesions", tables, planned_days=planned_days(p))
        row["newT2/y"] = l.count[mine].sum() / l.exposure_years[mine].sum()
        b = tables["mri"]
        last = b["visit"] == 9
        arm_of = tables["patients"]["arm"][b["patient"]]
        row["BV2y"] = b["brain_volume_change_pct"][last & (arm_of == arm)].mean()
        out[arm] = row
        print(arm, {k: round(float(x), 3) for k, x in row.items()})
    g = tables["patients"]["gd_lesions"].astype(float)
    print(
        "Gd mean %.2f SD %.2f NB k %.2f positive %.2f; relapses before %.2f; EDSS %.2f"
        % (
            g.mean(),
            g.std(),
            g.mean() ** 2 / (g.var() - g.mean()),
            (g > 0).mean(),
            tables["patients"]["relapses_last_12_months"].mean(),
            tables["patients"]["edss"].mean(),
        )
    )
    print(
        "published: relapses 1.5; CDW12 .24-.29, CDW24 .12-.19; fingolimod HR .70/.63; natalizumab .58/.46; drift +.13/0; CDI12 .19/.30; Gd SD 2.9-4, 1.1-1.5; ARR .35-.7"
    )
    print("review D:  relapses 1.47; .27/.20; .58/.52; .54/.51; +.25/-.02; .28/.35; item 8: Gd SD 3.5, k .33")
    # aHSCT
    months = [float(6 * k) for k in range(21)]
    q = protocol(
        "ahsct",
        {"ahsct": {"n": n // 2, "regimen": [{"therapy": "ahsct", "conditioning": "beam-atg", "day": 30}]}},
        months,
        "platform_drugs",
        ("18 <= age_years <= 50", "2.0 <= edss <= 6.0", "relapses_last_12_months >= 2"),
        blind="open",
    )
    r = recruit(kernel, d, 0, Care("rrms", "platform_drugs", (2005.0, 2009.0)), q.population.criteria, 3000, threads=t)
    tables = run(q, r)
    e = derive("confirmed_worsening.24_weeks", tables, planned_days=planned_days(q))
    nd = derive("neda3", tables, planned_days=planned_days(q))
    im = derive("confirmed_improvement", tables, planned_days=planned_days(q))
    rf = derive("relapse_free", tables)
    km = lambda x, at: analysis.kaplan_meier(x.time_years[None], x.event[None], at).survival[0].round(3).tolist()
    print(
        "aHSCT BEAM: EDSS change 1/2/5/10 y",
        [
            round(float(np.nanmean(derive("edss_change", tables, at_years=y, planned_days=planned_days(q)).value)), 2)
            for y in (1.0, 2.0, 5.0, 10.0)
        ],
        "worsening-free 2/5/10",
        km(e, [2, 5, 9.4]),
        "NEDA 2/5/10",
        km(nd, [2, 5, 9.9]),
        "relapse-free 3/5/10",
        km(rf, [3, 5, 9.9]),
        "CDI 2 y",
        1 - km(im, [2])[0],
    )
    print(
        "published: EDSS -.5 to -1.4; worsening-free .855/.71 (5/10), NEDA 2/5/10 .83/.62-.69/.40-.55, relapse-free 3/5/10 .87-.96/.80-.88/.63, CDI .50; review: -.52/-.56/-.49; .87/.69; .60/.29"
    )


def natural_history(n: int) -> None:
    """Untreated relapsing-onset MS over 40 years from onset in 1980, rated half-yearly."""
    d = point_draw(CHANGES)[0]
    kernel = compose_ms(("steroids",))
    index = np.arange(n, dtype=np.uint64)
    year = np.full(n, 2010.0)
    constants, state = people_at_onset(11, index, d, entry_year=year, duration_years=np.full(n, 30.0), era=1.0)
    people = kernel.population(0, index, constants, state)
    days = np.arange(0, 40 * 365, 182)
    seen = kernel.advance(
        people,
        0,
        int(days[-1]),
        d,
        12,
        visits=(np.repeat(index.astype(int), len(days)), np.tile(days, n)),
        threads=default_threads(),
    ).observed
    who = np.repeat(np.arange(n), len(days))
    known = load(EdssParameters, from_draw(d))
    state_ = RaterState.fresh(n)
    e = np.zeros((n, len(days)))
    for k, day in enumerate(days):
        rows = np.arange(n) * len(days) + k
        rated = EdssRater(3, parameters=known).rate(index, day, deficits(seen, rows), weights(constants), state_)
        e[:, k], state_ = rated.edss, rated.state
    t = days / 365.25
    for level in (4.0, 6.0, 7.0):
        up = (e[:, :-1] >= level) & (e[:, 1:] >= level)
        first = np.where(up.any(1), t[up.argmax(1)], np.inf)
        print(
            f"EDSS {level}: median {np.median(first):.1f} y; by 10/15/20/25/30 y",
            [round(float((first <= y).mean()), 2) for y in (10, 15, 20, 25, 30)],
        )
    rel = seen["n_relapses"].reshape(n, -1)
    at = [int(np.searchsorted(t, y)) for y in (0, 5, 10, 15, 20)]
    print(
        "ARR 0-5, 5-10, 10-15, 15-20:",
        [round(float((rel[:, b] - rel[:, a]).mean() / 5), 2) for a, b in zip(at, at[1:])],
    )
    print(
        "published: EDSS 4/6/7 11.4-18/23-28/33; 22-28 % at EDSS 6 by 15 y; -17 % relapses each 5 y; review EDSS 6 at 15 y 25 %, median 25 y"
    )


if __name__ == "__main__":
    CHANGES.update({k: float(v) for k, v in (x.split("=") for x in sys.argv[2:])})
    natural_history(3000)
    main()
