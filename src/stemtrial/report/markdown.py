"""Tables of the documentation, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table, without a line break at its end.

    Parameters
    ----------
    head : sequence of str
        Names of the columns.
    rows : iterable of sequence
        Cells, written as text; a vertical bar in one becomes a slash, since it would end the cell.
    """
    lines = [_line(head), "|---" * len(head) + "|"]
    return "\n".join([*lines, *(_line([str(c).replace("|", "/") for c in row]) for row in rows)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
