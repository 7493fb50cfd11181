"""Read the packaged evidence: studies, claims, registered trials and the roles of studies.

Each reader is cached: the first call parses, later calls return the same immutable records.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, get_args

import yaml
from pydantic import ValidationError

from stemtrial.errors import InputError, did_you_mean
from stemtrial.evidence.schema import Arm, Baseline, Claim, Dose, Family, Outcome, Product, Record, Study, Target, Trial

DATA = Path(__file__).parent / "data"
"""Folder of the packaged evidence."""

# The C parser is ten times faster; wheels of PyYAML carry it, a source build may not.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PARTS: dict[str, type[Record]] = {
    "outcomes": Outcome,
    "arms": Arm,
    "baseline": Baseline,
    "product": Product,
    "dose": Dose,
}
_R = TypeVar("_R", bound=Record)
# Keys that folder, place and targets give; a file that states one is refused.
_DERIVED = frozenset({"family", "role", "never_tune_to", "outcome_id"})


@cache
def _files() -> Mapping[str, tuple[Family, Path]]:
    """Unique study id -> (folder, file), without opening any file.

    A study that stands in two folders keeps its id in the first (order ms, hsct, cells, als) and is named
    ``<id>@<folder>`` in the second, so that outcome ids stay unique.
    """
    found: dict[str, tuple[Family, Path]] = {}
    for family in get_args(Family):
        for path in sorted((DATA / family).glob("*.yaml")):
            found[path.stem if path.stem not in found else f"{path.stem}@{family}"] = (family, path)
    return MappingProxyType(found)


@cache
def roles() -> Mapping[str, Target]:
    """Role of every study by study id, from ``targets.yaml`` (fixed before any fitting)."""
    records = _records(DATA / "targets.yaml", "targets", Target)
    files = _files()
    out: dict[str, Target] = {}
    for r in records:
        twin = f"{r.study}@{r.topic}"
        out[twin if files.get(twin, ("",))[0] == r.topic else r.study] = r
    return MappingProxyType(out)


def study(study_id: str) -> Study:
    """Return one study; reads its file only.

    Raises
    ------
    InputError
        If no study has that id; the message lists the closest ids.

    """
    if study_id not in _files():
        raise InputError(f"study '{study_id}' is not known{did_you_mean(study_id, _files())}")
    return _study(study_id)


@cache
def _study(study_id: str) -> Study:
    family, path = _files()[study_id]
    return read_study(path, family, roles().get(study_id), study_id)


@cache
def studies() -> Mapping[str, Study]:
    """All studies by id, in the order ms, hsct, cells, als, then by name."""
    return MappingProxyType({study_id: _study(study_id) for study_id in _files()})


@cache
def claims() -> Mapping[str, Claim]:
    """Claims of the lay articles by id (``c001`` ...), each with what the record says."""
    return MappingProxyType({c.id: c for c in _records(DATA / "claims.yaml", "claims", Claim)})


@cache
def registered_trials() -> tuple[Trial, ...]:
    """Registered trials, a snapshot; five of them have no registry id."""
    path = DATA / "registry.yaml"
    date = str(parse_yaml(path)["snapshot_date"])
    return _records(path, "trials", Trial, snapshot_date=date)


def read_study(path: Path, family: Family, target: Target | None = None, study_id: str | None = None) -> Study:
    """Read and validate one study file.

    Parameters
    ----------
    path : Path
        YAML file, named after the study's id.
    family : {"ms", "hsct", "cells", "als"}
        Folder that the study belongs to.
    target : Target, optional
        Its role; without one the study is context (sealed where the file says so).
    study_id : str, optional
        Unique id where it differs from the file's name.

    Raises
    ------
    InputError
        ``file:line:col: key: what is wrong`` for the first fault in the file.

    """
    data = parse_yaml(path)
    if not isinstance(data, dict):
        raise InputError(f"{path}:1:1: a study is a mapping of keys to values; see any file in {DATA / 'ms'}")
    for key in _DERIVED & set(data):
        raise InputError(f"{_place(path, (key,))}: {key}: is derived from folder and targets; remove it")
    if data.get("id") != path.stem:
        raise InputError(f"{_place(path, ('id',))}: id: '{data.get('id')}' differs from the file's name '{path.stem}'")
    sealed = data.get("sealed") is True
    if target is not None and (target.role == "sealed") != sealed:
        raise InputError(f"{_place(path, ('sealed',))}: sealed: file says {sealed}, its role is '{target.role}'")
    data |= {"id": study_id or path.stem, "family": family}
    if target is not None:
        data |= {"role": target.role, "never_tune_to": target.never_tune_to}
    return validate(Study, data, path, ())


def _records(path: Path, key: str, model: type[_R], **common: Any) -> tuple[_R, ...]:
    rows = parse_yaml(path)[key]
    return tuple(validate(model, row | common, path, (key, i)) for i, row in enumerate(rows))


def parse_yaml(path: Path) -> Any:
    """Content of a YAML file; InputError with the place where it is not valid YAML or cannot be read."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as e:
        raise InputError(f"{path}: cannot be read ({e.strerror}); give a YAML file") from e
    except yaml.YAMLError as e:
        mark = getattr(e, "problem_mark", None)
        at = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise InputError(f"{at}: not valid YAML: {getattr(e, 'problem', None) or e}") from e


