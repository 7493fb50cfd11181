"""Whether the evidence is adequate for the use: which criteria are met, which are not, and what is missing.

A criterion is ``met``, ``not met``, ``not judged`` (told, but too little to judge by) or ``missing`` (not supplied).
Nothing here decides; a person does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stemtrial.credibility.checked import MCSE_SHARE

Data = Mapping[str, Any]
MET, NOT_MET, NOT_JUDGED, MISSING = "met", "not met", "not judged", "missing"
STATES = (NOT_MET, MISSING, NOT_JUDGED, MET)


def _criterion(group: str, text: str, state: str, why: str = "") -> dict[str, str]:
    return {"group": group, "criterion": text, "state": state, "why": why}


def _if(value: bool) -> str:
    return MET if value else NOT_MET


def criteria_of(data: Data) -> list[dict[str, str]]:
    """Return the criteria, each with its state and why.

    Parameters
    ----------
    data : mapping
        Of :func:`stemtrial.credibility.credibility`, without ``adequacy``.

    Returns
    -------
    list of dict
        ``group, criterion, state, why``; what is not met first.
    """
    out = [
        *_of_context(data), *_of_verification(data), *_of_calibration(data), *_of_validation(data),
        *_of_uncertainty(data), *_of_limits(data),
    ]  # fmt: skip
    return sorted(out, key=lambda c: STATES.index(c["state"]))


def _of_context(d: Data) -> list[dict[str, str]]:
    stated = _criterion("context", "question, decision and risk are stated", MET if d["question"] else MISSING)
    own = [
        _criterion("context", text, NOT_JUDGED, "stated for this use; a person judges it")
        for text in d["criteria"]["own"]
    ]
    return [stated, *own]


def _of_verification(d: Data) -> list[dict[str, str]]:
    c, code = d["calculation"], d["code"]
    share = c["answer"]["share"]
    told = f"it is {100 * share:.0f} % of it" if share is not None else "it cannot be told"
    lost = c["failed_patients"] + c["events_overflowed"]
    return [
        _criterion(
            "verification", "the package runs beside its tests, so that anybody can run them",
            MET if code["available"] else MISSING,
        ),
        _criterion(
            "verification", f"Monte Carlo error of the answer is at most {100 * MCSE_SHARE:.0f} % of half its interval",
            _if(share is not None and share <= MCSE_SHARE), told,
        ),
        _criterion(
            "verification", "no virtual patient failed and no event was lost", _if(not lost),
            f"{c['failed_patients']} patients, {c['events_overflowed']} events" if lost else "",
        ),
        _criterion(
            "verification", "enough distinct recruits", _if(not c["recruit_warning"]), c["recruit_warning"] or ""
        ),
    ]  # fmt: skip


def _of_calibration(d: Data) -> list[dict[str, str]]:
    c = d["calibration"]
    known = bool(d["criteria"]["posterior"])
    out = [
        _criterion(
            "calibration", "parameters are drawn from a posterior", _if(c["draws"] > 1),
            "" if c["draws"] > 1 else "one value of every parameter",
        ),
        _criterion(
            "calibration", "the posterior is of the numbers and priors of this package",
            _if(not c["stale"]) if known else MISSING,
        ),
    ]  # fmt: skip
    for b in c["report"]:
        out.append(_criterion("calibration", f"the ensemble did not collapse: {b['title']}", _if(not b["collapsed"])))
    return out


def _of_validation(d: Data) -> list[dict[str, str]]:
    v, rules = d["validation"], d["criteria"]["rules"]
    if v is None:
        return [_criterion("validation", f"test studies: {rule}", MISSING) for rule in rules]
    states = {True: MET, False: NOT_MET, None: NOT_JUDGED}
    out = [_of_rule("test studies", r, states) for r in v["rules"]]
    out += [_of_rule(f"test studies of the lane {v['context']['lane']}", r, states) for r in v["lane_rules"]]
    close = next(a for a in v["applicability"] if a["name"] == "all of these")["roles"]["test"]
    n = close["coverage"]["cohorts"] if close else 0
    state = MET if close and close["coverage"]["judged"] else NOT_JUDGED if close else MISSING
    out.append(_criterion(
        "validation", "held-out studies of the same disease, phenotype, therapy and endpoints are enough to judge by",
        state, f"{n} cohorts",
    ))  # fmt: skip
    out.append(_criterion("validation", "the scorecard is of the draws of this run", _if(bool(v["same_draws"]))))
    return out


def _of_rule(who: str, rule: Mapping[str, Any], states: Mapping[bool | None, str]) -> dict[str, str]:
    value = "no value" if rule["value"] is None else f"{rule['value']:.2f}"
    ends = "" if rule["interval"] is None else f" ({rule['interval'][0]:.2f} to {rule['interval'][1]:.2f})"
    return _criterion("validation", f"{who}: {rule['rule']}", states[rule["met"]],
                      f"{value}{ends}, {rule['cohorts']} cohorts")  # fmt: skip


def _of_uncertainty(d: Data) -> list[dict[str, str]]:
    held = d["uncertainty"]["interval"]
    s = d["sensitivity"]
    found = [r for r in s["rows"] if r["above_noise"]]
    guesses = [r["name"] for r in found if r["assumed"]]
    out = [
        _criterion("uncertainty", "the interval of the answer holds parameters too", _if("parameters" in held)),
        _criterion(
            "uncertainty", "what drives the answer is known", MET if found else NOT_JUDGED if s["rows"] else MISSING,
            "" if found else s["why_not"] or "no parameter stands out of the noise",
        ),
    ]  # fmt: skip
    if found:
        out.append(_criterion(
            "uncertainty", "no number that is assumed drives the answer", _if(not guesses), ", ".join(guesses)
        ))  # fmt: skip
    return out


def _of_limits(d: Data) -> list[dict[str, str]]:
    untried = d["limits"]["without_human_data"]
    own = d["data"]["own"]
    out = [
        _criterion(
            "limits", "people with the disease have been given what the arms get", _if(not untried),
            "; ".join(f"{a}: {', '.join(w)}" for a, w in untried.items()),
        )
    ]  # fmt: skip
    if own is not None:
        out.append(_criterion(
            "limits", "nothing was tuned to the study that the protocol reproduces", _if(own["role"] != "fit"),
            f"{own['study']} has the role {own['role']}",
        ))  # fmt: skip
    return out


def missing_of(d: Data) -> list[dict[str, str]]:
    """Return what the report asks for and does not have: ``section, what, how`` to get it."""
    name, c, v = d["protocol"], d["calibration"], d["validation"]
    out: list[tuple[str, str, str]] = []
    if d["question"] is None:
        out.append(("context of use", "question, decision, model influence and consequence",
                    "write a context: stemtrial credibility --template"))  # fmt: skip
    elif d["risk"]["impact"] is None:
        out.append(("risk", "model impact", "state 'impact' in the context"))
    if d["question"] is not None and not d["criteria"]["own"]:
        out.append(("criteria", "criteria of this use beside the package's own", "state 'criteria' in the context"))
    if not d["criteria"]["posterior"]:
        out.append(("calibration", "a posterior: this run has none that says where it comes from",
                    "run over the posterior of the package, without --point"))  # fmt: skip
    if not d["code"]["available"]:
        out.append(("code verification", "tests: not available in an installed package", "run from a checkout"))
    out.append(("code verification", "results of the tests: they are counted here, not run", "scripts/test --all"))
    out.append(("calculation verification", "the same trial with a shorter step: the models are set at one step a day",
                "tests/statistical holds the comparison for natural history"))  # fmt: skip
    if not c["report"]:
        out.append(("calibration", "report of the fit (identifiability, residuals)",
                    "give --fit calibration.json of 'stemtrial fit'"))  # fmt: skip
    elif c["of_another"]:
        out.append(("calibration", f"report of this posterior: the one given is of {c['of_another']}", "give its own"))
    out.append(("calibration", "simulation-based calibration and a second method",
                "python -m validation.fit_checks, told in docs/calibration.md"))  # fmt: skip
    if v is None:
        out.append(("validation", "validation not supplied", "run 'stemtrial scorecard --json', give --scorecard"))
    else:
        out += [
            ("validation", f"a held-out study at the level {x['name']}", "none in the record, or none predicted")
            for x in v["levels"] if x["roles"]["test"] is None
        ]  # fmt: skip
        if v["context"]["endpoint_family"] is None:
            out.append(("validation", "the family of the endpoint that answers", "no term of the vocabulary is it"))
    if d["uncertainty"]["shares"] is None:
        out.append(("uncertainty", "parts of the interval", "the answer has too few finite replicates, or one a draw"))
    if not d["sensitivity"]["rows"]:
        out.append(("sensitivity", d["sensitivity"]["why_not"], f"stemtrial run {name} --draws 50 --replicates 200"))
    if not d["structure"]["hypotheses"]:
        out.append(("structure", "an alternative mechanism: none is drawn for what these arms get",
                    "no competing hypothesis is in the package"))  # fmt: skip
    other = d["structure"]["multiverse"] or "no command sets definitions of what is no time to an event side by side"
    out.append(("structure", "the answer under other definitions", other))
    out.append(("adequacy", "review by somebody who did not build the model", "a person, outside this package"))
    return [{"section": s, "what": w, "how": h} for s, w, h in out]


def statement_of(d: Data, criteria: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Return the adequacy in a sentence, with the counts that it rests on.

    What must hold grows with the risk: nothing may be ``not met``; from medium risk on nothing may be missing; of high
    risk nothing may be left unjudged. Without a stated risk no use is supported.
    """
    counts = {s: sum(c["state"] == s for c in criteria) for s in STATES}
    risk = d["risk"]["risk"] if d["risk"] else None
    allowed = {"low": {MET, NOT_JUDGED, MISSING}, "medium": {MET, NOT_JUDGED}, "high": {MET}}.get(risk or "", set())
    supported = bool(allowed) and all(c["state"] in allowed for c in criteria)
    told = ", ".join(f"{counts[s]} {s}" for s in (MET, NOT_MET, NOT_JUDGED, MISSING))
    if risk is None:
        text = "No context of use is stated, so that adequacy cannot be judged"
    elif supported:
        text = f"The criteria of this report are met for a model risk rated {risk}"
    elif counts[NOT_MET]:
        text = f"Criteria are not met: as it stands, this report does not support the use, at a model risk rated {risk}"
    else:
        text = f"Criteria are missing or not judged: a model risk rated {risk} asks for more than this report holds"
    return {"risk": risk, "supported": supported, "counts": counts, "text": f"{text}. Of {len(criteria)}: {told}."}


__all__ = ["MET", "MISSING", "NOT_JUDGED", "NOT_MET", "criteria_of", "missing_of", "statement_of"]
