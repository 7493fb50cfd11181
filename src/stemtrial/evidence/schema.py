"""Published evidence as typed records: a study, its arms and outcomes, a claim, a registered trial, a study's role.

Every record is a frozen pydantic model that refuses unknown keys, so that a misspelt key or an impossible number
(a proportion of 1.2, an arm that the study does not have, a value in a sealed study) is an error and not a silence.
Units: fractions in 0..1, rates per patient-year, times in years, changes signed (EDSS down = better).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StrictBool, StrictInt, StrictStr, model_validator
from pydantic.types import Strict

Family = Literal["ms", "hsct", "cells", "als"]
Role = Literal["fit", "test", "sealed", "context"]
Verification = Literal["primary", "secondary", "recalled"]
Kind = Literal[
    "rct",
    "cohort",
    "single_arm",
    "natural_history",
    "registry",
    "preclinical",
    "meta_analysis",
    "model",
    "reference",
]
Statistic = Literal[
    "proportion",
    "count",
    "km_probability",
    "mean",
    "mean_change",
    "geometric_mean",
    "median",
    "median_change",
    "relative_change",
    "rate_per_year",
    "slope_per_year",
    "hazard_ratio",
    "rate_ratio",
    "odds_ratio",
    "risk_ratio",
    "difference",
    "correlation",
    "point",
    "range_mid",
    "lower_bound",
    "upper_bound",
    "direction",
    "direction_only",
    "p_only",
    "order_of_magnitude",
]
Analysis = Literal["primary", "post_hoc", "subgroup", "interim", "threshold_scan", "exploratory"]

CONTEXT_ANALYSES: frozenset[str] = frozenset({"post_hoc", "subgroup", "interim", "threshold_scan", "exploratory"})
"""Marks of rows that are not the pre-specified full-population result: context in every study."""

VALUELESS_STATISTICS: frozenset[str] = frozenset({"direction_only", "p_only", "order_of_magnitude"})
"""Statistics that carry words or a p value instead of a number."""

FRACTIONS: frozenset[str] = frozenset({"proportion", "km_probability"})
RATIOS: frozenset[str] = frozenset({"hazard_ratio", "rate_ratio", "odds_ratio", "risk_ratio"})

# YAML writes 2 and 2.0 alike; text, booleans and missing numbers stay errors.
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0)]
NonNegative = Annotated[Number, Field(ge=0)]
Fraction = Annotated[Number, Field(ge=0, le=1)]
Count = Annotated[StrictInt, Field(ge=0)]
Text = Annotated[StrictStr, Field(min_length=1)]
Identifier = Annotated[Text, Field(pattern=r"^[A-Za-z0-9_@]+$")]


class Record(BaseModel):
    """Base of every record: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Period(Record):
    """Calendar years of recruitment or observation."""

    start: StrictInt | None = None
    end: StrictInt | None = None


class FollowUp(Record):
    """Follow-up of the study's patients, years."""

    mean: Positive | None = None
    sd: Positive | None = None
    median: Positive | None = None
    iqr: tuple[NonNegative, NonNegative] | None = None
    min: NonNegative | None = None
    max: Positive | None = None


class Product(Record):
    """The cells that were given."""

    source: Text | None = None
    autologous: StrictBool | None = None


class Dose(Record):
    """One dose, a set of dose steps (``values``) or a range of doses."""

    value: Positive | None = None
    values: tuple[Positive, ...] | None = None
    sd: Positive | None = None
    min: Positive | None = None
    max: Positive | None = None
    value_min: Positive | None = None
    value_max: Positive | None = None
    unit: Text


