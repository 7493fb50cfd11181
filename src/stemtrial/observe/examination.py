"""What is rated of everybody at every visit, one examination a disease: what screening, trials and registers share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stemtrial.disease.ms import REGIONS
from stemtrial.errors import InputError, did_you_mean
from stemtrial.observe.alsfrs import DOMAINS, ITEMS, N_SLOW_ALSFRS, AlsfrsRater, sums, true_alsfrs
from stemtrial.observe.edss import N_SLOW, Deficits, EdssRater, PatientWeights, true_edss
from stemtrial.observe.parameters import AlsfrsParameters, EdssParameters, load
from stemtrial.observe.rater import RaterState

SCALES: Mapping[str, str] = {"ms": "edss", "als": "alsfrs_r"}
"""Rated column by which a disease is told."""
WORSE: Mapping[str, float] = {"ms": 1.0, "als": -1.0}
"""Sign of a change of that column for the worse."""
Columns = Mapping[str, NDArray[Any]]
Rated = dict[str, NDArray[Any]]
PYRAMIDAL = "pyramidal_fs"
"""Column of the pyramidal functional system as examined."""


class Examination(Protocol):
    """Rates one disease, under a named random stream.

    Attributes
    ----------
    stream : str
        Name of the random stream of trials.
    columns : tuple of str
        Columns of table ``visits`` that every visit has.
    processes : int
        Autocorrelated errors of a patient (:class:`stemtrial.observe.rater.RaterState`).
    """

    stream: str
    columns: tuple[str, ...]
    processes: int

    def rate(
        self, patient: NDArray[np.uint64], day: ArrayLike, observed: Columns, constants: Columns, state: RaterState,
        bias: ArrayLike = 0.0, spread: ArrayLike = 1.0,
    ) -> tuple[Rated, RaterState]:  # fmt: skip
        """Rate one visit of each row's patient.

        Parameters
        ----------
        patient : ndarray of uint64, shape (rows,)
            Identity (``replicate * 2**32 + index``).
        day : array_like of int
            Day of the visit.
        observed, constants : mapping of str to ndarray, shape (rows,)
            Observables of the kernel, and constants of the patients.
        state : RaterState
            Of the rows' patients.
        bias : array_like of float
            What an open rater adds, in the unit of the scale's latent function.
        spread : array_like of float
            Factor on the SD of what raters err by.

        Returns
        -------
        rated : dict of ndarray
            ``columns``, and what else instruments and endpoints may read of the examination.
        state : RaterState
            To carry on.
        """

    def true(self, observed: Columns, constants: Columns) -> Rated:
        """Return what a rater without error would find, by column of table ``truth_visits``."""


class MsExamination:
    """Rates the EDSS.

    Parameters
    ----------
    seed : int
        64-bit key.
    parameters : mapping of str to float
        Instrument parameters that replace the declared ones.
    stream : str
        Name of the random stream.
    """

    stream = "observe.edss"
    columns: tuple[str, ...] = ("edss",)
    processes = N_SLOW

    def __init__(self, seed: int, parameters: Mapping[str, float], stream: str = stream) -> None:
        self.parameters = load(EdssParameters, parameters)
        self.rater = EdssRater(seed, stream, self.parameters)

    def rate(
        self, patient: NDArray[np.uint64], day: ArrayLike, observed: Columns, constants: Columns, state: RaterState,
        bias: ArrayLike = 0.0, spread: ArrayLike = 1.0,
    ) -> tuple[Rated, RaterState]:  # fmt: skip
        """Rate EDSS and functional systems (``fs``, a column a system, and ``pyramidal_fs``); see the protocol."""
        rated = self.rater.rate(patient, day, deficits(observed), weights(constants), state, bias, spread)
        return {"edss": rated.edss, "fs": rated.fs, PYRAMIDAL: rated.fs[:, 0].astype(float)}, rated.state

    def true(self, observed: Columns, constants: Columns) -> Rated:
        """EDSS that an examiner without error would give."""
        return {"edss_true": true_edss(deficits(observed), weights(constants), self.parameters)}


class AlsExamination:
    """Rates the ALSFRS-R.

    Parameters
    ----------
    seed, parameters, stream
        As :class:`MsExamination`.
    """

    stream = "observe.alsfrs"
    columns: tuple[str, ...] = (*ITEMS, "alsfrs_r", *(f"alsfrs_r_{d}" for d in DOMAINS))
    processes = N_SLOW_ALSFRS

    def __init__(self, seed: int, parameters: Mapping[str, float], stream: str = stream) -> None:
        self.parameters = load(AlsfrsParameters, parameters)
        self.rater = AlsfrsRater(seed, stream, self.parameters)

    def rate(
        self, patient: NDArray[np.uint64], day: ArrayLike, observed: Columns, constants: Columns, state: RaterState,
        bias: ArrayLike = 0.0, spread: ArrayLike = 1.0,
    ) -> tuple[Rated, RaterState]:  # fmt: skip
        """Rate the items, their total and its domains; see the protocol."""
        rated = self.rater.rate(patient, day, observed, constants, state, bias, spread)
        return _scored(rated.items), rated.state

    def true(self, observed: Columns, constants: Columns) -> Rated:
        """Total and domains that a rater without error would give."""
        items = true_alsfrs(observed, constants, self.parameters)
        return {f"{k}_true": v for k, v in sums(items).items()}


def _scored(items: NDArray[Any]) -> Rated:
    return {name: items[:, k].astype(float) for k, name in enumerate(ITEMS)} | sums(items)


def deficits(observed: Columns, rows: Any = slice(None)) -> Deficits:
    """Regional deficits among the observables of a kernel."""
    return Deficits(*(np.clip(observed[f"f_{r}"][rows], 0.0, 1.0) for r in REGIONS))


def weights(constants: Columns, rows: Any = slice(None)) -> PatientWeights:
    """How a patient's deficits show, among the constants."""
    return PatientWeights(constants["w_it"][rows], constants["w_sc"][rows], constants["res"][rows])


