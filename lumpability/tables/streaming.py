"""Streaming: arrays for states in memory, transitions read from disk once a sweep.

The compiled sweeps and the proof of the engine for chains (`lumpability.refinement.kernel`) run over rows
that are mapped files (`rows`), a range of states after another.  A sweep splits every block by fresh
fingerprints of its states; sweeps are repeated until none splits, and then sums into blocks are compared
exactly.  If the rows of the states that still share a block fit into memory, they are finished there: a
block of one state never splits, and stands for itself as a target.
Memory: some 25 bytes for each state, and the quotient's rows in the proof.  Time: a few nanoseconds for each
transition in each sweep.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from mmap import mmap

import numpy as np

from lumpability.errors import InvalidInput, LumpabilityError, NotJustified, SizeLimit
from lumpability.numbers.residues import combined_residues, deciding_residues, moduli
from lumpability.partition import Partition
from lumpability.refinement import refine
from lumpability.refinement.kernel import quotient
from lumpability.refinement.kernel.arrays import Field, Rows, Sweeping
from lumpability.refinement.kernel.sweep import fill, fingerprint, partition_of, split, sum_rows
from lumpability.structure import WeightedStructure
from lumpability.tables.generator import STREAMED_KINDS, check_row_sums
from lumpability.tables.in_memory import found_in_memory, initial_partition
from lumpability.tables.reading import Edges
from lumpability.tables.result import Found
from lumpability.tables.rounds import RoundReport
from lumpability.tables.rows import MappedRows, write_rows
from lumpability.tables.session import Session
from lumpability.tables.task import Task

__all__ = ["refine_by_streaming"]

_AT_ONCE = 1 << 20  # transitions of a range
_ATTEMPTS = 64
_BYTES_OF_ROW = 40  # of what is finished in memory
_BYTES_OF_SUM = 16  # in a proof

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
    respected = len(sweeps.start)
    session.shrink()
    partition = sweeps.run()
    matrix = quotient.collapse(rows.structure, partition)
    rows.release()
    if rows.structure.closed:
        matrix = matrix.without_diagonal()
    return found_in_memory(
        task, session, edges, partition, matrix, respected=respected, sweeps=sweeps.number
    )


def _in_small_pages(array: np.ndarray) -> np.ndarray:
    """Return zeros of the same shape; numpy would take two megabytes for each place that is written to."""
    pages = mmap(-1, max(array.nbytes, 1))
    return np.frombuffer(pages, array.dtype, array.size).reshape(array.shape)


def _room(labels: np.ndarray, leaving: np.ndarray) -> Sweeping:
    """Room for sweeps from these labels; arrays for blocks take memory only where they are written to."""
    room = Sweeping.over(len(labels), closed=False)
    parts = _in_small_pages(room.parts)
    return room._replace(
        labels=labels,
        blocks=_in_small_pages(room.blocks),
        parts=parts,
        slots=_in_small_pages(room.slots),
        expected=parts.reshape(-1)[: len(labels)],
        leaving=leaving,
    )


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
        self.rows, self.structure, self.start = rows, rows.structure, start
        self.memory, self.report, self.number = memory, report, 0

    def run(self) -> Partition:
        """Return the coarsest stable partition that refines the one to start from, proved."""
        components = self.structure.weights.components
        assert components is not None  # rational
        for attempt, p in enumerate(islice(moduli(components), _ATTEMPTS)):
            residues = combined_residues(components, p, attempt)
            partition = self._refine(residues, Field.modulo(p, attempt + 1, residues))
            if self._is_proved(partition):
                return partition
            self.start = partition
        raise LumpabilityError(
            f"internal error: {_ATTEMPTS} moduli gave collisions; please report it"
        )

    def _refine(self, residues: np.ndarray, field: Field) -> Partition:
        """Sweep until no fingerprints differ inside blocks, or what is left fits into memory."""
        n, rows = self.structure.n, Rows.of(self.structure, residues)
        leaving = self.rows.scratch("leaving", n if rows.closed else 0, np.uint64)
        labels, count = self.start.labels, len(self.start)
        labels.setflags(write=True)  # this partition is used up
        self.start = Partition.trivial(0)
        arrays = _room(labels, leaving)
        sum_rows(self._fingerprint, rows, field, arrays)
        lone = fill(labels, count, field, arrays)
        moved = n
        while moved and lone < n:
            if self._fits(arrays.alone, n - lone):
                return self._finish_in_memory(arrays.labels, arrays.alone)
            self._fingerprint(rows, field, arrays)
            count, moved, single = split(count, field, arrays)
            lone += single
            self.number += 1
            if self.report is not None:
                disk = sum(map(len, self.rows.maps))
                self.report(RoundReport(self.number, int(count), int(n - lone), disk))
        return partition_of(arrays.labels, count, arrays.alone)

    def _fingerprint(self, rows: Rows, field: Field, arrays: Sweeping) -> None:
        for low, high in self.rows.ranges(_AT_ONCE):
            fingerprint(low, high, 0, rows, field, arrays)

    def _fits(self, alone: np.ndarray, sharing: int) -> bool:
        """Whether the rows of the states that share a block fit into memory."""
        allowed = self.memory // (2 * _BYTES_OF_ROW)
        if sharing > allowed:
            return False
        return self.rows.transitions_of(~alone) + sharing <= allowed

    def _finish_in_memory(self, labels: np.ndarray, alone: np.ndarray) -> Partition:
        """Refine the rows of the states that share a block in memory; the others stand for themselves."""
        structure = self.structure
        states = np.flatnonzero(~alone)
        owner, positions = structure.entries_of(states)
        targets = structure.indices[positions]
        nodes = np.unique(np.concatenate([states, targets]))
        rest = WeightedStructure.from_edges(
            len(nodes),
            np.searchsorted(nodes, states)[owner],
            np.searchsorted(nodes, targets),
            structure.weights.take(positions),
        )
        rest = WeightedStructure(
            rest.indptr, rest.indices, rest.weights, Partition(labels[nodes]), structure.closed
        )
        self.rows.release()
        partition = refine(rest).partition
        found = labels.astype(np.int64)
        found[states] = structure.n + partition.labels[np.searchsorted(nodes, states)]
        return Partition(found)

    def _is_proved(self, partition: Partition) -> bool:
        """Whether sums into every block agree inside blocks, exactly."""
        structure, count = self.structure, len(partition)
        alone = np.bincount(partition.labels, minlength=count)[partition.labels] == 1
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
        terms = self.rows.longest()
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
