"""Draws: a table of parameter values, one row a draw, one column a registered number."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stemtrial.errors import InputError, did_you_mean
from stemtrial.parameters.register import parameters_identity, registry

POINT = "point_parameters"
OTHER_PARAMETERS = "posterior_of_other_parameters"
"""Labels that results carry: one chosen value of each parameter; a posterior of when numbers or priors were others."""


@dataclass(frozen=True)
class Draws:
    """A table of parameter values.

    Attributes
    ----------
    label : str
        ``"point"`` or the name of a posterior.
    names : tuple of str
        Columns.
    values : ndarray, shape (draws, parameters)
    provenance : mapping
        Where they come from; empty for point values. ``parameters`` is the :func:`parameters_identity` of the fit.
    """

    label: str
    names: tuple[str, ...]
    values: NDArray[np.float64]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, k: int) -> dict[str, float]:
        """Return draw ``k mod len(self)`` as a mapping from name to value."""
        return dict(zip(self.names, self.values[k % len(self)].tolist(), strict=True))

    @cached_property
    def identity(self) -> str:
        """Hash of all values."""
        text = json.dumps([self.names, self.values.tolist()])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def first(self, n: int) -> Draws:
        """Return the first ``n`` draws.

        Raises
        ------
        InputError
            If there are fewer, or ``n`` is not positive.
        """
        if not 1 <= n <= len(self):
            raise InputError(f"--draws {n}: {self.label} has {len(self)} draws; use 1 to {len(self)}")
        return Draws(self.label, self.names, self.values[:n], self.provenance)

    def one(self, k: int) -> Draws:
        """Return draw ``k mod len(self)`` as a table of its own, with an identity that is its own."""
        row = k % len(self)
        return Draws(self.label, self.names, self.values[row : row + 1], self.provenance)

    @property
    def labels(self) -> list[str]:
        """Labels that results of these draws carry: :data:`POINT` or :data:`OTHER_PARAMETERS`, where they apply."""
        fitted = self.provenance.get("parameters")
        stale = fitted is not None and fitted != parameters_identity()
        return [POINT] * (len(self) == 1 and not self.provenance) + [OTHER_PARAMETERS] * stale


def _registered(names: Sequence[str]) -> None:
    known = registry()
    for name in names:
        if name not in known:
            raise InputError(f"parameter '{name}' is not registered{did_you_mean(name, known)}")


def point_draw(changes: Mapping[str, float] | None = None) -> Draws:
    """Return the one draw of point values, with some values changed.

    Raises
    ------
    InputError
        If a changed name is not registered.
    """
    _registered(list(changes or {}))
    values = {n: p.value for n, p in registry().items()} | dict(changes or {})
    return Draws("point", tuple(values), np.array([list(values.values())]))


def draws_with(
    names: Sequence[str], values: ArrayLike, label: str = "given", provenance: Mapping[str, Any] | None = None
) -> Draws:
    """Return draws that differ in some parameters; everything else stands at its point value.

    Parameters
    ----------
    names : sequence of str
        Registered names, each once.
    values : array, shape (draws, names)
        One row a draw.
    label : str
        Name of the table.
    provenance : mapping, optional
        Where it comes from.

    Raises
    ------
    InputError
        If a name is not registered or stands twice, the shape does not fit, or a value is not finite.
    """
    table = np.asarray(values, np.float64)
    _registered(names)
    if len(set(names)) != len(names):
        twice = next(n for n in names if list(names).count(n) > 1)
        raise InputError(f"parameter '{twice}' has two columns; give each parameter once")
    if table.ndim != 2 or table.shape[1] != len(names) or not len(table):
        raise InputError(f"draws of shape {table.shape} do not fit {len(names)} names; give (draws, {len(names)})")
    if not np.isfinite(table).all():
        name = names[int(np.argwhere(~np.isfinite(table))[0, 1])]
        raise InputError(f"parameter '{name}' has a draw that is not finite; every value is a finite number")
    point = point_draw()
    out = np.repeat(point.values, len(table), axis=0)
    column = {name: k for k, name in enumerate(point.names)}
    out[:, [column[n] for n in names]] = table
    return Draws(label, point.names, out, dict(provenance or {}))
