"""Laws of refinement, for functions from a structure and a partition to a partition.

A refiner takes a `WeightedStructure` and a `Partition` to refine and returns the coarsest stable partition that
refines it, as anything that `Partition.of` takes.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st

from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition
from lumpability.quotient import collapse
from lumpability.structure import WeightedStructure
from lumpability.testing.assertions import assert_same_partition
from lumpability.testing.definitions import all_partitions, find_unstable, is_stable
from lumpability.testing.laws.law import Draw, Law, law
from lumpability.testing.strategies import (
    lumpable_chains,
    near_lumpable_chains,
    partitions,
    permutations_of,
    structures,
)
from lumpability.testing.strategies.values import hostile_pairs, twelve_rates

Refiner = Callable[[WeightedStructure, Partition], Any]

_PAIGE_TARJAN = "Paige and Tarjan 1987; Valmari and Franceschinis 2010"
_FLOATS = "theory of exact lumping, section 1: sums of floats"
_MOST_MERGED = 6

REFINER_LAWS: dict[str, Law] = {}
"""Laws of refiners by name."""


def _refined(refine: Refiner, structure: WeightedStructure, within: Partition) -> Partition:
    return Partition.of(refine(structure, within), states=structure.n)


@law(REFINER_LAWS, _PAIGE_TARJAN, structures(), replaceable=True)
def refines_the_given_partition(
    refine: Refiner, structure: WeightedStructure, draw: Draw, variant: str
) -> None:
    """No block has states of two blocks of the given partition."""
    found = _refined(refine, structure, structure.within)
    for block in found.blocks:
        given = structure.within.labels[block]
        assert (given == given[0]).all(), f"the block {block.tolist()} mixes blocks to refine"


@law(REFINER_LAWS, _PAIGE_TARJAN, structures(), replaceable=True)
def stable(refine: Refiner, structure: WeightedStructure, draw: Draw, variant: str) -> None:
    """States of one block have equal sums of weights into every block: M V = V M^."""
    found = _refined(refine, structure, structure.within)
    witness = find_unstable(structure, found)
    assert witness is None, _unstable(found, witness)


def _unstable(found: Partition, witness: Any) -> str:
    members = found.blocks[witness.block].tolist()
    return (
        f"states {witness.state} and {witness.other} share a block of {found}, but their weights into "
        f"{members} sum to {witness.total} and to {witness.other_total}"
    )


@law(REFINER_LAWS, _PAIGE_TARJAN, structures(max_states=6), replaceable=True)
def coarsest(refine: Refiner, structure: WeightedStructure, draw: Draw, variant: str) -> None:
    """No stable partition that refines the given one is coarser: all ways to merge blocks are tried."""
    found = _refined(refine, structure, structure.within)
    if len(found) > _MOST_MERGED:
        return
    for merge in all_partitions(len(found)):
        coarser = Partition(merge.labels[found.labels])
        if len(coarser) < len(found) and coarser.refines(structure.within):
            assert not is_stable(structure, coarser), f"{found} was found, and {coarser} is stable"


@law(REFINER_LAWS, _PAIGE_TARJAN, structures(), replaceable=True)
def idempotent(refine: Refiner, structure: WeightedStructure, draw: Draw, variant: str) -> None:
    """Refining the answer changes nothing."""
    found = _refined(refine, structure, structure.within)
    assert_same_partition(_refined(refine, structure, found), found)


@law(REFINER_LAWS, _PAIGE_TARJAN, structures(), replaceable=True)
def monotone(refine: Refiner, structure: WeightedStructure, draw: Draw, variant: str) -> None:
    """A coarser partition to refine does not give an answer that is finer anywhere."""
    fine = structure.within.meet(draw(partitions(states=structure.n)))
    coarse_answer = _refined(refine, structure, structure.within)
    fine_answer = _refined(refine, structure, fine)
    assert fine_answer.refines(coarse_answer), (
        f"from {fine} came {fine_answer}, from the coarser {structure.within} came {coarse_answer}"
    )


@law(REFINER_LAWS, _PAIGE_TARJAN, structures(), replaceable=True)
def equivariant(refine: Refiner, structure: WeightedStructure, draw: Draw, variant: str) -> None:
    """Renumbering the states renumbers the answer."""
    renumbered, order = draw(permutations_of(structure))
    found = _refined(refine, structure, structure.within)
    assert_same_partition(_refined(refine, renumbered, renumbered.within), found.restrict(order))


@law(REFINER_LAWS, "units of time are arbitrary", structures(), replaceable=True)
def unit_of_time(refine: Refiner, structure: WeightedStructure, draw: Draw, variant: str) -> None:
    """Multiplying all weights by one number, from 1e-12 to 1e12, changes nothing."""
    factor = Fraction(10) ** draw(st.integers(-12, 12))
    scaled = WeightedStructure.from_rows(
        structure.indptr,
        structure.indices,
        structure.weights.map(lambda weight: weight * factor),
        within=structure.within,
    )
    found = _refined(refine, structure, structure.within)
    again = _refined(refine, scaled, scaled.within)
    assert again == found, f"{found}, but with all weights times {factor} {again}"


@law(REFINER_LAWS, _FLOATS, st.permutations(range(12)))
def order_of_rates(refine: Refiner, order: list[int], draw: Draw, variant: str) -> None:
    """Two states with the same twelve rates into one block, in any order, stay together."""
    rates = draw(twelve_rates())
    targets = np.arange(2, 14)
    within = Partition(np.append([0, 0], np.ones(12, dtype=np.int64)))
    structure = WeightedStructure.from_edges(
        14,
        np.repeat([0, 1], 12),
        np.concatenate([targets, targets[order]]),
        ExactArray.read([*rates, *rates])[0],
        within=within,
    )
    found = _refined(refine, structure, within)
    assert len(found) == 2, (
        f"sums of the rates {', '.join(map(str, rates))} differ when these are given to state 1 in the "
        f"order {order}"
    )


@st.composite
def _near_misses(draw: st.DrawFn) -> tuple[WeightedStructure, Partition]:
    epsilon = Fraction(1, 10 ** draw(st.integers(1, 12)))
    chain, partition = draw(near_lumpable_chains(kind="bisimulation", epsilon=epsilon))
    return chain.matrix.starting_from(partition), partition


@law(REFINER_LAWS, _FLOATS, _near_misses())
def close_is_not_equal(
    refine: Refiner, pair: tuple[WeightedStructure, Partition], draw: Draw, variant: str
) -> None:
    """Sums that differ by any amount, down to 1e-12, are different."""
    structure, partition = pair
    found = _refined(refine, structure, partition)
    witness = find_unstable(structure, found)
    assert witness is None, _unstable(found, witness)


@law(REFINER_LAWS, "different numbers may have equal hashes", hostile_pairs())
def hashes_are_not_sums(
    refine: Refiner, pair: tuple[Fraction, Fraction], draw: Draw, variant: str
) -> None:
    """Different sums are told apart, even p/q from q/p, and numbers equal modulo 2^k or as floats."""
    first, second = pair
    turned = draw(st.booleans())  # the same two sums, into other blocks
    rows = [(first, second), (second, first)] if turned else [(first, first), (second, second)]
    parts = draw(st.sampled_from([(Fraction(1),), (Fraction(1, 3), Fraction(2, 3))]))
    edges = [
        (state, 2 + 2 * block + place, total * part)
        for state, totals in enumerate(rows)
        for block, total in enumerate(totals)
        for place, part in enumerate(parts)
    ]
    sources, targets, weights = zip(*edges, strict=True)
    within = Partition([0, 0, 1, 1, 2, 2])
    structure = WeightedStructure.from_edges(
        6, sources, targets, ExactArray.read(list(weights))[0], within=within
    )
    found = _refined(refine, structure, within)
    assert len(found) == 4, f"sums {first} and {second} were taken to be equal: {found}"


@law(
    REFINER_LAWS,
    _PAIGE_TARJAN,
    lumpable_chains(kind="bisimulation", max_blocks=4, max_block_size=4).map(
        lambda pair: (pair[0].matrix, pair[1])
    ),
)
def planted_blocks(
    refine: Refiner, pair: tuple[WeightedStructure, Partition], draw: Draw, variant: str
) -> None:
    """A partition that is stable by construction refines the answer, from any coarser start."""
    structure, planted = pair
    within = Partition(draw(partitions(states=len(planted))).labels[planted.labels])
    found = _refined(refine, structure, within)
    assert planted.refines(found), f"{planted} was built in and refines {within}; found {found}"


@law(REFINER_LAWS, "two quotients in a row are one", structures(), replaceable=True)
def quotient_of_quotient(
    refine: Refiner, structure: WeightedStructure, draw: Draw, variant: str
) -> None:
    """Refining in two steps, a finer start and then its quotient, gives the answer of one step."""
    fine = structure.within.meet(draw(partitions(states=structure.n)))
    first = _refined(refine, structure, fine)
    smaller = collapse(structure.starting_from(structure.within), first)
    start = Partition(structure.within.labels[first.representatives])
    second = _refined(refine, smaller.starting_from(start), start)
    at_once = _refined(refine, structure, structure.within)
    assert_same_partition(Partition(second.labels[first.labels]), at_once)


@law(REFINER_LAWS, "blocks are numbered by their first members", structures(), replaceable=True)
def canonical_numbering(
    refine: Refiner, structure: WeightedStructure, draw: Draw, variant: str
) -> None:
    """A `Partition` that is returned numbers its blocks by first member."""
    answer = refine(structure, structure.within)
    if isinstance(answer, Partition):
        expected = Partition(answer.labels).labels.tolist()
        assert answer.labels.tolist() == expected, f"{answer.labels.tolist()}, not {expected}"
