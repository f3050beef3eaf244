"""The statements for a proof assistant: matrix identities between integers.

All numbers of a model are multiplied by common denominators, so that a statement holds integers only.
For a chain with matrix M (Q, P or R), quotient M^ and block indicator V it is one of

    row sums       M V = V M^           ordinary lumpability, bisimulation
    column sums    D M = M^ D           exact lumpability, D = diag(1/|C|) V^T
    both           M V = V M^ and D M = M^ D
    proportional   M V = K V M^         K = diag(kappa), kappa > 0, M and M^ generators

and for every layer of a network A W = W^ A', where row 0 of W is the bias, fed by the constant 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from lumpability.certificate.claims import Claims
from lumpability.certificate.digest import ChainParts
from lumpability.certificate.kinds import ClaimedKind
from lumpability.certificate.soundness import collapsed_conditions, quotient_parts
from lumpability.errors import NotJustified, SizeLimit
from lumpability.numbers.integers import scale_to_integers
from lumpability.structure import WeightedStructure

Rows = tuple[tuple[int, ...], ...]

LARGEST = 200
"""Largest number of rows or columns of a matrix, for which Coq takes some ten seconds."""

_NAME = 60
_LINE = 96
_PLAIN = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _.,:=+-<>^|&#@!?()[]{}'"
)


@dataclass(frozen=True)
class ChainStatement:
    """The statement that a partition is a lumping of a chain.

    >>> ChainStatement("a pair", "row sums", ((-1, 1), (1, -1)), ((0,),), (0, 0)).n
    2
    """

    title: str  # one line for the reader
    identity: str  # {"row sums", "column sums", "both", "proportional"}
    matrix: Rows  # shape (n, n): M times `denominator`
    quotient: Rows  # shape (m, m): M^ times `denominator`
    labels: tuple[int, ...]  # block of every state, 0 .. m-1
    denominator: int = 1
    symbol: str = "Q"  # Q, P or R: a generator, stochastic matrix, rates
    # The n factors of "proportional", else none, times `kappa_denominator`.
    kappa: tuple[int, ...] = ()
    kappa_denominator: int = 1
    names: tuple[str, ...] = ()  # of states, for comments; may be empty

    @property
    def n(self) -> int:
        """Number of states."""
        return len(self.labels)

    @property
    def m(self) -> int:
        """Number of blocks."""
        return len(self.quotient)


@dataclass(frozen=True)
class LayerStatement:
    """The statement that A W = W^ A' holds for one layer of a network.

    Row 0 of W holds the biases and belongs to the constant 1, which is class 0.  Constant units belong to
    class 0 as well, and their factor is their value.
    """

    title: str
    matrix: Rows  # shape (rows, units): W times `denominator`
    quotient: Rows  # shape (row classes, classes): W^ times `denominator`
    denominator: int
    # row_labels, row_factors: class of every row, and its factor in A times
    # `row_denominator`.
    row_labels: tuple[int, ...]
    row_factors: tuple[int, ...]
    row_denominator: int
    # labels, factors: class of every unit, and its factor in A' times
    # `factor_denominator`.
    labels: tuple[int, ...]
    factors: tuple[int, ...]
    factor_denominator: int
    # unused_rows, unused: row classes and classes that the quotient leaves out, because they have zero weights
    # into all classes that stay.
    unused_rows: tuple[int, ...] = ()
    unused: tuple[int, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of row classes and of classes."""
        return len(self.quotient), len(self.quotient[0]) if self.quotient else 0


@dataclass(frozen=True)
class NetworkStatement:
    """The statement that the identity holds for every layer of a network."""

    title: str
    layers: tuple[LayerStatement, ...]


IntegerStatement = ChainStatement | NetworkStatement


def refuse_large(size: int) -> None:
    """Refuse a matrix with more than `LARGEST` rows or columns, before it is built."""
    if size > LARGEST:
        raise SizeLimit(
            f"a matrix has {size} rows or columns, and a proof assistant is given at most {LARGEST}: use a "
            "certificate and `lumpability verify`, which have no limit",
            size=size,
            limit=LARGEST,
        )


def scaled(rows: Iterable[Iterable[Fraction]], by: int) -> Rows:
    """Return the given rows times a common denominator, as integers."""
    return tuple(tuple(int(x * by) for x in row) for row in rows)


def comment(text: str) -> str:
    r"""Return a text that is safe inside a comment of Coq, at most 60 characters long.

    Characters that could open or close a comment or a string, and all but plain ASCII, are written as numbers.

    >>> print(comment("*) Axiom a: False. (*"), comment("naïve"))
    \x2a) Axiom a: False. (\x2a na\xefve
    """
    short = text if len(text) <= _NAME else f"{text[: _NAME - 3]}..."
    return "".join(c if c in _PLAIN else _escaped(c) for c in short)


def _escaped(character: str) -> str:
    code = ord(character)
    return (
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
    )


def block_comments(statement: ChainStatement) -> list[str]:
    """Return one safe line for each block with the names of its states."""
    members: list[list[str]] = [[] for _ in range(statement.m)]
    for state, label in enumerate(statement.labels):
        name = statement.names[state] if statement.names else str(state)
        members[label].append(comment(name))
    return [_shortened(f"block {number}: ", names) for number, names in enumerate(members)]


def _shortened(start: str, names: Iterable[str]) -> str:
    shown = start + "; ".join(names)
    return shown if len(shown) <= _LINE else f"{shown[: _LINE - 4]} ..."


def chain_statement(claims: Claims, model: Any) -> ChainStatement:
    """Return the identity of verified claims about a model, as integers over a common denominator.

    Raises `NotJustified` if the model has parameters.
    """
    parts, kind, partition, kappa = (
        ChainParts.of(model),
        claims.about,
        claims.partition,
        claims.kappa,
    )
    if not parts.matrix.weights.is_rational:
        raise NotJustified(
            "a proof assistant is given numbers, not parameters: substitute numbers first, or print the "
            "symbolic proof"
        )
    matrices = collapsed_conditions(parts, kind, partition, kappa)
    quotient = quotient_parts(parts, kind, partition, kappa, matrices)
    closed = not kind.keeps_time(parts.time)
    rows, fewer = (_dense(replace(one.matrix, closed=closed)) for one in (parts, quotient))
    denominator = math.lcm(*(x.denominator for row in [*rows, *fewer] for x in row))
    factors, kappa_denominator = scale_to_integers([] if kappa is None else list(kappa))
    return ChainStatement(
        title=f"{claims.model.type}, {kind.name} lumping: {claims.identity}",
        identity=_identity(kind),
        matrix=scaled(rows, denominator),
        quotient=scaled(fewer, denominator),
        labels=tuple(partition.labels.tolist()),
        denominator=denominator,
        symbol="P" if parts.time == "discrete" else "Q" if closed else "R",
        kappa=tuple(factors),
        kappa_denominator=kappa_denominator,
        names=tuple(map(str, model.states)),
    )


def _identity(kind: ClaimedKind) -> str:
    if kind.scaled:
        return "proportional"
    if kind.outgoing and kind.incoming:
        return "both"
    return "row sums" if kind.outgoing else "column sums"


def _dense(structure: WeightedStructure) -> list[list[Fraction]]:
    explicit = structure.explicit()
    rows = [[Fraction(0)] * structure.n for _ in range(structure.n)]
    for state, row in enumerate(rows):
        for target, weight in explicit.row(state):
            row[target] = weight
    return rows
