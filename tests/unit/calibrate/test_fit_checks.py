"""The command tells every check, what fails first."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from linear_block import Linear
from validation.fit_checks import _as_json, cross_text, loco_text, parsed, report, sbc_text

from stemtrial.calibrate.crosscheck import Compared, CrossCheck
from stemtrial.calibrate.fit import Settings
from stemtrial.calibrate.loco import forecast
from stemtrial.calibrate.sbc import Calibration
from stemtrial.calibrate.sbc_checks import Checked


@pytest.fixture(scope="module")
def cells():
    return Linear("cells").fitted(160)


def test_all_checks_are_told(cells):
    args = parsed(["nowhere", "--truths", "3", "--cross", "als"])
    f = replace(cells, block=cells.block.model_copy(update={"after": None}))
    text, data = report({"cells": f}, args, Settings())
    for title in ("Synthetic truths through the emulator", "left out in turn", "Without open series"):
        assert title in text
    assert "Second method" not in text  # its block is not there
    told = json.loads(json.dumps(data, default=_as_json))
    assert set(told) == {"sbc_emulator", "loco", "widened", "lanes", "lanes_widened", "refits"}
    assert len(told["loco"]["cells"]) == len(cells.data)
    assert np.shape(told["sbc_emulator"]["cells"]["ranks"]) == (3, len(cells.block.names))


def test_what_disagrees_stands_first():
    good = Compared("a.good", 0.0, 1.0, 0.1, 1.0, 1.0, 900.0)
    off, stuck = replace(good, parameter="an.off", difference=-0.8), replace(good, parameter="a.stuck", r_hat=1.4)
    text = cross_text(CrossCheck([good, stuck, off], [good], {}), "a block")
    assert "1 of 3 parameters agree" in text
    assert text.index("an.off") < text.index("a.stuck") < text.index("a.good")
    assert "**differs**" in text
    assert "**not converged**" in text


def test_too_narrow_is_told_and_stands_first():
    rng = np.random.default_rng(0)
    ranks = np.stack([rng.integers(0, 100, 60), np.where(rng.random(60) < 0.6, 0, 50)], axis=1)
    bad = Checked("a block", ("a.good", "a.narrow"), Calibration(ranks, 99), rng.normal(size=(60, 2)))
    text = sbc_text(bad, "through the emulator")
    assert not bad.passes
    assert "**it does not.**" in text
    assert text.index("a.narrow") < text.index("a.good")


def test_misses_are_listed_worst_first(cells):
    f = forecast(cells.data[0], np.linspace(-3, 3, 100))
    rows = [replace(f, outcome_id=f"x#{k}", pit=p) for k, p in enumerate((0.5, 0.97, 0.001))]
    text = loco_text(rows)
    assert text.index("x#2") < text.index("x#1")
    assert "x#0" not in text
    assert "not judged" in text
    assert "None." in loco_text(rows[:1])
