"""The matrices that kinds of lumpability compare, as one table of integer weights.

============  ===========================================  =======================================
kind          of a CTMC                                    of a DTMC
============  ===========================================  =======================================
ordinary      Q, its diagonal -sum of the row stored       P
bisimulation  R, self-loops included                       P
exact         Q transposed                                 P transposed
strict        Q and its transposed matrix, two weights     P and its transposed matrix
============  ===========================================  =======================================

If sums of weights have more than 63 bits, each weight is a number of columns, its residues modulo primes (`moduli_of`).

Rows of Q and of P have one sum.  For the others a first split compares the sums of rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np

from lumpability.errors import InvalidChain, require
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.integers import primes_beyond
from lumpability.numbers.rationals import shown
from lumpability.structure import WeightedStructure
from lumpability.tables.database import Database
from lumpability.tables.dialects import DUCKDB, Dialect
from lumpability.tables.output import DIGITS
from lumpability.tables.reading import LARGEST_WORD, Edges, key_of
from lumpability.tables.session import INTEGERS

TABLE_KINDS = ("ordinary", "bisimulation", "exact", "strict")
"""The kinds that edge tables have."""
STREAMED_KINDS = ("ordinary", "bisimulation")
"""The kinds that compare rows of the matrix as they are listed, and so can be streamed."""


def is_balanced(kind: str, time: str) -> bool:
    """Whether all rows of the matrix have the same sum."""
    return kind == "ordinary" or (kind == "bisimulation" and time == "discrete")


def _matrix(kind: str, time: str, count: int) -> str:
    """Return the query of the table ``gen`` over the view ``numbered_edges``, without the diagonal of a generator.

    - count: of columns of weights of one matrix, see `moduli_of`
    """
    edges = "SELECT * FROM numbered_edges" + " WHERE source <> target" * _has_diagonal(kind, time)
    own, zeros = [f"w{i}" for i in range(count)], ["0"] * count
    ways = {
        "exact": [("target", "source", own)],
        "strict": [("source", "target", [*own, *zeros]), ("target", "source", [*zeros, *own])],
    }.get(kind, [("source", "target", own)])
    parts = []
    for source, target, weights in ways:
        named = ", ".join(f"{weight} AS w{i}" for i, weight in enumerate(weights))
        parts.append(f"SELECT {source} AS source, {target} AS target, {named} FROM ({edges})")
    return " UNION ALL ".join(parts)


def _has_diagonal(kind: str, time: str) -> bool:
    return time == "continuous" and kind != "bisimulation"


def _diagonal(kind: str, primes: tuple[int, ...]) -> str:
    """Return the query of the rows that a generator's diagonal adds to ``gen``: what leaves a state, negative."""
    exits = [f"({p} - sum(w{i}) % {p}) % {p}" if p else f"-sum(w{i})" for i, p in enumerate(primes)]
    ends = ["target" if kind == "exact" else "source"] * 2
    columns = dict(zip(("source", "target"), ends, strict=True))
    columns |= {
        f"w{i}": f"CAST({term} AS BIGINT)"
        for i, term in enumerate(exits * (2 if kind == "strict" else 1))
    }
    named = ", ".join(f"{term} AS {name}" for name, term in columns.items())
    own = " OR ".join(f"w{i} <> 0" for i in range(len(primes)))  # not of the transposed matrix
    return f"SELECT {named} FROM gen WHERE {own} GROUP BY {ends[0]}"


def number_rows(session: Database, edges: Edges, primes: tuple[int, ...]) -> None:
    """Name the transitions of positive weight for statements: the view ``numbered_edges``.

    Its columns are source, target and w0, ...: the weight, or its residues modulo primes.
    """
    whole = edges.denominator == 1 and session.columns("raw")["rate"] in INTEGERS
    if primes == (0,):
        values = ["raw.rate" if whole or edges.numerators is None else "rates.w"]
    elif edges.numerators is None:
        values = [f"raw.rate % {p}" for p in primes]
    else:
        arrow = require("pyarrow", extra="tables")
        columns: dict[str, list[int]] = {"code": list(range(len(edges.numerators)))}
        columns |= {f"w{i}": [x % p for x in edges.numerators] for i, p in enumerate(primes)}
        session.register("residues", arrow.table(columns))
        values = [f"residues.w{i}" for i in range(len(primes))]
    named = {f"w{i}": value for i, value in enumerate(values)}
    positive = " OR ".join(f"{value} <> 0" for value in values)
    session.run(
        f"CREATE OR REPLACE TEMP VIEW numbered_edges AS {_numbered(edges, named)} WHERE {positive}"
    )


