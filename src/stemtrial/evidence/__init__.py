"""Published studies, claims and registered trials as typed data, and what they say together."""

from stemtrial.evidence.load import claims, read_study, registered_trials, roles, studies, study
from stemtrial.evidence.schema import Arm, Baseline, Claim, Outcome, Study, Target, Trial

__all__ = [
    "Arm",
    "Baseline",
    "Claim",
    "Outcome",
    "Study",
    "Target",
    "Trial",
    "claims",
    "read_study",
    "registered_trials",
    "roles",
    "studies",
    "study",
]
