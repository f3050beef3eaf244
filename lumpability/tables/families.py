"""Families of chains written straight to Parquet files, so that chains of any size need little memory.

A family says which transitions leave a range of states; files are written range after range.  The
chains are those of `lumpability.markov.examples` where the names agree, and so are their lumpings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np

from lumpability.errors import require
from lumpability.files import replacing
from lumpability.markov.examples.building import need_at_least, read_rates

_STATES = 1 << 17  # of a range
_PACKED = (("source", "target"), ("state",))  # columns of numbers that hardly repeat
_PLANTED_DEGREE, _PLANTED_RATES = 10, 100

Array = np.ndarray[Any, Any]
Moves = list[tuple[Array, Array, Array]]
"""Groups of transitions: sources, targets, and the places of the rates."""


@dataclass(frozen=True)
class Family:
    """A chain given by a function of its states.

    Attributes
    ----------
    n : int
        Number of states.
    rates : tuple of Fraction
        Distinct rates (1/time).
    moves : callable
        Returns the transitions of an array of states.
    labels : callable
        Returns the labels of an array of states, as boolean arrays by name.

    Examples
    --------
    >>> family = tandem(4, 3)
    >>> family.n, sum(len(source) for source, _, _ in family.moves(np.arange(family.n)))
    (20, 47)
    """

    n: int
    rates: tuple[Fraction, ...]
    moves: Callable[[Array], Moves]
    labels: Callable[[Array], dict[str, Array]]


def write_family(family: Family, edges: str | Path, states: str | Path) -> None:
    """Write the transitions and the states of a family as Parquet files; both, or none of them.

    Raises `FormatError` if a file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from lumpability.tables import lump_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     edges, states = f"{folder}/edges.parquet", f"{folder}/states.parquet"
    ...     write_family(components(4, crew=2), edges, states)
    ...     lump_table(edges, states=states)
    TableLumping(ordinary: 81 states -> 15 blocks, Q V = V Q^ holds exactly)
    """
    arrow, parquet = require("pyarrow", extra="tables"), require("pyarrow.parquet", extra="tables")
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
        writers = [
            parquet.ParquetWriter(
                file,
                schema,
                compression="zstd",
                use_dictionary=[name for name in schema.names if name not in packed],
                column_encoding=dict.fromkeys(packed, "DELTA_BINARY_PACKED"),
            )
            for file, schema, packed in zip(files, schemas, _PACKED, strict=True)
        ]
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


def planted_blocks(states: int, *, seed: int = 0) -> Family:
    """Return a random chain of about sqrt(states) equal blocks, ten transitions from every state.

    State s belongs to block s mod k.  Each block has ten random blocks as targets, with random rates
    1, ..., 100, and each of its states chooses a random member of each of them.  The label ``first`` marks
    block 0.  The coarsest ordinary lumping is nearly always that by blocks.

    Parameters
    ----------
    states : int
        At least 400; rounded down to a multiple of k.

    Examples
    --------
    >>> planted_blocks(10_000).n
    10000
    """
    need_at_least(400, states=states)
    count = isqrt(states)
    n = count * (states // count)
    random = np.random.default_rng([seed, states])
    strides = random.integers(1, count // _PLANTED_DEGREE + 1, size=(count, _PLANTED_DEGREE))
    strides[:, 0] = random.integers(count, size=count)
    blocks = np.cumsum(strides, axis=1) % count  # distinct: the other strides sum to less than k
    places = random.integers(_PLANTED_RATES, size=blocks.shape)

    def moves(chosen: Array) -> Moves:
        block = chosen % count
        drawn = np.random.default_rng([seed, states, int(chosen[0])])
        members = drawn.integers(n // count, size=(len(chosen), _PLANTED_DEGREE))
        target = members * count + blocks[block]
        source = np.repeat(chosen, _PLANTED_DEGREE)
        return [(source, target.ravel(), places[block].ravel())]

    rates = tuple(Fraction(rate) for rate in range(1, _PLANTED_RATES + 1))
    return Family(n, rates, moves, lambda chosen: {"first": chosen % count == 0})


def tandem(
    first: int, second: int, *, arrival: Any = 1, first_service: Any = 2, second_service: Any = 3
) -> Family:
    """Return two queues in series; see `lumpability.markov.examples.tandem`.

    Examples
    --------
    >>> tandem(4, 3).rates
    (Fraction(1, 1), Fraction(2, 1), Fraction(3, 1))
    """
    need_at_least(1, first=first, second=second)
    rates = read_rates(arrival=arrival, first=first_service, second=second_service)

    def moves(chosen: Array) -> Moves:
        i, j = chosen // (second + 1), chosen % (second + 1)
        passing, lost = chosen[(i > 0) & (j < second)], chosen[(i > 0) & (j == second)]
        arriving, served = chosen[i < first], chosen[j > 0]
        return [
            _group(arriving, arriving + second + 1, 0),
            _group(passing, passing - second, 1),
            _group(lost, lost - second - 1, 1),
            _group(served, served - 1, 2),
        ]

    def labels(chosen: Array) -> dict[str, Array]:
        i, j = chosen // (second + 1), chosen % (second + 1)
        return {"first full": i == first, "second empty": j == 0}

    return Family((first + 1) * (second + 1), tuple(rates), moves, labels)


def components(
    count: int,
    *,
    crew: int = 1,
    failure: Any = "1/100",
    detection: Any = 2,
    repair: Any = 1,
) -> Family:
    """Return equal components that share a repair crew; see `lumpability.markov.examples.components`.

    Examples
    --------
    >>> components(18, crew=3).n
    387420489
    """
    need_at_least(1, count=count, crew=crew)
    failing, finding, mending = read_rates(failure=failure, detection=detection, repair=repair)
    shares = [mending * min(d, crew) / d for d in range(1, count + 1)]
    units = [3**place for place in range(count)]

    def moves(chosen: Array) -> Moves:
        conditions = [chosen // unit % 3 for unit in units]
        under_repair = sum(condition == 2 for condition in conditions)
        found = []
        for unit, condition in zip(units, conditions, strict=True):
            for now, step in ((0, unit), (1, unit)):
                there = chosen[condition == now]
                found.append(_group(there, there + step, now))
            there = condition == 2
            source = chosen[there]
            found.append((source, source - 2 * unit, 1 + under_repair[there]))
        return found

    def labels(chosen: Array) -> dict[str, Array]:
        intact = [chosen // unit % 3 == 0 for unit in units]
        return {"all intact": chosen == 0, "none intact": ~np.logical_or.reduce(intact)}

    return Family(3**count, (failing, finding, *shares), moves, labels)


def _group(source: Array, target: Array, place: int) -> tuple[Array, Array, Array]:
    return source, target, np.full(len(source), place)
