"""Ways to give cells: where the viable cells of a dose go, and what the procedure itself costs the patient.

Shares lie in ``routes.yaml``, each with its source; the probabilities of procedure harms are parameters of ``cells``.
"""

from __future__ import annotations

import functools
import importlib.resources
from collections.abc import Mapping

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import Field, model_validator

from stemtrial.disease import als, ms
from stemtrial.errors import InputError, did_you_mean
from stemtrial.kernel import uniforms
from stemtrial.therapy.family import Given, Harm, HarmEvents, Numbers, recorded
from stemtrial.therapy.info import Record

REGIONS: Mapping[str, tuple[str, ...]] = {"ms": ms.REGIONS, "als": als.REGIONS}
"""Regions that cells may reach, by disease."""


class Shares(Record):
    """Where the viable cells of a dose go.

    Attributes
    ----------
    lung, csf, tissue, blood : float
        Shares of the dose: caught in the lung, in the cerebrospinal fluid, inside brain or cord, circulating; the rest
        is lost.
    regions : mapping of str to mapping of str to float
        By disease, how strongly each region of :data:`REGIONS` is exposed; the most exposed is 1, by vein 0. In a
        disease that is not here the therapy is not given so.
    source : str
        Study id or ``assumed``.
    """

    lung: float = Field(ge=0, le=1)
    csf: float = Field(ge=0, le=1)
    tissue: float = Field(ge=0, le=1)
    blood: float = Field(default=0, ge=0, le=1)
    regions: Mapping[str, Mapping[str, float]]
    source: str

    @model_validator(mode="after")
    def _adds_up(self) -> Shares:
        if self.lung + self.csf + self.tissue + self.blood > 1 + 1e-9:
            raise ValueError("lung, csf, tissue and blood exceed the dose; mend the shares")
        for disease, exposed in self.regions.items():
            known = REGIONS.get(disease, ())
            if set(exposed) != set(known) or max(exposed.values()) not in (0.0, 1.0):
                raise ValueError(f"regions of {disease} must be {', '.join(known)} with 1 as the largest; mend them")
        return self

    def weights(self, disease: str) -> tuple[float, ...]:
        """Exposure of the regions of a disease, in the order of :data:`REGIONS`."""
        return tuple(self.regions[disease][r] for r in REGIONS[disease])


class Segment(Record):
    """Where in the cord needles go.

    Attributes
    ----------
    meaning, source : str
        One line; study id or ``assumed``.
    regions : mapping of str to float
        Share of the dose that each region gets; 1 in all.
    reach : float
        Share of such a region that the needles reach: 0.5 on one side.
    """

    meaning: str
    regions: Mapping[str, float]
    reach: float = Field(gt=0, le=1)
    source: str

    @model_validator(mode="after")
    def _adds_up(self) -> Segment:
        if abs(sum(self.regions.values()) - 1.0) > 1e-9:
            raise ValueError(f"the shares of the regions sum to {sum(self.regions.values()):g}, not 1; mend them")
        return self


class Route(Record):
    """One way to give cells.

    Attributes
    ----------
    name, label, procedure, source : str
        Name in a protocol, name in a report, what is done, where it is described.
    stay_days : int
        Days in hospital.
    events : tuple of str
        Events of the procedure, of :data:`PROCEDURE_HARMS`, with probability ``cells.<event>.<route>``.
    shares : mapping of str to Shares
        By therapy of the catalogue; a therapy that is not here cannot be given so.
    segments : mapping of str to mapping of str to Segment
        By disease and name, where needles go; empty where there is nothing to choose.
    """

    name: str
    label: str
    procedure: str
    stay_days: int = Field(ge=0)
    events: tuple[str, ...]
    source: str
    shares: Mapping[str, Shares]
    segments: Mapping[str, Mapping[str, Segment]] = Field(default_factory=dict)


@functools.cache
def routes() -> Mapping[str, Route]:
    """All routes by name."""
    text = importlib.resources.files("stemtrial.therapy").joinpath("routes.yaml").read_text(encoding="utf-8")
    return {name: Route.model_validate(entry | {"name": name}) for name, entry in yaml.safe_load(text).items()}


