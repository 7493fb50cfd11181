"""What a fit would have said without some of its data: every cohort left out in turn, and open series left out at once.

No trial is simulated again. Posterior and emulator of a fitted block are taken for normal and linear near the posterior
mean, so that the information of some data can be taken out of the posterior (:func:`.emulator.leave_out`). That is good
while what is left out moves the posterior by a few standard deviations, and rough where one cohort is all that a
parameter has learnt from: then the prior is what remains, which no direction may exceed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from stemtrial.calibrate.datum import Datum, Floats, from_scale
from stemtrial.calibrate.emulator import leave_out, left_out_values
from stemtrial.calibrate.fit import Fitted
from stemtrial.predict.metrics import cluster_interval, crps, on_scoring_scale, pit, pit_uniformity, tie_breaker

JUDGED = 15
"""Cohorts below which coverage is reported and not judged (``docs/design/model_review.md``, *Likelihood and score*)."""
SMALL = 30
"""Patients below which a series is small (the same)."""


@dataclass(frozen=True)
class Forecast:
    """A published number against a predictive distribution that had not seen it, in the unit of publication.

    Attributes
    ----------
    outcome_id, cohort, lane, statistic : str
        Which number.
    published, median : float
        The number, and the middle of the forecast.
    low_50, high_50, low_90, high_90 : float
        Central intervals.
    pit : float
        Randomised for ties, 0 to 1: uniform over outcomes if the forecasts are right.
    crps : float
        Smaller is better; ratios on the log scale (:func:`stemtrial.predict.metrics.scoring_scale`).
    """

    outcome_id: str
    cohort: str
    lane: str
    statistic: str
    published: float
    median: float
    low_50: float
    high_50: float
    low_90: float
    high_90: float
    pit: float
    crps: float

    def inside(self, level: float) -> bool:
        """Whether the central interval of a level holds the number; by the PIT, so that ties count by chance."""
        return bool(abs(self.pit - 0.5) < level / 2.0)


@dataclass(frozen=True)
class Shift:
    """How one parameter would have come out with fewer data.

    Attributes
    ----------
    parameter : str
        Its name.
    shift : float
        Mean without less mean with the data, in standard deviations of the posterior with them, on the normal scale
        of its prior.
    ratio : float
        Standard deviation without over with the data.
    """

    parameter: str
    shift: float
    ratio: float


@dataclass(frozen=True)
class Refit:
    """A posterior without some data.

    Attributes
    ----------
    title : str
        Which were left out, in words.
    studies : tuple of str
        Whose they are; empty where the block has none of the kind.
    outcomes : int
        How many published numbers they are.
    shifts : list of Shift
        The largest first; empty where nothing was left out.
    """

    title: str
    studies: tuple[str, ...]
    outcomes: int
    shifts: list[Shift]


def noise_with_lack(fitted: Fitted, sizes: Floats | None = None) -> Floats:
    """Return the covariance of a published number about the emulator's mean, shape (data, data).

    Sampling, effects of the trial, and what the emulator misses.

    Parameters
    ----------
    fitted : Fitted
        A block after its fit.
    sizes : ndarray, shape (effects,), optional
        SDs of the effects; the mode of their posterior when left out.
    """
    return fitted.emulator.total_noise(fitted.sds.mode if sizes is None else sizes, lack=True)


def as_published(datum: Datum, x: ArrayLike) -> Floats:
    """Return numbers from the scale of a datum in the unit of publication; counted events as whole numbers of them."""
    y, step = from_scale(datum, x), _step(datum)
    return np.asarray(np.round(y / step) * step if step else y, np.float64)


def _step(d: Datum) -> float:
    """What one event more adds to the published number; 0 where it is no count."""
    if d.kind == "binomial":
        return 1.0 if d.counted else 1.0 / round(d.n)
    return 1.0 / d.exposure if d.kind == "negative_binomial" else 0.0


def forecast(datum: Datum, x: ArrayLike) -> Forecast:
    """Hold a published number against draws of its predictive distribution.

    Parameters
    ----------
    datum : Datum
        The number.
    x : (draws,) array
        Draws on its scale, sampling and effects of the trial included.
    """
    values = as_published(datum, x)
    ends = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95]).tolist()
    # A printed share is the count nearest to it.
    half = max(datum.half_width, 0.499 * _step(datum))
    place = pit(values, datum.value, tie_breaker(datum.outcome_id), half)
    score = crps(on_scoring_scale(datum.statistic, values), float(on_scoring_scale(datum.statistic, datum.value)))
    return Forecast(
        datum.outcome_id, datum.cohort, datum.lane, datum.statistic, datum.value, ends[2], ends[1], ends[3], ends[0],
        ends[4], place, score,
    )  # fmt: skip


def leave_one_out(fitted: Fitted, seed: int = 1, widen: float = 1.0) -> list[Forecast]:
    """Predict the data of every cohort from the posterior without that cohort.

    Parameters
    ----------
    fitted : Fitted
        A block after its fit.
    seed : int
        For the noise of the predictions.
    widen : float
        Factor on the SDs of the effects of the trial, which are the root mean squares of their posteriors.

    Returns
    -------
    list of Forecast
        One a datum, in the order of ``fitted.data``. All trials of a cohort are left out together, since they share
        patients.
    """
    cohorts = [d.cohort for d in fitted.data]
    sizes = widen * np.sqrt((fitted.sds.draws**2).mean(axis=0))
    R, y = noise_with_lack(fitted, sizes), fitted.published
    found: dict[int, Forecast] = {}
    for k, cohort in enumerate(dict.fromkeys(cohorts)):
        rng = np.random.default_rng([seed, k])
        z = leave_out(fitted.emulator, fitted.z, y, R, cohorts, cohort)
        values = left_out_values(fitted.emulator, z, R, cohorts, cohort, rng)
        rows = [i for i, c in enumerate(cohorts) if c == cohort]
        found |= {i: forecast(fitted.data[i], values[:, n]) for n, i in enumerate(rows)}
    return [found[i] for i in range(len(cohorts))]


def by_lane(forecasts: Sequence[Forecast]) -> list[dict[str, Any]]:
    """Summarise forecasts by lane, each cohort counting once.

    Parameters
    ----------
    forecasts : sequence of Forecast
        Of one block or several.

    Returns
    -------
    list of dict
        ``lane, cohorts, outcomes``; ``coverage_50, coverage_90`` with ``ci90_50, ci90_90`` by resampling cohorts (None
        below two cohorts); ``pit`` (:func:`stemtrial.predict.metrics.pit_uniformity`); ``judged``: whether there are
        :data:`JUDGED` cohorts or more; ``holds``: whether both intervals hold what they claim, None where not judged.
    """
    out = []
    for lane in dict.fromkeys(f.lane for f in forecasts):
        mine = [f for f in forecasts if f.lane == lane]
        cohorts = list(dict.fromkeys(f.cohort for f in mine))
        row: dict[str, Any] = {"lane": lane, "cohorts": len(cohorts), "outcomes": len(mine)}
        holds = True
        for level in (0.5, 0.9):
            share = [float(np.mean([f.inside(level) for f in mine if f.cohort == c])) for c in cohorts]
            ends = cluster_interval(share, 0.9)
            row |= {f"coverage_{level:.0%}".rstrip("%"): float(np.mean(share)), f"ci90_{level:.0%}".rstrip("%"): ends}
            holds = holds and ends is not None and ends[0] <= level <= ends[1]
        row["pit"] = pit_uniformity([f.pit for f in mine], [f.cohort for f in mine])
        row["judged"] = len(cohorts) >= JUDGED
        out.append(row | {"holds": holds if row["judged"] else None})
    return out


def _open_series(d: Datum) -> bool:
    return bool(d.protocol) and not d.randomised


def _small_studies(data: Sequence[Datum]) -> set[str]:
    most: dict[str, float] = {}
    for d in data:
        if _open_series(d):
            most[d.study] = max(most.get(d.study, 0.0), d.n)
    return {study for study, n in most.items() if n < SMALL}


def _which(data: Sequence[Datum]) -> Mapping[str, Callable[[Datum], bool]]:
    small = _small_studies(data)
    return {
        "without any single-arm series": _open_series,
        f"without single-arm series of fewer than {SMALL} patients": lambda d: _open_series(d) and d.study in small,
    }


def without_series(fitted: Fitted) -> list[Refit]:
    """Say what the posterior would have been without single-arm series, and without small ones.

    Parameters
    ----------
    fitted : Fitted
        A block after its fit.
    """
    out = []
    for title, wanted in _which(fitted.data).items():
        gone = [wanted(d) for d in fitted.data]
        studies = tuple(dict.fromkeys(d.study for d, g in zip(fitted.data, gone, strict=True) if g))
        out.append(Refit(title, studies, sum(gone), shifts(fitted, gone) if any(gone) else []))
    return out


def shifts(fitted: Fitted, gone: Sequence[bool]) -> list[Shift]:
    """Say how every parameter would have come out without some data.

    Parameters
    ----------
    fitted : Fitted
        A block after its fit.
    gone : sequence of bool, one a datum
        Which data are left out; at least one. Data of one trial share noise: leave out all of it or none.
    """
    labels: list[Hashable] = [("out",) if g else group for g, group in zip(gone, fitted.groups, strict=True)]
    z = leave_out(fitted.emulator, fitted.z, fitted.published, noise_with_lack(fitted), labels, ("out",))
    sd = fitted.z.std(axis=0, ddof=1)
    moved = (z.mean(axis=0) - fitted.z.mean(axis=0)) / sd
    ratio = z.std(axis=0, ddof=1) / sd
    found = zip(fitted.block.names, moved.tolist(), ratio.tolist(), strict=True)
    return sorted((Shift(*row) for row in found), key=lambda s: -abs(s.shift))
