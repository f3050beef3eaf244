"""Proportional lumpability: states leave their block with rates that are equal up to a factor.

A partition is proportionally lumpable when every state s has a factor kappa(s) > 0 such that
q(s, C) / kappa(s) = q(t, C) / kappa(t) for s, t of one block B and every *other* block C.  Dividing the
rate of s by kappa(s) gives a chain that is ordinary lumpable: K^-1 Q V = V Q^ outside blocks.  If
pi Q = 0 then pi K V Q^ = 0, so the stationary distribution of the quotient is
pi^(B) = (sum over B of kappa pi) / (sum over all of kappa pi), and the blocks are visited in the same
order with the same probabilities.  Probabilities at a given time are not preserved.

States of a block have vectors of rates into other blocks that are positive multiples of each other;
kappa is determined up to one factor for each block, and is 1 for its first member.  A state with rate zero
into every other block may share a block only with such states, because 0 = kappa c forces c = 0.  Its kappa
is free, and 1 here; an irreducible chain has no such states, except in the one-block partition.
Merging blocks keeps multiples multiples (and zero zero), so the join of two such partitions is one, and the
coarsest is unique.  Splitting by the vector of rates into other blocks *up to a positive factor*, until
nothing splits, finds it.  Dividing by the whole exit rate, own block included, would split too much.
Marin, Piazza and Rossi 2019; Piazza and Rossi 2021.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput, InvalidValue, NotJustified
from lumpability.markov.attributes import block_name
from lumpability.markov.chains import CTMC, MarkovChain
from lumpability.markov.kinds.kind import Condition, Kind
from lumpability.markov.matrices import divide_rows
from lumpability.numbers.exact_array import Exact, ExactArray
from lumpability.numbers.parameters import is_positive
from lumpability.numbers.rationals import shown
from lumpability.partition import Partition
from lumpability.quotient import Verdict, project
from lumpability.refinement import SHARES, Progress, Refinement, Witness
from lumpability.refinement.stability import disagreement
from lumpability.structure import WeightedStructure


class Proportional(Kind):
    """Equal rates into other blocks up to a positive factor of each state."""

    name = "proportional"
    normal = SHARES
    scaled = True
    preserves = (
        "the stationary distribution, weighted: pi^(B) is the share of kappa pi in block B; and the "
        "order in which blocks are visited; not probabilities at a given time"
    )

    def identity(self, chain: MarkovChain) -> str:
        return "K^-1 Q V = V Q^ outside blocks"

    def conditions(self, chain: MarkovChain) -> Sequence[Condition]:
        if not isinstance(chain, CTMC):
            raise NotJustified(
                "proportional lumping changes how long states are held, and a DTMC has no holding "
                "times: lump CTMC(chain.matrix, ...), which has the same stationary distribution",
                kind=self.name,
            )
        return [Condition(chain.matrix.without_diagonal())]

    def coarsest(self, *arguments: Any, **options: Any) -> Refinement:
        try:
            return super().coarsest(*arguments, **options)
        except ZeroDivisionError:
            raise _cancelled() from None

    def verdict(
        self, chain: MarkovChain, partition: Partition, progress: Progress | None = None
    ) -> Verdict:
        try:
            found = super().verdict(chain, partition, progress)
        except ZeroDivisionError:
            raise _cancelled() from None
        if found:  # factors are positive as well
            self.factors(self.conditions(chain), partition)
        return found

    def verdict_with(
        self, chain: MarkovChain, partition: Partition, factors: ExactArray
    ) -> Verdict:
        positive = [is_positive(factor) for factor in factors.values]
        if not all(positive):
            state = next(s for s, code in enumerate(factors.codes) if not positive[code])
            raise InvalidValue(
                f"the factor of state {chain.states[state]!r} is {factors[state]}: factors are positive",
                index=state,
                value=factors[state],
            )
        matrix = self.conditions(chain)[0].matrix
        witness = disagreement(divide_rows(_leaving(matrix, partition), factors), partition)
        if witness is None:
            text = f"{self.name}: {self.identity(chain)} holds exactly with these factors"
            return Verdict(self.name, None, text)
        block = block_name(chain.states, partition, witness.block)
        return Verdict(
            self.name,
            witness,
            f"not {self.name} with these factors: states {chain.states[witness.state]!r} and "
            f"{chain.states[witness.other]!r} share a block, but their rates into {block}, divided by "
            f"their factors, sum to {shown(witness.total)} and to {shown(witness.other_total)}",
        )

    def describe(self, witness: Witness, chain: MarkovChain, partition: Partition) -> str:
        return (
            f"states {chain.states[witness.state]!r} and {chain.states[witness.other]!r} share a "
            "block, but the shares of their rates out of it into "
            f"{block_name(chain.states, partition, witness.block)} are {shown(witness.total)} and "
            f"{shown(witness.other_total)}"
        )

    def factors(self, conditions: Sequence[Condition], partition: Partition) -> ExactArray:
        leaving = _leaving(conditions[0].matrix, partition)
        totals = leaving.row_sums()
        moving = np.diff(leaving.indptr) > 0
        cancelled = moving & np.array([total == 0 for total in totals.values], bool)[totals.codes]
        if cancelled.any():
            raise _cancelled()
        firsts = totals.take(partition.representatives[partition.labels])
        one: Exact = Fraction(1)
        factors = totals.combine(firsts, lambda own, first: one if first == 0 else own / first)
        # Numeric factors of a lumping are positive.  If the partition is no lumping, its identity fails.
        doubtful = [
            code
            for code, factor in enumerate(factors.values)
            if not isinstance(factor, Fraction) and not is_positive(factor)
        ]
        if doubtful:
            state = int(np.flatnonzero(factors.codes == doubtful[0])[0])
            first = int(partition.representatives[partition.labels[state]])
            raise NotJustified(
                f"the rates of state number {state} are {shown(factors[state])} times those of number {first}, and "
                "this factor is not evidently positive for all parameters: substitute x = y + d for a "
                "parameter x that is larger than y",
                index=state,
                factor=factors[state],
            )
        return factors

    def project_stationary(
        self, vector: ExactArray, partition: Partition, factors: ExactArray | None
    ) -> ExactArray:
        assert factors is not None
        sums = project(vector.combine(factors, operator.mul), partition)
        total = sum(sums)
        if total == 0:
            raise InvalidInput("a distribution that is zero everywhere cannot be projected")
        return sums.map(lambda value: value / total)

    def lift(self, vector: ExactArray, chain: MarkovChain, partition: Partition) -> ExactArray:
        raise NotJustified(
            "proportional lumping does not preserve probabilities at a given time, and of the "
            "stationary ones only sums weighted with kappa, which do not determine single states; "
            "for stationary distributions use project_stationary",
            kind=self.name,
        )


def _cancelled() -> NotJustified:
    return NotJustified(
        "the rates of a state into other blocks sum to 0, so for no values of the parameters are "
        "all of them positive"
    )


def _leaving(matrix: WeightedStructure, partition: Partition) -> WeightedStructure:
    """Return the transitions into other blocks."""
    own = partition.labels[matrix.indices] == partition.labels[matrix.sources()]
    return matrix.without(np.flatnonzero(own))
