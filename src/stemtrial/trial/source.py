"""Read a YAML file that a person wrote, and remember where every value stood.

PyYAML's *event stream* is enough: events carry marks, come out of a loop (so that nesting can be bounded before
anything recurses), and nothing is ever constructed from a tag. Scalars follow the core schema of YAML 1.2: ``1e6`` is
a number, ``no`` is a word, ``2005-06-01`` is not a date. Keys are always text.
"""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from stemtrial.errors import InputError

MAX_BYTES = 1_000_000
MAX_DEPTH = 50

Loc = tuple[str | int, ...]

_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
# Escapes in quotes can make what no editor shows: control characters (a terminal obeys them) and half surrogates.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


@dataclass
class Positions:
    """Where each value of a file stood.

    Parameters
    ----------
    file : str
        The file as the user named it.
    marks : dict
        Path of a value, e.g. ``("arms", "hsct", "n")`` or ``("rules", 0)``, to its (line, column), counted from 1: of
        the key for an entry of a mapping, of the item for an entry of a list.
    """

    file: str
    marks: dict[Loc, tuple[int, int]] = field(default_factory=dict)

    def at(self, loc: Sequence[str | int]) -> tuple[int, int]:
        """Line and column of ``loc``, or of the closest enclosing value that the file holds."""
        path = tuple(loc)
        while path and path not in self.marks:
            path = path[:-1]
        return self.marks.get(path, (1, 1))

    def error(self, loc: Sequence[str | int], message: str) -> InputError:
        """``file:line:col: path: message`` as an :class:`~stemtrial.errors.InputError` (returned, not raised)."""
        line, column = self.at(loc)
        path = ".".join(str(part) for part in loc)
        return InputError(f"{self.file}:{line}:{column}: " + (f"{path}: " if path else "") + message)


def load_yaml(path: str | os.PathLike[str]) -> tuple[Any, Positions]:
    """Load one YAML document and the position of every value in it.

    Parameters
    ----------
    path : str or path
        A regular UTF-8 file of at most 1 MB, nested at most 50 deep.

    Returns
    -------
    data : dict, list or scalar
        Plain Python values; mappings have ``str`` keys in the order of the file.
    positions : Positions
        Line and column of every path in ``data``.

    Raises
    ------
    InputError
        If the file cannot be read, is empty, holds more than one document, a duplicate key, a tag, an anchor, an
        alias, a number that is not finite, or is not YAML.
    """
    file = os.fspath(path)
    text = _read(file)
    positions = Positions(file)
    try:
        events = _events(text)
        data = _build(events, positions)
    except yaml.reader.ReaderError as e:
        before = text[: e.position].splitlines() or [""]
        raise InputError(
            f"{file}:{len(before)}:{len(before[-1]) + 1}: character U+{int(e.character):04X} is not allowed in YAML; "
            "remove it"
        ) from None
    except yaml.MarkedYAMLError as e:
        mark = e.problem_mark or e.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what = ": ".join(part for part in (e.context, e.problem) if part)
        raise InputError(f"{file}:{line}:{column}: not valid YAML: {what}; mend the syntax here") from None
    except (ValueError, OverflowError) as e:
        if isinstance(e, InputError):
            raise
        # PyYAML lets Python's own error through for an escape such as "\\UFFFFFFFF" or a version of 5000 digits.
        raise InputError(f"{file}:1:1: not valid YAML: {e}; mend the escape or the directive") from None
    return data, positions


def _read(file: str) -> str:
    try:
        mode = os.stat(file).st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"{file}: is a directory; name a YAML file in it")
        if not stat.S_ISREG(mode):  # a pipe could block for ever, a device never end
            raise InputError(f"{file}: is not a regular file; name a YAML file")
        with Path(file).open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise InputError(f"{file}: no such file; check the path") from None
    except OSError as e:
        raise InputError(f"{file}: cannot be read: {e.strerror}; check the path and its permissions") from None
    except ValueError as e:
        if isinstance(e, InputError):
            raise
        raise InputError(f"{file!r}: is not a file name ({e}); check the path") from None
    if len(raw) > MAX_BYTES:
        raise InputError(f"{file}:1:1: larger than {MAX_BYTES // 1_000_000} MB; a protocol is a few kB, split the file")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        line = raw.count(b"\n", 0, e.start) + 1
        column = e.start - raw.rfind(b"\n", 0, e.start)
        raise InputError(
            f"{file}:{line}:{column}: byte 0x{raw[e.start]:02x} is not UTF-8; save the file as UTF-8"
        ) from None
    return text


