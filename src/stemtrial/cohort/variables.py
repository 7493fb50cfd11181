"""What a screening visit knows about a person, one register for all diseases: the words of eligibility rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_BOTH = ("ms", "als")


@dataclass(frozen=True)
class Variable:
    """What a screening visit knows about a patient.

    Parameters
    ----------
    name : str
        Column name; the unit is in the name where there is one.
    unit : str
        Unit, ``1`` for a count or an indicator.
    lowest, highest : float
        Range; a rule that names a value outside it is refused.
    step : float
        Distance between neighbouring values, 0 for a continuous quantity.
    meaning : str
        One line.
    choices : tuple of str
        The values of a categorical variable, else empty.
    diseases : tuple of str
        Diseases at whose screening it is known.
    """

    name: str
    unit: str
    lowest: float
    highest: float
    step: float
    meaning: str
    choices: tuple[str, ...] = ()
    diseases: tuple[str, ...] = ("ms",)


def _als(
    name: str, unit: str, lowest: float, highest: float, step: float, meaning: str, choices: tuple[str, ...] = ()
) -> Variable:
    return Variable(name, unit, lowest, highest, step, meaning, choices, ("als",))


VARIABLES: Mapping[str, Variable] = {
    v.name: v
    for v in (
        Variable("age_years", "y", 0, 110, 0, "age at screening", diseases=_BOTH),
        Variable("female", "1", 0, 1, 1, "1 for a woman", diseases=_BOTH),
        Variable(
            "course", "1", 0, 0, 0, "course at screening", ("rrms", "cis", "spms", "ppms", "paediatric", "als"), _BOTH
        ),
        Variable("onset_age_years", "y", 0, 100, 0, "age at the first symptom", diseases=_BOTH),
        Variable("disease_duration_years", "y", 0, 90, 0, "years since the first symptom", diseases=_BOTH),
        Variable("edss", "EDSS", 0, 9.5, 0.5, "rated EDSS"),
        Variable("edss_change_last_12_months", "EDSS", -9.5, 9.5, 0.5, "rated EDSS minus that of a year ago"),
        Variable("edss_change_last_24_months", "EDSS", -9.5, 9.5, 0.5, "rated EDSS minus that of two years ago"),
        Variable("pyramidal_fs", "1", 0, 6, 1, "rated pyramidal functional system"),
        Variable("ambulation_index", "1", 0, 1, 0, "the model's noise-free walking index, 0 unimpaired"),
        Variable("relapses_last_12_months", "1", 0, 20, 1, "reported relapses in the last 12 months"),
        Variable("relapses_last_24_months", "1", 0, 40, 1, "reported relapses in the last 24 months"),
        Variable("days_since_relapse", "d", 0, 40_000, 1, "days since the last reported relapse; 40000 for none"),
        Variable("vep_p100_ms", "ms", 60, 300, 0, "P100 latency of the visual evoked potential, both eyes as one"),
        Variable("gd_lesions", "1", 0, 200, 1, "enhancing lesions on the screening scan"),
        Variable("t2_volume_ml", "ml", 0, 200, 0, "T2 lesion volume on the screening scan"),
        _als("symptom_months", "months", 0, 600, 0, "months since the first symptom"),
        _als("months_since_diagnosis", "months", 0, 600, 0, "months since the diagnosis"),
        _als("onset_site", "1", 0, 0, 0, "where it began", ("bulbar", "upper_limb", "lower_limb", "respiratory")),
        _als("bulbar_onset", "1", 0, 1, 1, "1 where it began with speech or swallowing"),
        _als("c9orf72", "1", 0, 1, 1, "1 with a C9orf72 expansion"),
        _als("sod1", "1", 0, 1, 1, "1 with a mutation of SOD1"),
        _als("riluzole", "1", 0, 1, 1, "1 for whoever takes riluzole"),
        _als("alsfrs_r", "points", 0, 48, 1, "ALSFRS-R, total"),
        _als("alsfrs_r_lowest_item", "points", 0, 4, 1, "lowest of the twelve items"),
        _als("alsfrs_r_bulbar", "points", 0, 12, 1, "ALSFRS-R, items 1 to 3"),
        _als("alsfrs_r_fine_motor", "points", 0, 12, 1, "ALSFRS-R, items 4 to 6"),
        _als("alsfrs_r_gross_motor", "points", 0, 12, 1, "ALSFRS-R, items 7 to 9"),
        _als("alsfrs_r_respiratory", "points", 0, 12, 1, "ALSFRS-R, items 10 to 12"),
        _als("swallowing", "points", 0, 4, 1, "item 3 of the ALSFRS-R"),
        _als("walking", "points", 0, 4, 1, "item 8 of the ALSFRS-R"),
        _als("dyspnoea", "points", 0, 4, 1, "item 10 of the ALSFRS-R"),
        _als("orthopnoea", "points", 0, 4, 1, "item 11 of the ALSFRS-R"),
        _als("respiratory_insufficiency", "points", 0, 4, 1, "item 12 of the ALSFRS-R"),
        _als("regions_involved", "1", 0, 3, 1, "bulbar, arms, legs: regions with an item below 4"),
        _als("regions_with_signs", "1", 0, 4, 1, "bulbar, arms, breathing, legs: regions that have lost motor neurons"),
        _als("alsfrs_r_slope_from_onset", "points/month", -20, 60, 0, "(48 - total) / months since the first symptom"),
        _als("alsfrs_r_change_last_12_weeks", "points", -48, 48, 1, "total minus that of 12 weeks ago"),
        _als("alsfrs_r_slope_run_in", "points/month", -60, 60, 0, "slope of the total over the last 12 weeks"),
        _als("alsfrs_r_slope_run_in_18_weeks", "points/month", -60, 60, 0, "slope of the total over the last 18 weeks"),
        _als("alsfrs_r_18_weeks_ago", "points", 0, 48, 1, "ALSFRS-R 18 weeks before entry, when a run-in began"),
        _als("svc_pct_18_weeks_ago", "%", 0, 200, 0, "slow vital capacity 18 weeks before entry, of predicted"),
        _als("svc_pct", "%", 0, 200, 0, "slow vital capacity, of predicted"),
        _als("fvc_pct", "%", 0, 200, 0, "forced vital capacity, of predicted"),
        _als("kings_stage", "1", 1, 4, 1, "King's stage"),
        _als("mitos_stage", "1", 0, 4, 1, "MiToS stage"),
        _als("nfl_pg_ml", "pg/ml", 0, 10_000, 0, "neurofilament light in blood"),
        _als("weight_pct", "%", 0, 200, 0, "weight, of that before the disease"),
        _als("niv", "1", 0, 1, 1, "1 with non-invasive ventilation"),
        _als("gastrostomy", "1", 0, 1, 1, "1 with a gastrostomy"),
    )
}
"""Variables by name."""
