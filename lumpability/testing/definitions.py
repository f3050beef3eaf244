"""Lumpability by its definition: sums over dense rows, all states of a block, all set partitions.

Everything here follows the definitions of the theory word by word and uses nothing of the engine: no sparse
matrices, no refinement, no residues.  Tests compare with it, for models of up to about eight states: the number of
set partitions grows like 1, 2, 5, 15, 52, 203, 877, 4140 (Bell numbers).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from lumpability.markov.chains import CTMC, MarkovChain
from lumpability.numbers.exact_array import Exact
from lumpability.partition import Partition
from lumpability.refinement import Witness
from lumpability.structure import WeightedStructure

Matrix = list[list[Exact]]


def all_partitions(n: int) -> list[Partition]:
    """Return every partition of n states, the coarsest first.

    >>> all_partitions(2), len(all_partitions(5))
    ([Partition([[0, 1]]), Partition([[0], [1]])], 52)
    """
    found = [[0]] if n else [[]]
    for _ in range(n - 1):
        found = [[*labels, b] for labels in found for b in range(max(labels) + 2)]
    return [Partition.of(labels, states=n) for labels in found]


def dense(structure: WeightedStructure) -> Matrix:
    """Return the rows of a structure with its zeros, including an implicit diagonal.

    Examples
    --------
    >>> [[str(x) for x in row] for row in dense(WeightedStructure.from_edges(2, [0], [1], [3]))]
    [['0', '3'], ['0', '0']]
    """
    rows: Matrix = [[Fraction(0)] * structure.n for _ in range(structure.n)]
    for state, row in enumerate(rows):
        for target, weight in structure.row(state):
            row[target] = weight
        if structure.closed:
            row[state] = Fraction(0)
            row[state] = -sum(row)
    return rows


def transposed(matrix: Matrix) -> Matrix:
    """Return the columns of a matrix."""
    return [list(column) for column in zip(*matrix, strict=True)]


def generator_rows(chain: MarkovChain) -> Matrix:
    """Return the generator of a CTMC or the stochastic matrix of a DTMC.

    >>> [[int(x) for x in row] for row in generator_rows(CTMC([[5, 2], [1, 0]]))]
    [[-2, 2], [1, -1]]
    """
    rows = dense(chain.matrix)
    if isinstance(chain, CTMC):
        for state, row in enumerate(rows):
            row[state] = Fraction(0)
            row[state] = -sum(row)
    return rows


def _conditions(chain: MarkovChain, kind: str) -> list[tuple[str, Matrix]]:
    """Return the matrices whose rows must have equal sums over blocks, each with its direction."""
    rows = dense(chain.matrix) if kind == "bisimulation" else generator_rows(chain)
    out, into = ("out", rows), ("in", transposed(rows))
    return {"exact": [into], "strict": [out, into]}.get(kind, [out])


def _sums(row: Sequence[Exact], labels: Sequence[int], count: int) -> list[Exact]:
    sums: list[Exact] = [Fraction(0)] * count
    for weight, block in zip(row, labels, strict=True):
        sums[block] = sums[block] + weight
    return sums


def _shares(sums: list[Exact], own: int) -> list[Exact]:
    """Return the shares of other blocks in the rate out of the own one: sums up to a positive factor."""
    leaving = [total if block != own else Fraction(0) for block, total in enumerate(sums)]
    total = sum(leaving)
    return [x / total for x in leaving] if total != 0 else leaving


def _witnesses(
    matrix: Matrix, partition: Partition, direction: str, *, scaled: bool
) -> Iterator[Witness]:
    """Yield for every state that differs from the first of its block the first block that shows it."""
    labels = partition.labels.tolist()
    sums = block_sums(matrix, partition)
    if scaled:
        sums = [_shares(row, own) for row, own in zip(sums, labels, strict=True)]
    for state, own in enumerate(labels):
        first = int(partition.representatives[own])
        different = [b for b, pair in enumerate(zip(sums[first], sums[state], strict=True))
                     if pair[0] != pair[1]]  # fmt: skip
        if different:
            # Prefer another block to the own one, whose sum may hold a diagonal.
            block = min(different, key=lambda b: (b == own, b))
            yield Witness(first, state, block, sums[first][block], sums[state][block], direction)


def find_witness(chain: MarkovChain, partition: Partition, kind: str) -> Witness | None:
    """Return a witness that a partition is not a lumping of a kind, or None if it is one.

    It names the first state that differs from the first member of its block, and the first block, other than
    their own if possible, that shows it; for "strict" sums going out come first.

    >>> chain = CTMC([[0, 0, 1], [0, 0, 3], [0, 0, 0]])
    >>> print(find_witness(chain, Partition([0, 0, 1]), "ordinary"))
    states 0 and 1: 1 against 3 into block 1
    >>> print(find_witness(chain, Partition([0, 0, 1]), "proportional"))
    None
    """
    for direction, matrix in _conditions(chain, kind):
        found = _witnesses(matrix, partition, direction, scaled=kind == "proportional")
        witness = next(found, None)
        if witness is not None:
            return witness
    return None


def is_lumping(chain: MarkovChain, partition: Partition, kind: str) -> bool:
    """Whether a partition is a lumping of a kind, by the definition.

    - kind: {"ordinary", "bisimulation", "exact", "strict", "proportional"}

    O(n^2) exact additions.

    >>> chain = CTMC([[0, 0, 1], [0, 0, 3], [0, 0, 0]])
    >>> is_lumping(chain, Partition([0, 0, 1]), "ordinary")
    False
    """
    return find_witness(chain, partition, kind) is None


def is_stable(structure: WeightedStructure, partition: Partition) -> bool:
    """Whether M V has equal rows inside blocks, by the definition.

    >>> structure = WeightedStructure.from_edges(3, [0, 1, 1], [2, 0, 2], [2, 1, 1])
    >>> is_stable(structure, Partition([0, 0, 1])), is_stable(structure, Partition([0, 1, 2]))
    (False, True)
    """
    return find_unstable(structure, partition) is None


def find_unstable(structure: WeightedStructure, partition: Partition) -> Witness | None:
    """Return two states of a block with different sums into a block, or None if there are none."""
    return next(_witnesses(dense(structure), partition, "out", scaled=False), None)


def block_sums(rows: Matrix, partition: Partition) -> Matrix:
    """Return M V: the sums of every row over every block.

    >>> block_sums([[1, 2, 3]], Partition([0, 1, 0]))
    [[Fraction(4, 1), Fraction(2, 1)]]
    """
    labels = partition.labels.tolist()
    return [_sums(row, labels, len(partition)) for row in rows]
