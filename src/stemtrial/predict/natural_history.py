"""Natural history: untreated people from onset, beside what the registries published."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stemtrial.errors import InputError, did_you_mean
from stemtrial.parameters import Draws, point_draw
from stemtrial.predict.natural_als import ALS
from stemtrial.predict.natural_ms import MS
from stemtrial.predict.natural_quantity import (
    NaturalHistory,
    Nature,
    Quantity,
    Row,
    compare_quantity,
    found,
    quantities_of,
)

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
    draws: Draws | None = None, draw: int = 0, *, disease: str = "ms", people: int = 5000, years: int = 30,
    onset: str = "all", seed: int = 1, threads: int = 1, progress: Callable[[str, float], None] | None = None,
) -> NaturalHistory:  # fmt: skip
    """Simulate an untreated disease from onset and compare it with the registries.

    Parameters
    ----------
    draws, draw
        Parameters (point values when left out), and which draw of them.
    disease : {"ms", "als"}
        Whose natural history.
    people : int
        People of each kind and year of onset.
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
    draws = draws or point_draw()
    known = quantities_of(nature)
    asked = {name: q for name, q in known.items() if onset == "all" or all(k == onset for k, _ in q.scenarios())}
    shown = nature.onsets.values() if onset == "all" else [nature.onsets[onset]]
    needed = sorted(set(shown).union(*(q.scenarios() for q in asked.values())))
    worlds = {}
    for i, scenario in enumerate(needed):

        def told(fraction: float, i: int = i) -> None:
            if progress is not None:
                progress("living", (i + fraction) / len(needed))

        worlds[scenario] = nature.simulate(
            draws, draw, scenario, people=people, years=years, seed=seed, threads=threads, progress=told
        )
    if progress is not None:
        progress("comparing", 0.0)
    p = draws[draw]
    rows = [compare_quantity(name, q, found(nature, q, worlds, p), years) for name, q in asked.items()]
    rows.sort(key=lambda r: {False: 0, True: 1, None: 2}[r["inside"]])
    settings = {
        "disease": disease, "people": people, "years": years, "onset": onset, "seed": seed,
        "draws": draws.identity, "draw": draw,
    }  # fmt: skip
    return NaturalHistory(settings, rows, worlds, p, known)


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
