"""The YAML reader: values, positions, and one line for everything that it refuses."""

import os

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from stemtrial.errors import InputError
from stemtrial.trial.source import MAX_BYTES, load_yaml


def read(tmp_path, content):
    file = tmp_path / "f.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_yaml(file)


def test_values_follow_yaml_1_2(tmp_path):
    text = """\
number: 1e6
small: -.5
whole: 010
word: no
yes: on
flag: true
nothing: ~
empty:
date: 2005-06-01
month: 2005-06
clock: 1:30
hex: 0x10
thousand: 1_000
quoted: 'true'
merge: {<<: 1}
list: [1, a b, [2.0]]
1: int key
"""
    data, _ = read(tmp_path, text)
    assert data == {
        "number": 1e6,
        "small": -0.5,
        "whole": 10,
        "word": "no",
        "yes": "on",
        "flag": True,
        "nothing": None,
        "empty": None,
        "date": "2005-06-01",
        "month": "2005-06",
        "clock": "1:30",
        "hex": "0x10",
        "thousand": "1_000",
        "quoted": "true",
        "merge": {"<<": 1},
        "list": [1, "a b", [2.0]],
        "1": "int key",
    }
    assert type(data["number"]) is float
    assert type(data["whole"]) is int


def test_positions_are_those_of_keys_and_items(tmp_path):
    data, positions = read(tmp_path, "# comment\na:\n  b: [1, {c: 2}]\n  d:\n    - x\n    - y: z\n")
    assert data == {"a": {"b": [1, {"c": 2}], "d": ["x", {"y": "z"}]}}
    assert positions.marks == {
        ("a",): (2, 1),
        ("a", "b"): (3, 3),
        ("a", "b", 0): (3, 7),
        ("a", "b", 1): (3, 10),
        ("a", "b", 1, "c"): (3, 11),
        ("a", "d"): (4, 3),
        ("a", "d", 0): (5, 7),
        ("a", "d", 1): (6, 7),
        ("a", "d", 1, "y"): (6, 7),
    }
    assert positions.at(("a", "b", 1, "missing", 7)) == (3, 10)
    assert str(positions.error(("a", "b"), "is wrong; mend it")).endswith("f.yaml:3:3: a.b: is wrong; mend it")


