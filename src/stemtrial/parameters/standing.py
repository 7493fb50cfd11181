"""How firm a number is, read from the words of its source."""

from __future__ import annotations

import re
from types import MappingProxyType

STANDINGS = MappingProxyType({
    "published": "published: a study, a DOI, a label",
    "recalled": "recalled: published, quoted from memory",
    "design": "the design document",
    "calibrated": "calibrated: set so that outcomes of studies are met",
    "partly assumed": "assumed in part",
    "assumed": "assumed: nobody's measurement",
})  # fmt: skip
"""Where a number comes from, the firmest first, in words."""
_DESIGN = re.compile(r"(section|items?|ms_model|als_model|model_review|engine|structural|ALS section)\b")


def standing(source: str) -> str:
    """How firm a number is, read from its source.

    Parameters
    ----------
    source : str
        As in a parameter file or a protocol: a DOI, a study, or words with ``assumed``, ``recalled``, ``calibrated``.

    Returns
    -------
    str
        One of :data:`STANDINGS`.
    """
    if source.startswith("assumed") or source.endswith("(assumed)"):
        return "assumed"
    if "assumed" in source:
        return "partly assumed"
    told = next((w for w in ("calibrated", "recalled") if w in source), None)
    return told or ("design" if _DESIGN.match(source) else "published")