def coded_rows(edges: Edges) -> str:
    """Return a query of source, target and code of every transition, zeros included.

    The code is the place of the rate in ``edges.numerators``, or the rate itself where those are not listed.
    """
    return _numbered(edges, {"code": "raw.rate" if edges.numerators is None else "rates.code"})


def _numbered(edges: Edges, values: dict[str, str]) -> str:
    """Return a query of the transitions by the numbers of their states, with values by name."""
    source, joins = edges.number_of("raw.source", "a")
    target, other = edges.number_of("raw.target", "b")
    joins += other
    tables = {value.partition(".")[0] for value in values.values()}
    if tables != {"raw"}:
        joins += " JOIN rates ON raw.rate = rates.rate"
    if "residues" in tables:
        joins += " JOIN residues ON rates.code = residues.code"
    columns = {"source": source, "target": target, **values}
    named = ", ".join(f"CAST({value} AS BIGINT) AS {name}" for name, value in columns.items())
    return f"SELECT {named} FROM raw{joins}"


def check_distribution(
    database: Database, edges: Edges, dialect: Dialect, primes: tuple[int, ...]
) -> None:
    """Check that the rows of a DTMC sum to one, exactly.

    Raises `InvalidChain` for the first state whose row does not.
    """
    one = [edges.denominator % p if p else edges.denominator for p in primes]
    sums = ", ".join(f"{dialect.total(f'w{i}', p)} AS t{i}" for i, p in enumerate(primes))
    totals = [f"coalesce(t{i}, 0)" for i in range(len(primes))]
    wrong = " OR ".join(f"{total} <> {wanted}" for total, wanted in zip(totals, one, strict=True))
    found = database.run(
        f"SELECT s, {', '.join(totals)} FROM state LEFT JOIN (SELECT source, {sums} FROM numbered_edges "
        f"GROUP BY source) sums ON s = source WHERE {wrong} ORDER BY s LIMIT 1"
    )
    for state, *total in found:
        raise _wrong_sum(
            database, edges, state, Fraction(integer_of(total, primes), edges.denominator)
        )


def check_row_sums(
    database: Database, edges: Edges, structure: WeightedStructure, low: int, high: int
) -> None:
    """Check the same for the rows low .. high-1 of a structure."""
    bounds, weights = structure.indptr[low : high + 1], structure.weights
    part = ExactArray(weights.codes[bounds[0] : bounds[-1]], weights.values)
    sums = part.segment_sums(bounds - bounds[0])
    for place in np.flatnonzero(sums.where(lambda total: total != 1))[:1].tolist():
        raise _wrong_sum(database, edges, low + place, sums[place])


def _wrong_sum(database: Database, edges: Edges, state: int, total: Fraction) -> InvalidChain:
    """Return the error for a state whose probabilities do not sum to one."""
    name = key_of(database, edges, state)
    return InvalidChain(
        f"the probabilities of state {name!r} sum to {shown(total)}, not to 1", state=name
    )


def moduli_of(database: Database, edges: Edges, kind: str, dialect: Dialect) -> tuple[int, ...]:
    """Return (0,) if sums of weights times changes of values cannot overflow as they are, or primes.

    The product of the primes exceeds every difference of two sums of weights, so sums are equal exactly if those of
    residues are (Chinese remainder theorem).
    """
    bound = edges.largest * edges.rows
    if bound < dialect.most_weight:
        return (0,)
    most = edges.largest
    if edges.largest < LARGEST_WORD:
        number_rows(database, edges, (0,))
        for column in ("source", "target") if kind in ("exact", "strict") else ("source",):
            found = database.value(
                "SELECT max(total) FROM (SELECT sum(CAST(w0 AS DECIMAL(38, 0))) AS total FROM numbered_edges "
                f"GROUP BY {column})"
            )
            most = max(most, int(found or 0))
    if most < dialect.most_weight:
        return (0,)
    return tuple(primes_beyond(2 * bound, bits=dialect.prime_bits))


