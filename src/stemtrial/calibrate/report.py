"""What a fit learned, as plain data: parameters, what the data can tell at all, the data themselves, trial effects.

Nothing here changes a fit. Which data inform a parameter, and how many directions the data tell, come from the linear
emulator of the last ensemble and its noise; prior and posterior, and both predictions, are the ensembles themselves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from stemtrial.calibrate.datum import Datum, from_scale
from stemtrial.calibrate.fit import Fitted, Settings
from stemtrial.calibrate.posterior import columns, widenings
from stemtrial.calibrate.smoother import spread
from stemtrial.calibrate.widening import Widening
from stemtrial.parameters import from_normal, registry

Floats = NDArray[np.float64]
STAYS = 0.1
"""A parameter whose variance shrank by less stays at its prior,"""
MOVED = 0.5
"""unless its mean moved by more, in standard deviations of the prior."""
INFORMS = 0.05
"""A datum informs a parameter if by itself it adds so much to the precision of the prior, which is 1."""
MOST_INFORMING, MOST_CORRELATIONS, MOST_DIRECTIONS = 3, 12, 6
LEAST_CORRELATION, LEAST_WEIGHT = 0.3, 0.3
ENDS = (5.0, 95.0)


def calibration_report(
    fitted: Mapping[str, Fitted], settings: Settings | None = None, label: str = "",
    core_hours: Mapping[str, float] | None = None, widened: Mapping[str, Widening] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return what the fit of some blocks learned.

    Parameters
    ----------
    fitted : mapping of str to Fitted
        Blocks by name.
    settings : Settings, optional
        Of the fit.
    label : str
        Of the posterior made of it, where one is.
    core_hours : mapping of str to float, optional
        What the simulations of each block cost, in hours of one core.
    widened : mapping of str to Widening, optional
        How far the effects of the trial of each disease are widened; computed when left out.

    Returns
    -------
    dict
        ``label, settings, widened`` (by disease), ``blocks`` (a list; keys of a block are ``name, title, disease,
        after, cost, parameters, identifiability, data, coverage, effects, spread, emulator``), ``at_prior, fixed``
        (names of parameters that no block fitted: drawn from their priors, and at their point values). Plain JSON: no
        NaN, None where nothing is known. Data stand with the farthest off first; a value is a share where the published
        one is a share or count of patients, else in its unit.
    """
    s, found = settings or Settings(), columns(fitted)
    wide = widenings(fitted, s.seed) if widened is None else widened
    blocks = [_block(n, f, fitted, s, (core_hours or {}).get(n)) for n, f in fitted.items()]
    told = {
        "label": label, "widened": {d: asdict(w) for d, w in wide.items()},
        "settings": {"seed": s.seed, "members": s.members, "passes": s.passes}, "blocks": blocks,
        "at_prior": list(found.at_prior), "fixed": list(found.fixed),
    }  # fmt: skip
    return dict(_plain(told))


def _block(name: str, f: Fitted, fitted: Mapping[str, Fitted], s: Settings, hours: float | None) -> dict[str, Any]:
    noise = f.emulator.total_noise(f.sds.mode, lack=True)
    G = f.emulator.sensitivity(f.z.mean(axis=0))
    rows = data_rows(f)
    r2 = f.emulator.r2[np.isfinite(f.emulator.r2)]
    change = spread(f.prior_z, f.z)
    passes = s.passes or f.block.passes
    return {
        "name": name, "title": f.block.title, "disease": f.block.disease, "after": f.block.after,
        "cost": {
            "members": len(f.z), "passes": passes, "runs": passes + 1, "data": len(f.data),
            "trials": len(dict.fromkeys(f.groups)), "core_hours": hours,
        },
        "parameters": parameter_rows(f, G, noise),
        "identifiability": identifiability(f, G, noise),
        "data": rows,
        "coverage": coverage(rows),
        "effects": effect_rows(f, fitted.get(f.block.after or "")),
        "spread": {
            "least_ratio": change.ratio.min(), "effective_parameters": change.effective,
            "members_a_parameter": change.members_a_dimension, "collapsed": change.collapsed,
        },
        "emulator": {
            "r2": np.percentile(r2, [5, 50, 95]) if len(r2) else [None] * 3, "told_apart": len(r2),
            "below_half": int((r2 < 0.5).sum()),
        },
    }  # fmt: skip


