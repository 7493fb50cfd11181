"""Freezes small predictions, one a disease, so that a change of numbers is seen and told.

    python -m tests.baseline.regenerate

writes a JSON file for each beside this file. Whoever runs it adds a line under *Science changes* to CHANGELOG.md.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from stemtrial.predict.run import Settings, predict
from stemtrial.trial.protocol import load_protocol

PROTOCOLS = ("mist", "nurown-phase3")
SETTINGS = {"replicates": 20, "patients": 40, "seed": 1}


def frozen(protocol: str) -> Path:
    """Where a prediction is frozen."""
    return Path(__file__).with_name(f"{protocol}.json")


def key(row: dict[str, Any]) -> str:
    """Name of an estimate."""
    arm = row["arm"] if isinstance(row["arm"], str) else " - ".join(row["arm"])
    return "|".join(
        [row["endpoint"], row["statistic"], arm, "" if row["time_years"] is None else f"{row['time_years']:g}"]
    )


def rounded(x: float | None) -> float | None:
    """Six significant digits."""
    return None if x is None else float(f"{x:.6g}")


def computed(protocol: str) -> dict[str, Any]:
    """The prediction as it is now: median and number of replicates without an estimate, by estimate."""
    with tempfile.TemporaryDirectory() as folder:
        found = predict(load_protocol(protocol), Settings(**SETTINGS, threads=2), folder=Path(folder) / "run")
    medians = {key(r): [rounded(r["median"]), r["n_not_estimable"]] for r in found.estimates}
    return {"settings": SETTINGS, "distinct_recruits": found.run["distinct_recruits"], "medians": medians}


if __name__ == "__main__":
    for name in PROTOCOLS:
        frozen(name).write_text(json.dumps(computed(name), indent=1) + "\n")
        print(f"wrote {frozen(name)}")
    print("add a line under 'Science changes' to CHANGELOG.md that says what changed and why")
