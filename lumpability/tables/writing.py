"""Chains as edge tables: the transitions as one file, states with labels and rewards as another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lumpability.errors import InvalidInput, require
from lumpability.markov.chains import CTMC, MarkovChain
from lumpability.numbers.exact_array import ExactArray
from lumpability.tables.output import write_table
from lumpability.tables.reading import LARGEST_WORD


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
