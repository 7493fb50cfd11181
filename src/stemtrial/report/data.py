"""What a report is made of: plain data, as the predict room fills it.

All fields may be absent except ``run``: a report says what it does not hold. Numbers may be ``None``, NaN or infinite.
Intervals are ``[lo, hi]``; ``pi50`` and ``pi90`` are the central 50 % and 90 % of the replicates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypedDict

from stemtrial.errors import InputError, did_you_mean

Verification = Literal["primary", "secondary", "recalled", "sealed"]
"""How a published number was checked: ``primary`` read at its source, ``secondary`` in another publication,
``recalled`` from memory (shown, never scored)."""

Interval = list[float | None]


class Published(TypedDict, total=False):
    """A published number, in the unit of the row that it stands beside."""

    value: float | None
    ci95: Interval | None
    n: int | None
    verification: Verification


class PublishedPoint(Published, total=False):
    """A published number at a time (years since randomisation)."""

    time_years: float


class Run(TypedDict, total=False):
    """Identity and size of the run. ``disease`` is a name of ``stemtrial.disease``; ``created`` is an ISO date.

    ``seconds`` holds wall time by stage.
    ``interval`` says what the intervals hold: ``sampling``, with ``+trial_effects`` where ``trial_effects`` (the names
    of what is drawn once a trial) differ between replicates, with ``+parameters`` over several draws of them.
    ``without_human_data`` names, by arm, what nobody has been given yet; ``reproduces`` is a study id, ``doi`` bare
    (``10.1001/...``).
    ``screened`` counts screenings of virtual people, ``distinct_recruits`` recruits; ``recruit_warning`` is a sentence
    or None.
    """

    protocol: str
    disease: str
    title: str
    id: str
    digest: str
    seed: int
    version: str
    created: str
    replicates: int
    draws: int
    draws_label: str
    patients_per_arm: dict[str, int]
    interval: str
    trial_effects: list[str]
    design: Literal["randomised", "single_arm", "observational"]
    without_human_data: dict[str, list[str]]
    hypotheses: list[Hypothesis]
    distinct_recruits: int
    screened: int
    recruit_warning: str | None
    failed_patients: int
    events_overflowed: int
    seconds: dict[str, float]
    labels: list[str]
    reproduces: str | None
    citation: str | None
    doi: str | None


class Hypothesis(TypedDict):
    """The weight (0 to 1) of the optimistic hypothesis of a family's action, and the source of that parameter."""

    family: str
    parameter: str
    weight: float
    source: str
    meaning: str


class Summary(TypedDict, total=False):
    """Median and intervals of one estimate over some replicates (``n`` of them)."""

    median: float | None
    pi50: Interval
    pi90: Interval
    n: int


class NoEffect(Summary, total=False):
    """The same trial with no effect at all; ``difference`` is the trial minus it, replicate by replicate.

    ``without_rating_bias`` is its median were raters blind; None where they are.
    """

    difference: Summary
    without_rating_bias: float | None


class Arm(TypedDict):
    """One arm; the first is drawn in the first colour, so the treated arm comes first."""

    id: str
    label: str
    n: int


class Estimate(TypedDict, total=False):
    """One row of ``estimates.json`` (the ``--json`` row). ``arm`` is an id or ``[treated, control]``."""

    study: str
    outcome_id: str
    arm: str | list[str]
    endpoint: str
    definition: str | None
    time_years: float | None
    statistic: str
    unit: str | None
    median: float | None
    pi50: Interval
    pi90: Interval
    interval: str
    n_replicates: int
    n_draws: int
    n_not_estimable: int
    mcse: float | None
    sd: dict[str, float | None]
    labels: list[str]
    published: Published | None
    agrees: bool | None
    no_effect: NoEffect | None
    hypotheses: dict[Literal["optimistic", "sceptical"], Summary] | None


class NotPredicted(TypedDict):
    """A published outcome that the run does not predict, and why."""

    outcome_id: str
    reason: str


class Miss(TypedDict):
    """One paragraph on a published outcome outside its 90 % interval."""

    outcome_id: str
    why: str


class Baseline(TypedDict, total=False):
    """One line of Table 1: a variable summarised in an arm, as median and ``pi90`` over replicates of that summary.

    ``statistic`` is ``mean``, ``median`` or ``percent``; ``sd`` is that of the patients; ``published`` is a
    :class:`Published`, optionally with ``sd``. Lines are context and never scored.
    """

    variable: str
    label: str
    unit: str
    statistic: str
    arm: str
    median: float | None
    sd: float | None
    pi90: Interval | None
    published: dict[str, Any] | None


