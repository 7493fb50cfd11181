"""The fit: blocks of parameters, each by an ensemble smoother with multiple data assimilation; every stage resumes.

A block draws an ensemble from the priors, lets the simulator predict the data under every member, and moves the
members towards the published values; a few such passes share the weight of the data among them
(doi:10.1016/j.cageo.2012.03.011). Trials differ by more than their patients: those effects are drawn inside the
simulator (:mod:`stemtrial.trial.effects`), and how large they are is estimated after every pass from how far trials
lie from what one set of parameters can give them all.
"""

from __future__ import annotations

import functools
import multiprocessing
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.calibrate.blocks import Block, blocks, with_earlier
from stemtrial.calibrate.data import Datum, on_scale
from stemtrial.calibrate.effects import EffectSds, estimate_sds
from stemtrial.calibrate.emulator import Emulator
from stemtrial.calibrate.forward import NATURAL, REPEATS, Predicted, predict_members
from stemtrial.calibrate.smoother import assimilate, noise_of, schedule
from stemtrial.kernel import derive_seed
from stemtrial.parameters import Draws, draws_with, registry
from stemtrial.parameters.priors import from_normal
from stemtrial.store import ChunkStore, content_hash, map_chunks, package_hash

Floats = NDArray[np.float64]
Told = Callable[[str, float], None]
Effects = dict[tuple[str, str], Floats]
Arrays = dict[str, NDArray[Any]]
Compute = Callable[[list[int]], Arrays]
CHUNK = 4
"""Members whose trials are simulated and kept together."""
CODE = (
    "trial", "therapy", "observe", "endpoint", "analysis", "cohort", "disease", "predict", "calibrate/forward.py",
    "calibrate/datum.py",
)  # fmt: skip
"""What simulated data depend on beside the ensemble."""
SD_DRAWS = 1000
"""Draws of the SDs of trial effects that are kept."""


@dataclass(frozen=True)
class Settings:
    """How a fit is made.

    Attributes
    ----------
    seed : int
        Key of all random numbers.
    workers : int
        Processes; the result does not depend on it.
    members, passes : int or None
        Other than the blocks say, to try the machinery; told in the provenance.
    """

    seed: int = 1
    workers: int = 1
    members: int | None = None
    passes: int | None = None


@dataclass(frozen=True)
class Fitted:
    """A block after its fit.

    Attributes
    ----------
    block : Block
        What was free, on whose data.
    data : list of Datum
        In the order of the last axis of ``predicted.values``.
    base : Draws
        Parameters on which each member stands: the point values, and members of the block before.
    prior_z, z : ndarray, shape (members, parameters)
        The first ensemble and the posterior, on the normal scale of the priors.
    prior, predicted : Predicted
        What the ensemble of the priors and the last one predict.
    emulator : Emulator
        Of the last ensemble.
    sds : EffectSds
        Of the trial effects ``effects``.
    effects : tuple of str
        Parameters ``trial.effect_sd.*`` that were estimated.
    """

    block: Block
    data: list[Datum]
    base: Draws
    prior_z: Floats
    z: Floats
    prior: Predicted
    predicted: Predicted
    emulator: Emulator
    sds: EffectSds
    effects: tuple[str, ...]

    @cached_property
    def ensemble(self) -> Draws:
        """Every parameter of every member."""
        return with_columns(self.base, self.block.names, from_normal(self.block.names, self.z))

    @property
    def groups(self) -> list[str]:
        """Label of the trial or registry of each datum."""
        return [group_of(d) for d in self.data]

    @property
    def published(self) -> Floats:
        """Published values on their scales."""
        return published(self.data)


def group_of(datum: Datum) -> str:
    """Trial or registry whose patients a datum tells: its data share noise and effects."""
    return datum.protocol or f"{NATURAL}: {datum.cohort}"


def published(data: Sequence[Datum]) -> Floats:
    """Return the published values on the scales of the data."""
    return np.array([float(on_scale(d, d.value)) for d in data])


def least_variance(data: Sequence[Datum]) -> Floats:
    """Return the least noise of each datum: where no simulated trial has an event, trials do not differ.

    Of shares a quarter of the sampling variance of the published count on the logit scale, of totals of events a
    quarter of that of their logarithm; of others the variance of rounding, and 1e-6 of the value's scale at least.
    """
    out = []
    for d in data:
        if d.scale == "logit":
            share = (d.share * d.n + 0.5) / (d.n + 1.0)
            out.append(0.25 / ((d.n + 1.0) * share * (1.0 - share)))
        elif d.exposure:
            out.append(0.25 / (d.value * d.exposure + 0.5))
        else:
            low, high = (float(on_scale(d, d.value + sign * d.half_width)) for sign in (-1, 1))
            out.append(max((high - low) ** 2 / 12.0, 1e-6))
    return np.array(out)


