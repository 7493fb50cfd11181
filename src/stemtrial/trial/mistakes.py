"""What pydantic found wrong in a file, as path and sentence: rule, value, fix."""

from __future__ import annotations

from typing import Any

from stemtrial.errors import did_you_mean
from stemtrial.trial.parts import PATTERNS
from stemtrial.trial.source import Loc


def path_of(detail: Any) -> Loc:
    """Path of the value in its file, of one of ``ValidationError.errors()``: without the tags of alternatives."""
    return tuple(part for part in detail["loc"] if not str(part).startswith("<") and part != "[key]")


_KINDS = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "mapping_type": "a mapping, 'name: value'",
    "model_type": "a mapping, 'name: value'",
}


def sentence_of(detail: Any) -> str:
    """Pydantic's message as rule, value and fix."""
    if detail["type"] == "protocol":
        return str(detail["ctx"]["message"])
    if detail["type"] == "missing":
        return "is missing; add it"
    value = repr(detail["input"])
    value = value if len(value) <= 60 else value[:57] + "..."
    if detail["type"] == "literal_error" and isinstance(detail["input"], str):
        valid = [word.strip("' ") for word in detail["ctx"]["expected"].replace(" or ", ", ").split(",")]
        return f"{value} is not known{did_you_mean(detail['input'], valid)}"
    if detail["type"] in _KINDS:
        return f"must be {_KINDS[detail['type']]}, not {value}; mend it"
    if detail["type"] == "string_pattern_mismatch":
        return f"must be {PATTERNS[detail['ctx']['pattern']]}, not {value}; mend it"
    rule = detail["msg"].replace("Input should be ", "must be ").replace("String should ", "must ")
    return f"{rule[0].lower()}{rule[1:]}, not {value}; mend it"
