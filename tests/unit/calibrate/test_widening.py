"""Effects of the trial that are too small are widened until left-out cohorts fall where they should."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from linear_block import Linear

from stemtrial.calibrate.fit import Fitted
from stemtrial.calibrate.loco import leave_one_out
from stemtrial.calibrate.widening import MOST, STEP, widening
from stemtrial.predict.metrics import pit_uniformity


@pytest.fixture(scope="module")
def block() -> Fitted:
    return Linear("ahsct").fitted(200)


def with_sizes(block: Fitted, by: float) -> Fitted:
    """The block with other SDs of its effects."""
    return replace(block, sds=replace(block.sds, draws=by * block.sds.draws, mode=by * block.sds.mode))


def test_what_spreads_as_it_should_is_left_alone(block):
    wide = widening([with_sizes(block, 5.0)])
    assert wide.factor == 1.0
    assert wide.before == wide.after <= 1.0


def test_effects_that_are_larger_than_told_are_widened_to_about_their_size(block):
    # Trials that differ by effects two and a half times as large as the SDs say.
    small, rng = with_sizes(block, 4.0), np.random.default_rng(2)
    u = {g: 10.0 * block.sds.mode * rng.normal(size=len(block.effects)) for g in dict.fromkeys(block.groups)}
    shift = np.array([h @ u[g] for h, g in zip(block.emulator.effect, block.groups, strict=True)])
    emulator = replace(block.emulator, intercept=block.emulator.intercept - shift)
    f = replace(small, emulator=emulator)
    wide = widening([f])
    assert wide.before > 1.0 >= wide.after
    assert 1.2 < wide.factor < MOST
    below = pit_uniformity(*zip(*((x.pit, x.cohort) for x in leave_one_out(f, 1, wide.factor - STEP)), strict=True))
    assert below["dispersion"] > 1.0  # the least that suffices
    assert widening([f]) == wide


def test_a_factor_has_an_end(block):
    far = replace(block.emulator, intercept=block.emulator.intercept + 50.0)
    wide = widening([replace(block, emulator=far)])
    assert wide.factor == MOST
    assert wide.after > 1.0
