"""What holds for a whole trial and nobody knows: which hypothesis is true, who its people are, how its centres measure.

One draw a replicate, from named streams under the seed of the trial: a replicate has the same effects alone and among
many, and an effect more shifts no other. The same holds for all arms, so that contrasts are hardly touched and the
outcomes of one trial move together. The science is in docs/design/model_review.md, items 11 and 13 and *Likelihood and
score*, item 1.

Effects by name (:data:`EFFECTS`) are ``trial.effect_sd.<disease>.<name>`` times a standard normal: a log where not said
otherwise, 0 in the middle. Those of :data:`CONSTANTS` multiply a constant of every patient from entry on: people were
found and screened before by what they were then, and the run-in is not selected again, so that a trial of active people
starts with the lesions of average ones. All others are of those who look:

- ``reading``: how many enhancing and new T2 lesions a reading centre counts (:func:`stemtrial.observe.mri.read_by`);
- ``atrophy``: measured change of brain volume, before the error of the scan;
- ``assay``: level of neurofilament that the laboratory reads;
- ``rater``: SD of what raters err by (EDSS: all of it; ALSFRS-R: items and visit, not the form of the patient);
- ``harm``: how readily adverse events are recorded, in logits (:func:`stemtrial.therapy.family.recorded`);
- ``conditioning``: log10 of what the centres of a transplant kill of clones beyond others
  (:attr:`stemtrial.therapy.family.Family.effects`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stemtrial.kernel import normals, uniforms
from stemtrial.therapy.prescribe import FAMILIES

Floats = NDArray[np.float64]
CONSTANTS: Mapping[str, Mapping[str, str]] = {
    "ms": {"activity": "alpha", "progression": "m", "reporting": "ascertainment"},
    "als": {"pace": "rate", "hazard": "frailty"},
}
"""By disease, effects that multiply a constant of the patients, and which."""
EFFECTS: Mapping[str, tuple[str, ...]] = {
    "ms": (*CONSTANTS["ms"], "reading", "atrophy", "assay", "rater", "harm"),
    "als": (*CONSTANTS["als"], "rater", "assay", "harm"),
}
"""By disease, what every trial draws; families may ask for more."""


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
    named : dict of str to ndarray, shape (replicates,)
        Effects by name, 0 in the middle: :data:`EFFECTS` of the disease, and those of the families given.
    """

    optimistic: dict[str, Floats]
    centre: Floats
    rating_bias: Floats
    named: dict[str, Floats] = field(default_factory=dict)

    def drawn(self, rater_open: bool) -> dict[str, Floats]:
        """Those that a trial draws, by name: ``optimistic.<family>``, ``centre``, ``rating_bias``, and ``named``."""
        out = {f"optimistic.{f}": x for f, x in self.optimistic.items()}
        if self.optimistic:
            out["centre"] = self.centre
        return out | ({"rating_bias": self.rating_bias} if rater_open else {}) | self.named

    def shift(self, name: str, trial: NDArray[np.int64]) -> Floats:
        """Effect of each patient's trial; 0 where none is drawn."""
        return self.named[name][trial] if name in self.named else np.zeros(len(trial))

    def factor(self, name: str, trial: NDArray[np.int64]) -> Floats:
        """Factor of each patient's trial, of an effect that is a log; exactly 1 where there is none."""
        return np.exp(self.shift(name, trial))

    def on_constants(
        self, disease: str, constants: Mapping[str, Floats], trial: NDArray[np.int64]
    ) -> dict[str, Floats]:
        """Return the constants of the patients as they are from entry on (:data:`CONSTANTS`)."""
        moved = {c: constants[c] * self.factor(name, trial) for name, c in CONSTANTS[disease].items()}
        return {**constants, **moved}

    def of(self, family: str, trial: NDArray[np.int64]) -> dict[str, Floats]:
        """Facts that prescribers of a family get: ``optimistic``, ``centre``, and the effects that it asks for.

        Parameters
        ----------
        family : str
            Name of the family.
        trial : ndarray of int64, shape (patients,)
            Position of each patient's replicate.
        """
        asked = {e for names in FAMILIES[family].effects.values() for e in names}
        out = {e: x[trial] for e, x in self.named.items() if e in asked}
        if family not in self.optimistic:
            return {"optimistic": np.zeros(len(trial)), "centre": np.ones(len(trial))} | out
        return {"optimistic": self.optimistic[family][trial], "centre": self.centre[trial]} | out


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
        One draw; reads ``trial.centre_sd``, ``trial.rating_bias.<disease>``, ``trial.rating_bias_sd.<disease>``,
        ``trial.effect_sd.<disease>.*``, of which 0 switches an effect off, and the weight of each hypothesis, of which
        0 and 1 force it.
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
    asked = (e for f in sorted(families) for e in FAMILIES[f].effects.get(disease, ()))
    named = {
        name: parameters[f"trial.effect_sd.{disease}.{name}"] * normals(seed, which, 0, f"trial.effect.{name}")[:, 0]
        for name in dict.fromkeys((*EFFECTS[disease], *asked))
    }
    return TrialEffects(optimistic, centre, bias, named)
