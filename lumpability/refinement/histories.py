"""The history of splits that proves a partition the coarsest, made on the quotient.

The quotient is enough to prove that a partition is the coarsest, without the engine: refine the final blocks
again, from the same initial partition, and record the splits.  They must end in single blocks; two blocks that stay
together could be merged.  `History` explains the record and the proof.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from lumpability.errors import InvalidPartition
from lumpability.numbers.exact_array import Exact
from lumpability.partition import Partition
from lumpability.refinement.choose import SMALL
from lumpability.refinement.normal_form import SUMS, NormalForm
from lumpability.refinement.worklist import split_all
from lumpability.split_history import History
from lumpability.structure import WeightedStructure

__all__ = ["split_history"]


def split_history(
    matrices: Sequence[WeightedStructure], within: Partition, *, normal: NormalForm = SUMS
) -> History:
    """Return splits of the initial partition of final blocks that end with every block alone.

    Parameters
    ----------
    matrices : sequence of WeightedStructure, each of k states
        The matrices of the kind's conditions, collapsed to the final blocks (`quotient.collapse`).
    within : Partition
        The initial partition, of the k final blocks.
    normal : {SUMS, SHARES}
        Decides when two vectors of sums count as equal.

    Returns
    -------
    History

    Raises
    ------
    InvalidPartition
        If no split separates two blocks, so that the final partition is not the coarsest; carries
        ``blocks``.

    Notes
    -----
    O(m log k) exact additions for m transitions.  The compiled worklist makes the history of large
    matrices of rationals (`choose.SMALL`), unless sums of integers over their common denominator may exceed 62
    bits; which of the two runs depends on the matrices alone.

    Examples
    --------
    >>> matrix = WeightedStructure.from_edges(3, [0, 1], [2, 2], [1, "3/2"])
    >>> history = split_history([matrix], Partition.of([{0, 1}, {2}]))
    >>> history.blocks(0), [history.blocks(part) for part in (2, 3)], history.sums
    ([0, 1], [[0], [1]], ExactArray([1, 3/2]))
    >>> split_history([matrix], Partition.trivial(3)).splits
    1
    """
    found = _history(matrices, within, normal)
    if isinstance(found, Partition):
        pair = next(block for block in found if len(block) > 1)[:2].tolist()
        raise InvalidPartition(
            f"nothing separates blocks {pair[0]} and {pair[1]}, so the partition is not the coarsest",
            blocks=tuple(pair),
        )
    return found


def _history(
    matrices: Sequence[WeightedStructure], within: Partition, normal: NormalForm
) -> History | Partition:
    """Return the history, or the partition in which it ends if that is not discrete."""
    if normal is SUMS and sum(matrix.m for matrix in matrices) > SMALL:
        from lumpability.refinement.kernel.history import split_history as split_compiled

        found = split_compiled(matrices, within)
        if found is not None:
            return found
    blocks = split_all(matrices, within, normal)
    if len(blocks) < within.n:
        return blocks.partition()
    return blocks.history(_zero(matrices))


def _zero(matrices: Sequence[WeightedStructure]) -> Exact:
    """Return the zero of the field of the weights."""
    some = next((value for matrix in matrices for value in matrix.weights.values), Fraction(0))
    return some - some
