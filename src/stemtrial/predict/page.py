"""Puts a prediction into the shape that the report shows (``stemtrial.report.data``)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.endpoint import find
from stemtrial.evidence import Outcome, Study
from stemtrial.predict import harm
from stemtrial.predict.curves import SERIES, Series, drawn_free, km_times, survival_endpoints
from stemtrial.predict.estimate import FREE_OF
from stemtrial.predict.families import families_of
from stemtrial.predict.labels import arm_labels
from stemtrial.predict.misses import why
from stemtrial.predict.summary import band, number, published_of, quantiles
from stemtrial.predict.table_one import table_one
from stemtrial.predict.told import claims_of, published_beside
from stemtrial.trial.protocol import Protocol

Arrays = dict[str, NDArray[Any]]
RELAPSES = Series("relapses", "", "Relapses a patient-year, by year", "1/y", ("relapse_rate",))
"""A rate by year of follow-up, not a mean over visits."""
OTHER_PEOPLE = ("subgroup", "threshold_scan")
"""Analyses of part of an arm: no points on its curve."""
DISCLAIMER = (
    "Research software. It simulates virtual patients with models that are simpler than people; it gives no advice "
    "about a person, and no treatment decision may rest on it."
)


def page_data(
    run: dict[str, Any], protocol: Protocol, study: Study | None, estimates: list[dict[str, Any]], seen: Arrays,
    funnel: list[tuple[str, int]],
) -> dict[str, Any]:  # fmt: skip
    """Return the data of a report.

    Parameters
    ----------
    run, estimates
        As in ``run.json`` and ``estimates.json``.
    protocol, study
        What was run, and what it reproduces.
    seen : dict of ndarray, shape (replicates, ...)
        From :func:`stemtrial.predict.curves.curves`.
    funnel : list of (step, people)
        Recruitment.
    """
    arms = list(protocol.arms)
    claimed = {e["outcome_id"] for e in estimates if e["outcome_id"]}
    missing = [o for o in (study.outcomes if study else ()) if o.outcome_id not in claimed]
    asked = {o.endpoint for o in (study.outcomes if study else ()) if o.outcome_id in claimed}
    return {
        "run": {
            **{k: v for k, v in run.items() if k != "provenance"},
            "version": run["provenance"]["version of stemtrial"],
            "citation": study.citation if study else None,
            "doi": study.doi if study else None,
        },
        "arms": [{"id": a, "label": label, "n": protocol.arms[a].n} for a, label in arm_labels(protocol).items()],
        "disclaimer": DISCLAIMER,
        "estimates": estimates,
        "not_predicted": [
            {
                "outcome_id": o.outcome_id,
                "reason": f"of {o.endpoint}, but of other patients, at another time or another statistic than asked"
                if o.endpoint in asked
                else f"no endpoint of the protocol predicts {o.endpoint}",
            }
            for o in missing
        ],
        "misses": [
            {"outcome_id": e["outcome_id"], "why": why(e, protocol.disease, families_of(protocol))}
            for e in estimates
            if e["agrees"] is False
        ],
        "baseline": table_one(protocol, study, seen),
        "recruitment": [{"step": s, "n": n, "fraction": n / max(1, funnel[0][1])} for s, n in funnel],
        "curves": {"km": _km(protocol, study, estimates, seen), "series": _series(protocol, study, seen)},
        "adverse_events": harm.summary(arms, seen),
        "disposition": _disposition(arms, seen),
        "hypotheses": run["hypotheses"],
        "claims": claims_of(protocol),
        "beside": published_beside(protocol),
        "parameters_note": _parameters_note(run),
        "provenance": {k: str(v) for k, v in run["provenance"].items()} | {"digest": run["digest"]},
        "endpoint_labels": {
            name: find(name).label for name in (*(u.id for u in protocol.endpoints.all), *survival_endpoints(protocol))
        },
    }


def _parameters_note(run: dict[str, Any]) -> str:
    point = run["draws_label"] == "point"
    drawn = "All parameters at their point values" if point else f"{run['draws']} of the draws of {run['draws_label']}"
    words = {"trial_effects": "effects of the trial", "parameters": "parameters"}
    held = ["sampling", *(words[w] for w in run["interval"].split("+")[1:])]
    return f"{drawn}; intervals hold {' and '.join(held) if len(held) > 1 else 'sampling only'}."


def _km(protocol: Protocol, study: Study | None, estimates: list[dict[str, Any]], seen: Arrays) -> list[dict[str, Any]]:
    at = km_times(protocol)
    often = 4 if at[-1] <= 1 else 1  # a trial of some months has no year at which to count
    counted = [k for k, t in enumerate(often * at) if abs(t - round(t)) < 1e-6]
    outcomes = {o.outcome_id: o for o in study.outcomes} if study else {}
    out = []
    for endpoint in survival_endpoints(protocol):
        free = drawn_free(protocol, endpoint)
        mirrored = "kaplan_meier_complement" if free is (find(endpoint).rule in FREE_OF) else "kaplan_meier"
        other = {o for u in protocol.endpoints.all if u.estimator == mirrored for o in u.predicts}
        for arm in protocol.arms:
            median, low, high = band(seen[f"km|{endpoint}|{arm}"])
            points = [
                {"time_years": e["time_years"], **_told(outcomes[e["outcome_id"]], e["outcome_id"] in other)}
                for e in estimates
                if e["endpoint"] == endpoint
                and e["arm"] == arm
                and e["statistic"] == "km_probability"
                and e["outcome_id"]
            ]
            risk = np.median(seen[f"risk|{endpoint}|{arm}"], axis=0)
            out.append(
                {
                    "endpoint": endpoint,
                    "label": f"{find(endpoint).label}: share {'free of it' if free else 'with the event'}",
                    "arm": arm,
                    "time_years": at.tolist(),
                    "median": median,
                    "lo": low,
                    "hi": high,
                    "n_at_risk": {"times": at[counted].tolist(), "n": risk[counted].tolist()},
                    "published": points,
                }
            )
    return out


def _told(o: Outcome, mirrored: bool) -> dict[str, Any]:
    """A published share, or the rest of it where the curve is drawn the other way round."""
    told = published_of(o)
    if mirrored:
        told["value"] = None if told["value"] is None else 1.0 - told["value"]
        told["ci95"] = [1.0 - x for x in reversed(told["ci95"])] if told.get("ci95") else None
    return told


def _series(protocol: Protocol, study: Study | None, seen: Arrays) -> list[dict[str, Any]]:
    months = np.array(protocol.visits.months) / 12.0
    years = np.arange(max(1, int(months[-1] + 0.001))) + 0.5
    drawn = {key.split("|")[1] for key in seen if key.startswith("series|")}
    known = {**SERIES[protocol.disease], "relapse_rate": RELAPSES}
    out = []
    for name, measure in known.items():
        if name not in drawn:
            continue
        times = years if measure is RELAPSES else months
        for arm in protocol.arms:
            median, low, high = band(seen[f"series|{name}|{arm}"])
            keep = [k for k, v in enumerate(median) if v is not None]
            points = [
                {"time_years": o.time_years, **published_of(o)}
                for o in (study.outcomes if study else ())
                if o.endpoint in measure.published
                and o.arms == (arm,)
                and o.statistic in measure.statistics
                and o.time_years is not None
                and o.analysis not in OTHER_PEOPLE
            ]
            out.append(
                {
                    "name": name,
                    "label": measure.label,
                    "unit": measure.unit,
                    "arm": arm,
                    "time_years": [float(times[k]) for k in keep],
                    "median": [median[k] for k in keep],
                    "lo": [low[k] for k in keep],
                    "hi": [high[k] for k in keep],
                    "published": points,
                }
            )
    return out


def _disposition(arms: list[str], seen: Arrays) -> list[dict[str, Any]]:
    found = [(e, a) for e in sorted({k.split("|")[1] for k in seen if k.startswith("left|")}) for a in arms]
    out = []
    for event, arm in found:
        low, median, high = quantiles(seen[f"left|{event}|{arm}"], [0.05, 0.5, 0.95])
        told = {"percent_median": number(median), "lo": number(low), "hi": number(high)}
        out.append({"arm": arm, "event": event.replace("_", " "), **told})
    return out