def fit(
    folder: Path, names: Sequence[str] | None = None, settings: Settings | None = None, told: Told | None = None
) -> dict[str, Fitted]:
    """Fit blocks, or read back what a killed fit has finished and go on.

    Parameters
    ----------
    folder : Path
        Where everything is kept; a fit with other data, code or settings does not read it.
    names : sequence of str, optional
        Which blocks; all when left out. Those that they come after are fitted too.
    settings : Settings, optional
        How.
    told : callable, optional
        Gets a stage and the fraction of it that is done.

    Raises
    ------
    InputError
        If a block does not exist.
    """
    s, tell = settings or Settings(), told or (lambda stage, fraction: None)
    out: dict[str, Fitted] = {}
    for name in with_earlier(blocks() if names is None else names):
        before = blocks()[name].after
        out[name] = fit_block(name, folder, s, tell, out[before] if before else None)
    return out


def fit_block(
    name: str, folder: Path, s: Settings, told: Told, before: Fitted | None = None, *, y: Floats | None = None,
    last: bool = True,
) -> Fitted:  # fmt: skip
    """Fit one block.

    Parameters
    ----------
    name, folder, s, told
        As in :func:`fit`.
    before : Fitted, optional
        The block that it comes after.
    y : ndarray, shape (data,), optional
        Values on their scales in the place of the published ones: simulated ones, to test the fit.
    last : bool
        Whether the posterior is simulated too. Else ``predicted`` and ``emulator`` are of the ensemble before the last
        step.
    """
    block = blocks()[name]
    members, passes = s.members or block.members, s.passes or block.passes
    data = block.data()
    groups, mask = [group_of(d) for d in data], block.mask(data)
    y, least = published(data) if y is None else y, least_variance(data)
    rng = np.random.default_rng([derive_seed(s.seed, f"fit {name}") % 2**63])
    z = prior_z = rng.standard_normal((members, len(block.names)))
    sds = tuple(f"trial.effect_sd.{block.disease}.{e}" for e in effects_of(block.disease))
    sd_prior = prior_of_sds(sds, before)
    base, size = stand_on(members, before), sd_prior[0]
    prior: Predicted | None = None

    def look(k: int) -> tuple[Draws, Predicted, Emulator, EffectSds]:
        now = with_columns(base, sds, np.tile(size, (members, 1)))
        predicted = _simulated(block, data, now, z, k, folder / name, s, told)
        drawn = drawn_of(predicted.effects, groups, block.disease)
        emulator = Emulator.fit(z, drawn, predicted.values, groups, mask, least_variance=least)
        return now, predicted, emulator, estimate_sds(emulator, y, None, groups, sd_prior, rng, draws=SD_DRAWS)

    for k, alpha in enumerate(schedule(passes)):
        seen = look(k)
        prior, size = prior or seen[1], seen[3].mode
        z = assimilate(
            z, seen[1].values, y, noise_of(seen[1].values, groups, least_variance=least), float(alpha), mask, rng
        )
    now, predicted, emulator, found = look(passes) if last else seen
    return Fitted(block, data, now, prior_z, z, prior or predicted, predicted, emulator, found, sds)


def effects_of(disease: str) -> tuple[str, ...]:
    """Names of the trial effects of a disease whose SDs are estimated."""
    prefix = f"trial.effect_sd.{disease}."
    return tuple(n.removeprefix(prefix) for n in registry() if n.startswith(prefix))


def drawn_of(effects: Effects, groups: Sequence[str], disease: str) -> Mapping[Hashable, Floats]:
    """Arrange what was drawn by group, each of shape (members, repeats, effects), 0 where a trial has none."""
    names = effects_of(disease)
    shape = next(iter(effects.values())).shape
    out: dict[Hashable, Floats] = {}
    for group in dict.fromkeys(groups):
        trial = NATURAL if group.startswith(f"{NATURAL}: ") else group
        out[group] = np.stack([effects.get((trial, e), np.zeros(shape)) for e in names], axis=-1)
    return out


