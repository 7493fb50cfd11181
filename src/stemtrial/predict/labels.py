"""What must be known before a prediction is read: labels of its rows, and cautions about the whole run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from stemtrial.evidence import Study, studies
from stemtrial.predict.estimate import Row
from stemtrial.therapy import human_data
from stemtrial.therapy.product import product
from stemtrial.therapy.routes import route
from stemtrial.trial.protocol import Protocol
from stemtrial.trial.regimen import Choice, Treatment

_SPOKEN = {"ahsct": "aHSCT", "msc": "MSC", "nsc": "NSC", "ipsc_opc": "iPSC-OPC", "treg": "Treg", "amx0035": "AMX0035"}
_PRODUCTS = {"bone-marrow-ntf-autologous": "MSC-NTF", "npc-gdnf-allogeneic": "NPC-GDNF"}
"""Products that the field knows by a name of their own."""
_ROUTES = {
    "intravenous": "IV", "intrathecal": "IT", "intracerebroventricular": "ICV", "intraparenchymal": "brain",
    "intraspinal": "cord",
}  # fmt: skip
NO_HUMAN_DATA = "prediction_without_human_data"


def spoken(entry: Treatment | Choice) -> str:
    """Return an entry of a regimen in a word: ``'aHSCT'``, ``'MSC IT'``, ``'siponimod x 0.5'``, ``'drugs'``."""
    if isinstance(entry, Choice):
        return "drugs"
    if entry.sham:
        return "sham"
    given = entry.settings
    ratio, way = given.get("dose_ratio"), _ROUTES.get(str(given.get("route")), "")
    kind = _PRODUCTS.get(str(given.get("product"))) or _SPOKEN.get(entry.therapy, entry.therapy.replace("_", " "))
    name = " ".join(p for p in (kind, way) if p)
    return name if ratio in (None, 1) else f"{name} x {ratio:g}"


def spoken_arm(protocol: Protocol, arm: str) -> str:
    """Return what an arm gets, in words that stand without the protocol."""
    nothing = "placebo" if protocol.design == "randomised" and protocol.blinding.patient == "blind" else "untreated"
    return " + ".join(dict.fromkeys(spoken(e) for e in protocol.arms[arm].regimen)) or nothing


def arm_labels(protocol: Protocol) -> dict[str, str]:
    """Return what each arm is called: by what it gets, and by its own name too where that does not tell it."""
    told = {a: spoken_arm(protocol, a) for a in protocol.arms}
    alike = Counter(told.values())
    return {a: label if alike[label] == 1 else f"{label} ({a.replace('_', ' ')})" for a, label in told.items()}


def untried(protocol: Protocol) -> dict[str, list[str]]:
    """Return what nobody with the disease has been given yet: arm -> therapy, product and route of such entries.

    Parameters
    ----------
    protocol : Protocol
        What is done; an arm without such an entry is left out.
    """
    out: dict[str, list[str]] = {}
    for name, arm in protocol.arms.items():
        for e in arm.regimen:
            if isinstance(e, Treatment) and not e.sham and not human_data(e.therapy, e.settings, protocol.disease):
                out.setdefault(name, []).append(_product(e))
    return out


def _product(e: Treatment) -> str:
    """Product and way of giving it, in words."""
    given = e.settings
    made = product(e.therapy, str(given["product"]) if "product" in given else None)
    how = route(str(given["route"])).label.lower() if "route" in given else str(given.get("conditioning", ""))
    return f"{made.label}: {how}"


def labels_of(row: Row, untested: Sequence[str]) -> list[str]:
    """Return the labels of a row beside those of its run.

    Parameters
    ----------
    row : Row
        What is estimated.
    untested : sequence of str
        Arms of :func:`untried`.
    """
    return [NO_HUMAN_DATA] if any(a in untested for a in row.arms) else []


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
