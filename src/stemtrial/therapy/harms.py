"""Harm of conventional therapy: adverse events drawn from what each patient was given, beside the kernel.

Nothing here feeds back on the disease, so that the events can be drawn after the trial, each from its own named stream
by patient, therapy and event: adding an event or a therapy shifts no other. The harm of transplantation is the kernel's
own, since it may end a life.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from stemtrial.errors import InputError
from stemtrial.kernel import YEAR, uniforms
from stemtrial.therapy.depleting import COURSE_DAYS, DEPLETING
from stemtrial.therapy.family import Harm, recorded, recording_speed
from stemtrial.therapy.info import therapy_info

Floats = NDArray[np.float64]
Timing = Literal["start", "course", "rate", "late", "dose", "pml"]
PML_DAYS = 730
"""Exposure to natalizumab after which the risk of PML rises."""

HARMS: Mapping[str, tuple[Harm, Timing]] = {
    "flu_like": (Harm("influenza-like illness", 2, False), "start"),
    "injection_reaction": (Harm("injection site reaction", 1, False), "start"),
    "post_injection_reaction": (Harm("immediate post-injection reaction", 2, False), "start"),
    "infusion_reaction": (Harm("infusion related reaction", 2, False), "start"),
    "infusion_reaction_course": (Harm("infusion related reaction", 2, False), "course"),
    "hypersensitivity": (Harm("serious hypersensitivity", 3, True), "start"),
    "hair_thinning": (Harm("hair thinning", 1, False), "start"),
    "gastrointestinal": (Harm("gastrointestinal disorder", 2, False), "start"),
    "flushing": (Harm("flushing", 1, False), "start"),
    "lymphopenia": (Harm("lymphopenia", 3, False), "start"),
    "lymphopenia_intended": (Harm("lymphopenia", 4, False), "start"),
    "liver_enzymes": (Harm("liver enzymes raised", 2, False), "start"),
    "liver_injury": (Harm("drug-induced liver injury", 3, True), "start"),
    "bradycardia": (Harm("bradycardia", 2, False), "start"),
    "macular_oedema": (Harm("macular oedema", 2, False), "start"),
    "herpes_zoster": (Harm("herpes zoster", 2, False), "rate"),
    "herpes_zoster_course": (Harm("herpes zoster", 2, False), "course"),
    "serious_infection": (Harm("serious infection", 3, True), "rate"),
    "infection_course": (Harm("infection", 2, False), "course"),
    "pml_late": (Harm("multifocal leukoencephalopathy (PML)", 4, True), "pml"),
    "thyroid_autoimmunity": (Harm("autoimmune thyroid disease", 2, False), "late"),
    "itp": (Harm("immune thrombocytopenia", 4, True), "late"),
    "nephropathy": (Harm("autoimmune nephropathy", 4, True), "late"),
    "cardiotoxicity": (Harm("left ventricular dysfunction", 3, True), "dose"),
    "leukaemia": (Harm("acute leukaemia", 4, True), "dose"),
    "cytopenia": (Harm("neutropenia", 3, False), "start"),
    "cystitis": (Harm("haemorrhagic cystitis", 3, True), "rate"),
    "gonadal_failure": (Harm("gonadal failure", 3, False), "dose"),
    "insomnia": (Harm("insomnia", 1, False), "course"),
    "mood": (Harm("mood change", 1, False), "course"),
    "fatigue": (Harm("fatigue", 2, False), "start"),
    "asthenia": (Harm("asthenia", 2, False), "start"),
    "contusion": (Harm("contusion", 1, False), "start"),
    "gait_disturbance": (Harm("gait disturbance", 2, False), "start"),
    "rash": (Harm("rash", 2, False), "start"),
    "oedema": (Harm("peripheral or facial oedema", 2, False), "start"),
    "biliary": (Harm("gallstones or biliary sludge", 2, False), "start"),
    "pleocytosis": (Harm("pleocytosis of cerebrospinal fluid", 1, False), "start"),
    "serious_neurological": (Harm("myelitis or aseptic meningitis", 3, True), "start"),
}
"""Event -> how it is recorded, and when it comes.

