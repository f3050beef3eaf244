"""The vectorised accelerator: rounds of fingerprints, for weights of any field.

Weights are given as residues modulo two primes below 2^31.  Every block has a random value in each prime
field, and a state has the fingerprint F(s) = sum over u of M[s, u] value(block of u).  A round splits
blocks by fingerprints and recomputes those of the predecessors of renamed states; the largest part of
a block keeps its name.  Equal sums into every block give equal fingerprints, so no split by `SUMS` separates states
that belong together.  For `SHARES`, F runs over the transitions out of the block and is divided by their total:
if v = c w with totals T(v), T(w) != 0 modulo p, then F(v) T(w) = F(w) T(v), and the quotients agree.  If a total
vanishes modulo p by accident, another prime is taken.
Different sums collide with probability about 2^-61; then a block stays too large.  So the result is checked
exactly, and a worklist repairs it.  O(m) for a round of all states, O(m log n) in all unless small parts keep
arising, plus some 0.2 ms for a round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.integers import primes_avoiding
from lumpability.partition import Partition
from lumpability.refinement import worklist
from lumpability.refinement.normal_form import SHARES, SUMS, NormalForm
from lumpability.refinement.stability import disagreement, is_stable
from lumpability.structure import WeightedStructure

__all__ = ["FieldTables", "Tables", "field_tables", "propose", "refine"]

_CHUNK = 1 << 21
_ATTEMPTS = 8
_FEW = 100  # for so few numbers a Python loop is faster than arrays
_BITS = 31

Array = np.ndarray[Any, Any]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class FieldTables:
    """The distinct weights of a structure as residues modulo two primes."""

    primes: tuple[int, int]
    residues: tuple[Array, Array]  # shape (k,): addressed by the codes of the weights


Tables = Callable[[int], FieldTables]
"""Residues for attempt 0, 1, ...: other primes, and for rational functions other points."""


def field_tables(weights: ExactArray) -> Tables:
    """Return residues of rational weights (up to one common factor) or parametric ones.

    Rational functions are evaluated at a random point of the field, one for each prime.
    """

    def tables(attempt: int) -> FieldTables:
        usable = primes_avoiding(weights.denominators if weights.is_rational else (), _BITS)
        p, q = islice(usable, 2 * attempt, 2 * attempt + 2)
        primes = p, q
        if weights.is_rational:
            first, second = weights.residues(p), weights.residues(q)
        else:
            from lumpability.numbers.parameters import evaluate_modulo

            first, second = (
                np.array(evaluate_modulo(weights.values, p, seed=attempt), dtype=np.uint64)
                for p in primes
            )
        return FieldTables(primes, (first, second))

    return tables


class _Unlucky(Exception):  # never leaves this file
    """A total that is not zero vanishes modulo the prime."""


def refine(
    structures: Sequence[WeightedStructure],
    within: Partition,
    normal: NormalForm = SUMS,
    *,
    progress: Progress | None = None,
) -> Partition:
    """Return the coarsest stable partition that refines `within`, proved stable.

    - structures: with positive weights for `SHARES`
    - normal: `SUMS` or `SHARES`
    - progress: called with (blocks so far, states) after every round

    >>> structure = WeightedStructure.from_edges(4, [0, 0, 1, 1], [2, 3, 2, 3], [1, 2, 3, 6])
    >>> start = Partition.of([0, 0, 1, 2])
    >>> refine([structure], start, SHARES), refine([structure], start)
    (Partition([[0, 1], [2], [3]]), Partition([[0], [1], [2], [3]]))
    """
    structures = [structure.explicit() for structure in structures]
    found = within
    while True:
        before = found
        for structure in structures:
            found = propose(structure, found, field_tables(structure.weights), normal, progress)
        if len(structures) == 1 or len(found) == len(before):
            break
    if all(_is_proved(structure, found, normal) for structure in structures):
        return found
    # Different sums collided.  The worklist goes on from there: it splits, and proves.
    return worklist.refine(structures, found, normal)


def _is_proved(structure: WeightedStructure, found: Partition, normal: NormalForm) -> bool:
    if normal is SUMS and not structure.weights.is_rational:
        return structure.weights.components is not None and is_stable(structure, found)
    return disagreement(structure, found, normal) is None


def propose(
    structure: WeightedStructure,
    within: Partition,
    tables: Tables,
    normal: NormalForm = SUMS,
    progress: Progress | None = None,
) -> Partition:
    """Return a partition that is stable modulo two primes and no finer than the coarsest stable one.

    If totals of shares vanish modulo every prime that is tried, it is the partition after the splits so far.

    - tables: ``tables(attempt)`` gives residues of ``structure.weights.values``.
    """
    partition = within
    if structure.n == 0 or structure.m == 0:
        return partition
    for number in range(_ATTEMPTS):
        rounds = _Rounds(structure, partition, tables(number), normal is SHARES, seed=number)
        try:
            return rounds.run(progress)
        except _Unlucky:
            partition = Partition(rounds.label)  # the splits so far are right
    return partition


class _Rounds:
    """The state of a refinement.

    Invariant: between rounds, states of one block have equal fingerprints, where the fingerprint of a
    state is up to date unless it, or a successor, was renamed in the last round.
    """

    def __init__(
        self,
        structure: WeightedStructure,
        within: Partition,
        tables: FieldTables,
        shares: bool,
        *,
        seed: int,
    ) -> None:
        n = structure.n
        self.structure, self.shares, self.tables = structure, shares, tables
        self.label: Array = within.labels.astype(np.int32)
        self.blocks = len(within)
        self.sizes = np.zeros(n, dtype=np.int64)
        self.sizes[: self.blocks] = within.blocks.sizes
        random = np.random.default_rng(seed)
        self.values = [random.integers(1, p, n, dtype=np.uint64) for p in tables.primes]
        self.prints = np.zeros(n, dtype=np.uint64)

    def run(self, progress: Progress | None) -> Partition:
        """Refine until no block splits."""
        dirty = np.flatnonzero(self.sizes[self.label] > 1)
        first = True
        while len(dirty):
            prints = self._fingerprints(dirty)
            moved = np.ones(len(dirty), bool) if first else prints != self.prints[dirty]
            self.prints[dirty] = prints
            renamed = self._split(dirty[moved])
            dirty = self._depending_on(renamed)
            first = False
            if progress is not None:
                progress(self.blocks, len(self.label))
        return Partition(self.label)

    def _depending_on(self, renamed: Array) -> Array:
        """Return the states whose fingerprint may have changed and whose block may split."""
        incoming = self.structure.transposed
        _, positions = incoming.entries_of(renamed)
        states = incoming.indices[positions]
        if self.shares:  # other transitions leave the block of a renamed state
            states = np.concatenate([states, renamed.astype(np.int32)])
        states = states[self.sizes[self.label[states]] > 1]
        if len(states) > len(self.label) // 16:
            marked = np.zeros(len(self.label), dtype=bool)
            marked[states] = True
            return np.flatnonzero(marked)
        return np.unique(states)

    def _split(self, moved: Array) -> Array:
        """Split blocks by the fingerprints that changed; return the renamed states."""
        if not len(moved):
            return moved
        block = self.label[moved]
        order = np.lexsort((self.prints[moved], block))
        moved, block = moved[order], block[order]
        prints = self.prints[moved]
        begins = np.ones(len(moved), dtype=bool)
        begins[1:] = (block[1:] != block[:-1]) | (prints[1:] != prints[:-1])
        group = np.cumsum(begins) - 1
        starts = np.flatnonzero(begins)
        size = np.diff(np.append(starts, len(moved)))
        of_block = block[starts]
        # One part keeps the name: the states that did not change, or else the largest group.
        changed = np.bincount(of_block, weights=size, minlength=self.blocks).astype(np.int64)
        by_size = np.lexsort((-size, of_block))
        largest = np.zeros(len(starts), dtype=bool)
        largest[by_size[np.append(True, np.diff(of_block[by_size]) != 0)]] = True
        named = largest & (changed[of_block] == self.sizes[of_block])
        new_names = self.blocks + np.cumsum(~named) - 1
        name = np.where(named, of_block, new_names).astype(np.int32)
        parts = np.flatnonzero(~named)
        np.subtract.at(self.sizes, of_block[parts], size[parts])
        self.sizes[name[parts]] = size[parts]
        self.blocks += len(parts)
        self.label[moved] = name[group]
        renamed: Array = moved[~named[group]]
        return renamed

    def _fingerprints(self, states: Array) -> Array:
        result = np.empty(len(states), dtype=np.uint64)
        lengths = np.diff(self.structure.indptr)[states]
        for low, high in _chunks(lengths):
            first, second = self._fingerprints_of(states[low:high])
            result[low:high] = (first << np.uint64(_BITS)) | second
        return result

    def _fingerprints_of(self, states: Array) -> list[Array]:
        structure = self.structure
        owner, positions = structure.entries_of(states)
        block = self.label[structure.indices[positions]]
        codes = structure.weights.codes[positions]
        if self.shares:
            leaves = block != self.label[states][owner]
            owner, block, codes = owner[leaves], block[leaves], codes[leaves]
        bounds = np.searchsorted(owner, np.arange(len(states) + 1))
        result = []
        for p, table, values in zip(
            self.tables.primes, self.tables.residues, self.values, strict=True
        ):
            modulus, weights = np.uint64(p), table[codes]
            prints = _segment_sums(weights * values[block] % modulus, bounds) % modulus
            if self.shares:
                totals = _segment_sums(weights, bounds) % modulus
                if np.any((totals == 0) & (bounds[1:] > bounds[:-1])):
                    raise _Unlucky
                # A state without transitions out of its block has total and fingerprint zero.
                prints = prints * _inverses(totals, p) % modulus
            result.append(prints)
        return result


def _chunks(lengths: Array) -> Iterator[tuple[int, int]]:
    """Cut a list of rows into ranges of about two million entries, at least one row each."""
    ends = np.cumsum(lengths)
    low = 0
    while low < len(lengths):
        done = int(ends[low - 1]) if low else 0
        high = max(low + 1, int(np.searchsorted(ends, done + _CHUNK, side="right")))
        yield low, high
        low = high


def _segment_sums(terms: Array, bounds: Array) -> Array:
    """Sum segments of numbers below 2^31; at most 2^33 of them cannot overflow."""
    running = np.zeros(len(terms) + 1, dtype=np.uint64)
    np.cumsum(terms, out=running[1:])
    sums: Array = running[bounds[1:]] - running[bounds[:-1]]
    return sums


def _inverses(numbers: Array, p: int) -> Array:
    """Return inverses modulo p by Fermat's theorem, x^(p - 2), once for each distinct number; 0 stays 0."""
    if len(numbers) < _FEW:
        few = [pow(x, -1, p) if x else 0 for x in numbers.tolist()]
        return np.array(few, dtype=np.uint64)
    distinct, place = np.unique(numbers, return_inverse=True)
    modulus, power = np.uint64(p), distinct
    result = np.ones(len(distinct), dtype=np.uint64)
    exponent = p - 2
    while exponent:
        if exponent & 1:
            result = result * power % modulus
        power = power * power % modulus
        exponent >>= 1
    inverses: Array = result[place]
    return inverses
