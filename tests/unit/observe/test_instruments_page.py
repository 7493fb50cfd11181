"""docs/instruments.md says what the register says."""

import math
from pathlib import Path

from stemtrial.observe import instruments

PAGE = Path(__file__).parents[3] / "docs" / "instruments.md"


def rows():
    """Lines of the table, as the page must have them."""
    for i in instruments().values():
        span = f"{i.low:g} and above" if math.isinf(i.high) else f"{i.low:g} to {i.high:g}"
        span += f", by {i.step:.3g}" if i.step else ""
        cells = (f"`{i.name}`", i.label, i.table, i.unit, span, i.noise, i.practice, i.missing, i.source)
        yield "| " + " | ".join(cells) + " |"


def test_the_page_holds_every_instrument_as_registered():
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    missing = [row for row in rows() if row not in lines]
    assert not missing, "put into docs/instruments.md:\n" + "\n".join(missing)
    assert sum(line.startswith("| `") for line in lines) == len(instruments())
