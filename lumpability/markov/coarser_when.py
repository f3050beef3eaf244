"""Parameter values at which a symbolic chain lumps further than for all values.

The lumping of a parametric chain holds for all values of the parameters.  At special values, such as a = b,
it may be coarser.  To find these, follow the refinement by its definition on the quotient.  Take the first
round that separates two blocks that the coarser lumping keeps together.  At the special values all sums in
which they differ must agree; so an irreducible factor of the greatest common divisor of the numerators of
these differences vanishes there.  Each such factor that is linear in a parameter is solved for it and
substituted in the chain, and the chain is lumped again, respecting the same.  So every result has been
computed, and no single equation of this form is missed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

from lumpability.errors import InvalidInput, SizeLimit
from lumpability.markov.chains import MarkovChain
from lumpability.markov.kinds.kind import Kind
from lumpability.numbers.exact_array import Exact
from lumpability.partition import Partition
from lumpability.quotient import collapse
from lumpability.refinement import NormalForm
from lumpability.refinement.definition import block_sums, rounds
from lumpability.structure import WeightedStructure

_MOST_PAIRS = 20_000


@dataclass(frozen=True)
class SpecialCase:
    """An equation between parameters under which the coarsest lumping has fewer blocks.

    Attributes
    ----------
    equation : sympy.Eq
        A parameter, and the expression that it must equal.
    blocks : int
        Blocks of the coarsest lumping under this equation.
    """

    equation: Any
    blocks: int

    def __str__(self) -> str:
        return f"{self.blocks} blocks if {self.equation.lhs} = {self.equation.rhs}"


def special_cases(
    chain: MarkovChain,
    kind: Kind,
    respected: Partition,
    partition: Partition,
    *,
    max_blocks: int = 300,
) -> list[SpecialCase]:
    """Return the equations, linear in a parameter, under which the lumping is coarser.

    Raises `SizeLimit` for more than `max_blocks` blocks, or too many pairs of them.

    - chain: without parameters the answer is empty
    - respected: the initial partition of all lumpings
    - partition: the generic coarsest lumping
    - max_blocks: refuse more blocks, because factoring their differences would take long
    """
    if chain.is_rational:
        return []
    if len(partition) > max_blocks:
        raise SizeLimit(
            f"{len(partition)} blocks: special cases are sought for at most {max_blocks}; raise "
            "max_blocks to wait longer",
            blocks=len(partition),
        )
    start = Partition(respected.labels[partition.representatives])
    matrices = [collapse(c.matrix.explicit(), partition) for c in kind.conditions(chain)]
    equations: dict[Any, None] = {}
    for factor in _factors(matrices, start, kind.normal):
        equation = _solved(factor)
        if equation is not None:
            equations[equation] = None
    found = []
    for equation in equations:
        blocks = _blocks_under(equation, chain, kind, respected)
        if blocks is not None and blocks < len(partition):
            found.append(SpecialCase(equation, blocks))
    return sorted(found, key=lambda case: (case.blocks, str(case.equation)))


def _blocks_under(
    equation: Any, chain: MarkovChain, kind: Kind, respected: Partition
) -> int | None:
    """Lump again; return None if under the equation some rate is not positive."""
    try:
        special = chain.subs({equation.lhs: equation.rhs})
    except InvalidInput:  # a rate would be negative, or a denominator zero
        return None
    return len(kind.coarsest(kind.conditions(special), respected).partition)


def _factors(
    matrices: list[WeightedStructure], start: Partition, normal: NormalForm
) -> Iterator[Any]:
    """Yield irreducible polynomials that keep two blocks together where they vanish."""
    seen: set[Any] = set()
    pairs = 0
    for partition, refined in pairwise(rounds(matrices, start, normal)):
        for matrix in matrices:
            forms = [
                normal.of(block_sums(matrix, partition, s), int(partition.labels[s]))
                for s in range(matrix.n)
            ]
            for parts in _parts(partition, refined):
                for s, t in combinations(parts, 2):
                    pairs += 1
                    if pairs > _MOST_PAIRS:
                        raise SizeLimit(
                            f"more than {_MOST_PAIRS} pairs of blocks would have to be compared",
                            pairs=pairs,
                        )
                    for factor in _vanishing(forms[s], forms[t]):
                        if factor not in seen:
                            seen.add(factor)
                            yield factor


def _parts(partition: Partition, refined: Partition) -> list[list[int]]:
    """Return the first members of the parts of each block that was split."""
    parts: dict[int, list[int]] = {}
    for first in refined.representatives.tolist():
        parts.setdefault(int(partition.labels[first]), []).append(first)
    return [firsts for firsts in parts.values() if len(firsts) > 1]


def _vanishing(first: dict[int, Exact], second: dict[int, Exact]) -> list[Any]:
    """Return the irreducible factors that the numerators of all differences share, if they can vanish."""
    common: Any = None
    for block in {*first, *second}:
        difference = first.get(block, 0) - second.get(block, 0)
        if difference == 0:
            continue
        numerator = difference.numer
        common = numerator if common is None else common.gcd(numerator)
        if not _can_vanish(common):
            return []
    if common is None:
        return []
    return [factor for factor, _ in common.factor_list()[1] if _can_vanish(factor)]


def _can_vanish(polynomial: Any) -> bool:
    """Whether a polynomial can vanish at positive parameters: coefficients of both signs occur."""
    signs = {coefficient > 0 for coefficient in polynomial.coeffs()}
    return len(signs) == 2


def _solved(polynomial: Any) -> Any:
    """Solve for the last parameter that occurs linearly; None if there is none."""
    import sympy

    expression = polynomial.as_expr()
    for symbol in sorted(expression.free_symbols, key=str, reverse=True):
        parts = sympy.Poly(expression, symbol)
        if parts.degree() == 1:
            slope, constant = parts.all_coeffs()
            return sympy.Eq(symbol, sympy.factor(-constant / slope))
    return None
