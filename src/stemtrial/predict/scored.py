"""The scores of a scorecard's rows, studies and groups of rows, by ``metrics`` and ``score``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.evidence import Outcome, Study, half_unit
from stemtrial.predict.metrics import (
    crps,
    interval_score,
    joint_rank,
    on_scoring_scale,
    pit,
    pit_uniformity,
    ratio,
    tie_breaker,
)
from stemtrial.predict.naive import meta_analytic, no_change
from stemtrial.predict.score import LANES, NAIVE, coverage

Floats = NDArray[np.float64]
Row = dict[str, Any]
SCORES = ("pit", "crps", "interval_score", *NAIVE)
"""Columns of a row that are numbers where a verified value was published, else None."""
ROLES = ("test", "fit")
BY = ("lane", "family", "phenotype")
"""Columns by which rows are grouped."""
FORECASTERS = {"crps_meta": meta_analytic, "crps_no_change": no_change}
"""Column of a row -> the naive forecaster whose CRPS it holds."""


def score(row: Row, x: Floats, o: Outcome, study: Study) -> None:
    """Write the scores of a prediction into its row, in place: numbers, or None where there is nothing to score.

    Parameters
    ----------
    row : dict
        Of a scorecard; ``agrees`` is None where no value can be scored.
    x : ndarray, shape (replicates,)
        What was predicted, in the unit of the publication.
    o, study
        The record of the published value.
    """
    row |= dict.fromkeys(SCORES) | {"naive": {}}
    if row["agrees"] is None or o.value is None:
        return
    y, told = float(on_scoring_scale(o.statistic, o.value)), on_scoring_scale(o.statistic, x)
    row["pit"] = _number(pit(x, o.value, tie_breaker(o.outcome_id), half_unit(o, study)))
    row["crps"] = _number(crps(told, y))
    row["interval_score"] = _number(interval_score(told, y, 0.9))
    for column, forecast in FORECASTERS.items():
        made = forecast(o, study)
        if made is not None:
            row[column] = _number(crps(on_scoring_scale(o.statistic, made.values), y, fair=False))
            row["naive"][column] = made.how


def _number(x: float) -> float | None:
    return float(x) if np.isfinite(x) else None


def joint_ranks(rows: Sequence[Row], values: Mapping[str, Floats]) -> list[Row]:
    """Rank the published headlines of each study together among its replicates.

    Parameters
    ----------
    rows : sequence of dict
        Of a scorecard, with ``headline``.
    values : mapping
        By outcome: one value a replicate. Rows of one protocol, or of one registry, share their replicates.

    Returns
    -------
    list of dict
        ``study, protocol, cohort, lane, role, phenotype, rank, outcomes, replicates``, the oddest first; studies with
        one headline have none.
    """
    groups: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        if row["headline"]:
            groups[row["study"], row["protocol"]].append(row)
    out = []
    for (study_id, protocol), mine in groups.items():
        if len(mine) < 2:
            continue
        x = np.array([on_scoring_scale(r["statistic"], values[r["outcome_id"]]) for r in mine])
        y = np.array([float(on_scoring_scale(r["statistic"], r["published"]["value"])) for r in mine])
        found = joint_rank(x, y)
        if np.isfinite(found.rank):
            same = {k: mine[0][k] for k in ("cohort", "lane", "role", "phenotype")}
            told = {"rank": found.rank, "outcomes": found.rows, "replicates": found.replicates}
            out.append({"study": study_id, "protocol": protocol, **same, **told})
    return sorted(out, key=lambda r: (-r["rank"], r["study"]))


def groups(rows: Sequence[Row], joint: Sequence[Row]) -> list[Row]:
    """Summarise the headlines of every role, all together and by lane, endpoint family and phenotype.

    Returns
    -------
    list of dict
        ``role, by, name``; ``coverage`` (:func:`~stemtrial.predict.score.coverage`); ``pit``
        (:func:`~stemtrial.predict.metrics.pit_uniformity`); ``ratios`` by column of a naive forecaster
        (:func:`~stemtrial.predict.metrics.ratio`); ``joint``: studies, the mean of their joint ranks, and the share
        of ranks above 0.9 (a tenth where the model is right).
    """
    out = []
    for role in ROLES:
        of_role = [r for r in rows if r["role"] == role]
        ranked = [j for j in joint if j["role"] == role]
        out.append(_group(role, "all", "all", of_role, ranked))
        for by in BY:
            names = {r[by] for r in of_role if r["headline"]}
            for name in [*(x for x in LANES if x in names), *sorted(names - set(LANES))]:
                mine = [r for r in of_role if r[by] == name]
                of_name = [j for j in ranked if j.get(by) == name] if by != "family" else []
                out.append(_group(role, by, name, mine, of_name))
    return [g for g in out if g["coverage"]["outcomes"]]


def _group(role: str, by: str, name: str, rows: Sequence[Row], joint: Sequence[Row]) -> Row:
    heads = [r for r in rows if r["headline"]]
    cohorts = [r["cohort"] for r in heads]
    own = _column(heads, "crps")
    ranks = [j["rank"] for j in joint]
    return {
        "role": role, "by": by, "name": name, "coverage": coverage(rows),
        "pit": pit_uniformity(_column(heads, "pit"), cohorts),
        "ratios": {c: ratio(own, _column(heads, c), cohorts) for c in NAIVE},
        "joint": {
            "studies": len(ranks), "mean": float(np.mean(ranks)) if ranks else None,
            "above_90": float(np.mean(np.array(ranks) > 0.9)) if ranks else None,
        },
    }  # fmt: skip


def _column(rows: Sequence[Row], name: str) -> Floats:
    return np.array([np.nan if r.get(name) is None else r[name] for r in rows], float)
