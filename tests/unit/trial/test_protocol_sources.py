"""Every protocol that comes with the package is named as its file, and every value says where it is from."""

from pathlib import Path

import pytest

from stemtrial.trial import protocol as room
from stemtrial.trial.protocol import load_protocol, protocol_names
from stemtrial.trial.source import load_yaml

FOLDER = Path(room.__file__).parent / "protocols"
SOURCED = (
    "population", "accrual", "randomisation", "blinding", "ascertainment", "relapse_treatment", "arms", "analysis_set",
    "visits", "rules",
)  # fmt: skip


@pytest.mark.parametrize("name", protocol_names())
def test_every_value_has_a_source(name):
    given, protocol = load_yaml(FOLDER / f"{name}.yaml")[0], load_protocol(name)
    sources = protocol.sources
    bare = [
        path
        for part in SOURCED
        for path in leaves(given.get(part, {}), part)
        if not any(path == s or path.startswith(f"{s}.") for s in sources)
    ]
    assert bare == []
    assert protocol.protocol == name
    assert any(s.split(".")[0] == "endpoints" for s in sources)
    assert [path for path, source in sources.items() if source == "assumed"] == [], "say why"


def leaves(value, prefix):
    """Path of each value below; of a treatment or a rule what stands beside its name."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield from leaves(below, f"{prefix}.{key}")
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for i, below in enumerate(value):
            names = {"therapy": None, "hazard": None, "arm": None}
            yield from leaves({k: v for k, v in below.items() if k not in names} or below, f"{prefix}.{i}")
    elif value != []:
        yield prefix
