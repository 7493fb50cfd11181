"""Validation of the model by level, for the context of a run: what of a scorecard applies to it, and how it did."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stemtrial.credibility.run import Run
from stemtrial.errors import InputError
from stemtrial.evidence import studies, term
from stemtrial.predict.families import families_of
from stemtrial.predict.lanes import NATURAL, lane_of, phenotype_of
from stemtrial.predict.score import JUDGED_FROM, POOLED_FROM, verdict

Row = dict[str, Any]
LEVELS = {
    "mechanism": "measures below the clinic: scans, fluids, cells",
    "natural history": "people without the therapies of this run, in registries and cohorts",
    "comparator arms": "trials of other therapies, and untreated arms of trials of these",
    "therapy trials": "treated arms and contrasts of trials of the same family of therapies",
}
"""Levels of validation, lowest first."""
_MECHANISM = frozenset({"mri", "biomarker", "cell"})
_UNTREATED = frozenset({"placebo", "untreated", "sham"})
ROLES = ("test", "fit")
_NEEDED = ("study", "role", "lane", "family", "phenotype", "therapies", "arms", "headline", "cohort", "inside50",
           "inside90", "agrees")  # fmt: skip


def check_card(card: Any, name: str) -> Mapping[str, Any]:
    """Return a scorecard that can be read.

    Raises
    ------
    InputError
        If it is none.
    """
    rows = card.get("rows") if isinstance(card, Mapping) else None
    whole = isinstance(rows, list) and isinstance(card.get("settings"), Mapping)
    if not whole or any(not isinstance(r, Mapping) or any(k not in r for k in _NEEDED) for r in rows or ()):
        raise InputError(f"--scorecard {name} is no scorecard; give the scorecard.json of 'stemtrial scorecard'")
    return dict(card)


def level_of(row: Mapping[str, Any], studied: set[str]) -> str:
    """Return the level of a row of a scorecard for a run that studies some families of therapies."""
    if row["family"] in _MECHANISM:
        return "mechanism"
    if row["lane"] == NATURAL:
        return "natural history"
    same = bool(set(row["therapies"]) & studied)
    return "therapy trials" if same and row["arms"] not in _UNTREATED else "comparator arms"


def family_of_endpoint(run: Run, answer: int) -> str | None:
    """Return the family of the endpoint that answers, in the vocabulary of the evidence; None where it has none."""
    row = run.estimates[answer]
    study = studies().get(row["study"] or "")
    published = next((o for o in (study.outcomes if study else ()) if o.outcome_id == row["outcome_id"]), None)
    try:
        return str(term(published.endpoint if published else row["endpoint"]).family)
    except InputError:
        return None


def validation_of(run: Run, answer: int, card: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return how the model did on published studies that bear on a run; None without a scorecard.

    Parameters
    ----------
    run : Run
        The run.
    answer : int
        Place of the estimate that answers.
    card : mapping, optional
        Of :func:`stemtrial.predict.scorecard.scorecard`.

    Returns
    -------
    dict
        ``context`` (``disease, phenotype, therapies, endpoint_family, lane``); ``draws_label, same_draws``;
        ``levels`` and ``applicability`` (``name, meaning, roles``: for test and fit :func:`_summary`, None without a
        headline); ``rules`` (of acceptance, on all test studies) and ``lane_rules`` (of the lane of the run, judged
        from 15 cohorts); ``misses`` (of applicable test headlines: ``study, outcome_id, endpoint, z``).
    """
    if card is None:
        return None
    known, p = studies(), run.protocol
    rows = [r for r in card["rows"] if r["study"] in known]
    mine = [r for r in rows if known[r["study"]].disease == p.disease]
    studied = families_of(p)
    lane, phenotype, family = lane_of(p.disease, studied), phenotype_of(p), family_of_endpoint(run, answer)
    tests: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
        "same disease": lambda r: True,
        "same phenotype": lambda r: r["phenotype"] == phenotype,
        "same family of therapies": lambda r: bool(set(r["therapies"]) & studied),
        "same family of endpoints": lambda r: family is not None and r["family"] == family,
    }

    def applies(r: Mapping[str, Any]) -> bool:
        return all(test(r) for test in tests.values())

    scopes = [*tests.items(), ("all of these", applies)]
    close = [r for r in mine if applies(r) and r["role"] == "test" and r["headline"]]
    settings = card["settings"]
    own = [r for r in rows if r["role"] == "test"]
    return {
        "context": {
            "disease": p.disease, "phenotype": phenotype, "therapies": sorted(studied), "endpoint_family": family,
            "lane": lane,
        },
        "draws_label": settings.get("draws_label"),
        "same_draws": settings.get("draws_id") == run.run["provenance"]["draws"]
        or settings.get("draws_label") == run.run["draws_label"],
        "levels": [
            {"name": name, "meaning": meaning, "roles": _by_role([r for r in mine if level_of(r, studied) == name])}
            for name, meaning in LEVELS.items()
        ],
        "applicability": [{"name": n, "meaning": "", "roles": _by_role([r for r in mine if t(r)])} for n, t in scopes],
        "rules": verdict(own, POOLED_FROM)["rules"],
        "lane_rules": verdict([r for r in own if r["lane"] == lane], JUDGED_FROM)["rules"],
        "misses": [
            {k: r.get(k) for k in ("study", "outcome_id", "endpoint", "arms", "z")}
            for r in close if r["agrees"] is False
        ],
    }  # fmt: skip


def _by_role(rows: Sequence[Row]) -> dict[str, Any]:
    return {role: _summary([r for r in rows if r["role"] == role]) for role in ROLES}


def _summary(rows: Sequence[Row]) -> dict[str, Any] | None:
    """``coverage`` (:func:`~stemtrial.predict.score.coverage`) and CRPS ``ratios``; None without a headline."""
    found = verdict(rows, JUDGED_FROM)
    return {k: found[k] for k in ("coverage", "ratios")} if found["coverage"]["outcomes"] else None


__all__ = ["LEVELS", "check_card", "family_of_endpoint", "level_of", "validation_of"]
