"""The register of all numbers: read from the YAML beside their owners, refused when malformed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

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


def parameters_identity() -> str:
    """Hash of every value and prior of the register: what a fit depends on."""
    numbers = {name: [p.value, dict(p.prior)] for name, p in registry().items()}
    return hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()[:16]
