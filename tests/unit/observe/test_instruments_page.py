"""docs/instruments.md says what the register says, disease by disease."""

import math
import re
from pathlib import Path

import pytest

from stemtrial.disease import DISEASES
from stemtrial.observe import instruments

PAGE = Path(__file__).parents[3] / "docs" / "instruments.md"
HEADINGS = {"ms": "## Instruments of MS", "als": "## Instruments of ALS"}


def rows(disease):
    """Lines of the table, as the page must have them."""
    for i in instruments(disease).values():
        span = f"{i.low:g} and above" if math.isinf(i.high) else f"{i.low:g} to {i.high:g}"
        span += f", by {i.step:.3g}" if i.step else ""
        cells = (f"`{i.name}`", i.label, i.table, i.unit, span, i.noise, i.practice, i.missing, i.source)
        yield "| " + " | ".join(cells) + " |"


@pytest.mark.parametrize("disease", DISEASES)
def test_the_page_holds_every_instrument_as_registered(disease):
    sections = re.split(r"^(## .*)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    section = dict(zip(sections[1::2], sections[2::2], strict=True))[HEADINGS[disease]].splitlines()
    missing = [row for row in rows(disease) if row not in section]
    assert not missing, "put into docs/instruments.md:\n" + "\n".join(missing)
    assert sum(line.startswith("| `") for line in section) == len(instruments(disease))
