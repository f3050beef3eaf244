"""Statements about chains from exact matrices: everything over common denominators."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from lumpability.certificate.export.statement import ChainStatement, refuse_large
from lumpability.errors import InvalidInput, NotJustified
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.integers import scale_to_integers
from lumpability.partition import Partition
from lumpability.structure import WeightedStructure

__all__ = ["state_chain"]

_IDENTITIES = {
    "ordinary": "row sums",
    "bisimulation": "row sums",
    "exact": "column sums",
    "strict": "both",
    "proportional": "proportional",
}


def state_chain(
    kind: str,
    matrix: WeightedStructure,
    quotient: WeightedStructure,
    partition: Partition,
    *,
    kappa: ExactArray | None = None,
    symbol: str,
    title: str,
    names: Iterable[Any],
) -> ChainStatement:
    """Return the statement that the identity of a kind holds for a matrix, a partition and a quotient.

    Parameters
    ----------
    kind : {"ordinary", "bisimulation", "exact", "strict", "proportional"}
    matrix : WeightedStructure, n states
        Diagonal included, understood or not.
    quotient : WeightedStructure, k states
    partition : Partition
    kappa : ExactArray, shape (n,), optional
        For "proportional", and required there.
    symbol : {"Q", "P", "R"}
        Of the matrix: generator, stochastic matrix, rates.
    title : str
        One line for the reader.
    names : iterable
        Of the states.

    Raises
    ------
    SizeLimit
        If the chain has more states than a proof assistant is given; carries ``size`` and ``limit``.
    InvalidInput
        If the kind has no identity, or sizes do not fit each other.
    NotJustified
        If there are parameters: the statement is about integers.

    Examples
    --------
    >>> flip = WeightedStructure.from_edges(2, [0, 1], [1, 0], ["1/2", "1/2"])
    >>> one = WeightedStructure.from_edges(1, [0], [0], ["1/2"])
    >>> pair = Partition.trivial(2)
    >>> statement = state_chain("ordinary", flip, one, pair, symbol="R", title="flip", names="ab")
    >>> statement.matrix, statement.quotient, statement.denominator
    (((0, 1), (1, 0)), ((1,),), 2)
    """
    refuse_large(matrix.n)
    if kind not in _IDENTITIES:
        raise InvalidInput(f"{kind} lumping has no identity between matrices", kind=kind)
    if not all(weights.is_rational for weights in (matrix.weights, quotient.weights)):
        raise NotJustified(
            "a proof assistant is given numbers, not parameters: substitute numbers first, or take the "
            "symbolic proof, lumpability.symbolic.prove"
        )
    rows, fewer = _dense(matrix), _dense(quotient)
    denominator = math.lcm(*(x.denominator for row in [*rows, *fewer] for x in row))
    factors, kappa_denominator = scale_to_integers([] if kappa is None else list(kappa))
    return ChainStatement(
        title=title,
        identity=_IDENTITIES[kind],
        matrix=_scaled(rows, denominator),
        quotient=_scaled(fewer, denominator),
        labels=tuple(partition.labels.tolist()),
        denominator=denominator,
        symbol=symbol,
        kappa=tuple(factors),
        kappa_denominator=kappa_denominator,
        names=tuple(str(name) for name in names),
    )


def _dense(structure: WeightedStructure) -> list[list[Fraction]]:
    explicit = structure.explicit()
    rows = [[Fraction(0)] * structure.n for _ in range(structure.n)]
    for state, row in enumerate(rows):
        for target, weight in explicit.row(state):
            row[target] = weight
    return rows


def _scaled(rows: list[list[Fraction]], by: int) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(int(x * by) for x in row) for row in rows)