def validate(model: type[_R], data: dict[str, Any], path: Path, prefix: tuple[str | int, ...]) -> _R:
    """Build a record from raw keys; InputError names file, line, key and fix of the first fault.

    Parameters
    ----------
    model : type of Record
        What to build.
    data : dict
        Raw keys.
    path : Path
        File that they came from.
    prefix : tuple of str or int
        Where in the file they stand; empty for the whole file.

    """
    try:
        return model.model_validate(data)
    except ValidationError as e:
        raise InputError(_sentence(e, model, path, prefix)) from None


def _sentence(error: ValidationError, model: type[Record], path: Path, prefix: tuple[str | int, ...]) -> str:
    """One line for the first fault: place, key, rule, value, fix."""
    first = error.errors(include_url=False)[0]
    loc = prefix + tuple(first["loc"])
    kind, value = first["type"], first.get("input")
    if kind == "extra_forbidden":
        part = next((_PARTS[p] for p in reversed(loc[:-1]) if p in _PARTS), model)
        say = f"unknown key{did_you_mean(str(loc[-1]).lower(), set(part.model_fields) - _DERIVED)}"
    elif kind == "literal_error":
        valid = re.findall("'([^']*)'", first["ctx"]["expected"])
        say = f"'{value}' is not known{did_you_mean(str(value), valid)}"
    elif kind == "missing":
        say = "key is missing; add it"
    elif kind == "value_error":
        say = str(first["ctx"]["error"])
        # Rules over a whole study name the outcome themselves; the place is then that outcome's.
        inner = re.match(r"outcomes\[(\d+)\]\.(\w+) (.*)", say)
        if inner:
            loc, say = (*loc, "outcomes", int(inner[1]) - 1, inner[2]), inner[3]
    else:
        say = f"{first['msg']}, not {value!r}"
    # People count outcomes from 1, as outcome ids do.
    key = "".join(f"[{p + 1}]" if isinstance(p, int) else f".{p}" for p in loc).lstrip(".")
    return f"{_place(path, loc)}: {key + ': ' if key else ''}{say}"


def _place(path: Path, loc: tuple[str | int, ...]) -> str:
    """``file:line:col`` of the deepest part of ``loc`` that the file holds."""
    node = yaml.compose(path.read_text(encoding="utf-8"), Loader=_Loader)
    mark = node.start_mark if node else None
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            pair = next(((k, v) for k, v in node.value if k.value == part), None)
            if pair is None:
                break
            mark, node = pair[0].start_mark, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            mark = node.start_mark
        else:
            break
    return f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
