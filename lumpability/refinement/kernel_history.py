"""The worklist of `worklist` compiled, for the history of large rational quotients.

Weights are scaled to integers and reduced modulo primes whose product exceeds twice any sum, mostly a
single one, so that the residues of a sum determine it (Chinese remainder theorem): equal residues are
equal sums, and nothing is left to chance.  Where there are several residues, states are grouped by a
hash of them, groups are compared in full, and a collision calls for another hash.

The matrices are read as one: row ``c n + u`` of `Incoming` holds the transitions into u of matrix c.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from lumpability.errors import LumpabilityError
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.integers import intern, primes_beyond, residues
from lumpability.partition import Partition
from lumpability.refinement.kernel_compile import compiled, inlined
from lumpability.refinement.kernel_distribute import group_by_key
from lumpability.refinement.kernel_field import add_modulo, subtract_modulo
from lumpability.split_history import History
from lumpability.structure import WeightedStructure

__all__ = ["split_history"]

_ATTEMPTS = 16
UNTOUCHED = np.uint64(2**64 - 1)
ZERO = np.uint64(0)

Array = np.ndarray[Any, Any]


class Incoming(NamedTuple):
    """Transposed matrices one below the other.

    ``table`` uint64 (k, primes) holds the residues of the distinct weights.  If ``closed``, diagonal
    entries are ignored, and each state's total weight into others, ``totals`` (n, primes), is taken from
    its sum into a splitter that it is in.
    """

    indptr: Array
    indices: Array
    codes: Array
    table: Array
    primes: Array
    closed: bool
    totals: Array


class Blocks(NamedTuple):
    """Blocks as ranges of ``order`` (its inverse is ``place``), as in `refinable`.

    ``moved`` counts the touched members at the end of a block's range; ``alone`` says of states whether
    they are a block, for then sums do not matter.  ``sums`` has a row of residues for each state, whose
    first is `UNTOUCHED` before and after each splitter.  The rest is room for grouping.
    """

    order: Array
    place: Array
    block_of: Array
    starts: Array
    ends: Array
    node_of: Array
    moved: Array
    alone: Array
    sums: Array
    touched: Array
    touched_blocks: Array
    keys: Array
    spare_keys: Array
    spare_order: Array
    counters: Array


class Record(NamedTuple):
    """What `History` needs: ranges of nodes, residues of the sum of each part, splits.

    A row of ``splits`` is the node, the splitter and the condition; ``first_part`` is as in `History`.
    """

    node_starts: Array
    node_ends: Array
    values: Array
    splits: Array
    first_part: Array


def split_history(matrices: Sequence[WeightedStructure], initial: Partition) -> History | Partition:
    """Return the splits; or the partition in which they end, if there are blocks of several states.

    Parameters
    ----------
    matrices : sequence of WeightedStructure
        With rational weights.
    initial : Partition

    Notes
    -----
    O(m log n).  Memory: the incoming transitions and about 150 bytes for each state.

    Examples
    --------
    >>> matrix = WeightedStructure.from_edges(3, [0, 1], [2, 2], [1, "3/2"])
    >>> history = split_history([matrix], Partition.of([{0, 1}, {2}]))
    >>> [history.blocks(part) for part in (2, 3)], history.sums
    ([[1], [0]], ExactArray([3/2, 1]))
    """
    if len(matrices) > 1:
        matrices = [matrix.explicit() for matrix in matrices]
    incoming, denominator = _incoming(matrices)
    roots = len(initial)
    for seed in range(_ATTEMPTS):
        blocks, record = _start(initial, len(incoming.primes))
        count, nodes, splits = _run(roots, np.uint64(seed), incoming, blocks, record)
        if count < 0:
            continue
        if count < initial.n:
            return Partition(blocks.block_of)
        values = _exact(record.values[: nodes - roots], incoming.primes, denominator)
        split_node, splitter, condition = record.splits[:splits].T.astype(np.int64)
        return History(
            order=blocks.order.astype(np.int64),
            starts=record.node_starts[:nodes].astype(np.int64),
            ends=record.node_ends[:nodes].astype(np.int64),
            roots=roots,
            split_node=split_node,
            splitter=splitter,
            condition=condition,
            first_part=record.first_part[: splits + 1].astype(np.int64),
            sums=values,
        )
    raise LumpabilityError(f"internal error: {_ATTEMPTS} hashes gave collisions; please report it")


def _incoming(matrices: Sequence[WeightedStructure]) -> tuple[Incoming, int]:
    """Return the transposed matrices as one, modulo enough primes, and the common denominator."""
    closed = matrices[0].closed
    plain = [replace(matrix, closed=False) for matrix in matrices]
    first, *others = (matrix.transposed for matrix in plain)
    indptr, indices, weights = first.indptr, first.indices, first.weights
    for other in others:
        indptr = np.concatenate([indptr, other.indptr[1:] + indptr[-1]])
        indices = np.concatenate([indices, other.indices])
        weights = weights.concatenate(other.weights)
    integers, denominator = weights.integers
    longest = max(int(np.diff(matrix.indptr).max(initial=0)) for matrix in plain)
    bound = max(map(abs, integers), default=0) * longest
    primes = list(primes_beyond(2 * bound + 1))
    table = np.stack([residues(integers, p) for p in primes], axis=1)
    incoming = Incoming(
        indptr,
        indices,
        weights.codes,
        table,
        np.array(primes, dtype=np.uint64),
        closed,
        np.zeros((first.n if closed else 0, len(primes)), dtype=np.uint64),
    )
    if closed:
        _add_totals(incoming)
    return incoming, denominator


def _start(initial: Partition, primes: int) -> tuple[Blocks, Record]:
    n, roots = initial.n, len(initial)
    bounds, order = initial.blocks.bounds, initial.blocks.members.astype(np.int32)
    place = np.empty(n, dtype=np.int32)
    place[order] = np.arange(n, dtype=np.int32)
    starts, ends = np.empty(n, dtype=np.int32), np.empty(n, dtype=np.int32)
    starts[:roots], ends[:roots] = bounds[:-1], bounds[1:]
    most = 2 * n - roots  # every split makes one block less than parts
    node_starts, node_ends = np.empty(most, dtype=np.int32), np.empty(most, dtype=np.int32)
    node_starts[:roots], node_ends[:roots] = bounds[:-1], bounds[1:]
    blocks = Blocks(
        order=order,
        place=place,
        block_of=initial.labels.astype(np.int32),
        starts=starts,
        ends=ends,
        node_of=np.arange(n, dtype=np.int32),
        moved=np.zeros(n, dtype=np.int32),
        alone=initial.blocks.sizes[initial.labels] == 1,
        sums=np.full((n, primes), UNTOUCHED),
        touched=np.empty(n, dtype=np.int32),
        touched_blocks=np.empty(n, dtype=np.int32),
        keys=np.empty(n, dtype=np.uint64),
        spare_keys=np.empty(n, dtype=np.uint64),
        spare_order=np.empty(n, dtype=np.int32),
        counters=np.empty(n // 2 + 1, dtype=np.int32),
    )
    first_part = np.empty(n - roots + 1, dtype=np.int32)
    first_part[0] = roots
    record = Record(
        node_starts,
        node_ends,
        np.empty((most - roots, primes), dtype=np.uint64),
        np.empty((n - roots, 3), dtype=np.int32),
        first_part,
    )
    return blocks, record


def _exact(values: Array, primes: Array, denominator: int) -> ExactArray:
    """Return the rationals that rows of residues stand for: numbers of least absolute value."""
    codes, distinct = intern(values[:, 0])
    integers, product = distinct.tolist(), int(primes[0])
    for column, p in enumerate(primes.tolist()[1:], start=1):
        other_codes, others = intern(values[:, column])
        codes, pairs = intern(codes.astype(np.int64) * len(others) + other_codes)
        inverse = pow(product, -1, p)
        integers = [
            x + product * ((int(others[pair % len(others)]) - x) * inverse % p)
            for pair in pairs.tolist()
            for x in [integers[pair // len(others)]]
        ]
        product *= p
    signed = (x if 2 * x < product else x - product for x in integers)
    return ExactArray.of_values(codes, [Fraction(x, denominator) for x in signed])


@compiled
def _add_totals(incoming: Any) -> None:
    """Sum the weights from every state to others."""
    indptr, indices, codes, table, primes, _, totals = incoming
    for target in range(len(indptr) - 1):
        for position in range(indptr[target], indptr[target + 1]):
            source = indices[position]
            if source != target:
                for j in range(len(primes)):
                    weight = table[codes[position], j]
                    totals[source, j] = add_modulo(totals[source, j], weight, primes[j])


@inlined
def _hashed(residues: Any, seed: Any) -> Any:
    """A hash of residues that is one to one where there is just one."""
    z = seed
    for j in range(len(residues)):
        z = (z ^ residues[j]) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return z


@compiled
def _sum_into(low: Any, high: Any, first_row: Any, incoming: Any, blocks: Any) -> Any:
    """Sum the weights into the states ``order[low:high]``; return how many states were touched."""
    indptr, indices, codes, table, primes, closed, totals = incoming
    order, alone, sums, touched = blocks.order, blocks.alone, blocks.sums, blocks.touched
    found = 0
    for i in range(low, high):
        target = order[i]
        row = first_row + target
        for position in range(indptr[row], indptr[row + 1]):
            source = np.uint32(indices[position])
            if alone[source] or (closed and source == target):
                continue
            code = codes[position]
            if sums[source, 0] == UNTOUCHED:
                touched[found] = source
                found += 1
                for j in range(len(primes)):
                    sums[source, j] = table[code, j]
            else:
                for j in range(len(primes)):
                    sums[source, j] = add_modulo(sums[source, j], table[code, j], primes[j])
        if closed and not alone[target]:
            if sums[target, 0] == UNTOUCHED:
                touched[found] = target
                found += 1
                for j in range(len(primes)):
                    sums[target, j] = ZERO
            for j in range(len(primes)):
                sums[target, j] = subtract_modulo(sums[target, j], totals[target, j], primes[j])
    return found


@compiled
def _gather(found: Any, blocks: Any) -> Any:
    """Move touched states, unless their sum is zero, to the end of their block; count the blocks."""
    order, place, block_of, ends = blocks.order, blocks.place, blocks.block_of, blocks.ends
    moved, sums, touched = blocks.moved, blocks.sums, blocks.touched
    number = 0
    for i in range(found):
        state = touched[i]
        nonzero = ZERO
        for j in range(sums.shape[1]):
            nonzero |= sums[state, j]
        if nonzero == ZERO:
            sums[state, 0] = UNTOUCHED
            continue
        block = block_of[state]
        if moved[block] == 0:
            blocks.touched_blocks[number] = block
            number += 1
        moved[block] += 1
        there, here = ends[block] - moved[block], place[state]
        other = order[there]
        order[there], order[here] = state, other
        place[state], place[other] = there, here
    return number


@compiled
def _group(middle: Any, end: Any, seed: Any, blocks: Any) -> None:
    """Bring touched states with equal sums together, keeping the key of each in ``keys``."""
    order, place, keys = blocks.order, blocks.place, blocks.keys
    same = True
    for i in range(middle, end):
        keys[i] = _hashed(blocks.sums[order[i]], seed)
        same = same and keys[i] == keys[middle]
    if not same:
        group_by_key(
            np.int64(middle), np.int64(middle), np.int64(end - middle),
            order, keys, blocks.spare_order, blocks.spare_keys, blocks.counters,
        )  # fmt: skip
        for i in range(middle, end):
            place[order[i]] = i


@compiled
def _record_parts(
    start: Any, middle: Any, end: Any, roots: Any, nodes: Any, blocks: Any, record: Any
) -> Any:
    """Make every group of a block a node; return the new number of nodes, or -1 after a collision.

    The states from `middle` on were touched, and are not so any more.
    """
    order, keys, sums = blocks.order, blocks.keys, blocks.sums
    node_starts, node_ends, values = record.node_starts, record.node_ends, record.values
    if start < middle:
        node_starts[nodes], node_ends[nodes] = start, middle
        for j in range(values.shape[1]):
            values[nodes - roots, j] = ZERO
        nodes += 1
    low = middle
    while low < end:
        node_starts[nodes] = low
        value = values[nodes - roots]
        for j in range(len(value)):  # numpy's way to copy takes seconds to compile
            value[j] = sums[order[low], j]
        high = low
        while high < end and keys[high] == keys[low]:
            state = order[high]
            for j in range(len(value)):
                if sums[state, j] != value[j]:
                    return -1
            sums[state, 0] = UNTOUCHED
            high += 1
        node_ends[nodes] = high
        nodes += 1
        low = high
    return nodes


@compiled
def _renumber(
    block: Any, count: Any, nodes: Any, nodes_after: Any, blocks: Any, record: Any
) -> Any:
    """Let the largest part keep the number of the block, give others new ones; return their count."""
    node_starts, node_ends = record.node_starts, record.node_ends
    largest = nodes
    for node in range(nodes + 1, nodes_after):
        if node_ends[node] - node_starts[node] > node_ends[largest] - node_starts[largest]:
            largest = node
    for node in range(nodes, nodes_after):
        low, high = node_starts[node], node_ends[node]
        number = block
        if node != largest:
            number = count
            count += 1
            for i in range(low, high):
                blocks.block_of[blocks.order[i]] = number
        blocks.starts[number], blocks.ends[number] = low, high
        blocks.node_of[number] = node
        if high - low == 1:
            blocks.alone[blocks.order[low]] = True
    return count


@compiled
def _run(roots: Any, seed: Any, incoming: Any, blocks: Any, record: Any) -> Any:
    """Run the worklist until all blocks are single states or have been splitters.

    Returns the numbers of blocks (-1 after a collision of hashes), of nodes and of splits.
    """
    n = len(blocks.order)
    conditions = (len(incoming.indptr) - 1) // n
    count, nodes, splits, splitter = roots, roots, 0, 0
    while splitter < count < n:
        node = blocks.node_of[splitter]
        low, high = blocks.starts[splitter], blocks.ends[splitter]
        for condition in range(conditions):
            found = _sum_into(low, high, condition * n, incoming, blocks)
            for i in range(_gather(found, blocks)):
                block = blocks.touched_blocks[i]
                start, end = blocks.starts[block], blocks.ends[block]
                middle = end - blocks.moved[block]
                blocks.moved[block] = 0
                _group(middle, end, seed, blocks)
                after = _record_parts(start, middle, end, roots, nodes, blocks, record)
                if after < 0:
                    return -1, nodes, splits
                if after == nodes + 1:
                    continue
                record.splits[splits, 0] = blocks.node_of[block]
                record.splits[splits, 1] = node
                record.splits[splits, 2] = condition
                splits += 1
                record.first_part[splits] = after
                count = _renumber(block, count, nodes, after, blocks, record)
                nodes = after
        splitter += 1
    return count, nodes, splits