def test_a_byte_order_mark_and_windows_lines_are_fine(tmp_path):
    data, positions = read(tmp_path, b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert data == {"a": 1, "b": 2}
    assert positions.at(("b",)) == (2, 1)


REFUSED = {
    "duplicate key": ("a: 1\nb:\n  c: 1\n  c: 2\n", "4:3: b.c: key 'c' stands twice, first on line 3; keep one"),
    "python tag": (
        "a: !!python/object/apply:os.system ['true']",
        "1:4: a: tags ('tag:yaml.org,2002:python/object/apply:os.system') are not allowed; remove the tag",
    ),
    "own tag": ("a: [!x 1]", "1:5: a.0: tags ('!x') are not allowed; remove the tag"),
    "bare tag": ("a: ! 1", "1:4: a: tags ('!') are not allowed; remove the tag"),
    "standard tag": ("a: !!int 1", "1:4: a: tags ('tag:yaml.org,2002:int') are not allowed; remove the tag"),
    "anchor": ("a: &x [1]\nb: 2", "1:4: a: anchors and aliases ('&x') are not allowed; write the value out"),
    "alias": ("a: 1\nb: *x", "2:4: b: anchors and aliases ('*x') are not allowed; write the value out"),
    "deep list": ("[" * 51 + "]" * 51, "1:51: nested more than 50 deep; flatten the file"),
    "deep mapping": (
        "".join(f"{' ' * i}a:\n" for i in range(60)),
        "51:51: nested more than 50 deep; flatten the file",
    ),
    "empty": ("", "1:1: the file is empty; write 'name: value' lines"),
    "only a comment": ("# nothing\n---\n", "1:1: the file is empty; write 'name: value' lines"),
    "not utf-8": (b"a: 1\nb: \xe4\n", "2:4: byte 0xe4 is not UTF-8; save the file as UTF-8"),
    "utf-16": ("a: 1".encode("utf-16"), None),
    "control character": (b"a: 1\nb: x\x07", "2:5: character U+0007 is not allowed in YAML; remove it"),
    "escape sequence": ('"\\e[31m": 1', "1:1: character U+001B is not allowed; remove it"),
    "half surrogate": ('a: "\\uD800"', "1:4: a: character U+D800 is not allowed; remove it"),
    "impossible escape": (
        'a: "\\UFFFFFFFF"',
        None,
    ),
    "long version": ("%YAML " + "9" * 5000 + ".1\n---\na: 1", None),
    "two documents": ("a: 1\n---\nb: 2", "2:1: a second document starts here; keep one document, without '---'"),
    "list as key": ("? [a]\n: 1", "1:3: a key must be a word; write 'name: value'"),
    "empty key": ("a: {'': 1}", "1:5: a: a key must be a word; write 'name: value'"),
    "infinite": ("a: [1, .inf]", "1:8: a.1: the number .inf is not finite; write an ordinary number"),
    "nan": ("a: .NaN", "1:4: a: the number .NaN is not finite; write an ordinary number"),
    "overflow": ("a: 1e999", "1:4: a: the number 1e999 is not finite; write an ordinary number"),
    "long integer": ("a: " + "9" * 5000, "1:4: a: the number 999999999999... is too long; use at most 18 digits"),
    "tab": (
        "a:\n\tb: 1",
        "2:1: not valid YAML: while scanning for the next token: found character '\\t' that cannot start any token; "
        "mend the syntax here",
    ),
    "open bracket": (
        "a: [1, 2",
        "1:9: not valid YAML: while parsing a flow sequence: expected ',' or ']', but got '<stream end>'; "
        "mend the syntax here",
    ),
    "too large": (b"a: 1\n" * 200_001, "1:1: larger than 1 MB; a protocol is a few kB, split the file"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line_with_the_place(tmp_path, name):
    content, message = REFUSED[name]
    with pytest.raises(InputError) as caught:
        read(tmp_path, content)
    text = str(caught.value)
    assert "\n" not in text
    if message is None:
        assert text.startswith(f"{tmp_path / 'f.yaml'}:1:")
    else:
        assert text == f"{tmp_path / 'f.yaml'}:{message}"


def test_an_alias_bomb_costs_nothing(tmp_path):
    bomb = "a: &a [x]\n" + "".join(f"{b}: &{b} [*{a},*{a},*{a}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True))
    with pytest.raises(InputError, match="anchors and aliases"):
        read(tmp_path, bomb)


def test_what_is_no_file(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path, what in [
        (tmp_path / "none.yaml", "no such file; check the path"),
        (tmp_path, "is a directory; name a YAML file in it"),
        (fifo, "is not a regular file; name a YAML file"),
    ]:
        with pytest.raises(InputError) as caught:
            load_yaml(path)
        assert str(caught.value) == f"{path}: {what}"
    with pytest.raises(InputError, match="is not a file name"):
        load_yaml("a\0b.yaml")


def test_the_size_limit_is_exact(tmp_path):
    head = b"a: 1 #"
    assert read(tmp_path, head + b"x" * (MAX_BYTES - len(head)))[0] == {"a": 1}
    with pytest.raises(InputError, match="larger than"):
        read(tmp_path, head + b"x" * (MAX_BYTES - len(head) + 1))


_PIECES = [
    "a: ",
    "b",
    "\n",
    "  ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "&x ",
    "*x",
    "!t ",
    "---\n",
    "? ",
    "'",
    '"',
    "\\x",
    "%Y",
]


@given(st.one_of(st.binary(max_size=80), st.lists(st.sampled_from(_PIECES), max_size=30).map("".join)))
@settings(max_examples=400, deadline=None)
def test_any_bytes_give_data_or_an_input_error(tmp_path_factory, content):
    try:
        data, positions = read(tmp_path_factory.getbasetemp(), content)
    except InputError:
        pass
    else:
        assert data is not None
        assert all(line >= 1 and column >= 1 for line, column in positions.marks.values())


def _is_no_number(text: str) -> bool:
    """PyYAML leaves `1E5` bare, which it reads as a word and YAML 1.2, as we do, as a number."""
    try:
        float(text)
    except ValueError:
        return True
    return False


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12).filter(_is_no_number),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(categories=["Ll"], max_codepoint=122), min_size=1), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from("abcdef"), _VALUES, min_size=1))
@settings(max_examples=150, deadline=None)
def test_what_pyyaml_writes_is_read_back(tmp_path_factory, data):
    class NoAliases(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:
            return True

    text = yaml.dump(data, Dumper=NoAliases, default_style=None)
    if any(word in text for word in ("!!", "? ")):  # what our reader refuses by design
        return
    assert read(tmp_path_factory.getbasetemp(), text)[0] == data
