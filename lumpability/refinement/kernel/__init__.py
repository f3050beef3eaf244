"""The coarsest stable refinement on machine integers, compiled, in parallel, and proved.

First states are *settled* from the last to the first where their targets are: that is all for acyclic structures.  For
others every state s carries a fingerprint F(s) = sum over u of M[s, u] value(block of u), modulo 2^64 or a prime below
2^61, with a pseudo-random value for each block.  Equal sums into every block give equal fingerprints, so splitting by
them never separates what belongs together.  A round is either a *sweep*, which recomputes F for all states that share a
block, in sequence and on all cores, or it *follows* what changed: F is linear in the values, so a state that moved to
another block changes F of its predecessors only.  The largest part of a block keeps its value there, hence following
costs O(m log n) in all.  Sweeps are taken while many states move.

Different sums may collide, which could only leave blocks too large.  So the result is checked: sums into every block
are compared modulo 2^64 and primes whose product exceeds any possible difference, which proves M V = V M^ (Chinese
remainder theorem).  Should that fail, refinement goes on with another prime.

References: Paige and Tarjan 1987; Valmari and Franceschinis 2010; for fingerprints of states whose targets moved
Jacobs and Wissmann 2023 (Boa).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import islice, pairwise
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput, LumpabilityError
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.integers import gather
from lumpability.numbers.residues import combined_residues, deciding_residues, fits_words, moduli
from lumpability.partition import Partition
from lumpability.refinement.kernel import follow, quotient, sweep
from lumpability.refinement.kernel.arrays import Bools, Field, Following, Rows, Sweeping, UInt64s
from lumpability.refinement.kernel.settle import settled
from lumpability.structure import WeightedStructure

__all__ = ["refine"]

_BUDGET = 30_000_000  # transitions followed between two reports of progress
_ATTEMPTS = 64
_RETURN = 2  # times as many states must move as are best followed, until rounds sweep again
_FEW_WEIGHTS = 256  # which of more are used is looked up

Progress = Callable[[int, int], None]


def refine(
    structure: WeightedStructure,
    within: Partition,
    *,
    progress: Progress | None = None,
    threads: int | None = None,
) -> Partition:
    """Return the coarsest stable partition that refines `within`.

    Parameters
    ----------
    structure : WeightedStructure
    within : Partition
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
    beyond the structure: about 25 bytes for each state; or, when rounds follow, 13 to 25 and the transposed rows of
    the states that still share a block; 16 for each block, and about 50 for each that comes in the same round.

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
        return within
    threads = threads or cores()
    found = settled(structure, within)
    if found is None:
        return _refine_by_rounds(structure, within, progress, threads)
    if found.complete:
        if found.exact or _is_proved_as_it_is(structure, found.partition, threads):
            return found.partition
        # Sums that differ had equal hashes, which only left blocks too large.
        return _refine_by_rounds(structure, found.partition, progress, threads)
    smaller, labels = quotient.collapse(structure, found.partition), found.partition.labels
    firsts = found.partition.representatives
    blocks = _refine_by_rounds(smaller, within.restrict(firsts), progress, threads)
    return Partition.from_canonical(gather(blocks.labels, labels), firsts[blocks.representatives])


def _is_proved_as_it_is(structure: WeightedStructure, partition: Partition, threads: int) -> bool:
    """Whether a partition is stable; it has not been refined by rounds."""
    components = structure.weights.components
    assert components is not None
    alone = np.zeros(structure.n, dtype=np.bool_)
    alone[partition.representatives[np.bincount(partition.labels) == 1]] = True
    return _Rounds(structure, threads, None).is_proved(partition, alone, components)


def _refine_by_rounds(
    structure: WeightedStructure, within: Partition, progress: Progress | None, threads: int
) -> Partition:
    components = structure.weights.components
    assert components is not None
    rounds = _Rounds(structure, threads, progress)
    for attempt, p in enumerate(islice(moduli(components), _ATTEMPTS)):
        # Not 0, with which the first block would have the value 0.
        within, alone = rounds.run(
            within, combined_residues(components, p, attempt), p, attempt + 1
        )
        if rounds.is_proved(within, alone, components):
            return within
    raise LumpabilityError(f"internal error: {_ATTEMPTS} moduli gave collisions; please report it")


