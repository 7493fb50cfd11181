"""Estimators: pure functions of arrays of shape (replicates, patients); one call analyses every replicate of a trial.

What is measured at visits (slopes, ranks over visits) is of shape (replicates, patients, visits), NaN where there was
no visit; long tables are scattered into it at once, ``values[row of patient, number of visit] = column``.

All take ``include``, a mask of the analysis set, and give one estimate for each replicate. What they do where a
replicate cannot be estimated is told once, in :class:`Estimate`.
"""

from stemtrial.analysis.joint import JointComparison, JointSlope, joint_slope, joint_slope_difference
from stemtrial.analysis.means import (
    ancova,
    dispersion,
    geometric_mean,
    geometric_mean_ratio,
    mean,
    mean_difference,
    mean_ratio,
    median,
)
from stemtrial.analysis.proportions import odds_ratio, proportion, risk_difference, risk_ratio
from stemtrial.analysis.ranks import RankComparison, cafs
from stemtrial.analysis.rates import Rate, RateComparison, annualised_rate, negative_binomial
from stemtrial.analysis.result import Estimate, Status
from stemtrial.analysis.slopes import Slope, SlopeComparison, random_slope, random_slope_difference
from stemtrial.analysis.survival import KaplanMeier, LogRank, cox, kaplan_meier, logrank, median_time

__all__ = [
    "Estimate",
    "JointComparison",
    "JointSlope",
    "KaplanMeier",
    "LogRank",
    "RankComparison",
    "Rate",
    "RateComparison",
    "Slope",
    "SlopeComparison",
    "Status",
    "ancova",
    "annualised_rate",
    "cafs",
    "cox",
    "dispersion",
    "geometric_mean",
    "geometric_mean_ratio",
    "joint_slope",
    "joint_slope_difference",
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
    "random_slope",
    "random_slope_difference",
    "risk_difference",
    "risk_ratio",
]
