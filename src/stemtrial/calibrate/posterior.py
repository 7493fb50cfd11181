"""From fitted blocks to the draws that predictions use: one row a member of the last block of each disease.

What a block fitted stays with its member through the blocks that come after it, so that the last one holds all of a
disease; MS and ALS share no parameter and are joined row by row. Sizes of trial effects are drawn from their posterior
given all data of the last block, and widened until left-out cohorts fall where they should (:mod:`.widening`). What
acts in a therapy but was not fitted is drawn from its prior, since a prediction that held it at one value would be
surer than anybody is; all else stands at its point value.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from stemtrial.calibrate.fit import CODE, Fitted, Settings
from stemtrial.calibrate.widening import Widening, widening
from stemtrial.errors import InputError
from stemtrial.kernel import derive_seed
from stemtrial.parameters import Draws, Parameter, from_normal, registry, to_normal, write_posterior
from stemtrial.parameters.priors import FREE
from stemtrial.store import content_hash, package_hash
from stemtrial.therapy import FAMILIES

Floats = NDArray[np.float64]
DRAWS = 200
"""Draws that ship, unless said otherwise."""
SHARES = ("share", "probability")
"""Units of numbers that cannot exceed 1, whatever their prior."""
HIDDEN = ".enhancement"
"""Share of lesions that a drug hides from a scan: a share whatever its prior, and 0 is its border."""
HYPOTHESES = (".sceptical", ".optimistic")
SOFTWARE = ("stemtrial", "numpy", "scipy", "numba")


@dataclass(frozen=True)
class Columns:
    """Which parameters vary in a posterior, and which do not.

    Attributes
    ----------
    fitted : tuple of str
        Free parameters of the blocks, and SDs of trial effects.
    at_prior : tuple of str
        Not fitted; drawn from their priors.
    fixed : tuple of str
        Have a prior, but stay at their point values.
    """

    fitted: tuple[str, ...]
    at_prior: tuple[str, ...]
    fixed: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Columns of the posterior."""
        return (*self.fitted, *self.at_prior)


def chains(fitted: Mapping[str, Fitted]) -> list[list[Fitted]]:
    """Return the blocks that come after each other, one list a disease, the last block last.

    Raises
    ------
    InputError
        If nothing is fitted, a block is there without the one that it comes after, or two blocks end one disease.
    """
    if not fitted:
        raise InputError("no block is fitted; fit one or more")
    out: list[list[Fitted]] = []
    befores = {f.block.after for f in fitted.values()}
    for name in fitted:
        if name in befores:
            continue
        chain, at = [fitted[name]], fitted[name].block.after
        while at is not None:
            if at not in fitted:
                raise InputError(f"block '{name}' comes after '{at}', which is not there; fit that too")
            chain.insert(0, fitted[at])
            at = fitted[at].block.after
        out.append(chain)
    diseases = [c[-1].block.disease for c in out]
    for disease in diseases:
        if diseases.count(disease) > 1:
            raise InputError(f"two blocks end the chain of {disease}; let one come after the other")
    return out


@cache
def _owners_of_therapies() -> frozenset[str]:
    found = (f.name for f in files("stemtrial.therapy").iterdir())
    return frozenset(n.removesuffix(".parameters.yaml") for n in found if n.endswith(".parameters.yaml"))


def _weights() -> frozenset[str]:
    """Weights of hypotheses: which one holds is drawn once a trial, so that a spread of the weight adds nothing."""
    drawn = {w for f in FAMILIES.values() for w in f.hypothesis.values()}
    return frozenset(drawn | {w.replace("weight_optimistic", "prior_weight") for w in drawn})


def _drawn_at_prior(p: Parameter) -> bool:
    if p.name.partition(".")[0] not in _owners_of_therapies() or p.name in _weights():
        return False
    # a share of exactly 0 or 1 says that there is no such effect, not that it is small
    return not ((p.prior["dist"] == "beta" or p.name.endswith(HIDDEN)) and p.value in (0.0, 1.0))


def columns(fitted: Mapping[str, Fitted]) -> Columns:
    """Tell which parameters a posterior of some blocks holds.

    Drawn from their priors are parameters of therapies that no block fitted, but for shares of exactly 0 or 1 (no such
    effect) and weights of hypotheses. Disease, cohort, instruments and trial stay at their point values where they were
    not fitted: the published values that the blocks were fitted to were met with these.

    Parameters
    ----------
    fitted : mapping of str to Fitted
        Blocks by name.
    """
    mine: dict[str, None] = {}
    for chain in chains(fitted):
        mine |= dict.fromkeys(n for f in chain for n in f.block.names) | dict.fromkeys(chain[-1].effects)
    others = [p for n, p in registry().items() if n not in mine and p.prior.get("dist") in FREE]
    at_prior = tuple(p.name for p in others if _drawn_at_prior(p))
    return Columns(tuple(mine), at_prior, tuple(p.name for p in others if p.name not in at_prior))


def from_priors(names: Sequence[str], draws: int, seed: int) -> Floats:
    """Draw parameters from their priors, independently, each from a stream of its own name.

    The sceptical and the optimistic value of one action share their stream: how strong it is, is one unknown of both,
    and the optimistic one stays the greater. Shares and probabilities whose prior exceeds 1 are drawn from its part
    up to 1.

    Parameters
    ----------
    names : sequence of str
        Registered names of parameters with a prior.
    draws, seed : int
        How many; key of the random numbers. The first draws do not depend on how many there are.

    Returns
    -------
    ndarray of float, shape (draws, names)
    """
    known = registry()
    z = np.empty((draws, len(names)))
    for k, name in enumerate(names):
        shared = name
        for h in HYPOTHESES:
            shared = shared.removesuffix(h)
        x = np.random.default_rng(derive_seed(seed, f"prior {shared}")).standard_normal(draws)
        p = known[name]
        if p.unit in SHARES and p.prior["dist"] != "beta":
            x = special.ndtri(special.ndtr(x) * special.ndtr(to_normal([name], [[1.0]])[0, 0]))
        z[:, k] = x
    return from_normal(names, z)


