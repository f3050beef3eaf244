"""Chains and families of chains as edge tables: the transitions as one file, states with labels as another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput, require
from lumpability.files import replacing
from lumpability.markov.chains import CTMC, MarkovChain
from lumpability.markov.examples.families import Family
from lumpability.numbers.exact_array import ExactArray
from lumpability.tables.output import parquet_writer, write_table
from lumpability.tables.reading import LARGEST_WORD

_STATES = 1 << 17  # of a range of a family


def write_chain(chain: MarkovChain, edges: str | Path, states: str | Path | None = None) -> None:
    """Write a chain of the library as tables that `lump_table` reads.

    Numbers are integers if all of them are, and have 64 bits, and otherwise texts such as "1/3".  States are the
    numbers 0 .. n-1; one without transitions has one of rate 0 to itself.

    Parameters
    ----------
    chain : CTMC or DTMC
        Without parameters.
    edges, states : path
        ``.parquet`` or ``.csv``; the second one gets labels, rewards per time, and the initial distribution.

    Raises
    ------
    InvalidInput
        If the chain has parameters, or rewards of transitions.

    Examples
    --------
    >>> import tempfile
    >>> from lumpability.markov.examples import tandem
    >>> from lumpability.tables import lump_table, write_chain
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_chain(tandem(4, 3), f"{folder}/edges.parquet", f"{folder}/states.parquet")
    ...     lump_table(f"{folder}/edges.parquet", states=f"{folder}/states.parquet", respect="first full")
    TableLumping(ordinary: 20 states -> 5 blocks, Q V = V Q^ holds exactly)
    """
    arrow = require("pyarrow", extra="tables")
    if not chain.matrix.weights.is_rational:
        raise InvalidInput("a chain with parameters has no edge table: substitute numbers first")
    name = "rate" if isinstance(chain, CTMC) else "probability"
    whole = all(x.denominator == 1 and x < LARGEST_WORD for x in chain.matrix.weights.values)
    kind = arrow.int64() if whole else arrow.string()
    schema = arrow.schema([("source", arrow.int64()), ("target", arrow.int64()), (name, kind)])
    rows = (
        arrow.record_batch(
            [arrow.array(x, field.type) for x, field in zip(columns, schema, strict=True)], schema
        )
        for columns in _transitions(chain, whole)
    )
    write_table(edges, rows, schema, {})
    if states is not None:
        attributes = arrow.record_batch(_attributes(chain))
        write_table(states, [attributes], attributes.schema, {})


def write_family(family: Family, edges: str | Path, states: str | Path) -> None:
    """Write the transitions and the states of a family as Parquet files; both, or none of them.

    Files are written range after range of states, so that chains of any size need little memory.

    Parameters
    ----------
    family : Family
        Of `lumpability.markov.examples.families`: ``planted_blocks``, ``tandem``, ``components``.
    edges, states : path

    Raises
    ------
    FormatError
        If a file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from lumpability.markov.examples.families import components
    >>> from lumpability.tables import lump_table, write_family
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     edges, states = f"{folder}/edges.parquet", f"{folder}/states.parquet"
    ...     write_family(components(4, crew=2), edges, states)
    ...     lump_table(edges, states=states)
    TableLumping(ordinary: 81 states -> 15 blocks, Q V = V Q^ holds exactly)
    """
    arrow = require("pyarrow", extra="tables")
    whole = all(rate.denominator == 1 for rate in family.rates)
    kind = arrow.int64() if whole else arrow.string()
    numbers = arrow.array([int(r) if whole else str(r) for r in family.rates], type=kind)
    names = list(family.labels(np.arange(0)))
    key = arrow.int64()
    schemas = (
        arrow.schema([("source", key), ("target", key), ("rate", kind)]),
        arrow.schema([("state", key), *((name, arrow.bool_()) for name in names)]),
    )
    with replacing([edges, states]) as files:
        writers = list(map(parquet_writer, files, schemas))
        for low in range(0, family.n, _STATES):
            chosen = np.arange(low, min(low + _STATES, family.n))
            columns = [np.concatenate(column) for column in zip(*family.moves(chosen), strict=True)]
            order = np.argsort((columns[0] - low) * family.n + columns[1], kind="stable")
            source, target, place = (column[order] for column in columns)
            table = [source, target, numbers.take(arrow.array(place))]
            writers[0].write_table(arrow.table(table, schema=schemas[0]))
            marked = [chosen, *family.labels(chosen).values()]
            writers[1].write_table(arrow.table(marked, schema=schemas[1]))
        for writer in writers:
            writer.close()


def _transitions(chain: MarkovChain, whole: bool) -> Iterator[list[Any]]:
    matrix = chain.matrix
    values = [int(value) if whole else str(value) for value in matrix.weights.values]
    table = np.array(values, dtype=np.int64 if whole else object)
    alone = np.diff(matrix.indptr) == 0
    for states in matrix.chunks():
        owner, positions = matrix.entries_of(states)
        alone[matrix.indices[positions]] = False
        yield [states[owner], matrix.indices[positions], table[matrix.weights.codes[positions]]]
    lonely = np.flatnonzero(alone)
    yield [lonely, lonely, np.full(len(lonely), 0 if whole else "0", table.dtype)]


def _attributes(chain: MarkovChain) -> dict[str, Any]:
    columns: dict[str, Any] = {"state": np.arange(chain.n), **chain.labels}
    for name, reward in chain.rewards.items():
        if reward.action is not None or reward.state is None:
            raise InvalidInput(
                f"the reward {name!r} is earned by transitions, and a table of states has no place for it",
                name=name,
            )
        columns[name] = _numbers(reward.state)
    if chain.initial is not None:
        columns["initial"] = _numbers(chain.initial)
    return columns


def _numbers(array: ExactArray) -> Any:
    """Return exact numbers as the nearest doubles, which are read as the rationals that were meant."""
    table = np.array([float(value) for value in array.values], dtype=np.float64)
    return table[array.codes]
