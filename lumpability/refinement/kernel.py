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
from os import cpu_count
from typing import Any

import numpy as np

from lumpability.errors import LumpabilityError
from lumpability.integers import prime, primes_beyond, residues
from lumpability.partition import Partition
from lumpability.refinement.kernel_field import montgomery_inverse
from lumpability.refinement.kernel_loops import (
    fingerprint_rows,
    first_unstable,
    incoming_rows,
    propagate,
    split_all,
)
from lumpability.structure import WeightedStructure

__all__ = ["refine"]

_PROPAGATE_COST = 6  # following one incoming transition costs about as much as sweeping six
_BUDGET = 30_000_000  # transitions followed between two reports of progress
_ATTEMPTS = 64

Tables = Callable[[int], np.ndarray[Any, np.dtype[np.uint64]]]


def refine(
    structure: WeightedStructure,
    initial: Partition,
    *,
    progress: Callable[[int, int], None] | None = None,
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
    Time O(m log n).  Memory beyond the structure: 36 bytes for each state, and, when rounds propagate,
    the transposed rows of the states that still share a block.

    Examples
    --------
    >>> structure = WeightedStructure.from_edges(3, [0, 2], [1, 1], [0.3, "3/10"])
    >>> refine(structure, Partition.trivial(3))
    Partition([[0, 2], [1]])
    """
    integers, _ = structure.weights.integers
    if structure.n == 0 or structure.m == 0:
        return initial
    bound = 2 * max(abs(w) for w in integers) * int(np.diff(structure.indptr).max())
    state = _Rounds(structure, initial, threads or cpu_count() or 1, progress)
    for attempt in range(_ATTEMPTS):
        p = prime(attempt)
        state.run(residues(integers, p), p, seed=attempt)
        if all(state.is_stable(residues(integers, q), q) for q in primes_beyond(bound)):
            return Partition(state.block)
    raise LumpabilityError(f"internal error: {_ATTEMPTS} primes gave collisions; please report it")


class _Rounds:
    """The arrays of a refinement (see `kernel_loops`) and the choice between kinds of rounds."""

    def __init__(
        self,
        structure: WeightedStructure,
        initial: Partition,
        threads: int,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        n = structure.n
        self.rows = (structure.indptr, structure.indices, structure.weights.codes)
        self.n, self.m, self.threads = n, structure.m, threads
        self.progress = progress
        self.blocks = len(initial)
        self.block = initial.labels.astype(np.int32)
        self.order = np.argsort(initial.labels, kind="stable").astype(np.int32)
        sizes = initial.blocks.sizes
        self.ends = np.zeros(n, dtype=np.int32)
        self.ends[: self.blocks] = np.cumsum(sizes)
        self.starts = np.zeros(n, dtype=np.int32)
        self.starts[: self.blocks] = self.ends[: self.blocks] - sizes
        self.prints = np.zeros(n, dtype=np.uint64)
        self.keys = np.empty(n, dtype=np.uint64)
        self.renamed = np.empty(n, dtype=np.int32)
        self.old = np.empty(n, dtype=np.int32)
        self.stack = np.empty(256, dtype=np.int64)

    def run(self, table: np.ndarray[Any, Any], p: int, *, seed: int) -> None:
        """Refine until no fingerprints differ inside blocks."""
        field = (np.uint64(p), montgomery_inverse(p), np.uint64(seed))
        incoming: tuple[Any, ...] | None = None
        overspent = 0  # how much cheaper propagation would have been so far
        renamed = self.n
        while renamed:
            sharing = self._states_sharing()
            sweep = self.m * sharing // self.n
            follow = _PROPAGATE_COST * self._following(renamed, incoming)
            if follow < sweep and incoming is None:
                overspent += sweep - follow
                # Transposing costs about two sweeps: worth it once that much has been wasted.
                if overspent > 2 * sweep:
                    incoming = incoming_rows(*self.rows, self.block, self.starts, self.ends)
            if incoming is not None and follow < sweep:
                renamed = self._propagate(renamed, incoming, table, field)
            else:
                renamed = self._sweep(table, field)
            if self.progress is not None:
                self.progress(self.blocks, self.n)

    def _states_sharing(self) -> int:
        """Number of states that share their block."""
        sizes = self.ends[: self.blocks] - self.starts[: self.blocks]
        return self.n - int(np.count_nonzero(sizes == 1))

    def _following(self, renamed: int, incoming: tuple[Any, ...] | None) -> int:
        """Number of transitions into the renamed states, estimated before they are known."""
        if incoming is None:
            return self.m * renamed // self.n
        pointers, states = incoming[0], self.renamed[:renamed]
        return int((pointers[1:][states] - pointers[:-1][states]).sum())

    def _sweep(self, table: np.ndarray[Any, Any], field: tuple[Any, ...]) -> int:
        arguments = (*self.rows, table, self.block, self.starts, self.ends, self.prints, *field)
        ranges = list(self._row_ranges())
        if len(ranges) == 1:
            fingerprint_rows(0, self.n, *arguments)
        else:
            with ThreadPoolExecutor(self.threads) as pool:
                for done in [pool.submit(fingerprint_rows, *r, *arguments) for r in ranges]:
                    done.result()
        self.blocks, renamed = split_all(
            self.blocks, self.block, self.order, self.starts, self.ends, self.prints, self.keys,
            self.stack, self.renamed, self.old,
        )  # fmt: skip
        return int(renamed)

    def _row_ranges(self) -> Iterator[tuple[int, int]]:
        """Cut the rows into ranges of about equal numbers of transitions, a few for each thread."""
        parts = 1 if self.threads == 1 or self.m < 100_000 else 4 * self.threads
        cuts = np.searchsorted(self.rows[0], np.linspace(0, self.m, parts + 1)[1:-1])
        bounds = [0, *cuts.tolist(), self.n]
        return ((a, b) for a, b in zip(bounds[:-1], bounds[1:], strict=True) if a < b)

    def _propagate(
        self,
        renamed: int,
        incoming: tuple[Any, ...],
        table: np.ndarray[Any, Any],
        field: tuple[Any, ...],
    ) -> int:
        place = np.empty(self.n, dtype=np.int32)
        place[self.order] = np.arange(self.n, dtype=np.int32)
        marked = np.zeros(self.n, dtype=np.int32)
        touched = np.empty(self.n, dtype=np.int32)
        while renamed:
            self.blocks, renamed, work = propagate(
                self.blocks, renamed, _BUDGET, *incoming, table, self.block, self.order, place,
                self.starts, self.ends, self.prints, self.keys, self.stack, marked, touched,
                self.renamed, self.old, *field,
            )  # fmt: skip
            if self.progress is not None:
                self.progress(int(self.blocks), self.n)
        return 0

    def is_stable(self, table: np.ndarray[Any, Any], p: int) -> bool:
        """Whether sums into every block agree modulo p inside all blocks."""
        arguments = (*self.rows, table, self.block, self.order, self.starts, self.ends)
        return bool(first_unstable(self.blocks, *arguments, np.uint64(p)) < 0)
