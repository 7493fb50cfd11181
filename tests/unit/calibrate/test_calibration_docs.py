"""docs/calibration.md tells of the posterior that ships. As a program, with a report, this file writes that part."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from stemtrial.calibrate.blocks import blocks
from stemtrial.report.calibration import markdown

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "calibration.md"
SHIPPED = ROOT / "src" / "stemtrial" / "parameters" / "posterior.json"
START = "<!-- calibration: written by `python tests/unit/calibrate/test_calibration_docs.py REPORT.json` -->\n"
END = "<!-- end of calibration -->\n"
NONE = "No posterior ships yet: predictions use the point values.\n"


def part(text: str) -> str:
    """What lies between the marks."""
    return text.partition(START)[2].partition(END)[0]


def with_part(text: str, new: str) -> str:
    """The page with another part."""
    head, _, rest = text.partition(START)
    return head + START + new + END + rest.partition(END)[2]


def test_the_page_tells_of_the_posterior_that_ships():
    told = part(PAGE.read_text())
    if not SHIPPED.is_file():
        assert told == NONE
        return
    shipped = json.loads(SHIPPED.read_text())
    assert f"`{shipped['label']}`" in told
    for entry in shipped["blocks"].values():
        for name in entry["free"]:
            assert f"| `{name}` |" in told


def test_the_part_can_be_written_and_written_again():
    text = PAGE.read_text()
    assert part(with_part(text, "x\n")) == "x\n"
    assert with_part(with_part(text, "x\n"), part(text)) == text


def test_the_page_names_all_blocks_and_options_that_there_are():
    text = " ".join(PAGE.read_text().split())
    assert {b.disease for b in blocks().values()} == {"ms", "als"}
    for words in ("--block als", "--ship src/stemtrial/parameters", "transplantation", "MSC and NSC in MS"):
        assert words in text


if __name__ == "__main__":
    report = json.loads(Path(sys.argv[1]).read_text())
    PAGE.write_text(with_part(PAGE.read_text(), markdown(report)))
