"""The coarsest stable refinement on machine integers, compiled, in parallel, and proved.

Every state s carries a fingerprint F(s) = sum over u of M[s, u] value(block of u), modulo 2^64 or a prime
below 2^61, with a pseudo-random value for each block.  Equal sums into every block
give equal fingerprints, so splitting by them never separates what belongs together.  A round is either
a *sweep*, which recomputes F for all states that share a block, in sequence and on all cores, or it
*propagates*: F is linear in the values, so a state that moved to another block changes F of its
predecessors only.  The largest part of a block keeps its value there, hence propagation costs O(m log n) in
all; sweeps are taken while they are cheaper.
Different sums may collide, which could only leave blocks too large.  So the result is checked: sums
into every block are compared modulo 2^64 and primes whose product exceeds any possible difference, which proves
M V = V M^ (Chinese remainder theorem).  Should that fail, refinement goes on with another prime.
Valmari and Franceschinis 2010; for dirty states Jacobs and Wissmann 2023 (Boa).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput, LumpabilityError
from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition
from lumpability.refinement import kernel_loops as loops
from lumpability.refinement.kernel_arrays import (
    FEW,
    Blocks,
    Field,
    Following,
    Incoming,
    Rows,
    Sweeping,
)
from lumpability.refinement.kernel_check import first_rows, first_unstable, used_codes
from lumpability.refinement.kernel_costs import (
    begins_to_pay,
    cost_of_following,
    cost_of_looking,
    cost_of_settling,
    cost_of_splitting,
)
from lumpability.refinement.kernel_field import montgomery_inverse
from lumpability.refinement.kernel_propagate import begin, leave, propagate
from lumpability.refinement.kernel_scratch import blank
from lumpability.refinement.kernel_split import cut, expect, write_values
from lumpability.refinement.kernel_sweep import (
    FIND_DIFFERENT,
    FINGERPRINT,
    MOVE,
    check_together,
    sweep,
    sweep_together,
)
from lumpability.refinement.kernel_tables import (
    combined_table,
    deciding_tables,
    fits_words,
    moduli,
)
from lumpability.refinement.kernel_team import Team, cores
from lumpability.structure import WeightedStructure

__all__ = ["refine"]

_TOUCHED = 1.5  # states for each that moved, where nothing is known yet
_BUDGET = 30_000_000  # transitions followed between two reports of progress
_BALANCED_BEYOND = 300_000  # transitions; for fewer, more ranges than threads cost more
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
    beyond the structure: about 25 bytes for each state; or, when rounds propagate, 13 to 25 and the transposed rows of
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
        return initial
    rounds = _Rounds(structure, initial, threads or cores(), progress)
    for attempt, p in enumerate(islice(moduli(components), _ATTEMPTS)):
        # Not 0, with which the first block would have the value 0.
        rounds.run(combined_table(components, p, attempt), p, seed=attempt + 1)
        partition = rounds.finish()
        if rounds.is_proved(partition, components):
            return partition
        rounds.restart(partition)
    raise LumpabilityError(f"internal error: {_ATTEMPTS} moduli gave collisions; please report it")


class _Rounds:
    """The arrays of a refinement (see `kernel_arrays`) and the choice between kinds of rounds."""

    def __init__(
        self,
        structure: WeightedStructure,
        initial: Partition,
        threads: int,
        progress: Progress | None,
    ) -> None:
        n = structure.n
        self.n, self.m, self.structure = n, structure.m, structure
        self.threads, self.progress = threads, progress
        self.parts, self._most = 1, 4 * threads  # ranges in which loops are cut, now and at most
        self.restart(initial)

    def rows(self, table: Array) -> Rows:
        """Return the rows with residues of weights."""
        s = self.structure
        return Rows(s.indptr, s.indices, s.weights.codes, table, s.closed)

    def restart(self, partition: Partition) -> None:
        """Go on from another partition."""
        self.start, self.count = partition, len(partition)
        self.fresh = self.count  # blocks from here on are new since the last round
        self.blocks = Blocks.for_states(self.n)
        self.sweeping: Sweeping | None = None
        self.following: Following | None = None

    def run(self, table: Array, p: int, *, seed: int) -> None:
        """Refine until no fingerprints differ inside blocks."""
        # Sums of this many products of a weight and a value stay below 2^64 p.
        step = max(1, min(2**62 // (int(table.max()) + 1), 2**31))
        field = Field(np.uint64(p), montgomery_inverse(p), np.uint64(seed), step)
        rows = self.rows(table)
        self._start_sweeping(rows, field)
        self.sharing = self.n - loops.fill(self.start.labels, self.count, field, self.sweeping)
        try:
            self._run_rounds(rows, field)
        finally:
            self._stop_sweeping()

    def _run_rounds(self, rows: Rows, field: Field) -> None:
        incoming: Incoming | None = None
        sweeps = 1
        saved = 0.0  # what propagation would have saved so far
        ratio = _TOUCHED
        moved = self._sweep(rows, field)
        while moved:
            look, names = min(self._looking()), self.count - self.fresh
            sweeping = look + cost_of_splitting(moved, names, self.sharing)
            # Transitions of states that share a block; there is a price even where there are none.
            active = max(self.m * self.sharing / self.n, 1.0)
            degree = active / self.n
            following = cost_of_following(moved, names, ratio, degree, self.sharing, self.n)
            saved += max(sweeping - following, 0)
            pays = incoming or begins_to_pay(saved, sweeps, active)
            if pays and following <= sweeping:
                self._stop_sweeping()
                incoming = incoming or self._incoming(rows, field)
                if self.following is None:
                    self.following = Following.over(self.blocks)
                    self.place = begin(self.fresh, self.count, incoming, self.following)
                self.place, self.count, moved, names, ratio, lone = propagate(
                    self.place, self.count, moved, degree, self.sharing,
                    look + cost_of_settling(self.n), _BUDGET, incoming, field, self.following,
                )  # fmt: skip
                self.fresh = self.count - names
                self.sharing -= lone
                self._report()
            else:
                if self.following is not None:
                    self._stop_following()
                    self._start_sweeping(rows, field)
                    write_values(self.count, field, self.sweeping)
                moved = self._sweep(rows, field)
                sweeps += 1

    def _start_sweeping(self, rows: Rows, field: Field) -> None:
        self.sweeping = Sweeping.over(self.blocks, self._most)
        arguments = (rows, field, self.sweeping)
        self.team = Team(sweep_together, arguments, self.threads, self._most)

    def _stop_sweeping(self) -> None:
        """Give back what only sweeps use."""
        if self.sweeping is not None:
            self.team.dismiss()
            del self.team
            self.sweeping = None

    def _stop_following(self) -> None:
        _, used, free, *_ = self.place
        leave(used, free, self.following)
        self.following = None

    def _looking(self) -> tuple[float, float]:
        return cost_of_looking(self.n, self.sharing, self.m, self.threads)

    def _sweep(self, rows: Rows, field: Field) -> int:
        """Split all blocks by fresh fingerprints; returns how many states moved."""
        self._share_out()
        team, arrays = self.team, self.sweeping
        assert arrays is not None
        self.fresh = self.count
        moved: int
        segments = np.zeros((self.parts, 2), dtype=np.int64)
        if self.parts == 1:
            self.count, moved, lone = sweep(self.count, segments, rows, field, arrays)
        else:
            team.run(FINGERPRINT, [(*bounds, self.count) for bounds in self._row_ranges()])
            expect(self.count, arrays)
            ranges = self._even(self.n)
            different = team.run(FIND_DIFFERENT, ranges)[:, 0].tolist()
            lists = [(low, number) for (low, _), number in zip(ranges, different, strict=True)]
            segments[: len(lists)] = lists
            self.count, moved, lone = cut(self.count, segments, field, arrays)
            counts = (self.fresh, self.count)
            team.run(MOVE, [(low, low + number, *counts) for low, number in lists])
            if self.fresh <= FEW < self.count and len(arrays.shorts):
                write_values(self.count, field, arrays)
        self.sharing -= lone
        self._report()
        return moved

    def _incoming(self, rows: Rows, field: Field) -> Incoming:
        """Return the transposed rows of states that share a block, and what leaves each state.

        The others do not split; but where they are few, leaving them out costs more than it saves.
        """
        every = self.n - self.sharing < self.n // 8
        pointers = np.empty(self.n + 2, dtype=np.uint32 if self.m < 2**32 else np.uint64)
        loops.count_incoming(rows, self.blocks.alone, every, pointers)
        bits, entry_type = Incoming.layout(self.n, len(rows.table))
        entries = np.empty(pointers[-1], dtype=entry_type)
        loops.fill_incoming(rows, self.blocks.alone, every, pointers, np.uint64(bits), entries)
        totals = np.empty(self.n if rows.closed else 0, dtype=np.uint64)
        loops.sum_leaving(rows, field, self.blocks.alone, totals)
        return Incoming(pointers[:-1], entries, np.uint64(bits), rows.table, totals, rows.closed)

    def finish(self) -> Partition:
        """Return the partition reached, and keep of the arrays only what its proof needs."""
        labels, self.alone, _ = self.blocks
        numbers = self.count
        if self.following is not None:
            numbers = self.place[1]  # and states that are alone have none
            self.following = None
        del self.blocks
        firsts, number = np.empty(self.count, dtype=np.int64), np.empty(numbers, dtype=np.int32)
        loops.canonical_labels(labels.view(np.uint32), self.alone, firsts, number)
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
            used_codes(s.indptr, s.weights.codes, self.alone, used)
            chosen = np.flatnonzero(used)
        terms = s.m  # in a row: a bound that is mostly good enough
        if chosen is not None or not all(fits_words(weights, terms) for weights in components):
            terms = int((s.indptr[1:] - s.indptr[:-1]).max())
        tables = deciding_tables(components, terms, chosen)
        self._share_out()
        return all(self._agree(partition, p, table) for p, table in tables)

    def _agree(self, partition: Partition, p: int, table: Array) -> bool:
        """Whether sums into every block agree modulo p, or 2^64 for 0, inside all blocks."""
        rows, labels, modulus = self.rows(table), partition.labels, np.uint64(p)
        place_type = np.uint32 if self.m < 2**32 else np.uint64
        pointers = np.empty(self.count + 1, dtype=place_type)
        scratch = blank((self.count,), place_type)
        first = first_rows(partition.representatives, rows, self.alone, labels, pointers, scratch)
        del scratch
        desks = blank((1 if self.parts == 1 else self.threads, self.count), np.uint64)
        if self.parts == 1:
            return bool(first_unstable(0, self.n, rows, modulus, labels, first, desks[0]) < 0)
        arguments = (rows, modulus, labels, first, desks, np.zeros(1, dtype=np.int64))
        with Team(check_together, arguments, self.threads, self._most) as team:
            found = team.run(0, self._row_ranges())
        return bool((found[:, 0] < 0).all())

    def _share_out(self) -> None:
        """Settle into how many ranges the next loops are cut.

        A thread that is handed less than it costs to hand it out only delays.
        """
        alone, together = self._looking()
        if alone <= together:
            self.parts = 1
        else:
            self.parts = self.threads if self.m < _BALANCED_BEYOND else self._most

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
