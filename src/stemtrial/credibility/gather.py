"""Everything that a credibility report holds, as plain data: gathered from a run and from what the package knows."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from stemtrial.credibility.adequacy import criteria_of, missing_of, statement_of
from stemtrial.credibility.checked import calculation_of, code_of, folder_of_tests
from stemtrial.credibility.context import Context
from stemtrial.credibility.described import acting_names, arms_of, model_of
from stemtrial.credibility.run import Run, label_of
from stemtrial.credibility.sensitivity import drivers
from stemtrial.credibility.used import calibration_of, data_of
from stemtrial.credibility.validated import validation_of
from stemtrial.endpoint import find
from stemtrial.errors import InputError
from stemtrial.evidence import study
from stemtrial.evidence.schema import RATIOS
from stemtrial.parameters import parameters_identity, registry
from stemtrial.predict.readout import reference_of
from stemtrial.predict.score import JUDGED_FROM, POOLED_FROM, RATIO_BELOW, RATIO_BOUND, verdict
from stemtrial.predict.uncertainty import shares
from stemtrial.store import content_hash, package_hash

SOFTWARE = ("stemtrial", "numpy", "scipy", "numba", "pandas", "duckdb")
RULES = ("predict/score.py", "predict/metrics.py", "predict/naive.py")
"""Code that states and computes the rules of acceptance."""


def credibility(
    run: Run, context: Context | None = None, *, context_hash: str = "", card: Mapping[str, Any] | None = None,
    fit_report: Mapping[str, Any] | None = None, command: str = "",
) -> dict[str, Any]:  # fmt: skip
    """Return what a credibility report says of a run.

    Parameters
    ----------
    run : Run
        From :func:`stemtrial.credibility.run_of` or :func:`stemtrial.credibility.read_run`.
    context : Context, optional
        What a person says of question, decision and risk; missing when left out.
    context_hash : str
        SHA-256 of its file.
    card : mapping, optional
        ``scorecard.json`` of ``stemtrial scorecard``.
    fit_report : mapping, optional
        ``calibration.json`` of ``stemtrial fit``.
    command : str
        That made the report.

    Returns
    -------
    dict
        Plain JSON: ``question, use, risk, criteria`` (the pre-stated rules), ``model, data, code, calculation,
        calibration, validation, uncertainty, sensitivity, structure, results, limits, adequacy`` (``criteria``: what
        is met; ``statement``), ``missing`` (``what, how``), ``reproduction``.

    Raises
    ------
    InputError
        If the context names an endpoint that the protocol does not estimate.
    """
    answer = run.answer(context.endpoint if context else None)
    row = run.estimates[answer]
    model = model_of(run)
    acting = acting_names(run)
    out: dict[str, Any] = {
        "protocol": run.protocol.protocol,
        "disease": run.protocol.disease,
        "title": run.protocol.title,
        "answer": {"label": label_of(row), **{k: row[k] for k in _TOLD}},
        "question": _question(context),
        "use": _use(run, answer),
        "risk": _risk(context, context_hash),
        "criteria": _rules(run, context),
        "model": model,
        "data": data_of(run),
        "code": code_of(folder_of_tests()),
        "calculation": calculation_of(run, answer, model["step_days"]),
        "calibration": calibration_of(run, fit_report, acting),
        "validation": validation_of(run, answer, card),
        "uncertainty": {
            "interval": row["interval"], "sd": row["sd"], "shares": shares(row["sd"]), "on_log": _ratio(row),
            "trial_effects": list(run.run.get("trial_effects") or ()),
        },
        "sensitivity": _sensitivity(run, answer, acting),
        "structure": _structure(run, answer),
        "results": run.estimates,
        "limits": {
            "labels": list(run.run["labels"]), "answer": list(row["labels"]), "design": run.run["design"],
            "without_human_data": run.run.get("without_human_data") or {},
        },
        "reproduction": _reproduction(run, command, context_hash),
    }  # fmt: skip
    out["missing"] = missing_of(out)
    told = criteria_of(out)
    out["adequacy"] = {"criteria": told, "statement": statement_of(out, told)}
    return out


_TOLD = ("arm", "endpoint", "definition", "time_years", "statistic", "unit", "median", "pi50", "pi90", "mcse",
         "interval", "n_replicates", "n_draws", "n_not_estimable", "published", "agrees", "no_effect")  # fmt: skip


def _ratio(row: Mapping[str, Any]) -> bool:
    return row["statistic"] in RATIOS


def _question(context: Context | None) -> dict[str, Any] | None:
    return None if context is None else context.model_dump(mode="json", include={"question", "decision", "use"})


def _use(run: Run, answer: int) -> dict[str, Any]:
    """Population, arms, horizon and endpoint, as the protocol says them."""
    p, row = run.protocol, run.estimates[answer]
    reproduced = study(p.reproduces) if p.reproduces else None
    definition = find(row["endpoint"])
    own = {a: list(p.population_of(a).eligibility) for a, arm in p.arms.items() if arm.population}
    return {
        "disease": p.disease, "courses": dict(p.population.shares), "care": p.population.care_before_entry,
        "eligibility": list(p.population.eligibility), "own": own, "design": p.design,
        "blinding": {"patient": p.blinding.patient, "rater": p.blinding.rater},
        "accrual": p.accrual.model_dump(mode="json"), "arms": arms_of(run),
        "visits_months": list(p.visits.months), "horizon_years": p.visits.months[-1] / 12 if p.visits.months else None,
        "endpoint": {"id": row["endpoint"], "label": definition.label, "citation": definition.citation,
                     "note": definition.note, "rule": definition.rule},
        "reproduces": None if reproduced is None else {"study": reproduced.id, "role": reproduced.role,
                                                       "citation": reproduced.citation},
    }  # fmt: skip


def _risk(context: Context | None, context_hash: str) -> dict[str, Any] | None:
    if context is None:
        return None
    told = context.model_dump(mode="json", include={"influence", "consequence", "impact"})
    return told | {"risk": context.risk, "context_hash": context_hash}


def _rules(run: Run, context: Context | None) -> dict[str, Any]:
    """The rules of acceptance, with what shows that they are the same ones: their hash, and the date of the fit."""
    rules = [r["rule"] for r in verdict([])["rules"]]
    numbers = {"judged_from": JUDGED_FROM, "pooled_from": POOLED_FROM, "below": RATIO_BELOW, "bound": RATIO_BOUND}
    provenance = run.run["provenance"]
    return {
        "rules": rules, **numbers, "hash": content_hash({"rules": rules, **numbers, "code": package_hash(*RULES)})[:16],
        "posterior": provenance.get("posterior label"), "date": provenance.get("posterior date"),
        "run_date": run.run.get("created"), "own": list(context.criteria) if context else [],
    }  # fmt: skip


def _sensitivity(run: Run, answer: int, acting: list[str]) -> dict[str, Any]:
    if run.draws is None:
        return {"rows": [], "why_not": "the draws of this run are not those of this package; run it again"}
    at = {n: k for k, n in enumerate(run.draws.names)}
    names = [n for n in acting if n in at]
    values = run.draws.values[: int(run.run["draws"])][:, [at[n] for n in names]]
    found = asdict(drivers(run.values[answer], run.draw, names, values, seed=int(run.run["seed"])))
    known = registry()
    for r in found["rows"]:
        p = known[r["name"]]
        r |= {"meaning": p.meaning, "unit": p.unit, "source": p.source, "assumed": p.assumed}
    return found


def _structure(run: Run, answer: int) -> dict[str, Any]:
    """Alternative mechanisms that the run drew, and alternative definitions that another command sets side by side."""
    p, row = run.protocol, run.estimates[answer]
    try:
        command = f"stemtrial readout {p.protocol} --reference {reference_of(p, row['endpoint'])}"
    except InputError:  # the endpoint is no time to an event: there is no such family of definitions
        command = None
    return {"hypotheses": run.run.get("hypotheses") or [], "answer": row.get("hypotheses"), "multiverse": command}


def _reproduction(run: Run, command: str, context_hash: str) -> dict[str, Any]:
    told = run.run
    p = told["provenance"]
    return {
        "command": command, "run_command": p.get("command"), "run": told["id"], "digest": told["digest"],
        "seed": told["seed"], "replicates": told["replicates"], "draws": told["draws"],
        "draws_label": told["draws_label"], "created": told.get("created"),
        "hashes": {
            "protocol": p["protocol"], "model": p["model"], "draws": p["draws"], "parameters": parameters_identity(),
            **({"context of use": context_hash} if context_hash else {}),
        },
        "of_the_run": {k.removeprefix("version of "): v for k, v in p.items() if k.startswith("version of ")},
        "software": {"python": platform.python_version()} | {n: importlib.metadata.version(n) for n in SOFTWARE},
    }  # fmt: skip


__all__ = ["credibility"]
