"""The one exception that a user's mistake raises, and the sentence that mends it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Input that cannot be used: says the rule, the value and the fix, in one line.

    The command line prints the message and exits with status 2; nothing is left behind.

    Parameters
    ----------
    message : str
        One line. Where the input came from a file it starts with ``file:line:col:``.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


def did_you_mean(name: str, valid: Iterable[str], limit: int = 3) -> str:
    """Return ``"; did you mean 'x'?"``, else the list of valid names, for an unknown name.

    Parameters
    ----------
    name : str
        The unknown name.
    valid : iterable of str
        All names that would have been accepted.
    limit : int
        The largest number of suggestions.
    """
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=limit, cutoff=0.6)
    if close:
        return "; did you mean " + " or ".join(f"'{c}'" for c in close) + "?"
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f"; valid: {shown}"
