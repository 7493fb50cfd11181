"""Five ways to ask what a drug does to function when people die: the estimands of ICH E9(R1), side by side.

Death ends function without a value. ICH E9(R1) (EMA/CHMP/ICH/436221/2017) names five ways to treat such an intercurrent
event, and each asks another question: *treatment policy* (the value whatever happened; after death there is none, so
that trials analyse whoever is left), *composite* (death is an outcome: the worst value or rank), *hypothetical* (had
nobody died), *while alive* (what was seen until then), *principal stratum* (those who would live under either arm).

A trial answers by an estimator. The simulator also knows the answer: every patient lives through the trial under both
arms, with the same random numbers, with deaths and a second time without any (:data:`DEATHLESS`), while nobody leaves
or changes treatment and raters do not know the arm. What separates an estimator from its truth is its bias: that of an
analysis of covariance of survivors is that of informative drop-out. Models of slopes let the dead speak, but assume
straight lines, which courses near the floor of a scale are not: who is kept alive is seen on the flatter part.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial import analysis
from stemtrial.cohort.recruit import Recruits
from stemtrial.endpoint import Courses, Definition, Events, Values, VisitValue, define, derive, find
from stemtrial.errors import InputError
from stemtrial.kernel import Kernel
from stemtrial.observe import instruments
from stemtrial.parameters import Draws
from stemtrial.predict.counterfactual import BIAS
from stemtrial.predict.courses import Course, of_ranks, of_slopes
from stemtrial.predict.estimate import Analysed
from stemtrial.predict.obstacles import refuse
from stemtrial.predict.run import CHUNK, CHUNK_PATIENTS, Settings, scaled
from stemtrial.predict.summary import number, quantiles
from stemtrial.predict.uncertainty import sd_of
from stemtrial.therapy import compose
from stemtrial.trial.conduct import conduct
from stemtrial.trial.entry import families_of, planned_days
from stemtrial.trial.protocol import Protocol
from stemtrial.trial.recruiting import recruit_for

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
DEATHLESS = {"als": {"als.h0": 0.0, "als.h_ventilated": 0.0}}
"""By disease: parameters under which nobody dies of it."""
WORST = 0.0
"""Value of the dead on every scale that can be compared here, its lowest."""
DEATH = {
    "treatment_policy": "no value exists after death: those who are left are analysed (observed cases)",
    "composite": "death is an outcome: the worst value, or the worst ranks",
    "hypothetical": "had nobody died",
    "while_alive": "until death",
    "principal_stratum": "those who would be alive under either arm",
}
"""Estimand -> how it treats death."""


@dataclass(frozen=True)
class Estimand:
    """One estimand, one way to estimate it, one contrast of arms.

    Attributes
    ----------
    estimand : str
        A name of :data:`DEATH`.
    death : str
        How it treats death, in words.
    estimator : str
        How a trial estimates it.
    arm : (str, str)
        Treated and control.
    unit : str
        Of the numbers; positive favours the treated, but a probability of 0.5 favours nobody.
    median, pi90 : float or None, (float or None, float or None)
        Of the estimates over replicates, and their central 90 %.
    truth : float or None
        What is estimated, where the simulator knows it: mean over all patients of all replicates.
    bias, mcse : float or None
        Mean of the estimates minus the truth of the same patients, and its Monte Carlo standard error.
    n_not_estimable : int
        Replicates without an estimate.
    sd : dict or None
        Standard deviation of the estimates from ``sampling`` (effects of the trial among it) and ``parameters``
        (:func:`stemtrial.predict.uncertainty.sd_of`).
    """

    estimand: str
    death: str
    estimator: str
    arm: tuple[str, str]
    unit: str
    median: float | None
    pi90: tuple[float | None, float | None]
    truth: float | None
    bias: float | None
    mcse: float | None
    n_not_estimable: int
    sd: dict[str, float | None] | None = None


@dataclass(frozen=True)
class Estimands:
    """The estimands of a trial.

    Attributes
    ----------
    protocol, endpoint : str
        What was asked.
    time_years : float
        Time of the visit at which it is read.
    replicates, patients : int
        Size.
    draws : int
        Draws of the parameters over which the replicates went.
    draws_label : str
        ``point`` or the name of the posterior.
    draws_labels : tuple of str
        Warnings about the parameters (:attr:`stemtrial.parameters.Draws.labels`).
    rows : tuple of Estimand
        By contrast, in the order of :data:`DEATH`.
    alive : dict of str to float
        Share of all patients who would be alive at that time under each arm.
    alive_under_both : dict of str to float
        By treated arm, those who would be under it and under control: the principal stratum.
    """

    protocol: str
    endpoint: str
    time_years: float
    replicates: int
    patients: int
    rows: tuple[Estimand, ...]
    alive: dict[str, float]
    alive_under_both: dict[str, float]
    draws: int
    draws_label: str
    draws_labels: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class _Asked:
    """The definitions, by what they treat death as, and the time."""

    observed: VisitValue
    composite: Definition
    last: Definition
    rank: Definition
    course: Definition
    slope: Definition
    years: float

    @property
    def unit(self) -> str:
        return self.observed.unit


def estimands(
    protocol: Protocol, settings: Settings | None = None, draws: Draws | None = None, *,
    endpoint: str = "alsfrs_r_change", at_years: float | None = None, changed: Mapping[str, float] | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> Estimands:  # fmt: skip
    """Estimate what a trial shows under the five ways to treat death, beside what is true.

    Parameters
    ----------
    protocol : Protocol
        A randomised trial of two arms or more; of several, each is compared with control.
    settings : Settings, optional
        Replicates, seed, patients, threads, chunk, width. ``keep_all`` has no effect.
    draws : Draws, optional
        Replicate k uses draw k mod n; those of the settings when left out, the posterior where one is shipped.
    endpoint : str
        A change from baseline at a visit on a scale on which high is good and the dead have 0: of the ALSFRS-R or one
        of its domains, vital capacity, or strength.
    at_years : float, optional
        When it is read; at the last visit when left out.
    changed : mapping of str to float, optional
        Parameters that are changed throughout: a drug as one wants to see it, for example.
    progress : callable, optional
        Called with a stage and the fraction done.

    Returns
    -------
    Estimands

    Raises
    ------
    InputError
        If the trial is not randomised, its disease has no deaths that could be left out, the endpoint is another one,
        or no visit lies near that time.
    """
    s, told = settings or Settings(), progress or (lambda stage, fraction: None)
    if s.replicates < 1:
        raise InputError(f"--replicates {s.replicates} is not positive; use 1 or more")
    d = draws or s.parameters()
    asked, protocol = _asked(protocol, endpoint, at_years), scaled(protocol, s.patients)
    protocol = protocol.model_copy(update={"instruments": _measuring(protocol, asked.observed)})
    refuse(protocol)
    kernel = compose(protocol.disease, families_of(protocol), width=s.width)
    treated = [a for a in protocol.arms if a != protocol.control]
    used = min(len(d), s.replicates)
    size = s.chunk or max(1, min(CHUNK, CHUNK_PATIENTS // sum(a.n for a in protocol.arms.values())))
    told("recruiting", 0.0)

    def of_draw(k: int) -> list[dict[str, Floats]]:
        numbers = d[k] | dict(changed or {})
        mine, threads = list(range(k, s.replicates, used)), s.threads if used < s.threads else 1
        recruits = recruit_for(protocol, kernel, d, k, threads=threads, over=used, keep=used == 1)
        out = []
        for i in range(0, len(mine), size):
            if used == 1:
                told("simulating", i / len(mine))
            lived = functools.partial(_lived, recruits, kernel, numbers, s, mine[i : i + size], threads)
            out.append(dict(_chunk(protocol, asked, treated, lived)))
        return out

    parts: list[dict[str, Floats]] = []
    with ThreadPoolExecutor(max_workers=1 if used < s.threads else s.threads) as pool:
        for k, found_here in enumerate(pool.map(of_draw, range(used))):
            told("simulating", (k + 1) / used)
            parts += found_here
    found = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
    draw = np.concatenate([np.full(len(range(k, s.replicates, used)), k) for k in range(used)])
    rows = [_row(key, (arm, protocol.control), asked, found, draw) for arm in treated for key in _KEYS]
    shares = {name: float(x.mean()) for name, x in found.items()}
    return Estimands(
        protocol.protocol, endpoint, asked.years, s.replicates, sum(a.n for a in protocol.arms.values()), tuple(rows),
        {arm: shares[f"alive|{arm}"] for arm in protocol.arms}, {arm: shares[f"both|{arm}"] for arm in treated},
        used, d.label, tuple(d.labels),
    )  # fmt: skip


def _lived(
    recruits: Recruits, kernel: Kernel, numbers: Mapping[str, float], s: Settings, replicates: Sequence[int],
    threads: int, protocol: Protocol, changed: Mapping[str, float],
) -> Analysed:  # fmt: skip
    """Conduct a trial with some parameters changed."""
    here = {**numbers, **changed}
    return Analysed(
        conduct(protocol, recruits, kernel, here, s.seed, replicates=replicates, threads=threads).tables, protocol
    )


def _asked(protocol: Protocol, endpoint: str, at_years: float | None) -> _Asked:
    if protocol.design != "randomised":
        raise InputError(
            f"'{protocol.protocol}' is {protocol.design}; estimands compare the arms of a randomised trial"
        )
    if protocol.disease not in DEATHLESS:
        raise InputError(f"estimands are for {' and '.join(DEATHLESS)}, where death ends the measurement of function")
    d = find(endpoint)
    good = (*(c for c in instruments() if c.startswith("alsfrs_r")), "svc_pct", "fvc_pct", "hhd_pct")
    if not (
        isinstance(d, VisitValue) and d.change == "difference" and d.kind == "change" and d.column in good
        and (d.plus, d.reference_days, d.dead, d.carried_from_days) == ((), None, None, None)
    ):  # fmt: skip
        fits = "alsfrs_r_change, svc_change, fvc_change or hhd_change"
        raise InputError(f"'{endpoint}' is no plain change on a scale where the dead have 0; use {fits}")
    years = protocol.visits.months[-1] / 12 if at_years is None else at_years
    month = protocol.visits.near(years)
    if month is None:
        raise InputError(f"no visit of '{protocol.protocol}' lies near {years:g} years; use the time of one")
    words = {"citation": "ICH E9(R1)", "column": d.column, "label": d.label}

    def variant(rule: str, unit: str, **fields: Any) -> Definition:
        return define({"id": f"{endpoint} as {rule}", "rule": rule, "unit": unit, **words, **fields})

    return _Asked(
        d, find(d, dead=WORST), find(d, carried_from_days=1), variant("joint_rank", "rank"),
        variant("trajectory", f"{d.unit}/y"), variant("slope", f"{d.unit}/y"), month / 12,
    )  # fmt: skip


def _measuring(protocol: Protocol, d: VisitValue) -> tuple[str, ...]:
    """Instruments of the protocol, and that of the endpoint where everybody is not rated on it anyway."""
    rated = d.column.startswith("alsfrs_r") or d.column in protocol.instruments
    return protocol.instruments if rated else (*protocol.instruments, d.column)


def _everybody(protocol: Protocol, arm: str) -> Protocol:
    """Return the trial in which all get what one arm gets, nobody leaves and nobody changes treatment."""
    given = protocol.arms[arm].regimen
    arms = {name: a.model_copy(update={"regimen": given}) for name, a in protocol.arms.items()}
    whole = {name: a.n for name, a in arms.items()}
    return protocol.model_copy(update={"arms": arms, "analysis_set": whole, "rules": ()})


def _chunk(
    protocol: Protocol, asked: _Asked, treated: list[str], lived: Callable[..., Analysed]
) -> Iterator[tuple[str, Floats]]:
    """Yield estimates and truths of some replicates by name, one number a replicate."""
    control, trial = protocol.control, lived(protocol, {})
    unbiased = {f"{name}.{protocol.disease}": 0.0 for name in BIAS}
    deathless = unbiased | DEATHLESS[protocol.disease]
    worlds = {arm: lived(_everybody(protocol, arm), unbiased) for arm in protocol.arms}
    immortal = {arm: lived(_everybody(protocol, arm), deathless) for arm in protocol.arms}
    alive = {arm: _alive(w, asked) for arm, w in worlds.items()}
    for arm, here in alive.items():
        yield f"alive|{arm}", here.mean(1)
    for arm in treated:
        for name, value in _estimates(trial, asked, arm, control).items():
            yield f"{name}|{arm}", value
        both = alive[arm] & alive[control]
        yield f"both|{arm}", both.mean(1)
        pair, deathless_pair = (worlds[arm], worlds[control]), (immortal[arm], immortal[control])
        yield f"true composite|{arm}", _difference(asked.composite, asked, *pair)
        yield f"true rank|{arm}", _probability(asked, *pair)
        yield f"true hypothetical|{arm}", _difference(asked.observed, asked, *deathless_pair)
        yield f"true slope|{arm}", _difference(asked.slope, asked, *pair)
        yield f"true last|{arm}", _difference(asked.last, asked, *pair)
        yield f"true stratum|{arm}", _difference(asked.observed, asked, *pair, both)


def _derived(d: Definition, asked: _Asked, a: Analysed) -> Any:
    return derive(d, a.tables, asked.years, planned_days(a.protocol))


def _values(d: Definition, asked: _Asked, a: Analysed) -> Floats:
    out = _derived(d, asked, a)
    assert isinstance(out, Values)
    return np.asarray(a.square(out.value), np.float64)


def _course(d: Definition, asked: _Asked, a: Analysed) -> Course:
    out = _derived(d, asked, a)
    assert isinstance(out, Courses)
    return Course(*(a.square(x) for x in (out.time_years, out.value, out.end_years, out.event)))


def _alive(a: Analysed, asked: _Asked) -> Bools:
    out = _derived(find("overall_survival"), asked, a)
    assert isinstance(out, Events)
    return np.asarray(~a.square(out.event), np.bool_)


def _difference(d: Definition, asked: _Asked, one: Analysed, other: Analysed, among: Bools | None = None) -> Floats:
    """Mean over patients of the difference between two lives of each, where both have a value."""
    gap = _values(d, asked, one) - _values(d, asked, other)
    seen = np.isfinite(gap) if among is None else np.isfinite(gap) & among
    return np.asarray(np.where(seen, gap, 0.0).sum(1) / np.maximum(seen.sum(1), 1), np.float64)


def _probability(asked: _Asked, one: Analysed, other: Analysed) -> Floats:
    """Probability that somebody in the one life does better than somebody else in the other, of a trial of all."""
    a, b = (_course(asked.rank, asked, x) for x in (one, other))
    joined = Course(*(np.concatenate(x, axis=1) for x in zip(a, b, strict=True)))
    treated = np.concatenate([np.ones(a.end.shape, bool), np.zeros(b.end.shape, bool)], axis=1)
    return of_ranks("cafs_probability", joined, treated, np.ones(treated.shape, bool))


def _estimates(a: Analysed, asked: _Asked, arm: str, control: str) -> dict[str, Floats]:
    """What a trial estimates, one number a replicate."""
    treated, include = a.arm == arm, a.of(arm) | a.of(control)
    baseline = a.baseline(asked.observed)

    def adjusted(d: Definition) -> Floats:
        y = _values(d, asked, a)
        seen = include & np.isfinite(y)
        return analysis.ancova(np.where(seen, y, 0.0), np.where(seen, baseline, 0.0), treated, seen).value

    slope = _values(asked.slope, asked, a)
    seen = include & np.isfinite(slope)
    course = _course(asked.course, asked, a)
    mixed, joint = (
        of_slopes(f"{name}_difference", course, treated, include, True) for name in ("random_slope", "joint_slope")
    )
    return {
        "observed": adjusted(asked.observed),
        "zero": adjusted(asked.composite),
        "cafs": of_ranks("cafs_probability", _course(asked.rank, asked, a), treated, include),
        "mixed": mixed * asked.years,
        "joint": joint * asked.years,
        "slope": analysis.mean_difference(np.where(seen, slope, 0.0), treated, seen).value,
        "last": adjusted(asked.last),
    }


_ANCOVA = "analysis of covariance"
_KEYS: tuple[tuple[str, str, str | None, str, str], ...] = (
    ("treatment_policy", "observed", None, f"{_ANCOVA} of survivors", "points"),
    ("composite", "zero", "composite", f"{_ANCOVA}, the dead at 0", "points"),
    ("composite", "cafs", "rank", "combined assessment of function and survival", "probability"),
    ("hypothetical", "observed", "hypothetical", f"{_ANCOVA} of survivors", "points"),
    ("hypothetical", "mixed", "hypothetical", "random-slope model, times years", "points"),
    ("hypothetical", "joint", "hypothetical", "joint model of slope and survival, times years", "points"),
    ("while_alive", "slope", "slope", "means of patients' own slopes", "a year"),
    ("while_alive", "last", "last", f"{_ANCOVA} of the last value", "points"),
    ("principal_stratum", "observed", "stratum", f"{_ANCOVA} of survivors", "points"),
)
"""Estimand, what is estimated and what is true (names of a chunk), how, and in what unit."""


def _row(
    key: tuple[str, str, str | None, str, str], arm: tuple[str, str], asked: _Asked, found: Mapping[str, Floats],
    draw: NDArray[np.int64],
) -> Estimand:  # fmt: skip
    estimand, name, true, how, unit = key
    told = {"points": asked.unit, "a year": f"{asked.unit}/y"}.get(unit, unit)
    values = found[f"{name}|{arm[0]}"]
    seen = np.isfinite(values)
    low, middle, high = (number(x) for x in quantiles(values, [0.05, 0.5, 0.95]))
    truth = bias = mcse = None
    if true is not None:
        known = found[f"true {true}|{arm[0]}"]
        truth = number(float(known.mean()))
        gap = (values - known)[seen]  # of the same patients, which leaves less to chance
        if len(gap) > 1:
            bias, mcse = number(float(gap.mean())), number(float(gap.std(ddof=1) / np.sqrt(len(gap))))
    missing = int((~seen).sum())
    return Estimand(
        estimand, DEATH[estimand], how, arm, told, middle, (low, high), truth, bias, mcse, missing, sd_of(values, draw)
    )
