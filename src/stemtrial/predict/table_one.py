"""Table 1: the patients at baseline, predicted beside published. Context, never scored: nobody was chosen to match.

A line of the table summarises one column of the patients table in each arm: its mean, its median, or the share of
patients for whom something holds. Studies publish such numbers as fields of an arm's ``baseline`` or as outcomes at
time 0; a line names both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from stemtrial.disease import DISEASES
from stemtrial.evidence import Baseline, Outcome, Study
from stemtrial.predict.estimate import Analysed
from stemtrial.predict.summary import number, quantiles
from stemtrial.tables import Table
from stemtrial.trial.protocol import Protocol

Floats = NDArray[np.float64]
Arrays = dict[str, NDArray[Any]]
Summary = Literal["mean", "median", "percent"]
EVERY = tuple(DISEASES)


@dataclass(frozen=True)
class Line:
    """One line of Table 1.

    Attributes
    ----------
    label, unit : str
        As printed.
    summary : {"mean", "median", "percent"}
        Mean, median, or per cent of the patients for whom ``value`` is 1.
    columns : tuple of str
        Columns of the patients table; a trial that does not measure one of them has no such line.
    value : callable
        From the columns to one number a patient.
    published : tuple of str
        Fields of ``stemtrial.evidence.Baseline``, the first that is given counts; a fraction there is per cent here,
        and the standard deviation stands in the field of the same name (``age_mean``, ``age_sd``).
    outcomes : tuple of str
        Endpoints of outcomes at time 0 with the same summary.
    diseases : tuple of str
        Of whose Table 1 it is a line.
    """

    label: str
    unit: str
    summary: Summary
    columns: tuple[str, ...]
    value: Callable[..., Floats]
    published: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    diseases: tuple[str, ...] = EVERY


def _mean(
    label: str, unit: str, column: str, *published: str, outcomes: tuple[str, ...] = (),
    diseases: tuple[str, ...] = EVERY, times: float = 1.0,
) -> Line:  # fmt: skip
    return Line(label, unit, "mean", (column,), lambda x: times * x, published, outcomes, diseases)


def _median(
    label: str, unit: str, column: str, *published: str, outcomes: tuple[str, ...] = (),
    diseases: tuple[str, ...] = EVERY,
) -> Line:  # fmt: skip
    return Line(label, unit, "median", (column,), lambda x: x, published, outcomes, diseases)


def _share(
    label: str, column: str, holds: Callable[[Floats], Any], *published: str, outcomes: tuple[str, ...] = ()
) -> Line:
    return Line(
        label, "%", "percent", (column,), lambda x: np.where(np.isnan(x), np.nan, holds(x)), published, outcomes
    )


LINES: dict[str, Line] = {
    "age_years": _mean("Age", "y", "age_years", "age_mean"),
    "female": _share("Women", "female", lambda x: x == 1, "female_fraction"),
    "age_at_onset": Line(
        "Age at onset",
        "y",
        "mean",
        ("age_years", "disease_duration_years"),
        lambda age, years: age - years,
        ("age_at_onset_mean", "age_onset_mean"),
    ),
    "disease_duration_years": _mean(
        "Disease duration",
        "y",
        "disease_duration_years",
        "disease_duration_years_mean",
        outcomes=("time_since_onset",),
        diseases=("ms",),
    ),
    "disease_duration_median": _median(
        "Disease duration, median", "y", "disease_duration_years", "disease_duration_years_median", diseases=("ms",)
    ),
    "spms_duration_years": _mean("Duration of SPMS", "y", "spms_duration_years", "spms_duration_years_mean"),
    "relapses_last_12_months": _mean(
        "Relapses in the last 12 months",
        "relapses",
        "relapses_last_12_months",
        "relapses_prior_year_mean",
        "relapse_rate_prior",
    ),
    "relapses_last_24_months": _mean("Relapses in the last 24 months", "relapses", "relapses_last_24_months"),
    "relapse_free_24_months": _share(
        "Without relapse in the last 24 months",
        "relapses_last_24_months",
        lambda x: x == 0,
        "relapse_free_prior_2y_fraction",
        outcomes=("relapse_free_2y_before",),
    ),
    "edss": _mean("EDSS", "EDSS", "edss", "edss_mean"),
    "edss_median": _median("EDSS, median", "EDSS", "edss", "edss_median", outcomes=("edss",)),
    "edss_6_or_more": _share("EDSS 6 or more", "edss", lambda x: x >= 6, "edss_ge6_fraction"),
    "edss_6_or_6_5": _share(
        "EDSS 6 or 6.5", "edss", lambda x: (x >= 6) & (x <= 6.5), outcomes=("edss_6_to_6_5_fraction",)
    ),
    "gd_lesions": _mean("Enhancing lesions", "lesions", "gd_lesions", "gd_lesions_mean", outcomes=("gd_lesions",)),
    "gd_positive": _share(
        "With enhancing lesions", "gd_lesions", lambda x: x > 0, "gd_positive_fraction", outcomes=("patients_with_gd",)
    ),
    "t2_volume_ml": _mean("T2 lesion volume", "ml", "t2_volume_ml", "t2_volume_ml_mean", outcomes=("t2_volume_ml",)),
    "nfl_pg_ml": _mean("Serum NfL", "pg/ml", "nfl_pg_ml", outcomes=("nfl",)),
    "t25fw_s": _mean("Timed 25-foot walk", "s", "t25fw_s", outcomes=("t25fw_seconds",)),
    "t25fw_median": _median("Timed 25-foot walk, median", "s", "t25fw_s", outcomes=("t25fw_seconds",)),
    "nine_hole_peg_median": _median("Nine-hole peg test, median", "s", "nine_hole_peg_s", outcomes=("nhpt_seconds",)),
    "sdmt": _mean("Symbol digit modalities test", "points", "sdmt"),
    "symptom_months": _mean(
        "Time since the first symptom",
        "months",
        "disease_duration_years",
        "symptom_months_mean",
        "symptom_years_mean",
        diseases=("als",),
        times=12.0,
    ),
    "diagnostic_delay_months": Line(
        "From the first symptom to the diagnosis",
        "months",
        "mean",
        ("disease_duration_years", "months_since_diagnosis"),
        lambda years, since: 12.0 * years - since,
        ("diagnostic_delay_months_mean",),
    ),
    "bulbar_onset": _share("Bulbar onset", "bulbar_onset", lambda x: x == 1, "bulbar_onset_fraction"),
    "alsfrs_r": _mean(
        "ALSFRS-R",
        "points",
        "alsfrs_r",
        "alsfrs_r_mean",
        outcomes=("baseline_alsfrs_r", "baseline_alsfrs_r_total"),
    ),
    **{
        f"alsfrs_r_{k}": _mean(
            f"ALSFRS-R, {k.replace('_', ' ')} items", "points", f"alsfrs_r_{k}", outcomes=(f"baseline_alsfrs_r_{k}",)
        )
        for k in ("bulbar", "fine_motor", "gross_motor", "respiratory")
    },
    "alsfrs_r_25_or_less": _share("ALSFRS-R 25 or less", "alsfrs_r", lambda x: x <= 25, "alsfrs_r_le25_fraction"),
    "alsfrs_r_before_run_in": Line(
        "ALSFRS-R 12 weeks earlier",
        "points",
        "mean",
        ("alsfrs_r", "alsfrs_r_change_last_12_weeks"),
        lambda now, change: now - change,
        ("alsfrs_r_before_runin",),
    ),
    "alsfrs_r_slope_from_onset": _mean(
        "ALSFRS-R lost a month, from onset",
        "points/month",
        "alsfrs_r_slope_from_onset",
        "pre_slope_per_month_mean",
        outcomes=("baseline_pre_slope",),
    ),
    "alsfrs_r_slope_run_in": _mean(
        "ALSFRS-R lost a month, in the run-in", "points/month", "alsfrs_r_slope_run_in", times=-1.0
    ),
    "svc_pct": _mean("Slow vital capacity", "% of predicted", "svc_pct", "svc_mean", outcomes=("baseline_svc",)),
    "fvc_pct": _mean("Forced vital capacity", "% of predicted", "fvc_pct", "fvc_mean"),
    "kings_stage": _mean("King's stage", "stage", "kings_stage"),
    "riluzole": _share("On riluzole", "riluzole", lambda x: x == 1, "riluzole_fraction"),
    "c9orf72": _share("C9orf72 expansion", "c9orf72", lambda x: x == 1),
    "sod1": _share("SOD1 mutation", "sod1", lambda x: x == 1),
}
"""Line of Table 1 by name, in the order of the table."""


def lines_of(disease: str) -> dict[str, Line]:
    """Return the lines of the Table 1 of a disease."""
    return {name: line for name, line in LINES.items() if disease in line.diseases}


def baseline_values(a: Analysed, protocol: Protocol) -> Arrays:
    """Return each line's summary in each arm and replicate.

    Returns
    -------
    dict of ndarray, shape (replicates,)
        ``baseline|<line>|<arm>``, and for means ``spread|<line>|<arm>``, the standard deviation of the patients.
        Patients without the measurement are left out.
    """
    patients: Table = a.tables["patients"]
    out: Arrays = {}
    for name, line in lines_of(protocol.disease).items():
        if not all(c in patients for c in line.columns):
            continue
        x = a.square(line.value(*(patients[c].astype(float) for c in line.columns)))
        for arm in protocol.arms:
            seen = np.where(a.of(arm) & np.isfinite(x), x, np.nan)
            some = np.asarray(np.isfinite(seen).any(1))
            filled = np.where(some[:, None], seen, 0.0)  # nobody in this arm: NaN afterwards, and no warning now
            middle = np.nanmedian(filled, axis=1) if line.summary == "median" else np.nanmean(filled, axis=1)
            out[f"baseline|{name}|{arm}"] = np.where(
                some, middle * (100.0 if line.summary == "percent" else 1.0), np.nan
            )
            if line.summary == "mean":
                out[f"spread|{name}|{arm}"] = np.where(some, np.nanstd(filled, axis=1), np.nan)
    return out


def table_one(protocol: Protocol, study: Study | None, seen: Arrays) -> list[dict[str, Any]]:
    """Return Table 1, a row a line and arm: what is predicted, beside what the study published of that arm.

    Parameters
    ----------
    protocol, study
        What was run, and what it reproduces.
    seen : dict of ndarray, shape (replicates,)
        From :func:`baseline_values`, over all replicates.

    Returns
    -------
    list of dict
        ``variable, label, unit, statistic, arm, median, pi90, sd, published``: median and central 90 % of the
        replicates' summaries; ``sd`` the standard deviation of the patients, None but for means. Rows are not scored.
    """
    out = []
    for name, line in lines_of(protocol.disease).items():
        for arm in protocol.arms:
            x = seen.get(f"baseline|{name}|{arm}")
            if x is None or not np.isfinite(x).any():
                continue
            low, median, high = quantiles(x, [0.05, 0.5, 0.95])
            spread = seen.get(f"spread|{name}|{arm}")
            out.append(
                {
                    "variable": name,
                    "label": line.label,
                    "unit": line.unit,
                    "statistic": line.summary,
                    "arm": arm,
                    "median": number(median),
                    "pi90": [number(low), number(high)],
                    "sd": None if spread is None else number(float(np.nanmean(spread))),
                    "published": published_line(study, arm, line),
                }
            )
    return out


def published_line(study: Study | None, arm: str, line: Line) -> dict[str, Any] | None:
    """Return what a study published of a line in one arm, in the unit of the line; None where it did not."""
    if study is None:
        return None
    found = study.arm(arm)
    base = found.baseline if found else None
    value = field_of(base, line)
    if value is not None:
        # fields of a baseline were not verified one by one: they count as of another publication
        return {"value": value, "sd": _spread_of(base, line), "verification": "secondary"}
    for o in study.outcomes:
        if o.time_years == 0 and o.arms == (arm,) and o.endpoint in line.outcomes and _same(o, line):
            if o.value is None:
                return None
            factor = 100.0 if line.summary == "percent" else 1.0
            return {"value": factor * o.value, "sd": o.sd, "verification": o.verification}
    return None


def field_of(base: Baseline | None, line: Line) -> float | None:
    """Return the field of a published baseline that is this line, in its unit; None where there is none."""
    found = _given(base, line)
    return None if found is None else _in_unit(getattr(base, found), found, line)


def _given(base: Baseline | None, line: Line) -> str | None:
    """First field of a line that a published baseline gives."""
    return next((name for name in line.published if base is not None and getattr(base, name) is not None), None)


def _spread_of(base: Baseline | None, line: Line) -> float | None:
    """Published standard deviation that belongs to the mean of a line."""
    found = _given(base, line) or ""
    beside = found.replace("_mean", "_sd")
    value = getattr(base, beside, None) if found.endswith("_mean") else None
    return None if value is None else _in_unit(value, beside, line)


def _in_unit(value: float, name: str, line: Line) -> float:
    """A field of a baseline in the unit of a line: shares in per cent, years in months where the line is in months."""
    in_years = line.unit == "months" and "_years_" in name
    return float(value) * (100.0 if line.summary == "percent" else 12.0 if in_years else 1.0)


def _same(o: Outcome, line: Line) -> bool:
    return o.statistic == {"mean": "mean", "median": "median", "percent": "proportion"}[line.summary]
