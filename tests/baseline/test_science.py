"""A changed parameter, prior, draw or study is seen, and told under *Science changes* in CHANGELOG.md."""

from __future__ import annotations

import json

import science
from science import CHANGELOG, FROZEN, computed, line_of, science_changes

from stemtrial.parameters import register, write_posterior

HOW = (
    "{what} changed. If that is meant, run 'python -m tests.baseline.regenerate', and add the line that it prints "
    "under 'Science changes' in CHANGELOG.md; if not, a number was changed by accident"
)


def test_the_science_is_the_frozen_one():
    before, now = json.loads(FROZEN.read_text()), computed()
    changed = [k for k in ("parameters", "posterior", "record") if before[k] != now[k]]
    assert not changed, HOW.format(what=" and ".join(changed))
    assert before == now


def test_the_changelog_tells_the_frozen_science():
    frozen = json.loads(FROZEN.read_text())["science"]
    told = [x for x in science_changes(CHANGELOG.read_text(encoding="utf-8")) if frozen[:8] in x]
    assert told, f"under 'Science changes' in CHANGELOG.md a line is missing: {line_of(frozen)}"
    assert not any("<what" in x for x in told), "say what changed and why"


def test_only_lines_under_the_heading_count():
    text = "### Added\n- abc\n### Science changes\nwhy:\n- def\n\n- ghi\n## 0.1\n- jkl\n### Science changes\n- mno\n"
    assert [x for x in science_changes(text) if x.startswith("- ")] == ["- def", "- ghi", "- mno"]


def test_a_changed_value_or_prior_changes_the_hash(monkeypatch):
    known, now = dict(register.registry()), computed()
    p = known["ms.kM"]
    for change in ({"value": p.value * 1.01}, {"prior": {"dist": "normal", "sd": 0.5}}):
        other = register.Parameter(**{**p.__dict__, **change})
        monkeypatch.setattr(register, "registry", lambda other=other: known | {"ms.kM": other})
        then = computed()
        assert then["parameters"] != now["parameters"]
        assert then["science"] != now["science"]
        assert (then["posterior"], then["record"]) == (now["posterior"], now["record"])


def test_a_changed_draw_changes_the_hash(tmp_path, monkeypatch):
    monkeypatch.setattr(science, "SHIPPED", tmp_path)
    assert computed()["posterior"] is None
    found = set()
    for value in (0.06, 0.0600001):
        write_posterior(tmp_path, ["ms.kM"], [[value], [0.05]], {"label": "p"})
        found.add(computed()["science"])
    assert len(found) == 2


def test_a_changed_study_changes_the_hash_where_it_may_be_fitted_to(monkeypatch):
    known, now = dict(science.studies()), computed()
    for role, changes in (("fit", True), ("test", False)):
        name = next(
            n for n, s in known.items() if s.role == role and s.outcomes and {o.role for o in s.outcomes} == {role}
        )
        s = known[name]
        other = s.model_copy(
            update={"outcomes": (s.outcomes[0].model_copy(update={"value": 0.123456}), *s.outcomes[1:])}
        )
        monkeypatch.setattr(science, "studies", lambda name=name, other=other: known | {name: other})
        assert (computed()["record"] != now["record"]) == changes
