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

from lumpability.errors import InvalidChain, NotJustified, SizeLimit
from lumpability.markov.kinds import find_kind
from lumpability.numbers.rationals import shown
from lumpability.tables.dialects import Dialect
from lumpability.tables.reading import Edges
from lumpability.tables.session import Session

__all__ = [
    "TABLE_KINDS",
    "check_distribution",
    "check_kind",
    "check_sums",
    "generator",
    "is_balanced",
]

TABLE_KINDS = ("ordinary", "bisimulation", "exact", "strict")
"""The kinds that edge tables have."""
STREAMED_KINDS = ("ordinary", "bisimulation")
"""The kinds that compare rows of the matrix as they are listed, and so can be streamed."""


def check_kind(kind: str) -> None:
    """Raise `NotJustified` for a kind that tables do not have, and `InvalidInput` for an unknown one."""
    if kind not in TABLE_KINDS:
        raise NotJustified(
            f"{find_kind(kind).name} lumping is not for edge tables, which compare sums: choose one of "
            f"{', '.join(TABLE_KINDS)}, or read the table into a chain",
            kind=kind,
        )


def is_balanced(kind: str, time: str) -> bool:
    """Whether all rows of the matrix have the same sum."""
    return kind == "ordinary" or (kind == "bisimulation" and time == "discrete")


def generator(kind: str, time: str) -> str:
    """Return the query of the table ``gen`` over the view ``edges``, integers over the common denominator."""
    has_diagonal = time == "continuous" and kind != "bisimulation"
    edges = "SELECT * FROM edges" + (" WHERE source <> target" if has_diagonal else "")
    diagonal = "SELECT source AS s, CAST(-sum(w) AS BIGINT) AS x FROM edges WHERE source <> target GROUP BY source"
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


def check_distribution(session: Session, edges: Edges) -> None:
    """Check that the rows of a DTMC sum to one, exactly.

    Raises `InvalidChain` for the first state whose row does not.
    """
    one = edges.denominator
    found = session.run(
        "SELECT s, coalesce(total, 0) FROM "
        f"(SELECT range AS s FROM range({edges.n})) LEFT JOIN "
        "(SELECT source, sum(w::HUGEINT) AS total FROM edges GROUP BY source) ON s = source "
        f"WHERE coalesce(total, 0) <> {one} ORDER BY s LIMIT 1"
    )
    if found:
        state, total = found[0]
        name = state if edges.dense else session.value(f"SELECT key FROM numbers WHERE s = {state}")
        raise InvalidChain(
            f"the probabilities of state {name!r} sum to {total}/{one}, not to 1", state=name
        )


def check_sums(session: Session, edges: Edges, kind: str, dialect: Dialect) -> None:
    """Check that sums of weights times changes of values cannot overflow; done before the table ``gen`` is made.

    Raises `SizeLimit` if the rates out of a state, or into one, have too large a sum.
    """
    if edges.largest * edges.rows < dialect.most_weight:
        return
    for column in ("source", "target") if kind in ("exact", "strict") else ("source",):
        most = session.value(
            f"SELECT max(total) FROM (SELECT sum(w::HUGEINT) AS total FROM edges GROUP BY {column})"
        )
        if (most or 0) >= dialect.most_weight:
            raise SizeLimit(
                f"over the common denominator {shown(edges.denominator)} the rates of a {column} have a sum of "
                f"{int(most).bit_length()} bits, and there is room for {dialect.most_weight.bit_length() - 1}: "
                "use engine='memory' or engine='stream'",
                bits=int(most).bit_length(),
            )
