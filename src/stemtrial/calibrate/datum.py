"""One published number as the fit reads it, and the scale on which it meets the simulation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

Floats = NDArray[np.float64]
Kind = Literal["binomial", "negative_binomial", "normal", "lognormal", "logitnormal"]
Scale = Literal["logit", "log", "identity"]


@dataclass(frozen=True)
class Datum:
    """A published outcome, and what its likelihood needs.

    Attributes
    ----------
    outcome_id, study, cohort, disease : str
        Where it comes from; ``cohort`` is the study where the record names none. Studies of a cohort share patients.
    protocol, quantity : str
        Packaged protocol that predicts it, or the quantity of natural history; the other is empty.
    lane : str
        ``MS drugs``, ``aHSCT``, ``MSC/NSC``, ``ALS`` or ``natural history``.
    family, term : str
        Family and term of its endpoint in the vocabulary.
    domain : str
        What it is about: ``relapse, mri, atrophy, disability, composite`` (no evidence of disease activity and other
        unions of relapses, scans and disability), ``nfl, biomarker, function, survival, harm``.
    therapies : tuple of str
        Therapies given in the arms that it concerns, and their families, of the catalogue; of a contrast those of both
        arms.
    endpoint, estimator, statistic, unit : str
        As the row that predicts it (:class:`stemtrial.predict.rows.Row`); of natural history the estimator's name.
    arms : tuple of str
        Arms of the protocol, or the group of the registry.
    control : bool
        Whether it is of the control arm of a randomised trial.
    randomised : bool
        Whether it comes from a randomised trial.
    time_years : float or None
        Since randomisation or onset; None for the whole of the follow-up.
    primary : bool
        Whether the study calls it primary.
    kind : str
        Likelihood: ``binomial`` (k of n), ``negative_binomial`` (events in an exposure), and ``normal``,
        ``lognormal``, ``logitnormal`` (normal on ``scale`` with ``se``).
    scale : {"logit", "log", "identity"}
        Scale of :func:`on_scale`.
    value : float
        As published, in the unit of the simulated number.
    n : float
        Patients; of a Kaplan-Meier probability the effective number.
    se : float or None
        Standard error on ``scale``; None where the likelihood is exact. It is read by ``log_likelihood`` alone: a trial
        that is simulated with the published number of patients carries this error already.
    half_width : float
        Half a unit of the last printed digit, 0 where the number is a count.
    spread : str
        Where ``se``, ``n`` or the dispersion comes from.
    counted : bool
        Whether the number is a count of patients, not a share.
    exposure : float
        Of a negative binomial: patient-years, patients or scans in which the events were counted; else 0.
    size : float
        Of a negative binomial: size of the total (mean + mean^2 / size is its variance); else 0.
    offset : float
        Added before the logarithm, so that no event has one: half an event over the exposure; else 0.
    limit : float
        Farthest from the published value on ``scale`` that a simulated number may lie: a hazard ratio of arms without
        events, or a time that is never reached, has no finite one.
    stated_by : str
        Free parameter whose source names this outcome; else empty.
    """

    outcome_id: str
    study: str
    cohort: str
    disease: str
    protocol: str
    quantity: str
    lane: str
    family: str
    term: str
    domain: str
    therapies: tuple[str, ...]
    endpoint: str
    estimator: str
    statistic: str
    unit: str
    arms: tuple[str, ...]
    control: bool
    randomised: bool
    time_years: float | None
    primary: bool
    kind: Kind
    scale: Scale
    value: float
    n: float
    se: float | None
    half_width: float
    spread: str
    counted: bool = False
    exposure: float = 0.0
    size: float = 0.0
    offset: float = 0.0
    limit: float = np.inf
    stated_by: str = ""

    @property
    def contrast(self) -> bool:
        """Whether it compares two arms."""
        return self.statistic in CONTRASTS and len(self.arms) == 2

    @property
    def share(self) -> float:
        """The published share, of what is one."""
        return self.value / self.n if self.counted else self.value


@dataclass(frozen=True)
class Left:
    """An outcome of a study of the fit that the fit does not read, and why."""

    outcome_id: str
    study: str
    reason: str


CONTRASTS = frozenset({"hazard_ratio", "rate_ratio", "odds_ratio", "risk_ratio", "difference"})
"""Statistics that compare two arms, where a number is of two arms."""


def on_scale(datum: Datum, x: ArrayLike) -> Floats:
    """Return published or simulated numbers on the scale of a datum.

    Shares: the logit of (k + 1/2) / (n + 1); rates and counts: the logarithm with half an event added; ratios and
    times: the logarithm; the others as they are. What is farther from the published value than ``datum.limit`` is set
    there (ratios of arms without events, times that are never reached); what could not be estimated stays NaN.

    Parameters
    ----------
    datum : Datum
        Whose scale.
    x : array_like
        In the unit of the published value; counts where ``datum.counted``.

    Returns
    -------
    ndarray
        Of the shape of ``x``.
    """
    y = _forward(datum, np.asarray(x, np.float64))
    if not np.isfinite(datum.limit):
        return y
    centre = float(_forward(datum, np.asarray(datum.value)))
    return np.asarray(np.clip(y, centre - datum.limit, centre + datum.limit), np.float64)


def _forward(datum: Datum, x: Floats) -> Floats:
    if datum.scale == "logit":
        share = np.clip(x / datum.n if datum.counted else x, 0.0, 1.0)
        return np.asarray(logit((share * datum.n + 0.5) / (datum.n + 1.0)), np.float64)
    if datum.scale == "log":
        with np.errstate(divide="ignore"):  # minus infinity is cut at the limit
            return np.asarray(np.log(np.maximum(x, 0.0) + datum.offset), np.float64)
    return x


def from_scale(datum: Datum, y: ArrayLike) -> Floats:
    """Return numbers from the scale of a datum to the unit of the published value; :func:`on_scale` undone.

    Shares stay inside 0..1 and events at 0 or more, whatever ``y``.
    """
    y = np.asarray(y, np.float64)
    if datum.scale == "logit":
        share = np.clip((expit(y) * (datum.n + 1.0) - 0.5) / datum.n, 0.0, 1.0)
        return np.asarray(share * datum.n if datum.counted else share, np.float64)
    if datum.scale == "log":
        return np.asarray(np.maximum(np.exp(y) - datum.offset, 0.0), np.float64)
    return y