def prior_of_sds(names: Sequence[str], before: Fitted | None) -> tuple[Floats, Floats]:
    """Medians and log SDs of the SDs of trial effects: as they are registered, or as the block before left them."""
    if before is not None:
        logs = np.log(before.sds.draws)
        return np.exp(np.median(logs, axis=0)), logs.std(axis=0)
    known = registry()
    return np.array([known[n].value for n in names]), np.array([float(known[n].prior["sd"]) for n in names])


def stand_on(members: int, before: Fitted | None) -> Draws:
    """What each member stands on: the point values, or a member of the block before."""
    if before is None:
        return draws_with((), np.zeros((members, 0)), label="members")
    rows = np.arange(members) % len(before.ensemble)
    return Draws("members", before.ensemble.names, before.ensemble.values[rows])


def with_columns(base: Draws, names: Sequence[str], values: Floats) -> Draws:
    """Return draws with other values, shape (draws, names), in some of their columns."""
    at = [base.names.index(n) for n in names]
    table = base.values.copy()
    table[:, at] = values
    return Draws(base.label, base.names, table)


# -- simulating, on processes, in chunks that survive a kill ----------------------------------------------------------
def _simulated(
    block: Block, data: list[Datum], base: Draws, z: Floats, run: int, folder: Path, s: Settings, told: Told
) -> Predicted:
    """Simulate an ensemble, or read back what of it is there."""
    ensemble = with_columns(base, block.names, from_normal(block.names, z))
    seed = derive_seed(s.seed, f"run {run}")
    identity = content_hash({
        "data": [asdict(d) for d in data], "ensemble": ensemble.identity, "seed": seed, "repeats": REPEATS,
        "code": package_hash(*CODE),
    })  # fmt: skip
    store = ChunkStore(folder / f"run-{run}", identity)
    chunks = [range(i, min(i + CHUNK, len(z))) for i in range(0, len(z), CHUNK)]
    stage = f"{block.title}: run {run + 1}"
    with _processes(s.workers, data, ensemble, seed) as compute:
        parts = [
            part
            for _, part in map_chunks(
                store, range(len(chunks)), lambda i: compute(list(chunks[i])), s.workers,
                lambda n: told(stage, n / len(chunks)),
            )
        ]  # fmt: skip
    keys = [k for k in parts[0] if k != "values"]
    effects = {_key(k): np.concatenate([p[k] for p in parts]) for k in keys}
    return Predicted(np.concatenate([p["values"] for p in parts]), effects)


def _key(name: str) -> tuple[str, str]:
    trial, _, effect = name.partition("|")
    return trial, effect


@contextmanager
def _processes(workers: int, data: list[Datum], ensemble: Draws, seed: int) -> Iterator[Compute]:
    """Give a function that simulates members on processes; with one worker, in this process."""
    if workers <= 1:
        yield functools.partial(_members, data, ensemble, seed)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(data, ensemble, seed))
    try:
        yield lambda members: pool.submit(_of_worker, members).result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_worker: list[tuple[list[Datum], Draws, int]] = []


def _begin(data: list[Datum], ensemble: Draws, seed: int) -> None:
    _worker[:] = [(data, ensemble, seed)]


def _of_worker(members: list[int]) -> Arrays:
    return _members(*_worker[0], members)


def _members(data: list[Datum], ensemble: Draws, seed: int, members: list[int]) -> Arrays:
    p = predict_members(data, ensemble, members, seed)
    return {"values": p.values, **{f"{trial}|{effect}": x for (trial, effect), x in p.effects.items()}}


# -- cost -------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Cost:
    """What a block will take.

    Attributes
    ----------
    members, runs, trials, data : int
        Members, how often all of them are simulated, protocols and registries, published values.
    seconds : float
        Of one core, for one member.
    workers : int
        Processes.
    """

    members: int
    runs: int
    trials: int
    data: int
    seconds: float
    workers: int

    @property
    def hours(self) -> float:
        """Of the whole block, with nothing finished yet."""
        return self.members * self.runs * self.seconds / self.workers / 3600.0


def cost(name: str, s: Settings) -> Cost:
    """Measure what a block will take, by simulating the first member of its first ensemble twice, kernels compiled."""
    block = blocks()[name]
    data = block.data()
    base = stand_on(1, None)
    for _ in range(2):
        began = time.process_time()
        predict_members(data, base, [0], s.seed)
        seconds = time.process_time() - began
    return Cost(
        s.members or block.members, (s.passes or block.passes) + 1, len({group_of(d) for d in data}), len(data),
        seconds, s.workers,
    )  # fmt: skip
