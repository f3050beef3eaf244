"""A small logic whose formulas tell states apart: nested thresholds on sums of weights.

    phi  =  label  |  reward = c  |  start = c  |  given  |  not phi  |  phi and ... and phi
         |  out(phi) = c  |  out(phi) >= c  |  in(phi) = c  |  in(phi) >= c  |  share(phi, leaving psi) = c  | ...

``out(phi)`` in state s is the sum of the weights from s to the states that satisfy phi, and ``in(phi)`` is the
sum from these states to s.  The weights are those of the kind's matrix: for ordinary lumpability of a CTMC
the generator, its diagonal included; for bisimulation rates; for a DTMC probabilities.  ``share(phi, leaving
psi)`` in a state that satisfies psi is the share of the rate out of psi that goes into phi; it is 0 if there
is no such rate, or psi does not hold.  States of one block of a lumping satisfy the same formulas over what
the lumping respects.  So a formula that holds in s and not in t proves that no lumping merges them;
evaluating it checks the proof.  (Larsen and Skou 1991 characterise probabilistic bisimilarity by such a logic.)

A formula is a list of nodes that refer to earlier nodes, so that subformulas are shared; the last node is the
formula itself.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput
from lumpability.markov.chains import MarkovChain
from lumpability.markov.distinguishing import share
from lumpability.markov.earned_rewards import with_respected_rewards
from lumpability.markov.kinds import find_kind
from lumpability.numbers.exact_array import Exact, ExactArray
from lumpability.structure import WeightedStructure

Mask = np.ndarray[Any, np.dtype[np.bool_]]
_COMPARE = {"=": operator.eq, ">=": operator.ge}
_INLINE = 40


@dataclass(frozen=True)
class HasLabel:
    """The state carries a label."""

    label: str


@dataclass(frozen=True)
class HasReward:
    """The state's reward has these amounts: per unit of time, or on leaving, or both."""

    reward: str
    amounts: tuple[Exact, ...]


@dataclass(frozen=True)
class Starts:
    """The initial probability of the state is this."""

    probability: Exact


@dataclass(frozen=True)
class Given:
    """The state is one of these, which are a block of a given partition."""

    states: tuple[int, ...]


@dataclass(frozen=True)
class Not:
    """The node with this number does not hold."""

    node: int


@dataclass(frozen=True)
class And:
    """All nodes with these numbers hold; true if there are none."""

    nodes: tuple[int, ...]


@dataclass(frozen=True)
class Sum:
    """The sum of weights to ("out") or from ("in") states that satisfy a node, compared with a value."""

    direction: str
    node: int
    comparison: str
    value: Exact


@dataclass(frozen=True)
class Share:
    """The share of the rate out of the states of `leaving` that goes into those of `node`, compared.

    It is zero if the rate is zero, or `leaving` does not hold.
    """

    node: int
    leaving: int
    comparison: str
    value: Exact


Node = HasLabel | HasReward | Starts | Given | Not | And | Sum | Share


@dataclass(frozen=True)
class Formula:
    """A formula about the states of a chain.

    Attributes
    ----------
    kind : str
        The kind of lumpability, which determines the matrix of the sums.
    nodes : tuple of nodes
        Numbers in a node refer to earlier nodes; the last one is the formula.

    Examples
    --------
    >>> from lumpability import CTMC
    >>> chain = CTMC.from_rates({("a", "c"): 1, ("b", "c"): 2, ("c", "a"): 3}, labels={"goal": ["c"]})
    >>> fast = Formula("ordinary", (HasLabel("goal"), Sum("out", 0, ">=", 2)))
    >>> print(fast)
    out(goal) ≥ 2
    >>> fast.holds_in(chain).tolist()
    [False, False, True]
    """

    kind: str
    nodes: tuple[Node, ...]

    def holds_in(self, chain: MarkovChain) -> Mask:
        """Return the states of a chain in which the formula holds, shape (n,), exactly.

        Raises `InvalidInput` if the formula mentions a label, reward or start that the chain does not have.

        Notes
        -----
        O(m) for each node that is a sum.
        """
        evaluation = _Evaluation(chain, self.kind)
        for node in self.nodes:
            evaluation.masks.append(evaluation.holds(node))
        result: Mask = evaluation.masks[-1]
        return result

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """Return the formula as text: itself, then the subformulas that have names."""
        uses = Counter(child for node in self.nodes for child in _children(node))
        texts: list[str] = []
        named: list[str] = []
        for i, node in enumerate(self.nodes):
            text = _text(node, texts)
            leaf = not _children(node)
            if i < len(self.nodes) - 1 and not leaf and (uses[i] > 1 or len(text) > _INLINE):
                name = f"φ{_subscript(len(named) + 1)}"
                named.append(f"  {name} := {text}")
                text = name
            texts.append(text)
        return [f"{texts[-1]}{', where' if named else ''}", *reversed(named)]

    def to_json(self) -> dict[str, Any]:
        """Return plain data that `json.dumps` accepts; exact numbers are texts such as "1/3"."""
        return {"kind": self.kind, "nodes": [_plain(node) for node in self.nodes]}


