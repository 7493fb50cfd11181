"""What the conditioning regimens of the catalogue are: how intense, and which antibody against T cells they hold."""

from __future__ import annotations

INTENSITIES = ("low", "intermediate", "high")
CONDITIONING = {
    "cyclophosphamide-atg": "low",
    "cyclophosphamide-rituximab": "low",
    "cyclophosphamide-alemtuzumab": "low",
    "reduced-beam-atg": "low",
    "beam": "intermediate",
    "beam-atg": "intermediate",
    "busulfan-cyclophosphamide-atg": "high",
    "tbi-cyclophosphamide-atg": "high",
}
"""Intensity of each regimen; high is what reaches the marrow and the brain without rescue."""

ANTIBODIES = ("none", "atg", "alemtuzumab")
ANTIBODY = {
    "cyclophosphamide-atg": "atg",
    "cyclophosphamide-rituximab": "none",
    "cyclophosphamide-alemtuzumab": "alemtuzumab",
    "reduced-beam-atg": "atg",
    "beam": "none",
    "beam-atg": "atg",
    "busulfan-cyclophosphamide-atg": "atg",
    "tbi-cyclophosphamide-atg": "atg",
}
"""Antibody that removes T cells of patient and graft after the infusion; rituximab removes B cells only."""

IRRADIATION = frozenset({"tbi-cyclophosphamide-atg"})
"""Regimens with total-body irradiation."""
