"""Published studies, claims and registered trials as typed data, and what they say together."""

from stemtrial.evidence.effects import Effect, effect_of
from stemtrial.evidence.forest import Forest, ForestRow, Panel, Pooled, forest
from stemtrial.evidence.load import claims, read_study, registered_trials, roles, studies, study
from stemtrial.evidence.meta_analysis import MetaAnalysis, random_effects
from stemtrial.evidence.printed import half_unit
from stemtrial.evidence.schema import Arm, Baseline, Claim, Outcome, Study, Target, Trial
from stemtrial.evidence.vocabulary import Term, term, term_of, terms

__all__ = [
    "Arm",
    "Baseline",
    "Claim",
    "Effect",
    "Forest",
    "ForestRow",
    "MetaAnalysis",
    "Outcome",
    "Panel",
    "Pooled",
    "Study",
    "Target",
    "Term",
    "Trial",
    "claims",
    "effect_of",
    "forest",
    "half_unit",
    "random_effects",
    "read_study",
    "registered_trials",
    "roles",
    "studies",
    "study",
    "term",
    "term_of",
    "terms",
]
