"""Trials as tests conduct them: a small protocol with one thing changed, and its tables with one number a patient."""

from __future__ import annotations

import numpy as np

from stemtrial.trial.conduct import conduct
from stemtrial.trial.protocol import Protocol

REPLICATES = 60
TERMINAL = ("completed", "dropped_out", "died")


def rows(table, **where):
    keep = np.ones(len(table["replicate"]), bool)
    for k, v in where.items():
        keep &= table[k] == v
    return {k: v[keep] for k, v in table.items()}


class Run:
    """A conducted trial with one number for each patient of each replicate."""

    def __init__(self, protocol, recruits, kernel, p, seed=1, replicates=REPLICATES):
        self.protocol = protocol
        self.size = sum(a.n for a in protocol.arms.values())
        self.trial = conduct(protocol, recruits, kernel, p, seed, replicates=range(replicates), threads=2)
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


def protocol(arms, *, months=(0, 6, 12, 18, 24), rules=(), window=20, endpoint="relapse_rate", **more) -> Protocol:
    data = {
        "protocol": "test", "title": "test", "disease": "ms",
        "population": {"course": "rrms", "care_before_entry": "platform_drugs", "eligibility": ["age_years >= 18"]},
        "accrual": {"start": "2005-09", "end": "2016-07", "closure": "2030-01"},
        "blinding": {"patient": "blind", "rater": "blind"},
        "arms": arms, "visits": {"months": list(months), "window_days": window, "at_relapse": True},
        "rules": list(rules), "endpoints": {"primary": {"id": endpoint, "estimator": "rate"}},
    }  # fmt: skip
    if len(arms) > 1:
        data["randomisation"] = {"ratio": dict.fromkeys(arms, 1), "block_sizes": [2 * len(arms)]}
    return Protocol.model_validate(data | more)


AHSCT = {"therapy": "ahsct", "conditioning": "cyclophosphamide-atg", "mobilisation": "cyclophosphamide-gcsf",
         "cells_1e6_per_kg": 5.0, "cd34_selected": "no"}  # fmt: skip
