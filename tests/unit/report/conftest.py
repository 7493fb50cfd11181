"""A synthetic report: the shape of a real one, values from closed formulas, no trial's results."""

from __future__ import annotations

import math
from typing import Any

import pytest

DEFINITION = "EDSS increase of 1.0 or more after at least one year, confirmed after six months"


def _row(k: int, arm: Any, endpoint: str, statistic: str, unit: str, q: list[float], **more: Any) -> dict[str, Any]:
    lo90, lo50, mid, hi50, hi90 = q
    return {
        "study": "synthetic2000_trial",
        "outcome_id": f"synthetic2000_trial#{k}",
        "arm": arm,
        "endpoint": endpoint,
        "definition": None,
        "time_years": None,
        "statistic": statistic,
        "unit": unit,
        "median": mid,
        "pi50": [lo50, hi50],
        "pi90": [lo90, hi90],
        "interval": "sampling",
        "n_replicates": 1000,
        "n_draws": 1,
        "n_not_estimable": 0,
        "mcse": abs(hi50 - lo50) / 40,
        "labels": [],
        "published": None,
        "agrees": None,
    } | more


def _pub(value: float, ci95: list[float] | None, verification: str, n: int = 50) -> dict[str, Any]:
    return {"value": value, "ci95": ci95, "n": n, "verification": verification}


