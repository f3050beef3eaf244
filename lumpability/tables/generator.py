"""The matrices that kinds of lumpability compare, as one table of integer weights.

============  ===========================================  =======================================
kind          of a CTMC                                    of a DTMC
============  ===========================================  =======================================
ordinary      Q, its diagonal -sum of the row stored       P
bisimulation  R, self-loops included                       P
exact         Q transposed                                 P transposed
strict        Q and its transposed matrix, two weights     P and its transposed matrix
============  ===========================================  =======================================

Rows of Q and of P have one sum.  For the others a first split compares the sums of rows.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from lumpability.errors import InvalidChain, SizeLimit
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.rationals import shown
from lumpability.structure import WeightedStructure
from lumpability.tables.database import Database
from lumpability.tables.dialects import DUCKDB, Dialect
from lumpability.tables.reading import LARGEST_WORD, Edges
from lumpability.tables.session import INTEGERS

__all__ = [
    "STREAMED_KINDS",
    "TABLE_KINDS",
    "check_distribution",
    "check_row_sums",
    "check_sums",
    "coded_rows",
    "generator",
    "is_balanced",
    "quotient",
    "write_generator",
]

TABLE_KINDS = ("ordinary", "bisimulation", "exact", "strict")
"""The kinds that edge tables have."""
STREAMED_KINDS = ("ordinary", "bisimulation")
"""The kinds that compare rows of the matrix as they are listed, and so can be streamed."""


def is_balanced(kind: str, time: str) -> bool:
    """Whether all rows of the matrix have the same sum."""
    return kind == "ordinary" or (kind == "bisimulation" and time == "discrete")


def generator(kind: str, time: str) -> str:
    """Return the query of the table ``gen`` over the view ``numbered_edges``, integers over the common denominator."""
    has_diagonal = time == "continuous" and kind != "bisimulation"
    edges = "SELECT * FROM numbered_edges" + (" WHERE source <> target" if has_diagonal else "")
    diagonal = "SELECT source AS s, CAST(-sum(w) AS BIGINT) AS x FROM numbered_edges WHERE source <> target GROUP BY source"
    ways = {
        "exact": [("target", "source", "w AS w0", "x")],
        "strict": [
            ("source", "target", "w AS w0, 0 AS w1", "x, x"),
            ("target", "source", "0, w", ""),
        ],
    }.get(kind, [("source", "target", "w AS w0", "x")])
    parts = []
    for source, target, weights, exits in ways:
        parts.append(f"SELECT {source} AS source, {target} AS target, {weights} FROM ({edges})")
        if has_diagonal and exits:
            parts.append(f"SELECT s, s, {exits} FROM ({diagonal})")
    return " UNION ALL ".join(parts)


def number_rows(session: Database, edges: Edges) -> None:
    """Name the transitions of positive weight for statements: the view ``numbered_edges``, of source, target and w.

    Raises `SizeLimit` if a weight does not fit 64 bits.
    """
    if edges.largest >= LARGEST_WORD:
        raise SizeLimit(
            f"over their common denominator the largest of the rates has {edges.largest.bit_length()} bits, and "
            "tables hold 63: use engine='memory' or engine='stream'",
            bits=edges.largest.bit_length(),
        )
    whole = edges.denominator == 1 and session.columns("raw")["rate"] in INTEGERS
    weight = "raw.rate" if whole or edges.numerators is None else "rates.w"
    session.run(
        f"CREATE OR REPLACE TEMP VIEW numbered_edges AS {_numbered(edges, weight, 'w')} WHERE {weight} <> 0"
    )


def coded_rows(edges: Edges) -> str:
    """Return a query of source, target and code of every transition, zeros included.

    The code is the place of the rate in ``edges.numerators``, or the rate itself where those are not listed.
    """
    return _numbered(edges, "raw.rate" if edges.numerators is None else "rates.code", "code")


def _numbered(edges: Edges, value: str, name: str) -> str:
    """Return a query of the transitions by the numbers of their states, with a value that gets a name."""
    source, target, joins = "raw.source", "raw.target", ""
    if not edges.dense:
        source, target = "a.s", "b.s"
        joins = (
            f" JOIN numbers a ON CAST(raw.source AS {edges.key}) = a.key"
            f" JOIN numbers b ON CAST(raw.target AS {edges.key}) = b.key"
        )
    if value.startswith("rates."):
        joins += " JOIN rates ON raw.rate = rates.rate"
    return (
        f"SELECT CAST({source} AS BIGINT) AS source, CAST({target} AS BIGINT) AS target, "
        f"CAST({value} AS BIGINT) AS {name} FROM raw{joins}"
    )


def check_distribution(database: Database, edges: Edges) -> None:
    """Check that the rows of a DTMC sum to one, exactly.

    Raises `InvalidChain` for the first state whose row does not.
    """
    one = edges.denominator
    found = database.run(
        "SELECT s, coalesce(total, 0) FROM state LEFT JOIN (SELECT source, "
        "sum(CAST(w AS DECIMAL(38, 0))) AS total FROM numbered_edges GROUP BY source) sums ON s = source "
        f"WHERE coalesce(total, 0) <> {one} ORDER BY s LIMIT 1"
    )
    if found:
        state, total = found[0]
        raise _wrong_sum(database, edges, state, Fraction(int(total), one))


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
    name = state if edges.dense else database.value(f"SELECT key FROM numbers WHERE s = {state}")
    return InvalidChain(
        f"the probabilities of state {name!r} sum to {shown(total)}, not to 1", state=name
    )


def check_sums(database: Database, edges: Edges, kind: str, dialect: Dialect) -> None:
    """Check that sums of weights times changes of values cannot overflow; done before the table ``gen`` is made.

    Raises `SizeLimit` if the rates out of a state, or into one, have too large a sum.
    """
    if edges.largest * edges.rows < dialect.most_weight:
        return
    for column in ("source", "target") if kind in ("exact", "strict") else ("source",):
        most = database.value(
            f"SELECT max(total) FROM (SELECT sum(CAST(w AS DECIMAL(38, 0))) AS total FROM numbered_edges GROUP BY {column})"
        )
        if (most or 0) >= dialect.most_weight:
            raise SizeLimit(
                f"over their common denominator the rates of a {column} have a sum of {int(most).bit_length()} "
                f"bits, and there is room for {dialect.most_weight.bit_length() - 1}: use engine='memory' or engine='stream'",
                bits=int(most).bit_length(),
            )


def write_generator(session: Database, edges: Edges, kind: str, dialect: Dialect = DUCKDB) -> int:
    """Check the numbers of a table and write its matrix as the table ``gen``; return its number of rows."""
    number_rows(session, edges)
    check_sums(session, edges, kind, dialect)
    if edges.time == "discrete":
        check_distribution(session, edges)
    session.store("gen", generator(kind, edges.time))
    return int(session.value("SELECT count(*) FROM gen"))


def quotient(kind: str, edges: Edges) -> str:
    """Return the query of the transitions between blocks, from the tables that a proof leaves.

    For the exact kind, row C of ``sums`` holds q(B, s) for the least s of C; Q^[B, C] is that, times the size of C
    over the size of B.
    """
    wide = "DECIMAL(38, 0)"
    loops = kind == "bisimulation" or edges.time == "discrete"
    if kind == "exact":
        query = (
            f"SELECT other AS source, sums.block AS target, "
            f"CAST(t0 * own.members AS {wide}) AS numerator, "
            f"CAST(CAST({edges.denominator} AS {wide}) * origin.members AS {wide}) AS denominator FROM sums "
            "JOIN blocks own ON sums.block = own.block JOIN blocks origin ON other = origin.block"
        )
    else:
        query = (
            f"SELECT block AS source, other AS target, CAST(t0 AS {wide}) AS numerator, "
            f"CAST({edges.denominator} AS {wide}) AS denominator FROM sums WHERE t0 <> 0"
        )
    return query if loops else f"SELECT * FROM ({query}) WHERE source <> target"
