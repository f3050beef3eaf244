"""The base of every kind of chain lumpability.

A kind names one or two *conditions*, each a matrix M and a direction, and a normal form.  A partition is a
lumping exactly when states of one block have equal normal forms of their sums of M into every block.
The engine finds the coarsest such partition, and the check compares the normal forms.  The kind adds its
quotient, the properties that the quotient preserves, and the vectors that can be carried back.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from lumpability.errors import InvalidInput, NotJustified
from lumpability.markov.attributes import block_name
from lumpability.markov.chains import CTMC, MarkovChain
from lumpability.numbers.exact_array import Exact, ExactArray
from lumpability.numbers.rationals import shown
from lumpability.partition import Partition
from lumpability.quotient import Verdict, collapse, project, spread
from lumpability.refinement import (
    SUMS,
    Engine,
    EngineName,
    NormalForm,
    Progress,
    Refinement,
    Witness,
    refine,
)
from lumpability.refinement.stability import disagreement
from lumpability.structure import WeightedStructure


@dataclass(frozen=True)
class Condition:
    """A matrix whose sums over blocks must agree inside blocks.

    Attributes
    ----------
    matrix : WeightedStructure
        Sums run over rows of this matrix; it is the transposed one for direction "in".
    direction : {"out", "in"}

    Examples
    --------
    >>> from lumpability import CTMC
    >>> condition = Condition(CTMC([[5, 2], [1, 0]]).generator())
    >>> condition.jumps(0)
    [(0, Fraction(-2, 1)), (1, Fraction(2, 1))]
    """

    matrix: WeightedStructure
    direction: str = "out"

    def jumps(self, state: int) -> list[tuple[int, Exact]]:
        """Return the stored transitions of a state that count; in a generator, self-loops do not."""
        row = self.matrix.row(state)
        return [(u, w) for u, w in row if u != state] if self.matrix.closed else row

    def counts_own(self, normal: NormalForm) -> bool:
        """Whether sums into a state's own block are compared; in a generator the others determine them."""
        return normal.counts_own and not self.matrix.closed


def balance_matrix(chain: MarkovChain) -> WeightedStructure:
    """Return the matrix that lumpability is about: the generator of a CTMC, P of a DTMC."""
    return chain.generator() if isinstance(chain, CTMC) else chain.matrix