def synthetic() -> dict[str, Any]:
    """A whole report, made up."""
    both = ["cells", "usual"]
    progression = {"definition": DEFINITION}
    rows = [
        _row(
            0,
            both,
            "confirmed_worsening.mist",
            "hazard_ratio",
            "1",
            [0.0, 0.06, 0.11, 0.17, 0.31],
            **progression,
            n_not_estimable=37,
            published=_pub(0.09, [0.03, 0.3], "primary", 100),
            agrees=True,
        ),
        _row(
            1,
            "cells",
            "confirmed_worsening.mist",
            "count",
            "patients",
            [0, 2, 4, 6, 9],
            **progression,
            published=_pub(4, None, "primary"),
            agrees=True,
        ),
        _row(
            2,
            "usual",
            "confirmed_worsening.mist",
            "count",
            "patients",
            [17, 21, 24, 27, 31],
            **progression,
            published=_pub(35, None, "secondary"),
            agrees=False,
        ),
        _row(
            3,
            "cells",
            "edss",
            "mean",
            "EDSS",
            [2.2, 2.4, 2.55, 2.7, 2.95],
            time_years=1,
            published=_pub(2.45, None, "secondary"),
            agrees=True,
        ),
        _row(
            4,
            "usual",
            "edss",
            "mean",
            "EDSS",
            [3.3, 3.5, 3.62, 3.75, 3.95],
            time_years=1,
            published=_pub(3.9, None, "secondary"),
            agrees=True,
        ),
        _row(
            5,
            "cells",
            "edss_change",
            "mean_change",
            "EDSS",
            [-1.15, -0.98, -0.85, -0.7, -0.5],
            time_years=1,
            published=_pub(-0.9, [-1.2, -0.6], "secondary"),
            agrees=True,
        ),
        _row(
            6,
            "usual",
            "edss_change",
            "mean_change",
            "EDSS",
            [0.02, 0.17, 0.28, 0.4, 0.55],
            time_years=1,
            published=_pub(0.7, [0.4, 1.0], "secondary"),
            agrees=False,
        ),
        _row(
            7,
            both,
            "edss_change",
            "difference",
            "EDSS",
            [-1.6, -1.3, -1.12, -0.95, -0.7],
            time_years=1,
            published=_pub(-1.5, [-1.9, -1.1], "secondary", 98),
            agrees=True,
        ),
        _row(8, both, "relapse_rate", "rate_ratio", "1", [0.02, 0.05, 0.07, 0.1, 0.16]),
        _row(
            9,
            "cells",
            "treatment_related_mortality",
            "proportion",
            "1",
            [0, 0, 0, 0.0182, 0.0364],
            published=_pub(0, [0, 0.07], "primary", 52),
            agrees=True,
        ),
    ]
    for k, (year, cells, usual) in enumerate([(1, 0.03, 0.2), (2, 0.04, 0.41), (3, 0.06, 0.52), (5, 0.1, 0.66)]):
        for arm, v, w in (("cells", cells, 0.04), ("usual", usual, 0.13)):
            q = [max(0.0, v - w), max(0.0, v - w / 2.4), v, v + w / 2.4, v + w]
            rows.append(
                _row(
                    10 + 2 * k + (arm == "usual"),
                    arm,
                    "confirmed_worsening.mist",
                    "km_probability",
                    "1",
                    q,
                    **progression,
                    time_years=year,
                    published=_pub(min(v * 1.15, 0.9), [v * 0.6, v * 1.6], "recalled"),
                )
            )
    rows.append(
        _row(
            18,
            "cells",
            "t2_volume_change_pct",
            "mean_change",
            "%",
            [-24, -17, -13, -8, -1],
            time_years=1,
            published=_pub(-30.0, None, "recalled"),
        )
    )
    rows.append(
        _row(
            19,
            "cells",
            "neda3",
            "km_probability",
            "1",
            [0.5, 0.6, 0.67, 0.73, 0.82],
            time_years=5,
            published={"value": None, "ci95": None, "n": 50, "verification": "sealed"},
        )
    )

    times = [k / 12 for k in range(61)]

    def km(
        endpoint: str, label: str, arm: str, scale: float, free: bool, width: float, known: list[Any]
    ) -> dict[str, Any]:
        event = [1 - math.exp(-((t / scale) ** 0.9)) if t > 0.99 or free else 0.0 for t in times]
        mid = [1 - e if free else e for e in event]
        half = [width * 2 * math.sqrt(max(e * (1 - e), 0.0)) + 0.01 * (e > 0) for e in event]
        return {
            "endpoint": endpoint,
            "label": label,
            "arm": arm,
            "time_years": times,
            "median": mid,
            "lo": [max(0.0, m - h) for m, h in zip(mid, half, strict=True)],
            "hi": [min(1.0, m + h) for m, h in zip(mid, half, strict=True)],
            "n_at_risk": {
                "times": [0, 1, 2, 3, 4, 5],
                "n": [55, 50, 38, 27, 17, 9] if arm == "cells" else [55, 40, 24, 14, 8, 3],
            },
            "published": known,
        }

    def at(t: float, v: float, ci: list[float] | None, how: str) -> dict[str, Any]:
        return {"time_years": t, "value": v, "ci95": ci, "verification": how}

    def series(name: str, label: str, unit: str, arm: str, f: Any, w: float, known: Any = ()) -> dict[str, Any]:
        ts = [0, 0.5, 1, 2, 3, 4, 5]
        mid = [f(t) for t in ts]
        return {
            "name": name,
            "label": label,
            "unit": unit,
            "arm": arm,
            "time_years": ts,
            "median": mid,
            "lo": [max(m - w * (1 + 0.15 * t), -99.0 if unit == "%" else 0.0) for m, t in zip(mid, ts, strict=True)],
            "hi": [m + w * (1 + 0.15 * t) for m, t in zip(mid, ts, strict=True)],
            "published": list(known),
        }

    worsening = "Confirmed worsening, MIST definition"
    events = [
        ("Neutropenia", 4, 0, "ahsct", 98, 0),
        ("Febrile neutropenia", 3, 1, "ahsct", 38, 0),
        ("Infection", 3, 1, "ahsct", 14, 3),
        ("Secondary thyroid disease", 2, 0, "ahsct", 13, 1),
        ("Ovarian failure", 2, 0, "ahsct", 11, 0),
        ("Infusion reaction", 2, 0, "natalizumab", 0, 6),
        ("Death", 5, 1, "ahsct", 0.4, 0),
    ]
    return {
        "run": {
            "protocol": "synthetic",
            "title": "Synthetic cells against usual care in a made-up disease course",
            "id": "0a1b2c3d4e5f",
            "digest": "sha256:" + "5e" * 32,
            "seed": 1,
            "version": "0.1.0",
            "created": "2000-01-01",
            "replicates": 1000,
            "draws": 1,
            "draws_label": "point",
            "patients_per_arm": {"cells": 55, "usual": 55},
            "interval": "sampling",
            "distinct_recruits": 861,
            "screened": 48210,
            "recruit_warning": "Only 861 distinct recruits stand behind 110 patients a replicate.",
            "failed_patients": 0,
            "events_overflowed": 0,
            "seconds": {"run_in": 41.2, "conduct": 63.9, "estimate": 7.35},
            "labels": ["open_label"],
            "reproduces": "synthetic2000_trial",
            "citation": "Nobody N et al. Journal of Made-up Trials 2000;1:1-9",
            "doi": "10.1234/synthetic.2000.1",
        },
        "arms": [{"id": "cells", "label": "Cells", "n": 55}, {"id": "usual", "label": "Usual care", "n": 55}],
        "disclaimer": "All values on this page are synthetic.",
        "estimates": rows,
        "not_predicted": [
            {"outcome_id": "synthetic2000_trial#20", "reason": "The model holds no quality-of-life questionnaire yet."}
        ],
        "misses": [
            {
                "outcome_id": "synthetic2000_trial#2",
                "why": "The usual-care arm worsens too slowly here. The trial recruited people whose "
                "disease was failing treatment; the simulated ones regress further towards their own mean "
                "after entry, because the reported relapses that admit them are partly chance.",
            },
            {
                "outcome_id": "synthetic2000_trial#6",
                "why": "The same cause as the count of worsening, seen a year earlier: raters know the "
                "arm in part, and the synthetic trial carries no bias of that kind.",
            },
            {
                "outcome_id": "synthetic2000_trial#5",
                "why": "Written for an earlier run in which this outcome lay outside.",
            },
        ],
        "baseline": [
            {
                "variable": v,
                "label": label,
                "unit": unit,
                "arm": arm,
                "statistic": "mean" if sd is not None else "percent",
                "median": m + d,
                "sd": sd,
                "pi90": [m + d - e, m + d + e],
                "published": p,
            }
            for v, label, unit, m, sd, e, pub in (
                ("age_years", "Age", "years", 36.1, 8.2, 1.9, (37.0, "primary")),
                ("female", "Women", "%", 68.0, None, 10.0, (66.0, "secondary")),
                ("disease_duration_years", "Disease duration", "years", 6.4, 4.9, 1.1, None),
                ("edss", "EDSS", "", 3.2, 0.9, 0.2, (3.6, "secondary")),
                ("relapses_last_12_months", "Relapses in the last year", "1", 2.4, 0.7, 0.15, (2.5, "recalled")),
                ("gd_lesions", "Enhancing lesions", "1", 1.9, 2.8, 0.6, None),
            )
            for arm, d in (("cells", 0.0), ("usual", 0.04))
            for p in [{"value": pub[0], "sd": 1.1, "ci95": None, "n": 55, "verification": pub[1]} if pub else None]
        ],
        "recruitment": [
            {"step": "Virtual people with the disease", "n": 48210, "fraction": 1.0},
            {"step": "Relapsing course at the screening date", "n": 31902, "fraction": 0.662},
            {"step": "Age 18 to 55", "n": 27755, "fraction": 0.576},
            {"step": "Rated EDSS 2.0 to 6.0", "n": 9881, "fraction": 0.205},
            {"step": "Two relapses or more in the last year", "n": 861, "fraction": 0.0179},
        ],
        "curves": {
            "km": [
                km(
                    "confirmed_worsening.mist",
                    worsening,
                    "cells",
                    55,
                    False,
                    0.13,
                    [at(1, 0.03, [0.01, 0.13], "recalled"), at(5, 0.11, [0.04, 0.26], "recalled")],
                ),
                km(
                    "confirmed_worsening.mist",
                    worsening,
                    "usual",
                    4.4,
                    False,
                    0.13,
                    [
                        at(1, 0.26, [0.16, 0.4], "secondary"),
                        at(2, 0.5, [0.38, 0.65], "primary"),
                        at(5, 0.75, [0.6, 0.87], "recalled"),
                    ],
                ),
                km("neda3", "NEDA-3", "cells", 11, True, 0.1, [at(2, 0.9, None, "secondary")]),
                km("neda3", "NEDA-3", "usual", 0.9, True, 0.08, []),
            ],
            "series": [
                series(
                    "edss",
                    "EDSS, mean",
                    "EDSS",
                    "cells",
                    lambda t: 2.4 + 0.9 * math.exp(-2.2 * t) + 0.04 * t,
                    0.25,
                    [at(1, 2.45, None, "secondary")],
                ),
                series(
                    "edss",
                    "EDSS, mean",
                    "EDSS",
                    "usual",
                    lambda t: 3.3 + 0.5 * (1 - math.exp(-t / 1.5)),
                    0.28,
                    [at(1, 3.9, [3.5, 4.3], "secondary")],
                ),
                series(
                    "relapse_rate", "Relapse rate", "per year", "cells", lambda t: 0.06 + 0.3 * math.exp(-4 * t), 0.05
                ),
                series(
                    "relapse_rate", "Relapse rate", "per year", "usual", lambda t: 0.6 + 0.7 * math.exp(-1.2 * t), 0.12
                ),
                series(
                    "gd_lesions",
                    "Enhancing lesions, mean",
                    "lesions",
                    "cells",
                    lambda t: 0.05 + 1.8 * math.exp(-9 * t),
                    0.05,
                ),
                series(
                    "gd_lesions",
                    "Enhancing lesions, mean",
                    "lesions",
                    "usual",
                    lambda t: 0.6 + 1.3 * math.exp(-2 * t),
                    0.25,
                ),
                series(
                    "t2_volume_change_pct",
                    "T2 lesion volume, change",
                    "%",
                    "cells",
                    lambda t: -14 * (1 - math.exp(-2 * t)),
                    6,
                    [at(1, -30, None, "recalled")],
                ),
                series(
                    "t2_volume_change_pct",
                    "T2 lesion volume, change",
                    "%",
                    "usual",
                    lambda t: 9 * (1 - math.exp(-t)),
                    7,
                ),
                series(
                    "brain_volume_change_pct",
                    "Brain volume, change",
                    "%",
                    "cells",
                    lambda t: -0.9 * (1 - math.exp(-2 * t)) - 0.25 * t,
                    0.2,
                ),
                series("brain_volume_change_pct", "Brain volume, change", "%", "usual", lambda t: -0.62 * t, 0.25),
            ],
        },
        "adverse_events": [
            {
                "term": term,
                "grade": grade,
                "serious": serious,
                "cause": cause,
                "arm": arm,
                "percent_median": p,
                "percent_lo": max(0.0, p - 1.2 * math.sqrt(p * (100 - p) / 30)),
                "percent_hi": min(100.0, p + 1.2 * math.sqrt(p * (100 - p) / 30) + 0.5),
            }
            for term, grade, serious, cause, a, b in events
            for arm, p in (("cells", a), ("usual", b))
        ],
        "disposition": [
            {"arm": arm, "event": event, "percent_median": p, "lo": max(0.0, p - 7), "hi": min(100.0, p + 7)}
            for event, a, b in (
                ("completed", 88, 42),
                ("crossed_over", 0, 47),
                ("dropped_out", 11, 10),
                ("died", 0.5, 0),
            )
            for arm, p in (("cells", a), ("usual", b))
        ],
        "parameters_note": "Constants stand at published or assumed values; none was tuned to this synthetic trial.",
        "provenance": {
            "command": "stemtrial run synthetic --seed 1",
            "model_hash": "a3" * 32,
            "protocol_hash": "b4" * 32,
            "draws_hash": "c5" * 32,
            "packages": "python 3.12, numpy 2.4, numba 0.68",
        },
    }


@pytest.fixture
def report() -> dict[str, Any]:
    """A fresh synthetic report."""
    return synthetic()


@pytest.fixture(scope="module")
def shared_report() -> dict[str, Any]:
    """One synthetic report for tests that only read it."""
    return synthetic()