def parameter_rows(f: Fitted, G: Floats, noise: Floats) -> list[dict[str, Any]]:
    """Return one row a free parameter: prior, posterior, shrinkage, and which data inform it most.

    Parameters
    ----------
    f : Fitted
        The block.
    G : ndarray, shape (data, parameters)
        Sensitivity of the data to z.
    noise : ndarray, shape (data, data)
        Their covariance at a given z.

    Returns
    -------
    list of dict
        ``z`` holds mean, SD and 90 % interval on the scale where the prior is a standard normal; ``shrinkage`` is 1
        less the ratio of variances of the last ensemble to the first there; ``informed_by`` the precision that a datum
        alone would add to the prior's of 1.
    """
    names, known = f.block.names, registry()
    prior = from_normal(names, np.tile(ndtri(np.array([0.05, 0.5, 0.95]))[:, None], len(names)))
    after = from_normal(names, f.z)
    shrinkage = 1.0 - f.z.var(axis=0, ddof=1) / f.prior_z.var(axis=0, ddof=1)
    informs = G**2 / np.diag(noise)[:, None]
    out = []
    for k, name in enumerate(names):
        best = [int(i) for i in np.argsort(-informs[:, k])[:MOST_INFORMING] if informs[i, k] >= INFORMS]
        out.append({
            "name": name, "meaning": known[name].meaning, "unit": known[name].unit, "source": known[name].source,
            "prior": {"median": prior[1, k], "pi90": prior[[0, 2], k]},
            "posterior": _interval(after[:, k]),
            "z": {"mean": f.z[:, k].mean(), "sd": f.z[:, k].std(ddof=1), "pi90": np.percentile(f.z[:, k], ENDS)},
            "shrinkage": shrinkage[k], "stays_at_prior": stays(shrinkage[k], f.z[:, k].mean()),
            "informed_by": [{"outcome_id": f.data[i].outcome_id, "precision": informs[i, k]} for i in best],
        })  # fmt: skip
    return out


def stays(shrinkage: float, moved: float) -> bool:
    """Whether a parameter stays at its prior: neither narrower nor elsewhere.

    Parameters
    ----------
    shrinkage : float
        1 less the ratio of its variance after to that before.
    moved : float
        Its mean on the scale where the prior is a standard normal.
    """
    return bool(shrinkage < STAYS and abs(moved) < MOVED)


def identifiability(f: Fitted, G: Floats, noise: Floats) -> dict[str, Any]:
    """Return how many directions of the parameters the data tell, and which parameters they cannot tell apart.

    Parameters
    ----------
    f, G, noise
        As in :func:`parameter_rows`.

    Returns
    -------
    dict
        ``eigenvalues`` of ``G' R^-1 G``, the precision that the data add to the prior's of 1, largest first;
        ``told``, how many exceed 1: there the data say more than the prior; ``learned``, the sum of the shrinkage over
        the directions of the ensemble; ``directions`` the best told, by parameters that make them up;
        ``correlations`` of the posterior, the strongest first.
    """
    names = f.block.names
    values, vectors = np.linalg.eigh(np.einsum("tp,tq->pq", G, np.linalg.solve(noise, G)))
    order = np.argsort(-values)
    values, vectors = np.maximum(values[order], 0.0), vectors[:, order]
    directions = [
        {"eigenvalue": values[k], "parameters": [
            {"name": names[i], "weight": vectors[i, k]}
            for i in np.argsort(-np.abs(vectors[:, k])) if abs(vectors[i, k]) >= LEAST_WEIGHT
        ]}
        for k in range(min(MOST_DIRECTIONS, len(names))) if values[k] > 1.0
    ]  # fmt: skip
    r = np.atleast_2d(np.corrcoef(f.z.T))
    pairs = sorted(((i, j) for i in range(len(names)) for j in range(i)), key=lambda ij: -abs(r[ij]))
    return {
        "parameters": len(names), "told": int((values > 1.0).sum()),
        "learned": float((1.0 - f.z.var(axis=0, ddof=1) / f.prior_z.var(axis=0, ddof=1)).clip(0.0).sum()),
        "eigenvalues": values, "directions": directions,
        "correlations": [
            {"a": names[j], "b": names[i], "r": r[i, j]}
            for i, j in pairs[:MOST_CORRELATIONS] if abs(r[i, j]) >= LEAST_CORRELATION
        ],
    }  # fmt: skip


