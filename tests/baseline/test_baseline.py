"""The frozen predictions: numbers change only on purpose."""

from __future__ import annotations

import json

import pytest
from regenerate import computed, frozen, names

HOW = (
    "the small prediction of {protocol} has changed: {what}. If that is meant, say what and why under "
    "'Science changes' in CHANGELOG.md and run 'python -m tests.baseline.regenerate'; "
    "if not, a number was changed by accident"
)


@pytest.mark.parametrize("protocol", names())
def test_a_prediction_is_the_frozen_one(protocol):
    before, now = json.loads(frozen(protocol).read_text()), computed(protocol)
    assert now["settings"] == before["settings"]
    changed = []
    for name in [*before["medians"], *(set(now["medians"]) - set(before["medians"]))]:
        (a, missing_a), (b, missing_b) = (x["medians"].get(name, ["absent", 0]) for x in (before, now))
        both = isinstance(a, float) and isinstance(b, float)
        if not (missing_a == missing_b and (b == pytest.approx(a, rel=2e-6, abs=1e-12) if both else a == b)):
            changed.append(f"{name}: {a} -> {b}")
    if before["distinct_recruits"] != now["distinct_recruits"]:
        changed.append(f"recruits: {before['distinct_recruits']} -> {now['distinct_recruits']}")
    more = f" and {len(changed) - 5} more" * (len(changed) > 5)
    assert not changed, HOW.format(protocol=protocol, what="; ".join(changed[:5]) + more)
