"""The context of use that a person writes: question, decision, and how much hangs on the model.

Terms are those of ICH M15 (question of interest, context of use, model influence, consequence of a wrong decision,
model risk, model impact) and ASME V&V 40-2018. A rating is a judgement of who decides: nothing fills it in.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import StringConstraints, ValidationError

from stemtrial.trial.mistakes import path_of, sentence_of
from stemtrial.trial.parts import Part
from stemtrial.trial.source import load_yaml

Level = Literal["low", "medium", "high"]
LEVELS: tuple[Level, ...] = ("low", "medium", "high")
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=4000)]
RISK: Mapping[tuple[Level, Level], Level] = {
    ("low", "low"): "low", ("low", "medium"): "low", ("low", "high"): "medium",
    ("medium", "low"): "low", ("medium", "medium"): "medium", ("medium", "high"): "high",
    ("high", "low"): "medium", ("high", "medium"): "high", ("high", "high"): "high",
}  # fmt: skip
"""(model influence, consequence of a wrong decision) -> model risk.

The guidances ask for the combination and leave the table to the user; this one is the package's own.
"""
TEMPLATE = """\
# Context of use of a credibility report. Fill in every line; a rating is a judgement of who decides, with its reason.
question: ""        # question of interest: what shall be known, about whom, against what
decision: ""        # what is decided with the answer, by whom
use: ""             # what the model contributes to it, and what else does (trials, reviews, expert opinion)
influence:          # model influence: weight of the model among all evidence for the decision
  level: ""         # low | medium | high
  why: ""
consequence:        # consequence of a wrong decision: how severe, how likely to reach patients
  level: ""         # low | medium | high
  why: ""
impact:             # model impact (ICH M15): how far the use departs from current practice or guidance; may be left out
  level: ""         # low | medium | high
  why: ""
# endpoint: confirmed_worsening.mist     # the endpoint that answers; the primary one of the protocol when left out
# criteria:                              # what else must hold for this use, stated before the results; people judge it
#   - "..."
"""
"""The file that a person fills in."""


class Rating(Part):
    """A level with its reason.

    Parameters
    ----------
    level : {"low", "medium", "high"}
        The judgement.
    why : str
        What it rests on.
    """

    level: Level
    why: Words


class Context(Part):
    """A context of use; load it with :func:`load_context`.

    Parameters
    ----------
    question, decision, use : str
        Question of interest; what is decided; what the model contributes beside other evidence.
    influence, consequence : Rating
        Model influence, and consequence of a wrong decision.
    impact : Rating, optional
        Model impact of ICH M15: distance of this use from current practice or guidance.
    endpoint : str, optional
        Endpoint of the protocol whose estimate answers; the primary one when left out.
    criteria : tuple of str
        What must hold for this use beside the package's own rules.
    """

    question: Words
    decision: Words
    use: Words
    influence: Rating
    consequence: Rating
    impact: Rating | None = None
    endpoint: Words | None = None
    criteria: tuple[Words, ...] = ()

    @property
    def risk(self) -> Level:
        """Model risk."""
        return risk_of(self.influence.level, self.consequence.level)


def risk_of(influence: Level, consequence: Level) -> Level:
    """Return the model risk of an influence and a consequence (:data:`RISK`)."""
    return RISK[influence, consequence]


def load_context(path: str | os.PathLike[str]) -> tuple[Context, str]:
    """Load and check a context of use.

    Parameters
    ----------
    path : str or path
        A YAML file, as :data:`TEMPLATE`.

    Returns
    -------
    Context
        What it says.
    str
        SHA-256 of the file.

    Raises
    ------
    InputError
        For the first error in the order of the file, as ``file:line:col: path: what is wrong; the fix``.
    """
    data, positions = load_yaml(path)
    if not isinstance(data, Mapping):
        raise positions.error((), "a context of use is a mapping; see 'stemtrial credibility --template'")
    try:
        context = Context.model_validate(data)
    except ValidationError as e:
        found = [(positions.at(path_of(d)), path_of(d), _sentence(d)) for d in e.errors(include_url=False)]
        _, loc, message = min(found, key=lambda item: item[0])
        raise positions.error(loc, message) from None
    return context, hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _sentence(detail: Any) -> str:
    """Pydantic's message; of what was not filled in, what to write."""
    if detail.get("input") in ("", None) and detail["type"] not in ("missing", "protocol"):
        if detail["type"] == "literal_error":
            return f"is not filled in; write {', '.join(LEVELS[:-1])} or {LEVELS[-1]}"
        return "is not filled in; write it in words, or see 'stemtrial credibility --template'"
    return sentence_of(detail)


__all__ = ["LEVELS", "RISK", "TEMPLATE", "Context", "Rating", "load_context", "risk_of"]