def _children(node: Node) -> tuple[int, ...]:
    if isinstance(node, And):
        return node.nodes
    if isinstance(node, Share):
        return (node.node, node.leaving)
    return (node.node,) if isinstance(node, Not | Sum) else ()


def _text(node: Node, texts: list[str]) -> str:
    match node:
        case HasLabel(label):
            return label if _is_word(label) else repr(label)
        case HasReward(reward, amounts):
            return f"reward {reward!r} = {', '.join(map(str, amounts))}"
        case Starts(probability):
            return f"start = {probability}"
        case Given(states):
            more = f", … {len(states) - 3} more" if len(states) > 3 else ""
            return f"state {', '.join(map(str, states[:3]))}{more}"
        case Not(child):
            inner = texts[child]
            return f"¬{inner}" if _is_word(inner) or inner[0] in "φ(¬" else f"¬({inner})"
        case And(children):
            return f"({' ∧ '.join(texts[child] for child in children)})" if children else "true"
        case Sum(direction, child, comparison, value):
            return f"{direction}({texts[child]}) {_SIGNS[comparison]} {value}"
        case Share(child, leaving, comparison, value):
            return f"share({texts[child]}, leaving {texts[leaving]}) {_SIGNS[comparison]} {value}"


_SIGNS = {"=": "=", ">=": "≥"}


def _is_word(text: str) -> bool:
    return text.replace("_", "a").isalnum()


def _subscript(number: int) -> str:
    return "".join(chr(ord("₀") + int(digit)) for digit in str(number))


def _plain(node: Node) -> dict[str, Any]:
    fields = asdict(node)
    for name, value in fields.items():
        if name in {"value", "probability"}:
            fields[name] = str(value)
        elif name == "amounts":
            fields[name] = [str(amount) for amount in value]
        elif isinstance(value, tuple):
            fields[name] = list(value)
    return {"type": _TYPES[type(node)], **fields}


_TYPES: dict[type, str] = {
    HasLabel: "label",
    HasReward: "reward",
    Starts: "start",
    Given: "given",
    Not: "not",
    And: "and",
    Sum: "sum",
    Share: "share",
}


class _Evaluation:
    """The truth of each node in every state of a chain."""

    def __init__(self, chain: MarkovChain, kind: str) -> None:
        found = find_kind(kind)
        self.chain = with_respected_rewards(chain, keeps_jumps=found.keeps_jumps)
        self.matrices = {c.direction: c.matrix.explicit() for c in found.conditions(chain)}
        self.masks: list[Mask] = []

    def holds(self, node: Node) -> Mask:
        match node:
            case HasLabel(label):
                carried: Mask = self._known("label", label, self.chain.labels)
                return carried
            case HasReward(reward, amounts):
                parts = self._known("reward", reward, self.chain.rewards).parts
                return self._all(map(_equal, parts, amounts))
            case Starts(probability):
                if self.chain.initial is None:
                    raise InvalidInput("the chain has no initial distribution")
                return _equal(self.chain.initial, probability)
            case Given(states):
                mask: Mask = np.isin(np.arange(self.chain.n), states)
                return mask
            case Not(child):
                return ~self.masks[child]
            case And(children):
                return self._all(self.masks[child] for child in children)
            case Sum(direction, child, comparison, value):
                sums = _sums(self.matrices[direction], self.masks[child])
                return _compare(sums, comparison, value)
            case Share(child, leaving, comparison, value):
                outside = ~self.masks[leaving]
                into = _sums(self.matrices["out"], self.masks[child] & outside)
                shares = into.combine(_sums(self.matrices["out"], outside), share)
                at_zero = bool(_COMPARE[comparison](Fraction(0), value))
                inside = ~outside & _compare(shares, comparison, value)
                return inside | outside if at_zero else inside

    def _all(self, masks: Iterable[Mask]) -> Mask:
        result: Mask = np.ones(self.chain.n, dtype=bool)
        for mask in masks:
            result = result & mask
        return result

    @staticmethod
    def _known(sort: str, name: str, having: Any) -> Any:
        if name not in having:
            raise InvalidInput(f"the chain has no {sort} {name!r}", name=name)
        return having[name]


def _sums(matrix: WeightedStructure, mask: Mask) -> ExactArray:
    """Sum for every state its weights into the states of a mask."""
    keep = mask[matrix.indices]
    bounds = np.concatenate([[0], np.cumsum(keep, dtype=np.int64)])[matrix.indptr]
    weights = matrix.weights.take(keep)
    if not len(weights):
        return ExactArray.read(np.zeros(matrix.n, dtype=np.int64))[0]
    return weights.segment_sums(bounds)


def _equal(array: ExactArray, value: Exact) -> Mask:
    return _compare(array, "=", value)


def _compare(array: ExactArray, comparison: str, value: Exact) -> Mask:
    return array.where(lambda x: _COMPARE[comparison](x, value))
