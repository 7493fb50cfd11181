"""``check`` and ``cohort``: what a protocol says, and whom it recruits."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

from stemtrial.cli import text
from stemtrial.errors import InputError
from stemtrial.evidence import Study, study
from stemtrial.observe import SCALES
from stemtrial.parameters import STANDINGS, standing
from stemtrial.predict import obstacles
from stemtrial.predict.estimate import Row, rows_of
from stemtrial.report.words import count, number, statistic, years
from stemtrial.therapy import catalogue
from stemtrial.trial.parts import MONTH_DAYS
from stemtrial.trial.population import Population
from stemtrial.trial.protocol import Protocol, load_protocol
from stemtrial.trial.regimen import Arm, Choice
from stemtrial.trial.rules import HazardRule
from stemtrial.trial.source import Positions, load_yaml


@dataclass(frozen=True)
class Loaded:
    """A protocol that can be run, and the file that it came from."""

    protocol: Protocol
    file: Path

    @cached_property
    def positions(self) -> Positions:
        """Where everything stands in the file."""
        return load_yaml(self.file)[1]

    @contextmanager
    def located(self) -> Iterator[None]:
        """If nobody is eligible, or nobody resembles whom they shall, tell where in the file it is said."""
        try:
            yield
        except InputError as e:
            if str(e).startswith("nobody is eligible"):
                raise self.positions.error(("population", "eligibility"), str(e)) from None
            where, _, message = str(e).partition(": ")
            if where.endswith(".resemble"):
                raise self.positions.error(tuple(where.split(".")), message) from None
            raise


def load(name: str) -> Loaded:
    """Load a protocol by path or name.

    Raises
    ------
    InputError
        If it is not valid, or asks for what cannot be computed: ``file:line:col: path: rule; fix``.
    """
    protocol = load_protocol(name)
    packaged = not any(c in name for c in "/\\.")
    file = Path(str(files("stemtrial.trial"))) / "protocols" / f"{name}.yaml" if packaged else Path(name)
    loaded = Loaded(protocol, file)
    for loc, message in obstacles(protocol):
        raise loaded.positions.error(loc, message)
    return loaded


# -- check ------------------------------------------------------------------------------------------------------------
def check_protocol(name: str, as_json: bool) -> None:
    """Print what a valid protocol does."""
    p = load(name).protocol
    reproduced = study(p.reproduces) if p.reproduces else None
    rows = rows_of(p, reproduced)
    data = summary(p, reproduced, rows)
    if as_json:
        text.print_json(data)
        return
    text.say(p.title, style="bold")
    text.say(f"protocol {p.protocol}, disease {p.disease}" + (f", reproduces {p.reproduces}" if p.reproduces else ""))
    text.heading("Population")
    for line in data["population"]:
        text.note(line)
    text.heading(f"Arms ({data['patients']} patients)")
    text.table(["arm", "n", "analysed", "regimen"], [list(a.values()) for a in data["arms"]], right=[1, 2])
    text.note(data["randomisation"])
    text.heading("Visits")
    text.note(data["visits"])
    text.heading("Rules")
    for line in data["rules"] or ["none"]:
        text.note(line)
    text.heading(f"Estimates ({len(rows)})")
    text.table(
        ["endpoint", "estimator", "who", "when", "predicts"],
        [[e["endpoint"], e["estimator"], e["who"], e["when"], e["predicts"]] for e in data["estimates"]],
    )
    if reproduced:
        text.heading(f"Of the {data['published']} published outcomes of {reproduced.id}")
        text.note(f"{data['predicted']} {'is' if data['predicted'] == 1 else 'are'} predicted")
        if data["not_predicted"]:
            missing = ", ".join(f"#{n.rpartition('#')[2]}" for n in data["not_predicted"])
            text.note(f"{missing}: no estimate of the protocol predicts it")
    text.heading(f"Where its {sum(data['numbers'].values())} numbers come from")
    text.table(["standing", "numbers"], list(data["numbers"].items()), right=[1])
    text.say("\nvalid: it can be run", style="bold")


def summary(p: Protocol, reproduced: Study | None, rows: list[Row]) -> dict[str, Any]:
    """Return what a trial does, as plain data."""
    tied = {r.outcome_id for r in rows} - {None}
    r = p.randomisation
    return {
        "protocol": p.protocol,
        "title": p.title,
        "reproduces": p.reproduces,
        "patients": sum(a.n for a in p.arms.values()),
        "population": [
            *_population(p.population),
            *(f"arm {k}: {x}" for k, a in p.arms.items() if a.population for x in _population(p.population_of(k))),
            f"recruited {p.accrual.start} to {p.accrual.end}, followed to {p.accrual.closure} at the latest",
        ],
        "arms": [
            {"arm": f"{k} (control)" if k == p.control and len(p.arms) > 1 else k, "n": a.n,
             "analysed": p.analysis_set.get(k, a.n), "regimen": _regimen(a)}
            for k, a in p.arms.items()
        ],
        "randomisation": f"not randomised: {str(p.design).replace('_', ' ')}; patient {p.blinding.patient}, "
        f"rater {p.blinding.rater}" if r is None else (
            f"randomised {':'.join(str(v) for v in r.ratio.values())} in blocks of "
            f"{' and '.join(map(str, r.block_sizes))}; patient {p.blinding.patient}, rater {p.blinding.rater}"
        ),
        "visits": f"{_months(p.visits.months)}, each up to {p.visits.window_days} days early or late"
        + ("; and at every reported relapse" if p.visits.at_relapse else "")
        + (_scans(p) if p.disease == "ms" else ""),
        "rules": [_rule(rule, SCALES[p.disease]) for rule in p.rules],
        "estimates": [
            {
                "endpoint": e.endpoint,
                "estimator": e.estimator,
                "statistic": statistic(e.statistic),
                "who": e.arm if isinstance(e.arm, str) else " vs ".join(e.arm),
                "when": years(e.time_years) or "whole follow-up",
                "predicts": e.outcome_id,
            }
            for e in rows
        ],
        "published": len(reproduced.outcomes) if reproduced else 0,
        "predicted": len(tied),
        "not_predicted": [o.outcome_id for o in reproduced.outcomes if o.outcome_id not in tied] if reproduced else [],
        "numbers": dict(numbers_by_standing(p)),
    }  # fmt: skip


def _population(p: Population) -> list[str]:
    care = {
        "none": "untreated before", "platform_drugs": "on a platform drug before",
        "riluzole": "riluzole before and after entry, where taken",
    }[p.care_before_entry]  # fmt: skip
    names = {k: "paediatric MS" if k == "paediatric" else k.upper() for k in p.shares}
    courses = " and ".join(f"{100 * v:g} % {names[k]}" if v < 1 else names[k] for k, v in p.shares.items())
    like = [
        f"weighted to {k} {v.mean:g}" + ("" if v.sd is None else f" (SD {v.sd:g})") + " at screening"
        for k, v in p.resemble.items()
    ]
    return [f"{courses}, {care}", *p.eligibility, *like]


def _months(months: tuple[float, ...]) -> str:
    """Days of visits as a protocol says them: in months, or in weeks where those are whole and the months are not."""
    if not months:
        return "no visit"
    weeks = [m * MONTH_DAYS / 7 for m in months]
    whole = all(abs(w - round(w)) < 0.01 for w in weeks) and not all(m == round(m) for m in months)
    unit, numbers = ("weeks", [round(w) for w in weeks]) if whole else ("months", list(months))
    return f"{unit} " + ", ".join(f"{x:g}" for x in numbers)


def _scans(p: Protocol) -> str:
    return f"; scans at {'all of them' if p.visits.mri_months == p.visits.months else _months(p.visits.mri_months)}"


def _regimen(arm: Arm) -> str:
    parts = []
    for e in arm.regimen:
        if isinstance(e, Choice):
            drugs = ", ".join(f"{k} {v:g}" for k, v in e.of.items())
            to = "one of the others" if e.switch_to == "remaining" else e.switch_to
            switch = f"; on a {e.switch_on} to {to}" if e.switch_on else ""
            parts.append(f"day {e.day}: one of {drugs}{switch}")
        else:
            settings = ", ".join(f"{k} {text.cell(v)}" for k, v in e.settings.items() if k not in _idle(e.settings))
            parts.append(f"day {e.day}: {e.therapy}" + (f" ({settings})" if settings else ""))
    return "; ".join(parts) or "no treatment"


def _idle(settings: Mapping[str, Any]) -> set[str]:
    """Fields that say nothing beside the others: the gap of a single course, the days of a drug not given."""
    once = {"every_days"} if settings.get("courses") == 1 else set()
    return once | ({"immunosuppression_days", "taper_days"} if settings.get("immunosuppression") == "none" else set())


def _rule(rule: Any, scale: str) -> str:
    named = [name for _, name in rule.named()]
    arms = f"arm {' and '.join(named)}" if named else "every arm"
    if isinstance(rule, HazardRule):
        to = "" if rule.to_month is None else f" to month {rule.to_month:g}"
        after = "" if rule.after is None else f" after {rule.after}"
        which = f", {arms}" if named else ""
        times = f", times {math.exp(rule.per_point):.3g} for each point of {scale.upper().replace('_', '-')}"
        worse = f"{times} worse than at entry" if rule.per_point else ""
        return f"drop-out{which}: {rule.per_year:g} a patient-year{worse}{after} from month {rule.from_month:g}{to}"
    to = getattr(rule.to, "therapy", rule.to)
    do = {
        "cross_over": f"crosses over to {to}", "switch": f"switches to {to}", "add": f"also gets {to}",
        "stop": "stops therapy", "withdraw": "leaves",
    }  # fmt: skip
    who = f"{100 * rule.share:g} % of those" if rule.share < 1 else "whoever"
    return f"{arms}: {who} with {rule.when}, from month {rule.from_month:g} on: {do[rule.action]}"


def numbers_by_standing(p: Protocol) -> Counter[str]:
    """Count the numbers of a protocol by where they come from, most doubtful first.

    Parameters
    ----------
    p : Protocol
        Its ``sources`` cover what lies below their paths; the longest path counts. A field of a regimen that was
        left out has the source of its default in the catalogue.
    """
    found: Counter[str] = Counter()
    for path, value in _leaves(p.model_dump(mode="json", exclude={"sources", "notes"}, exclude_unset=True)):
        numeric = isinstance(value, int | float) and not isinstance(value, bool)
        if not numeric and not path.startswith(("population.eligibility.", "accrual.")):
            continue
        covering = [s for s in p.sources if path == s or path.startswith(f"{s}.")]
        source = p.sources[max(covering, key=len)] if covering else _source_of_default(p, path, value)
        found[standing(source) if source else "no source given"] += 1
    return Counter({k: found[k] for k in ("no source given", *reversed(STANDINGS)) if found[k]})


def _source_of_default(p: Protocol, path: str, value: Any) -> str:
    """Source of a field of a regimen that has its default; nothing for everything else."""
    match path.split("."):
        case ["arms", arm, "regimen", k, name] if arm in p.arms:
            info = catalogue().get(getattr(p.arms[arm].regimen[int(k)], "therapy", ""))
            field = info.fields.get(name) if info else None
            return field.source if field is not None and field.default == value else ""
    return ""


def _leaves(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        yield prefix, value
        return
    for key, below in items:
        yield from _leaves(below, f"{prefix}.{key}" if prefix else str(key))


# -- cohort -----------------------------------------------------------------------------------------------------------
COHORT_DRAWS = 20
"""Draws of the posterior over which a cohort is recruited, unless said."""


def show_cohort(name: str, threads: int, as_json: bool, draws: int | None = None, point: bool = False) -> None:
    """Recruit over draws of the parameters, and print the funnel and Table 1 of all."""
    import numpy as np

    from stemtrial.cli.drawn import parameters_words
    from stemtrial.cli.waiting import progress
    from stemtrial.cohort.recruit import wanted_recruits
    from stemtrial.predict.uncertainty import draws_for
    from stemtrial.therapy import compose
    from stemtrial.trial.entry import families_of
    from stemtrial.trial.recruiting import recruit_for

    loaded = load(name)
    p = loaded.protocol
    places = sum(a.n for a in p.arms.values())
    wanted = wanted_recruits(places)
    kernel, drawn = compose(p.disease, families_of(p)), draws_for(COHORT_DRAWS, draws, point, each=1)
    people = []
    with progress(kernel) as told, loaded.located():
        for k in range(len(drawn)):
            told("recruiting", k / len(drawn))
            tell = told if len(drawn) == 1 else None
            found = recruit_for(
                p, kernel, drawn, k, threads=threads, progress=tell, over=len(drawn), keep=len(drawn) == 1
            )
            people.append(found)
    first, distinct = sum(r.screened for r in people), sum(len(r) for r in people)
    funnel = [(step, sum(r.funnel[i][1] for r in people)) for i, (step, _) in enumerate(people[0].funnel)]
    screening = {k: np.concatenate([r.screening[k] for r in people]) for k in people[0].screening}
    data: dict[str, Any] = {
        "protocol": p.protocol,
        "funnel": [{"step": step, "people": n, "percent": 100.0 * n / first} for step, n in funnel],
        "distinct_recruits": distinct,
        "draws": len(drawn),
        "draws_label": drawn.label,
        "labels": drawn.labels,
        "wanted": wanted,
        "places": places,
        "baseline": baseline(screening, study(p.reproduces) if p.reproduces else None, p.disease),
    }
    if as_json:
        text.print_json(data)
        return
    text.say(p.title, style="bold")
    text.say(parameters_words(len(drawn), drawn.label))
    text.heading("Recruitment")
    text.table(
        ["step", "virtual people", "%"],
        [[s["step"], count(s["people"]), number(s["percent"])] for s in data["funnel"]],
        right=[1, 2],
    )
    enough = "enough" if distinct >= wanted else "too few"
    text.note(
        f"{count(distinct)} distinct recruits for {places} places of one trial; {enough} that drawing with "
        f"replacement does not show ({count(wanted)} wanted)"
    )
    text.heading("At screening: mean (standard deviation), and the published means")
    rows = data["baseline"]
    arms = list(rows[0]["published"])
    text.table(
        ["", "unit", "recruits", *(f"published, {a}" for a in arms)],
        [
            [
                r["label"],
                r["unit"],
                f"{number(r['mean'])} ({number(r['sd'])})",
                *(number(r["published"][a]) for a in arms),
            ]
            for r in rows
        ],
    )


def baseline(screening: Mapping[str, Any], reproduced: Study | None, disease: str) -> list[dict[str, Any]]:
    """Table 1: mean and SD of the recruits at screening, and the published mean of each arm."""
    import numpy as np

    from stemtrial.predict.table_one import field_of, lines_of

    arms = {a.id: a.baseline for a in reproduced.arms} if reproduced else {}
    out = []
    for name, line in lines_of(disease).items():
        if line.summary == "median" or not all(c in screening for c in line.columns):
            continue
        x = line.value(*(np.asarray(screening[c], float) for c in line.columns))
        x = x * (100.0 if line.summary == "percent" else 1.0)
        out.append(
            {
                "variable": name,
                "label": line.label,
                "unit": line.unit,
                "mean": float(x.mean()),
                "sd": float(x.std()),
                "published": {arm: field_of(b, line) for arm, b in arms.items()},
            }
        )
    return out