def route(name: str) -> Route:
    """One route.

    Raises
    ------
    InputError
        If it is not known.
    """
    if name not in routes():
        raise InputError(f"route '{name}' is not known{did_you_mean(name, routes())}")
    return routes()[name]


def routes_of(therapy: str, disease: str | None = None) -> tuple[str, ...]:
    """Routes by which a therapy of the catalogue can be given: in one disease, or in any."""
    found = ((name, r.shares[therapy]) for name, r in routes().items() if therapy in r.shares)
    return tuple(name for name, s in found if disease is None or disease in s.regions)


# -- harm -----------------------------------------------------------------------------------------------------------
PROCEDURE_HARMS: Mapping[str, Harm] = {
    "headache": Harm("headache", 2, False),
    "back_or_leg_pain": Harm("back or leg pain", 2, False),
    "procedure_complication": Harm("procedure complication", 3, True),
    "procedure_related_infection": Harm("procedure-related infection", 3, True),
    "intracranial_haemorrhage": Harm("intracranial haemorrhage", 3, True),
}
"""Event of a procedure -> its record; probability ``cells.<event>.<route>``, delay ``cells.onset_days.<event>``."""


def after_dose(
    seed: int,
    given: Given,
    event: str,
    day: NDArray[np.int64],
    probability: float | NDArray[np.float64],
    delay_days: float,
    harm: Harm,
) -> HarmEvents:
    """Draw one event that follows a dose with a probability: yes or no, then an exponential delay.

    Parameters
    ----------
    seed : int
        Key of the trial's random numbers.
    given : Given
        Who got what; the stream is named by therapy, route and event.
    event : str
        Name of the event.
    day : ndarray of int64, shape (rows,)
        Day of the dose on the patient's clock.
    probability : float or ndarray, shape (rows,)
        Probability of the event; 0 where nothing was given. How readily the trial records moves it.
    delay_days : float
        Mean delay (d); 0: on the day of the dose.
    harm : Harm
        How it is recorded.
    """
    stream = f"harms.{event}.{given.therapy}.{given.settings.get('route', 'all')}"
    u = uniforms(seed, given.patient, day, stream, 2)
    row = np.flatnonzero(u[:, 0] < recorded(probability, harm, given.recording))
    later = np.floor(-np.log(u[row, 1]) * delay_days).astype(np.int64)
    return HarmEvents(row, day[row] + later, harm)


def procedure_harms(seed: int, given: Given, parameters: Numbers, days: list[int]) -> list[HarmEvents]:
    """Draw the events of the procedure itself, with or without cells in the syringe.

    Parameters
    ----------
    seed : int
        Key of the trial's random numbers.
    given : Given
        Who got what; ``settings["route"]`` says how.
    parameters : mapping
        One draw; reads ``cells.<event>.<route>``, and ``cells.injections`` where the entry says how many.
    days : list of int
        Days of the doses from ``given.start``; those on or after ``given.stop``, but for the first, are not given.
    """
    way, said = route(str(given.settings["route"])), given.settings.get("injections")
    times = 1.0 if said is None else float(said) / parameters["cells.injections"]
    out = []
    for later in days:
        done = doses_given(given, later)
        for event in way.events:
            once = parameters[f"cells.{event}.{way.name}"]
            p = np.where(done, once if times == 1.0 else 1.0 - (1.0 - once) ** times, 0.0)
            onset = parameters[f"cells.onset_days.{event}"]
            out.append(after_dose(seed, given, event, given.start + later, p, onset, PROCEDURE_HARMS[event]))
    return out


def doses_given(given: Given, later: int) -> NDArray[np.bool_]:
    """Who got the dose ``later`` days after the first: all the first, the others only before ``given.stop``."""
    return np.full(len(given.patient), True) if later == 0 else given.start + later < given.stop


__all__ = [
    "PROCEDURE_HARMS", "REGIONS", "Route", "Segment", "Shares", "after_dose", "doses_given", "procedure_harms", "route",
    "routes", "routes_of",
]  # fmt: skip
