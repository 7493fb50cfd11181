"""Every packaged study loads, validates and keeps its identity; a bad file says where and what."""

import hashlib
import re
import subprocess
import sys

import pytest
from pydantic import ValidationError

from stemtrial import evidence as ev
from stemtrial.errors import InputError
from stemtrial.evidence.load import DATA
from stemtrial.evidence.schema import CONTEXT_ANALYSES, SEALED_KEYS

# Roles were fixed before any parameter was fitted: a changed file is a broken promise, not an update.
TARGETS_SHA256 = "918611f58798788c4301d281222afdfd6125274751ad14fe723d7ccbe40abb3d"

GOOD = """\
id: good2020
citation: Good A et al. J Test 2020;1:1-2
disease: ms
kind: rct
arms:
- id: cells
  therapy: msc
  n: 20
- id: sham
  therapy: placebo
  n: 20
outcomes:
- arm: [cells, sham]
  endpoint: disability_progression
  statistic: hazard_ratio
  value: 0.5
  ci95: [0.2, 1.2]
  verification: primary
- arm: cells
  endpoint: nea
  statistic: proportion
  value: 0.6
  n: 20
  events: 12
  verification: recalled
"""


def write(tmp_path, text, name="good2020"):
    path = tmp_path / f"{name}.yaml"
    path.write_text(text)
    return path


def test_all_studies_load():
    every = ev.studies()
    assert len(every) == 347
    assert sum(1 for s in every.values() for _ in s.outcomes) == 2258
    assert {k: sum(s.family == k for s in every.values()) for k in ("ms", "hsct", "cells", "als")} == {
        "ms": 126,
        "hsct": 76,
        "cells": 70,
        "als": 75,
    }
    assert all(key == s.id for key, s in every.items())


