"""Natural history: untreated people from onset, beside what the registries published.

Over several draws of the parameters the people are divided among them: estimates are of all people together, and what
is not known about the parameters shows in how the draws differ, beyond what chance among so few people makes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from stemtrial.errors import InputError, did_you_mean
from stemtrial.kernel import derive_seed
from stemtrial.parameters import Draws
from stemtrial.predict.natural_als import ALS
from stemtrial.predict.natural_estimators import Estimated, Z
from stemtrial.predict.natural_ms import MS
from stemtrial.predict.natural_quantity import (
    NaturalHistory,
    Nature,
    Quantity,
    Row,
    Scenario,
    compare_quantity,
    found,
    quantities_of,
)
from stemtrial.predict.summary import number
from stemtrial.predict.uncertainty import draws_for

PEOPLE_A_DRAW = 250
"""People of each kind that each draw gets at least, unless draws are asked for."""
NATURES: Mapping[str, Nature] = {n.disease: n for n in (MS, ALS)}
"""Natural histories by disease."""


def nature_of(disease: str) -> Nature:
    """Look the natural history of a disease up.

    Raises
    ------
    InputError
        If there is none.
    """
    if disease not in NATURES:
        raise InputError(f"disease '{disease}' has no natural history{did_you_mean(disease, NATURES)}")
    return NATURES[disease]


def quantities(disease: str = "ms") -> dict[str, Quantity]:
    """Every quantity of a disease by name, from ``natural_<disease>.yaml``.

    Raises
    ------
    InputError
        If an entry is malformed or names an estimator that does not exist.
    """
    return quantities_of(nature_of(disease))


def natural_history(
    draws: Draws | None = None, draw: int | None = None, *, disease: str = "ms", people: int = 5000, years: int = 30,
    onset: str = "all", seed: int = 1, threads: int = 1, progress: Callable[[str, float], None] | None = None,
) -> NaturalHistory:  # fmt: skip
    """Simulate an untreated disease from onset and compare it with the registries.

    Parameters
    ----------
    draws : Draws, optional
        Parameters; :func:`draws_of_people` when left out.
    draw : int, optional
        Only that one of them; the people are divided among all when left out.
    disease : {"ms", "als"}
        Whose natural history.
    people : int
        People of each kind and year of onset, over all draws.
    years : int
        Longest follow-up.
    onset : str
        Which kinds of onset, ``all`` or one of those of the disease (``relapsing, primary, paediatric`` of MS);
        quantities that need another kind are left out.
    seed, threads : int
        Seed; threads, which change no number.
    progress : callable, optional
        Gets a stage and a fraction.

    Raises
    ------
    InputError
        If an argument is out of range.
    """
    nature = nature_of(disease)
    kinds = ("all", *nature.onsets)
    if onset not in kinds:
        raise InputError(f"onset '{onset}' is not known{did_you_mean(onset, kinds)}")
    draws = draws or draws_of_people(people)
    used = [draw % len(draws)] if draw is not None else list(range(len(draws)))
    if len(used) > people:
        raise InputError(f"{len(used)} draws for {people} people; use more people, or fewer draws")
    known = quantities_of(nature)
    asked = {name: q for name, q in known.items() if onset == "all" or all(k == onset for k, _ in q.scenarios())}
    shown = nature.onsets.values() if onset == "all" else [nature.onsets[onset]]
    needed = sorted(set(shown).union(*(q.scenarios() for q in asked.values())))
    apart: list[dict[Scenario, Any]] = [{} for _ in used]
    for i, (k, scenario) in enumerate((k, s) for s in needed for k in range(len(used))):

        def told(fraction: float, i: int = i) -> None:
            if progress is not None:
                progress("living", (i + fraction) / (len(used) * len(needed)))

        apart[k][scenario] = nature.simulate(
            draws, used[k], scenario, people=people // len(used) + (k < people % len(used)), years=years,
            seed=seed if k == 0 else derive_seed(seed, f"draw {k}"), threads=threads, progress=told,
        )  # fmt: skip
    if progress is not None:
        progress("comparing", 0.0)
    worlds = {s: w[0] if len(w) == 1 else type(w[0]).join(w) for s in needed for w in [[a[s] for a in apart]]}
    p = dict(zip(draws.names, draws.values[used].mean(0).tolist(), strict=True))
    rows = []
    for name, q in asked.items():
        together = found(nature, q, worlds, p)
        row = compare_quantity(name, q, together, years)
        if len(used) > 1:
            _set_parameters(row, together, [found(nature, q, w, draws[k]) for k, w in zip(used, apart, strict=True)])
        rows.append(row)
    rows.sort(key=lambda r: {False: 0, True: 1, None: 2}[r["inside"]])
    settings = {
        "disease": disease, "people": people, "years": years, "onset": onset, "seed": seed,
        "draws": draws.identity, "draw": draw, "n_draws": len(used), "draws_label": draws.label,
        "labels": draws.labels,
    }  # fmt: skip
    return NaturalHistory(settings, rows, worlds, p, known)


def draws_of_people(people: int, draws: int | None = None, point: bool = False) -> Draws:
    """Return the draws among which people are divided.

    Parameters
    ----------
    people : int
        Of each kind of onset.
    draws : int, optional
        The first so many of the posterior. When left out: one for every :data:`PEOPLE_A_DRAW` people at most, or the
        point values where that leaves fewer than two, or no posterior is shipped.
    point : bool
        The point values; excludes ``draws``.
    """
    return draws_for(people, draws, point, each=PEOPLE_A_DRAW)


def _set_parameters(row: Row, together: Estimated, apart: Sequence[Estimated]) -> None:
    """Write what parameters add to a quantity into its row, in place; and score it with both.

    ``predicted`` gets ``sd`` (``sampling``: Monte Carlo error of all people, ``parameters``; of logarithms for ratios)
    and ``pi95``, which holds both; None where some draws have no finite value.
    """
    ratio = row["unit"] == "ratio"
    with np.errstate(divide="ignore", invalid="ignore"):
        x = np.array([[e.value, e.low, e.high] for e in (together, *apart)])
        x = np.log(x) if ratio else x
    row["predicted"] |= {"sd": None, "pi95": None}
    if not np.isfinite(x).all():
        return
    error = (x[:, 2] - x[:, 1]) / (2 * Z)
    parameters = np.sqrt(max(0.0, float(x[1:, 0].var(ddof=1) - (error[1:] ** 2).mean())))
    half = Z * float(np.hypot(error[0], parameters))
    low, high = (float(np.exp(v)) if ratio else float(v) for v in (x[0, 0] - half, x[0, 0] + half))
    row["predicted"] |= {
        "sd": {"sampling": number(error[0]), "parameters": number(parameters)}, "pi95": [number(low), number(high)]
    }  # fmt: skip
    if row["inside"] is not None:
        row["inside"] = bool(low <= row["range"][1] and high >= row["range"][0])


def as_data(history: NaturalHistory, command: str = "") -> Row:
    """Everything that a page, a file or another program needs, as plain data.

    Returns
    -------
    dict
        ``settings, comparison, estimates, groups`` (who of the estimates stands on the screen), ``pictures,
        provenance``; times beyond the follow-up are infinite.
    """
    import importlib.metadata

    nature = nature_of(history.settings["disease"])
    provenance = {
        "version of stemtrial": importlib.metadata.version("stemtrial"),
        "parameters": history.settings["draws"],
        "seed": str(history.settings["seed"]),
    } | ({"command": command} if command else {})
    return {
        "settings": history.settings, "comparison": history.comparison, "estimates": nature.estimates(history),
        "groups": list(nature.groups), "pictures": nature.pictures(history), "provenance": provenance,
    }  # fmt: skip