class FunnelStep(TypedDict):
    """One step of recruitment: how many virtual people are left, and as a fraction (0 to 1) of the first step."""

    step: str
    n: int
    fraction: float | None


class AtRisk(TypedDict):
    """Median number at risk over replicates, at times in years."""

    times: list[float]
    n: list[float]


class Curve(TypedDict, total=False):
    """One arm of a curve over time: median of the replicates and the 90 % interval (``lo``, ``hi``)."""

    label: str
    arm: str
    time_years: list[float]
    median: list[float | None]
    lo: list[float | None]
    hi: list[float | None]
    published: list[PublishedPoint]


class KaplanMeierCurve(Curve, total=False):
    """A Kaplan-Meier curve; values are fractions (0 to 1), in the sense (event or free of it) that ``label`` says."""

    endpoint: str
    n_at_risk: AtRisk


class SeriesCurve(Curve, total=False):
    """A measure over time, in ``unit``; ``name`` is the measure (``edss``, ``relapse_rate``, ``gd_lesions``, ...)."""

    name: str
    unit: str


class Curves(TypedDict, total=False):
    """All curves."""

    km: list[KaplanMeierCurve]
    series: list[SeriesCurve]


class AdverseEvent(TypedDict, total=False):
    """Patients of an arm with an adverse event, in percent (0 to 100), with the 90 % interval over replicates.

    ``grade`` is the highest; ``events`` the mean number in a trial; ``severe_percent`` (grade 3 or more) and
    ``serious_percent`` means over replicates; ``day`` the median day of a patient's first event.
    """

    term: str
    grade: int | str
    serious: bool | int
    cause: str
    arm: str
    percent_median: float | None
    percent_lo: float | None
    percent_hi: float | None
    events: float
    severe_percent: float
    serious_percent: float
    day: float | None


class Claim(TypedDict):
    """A sentence of an article, and what the record says of it."""

    claim: str
    article: str
    text: str
    verdict: str
    what_the_record_says: str
    quantities: dict[str, Any]
    sources: list[str]


class Beside(TypedDict):
    """What another study published: shown beside a trial that was told, never scored."""

    study: str
    citation: str
    doi: str | None
    role: str
    arms: list[dict[str, Any]]
    outcomes: list[dict[str, Any]]


class Disposition(TypedDict, total=False):
    """Patients of an arm with a disposition event, in percent (0 to 100), with the 90 % interval."""

    arm: str
    event: str
    percent_median: float | None
    lo: float | None
    hi: float | None


class ReportData(TypedDict, total=False):
    """Everything that a report shows. ``endpoint_labels`` (endpoint id: name) is optional; ids are read otherwise."""

    run: Run
    arms: list[Arm]
    disclaimer: str
    estimates: list[Estimate]
    not_predicted: list[NotPredicted]
    misses: list[Miss]
    baseline: list[Baseline]
    recruitment: list[FunnelStep]
    curves: Curves
    adverse_events: list[AdverseEvent]
    disposition: list[Disposition]
    hypotheses: list[Hypothesis]
    claims: list[Claim]
    beside: list[Beside]
    parameters_note: str
    provenance: dict[str, str]
    endpoint_labels: dict[str, str]


def check_report(result: Mapping[str, Any]) -> None:
    """Check the outline of report data: a misspelt part would otherwise be shown as missing.

    Raises
    ------
    InputError
        If ``run`` is absent, a part has an unknown name, or the columns of a curve differ in length.

    """
    known = ReportData.__annotations__
    for name in result:
        if name not in known:
            raise InputError(f"report data has no part '{name}'{did_you_mean(str(name), known)}")
    if not result.get("run"):
        raise InputError("report data lacks 'run'; it names the protocol, the seed and the size of the run")
    for name in result.get("curves") or {}:
        if name not in Curves.__annotations__:
            raise InputError(f"report data has no curves '{name}'{did_you_mean(str(name), Curves.__annotations__)}")
        for curve in result["curves"][name] or ():
            lengths = {k: len(curve.get(k) or ()) for k in ("time_years", "median", "lo", "hi")}
            if len(set(lengths.values())) > 1:
                what = curve.get("endpoint") or curve.get("name")
                raise InputError(f"curve '{what}', arm '{curve.get('arm')}' has columns of different length: {lengths}")
