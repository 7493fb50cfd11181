"""What a run rests on: mechanisms composed, the numbers that they read, and where each comes from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from stemtrial.credibility.run import Run
from stemtrial.kernel import Model
from stemtrial.parameters import STANDINGS, registry, standing
from stemtrial.predict.labels import arm_labels
from stemtrial.predict.told import claims_of
from stemtrial.therapy import FAMILIES, catalogue, compose
from stemtrial.trial.entry import families_of, therapies_of


def model_of(run: Run) -> dict[str, Any]:
    """Describe the model of a run.

    Returns
    -------
    dict
        ``disease, therapies`` (name, label, family), ``families, states, flows, rates, jumps`` (of the disease and of
        each family: ``owner, states, rates, changes``), ``step_days``, ``parameters`` (:func:`parameters_of_run`),
        ``claims`` (that the
        protocol tells, with the verdict of the record).
    """
    p = run.protocol
    families = families_of(p)
    model = compose(p.disease, families).model
    known = catalogue()
    return {
        "disease": p.disease,
        "therapies": [
            {"name": t, "label": known[t].label if t in known else t, "family": known[t].family if t in known else ""}
            for t in therapies_of(p)
        ],
        "families": list(families),
        "mechanisms": [_mechanism(model, owner) for owner in (p.disease, *families)],
        "jumps": len(model.arrivals) + len(model.chances) + len(model.hazards) + len(model.removals),
        "step_days": 1.0 / model.steps_per_day,
        "identity": str(run.run["provenance"]["model"]),
        "parameters": parameters_of_run(run, model),
        "claims": [{k: c[k] for k in ("id", "claim", "verdict") if k in c} for c in claims_of(p)],
    }


def _mechanism(model: Model, owner: str) -> dict[str, Any]:
    states = [s for s in model.states.values() if s.owner == owner]
    changed = sorted({r.name for r in model.rates.values() for who, _ in r.modifiers if who == owner})
    flows = sorted({f.state for f in model.flows if f.owner == owner})
    return {
        "owner": owner, "states": len(states), "meanings": [s.meaning for s in states], "rates_changed": changed,
        "moves": flows,
    }  # fmt: skip


def parameters_of_run(run: Run, model: Model) -> dict[str, Any]:
    """Return the numbers that may act in a run, counted by where they come from; the assumed ones by name.

    What the kernel reads is known exactly. Numbers outside it (who falls ill, instruments, the trial, harm) count if
    they belong to the disease or to a therapy composed; an instrument that measures nothing here may be among them.

    Returns
    -------
    dict
        ``counts`` (by standing, of ``all``, the ``kernel`` and the ``drawn``), ``assumed`` (``name, value, unit,
        meaning, source, drawn, in_kernel``, those of the kernel first).
    """
    acting = acting_names(run, model)
    drawn = varying(run)
    known = registry()
    counts = {
        "all": Counter(standing(known[n].source) for n in acting),
        "kernel": Counter(standing(known[n].source) for n in acting if n in model.parameters),
        "drawn": Counter(standing(known[n].source) for n in acting if n in drawn),
    }
    assumed = sorted((n for n in acting if known[n].assumed), key=lambda n: (n not in model.parameters, n))
    return {
        "counts": {k: {s: c.get(s, 0) for s in STANDINGS} for k, c in counts.items()},
        "assumed": [
            {
                "name": n, "value": known[n].value, "unit": known[n].unit, "meaning": known[n].meaning,
                "source": known[n].source, "drawn": n in drawn, "in_kernel": n in model.parameters,
            }
            for n in assumed
        ],
    }  # fmt: skip


def acting_names(run: Run, model: Model | None = None) -> list[str]:
    """Return the registered numbers that may act in a run, in the order of the register."""
    p = run.protocol
    families = families_of(p)
    model = model or compose(p.disease, families).model
    owners = {f"{p.disease}.", "instruments.", *(o for f in families for o in FAMILIES[f].owners)}
    other = {"ms": "als", "als": "ms"}[p.disease]

    def acts(name: str) -> bool:
        if name in model.parameters:
            return True
        if name.startswith("cohort."):
            return name.startswith("cohort.als.") == (p.disease == "als")
        if name.startswith("trial."):
            return f".{other}" not in name
        return any(name.startswith(o) for o in owners)

    return [n for n in registry() if acts(n)]


def varying(run: Run) -> set[str]:
    """Return the parameters that differ between the draws of a run; none where its draws are not known."""
    if run.draws is None:
        return set()
    used = run.draws.values[: int(run.run["draws"])]
    return {n for n, spread in zip(run.draws.names, np.ptp(used, axis=0), strict=True) if spread > 0}


def arms_of(run: Run) -> list[dict[str, Any]]:
    """Return the arms of a run with their size and what they are given."""
    told: Mapping[str, int] = run.run["patients_per_arm"]
    return [
        {"arm": a, "label": label, "n": told[a], "control": len(told) > 1 and a == run.protocol.control}
        for a, label in arm_labels(run.protocol).items()
    ]


__all__ = ["acting_names", "arms_of", "model_of", "parameters_of_run", "varying"]