def _events(text: str) -> Iterator[Any]:
    loader = yaml.SafeLoader(text)
    try:
        while loader.check_event():
            yield loader.get_event()  # type: ignore[no-untyped-call]
    finally:
        loader.dispose()


@dataclass
class _Open:
    """A mapping or list still being filled."""

    value: dict[str, Any] | list[Any]
    loc: Loc
    key: str | None = None  # mapping only: the key that waits for its value


def _build(events: Iterator[Any], positions: Positions) -> Any:
    stack: list[_Open] = []
    result: list[Any] = []  # at most the one root value

    for event in events:
        if isinstance(event, yaml.DocumentStartEvent) and result:
            raise _refuse(positions, event, (), "a second document starts here; keep one document, without '---'")
        if isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            stack.pop()
            continue
        if not isinstance(event, yaml.NodeEvent):
            continue

        top = stack[-1] if stack else None
        is_key = top is not None and isinstance(top.value, dict) and top.key is None
        here = _loc(top)
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            sign = "*" if isinstance(event, yaml.AliasEvent) else "&"
            raise _refuse(
                positions,
                event,
                here,
                f"anchors and aliases ('{sign}{event.anchor}') are not allowed; write the value out",
            )
        tag: str | None = getattr(event, "tag", None)
        if tag is not None:
            raise _refuse(positions, event, here, f"tags ('{tag}') are not allowed; remove the tag")

        strange = _UNPRINTABLE.search(event.value) if isinstance(event, yaml.ScalarEvent) else None
        if strange:
            raise _refuse(positions, event, here, f"character U+{ord(strange[0]):04X} is not allowed; remove it")

        if is_key:
            assert top is not None
            assert isinstance(top.value, dict)
            if not isinstance(event, yaml.ScalarEvent) or event.value == "":
                raise _refuse(positions, event, here, "a key must be a word; write 'name: value'")
            key = event.value
            if key in top.value:
                first = positions.marks[(*top.loc, key)]
                raise _refuse(
                    positions, event, (*top.loc, key), f"key '{key}' stands twice, first on line {first[0]}; keep one"
                )
            top.key = key
            top.value[key] = None
            _set_mark(positions, (*top.loc, key), event)
            continue

        value: Any
        if isinstance(event, yaml.ScalarEvent):
            value = event.value
            if event.style is None:
                value, problem = _plain(value)
                if problem:
                    raise _refuse(positions, event, here, problem)
        else:
            if len(stack) == MAX_DEPTH:
                raise _refuse(positions, event, (), f"nested more than {MAX_DEPTH} deep; flatten the file")
            value = {} if isinstance(event, yaml.MappingStartEvent) else []
        if top is None:
            result.append(value)
        elif isinstance(top.value, dict):
            assert top.key is not None
            top.value[top.key] = value
            top.key = None
        else:
            top.value.append(value)
            _set_mark(positions, here, event)
        if not isinstance(event, yaml.ScalarEvent):
            stack.append(_Open(value, here))

    if not result or result[0] is None:
        raise InputError(f"{positions.file}:1:1: the file is empty; write 'name: value' lines")
    return result[0]


def _loc(top: _Open | None) -> Loc:
    """Path of the value that comes next."""
    if top is None:
        return ()
    if isinstance(top.value, list):
        return (*top.loc, len(top.value))
    return top.loc if top.key is None else (*top.loc, top.key)


def _set_mark(positions: Positions, loc: Loc, event: Any) -> None:
    positions.marks[loc] = (event.start_mark.line + 1, event.start_mark.column + 1)


def _refuse(positions: Positions, event: Any, loc: Loc, message: str) -> InputError:
    """An error at the event itself, which may not be marked yet (or, for a second key, differently)."""
    _set_mark(positions, loc, event)
    return positions.error(loc, message)


def _plain(text: str) -> tuple[Any, str | None]:
    """Value of an unquoted scalar in YAML 1.2's core schema, and what is wrong with it, if anything."""
    if text in _NULL:
        return None, None
    if text in _BOOL:
        return _BOOL[text], None
    if _INT.fullmatch(text):
        if len(text) > 19:
            return None, f"the number {text[:12]}... is too long; use at most 18 digits"
        return int(text), None
    if _FLOAT.fullmatch(text):
        number = float(text)
        if math.isfinite(number):
            return number, None
    elif not _NOT_FINITE.fullmatch(text):
        return text, None
    return None, f"the number {text[:24]} is not finite; write an ordinary number"
