"""The frozen prediction of MIST: numbers change only on purpose."""

from __future__ import annotations

import json

import pytest
from regenerate import FROZEN, computed

HOW = (
    "the small prediction of MIST has changed: {what}. If that is meant, say what and why under 'Science changes' "
    "in CHANGELOG.md and run 'python -m tests.baseline.regenerate'; if not, a number was changed by accident"
)


def test_the_prediction_of_mist_is_the_frozen_one():
    frozen, now = json.loads(FROZEN.read_text()), computed()
    assert now["settings"] == frozen["settings"]
    changed = []
    for name in [*frozen["medians"], *(set(now["medians"]) - set(frozen["medians"]))]:
        (a, missing_a), (b, missing_b) = (x["medians"].get(name, ["absent", 0]) for x in (frozen, now))
        both = isinstance(a, float) and isinstance(b, float)
        if not (missing_a == missing_b and (b == pytest.approx(a, rel=2e-6, abs=1e-12) if both else a == b)):
            changed.append(f"{name}: {a} -> {b}")
    if frozen["distinct_recruits"] != now["distinct_recruits"]:
        changed.append(f"recruits: {frozen['distinct_recruits']} -> {now['distinct_recruits']}")
    assert not changed, HOW.format(what="; ".join(changed[:5]) + (f" and {len(changed) - 5} more" * (len(changed) > 5)))
