"""The identity of a kind, checked on the model itself: states of one block have equal sums.

With V the indicator of the partition, M V = V M^ says that for states s, t of one block and every block C
the sums M[s, C] and M[t, C] are equal, and M^ holds them.  D M = M^ D says the same of the transposed matrix.
For the generator of a CTMC the sums into a state's own block need not be compared: every row sums to zero, so
they agree if all other sums do.  For proportional lumpability the rates of s into other blocks are kappa(s)
times those of the block's first member.

Sums are exact: integers over a common denominator, in 64 bits if a bound on every sum shows that they
fit, else in several limbs of 30 bits (`lumpability.numbers.integers`); with parameters, rational functions in
their normal form.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any, NoReturn

import numpy as np

from lumpability.certificate.digest import ChainParts
from lumpability.certificate.kinds import ClaimedKind
from lumpability.certificate.respected import with_earned_rewards
from lumpability.certificate.verification import Contradiction
from lumpability.numbers.exact_array import Exact, ExactArray
from lumpability.numbers.integers import intern
from lumpability.numbers.parameters import in_symbols, to_expression
from lumpability.numbers.rationals import shown
from lumpability.numbers.sparse_sums import sum_entries
from lumpability.partition import Partition
from lumpability.structure import WeightedStructure

IntArray = np.ndarray[Any, np.dtype[np.int64]]

_CHUNK = 1 << 22


def collapsed_conditions(
    parts: ChainParts, kind: ClaimedKind, partition: Partition, kappa: ExactArray | None
) -> list[WeightedStructure]:
    """Check the identity; return the matrices on blocks whose sums it compares.

    Raises `Contradiction` if two states of one block have different sums; names them.

    - returns list of WeightedStructure, each of k states: row B holds the sums of the first member of B; one
      matrix, for "strict" two
    """
    own = kind.keeps_time(parts.time)
    found = []
    if kind.outgoing:
        sums = _collapsed(parts.matrix, partition, own=own, kappa=kappa)
        found.append(sums if own or kind.scaled else replace(sums, closed=True).explicit())
    if kind.incoming:
        incoming = replace(parts.matrix, closed=not own).transposed
        found.append(_collapsed(incoming, partition, own=True, where="from"))
    return found


def _collapsed(
    matrix: WeightedStructure,
    partition: Partition,
    *,
    own: bool,
    kappa: ExactArray | None = None,
    where: str = "into",
) -> WeightedStructure:
    """Return the sums of first members into blocks; every other member must have the same."""
    if len(partition) == matrix.n:  # every state is its own block, with the same number
        return matrix if own else matrix.without_diagonal()
    first = partition.representatives
    expected = _sums(matrix, partition, first, own)
    alone = np.zeros(matrix.n, dtype=bool)
    alone[first] = True
    others = np.flatnonzero(~alone)
    for low, high in portions(np.diff(matrix.indptr)[others]):
        states = others[low:high]
        found = _sums(matrix, partition, states, own)
        factors = None if kappa is None else kappa.take(states)
        wrong = _first_difference(found, expected, partition.labels[states], factors)
        if wrong is not None:
            state = int(states[wrong])
            block = int(partition.labels[state])
            factor = Fraction(1) if kappa is None else kappa[state]
            pair = int(first[block]), state
            _refuse(
                dict(found.row(wrong)), dict(expected.row(block)), factor, pair, f"{where} block"
            )
    return expected


def _sums(
    matrix: WeightedStructure, partition: Partition, states: Any, own: bool
) -> WeightedStructure:
    """Return the sums of some rows over blocks, one row for each state, one column for each block."""
    owner, positions = matrix.entries_of(states)
    columns = partition.labels[matrix.indices[positions]]
    if not own:
        leaving = columns != partition.labels[states][owner]
        owner, columns, positions = owner[leaving], columns[leaving], positions[leaving]
    weights = ExactArray(matrix.weights.codes[positions], matrix.weights.values)
    rows = sum_entries((len(states), len(partition)), owner, columns, weights)
    return WeightedStructure.without_zeros(*rows, None)


def _first_difference(
    found: WeightedStructure, expected: WeightedStructure, blocks: Any, factors: ExactArray | None
) -> int | None:
    """Return the first row that is not (the factor times) the row of its block."""
    lengths = np.diff(expected.indptr)[blocks]
    wrong = np.flatnonzero(np.diff(found.indptr) != lengths)
    upto = (
        int(wrong[0]) if len(wrong) else len(blocks)
    )  # the rows before can be compared entry by entry
    owner, positions = expected.entries_of(blocks[:upto])
    weights = ExactArray(expected.weights.codes[positions], expected.weights.values)
    if factors is not None:
        weights = weights.combine(factors.take(owner), operator.mul)
    number = {value: code for code, value in enumerate(weights.values)}
    table = np.array([number.get(value, -1) for value in found.weights.values], dtype=np.int64)
    same = found.indices[: len(owner)] == expected.indices[positions]
    same &= table[found.weights.codes[: len(owner)]] == weights.codes
    different = owner[~same]
    if len(different):
        return int(different[0])
    return upto if len(wrong) else None


def _refuse(
    mine: dict[int, Exact],
    theirs: dict[int, Exact],
    factor: Exact,
    states: tuple[int, int],
    where: str,
) -> NoReturn:
    """Name the block into which the sums of a state are not (the factor times) those of the first member."""
    zero = Fraction(0)
    into = next(
        c for c in sorted({*mine, *theirs}) if mine.get(c, zero) != factor * theirs.get(c, zero)
    )
    scaled = "" if factor == 1 else f", where kappa is {shown(factor)}"
    raise Contradiction(
        "partition",
        f"states {states[0]} and {states[1]} share a block, but their sums {where} {into} are "
        f"{shown(theirs.get(into, zero))} and {shown(mine.get(into, zero))}{scaled}",
        states,
    )


def quotient_parts(
    parts: ChainParts,
    kind: ClaimedKind,
    partition: Partition,
    kappa: ExactArray | None,
    matrices: list[WeightedStructure],
) -> ChainParts:
    """Return the quotient: its matrix, and the labels and rewards that are constant on blocks.

    With factors, time in the quotient is not time in the chain, and rewards have no meaning.
    """
    first, labels = partition.representatives, partition.labels

    def constant(codes: Any) -> bool:
        return bool(np.array_equal(codes[first][labels], codes))

    matrix = matrices[0] if kind.outgoing else _redistributed(matrices[0], partition)
    if not kind.keeps_time(parts.time):
        matrix = matrix.without_diagonal()
        parts = with_earned_rewards(parts)
    same_time = kappa is None or all(factor == 1 for factor in kappa.values)
    return ChainParts(
        parts.time,
        matrix,
        {name: mask[first] for name, mask in parts.labels.items() if constant(mask)},
        {
            name: (held and held.take(first), left and left.take(first))
            for name, (held, left) in parts.rewards.items()
            if same_time and all(constant(part.codes) for part in (held, left) if part is not None)
        },
        None if parts.initial is None else _summed(parts.initial, partition),
    )


def _redistributed(incoming: WeightedStructure, partition: Partition) -> WeightedStructure:
    """Return M^[B, C] = |C| / |B| times the sum from B into a member of C, which row C holds."""
    codes, sizes = intern(partition.blocks.sizes)
    outgoing = incoming.transposed
    pairs = codes[outgoing.indices].astype(np.int64) * len(sizes) + codes[outgoing.sources()]
    used = np.flatnonzero(np.bincount(pairs, minlength=len(sizes) ** 2))
    number = np.zeros(len(sizes) ** 2, dtype=np.int64)
    number[used] = np.arange(len(used))
    ratios = [Fraction(*sizes[[*divmod(pair, len(sizes))]].tolist()) for pair in used.tolist()]
    by = ExactArray.of_values(number[pairs], ratios)
    return replace(outgoing, weights=outgoing.weights.combine(by, operator.mul))


def _summed(vector: ExactArray, partition: Partition) -> ExactArray:
    blocks = partition.blocks
    return vector.take(blocks.members).segment_sums(blocks.bounds)


def like(array: ExactArray, weights: ExactArray, field: str) -> ExactArray:
    """Return the numbers of a certificate's field in the field of the model's weights.

    Equal rational functions are equal objects only in one field.  Raises `Contradiction` if a number mentions
    a parameter that the model does not have.
    """
    if weights.is_rational:
        if not array.is_rational:
            raise Contradiction(field, "it has parameters, and the model has none")
        return array
    functions = weights.values[0].field
    try:
        elements = [
            functions.from_expr(in_symbols(to_expression(value), functions.symbols))
            for value in array.values
        ]
    except ValueError:
        raise Contradiction(field, "it has a parameter that the model does not have") from None
    return ExactArray.of_values(array.codes, elements)


def portions(work: IntArray) -> Iterator[tuple[int, int]]:
    """Yield consecutive ranges of items of about four million steps each, at least one item in each."""
    done = np.cumsum(work)
    first = 0
    while first < len(work):
        before = int(done[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(done, before + _CHUNK, side="right")))
        yield first, last
        first = last
