"""Natural history of MS: kinds of onset, and the estimators of its quantities (``natural_ms.yaml``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stemtrial.parameters import Draws
from stemtrial.predict import natural_estimators as estimate
from stemtrial.predict import natural_ms_estimators as ms
from stemtrial.predict.natural_estimators import NOTHING, Estimated
from stemtrial.predict.natural_ms_curves import ONSET_YEAR, ONSETS, estimates, pictures
from stemtrial.predict.natural_ms_lives import MsLives, simulate
from stemtrial.predict.natural_quantity import Found, Nature, People, Quantity, Scenario, Worlds, compared

Bools = NDArray[np.bool_]


class MsPeople(People):
    """Whose lives: kind and year of onset, and which of them.

    Attributes
    ----------
    onset : {"relapsing", "primary", "paediatric", "mixed"}
        ``mixed``: relapsing onset with ``primary_share`` of primary progressive onset.
    onset_year : float
        Calendar year of onset.
    early_attacks : (low, high) or None
        Attacks of the first two years from low to high, the first counted.
    """

    onset: Literal["relapsing", "primary", "paediatric", "mixed"] = "relapsing"
    onset_year: float = ONSET_YEAR
    primary_share: float = 0.0
    early_attacks: tuple[float, float] | None = None

    def scenarios(self) -> set[Scenario]:
        """Kinds and years of onset that have to be simulated."""
        kinds = ("relapsing", "primary") if self.onset == "mixed" else (self.onset,)
        return {(k, self.onset_year) for k in kinds}

    def rows(self, lives: MsLives) -> Bools:
        """Who of ``lives`` is meant."""
        out = super().rows(lives)
        if self.early_attacks is not None:
            out &= (lives.early_attacks >= self.early_attacks[0]) & (lives.early_attacks <= self.early_attacks[1])
        return out

    def of(self, worlds: Worlds) -> MsLives:
        """Lives of those who are meant."""
        if self.onset != "mixed":
            lives: MsLives = super().of(worlds)
            return lives
        relapsing, primary = (worlds[k, self.onset_year] for k in ("relapsing", "primary"))
        # the smaller group sets how many of the other belong to it
        share = self.primary_share
        n = min(len(relapsing), int(len(primary) * (1 - share) / share))
        both = MsLives.join([relapsing.take(slice(0, n)), primary.take(slice(0, round(n * share / (1 - share))))])
        return both.take(self.rows(both))


class MsQuantity(Quantity):
    """A quantity of people with MS."""

    people: MsPeople = MsPeople()
    against: MsPeople | None = None


def _relapse_rate(x: Found, start: int, end: int) -> Estimated:
    lives, options, _ = x
    if end > lives.years:
        return NOTHING
    count = lives.relapses[:, start:end].copy()
    if options.get("with_onset") and start == 0:
        count[:, 0] += 1.0
    return estimate.rate(count, lives.exposure[:, start:end])


def _per_relapse(x: Found, event: str) -> Estimated:
    lives, options, _ = x
    low, high = options["between"]
    before = np.hstack([np.zeros((len(lives), 1)), np.cumsum(lives.relapses, axis=1)])
    covariate = before if high <= 5 else np.repeat(before[:, [min(5, lives.years)]], lives.years + 1, axis=1)
    return estimate.hazard_ratio_per(lives.time[event], lives.event[event], covariate, low, high)


def _per_calendar_year(q: MsQuantity, mine: MsLives, others: MsLives, event: str) -> Estimated:
    assert q.against is not None
    e, apart = compared(mine, others, event), q.people.onset_year - q.against.onset_year
    value, low, high = (float(v ** (1 / apart)) for v in e[:3])
    return Estimated(value, low, high, e.people)


def _simulate(
    draws: Draws, draw: int, scenario: Scenario, *, people: int, years: int, seed: int, threads: int,
    progress: Callable[[float], None] | None,
) -> MsLives:  # fmt: skip
    onset, onset_year = scenario
    return simulate(
        draws, draw, people=people, years=years, onset=onset, onset_year=onset_year, seed=seed, threads=threads,  # type: ignore[arg-type]
        progress=progress,
    )  # fmt: skip


MS = Nature(
    disease="ms",
    quantity=MsQuantity,
    finders={
        "hazard_ratio_per_relapse": _per_relapse,
        "relapse_rate": lambda x, years: _relapse_rate(x, *years),
        "relapse_rate_at": lambda x, edss: ms.relapse_rate_at(x[0], *edss),
        "relapse_fall": lambda x, years: ms.fall_per_5_years(x[0], *years),
        "edss_slope": lambda x, years: ms.edss_slope(x[0], *years),
        "transition": lambda x, edss: ms.transition(x[0], *edss),
        "spms_within_a_year": lambda x, edss: ms.spms_within_a_year(x[0], *edss),
        "atrophy": lambda x, span: ms.atrophy(x[0], *span),
        "mortality_ratio": lambda x, edss: ms.mortality_ratio(x[0], x[2], None if edss == "all" else edss),
    },
    comparers={
        "hazard_ratio": lambda q, mine, others, event: compared(mine, others, event),
        "hazard_ratio_per_calendar_year": _per_calendar_year,
    },
    onsets={kind: (kind, ONSET_YEAR) for kind in ONSETS},
    groups=tuple(ONSETS.values()),
    families=("steroids",),
    simulate=_simulate,
    estimates=estimates,
    pictures=pictures,
)
"""The natural history of MS."""
