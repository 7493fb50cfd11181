"""People at the onset of ALS: one joint distribution, of which trial populations are regions.

Each person is a pure function of (seed, index, parameters): the numbers are read from a counter, so a pool can be
drawn in any order and a recruit can be drawn again alone. Science: docs/design/als_model.md section 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemtrial.disease.als import REGIONS
from stemtrial.kernel import normals, uniforms

Floats = NDArray[Any]
Person = dict[str, Floats]
SITES = ("bulbar", "upper_limb", "respiratory", "lower_limb")
"""Sites of onset as trials name them, in the order of :data:`~stemtrial.disease.als.REGIONS`."""
CARE_CHANGED = (1995.0, 2005.0)
"""Years between which care of breathing and nutrition became that of today."""


def people_at_onset(seed: int, index: NDArray[np.uint64], p: Mapping[str, float]) -> tuple[Person, Person]:
    """Draw people at the onset of their disease.

    Parameters
    ----------
    seed : int
        64-bit key of the run-in.
    index : ndarray of uint64, shape (n,)
        Which people.
    p : mapping
        Parameters by registered name.

    Returns
    -------
    constants, state : dict of ndarray, each of shape (n,)
        Constants of each person, and the states that do not start at their declared values. Beside the constants of the
        model, those that only screening and instruments read: ``female``, ``c9orf72``, ``bulbar_onset``, ``riluzole``
        (0/1; takes it from diagnosis on), ``onset_region`` (place in :data:`~stemtrial.disease.als.REGIONS`),
        ``delay_months`` (onset to diagnosis), ``referral_months`` (diagnosis to screening), and ``item_1`` to
        ``item_12`` (standard normals: lasting traits of the items of the ALSFRS-R).
    """

    def c(symbol: str) -> float:
        return p[f"cohort.als.{symbol}"]

    n = len(index)
    z = normals(seed, index, 0, "cohort.als.person", 28)
    u = uniforms(seed, index, 0, "cohort.als.person.shape", 12)
    region = np.searchsorted(np.cumsum([c(f"onset.{r}") for r in REGIONS])[:-1], u[:, 0])
    bulbar = region == 0
    second = _second_region(region, u[:, 2])
    begins = [(region == k) | ((second == k) & (u[:, 1] < c("combined"))) for k in range(len(REGIONS))]
    age = np.clip(c("age.mean") + c("age.bulbar") * bulbar + c("age.sd") * z[:, 0], 20.0, 90.0)
    female = u[:, 3] < np.where(bulbar, c("female.bulbar"), c("female.limb"))
    c9orf72 = u[:, 4] < c("c9orf72")
    sod1 = ~c9orf72 & (u[:, 5] < c("sod1") / (1.0 - c("c9orf72")))
    log_rate = (
        c("rate_sd") * z[:, 1] + c("rate_age") * (age - 60.0) / 10.0
        + c("rate_bulbar") * bulbar + c("rate_c9orf72") * c9orf72
    )  # fmt: skip
    rho = [_of_mean_one(c("region_sd"), z[:, 2 + k]) for k in range(len(REGIONS))]
    rho[2] = rho[2] * np.exp(c("respiratory_age") * (age - 60.0) / 10.0)
    pace = log_rate + np.log(np.stack(rho)[region, np.arange(n)])  # of what brings a person to the doctor
    constants: Person = {
        "rate": c("rate_mean") * np.exp(log_rate - 0.5 * c("rate_sd") ** 2),
        **{f"rho_{r}": rho[k] for k, r in enumerate(REGIONS)},
        **{f"spread_{r}": _of_mean_one(c("spread_sd"), z[:, 6 + k]) for k, r in enumerate(REGIONS)},
        "age0": age,
        "nfl": np.exp(c("nfl_sd") * z[:, 11]),
        "svc_base": np.clip(c("svc.mean") + c("svc.sd") * z[:, 12], 0.6, 1.5),
        "frailty": _of_mean_one(c("frailty_sd"), z[:, 13]),
        "sod1": sod1.astype(float),
        "ventilation": (u[:, 6] < c("ventilation")).astype(float),
        "niv_offer": (u[:, 7] < c("niv")).astype(float),
        "female": female.astype(float),
        "onset_region": region.astype(float),
        "bulbar_onset": bulbar.astype(float),
        "c9orf72": c9orf72.astype(float),
        "riluzole": (u[:, 8] < c("riluzole")).astype(float),
        "delay_months": np.clip(
            c("delay.median") * np.exp(c("delay.sd") * z[:, 10] + c("delay.pace") * pace), 1.5, 60.0
        ),
        "referral_months": np.clip(c("referral.median") * np.exp(c("referral.sd") * z[:, 14]), 0.5, 40.0),
        **{f"item_{i + 1}": z[:, 16 + i] for i in range(12)},
    }
    state: Person = {
        **{f"N_{r}": np.where(begins[k], c("n_on"), 1.0) for k, r in enumerate(REGIONS)},
        **{f"P_{r}": np.where(begins[k], c("p_on"), c("p_off")) for k, r in enumerate(REGIONS)},
        "X": p["als.sigma_X"] * (z[:, 15] - 0.5 * p["als.sigma_X"]),
        "nfl_level": np.full(n, p["als.F0"]),
    }
    return constants, state


def under_care_of(
    year: Floats, seed: int, index: NDArray[np.uint64], person: Mapping[str, Floats], p: Mapping[str, float]
) -> Person:
    """Constants of people under the care of a calendar year: that of today from 2005 on.

    Up to 1995 nobody is offered a mask at home, and mortality is higher (``docs/design/als_model.md`` section 9).

    Parameters
    ----------
    year : ndarray, shape (n,)
        When each is screened.
    seed, index, p
        As :func:`people_at_onset` got them.
    person : mapping of str to ndarray, shape (n,)
        Constants that it returned.
    """
    offered = uniforms(seed, index, 0, "cohort.als.care", 1)[:, 0] < np.interp(year, CARE_CHANGED, [0.0, 1.0])
    return {
        **person,
        "niv_offer": person["niv_offer"] * offered,
        "frailty": person["frailty"] * era_mortality(year, p),
    }


def era_mortality(year: Floats, p: Mapping[str, float]) -> Floats:
    """Mortality of the calendar year over that of today, shape of ``year``: log-linear while care changed."""
    return np.asarray(np.exp(np.interp(year, CARE_CHANGED, [np.log(p["cohort.als.mortality_1995"]), 0.0])))


def _of_mean_one(sd: float, z: Floats) -> Floats:
    return np.asarray(np.exp(sd * z - 0.5 * sd * sd))


def _second_region(region: NDArray[np.int64], u: Floats) -> NDArray[np.int64]:
    """Another of throat, arms and legs, all equally likely: assumed."""
    others = np.array([[1, 3, 1], [0, 3, 3], [0, 1, 3], [0, 1, 1]])
    pick = np.where(region == 2, (u * 3).astype(int), (u * 2).astype(int))
    return np.asarray(others[region, pick], np.int64)
