"""The register of instruments: what each measures, in what unit and range, with what error, and when it is missing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from stemtrial.disease import DISEASES
from stemtrial.errors import InputError, did_you_mean
from stemtrial.observe.parameters import ALSFRS_ITEMS, declared, parameter_entries


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
    table : {"visits", "mri"}
        Table that holds the column.
    practice : str
        What repeated testing does to it, in one sentence.
    missing : str
        When it is missing, in one sentence.
    missing_parameters : tuple of str
        Names of the parameters of that mechanism.
    diseases : tuple of str
        Diseases in which it can be read.

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
    table: Literal["visits", "mri"]
    practice: str
    missing: str
    missing_parameters: tuple[str, ...]
    diseases: tuple[str, ...]


_SECTION = "docs/design/ms_model.md section 8"
_ALS_SECTION = "docs/design/als_model.md section 3"
_SEVERITY = {"ms": "EDSS {}", "als": "{} points lost of the ALSFRS-R"}
_INF = float("inf")
_NO_PRACTICE = "None modelled."
_LONGEST = "whoever cannot do it at all (EDSS without error {} or more) gets the longest time, which is not missing"


def _visit(
    name: str, label: str, unit: str, span: tuple[float, float, float | None], noise: str, source: str,
    parameters: tuple[str, ...], practice: str = _NO_PRACTICE, more: str = "", diseases: tuple[str, ...] = ("ms",),
) -> Instrument:  # fmt: skip
    """Build an instrument of table ``visits``: its missing values follow one rule, with numbers of its own."""
    v = declared()
    share, slope = v[f"missing_share.{name}"], v[f"missing_slope.{name}"]
    bulbar = v.get(f"missing_bulbar_slope.{name}", 0.0)
    missing = f"{share:.0%} of scheduled visits after baseline"
    if share == 0.0:
        missing = "Never, unless a protocol gives it a share"
    elif slope:
        (disease,) = diseases
        at = _SEVERITY[disease].format(f"{v[f'missing_at.{disease}']:g}")
        missing += f" at {at}, odds x exp({slope:g}) a point"
        missing += f" and exp({bulbar:g}) more a bulbar point" if bulbar else ""
        missing += " (not at random)"
    else:
        missing += ", completely at random"
    mechanism = ("missing_share", "missing_slope", "missing_at", *(("missing_bulbar_slope",) if bulbar else ()))
    return Instrument(
        name, label, unit, *span, noise, source, parameters, "visits", practice,
        f"{missing}{'; ' if more else ''}{more}.", mechanism, diseases,
    )  # fmt: skip


def _rated(
    name: str, label: str, unit: str, span: tuple[float, float], noise: str, source: str, parameters: tuple[str, ...]
) -> Instrument:
    """Build what every visit of ALS rates, or what is read off that: whole numbers, missing only with the visit."""
    missing = "Never: a visit without it is a visit missed."
    return Instrument(
        name, label, unit, *span, 1.0, noise, source, parameters, "visits", _NO_PRACTICE, missing, (), ("als",)
    )


def _scan(
    name: str, label: str, unit: str, span: tuple[float, float, float | None], noise: str, source: str,
    parameters: tuple[str, ...], special: bool = False,
) -> Instrument:  # fmt: skip
    """Build an instrument of table ``mri``."""
    v = declared()
    missing = f"{v['mri_missing_share']:.0%} of scheduled scans after baseline are not done, completely at random"
    if special:
        missing += f"; of those done, {v['mri_lesion_missing_share']:.0%} lack this"
    mechanism = ("mri_missing_share", "mri_lesion_missing_share")[: 1 + special]
    return Instrument(
        name, label, unit, *span, noise, source, parameters, "mri", _NO_PRACTICE, f"{missing}.", mechanism, ("ms",)
    )


def _reported(name: str, label: str, span: tuple[float, float, float | None], source: str) -> Instrument:
    """Build a questionnaire."""
    v = declared()
    between = sum(v[f"{name}.{k}"] ** 2 for k in ("fatigue", "mood", "own")) ** 0.5
    noise = f"Normal, SD {v[name + '.visit']:g} a visit; people of equal deficit differ by SD {between:.3g}, lastingly."
    return _visit(name, label, "points", span, noise, source, (name, "mental_burden", "physical_burden"))


def _count(name: str, label: str, unit: str) -> Instrument:
    """Build a blood count."""
    v = declared()
    noise = (
        f"Log-normal, SD {v[f'blood_sd_log.{name}']:g} of the log a visit; between people of equal cells "
        f"SD {v[f'blood_person_sd_log.{name}']:g}."
    )
    source = "assumed; docs/design/ms_model.md section 7.2"
    return _visit(
        name, label, unit, (0.0, _INF, None), noise, source, ("blood_norm", "blood_person_sd_log", "blood_sd_log")
    )


def instruments(disease: str | None = None) -> dict[str, Instrument]:
    """Every instrument by name, or those of one disease.

    Parameters
    ----------
    disease : str, optional
        ``ms`` or ``als``; default: all.

    Raises
    ------
    InputError
        If the disease has no instruments.

    """
    if disease is None:
        return _all()
    if disease not in DISEASES:
        raise InputError(f"disease '{disease}' has no instruments{did_you_mean(disease, DISEASES)}")
    return _of(disease)


@cache
def _all() -> dict[str, Instrument]:
    return {row.name: row for row in (*_ms(), *_als())}


@cache
def _of(disease: str) -> dict[str, Instrument]:
    return {name: row for name, row in _all().items() if disease in row.diseases}


def _ms() -> tuple[Instrument, ...]:
    """Rows of MS; neurofilament light is read in ALS too."""
    v = declared()
    rater = tuple(name for name in v if name.startswith("rater_"))
    return (
        _visit(
            "edss", "EDSS", "EDSS", (0.0, 10.0, 0.5),
            f"White error of each functional system SD {v['rater_white_sd']} grades; if affected also a shared "
            f"error SD {v['rater_common_sd']} and an autocorrelated one SD {v['rater_slow_sd']}, correlation "
            f"time {v['rater_slow_tau_days']:.0f} d; ambulation SD {v['rater_amb_white_sd']} and "
            f"{v['rater_amb_slow_sd']}.",
            "Kurtzke 1983 doi:10.1212/WNL.33.11.1444; " + _SECTION + "; docs/design/model_review.md MS items 4, 9; "
            "noseworthy1990_edss, pmid34274736_edss_interrater",
            rater,
        ),
        _visit(
            "bladder_bowel", "Bowel and bladder functional system, as examined", "grade", (0.0, 6.0, 1.0),
            "That of the rater, see EDSS.", "Kurtzke 1983 doi:10.1212/WNL.33.11.1444; Neurostatus-EDSS 04/10.2", rater,
        ),
        _visit(
            "t25fw_s", "Timed 25-foot walk", "s", (0.0, v["t25fw_limit_s"], None),
            f"Log-normal, SD {v['t25fw_sd_log']} of the log a visit, and form lasting weeks, SD "
            f"{v['t25fw_form_sd_log']} x squared ambulation index; between people "
            f"SD {v['t25fw_person_sd_log']}, and {v['t25fw_gait_sd_log']} of the log of what ambulation does to it.",
            _SECTION + "; Schwid 2002 doi:10.1212/WNL.58.8.1294; Hobart 2013 pmid 23535489; kalinowski2022_t25fw_msoac",
            ("t25fw_sd_log", "t25fw_form_sd_log", "t25fw_person_sd_log", "t25fw_gait_sd_log", "form_days"),
            more=_LONGEST.format(v["t25fw_unable_edss"]),
        ),
        _visit(
            "nine_hole_peg_s", "Nine-hole peg test, both hands", "s", (0.0, v["nhpt_limit_s"], None),
            f"Log-normal, SD {v['nhpt_sd_log']} of the log a visit; between people SD {v['nhpt_person_sd_log']}.",
            _SECTION + "; Schwid 2002 doi:10.1212/WNL.58.8.1294", ("nhpt_sd_log", "nhpt_person_sd_log"),
            "None modelled: the manual asks for practice before baseline.", _LONGEST.format(v["nhpt_unable_edss"]),
        ),
        _visit(
            "sdmt", "Symbol digit modalities test", "points", (0.0, 110.0, 1.0),
            f"Normal, SD {v['sdmt_sd']} a visit; between people SD {v['sdmt_person_sd']:g}.",
            _SECTION + "; pmid 36544304, 40448412", ("sdmt_sd", "sdmt_person_sd"),
            f"{v['sdmt_practice']:+g} a test for {v['sdmt_practice_tests']:.0f} tests (assumed; 1.8 a repetition in "
            "pmid 36544304, plateau after 18 in pmid 40448412).",
        ),
        _visit(
            "vep_p100_ms", "P100 latency of the visual evoked potential", "ms", (60.0, 300.0, None),
            f"Normal, SD {v['vep_sd_ms']:g} a visit; between people SD {v['vep_person_sd_ms']:g}.",
            _SECTION + "; green2017_rebuild, cadavid2017_renew", ("vep_sd_ms", "vep_person_sd_ms"),
        ),
        _visit(
            "visual_acuity_logmar", "High-contrast visual acuity, both eyes", "logMAR", (-0.3, 1.7, 0.02),
            f"Normal, SD {v['acuity_sd']} a visit; between people SD {v['acuity_person_sd']}.",
            "assumed; Pineles 2011 doi:10.1016/j.ajo.2011.01.023", ("acuity_sd", "acuity_person_sd"),
        ),
        _visit(
            "low_contrast_letters", "Low-contrast letter acuity, 2.5 %, both eyes", "letters", (0.0, 70.0, 1.0),
            f"Normal, SD {v['contrast_sd']} a visit; between people SD {v['contrast_person_sd']:g}.",
            "Pineles 2011 doi:10.1016/j.ajo.2011.01.023; Balcer 2017 doi:10.1177/1352458517690822",
            ("contrast_sd", "contrast_person_sd"),
        ),
        _reported(
            "mfis", "Modified fatigue impact scale", (0.0, 84.0, 1.0),
            _SECTION + "; Learmonth 2013 doi:10.1016/j.jns.2013.05.023; tellez2005_fatigue",
        ),
        _reported(
            "fss", "Fatigue severity scale", (1.0, 7.0, 1.0 / 9.0),
            "assumed; Learmonth 2013 doi:10.1016/j.jns.2013.05.023; colosimo1995_fatigue, tellez2005_fatigue",
        ),
        _reported(
            "bdi2", "Beck depression inventory II", (0.0, 63.0, 1.0),
            _SECTION + "; Solaro 2016 doi:10.1371/journal.pone.0160261; tellez2005_fatigue",
        ),
        _visit(
            "eq5d", "EQ-5D-3L utility, UK values", "utility", (-0.594, 1.0, None),
            f"Normal, SD {v['eq5d_visit']} a visit; people of equal EDSS differ by SD "
            f"{(v['eq5d_fatigue'] ** 2 + v['eq5d_mood'] ** 2 + v['eq5d_own'] ** 2) ** 0.5:.3g}, lastingly.",
            "orme2007_utility doi:10.1111/j.1524-4733.2006.00144.x; hawton2016_utilities; kobelt2017_burden",
            ("eq5d_visit", "eq5d_fatigue", "eq5d_mood", "eq5d_own"),
        ),
        _reported(
            "sf36_pcs", "SF-36 physical component summary", (0.0, 100.0, None),
            "assumed; Nortvedt 2000 doi:10.1097/00005650-200010000-00006",
        ),
        _reported(
            "sf36_mcs", "SF-36 mental component summary", (0.0, 100.0, None),
            "assumed; Nortvedt 2000 doi:10.1097/00005650-200010000-00006",
        ),
        _reported(
            "msis29_physical", "MS impact scale 29, physical", (0.0, 100.0, 1.25),
            "assumed; Hobart 2001 doi:10.1093/brain/124.5.962; Hoogervorst 2004 Mult Scler 10:569",
        ),
        _reported(
            "msis29_psychological", "MS impact scale 29, psychological", (0.0, 100.0, 100.0 / 36.0),
            "assumed; Hobart 2001 doi:10.1093/brain/124.5.962; Hoogervorst 2004 Mult Scler 10:569",
        ),
        _visit(
            "nfl_pg_ml", "Serum neurofilament light", "pg/ml", (0.0, _INF, None),
            f"Log-normal, SD {v['fluid_nfl_sd_log']} of the log; between people in the disease model.",
            _SECTION + "; benkert2022_snfl; " + _ALS_SECTION, ("fluid_nfl_sd_log",), diseases=tuple(DISEASES),
        ),
        _visit(
            "gfap_pg_ml", "Serum glial fibrillary acidic protein", "pg/ml", (0.0, _INF, None),
            f"Log-normal, SD {v['gfap_sd_log']} of the log; between people by the root of their NfL factor.",
            _SECTION + "; thebault2020_nfl_gfap", ("gfap_sd_log",),
        ),
        _count("neutrophils_1e9_per_l", "Neutrophils", "1e9/l"),
        _count("cd4_naive_per_ul", "Naive CD4 T cells", "1/ul"),
        _count("cd4_memory_per_ul", "Memory CD4 T cells", "1/ul"),
        _count("cd8_per_ul", "CD8 T cells", "1/ul"),
        _count("b_cells_per_ul", "B cells", "1/ul"),
        _count("nk_per_ul", "NK cells", "1/ul"),
        _count("trec_per_ug_dna", "T-cell receptor excision circles (TREC)", "1/ug DNA"),
        _count("tcr_clones_1e3", "Distinct T-cell receptor beta clones", "1e3"),
        _scan(
            "gd_lesions", "Gadolinium-enhancing lesions", "1", (0.0, _INF, 1.0),
            "Binomial: each lesion is hidden with the masking probability of the drug.", _SECTION, (),
        ),
        _scan(
            "new_t2_lesions", "New or enlarging T2 lesions since the previous scan", "1", (0.0, _INF, 1.0),
            "None beyond the chance that a lesion is counted at all, which is part of the disease model.", _SECTION, (),
        ),
        _scan(
            "t2_volume_ml", "T2 lesion volume", "ml", (0.0, _INF, None),
            f"Log-normal, SD {v['mri_t2_volume_sd_log']} of the log.", _SECTION, ("mri_t2_volume_sd_log",),
        ),
        _scan(
            "brain_volume_change_pct", "Brain volume change since the baseline scan", "%", (-100.0, 100.0, None),
            f"Normal, SD {v['mri_brain_volume_sd_pct']} % for one pair of scans.", _SECTION,
            ("mri_brain_volume_sd_pct",),
        ),
        _scan(
            "lesion_mtr_pct", "Magnetisation transfer ratio of lesions, of that of normal-appearing white matter", "%",
            (0.0, 100.0, None), f"Normal, SD {v['mtr_sd']:g} %; NaN where there is no lesion.",
            _SECTION + "; Schmierer 2004 doi:10.1002/ana.20202; brown2021_ccmr1", ("mtr_sd",), True,
        ),
        _scan(
            "lesion_mwf_pct", "Myelin water fraction of lesions", "%", (0.0, 100.0, None),
            f"Normal, SD {v['mwf_sd']} %; between people SD {v['mwf_person_sd']:g}; NaN where there is no lesion.",
            "assumed; Vavasour 2025 doi:10.1177/13524585251316519", ("mwf_sd", "mwf_person_sd"), True,
        ),
        _scan(
            "slowly_expanding_lesions", "Slowly expanding lesions", "1", (0.0, _INF, 1.0),
            f"Poisson by chronic active volume; {v['sel_share_visit']:.0%} of the variance is new at each scan.",
            "assumed; elliott2019_sel doi:10.1177/1352458518814117; preziosa2022_sel, absinta2019_prl",
            ("sel_per_ml", "sel_share_visit"), True,
        ),
    )  # fmt: skip


def _als() -> tuple[Instrument, ...]:
    """Rows of ALS alone."""
    v = declared()
    rater = tuple(name for name in parameter_entries() if name.startswith("alsfrs_"))
    each = (
        f"Latent error of each item SD {v['alsfrs_item_sd']:g} and of the visit {v['alsfrs_visit_sd']:g}, form lasting "
        f"weeks SD {v['alsfrs_form_sd']:g}, correlation time {v['alsfrs_form_tau_days']:.0f} d; between people "
        f"SD {v['alsfrs_trait_sd']:g}; none where function is whole or gone."
    )
    scale = "Cedarbaum 1999 doi:10.1016/S0022-510X(99)00210-5; " + _ALS_SECTION
    reliable = scale + "; kaufmann2007_reliability"
    force = (
        f"Log-normal, SD {v['hhd_sd_log']:g} of the log a visit, {v['hhd_shared']:.0%} of its variance common to arms "
        f"and legs; between healthy people SD {v['hhd_person_sd_log']:g}."
    )
    hhd = "bakers2020_dynamometry; between people " + _ALS_SECTION
    blow = (
        f"Normal, SD {v['vital_capacity_sd_pct']:g} a visit, {v['vital_capacity_shared']:.0%} of its variance common "
        "to slow and forced"
    )
    vital = ("vital_capacity_sd_pct", "vital_capacity_shared")
    support = "As the other items where support leaves room: 4 without ventilation, 3 to 1 by its hours, 0 for good."
    stage = "None of its own: read off the items as rated."
    reporter = sum(v[f"alsaq40.{k}"] ** 2 for k in ("fatigue", "mood", "own")) ** 0.5
    return (
        _rated("alsfrs_r", "ALSFRS-R", "points", (0.0, 48.0), each, reliable, rater),
        *(
            _rated(
                f"alsfrs_r_{d}", f"ALSFRS-R, {d.replace('_', ' ')} items", "points", (0.0, 12.0), "See ALSFRS-R.",
                reliable, rater,
            )
            for d in ("bulbar", "fine_motor", "gross_motor", "respiratory")
        ),
        *(
            _rated(
                name, f"{name.replace('_', ' ').capitalize()} (item of the ALSFRS-R)", "points", (0.0, 4.0),
                support if name == "respiratory_insufficiency" else "See ALSFRS-R.", scale, rater,
            )
            for name in ALSFRS_ITEMS
        ),
        _rated(
            "kings_stage", "King's clinical stage", "stage", (1.0, 4.0), stage,
            "Roche 2012 doi:10.1093/brain/awr351; Balendra 2014 pmid 24720420; roche2012_kings, balendra2014_kings", (),
        ),
        _rated("mitos_stage", "MiToS stage", "stage", (0.0, 4.0), stage, "chio2015_mitos", ()),
        _visit(
            "svc_pct", "Slow vital capacity", "% of predicted", (0.0, 200.0, None), blow + ".", _ALS_SECTION, vital,
            diseases=("als",),
        ),
        _visit(
            "fvc_pct", "Forced vital capacity", "% of predicted", (0.0, 200.0, None),
            f"{blow}; between people of equal SVC SD {v['fvc_person_sd_pct']:g}.", "assumed; SVC as " + _ALS_SECTION,
            (*vital, "fvc_bulbar", "fvc_person_sd_pct"), diseases=("als",),
        ),
        *(
            _visit(
                f"hhd_{part}pct", f"Hand-held dynamometry, {text}", "% of normal", (0.0, 200.0, None), force, hhd,
                ("hhd_sd_log", "hhd_shared", "hhd_person_sd_log"), diseases=("als",),
            )
            for part, text in (("arm_", "arms"), ("leg_", "legs"), ("", "mean of arms and legs"))
        ),
        _visit(
            "alsaq40", "ALS assessment questionnaire 40", "points", (0.0, 100.0, 0.625),
            f"Normal, SD {v['alsaq40.visit']:g} a visit; people of equal function differ by SD {reporter:.3g}.",
            "assumed; Jenkinson 1999 Eur J Neurol 6:479", ("alsaq40", "alsaq40_items"), diseases=("als",),
        ),
        _visit(
            "weight_pct", "Body weight, of that before the disease", "%", (0.0, 200.0, None),
            f"Log-normal, SD {v['weight_sd_log']:g} of the log a visit.", "assumed", ("weight_sd_log",),
            diseases=("als",),
        ),
    )  # fmt: skip
