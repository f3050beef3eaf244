"""What a proof assistant shall confirm about a lumping of a chain, in integers.

Nothing is computed here but common denominators: the chain, the partition, the factors and the quotient are
taken as they are given, so that the statement is false if they do not fit each other.
`lumpability.certificate.coq` and `lumpability.certificate.lean` write it as a file.
"""

from __future__ import annotations

import math
from fractions import Fraction

from lumpability.certificate.statement import ChainStatement, refuse_large
from lumpability.errors import InvalidInput, NotJustified
from lumpability.exact_array import ExactArray
from lumpability.integers import scale_to_integers
from lumpability.markov.chains import CTMC, MarkovChain
from lumpability.markov.kind import balance_matrix
from lumpability.markov.kinds import find_kind
from lumpability.partition import Partition

__all__ = ["chain_statement"]

_IDENTITIES = {
    "ordinary": "row sums",
    "bisimulation": "row sums",
    "exact": "column sums",
    "strict": "both",
    "proportional": "proportional",
}


def chain_statement(
    chain: MarkovChain,
    quotient: MarkovChain,
    partition: Partition,
    kind: str,
    kappa: ExactArray | None = None,
) -> ChainStatement:
    """Return the statement that a partition is a lumping of a chain, with this quotient.

    Parameters
    ----------
    chain, quotient : CTMC or DTMC
    partition : Partition
        Of the states of `chain`; its blocks are the states of `quotient`, in order.
    kind : {"ordinary", "bisimulation", "exact", "strict", "proportional"}
    kappa : ExactArray, shape (n,), optional
        For "proportional", and required there.

    Returns
    -------
    ChainStatement

    Raises
    ------
    SizeLimit
        If the chain has more states than a proof assistant is given; carries ``size`` and ``limit``.
    InvalidInput
        If the kind has no identity, or sizes do not fit each other.
    NotJustified
        If the chain has parameters: the statement is about integers.

    Examples
    --------
    >>> from lumpability import DTMC, lump
    >>> chain = DTMC([[0, "1/2", "1/2"], [1, 0, 0], [1, 0, 0]], labels={"start": [0]})
    >>> lumping = lump(chain)
    >>> statement = chain_statement(chain, lumping.quotient, lumping.partition, "ordinary")
    >>> statement.matrix, statement.quotient, statement.denominator
    (((0, 1, 1), (2, 0, 0), (2, 0, 0)), ((0, 2), (2, 0)), 2)
    """
    refuse_large(chain.n)
    chosen = find_kind(kind)
    if kind not in _IDENTITIES:
        raise InvalidInput(f"{kind} lumping has no identity between matrices", kind=kind)
    if chain.parameters or quotient.parameters:
        raise NotJustified(
            "a proof assistant is given numbers, not parameters: substitute numbers first, or take the "
            "symbolic proof, lumpability.symbolic.prove"
        )
    rows = _dense(chain, keeps_jumps=chosen.keeps_jumps)
    fewer = _dense(quotient, keeps_jumps=chosen.keeps_jumps)
    denominator = math.lcm(*(x.denominator for row in [*rows, *fewer] for x in row))
    factors, kappa_denominator = scale_to_integers([] if kappa is None else list(kappa))
    symbol = ("R" if chosen.keeps_jumps else "Q") if isinstance(chain, CTMC) else "P"
    return ChainStatement(
        title=f"{type(chain).__name__}, {kind} lumping: {chosen.identity(chain)}",
        identity=_IDENTITIES[kind],
        matrix=_scaled(rows, denominator),
        quotient=_scaled(fewer, denominator),
        labels=tuple(partition.labels.tolist()),
        denominator=denominator,
        symbol=symbol,
        kappa=tuple(factors),
        kappa_denominator=kappa_denominator,
        names=tuple(str(state) for state in chain.states),
    )


def _dense(chain: MarkovChain, *, keeps_jumps: bool) -> list[list[Fraction]]:
    structure = chain.matrix if keeps_jumps else balance_matrix(chain)
    rows = []
    for state in range(structure.n):
        row = [Fraction(0)] * structure.n
        for target, weight in structure.row(state):
            row[target] = weight
        rows.append(row)
    return rows


def _scaled(rows: list[list[Fraction]], by: int) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(int(x * by) for x in row) for row in rows)
