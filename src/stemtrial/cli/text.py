"""Prints rows as tables and data as JSON: plain text that wraps at the width of the terminal."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

GAP = 2  # blanks between columns
PLAIN_WIDTH = 120  # of a pipe or a file, unless COLUMNS says otherwise


class _Printer(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the command line, which is silent about it."""
        raise  # noqa: PLE0704  called from an except block of rich


def console(err: bool = False) -> Console:
    """Console of stdout or stderr: no markup, no guessed colours, text as it is."""
    stream = sys.stderr if err else sys.stdout
    width = PLAIN_WIDTH if not stream.isatty() and "COLUMNS" not in os.environ else None
    return _Printer(stderr=err, markup=False, highlight=False, emoji=False, width=width)


def emit(what: RenderableType) -> None:
    """Print to stdout; into a file or pipe without the blanks that fill the lines."""
    out = console()
    if out.is_terminal:
        out.print(what)
        return
    with out.capture() as caught:
        out.print(what)
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in caught.get().splitlines()))


def whole(text: str) -> None:
    """Print lines that must not be broken, such as a path."""
    console().print(Text(text), soft_wrap=True)


def say(text: str = "", style: str | None = None) -> None:
    """Print a paragraph."""
    emit(Text(text, style=style or ""))


def heading(text: str) -> None:
    """Print a heading."""
    emit(Text(f"\n{text}", style="bold"))


def note(text: str) -> None:
    """Print an indented paragraph."""
    emit(Padding(Text(text), (0, 0, 0, 2)))


def print_json(data: Any) -> None:
    """Print JSON; numbers that are not finite become null."""
    sys.stdout.write(json.dumps(finite(data), indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def finite(data: Any) -> Any:
    """Return the same data with ``None`` for NaN and infinity."""
    if isinstance(data, float) and not math.isfinite(data):
        return None
    if isinstance(data, Mapping):
        return {str(k): finite(v) for k, v in data.items()}
    if isinstance(data, list | tuple):
        return [finite(v) for v in data]
    return data


def cell(value: Any) -> str:
    """One value of a table."""
    if value is None or value == []:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "∞" if value == math.inf else f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(cell(v) for v in value)
    return str(value)


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    right: Sequence[int] = (),
    fold: Sequence[int] = (),
) -> None:
    """Print a table.

    Parameters
    ----------
    columns : sequence of str
        Headings.
    rows : iterable of sequences
        Values, one a column.
    right : sequence of int
        Columns set to the right.
    fold : sequence of int
        Columns that wrap first when the line is too long.
    """
    lines = [[cell(v) for v in row] for row in rows]
    emit(_table(columns, lines, _widths(columns, lines, fold), right))


def tables(columns: Sequence[str], parts: Sequence[tuple[str, list[list[str]]]]) -> None:
    """Print tables with the same columns under one heading, each under its own line."""
    widths = _widths(columns, [line for _, lines in parts for line in lines])
    emit(_table(columns, [], widths))
    for title, lines in parts:
        emit(Text(title, style="italic"))
        emit(_table(columns, lines, widths, header=False))


def _widths(columns: Sequence[str], lines: Sequence[Sequence[str]], fold: Sequence[int] = ()) -> list[int]:
    """Widths that fit the line: what may fold gives way first, names (the first column) last, to be copied whole."""
    widths = [max([len(name), *(len(line[k]) for line in lines)]) for k, name in enumerate(columns)]
    room = console().width - GAP * (len(columns) - 1)
    for able, least in ((fold, 24), (range(1, len(widths)), 12), (range(len(widths)), 1)):
        while sum(widths) > room and any(widths[k] > least for k in able):
            widths[max(able, key=lambda k: widths[k])] -= 1
    return widths


def _table(
    columns: Sequence[str], lines: list[list[str]], widths: Sequence[int], right: Sequence[int] = (),
    header: bool = True,
) -> Table:  # fmt: skip
    made = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold", show_header=header)
    for k, name in enumerate(columns):
        made.add_column(name, justify="right" if k in right else "left", overflow="fold", width=widths[k])
    for line in lines:
        made.add_row(*(Text(v) for v in line))
    return made


def records(rows: Sequence[Mapping[str, Any]], fold: Sequence[str] = ()) -> None:
    """Print rows that share their keys; the keys become headings."""
    if not rows:
        note("none")
        return
    keys = list(rows[0])
    numbers = [k for k, key in enumerate(keys) if all(isinstance(r[key], int | float) for r in rows)]
    table(
        [k.replace("_", " ") for k in keys],
        [[r[k] for k in keys] for r in rows],
        right=numbers,
        fold=[keys.index(k) for k in fold if k in keys],
    )


def steps(lines: Sequence[str]) -> None:
    """Print numbered steps."""
    _list((f"{k}.", line) for k, line in enumerate(lines, start=1))


def bullets(lines: Sequence[str]) -> None:
    """Print a list."""
    _list((" -", line) for line in lines)


def _list(lines: Iterable[tuple[str, str]]) -> None:
    made = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
    made.add_column(justify="right", no_wrap=True)
    made.add_column(overflow="fold")
    for mark, line in lines:
        made.add_row(mark, Text(line))
    emit(made)
