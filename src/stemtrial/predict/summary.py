"""From one value a replicate to a prediction: median, intervals, Monte Carlo error, the published value beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.evidence import Outcome, Study
from stemtrial.evidence.schema import RATIOS
from stemtrial.predict.estimate import Row

Floats = NDArray[np.float64]


def quantiles(x: Floats, q: list[float]) -> list[float]:
    """Quantiles of the values that are not NaN; infinite values stand at their end, with no interpolation to them."""
    seen = np.sort(x[~np.isnan(x)])
    if len(seen) == 0:
        return [np.nan] * len(q)
    finite = bool(np.isfinite(seen[0]) and np.isfinite(seen[-1]))
    return [float(v) for v in np.quantile(seen, q, method="linear" if finite else "inverted_cdf")]


def at_limit(row: Row, x: Floats) -> NDArray[np.bool_]:
    """Replicates without an estimate: none at all, or a ratio at 0 or infinity because an arm had no event."""
    ratio = row.statistic in RATIOS
    return np.asarray(~np.isfinite(x) | (x == 0.0 if ratio else False))


def number(x: float) -> float | None:
    """A JSON number: None for NaN, infinity (a limit that is not reached) too."""
    return float(x) if np.isfinite(x) else None


def spread(x: Floats) -> dict[str, Any]:
    """``median, pi50, pi90`` of one value a replicate, as JSON."""
    low90, low50, median, high50, high90 = quantiles(x, [0.05, 0.25, 0.5, 0.75, 0.95])
    return {
        "median": number(median),
        "pi50": [number(low50), number(high50)],
        "pi90": [number(low90), number(high90)],
    }


def mcse_of_median(x: Floats) -> float:
    """Monte Carlo standard error of the median: half the width of its 68 % order-statistic interval."""
    n = int((~np.isnan(x)).sum())
    if n < 3:
        return float("nan")
    half = 0.5 / np.sqrt(n)
    low, high = quantiles(x, [max(0.0, 0.5 - half), min(1.0, 0.5 + half)])
    return (high - low) / 2 if np.isfinite(high - low) else float("nan")


def published_of(outcome: Outcome) -> dict[str, Any]:
    """What a report shows of a published outcome."""
    return {
        "value": outcome.value,
        "ci95": list(outcome.ci95) if outcome.ci95 else None,
        "n": outcome.n,
        "verification": outcome.verification or "sealed",
    }


def agreement(outcome: Outcome | None, low: float, high: float) -> bool | None:
    """Whether the published value lies inside the interval; None where it is sealed, absent or only recalled."""
    if outcome is None or outcome.value is None or not outcome.verified or np.isnan(low) or np.isnan(high):
        return None
    return bool(low <= outcome.value <= high)


def z_of(outcome: Outcome | None, row: Row, x: Floats) -> float | None:
    """(published - mean) / standard deviation of the replicates, of logarithms for ratios.

    None where nothing verified was published, where the replicates do not differ, or where more than a tenth of them
    have no finite value.
    """
    if outcome is None or outcome.value is None or not outcome.verified:
        return None
    value = outcome.value
    if row.statistic in RATIOS:
        x, value = np.log(np.where(x > 0, x, np.nan)), np.log(value)
    seen = x[np.isfinite(x)]
    if len(seen) < max(2, 0.9 * len(x)) or seen.std() == 0:
        return None
    return float((value - seen.mean()) / seen.std(ddof=1))


def interval_of(n_draws: int, trial_effects: bool) -> str:
    """What an interval holds: sampling; effects of the trial, where they are drawn; parameters, where they are."""
    return "sampling" + "+trial_effects" * trial_effects + "+parameters" * (n_draws > 1)


def summarise(
    rows: list[Row], values: Floats, study: Study | None, *, n_draws: int, labels: Sequence[Sequence[str]] = (),
    trial_effects: bool = False, scored: bool = True,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return the rows of ``estimates.json``, one an estimate.

    Parameters
    ----------
    rows : list of Row
        What is estimated.
    values : ndarray, shape (rows, replicates)
        One value a replicate, NaN where there is none.
    study : Study or None
        The study that the protocol reproduces.
    n_draws : int
        Draws of the parameters over which the replicates went.
    labels : sequence of sequences of str
        Warnings that each row carries; none when left out.
    trial_effects : bool
        Whether effects of the trial (a hypothesis, a centre, a rating bias) differ between the replicates.
    scored : bool
        Whether the trial has the published size; of another size no interval is that of the published trial.
    """
    outcomes = {o.outcome_id: o for o in study.outcomes} if study else {}
    out = []
    for k, (row, x) in enumerate(zip(rows, values, strict=True)):
        outcome = outcomes.get(row.outcome_id or "")
        low90, high90 = quantiles(x, [0.05, 0.95])
        out.append(
            {
                "study": study.id if study else None,
                "outcome_id": row.outcome_id,
                "arm": row.arm if isinstance(row.arm, str) else list(row.arm),
                "endpoint": row.endpoint,
                "definition": outcome.definition if outcome else None,
                "time_years": row.time_years,
                "statistic": row.statistic,
                "unit": row.unit,
                **spread(x),
                "interval": interval_of(n_draws, trial_effects),
                "n_replicates": len(x),
                "n_draws": n_draws,
                "n_not_estimable": int(at_limit(row, x).sum()),
                "mcse": number(mcse_of_median(x)),
                "labels": list(labels[k]) if labels else [],
                "published": published_of(outcome) if outcome else None,
                "agrees": agreement(outcome, low90, high90) if scored else None,
                "z": z_of(outcome, row, x) if scored else None,
            }
        )
    return out


def band(x: Floats) -> tuple[list[float | None], list[float | None], list[float | None]]:
    """Median and 90 % interval over replicates of a curve, shape (replicates, times)."""
    low, median, high = zip(*(quantiles(column, [0.05, 0.5, 0.95]) for column in x.T), strict=True)
    return [number(v) for v in median], [number(v) for v in low], [number(v) for v in high]
