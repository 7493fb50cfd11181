"""Blocks of the fit: which parameters are free, on whose data, with how many members (``blocks.yaml``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from stemtrial.calibrate.data import Datum, data
from stemtrial.errors import InputError, did_you_mean
from stemtrial.parameters import registry

MEMBERS_A_PARAMETER = 10
"""Members of the ensemble for each free parameter, at least (measured: fewer collapse)."""
MAX_FREE = 40
"""Free parameters of a block, at most."""


class Learns(BaseModel):
    """Whose outcomes a parameter learns from: all of the block where nothing is said.

    Attributes
    ----------
    therapy : str or None
        Only outcomes of arms that are given it.
    domains : tuple of str
        Only outcomes of these kinds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    therapy: str | None = None
    domains: tuple[str, ...] = ()

    def weight(self, datum: Datum) -> float:
        """1 where the parameter learns from the datum, else 0."""
        given = self.therapy is None or self.therapy in datum.therapies
        return float(given and (not self.domains or datum.domain in self.domains))


class Block(BaseModel):
    """One block of the fit.

    Attributes
    ----------
    title, disease : str
        What it is.
    after : str or None
        Block whose members it starts from; their parameters are not changed by its data.
    lanes : tuple of str
        Whose outcomes it is fitted to.
    members, passes : int
        Size of the ensemble; how often the simulator runs and the data are assimilated, before the last run.
    parameters : mapping of str to Learns
        Free parameters by registered name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    disease: str
    after: str | None = None
    lanes: tuple[str, ...]
    members: int
    passes: int
    parameters: Mapping[str, Learns]

    @property
    def names(self) -> tuple[str, ...]:
        """Free parameters, in the order of the columns of an ensemble."""
        return tuple(self.parameters)

    def data(self) -> list[Datum]:
        """Return what it is fitted to, in an order that never changes."""
        mine = [d for d in data(self.disease)[0] if d.lane in self.lanes]
        return sorted(mine, key=lambda d: (d.cohort, d.study, d.protocol, int(d.outcome_id.partition("#")[2])))

    def mask(self, found: Sequence[Datum]) -> NDArray[np.float64]:
        """Which parameter learns from which datum, shape (parameters, data)."""
        return np.array([[learns.weight(d) for d in found] for learns in self.parameters.values()])


@cache
def blocks() -> Mapping[str, Block]:
    """Return all blocks by name, those that others come after first.

    Raises
    ------
    InputError
        If a block is malformed, names a parameter that is not registered or has no prior, or has too few members.
    """
    text = (files("stemtrial.calibrate") / "blocks.yaml").read_text()
    known = registry()
    out: dict[str, Block] = {}
    for name, entry in yaml.safe_load(text).items():
        try:
            block = Block.model_validate(entry)
        except ValidationError as e:
            first = e.errors()[0]
            raise InputError(f"blocks.yaml: {name}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        for p in block.names:
            if p not in known:
                raise InputError(f"blocks.yaml: {name}: parameter '{p}' is not registered{did_you_mean(p, known)}")
            if not known[p].prior or known[p].prior.get("dist") == "fixed":
                raise InputError(f"blocks.yaml: {name}: parameter '{p}' has no prior; give it one beside its value")
        if len(block.names) > MAX_FREE:
            raise InputError(f"blocks.yaml: {name}: {len(block.names)} parameters are free, at most {MAX_FREE} may be")
        if block.members < MEMBERS_A_PARAMETER * len(block.names):
            least = MEMBERS_A_PARAMETER * len(block.names)
            raise InputError(f"blocks.yaml: {name}: {block.members} members are too few; give {least} or more")
        if block.after is not None and block.after not in out:
            raise InputError(f"blocks.yaml: {name}: comes after '{block.after}', which is no earlier block")
        out[name] = block
    return out


def with_earlier(names: Iterable[str]) -> list[str]:
    """Return blocks and those that they come after, earlier ones first.

    Raises
    ------
    InputError
        If a block does not exist.
    """
    known = blocks()
    wanted: set[str] = set()
    for name in names:
        at: str | None = name
        while at is not None:
            if at not in known:
                raise InputError(f"there is no block '{at}'{did_you_mean(at, known)}")
            wanted.add(at)
            at = known[at].after
    return [name for name in known if name in wanted]
