"""The posterior that ships with the package: a table of draws and where it comes from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from stemtrial.errors import InputError
from stemtrial.parameters.draws import Draws, draws_with, point_draw
from stemtrial.parameters.register import parameters_identity, registry

FOLDER = Path(__file__).parent
"""Where the posterior lies: ``posterior.csv`` and ``posterior.json``."""
TABLE, PROVENANCE = "posterior.csv", "posterior.json"


def write_posterior(folder: Path, names: Sequence[str], values: ArrayLike, provenance: Mapping[str, Any]) -> Draws:
    """Write a posterior into a folder.

    Parameters
    ----------
    folder : Path
        Made if it is absent.
    names : sequence of str
        Fitted parameters.
    values : array, shape (draws, names)
        Their draws. Rows are put into a random order (by ``seed`` of the provenance, 0 without), so that the first n
        of them are a fair sample whatever chain or block they came from.
    provenance : mapping
        ``label`` (its name), and what else is known: ``date, seed, evidence, code, blocks, members``. ``parameters``,
        the identity of the register that it was fitted under, is that of now when left out.

    Returns
    -------
    Draws
        As :func:`posterior` reads it: seven digits of each value, which is more than a draw can mean.

    Raises
    ------
    InputError
        If it has no label, or names and values are refused by :func:`draws_with`.
    """
    if not str(provenance.get("label", "")).strip():
        raise InputError("a posterior without 'label' in its provenance; name it")
    table = draws_with(names, values).values  # refuses what cannot be, before anything is written
    table = np.asarray(values, np.float64)[
        np.random.default_rng(int(provenance.get("seed", 0))).permutation(len(table))
    ]
    text = "\n".join([",".join(names), *(",".join(f"{x:.7g}" for x in row) for row in table.tolist())]) + "\n"
    told = {
        "label": provenance["label"], "parameters": parameters_identity(), **provenance,
        "draws": len(table), "table": hashlib.sha256(text.encode()).hexdigest(),
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / TABLE).write_text(text, encoding="utf-8", newline="\n")
    (folder / PROVENANCE).write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    _read.cache_clear()
    return _read(folder)


@cache
def _read(folder: Path) -> Draws:
    text = (folder / TABLE).read_bytes().decode()
    provenance = json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))
    if hashlib.sha256(text.encode()).hexdigest() != provenance["table"]:
        raise InputError(f"{TABLE} is not the table that {PROVENANCE} describes; install the package again")
    first, *rest = text.splitlines()
    names, values = first.split(","), np.array([[float(x) for x in line.split(",")] for line in rest])
    # a number that the package no longer has cannot be drawn; the label of other parameters says that the fit is old
    kept = [k for k, name in enumerate(names) if name in registry()]
    return draws_with([names[k] for k in kept], values[:, kept], str(provenance["label"]), provenance)


def is_shipped() -> bool:
    """Whether a posterior comes with the package."""
    return (FOLDER / TABLE).is_file() and (FOLDER / PROVENANCE).is_file()


def posterior(n: int | None = None) -> Draws:
    """Return the posterior that comes with the package; parameters that were not fitted stand at their point values.

    Parameters
    ----------
    n : int, optional
        The first ``n`` draws, which are a fair sample; all when left out.

    Raises
    ------
    InputError
        If there is none, it has fewer draws, or its files do not belong together.
    """
    if not is_shipped():
        raise InputError("no posterior comes with this package, only the point values; use --point")
    return _read(FOLDER) if n is None else _read(FOLDER).first(n)


def default_draws(n: int | None = None, point: bool = False) -> Draws:
    """Return the draws that predictions use: the posterior if one is shipped, else the point values.

    Parameters
    ----------
    n : int, optional
        The first ``n`` draws; all when left out.
    point : bool
        The point values all the same; excludes ``n``.

    Raises
    ------
    InputError
        If both are given, or there are fewer draws.

    Notes
    -----
    A posterior that was fitted under other values or priors than those of the package is used, and everything made
    from it carries the label ``posterior_of_other_parameters`` (:attr:`Draws.labels`).
    """
    if point and n is not None:
        raise InputError(f"--point and --draws {n} exclude each other; leave one out")
    if point or (n is None and not is_shipped()):
        return point_draw()
    return posterior(n)
