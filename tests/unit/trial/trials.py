"""Trials as tests conduct them: a small protocol with one thing changed, and its tables with one number a patient."""

from __future__ import annotations

import numpy as np

from stemtrial.trial.conduct import conduct
from stemtrial.trial.protocol import Protocol

REPLICATES = 60
TERMINAL = ("completed", "dropped_out", "died")
OF_DISEASE = {
    "ms": {
        "population": {"course": "rrms", "care_before_entry": "platform_drugs", "eligibility": ["age_years >= 18"]},
        "endpoints": {"primary": {"id": "relapse_rate", "estimator": "rate"}},
    },
    "als": {
        "population": {"course": "als", "care_before_entry": "riluzole", "eligibility": ["age_years >= 18"]},
        "endpoints": {"primary": {"id": "overall_survival", "estimator": "proportion"}},
    },
}
"""What a protocol says of its disease, where a test says nothing."""


def rows(table, **where):
    keep = np.ones(len(table["replicate"]), bool)
    for k, v in where.items():
        keep &= table[k] == v
    return {k: v[keep] for k, v in table.items()}


class Run:
    """A conducted trial with one number for each patient of each replicate."""

    def __init__(self, protocol, recruits, kernel, p, seed=1, replicates=REPLICATES, truth=False):
        self.protocol, self.recruits, self.kernel = protocol, recruits, kernel
        self.size = sum(a.n for a in protocol.arms.values())
        which = range(replicates)
        self.trial = conduct(protocol, recruits, kernel, p, seed, replicates=which, threads=2, truth=truth)
        self.t = self.trial.tables
        self.n = replicates * self.size

    def who(self, name, **where):
        found = rows(self.t[name], **where)
        return found["replicate"].astype(np.int64) * self.size + found["patient"]

    def pairs(self, name, **where):
        """Patient and day of each row."""
        return list(zip(self.who(name, **where), rows(self.t[name], **where)["day"], strict=True))

    def end(self):
        """Last day of each patient, and how it came."""
        day, event = np.full(self.n, -1), np.full(self.n, "", "U24")
        for e in TERMINAL:
            who = self.who("disposition", event=e)
            day[who], event[who] = rows(self.t["disposition"], event=e)["day"], e
        return day, event


class Trials:
    """Conducts small protocols of one disease."""

    def __init__(self, disease, recruits, kernel, point):
        self.disease, self.recruits, self.kernel, self.point = disease, recruits, kernel, point

    def protocol(self, arms, **more):
        return protocol(arms, disease=self.disease, **more)

    def __call__(self, arms, *, replicates=6, seed=1, changes=None, truth=False, **more):
        p = self.point | (changes or {})
        return self.run(self.protocol(arms, **more), p, seed=seed, replicates=replicates, truth=truth)

    def run(self, plan, p=None, **more):
        return Run(plan, self.recruits, self.kernel, p or self.point, **more)


def protocol(arms, *, months=(0, 6, 12, 18, 24), rules=(), window=20, disease="ms", **more) -> Protocol:
    data = {
        "protocol": "test", "title": "test", "disease": disease,
        "accrual": {"start": "2005-09", "end": "2016-07", "closure": "2030-01"},
        "blinding": {"patient": "blind", "rater": "blind"},
        "arms": arms, "visits": {"months": list(months), "window_days": window, "at_relapse": disease == "ms"},
        "rules": list(rules), **OF_DISEASE[disease],
    }  # fmt: skip
    if len(arms) > 1:
        data["randomisation"] = {"ratio": dict.fromkeys(arms, 1), "block_sizes": [2 * len(arms)]}
    return Protocol.model_validate(data | more)


AHSCT = {"therapy": "ahsct", "conditioning": "cyclophosphamide-atg", "mobilisation": "cyclophosphamide-gcsf",
         "cells_1e6_per_kg": 5.0, "cd34_selected": "no"}  # fmt: skip
CELLS = {"therapy": "msc", "product": "bone-marrow-autologous", "route": "intrathecal", "dose_1e6": 60.0,
         "courses": 2, "every_days": 28}  # fmt: skip
SHAM = CELLS | {"dose_1e6": 0.0}
NEEDLES = {"therapy": "nsc", "product": "foetal-spinal-allogeneic", "route": "intraspinal", "dose_1e6": 8.0,
           "segments": "cervical_and_lumbar", "immunosuppression": "tacrolimus"}  # fmt: skip