class Baseline(Record):
    """An arm at entry. Not verified number by number: treat as ``secondary``.

    Scores in their own units (EDSS, ALSFRS-R points), breathing (SVC, FVC, SNIP) in % predicted,
    ``pre_slope_per_month`` in points lost a month.
    """

    age_mean: Positive | None = None
    age_sd: NonNegative | None = None
    age_median: Positive | None = None
    age_onset_mean: Positive | None = None
    age_at_onset_mean: Positive | None = None
    age_at_onset_sd: NonNegative | None = None
    female_fraction: Fraction | None = None
    # multiple sclerosis
    edss_mean: NonNegative | None = None
    edss_sd: NonNegative | None = None
    edss_median: NonNegative | None = None
    edss_min: NonNegative | None = None
    edss_max: NonNegative | None = None
    edss_ge6_fraction: Fraction | None = None
    disease_duration_years_mean: NonNegative | None = None
    disease_duration_years_median: NonNegative | None = None
    spms_duration_years_mean: NonNegative | None = None
    months_from_diagnosis_median: NonNegative | None = None
    relapse_rate_prior: NonNegative | None = None
    relapses_prior_year_mean: NonNegative | None = None
    relapse_free_prior_2y_fraction: Fraction | None = None
    gd_lesions_mean: NonNegative | None = None
    gd_positive_fraction: Fraction | None = None
    t2_volume_ml_mean: NonNegative | None = None
    rrms_n: Count | None = None
    spms_n: Count | None = None
    ppms_n: Count | None = None
    progressive_n: Count | None = None
    rrms_fraction: Fraction | None = None
    progressive_fraction: Fraction | None = None
    follow_up_mean: NonNegative | None = None
    # ALS
    alsfrs_r_mean: NonNegative | None = None
    alsfrs_r_sd: NonNegative | None = None
    alsfrs_r_le25_fraction: Fraction | None = None
    alsfrs_r_before_runin: NonNegative | None = None
    alsfrs_mean: NonNegative | None = None
    alsfrs_sd: NonNegative | None = None
    pre_slope_per_month_mean: Number | None = None
    pre_slope_per_month_sd: NonNegative | None = None
    svc_mean: NonNegative | None = None
    svc_sd: NonNegative | None = None
    fvc_mean: NonNegative | None = None
    fvc_sd: NonNegative | None = None
    snip_mean: NonNegative | None = None
    symptom_months_mean: NonNegative | None = None
    symptom_months_sd: NonNegative | None = None
    symptom_years_mean: NonNegative | None = None
    symptom_years_sd: NonNegative | None = None
    diagnostic_delay_months_mean: NonNegative | None = None
    diagnostic_delay_months_sd: NonNegative | None = None
    diagnostic_delay_months_median: NonNegative | None = None
    bulbar_onset_fraction: Fraction | None = None
    riluzole_fraction: Fraction | None = None


class Arm(Record):
    """One arm or analysed group of a study."""

    id: Text
    therapy: Text | None = None
    product: Product | None = None
    regimen: Text | None = None
    intensity: Text | None = None
    dose: Dose | None = None
    route: Text | None = None
    schedule: Text | None = None
    n: Count | None = None
    n_analysed: Count | None = None
    species: Text | None = None
    baseline: Baseline | None = None
    note: Text | None = None


