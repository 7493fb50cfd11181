"""Fitted blocks made of arrays: real blocks, invented data, a linear stand-in for the simulator, an exact update."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stemtrial.calibrate.blocks import blocks
from stemtrial.calibrate.datum import Datum
from stemtrial.calibrate.effects import EffectSds
from stemtrial.calibrate.emulator import Emulator
from stemtrial.calibrate.fit import Fitted, effects_of, group_of, published, stand_on, with_columns
from stemtrial.calibrate.forward import Predicted
from stemtrial.parameters import registry

MEMBERS, A_TRIAL = 60, 4
NOISE, EFFECT = 0.5, 0.3
SCALES = (("logit", "binomial", "proportion"), ("log", "negative_binomial", "rate"), ("identity", "normal", "mean"))


def datum(name: str, disease: str, k: int) -> Datum:
    """The k-th invented number of a block: shares, rates and means in turn, four a trial."""
    scale, kind, statistic = SCALES[k % 3]
    study = f"{name}_study_{k // A_TRIAL}"
    return Datum(
        f"{study}#{k % A_TRIAL + 1}", study, study, disease, f"{name}-protocol-{k // A_TRIAL}", "", "MS drugs",
        "relapse", "relapse_free", "relapse", (), "relapse_free", "proportion", statistic, "", ("treated",), False,
        True, 2.0, k == 0, kind, scale, 0.4, 50.0, 0.2 if kind == "normal" else None, 0.0, "invented",
        exposure=100.0 * (scale == "log"), offset=0.01 * (scale == "log"),
    )  # fmt: skip


def untold(name: str) -> list[str]:
    """The last quarter of a block's parameters, which no datum tells of."""
    names = blocks()[name].names
    return list(names[max(1, len(names) - len(names) // 4) :])


def fitted_block(name: str, before: Fitted | None = None, members: int = MEMBERS) -> Fitted:
    """A block in which each parameter, but for the last quarter, has a datum of its own."""
    block = blocks()[name]
    rng = np.random.default_rng([ord(c) for c in name])
    p = len(block.names)
    t = p - len(untold(name))
    data = [datum(name, block.disease, k) for k in range(t)]
    groups, y = [group_of(d) for d in data], published(data)
    sds = tuple(f"trial.effect_sd.{block.disease}.{e}" for e in effects_of(block.disease))
    q = len(sds)
    G, H = np.eye(t, p), np.full((t, q), EFFECT)
    prior_z = rng.standard_normal((members, p))
    variance = np.where(np.arange(p) < t, 1.0 / (1.0 + 1.0 / NOISE**2), 1.0)
    z = 0.5 * (1.0 - variance) + np.sqrt(variance) * prior_z
    size = np.array([registry()[n].value for n in sds])

    def predicted(at: np.ndarray) -> Predicted:
        u = {g: size * rng.standard_normal((members, 2, q)) for g in dict.fromkeys(groups)}
        shift = np.stack([np.einsum("jrq,q->jr", u[g], H[k]) for k, g in enumerate(groups)], axis=-1)
        noise = NOISE * rng.standard_normal((members, 2, t))
        return Predicted(y + (at @ G.T - 0.5)[:, None] + shift + noise, {})

    last = predicted(z)
    last.values[:, :, 1] += 5.0  # one published value far off
    last.values[0, 0, 0] = np.nan  # one repetition without an estimate
    centre = z.mean(axis=0)
    emulator = Emulator(
        tuple(groups), centre, y - 0.5 + centre @ G.T, G, np.zeros((t, p)), H, NOISE**2 * np.eye(t), np.zeros(t),
        np.where(np.arange(t) % 5 == 4, np.nan, 0.9),
    )  # fmt: skip
    share = np.linspace(0.4, 1.0, q)
    draws = size * np.exp(0.4 * share * rng.standard_normal((1000, q)))
    found = EffectSds(draws, np.median(draws, axis=0), np.ones(q), np.full(q, 800.0), share**2)
    base = with_columns(stand_on(members, before), sds, np.tile(size, (members, 1)))
    return Fitted(block, data, base, prior_z, z, predicted(prior_z), last, emulator, found, sds)


def fitted_blocks(names: Sequence[str] = ("ms", "ahsct", "cells", "als")) -> dict[str, Fitted]:
    """Blocks that come after each other, as a fit returns them."""
    out: dict[str, Fitted] = {}
    for name in names:
        after = blocks()[name].after
        out[name] = fitted_block(name, out[after] if after else None)
    return out
