"""Why a prediction misses, one paragraph an outcome: the reason is data, the figures come from the run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml


@cache
def _reasons() -> Mapping[str, str]:
    text = files("stemtrial.predict").joinpath("misses.yaml").read_text(encoding="utf-8")
    return {str(k): " ".join(str(v).split()) for k, v in (yaml.safe_load(text) or {}).items()}


def why(row: Mapping[str, Any], disease: str, families: Collection[str] = ()) -> str:
    """Return the paragraph on one missed outcome: the figures of this run, then the reason where one is known.

    Parameters
    ----------
    row : mapping
        Row of ``estimates.json``.
    disease : str
        Of the protocol: what is known of a family in one disease explains nothing in another.
    families : collection of str
        Families of its therapies. A reason stands under the id of the outcome (``burt2019_mist#1``), else under
        disease, family and endpoint, or what the endpoint is a kind of (``ms:ahsct:pfs``), else under disease and
        family (``als:msc:``).
    """
    published: float = row["published"]["value"]
    low, high = row["pi90"]
    side = "below" if low is None or published < low else "above"  # None: not reached, which is above everything
    share = row.get("unit") in ("fraction", "probability")
    shown = [_figure(x, 100.0 if share else 1.0) for x in (published, row["median"], low, high)]
    percent = " %" * share
    figures = (
        f"Published {shown[0]}{percent} lies {side} the predicted {shown[1]} ({shown[2]} to {shown[3]}){percent}. "
    )
    endpoint = str(row["endpoint"])
    asked = dict.fromkeys((endpoint, endpoint.partition(".")[0], ""))
    places = [row["outcome_id"], *(f"{disease}:{f}:{e}" for e in asked for f in sorted(families))]
    reason = next((_reasons()[p] for p in places if p in _reasons()), None)
    return figures + (reason or "No reason has been worked out for this miss yet; it stands as a miss of the model.")


def _figure(x: float | None, factor: float) -> str:
    """Write a figure to three significant digits, as the tables beside it do."""
    return "not reached" if x is None else f"{x * factor:.3g}".replace("-", "−")
