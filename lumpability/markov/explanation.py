"""Why two states share a block of a coarsest lumping, or why they do not, as plain values.

Together: states of one block have equal sums (for proportional lumping, shares) into every block; the
table of these sums is the explanation.  Apart: the shortest chain of steps.  Each step shows two states of
one block whose sums into a set X of states differ.  The next step shows why a state of X differs from one
outside X.  The last pair differs in something respected.  A formula puts the whole chain into one statement
that holds in one state and not in the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from lumpability.markov.attributes import States, listed
from lumpability.markov.formulas import Formula
from lumpability.notebook_hooks import Record, Told
from lumpability.numbers.exact_array import Exact
from lumpability.numbers.rationals import shown

_MEMBERS = 4
_TRANSITIONS = 6
_ROWS = 24


@dataclass(frozen=True)
class Group(Record):
    """A set of states, by its size and first members.

    Examples
    --------
    >>> print(Group.of(States(9), [2, 3, 4, 5, 6, 8]))
    {2, 3, 4, 5, ... 2 more}
    """

    size: int
    first: tuple[str, ...]
    common: str | None = field(
        default=None, repr=False
    )  # what its states and no others have in common

    @classmethod
    def of(cls, states: States, members: Any) -> Group:
        """Return the group of some states, given by number in ascending order."""
        chosen = np.asarray(members)
        first = tuple(str(states[i]) for i in chosen[:_MEMBERS].tolist())
        values = states.valuation if len(chosen) > 1 else None
        return cls(len(chosen), first, None if values is None else values.description(chosen))

    def __str__(self) -> str:
        return listed(self.first, self.size) if self.common is None else f"{{{self.common}}}"


@dataclass(frozen=True)
class Flow(Record):
    """The transitions from one state into a set of states, or from the set into the state."""

    state: str
    total: Exact  # the sum; for proportional lumping its share of `leaving`
    transitions: tuple[tuple[str, str, Exact], ...]  # all that contribute
    leaving: Exact | None = None  # for proportional lumping, the rate out of the state's block

    def __str__(self) -> str:
        of = "" if self.leaving is None else f" of {shown(self.leaving)}"
        texts = [f"{s} -> {t}: {shown(weight)}" for s, t, weight in self.transitions[:_TRANSITIONS]]
        if len(self.transitions) > len(texts):
            texts.append(f"... {len(self.transitions) - len(texts)} more")
        how = "; ".join(texts) or "no transitions"
        return f"{self.state}: {shown(self.total)}{of}  ({how})"

    def to_json(self) -> dict[str, Any]:
        """Return plain data that `json.dumps` accepts; exact numbers are texts such as "1/3"."""
        transitions = [
            {"source": s, "target": t, "weight": str(weight)} for s, t, weight in self.transitions
        ]
        return {**super().to_json(), "transitions": transitions}


@dataclass(frozen=True)
class Step(Told):
    """Two states of one block whose sums into (or from) a set of states differ."""

    block: Group  # holds both states
    splitter: Group  # the set that the sums go into
    measure: str  # what is summed: "rates", "probabilities" or "shares of the rates"
    direction: str  # {"out", "in"}
    flows: tuple[Flow, Flow]

    @property
    def states(self) -> tuple[str, str]:
        """The names of the two states."""
        return self.flows[0].state, self.flows[1].state

    @property
    def claim(self) -> str:
        """The step in one sentence, without the sums."""
        one, other = self.states
        way = "into" if self.direction == "out" else "from"
        return (
            f"{one} and {other} share the block {self.block}, but their {self.measure} "
            f"{way} {self.splitter} differ"
        )

    def __str__(self) -> str:
        return "\n  ".join([self.claim, *map(str, self.flows)])


@dataclass(frozen=True)
class Ending(Record):
    """Two states that differ in something respected."""

    name: str  # "label:NAME", "reward:NAME", "initial", or "given" for a given partition
    states: tuple[str, str]
    # Whether the label is there; amounts of the reward; initial probabilities; None if given.
    values: tuple[Any, Any]

    def __str__(self) -> str:
        (one, other), (sort, _, of) = self.states, self.name.partition(":")
        if sort == "label":
            having, lacking = (one, other) if self.values[0] else (other, one)
            return f"{having} has the label {of!r}, {lacking} does not"
        if sort == "given":
            return f"the partition that was given has {one} and {other} in different blocks"
        what = f"the reward {of!r}" if sort == "reward" else "the initial probability"
        first, second = (", ".join(map(shown, _amounts(value))) for value in self.values)
        return f"{what} of {one} is {first}, that of {other} {second}"

    def to_json(self) -> dict[str, Any]:
        """Return plain data that `json.dumps` accepts."""
        values = [
            value if value is None or isinstance(value, bool) else list(map(str, _amounts(value)))
            for value in self.values
        ]
        return {"respected": self.name, "states": list(self.states), "values": values}


@dataclass(frozen=True)
class EqualSum(Record):
    """A block into which two states have equal sums, or equal shares."""

    block: Group
    direction: str  # {"out", "in"}
    totals: tuple[Exact, Exact]
    share: Exact | None = None  # for proportional lumping, of the rate out of the states' block


@dataclass(frozen=True)
class Explanation(Told):
    """Why two states share a block, or why not.

    Attributes
    ----------
    kind : str
    states : tuple of two str
    block : Group
        The final block of the first state.
    measure : str
        What is summed: "rates", "probabilities" or "shares of the rates".
    table : tuple of EqualSum
        If together: the sums into every block that either state reaches.
    steps : tuple of Step
        If apart; none if the two states themselves differ in what is respected.
    ending : Ending or None
        If apart: where the steps end.  None if the last sums are over all states.

    Examples
    --------
    >>> from lumpability import CTMC, lump
    >>> rates = {("a", "c"): 1, ("b", "c"): 2, ("d", "a"): 3, ("e", "b"): 3}
    >>> lumping = lump(CTMC.from_rates(rates, labels={"goal": ["c"]}))
    >>> print(lumping.explain("d", "e"))
    d and e are apart (ordinary), in 2 steps:
    1. d and e share the block {d, e}, but their rates into {a} differ
         d: 3  (d -> a: 3)
         e: 0  (no transitions)
    2. a is in {a}, b is not: a and b share the block {a, b, d, e}, but their rates into {c} differ
         a: 1  (a -> c: 1)
         b: 2  (b -> c: 2)
    3. c is in {c}, b is not: c has the label 'goal', b does not
    holds in d, not in e: out(out(goal) = 1) ≥ 3
    """

    kind: str
    states: tuple[str, str]
    block: Group
    measure: str
    table: tuple[EqualSum, ...] = ()
    steps: tuple[Step, ...] = ()
    ending: Ending | None = None
    together: bool = False
    make_formula: Callable[[], Formula] | None = field(default=None, repr=False, compare=False)

    @cached_property
    def formula(self) -> Formula | None:
        """A formula that holds in the first state and not in the other; None if together."""
        return None if self.make_formula is None else self.make_formula()

    @property
    def claim(self) -> str:
        """The answer in one sentence."""
        one, other = self.states
        if self.together:
            return f"{one} and {other} are together ({self.kind}), in the block {self.block}"
        steps = {0: "at once", 1: "in 1 step"}.get(len(self.steps), f"in {len(self.steps)} steps")
        return f"{one} and {other} are apart ({self.kind}), {steps}"

    @property
    def reasons(self) -> list[str]:
        """The steps and the ending as texts, each with the fact that it explains."""
        told: list[Step | Ending] = [*self.steps, *([self.ending] if self.ending else [])]
        return [f"{self._asked(i, one)}{one}" for i, one in enumerate(told)]

    def _asked(self, number: int, told: Step | Ending) -> str:
        """Return what a reason explains: that its first state is in the last set and its second is not."""
        if number == 0:
            return ""
        one, other = told.states
        return f"{one} is in {self.steps[number - 1].splitter}, {other} is not: "

    @property
    def text(self) -> str:
        """The explanation as lines of text; long lists are shortened, with a count of the rest."""
        return str(self)

    def __str__(self) -> str:
        one, other = self.states
        if self.together:
            lines = [f"{self.claim}; equal {self.measure}:", *self._table_lines()]
            return "\n".join(lines)
        lines = [
            f"{i}. {reason}".replace("\n", "\n   ")
            for i, reason in enumerate(self.reasons, start=1)
        ]
        if self.formula is not None:
            lines.append(f"holds in {one}, not in {other}: {self.formula}")
        return "\n".join([f"{self.claim}:", *lines])

    def _table_lines(self) -> list[str]:
        lines = [_row(row, *self.states) for row in self.table[:_ROWS]]
        more = len(self.table) - _ROWS
        return [*(lines or ["  none at all"]), *([f"  ... {more} more blocks"] if more > 0 else [])]

    def to_json(self) -> dict[str, Any]:
        """Return plain data that `json.dumps` accepts, as schemas/explanation.schema.json says."""
        formula = self.formula
        text = None if formula is None else {**formula.to_json(), "text": str(formula)}
        return {**super().to_json(), "formula": text}


def _row(row: EqualSum, one: str, other: str) -> str:
    way = "into" if row.direction == "out" else "from"
    if row.share is None:
        return f"  {way} {row.block}: {shown(row.totals[0])}"
    first, second = map(shown, row.totals)
    return f"  {way} {row.block}: {shown(row.share)}  ({first} for {one}, {second} for {other})"


def _amounts(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
