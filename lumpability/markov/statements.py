"""What a proof assistant shall confirm about a lumping of a chain, in integers.

Nothing is computed here but common denominators: the chain, the partition, the factors and the quotient are
taken as they are given, so that the statement is false if they do not fit each other.
`lumpability.certificate.export.coq` and `lumpability.certificate.export.lean` write it as a file.
"""

from __future__ import annotations

from lumpability.certificate.export.statement import ChainStatement, refuse_large
from lumpability.certificate.export.stating import state_chain
from lumpability.markov.chains import CTMC, MarkovChain
from lumpability.markov.kinds import find_kind
from lumpability.markov.kinds.kind import balance_matrix
from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition

__all__ = ["chain_statement"]


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
    matrix, fewer = (
        model.matrix if chosen.keeps_jumps else balance_matrix(model) for model in (chain, quotient)
    )
    symbol = ("R" if chosen.keeps_jumps else "Q") if isinstance(chain, CTMC) else "P"
    title = f"{type(chain).__name__}, {kind} lumping: {chosen.identity(chain)}"
    return state_chain(
        kind,
        matrix,
        fewer,
        partition,
        kappa=kappa,
        symbol=symbol,
        title=title,
        names=chain.states,
    )
