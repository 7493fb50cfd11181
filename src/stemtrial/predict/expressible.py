"""Which published outcomes the packaged protocols predict, and of the others why not: without simulating anything."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from stemtrial.endpoint import definitions
from stemtrial.errors import InputError
from stemtrial.evidence import Outcome, Study, study, term_of
from stemtrial.evidence.schema import VALUELESS_STATISTICS
from stemtrial.predict.rows import STATISTICS, rows_of
from stemtrial.trial.protocol import Protocol, load_protocol, protocol_names

GIVEN = frozenset(STATISTICS.values()) | {
    "count", "mean_change", "median_change", "relative_change", "rate_per_year", "slope_per_year"
}  # fmt: skip
"""Statistics that some estimator gives."""

UNMODELLED: Mapping[str, str] = {
    "serious_adverse_events": "the model holds harms of therapies and no illness that comes without them",
    "infection": "the model holds infections under some therapies and none without a drug",
    "combined_unique_active_lesions": "no instrument tells which enhancing lesions are new T2 lesions too",
    "fatigue": "no instrument asks the questionnaire",
    "new_t1_hypointense_lesions": "no instrument tells lesions that turn dark on T1",
    "complications_after_discharge": "the model does not know the day of discharge",
    "full_time_work": "work is not modelled",
    "all_doses_received": "whoever stops after a harm stays treated in the model",
}
"""Endpoint of the evidence -> what keeps the model from expressing it where no protocol does."""

UNDEFINED: Mapping[str, str] = {
    "campbell2024_msbase_transitions#5": "the record does not define the event",
    "giovannoni2026_oratorio_hand#1": "the record does not define the worsening",
    **{f"petrou2021_msc_repeat#{k}": "the record has no rule of response" for k in range(2, 6)},
}
"""Outcome -> what its record leaves open, so that any prediction would be of something chosen by us."""


@dataclass(frozen=True)
class Standing:
    """One published outcome: what predicts it, or why nothing does.

    Attributes
    ----------
    outcome : Outcome
        The published number, or its place.
    protocol, endpoint, estimator : str
        The row that predicts it; empty where none does.
    reason : str
        Why none does; empty where one does.
    """

    outcome: Outcome
    protocol: str = ""
    endpoint: str = ""
    estimator: str = ""
    reason: str = ""

    @property
    def predicted(self) -> bool:
        """Whether a row of a protocol predicts it."""
        return bool(self.protocol)


def why_not(outcome: Outcome, protocols: Collection[Protocol]) -> str:
    """Say in one phrase why no row of the protocols of its study predicts an outcome.

    Parameters
    ----------
    outcome : Outcome
        Of the study that the protocols reproduce.
    protocols : collection of Protocol
        Those that can be run; empty: the study has none.
    """
    if not protocols:
        return "no protocol"
    if outcome.statistic in VALUELESS_STATISTICS:
        return "carries no number"
    if outcome.time_years == 0:
        if any(_given(outcome, p) for p in protocols):
            return "a baseline that is given to the model"
        return "baseline: context, in Table 1 of the run"
    if outcome.outcome_id in UNDEFINED:
        return UNDEFINED[outcome.outcome_id]
    if outcome.endpoint in UNMODELLED:
        return UNMODELLED[outcome.endpoint]
    if outcome.statistic not in GIVEN:
        return f"no estimator gives a {outcome.statistic}"
    if not _measured(outcome.endpoint):
        return "no endpoint of the library measures it"
    return "no endpoint of its protocol predicts it"


def _given(o: Outcome, p: Protocol) -> bool:
    """Whether the protocol draws its people to have that baseline."""
    told = [p.population.resemble, *(a.population.resemble or {} for a in p.arms.values() if a.population is not None)]
    return any(o.endpoint in moments for moments in told)


@cache
def _measured(endpoint: str) -> bool:
    """Whether an endpoint definition goes by the name of the evidence, or by that of its controlled term."""
    t = term_of(endpoint)
    names = {endpoint, t.id, *t.spellings, *t.endpoints} if not t.is_other else {endpoint}
    return any(d == n or d.startswith(f"{n}.") for d in definitions() for n in names)


@cache
def protocols_of(study_id: str) -> tuple[Protocol, ...]:
    """Packaged protocols that reproduce a study and can be read, by name."""
    return tuple(p for p in _readable() if p.reproduces == study_id)


@cache
def _readable() -> tuple[Protocol, ...]:
    out = []
    for name in protocol_names():
        try:
            out.append(load_protocol(name))
        except InputError:  # the scorecard tells it under what was not run
            continue
    return tuple(out)


def standings(of: Study | str, protocols: Iterable[Protocol] | None = None) -> list[Standing]:
    """Return for every outcome of a study the row that predicts it, or why none does.

    Parameters
    ----------
    of : Study or str
        The study, or its id.
    protocols : iterable of Protocol, optional
        Those that reproduce it; the packaged ones when left out. Where two predict an outcome the first counts.

    Returns
    -------
    list of Standing
        In the order of the record.

    Raises
    ------
    InputError
        If the study is not known.
    """
    found = study(of) if isinstance(of, str) else of
    given = tuple(protocols_of(found.id) if protocols is None else protocols)
    rows: dict[str, tuple[str, Any]] = {}
    for p in given:
        for row in rows_of(p, found):
            if row.outcome_id is not None:
                rows.setdefault(row.outcome_id, (p.protocol, row))
    out = []
    for o in found.outcomes:
        if o.outcome_id in rows:
            name, row = rows[o.outcome_id]
            out.append(Standing(o, name, row.endpoint, row.estimator))
        else:
            out.append(Standing(o, reason=why_not(o, given)))
    return out
