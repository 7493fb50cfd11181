"""Numbers and names as a reader meets them; which outcomes share an axis."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

RATIOS = frozenset({"hazard_ratio", "rate_ratio", "odds_ratio", "risk_ratio"})
CHANGES = frozenset({"mean_change", "median_change", "difference", "relative_change"})
_FRACTION_STATISTICS = frozenset({"km_probability", "proportion"})
_FRACTION_UNITS = frozenset({"fraction", "probability", "proportion"})
_PERCENT_UNITS = frozenset({"%", "percent", "pct"})
_NOISE = 1e-12  # what is left of a difference of equal numbers
WEEKS_A_YEAR = 365.25 / 7
_BRIEF = {"month": "mo", "week": "wk", "year": "y"}
_NO_UNIT = frozenset({"", "1", "-", "none"})

_STATISTICS = {
    "km_probability": "Kaplan-Meier",
    "proportion": "patients",
    "rate_per_year": "rate per year",
    "slope_per_year": "slope per year",
}
_COUNTS_DEATHS = frozenset({"overall_survival"})  # the event of a survival is the death
_RANKED = frozenset({"cafs", "joint_rank"})
"""Endpoints whose shares are of pairs of patients."""
_SPELLING = {
    **{
        w.lower(): w
        for w in ("EDSS", "NEDA", "NEA", "T1", "T2", "Gd", "MRI", "ARR", "CDW", "CDP", "CDI", "PIRA", "RAW")
    },
    **{w.lower(): w for w in ("SDMT", "T25FW", "9HPT", "NfL", "MIST")},
    **{w.lower(): w for w in ("ALS", "ALSFRS", "ALSFRS-R", "CAFS", "SVC", "FVC", "HHD", "NIV")},
    **{"neda3": "NEDA-3", "neda4": "NEDA-4", "msis29": "MSIS-29", "pct": "(%)", "ml": "(ml)"},
}
DISEASES = {"ms": "multiple sclerosis", "als": "amyotrophic lateral sclerosis"}
"""Diseases as a page names them."""
NO_HUMAN_DATA = "prediction_without_human_data"
NO_HUMAN_DATA_MARK = "⚠ no human data"
"""The label of what nobody has been given yet, and how a row shows it."""
HELD = {"sampling": "sampling", "trial_effects": "effects of the trial", "parameters": "parameters"}
"""Parts of an interval in words."""
_LABELS = {
    "point_parameters": "All parameters at their point values: what is not known about them is not in the intervals.",
    "posterior_of_other_parameters": "The posterior was fitted with other point values or priors than those of this "
    "version: refit it, or read the prediction as one of mixed parameters.",
    "other_size": "Run at another size than the published trial, so that nothing is scored.",
    NO_HUMAN_DATA: "Prediction without human data: nobody with {disease} has been given this product by this route "
    "with results published, so that it rests on mechanism alone.",
}


def real(x: Any) -> float | None:
    """Return ``x`` as a float (perhaps infinite), or None where it is missing, NaN or no number."""
    if x is None or isinstance(x, bool):
        return None
    try:
        value = float(x)
    except (TypeError, ValueError):
        return None
    return None if math.isnan(value) else value


def finite(x: Any) -> float | None:
    """Return ``x`` as a finite float, or None."""
    value = real(x)
    return value if value is not None and math.isfinite(value) else None


def _decimals(x: float) -> int:
    """Decimals for two (below 1) to three significant figures; none for whole numbers."""
    size = abs(x)
    if math.isinf(size) or abs(size - round(size)) < 1e-9 or size >= 99.95:
        return 0
    if size < 0.1:
        return len(f"{float(f'{size:.2g}'):f}".rstrip("0").partition(".")[2])
    return 2 if size < 10 else 1


def number(x: Any, decimals: int | None = None) -> str:
    """Write a number with two (below 1) to three significant figures; an en dash where there is none.

    >>> number(-1.7), number(0.0192), number(12.0), number(float("inf")), number(None)
    ('−1.70', '0.019', '12', '∞', '–')
    """
    value = real(x)
    if value is None:
        return "–"
    size = abs(value)
    if math.isinf(size):
        text = "∞"
    elif size == 0:
        return "0"
    elif size < 5e-4 or size >= 1e9:
        text = f"{size:.1e}"
    else:
        text = f"{size:,.{_decimals(value) if decimals is None else decimals}f}"
    return ("−" if value < 0 else "") + text


def off_by(value: Any, error: Any) -> tuple[str, str]:
    """Write a value and its error, the value no finer than two significant figures of the error.

    >>> off_by(-1.2e-4, 0.0042), off_by(0.023, 0.19), off_by(-0.614, 0.69), off_by(0.3, 0), off_by(3.0, 17.4)
    (('−0.0001', '0.0042'), ('0.02', '0.19'), ('−0.61', '0.69'), ('0.30', '0'), ('3', '17'))
    """
    wrong = finite(error)
    if not wrong:
        return number(value), number(error)
    decimals = max(0, 1 - math.floor(math.log10(abs(wrong))))
    told, off = (f"{round(x, decimals) + 0.0:,.{decimals}f}".replace("-", "−") for x in (finite(value) or 0.0, wrong))
    return ("–" if finite(value) is None else told), off


def count(x: Any) -> str:
    """Write a whole number with a thousands separator; an en dash where there is none."""
    value = finite(x)
    return "–" if value is None else f"{value:,.0f}".replace("-", "−")


def span(pair: Sequence[Any] | None) -> str:
    """Write an interval, as finely as its width deserves; an en dash where there is none.

    >>> span((0.02, 0.24)), span((0.0098, 0.2083)), span((6.14, 41.67)), span((-0.1347, -1.5e-6)), span((None, None))
    ('0.02 to 0.24', '0.010 to 0.208', '6.1 to 41.7', '−0.13 to 0', '–')
    """
    lo, hi = ends(pair)
    if lo is None and hi is None:
        return "–"
    if lo is not None and hi is not None and math.isfinite(wide := max(abs(lo), abs(hi))):
        lo, hi = (0.0 if abs(x) < min(5e-5, wide / 1000) else x for x in (lo, hi))  # nought but for rounding
    decimals = max(_decimals(x) for x in (lo, hi) if x is not None)
    if lo is not None and hi is not None and 0 < hi - lo < math.inf:
        seen = (math.ceil(-math.log10(abs(x))) for x in (lo, hi) if x)  # an end that is not 0 must not read 0
        decimals = min(decimals, max(0, 2 - math.floor(math.log10(hi - lo)), *seen))
    return f"{number(lo, decimals)} to {number(hi, decimals)}"


def ends(pair: Sequence[Any] | None) -> tuple[float | None, float | None]:
    """Return the two ends of an interval, None where missing."""
    return (real(pair[0]), real(pair[1])) if pair and len(pair) == 2 else (None, None)


def years(t: Any, short: bool = False) -> str:
    """Write a time as trials plan it: in whole months, in whole weeks, else in years; nothing where there is none.

    A published time of two decimals may be any within 0.005 years: 0.54 is taken for 28 weeks, a multiple of four.

    >>> years(0.25), years(0.46), years(0.92), years(1.38), years(2), years(0.54, short=True)
    ('3 months', '24 weeks', '48 weeks', '72 weeks', '2 years', '28 wk')
    """
    value = finite(t)
    if not value:
        return "" if value is None else "baseline"
    months, weeks = value * 12, value * WEEKS_A_YEAR
    off = {m: abs(x - round(x)) * days for m, x, days in (("month", months, 30.4), ("week", weeks, 7.0))}
    near = [m for m, x in (("month", months), ("week", weeks)) if round(x) and abs(x - round(x)) < 0.05]
    fourth = round(weeks) and round(weeks) % 4 == 0
    if fourth and not near and abs(weeks - round(weeks)) < 0.005 * WEEKS_A_YEAR:
        near = ["week"]
    if value >= 1 and (not fourth or "month" in near or value >= 2):  # 18 months are 1.5 years
        near = []
    unit = min(near, key=off.__getitem__, default="year")
    told = {"month": f"{months:.0f}", "week": f"{weeks:.0f}", "year": f"{value:.3g}"}[unit]
    if short:
        return f"{told} {_BRIEF[unit]}"
    return f"{told} {unit}{'s' * (told != '1')}"


def plain(name: Any) -> str:
    """Read an id aloud: ``'confirmed_worsening.mist'`` gives ``'Confirmed worsening (MIST)'``."""
    head, _, tail = str(name).partition(".")
    head = re.sub(r"^alsfrs_r(?=_|$)", "alsfrs-r", head)
    words = [_SPELLING.get(w.lower(), w) for w in head.split("_") if w]
    text = " ".join(words) or str(name)
    text = text[:1].upper() + text[1:] if words and words[0] not in _SPELLING.values() else text
    return f"{text} ({_SPELLING.get(tail.lower(), tail.replace('_', ' '))})" if tail else text


def statistic(name: Any, endpoint: Any = "") -> str:
    """Return the words for a statistic, of an endpoint if that matters.

    >>> statistic("hazard_ratio"), statistic("proportion"), statistic("proportion", "overall_survival")
    ('hazard ratio', 'patients', 'patients who died')
    """
    if endpoint in _COUNTS_DEATHS and name == "proportion":
        return "patients who died"
    if endpoint in _RANKED and name == "proportion":
        return "pairs won"
    return _STATISTICS.get(str(name), str(name or "").replace("_", " "))


def arms_of(outcome: Mapping[str, Any]) -> str:
    """Return whom a published outcome is of: an arm, the arms that it contrasts, or those that it counts together.

    >>> arms_of({"arm": ["a", "b"], "statistic": "difference"}), arms_of({"arm": ["a", "b"], "statistic": "mean"})
    ('a vs b', 'a and b')
    """
    arm = outcome.get("arm")
    if not isinstance(arm, list | tuple):
        return str(arm or "").replace("_", " ")
    told = [str(a).replace("_", " ") for a in arm]
    if len(told) > 2:
        return f"all {len(told)} arms"
    return (" vs " if outcome.get("statistic") in RATIOS | CHANGES else " and ").join(told)


def explain_label(label: str, disease: str = "") -> str:
    """Return what a label of a run or an estimate means, of a run of that disease."""
    if " " in label:
        return label  # a sentence explains itself
    return _LABELS.get(label, plain(label)).replace("{disease}", disease.upper() or "the disease")


def interval_words(interval: Any) -> str:
    """Say what an interval holds: ``'sampling+trial_effects'`` gives ``'sampling and effects of the trial'``."""
    words = [HELD[w] for w in str(interval or "").split("+") if w in HELD]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


@dataclass(frozen=True)
class Scale:
    """How outcomes are drawn and written: which axis they share, and the factor from data to display.

    Attributes
    ----------
    key : str
        Outcomes with one key share a picture.
    title, axis : str
        Heading of that picture; title of its axis, with the unit.
    factor : float
        Display value = data value x factor.
    log : bool
        True for ratios.
    reference : float or None
        Where there is no difference or no change, in display units.
    rank : int
        Order of the pictures.

    """

    key: str
    title: str
    axis: str
    unit: str
    factor: float = 1.0
    log: bool = False
    reference: float | None = None
    rank: int = 9


def scale_of(row: Mapping[str, Any]) -> Scale:
    """Return the scale of an estimate, from its statistic and unit: no two units ever share an axis."""
    stat, unit = str(row.get("statistic") or ""), str(row.get("unit") or "").strip()
    if stat in RATIOS:
        return Scale("ratio", "Ratios", "ratio (logarithmic axis)", "", log=True, reference=1.0, rank=0)
    change = stat in CHANGES
    low = unit.lower()
    as_fraction = low in _FRACTION_UNITS or (low in _NO_UNIT | {"various"} and stat in _FRACTION_STATISTICS)
    if as_fraction or low in _PERCENT_UNITS:
        factor = 100.0 if as_fraction else 1.0
        if row.get("endpoint") in _RANKED:
            axis = "pairs in which the treated patient does better, %"
            return Scale("pairs", "Pairs of patients", axis, "%", factor, reference=50.0, rank=2)
        if stat in _FRACTION_STATISTICS:
            return Scale("patients_percent", "Percentages of patients", "patients, %", "%", factor, rank=1)
        if change and as_fraction:
            return Scale(
                "points", "Differences of percentages", "percentage points", "points", factor, reference=0.0, rank=2
            )
        if change:
            return Scale("percent_change", "Changes in per cent", "change, %", "%", factor, reference=0.0, rank=5)
        return Scale("percent", "Other percentages", "%", "%", factor, rank=6)
    if low in {"edss", "points (edss)", "edss points"}:
        if change:
            return Scale("edss_change", "Changes of EDSS", "EDSS points, negative is better", "", reference=0.0, rank=3)
        return Scale("edss", "EDSS", "EDSS", "", rank=4)
    if stat in {"rate_per_year", "slope_per_year"} and low in _NO_UNIT | {"1/y", "1/year", "per year", "/year", "y-1"}:
        return Scale("rate", "Rates per year", "per year", "per year", rank=4)
    if stat == "count":
        return Scale(
            f"count:{unit}", "Counts", unit if low not in _NO_UNIT else "number", unit if low not in _NO_UNIT else ""
        )
    if unit == "points" and str(row.get("endpoint")).startswith("alsfrs"):
        if change:
            axis = "ALSFRS-R points, higher is better"
            return Scale("alsfrs_change", "Changes of ALSFRS-R", axis, "points", reference=0.0, rank=3)
        return Scale("alsfrs", "ALSFRS-R", "points", "points", rank=4)
    if unit.endswith("/y"):
        yearly = f"{unit.removesuffix('/y')} a year"
        title = f"{'Differences of slopes' if change else 'Slopes'} in {yearly}"
        key = f"{'change' if change else 'value'}:{unit}"
        return Scale(key, title, yearly, yearly, reference=0.0 if change else None)
    shown = "" if low in _NO_UNIT else unit
    title = (
        f"{'Changes' if change else 'Outcomes'} in {shown}"
        if shown
        else ("Other changes" if change else statistic(stat).capitalize())
    )
    return Scale(
        f"{'change' if change else stat if not shown else 'value'}:{shown}",
        title,
        shown or ("change" if change else statistic(stat)),
        shown,
        reference=0.0 if change else None,
    )


def group_by_scale(rows: Iterable[Mapping[str, Any]]) -> list[tuple[Scale, list[Mapping[str, Any]]]]:
    """Split estimates into groups that share an axis, ratios first, row order kept within a group.

    Percentage changes of quantities that change far less than others would not be seen beside them: they get
    a picture of their own.
    """
    groups: dict[str, tuple[Scale, list[Mapping[str, Any]]]] = {}
    for row in rows:
        scale = scale_of(row)
        groups.setdefault(scale.key, (scale, []))[1].append(row)
    made = [part for scale, members in groups.values() for part in _by_size(scale, members)]
    return sorted(made, key=lambda g: g[0].rank)


def _by_size(scale: Scale, rows: list[Mapping[str, Any]]) -> list[tuple[Scale, list[Mapping[str, Any]]]]:
    if scale.key != "percent_change":
        return [(scale, rows)]
    largest: dict[str, float] = {}
    for row in rows:
        s, endpoint = shown(row, scale), str(row.get("endpoint"))
        sizes = (abs(x) for x in (*s["pi90"], s["value"]) if x is not None and math.isfinite(x))
        largest[endpoint] = max(largest.get(endpoint, 0.0), *sizes, 0.0)
    least = max(largest.values()) / 30
    small = [r for r in rows if largest[str(r.get("endpoint"))] < least]
    if not small:
        return [(scale, rows)]
    other = replace(scale, key=f"{scale.key}:small", title=f"Small {scale.title[:1].lower()}{scale.title[1:]}")
    return [(scale, [r for r in rows if r not in small]), (other, small)]


@dataclass(frozen=True)
class Names:
    """The names of arms and endpoints of one run, and the day from which time counts."""

    arms: Mapping[str, str] = field(default_factory=dict)
    endpoints: Mapping[str, str] = field(default_factory=dict)
    since: str = "randomisation"

    def arm(self, arm: Any) -> str:
        """Return the label of an arm, or ``'A vs B'`` for a pair."""
        if isinstance(arm, list | tuple):
            return " vs ".join(self.arm(a) for a in arm)
        return self.arms.get(str(arm), plain(arm)) if arm else ""

    def endpoint(self, endpoint: Any) -> str:
        """Return the label of an endpoint; its id read aloud where it has none."""
        return self.endpoints.get(str(endpoint)) or plain(endpoint)

    def title(self, row: Mapping[str, Any]) -> str:
        """Return the endpoint of an estimate by what its number counts: deaths, where it is no share that survived."""
        counted = row.get("statistic") in ("proportion", "count")
        return "Deaths" if counted and row.get("endpoint") in _COUNTS_DEATHS else self.endpoint(row.get("endpoint"))

    def detail(self, row: Mapping[str, Any]) -> str:
        """Return arm, time and statistic of an estimate: ``'HSCT vs DMT · 1 year · difference'``."""
        at = years(row.get("time_years"))
        return " · ".join(p for p in (self.arm(row.get("arm")), at, self.statistic(row)) if p)

    def statistic(self, row: Mapping[str, Any]) -> str:
        """Return the words for the statistic of an estimate."""
        return statistic(row.get("statistic"), row.get("endpoint"))

    def outcome(self, row: Mapping[str, Any]) -> str:
        """Return endpoint and detail of an estimate in one line."""
        return f"{self.title(row)}: {self.detail(row)}"


def names_of(result: Mapping[str, Any]) -> Names:
    """Return the names that report data gives to arms and endpoints."""
    endpoints = {
        str(c.get("endpoint")): str(c["label"]) for c in (result.get("curves") or {}).get("km") or () if c.get("label")
    }
    endpoints.update(result.get("endpoint_labels") or {})
    arms = {str(a["id"]): str(a.get("label") or a["id"]) for a in result.get("arms") or ()}
    randomised = ((result.get("run") or {}).get("design") or "randomised") == "randomised"
    return Names(arms, endpoints, "randomisation" if randomised else "entry")


_DOI = re.compile(r"^10\.\d{4,9}/[-._;()/:A-Za-z0-9<>]+$")


def doi_url(doi: Any) -> str | None:
    """Return the resolver address of a DOI, or None where the text is none."""
    return f"https://doi.org/{doi}" if isinstance(doi, str) and _DOI.match(doi) else None


def shown(row: Mapping[str, Any], scale: Scale) -> dict[str, Any]:
    """Return the numbers of an estimate in display units (median, pi50, pi90, mcse, value, ci95), None if missing."""

    def times(x: Any) -> float | None:
        value = real(x)
        if value is None:
            return None
        return 0.0 if abs(value) < _NOISE else value * scale.factor

    def both(pair: Sequence[Any] | None) -> tuple[float | None, float | None]:
        lo, hi = ends(pair)
        return times(lo), times(hi)

    published = row.get("published") or {}
    return {
        "median": times(row.get("median")),
        "mcse": times(row.get("mcse")),
        "pi50": both(row.get("pi50")),
        "pi90": both(row.get("pi90")),
        "value": times(published.get("value")),
        "ci95": both(published.get("ci95")),
    }
