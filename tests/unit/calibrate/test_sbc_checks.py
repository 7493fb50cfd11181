"""The fit covers synthetic truths, a broken one does not, and truths through the simulator leave the fit alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from linear_block import Linear

from stemtrial.calibrate import fit, sbc_checks
from stemtrial.calibrate.fit import Fitted, Settings
from stemtrial.calibrate.forward import Predicted
from stemtrial.calibrate.sbc_checks import prior_emulator, sbc_emulator, sbc_simulator
from stemtrial.errors import InputError
from stemtrial.parameters.priors import to_normal


@pytest.fixture(scope="module")
def model() -> Linear:
    return Linear("cells")


@pytest.fixture(scope="module")
def cells(model) -> Fitted:
    return model.fitted(160)


def test_the_fit_covers_truths_of_the_emulator(cells):
    checked = sbc_emulator(cells, 25, seed=2)
    assert checked.passes
    assert checked.calibration.ranks.shape == (25, len(cells.block.names))
    assert checked.z_scores.std() == pytest.approx(1.0, abs=0.15)


def test_what_the_emulator_misses_is_noise_to_the_fit_too(cells):
    assert sbc_emulator(cells, 15, seed=3, lack=True).passes


def test_a_smoother_that_is_too_sure_fails(cells, monkeypatch):
    def narrow(z, *rest, **more):
        out = sound(z, *rest, **more)
        return out.mean(axis=0) + 0.7 * (out - out.mean(axis=0))

    sound = sbc_checks.assimilate
    monkeypatch.setattr(sbc_checks, "assimilate", narrow)
    assert not sbc_emulator(cells, 15, seed=2).passes


def test_the_emulator_is_that_of_the_priors(cells, model):
    e = prior_emulator(cells)
    np.testing.assert_allclose(e.centre, cells.prior_z.mean(axis=0))
    told = np.einsum("tp,tp->t", model.G, model.G) > 1
    got = e.linear / model.sd[:, None]
    assert np.corrcoef(got[told].ravel(), model.G[told].ravel())[0, 1] > 0.9


def simulated(model: Linear, members: list[int], missing: bool = False):
    """Stand in for the simulator at a truth."""

    def predict(data, ensemble, which, seed, *, repeats):
        members.extend(which)
        names = model.block.names
        row = ensemble.values[which[0]][[ensemble.names.index(n) for n in names]]
        rng = np.random.default_rng([seed % 2**32, which[0]])
        out = model.predicted(to_normal(names, row[None]), model.sizes(ensemble), repeats, rng)
        out.values[0, 0, 0] = np.nan
        if missing:
            out.values[0, :, 1] = np.nan
        return Predicted(out.values, out.effects)

    return predict


def test_truths_through_the_simulator(model, monkeypatch, tmp_path: Path):
    ran: list[tuple[Path, int]] = []
    members: list[int] = []
    model.install(monkeypatch, ran)
    monkeypatch.setattr(fit, "SD_DRAWS", 16)
    monkeypatch.setattr(sbc_checks, "predict_members", simulated(model, members))
    s = Settings(members=160)
    checked = sbc_simulator("cells", tmp_path, s, 6)
    assert members == [160 + k for k in range(6)]  # no member of the ensemble
    assert checked.calibration.coverage(0.9).pooled > 0.75
    assert np.abs(checked.z_scores).max() < 5
    assert checked.calibration.draws == 160
    passes = model.block.passes
    assert [run for _, run in ran] == list(range(passes)) * 6  # the posterior is not simulated
    assert {folder for folder, _ in ran} == {tmp_path / "truths" / str(k) / "cells" for k in range(6)}
    for folder, _ in ran:
        assert (folder / "run-0").resolve() == (tmp_path / "cells" / "run-0").resolve()
        assert not (folder / "run-1").exists()


def test_a_number_that_no_trial_gives_is_told_before_anything_is_fitted(model, monkeypatch, tmp_path: Path):
    ran: list[tuple[Path, int]] = []
    model.install(monkeypatch, ran)
    monkeypatch.setattr(sbc_checks, "predict_members", simulated(model, [], missing=True))
    with pytest.raises(InputError, match="gave no value"):
        sbc_simulator("cells", tmp_path, Settings(members=160), 1)
    assert not ran
