"""A table that fits into memory: its chain is built and lumped as any other chain."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np

from lumpability.errors import TrivialLumping, require
from lumpability.markov.chains import CTMC, DTMC
from lumpability.markov.lump import lump_chain
from lumpability.numbers.exact_array import ExactArray
from lumpability.partition import Partition
from lumpability.structure import WeightedStructure
from lumpability.tables.generator import check_row_sums, coded_rows, has_wide_quotient
from lumpability.tables.output import quotient_schema
from lumpability.tables.reading import Edges
from lumpability.tables.result import Found
from lumpability.tables.session import Session
from lumpability.tables.task import Task

_BATCH = 1 << 18  # rows


def refine_in_memory(task: Task, session: Session, edges: Edges) -> Found:
    """Lump the chain of a table with the engine for chains."""
    chain = (CTMC if edges.time == "continuous" else DTMC)(structure_of(session, edges))
    within = initial_partition(session, edges)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TrivialLumping)  # `lump_table` says it itself
        given: dict[str, Any] = {"respect": (), "ignore": (), "within": within}
        lumping = lump_chain(chain, kind=task.kind, engine="auto", progress=None, **given)
    partition, matrix = lumping.partition, lumping.quotient.matrix
    return found_in_memory(task, session, edges, partition, matrix, respected=len(within))


def structure_of(session: Session, edges: Edges) -> WeightedStructure:
    """Return the transitions of a table; those of a DTMC have been checked."""
    columns = session.arrays(coded_rows(edges))
    if edges.numerators is None:
        weights, _ = ExactArray.read(columns["code"])
    else:
        weights = ExactArray.of_values(columns["code"], edges.values)
    structure = WeightedStructure.from_edges(edges.n, columns["source"], columns["target"], weights)
    if edges.time == "discrete":
        check_row_sums(session, edges, structure, 0, edges.n)
    return structure


def initial_partition(session: Session, edges: Edges) -> Partition:
    """Return the initial partition of the table ``state``, where the name of a block is its least member."""
    labels = np.empty(edges.n, dtype=np.int32)
    for batch in session.batches("SELECT s, label FROM state"):
        labels[batch.column("s").to_numpy()] = batch.column("label").to_numpy()
    cuts = [slice(low, low + _BATCH) for low in range(0, edges.n, _BATCH)]
    states = np.arange(min(_BATCH, edges.n), dtype=np.int32)
    found = [
        np.flatnonzero(labels[cut] == states[: len(labels[cut])] + cut.start) + cut.start
        for cut in cuts
    ]
    first = np.concatenate([np.empty(0, dtype=np.int64), *found])
    for cut in cuts:
        labels[cut] = np.searchsorted(first, labels[cut])
    return Partition.from_canonical(labels, first)


def found_in_memory(
    task: Task,
    session: Session,
    edges: Edges,
    partition: Partition,
    matrix: WeightedStructure,
    *,
    respected: int,
    sweeps: int = 0,
) -> Found:
    """Return a partition and the matrix of its quotient, which are arrays, as what an engine has found."""
    arrow = require("pyarrow", extra="tables")
    first = partition.representatives
    session.register("first_members", arrow.table({"block": np.arange(len(first)), "least": first}))
    return Found(
        blocks=len(partition),
        transitions=matrix.m,
        respected=respected,
        rounds=sweeps,
        numbers=lambda: _numbers(partition),
        entries=lambda: _entries(task.kind, edges, partition, matrix),
        matrix=lambda: matrix,
        partition=lambda: partition,
        least="SELECT block, least FROM first_members",
    )


def _numbers(partition: Partition) -> Iterator[Any]:
    arrow = require("pyarrow", extra="tables")
    for low in range(0, partition.n, _BATCH):
        block = arrow.array(partition.labels[low : low + _BATCH].astype(np.int64))
        yield arrow.RecordBatch.from_arrays([block], ["block"])


def _entries(
    kind: str, edges: Edges, partition: Partition, matrix: WeightedStructure
) -> Iterator[Any]:
    """Yield the transitions between blocks, over the same denominators as the engines of SQL."""
    arrow = require("pyarrow", extra="tables")
    wide = has_wide_quotient(edges, kind)
    schema, number = quotient_schema(wide=wide), str if wide else Decimal
    sizes = partition.blocks.sizes if kind == "exact" else None
    for states in matrix.chunks():
        owner, targets, weights = matrix.rows(states)
        sources = states[owner]
        below = [edges.denominator] * len(sources)
        if sizes is not None:
            below = [edges.denominator * size for size in sizes[sources].tolist()]
        above = [value * over for value, over in zip(weights, below, strict=True)]
        assert all(value.denominator == 1 for value in above)
        numbers = ([number(value.numerator) for value in above], [number(x) for x in below])
        columns = [
            arrow.array(sources.astype(np.int64)),
            arrow.array(targets.astype(np.int64)),
            *(arrow.array(column, type=schema.field("numerator").type) for column in numbers),
        ]
        yield arrow.RecordBatch.from_arrays(columns, schema.names)
