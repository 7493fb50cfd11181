"""docs/endpoints.md lists every definition as it is. Run as a program, this file writes that list."""

import json
import sys
from pathlib import Path

from stemtrial.endpoint import definitions

PAGE = Path(__file__).parents[3] / "docs" / "endpoints.md"
START = "<!-- definitions: written by `python tests/unit/endpoint/test_endpoint_docs.py` -->\n"
END = "<!-- end of definitions -->\n"


def as_set(d):
    """Fields that differ from their defaults, in words of the file."""
    parts = []
    for name, field in type(d).model_fields.items():
        value = getattr(d, name)
        if name in {"id", "label", "citation", "unit", "note", "rule"}:
            continue
        if not field.is_required() and value == field.get_default(call_default_factory=True):
            continue
        if name == "thresholds":
            text = ", ".join(f"{t.by:g} up to {t.up_to:g}" for t in value)
        elif isinstance(value, tuple):
            text = ", ".join(map(str, value))
        else:
            text = value if isinstance(value, str) else json.dumps(value).strip("{}").replace('"', "")
        parts.append(f"{name}: {text}")
    return "; ".join(parts)


def table():
    lines = ["| id | endpoint | rule | as set | source | note |", "|---|---|---|---|---|---|"]
    for d in definitions().values():
        cells = (f"`{d.id}`", f"{d.label} ({d.unit})", d.rule, as_set(d), d.citation, d.note)
        lines.append("| " + " | ".join(c.replace("|", "/").strip() for c in cells) + " |")
    return "\n".join(lines) + "\n"


def test_the_page_lists_every_definition_as_it_is():
    page = PAGE.read_text(encoding="utf-8")
    assert page.split(START)[1].split(END)[0] == table(), f"run: python {Path(__file__).relative_to(PAGE.parents[1])}"


if __name__ == "__main__":
    before, rest = PAGE.read_text(encoding="utf-8").split(START)
    PAGE.write_text(before + START + table() + END + rest.split(END)[1], encoding="utf-8")
    sys.stdout.write(f"{len(definitions())} definitions\n")
