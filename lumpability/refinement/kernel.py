"""The coarsest stable refinement on machine integers, compiled, in parallel, and proved.

Every state s carries a fingerprint F(s) = sum over u of M[s, u] value(block of u) mod p, a sum over its
transitions with a pseudo-random value for each block and a prime p < 2^61.  Equal sums into every block
give equal fingerprints, so splitting by them never separates what belongs together.  A round is either
a *sweep*, which recomputes F for all states that share a block, in sequence and on all cores, or it
*propagates*: F is linear in the values, so a state that moved to another block changes F of its
predecessors only.  The largest part of a block keeps its number, hence propagation costs O(m log n) in
all; sweeps are taken while they are cheaper.
Different sums may collide, which could only leave blocks too large.  So the result is checked: sums
into every block are compared modulo primes whose product exceeds any possible difference, which proves
M V = V M^ (Chinese remainder theorem).  Should that fail, refinement goes on with another prime.
Valmari and Franceschinis 2010; for dirty states Jacobs and Wissmann 2023 (Boa).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, pairwise
from os import cpu_count
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput, LumpabilityError
from lumpability.exact_array import ExactArray
from lumpability.integers import primes_avoiding
from lumpability.partition import Partition
from lumpability.refinement import kernel_loops as loops
from lumpability.refinement.kernel_arrays import Arrays, Field, Incoming, Rows
from lumpability.refinement.kernel_check import first_rows, first_unstable, used_codes
from lumpability.refinement.kernel_field import montgomery_inverse
from lumpability.refinement.kernel_split import cut_blocks, find_parts_of_blocks, rename_parts
from lumpability.refinement.kernel_tables import (
    combined_table,
    common_denominator_of,
    deciding_tables,
)
from lumpability.structure import WeightedStructure

__all__ = ["refine"]

# Measured on a 2-core machine in nanoseconds; only ratios matter, and they only choose between rounds.
_SWEEP_COST = 1.3  # of a transition in a sweep
_STATE_COST = 6  # of a state in a sweep
_HAND_OUT_COST = 900_000  # of a further thread in a sweep, which is handed three tasks
_FOLLOW_COST = 12  # of an incoming transition followed, with what comes of it
_TRANSPOSE_COST = 1  # of a transition transposed; in truth 3, but more rounds will come
_BUDGET = 30_000_000  # transitions followed between two reports of progress
_BALANCED_BEYOND = 3_000_000  # transitions; for fewer, more ranges than threads cost more
_ATTEMPTS = 64
_FEW = 256  # weights; which of more are used is looked up

Array = np.ndarray[Any, Any]
Progress = Callable[[int, int], None]


def refine(
    structure: WeightedStructure,
    initial: Partition,
    *,
    progress: Progress | None = None,
    threads: int | None = None,
) -> Partition:
    """Return the coarsest stable partition that refines `initial`.

    Parameters
    ----------
    structure : WeightedStructure
    initial : Partition
    progress : callable, optional
        Called with (blocks so far, states) between rounds.
    threads : int, optional
        All cores by default; the answer does not depend on it.

    Raises
    ------
    InvalidInput
        If the weights have no `components`.

    Notes
    -----
    Time O(m log n), and for rational functions one more pass over the rows for each monomial.  Memory
    beyond the structure: 29 to 75 bytes for each state, and, when rounds propagate, the transposed
    rows of the states that still share a block.

    Examples
    --------
    >>> structure = WeightedStructure.from_edges(3, [0, 2], [1, 1], [0.3, "3/10"])
    >>> refine(structure, Partition.trivial(3))
    Partition([[0, 2], [1]])
    """
    components = structure.weights.components
    if components is None:
        raise InvalidInput("these rational functions have too many monomials for the kernel")
    if structure.n == 0 or structure.m == 0:
        return initial
    threads = threads or cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        rounds = _Rounds(structure, initial, pool, threads, progress)
        usable = primes_avoiding(common_denominator_of(components))
        for attempt, p in enumerate(islice(usable, _ATTEMPTS)):
            rounds.run(combined_table(components, p, attempt), p, seed=attempt)
            partition = rounds.partition()
            if rounds.is_proved(partition, components):
                return partition
            rounds.restart(partition)
    raise LumpabilityError(f"internal error: {_ATTEMPTS} primes gave collisions; please report it")


class _Rounds:
    """The arrays of a refinement (see `kernel_arrays`) and the choice between kinds of rounds."""

    def __init__(
        self,
        structure: WeightedStructure,
        initial: Partition,
        pool: ThreadPoolExecutor,
        threads: int,
        progress: Progress | None,
    ) -> None:
        n = structure.n
        self.n, self.m, self.structure = n, structure.m, structure
        self.pool, self.threads, self.progress = pool, threads, progress
        self.parts = 1
        self.arrays = Arrays.for_states(n)
        self.restart(initial)

    def rows(self, table: Array) -> Rows:
        """Return the rows with residues of weights."""
        s = self.structure
        return Rows(s.indptr, s.indices, s.weights.codes, table, s.closed)

    def restart(self, partition: Partition) -> None:
        """Go on from another partition."""
        self.start, self.count = partition, len(partition)
        self.fresh = self.count  # blocks from here on are new since the last round

    def run(self, table: Array, p: int, *, seed: int) -> None:
        """Refine until no fingerprints differ inside blocks."""
        # Sums of this many products of a weight and a value stay below 2^64 p.
        step = max(1, min(2**62 // (int(table.max()) + 1), 2**31))
        field = Field(np.uint64(p), montgomery_inverse(p), np.uint64(seed), step)
        rows = self.rows(table)
        loops.fill(self.start.labels, self.count, field, self.arrays)
        incoming: Incoming | None = None
        stale = False  # whether propagation left `values` behind
        saved = 0.0  # what propagation would have saved so far
        moved = self._sweep(rows, field)
        while moved:
            active, alone = self._active()
            sweep = min(alone, alone / self.threads + _HAND_OUT_COST * (self.threads - 1))
            follow = _FOLLOW_COST * active / self.n  # for each state that moved
            if incoming is None:
                saved += max(sweep - follow * moved, 0)
                if saved > _TRANSPOSE_COST * active:
                    incoming = self._incoming(rows, field)
            if incoming is not None and follow * moved < sweep:
                limit = int(sweep / follow)
                self.fresh, self.count, moved = loops.propagate(
                    self.fresh, self.count, moved, limit, _BUDGET, incoming, field, self.arrays
                )
                self._report()
                stale = True
            else:
                if stale:
                    loops.fill_values(field, self.arrays)
                    stale = False
                moved = self._sweep(rows, field)

    def _active(self) -> tuple[int, float]:
        """About how many transitions states have that share a block, and what a thread alone needs to sweep them."""
        sharing = self.n - int(np.count_nonzero(self.arrays.alone))
        active = max(self.m * sharing // self.n, 1)
        return active, _STATE_COST * sharing + _SWEEP_COST * active

    def _sweep(self, rows: Rows, field: Field) -> int:
        active = self._share_out()
        if 8 * active < self.m:
            loop, ranges = loops.fingerprint_blocks, self._even(self.count)
        else:
            loop, ranges = loops.fingerprint_rows, self._row_ranges()
        self._in_parallel(loop, ranges, (rows, field, self.arrays))
        moved = self._split_all(field)
        self._report()
        return moved

    def _split_all(self, field: Field) -> int:
        """Split all blocks by fresh fingerprints; returns how many states were renamed."""
        cuts = np.empty(self.parts + 1, dtype=np.int64)
        offsets = np.empty(self.parts + 1, dtype=np.int64)
        cut_blocks(self.count, self.arrays, cuts, offsets)
        firsts = (self.count + offsets[:-1]).tolist()
        ranges = list(zip(cuts[:-1].tolist(), cuts[1:].tolist(), firsts, strict=True))
        found = self._in_parallel(find_parts_of_blocks, ranges, (self.arrays,))
        blocks, renaming = self.arrays.blocks, []
        self.fresh, moved = self.count, 0
        for (_, _, first), (parts, states) in zip(ranges, found, strict=True):
            count = self.count + parts
            if first != self.count:  # close the gap
                blocks[self.count : count] = blocks[first : first + parts]
            renaming.append((self.count, count))
            self.count, moved = count, moved + states
        self._in_parallel(rename_parts, renaming, (field, self.arrays))
        return moved

    def _incoming(self, rows: Rows, field: Field) -> Incoming:
        """Return the transposed rows of states that share a block, and what leaves each state."""
        pointers = np.empty(self.n + 2, dtype=np.uint32 if self.m < 2**32 else np.uint64)
        loops.count_incoming(rows, self.arrays.alone, pointers)
        bits = (len(rows.table) - 1).bit_length()
        wide = (self.n - 1).bit_length() + bits > 32
        entries = np.empty(pointers[-1], dtype=np.uint64 if wide else np.uint32)
        loops.fill_incoming(rows, self.arrays.alone, pointers, np.uint64(bits), entries)
        totals = loops.leaving(rows, field) if rows.closed else np.empty(0, dtype=np.uint64)
        return Incoming(pointers[:-1], entries, np.uint64(bits), rows.table, totals, rows.closed)

    def partition(self) -> Partition:
        """Return the partition reached."""
        labels = np.empty(self.n, dtype=np.int32)
        firsts = np.empty(self.count, dtype=np.int64)
        loops.canonical_labels(self.count, self.arrays, labels, firsts)
        return Partition.from_canonical(labels, firsts)

    def is_proved(self, partition: Partition, components: tuple[ExactArray, ...]) -> bool:
        """Whether sums into every block agree, exactly.

        Only rows of states that share a block matter, and only the weights in them.
        """
        if len(partition) == self.n:
            return True
        s = self.structure
        chosen = None
        if len(s.weights.values) > _FEW:
            used = np.zeros(len(s.weights.values), dtype=np.bool_)
            used_codes(s.indptr, s.weights.codes, self.arrays.alone, used)
            chosen = np.flatnonzero(used)
        longest = int((s.indptr[1:] - s.indptr[:-1]).max())
        tables = deciding_tables(components, longest, chosen)
        self._share_out()
        return all(self._agree(partition, p, table) for p, table in tables)

    def _agree(self, partition: Partition, p: int, table: Array) -> bool:
        """Whether sums into every block agree modulo p, or 2^64 for 0, inside all blocks."""
        arguments = (self.rows(table), np.uint64(p), self.arrays.alone, partition.labels)
        first = first_rows(partition.representatives, *arguments)
        found = self._in_parallel(first_unstable, self._row_ranges(), (*arguments, first))
        return all(state < 0 for state in found)

    def _in_parallel(
        self, loop: Callable[..., Any], ranges: Sequence[tuple[Any, ...]], arguments: Any
    ) -> list[Any]:
        """Call a compiled loop on ranges of rows or blocks, which it treats independently.

        This thread works as well; each takes the next range that is left.
        """
        left = deque(enumerate(ranges))
        results: list[Any] = [None] * len(left)

        def work() -> None:
            while True:
                try:
                    i, range_ = left.popleft()
                except IndexError:  # none is left; one from the loop itself is none of ours
                    return
                results[i] = loop(*range_, *arguments)

        others = [self.pool.submit(work) for _ in range(min(self.threads, len(left)) - 1)]
        work()
        for other in others:
            other.result()
        return results

    def _share_out(self) -> int:
        """Settle into how many ranges the next loops are cut; return `_active` transitions.

        A thread that is handed less than it costs to hand it out only delays.
        """
        active, alone = self._active()
        if alone * (1 - 1 / self.threads) <= _HAND_OUT_COST * (self.threads - 1):
            self.parts = 1
        else:
            self.parts = self.threads if self.m < _BALANCED_BEYOND else 4 * self.threads
        return active

    def _even(self, count: int) -> list[tuple[int, int]]:
        return list(_ranges([count * i // self.parts for i in range(self.parts + 1)]))

    def _row_ranges(self) -> list[tuple[int, int]]:
        """Cut the rows into ranges of about equally many transitions."""
        shares = [self.m * i // self.parts for i in range(1, self.parts)]
        cuts = np.searchsorted(self.structure.indptr, shares).tolist()
        return list(_ranges([0, *cuts, self.n]))

    def _report(self) -> None:
        if self.progress is not None:
            self.progress(int(self.count), self.n)


def _ranges(bounds: list[int]) -> Iterator[tuple[int, int]]:
    for low, high in pairwise(bounds):
        if low < high:
            yield low, high
