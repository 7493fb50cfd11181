"""Which outcomes are data, and which say again what another datum says.

The rules read the record and the protocol alone. They are applied in this order, each to what the ones before kept:

1. no outcome of people or design, none at the start of a trial, none that a fixed parameter states;
2. open series without a control bear no efficacy of cells (aHSCT stays: its effect is not in doubt, its size is);
3. of series that share a cohort one speaks for the same people, and of a whole and its parts the parts speak;
4. one number for an endpoint, arm and time;
5. of a randomised trial, control and contrast: an arm that stands in a contrast is not told again, and each arm's
   events (relapses; worsening; enhancing lesions ...) are contrasted by one endpoint. The control arm keeps all of
   them: the share of worsening that is still there after 24 weeks, or of patients without a relapse beside the rate,
   is what tells recovery and the spread between patients;
6. three times of a curve at most; parts of the ALSFRS-R at one time, and three of four.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from stemtrial.calibrate.datum import Datum
from stemtrial.evidence import Outcome
from stemtrial.evidence.schema import is_pooled_arm
from stemtrial.predict.score import NOT_AN_OUTCOME

BARRED_CELLS = frozenset({"msc", "nsc", "opc", "astrocyte", "treg"})
"""Families of cells whose efficacy no open series may bear."""
OF_EFFICACY = frozenset(
    {"disability", "composite", "mri", "atrophy", "relapse", "nfl", "biomarker", "function", "survival"}
)
BEFORE_TREATMENT = "run_in"
"""Part of the names of endpoints that are read before anything is given: a rate of the disease."""
MAX_TIMES = 3
SAME_TIME = 0.1
"""Years within which two times are one."""
SAME_PATIENTS = {"hauser2017_opera#37": "hauser2017_opera#7", "hauser2017_opera#38": "hauser2017_opera#7"}
"""Outcomes of a part of a trial -> the pooled outcome that holds the same patients."""
SUBJECTS = {
    "relapse_rate": "relapses",
    "relapse_free": "relapses",
    "confirmed_worsening": "worsening",
    "composite_worsening": "worsening",
    "pfs": "worsening",
    "edss_worsened": "worsening",
    "gd_lesions": "enhancing lesions",
    "gd_free": "enhancing lesions",
    "new_t2_lesions": "new lesions",
    "new_t2_free": "new lesions",
    "alsfrs_r_change": "ALSFRS-R",
    "alsfrs_r_slope_change": "ALSFRS-R",
    "responder": "ALSFRS-R",
    "nfl_change": "neurofilament",
    "nfl_change_fraction": "neurofilament",
    "nfl_drop_over_50pct": "neurofilament",
}
"""What an endpoint counts or measures: endpoints of one subject are summaries of the same events."""
SUBSCORES = ("alsfrs_r_bulbar", "alsfrs_r_fine_motor", "alsfrs_r_gross_motor", "alsfrs_r_respiratory")


def why_not_data(d: Datum, o: Outcome, fixed: str) -> str | None:
    """Return why an outcome of role fit is no datum, or None.

    Parameters
    ----------
    d : Datum
        The outcome as a datum.
    o : Outcome
        The record.
    fixed : str
        Fixed parameter that states it, or nothing.
    """
    if d.family in NOT_AN_OUTCOME:
        return "no outcome: describes people, design or measurement"
    if o.time_years == 0:
        return "at the start of the trial"
    if fixed:
        return f"the fixed parameter {fixed} states it"
    if (
        BARRED_CELLS & set(d.therapies)
        and not d.randomised
        and d.domain in OF_EFFICACY
        and BEFORE_TREATMENT not in d.endpoint
    ):
        return "open series without a control: no evidence of efficacy of cells"
    return None


def _subject(d: Datum) -> str:
    return SUBJECTS.get(d.endpoint.split(".")[0], d.endpoint.split(".")[0])


def _same_time(a: Datum, b: Datum) -> bool:
    return a.time_years is None or b.time_years is None or abs(a.time_years - b.time_years) <= SAME_TIME


def _rank(d: Datum) -> tuple[bool, bool, int]:
    """Order of preference: what the study calls primary, what prints its own spread, what is written first."""
    return not d.primary, d.spread in ("of its kin", "assumed"), int(d.outcome_id.partition("#")[2])


def choose(found: list[Datum]) -> tuple[list[Datum], dict[str, str]]:
    """Return the data that say nothing twice, in their order, and why each of the others is left.

    Parameters
    ----------
    found : list of Datum
        Every outcome that may be data.

    Returns
    -------
    (list of Datum, dict of outcome id to reason)
    """
    left: dict[str, str] = {}
    for rule in (_shared_cohorts, _wholes, _one_a_place, _contrasts, _times, _subscores):
        gone = rule(found)
        left |= gone
        found = [d for d in found if d.outcome_id not in gone]
    return found, left


def _grouped(found: Iterable[Datum], key: Callable[[Datum], Any]) -> list[list[Datum]]:
    groups: dict[Any, list[Datum]] = defaultdict(list)
    for d in found:
        groups[key(d)].append(d)
    return list(groups.values())


def _shared_cohorts(found: list[Datum]) -> dict[str, str]:
    """Of studies of one cohort, one value of a quantity; of its open series, one of an endpoint at a time."""
    out = {k: f"{v} holds the same patients" for k, v in SAME_PATIENTS.items() if any(d.outcome_id == v for d in found)}
    for group in _grouped((d for d in found if not d.randomised), lambda d: (d.cohort, d.endpoint, d.therapies)):
        ranked = sorted(group, key=lambda d: (d.se is None or "kin" in d.spread, -d.n))
        for k, d in enumerate(ranked):
            first = next((x for x in ranked[:k] if x.study != d.study and _same_time(x, d)), None)
            if first is not None:
                out[d.outcome_id] = f"{first.outcome_id} tells it of the same cohort"
    return out


def _wholes(found: list[Datum]) -> dict[str, str]:
    """Where a study tells the parts, the whole says nothing more."""
    out = {}
    for d in found:
        if d.quantity:
            stem = d.quantity.removesuffix(".all") + "."
            whole = len(d.arms) > 1 or is_pooled_arm(d.arms[0])
            kin = [x for x in found if x.study == d.study and x.quantity.startswith(stem) and x.quantity != d.quantity]
            if any(whole or x.arms == d.arms for x in kin):
                out[d.outcome_id] = "its parts are told"
    for group in _grouped((d for d in found if d.protocol), lambda d: (d.study, d.protocol, d.endpoint)):
        single = {a for d in group if len(d.arms) == 1 for a in d.arms}
        out |= {
            d.outcome_id: "its parts are told"
            for d in group
            if len(d.arms) > 1 and not d.contrast and set(d.arms) <= single
        }
    return out


def _one_a_place(found: list[Datum]) -> dict[str, str]:
    """One number for an endpoint, arm and time: of complements, mean and median, ratio and difference."""
    out = {}
    measured = {"edss_change": "edss"}  # a score and its change from a known baseline
    of_trials = (d for d in found if d.protocol)
    for group in _grouped(of_trials, lambda d: (d.study, d.protocol, measured.get(d.endpoint, d.endpoint), d.arms)):
        kept: list[Datum] = []
        for d in sorted(group, key=_rank):
            same = next((x for x in kept if _same_time(x, d)), None)
            if same is None:
                kept.append(d)
            else:
                out[d.outcome_id] = f"{same.outcome_id} tells the same data"
    return out


def _contrasts(found: list[Datum]) -> dict[str, str]:
    """Control and contrast: a treated arm's events are compared with control once."""
    out: dict[str, str] = {}
    trials = [d for d in found if d.randomised and d.protocol and not d.control]
    for group in _grouped(trials, lambda d: (d.study, d.protocol, d.arms[0], _subject(d))):
        ranked = sorted(group, key=lambda d: (not d.contrast, *_rank(d)))
        first = ranked[0]
        for d in ranked[1:]:
            if d.endpoint == first.endpoint and d.contrast == first.contrast and not _same_time(d, first):
                continue  # another time of the same curve
            if d.endpoint == first.endpoint and first.contrast and not d.contrast:
                out[d.outcome_id] = f"{first.outcome_id} tells it against control"
            else:
                out[d.outcome_id] = f"{first.outcome_id} tells the same events of this arm"
    return out


