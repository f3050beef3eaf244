"""The worklist of `worklist` compiled, for the history of large rational quotients.

Weights are scaled to integers; where all sums stay below 2^62 they are added up as they are, and nothing is left to
chance.  The matrices are read as one: row ``c n + u`` of `_Transposed` holds the transitions into u of matrix c.
O(m log n) additions, about 90 bytes for each state.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.integers import intern
from lumpability.numbers.residues import fits_words
from lumpability.partition import Partition
from lumpability.refinement.kernel.arrays import (
    BLOCK,
    COUNT,
    NOTE,
    ONE,
    ZERO,
    Bools,
    Codes,
    Int32s,
    Int64s,
    Integer,
    UInt32s,
    UInt64s,
    add_to_part,
    last_slot,
    room_for_parts,
    size_of_part,
)
from lumpability.refinement.kernel.compiling import compiled, inlined
from lumpability.split_history import History
from lumpability.structure import WeightedStructure

UNTOUCHED = np.uint64(2**63)


class _Transposed(NamedTuple):
    """Transposed matrices one below the other, as compressed rows, with a weight for each code."""

    indptr: Int64s
    indices: Int32s
    codes: Codes
    weights: UInt64s


class _Blocks(NamedTuple):
    """Blocks as ranges of ``order``, whose inverse is ``place``, as in `refinable`; and all nodes and splits so far."""

    labels: Int32s
    order: Int32s
    place: Int32s
    starts: Int32s  # of each block its range
    ends: Int32s
    node_of: Int32s  # and its node in the history
    alone: Bools  # whether a state is a block: then sums do not matter
    sums: UInt64s  # of each state into the splitter; `UNTOUCHED` before and after
    touched: Int32s  # the states that go to the splitter,
    part_of: Int32s  # and their parts
    parts: UInt64s  # see `arrays`; in `_gather` NOTE becomes where a part ends
    slots: UInt32s
    heads: Int32s  # of each block its part that was found last; 0 for none
    nexts: Int32s  # of each part the one of the same block that was found before
    node_starts: Int32s  # of each node its range
    node_ends: Int32s
    node_sums: UInt64s  # after the roots, of each part its sum into the splitter
    splits: Int32s  # (n - roots, 3): (node, splitter, condition)
    first_part: Int32s  # (n - roots + 1,): of each split


def split_history(
    matrices: Sequence[WeightedStructure], initial: Partition
) -> History | Partition | None:
    """Return the splits; or the partition in which they end, if there are blocks of several states.

    None if weights are symbolic, or sums too large.

    >>> matrix = WeightedStructure.from_edges(3, [0, 1], [2, 2], [1, "3/2"])
    >>> history = split_history([matrix], Partition.of([{0, 1}, {2}]))
    >>> [history.blocks(part) for part in (2, 3)], history.sums
    ([[1], [0]], ExactArray([3/2, 1]))
    """
    found = _transposed(matrices)
    if found is None:
        return None
    transposed, denominator = found
    n, roots = initial.n, len(initial)
    blocks = _start(initial)
    count, nodes, splits = _run(roots, transposed, blocks)
    if count < n:
        return Partition(blocks.labels)
    codes, distinct = intern(blocks.node_sums[: nodes - roots].view(np.int64))
    split_node, splitter, condition = blocks.splits[:splits].T.astype(np.int64)
    return History(
        order=blocks.order.astype(np.int64),
        starts=blocks.node_starts[:nodes].astype(np.int64),
        ends=blocks.node_ends[:nodes].astype(np.int64),
        roots=roots,
        split_node=split_node,
        splitter=splitter,
        condition=condition,
        first_part=blocks.first_part[: splits + 1].astype(np.int64),
        sums=ExactArray.of_values(codes, [Fraction(x, denominator) for x in distinct.tolist()]),
    )


def _transposed(matrices: Sequence[WeightedStructure]) -> tuple[_Transposed, int] | None:
    """Return the transposed matrices as one, and the common denominator; None if sums are too large."""
    if not all(matrix.weights.is_rational for matrix in matrices):
        return None
    explicit = [matrix.explicit() for matrix in matrices]
    longest = max(int(np.diff(matrix.indptr).max(initial=0)) for matrix in explicit)
    first, *others = (matrix.transposed for matrix in explicit)
    indptr, indices, weights = first.indptr, first.indices, first.weights
    for other in others:
        indptr = np.concatenate([indptr, other.indptr[1:] + indptr[-1]])
        indices = np.concatenate([indices, other.indices])
        weights = weights.concatenate(other.weights)
    if not (weights.is_narrow and fits_words(weights, 2 * longest)):
        return None
    integers, denominator = weights.integers
    words = np.array(integers, dtype=np.int64).view(np.uint64)
    return _Transposed(indptr, indices, weights.codes, words), denominator


def _start(initial: Partition) -> _Blocks:
    """Return the blocks before the first split."""
    n, roots = initial.n, len(initial)
    most = 2 * n - roots  # nodes: every split makes one block less than parts
    bounds, order = initial.blocks.bounds, initial.blocks.members.astype(np.int32)
    place, starts, ends = np.empty((3, n), dtype=np.int32)
    node_starts, node_ends = np.empty((2, most), dtype=np.int32)
    place[order] = np.arange(n, dtype=np.int32)
    starts[:roots] = node_starts[:roots] = bounds[:-1]
    ends[:roots] = node_ends[:roots] = bounds[1:]
    parts, slots = room_for_parts(n)
    return _Blocks(
        labels=initial.labels.astype(np.int32),
        order=order,
        place=place,
        starts=starts,
        ends=ends,
        node_of=np.arange(n, dtype=np.int32),
        alone=initial.blocks.sizes[initial.labels] == 1,
        sums=np.full(n, UNTOUCHED),
        touched=np.empty(n, dtype=np.int32),
        part_of=np.empty(n, dtype=np.int32),
        parts=parts,
        slots=slots,
        heads=np.zeros(n + 1, dtype=np.int32),
        nexts=np.empty(n + 1, dtype=np.int32),
        node_starts=node_starts,
        node_ends=node_ends,
        node_sums=np.empty(most - roots, dtype=np.uint64),
        splits=np.empty((n - roots, 3), dtype=np.int32),
        first_part=np.full(n - roots + 1, roots, dtype=np.int32),
    )


@inlined
def _sum_into(
    low: Integer, high: Integer, first_row: Integer, transposed: _Transposed, blocks: _Blocks
) -> Integer:
    """Sum the weights into the splitter ``order[low:high]``; return how many states were touched."""
    indptr, indices, codes, weights = transposed
    sums, touched = blocks.sums, blocks.touched
    found = 0
    for i in range(low, high):
        row = first_row + blocks.order[i]
        for position in range(indptr[row], indptr[row + 1]):
            source = np.uint32(indices[position])
            if blocks.alone[source]:
                continue
            if sums[source] == UNTOUCHED:
                touched[found] = source
                found += 1
                sums[source] = ZERO
            sums[source] += weights[codes[position]]
    return found


@inlined
def _find_parts(touched: Integer, blocks: _Blocks) -> Integer:
    """Group touched states, unless their sum is zero, by block and sum; return how many parts there are."""
    sums = blocks.sums
    last, found = last_slot(touched), np.int64(0)
    for i in range(touched):
        state = blocks.touched[i]
        if sums[state] == ZERO:
            sums[state] = UNTOUCHED
            blocks.part_of[i] = 0
            continue
        block = np.uint64(blocks.labels[state])
        part = np.int64(add_to_part(sums[state], block, found, last, blocks.parts, blocks.slots))
        blocks.part_of[i] = part
        found = max(found, part)
    return found


@inlined
def _gather(touched: Integer, found: Integer, blocks: _Blocks) -> Integer:
    """Move the states of each part behind one another, to the end of their block; return how many blocks have parts.

    Afterwards ``touched`` lists these blocks, and of a part NOTE holds where it ends, COUNT its size.
    """
    order, place, parts = blocks.order, blocks.place, blocks.parts
    heads, nexts = blocks.heads, blocks.nexts
    for part in range(1, found + 1):
        size, block = size_of_part(part, parts, blocks.slots), np.int64(parts[part, BLOCK])
        before = heads[block]
        end = np.uint64(blocks.ends[block])
        if before != 0:
            end = parts[before, NOTE]  # where the part found before begins
        nexts[part], heads[block] = before, part
        parts[part, NOTE] = end - size
    for i in range(touched):
        part = blocks.part_of[i]
        if part > 0:
            state, there = blocks.touched[i], np.int64(parts[part, NOTE])
            parts[part, NOTE] += ONE
            here, other = place[state], order[there]
            order[there], order[here] = state, other
            place[state], place[other] = there, here
    number = 0
    for part in range(1, found + 1):
        if nexts[part] == 0:
            blocks.touched[number] = np.int64(parts[part, BLOCK])
            number += 1
    return number


@inlined
def _record_parts(block: Integer, roots: Integer, nodes: Integer, blocks: _Blocks) -> Integer:
    """Make every part of a block a node, first what does not go to the splitter; return the number of nodes."""
    sums, parts = blocks.sums, blocks.parts
    part = blocks.heads[block]
    blocks.heads[block] = 0
    start, low = np.int64(blocks.starts[block]), np.int64(parts[part, NOTE] - parts[part, COUNT])
    if start < low:
        blocks.node_starts[nodes], blocks.node_ends[nodes] = start, low
        blocks.node_sums[nodes - roots] = ZERO
        nodes += 1
    while part != 0:
        end = np.int64(parts[part, NOTE])
        low = end - np.int64(parts[part, COUNT])
        blocks.node_starts[nodes], blocks.node_ends[nodes] = low, end
        blocks.node_sums[nodes - roots] = sums[blocks.order[low]]
        for i in range(low, end):
            sums[blocks.order[i]] = UNTOUCHED
        nodes += 1
        part = blocks.nexts[part]
    return nodes


@inlined
def _renumber(
    block: Integer, count: Integer, nodes: Integer, nodes_after: Integer, blocks: _Blocks
) -> Integer:
    """Let the largest part keep the number of the block, give others new ones; return their count."""
    starts, ends, order = blocks.node_starts, blocks.node_ends, blocks.order
    largest = nodes
    for node in range(nodes + 1, nodes_after):
        if ends[node] - starts[node] > ends[largest] - starts[largest]:
            largest = node
    for node in range(nodes, nodes_after):
        number = block
        if node != largest:
            number = count
            count += 1
            for i in range(starts[node], ends[node]):
                blocks.labels[order[i]] = number
        blocks.starts[number], blocks.ends[number] = starts[node], ends[node]
        blocks.node_of[number] = node
        if ends[node] - starts[node] == 1:
            blocks.alone[order[starts[node]]] = True
    return count


@compiled
def _run(
    roots: Integer, transposed: _Transposed, blocks: _Blocks
) -> tuple[Integer, Integer, Integer]:
    """Run the worklist until all blocks are single states or have been splitters.

    Returns the numbers of blocks, of nodes and of splits.
    """
    n = len(blocks.order)
    conditions = (len(transposed.indptr) - 1) // n
    count, nodes, splits, splitter = roots, roots, 0, 0
    while splitter < count < n:
        node = blocks.node_of[splitter]
        low, high = blocks.starts[splitter], blocks.ends[splitter]
        for condition in range(conditions):
            touched = _sum_into(low, high, condition * n, transposed, blocks)
            found = _find_parts(touched, blocks)
            for i in range(_gather(touched, found, blocks)):
                block = blocks.touched[i]
                after = _record_parts(block, roots, nodes, blocks)
                if after > nodes + 1:
                    split = blocks.splits[splits]
                    split[0], split[1], split[2] = blocks.node_of[block], node, condition
                    splits += 1
                    blocks.first_part[splits] = after
                    count = _renumber(block, count, nodes, after, blocks)
                    nodes = after
        splitter += 1
    return count, nodes, splits