def integer_of(residues: Sequence[Any], primes: tuple[int, ...]) -> int:
    """Return the integer with such residues that is nearest to zero; for (0,) the number itself.

    Examples
    --------
    >>> integer_of([5, 2], (7, 11)), integer_of([12], (0,))
    (-9, 12)
    """
    if primes == (0,):
        return int(residues[0])
    product = prod(primes)
    parts = zip(residues, primes, strict=True)
    found = sum(int(x) * (product // p) * pow(product // p, -1, p) for x, p in parts) % product
    return found - product if 2 * found > product else found


def write_generator(
    session: Database, edges: Edges, kind: str, dialect: Dialect = DUCKDB
) -> tuple[int, tuple[int, ...]]:
    """Check the numbers of a table and write its matrix as the table ``gen``.

    Returns its number of rows, and the moduli of its columns of weights.
    """
    primes = moduli_of(session, edges, kind, dialect)
    number_rows(session, edges, primes)
    if edges.time == "discrete":
        check_distribution(session, edges, dialect, primes)
    session.store("gen", _matrix(kind, edges.time, len(primes)))
    if _has_diagonal(kind, edges.time):
        session.append("gen", _diagonal(kind, primes))
    rows = int(session.value("SELECT count(*) FROM gen"))
    return rows, primes * (2 if kind == "strict" else 1)


def is_listed_once(session: Database, edges: Edges, kind: str) -> bool:
    """Whether ``gen`` is known to have no two rows with one source and target: the table of transitions ascends."""
    pair = f"CAST(source AS BIGINT) * {edges.n} + CAST(target AS BIGINT)"
    return kind != "strict" and edges.dense and session.ascends(f"SELECT {pair} AS pair FROM raw")


def has_wide_quotient(edges: Edges, kind: str) -> bool:
    """Whether numbers of the quotient may have more than 38 digits; then its file has texts."""
    members = edges.n if kind == "exact" else 1
    return bool(max(edges.largest * edges.rows, edges.denominator) * members >= 10**DIGITS)


def quotient_rows(
    database: Database, edges: Edges, kind: str, moduli: tuple[int, ...]
) -> Iterator[Any]:
    """Yield the transitions between blocks as record batches, from the tables that a proof leaves."""
    ordered = f"{quotient(kind, edges, moduli)} ORDER BY source, target"
    primes = _of_one_matrix(moduli, kind)
    if primes == (0,):
        yield from database.batches(ordered)
        return
    arrow = require("pyarrow", extra="tables")
    for batch in database.batches(ordered):
        *residues, above, below = (column.to_pylist() for column in batch.columns[2:])
        sums = [integer_of(row, primes) for row in zip(*residues, strict=True)]
        numerators = [str(total * factor) for total, factor in zip(sums, above, strict=True)]
        denominators = [str(edges.denominator * factor) for factor in below]
        columns = [*batch.columns[:2], arrow.array(numerators), arrow.array(denominators)]
        names = ["source", "target", "numerator", "denominator"]
        yield arrow.RecordBatch.from_arrays(columns, names)


def _of_one_matrix(moduli: tuple[int, ...], kind: str) -> tuple[int, ...]:
    return moduli[: len(moduli) // (2 if kind == "strict" else 1)]


def quotient(kind: str, edges: Edges, moduli: tuple[int, ...]) -> str:
    """Return the query of the transitions between blocks, from the tables that a proof leaves.

    For the exact kind, row C of ``sums`` holds q(B, s) for the least s of C; Q^[B, C] is that, times the size of C
    over the size of B.  For residues these two factors are columns.
    """
    primes = _of_one_matrix(moduli, kind)
    wide = "DECIMAL(38, 0)"
    loops = kind == "bisimulation" or edges.time == "discrete"
    ends, above, below, joins = "block AS source, other AS target", "1", "1", ""
    if kind == "exact":
        ends, above, below = (
            "other AS source, sums.block AS target", "own.members", "origin.members"
        )  # fmt: skip
        joins = (
            " JOIN blocks own ON sums.block = own.block JOIN blocks origin ON other = origin.block"
        )
    if primes == (0,):
        numbers = (
            f"CAST(t0 * {above} AS {wide}) AS numerator, "
            f"CAST(CAST({edges.denominator} AS {wide}) * {below} AS {wide}) AS denominator"
        )
    else:
        numbers = ", ".join(
            [*(f"t{i}" for i in range(len(primes))), f"{above} AS above, {below} AS below"]
        )
    nonzero = " OR ".join(f"t{i} <> 0" for i in range(len(primes)))
    query = f"SELECT {ends}, {numbers} FROM sums{joins} WHERE {nonzero}"
    return query if loops else f"SELECT * FROM ({query}) WHERE source <> target"
