"""Ranks of function and survival together: every patient is compared with every other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike
from scipy.special import ndtr
from scipy.stats import rankdata

from stemtrial.analysis import _inputs
from stemtrial.analysis._inputs import Bools, Floats, divide
from stemtrial.analysis.means import mean
from stemtrial.analysis.result import Estimate, t_interval
from stemtrial.errors import InputError

LOST = ("compare", "alive")


@dataclass(frozen=True)
class RankComparison:
    """Ranks of patients in two arms, and whether they differ.

    Attributes
    ----------
    rank : ndarray of float, shape (replicates, patients)
        1 (worst) to the number of patients ranked, ties sharing their mean; NaN outside the analysis set. To adjust for
        a baseline: ``ancova(nan_to_num(rank), baseline, treated, include)``.
    treated, control : Estimate
        Mean rank of each arm.
    probability : Estimate
        Probability that a patient of the treated arm does better than one of the control arm, ties counting half:
        1/2 + (difference of mean ranks) / N. Interval and p-value by Brunner and Munzel.
    p_value, z : ndarray of float, shape (replicates,)
        Wilcoxon's rank-sum test of the ranks (normal approximation, ties allowed for, no continuity correction);
        ``z`` is positive where the treated do better. NaN where all are tied or an arm is empty.

    """

    rank: Floats
    treated: Estimate
    control: Estimate
    probability: Estimate
    p_value: Floats
    z: Floats


@njit(error_model="numpy", nogil=True, cache=True)
def pair_scores(change: Any, time: Any, died: Any, include: Any, out: Any) -> None:
    """Sum of +1 for each patient who did worse and -1 for each who did better, per patient.

    ``change`` (replicates, patients, visits) is NaN where unseen and higher where better; ``time`` (replicates,
    patients) is that of death or, of those who have not ``died``, when they were last known to be alive.
    """
    replicates, patients, visits = change.shape
    for r in range(replicates):
        for i in range(patients):
            if not include[r, i]:
                continue
            for j in range(i):
                if not include[r, j]:
                    continue
                a, b = time[r, i], time[r, j]
                score = 0
                if died[r, i] and died[r, j]:
                    score = int(a > b) - int(a < b)
                elif died[r, i] and b >= a:
                    score = -1
                elif died[r, j] and a >= b:
                    score = 1
                else:
                    for v in range(visits - 1, -1, -1):
                        x, y = change[r, i, v], change[r, j, v]
                        if x == x and y == y:  # both were seen
                            if x > y:
                                score = 1
                            elif x < y:
                                score = -1
                            break
                out[r, i] += score
                out[r, j] -= score


def cafs(
    change: ArrayLike,
    time: ArrayLike,
    died: ArrayLike,
    treated: ArrayLike,
    include: ArrayLike | None = None,
    lost: str = "compare",
    higher_is_better: bool = True,
    level: float = 0.95,
) -> RankComparison:
    """Combined assessment of function and survival (CAFS), also known as joint rank: all pairs of patients compared.

    Of two patients who died the later death is better; of one who died and one known to be alive then, the one alive;
    of all others the better change at the last visit that both had. Patients of whom nothing can be compared are tied.

    Parameters
    ----------
    change : array_like, shape (replicates, patients, visits)
        Change of function from baseline at each planned visit, in their order; NaN where there was no visit. One visit
        alone is the joint rank at that time; none (0 visits) ranks survival alone.
    time : array_like, shape (replicates, patients)
        Time of death (or of death or permanent ventilation, as the trial defined it), else when a patient was last
        known to be alive; any unit.
    died : array_like of bool, shape (replicates, patients)
        True where ``time`` is that of a death.
    treated : array_like of bool, shape (replicates, patients)
        True for the treated arm.
    include : array_like of bool, shape (replicates, patients), optional
        False for patients outside the analysis set.
    lost : {'compare', 'alive'}
        What a patient last known to be alive before another's death counts as: survival then being unknown, ``compare``
        by function; or ``alive``, better than the dead. They agree where everybody's survival is known to the end.
    higher_is_better : bool
        Direction of ``change``.
    level : float
        Confidence level.

    Returns
    -------
    RankComparison
        Status 3 where an arm is empty.

    Raises
    ------
    InputError
        If axes or shapes differ, times are NaN, or changes are infinite.

    Notes
    -----
    Berry et al. 2013, doi:10.3109/21678421.2012.762930; Finkelstein and Schoenfeld 1999,
    doi:10.1002/(SICI)1097-0258(19990615)18:11<1341::AID-SIM129>3.0.CO;2-7. Scores of all pairs are summed for each
    patient and ranked. The interval of the probability is that of Brunner and Munzel 2000,
    doi:10.1002/(SICI)1521-4036(200001)42:1<17::AID-BIMJ17>3.0.CO;2-U. Where comparisons run in a circle (a over b, b
    over c, c over a, as different last common visits allow) ranks are those of the sums, and the probability is no
    longer exactly the share of pairs that the treated arm wins.

    """
    level = _inputs.level(level)
    _inputs.choice("lost", lost, LOST)
    x = np.asarray(change)
    if x.ndim != 3:
        raise InputError(f"change must have three axes (replicates, patients, visits), not {x.ndim}")
    x = np.ascontiguousarray(x, np.float64)
    mask = _inputs.analysis_set(include, x.shape[:2])
    if np.isinf(x[mask]).any():
        raise InputError("change holds infinite numbers; a visit that was not is NaN")
    arm, dead = (_inputs.flags(k, v, mask.shape) for k, v in (("treated", treated), ("died", died)))
    known = _inputs.numbers("time", time, mask)
    if lost == "alive":
        known = np.where(dead, known, np.inf)
    score = np.zeros(mask.shape)
    pair_scores(x if higher_is_better else -x, known, dead, mask, score)
    return _compare(score, arm, mask, level)


def _ranks(score: Floats, group: Bools) -> Floats:
    """Mid-ranks within a group of each replicate, NaN outside of it."""
    ranked: Floats = rankdata(np.where(group, score, np.nan), axis=1, nan_policy="omit")
    return ranked


def _compare(score: Floats, arm: Bools, mask: Bools, level: float) -> RankComparison:
    """Compare the ranks of scores between arms."""
    rank = _ranks(score, mask)
    sets = (arm & mask, ~arm & mask)
    n1, n0 = (s.sum(1).astype(np.float64) for s in sets)
    n = n1 + n0
    treated, control = (mean(np.where(s, rank, 0.0), s, level) for s in sets)
    some = (n1 > 0) & (n0 > 0)
    gap = np.where(some, treated.value - control.value, np.nan)
    # Brunner and Munzel: the share of the other arm that each patient beats, from ranks overall and within the arm
    placed = [np.where(s, rank - _ranks(score, s), 0.0) for s in sets]
    spread = [
        divide(np.where(s, (p - divide(p.sum(1), k)[:, None]) ** 2, 0.0).sum(1), k - 1)
        for s, p, k in zip(sets, placed, (n1, n0), strict=True)
    ]
    v1, v0 = divide(spread[0], n1 * n0**2), divide(spread[1], n0 * n1**2)
    df = divide((v1 + v0) ** 2, divide(v1**2, n1 - 1) + divide(v0**2, n0 - 1))
    excess = t_interval(divide(gap, n), np.sqrt(v1 + v0), np.where(np.isnan(df), 0.0, df), some, level)
    probability = Estimate(
        excess.value + 0.5, excess.lower + 0.5, excess.upper + 0.5, excess.se, excess.p_value, excess.status
    )
    squares = np.where(mask, (np.nan_to_num(rank) - (n[:, None] + 1) / 2) ** 2, 0.0).sum(1)
    sd = np.sqrt(np.where(some, divide(n1 * n0 * squares, n * (n - 1)), np.nan))
    z = divide(n1 * (treated.value - (n + 1) / 2), sd)
    return RankComparison(rank, treated, control, probability, 2 * ndtr(-np.abs(z)), z)
