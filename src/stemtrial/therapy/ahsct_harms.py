"""Harm of transplantation beside death: adverse events with day and grade, drawn beside the kernel.

Science: docs/design/ms_model.md section 7.2. Nothing here feeds back on the disease. Each event has a named stream of
its own by patient and day of the graft; the days without neutrophils are those of the kernel, from its own stream.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stemtrial.kernel import normals, uniforms
from stemtrial.therapy.ahsct_regimens import ANTIBODY, CONDITIONING, IRRADIATION
from stemtrial.therapy.family import Given, Harm, HarmEvents, Numbers, recorded, recording_speed

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

TERMS: Mapping[str, Harm] = {
    "neutropenia": Harm("neutropenia", 4, False),
    "thrombocytopenia_4": Harm("thrombocytopenia", 4, False),
    "thrombocytopenia_3": Harm("thrombocytopenia", 3, False),
    "mucositis": Harm("mucositis", 3, False),
    "fever": Harm("febrile neutropenia", 3, True),
    "engraftment_syndrome": Harm("engraftment syndrome", 2, False),
    "serum_sickness": Harm("serum sickness", 2, False),
    "fluid_overload": Harm("fluid overload", 3, True),
    "intensive_care": Harm("intensive care admission", 4, True),
    "infection": Harm("infection", 2, False),
    "serious_infection": Harm("serious infection", 3, True),
    "ebv": Harm("EBV reactivation", 2, False),
    "ebv_disease": Harm("EBV lymphoproliferative disease", 4, True),
    "cmv": Harm("CMV reactivation", 2, False),
    "gammopathy": Harm("monoclonal gammopathy", 1, False),
    "thyroid": Harm("secondary autoimmune thyroid disease", 2, False),
    "itp": Harm("immune thrombocytopenia", 4, True),
    "other": Harm("other secondary autoimmune disease", 3, True),
    "amenorrhoea": Harm("amenorrhoea", 2, False),
    "menses": Harm("menses recovered", 1, False),
    "ovarian_failure": Harm("ovarian failure", 3, False),
}
"""Event -> how it is recorded."""

AUTOIMMUNE = {"thyroid": "thyroid_disease", "itp": "itp", "other": "other_autoimmunity"}
OVARIAN_FAILURE_DAYS = 365
"""Menses that have not returned by then, and do not later, are called failure."""
MOST_INFECTIONS = 24


def engraftment(seed: int, given: Given, parameters: Numbers) -> tuple[Floats, Floats]:
    """Days after the graft on which neutrophils pass 0.5e9/l and platelets 20e9/l.

    Parameters
    ----------
    seed : int
        Key of the trial's random numbers.
    given : Given
        Transplants.
    parameters : mapping
        One draw; reads ``ahsct.*``.

    Returns
    -------
    neutrophils, platelets : ndarray, shape (rows,)
        Neutrophils as the kernel's event ``engraftment`` says; 0 where they never fall so low.

    Notes
    -----
    docs/design/ms_model.md section 7.2; ruizarguelles2019_mexico617, nash2017_haltms.
    """
    return _Transplants(seed, given, parameters).engrafted


def adverse_events(seed: int, given: Given, parameters: Numbers) -> list[HarmEvents]:
    """Draw the adverse events of transplants, deaths excepted.

    Parameters
    ----------
    seed : int
        Key of the trial's random numbers.
    given : Given
        Who was transplanted on which day, and how. Reads the facts ``edss``, ``age_years``, ``female`` and
        ``previous_cyclophosphamide`` (0 or 1); missing ones mean 4, 40, 0 and 0.
    parameters : mapping
        One draw; reads ``ahsct.*``.

    Returns
    -------
    list of HarmEvents
        Up to the end of life: the caller leaves out what lies beyond follow-up.

    Notes
    -----
    docs/design/ms_model.md section 7.2.
    """
    t = _Transplants(seed, given, parameters)
    return [*_first_weeks(t), *_infections(t), *_viruses(t), *_autoimmunity(t), *_menses(t)]


@dataclass(frozen=True)
class _Transplants:
    """Transplants of one regimen with what their harm depends on."""

    seed: int
    given: Given
    p: Numbers

    def __len__(self) -> int:
        return len(self.given.patient)

    def value(self, symbol: str, word: str = "") -> float:
        return self.p[f"ahsct.{symbol}.{word}" if word else f"ahsct.{symbol}"]

    @property
    def conditioning(self) -> str:
        return str(self.given.settings["conditioning"])

    @property
    def intensity(self) -> str:
        return CONDITIONING[self.conditioning]

    @property
    def antibody(self) -> str:
        return ANTIBODY[self.conditioning]

    @property
    def selected(self) -> bool:
        return str(self.given.settings.get("cd34_selected", "no")) == "yes"

    def fact(self, name: str, otherwise: float) -> Floats:
        return np.asarray(self.given.facts.get(name, np.full(len(self), otherwise)), float)

    def uniform(self, event: str, n: int) -> Floats:
        return uniforms(self.seed, self.given.patient, self.given.start, f"ahsct.harm.{event}", n)

    def by_edss(self, reference: float) -> Floats:
        """Probability at each EDSS from that at EDSS 4."""
        odds = reference / (1.0 - reference) * np.exp(self.value("frailty_edss") * (self.fact("edss", 4.0) - 4.0))
        return np.asarray(odds / (1.0 + odds))

    @cached_property
    def engrafted(self) -> tuple[Floats, Floats]:
        stream = f"ahsct.infuse.{self.intensity}"  # of the kernel's dose, whose third normal number this is
        w = normals(self.seed, self.given.patient, self.given.start, stream, 3)[:, 2]
        cells = float(self.given.settings["cells_1e6_per_kg"]) / 5.0
        norm, growth = self.value("neutrophils"), self.value("growth")
        reserve = self.value("neutrophils_graft", self.intensity) * np.exp(self.value("neutrophils_graft_sd") * w)
        low = norm / 0.5 - 1.0
        neutrophils = np.log(np.maximum(norm / (reserve * np.sqrt(cells)) - 1.0, low) / low) / growth
        v = normals(self.seed, self.given.patient, self.given.start, "ahsct.harm.platelets", 1)[:, 0]
        median = self.value("platelet_days", self.intensity) * cells ** self.value("platelet_days_cells")
        return neutrophils, median * np.exp(self.value("platelet_days_sd") * v)

    def tell(self, event: str, who: Mask, days: Floats | float) -> HarmEvents:
        """Events of some rows, ``days`` after the graft of each row."""
        row = np.flatnonzero(who)
        wait = np.broadcast_to(np.asarray(days, float), len(self))[row]
        return HarmEvents(row, self.given.start[row] + np.floor(wait).astype(np.int64), TERMS[event])

    def chance(self, event: str, probability: Floats | float) -> Floats | float:
        """Probability that it happens and is recorded."""
        return recorded(probability, TERMS[event], self.given.recording)

    def happens(self, event: str, probability: Floats | float) -> HarmEvents:
        """Events of this probability, evenly between the first and the last day of their window."""
        u = self.uniform(event, 2)
        earliest, latest = self.value("first_day", event), self.value("last_day", event)
        return self.tell(event, u[:, 0] < self.chance(event, probability), earliest + u[:, 1] * (latest - earliest))


def _first_weeks(t: _Transplants) -> Sequence[HarmEvents]:
    neutrophils, platelets = t.engrafted
    fever = -np.log(t.uniform("fever", 1)[:, 0]) / max(t.value("fever_neutropenic"), 1e-12)
    irradiated = t.conditioning in IRRADIATION and t.selected
    syndrome = t.value("engraftment_syndrome_tbi" if irradiated else "engraftment_syndrome")
    u = t.uniform("engraftment_syndrome", 2)
    within = t.value("engraftment_syndrome_days")
    serum = t.value("serum_sickness") if t.antibody == "atg" else 0.0
    return [
        t.tell("neutropenia", neutrophils > 0.0, 0.0),
        t.tell("thrombocytopenia_4", platelets >= 1.0, 0.0),
        t.tell("thrombocytopenia_3", (platelets > 0.0) & (platelets < 1.0), 0.0),
        t.happens("mucositis", t.value("mucositis", t.intensity)),
        t.tell("fever", fever < neutrophils, fever),
        t.tell(
            "engraftment_syndrome", u[:, 0] < t.chance("engraftment_syndrome", syndrome), neutrophils + within * u[:, 1]
        ),
        t.happens("serum_sickness", serum),
        t.happens("fluid_overload", t.by_edss(t.value("fluid_overload", t.intensity))),
        t.happens("intensive_care", t.by_edss(t.value("intensive_care", t.intensity))),
    ]


def _infections(t: _Transplants) -> Sequence[HarmEvents]:
    """Poisson, with a rate that is constant without neutrophils and fades in two times as T cells return."""
    frailty = np.exp(t.value("infection_edss") * (t.fact("edss", 4.0) - 4.0))
    frailty = frailty * (1.0 if t.selected else t.value("infection_unselected"))
    out = []
    speeds = {e: recording_speed(TERMS[e], t.given.recording) for e in ("infection", "serious_infection")}
    for kind in ("neutropenic", "early", "late"):
        u = t.uniform(f"infection.{kind}", 2 * MOST_INFECTIONS)
        rate = t.value(f"infection_{kind}") * frailty
        spent = np.cumsum(-np.log(u[:, :MOST_INFECTIONS]), axis=1) / np.maximum(rate, 1e-12)[:, None]
        serious = u[:, MOST_INFECTIONS:] < t.value("infection_serious")
        for event, of_kind in (("infection", ~serious), ("serious_infection", serious)):
            told = spent / np.broadcast_to(speeds[event], len(t))[:, None]
            if kind == "neutropenic":
                days, happened = told, told < t.engrafted[0][:, None]
            else:
                tau = t.value(f"infection_{kind}_days")
                happened = told < tau
                days = -tau * np.log1p(-np.where(happened, told, 0.0) / tau)
            row, which = np.nonzero(happened & of_kind)
            day = t.given.start[row] + np.floor(days[row, which]).astype(np.int64)
            out.append(HarmEvents(row, day, TERMS[event]))
    return out


def _viruses(t: _Transplants) -> Sequence[HarmEvents]:
    u = t.uniform("ebv", 4)
    ebv = u[:, 0] < t.value("ebv", t.antibody)
    noted = u[:, 0] < t.chance("ebv", t.value("ebv", t.antibody))  # disease follows the virus, noted or not
    first, last = t.value("first_day", "ebv"), t.value("last_day", "ebv")
    rises = first + (last - first) * u[:, 1]
    disease = ebv & (u[:, 2] < t.value("ebv_disease", "selected" if t.selected else "unselected"))
    return [
        t.tell("ebv", noted, rises),
        t.tell("ebv_disease", disease, rises + t.value("ebv_disease_days") * u[:, 3]),
        t.happens("cmv", t.value("cmv", t.antibody)),
        t.happens("gammopathy", t.value("gammopathy", t.antibody)),
    ]


def _autoimmunity(t: _Transplants) -> Sequence[HarmEvents]:
    """Rare at first, most of it in the years after: two waits after each other."""
    more = t.value("autoimmunity_selected") if t.selected and t.antibody == "atg" else 1.0
    out = []
    for event, symbol in AUTOIMMUNE.items():
        u = t.uniform(event, 3)
        wait = -(np.log(u[:, 1]) + np.log(u[:, 2])) * t.value("autoimmunity_days", event) / 2
        out.append(t.tell(event, u[:, 0] < t.chance(event, more * t.value(symbol, t.antibody)), wait))
    return out


def _menses(t: _Transplants) -> Sequence[HarmEvents]:
    """Menses of women before menopause stop at the graft and return, or not, by age and earlier alkylating therapy."""
    age = t.fact("age_years", 40.0)
    u = t.uniform("menses", 2)
    z = normals(t.seed, t.given.patient, t.given.start, "ahsct.harm.menses_days", 1)[:, 0]
    stop = (t.fact("female", 0.0) > 0.5) & (age < t.value("menopause_age")) & (u[:, 0] < t.value("amenorrhoea"))
    logit = t.value("menses_recovery") + t.value("menses_recovery_age") * (age - 32.0)
    logit = logit + t.value("menses_recovery_cyclophosphamide") * t.fact("previous_cyclophosphamide", 0.0)
    logit = logit + (t.value("menses_recovery_tbi") if t.conditioning in IRRADIATION else 0.0)
    back = u[:, 1] < 1.0 / (1.0 + np.exp(-logit))
    sd = t.value("menses_days_sd")
    wait = t.value("menses_days") * np.exp(sd * z - 0.5 * sd * sd)
    return [
        t.tell("amenorrhoea", stop, 30.0),
        t.tell("menses", stop & back, np.maximum(wait, 31.0)),
        t.tell("ovarian_failure", stop & ~back, OVARIAN_FAILURE_DAYS),
    ]