class Kind(ABC):
    """One notion of lumpability.

    A kind of your own defines `identity` and `conditions`, and `quotient` and the attributes below where they
    differ; an object of it is given as ``lump(chain, kind=MyKind())``.  The page on the architecture has a recipe.

    Examples
    --------
    >>> from lumpability.markov.kinds import find_kind
    >>> from lumpability.markov.examples import land_of_oz
    >>> find_kind("exact").identity(land_of_oz())
    'D P = P^ D'
    """

    name: ClassVar[str]
    """The word for it in results; by default the name of the class, in small letters."""
    preserves: ClassVar[str] = ""
    """The sentence about what the quotient preserves; `preserved.PRESERVED` has the table."""
    respects: ClassVar[tuple[str, ...]] = ("labels", "rewards")
    """The names that the initial partition respects by default, see `MarkovChain.respected`."""
    normal: ClassVar[NormalForm] = SUMS
    """The normal form in which vectors of block sums are compared."""
    outgoing: ClassVar[bool] = True
    """Whether sums into blocks agree inside blocks."""
    incoming: ClassVar[bool] = False
    """Whether sums from blocks agree inside blocks, so that uniform probabilities inside blocks stay uniform."""
    scaled: ClassVar[bool] = False
    """Whether states have factors, so that shares are compared in place of sums."""
    keeps_jumps: ClassVar[bool] = False
    """Whether the quotient of a CTMC keeps the jumps inside blocks, as self-loops."""
    has_coarsest: ClassVar[bool] = True
    """Whether every partition has a coarsest refinement of this kind, so that `lump` can find it."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "name" not in vars(cls):
            cls.name = cls.__name__.lower()

    @abstractmethod
    def identity(self, chain: MarkovChain) -> str:
        """Return the matrix identity that proves a lumping of this kind, as text."""

    @abstractmethod
    def conditions(self, chain: MarkovChain) -> Sequence[Condition]:
        """Return the conditions, their matrices built; O(m).

        Raises
        ------
        NotJustified
            If the kind makes no sense for this class of chain.
        """

    def quotient(
        self, chain: MarkovChain, conditions: Sequence[Condition], partition: Partition
    ) -> WeightedStructure:
        """Return the matrix of the quotient chain: by default the sums of the first members of blocks."""
        quotient = collapse(conditions[0].matrix, partition)
        inside = not isinstance(chain, CTMC) or self.keeps_jumps
        return quotient if inside else quotient.without_diagonal()

    def coarsest(
        self,
        conditions: Sequence[Condition],
        within: Partition,
        *,
        engine: EngineName | Engine = "auto",
        progress: Progress | None = None,
    ) -> Refinement:
        """Return the coarsest partition that meets all conditions and refines `within`."""
        matrices = [condition.matrix for condition in conditions]
        return refine(matrices, within, normal=self.normal, engine=engine, progress=progress)

    def witness(self, conditions: Sequence[Condition], partition: Partition) -> Witness | None:
        """Check the conditions exactly; return what contradicts them, or None."""
        for condition in conditions:
            found = disagreement(condition.matrix, partition, self.normal)
            if found is not None:
                return replace(found, direction=condition.direction)
        return None

    def verdict(
        self, chain: MarkovChain, partition: Partition, progress: Progress | None = None
    ) -> Verdict:
        """Decide exactly whether a partition is a lumping of this kind, with the verdict in words.

        Only checks that take long call `progress`.
        """
        witness = self.witness(self.conditions(chain), partition)
        if witness is None:
            return Verdict(self.name, None, f"{self.name}: {self.identity(chain)} holds exactly")
        text = f"not {self.name}: {self.describe(witness, chain, partition)}"
        return Verdict(self.name, witness, text)

    def verdict_with(
        self, chain: MarkovChain, partition: Partition, factors: ExactArray
    ) -> Verdict:
        """Decide exactly whether a partition is a lumping with given factors of the states.

        Raises
        ------
        InvalidInput
            If this kind does not scale states.
        InvalidValue
            If a factor is not positive.
        """
        raise InvalidInput(f"{self.name} lumping has no factors: use kind='proportional'")

    def describe(self, witness: Witness, chain: MarkovChain, partition: Partition) -> str:
        """Describe a witness with the chain's names of states."""
        what = "rates" if isinstance(chain, CTMC) else "probabilities"
        way = "into" if witness.direction == "out" else "from"
        return (
            f"states {chain.states[witness.state]!r} and {chain.states[witness.other]!r} share a "
            f"block, but their {what} {way} {block_name(chain.states, partition, witness.block)} "
            f"sum to {shown(witness.total)} and to {shown(witness.other_total)}"
        )

    def factors(self, conditions: Sequence[Condition], partition: Partition) -> ExactArray | None:
        """Return the factor kappa of every state, or None for a kind without factors."""
        return None

    def project_stationary(
        self, vector: ExactArray, partition: Partition, factors: ExactArray | None
    ) -> ExactArray:
        """Return the stationary distribution of the quotient for one of the chain."""
        return project(vector, partition)

    def lift(self, vector: ExactArray, chain: MarkovChain, partition: Partition) -> ExactArray:
        """Spread block probabilities at any time over states, where the theory justifies it: uniformly.

        Raises
        ------
        NotJustified
            If it does not, with the reason.
        """
        if not self.incoming:
            raise NotJustified(
                f"{self.name} lumping does not determine how a block's probability is spread over its "
                "states: only block probabilities are preserved; use kind='exact' or 'strict'",
                kind=self.name,
            )
        if chain.initial is not None and not partition.refines(Partition(chain.initial.codes)):
            raise NotJustified(
                "the initial distribution is not uniform inside blocks, so probabilities at a given time "
                "need not be uniform: lump with respect=[..., 'initial'], or use lift_stationary"
            )
        return spread(vector, partition)

    def lift_stationary(
        self, vector: ExactArray, chain: MarkovChain, partition: Partition
    ) -> ExactArray:
        """Return the stationary distribution of the chain for one of the quotient.

        Raises
        ------
        NotJustified
            If the quotient does not determine it, with the reason.
        """
        return spread(vector, partition) if self.incoming else self.lift(vector, chain, partition)
