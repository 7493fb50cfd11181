"""What happens to one patient when a jump or a dose occurs: a short program of reads, draws, sets and log rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stemtrial.errors import InputError, did_you_mean
from stemtrial.kernel.graph import Expr, Number
from stemtrial.kernel.graph import log as ln

if TYPE_CHECKING:
    from stemtrial.kernel.model import Model


@dataclass(frozen=True)
class Read:
    """Evaluate a node in this place: the value of a state now."""

    node: Expr


@dataclass(frozen=True)
class Set:
    """Give a state a value."""

    state: str
    value: Expr


@dataclass(frozen=True)
class SetAt:
    """Give a value to the state that lies ``index`` rows after ``first``."""

    first: str
    index: Expr
    value: Expr


@dataclass(frozen=True)
class Log:
    """Write a row of the event log, where the condition holds."""

    kind: str
    value: Expr
    when: Expr | None


Statement = Read | Set | SetAt | Log


class Effect:
    """A short program that runs for one patient when something happens: reads, draws, sets, logs, in order."""

    def __init__(self, model: Model, name: str, fields: Sequence[str] = ()) -> None:
        self.model, self.name, self.fields = model, name, tuple(fields)
        self.statements: list[Statement] = []
        self.n_words = 0

    def read(self, state: Expr) -> Expr:
        """Value of a state now, that is after the sets above."""
        now = self.model.graph.fresh("now", state.args[0])
        self.statements.append(Read(now))
        return now

    def read_at(self, vector: Sequence[Expr], index: Expr) -> Expr:
        """Value of ``vector[index]`` now, the index being computed."""
        now = self.model.graph.fresh("now_at", vector[0].args[0], index)
        self.statements.append(Read(now))
        return now

    def set(self, state: Expr, value: Expr | Number) -> None:
        """Set a state."""
        self.statements.append(Set(state.args[0], self.model.graph.wrap(value)))

    def set_at(self, vector: Sequence[Expr], index: Expr, value: Expr | Number) -> None:
        """Set ``vector[index]``."""
        self.statements.append(SetAt(vector[0].args[0], index, self.model.graph.wrap(value)))

    def add(self, state: Expr, value: Expr | Number) -> None:
        """Add to a state."""
        self.set(state, self.read(state) + value)

    def scale(self, state: Expr, factor: Expr | Number) -> None:
        """Multiply a state."""
        self.set(state, self.read(state) * factor)

    def log(self, kind: str, value: Expr | Number = 0.0, when: Expr | None = None) -> None:
        """Write a row of the event log."""
        self.model.event_kinds.setdefault(kind, len(self.model.event_kinds))
        self.statements.append(Log(kind, self.model.graph.wrap(value), when))

    def uniform(self) -> Expr:
        """Return a uniform number of this event's own stream (32 bits)."""
        self.n_words += 1
        return self.model.graph.fresh("e_uniform", self.n_words - 1)

    def half_uniforms(self) -> tuple[Expr, Expr]:
        """Two uniform numbers of 16 bits from one word, for yes-or-no questions."""
        self.n_words += 1
        g = self.model.graph
        return g.fresh("e_low", self.n_words - 1), g.fresh("e_high", self.n_words - 1)

    def normals(self) -> tuple[Expr, Expr]:
        """Two independent standard normal numbers of this event's own stream."""
        self.n_words += self.n_words % 2
        self.n_words += 2
        g = self.model.graph
        first = g.fresh("e_normal", self.n_words - 2)
        return first, g.fresh("e_normal2", self.n_words - 2, first)

    def amount(self, name: str) -> Expr:
        """Return an amount of the schedule row that caused this dose."""
        if name not in self.fields:
            raise InputError(f"dose '{self.name}' has no amount '{name}'{did_you_mean(name, self.fields)}")
        return self.model.graph.node("amount", self.fields.index(name))

    def table(self, values: Sequence[Expr | Number], index: Expr) -> Expr:
        """``values[index]`` for a computed index, by selection."""
        g = self.model.graph
        out = g.wrap(values[-1])
        for k in range(len(values) - 2, -1, -1):
            out = g.node("where", index < (k + 0.5), g.wrap(values[k]), out)
        return out

    def choose(self, shares: Sequence[Expr | Number], u: Expr) -> Expr:
        """Index drawn with these shares (which sum to 1) by a uniform number: how many cumulative shares it exceeds."""
        g = self.model.graph
        out: Expr = g.constant(0.0)
        bound: Expr = g.constant(0.0)
        for share in shares[:-1]:
            bound = bound + share
            out = out + g.node("where", bound < u, g.constant(1.0), g.constant(0.0))
        return out

    def arm(self, hazard: str) -> None:
        """Draw the exponential threshold of a hazard, from which its integrated rate counts down."""
        self.set(self.model.state_node(hazard_state(hazard)), -ln(self.uniform()))


def hazard_state(name: str) -> str:
    """Name of the state that counts a hazard down."""
    return f"{name}.countdown"
