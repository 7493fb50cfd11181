"""A run of MIST that was never simulated: values of one's own, told as a run tells them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from stemtrial.credibility import Run
from stemtrial.evidence import studies
from stemtrial.parameters import draws_with, from_normal
from stemtrial.predict.folder import write_run
from stemtrial.predict.rows import rows_of
from stemtrial.predict.score import family_of
from stemtrial.predict.summary import interval_of, summarise
from stemtrial.predict.uncertainty import set_parts
from stemtrial.store import content_hash
from stemtrial.trial.protocol import load_protocol

NAMES = ("ms.kM", "ms.sig_u", "ms.rC", "ms.omB", "cohort.m_sd")
DRIVER = "ms.rC"
DRAWS, EACH = 60, 3


@cache
def planted(effect: float = 0.5, draws: int = DRAWS, **changes: object) -> Run:
    """A run whose hazard ratio goes with :data:`DRIVER` on the scale of its prior; all else is noise."""
    protocol = load_protocol("mist")
    rng = np.random.default_rng(3)
    z = rng.normal(size=(draws, len(NAMES)))
    provenance = {
        "label": "posterior-of-a-test", "date": "2026-03-01", "seed": 5, "evidence": "e1", "code": "c1",
        "fitted": list(NAMES[:4]), "at_prior": list(NAMES[4:]), "fixed": ["ms.theta"],
        "blocks": {"ms": {"title": "a block", "members": 60, "passes": 4, "data": 7, "trials": 3, "studies": ["a"]}},
    }  # fmt: skip
    table = draws_with(NAMES, from_normal(NAMES, z), provenance["label"], provenance)
    study = studies()["burt2019_mist"]
    rows = rows_of(protocol, study)
    n = draws * EACH
    draw = np.arange(n) % draws
    values = rng.normal(size=(len(rows), n))
    values[0] = np.exp(-0.7 + effect * z[draw, NAMES.index(DRIVER)] + 0.3 * rng.normal(size=n))
    estimates = summarise(rows, values, study, n_draws=draws, labels=[[] for _ in rows])
    for e in estimates:
        e |= {"no_effect": None, "hypotheses": None}
    set_parts(estimates, values, {}, draws)
    run = {
        "id": "0" * 64, "protocol": "mist", "disease": "ms", "title": protocol.title, "reproduces": study.id,
        "digest": "d" * 64, "seed": 1, "replicates": n, "patients_per_arm": {k: a.n for k, a in protocol.arms.items()},
        "draws": draws, "draws_label": table.label, "interval": interval_of(draws, False), "trial_effects": [],
        "design": protocol.design, "distinct_recruits": 5000, "screened": 90000, "recruit_warning": None,
        "failed_patients": 0, "events_overflowed": 0, "labels": ["a caution of this run"], "without_human_data": {},
        "hypotheses": [], "created": "2026-03-02",
        "provenance": {
            "model": "m", "protocol": content_hash(protocol.identity())[:16], "draws": table.identity,
            "posterior label": table.label, "posterior date": "2026-03-01", "command": "stemtrial run mist",
            "version of stemtrial": "0.1.0",
        },
    } | changes  # fmt: skip
    return Run(protocol, run, estimates, values, table)


def write(folder: Path) -> None:
    """Write :func:`planted` into the folder of a run."""
    run = planted()
    names = [f"estimate {k}" for k in range(len(run.values))]
    n = run.values.shape[1]
    table = {
        "replicate": np.tile(np.arange(n), len(names)), "estimate": np.repeat(names, n), "value": run.values.ravel(),
    }  # fmt: skip
    write_run(folder, dict(run.run), run.estimates, [], {"estimates": table})


def card(draws_id: str = "") -> dict[str, object]:
    """A scorecard in which every second test headline of the record lies inside its interval."""
    rows = []
    for s in studies().values():
        if s.role not in ("test", "fit"):
            continue
        for k, o in enumerate(s.outcomes[:2]):
            if o.value is None:
                continue
            inside = len(rows) % 2 == 0
            therapies = {"hsct": ["ahsct"], "cells": ["msc"]}.get(s.family, ["drugs"])
            lane = "ALS" if s.disease == "als" else {"ahsct": "aHSCT", "msc": "MSC/NSC"}.get(therapies[0], "MS drugs")
            rows.append({
                "study": s.id, "role": s.role, "lane": lane, "family": family_of(o), "phenotype": "rrms",
                "therapies": therapies, "arms": "placebo" if k else "a vs b", "headline": True, "why_not": None,
                "cohort": s.cohort or s.id, "inside50": inside, "inside90": inside, "agrees": inside, "pit": 0.4,
                "crps": 1.0, "crps_meta": 2.0, "crps_no_change": 2.0, "outcome_id": o.outcome_id,
                "endpoint": o.endpoint, "z": 1.0,
            })  # fmt: skip
    return {"settings": {"draws_id": draws_id, "draws_label": "of a card"}, "rows": rows}


FIT = {
    "label": "posterior-of-a-test",
    "blocks": [{
        "title": "a block", "disease": "ms", "identifiability": {"told": 2, "parameters": 4, "correlations": []},
        "parameters": [{"name": "ms.kM", "stays_at_prior": True}], "data": [1, 2],
        "coverage": [{"domain": "all", "inside90": 1.0, "inside50": 0.5}], "spread": {"collapsed": False},
    }],
}  # fmt: skip
"""A report of the fit, as far as a credibility report reads it."""
