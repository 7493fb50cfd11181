"""Instruments: true state to what a trial sees, with rater and assay noise."""

from stemtrial.observe.edss import (
    FS_MAX,
    FS_NAMES,
    N_NORMALS,
    N_SLOW,
    Deficits,
    EdssRater,
    PatientWeights,
    Rating,
    edss_from_fs,
    functional_systems,
    rate_edss,
    true_edss,
)
from stemtrial.observe.examination import PYRAMIDAL, SCALES, Examination, deficits, examination, weights
from stemtrial.observe.fluid import gfap, nfl
from stemtrial.observe.function import nine_hole_peg, sdmt, t25fw
from stemtrial.observe.instruments import Instrument, instruments
from stemtrial.observe.lesions import lesion_mtr, lesion_mwf, slowly_expanding_lesions
from stemtrial.observe.mri import brain_volume_change, new_t2_lesions, scan, scan_done, t2_volume, visible_gd
from stemtrial.observe.parameters import (
    EdssParameters,
    FluidParameters,
    FunctionParameters,
    MriParameters,
    QuestionnaireParameters,
    VisionParameters,
    load,
    parameter_entries,
)
from stemtrial.observe.rater import NEVER, RaterState
from stemtrial.observe.relapse import SEVERITIES, relapse_recovery, relapse_severity
from stemtrial.observe.reported import Person, burden, eq5d, questionnaire
from stemtrial.observe.vision import low_contrast_acuity, vep_p100, visual_acuity
from stemtrial.observe.visit import View, measure

__all__ = [
    "FS_MAX",
    "FS_NAMES",
    "NEVER",
    "N_NORMALS",
    "N_SLOW",
    "PYRAMIDAL",
    "SCALES",
    "SEVERITIES",
    "Deficits",
    "EdssParameters",
    "EdssRater",
    "Examination",
    "FluidParameters",
    "FunctionParameters",
    "Instrument",
    "MriParameters",
    "PatientWeights",
    "Person",
    "QuestionnaireParameters",
    "RaterState",
    "Rating",
    "View",
    "VisionParameters",
    "brain_volume_change",
    "burden",
    "deficits",
    "edss_from_fs",
    "eq5d",
    "examination",
    "functional_systems",
    "gfap",
    "instruments",
    "lesion_mtr",
    "lesion_mwf",
    "load",
    "low_contrast_acuity",
    "measure",
    "new_t2_lesions",
    "nfl",
    "nine_hole_peg",
    "parameter_entries",
    "questionnaire",
    "rate_edss",
    "relapse_recovery",
    "relapse_severity",
    "scan",
    "scan_done",
    "sdmt",
    "slowly_expanding_lesions",
    "t2_volume",
    "t25fw",
    "true_edss",
    "vep_p100",
    "visible_gd",
    "visual_acuity",
    "weights",
]
