"""The controlled endpoint terms, and the term behind every spelling of the evidence (``vocabulary.yaml``)."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from stemtrial.endpoint import definitions
from stemtrial.errors import InputError, did_you_mean
from stemtrial.evidence.load import parse_yaml, validate
from stemtrial.evidence.schema import Record, Statistic, Text

VOCABULARY = Path(__file__).parent / "vocabulary.yaml"

Benefit = Literal["higher", "lower", "none"]
EndpointFamily = Literal[
    "disability",
    "relapse",
    "mri",
    "safety",
    "survival",
    "biomarker",
    "function",
    "cell",
    "population",
    "economics",
    "measurement",
    "design",
]


class Term(Record):
    """One controlled endpoint: a quantity on one scale.

    Attributes
    ----------
    id, label, unit, family
        Name, words, unit, and the kind of endpoint (disability, relapse, mri, safety ...).
    benefit : {"higher", "lower", "none"}
        Which way is better for the patient; ``none`` where the rows do not share a direction.
    statistics : tuple of str
        Kinds of number that the term takes; empty for ``other.*``, which take any.
    hazard_of : str, optional
        Event whose hazard a hazard ratio compares, where the term itself counts those without the event.
    timed : bool
        Whether the follow-up defines the quantity, so that only rows at the same horizon compare.
    endpoints : tuple of str
        Ids of endpoint definitions (:func:`stemtrial.endpoint.definitions`) that measure it under another name; an id
        stands for those that go on after a dot too.
    spellings : tuple of str
        Endpoint names of the evidence; ``[0-9]`` stands for one digit.

    """

    id: Text
    label: Text
    unit: Text
    family: EndpointFamily
    benefit: Benefit
    statistics: tuple[Statistic, ...] = ()
    hazard_of: Text | None = None
    timed: bool = True
    endpoints: tuple[Text, ...] = ()
    spellings: tuple[Text, ...]

    @property
    def is_other(self) -> bool:
        """Whether the term gathers different quantities (``other.*``), which must not be pooled."""
        return self.id.startswith("other.")

    def benefit_of(self, statistic: str) -> Benefit:
        """Which way is better for that statistic: a hazard ratio compares the event named by ``hazard_of``."""
        return "lower" if self.hazard_of and statistic == "hazard_ratio" else self.benefit


@cache
def terms() -> Mapping[str, Term]:
    """All controlled terms by id, in the order of the file."""
    raw = parse_yaml(VOCABULARY)
    return MappingProxyType(
        {name: validate(Term, {"id": name, **row}, VOCABULARY, (name,)) for name, row in raw.items()}
    )


@cache
def _spelled() -> tuple[Mapping[str, Term], tuple[tuple[str, Term], ...]]:
    exact: dict[str, Term] = {}
    series: list[tuple[str, Term]] = []
    for t in terms().values():
        for s in t.spellings:
            if "[" in s:
                series.append((s, t))
            elif s in exact:
                raise InputError(f"{VOCABULARY}: spelling '{s}' stands under {exact[s].id} and {t.id}; keep one")
            else:
                exact[s] = t
    return exact, tuple(series)


@cache
def term_of(spelling: str) -> Term:
    """Controlled term of an endpoint name as the evidence spells it.

    Raises
    ------
    InputError
        If no term lists that spelling; nothing is dropped silently.

    """
    exact, series = _spelled()
    if spelling in exact:
        return exact[spelling]
    for pattern, t in series:
        if fnmatchcase(spelling, pattern):
            return t
    raise InputError(f"endpoint '{spelling}' is not in the vocabulary{did_you_mean(spelling, exact)}")


def term(name: str) -> Term:
    """Controlled term by its id, by a spelling, or by the id of an endpoint definition that measures it.

    A definition goes by its longest part before a dot that is a term, a spelling or one of ``endpoints``:
    ``neda3.halt_ms`` is ``neda3``.

    Raises
    ------
    InputError
        If the name is none of them; the message lists the closest.

    """
    measured = {e: t for t in terms().values() for e in t.endpoints}
    parts = name.split(".")
    for k in range(len(parts), 0, -1):
        part = ".".join(parts[:k])
        if part in terms():
            return terms()[part]
        if part in measured:
            return measured[part]
        try:
            return term_of(part)
        except InputError:
            continue
    known = {*terms(), *_spelled()[0], *measured}
    what = "is not in the evidence" if name in definitions() or name in _stems() else "is not known"
    raise InputError(f"endpoint '{name}' {what}{did_you_mean(name, known)}")


def _stems() -> set[str]:
    """Names of endpoint definitions before the first dot: families of definitions."""
    return {d.split(".")[0] for d in definitions()}
