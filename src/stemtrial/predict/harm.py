"""Adverse events of repeated trials, by term and arm: patients, events, grade 3 or more, serious, day, cause."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.predict.estimate import Analysed
from stemtrial.predict.summary import number, quantiles
from stemtrial.tables import row_of, take
from stemtrial.trial.protocol import Protocol

Arrays = dict[str, NDArray[Any]]
SEVERE = 3
DAY = "adverse_day"
"""Name of what has no value, rather than 0, where a term never came."""


def tally(a: Analysed, protocol: Protocol) -> Arrays:
    """Count adverse events.

    Parameters
    ----------
    a : Analysed
        Tables of some replicates; patients outside the analysis set are left out.
    protocol : Protocol
        Its arms.

    Returns
    -------
    dict of ndarray, shape (replicates,)
        By ``<what>|<term>|<arm>``: ``adverse`` (per cent of patients with it), ``adverse_severe`` and
        ``adverse_serious`` (per cent with one of grade 3 or more, with a serious one), ``adverse_events`` (events),
        ``adverse_grade`` (highest grade), ``adverse_day`` (median day of the first one; NaN without one), and
        ``adverse_cause|<term>|<arm>|<therapy>`` (events that it caused).
    """
    rows = a.tables["adverse_events"]
    n = a.arm.shape[1]
    out: Arrays = {}
    patients = {arm: np.maximum(a.of(arm).sum(1), 1) for arm in protocol.arms}
    for term in np.unique(rows["term"]).tolist():
        of_term = take(rows, rows["term"] == term)
        place = row_of(of_term, a.replicates, n)
        for arm in protocol.arms:
            kept = a.of(arm).ravel()[place]
            mine, where = take(of_term, kept), place[kept]
            replicate = where // n
            key = f"{term}|{arm}"

            def share(which: NDArray[np.bool_], where: Any = where, arm: str = arm) -> NDArray[np.float64]:
                ever = np.zeros(a.arm.size, bool)
                ever[where[which]] = True
                return np.asarray(100.0 * a.square(ever).sum(1) / patients[arm])

            out[f"adverse|{key}"] = share(np.ones(len(where), bool))
            out[f"adverse_severe|{key}"] = share(mine["grade"] >= SEVERE)
            out[f"adverse_serious|{key}"] = share(mine["serious"] > 0)
            out[f"adverse_events|{key}"] = np.bincount(replicate, minlength=len(a.replicates)).astype(float)
            grade = np.zeros(len(a.replicates))
            np.maximum.at(grade, replicate, mine["grade"].astype(float))
            out[f"adverse_grade|{key}"] = grade
            out[f"{DAY}|{key}"] = _first_days(where, mine["day"], a)
            for cause in np.unique(mine["cause"]).tolist():
                by_it = replicate[mine["cause"] == cause]
                out[f"adverse_cause|{key}|{cause}"] = np.bincount(by_it, minlength=len(a.replicates)).astype(float)
    return out


def _first_days(where: NDArray[np.int64], day: NDArray[Any], a: Analysed) -> NDArray[np.float64]:
    """Median over the patients of each replicate of the day of their first event."""
    first = np.full(a.arm.size, np.inf)
    np.minimum.at(first, where, day.astype(float))
    square = a.square(first)
    return np.array([np.median(d[np.isfinite(d)]) if np.isfinite(d).any() else np.nan for d in square])


def summary(arms: list[str], seen: Arrays) -> list[dict[str, Any]]:
    """Return the adverse events of a report, one a term and arm; what never came in an arm is 0 there.

    Parameters
    ----------
    arms : list of str
        Arms of the protocol.
    seen : dict of ndarray, shape (replicates,)
        From :func:`tally`, over all replicates.

    Returns
    -------
    list of dict
        ``term, arm, cause`` (therapies, most frequent first), ``grade`` (the highest), ``serious`` (whether any is),
        ``percent_median, percent_lo, percent_hi`` (patients), ``events`` (mean number a trial), ``severe_percent`` and
        ``serious_percent`` (means over replicates), ``day`` (median over replicates; None without any).
    """
    out = []
    for term in sorted({k.split("|")[1] for k in seen if k.startswith("adverse|")}):
        for arm in arms:
            key = f"{term}|{arm}"
            low, median, high = quantiles(seen[f"adverse|{key}"], [0.05, 0.5, 0.95])
            causes = {k.split("|")[3]: float(v.sum()) for k, v in seen.items() if k.startswith(f"adverse_cause|{key}|")}
            out.append(
                {
                    "term": term,
                    "arm": arm,
                    "cause": ", ".join(c.replace("_", " ") for c in sorted(causes, key=lambda c: -causes[c])),
                    "grade": int(seen[f"adverse_grade|{key}"].max()),
                    "serious": bool(seen[f"adverse_serious|{key}"].any()),
                    "percent_median": number(median),
                    "percent_lo": number(low),
                    "percent_hi": number(high),
                    "events": float(seen[f"adverse_events|{key}"].mean()),
                    "severe_percent": float(seen[f"adverse_severe|{key}"].mean()),
                    "serious_percent": float(seen[f"adverse_serious|{key}"].mean()),
                    "day": number(quantiles(seen[f"{DAY}|{key}"], [0.5])[0]),
                }
            )
    return out