def widenings(fitted: Mapping[str, Fitted], seed: int = 1) -> dict[str, Widening]:
    """Return how far the effects of the trial of each disease are widened.

    Parameters
    ----------
    fitted : mapping of str to Fitted
        Blocks by name.
    seed : int
        For the noise of the predictions of left-out cohorts.
    """
    return {chain[-1].block.disease: widening(chain, seed) for chain in chains(fitted)}


def assemble(
    fitted: Mapping[str, Fitted], draws: int = DRAWS, seed: int = 1, widened: Mapping[str, Widening] | None = None
) -> tuple[tuple[str, ...], Floats]:  # fmt: skip
    """Join the ensembles of all blocks into one table of draws.

    Parameters
    ----------
    fitted : mapping of str to Fitted
        Blocks by name, as :func:`stemtrial.calibrate.fit.fit` returns them.
    draws : int
        Rows. More than a block has members: every member stands once before one stands twice.
    seed : int
        Key of the order of the members and of what is drawn from priors.
    widened : mapping of str to Widening, optional
        By disease; those of :func:`widenings` when left out.

    Returns
    -------
    names : tuple of str
        ``columns(fitted).names``.
    values : ndarray, shape (draws, names)
        In random order, so that the first n rows are a fair sample, and the same whatever ``draws`` is.

    Raises
    ------
    InputError
        If blocks are missing or ``draws`` is not positive.
    """
    if draws < 1:
        raise InputError(f"{draws} draws cannot be made; ask for 1 or more")
    found = columns(fitted)
    wide = widenings(fitted, seed) if widened is None else widened
    table: dict[str, Floats] = {}
    for chain in chains(fitted):
        last = chain[-1]
        members = _order(len(last.z), draws, seed, f"members {last.block.disease}")
        at = {n: k for k, n in enumerate(last.ensemble.names)}
        for f in chain:
            for name in f.block.names:
                table[name] = last.ensemble.values[members, at[name]]
        sizes = _order(len(last.sds.draws), draws, seed, f"effects {last.block.disease}")
        for k, name in enumerate(last.effects):
            table[name] = wide[last.block.disease].factor * last.sds.draws[sizes, k]
    values = from_priors(found.at_prior, draws, seed)
    return found.names, np.column_stack([*(table[n] for n in found.fitted), values])


def _order(n: int, draws: int, seed: int, stream: str) -> NDArray[np.int64]:
    """Return ``draws`` of ``n`` rows in random order, each once before any twice."""
    rng = np.random.default_rng(derive_seed(seed, stream))
    return np.concatenate([rng.permutation(n) for _ in range(-(-draws // n))])[:draws].astype(np.int64)


def provenance(
    fitted: Mapping[str, Fitted], settings: Settings, names: Sequence[str], values: Floats, date: str,
    widened: Mapping[str, Widening],
) -> dict[str, Any]:  # fmt: skip
    """Return where a posterior comes from: what lies beside it in ``posterior.json``."""
    found = columns(fitted)
    told = {
        name: {
            "title": f.block.title, "after": f.block.after, "members": len(f.z),
            "passes": settings.passes or f.block.passes, "data": len(f.data),
            "trials": len(dict.fromkeys(f.groups)), "studies": sorted({d.study for d in f.data}),
            "data_identity": content_hash([asdict(d) for d in f.data])[:16], "free": list(f.block.names),
        }
        for name, f in fitted.items()
    }  # fmt: skip
    return {
        "label": f"posterior-{date}-{content_hash([list(names), values.tolist()])[:8]}",
        "date": date,
        "seed": settings.seed,
        "evidence": content_hash({n: b["data_identity"] for n, b in told.items()})[:16],
        "code": package_hash(*CODE),
        "software": {"python": platform.python_version()} | {n: importlib.metadata.version(n) for n in SOFTWARE},
        "blocks": told,
        "effects_widened": {disease: asdict(w) for disease, w in widened.items()},
        "fitted": list(found.fitted),
        "at_prior": list(found.at_prior),
        "fixed": list(found.fixed),
    }


def ship(
    fitted: Mapping[str, Fitted], folder: Path, settings: Settings | None = None, draws: int = DRAWS,
    date: str | None = None, widened: Mapping[str, Widening] | None = None,
) -> Draws:  # fmt: skip
    """Write the posterior of fitted blocks, ``posterior.csv`` and ``posterior.json``, into a folder.

    Parameters
    ----------
    fitted : mapping of str to Fitted
        Blocks by name.
    folder : Path
        Where; the package reads its own from ``src/stemtrial/parameters``.
    settings : Settings, optional
        Of the fit.
    draws : int
        Rows.
    date : str, optional
        Of the provenance and the label, ``2025-01-31``; today when left out.
    widened : mapping of str to Widening, optional
        By disease; those of :func:`widenings` when left out.

    Returns
    -------
    Draws
        As :func:`stemtrial.parameters.posterior` reads them.
    """
    s = settings or Settings()
    wide = widenings(fitted, s.seed) if widened is None else widened
    names, values = assemble(fitted, draws, s.seed, wide)
    told = provenance(fitted, s, names, values, date or datetime.datetime.now(datetime.UTC).date().isoformat(), wide)
    return write_posterior(folder, names, values, told)


__all__ = ["DRAWS", "Columns", "assemble", "chains", "columns", "from_priors", "provenance", "ship", "widenings"]