class Outcome(Record):
    """One published number, or in a sealed study the place where it will stand.

    ``outcome_id`` and ``role`` are derived on reading; a file does not state them.
    """

    outcome_id: Text
    role: Role
    arm: Text | Annotated[tuple[Text, ...], Field(min_length=2)]
    endpoint: Text
    definition: Text | None = None
    time_years: NonNegative | None = None
    statistic: Statistic
    value: Number | None = None
    unit: Text | None = None
    ci95: tuple[Number, Number | None] | None = None
    ci90: tuple[Number, Number] | None = None
    se: Positive | None = None
    sd: NonNegative | None = None
    iqr: tuple[Number, Number] | None = None
    range: tuple[Number, Number] | None = None
    n: Annotated[StrictInt, Field(gt=0)] | None = None
    events: Count | None = None
    p_value: Fraction | Annotated[StrictStr, Field(pattern=r"^<0?\.\d+$")] | None = None
    analysis: Analysis | None = None
    derived: StrictBool = False
    verification: Verification | None = None
    source: Text | None = None

    @property
    def arms(self) -> tuple[str, ...]:
        """Arm ids; of a contrast treated first, then control."""
        return (self.arm,) if isinstance(self.arm, str) else self.arm

    @property
    def verified(self) -> bool:
        """Whether the number was seen at a source or in a copy of it (not merely recalled, not sealed)."""
        return self.verification in ("primary", "secondary")

    @model_validator(mode="after")
    def _numbers_fit_the_statistic(self) -> Outcome:
        if self.value is None:
            if self.ci95 or self.ci90:
                raise ValueError("an interval stands without a value; add value, or remove the interval")
            return self
        if self.statistic in VALUELESS_STATISTICS:
            raise ValueError(f"statistic '{self.statistic}' carries no value; remove value {self.value:g}")
        if self.statistic in FRACTIONS and not 0 <= self.value <= 1:
            raise ValueError(f"{self.statistic} {self.value:g} lies outside 0..1; write it as a fraction")
        if self.statistic in RATIOS and self.value <= 0:
            raise ValueError(f"{self.statistic} {self.value:g} is not positive; write a ratio above 0")
        for key, interval in (("ci95", self.ci95), ("ci90", self.ci90), ("range", self.range)):
            if interval is not None:
                low, high = interval
                if low > self.value or (high is not None and high < self.value):
                    raise ValueError(f"value {self.value:g} lies outside its {key} {list(interval)}; check the signs")
        # Elsewhere events may be relapses or lesions, of which a patient has many.
        if self.statistic in FRACTIONS and self.events is not None and self.n is not None and self.events > self.n:
            raise ValueError(f"events {self.events} exceed n {self.n}; a proportion's events count patients")
        return self


def effective_role(study_role: Role, outcome: dict[str, Any], never_tune_to: tuple[str | tuple[str, ...], ...]) -> Role:
    """Role of one outcome of a study.

    A sealed study seals all its outcomes. Elsewhere a row that is recalled, without a number, or not the
    pre-specified full-population result is context; an arm that must never be tuned to is at most a test.

    Parameters
    ----------
    study_role : {"fit", "test", "sealed", "context"}
        Role of the study in ``targets.yaml``.
    outcome : dict
        Raw keys of the outcome.
    never_tune_to : tuple
        Arms, or contrasts as tuples, of the study that no constant may be fitted to.

    """
    if study_role == "sealed":
        return "sealed"
    if (
        outcome.get("value") is None
        or outcome.get("statistic") == "direction"
        or outcome.get("verification") not in ("primary", "secondary")
        or outcome.get("analysis") in CONTEXT_ANALYSES
    ):
        return "context"
    arm = outcome.get("arm")
    key = tuple(arm) if isinstance(arm, list | tuple) else arm
    return "test" if study_role == "fit" and key in never_tune_to else study_role


def is_pooled_arm(arm_id: str) -> bool:
    """Whether the id names several arms together (``all``, ``all_hsct``), which a file need not list as an arm."""
    return arm_id == "all" or arm_id.startswith("all_")