def data_rows(f: Fitted) -> list[dict[str, Any]]:
    """Return one row a datum: published, predicted by the priors and by the posterior, farthest off first.

    ``position`` is the share of predictions below the published value (half of those equal to it): near 0 or 1 is
    far off. ``inside90``, ``inside50``: whether it lies in that central interval. The data were fitted to, so that
    this is a check of the fit and no test of the model.
    """
    y, out = f.published, []
    for k, d in enumerate(f.data):
        before, after = _seen(f.prior.values[:, :, k]), _seen(f.predicted.values[:, :, k])
        position = _position(after, y[k])
        sd = after.std(ddof=1) if len(after) > 1 else 0.0
        out.append({
            "outcome_id": d.outcome_id, "study": d.study, "cohort": d.cohort, "protocol": d.protocol,
            "quantity": d.quantity, "lane": d.lane, "domain": d.domain, "endpoint": d.endpoint, "term": d.term,
            "statistic": d.statistic, "unit": "fraction" if d.scale == "logit" else d.unit, "arms": list(d.arms),
            "time_years": d.time_years, "n": d.n, "published": d.share if d.scale == "logit" else d.value,
            "prior": _predicted(d, before), "posterior": _predicted(d, after),
            "position": position, "prior_position": _position(before, y[k]),
            "z": (y[k] - after.mean()) / sd if sd > 0 else None,
            "inside90": _inside(position, 0.9), "inside50": _inside(position, 0.5),
            "prior_inside90": _inside(_position(before, y[k]), 0.9), "r2": f.emulator.r2[k],
            "not_estimable": f.predicted.values[:, :, k].size - len(after),
        })  # fmt: skip
    far = [-1.0 if r["position"] is None else abs(r["position"] - 0.5) for r in out]
    size = [abs(r["z"]) if r["z"] is not None else 0.0 for r in out]
    return [out[k] for k in sorted(range(len(out)), key=lambda k: (-far[k], -size[k], out[k]["outcome_id"]))]


