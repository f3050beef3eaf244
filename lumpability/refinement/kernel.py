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

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from math import ceil
from os import cpu_count
from typing import Any

import numpy as np

from lumpability.errors import LumpabilityError
from lumpability.exact_array import ExactArray
from lumpability.integers import primes_avoiding, primes_beyond
from lumpability.partition import Partition
from lumpability.refinement import kernel_loops as loops
from lumpability.refinement.kernel_arrays import PLACE, Arrays, Field, Rows
from lumpability.refinement.kernel_check import first_unstable, used_codes
from lumpability.refinement.kernel_field import montgomery_inverse
from lumpability.refinement.kernel_split import split_all
from lumpability.structure import WeightedStructure

__all__ = ["refine"]

# Measured on a 2-core machine, in units of one transition swept by one thread (1 to 3 ns).
_FOLLOW_COST = 8  # following one incoming transition
_TRANSPOSE_COST = 1.5  # transposing one transition, with some impatience: more rounds will come
_BUDGET = 30_000_000  # transitions followed between two reports of progress
_PARALLEL_BEYOND = 300_000  # transitions; fewer are swept before a second thread has started
_ATTEMPTS = 64

Array = np.ndarray[Any, Any]
Progress = Callable[[int, int], None]


def refine(
    structure: WeightedStructure,
    initial: Partition,
    *,
    progress: Progress | None = None,
    threads: int | None = None,
) -> Partition:
    """Return the coarsest stable partition that refines `initial`; weights must be rational.

    Parameters
    ----------
    structure : WeightedStructure
    initial : Partition
    progress : callable, optional
        Called with (blocks so far, states) between rounds.
    threads : int, optional
        All cores by default; the answer does not depend on it.

    Notes
    -----
    Time O(m log n).  Memory beyond the structure: about 105 bytes for each state, and, when rounds propagate,
    the transposed rows of the states that still share a block.

    Examples
    --------
    >>> structure = WeightedStructure.from_edges(3, [0, 2], [1, 1], [0.3, "3/10"])
    >>> refine(structure, Partition.trivial(3))
    Partition([[0, 2], [1]])
    """
    weights = structure.weights
    if structure.n == 0 or structure.m == 0:
        return initial
    with ThreadPoolExecutor(threads or cpu_count() or 1) as pool:
        rounds = _Rounds(structure, initial, pool, threads or cpu_count() or 1, progress)
        usable = primes_avoiding(weights.denominator)
        for attempt, p in enumerate(islice(usable, _ATTEMPTS)):
            rounds.run(weights.residues(p), p, seed=attempt)
            partition = rounds.partition()
            if rounds.is_proved(partition):
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
        self.arrays = Arrays(
            prints=np.empty(n, dtype=np.uint64),
            values=np.empty(n, dtype=np.uint64),
            alone=np.empty(n, dtype=np.bool_),
            spots=np.empty((n, 2), dtype=np.int32),
            order=np.empty(n, dtype=np.int32),
            blocks=np.empty((n, 4), dtype=np.int32),  # the fourth aligns them to cache lines
            renamed=np.empty(n, dtype=np.int32),
            changes=np.empty(n, dtype=np.uint64),
            keys=np.empty(n, dtype=np.uint64),
            group_keys=np.empty(n, dtype=np.uint64),
            groups=np.empty((n, 3), dtype=np.int32),
            slots=np.empty(max(64, 1 << (3 * n // 2).bit_length()), dtype=np.int32),
            touched=np.empty(n, dtype=np.int32),
        )
        self.restart(initial)

    def rows(self, table: Array) -> Rows:
        """Return the rows with residues of weights."""
        s = self.structure
        return Rows(s.indptr, s.indices, s.weights.codes, table, s.closed)

    def restart(self, partition: Partition) -> None:
        """Go on from another partition."""
        self.start, self.count = partition, len(partition)

    def run(self, table: Array, p: int, *, seed: int) -> None:
        """Refine until no fingerprints differ inside blocks."""
        # Sums of this many products of a weight and a value stay below 2^64 p.
        step = max(1, min(2**62 // (int(table.max()) + 1), 2**31))
        field = Field(np.uint64(p), montgomery_inverse(p), np.uint64(seed), step)
        rows = self.rows(table)
        loops.fill(self.start.labels, self.count, field, self.arrays)
        overspent = 0  # how much cheaper propagation would have been so far
        moved = self._sweep(rows, field, self.m)
        while moved:
            active = self.m * (self.n - int(np.count_nonzero(self.arrays.alone))) // self.n
            follow = _FOLLOW_COST * (active * moved // self.n)
            overspent += max(active // self.threads - follow, 0)
            if overspent > _TRANSPOSE_COST * active:
                self._propagate(rows, field, moved)
                return
            moved = self._sweep(rows, field, active)

    def _sweep(self, rows: Rows, field: Field, active: int) -> int:
        if 8 * active < self.m:
            loop, ranges = loops.fingerprint_blocks, self._even(self.count)
        else:
            loop, ranges = loops.fingerprint_rows, self._row_ranges()
        self._in_parallel(loop, ranges, (rows, field, self.arrays))
        self.count, moved = split_all(self.count, field, self.arrays)
        self._report()
        return int(moved)

    def _propagate(self, rows: Rows, field: Field, moved: int) -> None:
        """Follow changes until there are none, through the transposed rows."""
        indptr, indices, codes = loops.incoming_rows(rows, self.arrays)
        incoming = Rows(indptr, indices, codes, rows.table, rows.closed)
        totals = loops.leaving(rows, field) if rows.closed else np.empty(0, dtype=np.uint64)
        self.arrays.spots[self.arrays.order, PLACE] = np.arange(self.n, dtype=np.int32)
        while moved:
            self.count, moved, _ = loops.propagate(
                self.count, moved, _BUDGET, incoming, totals, field, self.arrays
            )
            self._report()

    def partition(self) -> Partition:
        """Return the partition reached."""
        labels = np.empty(self.n, dtype=np.int32)
        loops.canonical_labels(self.count, self.arrays, labels)
        return Partition.from_canonical(labels, int(self.count))

    def is_proved(self, partition: Partition) -> bool:
        """Whether sums into every block agree modulo primes whose product exceeds any difference.

        Only rows of states that share a block matter, and only the weights in them.
        """
        structure, weights = self.structure, self.structure.weights
        used = np.zeros(len(weights.values), dtype=np.bool_)
        used_codes(structure.indptr, weights.codes, self.arrays.alone, used)
        chosen = np.flatnonzero(used)
        values = tuple(weights.values[code] for code in chosen.tolist())
        if not values:
            return True
        compared = ExactArray(np.arange(len(values)), values)
        # Over the common denominator a sum is an integer of at most this absolute value.
        largest = max(map(abs, values)) * int(np.diff(structure.indptr).max())
        bound = 2 * ceil(largest * compared.denominator)
        table = np.zeros(len(used), dtype=np.uint64)
        for p in primes_beyond(bound, avoiding=compared.denominator):
            table[chosen] = compared.residues(p)
            if not self._agree(partition, p, table):
                return False
        return True

    def _agree(self, partition: Partition, p: int, table: Array) -> bool:
        """Whether sums into every block agree modulo p inside all blocks."""
        arguments = (self.rows(table), np.uint64(p), self.arrays, partition.labels, self.count)
        found = self._in_parallel(first_unstable, self._even(self.n), arguments)
        return all(block < 0 for block in found)

    def _in_parallel(
        self, loop: Callable[..., Any], ranges: list[tuple[int, int]], arguments: Any
    ) -> list[Any]:
        """Call a compiled loop on ranges of rows or blocks, which it treats independently."""
        if len(ranges) == 1:
            return [loop(*ranges[0], *arguments)]
        return [task.result() for task in [self.pool.submit(loop, *r, *arguments) for r in ranges]]

    @property
    def _parts(self) -> int:
        return 1 if self.threads == 1 or self.m < _PARALLEL_BEYOND else 4 * self.threads

    def _even(self, count: int) -> list[tuple[int, int]]:
        return list(_ranges(np.linspace(0, count, self._parts + 1).astype(np.int64)))

    def _row_ranges(self) -> list[tuple[int, int]]:
        """Cut the rows into ranges of about equally many transitions."""
        shares = np.linspace(0, self.m, self._parts + 1)[1:-1].astype(np.int64)
        cuts = np.searchsorted(self.structure.indptr, shares)
        return list(_ranges(np.array([0, *cuts, self.n])))

    def _report(self) -> None:
        if self.progress is not None:
            self.progress(int(self.count), self.n)


def _ranges(bounds: Array) -> Iterator[tuple[int, int]]:
    for low, high in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        if low < high:
            yield low, high