``start``: with a probability, an exponential time after the start, while given. ``course``: the same after each course,
whether or not a further one follows. ``rate``: again and again while given. ``late``: with a probability, years after
the first course. ``dose``: once, with a hazard that rises with the time on treatment. ``pml``: once, by JC virus
antibodies and time on treatment. How readily a trial records moves what is not severe, of the first four.
"""


@dataclass(frozen=True)
class Exposure:
    """What patients were given, one row a patient and therapy without interruption.

    Attributes
    ----------
    patient : ndarray of uint64, shape (rows,)
        Identity of the patient's random numbers.
    therapy : ndarray of str, shape (rows,)
        Names of the catalogue.
    start, stop : ndarray of int64, shape (rows,)
        First day, and the day on which it is stopped or follow-up ends; ``start <= stop``. Late harm may come after
        ``stop``: the caller leaves out what lies beyond follow-up.
    recording : float or ndarray, shape (rows,)
        As :attr:`stemtrial.therapy.family.Given.recording`.
    """

    patient: NDArray[np.uint64]
    therapy: NDArray[np.str_]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    recording: float | Floats = 0.0


def adverse_events(seed: int, exposure: Exposure, parameters: Mapping[str, float]) -> dict[str, NDArray[Any]]:
    """Draw the adverse events of what was given.

    Parameters
    ----------
    seed : int
        Key of the trial's random numbers.
    exposure : Exposure
        Who was given what, from when until when.
    parameters : mapping
        One draw; reads ``harms.*``.

    Returns
    -------
    dict of ndarray
        ``row`` (of the exposure), ``day``, ``term``, ``grade``, ``serious``, ``cause`` (the therapy): one entry an
        event, sorted by row, day and term.

    Raises
    ------
    InputError
        If a therapy is unknown, or an exposure ends before it starts.
    """
    if (exposure.stop < exposure.start).any():
        k = int(np.argmax(exposure.stop < exposure.start))
        raise InputError(f"an exposure ends on day {exposure.stop[k]}, before its start {exposure.start[k]}; mend it")
    found: list[tuple[NDArray[np.int64], NDArray[np.int64], str, str]] = []
    for therapy in np.unique(exposure.therapy).tolist():
        therapy_info(therapy)
        rows = np.flatnonzero(exposure.therapy == therapy)
        for event, (harm, timing) in HARMS.items():
            size = parameters.get(f"harms.{event}.{therapy}", 0.0)
            if size > 0:
                draw = _Draw(seed, f"harms.{event}.{therapy}", exposure, rows, harm)
                who, wait = _TIMES[timing](draw, event, therapy, size, parameters)
                found.append((rows[who], exposure.start[rows[who]] + wait.astype(np.int64), event, therapy))
    row, day = (np.concatenate([f[i] for f in found] or [np.zeros(0, np.int64)]) for i in (0, 1))
    kind = np.repeat([f[2] for f in found], [len(f[0]) for f in found]).astype("U40")
    cause = np.repeat([f[3] for f in found], [len(f[0]) for f in found]).astype("U32")
    order = np.lexsort((kind, day, row))
    harms = [HARMS[k][0] for k in kind[order].tolist()]
    return {
        "row": row[order],
        "day": day[order],
        "term": np.array([h.term for h in harms], "U40"),
        "grade": np.array([h.grade for h in harms], np.int64),
        "serious": np.array([h.serious for h in harms], np.int64),
        "cause": cause[order],
    }


class _Draw:
    """Random numbers of one event after one therapy, how long each row was given it, how readily it is recorded."""

    def __init__(self, seed: int, stream: str, exposure: Exposure, rows: NDArray[np.int64], harm: Harm) -> None:
        self.seed, self.stream = seed, stream
        self.patient, self.start = exposure.patient[rows], exposure.start[rows]
        self.days = (exposure.stop[rows] - exposure.start[rows]).astype(float)
        self.harm = harm
        self.recording = np.broadcast_to(exposure.recording, exposure.start.shape)[rows]

    def chance(self, probability: float) -> Floats:
        """Probability of each row that it happens and is recorded."""
        return np.broadcast_to(recorded(probability, self.harm, self.recording), self.days.shape)

    def uniform(self, n: int) -> Floats:
        """``n`` numbers a row; the first of them are the same for any ``n``."""
        return uniforms(self.seed, self.patient, self.start, self.stream, n)


Times = tuple[NDArray[np.int64], Floats]


def _start(d: _Draw, event: str, therapy: str, size: float, p: Mapping[str, float]) -> Times:
    u = d.uniform(2)
    wait = -np.log(u[:, 1]) * p[f"harms.onset_days.{event}"]
    who = np.flatnonzero((u[:, 0] < d.chance(size)) & (wait <= d.days))
    return who, wait[who]


def _course(d: _Draw, event: str, therapy: str, size: float, p: Mapping[str, float]) -> Times:
    days = np.array(COURSE_DAYS if therapy in DEPLETING else (0,))
    u = d.uniform(2 * len(days)).reshape(len(d.days), len(days), 2)
    wait = days - np.log(u[..., 1]) * p[f"harms.onset_days.{event}"]
    who, which = np.nonzero((u[..., 0] < d.chance(size)[:, None]) & ((days == 0) | (days < d.days[:, None])))
    return who, wait[who, which]


def _rate(d: _Draw, event: str, therapy: str, size: float, p: Mapping[str, float]) -> Times:
    speed = np.broadcast_to(recording_speed(d.harm, d.recording), d.days.shape)
    longest = size * float((d.days * speed).max(initial=0.0)) / YEAR
    n = min(1024, int(longest + 8 * np.sqrt(longest) + 8))
    times = np.cumsum(-np.log(d.uniform(n)), axis=1) * (YEAR / size) / speed[:, None]
    who, which = np.nonzero(times < d.days[:, None])
    return who, times[who, which]


def _late(d: _Draw, event: str, therapy: str, size: float, p: Mapping[str, float]) -> Times:
    u = d.uniform(3)  # two waits after each other: rare at first, most of it in the years after
    wait = -(np.log(u[:, 1]) + np.log(u[:, 2])) * p[f"harms.late_days.{event}"] / 2
    who = np.flatnonzero(u[:, 0] < d.chance(size))
    return who, wait[who]


def _dose(d: _Draw, event: str, therapy: str, size: float, p: Mapping[str, float]) -> Times:
    spent = np.log(d.uniform(1)[:, 0]) / np.log1p(-min(size, 0.999999))
    full = p[f"harms.full_days.{event}"]
    wait = np.sqrt(spent) * full
    who = np.flatnonzero(wait < np.minimum(d.days, full))  # no further dose is given beyond the full one
    return who, wait[who]


def _pml(d: _Draw, event: str, therapy: str, size: float, p: Mapping[str, float]) -> Times:
    carrier = uniforms(d.seed, d.patient, 0, "harms.jcv")[:, 0] < p["harms.jcv_positive"]
    early = p[f"harms.pml_early.{therapy}"] / YEAR
    spent = -np.log(d.uniform(1)[:, 0])
    first = early * PML_DAYS
    wait = np.where(spent < first, spent / max(early, 1e-12), PML_DAYS + (spent - first) / (size / YEAR))
    who = np.flatnonzero(carrier & (wait < d.days))
    return who, wait[who]


_TIMES = {"start": _start, "course": _course, "rate": _rate, "late": _late, "dose": _dose, "pml": _pml}
