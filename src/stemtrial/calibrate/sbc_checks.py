"""Does the fit of a block cover truths that are known? Two hundred through the emulator, a few through the simulator.

Truths are drawn from the priors, sizes of trial effects included; data are made at them, and fitted by the steps of
:func:`.fit.fit_block`. The emulator is that of the prior ensemble, since truths lie anywhere in the prior; it is fast,
so that many truths can be tried, but more linear than the model. The simulator is the model, and slow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stemtrial.calibrate.blocks import Block, blocks
from stemtrial.calibrate.datum import Datum, Floats
from stemtrial.calibrate.effects import estimate_sds
from stemtrial.calibrate.emulator import Emulator
from stemtrial.calibrate.fit import (
    Fitted,
    Settings,
    Told,
    drawn_of,
    effects_of,
    fit_block,
    group_of,
    least_variance,
    prior_of_sds,
    stand_on,
    with_columns,
)
from stemtrial.calibrate.forward import REPEATS, predict_members
from stemtrial.calibrate.sbc import Calibration, calibrate, rank_of
from stemtrial.calibrate.smoother import assimilate, noise_of, schedule
from stemtrial.errors import InputError
from stemtrial.kernel import derive_seed
from stemtrial.parameters.priors import from_normal

CLAIMED = (0.85, 0.95)
"""Pooled coverage of 90 % intervals that passes."""
TRIES = 4
"""Repetitions of a trial at a truth, of which the one that gives most of the published numbers is its publication."""
SHORT = 8
"""Draws of the SDs of trial effects: their mode is all that a pass takes, and is found before."""


@dataclass(frozen=True)
class Checked:
    """Simulation-based calibration of one block.

    Attributes
    ----------
    block : str
        Title of the block.
    names : tuple of str
        Its parameters.
    calibration : Calibration
        Ranks of the truths, and the coverage that they give.
    z_scores : (truths, parameters) array
        Truth less posterior mean, in standard deviations of the posterior.
    """

    block: str
    names: tuple[str, ...]
    calibration: Calibration
    z_scores: Floats

    @property
    def passes(self) -> bool:
        """Whether the pooled coverage of 90 % intervals lies within :data:`CLAIMED`."""
        return CLAIMED[0] <= self.calibration.coverage(0.9).pooled <= CLAIMED[1]


def prior_emulator(fitted: Fitted) -> Emulator:
    """Return the emulator of the first ensemble of a block, that of the priors."""
    drawn = drawn_of(fitted.prior.effects, fitted.groups, fitted.block.disease)
    return Emulator.fit(
        fitted.prior_z, drawn, fitted.prior.values, fitted.groups, fitted.block.mask(fitted.data),
        least_variance=least_variance(fitted.data),
    )  # fmt: skip


def sbc_emulator(
    fitted: Fitted, truths: int = 200, seed: int = 1, *, before: Fitted | None = None, passes: int | None = None,
    lack: bool = False,
) -> Checked:  # fmt: skip
    """Calibrate the fit of a block on synthetic truths, with its prior emulator as the simulator.

    Parameters
    ----------
    fitted : Fitted
        A block after its fit.
    truths : int
        How many.
    seed : int
        Of everything random.
    before : Fitted, optional
        The block that it comes after: from there the priors of the sizes of trial effects.
    passes : int, optional
        Other than the block says.
    lack : bool
        Whether truth and members also differ by what the emulator misses, drawn anew in every pass as if nothing told
        of it: harder than the model, whose curvature the next pass sees from nearer by.

    Returns
    -------
    Checked
    """
    block, emulator = fitted.block, prior_emulator(fitted)
    members, p = fitted.prior_z.shape
    groups, mask, least = fitted.groups, block.mask(fitted.data), least_variance(fitted.data)
    median, log_sd = prior = prior_of_sds(fitted.effects, before)
    missed = np.sqrt(emulator.lack) if lack else np.zeros(len(groups))
    sampling = emulator.total_noise(lack=lack)
    z_scores = []
    truth = np.zeros(p)

    def simulate(z: Floats, rng: np.random.Generator) -> Floats:
        truth[:] = z  # told to the z-scores alone
        size = median * np.exp(log_sd * rng.standard_normal(len(median)))
        return np.asarray(
            emulator.simulate(z[None], emulator.total_noise(size), rng)[0] + missed * rng.normal(size=len(missed))
        )

    def posterior(y: Floats, rng: np.random.Generator) -> Floats:
        z, size = rng.standard_normal((members, p)), median
        for alpha in schedule(passes or block.passes):
            flat = emulator.simulate(np.repeat(z, REPEATS, axis=0), emulator.total_noise(size), rng)
            d = flat.reshape(members, REPEATS, -1) + (missed * rng.standard_normal((members, len(missed))))[:, None]
            found = estimate_sds(emulator, y, sampling, groups, prior, rng, at=z.mean(axis=0), draws=SHORT)
            size = found.mode
            z = assimilate(z, d, y, noise_of(d, groups, least_variance=least), float(alpha), mask, rng)
        z_scores.append((truth - z.mean(axis=0)) / z.std(axis=0, ddof=1))
        return z

    found = calibrate(simulate, posterior, p, np.random.SeedSequence(seed).spawn(truths))
    return Checked(block.title, block.names, found, np.stack(z_scores))


def sbc_simulator(
    name: str, folder: Path, settings: Settings, truths: int = 3, *, before: Fitted | None = None,
    told: Told | None = None,
) -> Checked:  # fmt: skip
    """Calibrate the fit of a block on a few synthetic truths through the simulator itself; resumes.

    The first run of the fit, that of the prior ensemble, serves every truth; each takes one run a pass after it.

    Parameters
    ----------
    name : str
        The block.
    folder : Path
        Folder of the fit; truths are kept in ``truths`` inside it, apart from the fit.
    settings : Settings
        Those of the fit.
    truths : int
        How many.
    before : Fitted, optional
        The block that it comes after.
    told : callable, optional
        As in :func:`.fit.fit`.

    Raises
    ------
    InputError
        If a trial at a truth cannot give some number that was published, in any of a few tries.
    """
    block, tell = blocks()[name], told or (lambda stage, fraction: None)
    data = block.data()
    rng = np.random.default_rng([derive_seed(settings.seed, f"truths {name}") % 2**63])
    truth = rng.standard_normal((truths, len(block.names)))
    z_scores, ranks, members = [], [], 0
    # All first: what cannot be published is known before the hours of fitting.
    published = [_publication(block, data, settings, truth[k], k, before) for k in range(truths)]
    for k, y in enumerate(published):
        place = folder / "truths" / str(k)
        _share_first_run(folder / name / "run-0", place / name / "run-0")
        z = fit_block(name, place, settings, _numbered(tell, k, truths), before, y=y, last=False).z
        members = len(z)
        ranks.append(rank_of(truth[k], z, rng))
        z_scores.append((truth[k] - z.mean(axis=0)) / z.std(axis=0, ddof=1))
    return Checked(block.title, block.names, Calibration(np.stack(ranks), members), np.stack(z_scores))


def _numbered(told: Told, k: int, truths: int) -> Told:
    return lambda stage, fraction: told(f"truth {k + 1} of {truths}, {stage}", fraction)


def _share_first_run(of_fit: Path, of_truth: Path) -> None:
    """Let a truth read the prior ensemble of the fit; everything later would be overwritten and is its own."""
    if not of_truth.exists():
        of_fit.mkdir(parents=True, exist_ok=True)
        of_truth.parent.mkdir(parents=True, exist_ok=True)
        of_truth.symlink_to(of_fit.resolve(), target_is_directory=True)


def _publication(block: Block, data: Sequence[Datum], s: Settings, z: Floats, k: int, before: Fitted | None) -> Floats:
    """Return what trials at a truth publish, on the scales of the data.

    The truth is a member beyond those of the ensemble, so that neither people nor trials are any member's.
    """
    names = tuple(f"trial.effect_sd.{block.disease}.{e}" for e in effects_of(block.disease))
    median, log_sd = prior_of_sds(names, before)
    rng = np.random.default_rng([derive_seed(s.seed, f"truth {k} {block.title}") % 2**63])
    size = median * np.exp(log_sd * rng.standard_normal(len(median)))
    member = (s.members or block.members) + k
    base = with_columns(stand_on(member + 1, before), names, np.tile(size, (member + 1, 1)))
    ensemble = with_columns(base, block.names, from_normal(block.names, np.tile(z, (member + 1, 1))))
    values = predict_members(data, ensemble, [member], derive_seed(s.seed, f"truth {k}"), repeats=TRIES).values[0]
    groups = [group_of(d) for d in data]
    y = np.empty(len(data))
    for group in dict.fromkeys(groups):
        own = [i for i, g in enumerate(groups) if g == group]
        seen = np.isfinite(values[:, own])
        # One repetition is one publication; what it could not estimate comes from the next best.
        best = np.argsort(-seen.sum(axis=1), kind="stable")
        if not seen.any(axis=0).all():
            raise InputError(
                f"truth {k + 1}: {group} gave no value for some number in {TRIES} tries; take another seed"
            )
        for n, i in enumerate(own):
            y[i] = values[best[int(np.argmax(seen[best, n]))], i]
    return y
