"""Every number of the science, as data: symbol, meaning, value, unit, prior, source, and what identifies it.

The numbers lie in YAML beside their owners (``disease/ms.parameters.yaml`` holds ``ms.*``); this room registers them.
``Draws`` is a weighted table over all of them: ``point_draw()`` until a posterior is fitted, the same path afterwards.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from stemtrial.errors import InputError, did_you_mean

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_KEYS = {"value", "unit", "meaning", "source", "prior", "identified_by", "no_effect"}


@dataclass(frozen=True)
class Parameter:
    """One number.

    Attributes
    ----------
    name : str
        Registered name, ``owner.symbol``.
    value : float
        Point value.
    unit, meaning, source : str
        ``source`` is a DOI, a study id, a section of the design, or starts with ``assumed`` or ``calibrated``.
    prior : mapping
        Distribution of the number, empty where it is fixed.
    identified_by : str
        The target that fixes it; empty where none does.
    no_effect : float, optional
        The value at which an effect vanishes.
    """

    name: str
    value: float
    unit: str
    meaning: str
    source: str
    prior: Mapping[str, Any]
    identified_by: str
    no_effect: float | None = None

    @property
    def assumed(self) -> bool:
        """Whether no source fixes the number."""
        return "assumed" in self.source


def _numbers(name: str, entry: Mapping[str, Any], where: str) -> list[Parameter]:
    unknown = set(entry) - _KEYS
    if unknown:
        key = sorted(unknown)[0]
        raise InputError(f"{where}: {name}: unknown key '{key}'{did_you_mean(key, _KEYS)}")
    for key in ("value", "unit", "meaning", "source"):
        if key not in entry:
            raise InputError(f"{where}: {name}: '{key}' is missing; every parameter states {', '.join(sorted(_KEYS))}")
    value = entry["value"]
    items = value.items() if isinstance(value, dict) else [(None, value)]
    return [
        Parameter(
            name=name if k is None else f"{name}.{k}",
            value=float(v),
            unit=str(entry["unit"]),
            meaning=str(entry["meaning"]) + ("" if k is None else f" ({k})"),
            source=str(entry["source"]),
            prior=entry.get("prior") or {},
            identified_by=str(entry.get("identified_by", "")),
            no_effect=entry.get("no_effect"),
        )
        for k, v in items
    ]


@cache
def registry() -> Mapping[str, Parameter]:
    """Return all parameters by registered name, in the order of their files."""
    out: dict[str, Parameter] = {}
    rooms = [r for r in files("stemtrial").iterdir() if r.is_dir()]
    found = [f for room in rooms for f in room.iterdir() if f.name.endswith(".parameters.yaml")]
    for file in sorted(found, key=lambda f: f.name):
        owner = file.name.removesuffix(".parameters.yaml")
        for symbol, entry in yaml.load(file.read_text(), Loader=_LOADER).items():
            for p in _numbers(f"{owner}.{symbol}", entry, file.name):
                if p.name in out:
                    raise InputError(f"{file.name}: parameter '{p.name}' is declared twice")
                out[p.name] = p
    return out


@dataclass(frozen=True)
class Draws:
    """A weighted table of parameter values.

    Attributes
    ----------
    label : str
        ``"point"`` or the name of a posterior.
    names : tuple of str
        Columns.
    values : ndarray, shape (draws, parameters)
    """

    label: str
    names: tuple[str, ...]
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, k: int) -> dict[str, float]:
        """Return draw ``k mod len(self)`` as a mapping from name to value."""
        return dict(zip(self.names, self.values[k % len(self)].tolist(), strict=True))

    @property
    def identity(self) -> str:
        """Hash of all values."""
        text = json.dumps([self.names, self.values.tolist()])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def point_draw(changes: Mapping[str, float] | None = None) -> Draws:
    """Return the one draw of point values, with some values changed.

    Raises
    ------
    InputError
        If a changed name is not registered.
    """
    known = registry()
    for name in changes or {}:
        if name not in known:
            raise InputError(f"parameter '{name}' is not registered{did_you_mean(name, known)}")
    values = {n: p.value for n, p in known.items()} | dict(changes or {})
    return Draws("point", tuple(values), np.array([list(values.values())]))


__all__ = ["Draws", "Parameter", "point_draw", "registry"]