def _times(found: list[Datum]) -> dict[str, str]:
    """Three times of a curve: the primary ones, the ends, and what lies nearest to the middle."""
    out: dict[str, str] = {}
    curves = (d for d in found if d.protocol and d.time_years is not None)
    for group in _grouped(curves, lambda d: (d.study, d.protocol, d.endpoint, d.arms, d.statistic)):
        if len(group) <= MAX_TIMES:
            continue
        times = {d.outcome_id: d.time_years or 0.0 for d in group}
        low, high = min(times.values()), max(times.values())

        def rank(d: Datum, low: float = low, high: float = high, times: dict[str, float] = times) -> Any:
            t = times[d.outcome_id]
            return not d.primary, t not in (low, high), abs(t - (low + high) / 2)

        kept = sorted(group, key=rank)[:MAX_TIMES]
        out |= {d.outcome_id: f"{MAX_TIMES} other times of this curve are told" for d in group if d not in kept}
    return out


def _subscores(found: list[Datum]) -> dict[str, str]:
    """Parts of the ALSFRS-R beside their sum: at the time that is nearest to that of the primary, three of the four."""
    out: dict[str, str] = {}
    for group in _grouped((d for d in found if d.endpoint.startswith(SUBSCORES)), lambda d: (d.study, d.arms)):
        sums = [d for d in found if d.study == group[0].study and d.endpoint.startswith("alsfrs_r_change")]
        main = next((d for d in sums if d.primary), None) or next(iter(sums), None)
        times = sorted({d.time_years or 0.0 for d in group})
        at = min(times, key=lambda t: abs(t - (main.time_years or 0.0))) if main else times[-1]
        for d in group:
            if (d.time_years or 0.0) != at:
                out[d.outcome_id] = "parts of the ALSFRS-R are read at the primary time"
            elif (
                d.endpoint.startswith(SUBSCORES[-1]) and main and sum(x.time_years == d.time_years for x in group) == 4
            ):
                out[d.outcome_id] = "the sum and the other parts tell it"
    return out
