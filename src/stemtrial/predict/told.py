"""What an article says, what the record says, what the model says: claims and publications set beside a prediction."""

from __future__ import annotations

from typing import Any

from stemtrial.evidence import Outcome, claims, studies, term_of
from stemtrial.trial.protocol import Protocol


def claims_of(protocol: Protocol) -> list[dict[str, Any]]:
    """Return the claims that a protocol tells as an article told them, with what the record says.

    Returns
    -------
    list of dict
        ``claim, article, text, verdict, what_the_record_says, quantities, sources``.
    """
    known = claims()
    return [
        {
            "claim": c.id,
            "article": c.article,
            "text": c.claim,
            "verdict": c.verdict,
            "what_the_record_says": c.what_the_record_says,
            "quantities": dict(c.quantities),
            "sources": list(c.sources),
        }
        for c in (known[name] for name in protocol.claims)
    ]


def published_beside(protocol: Protocol) -> list[dict[str, Any]]:
    """Return what the studies that a protocol stands beside published: shown, never scored.

    Returns
    -------
    list of dict
        ``study, citation, doi, role, arms`` (``arm, therapy, n``) and ``outcomes`` (``outcome_id, endpoint, label, arm,
        time_years, statistic, unit, value, ci95, n, verification``). Sealed studies have outcomes without a value.
    """
    known = studies()
    return [
        {
            "study": s.id,
            "citation": s.citation,
            "doi": s.doi,
            "role": s.role,
            "arms": [{"arm": a.id, "therapy": a.therapy, "n": a.n} for a in s.arms],
            "outcomes": [_outcome(o) for o in s.outcomes],
        }
        for s in (known[name] for name in protocol.beside)
    ]


def _outcome(o: Outcome) -> dict[str, Any]:
    return {
        "outcome_id": o.outcome_id,
        "endpoint": o.endpoint,
        "label": term_of(o.endpoint).label,
        "arm": list(o.arms) if len(o.arms) > 1 else o.arms[0],
        "time_years": o.time_years,
        "statistic": o.statistic,
        "unit": o.unit or term_of(o.endpoint).unit,
        "value": o.value,
        "ci95": list(o.ci95) if o.ci95 else None,
        "n": o.n,
        "verification": o.verification or "sealed",
    }
