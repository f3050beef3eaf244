"""What tests of the compiled kernel share: structures worth refining, and its arrays between rounds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from lumpability.numbers.integers import prime
from lumpability.numbers.residues import combined_residues, moduli
from lumpability.partition import Partition
from lumpability.refinement import definition, kernel
from lumpability.refinement.kernel import arrays as arrays_module
from lumpability.refinement.kernel import follow, settle, sweep
from lumpability.refinement.kernel.arrays import (
    ALONE,
    BLOCK,
    COUNT,
    Field,
    Following,
    Rows,
    Sweeping,
    block_value,
)
from lumpability.refinement.kernel.follow import (
    END,
    NONE,
    REST,
    ROLE,
    Agenda,
    Incoming,
    begin,
    follow_changes,
    transposed,
)
from lumpability.refinement.kernel.sweep import sweep_all
from lumpability.structure import WeightedStructure

Array = np.ndarray[Any, Any]
P = prime(0)
EVERYTHING = 1 << 40  # more than any budget that is spent

PATHS: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "by rounds": {"_ROW_LENGTH": 0},
    "only sweeping": {"_ROW_LENGTH": 0, "_EAGER": inf, "_TRANSPOSE_COST": inf},
    "following": {"_ROW_LENGTH": 0, "_SWEEP_COST": 1e9},
    "following and sweeping": {"_ROW_LENGTH": 0, "_EAGER": 0, "_RETURN": 0.3},
    "in small budgets": {"_ROW_LENGTH": 0, "_SWEEP_COST": 1e9, "_BUDGET": 1},
    "on several threads": {"_ROW_LENGTH": 0, "_HAND_OUT_COST": 0, "_FETCH_COST": 0},
}
"""Constants of the kernel by which it goes one way; nothing settles where rows may have no transitions."""

MODULES = (kernel, settle, sweep, follow, arrays_module)


def take(path: str, patch: pytest.MonkeyPatch) -> None:
    """Make the kernel go one way."""
    for name, value in PATHS[path].items():
        patch.setattr(next(m for m in MODULES if hasattr(m, name)), name, value)


def only_primes(components: tuple[Any, ...]) -> Iterator[int]:
    """The moduli without 2^64."""
    return filter(None, moduli(components))


def field_modulo(p: int, seed: int, residues: Array) -> Field:
    return Field.modulo(p, seed, residues)


def row_sums(rows: Rows, p: int) -> Array:
    """The sum of each row, where rows are closed."""
    weights = rows.residues[rows.codes].tolist()
    ends = rows.indptr.tolist() if rows.closed else []
    sums = [sum(weights[low:high]) % (p or 2**64) for low, high in pairwise(ends)]
    return np.array(sums, dtype=np.uint64)


def value_of(name: int, field: Field) -> int:
    return int(block_value(name, field))


@st.composite
def scattered(draw: st.DrawFn, *, max_states: int = 40) -> WeightedStructure:
    """State 0 is a block of its own and nothing goes there.

    Under the seed 0 the first block has the value 0, so that sums into it do not show.
    """
    n = draw(st.integers(2, max_states))
    m = draw(st.integers(1, 3)) * n
    weights = draw(st.sampled_from([[1], [1, 2, 3], [1, -1], [-2, -1, 1, 3]]))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    marks = 1 + (random.integers(0, n, n) == 0)
    marks[0] = 0
    structure = WeightedStructure.from_edges(
        n,
        random.integers(0, n, m),
        random.integers(1, n, m),
        random.choice(weights, m),
        within=Partition(marks),
    )
    return replace(structure, closed=draw(st.booleans()))


@st.composite
def unfolded(draw: st.DrawFn) -> WeightedStructure:
    """Copies of states whose transitions differ in where they go only, so that there are many rounds.

    Where rows are closed, sums into the own block do not matter, and weights may differ.
    """
    kinds, copies, degree = (
        draw(st.integers(6, 20)),
        draw(st.integers(1, 3)),
        draw(st.integers(2, 4)),
    )
    closed = draw(st.booleans())
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = kinds * copies
    kind = np.arange(n) % kinds
    weights = np.tile(draw(st.sampled_from([[1, 2, 3, 4], [1, 1, 1, 1], [1, -1, 2, -2]])), (n, 1))
    if closed:
        weights = random.integers(1, 4, (kinds, 4))[kind]
        weights[:, 3] = random.integers(1, 6, n)  # to another copy of the same
    targets = random.integers(0, kinds, (kinds, 4))[kind]
    targets[:, 3] = np.where(closed, kind, targets[:, 3])
    targets += kinds * random.integers(0, copies, (n, 4))
    chosen = np.s_[:, 4 - degree :]
    marked = Partition(kind < draw(st.integers(1, 2)))
    structure = WeightedStructure.from_edges(
        n,
        np.repeat(np.arange(n), degree),
        targets[chosen].ravel(),
        weights[chosen].ravel(),
        within=marked,
    )
    return replace(structure, closed=closed)


def one_round(explicit: WeightedStructure, partition: Partition) -> Partition:
    """Split all blocks by sums into all blocks, by the definition."""
    keys = [
        (int(block), frozenset(definition.block_sums(explicit, partition, state).items()))
        for state, block in enumerate(partition.labels)
    ]
    return Partition.of(lambda state: keys[state], states=partition.n)


@dataclass
class Rounds:
    """A refinement after its first sweep, ready to follow, and what is passed from round to round."""

    structure: WeightedStructure
    rows: Rows
    field: Field
    arrays: Following
    incoming: Incoming
    agenda: Agenda
    count: int
    moved: int
    new: int
    lone: int = 0

    @property
    def numbers(self) -> Array:
        """A number for the block of every state, its own where it is alone."""
        labels = self.arrays.labels
        states = np.arange(len(labels))
        numbers: Array = np.where(labels == ALONE, len(labels) + states, labels).astype(np.int64)
        return numbers

    @property
    def partition(self) -> Partition:
        return Partition(self.numbers)

    @property
    def parts(self) -> list[Array]:
        """The states of each part that is to be followed."""
        found = []
        for splitter in self.arrays.splitters[1 : self.agenda.splitters + 1].tolist():
            if splitter[ROLE] == REST:
                found.append(np.flatnonzero(self.numbers == splitter[BLOCK] % 2**32))
            elif splitter[ROLE] != NONE:
                end = splitter[END] % 2**32
                found.append(np.sort(self.arrays.members[end - splitter[COUNT] : end]))
        return found

    def follow(self, *, budget: int = 1) -> None:
        """Follow for one round, or for as many as the budget allows."""
        before = self.count
        self.agenda, self.count, self.moved, self.lone = follow_changes(
            self.agenda, self.count, EVERYTHING, budget, self.incoming, self.field, self.arrays
        )
        self.new = self.count - before

    def finish(self) -> None:
        """Follow until nothing moves."""
        if self.moved:
            self.follow(budget=EVERYTHING)


def begun(structure: WeightedStructure, p: int, seed: int) -> Rounds:
    """Sweep once from the initial partition, and transpose the rows."""
    s, fresh = structure, len(structure.within)
    components = s.weights.components
    assert components is not None
    table = combined_residues(components, p, seed)
    rows = Rows.of(s, table)
    field, sweeping = field_modulo(p, seed, table), Sweeping.over(s.n, s.closed)
    sweeping.leaving[:] = row_sums(rows, p)
    arrays = Following.after(sweeping)
    arrays.members[:] = 0  # not what the memory held before
    lone = sweep.fill(s.within.labels, fresh, field, sweeping)
    count, moved, more = swept(fresh, rows, field, sweeping)
    alone = sweeping.alone
    incoming = transposed(rows, sweeping.leaving, alone, int(np.count_nonzero(alone)))
    agenda = begin(fresh, count, incoming, arrays)
    return Rounds(
        s, rows, field, arrays, incoming, agenda, count, moved, count - fresh,
        lone=lone + more,
    )  # fmt: skip


def swept(count: int, rows: Rows, field: Field, arrays: Sweeping) -> tuple[int, int, int]:
    """Split all blocks by fresh fingerprints; return what `split` does."""
    return sweep_all(count, rows, field, arrays)
