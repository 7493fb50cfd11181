"""People at the onset of MS: one joint distribution, of which courses and trial populations are regions.

Each person is a pure function of (seed, index, parameters): the numbers are read from a counter, so a pool can be
drawn in any order and a recruit can be drawn again alone. Science: docs/design/ms_model.md sections 6.2 and 9.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from stemtrial.disease.ms import REGIONS
from stemtrial.errors import InputError, did_you_mean
from stemtrial.kernel import YEAR, normals, uniforms

Floats = NDArray[Any]
Person = dict[str, Floats]
Onset = Literal["relapsing", "primary", "paediatric"]
ONSETS: tuple[str, ...] = get_args(Onset)


def era_factor(year: Floats, p: Mapping[str, float]) -> Floats:
    """Activity of the disease by year of recruitment: log-linear between the given years, flat outside them."""
    years = np.array([1995, 2002, 2007, 2011])
    factor = np.array([p[f"cohort.era.at_{y}"] for y in years])
    return np.asarray(np.exp(np.interp(year, years, np.log(factor))))


def people_at_onset(
    seed: int, index: NDArray[np.uint64], p: Mapping[str, float], *, entry_year: Floats, duration_years: Floats,
    onset: Onset = "relapsing", era: float | None = None,
) -> tuple[Person, Person]:  # fmt: skip
    """Draw people at the onset of their disease.

    Parameters
    ----------
    seed : int
        64-bit key of the run-in.
    index : ndarray of uint64, shape (n,)
        Which people.
    p : mapping
        Parameters by registered name.
    entry_year, duration_years : ndarray, shape (n,)
        Calendar year of screening and years since onset: activity goes by the first, progression by the year of onset.
    onset : {"relapsing", "primary", "paediatric"}
        Kind of onset; ``paediatric`` draws only those of the relapsing kind who fall ill before 18.
    era : float, optional
        Activity factor of the period, instead of the one by year.

    Returns
    -------
    constants, state : dict of ndarray
        Constants of each person (also ``female, w_it, w_sc, res``, which only instruments read), and the states that
        do not start at their declared values.
    """
    if onset not in ONSETS:
        raise InputError(f"onset '{onset}' is not known{did_you_mean(onset, ONSETS)}")
    primary = onset == "primary"
    kind = "primary" if primary else "relapsing"
    z = normals(seed, index, 0, "cohort.person", 12)
    u = uniforms(seed, index, 0, "cohort.person.shape", 8)
    male = u[:, 0] < p[f"cohort.male.{kind}"]
    paediatric = np.zeros(len(index), bool)
    if primary:
        age: Floats = p["cohort.onset_primary.mean"] + p["cohort.onset_primary.sd"] * z[:, 0]
    else:
        age = p["cohort.onset_low"] + p["cohort.onset_scale"] * special.gammaincinv(p["cohort.onset_shape"], u[:, 1])
        paediatric = (u[:, 2] < p["cohort.paediatric"]) | (onset == "paediatric")
        age = np.where(paediatric, 9.0 + 9.0 * u[:, 3], age)
    age = np.clip(age, 8.0, 62.0)
    sex_alpha = np.where(male, p["cohort.alpha.male"], p["cohort.alpha.female"])
    alpha = np.exp(p["cohort.alpha_sd"] * z[:, 1]) * sex_alpha
    alpha = (
        alpha
        * np.where(paediatric, p["cohort.alpha.paediatric"], 1.0)
        * (p["cohort.alpha.primary"] if primary else 1.0)
    )
    alpha = alpha * (era_factor(entry_year, p) if era is None else era)
    corr = p["cohort.alpha_m"]
    log_m = p["cohort.m_sd"] * (corr * z[:, 1] + np.sqrt(1.0 - corr * corr) * z[:, 2])
    onset_year = entry_year - duration_years
    m = p["cohort.m_median"] * np.exp(log_m - p[f"cohort.m_era.{kind}"] * (onset_year - 1980.0))
    m = m * np.where(male, p["cohort.m.male"], p["cohort.m.female"]) * (p["cohort.m.primary"] if primary else 1.0)
    phase = 2.0 * np.pi * (onset_year % 1.0)
    constants = {
        "alpha": alpha,
        "m": m,
        "rho": np.exp(p["cohort.rho_sd"] * z[:, 3]),
        "sev": np.exp(p["cohort.sev_sd"] * z[:, 4]),
        "age0": age,
        "relthr": np.full(len(index), p["cohort.relapse_threshold_primary"] if primary else 1.0),
        "nfl": np.exp(p["cohort.nfl_sd"] * z[:, 5]),
        "season_cos": np.cos(phase),
        "season_sin": np.sin(phase),
        "ascertainment": np.full(len(index), p[f"cohort.ascertainment.{'progressive' if primary else 'blind'}"]),
        "frailty": np.where(male, p["cohort.mortality.male"], p["cohort.mortality.female"]),
        "thy": np.exp(p["cohort.thy_sd"] * z[:, 6]),
        "female": (~male).astype(float),
        "w_it": special.betaincinv(p["cohort.split_stem"], p["cohort.split_stem"], u[:, 4]),
        "w_sc": special.betaincinv(p["cohort.split_cord"], p["cohort.split_cord"], u[:, 5]),
        "res": np.clip(p["cohort.res.mean"] + p["cohort.res.sd"] * z[:, 7], 0.0, 0.1),
    }
    silent = p[f"cohort.silent_ml.{kind}"] * np.sqrt(alpha) * stats.expon.ppf(u[:, 6])
    loss = p[f"cohort.first_loss.{kind}"]
    state: Person = {
        "u": p["ms.sig_u"] * (z[:, 8] - 0.5 * p["ms.sig_u"]),
        "M": m * np.exp(p["ms.kM"] * (age - 45.0)),
        "S": 0.4 * silent,
        **{f"D_{r}": share * silent for r, share in zip(REGIONS, (0.30, 0.15, 0.05), strict=False)},
        **{f"X_{r}": np.full(len(index), loss * p[f"cohort.first_loss_site.{r}"]) for r in REGIONS},
    }
    if not primary:
        hit = np.clip(p["cohort.first_hit"] * np.exp(p["cohort.first_hit_sd"] * np.abs(z[:, 9])), 0.0, 0.5)
        bounds = np.cumsum([p[f"cohort.first_site.{r}"] for r in REGIONS])
        site = np.searchsorted(bounds[:-1], u[:, 7])
        state |= {f"Q_{r}": np.where(site == k, hit, 0.0) for k, r in enumerate(REGIONS)}
    return constants, state


def season_at(constants: Mapping[str, Any], days: Floats) -> tuple[Floats, Floats]:
    """Season constants of a clock that starts ``days`` later."""
    turn = 2.0 * np.pi * days / YEAR
    c, s = constants["season_cos"], constants["season_sin"]
    return c * np.cos(turn) - s * np.sin(turn), s * np.cos(turn) + c * np.sin(turn)
