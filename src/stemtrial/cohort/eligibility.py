"""Eligibility as text: a small grammar, parsed and never evaluated as Python.

::

    rule       = all, { "or", all } ;
    all        = one, { "and", one } ;
    one        = "not", one | "(", rule, ")" | comparison ;
    comparison = variable, op, value | value, op, variable | value, order, variable, order, value ;
    op         = order | "==" | "!=" ;          order = "<" | "<=" | ">" | ">=" ;

Negations are pushed down to the comparisons when a rule is parsed, so that a tree holds only *and*, *or* and
comparisons, and a missing value (NaN) passes nothing, negated or not: a patient without a scan is not eligible on it.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from stemtrial.cohort.variables import VARIABLES, Variable
from stemtrial.errors import InputError, did_you_mean

MAX_LENGTH = 300
MAX_RULES = 50
_MAX_NESTING = 20
_MAX_WITNESSES = 200_000


_OPS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_NEGATED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_HINTS = {"=": "==", "&": "and", "|": "or", "!": "not", "≤": "<=", "≥": ">=", "≠": "!=", "~": "not"}

Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class _Comparison:
    variable: str
    op: str
    value: float | str

    def evaluate(self, columns: Columns) -> NDArray[np.bool_]:
        column = np.asarray(columns[self.variable])
        passed = np.asarray(_OPS[self.op](column, self.value), dtype=np.bool_)
        # NaN is unequal to everything; a missing value passes nothing.
        return passed & ~np.isnan(column) if self.op == "!=" and column.dtype.kind == "f" else passed

    def possible(self, lowest: Columns, highest: Columns) -> NDArray[np.bool_] | np.bool_:
        if self.variable not in lowest:
            return np.True_
        low, high = np.asarray(lowest[self.variable]), np.asarray(highest[self.variable])
        inside = (low <= self.value) & (self.value <= high) if self.op == "==" else np.False_
        either = self.op != "==" and (_OPS[self.op](low, self.value) | _OPS[self.op](high, self.value))
        return np.asarray(inside | either, dtype=np.bool_)


@dataclass(frozen=True)
class _Group:
    kind: Literal["and", "or"]
    parts: tuple[_Tree, ...]

    def evaluate(self, columns: Columns) -> NDArray[np.bool_]:
        combine = np.logical_and if self.kind == "and" else np.logical_or
        masks = [part.evaluate(columns) for part in self.parts]
        return np.asarray(combine.reduce(masks), dtype=np.bool_)

    def possible(self, lowest: Columns, highest: Columns) -> NDArray[np.bool_] | np.bool_:
        combine = np.logical_and if self.kind == "and" else np.logical_or
        return functools.reduce(combine, [part.possible(lowest, highest) for part in self.parts])


_Tree = _Comparison | _Group


def _leaves(tree: _Tree) -> Iterator[_Comparison]:
    if isinstance(tree, _Comparison):
        yield tree
    else:
        for part in tree.parts:
            yield from _leaves(part)


@dataclass(frozen=True)
class Rule:
    """One parsed eligibility rule; make it with :func:`parse_rule`.

    Parameters
    ----------
    text : str
        The rule as written.
    tree : tree
        Its parsed form.
    """

    text: str
    tree: _Tree

    @property
    def variables(self) -> frozenset[str]:
        """Names of the columns that the rule reads."""
        return frozenset(leaf.variable for leaf in _leaves(self.tree))

    def evaluate(self, columns: Columns) -> NDArray[np.bool_]:
        """Who passes.

        Parameters
        ----------
        columns : mapping of str to array
            Equally long arrays by variable name; ``course`` holds text, the others numbers. NaN is a missing value
            and passes no comparison, negated or not.

        Returns
        -------
        array of bool
            One entry a patient.

        Raises
        ------
        InputError
            If a column that the rule reads is absent.
        """
        absent = sorted(self.variables - set(columns))
        if absent:
            raise InputError(f"rule '{self.text}' needs the column '{absent[0]}'; add it to the screening table")
        return self.tree.evaluate(columns)

    def possible(self, lowest: Columns, highest: Columns) -> NDArray[np.bool_]:
        """Who may pass, as far as bounds tell: nobody who could pass is left out, but not all of these will.

        Parameters
        ----------
        lowest, highest : mapping of str to array
            Bounds by variable name, the same where the value is known; a variable in neither may be anything.

        Returns
        -------
        array of bool
            One entry a patient.
        """
        n = _length(lowest)
        return np.asarray(np.broadcast_to(self.tree.possible(lowest, highest), (n,)), dtype=np.bool_)


def parse_rule(text: str) -> Rule:
    """Parse a rule such as ``2.0 <= edss <= 6.0`` or ``edss >= 4 or relapses_last_24_months >= 2``.

    Parameters
    ----------
    text : str
        At most 300 characters; variables are those of :data:`VARIABLES`.

    Raises
    ------
    InputError
        For anything outside the grammar, an unknown variable, or a value outside the variable's range.
    """
    if len(text) > MAX_LENGTH:
        raise InputError(f"rule '{text[:40]}...' has {len(text)} characters, at most {MAX_LENGTH}; split it into rules")
    return Rule(" ".join(text.split()), _Parser(text).parse())


_TOKEN = re.compile(
    r"\s*(?:(?P<number>[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<op><=|>=|==|!=|<|>)|(?P<bracket>[()]))",
    re.ASCII,
)


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str]] = []  # (kind, text)
        end = len(text.rstrip())
        at = 0
        while at < end:
            match = _TOKEN.match(text, at)
            if match is None:
                rest = text[at:].lstrip()
                hint = _HINTS.get(rest[0])
                self.fail(f"'{rest[:12]}' is not understood; " + (f"write '{hint}'" if hint else "see the grammar"))
            assert match.lastgroup is not None
            self.tokens.append((match.lastgroup, match.group(match.lastgroup)))
            at = match.end()
        self.next = 0

    def fail(self, what: str) -> NoReturn:
        raise InputError(f"rule '{self.text}': {what}")

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.next] if self.next < len(self.tokens) else ("end", "the end of the rule")

    def accept(self, token: str) -> bool:
        if self.peek()[1] == token and self.peek()[0] != "end":
            self.next += 1
            return True
        return False

    def parse(self) -> _Tree:
        if not self.tokens:
            self.fail("is empty; write e.g. '18 <= age_years <= 55'")
        tree = self.group("or", False, 0)
        if self.peek()[0] != "end":
            self.fail(f"'{self.peek()[1]}' is too much; join comparisons with 'and' or 'or'")
        return tree

    def group(self, word: Literal["and", "or"], negate: bool, depth: int) -> _Tree:
        def part() -> _Tree:
            return self.group("and", negate, depth) if word == "or" else self.one(negate, depth)

        parts = [part()]
        while self.accept(word):
            parts.append(part())
        if len(parts) == 1:
            return parts[0]
        kind: Literal["and", "or"] = ("or" if word == "and" else "and") if negate else word
        return _Group(kind, tuple(parts))

    def one(self, negate: bool, depth: int) -> _Tree:
        if depth > _MAX_NESTING:
            self.fail(f"is nested more than {_MAX_NESTING} deep; split it into rules")
        if self.accept("not"):
            return self.one(not negate, depth + 1)
        if self.accept("("):
            tree = self.group("or", negate, depth + 1)
            if not self.accept(")"):
                self.fail(f"')' is missing before {self.peek()[1]}; close the bracket")
            return tree
        return self.comparison(negate)

    def comparison(self, negate: bool) -> _Tree:
        operands, ops = [self.operand()], []
        while self.peek()[0] == "op":
            ops.append(self.peek()[1])
            self.next += 1
            operands.append(self.operand())
        kinds = [kind for kind, _ in operands]
        if kinds == ["variable", "value"]:
            leaves = [self.leaf(operands[0][1], ops[0], operands[1][1])]
        elif kinds == ["value", "variable"]:
            leaves = [self.leaf(operands[1][1], _MIRRORED[ops[0]], operands[0][1])]
        elif kinds == ["value", "variable", "value"]:
            if set(ops) - {"<", "<="} and set(ops) - {">", ">="}:
                self.fail(f"'{ops[0]}' and '{ops[1]}' do not make a range; write e.g. '2.0 <= edss <= 6.0'")
            name = operands[1][1]
            leaves = [self.leaf(name, _MIRRORED[ops[0]], operands[0][1]), self.leaf(name, ops[1], operands[2][1])]
        elif len(operands) == 1:
            self.fail(f"'{operands[0][1]}' is compared with nothing; write e.g. '{_example(*operands[0])}'")
        else:
            self.fail("compare one variable with one value, or 'low <= variable <= high'")
        if negate:
            leaves = [_Comparison(leaf.variable, _NEGATED[leaf.op], leaf.value) for leaf in leaves]
        return leaves[0] if len(leaves) == 1 else _Group("or" if negate else "and", tuple(leaves))

    def operand(self) -> tuple[Literal["variable", "value"], str]:
        kind, text = self.peek()
        if kind not in ("word", "number") or text in ("and", "or", "not"):
            self.fail(f"a variable or a value must stand before {text if kind == 'end' else repr(text)}; add it")
        self.next += 1
        if kind == "number" or any(text in v.choices for v in VARIABLES.values()):
            return "value", text
        if text not in VARIABLES:
            self.fail(f"variable '{text}' is not known{did_you_mean(text, VARIABLES)}")
        return "variable", text

    def leaf(self, name: str, op: str, value: str) -> _Comparison:
        variable = VARIABLES[name]
        if variable.choices:
            if value not in variable.choices or op not in ("==", "!="):
                self.fail(
                    f"'{name} {op} {value}' compares a category; write '{name} == {variable.choices[0]}' "
                    f"({', '.join(variable.choices)})"
                )
            return _Comparison(name, op, value)
        try:
            number = float(value)
        except ValueError:
            self.fail(f"'{name}' is a number, '{value}' is not; write e.g. '{_example('variable', name)}'")
        if not variable.lowest <= number <= variable.highest:
            self.fail(
                f"{value} lies outside the range of '{name}', {variable.lowest:g} to {variable.highest:g} "
                f"({variable.unit}); use a value inside it"
            )
        return _Comparison(name, op, number)


def _example(kind: str, text: str) -> str:
    if kind == "value":
        return f"edss >= {text}" if text[0].isdigit() else f"course == {text}"
    variable = VARIABLES[text]
    return f"{text} == {variable.choices[0]}" if variable.choices else f"{text} >= {variable.lowest:g}"


class Eligibility:
    """All rules of a protocol; a patient must pass every one.

    Parameters
    ----------
    rules : iterable of str or Rule
        Up to 50 rules. None at all lets everybody in.

    Raises
    ------
    InputError
        If a rule cannot be parsed, or if no patient could ever pass: the message names the fewest rules that already
        contradict each other. Steps count (no EDSS lies between 2.1 and 2.4); relations between variables, such as
        that the relapses of 24 months include those of 12, do not.
    """

    def __init__(self, rules: Iterable[str | Rule]) -> None:
        self.rules: tuple[Rule, ...] = tuple(parse_rule(r) if isinstance(r, str) else r for r in rules)
        if len(self.rules) > MAX_RULES:
            raise InputError(f"eligibility has {len(self.rules)} rules, at most {MAX_RULES}; join some with 'and'")
        if not _possible(self.rules):
            core = list(self.rules)
            for rule in self.rules:
                rest = [r for r in core if r is not rule]
                if not _possible(rest):
                    core = rest
            named = " and ".join(f"'{r.text}'" for r in core)
            if len(core) == 1:
                raise InputError(f"eligibility lets nobody in: no patient can pass {named}; widen it")
            raise InputError(f"eligibility lets nobody in: {named} cannot hold together; widen one of them")

    @property
    def variables(self) -> frozenset[str]:
        """Names of the columns that the rules read."""
        return frozenset().union(*(rule.variables for rule in self.rules))

    def mask(self, columns: Columns) -> NDArray[np.bool_]:
        """Who passes every rule; ``columns`` as for :meth:`Rule.evaluate`."""
        passed = np.ones(_length(columns), dtype=np.bool_)
        for rule in self.rules:
            passed &= rule.evaluate(columns)
        return passed

    def funnel(self, columns: Columns) -> list[tuple[str, int, int]]:
        """For each rule in order: its text, how many pass it alone, how many are left after it."""
        left = np.ones(_length(columns), dtype=np.bool_)
        rows = []
        for rule in self.rules:
            alone = rule.evaluate(columns)
            left &= alone
            rows.append((rule.text, int(alone.sum()), int(left.sum())))
        return rows


def _length(columns: Columns) -> int:
    return len(next(iter(columns.values()), ()))


def _possible(rules: Iterable[Rule]) -> bool:
    """Whether some patient could pass all rules; True as well where that is too much work to tell.

    The values named in the rules cut each variable's range into cells on which every comparison is constant, so that
    one witness a cell decides the matter. Conjuncts that share no variable are decided apart.
    """
    conjuncts: list[_Tree] = []
    for rule in rules:
        tree = rule.tree
        conjuncts.extend(tree.parts if isinstance(tree, _Group) and tree.kind == "and" else (tree,))
    parts: list[tuple[set[str], list[_Tree]]] = []
    for tree in conjuncts:
        names, trees = {leaf.variable for leaf in _leaves(tree)}, [tree]
        for other in [p for p in parts if p[0] & names]:
            parts.remove(other)
            names |= other[0]
            trees = other[1] + trees
        parts.append((names, trees))
    return all(_satisfiable(sorted(names), trees) for names, trees in parts)


def _satisfiable(names: list[str], trees: list[_Tree]) -> bool:
    values: dict[str, set[Any]] = {name: set() for name in names}
    for leaf in itertools.chain.from_iterable(map(_leaves, trees)):
        values[leaf.variable].add(leaf.value)
    witnesses = [_witnesses(VARIABLES[name], values[name]) for name in names]
    if math.prod(map(len, witnesses)) > _MAX_WITNESSES:
        return True
    grid = np.meshgrid(*(np.array(w) for w in witnesses), indexing="ij")
    columns = {name: axis.ravel() for name, axis in zip(names, grid, strict=True)}
    return bool(np.logical_and.reduce([tree.evaluate(columns) for tree in trees]).any())


def _witnesses(variable: Variable, values: set[Any]) -> list[Any]:
    if variable.choices:
        return list(variable.choices)
    cuts = sorted({variable.lowest, variable.highest, *values})
    if variable.step == 0:
        return cuts + [(a + b) / 2 for a, b in itertools.pairwise(cuts)]
    # Grid points at and next to every cut: the lowest grid point of each cell is among them.
    steps = {math.floor(cut / variable.step) + k for cut in cuts for k in (-1, 0, 1)}
    return [x for x in (step * variable.step for step in sorted(steps)) if variable.lowest <= x <= variable.highest]
