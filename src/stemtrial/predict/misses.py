"""Why a prediction misses, one paragraph an outcome: the reason is data, the figures come from the run."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml


@cache
def _reasons() -> Mapping[str, str]:
    text = files("stemtrial.predict").joinpath("misses.yaml").read_text(encoding="utf-8")
    return {str(k): " ".join(str(v).split()) for k, v in (yaml.safe_load(text) or {}).items()}


def why(row: Mapping[str, Any], estimates: list[dict[str, Any]]) -> str:
    """Return the paragraph on one missed outcome: the figures of this run, then the reason where one is known."""
    published: float = row["published"]["value"]
    low, high = row["pi90"]
    side = "below" if low is None or published < low else "above"  # None: not reached, which is above everything
    shown = ["not reached" if x is None else f"{x:.3g}" for x in (row["median"], low, high)]
    figures = f"Published {published:g} lies {side} the predicted {shown[0]} ({shown[1]} to {shown[2]}). "
    reason = _reasons().get(row["outcome_id"])
    return figures + (reason or "No reason has been worked out for this miss yet; it stands as a miss of the model.")
