"""The initial partition of a table: by the labels, rewards and initial probabilities that are respected.

Blocks have the names of their least members, as in later rounds.  Rewards are compared as the rationals that
were meant, so two floats that mean one number do not tell states apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lumpability.errors import InvalidInput
from lumpability.files import reading
from lumpability.tables.database import Database
from lumpability.tables.reading import FLOATS, Edges, read_numbers
from lumpability.tables.session import identifier


def respected_columns(
    edges: Edges, respect: Iterable[str] | str, ignore: Iterable[str] | str
) -> list[str]:
    """Return the columns of the table of states that a block may not mix.

    Raises `InvalidInput` for a name that is no label or reward.

    - respect, ignore: as for `lumpability.lump`: "labels", "rewards", "initial", or single ones by name
    """
    ignored = {name for item in _listed(ignore) for name in _columns(edges, item, "ignore")}
    wanted = [name for item in _listed(respect) for name in _columns(edges, item, "respect")]
    return [name for name in dict.fromkeys(wanted) if name not in ignored]


def _listed(names: Iterable[str] | str) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _columns(edges: Edges, item: str, verb: str) -> tuple[str, ...]:
    sort, _, name = item.partition(":")
    groups = {
        "labels": edges.labels,
        "rewards": edges.rewards,
        "initial": ("initial",) if edges.starts else (),
    }
    if item in groups:
        return groups[item]
    for known, names in (("label", edges.labels), ("reward", edges.rewards)):
        if item in names:
            return (item,)
        if sort == known and name in names:
            return (name,)
    every = [*(f"label:{x}" for x in edges.labels), *(f"reward:{x}" for x in edges.rewards)]
    raise InvalidInput(
        f"there is no {item!r} to {verb}; the table of states has "
        f"{', '.join(every) or 'no labels or rewards'}",
        name=item,
    )


def write_initial_state(
    session: Database, edges: Edges, columns: list[str], states: Path | None, float_tolerance: float
) -> None:
    """Make the table ``state`` of all states, each with the name of its block."""
    if not columns:
        session.store(
            "state", f"SELECT s, CAST(0 AS BIGINT) AS label FROM range({edges.n}) AS numbered(s)"
        )
        return
    assert states is not None
    with reading(states):
        codes = [_codes(session, column, float_tolerance) for column in columns]
    named = "".join(f", {code} AS k{i}" for i, code in enumerate(codes))
    keys = ", ".join(f"k{i}" for i in range(len(codes)))
    session.store(
        "attributes", f"SELECT CAST(state AS BIGINT) AS s{named} FROM listed", temporary=True
    )
    parts = f"SELECT {keys}, min(s) AS label FROM attributes GROUP BY {keys}"
    session.store("state", f"SELECT s, label FROM attributes JOIN ({parts}) parts USING ({keys})")
    session.drop("attributes")


def _codes(session: Database, column: str, float_tolerance: float) -> str:
    """Return an expression that has equal values for equal labels or rewards."""
    kind, name = session.columns("listed")[column], identifier(column)
    if kind not in FLOATS:
        return name
    given = [row[0] for row in session.run(f"SELECT DISTINCT {name} FROM listed ORDER BY 1")]
    first: dict[int, float] = {}
    merged = []
    for number, code in zip(
        given, read_numbers(given, kind, column, float_tolerance).codes.tolist(), strict=True
    ):
        if first.setdefault(code, number) is not number:
            merged.append(f"WHEN CAST({number!r} AS {kind}) THEN CAST({first[code]!r} AS {kind})")
    return f"CASE {name} {' '.join(merged)} ELSE {name} END" if merged else name