_EXAMINATIONS: Mapping[str, type[MsExamination | AlsExamination]] = {"ms": MsExamination, "als": AlsExamination}


def examination(disease: str, seed: int, parameters: Mapping[str, float], stream: str | None = None) -> Examination:
    """Return the examination of a disease.

    Parameters
    ----------
    disease : str
        Name of the disease.
    seed, parameters, stream
        As :class:`MsExamination`; left out, the stream is that of trials.

    Raises
    ------
    InputError
        If the disease has none.
    """
    if disease not in _EXAMINATIONS:
        raise InputError(f"disease '{disease}' has no examination{did_you_mean(disease, _EXAMINATIONS)}")
    kind = _EXAMINATIONS[disease]
    return kind(seed, parameters, stream or kind.stream)


def rate_in_turn(
    doctor: Examination, patient: NDArray[np.uint64], row: NDArray[np.int64], visit: NDArray[np.int64],
    day: NDArray[np.int64], observed: Columns, constants: Columns,
) -> tuple[Rated, RaterState]:  # fmt: skip
    """Rate people at visits that are all known, one round after the other: a rater carries something to the next.

    Parameters
    ----------
    doctor : Examination
        Rates them, for the first time.
    patient : ndarray of uint64, shape (people,)
        Identities.
    row, visit, day : ndarray of int64, shape (visits,)
        Of each visit: whose (place in ``patient``), its number, by which a person's visits are ordered, and its day.
    observed : mapping of str to ndarray, shape (visits,)
        Observables of the kernel.
    constants : mapping of str to ndarray, shape (people,)
        Constants of the people.

    Returns
    -------
    rated : dict of ndarray, a row a visit
        As :meth:`Examination.rate`.
    state : RaterState
        Of the people, after their last visits.
    """
    held, out = RaterState.fresh(len(patient), doctor.processes), Rated()
    order = np.argsort(visit, kind="stable")
    for here in np.split(order, np.flatnonzero(np.diff(visit[order])) + 1):
        who = row[here]
        there, body = {k: v[here] for k, v in observed.items()}, {k: v[who] for k, v in constants.items()}
        rated, kept = doctor.rate(patient[who], day[here], there, body, held.take(who))
        held.put(who, kept)
        for column, values in rated.items():
            out.setdefault(column, np.empty((len(row), *values.shape[1:]), values.dtype))[here] = values
    return out, held
