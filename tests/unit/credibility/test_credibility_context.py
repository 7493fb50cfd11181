"""The context of use: what a person must state, where a mistake stands, how risk is combined."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from stemtrial.credibility import TEMPLATE, load_context, risk_of
from stemtrial.credibility.context import LEVELS
from stemtrial.errors import InputError

EXAMPLE = Path(__file__).parents[3] / "docs" / "credibility-mist.yaml"
GOOD = """\
question: Does it work?
decision: Whether a trial is planned.
use: One voice of three.
influence: {level: low, why: others speak too}
consequence: {level: high, why: people may be harmed}
"""


def told(path: Path) -> str:
    with pytest.raises(InputError) as error:
        load_context(path)
    return str(error.value)


def test_the_example_is_a_context_and_names_an_endpoint_of_its_protocol():
    from stemtrial.trial.protocol import load_protocol

    context, digest = load_context(EXAMPLE)
    assert context.endpoint in {u.id for u in load_protocol("mist").endpoints.all}
    assert context.risk == "medium"
    assert len(digest) == 64


def test_the_template_must_be_filled_in(tmp_path):
    file = tmp_path / "context.yaml"
    file.write_text(TEMPLATE)
    assert told(file).startswith(f"{file}:2:1: question: is not filled in")
    file.write_text(TEMPLATE.replace('""', "words of mine"))
    assert "level: 'words of mine' is not known; valid: high, low, medium" in told(file)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("level: low", "level: lowish", "4:13: influence.level: 'lowish' is not known; did you mean 'low'?"),
        ("question: Does it work?", "questoin: Does it work?", "1:1: questoin: unknown key; did you mean 'question'?"),
        ("use: One voice of three.\n", "", "use: is missing; add it"),
        ("use: One voice of three.", "use:", "3:1: use: is not filled in"),
        (", why: others speak too", "", "influence.why: is missing; add it"),
        ("influence: {level: low, why: others speak too}", "influence: low", "4:1: influence: must be a mapping"),
        (GOOD, "- a list", "a context of use is a mapping"),
        (GOOD, "", "the file is empty"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path, old, new, message):
    file = tmp_path / "context.yaml"
    file.write_text(GOOD.replace(old, new))
    said = told(file)
    assert said.startswith(f"{file}:")
    assert message in said
    assert "\n" not in said


def test_risk_grows_with_influence_and_with_consequence():
    rank = {level: k for k, level in enumerate(LEVELS)}
    for a, b in itertools.product(LEVELS, LEVELS):
        assert risk_of(a, b) == risk_of(b, a)
        for higher in LEVELS[rank[a] :]:
            assert rank[risk_of(higher, b)] >= rank[risk_of(a, b)]
    assert (risk_of("low", "low"), risk_of("high", "high")) == ("low", "high")
