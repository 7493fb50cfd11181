"""Which published studies a prediction rests on, which are held out, what is left aside, and what the fit learned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stemtrial.calibrate.data import data
from stemtrial.calibrate.report import stays
from stemtrial.credibility.described import varying
from stemtrial.credibility.run import Run
from stemtrial.evidence import roles, studies
from stemtrial.parameters import OTHER_PARAMETERS, registry, to_normal
from stemtrial.parameters.priors import FREE

ROLES = {
    "fit": "parameters may be tuned to them", "test": "held out: scored, never tuned to",
    "sealed": "predicted before their values are released", "context": "read, not scored",
}  # fmt: skip


def data_of(run: Run) -> dict[str, Any]:
    """Return the published studies of the disease of a run by role, and what the fit reads and leaves.

    Returns
    -------
    dict
        ``roles`` (``role, meaning, studies, outcomes, reasons``: how many for each reason), ``fit`` (``data, studies,
        cohorts``), ``left`` (``reason, outcomes, studies``, most first), ``own`` (role of the study that the protocol
        reproduces, and cautions of the run), ``evidence`` (identity of the data that the posterior was fitted to).
    """
    disease = run.protocol.disease
    mine = {s.id: s for s in studies().values() if s.disease == disease}
    why = {k: t.why for k, t in roles().items()}
    told = []
    for role, meaning in ROLES.items():
        of_role = [s for s in mine.values() if s.role == role]
        reasons = Counter(why.get(s.id, "not among the targets: context by default") for s in of_role)
        told.append({
            "role": role, "meaning": meaning, "studies": len(of_role),
            "outcomes": sum(len(s.outcomes) for s in of_role),
            "reasons": [{"reason": r, "studies": n} for r, n in reasons.most_common()],
        })  # fmt: skip
    read, left = data(disease)
    reasons = Counter(x.reason for x in left)
    own = mine.get(run.protocol.reproduces or "")
    return {
        "roles": told,
        "fit": {"data": len(read), "studies": len({d.study for d in read}), "cohorts": len({d.cohort for d in read})},
        "left": [
            {"reason": r, "outcomes": n, "studies": len({x.study for x in left if x.reason == r})}
            for r, n in reasons.most_common()
        ],
        "own": None if own is None else {"study": own.id, "role": own.role, "citation": own.citation},
        "evidence": (run.draws.provenance if run.draws is not None else {}).get("evidence"),
    }  # fmt: skip


def calibration_of(run: Run, report: Mapping[str, Any] | None, acting: Sequence[str]) -> dict[str, Any]:
    """Return what is known of the posterior of a run, for the parameters that may act in it.

    Parameters
    ----------
    run : Run
        The run.
    report : mapping, optional
        Of the fit: :func:`stemtrial.calibrate.report.calibration_report`, as ``stemtrial fit`` writes it.
    acting : sequence of str
        Parameters that may act.

    Returns
    -------
    dict
        ``label, date, seed, code, evidence, draws, stale``; ``blocks`` (of the provenance: ``name, title, members,
        passes, data, trials, studies``); ``parameters`` (fitted ones that act: ``name, meaning, unit, prior, posterior,
        shrinkage, stays``), ``at_prior`` and ``fixed`` (names that act); ``report`` (of each block of the disease:
        ``title, told, parameters, stays, inside90, inside50, collapsed``), ``of_another`` (label of the posterior that
        the report is of, where it is another one). Empty but for ``draws`` where the run has no posterior.
    """
    draws = run.draws
    out: dict[str, Any] = {"draws": int(run.run["draws"]), "label": str(run.run["draws_label"]), "blocks": []}
    p = dict(draws.provenance) if draws is not None else {}
    out |= {k: p.get(k) for k in ("date", "seed", "code", "evidence")}
    out["stale"] = OTHER_PARAMETERS in run.run["labels"]
    out["drawn"] = sorted(set(acting) & varying(run))
    mine = set(acting)
    fitted = [n for n in p.get("fitted", ()) if n in mine]
    out["parameters"] = _learned(run, [n for n in (fitted or out["drawn"]) if n not in set(p.get("at_prior", ()))])
    out["known_fitted"] = bool(p.get("fitted"))
    out["at_prior"] = [n for n in p.get("at_prior", ()) if n in mine]
    out["fixed"] = [n for n in p.get("fixed", ()) if n in mine]
    blocks: Mapping[str, Any] = p.get("blocks") or {}
    if isinstance(blocks, Mapping):
        keys = ("title", "members", "passes", "data", "trials")
        out["blocks"] = [
            {"name": n, "studies": len(b.get("studies", ())), **{k: b.get(k) for k in keys}} for n, b in blocks.items()
        ]
    out["report"], out["of_another"] = _report(run, report)
    return out


def _learned(run: Run, names: Sequence[str]) -> list[dict[str, Any]]:
    """Prior, posterior and shrinkage of parameters, from the draws themselves; the most learned first."""
    if run.draws is None or len(run.draws) < 2:
        return []
    known, at = registry(), {n: k for k, n in enumerate(run.draws.names)}
    free = [n for n in names if known[n].prior.get("dist") in FREE and n in at]
    rows = []
    for name in free:
        x = run.draws.values[:, at[name]]
        z = to_normal([name], x[:, None])[:, 0]
        shrinkage = 1.0 - float(z.var(ddof=1)) if np.isfinite(z).all() else None
        low, mid, high = (float(v) for v in np.percentile(x, [5, 50, 95]))
        rows.append({
            "name": name, "meaning": known[name].meaning, "unit": known[name].unit, "point": known[name].value,
            "posterior": {"median": mid, "pi90": [low, high]}, "shrinkage": shrinkage,
            "stays": shrinkage is not None and stays(shrinkage, float(z.mean())),
        })  # fmt: skip
    return sorted(rows, key=lambda r: -(r["shrinkage"] if r["shrinkage"] is not None else -1.0))


def _report(run: Run, report: Mapping[str, Any] | None) -> tuple[list[dict[str, Any]], str | None]:
    if report is None:
        return [], None
    label = str(report.get("label") or "")
    out = []
    for b in report["blocks"]:
        if b["disease"] != run.protocol.disease:
            continue
        inside = b["coverage"][0] if b["coverage"] else {}
        out.append({
            "title": b["title"], "told": b["identifiability"]["told"], "parameters": b["identifiability"]["parameters"],
            "stays": [q["name"] for q in b["parameters"] if q["stays_at_prior"]], "data": len(b["data"]),
            "inside90": inside.get("inside90"), "inside50": inside.get("inside50"),
            "collapsed": bool(b["spread"]["collapsed"]),
            "correlations": b["identifiability"]["correlations"][:5],
        })  # fmt: skip
    return out, None if label == str(run.run["draws_label"]) else label or "no posterior"


__all__ = ["ROLES", "calibration_of", "data_of"]
