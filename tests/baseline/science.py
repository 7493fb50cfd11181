"""What every number rests on, as three hashes: parameters and priors, the posterior, the record it is fitted to."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from stemtrial.evidence import studies
from stemtrial.parameters import parameters_identity, shipped

FROZEN = Path(__file__).with_name("science.json")
CHANGELOG = Path(__file__).parents[2] / "CHANGELOG.md"
HEADING = "### Science changes"
SHIPPED = Path(shipped.__file__).parent
"""The package's own folder, whatever a test sets in its place."""


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def posterior_identity() -> str | None:
    """Hash of the table of draws and of where it comes from; None where none is shipped."""
    files = [SHIPPED / shipped.TABLE, SHIPPED / shipped.PROVENANCE]
    return _hash("\0".join(f.read_text(encoding="utf-8") for f in files)) if files[0].is_file() else None


def record_identity() -> str:
    """Hash of every study that may be fitted to: whose role is fit, or some outcome's."""
    fit = {
        name: s.model_dump(mode="json")
        for name, s in studies().items()
        if s.role == "fit" or any(o.role == "fit" for o in s.outcomes)
    }
    assert fit, "no study has the role fit"
    return _hash(json.dumps(fit, sort_keys=True))


def computed() -> dict[str, str | None]:
    """The three hashes as they are now, and one of all."""
    parts = {"parameters": parameters_identity(), "posterior": posterior_identity(), "record": record_identity()}
    return {**parts, "science": _hash(json.dumps(parts, sort_keys=True))}


def science_changes(text: str) -> list[str]:
    """Lines of a changelog that stand under the heading *Science changes* of any version."""
    out, inside = [], False
    for line in text.splitlines():
        if line.startswith("#"):
            inside = line.strip() == HEADING
        elif inside:
            out.append(line)
    return out


def line_of(science: str) -> str:
    """The line that a change needs, with the reason left to be said."""
    return f"- Science {science[:8]}: <what changed, and why>"
