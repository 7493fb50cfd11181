"""What holds for a whole trial and nobody knows: which hypothesis is true, how good the centre is, how raters lean.

One draw a replicate, from named streams under the seed of the trial: a replicate has the same effects alone and among
many, and an effect more shifts no other. The science is in docs/design/model_review.md, items 11 and 13.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stemtrial.kernel import normals, uniforms
from stemtrial.therapy.prescribe import FAMILIES

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TrialEffects:
    """Effects of the trials of one chunk, one number a replicate.

    Attributes
    ----------
    optimistic : dict of str to ndarray, shape (replicates,)
        By family whose action is a hypothesis: 1 where the optimistic one holds, else 0.
    centre : ndarray, shape (replicates,)
        Factor above 0 on the action of those families; 1 where none is given.
    rating_bias : ndarray, shape (replicates,)
        What an open rater adds to the findings of a patient who was just treated: of MS grades of the affected systems,
        of ALS the function behind each item; it fades with ``trial.rating_bias_days.<disease>``
        (:class:`stemtrial.trial.examine.Examiner`). 0 where raters are blind.
    """

    optimistic: dict[str, Floats]
    centre: Floats
    rating_bias: Floats

    def drawn(self, rater_open: bool) -> dict[str, Floats]:
        """Those that a trial draws, by name: ``optimistic.<family>``, ``centre``, ``rating_bias``."""
        out = {f"optimistic.{f}": x for f, x in self.optimistic.items()}
        if self.optimistic:
            out["centre"] = self.centre
        return out | ({"rating_bias": self.rating_bias} if rater_open else {})

    def of(self, family: str, trial: NDArray[np.int64]) -> dict[str, Floats]:
        """Facts ``optimistic`` and ``centre`` that prescribers of a family get.

        Parameters
        ----------
        family : str
            Name of the family.
        trial : ndarray of int64, shape (patients,)
            Position of each patient's replicate.
        """
        if family not in self.optimistic:
            return {"optimistic": np.zeros(len(trial)), "centre": np.ones(len(trial))}
        return {"optimistic": self.optimistic[family][trial], "centre": self.centre[trial]}


def trial_effects(
    disease: str, families: Collection[str], rater_open: bool, seed: int, replicates: NDArray[np.int64],
    parameters: Mapping[str, float],
) -> TrialEffects:  # fmt: skip
    """Draw the effects of some replicates.

    Parameters
    ----------
    disease : str
        Disease of its patients.
    families : collection of str
        Families that the trial may give.
    rater_open : bool
        Whether raters know the treatment.
    seed : int
        Key of the trial's random numbers.
    replicates : ndarray of int64
        Which replicates.
    parameters : mapping
        One draw; reads ``trial.centre_sd``, ``trial.rating_bias.<disease>``, ``trial.rating_bias_sd.<disease>`` and
        the weight of each hypothesis, of which 0 and 1 force it.
    """
    which = np.asarray(replicates, np.uint64) << np.uint64(32)
    n = len(which)
    weights = {f: h for f in sorted(families) if (h := FAMILIES[f].hypothesis.get(disease)) is not None}
    optimistic = {
        f: (uniforms(seed, which, 0, f"trial.optimistic.{f}")[:, 0] < parameters[w]).astype(float)
        for f, w in weights.items()
    }
    centre, bias = np.ones(n), np.zeros(n)
    if weights:
        centre = np.exp(parameters["trial.centre_sd"] * normals(seed, which, 0, "trial.centre")[:, 0])
    if rater_open:
        z = normals(seed, which, 0, "trial.rating_bias")[:, 0]
        bias = parameters[f"trial.rating_bias.{disease}"] + parameters[f"trial.rating_bias_sd.{disease}"] * z
    return TrialEffects(optimistic, centre, bias)
