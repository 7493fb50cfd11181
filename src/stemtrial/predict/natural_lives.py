"""What the estimates of natural history need of each untreated person: small arrays, whatever the number of people."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Lives(ABC):
    """Untreated people of one kind; rows are people. A disease adds what it measures.

    Attributes
    ----------
    female : ndarray of bool
    onset_age, end_years : ndarray of float
        Age at onset; years from onset to death or the horizon.
    time, event : dict of ndarray
        By event: years to it or to censoring, and whether it happened; ``death`` among them.
    step : float
        Years between visits.
    """

    step: ClassVar[float]
    female: Bools
    onset_age: Floats
    end_years: Floats
    time: dict[str, Floats]
    event: dict[str, Bools]

    def __len__(self) -> int:
        return len(self.female)

    @property
    @abstractmethod
    def years(self) -> int:
        """Longest follow-up, whole years."""

    def take(self, rows: Any) -> Self:
        """Some of the people."""
        kept: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        some: dict[str, Any] = {
            k: {e: x[rows] for e, x in v.items()} if isinstance(v, dict) else v[rows] for k, v in kept.items()
        }
        return type(self)(**some)

    @classmethod
    def join(cls, parts: list[Self]) -> Self:
        """Put people with the same follow-up together."""

        def both(name: str) -> Any:
            values = [getattr(p, name) for p in parts]
            if isinstance(values[0], dict):
                return {e: np.concatenate([v[e] for v in values]) for e in values[0]}
            return np.concatenate(values)

        return cls(**{f.name: both(f.name) for f in fields(cls)})
