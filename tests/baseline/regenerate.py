"""Freezes small predictions, one a disease, and the science they rest on, so that a change is seen and told.

    python -m tests.baseline.regenerate

writes a JSON file for each beside this file, and prints the line that CHANGELOG.md then needs under *Science changes*.
Predictions are made from the point values; where a posterior is shipped, one more goes over its first draws.
``python -m tests.baseline.regenerate science`` leaves the predictions as they are.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # tests are no package; this file is run as one

from science import FROZEN, SHIPPED, line_of
from science import computed as science_now

from stemtrial.parameters import Draws, shipped
from stemtrial.predict.run import Settings, predict
from stemtrial.trial.protocol import load_protocol

PROTOCOLS = ("mist", "nurown-phase3")
SETTINGS = {"replicates": 20, "patients": 40, "seed": 1}
DRAWS = 4
"""First draws of the posterior that the prediction over draws goes over."""
OVER_DRAWS = "mist-posterior"
"""Name of that prediction."""


def names() -> tuple[str, ...]:
    """Frozen predictions: protocols, and the one over draws where a posterior is shipped."""
    return (*PROTOCOLS, *([OVER_DRAWS] if (SHIPPED / shipped.TABLE).is_file() else []))


def draws_of(name: str) -> Draws | None:
    """Draws of a frozen prediction; None for the point values."""
    return shipped._read(SHIPPED).first(DRAWS) if name == OVER_DRAWS else None


def frozen(name: str) -> Path:
    """Where a prediction is frozen."""
    return Path(__file__).with_name(f"{name}.json")


def key(row: dict[str, Any]) -> str:
    """Name of an estimate."""
    arm = row["arm"] if isinstance(row["arm"], str) else " - ".join(row["arm"])
    return "|".join(
        [row["endpoint"], row["statistic"], arm, "" if row["time_years"] is None else f"{row['time_years']:g}"]
    )


def rounded(x: float | None) -> float | None:
    """Six significant digits."""
    return None if x is None else float(f"{x:.6g}")


def computed(name: str) -> dict[str, Any]:
    """The prediction as it is now: median and number of replicates without an estimate, by estimate."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(**SETTINGS, point=name != OVER_DRAWS, threads=2)
        protocol = load_protocol(name.removesuffix("-posterior"))
        found = predict(protocol, settings, draws_of(name), folder=Path(folder) / "run")
    medians = {key(r): [rounded(r["median"]), r["n_not_estimable"]] for r in found.estimates}
    return {"settings": SETTINGS, "distinct_recruits": found.run["distinct_recruits"], "medians": medians}


if __name__ == "__main__":
    for name in [] if sys.argv[1:] == ["science"] else names():
        frozen(name).write_text(json.dumps(computed(name), indent=1) + "\n")
        print(f"wrote {frozen(name)}")
    science = science_now()
    FROZEN.write_text(json.dumps(science, indent=1) + "\n")
    print(f"wrote {FROZEN}")
    print(f"under 'Science changes' in CHANGELOG.md: {line_of(str(science['science']))}")
