"""Streaming: arrays for states in memory, transitions read from disk once a sweep.

Compiled sweeps (`signatures`), and the proof of the engine for chains, run over rows that are mapped files (`rows`),
a range of states after another.  A sweep splits every block by fresh fingerprints of its states; sweeps are repeated
until none splits, and then sums into blocks are compared exactly.  If the rows of the states that still share a block
fit into memory, they are finished there: a block of one state never splits, and stands for itself as a target.
Memory: some 10 bytes for each state, 50 for each block, and the quotient's rows in the proof.  Time: some 15
nanoseconds for each transition in each sweep.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice
from mmap import mmap
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput, LumpabilityError, NotJustified, SizeLimit
from lumpability.numbers.residues import combined_residues, deciding_residues, moduli
from lumpability.partition import Partition
from lumpability.refinement.kernel import quotient
from lumpability.refinement.kernel.arrays import NOTE, Array, Field, Rows, last_slot
from lumpability.refinement.kernel.sweep import partition_of
from lumpability.tables.generator import STREAMED_KINDS, check_row_sums
from lumpability.tables.hybrid import refine_rest
from lumpability.tables.in_memory import found_in_memory, initial_partition
from lumpability.tables.reading import Edges
from lumpability.tables.result import Found
from lumpability.tables.rounds import RoundReport
from lumpability.tables.rows import MappedRows, write_rows
from lumpability.tables.session import Session
from lumpability.tables.signatures import Blocks, count_blocks, group
from lumpability.tables.task import Task

_AT_ONCE = 1 << 20  # transitions of a range
_ATTEMPTS = 64
_BYTES_OF_ROW = 40  # of what is finished in memory
_BYTES_OF_SUM = 16  # in a proof
_SEVERAL = 2  # states of a block, as far as is known before the first sweep

Report = Callable[[RoundReport], None]


def refine_by_streaming(task: Task, session: Session, edges: Edges) -> Found:
    """Refine by sweeps over rows on disk, for the kinds that compare rows of the matrix itself.

    Raises `NotJustified` for another kind, and `SizeLimit` if the proof does not fit into memory.
    """
    if task.kind not in STREAMED_KINDS:
        raise NotJustified(
            f"the stream engine reads rows, and {task.kind} lumping needs columns: use engine='hybrid'",
            kind=task.kind,
        )
    if edges.numerators is None:
        raise InvalidInput(
            "there are too many distinct rates for the stream engine: use engine='hybrid'"
        )
    closed = edges.time == "continuous" and task.kind == "ordinary"
    rows = write_rows(session, edges, closed=closed)
    if edges.time == "discrete":
        for low, high in rows.ranges(_AT_ONCE):
            check_row_sums(session, edges, rows.structure, low, high)
    sweeps = _Sweeps(rows, initial_partition(session, edges), session.memory, task.progress)
    respected = sweeps.count
    session.shrink()
    partition = sweeps.run()
    matrix = quotient.collapse(rows.structure, partition)
    rows.release()
    if rows.structure.closed:
        matrix = matrix.without_diagonal()
    return found_in_memory(
        task, session, edges, partition, matrix, respected=respected, sweeps=sweeps.number
    )


def _in_small_pages(shape: int | tuple[int, ...], dtype: Any) -> Any:
    """Return zeros that take memory where they are written to; of numpy's a place takes two megabytes."""
    wanted = np.empty(0, dtype).itemsize * int(np.prod(shape))
    pages = mmap(-1, max(wanted, 1))
    return np.frombuffer(pages, dtype, int(np.prod(shape))).reshape(shape)