class Study(Record):
    """One published study: who was treated how, and what was measured.

    ``family`` is the folder of the file, ``role`` and ``never_tune_to`` come from ``targets.yaml``; outcome k of the
    file (1-based) is named ``<study>#<k>``.
    """

    id: Identifier
    family: Family
    role: Role = "context"
    never_tune_to: tuple[Text | tuple[Text, ...], ...] = ()
    citation: Text
    doi: Annotated[StrictStr, Field(pattern=r"^10\.\d{4,9}/\S+$")] | None = None
    pmid: StrictInt | None = None
    registry: Text | None = None
    disease: Literal["ms", "als"]
    kind: Kind
    blinding: Text | None = None
    phenotypes: tuple[Text, ...] = ()
    period: Period | None = None
    follow_up_years: FollowUp | None = None
    cohort: Text | None = None
    eligibility: tuple[Text, ...] = ()
    sealed: StrictBool = False
    arms: Annotated[tuple[Arm, ...], Field(min_length=1)]
    outcomes: tuple[Outcome, ...]
    notes: tuple[Text, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _name_outcomes(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("outcomes"), list):
            return data
        role: Role = "sealed" if data.get("sealed") is True else data.get("role", "context")
        never = tuple(tuple(a) if isinstance(a, list) else a for a in data.get("never_tune_to", ()))
        named = []
        for k, outcome in enumerate(data["outcomes"], start=1):
            if isinstance(outcome, dict):
                for key in ("outcome_id", "role"):
                    if key in outcome:
                        raise ValueError(f"outcomes[{k}] states '{key}', which is derived; remove it")
                outcome = outcome | {
                    "outcome_id": f"{data.get('id')}#{k}",
                    "role": effective_role(role, outcome, never),
                }
            named.append(outcome)
        return data | {"outcomes": named, "role": role}

    @model_validator(mode="after")
    def _parts_agree(self) -> Study:
        ids = [a.id for a in self.arms]
        twice = sorted({i for i in ids if ids.count(i) > 1})
        if twice:
            raise ValueError(f"arm id '{twice[0]}' stands twice; give each arm its own id")
        known = {*ids, "all"}
        for k, o in enumerate(self.outcomes, start=1):
            unknown = [a for a in o.arms if a not in known and not is_pooled_arm(a)]
            if unknown:
                raise ValueError(f"outcomes[{k}].arm '{unknown[0]}' is not an arm; valid: {', '.join(sorted(known))}")
            if self.sealed:
                stated = [c for c in SEALED_KEYS if getattr(o, c) is not None]
                if stated:
                    raise ValueError(f"outcomes[{k}].{stated[0]} is stated in a sealed study; remove it until release")
            elif o.verification is None:
                raise ValueError(f"outcomes[{k}].verification is missing; state primary, secondary or recalled")
        return self

    def arm(self, arm_id: str) -> Arm | None:
        """Return the arm of that id; None for a pooled group that the file does not list."""
        return next((a for a in self.arms if a.id == arm_id), None)


SEALED_KEYS = ("value", "ci95", "ci90", "se", "sd", "iqr", "range", "events", "p_value", "verification", "source")
"""Keys of an outcome that a sealed study must not state."""


class Claim(Record):
    """A sentence of a lay article, and what the record says about it."""

    id: Annotated[StrictStr, Field(pattern=r"^c\d{3}$")]
    article: Text
    claim: Text
    verdict: Literal["supported", "overstated", "contradicted", "misattributed", "unverifiable"]
    what_the_record_says: Text
    sources: tuple[Text, ...] = ()
    quantities: dict[str, JsonValue] = Field(default_factory=dict)


class Trial(Record):
    """A registered trial as the registry showed it; show its status with ``status_as_of`` or the snapshot date."""

    snapshot_date: Text
    registry_id: Text | None
    registry: Literal["clinicaltrials.gov", "eudract_or_ctis", "anzctr", "isrctn", "irct"] | None
    other_ids: tuple[Text, ...] = ()
    title: Text
    citation: Text | None = None
    disease: Literal["ms", "als"]
    phenotypes: tuple[Text, ...]
    therapy: Literal["ahsct", "msc", "msc_ntf", "nsc", "ipsc_nsc", "glial_progenitor", "treg", "car_t", "other"]
    product_source: Text | None
    autologous: StrictBool | None
    route: Text | None
    phase: Literal["early 1", "1", "1/2", "2", "2/3", "3", "na"] | None
    design: Text | None
    enrolment_planned: Count | None
    enrolment_actual: Count | None
    arms: tuple[Text, ...] | None
    primary_endpoint: Text | None
    status: Literal["completed", "recruiting", "active", "not_yet", "withdrawn", "terminated", "unknown"]
    status_as_of: Text | None
    status_basis: Literal["record", "publication", "secondary_page", "news_or_paper"] | None
    start: Text | None
    completion: Text | None
    countries: tuple[Text, ...] | None
    sponsor: Text | None
    results: tuple[Text | None, ...]
    source: Verification
    url: Text | None
    note: Text | None = None

    @property
    def publications(self) -> tuple[str, ...]:
        """Published results and protocols; empty where none is known."""
        return tuple(r for r in self.results if r is not None)


class Target(Record):
    """The role of one study, fixed before any parameter was fitted."""

    study: Identifier
    topic: Family
    role: Role
    why: Text
    n_usable: Count
    primary_verified: StrictBool
    note: Text | None = None
    never_tune_to: tuple[Text | tuple[Text, ...], ...] = ()
