"""The hybrid of tables and memory: when the rows that can still split fit into memory, they are finished there.

A block of one state never splits, so the rows of such states are not needed any more; as targets of others
they only stand for themselves.  The rows of the other states make a structure of their own, in which every
such target is a state without transitions, alone in its block.  Its coarsest stable partition is that of
the table, restricted to the states that shared a block.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lumpability.errors import require
from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition
from lumpability.refinement import refine
from lumpability.structure import WeightedStructure
from lumpability.tables.generator import integer_of
from lumpability.tables.rounds import Rounds

Array = np.ndarray[Any, Any]
_BYTES_OF_ROW = 80
_PENDING = "(SELECT state.s, state.label FROM state JOIN size ON state.label = size.label)"


def finish_in_memory(rounds: Rounds, pending: int) -> bool:
    """Refine what is left in memory and rename the states, if it fits; whether it did."""
    database, n = rounds.database, rounds.statements.n
    allowed = database.memory // (2 * _BYTES_OF_ROW)
    if (
        pending * rounds.rows > 4 * allowed * n
    ):  # far too many, if states have about equally many rows
        return False
    rows = database.value(f"SELECT count(*) FROM gen JOIN {_PENDING} p ON gen.source = p.s")
    if rows + pending > allowed:
        return False
    moduli = rounds.statements.moduli
    columns = ", ".join(f"gen.w{i}" for i in range(len(moduli)))
    found = database.arrays(
        f"SELECT gen.source, gen.target, {columns} FROM gen JOIN {_PENDING} p ON gen.source = p.s"
    )
    names = database.arrays(
        "SELECT state.s, state.label FROM state JOIN (SELECT s FROM "
        f"{_PENDING} UNION SELECT gen.target FROM gen JOIN {_PENDING} p ON gen.source = p.s) used "
        "ON state.s = used.s ORDER BY state.s"
    )
    states, labels = names["s"], names["label"]
    matrices = []
    count = len(moduli) // moduli.count(moduli[0])  # columns of a matrix
    for first in range(0, len(moduli), count):
        residues = [found[f"w{first + i}"] for i in range(count)]
        given = residues[0]
        if moduli[0]:
            rows = zip(*(column.tolist() for column in residues), strict=True)
            given = [integer_of(row, moduli[:count]) for row in rows]
        matrices.append(ExactArray.read(given)[0])
    within = Partition(labels)
    partition = refine_rest(states, within, found["source"], found["target"], matrices)
    _rename(rounds, states, labels, within, partition)
    return True


def refine_rest(
    states: Array,
    within: Partition,
    sources: Array,
    targets: Array,
    matrices: list[ExactArray],
    *,
    closed: bool = False,
) -> Partition:
    """Return the coarsest stable partition of states, some of which have rows; their numbers ascend."""
    ends = np.searchsorted(states, sources), np.searchsorted(states, targets)
    made = (WeightedStructure.from_edges(len(states), *ends, weights) for weights in matrices)
    return refine(
        [WeightedStructure(x.indptr, x.indices, x.weights, within, closed) for x in made]
    ).partition


def _rename(
    rounds: Rounds, states: Array, labels: Array, within: Partition, partition: Partition
) -> None:
    """Give the parts of every block new names, except the one with its least member."""
    arrow = require("pyarrow", extra="tables")
    first = partition.representatives
    keeps = np.zeros(len(partition), dtype=bool)
    keeps[partition.labels[within.representatives]] = True
    moved = ~keeps[partition.labels]
    number = rounds.number + 1
    new = number * rounds.statements.n + states[first[partition.labels]]
    table = arrow.table({"u": states[moved], "old": labels[moved], "label": new[moved]})
    database = rounds.database
    database.register("finished", table)
    with database.transaction():
        rounds.number = number
        rounds.rename(
            "SELECT u, old, label, CAST(0 AS BIGINT) AS delta FROM finished", int((~keeps).sum())
        )
        rounds.save(proving=True)
