"""What the ALS model cannot have at once: a constant is varied, and the targets that pull on it are shown side by side.

    python -m validation.als_trade_off [--people N]

Writes docs/images/als-trade-off.png (needs Chromium) and prints the figures as a Markdown table.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from stemtrial.parameters import point_draw, registry
from validation.als_targets import targets
from validation.trade_off import show

FACTORS = (0.7, 0.85, 1.0, 1.2, 1.4)
SWEEPS: Mapping[str, Mapping[str, str]] = {
    "als.h0": {
        "alive at 24 months": "alive at 24 months of a trial",
        "deaths by 12 to 18 months": "deaths in EMPOWER by 12 to 18 months",
        "median survival, limb, months": "median survival, limb onset, months",
        "alive without tracheostomy at 18 months, 1990s": "alive at 18 months, 1990s",
    },
    "cohort.als.delay.pace": {
        "24-week change after a run-in, enriched": "24-week change, study 19",
        "24-week change": "24-week change, ADORE",
        "points lost a month before entry": "points a month before entry",
        "SVC slope, % a month": "SVC, % a month",
    },
    "instruments.alsfrs_form_sd": {
        "SD of the 24-week change": "SD of the 24-week change",
        "SD of the change of slope, 24 weeks after against 12 before": "SD of the change of slope",
        "standard error of a rating, points": "standard error of a rating",
        "ICC of ratings": "ICC of ratings",
    },
}
"""Constant -> targets of :mod:`validation.als_targets` that it moves, and what a panel calls them."""


def main() -> None:
    """Print the tables and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=20_000)
    people = parser.parse_args().people
    found: dict[str, dict[float, dict[str, float]]] = {}
    bands: dict[str, tuple[float, float]] = {}
    for name, wanted in SWEEPS.items():
        for factor in FACTORS:
            value = registry()[name].value * factor
            measured = {t.what: t for t in targets(point_draw({name: value})[0], people)}
            found.setdefault(name, {})[value] = {said: measured[what].value for what, said in wanted.items()}
            bands |= {said: (measured[what].low, measured[what].high) for what, said in wanted.items()}
    show(found, bands, "als-trade-off.png", 4)


if __name__ == "__main__":
    main()
