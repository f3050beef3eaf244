"""One sweep over rows that are read in order: states are grouped by their block and a fingerprint.

F(s) = sum over u of M[s, u] value(block of u), modulo 2^64 or a prime.  States with one block and one fingerprint become
a block of the next partition.  Blocks are numbered as they turn up, so that labels are canonical after every sweep.
A state that is its whole block cannot split, and its row is not summed.
Only labels are read out of order, four bytes for each state; new labels are written in the order of states.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lumpability.refinement.kernel.arrays import (
    NOTE,
    ONE,
    ZERO,
    Field,
    Int32s,
    Integer,
    Rows,
    UInt32s,
    UInt64s,
    add_modulo,
    add_to_part,
    block_value,
    last_slot,
    reduce_modulo,
    size_of_part,
    subtract_modulo,
)
from lumpability.refinement.kernel.compiling import add_product, compiled, inlined


class Blocks(NamedTuple):
    """The blocks of a partition of n states, and room for the parts that they split into."""

    labels: Int32s  # (n,): the number of each state's block
    sizes: UInt32s  # (n,): how many states each block has
    parts: UInt64s  # see `refinement.kernel.arrays`
    slots: UInt32s


@inlined
def _fingerprint(
    state: Integer, own: Integer, rows: Rows, field: Field, labels: Int32s
) -> np.uint64:
    """Sum of weight x value of the target's block; less the own value each time, if rows are closed."""
    high, low, total = ZERO, ZERO, ZERO
    begin, end = np.uint64(rows.indptr[state]), np.uint64(rows.indptr[state + 1])
    base = block_value(own, field) if rows.closed else ZERO
    for entry in range(begin, end):
        value = block_value(np.uint32(labels[np.uint32(rows.indices[entry])]), field)
        weight = rows.residues[rows.codes[entry]]
        if field.p == ZERO:
            total += weight * (value - base)
        else:
            high, low = add_product(high, low, weight, subtract_modulo(value, base, field.p))
            if (entry - begin + ONE) % np.uint64(field.step) == ZERO:
                part = reduce_modulo(high, low, field.p, field.inverse)
                total, high, low = add_modulo(total, part, field.p), ZERO, ZERO
    if field.p == ZERO:
        return total
    return add_modulo(total, reduce_modulo(high, low, field.p, field.inverse), field.p)


@compiled
def group(
    low: Integer, high: Integer, found: Integer, rows: Rows, field: Field, blocks: Blocks, fresh: Int32s
) -> Integer:  # fmt: skip
    """Write new labels of the states low .. high-1; return how many parts there are now, of `found` before."""
    labels, sizes, parts, slots = blocks
    last: Any = last_slot(len(labels))
    for state in range(low, high):
        own = np.uint32(labels[state])
        key = ZERO
        if sizes[own] != np.uint32(1):
            key = _fingerprint(state, own, rows, field, labels)
        part = np.int64(add_to_part(key, np.uint64(own), found, last, parts, slots))
        if part > found:
            found = part
            parts[part, NOTE] = state
        fresh[state] = part - 1
    return found


@compiled
def count_blocks(found: Integer, blocks: Blocks) -> Integer:
    """Make blocks of the parts; return how many states are their whole block.  The NOTE of a part is its first state."""
    lone: Any = np.int64(0)
    for part in range(1, found + 1):
        size = np.uint32(size_of_part(part, blocks.parts, blocks.slots))
        blocks.sizes[part - 1] = size
        lone += np.int64(size == np.uint32(1))
    return lone
