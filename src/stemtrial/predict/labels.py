"""What must be known before a prediction is read: labels of its rows, and cautions about the whole run."""

from __future__ import annotations

from collections.abc import Sequence

import stemtrial.therapy
from stemtrial.evidence import Study, studies
from stemtrial.predict.estimate import Row
from stemtrial.therapy import catalogue
from stemtrial.trial.protocol import Protocol
from stemtrial.trial.regimen import Treatment

NO_HUMAN_DATA = "prediction_without_human_data"
CELLS = ("ahsct", "msc", "nsc", "opc")
"""Families of the catalogue that are a product of living cells."""


def untried(protocol: Protocol) -> dict[str, list[str]]:
    """Return what nobody with MS has been given yet: arm -> therapy, product and route of such entries.

    Parameters
    ----------
    protocol : Protocol
        What is done; an arm without such an entry is left out.
    """
    out: dict[str, list[str]] = {}
    for name, arm in protocol.arms.items():
        for e in arm.regimen:
            if not isinstance(e, Treatment) or catalogue()[e.therapy].family not in CELLS:
                continue
            human_data = getattr(stemtrial.therapy, "human_data", None)
            if human_data is not None and not human_data(e.therapy, e.settings):
                what = [
                    catalogue()[e.therapy].label,
                    *(str(e.settings[k]) for k in ("product", "route") if k in e.settings),
                ]
                out.setdefault(name, []).append(", ".join(what))
    return out


def labels_of(row: Row, untested: Sequence[str]) -> list[str]:
    """Return the labels of a row beside those of its run.

    Parameters
    ----------
    row : Row
        What is estimated.
    untested : sequence of str
        Arms of :func:`untried`.
    """
    arms = (row.arm,) if isinstance(row.arm, str) else row.arm
    return [NO_HUMAN_DATA] if any(a in untested for a in arms) else []


def cautions(protocol: Protocol, published: Study | None) -> list[str]:
    """Return what must be known before a prediction is read as blind."""
    if published is None:
        return []
    out = []
    if published.role == "fit":
        never = ", ".join(a if isinstance(a, str) else " against ".join(a) for a in published.never_tune_to)
        spared = f"; never tuned to: {never}" if never else ""
        out.append(f"{published.id} has the role fit, so that constants may have been tuned to it{spared}")
    kin = [s.id for s in studies().values() if s.cohort and s.cohort == published.cohort and s.role == "fit"]
    if kin := [k for k in kin if k != published.id]:
        out.append(f"patients are shared with {', '.join(kin)}, which constants may have been tuned to")
    told = [
        k for k, v in protocol.sources.items() if published.id in v and k.split(".")[0] in ("rules", "analysis_set")
    ]
    if told:
        out.append(f"taken from the record of the same trial, results of its conduct: {', '.join(told)}")
    return out


def few_recruits(distinct: int, wanted: int) -> str | None:
    """Return a warning where drawing recruits with replacement is noticed, else None."""
    if distinct >= wanted:
        return None
    return (
        f"only {distinct} distinct virtual people were eligible, fewer than the {wanted} that let drawing with "
        "replacement go unnoticed; intervals are somewhat too narrow"
    )