class _Rounds:
    """Rounds over one structure, and the choice between their kinds.

    Invariant: between rounds the partition is never finer than the coarsest stable one.
    """

    def __init__(
        self, structure: WeightedStructure, threads: int, progress: Progress | None
    ) -> None:
        self.n, self.m, self.structure = structure.n, structure.m, structure
        self.threads, self.progress = threads, progress
        self.count, self.sharing = 0, self.n  # blocks so far, and states that share one

    def run(
        self, within: Partition, residues: UInt64s, p: int, seed: int
    ) -> tuple[Partition, Bools]:
        """Refine until no fingerprints differ inside blocks; return also which states are alone."""
        field, rows = Field.modulo(p, seed, residues), Rows.of(self.structure, residues)
        arrays = Sweeping.over(self.n, rows.closed, self.threads)
        sweep.sum_rows(self._fingerprint, rows, field, arrays)
        incoming, rent, sweeps = None, 0, 0
        while True:
            self.count = len(within)
            self.sharing = self.n - sweep.fill(within.labels, self.count, field, arrays)
            moved, follows = self.n, False
            while moved and not follows:
                fresh = self.count  # blocks from here on are new
                moved = self._sweep(rows, field, arrays)
                active = max(self.m * self.sharing / self.n, 1.0)  # there is a price in any case
                most = follow.most_followed(self.n, active)
                rent, sweeps = rent + max(most - moved, 0), sweeps + 1
                pays = incoming is not None or follow.begins_to_pay(rent, sweeps, self.n)
                follows = moved <= most and pays
            labels, alone, leaving = arrays.labels, arrays.alone, arrays.leaving
            if moved:
                following = Following.after(arrays)
                del arrays  # gives its memory back
                if incoming is None:
                    incoming = follow.transposed(rows, leaving, alone, self.n - self.sharing)
                agenda = follow.begin(fresh, self.count, incoming, following)
                most = int(_RETURN * most)
                while 0 < moved <= most:
                    agenda, self.count, moved, lone = follow.follow_changes(
                        agenda, self.count, most, _BUDGET, incoming, field, following
                    )
                    self._after_round(lone)
                del following
            within = sweep.partition_of(labels, self.count, alone)
            if not moved:
                return within, alone
            arrays = Sweeping.over(self.n, False, self.threads)._replace(leaving=leaving)

    def _fingerprint(self, count: int, rows: Rows, field: Field, arrays: Sweeping) -> None:
        desks = [(*bounds, i) for i, bounds in enumerate(self._row_ranges(self._ranges()))]
        _in_parallel(sweep.fingerprint, desks, count, rows, field, arrays)

    def _ranges(self) -> int:
        return sweep.ranges_for(self.n, self.sharing, self.m, self.threads)

    def _sweep(self, rows: Rows, field: Field, arrays: Sweeping) -> int:
        """Split all blocks by fresh fingerprints; returns how many states moved."""
        if self._ranges() == 1:
            self.count, moved, lone = sweep.sweep_all(self.count, rows, field, arrays)
        else:
            self._fingerprint(self.count, rows, field, arrays)
            self.count, moved, lone = sweep.split(self.count, field, arrays)
        self._after_round(lone)
        return moved

    def _after_round(self, lone: int) -> None:
        self.sharing -= lone
        if self.progress is not None:
            self.progress(int(self.count), self.n)

    def is_proved(
        self, partition: Partition, alone: Bools, components: tuple[ExactArray, ...]
    ) -> bool:
        """Whether sums into every block agree, exactly.

        Only rows of states that share a block matter, and only the weights in them.
        """
        if len(partition) == self.n:
            return True
        s = self.structure
        chosen = None
        if len(s.weights.values) > _FEW_WEIGHTS:
            rows = np.repeat(alone, s.indptr[1:] - s.indptr[:-1])
            chosen = np.unique(s.weights.codes[~rows])
        terms = s.m  # in a row: a bound that is mostly good enough
        if chosen is not None or not all(fits_words(weights, terms) for weights in components):
            terms = int((s.indptr[1:] - s.indptr[:-1]).max())
        return all(
            self._agree(partition, alone, p, residues)
            for p, residues in deciding_residues(components, terms, chosen)
        )

    def _agree(self, partition: Partition, alone: Bools, p: int, residues: UInt64s) -> bool:
        """Whether sums into every block agree modulo p, or 2^64 for 0, inside all blocks."""
        rows, labels, ranges = Rows.of(self.structure, residues), partition.labels, self._ranges()
        desks = np.zeros((ranges, len(partition)), dtype=np.uint64)
        expected = quotient.expected_sums(rows, alone, partition, desks[0])
        bounds = [(*bounds, i) for i, bounds in enumerate(self._row_ranges(ranges))]
        unstable = _in_parallel(
            quotient.first_unstable, bounds, rows, np.uint64(p), labels, expected, desks
        )
        return all(state < 0 for state in unstable)

    def _row_ranges(self, ranges: int) -> list[tuple[int, int]]:
        """Cut the rows into ranges of about equally many transitions."""
        shares = [self.m * i // ranges for i in range(1, ranges)]
        cuts = np.searchsorted(self.structure.indptr, shares).tolist()
        return [(low, high) for low, high in pairwise([0, *cuts, self.n]) if low < high]


def cores() -> int:
    """Return on how many cores this process may run."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not every system can say
        return os.cpu_count() or 1


@cache
def _helpers(process: int) -> ThreadPoolExecutor:
    """Threads of this process that wait to be called; a fork has none of its parent's."""
    return ThreadPoolExecutor(max(cores() - 1, 1), thread_name_prefix="lumpability")


def _in_parallel(
    function: Callable[..., Any], ranges: Sequence[tuple[int, ...]], *arguments: Any
) -> list[Any]:
    """Run a compiled function, which releases the GIL, on several ranges at the same time; return what it returns.

    This thread takes the first range.
    """
    if len(ranges) == 1:
        return [function(*ranges[0], *arguments)]
    pool = _helpers(os.getpid())
    called = [pool.submit(function, *bounds, *arguments) for bounds in ranges[1:]]
    first = [function(*bounds, *arguments) for bounds in ranges[:1]]
    return first + [thread.result() for thread in called]