def test_all_studies_load_within_two_seconds():
    # A fresh process, so that no cache of another test helps; imports are not counted.
    code = (
        "import time; from stemtrial import evidence as ev; t = time.perf_counter(); ev.studies(); ev.claims();"
        "ev.registered_trials(); print(time.perf_counter() - t)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert float(out) < 2


def test_one_study_opens_only_its_file():
    code = (
        "from pathlib import Path; seen = []; plain = Path.read_text\n"
        "def spy(self, *a, **k):\n    seen.append(self.name)\n    return plain(self, *a, **k)\n"
        "Path.read_text = spy\nfrom stemtrial import evidence as ev\nev.study('burt2019_mist')\n"
        "print(sorted(n for n in seen if n.endswith('yaml')))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "['burt2019_mist.yaml', 'targets.yaml']"


def test_outcome_ids_are_unique_and_positional():
    ids = [o.outcome_id for s in ev.studies().values() for o in s.outcomes]
    assert len(set(ids)) == len(ids)
    mist = ev.study("burt2019_mist")
    assert [o.outcome_id for o in mist.outcomes[:2]] == ["burt2019_mist#1", "burt2019_mist#2"]
    seventh = mist.outcomes[6]
    assert (seventh.outcome_id, seventh.endpoint, seventh.arm, seventh.value) == (
        "burt2019_mist#7",
        "edss_change",
        "hsct",
        -1.02,
    )


def test_a_study_in_two_folders_keeps_two_names():
    first, second = ev.study("patrikios2006_remyelination"), ev.study("patrikios2006_remyelination@cells")
    assert (first.family, second.family) == ("ms", "cells")
    assert first.outcomes[0].outcome_id != second.outcomes[0].outcome_id


def test_sealed_studies_carry_no_values():
    sealed = [s for s in ev.studies().values() if s.sealed]
    assert len(sealed) == 27
    assert {s.id for s in sealed} == {k for k, t in ev.roles().items() if t.role == "sealed"}
    rows = [o for s in sealed for o in s.outcomes]
    assert len(rows) == 249
    assert all(getattr(o, key) is None for o in rows for key in SEALED_KEYS)
    assert {o.role for o in rows} == {"sealed"}


def test_roles_are_those_fixed_before_fitting():
    assert hashlib.sha256((DATA / "targets.yaml").read_bytes()).hexdigest() == TARGETS_SHA256
    roles = ev.roles()
    assert set(roles) == set(ev.studies())
    counts = {r: sum(t.role == r for t in roles.values()) for r in ("fit", "test", "sealed", "context")}
    assert counts == {"fit": 156, "test": 57, "sealed": 27, "context": 107}


def test_effective_roles_agree_with_the_recorded_number_of_usable_rows():
    for key, target in ev.roles().items():
        usable = [o for o in ev.study(key).outcomes if o.role in ("fit", "test")]
        if target.role in ("fit", "test"):
            assert len(usable) == target.n_usable, key
        else:
            assert not usable, key


def test_unverified_and_exploratory_rows_are_context():
    for s in ev.studies().values():
        for o in s.outcomes:
            if not s.sealed and (not o.verified or o.analysis in CONTEXT_ANALYSES):
                assert o.role == "context", o.outcome_id


def test_arms_never_to_be_tuned_to_are_tests():
    roles = {o.outcome_id: o.role for o in ev.study("burt2019_mist").outcomes}
    assert roles["burt2019_mist#1"] == "test"  # [hsct, dmt]
    assert roles["burt2019_mist#2"] == "fit"  # hsct
    assert roles["burt2019_mist#3"] == "test"  # dmt
    assert roles["burt2019_mist#11"] == "context"  # recalled


def test_claims_and_registry():
    assert len(ev.claims()) == 54
    assert ev.claims()["c004"].verdict == "misattributed"
    trials = ev.registered_trials()
    assert len(trials) == 146
    assert {t.snapshot_date for t in trials} == {"2026-11-21"}
    assert all(None not in t.publications for t in trials)


def test_unknown_study_lists_the_closest():
    with pytest.raises(InputError, match="did you mean 'burt2019_mist'"):
        ev.study("burt2019mist")


def test_records_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        ev.study("burt2019_mist").outcomes[0].value = 1.0


def test_a_good_file_loads(tmp_path):
    s = ev.read_study(write(tmp_path, GOOD), "cells")
    assert s.outcomes[0].arms == ("cells", "sham")
    assert [o.verified for o in s.outcomes] == [True, False]
    assert s.outcomes[0].role == "context"


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("statistic: proportion", "statistic: proportoin", 21, r"outcomes\[2\].statistic: .*did you mean 'proportion'"),
        ("  n: 20\n  events", "  N: 20\n  events", 23, r"outcomes\[2\].N: unknown key.*'n'"),
        ("value: 0.6", "value: 1.6", 19, r"proportion 1.6 lies outside 0..1"),
        ("value: 0.6", "value: '0.6'", 22, r"outcomes\[2\].value: .*'0.6'"),
        ("value: 0.5", "value: -0.5", 13, "hazard_ratio -0.5 is not positive"),
        ("[0.2, 1.2]", "[0.6, 1.2]", 13, "outside its ci95"),
        ("arm: cells", "arm: cell", 19, r"outcomes\[2\].arm: 'cell' is not an arm; valid: all, cells, sham"),
        ("verification: recalled", "verification: seen", 25, r"outcomes\[2\].verification: 'seen' is not known"),
        ("  verification: recalled\n", "", 19, r"outcomes\[2\].verification: is missing"),
        ("events: 12", "events: 21", 19, "events 21 exceed n 20"),
        ("kind: rct", "sealed: true\nkind: rct", 17, r"outcomes\[1\].value: is stated in a sealed study"),
        ("- id: sham", "- id: cells", 1, "arm id 'cells' stands twice"),
        ("citation: Good A et al. J Test 2020;1:1-2\n", "", 1, "citation: key is missing"),
        ("id: good2020", "id: other", 1, "differs from the file's name"),
        ("kind: rct", "kind: rct\nrole: fit", 5, "role: is derived"),
        ("  n: 20\n- id: sham", "  n: 2.5\n- id: sham", 8, r"arms\[1\].n: "),
    ],
)
def test_bad_file_says_file_line_key_and_fix(tmp_path, old, new, line, says):
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(InputError, match=says) as e:
        ev.read_study(path, "cells")
    assert re.match(rf"{re.escape(str(path))}:{line}:\d+: ", str(e.value))
    assert "\n" not in str(e.value)


def test_broken_yaml_and_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"bad\.yaml:2:\d+: not valid YAML"):
        ev.read_study(write(tmp_path, "id: [\n}", "bad"), "ms")
    with pytest.raises(InputError, match="cannot be read"):
        ev.read_study(tmp_path / "none.yaml", "ms")
    with pytest.raises(InputError, match="a study is a mapping"):
        ev.read_study(write(tmp_path, "- 1", "list"), "ms")
