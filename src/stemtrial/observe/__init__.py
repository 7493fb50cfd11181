"""Instruments: true state to what a trial sees, with rater and assay noise."""

from stemtrial.observe.edss import (
    FS_MAX,
    FS_NAMES,
    N_NORMALS,
    NEVER,
    Deficits,
    EdssRater,
    PatientWeights,
    RaterState,
    Rating,
    edss_from_fs,
    functional_systems,
    rate_edss,
    true_edss,
)
from stemtrial.observe.fluid import nfl
from stemtrial.observe.function import nine_hole_peg, sdmt, t25fw
from stemtrial.observe.instruments import Instrument, instruments
from stemtrial.observe.mri import brain_volume_change, new_t2_lesions, scan, t2_volume, visible_gd
from stemtrial.observe.parameters import (
    EdssParameters,
    FluidParameters,
    FunctionParameters,
    MriParameters,
    load,
    parameter_entries,
)
from stemtrial.observe.visit import View, measure

__all__ = [
    "FS_MAX",
    "FS_NAMES",
    "NEVER",
    "N_NORMALS",
    "Deficits",
    "EdssParameters",
    "EdssRater",
    "FluidParameters",
    "FunctionParameters",
    "Instrument",
    "MriParameters",
    "PatientWeights",
    "RaterState",
    "Rating",
    "View",
    "brain_volume_change",
    "edss_from_fs",
    "functional_systems",
    "instruments",
    "load",
    "measure",
    "new_t2_lesions",
    "nfl",
    "nine_hole_peg",
    "parameter_entries",
    "rate_edss",
    "scan",
    "sdmt",
    "t2_volume",
    "t25fw",
    "true_edss",
    "visible_gd",
]
