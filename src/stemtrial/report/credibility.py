"""A credibility report as one HTML file: the headings of ASME V&V 40, FDA 2023 and ICH M15, filled from a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stemtrial.report import credibility_tables as tabled
from stemtrial.report.page import document, write_whole
from stemtrial.report.sections import FigureView
from stemtrial.report.tables import TableView, estimate_table
from stemtrial.report.words import (
    DISEASES,
    count,
    explain_label,
    interval_words,
    names_of,
    number,
    scale_of,
    shown,
    span,
    years,
)

Data = Mapping[str, Any]
STANDARDS = (
    ("ASME V&V 40-2018", "Assessing credibility of computational modeling through verification and validation"),
    ("FDA 2023", "Assessing the credibility of computational modeling and simulation in medical device submissions"),
    ("ICH M15", "General principles for model-informed drug development"),
)
"""The guidances whose headings the report has: short and full name."""
DESIGNS = {"randomised": "randomised", "single_arm": "one arm, no control", "observational": "arms not randomised"}
COURSES = {"paediatric": "paediatric MS"}
STEP_NOTE = "one simulated step; all next values come from the old ones, linear pharmacokinetics is exact"


@dataclass(frozen=True)
class Chapter:
    """One numbered part of the report.

    Attributes
    ----------
    id, title : str
        Anchor and heading.
    headings : str
        What the guidances call it.
    said : list of str
        Paragraphs.
    facts : list of (str, str)
        Term and text.
    figures, tables : list
        Pictures with their tables; open tables.
    points : list of str
        Bulleted sentences.
    missing : list of dict
        What this part asks for and does not have.
    """

    id: str
    title: str
    headings: str
    said: list[str] = field(default_factory=list)
    facts: list[tuple[str, str]] = field(default_factory=list)
    figures: list[FigureView] = field(default_factory=list)
    tables: list[TableView] = field(default_factory=list)
    points: list[str] = field(default_factory=list)
    missing: list[Mapping[str, str]] = field(default_factory=list)


def _chapters(d: Data) -> Iterator[Chapter]:
    yield from _asked(d)
    yield from _made(d)
    yield from _verified(d)
    yield from _validated(d)
    yield from _told(d)


def _missing(d: Data, *sections: str) -> list[Mapping[str, str]]:
    return [m for m in d["missing"] if m["section"] in sections]


def _asked(d: Data) -> Iterator[Chapter]:
    q, use, risk, rules = d["question"], d["use"], d["risk"], d["criteria"]
    none = "Not stated: a person writes it, and nothing else can."
    yield Chapter(
        "question", "Question of interest", "V&V 40: question of interest; FDA: step 1; M15: question of interest",
        [q["question"] if q else none], missing=[] if q else _missing(d, "context of use"),
    )  # fmt: skip
    who = ", ".join(f"{100 * v:g} % {COURSES.get(k, k.upper())}" for k, v in use["courses"].items())
    facts = [("Decision", q["decision"]), ("What the model contributes", q["use"])] if q else []
    facts += [
        ("Population", f"{DISEASES[use['disease']]}: {who}; {use['care'].replace('_', ' ')} before entry"),
        ("Eligibility", "; ".join(use["eligibility"]) or "nobody is excluded"),
        *((f"Eligibility, arm {a}", "; ".join(rules)) for a, rules in use["own"].items()),
        ("Design", f"{DESIGNS[use['design']]}; patients {use['blinding']['patient']}, raters "
                   f"{use['blinding']['rater']}; recruited {use['accrual']['start']} to {use['accrual']['end']}"),
        ("Arms", "; ".join(f"{a['label']}, n {a['n']}{' (control)' * a['control']}" for a in use["arms"])),
        ("Horizon", years(use["horizon_years"]) or "no scheduled visit"),
        ("Endpoint that answers", d["answer"]["label"]),
        ("Its definition", f"{use['endpoint']['id']}. {use['endpoint']['note']} Source: {use['endpoint']['citation']}"),
    ]  # fmt: skip
    if use["reproduces"]:
        r = use["reproduces"]
        facts.append(("Reproduces", f"{r['study']}, role {r['role']}: {r['citation']}"))
    yield Chapter(
        "use", "Context of use", "V&V 40: context of use; FDA: step 2; M15: context of use", facts=facts,
        said=["Population, arms, horizon and endpoint are those of the protocol as it was run."],
        missing=_missing(d, "context of use"),
    )  # fmt: skip
    said = [none]
    if risk:
        said = [
            f"Model influence is rated {risk['influence']['level']} and the consequence of a wrong decision "
            f"{risk['consequence']['level']}: the model risk is {risk['risk']}. The guidances ask for the combination "
            "and leave the table to the user; this one is the package's own."
        ]
    yield Chapter(
        "risk", "Model risk and model impact",
        "V&V 40: model risk; FDA: step 3; M15: model influence, consequence of wrong decision, model risk and impact",
        said, tables=[tabled.ratings(risk), tabled.matrix(risk)] if risk else [tabled.matrix(None)],
        missing=_missing(d, "risk") if risk else _missing(d, "context of use"),
    )  # fmt: skip
    stated = f"Posterior {rules['posterior']}, dated {rules['date'] or '–'}." if rules["posterior"] else (
        "The run has no posterior, so that no date of a fit can be told.")  # fmt: skip
    yield Chapter(
        "criteria", "Pre-stated evaluation criteria", "V&V 40: credibility goals; FDA: step 4; M15: technical criteria",
        ["Rules of acceptance on studies that nothing was tuned to. They are part of the code: their hash changes if a "
         "rule, a threshold or the computation of a score does. That the hash is older than the results is shown by "
         "the history of the repository, not by this page."],
        [("Hash of the rules", rules["hash"]), ("Fit", stated), ("Run", rules["run_date"] or "–"),
         ("Judged from", f"{rules['pooled_from']} cohorts all together, {rules['judged_from']} in a lane")],
        points=[*rules["rules"], *(f"Of this use: {c}" for c in rules["own"])], missing=_missing(d, "criteria"),
    )  # fmt: skip


def _made(d: Data) -> Iterator[Chapter]:
    m, data = d["model"], d["data"]
    therapies = ", ".join(t["label"] for t in m["therapies"]) or "none"
    yield Chapter(
        "model", "Model description", "V&V 40: model form, model inputs; FDA: model description; M15: model structure",
        ["Each virtual patient is a set of equations; therapies act on named rates and states of the disease, and "
         "outcomes emerge. 'stemtrial explain' prints every equation of the disease and of each therapy."],
        [("Disease", DISEASES[m["disease"]]), ("Therapies that may be given", therapies),
         ("Chance events", f"{m['jumps']} kinds of jumps"), ("Step", f"{m['step_days']:g} day: {STEP_NOTE}")],
        [], [tabled.mechanisms(m), tabled.standings(m["parameters"]["counts"]),
             tabled.assumed(m["parameters"]["assumed"])],
        [f"Claim that the protocol tells, {c['verdict']} by the record: {c['claim']}" for c in m["claims"]],
    )  # fmt: skip
    fit, own = data["fit"], data["own"]
    facts = [("Data of the fit", f"{count(fit['data'])} published values of {count(fit['studies'])} studies, "
                                 f"{count(fit['cohorts'])} cohorts")]  # fmt: skip
    if own:
        facts.append(("Study that the protocol reproduces", f"{own['study']}: role {own['role']}"))
    yield Chapter(
        "data", "Data", "V&V 40: comparator, test samples; FDA: model calibration and validation evidence; M15: data",
        ["Roles of studies were fixed before any parameter was fitted. Values of sealed studies are withheld."],
        facts, [], [tabled.roles(data["roles"]), tabled.left(data["left"])],
    )  # fmt: skip


def _verified(d: Data) -> Iterator[Chapter]:
    code, c = d["code"], d["calculation"]
    if code["available"]:
        said = ["Test functions are counted, not run; many have several cases."]
        facts = [("Frozen answers", ", ".join(code["fixtures"]) or "none"),
                 ("Bit identity", f"{len(code['bits'])} tests: over threads, chunks, restarts, back ends")]  # fmt: skip
        tables = [tabled.tests(code["standings"])]
    else:
        said, facts, tables = ["Not available in an installed package: tests lie beside the source."], [], []
    yield Chapter(
        "code", "Code verification", "V&V 40: software quality assurance, numerical code verification; FDA: category 1",
        said, facts, [], tables, missing=_missing(d, "code verification"),
    )  # fmt: skip
    lost = f"{count(c['failed_patients'])} of {count(c['patients'])} failed numerically; " \
           f"{count(c['events_overflowed'])} events did not fit into the log"  # fmt: skip
    recruits = f"{count(c['distinct_recruits'])} distinct, {count(c['wanted_recruits'])} wanted"
    yield Chapter(
        "calculation", "Calculation verification",
        "V&V 40: calculation verification (discretisation, numerical solver, use error); FDA: category 8",
        ["Monte Carlo error is that of the median over the replicates."],
        [("Replicates", f"{count(c['replicates'])} over {count(c['draws'])} draws of the parameters"),
         ("Virtual patients", lost),
         ("Recruits", recruits + (f"; {c['recruit_warning']}" if c["recruit_warning"] else "")),
         ("Without an estimate", f"{count(c['not_estimable'])} replicates of the answer"),
         ("Step", f"{c['step_days']:g} day")],
        [], [tabled.errors(c)], missing=_missing(d, "calculation verification"),
    )  # fmt: skip
    p = d["calibration"]
    said = [f"{count(p['draws'])} draws of {p['label']}." if p["draws"] > 1 else
            "One value of every parameter: nothing of what is unknown about them is in this run."]  # fmt: skip
    if p["stale"]:
        said.append("The posterior was fitted when numbers or priors of the package were others; a new fit is due.")
    facts = [(k.capitalize(), str(p[k])) for k in ("date", "seed", "evidence", "code") if p.get(k) is not None]
    if p["draws"] > 1 and p["at_prior"]:
        facts.append(("At their priors", f"{len(p['at_prior'])} parameters that act: {', '.join(p['at_prior'])}"))
    stays = [r["name"] for r in p["parameters"] if r["stays"]]
    if stays:
        facts.append(("Fitted, but stay at the prior", ", ".join(stays)))
    if p["fixed"]:
        facts.append(("Fixed at their point values", f"{len(p['fixed'])} that have a prior and may act"))
    tables = [t for t in (tabled.blocks(p), tabled.fit_report(p), tabled.learned(p)) if t]
    heads = "V&V 40: model inputs, quantification of uncertainties; FDA: category 2; M15: model development"
    yield Chapter("calibration", "Calibration", heads, said, facts, [], tables, missing=_missing(d, "calibration"))


def _validated(d: Data) -> Iterator[Chapter]:
    v = d["validation"]
    heads = ("V&V 40: validation, applicability of the validation activities; FDA: categories 4 to 7 (in-vivo and "
             "population-based validation, emergent behaviour, plausibility); M15: model evaluation")  # fmt: skip
    if v is None:
        yield Chapter("validation", "Validation by level, and applicability", heads,
                      ["Validation was not supplied."], missing=_missing(d, "validation"))  # fmt: skip
        return
    c = v["context"]
    same = "the draws of this run" if v["same_draws"] else f"other draws than this run ({v['draws_label']})"
    said = [
        f"From a scorecard of {same}. Studies of {DISEASES[c['disease']]}; each cohort counts once. A group with fewer "
        "than 15 cohorts is reported and not judged. Fitted studies stand apart: that they are met is no test."
    ]
    of = f"phenotype {c['phenotype'].upper()}, therapies {', '.join(c['therapies'])}"
    facts = [("Applicable means", f"{of}, endpoints of {c['endpoint_family'] or 'no known family'}, lane {c['lane']}")]
    views = [f for f in (tabled.levels_view(v),) if f]
    points = [f"Applicable held-out outcome outside its 90 % interval: {m['outcome_id']} ({m['endpoint']}, {m['arms']})"
              for m in v["misses"]]  # fmt: skip
    yield Chapter(
        "validation", "Validation by level, and applicability", heads, said, facts, views,
        [tabled.groups(v["levels"], "Level", "Validation by level, lowest first."),
         tabled.groups(v["applicability"], "Applicability", "The same studies, the closer to this use the lower."),
         tabled.rules(v)],
        points, _missing(d, "validation"),
    )  # fmt: skip


def _told(d: Data) -> Iterator[Chapter]:
    u, s, alt = d["uncertainty"], d["sensitivity"], d["structure"]
    said = [f"The interval of the answer holds {interval_words(u['interval'])}."]
    tables = [tabled.parts(u)] if u["shares"] else []
    views = []
    if s["rows"]:
        views.append(tabled.drivers_view(s, d["answer"]["label"]))
        said.append(
            f"Which parameters drive the answer: rank correlation with the mean rank of the replicates of each of "
            f"{s['draws']} draws. By chance alone the greatest of {count(s['parameters'])} exceeds "
            f"{number(s['floor'], 2)} in one case of twenty. "
            "Parameters that the posterior ties together share what they explain, so that shares do not add up."
        )
    points = []
    if alt["hypotheses"]:
        points += [f"Mechanism in dispute, {h['family']}: optimistic with weight {number(h['weight'], 2)} "
                   f"({h['source']}), else sceptical" for h in alt["hypotheses"]]  # fmt: skip
    for name, h in (alt["answer"] or {}).items():
        points.append(f"Answer if the {name} hypothesis holds: {number(h['median'])} ({span(h['pi90'])}), "
                      f"{count(h['n'])} replicates")  # fmt: skip
    if alt["multiverse"]:
        points.append(f"Definition multiverse: {alt['multiverse']}")
    yield Chapter(
        "uncertainty", "Uncertainty and sensitivity",
        "V&V 40: uncertainty quantification, sensitivity; FDA: category 8; M15: uncertainty, impact of assumptions",
        said, [], views, tables, points, _missing(d, "uncertainty", "sensitivity", "structure"),
    )  # fmt: skip
    names = names_of({
        "arms": [{"id": a["arm"], "label": a["label"]} for a in d["use"]["arms"]],
        "run": {"design": d["use"]["design"]},
    })  # fmt: skip
    yield Chapter(
        "results", "Results", "FDA: COU simulations; M15: results",
        ["Every estimate with its 90 % interval and the Monte Carlo error of its median."],
        tables=[estimate_table(d["results"], names, "All estimates of this run.", full=True)],
    )  # fmt: skip
    a = d["adequacy"]
    labels = [*dict.fromkeys([*d["limits"]["labels"], *d["limits"]["answer"]])]
    yield Chapter(
        "adequacy", "Adequacy, limits, and what is missing",
        "V&V 40: adequacy assessment; FDA: steps 8 and 9; M15: appropriateness of the proposed MIDD",
        [a["statement"]["text"], "A person decides whether this is enough; no threshold here does."],
        tables=[tabled.adequacy(a["criteria"]), tabled.missing(d["missing"])],
        points=[explain_label(str(x), d["disease"]) for x in labels],
    )  # fmt: skip
    r = d["reproduction"]
    facts = [("Command", r["command"] or "–"), ("Command of the run", r["run_command"] or "–"), ("Run", r["run"]),
             ("Digest of its tables", r["digest"]), ("Seed", str(r["seed"])),
             ("Replicates, draws", f"{count(r['replicates'])}, {count(r['draws'])} of {r['draws_label']}"),
             ("Made", r["created"] or "–"), *((f"Hash of {k}", str(v)) for k, v in r["hashes"].items()),
             ("Versions of the run", ", ".join(f"{k} {v}" for k, v in r["of_the_run"].items()) or "–"),
             ("Versions of this report", ", ".join(f"{k} {v}" for k, v in r["software"].items()))]  # fmt: skip
    yield Chapter("reproduction", "Reproduction", "V&V 40: documentation; FDA: reporting; M15: model analysis report",
                  ["The same command gives the same numbers on any number of threads."], facts)  # fmt: skip


def _answer(d: Data) -> dict[str, str]:
    row = d["answer"]
    scale = scale_of(row)
    s, unit = shown(row, scale), f" {scale.unit}" if scale.unit else ""
    error = f"± {number(s['mcse'])}" if s["mcse"] is not None else "no Monte Carlo error"
    return {
        "label": row["label"], "interval": span(s["pi90"]) + unit,
        "median": f"median {number(s['median'])}{unit}, {error} (Monte Carlo)", "held": interval_words(row["interval"]),
    }  # fmt: skip


def render_credibility(data: Data) -> str:
    """Return a credibility report as one HTML document that loads nothing.

    Parameters
    ----------
    data : mapping
        From :func:`stemtrial.credibility.credibility`.
    """
    chapters: Sequence[Chapter] = list(_chapters(data))
    return document(
        "credibility.html",
        [f for c in chapters for f in c.figures],
        data=data,
        chapters=chapters,
        standards=STANDARDS,
        answer=_answer(data),
        statement=data["adequacy"]["statement"],
        unmet=[c for c in data["adequacy"]["criteria"] if c["state"] == "not met"],
    )


def write_credibility(data: Data, path: Path) -> None:
    """Write a credibility report to ``path`` as HTML: complete or not at all."""
    write_whole(render_credibility(data), path)
