"""The residual of a partition: how far its blocks are from an ordinary lumping.

For blocks B != C the sums q(x, C), x in B, spread from l to u (absent sums are 0).  The *absolute spread* is u - l, in
the unit of rates; the *relative spread* (u - l) / u is free of units, and 1 where some members reach C and others do
not.  The residual is the largest of each, over all pairs of blocks.  It is zero exactly when the partition is an
ordinary lumping: sums into the own block follow from the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from lumpability.markov.approximate.hull import Hull, hull
from lumpability.markov.chains import MarkovChain
from lumpability.markov.kinds import find_kind
from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition
from lumpability.refinement import Witness

_ZERO = Fraction(0)


@dataclass(frozen=True)
class Residual:
    """The largest spread of sums inside blocks.

    Attributes
    ----------
    relative : Fraction
        The largest (u - l) / u; between 0 and 1.
    absolute : Fraction
        The largest u - l, in 1/time for a CTMC.
    witness, absolute_witness : Witness or None
        Two states of one block, a block, and the two sums of the largest relative and of the largest absolute
        spread; None if all spreads are zero.

    Examples
    --------
    >>> from lumpability import CTMC, Partition
    >>> chain = CTMC([[0, 0, 10], [0, 0, 11], [2, 2, 0]])
    >>> found = residual(chain, Partition([0, 0, 1]))
    >>> found.relative, found.absolute
    (Fraction(1, 11), Fraction(1, 1))
    >>> print(found.witness)
    states 0 and 1: 10 against 11 into block 1
    """

    relative: Fraction
    absolute: Fraction
    witness: Witness | None
    absolute_witness: Witness | None

    def __bool__(self) -> bool:
        return bool(self.absolute)

    def witness_text(self, chain: MarkovChain, partition: Partition) -> str:
        """Describe the witness of the relative spread, which there must be, with the chain's names of states.

        Examples
        --------
        >>> from lumpability import CTMC, Partition
        >>> chain, partition = CTMC([[0, 0, 10], [0, 0, 11], [2, 2, 0]]), Partition([0, 0, 1])
        >>> residual(chain, partition).witness_text(chain, partition)
        'states 0 and 1 share a block, but their rates into {2} sum to 10 and to 11'
        """
        assert self.witness is not None
        return find_kind("ordinary").describe(self.witness, chain, partition)


def residual(chain: MarkovChain, partition: Partition, *, absolute: Fraction = _ZERO) -> Residual:
    """Return the residual of a partition, exactly; O(m) additions, and sorting.

    Parameters
    ----------
    absolute : Fraction
        Spreads u - l up to this are left out of the largest relative spread.

    Raises
    ------
    InvalidInput
        If the chain has parameters.

    Examples
    --------
    >>> from lumpability import CTMC, Partition
    >>> residual(CTMC([[0, 0, 10], [0, 0, 11], [2, 2, 0]]), Partition([0, 0, 1])).relative
    Fraction(1, 11)
    """
    return residual_in(chain, partition, hull(chain, partition), absolute)


def residual_in(
    chain: MarkovChain, partition: Partition, small: Hull, absolute: Fraction = _ZERO
) -> Residual:
    """Return the residual of a partition whose interval hull is known."""
    block = np.repeat(np.arange(small.k), np.diff(small.indptr))
    others = np.flatnonzero(block != small.indices)
    lower, upper = small.lower, small.upper
    width = len(upper.values)
    pairs = lower.codes[others].astype(np.int64) * width + upper.codes[others]
    pairs, first = np.unique(pairs, return_index=True)
    relative = widest = _ZERO, 0
    for pair, place in zip(pairs.tolist(), first.tolist(), strict=True):
        low, high = lower.values[pair // width], upper.values[pair % width]
        if low < high:
            widest = max(widest, (high - low, -place))
        if high - low > absolute:
            relative = max(relative, ((high - low) / high, -place))

    def witness(spread: tuple[Fraction, int]) -> Witness | None:
        if not spread[0]:
            return None
        place = others[-spread[1]]
        return _witness(chain, partition, int(block[place]), int(small.indices[place]))

    return Residual(relative[0], widest[0], witness(relative), witness(widest))


def _witness(chain: MarkovChain, partition: Partition, block: int, into: int) -> Witness:
    """Return the first members of a block with the least and the largest sum into another one, by number."""
    members, matrix = partition.blocks[block], chain.matrix
    owner, positions = matrix.entries_of(members)
    inside = np.flatnonzero(partition.labels[matrix.indices[positions]] == into)
    weights = ExactArray(matrix.weights.codes[positions[inside]], matrix.weights.values)
    sums = weights.segment_sums(np.searchsorted(owner[inside], np.arange(len(members) + 1)))
    ends = (sums.values.index(end(sums.values)) for end in (min, max))
    one, other = sorted(int(np.argmax(sums.codes == code)) for code in ends)
    return Witness(int(members[one]), int(members[other]), into, sums[one], sums[other])
