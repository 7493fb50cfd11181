"""The register of instruments: what each measures, in what unit and range, with what error."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from stemtrial.observe.parameters import declared


@dataclass(frozen=True)
class Instrument:
    """One instrument.

    Attributes
    ----------
    name : str
        Column name in a table.
    label : str
        Name in the field.
    unit : str
        Unit of the column.
    low, high : float
        Range of the values it can give.
    step : float or None
        Distance of neighbouring values of an ordinal scale or count.
    noise : str
        Its error, in one sentence.
    source : str
        Where formula and error come from.
    parameters : tuple of str
        Names of its error parameters in ``instruments.parameters.yaml``.

    """

    name: str
    label: str
    unit: str
    low: float
    high: float
    step: float | None
    noise: str
    source: str
    parameters: tuple[str, ...]


_SECTION = "docs/design/ms_model.md section 8"
_INF = float("inf")


@cache
def instruments() -> dict[str, Instrument]:
    """Every instrument by name."""
    value = declared()
    rater = tuple(name for name in value if name.startswith("rater_"))
    rows = (
        Instrument(
            "edss", "EDSS", "EDSS", 0.0, 10.0, 0.5,
            f"White error of each functional system SD {value['rater_white_sd']} grades; if affected also a shared "
            f"error SD {value['rater_common_sd']} and an autocorrelated one SD {value['rater_slow_sd']}, correlation "
            f"time {value['rater_slow_tau_days']:.0f} d; ambulation SD {value['rater_amb_white_sd']} and "
            f"{value['rater_amb_slow_sd']}.",
            "Kurtzke 1983 doi:10.1212/WNL.33.11.1444; " + _SECTION + "; docs/design/model_review.md MS items 4, 9",
            rater,
        ),
        Instrument(
            "gd_lesions", "Gadolinium-enhancing lesions", "1", 0.0, _INF, 1.0,
            "Binomial: each lesion is hidden with the masking probability of the drug.", _SECTION, (),
        ),
        Instrument(
            "new_t2_lesions", "New or enlarging T2 lesions since the previous scan", "1", 0.0, _INF, 1.0,
            "None beyond the chance that a lesion is counted at all, which is part of the disease model.", _SECTION, (),
        ),
        Instrument(
            "t2_volume_ml", "T2 lesion volume", "ml", 0.0, _INF, None,
            f"Log-normal, SD {value['mri_t2_volume_sd_log']} of the log.", _SECTION, ("mri_t2_volume_sd_log",),
        ),
        Instrument(
            "brain_volume_change_pct", "Brain volume change since the baseline scan", "%", -100.0, 100.0, None,
            f"Normal, SD {value['mri_brain_volume_sd_pct']} % for one pair of scans.", _SECTION,
            ("mri_brain_volume_sd_pct",),
        ),
        Instrument(
            "nfl_pg_ml", "Serum neurofilament light", "pg/ml", 0.0, _INF, None,
            f"Log-normal, SD {value['fluid_nfl_sd_log']} of the log.", _SECTION, ("fluid_nfl_sd_log",),
        ),
        Instrument(
            "t25fw_s", "Timed 25-foot walk", "s", 0.0, value["t25fw_limit_s"], None,
            f"Log-normal, SD {value['t25fw_sd_log']} of the log.", _SECTION, ("t25fw_sd_log",),
        ),
        Instrument(
            "nine_hole_peg_s", "Nine-hole peg test", "s", 0.0, value["nhpt_limit_s"], None,
            f"Log-normal, SD {value['nhpt_sd_log']} of the log.", _SECTION, ("nhpt_sd_log",),
        ),
        Instrument(
            "sdmt", "Symbol digit modalities test", "points", 0.0, 110.0, None,
            f"Normal, SD {value['sdmt_sd']}; practice {value['sdmt_practice']} a test for "
            f"{value['sdmt_practice_tests']:.0f} tests.", _SECTION, ("sdmt_sd",),
        ),
    )  # fmt: skip
    return {row.name: row for row in rows}
