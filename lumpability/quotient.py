"""Collapse a structure along a partition, and carry vectors between states and blocks.

V is the indicator of the partition, n x k: V[s, C] = 1 iff s is in C.  The collapse of M takes for
block B the sums of the row of its first member into every block C: M^[B, C] = sum of M[s, u], u in C.
The partition is stable exactly when M V = V M^, which `refinement.stability` checks in exact arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.numbers.exact_array import Exact, ExactArray
from lumpability.numbers.integers import smallest_unsigned
from lumpability.partition import Partition
from lumpability.refinement.choose import is_small
from lumpability.refinement.stability import first_rows
from lumpability.structure import WeightedStructure
from lumpability.vocabulary import missing_attribute


@dataclass(frozen=True)
class Verdict:
    """Whether a partition is a lumping of some kind; falsy when it is not.

    Attributes
    ----------
    kind : str
    witness : object or None
        The evidence that it is not: for chains a `Witness` (two states of one block, a block, two sums).
    text : str
        The verdict in words, with the names of the model.
    explanation : object or None
        For chains the transitions behind the two sums, see `lumpability.markov.explanation.Step`.
    residual : object or None
        If a tolerance was given, how far sums spread, see `lumpability.markov.approximate.Residual`.

    Examples
    --------
    >>> from lumpability.refinement import Witness
    >>> bool(Verdict("ordinary", None, "yes")), bool(Verdict("ordinary", Witness(0, 1, 0, 1, 2), "no"))
    (True, False)
    """

    kind: str
    witness: Any
    text: str
    explanation: Any = field(default=None, kw_only=True, repr=False, compare=False)
    residual: Any = field(default=None, kw_only=True, repr=False, compare=False)

    def __bool__(self) -> bool:
        return self.witness is None

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Stats:
    """Sizes of a lumping, its time, and what was proved.

    Attributes
    ----------
    states, transitions : int
        Of the model.  For a network the neurons of its layers with weights, and its parameters.
    blocks, block_transitions : int
        Blocks of the partition, and transitions (parameters) of the quotient.
    respected_blocks : int
        Blocks of the partition that had to be refined.
    engine : str
        Implementation of the refinement that ran.
    seconds : float
        For everything from the model to the quotient, proof included.
    proof : str
        The identity that was checked in exact arithmetic.
    dropped : tuple of str
        Labels and rewards of a chain that are not constant on blocks, and which the quotient therefore
        lacks; all rewards if a proportional lumping changes the time spent in blocks.

    Examples
    --------
    >>> Stats(3, 4, 2, 1, 2, "worklist", 0.01, "Q V = V Q^ holds exactly").blocks
    2
    """

    states: int
    transitions: int
    blocks: int
    block_transitions: int
    respected_blocks: int
    engine: str
    seconds: float
    proof: str
    dropped: tuple[str, ...] = ()

    def __getattr__(self, name: str) -> Any:
        raise missing_attribute(self, name)


def collapse(structure: WeightedStructure, partition: Partition) -> WeightedStructure:
    """Return the structure on blocks given by the rows of their first members.

    It is the quotient exactly when the partition is stable, which `refinement.stability.disagreement`
    decides.  O(transitions of the first members).

    >>> structure = WeightedStructure.from_edges(3, [0, 0, 1, 2], [1, 2, 0, 0], ["1/2", "1/2", 1, 1])
    >>> quotient = collapse(structure, Partition.of([{0}, {1, 2}]))
    >>> quotient.row(0), quotient.row(1)
    ([(1, Fraction(1, 1))], [(0, Fraction(1, 1))])
    """
    if len(partition) == structure.n:
        return structure  # canonical numbering: every state is its own block
    if not is_small(structure):
        from lumpability.refinement.kernel.quotient import collapse as collapse_compiled

        return collapse_compiled(structure, partition)
    return first_rows(structure, partition)


def project(vector: ExactArray, partition: Partition) -> ExactArray:
    """Sum a vector over blocks: x V, shape (len(partition),); exact, O(n).

    >>> vector, _ = ExactArray.read(["1/2", "1/3", "1/6"])
    >>> project(vector, Partition.of([0, 1, 0]))
    ExactArray([2/3, 1/3])
    """
    blocks = len(partition)
    if blocks == partition.n:
        return vector  # canonical numbering: every state is its own block
    support = vector.support()
    if not len(support):
        return ExactArray.constant(Fraction(0), blocks)
    if len(support) == 1 < blocks:  # as in most initial distributions
        state = int(support[0])
        codes = np.zeros(blocks, dtype=np.uint8)
        codes[partition.labels[state]] = 1
        return ExactArray(codes, (_zero_in(vector), vector[state]))
    reached = partition.labels[support]
    order = np.argsort(reached, kind="stable")
    reached, starts = np.unique(reached[order], return_index=True)
    sums = vector.take(support[order]).segment_sums(np.append(starts, len(support)))
    if len(reached) == blocks:
        return sums
    number = {_zero_in(vector): 0}  # the code of each distinct sum
    renamed = [number.setdefault(value, len(number)) for value in sums.values]
    codes = np.zeros(blocks, dtype=smallest_unsigned(len(number)))
    codes[reached] = np.array(renamed)[sums.codes]
    return ExactArray(codes, tuple(number))


def _zero_in(vector: ExactArray) -> Exact:
    """Return the zero of a vector that contains one: an element of its field, if parameters occur."""
    return next(value for value in vector.values if not value)


def pull_back(vector: ExactArray, partition: Partition) -> ExactArray:
    """Give every state the value of its block: V f, shape (n,).

    >>> vector, _ = ExactArray.read([5, 7])
    >>> pull_back(vector, Partition.of([0, 1, 0]))
    ExactArray([5, 7, 5])
    """
    return vector.take(partition.labels)


def spread(vector: ExactArray, partition: Partition) -> ExactArray:
    """Give every state its equal share of the value of its block: x diag(1/|C|) V^T, shape (n,).

    >>> vector, _ = ExactArray.read(["1/3", "2/3"])
    >>> spread(vector, Partition.of([0, 1, 1]))
    ExactArray([1/3, 1/3, 1/3])
    """
    shares = [
        value / size for value, size in zip(vector, partition.blocks.sizes.tolist(), strict=True)
    ]
    return ExactArray.of_values(partition.labels, shares)
