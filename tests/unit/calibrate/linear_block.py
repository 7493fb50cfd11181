"""Blocks of the fit on their real data with a linear stand-in for the simulator, fitted by the real steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from stemtrial.calibrate import fit
from stemtrial.calibrate.datum import Datum
from stemtrial.calibrate.fit import Fitted, Settings, effects_of, fit_block, group_of, least_variance, published
from stemtrial.calibrate.forward import NATURAL, Predicted

LOADING = 0.4


def spread(data: Sequence[Datum]) -> np.ndarray:
    """Sampling SD of each published number on its scale, about as large as it is."""
    return np.sqrt([max(4 * v, (d.se or 0.0) ** 2) for d, v in zip(data, least_variance(data), strict=True)])


class Linear:
    """Data that are linear in parameters and effects, in units of their sampling SDs, about the published values."""

    def __init__(self, name: str, bend: float = 0.0, slope: float = 1.0) -> None:
        self.block = fit.blocks()[name]
        self.data = self.block.data()
        self.groups = [group_of(d) for d in self.data]
        self.effects = effects_of(self.block.disease)
        rng = np.random.default_rng(5)
        shape = (len(self.data), len(self.block.names))
        self.sd, self.bend = spread(self.data), bend
        self.G = slope * rng.normal(size=shape) * (rng.random(shape) < 0.3) * self.block.mask(self.data).T
        self.H = LOADING * rng.normal(size=(len(self.data), len(self.effects)))
        self.at = published(self.data) + 0.5 * self.sd * rng.normal(size=len(self.data))

    def mean(self, z: np.ndarray) -> np.ndarray:
        x = z @ self.G.T
        return self.at + self.sd * (x + self.bend * x**2)

    def predicted(self, z: np.ndarray, size: np.ndarray, repeats: int, rng: np.random.Generator) -> Predicted:
        J, trials = len(z), dict.fromkeys(NATURAL if g.startswith(NATURAL) else g for g in self.groups)
        u = {t: size * rng.normal(size=(J, repeats, len(self.effects))) for t in trials}
        own = np.stack([u[NATURAL if g.startswith(NATURAL) else g] for g in self.groups], axis=2)
        shift = np.einsum("jrtq,tq->jrt", own, self.H) * self.sd
        values = self.mean(z)[:, None] + shift + self.sd * rng.normal(size=shift.shape)
        return Predicted(values, {(t, e): u[t][..., k] for t in trials for k, e in enumerate(self.effects)})

    def sizes(self, base: object) -> np.ndarray:
        names = [f"trial.effect_sd.{self.block.disease}.{e}" for e in self.effects]
        return np.array([base[0][n] for n in names])  # type: ignore[index]

    def install(self, patch: pytest.MonkeyPatch, ran: list[tuple[Path, int]] | None = None) -> None:
        """Let the fit simulate with it; ``ran`` gets the folder and number of each run."""

        def simulated(block, data, base, z, run, folder, s, told):
            if ran is not None:
                ran.append((folder, run))
            return self.predicted(z, self.sizes(base), 2, np.random.default_rng([s.seed, run]))

        patch.setattr(fit, "_simulated", simulated)

    def fitted(self, members: int, folder: Path = Path("nowhere"), y: np.ndarray | None = None) -> Fitted:
        with pytest.MonkeyPatch.context() as patch:
            self.install(patch)
            patch.setattr(fit, "SD_DRAWS", 64)
            return fit_block(self.block_name, folder, Settings(members=members), lambda *_: None, y=y)

    @property
    def block_name(self) -> str:
        return next(n for n, b in fit.blocks().items() if b is self.block)
