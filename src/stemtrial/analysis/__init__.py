"""Estimators: pure functions of arrays of shape (replicates, patients); one call analyses every replicate of a trial.

All take ``include``, a mask of the analysis set, and give one estimate for each replicate. What they do where a
replicate cannot be estimated is told once, in :class:`Estimate`.
"""

from stemtrial.analysis.means import (
    ancova,
    geometric_mean,
    geometric_mean_ratio,
    mean,
    mean_difference,
    mean_ratio,
    median,
)
from stemtrial.analysis.proportions import odds_ratio, proportion, risk_difference, risk_ratio
from stemtrial.analysis.rates import Rate, RateComparison, annualised_rate, negative_binomial
from stemtrial.analysis.result import Estimate, Status
from stemtrial.analysis.survival import KaplanMeier, LogRank, cox, kaplan_meier, logrank, median_time

__all__ = [
    "Estimate",
    "KaplanMeier",
    "LogRank",
    "Rate",
    "RateComparison",
    "Status",
    "ancova",
    "annualised_rate",
    "cox",
    "geometric_mean",
    "geometric_mean_ratio",
    "kaplan_meier",
    "logrank",
    "mean",
    "mean_difference",
    "mean_ratio",
    "median",
    "median_time",
    "negative_binomial",
    "odds_ratio",
    "proportion",
    "risk_difference",
    "risk_ratio",
]