def coverage(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the share of published values inside the central intervals: of all data, and of each domain."""
    scored = [r for r in rows if r["position"] is not None]
    parts = {"all": scored} | {d: [r for r in scored if r["domain"] == d] for d in sorted({r["domain"] for r in rows})}
    return [
        {
            "domain": domain, "data": len(part), "inside90": _mean([r["inside90"] for r in part]),
            "inside50": _mean([r["inside50"] for r in part]), "prior90": _mean([r["prior_inside90"] for r in part]),
        }
        for domain, part in parts.items()
    ]  # fmt: skip


def effect_rows(f: Fitted, before: Fitted | None) -> list[dict[str, Any]]:
    """Return one row a trial effect: its SD before and after, and how much of the prior is left.

    The prior of a block that comes after another is the posterior of that one; ``prior_share`` is the variance of the
    logarithm after over that before: near 1, the data do not tell.
    """
    known, out = registry(), []
    for k, name in enumerate(f.effects):
        p = known[name]
        z = np.asarray(ndtri([0.05, 0.5, 0.95]), np.float64)
        if before is not None:  # lognormal with its median and spread, as the fit takes it
            logs = np.log(before.sds.draws[:, k])
            start = np.exp(np.median(logs) + logs.std() * z)
        else:
            start = p.value * np.exp(float(p.prior["sd"]) * z)
        out.append({
            "name": name, "unit": p.unit, "meaning": p.meaning,
            "prior": {"median": start[1], "pi90": start[[0, 2]]}, "posterior": _interval(f.sds.draws[:, k]),
            "mode": f.sds.mode[k], "prior_share": f.sds.prior_share[k], "r_hat": f.sds.r_hat[k],
            "effective": f.sds.effective[k],
        })  # fmt: skip
    return out


def summary_lines(report: Mapping[str, Any]) -> list[str]:
    """Return a fit in a few sentences a block, for the command line."""
    out = []
    for b in report["blocks"]:
        c, i = b["cost"], b["identifiability"]
        stays = [p["name"] for p in b["parameters"] if p["stays_at_prior"]]
        inside = b["coverage"][0]
        named = f" ({', '.join(stays[:4])}{', ...' * (len(stays) > 4)})" if stays else ""
        out.append(
            f"{b['title']}: {c['data']} published values of {c['trials']} trials tell {i['told']} of "
            f"{i['parameters']} directions; parameters that stay at their priors: {len(stays)}{named}"
        )
        if inside["inside90"] is not None:
            out.append(
                f"{b['title']}: {100 * inside['inside90']:.0f} % of the published values lie inside the 90 % interval "
                f"({100 * inside['prior90']:.0f} % before the fit), {100 * inside['inside50']:.0f} % inside the 50 %"
            )
        if b["spread"]["collapsed"]:
            out.append(
                f"{b['title']}: the ensemble collapsed; its intervals are too narrow: use more members or fewer "
                "free parameters"
            )
    return out


# -- numbers ----------------------------------------------------------------------------------------------------------
def _interval(x: Floats) -> dict[str, Any]:
    if not len(x):
        return {"median": None, "pi50": [None, None], "pi90": [None, None]}
    return {"median": np.median(x), "pi50": np.percentile(x, [25, 75]), "pi90": np.percentile(x, ENDS)}


def _seen(values: Floats) -> Floats:
    flat = values.ravel()
    return np.asarray(flat[np.isfinite(flat)])


def _predicted(d: Datum, y: Floats) -> dict[str, Any]:
    return _interval(from_scale(d, y) / (d.n if d.scale == "logit" and d.counted else 1.0))


def _position(predicted: Floats, y: float) -> float | None:
    if not len(predicted):
        return None
    equal = np.isclose(predicted, y, rtol=1e-9, atol=1e-12)  # 0 of n simulated where 0 of n was published
    return float(((predicted < y) & ~equal).mean() + 0.5 * equal.mean())


def _inside(position: float | None, share: float) -> bool | None:
    return None if position is None else abs(position - 0.5) <= share / 2


def _mean(x: Sequence[Any]) -> float | None:
    return float(np.mean(x)) if len(x) else None


def _plain(data: Any) -> Any:
    """Return the same data as JSON knows it: lists, Python's numbers, None for what is not finite."""
    if isinstance(data, Mapping):
        return {str(k): _plain(v) for k, v in data.items()}
    if isinstance(data, list | tuple | np.ndarray):
        return [_plain(v) for v in data]
    if isinstance(data, bool | np.bool_):
        return bool(data)
    if isinstance(data, int | np.integer):
        return int(data)
    if isinstance(data, float | np.floating):
        return float(data) if math.isfinite(data) else None
    return data


__all__ = [
    "calibration_report", "coverage", "data_rows", "effect_rows", "identifiability", "parameter_rows", "summary_lines",
]  # fmt: skip