class _Sweeps:
    """A refinement by sweeps over mapped rows.

    Attributes
    ----------
    number : int
        Sweeps so far.
    """

    def __init__(
        self, rows: MappedRows, start: Partition, memory: int, report: Report | None
    ) -> None:
        n = rows.structure.n
        self.rows, self.structure = rows, rows.structure
        self.memory, self.report, self.number = memory, report, 0
        self.count, self.started = len(start), time.perf_counter()
        self.blocks = Blocks(
            start.labels,
            _in_small_pages(n, np.uint32),
            _in_small_pages((n + 1, 4), np.uint64),
            _in_small_pages(0, np.uint32),
        )
        self.blocks.sizes[: self.count] = _SEVERAL
        self.fresh = rows.scratch("labels", n, np.int32)

    def run(self) -> Partition:
        """Return the coarsest stable partition that refines the one to start from, proved."""
        components = self.structure.weights.components
        assert components is not None  # rational
        for attempt, p in enumerate(islice(moduli(components), _ATTEMPTS)):
            residues = combined_residues(components, p, attempt)
            partition = self._refine(residues, Field.modulo(p, attempt + 1, residues))
            if self._is_proved(partition):
                return partition
        raise LumpabilityError(
            f"internal error: {_ATTEMPTS} moduli gave collisions; please report it"
        )

    def _refine(self, residues: Array, field: Field) -> Partition:
        """Sweep until no fingerprints differ inside blocks, or what is left fits into memory."""
        n, rows, blocks = self.structure.n, Rows.of(self.structure, residues), self.blocks
        blocks.labels.setflags(write=True)  # those of an earlier partition, which is used up
        before, lone = 0, 0
        while before < self.count and lone < n:
            before, self.count = self.count, 0
            blocks = blocks._replace(slots=_in_small_pages(int(last_slot(n)) + 1, np.uint32))
            for low, high in self.rows.ranges(_AT_ONCE):
                self.count = group(low, high, self.count, rows, field, blocks, self.fresh)
            lone = count_blocks(self.count, blocks)
            for low in range(0, n, _AT_ONCE):
                blocks.labels[low : low + _AT_ONCE] = self.fresh[low : low + _AT_ONCE]
                self.rows.release()
            self.number += 1
            if self.report is not None:
                disk = sum(map(len, self.rows.maps))
                seconds = time.perf_counter() - self.started
                self.report(RoundReport(self.number, self.count, int(n - lone), disk, seconds))
            if self._fits(n - lone):
                return self._finish_in_memory()
        firsts = blocks.parts[1 : self.count + 1, NOTE].astype(np.int64)
        return Partition.from_canonical(blocks.labels, firsts)

    def _alone(self) -> np.ndarray:
        """Return whether each state is its whole block."""
        labels, sizes = self.blocks.labels, self.blocks.sizes
        found = np.empty(len(labels), dtype=np.bool_)
        for low in range(0, len(labels), _AT_ONCE):
            np.equal(sizes[labels[low : low + _AT_ONCE]], 1, out=found[low : low + _AT_ONCE])
        return found

    def _fits(self, sharing: int) -> bool:
        """Whether the rows of the states that share a block fit into memory."""
        allowed = self.memory // (2 * _BYTES_OF_ROW)
        if not 0 < sharing <= allowed:
            return False
        return self.rows.transitions_of(~self._alone()) + sharing <= allowed

    def _finish_in_memory(self) -> Partition:
        """Refine the rows of the states that share a block in memory; the others stand for themselves."""
        structure, labels, sizes = self.structure, self.blocks.labels, self.blocks.sizes
        states = np.flatnonzero(~self._alone())
        owner, positions = structure.entries_of(states)
        targets = structure.indices[positions]
        nodes = np.unique(np.concatenate([states, targets]))
        within, weights = Partition(labels[nodes]), structure.weights.take(positions)
        self.rows.release()
        partition = refine_rest(
            nodes, within, states[owner], targets, [weights], closed=structure.closed
        )
        parts, number = np.unique(
            partition.labels[np.searchsorted(nodes, states)], return_inverse=True
        )
        # Blocks of one state come first, then those found here.
        single = np.cumsum(sizes[: self.count] == 1, dtype=np.int32)
        lone = int(single[-1])
        for low in range(0, structure.n, _AT_ONCE):
            labels[low : low + _AT_ONCE] = single[labels[low : low + _AT_ONCE]] - 1
        labels[states] = lone + number
        self.count = lone + len(parts)
        found = partition_of(labels, self.count, np.empty(structure.n, dtype=np.bool_))
        sizes[: self.count] = 0
        for low in range(0, structure.n, _AT_ONCE):
            np.add.at(sizes, labels[low : low + _AT_ONCE], 1)
        return found

    def _is_proved(self, partition: Partition) -> bool:
        """Whether sums into every block agree inside blocks, exactly."""
        structure, alone = self.structure, self._alone()
        first = partition.representatives
        shared = first[~alone[first]]
        entries = int((structure.indptr[shared + 1] - structure.indptr[shared]).sum())
        if entries * _BYTES_OF_SUM > self.memory:
            raise SizeLimit(
                f"the quotient has up to {entries} transitions, which do not fit into {self.memory >> 20} MiB "
                "of memory: give more memory, or use engine='duckdb'",
                transitions=entries,
            )
        components = structure.weights.components
        assert components is not None
        terms = self.rows.longest
        return all(
            self._agree(partition, alone, p, residues)
            for p, residues in deciding_residues(components, terms)
        )

    def _agree(self, partition: Partition, alone: np.ndarray, p: int, residues: np.ndarray) -> bool:
        """Whether sums into every block agree modulo p, or 2^64 for 0."""
        rows, count = Rows.of(self.structure, residues), len(partition)
        desks = np.zeros((1, count), dtype=np.uint64)
        expected = quotient.expected_sums(rows, alone, partition, desks[0])
        return all(
            quotient.first_unstable(
                low, high, 0, rows, np.uint64(p), partition.labels, expected, desks
            )
            < 0
            for low, high in self.rows.ranges(_AT_ONCE)
        )
